/* SPDX-License-Identifier: MIT */
/* europa-run's command line onto a spec, and the limits that europa-update understands in the same words. */
#ifndef EUROPA_OPTIONS_H
#define EUROPA_OPTIONS_H

#include <stdbool.h>

#include "runtime/command.h"
#include "runtime/spec.h"

struct error;

/*
 * Fills *spec (all zero before) with the image's defaults and, over them, with what argv says; makes host paths absolute
 * and completes the geometry. argv[0] is the command's name. The caller calls spec_release, also after an error.
 * spec->name is empty where --name wasn't given: state_claim_numbered() makes one from options_name_stem().
 */
int options_run(int argc, char **argv, struct vr_spec *spec, struct error *e);

/* "ipfwd" for image/ipfwd: the last part of the image's path, with what a name can't hold replaced. */
void options_name_stem(const char *image, char stem[VR_NAME_MAX]);

/* Puts the CPU quota into the data plane's environment, where libeuropa looks for it. */
int options_tell_quota(struct vr_spec *spec, struct error *e);

/* A period too short for the quota is refused. */
int options_check_period(uint32_t permille, uint32_t period_us, struct error *e);
/* So is a burst beyond what the quota, 0: none, gives in a period, 0: the default one. */
int options_check_burst(uint32_t permille, uint32_t period_us, uint32_t burst_us, struct error *e);

/* Options that name a limit; the rows of run_options and update_options with these keys. */
enum {
	OPTION_CPU = OPTION_LONG,
	OPTION_CPUS,
	OPTION_CPU_PERIOD,
	OPTION_CPU_BURST,
	OPTION_CPU_WEIGHT,
	OPTION_CPUSET,
	OPTION_PIDS,
	OPTION_AFTER_LIMITS,
	OPTION_MEMORY = 'm',
};
#define LIMIT_OPTIONS \
	{ OPTION_CPU, "cpu", "PERCENT", "share of one CPU: 25%; 150% is one and a half", NULL }, \
	{ OPTION_CPUS, "cpus", "NUMBER", "the same as a number: 0.25", NULL }, \
	{ OPTION_CPU_PERIOD, "cpu-period", "TIME", "period of the quota, 1ms to 1s (default 10ms)", NULL }, \
	{ OPTION_CPU_BURST, "cpu-burst", "TIME", "unused quota that may be saved up, 0 to the quota", NULL }, \
	{ OPTION_CPU_WEIGHT, "cpu-weight", "NUMBER", "share against others that want the CPU, 1 to 10000 (default 100)", NULL }, \
	{ OPTION_CPUSET, "cpuset", "LIST", "CPUs to run on: 0-3,5", NULL }, \
	{ OPTION_CPUSET, "cpuset-cpus", "LIST", NULL, NULL }, \
	{ OPTION_MEMORY, "memory", "SIZE", "most memory, pool included: 64M", NULL }, \
	{ OPTION_PIDS, "pids", "NUMBER", "most processes and threads", NULL }, \
	{ OPTION_PIDS, "pids-limit", "NUMBER", NULL, NULL }

/*
 * 1: key was a limit, and is in *limits; 0: it is none; negative: it has a bad value. "unlimited" gives 0 where
 * it means "no limit", and UINT32_MAX or UINT64_MAX where `lift` says that one is to be lifted.
 */
int options_limit(int key, const struct arguments *a, bool lift, struct vr_limits *limits, struct error *e);

#endif

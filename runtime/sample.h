/* SPDX-License-Identifier: MIT */
/* Everything that can be counted about a VR at one moment, for europa-stat and europa-inspect. */
#ifndef EUROPA_SAMPLE_H
#define EUROPA_SAMPLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cgroups/cgroups.h"
#include "runtime/state.h"

struct error;

struct sample {
	int64_t time_ns, monotonic_ns;

	bool has_cgroup;
	struct cgroup_stat cgroup;
	struct vr_limits limits;               /* in force; cpuset is left out */

	bool has_region;
	uint32_t status, epoch, features;      /* of the switch */
	struct europa_geometry geo;
	uint32_t vr_slots, vr_runs;            /* in the VR's hands */
	uint32_t free_used, alloc_used;
	struct europa_vr_stats vr;
	struct {
		bool up;
		uint32_t rx_used, tx_used;
		struct europa_vnic_stats stats;
	} vnic[EUROPA_MAX_VNICS];
	struct europa_dp_counter counters[EUROPA_DP_COUNTERS];
};

/* What can't be read is left out: has_cgroup, has_region. The first reason for that is in *e, for who wants it. */
void sample_take(const struct vr_state *state, struct sample *sample, struct error *e);

/* Rates are added where *before is not NULL. A new reference. */
json_t *sample_json(const struct vr_state *state, const struct sample *sample, const struct sample *before);

/* Of one CPU, in percent: since *before, or since the VR was started. */
double sample_cpu_percent(const struct vr_state *state, const struct sample *sample, const struct sample *before);
/* The share of that time, in percent, for which the quota stopped it. */
double sample_throttled_percent(const struct vr_state *state, const struct sample *sample, const struct sample *before);

/* Why packets were dropped that the VR had no room for, in the same time. */
enum sample_cause {
	CAUSE_NONE,        /* none were */
	CAUSE_QUOTA,       /* its quota stopped it meanwhile */
	CAUSE_SLOW,        /* it was not stopped: too slow, or waiting for a CPU, or holding on to its slots */
};
enum sample_cause sample_cause(const struct vr_state *state, const struct sample *sample, const struct sample *before);
/* Packets dropped because the rx ring was full or there was no slot, all vNICs together. */
uint64_t sample_no_room(const struct sample *sample);
/* Seconds between the two. */
double sample_seconds(const struct sample *before, const struct sample *now);

/* "2026-03-01T12:00:00.123456789Z"; "" for 0. Returns buf. */
const char *print_time(char *buf, size_t size, int64_t ns);
#define TIME_BYTES 40

#endif

/* SPDX-License-Identifier: MIT */
/* europa-update: other limits for a VR that runs; all that are asked for, or none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroups/cgroups.h"
#include "runtime/cleanup.h"
#include "runtime/command.h"
#include "runtime/error.h"
#include "runtime/options.h"
#include "runtime/quantity.h"
#include "runtime/region.h"
#include "runtime/sweep.h"

const struct command_option update_options[] = {
	LIMIT_OPTIONS,
	OPTIONS_END
};

static int parse(struct vr_limits *limits, const char **name, int argc, char **argv, struct error *e)
{
	struct arguments a = ARGUMENTS(argc, argv, update_options);
	int key, known;
	bool any = false;

	while ((key = arguments_next(&a, e)) > 0) {
		if (key == ARGUMENT_OPERAND && *name)
			return arguments_unexpected(&a, e);
		if (key == ARGUMENT_OPERAND) {
			*name = a.value;
			continue;
		}
		known = options_limit(key, &a, true, limits, e);
		if (known < 0)
			return known;
		any = true;
	}
	if (key < 0)
		return key;
	if (!*name)
		return refuse(e, "expected the name of a virtual router (europa-ps lists them)");
	return any ? 0 : refuse(e, "expected a limit to change, as in --cpu 50%%");
}

/* What the state says about limits is what is in force, so it is read back. */
static int record(struct vr_state *state, struct cgroup_set *set, struct error *e)
{
	struct vr_limits now;
	int err = cgroups_limits(set, &now, e);

	if (err)
		return err;
	free(state->limits.cpuset);
	state->limits = now;
	return state_write(state, e);
}

/* 0 in a limit that is in force means that there is none, and lifts what an update has set. */
static struct vr_limits limits_as_changes(const struct vr_limits *l)
{
	return (struct vr_limits){
		.cpu_permille = l->cpu_permille ? l->cpu_permille : UINT32_MAX,
		.period_us = l->cpu_permille ? l->period_us : 0,
		.burst_us = l->burst_us ? l->burst_us : l->cpu_permille ? UINT32_MAX : 0,
		.cpu_weight = l->cpu_weight ? l->cpu_weight : UINT32_MAX,
		.cpuset = l->cpuset,
		.memory = l->memory ? l->memory : UINT64_MAX,
		.pids = l->pids ? l->pids : UINT64_MAX,
	};
}

/* What is in force now, so that the data plane spins as much as it can pay. A VR without vNICs has no region. */
static int tell(const struct vr_state *state, uint32_t permille, struct error *e)
{
	auto_close int control = -1;

	if (!state->vnics)
		return 0;
	control = state_open_control(state, e);
	return control < 0 ? control : region_tell_quota(control, permille, e);
}

/*
 * The CPU limits as they would be in force, in the words of the options. A period that is asked for is had, or refused; one that isn't becomes
 * as long as a new quota needs. A burst goes with the quota that is lifted.
 */
static int check_quota(const struct vr_limits *changes, const struct vr_limits *now, struct error *e)
{
	bool lifted = changes->cpu_permille == UINT32_MAX;
	uint32_t permille = lifted ? 0 : changes->cpu_permille ? changes->cpu_permille : now->cpu_permille;
	uint32_t period = changes->period_us ? changes->period_us : now->period_us;
	uint32_t burst = changes->burst_us ? changes->burst_us : lifted ? 0 : now->burst_us;

	if (changes->period_us && !permille && !lifted)
		return refuse(e, "--cpu-period \"%uus\": expected a quota (--cpu) to give in it", changes->period_us);
	return options_check_period(permille, changes->period_us, e) ?:
	       options_check_burst(permille, period, burst == UINT32_MAX ? 0 : burst, e);
}

static int update_locked(struct vr_state *state, const struct vr_limits *limits, struct error *e)
{
	struct vr_limits before, undo;
	struct error ignored = { 0 };
	struct cgroup_set *set;
	int err;

	if ((state->status != VR_RUNNING && state->status != VR_PAUSED) || !state->cgroup)
		return refuse(e, "virtual router \"%s\" is not running, but %s", state->name, state_status_name(state->status));
	err = cgroups_open(state_cgroup(state), &set, e);
	if (err)
		return err;
	err = cgroups_limits(set, &before, e);
	if (!err) {
		err = check_quota(limits, &before, e) ?: cgroups_update(set, limits, e);
		if (!err) {
			err = record(state, set, e);
			if (!err)
				err = tell(state, state->limits.cpu_permille, e);
			undo = limits_as_changes(&before);
			if (err && cgroups_update(set, &undo, &ignored) == 0)
				record(state, set, &ignored);
		}
		free(before.cpuset);
	}
	cgroups_close(set);
	return err;
}

static int update(const char *name, const struct vr_limits *limits, struct error *e)
{
	auto_close int lock = state_lock(name, e);
	struct vr_state state;
	int err = lock < 0 ? lock : state_read(name, &state, e);

	if (err)
		return err;
	err = update_locked(&state, limits, e);
	state_release(&state);
	return err;
}

int cmd_update(int argc, char **argv)
{
	struct vr_limits limits = { 0 };
	struct error e = { 0 };
	const char *name = NULL;
	int err = parse(&limits, &name, argc, argv, &e);

	if (!err)
		err = update(name, &limits, &e);
	free(limits.cpuset);
	return err ? command_failed("update", &e, 1) : 0;
}

/* SPDX-License-Identifier: MIT */
/* cgroup v2: one hierarchy; a controller works in a group where all levels above have switched it on for theirs. */
#include "cgroups/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cgroups/cgroups.h"
#include "runtime/error.h"

/* There is nothing to switch on for these. */
#define BUILT_IN (BIT(FREEZER) | BIT(CPUACCT))

static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += length)
		if ((p == list || p[-1] == ' ') && (p[length] == ' ' || p[length] == '\0'))
			return true;
	return false;
}

/* Reads before it writes: a write stops the world of control groups, and only the first VR after boot changes anything. */
static int switch_on(const struct hierarchy *h, const char *file, unsigned want, unsigned need, struct error *e)
{
	char on[512], word[32];
	int rc = file_read(h->fd, file, on, sizeof on);

	if (rc < 0)
		return fail(e, -rc, "can't read '%s/%s'", h->path, file);
	for (int c = 0; c < CONTROLLERS; c++) {
		if (!(want & BIT(c)) || has_word(on, controller_name(c)))
			continue;
		snprintf(word, sizeof word, "+%s", controller_name(c));
		rc = file_write(h->fd, file, word);
		if (rc < 0 && (need & BIT(c)))
			return fail(e, -rc, "can't switch the '%s' controller on in '%s/%s'", controller_name(c), h->path,
				    file);
	}
	return 0;
}

/* The group is there already, so that the parent can't vanish meanwhile. */
static int v2_prepare(const struct group *group, const char *name, unsigned want, unsigned need, struct error *e)
{
	int rc = switch_on(group->hierarchy, "cgroup.subtree_control", want & ~BUILT_IN, need, e);

	if (rc == 0)
		rc = switch_on(group->hierarchy, PARENT "/cgroup.subtree_control", want & ~BUILT_IN, need, e);
	return rc;
}

static void plan_cpu(const struct vr_limits *limits, struct plan *plan)
{
	uint32_t period;
	int64_t quota = limits_quota(limits, &period);

	/* The burst comes off first and on last: it may never be more than the quota. */
	plan_add_optional(plan, CPU, "cpu.max.burst", "0");
	if (quota < 0)
		plan_add(plan, CPU, "cpu.max", "max %" PRIu32, period);
	else
		plan_add(plan, CPU, "cpu.max", "%" PRId64 " %" PRIu32, quota, period);
	if (limits->burst_us)
		plan_add(plan, CPU, "cpu.max.burst", "%" PRIu32, limits->burst_us);
}

static void plan_weight(const struct vr_limits *limits, struct plan *plan)
{
	plan_add(plan, CPU, "cpu.weight", "%" PRIu32, limits->cpu_weight == UINT32_MAX ? WEIGHT_DEFAULT : limits->cpu_weight);
}

static void v2_plan(const struct vr_limits *limits, unsigned controllers, struct plan *plan)
{
	if ((controllers & BIT(CPU)) && limits->cpu_permille)
		plan_cpu(limits, plan);
	if ((controllers & BIT(CPU)) && limits->cpu_weight)
		plan_weight(limits, plan);
	if (controllers & BIT(MEMORY)) {
		/* A VR at its limit is not to fill the host's swap instead. */
		plan_add_optional(plan, MEMORY, "memory.swap.max", limits->memory == UINT64_MAX ? "max" : "0");
		plan_add_max(plan, MEMORY, "memory.max", limits->memory);
	}
}

static int cpu_limits(const struct cgroup_set *set, struct vr_limits *limits)
{
	char text[VALUE_MAX];
	uint64_t burst = 0, weight = 0;
	long long quota;
	unsigned period;
	int rc = limit_read_text(set, CPU, "cpu.max", text);

	if (rc == 0)
		rc = limit_read(set, CPU, "cpu.max.burst", &burst);
	if (rc == 0)
		rc = limit_read(set, CPU, "cpu.weight", &weight);
	if (rc < 0)
		return rc;
	limits_from_weight(limits, weight);
	if (sscanf(text, "%lld %u", &quota, &period) == 2)      /* not so for "max 100000" */
		limits_from_quota(limits, quota, period);
	limits->burst_us = (uint32_t)burst;
	return 0;
}

static int v2_limits(const struct cgroup_set *set, unsigned controllers, struct vr_limits *limits)
{
	int rc = 0;

	if (controllers & BIT(CPU))
		rc = cpu_limits(set, limits);
	if (rc == 0 && (controllers & BIT(MEMORY)))
		rc = limit_read(set, MEMORY, "memory.max", &limits->memory);
	return rc;
}

static void v2_stat(const struct group *group, unsigned controllers, struct cgroup_stat *st)
{
	char text[2048];

	if ((controllers & (BIT(CPU) | BIT(CPUACCT))) && file_read(group->dir, "cpu.stat", text, sizeof text) == 0) {
		if (controllers & BIT(CPUACCT))
			st->cpu_usec = stat_value(text, "usage_usec");
		if (controllers & BIT(CPU)) {
			st->nr_periods = stat_value(text, "nr_periods");
			st->nr_throttled = stat_value(text, "nr_throttled");
			st->throttled_usec = stat_value(text, "throttled_usec");
		}
	}
	if (controllers & BIT(MEMORY)) {
		st->memory = number_in(group->dir, "memory.current");
		st->memory_peak = number_in(group->dir, "memory.peak");
	}
}

static int v2_freeze(int dir, bool on)
{
	return file_write(dir, "cgroup.freeze", on ? "1" : "0");
}

static int v2_freezer_state(int dir)
{
	char events[256];

	if (file_read(dir, "cgroup.events", events, sizeof events) == 0 && stat_value(events, "frozen"))
		return FROZEN;
	return number_in(dir, "cgroup.freeze") ? FREEZING : THAWED;
}

static int v2_kill(int dir)
{
	return file_write(dir, "cgroup.kill", "1");
}

const struct version cgroup_v2 = {
	.layout = LAYOUT_V2,
	.entrance = "cgroup.procs",
	.prepare = v2_prepare,
	.plan = v2_plan,
	.limits = v2_limits,
	.stat = v2_stat,
	.freeze = v2_freeze,
	.freezer_state = v2_freezer_state,
	.kill = v2_kill,
};

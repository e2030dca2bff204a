/* SPDX-License-Identifier: MIT */
/* cgroup v1: a hierarchy for one or several controllers, and every controller's files in its own words. */
#include "cgroups/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cgroups/cgroups.h"
#include "runtime/error.h"

#define SHARES_DEFAULT 1024u
#define UNLIMITED_MEMORY (UINT64_C(1) << 62)       /* what v1 shows without a limit is larger: LONG_MAX in whole pages */

/* Gives a level the CPUs and memory nodes of the one above, where it has none yet. */
static int inherit_cpuset(const struct group *group, const char *above, const char *level, const char *file, struct error *e)
{
	const struct hierarchy *h = group->hierarchy;
	char path[256], text[VALUE_MAX];
	int rc;

	snprintf(path, sizeof path, "%s/%s", level, file);
	rc = file_read(h->fd, path, text, sizeof text);
	if (rc == 0 && text[0])
		return 0;
	if (rc == 0) {
		snprintf(path, sizeof path, "%s/%s", above, file);
		rc = file_read(h->fd, path, text, sizeof text);
	}
	if (rc == 0) {
		snprintf(path, sizeof path, "%s/%s", level, file);
		rc = file_write(h->fd, path, text);
	}
	return rc < 0 ? fail(e, -rc, "can't set up '%s/%s'", h->path, path) : 0;
}

static int v1_prepare(const struct group *group, const char *name, unsigned want, unsigned need, struct error *e)
{
	static const char *const files[] = { "cpuset.mems", "cpuset.cpus" };

	if (!(group->hierarchy->serves & BIT(CPUSET)))
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		int rc = inherit_cpuset(group, ".", PARENT, files[i], e);

		if (rc == 0)
			rc = inherit_cpuset(group, PARENT, name, files[i], e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The burst comes off first and on last: it may never be more than the quota. */
static void plan_cpu(const struct vr_limits *limits, struct plan *plan)
{
	uint32_t period;
	int64_t quota = limits_quota(limits, &period);

	plan_add_optional(plan, CPU, "cpu.cfs_burst_us", "0");
	plan_add(plan, CPU, "cpu.cfs_period_us", "%" PRIu32, period);
	plan_add(plan, CPU, "cpu.cfs_quota_us", "%" PRId64, quota);
	if (limits->burst_us)
		plan_add(plan, CPU, "cpu.cfs_burst_us", "%" PRIu32, limits->burst_us);
}

/* v1 calls the ordinary weight 1024. */
static void plan_weight(const struct vr_limits *limits, struct plan *plan)
{
	uint32_t weight = limits->cpu_weight == UINT32_MAX ? WEIGHT_DEFAULT : limits->cpu_weight;

	plan_add(plan, CPU, "cpu.shares", "%" PRIu32, weight * SHARES_DEFAULT / WEIGHT_DEFAULT);
}

/* A VR at its limit is not to fill the host's swap instead. */
static void plan_memory(const struct vr_limits *limits, struct plan *plan)
{
	if (limits->memory == UINT64_MAX) {
		plan_add(plan, MEMORY, "memory.limit_in_bytes", "-1");
		return;
	}
	plan_add_optional(plan, MEMORY, "memory.swappiness", "0");
	plan_add(plan, MEMORY, "memory.limit_in_bytes", "%" PRIu64, limits->memory);
}

static void v1_plan(const struct vr_limits *limits, unsigned controllers, struct plan *plan)
{
	if ((controllers & BIT(CPU)) && limits->cpu_permille)
		plan_cpu(limits, plan);
	if ((controllers & BIT(CPU)) && limits->cpu_weight)
		plan_weight(limits, plan);
	if (controllers & BIT(MEMORY))
		plan_memory(limits, plan);
}

/* Shares that somebody has set by hand may be less and more than any weight is. */
static uint64_t weight_of(uint64_t shares)
{
	uint64_t weight = (shares * WEIGHT_DEFAULT + SHARES_DEFAULT / 2) / SHARES_DEFAULT;

	return weight < WEIGHT_MIN ? WEIGHT_MIN : weight > WEIGHT_MAX ? WEIGHT_MAX : weight;
}

static int cpu_limits(const struct cgroup_set *set, struct vr_limits *limits)
{
	uint64_t quota, period, burst, shares;
	int rc = limit_read(set, CPU, "cpu.cfs_quota_us", &quota);

	if (rc == 0)
		rc = limit_read(set, CPU, "cpu.cfs_period_us", &period);
	if (rc == 0)
		rc = limit_read(set, CPU, "cpu.cfs_burst_us", &burst);
	if (rc == 0)
		rc = limit_read(set, CPU, "cpu.shares", &shares);
	if (rc < 0)
		return rc;
	limits_from_weight(limits, weight_of(shares));
	limits_from_quota(limits, (int64_t)quota, (uint32_t)period);
	limits->burst_us = (uint32_t)burst;
	return 0;
}

static int v1_limits(const struct cgroup_set *set, unsigned controllers, struct vr_limits *limits)
{
	int rc = 0;

	if (controllers & BIT(CPU))
		rc = cpu_limits(set, limits);
	if (rc == 0 && (controllers & BIT(MEMORY)))
		rc = limit_read(set, MEMORY, "memory.limit_in_bytes", &limits->memory);
	if (limits->memory >= UNLIMITED_MEMORY)
		limits->memory = 0;
	return rc;
}

static void v1_stat(const struct group *group, unsigned controllers, struct cgroup_stat *st)
{
	char text[1024];

	if ((controllers & BIT(CPU)) && file_read(group->dir, "cpu.stat", text, sizeof text) == 0) {
		st->nr_periods = stat_value(text, "nr_periods");
		st->nr_throttled = stat_value(text, "nr_throttled");
		st->throttled_usec = stat_value(text, "throttled_time") / 1000;
	}
	if (controllers & BIT(CPUACCT))
		st->cpu_usec = number_in(group->dir, "cpuacct.usage") / 1000;
	if (controllers & BIT(MEMORY)) {
		st->memory = number_in(group->dir, "memory.usage_in_bytes");
		st->memory_peak = number_in(group->dir, "memory.max_usage_in_bytes");
	}
}

static int v1_freeze(int dir, bool on)
{
	return file_write(dir, "freezer.state", on ? "FROZEN" : "THAWED");
}

static int v1_freezer_state(int dir)
{
	char text[32];

	if (file_read(dir, "freezer.state", text, sizeof text) < 0)
		return THAWED;
	return !strcmp(text, "FROZEN") ? FROZEN : !strcmp(text, "FREEZING") ? FREEZING : THAWED;
}

static int v1_kill(int dir)
{
	return -ENOENT;
}

const struct version cgroup_v1 = {
	.layout = LAYOUT_V1,
	.entrance = "tasks",
	.prepare = v1_prepare,
	.plan = v1_plan,
	.limits = v1_limits,
	.stat = v1_stat,
	.freeze = v1_freeze,
	.freezer_state = v1_freezer_state,
	.kill = v1_kill,
};

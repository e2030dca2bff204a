/* SPDX-License-Identifier: MIT */
/* Limits: checked, written into a new group, changed in a running one as a whole or not at all, and read back. */
#include "cgroups/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroups/cgroups.h"
#include "runtime/error.h"

#define PERIOD_DEFAULT 10000u
#define PERIOD_MIN 1000u           /* the kernel's bounds */
#define PERIOD_MAX 1000000u
#define QUOTA_MIN 1000u

#define JOIN_PASSES 100            /* a group that still grows after so many passes over it is a fork bomb */

void plan_add(struct plan *plan, enum controller controller, const char *file, const char *fmt, ...)
{
	struct setting *s = &plan->setting[plan->n++];
	va_list ap;

	s->controller = controller;
	s->file = file;
	s->optional = false;
	va_start(ap, fmt);
	vsnprintf(s->value, sizeof s->value, fmt, ap);
	va_end(ap);
}

void plan_add_optional(struct plan *plan, enum controller controller, const char *file, const char *value)
{
	plan_add(plan, controller, file, "%s", value);
	plan->setting[plan->n - 1].optional = true;
}

void plan_add_max(struct plan *plan, enum controller controller, const char *file, uint64_t limit)
{
	if (limit == UINT64_MAX)
		plan_add(plan, controller, file, "max");
	else
		plan_add(plan, controller, file, "%" PRIu64, limit);
}

int limit_read_text(const struct cgroup_set *set, enum controller controller, const char *file, char text[VALUE_MAX])
{
	int rc = value_get(set, controller, file, text, VALUE_MAX);

	if (rc == -ENOENT) {
		text[0] = '\0';
		rc = 0;
	}
	return rc;
}

int limit_read(const struct cgroup_set *set, enum controller controller, const char *file, uint64_t *limit)
{
	char text[VALUE_MAX];
	int rc = limit_read_text(set, controller, file, text);

	*limit = rc == 0 ? strtoull(text, NULL, 10) : 0;
	return rc;
}

int64_t limits_quota(const struct vr_limits *limits, uint32_t *period)
{
	uint32_t shortest;

	*period = limits->period_us ? limits->period_us : PERIOD_DEFAULT;
	if (limits->cpu_permille == UINT32_MAX)
		return -1;
	/* A small share needs a longer period: the kernel gives no quota below a millisecond. */
	shortest = (QUOTA_MIN * 1000u + limits->cpu_permille - 1) / limits->cpu_permille;
	if (*period < shortest)
		*period = shortest;
	return (int64_t)limits->cpu_permille * *period / 1000;
}

void limits_from_quota(struct vr_limits *limits, int64_t quota, uint32_t period)
{
	if (quota <= 0 || !period)
		return;
	limits->cpu_permille = (uint32_t)((quota * 1000 + period / 2) / period);
	limits->period_us = period;
}

void limits_from_weight(struct vr_limits *limits, uint64_t weight)
{
	if (weight != WEIGHT_DEFAULT)
		limits->cpu_weight = (uint32_t)weight;
}

int limits_check(const struct vr_limits *limits, struct error *e)
{
	const char *cpuset = limits->cpuset;

	if (limits->period_us && (limits->period_us < PERIOD_MIN || limits->period_us > PERIOD_MAX))
		return refuse(e, "cpu period '%u': must be %u to %u microseconds", limits->period_us, PERIOD_MIN, PERIOD_MAX);
	if (limits->burst_us && (!limits->cpu_permille || limits->cpu_permille == UINT32_MAX))
		return refuse(e, "cpu burst '%u': needs a cpu limit that it can exceed", limits->burst_us);
	if (limits->burst_us) {
		uint32_t period;
		int64_t quota = limits_quota(limits, &period);

		if (limits->burst_us > quota)
			return refuse(e, "cpu burst '%u': must be at most the quota of a period, %lld microseconds",
				      limits->burst_us, (long long)quota);
	}
	if (limits->cpu_weight > WEIGHT_MAX && limits->cpu_weight != UINT32_MAX)
		return refuse(e, "cpu weight '%u': must be 1 to %u", limits->cpu_weight, WEIGHT_MAX);
	if (cpuset && (!*cpuset || strlen(cpuset) >= VALUE_MAX || cpuset[strspn(cpuset, "0123456789,-:/")]))
		return refuse(e, "cpuset '%s': must be a list of CPUs like 0-3,5", cpuset);
	return 0;
}

unsigned limits_need(const struct vr_limits *limits)
{
	return (limits->cpu_permille || limits->cpu_weight ? BIT(CPU) : 0) | (limits->cpuset ? BIT(CPUSET) : 0) |
	       (limits->memory ? BIT(MEMORY) : 0) | (limits->pids ? BIT(PIDS) : 0);
}

int limits_available(const struct vr_limits *limits, struct error *e)
{
	const struct layout *layout = layout_get();
	unsigned missing = limits_need(limits);

	for (unsigned i = 0; i < layout->n; i++)
		missing &= ~layout->hierarchy[i].serves;
	for (int c = 0; c < CONTROLLERS; c++)
		if (missing & BIT(c))
			return fail(e, ENOTSUP, "can't limit %s, this machine has no control group with the '%s' controller",
				    c == CPUSET ? "the set of CPUs" : controller_name(c), controller_name(c));
	return 0;
}

/* What has the same words in both versions is written and read here, the rest by the version. */
static void make_plan(const struct cgroup_set *set, const struct vr_limits *limits, struct plan *plan)
{
	plan->n = 0;
	if (limits->cpuset)
		plan_add(plan, CPUSET, "cpuset.cpus", "%s", limits->cpuset);
	for (unsigned i = 0; i < set->n; i++) {
		const struct hierarchy *h = set->group[i].hierarchy;

		h->version->plan(limits, h->serves & limits_need(limits), plan);
	}
	if (limits->pids)
		plan_add_max(plan, PIDS, "pids.max", limits->pids);
}

static int read_limits(const struct cgroup_set *set, const struct hierarchy *h, struct vr_limits *limits)
{
	char text[VALUE_MAX];
	int rc = h->version->limits(set, h->serves, limits);

	if (rc == 0 && (h->serves & BIT(PIDS)))
		rc = limit_read(set, PIDS, "pids.max", &limits->pids);
	if (rc < 0 || !(h->serves & BIT(CPUSET)))
		return rc;
	rc = limit_read_text(set, CPUSET, "cpuset.cpus", text);
	if (rc == 0 && text[0])
		limits->cpuset = strdup(text);
	return rc;
}

static int cannot_set(const struct setting *s, int code, struct error *e)
{
	return fail(e, code, "can't set %s to '%s'", s->file, s->value);
}

/*
 * On the way of a VR's start, so not by libcgroup: a value takes some microseconds here, and would take the 0.5 ms of
 * cgroup_init() before the first. Nor could cgroup_create_cgroup() say which of several values the kernel refused.
 */
int limits_write(const struct cgroup_set *set, const struct vr_limits *limits, struct error *e)
{
	struct plan plan;

	make_plan(set, limits, &plan);
	for (unsigned i = 0; i < plan.n; i++) {
		const struct setting *s = &plan.setting[i];
		int rc = file_write(group_of(set, s->controller)->dir, s->file, s->value);

		if (rc < 0 && !(rc == -ENOENT && s->optional))
			return cannot_set(s, -rc, e);
	}
	return 0;
}

/* Drops the optional settings that this kernel doesn't have, and keeps what the others are now. */
static int plan_remember(const struct cgroup_set *set, struct plan *plan, struct plan *old, struct error *e)
{
	old->n = 0;
	for (unsigned i = 0; i < plan->n; i++) {
		struct setting *s = &plan->setting[i], *was = &old->setting[old->n];
		int rc = value_get(set, s->controller, s->file, was->value, sizeof was->value);

		if (rc == -ENOENT && s->optional)
			continue;
		if (rc < 0)
			return fail(e, -rc, "can't read %s of the control group '%s'", s->file, set->name);
		was->controller = s->controller;
		was->file = s->file;
		if (old->n != i)
			plan->setting[old->n] = *s;
		old->n++;
	}
	plan->n = old->n;
	return 0;
}

/* Backwards, so that each step back is between two states that there have been. */
static void plan_restore(const struct cgroup_set *set, const struct plan *old, unsigned n)
{
	while (n--)
		value_set(set, old->setting[n].controller, old->setting[n].file, old->setting[n].value);
}

static int plan_change(const struct cgroup_set *set, struct plan *plan, struct plan *old, struct error *e)
{
	int rc = plan_remember(set, plan, old, e);

	for (unsigned i = 0; rc == 0 && i < plan->n; i++) {
		const struct setting *s = &plan->setting[i];

		rc = value_set(set, s->controller, s->file, s->value);
		if (rc < 0) {
			cannot_set(s, -rc, e);
			plan_restore(set, old, i);
		}
	}
	return rc;
}

/* Moves all members of the set to its group of this index. */
static int join_members(struct cgroup_set *set, unsigned index)
{
	for (int pass = 0; pass < JOIN_PASSES; pass++) {
		struct members all, here;
		bool moved = false;
		int rc = members_read(group_of_members(set), &all);

		if (rc < 0)
			return rc;
		rc = members_read(&set->group[index], &here);
		for (size_t i = 0; rc == 0 && i < all.n; i++) {
			if (members_have(&here, all.pid[i]))
				continue;
			rc = members_move(set->group[index].dir, all.pid[i]);
			moved = true;
		}
		members_release(&all);
		members_release(&here);
		if (rc < 0 || !moved)
			return rc;
	}
	return -EAGAIN;
}

/* Undoes a late group: its members go to where everybody is who is in no group of this hierarchy. */
static void leave_late_group(struct cgroup_set *set, unsigned index)
{
	struct members here;

	for (int pass = 0; pass < JOIN_PASSES && members_read(&set->group[index], &here) == 0; pass++) {
		size_t n = here.n;

		for (size_t i = 0; i < n; i++)
			members_move(set->group[index].hierarchy->fd, here.pid[i]);
		members_release(&here);
		if (!n)
			break;
	}
	group_remove(set, index);
}

/*
 * Where the limits need a controller that the VR was started without (on v1 a cpuset has a hierarchy of its own), its group is
 * made now, after the set's other groups. Switches controllers on, on v2.
 */
static int add_late_groups(struct cgroup_set *set, unsigned need, struct error *e)
{
	const struct layout *layout = layout_get();

	for (unsigned i = 0; i < layout->n; i++) {
		const struct hierarchy *h = &layout->hierarchy[i];
		const struct group *group = NULL;
		int rc = 0;

		if (!(h->serves & need))
			continue;
		for (unsigned k = 0; k < set->n; k++)
			if (set->group[k].hierarchy == h)
				group = &set->group[k];
		if (!group) {
			rc = group_make(set, h, e);
			group = &set->group[set->n - 1];
		}
		if (rc == 0)
			rc = h->version->prepare(group, set->name, h->serves & need, h->serves & need, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int change(struct cgroup_set *set, const struct vr_limits *limits, struct error *e)
{
	unsigned before = set->n;
	struct plan plan, old;
	int rc = add_late_groups(set, limits_need(limits), e);

	if (rc == 0) {
		make_plan(set, limits, &plan);
		rc = plan_change(set, &plan, &old, e);
	}
	for (unsigned i = before; rc == 0 && i < set->n; i++) {
		rc = join_members(set, i);
		if (rc < 0) {
			fail(e, -rc, "can't move all processes to the control group '%s/%s'",
			     set->group[i].hierarchy->path, set->name);
			plan_restore(set, &old, old.n);
		}
	}
	while (rc < 0 && set->n > before)
		leave_late_group(set, set->n - 1);
	return rc;
}

/* Quota, period and burst make one whole: what isn't changed of them stays as it is. */
static int merge_cpu(const struct vr_limits *now, struct vr_limits *changes, struct error *e)
{
	if (!changes->cpu_permille && !changes->period_us && !changes->burst_us)
		return 0;
	if (!changes->cpu_permille && !now->cpu_permille)
		return refuse(e, "cpu %s '%u': needs a cpu limit", changes->period_us ? "period" : "burst",
			      changes->period_us ? changes->period_us : changes->burst_us);
	if (!changes->cpu_permille)
		changes->cpu_permille = now->cpu_permille;
	if (!changes->period_us)
		changes->period_us = now->period_us;
	if (!changes->burst_us && changes->cpu_permille != UINT32_MAX)
		changes->burst_us = now->burst_us;
	if (changes->period_us == UINT32_MAX)
		changes->period_us = 0;
	if (changes->burst_us == UINT32_MAX)
		changes->burst_us = 0;
	return 0;
}

int cgroups_limits(struct cgroup_set *set, struct vr_limits *limits, struct error *e)
{
	int rc = set_is_alive(set, e);

	*limits = (struct vr_limits) { 0 };
	for (unsigned i = 0; rc == 0 && i < set->n; i++) {
		const struct hierarchy *h = set->group[i].hierarchy;

		rc = read_limits(set, h, limits);
		if (rc < 0) {
			free(limits->cpuset);
			limits->cpuset = NULL;
			return fail(e, -rc, "can't read the limits of the control group '%s/%s'", h->path, set->name);
		}
	}
	return rc;
}

int cgroups_update(struct cgroup_set *set, const struct vr_limits *limits, struct error *e)
{
	struct vr_limits now, changes = *limits;
	int rc = cgroups_limits(set, &now, e);

	if (rc < 0)
		return rc;
	free(now.cpuset);
	rc = merge_cpu(&now, &changes, e);
	if (rc == 0)
		rc = limits_check(&changes, e);
	if (rc == 0)
		rc = limits_available(&changes, e);
	return rc == 0 ? change(set, &changes, e) : rc;
}

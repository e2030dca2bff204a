/* SPDX-License-Identifier: MIT */
/* Stopping a VR where it stands, and letting it go on. Whatever goes wrong, nobody is left frozen. */
#include "cgroups/internal.h"

#include <errno.h>

#include "cgroups/cgroups.h"
#include "runtime/error.h"

#define FREEZE_MS 10000
#define THAW_MS 1000

/* Asked for again at every look: v1 forgets about a task that entered while it was at it. */
int freeze_try(struct group *group, int milliseconds)
{
	const struct version *version = group->hierarchy->version;
	struct patience patience;

	patience_start(&patience, milliseconds);
	do {
		int rc = version->freeze(group->dir, true);

		if (rc < 0)
			return rc;
		if (version->freezer_state(group->dir) == FROZEN)
			return 0;
	} while (patience_wait(&patience));
	return -ETIMEDOUT;
}

int thaw_try(struct group *group)
{
	const struct version *version = group->hierarchy->version;
	struct patience patience;
	int rc = version->freeze(group->dir, false);

	patience_start(&patience, THAW_MS);
	while (rc == 0 && version->freezer_state(group->dir) != THAWED)
		if (!patience_wait(&patience))
			rc = -ETIMEDOUT;
	return rc;
}

int cgroups_freeze(struct cgroup_set *set, struct error *e)
{
	struct group *group = group_of(set, FREEZER);
	int rc;

	if (!group)
		return fail(e, ENOTSUP, "can't freeze the control group '%s', this machine has no freezer", set->name);
	rc = freeze_try(group, FREEZE_MS);
	if (rc < 0) {
		thaw_try(group);
		return fail(e, -rc, "can't freeze the control group '%s'", set->name);
	}
	return 0;
}

int cgroups_thaw(struct cgroup_set *set, struct error *e)
{
	struct group *group = group_of(set, FREEZER);
	int rc = group ? thaw_try(group) : 0;

	return rc < 0 ? fail(e, -rc, "can't thaw the control group '%s'", set->name) : 0;
}

bool cgroups_frozen(struct cgroup_set *set)
{
	struct group *group = group_of(set, FREEZER);

	return group && group->hierarchy->version->freezer_state(group->dir) != THAWED;
}

/* SPDX-License-Identifier: MIT */
/* The values of a running group, read and written by libcgroup, which finds the files in any layout. */
#include "cgroups/internal.h"

#include <errno.h>
#include <libcgroup.h>
#include <string.h>

static bool knows_mounts;

void values_forget_mounts(void)
{
	knows_mounts = false;
}

/* libcgroup's codes lie beside errno; the one that says "see errno" keeps it aside. */
static int negative_errno(int code)
{
	switch (code) {
	case 0:
		return 0;
	case ECGOTHER:
		return cgroup_get_last_errno() ? -cgroup_get_last_errno() : -EIO;
	case ECGROUPNOTEXIST:
	case ECGROUPVALUENOTEXIST:
	case ECGROUPSUBSYSNOTMOUNTED:
		return -ENOENT;
	case ECGROUPNOTALLOWED:
	case ECGROUPNOTOWNER:
		return -EPERM;
	case ECGINVAL:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static int learn_mounts(void)
{
	int rc;

	if (knows_mounts)
		return 0;
	rc = negative_errno(cgroup_init());
	knows_mounts = rc == 0;
	return rc;
}

int value_get(const struct cgroup_set *set, enum controller controller, const char *file, char *text, size_t size)
{
	void *handle = NULL;
	int rc = learn_mounts();

	if (rc < 0)
		return rc;
	rc = cgroup_read_value_begin(controller_name(controller), set->name, (char *)file, &handle, text, (int)size);
	if (rc && rc != ECGEOF)
		return negative_errno(rc);
	if (rc == ECGEOF)
		text[0] = '\0';
	cgroup_read_value_end(&handle);
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

int value_set(const struct cgroup_set *set, enum controller controller, const char *file, const char *text)
{
	struct cgroup_controller *subsystem;
	struct cgroup *group;
	int rc = learn_mounts();

	if (rc < 0)
		return rc;
	group = cgroup_new_cgroup(set->name);
	subsystem = group ? cgroup_add_controller(group, controller_name(controller)) : NULL;
	if (!subsystem)
		rc = -ENOMEM;
	if (rc == 0)
		rc = negative_errno(cgroup_add_value_string(subsystem, file, text));
	if (rc == 0)
		rc = negative_errno(cgroup_modify_cgroup(group));
	cgroup_free(&group);
	return rc;
}

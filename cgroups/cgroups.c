/* SPDX-License-Identifier: MIT */
/* The life of a VR's group in all hierarchies: create, open, enter, destroy. */
#include "cgroups/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroups/internal.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"

#define NAME_FIRST "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-"
#define NAME_LATER NAME_FIRST "."

/* Neither "..", nor a slash, nor anything else that leads elsewhere can pass. */
static bool is_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < VR_NAME_MAX && strspn(name, NAME_FIRST) > 0 && strspn(name, NAME_LATER) == length;
}

static int new_set(const char *name, struct cgroup_set **out, struct error *e)
{
	struct cgroup_set *set;

	if (!is_name(name))
		return refuse(e, "control group name '%s': must be [A-Za-z0-9_+-][A-Za-z0-9_+.-]*, shorter than %d", name,
			      VR_NAME_MAX);
	set = calloc(1, sizeof *set);
	if (!set)
		return fail(e, ENOMEM, "control group '%s'", name);
	snprintf(set->name, sizeof set->name, PARENT "/%s", name);
	*out = set;
	return 0;
}

void cgroups_close(struct cgroup_set *set)
{
	if (!set)
		return;
	for (unsigned i = 0; i < set->n; i++)
		group_close(&set->group[i]);
	free(set);
}

/* Undoes a creation: what is in the set was made by it. */
static void abandon(struct cgroup_set **set)
{
	if (!*set)
		return;
	for (unsigned i = (*set)->n; i-- > 0; )
		group_remove(*set, i);
	cgroups_close(*set);
}

int cgroups_create(const char *name, const struct vr_limits *limits, struct cgroup_set **out, struct error *e)
{
	const struct layout *layout = layout_get();
	unsigned need = limits_need(limits), want = ALWAYS | need;
	__attribute__((cleanup(abandon))) struct cgroup_set *set = NULL;
	int rc;

	rc = limits_check(limits, e);
	if (rc == 0)
		rc = limits_available(limits, e);
	if (rc == 0)
		rc = new_set(name, &set, e);
	for (unsigned i = 0; rc == 0 && i < layout->n; i++) {
		const struct hierarchy *h = &layout->hierarchy[i];

		if (!(h->serves & want))
			continue;
		rc = group_make(set, h, e);
		if (rc == 0)
			rc = h->version->prepare(&set->group[set->n - 1], set->name, want & h->serves, need & h->serves, e);
	}
	if (rc < 0)
		return rc;
	if (!set->n)
		return fail(e, ENOTSUP, "control group '%s': no control group file system is mounted", name);
	rc = limits_write(set, limits, e);
	if (rc < 0)
		return rc;
	*out = take_ptr(set);
	return 0;
}

int cgroups_open(const char *name, struct cgroup_set **out, struct error *e)
{
	const struct layout *layout = layout_get();
	struct cgroup_set *set = NULL;
	int rc = new_set(name, &set, e);

	for (unsigned i = 0; rc == 0 && i < layout->n; i++) {
		struct error why = { 0 };

		rc = group_open(set, &layout->hierarchy[i], &why);
		if (rc == -ENOENT)
			rc = 0;        /* a hierarchy that nothing was wanted of */
		else if (rc < 0)
			fail(e, why.code, "can't open control group '%s'", name);
	}
	if (rc == 0 && !set->n)
		rc = fail(e, ENOENT, "no control group '%s'", name);
	if (rc < 0) {
		cgroups_close(set);
		return rc;
	}
	*out = set;
	return 0;
}

int cgroups_clone_fd(const struct cgroup_set *set)
{
	for (unsigned i = 0; i < set->n; i++)
		if (set->group[i].hierarchy->version->layout == LAYOUT_V1)
			return -ENOTSUP;
	return set->group[0].dir;
}

/* By the number of links of its task directory, one a thread beside "." and "..". What can't be seen counts as more. */
static bool has_one_thread(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) == 0 && st.st_nlink == 3;
}

/*
 * A write of another process's pid, or of a whole process, takes the kernel's lock against all forks, which begins by
 * waiting for an RCU grace period unless somebody held it a moment ago: 12 ms (4 to 20) for five hierarchies, measured with
 * pauses of 0.1 s in between. A thread that moves itself needs no such lock: 0.13 ms. The entrance is that way in, on v1.
 * (On v2 it is cgroup.procs, which is always slow: hence cgroups_clone_fd().)
 * Not by cgroup_attach_task_pid(), which opens the files by name: a process in a user namespace may not.
 */
static int move_self(const struct group *group)
{
	return write(group->entrance, "0", 1) < 0 ? -errno : 0;
}

int cgroups_enter(struct cgroup_set *set, pid_t pid, struct error *e)
{
	struct group *freezer = group_of(set, FREEZER);
	bool self = (pid == 0 || pid == getpid()) && has_one_thread();

	/* Who enters a frozen group hangs there until it is thawed. */
	if (freezer && freezer->hierarchy->version->freezer_state(freezer->dir) != THAWED)
		return fail(e, EBUSY, "can't enter the control group '%s', which is frozen", set->name);
	for (unsigned i = 0; i < set->n; i++) {
		const struct group *group = &set->group[i];
		char text[16];
		int rc;

		snprintf(text, sizeof text, "%d", (int)pid);
		rc = self ? move_self(group) : file_write(group->dir, "cgroup.procs", text);
		if (rc < 0)
			return fail(e, -rc, "can't move process %d to the control group '%s/%s'", (int)pid,
				    group->hierarchy->path, set->name);
	}
	return 0;
}

int cgroups_stat(struct cgroup_set *set, struct cgroup_stat *st, struct error *e)
{
	int rc = set_is_alive(set, e);

	*st = (struct cgroup_stat) { 0 };
	for (unsigned i = 0; rc == 0 && i < set->n; i++) {
		const struct hierarchy *h = set->group[i].hierarchy;

		h->version->stat(&set->group[i], h->serves, st);
		if (h->serves & BIT(PIDS))
			st->pids = number_in(set->group[i].dir, "pids.current");
	}
	return rc;
}

int cgroups_destroy(struct cgroup_set *set, struct error *e)
{
	/* The group that decides who is a member goes first: where it is in use, nothing has been removed. */
	struct group *decides = set->n ? group_of_members(set) : NULL;

	while (set->n) {
		unsigned i = decides ? (unsigned)(decides - set->group) : set->n - 1;
		const char *path = set->group[i].hierarchy->path;
		int rc = group_remove(set, i);

		if (rc == -EBUSY)
			return fail(e, EBUSY, "can't remove the control group '%s/%s', there are processes or groups in it", path,
				    set->name);
		if (rc < 0)
			return fail(e, -rc, "can't remove the control group '%s/%s'", path, set->name);
		decides = NULL;
	}
	return 0;
}

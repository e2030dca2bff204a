/* SPDX-License-Identifier: MIT */
/*
 * One group in one hierarchy: its directory and the files in it.
 *
 * Directories are made and removed here and not by libcgroup. cgroup_create_cgroup() takes a group that exists for its own,
 * fails on two new levels at once on v2, and takes 0.45 ms for five controllers (1.2 ms when it is to look after ownership
 * as well) where mkdir takes 0.15; cgroup_delete_cgroup_ext() moves whoever lives there into the parent, out of the limits.
 */
#include "cgroups/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"

#define PARENT_TRIES 100           /* how often another VR's end may take the parent away from under us */
#define REMOVE_MS 5000             /* tasks that have exited are still counted for a moment */

struct group *group_of(const struct cgroup_set *set, enum controller controller)
{
	for (unsigned i = 0; i < set->n; i++)
		if (set->group[i].hierarchy->serves & BIT(controller))
			return (struct group *)&set->group[i];
	return NULL;
}

struct group *group_of_members(const struct cgroup_set *set)
{
	struct group *group = group_of(set, FREEZER);

	return group ? group : (struct group *)&set->group[0];
}

int set_is_alive(const struct cgroup_set *set, struct error *e)
{
	if (!set->n)
		return fail(e, ENOENT, "no control group '%s'", set->name);
	for (unsigned i = 0; i < set->n; i++)
		if (faccessat(set->group[i].dir, "cgroup.procs", F_OK, 0) < 0)
			return fail(e, errno, "no control group '%s/%s'", set->group[i].hierarchy->path, set->name);
	return 0;
}

void group_close(struct group *group)
{
	if (group->dir >= 0)
		close(group->dir);
	if (group->entrance >= 0)
		close(group->entrance);
	group->dir = group->entrance = -1;
}

int group_open(struct cgroup_set *set, const struct hierarchy *hierarchy, struct error *e)
{
	struct group *group = &set->group[set->n];
	auto_close int dir = openat(hierarchy->fd, set->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int entrance = -1;

	/* A name like "tasks" is one of the parent's files. */
	if (dir < 0 && errno == ENOTDIR)
		errno = ENOENT;
	if (dir < 0)
		return fail(e, errno, "can't open the control group '%s/%s'", hierarchy->path, set->name);
	entrance = openat(dir, hierarchy->version->entrance, O_WRONLY | O_CLOEXEC);
	if (entrance < 0)
		return fail(e, errno, "can't open '%s/%s/%s'", hierarchy->path, set->name, hierarchy->version->entrance);
	*group = (struct group) { .hierarchy = hierarchy, .dir = take_fd(&dir), .entrance = take_fd(&entrance) };
	set->n++;
	return 0;
}

static void remove_parent(const struct hierarchy *hierarchy)
{
	/* Other VRs' groups keep it; so does one that is just being made, or it is made again. */
	unlinkat(hierarchy->fd, PARENT, AT_REMOVEDIR);
}

/* mkdir -p PARENT/NAME. The last VR's end may remove the parent between the two: then both once more. */
static int make_directories(const struct hierarchy *hierarchy, const char *name)
{
	for (int i = 0; i < PARENT_TRIES; i++) {
		if (mkdirat(hierarchy->fd, PARENT, 0755) < 0 && errno != EEXIST)
			return -errno;
		if (mkdirat(hierarchy->fd, name, 0755) == 0)
			return 0;
		if (errno != ENOENT && errno != ENODEV) {
			int err = errno;

			remove_parent(hierarchy);
			return -err;
		}
	}
	return -EAGAIN;
}

int group_make(struct cgroup_set *set, const struct hierarchy *hierarchy, struct error *e)
{
	int rc = make_directories(hierarchy, set->name);

	if (rc < 0)
		return fail(e, -rc, "can't make the control group '%s/%s'", hierarchy->path, set->name);
	rc = group_open(set, hierarchy, e);
	if (rc < 0) {
		unlinkat(hierarchy->fd, set->name, AT_REMOVEDIR);
		remove_parent(hierarchy);
	}
	return rc;
}

static bool has_members(const struct group *group)
{
	struct members members;
	bool some;

	if (members_read(group, &members) < 0)
		return false;
	some = members.n > 0;
	members_release(&members);
	return some;
}

int group_remove(struct cgroup_set *set, unsigned index)
{
	struct group *group = &set->group[index];
	const struct hierarchy *hierarchy = group->hierarchy;
	struct patience patience;

	patience_start(&patience, REMOVE_MS);
	while (unlinkat(hierarchy->fd, set->name, AT_REMOVEDIR) < 0) {
		if (errno == ENOENT)
			break;
		if (errno != EBUSY && errno != ENOTEMPTY)
			return -errno;
		if (has_members(group) || !patience_wait(&patience))
			return -EBUSY;
	}
	remove_parent(hierarchy);
	group_close(group);
	set->n--;
	memmove(group, group + 1, (set->n - index) * sizeof *group);
	return 0;
}

int file_read(int dir, const char *file, char *text, size_t size)
{
	auto_close int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	size_t used = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, text + used, size - used);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
		if (used == size)
			return -E2BIG;
	}
	while (used && (text[used - 1] == '\n' || text[used - 1] == ' '))
		used--;
	text[used] = '\0';
	return 0;
}

int file_write(int dir, const char *file, const char *text)
{
	auto_close int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

uint64_t number_in(int dir, const char *file)
{
	char text[64];

	return file_read(dir, file, text, sizeof text) == 0 ? strtoull(text, NULL, 10) : 0;
}

uint64_t stat_value(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, length) && line[length] == ' ')
			return strtoull(line + length, NULL, 10);
	}
	return 0;
}

void patience_start(struct patience *p, int milliseconds)
{
	clock_gettime(CLOCK_MONOTONIC, &p->deadline);
	p->deadline.tv_sec += milliseconds / 1000;
	p->deadline.tv_nsec += milliseconds % 1000 * 1000000L;
	if (p->deadline.tv_nsec >= 1000000000L) {
		p->deadline.tv_sec++;
		p->deadline.tv_nsec -= 1000000000L;
	}
	p->pause_ns = 50000;
}

bool patience_wait(struct patience *p)
{
	struct timespec now, pause = { .tv_nsec = p->pause_ns };

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > p->deadline.tv_sec || (now.tv_sec == p->deadline.tv_sec && now.tv_nsec >= p->deadline.tv_nsec))
		return false;
	nanosleep(&pause, NULL);
	if (p->pause_ns < 5000000)
		p->pause_ns *= 2;
	return true;
}

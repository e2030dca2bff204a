/* SPDX-License-Identifier: MIT */
/* Who is in a group: listed, moved, signalled, killed to the last. */
#include "cgroups/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "cgroups/cgroups.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"

#define BATCH 128                  /* processes held by a pidfd at once */
#define KILL_MS 30000              /* one that doesn't die for so long waits for hardware */
#define KILL_FREEZE_MS 50          /* a pass; one that can't be frozen is killed all the same */

static int by_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

int members_read(const struct group *group, struct members *members)
{
	auto_fclose FILE *file = NULL;
	auto_free pid_t *pid = NULL;
	auto_close int fd = openat(group->dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	size_t n = 0, room = 0;
	int next;

	*members = (struct members) { 0 };
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "r");
	if (!file)
		return -errno;
	take_fd(&fd);
	while (fscanf(file, "%d", &next) == 1) {
		if (n == room) {
			pid_t *more = reallocarray(pid, room ? room * 2 : 64, sizeof *pid);

			if (!more)
				return -ENOMEM;
			pid = more;
			room = room ? room * 2 : 64;
		}
		if (next > 0)          /* 0 is somebody outside of our pid namespace */
			pid[n++] = next;
	}
	if (ferror(file))
		return -EIO;
	if (n)
		qsort(pid, n, sizeof *pid, by_pid);
	members->pid = take_ptr(pid);
	members->n = n;
	return 0;
}

void members_release(struct members *members)
{
	free(members->pid);
	*members = (struct members) { 0 };
}

bool members_have(const struct members *members, pid_t pid)
{
	return members->n && bsearch(&pid, members->pid, members->n, sizeof pid, by_pid);
}

int members_move(int dir, pid_t pid)
{
	char text[16];
	int rc;

	snprintf(text, sizeof text, "%d", (int)pid);
	rc = file_write(dir, "cgroup.procs", text);
	return rc == -ESRCH ? 0 : rc;
}

/*
 * A number may change hands between cgroup.procs and the signal. So each process is held by a pidfd first, and the list read
 * again after that: a number that is still on it either is the process that is held, or that one is dead and the signal
 * reaches nobody.
 */
static int signal_batch(const struct group *group, const pid_t *pid, size_t n, int sig)
{
	struct members still;
	int held[BATCH], rc;
	size_t i;

	for (i = 0; i < n; i++) {
		held[i] = (int)syscall(SYS_pidfd_open, pid[i], 0);
		if (held[i] < 0)
			held[i] = -errno;
	}
	rc = members_read(group, &still);
	for (i = 0; i < n; i++) {
		if (rc == 0 && members_have(&still, pid[i])) {
			if (held[i] >= 0)
				syscall(SYS_pidfd_send_signal, held[i], sig, NULL, 0);
			else if (held[i] != -ESRCH)
				kill(pid[i], sig);     /* no pidfds here, or no more */
		}
		if (held[i] >= 0)
			close(held[i]);
	}
	members_release(&still);
	return rc;
}

static int signal_members(const struct group *group, int sig)
{
	struct members members;
	int rc = members_read(group, &members);

	for (size_t i = 0; rc == 0 && i < members.n; i += BATCH)
		rc = signal_batch(group, members.pid + i, members.n - i < BATCH ? members.n - i : BATCH, sig);
	members_release(&members);
	return rc;
}

int cgroups_signal(struct cgroup_set *set, int sig, struct error *e)
{
	int rc = set->n ? signal_members(group_of_members(set), sig) : 0;

	return rc < 0 ? fail(e, -rc, "can't send signal %d to the control group '%s'", sig, set->name) : 0;
}

/* In all hierarchies: a process that was killed while it entered is in some of them only. */
static int count_members(const struct cgroup_set *set, size_t *n, pid_t *first)
{
	*n = 0;
	for (unsigned i = 0; i < set->n; i++) {
		struct members members;
		int rc = members_read(&set->group[i], &members);

		if (rc == -ENOENT || rc == -ENODEV)
			continue;      /* the group is gone */
		if (rc < 0)
			return rc;
		if (members.n > *n) {
			*n = members.n;
			*first = members.pid[0];
		}
		members_release(&members);
	}
	return 0;
}

/*
 * The kernel does it at once, where it can. Elsewhere the group is frozen first, so that nobody forks while the list is
 * worked off; the killed die when it is thawed.
 */
static void kill_pass(struct cgroup_set *set)
{
	struct group *decides = group_of_members(set);

	if (decides->hierarchy->version->kill(decides->dir) < 0) {
		freeze_try(decides, KILL_FREEZE_MS);
		signal_members(decides, SIGKILL);
	}
	for (unsigned i = 0; i < set->n; i++)
		if (&set->group[i] != decides)
			signal_members(&set->group[i], SIGKILL);
	thaw_try(decides);
}

int cgroups_kill(struct cgroup_set *set, struct error *e)
{
	struct patience patience;
	size_t n = 0;
	pid_t first = 0;
	int rc;

	patience_start(&patience, KILL_MS);
	for (;;) {
		rc = count_members(set, &n, &first);
		if (rc < 0)
			return fail(e, -rc, "can't see who is in the control group '%s'", set->name);
		if (!n)
			return 0;
		kill_pass(set);
		if (!patience_wait(&patience))
			return fail(e, ETIMEDOUT, "%zu processes of the control group '%s' don't die, the first is %d", n,
				    set->name, (int)first);
	}
}

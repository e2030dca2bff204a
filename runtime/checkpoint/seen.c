/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/state.h"

#define DIRECTORY "/.restored"
#define DONE      "done\n"

static int path_of(const char *id, char path[PATH_MAX], struct error *e)
{
	int err = state_run_dir(path, PATH_MAX - 128, e);

	if (err)
		return err;
	strcat(path, DIRECTORY);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fail(e, errno, "cannot make \"%s\"", path);
	sprintf(path + strlen(path), "/%s", id);
	return 0;
}

/* Locked; who released it meanwhile has unlinked it, and then it is another one. */
static int open_locked(const char *path, struct error *e)
{
	for (int tries = 0; tries < 100; tries++) {
		auto_close int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		struct stat st;

		if (fd < 0)
			return fail(e, errno, "cannot open \"%s\"", path);
		while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
			;
		if (fstat(fd, &st) == 0 && st.st_nlink)
			return take_fd(&fd);
	}
	return fail(e, EBUSY, "cannot lock \"%s\"", path);
}

static bool is_taken(int fd)
{
	struct process_id owner = { 0 }, now;
	char text[64] = "";
	long long start;

	if (pread(fd, text, sizeof text - 1, 0) <= 0)
		return false;
	if (strcmp(text, DONE) == 0)
		return true;
	if (sscanf(text, "%d %lld", &owner.pid, &start) != 2)
		return false;
	return owner.pid != getpid() && process_identify(owner.pid, &now) == 0 && now.start_time == (uint64_t)start;
}

static int write_text(int fd, const char *text, const char *path, struct error *e)
{
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text))
		return fail(e, errno ? errno : EIO, "cannot write \"%s\"", path);
	return 0;
}

int seen_claim(const char *id, bool *first, struct error *e)
{
	struct process_id me;
	char path[PATH_MAX], text[64];
	auto_close int fd = -1;
	int err = path_of(id, path, e);

	if (err)
		return err;
	fd = open_locked(path, e);
	if (fd < 0)
		return fd;
	*first = !is_taken(fd);
	if (!*first)
		return 0;
	if (process_identify(getpid(), &me) < 0)
		return fail(e, errno, "the supervisor's start time");
	snprintf(text, sizeof text, "%d %lld\n", me.pid, (long long)me.start_time);
	return write_text(fd, text, path, e);
}

int seen_settle(const char *id, struct error *e)
{
	char path[PATH_MAX];
	auto_close int fd = -1;
	int err = path_of(id, path, e);

	if (err)
		return err;
	fd = open_locked(path, e);
	return fd < 0 ? fd : write_text(fd, DONE, path, e);
}

void seen_release(const char *id)
{
	struct error ignored = { 0 };
	char path[PATH_MAX];

	if (path_of(id, path, &ignored) == 0)
		unlink(path);
}

/* SPDX-License-Identifier: MIT */
#include "runtime/logtimes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/cleanup.h"

#define SOON_NS 1000000        /* what comes so soon after something else came with it */

static void name_of(const char *log, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s.times", log);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static uint64_t inode_of(int log)
{
	struct stat st;

	return fstat(log, &st) == 0 ? st.st_ino : 0;
}

/* ---- the supervisor's ---- */

static bool put(const struct logtimes *times, uint64_t offset, int64_t ns)
{
	const struct logtimes_record record = { offset, ns };

	return write(times->fd, &record, sizeof record) == sizeof record;
}

void logtimes_begin(struct logtimes *times, const char *path, int log)
{
	char name[PATH_MAX];

	logtimes_close(times);
	logtimes_remove(path);
	name_of(path, name);
	times->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (times->fd >= 0 && !put(times, inode_of(log), 0)) {
		logtimes_close(times);
		logtimes_remove(path);
	}
}

void logtimes_note(struct logtimes *times, uint64_t offset)
{
	int64_t now = times->fd < 0 ? 0 : now_ns();

	/* A clock that was set back says so in the log, too. */
	if (times->fd < 0 || (times->records && now >= times->last_ns && now - times->last_ns < SOON_NS))
		return;
	if (!put(times, offset, now))
		return;
	times->records++;
	times->last_ns = now;
}

void logtimes_close(struct logtimes *times)
{
	close_fd(&times->fd);
	times->records = 0;
}

void logtimes_remove(const char *path)
{
	char name[PATH_MAX];

	name_of(path, name);
	unlink(name);
}

/* ---- europa-logs' ---- */

static bool get(int fd, unsigned n, struct logtimes_record *record)
{
	return pread(fd, record, sizeof *record, (off_t)(n * sizeof *record)) == sizeof *record;
}

int logtimes_open(struct logtimes_reader *reader, const char *path, int log)
{
	struct logtimes_record first;
	char name[PATH_MAX];
	auto_close int fd = -1;

	name_of(path, name);
	fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!get(fd, 0, &first) || first.offset != inode_of(log))
		return -ESTALE;
	close_fd(&reader->fd);
	*reader = (struct logtimes_reader){ .fd = take_fd(&fd), .next = 1 };
	return 0;
}

int64_t logtimes_at(struct logtimes_reader *reader, uint64_t offset)
{
	struct logtimes_record record;

	while (get(reader->fd, reader->next, &record) && record.offset <= offset) {
		reader->ns = record.ns;
		reader->next++;
	}
	return reader->ns;
}

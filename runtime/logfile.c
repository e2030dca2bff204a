/* SPDX-License-Identifier: MIT */
#include "runtime/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"

static int create(const char *path)
{
	/* A new file each time: nobody's link, and whoever reads the old one goes on reading it. */
	if (unlink(path) && errno != ENOENT)
		return -1;
	return open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void older(const struct logfile *log, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s.1", log->path);
}

int logfile_open(struct logfile *log, const char *path, struct error *e)
{
	char before[PATH_MAX];

	*log = (struct logfile)LOGFILE_NONE;
	log->path = strdup(path);
	if (!log->path)
		return fail(e, ENOMEM, "log \"%s\"", path);
	if (strlen(path) >= PATH_MAX - sizeof ".times")
		return fail(e, ENAMETOOLONG, "log \"%s\"", path);
	older(log, before);
	unlink(before);
	log->fd = create(path);
	if (log->fd < 0)
		return fail(e, errno, "log \"%s\"", path);
	logtimes_begin(&log->times, path, log->fd);
	return 0;
}

static void rotate(struct logfile *log)
{
	char before[PATH_MAX];
	int fd;

	older(log, before);
	if (rename(log->path, before))
		return;
	fd = create(log->path);
	if (fd < 0)
		return;
	close(log->fd);
	log->fd = fd;
	log->size = 0;
	logtimes_begin(&log->times, log->path, fd);
}

void logfile_write(struct logfile *log, const char *text, size_t length)
{
	while (length && log->fd >= 0) {
		size_t room = log->size < LOGFILE_SIZE && !logtimes_full(&log->times) ? LOGFILE_SIZE - log->size : 0;
		ssize_t put;

		if (!room) {
			rotate(log);
			if (log->size)
				return;         /* there is no new file, and the old one is full */
			continue;
		}
		logtimes_note(&log->times, log->size);
		put = write(log->fd, text, length < room ? length : room);
		if (put <= 0)
			return;
		log->size += (size_t)put;
		text += put;
		length -= (size_t)put;
	}
}

void logfile_close(struct logfile *log)
{
	close_fd(&log->fd);
	logtimes_close(&log->times);
	free(log->path);
	*log = (struct logfile)LOGFILE_NONE;
}

void logfile_remove(struct logfile *log)
{
	char before[PATH_MAX];

	if (log->path) {
		older(log, before);
		unlink(log->path);
		unlink(before);
		logtimes_remove(log->path);
	}
	logfile_close(log);
}

/* SPDX-License-Identifier: MIT */
/* What a detached VR prints, kept in two files of limited size: PATH, and PATH.1 with what was before it; and when, for PATH alone. */
#ifndef EUROPA_LOGFILE_H
#define EUROPA_LOGFILE_H

#include <stddef.h>

#include "runtime/logtimes.h"

struct error;

#define LOGFILE_SIZE (1 << 20)

struct logfile {
	char *path;
	int fd;
	size_t size;
	struct logtimes times;
};
#define LOGFILE_NONE { .fd = -1, .times = LOGTIMES_NONE }

int logfile_open(struct logfile *log, const char *path, struct error *e);
/* A log that can't be written loses what was to be written, and its VR nothing. */
void logfile_write(struct logfile *log, const char *text, size_t length);
void logfile_close(struct logfile *log);
/* Closes it and removes its files. */
void logfile_remove(struct logfile *log);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * When what is in a log was printed, in a file beside it, PATH.times: the log itself stays what the data plane wrote. A record says from which
 * byte on a time holds; the first one says of which log the file is, for a log is put aside while it is read.
 */
#ifndef EUROPA_LOGTIMES_H
#define EUROPA_LOGTIMES_H

#include <stdbool.h>
#include <stdint.h>

#define LOGTIMES_MOST 65536u       /* records: then the log counts as full */

struct logtimes_record {
	uint64_t offset;           /* the first one's: the log's inode */
	int64_t ns;                /* CLOCK_REALTIME */
};

/* ---- the supervisor's ---- */

struct logtimes {
	int fd;                    /* -1: there are none */
	unsigned records;
	int64_t last_ns;
};
#define LOGTIMES_NONE { .fd = -1 }

/* For the log that is open as `log` and has the path `path`. Without memory or room there are no times. */
void logtimes_begin(struct logtimes *times, const char *path, int log);
/* What is about to be written at that offset was printed now. */
void logtimes_note(struct logtimes *times, uint64_t offset);
static inline bool logtimes_full(const struct logtimes *times)
{
	return times->records >= LOGTIMES_MOST;
}
void logtimes_close(struct logtimes *times);
void logtimes_remove(const char *path);

/* ---- europa-logs' ---- */

struct logtimes_reader {
	int fd;
	unsigned next;             /* record that is to be looked at */
	int64_t ns;
};

/* -ENOENT: there are none, -ESTALE: they are of another log, which has the path now. */
int logtimes_open(struct logtimes_reader *reader, const char *path, int log);
/* Offsets are asked for in their order. */
int64_t logtimes_at(struct logtimes_reader *reader, uint64_t offset);

#endif

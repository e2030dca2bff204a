/* SPDX-License-Identifier: MIT */
/* europa-logs: what the data plane of a detached VR has printed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/command.h"
#include "runtime/error.h"
#include "runtime/logtimes.h"
#include "runtime/quantity.h"
#include "runtime/state.h"

enum { OPTION_TAIL = OPTION_LONG };

const struct command_option logs_options[] = {
	{ 'f', "follow", NULL, "go on until the virtual router ends", NULL },
	{ 't', "timestamps", NULL, "say before each line when it was printed", NULL },
	{ OPTION_TAIL, "tail", "LINES", "only the last lines", NULL },
	OPTIONS_END
};

#define FOLLOW_MS 100
#define OPEN_TRIES 100     /* 1 ms apart */
#define EVERYTHING UINT64_MAX

struct request {
	const char *name;
	bool follow, timestamps;
	uint64_t tail;
};

struct shown {
	const char *path;
	int fd;
	uint64_t at;                       /* offset of what is shown next */
	bool timestamps, in_line;
	struct logtimes_reader times;
};

/* A terminal obeys escape sequences, and these are a stranger's: there, what doesn't print is shown as \xNN. */
static int print_safely(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\n' || c == '\t' || (c >= ' ' && c != 0x7f))
			putchar(c);
		else
			printf("\\x%02x", c);
	}
	return ferror(stdout) ? -EIO : 0;
}

static int print(const char *text, size_t length)
{
	if (isatty(STDOUT_FILENO))
		return print_safely(text, length);
	return fwrite(text, 1, length, stdout) == length ? 0 : -EIO;
}

/* RFC 3339, in UTC: the same wherever it is looked at. */
static int print_time(int64_t ns)
{
	time_t seconds = ns / 1000000000;
	char text[32];
	struct tm utc;

	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &utc));
	return printf("%s.%09dZ ", text, (int)(ns % 1000000000)) < 0 ? -EIO : 0;
}

static size_t line_length(const char *text, size_t length)
{
	const char *newline = memchr(text, '\n', length);

	return newline ? (size_t)(newline - text) + 1 : length;
}

static int print_lines(struct shown *s, const char *text, size_t length)
{
	int err = 0;

	while (length && !err) {
		size_t n = line_length(text, length);

		if (!s->in_line)
			err = print_time(logtimes_at(&s->times, s->at));
		err = err ?: print(text, n);
		s->in_line = text[n - 1] != '\n';
		s->at += n;
		text += n;
		length -= n;
	}
	return err;
}

/* All that is there from the file's position on. */
static int print_rest(struct shown *s)
{
	char buf[16384];
	ssize_t got;
	int err = 0;

	while (!err && (got = read(s->fd, buf, sizeof buf)) != 0) {
		if (got < 0)
			return -errno;
		err = s->timestamps ? print_lines(s, buf, (size_t)got) : print(buf, (size_t)got);
	}
	return err ? err : fflush(stdout) ? -errno : 0;
}

/* Where the last `lines` lines begin, looked for from the end. */
static off_t tail_offset(int fd, uint64_t lines)
{
	char buf[16384];
	off_t end = lseek(fd, 0, SEEK_END), at = end;

	while (at > 0) {
		size_t want = at < (off_t)sizeof buf ? (size_t)at : sizeof buf;
		ssize_t got = pread(fd, buf, want, at - (off_t)want);

		if (got != (ssize_t)want)
			return 0;
		at -= got;
		for (size_t i = want; i-- > 0; ) {
			/* The newline that ends the file ends a line, it doesn't begin one. */
			if (buf[i] != '\n' || at + (off_t)i == end - 1)
				continue;
			if (lines-- <= 1)
				return at + (off_t)i + 1;
		}
	}
	return 0;
}

static int open_log(const char *path, struct error *e)
{
	auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return fail(e, errno, "cannot open the log \"%s\"", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return refuse(e, "log \"%s\": expected a regular file", path);
	return take_fd(&fd);
}

/* The log as it is now; where it is being put aside, the times may not be its own for a moment. */
static int open_shown(struct shown *s, struct error *e)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int err = -ESTALE;

	for (unsigned tries = 0; err == -ESTALE && tries < OPEN_TRIES; tries++) {
		int fd = open_log(s->path, e);

		if (fd < 0)
			return fd;
		close_fd(&s->fd);
		s->fd = fd;
		s->at = 0;
		err = s->timestamps ? logtimes_open(&s->times, s->path, fd) : 0;
		if (err == -ESTALE)
			nanosleep(&moment, NULL);
	}
	return err ? refuse(e, "of the log \"%s\" it is not known when what was printed", s->path) : 0;
}

/* The log was put aside as log.1, and another one has its name now. */
static bool was_replaced(int fd, const char *path)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && lstat(path, &there) == 0 &&
	       (mine.st_ino != there.st_ino || mine.st_dev != there.st_dev);
}

static bool is_live(const char *name, int64_t created_ns)
{
	struct error ignored = { 0 };
	struct vr_state state;
	bool live;

	if (state_read(name, &state, &ignored) < 0)
		return false;
	live = state_is_live(&state) && state.created_ns == created_ns;
	state_release(&state);
	return live;
}

static int follow(struct shown *s, const struct vr_state *state, struct error *e)
{
	const struct timespec pause = { .tv_nsec = FOLLOW_MS * 1000000 };
	bool live = true;
	int err = 0;

	while (!err) {
		/* Asked first: what was printed up to the end is read after it. */
		live = is_live(state->name, state->created_ns);
		err = print_rest(s);
		if (!err && was_replaced(s->fd, s->path)) {
			err = print_rest(s) ?: open_shown(s, e);
			continue;
		}
		if (!live)
			break;
		nanosleep(&pause, NULL);
	}
	return err;
}

static int show_from(struct shown *s, const struct request *r, const struct vr_state *state, struct error *e)
{
	int err = open_shown(s, e);

	if (err)
		return err;
	if (r->tail != EVERYTHING)
		s->at = (uint64_t)lseek(s->fd, r->tail ? tail_offset(s->fd, r->tail) : 0, r->tail ? SEEK_SET : SEEK_END);
	err = r->follow ? follow(s, state, e) : print_rest(s);
	return err ? fail(e, -err, "cannot show the log \"%s\"", s->path) : 0;
}

static int show(const struct request *r, const struct vr_state *state, struct error *e)
{
	struct shown s = { .path = state->log, .fd = -1, .timestamps = r->timestamps, .times.fd = -1 };
	int err;

	if (!state->log)
		return refuse(e, "virtual router \"%s\" has no log: it was started in the foreground", r->name);
	err = show_from(&s, r, state, e);
	close_fd(&s.fd);
	close_fd(&s.times.fd);
	return err;
}

static int parse(struct request *r, int argc, char **argv, struct error *e)
{
	struct arguments a = ARGUMENTS(argc, argv, logs_options);
	int key;

	while ((key = arguments_next(&a, e)) > 0)
		switch (key) {
		case 'f':
			r->follow = true;
			break;
		case 't':
			r->timestamps = true;
			break;
		case OPTION_TAIL:
			if (strcmp(a.value, "all") == 0)
				r->tail = EVERYTHING;
			else if (!quantity_number(a.value, 0, UINT32_MAX, &r->tail))
				return arguments_expected(&a, e, "a number of lines, or all");
			break;
		case ARGUMENT_OPERAND:
			if (r->name)
				return arguments_unexpected(&a, e);
			r->name = a.value;
			break;
		}
	if (key < 0)
		return key;
	return r->name ? 0 : refuse(e, "expected the name of a virtual router (europa-ps -a lists them)");
}

int cmd_logs(int argc, char **argv)
{
	struct request r = { .tail = EVERYTHING };
	struct error e = { 0 };
	struct vr_state state = { 0 };
	int err = parse(&r, argc, argv, &e);

	if (!err)
		err = state_read(r.name, &state, &e);
	if (!err)
		err = show(&r, &state, &e);
	state_release(&state);
	return err ? command_failed("logs", &e, 1) : 0;
}

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
#include "runtime/quantity.h"
#include "runtime/state.h"

enum { OPTION_TAIL = OPTION_LONG };

const struct command_option logs_options[] = {
	{ 'f', "follow", NULL, "go on until the virtual router ends", NULL },
	{ OPTION_TAIL, "tail", "LINES", "only the last lines", NULL },
	OPTIONS_END
};

#define FOLLOW_MS 100
#define EVERYTHING UINT64_MAX

struct request {
	const char *name;
	bool follow;
	uint64_t tail;
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

/* All that is there from the file's position on. */
static int print_rest(int fd)
{
	char buf[16384];
	ssize_t got;
	int err = 0;

	while (!err && (got = read(fd, buf, sizeof buf)) != 0) {
		if (got < 0)
			return -errno;
		err = print(buf, (size_t)got);
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

static int follow(int *fd, const struct vr_state *state, struct error *e)
{
	const struct timespec pause = { .tv_nsec = FOLLOW_MS * 1000000 };
	bool live = true;
	int err = 0, next;

	while (!err) {
		/* Asked first: what was printed up to the end is read after it. */
		live = is_live(state->name, state->created_ns);
		err = print_rest(*fd);
		if (!err && was_replaced(*fd, state->log)) {
			err = print_rest(*fd);
			next = open_log(state->log, e);
			if (next < 0)
				return next;
			close(*fd);
			*fd = next;
			continue;
		}
		if (!live)
			break;
		nanosleep(&pause, NULL);
	}
	return err;
}

static int show(const struct request *r, const struct vr_state *state, struct error *e)
{
	auto_close int fd = -1;
	int err;

	if (!state->log)
		return refuse(e, "virtual router \"%s\" has no log: it was started in the foreground", r->name);
	fd = open_log(state->log, e);
	if (fd < 0)
		return fd;
	if (r->tail != EVERYTHING)
		lseek(fd, r->tail ? tail_offset(fd, r->tail) : 0, r->tail ? SEEK_SET : SEEK_END);
	err = r->follow ? follow(&fd, state, e) : print_rest(fd);
	return err ? fail(e, -err, "cannot show the log \"%s\"", state->log) : 0;
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

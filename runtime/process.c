/* SPDX-License-Identifier: MIT */
/* Processes that can't be mistaken for others: a pid counts only together with its start time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/state.h"

/* /proc/PID/stat is "PID (COMM) STATE ..."; COMM may hold blanks and parentheses, so the last ")" is the one that counts. */
static int parse_stat(const char *text, struct process_id *id)
{
	const char *p = strrchr(text, ')');
	unsigned long long start;
	char run_state;

	/* Fields 3 and 22 of proc(5). */
	if (!p || sscanf(p + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
			 &run_state, &start) != 2)
		return -ESRCH;
	/* A zombie waits for its parent only: to us it is gone. */
	if (run_state == 'Z' || run_state == 'X' || run_state == 'x')
		return -ESRCH;
	id->start_time = start;
	return 0;
}

int process_identify(pid_t pid, struct process_id *id)
{
	char path[40], text[1024];
	auto_close int fd = -1;
	ssize_t got;

	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	got = read(fd, text, sizeof text - 1);
	if (got <= 0)
		return -ESRCH;
	text[got] = '\0';
	id->pid = pid;
	return parse_stat(text, id);
}

int process_open(const struct process_id *id)
{
	struct process_id now;
	auto_close int fd = -1;

	if (id->pid <= 0)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, id->pid, 0);
	if (fd < 0)
		return errno == EINVAL ? -ESRCH : -errno;
	/* Only now: the process that is wanted still has the number, so it had it when the pidfd was opened as well. */
	if (process_identify(id->pid, &now) < 0 || now.start_time != id->start_time)
		return -ESRCH;
	return take_fd(&fd);
}

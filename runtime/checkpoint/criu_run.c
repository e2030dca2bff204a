/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/criu_run.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/state.h"

#define SAFE_FD  300
#define OWN_PID  30000            /* of criu in the VR: the low ones are those that it restores */
#define LOG_MOST (8 << 20)        /* a criu that writes more than that doesn't come to an end */
#define FAILED   119              /* what is said about it is in the log */

/* ---- the child ---- */

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	dprintf(CRIU_LOG_FD, "Error (europa): %s\n", text);
	_exit(FAILED);
}

static int open_namespace(pid_t pid, const char *name)
{
	char path[48];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		give_up("%s: %s", path, strerror(errno));
	return fd;
}

static void place(int fd, int where)
{
	if (dup2(fd, where) < 0)
		give_up("descriptor %d: %s", where, strerror(errno));
}

/* All of it is out of the way first: a place may be taken by what is to stand at another. */
static void place_all(const struct criu_call *call, int log)
{
	static const char *const names[CRIU_NAMESPACES] = { "mnt", "net", "ipc", "uts", "cgroup", "time" };
	int fds[16], images, namespaces[CRIU_NAMESPACES];

	place(fcntl(log, F_DUPFD_CLOEXEC, SAFE_FD), CRIU_LOG_FD);
	images = fcntl(call->images, F_DUPFD_CLOEXEC, SAFE_FD);
	for (unsigned i = 0; i < call->nfds; i++)
		fds[i] = fcntl(call->fds[i], F_DUPFD_CLOEXEC, SAFE_FD);
	for (unsigned i = 0; i < CRIU_NAMESPACES; i++)
		namespaces[i] = fcntl(open_namespace(i == CRIU_NAMESPACES - 1 ? call->time : call->init, names[i]), F_DUPFD_CLOEXEC, SAFE_FD);
	place(images, CRIU_IMAGES_FD);
	for (unsigned i = 0; i < CRIU_NAMESPACES; i++)
		place(namespaces[i], CRIU_NAMESPACE_FD + (int)i);
	for (unsigned i = 0; i < call->nfds; i++)
		place(fds[i], CRIU_INHERIT_FD + (int)i);
}

__attribute__((noreturn)) static void execute(const struct criu_call *call)
{
	char *argv[CRIU_ARGS + 1] = { (char *)"criu" };
	sigset_t none;

	for (unsigned i = 0; call->args[i]; i++)
		argv[1 + i] = (char *)call->args[i];
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Its log is a file; but what it says before it has opened that comes here as well. */
	place(open("/dev/null", O_RDWR | O_CLOEXEC), 0);
	place(CRIU_LOG_FD, 1);
	place(CRIU_LOG_FD, 2);
	execvp("criu", argv);
	give_up("can't execute criu: %s", strerror(errno));
}

/* A /proc that knows its numbers, for what criu opens there before it enters the mount namespace. */
static void own_proc(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL))
		give_up("can't mount /proc: %s", strerror(errno));
}

/* In the VR's pid namespace there is a process between: only a child is born there. */
__attribute__((noreturn)) static void enter_pids(const struct criu_call *call)
{
	pid_t own[] = { OWN_PID }, pid;
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)own, .set_tid_size = 1 };
	int status;

	if (setns(open_namespace(call->init, "pid"), 0))
		give_up("can't enter the pid namespace: %s", strerror(errno));
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid < 0)
		give_up("clone3: %s", strerror(errno));
	if (pid == 0) {
		if (call->timeout_ms)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		setsid();
		own_proc();
		execute(call);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

__attribute__((noreturn)) static void child(const struct criu_call *call, int log)
{
	struct error e = { 0 };

	if (!call->init) {
		place(fcntl(log, F_DUPFD_CLOEXEC, SAFE_FD), CRIU_LOG_FD);
		execute(call);
	}
	place_all(call, log);
	if (call->cgroup && cgroups_enter(call->cgroup, 0, &e))
		give_up("%s", e.text);
	enter_pids(call);
}

/* ---- the parent ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static bool has_run_away(int log)
{
	struct stat st;

	return fstat(log, &st) == 0 && st.st_size > LOG_MOST;
}

/* Its exit status; 128 + SIGKILL: it had to be ended. */
static int await(pid_t pid, int log, unsigned timeout_ms)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int64_t deadline = now_ms() + timeout_ms;
	bool ended = false;
	int status;

	while (waitpid(pid, &status, ended ? 0 : WNOHANG) != pid) {
		if (!ended && timeout_ms && (now_ms() > deadline || has_run_away(log))) {
			kill(pid, SIGKILL);
			ended = true;
		}
		nanosleep(&moment, NULL);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *read_log(int log, size_t *length)
{
	char *text = malloc(LOG_MOST + 1);
	ssize_t n = text ? pread(log, text, LOG_MOST, 0) : -1;

	if (n < 0) {
		free(text);
		return NULL;
	}
	*length = (size_t)n;
	text[n] = '\0';
	return text;
}

/* Not those that say only that it failed, nor those of what it merely tries. */
static bool is_telling(const char *line)
{
	return strstr(line, "Error (") && !strstr(line, "FAILED") && !strstr(line, "exited, status=") && !strstr(line, "killed by signal") &&
	       !strstr(line, "Unable to open stats-");
}

static void last_error(char *text, char to[300])
{
	char *save = NULL;

	strcpy(to, "it doesn't say why");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (is_telling(line))
			snprintf(to, 300, "%s", strstr(line, "Error ("));
	for (char *c = to; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

static void keep_log(const char *name, const char *verb, const char *text, size_t length, char path[PATH_MAX])
{
	struct error ignored = { 0 };
	auto_close int fd = -1;

	*path = '\0';
	if (!name || state_run_dir(path, PATH_MAX - 200, &ignored))
		return;
	strcat(path, "/.criu");
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return;
	sprintf(path + strlen(path), "/%s.%s.log", name, verb);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, length) != (ssize_t)length)
		*path = '\0';
}

static int report(const struct criu_call *call, int log, int status, struct error *e)
{
	char path[PATH_MAX] = "", line[300];
	auto_free char *text = NULL;
	size_t length;

	text = read_log(log, &length);
	if (!text)
		return fail(e, ENOMEM, "criu's log");
	keep_log(call->name, call->args[0], text, length, path);
	last_error(text, line);
	if (*path)
		return refuse(e, "criu %s failed (status %d): %s; its log is \"%s\"", call->args[0], status, line, path);
	return refuse(e, "criu %s failed (status %d): %s", call->args[0], status, line);
}

int criu_run(const struct criu_call *call, struct error *e)
{
	auto_close int log = memfd_create("criu-log", MFD_CLOEXEC);
	int status;
	pid_t pid;

	if (log < 0)
		return fail(e, errno, "criu's log");
	pid = fork();
	if (pid < 0)
		return fail(e, errno, "can't fork for criu");
	if (pid == 0)
		child(call, log);
	status = await(pid, log, call->timeout_ms);
	return status ? report(call, log, status, e) : 0;
}

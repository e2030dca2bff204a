/* SPDX-License-Identifier: MIT */
#include "runtime/init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/descriptors.h"
#include "runtime/error.h"
#include "runtime/fault.h"
#include "runtime/handshake.h"
#include "runtime/message.h"
#include "runtime/seccomp.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif
#define SAFE_FD 100        /* above all that have a fixed place */

/* Beside this program, as in a build tree; else where it is installed. */
static int open_init(struct error *e)
{
	static const char installed[] = EUROPA_LIBEXECDIR "/europa-init";
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "europa-init");
	char *slash;
	int fd = -1;

	if (length > 0) {
		path[length] = 0;
		slash = strrchr(path, '/');
		if (slash) {
			strcpy(slash + 1, "europa-init");
			fd = open(path, O_RDONLY | O_CLOEXEC);
		}
	}
	if (fd < 0)
		fd = open(installed, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fail(e, errno, "europa-init, beside this program or as \"%s\"", installed) : fd;
}

static int make_memfd(void)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("europa-init", flags | MFD_EXEC);

	/* Kernels before 6.3 don't know the flag, and need none. */
	return fd < 0 && errno == EINVAL ? memfd_create("europa-init", flags) : fd;
}

#define SEAL_TRIES 200
#define SEAL_PAUSE (5 * 1000 * 1000)   /* ns */

/*
 * Whoever holds one of the file's pages for a moment, the kernel's own memory management included, could be about to write to it: the kernel
 * waits for a while, and then says EBUSY.
 */
static int seal(int copy, struct error *e)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const struct timespec pause = { .tv_nsec = SEAL_PAUSE };

	for (unsigned tries = 1; fcntl(copy, F_ADD_SEALS, seals); tries++) {
		if (errno != EBUSY || tries == SEAL_TRIES)
			return fail(e, errno, "can't seal the copy of europa-init");
		nanosleep(&pause, NULL);
	}
	return 0;
}

int init_image(struct error *e)
{
	auto_close int file = open_init(e);
	auto_close int copy = make_memfd();
	struct stat st;
	off_t left;

	if (file < 0)
		return file;
	if (copy < 0 || fstat(file, &st))
		return fail(e, errno, "a copy of europa-init");
	for (left = st.st_size; left > 0; ) {
		ssize_t sent = sendfile(copy, file, NULL, (size_t)left);

		if (sent <= 0)
			return fail(e, sent ? errno : EIO, "a copy of europa-init");
		left -= sent;
	}
	/* Not to be read by others: the kernel then lets nobody in the VR look into a process that runs from it. */
	if (fchmod(copy, 0111))
		return fail(e, errno, "a copy of europa-init");
	return seal(copy, e) ?: take_fd(&copy);
}

int init_handshake(int ends[2], struct error *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return fail(e, errno, "socketpair");
	return 0;
}

int init_send_plan(int handshake, const struct vr_spec *spec, bool direct, uint32_t restored, struct error *e)
{
	auto_free struct init_plan *plan = calloc(1, sizeof *plan);
	const struct sock_filter *filter;
	size_t length;

	if (!plan)
		return fail(e, ENOMEM, "europa-init's orders");
	filter = seccomp_filter(spec->wide_seccomp, &length);
	plan->uid = spec->uid;
	plan->gid = spec->gid;
	plan->ngroups = spec->ngroups;
	memcpy(plan->groups, spec->groups, sizeof plan->groups);
	plan->rlimits = spec->rlimits;
	plan->region_fds = !direct && spec->vnics ? REGION_FDS : 0;
	plan->caps = spec->caps;
	plan->direct = direct;
	plan->restored = restored;
	if (snprintf(plan->cwd, sizeof plan->cwd, "%s", spec->cwd ? spec->cwd : "/") >= (int)sizeof plan->cwd)
		return fail(e, ENAMETOOLONG, "working directory \"%s\"", spec->cwd);
#ifdef EUROPA_FAULTS
	snprintf(plan->fault, sizeof plan->fault, "%s", getenv("EUROPA_FAULT") ?: "");
#endif
	plan->filter_length = (uint32_t)length;
	memcpy(plan->filter, filter, length * sizeof *filter);
	plan->size = init_plan_size(plan);
	if (send(handshake, plan, plan->size, MSG_NOSIGNAL) != (ssize_t)plan->size)
		return fail(e, errno, "europa-init's orders");
	return 0;
}

/* For a terminal: what is in there may come from an image. */
static void copy_text(char *to, const char *from, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && from[i]; i++)
		to[i] = (unsigned char)from[i] < ' ' || from[i] == 0x7f ? '?' : from[i];
	to[i] = 0;
}

/* The message's length, 0 at the end of file; what was reported as FAILED is in *e. */
static int receive(int handshake, struct handshake_message *message, struct error *e)
{
	ssize_t got;

	/* Reset says that it ended with something of ours unread; what it had to say comes after that. */
	do
		got = recv(handshake, message, sizeof *message, 0);
	while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got < 0)
		return fail(e, errno, "the new process");
	if (got && got != sizeof *message)
		return refuse(e, "europa-init is not of the same version as this program");
	if (got && message->kind == HANDSHAKE_FAILED) {
		if (!e->code) {
			e->code = message->code ? message->code : EIO;
			copy_text(e->text, message->text, sizeof e->text);
		}
		return -e->code;
	}
	return (int)got;
}

int init_await(int handshake, unsigned kind, int *code, struct error *e)
{
	struct handshake_message message;
	int got = receive(handshake, &message, e);

	if (got < 0)
		return got;
	if (!got)
		return fail(e, ECHILD, "the new process died before it was ready");
	if (message.kind != kind)
		return fail(e, EPROTO, "the new process said %u instead of %u", message.kind, kind);
	if (code)
		*code = message.code;
	return 0;
}

int init_send_go(int handshake, int image, struct error *e)
{
	const struct handshake_message go = { .kind = HANDSHAKE_GO };
	int err = message_send(handshake, &go, sizeof go, &image, 1, 0);

	return err ? fail(e, -err, "the new process") : 0;
}

int init_await_go(int handshake, int *image, struct error *e)
{
	struct handshake_message go = { 0 };
	unsigned nfds = 1;
	ssize_t got = message_receive(handshake, &go, sizeof go, image, &nfds, 0);

	if (got == 0)
		_exit(125);             /* the supervisor is gone */
	if (got != sizeof go || go.kind != HANDSHAKE_GO || !nfds)
		return fail(e, got < 0 ? (int)-got : EPROTO, "the supervisor's word to go");
	return 0;
}

int init_await_exec(int handshake, bool *exec_failed, struct error *e)
{
	struct handshake_message message = { 0 };
	int got = receive(handshake, &message, e);

	*exec_failed = got < 0 && message.kind == HANDSHAKE_FAILED && message.exec;
	if (got > 0)
		return fail(e, EPROTO, "the new process said %u", message.kind);
	return got;
}

int init_exec_status(int code)
{
	return code == ENOENT || code == ENOTDIR ? 127 : 126;
}

/* Out of the way of the fixed places; also what already stands at its own. */
static int move_up(int fd, struct error *e)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, SAFE_FD);

	return moved < 0 ? fail(e, errno, "descriptor %d", fd) : moved;
}

static int put(int fd, int place, struct error *e)
{
	return dup2(fd, place) < 0 ? fail(e, errno, "descriptor %d", place) : 0;
}

int init_become(const struct init_start *start, struct error *e)
{
	int image = move_up(start->image, e), handshake = move_up(start->handshake, e);
	int stdio[3], region[REGION_FDS], err = 0;

	if (image < 0 || handshake < 0)
		return -e->code;
	for (int i = 0; i < 3 && !err; i++) {
		stdio[i] = start->stdio[i] < 0 ? -1 : move_up(start->stdio[i], e);
		err = start->stdio[i] >= 0 && stdio[i] < 0 ? stdio[i] : 0;
	}
	for (unsigned i = 0; i < start->region_count && !err; i++) {
		region[i] = move_up(start->region[i], e);
		err = region[i] < 0 ? region[i] : 0;
	}
	for (int i = 0; i < 3 && !err; i++)
		err = stdio[i] < 0 ? 0 : put(stdio[i], i, e);
	if (!err)
		err = descriptors_close_on_exec(3, e);
	for (unsigned i = 0; i < start->region_count && !err; i++)
		err = put(region[i], 3 + (int)i, e);
	if (!err)
		err = put(handshake, HANDSHAKE_FD, e);
	if (!err)
		err = fault_inject("exec-init", e);
	if (err)
		return err;
	syscall(SYS_execveat, image, "", start->argv, start->envp, AT_EMPTY_PATH);
	return fail(e, errno, "can't execute europa-init");
}

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

char **init_argv(char *const *args)
{
	size_t n = count(args);
	char **argv = calloc(n + 2, sizeof *argv);

	if (!argv)
		return NULL;
	argv[0] = (char *)"europa-init";
	for (size_t i = 0; i < n; i++)
		argv[1 + i] = args[i];
	return argv;
}

char **init_envp(char *const *env, bool with_region)
{
	static const char *const added[] = {
		"LISTEN_FDS=5", "LISTEN_FDNAMES=europa.control:europa.pool:europa.doorbell:europa.kick:europa.state", "LISTEN_PID=0",
	};
	size_t n = 0, most = count(env) + sizeof added / sizeof added[0] + 2;
	char **envp = calloc(most, sizeof *envp);
	bool has_path = false;

	if (!envp)
		return NULL;
	for (; env && *env; env++) {
		if (strncmp(*env, "LISTEN_", 7) == 0)
			continue;
		has_path |= strncmp(*env, "PATH=", 5) == 0;
		envp[n++] = *env;
	}
	if (!has_path)
		envp[n++] = (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	for (size_t i = 0; with_region && i < sizeof added / sizeof added[0]; i++)
		envp[n++] = (char *)added[i];
	return envp;
}

/* SPDX-License-Identifier: MIT */
#include "runtime/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/kernel.h"
#include "runtime/message.h"
#include "runtime/state.h"

#define ANSWER_SECONDS   20     /* a switch that takes longer is no switch */
#define MOST_TRIES       100    /* to meet a switch that is not just leaving, 10 ms apart */

extern char **environ;

/* ---- which one ---- */

int backend_choose(enum vr_switch wanted, enum vr_switch *which, struct error *e)
{
	bool kernel = wanted != SWITCH_USER && kernel_is_there();

	if (wanted == SWITCH_KMOD && !kernel)
		return refuse(e, "--switch kmod: there is no \"" EUROPA_DEVICE "\"; load the module, or use --switch user");
	*which = kernel ? SWITCH_KMOD : SWITCH_USER;
	return 0;
}

/* ---- europad's process ---- */

/* Beside this program, as in the build directory, or where it is installed. */
static int find_europad(char path[PATH_MAX], struct error *e)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof "/europad");
	char *slash;

	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		if (slash) {
			strcpy(slash, "/europad");
			if (access(path, X_OK) == 0)
				return 0;
		}
	}
	strcpy(path, EUROPA_LIBEXECDIR "/europad");
	return access(path, X_OK) == 0 ? 0 : fail(e, errno, "cannot find the switch \"%s\"", path);
}

static int lock_switch(const char *run_dir, struct error *e)
{
	char path[PATH_MAX + 16];
	auto_close int fd = -1;

	snprintf(path, sizeof path, "%s/switch.lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(e, errno, "cannot open \"%s\"", path);
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return fail(e, errno, "cannot lock \"%s\"", path);
	}
	return take_fd(&fd);
}

static int spawn_europad(const char *path, int errors, pid_t *pid)
{
	char *argv[] = { (char *)"europad", (char *)"--locked", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(pid, path, &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

/* What it said on stderr, without the newline and "europad: ". */
static void read_complaint(int fd, char *text, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while (used + 1 < size && (n = read(fd, text + used, size - 1 - used)) > 0)
		used += n;
	text[used] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (!strncmp(text, "europad: ", 9))
		memmove(text, text + 9, strlen(text + 9) + 1);
}

/* Returns when its socket is there: europad goes to the background only then. */
static int start_europad(struct error *e)
{
	char path[PATH_MAX], complaint[256];
	auto_close int from = -1, to = -1;
	int ends[2], r, status = 0;
	pid_t pid;

	r = find_europad(path, e);
	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail(e, errno, "cannot make a pipe");
	from = ends[0];
	to = ends[1];
	r = spawn_europad(path, to, &pid);
	if (r < 0)
		return fail(e, -r, "cannot start the switch \"%s\"", path);
	close(take_fd(&to));
	read_complaint(from, complaint, sizeof complaint);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return complaint[0] ? refuse(e, "cannot start the switch: %s", complaint) :
	       refuse(e, "cannot start the switch \"%s\": exit status 0x%x", path, status);
}

/* ---- the line ---- */

static int connect_once(const char *run_dir, struct error *e)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fd < 0)
		return fail(e, errno, "cannot make a socket");
	if ((size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", run_dir, EUROPA_SWITCH_SOCKET) >=
	    sizeof address.sun_path)
		return refuse(e, "run directory \"%s\" is too long for a socket", run_dir);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return take_fd(&fd);
	return errno == ENOENT || errno == ECONNREFUSED ? -errno :
	       fail(e, errno, "cannot connect to the switch at \"%s\"", address.sun_path);
}

static bool nobody_is_there(int r, const struct error *e)
{
	return (r == -ENOENT || r == -ECONNREFUSED) && !e->code;
}

/* One starts it, those who come meanwhile wait for the lock and find it there. */
static int connect_or_start(const char *run_dir, struct error *e)
{
	auto_close int lock = -1;
	int fd = connect_once(run_dir, e);

	if (!nobody_is_there(fd, e))
		return fd;
	lock = lock_switch(run_dir, e);
	if (lock < 0)
		return lock;
	fd = connect_once(run_dir, e);
	if (!nobody_is_there(fd, e))
		return fd;
	fd = start_europad(e);
	return fd < 0 ? fd : connect_once(run_dir, e);
}

static int gone(struct error *e)
{
	return fail(e, ECONNRESET, "the switch has gone");
}

static bool is_end(int code)
{
	return code == EPIPE || code == ECONNRESET || code == ENOTCONN;
}

/*
 * One request, one reply. A switch that is gone is no failure of the request: -ECONNRESET, and e is not set. One that can't take another
 * connection has replied before it was asked, and takes no request.
 */
static int ask(int fd, struct europa_request *request, const int *fds, unsigned nfds, struct europa_reply *reply, struct error *e)
{
	ssize_t n;
	int r;

	request->major = EUROPA_MAJOR;
	memset(reply, 0, sizeof *reply);
	r = message_send(fd, request, sizeof *request, fds, nfds, 0);
	if (r < 0 && !is_end(-r))
		return fail(e, -r, "cannot ask the switch");
	do
		n = recv(fd, reply, sizeof *reply, 0);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && is_end(errno)))
		return -ECONNRESET;
	if (n < 0)
		return fail(e, errno == EAGAIN ? ETIMEDOUT : errno, "the switch doesn't answer");
	if (n < (ssize_t)offsetof(struct europa_reply, attach))
		return fail(e, EPROTO, "the switch answers with %zd bytes", n);
	if (reply->status < 0) {
		reply->text[sizeof reply->text - 1] = '\0';
		refuse(e, "%s", reply->text);
		if (e)
			e->code = -reply->status;
		return reply->status;
	}
	return 0;
}

static int ask_backend(struct backend *b, struct europa_request *request, struct europa_reply *reply, struct error *e)
{
	int r;

	if (b->which == SWITCH_KMOD)
		return kernel_ask(b->fd, request, reply, e);
	r = ask(b->fd, request, NULL, 0, reply, e);
	return r == -ECONNRESET ? gone(e) : r;
}

/* ---- registration ---- */

static int register_once(const char *run_dir, int netns, const struct region *region, const char *name, unsigned flags, int *out,
			 struct error *e)
{
	const int fds[] = { region->control, region->pool, region->doorbell_write, region->kick_read, netns };
	struct europa_request request = {
		.verb = EUROPA_REGISTER,
		.reg = { .size = sizeof request.reg, .flags = flags, .geometry = region->geometry },
	};
	struct europa_reply reply;
	auto_close int fd = connect_or_start(run_dir, e);
	int r;

	if (fd < 0)
		return nobody_is_there(fd, e) ? -ECONNRESET : fd;
	snprintf(request.reg.name, sizeof request.reg.name, "%s", name);
	r = ask(fd, &request, fds, 5, &reply, e);
	if (r == 0)
		*out = take_fd(&fd);
	return r;
}

/* A switch may be leaving just when one connects: then there is another one a moment later. */
static int register_region(struct backend *b, const struct region *region, const char *name, unsigned flags, struct error *e)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	char run_dir[PATH_MAX];
	unsigned tries;
	int r;

	if (b->which == SWITCH_KMOD)
		return kernel_register(region, name, flags, b->netns, b->vr, &b->fd, e);
	r = state_run_dir(run_dir, sizeof run_dir, e);
	for (tries = 0; r == 0 && tries < MOST_TRIES; tries++) {
		r = register_once(run_dir, b->netns, region, name, flags, &b->fd, e);
		if (r != -ECONNRESET)
			return r;
		nanosleep(&moment, NULL);
		r = 0;
	}
	return r < 0 ? r : gone(e);
}

int backend_register(struct backend *b, enum vr_switch which, const struct region *region, bool ready, const char *name, pid_t vr,
		     struct error *e)
{
	int r;

	*b = (struct backend){ .which = which, .fd = -1, .netns = -1, .vr = vr };
	b->netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (b->netns < 0)
		return fail(e, errno, "cannot open the network namespace");
	r = register_region(b, region, name, ready ? EUROPA_REGISTER_ADOPT : 0, e);
	if (r < 0)
		backend_close(b);
	return r;
}

int backend_adopt(struct backend *b, const struct region *region, const char *name, struct error *e)
{
	if (b->fd >= 0)
		close(take_fd(&b->fd));
	return register_region(b, region, name, EUROPA_REGISTER_ADOPT, e);
}

/* ---- verbs ---- */

/* "VR:N" */
static int split_peer(const char *target, struct europa_attach *attach, struct error *e)
{
	const char *colon = target ? strrchr(target, ':') : NULL;
	char *end;
	unsigned long n;

	if (!colon || colon == target || (size_t)(colon - target) >= sizeof attach->peer || colon[1] < '0' || colon[1] > '9')
		return refuse(e, "\"%s\" is no vNIC of another VR; NAME:NUMBER would be one", target ? target : "");
	n = strtoul(colon + 1, &end, 10);
	if (*end || n >= EUROPA_MAX_VNICS)
		return refuse(e, "\"%s\": \"%s\" is no vNIC's number; 0 to %d are", target, colon + 1, EUROPA_MAX_VNICS - 1);
	memcpy(attach->peer, target, colon - target);
	attach->peer_vnic = n;
	return 0;
}

static int copy_text(char *to, size_t size, const char *from, const char *what, struct error *e)
{
	if (from && strlen(from) >= size)
		return refuse(e, "%s \"%s\" is too long; %zu characters are the most", what, from, size - 1);
	snprintf(to, size, "%s", from ? from : "");
	return 0;
}

static int describe_port(const struct vr_vnic *vnic, const char *device, struct europa_attach *attach, struct error *e)
{
	int r;

	switch (vnic->kind) {
	case EUROPA_PORT_DEVICE:
	case EUROPA_PORT_XDP:
		return copy_text(attach->device, sizeof attach->device, device, "device", e);
	case EUROPA_PORT_SHARED:
		r = copy_text(attach->device, sizeof attach->device, vnic->target, "device", e);
		return r < 0 ? r : copy_text(attach->rule, sizeof attach->rule, vnic->rule, "rule", e);
	case EUROPA_PORT_VR:
		return split_peer(vnic->target, attach, e);
	case EUROPA_PORT_GENERATOR:
		return copy_text(attach->peer, sizeof attach->peer, vnic->target, "generator's arguments", e);
	default:
		return 0;
	}
}

int backend_attach(struct backend *b, unsigned n, struct vr_vnic *vnic, char device[16], struct error *e)
{
	struct europa_request request = {
		.verb = EUROPA_ATTACH,
		.attach = { .size = sizeof request.attach, .vnic = n, .kind = vnic->kind, .mtu = vnic->mtu },
	};
	struct europa_reply reply;
	int r;

	memcpy(request.attach.mac, vnic->mac, sizeof request.attach.mac);
	r = describe_port(vnic, device, &request.attach, e);
	if (r == 0)
		r = ask_backend(b, &request, &reply, e);
	if (r < 0)
		return r;
	memcpy(vnic->mac, reply.attach.mac, sizeof vnic->mac);
	vnic->mtu = reply.attach.mtu;
	snprintf(device, 16, "%.15s", reply.attach.device);
	return 0;
}

int backend_detach(struct backend *b, unsigned n, struct error *e)
{
	struct europa_request request = {
		.verb = EUROPA_DETACH,
		.detach = { .size = sizeof request.detach, .vnic = n },
	};
	struct europa_reply reply;

	return ask_backend(b, &request, &reply, e);
}

int backend_quiesce(struct backend *b, unsigned how, struct error *e)
{
	struct europa_request request = {
		.verb = EUROPA_QUIESCE,
		.quiesce = { .size = sizeof request.quiesce, .on = how },
	};
	struct europa_reply reply;

	return ask_backend(b, &request, &reply, e);
}

int backend_ask(struct backend *b, unsigned what, unsigned *asked, struct error *e)
{
	struct europa_request request = {
		.verb = EUROPA_ASK,
		.ask = { .size = sizeof request.ask, .what = what },
	};
	struct europa_reply reply;
	int r = ask_backend(b, &request, &reply, e);

	if (r == 0)
		*asked = reply.request;
	return r;
}

int backend_refresh(struct backend *b, struct error *e)
{
	struct europa_request request = { .verb = EUROPA_REFRESH };
	struct europa_reply reply;

	return ask_backend(b, &request, &reply, e);
}

/* The module has let go when its file is closed. europad closes its end when it has. */
void backend_end(struct backend *b)
{
	struct pollfd end = { .fd = b->fd, .events = POLLIN };

	if (b->which == SWITCH_USER && b->fd >= 0 && shutdown(b->fd, SHUT_WR) == 0)
		poll(&end, 1, ANSWER_SECONDS * 1000);
	backend_close(b);
}

void backend_close(struct backend *b)
{
	if (b->fd >= 0)
		close(take_fd(&b->fd));
	if (b->netns >= 0)
		close(take_fd(&b->netns));
}

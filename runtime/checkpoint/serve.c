/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/backend.h"
#include "runtime/checkpoint/line.h"
#include "runtime/checkpoint/store.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/fault.h"
#include "runtime/message.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

int serve_open(struct checkpoint_server *s, const char *name, struct error *e)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), dir = -1;
	struct sockaddr_un address;
	int err = fd < 0 ? fail(e, errno, "cannot make a socket") : line_address(name, &dir, &address, e);

	if (err)
		return err;
	if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 8) < 0)
		return fail(e, errno, "cannot listen at \"" LINE_SOCKET "\" of \"%s\"", name);
	s->listener = take_fd(&fd);
	return 0;
}

/* A switch that can't be asked has died, and its successor begins without a fence. */
static void resume(struct backend *backend)
{
	struct error ignored = { 0 };
	unsigned sequence;

	backend_ask(backend, EUROPA_ASK_NOTHING, &sequence, &ignored);
	ignored = (struct error){ 0 };
	backend_quiesce(backend, 0, &ignored);
}

/* The VR goes on, and nothing is left of the attempt. */
static void let_go(struct checkpoint_server *s, struct backend *backend)
{
	/* Removed first: whoever waits for the VR to go on finds nothing then. */
	if (s->parent >= 0 && s->partial[0])
		store_remove(s->parent, s->partial);
	s->partial[0] = '\0';
	if (s->frozen)
		resume(backend);
	s->frozen = false;
	close_fd(&s->parent);
	close_fd(&s->tool);
}

void serve_abandon(struct checkpoint_server *s, struct backend *backend)
{
	s->frozen = false;
	let_go(s, backend);
}

void serve_close(struct checkpoint_server *s, struct backend *backend)
{
	/* There is nothing to resume: the VR has ended. */
	s->frozen = false;
	let_go(s, backend);
	close_fd(&s->listener);
}

/* ---- messages ---- */

static int answer(int tool, int status, uint32_t sequence, const struct error *e, const int *fds, unsigned nfds)
{
	struct line_reply reply = { .status = status, .sequence = sequence };

	if (status < 0)
		snprintf(reply.text, sizeof reply.text, "%s", e->text);
	return message_send(tool, &reply, sizeof reply, fds, nfds, MSG_DONTWAIT);
}

void serve_accept(struct checkpoint_server *s)
{
	auto_close int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct error busy = { 0 };

	if (fd < 0)
		return;
	if (!message_peer_is_root(fd)) {
		refuse(&busy, "only root may checkpoint a virtual router");
		answer(fd, -EPERM, 0, &busy, NULL, 0);
	} else if (s->tool >= 0) {
		refuse(&busy, "another checkpoint of it is being made");
		answer(fd, -EBUSY, 0, &busy, NULL, 0);
	} else {
		s->tool = take_fd(&fd);
	}
}

/* ---- verbs ---- */

static bool is_file_name(const char name[NAME_MAX + 1])
{
	return memchr(name, '\0', NAME_MAX + 1) && name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int begin(struct checkpoint_server *s, const struct region *region, const struct line_request *request, int *parent, struct error *e)
{
	if (s->parent >= 0)
		return refuse(e, "it has begun already");
	if (*parent < 0 || !is_file_name(request->partial) || !is_file_name(request->final))
		return refuse(e, "expected a directory and two names");
	s->parent = take_fd(parent);
	memcpy(s->partial, request->partial, sizeof s->partial);
	memcpy(s->final, request->final, sizeof s->final);
	if (!region)
		return fail(e, ENOTSUP, "it has no vNIC, and so no packet pool");
	return fault_inject("serve-begin", e);
}

static int freeze(struct checkpoint_server *s, struct backend *backend, unsigned *sequence, struct error *e)
{
	int err = fault_inject("serve-freeze", e);

	if (err)
		return err;
	if (s->parent < 0 || s->frozen)
		return refuse(e, "it has not begun, or is frozen already");
	s->frozen = true;
	return backend_quiesce(backend, EUROPA_QUIESCE_IN, e) ?: backend_ask(backend, EUROPA_ASK_SAVE, sequence, e);
}

static int stop(struct checkpoint_server *s, struct backend *backend, struct error *e)
{
	int err = fault_inject("serve-stop", e);

	if (err)
		return err;
	if (!s->frozen)
		return refuse(e, "it is not frozen");
	return backend_quiesce(backend, EUROPA_QUIESCE_ALL, e);
}

/* One step makes it valid; after it nothing can fail. */
static int commit(struct checkpoint_server *s, struct error *e)
{
	int err = fault_inject("serve-commit", e);

	if (err)
		return err;
	if (!s->frozen)
		return refuse(e, "it is not frozen");
	if (syscall(SYS_renameat2, s->parent, s->partial, s->parent, s->final, RENAME_NOREPLACE) < 0)
		return fail(e, errno, "cannot give the checkpoint its name \"%s\"", s->final);
	s->partial[0] = '\0';
	/* What is lost where this fails and the machine does too is a checkpoint that nobody has been told of. */
	fsync(s->parent);
	(void)fault_wanted("serve-committed");  /* a test kills it there, and has nothing to fail */
	return 0;
}

static bool serve_request(struct checkpoint_server *s, struct backend *backend, const struct region *region,
			  const struct line_request *request, int *parent)
{
	int fds[LINE_FDS] = { 0 };
	struct error e = { 0 };
	unsigned sequence = 0;
	int err;

	switch (request->verb) {
	case LINE_BEGIN:
		err = begin(s, region, request, parent, &e);
		return answer(s->tool, err, 0, &e, NULL, 0) == 0 && !err;
	case LINE_FREEZE:
		err = freeze(s, backend, &sequence, &e);
		if (!err) {
			fds[LINE_CONTROL] = region->control;
			fds[LINE_POOL] = region->pool;
			fds[LINE_STATE] = region->state;
		}
		return answer(s->tool, err, sequence, &e, fds, err ? 0 : LINE_FDS) == 0 && !err;
	case LINE_STOP:
		err = stop(s, backend, &e);
		return answer(s->tool, err, 0, &e, NULL, 0) == 0 && !err;
	case LINE_COMMIT:
		err = commit(s, &e);
		s->committed = !err && !request->leave_running;
		answer(s->tool, err, 0, &e, NULL, 0);
		return false;
	}
	return false;
}

void serve_tool(struct checkpoint_server *s, struct backend *backend, const struct region *region)
{
	struct line_request request = { 0 };
	auto_close int parent = -1;
	unsigned nfds = 1;
	ssize_t n = message_receive(s->tool, &request, sizeof request, &parent, &nfds, MSG_DONTWAIT);

	if (n == -EAGAIN)
		return;
	if (n != sizeof request || !serve_request(s, backend, region, &request, &parent)) {
		/* Whoever is to end stays as it is until it does. */
		if (s->committed)
			s->frozen = false;
		let_go(s, backend);
	}
}

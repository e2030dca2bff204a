/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/ask.h"

#include <errno.h>
#include <stdio.h>

#include "runtime/checkpoint/line.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/message.h"

void ask_close(struct line *line)
{
	close_fd(&line->control);
	close_fd(&line->pool);
	close_fd(&line->state);
	close_fd(&line->fd);
}

static int connect_to(const char *name, struct error *e)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), dir = -1;
	struct sockaddr_un address;
	int err = fd < 0 ? fail(e, errno, "cannot make a socket") : line_address(name, &dir, &address, e);

	if (err)
		return err;
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return fail(e, errno, "cannot reach the supervisor of \"%s\" at its \"" LINE_SOCKET "\"", name);
	return take_fd(&fd);
}

static int say(int fd, const struct line_request *request, int parent, struct error *e)
{
	int err = message_send(fd, request, sizeof *request, &parent, parent >= 0, 0);

	return err ? fail(e, -err, "cannot ask the supervisor") : 0;
}

static int hear(int fd, struct line_reply *reply, int fds[LINE_FDS], struct error *e)
{
	unsigned nfds = LINE_FDS;
	ssize_t n = message_receive(fd, reply, sizeof *reply, fds, &nfds, 0);

	if (n < 0 && n != -ECONNRESET)
		return fail(e, (int)-n, "the supervisor doesn't answer");
	if (n != sizeof *reply)
		return refuse(e, "the virtual router, or the switch that serves it, ended meanwhile");
	if (reply->status == 0)
		return 0;
	reply->text[sizeof reply->text - 1] = '\0';
	refuse(e, "%s", reply->text);
	e->code = -reply->status;
	return reply->status;
}

int ask_begin(struct line *line, const char *name, int parent, const char *partial, const char *final, struct error *e)
{
	struct line_request request = { .verb = LINE_BEGIN };
	int fds[LINE_FDS] = { -1, -1, -1 };
	struct line_reply reply;

	snprintf(request.partial, sizeof request.partial, "%s", partial);
	snprintf(request.final, sizeof request.final, "%s", final);
	line->fd = connect_to(name, e);
	if (line->fd < 0)
		return line->fd;
	return say(line->fd, &request, parent, e) ?: hear(line->fd, &reply, fds, e);
}

int ask_freeze(struct line *line, struct error *e)
{
	const struct line_request request = { .verb = LINE_FREEZE };
	int fds[LINE_FDS] = { -1, -1, -1 };
	struct line_reply reply;
	int err = say(line->fd, &request, -1, e) ?: hear(line->fd, &reply, fds, e);

	line->control = fds[LINE_CONTROL];
	line->pool = fds[LINE_POOL];
	line->state = fds[LINE_STATE];
	if (!err && line->state < 0)
		err = refuse(e, "its supervisor is of another version than this program");
	line->sequence = err ? 0 : reply.sequence;
	return err;
}

int ask_stop(struct line *line, struct error *e)
{
	const struct line_request request = { .verb = LINE_STOP };
	int fds[LINE_FDS] = { -1, -1, -1 };
	struct line_reply reply;

	return say(line->fd, &request, -1, e) ?: hear(line->fd, &reply, fds, e);
}

int ask_commit(struct line *line, bool leave_running, struct error *e)
{
	const struct line_request request = { .verb = LINE_COMMIT, .leave_running = leave_running };
	int fds[LINE_FDS] = { -1, -1, -1 };
	struct line_reply reply;

	return say(line->fd, &request, -1, e) ?: hear(line->fd, &reply, fds, e);
}

/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/checkpoint/line.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/state.h"

void ask_close(struct line *line)
{
	close_fd(&line->control);
	close_fd(&line->pool);
	close_fd(&line->state);
	close_fd(&line->fd);
}

static int connect_to(const char *name, struct error *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), dir = -1;
	char path[PATH_MAX + VR_NAME_MAX + 1];
	int err = fd < 0 ? fail(e, errno, "cannot make a socket") : state_run_dir(path, PATH_MAX, e);

	if (err < 0)
		return err;
	sprintf(path + strlen(path), "/%s", name);
	dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return fail(e, errno, "cannot open \"%s\"", path);
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" LINE_SOCKET, dir);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return fail(e, errno, "cannot reach the supervisor of \"%s\" at \"%s/" LINE_SOCKET "\"", name, path);
	return take_fd(&fd);
}

static int say(int fd, const struct line_request *request, int parent, struct error *e)
{
	struct iovec piece = { (void *)request, sizeof *request };
	union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (parent >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control;
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof parent);
		memcpy(CMSG_DATA(c), &parent, sizeof parent);
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? fail(e, errno, "cannot ask the supervisor") : 0;
}

static int hear(int fd, struct line_reply *reply, int fds[LINE_FDS], struct error *e)
{
	struct iovec piece = { reply, sizeof *reply };
	union { struct cmsghdr align; char bytes[CMSG_SPACE(LINE_FDS * sizeof(int))]; } control;
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECONNRESET)
		return fail(e, errno, "the supervisor doesn't answer");
	if (n != sizeof *reply)
		return refuse(e, "the virtual router, or the switch that serves it, ended meanwhile");
	c = CMSG_FIRSTHDR(&message);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(LINE_FDS * sizeof(int)))
		memcpy(fds, CMSG_DATA(c), LINE_FDS * sizeof(int));
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
	if (!err && line->control < 0)
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

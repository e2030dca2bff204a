/* SPDX-License-Identifier: MIT */
#include "runtime/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/cleanup.h"

/* Room for descriptors, aligned as the kernel wants it. */
union rights {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
};

int message_send(int socket, const void *bytes, size_t n, const int *fds, unsigned nfds, int flags)
{
	struct iovec piece = { (void *)bytes, n };
	union rights rights = { 0 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	ssize_t sent;

	if (nfds) {
		rights.align.cmsg_level = SOL_SOCKET;
		rights.align.cmsg_type = SCM_RIGHTS;
		rights.align.cmsg_len = CMSG_LEN(nfds * sizeof *fds);
		memcpy(CMSG_DATA(&rights.align), fds, nfds * sizeof *fds);
		message.msg_control = &rights;
		message.msg_controllen = CMSG_SPACE(nfds * sizeof *fds);
	}
	do
		sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return sent == (ssize_t)n ? 0 : -EPIPE;
}

static unsigned take_fds(struct msghdr *message, int *fds, unsigned most)
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		const int *came = (const int *)CMSG_DATA(c);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof *came; i++) {
			if (n < most)
				fds[n++] = came[i];
			else
				close(came[i]);
		}
	}
	return n;
}

/* Fewer came than there is room for: this process may have no more descriptors. */
static bool some_are_missing(struct msghdr *message)
{
	const struct cmsghdr *rights = CMSG_FIRSTHDR(message);

	return (message->msg_flags & MSG_CTRUNC) && (!rights || rights->cmsg_len < CMSG_LEN(MESSAGE_FDS * sizeof(int)));
}

ssize_t message_receive(int socket, void *bytes, size_t size, int *fds, unsigned *nfds, int flags)
{
	struct iovec piece = { bytes, size };
	union rights rights;
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights };
	unsigned most = *nfds;
	ssize_t n;
	int err;

	do
		n = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	err = n < 0 ? -errno : some_are_missing(&message) ? -EMFILE : 0;
	*nfds = n < 0 ? 0 : take_fds(&message, fds, err ? 0 : most);
	for (unsigned i = *nfds; i < most; i++)
		fds[i] = -1;
	return err ? err : n;
}

bool message_peer_is_root(int socket)
{
	struct ucred who;
	socklen_t size = sizeof who;

	return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == 0;
}

bool message_somebody_listens(const struct sockaddr_un *address)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* EAGAIN: somebody listens and has a long queue. */
	return fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
}

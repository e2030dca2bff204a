/* SPDX-License-Identifier: MIT */
/* One message over a SOCK_SEQPACKET socket, and the descriptors that go with it. */
#ifndef EUROPA_MESSAGE_H
#define EUROPA_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

#define MESSAGE_FDS 16

/* At most MESSAGE_FDS descriptors. 0, or -errno: nobody is there, say. */
int message_send(int socket, const void *bytes, size_t n, const int *fds, unsigned nfds, int flags);
/*
 * The message's length, 0 at the end, or -errno. With at most *nfds descriptors, which are the caller's, and *nfds is how many came. Those
 * beyond are closed. What is left of fds is -1. -EMFILE: a message came, and this process may have no more descriptors: it got none.
 */
ssize_t message_receive(int socket, void *bytes, size_t size, int *fds, unsigned *nfds, int flags);

/* Who connected, as the kernel noted it then. */
bool message_peer_is_root(int socket);

/* Is there a process behind a socket's path? */
bool message_somebody_listens(const struct sockaddr_un *address);

#endif

/* SPDX-License-Identifier: MIT */
/* Questions to rtnetlink and their answers, over libmnl. */
#ifndef EUROPA_ENGINE_NETLINK_H
#define EUROPA_ENGINE_NETLINK_H

#include <libmnl/libmnl.h>

struct error;

#define NETLINK_BYTES 8192      /* a batch of requests, or what the kernel says in one go */

/* In the calling thread's network namespace; groups != 0: for events, non-blocking. */
struct mnl_socket *netlink_open(unsigned groups, struct error *e);

/* The beginning of a message about a link (0: by name). `bytes` has NETLINK_BYTES. */
struct nlmsghdr *netlink_link(void *bytes, unsigned type, unsigned flags, int ifindex);

/* Sends one batch of n requests and waits for all answers: 0, or the first -errno. */
int netlink_send(struct mnl_socket *nl, void *bytes, size_t size, unsigned n);
/* Sends a question and gives every answer to `each`. */
int netlink_ask(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t each, void *data);

#endif

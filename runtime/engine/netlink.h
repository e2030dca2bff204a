/* SPDX-License-Identifier: MIT */
/* Questions to rtnetlink and their answers, over libmnl. */
#ifndef EUROPA_ENGINE_NETLINK_H
#define EUROPA_ENGINE_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdbool.h>

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

/* What is known of a link, from a message about it. */
struct link_info {
	int ifindex;
	unsigned flags, mtu;
	char name[16];
	char alias[96];
};

void link_read(const struct nlmsghdr *h, struct link_info *link);
/* By number, or by name where that is 0. -ENODEV: there is none. */
int link_get(struct mnl_socket *nl, int ifindex, const char *name, struct link_info *link);
/* Administratively and by carrier. */
bool link_is_up(const struct link_info *link);

/*
 * Whatever link events have come, each given to `each` once; where some were lost, all links are told again.
 * fresh: a socket to ask with.
 */
void link_events(struct mnl_socket *events, struct mnl_socket *fresh, mnl_cb_t each, void *data);

#endif

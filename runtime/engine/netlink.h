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

static inline void netlink_closep(struct mnl_socket **nl)
{
	if (*nl)
		mnl_socket_close(*nl);
}
#define auto_netlink __attribute__((cleanup(netlink_closep)))

/* The beginning of a message. `bytes` has NETLINK_BYTES, or as many as the message will need. */
struct nlmsghdr *netlink_request(void *bytes, unsigned type, unsigned flags);
/* Of one about a link (0: by name). */
struct nlmsghdr *netlink_link(void *bytes, unsigned type, unsigned flags, int ifindex);

/* Sends one batch of n requests and waits for all answers: 0, or the first -errno. */
int netlink_send(struct mnl_socket *nl, void *bytes, size_t size, unsigned n);
/* Sends a question and gives every answer to `each`. -EINTR: what was asked for changed meanwhile. */
int netlink_ask(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t each, void *data);
/*
 * Gives all that there is of a kind to `each`. Where it changed meanwhile, all of it once more, and `forget` is called in between (or NULL).
 * header: the size of the kind's own.
 */
int netlink_dump(struct mnl_socket *nl, unsigned type, size_t header, mnl_cb_t each, void (*forget)(void *data), void *data);

/* What is known of a link, from a message about it. */
struct link_info {
	int ifindex;
	unsigned flags, mtu;
	int master, peer;               /* 0: none; peer: of a veth device, perhaps in another namespace */
	__u8 mac[6];
	char name[16], kind[16];
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

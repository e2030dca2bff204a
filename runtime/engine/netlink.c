// SPDX-License-Identifier: MIT
#include "runtime/engine/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/error.h"

#define EVENT_BUFFER (4 << 20)

struct mnl_socket *netlink_open(unsigned groups, struct error *e)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | (groups ? SOCK_NONBLOCK : 0));
	int room = EVENT_BUFFER;

	if (!nl) {
		fail(e, errno, "cannot open a netlink socket");
		return NULL;
	}
	if (groups)
		setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	if (mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
		fail(e, errno, "cannot bind a netlink socket");
		mnl_socket_close(nl);
		return NULL;
	}
	return nl;
}

struct nlmsghdr *netlink_link(void *bytes, unsigned type, unsigned flags, int ifindex)
{
	static unsigned seq;
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	struct ifinfomsg *info;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	h->nlmsg_seq = ++seq;
	info = mnl_nlmsg_put_extra_header(h, sizeof *info);
	info->ifi_family = AF_UNSPEC;
	info->ifi_index = ifindex;
	return h;
}

static int read_ack(struct mnl_socket *nl, mnl_cb_t each, void *data, bool *dump_done)
{
	char bytes[32768];
	ssize_t n = mnl_socket_recvfrom(nl, bytes, sizeof bytes);
	int r;

	if (n < 0)
		return -errno;
	r = mnl_cb_run(bytes, n, 0, 0, each, data);
	*dump_done = r == MNL_CB_STOP;
	return r < 0 ? -errno : 0;
}

int netlink_send(struct mnl_socket *nl, void *bytes, size_t size, unsigned n)
{
	bool acked = false;
	int r, first = 0;

	if (mnl_socket_sendto(nl, bytes, size) < 0)
		return -errno;
	while (n--) {
		r = read_ack(nl, NULL, NULL, &acked);
		if (r < 0 && !first)
			first = r;
	}
	return first;
}

int netlink_ask(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t each, void *data)
{
	bool done = false;
	int r = 0;

	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	while (!done && r == 0)
		r = read_ack(nl, each, data, &done);
	return r;
}

// SPDX-License-Identifier: MIT
#include "runtime/engine/netlink.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/error.h"

#define EVENT_BUFFER (4 << 20)
#define DUMP_TRIES   100

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

struct nlmsghdr *netlink_request(void *bytes, unsigned type, unsigned flags)
{
	static unsigned seq;
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	h->nlmsg_seq = ++seq;
	return h;
}

struct nlmsghdr *netlink_link(void *bytes, unsigned type, unsigned flags, int ifindex)
{
	struct nlmsghdr *h = netlink_request(bytes, type, flags);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	info->ifi_family = AF_UNSPEC;
	info->ifi_index = ifindex;
	return h;
}

/* What there is changed while the kernel told it. Read to its end all the same, or that would be taken for the next question's answer. */
static bool was_interrupted(void *bytes, int n)
{
	bool interrupted = false;

	for (struct nlmsghdr *h = bytes; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n)) {
		interrupted |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		h->nlmsg_flags &= ~NLM_F_DUMP_INTR;
	}
	return interrupted;
}

static int read_ack(struct mnl_socket *nl, mnl_cb_t each, void *data, bool *dump_done, bool *interrupted)
{
	char bytes[32768];
	ssize_t n = mnl_socket_recvfrom(nl, bytes, sizeof bytes);
	int r;

	if (n < 0)
		return -errno;
	*interrupted |= was_interrupted(bytes, (int)n);
	r = mnl_cb_run(bytes, n, 0, 0, each, data);
	*dump_done = r == MNL_CB_STOP;
	return r < 0 ? -errno : 0;
}

int netlink_send(struct mnl_socket *nl, void *bytes, size_t size, unsigned n)
{
	bool acked = false, interrupted = false;
	int r, first = 0;

	if (mnl_socket_sendto(nl, bytes, size) < 0)
		return -errno;
	while (n--) {
		r = read_ack(nl, NULL, NULL, &acked, &interrupted);
		if (r < 0 && !first)
			first = r;
	}
	return first;
}

int netlink_ask(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t each, void *data)
{
	bool done = false, interrupted = false;
	int r = 0;

	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	while (!done && r == 0)
		r = read_ack(nl, each, data, &done, &interrupted);
	return r ?: interrupted ? -EINTR : 0;
}

int netlink_dump(struct mnl_socket *nl, unsigned type, size_t header, mnl_cb_t each, void (*forget)(void *data), void *data)
{
	int r = -EINTR;

	for (unsigned tries = 0; r == -EINTR && tries < DUMP_TRIES; tries++) {
		char bytes[NETLINK_BYTES];
		struct nlmsghdr *h = netlink_request(bytes, type, NLM_F_DUMP);

		if (tries && forget)
			forget(data);
		mnl_nlmsg_put_extra_header(h, header);
		r = netlink_ask(nl, h, each, data);
	}
	return r;
}

/* ---- links ---- */

static int kind_attribute(const struct nlattr *a, void *data)
{
	struct link_info *link = data;

	if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
		snprintf(link->kind, sizeof link->kind, "%s", mnl_attr_get_str(a));
	return MNL_CB_OK;
}

static int link_attribute(const struct nlattr *a, void *data)
{
	struct link_info *link = data;

	switch (mnl_attr_get_type(a)) {
	case IFLA_IFNAME:
		snprintf(link->name, sizeof link->name, "%s", mnl_attr_get_str(a));
		break;
	case IFLA_IFALIAS:
		snprintf(link->alias, sizeof link->alias, "%s", mnl_attr_get_str(a));
		break;
	case IFLA_MTU:
		link->mtu = mnl_attr_get_u32(a);
		break;
	case IFLA_MASTER:
		link->master = (int)mnl_attr_get_u32(a);
		break;
	case IFLA_LINK:
		link->peer = (int)mnl_attr_get_u32(a);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(a) == sizeof link->mac)
			memcpy(link->mac, mnl_attr_get_payload(a), sizeof link->mac);
		break;
	case IFLA_LINKINFO:
		mnl_attr_parse_nested(a, kind_attribute, link);
		break;
	}
	return MNL_CB_OK;
}

void link_read(const struct nlmsghdr *h, struct link_info *link)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);

	memset(link, 0, sizeof *link);
	link->ifindex = info->ifi_index;
	link->flags = info->ifi_flags;
	mnl_attr_parse(h, sizeof *info, link_attribute, link);
}

bool link_is_up(const struct link_info *link)
{
	return (link->flags & IFF_UP) && (link->flags & IFF_LOWER_UP);
}

static int one_link(const struct nlmsghdr *h, void *data)
{
	link_read(h, data);
	return MNL_CB_OK;
}

int link_get(struct mnl_socket *nl, int ifindex, const char *name, struct link_info *link)
{
	char bytes[NETLINK_BYTES];
	struct nlmsghdr *h = netlink_link(bytes, RTM_GETLINK, 0, ifindex);

	if (!ifindex)
		mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return netlink_ask(nl, h, one_link, link);
}

void link_events(struct mnl_socket *events, struct mnl_socket *fresh, mnl_cb_t each, void *data)
{
	char bytes[32768];
	bool lost = false;
	ssize_t n;

	for (;;) {
		n = mnl_socket_recvfrom(events, bytes, sizeof bytes);
		if (n < 0 && errno == ENOBUFS) {
			lost = true;
			continue;
		}
		if (n <= 0)
			break;
		mnl_cb_run(bytes, n, 0, 0, each, data);
	}
	if (lost)
		netlink_dump(fresh, RTM_GETLINK, sizeof(struct ifinfomsg), each, NULL, data);
}

/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/network.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/checkpoint/owned.h"
#include "runtime/cleanup.h"
#include "runtime/engine/netlink.h"
#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/state.h"

#define NETNS_DIR "/run/netns"
#define NETNS_PATH_MAX (sizeof NETNS_DIR + NAME_MAX + 1)

/* ---- what is there ---- */

struct reading {
	struct network *network;
	uint32_t ifindex;
	int failed;
};

/* One more element of an array, zeroed; NULL: no memory, or too many. */
static void *grow(void *array, unsigned *n, size_t size, struct reading *r)
{
	char *longer = *n < NETWORK_MOST ? realloc(array, (*n + 1) * size) : NULL;

	if (!longer) {
		r->failed = *n < NETWORK_MOST ? ENOMEM : E2BIG;
		return NULL;
	}
	memset(longer + *n * size, 0, size);
	++*n;
	return longer;
}

static bool take_bytes(const struct nlattr *a, uint8_t family, uint8_t to[16])
{
	if (mnl_attr_get_payload_len(a) != network_address_bytes(family))
		return false;
	memcpy(to, mnl_attr_get_payload(a), network_address_bytes(family));
	return true;
}

/* Link-local IPv6 addresses come by themselves. */
static int read_address(const struct nlmsghdr *h, void *data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(h);
	struct network_address address = { .family = info->ifa_family, .prefix = info->ifa_prefixlen, .scope = info->ifa_scope };
	struct reading *r = data;
	struct network_address *longer;
	bool has_local = false, has_other = false;
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWADDR || info->ifa_index != r->ifindex || (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) ||
	    (info->ifa_family == AF_INET6 && info->ifa_scope == RT_SCOPE_LINK))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof *info) {
		switch (mnl_attr_get_type(a)) {
		case IFA_BROADCAST:
			address.has_broadcast = take_bytes(a, address.family, address.broadcast);
			break;
		case IFA_LOCAL:
			has_local = take_bytes(a, address.family, address.bytes);
			break;
		case IFA_ADDRESS:
			has_other = take_bytes(a, address.family, address.peer);
			break;
		}
	}
	if (!has_local)
		memcpy(address.bytes, address.peer, sizeof address.bytes);
	address.has_peer = has_other && memcmp(address.peer, address.bytes, sizeof address.peer) != 0;
	longer = has_local || has_other ? grow(r->network->addresses, &r->network->naddresses, sizeof address, r) : NULL;
	if (longer) {
		longer[r->network->naddresses - 1] = address;
		r->network->addresses = longer;
	}
	return MNL_CB_OK;
}

static int read_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(h);
	struct network_route route = {
		.family = info->rtm_family, .prefix = info->rtm_dst_len, .scope = info->rtm_scope, .protocol = info->rtm_protocol,
		.onlink = info->rtm_flags & RTNH_F_ONLINK,
	};
	struct reading *r = data;
	struct network_route *longer;
	const struct nlattr *a;
	uint32_t out = 0;

	if (h->nlmsg_type != RTM_NEWROUTE || info->rtm_table != RT_TABLE_MAIN || info->rtm_type != RTN_UNICAST ||
	    info->rtm_protocol == RTPROT_KERNEL || info->rtm_protocol == RTPROT_RA ||
	    (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) || (info->rtm_flags & RTM_F_CLONED))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof *info) {
		switch (mnl_attr_get_type(a)) {
		case RTA_OIF:
			out = mnl_attr_get_u32(a);
			break;
		case RTA_DST:
			take_bytes(a, route.family, route.to);
			break;
		case RTA_GATEWAY:
			route.has_via = take_bytes(a, route.family, route.via);
			break;
		case RTA_PREFSRC:
			route.has_source = take_bytes(a, route.family, route.source);
			break;
		case RTA_PRIORITY:
			route.metric = mnl_attr_get_u32(a);
			break;
		}
	}
	longer = out == r->ifindex ? grow(r->network->routes, &r->network->nroutes, sizeof route, r) : NULL;
	if (longer) {
		longer[r->network->nroutes - 1] = route;
		r->network->routes = longer;
	}
	return MNL_CB_OK;
}

static void forget_addresses(void *data)
{
	struct reading *r = data;

	r->network->naddresses = 0;
	r->failed = 0;
}

static void forget_routes(void *data)
{
	struct reading *r = data;

	r->network->nroutes = 0;
	r->failed = 0;
}

int network_read(struct network *network, struct mnl_socket *nl, uint32_t ifindex, struct error *e)
{
	struct reading r = { .network = network, .ifindex = ifindex };
	int err = netlink_dump(nl, RTM_GETADDR, sizeof(struct ifaddrmsg), read_address, forget_addresses, &r) ?: -r.failed ?:
		  netlink_dump(nl, RTM_GETROUTE, sizeof(struct rtmsg), read_route, forget_routes, &r) ?: -r.failed;

	return err ? fail(e, -err, "cannot read the addresses and routes of \"%s\"", network->device) : 0;
}

/* In the calling thread's network namespace. */
static int look_here(const struct owned *owned, struct network *network, const char *netns, struct error *e)
{
	auto_netlink struct mnl_socket *nl = netlink_open(0, e);
	struct link_info link;
	int err;

	if (!nl)
		return -e->code;
	err = link_get(nl, 0, network->device, &link);
	if (err && err != -ENODEV)
		return fail(e, -err, "cannot look at device \"%s\"", network->device);
	if (err || !owned_is(owned, &link))
		return 0;
	strcpy(network->netns, netns);
	network->up = link.flags & IFF_UP;
	network->mtu = link.mtu;
	memcpy(network->mac, link.mac, sizeof network->mac);
	if (link.master && !if_indextoname((unsigned)link.master, network->master))
		network->master[0] = '\0';
	network->known = true;
	return network_read(network, nl, (uint32_t)link.ifindex, e);
}

static int open_supervisors_netns(const struct vr_state *state, struct error *e)
{
	char path[40];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/ns/net", state->supervisor.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fail(e, errno, "cannot open the network namespace of \"%s\"'s supervisor", state->name) : fd;
}

/* A namespace that can't be entered is somebody's leftover, and nothing is in it. */
static int look_in(const char *name, const struct owned *owned, struct network *network, struct error *e)
{
	char path[NETNS_PATH_MAX];
	auto_close int fd = -1;

	if (!network_is_netns_name(name))
		return 0;
	snprintf(path, sizeof path, NETNS_DIR "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return 0;
	return look_here(owned, network, name, e);
}

static int look_everywhere(const struct vr_state *state, const struct owned *owned, struct network *network, struct error *e)
{
	auto_close int netns = open_supervisors_netns(state, e);
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	int err;

	if (netns < 0)
		return netns;
	if (setns(netns, CLONE_NEWNET) < 0)
		return fail(e, errno, "cannot enter the network namespace of \"%s\"'s supervisor", state->name);
	err = look_here(owned, network, "", e);
	dir = opendir(NETNS_DIR);
	while (!err && !network->known && dir && (entry = readdir(dir)))
		err = look_in(entry->d_name, owned, network, e);
	return err;
}

int network_note(const struct vr_state *state, unsigned vnic, struct network *network, struct error *e)
{
	struct owned owned;
	auto_close int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int err;

	memset(network, 0, sizeof *network);
	/* A link's other side is what its name says, not a device of this VR. */
	if (!state->vnic[vnic].device[0] || state->vnic[vnic].link)
		return 0;
	if (home < 0)
		return fail(e, errno, "cannot open the network namespace");
	strcpy(network->device, state->vnic[vnic].device);
	err = owned_find(state, vnic, &owned, e) ?: look_everywhere(state, &owned, network, e);
	if (setns(home, CLONE_NEWNET) < 0)
		return fail(e, errno, "cannot return to the network namespace");
	return err;
}

/* ---- making it again ---- */

static int send_link(struct mnl_socket *nl, struct nlmsghdr *h, const char *device, const char *what, struct error *e)
{
	int err = netlink_ask(nl, h, NULL, NULL);

	return err ? fail(e, -err, "cannot %s device \"%s\"", what, device) : 0;
}

static struct nlmsghdr *link_request(void *buffer, uint32_t ifindex, unsigned flags)
{
	struct nlmsghdr *h = netlink_request(buffer, RTM_NEWLINK, 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	info->ifi_index = (int)ifindex;
	info->ifi_flags = flags;
	info->ifi_change = flags;
	return h;
}

static int move_device(const char *device, const char *netns, int target, struct error *e)
{
	auto_netlink struct mnl_socket *nl = netlink_open(0, e);
	uint32_t ifindex = if_nametoindex(device);
	char buffer[256], quoted[NETWORK_NAME_MAX + 40];
	struct nlmsghdr *h;
	int err;

	if (!nl)
		return -e->code;
	if (!ifindex)
		return fail(e, errno, "cannot find device \"%s\"", device);
	quantity_quote(quoted, sizeof quoted, netns);
	h = link_request(buffer, ifindex, 0);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)target);
	err = netlink_ask(nl, h, NULL, NULL);
	return err ? fail(e, -err, "cannot move device \"%s\" to network namespace \"%s\"", device, quoted) : 0;
}

static int set_link(struct mnl_socket *nl, const struct network *n, const char *device, uint32_t ifindex, struct error *e)
{
	uint32_t master = n->master[0] ? if_nametoindex(n->master) : 0;
	char buffer[256];
	struct nlmsghdr *h = link_request(buffer, ifindex, n->up ? IFF_UP : 0);

	if (n->master[0] && !master)
		return fail(e, errno, "device \"%s\" was a port of \"%s\", which isn't here (--no-network leaves devices alone)", device, n->master);
	if (n->mtu)
		mnl_attr_put_u32(h, IFLA_MTU, n->mtu);
	mnl_attr_put(h, IFLA_ADDRESS, sizeof n->mac, n->mac);
	if (master)
		mnl_attr_put_u32(h, IFLA_MASTER, master);
	return send_link(nl, h, device, "set up", e);
}

static int add_address(struct mnl_socket *nl, const struct network_address *a, const char *device, uint32_t ifindex, struct error *e)
{
	char buffer[256];
	struct nlmsghdr *h = netlink_request(buffer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	*info = (struct ifaddrmsg){ .ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_scope = a->scope, .ifa_index = ifindex };
	/* No duplicate detection: the address was here before, and a router that waits for it loses packets. */
	if (a->family == AF_INET6)
		info->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(h, IFA_LOCAL, network_address_bytes(a->family), a->bytes);
	mnl_attr_put(h, IFA_ADDRESS, network_address_bytes(a->family), a->has_peer ? a->peer : a->bytes);
	if (a->has_broadcast)
		mnl_attr_put(h, IFA_BROADCAST, network_address_bytes(a->family), a->broadcast);
	return send_link(nl, h, device, "give an address to", e);
}

static int add_route(struct mnl_socket *nl, const struct network_route *r, const char *device, uint32_t ifindex, struct error *e)
{
	char buffer[512];
	struct nlmsghdr *h = netlink_request(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	*info = (struct rtmsg){
		.rtm_family = r->family, .rtm_dst_len = r->prefix, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = r->protocol,
		.rtm_scope = r->scope, .rtm_type = RTN_UNICAST, .rtm_flags = r->onlink ? RTNH_F_ONLINK : 0,
	};
	if (r->prefix)
		mnl_attr_put(h, RTA_DST, network_address_bytes(r->family), r->to);
	if (r->has_via)
		mnl_attr_put(h, RTA_GATEWAY, network_address_bytes(r->family), r->via);
	if (r->has_source)
		mnl_attr_put(h, RTA_PREFSRC, network_address_bytes(r->family), r->source);
	if (r->metric)
		mnl_attr_put_u32(h, RTA_PRIORITY, r->metric);
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	return send_link(nl, h, device, "give a route to", e);
}

/* None that is there already is replaced. Routes without a gateway first: those with one are found by them. */
static int add_routes(struct mnl_socket *nl, const struct network *n, bool with_gateway, const char *device, uint32_t ifindex, struct error *e)
{
	int err = 0;

	for (unsigned i = 0; i < n->nroutes && !err; i++)
		if (n->routes[i].has_via == with_gateway)
			err = add_route(nl, &n->routes[i], device, ifindex, e);
	return err;
}

/* Where the calling thread is. */
static int make_here(const struct network *n, const char *device, struct error *e)
{
	auto_netlink struct mnl_socket *nl = netlink_open(0, e);
	uint32_t ifindex = if_nametoindex(device);
	int err;

	if (!nl)
		return -e->code;
	if (!ifindex)
		return fail(e, errno, "cannot find device \"%s\"", device);
	err = set_link(nl, n, device, ifindex, e);
	for (unsigned i = 0; i < n->naddresses && !err; i++)
		err = add_address(nl, &n->addresses[i], device, ifindex, e);
	/* A device that is down takes no routes. */
	if (!err && n->up)
		err = add_routes(nl, n, false, device, ifindex, e) ?: add_routes(nl, n, true, device, ifindex, e);
	return err;
}

static int make_in(const struct network *n, const char *device, const char *netns, struct error *e)
{
	char path[NETNS_PATH_MAX], quoted[NETWORK_NAME_MAX + 40];
	auto_close int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), target = -1;
	int err;

	quantity_quote(quoted, sizeof quoted, netns);
	snprintf(path, sizeof path, NETNS_DIR "/%s", netns);
	target = open(path, O_RDONLY | O_CLOEXEC);
	if (home < 0 || target < 0)
		return fail(e, errno, "cannot open the network namespace \"%s\" where device \"%s\" was (--netns says another one, "
			    "--no-network leaves devices alone)", quoted, device);
	err = move_device(device, netns, target, e);
	if (err)
		return err;
	if (setns(target, CLONE_NEWNET) < 0)
		return fail(e, errno, "cannot enter the network namespace \"%s\"", quoted);
	err = make_here(n, device, e);
	if (setns(home, CLONE_NEWNET) < 0)
		return fail(e, errno, "cannot return to the network namespace");
	return err;
}

int network_make(const struct network *n, const char *device, const char *netns, struct error *e)
{
	netns = netns ? netns : n->netns;
	return netns[0] ? make_in(n, device, netns, e) : make_here(n, device, e);
}

/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/spec_json.h"
#include "runtime/state.h"

#define NETNS_DIR "/run/netns"
#define NETNS_PATH_MAX (sizeof NETNS_DIR + NAME_MAX + 1)
#define BUFFER    32768

void network_release(struct network *network)
{
	free(network->addresses);
	free(network->routes);
	memset(network, 0, sizeof *network);
}

bool network_is_netns_name(const char *name)
{
	return name[0] && strlen(name) < NETWORK_NAME_MAX && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static size_t address_bytes(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

/* ---- asking the kernel ---- */

static void close_netlink(struct mnl_socket **nl)
{
	if (*nl)
		mnl_socket_close(*nl);
}
#define auto_netlink __attribute__((cleanup(close_netlink)))

static struct mnl_socket *open_netlink(struct error *e)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		nl = NULL;
	}
	if (!nl)
		fail(e, errno, "cannot open a netlink socket");
	return nl;
}

static struct nlmsghdr *request(void *buffer, uint16_t type, uint16_t flags)
{
	static uint32_t sequence;
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	h->nlmsg_seq = ++sequence;
	return h;
}

/* Sends, and gives every answer to `each`. */
static int ask(struct mnl_socket *nl, const struct nlmsghdr *h, mnl_cb_t each, void *data)
{
	auto_free char *buffer = malloc(BUFFER);
	int r = MNL_CB_OK;

	if (!buffer)
		return -ENOMEM;
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(nl, buffer, BUFFER);

		if (n < 0)
			return -errno;
		r = mnl_cb_run(buffer, (size_t)n, h->nlmsg_seq, mnl_socket_get_portid(nl), each, data);
	}
	return r < 0 ? -errno : 0;
}

/* ---- what is there ---- */

struct reading {
	struct network *network;
	uint32_t ifindex;
	uint32_t master;
	int failed;
};

static int read_link(const struct nlmsghdr *h, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	struct reading *r = data;
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	r->network->up = info->ifi_flags & IFF_UP;
	mnl_attr_for_each(a, h, sizeof *info) {
		if (mnl_attr_get_type(a) == IFLA_MTU)
			r->network->mtu = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == IFLA_MASTER)
			r->master = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == IFLA_ADDRESS && mnl_attr_get_payload_len(a) == 6)
			memcpy(r->network->mac, mnl_attr_get_payload(a), 6);
	}
	return MNL_CB_OK;
}

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
	if (mnl_attr_get_payload_len(a) != address_bytes(family))
		return false;
	memcpy(to, mnl_attr_get_payload(a), address_bytes(family));
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

static int dump(struct mnl_socket *nl, uint16_t type, size_t header, mnl_cb_t each, struct reading *r)
{
	char buffer[256];
	struct nlmsghdr *h = request(buffer, type, NLM_F_DUMP);

	mnl_nlmsg_put_extra_header(h, header);
	return ask(nl, h, each, r) ?: -r->failed;
}

/* In the namespace where the device is. */
static int read_device(struct network *network, uint32_t ifindex, struct error *e)
{
	struct reading r = { .network = network, .ifindex = ifindex };
	auto_netlink struct mnl_socket *nl = open_netlink(e);
	char buffer[256];
	struct nlmsghdr *h = request(buffer, RTM_GETLINK, 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);
	int err;

	if (!nl)
		return -e->code;
	info->ifi_index = (int)ifindex;
	err = ask(nl, h, read_link, &r) ?: dump(nl, RTM_GETADDR, sizeof(struct ifaddrmsg), read_address, &r) ?:
	      dump(nl, RTM_GETROUTE, sizeof(struct rtmsg), read_route, &r);
	if (err)
		return fail(e, -err, "cannot read the addresses and routes of \"%s\"", network->device);
	if (r.master && !if_indextoname(r.master, network->master))
		network->master[0] = '\0';
	network->known = true;
	return 0;
}

static int look_here(struct network *network, const char *netns, struct error *e)
{
	uint32_t ifindex = if_nametoindex(network->device);

	if (!ifindex)
		return 0;
	strcpy(network->netns, netns);
	return read_device(network, ifindex, e);
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
static int look_in(const char *name, struct network *network, struct error *e)
{
	char path[NETNS_PATH_MAX];
	auto_close int fd = -1;

	if (!network_is_netns_name(name))
		return 0;
	snprintf(path, sizeof path, NETNS_DIR "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return 0;
	return look_here(network, name, e);
}

static int look_everywhere(const struct vr_state *state, struct network *network, struct error *e)
{
	auto_close int netns = open_supervisors_netns(state, e);
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	int err;

	if (netns < 0)
		return netns;
	if (setns(netns, CLONE_NEWNET) < 0)
		return fail(e, errno, "cannot enter the network namespace of \"%s\"'s supervisor", state->name);
	err = look_here(network, "", e);
	dir = opendir(NETNS_DIR);
	while (!err && !network->known && dir && (entry = readdir(dir)))
		err = look_in(entry->d_name, network, e);
	return err;
}

int network_note(const struct vr_state *state, unsigned vnic, struct network *network, struct error *e)
{
	auto_close int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int err;

	memset(network, 0, sizeof *network);
	/* A link's other side is what its name says, not a device of this VR. */
	if (!state->vnic[vnic].device[0] || state->vnic[vnic].link)
		return 0;
	if (home < 0)
		return fail(e, errno, "cannot open the network namespace");
	strcpy(network->device, state->vnic[vnic].device);
	err = look_everywhere(state, network, e);
	if (setns(home, CLONE_NEWNET) < 0)
		return fail(e, errno, "cannot return to the network namespace");
	return err;
}

/* ---- making it again ---- */

static int send_link(struct mnl_socket *nl, struct nlmsghdr *h, const char *device, const char *what, struct error *e)
{
	int err = ask(nl, h, NULL, NULL);

	return err ? fail(e, -err, "cannot %s device \"%s\"", what, device) : 0;
}

static struct nlmsghdr *link_request(void *buffer, uint32_t ifindex, unsigned flags)
{
	struct nlmsghdr *h = request(buffer, RTM_NEWLINK, 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	info->ifi_index = (int)ifindex;
	info->ifi_flags = flags;
	info->ifi_change = flags;
	return h;
}

static int move_device(const char *device, const char *netns, int target, struct error *e)
{
	auto_netlink struct mnl_socket *nl = open_netlink(e);
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
	err = ask(nl, h, NULL, NULL);
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
	struct nlmsghdr *h = request(buffer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	*info = (struct ifaddrmsg){ .ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_scope = a->scope, .ifa_index = ifindex };
	/* No duplicate detection: the address was here before, and a router that waits for it loses packets. */
	if (a->family == AF_INET6)
		info->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(h, IFA_LOCAL, address_bytes(a->family), a->bytes);
	mnl_attr_put(h, IFA_ADDRESS, address_bytes(a->family), a->has_peer ? a->peer : a->bytes);
	if (a->has_broadcast)
		mnl_attr_put(h, IFA_BROADCAST, address_bytes(a->family), a->broadcast);
	return send_link(nl, h, device, "give an address to", e);
}

static int add_route(struct mnl_socket *nl, const struct network_route *r, const char *device, uint32_t ifindex, struct error *e)
{
	char buffer[512];
	struct nlmsghdr *h = request(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	*info = (struct rtmsg){
		.rtm_family = r->family, .rtm_dst_len = r->prefix, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = r->protocol,
		.rtm_scope = r->scope, .rtm_type = RTN_UNICAST, .rtm_flags = r->onlink ? RTNH_F_ONLINK : 0,
	};
	if (r->prefix)
		mnl_attr_put(h, RTA_DST, address_bytes(r->family), r->to);
	if (r->has_via)
		mnl_attr_put(h, RTA_GATEWAY, address_bytes(r->family), r->via);
	if (r->has_source)
		mnl_attr_put(h, RTA_PREFSRC, address_bytes(r->family), r->source);
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
	auto_netlink struct mnl_socket *nl = open_netlink(e);
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

/* ---- JSON ---- */

static json_t *bytes_json(uint8_t family, const uint8_t bytes[16])
{
	char text[INET6_ADDRSTRLEN];

	return json_string(inet_ntop(family, bytes, text, sizeof text) ? text : "");
}

static json_t *prefix_json(uint8_t family, const uint8_t bytes[16], unsigned prefix)
{
	char text[INET6_ADDRSTRLEN + 4] = "";

	if (inet_ntop(family, bytes, text, INET6_ADDRSTRLEN))
		sprintf(text + strlen(text), "/%u", prefix);
	return json_string(text);
}

static json_t *address_json(const struct network_address *a)
{
	return json_pack("{s:o, s:o, s:i, s:o*}", "address", prefix_json(a->family, a->bytes, a->prefix),
			 "broadcast", a->has_broadcast ? bytes_json(a->family, a->broadcast) : json_null(), "scope", (int)a->scope,
			 "peer", a->has_peer ? bytes_json(a->family, a->peer) : NULL);
}

static json_t *route_json(const struct network_route *r)
{
	return json_pack("{s:o, s:o, s:o, s:I, s:i, s:i, s:o*}", "to", prefix_json(r->family, r->to, r->prefix),
			 "via", r->has_via ? bytes_json(r->family, r->via) : json_null(),
			 "source", r->has_source ? bytes_json(r->family, r->source) : json_null(),
			 "metric", (json_int_t)r->metric, "scope", (int)r->scope, "protocol", (int)r->protocol,
			 "onlink", r->onlink ? json_true() : NULL);
}

json_t *network_json(const struct network *n)
{
	json_t *addresses, *routes;
	char mac[18];

	if (!n->known)
		return json_null();
	addresses = json_array();
	routes = json_array();
	for (unsigned i = 0; i < n->naddresses; i++)
		json_array_append_new(addresses, address_json(&n->addresses[i]));
	for (unsigned i = 0; i < n->nroutes; i++)
		json_array_append_new(routes, route_json(&n->routes[i]));
	mac_print(n->mac, mac);
	return json_pack("{s:s, s:s, s:b, s:s, s:I, s:s, s:o, s:o}", "device", n->device, "netns", n->netns, "up", n->up,
			 "master", n->master, "mtu", (json_int_t)n->mtu, "mac", mac, "addresses", addresses, "routes", routes);
}

static int parse_bytes(const char *text, uint8_t *family, uint8_t bytes[16], struct error *e)
{
	char quoted[80];

	*family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(*family, text, bytes) == 1)
		return 0;
	return refuse(e, "\"%s\": expected an address", quantity_quote(quoted, sizeof quoted, text));
}

static int parse_prefix(const char *text, uint8_t *family, uint8_t bytes[16], uint8_t *prefix, struct error *e)
{
	char address[INET6_ADDRSTRLEN] = "", quoted[80];
	const char *slash = strchr(text, '/');
	uint64_t n;

	if (slash && (size_t)(slash - text) < sizeof address)
		memcpy(address, text, (size_t)(slash - text));
	if (!address[0] || parse_bytes(address, family, bytes, NULL) < 0 ||
	    !quantity_number(slash + 1, 0, 8 * address_bytes(*family), &n))
		return refuse(e, "\"%s\": expected ADDRESS/PREFIX", quantity_quote(quoted, sizeof quoted, text));
	*prefix = (uint8_t)n;
	return 0;
}

/* Null, or an address of that family. */
static int parse_hop(json_t *json, uint8_t family, uint8_t bytes[16], bool *has, struct error *e)
{
	uint8_t is;
	int err;

	if (json_is_null(json))
		return 0;
	if (!json_is_string(json))
		return refuse(e, "expected an address or null");
	err = parse_bytes(json_string_value(json), &is, bytes, e);
	if (!err && is != family)
		return refuse(e, "expected addresses of one family");
	*has = !err;
	return err;
}

static int parse_address(json_t *json, struct network_address *a, struct error *e)
{
	json_t *broadcast, *peer = NULL;
	json_error_t error;
	const char *text;
	json_int_t scope;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:s, s:o, s:I, s?o}", "address", &text, "broadcast", &broadcast, "scope", &scope,
			   "peer", &peer) < 0)
		return json_complaint(&error, e);
	a->scope = (uint8_t)scope;
	return json_in_range("scope", scope, 0, 255, e) ?: parse_prefix(text, &a->family, a->bytes, &a->prefix, e) ?:
	       parse_hop(broadcast, a->family, a->broadcast, &a->has_broadcast, e) ?:
	       (peer ? parse_hop(peer, a->family, a->peer, &a->has_peer, e) : 0);
}

static int parse_route(json_t *json, struct network_route *r, struct error *e)
{
	json_int_t metric, scope, protocol;
	json_t *via, *source;
	json_error_t error;
	const char *to;
	int onlink = 0;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:s, s:o, s:o, s:I, s:I, s:I, s?b}", "to", &to, "via", &via, "source", &source,
			   "metric", &metric, "scope", &scope, "protocol", &protocol, "onlink", &onlink) < 0)
		return json_complaint(&error, e);
	if (json_in_range("metric", metric, 0, UINT32_MAX, e) || json_in_range("scope", scope, 0, 255, e) ||
	    json_in_range("protocol", protocol, 0, 255, e))
		return -EINVAL;
	r->metric = (uint32_t)metric;
	r->scope = (uint8_t)scope;
	r->protocol = (uint8_t)protocol;
	r->onlink = onlink;
	return parse_prefix(to, &r->family, r->to, &r->prefix, e) ?: parse_hop(via, r->family, r->via, &r->has_via, e) ?:
	       parse_hop(source, r->family, r->source, &r->has_source, e);
}

static int parse_lists(json_t *addresses, json_t *routes, struct network *n, struct error *e)
{
	size_t naddresses = json_array_size(addresses), nroutes = json_array_size(routes);
	int err = 0;

	if (!json_is_array(addresses) || !json_is_array(routes) || naddresses > NETWORK_MOST || nroutes > NETWORK_MOST)
		return refuse(e, "addresses, routes: expected arrays of at most %d", NETWORK_MOST);
	n->addresses = calloc(naddresses + 1, sizeof *n->addresses);
	n->routes = calloc(nroutes + 1, sizeof *n->routes);
	if (!n->addresses || !n->routes)
		return fail(e, ENOMEM, "cannot keep addresses and routes");
	for (; n->naddresses < naddresses && !err; n->naddresses++)
		err = parse_address(json_array_get(addresses, n->naddresses), &n->addresses[n->naddresses], e);
	for (; n->nroutes < nroutes && !err; n->nroutes++)
		err = parse_route(json_array_get(routes, n->nroutes), &n->routes[n->nroutes], e);
	return err;
}

int network_parse(json_t *json, struct network *n, struct error *e)
{
	const char *device, *netns, *master, *mac;
	json_t *addresses, *routes;
	json_error_t error;
	json_int_t mtu;
	int up;

	if (json_is_null(json))
		return 0;
	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:s, s:s, s:b, s:s, s:I, s:s, s:o, s:o}", "device", &device, "netns", &netns,
			   "up", &up, "master", &master, "mtu", &mtu, "mac", &mac, "addresses", &addresses, "routes", &routes) < 0)
		return json_complaint(&error, e);
	if (!quantity_device_name(device) || (*master && !quantity_device_name(master)))
		return refuse(e, "device, master: expected a net device's name");
	if (*netns && !network_is_netns_name(netns))
		return refuse(e, "netns: expected a network namespace's name");
	if (!quantity_mac(mac, n->mac))
		return refuse(e, "mac: expected a MAC address");
	if (json_in_range("mtu", mtu, 0, 65535, e))
		return -EINVAL;
	strcpy(n->device, device);
	strcpy(n->master, master);
	strcpy(n->netns, netns);
	n->up = up;
	n->mtu = (uint32_t)mtu;
	n->known = true;
	return parse_lists(addresses, routes, n, e);
}

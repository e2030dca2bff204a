// SPDX-License-Identifier: MIT
#include "runtime/engine/device.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "core/name.h"
#include "runtime/cleanup.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/log.h"
#include "runtime/engine/member.h"
#include "runtime/engine/netlink.h"
#include "runtime/engine/offload.h"
#include "runtime/engine/port.h"

#define CLAIM_MS       10000    /* a VR whose switch was killed comes back within this */
#define ALIAS_MAX      (sizeof ((struct link_info *)0)->alias)

struct leftover {
	int ifindex;
	char alias[ALIAS_MAX];
};

struct devices {
	struct mnl_socket *requests, *events;
	int netns;                      /* the switch's own: engine->hidden */
	unsigned next_number;           /* names of the switch's ends: p1, p2, ... */
	struct leftover *leftovers;
	unsigned nleftovers;
	int64_t due_ms;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* ---- the namespace ---- */

static int write_text(const char *path, const char *text)
{
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) > 0 ? 0 : -errno;
}

static bool enter_namespace(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct statfs fs;

	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC && setns(fd, CLONE_NEWNET) == 0;
}

static int make_namespace(const char *path, struct error *e)
{
	auto_close int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail(e, errno, "cannot make \"%s\"", path);
	if (unshare(CLONE_NEWNET) < 0)
		return fail(e, errno, "cannot make a network namespace");
	/* Where the kernel has no IPv6, there is nothing to switch off. */
	write_text("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_text("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	if (mount("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL) < 0)
		return fail(e, errno, "cannot mount the network namespace at \"%s\"", path);
	return 0;
}

static int open_namespace(const char *run_dir, struct error *e)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/netns", run_dir);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fail(e, errno, "cannot make \"%s\"", path);
	snprintf(path, sizeof path, "%s/netns/switch", run_dir);
	return enter_namespace(path) ? 0 : make_namespace(path, e);
}

static void remove_namespace(const char *run_dir)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/netns/switch", run_dir);
	umount2(path, MNT_DETACH);
	unlink(path);
	snprintf(path, sizeof path, "%s/netns", run_dir);
	rmdir(path);
}

/* ---- what is there ---- */

static int remember_leftover(const struct nlmsghdr *h, void *data)
{
	struct devices *d = data;
	struct leftover *more;
	struct link_info link;
	unsigned number;

	link_read(h, &link);
	if (sscanf(link.name, "p%u", &number) == 1 && number >= d->next_number)
		d->next_number = number + 1;
	if (link.flags & IFF_LOOPBACK)
		return MNL_CB_OK;
	more = realloc(d->leftovers, (d->nleftovers + 1) * sizeof *more);
	if (!more)
		return MNL_CB_OK;
	d->leftovers = more;
	more = &more[d->nleftovers++];
	more->ifindex = link.ifindex;
	memcpy(more->alias, link.alias, sizeof more->alias);
	return MNL_CB_OK;
}

static void forget_leftovers(void *data)
{
	((struct devices *)data)->nleftovers = 0;
}

static int find_leftovers(struct devices *d, struct error *e)
{
	int r = netlink_dump(d->requests, RTM_GETLINK, sizeof(struct ifinfomsg), remember_leftover, forget_leftovers, d);

	if (r < 0)
		return fail(e, -r, "cannot list the switch's devices");
	d->due_ms = now_ms() + CLAIM_MS;
	return 0;
}

int devices_leftovers_due(const struct devices *d)
{
	int64_t left = d->due_ms - now_ms();

	return !d->nleftovers ? -1 : left < 0 ? 0 : (int)left;
}

void devices_sweep(struct devices *d)
{
	if (devices_leftovers_due(d) != 0)
		return;
	while (d->nleftovers) {
		struct leftover *l = &d->leftovers[--d->nleftovers];

		note("nobody has claimed the device of \"%s\": removed", l->alias);
		device_remove(d, l->ifindex);
	}
}

/* The pair that the last switch made for this vNIC, or 0. */
static int claim(struct devices *d, const char *name, unsigned vnic)
{
	char alias[ALIAS_MAX];
	unsigned i;

	snprintf(alias, sizeof alias, DEVICE_ALIAS, name, vnic);
	for (i = 0; i < d->nleftovers; i++) {
		if (!strcmp(d->leftovers[i].alias, alias)) {
			int ifindex = d->leftovers[i].ifindex;

			d->leftovers[i] = d->leftovers[--d->nleftovers];
			return ifindex;
		}
	}
	return 0;
}

/* ---- addresses ---- */

static void choose_mac(const char *name, unsigned vnic, u8 first, __u8 mac[6])
{
	auto_close int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	char id[64];
	ssize_t n = fd >= 0 ? read(fd, id, sizeof id) : 0;

	name_address(id, n > 0 ? n : 0, name, vnic, first, mac);
}

void device_choose_mac(const char *name, unsigned vnic, __u8 mac[6])
{
	choose_mac(name, vnic, NAME_ADDRESS_VR, mac);
}

/* ---- making and removing ---- */

/*
 * The switch's end, of which no more can be said when it is made: a veth device that is made as the other one's
 * peer can't be up yet.
 */
static void put_peer(struct nlmsghdr *h, const struct europa_attach *a, const char *name, int netns)
{
	struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO), *data, *peer;

	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	mnl_attr_put_u32(h, IFLA_MTU, a->mtu);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, netns);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
}

/* The user's end: in the VR's namespace, with an address of its own, up. */
static struct nlmsghdr *put_pair(void *bytes, const struct member *m, const struct europa_attach *a, const char *name, int netns)
{
	struct nlmsghdr *h = netlink_link(bytes, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	u8 mac[6];

	info->ifi_flags = info->ifi_change = IFF_UP;
	choose_mac(m->name, a->vnic, NAME_ADDRESS_DEVICE, mac);
	mnl_attr_put_strz(h, IFLA_IFNAME, a->device);
	mnl_attr_put(h, IFLA_ADDRESS, sizeof mac, mac);
	mnl_attr_put_u32(h, IFLA_MTU, a->mtu);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, m->netns);
	put_peer(h, a, name, netns);
	return h;
}

/* The switch's end again: up, without ARP, and whose it is. */
static struct nlmsghdr *put_owner(void *bytes, const struct member *m, const struct europa_attach *a, const char *name)
{
	struct nlmsghdr *h = netlink_link(bytes, RTM_SETLINK, 0, 0);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	char alias[ALIAS_MAX];

	info->ifi_flags = info->ifi_change = IFF_UP | IFF_NOARP;
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	mnl_attr_put_u32(h, IFLA_GROUP, m->group);
	snprintf(alias, sizeof alias, DEVICE_ALIAS, m->name, a->vnic);
	mnl_attr_put_strz(h, IFLA_IFALIAS, alias);
	return h;
}

/* Half a pair is none. */
static void remove_by_name(struct devices *d, const char *name)
{
	char bytes[NETLINK_BYTES];
	struct nlmsghdr *h = netlink_link(bytes, RTM_DELLINK, 0, 0);

	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	netlink_send(d->requests, bytes, h->nlmsg_len, 1);
}

/* Whose the pair is comes last: one that was left half made is nobody's. */
static int create(struct devices *d, const struct member *m, const struct europa_attach *a, struct link_info *link, struct error *e)
{
	char bytes[NETLINK_BYTES], name[IFNAMSIZ];
	int r;

	snprintf(name, sizeof name, "p%u", d->next_number++);
	r = netlink_send(d->requests, bytes, put_pair(bytes, m, a, name, d->netns)->nlmsg_len, 1);
	if (r == 0 && a->kind == EUROPA_PORT_XDP)
		r = offload_end(m->netns, d->netns, a->device, e);
	if (r == 0)
		r = netlink_send(d->requests, bytes, put_owner(bytes, m, a, name)->nlmsg_len, 1);
	if (r == 0)
		r = link_get(d->requests, 0, name, link);
	if (r < 0)
		remove_by_name(d, name);
	return r;
}

static int adopt_group(struct devices *d, const struct member *m, int ifindex)
{
	char bytes[NETLINK_BYTES];
	struct nlmsghdr *h = netlink_link(bytes, RTM_SETLINK, 0, ifindex);

	mnl_attr_put_u32(h, IFLA_GROUP, m->group);
	return netlink_send(d->requests, bytes, h->nlmsg_len, 1);
}

int device_create(struct devices *d, const struct member *m, struct europa_attach *a, int *ifindex, bool *up, struct error *e)
{
	static const u8 none[6];
	int left = claim(d, m->name, a->vnic);
	bool wanted = a->device[0];
	struct link_info link;
	unsigned turn = 0;
	int r;

	if (!wanted)
		name_device(m->name, a->vnic, turn, a->device);
	if (!a->mtu)
		a->mtu = 1500;
	if (!memcmp(a->mac, none, sizeof none))
		device_choose_mac(m->name, a->vnic, a->mac);

	if (left && m->adopted && adopt_group(d, m, left) == 0 && link_get(d->requests, left, NULL, &link) == 0) {
		*ifindex = left;
		*up = link_is_up(&link);
		return 0;
	}
	if (left)
		device_remove(d, left);

	do
		r = create(d, m, a, &link, e);
	while (r == -EEXIST && !wanted && name_device(m->name, a->vnic, ++turn, a->device));
	if (r == -EEXIST)
		return fail(e, EEXIST, "cannot make device \"%s\" for vNIC %u", a->device, a->vnic);
	if (r < 0)
		return fail(e, -r, "cannot make veth device \"%s\" with MTU %u", a->device, a->mtu);
	*ifindex = link.ifindex;
	*up = link_is_up(&link);
	return 0;
}

void device_remove(struct devices *d, int ifindex)
{
	char bytes[NETLINK_BYTES];
	struct nlmsghdr *h = netlink_link(bytes, RTM_DELLINK, 0, ifindex);
	int r = netlink_send(d->requests, bytes, h->nlmsg_len, 1);

	if (r < 0 && r != -ENODEV)
		note("cannot remove device %d: %s", ifindex, strerror(-r));
}

/* All at once by their group: the kernel waits once for all of them, and not once for each. */
void device_remove_all(struct devices *d, const struct member *m)
{
	char bytes[NETLINK_BYTES];
	struct nlmsghdr *h = netlink_link(bytes, RTM_DELLINK, 0, 0);
	int r;

	mnl_attr_put_u32(h, IFLA_GROUP, m->group);
	r = netlink_send(d->requests, bytes, h->nlmsg_len, 1);
	if (r < 0 && r != -ENODEV)
		note("%s: cannot remove the devices: %s", m->name, strerror(-r));
}

/* ---- carrier ---- */

static struct port *port_of(const struct engine *engine, int ifindex)
{
	struct member *m;
	u32 left;

	for (m = engine->members; m; m = m->next) {
		for (left = m->attached; left; left &= left - 1) {
			struct port *port = m->ports[__builtin_ctz(left)];

			if (port->ifindex == ifindex)
				return port;
		}
	}
	return NULL;
}

static int link_changed(const struct nlmsghdr *h, void *data)
{
	struct engine *engine = data;
	struct port *port;
	struct link_info link;
	bool up;

	if (h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK)
		return MNL_CB_OK;
	link_read(h, &link);
	port = link.ifindex ? port_of(engine, link.ifindex) : NULL;
	if (!port)
		return MNL_CB_OK;
	up = h->nlmsg_type == RTM_NEWLINK && link_is_up(&link);
	if (up != port->up) {
		engine_lock(engine);
		port_set_up(port, up);
		engine_unlock(engine);
	}
	if (h->nlmsg_type == RTM_DELLINK)
		note("%s: the device of vNIC %u was removed by somebody else", port->member->name, port->vnic);
	return MNL_CB_OK;
}

void devices_dispatch(struct engine *engine)
{
	link_events(engine->devices->events, engine->devices->requests, link_changed, engine);
}

/* ---- life ---- */

int devices_open(struct engine *engine, const char *run_dir, struct error *e)
{
	struct devices *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return fail(e, ENOMEM, "devices");
	r = open_namespace(run_dir, e);
	if (r < 0) {
		free(d);
		return r;
	}
	engine->devices = d;
	engine->hidden = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (engine->hidden < 0)
		return fail(e, errno, "cannot open the switch's network namespace");
	d->netns = engine->hidden;
	d->requests = netlink_open(0, e);
	d->events = netlink_open(RTMGRP_LINK, e);
	if (!d->requests || !d->events)
		return -e->code;
	r = engine_watch_links(engine, mnl_socket_get_fd(d->events), e);
	return r < 0 ? r : find_leftovers(d, e);
}

void devices_close(struct engine *engine, const char *run_dir)
{
	struct devices *d = engine->devices;

	if (!d)
		return;
	if (run_dir) {
		d->due_ms = 0;
		devices_sweep(d);
		remove_namespace(run_dir);
	}
	if (d->requests)
		mnl_socket_close(d->requests);
	if (d->events)
		mnl_socket_close(d->events);
	free(d->leftovers);
	free(d);
	engine->devices = NULL;
}

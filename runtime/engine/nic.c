// SPDX-License-Identifier: MIT
#include "runtime/engine/nic.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/log.h"
#include "runtime/engine/netlink.h"
#include "runtime/engine/packet.h"
#include "runtime/engine/port.h"
#include "runtime/engine/rules.h"
#include "runtime/error.h"

#define SUPER_MAX  (65536 + 64)
#define LOOK_MAX   512u             /* bytes of a frame that a filter may need, where its tag has to be put back for it */

/* ---- life ---- */

static struct nic *find_nic(const struct engine *engine, const struct stat *netns, int ifindex)
{
	struct nic *nic;

	for (nic = engine->nics; nic; nic = nic->next) {
		if (nic->netns_dev == netns->st_dev && nic->netns_ino == netns->st_ino && nic->ifindex == ifindex)
			return nic;
	}
	return NULL;
}

/* In the device's namespace. */
static int open_sockets(struct nic *nic, struct error *e)
{
	struct link_info link;
	int r;

	nic->requests = netlink_open(0, e);
	nic->events = netlink_open(RTMGRP_LINK, e);
	if (!nic->requests || !nic->events)
		return -e->code;
	r = link_get(nic->requests, 0, nic->name, &link);
	if (r == -ENODEV)
		return refuse(e, "there is no device \"%s\" to share", nic->name);
	if (r < 0)
		return fail(e, -r, "cannot look at device \"%s\"", nic->name);
	nic->ifindex = link.ifindex;
	nic->mtu = link.mtu;
	nic->up = link_is_up(&link);
	return 0;
}

static int open_wire(struct nic *nic, struct error *e)
{
	int r = packet_open(&nic->socket, PACKET_FRAMES_SHARED, e);

	if (r == 0)
		r = packet_bind(nic->socket, nic->ifindex, true, e);
	if (r == 0)
		r = engine_watch_links(nic->engine, mnl_socket_get_fd(nic->events), e);
	return r;
}

static struct nic *make_nic(struct engine *engine, const struct stat *netns, const char *device)
{
	struct nic *nic = calloc(1, sizeof *nic);
	void *memory = malloc(classifier_memory());

	if (!nic || !memory) {
		free(nic);
		free(memory);
		return NULL;
	}
	nic->classifier = classifier_init(memory, rule_run_filter);
	nic->bounce = malloc(SUPER_MAX);
	nic->engine = engine;
	nic->netns_dev = netns->st_dev;
	nic->netns_ino = netns->st_ino;
	snprintf(nic->name, sizeof nic->name, "%s", device);
	return nic;
}

/* What no frame has come to tell, and what waits. */
static u64 lost_at_last(const struct packet_socket *socket)
{
	return (u64)packet_lost(socket) + packet_unsent(socket);
}

void nic_close(struct nic *nic)
{
	if (nic->socket)
		nic->lost += lost_at_last(nic->socket);
	if (nic->lost)
		note("%s: the kernel dropped %llu frames of which nobody knows whose they were", nic->name, (unsigned long long)nic->lost);
	if (nic->socket)
		packet_close(nic->socket);
	if (nic->events)
		mnl_socket_close(nic->events);
	if (nic->requests)
		mnl_socket_close(nic->requests);
	free(nic->classifier);
	free(nic->bounce);
	free(nic);
}

/* A larger one stays the host's: the VR was told another one. */
static void set_mtu(struct nic *nic, unsigned mtu)
{
	unsigned i;

	nic->mtu = mtu;
	for (i = 0; i < CLASSIFY_MAX_TARGETS; i++) {
		struct port *port = nic->targets[i];
		struct europa_vnic *vnic = port ? &port->member->vr.vnics[port->vnic] : NULL;

		if (vnic && READ_ONCE(vnic->mtu) > mtu)
			WRITE_ONCE(vnic->mtu, mtu);
	}
}

static int enter(int netns, struct error *e)
{
	return setns(netns, CLONE_NEWNET) < 0 ? fail(e, errno, "cannot enter the network namespace") : 0;
}

static int open_nic(struct nic *nic, const struct stat *netns, struct nic **known, struct error *e)
{
	int r = nic->bounce ? open_sockets(nic, e) : fail(e, ENOMEM, "device \"%s\"", nic->name);

	if (r < 0)
		return r;
	*known = find_nic(nic->engine, netns, nic->ifindex);
	return *known ? 0 : open_wire(nic, e);
}

int nic_get(struct engine *engine, int netns, const char *device, struct nic **nic_, struct error *e)
{
	struct nic *nic, *known = NULL;
	struct stat st;
	int r;

	if (fstat(netns, &st) < 0)
		return fail(e, errno, "the network namespace");
	nic = make_nic(engine, &st, device);
	if (!nic)
		return fail(e, ENOMEM, "device \"%s\"", device);
	r = enter(netns, e);
	if (r == 0)
		r = open_nic(nic, &st, &known, e);
	if (setns(engine->hidden, CLONE_NEWNET) < 0)
		abort();                /* in a namespace of somebody else's there is nothing right to do */
	if (known)
		set_mtu(known, nic->mtu);
	if (r < 0 || known) {
		nic_close(nic);
		nic = known;
	}
	if (r < 0)
		return r;
	engine_lock(engine);
	nic->users++;
	if (!known) {
		nic->next = engine->nics;
		engine->nics = nic;
		engine->generation++;
	}
	engine_unlock(engine);
	*nic_ = nic;
	return 0;
}

bool nic_put(struct nic *nic)
{
	struct nic **at = &nic->engine->nics;

	if (--nic->users)
		return false;
	while (*at != nic)
		at = &(*at)->next;
	*at = nic->next;
	nic->engine->generation++;
	return true;
}

/* ---- receive ---- */

/* A filter is written for frames as they are on the wire: with their tag. */
static u32 classify_tagged(const struct nic *nic, const u8 *frame, u32 len, const struct europa_slot *meta, u16 *targets)
{
	const u32 whole_len = meta->len + 4;
	u8 tagged[LOOK_MAX + 4];

	if (len > LOOK_MAX)
		len = LOOK_MAX;
	memcpy(tagged, frame, 12);
	tagged[12] = meta->vlan_proto >> 8;
	tagged[13] = meta->vlan_proto;
	tagged[14] = meta->vlan_tci >> 8;
	tagged[15] = meta->vlan_tci;
	memcpy(tagged + 16, frame + 12, len - 12);
	return classify(nic->classifier, tagged, len + 4, &whole_len, -1, targets);
}

/* len: of what is at `frame`, all of it or its beginning. */
static u32 whose(const struct nic *nic, const u8 *frame, u32 len, const struct europa_slot *meta, u16 *targets)
{
	if (likely(!(meta->flags & EUROPA_SLOT_VLAN)))
		return classify(nic->classifier, frame, len, &meta->len, -1, targets);
	if (nic->filters && len >= 14)
		return classify_tagged(nic, frame, len, meta, targets);
	return classify(nic->classifier, frame, len, &meta->len, meta->vlan_tci, targets);
}

/* As many copies of a frame cost more than one. */
static u32 copies_cost(u32 len, u32 n)
{
	return n > 1 ? n * rx_cost(len) : rx_cost(len);
}

static void deliver_to_all(struct nic *nic, const u8 *frame, const struct europa_slot *meta, const u16 *targets, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		if (nic->targets[targets[i]])
			port_deliver(nic->targets[targets[i]], frame, meta);
	}
}

static void drop_for_all(struct nic *nic, enum europa_drop cause, const u16 *targets, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		if (nic->targets[targets[i]])
			port_drop(nic->targets[targets[i]], cause, 1);
	}
}

/*
 * More than one wants it: it is fetched once, and not into anybody's pool, where it could change before the next
 * one has it.
 */
static void spread_queued(struct nic *nic, const struct packet_frame *frame, const u16 *targets, u32 n)
{
	struct europa_slot meta;

	if (!packet_fetch(nic->socket, nic->bounce, SUPER_MAX, &meta)) {
		drop_for_all(nic, EUROPA_DROP_RX_TOO_LONG, targets, n);
		return;
	}
	meta.tstamp_us = frame->meta.tstamp_us;
	deliver_to_all(nic, nic->bounce, &meta, targets, n);
}

/* Returns what it cost. */
static u32 receive_one(struct nic *nic, const struct packet_frame *frame)
{
	u16 targets[CLASSIFY_MAX_TARGETS];
	u32 n = whose(nic, frame->data, frame->held, &frame->meta, targets);

	if (n == 1 && nic->targets[targets[0]])
		packet_deliver(nic->socket, frame, nic->targets[targets[0]]);
	else if (frame->held == frame->meta.len)
		deliver_to_all(nic, frame->data, &frame->meta, targets, n);
	else if (frame->queued && n)
		spread_queued(nic, frame, targets, n);
	else if (frame->queued)
		packet_discard(nic->socket);
	else
		drop_for_all(nic, EUROPA_DROP_RX_NO_RUN, targets, n);   /* too many super-packets wait on the socket */
	return copies_cost(frame->meta.len, n);
}

unsigned nic_receive(struct nic *nic, unsigned budget)
{
	struct packet_frame frame;
	bool losing = false;
	unsigned cost = 0;

	nic->lost += packet_push(nic->socket);
	while (cost < budget && packet_peek(nic->socket, &frame)) {
		losing |= frame.losing;
		frame.meta.tstamp_us = nic->engine->now_us;
		cost += receive_one(nic, &frame);
		packet_next(nic->socket);
	}
	if (unlikely(losing))
		nic->lost += packet_lost(nic->socket);
	return cost;
}

int nic_fd(const struct nic *nic)
{
	return nic->socket->fd;
}

/* ---- send ---- */

/*
 * As macvlan's bridge mode: what is addressed to another vNIC of the NIC goes there and not to the wire, what is
 * addressed to a group goes to both. true: it has to go out.
 */
static bool switch_inside(struct nic *nic, const struct port *from, const struct tx_frame *frame)
{
	u16 targets[CLASSIFY_MAX_TARGETS];
	struct europa_slot meta = tx_meta_for_peer(frame, nic->engine->now_us);
	u8 to[6];
	u32 i, n;

	memcpy(to, frame->data, sizeof to);
	if (!(to[0] & 1) && !classifier_knows(nic->classifier, to))
		return true;
	if (to[0] & 1)
		meta.flags |= EUROPA_SLOT_BROADCAST;
	n = whose(nic, frame->data, meta.len, &meta, targets);
	for (i = 0; i < n; i++) {
		struct port *port = nic->targets[targets[i]];

		if (port && port != from)
			port_deliver(port, frame->data, &meta);
	}
	if (to[0] & 1)
		from->member->copies += copies_cost(meta.len, n);
	return to[0] & 1;
}

void nic_send(struct nic *nic, struct port *from, const struct tx_frame *const *frames, unsigned n)
{
	const struct tx_frame *out[VR_BATCH];
	unsigned i, count = 0;

	if (nic->users == 1) {
		packet_send(nic->socket, from, frames, n);
		return;
	}
	for (i = 0; i < n; i++) {
		if (switch_inside(nic, from, frames[i]))
			out[count++] = frames[i];
	}
	if (count)
		packet_send(nic->socket, from, out, count);
}

/* ---- carrier ---- */

static void set_up(struct nic *nic, bool up)
{
	unsigned i;

	if (nic->up == up)
		return;
	engine_lock(nic->engine);
	nic->up = up;
	for (i = 0; i < CLASSIFY_MAX_TARGETS; i++) {
		if (nic->targets[i])
			port_set_up(nic->targets[i], up);
	}
	engine_unlock(nic->engine);
}

static int link_changed(const struct nlmsghdr *h, void *data)
{
	struct nic *nic = data;
	struct link_info link;

	if (h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK)
		return MNL_CB_OK;
	link_read(h, &link);
	if (link.ifindex != nic->ifindex)
		return MNL_CB_OK;
	if (h->nlmsg_type == RTM_DELLINK)
		note("%s: the device is gone", nic->name);
	else
		set_mtu(nic, link.mtu);
	set_up(nic, h->nlmsg_type == RTM_NEWLINK && link_is_up(&link));
	return MNL_CB_OK;
}

void nics_dispatch(struct engine *engine)
{
	struct nic *nic;

	for (nic = engine->nics; nic; nic = nic->next)
		link_events(nic->events, nic->requests, link_changed, nic);
}

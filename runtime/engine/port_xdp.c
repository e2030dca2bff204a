// SPDX-License-Identifier: MIT
/*
 * A device of the vNIC's own whose frames are taken by XDP: as port_device.c, but what comes in at the switch's end of the pair goes to an
 * AF_XDP socket before there is an sk_buff. The pair has one queue, and keeps it while there is a program. What leaves, leaves as there.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/engine/device.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/packet.h"
#include "runtime/engine/port.h"
#include "runtime/engine/xdp.h"
#include "runtime/engine/xsk.h"
#include "runtime/error.h"

#define MACS        (2 * ETH_ALEN)
#define TAG         4u
#define JOIN_TRIES  200         /* 10 ms apart: what a switch that has just ended held of the device, the kernel gives up later */

struct port_xdp {
	struct port port;
	struct engine *engine;
	struct xsk *xsk;           /* the sender's, which closes it */
	struct packet_socket *sender;
	int program;               /* a descriptor: while it is open, frames come */
	u32 counted_us;            /* when the kernel was last asked what it dropped */
};

static struct port_xdp *xdp_of(struct port *port)
{
	return (struct port_xdp *)port;
}

/* ---- receive ---- */

static bool is_tagged(const u8 *data, u32 len)
{
	u16 proto;

	if (len < MACS + TAG + 2)
		return false;
	proto = be16_to_cpup(data + MACS);
	return proto == ETH_P_8021Q || proto == ETH_P_8021AD;
}

/* As it will be in its slot: with the outer tag apart, as the kernel takes it out of what it gives to a packet socket. */
static struct europa_slot describe(const u8 *data, u32 len, u32 now_us)
{
	struct europa_slot meta = { .len = len, .tstamp_us = now_us };

	if (data[0] & 1)
		meta.flags = EUROPA_SLOT_BROADCAST;
	if (unlikely(is_tagged(data, len))) {
		meta.flags |= EUROPA_SLOT_VLAN;
		meta.vlan_proto = be16_to_cpup(data + MACS);
		meta.vlan_tci = be16_to_cpup(data + MACS + 2);
		meta.len -= TAG;
	}
	return meta;
}

static void deliver(struct port *port, u8 *data, const struct europa_slot *meta)
{
	if (unlikely(meta->flags & EUROPA_SLOT_VLAN)) {
		memmove(data + TAG, data, MACS);
		data += TAG;
	}
	port_deliver(port, data, meta);
}

static void count_lost(struct port_xdp *x)
{
	port_drop(&x->port, EUROPA_DROP_RX_RING_FULL, xsk_lost(x->xsk));
	x->counted_us = x->engine->now_us;
}

/*
 * Frames are lost only while the ring is full, and only this empties it: so whenever some were, the next look finds it so, and what is lost after
 * that look the one after it.
 */
static unsigned xdp_receive(struct port *port, unsigned budget)
{
	struct port_xdp *x = xdp_of(port);
	bool full = xsk_is_full(x->xsk);
	u32 now_us = x->engine->now_us, len;
	unsigned cost;
	u8 *data;

	packet_push_at(x->sender, port);
	for (cost = 0; cost < budget && xsk_peek(x->xsk, &data, &len); cost += rx_cost(len)) {
		struct europa_slot meta = describe(data, len, now_us);

		if (unlikely(port_should_wait(port, meta.len, x->engine)))
			break;
		deliver(port, data, &meta);
		xsk_next(x->xsk);
	}
	if (cost) {
		xsk_refill(x->xsk);
		member_flush(port->member);
	}
	if (unlikely(full) && (cost || now_us - x->counted_us > PORT_PATIENCE_US))
		count_lost(x);
	return cost;
}

/* ---- send, end ---- */

static void xdp_send(struct port *port, const struct tx_frame *const *frames, unsigned n)
{
	packet_send(xdp_of(port)->sender, port, frames, n);
}

/* Its device is gone, or another switch's. */
static void xdp_settle(struct port *port)
{
	struct port_xdp *x = xdp_of(port);

	port_drop(port, EUROPA_DROP_RX_DOWN, xsk_waiting(x->xsk));
	port_drop(port, EUROPA_DROP_TX_DOWN, packet_unsent(x->sender));
	count_lost(x);
}

static void xdp_destroy(struct port *port)
{
	struct port_xdp *x = xdp_of(port);

	if (x->program >= 0)
		close(x->program);
	if (x->sender)
		packet_close(x->sender);
	free(x);
}

static const struct port_ops ops = {
	.receive = xdp_receive,
	.send = xdp_send,
	.settle = xdp_settle,
	.destroy = xdp_destroy,
};

/* ---- life ---- */

static int open_sockets(struct port_xdp *x, const struct europa_attach *attach, struct error *e)
{
	x->xsk = xsk_open(attach->mtu + ETH_HLEN + TAG);
	if (!x->xsk)
		return fail(e, errno, "vNIC %u: cannot open an AF_XDP socket", attach->vnic);
	return packet_open_sender(&x->sender, x->xsk, e);
}

/* 0, or -errno. */
static int join(struct port_xdp *x, bool *bound)
{
	if (!*bound && !xsk_bind(x->xsk, x->port.ifindex))
		return -errno;
	*bound = true;
	x->program = xdp_redirect(x->port.ifindex, xsk_fd(x->xsk));
	return x->program < 0 ? x->program : 0;
}

/*
 * A device that was made now has nobody else's program or socket, so it is waited for only where a switch was killed and this one goes on with its
 * devices: for one moment, mostly, and once for all of them, since the kernel gives them up side by side. Other VRs' verbs wait for as long; their
 * packets don't. All of the time passes only where somebody has gone into the switch's namespace and put a program of his own there.
 */
static int join_in_time(struct port_xdp *x, const struct europa_attach *attach, struct error *e)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	unsigned tries = JOIN_TRIES;
	bool bound = false;
	int r;

	while ((r = join(x, &bound)) == -EBUSY && --tries)
		nanosleep(&moment, NULL);
	if (r == -ERANGE)
		return refuse(e, "vNIC %u: MTU %u is too much for XDP over veth: a frame has to fit into a page", attach->vnic, attach->mtu);
	return r < 0 ? fail(e, -r, "vNIC %u: cannot receive by XDP", attach->vnic) : 0;
}

static int open_wire(struct port_xdp *x, struct member *member, struct europa_attach *attach, struct error *e)
{
	int r = device_create(x->engine->devices, member, attach, &x->port.ifindex, &x->port.up, e);

	if (r < 0)
		return r;
	r = packet_bind_sender(x->sender, x->port.ifindex, e);
	if (r == 0)
		r = join_in_time(x, attach, e);
	if (r < 0)
		device_remove(x->engine->devices, x->port.ifindex);
	return r;
}

int port_xdp_open(struct engine *engine, struct member *member, struct europa_attach *attach,
		  struct port **port, struct error *e)
{
	struct port_xdp *x = calloc(1, sizeof *x);
	int r;

	if (!x)
		return fail(e, ENOMEM, "vNIC %u", attach->vnic);
	x->engine = engine;
	x->program = -1;
	r = open_sockets(x, attach, e);
	if (r == 0)
		r = open_wire(x, member, attach, e);
	if (r < 0) {
		xdp_destroy(&x->port);
		return r;
	}
	x->port.ops = &ops;
	x->port.member = member;
	x->port.vnic = attach->vnic;
	x->port.fd = xsk_fd(x->xsk);
	*port = &x->port;
	return 0;
}

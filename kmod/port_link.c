// SPDX-License-Identifier: GPL-2.0
/*
 * Two VRs joined directly: what one sends is copied into the other's pool. Either may ask first; the link is up while
 * both ports are there, and whoever is left alone sends into nothing until the other one is back.
 */
#include <linux/etherdevice.h>
#include <linux/ktime.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "port.h"
#include "report.h"

struct link {
	struct port port;
	struct link __rcu *other;       /* the other end, NULL: not there. Written under RTNL */
	char peer[64];
	unsigned int peer_vnic;
};

static const struct port_ops ops;

static struct link *link_of(struct port *port)
{
	return container_of(port, struct link, port);
}

/* ---- frames ---- */

static bool copy_frame(struct vr *vr, unsigned int vnic, const struct tx_frame *frame, u32 now_us)
{
	struct europa_slot meta = tx_meta_for_peer(frame, now_us);
	int slot = rx_slot(vr, vnic, meta.len);

	if (slot < 0)
		return false;
	memcpy(rx_data(vr, slot), frame->data, meta.len);
	if (is_multicast_ether_addr(rx_data(vr, slot)))
		meta.flags |= EUROPA_SLOT_BROADCAST;
	rx_put(vr, vnic, slot, &meta);
	return true;
}

/* Both members' locks are taken, never at a time. */
static void link_send(struct port *port, const struct tx_frame *const *frames, unsigned int n)
{
	struct link *other = rcu_dereference(link_of(port)->other);
	u32 now_us = (u32)ktime_to_us(ktime_get());
	unsigned int i, lost = 0;
	struct member *m;

	if (!other) {
		port_drop(port, EUROPA_DROP_TX_DOWN, n);
		return;
	}
	m = other->port.member;
	/* Not for all of them at once: they may be super-packets, and others wait for the lock. */
	for (i = 0; i < n; i++) {
		spin_lock(&m->lock);
		lost += !copy_frame(&m->vr, other->port.vnic, frames[i], now_us);
		spin_unlock(&m->lock);
	}
	spin_lock(&m->lock);
	if (rx_flush(&m->vr, other->port.vnic))
		member_ring(m);
	spin_unlock(&m->lock);
	if (lost)
		port_drop(port, EUROPA_DROP_TX_FULL, lost);
}

/* ---- who is joined to whom ---- */

static void link_close(struct port *port, struct list_head *dying)
{
	struct link *l = link_of(port), *other = rtnl_dereference(l->other);

	if (other) {
		port_set_up(&other->port, false);
		RCU_INIT_POINTER(other->other, NULL);
		RCU_INIT_POINTER(l->other, NULL);
	}
	kfree_rcu(port, rcu);
}

static const struct port_ops ops = { .send = link_send, .close = link_close };

static bool wants(const struct link *l, const struct port *port)
{
	return l->peer_vnic == port->vnic && !strcmp(l->peer, port->member->name);
}

/* The port that this one asks for, where it is there and asks for this one. */
static struct link *find_other(const struct link *l)
{
	struct member *m = member_find(l->port.member, l->peer);
	struct port *port = m ? rtnl_dereference(m->ports[l->peer_vnic]) : NULL;

	if (!port || port->ops != &ops || !wants(link_of(port), &l->port))
		return NULL;
	return link_of(port);
}

static void join(struct link *l)
{
	struct link *other = find_other(l);

	if (!other)
		return;
	rcu_assign_pointer(l->other, other);
	rcu_assign_pointer(other->other, l);
	port_set_up(&l->port, true);
	port_set_up(&other->port, true);
}

int port_link_open(struct member *member, struct europa_attach *attach, struct report *report)
{
	struct link *l = kzalloc(sizeof(*l), GFP_KERNEL_ACCOUNT);

	if (!l)
		return fail(report, ENOMEM, "no memory for vNIC %u", attach->vnic);
	l->port.ops = &ops;
	l->port.member = member;
	l->port.vnic = attach->vnic;
	strscpy(l->peer, attach->peer, sizeof(l->peer));
	l->peer_vnic = attach->peer_vnic;
	if (wants(l, &l->port)) {
		kfree(l);
		return fail(report, EINVAL, "vNIC %u can't be joined to itself", attach->vnic);
	}
	port_publish(&l->port, attach);
	join(l);
	return 0;
}

// SPDX-License-Identifier: MIT
/*
 * Two VRs joined directly: what one sends is copied into the other's pool. Either may ask first; the link is up
 * while both ports are there, and whoever is left alone sends into nothing until the other one is back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/port.h"
#include "runtime/error.h"

struct link {
	struct port port;
	const struct engine *engine;
	struct link *next;              /* of all links */
	struct link *other;             /* the other end, NULL: not there */
	char peer[64];
	unsigned peer_vnic;
};

/* Control thread; `other` is written with the engine locked. */
static struct link *links;

static struct link *link_of(struct port *port)
{
	return (struct link *)port;
}

static void link_send(struct port *port, const struct tx_frame *const *frames, unsigned n)
{
	struct link *other = link_of(port)->other;
	const struct engine *engine = other->engine;
	struct vr *vr = &other->port.member->vr;
	u32 i, lost = 0;

	for (i = 0; i < n; i++) {
		struct europa_slot meta = tx_meta_for_peer(frames[i], engine->now_us);
		int slot = rx_slot(vr, other->port.vnic, meta.len);

		if (slot < 0) {
			lost++;
			continue;
		}
		memcpy(rx_data(vr, slot), frames[i]->data, meta.len);
		if (rx_data(vr, slot)[0] & 1)
			meta.flags |= EUROPA_SLOT_BROADCAST;
		rx_put(vr, other->port.vnic, slot, &meta);
		other->port.member->dirty |= 1u << other->port.vnic;
	}
	member_flush(other->port.member);
	if (lost)
		port_drop(port, EUROPA_DROP_TX_FULL, lost);
}

static void link_detach(struct engine *engine, struct port *port)
{
	struct link *l = link_of(port), **at = &links;

	if (l->other) {
		port_set_up(&l->other->port, false);
		l->other->other = NULL;
		l->other = NULL;
	}
	while (*at && *at != l)
		at = &(*at)->next;
	if (*at)
		*at = l->next;
}

static void link_destroy(struct port *port)
{
	free(port);
}

static bool wants(const struct link *l, const struct port *port)
{
	return l->peer_vnic == port->vnic && !strcmp(l->peer, port->member->name);
}

/* The link that wants this one, if this one wants it. */
static struct link *find_other(const struct link *l)
{
	struct link *o;

	for (o = links; o; o = o->next) {
		if (!o->other && wants(o, &l->port) && wants(l, &o->port))
			return o;
	}
	return NULL;
}

/* Up as soon as both are there. */
static void link_attach(struct port *port)
{
	struct link *l = link_of(port), *other = find_other(l);

	if (!other)
		return;
	l->other = other;
	other->other = l;
	port_set_up(&l->port, true);
	port_set_up(&other->port, true);
}

static const struct port_ops ops = {
	.attach = link_attach,
	.send = link_send,
	.detach = link_detach,
	.destroy = link_destroy,
};

int port_link_open(struct engine *engine, struct member *member, struct europa_attach *attach,
		   struct port **port, struct error *e)
{
	struct link *l = calloc(1, sizeof *l);

	if (!l)
		return fail(e, ENOMEM, "vNIC %u", attach->vnic);
	l->port = (struct port){ .ops = &ops, .member = member, .vnic = attach->vnic, .fd = -1 };
	l->engine = engine;
	memcpy(l->peer, attach->peer, sizeof l->peer);
	l->peer_vnic = attach->peer_vnic;
	if (wants(l, &l->port)) {
		free(l);
		return refuse(e, "vNIC %u can't be joined to itself", attach->vnic);
	}
	l->next = links;
	links = l;
	*port = &l->port;
	return 0;
}

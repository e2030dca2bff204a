/* SPDX-License-Identifier: MIT */
#include "arp.h"

#include "icmp.h"
#include "offload.h"

#define ARP_FRAME (ETHERNET_BYTES + sizeof(struct arp))

static const u8 everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* Writes an ARP frame over whatever is in the slot, and sends it. */
static void send_arp(struct router *r, struct port *out, u32 slot, unsigned operation, u32 sender, const u8 *to_mac,
		     u32 target)
{
	struct europa_slot *meta = europa_meta(r->eu, slot);
	u8 *frame = europa_data(r->eu, slot);
	struct ethernet *eth = (struct ethernet *)frame;
	struct arp *arp = (struct arp *)(frame + ETHERNET_BYTES);
	u8 to[6];

	memcpy(to, to_mac, sizeof to);  /* which may lie in this very frame */
	memcpy(eth->dst, to, 6);
	memcpy(eth->src, out->mac, 6);
	eth->type = htons(TYPE_ARP);
	*arp = (struct arp){
		.hardware = htons(1), .protocol = htons(TYPE_IPV4), .hardware_bytes = 6, .protocol_bytes = 4,
		.operation = htons(operation), .sender = htonl(sender), .target = htonl(target),
	};
	memcpy(arp->sender_mac, out->mac, 6);
	if (!is_group_mac(to))
		memcpy(arp->target_mac, to, 6);
	offload_forget(meta);
	meta->len = ARP_FRAME;
	port_mark(out, meta);
	router_send(r, out, slot);
}

/* ---- asking ---- */

static void send_request(struct router *r, struct port *out, struct neighbour *n, u32 slot)
{
	u32 target = n->address.word[0];
	bool unicast = n->state == NEIGHBOUR_PROBE && n->asked < NEIGHBOUR_ASKS;

	send_arp(r, out, slot, ARP_REQUEST, port_source(out, target), unicast ? n->mac : everybody, target);
	r->count[COUNT_ARP_REQUESTS]++;
	neighbour_asked(n, false);
}

static void ask(struct router *r, struct port *out, struct neighbour *n)
{
	u32 slot;

	if (router_alloc(r, &slot))
		send_request(r, out, n, slot);
	else
		neighbour_asked(n, true);
}

/* ---- waiting ---- */

static bool is_run(const struct router *r, u32 slot)
{
	return slot >= r->eu->geometry.nslots;
}

/*
 * A waiting packet's slot is missing for receiving, so only a few may wait in all, however many neighbours are
 * asked.
 */
static bool may_wait(const struct router *r, u32 slot)
{
	return is_run(r, slot) ? r->runs_waiting < r->runs_may_wait : r->slots_waiting < r->slots_may_wait;
}

static void count_waiting(struct router *r, u32 slot, int change)
{
	if (is_run(r, slot))
		r->runs_waiting += change;
	else
		r->slots_waiting += change;
}

static void let_wait(struct router *r, struct neighbour *n, u32 slot)
{
	int evicted;

	if (!may_wait(r, slot)) {
		router_drop(r, slot, COUNT_WAIT_OVERFLOW);
		return;
	}
	count_waiting(r, slot, 1);
	evicted = neighbour_wait(&r->neighbours, n, slot);
	if (evicted < 0)
		return;
	count_waiting(r, evicted, -1);
	router_drop(r, evicted, COUNT_WAIT_OVERFLOW);
}

/* The neighbour answered: what waited for it goes. */
static void send_waiting(struct router *r, struct neighbour *n)
{
	struct port *out = &r->port[n->port];
	u16 queue = neighbour_take_waiting(n);
	u32 slot;

	while (neighbour_next_waiting(&r->neighbours, &queue, &slot)) {
		struct ethernet *eth = (struct ethernet *)europa_data(r->eu, slot);

		count_waiting(r, slot, -1);
		memcpy(eth->dst, n->mac, 6);
		memcpy(eth->src, out->mac, 6);
		port_mark(out, europa_meta(r->eu, slot));
		router_send(r, out, slot);
	}
}

/* It didn't: their senders are told. That may take a neighbour that is not known yet, and this one's place for it. */
static void refuse_waiting(struct router *r, struct neighbour *n)
{
	u16 queue = neighbour_take_waiting(n);
	u32 slot;

	while (neighbour_next_waiting(&r->neighbours, &queue, &slot)) {
		count_waiting(r, slot, -1);
		icmp_error(r, slot, COUNT_HOST_UNREACHABLE, ICMP_UNREACHABLE, UNREACHABLE_HOST, 0);
	}
}

/* ---- resolving ---- */

struct neighbour *arp_resolve(struct router *r, struct port *out, u32 address, struct neighbour *n, u32 slot)
{
	struct address key = address_ipv4(address);

	if (n && n->state == NEIGHBOUR_FAILED_STATE) {
		icmp_error(r, slot, COUNT_HOST_UNREACHABLE, ICMP_UNREACHABLE, UNREACHABLE_HOST, 0);
		return NULL;
	}
	if (!n) {
		n = neighbour_new(&r->neighbours, FAMILY_IPV4, out->number, &key, r->now);
		if (!n) {
			router_drop(r, slot, COUNT_NEIGHBOURS_FULL);
			return NULL;
		}
		ask(r, out, n);
	} else if (neighbour_used(&r->neighbours, n, r->now)) {
		ask(r, out, n);
	}
	if (n->owed) {
		/* In a very small pool there is no slot but the packet's own. Its sender will send again. */
		send_request(r, out, n, slot);
		return NULL;
	}
	if (neighbour_usable(n))
		return n;
	let_wait(r, n, slot);
	return NULL;
}

bool arp_announce(struct router *r, struct port *port)
{
	unsigned i;
	u32 slot;

	for (i = 0; i < port->naddresses; i++) {
		u32 own = port->address[i].address.word[0];

		if (port->address[i].family != FAMILY_IPV4)
			continue;
		if (!router_alloc(r, &slot))
			return false;
		send_arp(r, port, slot, ARP_REQUEST, own, everybody, own);
		r->count[COUNT_ARP_REQUESTS]++;
	}
	return true;
}

void arp_tick(struct router *r)
{
	enum neighbour_event event;
	struct neighbour *n;

	while ((event = neighbours_due(&r->neighbours, r->now, &n)) != NEIGHBOUR_NOTHING) {
		if (event == NEIGHBOUR_GONE)
			refuse_waiting(r, n);
		else
			ask(r, &r->port[n->port], n);
	}
}

/* ---- receiving ---- */

static bool well_formed(const struct arp *arp)
{
	static const u8 nobody[6];

	return arp->hardware == htons(1) && arp->protocol == htons(TYPE_IPV4) && arp->hardware_bytes == 6 &&
	       arp->protocol_bytes == 4 &&
	       (arp->operation == htons(ARP_REQUEST) || arp->operation == htons(ARP_REPLY)) &&
	       !is_group_mac(arp->sender_mac) && memcmp(arp->sender_mac, nobody, 6);
}

/*
 * Believes a sender only where it is asked after already, or where it lives in the port's subnet and is asking for
 * this router: who only listens to a link must not fill the table with everybody on it.
 */
static void learn(struct router *r, struct port *in, const struct arp *arp, bool for_me)
{
	struct address sender = address_ipv4(ntohl(arp->sender));
	bool reply = arp->operation == htons(ARP_REPLY);
	struct neighbour *n = neighbour_find(&r->neighbours, FAMILY_IPV4, in->number, &sender);

	if (!n && for_me && !reply && port_reaches(in, sender.word[0]))
		n = neighbour_new(&r->neighbours, FAMILY_IPV4, in->number, &sender, r->now);
	if (!n)
		return;
	if (reply && for_me)
		neighbour_confirm(&r->neighbours, n, arp->sender_mac, r->now);
	else
		neighbour_hear(&r->neighbours, n, arp->sender_mac, r->now);
	if (neighbour_usable(n))
		send_waiting(r, n);
}

void arp_receive(struct router *r, struct port *in, u32 slot)
{
	struct arp *arp = (struct arp *)(europa_data(r->eu, slot) + ETHERNET_BYTES);
	u32 sender, target;
	bool for_me;

	if (europa_len(r->eu, slot) < ARP_FRAME) {
		router_drop(r, slot, COUNT_TOO_SHORT);
		return;
	}
	if (!well_formed(arp)) {
		router_drop(r, slot, COUNT_BAD_ARP);
		return;
	}
	sender = ntohl(arp->sender);
	target = ntohl(arp->target);
	for_me = port_owns(in, target);
	if (port_owns(in, sender)) {    /* somebody else uses this router's address */
		router_drop(r, slot, COUNT_BAD_ARP);
		return;
	}
	/* Sender 0 asks whether an address is taken (RFC 5227): answered, and nothing is learnt. */
	if (sender)
		learn(r, in, arp, for_me);
	if (!for_me || arp->operation != htons(ARP_REQUEST)) {
		router_drop(r, slot, for_me ? COUNT_ARP_TAKEN : COUNT_FOREIGN_ARP);
		return;
	}
	r->count[COUNT_ARP_REPLIES]++;
	send_arp(r, in, slot, ARP_REPLY, target, arp->sender_mac, sender);
}

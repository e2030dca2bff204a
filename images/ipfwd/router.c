/* SPDX-License-Identifier: MIT */
#include "router.h"

#include <sys/mman.h>

#include "arp.h"
#include "ipv4.h"

#define LOOK_AGAIN 1000          /* ms between looks at the vNICs' state */
#define LOOK_SOON  50            /* the same while the router is young and a vNIC is down */
#define YOUNG      10000         /* ms: whoever takes over for another one shows its addresses as soon as a link is up */

struct router *router_new(struct europa *eu, u64 now)
{
	/* Big, mostly the neighbour table, and mostly never touched. */
	struct router *r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned i;

	if (r == MAP_FAILED)
		return NULL;
	if (fib_init(&r->fib) < 0 || nexthops_init(&r->nexthops) < 0) {
		router_free(r);
		return NULL;
	}
	r->eu = eu;
	r->now = now;
	r->look = now;
	r->young_until = now + YOUNG;
	r->redirects = true;
	r->ip_id = (u16)now;
	r->slots_may_wait = eu->geometry.nslots / 8;
	r->runs_may_wait = eu->geometry.nruns / 4;
	bucket_init(&r->icmp_errors, ICMP_RATE, ICMP_DEPTH, now);
	neighbours_init(&r->neighbours);
	r->nports = eu->nvnics;
	for (i = 0; i < r->nports; i++) {
		r->port[i].number = i;
		port_refresh(&r->port[i], &eu->vnics[i]);
	}
	return r;
}

void router_free(struct router *r)
{
	fib_release(&r->fib);
	nexthops_release(&r->nexthops);
	munmap(r, sizeof *r);
}

void router_flush_drops(struct router *r)
{
	europa_drop(r->eu, r->dropped, r->ndropped);
	r->ndropped = 0;
}

void router_flush(struct router *r)
{
	unsigned i;

	for (i = 0; i < r->nports; i++)
		r->count[COUNT_TX_FULL] += port_flush(&r->port[i], r->eu);
	if (r->ndropped)
		router_flush_drops(r);
}

/* All that is not an IPv4 packet of the usual kind. Consumes. */
static void receive_other(struct router *r, struct port *in, u32 slot)
{
	const struct europa_slot *meta = europa_meta(r->eu, slot);
	u8 *frame = europa_data(r->eu, slot);
	const struct ethernet *eth = (const struct ethernet *)frame;

	if (meta->len < ETHERNET_BYTES)
		router_drop(r, slot, COUNT_TOO_SHORT);
	else if (!port_expects(in, meta))
		router_drop(r, slot, COUNT_OTHER_VLAN);
	else if (!is_group_mac(eth->dst) && mac_number(eth->dst) != in->mac_number)
		router_drop(r, slot, COUNT_NOT_FOR_ME);
	else if (eth->type == htons(TYPE_ARP))
		arp_receive(r, in, slot);
	else if (eth->type != htons(TYPE_IPV4))
		router_drop(r, slot, COUNT_OTHER_PROTOCOL);
	else if (is_group_mac(eth->dst))        /* RFC 1812, 5.3.4: what came to all is not forwarded */
		router_drop(r, slot, mac_number(eth->dst) == 0xffffffffffff ? COUNT_BROADCAST : COUNT_MULTICAST);
	else
		ipv4_receive_odd(r, in, slot);
}

void router_receive(struct router *r, unsigned vnic, const u32 *slots, unsigned n)
{
	struct port *in = &r->port[vnic];
	u32 others[ROUTER_BURST];
	unsigned i, nothers;

	r->count[COUNT_RECEIVED] += n;
	for (i = 0; i < n; i++)
		europa_prefetch(r->eu, slots[i]);
	nothers = ipv4_receive(r, in, slots, n, others);
	for (i = 0; i < nothers; i++)
		receive_other(r, in, others[i]);
}

static void look_at_ports(struct router *r)
{
	bool all_announced = true;
	unsigned i;

	for (i = 0; i < r->nports; i++) {
		struct port *port = &r->port[i];

		port_refresh(port, &r->eu->vnics[i]);
		if (port->up && !port->announced)
			port->announced = arp_announce(r, port);
		all_announced &= port->announced;
	}
	r->look = r->now + (all_announced || r->now >= r->young_until ? LOOK_AGAIN : LOOK_SOON);
}

void router_tick(struct router *r)
{
	if (r->now >= r->look)
		look_at_ports(r);
	arp_tick(r);
}

u64 router_due(const struct router *r)
{
	return r->look < r->neighbours.due ? r->look : r->neighbours.due;
}

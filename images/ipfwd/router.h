/* SPDX-License-Identifier: MIT */
/*
 * The router: what all stages share. A packet's way through it, file by file:
 *
 *	router.c   a burst from one vNIC; what is it?
 *	arp.c        ARP: learn, answer
 *	ipv4.c       is the header right, may it be forwarded? -> fib.h -> TTL -> neighbour -> out
 *	options.c    the rare header with options
 *	fragment.c   larger than the MTU of the way out
 *	local.c      for the router itself
 *	icmp.c       errors about what could not be forwarded
 *	offload.c    whatever the switch left to the NIC, where a packet is rewritten
 *	port.c     out
 *
 * Every function that takes a slot from its caller says so ("consumes"): the slot then is in a port's batch, waits
 * for a neighbour, or is dropped. Nothing here makes a system call or looks at a clock: `now` is set by the caller.
 */
#ifndef IPFWD_ROUTER_H
#define IPFWD_ROUTER_H

#include "bucket.h"
#include "counters.h"
#include "fib.h"
#include "neighbour.h"
#include "nexthop.h"
#include "packet.h"
#include "port.h"

#define ROUTER_BURST       64
#define ROUTER_DROPS       64

#define ICMP_RATE          1000          /* errors a second ... */
#define ICMP_DEPTH         50            /* ... and at once */

struct router {
	struct europa *eu;
	u64 now;                         /* ms, of any steady clock */
	uint64_t count[COUNTER_COUNT];

	struct fib fib;
	struct nexthops nexthops;
	unsigned nports;
	struct port port[EUROPA_MAX_VNICS];

	unsigned ndropped;
	u32 dropped[ROUTER_DROPS];

	struct bucket icmp_errors;
	bool redirects;
	bool source_check;               /* RFC 1812, 5.3.8 */
	u64 look;                        /* when the vNICs' state is looked at again */
	u64 young_until;                 /* until then that is sooner */
	u16 ip_id;                       /* of the next packet that the router makes */
	u32 slots_waiting, slots_may_wait;
	u32 runs_waiting, runs_may_wait;

	struct neighbours neighbours;
};

/* A router without addresses or routes, on the vNICs of `eu`. NULL: out of memory. */
struct router *router_new(struct europa *eu, u64 now);
void router_free(struct router *r);

/* Takes what came in at a vNIC, n <= ROUTER_BURST slots, and consumes them. */
void router_receive(struct router *r, unsigned vnic, const u32 *slots, unsigned n);
/* Hands on what router_receive and router_tick left in batches. */
void router_flush(struct router *r);

/* What time brings: neighbours to ask again, links that came up. Call at router_due(), or somewhat later. */
void router_tick(struct router *r);
u64 router_due(const struct router *r);

/* ---- for the stages ---- */

void router_flush_drops(struct router *r);

/* Consumes; the caller has counted. */
static inline void router_discard(struct router *r, u32 slot)
{
	if (r->ndropped == ROUTER_DROPS)
		router_flush_drops(r);
	r->dropped[r->ndropped++] = slot;
}

/* Consumes. */
static inline void router_drop(struct router *r, u32 slot, enum counter why)
{
	r->count[why]++;
	router_discard(r, slot);
}

/* Consumes: the frame is complete. */
static inline void router_send(struct router *r, struct port *out, u32 slot)
{
	if (unlikely(out->nout == PORT_BATCH))
		r->count[COUNT_TX_FULL] += port_flush(out, r->eu);
	out->out[out->nout++] = slot;
}

/* An empty slot of one's own; false: there is none. */
static inline bool router_alloc(struct router *r, u32 *slot)
{
	return europa_alloc(r->eu, slot, 1) == 1;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Next hops, of any family: what the forwarding table's 16-bit ids stand for. Equal ones are kept once and counted.
 * Id 0 is "no route" and always there.
 */
#ifndef IPFWD_NEXTHOP_H
#define IPFWD_NEXTHOP_H

#include "address.h"

enum nexthop_kind {
	/* these two forward */
	NEXTHOP_GATEWAY,        /* to `gateway` out of `port` */
	NEXTHOP_CONNECTED,      /* to the destination itself out of `port` */
	/* these don't */
	NEXTHOP_NO_ROUTE,
	NEXTHOP_LOCAL,          /* one of the router's own addresses; `port` has it */
	NEXTHOP_BROADCAST,      /* a directed broadcast of the subnet on `port` */
	NEXTHOP_UNREACHABLE,    /* a route that says so: ICMP host unreachable */
	NEXTHOP_PROHIBIT,       /* ICMP administratively prohibited */
	NEXTHOP_BLACKHOLE,      /* silence */
};

struct nexthop {
	u8 kind;
	u8 port;
	u8 family;              /* of `gateway`; 0 where there is none */
	u8 reserved;
	u16 next;               /* in the hash chain, or in the list of free ones */
	u16 padding;
	struct address gateway;
	u32 users;
	u32 reserved2;
};

static inline bool nexthop_forwards(const struct nexthop *nh)
{
	return nh->kind <= NEXTHOP_CONNECTED;
}

#define NEXTHOP_BUCKETS 4096

struct nexthops {
	struct nexthop *at;     /* by id */
	u16 bucket[NEXTHOP_BUCKETS];
	u16 used;               /* ids below this were in use at some time */
	u16 free;               /* first of those that are not any more, 0: none */
};

/* 0 or -ENOMEM. */
int nexthops_init(struct nexthops *table);
void nexthops_release(struct nexthops *table);

/* The id of this next hop, with one user more. 0: there are FIB_MAX_NEXTHOP others already. */
u16 nexthop_take(struct nexthops *table, enum nexthop_kind kind, unsigned port, unsigned family,
		 const struct address *gateway);
/* One user more of an id that is in use. */
void nexthop_hold(struct nexthops *table, u16 id);
/* One user less; without any the id is free. */
void nexthop_put(struct nexthops *table, u16 id);

#endif

/* SPDX-License-Identifier: MIT */
/* ARP (RFC 826): the IPv4 half of the neighbour table. Every packet that is sent has its MAC addresses from here. */
#ifndef IPFWD_ARP_H
#define IPFWD_ARP_H

#include "router.h"

/* Consumes an ARP frame that came in at a port. */
void arp_receive(struct router *r, struct port *in, u32 slot);

/*
 * Where the neighbour (NULL: never heard of) isn't certain. Returns it where the packet can be sent all the same;
 * else NULL, and the slot is consumed: it waits, it was turned into the request, or nobody is there.
 */
struct neighbour *arp_resolve(struct router *r, struct port *out, u32 address, struct neighbour *n, u32 slot);

/* Tells the link which addresses the port has. false: no slot for it now. */
bool arp_announce(struct router *r, struct port *port);

/* Does what is due: asks again, gives up. */
void arp_tick(struct router *r);

#endif

/* SPDX-License-Identifier: MIT */
/* IPv4: from a burst of frames for this router to frames that leave it (RFC 1812, 5.2 and 5.3). */
#ifndef IPFWD_IPV4_H
#define IPFWD_IPV4_H

#include "router.h"

#define OWN_TTL 64               /* of the router's own packets */

/*
 * Consumes the plain ones of n <= ROUTER_BURST frames: for the port's own MAC address, with its tag or none, at least 20 bytes
 * of IPv4, and no options. The slots of all others go to others[]; returns how many.
 */
unsigned ipv4_receive(struct router *r, struct port *in, const u32 *slots, unsigned n, u32 *others);

/* Consumes any other IPv4 frame that was sent to the port's MAC address. */
void ipv4_receive_odd(struct router *r, struct port *in, u32 slot);

/* ---- for packets of the router's own ---- */

/* Is there a way to a destination, out of some port? */
bool ipv4_reaches(const struct router *r, u32 dst);

/* The address to speak with to a destination; 0: there is no way to it. */
u32 ipv4_source_for(const struct router *r, u32 dst);

/* Writes the Ethernet type and a header without options, complete with checksum. `total` includes the header. */
void ipv4_write(struct router *r, u8 *frame, u32 total, u8 tos, u8 protocol, u32 src, u32 dst);

/* Consumes: sends by the way that the table says, in pieces where it must. */
void ipv4_output(struct router *r, u32 slot, u32 dst);

/* Consumes: sends to the next hop. false: it was dropped. */
bool ipv4_transmit(struct router *r, u32 slot, const struct nexthop *nh, u32 dst);

#endif

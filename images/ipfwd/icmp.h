/* SPDX-License-Identifier: MIT */
/* ICMP errors (RFC 792, 1122 3.2.2, 1812 4.3): made in place, from the slot of the packet that they are about. */
#ifndef IPFWD_ICMP_H
#define IPFWD_ICMP_H

#include "router.h"

/*
 * Consumes a packet that can't be forwarded or delivered, for the reason `why`, and tells its sender, where that is
 * allowed and the rate permits. `info` is the ICMP header's second word: the next-hop MTU, or a pointer in the
 * upper byte.
 */
void icmp_error(struct router *r, u32 slot, enum counter why, u8 type, u8 code, u32 info);

/* Tells the sender, a neighbour on the port, of a better gateway. The packet itself is left alone. */
void icmp_redirect(struct router *r, struct port *in, u32 slot, u32 gateway);

#endif

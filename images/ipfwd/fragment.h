/* SPDX-License-Identifier: MIT */
#ifndef IPFWD_FRAGMENT_H
#define IPFWD_FRAGMENT_H

#include "router.h"

/*
 * Consumes a packet that is longer than the MTU of its next hop's port, and sends it in fragments (RFC 791, 1812
 * 5.2.6), all of them or none.
 */
void ipv4_fragment(struct router *r, u32 slot, const struct nexthop *nh, u32 dst);

#endif

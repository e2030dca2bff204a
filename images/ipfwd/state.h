/* SPDX-License-Identifier: MIT */
/*
 * What the router knows, as bytes: its addresses, next hops, neighbours and routes, and how it was set up. What a
 * checkpoint saves, and a router that goes on elsewhere begins with. Packets that wait for a neighbour are not in
 * it; nor are counters, which libeuropa keeps by itself.
 *
 *	+----------------------+
 *	| header               | counts of all that follows
 *	+----------------------+
 *	| addresses            |  8 bytes each
 *	| next hops            |  8; routes name them by their place here, from 1 on
 *	| neighbours           | 16; those whose MAC address is known
 *	| routes               |  8; struct fib_route
 *	+----------------------+
 */
#ifndef IPFWD_STATE_H
#define IPFWD_STATE_H

#include "router.h"
#include "runtime/error.h"

#define STATE_VERSION 1

/* Takes bytes; 0 or -errno, which ends it. */
typedef int state_put_fn(void *to, const void *bytes, size_t n);
int state_save(const struct router *r, state_put_fn *put, void *to);

/*
 * Into a router that has been told nothing yet. The bytes may come from anywhere: 0, or -errno with a line that says
 * what is wrong with them; then the router is good for router_free() alone. `blob` must be aligned for a u64.
 */
int state_load(struct router *r, u32 version, const void *blob, size_t len, struct error *e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The routes, as a configuration or a control plane speaks of them. What a netlink listener would call.
 */
#ifndef IPFWD_ROUTE_H
#define IPFWD_ROUTE_H

#include "router.h"

/* Where a route leads. Zero what the kind doesn't use. */
struct route_target {
	enum nexthop_kind kind;
	unsigned port;                   /* GATEWAY, CONNECTED, LOCAL, BROADCAST */
	struct address gateway;          /* GATEWAY; of the prefix's family */
};

/*
 * 0; -EEXIST (add); -ENOENT (delete); -EAFNOSUPPORT: another family than IPv4; -EINVAL: bits beyond the prefix, or
 * a port that is not there; -ENOSPC: too many next hops, or /24s with longer prefixes; -ENOMEM.
 */
int route_add(struct router *r, const struct prefix *to, const struct route_target *target);
int route_replace(struct router *r, const struct prefix *to, const struct route_target *target);
int route_delete(struct router *r, const struct prefix *to);

/* Does such a route lead out of, or belong to, a port? */
bool route_kind_has_port(enum nexthop_kind kind);

/* The id of a target, with one user more, for routes that are loaded in bulk; 0: too many. */
u16 route_target_id(struct router *r, unsigned family, const struct route_target *target);

/*
 * Many IPv4 routes at once into a router without routes. Each entry's nexthop is an id of route_target_id, one user
 * each. As fib_build.
 */
int route_load(struct router *r, const struct fib_route *routes, size_t n, size_t *which);

/*
 * An address of the router's own on a port, and the routes that follow from it: the subnet, the address, its
 * broadcasts.
 */
int route_add_address(struct router *r, unsigned port, const struct prefix *address);

#endif

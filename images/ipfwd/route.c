/* SPDX-License-Identifier: MIT */
#include "route.h"

#include <errno.h>

static int check(const struct router *r, const struct prefix *to)
{
	if (to->family != FAMILY_IPV4)
		return -EAFNOSUPPORT;
	if (to->length > 32 || (to->address.word[0] & ~prefix_mask(to->length)))
		return -EINVAL;
	return 0;
}

bool route_kind_has_port(enum nexthop_kind kind)
{
	return kind == NEXTHOP_GATEWAY || kind == NEXTHOP_CONNECTED || kind == NEXTHOP_LOCAL ||
	       kind == NEXTHOP_BROADCAST;
}

u16 route_target_id(struct router *r, unsigned family, const struct route_target *target)
{
	bool gateway = target->kind == NEXTHOP_GATEWAY;

	return nexthop_take(&r->nexthops, target->kind, route_kind_has_port(target->kind) ? target->port : 0,
			    gateway ? family : FAMILY_NONE, gateway ? &target->gateway : NULL);
}

int route_replace(struct router *r, const struct prefix *to, const struct route_target *target)
{
	u32 v4 = to->address.word[0];
	u16 before, id;
	int err = check(r, to);

	if (err)
		return err;
	if (target->kind == NEXTHOP_NO_ROUTE || (route_kind_has_port(target->kind) && target->port >= r->nports))
		return -EINVAL;
	id = route_target_id(r, to->family, target);
	if (!id)
		return -ENOSPC;
	before = fib_get(&r->fib, v4, to->length);
	err = fib_set(&r->fib, v4, to->length, id);
	nexthop_put(&r->nexthops, err ? id : before);
	return err;
}

int route_add(struct router *r, const struct prefix *to, const struct route_target *target)
{
	int err = check(r, to);

	if (err)
		return err;
	if (fib_get(&r->fib, to->address.word[0], to->length))
		return -EEXIST;
	return route_replace(r, to, target);
}

int route_delete(struct router *r, const struct prefix *to)
{
	int err = check(r, to);
	u16 id;

	if (err)
		return err;
	id = fib_get(&r->fib, to->address.word[0], to->length);
	err = fib_delete(&r->fib, to->address.word[0], to->length);
	if (!err)
		nexthop_put(&r->nexthops, id);
	return err;
}

int route_load(struct router *r, const struct fib_route *routes, size_t n, size_t *which)
{
	return fib_build(&r->fib, routes, n, which);
}

static int add_host(struct router *r, u32 address, enum nexthop_kind kind, unsigned port)
{
	struct prefix to = prefix_ipv4(address, 32);
	struct route_target target = { .kind = kind, .port = port };

	return route_replace(r, &to, &target);
}

int route_add_address(struct router *r, unsigned port, const struct prefix *address)
{
	struct route_target connected = { .kind = NEXTHOP_CONNECTED, .port = port };
	u32 v4 = address->address.word[0], mask = prefix_mask(address->length);
	struct prefix subnet = prefix_ipv4(v4 & mask, address->length);
	int err;

	if (address->family != FAMILY_IPV4)
		return -EAFNOSUPPORT;
	if (port >= r->nports || !address->length || address->length > 32)
		return -EINVAL;
	err = port_add_address(&r->port[port], address);
	if (!err && address->length < 32)
		err = route_replace(r, &subnet, &connected);
	/* A /31 is two hosts and no broadcast (RFC 3021). */
	if (!err && address->length < 31)
		err = add_host(r, v4 & mask, NEXTHOP_BROADCAST, port);
	if (!err && address->length < 31)
		err = add_host(r, v4 | ~mask, NEXTHOP_BROADCAST, port);
	return err ? err : add_host(r, v4, NEXTHOP_LOCAL, port);
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "config.h"
#include "runtime/cleanup.h"

static int check_port(const struct config *c, const struct router *r, u32 line, unsigned port, struct error *e)
{
	if (port < r->nports)
		return 0;
	if (!r->nports)
		return refuse(e, "%s: \"%u\": this router has no vNIC", config_place(c, line), port);
	return refuse(e, "%s: \"%u\": there is no such vNIC; the last is %u", config_place(c, line), port, r->nports - 1);
}

/* ---- routes ---- */

/* The port in whose subnet an address is, or CONFIG_ANY_PORT. */
static u8 port_towards(const struct config *c, u32 address)
{
	size_t i;

	for (i = 0; i < c->addresses.n; i++) {
		const struct config_address *a = &c->addresses.at[i];

		if (!((a->address ^ address) & prefix_mask(a->length)))
			return a->port;
	}
	return CONFIG_ANY_PORT;
}

static bool is_own(const struct config *c, u32 address)
{
	size_t i;

	for (i = 0; i < c->addresses.n; i++)
		if (c->addresses.at[i].address == address)
			return true;
	return false;
}

static int find_target(const struct config *c, const struct router *r, const struct config_route *route,
		       struct route_target *target, struct error *e)
{
	u8 port = route->port;

	*target = (struct route_target){ .kind = route->kind };
	if (route->kind > NEXTHOP_CONNECTED)
		return 0;
	if (port == CONFIG_ANY_PORT)
		port = port_towards(c, route->gateway);
	if (port == CONFIG_ANY_PORT)
		return refuse(e, "%s: \"%s\": in no subnet of this router; give it an address there, or say dev N",
			      config_place(c, route->line), dotted(route->gateway));
	if (route->kind == NEXTHOP_GATEWAY && is_own(c, route->gateway))
		return refuse(e, "%s: \"%s\": is this router's own address; a gateway is another one",
			      config_place(c, route->line), dotted(route->gateway));
	target->port = port;
	target->gateway = address_ipv4(route->gateway);
	return check_port(c, r, route->line, port, e);
}

/* Routes share few targets. Remembers those just seen, by gateway. */
#define RECENT 1024
struct recent {
	u32 gateway;
	u16 id;
	u8 kind, port;
};

static bool is_same_target(const struct recent *seen, const struct config_route *route)
{
	return seen->id && seen->gateway == route->gateway && seen->kind == route->kind && seen->port == route->port;
}

static int resolve_routes(const struct config *c, struct router *r, struct fib_route *out, struct error *e)
{
	auto_free struct recent *recent = calloc(RECENT, sizeof *recent);
	size_t i;

	if (!recent)
		return fail(e, ENOMEM, "routes");
	for (i = 0; i < c->routes.n; i++) {
		const struct config_route *route = &c->routes.at[i];
		struct recent *seen = &recent[(route->gateway * 0x9e3779b1u >> 22) & (RECENT - 1)];

		if (is_same_target(seen, route)) {
			nexthop_hold(&r->nexthops, seen->id);
		} else {
			struct route_target target;

			if (find_target(c, r, route, &target, e))
				return -EINVAL;
			seen->id = route_target_id(r, FAMILY_IPV4, &target);
			if (!seen->id)
				return refuse(e, "%s: \"%s\": more than %u different gateways",
					      config_place(c, route->line), dotted(route->gateway), FIB_MAX_NEXTHOP);
			seen->gateway = route->gateway;
			seen->kind = route->kind;
			seen->port = route->port;
		}
		out[i] = (struct fib_route){ .prefix = route->prefix, .length = route->length, .nexthop = seen->id };
	}
	return 0;
}

static int twice(const struct config *c, size_t which, struct error *e)
{
	const struct config_route *at = c->routes.at, *culprit = &at[which];
	size_t i;

	for (i = 0; at[i].prefix != culprit->prefix || at[i].length != culprit->length; i++)
		;
	return refuse(e, "%s: \"%s/%u\": has a route already, at line %u", config_place(c, culprit->line),
		      dotted(culprit->prefix), culprit->length, at[i].line & ~CONFIG_ARGUMENT);
}

static int load_routes(const struct config *c, struct router *r, struct error *e)
{
	auto_free struct fib_route *routes = calloc(c->routes.n + 1, sizeof *routes);
	size_t which;
	int err;

	if (!routes)
		return fail(e, ENOMEM, "%zu routes", c->routes.n);
	err = resolve_routes(c, r, routes, e);
	if (err)
		return err;
	err = route_load(r, routes, c->routes.n, &which);
	if (err == -EEXIST)
		return twice(c, which, e);
	if (err == -ENOSPC)
		return refuse(e, "%s: \"%s/%u\": routes longer than /24 in more than %u different /24s",
			      config_place(c, c->routes.at[which].line), dotted(routes[which].prefix),
			      routes[which].length, FIB_GROUPS);
	return err ? fail(e, -err, "%zu routes", c->routes.n) : 0;
}

/* ---- addresses ---- */

/* The one route that says the same as an address: its line in the configuration. */
static u32 line_of_route(const struct config *c, u32 prefix, unsigned length)
{
	size_t i;

	for (i = 0; i < c->routes.n; i++)
		if (c->routes.at[i].prefix == prefix && c->routes.at[i].length == length)
			return c->routes.at[i].line;
	return 0;
}

/* Two addresses in one subnet are good on one vNIC, and wrong on two. */
static int check_overlap(const struct config *c, size_t which, struct error *e)
{
	const struct config_address *a = &c->addresses.at[which];
	size_t i;

	for (i = 0; i < which; i++) {
		const struct config_address *b = &c->addresses.at[i];

		if (a->address == b->address)
			return refuse(e, "%s: \"%s\": is given twice; an address belongs to one vNIC, once",
				      config_place(c, a->line), dotted(a->address));
		if (a->port != b->port && a->length == b->length &&
		    !((a->address ^ b->address) & prefix_mask(a->length)))
			return refuse(e, "%s: \"%s/%u\": vNIC %u is in this subnet already; vNIC %u needs another one",
				      config_place(c, a->line), dotted(a->address), a->length, b->port, a->port);
	}
	return 0;
}

static int add_address(const struct config *c, struct router *r, size_t which, struct error *e)
{
	const struct config_address *a = &c->addresses.at[which];
	u32 subnet = a->address & prefix_mask(a->length), line = line_of_route(c, subnet, a->length);
	struct prefix prefix = prefix_ipv4(a->address, a->length);
	int err;

	if (line)
		return refuse(e, "%s: \"%s/%u\": vNIC %u is in this subnet, which needs no route", config_place(c, line),
			      dotted(subnet), a->length, a->port);
	err = check_port(c, r, a->line, a->port, e);
	if (err)
		return err;
	err = check_overlap(c, which, e);
	if (err)
		return err;
	err = route_add_address(r, a->port, &prefix);
	if (err == -ENOSPC)
		return refuse(e, "%s: \"%s\": more than %u addresses on vNIC %u", config_place(c, a->line),
			      dotted(a->address), PORT_ADDRESSES, a->port);
	return err ? fail(e, -err, "%s: \"%s\"", config_place(c, a->line), dotted(a->address)) : 0;
}

/* ---- neighbours ---- */

static int add_neighbour(const struct config *c, struct router *r, const struct config_neighbour *given, struct error *e)
{
	struct address address = address_ipv4(given->address);
	struct neighbour *n;
	int err = check_port(c, r, given->line, given->port, e);

	if (err)
		return err;
	if (neighbour_find(&r->neighbours, FAMILY_IPV4, given->port, &address))
		return refuse(e, "%s: \"%s\": is given twice for vNIC %u", config_place(c, given->line),
			      dotted(given->address), given->port);
	n = neighbour_new(&r->neighbours, FAMILY_IPV4, given->port, &address, r->now);
	if (!n)
		return refuse(e, "%s: \"%s\": more than %u neighbours", config_place(c, given->line),
			      dotted(given->address), NEIGHBOURS);
	neighbour_pin(n, given->mac);
	return 0;
}

/* ---- all of it ---- */

static int default_addresses(const struct config *c, struct router *r, struct config *with_defaults, struct error *e)
{
	unsigned i;

	*with_defaults = *c;
	if (c->addresses.n)
		return 0;
	with_defaults->addresses.at = calloc(EUROPA_MAX_VNICS, sizeof *with_defaults->addresses.at);
	if (!with_defaults->addresses.at)
		return fail(e, ENOMEM, "addresses");
	for (i = 0; i < r->nports; i++)
		with_defaults->addresses.at[i] = (struct config_address){
			.line = CONFIG_ARGUMENT, .address = 10u << 24 | i << 8 | 1, .length = 24, .port = i,
		};
	with_defaults->addresses.n = r->nports;
	return 0;
}

static int apply(const struct config *c, struct router *r, struct error *e)
{
	size_t i;
	int err = load_routes(c, r, e);

	for (i = 0; !err && i < c->addresses.n; i++)
		err = add_address(c, r, i, e);
	for (i = 0; !err && i < c->neighbours.n; i++)
		err = add_neighbour(c, r, &c->neighbours.at[i], e);
	for (i = 0; !err && i < c->vlans.n; i++) {
		err = check_port(c, r, c->vlans.at[i].line, c->vlans.at[i].port, e);
		if (!err)
			r->port[c->vlans.at[i].port].vlan = c->vlans.at[i].vlan;
	}
	return err;
}

int config_apply(const struct config *config, struct router *r, struct error *e)
{
	struct config with_defaults;
	int err = default_addresses(config, r, &with_defaults, e);

	if (err)
		return err;
	r->redirects = config->redirects;
	r->source_check = config->source_check;
	bucket_init(&r->icmp_errors, config->icmp_rate, config->icmp_depth, r->now);
	err = apply(&with_defaults, r, e);
	if (with_defaults.addresses.at != config->addresses.at)
		free(with_defaults.addresses.at);
	return err;
}

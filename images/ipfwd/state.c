/* SPDX-License-Identifier: MIT */
#include "state.h"

#include <errno.h>
#include <stdlib.h>

#include "config.h"
#include "packet.h"
#include "route.h"
#include "runtime/cleanup.h"

#define MAGIC     0x3165746174732d69ull  /* "i-state1" */
#define PIECE     1024                   /* routes that are written at once */
#define MAX_VLAN  4094

struct saved_header {
	u64 magic;
	u32 nports, naddresses, nnexthops, nneighbours, nroutes;
	u32 icmp_rate, icmp_depth;
	u16 ip_id;
	u8 redirects, source_check;
	u16 vlan[EUROPA_MAX_VNICS];
};

struct saved_address {
	u32 address;
	u8 length, port;
	u16 reserved;
};

struct saved_nexthop {
	u32 gateway;
	u8 kind, port;
	u16 reserved;
};

struct saved_neighbour {
	u32 address;
	u32 left_ms;            /* until its state ends by itself */
	u8 mac[6];
	u8 port, state;
};

_Static_assert(sizeof(struct saved_header) == 104 && sizeof(struct saved_address) == 8 &&
	       sizeof(struct saved_nexthop) == 8 && sizeof(struct saved_neighbour) == 16 && sizeof(struct fib_route) == 8,
	       "version 1 is laid out like this, and without holes");

/* ---- saving ---- */

/* From ids to places in the saved table: `places` has room for all ids. Returns how many are in use. */
static u32 number_nexthops(const struct nexthops *table, u16 *places)
{
	u32 id, n = 0;

	places[0] = 0;
	for (id = 1; id < table->used; id++)
		places[id] = table->at[id].users ? ++n : 0;
	return n;
}

static bool is_saved(const struct neighbour *n)
{
	return n->state != NEIGHBOUR_FREE && neighbour_usable(n) && n->family == FAMILY_IPV4;
}

static void fill_header(const struct router *r, struct saved_header *header)
{
	unsigned i;

	*header = (struct saved_header){
		.magic = MAGIC, .nports = r->nports, .nroutes = fib_count(&r->fib), .icmp_rate = r->icmp_errors.rate,
		.icmp_depth = r->icmp_errors.depth, .ip_id = r->ip_id, .redirects = r->redirects,
		.source_check = r->source_check,
	};
	for (i = 0; i < r->nports; i++) {
		header->naddresses += r->port[i].naddresses;
		header->vlan[i] = r->port[i].vlan;
	}
	for (i = 1; i <= r->neighbours.high; i++)
		header->nneighbours += is_saved(&r->neighbours.at[i]);
}

static int save_addresses(const struct router *r, state_put_fn *put, void *to)
{
	unsigned port, i;
	int err = 0;

	for (port = 0; port < r->nports; port++) {
		for (i = 0; !err && i < r->port[port].naddresses; i++) {
			const struct prefix *p = &r->port[port].address[i];
			struct saved_address a = { .address = p->address.word[0], .length = p->length, .port = port };

			err = put(to, &a, sizeof a);
		}
	}
	return err;
}

static int save_nexthops(const struct nexthops *table, state_put_fn *put, void *to)
{
	int err = 0;
	u32 id;

	for (id = 1; !err && id < table->used; id++) {
		const struct nexthop *nh = &table->at[id];
		struct saved_nexthop saved = { .gateway = nh->gateway.word[0], .kind = nh->kind, .port = nh->port };

		if (nh->users)
			err = put(to, &saved, sizeof saved);
	}
	return err;
}

static int save_neighbours(const struct router *r, state_put_fn *put, void *to)
{
	int err = 0;
	unsigned i;

	for (i = 1; !err && i <= r->neighbours.high; i++) {
		const struct neighbour *n = &r->neighbours.at[i];
		u64 left = n->deadline > r->now ? n->deadline - r->now : 0;
		struct saved_neighbour saved = { .address = n->address.word[0], .port = n->port, .state = n->state };

		memcpy(saved.mac, n->mac, sizeof saved.mac);
		saved.left_ms = left < NEIGHBOUR_STALE ? (u32)left : NEIGHBOUR_STALE;
		if (is_saved(n))
			err = put(to, &saved, sizeof saved);
	}
	return err;
}

static int save_routes(const struct fib *fib, const u16 *places, state_put_fn *put, void *to)
{
	struct fib_route piece[PIECE];
	size_t n = 0, i;
	int err = 0;

	if (fib->fallback)
		piece[n++] = (struct fib_route){ .nexthop = places[fib->fallback] };
	for (i = 0; !err && i < fib->places; i++) {
		if (!fib->routes[i].length)
			continue;
		piece[n] = fib->routes[i];
		piece[n].nexthop = places[piece[n].nexthop];
		if (++n == PIECE) {
			err = put(to, piece, sizeof piece);
			n = 0;
		}
	}
	return err ? err : put(to, piece, n * sizeof *piece);
}

int state_save(const struct router *r, state_put_fn *put, void *to)
{
	auto_free u16 *places = calloc(FIB_MAX_NEXTHOP + 1, sizeof *places);
	struct saved_header header;
	int err;

	if (!places)
		return -ENOMEM;
	fill_header(r, &header);
	header.nnexthops = number_nexthops(&r->nexthops, places);
	err = put(to, &header, sizeof header);
	if (!err)
		err = save_addresses(r, put, to);
	if (!err)
		err = save_nexthops(&r->nexthops, put, to);
	if (!err)
		err = save_neighbours(r, put, to);
	return err ? err : save_routes(&r->fib, places, put, to);
}

/* ---- loading ---- */

/* Where the parts are; their lengths have been checked against the whole. */
struct saved {
	const struct saved_header *header;
	const struct saved_address *addresses;
	const struct saved_nexthop *nexthops;
	const struct saved_neighbour *neighbours;
	const struct fib_route *routes;
};

static int find_parts(const void *blob, size_t len, struct saved *s, struct error *e)
{
	const struct saved_header *h = s->header = blob;
	u64 wanted;

	if (len < sizeof *h || h->magic != MAGIC)
		return refuse(e, "state: %zu bytes that ipfwd didn't write", len);
	wanted = sizeof *h + (u64)h->naddresses * sizeof *s->addresses + (u64)h->nnexthops * sizeof *s->nexthops +
		 (u64)h->nneighbours * sizeof *s->neighbours + (u64)h->nroutes * sizeof *s->routes;
	if (len != wanted)
		return refuse(e, "state: %zu bytes; what it says is in it takes %llu", len, (unsigned long long)wanted);
	s->addresses = (const void *)(h + 1);
	s->nexthops = (const void *)(s->addresses + h->naddresses);
	s->neighbours = (const void *)(s->nexthops + h->nnexthops);
	s->routes = (const void *)(s->neighbours + h->nneighbours);
	return 0;
}

static int load_settings(struct router *r, const struct saved_header *h, struct error *e)
{
	unsigned i;

	if (h->nports != r->nports)
		return refuse(e, "state: of a router with %u vNICs; this one has %u", h->nports, r->nports);
	if (h->redirects > 1 || h->source_check > 1)
		return refuse(e, "state: settings %u and %u; each is 0 or 1", h->redirects, h->source_check);
	for (i = 0; i < EUROPA_MAX_VNICS; i++) {
		if (h->vlan[i] > (i < r->nports ? MAX_VLAN : 0))
			return refuse(e, "state: vNIC %u has VLAN %u", i, h->vlan[i]);
		r->port[i].vlan = h->vlan[i];
	}
	r->redirects = h->redirects;
	r->source_check = h->source_check;
	r->ip_id = h->ip_id;
	bucket_init(&r->icmp_errors, h->icmp_rate, h->icmp_depth, r->now);
	return 0;
}

static int load_addresses(struct router *r, const struct saved *s, struct error *e)
{
	u32 i;

	for (i = 0; i < s->header->naddresses; i++) {
		const struct saved_address *a = &s->addresses[i];
		struct prefix prefix = prefix_ipv4(a->address, a->length);

		if (a->port >= r->nports || !a->length || a->length > 32 || a->reserved)
			return refuse(e, "state: \"%s/%u\" on vNIC %u is no address", dotted(a->address), a->length, a->port);
		if (port_add_address(&r->port[a->port], &prefix) < 0)
			return refuse(e, "state: \"%s\" is one address too many on vNIC %u", dotted(a->address), a->port);
	}
	return 0;
}

static bool nexthop_is_sane(const struct router *r, const struct saved_nexthop *nh)
{
	if (nh->kind > NEXTHOP_BLACKHOLE || nh->kind == NEXTHOP_NO_ROUTE || nh->reserved)
		return false;
	if (nh->port >= (route_kind_has_port(nh->kind) ? r->nports : 1))
		return false;
	return nh->kind == NEXTHOP_GATEWAY || !nh->gateway;
}

/* From places in the saved table to ids of this router's, one user each. */
static int load_nexthops(struct router *r, const struct saved *s, u16 *ids, struct error *e)
{
	u32 i;

	for (i = 0; i < s->header->nnexthops; i++) {
		const struct saved_nexthop *nh = &s->nexthops[i];
		struct route_target target = {
			.kind = nh->kind, .port = nh->port, .gateway = address_ipv4(nh->gateway),
		};

		if (!nexthop_is_sane(r, nh))
			return refuse(e, "state: next hop %u of kind %u to \"%s\" out of vNIC %u makes no sense", i + 1, nh->kind,
				      dotted(nh->gateway), nh->port);
		ids[i + 1] = route_target_id(r, FAMILY_IPV4, &target);
		if (!ids[i + 1])
			return refuse(e, "state: more than %u next hops", FIB_MAX_NEXTHOP);
	}
	return 0;
}

static int load_neighbours(struct router *r, const struct saved *s, struct error *e)
{
	u32 i;

	for (i = 0; i < s->header->nneighbours; i++) {
		const struct saved_neighbour *saved = &s->neighbours[i];
		struct address address = address_ipv4(saved->address);
		struct neighbour *n;

		if (saved->port >= r->nports || saved->state < NEIGHBOUR_PROBE || saved->state > NEIGHBOUR_PERMANENT ||
		    is_group_mac(saved->mac))
			return refuse(e, "state: neighbour \"%s\" of vNIC %u makes no sense", dotted(saved->address), saved->port);
		if (neighbour_find(&r->neighbours, FAMILY_IPV4, saved->port, &address))
			return refuse(e, "state: neighbour \"%s\" of vNIC %u is there twice", dotted(saved->address), saved->port);
		n = neighbour_new(&r->neighbours, FAMILY_IPV4, saved->port, &address, r->now);
		if (!n)
			return refuse(e, "state: more than %u neighbours", NEIGHBOURS);
		neighbour_restore(&r->neighbours, n, saved->mac, saved->state, saved->left_ms, r->now);
	}
	return 0;
}

static int refuse_route(const struct fib_route *route, int err, struct error *e)
{
	switch (err) {
	case -EEXIST:
		return refuse(e, "state: route \"%s/%u\" is there twice", dotted(route->prefix), route->length);
	case -ENOSPC:
		return refuse(e, "state: routes longer than /24 in more than %u different /24s", FIB_GROUPS);
	case -EINVAL:
		return refuse(e, "state: \"%s/%u\" is no route", dotted(route->prefix), route->length);
	default:
		return fail(e, -err, "state: routes");
	}
}

static int load_routes(struct router *r, const struct saved *s, const u16 *ids, struct error *e)
{
	auto_free struct fib_route *routes = malloc((s->header->nroutes + (size_t)1) * sizeof *routes);
	size_t which;
	u32 i;
	int err;

	if (!routes)
		return fail(e, ENOMEM, "state: %u routes", s->header->nroutes);
	for (i = 0; i < s->header->nroutes; i++) {
		routes[i] = s->routes[i];
		if (!routes[i].nexthop || routes[i].nexthop > s->header->nnexthops || routes[i].reserved)
			return refuse_route(&routes[i], -EINVAL, e);
		routes[i].nexthop = ids[routes[i].nexthop];
		nexthop_hold(&r->nexthops, routes[i].nexthop);
	}
	err = route_load(r, routes, s->header->nroutes, &which);
	return err ? refuse_route(&routes[which], err, e) : 0;
}

static int load_table(struct router *r, const struct saved *s, struct error *e)
{
	auto_free u16 *ids = calloc(s->header->nnexthops + (size_t)1, sizeof *ids);
	u32 i;
	int err;

	if (s->header->nnexthops > FIB_MAX_NEXTHOP)
		return refuse(e, "state: %u next hops; %u are the most", s->header->nnexthops, FIB_MAX_NEXTHOP);
	if (!ids)
		return fail(e, ENOMEM, "state: next hops");
	err = load_nexthops(r, s, ids, e);
	if (!err)
		err = load_routes(r, s, ids, e);
	/* The routes hold them now. */
	for (i = 1; !err && i <= s->header->nnexthops; i++)
		nexthop_put(&r->nexthops, ids[i]);
	return err;
}

int state_load(struct router *r, u32 version, const void *blob, size_t len, struct error *e)
{
	struct saved s = { 0 };
	int err;

	if (version != STATE_VERSION)
		return refuse(e, "state: of version %u; this ipfwd reads version %u", version, STATE_VERSION);
	err = find_parts(blob, len, &s, e);
	if (!err)
		err = load_settings(r, s.header, e);
	if (!err)
		err = load_addresses(r, &s, e);
	if (!err)
		err = load_table(r, &s, e);
	return err ? err : load_neighbours(r, &s, e);
}

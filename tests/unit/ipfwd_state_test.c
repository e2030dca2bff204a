// SPDX-License-Identifier: MIT
/* What ipfwd saves, what it goes on with, and what it refuses to begin with. */
#include "tests/unit/ipfwd_bed.h"

#include <errno.h>
#include <stdlib.h>

#include "images/ipfwd/route.h"
#include "images/ipfwd/state.h"
#include "tests/unit/ipfwd_tables.h"

struct bytes {
	u8 *at;
	size_t n, room;
	size_t most;                     /* beyond which put fails; 0: none */
};

static int put(void *to, const void *bytes, size_t n)
{
	struct bytes *b = to;

	if (b->most && b->n + n > b->most)
		return -ENOSPC;
	if (b->n + n > b->room) {
		b->room = 2 * (b->n + n);
		b->at = realloc(b->at, b->room);
		assert_non_null(b->at);
	}
	if (n)
		memcpy(b->at + b->n, bytes, n);
	b->n += n;
	return 0;
}

static struct bytes saved(const struct router *r)
{
	struct bytes b = { 0 };

	assert_int_equal(state_save(r, put, &b), 0);
	return b;
}

static struct europa_vnic vnics[3];
static struct europa two_vnics = { .nvnics = 2, .vnics = vnics };

static struct router *loaded(const struct bytes *b, u64 now)
{
	struct router *r = router_new(&two_vnics, now);
	struct error e = { 0 };

	assert_non_null(r);
	if (state_load(r, STATE_VERSION, b->at, b->n, &e))
		fail_msg("%s", e.text);
	return r;
}

/* ---- the same router ---- */

static void assert_same_route(const struct router *a, const struct router *b, u32 prefix, unsigned length)
{
	const struct nexthop *x = &a->nexthops.at[fib_get(&a->fib, prefix, length)];
	const struct nexthop *y = &b->nexthops.at[fib_get(&b->fib, prefix, length)];

	assert_int_equal(x->kind, y->kind);
	assert_int_equal(x->port, y->port);
	assert_int_equal(x->family, y->family);
	assert_int_equal(x->users, y->users);
	assert_true(address_equal(&x->gateway, &y->gateway));
}

static void assert_same(struct router *a, struct router *b)
{
	assert_int_equal(fib_count(&a->fib), fib_count(&b->fib));
	assert_same_route(a, b, 0, 0);
	for (size_t i = 0; i < a->fib.places; i++)
		if (a->fib.routes[i].length)
			assert_same_route(a, b, a->fib.routes[i].prefix, a->fib.routes[i].length);
	for (unsigned i = 0; i < a->nports; i++) {
		assert_int_equal(a->port[i].naddresses, b->port[i].naddresses);
		for (unsigned n = 0; n < a->port[i].naddresses; n++) {
			assert_true(address_equal(&a->port[i].address[n].address, &b->port[i].address[n].address));
			assert_int_equal(a->port[i].address[n].length, b->port[i].address[n].length);
			assert_int_equal(a->port[i].address[n].family, b->port[i].address[n].family);
		}
		assert_int_equal(a->port[i].vlan, b->port[i].vlan);
	}
	for (unsigned i = 1; i <= a->neighbours.high; i++) {
		const struct neighbour *n = &a->neighbours.at[i];
		const struct neighbour *m = neighbour_find(&b->neighbours, n->family, n->port, &n->address);

		assert_int_equal(m != NULL, neighbour_usable(n));
		if (m)
			assert_memory_equal(m->mac, n->mac, 6);
	}
	assert_int_equal(a->redirects, b->redirects);
	assert_int_equal(a->source_check, b->source_check);
	assert_int_equal(a->icmp_errors.rate, b->icmp_errors.rate);
	assert_int_equal(a->icmp_errors.depth, b->icmp_errors.depth);
	assert_int_equal(a->ip_id, b->ip_id);
}

static void what_is_saved_comes_back(void **state)
{
	static const char *const configs[] = {
		"", "address 0 10.0.0.1/24", ipfwd_standard, ipfwd_unknown,
		"address 0 10.0.0.1/24\naddress 0 10.0.5.1/31\naddress 1 10.0.1.1/32\nroute default via 10.0.0.7\nvlan 1 4094\n"
		"redirects off\nsource-check on\nicmp-rate 7 9\nroute 1.2.3.4 dev 1\nneighbour 1.2.3.4 02:00:00:00:00:01 dev 1\n",
	};

	for (unsigned i = 0; i < sizeof configs / sizeof *configs; i++) {
		struct ipfwd_bed *b = ipfwd_open(64, configs[i]);
		struct bytes once = saved(b->r), again;
		struct router *next = loaded(&once, 77), *third;

		assert_same(b->r, next);
		again = saved(next);
		third = loaded(&again, 1);
		assert_same(b->r, third);
		assert_int_equal(once.n, again.n);
		router_free(third);
		router_free(next);
		free(once.at);
		free(again.at);
		ipfwd_close(b);
	}
}

static void a_route_that_was_deleted_is_not_saved(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct prefix gone = prefix_ipv4(IP(10, 9, 0, 0), 16);
	struct bytes before = saved(b->r), after;
	struct router *next;

	assert_int_equal(route_delete(b->r, &gone), 0);
	after = saved(b->r);
	assert_int_equal(before.n - after.n, 16);       /* the route, and the next hop that only it had */
	next = loaded(&after, 0);
	assert_same(b->r, next);
	router_free(next);
	free(before.at);
	free(after.at);
	ipfwd_close(b);
}

/* A router of the bed's that was told nothing but what the other one knew. */
static void go_on_as(struct ipfwd_bed *b, const struct bytes *s)
{
	struct error e = { 0 };

	router_free(b->r);
	b->r = router_new(b->bed.eu, 5000000);
	assert_int_equal(state_load(b->r, STATE_VERSION, s->at, s->n, &e), 0);
	ipfwd_turn(b);
}

static void forwards_as_before_without_asking(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);
	u8 frame[FRAME_MOST], host[6];
	struct bytes s;
	u32 len;

	/* It asked for the neighbour, which answered; then the router moves. */
	len = make_packet(frame, &(struct packet_form){ .payload = 26 });
	ipfwd_in(b, 0, frame, len, NULL);
	ipfwd_expect(b, 1);
	len = make_arp(frame, 1, ARP_REPLY, IP(10, 0, 1, 2), IP(10, 0, 1, 1));
	ipfwd_in(b, 1, frame, len, NULL);
	ipfwd_expect(b, 1);
	s = saved(b->r);
	go_on_as(b, &s);

	len = make_packet(frame, &(struct packet_form){ .payload = 26 });
	ipfwd_in(b, 0, frame, len, NULL);
	mac_of_host(host, IP(10, 0, 1, 2));
	assert_memory_equal(ipfwd_expect(b, 1)->frame, host, 6);
	ipfwd_expect_nothing(b);
	/* REACHABLE for 30 s in all, not 30 s anew: then it is asked when it is used. */
	ipfwd_later(b, NEIGHBOUR_REACHABLE + 1);
	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .payload = 26 }), NULL);
	ipfwd_expect(b, 1);
	ipfwd_expect(b, 1);
	free(s.at);
	ipfwd_close(b);
}

static void shows_its_addresses_as_soon_as_a_link_comes_up(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct bytes s = saved(b->r);
	struct caught *shown;

	go_on_as(b, &s);
	ipfwd_later(b, 3000);
	ipfwd_expect_nothing(b);
	b->bed.vr.vnics[1].flags |= EUROPA_VNIC_UP;
	for (unsigned ms = 0; ms < 100; ms += 10)
		ipfwd_later(b, 10);
	shown = ipfwd_expect(b, 1);
	assert_int_equal(shown->frame[0], 0xff);
	assert_int_equal(shown->frame[12] << 8 | shown->frame[13], TYPE_ARP);
	assert_memory_equal(shown->frame + 28, ((u8[]){ 10, 0, 1, 1 }), 4);
	assert_memory_equal(shown->frame + 38, ((u8[]){ 10, 0, 1, 1 }), 4);
	ipfwd_expect_nothing(b);
	free(s.at);
	ipfwd_close(b);
}

/* ---- large ---- */

static void a_million_routes_come_back(void **state)
{
	enum { ROUTES = 1000000, GATEWAYS = 500 };
	struct router *r = router_new(&two_vnics, 0), *next;
	struct fib_route *routes = malloc(ROUTES * sizeof *routes);
	size_t n = table_internet(routes, ROUTES, GATEWAYS, 42), which;
	u16 ids[GATEWAYS + 1];
	uint64_t random = 1;
	struct bytes s;

	for (u32 i = 1; i <= GATEWAYS; i++) {
		struct route_target target = {
			.kind = NEXTHOP_GATEWAY, .port = i % 2, .gateway = address_ipv4(IP(10, i >> 8, i & 255, 1)),
		};

		ids[i] = route_target_id(r, FAMILY_IPV4, &target);
	}
	for (size_t i = 0; i < n; i++) {
		routes[i].nexthop = ids[routes[i].nexthop];
		nexthop_hold(&r->nexthops, routes[i].nexthop);
	}
	for (u32 i = 1; i <= GATEWAYS; i++)
		nexthop_put(&r->nexthops, ids[i]);
	assert_int_equal(route_load(r, routes, n, &which), 0);

	s = saved(r);
	assert_in_range(s.n, n * 8, n * 8 + 8192);
	next = loaded(&s, 0);
	assert_int_equal(fib_count(&next->fib), n);
	for (size_t i = 0; i < n; i++)
		assert_same_route(r, next, routes[i].prefix, routes[i].length);
	for (unsigned i = 0; i < 1000000; i++) {
		u32 to = (u32)table_random(&random);
		const struct nexthop *x = &r->nexthops.at[fib_lookup(&r->fib, to)];
		const struct nexthop *y = &next->nexthops.at[fib_lookup(&next->fib, to)];

		assert_true(x->kind == y->kind && address_equal(&x->gateway, &y->gateway));
	}
	router_free(r);
	router_free(next);
	free(routes);
	free(s.at);
}

static void a_put_that_fails_ends_it(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct bytes s = saved(b->r);
	size_t n = s.n;

	for (size_t most = 1; most < n; most += 8) {
		s.n = 0;
		s.most = most;
		assert_int_equal(state_save(b->r, put, &s), -ENOSPC);
	}
	free(s.at);
	ipfwd_close(b);
}

/* ---- refused ---- */

/* Offsets in version 1. */
enum {
	AT_PORTS = 8, AT_ADDRESSES = 12, AT_NEXTHOPS = 16, AT_NEIGHBOURS = 20, AT_ROUTES = 24, AT_REDIRECTS = 38, AT_SOURCE_CHECK = 39,
	AT_VLANS = 40, HEADER = 104,
};

static u32 get(const struct bytes *b, size_t at)
{
	u32 value;

	memcpy(&value, b->at + at, 4);
	return value;
}

static void refuses(const struct bytes *good, size_t at, const void *new_bytes, size_t n, const char *says)
{
	struct router *r = router_new(&two_vnics, 0);
	struct error e = { 0 };
	u8 *bytes = malloc(good->n);

	memcpy(bytes, good->at, good->n);
	memcpy(bytes + at, new_bytes, n);
	assert_true(state_load(r, STATE_VERSION, bytes, good->n, &e) < 0);
	if (!strstr(e.text, says))
		fail_msg("\"%s\" doesn't say \"%s\"", e.text, says);
	router_free(r);
	free(bytes);
}

/* A state's parts, in their order, and what an element of each has in bytes. */
enum part { FIXED, ADDRESSES, NEXTHOPS, HOSTS, ROUTES, PARTS };

static const struct { size_t at, element; } counts[PARTS] = {
	[ADDRESSES] = { AT_ADDRESSES, 8 }, [NEXTHOPS] = { AT_NEXTHOPS, 8 }, [HOSTS] = { AT_NEIGHBOURS, 16 }, [ROUTES] = { AT_ROUTES, 8 },
};

static void find_parts(const struct bytes *s, size_t parts[PARTS])
{
	parts[FIXED] = 0;
	parts[ADDRESSES] = HEADER;
	for (unsigned p = NEXTHOPS; p < PARTS; p++)
		parts[p] = parts[p - 1] + counts[p - 1].element * get(s, counts[p - 1].at);
}

#define BYTES(text) (text), sizeof(text) - 1

static void what_makes_no_sense_is_refused_by_name(void **state)
{
	static const struct { enum part part; size_t at; const char *bytes; size_t n; const char *says; } rows[] = {
		{ FIXED, 0, BYTES("x"), "ipfwd didn't write" },
		{ FIXED, AT_PORTS, BYTES("\3"), "3 vNICs; this one has 2" },
		{ FIXED, AT_ADDRESSES, BYTES("\1"), "takes" },
		{ FIXED, AT_NEXTHOPS, BYTES("\377\377\377\377"), "takes" },
		{ FIXED, AT_NEIGHBOURS, BYTES("\377\377\377\377"), "takes" },
		{ FIXED, AT_ROUTES, BYTES("\377\377\377\377"), "takes" },
		{ FIXED, AT_REDIRECTS, BYTES("\2"), "0 or 1" },
		{ FIXED, AT_SOURCE_CHECK, BYTES("\2"), "0 or 1" },
		{ FIXED, AT_VLANS + 2, BYTES("\xff\xff"), "VLAN 65535" },
		{ FIXED, AT_VLANS + 4, BYTES("\1"), "vNIC 2 has VLAN 1" },
		{ ADDRESSES, 4, BYTES("\0"), "is no address" },
		{ ADDRESSES, 4, BYTES("\41"), "\"10.0.0.1/33\"" },
		{ ADDRESSES, 5, BYTES("\2"), "vNIC 2" },
		{ ADDRESSES, 6, BYTES("\1"), "is no address" },
		{ NEXTHOPS, 4, BYTES("\2"), "kind 2" },
		{ NEXTHOPS, 4, BYTES("\10"), "kind 8" },
		{ NEXTHOPS, 5, BYTES("\2"), "vNIC 2" },
		{ NEXTHOPS, 6, BYTES("\1"), "makes no sense" },
		{ HOSTS, 8, BYTES("\1"), "neighbour" },
		{ HOSTS, 14, BYTES("\2"), "of vNIC 2" },
		{ HOSTS, 15, BYTES("\2"), "neighbour" },
		{ HOSTS, 15, BYTES("\7"), "neighbour" },
		{ ROUTES, 4, BYTES("\0\0"), "is no route" },
		{ ROUTES, 4, BYTES("\377\377"), "is no route" },
		{ ROUTES, 6, BYTES("\41"), "is no route" },
		{ ROUTES, 7, BYTES("\1"), "is no route" },
	};
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct bytes s = saved(b->r);
	size_t parts[PARTS];

	find_parts(&s, parts);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		refuses(&s, parts[rows[i].part] + rows[i].at, rows[i].bytes, rows[i].n, rows[i].says);
	free(s.at);
	ipfwd_close(b);
}

static void what_is_there_twice_is_refused(void **state)
{
	static const struct { enum part part; const char *says; } rows[] = {
		{ ADDRESSES, "one address too many" }, { HOSTS, "twice" }, { ROUTES, "twice" },
	};
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct bytes s = saved(b->r);
	size_t parts[PARTS];

	find_parts(&s, parts);
	/* The second becomes the first's twin. */
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t at = parts[rows[i].part], n = counts[rows[i].part].element;

		refuses(&s, at + n, s.at + at, n, rows[i].says);
	}
	free(s.at);
	ipfwd_close(b);
}

static void another_version_is_refused(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct bytes s = saved(b->r);
	struct router *r = router_new(&two_vnics, 0);
	struct error e = { 0 };

	assert_int_equal(state_load(r, STATE_VERSION + 1, s.at, s.n, &e), -EINVAL);
	assert_string_equal(e.text, "state: of version 2; this ipfwd reads version 1");
	router_free(r);
	free(s.at);
	ipfwd_close(b);
}

static void no_damage_goes_beyond_an_error(void **state)
{
	static const u8 damage[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct bytes s = saved(b->r);

	for (size_t n = 0; n < s.n; n++) {
		struct router *r = router_new(&two_vnics, 0);
		struct error e = { 0 };
		u8 *exact = malloc(n ? n : 1);

		memcpy(exact, s.at, n);
		assert_true(state_load(r, STATE_VERSION, exact, n, &e) < 0);
		router_free(r);
		free(exact);
	}
	for (size_t at = 0; at < s.n; at++) {
		for (unsigned i = 0; i < sizeof damage; i++) {
			struct router *r = router_new(&two_vnics, 0);
			struct error e = { 0 };
			u8 was = s.at[at];
			int err;

			s.at[at] = damage[i];
			err = state_load(r, STATE_VERSION, s.at, s.n, &e);
			assert_int_equal(err != 0, e.code != 0);
			router_free(r);
			s.at[at] = was;
		}
	}
	free(s.at);
	ipfwd_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_saved_comes_back),
		cmocka_unit_test(a_route_that_was_deleted_is_not_saved),
		cmocka_unit_test(forwards_as_before_without_asking),
		cmocka_unit_test(shows_its_addresses_as_soon_as_a_link_comes_up),
		cmocka_unit_test(a_million_routes_come_back),
		cmocka_unit_test(a_put_that_fails_ends_it),
		cmocka_unit_test(what_makes_no_sense_is_refused_by_name),
		cmocka_unit_test(what_is_there_twice_is_refused),
		cmocka_unit_test(another_version_is_refused),
		cmocka_unit_test(no_damage_goes_beyond_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

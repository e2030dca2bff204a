// SPDX-License-Identifier: MIT
/* The forwarding table against a reference that is too simple to be wrong: a list of routes, all of them looked at. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ipfwd_tables.h"

#define MOST 4096

struct naive {
	struct fib_route at[MOST];
	size_t n;
};

static long naive_index(const struct naive *t, uint32_t prefix, unsigned length)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->at[i].prefix == prefix && t->at[i].length == length)
			return (long)i;
	return -1;
}

static void naive_set(struct naive *t, uint32_t prefix, unsigned length, uint16_t nexthop)
{
	long i = naive_index(t, prefix, length);

	if (i < 0)
		i = (long)t->n++;
	t->at[i] = (struct fib_route){ .prefix = prefix, .length = length, .nexthop = nexthop };
}

static bool naive_delete(struct naive *t, uint32_t prefix, unsigned length)
{
	long i = naive_index(t, prefix, length);

	if (i < 0)
		return false;
	t->at[i] = t->at[--t->n];
	return true;
}

static uint16_t naive_lookup(const struct naive *t, uint32_t address)
{
	const struct fib_route *best = NULL;

	for (size_t i = 0; i < t->n; i++) {
		const struct fib_route *route = &t->at[i];

		if ((address & table_mask(route->length)) == route->prefix && (!best || route->length > best->length))
			best = route;
	}
	return best ? best->nexthop : 0;
}

static void assert_same(const struct fib *fib, const struct naive *t, uint32_t address)
{
	uint16_t nexthop;

	fib_lookup_burst(fib, &address, &nexthop, 1);
	assert_int_equal(nexthop, naive_lookup(t, address));
	assert_int_equal(fib_lookup(fib, address), nexthop);
}

/* Where an off-by-one would show: both ends of every route and their neighbours outside. */
static void assert_same_at_edges(const struct fib *fib, const struct naive *t)
{
	for (size_t i = 0; i < t->n; i++) {
		uint32_t first = t->at[i].prefix, last = first | ~table_mask(t->at[i].length);

		assert_same(fib, t, first);
		assert_same(fib, t, last);
		assert_same(fib, t, first - 1);
		assert_same(fib, t, last + 1);
	}
}

static struct fib *new_fib(void)
{
	struct fib *fib = calloc(1, sizeof *fib);

	assert_non_null(fib);
	assert_int_equal(fib_init(fib), 0);
	return fib;
}

static void free_fib(struct fib *fib)
{
	fib_release(fib);
	free(fib);
}

static struct naive *new_naive(void)
{
	struct naive *t = calloc(1, sizeof *t);

	assert_non_null(t);
	return t;
}

static void an_empty_table_has_no_route(void **state)
{
	struct fib *fib = new_fib();

	assert_int_equal(fib_lookup(fib, 0), 0);
	assert_int_equal(fib_lookup(fib, 0x0a000001), 0);
	assert_int_equal(fib_lookup(fib, 0xffffffff), 0);
	assert_int_equal(fib_count(fib), 0);
	free_fib(fib);
}

static void every_length_from_0_to_32_is_matched_longest_first(void **state)
{
	struct fib *fib = new_fib();
	uint32_t address = 0xc0a855aa;

	for (unsigned length = 0; length <= 32; length++)
		assert_int_equal(fib_set(fib, address & table_mask(length), length, (uint16_t)(100 + length)), 0);
	assert_int_equal(fib_count(fib), 33);
	assert_int_equal(fib_lookup(fib, address), 132);
	/* One bit after the other differs: the match gets shorter with it. */
	for (unsigned bit = 0; bit < 32; bit++)
		assert_int_equal(fib_lookup(fib, address ^ 1u << bit), 100 + 31 - bit);
	for (unsigned length = 33; length-- > 0;) {
		assert_int_equal(fib_lookup(fib, address), 100 + length);
		assert_int_equal(fib_get(fib, address & table_mask(length), length), 100 + length);
		assert_int_equal(fib_delete(fib, address & table_mask(length), length), 0);
		assert_int_equal(fib_get(fib, address & table_mask(length), length), 0);
	}
	assert_int_equal(fib_lookup(fib, address), 0);
	free_fib(fib);
}

static void the_same_in_the_other_order(void **state)
{
	struct fib *fib = new_fib();
	uint32_t address = 0xc0a855aa;

	for (unsigned length = 33; length-- > 0;)
		assert_int_equal(fib_set(fib, address & table_mask(length), length, (uint16_t)(100 + length)), 0);
	for (unsigned length = 0; length < 32; length++) {
		assert_int_equal(fib_lookup(fib, address), 132);
		assert_int_equal(fib_delete(fib, address & table_mask(length), length), 0);
	}
	assert_int_equal(fib_lookup(fib, address), 132);
	assert_int_equal(fib_lookup(fib, address ^ 1), 0);
	free_fib(fib);
}

static void the_ends_of_the_address_space_match(void **state)
{
	struct fib *fib = new_fib();

	fib_set(fib, 0, 32, 1);
	fib_set(fib, 0xffffffff, 32, 2);
	fib_set(fib, 0x80000000, 1, 3);
	assert_int_equal(fib_lookup(fib, 0), 1);
	assert_int_equal(fib_lookup(fib, 1), 0);
	assert_int_equal(fib_lookup(fib, 0xffffffff), 2);
	assert_int_equal(fib_lookup(fib, 0xfffffffe), 3);
	assert_int_equal(fib_lookup(fib, 0x80000000), 3);
	assert_int_equal(fib_lookup(fib, 0x7fffffff), 0);
	free_fib(fib);
}

static void what_makes_no_sense_is_refused_and_changes_nothing(void **state)
{
	struct fib *fib = new_fib();

	assert_int_equal(fib_set(fib, 0x0a000001, 24, 1), -EINVAL);
	assert_int_equal(fib_set(fib, 0x0a000000, 33, 1), -EINVAL);
	assert_int_equal(fib_set(fib, 0x0a000000, 24, 0), -EINVAL);
	assert_int_equal(fib_set(fib, 0x0a000000, 24, FIB_MAX_NEXTHOP + 1), -EINVAL);
	assert_int_equal(fib_set(fib, 1, 0, 1), -EINVAL);
	assert_int_equal(fib_delete(fib, 0x0a000000, 24), -ENOENT);
	assert_int_equal(fib_delete(fib, 0, 0), -ENOENT);
	assert_int_equal(fib_delete(fib, 0x0a000001, 24), -ENOENT);
	assert_int_equal(fib_count(fib), 0);
	free_fib(fib);
}

/*
 * Adds, replaces and deletes at random; few prefixes close to each other, so that they cover each other in all ways.
 * Compared at every step where the change was, at the end everywhere.
 */
static void random_changes_agree_with_the_reference(void **state)
{
	struct naive *t = new_naive();
	struct fib *fib = new_fib();
	uint64_t seed = 1;

	for (unsigned step = 0; step < 60000; step++) {
		unsigned length = step % 3 ? 20 + table_random(&seed) % 13 : table_random(&seed) % 33;
		uint32_t near = 0x0a400000 | (table_random(&seed) & 0x1fff);
		uint32_t prefix = near & table_mask(length), end = prefix | ~table_mask(length);

		if (table_random(&seed) % 5 < 3 && t->n < 700) {
			uint16_t nexthop = 1 + table_random(&seed) % FIB_MAX_NEXTHOP;

			assert_int_equal(fib_set(fib, prefix, length, nexthop), 0);
			naive_set(t, prefix, length, nexthop);
		} else {
			assert_int_equal(fib_delete(fib, prefix, length), naive_delete(t, prefix, length) ? 0 : -ENOENT);
		}
		assert_same(fib, t, prefix);
		assert_same(fib, t, end);
		assert_same(fib, t, near);
		assert_int_equal(fib_count(fib), t->n);
	}
	assert_same_at_edges(fib, t);
	for (uint32_t i = 0; i < 0x2000; i++)
		assert_same(fib, t, 0x0a400000 | i);
	/* All of it away again: nothing is left behind in the tables. */
	while (t->n) {
		assert_int_equal(fib_delete(fib, t->at[0].prefix, t->at[0].length), 0);
		naive_delete(t, t->at[0].prefix, t->at[0].length);
	}
	for (uint32_t i = 0; i < 0x2000; i++)
		assert_int_equal(fib_lookup(fib, 0x0a400000 | i), 0);
	assert_int_equal(fib->nfree_groups, fib->ngroups);
	free_fib(fib);
	free(t);
}

static void an_internet_like_table_agrees_with_the_reference(void **state)
{
	struct naive *t = new_naive();
	struct fib *fib = new_fib();
	uint64_t seed = 7;
	size_t which;

	t->n = table_internet(t->at, 3000, 300, 7);
	assert_int_equal(fib_build(fib, t->at, t->n, &which), 0);
	assert_int_equal(fib_count(fib), t->n);
	assert_same_at_edges(fib, t);
	for (unsigned i = 0; i < 20000; i++)
		assert_same(fib, t, (uint32_t)table_random(&seed));
	free_fib(fib);
	free(t);
}

/* Building at once, adding one by one in any order, and deleting what was too much give the same table. */
static void bulk_and_one_by_one_agree(void **state)
{
	enum { ROUTES = 200000 };
	struct fib_route *routes = calloc(ROUTES, sizeof *routes);
	struct fib *bulk = new_fib(), *single = new_fib();
	uint64_t seed = 3;
	size_t n = table_internet(routes, ROUTES, 1000, 11), which;

	assert_int_equal(fib_build(bulk, routes, n, &which), 0);
	for (size_t i = 0; i < n; i++) {
		/* 7919 is prime and no divisor of n: every route once, far apart. */
		const struct fib_route *route = &routes[i * 7919 % n];

		assert_int_equal(fib_set(single, route->prefix, route->length, route->nexthop), 0);
	}
	assert_true(n % 7919 != 0);
	for (unsigned i = 0; i < 2000000; i++) {
		uint32_t address = (uint32_t)table_random(&seed);

		if (fib_lookup(bulk, address) != fib_lookup(single, address))
			fail_msg("%08x", address);
	}
	for (size_t i = 0; i < n; i += 2)
		assert_int_equal(fib_delete(bulk, routes[i].prefix, routes[i].length), 0);
	for (size_t i = 0; i < n; i += 2)
		assert_int_equal(fib_set(bulk, routes[i].prefix, routes[i].length, routes[i].nexthop), 0);
	for (unsigned i = 0; i < 2000000; i++) {
		uint32_t address = (uint32_t)table_random(&seed);

		if (fib_lookup(bulk, address) != fib_lookup(single, address))
			fail_msg("%08x", address);
	}
	free_fib(bulk);
	free_fib(single);
	free(routes);
}

static void bulk_says_which_route_is_given_twice_or_wrong(void **state)
{
	struct fib_route routes[] = {
		{ .prefix = 0x0a000000, .length = 8, .nexthop = 1 },
		{ .prefix = 0x0a000000, .length = 9, .nexthop = 1 },
		{ .prefix = 0x0a000000, .length = 8, .nexthop = 2 },
	};
	struct fib *fib = new_fib();
	size_t which = 99;

	assert_int_equal(fib_build(fib, routes, 3, &which), -EEXIST);
	assert_int_equal(which, 2);
	free_fib(fib);
	fib = new_fib();
	routes[1].prefix = 0x0a000001;
	assert_int_equal(fib_build(fib, routes, 3, &which), -EINVAL);
	assert_int_equal(which, 1);
	assert_int_equal(fib_build(fib, routes, 0, &which), 0);
	free_fib(fib);
}

/* FIB_GROUPS /24s may have longer prefixes; the next is refused, the table goes on, and one that goes makes room. */
static void groups_run_out_and_come_back(void **state)
{
	struct fib *fib = new_fib();
	uint32_t beyond = FIB_GROUPS << 8 | 0x01000000;

	for (uint32_t i = 0; i < FIB_GROUPS; i++)
		assert_int_equal(fib_set(fib, 0x01000000 + (i << 8), 32, 5), 0);
	assert_int_equal(fib_set(fib, beyond, 32, 6), -ENOSPC);
	assert_int_equal(fib_lookup(fib, beyond), 0);
	assert_int_equal(fib_get(fib, beyond, 32), 0);
	assert_int_equal(fib_count(fib), FIB_GROUPS);
	assert_int_equal(fib_set(fib, 0x01000001, 32, 7), 0);  /* in a /24 that has its group */
	assert_int_equal(fib_set(fib, beyond, 24, 8), 0);      /* needs none */
	assert_int_equal(fib_delete(fib, 0x01000000, 32), 0);
	assert_int_equal(fib_set(fib, beyond, 32, 6), -ENOSPC);
	assert_int_equal(fib_delete(fib, 0x01000001, 32), 0);
	assert_int_equal(fib_set(fib, beyond, 32, 6), 0);
	assert_int_equal(fib_lookup(fib, beyond), 6);
	assert_int_equal(fib_lookup(fib, beyond + 1), 8);
	assert_int_equal(fib_lookup(fib, 0x01000000), 0);
	free_fib(fib);
}

static void bursts_of_every_size_agree_with_single_look_ups(void **state)
{
	struct naive *t = new_naive();
	struct fib *fib = new_fib();
	uint32_t dst[FIB_BURST];
	uint16_t nexthop[FIB_BURST];
	uint64_t seed = 5;
	size_t which;

	t->n = table_internet(t->at, 2000, 50, 5);
	assert_int_equal(fib_build(fib, t->at, t->n, &which), 0);
	fib_set(fib, 0, 0, 77);
	for (unsigned n = 0; n <= FIB_BURST; n++) {
		for (unsigned i = 0; i < n; i++)
			dst[i] = i % 2 ? t->at[table_random(&seed) % t->n].prefix : (uint32_t)table_random(&seed);
		fib_lookup_burst(fib, dst, nexthop, n);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(nexthop[i], fib_lookup(fib, dst[i]));
	}
	free_fib(fib);
	free(t);
}

static long resident_kilobytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size, resident;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", &size, &resident), 2);
	fclose(f);
	return resident * 4;
}

/* A router with a handful of routes, the default among them, costs pages, not the 48 MiB that are reserved. */
static void a_small_table_touches_little_memory(void **state)
{
	long before = resident_kilobytes();
	struct fib *fib = new_fib();

	fib_set(fib, 0, 0, 1);
	for (uint32_t i = 0; i < 16; i++) {
		fib_set(fib, 0x0a000000 | i << 8, 24, 2);
		fib_set(fib, 0x0a000001 | i << 8, 32, 3);
	}
	assert_int_equal(fib_lookup(fib, 0x08080808), 1);
#ifndef __SANITIZE_ADDRESS__
	assert_true(resident_kilobytes() - before < 1024);
#else
	(void)before;
#endif
	free_fib(fib);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_table_touches_little_memory),
		cmocka_unit_test(an_empty_table_has_no_route),
		cmocka_unit_test(every_length_from_0_to_32_is_matched_longest_first),
		cmocka_unit_test(the_same_in_the_other_order),
		cmocka_unit_test(the_ends_of_the_address_space_match),
		cmocka_unit_test(what_makes_no_sense_is_refused_and_changes_nothing),
		cmocka_unit_test(random_changes_agree_with_the_reference),
		cmocka_unit_test(an_internet_like_table_agrees_with_the_reference),
		cmocka_unit_test(bulk_and_one_by_one_agree),
		cmocka_unit_test(bulk_says_which_route_is_given_twice_or_wrong),
		cmocka_unit_test(groups_run_out_and_come_back),
		cmocka_unit_test(bursts_of_every_size_agree_with_single_look_ups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Routing tables for tests, the same at every run: how long prefixes are in the Internet's table, and where they
 * lie.
 */
#ifndef TESTS_IPFWD_TABLES_H
#define TESTS_IPFWD_TABLES_H

#include <stdint.h>
#include <stdlib.h>

#include "images/ipfwd/fib.h"

static inline uint64_t table_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline uint32_t table_mask(unsigned length)
{
	return length ? ~0u << (32 - length) : 0;
}

/* Prefixes of each length in 10000 of a full table of the 2020s, and a few longer than /24 as networks have inside. */
static inline unsigned table_length(uint64_t *state)
{
	static const uint16_t share[33] = {
		[8] = 2, [9] = 2, [10] = 5, [11] = 11, [12] = 32, [13] = 63, [14] = 128, [15] = 219, [16] = 1420,
		[17] = 873, [18] = 1480, [19] = 2600, [20] = 4560, [21] = 5300, [22] = 11400, [23] = 10200,
		[24] = 61000, [25] = 60, [26] = 60, [27] = 60, [28] = 80, [29] = 100, [30] = 80, [31] = 10, [32] = 200,
	};
	unsigned length, sum = 0;
	uint64_t pick;

	for (length = 0; length <= 32; length++)
		sum += share[length];
	pick = table_random(state) % sum;
	for (length = 0; pick >= share[length]; length++)
		pick -= share[length];
	return length;
}

static inline int table_order(const void *a, const void *b)
{
	const struct fib_route *x = a, *y = b;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return (int)x->length - (int)y->length;
}

/* Up to n different routes, sorted as a dump of a router is, in unicast space. Returns how many. */
static inline size_t table_internet(struct fib_route *routes, size_t n, unsigned nexthops, uint64_t seed)
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		unsigned length = table_length(&seed);
		uint32_t address = (1 + table_random(&seed) % 222) << 24 | (table_random(&seed) & 0xffffff);

		routes[i] = (struct fib_route){
			.prefix = address & table_mask(length), .length = length,
			.nexthop = 1 + table_random(&seed) % nexthops,
		};
	}
	qsort(routes, n, sizeof *routes, table_order);
	for (i = 0; i < n; i++)
		if (!kept || table_order(&routes[kept - 1], &routes[i]))
			routes[kept++] = routes[i];
	return kept;
}

#endif

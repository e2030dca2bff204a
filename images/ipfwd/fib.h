/* SPDX-License-Identifier: MIT */
/*
 * The forwarding table for IPv4: longest-prefix match in one memory access, or two where a prefix is longer than
 * /24.
 *
 *	 first: 2^24 entries, one a /24          groups: 256 entries each, one a /32
 *	+------------------------------+        +-------------------------------------+
 *	| 0      nothing but /0 matches|   +--->| group 0: next-hop ids               |
 *	| id     next hop              |   |    +-------------------------------------+
 *	| G | g  look in group g       |---+    | group 1                             |
 *	+------------------------------+        +-------------------------------------+
 *
 * Entries are 16 bits: 32 MiB when all of it is in use. Both tables are reserved address space, and a page that no
 * prefix touches costs nothing: a handful of routes lives in a few pages. The default route is kept aside
 * (`fallback`), because written out it would touch all of them.
 *
 * The routes themselves are in a hash table by prefix and length. It tells what to put back where a prefix goes
 * away, and which entries of a range belong to longer prefixes, so the tables need no depth beside each entry.
 *
 * One thread changes and reads it.
 */
#ifndef IPFWD_FIB_H
#define IPFWD_FIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIB_MAX_NEXTHOP   0x7fff        /* next-hop ids are 1..FIB_MAX_NEXTHOP; 0 is "no route" */
#define FIB_GROUP         0x8000        /* flag in `first`: the rest is a group's number */
#define FIB_GROUPS        0x8000
#define FIB_BURST         64            /* the most that fib_lookup_burst takes */

struct fib_route {
	uint32_t prefix;                /* host byte order; bits beyond `length` are zero */
	uint16_t nexthop;
	uint8_t length;                 /* 0..32 */
	uint8_t reserved;
};

struct fib {
	uint16_t *first;
	uint16_t *groups;
	uint16_t fallback;              /* the default route's next hop, 0: there is none */

	struct fib_route *routes;       /* open addressing; length 0 marks an empty place */
	size_t places, used;
	uint64_t lengths;               /* bit n: there is a route of length n */
	uint32_t count[33];             /* routes of each length */
	uint32_t below_8[256];          /* routes longer than /8 in each /8, and longer than /16 in each /16: */
	uint32_t *below_16;             /* whether a range can be written at once */

	uint16_t *group_users;          /* prefixes longer than /24 in each group */
	uint16_t *free_groups;          /* numbers of groups given back */
	unsigned nfree_groups, ngroups; /* groups ever used */
};

/* 0 or -ENOMEM. */
int fib_init(struct fib *fib);
void fib_release(struct fib *fib);

/*
 * Adds a route or changes its next hop. 0; -EINVAL: length above 32, bits beyond the length, or no such id;
 * -ENOSPC: more than FIB_GROUPS /24s hold longer prefixes; -ENOMEM. After an error the table is as it was.
 */
int fib_set(struct fib *fib, uint32_t prefix, unsigned length, uint16_t nexthop);

/* 0, or -ENOENT. What a shorter prefix says is in force again. */
int fib_delete(struct fib *fib, uint32_t prefix, unsigned length);

/* The next hop of exactly this route, 0: there is no such route. */
uint16_t fib_get(const struct fib *fib, uint32_t prefix, unsigned length);

/*
 * Many routes at once, in any order, into an empty table: a million in a fraction of a second. 0, or what fib_set
 * returns, or -EEXIST: the route is given twice; then *which is the culprit and the table must be released.
 */
int fib_build(struct fib *fib, const struct fib_route *routes, size_t n, size_t *which);

/* How many routes there are. */
size_t fib_count(const struct fib *fib);

/* The next hop for a destination, 0: no route. */
static inline uint16_t fib_lookup(const struct fib *fib, uint32_t dst)
{
	uint16_t entry = fib->first[dst >> 8];

	if (entry & FIB_GROUP)
		entry = fib->groups[(uint32_t)(entry & ~FIB_GROUP) << 8 | (dst & 255)];
	return entry ? entry : fib->fallback;
}

/* Says that a destination will be looked up soon. */
static inline void fib_prefetch(const struct fib *fib, uint32_t dst)
{
	__builtin_prefetch(&fib->first[dst >> 8]);
}

/*
 * The same for n <= FIB_BURST destinations. Their cache misses overlap: in the processor, as no look-up waits for
 * another one, and with what the caller did between fib_prefetch and here.
 */
static inline void fib_lookup_burst(const struct fib *fib, const uint32_t *dst, uint16_t *nexthop, unsigned n)
{
	unsigned i, long_ones = 0;

	for (i = 0; i < n; i++) {
		nexthop[i] = fib->first[dst[i] >> 8];
		long_ones |= nexthop[i];
	}
	if (long_ones & FIB_GROUP) {
		for (i = 0; i < n; i++)
			if (nexthop[i] & FIB_GROUP)
				nexthop[i] = fib->groups[(uint32_t)(nexthop[i] & ~FIB_GROUP) << 8 | (dst[i] & 255)];
	}
	for (i = 0; i < n; i++)
		nexthop[i] = nexthop[i] ? nexthop[i] : fib->fallback;
}

#endif

/* SPDX-License-Identifier: MIT */
#include "fib.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_ENTRIES   ((size_t)1 << 24)
#define GROUP_ENTRIES   256u
#define FEWEST_PLACES   1024u
#define HUGE_PAGE       ((size_t)2 << 20)

/* From so many routes on, the tables are mostly in use, and huge pages save the look-up its TLB misses. */
#define MANY_ROUTES     50000u

static uint32_t mask_of(unsigned length)
{
	return length ? ~0u << (32 - length) : 0;
}

/* ---- memory ---- */

/*
 * Reserved, not committed, and no huge pages at first: a single route must not cost 2 MiB. Aligned for huge pages
 * later, which is why the ends are cut off.
 */
static void *reserve(size_t size)
{
	uint8_t *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	size_t head;

	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p & (HUGE_PAGE - 1);
	if (head)
		munmap(p, head);
	if (HUGE_PAGE - head)
		munmap(p + head + size, HUGE_PAGE - head);
	madvise(p + head, size, MADV_NOHUGEPAGE);
	return p + head;
}

static void unreserve(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

#define FIRST_BYTES     (FIRST_ENTRIES * sizeof(uint16_t))
#define GROUPS_BYTES    ((size_t)FIB_GROUPS * GROUP_ENTRIES * sizeof(uint16_t))

int fib_init(struct fib *fib)
{
	memset(fib, 0, sizeof *fib);
	fib->first = reserve(FIRST_BYTES);
	fib->groups = reserve(GROUPS_BYTES);
	fib->group_users = calloc(FIB_GROUPS, sizeof *fib->group_users);
	fib->free_groups = calloc(FIB_GROUPS, sizeof *fib->free_groups);
	fib->below_16 = calloc(1 << 16, sizeof *fib->below_16);
	fib->places = FEWEST_PLACES;
	fib->routes = calloc(fib->places, sizeof *fib->routes);
	if (fib->first && fib->groups && fib->group_users && fib->free_groups && fib->below_16 && fib->routes)
		return 0;
	fib_release(fib);
	return -ENOMEM;
}

void fib_release(struct fib *fib)
{
	unreserve(fib->first, FIRST_BYTES);
	unreserve(fib->groups, GROUPS_BYTES);
	free(fib->group_users);
	free(fib->free_groups);
	free(fib->below_16);
	free(fib->routes);
	memset(fib, 0, sizeof *fib);
}

/* ---- the routes, by prefix and length ---- */

static size_t home_of(const struct fib *fib, uint32_t prefix, unsigned length)
{
	uint64_t key = ((uint64_t)prefix << 8 | length) * 0x9e3779b97f4a7c15ull;

	return (key >> 32) & (fib->places - 1);
}

/* Where the route is, or the empty place where it would go. */
static struct fib_route *place_of(const struct fib *fib, uint32_t prefix, unsigned length)
{
	size_t at = home_of(fib, prefix, length);

	while (fib->routes[at].length &&
	       (fib->routes[at].prefix != prefix || fib->routes[at].length != length))
		at = (at + 1) & (fib->places - 1);
	return &fib->routes[at];
}

static bool has_route(const struct fib *fib, uint32_t prefix, unsigned length)
{
	return (fib->lengths & 1ull << length) && place_of(fib, prefix, length)->length;
}

/* Makes room for n routes more, so that no insertion on the way can fail. */
static int grow_routes(struct fib *fib, size_t n)
{
	struct fib_route *old = fib->routes;
	size_t places = fib->places, old_places = fib->places, i;

	while ((fib->used + n) * 8 > places * 5)
		places *= 2;
	if (places == fib->places)
		return 0;
	if (fib->used + n >= MANY_ROUTES) {
		madvise(fib->first, FIRST_BYTES, MADV_HUGEPAGE);
		madvise(fib->groups, GROUPS_BYTES, MADV_HUGEPAGE);
	}
	fib->routes = aligned_alloc(places >= HUGE_PAGE / sizeof *old ? HUGE_PAGE : 64, places * sizeof *old);
	if (!fib->routes) {
		fib->routes = old;
		return -ENOMEM;
	}
	if (places * sizeof *old >= HUGE_PAGE)
		madvise(fib->routes, places * sizeof *old, MADV_HUGEPAGE);
	memset(fib->routes, 0, places * sizeof *old);
	fib->places = places;
	for (i = 0; i < old_places; i++)
		if (old[i].length)
			*place_of(fib, old[i].prefix, old[i].length) = old[i];
	free(old);
	return 0;
}

static void note_length(struct fib *fib, unsigned length, int change)
{
	fib->count[length] += change;
	fib->lengths &= ~(1ull << length);
	fib->lengths |= (uint64_t)(fib->count[length] != 0) << length;
}

static void note_route(struct fib *fib, uint32_t prefix, unsigned length, int change)
{
	note_length(fib, length, change);
	if (length > 8)
		fib->below_8[prefix >> 24] += change;
	if (length > 16)
		fib->below_16[prefix >> 16] += change;
}

static void store_route(struct fib *fib, struct fib_route *place, uint32_t prefix, unsigned length, uint16_t nexthop)
{
	*place = (struct fib_route){ .prefix = prefix, .length = length, .nexthop = nexthop };
	fib->used++;
	note_route(fib, prefix, length, 1);
}

/* Empties a place and moves up what had to step aside for it. */
static void forget_route(struct fib *fib, struct fib_route *place)
{
	size_t hole = place - fib->routes, at = hole;

	note_route(fib, place->prefix, place->length, -1);
	fib->used--;
	for (;;) {
		size_t home;

		at = (at + 1) & (fib->places - 1);
		if (!fib->routes[at].length)
			break;
		home = home_of(fib, fib->routes[at].prefix, fib->routes[at].length);
		if (((at - home) & (fib->places - 1)) < ((at - hole) & (fib->places - 1)))
			continue;       /* it is at home between the hole and here */
		fib->routes[hole] = fib->routes[at];
		hole = at;
	}
	fib->routes[hole].length = 0;
}

/*
 * The next hop of the longest route that covers prefix/length and is no longer than `most`; 0: only the default
 * could.
 */
static uint16_t covering(const struct fib *fib, uint32_t prefix, unsigned most)
{
	unsigned length;

	for (length = most; length > 0; length--)
		if (has_route(fib, prefix & mask_of(length), length))
			return place_of(fib, prefix & mask_of(length), length)->nexthop;
	return 0;
}

/* ---- groups ---- */

static bool group_left(const struct fib *fib)
{
	return fib->nfree_groups || fib->ngroups < FIB_GROUPS;
}

/* Turns a /24's entry into a group that says the same. There must be one left. */
static void open_group(struct fib *fib, uint16_t *entry)
{
	unsigned group = fib->nfree_groups ? fib->free_groups[--fib->nfree_groups] : fib->ngroups++;
	uint16_t *in = fib->groups + (size_t)group * GROUP_ENTRIES;
	unsigned i;

	for (i = 0; i < GROUP_ENTRIES; i++)
		in[i] = *entry;
	fib->group_users[group] = 0;
	*entry = FIB_GROUP | group;
}

static void close_group(struct fib *fib, uint16_t *entry, uint16_t nexthop)
{
	fib->free_groups[fib->nfree_groups++] = *entry & ~FIB_GROUP;
	*entry = nexthop;
}

/* ---- writing ranges ---- */

static void fill(uint16_t *entries, size_t n, uint16_t nexthop)
{
	size_t i;

	for (i = 0; i < n; i++)
		entries[i] = nexthop;
}

/* Can there be a longer route below prefix/length? If not, the range needs no closer look. */
static bool has_below(const struct fib *fib, uint32_t prefix, unsigned length)
{
	if (length >= 8 && !fib->below_8[prefix >> 24])
		return false;
	if (length >= 16 && !fib->below_16[prefix >> 16])
		return false;
	return (fib->lengths >> length) > 1;
}

/* Within a /24 that has a group: every /32 of prefix/length that no longer route owns. */
static void paint_group(struct fib *fib, uint16_t *in, uint32_t prefix, unsigned length, uint16_t nexthop)
{
	unsigned deeper = length + 1;
	uint32_t other;

	if (!has_below(fib, prefix, length)) {
		fill(in + (prefix & 255), (size_t)1 << (32 - length), nexthop);
		return;
	}
	other = prefix | 1u << (32 - deeper);
	if (!has_route(fib, prefix, deeper))
		paint_group(fib, in, prefix, deeper, nexthop);
	if (!has_route(fib, other, deeper))
		paint_group(fib, in, other, deeper, nexthop);
}

/*
 * Writes the next hop into everything below prefix/length that no longer route owns. Halves the range until a longer
 * route owns all of a half, or none is left that could.
 */
static void paint(struct fib *fib, uint32_t prefix, unsigned length, uint16_t nexthop)
{
	uint16_t *entry = &fib->first[prefix >> 8];
	unsigned deeper = length + 1;
	uint32_t other;

	if (length >= 24) {
		if (*entry & FIB_GROUP)
			paint_group(fib, fib->groups + (size_t)(*entry & ~FIB_GROUP) * GROUP_ENTRIES, prefix, length,
				    nexthop);
		else
			*entry = nexthop;
		return;
	}
	if (!has_below(fib, prefix, length)) {
		fill(entry, (size_t)1 << (24 - length), nexthop);
		return;
	}
	other = prefix | 1u << (32 - deeper);
	if (!has_route(fib, prefix, deeper))
		paint(fib, prefix, deeper, nexthop);
	if (!has_route(fib, other, deeper))
		paint(fib, other, deeper, nexthop);
}

/* ---- verbs ---- */

static bool valid(uint32_t prefix, unsigned length, uint16_t nexthop)
{
	return length <= 32 && !(prefix & ~mask_of(length)) && nexthop && nexthop <= FIB_MAX_NEXTHOP;
}

static void set_default(struct fib *fib, uint16_t nexthop)
{
	note_length(fib, 0, !!nexthop - (int)fib->count[0]);
	fib->fallback = nexthop;
}

int fib_set(struct fib *fib, uint32_t prefix, unsigned length, uint16_t nexthop)
{
	struct fib_route *place;
	uint16_t *entry;

	if (!valid(prefix, length, nexthop))
		return -EINVAL;
	if (length == 0) {
		set_default(fib, nexthop);
		return 0;
	}
	place = place_of(fib, prefix, length);
	if (place->length) {
		place->nexthop = nexthop;
		paint(fib, prefix, length, nexthop);
		return 0;
	}
	entry = &fib->first[prefix >> 8];
	if (length > 24 && !(*entry & FIB_GROUP) && !group_left(fib))
		return -ENOSPC;
	if (grow_routes(fib, 1) < 0)
		return -ENOMEM;
	if (length > 24) {
		if (!(*entry & FIB_GROUP))
			open_group(fib, entry);
		fib->group_users[*entry & ~FIB_GROUP]++;
	}
	store_route(fib, place_of(fib, prefix, length), prefix, length, nexthop);
	paint(fib, prefix, length, nexthop);
	return 0;
}

int fib_delete(struct fib *fib, uint32_t prefix, unsigned length)
{
	struct fib_route *place;
	uint16_t *entry, instead;

	if (!fib_get(fib, prefix, length))
		return -ENOENT;
	if (length == 0) {
		set_default(fib, 0);
		return 0;
	}
	place = place_of(fib, prefix, length);
	entry = &fib->first[prefix >> 8];
	instead = covering(fib, prefix, length - 1);
	forget_route(fib, place);
	if (length > 24 && --fib->group_users[*entry & ~FIB_GROUP] == 0) {
		close_group(fib, entry, instead);
		return 0;
	}
	paint(fib, prefix, length, instead);
	return 0;
}

uint16_t fib_get(const struct fib *fib, uint32_t prefix, unsigned length)
{
	const struct fib_route *place;

	if (length > 32 || (prefix & ~mask_of(length)))
		return 0;
	if (length == 0)
		return fib->fallback;
	place = place_of(fib, prefix, length);
	return place->length ? place->nexthop : 0;
}

size_t fib_count(const struct fib *fib)
{
	return fib->used + fib->count[0];
}

/* ---- many at once ---- */

/* Order by length, shortest first: then a longer route simply overwrites what is below it. */
static uint32_t *order_by_length(const struct fib_route *routes, size_t n, size_t *which)
{
	size_t start[34] = { 0 }, i;
	uint32_t *order;

	for (i = 0; i < n; i++) {
		if (!valid(routes[i].prefix, routes[i].length, routes[i].nexthop)) {
			*which = i;
			errno = EINVAL;
			return NULL;
		}
		start[routes[i].length + 1]++;
	}
	for (i = 1; i < 34; i++)
		start[i] += start[i - 1];
	order = malloc((n + 1) * sizeof *order);
	for (i = 0; order && i < n; i++)
		order[start[routes[i].length]++] = i;
	return order;
}

static int build_one(struct fib *fib, const struct fib_route *route)
{
	struct fib_route *place = place_of(fib, route->prefix, route->length);
	uint16_t *entry = &fib->first[route->prefix >> 8];

	if (route->length == 0) {
		if (fib->fallback)
			return -EEXIST;
		set_default(fib, route->nexthop);
		return 0;
	}
	if (place->length)
		return -EEXIST;
	if (route->length <= 24) {
		fill(entry, (size_t)1 << (24 - route->length), route->nexthop);
	} else {
		if (!(*entry & FIB_GROUP)) {
			if (!group_left(fib))
				return -ENOSPC;
			open_group(fib, entry);
		}
		fib->group_users[*entry & ~FIB_GROUP]++;
		fill(fib->groups + (size_t)(*entry & ~FIB_GROUP) * GROUP_ENTRIES + (route->prefix & 255),
		     (size_t)1 << (32 - route->length), route->nexthop);
	}
	store_route(fib, place, route->prefix, route->length, route->nexthop);
	return 0;
}

int fib_build(struct fib *fib, const struct fib_route *routes, size_t n, size_t *which)
{
	enum { AHEAD = 8 };
	uint32_t *order;
	size_t i;
	int err = 0;

	*which = 0;
	order = order_by_length(routes, n, which);
	if (!order)
		return -errno;
	if (grow_routes(fib, n) < 0) {
		free(order);
		return -ENOMEM;
	}
	for (i = 0; i < n && !err; i++) {
		if (i + AHEAD < n) {
			const struct fib_route *soon = &routes[order[i + AHEAD]];

			__builtin_prefetch(&fib->routes[home_of(fib, soon->prefix, soon->length)], 1);
			__builtin_prefetch(&fib->first[soon->prefix >> 8], 1);
		}
		err = build_one(fib, &routes[order[i]]);
		if (err)
			*which = order[i];
	}
	free(order);
	return err;
}

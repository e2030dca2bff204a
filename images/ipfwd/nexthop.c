/* SPDX-License-Identifier: MIT */
#include "nexthop.h"

#include <errno.h>
#include <sys/mman.h>

#include "fib.h"

#define BYTES ((FIB_MAX_NEXTHOP + 1) * sizeof(struct nexthop))

int nexthops_init(struct nexthops *table)
{
	memset(table, 0, sizeof *table);
	/* Address space; pages come with the ids that are used. */
	table->at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (table->at == MAP_FAILED) {
		table->at = NULL;
		return -ENOMEM;
	}
	table->at[0].kind = NEXTHOP_NO_ROUTE;
	table->at[0].users = 1;
	table->used = 1;
	return 0;
}

void nexthops_release(struct nexthops *table)
{
	if (table->at)
		munmap(table->at, BYTES);
	table->at = NULL;
}

static u16 *bucket_of(struct nexthops *table, enum nexthop_kind kind, unsigned port, const struct address *gateway)
{
	return &table->bucket[(address_hash(gateway, port) ^ kind) & (NEXTHOP_BUCKETS - 1)];
}

static u16 free_id(struct nexthops *table)
{
	u16 id = table->free;

	if (id)
		table->free = table->at[id].next;
	else if (table->used <= FIB_MAX_NEXTHOP)
		id = table->used++;
	return id;
}

u16 nexthop_take(struct nexthops *table, enum nexthop_kind kind, unsigned port, unsigned family,
		 const struct address *gateway)
{
	static const struct address none;
	const struct address *to = gateway ? gateway : &none;
	u16 *bucket = bucket_of(table, kind, port, to);
	struct nexthop *nh;
	u16 id;

	for (id = *bucket; id; id = nh->next) {
		nh = &table->at[id];
		if (nh->kind == kind && nh->port == port && nh->family == family && address_equal(&nh->gateway, to)) {
			nh->users++;
			return id;
		}
	}
	id = free_id(table);
	if (!id)
		return 0;
	table->at[id] = (struct nexthop){
		.kind = kind, .port = port, .family = family, .gateway = *to, .users = 1, .next = *bucket,
	};
	*bucket = id;
	return id;
}

void nexthop_hold(struct nexthops *table, u16 id)
{
	table->at[id].users++;
}

void nexthop_put(struct nexthops *table, u16 id)
{
	struct nexthop *nh = &table->at[id];
	u16 *link;

	if (!id || --nh->users)
		return;
	link = bucket_of(table, nh->kind, nh->port, &nh->gateway);
	while (*link != id)
		link = &table->at[*link].next;
	*link = nh->next;
	nh->kind = NEXTHOP_NO_ROUTE;
	nh->next = table->free;
	table->free = id;
}

_Static_assert(sizeof(struct nexthop) == 32, "two in a cache line");

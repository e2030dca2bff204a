// SPDX-License-Identifier: GPL-2.0 OR MIT
/* From a geometry to the offsets of everything in the region. */
#include "core/layout.h"

#define PAGE_BYTES       4096u
#define MIN_RING         16u     /* entries: so that each ring starts on a line of its own */
#define DEFAULT_RING     1024u
#define DEFAULT_STRIDE   2048u
#define MOST_ALLOC       128u
#define FEWEST_RUNS      8u
#define MOST_RUNS        256u

static bool power_of_two(u32 n)
{
	return n && !(n & (n - 1));
}

/* n <= 2^31 */
static u32 round_up_to_power(u32 n)
{
	u32 power = 1;

	while (power < n)
		power <<= 1;
	return power;
}

/* The smallest power of two of slots that holds a super-packet. stride >= EUROPA_SLOT_ALIGN */
static u32 run_slots_of(u32 stride)
{
	return round_up_to_power((EUROPA_SUPER_BYTES + stride - 1) / stride);
}

static int refuse(const char **why, const char *text)
{
	*why = text;
	return -EINVAL;
}

int geometry_check(const struct europa_geometry *geo, const char **why)
{
	if (geo->nvnics > EUROPA_MAX_VNICS)
		return refuse(why, "too many vNICs: at most 32");
	if (geo->nslots < EUROPA_MIN_SLOTS || geo->nslots > EUROPA_MAX_SLOTS)
		return refuse(why, "number of slots out of range: 2 to 1048576");
	if (geo->slot_stride < EUROPA_MIN_STRIDE || geo->slot_stride > EUROPA_MAX_STRIDE)
		return refuse(why, "slot size out of range: 576 to 65472 bytes");
	if (geo->slot_stride % (2 * EUROPA_SLOT_ALIGN) != EUROPA_SLOT_ALIGN)
		return refuse(why, "slot stride must be an odd multiple of 64");
	if (geo->run_slots != run_slots_of(geo->slot_stride))
		return refuse(why, "a run must be the smallest power of two of slots that holds 64 KiB");
	if ((u64)geo->nslots + (u64)geo->nruns * geo->run_slots > EUROPA_MAX_SLOTS)
		return refuse(why, "too many runs: they and the slots may use 1048576 slots together");
	if (!power_of_two(geo->ring_size) || geo->ring_size < MIN_RING || geo->ring_size > EUROPA_MAX_RING)
		return refuse(why, "ring size must be a power of two from 16 to 65536");
	if (!power_of_two(geo->pool_ring_size) || geo->pool_ring_size < MIN_RING ||
	    geo->pool_ring_size > EUROPA_MAX_SLOTS || geo->pool_ring_size < geo->nslots + geo->nruns)
		return refuse(why, "pool ring must be a power of two from 16 to 1048576 that holds every slot and run");
	if (geo->alloc_target > geo->nslots)
		return refuse(why, "alloc target must not exceed the number of slots");
	return 0;
}

static u32 choose_stride(u32 slot_size)
{
	u32 lines;

	if (slot_size > EUROPA_MAX_STRIDE)
		return slot_size;       /* geometry_check says what is wrong with it */
	if (slot_size < EUROPA_MIN_STRIDE)
		slot_size = EUROPA_MIN_STRIDE;
	lines = (slot_size + EUROPA_SLOT_ALIGN - 1) / EUROPA_SLOT_ALIGN;
	return (lines | 1) * EUROPA_SLOT_ALIGN;
}

/* As many super-packets as single slots by memory, within reason. */
static u32 choose_runs(const struct europa_geometry *geo)
{
	u32 runs = geo->nslots / geo->run_slots;
	u32 room = geo->nslots < EUROPA_MAX_SLOTS ? (EUROPA_MAX_SLOTS - geo->nslots) / geo->run_slots : 0;

	if (runs < FEWEST_RUNS)
		runs = FEWEST_RUNS;
	if (runs > MOST_RUNS)
		runs = MOST_RUNS;
	return runs < room ? runs : room;
}

static u32 choose_ring(u32 entries)
{
	if (entries > EUROPA_MAX_RING)
		return entries;
	return round_up_to_power(entries < MIN_RING ? MIN_RING : entries);
}

static u32 choose_alloc(u32 slots)
{
	u32 target = slots / 8;

	if (target < 1)
		return 1;
	return target < MOST_ALLOC ? target : MOST_ALLOC;
}

void geometry_choose(struct europa_geometry *geo, u32 vnics, u32 slots, u32 slot_size, u32 ring, u32 runs)
{
	u64 names;

	geo->nvnics = vnics;
	geo->nslots = slots;
	geo->slot_stride = choose_stride(slot_size ? slot_size : DEFAULT_STRIDE);
	geo->run_slots = run_slots_of(geo->slot_stride);
	geo->nruns = runs == 0xffffffffu ? choose_runs(geo) : runs;
	geo->ring_size = choose_ring(ring ? ring : DEFAULT_RING);
	names = (u64)geo->nslots + geo->nruns;
	if (names > EUROPA_MAX_SLOTS)
		names = EUROPA_MAX_SLOTS;
	geo->pool_ring_size = round_up_to_power(names < MIN_RING ? MIN_RING : (u32)names);
	geo->alloc_target = choose_alloc(slots);
}

static u64 align(u64 offset, u32 to)
{
	return (offset + to - 1) & ~(u64)(to - 1);
}

void layout_compute(const struct europa_geometry *geo, struct europa_offsets *off)
{
	u32 nrings = 2 + 2 * geo->nvnics;
	u32 rings_bytes = 4 * (geo->pool_ring_size + geo->nvnics * geo->ring_size);
	u32 indexes = geometry_indexes(geo);
	u64 at;

	memset(off, 0, sizeof(*off));

	at = align(sizeof(struct europa_header), EUROPA_CACHE_LINE);
	off->control_lines = at;
	at += nrings * sizeof(struct europa_line);
	off->control_vnics = at;
	at += geo->nvnics * sizeof(struct europa_vnic);
	off->control_stats = at;
	at += sizeof(struct europa_vr_stats) + geo->nvnics * sizeof(struct europa_vnic_stats);
	off->control_rings = align(at, EUROPA_CACHE_LINE);
	off->control_owners = align(off->control_rings + rings_bytes, EUROPA_CACHE_LINE);
	off->control_size = align(off->control_owners + indexes, PAGE_BYTES);

	at = sizeof(struct europa_pool_header);
	off->pool_lines = at;
	at += nrings * sizeof(struct europa_line);
	off->pool_counters = at;
	at += EUROPA_DP_COUNTERS * sizeof(struct europa_dp_counter);
	off->pool_rings = at;
	at += rings_bytes;
	off->pool_meta = align(at, EUROPA_CACHE_LINE);
	/* Slots start on a page: nothing but packets is on the pages that a NIC may one day be given. */
	off->pool_slots = align(off->pool_meta + (u64)indexes * sizeof(struct europa_slot), PAGE_BYTES);
	off->pool_size = align(off->pool_slots + (u64)indexes * geo->slot_stride, PAGE_BYTES);
}

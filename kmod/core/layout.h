/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * From a geometry to the offsets of everything in the region. The supervisor, the switch and the library compute
 * them each for themselves; nobody believes the copy in the header but to compare it.
 */
#ifndef EUROPA_CORE_LAYOUT_H
#define EUROPA_CORE_LAYOUT_H

#include <linux/europa.h>
#include "core/env.h"

/* 0, or the -errno and in *why a static text that says what is wrong and what would be right. */
int geometry_check(const struct europa_geometry *geo, const char **why);

/*
 * A geometry from what a user says: `slots` >= 2, `slot_size` bytes of frame and headroom (0: 2048), `ring` entries (0:
 * 1024), `runs` super-packets (UINT32_MAX: as many as suit the slots). Rounds up to what geometry_check wants.
 */
void geometry_choose(struct europa_geometry *geo, u32 vnics, u32 slots, u32 slot_size, u32 ring, u32 runs);

/* Offsets and sizes. geo must have passed geometry_check; sizes are multiples of the page size 4096. */
void layout_compute(const struct europa_geometry *geo, struct europa_offsets *off);

/* Entries of a ring: bytes from control_rings (rx, alloc) or pool_rings (tx, free). */
static inline u32 layout_ring(const struct europa_geometry *geo, u32 ring)
{
	return ring < 2 ? 0 : 4 * (geo->pool_ring_size + (ring - 2) / 2 * geo->ring_size);
}

static inline u32 layout_ring_size(const struct europa_geometry *geo, u32 ring)
{
	return ring < 2 ? geo->pool_ring_size : geo->ring_size;
}

static inline u32 geometry_indexes(const struct europa_geometry *geo)
{
	return geo->nslots + geo->nruns * geo->run_slots;
}

/* A slot index that names a slot or a run's first slot. */
static inline bool geometry_names_slot(const struct europa_geometry *geo, u32 slot)
{
	return slot < geo->nslots ||
	       (slot < geometry_indexes(geo) && ((slot - geo->nslots) & (geo->run_slots - 1)) == 0);
}

/* Bytes from the start of a slot or run to its end. */
static inline u32 geometry_slot_bytes(const struct europa_geometry *geo, u32 slot)
{
	return slot < geo->nslots ? geo->slot_stride : geo->slot_stride * geo->run_slots;
}

#endif

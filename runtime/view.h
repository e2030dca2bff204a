/* SPDX-License-Identifier: MIT */
/*
 * A look at the region of a VR that runs: mapped read-only through its supervisor. Neither memfd is trusted: the geometry
 * is read once and checked, offsets are computed from it and not read, and both files must be as long as they say.
 * The values are the switch's (control) and the VR's (pool), and may be anything.
 */
#ifndef EUROPA_VIEW_H
#define EUROPA_VIEW_H

#include "core/layout.h"
#include "runtime/state.h"

struct error;

struct view {
	struct europa_geometry geo;
	struct europa_offsets off;
	const uint8_t *control;
	const uint8_t *pool;               /* only up to its rings: header, lines and counters */
	size_t control_bytes, pool_bytes;
};

int view_open(const struct vr_state *state, struct view *view, struct error *e);
/* The same from two descriptors, which stay the caller's. */
int view_map(int control_fd, int pool_fd, struct view *view, struct error *e);
void view_close(struct view *view);

/* One word each. */
static inline uint32_t view_u32(const uint8_t *base, size_t offset)
{
	return READ_ONCE(*(const uint32_t *)(base + offset));
}

static inline uint64_t view_u64(const uint8_t *base, size_t offset)
{
	return READ_ONCE(*(const uint64_t *)(base + offset));
}

uint32_t view_status(const struct view *view);             /* enum europa_status, or what a newer switch says */
const char *view_status_name(uint32_t status);
/* Entries that wait in a ring, never more than it holds. */
uint32_t view_ring_used(const struct view *view, unsigned ring);
/* Slots and runs that the VR owns now. */
void view_owned(const struct view *view, uint32_t *slots, uint32_t *runs);

#endif

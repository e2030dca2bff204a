/* SPDX-License-Identifier: MIT */
/*
 * A region in this process' memory with the switch's side of it (struct vr) and an honest VR's side (struct peer):
 * what the core's tests, fuzzers and measurements are made on. The memory is exact to the byte, so that
 * AddressSanitizer sees what goes beyond.
 */
#ifndef EUROPA_TEST_CORE_BED_H
#define EUROPA_TEST_CORE_BED_H

#include <linux/europa.h>
#include <stdlib.h>
#include <string.h>

#include "core/vr.h"

/* The VR's rings, its side. */
struct peer {
	struct ring alloc, free;
	struct ring rx[EUROPA_MAX_VNICS], tx[EUROPA_MAX_VNICS];
};

struct bed {
	struct europa_geometry geo;
	struct europa_offsets off;
	u8 *control, *pool;
	void *memory;
	struct vr vr;
	struct peer peer;
};

static inline struct europa_geometry small_geometry(void)
{
	struct europa_geometry geo;

	geometry_choose(&geo, 2, 8, EUROPA_MIN_STRIDE, 16, 2);
	geo.alloc_target = 2;
	return geo;
}

static inline void peer_open_ring(const struct bed *bed, struct ring *r, u32 number, bool from_vr)
{
	struct europa_line *ours = (struct europa_line *)(bed->pool + bed->off.pool_lines) + number;
	struct europa_line *theirs = (struct europa_line *)(bed->control + bed->off.control_lines) + number;
	u8 *rings = from_vr ? bed->pool + bed->off.pool_rings : bed->control + bed->off.control_rings;

	ring_init(r, (u32 *)(rings + layout_ring(&bed->geo, number)), layout_ring_size(&bed->geo, number), ours, theirs);
}

static inline void peer_open(struct bed *bed)
{
	struct peer *peer = &bed->peer;
	u32 vnic;

	peer_open_ring(bed, &peer->free, EUROPA_RING_FREE, true);
	peer_open_ring(bed, &peer->alloc, EUROPA_RING_ALLOC, false);
	for (vnic = 0; vnic < bed->geo.nvnics; vnic++) {
		peer_open_ring(bed, &peer->rx[vnic], EUROPA_RING_RX(vnic), false);
		peer_open_ring(bed, &peer->tx[vnic], EUROPA_RING_TX(vnic), true);
	}
}

static inline void *zeroed(size_t size)
{
	void *memory = aligned_alloc(4096, size);

	if (!memory)
		abort();
	return memset(memory, 0, size);
}

static inline void bed_make(struct bed *bed, const struct europa_geometry *geo)
{
	memset(bed, 0, sizeof(*bed));
	bed->geo = *geo;
	layout_compute(geo, &bed->off);
	bed->control = zeroed(bed->off.control_size);
	bed->pool = zeroed(bed->off.pool_size);
	bed->memory = malloc(vr_memory(geo));
	if (!bed->memory)
		abort();
	vr_init(&bed->vr, geo, "bed", bed->control, bed->pool, bed->memory);
	peer_open(bed);
}

static inline void bed_free(struct bed *bed)
{
	free(bed->control);
	free(bed->pool);
	free(bed->memory);
}

/* The switch receives a frame of len bytes for the VR, each byte `fill`. The slot, or -1. */
static inline int bed_receive(struct bed *bed, u32 vnic, u32 len, u8 fill)
{
	struct europa_slot meta = { .len = len };
	int slot = rx_slot(&bed->vr, vnic, len);

	if (slot < 0)
		return -1;
	memset(rx_data(&bed->vr, slot), fill, len);
	rx_put(&bed->vr, vnic, slot, &meta);
	return slot;
}

/* The VR takes one entry of a ring that it consumes: the slot, or -1. */
static inline int peer_get(struct ring *r)
{
	u32 slot;

	if (ring_peek(r, 1) != 1)
		return -1;
	slot = *ring_entry(r, 0);
	ring_release(r, 1);
	return (int)slot;
}

/* The VR posts one entry in a ring that it produces, whatever it is. */
static inline bool peer_post(struct ring *r, u32 slot)
{
	if (ring_reserve(r, 1) != 1)
		return false;
	*ring_entry(r, 0) = slot;
	ring_submit(r, 1);
	return true;
}

static inline bool peer_send(struct bed *bed, u32 vnic, u32 slot)
{
	bed->vr.meta[slot].state = EUROPA_SLOT_PROCESSED;
	return peer_post(&bed->peer.tx[vnic], slot);
}

static inline u64 bed_dropped(const struct bed *bed, u32 vnic, enum europa_drop cause)
{
	return vnic < bed->geo.nvnics ? bed->vr.vnic_stats[vnic].drops[cause] : bed->vr.stats->drops[cause];
}

/*
 * NULL, or what is wrong with the switch's books: every slot has one owner, the free stacks hold the switch's
 * slots, each once. in_flight: slots that are the switch's and on no stack, because a frame was put or taken and
 * not yet flushed or done.
 */
static inline const char *bed_fault(const struct bed *bed, u32 in_flight)
{
	const struct vr *vr = &bed->vr;
	struct vr_census census;
	const char *fault = NULL;
	u8 *seen = calloc(1, vr->nindexes);
	u32 i;

	vr_census(vr, &census);
	if (census.switch_slots + census.vr_slots != bed->geo.nslots)
		fault = "single slots are missing";
	if (census.switch_runs + census.vr_runs != bed->geo.nruns)
		fault = "runs are missing";
	if (vr->nfree_slots > bed->geo.nslots || vr->nfree_runs > bed->geo.nruns) {
		free(seen);
		return "a free stack is higher than there are slots";
	}
	if (vr->nfree_slots + vr->nfree_runs + in_flight != census.switch_slots + census.switch_runs)
		fault = "the switch's slots are not those on the free stacks and in flight";
	for (i = 0; i < vr->nfree_slots + vr->nfree_runs; i++) {
		bool run = i >= vr->nfree_slots;
		u32 slot = run ? vr->free_runs[i - vr->nfree_slots] : vr->free_slots[i];

		if (slot >= vr->nindexes || run != (slot >= bed->geo.nslots) || !geometry_names_slot(&bed->geo, slot))
			fault = "a free stack holds what is no slot";
		else if (seen[slot]++)
			fault = "a slot is free twice";
		else if (vr->owners[slot] != EUROPA_OWNER_SWITCH)
			fault = "a free slot is not the switch's";
	}
	free(seen);
	return fault;
}

#endif

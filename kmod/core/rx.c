// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Receive: an EMPTY slot for a frame, filled by the caller, posted in the vNIC's rx ring. */
#include "core/pool.h"

/* Frames ahead of which the next slot's lines are fetched for writing: the VR had them last. */
#define AHEAD 16

static int rx_dropped(struct vr *vr, u32 vnic, enum europa_drop cause)
{
	vr_drop(vr, vnic, cause, 1);
	return -1;
}

static int rx_no_room(struct vr *vr, u32 vnic, u32 room)
{
	if (room != RING_BROKEN)
		return rx_dropped(vr, vnic, EUROPA_DROP_RX_RING_FULL);
	vr_violation(vr, vnic, EUROPA_DROP_BAD_RING, 1);
	return -1;
}

/* What fits no slot. */
static int rx_run(struct vr *vr, u32 vnic, u32 len)
{
	if (len < ETH_HEADER)
		return rx_dropped(vr, vnic, EUROPA_DROP_RX_MALFORMED);
	if (!vr->geo.nruns || len > vr->geo.slot_stride * vr->geo.run_slots - EUROPA_HEADROOM)
		return rx_dropped(vr, vnic, EUROPA_DROP_RX_TOO_LONG);
	if (!vr->nfree_runs)
		return rx_dropped(vr, vnic, EUROPA_DROP_RX_NO_RUN);
	return vr->free_runs[--vr->nfree_runs];
}

static void prefetch_slot(const struct vr *vr, u32 nth)
{
	u32 slot = vr->free_slots[nth];

	prefetchw(&vr->meta[slot]);
	prefetchw(rx_data(vr, slot));
}

int rx_slot(struct vr *vr, u32 vnic, u32 len)
{
	u32 want = vr->rx_pending[vnic] + 1;
	u32 room;

	if (unlikely(vr_shut(vr)))
		return rx_dropped(vr, vnic, vr->quarantined ? EUROPA_DROP_RX_QUARANTINED : EUROPA_DROP_RX_DOWN);

	/* The ring first: a full one must not cost a slot. */
	room = ring_reserve(&vr->rx[vnic], want);
	if (unlikely(room != want))
		return rx_no_room(vr, vnic, room);

	/* One comparison for both ends: what is too short wraps around. */
	if (unlikely(len - ETH_HEADER > vr->geo.slot_stride - EUROPA_HEADROOM - ETH_HEADER))
		return rx_run(vr, vnic, len);
	if (unlikely(!vr->nfree_slots))
		return rx_dropped(vr, vnic, EUROPA_DROP_RX_NO_SLOT);

	vr->nfree_slots--;
	if (likely(vr->nfree_slots >= AHEAD))
		prefetch_slot(vr, vr->nfree_slots - AHEAD);
	return vr->free_slots[vr->nfree_slots];
}

static bool is_plain(const struct europa_slot *meta)
{
	return !(meta->flags & (EUROPA_SLOT_NEEDS_CSUM | EUROPA_SLOT_VLAN)) && meta->gso_type == EUROPA_GSO_NONE;
}

/*
 * Field by field into words: the caller has just stored these fields, and a wider load of them would wait until all
 * stores before have left the CPU, those to lines that the VR had last included. That was half the cost of
 * receiving.
 */
static void write_meta(struct europa_slot *shared, u32 vnic, const struct europa_slot *meta)
{
	u64 tag = 0, offload = 0;
	u64 *words = (u64 *)shared;

	if (unlikely(!is_plain(meta))) {
		tag = (u64)meta->vlan_tci << 16 | (u64)meta->vlan_proto << 32 | (u64)meta->hdr_len << 48;
		offload = meta->gso_size | (u64)meta->csum_start << 16 | (u64)meta->csum_offset << 32;
	}
	WRITE_ONCE(words[0], EUROPA_SLOT_FILLED | (u64)meta->flags << 8 | (u64)vnic << 16 | (u64)meta->gso_type << 24 |
			     (u64)meta->len << 32);
	WRITE_ONCE(words[1], EUROPA_HEADROOM | tag);
	WRITE_ONCE(words[2], offload);
	WRITE_ONCE(words[3], meta->hash | (u64)meta->tstamp_us << 32);
}

void rx_put(struct vr *vr, u32 vnic, u32 slot, const struct europa_slot *meta)
{
	struct europa_vnic_stats *stats = &vr->vnic_stats[vnic];

	write_meta(&vr->meta[slot], vnic, meta);
	WRITE_ONCE(*ring_entry(&vr->rx[vnic], vr->rx_pending[vnic]), slot);
	vr->rx_pending[vnic]++;
	WRITE_ONCE(stats->rx_bytes, stats->rx_bytes + meta->len);
}

void rx_cancel(struct vr *vr, u32 slot)
{
	pool_push(vr, slot);
}

bool rx_flush(struct vr *vr, u32 vnic)
{
	struct ring *r = &vr->rx[vnic];
	struct europa_vnic_stats *stats = &vr->vnic_stats[vnic];
	u32 n = vr->rx_pending[vnic];

	if (!n)
		return false;

	pool_give(vr, r, n);
	vr->rx_pending[vnic] = 0;
	WRITE_ONCE(stats->rx_packets, stats->rx_packets + n);
	WRITE_ONCE(stats->rx_batches, stats->rx_batches + 1);

	if (likely(!ring_wants_wakeup(r)))
		return false;
	WRITE_ONCE(stats->wakeups, stats->wakeups + 1);
	return true;
}

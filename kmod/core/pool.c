// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The rings that are no vNIC's: what the VR drops comes back, and EMPTY slots for packets of its own go out. */
#include "core/pool.h"

static u32 bad_ring(struct vr *vr)
{
	vr_violation(vr, EUROPA_MAX_VNICS, EUROPA_DROP_BAD_RING, 1);
	return 0;
}

/* Takes up to `max` (<= VR_BATCH) slots back; returns entries consumed. */
static u32 take_dropped(struct vr *vr, u32 max)
{
	struct ring *r = &vr->free;
	u32 slots[VR_BATCH] __uninitialized;
	u32 i, taken = 0, n = ring_peek(r, max);

	if (!n)
		return 0;
	if (unlikely(n == RING_BROKEN))
		return bad_ring(vr);

	pool_read(vr, r, slots, n);
	pool_announce(r, n);
	for (i = 0; i < n; i++) {
		u32 slot = slots[i];
		enum europa_drop cause = pool_take(vr, &slot);

		if (unlikely(cause != EUROPA_DROPS))
			vr_violation(vr, EUROPA_MAX_VNICS, cause, 1);
		else
			slots[taken++] = slot;
	}
	pool_taken(r, n);

	WRITE_ONCE(vr->stats->dropped, vr->stats->dropped + taken);
	while (taken)
		pool_reclaim(vr, slots[--taken]);
	return n;
}

u32 pool_lacks(struct vr *vr)
{
	struct ring *r = &vr->alloc;
	u32 room, held, lacks;

	if (!vr->geo.alloc_target)
		return 0;
	/* The whole ring is asked for: so the VR's index is looked at where something was left, and what is gone is missing. */
	room = ring_reserve(r, r->size);
	if (unlikely(room == RING_BROKEN))
		return bad_ring(vr);
	held = r->size - room;
	lacks = held < vr->geo.alloc_target ? vr->geo.alloc_target - held : 0;
	return lacks < vr->nfree_slots ? lacks : vr->nfree_slots;
}

/* Tops up the alloc ring; returns slots given. */
static u32 give_empty(struct vr *vr)
{
	struct ring *r = &vr->alloc;
	u32 i, n = pool_lacks(vr);

	if (!n)
		return 0;
	for (i = 0; i < n; i++)
		WRITE_ONCE(*ring_entry(r, i), vr->free_slots[--vr->nfree_slots]);
	pool_give(vr, r, n);
	WRITE_ONCE(vr->stats->allocated, vr->stats->allocated + n);
	return n;
}

u32 pool_turn(struct vr *vr, u32 budget, bool *wake)
{
	u32 taken = 0, given;

	*wake = false;
	while (taken < budget && !vr_paused(vr)) {
		u32 left = budget - taken;
		u32 n = take_dropped(vr, left < VR_BATCH ? left : VR_BATCH);

		if (!n)
			break;
		taken += n;
	}
	if (unlikely(vr_paused(vr)))
		return taken;

	given = give_empty(vr);
	*wake = given && ring_wants_wakeup(&vr->alloc);
	return taken + given;
}

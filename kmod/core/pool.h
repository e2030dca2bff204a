/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Inside the core: how a slot changes hands. Included by vr.c, pool.c, rx.c and tx.c.
 *
 * The owner map says whose a slot is; the switch alone writes it. A slot leaves the switch by a ring that the
 * switch produces (rx, alloc) and comes back by one that it consumes (tx, free); both move the owners of a whole
 * batch, then the ring's index. A switch may be killed between any two of these stores, and the next one must find
 * every slot. So the batch is announced first, in the ring's line:
 *
 *	give, n slots to the VR                        take, n slots from the VR
 *
 *	1  txn_base = index, then txn_count = n        1  the same
 *	2  owners[slot of each entry] = VR             2  owners[slot of each entry] = SWITCH
 *	3  index = txn_base + n                        3  the same
 *	4  txn_count = 0                               4  the same
 *
 * The stores of one thread reach the memory that the next switch maps in program order, however the thread ends: a
 * killed thread stops between two instructions, and what it has stored is seen by all who look later. So the
 * compiler alone must be kept from reordering them, which is what barrier() and the release at 3 do.
 *
 * What vr_adopt finds, and why it is enough:
 *	txn_count == 0                    before 1 or after 4. Nobody was moving anything.
 *	index == txn_base                 after 1, before 3. give: the VR hasn't seen the entries, so undo: each slot becomes the
 *	                                  switch's. take: the VR has given them away, so finish: each slot that is still the VR's
 *	                                  becomes the switch's, then index.
 *	index == txn_base + txn_count     after 3, before 4. All is done. txn_count > 0, so it is not the case above.
 * Undoing and finishing store the same values again when they are themselves interrupted and repeated.
 *
 * The entries of a give are in control: the VR can't have changed them. Those of a take are in pool: it can, but
 * only to name other slots that it owns, which are then lost to itself. A slot that is the switch's is on a free
 * stack after adopting, because the stacks are made anew from the owner map.
 */
#ifndef EUROPA_CORE_POOL_H
#define EUROPA_CORE_POOL_H

#include "core/vr.h"

#define ETH_HEADER      14u

static inline void pool_announce(struct ring *r, u32 n)
{
	WRITE_ONCE(r->mine->txn_base, r->index);
	barrier();
	WRITE_ONCE(r->mine->txn_count, n);
	barrier();
}

static inline void pool_announced_is_done(struct ring *r)
{
	barrier();
	WRITE_ONCE(r->mine->txn_count, 0);
}

/* How many slots the alloc ring lacks and the switch has (pool.c). */
u32 pool_lacks(struct vr *vr);

/* Hands the next n entries, written before, to the VR. */
static inline void pool_give(struct vr *vr, struct ring *r, u32 n)
{
	u32 i;

	pool_announce(r, n);
	for (i = 0; i < n; i++) {
		u32 slot = READ_ONCE(*ring_entry(r, i));

		/* Written by the switch, but in memory that a supervisor can write as well. */
		if (likely(slot < vr->nindexes))
			WRITE_ONCE(vr->owners[slot], EUROPA_OWNER_VR);
	}
	barrier();
	ring_submit(r, n);
	pool_announced_is_done(r);
}

/*
 * The next n entries that the VR wrote, each read once. What their slots hold is sent for at once, metadata and
 * data, and for writing: the VR had it last, and the switch will read it, and then fill it again, soon.
 */
static inline void pool_read(const struct vr *vr, const struct ring *r, u32 *slots, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		u32 slot;

		slots[i] = READ_ONCE(*ring_entry(r, i));
		slot = array_index_nospec(slots[i], vr->nindexes);
		prefetchw(&vr->meta[slot]);
		prefetchw(rx_data(vr, slot));
	}
}

/*
 * A slot index as read from a ring: EUROPA_DROPS and the slot is the switch's now, or why not. Beyond the last
 * index, *slot is made 0 in a way that the CPU can't speculate past, so that the map, the metadata and the data of
 * a slot that doesn't exist are not even looked at.
 */
static inline enum europa_drop pool_take(struct vr *vr, u32 *slot)
{
	u32 named = *slot;

	*slot = array_index_nospec(named, vr->nindexes);
	if (unlikely(named >= vr->nindexes))
		return EUROPA_DROP_BAD_INDEX;
	if (unlikely(vr->owners[*slot] != EUROPA_OWNER_VR))
		return geometry_names_slot(&vr->geo, named) ? EUROPA_DROP_NOT_OWNED : EUROPA_DROP_BAD_INDEX;
	/* Nobody but a supervisor that writes into the owner map can have made an index inside a run the VR's. */
	if (unlikely(!geometry_names_slot(&vr->geo, named)))
		return EUROPA_DROP_BAD_INDEX;
	WRITE_ONCE(vr->owners[*slot], EUROPA_OWNER_SWITCH);
	return EUROPA_DROPS;
}

/* The next n entries are done with: all of them went through pool_take. */
static inline void pool_taken(struct ring *r, u32 n)
{
	barrier();
	ring_release(r, n);
	pool_announced_is_done(r);
}

/*
 * Puts a slot of the switch on its free stack. Each is there once, so none overflows; but for a supervisor that writes
 * into the owner map, or has two switches serve one region, which must not cost the switch its memory.
 */
static inline void pool_push(struct vr *vr, u32 slot)
{
	if (likely(slot < vr->geo.nslots)) {
		if (likely(vr->nfree_slots < vr->geo.nslots))
			vr->free_slots[vr->nfree_slots++] = slot;
	} else if (vr->nfree_runs < vr->geo.nruns) {
		vr->free_runs[vr->nfree_runs++] = slot;
	}
}

/* The same for one that comes back from the VR. */
static inline void pool_reclaim(struct vr *vr, u32 slot)
{
	WRITE_ONCE(vr->meta[slot].state, EUROPA_SLOT_EMPTY);
	pool_push(vr, slot);
}

#endif

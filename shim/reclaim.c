// SPDX-License-Identifier: MIT
/*
 * A data plane that was restarted starts with no packet in its hands, but the one before it may have died with some: taken
 * from an rx ring, neither sent nor dropped. The switch counts those slots as the VR's for ever. They are the slots that
 * the owner map gives to the VR and that are in no ring; they go back by the free ring.
 *
 * The switch is at work meanwhile, so the order of reading matters:
 *
 *   1. tx and free rings, from the switch's index on. We produce these, nothing is added; what the switch takes from them
 *      afterwards was seen here, so that a slot on its way out, and perhaps back in by an rx ring, is never reclaimed.
 *   2. the owner map.
 *   3. rx and alloc rings up to the switch's index, and further, what the journal says it is just about to publish. We consume
 *      these, nothing is taken out: a slot that was in one of them at 2 still is.
 *
 * A slot that belonged to the VR at 2 and that neither 1 nor 3 saw was nowhere but in the dead process.
 */
#include <stdlib.h>
#include <string.h>

#include "core/layout.h"
#include "shim/private.h"

/* owner map byte for a slot that some ring holds */
#define IN_RING 0xff

static void mark(const struct ring *r, uint32_t from, uint32_t to, uint32_t slots, uint8_t *map, uint8_t value)
{
	if (to - from > r->size)
		return;
	for (uint32_t k = from; k != to; k++) {
		uint32_t slot = READ_ONCE(r->entries[k & (r->size - 1)]);

		if (slot < slots)
			map[slot] = value;
	}
}

static void mark_produced(const struct ring *r, uint32_t slots, uint8_t *map)
{
	mark(r, smp_load_acquire(&r->theirs->index), r->index, slots, map, 1);
}

static void mark_consumable(const struct ring *r, uint32_t slots, uint8_t *map)
{
	/* The journal first: where it is clear already, the index that cleared it is seen below. */
	uint32_t count = smp_load_acquire(&r->theirs->txn_count);
	uint32_t base = READ_ONCE(r->theirs->txn_base);
	uint32_t index = smp_load_acquire(&r->theirs->index);

	mark(r, r->index, index, slots, map, IN_RING);
	if (count)
		mark(r, base, base + count, slots, map, IN_RING);
}

static void give_back(struct ring *r, uint32_t slot)
{
	if (ring_reserve(r, 1) != 1)
		return;
	*ring_entry(r, 0) = slot;
	ring_submit(r, 1);
}

void reclaim_held(struct europa_private *priv)
{
	struct europa *eu = &priv->view;
	const struct europa_geometry *geo = &eu->geometry;
	uint32_t slots = geometry_indexes(geo);
	const uint8_t *owner_map = priv->control + priv->offsets.control_owners;
	uint8_t *produced = calloc(2, slots);
	uint8_t *owners = produced + slots;

	if (!produced)
		return;
	mark_produced(&eu->free, slots, produced);
	for (unsigned n = 0; n < eu->nvnics; n++)
		mark_produced(&eu->tx[n], slots, produced);

	for (uint32_t slot = 0; slot < slots; slot++)
		owners[slot] = smp_load_acquire(&owner_map[slot]);

	mark_consumable(&eu->alloc, slots, owners);
	for (unsigned n = 0; n < eu->nvnics; n++)
		mark_consumable(&eu->rx[n], slots, owners);

	for (uint32_t slot = 0; slot < slots; slot++) {
		if (owners[slot] == EUROPA_OWNER_VR && !produced[slot] && geometry_names_slot(geo, slot))
			give_back(&eu->free, slot);
	}
	if (ring_wants_wakeup(&eu->free))
		europa_kick(eu);
	free(produced);
}

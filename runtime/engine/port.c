// SPDX-License-Identifier: MIT
/* What every kind of port does. */
#include <string.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/port.h"

void port_deliver(struct port *port, const u8 *frame, const struct europa_slot *meta)
{
	struct vr *vr = &port->member->vr;
	int slot;

	if (unlikely(!port_may_deliver(meta))) {
		port_drop(port, EUROPA_DROP_RX_MALFORMED, 1);
		return;
	}
	slot = rx_slot(vr, port->vnic, meta->len);
	if (slot < 0)
		return;
	memcpy(rx_data(vr, slot), frame, meta->len);
	rx_put(vr, port->vnic, slot, meta);
	port->member->dirty |= 1u << port->vnic;
}

static bool has_room(struct vr *vr, u32 vnic, u32 len)
{
	u32 want = vr->rx_pending[vnic] + 1, room = ring_reserve(&vr->rx[vnic], want);

	/* A broken ring, and a frame that never fits, are for rx_slot to count. */
	if (room == RING_BROKEN)
		return true;
	if (len > vr->geo.slot_stride - EUROPA_HEADROOM)
		return room == want && (vr->nfree_runs || !vr->geo.nruns);
	return room == want && vr->nfree_slots;
}

/* Frames that the VR has been told of and hasn't taken. */
static bool has_untaken(struct vr *vr, u32 vnic)
{
	struct ring *r = &vr->rx[vnic];

	return ring_reserve(r, r->size) != r->size;
}

/* For full_since_us: 0 has a meaning there, and later than now is never. */
static u32 mark(u32 now_us)
{
	return now_us ? now_us : now_us - 1;
}

static bool should_wait(struct port *port, u32 len, u32 now_us)
{
	struct vr *vr = &port->member->vr;

	if (unlikely(vr_shut(vr)))
		return !vr->quarantined;
	if (likely(has_room(vr, port->vnic, len))) {
		port->full_since_us = 0;
		return false;
	}
	if (!port->full_since_us)
		port->full_since_us = mark(now_us);
	if (now_us - port->full_since_us < PORT_PATIENCE_US)
		return true;
	if (!has_untaken(vr, port->vnic))
		return false;
	port->full_since_us = mark(now_us);
	return true;
}

bool port_should_wait(struct port *port, u32 len, struct engine *engine)
{
	bool wait = should_wait(port, len, engine->now_us);

	engine->full |= wait;
	return wait;
}

void port_set_up(struct port *port, bool up)
{
	struct europa_vnic *vnic = &port->member->vr.vnics[port->vnic];
	u32 flags = READ_ONCE(vnic->flags);

	port->up = up;
	WRITE_ONCE(vnic->flags, up ? flags | EUROPA_VNIC_UP : flags & ~EUROPA_VNIC_UP);
}

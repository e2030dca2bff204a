// SPDX-License-Identifier: MIT
/* What every kind of port does. */
#include <string.h>

#include "runtime/engine/port.h"

void port_deliver(struct port *port, const u8 *frame, const struct europa_slot *meta)
{
	struct vr *vr = &port->member->vr;
	int slot = rx_slot(vr, port->vnic, meta->len);

	if (slot < 0)
		return;
	memcpy(rx_data(vr, slot), frame, meta->len);
	rx_put(vr, port->vnic, slot, meta);
	port->member->dirty |= 1u << port->vnic;
}

void port_set_up(struct port *port, bool up)
{
	struct europa_vnic *vnic = &port->member->vr.vnics[port->vnic];
	u32 flags = READ_ONCE(vnic->flags);

	port->up = up;
	WRITE_ONCE(vnic->flags, up ? flags | EUROPA_VNIC_UP : flags & ~EUROPA_VNIC_UP);
}

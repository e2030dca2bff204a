/* SPDX-License-Identifier: MIT */
#include "port.h"

#include <errno.h>

void port_refresh(struct port *port, const struct europa_vnic *vnic)
{
	bool up = READ_ONCE(vnic->flags) & EUROPA_VNIC_UP;
	u16 mtu = READ_ONCE(vnic->mtu);

	if (memcmp(port->mac, vnic->mac, sizeof port->mac)) {
		memcpy(port->mac, vnic->mac, sizeof port->mac);
		port->mac_number = mac_number(port->mac);
		port->announced = false;
	}
	if (up && !port->up)
		port->announced = false;
	port->up = up;
	port->mtu = mtu ? mtu : 1500;
}

int port_add_address(struct port *port, const struct prefix *address)
{
	unsigned i;

	for (i = 0; i < port->naddresses; i++)
		if (port->address[i].family == address->family &&
		    address_equal(&port->address[i].address, &address->address))
			return -EEXIST;
	if (port->naddresses == PORT_ADDRESSES)
		return -ENOSPC;
	port->address[port->naddresses++] = *address;
	return 0;
}

static bool same_subnet(const struct prefix *p, u32 address)
{
	return p->family == FAMILY_IPV4 && !((p->address.word[0] ^ address) & prefix_mask(p->length));
}

u32 port_source(const struct port *port, u32 peer)
{
	u32 first = 0;
	unsigned i;

	for (i = 0; i < port->naddresses; i++) {
		if (same_subnet(&port->address[i], peer))
			return port->address[i].address.word[0];
		if (!first && port->address[i].family == FAMILY_IPV4)
			first = port->address[i].address.word[0];
	}
	return first;
}

bool port_reaches(const struct port *port, u32 address)
{
	unsigned i;

	for (i = 0; i < port->naddresses; i++)
		if (same_subnet(&port->address[i], address))
			return true;
	return false;
}

bool port_owns(const struct port *port, u32 address)
{
	unsigned i;

	for (i = 0; i < port->naddresses; i++)
		if (port->address[i].family == FAMILY_IPV4 && port->address[i].address.word[0] == address)
			return true;
	return false;
}

unsigned port_flush(struct port *port, struct europa *eu)
{
	unsigned n = port->nout, sent;

	if (!n)
		return 0;
	sent = europa_tx(eu, port->number, port->out, n);
	europa_drop(eu, port->out + sent, n - sent);
	port->nout = 0;
	return n - sent;
}

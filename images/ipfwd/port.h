/* SPDX-License-Identifier: MIT */
/*
 * A port: one vNIC as the router sees it, its addresses, and the packets that are about to leave by it. Knows no
 * family but in its addresses.
 */
#ifndef IPFWD_PORT_H
#define IPFWD_PORT_H

#include "address.h"
#include "packet.h"
#include "shim/europa.h"

#define PORT_ADDRESSES     16
#define PORT_BATCH         64

struct port {
	u64 mac_number;                  /* to compare with mac_number() */
	u32 mtu;
	u8 number;                       /* of its vNIC */
	bool up;
	bool announced;                  /* its addresses, since it came up */
	u8 naddresses;
	u16 vlan;                        /* all its frames have this tag, both ways; 0: none has */
	u8 mac[6];

	unsigned nout;
	u32 out[PORT_BATCH];             /* slots that leave with the next flush */

	struct prefix address[PORT_ADDRESSES];
};

/*
 * Takes over what the switch says about the vNIC. Its addresses are to be announced when it came up or has another
 * MAC.
 */
void port_refresh(struct port *port, const struct europa_vnic *vnic);

/* 0; -EEXIST; -ENOSPC. */
int port_add_address(struct port *port, const struct prefix *address);

/* The IPv4 address to speak with to `peer` on this link: of the same subnet, else the first; 0: the port has none. */
u32 port_source(const struct port *port, u32 peer);

/* Is the IPv4 address in one of the port's subnets? */
bool port_reaches(const struct port *port, u32 address);

/* Is it one of the port's own? */
bool port_owns(const struct port *port, u32 address);

/* Hands the batch to the switch. Returns how many it didn't take; those are dropped. */
unsigned port_flush(struct port *port, struct europa *eu);

/* Has it the port's tag? A priority tag (VLAN 0) is none. */
static inline bool port_expects(const struct port *port, const struct europa_slot *meta)
{
	unsigned vlan = meta->flags & EUROPA_SLOT_VLAN ? meta->vlan_tci & 0xfff : 0;

	return vlan == port->vlan;
}

/* Puts the port's tag on a packet, or none. Clears what only receiving means. */
static inline void port_mark(const struct port *port, struct europa_slot *meta)
{
	meta->flags &= EUROPA_SLOT_NEEDS_CSUM;
	if (unlikely(port->vlan)) {
		meta->flags |= EUROPA_SLOT_VLAN;
		meta->vlan_tci = port->vlan;
		meta->vlan_proto = 0x8100;
	}
}

#endif

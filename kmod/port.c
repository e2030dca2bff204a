// SPDX-License-Identifier: GPL-2.0
/* What every kind of port does. */
#include "port.h"

#include <linux/etherdevice.h>
#include <linux/rtnetlink.h>
#include <linux/utsname.h>

#include "core/name.h"
#include "report.h"
#include "worker.h"

void port_set_up(struct port *port, bool up)
{
	struct europa_vnic *vnic = &port->member->vr.vnics[port->vnic];
	u32 flags = READ_ONCE(vnic->flags);

	ASSERT_RTNL();
	WRITE_ONCE(port->up, up);
	WRITE_ONCE(vnic->flags, up ? flags | EUROPA_VNIC_UP : flags & ~EUROPA_VNIC_UP);
}

void port_publish(struct port *port, const struct europa_attach *attach)
{
	struct member *m = port->member;
	struct europa_vnic *vnic = &m->vr.vnics[port->vnic];

	ASSERT_RTNL();
	memcpy(vnic->mac, attach->mac, sizeof(vnic->mac));
	memcpy(vnic->device, attach->device, sizeof(vnic->device));
	WRITE_ONCE(vnic->mtu, attach->mtu);
	m->lost &= ~(1u << port->vnic);
	if (port->ops->receive)
		WRITE_ONCE(m->polled, m->polled | 1u << port->vnic);
	rcu_assign_pointer(m->ports[port->vnic], port);
	worker_wake(m);
}

void port_withdraw(struct port *port)
{
	struct member *m = port->member;

	port_set_up(port, false);
	WRITE_ONCE(m->polled, m->polled & ~(1u << port->vnic));
	RCU_INIT_POINTER(m->ports[port->vnic], NULL);
}

void port_drop(struct port *port, enum europa_drop cause, unsigned int n)
{
	spin_lock(&port->member->lock);
	vr_drop(&port->member->vr, port->vnic, cause, n);
	spin_unlock(&port->member->lock);
}

void port_choose_mac(const struct member *m, unsigned int vnic, u8 first, u8 *mac)
{
	char host[sizeof(init_utsname()->nodename)];

	/* The lock of names is not for modules. While the host gets another one this may be half of each, which is as good; it always has an end. */
	strscpy(host, init_utsname()->nodename, sizeof(host));
	name_address(host, strlen(host), m->name, vnic, first, mac);
}

int port_attach(struct member *m, struct europa_attach *attach, const struct rule *rule, struct report *report)
{
	if (attach->vnic >= m->vr.geo.nvnics)
		return fail(report, EINVAL, "there is no vNIC %u; \"%s\" has %u", attach->vnic, m->name, m->vr.geo.nvnics);
	if (rtnl_dereference(m->ports[attach->vnic]))
		return fail(report, EEXIST, "vNIC %u is attached already", attach->vnic);
	if (!attach->mtu && attach->kind != EUROPA_PORT_SHARED)
		attach->mtu = ETH_DATA_LEN;
	if (is_zero_ether_addr(attach->mac))
		port_choose_mac(m, attach->vnic, NAME_ADDRESS_VR, attach->mac);

	switch (attach->kind) {
	case EUROPA_PORT_DEVICE:
	case EUROPA_PORT_XDP:           /* says how a socket is to receive, and here is none */
		return port_device_open(m, attach, report);
	case EUROPA_PORT_SHARED:
		return port_shared_open(m, attach, rule, report);
	case EUROPA_PORT_VR:
		return port_link_open(m, attach, report);
	case EUROPA_PORT_GENERATOR:
		return port_generator_open(m, attach, report);
	default:
		return port_null_open(m, attach, report);
	}
}

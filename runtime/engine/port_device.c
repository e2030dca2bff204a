// SPDX-License-Identifier: MIT
/* A device of the vNIC's own: a veth pair's end in the switch's namespace, and a packet socket on it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine/device.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/packet.h"
#include "runtime/engine/port.h"
#include "runtime/error.h"

struct port_device {
	struct port port;
	struct engine *engine;
	struct packet_socket *socket;
	u32 counted_us;            /* when the kernel was last asked what it dropped while frames waited */
};

static struct port_device *device_of(struct port *port)
{
	return (struct port_device *)port;
}

static void count_lost(struct port_device *device)
{
	port_drop(&device->port, EUROPA_DROP_RX_RING_FULL, packet_lost(device->socket));
	device->counted_us = device->engine->now_us;
}

static unsigned device_receive(struct port *port, unsigned budget)
{
	struct port_device *device = device_of(port);
	struct packet_socket *socket = device->socket;
	struct packet_frame frame;
	/* When frames have waited, what was lost behind them is asked for once more: no frame may come any more to say so. */
	bool waited = port->full_since_us, losing = false;
	unsigned cost;

	packet_push_at(socket, port);
	for (cost = 0; cost < budget && packet_peek(socket, &frame); cost += rx_cost(frame.meta.len)) {
		if (unlikely(port_should_wait(port, frame.meta.len, device->engine))) {
			losing |= device->engine->now_us - device->counted_us > PORT_PATIENCE_US;
			break;
		}
		losing |= frame.losing;
		frame.meta.tstamp_us = device->engine->now_us;
		packet_deliver(socket, &frame, port);
		packet_next(socket);
	}
	if (unlikely(losing || (waited && !port->full_since_us)))
		count_lost(device);
	if (cost)
		member_flush(port->member);
	return cost;
}

static void device_send(struct port *port, const struct tx_frame *const *frames, unsigned n)
{
	packet_send(device_of(port)->socket, port, frames, n);
}

/* Its device is gone, or another switch's. */
static void device_settle(struct port *port)
{
	struct packet_socket *socket = device_of(port)->socket;
	struct packet_frame frame;
	u32 waited = 0;

	for (; packet_peek(socket, &frame); packet_next(socket))
		waited++;
	port_drop(port, EUROPA_DROP_RX_DOWN, waited);
	port_drop(port, EUROPA_DROP_TX_DOWN, packet_unsent(socket));
	count_lost(device_of(port));
}

static void device_destroy(struct port *port)
{
	packet_close(device_of(port)->socket);
	free(port);
}

static const struct port_ops ops = {
	.receive = device_receive,
	.send = device_send,
	.settle = device_settle,
	.destroy = device_destroy,
};

int port_device_open(struct engine *engine, struct member *member, struct europa_attach *attach,
		     struct port **port, struct error *e)
{
	struct port_device *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return fail(e, ENOMEM, "vNIC %u", attach->vnic);
	r = packet_get(&d->socket, e);
	if (r < 0) {
		free(d);
		return r;
	}
	r = device_create(engine->devices, member, attach, &d->port.ifindex, &d->port.up, e);
	if (r == 0) {
		r = packet_bind(d->socket, d->port.ifindex, false, e);
		if (r < 0)
			device_remove(engine->devices, d->port.ifindex);
	}
	if (r < 0) {
		device_destroy(&d->port);
		return r;
	}
	d->engine = engine;
	d->port.ops = &ops;
	d->port.member = member;
	d->port.vnic = attach->vnic;
	d->port.fd = d->socket->fd;
	*port = &d->port;
	return 0;
}

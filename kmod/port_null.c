// SPDX-License-Identifier: GPL-2.0
/* No port: the vNIC is there, and nothing behind it. It is never up, so that whatever is sent is counted as such. */
#include <linux/slab.h>

#include "port.h"
#include "report.h"

static void null_send(struct port *port, const struct tx_frame *const *frames, unsigned int n)
{
	port_drop(port, EUROPA_DROP_TX_DOWN, n);
}

static void null_close(struct port *port, struct list_head *dying)
{
	kfree_rcu(port, rcu);
}

static const struct port_ops ops = { .send = null_send, .close = null_close };

int port_null_open(struct member *member, struct europa_attach *attach, struct report *report)
{
	struct port *port = kzalloc(sizeof(*port), GFP_KERNEL_ACCOUNT);

	if (!port)
		return fail(report, ENOMEM, "no memory for vNIC %u", attach->vnic);
	port->ops = &ops;
	port->member = member;
	port->vnic = attach->vnic;
	port_publish(port, attach);
	return 0;
}

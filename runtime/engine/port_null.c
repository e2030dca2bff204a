// SPDX-License-Identifier: MIT
/* No port: the vNIC is there, and nothing behind it. It is never up, so that whatever is sent is counted as such. */
#include <errno.h>
#include <stdlib.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/port.h"
#include "runtime/error.h"

static void null_send(struct port *port, const struct tx_frame *const *frames, unsigned n)
{
	port_drop(port, EUROPA_DROP_TX_DOWN, n);
}

static void null_destroy(struct port *port)
{
	free(port);
}

static const struct port_ops ops = { .send = null_send, .destroy = null_destroy };

int port_null_open(struct engine *engine, struct member *member, struct europa_attach *attach,
		   struct port **port, struct error *e)
{
	struct port *p = malloc(sizeof *p);

	if (!p)
		return fail(e, ENOMEM, "vNIC %u", attach->vnic);
	*p = (struct port){ .ops = &ops, .member = member, .vnic = attach->vnic, .fd = -1 };
	*port = p;
	return 0;
}

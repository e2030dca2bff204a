// SPDX-License-Identifier: MIT
/* A port without any network: core/generator.h. */
#include <errno.h>
#include <stdlib.h>

#include "core/generator.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/port.h"
#include "runtime/error.h"

struct generating {
	struct port port;
	struct generator generator;
};

static unsigned generate(struct port *port, unsigned budget)
{
	struct generating *g = (struct generating *)port;
	bool wake;
	u32 n = generator_make(&g->generator, &port->member->vr, port->vnic, budget, &wake);

	port->member->ring |= wake;
	return n;
}

static void swallow(struct port *port, const struct tx_frame *const *frames, unsigned n)
{
	generator_swallow(&((struct generating *)port)->generator, frames, n);
}

static void generator_destroy(struct port *port)
{
	free(port);
}

static const struct port_ops ops = {
	.receive = generate,
	.send = swallow,
	.destroy = generator_destroy,
};

int port_generator_open(struct engine *engine, struct member *member, struct europa_attach *attach,
			struct port **port, struct error *e)
{
	struct generating *g = calloc(1, sizeof *g);
	struct text word;

	if (!g)
		return fail(e, ENOMEM, "vNIC %u", attach->vnic);
	if (generator_init(&g->generator, attach->peer, attach->mac, &word) < 0) {
		free(g);
		return refuse(e, "generator: \"%.*s\": " GENERATOR_EXPECTS, (int)word.n, word.at);
	}
	g->port = (struct port){ .ops = &ops, .member = member, .vnic = attach->vnic, .fd = -1, .up = true };
	*port = &g->port;
	return 0;
}

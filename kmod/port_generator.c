// SPDX-License-Identifier: GPL-2.0
/* A port without any network: core/generator.h. */
#include <linux/mm.h>

#include "core/generator.h"
#include "port.h"
#include "report.h"

struct generating {
	struct port port;
	struct generator generator;
};

static struct generating *generating_of(struct port *port)
{
	return container_of(port, struct generating, port);
}

static unsigned int generate(struct port *port, unsigned int budget)
{
	struct member *m = port->member;
	unsigned int n;
	bool wake;

	spin_lock(&m->lock);
	n = generator_make(&generating_of(port)->generator, &m->vr, port->vnic, budget, &wake);
	if (wake)
		member_ring(m);
	spin_unlock(&m->lock);
	return n;
}

static void swallow(struct port *port, const struct tx_frame *const *frames, unsigned int n)
{
	generator_swallow(&generating_of(port)->generator, frames, n);
}

static void generator_close(struct port *port, struct list_head *dying)
{
	struct generating *g = generating_of(port);

	kvfree_rcu(g, port.rcu);
}

static const struct port_ops ops = {
	.receive = generate,
	.send = swallow,
	.close = generator_close,
};

int port_generator_open(struct member *member, struct europa_attach *attach, struct report *report)
{
	struct generating *g = kvzalloc(sizeof(*g), GFP_KERNEL_ACCOUNT);
	struct text word;

	if (!g)
		return fail(report, ENOMEM, "no memory for vNIC %u", attach->vnic);
	g->port.ops = &ops;
	g->port.member = member;
	g->port.vnic = attach->vnic;
	if (generator_init(&g->generator, attach->peer, attach->mac, &word) < 0) {
		fail(report, EINVAL, "generator: \"%.*s\": " GENERATOR_EXPECTS, (int)word.n, word.at);
		kvfree(g);
		return -EINVAL;
	}
	port_publish(&g->port, attach);
	port_set_up(&g->port, true);
	return 0;
}

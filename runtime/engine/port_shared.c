// SPDX-License-Identifier: MIT
/* A vNIC on a NIC that it shares with others, by a rule. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/nic.h"
#include "runtime/engine/port.h"
#include "runtime/engine/rules.h"
#include "runtime/error.h"

struct port_shared {
	struct port port;
	struct nic *nic;
	struct rule rule;
	bool last;                      /* nobody else uses the NIC: it ends with this port */
};

static struct port_shared *shared_of(struct port *port)
{
	return (struct port_shared *)port;
}

static void shared_send(struct port *port, const struct tx_frame *const *frames, unsigned n)
{
	nic_send(shared_of(port)->nic, port, frames, n);
}

static void shared_attach(struct port *port)
{
	struct port_shared *s = shared_of(port);

	s->nic->targets[s->rule.target] = port;
}

/* Engine locked. */
static void leave(struct port_shared *s)
{
	classifier_remove(s->nic->classifier, s->rule.target);
	s->nic->targets[s->rule.target] = NULL;
	s->nic->filters -= s->rule.kind == RULE_FILTER;
	s->last = nic_put(s->nic);
}

static void shared_detach(struct engine *engine, struct port *port)
{
	leave(shared_of(port));
}

static void shared_destroy(struct port *port)
{
	struct port_shared *s = shared_of(port);

	if (s->last)
		nic_close(s->nic);
	rule_release(&s->rule);
	free(s);
}

static const struct port_ops ops = {
	.send = shared_send,
	.attach = shared_attach,
	.detach = shared_detach,
	.destroy = shared_destroy,
};

/*
 * The number by which the classifier knows the vNIC: one that no rule has; the port is to be found there when it
 * is attached.
 */
static int choose_target(const struct nic *nic)
{
	unsigned i;

	for (i = 0; i < CLASSIFY_MAX_TARGETS; i++) {
		if (!nic->targets[i])
			return i;
	}
	return -ENOSPC;
}

static int join(struct port_shared *s, const struct europa_attach *attach, struct error *e)
{
	struct nic *nic = s->nic;
	int target = choose_target(nic), r = target;

	if (target >= 0) {
		s->rule.target = target;
		memcpy(s->rule.mac, attach->mac, sizeof s->rule.mac);
		engine_lock(nic->engine);
		r = classifier_add(nic->classifier, &s->rule);
		if (r == 0)
			nic->filters += s->rule.kind == RULE_FILTER;
		engine_unlock(nic->engine);
	}
	if (r == -EEXIST)
		return refuse(e, "vNIC %u: another vNIC of \"%s\" has the rule \"%s\", or the same MAC address, already", attach->vnic,
			      nic->name, attach->rule[0] ? attach->rule : "mac");
	if (r == -ENOSPC)
		return refuse(e, "vNIC %u: \"%s\" has %d vNICs already, which is the most", attach->vnic, nic->name, CLASSIFY_MAX_TARGETS);
	return r < 0 ? fail(e, -r, "vNIC %u: rule \"%s\"", attach->vnic, attach->rule) : 0;
}

static int check_mtu(const struct nic *nic, struct europa_attach *attach, struct error *e)
{
	if (!attach->mtu)
		attach->mtu = nic->mtu < 65535 ? nic->mtu : 65535;
	if (attach->mtu > nic->mtu)
		return refuse(e, "vNIC %u: MTU %u is more than the %u of \"%s\"", attach->vnic, attach->mtu, nic->mtu, nic->name);
	return 0;
}

static int open_shared(struct engine *engine, struct port_shared *s, struct europa_attach *attach, struct error *e)
{
	int r = rule_parse(attach->rule, &s->rule, e);

	if (r < 0)
		return context(e, "vNIC %u", attach->vnic);
	r = nic_get(engine, s->port.member->netns, attach->device, &s->nic, e);
	if (r < 0)
		return context(e, "vNIC %u", attach->vnic);
	r = check_mtu(s->nic, attach, e);
	if (r == 0)
		r = join(s, attach, e);
	if (r < 0) {
		engine_lock(engine);
		s->last = nic_put(s->nic);
		engine_unlock(engine);
	}
	return r;
}

int port_shared_open(struct engine *engine, struct member *member, struct europa_attach *attach,
		     struct port **port, struct error *e)
{
	struct port_shared *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return fail(e, ENOMEM, "vNIC %u", attach->vnic);
	s->port = (struct port){ .ops = &ops, .member = member, .vnic = attach->vnic, .fd = -1 };
	r = open_shared(engine, s, attach, e);
	if (r < 0) {
		shared_destroy(&s->port);
		return r;
	}
	s->port.up = s->nic->up;
	*port = &s->port;
	return 0;
}

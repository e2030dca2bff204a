// SPDX-License-Identifier: GPL-2.0
/* A vNIC on a NIC that it shares with others, by a rule. */
#include <linux/err.h>
#include <linux/netdevice.h>
#include <linux/slab.h>

#include "nic.h"
#include "port.h"
#include "report.h"
#include "rules.h"

struct port_shared {
	struct port port;
	struct nic *nic;
	struct rule rule;
};

static struct port_shared *shared_of(struct port *port)
{
	return container_of(port, struct port_shared, port);
}

static void shared_send(struct port *port, const struct tx_frame *const *frames, unsigned int n)
{
	nic_send(shared_of(port)->nic, port, frames, n);
}

static void shared_close(struct port *port, struct list_head *dying)
{
	struct port_shared *s = shared_of(port);

	nic_leave(s->nic, port, &s->rule);
	nic_put(s->nic);
	if (s->rule.kind == RULE_FILTER)
		synchronize_net();
	rule_release(&s->rule);
	kfree_rcu(port, rcu);
}

static const struct port_ops ops = { .send = shared_send, .close = shared_close };

static int check_mtu(const struct port_shared *s, struct europa_attach *attach, struct report *report)
{
	const struct net_device *dev = nic_device(s->nic);

	if (!attach->mtu)
		attach->mtu = min(dev->mtu, 65535u);
	if (attach->mtu > dev->mtu)
		return fail(report, EINVAL, "vNIC %u: MTU %u is more than the %u of \"%s\"", attach->vnic, attach->mtu, dev->mtu,
			    dev->name);
	return 0;
}

static int join(struct port_shared *s, const struct europa_attach *attach, struct report *report)
{
	int r = nic_join(s->nic, &s->port, &s->rule);

	if (r == -EEXIST)
		return fail(report, EINVAL, "vNIC %u: another vNIC of \"%s\" has the rule \"%s\", or the same MAC address, already",
			    attach->vnic, nic_device(s->nic)->name, attach->rule[0] ? attach->rule : "mac");
	if (r == -ENOSPC)
		return fail(report, EINVAL, "vNIC %u: \"%s\" has %d vNICs already, which is the most", attach->vnic,
			    nic_device(s->nic)->name, CLASSIFY_MAX_TARGETS);
	return r < 0 ? fail(report, -r, "vNIC %u: rule \"%s\": errno %d", attach->vnic, attach->rule, -r) : 0;
}

int port_shared_open(struct member *m, struct europa_attach *attach, const struct rule *rule, struct report *report)
{
	struct port_shared *s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	int r;

	if (!s)
		return fail(report, ENOMEM, "no memory for vNIC %u", attach->vnic);
	s->port.ops = &ops;
	s->port.member = m;
	s->port.vnic = attach->vnic;
	s->rule = *rule;
	s->nic = nic_get(m, attach->device, report);
	if (IS_ERR(s->nic)) {
		r = PTR_ERR(s->nic);
		goto free;
	}
	memcpy(s->rule.mac, attach->mac, sizeof(s->rule.mac));
	r = check_mtu(s, attach, report);
	if (r == 0)
		r = join(s, attach, report);
	if (r < 0)
		goto put_nic;
	port_publish(&s->port, attach);
	port_set_up(&s->port, nic_up(s->nic));
	return 0;

put_nic:
	nic_put(s->nic);
free:
	kfree(s);
	return r;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Frames that come in at a shared NIC are looked at in its rx_handler: who is told by the classifier gets a copy;
 * what is addressed to one vNIC ends there, what is addressed to a group goes on to the host as well, and what nobody
 * wants is the host's alone.
 *
 * The classifier and the table of ports are read by any number of CPUs at once, and changed rarely: whoever changes
 * them makes new ones from the list of rules, and the old ones go after a grace period.
 */
#include "nic.h"

#include <linux/err.h>
#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "packet.h"
#include "recycle.h"
#include "report.h"
#include "rules.h"

#define LOOK_MAX 128u           /* bytes of a frame that a rule may need */
#define MACS 1024               /* places for the addresses of the vNICs: a hash table a quarter full at most */

struct view {
	struct rcu_head rcu;
	struct classifier *classifier;
	unsigned int filters, others;   /* among the rules: filters, and all but addresses */
	struct port *targets[CLASSIFY_MAX_TARGETS];
	u64 macs[MACS];                 /* address << 16 | target + 1, 0: nothing */
	unsigned long memory[];         /* the classifier's */
};

struct nic {
	struct list_head list;
	struct rcu_head rcu;
	struct net_device *dev;
	netdevice_tracker tracker;
	struct view __rcu *view;
	struct port *targets[CLASSIFY_MAX_TARGETS];
	struct rule rules[CLASSIFY_MAX_TARGETS];
	unsigned int users;
	bool up;
};

static LIST_HEAD(nics);

static rx_handler_result_t handle_frame(struct sk_buff **pskb);

/* ---- the view ---- */

/* As a number to compare and to hash, whichever way round. */
static u64 mac_number(const u8 *mac)
{
	return get_unaligned((const u32 *)mac) | (u64)get_unaligned((const u16 *)(mac + 4)) << 32;
}

static u32 mac_place(u64 address)
{
	return (u32)(address * 0x9e3779b97f4a7c15ull >> 54);
}

/* The entry of a vNIC's address, or 0. */
static u64 find_mac(const struct view *view, const u8 *mac)
{
	u64 address = mac_number(mac);
	u32 at;

	for (at = mac_place(address); view->macs[at]; at = (at + 1) % MACS) {
		if (view->macs[at] >> 16 == address)
			return view->macs[at];
	}
	return 0;
}

static void put_mac(struct view *view, const struct rule *rule)
{
	u64 address = mac_number(rule->mac);
	u32 at = mac_place(address);

	while (view->macs[at])
		at = (at + 1) % MACS;
	view->macs[at] = address << 16 | (rule->target + 1);
}

static int fill_view(struct view *view, const struct nic *nic)
{
	unsigned int i;

	for (i = 0; i < CLASSIFY_MAX_TARGETS; i++) {
		int r;

		if (!nic->targets[i])
			continue;
		r = classifier_add(view->classifier, &nic->rules[i]);
		if (r < 0)
			return r;
		put_mac(view, &nic->rules[i]);
		view->filters += nic->rules[i].kind == RULE_FILTER;
		view->others += nic->rules[i].kind != RULE_MAC;
		view->targets[i] = nic->targets[i];
	}
	return 0;
}

/* What is in nic->targets and nic->rules is in force when this returns 0; else nothing has changed. */
static int renew_view(struct nic *nic, gfp_t gfp)
{
	struct view *old = rtnl_dereference(nic->view);
	struct view *view = kvzalloc(sizeof(*view) + classifier_memory(), gfp);
	int r;

	if (!view)
		return -ENOMEM;
	view->classifier = classifier_init(view->memory, rule_run_filter);
	r = fill_view(view, nic);
	if (r < 0) {
		kvfree(view);
		return r;
	}
	rcu_assign_pointer(nic->view, view);
	if (old)
		kvfree_rcu(old, rcu);
	return 0;
}

/* ---- life ---- */

static struct nic *find_nic(const struct net_device *dev)
{
	struct nic *nic;

	list_for_each_entry(nic, &nics, list) {
		if (nic->dev == dev)
			return nic;
	}
	return NULL;
}

static bool device_is_up(const struct net_device *dev)
{
	return netif_running(dev) && netif_carrier_ok(dev);
}

static struct nic *make_nic(struct net_device *dev, struct report *report)
{
	struct nic *nic = kvzalloc(sizeof(*nic), GFP_KERNEL_ACCOUNT);
	int r;

	if (!nic || renew_view(nic, GFP_KERNEL_ACCOUNT) < 0) {
		kvfree(nic);
		return ERR_PTR(fail(report, ENOMEM, "no memory for device \"%s\"", dev->name));
	}
	nic->dev = dev;
	nic->up = device_is_up(dev);
	r = netdev_rx_handler_register(dev, handle_frame, nic);
	if (r < 0) {
		kvfree(rtnl_dereference(nic->view));
		kvfree(nic);
		return ERR_PTR(fail(report, -r, "device \"%s\" can't be shared: somebody else takes its frames (a bridge, a bond, macvlan?)",
				    dev->name));
	}
	/* What a NIC has put together of several packets can't be forwarded as one. GRO's can. */
	dev_disable_lro(dev);
	dev_set_promiscuity(dev, 1);
	netdev_hold(dev, &nic->tracker, GFP_KERNEL);
	list_add_tail(&nic->list, &nics);
	return nic;
}

struct nic *nic_get(struct member *m, const char *device, struct report *report)
{
	struct net_device *dev = __dev_get_by_name(m->net, device);
	struct nic *nic;

	if (!dev)
		return ERR_PTR(fail(report, ENODEV, "there is no device \"%s\" to share", device));
	if (dev->type != ARPHRD_ETHER || (dev->flags & IFF_LOOPBACK))
		return ERR_PTR(fail(report, EINVAL, "device \"%s\" is no Ethernet device", device));
	nic = find_nic(dev);
	if (!nic)
		nic = make_nic(dev, report);
	if (!IS_ERR(nic))
		nic->users++;
	return nic;
}

/* netdev_rx_handler_unregister waits until nobody is in handle_frame; workers in nic_send have it until the grace period is over. */
void nic_put(struct nic *nic)
{
	struct view *view;

	if (--nic->users)
		return;
	list_del(&nic->list);
	netdev_rx_handler_unregister(nic->dev);
	dev_set_promiscuity(nic->dev, -1);
	view = rtnl_dereference(nic->view);
	synchronize_net();
	netdev_put(nic->dev, &nic->tracker);
	kvfree(view);
	kvfree(nic);
}

struct net_device *nic_device(const struct nic *nic)
{
	return nic->dev;
}

bool nic_up(const struct nic *nic)
{
	return nic->up;
}

int nic_join(struct nic *nic, struct port *port, struct rule *rule)
{
	unsigned int i;
	int r;

	for (i = 0; i < CLASSIFY_MAX_TARGETS && nic->targets[i]; i++)
		;
	if (i == CLASSIFY_MAX_TARGETS)
		return -ENOSPC;
	rule->target = i;
	nic->rules[i] = *rule;
	nic->targets[i] = port;
	r = renew_view(nic, GFP_KERNEL_ACCOUNT);
	if (r < 0)
		nic->targets[i] = NULL;
	return r;
}

/* Leaving can't fail: a view that still names the port would outlive it. */
void nic_leave(struct nic *nic, struct port *port, const struct rule *rule)
{
	nic->targets[rule->target] = NULL;
	WARN_ON_ONCE(renew_view(nic, GFP_KERNEL | __GFP_NOFAIL) < 0);
}

/* ---- receive ---- */

static u32 look(const struct view *view, struct sk_buff *skb, int tci, u16 *targets)
{
	u8 bytes[LOOK_MAX] __uninitialized;
	u32 len = min(skb->len, LOOK_MAX);
	const u8 *frame = skb_header_pointer(skb, 0, len, bytes);

	return frame ? classify(view->classifier, frame, len, skb, tci, targets) : 0;
}

/* No memory to look at a frame: nobody knows whose it would have been, so the device counts it. */
static void count_unseen(struct net_device *dev)
{
	dev_core_stats_rx_dropped_inc(dev);
}

/* A filter is written for frames as they are on the wire: with their tag. */
static u32 look_at_tagged(const struct view *view, struct sk_buff *skb, u16 *targets)
{
	struct sk_buff *whole = skb_clone(skb, GFP_ATOMIC);
	u32 n;

	if (whole)
		whole = __vlan_hwaccel_push_inside(whole);
	if (!whole) {
		count_unseen(skb->dev);
		return 0;
	}
	n = look(view, whole, -1, targets);
	consume_skb(whole);
	return n;
}

static u32 whose(const struct view *view, struct sk_buff *skb, u16 *targets)
{
	if (likely(!skb_vlan_tag_present(skb)))
		return look(view, skb, -1, targets);
	if (view->filters)
		return look_at_tagged(view, skb, targets);
	return look(view, skb, skb_vlan_tag_get(skb), targets);
}

/* What became of a frame, the better the later. */
enum fate {
	NOBODYS,
	LOST,           /* somebody wanted it, and nobody had room */
	DELIVERED,
};

static enum fate deliver_to(const struct view *view, u32 target, struct sk_buff *skb, const struct port *but)
{
	struct port *port = READ_ONCE(view->targets[target]);

	if (!port || port == but)
		return NOBODYS;
	return likely(packet_deliver_any(port, skb)) ? DELIVERED : LOST;
}

static enum fate deliver(const struct view *view, struct sk_buff *skb, const struct port *but)
{
	u16 targets[CLASSIFY_MAX_TARGETS] __uninitialized;
	u32 i, n = whose(view, skb, targets);
	enum fate fate = NOBODYS;

	for (i = 0; i < n; i++)
		fate = max(fate, deliver_to(view, targets[i], skb, but));
	return fate;
}

/* The same for a frame that is addressed to one. Mostly all rules are addresses: then one look is enough. */
static enum fate deliver_unicast(const struct view *view, struct sk_buff *skb, const struct port *but)
{
	u64 entry;

	if (unlikely(view->others))
		return deliver(view, skb, but);
	entry = find_mac(view, skb->data);
	return entry ? deliver_to(view, (u16)entry - 1, skb, but) : NOBODYS;
}

/* For who looks for lost packets, a frame that nobody got has not been consumed. */
static void end_frame(struct sk_buff *skb, enum fate fate)
{
	if (likely(fate == DELIVERED))
		recycle_put(skb);
	else
		kfree_skb(skb);
}

static rx_handler_result_t handle_frame(struct sk_buff **pskb)
{
	struct net_device *dev = (*pskb)->dev;
	struct nic *nic = rcu_dereference(dev->rx_handler_data);
	enum fate fate = NOBODYS;
	const struct view *view;
	struct sk_buff *skb;

	/* The host's own multicast, on its way back to the host: it never was on the wire, and has no Ethernet header. */
	if (unlikely((*pskb)->pkt_type == PACKET_LOOPBACK))
		return RX_HANDLER_PASS;
	skb = skb_share_check(*pskb, GFP_ATOMIC);
	if (unlikely(!skb)) {
		count_unseen(dev);
		return RX_HANDLER_CONSUMED;
	}
	*pskb = skb;
	__skb_push(skb, ETH_HLEN);
	view = rcu_dereference(nic->view);
	if (unlikely(is_multicast_ether_addr(skb->data)))
		deliver(view, skb, NULL);
	else
		fate = deliver_unicast(view, skb, NULL);
	if (fate == NOBODYS) {
		__skb_pull(skb, ETH_HLEN);
		return RX_HANDLER_PASS;
	}
	end_frame(skb, fate);
	return RX_HANDLER_CONSUMED;
}

/* ---- send ---- */

/*
 * As macvlan's bridge mode: what is addressed to another vNIC of the NIC goes there and not to the wire, what is
 * addressed to a group goes to both. The sk_buff is a private copy: the VR can't change what has been looked at.
 */
static void send_one(const struct nic *nic, const struct view *view, struct port *from, struct sk_buff *skb)
{
	bool group = is_multicast_ether_addr(skb->data), local = find_mac(view, skb->data);
	enum fate fate = NOBODYS;
	int r;

	if (group || local)
		fate = deliver(view, skb, from);
	if (local) {
		end_frame(skb, fate);
		return;
	}
	r = dev_queue_xmit(skb);
	if (unlikely(net_xmit_eval(r)))
		port_drop(from, EUROPA_DROP_TX_FULL, 1);
}

void nic_send(struct nic *nic, struct port *from, const struct tx_frame *const *frames, unsigned int n)
{
	const struct view *view = rcu_dereference(nic->view);
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct sk_buff *skb = packet_build(from, frames[i], nic->dev);

		if (likely(skb))
			send_one(nic, view, from, skb);
	}
}

/* ---- what happens to devices ---- */

static void set_up(struct nic *nic, bool up)
{
	unsigned int i;

	nic->up = up;
	for (i = 0; i < CLASSIFY_MAX_TARGETS; i++) {
		if (nic->targets[i])
			port_set_up(nic->targets[i], up);
	}
}

/* What doesn't fit any more must not reach the driver. A larger MTU stays the host's: the VR was told another one. */
static void limit_mtu(struct nic *nic)
{
	unsigned int i, mtu = min(nic->dev->mtu, 65535u);

	for (i = 0; i < CLASSIFY_MAX_TARGETS; i++) {
		struct port *port = nic->targets[i];
		struct europa_vnic *vnic = port ? &port->member->vr.vnics[port->vnic] : NULL;

		if (vnic && READ_ONCE(vnic->mtu) > mtu)
			WRITE_ONCE(vnic->mtu, mtu);
	}
}

/* The device goes, and every vNIC on it is detached at once; the last one takes the nic with it. */
static void device_gone(struct nic *nic)
{
	LIST_HEAD(dying);
	unsigned int i, left = nic->users;

	for (i = 0; i < CLASSIFY_MAX_TARGETS && left; i++) {
		struct port *port = nic->targets[i];
		struct member *m;
		unsigned int vnic;

		if (!port)
			continue;
		left--;
		m = port->member;
		vnic = port->vnic;
		member_detach(m, vnic, &dying);
		m->lost |= 1u << vnic;
	}
}

static int notice(struct notifier_block *block, unsigned long event, void *data)
{
	struct net_device *dev = netdev_notifier_info_to_dev(data);
	struct nic *nic = find_nic(dev);

	if (!nic)
		return NOTIFY_DONE;
	switch (event) {
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		set_up(nic, device_is_up(dev));
		break;
	case NETDEV_CHANGEMTU:
		limit_mtu(nic);
		break;
	case NETDEV_UNREGISTER:
		device_gone(nic);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = notice };

int nic_init(void)
{
	return register_netdevice_notifier(&notifier);
}

void nic_exit(void)
{
	unregister_netdevice_notifier(&notifier);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * A net device of the vNIC's own, as one end of a cable whose other end is in the VR: what the host sends by it the
 * VR receives, and the other way round. Every tool of Linux can use it: a bridge, a namespace, tc, tcpdump.
 *
 * The port is the device's private part and ends with it. A device that is removed by somebody else (ip link del, the
 * end of its namespace) takes itself out of ports[] in ndo_uninit. Its queue is stopped in ndo_stop: for senders that
 * pass by the qdisc (PACKET_QDISC_BYPASS) that is all that they look at with softirqs off. Unregistering then waits for
 * whoever is in ndo_start_xmit, before ndo_uninit, and frees after another grace period, so that the worker, which
 * finds ports under RCU, is done with it as well.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <net/rtnetlink.h>

#include "compat.h"
#include "core/drop.h"
#include "core/name.h"
#include "packet.h"
#include "port.h"
#include "recycle.h"
#include "report.h"

#define KIND "europa"

struct port_device {
	struct port port;
	struct net_device *dev;
};

static struct port_device *device_of(struct port *port)
{
	return container_of(port, struct port_device, port);
}

/* ---- frames ---- */

static netdev_tx_t device_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct port_device *d = netdev_priv(dev);
	unsigned int len = skb->len;

	if (likely(packet_deliver(&d->port, skb, !netdev_xmit_more()))) {
		dev_sw_netstats_tx_add(dev, 1, len);
		skb_tx_timestamp(skb);
		recycle_put(skb);
	} else {
		dev_core_stats_tx_dropped_inc(dev);
		kfree_skb(skb);
	}
	return NETDEV_TX_OK;
}

static void device_send(struct port *port, const struct tx_frame *const *frames, unsigned int n)
{
	struct net_device *dev = device_of(port)->dev;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct sk_buff *skb = packet_build(port, frames[i], dev);

		if (unlikely(!skb))
			continue;
		dev_sw_netstats_rx_add(dev, skb->len);
		skb->protocol = eth_type_trans(skb, dev);
		list_add_tail(&skb->list, &port->member->ready);
	}
}

static netdev_features_t device_features_check(struct sk_buff *skb, struct net_device *dev, netdev_features_t features)
{
	return packet_features(skb, features);
}

static void device_close(struct port *port, struct list_head *dying)
{
	unregister_netdevice_queue(device_of(port)->dev, dying);
}

static const struct port_ops ops = { .send = device_send, .close = device_close };

/* ---- the device ---- */

static int device_init(struct net_device *dev)
{
	dev->tstats = netdev_alloc_pcpu_stats(struct pcpu_sw_netstats);
	return dev->tstats ? 0 : -ENOMEM;
}

static void device_uninit(struct net_device *dev)
{
	struct port_device *d = netdev_priv(dev);

	if (rtnl_dereference(d->port.member->ports[d->port.vnic]) == &d->port) {
		port_withdraw(&d->port);
		d->port.member->lost |= 1u << d->port.vnic;
	}
	free_percpu(dev->tstats);
}

static int device_open(struct net_device *dev)
{
	struct port_device *d = netdev_priv(dev);

	netif_carrier_on(dev);
	netif_tx_start_all_queues(dev);
	port_set_up(&d->port, true);
	return 0;
}

static int device_stop(struct net_device *dev)
{
	struct port_device *d = netdev_priv(dev);

	netif_tx_stop_all_queues(dev);
	port_set_up(&d->port, false);
	return 0;
}

/* Whoever sets the device's MTU means the cable's. */
static int device_change_mtu(struct net_device *dev, int mtu)
{
	struct port_device *d = netdev_priv(dev);

	WRITE_ONCE(dev->mtu, mtu);
	WRITE_ONCE(d->port.member->vr.vnics[d->port.vnic].mtu, mtu);
	return 0;
}

static const struct net_device_ops netdev_ops = {
	.ndo_init               = device_init,
	.ndo_uninit             = device_uninit,
	.ndo_open               = device_open,
	.ndo_stop               = device_stop,
	.ndo_start_xmit         = device_xmit,
	.ndo_get_stats64        = dev_get_tstats64,
	.ndo_change_mtu         = device_change_mtu,
	.ndo_set_mac_address    = eth_mac_addr,
	.ndo_validate_addr      = eth_validate_addr,
	.ndo_features_check     = device_features_check,
};

/* ---- ethtool ---- */

static const char *const vnic_counters[] = {
	"vr_rx_packets", "vr_rx_bytes", "vr_tx_packets", "vr_tx_bytes", "vr_rx_batches", "vr_tx_batches", "vr_wakeups",
};

/* Of the VR's worker, whichever of its vNICs is asked. */
static const struct {
	const char *name;
	size_t at;                      /* in struct member */
} worker_counters[] = {
	{ "worker_spins",       offsetof(struct member, spins) },
	{ "worker_pages_new",   offsetof(struct member, pages_new) },
	{ "worker_pages_again", offsetof(struct member, pages_again) },
};

#define COUNTERS ARRAY_SIZE(vnic_counters)
#define WORKER_COUNTERS ARRAY_SIZE(worker_counters)

static int get_sset_count(struct net_device *dev, int set)
{
	return set == ETH_SS_STATS ? COUNTERS + EUROPA_DROPS + WORKER_COUNTERS : -EOPNOTSUPP;
}

static void get_strings(struct net_device *dev, u32 set, u8 *names)
{
	unsigned int i;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < COUNTERS; i++)
		ethtool_sprintf(&names, "%s", vnic_counters[i]);
	for (i = 0; i < EUROPA_DROPS; i++)
		ethtool_sprintf(&names, "drop_%s", europa_drop_names[i]);
	for (i = 0; i < WORKER_COUNTERS; i++)
		ethtool_sprintf(&names, "%s", worker_counters[i].name);
}

/* The counters of struct europa_vnic_stats stand in this order. */
static void get_ethtool_stats(struct net_device *dev, struct ethtool_stats *stats, u64 *values)
{
	struct port_device *d = netdev_priv(dev);
	const struct member *m = d->port.member;
	const struct europa_vnic_stats *s = &m->vr.vnic_stats[d->port.vnic];
	const u64 *counters = &s->rx_packets;
	unsigned int i;

	BUILD_BUG_ON(offsetof(struct europa_vnic_stats, wakeups) != 8 * (COUNTERS - 1));
	for (i = 0; i < COUNTERS; i++)
		*values++ = READ_ONCE(counters[i]);
	for (i = 0; i < EUROPA_DROPS; i++)
		*values++ = READ_ONCE(s->drops[i]);
	for (i = 0; i < WORKER_COUNTERS; i++)
		*values++ = READ_ONCE(*(const u64 *)((const u8 *)m + worker_counters[i].at));
}

static void get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	struct port_device *d = netdev_priv(dev);

	strscpy(info->driver, KIND, sizeof(info->driver));
	strscpy(info->version, EUROPA_VERSION, sizeof(info->version));
	/* Whose: there is room for the beginning of a name. */
	snprintf(info->bus_info, sizeof(info->bus_info), "%.24s:%u", d->port.member->name, d->port.vnic);
}

static int get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *settings)
{
	settings->base.speed = SPEED_10000;
	settings->base.duplex = DUPLEX_FULL;
	settings->base.port = PORT_NONE;
	settings->base.autoneg = AUTONEG_DISABLE;
	return 0;
}

static const struct ethtool_ops ethtool_ops = {
	.get_link               = ethtool_op_get_link,
	.get_sset_count         = get_sset_count,
	.get_strings            = get_strings,
	.get_ethtool_stats      = get_ethtool_stats,
	.get_drvinfo            = get_drvinfo,
	.get_link_ksettings     = get_link_ksettings,
	.get_ts_info            = ethtool_op_get_ts_info,
};

/* ---- making it ---- */

/* Without .setup nobody but the module makes one; what ip-link(8) can do is look at it and remove it. */
static struct rtnl_link_ops link_ops __read_mostly = {
	.kind = KIND,
	.dellink = unregister_netdevice_queue,
};

static void device_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &netdev_ops;
	dev->ethtool_ops = &ethtool_ops;
	dev->rtnl_link_ops = &link_ops;
	dev->needs_free_netdev = true;
	/* No netpoll: it would transmit in hard interrupts, where a member's lock may not be taken. */
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE | IFF_NO_QUEUE | IFF_DISABLE_NETPOLL;
	dev->tx_queue_len = 0;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = ETH_MAX_MTU;
	compat_set_lockless(dev);
	dev->features |= PACKET_FEATURES | NETIF_F_HW_VLAN_CTAG_RX | NETIF_F_HW_VLAN_STAG_RX;
	dev->hw_features |= NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM | NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_TSO_ECN;
	dev->vlan_features |= dev->hw_features | NETIF_F_HIGHDMA;
	dev->hw_enc_features |= NETIF_F_SG | NETIF_F_HW_CSUM;
}

static struct net_device *make_device(struct member *m, const struct europa_attach *attach)
{
	struct net_device *dev;
	struct port_device *d;
	u8 mac[ETH_ALEN];

	dev = alloc_netdev(sizeof(*d), attach->device, NET_NAME_USER, device_setup);
	if (!dev)
		return NULL;
	d = netdev_priv(dev);
	d->dev = dev;
	d->port.ops = &ops;
	d->port.member = m;
	d->port.vnic = attach->vnic;
	dev_net_set(dev, m->net);
	port_choose_mac(m, attach->vnic, NAME_ADDRESS_DEVICE, mac);
	eth_hw_addr_set(dev, mac);
	dev->mtu = attach->mtu;
	/* Without runs a VR has nowhere to put a super-packet. */
	if (!m->vr.geo.nruns)
		dev->features &= ~NETIF_F_ALL_TSO, dev->hw_features &= ~NETIF_F_ALL_TSO;
	return dev;
}

static void choose_name(const struct member *m, struct europa_attach *attach)
{
	u32 turn = 0;

	while (name_device(m->name, attach->vnic, turn++, attach->device) && __dev_get_by_name(m->net, attach->device))
		;
}

int port_device_open(struct member *m, struct europa_attach *attach, struct report *report)
{
	struct net_device *dev;
	int r;

	if (!attach->device[0])
		choose_name(m, attach);
	dev = make_device(m, attach);
	if (!dev)
		return fail(report, ENOMEM, "no memory for vNIC %u", attach->vnic);
	r = register_netdevice(dev);
	if (r < 0) {
		fail(report, -r, "cannot make device \"%s\" for vNIC %u with MTU %u: errno %d", attach->device, attach->vnic,
		     attach->mtu, -r);
		free_netdev(dev);
		return r;
	}
	port_publish(&((struct port_device *)netdev_priv(dev))->port, attach);
	netif_carrier_on(dev);
	r = dev_open(dev, NULL);
	if (r < 0)
		netdev_warn(dev, "cannot be opened: errno %d\n", -r);
	return 0;
}

int port_device_init(void)
{
	return rtnl_link_register(&link_ops);
}

void port_device_exit(void)
{
	rtnl_link_unregister(&link_ops);
}

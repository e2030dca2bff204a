// SPDX-License-Identifier: GPL-2.0
/*
 * A sender that passes by the qdisc and is late: it has seen the device running, which is when the module is loaded, and comes to
 * transmit when the module is unloaded. From __dev_direct_xmit() in net/core/dev.c, which a kernel that preempts may stop at just that point.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/net_namespace.h>

static char *device = "";
module_param(device, charp, 0);

static struct net_device *dev;
static struct sk_buff *skb;

static int __init late_init(void)
{
	dev = dev_get_by_name(&init_net, device);
	if (!dev)
		return -ENODEV;
	skb = netif_running(dev) ? alloc_skb(ETH_ZLEN, GFP_KERNEL) : NULL;
	if (!skb) {
		dev_put(dev);
		return -ENETDOWN;
	}
	skb_put_zero(skb, ETH_ZLEN);
	skb->dev = dev;
	return 0;
}

static void __exit late_exit(void)
{
	struct netdev_queue *queue = skb_get_tx_queue(dev, skb);
	int r = NETDEV_TX_BUSY;

	local_bh_disable();
	HARD_TX_LOCK(dev, queue, smp_processor_id());
	if (!netif_xmit_frozen_or_drv_stopped(queue))
		r = netdev_start_xmit(skb, dev, queue, false);
	HARD_TX_UNLOCK(dev, queue);
	local_bh_enable();
	if (r == NETDEV_TX_BUSY)
		kfree_skb(skb);
	dev_put(dev);
}

module_init(late_init);
module_exit(late_exit);

MODULE_LICENSE("GPL");

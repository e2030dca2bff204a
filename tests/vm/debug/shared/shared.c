// SPDX-License-Identifier: GPL-2.0
/*
 * A frame to everybody comes in at a device while somebody else holds its sk_buff too, as the kernel's packet generator does it to its
 * receivers. Once, when the module is loaded, which then says ECANCELED and is gone.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/net_namespace.h>

static char *device = "";
module_param(device, charp, 0);

static struct sk_buff *make_frame(struct net_device *dev)
{
	struct sk_buff *skb = alloc_skb(ETH_ZLEN, GFP_KERNEL);

	if (skb) {
		struct ethhdr *eth = skb_put(skb, ETH_ZLEN);

		memset(eth, 0xff, ETH_ZLEN);
		eth->h_proto = htons(ETH_P_IP);         /* the host takes what goes on to it, and doesn't count it as dropped */
		skb->protocol = eth_type_trans(skb, dev);
	}
	return skb;
}

static int __init shared_init(void)
{
	struct net_device *dev = dev_get_by_name(&init_net, device);
	struct sk_buff *skb = dev ? make_frame(dev) : NULL;

	if (skb) {
		local_bh_disable();
		netif_receive_skb(skb_get(skb));
		local_bh_enable();
		kfree_skb(skb);
	}
	dev_put(dev);
	return skb ? -ECANCELED : -ENODEV;
}
module_init(shared_init);

MODULE_LICENSE("GPL");

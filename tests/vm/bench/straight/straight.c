// SPDX-License-Identifier: GPL-2.0
/*
 * What the measurements need in the kernel: the least that forwards, a NIC for the routers' frames to come in at, and where they end.
 *
 *	insmod straight.ko links=IN:OUT,IN=NIC,IN:,...
 *
 * IN:OUT  an rx_handler gives each frame, as it is, to OUT. What a forwarder in the kernel can't be faster than.
 * IN=NIC  frames come in at NIC as if they were its own, in batches, each in an sk_buff that nobody else has: pktgen keeps hold of
 *         what it sends, and the kernel would make a copy of each before it changes it.
 * IN:     dropped.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>

#define LINKS 16
#define BATCH 64        /* NAPI_POLL_WEIGHT */

static char *links[LINKS];
static int nlinks;
module_param_array(links, charp, &nlinks, 0);
MODULE_PARM_DESC(links, "IN:OUT to forward, IN=NIC to come in there, IN: to drop; by commas");

static struct link {
	struct net_device *in, *out;
	struct list_head batch;
	unsigned int count;
} table[LINKS];

static rx_handler_result_t forward(struct sk_buff **pskb)
{
	struct link *link = rcu_dereference((*pskb)->dev->rx_handler_data);
	struct sk_buff *skb = skb_share_check(*pskb, GFP_ATOMIC);

	if (unlikely(!skb))
		return RX_HANDLER_CONSUMED;
	skb_push(skb, ETH_HLEN);
	skb->dev = link->out;
	dev_queue_xmit(skb);
	return RX_HANDLER_CONSUMED;
}

/* One CPU, softirqs off: the batch needs no lock. */
static rx_handler_result_t come_in(struct sk_buff **pskb)
{
	struct link *link = rcu_dereference((*pskb)->dev->rx_handler_data);
	unsigned int len = (*pskb)->len + ETH_HLEN;
	struct sk_buff *skb = netdev_alloc_skb(link->out, len);

	if (likely(skb)) {
		skb_copy_bits(*pskb, -ETH_HLEN, skb_put(skb, len), len);
		skb->protocol = eth_type_trans(skb, link->out);
		list_add_tail(&skb->list, &link->batch);
		link->count++;
	}
	consume_skb(*pskb);
	if (link->count == BATCH) {
		LIST_HEAD(batch);

		list_splice_init(&link->batch, &batch);
		link->count = 0;
		netif_receive_skb_list(&batch);
	}
	return RX_HANDLER_CONSUMED;
}

static rx_handler_result_t drop(struct sk_buff **pskb)
{
	consume_skb(*pskb);
	return RX_HANDLER_CONSUMED;
}

static void unlink_one(struct link *link)
{
	struct sk_buff *skb, *next;

	if (!link->in)
		return;
	rtnl_lock();
	netdev_rx_handler_unregister(link->in);
	rtnl_unlock();
	list_for_each_entry_safe(skb, next, &link->batch, list)
		kfree_skb(skb);
	dev_put(link->in);
	dev_put(link->out);
}

static void unlink_all(void)
{
	int i;

	for (i = 0; i < nlinks; i++)
		unlink_one(&table[i]);
}

/* `text` is taken apart. */
static int link_one(struct link *link, char *text)
{
	size_t at = strcspn(text, ":=");
	rx_handler_func_t *handler = text[at] == '=' ? come_in : text[at] && text[at + 1] ? forward : drop;
	struct net_device *in, *out = NULL;
	int r = -ENODEV;

	if (!text[at])
		return -EINVAL;
	text[at] = '\0';
	in = dev_get_by_name(&init_net, text);
	if (handler != drop)
		out = dev_get_by_name(&init_net, text + at + 1);
	if (in && (out || handler == drop)) {
		INIT_LIST_HEAD(&link->batch);
		link->out = out;
		rtnl_lock();
		r = netdev_rx_handler_register(in, handler, link);
		rtnl_unlock();
	}
	if (r < 0) {
		pr_err("straight: \"%s\" to \"%s\": errno %d\n", text, text + at + 1, -r);
		dev_put(in);
		dev_put(out);
		return r;
	}
	link->in = in;
	return 0;
}

static int __init straight_init(void)
{
	int i, r = 0;

	for (i = 0; i < nlinks && r == 0; i++)
		r = link_one(&table[i], links[i]);
	if (r < 0)
		unlink_all();
	return r;
}

module_init(straight_init);
module_exit(unlink_all);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("frames from one device straight to another");

/* SPDX-License-Identifier: GPL-2.0 */
/* Between sk_buff and slot: the only place that knows both. One copy each way, offloads kept. */
#ifndef EUROPA_PACKET_H
#define EUROPA_PACKET_H

#include <linux/skbuff.h>

#include "port.h"

struct net_device;

/* What a slot's metadata can say of an sk_buff; whatever else a frame wants done is done before it is delivered. */
#define PACKET_FEATURES (NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HIGHDMA | NETIF_F_HW_CSUM | NETIF_F_TSO | NETIF_F_TSO6 | \
			 NETIF_F_TSO_ECN | NETIF_F_HW_VLAN_CTAG_TX | NETIF_F_HW_VLAN_STAG_TX)

/*
 * Less, where a NIC has put the frame together from packets whose checksums it has looked at: of a super-packet a slot can only say that they are
 * still to be made.
 */
static inline netdev_features_t packet_features(const struct sk_buff *skb, netdev_features_t features)
{
	return skb_is_gso(skb) && skb->ip_summed == CHECKSUM_UNNECESSARY ? features & ~NETIF_F_GSO_MASK : features;
}

/*
 * One frame to the VR behind the port, if it takes it; skb->data is its Ethernet header, and it stays the caller's.
 * `flush`: nothing follows at once, so it is published now. Softirqs off.
 */
bool packet_deliver(struct port *port, struct sk_buff *skb, bool flush);
/* The same for a frame that may want segmenting first. true: at least one segment was taken. */
bool packet_deliver_any(struct port *port, struct sk_buff *skb);

/*
 * A frame of the VR as a fresh sk_buff, whose data is the Ethernet header; nothing of it is the VR's memory any more.
 * NULL: counted as a drop. Softirqs off.
 */
struct sk_buff *packet_build(struct port *port, const struct tx_frame *frame, struct net_device *dev);

/* The pages that long frames were sent in. The worker has ended. */
void packet_free_pages(struct member *m);

#endif

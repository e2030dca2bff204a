// SPDX-License-Identifier: GPL-2.0
#include "packet.h"

#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/skbuff.h>
#include <linux/virtio_net.h>

#include "compat.h"
#include "recycle.h"
#include "trace.h"

#define HEADROOM        256u            /* for tunnels, and whatever the frame meets on its way */
#define LINEAR          256u            /* bytes of a long frame that are in one piece: all headers are */
#define LONG_PAGE       (PAGE_SIZE << PAGE_ALLOC_COSTLY_ORDER)

/* ---- in: from sk_buff to slot ---- */

/*
 * The outermost VLAN tag goes into the metadata, where the stack has it mostly already. Bytes of a tag that stands in
 * the frame, after the two addresses: 4 or 0.
 */
static u32 meta_from_vlan(struct europa_slot *meta, const struct sk_buff *skb)
{
	struct vlan_hdr buffer;
	const struct vlan_hdr *tag;
	__be16 proto = ((const struct ethhdr *)skb->data)->h_proto;

	if (skb_vlan_tag_present(skb)) {
		meta->flags |= EUROPA_SLOT_VLAN;
		meta->vlan_tci = skb_vlan_tag_get(skb);
		meta->vlan_proto = ntohs(skb->vlan_proto);
		return 0;
	}
	if (likely(!eth_type_vlan(proto)) || skb->len < VLAN_ETH_HLEN)
		return 0;
	tag = skb_header_pointer(skb, ETH_HLEN, sizeof(buffer), &buffer);
	if (!tag)
		return 0;
	meta->flags |= EUROPA_SLOT_VLAN;
	meta->vlan_tci = ntohs(tag->h_vlan_TCI);
	meta->vlan_proto = ntohs(proto);
	return VLAN_HLEN;
}

/*
 * Both sides count in the frame's first byte, and both use the numbers of virtio-net. `tag`: bytes that the slot's frame lacks. false:
 * nothing that a slot can say, or nothing that the VR could send on.
 */
static noinline bool meta_from_offload(struct europa_slot *meta, const struct sk_buff *skb, u32 tag)
{
	struct virtio_net_hdr offload;

	if (virtio_net_hdr_from_skb(skb, &offload, true, true, 0) < 0)
		return false;
	if (offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		u32 start = le16_to_cpu((__force __le16)offload.csum_start);

		if (start < ETH_HLEN + tag)
			return false;
		meta->flags |= EUROPA_SLOT_NEEDS_CSUM;
		meta->csum_start = start - tag;
		meta->csum_offset = le16_to_cpu((__force __le16)offload.csum_offset);
	} else if (offload.flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		meta->flags |= EUROPA_SLOT_CSUM_VALID;
	}
	if (offload.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		meta->gso_type = offload.gso_type;
		meta->gso_size = le16_to_cpu((__force __le16)offload.gso_size);
		meta->hdr_len = le16_to_cpu((__force __le16)offload.hdr_len) - tag;
	}
	return check_offload(meta);
}

/* *tag: as meta_from_vlan has it. false: malformed. */
static bool meta_from_skb(struct europa_slot *meta, const struct sk_buff *skb, u32 *tag)
{
	if (unlikely(skb_headlen(skb) < ETH_HLEN))
		return false;
	memset(meta, 0, sizeof(*meta));
	*tag = meta_from_vlan(meta, skb);
	meta->len = skb->len - *tag;
	meta->hash = skb->l4_hash ? skb->hash : 0;
	meta->tstamp_us = (u32)ktime_to_us(ktime_get());
	if (is_multicast_ether_addr(skb->data))
		meta->flags |= EUROPA_SLOT_BROADCAST;
	return likely(skb->ip_summed == CHECKSUM_NONE && !skb_is_gso(skb)) || meta_from_offload(meta, skb, *tag);
}

/* All of the frame but for its tag. */
static bool copy_frame(const struct sk_buff *skb, u8 *to, u32 len, u32 tag)
{
	if (likely(!tag && len == skb_headlen(skb))) {
		memcpy(to, skb->data, len);
		return true;
	}
	if (!tag)
		return skb_copy_bits(skb, 0, to, len) == 0;
	return skb_copy_bits(skb, 0, to, 2 * ETH_ALEN) == 0 &&
	       skb_copy_bits(skb, 2 * ETH_ALEN + tag, to + 2 * ETH_ALEN, len - 2 * ETH_ALEN) == 0;
}

/* Free slots may lie in the free ring, with the worker asleep or on its way. */
static void fetch_free_slots(struct member *m, u32 len)
{
	const struct vr *vr = &m->vr;
	bool wake, is_long = len > vr->geo.slot_stride - EUROPA_HEADROOM;

	if (likely(is_long ? vr->nfree_runs : vr->nfree_slots))
		return;
	pool_turn(&m->vr, VR_BATCH, &wake);
	if (wake)
		member_ring(m);
}

bool packet_deliver(struct port *port, struct sk_buff *skb, bool flush)
{
	struct member *m = port->member;
	struct vr *vr = &m->vr;
	struct europa_slot meta __uninitialized;
	u32 tag = 0;
	bool known = meta_from_skb(&meta, skb, &tag);
	int slot = -1;

	spin_lock(&m->lock);
	if (likely(known)) {
		fetch_free_slots(m, meta.len);
		slot = rx_slot(vr, port->vnic, meta.len);
	} else {
		vr_drop(vr, port->vnic, EUROPA_DROP_RX_MALFORMED, 1);
	}
	if (likely(slot >= 0)) {
		if (likely(copy_frame(skb, rx_data(vr, slot), meta.len, tag))) {
			rx_put(vr, port->vnic, slot, &meta);
		} else {
			rx_cancel(vr, slot);
			slot = -1;
		}
	}
	if ((flush || vr->rx_pending[port->vnic] >= VR_BATCH) && rx_flush(vr, port->vnic))
		member_ring(m);
	spin_unlock(&m->lock);
	trace_europa_receive(m, port->vnic, skb->len, slot);
	return slot >= 0;
}

/* Asked before a super-packet becomes forty packets that find no room either. false: it is counted, as the one frame that it is. */
static bool has_room(struct port *port, u32 len)
{
	struct member *m = port->member;
	int slot;

	spin_lock(&m->lock);
	fetch_free_slots(m, len);
	slot = rx_slot(&m->vr, port->vnic, len);
	if (slot >= 0)
		rx_cancel(&m->vr, slot);
	spin_unlock(&m->lock);
	return slot >= 0;
}

/* How many of them the VR has taken. */
static unsigned int deliver_segments(struct port *port, struct sk_buff *segments)
{
	struct sk_buff *skb, *next;
	unsigned int delivered = 0;

	skb_list_walk_safe(segments, skb, next) {
		skb_mark_not_on_list(skb);
		if (packet_deliver(port, skb, !next)) {
			delivered++;
			consume_skb(skb);
		} else {
			kfree_skb(skb);
		}
	}
	return delivered;
}

static noinline bool deliver_super(struct port *port, struct sk_buff *skb)
{
	netdev_features_t features = packet_features(skb, PACKET_FEATURES);
	struct sk_buff *segments;
	bool whole;

	/* Without runs a VR has nowhere to put one. */
	if (!port->member->vr.geo.nruns)
		features &= ~NETIF_F_ALL_TSO;
	if (likely(!netif_needs_gso(skb, features)))
		return packet_deliver(port, skb, true);
	/* Of one that only wants its headers checked there will be no segments. */
	whole = skb_gso_ok(skb, features | NETIF_F_GSO_ROBUST);
	if (!has_room(port, whole ? skb->len : ETH_HLEN))
		return false;
	segments = __skb_gso_segment(skb, features, false);
	if (IS_ERR(segments)) {
		port_drop(port, EUROPA_DROP_RX_MALFORMED, 1);
		return false;
	}
	return segments ? deliver_segments(port, segments) : packet_deliver(port, skb, true);
}

bool packet_deliver_any(struct port *port, struct sk_buff *skb)
{
	/* A partial checksum that isn't the Internet's, SCTP's for example, can't be said to be one in a slot. */
	if (unlikely(skb->ip_summed == CHECKSUM_PARTIAL && skb_csum_is_sctp(skb)) &&
	    skb_csum_hwoffload_help(skb, PACKET_FEATURES) < 0) {
		port_drop(port, EUROPA_DROP_RX_MALFORMED, 1);
		return false;
	}
	return likely(!skb_is_gso(skb)) ? packet_deliver(port, skb, true) : deliver_super(port, skb);
}

/* ---- out: from slot to sk_buff ---- */

/* Of a page fragment. */
static struct sk_buff *make_short(u32 len)
{
	u32 size = SKB_DATA_ALIGN(HEADROOM + len) + SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
	void *data = napi_alloc_frag(size);
	struct sk_buff *skb;

	if (unlikely(!data))
		return NULL;
	skb = napi_build_skb(data, size);
	if (unlikely(!skb)) {
		skb_free_frag(data);
		return NULL;
	}
	skb_reserve(skb, HEADROOM);
	return skb;
}

/* In one piece. */
static struct sk_buff *copy_short(const u8 *frame, u32 len, const struct net_device *dev)
{
	struct sk_buff *skb = recycle_get(LL_RESERVED_SPACE(dev), HEADROOM, len) ?: make_short(len);

	if (likely(skb))
		__skb_put_data(skb, frame, len);
	return skb;
}

/* Charged to the VR, even beyond its limit: whoever next wants memory for it meets that. */
static struct page *new_page(struct member *m)
{
	gfp_t gfp = GFP_ATOMIC | __GFP_COMP | __GFP_NOWARN;
	struct mem_cgroup *before;
	struct page *page;

	if (!m->memcg)
		return alloc_pages(gfp, PAGE_ALLOC_COSTLY_ORDER);
	before = set_active_memcg(m->memcg);
	page = alloc_pages(gfp | __GFP_ACCOUNT, PAGE_ALLOC_COSTLY_ORDER);
	set_active_memcg(before);
	return page;
}

/*
 * A page goes out in an sk_buff, and once everybody else has put it, it is filled again: from the kernel it comes
 * full of zeros, which costs as much as the copy. The worker's alone.
 */
static struct page *next_page(struct member *m)
{
	struct page **place = &m->pages[m->next_page++ % MEMBER_PAGES];

	if (!*place || page_ref_count(*place) > 1) {
		struct page *page = new_page(m);

		if (unlikely(!page))
			return NULL;
		if (*place)
			put_page(*place);
		*place = page;
		WRITE_ONCE(m->pages_new, m->pages_new + 1);
	} else {
		WRITE_ONCE(m->pages_again, m->pages_again + 1);
	}
	get_page(*place);
	return *place;
}

void packet_free_pages(struct member *m)
{
	unsigned int i;

	for (i = 0; i < MEMBER_PAGES; i++) {
		if (m->pages[i])
			put_page(m->pages[i]);
	}
}

/* Headers in front, the rest in pages. */
static struct sk_buff *copy_long(struct member *m, const u8 *frame, u32 len)
{
	struct sk_buff *skb = alloc_skb(HEADROOM + LINEAR, GFP_ATOMIC | __GFP_NOWARN);
	u32 done, n;

	if (unlikely(!skb))
		return NULL;
	skb_reserve(skb, HEADROOM);
	skb_put_data(skb, frame, LINEAR);
	for (done = LINEAR; done < len; done += n) {
		struct page *page = next_page(m);

		if (unlikely(!page)) {
			kfree_skb(skb);
			return NULL;
		}
		n = min_t(u32, len - done, LONG_PAGE);
		memcpy(page_address(page), frame + done, n);
		skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, 0, n, LONG_PAGE);
	}
	return skb;
}

/* The same in pages of the frame's own. */
static struct sk_buff *copy_scattered(const u8 *frame, u32 len)
{
	struct sk_buff *skb;
	int error;

	skb = alloc_skb_with_frags(HEADROOM + LINEAR, len - LINEAR, PAGE_ALLOC_COSTLY_ORDER, &error, GFP_ATOMIC | __GFP_NOWARN);
	if (!skb)
		return NULL;
	skb_reserve(skb, HEADROOM);
	skb_put(skb, LINEAR);
	skb->data_len = len - LINEAR;
	skb->len = len;
	if (unlikely(skb_store_bits(skb, 0, frame, len))) {
		kfree_skb(skb);
		return NULL;
	}
	return skb;
}

/* In a socket's buffer a page counts as a whole, however little is in it. */
static noinline struct sk_buff *copy_to_pages(struct member *m, const u8 *frame, u32 len)
{
	struct sk_buff *skb = len > LONG_PAGE / 2 ? copy_long(m, frame, len) : NULL;

	return skb ?: copy_scattered(frame, len);
}

/* The one look at what the VR can still write. */
static struct sk_buff *copy_data(struct member *m, const u8 *frame, u32 len, const struct net_device *dev)
{
	if (likely(len <= SKB_MAX_HEAD(HEADROOM)))
		return copy_short(frame, len, dev);
	return copy_to_pages(m, frame, len);
}

/* From the checked copy of the metadata; the kernel's own checks for what virtual machines send look at the private copy of the frame. */
static noinline bool skb_takes_offload(struct sk_buff *skb, const struct europa_slot *meta)
{
	struct virtio_net_hdr offload = { .gso_type = meta->gso_type };

	offload.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	offload.csum_start = (__force __virtio16)cpu_to_le16(meta->csum_start);
	offload.csum_offset = (__force __virtio16)cpu_to_le16(meta->csum_offset);
	offload.gso_size = (__force __virtio16)cpu_to_le16(meta->gso_size);
	offload.hdr_len = (__force __virtio16)cpu_to_le16(meta->hdr_len);
	return virtio_net_hdr_to_skb(skb, &offload, true) == 0;
}

struct sk_buff *packet_build(struct port *port, const struct tx_frame *frame, struct net_device *dev)
{
	struct sk_buff *skb = copy_data(port->member, frame->data, frame->meta.len, dev);

	if (unlikely(!skb)) {
		port_drop(port, EUROPA_DROP_TX_FULL, 1);
		return NULL;
	}
	skb->dev = dev;
	skb_reset_mac_header(skb);
	skb->protocol = eth_hdr(skb)->h_proto;
	skb_set_network_header(skb, ETH_HLEN);
	if (unlikely(frame->meta.flags & EUROPA_SLOT_VLAN))
		__vlan_hwaccel_put_tag(skb, htons(frame->meta.vlan_proto), frame->meta.vlan_tci);
	if (unlikely((frame->meta.flags & EUROPA_SLOT_NEEDS_CSUM) && !skb_takes_offload(skb, &frame->meta))) {
		kfree_skb(skb);
		port_drop(port, EUROPA_DROP_TX_ERROR, 1);
		return NULL;
	}
	return skb;
}

// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Transmit: slots that the VR posted in a vNIC's tx ring become checked frames, and when those have left, EMPTY slots. */
#include "core/pool.h"

#define VLAN_TAG        4u
#define TCP_HEADER      20u
#define UDP_HEADER      8u
#define GROUP           1u              /* of an Ethernet address' first byte */
#define GROUP_COST      64u
#define SLICE_COST      VR_BATCH        /* a batch of the usual size */

/* Bytes of the longest frame that may leave by a vNIC. Without an MTU nothing is attached: the port counts what is sent. */
static u32 longest_frame(const struct vr *vr, u32 vnic)
{
	u32 mtu = READ_ONCE(vr->vnics[vnic].mtu);

	return mtu ? mtu + ETH_HEADER + VLAN_TAG : 0xffffffffu;
}

/* Bytes of the longest frame that this one becomes: its own, or of a segment as far as the metadata tells. */
static u32 wire_length(const struct europa_slot *meta)
{
	if (likely(meta->gso_type == EUROPA_GSO_NONE))
		return meta->len;
	if (meta->gso_type == EUROPA_GSO_UDP)
		return meta->csum_start + meta->gso_size;       /* IP fragments */
	if (meta->gso_type == EUROPA_GSO_UDP_L4)
		return meta->csum_start + UDP_HEADER + meta->gso_size;
	return meta->csum_start + TCP_HEADER + meta->gso_size;
}

static void count_sent(struct vr *vr, u32 vnic, u32 packets, u64 bytes)
{
	struct europa_vnic_stats *stats = &vr->vnic_stats[vnic];

	WRITE_ONCE(stats->tx_packets, stats->tx_packets + packets);
	WRITE_ONCE(stats->tx_bytes, stats->tx_bytes + bytes);
}

/* The vNICs by which a replicated frame leaves, those with too small an MTU left out. */
static u32 replicate(struct vr *vr, const struct europa_slot *meta)
{
	u32 vnic, ports = 0;

	for (vnic = 0; vnic < vr->geo.nvnics; vnic++) {
		if (!(meta->ports & 1u << vnic))
			continue;
		if (wire_length(meta) > longest_frame(vr, vnic)) {
			vr_drop(vr, vnic, EUROPA_DROP_TX_TOO_LONG, 1);
			continue;
		}
		count_sent(vr, vnic, 1, meta->len);
		ports |= 1u << vnic;
	}
	return ports;
}

/* 64 good frames earn one violation back. */
static void earn_tolerance(struct vr *vr, u32 good)
{
	u32 earned;

	if (likely(vr->tolerance == VR_TOLERANCE))
		return;
	vr->good += good;
	earned = vr->good / 64;
	vr->good %= 64;
	vr->tolerance = VR_TOLERANCE - vr->tolerance < earned ? VR_TOLERANCE : vr->tolerance + earned;
}

/* The slot becomes the switch's and the frame is what it says, or nothing is and the cause is returned. */
static enum europa_drop take_frame(struct vr *vr, u32 slot, struct tx_frame *frame)
{
	enum europa_drop cause = pool_take(vr, &slot);

	if (unlikely(cause != EUROPA_DROPS))
		return cause;

	cause = check_tx(vr, slot, &frame->meta);
	if (unlikely(cause != EUROPA_DROPS)) {
		pool_reclaim(vr, slot);
		return cause;
	}
	frame->slot = slot;
	frame->data = vr->slots + (u64)slot * vr->geo.slot_stride + frame->meta.offset;
	return EUROPA_DROPS;
}

static u32 take_frames(struct vr *vr, u32 vnic, const u32 *slots, u32 n, struct tx_frame *frames)
{
	u32 longest = longest_frame(vr, vnic);
	u32 i, sent = 0, taken = 0;
	u64 bytes = 0;

	for (i = 0; i < n; i++) {
		struct tx_frame *frame = &frames[taken];
		enum europa_drop cause = take_frame(vr, slots[i], frame);

		if (unlikely(cause != EUROPA_DROPS)) {
			vr_violation(vr, vnic, cause, 1);
			continue;
		}
		if (unlikely(frame->meta.flags & EUROPA_SLOT_REPLICATE)) {
			frame->ports = replicate(vr, &frame->meta);
		} else if (unlikely(wire_length(&frame->meta) > longest)) {
			frame->ports = 0;
			vr_drop(vr, vnic, EUROPA_DROP_TX_TOO_LONG, 1);
		} else {
			frame->ports = 1u << vnic;
			bytes += frame->meta.len;
			sent++;
		}
		if (likely(frame->ports))
			taken++;
		else
			pool_reclaim(vr, frame->slot);
	}
	count_sent(vr, vnic, sent, bytes);
	earn_tolerance(vr, taken);
	return taken;
}

u32 tx_take(struct vr *vr, u32 vnic, struct tx_frame *frames, u32 max, u32 *looked)
{
	struct europa_vnic_stats *stats = &vr->vnic_stats[vnic];
	struct ring *r = &vr->tx[vnic];
	u32 slots[VR_BATCH] __uninitialized;
	u32 n, taken;

	*looked = 0;
	if (unlikely(vr_paused(vr)))
		return 0;
	n = ring_peek(r, max < VR_BATCH ? max : VR_BATCH);
	if (!n)
		return 0;
	if (unlikely(n == RING_BROKEN)) {
		vr_violation(vr, vnic, EUROPA_DROP_BAD_RING, 1);
		return 0;
	}

	pool_read(vr, r, slots, n);
	pool_announce(r, n);
	taken = take_frames(vr, vnic, slots, n, frames);
	pool_taken(r, n);
	WRITE_ONCE(stats->tx_batches, stats->tx_batches + 1);
	*looked = n;
	return taken;
}

u32 tx_cost(const struct tx_frame *frame)
{
	const struct europa_slot *meta = &frame->meta;
	u32 ports = frame->ports, one = rx_cost(meta->len), cost = 0;

	if (unlikely(meta->gso_type != EUROPA_GSO_NONE))
		one += meta->len / meta->gso_size / 8;
	for (; ports; ports &= ports - 1)
		cost += one;
	return cost;
}

/*
 * A frame to a group may be copied for each vNIC that shares the NIC, up to 255 of them. Its address is the one thing here that the VR can
 * still change: then a batch of short frames goes to a group at one go, or a few long ones.
 */
static u32 cost_to_all(const struct tx_frame *frame)
{
	return tx_cost(frame) * (READ_ONCE(*frame->data) & GROUP ? GROUP_COST : 1);
}

u32 tx_slice(const struct tx_frame *frames, u32 n, u32 *ports)
{
	u32 i = 0, cost = 0;

	*ports = 0;
	do {
		*ports |= frames[i].ports;
		cost += cost_to_all(&frames[i]);
	} while (++i < n && cost < SLICE_COST);
	return i;
}

/* Last one first: the stack then gives them out in the order of the ring, and neighbours go together. */
void tx_done(struct vr *vr, const struct tx_frame *frames, u32 n)
{
	while (n)
		pool_reclaim(vr, frames[--n].slot);
}

/* SPDX-License-Identifier: MIT */
/*
 * What the switch leaves undone in a packet's metadata because the NIC, or the receiver, would do it: partial
 * checksums and segmentation. A forwarded packet keeps both. A packet that is rewritten must come out without.
 */
#ifndef IPFWD_OFFLOAD_H
#define IPFWD_OFFLOAD_H

#include "packet.h"

static inline bool offload_segments(const struct europa_slot *meta)
{
	return (meta->gso_type & ~EUROPA_GSO_ECN) != EUROPA_GSO_NONE;
}

/* The frame is being replaced: nothing of what was to be done to it is left. */
static inline void offload_forget(struct europa_slot *meta)
{
	meta->flags &= ~(EUROPA_SLOT_NEEDS_CSUM | EUROPA_SLOT_CSUM_VALID);
	meta->gso_type = EUROPA_GSO_NONE;
	meta->gso_size = 0;
	meta->hdr_len = 0;
	meta->csum_start = 0;
	meta->csum_offset = 0;
}

/* Whether what is to be done to the frame still can be when it is `len` bytes long, fewer than it was. Super-packets have no padding. */
static inline bool offload_survives(const struct europa_slot *meta, u32 len)
{
	if (offload_segments(meta))
		return false;
	return !(meta->flags & EUROPA_SLOT_NEEDS_CSUM) || (u32)meta->csum_start + meta->csum_offset + 2 <= len;
}

/* Completes a partial checksum and forgets all offloads. A super-packet's checksum can't be completed, and is left. */
void offload_settle(u8 *frame, struct europa_slot *meta);

/*
 * The longest IPv4 packet, header included, that a super-packet becomes on the wire; 0: its headers make no sense.
 * `hlen` is the IPv4 header's length.
 */
u32 offload_segment_bytes(const u8 *frame, const struct europa_slot *meta, unsigned hlen);

/* Makes a super-packet come out in segments of at most `mtu`. false: not with this kind, or there would be too many of them. */
bool offload_shrink(const u8 *frame, struct europa_slot *meta, unsigned hlen, u32 mtu);

#endif

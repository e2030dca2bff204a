/* SPDX-License-Identifier: MIT */
#include "offload.h"

#include "checksum.h"

static void complete_checksum(u8 *frame, const struct europa_slot *meta)
{
	u32 start = meta->csum_start, at = start + meta->csum_offset;
	u16 sum;

	if (start >= meta->len || at + 2 > meta->len)
		return;
	/* The field holds the sum of the pseudo-header, not inverted: it is summed with the rest. */
	sum = checksum_of(frame + start, meta->len - start);
	/* To UDP a checksum of 0 means none. To the others it equals 0xffff. */
	if (!sum)
		sum = 0xffff;
	memcpy(frame + at, &sum, 2);
}

void offload_settle(u8 *frame, struct europa_slot *meta)
{
	if ((meta->flags & EUROPA_SLOT_NEEDS_CSUM) && !offload_segments(meta))
		complete_checksum(frame, meta);
	offload_forget(meta);
}

/* Bytes of the transport header that each segment gets, 0: too short to tell. */
static u32 transport_bytes(const u8 *frame, const struct europa_slot *meta, unsigned hlen)
{
	u32 at = ETHERNET_BYTES + hlen, bytes;

	switch (meta->gso_type & ~EUROPA_GSO_ECN) {
	case EUROPA_GSO_TCPV4:
		if (at + 20 > meta->len)
			return 0;
		bytes = (frame[at + 12] >> 4) * 4u;
		return bytes < 20 ? 0 : bytes;
	case EUROPA_GSO_UDP_L4:
		return at + 8 > meta->len ? 0 : 8;
	}
	return 0;
}

u32 offload_segment_bytes(const u8 *frame, const struct europa_slot *meta, unsigned hlen)
{
	u32 header = transport_bytes(frame, meta, hlen);

	/* UFO: gso_size is what follows the IPv4 header of each fragment. */
	if (meta->gso_type == EUROPA_GSO_UDP)
		return meta->gso_size ? hlen + meta->gso_size : 0;
	return header && meta->gso_size ? hlen + header + meta->gso_size : 0;
}

/* The payload's segments can have so few bytes: all of them, headers included, are no more than the switch cuts. */
static bool segments_are_few(const struct europa_slot *meta, u32 bytes)
{
	return meta->len <= bytes * EUROPA_MAX_SEGMENTS;
}

bool offload_shrink(const u8 *frame, struct europa_slot *meta, unsigned hlen, u32 mtu)
{
	u32 header = transport_bytes(frame, meta, hlen), bytes = 0;

	if (meta->gso_type == EUROPA_GSO_UDP && mtu >= hlen + 8)
		bytes = (mtu - hlen) & ~7u;
	/* A TCP stream may be cut anywhere. A UDP datagram may not: its segments are messages. */
	else if ((meta->gso_type & ~EUROPA_GSO_ECN) == EUROPA_GSO_TCPV4 && header && mtu > hlen + header)
		bytes = mtu - hlen - header;
	if (!bytes || !segments_are_few(meta, bytes))
		return false;
	meta->gso_size = bytes;
	return true;
}

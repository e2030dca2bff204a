/* SPDX-License-Identifier: MIT */
#include "fragment.h"

#include "checksum.h"
#include "ipv4.h"
#include "offload.h"
#include "options.h"

#define MOST_AT_ONCE    1400            /* 64 KiB at the smallest MTU that is legal, 68 */

static void finish(struct ipv4 *ip, u32 total, unsigned offset, bool more)
{
	ip->total = htons(total);
	ip->fragment = htons(offset / 8 | (more ? IPV4_MF : 0));
	ip->checksum = 0;
	ip->checksum = checksum_of(ip, ipv4_header_bytes(ip));
}

/* One fragment but the first, into a slot of its own. `at` and `bytes` say which part of the payload. */
static void write_piece(struct router *r, u32 into, const u8 *frame, const u8 *options, unsigned noptions, u32 at,
			u32 bytes, unsigned offset, bool more)
{
	const struct ipv4 *whole = ipv4_of((u8 *)frame);
	struct europa_slot *meta = europa_meta(r->eu, into);
	unsigned hlen = IPV4_BYTES + noptions;
	u8 *piece = europa_data(r->eu, into);
	struct ipv4 *ip = ipv4_of(piece);

	memcpy(piece, frame, ETHERNET_BYTES + IPV4_BYTES);
	memcpy(piece + ETHERNET_BYTES + IPV4_BYTES, options, noptions);
	memcpy(piece + ETHERNET_BYTES + hlen, frame + ETHERNET_BYTES + ipv4_header_bytes(whole) + at, bytes);
	ip->version_words = 0x40 | hlen / 4;
	finish(ip, hlen + bytes, offset, more);
	meta->len = ETHERNET_BYTES + hlen + bytes;
}

/* The payload of every fragment but the last: a multiple of 8 that fits the MTU, and a slot. */
static u32 piece_bytes(const struct router *r, const struct nexthop *nh, unsigned hlen)
{
	u32 mtu = r->port[nh->port].mtu, room = r->eu->slot_stride - EUROPA_HEADROOM - ETHERNET_BYTES;
	u32 most = mtu < room ? mtu : room;

	return most < hlen + 8 ? 0 : (most - hlen) & ~7u;
}

/* No datagram is longer than its length can say. Pieces of such a fragment could begin beyond what the offset can say. */
static bool ends_too_far(u32 first, u32 payload)
{
	return IPV4_BYTES + first + payload > 65535;
}

void ipv4_fragment(struct router *r, u32 slot, const struct nexthop *nh, u32 dst)
{
	struct europa_slot *meta = europa_meta(r->eu, slot);
	u8 *frame = europa_data(r->eu, slot), options[IPV4_LONGEST];
	struct ipv4 *ip = ipv4_of(frame);
	unsigned hlen = ipv4_header_bytes(ip), noptions = options_of_fragments(ip, options);
	unsigned field = ntohs(ip->fragment), first = (field & IPV4_OFFSET) * 8u, i, extra;
	u32 payload = ntohs(ip->total) - hlen, step = piece_bytes(r, nh, hlen), into[MOST_AT_ONCE];
	bool more = field & IPV4_MF;

	if (ends_too_far(first, payload)) {
		router_drop(r, slot, COUNT_BAD_HEADER);
		return;
	}
	extra = step ? (payload + step - 1) / step - 1 : MOST_AT_ONCE;
	if (extra >= MOST_AT_ONCE) {
		router_drop(r, slot, COUNT_TOO_BIG);
		return;
	}
	i = europa_alloc(r->eu, into, extra);
	if (i < extra) {
		europa_drop(r->eu, into, i);
		router_drop(r, slot, COUNT_NO_SLOT);
		return;
	}
	offload_settle(frame, meta);
	for (i = 0; i < extra; i++) {
		u32 at = (i + 1) * step, bytes = payload - at < step ? payload - at : step;

		write_piece(r, into[i], frame, options, noptions, at, bytes, first + at, more || i + 1 < extra);
	}
	finish(ip, hlen + step, first, true);
	meta->len = ETHERNET_BYTES + hlen + step;
	r->count[COUNT_FRAGMENTED]++;
	r->count[COUNT_FRAGMENTS] += extra + 1;
	ipv4_transmit(r, slot, nh, dst);
	for (i = 0; i < extra; i++)
		ipv4_transmit(r, into[i], nh, dst);
}

/* SPDX-License-Identifier: MIT */
#include "ipv4.h"

#include "arp.h"
#include "checksum.h"
#include "fragment.h"
#include "icmp.h"
#include "local.h"
#include "offload.h"
#include "options.h"

#define FINE COUNT_RECEIVED      /* no reason to drop it: everything that is looked at was received */

/* First octets of addresses that want a closer look, as a source or a destination. */
static const bool is_special[256] = {
	[0] = true, [127] = true, [169] = true, [224 ... 255] = true,
};

/* ---- checks (RFC 1812, 5.2.2) ---- */

static inline enum counter check_header(const struct ipv4 *ip, u32 have, unsigned hlen)
{
	u32 total = ntohs(ip->total);

	if (unlikely(total < hlen || total > have))
		return COUNT_BAD_HEADER;
	if (unlikely(!checksum_holds(ip, hlen)))
		return COUNT_BAD_CHECKSUM;
	return FINE;
}

/* RFC 1812, 5.3.7; RFC 3927, 2.7 for link-local addresses. */
static enum counter check_special(const struct router *r, u32 src, u32 dst)
{
	u32 from = src >> 24, to = dst >> 24;

	if (dst == LIMITED_BROADCAST)
		return COUNT_BROADCAST;
	if (to >= 224 && to < 240)
		return COUNT_MULTICAST;
	if (from == 0 || from == 127 || from >= 224)
		return COUNT_MARTIAN_SOURCE;
	if (to == 0 || to == 127 || to >= 240)
		return COUNT_MARTIAN_DEST;
	if ((is_link_local(src) || is_link_local(dst)) &&
	    r->nexthops.at[fib_lookup(&r->fib, dst)].kind != NEXTHOP_LOCAL)
		return COUNT_LINK_LOCAL;
	return FINE;
}

/* RFC 1812, 5.3.8: an answer to the source would leave by the port where this came in. */
static bool source_belongs_here(const struct router *r, const struct port *in, u32 src)
{
	const struct nexthop *nh = &r->nexthops.at[fib_lookup(&r->fib, src)];

	return nexthop_forwards(nh) && nh->port == in->number;
}

static inline enum counter check_addresses(const struct router *r, const struct port *in, u32 src, u32 dst)
{
	enum counter wrong = FINE;

	if (unlikely(is_special[src >> 24] | is_special[dst >> 24]))
		wrong = check_special(r, src, dst);
	if (unlikely(r->source_check) && wrong == FINE && !source_belongs_here(r, in, src))
		wrong = COUNT_WRONG_SOURCE;
	return wrong;
}

/* The frame may be longer than the packet: short Ethernet frames are padded. false: the checksum to be completed is in the padding. */
static inline bool trim(struct europa_slot *meta, const struct ipv4 *ip)
{
	u32 len = ETHERNET_BYTES + ntohs(ip->total);

	if (likely(meta->len == len))
		return true;
	if (unlikely(!offload_survives(meta, len)))
		return false;
	meta->len = len;
	return true;
}

/* ---- the way out ---- */

static inline __attribute__((always_inline))
bool transmit(struct router *r, struct port *out, u32 slot, u8 *frame, const struct nexthop *nh, u32 dst)
{
	struct address hop = address_ipv4(nh->kind == NEXTHOP_GATEWAY ? nh->gateway.word[0] : dst);
	struct neighbour *n = neighbour_find(&r->neighbours, FAMILY_IPV4, out->number, &hop);
	struct ethernet *eth = (struct ethernet *)frame;

	if (unlikely(!n || !neighbour_certain(n))) {
		n = arp_resolve(r, out, hop.word[0], n, slot);
		if (!n)
			return false;
	}
	memcpy(eth->dst, n->mac, 6);
	memcpy(eth->src, out->mac, 6);
	port_mark(out, europa_meta(r->eu, slot));
	router_send(r, out, slot);
	return true;
}

bool ipv4_transmit(struct router *r, u32 slot, const struct nexthop *nh, u32 dst)
{
	return transmit(r, &r->port[nh->port], slot, europa_data(r->eu, slot), nh, dst);
}

static inline void decrement_ttl(struct ipv4 *ip)
{
	ip->checksum = checksum_ttl_less(ip->checksum);
	ip->ttl--;
}

/*
 * Longer than the MTU of the way out. true: it can go all the same, its segments fit. Otherwise it is consumed: in
 * fragments, or by an error.
 */
static bool squeeze(struct router *r, u32 slot, const struct nexthop *nh, u32 dst)
{
	struct europa_slot *meta = europa_meta(r->eu, slot);
	u8 *frame = europa_data(r->eu, slot);
	struct ipv4 *ip = ipv4_of(frame);
	unsigned hlen = ipv4_header_bytes(ip);
	u32 mtu = r->port[nh->port].mtu;

	if (offload_segments(meta)) {
		u32 segment = offload_segment_bytes(frame, meta, hlen);

		if (segment && segment <= mtu)
			return true;
		if (!(ip->fragment & htons(IPV4_DF)) && segment && offload_shrink(frame, meta, hlen, mtu))
			return true;
	} else if (!(ip->fragment & htons(IPV4_DF))) {
		decrement_ttl(ip);
		r->count[COUNT_FORWARDED]++;
		ipv4_fragment(r, slot, nh, dst);
		return false;
	}
	icmp_error(r, slot, COUNT_TOO_BIG, ICMP_UNREACHABLE, UNREACHABLE_TOO_BIG, mtu);
	return false;
}

/* RFC 1812, 5.2.7.2: it leaves where it came in, and its sender could have sent it to the next hop by itself. */
static void suggest_shortcut(struct router *r, struct port *in, u32 slot, const struct nexthop *nh, u32 dst)
{
	if (r->redirects)
		icmp_redirect(r, in, slot, nh->kind == NEXTHOP_GATEWAY ? nh->gateway.word[0] : dst);
}

static void forward(struct router *r, struct port *in, struct port *out, u32 slot, u8 *frame, const struct nexthop *nh)
{
	struct ipv4 *ip = ipv4_of(frame);
	u32 dst = ntohl(ip->dst);

	if (unlikely(ip->ttl <= 1)) {
		icmp_error(r, slot, COUNT_TTL_EXCEEDED, ICMP_TIME_EXCEEDED, 0, 0);
		return;
	}
	if (unlikely(out == in))
		suggest_shortcut(r, in, slot, nh, dst);
	if (unlikely(ntohs(ip->total) > out->mtu) && !squeeze(r, slot, nh, dst))
		return;
	decrement_ttl(ip);
	r->count[COUNT_FORWARDED]++;
	transmit(r, out, slot, frame, nh, dst);
}

/* The table says that it goes nowhere. */
static void not_forwarded(struct router *r, struct port *in, u32 slot, const struct nexthop *nh)
{
	switch ((enum nexthop_kind)nh->kind) {
	case NEXTHOP_LOCAL:
		local_receive(r, slot);
		return;
	case NEXTHOP_BROADCAST:         /* RFC 2644: not forwarded; and nothing here listens to one */
		router_drop(r, slot, nh->port == in->number ? COUNT_BROADCAST : COUNT_DIRECTED_CAST);
		return;
	case NEXTHOP_UNREACHABLE:
		icmp_error(r, slot, COUNT_NO_ROUTE, ICMP_UNREACHABLE, UNREACHABLE_HOST, 0);
		return;
	case NEXTHOP_PROHIBIT:
		icmp_error(r, slot, COUNT_PROHIBITED, ICMP_UNREACHABLE, UNREACHABLE_PROHIBITED, 0);
		return;
	case NEXTHOP_BLACKHOLE:
		router_drop(r, slot, COUNT_BLACKHOLED);
		return;
	case NEXTHOP_NO_ROUTE:
	case NEXTHOP_GATEWAY:
	case NEXTHOP_CONNECTED:
		break;
	}
	icmp_error(r, slot, COUNT_NO_ROUTE, ICMP_UNREACHABLE, UNREACHABLE_NET, 0);
}

/* ---- the way in ---- */

static inline bool is_plain(const struct port *in, const struct europa_slot *meta, const u8 *frame)
{
	u64 dst;
	u32 type_and_version;

	if (unlikely(meta->len < ETHERNET_BYTES + IPV4_BYTES))
		return false;
	memcpy(&dst, frame, 8);
	memcpy(&type_and_version, frame + 12, 4);
	return (dst & 0xffffffffffff) == in->mac_number && (type_and_version & 0xffffff) == 0x450008 &&
	       port_expects(in, meta);
}

unsigned ipv4_receive(struct router *r, struct port *in, const u32 *slots, unsigned n, u32 *others)
{
	u32 slot[ROUTER_BURST], dst[ROUTER_BURST];
	u8 *frame[ROUTER_BURST];
	u16 nexthop[ROUTER_BURST];
	unsigned i, good = 0, nothers = 0;

	for (i = 0; i < n; i++) {
		struct europa_slot *meta = europa_meta(r->eu, slots[i]);
		u8 *data = europa_data(r->eu, slots[i]);
		const struct ipv4 *ip = ipv4_of(data);
		enum counter wrong;

		if (unlikely(!is_plain(in, meta, data))) {
			others[nothers++] = slots[i];
			continue;
		}
		/* Before any check: the table's line comes from memory while the headers are looked at. */
		fib_prefetch(&r->fib, ntohl(ip->dst));
		wrong = check_header(ip, meta->len - ETHERNET_BYTES, IPV4_BYTES);
		if (likely(wrong == FINE))
			wrong = check_addresses(r, in, ntohl(ip->src), ntohl(ip->dst));
		if (likely(wrong == FINE) && unlikely(!trim(meta, ip)))
			wrong = COUNT_BAD_HEADER;
		if (unlikely(wrong != FINE)) {
			router_drop(r, slots[i], wrong);
			continue;
		}
		slot[good] = slots[i];
		frame[good] = data;
		dst[good++] = ntohl(ip->dst);
	}
	fib_lookup_burst(&r->fib, dst, nexthop, good);
	for (i = 0; i < good; i++) {
		const struct nexthop *nh = &r->nexthops.at[nexthop[i]];

		if (likely(nexthop_forwards(nh)))
			forward(r, in, &r->port[nh->port], slot[i], frame[i], nh);
		else
			not_forwarded(r, in, slot[i], nh);
	}
	return nothers;
}

static enum counter check_odd(const struct router *r, const struct port *in, const struct europa_slot *meta,
			      const struct ipv4 *ip)
{
	u32 have = meta->len - ETHERNET_BYTES;
	unsigned hlen = ipv4_header_bytes(ip);
	enum counter wrong;

	if (ip->version_words >> 4 != 4 || hlen < IPV4_BYTES || hlen > have)
		return COUNT_BAD_HEADER;
	wrong = check_header(ip, have, hlen);
	return wrong == FINE ? check_addresses(r, in, ntohl(ip->src), ntohl(ip->dst)) : wrong;
}

void ipv4_receive_odd(struct router *r, struct port *in, u32 slot)
{
	struct europa_slot *meta = europa_meta(r->eu, slot);
	u8 *frame = europa_data(r->eu, slot);
	struct ipv4 *ip = ipv4_of(frame);
	const struct nexthop *nh;
	enum counter wrong;
	int pointer;

	if (meta->len < ETHERNET_BYTES + IPV4_BYTES) {
		router_drop(r, slot, COUNT_TOO_SHORT);
		return;
	}
	wrong = check_odd(r, in, meta, ip);
	if (wrong == FINE && !trim(meta, ip))
		wrong = COUNT_BAD_HEADER;
	if (wrong != FINE) {
		router_drop(r, slot, wrong);
		return;
	}
	if (options_source_route(ip)) {
		router_drop(r, slot, COUNT_SOURCE_ROUTED);
		return;
	}
	nh = &r->nexthops.at[fib_lookup(&r->fib, ntohl(ip->dst))];
	pointer = options_process(ip, nexthop_forwards(nh) ? port_source(&r->port[nh->port], ntohl(ip->dst)) : 0);
	if (pointer && nh->kind != NEXTHOP_BROADCAST)
		icmp_error(r, slot, COUNT_BAD_OPTIONS, ICMP_BAD_PARAMETER, 0, (u32)pointer << 24);
	else if (nexthop_forwards(nh))
		forward(r, in, &r->port[nh->port], slot, frame, nh);
	else
		not_forwarded(r, in, slot, nh);
}

/* ---- packets of the router's own ---- */

bool ipv4_reaches(const struct router *r, u32 dst)
{
	return nexthop_forwards(&r->nexthops.at[fib_lookup(&r->fib, dst)]);
}

u32 ipv4_source_for(const struct router *r, u32 dst)
{
	const struct nexthop *nh = &r->nexthops.at[fib_lookup(&r->fib, dst)];
	unsigned i;
	u32 source;

	if (!nexthop_forwards(nh))
		return 0;
	source = port_source(&r->port[nh->port], nh->kind == NEXTHOP_GATEWAY ? nh->gateway.word[0] : dst);
	/* An unnumbered port borrows an address. */
	for (i = 0; !source && i < r->nports; i++)
		source = port_source(&r->port[i], dst);
	return source;
}

void ipv4_write(struct router *r, u8 *frame, u32 total, u8 tos, u8 protocol, u32 src, u32 dst)
{
	struct ethernet *eth = (struct ethernet *)frame;
	struct ipv4 *ip = ipv4_of(frame);

	eth->type = htons(TYPE_IPV4);
	*ip = (struct ipv4){
		.version_words = 0x45, .tos = tos, .total = htons(total), .id = htons(r->ip_id++), .ttl = OWN_TTL,
		.protocol = protocol, .src = htonl(src), .dst = htonl(dst),
	};
	ip->checksum = checksum_of(ip, IPV4_BYTES);
}

void ipv4_output(struct router *r, u32 slot, u32 dst)
{
	const struct nexthop *nh = &r->nexthops.at[fib_lookup(&r->fib, dst)];

	if (!nexthop_forwards(nh)) {
		router_drop(r, slot, COUNT_NO_ROUTE);
		return;
	}
	if (europa_len(r->eu, slot) - ETHERNET_BYTES > r->port[nh->port].mtu)
		ipv4_fragment(r, slot, nh, dst);
	else
		ipv4_transmit(r, slot, nh, dst);
}

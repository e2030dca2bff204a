/* SPDX-License-Identifier: MIT */
#include "icmp.h"

#include "checksum.h"
#include "ipv4.h"
#include "offload.h"

/* As much of the packet as fits 576 bytes in all (RFC 1812, 4.3.2.3). */
#define ERROR_LONGEST    576
#define ERROR_HEADERS    (IPV4_BYTES + ICMP_BYTES)

#define TOS_INTERNETWORK_CONTROL  0xc0
#define TOS_KEPT                  0x1e

static bool is_icmp_query(u8 type)
{
	switch (type) {
	case 0: case 8:                 /* echo */
	case 9: case 10:                /* router discovery */
	case 13: case 14: case 15: case 16: case 17: case 18:
		return true;
	}
	return false;
}

/*
 * RFC 1812, 4.3.2.7. What came to or from a group or broadcast address was dropped in silence and never gets here;
 * sources that are the router's own or a subnet's broadcast address have no route that forwards.
 */
static bool deserves_error(const struct router *r, u32 slot)
{
	u8 *frame = europa_data(r->eu, slot);
	const struct ipv4 *ip = ipv4_of(frame);
	unsigned hlen = ipv4_header_bytes(ip);

	if (ntohs(ip->fragment) & IPV4_OFFSET)
		return false;
	if (!ipv4_reaches(r, ntohl(ip->src)))
		return false;
	if (ip->protocol != PROTOCOL_ICMP)
		return true;
	return ntohs(ip->total) > hlen && is_icmp_query(frame[ETHERNET_BYTES + hlen]);
}

/* Moves the packet back by n bytes and makes it shorter than `longest`, so that headers can be put before it. */
static u8 *make_room(struct europa *eu, u32 slot, u32 n, u32 longest)
{
	struct europa_slot *meta = europa_meta(eu, slot);
	u32 room = europa_room(eu, slot);
	u8 *frame;

	if (meta->len > longest)
		meta->len = longest;
	frame = europa_push(eu, slot, (int)n);
	if (frame)
		return frame;
	/* No headroom left (a data plane that was handed this by another one): the packet itself moves. */
	if (meta->offset + meta->len + n > room)
		meta->len = room - meta->offset - n;
	frame = europa_data(eu, slot);
	memmove(frame + n, frame, meta->len);
	meta->len += n;
	return frame;
}

/* Turns the packet into an ICMP message to its sender that quotes it, and sends that. */
static void send_about(struct router *r, u32 slot, u8 type, u8 code, u32 info)
{
	struct europa_slot *meta = europa_meta(r->eu, slot);
	u8 *frame = europa_data(r->eu, slot);
	const struct ipv4 *about = ipv4_of(frame);
	u32 to = ntohl(about->src), from = ipv4_source_for(r, to), total;
	u8 tos = (about->tos & TOS_KEPT) | TOS_INTERNETWORK_CONTROL;
	struct icmp *icmp;

	if (!from) {                    /* no port has an address */
		router_drop(r, slot, COUNT_ICMP_FORBIDDEN);
		return;
	}
	offload_settle(frame, meta);
	frame = make_room(r->eu, slot, ERROR_HEADERS, ETHERNET_BYTES + ERROR_LONGEST - ERROR_HEADERS);
	total = meta->len - ETHERNET_BYTES;
	ipv4_write(r, frame, total, tos, PROTOCOL_ICMP, from, to);
	icmp = (struct icmp *)(frame + ETHERNET_BYTES + IPV4_BYTES);
	*icmp = (struct icmp){ .type = type, .code = code, .rest = htonl(info) };
	icmp->checksum = checksum_of(icmp, total - IPV4_BYTES);
	ipv4_output(r, slot, to);
}

void icmp_error(struct router *r, u32 slot, enum counter why, u8 type, u8 code, u32 info)
{
	r->count[why]++;
	if (!deserves_error(r, slot)) {
		router_drop(r, slot, COUNT_ICMP_FORBIDDEN);
		return;
	}
	if (!bucket_take(&r->icmp_errors, r->now)) {
		router_drop(r, slot, COUNT_ICMP_LIMITED);
		return;
	}
	r->count[COUNT_ICMP_ERRORS]++;
	send_about(r, slot, type, code, info);
}

void icmp_redirect(struct router *r, struct port *in, u32 slot, u32 gateway)
{
	u32 len = europa_len(r->eu, slot), copy;
	u8 *frame = europa_data(r->eu, slot);

	if (!port_reaches(in, ntohl(ipv4_of(frame)->src)) || !port_reaches(in, gateway) || !deserves_error(r, slot))
		return;
	if (!bucket_take(&r->icmp_errors, r->now) || !router_alloc(r, &copy))
		return;
	if (len > ETHERNET_BYTES + ERROR_LONGEST - ERROR_HEADERS)
		len = ETHERNET_BYTES + ERROR_LONGEST - ERROR_HEADERS;
	if (len > europa_room(r->eu, copy) - EUROPA_HEADROOM)
		len = europa_room(r->eu, copy) - EUROPA_HEADROOM;
	memcpy(europa_data(r->eu, copy), frame, len);
	europa_meta(r->eu, copy)->len = len;
	r->count[COUNT_REDIRECTS]++;
	send_about(r, copy, ICMP_REDIRECT, 1, gateway);
}

/* SPDX-License-Identifier: MIT */
#include "local.h"

#include "checksum.h"
#include "icmp.h"
#include "ipv4.h"
#include "offload.h"

/* The request becomes the reply. Options are not reflected: the header is written anew, over their end. */
static void answer_echo(struct router *r, u32 slot)
{
	struct europa_slot *meta = europa_meta(r->eu, slot);
	u8 *frame = europa_data(r->eu, slot);
	struct ipv4 *ip = ipv4_of(frame);
	unsigned noptions = ipv4_header_bytes(ip) - IPV4_BYTES;
	u32 asker = ntohl(ip->src), own = ntohl(ip->dst);
	struct icmp *icmp;
	u8 tos = ip->tos;

	offload_forget(meta);
	europa_push(r->eu, slot, -(int)noptions);
	frame = europa_data(r->eu, slot);
	icmp = (struct icmp *)(frame + ETHERNET_BYTES + IPV4_BYTES);
	/*
	 * Not an update of the request's: the reply may be all zeros, the one message whose checksum that gets
	 * wrong.
	 */
	icmp->type = ICMP_ECHO_REPLY;
	icmp->checksum = 0;
	icmp->checksum = checksum_of(icmp, meta->len - ETHERNET_BYTES - IPV4_BYTES);
	ipv4_write(r, frame, meta->len - ETHERNET_BYTES, tos, PROTOCOL_ICMP, own, asker);
	r->count[COUNT_ECHO_REPLIES]++;
	ipv4_output(r, slot, asker);
}

/*
 * A large echo request comes in fragments. They are answered one by one, nothing is put together: a reply is its
 * request with the addresses exchanged and another type, and the type is in the first fragment, with the checksum
 * of the whole. What is damaged stays so, and its sender sees it. Of a later fragment it can't be told whether it
 * belongs to an echo request: it goes back too.
 */
static void answer_echo_fragment(struct router *r, u32 slot)
{
	struct europa_slot *meta = europa_meta(r->eu, slot);
	u8 *frame = europa_data(r->eu, slot);
	struct ipv4 *ip = ipv4_of(frame);
	unsigned hlen = ipv4_header_bytes(ip);
	bool first = !(ip->fragment & htons(IPV4_OFFSET));
	struct icmp *icmp = (struct icmp *)(frame + ETHERNET_BYTES + hlen);
	u32 asker = ntohl(ip->src), own = ntohl(ip->dst);

	if (!ipv4_reaches(r, asker) ||
	    (first && (ntohs(ip->total) < hlen + ICMP_BYTES || icmp->type != ICMP_ECHO || icmp->code))) {
		router_drop(r, slot, COUNT_LOCAL_FRAGMENT);
		return;
	}
	offload_forget(meta);
	if (first) {
		icmp->type = ICMP_ECHO_REPLY;
		icmp->checksum = checksum_update(icmp->checksum, htons(ICMP_ECHO << 8), htons(ICMP_ECHO_REPLY << 8));
		r->count[COUNT_ECHO_REPLIES]++;
	}
	ip->src = htonl(own);
	ip->dst = htonl(asker);
	ip->ttl = OWN_TTL;
	ip->checksum = 0;
	ip->checksum = checksum_of(ip, hlen);
	ipv4_output(r, slot, asker);
}

static void receive_icmp(struct router *r, u32 slot)
{
	u8 *frame = europa_data(r->eu, slot);
	struct ipv4 *ip = ipv4_of(frame);
	unsigned hlen = ipv4_header_bytes(ip);
	u32 bytes = ntohs(ip->total) - hlen;
	const struct icmp *icmp = (const struct icmp *)(frame + ETHERNET_BYTES + hlen);

	if (bytes < ICMP_BYTES) {
		router_drop(r, slot, COUNT_BAD_HEADER);
		return;
	}
	if (!checksum_holds(icmp, bytes)) {
		router_drop(r, slot, COUNT_BAD_CHECKSUM);
		return;
	}
	if (icmp->type != ICMP_ECHO || icmp->code || !ipv4_reaches(r, ntohl(ip->src))) {
		router_drop(r, slot, COUNT_LOCAL_IGNORED);
		return;
	}
	answer_echo(r, slot);
}

void local_receive(struct router *r, u32 slot)
{
	u8 *frame = europa_data(r->eu, slot);
	const struct ipv4 *ip = ipv4_of(frame);

	if (ip->fragment & htons(IPV4_MF | IPV4_OFFSET)) {
		if (ip->protocol == PROTOCOL_ICMP)
			answer_echo_fragment(r, slot);
		else
			router_drop(r, slot, COUNT_LOCAL_FRAGMENT);
		return;
	}
	switch (ip->protocol) {
	case PROTOCOL_ICMP:
		/* The switch may have left ICMP's checksum undone like any other. */
		offload_settle(frame, europa_meta(r->eu, slot));
		receive_icmp(r, slot);
		return;
	case PROTOCOL_UDP:
		icmp_error(r, slot, COUNT_NO_SERVICE, ICMP_UNREACHABLE, UNREACHABLE_PORT, 0);
		return;
	}
	icmp_error(r, slot, COUNT_NO_SERVICE, ICMP_UNREACHABLE, UNREACHABLE_PROTOCOL, 0);
}

// SPDX-License-Identifier: MIT
#include "tests/unit/ipfwd_bed.h"

#include <stdlib.h>

#define ADDRESSES \
	"address 0 10.0.0.1/24\n" \
	"address 1 10.0.1.1/24\n" \
	"route 10.9.0.0/16 via 10.0.1.9\n" \
	"route 10.9.8.0/24 via 10.0.0.7\n" \
	"route 10.9.8.7 blackhole\n" \
	"route 10.8.0.0/16 prohibit\n" \
	"route 10.7.0.0/16 unreachable\n"

const char ipfwd_standard[] = ADDRESSES
	"neighbour 10.0.0.2 02:aa:0a:00:00:02 dev 0\n"
	"neighbour 10.0.0.7 02:aa:0a:00:00:07 dev 0\n"
	"neighbour 10.0.1.2 02:aa:0a:00:01:02 dev 1\n"
	"neighbour 10.0.1.9 02:aa:0a:00:01:09 dev 1\n";

const char ipfwd_unknown[] = ADDRESSES;

void mac_of_vnic(u8 *mac, unsigned vnic)
{
	const u8 is[6] = { 0x02, 0xee, 0, 0, 0, (u8)vnic };

	memcpy(mac, is, 6);
}

void mac_of_host(u8 *mac, u32 address)
{
	u32 big = htonl(address);

	mac[0] = 0x02;
	mac[1] = 0xaa;
	memcpy(mac + 2, &big, 4);
}

struct ipfwd_bed *ipfwd_open(unsigned slots, const char *text)
{
	struct ipfwd_bed *b = calloc(1, sizeof *b);
	struct error e = { 0 };
	struct config config;
	unsigned i;

	assert_non_null(b);
	bed_open(&b->bed, 2, slots, 64);
	for (i = 0; i < 2; i++) {
		mac_of_vnic(b->bed.vr.vnics[i].mac, i);
		b->bed.vr.vnics[i].mtu = 1500;
	}
	assert_int_equal(bed_attach(&b->bed), 0);
	b->r = router_new(b->bed.eu, 1000);
	assert_non_null(b->r);
	config_init(&config);
	if (config_parse(&config, "test", text, strlen(text), &e) || config_apply(&config, b->r, &e))
		fail_msg("%s", e.text);
	config_release(&config);
	ipfwd_turn(b);
	return b;
}

void ipfwd_close(struct ipfwd_bed *b)
{
	unsigned i;

	for (i = 0; i < 20; i++)
		ipfwd_later(b, 1000);
	ipfwd_later(b, 3600000);
	bed_assert_whole(&b->bed);
	assert_int_equal(b->r->slots_waiting, 0);
	assert_int_equal(b->r->runs_waiting, 0);
	router_free(b->r);
	bed_close(&b->bed);
	for (i = 0; i < b->ncaught; i++)
		free(b->caught[i].frame);
	free(b);
}

/* All that left, copied; its slots are the switch's again. */
static void catch_all(struct ipfwd_bed *b)
{
	struct tx_frame frames[VR_BATCH];
	unsigned vnic, i, n;
	bool wake;

	for (vnic = 0; vnic < 2; vnic++) {
		while ((n = bed_take(&b->bed, vnic, frames)) > 0) {
			for (i = 0; i < n; i++) {
				struct caught *c = &b->caught[b->ncaught++];

				assert_true(b->ncaught < CAUGHT);
				*c = (struct caught){ .vnic = vnic, .meta = frames[i].meta, .len = frames[i].meta.len };
				c->frame = malloc(c->len);
				memcpy(c->frame, frames[i].data, c->len);
			}
			bed_sent(&b->bed, frames, n);
		}
	}
	pool_turn(&b->bed.vr, UINT32_MAX, &wake);
}

void ipfwd_turn(struct ipfwd_bed *b)
{
	u32 slots[ROUTER_BURST];
	unsigned vnic, n;

	catch_all(b);
	if (b->r->now >= router_due(b->r))
		router_tick(b->r);
	for (vnic = 0; vnic < 2; vnic++)
		while ((n = europa_rx(b->bed.eu, vnic, slots, ROUTER_BURST)) > 0)
			router_receive(b->r, vnic, slots, n);
	router_flush(b->r);
	catch_all(b);
}

void ipfwd_put(struct ipfwd_bed *b, unsigned vnic, const u8 *frame, u32 len, const struct europa_slot *meta)
{
	struct europa_slot with = meta ? *meta : (struct europa_slot){ 0 };
	/* No switch gives less than an Ethernet header; the router looks all the same. */
	int slot = rx_slot(&b->bed.vr, vnic, len < ETHERNET_BYTES ? ETHERNET_BYTES : len);

	assert_true(slot >= 0);
	with.len = len;
	memcpy(rx_data(&b->bed.vr, (u32)slot), frame, len);
	rx_put(&b->bed.vr, vnic, (u32)slot, &with);
	rx_flush(&b->bed.vr, vnic);
}

void ipfwd_in(struct ipfwd_bed *b, unsigned vnic, const u8 *frame, u32 len, const struct europa_slot *meta)
{
	ipfwd_put(b, vnic, frame, len, meta);
	ipfwd_turn(b);
}

void ipfwd_later(struct ipfwd_bed *b, u64 ms)
{
	b->r->now += ms;
	ipfwd_turn(b);
}

void ipfwd_mtu(struct ipfwd_bed *b, unsigned vnic, u16 mtu)
{
	b->bed.vr.vnics[vnic].mtu = mtu;
	ipfwd_later(b, 1000);
}

unsigned ipfwd_hold_slots(struct ipfwd_bed *b)
{
	unsigned got;
	bool wake;

	do {
		got = europa_alloc(b->bed.eu, b->held + b->nheld, 256 - b->nheld);
		b->nheld += got;
	} while (got);
	b->bed.vr.geo.alloc_target = 0;         /* the switch tops up no more */
	pool_turn(&b->bed.vr, UINT32_MAX, &wake);
	return b->nheld;
}

void ipfwd_give_slots_back(struct ipfwd_bed *b)
{
	europa_drop(b->bed.eu, b->held, b->nheld);
	b->nheld = 0;
	b->bed.vr.geo.alloc_target = b->bed.geometry.alloc_target;
}

struct caught *ipfwd_next(struct ipfwd_bed *b)
{
	return b->next < b->ncaught ? &b->caught[b->next++] : NULL;
}

struct caught *ipfwd_expect(struct ipfwd_bed *b, unsigned vnic)
{
	struct caught *c = ipfwd_next(b);

	assert_non_null(c);
	assert_int_equal(c->vnic, vnic);
	return c;
}

void ipfwd_expect_nothing(struct ipfwd_bed *b)
{
	assert_null(ipfwd_next(b));
}

/* ---- frames ---- */

void repair_checksum(u8 *frame)
{
	struct ipv4 *ip = ipv4_of(frame);

	ip->checksum = 0;
	ip->checksum = checksum_of(ip, ipv4_header_bytes(ip));
}

u32 make_packet(u8 *frame, const struct packet_form *form)
{
	struct ethernet *eth = (struct ethernet *)frame;
	struct ipv4 *ip = ipv4_of(frame);
	unsigned hlen = IPV4_BYTES + form->noptions;
	u32 src = form->src ? form->src : IP(10, 0, 0, 2), dst = form->dst ? form->dst : IP(10, 0, 1, 2), i;
	u8 *payload = (u8 *)ip + hlen;

	mac_of_vnic(eth->dst, 0);
	mac_of_host(eth->src, src);
	eth->type = htons(TYPE_IPV4);
	*ip = (struct ipv4){
		.version_words = 0x40 | hlen / 4, .tos = form->tos, .total = htons(hlen + form->payload),
		.id = htons(form->id ? form->id : 0x1234), .fragment = htons(form->fragment),
		.ttl = form->ttl ? form->ttl : 64, .protocol = form->protocol ? form->protocol : PROTOCOL_UDP,
		.src = htonl(src), .dst = htonl(dst),
	};
	if (form->noptions)
		memcpy((u8 *)ip + IPV4_BYTES, form->options, form->noptions);
	for (i = 0; i < form->payload; i++)
		payload[i] = (u8)(i * 7);
	repair_checksum(frame);
	return ETHERNET_BYTES + hlen + form->payload;
}

u32 make_icmp(u8 *frame, const struct packet_form *form, u8 type, u8 code, u32 rest, u32 data)
{
	struct packet_form with = *form;
	struct icmp *icmp;
	u32 len;

	with.protocol = PROTOCOL_ICMP;
	with.payload = ICMP_BYTES + data;
	len = make_packet(frame, &with);
	icmp = (struct icmp *)(frame + ETHERNET_BYTES + IPV4_BYTES + form->noptions);
	*icmp = (struct icmp){ .type = type, .code = code, .rest = htonl(rest) };
	icmp->checksum = checksum_of(icmp, ICMP_BYTES + data);
	return len;
}

u32 make_arp(u8 *frame, unsigned vnic, u16 operation, u32 sender, u32 target)
{
	struct ethernet *eth = (struct ethernet *)frame;
	struct arp *arp = (struct arp *)(frame + ETHERNET_BYTES);

	memset(frame, 0, 60);
	memset(eth->dst, 0xff, 6);
	if (operation == ARP_REPLY)
		mac_of_vnic(eth->dst, vnic);
	mac_of_host(eth->src, sender);
	eth->type = htons(TYPE_ARP);
	*arp = (struct arp){
		.hardware = htons(1), .protocol = htons(TYPE_IPV4), .hardware_bytes = 6, .protocol_bytes = 4,
		.operation = htons(operation), .sender = htonl(sender), .target = htonl(target),
	};
	memcpy(arp->sender_mac, eth->src, 6);
	if (operation == ARP_REPLY)
		mac_of_vnic(arp->target_mac, vnic);
	return 60;
}

void assert_ipv4_sound(const u8 *frame, u32 len)
{
	const struct ipv4 *ip = ipv4_of((u8 *)frame);

	assert_int_equal(ip->version_words >> 4, 4);
	assert_int_equal(ntohs(ip->total) + ETHERNET_BYTES, len);
	assert_true(checksum_holds(ip, ipv4_header_bytes(ip)));
}

// SPDX-License-Identifier: MIT
/* What the router says by itself: echo replies, ICMP errors, redirects; and when it must be silent. */
#include "tests/unit/ipfwd_bed.h"

#include <stdlib.h>

static const u8 nops[4] = { 1, 1, 1, 0 };

static const struct icmp *icmp_of(const struct caught *c)
{
	return (const struct icmp *)(c->frame + ETHERNET_BYTES + IPV4_BYTES);
}

static void assert_echo_reply(const struct caught *c, const u8 *request, unsigned noptions, u32 data)
{
	const struct ipv4 *ip = ipv4_of(c->frame), *asked = ipv4_of((u8 *)request);
	const u8 *icmp = request + ETHERNET_BYTES + IPV4_BYTES + noptions;

	assert_ipv4_sound(c->frame, c->len);
	assert_int_equal(c->len, ETHERNET_BYTES + IPV4_BYTES + ICMP_BYTES + data);
	assert_int_equal(ip->src, asked->dst);
	assert_int_equal(ip->dst, asked->src);
	assert_int_equal(ip->ttl, 64);
	assert_int_equal(ip->tos, asked->tos);
	assert_int_equal(icmp_of(c)->type, ICMP_ECHO_REPLY);
	assert_true(checksum_holds(icmp_of(c), ICMP_BYTES + data));
	assert_memory_equal(&icmp_of(c)->rest, icmp + 4, 4 + data);
	assert_int_equal(c->meta.flags & EUROPA_SLOT_NEEDS_CSUM, 0);
}

static void echo_is_answered_whatever_its_length(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	u8 frame[FRAME_MOST];

	for (u32 data = 0; data <= 1472; data += data < 70 ? 1 : 99) {
		struct packet_form form = { .dst = IP(10, 0, 0, 1), .tos = 0x20 };

		ipfwd_in(b, 0, frame, make_icmp(frame, &form, ICMP_ECHO, 0, 0x12340001 + data, data), NULL);
		assert_echo_reply(ipfwd_expect(b, 0), frame, 0, data);
		form.dst = IP(10, 0, 1, 1);     /* the address of another port is as much its own */
		ipfwd_in(b, 0, frame, make_icmp(frame, &form, ICMP_ECHO, 0, data, data), NULL);
		assert_echo_reply(ipfwd_expect(b, 0), frame, 0, data);
	}
	ipfwd_close(b);
}

static void echo_with_options_is_answered_without_them(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(2, ipfwd_standard);
	struct packet_form form = { .dst = IP(10, 0, 0, 1), .options = nops, .noptions = 4 };
	u8 frame[FRAME_MOST];

	ipfwd_in(b, 0, frame, make_icmp(frame, &form, ICMP_ECHO, 0, 7, 56), NULL);
	assert_echo_reply(ipfwd_expect(b, 0), frame, 4, 56);
	ipfwd_close(b);
}

/* ping -s 3000: three fragments in, three out, and together they are the reply. */
static void a_fragmented_echo_request_is_answered_in_fragments(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct packet_form form = { .dst = IP(10, 0, 0, 1), .protocol = PROTOCOL_ICMP };
	u8 whole[FRAME_MOST], frame[FRAME_MOST], reply[FRAME_MOST];
	u32 data = 3000, at, got = 0;
	struct caught *c;

	make_icmp(whole, &form, ICMP_ECHO, 0, 0x12340001, data);
	for (at = 0; at < ICMP_BYTES + data; at += 1480) {
		bool more = at + 1480 < ICMP_BYTES + data;
		u32 len;

		form.payload = more ? 1480 : ICMP_BYTES + data - at;
		form.fragment = (u16)(at / 8 | (more ? IPV4_MF : 0));
		len = make_packet(frame, &form);
		memcpy(frame + 34, whole + 34 + at, form.payload);
		ipfwd_in(b, 0, frame, len, NULL);
		c = ipfwd_expect(b, 0);
		assert_ipv4_sound(c->frame, c->len);
		assert_int_equal(ntohl(ipv4_of(c->frame)->dst), IP(10, 0, 0, 2));
		assert_int_equal(ntohs(ipv4_of(c->frame)->fragment), form.fragment);
		assert_int_equal(ntohs(ipv4_of(c->frame)->id), 0x1234);
		memcpy(reply + at, c->frame + 34, form.payload);
		got += form.payload;
	}
	assert_int_equal(got, ICMP_BYTES + data);
	assert_int_equal(reply[0], ICMP_ECHO_REPLY);
	assert_true(checksum_holds(reply, got));
	assert_memory_equal(reply + 4, whole + 38, got - 4);
	/* the first fragment of anything else is not */
	form.fragment = IPV4_MF;
	make_packet(frame, &form);
	frame[34] = 13;
	ipfwd_in(b, 0, frame, ETHERNET_BYTES + IPV4_BYTES + form.payload, NULL);
	assert_int_equal(COUNTED(b, LOCAL_FRAGMENT), 1);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

static void echo_with_a_partial_checksum_is_answered_with_a_full_one(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct packet_form form = { .dst = IP(10, 0, 0, 1) };
	struct europa_slot partial = { .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 2 };
	u8 frame[FRAME_MOST];
	u32 len = make_icmp(frame, &form, ICMP_ECHO, 0, 7, 57);

	memset(frame + 36, 0, 2);       /* ICMP has no pseudo-header: its partial sum is 0 */
	ipfwd_in(b, 0, frame, len, &partial);
	assert_echo_reply(ipfwd_expect(b, 0), frame, 0, 57);
	ipfwd_close(b);
}

static void other_icmp_to_the_router_is_not_answered(void **state)
{
	static const struct { u8 type, code; } silent[] = {
		{ 0, 0 }, { 3, 1 }, { 4, 0 }, { 5, 1 }, { 8, 1 }, { 9, 0 }, { 10, 0 }, { 11, 0 }, { 12, 0 }, { 13, 0 }, { 15, 0 },
		{ 17, 0 }, { 40, 0 }, { 255, 0 },
	};
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct packet_form form = { .dst = IP(10, 0, 0, 1) };
	u8 frame[FRAME_MOST];
	u32 len;

	for (unsigned i = 0; i < sizeof silent / sizeof silent[0]; i++) {
		len = make_icmp(frame, &form, silent[i].type, silent[i].code, 0, 40);
		ipfwd_in(b, 0, frame, len, NULL);
		assert_int_equal(COUNTED(b, LOCAL_IGNORED), i + 1);
	}
	len = make_icmp(frame, &form, ICMP_ECHO, 0, 0, 40);
	frame[40] ^= 1;
	ipfwd_in(b, 0, frame, len, NULL);
	assert_int_equal(COUNTED(b, BAD_CHECKSUM), 1);
	form.protocol = PROTOCOL_ICMP;
	form.payload = 7;
	ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
	assert_int_equal(COUNTED(b, BAD_HEADER), 1);
	/* a broadcast ping is the smurf attack */
	form.dst = IP(10, 0, 0, 255);
	ipfwd_in(b, 0, frame, make_icmp(frame, &form, ICMP_ECHO, 0, 0, 40), NULL);
	/* and one from the router's own address would be answered to itself */
	form = (struct packet_form){ .dst = IP(10, 0, 0, 1), .src = IP(10, 0, 1, 1) };
	ipfwd_in(b, 0, frame, make_icmp(frame, &form, ICMP_ECHO, 0, 0, 40), NULL);
	form.fragment = IPV4_MF;
	ipfwd_in(b, 0, frame, make_icmp(frame, &form, ICMP_ECHO, 0, 0, 40), NULL);
	assert_int_equal(COUNTED(b, LOCAL_FRAGMENT), 1);
	assert_int_equal(COUNTED(b, ECHO_REPLIES), 0);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

/* TTL 1 in ICMP: only about queries. */
static void no_error_is_sent_about_an_error(void **state)
{
	static const u8 queries[] = { 0, 8, 9, 10, 13, 14, 15, 16, 17, 18 };
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct packet_form form = { .ttl = 1 };
	u8 frame[FRAME_MOST];

	for (unsigned type = 0; type < 256; type++) {
		ipfwd_later(b, 1000);
		ipfwd_in(b, 0, frame, make_icmp(frame, &form, (u8)type, 0, 0, 40), NULL);
		if (memchr(queries, (int)type, sizeof queries))
			assert_int_equal(icmp_of(ipfwd_expect(b, 0))->type, ICMP_TIME_EXCEEDED);
		ipfwd_expect_nothing(b);
	}
	assert_int_equal(COUNTED(b, ICMP_FORBIDDEN), 256 - sizeof queries);
	/* cut before its type, it could be an error */
	form.protocol = PROTOCOL_ICMP;
	ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

static void errors_have_internetwork_control_precedence_and_the_senders_tos(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	u8 frame[FRAME_MOST];

	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .ttl = 1, .tos = 0xb8 | 0x10, .payload = 8 }), NULL);
	assert_int_equal(ipv4_of(ipfwd_expect(b, 0)->frame)->tos, 0xc0 | 0x18);
	ipfwd_close(b);
}

/* 4.3.2.4: from an address of the interface over which it leaves, here the one towards 10.9.0.0/16. */
static void errors_come_from_the_port_that_they_leave_by(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	u8 frame[FRAME_MOST], mac[6];
	struct caught *c;

	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .src = IP(10, 9, 1, 1), .ttl = 1, .payload = 8 }), NULL);
	c = ipfwd_expect(b, 1);
	assert_int_equal(ntohl(ipv4_of(c->frame)->src), IP(10, 0, 1, 1));
	mac_of_host(mac, IP(10, 0, 1, 9));
	assert_memory_equal(c->frame, mac, 6);
	ipfwd_close(b);
}

static void errors_are_limited_in_rate(void **state)
{
	char config[1000];
	struct ipfwd_bed *b;
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .ttl = 1, .payload = 8 });

	snprintf(config, sizeof config, "%sicmp-rate 10 5\n", ipfwd_standard);
	b = ipfwd_open(64, config);
	for (unsigned i = 0; i < 100; i++)
		ipfwd_in(b, 0, frame, len, NULL);
	assert_int_equal(COUNTED(b, ICMP_ERRORS), 5);
	assert_int_equal(COUNTED(b, ICMP_LIMITED), 95);
	assert_int_equal(COUNTED(b, TTL_EXCEEDED), 100);
	for (unsigned i = 0; i < 20; i++) {
		ipfwd_later(b, 50);
		ipfwd_in(b, 0, frame, len, NULL);
	}
	assert_int_equal(COUNTED(b, ICMP_ERRORS), 15);
	/* no more at once than the depth, however long it was quiet */
	for (unsigned hours = 0; hours < 3; hours += 2) {
		uint64_t before = COUNTED(b, ICMP_ERRORS);

		ipfwd_later(b, 1000 + hours * 3600000);
		for (unsigned i = 0; i < 20; i++)
			ipfwd_in(b, 0, frame, len, NULL);
		assert_int_equal(COUNTED(b, ICMP_ERRORS), before + 5);
	}
	/* what can't be told costs no token */
	ipfwd_later(b, 1000);
	for (unsigned i = 0; i < 20; i++)
		ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .src = IP(8, 8, 8, 8), .ttl = 1 }), NULL);
	len = make_packet(frame, &(struct packet_form){ .ttl = 1, .payload = 8 });
	ipfwd_in(b, 0, frame, len, NULL);
	assert_int_equal(COUNTED(b, ICMP_ERRORS), 26);
	/* echo replies are not errors */
	for (unsigned i = 0; i < 100; i++)
		ipfwd_in(b, 0, frame, make_icmp(frame, &(struct packet_form){ .dst = IP(10, 0, 0, 1) }, 8, 0, 0, 8), NULL);
	assert_int_equal(COUNTED(b, ECHO_REPLIES), 100);
	ipfwd_close(b);
}

static void a_rate_of_0_is_silence(void **state)
{
	char config[1000];
	struct ipfwd_bed *b;
	u8 frame[FRAME_MOST];

	snprintf(config, sizeof config, "%sicmp-rate 0\n", ipfwd_standard);
	b = ipfwd_open(64, config);
	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .ttl = 1, .payload = 8 }), NULL);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

static void the_next_hops_mtu_is_in_the_error(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	u8 frame[FRAME_MOST];
	const struct icmp *icmp;

	ipfwd_mtu(b, 1, 1280);
	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .fragment = IPV4_DF, .payload = 1400 }), NULL);
	icmp = icmp_of(ipfwd_expect(b, 0));
	assert_int_equal(icmp->code, UNREACHABLE_TOO_BIG);
	assert_int_equal(ntohl(icmp->rest), 1280);
	ipfwd_close(b);
}

/* A local sender's UDP may come with only the pseudo-header's sum in its checksum field: what is quoted is complete. */
static void a_quoted_partial_checksum_is_completed(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct packet_form form = { .ttl = 1, .payload = 33 };
	struct europa_slot partial = { .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6 };
	u8 frame[FRAME_MOST], *quoted;
	u32 len = make_packet(frame, &form);
	struct ipv4 *ip = ipv4_of(frame);
	u16 pseudo, length = htons(33), protocol = htons(PROTOCOL_UDP);
	u64 sum = checksum_add(0, &ip->src, 8);

	sum = checksum_add(checksum_add(sum, &length, 2), &protocol, 2);
	pseudo = checksum_fold(sum);
	memcpy(frame + 40, &pseudo, 2);
	ipfwd_in(b, 0, frame, len, &partial);
	quoted = ipfwd_expect(b, 0)->frame + ETHERNET_BYTES + IPV4_BYTES + ICMP_BYTES;
	assert_int_equal(checksum_fold(checksum_add(sum, quoted + IPV4_BYTES, 33)), 0xffff);
	ipfwd_close(b);
}

static void a_super_packet_is_told_about_as_any_other(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct packet_form form = { .ttl = 1, .protocol = PROTOCOL_TCP, .payload = 20000 };
	struct europa_slot gso = { .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
				   .gso_type = EUROPA_GSO_TCPV4, .gso_size = 1448, .hdr_len = 54 };
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &form);
	struct caught *c;

	frame[34 + 12] = 0x50;
	ipfwd_in(b, 0, frame, len, &gso);
	c = ipfwd_expect(b, 0);
	assert_int_equal(c->len, ETHERNET_BYTES + 576);
	assert_ipv4_sound(c->frame, c->len);
	assert_true(checksum_holds(icmp_of(c), 556));
	assert_int_equal(c->meta.gso_type, EUROPA_GSO_NONE);
	assert_int_equal(c->meta.flags & EUROPA_SLOT_NEEDS_CSUM, 0);
	ipfwd_close(b);
}

static void a_neighbour_that_takes_a_detour_is_redirected(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct packet_form form = { .dst = IP(10, 9, 8, 1), .payload = 900 };
	u8 frame[FRAME_MOST];
	const struct icmp *icmp;
	struct caught *c;

	ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
	c = ipfwd_expect(b, 0);
	icmp = icmp_of(c);
	assert_ipv4_sound(c->frame, c->len);
	assert_int_equal(ntohl(ipv4_of(c->frame)->dst), IP(10, 0, 0, 2));
	assert_int_equal(icmp->type, ICMP_REDIRECT);
	assert_int_equal(icmp->code, 1);
	assert_int_equal(ntohl(icmp->rest), IP(10, 0, 0, 7));
	assert_true(checksum_holds(icmp, c->len - 34));
	assert_memory_equal(icmp + 1, frame + ETHERNET_BYTES, c->len - 42);
	assert_int_equal(ipv4_of(ipfwd_expect(b, 0)->frame)->protocol, PROTOCOL_UDP);
	/* Who is not on the link can't use the hint. */
	form.src = IP(10, 9, 1, 1);
	ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
	assert_int_equal(ipv4_of(ipfwd_expect(b, 0)->frame)->protocol, PROTOCOL_UDP);
	ipfwd_expect_nothing(b);
	assert_int_equal(COUNTED(b, REDIRECTS), 1);
	ipfwd_close(b);
}

static void without_a_free_slot_it_is_forwarded_and_not_redirected(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	unsigned held = ipfwd_hold_slots(b);
	u8 frame[FRAME_MOST];

	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .dst = IP(10, 9, 8, 1), .payload = 64 }), NULL);
	assert_int_equal(ipv4_of(ipfwd_expect(b, 0)->frame)->protocol, PROTOCOL_UDP);
	ipfwd_expect_nothing(b);
	assert_true(held > 0);
	ipfwd_give_slots_back(b);
	ipfwd_close(b);
}

/* The error is made in the headroom; where a packet has none left, the packet is moved. */
static void a_packet_without_headroom_is_quoted_too(void **state)
{
	for (u16 offset = 0; offset <= 32; offset += 4) {
		struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
		u8 frame[FRAME_MOST];
		u32 len = make_packet(frame, &(struct packet_form){ .ttl = 1, .payload = 1200 }), slot;
		struct europa_slot *meta;
		struct caught *c;

		ipfwd_put(b, 0, frame, len, NULL);
		assert_int_equal(europa_rx(b->bed.eu, 0, &slot, 1), 1);
		meta = europa_meta(b->bed.eu, slot);
		memmove(europa_data(b->bed.eu, slot) - meta->offset + offset, europa_data(b->bed.eu, slot), len);
		meta->offset = offset;
		router_receive(b->r, 0, &slot, 1);
		router_flush(b->r);
		ipfwd_turn(b);
		c = ipfwd_expect(b, 0);
		assert_ipv4_sound(c->frame, c->len);
		assert_int_equal(c->len, ETHERNET_BYTES + 576);
		assert_memory_equal(icmp_of(c) + 1, frame + ETHERNET_BYTES, 548);
		ipfwd_close(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(echo_is_answered_whatever_its_length),
		cmocka_unit_test(echo_with_options_is_answered_without_them),
		cmocka_unit_test(a_fragmented_echo_request_is_answered_in_fragments),
		cmocka_unit_test(echo_with_a_partial_checksum_is_answered_with_a_full_one),
		cmocka_unit_test(other_icmp_to_the_router_is_not_answered),
		cmocka_unit_test(no_error_is_sent_about_an_error),
		cmocka_unit_test(errors_have_internetwork_control_precedence_and_the_senders_tos),
		cmocka_unit_test(errors_come_from_the_port_that_they_leave_by),
		cmocka_unit_test(errors_are_limited_in_rate),
		cmocka_unit_test(a_rate_of_0_is_silence),
		cmocka_unit_test(the_next_hops_mtu_is_in_the_error),
		cmocka_unit_test(a_quoted_partial_checksum_is_completed),
		cmocka_unit_test(a_super_packet_is_told_about_as_any_other),
		cmocka_unit_test(a_neighbour_that_takes_a_detour_is_redirected),
		cmocka_unit_test(without_a_free_slot_it_is_forwarded_and_not_redirected),
		cmocka_unit_test(a_packet_without_headroom_is_quoted_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/* Packets that are longer than the MTU of their way out, and super-packets, which only seem to be. */
#include "tests/unit/ipfwd_bed.h"

#include <stdlib.h>

/* Puts fragments together again. Returns the payload's length; checks that all of it is there, once. */
static u32 reassemble(struct ipfwd_bed *b, u8 *payload, u16 mtu, bool *more)
{
	u32 have = 0, end = 0, first = UINT32_MAX;
	struct caught *c;

	while ((c = ipfwd_next(b))) {
		const struct ipv4 *ip = ipv4_of(c->frame);
		unsigned hlen = ipv4_header_bytes(ip), field = ntohs(ip->fragment), at = (field & IPV4_OFFSET) * 8;
		u32 bytes = ntohs(ip->total) - hlen;

		assert_ipv4_sound(c->frame, c->len);
		assert_int_equal(c->vnic, 1);
		assert_true(ntohs(ip->total) <= mtu);
		assert_int_equal(ip->ttl, 63);
		assert_int_equal(ntohs(ip->id), 0x1234);
		if (first == UINT32_MAX)
			first = at;
		memcpy(payload + at - first, c->frame + ETHERNET_BYTES + hlen, bytes);
		have += bytes;
		if (!(field & IPV4_MF) || at - first + bytes > end) {
			end = at - first + bytes;
			*more = field & IPV4_MF;
		}
		if (*more)
			assert_int_equal(bytes % 8, 0);
	}
	assert_int_equal(have, end);
	return have;
}

static void fragments_make_the_packet_again(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	static const u16 mtus[] = { 68, 69, 576, 1280, 1499 };
	u8 frame[FRAME_MOST], payload[FRAME_MOST];

	for (unsigned m = 0; m < sizeof mtus / sizeof mtus[0]; m++) {
		ipfwd_mtu(b, 1, mtus[m]);
		for (u32 bytes = 1480; bytes > mtus[m] - 20u; bytes -= 37) {
			struct packet_form form = { .payload = bytes };
			bool more;

			ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
			assert_int_equal(reassemble(b, payload, mtus[m], &more), bytes);
			assert_false(more);
			assert_memory_equal(payload, frame + 34, bytes);
		}
	}
	assert_int_equal(COUNTED(b, NO_SLOT), 0);
	assert_true(COUNTED(b, FRAGMENTS) > 2 * COUNTED(b, FRAGMENTED));
	ipfwd_close(b);
}

static void fragments_of_fragments_keep_offset_and_more(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	struct packet_form form = { .payload = 1200, .fragment = IPV4_MF | 100 };
	u8 frame[FRAME_MOST], payload[FRAME_MOST];
	bool more;

	ipfwd_mtu(b, 1, 576);
	ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
	assert_int_equal(ntohs(ipv4_of(b->caught[b->next].frame)->fragment), IPV4_MF | 100);
	assert_int_equal(reassemble(b, payload, 576, &more), 1200);
	assert_true(more);
	assert_memory_equal(payload, frame + 34, 1200);
	ipfwd_close(b);
}

/* The offset has 13 bits, and the flags are next to it. One that needs no cutting goes on as it came. */
static void no_piece_is_beyond_the_longest_datagram(void **state)
{
	static const struct { u16 at; u32 payload; bool passes; } fragments[] = {
		{ 8039, 1203, true }, { 8039, 1204, false }, { 8191, 1200, false }, { 8191, 500, true },
	};
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	u8 frame[FRAME_MOST], payload[FRAME_MOST];
	bool more;

	ipfwd_mtu(b, 1, 576);
	for (unsigned i = 0; i < sizeof fragments / sizeof fragments[0]; i++) {
		struct packet_form form = { .payload = fragments[i].payload, .fragment = fragments[i].at };

		ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
		assert_int_equal(reassemble(b, payload, 576, &more), fragments[i].passes ? fragments[i].payload : 0);
	}
	assert_int_equal(COUNTED(b, BAD_HEADER), 2);
	ipfwd_close(b);
}

/* Of a copied and a not copied option, later fragments have the copied one. */
static void options_are_copied_that_say_so(void **state)
{
	static const u8 options[12] = { 7, 7, 8, 1, 2, 3, 4, 148, 4, 0, 0, 0 };
	static const u8 copied[4] = { 148, 4, 0, 0 };
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	struct packet_form form = { .payload = 1200, .options = options, .noptions = 12 };
	u8 frame[FRAME_MOST], payload[FRAME_MOST];
	bool more;

	ipfwd_mtu(b, 1, 576);
	ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
	assert_int_equal(b->caught[b->next].frame[14], 0x48);
	assert_memory_equal(b->caught[b->next].frame + 34, options, 12);
	assert_int_equal(b->caught[b->next + 1].frame[14], 0x46);
	assert_memory_equal(b->caught[b->next + 1].frame + 34, copied, 4);
	assert_int_equal(reassemble(b, payload, 576, &more), 1200);
	assert_memory_equal(payload, frame + 46, 1200);
	ipfwd_close(b);
}

/* Nobody can complete a checksum over fragments later. */
static void a_partial_checksum_is_completed_before_it_is_cut(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	struct europa_slot partial = { .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6 };
	u8 frame[FRAME_MOST], payload[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .payload = 1333 });
	bool more;

	memset(frame + 40, 0, 2);
	ipfwd_mtu(b, 1, 576);
	ipfwd_in(b, 0, frame, len, &partial);
	assert_int_equal(b->caught[b->next].meta.flags & EUROPA_SLOT_NEEDS_CSUM, 0);
	assert_int_equal(reassemble(b, payload, 576, &more), 1333);
	assert_true(checksum_holds(payload, 1333));
	ipfwd_close(b);
}

/* To UDP a checksum of 0 says that there is none: the sum that gives 0 is written as 0xffff. */
static void a_completed_checksum_is_never_zero(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	struct europa_slot partial = { .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6 };
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .payload = 1332 });
	u16 sum;

	memset(frame + 40, 0, 2);
	memset(frame + 42, 0, 2);
	sum = checksum_of(frame + 34, 1332);
	memcpy(frame + 42, &sum, 2);
	ipfwd_mtu(b, 1, 576);
	ipfwd_in(b, 0, frame, len, &partial);
	assert_int_equal(b->caught[b->next].frame[40] << 8 | b->caught[b->next].frame[41], 0xffff);
	ipfwd_close(b);
}

static void without_slots_for_all_fragments_none_is_sent(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(2, ipfwd_standard);
	u8 frame[FRAME_MOST];

	ipfwd_mtu(b, 1, 576);
	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .payload = 1200 }), NULL);
	assert_int_equal(COUNTED(b, NO_SLOT), 1);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

static const struct europa_slot tcp_gso = {
	.flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16, .gso_type = EUROPA_GSO_TCPV4, .gso_size = 1448,
	.hdr_len = 66,
};

static u32 make_super(u8 *frame, u16 fragment, u32 payload)
{
	u32 len = make_packet(frame, &(struct packet_form){ .protocol = PROTOCOL_TCP, .payload = payload, .fragment = fragment });

	frame[34 + 12] = 0x80;          /* a TCP header of 32 bytes */
	return len;
}

static void a_super_packet_passes_with_its_offloads_and_every_byte(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	u8 frame[FRAME_MOST];
	u32 len = make_super(frame, IPV4_DF, 65535 - 20);
	struct caught *c;

	ipfwd_in(b, 0, frame, len, &tcp_gso);
	c = ipfwd_expect(b, 1);
	assert_int_equal(c->len, len);
	assert_ipv4_sound(c->frame, c->len);
	assert_int_equal(ipv4_of(c->frame)->ttl, 63);
	assert_memory_equal(c->frame + 26, frame + 26, len - 26);
	assert_int_equal(c->meta.flags & EUROPA_SLOT_NEEDS_CSUM, EUROPA_SLOT_NEEDS_CSUM);
	assert_int_equal(c->meta.gso_type, EUROPA_GSO_TCPV4);
	assert_int_equal(c->meta.gso_size, 1448);
	assert_int_equal(c->meta.hdr_len, 66);
	assert_int_equal(c->meta.csum_start, 34);
	assert_int_equal(c->meta.csum_offset, 16);
	ipfwd_close(b);
}

/* 20 + 32 + 1448 is 1500: one byte less of MTU, and a segment doesn't fit. */
static void segments_are_measured_against_the_mtu(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	u8 frame[FRAME_MOST];
	u32 len = make_super(frame, IPV4_DF, 30000);
	struct caught *c;

	ipfwd_mtu(b, 1, 1499);
	ipfwd_in(b, 0, frame, len, &tcp_gso);
	c = ipfwd_expect(b, 0);
	assert_int_equal(ipv4_of(c->frame)->protocol, PROTOCOL_ICMP);
	assert_int_equal(c->frame[35], UNREACHABLE_TOO_BIG);
	assert_int_equal(COUNTED(b, TOO_BIG), 1);
	/* DF clear: TCP is cut into smaller segments */
	len = make_super(frame, 0, 30000);
	ipfwd_in(b, 0, frame, len, &tcp_gso);
	c = ipfwd_expect(b, 1);
	assert_int_equal(c->meta.gso_size, 1499 - 52);
	assert_int_equal(c->len, len);
	ipfwd_close(b);
}

static void datagrams_of_a_udp_super_packet_are_not_cut(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct europa_slot gso = { .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6,
				   .gso_type = EUROPA_GSO_UDP_L4, .gso_size = 1472, .hdr_len = 42 };
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .payload = 30000 });

	ipfwd_in(b, 0, frame, len, &gso);
	assert_int_equal(ipfwd_expect(b, 1)->meta.gso_size, 1472);
	ipfwd_mtu(b, 1, 1400);
	ipfwd_in(b, 0, frame, len, &gso);
	assert_int_equal(ipfwd_expect(b, 0)->frame[35], UNREACHABLE_TOO_BIG);
	ipfwd_close(b);
}

/* The switch cuts a super-packet in 2048 at most: through an MTU that would take more, one that may be cut doesn't go either. */
static void a_super_packet_is_not_cut_into_too_many_segments(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	u8 frame[FRAME_MOST];
	u32 len = make_super(frame, 0, 65535 - 20);

	ipfwd_mtu(b, 1, 52 + 31);
	ipfwd_in(b, 0, frame, len, &tcp_gso);
	assert_int_equal(ipfwd_expect(b, 0)->frame[35], UNREACHABLE_TOO_BIG);
	ipfwd_mtu(b, 1, 52 + 33);
	ipfwd_in(b, 0, frame, len, &tcp_gso);
	assert_int_equal(ipfwd_expect(b, 1)->meta.gso_size, 33);
	ipfwd_close(b);
}

/* What is behind the packet is cut off; whoever wants a checksum there is a liar, and nobody can be charged with it. */
static void a_checksum_in_the_padding_is_refused(void **state)
{
	static const u8 no_operation[4] = { 1, 1, 1, 1 };
	static const struct {
		const char *name;
		u32 payload;
		unsigned noptions;
		u16 start, offset;
		bool good;
	} cases[] = {
		{ "in the packet's last bytes", 8, 0, 34, 6, true },
		{ "half behind it", 8, 0, 34, 7, false },
		{ "behind a packet without a payload", 0, 0, 34, 16, false },
		{ "the same with options", 0, 4, 38, 6, false },
		{ "in the last bytes with options", 8, 4, 38, 6, true },
	};
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	u8 frame[FRAME_MOST] = { 0 };
	u32 len, refused = 0;

	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct europa_slot partial = { .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = cases[i].start, .csum_offset = cases[i].offset };

		len = make_packet(frame, &(struct packet_form){ .payload = cases[i].payload, .options = no_operation, .noptions = cases[i].noptions });
		ipfwd_in(b, 0, frame, len + 60, &partial);
		if (cases[i].good && b->next == b->ncaught)
			fail_msg("%s: dropped", cases[i].name);
		if (cases[i].good)
			assert_int_equal(ipfwd_expect(b, 1)->len, len);
		else
			refused++;
		ipfwd_expect_nothing(b);
	}
	len = make_super(frame, 0, 2000);
	ipfwd_in(b, 0, frame, len + 60, &tcp_gso);
	ipfwd_expect_nothing(b);
	assert_int_equal(COUNTED(b, BAD_HEADER), refused + 1);
	ipfwd_close(b);
}

/* NEEDS_CSUM without GSO: L4 is neither looked at nor touched. */
static void a_partial_checksum_passes_untouched(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	struct europa_slot partial = { .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6 };
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .payload = 100 });
	struct caught *c;

	ipfwd_in(b, 0, frame, len, &partial);
	c = ipfwd_expect(b, 1);
	assert_memory_equal(c->frame + 34, frame + 34, 100);
	assert_int_equal(c->meta.flags & EUROPA_SLOT_NEEDS_CSUM, EUROPA_SLOT_NEEDS_CSUM);
	assert_int_equal(c->meta.csum_start, 34);
	ipfwd_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_make_the_packet_again),
		cmocka_unit_test(fragments_of_fragments_keep_offset_and_more),
		cmocka_unit_test(no_piece_is_beyond_the_longest_datagram),
		cmocka_unit_test(options_are_copied_that_say_so),
		cmocka_unit_test(a_partial_checksum_is_completed_before_it_is_cut),
		cmocka_unit_test(a_completed_checksum_is_never_zero),
		cmocka_unit_test(without_slots_for_all_fragments_none_is_sent),
		cmocka_unit_test(a_super_packet_passes_with_its_offloads_and_every_byte),
		cmocka_unit_test(segments_are_measured_against_the_mtu),
		cmocka_unit_test(datagrams_of_a_udp_super_packet_are_not_cut),
		cmocka_unit_test(a_super_packet_is_not_cut_into_too_many_segments),
		cmocka_unit_test(a_checksum_in_the_padding_is_refused),
		cmocka_unit_test(a_partial_checksum_passes_untouched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

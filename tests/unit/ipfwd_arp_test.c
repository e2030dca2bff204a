// SPDX-License-Identifier: MIT
/* Who answers ARP, who is believed, and what happens to packets meanwhile. Time is the test's. */
#include "tests/unit/ipfwd_bed.h"

#include <stdlib.h>

#define HOST   IP(10, 0, 1, 2)

static struct arp *arp_of(const struct caught *c)
{
	return (struct arp *)(c->frame + ETHERNET_BYTES);
}

static void assert_arp(const struct caught *c, u16 operation, u32 sender, u32 target)
{
	u8 mac[6];

	mac_of_vnic(mac, c->vnic);
	assert_int_equal(c->len, 42);
	assert_int_equal(c->frame[12] << 8 | c->frame[13], TYPE_ARP);
	assert_memory_equal(c->frame + 6, mac, 6);
	assert_memory_equal(arp_of(c)->sender_mac, mac, 6);
	assert_int_equal(ntohs(arp_of(c)->operation), operation);
	assert_int_equal(ntohl(arp_of(c)->sender), sender);
	assert_int_equal(ntohl(arp_of(c)->target), target);
}

static void assert_request(const struct caught *c, u32 sender, u32 target)
{
	static const u8 everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	assert_arp(c, ARP_REQUEST, sender, target);
	assert_memory_equal(c->frame, everybody, 6);
}

static void assert_unicast_request(const struct caught *c, u32 sender, u32 target)
{
	u8 mac[6];

	assert_arp(c, ARP_REQUEST, sender, target);
	mac_of_host(mac, target);
	assert_memory_equal(c->frame, mac, 6);
}

/* A packet through the router to HOST; its number is in its id. */
static void send_to_host(struct ipfwd_bed *b, u16 number)
{
	u8 frame[FRAME_MOST];

	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .payload = 64, .id = number }), NULL);
}

static void assert_number(const struct caught *c, u16 number)
{
	u8 mac[6];

	mac_of_host(mac, HOST);
	assert_memory_equal(c->frame, mac, 6);
	assert_ipv4_sound(c->frame, c->len);
	assert_int_equal(ntohs(ipv4_of(c->frame)->id), number);
	assert_int_equal(ipv4_of(c->frame)->ttl, 63);
}

static void answer(struct ipfwd_bed *b)
{
	u8 frame[60];

	ipfwd_in(b, 1, frame, make_arp(frame, 1, ARP_REPLY, HOST, IP(10, 0, 1, 1)), NULL);
}

static void its_own_address_is_answered_for_and_no_other(void **state)
{
	static const struct { unsigned vnic; u32 sender, target; bool answered; } asked[] = {
		{ 0, IP(10, 0, 0, 2), IP(10, 0, 0, 1), true },
		{ 1, IP(10, 0, 1, 2), IP(10, 0, 1, 1), true },
		{ 0, IP(0, 0, 0, 0), IP(10, 0, 0, 1), true },           /* is it taken? RFC 5227 */
		{ 0, IP(192, 168, 1, 1), IP(10, 0, 0, 1), true },       /* answered, not learnt */
		{ 0, IP(10, 0, 0, 2), IP(10, 0, 1, 1), false },         /* the other port's */
		{ 0, IP(10, 0, 0, 2), IP(10, 0, 0, 9), false },
		{ 0, IP(10, 0, 0, 2), IP(10, 0, 0, 255), false },
		{ 0, IP(10, 0, 0, 2), IP(10, 0, 0, 2), false },         /* gratuitous */
	};
	struct ipfwd_bed *b = ipfwd_open(2, ipfwd_unknown);
	u8 frame[60], mac[6];
	struct caught *c;

	for (unsigned i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		ipfwd_in(b, asked[i].vnic, frame,
			 make_arp(frame, asked[i].vnic, ARP_REQUEST, asked[i].sender, asked[i].target), NULL);
		c = ipfwd_next(b);
		assert_int_equal(!!c, asked[i].answered);
		if (!c)
			continue;
		assert_arp(c, ARP_REPLY, asked[i].target, asked[i].sender);
		mac_of_host(mac, asked[i].sender);
		assert_memory_equal(c->frame, mac, 6);
		assert_memory_equal(arp_of(c)->target_mac, mac, 6);
	}
	assert_int_equal(COUNTED(b, ARP_REPLIES), 4);
	assert_int_equal(COUNTED(b, FOREIGN_ARP), 4);
	ipfwd_close(b);
}

static void malformed_arp_is_dropped(void **state)
{
	static const struct { u8 at, value; } changes[] = {
		{ 14, 1 }, { 15, 2 }, { 16, 0 }, { 17, 1 }, { 18, 5 }, { 19, 16 }, { 21, 0 }, { 21, 3 }, { 21, 8 },
		{ 22, 1 },              /* a group address as sender's MAC */
	};
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);
	u8 frame[60];
	u32 len;

	for (unsigned i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		len = make_arp(frame, 0, ARP_REQUEST, IP(10, 0, 0, 2), IP(10, 0, 0, 1));
		frame[changes[i].at] = changes[i].value;
		ipfwd_in(b, 0, frame, len, NULL);
		assert_int_equal(COUNTED(b, BAD_ARP), i + 1);
	}
	make_arp(frame, 0, ARP_REQUEST, IP(10, 0, 0, 2), IP(10, 0, 0, 1));
	memset(frame + 22, 0, 6);
	ipfwd_in(b, 0, frame, 60, NULL);
	make_arp(frame, 0, ARP_REQUEST, IP(10, 0, 0, 1), IP(10, 0, 0, 2));      /* somebody has the router's address */
	ipfwd_in(b, 0, frame, 60, NULL);
	assert_int_equal(COUNTED(b, BAD_ARP), sizeof changes / sizeof changes[0] + 2);
	make_arp(frame, 0, ARP_REQUEST, IP(10, 0, 0, 2), IP(10, 0, 0, 1));
	ipfwd_in(b, 0, frame, 41, NULL);
	assert_int_equal(COUNTED(b, TOO_SHORT), 1);
	ipfwd_in(b, 0, frame, 42, NULL);
	ipfwd_expect(b, 0);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

static void packets_wait_for_the_answer_and_go_in_order(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);

	send_to_host(b, 1);
	assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
	send_to_host(b, 2);
	send_to_host(b, 3);
	ipfwd_expect_nothing(b);                        /* one request, not three */
	answer(b);
	for (u16 i = 1; i <= 3; i++)
		assert_number(ipfwd_expect(b, 1), i);
	send_to_host(b, 4);
	assert_number(ipfwd_expect(b, 1), 4);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

static void the_oldest_gives_way_where_too_many_wait(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(1024, ipfwd_unknown);

	for (u16 i = 1; i <= NEIGHBOUR_QUEUE + 7; i++)
		send_to_host(b, i);
	assert_int_equal(COUNTED(b, WAIT_OVERFLOW), 7);
	assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
	answer(b);
	for (u16 i = 8; i <= NEIGHBOUR_QUEUE + 7; i++)
		assert_number(ipfwd_expect(b, 1), i);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

/* An eighth of the slots: many neighbours that are asked for at once can't take the pool away. */
static void only_a_part_of_the_pool_may_wait(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);
	u8 frame[FRAME_MOST];

	for (u32 i = 0; i < 60; i++)
		ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .dst = HOST + 1 + i, .payload = 64 }), NULL);
	assert_int_equal(b->r->slots_waiting, 8);
	assert_int_equal(COUNTED(b, WAIT_OVERFLOW), 52);
	ipfwd_close(b);
}

/* Nor may more wait than the table has places for, in a pool however large. Each comes back. */
static void places_to_wait_run_out_and_come_back(void **state)
{
	struct neighbours *table = aligned_alloc(64, sizeof *table);
	struct address address = address_ipv4(0);
	struct neighbour *n;
	u32 slot, i, k;
	u16 queue;

	for (unsigned round = 0; round < 3; round++) {
		if (!round)
			memset(table, 0, sizeof *table);
		memset(table->bucket, 0, sizeof table->bucket);
		for (i = 0; i < NEIGHBOUR_WAITING / NEIGHBOUR_QUEUE; i++) {
			address.word[0] = i;
			n = neighbour_new(table, FAMILY_IPV4, 0, &address, 0);
			for (k = 0; k < NEIGHBOUR_QUEUE; k++)
				assert_int_equal(neighbour_wait(table, n, i * 100 + k), -1);
			assert_int_equal(neighbour_wait(table, n, i * 100 + k), i * 100);
		}
		address.word[0] = i;
		n = neighbour_new(table, FAMILY_IPV4, 0, &address, 0);
		assert_int_equal(neighbour_wait(table, n, 7), 7);
		for (i = 0; i < NEIGHBOUR_WAITING / NEIGHBOUR_QUEUE; i++) {
			address.word[0] = i;
			n = neighbour_find(table, FAMILY_IPV4, 0, &address);
			queue = neighbour_take_waiting(n);
			for (k = 1; neighbour_next_waiting(table, &queue, &slot); k++)
				assert_int_equal(slot, i * 100 + k);
			assert_int_equal(k, NEIGHBOUR_QUEUE + 1);
			assert_int_equal(n->waiting, 0);
		}
	}
	free(table);
}

static void who_does_not_answer_is_unreachable(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);
	struct caught *c;

	b->r->redirects = false;
	send_to_host(b, 1);
	assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
	ipfwd_later(b, 1000);
	assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
	ipfwd_later(b, 500);
	ipfwd_expect_nothing(b);
	ipfwd_later(b, 500);
	assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
	ipfwd_expect_nothing(b);
	/* given up: its sender is told, once it is known where that is */
	ipfwd_later(b, 1000);
	assert_int_equal(COUNTED(b, HOST_UNREACHABLE), 1);
	assert_request(ipfwd_expect(b, 0), IP(10, 0, 0, 1), IP(10, 0, 0, 2));
	{
		u8 frame[60];

		ipfwd_in(b, 0, frame, make_arp(frame, 0, ARP_REPLY, IP(10, 0, 0, 2), IP(10, 0, 0, 1)), NULL);
	}
	c = ipfwd_expect(b, 0);
	assert_int_equal(c->frame[34], ICMP_UNREACHABLE);
	assert_int_equal(c->frame[35], UNREACHABLE_HOST);
	/* at once for the next ones */
	send_to_host(b, 2);
	c = ipfwd_expect(b, 0);
	assert_int_equal(c->frame[35], UNREACHABLE_HOST);
	ipfwd_expect_nothing(b);
	/* and after a while it is tried again */
	ipfwd_later(b, NEIGHBOUR_FAILED);
	send_to_host(b, 3);
	assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
	answer(b);
	assert_number(ipfwd_expect(b, 1), 3);
	ipfwd_close(b);
}

/* REACHABLE for 30 s, then asked again, unicast, while packets go on. */
static void asking_again_loses_no_packet(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);
	u16 number = 1;

	send_to_host(b, number);
	ipfwd_expect(b, 1);
	answer(b);
	assert_number(ipfwd_expect(b, 1), number);
	for (unsigned round = 0; round < 5; round++) {
		for (u64 ms = 0; ms < NEIGHBOUR_REACHABLE; ms += 1000) {
			ipfwd_expect_nothing(b);
			send_to_host(b, ++number);
			assert_number(ipfwd_expect(b, 1), number);
			ipfwd_later(b, 1000);
		}
		/* the next packet asks */
		ipfwd_expect_nothing(b);
		send_to_host(b, ++number);
		assert_unicast_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
		assert_number(ipfwd_expect(b, 1), number);
		send_to_host(b, ++number);
		assert_number(ipfwd_expect(b, 1), number);
		answer(b);
		ipfwd_expect_nothing(b);
	}
	ipfwd_close(b);
}

/* 3 unicast and 3 broadcast requests, a second apart, then it is gone. */
static void who_is_probed_in_vain_becomes_unreachable(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);

	send_to_host(b, 1);
	answer(b);
	while (ipfwd_next(b))
		;
	ipfwd_later(b, NEIGHBOUR_REACHABLE);
	send_to_host(b, 2);
	assert_unicast_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
	assert_number(ipfwd_expect(b, 1), 2);
	for (unsigned i = 1; i < 6; i++) {
		ipfwd_later(b, 1000);
		if (i < 3)
			assert_unicast_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
		else
			assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
		send_to_host(b, (u16)(10 + i));
		assert_number(ipfwd_expect(b, 1), (u16)(10 + i));
	}
	ipfwd_later(b, 1000);
	assert_int_equal(COUNTED(b, HOST_UNREACHABLE), 0);
	send_to_host(b, 99);
	assert_int_equal(COUNTED(b, HOST_UNREACHABLE), 1);
	ipfwd_close(b);
}

static void who_asks_the_router_is_known_to_it(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);
	u8 frame[60];

	ipfwd_in(b, 1, frame, make_arp(frame, 1, ARP_REQUEST, HOST, IP(10, 0, 1, 1)), NULL);
	assert_arp(ipfwd_expect(b, 1), ARP_REPLY, IP(10, 0, 1, 1), HOST);
	send_to_host(b, 1);
	assert_unicast_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);      /* known, not yet proved */
	assert_number(ipfwd_expect(b, 1), 1);
	ipfwd_close(b);
}

static void nobody_is_learnt_by_listening(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);
	u8 frame[60];

	ipfwd_in(b, 1, frame, make_arp(frame, 1, ARP_REQUEST, HOST, IP(10, 0, 1, 77)), NULL);
	ipfwd_in(b, 1, frame, make_arp(frame, 1, ARP_REPLY, HOST, IP(10, 0, 1, 77)), NULL);
	ipfwd_in(b, 1, frame, make_arp(frame, 1, ARP_REPLY, HOST, IP(10, 0, 1, 1)), NULL);      /* nobody asked */
	ipfwd_in(b, 1, frame, make_arp(frame, 1, ARP_REQUEST, IP(10, 5, 5, 5), IP(10, 0, 1, 1)), NULL);
	assert_int_equal(b->r->neighbours.high, 0);
	ipfwd_close(b);
}

/* A host's card was changed: it says so to all, and is believed; the old address goes on until then. */
static void a_new_mac_address_is_taken_over(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);
	u8 frame[60];
	struct caught *c;

	send_to_host(b, 1);
	answer(b);
	while (ipfwd_next(b))
		;
	make_arp(frame, 1, ARP_REQUEST, HOST, HOST);
	frame[27] = 0x77;
	ipfwd_in(b, 1, frame, 60, NULL);
	send_to_host(b, 2);
	c = ipfwd_expect(b, 1);
	assert_int_equal(c->frame[5], 0x77);
	assert_int_equal(c->frame[13], 0x06);           /* asked, there */
	c = ipfwd_expect(b, 1);
	assert_int_equal(c->frame[5], 0x77);
	assert_int_equal(ntohs(ipv4_of(c->frame)->id), 2);
	ipfwd_close(b);
}

static void a_static_neighbour_is_never_asked_nor_changed(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_standard);
	u8 frame[60];

	make_arp(frame, 1, ARP_REPLY, HOST, IP(10, 0, 1, 1));
	frame[27] = 0x77;
	ipfwd_in(b, 1, frame, 60, NULL);
	make_arp(frame, 1, ARP_REQUEST, HOST, HOST);
	frame[27] = 0x77;
	ipfwd_in(b, 1, frame, 60, NULL);
	for (unsigned hour = 0; hour < 5; hour++) {
		ipfwd_later(b, 3600000);
		send_to_host(b, 1);
		assert_number(ipfwd_expect(b, 1), 1);
	}
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

/* No slot but the packet's own: it becomes the request, and the next one goes through. */
static void without_a_free_slot_the_packet_becomes_the_request(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);

	ipfwd_hold_slots(b);
	send_to_host(b, 1);
	assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
	answer(b);
	ipfwd_expect_nothing(b);
	send_to_host(b, 2);
	assert_number(ipfwd_expect(b, 1), 2);
	/* and every half minute one more, unicast */
	ipfwd_later(b, NEIGHBOUR_REACHABLE);
	send_to_host(b, 3);
	assert_unicast_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
	send_to_host(b, 4);
	assert_number(ipfwd_expect(b, 1), 4);
	answer(b);
	send_to_host(b, 5);
	assert_number(ipfwd_expect(b, 1), 5);
	ipfwd_expect_nothing(b);
	ipfwd_give_slots_back(b);
	ipfwd_close(b);
}

/* Nothing of what was to be done to the packet is done to the request. */
static void a_super_packet_that_becomes_the_request_loses_its_offloads(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);
	struct europa_slot gso = { .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
				   .gso_type = EUROPA_GSO_TCPV4, .gso_size = 1448, .hdr_len = 54 };
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .protocol = PROTOCOL_TCP, .payload = 20000 });
	struct caught *c;

	frame[34 + 12] = 0x50;
	ipfwd_hold_slots(b);
	ipfwd_in(b, 0, frame, len, &gso);
	c = ipfwd_expect(b, 1);
	assert_request(c, IP(10, 0, 1, 1), HOST);
	assert_int_equal(c->meta.flags, 0);
	assert_int_equal(c->meta.gso_type, EUROPA_GSO_NONE);
	ipfwd_give_slots_back(b);
	ipfwd_close(b);
}

/* 0.0.0.0 in an ARP request is nobody, also where a subnet includes it. */
static void the_sender_of_a_probe_is_not_learnt(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, "address 0 1.0.0.1/5\n");
	u8 frame[60];

	ipfwd_in(b, 0, frame, make_arp(frame, 0, ARP_REQUEST, 0, IP(1, 0, 0, 1)), NULL);
	ipfwd_expect(b, 0);
	assert_int_equal(b->r->neighbours.high, 0);
	ipfwd_close(b);
}

/* A super-packet waits as any other, but not many do. */
static void super_packets_wait_too(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);
	struct europa_slot gso = { .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
				   .gso_type = EUROPA_GSO_TCPV4, .gso_size = 1448, .hdr_len = 54 };
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .protocol = PROTOCOL_TCP, .payload = 20000 });
	struct caught *c;

	frame[34 + 12] = 0x50;
	b->r->runs_may_wait = 1;
	ipfwd_in(b, 0, frame, len, &gso);
	ipfwd_in(b, 0, frame, len, &gso);
	assert_int_equal(COUNTED(b, WAIT_OVERFLOW), 1);
	assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), HOST);
	answer(b);
	c = ipfwd_expect(b, 1);
	assert_int_equal(c->len, len);
	assert_int_equal(c->meta.gso_size, 1448);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

/* The smallest pool there is forwards between two hosts that nobody knows at first. */
static void two_slots_are_enough(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(2, ipfwd_unknown);
	unsigned arrived = 0;
	struct caught *c;

	for (u16 i = 1; i <= 20; i++) {
		send_to_host(b, i);
		while ((c = ipfwd_next(b))) {
			if (c->frame[13] == 0x06)
				answer(b);
			else
				arrived++;
		}
	}
	assert_true(arrived >= 19);
	ipfwd_close(b);
}

static void addresses_are_announced_when_a_link_comes_up(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, ipfwd_unknown);

	ipfwd_later(b, 1000);
	ipfwd_expect_nothing(b);                        /* all links are down so far */
	b->bed.vr.vnics[1].flags |= EUROPA_VNIC_UP;
	ipfwd_later(b, 1000);
	assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), IP(10, 0, 1, 1));
	ipfwd_later(b, 10000);
	ipfwd_expect_nothing(b);
	b->bed.vr.vnics[1].flags &= ~EUROPA_VNIC_UP;
	ipfwd_later(b, 1000);
	b->bed.vr.vnics[1].flags |= EUROPA_VNIC_UP;
	ipfwd_later(b, 1000);
	assert_request(ipfwd_expect(b, 1), IP(10, 0, 1, 1), IP(10, 0, 1, 1));
	b->bed.vr.vnics[1].mac[5] = 0x55;               /* and when it got another MAC address */
	ipfwd_later(b, 1000);
	assert_int_equal(ipfwd_expect(b, 1)->frame[11], 0x55);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

/*
 * A full table, a packet that waited in vain, and its sender is not known either: to ask for the sender takes the place of the
 * very neighbour that is given up. What waited there must not be mixed up.
 */
static void the_one_that_is_given_up_may_be_replaced_at_once(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, "address 0 10.0.0.1/24\naddress 1 10.128.0.1/9\n");
	struct neighbours *table = &b->r->neighbours;
	u8 frame[FRAME_MOST];

	for (u32 i = 0; i < NEIGHBOURS; i++) {
		struct packet_form form = { .src = IP(10, 0, 0, 99), .dst = IP(10, 200, 0, 0) + i, .payload = 8 };

		ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
		if (i == 0) {           /* two more wait for the first */
			ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
			ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
		}
		for (unsigned k = 0; k < b->ncaught; k++)
			free(b->caught[k].frame);
		b->ncaught = b->next = 0;
	}
	assert_int_equal(table->at[1].waiting, 3);
	table->at[1].asked = NEIGHBOUR_ASKS;
	table->hand = NEIGHBOURS;
	ipfwd_later(b, NEIGHBOUR_ASK_AGAIN);
	assert_int_equal(COUNTED(b, HOST_UNREACHABLE), 3);
	assert_int_equal(table->at[1].address.word[0], IP(10, 0, 0, 99));
	ipfwd_close(b);
}

/*
 * Somebody scans a subnet through the router: the table stays in bounds, and a host that is there is served all the
 * same.
 */
static void a_scan_fills_the_table_and_no_more(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, "address 0 10.0.0.1/24\naddress 1 10.128.0.1/9\n"
					     "neighbour 10.0.0.2 02:aa:0a:00:00:02 dev 0\n");
	u8 frame[FRAME_MOST];
	u32 len;

	for (u32 i = 0; i < 3 * NEIGHBOURS; i++) {
		len = make_packet(frame, &(struct packet_form){ .dst = IP(10, 200, 0, 0) + i, .payload = 8 });
		ipfwd_in(b, 0, frame, len, NULL);
		if (i % 1000 == 999) {
			/* keeps what was caught in bounds */
			for (unsigned k = 0; k < b->ncaught; k++)
				free(b->caught[k].frame);
			b->ncaught = b->next = 0;
		}
	}
	assert_int_equal(b->r->neighbours.high, NEIGHBOURS);
	while (ipfwd_next(b))
		;
	len = make_packet(frame, &(struct packet_form){ .dst = IP(10, 222, 0, 1), .payload = 8 });
	ipfwd_in(b, 0, frame, len, NULL);
	assert_request(ipfwd_expect(b, 1), IP(10, 128, 0, 1), IP(10, 222, 0, 1));
	ipfwd_in(b, 1, frame, make_arp(frame, 1, ARP_REPLY, IP(10, 222, 0, 1), IP(10, 128, 0, 1)), NULL);
	len = make_packet(frame, &(struct packet_form){ .dst = IP(10, 222, 0, 1), .payload = 8 });
	ipfwd_in(b, 0, frame, len, NULL);
	assert_int_equal(ipv4_of(ipfwd_expect(b, 1)->frame)->protocol, PROTOCOL_UDP);
	ipfwd_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_own_address_is_answered_for_and_no_other),
		cmocka_unit_test(malformed_arp_is_dropped),
		cmocka_unit_test(packets_wait_for_the_answer_and_go_in_order),
		cmocka_unit_test(the_oldest_gives_way_where_too_many_wait),
		cmocka_unit_test(only_a_part_of_the_pool_may_wait),
		cmocka_unit_test(places_to_wait_run_out_and_come_back),
		cmocka_unit_test(who_does_not_answer_is_unreachable),
		cmocka_unit_test(asking_again_loses_no_packet),
		cmocka_unit_test(who_is_probed_in_vain_becomes_unreachable),
		cmocka_unit_test(who_asks_the_router_is_known_to_it),
		cmocka_unit_test(nobody_is_learnt_by_listening),
		cmocka_unit_test(a_new_mac_address_is_taken_over),
		cmocka_unit_test(a_static_neighbour_is_never_asked_nor_changed),
		cmocka_unit_test(without_a_free_slot_the_packet_becomes_the_request),
		cmocka_unit_test(a_super_packet_that_becomes_the_request_loses_its_offloads),
		cmocka_unit_test(the_sender_of_a_probe_is_not_learnt),
		cmocka_unit_test(super_packets_wait_too),
		cmocka_unit_test(two_slots_are_enough),
		cmocka_unit_test(addresses_are_announced_when_a_link_comes_up),
		cmocka_unit_test(the_one_that_is_given_up_may_be_replaced_at_once),
		cmocka_unit_test(a_scan_fills_the_table_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

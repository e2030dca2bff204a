// SPDX-License-Identifier: MIT
/* RFC 1812's rules, one row a rule: what goes in at vNIC 0, what comes out, and under which name it is counted. */
#include "tests/unit/ipfwd_bed.h"

#include <stdlib.h>

#define DROPPED   (-1)
#define NO_ICMP   0xff

#define COUNTED_ID(id) COUNT_##id, #id

struct rule {
	const char *name;
	struct packet_form form;
	/* then: */
	struct { u8 at, value; } change;        /* a byte of the frame, at > 0; the header's checksum is repaired ... */
	bool keep_checksum;                     /* ... or not */
	int longer;                             /* bytes that the frame is longer than the packet says */
	/* expected: */
	int out;                                /* vNIC, or DROPPED */
	enum counter counter;
	const char *counter_name;
	u8 icmp_type, icmp_code;                /* what comes back at vNIC 0 */
};

#define SENT(vnic)         .out = (vnic), .counter = COUNT_FORWARDED, .counter_name = "FORWARDED", .icmp_type = NO_ICMP
#define SILENT(id)         .out = DROPPED, .counter = COUNT_##id, .counter_name = #id, .icmp_type = NO_ICMP
#define TOLD(id, type, code) .out = DROPPED, .counter = COUNT_##id, .counter_name = #id, .icmp_type = (type), .icmp_code = (code)

static const u8 nops[4] = { 1, 1, 1, 0 };
static const u8 router_alert[4] = { 148, 4, 0, 0 };
static const u8 loose_route[8] = { 131, 7, 4, 10, 0, 1, 2, 0 };
static const u8 strict_route[8] = { 137, 7, 4, 10, 0, 1, 2, 0 };
static const u8 length_of_one[4] = { 68, 1, 0, 0 };
static const u8 beyond_header[4] = { 68, 5, 5, 0 };
static const u8 record_pointer_low[8] = { 7, 7, 3, 0, 0, 0, 0, 0 };
static const u8 record_no_room[8] = { 7, 7, 6, 0, 0, 0, 0, 0 };

#define OPTIONS(o) .options = o, .noptions = sizeof o

static const struct rule rules[] = {
	/* where to */
	{ "a connected host", .form = { .payload = 64 }, SENT(1) },
	{ "through a gateway", .form = { .dst = IP(10, 9, 1, 1), .payload = 64 }, SENT(1) },
	{ "the longer prefix wins", .form = { .dst = IP(10, 9, 8, 1), .payload = 64 }, SENT(0) },
	{ "the host route wins", .form = { .dst = IP(10, 9, 8, 7), .payload = 64 }, SILENT(BLACKHOLED) },
	{ "no route", .form = { .dst = IP(8, 8, 8, 8), .payload = 64 }, TOLD(NO_ROUTE, 3, 0) },
	{ "an unreachable route", .form = { .dst = IP(10, 7, 0, 1), .payload = 64 }, TOLD(NO_ROUTE, 3, 1) },
	{ "a prohibited route", .form = { .dst = IP(10, 8, 0, 1), .payload = 64 }, TOLD(PROHIBITED, 3, 13) },

	/* headers, 5.2.2 */
	{ "no payload at all", .form = { .payload = 0 }, SENT(1) },
	{ "padding after the packet", .form = { .payload = 8 }, .longer = 18, SENT(1) },
	{ "version 6 under IPv4's type", .form = { .payload = 64 }, .change = { 14, 0x65 }, SILENT(BAD_HEADER) },
	{ "header of 16 bytes", .form = { .payload = 64 }, .change = { 14, 0x44 }, .keep_checksum = true,
	  SILENT(BAD_HEADER) },
	{ "header longer than the frame", .form = { .payload = 8 }, .change = { 14, 0x4f }, .keep_checksum = true,
	  SILENT(BAD_HEADER) },
	{ "total length below the header's", .form = { .payload = 64 }, .change = { 17, 19 }, SILENT(BAD_HEADER) },
	{ "total length beyond the frame", .form = { .payload = 64 }, .longer = -1, SILENT(BAD_HEADER) },
	{ "a wrong checksum", .form = { .payload = 64 }, .change = { 24, 0x55 }, .keep_checksum = true,
	  SILENT(BAD_CHECKSUM) },
	{ "cut within the header", .form = { .payload = 0 }, .longer = -1, SILENT(TOO_SHORT) },

	/* TTL, 5.3.1 */
	{ "TTL 2", .form = { .ttl = 2, .payload = 64 }, SENT(1) },
	{ "TTL 1", .form = { .ttl = 1, .payload = 64 }, TOLD(TTL_EXCEEDED, 11, 0) },
	{ "TTL 0", .form = { .payload = 64 }, .change = { 22, 0 }, TOLD(TTL_EXCEEDED, 11, 0) },
	{ "no route comes before TTL", .form = { .dst = IP(8, 8, 8, 8), .ttl = 1, .payload = 64 }, TOLD(NO_ROUTE, 3, 0) },

	/* martians, 5.3.7 */
	{ "source 0.0.0.0", .form = { .payload = 64 }, .change = { 26, 0 }, SILENT(MARTIAN_SOURCE) },
	{ "source 127.0.0.2", .form = { .src = IP(127, 0, 0, 2), .payload = 64 }, SILENT(MARTIAN_SOURCE) },
	{ "source multicast", .form = { .src = IP(224, 0, 0, 2), .payload = 64 }, SILENT(MARTIAN_SOURCE) },
	{ "source class E", .form = { .src = IP(240, 0, 0, 2), .payload = 64 }, SILENT(MARTIAN_SOURCE) },
	{ "source limited broadcast", .form = { .src = IP(255, 255, 255, 255), .payload = 64 }, SILENT(MARTIAN_SOURCE) },
	{ "source link-local", .form = { .src = IP(169, 254, 0, 2), .payload = 64 }, SILENT(LINK_LOCAL) },
	{ "source 169.253", .form = { .src = IP(169, 253, 0, 2), .payload = 64 }, SENT(1) },
	{ "destination 0.0.0.1", .form = { .dst = IP(0, 0, 0, 1), .payload = 64 }, SILENT(MARTIAN_DEST) },
	{ "destination 127.0.0.1", .form = { .dst = IP(127, 0, 0, 1), .payload = 64 }, SILENT(MARTIAN_DEST) },
	{ "destination class E", .form = { .dst = IP(250, 0, 0, 1), .payload = 64 }, SILENT(MARTIAN_DEST) },
	{ "destination link-local", .form = { .dst = IP(169, 254, 0, 2), .payload = 64 }, SILENT(LINK_LOCAL) },
	{ "destination multicast", .form = { .dst = IP(224, 0, 0, 5), .payload = 64 }, SILENT(MULTICAST) },
	{ "destination 239.255.255.250", .form = { .dst = IP(239, 255, 255, 250), .payload = 64 }, SILENT(MULTICAST) },

	/* broadcasts, 5.3.5 */
	{ "limited broadcast", .form = { .dst = 0xffffffff, .payload = 64 }, SILENT(BROADCAST) },
	{ "directed broadcast of the other subnet", .form = { .dst = IP(10, 0, 1, 255), .payload = 64 },
	  SILENT(DIRECTED_CAST) },
	{ "the old form of it", .form = { .dst = IP(10, 0, 1, 0), .payload = 64 }, SILENT(DIRECTED_CAST) },
	{ "directed broadcast of its own subnet", .form = { .dst = IP(10, 0, 0, 255), .payload = 64 }, SILENT(BROADCAST) },
	{ "to a unicast address by Ethernet broadcast", .form = { .payload = 64 }, .change = { 0, 0 }, SILENT(BROADCAST) },

	/* options, 5.3.13 */
	{ "no-operations", .form = { .payload = 64, OPTIONS(nops) }, SENT(1) },
	{ "router alert", .form = { .payload = 64, OPTIONS(router_alert) }, SENT(1) },
	{ "loose source route", .form = { .payload = 64, OPTIONS(loose_route) }, SILENT(SOURCE_ROUTED) },
	{ "strict source route", .form = { .payload = 64, OPTIONS(strict_route) }, SILENT(SOURCE_ROUTED) },
	{ "an option of length 1", .form = { .payload = 64, OPTIONS(length_of_one) }, TOLD(BAD_OPTIONS, 12, 0) },
	{ "an option longer than the header", .form = { .payload = 64, OPTIONS(beyond_header) }, TOLD(BAD_OPTIONS, 12, 0) },
	{ "a record route pointing before itself", .form = { .payload = 64, OPTIONS(record_pointer_low) },
	  TOLD(BAD_OPTIONS, 12, 0) },
	{ "a record route with half a place", .form = { .payload = 64, OPTIONS(record_no_room) }, TOLD(BAD_OPTIONS, 12, 0) },
	{ "bad options to a directed broadcast", .form = { .dst = IP(10, 0, 1, 255), .payload = 64, OPTIONS(length_of_one) },
	  SILENT(DIRECTED_CAST) },
	{ "TTL 1 with options", .form = { .ttl = 1, .payload = 64, OPTIONS(nops) }, TOLD(TTL_EXCEEDED, 11, 0) },
	{ "a wrong checksum with options", .form = { .payload = 64, OPTIONS(nops) }, .change = { 24, 0x55 },
	  .keep_checksum = true, SILENT(BAD_CHECKSUM) },
	{ "martian source with options", .form = { .src = IP(127, 0, 0, 1), .payload = 64, OPTIONS(nops) },
	  SILENT(MARTIAN_SOURCE) },

	/* sizes, 5.2.6 */
	{ "exactly the MTU", .form = { .payload = 1480 }, SENT(1) },
	{ "one more, DF", .form = { .payload = 1481, .fragment = IPV4_DF }, TOLD(TOO_BIG, 3, 4) },
	{ "TTL 1 comes before size", .form = { .payload = 1481, .fragment = IPV4_DF, .ttl = 1 },
	  TOLD(TTL_EXCEEDED, 11, 0) },

	/* no error about these, 4.3.2.7 */
	{ "TTL 1 in a later fragment", .form = { .ttl = 1, .fragment = 100, .payload = 64 }, SILENT(TTL_EXCEEDED) },
	{ "TTL 1 in the first fragment", .form = { .ttl = 1, .fragment = IPV4_MF, .payload = 64 },
	  TOLD(TTL_EXCEEDED, 11, 0) },
	{ "no route back to the source", .form = { .src = IP(8, 8, 8, 8), .ttl = 1, .payload = 64 }, SILENT(TTL_EXCEEDED) },
	{ "the source is a broadcast address", .form = { .src = IP(10, 0, 0, 255), .ttl = 1, .payload = 64 },
	  SILENT(TTL_EXCEEDED) },
	{ "the source is the router's own", .form = { .src = IP(10, 0, 1, 1), .ttl = 1, .payload = 64 },
	  SILENT(TTL_EXCEEDED) },

	/* for the router itself */
	{ "UDP to it", .form = { .dst = IP(10, 0, 0, 1), .payload = 64 }, TOLD(NO_SERVICE, 3, 3) },
	{ "UDP to its other address, TTL 1", .form = { .dst = IP(10, 0, 1, 1), .ttl = 1, .payload = 64 },
	  TOLD(NO_SERVICE, 3, 3) },
	{ "TCP to it", .form = { .dst = IP(10, 0, 0, 1), .protocol = 6, .payload = 64 }, TOLD(NO_SERVICE, 3, 2) },
	{ "OSPF to it", .form = { .dst = IP(10, 0, 0, 1), .protocol = 89, .payload = 64 }, TOLD(NO_SERVICE, 3, 2) },
	{ "a fragment to it", .form = { .dst = IP(10, 0, 0, 1), .fragment = IPV4_MF, .payload = 64 },
	  SILENT(LOCAL_FRAGMENT) },
};

static u32 make(u8 *frame, const struct rule *rule)
{
	u32 len = make_packet(frame, &rule->form);

	if (!strcmp(rule->name, "to a unicast address by Ethernet broadcast")) {
		memset(frame, 0xff, 6);
		return len;
	}
	if (rule->change.at == 26)
		memset(frame + 26, 0, 4);
	else if (rule->change.at == 17)
		frame[16] = 0, frame[17] = rule->change.value;
	else if (rule->change.at)
		frame[rule->change.at] = rule->change.value;
	if (!rule->keep_checksum && rule->change.at && (frame[14] & 15) >= 5)
		repair_checksum(frame);
	if (rule->longer > 0)
		memset(frame + len, 0, (size_t)rule->longer);
	return len + (u32)rule->longer;
}

static void check_error(const struct rule *rule, const struct caught *c, const u8 *frame, u32 len)
{
	const struct ipv4 *ip = ipv4_of(c->frame), *about = ipv4_of((u8 *)frame);
	const struct icmp *icmp = (const struct icmp *)(ip + 1);
	u32 quoted = ntohs(ip->total) - IPV4_BYTES - ICMP_BYTES, packet = ntohs(about->total);
	u8 mac[6];

	assert_ipv4_sound(c->frame, c->len);
	assert_int_equal(ip->protocol, PROTOCOL_ICMP);
	assert_int_equal(ip->dst, about->src);
	assert_int_equal(ntohl(ip->src), IP(10, 0, 0, 1));
	assert_int_equal(ip->fragment, 0);
	assert_int_equal(icmp->type, rule->icmp_type);
	assert_int_equal(icmp->code, rule->icmp_code);
	assert_true(checksum_holds(icmp, ntohs(ip->total) - IPV4_BYTES));
	assert_int_equal(quoted, packet < 548 ? packet : 548);
	assert_memory_equal(icmp + 1, about, quoted);
	mac_of_host(mac, IP(10, 0, 0, 2));
	assert_memory_equal(c->frame, mac, 6);
	mac_of_vnic(mac, 0);
	assert_memory_equal(c->frame + 6, mac, 6);
	assert_int_equal(c->meta.flags & EUROPA_SLOT_NEEDS_CSUM, 0);
}

/* The packet as it came but for TTL, checksum and MAC addresses. */
static void check_forwarded(const struct caught *c, const u8 *frame)
{
	u32 len = ETHERNET_BYTES + ntohs(ipv4_of((u8 *)frame)->total);
	u8 expected[FRAME_MOST], mac[6];

	memcpy(expected, frame, len);
	ipv4_of(expected)->ttl--;
	repair_checksum(expected);
	assert_int_equal(c->len, len);
	assert_memory_equal(c->frame + ETHERNET_BYTES, expected + ETHERNET_BYTES, len - ETHERNET_BYTES);
	mac_of_vnic(mac, c->vnic);
	assert_memory_equal(c->frame + 6, mac, 6);
}

static void check_rule(struct ipfwd_bed *b, const struct rule *rule)
{
	u8 frame[FRAME_MOST];
	u32 len = make(frame, rule);
	uint64_t before = b->r->count[rule->counter];
	struct caught *c;

	ipfwd_later(b, 1000);           /* ICMP's bucket is full again */
	ipfwd_in(b, 0, frame, len, NULL);
	if (b->r->count[rule->counter] != before + 1)
		fail_msg("%s: not counted as %s", rule->name, rule->counter_name);
	c = ipfwd_next(b);
	if (rule->out == DROPPED && rule->icmp_type == NO_ICMP) {
		if (c)
			fail_msg("%s: something was sent", rule->name);
		return;
	}
	if (!c)
		fail_msg("%s: nothing was sent", rule->name);
	if (rule->icmp_type != NO_ICMP)
		check_error(rule, c, frame, len);
	else if ((int)c->vnic != rule->out)
		fail_msg("%s: sent by vNIC %u", rule->name, c->vnic);
	else
		check_forwarded(c, frame);
	ipfwd_expect_nothing(b);
}

static void every_rule_holds(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);

	b->r->redirects = false;
	for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++)
		check_rule(b, &rules[i]);
	ipfwd_close(b);
}

/* All that works with two slots, of which none can be had by europa_alloc, works in place. */
static void every_rule_holds_in_a_pool_of_two_slots(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(2, ipfwd_standard);

	b->r->redirects = false;
	for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++)
		check_rule(b, &rules[i]);
	assert_int_equal(b->r->count[COUNT_NO_SLOT], 0);
	ipfwd_close(b);
}

static void every_ttl_is_decremented_with_the_right_checksum(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	u8 frame[FRAME_MOST];
	struct caught *c;

	for (unsigned ttl = 2; ttl <= 255; ttl++) {
		/* The id makes the checksum anything, the corners 0x0000 and 0xfeff .. 0xffff among it. */
		const u16 wanted[] = { 0x0000, 0x0001, 0x00ff, 0x0100, 0xfdff, 0xfe00, 0xfefe, 0xfeff, 0xff00, 0xfffe, 0x8000 };

		for (unsigned i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
			u32 len = make_packet(frame, &(struct packet_form){ .ttl = (u8)ttl, .payload = 8, .id = 1 });
			struct ipv4 *ip = ipv4_of(frame);

			/* The id that gives the wanted checksum. */
			ip->id = 0;
			ip->checksum = htons(wanted[i]);
			ip->id = checksum_of(ip, IPV4_BYTES);
			assert_true(checksum_holds(ip, IPV4_BYTES));
			ipfwd_in(b, 0, frame, len, NULL);
			c = ipfwd_expect(b, 1);
			check_forwarded(c, frame);
			/* The same field in its other form of zero is as good. */
			if (wanted[i] == 0) {
				ip->checksum = 0xffff;
				ipfwd_in(b, 0, frame, len, NULL);
				assert_ipv4_sound(ipfwd_expect(b, 1)->frame, len);
			}
		}
	}
	ipfwd_close(b);
}

static void a_burst_keeps_its_order_and_goes_where_each_belongs(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	u8 frame[FRAME_MOST];
	u16 id[2] = { 0, 0 };
	struct caught *c;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 60; i++) {
			struct packet_form form = { .payload = 8 + i, .id = (u16)(1000 + i) };

			form.dst = i % 3 == 0 ? IP(10, 9, 8, 1) : i % 3 == 1 ? IP(10, 0, 1, 2) : IP(10, 9, 8, 7);
			ipfwd_put(b, 0, frame, make_packet(frame, &form), NULL);
		}
		ipfwd_turn(b);
		id[0] = id[1] = 0;
		for (unsigned sent = 0; (c = ipfwd_next(b)); sent++) {
			u16 this = ntohs(ipv4_of(c->frame)->id);

			if (ipv4_of(c->frame)->protocol == PROTOCOL_ICMP)
				continue;
			assert_true(this > id[c->vnic]);
			id[c->vnic] = this;
			assert_int_equal((this - 1000) % 3, c->vnic);
		}
		assert_int_equal(id[0], 1057);
		assert_int_equal(id[1], 1058);
	}
	assert_int_equal(COUNTED(b, BLACKHOLED), 60);
	assert_int_equal(COUNTED(b, RECEIVED), 180);
	ipfwd_close(b);
}

static void the_gateway_gets_what_is_not_for_the_link(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	u8 frame[FRAME_MOST], mac[6];

	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .dst = IP(10, 9, 1, 1), .payload = 8 }), NULL);
	mac_of_host(mac, IP(10, 0, 1, 9));
	assert_memory_equal(ipfwd_expect(b, 1)->frame, mac, 6);
	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .payload = 8 }), NULL);
	mac_of_host(mac, IP(10, 0, 1, 2));
	assert_memory_equal(ipfwd_expect(b, 1)->frame, mac, 6);
	ipfwd_close(b);
}

static void record_route_gets_the_address_of_the_way_out(void **state)
{
	static const u8 empty[12] = { 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const u8 full[8] = { 7, 7, 8, 1, 2, 3, 4, 0 };
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	u8 frame[FRAME_MOST], recorded[12] = { 7, 11, 8, 10, 0, 1, 1, 0, 0, 0, 0, 0 };
	struct caught *c;

	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .payload = 8, OPTIONS(empty) }), NULL);
	c = ipfwd_expect(b, 1);
	assert_ipv4_sound(c->frame, c->len);
	assert_memory_equal(c->frame + 34, recorded, 12);
	assert_int_equal(ipv4_of(c->frame)->ttl, 63);
	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .payload = 8, OPTIONS(full) }), NULL);
	c = ipfwd_expect(b, 1);
	assert_ipv4_sound(c->frame, c->len);
	assert_memory_equal(c->frame + 34, full, 8);
	ipfwd_close(b);
}

static void the_pointer_names_the_bad_byte(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	u8 frame[FRAME_MOST];

	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .payload = 8, OPTIONS(length_of_one) }), NULL);
	assert_int_equal(ipfwd_expect(b, 0)->frame[38], 21);
	ipfwd_in(b, 0, frame, make_packet(frame, &(struct packet_form){ .payload = 8, OPTIONS(record_pointer_low) }), NULL);
	assert_int_equal(ipfwd_expect(b, 0)->frame[38], 22);
	ipfwd_close(b);
}

static void frames_for_others_are_left_alone(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .payload = 64 });

	frame[5] ^= 1;
	ipfwd_in(b, 0, frame, len, NULL);
	assert_int_equal(COUNTED(b, NOT_FOR_ME), 1);
	frame[5] ^= 1;
	frame[0] |= 1;
	ipfwd_in(b, 0, frame, len, NULL);
	assert_int_equal(COUNTED(b, MULTICAST), 1);
	frame[0] &= 0xfe;
	frame[12] = 0x86, frame[13] = 0xdd;
	ipfwd_in(b, 0, frame, len, NULL);
	assert_int_equal(COUNTED(b, OTHER_PROTOCOL), 1);
	ipfwd_in(b, 0, frame, 14, NULL);
	assert_int_equal(COUNTED(b, OTHER_PROTOCOL), 2);
	ipfwd_in(b, 0, frame, 13, NULL);
	assert_int_equal(COUNTED(b, TOO_SHORT), 1);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

static void a_source_that_belongs_elsewhere_is_dropped_where_it_is_asked_for(void **state)
{
	static const struct { u32 src; bool passes; } from[] = {
		{ IP(10, 0, 0, 2), true }, { IP(10, 9, 8, 1), true }, { IP(10, 0, 1, 9), false }, { IP(10, 9, 1, 1), false },
		{ IP(8, 8, 8, 8), false }, { IP(10, 0, 0, 1), false }, { IP(10, 0, 0, 255), false }, { IP(10, 9, 8, 7), false },
	};
	char config[1000];
	struct ipfwd_bed *b;
	u8 frame[FRAME_MOST];

	snprintf(config, sizeof config, "%ssource-check on\n", ipfwd_standard);
	b = ipfwd_open(64, config);
	for (unsigned i = 0; i < sizeof from / sizeof from[0]; i++) {
		struct packet_form form = { .src = from[i].src, .payload = 8 };

		ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
		assert_int_equal(!!ipfwd_next(b), from[i].passes);
		form.options = nops, form.noptions = sizeof nops;
		ipfwd_in(b, 0, frame, make_packet(frame, &form), NULL);
		assert_int_equal(!!ipfwd_next(b), from[i].passes);
	}
	assert_int_equal(COUNTED(b, WRONG_SOURCE), 12);
	ipfwd_close(b);
}

static void a_port_with_a_vlan_takes_and_sends_that_tag(void **state)
{
	char config[1000];
	struct ipfwd_bed *b;
	struct europa_slot tag5 = { .flags = EUROPA_SLOT_VLAN, .vlan_tci = 0xe005, .vlan_proto = 0x8100 };
	struct europa_slot tag6 = { .flags = EUROPA_SLOT_VLAN, .vlan_tci = 6, .vlan_proto = 0x8100 };
	struct europa_slot priority = { .flags = EUROPA_SLOT_VLAN, .vlan_tci = 0xe000, .vlan_proto = 0x8100 };
	u8 frame[FRAME_MOST];
	struct caught *c;
	u32 len;

	snprintf(config, sizeof config, "%svlan 0 5\n", ipfwd_standard);
	b = ipfwd_open(256, config);
	len = make_packet(frame, &(struct packet_form){ .payload = 64 });
	ipfwd_in(b, 0, frame, len, NULL);
	ipfwd_in(b, 0, frame, len, &tag6);
	ipfwd_in(b, 0, frame, len, &priority);
	assert_int_equal(COUNTED(b, OTHER_VLAN), 3);
	ipfwd_in(b, 0, frame, len, &tag5);
	c = ipfwd_expect(b, 1);         /* vNIC 1 has none */
	assert_int_equal(c->meta.flags & EUROPA_SLOT_VLAN, 0);
	len = make_packet(frame, &(struct packet_form){ .src = IP(10, 0, 1, 2), .dst = IP(10, 0, 0, 2), .payload = 64 });
	frame[5] = 1;
	ipfwd_in(b, 1, frame, len, &priority);
	c = ipfwd_expect(b, 0);
	assert_int_equal(c->meta.flags & EUROPA_SLOT_VLAN, EUROPA_SLOT_VLAN);
	assert_int_equal(c->meta.vlan_tci, 5);
	assert_int_equal(c->meta.vlan_proto, 0x8100);
	ipfwd_close(b);
}

/* 64 entries in the ring, nobody takes them: what is beyond is dropped and counted, and given back. */
static void what_the_switch_does_not_take_is_dropped(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	u32 slots[ROUTER_BURST];
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .payload = 64 });

	for (unsigned i = 0; i < 100; i++) {
		ipfwd_put(b, 0, frame, len, NULL);
		if (europa_rx(b->bed.eu, 0, slots, 1) == 1)
			router_receive(b->r, 0, slots, 1);
		router_flush(b->r);
	}
	assert_int_equal(COUNTED(b, FORWARDED), 100);
	assert_int_equal(COUNTED(b, TX_FULL), 36);
	ipfwd_turn(b);
	for (unsigned i = 0; i < 64; i++)
		ipfwd_expect(b, 1);
	ipfwd_expect_nothing(b);
	ipfwd_close(b);
}

static void routes_come_and_go_while_it_runs(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(256, ipfwd_standard);
	struct prefix to = prefix_ipv4(IP(192, 168, 0, 0), 16);
	struct route_target target = { .kind = NEXTHOP_GATEWAY, .port = 1, .gateway = address_ipv4(IP(10, 0, 1, 9)) };
	struct prefix v6 = { .family = FAMILY_IPV6, .length = 64 };
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .dst = IP(192, 168, 3, 4), .payload = 8 });
	u16 ids = b->r->nexthops.used;

	assert_int_equal(route_delete(b->r, &to), -ENOENT);
	assert_int_equal(route_add(b->r, &to, &target), 0);
	assert_int_equal(route_add(b->r, &to, &target), -EEXIST);
	assert_int_equal(b->r->nexthops.used, ids);             /* the gateway is known */
	ipfwd_in(b, 0, frame, len, NULL);
	ipfwd_expect(b, 1);
	target.gateway = address_ipv4(IP(10, 0, 0, 7));
	target.port = 0;
	assert_int_equal(route_replace(b->r, &to, &target), 0);
	b->r->redirects = false;
	ipfwd_in(b, 0, frame, len, NULL);
	ipfwd_expect(b, 0);
	assert_int_equal(route_delete(b->r, &to), 0);
	ipfwd_in(b, 0, frame, len, NULL);
	assert_int_equal(COUNTED(b, NO_ROUTE), 1);
	/* a thousand gateways, one after the other: ids are used again */
	for (u32 i = 0; i < 1000; i++) {
		target.gateway = address_ipv4(IP(10, 0, 0, 0) + 2 + i);
		assert_int_equal(route_replace(b->r, &to, &target), 0);
	}
	assert_int_equal(route_delete(b->r, &to), 0);
	assert_true(b->r->nexthops.used <= ids + 2);
	assert_int_equal(route_add(b->r, &v6, &target), -EAFNOSUPPORT);
	to = prefix_ipv4(IP(192, 168, 0, 1), 16);
	assert_int_equal(route_add(b->r, &to, &target), -EINVAL);
	to = prefix_ipv4(IP(192, 168, 0, 0), 16);
	target.port = 2;
	assert_int_equal(route_add(b->r, &to, &target), -EINVAL);
	ipfwd_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_holds),
		cmocka_unit_test(every_rule_holds_in_a_pool_of_two_slots),
		cmocka_unit_test(every_ttl_is_decremented_with_the_right_checksum),
		cmocka_unit_test(a_burst_keeps_its_order_and_goes_where_each_belongs),
		cmocka_unit_test(the_gateway_gets_what_is_not_for_the_link),
		cmocka_unit_test(record_route_gets_the_address_of_the_way_out),
		cmocka_unit_test(the_pointer_names_the_bad_byte),
		cmocka_unit_test(frames_for_others_are_left_alone),
		cmocka_unit_test(a_source_that_belongs_elsewhere_is_dropped_where_it_is_asked_for),
		cmocka_unit_test(a_port_with_a_vlan_takes_and_sends_that_tag),
		cmocka_unit_test(what_the_switch_does_not_take_is_dropped),
		cmocka_unit_test(routes_come_and_go_while_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

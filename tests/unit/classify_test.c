// SPDX-License-Identifier: MIT
/* The classifier: frames, rules, and who gets what, as tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/classify.h"

/* ---- frames ---- */

struct frame {
	u8 bytes[256];
	u32 len;
};

static void put(struct frame *f, const void *bytes, u32 n)
{
	memcpy(f->bytes + f->len, bytes, n);
	f->len += n;
}

static void put16(struct frame *f, u16 value)
{
	put(f, (u8[]){ value >> 8, value }, 2);
}

/* 02:00:00:00:00:NN */
static void put_mac(struct frame *f, u8 last)
{
	put(f, (u8[]){ 2, 0, 0, 0, 0, last }, 6);
}

static struct frame ethernet(u8 to, u16 type)
{
	struct frame f = { .len = 0 };

	put_mac(&f, to);
	put_mac(&f, 0xee);
	put16(&f, type);
	return f;
}

static struct frame to_group(struct frame f, u8 first)
{
	memset(f.bytes, 0xff, 6);
	f.bytes[0] = first;
	return f;
}

/* Pushes a tag in front of the EtherType. */
static struct frame tagged(struct frame f, u16 proto, u16 tci)
{
	memmove(f.bytes + 16, f.bytes + 12, f.len - 12);
	f.bytes[12] = proto >> 8;
	f.bytes[13] = proto;
	f.bytes[14] = tci >> 8;
	f.bytes[15] = tci;
	f.len += 4;
	return f;
}

static void put_udp(struct frame *f, u16 port)
{
	put16(f, 0x3039);
	put16(f, port);
	put16(f, 100);
	put16(f, 0);
}

static void put_vxlan(struct frame *f, u8 flags, u32 vni)
{
	put(f, (u8[]){ flags, 0, 0, 0, vni >> 16, vni >> 8, vni, 0 }, 8);
}

/* IPv4 to a.b.c.d with `options` words of options. */
static struct frame ipv4(u8 proto, u32 dst, u16 fragment, u8 options)
{
	struct frame f = ethernet(0x77, 0x0800);
	u8 header[20] = { [0] = 0x45 + options, [6] = fragment >> 8, fragment, 64, proto,
			  [16] = dst >> 24, dst >> 16, dst >> 8, dst };

	put(&f, header, 20);
	for (; options > 0; options--)
		put(&f, "\1\1\1\1", 4);
	return f;
}

static struct frame udp4(u32 dst, u16 port)
{
	struct frame f = ipv4(17, dst, 0, 0);

	put_udp(&f, port);
	return f;
}

/* IPv6 to 2001:db8::NN. */
static struct frame ipv6(u8 next, u8 last)
{
	struct frame f = ethernet(0x77, 0x86dd);
	u8 header[40] = { [0] = 0x60, [6] = next, 64, [24] = 0x20, 0x01, 0x0d, 0xb8, [39] = last };

	put(&f, header, 40);
	return f;
}

static struct frame udp6(u8 last, u16 port)
{
	struct frame f = ipv6(17, last);

	put_udp(&f, port);
	return f;
}

static struct frame vxlan(u16 port, u8 flags, u32 vni)
{
	struct frame f = udp4(0x0a090909, port);

	put_vxlan(&f, flags, vni);
	return f;
}

/* An extension header of 8 * (units + 1) bytes. */
static void put_extension(struct frame *f, u8 next, u8 units)
{
	u8 bytes[64] = { next, units };

	put(f, bytes, 8 * (units + 1));
}

/* ---- rules ---- */

static const struct rule rules[] = {
	{ .kind = RULE_MAC, .target = 0, .mac = { 2, 0, 0, 0, 0, 1 } },
	{ .kind = RULE_MAC, .target = 1, .mac = { 2, 0, 0, 0, 0, 2 } },
	{ .kind = RULE_VLAN, .target = 10, .mac = { 2, 0, 0, 0, 0, 10 }, .number = 100 },
	{ .kind = RULE_VLAN, .target = 11, .mac = { 2, 0, 0, 0, 0, 11 }, .number = 101 },
	{ .kind = RULE_ETHERTYPE, .target = 20, .mac = { 2, 0, 0, 0, 0, 20 }, .number = 0x8847 },
	{ .kind = RULE_IP, .target = 30, .mac = { 2, 0, 0, 0, 0, 30 }, .family = 4, .prefix_len = 8, .address = { 10 } },
	{ .kind = RULE_IP, .target = 31, .mac = { 2, 0, 0, 0, 0, 31 }, .family = 4, .prefix_len = 23, .address = { 10, 1, 3 } },
	{ .kind = RULE_IP, .target = 32, .mac = { 2, 0, 0, 0, 0, 32 }, .family = 4, .prefix_len = 32, .address = { 10, 1, 2, 3 } },
	{ .kind = RULE_IP, .target = 33, .mac = { 2, 0, 0, 0, 0, 33 }, .family = 6, .prefix_len = 32, .address = { 0x20, 1, 0x0d, 0xb8 } },
	{ .kind = RULE_IP, .target = 34, .mac = { 2, 0, 0, 0, 0, 34 }, .family = 6, .prefix_len = 128,
	  .address = { 0x20, 1, 0x0d, 0xb8, [15] = 5 } },
	{ .kind = RULE_IP, .target = 35, .mac = { 2, 0, 0, 0, 0, 35 }, .family = 4, .prefix_len = 4, .address = { 0xe0 } },
	{ .kind = RULE_UDP, .target = 40, .mac = { 2, 0, 0, 0, 0, 40 }, .number = 53 },
	{ .kind = RULE_VXLAN, .target = 50, .mac = { 2, 0, 0, 0, 0, 50 }, .vni = 0x123456 },
	{ .kind = RULE_FILTER, .target = 60, .mac = { 2, 0, 0, 0, 0, 60 }, .filter = "\x99" },
	{ .kind = RULE_FILTER, .target = 61, .mac = { 2, 0, 0, 0, 0, 61 }, .filter = "\x99" },
	{ .kind = RULE_FILTER, .target = 62, .mac = { 2, 0, 0, 0, 0, 62 }, .filter = "\xff" },
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

/* Only ever handed on. */
#define WHOLE ((const void *)rules)

/* The filter's program is a byte; it matches frames whose destination ends with it. */
static bool run_filter(const void *filter, const u8 *frame, u32 len, const void *whole)
{
	assert_true(len >= 14);
	assert_true(whole == WHOLE);
	return frame[5] == *(const u8 *)filter;
}

static struct classifier *fresh(void)
{
	return classifier_init(malloc(classifier_memory()), run_filter);
}

static struct classifier *with_rules(void)
{
	struct classifier *c = fresh();
	size_t i;

	for (i = 0; i < RULES; i++)
		assert_int_equal(classifier_add(c, &rules[i]), 0);
	return c;
}

/* ---- who gets what ---- */

/* "30 31": targets in ascending order. The frame is in memory of exactly its length. */
static void assert_targets(const struct classifier *c, const char *what, const struct frame *f, int tci, const char *wanted)
{
	u16 targets[CLASSIFY_MAX_TARGETS];
	char got[2048] = "";
	u8 *exact = malloc(f->len);
	u32 i, n;

	memcpy(exact, f->bytes, f->len);
	n = classify(c, exact, f->len, WHOLE, tci, targets);
	free(exact);
	for (i = 0; i < n; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), i ? " %u" : "%u", targets[i]);
	if (strcmp(got, wanted))
		fail_msg("%s: goes to \"%s\", not to \"%s\"", what, got, wanted);
}

#define GOES(sent, wanted) do { struct frame f_ = sent; assert_targets(c, #sent, &f_, -1, wanted); } while (0)

static void by_mac(void **state)
{
	struct classifier *c = with_rules();

	GOES(ethernet(1, 0x1234), "0");
	GOES(ethernet(2, 0x1234), "1");
	GOES(ethernet(3, 0x1234), "");
	/* Every vNIC has its own address, whatever its rule. */
	GOES(ethernet(10, 0x1234), "10");
	GOES(ethernet(31, 0x1234), "31");
	GOES(ethernet(50, 0x1234), "50");
	GOES(ethernet(61, 0x1234), "61");
	free(c);
}

static void by_vlan(void **state)
{
	struct classifier *c = with_rules();
	struct frame plain = ethernet(1, 0x1234), inner = tagged(ethernet(1, 0x1234), 0x8100, 100);

	GOES(tagged(ethernet(0x77, 0x1234), 0x8100, 100), "10");
	GOES(tagged(ethernet(0x77, 0x1234), 0x8100, 0xe065), "11");     /* priority is no part of the name */
	GOES(tagged(ethernet(1, 0x1234), 0x8100, 100), "10");           /* the rule before the address */
	GOES(tagged(ethernet(1, 0x1234), 0x8100, 102), "0");
	GOES(tagged(tagged(ethernet(0x77, 0x1234), 0x8100, 101), 0x88a8, 100), "10");   /* the outer one */
	GOES(tagged(tagged(ethernet(0x77, 0x1234), 0x8100, 101), 0x8100, 0), "11");     /* 0 names no VLAN */
	assert_targets(c, "tag in metadata", &plain, 0x2064, "10");
	assert_targets(c, "tag in metadata, another in the frame", &inner, 101, "11");
	assert_targets(c, "only a priority in metadata, a tag in the frame", &inner, 0xe000, "10");
	free(c);
}

static void by_ethertype(void **state)
{
	struct classifier *c = with_rules();

	GOES(ethernet(0x77, 0x8847), "20");
	GOES(ethernet(0x77, 0x8848), "");
	GOES(tagged(ethernet(0x77, 0x8847), 0x8100, 7), "20");
	GOES(tagged(tagged(ethernet(0x77, 0x8847), 0x8100, 7), 0x88a8, 8), "20");
	GOES(tagged(ethernet(0x77, 0x8847), 0x8100, 100), "20");        /* before vlan */
	free(c);
}

static void by_prefix_the_longest_first(void **state)
{
	struct classifier *c = with_rules();

	GOES(ipv4(6, 0x0a636363, 0, 0), "30");
	GOES(ipv4(6, 0x0a010200, 0, 0), "31");
	GOES(ipv4(6, 0x0a0103ff, 0, 0), "31");          /* the rule says 10.1.3.0/23: its last bit doesn't count */
	GOES(ipv4(6, 0x0a010203, 0, 0), "32");
	GOES(ipv4(6, 0x0a010400, 0, 0), "30");
	GOES(ipv4(6, 0x0b000000, 0, 0), "");
	GOES(ipv6(6, 4), "33");
	GOES(ipv6(6, 5), "34");
	GOES(tagged(ipv4(6, 0x0a010203, 0, 0), 0x8100, 100), "32");     /* before vlan */
	free(c);
}

static void by_udp_port(void **state)
{
	struct classifier *c = with_rules();
	struct frame options = ipv4(17, 0x0a010203, 0, 10), first = ipv4(17, 0x0b000001, 0x2000, 0);
	struct frame later = ipv4(17, 0x0b000001, 0x0001, 0), last = ipv4(17, 0x0b000001, 0x1fff, 0);

	GOES(udp4(0x0a010203, 53), "40");               /* before ip */
	GOES(udp4(0x0a010203, 54), "32");
	GOES(udp6(5, 53), "40");
	GOES(udp6(5, 54), "34");
	put_udp(&options, 53);
	GOES(options, "40");
	put_udp(&first, 53);
	GOES(first, "40");
	put_udp(&later, 53);
	GOES(later, "");                                /* a later fragment has no ports */
	put_udp(&last, 53);
	GOES(last, "");
	free(c);
}

static void by_udp_port_behind_extension_headers(void **state)
{
	struct classifier *c = with_rules();
	struct frame f = ipv6(0, 5), fragment = ipv6(44, 5), auth = ipv6(51, 5), many = ipv6(60, 5), unknown = ipv6(60, 5);
	int i;

	put_extension(&f, 43, 0);
	put_extension(&f, 60, 2);
	put_extension(&f, 44, 1);
	put_extension(&f, 17, 0);
	put_udp(&f, 53);
	GOES(f, "40");

	put(&fragment, (u8[]){ 17, 0, 0, 9, 1, 2, 3, 4 }, 8);
	put_udp(&fragment, 53);
	GOES(fragment, "34");
	fragment.bytes[54 + 2] = 0;
	fragment.bytes[54 + 3] = 1;                     /* more fragments, at 0 */
	GOES(fragment, "40");

	put(&auth, (u8[24]){ 17, 4 }, 24);
	put_udp(&auth, 53);
	GOES(auth, "40");

	for (i = 0; i < 8; i++)
		put_extension(&many, i < 7 ? 60 : 17, 0);
	put_udp(&many, 53);
	GOES(many, "34");                               /* more than anybody sends */

	put_extension(&unknown, 59, 0);
	put_udp(&unknown, 53);
	GOES(unknown, "34");
	free(c);
}

static void by_vni(void **state)
{
	struct classifier *c = with_rules();

	GOES(vxlan(4789, 0x08, 0x123456), "50");
	GOES(vxlan(8472, 0x08, 0x123456), "50");
	GOES(vxlan(4789, 0x08, 0x123457), "30");
	GOES(vxlan(4789, 0x00, 0x123456), "30");
	GOES(vxlan(4790, 0x08, 0x123456), "30");
	free(c);
}

static void by_filters_in_their_order(void **state)
{
	struct classifier *c = with_rules();

	GOES(ethernet(0x99, 0x1234), "60");
	GOES(tagged(ethernet(0x99, 0x1234), 0x8100, 100), "10");        /* what is hashed comes first */
	classifier_remove(c, 60);
	GOES(ethernet(0x99, 0x1234), "61");
	classifier_remove(c, 61);
	GOES(ethernet(0x99, 0x1234), "");
	free(c);
}

static void groups(void **state)
{
	const char *everyone = "0 1 10 11 20 30 31 32 33 34 35 40 50 60 61 62";
	struct classifier *c = with_rules();
	struct frame solicitation = ipv6(58, 1), echo = ipv6(58, 1), listener = ipv6(0, 1);

	/* To all whose rule is mac, and whose rule matches: 62's filter says that the address ends with ff. */
	GOES(to_group(ethernet(0, 0x1234), 0xff), "0 1 62");
	GOES(to_group(ethernet(0, 0x1234), 0x01), "0 1 62");
	GOES(to_group(tagged(ethernet(0, 0x1234), 0x8100, 100), 0xff), "0 1 10 62");
	GOES(to_group(ethernet(0, 0x8847), 0xff), "0 1 20 62");
	GOES(to_group(udp4(0x0a010203, 53), 0xff), "0 1 30 31 32 40 62");
	GOES(to_group(udp4(0xe0000005, 53), 0x01), "0 1 35 40 62");

	GOES(to_group(ethernet(0, 0x0806), 0xff), everyone);
	GOES(to_group(tagged(ethernet(0, 0x0806), 0x8100, 7), 0xff), everyone);
	put(&solicitation, (u8[]){ 135, 0, 0, 0 }, 4);
	GOES(to_group(solicitation, 0x33), everyone);
	put(&echo, (u8[]){ 128, 0, 0, 0 }, 4);
	GOES(to_group(echo, 0x33), "0 1 33 62");
	put_extension(&listener, 58, 0);
	put(&listener, (u8[]){ 143, 0, 0, 0 }, 4);
	GOES(to_group(listener, 0x33), "0 1 33 62");
	/* To one: an ARP answer is for whom it is addressed to. */
	GOES(ethernet(31, 0x0806), "31");
	free(c);
}

static void where_all_rules_are_mac_groups_go_to_all(void **state)
{
	struct classifier *c = fresh();
	struct rule rule = rules[0];
	char wanted[2048] = "";
	int i;

	for (i = 0; i < CLASSIFY_MAX_TARGETS; i++) {
		rule.target = i;
		rule.mac[4] = 1;
		rule.mac[5] = i;
		assert_int_equal(classifier_add(c, &rule), 0);
		sprintf(wanted + strlen(wanted), i ? " %d" : "%d", i);
	}
	GOES(to_group(ethernet(0, 0x1234), 0xff), wanted);
	rule.target = 3;
	rule.mac[4] = 2;
	assert_int_equal(classifier_add(c, &rule), -ENOSPC);
	free(c);
}

static void truncated_frames_are_looked_at_as_far_as_they_go(void **state)
{
	struct classifier *c = with_rules();
	struct frame f = vxlan(4789, 0x08, 0x123456), whole;
	u32 len;

	f = tagged(tagged(f, 0x8100, 7), 0x88a8, 100);
	whole = f;
	for (len = 0; len <= whole.len; len++) {
		const char *wanted = "";

		f.len = len;
		if (len >= whole.len)
			wanted = "50";
		else if (len >= 14 + 8 + 20)
			wanted = "30";
		else if (len >= 14 + 4)
			wanted = "10";
		assert_targets(c, "cut", &f, -1, wanted);
	}
	free(c);
}

static void what_is_no_ip_is_not_taken_for_it(void **state)
{
	struct classifier *c = with_rules();
	struct frame f = udp4(0x0a010203, 53);

	f.bytes[14] = 0x55;             /* version 5 */
	GOES(f, "");
	f.bytes[14] = 0x44;             /* a header of 16 bytes */
	GOES(f, "");
	f = udp6(5, 53);
	f.bytes[14] = 0x40;
	GOES(f, "");
	free(c);
}

/* ---- adding and removing ---- */

static void the_same_rule_for_another_target_is_refused(void **state)
{
	struct classifier *c = with_rules();
	size_t i;

	for (i = 0; i < RULES; i++) {
		struct rule rule = rules[i];

		assert_int_equal(classifier_add(c, &rule), 0);          /* for the same one: nothing new */
		rule.target = 200;
		assert_int_equal(classifier_add(c, &rule), -EEXIST);    /* its address is taken */
		rule.mac[0] = 6;
		assert_int_equal(classifier_add(c, &rule),
				 rule.kind == RULE_MAC || rule.kind == RULE_FILTER ? 0 : -EEXIST);
		classifier_remove(c, 200);
	}
	/* Another prefix length, or another family, is another rule. */
	struct rule other = { .kind = RULE_IP, .target = 201, .mac = { 6 }, .family = 4, .prefix_len = 9, .address = { 10 } };

	assert_int_equal(classifier_add(c, &other), 0);
	free(c);
}

static void nonsense_is_refused(void **state)
{
	struct classifier *c = fresh();
	struct rule rule = { .kind = RULE_IP, .family = 4, .prefix_len = 33 };

	assert_int_equal(classifier_add(c, &rule), -EINVAL);
	rule.family = 6;
	rule.prefix_len = 129;
	assert_int_equal(classifier_add(c, &rule), -EINVAL);
	rule.family = 5;
	rule.prefix_len = 1;
	assert_int_equal(classifier_add(c, &rule), -EINVAL);
	rule.kind = RULE_MAC;
	rule.target = CLASSIFY_MAX_TARGETS;
	assert_int_equal(classifier_add(c, &rule), -EINVAL);
	rule.kind = (enum rule_kind)99;
	rule.target = 0;
	assert_int_equal(classifier_add(c, &rule), -EINVAL);
	free(c);
}

static void what_is_removed_matches_no_more_and_the_rest_does(void **state)
{
	struct classifier *c = with_rules();

	classifier_remove(c, 32);
	classifier_remove(c, 199);      /* nobody */
	GOES(ipv4(6, 0x0a010203, 0, 0), "31");
	GOES(ethernet(32, 0x1234), "");
	classifier_remove(c, 31);
	GOES(ipv4(6, 0x0a010203, 0, 0), "30");
	classifier_remove(c, 0);
	GOES(to_group(ethernet(0, 0x1234), 0xff), "1 62");
	GOES(ethernet(1, 0x1234), "");
	GOES(vxlan(4789, 0x08, 0x123456), "50");
	assert_int_equal(classifier_add(c, &rules[7]), 0);
	GOES(ipv4(6, 0x0a010203, 0, 0), "32");
	free(c);
}

static void an_address_is_known_as_long_as_its_target_has_a_rule_of_any_kind(void **state)
{
	static const u8 stranger[6] = { 2, 0, 0, 0, 0, 0xee };
	struct classifier *c = with_rules();
	size_t i;

	for (i = 0; i < RULES; i++) {
		assert_true(classifier_knows(c, rules[i].mac));
		classifier_remove(c, rules[i].target);
		assert_false(classifier_knows(c, rules[i].mac));
	}
	assert_false(classifier_knows(c, stranger));
	free(c);
}

static void a_target_may_have_several_rules(void **state)
{
	struct classifier *c = fresh();
	struct rule rule = { .kind = RULE_VLAN, .target = 7, .mac = { 2, 0, 0, 0, 0, 7 }, .number = 5 };

	assert_int_equal(classifier_add(c, &rule), 0);
	rule.number = 6;
	assert_int_equal(classifier_add(c, &rule), 0);
	GOES(tagged(ethernet(0x77, 0x1234), 0x8100, 5), "7");
	GOES(tagged(ethernet(0x77, 0x1234), 0x8100, 6), "7");
	classifier_remove(c, 7);
	GOES(tagged(ethernet(0x77, 0x1234), 0x8100, 6), "");
	free(c);
}

static void a_full_table_still_finds_and_still_ends(void **state)
{
	struct classifier *c = fresh();
	struct rule rule = { .kind = RULE_VLAN };
	int i;

	for (i = 0; i < CLASSIFY_MAX_TARGETS; i++) {
		rule.target = i;
		rule.mac[0] = 2;
		rule.mac[5] = i;
		rule.number = i + 1;
		assert_int_equal(classifier_add(c, &rule), 0);
	}
	for (i = 0; i < CLASSIFY_MAX_TARGETS; i++) {
		char wanted[8];

		sprintf(wanted, "%d", i);
		GOES(tagged(ethernet(0x77, 0x1234), 0x8100, i + 1), wanted);
	}
	for (; i < 4095; i++)
		GOES(tagged(to_group(ethernet(0, 0x1234), 4), 0x8100, i + 1), "");
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_mac),
		cmocka_unit_test(by_vlan),
		cmocka_unit_test(by_ethertype),
		cmocka_unit_test(by_prefix_the_longest_first),
		cmocka_unit_test(by_udp_port),
		cmocka_unit_test(by_udp_port_behind_extension_headers),
		cmocka_unit_test(by_vni),
		cmocka_unit_test(by_filters_in_their_order),
		cmocka_unit_test(groups),
		cmocka_unit_test(where_all_rules_are_mac_groups_go_to_all),
		cmocka_unit_test(truncated_frames_are_looked_at_as_far_as_they_go),
		cmocka_unit_test(what_is_no_ip_is_not_taken_for_it),
		cmocka_unit_test(the_same_rule_for_another_target_is_refused),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(what_is_removed_matches_no_more_and_the_rest_does),
		cmocka_unit_test(an_address_is_known_as_long_as_its_target_has_a_rule_of_any_kind),
		cmocka_unit_test(a_target_may_have_several_rules),
		cmocka_unit_test(a_full_table_still_finds_and_still_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

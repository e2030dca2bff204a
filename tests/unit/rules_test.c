// SPDX-License-Identifier: MIT
/* The text of rules: what they become, and what those that are refused are told. */
#include "runtime/engine/rules.h"
#include "runtime/error.h"

/* cmocka has a macro by the name of error.h's fail(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>


static void rules_become_what_they_say(void **state)
{
	static const struct {
		const char *text;
		struct rule rule;
	} cases[] = {
		{ "",                   { .kind = RULE_MAC } },
		{ " \t ",               { .kind = RULE_MAC } },
		{ "mac",                { .kind = RULE_MAC } },
		{ " mac ",              { .kind = RULE_MAC } },
		{ "vlan 1",             { .kind = RULE_VLAN, .number = 1 } },
		{ "vlan\t4094 ",        { .kind = RULE_VLAN, .number = 4094 } },
		{ "ethertype 0x88cc",   { .kind = RULE_ETHERTYPE, .number = 0x88cc } },
		{ "ethertype 2048",     { .kind = RULE_ETHERTYPE, .number = 0x800 } },
		{ "udp 1",              { .kind = RULE_UDP, .number = 1 } },
		{ "udp 65535",          { .kind = RULE_UDP, .number = 65535 } },
		{ "vxlan 0",            { .kind = RULE_VXLAN, .vni = 0 } },
		{ "vxlan 16777215",     { .kind = RULE_VXLAN, .vni = 0xffffff } },
		{ "ip 10.1.0.0/16",     { .kind = RULE_IP, .family = 4, .prefix_len = 16, .address = { 10, 1 } } },
		{ "ip 10.1.2.3",        { .kind = RULE_IP, .family = 4, .prefix_len = 32, .address = { 10, 1, 2, 3 } } },
		{ "ip 0.0.0.0/0",       { .kind = RULE_IP, .family = 4 } },
		{ "ip fd00::/8",        { .kind = RULE_IP, .family = 6, .prefix_len = 8, .address = { 0xfd } } },
		{ "ip ::1",             { .kind = RULE_IP, .family = 6, .prefix_len = 128, .address = { [15] = 1 } } },
	};
	struct error e = { 0 };
	struct rule rule;
	size_t i;

	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(rule_parse(cases[i].text, &rule, &e), 0);
		assert_memory_equal(&rule, &cases[i].rule, sizeof rule);
	}
}

/* Each names the word that is wrong and something that would be right. */
static void wrong_rules_are_refused_with_the_word_and_what_is_right(void **state)
{
	static const struct { const char *text, *quoted, *right; } cases[] = {
		{ "vlan",                "vlan",           "of what" },
		{ "vlan 0",              "\"0\"",          "1 to 4094" },
		{ "vlan 4095",           "\"4095\"",       "1 to 4094" },
		{ "vlan -1",             "\"-1\"",         "1 to 4094" },
		{ "vlan 5x",             "\"5x\"",         "1 to 4094" },
		{ "vlan 18446744073709551617", "18446744073709551617", "1 to 4094" },
		{ "vlan 5 6",            "\"6\"",          "too much" },
		{ "mac 5",               "\"5\"",          "too much" },
		{ "ethertype 0x5ff",     "\"0x5ff\"",      "0x0600" },
		{ "ethertype 0x10000",   "\"0x10000\"",    "0xffff" },
		{ "ethertype 0x",        "\"0x\"",         "0x0600" },
		{ "udp 0",               "\"0\"",          "1 to 65535" },
		{ "udp 65536",           "\"65536\"",      "1 to 65535" },
		{ "udp domain",          "\"domain\"",     "1 to 65535" },
		{ "vxlan 16777216",      "\"16777216\"",   "0 to 16777215" },
		{ "ip 10.0.0.1/24",      "10.0.0.1/24",    "10.0.0.0/24" },
		{ "ip fd00::1/64",       "fd00::1/64",     "fd00::/64" },
		{ "ip 10.0.0.0/33",      "\"33\"",         "0 to 32" },
		{ "ip fd00::/129",       "\"129\"",        "0 to 128" },
		{ "ip 10.0.0/24",        "\"10.0.0\"",     "10.0.0.0/8" },
		{ "ip 10.0.0.0/",        "\"\"",           "0 to 32" },
		{ "ip /8",               "\"\"",           "10.0.0.0/8" },
		{ "ip 0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/1", "0000:0000", "fd00::/8" },
		{ "tcp 80",              "\"tcp\"",        "mac, vlan, ethertype, ip, udp, vxlan and filter" },
		{ "vlanx 5",             "\"vlanx\"",      "mac, vlan" },
		{ "filter",              "filter",         "of what" },
		{ "filter no such word", "no such word",   "syntax error" },
		{ "filter udp\n",        "0x0a",           "one line" },
		{ "filter port 99999",   "port 99999",     "illegal port" },
	};
	struct rule rule;
	size_t i;

	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error e = { 0 };

		assert_true(rule_parse(cases[i].text, &rule, &e) < 0);
		if (!strstr(e.text, cases[i].quoted) || !strstr(e.text, cases[i].right))
			fail_msg("\"%s\": %s", cases[i].text, e.text);
		assert_null(strchr(e.text, '\n'));
	}
}

static void a_rule_too_long_is_refused(void **state)
{
	char text[600];
	struct error e = { 0 };
	struct rule rule;

	memset(text, ' ', sizeof text);
	text[sizeof text - 1] = '\0';
	assert_int_equal(rule_parse(text, &rule, &e), -EINVAL);
}

static const u8 udp_frame[60] = {
	2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
	0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
	0x04, 0xd2, 0x00, 0x35, 0, 26,
};

static void filters_match_as_tcpdump_does(void **state)
{
	static const struct { const char *filter; bool matches; } cases[] = {
		{ "filter udp port 53", true },
		{ "filter  udp dst port 53 and src host 10.0.0.1", true },
		{ "filter tcp", false },
		{ "filter greater 1000", false },
		{ "filter ether dst 02:00:00:00:00:01", true },
		{ "filter vlan 5", false },
	};
	const u32 len = sizeof udp_frame;
	size_t i;

	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error e = { 0 };
		struct rule rule;

		assert_int_equal(rule_parse(cases[i].filter, &rule, &e), 0);
		assert_int_equal(rule_run_filter(rule.filter, udp_frame, len, &len), cases[i].matches);
		rule_release(&rule);
	}
}

static void filters_know_the_length_of_what_they_see_the_beginning_of(void **state)
{
	const u32 longer = 1000, shorter = 999;
	struct error e = { 0 };
	struct rule rule;

	assert_int_equal(rule_parse("filter greater 1000", &rule, &e), 0);
	assert_true(rule_run_filter(rule.filter, udp_frame, sizeof udp_frame, &longer));
	assert_false(rule_run_filter(rule.filter, udp_frame, sizeof udp_frame, &shorter));
	rule_release(&rule);
}

/* Whatever of the frame a filter looks for, a short one doesn't have it, and nothing beyond is read. */
static void filters_read_no_further_than_the_frame(void **state)
{
	struct error e = { 0 };
	struct rule rule;
	u32 len;

	assert_int_equal(rule_parse("filter udp port 53", &rule, &e), 0);
	for (len = 0; len < 38; len++) {
		u8 *exact = test_malloc(len ? len : 1);

		memcpy(exact, udp_frame, len);
		assert_false(rule_run_filter(rule.filter, exact, len, &len));
		test_free(exact);
	}
	rule_release(&rule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_become_what_they_say),
		cmocka_unit_test(wrong_rules_are_refused_with_the_word_and_what_is_right),
		cmocka_unit_test(a_rule_too_long_is_refused),
		cmocka_unit_test(filters_match_as_tcpdump_does),
		cmocka_unit_test(filters_know_the_length_of_what_they_see_the_beginning_of),
		cmocka_unit_test(filters_read_no_further_than_the_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Tables of what users write: what each means, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>

#include "runtime/quantity.h"

#define UNTOUCHED 0xa5a5a5a5u
#define NO        UINT64_MAX       /* is refused */

struct row {
	const char *text;
	uint64_t value;
};

#define CHECK_TABLE(table, function, type) do { \
	for (size_t i = 0; i < sizeof(table) / sizeof *(table); i++) { \
		type value = (type)UNTOUCHED; \
		bool taken = function(table[i].text, &value); \
		if (taken != (table[i].value != NO)) \
			fail_msg("\"%s\" is %s", table[i].text, taken ? "taken" : "refused"); \
		if (value != (taken ? (type)table[i].value : (type)UNTOUCHED)) \
			fail_msg("\"%s\" is taken for %llu", table[i].text, (unsigned long long)value); \
	} \
} while (0)

static void a_percentage_is_of_one_cpu(void **state)
{
	static const struct row table[] = {
		{ "25%", 250 }, { "150%", 1500 }, { "100%", 1000 }, { "0.1%", 1 }, { "12.5%", 125 }, { "12.50%", 125 }, { "102400%", 1024000 },
		{ "", NO }, { "%", NO }, { "25", NO }, { "abc", NO }, { "0%", NO }, { "0.0%", NO }, { "-5%", NO }, { "+5%", NO }, { " 5%", NO },
		{ "5% ", NO }, { "5 %", NO }, { "05%", NO }, { "00%", NO }, { "12.55%", NO }, { "12.%", NO }, { ".5%", NO }, { "1,5%", NO }, { "5%%", NO },
		{ "102401%", NO }, { "0x10%", NO }, { "1e2%", NO }, { "99999999999999999999%", NO }, { "18446744073709551616%", NO },
		{ "1844674407370955161.6%", NO },
	};

	CHECK_TABLE(table, quantity_percent, uint32_t);
}

static void cpus_are_the_same_as_a_number(void **state)
{
	static const struct row table[] = {
		{ "0.25", 250 }, { "1.5", 1500 }, { "1", 1000 }, { "0.001", 1 }, { "0.2500", 250 }, { "1024", 1024000 },
		{ "", NO }, { "0", NO }, { "0.0001", NO }, { "25%", NO }, { "-1", NO }, { ".5", NO }, { "1.", NO }, { "01", NO }, { "1025", NO },
		{ "nan", NO }, { "inf", NO }, { "1.5.5", NO },
	};

	CHECK_TABLE(table, quantity_cpus, uint32_t);
}

static void sizes_are_powers_of_1024(void **state)
{
	static const struct row table[] = {
		{ "0", 0 }, { "65536", 65536 }, { "64K", 65536 }, { "64k", 65536 }, { "64KB", 65536 }, { "64KiB", 65536 }, { "64M", 64 << 20 },
		{ "64m", 64 << 20 }, { "2G", 2ull << 30 }, { "1T", 1ull << 40 }, { "7b", 7 }, { "16777215T", 16777215ull << 40 },
		{ "", NO }, { "M", NO }, { "-1", NO }, { "1.5G", NO }, { "64 M", NO }, { "64MM", NO }, { "64Mi", NO }, { "64ib", NO }, { "64P", NO }, { "0x40", NO },
		{ "064", NO }, { "16777216T", NO }, { "18446744073709551616", NO }, { "64M\n", NO },
	};

	CHECK_TABLE(table, quantity_size, uint64_t);
}

static void times_are_microseconds(void **state)
{
	static const struct row table[] = {
		{ "10ms", 10000 }, { "10000", 10000 }, { "500us", 500 }, { "1s", 1000000 }, { "0", 0 },
		{ "", NO }, { "ms", NO }, { "1.5ms", NO }, { "10 ms", NO }, { "10m", NO }, { "10MS", NO }, { "-1", NO }, { "1ns", NO },
		{ "18446744073709551615s", NO },
	};

	CHECK_TABLE(table, quantity_microseconds, uint64_t);
}

static bool port(const char *text, uint64_t *n)
{
	return quantity_number(text, 1, 65535, n);
}

static bool port_or_hex(const char *text, uint64_t *n)
{
	return quantity_number_or_hex(text, 1, 65535, n);
}

static void numbers_are_in_range_and_nothing_else(void **state)
{
	static const struct row table[] = {
		{ "1", 1 }, { "65535", 65535 },
		{ "0", NO }, { "65536", NO }, { "", NO }, { "-1", NO }, { "+1", NO }, { "01", NO }, { "1 ", NO }, { " 1", NO }, { "1a", NO }, { "0x1", NO },
		{ "4294967297", NO }, { "18446744073709551617", NO }, { "1:", NO }, { ":1", NO },
	};
	static const struct row hex[] = {
		{ "7", 7 }, { "0x86dd", 0x86dd }, { "0X86DD", 0x86dd }, { "0x00ff", 255 },
		{ "0x", NO }, { "86dd", NO }, { "0x0", NO }, { "0x10000", NO }, { "0xg", NO }, { "0x-1", NO }, { "0x10000000000000001", NO },
	};

	CHECK_TABLE(table, port, uint64_t);
	CHECK_TABLE(hex, port_or_hex, uint64_t);
}

static void signals_have_numbers_and_names(void **state)
{
	static const struct row table[] = {
		{ "15", SIGTERM }, { "TERM", SIGTERM }, { "SIGTERM", SIGTERM }, { "sigterm", SIGTERM }, { "term", SIGTERM }, { "9", SIGKILL },
		{ "HUP", SIGHUP }, { "USR1", SIGUSR1 },
		{ "", NO }, { "0", NO }, { "-1", NO }, { "65", NO }, { "SIG", NO }, { "SIG15", NO }, { "TERMINATE", NO }, { "15 ", NO },
	};

	CHECK_TABLE(table, quantity_signal, int);
}

static void a_mac_address_is_unicast(void **state)
{
	static const char *const bad[] = {
		"", "52:54:00:12:34", "52:54:00:12:34:56:78", "52-54-00-12-34-56", "5254.0012.3456", "52:54:00:12:34:5", "52:54:00:12:34:5g",
		"52:54:00:12:34:56 ", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", ":52:54:00:12:34:56", "5:54:00:12:34:56",
	};
	uint8_t mac[6] = { 0 };

	assert_true(quantity_mac("52:54:00:aB:Cd:0f", mac));
	assert_memory_equal(mac, "\x52\x54\x00\xab\xcd\x0f", 6);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (quantity_mac(bad[i], mac))
			fail_msg("\"%s\" is taken", bad[i]);
		assert_memory_equal(mac, "\x52\x54\x00\xab\xcd\x0f", 6);
	}
}

struct word {
	const char *text;
	bool good;
};

static void check_words(const struct word *table, size_t n, bool (*function)(const char *))
{
	for (size_t i = 0; i < n; i++)
		if (function(table[i].text) != table[i].good)
			fail_msg("\"%s\" is %s", table[i].text, table[i].good ? "refused" : "taken");
}
#define CHECK_WORDS(table, function) check_words(table, sizeof(table) / sizeof *(table), function)

static void a_cpuset_ascends(void **state)
{
	static const struct word table[] = {
		{ "0", true }, { "0-3,5", true }, { "0,1,2", true }, { "7-7", true }, { "8191", true },
		{ "", false }, { "3-0", false }, { "0,0", false }, { "0-3,2", false }, { "1,0", false }, { "0,", false }, { ",0", false }, { "0-", false },
		{ "-3", false }, { "a", false }, { "0 1", false }, { "8192", false }, { "0-3:1", false }, { "00", false }, { "0-3-5", false },
	};

	CHECK_WORDS(table, quantity_cpuset);
}

static void a_vr_name_cannot_lead_elsewhere(void **state)
{
	static const struct word table[] = {
		{ "ipfwd-1", true }, { "a", true }, { "A_+-.9", true }, { "0", true }, { "-x", true },
		{ "123456789012345678901234567890123456789012345678901234567890123", true },
		{ "1234567890123456789012345678901234567890123456789012345678901234", false },
		{ "", false }, { ".", false }, { "..", false }, { ".lock", false }, { "a/b", false }, { "../x", false }, { "a b", false }, { "a\n", false },
		{ "a:b", false }, { "\xc3\xa4", false }, { "a=b", false },
	};

	CHECK_WORDS(table, quantity_vr_name);
}

static void a_device_name_is_what_the_kernel_takes(void **state)
{
	static const struct word table[] = {
		{ "eth0", true }, { "enp1s0f0.5", true }, { "123456789012345", true },
		{ "", false }, { ".", false }, { "..", false }, { "1234567890123456", false }, { "a/b", false }, { "a b", false }, { "a:0", false }, { "a\t", false },
	};

	CHECK_WORDS(table, quantity_device_name);
}

static bool is_env_name(const char *text)
{
	return quantity_env_name(text, strlen(text));
}

static void an_environment_name_is_an_identifier(void **state)
{
	static const struct word table[] = {
		{ "PATH", true }, { "_x9", true }, { "", false }, { "9x", false }, { "a-b", false }, { "a b", false }, { "a=b", false },
	};

	CHECK_WORDS(table, is_env_name);
}

static bool is_rule(const char *text)
{
	return !quantity_rule_expected(text);
}

static void a_rule_is_one_of_seven(void **state)
{
	static const struct word table[] = {
		{ "mac", true }, { "vlan 1", true }, { "vlan 4094", true }, { "ethertype 0x86dd", true }, { "ethertype 34525", true },
		{ "ip 192.0.2.0/24", true }, { "ip 192.0.2.1", true }, { "ip 2001:db8::/32", true }, { "ip 0.0.0.0/0", true }, { "udp 4789", true },
		{ "vxlan 0", true }, { "vxlan 16777215", true }, { "filter tcp port 80", true }, { "vlan  5", true },
		{ "", false }, { "mac 1", false }, { "macs", false }, { "vlan", false }, { "vlan 0", false }, { "vlan 4095", false }, { "vlan x", false },
		{ "vlan 5 6", false }, { "vlan5", false }, { "ethertype 0x5ff", false }, { "ethertype 0x10000", false }, { "ip", false }, { "ip 192.0.2.0/33", false },
		{ "ip 192.0.2/24", false }, { "ip 2001:db8::/129", false }, { "ip 192.0.2.0/", false }, { "ip x", false }, { "udp 0", false },
		{ "udp 65536", false }, { "tcp 80", false }, { "vxlan 16777216", false }, { "filter", false }, { "filter ", false }, { "VLAN 5", false },
	};

	CHECK_WORDS(table, is_rule);
}

static void quoting_leaves_one_printable_line(void **state)
{
	char buf[16];

	assert_string_equal(quantity_quote(buf, sizeof buf, "plain"), "plain");
	assert_string_equal(quantity_quote(buf, sizeof buf, "a\nb\033[m"), "a\\x0ab\\x1b[m");
	assert_string_equal(quantity_quote(buf, sizeof buf, "123456789012345678901234567890"), "123456789012...");
	for (size_t size = 4; size < sizeof buf; size++) {
		quantity_quote(buf, size, "\x1b\x1b\xff\x1b\x1b\x1b");
		assert_true(strlen(buf) < size);
	}
}

static void sizes_are_printed_for_people(void **state)
{
	char buf[24];

	assert_string_equal(quantity_print_size(buf, sizeof buf, 0), "0 B");
	assert_string_equal(quantity_print_size(buf, sizeof buf, 1023), "1023 B");
	assert_string_equal(quantity_print_size(buf, sizeof buf, 1536), "1.5 KiB");
	assert_string_equal(quantity_print_size(buf, sizeof buf, 512ull << 20), "512 MiB");
	assert_string_equal(quantity_print_size(buf, sizeof buf, UINT64_MAX), "16777216 TiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_percentage_is_of_one_cpu),
		cmocka_unit_test(cpus_are_the_same_as_a_number),
		cmocka_unit_test(sizes_are_powers_of_1024),
		cmocka_unit_test(times_are_microseconds),
		cmocka_unit_test(numbers_are_in_range_and_nothing_else),
		cmocka_unit_test(signals_have_numbers_and_names),
		cmocka_unit_test(a_mac_address_is_unicast),
		cmocka_unit_test(a_cpuset_ascends),
		cmocka_unit_test(a_vr_name_cannot_lead_elsewhere),
		cmocka_unit_test(a_device_name_is_what_the_kernel_takes),
		cmocka_unit_test(an_environment_name_is_an_identifier),
		cmocka_unit_test(a_rule_is_one_of_seven),
		cmocka_unit_test(quoting_leaves_one_printable_line),
		cmocka_unit_test(sizes_are_printed_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

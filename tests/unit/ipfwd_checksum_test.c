// SPDX-License-Identifier: MIT
/* Sums against one that is too simple to be wrong, and the TTL's update against summing all again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "images/ipfwd/checksum.h"
#include "images/ipfwd/packet.h"
#include "tests/unit/ipfwd_tables.h"

/* By 16-bit words in network order, as RFC 1071 says it. */
static u16 naive_sum(const u8 *data, size_t n)
{
	u32 sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? data[i] : (u32)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

static void any_length_at_any_alignment_is_summed_right(void **state)
{
	u8 data[300];
	uint64_t seed = 1;

	for (unsigned n = 0; n < 256; n++)
		for (unsigned at = 0; at < 8; at++) {
			for (unsigned i = 0; i < sizeof data; i++)
				data[i] = (u8)table_random(&seed);
			assert_int_equal(ntohs((u16)~checksum_of(data + at, n)), naive_sum(data + at, n));
		}
}

static void a_full_frame_of_ones_does_not_overflow(void **state)
{
	u8 *data = malloc(65536);

	memset(data, 0xff, 65536);
	assert_int_equal(checksum_of(data, 65536), 0);
	assert_true(checksum_holds(data, 65536));
	data[0] = 0;
	assert_false(checksum_holds(data, 65536));
	free(data);
}

/* For every TTL and every checksum that there can be: 2..255 times 0x0000..0xffff. */
static void a_ttl_less_is_as_if_summed_again(void **state)
{
	struct ipv4 header = { .version_words = 0x45, .total = htons(100), .protocol = PROTOCOL_UDP };

	for (unsigned ttl = 2; ttl < 256; ttl++) {
		for (u32 sum = 0; sum < 0x10000; sum++) {
			struct ipv4 ip = header;
			u16 updated;

			ip.ttl = (u8)ttl;
			ip.id = 0;
			ip.checksum = (u16)sum;
			ip.id = checksum_of(&ip, sizeof ip);
			updated = checksum_ttl_less(ip.checksum);
			ip.ttl--;
			ip.checksum = 0;
			if (updated != checksum_of(&ip, sizeof ip))
				fail_msg("TTL %u, checksum %04x", ttl, sum);
		}
	}
}

/* Any word of a header that changes to anything. */
static void an_update_is_as_if_summed_again(void **state)
{
	struct ipv4 ip = { .version_words = 0x45, .total = htons(100), .ttl = 3 };
	uint64_t seed = 1;

	for (unsigned i = 0; i < 1000000; i++) {
		static const u16 corners[] = { 0, 1, 0xffff, 0xfffe, 0xff00, 0x00ff };
		u16 before = ip.id, checksum;

		ip.checksum = 0;
		checksum = checksum_of(&ip, sizeof ip);
		ip.id = i % 2 ? (u16)table_random(&seed) : corners[table_random(&seed) % 6];
		ip.checksum = checksum_update(checksum, before, ip.id);
		if (!checksum_holds(&ip, sizeof ip))
			fail_msg("%04x to %04x", before, ip.id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_length_at_any_alignment_is_summed_right),
		cmocka_unit_test(a_full_frame_of_ones_does_not_overflow),
		cmocka_unit_test(an_update_is_as_if_summed_again),
		cmocka_unit_test(a_ttl_less_is_as_if_summed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

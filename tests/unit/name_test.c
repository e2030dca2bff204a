// SPDX-License-Identifier: MIT
/* What a vNIC's device is called, and its addresses: people have written them into their configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/name.h"
#include "core_bed.h"

static void a_device_is_called_after_its_vr_where_there_is_room(void **state)
{
	static const struct { const char *vr; u32 vnic; const char *device; } rows[] = {
		{ "a", 0, "a-v0" },
		{ "edge", 9, "edge-v9" },
		{ "edge", 10, "edge-v10" },
		{ "edge-router1", 0, "edge-router1-v0" },               /* 15 characters, as many as there may be */
		{ "edge-router", 31, "edge-router-v31" },
		{ "edge-router1", 10, "edge-rd2055-v10" },
		{ "edge-router-12", 0, "edge-rb3df6-v0" },
		{ "frankfurt-edge", 0, "frankfd1202-v0" },
		{ "a-long-name-for-a-router-a", 3, "a-longa7175-v3" },
		{ "a-long-name-for-a-router-b", 3, "a-longa6cbc-v3" },
	};
	char device[NAME_DEVICE_SIZE];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		memset(device, 'x', sizeof(device));
		assert_true(name_device(rows[i].vr, rows[i].vnic, 0, device));
		assert_string_equal(device, rows[i].device);
	}
}

static void a_name_that_is_taken_has_others_where_it_was_cut(void **state)
{
	char device[NAME_DEVICE_SIZE];

	assert_true(name_device("frankfurt-edge", 0, 1, device));
	assert_string_equal(device, "frankfd1203-v0");
	assert_true(name_device("frankfurt-edge", 0, 0xfffff, device));
	assert_string_equal(device, "frankfd1201-v0");
	assert_false(name_device("frankfurt-edge", 0, 0x100000, device));
	assert_false(name_device("edge", 0, 1, device));
	assert_string_equal(device, "edge-v0");
}

static void an_address_says_which_vnic_of_which_vr_on_which_host(void **state)
{
	static const struct { const char *host, *vr; u32 vnic; u8 first, mac[6]; } rows[] = {
		{ "0123456789abcdef0123456789abcdef\n", "edge", 3, NAME_ADDRESS_VR, { 0x02, 0x00, 0xbc, 0xcb, 0x2c, 3 } },
		{ "here", "edge", 31, NAME_ADDRESS_DEVICE, { 0x06, 0xf0, 0xbc, 0x21, 0xe1, 31 } },
	};
	u8 mac[6], other[6];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		name_address(rows[i].host, (u32)strlen(rows[i].host), rows[i].vr, rows[i].vnic, rows[i].first, mac);
		assert_memory_equal(mac, rows[i].mac, 6);
	}
	name_address("here", 4, "edge", 0, NAME_ADDRESS_VR, mac);
	name_address("there", 5, "edge", 0, NAME_ADDRESS_VR, other);
	assert_true(memcmp(mac, other, 5));
	name_address("here", 4, "edgf", 0, NAME_ADDRESS_VR, other);
	assert_true(memcmp(mac, other, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_is_called_after_its_vr_where_there_is_room),
		cmocka_unit_test(a_name_that_is_taken_has_others_where_it_was_cut),
		cmocka_unit_test(an_address_says_which_vnic_of_which_vr_on_which_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * l2switch: its table of stations alone, and the whole bridge between the switch's core on all sides.
 *
 *	station A (02:..:0a) --- vNIC 0 |        |
 *	station B (02:..:0b) --- vNIC 1 | bridge |
 *	station C (02:..:0c) --- vNIC 2 |        |
 */
#include <errno.h>
#include <string.h>

#include "images/l2switch/bridge.h"
#include "images/l2switch/state.h"
#include "tests/unit/bed.h"

#define AGEING 300

static const uint8_t a[6] = { 0x02, 0, 0, 0, 0, 0x0a };
static const uint8_t b[6] = { 0x02, 0, 0, 0, 0, 0x0b };
static const uint8_t c[6] = { 0x02, 0, 0, 0, 0, 0x0c };
static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0, 0, 0x05 };

static struct bed bed;
static struct bridge bridge;

static int setup_vnics(unsigned vnics)
{
	bed_open(&bed, vnics, 256, 64);
	assert_int_equal(bed_attach(&bed), 0);
	assert_int_equal(bridge_init(&bridge, bed.eu, 1024, AGEING, 0x1234567), 0);
	return 0;
}

static int setup(void **state)
{
	return setup_vnics(3);
}

static int setup_alone(void **state)
{
	return setup_vnics(1);
}

static int teardown(void **state)
{
	bridge_release(&bridge);
	bed_close(&bed);
	return 0;
}

/* ---- the table ---- */

/* What was saved last. */
static uint8_t bytes[64 << 10] __attribute__((aligned(8)));
static size_t nbytes;

static int put(void *to, const void *from, size_t n)
{
	assert_true(nbytes + n <= sizeof(bytes));
	memcpy(bytes + nbytes, from, n);
	nbytes += n;
	return 0;
}

static struct stations table;

static int setup_table(void **state)
{
	return stations_init(&table, 64, AGEING, 0x9e3779b97f4a7c15ull);
}

static int teardown_table(void **state)
{
	stations_release(&table);
	return 0;
}

static void goes_on_with_the_stations_of_another_one(void **state)
{
	struct stations next;
	const char *why = NULL;

	stations_learn(&table, mac_at(a), 1, 100);
	stations_learn(&table, mac_at(b), 2, 300);
	stations_learn(&table, mac_at(c), 2, 50);
	for (uint64_t i = 0; i < 30; i++)
		stations_learn(&table, i << 40 | 0x4000, 0, 300);
	nbytes = 0;
	assert_int_equal(state_save(&table, 3, 360, put, NULL), 0);
	assert_int_equal(nbytes, 16 + 16 * stations_count(&table, 360));

	/* Another secret, another size, another clock: it is 40 here. */
	assert_int_equal(stations_init(&next, 1024, AGEING, 0xd1b54a32d192ed03ull), 0);
	assert_int_equal(state_load(&next, 3, 40, STATE_VERSION, bytes, nbytes, &why), 0);
	assert_int_equal(stations_find(&next, mac_at(a), 40), 1);
	assert_int_equal(stations_find(&next, mac_at(b), 40), 2);
	assert_int_equal(stations_find(&next, mac_at(c), 40), STATION_UNKNOWN);
	assert_int_equal(stations_count(&next, 40), stations_count(&table, 360));
	/* It was silent for 260 seconds when it was saved. */
	assert_int_equal(stations_find(&next, mac_at(a), 40 + 39), 1);
	assert_int_equal(stations_find(&next, mac_at(a), 40 + 40), STATION_UNKNOWN);
	stations_release(&next);

	assert_int_equal(stations_init(&next, 1024, 0, 0xd1b54a32d192ed03ull), 0);
	assert_int_equal(state_load(&next, 3, 40, STATE_VERSION, bytes, nbytes, &why), 0);
	assert_int_equal(stations_count(&next, 40), 0);
	stations_release(&next);
	assert_int_equal(stations_init(&next, 2, AGEING, 0xd1b54a32d192ed03ull), 0);
	assert_int_equal(state_load(&next, 3, 40, STATE_VERSION, bytes, nbytes, &why), 0);
	assert_true(stations_count(&next, 40) < 32);
	stations_release(&next);
	assert_null(why);
}

static void refuses(size_t at, uint8_t value, const char *says)
{
	uint8_t was = bytes[at];
	struct stations next;
	const char *why = "";

	assert_int_equal(stations_init(&next, 1024, AGEING, 0xd1b54a32d192ed03ull), 0);
	bytes[at] = value;
	assert_int_equal(state_load(&next, 3, 40, STATE_VERSION, bytes, nbytes, &why), -EINVAL);
	if (!strstr(why, says))
		fail_msg("\"%s\" doesn't say \"%s\"", why, says);
	bytes[at] = was;
	stations_release(&next);
}

static void refuses_stations_that_make_no_sense(void **state)
{
	const char *why;

	stations_learn(&table, mac_at(a), 1, 100);
	stations_learn(&table, mac_at(b), 2, 100);
	nbytes = 0;
	assert_int_equal(state_save(&table, 3, 100, put, NULL), 0);
	assert_int_equal(nbytes, 48);

	refuses(0, 0, "didn't write");
	refuses(8, 4, "number of vNICs");
	refuses(12, 1, "length");
	refuses(15, 1, "length");
	refuses(16, 3, "address");
	refuses(22, 1, "address");
	refuses(24, 3, "port");
	refuses(27, 1, "port");
	refuses(21, bytes[37], "twice");
	assert_int_equal(state_load(&table, 3, 40, STATE_VERSION + 1, bytes, nbytes, &why), -EINVAL);
	for (size_t n = 0; n < nbytes; n++)
		assert_int_equal(state_load(&table, 3, 40, STATE_VERSION, bytes, n, &why), -EINVAL);
}

static void finds_what_it_learned(void **state)
{
	assert_int_equal(stations_find(&table, mac_at(a), 0), STATION_UNKNOWN);
	assert_int_equal(stations_learn(&table, mac_at(a), 31, 0), STATION_NEW);
	assert_int_equal(stations_learn(&table, mac_at(b), 0, 0), STATION_NEW);
	assert_int_equal(stations_find(&table, mac_at(a), 0), 31);
	assert_int_equal(stations_find(&table, mac_at(b), 0), 0);
	assert_int_equal(stations_find(&table, mac_at(c), 0), STATION_UNKNOWN);
	assert_int_equal(stations_learn(&table, mac_at(a), 31, 1), STATION_KNOWN);
	assert_int_equal(stations_learn(&table, mac_at(a), 2, 1), STATION_MOVED);
	assert_int_equal(stations_find(&table, mac_at(a), 1), 2);
	assert_int_equal(stations_count(&table, 1), 2);
}

static void learns_no_group_and_no_zero(void **state)
{
	static const uint8_t zero[6];

	stations_learn(&table, mac_at(group), 1, 0);
	stations_learn(&table, mac_at(everybody), 1, 0);
	stations_learn(&table, mac_at(zero), 1, 0);
	assert_int_equal(stations_count(&table, 0), 0);
	assert_int_equal(stations_find(&table, mac_at(zero), 0), STATION_UNKNOWN);
}

static void forgets_who_was_silent(void **state)
{
	stations_learn(&table, mac_at(a), 1, 1000);
	assert_int_equal(stations_find(&table, mac_at(a), 1000 + AGEING - 1), 1);
	assert_int_equal(stations_find(&table, mac_at(a), 1000 + AGEING), STATION_UNKNOWN);
	assert_int_equal(stations_learn(&table, mac_at(a), 1, 1000 + AGEING - 1), STATION_KNOWN);
	assert_int_equal(stations_find(&table, mac_at(a), 1000 + 2 * AGEING - 2), 1);
	assert_int_equal(stations_learn(&table, mac_at(a), 2, 1000 + 3 * AGEING), STATION_NEW);
	assert_int_equal(stations_count(&table, 1000 + 3 * AGEING), 1);
}

static void learns_nothing_without_ageing_time(void **state)
{
	table.ageing = 0;
	stations_learn(&table, mac_at(a), 1, 5);
	assert_int_equal(stations_find(&table, mac_at(a), 5), STATION_UNKNOWN);
}

static void works_when_the_clock_wraps(void **state)
{
	stations_learn(&table, mac_at(a), 1, UINT32_MAX - 10);
	assert_int_equal(stations_find(&table, mac_at(a), 20), 1);
	assert_int_equal(stations_find(&table, mac_at(a), AGEING), STATION_UNKNOWN);
}

/* Invented addresses keep out strangers, but push out nobody; when they have aged there is room again. */
static void is_bounded_and_evicts_nobody_who_lives(void **state)
{
	unsigned places = STATIONS_PER_BUCKET * (unsigned)(table.mask + 1);
	unsigned learned = 0, refused = 0, found = 0;

	stations_learn(&table, mac_at(a), 7, 0);
	for (uint64_t i = 1; i <= 100000; i++) {
		enum learned what = stations_learn(&table, i << 8, 1, 0);

		learned += what == STATION_NEW;
		refused += what == STATION_NO_ROOM;
	}
	assert_int_equal(learned + refused, 100000);
	assert_int_equal(learned + 1, places);
	assert_int_equal(stations_count(&table, 0), places);
	assert_int_equal(stations_find(&table, mac_at(a), 0), 7);
	for (uint64_t i = 1; i <= 100000; i++)
		found += stations_find(&table, i << 8, 0) == 1;
	assert_int_equal(found, learned);

	assert_int_equal(stations_learn(&table, mac_at(b), 3, AGEING), STATION_NEW);
	assert_int_equal(stations_count(&table, AGEING), 1);
}

/* As many stations as were asked for find room, whatever the secret: all but a few in a thousand. */
static void has_room_for_what_was_asked(void **state)
{
	for (uint64_t secret = 1; secret < 50; secret++) {
		struct stations many;
		unsigned refused = 0;

		assert_int_equal(stations_init(&many, 4096, AGEING, secret * 0x9e3779b97f4a7c15ull | 1), 0);
		for (uint64_t i = 0; i < 4096; i++) {
			const uint8_t mac[6] = { 0x02, 0x42, 0xac, 0x11, (uint8_t)(i >> 8), (uint8_t)i };

			refused += stations_learn(&many, mac_at(mac), 1, 0) == STATION_NO_ROOM;
		}
		if (refused > 4096 / 20)
			fail_msg("secret %u: %u of 4096 stations found no room", (unsigned)secret, refused);
		stations_release(&many);
	}
}

/* ---- the bridge ---- */

static uint8_t sent_frame[64];

static void send_frame(unsigned vnic, const uint8_t *to, const uint8_t *from, uint32_t now)
{
	memcpy(sent_frame, to, 6);
	memcpy(sent_frame + 6, from, 6);
	for (unsigned i = 12; i < sizeof(sent_frame); i++)
		sent_frame[i] = (uint8_t)(i * 11);
	assert_true(bed_receive(&bed, vnic, sent_frame, sizeof(sent_frame)));
	assert_int_equal(bridge_burst(&bridge, vnic, now), 1);
}

/* The vNICs by which the last frame left, once each and unchanged. */
static uint32_t left_by(void)
{
	struct tx_frame frames[VR_BATCH];
	uint32_t ports = 0;

	for (unsigned vnic = 0; vnic < bed.geometry.nvnics; vnic++) {
		unsigned n = bed_take(&bed, vnic, frames);

		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(ports & frames[i].ports, 0);
			assert_int_equal(frames[i].meta.len, sizeof(sent_frame));
			assert_memory_equal(frames[i].data, sent_frame, sizeof(sent_frame));
			ports |= frames[i].ports;
		}
		bed_sent(&bed, frames, n);
	}
	return ports;
}

static void floods_what_it_does_not_know(void **state)
{
	send_frame(0, b, a, 0);
	assert_int_equal(left_by(), 1 << 1 | 1 << 2);
	send_frame(1, everybody, b, 0);
	assert_int_equal(left_by(), 1 << 0 | 1 << 2);
	send_frame(2, group, c, 0);
	assert_int_equal(left_by(), 1 << 0 | 1 << 1);
	assert_int_equal(*bridge.counters.flooded, 3);
	assert_int_equal(*bridge.counters.learned, 3);
	bed_assert_whole(&bed);
}

static void sends_to_where_the_station_is(void **state)
{
	send_frame(0, b, a, 0);
	left_by();
	send_frame(1, a, b, 0);
	assert_int_equal(left_by(), 1 << 0);
	send_frame(0, b, a, 1);
	assert_int_equal(left_by(), 1 << 1);
	assert_int_equal(*bridge.counters.forwarded, 2);
	bed_assert_whole(&bed);
}

static void follows_a_station_that_moves(void **state)
{
	send_frame(0, everybody, a, 0);
	left_by();
	send_frame(2, everybody, a, 1);
	left_by();
	send_frame(1, a, b, 1);
	assert_int_equal(left_by(), 1 << 2);
	assert_int_equal(*bridge.counters.moved, 1);
	bed_assert_whole(&bed);
}

static void keeps_local_what_is_local(void **state)
{
	send_frame(0, everybody, a, 0);
	left_by();
	send_frame(0, a, b, 0);
	assert_int_equal(left_by(), 0);
	assert_int_equal(*bridge.counters.filtered, 1);
	bed_assert_whole(&bed);
}

static void floods_again_after_ageing(void **state)
{
	send_frame(1, everybody, b, 0);
	left_by();
	send_frame(0, b, a, AGEING - 1);
	assert_int_equal(left_by(), 1 << 1);
	send_frame(0, b, a, AGEING);
	assert_int_equal(left_by(), 1 << 1 | 1 << 2);
	bed_assert_whole(&bed);
}

static void forwards_no_reserved_address(void **state)
{
	uint8_t reserved[6] = { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x00 };

	for (reserved[5] = 0; reserved[5] < 16; reserved[5]++) {
		send_frame(0, reserved, a, 0);
		assert_int_equal(left_by(), 0);
	}
	assert_int_equal(*bridge.counters.reserved, 16);
	reserved[5] = 0x10;
	send_frame(0, reserved, a, 0);
	assert_int_equal(left_by(), 1 << 1 | 1 << 2);
	bed_assert_whole(&bed);
}

static void learns_no_group_source(void **state)
{
	send_frame(0, b, group, 0);
	assert_int_equal(left_by(), 1 << 1 | 1 << 2);
	send_frame(1, group, b, 0);
	assert_int_equal(left_by(), 1 << 0 | 1 << 2);
	assert_int_equal(*bridge.counters.learned, 1);
	bed_assert_whole(&bed);
}

static void keeps_the_vlan_tag_in_the_metadata(void **state)
{
	const struct europa_slot tagged = { .len = 60, .flags = EUROPA_SLOT_VLAN, .vlan_tci = 0x2005, .vlan_proto = 0x88a8 };
	struct tx_frame frames[VR_BATCH];
	int slot = rx_slot(&bed.vr, 0, 60);

	memcpy(rx_data(&bed.vr, (uint32_t)slot), b, 6);
	memcpy(rx_data(&bed.vr, (uint32_t)slot) + 6, a, 6);
	rx_put(&bed.vr, 0, (uint32_t)slot, &tagged);
	rx_flush(&bed.vr, 0);
	assert_int_equal(bridge_burst(&bridge, 0, 0), 1);
	assert_int_equal(bed_take(&bed, 1, frames), 1);
	assert_int_equal(frames[0].meta.vlan_tci, 0x2005);
	assert_int_equal(frames[0].meta.vlan_proto, 0x88a8);
	assert_true(frames[0].meta.flags & EUROPA_SLOT_VLAN);
	bed_sent(&bed, frames, 1);
	bed_assert_whole(&bed);
}

/* Unicast and flooded frames of one burst leave by each port in the order in which they came. */
static void keeps_the_order_within_a_burst(void **state)
{
	struct tx_frame frames[VR_BATCH];
	unsigned last = 0, n;

	send_frame(1, everybody, b, 0);
	left_by();
	for (unsigned i = 0; i < 20; i++) {
		uint8_t frame[64] = { 0 };

		memcpy(frame, i % 5 == 2 ? everybody : b, 6);
		memcpy(frame + 6, a, 6);
		frame[20] = (uint8_t)i;
		bed_receive(&bed, 0, frame, sizeof(frame));
	}
	assert_int_equal(bridge_burst(&bridge, 0, 0), 20);
	n = bed_take(&bed, 1, frames);
	assert_int_equal(n, 20);
	for (unsigned i = 0; i < n; i++) {
		assert_true(i == 0 || frames[i].data[20] > last);
		last = frames[i].data[20];
	}
	bed_sent(&bed, frames, n);
	bed_assert_whole(&bed);
}

static void leaves_what_finds_no_room(void **state)
{
	const uint8_t frame[64] = { 0x02, 0, 0, 0, 0, 0x0b, 0x02, 0, 0, 0, 0, 0x0a };
	uint64_t flooded;

	send_frame(1, everybody, b, 0);
	left_by();
	flooded = *bridge.counters.flooded;
	for (unsigned i = 0; i < 80; i++) {
		assert_true(bed_receive(&bed, 0, frame, sizeof(frame)));
		bridge_burst(&bridge, 0, 0);
	}
	assert_int_equal(*bridge.counters.forwarded, 64);
	assert_true(bed_receive(&bed, 0, sent_frame, sizeof(sent_frame)));      /* to everybody, by vNIC 1 first */
	assert_int_equal(bridge_burst(&bridge, 0, 0), 0);

	assert_int_equal(bed_drain(&bed, 1), 64);
	assert_int_equal(bridge_burst(&bridge, 0, 0), 17);
	assert_int_equal(*bridge.counters.forwarded, 80);
	assert_int_equal(*bridge.counters.flooded, flooded + 1);
	assert_int_equal(*bridge.counters.tx_full, 0);
	bed_drain(&bed, 1);
	bed_assert_whole(&bed);
}

static void drops_what_has_no_other_port(void **state)
{
	send_frame(0, everybody, a, 0);
	send_frame(0, b, a, 0);
	assert_int_equal(left_by(), 0);
	assert_int_equal(*bridge.counters.filtered, 2);
	bed_assert_whole(&bed);
}

int main(void)
{
#define TABLE(test) cmocka_unit_test_setup_teardown(test, setup_table, teardown_table)
#define BRIDGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TABLE(finds_what_it_learned),
		TABLE(learns_no_group_and_no_zero),
		TABLE(forgets_who_was_silent),
		TABLE(learns_nothing_without_ageing_time),
		TABLE(works_when_the_clock_wraps),
		TABLE(goes_on_with_the_stations_of_another_one),
		TABLE(refuses_stations_that_make_no_sense),
		TABLE(is_bounded_and_evicts_nobody_who_lives),
		TABLE(has_room_for_what_was_asked),
		BRIDGE(floods_what_it_does_not_know),
		BRIDGE(sends_to_where_the_station_is),
		BRIDGE(follows_a_station_that_moves),
		BRIDGE(keeps_local_what_is_local),
		BRIDGE(floods_again_after_ageing),
		BRIDGE(forwards_no_reserved_address),
		BRIDGE(learns_no_group_source),
		BRIDGE(keeps_the_vlan_tag_in_the_metadata),
		BRIDGE(keeps_the_order_within_a_burst),
		BRIDGE(leaves_what_finds_no_room),
		cmocka_unit_test_setup_teardown(drops_what_has_no_other_port, setup_alone, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

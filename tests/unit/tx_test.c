// SPDX-License-Identifier: MIT
/* Transmit: from the VR's entries to checked frames and back to free slots, and everything that is no frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core_fixture.h"

static struct tx_frame frames[VR_BATCH];
static u32 looked;

static int make(void **state)
{
	struct bed *bed;

	bed_setup(state);
	bed = *state;
	bed->vr.vnics[0].mtu = 400;
	bed->vr.vnics[1].mtu = 1500;
	return 0;
}

/* A frame that the VR has. */
static u32 given(struct bed *bed, u32 len)
{
	int slot = bed_receive(bed, 0, len, 0x11);

	assert_true(slot >= 0);
	rx_flush(&bed->vr, 0);
	assert_int_equal(peer_get(&bed->peer.rx[0]), slot);
	return slot;
}

static void a_frame_leaves_as_the_vr_left_it(void **state)
{
	struct bed *bed = *state;
	u32 slot = given(bed, 100);
	struct europa_slot *meta = &bed->vr.meta[slot];

	meta->offset -= 20;
	meta->len += 20;
	memset(bed->vr.slots + (u64)slot * bed->geo.slot_stride + meta->offset, 0x77, 20);
	assert_true(peer_send(bed, 1, slot));

	assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 0);
	assert_int_equal(looked, 0);
	assert_int_equal(tx_take(&bed->vr, 1, frames, VR_BATCH, &looked), 1);
	assert_int_equal(looked, 1);
	assert_int_equal(frames[0].slot, slot);
	assert_int_equal(frames[0].ports, 2);
	assert_int_equal(frames[0].meta.len, 120);
	assert_int_equal(frames[0].data[0], 0x77);
	assert_int_equal(frames[0].data[19], 0x77);
	assert_int_equal(frames[0].data[20], 0x11);
	assert_int_equal(bed->vr.owners[slot], EUROPA_OWNER_SWITCH);
	assert_null(bed_fault(bed, 1));
	assert_int_equal(bed->peer.tx[1].theirs->index, 1);

	tx_done(&bed->vr, frames, 1);
	assert_int_equal(meta->state, EUROPA_SLOT_EMPTY);
	assert_int_equal(bed->vr.vnic_stats[1].tx_packets, 1);
	assert_int_equal(bed->vr.vnic_stats[1].tx_bytes, 120);
	assert_int_equal(bed->vr.vnic_stats[1].tx_batches, 1);
	assert_int_equal(bed->vr.vnic_stats[0].tx_packets, 0);
}

static void frames_keep_their_order_and_slots_too(void **state)
{
	struct bed *bed = *state;
	u32 slots[6], i;

	for (i = 0; i < 6; i++)
		slots[i] = given(bed, 60);
	for (i = 0; i < 6; i++)
		peer_send(bed, 0, slots[i]);
	assert_int_equal(tx_take(&bed->vr, 0, frames, 4, &looked), 4);
	assert_int_equal(tx_take(&bed->vr, 0, frames + 4, 64, &looked), 2);
	assert_int_equal(looked, 2);
	for (i = 0; i < 6; i++)
		assert_int_equal(frames[i].slot, slots[i]);
	tx_done(&bed->vr, frames, 6);
	for (i = 0; i < 6; i++)
		assert_int_equal(given(bed, 60), slots[i]);
}

static void no_more_is_taken_than_a_batch(void **state)
{
	struct europa_geometry geo;
	struct bed bed;
	u32 i;

	geometry_choose(&geo, 1, 200, EUROPA_MIN_STRIDE, 256, 0);
	bed_make(&bed, &geo);
	for (i = 0; i < 150; i++)
		peer_send(&bed, 0, given(&bed, 60));
	assert_int_equal(tx_take(&bed.vr, 0, frames, 1000, &looked), VR_BATCH);
	tx_done(&bed.vr, frames, VR_BATCH);
	assert_int_equal(tx_take(&bed.vr, 0, frames, 1000, &looked), VR_BATCH);
	tx_done(&bed.vr, frames, VR_BATCH);
	assert_int_equal(tx_take(&bed.vr, 0, frames, 1000, &looked), 150 - 2 * VR_BATCH);
	tx_done(&bed.vr, frames, looked);
	assert_null(bed_fault(&bed, 0));
	bed_free(&bed);
}

static void an_entry_that_is_no_slot_of_the_vr_costs_only_itself(void **state)
{
	struct bed *bed = *state;
	u32 run = bed->geo.nslots, end = geometry_indexes(&bed->geo);
	const struct { u32 index; enum europa_drop cause; } cases[] = {
		{ 7, EUROPA_DROP_NOT_OWNED }, { run, EUROPA_DROP_NOT_OWNED }, { run + 1, EUROPA_DROP_BAD_INDEX },
		{ end, EUROPA_DROP_BAD_INDEX }, { 0x80000001, EUROPA_DROP_BAD_INDEX }, { ~0u, EUROPA_DROP_BAD_INDEX },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		u64 before = bed_dropped(bed, 0, cases[i].cause);
		u32 slot = given(bed, 60);

		bed->vr.meta[7].state = EUROPA_SLOT_PROCESSED;
		peer_post(&bed->peer.tx[0], cases[i].index);
		peer_send(bed, 0, slot);
		assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 1);
		assert_int_equal(looked, 2);
		assert_int_equal(frames[0].slot, slot);
		assert_int_equal(bed_dropped(bed, 0, cases[i].cause), before + 1);
		assert_int_equal(bed->vr.meta[7].state, EUROPA_SLOT_PROCESSED);
		tx_done(&bed->vr, frames, 1);
	}
}

static void a_slot_sent_twice_leaves_once(void **state)
{
	struct bed *bed = *state;
	u32 slot = given(bed, 60);

	peer_send(bed, 0, slot);
	peer_send(bed, 0, slot);
	peer_send(bed, 1, slot);
	peer_post(&bed->peer.free, slot);
	assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 1);
	assert_int_equal(looked, 2);
	assert_int_equal(tx_take(&bed->vr, 1, frames + 1, VR_BATCH, &looked), 0);
	assert_int_equal(looked, 1);
	tx_done(&bed->vr, frames, 1);
	pool_turn(&bed->vr, 64, &(bool){ 0 });
	assert_int_equal(bed->vr.stats->violations, 3);
}

static void what_fails_a_check_is_reclaimed(void **state)
{
	struct bed *bed = *state;
	u32 slot = given(bed, 60), run = given(bed, 9000);

	peer_post(&bed->peer.tx[0], slot);      /* still FILLED */
	bed->vr.meta[run].len = ~0u;
	peer_send(bed, 1, run);
	assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 0);
	assert_int_equal(looked, 1);
	assert_int_equal(tx_take(&bed->vr, 1, frames, VR_BATCH, &looked), 0);
	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_BAD_STATE), 1);
	assert_int_equal(bed_dropped(bed, 1, EUROPA_DROP_BAD_LENGTH), 1);
	assert_int_equal(bed->vr.owners[slot], EUROPA_OWNER_SWITCH);
	assert_int_equal(bed->vr.meta[slot].state, EUROPA_SLOT_EMPTY);
	assert_int_equal(bed->vr.owners[run], EUROPA_OWNER_SWITCH);
	assert_int_equal(bed->vr.nfree_runs, bed->geo.nruns);
	assert_int_equal(bed->vr.vnic_stats[0].tx_packets + bed->vr.vnic_stats[1].tx_packets, 0);
}

/* A frame of `len` bytes out of a vNIC with an MTU of 400. Longer than the MTU is the user's mistake, not a violation. */
static void the_mtu_bounds_what_leaves(void **state)
{
	struct bed *bed = *state;
	const struct { u32 len; struct europa_slot offload; bool leaves; } cases[] = {
		{ 414, { 0 }, true },
		{ 418, { 0 }, true },           /* with a tag in the frame */
		{ 419, { 0 }, false },
		{ 9000, { 0 }, false },
		{ 9000, { .gso_type = EUROPA_GSO_TCPV4, .gso_size = 348, .csum_start = 34, .csum_offset = 16 }, true },
		{ 9000, { .gso_type = EUROPA_GSO_TCPV4, .gso_size = 365, .csum_start = 34, .csum_offset = 16 }, false },
		{ 9000, { .gso_type = EUROPA_GSO_UDP_L4, .gso_size = 376, .csum_start = 34, .csum_offset = 6 }, true },
		{ 9000, { .gso_type = EUROPA_GSO_UDP_L4, .gso_size = 377, .csum_start = 34, .csum_offset = 6 }, false },
		{ 9000, { .gso_type = EUROPA_GSO_UDP, .gso_size = 384, .csum_start = 34, .csum_offset = 6 }, true },
	};
	u32 too_long = 0;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		u32 slot = given(bed, cases[i].len);
		struct europa_slot *meta = &bed->vr.meta[slot];

		if (cases[i].offload.gso_type) {
			*meta = cases[i].offload;
			meta->flags = EUROPA_SLOT_NEEDS_CSUM;
			meta->hdr_len = 54;
			meta->offset = EUROPA_HEADROOM;
			meta->len = cases[i].len;
		}
		peer_send(bed, 0, slot);
		assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), cases[i].leaves);
		tx_done(&bed->vr, frames, cases[i].leaves);
		too_long += !cases[i].leaves;
		assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_TX_TOO_LONG), too_long);
	}
	assert_int_equal(bed->vr.stats->violations, 0);
}

static void without_an_mtu_the_port_has_the_last_word(void **state)
{
	struct bed *bed = *state;

	bed->vr.vnics[0].mtu = 0;
	peer_send(bed, 0, given(bed, 20000));
	assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 1);
	tx_done(&bed->vr, frames, 1);
}

static void a_replicated_frame_is_taken_once_and_counted_for_each_port(void **state)
{
	struct bed *bed = *state;
	u32 slot = given(bed, 60);

	bed->vr.meta[slot].flags = EUROPA_SLOT_REPLICATE;
	bed->vr.meta[slot].ports = 3;
	peer_send(bed, 0, slot);
	assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 1);
	assert_int_equal(frames[0].ports, 3);
	tx_done(&bed->vr, frames, 1);
	assert_int_equal(bed->vr.vnic_stats[0].tx_packets, 1);
	assert_int_equal(bed->vr.vnic_stats[1].tx_packets, 1);
	assert_int_equal(bed->vr.vnic_stats[1].tx_bytes, 60);
}

static void a_replicated_frame_leaves_where_it_fits(void **state)
{
	struct bed *bed = *state;
	u32 slot = given(bed, 1000);

	bed->vr.meta[slot].flags = EUROPA_SLOT_REPLICATE;
	bed->vr.meta[slot].ports = 3;
	peer_send(bed, 0, slot);
	assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 1);
	assert_int_equal(frames[0].ports, 2);
	tx_done(&bed->vr, frames, 1);
	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_TX_TOO_LONG), 1);

	slot = given(bed, 1000);
	bed->vr.meta[slot].flags = EUROPA_SLOT_REPLICATE;
	bed->vr.meta[slot].ports = 1;
	peer_send(bed, 1, slot);
	assert_int_equal(tx_take(&bed->vr, 1, frames, VR_BATCH, &looked), 0);
	assert_int_equal(looked, 1);
	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_TX_TOO_LONG), 2);
}

static void a_broken_ring_ends_in_quarantine_not_in_a_spin(void **state)
{
	struct bed *bed = *state;
	u32 looks = 0;

	bed->peer.tx[0].mine->index = 17;
	while (!bed->vr.quarantined) {
		assert_true(vr_has_work(&bed->vr));
		assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 0);
		assert_int_equal(looked, 0);
		assert_true(++looks <= VR_TOLERANCE);
	}
	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_BAD_RING), VR_TOLERANCE);
	assert_false(vr_sleep(&bed->vr));
}

static void a_quarantined_or_quiesced_vr_sends_nothing(void **state)
{
	struct bed *bed = *state;
	u32 slot = given(bed, 60);

	peer_send(bed, 0, slot);
	vr_quiesce(&bed->vr, true);
	assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 0);
	assert_int_equal(looked, 0);
	vr_quiesce(&bed->vr, false);
	vr_violation(&bed->vr, 0, EUROPA_DROP_BAD_STATE, 5000);
	assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 0);
	assert_int_equal(looked, 0);
	assert_int_equal(bed->vr.owners[slot], EUROPA_OWNER_VR);
}

static void cost_grows_with_copies_bytes_and_segments(void **state)
{
	struct tx_frame frame = { .ports = 1, .meta = { .len = 60 } };

	assert_int_equal(tx_cost(&frame), 1);
	frame.meta.len = 1514;
	assert_int_equal(tx_cost(&frame), 1);
	frame.ports = 0x80000001;
	assert_int_equal(tx_cost(&frame), 2);
	frame.meta = (struct europa_slot){ .len = 64 << 10, .gso_type = EUROPA_GSO_TCPV4, .gso_size = 1448 };
	assert_int_equal(tx_cost(&frame), 2 * (5 + 5));
	frame.meta.gso_size = 64;
	assert_int_equal(tx_cost(&frame), 2 * (5 + 128));
}

/* Frames in a row, the first ones of one kind and the others ordinary, and how many of them go at one go. */
static void what_costs_much_goes_in_small_slices(void **state)
{
	static const u8 one[6] = { 2 }, group[6] = { 3 };
	static const struct {
		const char *name;
		struct europa_slot meta;
		const u8 *data;
		u32 ports, alike, slice;
	} cases[] = {
		{ "ordinary", { .len = 1500 }, one, 1, 64, 64 },
		{ "to a group", { .len = 60 }, group, 1, 64, 1 },
		{ "replicated", { .len = 60 }, one, 0xffffffff, 64, 2 },
		{ "long", { .len = 64000 }, one, 1, 64, 16 },
		{ "TCP", { .len = 64000, .gso_type = EUROPA_GSO_TCPV4, .gso_size = 1448 }, one, 1, 64, 8 },
		{ "TCP in the most segments", { .len = 64000, .gso_type = EUROPA_GSO_TCPV6, .gso_size = 32 }, one, 1, 64, 1 },
		{ "long to a group", { .len = 64000 }, group, 1, 64, 1 },
		{ "two long ones, then ordinary", { .len = 64000 }, one, 1, 2, 58 },
		{ "seven long ones, then ordinary", { .len = 64000 }, one, 1, 7, 43 },
		{ "a very costly one, then ordinary", { .len = 64000 }, group, 1, 1, 1 },
	};
	u32 i, n, ports;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (n = 0; n < VR_BATCH; n++) {
			frames[n] = (struct tx_frame){ .ports = 1, .data = one, .meta = { .len = 60 } };
			if (n < cases[i].alike)
				frames[n] = (struct tx_frame){ .ports = cases[i].ports, .data = cases[i].data, .meta = cases[i].meta };
		}
		n = tx_slice(frames, VR_BATCH, &ports);
		if (n != cases[i].slice)
			fail_msg("%s: %u at one go", cases[i].name, n);
		assert_int_equal(tx_slice(frames, 1, &ports), 1);
	}
}

static void a_slice_says_where_its_frames_leave(void **state)
{
	static const u8 one[6] = { 2 };
	u32 ports, n;

	for (n = 0; n < 8; n++)
		frames[n] = (struct tx_frame){ .ports = 0xffffu << n, .data = one, .meta = { .len = 60 } };
	assert_int_equal(tx_slice(frames, 8, &ports), 4);
	assert_int_equal(ports, 0x7ffff);
	assert_int_equal(tx_slice(frames + 4, 2, &ports), 2);
	assert_int_equal(ports, 0x1ffff0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_frame_leaves_as_the_vr_left_it),
		TEST(frames_keep_their_order_and_slots_too),
		cmocka_unit_test(no_more_is_taken_than_a_batch),
		TEST(an_entry_that_is_no_slot_of_the_vr_costs_only_itself),
		TEST(a_slot_sent_twice_leaves_once),
		TEST(what_fails_a_check_is_reclaimed),
		TEST(the_mtu_bounds_what_leaves),
		TEST(without_an_mtu_the_port_has_the_last_word),
		TEST(a_replicated_frame_is_taken_once_and_counted_for_each_port),
		TEST(a_replicated_frame_leaves_where_it_fits),
		TEST(cost_grows_with_copies_bytes_and_segments),
		TEST(a_broken_ring_ends_in_quarantine_not_in_a_spin),
		TEST(a_quarantined_or_quiesced_vr_sends_nothing),
		cmocka_unit_test(what_costs_much_goes_in_small_slices),
		cmocka_unit_test(a_slice_says_where_its_frames_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/* Receive: slots for frames, what the VR finds in them, and every reason for which there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core_fixture.h"

static void a_frame_arrives_whole(void **state)
{
	struct bed *bed = *state;
	struct europa_slot meta = {
		.state = 77, .flags = EUROPA_SLOT_NEEDS_CSUM | EUROPA_SLOT_VLAN, .in_vnic = 99, .gso_type = EUROPA_GSO_TCPV6,
		.len = 100, .offset = 7, .vlan_tci = 0x6123, .vlan_proto = 0x88a8, .hdr_len = 54, .gso_size = 1440,
		.csum_start = 34, .csum_offset = 16, .hash = 0xdeadbeef, .tstamp_us = 0x12345678,
	};
	struct europa_slot *got;
	int i, slot = rx_slot(&bed->vr, 1, 100);

	assert_true(slot >= 0);
	memset(rx_data(&bed->vr, slot), 0x5a, 100);
	rx_put(&bed->vr, 1, slot, &meta);
	assert_int_equal(peer_get(&bed->peer.rx[1]), -1);
	assert_int_equal(bed->vr.owners[slot], EUROPA_OWNER_SWITCH);

	assert_false(rx_flush(&bed->vr, 1));
	assert_int_equal(bed->vr.owners[slot], EUROPA_OWNER_VR);
	assert_int_equal(peer_get(&bed->peer.rx[0]), -1);
	assert_int_equal(peer_get(&bed->peer.rx[1]), slot);

	got = &bed->vr.meta[slot];
	meta.state = EUROPA_SLOT_FILLED;
	meta.in_vnic = 1;
	meta.offset = EUROPA_HEADROOM;
	assert_memory_equal(got, &meta, sizeof(meta));
	for (i = 0; i < 100; i++)
		assert_int_equal(bed->vr.slots[(u64)slot * bed->geo.slot_stride + got->offset + i], 0x5a);

	assert_int_equal(bed->vr.vnic_stats[1].rx_packets, 1);
	assert_int_equal(bed->vr.vnic_stats[1].rx_bytes, 100);
	assert_int_equal(bed->vr.vnic_stats[1].rx_batches, 1);
	assert_int_equal(bed->vr.vnic_stats[1].wakeups, 0);
}

/* Each alone: what has nothing of it is written in fewer words. */
static void what_there_is_to_say_of_a_frame_arrives(void **state)
{
	static const struct europa_slot cases[] = {
		{ .len = 60, .flags = EUROPA_SLOT_BROADCAST, .hash = 7 },
		{ .len = 60, .flags = EUROPA_SLOT_VLAN, .vlan_tci = 0x6123, .vlan_proto = 0x8100 },
		{ .len = 60, .flags = EUROPA_SLOT_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 },
		{ .len = 100, .flags = EUROPA_SLOT_CSUM_VALID, .gso_type = EUROPA_GSO_TCPV4, .gso_size = 20, .hdr_len = 54 },
	};
	struct bed *bed = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct europa_slot expected = cases[i];
		int slot = rx_slot(&bed->vr, 0, cases[i].len);

		assert_true(slot >= 0);
		memset(&bed->vr.meta[slot], 0xff, sizeof(bed->vr.meta[slot]));
		rx_put(&bed->vr, 0, slot, &cases[i]);
		rx_flush(&bed->vr, 0);
		expected.state = EUROPA_SLOT_FILLED;
		expected.offset = EUROPA_HEADROOM;
		assert_memory_equal(&bed->vr.meta[slot], &expected, sizeof(expected));
	}
}

static void frames_keep_their_order_over_many_turns(void **state)
{
	struct bed *bed = *state;
	u32 turn, i;

	for (turn = 0; turn < 100; turn++) {
		int slots[5];

		for (i = 0; i < 5; i++)
			slots[i] = bed_receive(bed, 0, 60 + i, turn);
		rx_flush(&bed->vr, 0);
		for (i = 0; i < 5; i++) {
			assert_int_equal(peer_get(&bed->peer.rx[0]), slots[i]);
			assert_int_equal(bed->vr.meta[slots[i]].len, 60 + i);
			assert_true(peer_post(&bed->peer.free, slots[i]));
		}
		assert_int_equal(pool_turn(&bed->vr, 64, &(bool){ 0 }), turn ? 5 : 5 + bed->geo.alloc_target);
	}
}

/* Which frames fit where: a slot of 576 bytes has room for 448, a run for all that is left of its slots. */
static void the_length_decides_between_slot_run_and_nothing(void **state)
{
	struct bed *bed = *state;
	const u32 run = bed->geo.slot_stride * bed->geo.run_slots - EUROPA_HEADROOM;
	const struct { u32 len; bool fits, run; } cases[] = {
		{ 14, true, false }, { 448, true, false }, { 449, true, true }, { 65549, true, true },
		{ run, true, true }, { run + 1, false, false }, { 0xffffffff, false, false },
		{ 13, false, false }, { 0, false, false },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int slot = rx_slot(&bed->vr, 0, cases[i].len);

		assert_int_equal(slot >= 0, cases[i].fits);
		if (slot < 0)
			continue;
		assert_int_equal(slot >= (int)bed->geo.nslots, cases[i].run);
		memset(rx_data(&bed->vr, slot), 1, cases[i].len);
		rx_cancel(&bed->vr, slot);
	}
	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_RX_TOO_LONG), 2);
	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_RX_MALFORMED), 2);
}

static void without_runs_what_is_longer_than_a_slot_is_too_long(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct bed bed;

	geo.nruns = 0;
	bed_make(&bed, &geo);
	assert_int_equal(rx_slot(&bed.vr, 0, 449), -1);
	assert_int_equal(bed_dropped(&bed, 0, EUROPA_DROP_RX_TOO_LONG), 1);
	assert_int_equal(bed.vr.header->features & EUROPA_F_RUNS, 0);
	bed_free(&bed);
}

static void no_slot_and_no_run_are_told_apart(void **state)
{
	struct bed *bed = *state;
	u32 i;

	for (i = 0; i < bed->geo.nruns; i++)
		assert_true(bed_receive(bed, 0, 9000, 0) >= 0);
	assert_int_equal(bed_receive(bed, 0, 9000, 0), -1);
	for (i = 0; i < bed->geo.nslots; i++)
		assert_true(bed_receive(bed, 0, 60, 0) >= 0);
	assert_int_equal(bed_receive(bed, 0, 60, 0), -1);
	rx_flush(&bed->vr, 0);

	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_RX_NO_RUN), 1);
	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_RX_NO_SLOT), 1);
	assert_int_equal(bed->vr.vnic_stats[0].rx_packets, bed->geo.nslots + bed->geo.nruns);
}

static void a_full_ring_costs_no_slot(void **state)
{
	struct europa_geometry geo;
	struct bed bed;
	u32 i, left;

	geometry_choose(&geo, 1, 64, EUROPA_MIN_STRIDE, 16, 0);
	bed_make(&bed, &geo);
	for (i = 0; i < 16; i++)
		assert_true(bed_receive(&bed, 0, 60, 0) >= 0);
	left = bed.vr.nfree_slots;
	assert_int_equal(bed_receive(&bed, 0, 60, 0), -1);      /* full of what is not even flushed */
	rx_flush(&bed.vr, 0);
	assert_int_equal(bed_receive(&bed, 0, 60, 0), -1);
	assert_int_equal(bed.vr.nfree_slots, left);
	assert_int_equal(bed_dropped(&bed, 0, EUROPA_DROP_RX_RING_FULL), 2);

	peer_get(&bed.peer.rx[0]);
	assert_true(bed_receive(&bed, 0, 60, 0) >= 0);
	assert_null(bed_fault(&bed, 1));
	bed_free(&bed);
}

static void indexes_wrap(void **state)
{
	struct bed *bed = *state;
	const u32 start = 0xfffffffa;
	u32 i;

	bed->vr.rx[0].mine->index = start;
	((struct europa_line *)bed->peer.rx[0].mine)->index = start;
	ring_init(&bed->vr.rx[0], bed->vr.rx[0].entries, 16, bed->vr.rx[0].mine, bed->vr.rx[0].theirs);
	peer_open(bed);
	for (i = 0; i < 8; i++)
		assert_true(bed_receive(bed, 0, 60, 0) >= 0);
	rx_flush(&bed->vr, 0);
	assert_int_equal(bed->vr.rx[0].mine->index, start + 8);
	for (i = 0; i < 8; i++)
		assert_true(peer_get(&bed->peer.rx[0]) >= 0);
	assert_int_equal(peer_get(&bed->peer.rx[0]), -1);
}

static void a_vr_that_claims_to_have_read_what_was_never_there_is_counted(void **state)
{
	static const u32 lies[] = { 1, 17, 0x7fffffff, 0x80000000, 0xffffffff - 16 };
	struct bed *bed = *state;
	size_t i;

	/* Two frames are in the ring; the VR says it has read more, or has none of them for ages. */
	bed_receive(bed, 0, 60, 0);
	bed_receive(bed, 0, 60, 0);
	rx_flush(&bed->vr, 0);
	for (i = 0; i < sizeof(lies) / sizeof(u32); i++) {
		bed->peer.rx[0].mine->index = 2 + lies[i];
		bed->vr.rx[0].peer = 2 - 16;    /* seen last: full */
		assert_int_equal(rx_slot(&bed->vr, 0, 60), -1);
		assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_BAD_RING), i + 1);
	}
	assert_int_equal(bed->vr.stats->violations, i);
	assert_int_equal(bed->vr.vnic_stats[0].rx_packets, 2);
}

static void the_doorbell_is_asked_for_once_a_batch_where_the_vr_sleeps(void **state)
{
	struct bed *bed = *state;

	ring_sleep(&bed->peer.rx[0]);
	assert_false(rx_flush(&bed->vr, 0));    /* nothing to wake up for */
	bed_receive(bed, 0, 60, 0);
	bed_receive(bed, 0, 60, 0);
	assert_true(rx_flush(&bed->vr, 0));
	assert_false(rx_flush(&bed->vr, 0));
	ring_awake(&bed->peer.rx[0]);
	bed_receive(bed, 0, 60, 0);
	assert_false(rx_flush(&bed->vr, 0));
	assert_int_equal(bed->vr.vnic_stats[0].wakeups, 1);
}

static void a_cancelled_slot_is_used_next(void **state)
{
	struct bed *bed = *state;
	int slot = rx_slot(&bed->vr, 0, 60);

	rx_cancel(&bed->vr, slot);
	assert_int_equal(rx_slot(&bed->vr, 0, 60), slot);
	rx_cancel(&bed->vr, slot);
	slot = rx_slot(&bed->vr, 0, 9000);
	rx_cancel(&bed->vr, slot);
	assert_int_equal(rx_slot(&bed->vr, 0, 9000), slot);
	rx_cancel(&bed->vr, slot);
}

static void a_quiesced_vr_receives_nothing(void **state)
{
	struct bed *bed = *state;

	vr_quiesce(&bed->vr, true);
	assert_int_equal(bed->vr.header->status, EUROPA_QUIESCED);
	assert_int_equal(bed_receive(bed, 0, 60, 0), -1);
	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_RX_DOWN), 1);
	vr_quiesce(&bed->vr, false);
	assert_int_equal(bed->vr.header->status, EUROPA_ATTACHED);
	assert_true(bed_receive(bed, 0, 60, 0) >= 0);
	rx_flush(&bed->vr, 0);
}

static void a_fenced_vr_receives_nothing_and_still_sends_and_drops(void **state)
{
	struct bed *bed = *state;
	struct tx_frame frames[VR_BATCH];
	int sent = bed_receive(bed, 0, 60, 0), dropped = bed_receive(bed, 0, 60, 0);
	u32 looked;
	bool wake;

	rx_flush(&bed->vr, 0);
	vr_quiesce(&bed->vr, EUROPA_QUIESCE_IN);
	assert_int_equal(bed->vr.header->status, EUROPA_FENCED);
	assert_int_equal(bed_receive(bed, 0, 60, 0), -1);
	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_RX_DOWN), 1);

	assert_int_equal(peer_get(&bed->peer.rx[0]), sent);
	assert_int_equal(peer_get(&bed->peer.rx[0]), dropped);
	peer_send(bed, 0, (u32)sent);
	peer_post(&bed->peer.free, (u32)dropped);
	assert_true(vr_has_work(&bed->vr));
	assert_int_equal(tx_take(&bed->vr, 0, frames, VR_BATCH, &looked), 1);
	tx_done(&bed->vr, frames, 1);
	assert_true(pool_turn(&bed->vr, UINT32_MAX, &wake) >= 1);
	assert_int_equal(bed->vr.stats->dropped, 1);

	vr_quiesce(&bed->vr, EUROPA_QUIESCE_ALL);
	assert_int_equal(bed->vr.header->status, EUROPA_QUIESCED);
	vr_quiesce(&bed->vr, 0);
	assert_int_equal(bed->vr.header->status, EUROPA_ATTACHED);
	assert_true(bed_receive(bed, 0, 60, 0) >= 0);
	rx_flush(&bed->vr, 0);
}

static void a_quarantined_vr_receives_nothing_whatever_else_happens(void **state)
{
	struct bed *bed = *state;

	vr_violation(&bed->vr, 0, EUROPA_DROP_BAD_INDEX, VR_TOLERANCE);
	assert_int_equal(bed->vr.header->status, EUROPA_QUARANTINED);
	assert_int_equal(bed_receive(bed, 0, 60, 0), -1);
	vr_quiesce(&bed->vr, true);
	vr_quiesce(&bed->vr, false);
	assert_int_equal(bed->vr.header->status, EUROPA_QUARANTINED);
	assert_int_equal(bed_receive(bed, 1, 60, 0), -1);
	assert_int_equal(bed_dropped(bed, 0, EUROPA_DROP_RX_QUARANTINED), 1);
	assert_int_equal(bed_dropped(bed, 1, EUROPA_DROP_RX_QUARANTINED), 1);
}

/* One look of the watchdog a line: what the VR has taken by then, and whether the doorbell is to be rung. */
static void the_watchdog_counts_seconds_without_progress(void **state)
{
	struct bed *bed = *state;
	const u32 start = 0xffffff00;   /* the clock wraps in between */
	const struct { u32 at; bool take, stalled; } looks[] = {
		{ 0, false, false }, { 600000, false, false }, { 999999, false, false }, { 1000000, false, true }, { 1500000, false, false },
		{ 2000000, false, true }, { 2100000, true, false }, { 3000000, false, false }, { 3100000, false, true },
	};
	size_t i;
	int slot;

	assert_false(vr_watch(&bed->vr, start - 1));
	assert_true(bed_receive(bed, 1, 60, 0) >= 0 && bed_receive(bed, 1, 60, 0) >= 0);
	rx_flush(&bed->vr, 1);
	for (i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		if (looks[i].take)
			assert_true(peer_post(&bed->peer.free, peer_get(&bed->peer.rx[1])));
		assert_int_equal(vr_watch(&bed->vr, start + looks[i].at), looks[i].stalled);
	}
	assert_int_equal(bed->vr.vnic_stats[1].stalls, 3);
	assert_int_equal(bed->vr.vnic_stats[0].stalls, 0);

	/* An empty ring is no stall, nor is one that the switch doesn't serve. */
	slot = peer_get(&bed->peer.rx[1]);
	assert_true(peer_post(&bed->peer.free, slot));
	assert_false(vr_watch(&bed->vr, start + 9000000));
	assert_true(bed_receive(bed, 1, 60, 0) >= 0);
	rx_flush(&bed->vr, 1);
	assert_false(vr_watch(&bed->vr, start + 9100000));
	vr_quiesce(&bed->vr, true);
	assert_false(vr_watch(&bed->vr, start + 20000000));
	vr_quiesce(&bed->vr, false);
	assert_false(vr_watch(&bed->vr, start + 30000000));
	assert_true(vr_watch(&bed->vr, start + 31000000));
	vr_quiesce(&bed->vr, EUROPA_QUIESCE_IN);
	assert_false(vr_watch(&bed->vr, start + 40000000));
	assert_int_equal(bed->vr.vnic_stats[1].stalls, 4);
}

static void work_without_a_kick_is_counted(void **state)
{
	struct bed *bed = *state;
	int slot = bed_receive(bed, 0, 60, 0);

	rx_flush(&bed->vr, 0);
	vr_missed_kick(&bed->vr);
	assert_int_equal(bed->vr.stats->missed_kicks, 0);
	assert_int_equal(peer_get(&bed->peer.rx[0]), slot);
	assert_true(peer_post(&bed->peer.free, slot));
	vr_missed_kick(&bed->vr);
	pool_turn(&bed->vr, 64, &(bool){ 0 });
	vr_missed_kick(&bed->vr);
	assert_int_equal(bed->vr.stats->missed_kicks, 1);
	vr_missed_kick(&bed->vr);
	assert_int_equal(bed->vr.stats->missed_kicks, 1);
}

static void a_kick_that_is_late_is_not_counted_as_missed(void **state)
{
	struct bed *bed = *state;
	int slot = bed_receive(bed, 0, 60, 0);

	rx_flush(&bed->vr, 0);
	assert_int_equal(peer_get(&bed->peer.rx[0]), slot);
	assert_true(peer_post(&bed->peer.free, slot));
	vr_missed_kick(&bed->vr);
	vr_kicked(&bed->vr);
	pool_turn(&bed->vr, 64, &(bool){ 0 });
	vr_missed_kick(&bed->vr);
	assert_int_equal(bed->vr.stats->missed_kicks, 0);
	assert_int_equal(bed->vr.stats->kicks, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_frame_arrives_whole),
		TEST(what_there_is_to_say_of_a_frame_arrives),
		TEST(frames_keep_their_order_over_many_turns),
		TEST(the_length_decides_between_slot_run_and_nothing),
		cmocka_unit_test(without_runs_what_is_longer_than_a_slot_is_too_long),
		TEST(no_slot_and_no_run_are_told_apart),
		cmocka_unit_test(a_full_ring_costs_no_slot),
		TEST(indexes_wrap),
		TEST(a_vr_that_claims_to_have_read_what_was_never_there_is_counted),
		TEST(the_doorbell_is_asked_for_once_a_batch_where_the_vr_sleeps),
		TEST(a_cancelled_slot_is_used_next),
		TEST(a_quiesced_vr_receives_nothing),
		TEST(a_fenced_vr_receives_nothing_and_still_sends_and_drops),
		TEST(a_quarantined_vr_receives_nothing_whatever_else_happens),
		TEST(the_watchdog_counts_seconds_without_progress),
		TEST(work_without_a_kick_is_counted),
		TEST(a_kick_that_is_late_is_not_counted_as_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

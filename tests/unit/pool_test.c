// SPDX-License-Identifier: MIT
/* The free and alloc rings, the free stacks, the census, and sleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core_fixture.h"

static u32 turn(struct bed *bed)
{
	bool wake;

	return pool_turn(&bed->vr, 1000, &wake);
}

static void a_fresh_region_says_what_it_is(void **state)
{
	struct bed *bed = *state;
	const struct europa_header *header = (void *)bed->control;
	struct vr_census census;

	assert_true(header->magic == EUROPA_MAGIC);
	assert_int_equal(header->major, EUROPA_MAJOR);
	assert_int_equal(header->features,
			 EUROPA_F_OFFLOAD | EUROPA_F_RUNS | EUROPA_F_REPLICATE | EUROPA_F_ALLOC | EUROPA_F_STATE);
	assert_memory_equal(&header->geometry, &bed->geo, sizeof(bed->geo));
	assert_memory_equal(&header->offsets, &bed->off, sizeof(bed->off));
	assert_int_equal(header->status, EUROPA_ATTACHED);
	assert_int_equal(header->epoch, 1);
	assert_string_equal(header->name, "bed");

	vr_census(&bed->vr, &census);
	assert_int_equal(census.switch_slots, 8);
	assert_int_equal(census.switch_runs, 2);
	assert_int_equal(census.vr_slots + census.vr_runs, 0);
}

static void a_long_name_is_cut_and_terminated(void **state)
{
	struct bed *bed = *state;
	char name[100];

	memset(name, 'x', sizeof(name) - 1);
	name[99] = '\0';
	memset(bed->control, 0, bed->off.control_size);
	vr_init(&bed->vr, &bed->geo, name, bed->control, bed->pool, bed->memory);
	assert_int_equal(strlen(bed->vr.header->name), 63);
}

static void what_the_vr_drops_comes_back(void **state)
{
	struct bed *bed = *state;
	struct vr_census census;
	int slot, run;

	turn(bed);
	slot = bed_receive(bed, 0, 60, 0);
	run = bed_receive(bed, 1, 9000, 0);
	rx_flush(&bed->vr, 0);
	rx_flush(&bed->vr, 1);
	vr_census(&bed->vr, &census);
	assert_int_equal(census.vr_slots, 1 + bed->geo.alloc_target);
	assert_int_equal(census.vr_runs, 1);

	peer_post(&bed->peer.free, slot);
	peer_post(&bed->peer.free, run);
	turn(bed);
	assert_int_equal(bed->vr.stats->dropped, 2);
	assert_int_equal(bed->vr.meta[slot].state, EUROPA_SLOT_EMPTY);
	assert_int_equal(bed->vr.meta[run].state, EUROPA_SLOT_EMPTY);
	assert_int_equal(bed->vr.owners[slot], EUROPA_OWNER_SWITCH);
	assert_int_equal(bed->vr.owners[run], EUROPA_OWNER_SWITCH);

	vr_refresh_stats(&bed->vr);
	assert_int_equal(bed->vr.stats->free_slots, 8 - bed->geo.alloc_target);
	assert_int_equal(bed->vr.stats->free_runs, 2);
}

static void what_the_vr_cannot_give_is_counted_and_nothing_else(void **state)
{
	struct bed *bed = *state;
	u32 run = bed->geo.nslots, end = geometry_indexes(&bed->geo);
	const struct { u32 index; enum europa_drop cause; } cases[] = {
		{ 5, EUROPA_DROP_NOT_OWNED },
		{ run, EUROPA_DROP_NOT_OWNED },
		{ run + 1, EUROPA_DROP_BAD_INDEX },
		{ end - 1, EUROPA_DROP_BAD_INDEX },
		{ end, EUROPA_DROP_BAD_INDEX },
		{ 0x80000000, EUROPA_DROP_BAD_INDEX },
		{ 0xffffffff, EUROPA_DROP_BAD_INDEX },
	};
	size_t i;

	turn(bed);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		u64 before = bed_dropped(bed, EUROPA_MAX_VNICS, cases[i].cause);

		peer_post(&bed->peer.free, cases[i].index);
		turn(bed);
		assert_int_equal(bed_dropped(bed, EUROPA_MAX_VNICS, cases[i].cause), before + 1);
	}
	assert_int_equal(bed->vr.stats->violations, i);
	assert_int_equal(bed->vr.stats->dropped, 0);
}

static void a_slot_dropped_twice_comes_back_once(void **state)
{
	struct bed *bed = *state;
	int slot = bed_receive(bed, 0, 60, 0);

	rx_flush(&bed->vr, 0);
	peer_post(&bed->peer.free, slot);
	peer_post(&bed->peer.free, slot);
	turn(bed);
	assert_int_equal(bed->vr.stats->dropped, 1);
	assert_int_equal(bed_dropped(bed, EUROPA_MAX_VNICS, EUROPA_DROP_NOT_OWNED), 1);
}

static void a_turn_keeps_to_its_budget(void **state)
{
	struct bed *bed = *state;
	bool wake;
	u32 i;

	turn(bed);
	for (i = 0; i < 5; i++)
		bed_receive(bed, 0, 60, 0);
	rx_flush(&bed->vr, 0);
	for (i = 0; i < 5; i++)
		peer_post(&bed->peer.free, peer_get(&bed->peer.rx[0]));
	assert_int_equal(pool_turn(&bed->vr, 0, &wake), 0);
	assert_int_equal(pool_turn(&bed->vr, 3, &wake), 3);
	assert_int_equal(pool_turn(&bed->vr, 3, &wake), 2);
	assert_int_equal(pool_turn(&bed->vr, 3, &wake), 0);
}

static void the_alloc_ring_is_topped_up(void **state)
{
	struct bed *bed = *state;
	int a, b;

	assert_int_equal(turn(bed), 2);
	assert_int_equal(turn(bed), 0);
	a = peer_get(&bed->peer.alloc);
	assert_int_equal(bed->vr.owners[a], EUROPA_OWNER_VR);
	assert_int_equal(bed->vr.meta[a].state, EUROPA_SLOT_EMPTY);
	assert_int_equal(turn(bed), 1);
	b = peer_get(&bed->peer.alloc);
	assert_true(a != b);
	assert_int_equal(bed->vr.stats->allocated, 3);
	peer_post(&bed->peer.free, a);
	peer_post(&bed->peer.free, b);
	assert_int_equal(turn(bed), 3);
}

static void the_alloc_ring_takes_no_more_than_there_is(void **state)
{
	struct bed *bed = *state;
	u32 i, got = 0;

	for (i = 0; i < 20; i++) {
		turn(bed);
		got += peer_get(&bed->peer.alloc) >= 0;
	}
	assert_int_equal(got, bed->geo.nslots);
	assert_int_equal(bed->vr.nfree_slots, 0);
	assert_int_equal(bed_receive(bed, 0, 60, 0), -1);
}

static void who_waits_for_a_slot_is_woken(void **state)
{
	struct bed *bed = *state;
	bool wake;

	pool_turn(&bed->vr, 64, &wake);
	assert_false(wake);
	while (peer_get(&bed->peer.alloc) >= 0)
		;
	ring_sleep(&bed->peer.alloc);
	pool_turn(&bed->vr, 64, &wake);
	assert_true(wake);
	pool_turn(&bed->vr, 64, &wake);
	assert_false(wake);
}

static void without_a_target_nothing_is_allocated(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct bed bed;

	geo.alloc_target = 0;
	bed_make(&bed, &geo);
	assert_int_equal(turn(&bed), 0);
	assert_int_equal(bed.vr.header->features & EUROPA_F_ALLOC, 0);
	bed_free(&bed);
}

static void a_broken_free_ring_ends_in_quarantine_not_in_a_spin(void **state)
{
	struct bed *bed = *state;
	u32 looks = 0;

	bed->peer.free.mine->index = 1000;
	while (!bed->vr.quarantined) {
		assert_true(vr_has_work(&bed->vr));
		turn(bed);
		assert_true(++looks <= VR_TOLERANCE);
	}
	assert_false(vr_has_work(&bed->vr));
	assert_int_equal(turn(bed), 0);
	assert_int_equal(bed_dropped(bed, EUROPA_MAX_VNICS, EUROPA_DROP_BAD_RING), VR_TOLERANCE);
}

static void a_broken_alloc_ring_ends_in_quarantine_too(void **state)
{
	struct bed *bed = *state;
	u32 looks = 0;

	turn(bed);
	bed->peer.alloc.mine->index = 1000;
	while (!bed->vr.quarantined) {
		assert_int_equal(turn(bed), 0);
		assert_true(++looks <= VR_TOLERANCE);
	}
	assert_int_equal(bed->vr.stats->allocated, bed->geo.alloc_target);
	assert_int_equal(bed->vr.header->status, EUROPA_QUARANTINED);
}

static void a_quiesced_vr_is_left_alone(void **state)
{
	struct bed *bed = *state;
	int slot = bed_receive(bed, 0, 60, 0);

	rx_flush(&bed->vr, 0);
	peer_post(&bed->peer.free, slot);
	vr_quiesce(&bed->vr, true);
	assert_int_equal(turn(bed), 0);
	assert_false(vr_has_work(&bed->vr));
	assert_false(vr_sleep(&bed->vr));
	vr_quiesce(&bed->vr, false);
	assert_true(vr_has_work(&bed->vr));
	assert_int_equal(turn(bed), 1 + bed->geo.alloc_target);
}

static void the_switch_sleeps_only_where_there_is_nothing_to_do(void **state)
{
	struct bed *bed = *state;
	int a = bed_receive(bed, 0, 60, 0), b = bed_receive(bed, 0, 60, 0);

	rx_flush(&bed->vr, 0);
	/* The alloc ring lacks slots. */
	assert_true(vr_sleep(&bed->vr));
	vr_awake(&bed->vr);
	turn(bed);
	assert_false(vr_sleep(&bed->vr));
	assert_true(ring_wants_wakeup(&bed->peer.free));
	assert_true(ring_wants_wakeup(&bed->peer.tx[0]));
	assert_true(ring_wants_wakeup(&bed->peer.tx[1]));
	vr_awake(&bed->vr);
	assert_false(ring_wants_wakeup(&bed->peer.free));
	assert_false(ring_wants_wakeup(&bed->peer.tx[0]));
	assert_false(ring_wants_wakeup(&bed->peer.tx[1]));

	peer_post(&bed->peer.free, a);
	assert_true(vr_sleep(&bed->vr));
	vr_awake(&bed->vr);
	turn(bed);
	assert_false(vr_sleep(&bed->vr));
	vr_awake(&bed->vr);
	peer_send(bed, 1, b);
	assert_true(vr_sleep(&bed->vr));
	vr_awake(&bed->vr);
}

/*
 * Control is believed, because the VR can't write it. Who can, a supervisor, has the books wrong then, and the VR garbage; the switch's
 * own memory stays whole: the sanitizer sees what goes beyond.
 */
static void books_that_somebody_writes_into_cost_no_memory(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct tx_frame frames[VR_BATCH];
	struct bed bed;
	u32 round, looked, n, i;

	srand(1);
	bed_make(&bed, &geo);
	for (round = 0; round < 20000; round++) {
		bed_receive(&bed, rand() & 1, rand() & 1 ? 60 : 5000, 0);
		for (i = 0; i < bed.vr.nindexes; i++)
			bed.vr.owners[i] = rand() % 3;
		for (i = 0; i < 4; i++)
			bed.vr.rx[rand() & 1].entries[rand() % geo.ring_size] = (u32)rand() * 2;
		rx_flush(&bed.vr, 0);
		rx_flush(&bed.vr, 1);

		peer_send(&bed, 0, (u32)rand() % bed.vr.nindexes);
		peer_post(&bed.peer.free, (u32)rand() % bed.vr.nindexes);
		n = tx_take(&bed.vr, 0, frames, VR_BATCH, &looked);
		for (i = 0; i < n; i++) {
			assert_true(frames[i].data >= bed.vr.slots);
			assert_true(frames[i].data + frames[i].meta.len <= bed.pool + bed.off.pool_size);
		}
		tx_done(&bed.vr, frames, n);
		turn(&bed);
		assert_true(bed.vr.nfree_slots <= geo.nslots && bed.vr.nfree_runs <= geo.nruns);
		while (peer_get(&bed.peer.rx[rand() & 1]) >= 0 || peer_get(&bed.peer.alloc) >= 0)
			;
		bed.vr.tolerance = VR_TOLERANCE;
	}
	bed_free(&bed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fresh_region_says_what_it_is),
		TEST(a_long_name_is_cut_and_terminated),
		TEST(what_the_vr_drops_comes_back),
		TEST(what_the_vr_cannot_give_is_counted_and_nothing_else),
		TEST(a_slot_dropped_twice_comes_back_once),
		TEST(a_turn_keeps_to_its_budget),
		TEST(the_alloc_ring_is_topped_up),
		TEST(the_alloc_ring_takes_no_more_than_there_is),
		TEST(who_waits_for_a_slot_is_woken),
		cmocka_unit_test(without_a_target_nothing_is_allocated),
		TEST(a_broken_free_ring_ends_in_quarantine_not_in_a_spin),
		TEST(a_broken_alloc_ring_ends_in_quarantine_too),
		TEST(a_quiesced_vr_is_left_alone),
		TEST(the_switch_sleeps_only_where_there_is_nothing_to_do),
		cmocka_unit_test(books_that_somebody_writes_into_cost_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

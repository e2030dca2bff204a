// SPDX-License-Identifier: MIT
/* When the poll thread looks for work once more, and when it sleeps. The clock is the test's: a round takes 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/engine/spin.h"

#define LIMIT 100
#define MANY  (4 * SPIN_BATCH)

static u64 now;

static struct spin make(void)
{
	now = 1000 * LIMIT;
	return (struct spin){ .limit = LIMIT };
}

static void work(struct spin *s, u32 frames)
{
	spin_found_work(s, now++, frames);
}

/* Rounds without work until it sleeps; returns how long that took. */
static u64 spin(struct spin *s, bool full)
{
	u64 start = now;

	while (spin_goes_on(s, now, full))
		now++;
	spin_sleeps(s);
	return now - start;
}

/* Comes to a spin that is tried although those before it were in vain. */
static void try_again(struct spin *s)
{
	do
		work(s, MANY);
	while (!spin_goes_on(s, now, false) && (spin_sleeps(s), true));
}

/* Frames come in batches, and none of the spins brings any. */
static void be_busy(struct spin *s)
{
	unsigned i;

	for (i = 0; i < 20; i++) {
		work(s, MANY);
		spin(s, false);
	}
}

static void while_frames_come_one_by_one_it_spins_each_time(void **state)
{
	struct spin s = make();
	unsigned i;

	for (i = 0; i < 1000; i++) {
		work(&s, 1 + i % 4);
		assert_int_equal(spin(&s, false), LIMIT + 1);
	}
}

static void where_batches_come_one_vain_spin_in_so_many_is_tried(void **state)
{
	struct spin s = make();
	unsigned i, spins = 0;

	be_busy(&s);
	for (i = 0; i < 10 * SPIN_TRIES; i++) {
		work(&s, MANY);
		spins += spin(&s, false) > 0;
	}
	assert_int_equal(spins, 10);
}

static void what_comes_in_a_spin_makes_it_spin_again(void **state)
{
	struct spin s = make();
	unsigned i;

	be_busy(&s);
	try_again(&s);
	now += LIMIT / 2;
	work(&s, MANY);
	for (i = 0; i <= SPIN_VAIN; i++) {
		assert_int_equal(spin(&s, false), LIMIT + 1);
		work(&s, MANY);
	}
	assert_int_equal(spin(&s, false), 0);
}

static void what_comes_while_another_has_the_cpu_does_not(void **state)
{
	struct spin s = make();

	be_busy(&s);
	try_again(&s);
	now += 2 * LIMIT;
	work(&s, MANY);
	assert_int_equal(spin(&s, false), 0);
}

static void frames_that_wait_for_room_are_as_good_as_batches(void **state)
{
	struct spin s = make();
	unsigned i;

	for (i = 0; i <= SPIN_VAIN; i++) {
		work(&s, 1);
		assert_int_equal(spin(&s, true), LIMIT + 1);
	}
	work(&s, 1);
	assert_int_equal(spin(&s, true), 0);
}

static void who_is_woken_for_nothing_sleeps_at_once_and_that_is_no_vain_spin(void **state)
{
	struct spin s = make();
	unsigned i;

	work(&s, 1);
	assert_int_equal(spin(&s, false), LIMIT + 1);
	for (i = 0; i < 100; i++) {
		now += 10 * LIMIT;
		assert_false(spin_goes_on(&s, now, false));
		spin_sleeps(&s);
	}
	assert_int_equal(s.vain, 1);
}

static void after_batches_single_frames_soon_count(void **state)
{
	struct spin s = make();
	unsigned i;

	be_busy(&s);
	for (i = 0; i < 20; i++)
		work(&s, 1);
	assert_int_equal(spin(&s, false), LIMIT + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(while_frames_come_one_by_one_it_spins_each_time),
		cmocka_unit_test(where_batches_come_one_vain_spin_in_so_many_is_tried),
		cmocka_unit_test(what_comes_in_a_spin_makes_it_spin_again),
		cmocka_unit_test(what_comes_while_another_has_the_cpu_does_not),
		cmocka_unit_test(frames_that_wait_for_room_are_as_good_as_batches),
		cmocka_unit_test(who_is_woken_for_nothing_sleeps_at_once_and_that_is_no_vain_spin),
		cmocka_unit_test(after_batches_single_frames_soon_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

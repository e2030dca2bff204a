// SPDX-License-Identifier: MIT
/* The ring, one step after the other: how much can be written and read, around the end, and with a liar on the other side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/ring.h"

#define SIZE 16

/* The two sides of one ring whose indexes start at `start`. */
struct sides {
	u32 entries[SIZE];
	struct europa_line producer_line, consumer_line;
	struct ring producer, consumer;
};

static void open_sides(struct sides *s, u32 start)
{
	*s = (struct sides){ .producer_line.index = start, .consumer_line.index = start };
	ring_init(&s->producer, s->entries, SIZE, &s->producer_line, &s->consumer_line);
	ring_init(&s->consumer, s->entries, SIZE, &s->consumer_line, &s->producer_line);
}

static void an_empty_ring_has_room_and_nothing_to_read(void **state)
{
	struct sides s;

	open_sides(&s, 0);
	assert_int_equal(ring_peek(&s.consumer, 1), 0);
	assert_int_equal(ring_reserve(&s.producer, 1), 1);
	assert_int_equal(ring_reserve(&s.producer, 1000), SIZE);
	assert_int_equal(ring_reserve(&s.producer, 0), 0);
	assert_int_equal(ring_peek(&s.consumer, 0), 0);
}

static void nothing_is_seen_before_it_is_submitted(void **state)
{
	struct sides s;

	open_sides(&s, 0);
	*ring_entry(&s.producer, 0) = 7;
	*ring_entry(&s.producer, 1) = 8;
	assert_int_equal(ring_peek(&s.consumer, 2), 0);
	ring_submit(&s.producer, 1);
	assert_int_equal(ring_peek(&s.consumer, 2), 1);
	assert_int_equal(*ring_entry(&s.consumer, 0), 7);
	ring_submit(&s.producer, 1);
	assert_int_equal(ring_peek(&s.consumer, 2), 2);
	assert_int_equal(*ring_entry(&s.consumer, 1), 8);
}

static void a_full_ring_has_room_only_when_entries_are_released(void **state)
{
	struct sides s;

	open_sides(&s, 0);
	ring_submit(&s.producer, ring_reserve(&s.producer, SIZE));
	assert_int_equal(ring_reserve(&s.producer, 1), 0);
	assert_int_equal(ring_peek(&s.consumer, 3), 3);
	assert_int_equal(ring_reserve(&s.producer, 1), 0);
	ring_release(&s.consumer, 3);
	assert_int_equal(ring_reserve(&s.producer, 10), 3);
}

static void entries_keep_their_order_around_both_ends(void **state)
{
	static const u32 starts[] = { 0, 5, 0xfffffff0, 0xfffffffb, 0xffffffff };
	u32 which, sent, got, i, n;

	for (which = 0; which < sizeof(starts) / sizeof(u32); which++) {
		struct sides s;

		open_sides(&s, starts[which]);
		for (sent = got = 0; got < 1000;) {
			n = ring_reserve(&s.producer, 1 + sent % 7);
			for (i = 0; i < n; i++)
				*ring_entry(&s.producer, i) = sent++;
			ring_submit(&s.producer, n);
			n = ring_peek(&s.consumer, 1 + got % 5);
			for (i = 0; i < n; i++)
				assert_int_equal(*ring_entry(&s.consumer, i), got++);
			ring_release(&s.consumer, n);
		}
	}
}

static void the_other_side_is_looked_at_only_where_the_last_look_does_not_suffice(void **state)
{
	struct sides s;

	open_sides(&s, 0);
	ring_submit(&s.producer, 4);
	assert_int_equal(ring_peek(&s.consumer, 4), 4);
	ring_submit(&s.producer, 4);
	assert_int_equal(ring_peek(&s.consumer, 3), 3);
	assert_int_equal(s.consumer.peer, 4);
	assert_int_equal(ring_peek(&s.consumer, 5), 5);
	assert_int_equal(s.consumer.peer, 8);
}

static void no_index_of_the_other_side_is_believed_beyond_the_size(void **state)
{
	u64 lie;

	/* Every index far and near, with 5 entries in the ring. */
	for (lie = 0; lie <= 0xffffffff; lie += lie < 100 || lie > 0xffffff00 ? 1 : 9999991) {
		struct sides s;
		u32 n;

		open_sides(&s, 0);
		ring_submit(&s.producer, 5);
		s.consumer_line.index = lie;
		n = ring_reserve(&s.producer, SIZE);
		if (5 - (u32)lie <= SIZE)
			assert_int_equal(n, SIZE - (5 - (u32)lie));
		else
			assert_int_equal(n, RING_BROKEN);

		open_sides(&s, 0);
		s.producer_line.index = lie;
		n = ring_peek(&s.consumer, SIZE + 1);
		if (lie <= SIZE)
			assert_int_equal(n, lie);
		else
			assert_int_equal(n, RING_BROKEN);
		assert_int_equal(s.consumer_line.index, 0);
	}
}

static void a_ring_that_was_broken_works_again_when_it_is_mended(void **state)
{
	struct sides s;

	open_sides(&s, 0);
	s.producer_line.index = SIZE + 1;
	assert_int_equal(ring_peek(&s.consumer, 1), RING_BROKEN);
	assert_int_equal(ring_peek(&s.consumer, 1), RING_BROKEN);
	s.producer_line.index = 1;
	assert_int_equal(ring_peek(&s.consumer, 1), 1);
}

static void who_sleeps_is_seen_until_he_is_awake(void **state)
{
	struct sides s;

	open_sides(&s, 0);
	assert_false(ring_wants_wakeup(&s.producer));
	ring_sleep(&s.consumer);
	assert_true(ring_wants_wakeup(&s.producer));
	assert_true(ring_wants_wakeup(&s.producer));
	ring_awake(&s.consumer);
	assert_false(ring_wants_wakeup(&s.producer));
}

static void a_ring_goes_on_where_the_lines_say(void **state)
{
	struct sides s;
	struct ring again;

	open_sides(&s, 40);
	ring_submit(&s.producer, 3);
	ring_init(&again, s.entries, SIZE, &s.consumer_line, &s.producer_line);
	assert_int_equal(ring_peek(&again, 10), 3);
	ring_release(&again, 2);
	ring_init(&again, s.entries, SIZE, &s.producer_line, &s.consumer_line);
	assert_int_equal(ring_reserve(&again, 100), SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_ring_has_room_and_nothing_to_read),
		cmocka_unit_test(nothing_is_seen_before_it_is_submitted),
		cmocka_unit_test(a_full_ring_has_room_only_when_entries_are_released),
		cmocka_unit_test(entries_keep_their_order_around_both_ends),
		cmocka_unit_test(the_other_side_is_looked_at_only_where_the_last_look_does_not_suffice),
		cmocka_unit_test(no_index_of_the_other_side_is_believed_beyond_the_size),
		cmocka_unit_test(a_ring_that_was_broken_works_again_when_it_is_mended),
		cmocka_unit_test(who_sleeps_is_seen_until_he_is_awake),
		cmocka_unit_test(a_ring_goes_on_where_the_lines_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

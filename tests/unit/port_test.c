// SPDX-License-Identifier: MIT
/* When frames wait in front of a VR that has no room, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core_fixture.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/port.h"

#define LEN 60

static struct engine engine;
static struct member member;
static struct port port;

/* A VR that has been given frames until there was no room for another one. */
static int make(void **state)
{
	struct bed *bed;

	bed_setup(state);
	bed = *state;
	while (bed->vr.nfree_slots)
		assert_true(bed_receive(bed, 0, LEN, 0) >= 0);
	rx_flush(&bed->vr, 0);
	member = (struct member){ .vr = bed->vr };
	port = (struct port){ .member = &member };
	return 0;
}

static int unmake(void **state)
{
	((struct bed *)*state)->vr = member.vr;
	return bed_teardown(state);
}

static void take_all(struct bed *bed)
{
	while (peer_get(&bed->peer.rx[0]) >= 0)
		;
}

static bool waits(u32 now_us)
{
	bool wait;

	engine = (struct engine){ .now_us = now_us };
	wait = port_should_wait(&port, LEN, &engine);
	assert_int_equal(engine.full, wait);
	return wait;
}

/* Also in the microsecond in which it begins, whichever that is; and 0 is one like any other. */
static void a_frame_waits_from_the_first_moment_on(void **state)
{
	static const u32 moments[] = { 0, 1, 2, 1000, 1001, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };

	take_all(*state);
	for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
		port.full_since_us = 0;
		assert_true(waits(moments[i]));
		assert_true(port.full_since_us);
		assert_true(waits(moments[i]));
		assert_true(waits(moments[i] + 1));
	}
}

static void patience_ends_where_the_vr_has_taken_all_and_keeps_it(void **state)
{
	assert_true(waits(1000));
	take_all(*state);
	assert_true(waits(1000 + PORT_PATIENCE_US - 1));
	assert_false(waits(1000 + PORT_PATIENCE_US));
}

static void who_has_frames_to_take_is_waited_for_on_and_on(void **state)
{
	for (u32 now = 1000; now < 10 * PORT_PATIENCE_US; now += PORT_PATIENCE_US / 2)
		assert_true(waits(now));
}

static void room_ends_the_wait(void **state)
{
	struct bed *bed = *state;
	bool wake;

	assert_true(waits(1000));
	/* Those that the VR may send from come first. */
	for (u32 i = 0; i < bed->geo.alloc_target + 1; i++)
		assert_true(peer_post(&bed->peer.free, peer_get(&bed->peer.rx[0])));
	pool_turn(&member.vr, VR_BATCH, &wake);
	assert_false(waits(1001));
	assert_int_equal(port.full_since_us, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_frame_waits_from_the_first_moment_on),
		TEST(patience_ends_where_the_vr_has_taken_all_and_keeps_it),
		TEST(who_has_frames_to_take_is_waited_for_on_and_on),
		TEST(room_ends_the_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * Two threads, the switch's core in one and libeuropa in the other, as they run in two processes. Bounded by counts, not by
 * time; what would hang where a wake-up is lost fails after half a minute.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/bed.h"

#define LOST_MS 30000

static struct bed bed;
static bool done;

static int setup(void **state)
{
	bed_open(&bed, 2, 256, 64);
	assert_int_equal(bed_attach(&bed), 0);
	WRITE_ONCE(done, false);
	return 0;
}

static int teardown(void **state)
{
	bed_close(&bed);
	return 0;
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 16;
}

/* The switch sleeps as europad does: announce, look once more, poll the kick, drain it. */
static bool switch_sleeps(void)
{
	struct pollfd kick = { .fd = bed.kick[0], .events = POLLIN };
	char bytes[64];
	int ready = 1;

	if (!vr_sleep(&bed.vr))
		ready = poll(&kick, 1, LOST_MS);
	vr_awake(&bed.vr);
	while (read(bed.kick[0], bytes, sizeof(bytes)) > 0)
		;
	return ready == 1;
}

/* ---- ping-pong: every packet waits for the one before, both sides sleep in between ---- */

#define ROUNDS 20000

static void *pong(void *arg)
{
	uint32_t slot, random = 1;

	for (unsigned round = 0; round < ROUNDS;) {
		struct pollfd doorbell = { .events = POLLIN };

		if (europa_rx(bed.eu, 0, &slot, 1)) {
			if (!europa_tx(bed.eu, 1, &slot, 1))
				return "tx is full";
			round++;
			continue;
		}
		/* In turns the library's own wait and a poll loop, which always goes as far as the doorbell. */
		if (next_random(&random) % 4 == 0) {
			if (europa_wait(bed.eu, LOST_MS) == 0)
				return "the doorbell was lost in europa_wait";
			continue;
		}
		doorbell.fd = europa_sleep(bed.eu);
		if (doorbell.fd >= 0 && poll(&doorbell, 1, LOST_MS) == 0)
			return "the doorbell was lost in poll";
		europa_awake(bed.eu);
	}
	return NULL;
}

static void loses_no_wake_up(void **state)
{
	struct tx_frame frames[VR_BATCH];
	const char *complaint = NULL;
	uint32_t random = 2;
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, pong, NULL), 0);
	for (unsigned round = 0; round < ROUNDS && !complaint; round++) {
		unsigned n;

		bed_receive_numbered(&bed, 0, round, 1);
		for (unsigned spins = next_random(&random) % 64; spins; spins--)
			barrier();
		while ((n = bed_take(&bed, 1, frames)) == 0) {
			if (!switch_sleeps()) {
				complaint = "the kick was lost";
				break;
			}
		}
		if (n && frame_number(frames[0].data) != round)
			complaint = "another packet came back";
		bed_sent(&bed, frames, n);
	}
	pthread_join(thread, &result);
	if (complaint || result)
		fail_msg("%s; %s", complaint ? complaint : "the switch is content", result ? (char *)result : "the VR, too");
	bed_assert_whole(&bed);
}

/* ---- a data plane that dies and comes back all the time, while the switch goes on ---- */

#define LIVES 3000

static void *restless_switch(void *arg)
{
	struct tx_frame frames[VR_BATCH];
	uint32_t frame[15] = { 0 };
	bool wake;

	while (!READ_ONCE(done)) {
		for (unsigned vnic = 0; vnic < 2; vnic++) {
			unsigned n;

			for (unsigned i = 0; i < 8; i++)
				bed_receive(&bed, vnic, frame, sizeof(frame));
			n = bed_take(&bed, vnic, frames);
			bed_sent(&bed, frames, n);
		}
		pool_turn(&bed.vr, UINT32_MAX, &wake);
	}
	return NULL;
}

static unsigned originate(uint32_t *slots, unsigned n)
{
	unsigned got = europa_alloc(bed.eu, slots, n);

	for (unsigned i = 0; i < got; i++)
		europa_meta(bed.eu, slots[i])->len = 60;
	return got;
}

/* Goes round a few times, then stops with some packets in its hands. */
static void live(uint32_t *random)
{
	uint32_t slots[32];

	for (unsigned turn = next_random(random) % 32; turn; turn--) {
		unsigned in = next_random(random) % 2;
		unsigned got = europa_rx(bed.eu, in, slots, 1 + next_random(random) % 32);
		unsigned kept = got ? next_random(random) % 3 : 0;
		unsigned sent;

		if (next_random(random) % 8 == 0)
			got += originate(slots + got, 32 - got);
		kept = kept < got ? kept : got;
		sent = europa_tx(bed.eu, next_random(random) % 2, slots, (got - kept) / 2);
		europa_drop(bed.eu, slots + sent, got - kept - sent);
	}
}

static void keeps_every_slot_over_many_deaths(void **state)
{
	uint32_t random = 3, slots[64];
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, restless_switch, NULL), 0);
	for (unsigned lives = 0; lives < LIVES; lives++) {
		live(&random);
		bed_forget_data_plane(&bed);
		assert_int_equal(bed_attach(&bed), 0);
	}
	WRITE_ONCE(done, true);
	pthread_join(thread, NULL);

	for (unsigned vnic = 0; vnic < 2; vnic++)
		europa_drop(bed.eu, slots, europa_rx(bed.eu, vnic, slots, 64));
	bed_assert_whole(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(loses_no_wake_up, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_every_slot_over_many_deaths, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * A data plane that forwards in one thread, and in another a switch that asks for its state again and again, behind a fence
 * or without one, patient or not. What it saved must be true: as many packets as it has taken, to the one, and not one more for as long
 * as it stands still.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/bed.h"

#define REQUESTS 3000

static struct bed bed;
static bool stop;
static uint64_t seen;              /* the data plane's */

static int save(struct europa *eu, void *arg)
{
	return europa_state_write(eu, &seen, sizeof(seen));
}

static const struct europa_state_ops ops = { .version = 1, .save = save };

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 16;
}

static void *forward(void *arg)
{
	uint32_t slots[32], random = 5;

	while (!READ_ONCE(stop)) {
		unsigned got = europa_rx(bed.eu, 0, slots, 32);
		unsigned sent = europa_tx(bed.eu, 1, slots, got);

		europa_drop(bed.eu, slots + sent, got - sent);
		seen += got;
		if (next_random(&random) % 16 == 0)
			europa_state_poll(bed.eu);
		else if (!got)
			europa_wait(bed.eu, -1);
	}
	return NULL;
}

static void ring(void)
{
	assert_true(write(bed.doorbell[1], "", 1) == 1 || errno == EAGAIN);
}

static void traffic(uint32_t *random)
{
	uint32_t frame[15] = { 0 };

	for (unsigned n = next_random(random) % 8; n; n--)
		bed_receive(&bed, 0, frame, sizeof(frame));
	bed_drain(&bed, 1);
}

/* Packets that the data plane has taken, as the switch sees it. */
static uint32_t taken(void)
{
	return smp_load_acquire(&bed.vr.rx[0].theirs->index);
}

static void check_what_it_saved(uint32_t asked, u64 len)
{
	const uint64_t wanted = sizeof(struct europa_state_header) + sizeof(seen);
	uint64_t saved;

	assert_int_equal(len, wanted);
	assert_int_equal(pread(bed.state, &saved, sizeof(saved), sizeof(struct europa_state_header)), sizeof(saved));
	assert_int_equal((uint32_t)saved, taken());
	assert_int_equal(READ_ONCE(bed.vr.header->request), asked);
}

static void one_request(uint32_t *random)
{
	bool fenced = next_random(random) % 2, patient = next_random(random) % 8;
	uint32_t asked;
	u64 len;
	int answer;

	if (fenced)
		vr_quiesce(&bed.vr, EUROPA_QUIESCE_IN);
	asked = vr_ask(&bed.vr, EUROPA_ASK_SAVE);
	ring();
	while (patient && !answer_seen(bed.pool_map, asked, &answer, &len)) {
		traffic(random);
		sched_yield();
	}
	if (patient) {
		assert_int_equal(answer, 0);
		check_what_it_saved(asked, len);
		for (unsigned n = next_random(random) % 4; n; n--)
			traffic(random);
		sched_yield();
		check_what_it_saved(asked, len);
	}
	vr_ask(&bed.vr, EUROPA_ASK_NOTHING);
	vr_quiesce(&bed.vr, 0);
	ring();
}

static void what_is_saved_is_true_and_stays_true(void **state)
{
	uint32_t random = 1;
	pthread_t thread;

	bed_open(&bed, 2, 256, 64);
	assert_int_equal(bed_attach(&bed), 0);
	bed_hand_state(&bed);
	assert_int_equal(europa_state(bed.eu, &ops, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, forward, NULL), 0);
	for (unsigned n = 0; n < REQUESTS; n++) {
		one_request(&random);
		traffic(&random);
	}
	while (taken() != bed.vr.rx[0].index)
		sched_yield();
	WRITE_ONCE(stop, true);
	ring();
	pthread_join(thread, NULL);
	assert_int_equal((uint32_t)seen, taken());
	bed_assert_whole(&bed);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_saved_is_true_and_stays_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

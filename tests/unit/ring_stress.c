// SPDX-License-Identifier: MIT
/*
 * Two threads and two rings. Slots go round: there with plain (non-atomic) data, back empty; so ThreadSanitizer
 * sees whether the indexes order entries and data in both directions. And a consumer that sleeps on a pipe whenever
 * there is nothing to do, while the producer waits for it after each burst: one wake-up that is lost stops both.
 * Bounded by counts; a deadline only ends what hangs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/ring.h"

#define SIZE            64
#define SLOTS           48
#define BURST           32
#define HANGS_MS        30000

#ifdef __SANITIZE_THREAD__
#define ITEMS           300000
#define ROUNDS          30000
#else
#define ITEMS           3000000
#define ROUNDS          200000
#endif

struct one_way {
	u32 entries[SIZE];
	struct europa_line producer_line __attribute__((aligned(64)));
	struct europa_line consumer_line __attribute__((aligned(64)));
	struct ring producer, consumer;
};

static struct one_way there, back;
static struct { u64 number; u64 inverse; } data[SLOTS];
static u64 failures;
static int doorbell[2];

static void failed(void)
{
	__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
}

static void open_way(struct one_way *way)
{
	memset(way, 0, sizeof(*way));
	/* Around the end of the numbers early on. */
	way->producer_line.index = way->consumer_line.index = 0xffffff00;
	ring_init(&way->producer, way->entries, SIZE, &way->producer_line, &way->consumer_line);
	ring_init(&way->consumer, way->entries, SIZE, &way->consumer_line, &way->producer_line);
}

/* A number from 1 to BURST, not the same ones all the time. */
static u32 some(u32 *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return 1 + (*seed >> 16) % BURST;
}

/* ---- round and round ---- */

static void *take_and_give_back(void *unused)
{
	u32 seed = 1, i, n, slots[BURST];
	u64 got = 0;

	while (got < ITEMS) {
		n = ring_peek(&there.consumer, some(&seed));
		if (!n)
			sched_yield();
		for (i = 0; i < n; i++) {
			slots[i] = *ring_entry(&there.consumer, i);
			if (slots[i] >= SLOTS || data[slots[i]].number != got || data[slots[i]].inverse != ~got)
				failed();
			data[slots[i]].inverse = 0;
			got++;
		}
		ring_release(&there.consumer, n);

		if (n && ring_reserve(&back.producer, n) != n)
			failed();
		for (i = 0; i < n; i++)
			*ring_entry(&back.producer, i) = slots[i];
		ring_submit(&back.producer, n);
	}
	return NULL;
}

static void slots_go_round_and_arrive_whole(void **state)
{
	u32 free_slots[SLOTS], nfree, seed = 2, i, n;
	pthread_t thread;
	u64 sent = 0;

	open_way(&there);
	open_way(&back);
	failures = 0;
	for (nfree = 0; nfree < SLOTS; nfree++)
		free_slots[nfree] = nfree;
	assert_int_equal(pthread_create(&thread, NULL, take_and_give_back, NULL), 0);
	while (sent < ITEMS) {
		n = ring_peek(&back.consumer, some(&seed));
		for (i = 0; i < n; i++) {
			free_slots[nfree] = *ring_entry(&back.consumer, i);
			if (data[free_slots[nfree++]].inverse)
				failed();
		}
		ring_release(&back.consumer, n);

		n = some(&seed);
		n = ring_reserve(&there.producer, n < nfree ? n : nfree);
		if (n > ITEMS - sent)
			n = ITEMS - sent;
		if (!n)
			sched_yield();
		for (i = 0; i < n; i++) {
			u32 slot = free_slots[--nfree];

			data[slot].number = sent;
			data[slot].inverse = ~sent;
			*ring_entry(&there.producer, i) = slot;
			sent++;
		}
		ring_submit(&there.producer, n);
	}
	pthread_join(thread, NULL);
	assert_int_equal(failures, 0);
	assert_int_equal(nfree + ring_peek(&back.consumer, SIZE), SLOTS);
}

/* ---- sleep ---- */

/* A while of random length. The sleeper's are longer, as the producer sees only late that the sleeper has read all. */
static void dither(u32 *seed, u32 scale)
{
	u32 i;

	for (i = some(seed) * some(seed) * scale; i > 0; i--)
		barrier();
}

static void drain(int fd)
{
	char bytes[64];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

/* As europa_wait and the daemon do it. false: slept for ever. */
static bool sleep_until_there_is_something(struct ring *r, u64 *slept)
{
	struct pollfd pollfd = { .fd = doorbell[0], .events = POLLIN };
	bool woken = true;

	ring_sleep(r);
	if (!ring_peek(r, 1)) {
		(*slept)++;
		woken = poll(&pollfd, 1, HANGS_MS) > 0;
	}
	ring_awake(r);
	drain(doorbell[0]);
	return woken;
}

static u64 slept;

static void *sleeper(void *unused)
{
	u32 seed = 4;
	u64 got = 0;

	for (;;) {
		u32 i, n = ring_peek(&there.consumer, BURST);

		for (i = 0; i < n; i++) {
			u32 entry = *ring_entry(&there.consumer, i);

			if (entry == RING_BROKEN)
				return NULL;
			if (entry != (u32)got++)
				failed();
		}
		ring_release(&there.consumer, n);
		if (n)
			dither(&seed, 16);
		else if (!sleep_until_there_is_something(&there.consumer, &slept)) {
			failed();
			return NULL;
		}
	}
}

static void post(u32 entry, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		*ring_entry(&there.producer, i) = entry == RING_BROKEN ? entry : entry + i;
	ring_submit(&there.producer, n);
	if (ring_wants_wakeup(&there.producer) && write(doorbell[1], "", 1) < 0 && errno != EAGAIN)
		failed();
}

static void no_wakeup_is_lost(void **state)
{
	pthread_t thread;
	u32 seed = 3, sent = 0, round, spins;

	open_way(&there);
	failures = slept = 0;
	assert_int_equal(pipe2(doorbell, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&thread, NULL, sleeper, NULL), 0);
	for (round = 0; round < ROUNDS && !READ_ONCE(failures); round++) {
		u32 n = some(&seed);

		post(sent, n);
		sent += n;
		/* Until it has read all; then the next burst comes just when it falls asleep, now and then. */
		for (spins = 0; ring_reserve(&there.producer, SIZE) != SIZE && !READ_ONCE(failures); spins++) {
			if (spins > 10000)
				sched_yield();
		}
		dither(&seed, 1);
	}
	post(RING_BROKEN, 1);
	pthread_join(thread, NULL);
	close(doorbell[0]);
	close(doorbell[1]);
	assert_int_equal(failures, 0);
	assert_true(slept > 0);
	print_message("%u rounds, slept %llu times\n", round, slept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_go_round_and_arrive_whole),
		cmocka_unit_test(no_wakeup_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

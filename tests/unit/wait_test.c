// SPDX-License-Identifier: MIT
/* europa_wait, europa_sleep and europa_awake against the switch's core. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "shim/private.h"
#include "tests/unit/bed.h"

static struct bed bed;

static int setup(void **state)
{
	bed_open(&bed, 2, 256, 64);
	assert_int_equal(bed_attach(&bed), 0);
	return 0;
}

static int teardown(void **state)
{
	bed_close(&bed);
	return 0;
}

static void drop_received(unsigned vnic, unsigned expect)
{
	uint32_t slots[64];

	assert_int_equal(europa_rx(bed.eu, vnic, slots, 64), expect);
	europa_drop(bed.eu, slots, expect);
}

static int waits_until_timeout(int timeout_ms)
{
	int result;

	while ((result = europa_wait(bed.eu, timeout_ms)) == 1)
		assert_int_equal(READ_ONCE(bed.eu->rx[0].theirs->index), bed.eu->rx[0].index);
	return result;
}

static long cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void looks_without_waiting(void **state)
{
	assert_int_equal(europa_wait(bed.eu, 0), 0);
	bed_receive_numbered(&bed, 1, 0, 1);
	assert_int_equal(europa_wait(bed.eu, 0), 1);
	assert_int_equal(europa_wait(bed.eu, -1), 1);
	drop_received(1, 1);
	assert_int_equal(europa_wait(bed.eu, 0), 0);
	bed_assert_whole(&bed);
}

static void ends_with_the_timeout(void **state)
{
	assert_int_equal(waits_until_timeout(1), 0);
	assert_int_equal(waits_until_timeout(20), 0);
	assert_int_equal(bed.eu->rx[0].mine->need_wakeup, 0);
}

/* So many came lately that, whenever the rate is measured, it is one at which to nap, be it for a nanosecond. */
static void came_fast(struct pacer *pacer)
{
	pacer->nap_cost = 0;
	pacer->rate = 10000000;
	pacer->received = bed.eu->rx[0].index + bed.eu->rx[1].index - 10000000;
}

static void naps_once_where_packets_stay_away(void **state)
{
	struct pacer *pacer = &bed.eu->priv->pacer;

	came_fast(pacer);
	assert_int_equal(europa_wait(bed.eu, 1), 1);
	assert_int_equal(europa_wait(bed.eu, 1), 0);

	bed_receive_numbered(&bed, 0, 0, 1);
	drop_received(0, 1);
	came_fast(pacer);
	assert_int_equal(europa_wait(bed.eu, 1), 1);
}

/* Where a timer costs more than all packets are worth that may come meanwhile. */
static void naps_only_where_packets_pay_for_it(void **state)
{
	struct pacer *pacer = &bed.eu->priv->pacer;

	came_fast(pacer);
	pacer->nap_cost = UINT32_MAX;
	assert_int_equal(europa_wait(bed.eu, 1), 0);
}

static long sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

/* What waits can't be sent on: the switch needs the CPU, not the data plane. */
static void sleeps_while_a_way_out_is_full(void **state)
{
	uint32_t slots[64] = { 0 };
	long before = sleeps();

	bed_receive_numbered(&bed, 0, 0, 64);
	assert_int_equal(europa_rx(bed.eu, 0, slots, 64), 64);
	assert_int_equal(europa_tx(bed.eu, 1, slots, 64), 64);
	assert_int_equal(europa_wait(bed.eu, 0), 0);

	bed_receive_numbered(&bed, 0, 64, 1);
	assert_int_equal(europa_wait(bed.eu, 0), 1);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(europa_wait(bed.eu, 1000), 1);
	assert_true(sleeps() - before >= 20);

	bed_drain(&bed, 1);
	before = sleeps();
	assert_int_equal(europa_wait(bed.eu, 1000), 1);
	assert_int_equal(sleeps(), before);
	drop_received(0, 1);
	bed_assert_whole(&bed);
}

static void *receive_later(void *arg)
{
	usleep(20000);
	bed_receive_numbered(&bed, 1, 0, 1);
	return NULL;
}

static void wakes_by_the_doorbell(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, receive_later, NULL), 0);
	while (europa_wait(bed.eu, 0) == 0)
		assert_int_equal(europa_wait(bed.eu, -1), 1);
	pthread_join(thread, NULL);
	drop_received(1, 1);
	bed_assert_whole(&bed);
}

static void on_alarm(int signal)
{
}

static void reports_a_signal(void **state)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval often = { .it_interval.tv_usec = 5000, .it_value.tv_usec = 5000 };
	const struct itimerval never = { 0 };
	int result;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while ((result = europa_wait(bed.eu, -1)) == 1)
		;
	setitimer(ITIMER_REAL, &never, NULL);
	assert_int_equal(result, -EINTR);
	assert_int_equal(bed.eu->rx[0].mine->need_wakeup, 0);
}

static void sleeps_in_a_poll_loop_of_ones_own(void **state)
{
	struct pollfd doorbell = { .events = POLLIN };

	doorbell.fd = europa_sleep(bed.eu);
	assert_true(doorbell.fd >= 0);
	assert_int_equal(poll(&doorbell, 1, 0), 0);
	bed_receive_numbered(&bed, 0, 0, 1);
	assert_int_equal(poll(&doorbell, 1, 10000), 1);
	europa_awake(bed.eu);
	assert_int_equal(poll(&doorbell, 1, 0), 0);

	assert_int_equal(europa_sleep(bed.eu), -EAGAIN);
	europa_awake(bed.eu);
	drop_received(0, 1);

	/* Nobody rings for one who is awake. */
	bed_receive_numbered(&bed, 0, 0, 1);
	assert_int_equal(poll(&doorbell, 1, 0), 0);
	drop_received(0, 1);
	bed_assert_whole(&bed);
}

static void drains_a_doorbell_that_rang_often(void **state)
{
	struct pollfd doorbell = { .events = POLLIN };

	doorbell.fd = europa_sleep(bed.eu);
	for (unsigned i = 0; i < 60; i++)
		bed_receive_numbered(&bed, 0, i, 1);
	assert_int_equal(poll(&doorbell, 1, 10000), 1);
	europa_awake(bed.eu);
	assert_int_equal(poll(&doorbell, 1, 0), 0);
	drop_received(0, 60);
}

/* CPU time, not time: this holds on a loaded machine, too. */
static void costs_nothing_when_idle(void **state)
{
	long before = cpu_us();

	assert_int_equal(waits_until_timeout(1000), 0);
	assert_true(cpu_us() - before < 5000);
}

static void does_not_spin_at_a_ring_that_makes_no_sense(void **state)
{
	long before = cpu_us();

	bed.vr.rx[0].mine->index += 1000;
	assert_int_equal(europa_wait(bed.eu, 200), 0);
	assert_true(cpu_us() - before < 5000);
}

static void does_not_spin_when_the_supervisor_is_gone(void **state)
{
	long before = cpu_us();

	close(bed.doorbell[1]);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(europa_wait(bed.eu, 1000), 1);
	assert_true(cpu_us() - before < 20000);
	bed.doorbell[1] = dup(bed.kick[1]);
}

/* Who has taken the last slot that there was to originate packets in is woken when there are others, by a switch that slept. */
static void wakes_for_a_slot(void **state)
{
	struct pollfd doorbell = { .events = POLLIN }, kick = { .fd = bed.kick[0], .events = POLLIN };
	uint32_t slots[256], more = 0;
	unsigned n, target = bed.geometry.alloc_target;
	bool wake;

	assert_true(vr_sleep(&bed.vr));
	vr_awake(&bed.vr);
	pool_turn(&bed.vr, 256, &wake);
	assert_false(vr_sleep(&bed.vr));

	/* While there are some left, nobody is told. */
	n = europa_alloc(bed.eu, slots, target - 1);
	assert_int_equal(n, target - 1);
	assert_true(europa_sleep(bed.eu) >= 0);
	europa_awake(bed.eu);
	assert_int_equal(poll(&kick, 1, 0), 0);

	n += europa_alloc(bed.eu, slots + n, target);
	assert_int_equal(n, target);
	doorbell.fd = europa_sleep(bed.eu);
	assert_true(doorbell.fd >= 0);
	assert_int_equal(poll(&kick, 1, 0), 1);
	assert_int_equal(poll(&doorbell, 1, 0), 0);

	vr_awake(&bed.vr);
	assert_int_equal(pool_turn(&bed.vr, 256, &wake), target);
	assert_true(wake);
	europa_awake(bed.eu);
	assert_int_equal(europa_alloc(bed.eu, &more, 1), 1);
	europa_drop(bed.eu, slots, n);
	europa_drop(bed.eu, &more, 1);
}

/* The switch has filled the ring after it was found empty: nobody would ring for that any more. Who wants none of it sleeps the next time. */
static void does_not_sleep_where_slots_came_meanwhile(void **state)
{
	uint32_t slots[256];
	bool wake;
	unsigned n;

	pool_turn(&bed.vr, 256, &wake);
	n = europa_alloc(bed.eu, slots, 256);
	assert_int_equal(n, bed.geometry.alloc_target);
	assert_int_equal(europa_alloc(bed.eu, slots + n, 1), 0);
	assert_int_equal(pool_turn(&bed.vr, 256, &wake), n);
	assert_false(wake);

	assert_int_equal(europa_sleep(bed.eu), -EAGAIN);
	europa_awake(bed.eu);
	assert_int_equal(europa_sleep(bed.eu), bed.eu->doorbell_fd);
	europa_awake(bed.eu);
	europa_drop(bed.eu, slots, n);
}

/* A wait that spins pays attention to what the quota is now. */
static void learns_a_new_quota_from_the_header(void **state)
{
	static const struct { uint32_t told, then; } cases[] = {
		{ 0, 1000 }, { 250, 250 }, { 0, 250 }, { 100, 100 }, { 1500, 1000 }, { 7, 7 }, { UINT32_MAX, 1000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		WRITE_ONCE(bed.vr.header->cpu_permille, cases[i].told);
		bed_receive_numbered(&bed, 0, 0, 1);
		drop_received(0, 1);
		bed.eu->priv->pacer.rate = 0;
		assert_int_equal(waits_until_timeout(1), 0);
		assert_int_equal(bed.eu->priv->pacer.quota_permille, cases[i].then);
		assert_true(bed.eu->priv->pacer.spin_ns <= 50000 * cases[i].then / 1000);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(looks_without_waiting),
		TEST(ends_with_the_timeout),
		TEST(naps_once_where_packets_stay_away),
		TEST(naps_only_where_packets_pay_for_it),
		TEST(sleeps_while_a_way_out_is_full),
		TEST(wakes_by_the_doorbell),
		TEST(reports_a_signal),
		TEST(sleeps_in_a_poll_loop_of_ones_own),
		TEST(drains_a_doorbell_that_rang_often),
		TEST(costs_nothing_when_idle),
		TEST(does_not_spin_at_a_ring_that_makes_no_sense),
		TEST(does_not_spin_when_the_supervisor_is_gone),
		TEST(wakes_for_a_slot),
		TEST(does_not_sleep_where_slots_came_meanwhile),
		TEST(learns_a_new_quota_from_the_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

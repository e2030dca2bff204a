// SPDX-License-Identifier: MIT
/* A data plane's state: asked for by the switch, saved by libeuropa, and loaded by the process that goes on. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/bed.h"

#define PATIENCE_MS 60000

static struct bed bed;
static bool stop;

/* What the data plane of these tests knows. */
static struct knowledge {
	uint8_t bytes[1 << 20];
	size_t len;
	int error;                 /* that save or load returns */
	size_t piece;              /* bytes that are written at once */
	unsigned saves, loads;
	uint32_t loaded_version;
} mine;

static int save(struct europa *eu, void *arg)
{
	struct knowledge *k = arg;

	k->saves++;
	for (size_t at = 0; at < k->len; at += k->piece) {
		size_t n = k->len - at < k->piece ? k->len - at : k->piece;

		assert_int_equal(europa_state_write(eu, k->bytes + at, n), 0);
	}
	return k->error;
}

static int load(struct europa *eu, uint32_t version, const void *blob, size_t len, void *arg)
{
	struct knowledge *k = arg;

	k->loads++;
	k->loaded_version = version;
	if (len > sizeof(k->bytes))
		return -EINVAL;
	memcpy(k->bytes, blob, len);
	k->len = len;
	return k->error;
}

static const struct europa_state_ops ops = { .version = 7, .save = save, .load = load };

static void know(size_t len)
{
	mine = (struct knowledge){ .len = len, .piece = 1000 };
	for (size_t i = 0; i < len; i++)
		mine.bytes[i] = (uint8_t)(i * 7 + i / 251);
}

static int setup(void **state)
{
	bed_open(&bed, 2, 64, 64);
	assert_int_equal(bed_attach(&bed), 0);
	bed_hand_state(&bed);
	know(10);
	WRITE_ONCE(stop, false);
	return 0;
}

static int teardown(void **state)
{
	bed_close(&bed);
	return 0;
}

/* ---- the other side ---- */

static uint32_t ask(uint32_t what)
{
	uint32_t request = vr_ask(&bed.vr, what);

	assert_true(write(bed.doorbell[1], "", 1) == 1 || errno == EAGAIN);
	return request;
}

/* true: answered within the time. */
static bool is_answered(uint32_t request, int *answer, u64 *len, unsigned ms)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (;;) {
		if (answer_seen(bed.pool_map, request, answer, len))
			return true;
		if (!ms--)
			return false;
		nanosleep(&moment, NULL);
	}
}

static int await_answer(uint32_t request, u64 *len)
{
	int answer = 0;

	if (!is_answered(request, &answer, len, PATIENCE_MS))
		fail_msg("no answer");
	return answer;
}

static uint64_t file_size(void)
{
	struct stat st;

	assert_int_equal(fstat(bed.state, &st), 0);
	return (uint64_t)st.st_size;
}

static void await_empty_file(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (unsigned ms = 0; file_size(); ms++) {
		if (ms == PATIENCE_MS)
			fail_msg("the file is not emptied");
		nanosleep(&moment, NULL);
	}
}

/* A data plane that forwards from 0 to 1 until it is told to stop. */
static void *forward(void *wait)
{
	uint32_t slots[32];

	while (!READ_ONCE(stop)) {
		unsigned got = europa_rx(bed.eu, 0, slots, 32);
		unsigned sent = europa_tx(bed.eu, 1, slots, got);

		europa_drop(bed.eu, slots + sent, got - sent);
		if (!got)
			((int (*)(void))wait)();
	}
	return NULL;
}

static int by_wait(void) { return europa_wait(bed.eu, -1); }
static int by_poll_loop(void)
{
	struct pollfd doorbell = { .fd = europa_sleep(bed.eu), .events = POLLIN };

	if (doorbell.fd >= 0)
		poll(&doorbell, 1, -1);
	europa_awake(bed.eu);
	return 0;
}
static int by_state_poll(void) { europa_state_poll(bed.eu); return 0; }

static pthread_t thread;

static void start(int (*wait)(void))
{
	assert_int_equal(pthread_create(&thread, NULL, forward, (void *)wait), 0);
}

static void finish(void)
{
	WRITE_ONCE(stop, true);
	assert_true(write(bed.doorbell[1], "", 1) == 1 || errno == EAGAIN);
	pthread_join(thread, NULL);
}

static unsigned await_frames(unsigned n)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	unsigned seen = 0;

	for (unsigned ms = 0; seen < n && ms < PATIENCE_MS; ms++) {
		seen += bed_drain(&bed, 1);
		nanosleep(&moment, NULL);
	}
	return seen;
}

/* ---- asked ---- */

static void says_that_it_has_no_state(void **state)
{
	const struct europa_pool_header *header = bed.pool_map;
	uint32_t request;
	u64 len = 1;

	assert_true(header->features & EUROPA_F_STATE);
	assert_int_equal(header->state_version, 0);
	request = ask(EUROPA_ASK_SAVE);
	assert_int_equal(europa_wait(bed.eu, 0), 0);
	assert_int_equal(await_answer(request, &len), -ENOTSUP);
	assert_int_equal(len, 0);
	/* It goes on as if nobody had asked. */
	bed_receive_numbered(&bed, 0, 0, 1);
	assert_int_equal(europa_wait(bed.eu, -1), 1);
	assert_int_equal(europa_rx(bed.eu, 0, &request, 1), 1);
	europa_drop(bed.eu, &request, 1);
	while (europa_wait(bed.eu, 1))
		;
	bed_assert_whole(&bed);
}

static void says_that_nobody_handed_it_a_file(void **state)
{
	u64 len;

	europa_attach_state(bed.eu, -1);
	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	assert_int_equal(((struct europa_pool_header *)bed.pool_map)->state_version, 0);
	ask(EUROPA_ASK_SAVE);
	assert_int_equal(europa_wait(bed.eu, 0), 0);
	assert_int_equal(await_answer(request_seen(bed.vr.header), &len), -ENOTSUP);
	assert_int_equal(mine.saves, 0);
}

static void refuses_what_it_does_not_know(void **state)
{
	u64 len;
	uint32_t request;

	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	request = ask(0x55);
	assert_int_equal(europa_wait(bed.eu, 0), 0);
	assert_int_equal(await_answer(request, &len), -ENOTSUP);
	assert_int_equal(mine.saves, 0);
}

static void an_ops_without_a_version_is_refused(void **state)
{
	static const struct europa_state_ops none = { .save = save, .load = load };

	assert_int_equal(europa_state(bed.eu, &none, &mine), -EINVAL);
}

/* ---- saved ---- */

static void assert_saved(uint64_t len, uint32_t ncounters)
{
	static uint8_t file[sizeof(mine.bytes) + 4096];
	const struct europa_state_header *header = (const void *)file;
	ssize_t got = pread(bed.state, file, sizeof(file), 0);

	assert_int_equal(got, len);
	assert_true(header->magic == EUROPA_STATE_MAGIC);
	assert_int_equal(header->version, 7);
	assert_int_equal(header->ncounters, ncounters);
	assert_int_equal(header->len, mine.len);
	assert_int_equal(len, sizeof(*header) + ncounters * sizeof(struct europa_dp_counter) + mine.len);
	assert_memory_equal(file + len - mine.len, mine.bytes, mine.len);
}

static void saves_wherever_it_looks_and_anew_for_each_request(void **state)
{
	int (*const waits[])(void) = { by_wait, by_poll_loop, by_state_poll };

	for (unsigned way = 0; way < sizeof(waits) / sizeof(*waits); way++) {
		u64 len;

		WRITE_ONCE(stop, false);
		know(10);
		assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
		start(waits[way]);
		bed_receive_numbered(&bed, 0, 0, 10);
		assert_int_equal(await_frames(10), 10);

		assert_int_equal(await_answer(ask(EUROPA_ASK_SAVE), &len), 0);
		assert_saved(len, 0);
		/* The next request withdraws the one before. */
		assert_int_equal(await_answer(ask(EUROPA_ASK_SAVE), &len), 0);
		assert_saved(len, 0);

		bed_receive_numbered(&bed, 0, 10, 5);
		ask(EUROPA_ASK_NOTHING);
		assert_int_equal(await_frames(5), 5);
		await_empty_file();
		finish();
		assert_int_equal(mine.saves, 2);
	}
	bed_assert_whole(&bed);
}

static void packets_that_it_never_takes_keep_it_from_nothing(void **state)
{
	u64 len;

	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	bed_receive_numbered(&bed, 1, 0, 3);
	start(by_wait);
	assert_int_equal(await_answer(ask(EUROPA_ASK_SAVE), &len), 0);
	assert_saved(len, 0);
	ask(EUROPA_ASK_NOTHING);
	bed_receive_numbered(&bed, 0, 0, 3);
	assert_int_equal(await_frames(3), 3);
	finish();
}

static void takes_nothing_while_it_stands_still(void **state)
{
	uint32_t taken;
	u64 len;

	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	start(by_wait);
	assert_int_equal(await_answer(ask(EUROPA_ASK_SAVE), &len), 0);
	taken = READ_ONCE(bed.vr.rx[0].theirs->index);
	for (unsigned i = 0; i < 20; i++) {
		bed_receive_numbered(&bed, 0, i, 1);
		assert_true(write(bed.doorbell[1], "", 1) == 1 || errno == EAGAIN);
		usleep(1000);
	}
	assert_int_equal(READ_ONCE(bed.vr.rx[0].theirs->index), taken);
	assert_int_equal(mine.saves, 1);
	ask(EUROPA_ASK_NOTHING);
	assert_int_equal(await_frames(20), 20);
	finish();
	bed_assert_whole(&bed);
}

static void on_signal(int signal)
{
}

static void a_signal_does_not_end_it(void **state)
{
	const struct sigaction action = { .sa_handler = on_signal };
	uint32_t taken;
	u64 len;

	sigaction(SIGUSR1, &action, NULL);
	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	start(by_wait);
	assert_int_equal(await_answer(ask(EUROPA_ASK_SAVE), &len), 0);
	taken = READ_ONCE(bed.vr.rx[0].theirs->index);
	bed_receive_numbered(&bed, 0, 0, 3);
	for (unsigned i = 0; i < 20; i++) {
		pthread_kill(thread, SIGUSR1);
		usleep(1000);
	}
	assert_int_equal(READ_ONCE(bed.vr.rx[0].theirs->index), taken);
	ask(EUROPA_ASK_NOTHING);
	assert_int_equal(await_frames(3), 3);
	finish();
	bed_assert_whole(&bed);
}

static void goes_on_where_the_next_switch_withdraws(void **state)
{
	u64 len;

	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	start(by_wait);
	vr_quiesce(&bed.vr, EUROPA_QUIESCE_IN);
	assert_int_equal(await_answer(ask(EUROPA_ASK_SAVE), &len), 0);
	assert_int_equal(vr_adopt(&bed.vr, &bed.geometry, bed.control_map, bed.pool_map, bed.memory), 0);
	assert_true(write(bed.doorbell[1], "", 1) == 1);
	bed_receive_numbered(&bed, 0, 0, 3);
	assert_int_equal(await_frames(3), 3);
	finish();
	bed_assert_whole(&bed);
}

static void saves_any_length_in_pieces_of_any_length(void **state)
{
	static const size_t lengths[] = { 0, 1, 999, 1000, 1001, 256 << 10, (256 << 10) + 1, 1 << 20 };
	static const size_t pieces[] = { 1 << 20, 1000, 256 << 10, 7777 };

	*europa_counter(bed.eu, "one") = 1;
	*europa_counter(bed.eu, "two") = 2;
	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	start(by_wait);
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		for (unsigned p = 0; p < sizeof(pieces) / sizeof(*pieces); p++) {
			u64 len;

			know(lengths[i]);
			mine.piece = pieces[p];
			assert_int_equal(await_answer(ask(EUROPA_ASK_SAVE), &len), 0);
			assert_saved(len, 2);
			ask(EUROPA_ASK_NOTHING);
			await_empty_file();
		}
	}
	finish();
}

static void a_save_that_fails_is_answered_and_leaves_nothing(void **state)
{
	u64 len;

	mine.error = -ENOSPC;
	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	start(by_wait);
	assert_int_equal(await_answer(ask(EUROPA_ASK_SAVE), &len), -ENOSPC);
	assert_int_equal(len, 0);
	await_empty_file();
	/* Nobody stands still. */
	bed_receive_numbered(&bed, 0, 0, 3);
	assert_int_equal(await_frames(3), 3);
	mine.error = 0;
	assert_int_equal(await_answer(ask(EUROPA_ASK_SAVE), &len), 0);
	ask(EUROPA_ASK_NOTHING);
	finish();
	assert_int_equal(mine.saves, 2);
	bed_assert_whole(&bed);
}

static int save_too_much(struct europa *eu, void *arg)
{
	assert_int_equal(europa_state_write(eu, mine.bytes, 5), 0);
	assert_int_equal(europa_state_write(eu, mine.bytes, EUROPA_STATE_MAX), -EFBIG);
	assert_int_equal(europa_state_write(eu, mine.bytes, 5), -EFBIG);
	return 0;
}

static void a_state_that_is_too_long_fails_and_who_ignores_it_fails_too(void **state)
{
	static const struct europa_state_ops too_much = { .version = 1, .save = save_too_much };
	u64 len;

	assert_int_equal(europa_state(bed.eu, &too_much, NULL), 0);
	ask(EUROPA_ASK_SAVE);
	assert_int_equal(europa_wait(bed.eu, 0), 0);
	assert_int_equal(await_answer(request_seen(bed.vr.header), &len), -EFBIG);
	assert_int_equal(file_size(), 0);
	assert_int_equal(europa_state_write(bed.eu, mine.bytes, 5), -EINVAL);
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
	char path[64];
	u64 len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", bed.state);
	europa_attach_state(bed.eu, open(path, O_RDONLY | O_CLOEXEC));
	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	ask(EUROPA_ASK_SAVE);
	assert_int_equal(europa_wait(bed.eu, 0), 0);
	assert_true(await_answer(request_seen(bed.vr.header), &len) < 0);
}

/* ---- loaded ---- */

static struct {
	struct europa_state_header header;
	struct europa_dp_counter counters[2];
	uint8_t blob[100];
} file;

static void make_file(void)
{
	memset(&file, 0, sizeof(file));
	file.header = (struct europa_state_header){
		.magic = EUROPA_STATE_MAGIC, .version = 9, .ncounters = 2, .len = sizeof(file.blob),
	};
	file.counters[0] = (struct europa_dp_counter){ "forwarded", 1234 };
	file.counters[1] = (struct europa_dp_counter){ "dropped", 5 };
	for (unsigned i = 0; i < sizeof(file.blob); i++)
		file.blob[i] = (uint8_t)(i * 3);
	assert_int_equal(sizeof(file), 64 + 64 + 100 + 4);
}

static void put_file(size_t len)
{
	assert_int_equal(ftruncate(bed.state, 0), 0);
	assert_int_equal(pwrite(bed.state, &file, len, 0), (ssize_t)len);
}

#define FILE_BYTES (offsetof(__typeof__(file), blob) + sizeof(file.blob))

static void loads_what_is_handed_to_it_once(void **state)
{
	uint64_t *forwarded = europa_counter(bed.eu, "forwarded");

	make_file();
	put_file(FILE_BYTES);
	assert_int_equal(europa_state(bed.eu, &ops, &mine), 1);
	assert_int_equal(mine.loads, 1);
	assert_int_equal(mine.loaded_version, 9);
	assert_int_equal(mine.len, sizeof(file.blob));
	assert_memory_equal(mine.bytes, file.blob, sizeof(file.blob));
	assert_int_equal(*forwarded, 1234);
	assert_int_equal(europa_counter_left(bed.eu, "dropped"), 5);
	assert_int_equal(europa_counter_left(bed.eu, "drop"), 0);
	assert_int_equal(europa_counter_left(bed.eu, "never"), 0);
	assert_int_equal(((struct europa_pool_header *)bed.pool_map)->state_version, 7);

	assert_int_equal(file_size(), 0);
	bed_forget_data_plane(&bed);
	assert_int_equal(bed_attach(&bed), 0);
	bed_hand_state(&bed);
	assert_int_equal(((struct europa_pool_header *)bed.pool_map)->state_version, 0);
	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	assert_int_equal(mine.loads, 1);
}

static void what_it_saved_it_loads(void **state)
{
	u64 len;

	know(300000);
	*europa_counter(bed.eu, "routes") = 42;
	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	start(by_wait);
	assert_int_equal(await_answer(ask(EUROPA_ASK_SAVE), &len), 0);
	{
		static uint8_t kept[400000];
		struct bed other;

		assert_int_equal(pread(bed.state, kept, sizeof(kept), 0), (ssize_t)len);
		bed_open(&other, 2, 64, 64);
		assert_int_equal(pwrite(other.state, kept, len, 0), (ssize_t)len);
		assert_int_equal(bed_attach(&other), 0);
		bed_hand_state(&other);
		memset(mine.bytes, 0, sizeof(mine.bytes));
		assert_int_equal(europa_state(other.eu, &ops, &mine), 1);
		assert_int_equal(mine.len, 300000);
		for (size_t i = 0; i < mine.len; i++)
			assert_int_equal(mine.bytes[i], (uint8_t)(i * 7 + i / 251));
		assert_int_equal(*europa_counter(other.eu, "routes"), 42);
		bed_close(&other);
	}
	ask(EUROPA_ASK_NOTHING);
	finish();
}

static void a_damaged_file_is_refused(void **state)
{
	static const struct { const char *what; size_t at; uint8_t value; int expect; } damage[] = {
		{ "magic",                0,  0x0b, -EBADMSG },
		{ "version 0",            8,  0,    -EBADMSG },
		{ "too many counters",    12, 65,   -EBADMSG },
		{ "one counter less",     12, 1,    -EBADMSG },
		{ "a shorter blob",       16, 99,   -EBADMSG },
		{ "a longer blob",        16, 101,  -EBADMSG },
		{ "a huge blob",          23, 0xff, -EBADMSG },
		{ "a blob of 4 GiB",      20, 1,    -EBADMSG },
	};

	for (unsigned i = 0; i < sizeof(damage) / sizeof(*damage); i++) {
		make_file();
		((uint8_t *)&file)[damage[i].at] = damage[i].value;
		put_file(FILE_BYTES);
		if (europa_state(bed.eu, &ops, &mine) != damage[i].expect)
			fail_msg("%s", damage[i].what);
	}
	make_file();
	for (size_t len = sizeof(file.header); len < FILE_BYTES; len++) {
		put_file(len);
		assert_int_equal(europa_state(bed.eu, &ops, &mine), -EBADMSG);
	}
	put_file(FILE_BYTES + 1);
	assert_int_equal(europa_state(bed.eu, &ops, &mine), -EBADMSG);
	/* Somebody began to write and was killed. */
	for (size_t len = 0; len < sizeof(file.header); len++) {
		put_file(len);
		assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	}
	file.header.magic = 0;
	put_file(FILE_BYTES);
	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	assert_int_equal(mine.loads, 0);
}

static void counters_of_any_name_do_no_harm(void **state)
{
	make_file();
	memset(file.counters[0].name, 'x', sizeof(file.counters[0].name));
	memset(file.counters[1].name, 0, sizeof(file.counters[1].name));
	put_file(FILE_BYTES);
	assert_int_equal(europa_state(bed.eu, &ops, &mine), 1);
	assert_int_equal(europa_counter_left(bed.eu, "xxxxxxxxxxxxxxxxxxxxxxx"), 1234);
}

static void what_load_says_is_returned_and_the_file_stays(void **state)
{
	static const struct europa_state_ops only_save = { .version = 1, .save = save };

	make_file();
	put_file(FILE_BYTES);
	mine.error = -ERANGE;
	assert_int_equal(europa_state(bed.eu, &ops, &mine), -ERANGE);
	mine.error = 1;
	assert_int_equal(europa_state(bed.eu, &ops, &mine), -EINVAL);
	assert_int_equal(((struct europa_pool_header *)bed.pool_map)->state_version, 0);
	assert_int_equal(file_size(), FILE_BYTES);
	assert_int_equal(europa_state(bed.eu, &only_save, &mine), -ENOTSUP);
}

/* The process that answered is gone; the next one is bound by what it said. */
static void the_next_process_stands_still_as_well(void **state)
{
	uint32_t request;
	u64 len;

	assert_int_equal(europa_state(bed.eu, &ops, &mine), 0);
	request = ask(EUROPA_ASK_SAVE);
	answer_post(bed.pool_map, request, 0, 0);
	start(by_wait);
	usleep(20000);
	bed_receive_numbered(&bed, 1, 0, 1);
	assert_int_equal(await_answer(request, &len), 0);
	assert_int_equal(mine.saves, 0);
	ask(EUROPA_ASK_NOTHING);
	finish();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(says_that_it_has_no_state),
		T(says_that_nobody_handed_it_a_file),
		T(refuses_what_it_does_not_know),
		T(an_ops_without_a_version_is_refused),
		T(saves_wherever_it_looks_and_anew_for_each_request),
		T(packets_that_it_never_takes_keep_it_from_nothing),
		T(takes_nothing_while_it_stands_still),
		T(a_signal_does_not_end_it),
		T(goes_on_where_the_next_switch_withdraws),
		T(saves_any_length_in_pieces_of_any_length),
		T(a_save_that_fails_is_answered_and_leaves_nothing),
		T(a_state_that_is_too_long_fails_and_who_ignores_it_fails_too),
		T(a_file_that_cannot_be_written_is_an_error),
		T(loads_what_is_handed_to_it_once),
		T(what_it_saved_it_loads),
		T(a_damaged_file_is_refused),
		T(counters_of_any_name_do_no_harm),
		T(what_load_says_is_returned_and_the_file_stays),
		T(the_next_process_stands_still_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/* The log and its times: every byte is of the time at which it came, and neither file grows for ever. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/error.h"
#include "runtime/logfile.h"

#include <cmocka.h>        /* last: it has a macro named fail */

static char directory[] = "/tmp/europa-logfile-XXXXXX";
static char path[64], before[64], times[64];

static int64_t clock_ns;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	*now = (struct timespec){ .tv_sec = clock_ns / 1000000000, .tv_nsec = clock_ns % 1000000000 };
	return 0;
}

static void write_at(struct logfile *log, int64_t ms, const char *text)
{
	clock_ns = ms * 1000000;
	logfile_write(log, text, strlen(text));
}

static off_t size_of(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 ? st.st_size : -1;
}

static struct logfile open_log(void)
{
	struct error e = { 0 };
	struct logfile log;

	assert_int_equal(logfile_open(&log, path, &e), 0);
	return log;
}

static void every_byte_has_the_time_at_which_it_came(void **state)
{
	static const struct { uint64_t offset; int64_t ms; } expected[] = {
		{ 0, 1000 }, { 4, 1000 }, { 8, 1000 }, { 9, 1002 }, { 12, 1002 }, { 13, 500 }, { 1000, 500 },
	};
	struct logtimes_reader reader = { .fd = -1 };
	struct logfile log = open_log();

	write_at(&log, 1000, "one\n");
	write_at(&log, 1000, "next\n");
	write_at(&log, 1002, "two\n");
	write_at(&log, 500, "set back\n");
	assert_int_equal(logtimes_open(&reader, path, log.fd), 0);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
		assert_int_equal(logtimes_at(&reader, expected[i].offset), expected[i].ms * 1000000);
	close(reader.fd);
	logfile_remove(&log);
	assert_int_equal(size_of(times), -1);
}

static void times_of_another_log_are_not_believed(void **state)
{
	struct logtimes_reader reader = { .fd = -1 };
	struct logfile log = open_log();
	int other = open("/dev/null", O_RDONLY);

	assert_int_equal(logtimes_open(&reader, path, other), -ESTALE);
	assert_int_equal(truncate(times, 3), 0);
	assert_int_equal(logtimes_open(&reader, path, log.fd), -ESTALE);
	assert_int_equal(unlink(times), 0);
	assert_int_equal(logtimes_open(&reader, path, log.fd), -ENOENT);
	close(other);
	logfile_remove(&log);
}

static void a_log_of_which_the_times_are_full_is_put_aside(void **state)
{
	struct logtimes_reader reader = { .fd = -1 };
	struct logfile log = open_log();

	for (unsigned n = 0; n < LOGTIMES_MOST; n++)
		write_at(&log, 2 * n, "x");
	assert_int_equal(size_of(path), LOGTIMES_MOST);
	write_at(&log, 7, "y");
	assert_int_equal(size_of(before), LOGTIMES_MOST);
	assert_int_equal(size_of(path), 1);
	assert_int_equal(logtimes_open(&reader, path, log.fd), 0);
	assert_int_equal(logtimes_at(&reader, 0), 7000000);
	close(reader.fd);
	logfile_remove(&log);
}

static void a_log_without_times_is_a_log(void **state)
{
	struct logfile log = open_log();

	logtimes_close(&log.times);
	write_at(&log, 1, "text");
	assert_int_equal(size_of(path), 4);
	logfile_remove(&log);
}

static int make_directory(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	sprintf(path, "%s/log", directory);
	sprintf(before, "%s/log.1", directory);
	sprintf(times, "%s/log.times", directory);
	return 0;
}

static int remove_directory(void **state)
{
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_has_the_time_at_which_it_came),
		cmocka_unit_test(times_of_another_log_are_not_believed),
		cmocka_unit_test(a_log_of_which_the_times_are_full_is_put_aside),
		cmocka_unit_test(a_log_without_times_is_a_log),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

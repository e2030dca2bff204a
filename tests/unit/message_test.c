// SPDX-License-Identifier: MIT
/* Descriptors that go with a message arrive once, and none stays open that nobody asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/message.h"

static int ends[2];

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void send_many(unsigned n)
{
	int fds[MESSAGE_FDS] = { 0 };

	for (unsigned i = 0; i < n; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(message_send(ends[0], "text", 4, fds, n, 0), 0);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

static void what_is_asked_for_arrives(void **state)
{
	int fds[] = { 7, 7, 7, 7 };
	unsigned n = 4;
	char text[8];
	struct stat null, came;

	send_many(3);
	assert_int_equal(message_receive(ends[1], text, sizeof text, fds, &n, 0), 4);
	assert_memory_equal(text, "text", 4);
	assert_int_equal(n, 3);
	assert_int_equal(fds[3], -1);
	assert_int_equal(stat("/dev/null", &null), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fstat(fds[i], &came), 0);
		assert_int_equal(came.st_rdev, null.st_rdev);
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		close(fds[i]);
	}
}

static void what_nobody_asked_for_is_closed(void **state)
{
	unsigned before = open_descriptors();

	for (unsigned came = 0; came <= MESSAGE_FDS; came++)
		for (unsigned wanted = 0; wanted < 3; wanted++) {
			unsigned n = wanted;
			char text[4];
			int fds[3];

			send_many(came);
			assert_int_equal(message_receive(ends[1], text, sizeof text, fds, &n, 0), 4);
			assert_int_equal(n, came < wanted ? came : wanted);
			while (n)
				close(fds[--n]);
			assert_int_equal(open_descriptors(), before);
		}
}

/* Where the first `room` of three find a place: all or none are received, and the next message is whole again. */
static void who_has_no_descriptors_left_is_told(void **state)
{
	struct rlimit limit, less;
	int next = dup(ends[0]);

	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned room = 0; room <= 3; room++) {
		int fds[3];
		unsigned n = 3, before = open_descriptors();
		char text[4];

		send_many(3);
		less = (struct rlimit){ .rlim_cur = (rlim_t)next + room, .rlim_max = limit.rlim_max };
		setrlimit(RLIMIT_NOFILE, &less);
		assert_int_equal(message_receive(ends[1], text, sizeof text, fds, &n, 0), room < 3 ? -EMFILE : 4);
		setrlimit(RLIMIT_NOFILE, &limit);
		assert_int_equal(n, room < 3 ? 0 : 3);
		for (unsigned i = n; i < 3; i++)
			assert_int_equal(fds[i], -1);
		while (n)
			close(fds[--n]);
		assert_int_equal(open_descriptors(), before);
	}
}

static void the_end_and_a_message_that_is_too_long_are_told(void **state)
{
	unsigned none = 0;
	char text[2];

	assert_int_equal(message_receive(ends[1], text, sizeof text, NULL, &none, MSG_DONTWAIT), -EAGAIN);
	assert_int_equal(message_send(ends[0], "text", 4, NULL, 0, 0), 0);
	assert_int_equal(message_receive(ends[1], text, sizeof text, NULL, &none, MSG_TRUNC), 4);
	close(ends[0]);
	assert_int_equal(message_receive(ends[1], text, sizeof text, NULL, &none, 0), 0);
	assert_int_equal(message_send(ends[1], "text", 4, NULL, 0, 0), -EPIPE);
}

static int connect_both(void **state)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_for_arrives),
		cmocka_unit_test(what_nobody_asked_for_is_closed),
		cmocka_unit_test(who_has_no_descriptors_left_is_told),
		cmocka_unit_test(the_end_and_a_message_that_is_too_long_are_told),
	};

	return cmocka_run_group_tests(tests, connect_both, NULL);
}

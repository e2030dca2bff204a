// SPDX-License-Identifier: MIT
/*
 * The images' own programs, each in a process of its own on a region of this one: they save, are killed, and another process
 * of the same program goes on, in another region, with what the first one knew.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/bed.h"

#define PATIENCE_MS 60000

static struct bed bed, next;
static pid_t program;
static char output[] = "/tmp/europa-handover-XXXXXX";

static void nap(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	nanosleep(&moment, NULL);
}

/* The region's descriptors are the program's 3 to 7; what it says goes to the output file. */
static void start(struct bed *b, const char *name, char *const *argv)
{
	char path[256];
	int fds[5], log;

	snprintf(path, sizeof(path), IMAGES "/%s/%s", name, name);
	program = fork();
	assert_true(program >= 0);
	if (program)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(log, 1), dup2(log, 2);
	bed_handed(b, fds);
	fds[4] = b->state;
	for (int i = 0; i < 5; i++)
		fds[i] = fcntl(fds[i], F_DUPFD, 100);
	for (int i = 0; i < 5; i++)
		dup2(fds[i], 3 + i);
	setenv("LISTEN_FDS", "5", 1);
	setenv("LISTEN_FDNAMES", "europa.control:europa.pool:europa.doorbell:europa.kick:europa.state", 1);
	execv(path, argv);
	_exit(127);
}

static void await_ready(const struct bed *b)
{
	const struct europa_pool_header *header = b->pool_map;

	for (unsigned ms = 0; !READ_ONCE(header->state_version); ms++) {
		if (ms == PATIENCE_MS || waitpid(program, NULL, WNOHANG) == program)
			fail_msg("the program doesn't get ready");
		nap();
	}
}

static void stop(void)
{
	kill(program, SIGKILL);
	assert_int_equal(waitpid(program, NULL, 0), program);
	program = 0;
}

static void ring(struct bed *b)
{
	assert_true(write(b->doorbell[1], "", 1) == 1 || errno == EAGAIN);
}

/* Everything that was put into the rx rings is taken. */
static void await_taken(struct bed *b)
{
	for (unsigned ms = 0; ms < PATIENCE_MS; ms++) {
		bool all = true;

		for (unsigned vnic = 0; vnic < b->geometry.nvnics; vnic++) {
			bed_drain(b, vnic);
			all &= READ_ONCE(b->vr.rx[vnic].theirs->index) == b->vr.rx[vnic].index;
		}
		if (all)
			return;
		nap();
	}
	fail_msg("packets are not taken");
}

/* What it answers; the state is in b->state then, and its length in *len. */
static int ask(struct bed *b, u64 *len)
{
	uint32_t asked = vr_ask(&b->vr, EUROPA_ASK_SAVE);
	int answer = 1;

	ring(b);
	for (unsigned ms = 0; !answer_seen(b->pool_map, asked, &answer, len); ms++) {
		if (ms == PATIENCE_MS)
			fail_msg("no answer");
		for (unsigned vnic = 0; vnic < b->geometry.nvnics; vnic++)
			bed_drain(b, vnic);
		nap();
	}
	return answer;
}

static uint64_t counter(const struct bed *b, const char *name)
{
	const struct europa_dp_counter *c = (const void *)((const uint8_t *)b->pool_map + b->offsets.pool_counters);

	for (unsigned i = 0; i < EUROPA_DP_COUNTERS; i++) {
		if (!strcmp(c[i].name, name))
			return c[i].value;
	}
	return 0;
}

static int setup(void **state)
{
	int fd;

	strcpy(output + sizeof(output) - 7, "XXXXXX");
	fd = mkstemp(output);
	assert_true(fd >= 0);
	close(fd);
	bed_open(&bed, 2, 256, 64);
	bed_open(&next, 2, 256, 64);
	for (unsigned i = 0; i < 2; i++)
		bed.vr.vnics[i].mac[0] = next.vr.vnics[i].mac[0] = 2;
	return 0;
}

static int teardown(void **state)
{
	if (program)            /* a test that failed */
		stop();
	unlink(output);
	bed_close(&bed);
	bed_close(&next);
	return 0;
}

static uint8_t first[1 << 20], second[1 << 20];

static void hand_on(u64 len)
{
	assert_true(len <= sizeof(first));
	assert_int_equal(pread(bed.state, first, len, 0), (ssize_t)len);
	assert_int_equal(pwrite(next.state, first, len, 0), (ssize_t)len);
}

/* Saves, dies, and goes on in another region, where it is as it was. `argv` of the second one would make it another one, if it looked. */
static void go_on(const char *name, char *const *argv, char *const *later_argv)
{
	u64 len, again;

	start(&bed, name, argv);
	await_ready(&bed);
	for (unsigned i = 0; i < 40; i++) {
		uint8_t frame[60] = { 2, 0, 0, 0, 0, (uint8_t)(i % 5), 2, 0, 0, 0, 1, (uint8_t)i, 0x08, 0x00, 0x45 };

		assert_true(bed_receive(&bed, i % 2, frame, sizeof(frame)));
	}
	await_taken(&bed);
	assert_int_equal(ask(&bed, &len), 0);
	hand_on(len);
	stop();

	start(&next, name, later_argv);
	await_ready(&next);
	assert_int_equal(ask(&next, &again), 0);
	assert_int_equal(again, len);
	assert_int_equal(pread(next.state, second, again, 0), (ssize_t)again);
	stop();
}

static void ipfwd_goes_on(void **state)
{
	char *const argv[] = {
		(char *)"ipfwd", (char *)"address 0 10.7.0.1/24", (char *)"address 1 10.8.0.1/24",
		(char *)"route default via 10.8.0.9", (char *)"neighbour 10.8.0.9 02:00:00:00:00:09 dev 1", NULL,
	};
	/* Not even read: they would be refused. */
	char *const later[] = { (char *)"ipfwd", (char *)"address 99 nonsense", NULL };
	const struct europa_state_header *header = (const void *)first;
	size_t blob;

	go_on("ipfwd", argv, later);
	blob = sizeof(*header) + header->ncounters * sizeof(struct europa_dp_counter);
	assert_memory_equal(first, second, blob + 104);
	assert_true(counter(&bed, "received") == 40);
	assert_int_equal(counter(&next, "received"), 40);
	assert_int_equal(counter(&next, "not_for_me"), counter(&bed, "not_for_me"));
}

static void l2switch_goes_on(void **state)
{
	char *const argv[] = { (char *)"l2switch", NULL };

	go_on("l2switch", argv, argv);
	assert_true(counter(&bed, "stations_learned") == 40);
	assert_int_equal(counter(&next, "stations_learned"), 40);
	assert_int_equal(((const struct europa_state_header *)second)->len, 16 + 40 * 16);
}

static void nullfwd_goes_on(void **state)
{
	char *const argv[] = { (char *)"nullfwd", NULL };

	go_on("nullfwd", argv, argv);
	assert_int_equal(((const struct europa_state_header *)second)->len, 0);
}

/* Each says why it can't begin, in a line that names it, and ends. */
static void assert_refused(const char *name, const char *says)
{
	char *const argv[] = { (char *)name, NULL };
	char text[1000] = "";
	int status, fd;

	start(&next, name, argv);
	assert_int_equal(waitpid(program, &status, 0), program);
	program = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	fd = open(output, O_RDONLY);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	assert_memory_equal(text, name, strlen(name));
	if (!strstr(text, says) || strchr(text, '\n') != text + strlen(text) - 1)
		fail_msg("%s says \"%s\", not \"%s\"", name, text, says);
	assert_int_equal(((struct europa_pool_header *)next.pool_map)->state_version, 0);
}

static void refuses_what_it_cannot_read(void **state)
{
	static const struct { const char *name, *says; } images[] = {
		{ "ipfwd", "state: 8 bytes that ipfwd didn't write" },
		{ "l2switch", "the state can't be loaded: l2switch didn't write it" },
		{ "nullfwd", "the state can't be loaded: version 1 with 8 bytes" },
	};
	struct { struct europa_state_header header; char blob[8]; } file = {
		.header = { .magic = EUROPA_STATE_MAGIC, .version = 1, .len = 8 }, .blob = "nothing",
	};

	for (unsigned i = 0; i < 3; i++) {
		file.header.version = 1;
		assert_int_equal(pwrite(next.state, &file, sizeof(file), 0), sizeof(file));
		assert_refused(images[i].name, images[i].says);
		file.header.version = 77;
		assert_int_equal(pwrite(next.state, &file, sizeof(file), 0), sizeof(file));
		assert_refused(images[i].name, "version");
		file.header.ncounters = 1000;
		assert_int_equal(pwrite(next.state, &file, sizeof(file), 0), sizeof(file));
		assert_refused(images[i].name, "damaged");
		file.header.ncounters = 0;
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ipfwd_goes_on),
		T(l2switch_goes_on),
		T(nullfwd_goes_on),
		T(refuses_what_it_cannot_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

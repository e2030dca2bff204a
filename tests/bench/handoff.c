// SPDX-License-Identifier: MIT
/*
 * The hand-off alone: the switch's core in this process, a real data plane (image/nullfwd) in another one, and between them
 * the region; no daemon, no container, no NIC. Each packet of 64 bytes is copied in, goes there and back, and is copied out.
 *
 *	handoff [--switch-cpu N] [--vr-cpu N] [--rate PPS] [--batch N] [--cpu PERMILLE] [--seconds N] PROGRAM [ARG...]
 *
 * Prints packets/s, what both sides used of a CPU, doorbells/s, and how long a packet was away. With a rate it shows what waiting
 * costs: the switch then sleeps 20 microseconds where nothing is to be done.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/vr.h"

#define FRAME     64
#define VNICS     2
#define SLOTS     2048
#define RING      1024
#define LATENCIES 4096         /* histogram, a microsecond each */

struct settings {
	int switch_cpu, vr_cpu;
	unsigned batch, permille;
	double rate, seconds;
	char **program;
};

struct bench {
	struct settings set;
	struct vr vr;
	struct europa_geometry geo;
	int fds[4];                    /* as the data plane is handed them */
	int doorbell, kick;            /* the switch's ends */
	pid_t child;
	uint64_t sent, received, doorbells;
	uint64_t latency[LATENCIES];
	uint8_t sink[FRAME];
};

static void die(const char *what)
{
	fprintf(stderr, "handoff: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("sched_setaffinity");
}

static void *memory_file(int *fd, uint64_t size)
{
	void *map;

	*fd = memfd_create("handoff", 0);
	if (*fd < 0 || ftruncate(*fd, (off_t)size) < 0)
		die("memfd");
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, *fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
	return map;
}

static void make_region(struct bench *b)
{
	struct europa_offsets off;
	void *control, *pool;
	int doorbell[2], kick[2];

	geometry_choose(&b->geo, VNICS, SLOTS, 0, RING, 0);
	layout_compute(&b->geo, &off);
	control = memory_file(&b->fds[0], off.control_size);
	pool = memory_file(&b->fds[1], off.pool_size);
	if (pipe2(doorbell, O_NONBLOCK) < 0 || pipe2(kick, O_NONBLOCK) < 0)
		die("pipe2");
	b->fds[2] = doorbell[0];
	b->fds[3] = kick[1];
	b->doorbell = doorbell[1];
	b->kick = kick[0];
	vr_init(&b->vr, &b->geo, "handoff", control, pool, calloc(1, vr_memory(&b->geo)));
	for (unsigned vnic = 0; vnic < VNICS; vnic++)
		b->vr.vnics[vnic].mtu = 1500;
}

static void run_data_plane(struct bench *b)
{
	char permille[16];
	int fds[4];

	pin(b->set.vr_cpu);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 4; i++)
		fds[i] = fcntl(b->fds[i], F_DUPFD, 100);
	for (int i = 0; i < 4; i++)
		dup2(fds[i], 3 + i);
	snprintf(permille, sizeof(permille), "%u", b->set.permille);
	setenv("EUROPA_CPU_PERMILLE", permille, 1);
	setenv("LISTEN_FDS", "4", 1);
	setenv("LISTEN_FDNAMES", "europa.control:europa.pool:europa.doorbell:europa.kick", 1);
	execv(b->set.program[0], b->set.program);
	die(b->set.program[0]);
}

/* ---- the switch's turn ---- */

static unsigned fill(struct bench *b, unsigned vnic, unsigned most)
{
	static const struct europa_slot meta = { .len = FRAME };
	unsigned n;

	for (n = 0; n < most; n++) {
		int slot;
		uint8_t *data;

		/* Asked first, so that a full ring is no drop. */
		if (!b->vr.nfree_slots || ring_reserve(&b->vr.rx[vnic], n + 1) != n + 1)
			break;
		slot = rx_slot(&b->vr, vnic, FRAME);
		if (slot < 0)
			break;
		data = rx_data(&b->vr, (uint32_t)slot);
		memcpy(data, b->sink, FRAME);
		if (b->set.rate > 0) {
			uint64_t now = now_ns(CLOCK_MONOTONIC);

			memcpy(data, &now, sizeof(now));
		}
		rx_put(&b->vr, vnic, (uint32_t)slot, &meta);
	}
	if (n && rx_flush(&b->vr, vnic)) {
		b->doorbells++;
		if (write(b->doorbell, "", 1) < 0 && errno != EAGAIN)
			die("doorbell");
	}
	b->sent += n;
	return n;
}

static void note_latency(struct bench *b, const uint8_t *data)
{
	uint64_t then, us;

	memcpy(&then, data, sizeof(then));
	us = (now_ns(CLOCK_MONOTONIC) - then) / 1000;
	b->latency[us < LATENCIES ? us : LATENCIES - 1]++;
}

static unsigned empty(struct bench *b, unsigned vnic)
{
	struct tx_frame frames[VR_BATCH];
	u32 looked, n = tx_take(&b->vr, vnic, frames, b->set.batch, &looked);

	for (u32 i = 0; i < n; i++) {
		memcpy(b->sink, frames[i].data, FRAME);
		if (b->set.rate > 0)
			note_latency(b, b->sink);
	}
	tx_done(&b->vr, frames, n);
	b->received += n;
	return looked;
}

static unsigned turn(struct bench *b, uint64_t due)
{
	unsigned work = 0;
	bool wake;

	for (unsigned vnic = 0; vnic < VNICS; vnic++) {
		uint64_t missing = due - b->sent;

		work += empty(b, vnic);
		if (b->sent < due)
			work += fill(b, vnic, missing < b->set.batch ? (unsigned)missing : b->set.batch);
	}
	return work + pool_turn(&b->vr, VR_BATCH, &wake);
}

static void run_switch(struct bench *b, double seconds)
{
	const struct timespec nap = { .tv_nsec = 20000 };
	uint64_t start = now_ns(CLOCK_MONOTONIC), end = start + (uint64_t)(seconds * 1e9), now = start, first = b->sent;

	while (now < end) {
		uint64_t due = UINT64_MAX;

		if (b->set.rate > 0)
			due = first + (uint64_t)((double)(now - start) * b->set.rate / 1e9);
		if (!turn(b, due) && b->set.rate > 0)
			nanosleep(&nap, NULL);
		else
			for (unsigned i = 0; i < 16 && b->set.rate == 0; i++)
				turn(b, due);
		now = now_ns(CLOCK_MONOTONIC);
	}
}

/* ---- result ---- */

static unsigned percentile(const struct bench *b, double part)
{
	uint64_t sum = 0, all = 0;
	unsigned us;

	for (us = 0; us < LATENCIES; us++)
		all += b->latency[us];
	for (us = 0; us < LATENCIES - 1; us++) {
		sum += b->latency[us];
		if ((double)sum >= part * (double)all)
			break;
	}
	return us;
}

static void measure(struct bench *b)
{
	uint64_t start, elapsed, vr, self, received, doorbells;
	clockid_t vr_clock;
	double s;

	run_switch(b, 0.2);
	if (clock_getcpuclockid(b->child, &vr_clock))
		die("clock_getcpuclockid");
	memset(b->latency, 0, sizeof(b->latency));
	start = now_ns(CLOCK_MONOTONIC);
	vr = now_ns(vr_clock);
	self = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	received = b->received;
	doorbells = b->doorbells;
	run_switch(b, b->set.seconds);
	elapsed = now_ns(CLOCK_MONOTONIC) - start;
	vr = now_ns(vr_clock) - vr;
	self = now_ns(CLOCK_PROCESS_CPUTIME_ID) - self;
	s = (double)elapsed / 1e9;

	printf("%.3f Mpps  vr %.1f%%  switch %.1f%%  doorbells/s %.0f  vr batch %.1f", (double)(b->received - received) / s / 1e6,
	       100.0 * (double)vr / (double)elapsed, 100.0 * (double)self / (double)elapsed,
	       (double)(b->doorbells - doorbells) / s,
	       (double)b->vr.vnic_stats[0].tx_packets / (double)(b->vr.vnic_stats[0].tx_batches + 1));
	if (b->set.rate > 0)
		printf("  away us: p50 %u p99 %u", percentile(b, 0.5), percentile(b, 0.99));
	if (b->vr.stats->violations)
		printf("  VIOLATIONS %llu", (unsigned long long)b->vr.stats->violations);
	putchar('\n');
}

static struct settings parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "switch-cpu", required_argument, NULL, 's' }, { "vr-cpu", required_argument, NULL, 'v' },
		{ "rate", required_argument, NULL, 'r' }, { "batch", required_argument, NULL, 'b' },
		{ "cpu", required_argument, NULL, 'c' }, { "seconds", required_argument, NULL, 't' }, { 0 },
	};
	struct settings set = { .switch_cpu = 0, .vr_cpu = 1, .batch = 32, .permille = 1000, .seconds = 2 };
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (option) {
		case 's': set.switch_cpu = atoi(optarg); break;
		case 'v': set.vr_cpu = atoi(optarg); break;
		case 'r': set.rate = atof(optarg); break;
		case 'b': set.batch = (unsigned)atoi(optarg); break;
		case 'c': set.permille = (unsigned)atoi(optarg); break;
		case 't': set.seconds = atof(optarg); break;
		default: exit(2);
		}
	}
	if (optind >= argc || !set.batch || set.batch > VR_BATCH) {
		fprintf(stderr, "usage: handoff [--switch-cpu N] [--vr-cpu N] [--rate PPS] [--batch 1-%d] [--cpu PERMILLE]"
			" [--seconds N] PROGRAM [ARG...]\n", VR_BATCH);
		exit(2);
	}
	set.program = argv + optind;
	return set;
}

int main(int argc, char **argv)
{
	static struct bench b;

	b.set = parse(argc, argv);
	make_region(&b);
	b.child = fork();
	if (b.child == 0)
		run_data_plane(&b);
	pin(b.set.switch_cpu);
	prctl(PR_SET_TIMERSLACK, 1);
	measure(&b);
	kill(b.child, SIGTERM);
	waitpid(b.child, NULL, 0);
	return 0;
}

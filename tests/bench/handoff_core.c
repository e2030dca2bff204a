// SPDX-License-Identifier: MIT
/*
 * handoff_core [PACKETS [SIZE [BATCH [RING]]]]: the switch's core against a data plane, a thread each, each pinned
 * to a CPU of its own. No port: the switch copies each frame in from a buffer and out to another, the data plane
 * swaps the MAC addresses. Says packets per second over all, and in the best tenth of short windows, which is what
 * an otherwise idle machine would show; and cycles per packet by stage. Beforehand what one cache line costs from
 * one CPU to the other and back, as all else depends on it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "../unit/core_bed.h"
#include "shim/europa.h"

enum stage { RX, FLUSH, TAKE, OUT, DONE, POOL, STAGES };
static const char *const stage_names[STAGES] = {
	"slot, copy in, put", "flush", "take", "copy out", "done", "pool turn",
};

static struct bed bed;
static u64 cycles[STAGES], empty_turns, vr_busy;
static u32 size = 64, batch = 32, ring = 1024;
static u64 packets = 50 * 1000 * 1000, vr_packets;

/* Cycles that each window of so many packets took. */
#define WINDOW (1u << 15)
#define WINDOWS (1u << 14)
static u64 windows[WINDOWS];
static u32 nwindows;
static bool stop;

void europa_kick(struct europa *eu)
{
	abort();        /* nobody sleeps here */
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		perror("handoff_core: sched_setaffinity");
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

/* ---- the data plane ---- */

static void swap_macs(u8 *frame)
{
	u8 mac[6];

	memcpy(mac, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, mac, 6);
}

static void *data_plane(void *unused)
{
	struct europa eu = {
		.slots = bed.vr.slots, .meta = bed.vr.meta, .slot_stride = bed.geo.slot_stride, .nvnics = bed.geo.nvnics,
		.rx = bed.peer.rx, .tx = bed.peer.tx, .free = bed.peer.free, .alloc = bed.peer.alloc, .geometry = bed.geo,
	};
	u32 slots[256];

	pin(1);
	while (!READ_ONCE(stop)) {
		u64 start = __rdtsc();
		u32 i, sent, n = europa_rx(&eu, 0, slots, batch);

		if (!n)
			continue;
		for (i = 0; i < n; i++)
			europa_prefetch(&eu, slots[i]);
		for (i = 0; i < n; i++)
			swap_macs(europa_data(&eu, slots[i]));
		sent = europa_tx(&eu, 1, slots, n);
		europa_drop(&eu, slots + sent, n - sent);
		vr_packets += n;
		vr_busy += __rdtsc() - start;
	}
	return NULL;
}

/* ---- the switch ---- */

static u64 lap(enum stage stage, u64 since)
{
	u64 at = __rdtsc();

	cycles[stage] += at - since;
	return at;
}

static u32 receive(const u8 *frame)
{
	u32 i;

	for (i = 0; i < batch; i++) {
		struct europa_slot meta = { .len = size };
		int slot = rx_slot(&bed.vr, 0, size);

		if (slot < 0)
			break;
		memcpy(rx_data(&bed.vr, slot), frame, size);
		rx_put(&bed.vr, 0, slot, &meta);
	}
	return i;
}

static void end_windows(u64 sent, u64 *since)
{
	u64 at = __rdtsc();

	if (sent / WINDOW > nwindows && nwindows < WINDOWS) {
		windows[nwindows++] = at - *since;
		*since = at;
	}
}

static int by_size(const void *a, const void *b)
{
	return *(const u64 *)a < *(const u64 *)b ? -1 : *(const u64 *)a > *(const u64 *)b;
}

/* Cycles a packet in the best tenth of windows. */
static double undisturbed(void)
{
	qsort(windows, nwindows, sizeof(windows[0]), by_size);
	return windows[nwindows / 10] / (double)WINDOW;
}

static u64 run_switch(void)
{
	u64 since = __rdtsc();
	static u8 in[65536], out[65536];
	struct tx_frame frames[VR_BATCH];
	u64 sent = 0;

	memset(in, 0x42, sizeof(in));
	pin(0);
	while (sent < packets) {
		u32 i, n, got, looked;
		u64 at = __rdtsc();
		bool wake;

		got = receive(in);
		at = lap(RX, at);
		rx_flush(&bed.vr, 0);
		at = lap(FLUSH, at);
		n = tx_take(&bed.vr, 1, frames, batch, &looked);
		at = lap(TAKE, at);
		for (i = 0; i < n; i++)
			memcpy(out, frames[i].data, frames[i].meta.len);
		at = lap(OUT, at);
		tx_done(&bed.vr, frames, n);
		at = lap(DONE, at);
		pool_turn(&bed.vr, batch, &wake);
		lap(POOL, at);
		sent += n;
		end_windows(sent, &since);
		empty_turns += !n && !got;
	}
	return sent;
}

/* ---- how far the CPUs are apart ---- */

static struct { u64 turn __attribute__((aligned(64))); } ball;
#define ROUNDS 1000000

static void *pong(void *unused)
{
	u64 i;

	pin(1);
	for (i = 0; i < ROUNDS; i++) {
		while (smp_load_acquire(&ball.turn) != 2 * i + 1)
			;
		smp_store_release(&ball.turn, 2 * i + 2);
	}
	return NULL;
}

static double round_trip(void)
{
	pthread_t thread;
	double start;
	u64 i;

	pin(0);
	pthread_create(&thread, NULL, pong, NULL);
	start = now();
	for (i = 0; i < ROUNDS; i++) {
		smp_store_release(&ball.turn, 2 * i + 1);
		while (smp_load_acquire(&ball.turn) != 2 * i + 2)
			;
	}
	pthread_join(thread, NULL);
	return (now() - start) / ROUNDS * 1e9;
}

int main(int argc, char **argv)
{
	struct europa_geometry geo;
	pthread_t thread;
	double start, took, hz;
	u64 sent, tsc;
	u32 i;

	if (argc > 1)
		packets = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		size = strtoul(argv[2], NULL, 0);
	if (argc > 3)
		batch = strtoul(argv[3], NULL, 0);
	if (argc > 4)
		ring = strtoul(argv[4], NULL, 0);
	if (size < 60 || size > 1500 || batch < 1 || batch > VR_BATCH) {
		fprintf(stderr, "handoff_core: size is 60 to 1500, batch 1 to %d\n", VR_BATCH);
		return 125;
	}
	printf("round trip of a cache line  %6.1f ns\n", round_trip());

	geometry_choose(&geo, 2, 2048, 0, ring, 8);
	bed_make(&bed, &geo);
	bed.vr.vnics[1].mtu = 1500;
	pthread_create(&thread, NULL, data_plane, NULL);
	start = now();
	tsc = __rdtsc();
	sent = run_switch();
	tsc = __rdtsc() - tsc;
	took = now() - start;
	hz = tsc / took;
	WRITE_ONCE(stop, true);
	pthread_join(thread, NULL);

	printf("%.2f million packets/s of %u bytes, batch %u; %.1f cycles a packet at %.2f GHz; %.1f%% of turns empty\n",
	       sent / took / 1e6, size, batch, tsc / (double)sent, hz / 1e9,
	       100.0 * empty_turns / (sent / batch + empty_turns));
	if (nwindows)
		printf("%.2f million packets/s undisturbed: %.1f cycles a packet\n", hz / 1e6 / undisturbed(), undisturbed());
	for (i = 0; i < STAGES; i++)
		printf("  switch: %-20s %6.1f cycles\n", stage_names[i], cycles[i] / (double)sent);
	printf("  data plane, when busy        %6.1f cycles, %.1f packets a burst\n", vr_busy / (double)vr_packets,
	       vr_packets / (double)bed.vr.vnic_stats[0].rx_batches);
	printf("  dropped: ring full %llu, no slot %llu; violations %llu\n",
	       bed_dropped(&bed, 0, EUROPA_DROP_RX_RING_FULL), bed_dropped(&bed, 0, EUROPA_DROP_RX_NO_SLOT),
	       bed.vr.stats->violations);
	bed_free(&bed);
	return 0;
}

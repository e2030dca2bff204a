// SPDX-License-Identifier: MIT
/*
 * What the pieces cost, in cycles of the time stamp counter, medians of many:
 *
 *	cycles copy              memcpy of a packet, one line a size: bytes, cycles in the cache, cycles outside of it
 *	cycles calls OUT IN      one line each: what, bytes, cycles. A send to device OUT, and a recvfrom of what then comes in at IN (the two ends of
 *	                         a veth pair), and the same by shared memory: europa_tx and europa_rx of one packet, and a 32nd of 32
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <x86intrin.h>

#include "shim/europa.h"
#include "tests/unit/core_bed.h"

#define TRIES   4001
#define COLD    (256u << 20)
#define STRIDE  4096
#define ROW     16              /* copies in a row */

static uint64_t took[TRIES];

static const unsigned sizes[] = { 64, 128, 256, 512, 1024, 1500 };

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(void)
{
	qsort(took, TRIES, sizeof *took, ascending);
	return took[TRIES / 2];
}

static uint64_t begin(void)
{
	_mm_lfence();
	return __rdtsc();
}

static uint64_t end(void)
{
	unsigned cpu;
	uint64_t now = __rdtscp(&cpu);

	_mm_lfence();
	return now;
}

/* What reading the counter twice takes: it is in every other figure. */
static uint64_t overhead(void)
{
	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t start = begin();

		took[i] = end() - start;
	}
	return median();
}

static uint64_t less(uint64_t cycles, uint64_t base)
{
	return cycles > base ? cycles - base : 0;
}

/* ---- copies ---- */

/* The compiler mustn't see that nobody looks at the copy. */
static void copy(void *to, const void *from, unsigned bytes)
{
	memcpy(to, from, bytes);
	__asm__ volatile("" : : "r"(to) : "memory");
}

/* Cycles of a copy, from so many in a row: the counter of some machines moves in steps of 20 and more. */
static double copies_in_a_row(uint8_t *const *from, uint8_t *const *to, unsigned bytes, uint64_t base)
{
	uint64_t start = begin();

	for (unsigned n = 0; n < ROW; n++)
		copy(to[n], from[n], bytes);
	return (double)less(end() - start, base) / ROW;
}

static double median_of_copies(uint8_t *room, unsigned bytes, bool cold, uint64_t base)
{
	uint8_t *from[ROW], *to[ROW];

	for (unsigned i = 0; i < TRIES; i++) {
		for (unsigned n = 0; n < ROW; n++) {
			from[n] = room + (cold ? (size_t)(rand() % (COLD / STRIDE)) * STRIDE : 0);
			to[n] = room + (cold ? (size_t)(rand() % (COLD / STRIDE)) * STRIDE : 2 * STRIDE + 64);
		}
		took[i] = (uint64_t)(100 * copies_in_a_row(from, to, bytes, base));
	}
	return (double)median() / 100;
}

static void copies(void)
{
	uint8_t *room = mmap(NULL, COLD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint64_t base = overhead();

	if (room == MAP_FAILED)
		exit(1);
	for (unsigned s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
		printf("%u %.1f %.1f\n", sizes[s], median_of_copies(room, sizes[s], false, base), median_of_copies(room, sizes[s], true, base));
}

/* ---- system calls ---- */

static int open_device(const char *name, int protocol)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = (int)if_nametoindex(name) };
	struct timeval patience = { .tv_usec = 100000 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), ignore = 1;

	if (fd < 0 || !address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		fprintf(stderr, "cycles: %s: %s\n", name, strerror(errno));
		exit(1);
	}
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &ignore, sizeof ignore);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void calls(const char *out_name, const char *in_name)
{
	static const unsigned few[] = { 64, 1500 };
	int out = open_device(out_name, 0), in = open_device(in_name, ETH_P_ALL);
	static uint64_t sends[TRIES];
	uint8_t frame[1514];
	uint64_t base = overhead();
	unsigned lost = 0;

	memset(frame, 0xff, 12);
	memset(frame + 12, 0x88, sizeof frame - 12);
	for (unsigned s = 0; s < 2; s++) {
		for (unsigned i = 0; i < TRIES; i++) {
			uint64_t start = begin();

			if (send(out, frame, few[s], 0) < 0)
				exit(1);
			sends[i] = end() - start;
			start = begin();
			if (recvfrom(in, frame, sizeof frame, 0, NULL, NULL) < 0) {
				/* The queue between the devices is the CPU's, and others may have filled it. */
				if (errno != EAGAIN || ++lost > TRIES / 100)
					exit(1);
				i--;
				continue;
			}
			took[i] = end() - start;
		}
		printf("recvfrom %u %llu\n", few[s], (unsigned long long)less(median(), base));
		memcpy(took, sends, sizeof took);
		printf("send %u %llu\n", few[s], (unsigned long long)less(median(), base));
	}
}

/* ---- the rings ---- */

void europa_kick(struct europa *eu)
{
	abort();        /* nobody sleeps here */
}

/* The data plane's view of core_bed's region, as far as europa_rx and europa_tx look at it. */
static void attach(struct bed *bed, struct europa *eu)
{
	memset(eu, 0, sizeof *eu);
	eu->meta = bed->vr.meta;
	eu->slots = bed->vr.slots;
	eu->slot_stride = bed->geo.slot_stride;
	eu->nvnics = bed->geo.nvnics;
	eu->rx = bed->peer.rx;
	eu->tx = bed->peer.tx;
	eu->geometry = bed->geo;
}

static void rings(void)
{
	static struct bed bed;
	struct europa_geometry geo = small_geometry();
	static const unsigned batches[] = { 1, 32 };
	struct europa eu;
	uint64_t base = overhead();

	geo.nslots = 256;
	geo.ring_size = 64;
	geo.pool_ring_size = 512;
	bed_make(&bed, &geo);
	attach(&bed, &eu);
	for (unsigned b = 0; b < 2; b++) {
		for (unsigned i = 0; i < TRIES; i++) {
			struct tx_frame frames[VR_BATCH];
			uint32_t slots[64];
			u32 looked;
			uint64_t start;

			for (unsigned k = 0; k < batches[b]; k++)
				bed_receive(&bed, 0, 60, 1);
			rx_flush(&bed.vr, 0);
			start = begin();
			if (europa_rx(&eu, 0, slots, 64) != batches[b] || europa_tx(&eu, 1, slots, batches[b]) != batches[b])
				exit(1);
			took[i] = end() - start;
			tx_done(&bed.vr, frames, tx_take(&bed.vr, 1, frames, VR_BATCH, &looked));
		}
		printf("europa_rx and _tx, %u at once 64 %.1f\n", batches[b], (double)less(median(), base) / batches[b]);
	}
	bed_free(&bed);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "copy")) {
		copies();
	} else if (argc == 4 && !strcmp(argv[1], "calls")) {
		calls(argv[2], argv[3]);
		rings();
	} else {
		fputs("usage: cycles copy | cycles calls OUT IN\n", stderr);
		return 2;
	}
	return 0;
}

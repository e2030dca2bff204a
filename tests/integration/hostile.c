// SPDX-License-Identifier: MIT
/*
 * A hostile data plane, for tests/integration/test_hostile.py: it maps what a VR is handed and writes garbage wherever it can, for
 * as long as it lives: ring indexes, ring entries, metadata, slots; it rings the kick, and tries to grow and shrink the
 * pool under the switch. Between floods of pure noise it plays nearly by the rules, with plausible values that are wrong in one
 * place, because noise alone is refused at the first check.
 *
 *	hostile [SEED [offloads | padding MAC]]
 *
 * With `offloads` it sends frames that pass every check of the switch, from slots that are its own, and are a burden to whoever gets
 * them: partial checksums and segmentation anywhere in headers that are garbage, while its own mapping of the pool moves about and a child
 * rewrites it all, plays with the pages, tearing holes into them, and with the pipe that the switch reads.
 *
 * With `padding` it sends to the neighbour that has the MAC address what passes every check too, and asks for what can't be done once the
 * neighbour, or the switch on the way to it, has taken something off the frame: a checksum that is in the padding, or begins in a VLAN tag.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/europa.h>

#ifndef MADV_COLLAPSE           /* glibc 2.36 */
#define MADV_COLLAPSE 25
#endif

enum { CONTROL = 3, POOL, DOORBELL, KICK };

static const struct europa_header *header;
static volatile uint8_t *pool;
static const uint8_t *control;
static struct europa_geometry geo;
static struct europa_offsets off;
static uint64_t pool_size;

static uint64_t random_state;

static uint64_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static volatile struct europa_line *line(unsigned ring)
{
	return (volatile struct europa_line *)(pool + off.pool_lines) + ring;
}

static volatile uint32_t *entries(unsigned vnic)
{
	return (volatile uint32_t *)(pool + off.pool_rings) + geo.pool_ring_size + (uint64_t)vnic * geo.ring_size;
}

static volatile struct europa_slot *meta(uint32_t slot)
{
	return (volatile struct europa_slot *)(pool + off.pool_meta) + slot;
}

/* Plausible metadata with one field that lies. */
static void lie_in_metadata(uint32_t slot)
{
	volatile struct europa_slot *m = meta(slot);

	m->state = EUROPA_SLOT_PROCESSED;
	m->flags = 0;
	m->gso_type = 0;
	m->offset = EUROPA_HEADROOM;
	m->len = 60;
	switch (rnd() % 8) {
	case 0: m->len = (uint32_t)rnd(); break;
	case 1: m->offset = (uint16_t)rnd(); break;
	case 2: m->state = (uint8_t)rnd(); break;
	case 3: m->flags = EUROPA_SLOT_NEEDS_CSUM; m->csum_start = (uint16_t)rnd(); break;
	case 4: m->gso_type = (uint8_t)rnd(); m->gso_size = (uint16_t)rnd(); break;
	case 5: m->flags = EUROPA_SLOT_REPLICATE; m->ports = (uint32_t)rnd(); break;
	case 6: m->flags = (uint8_t)rnd(); break;
	default: break;
	}
}

/* A tx entry that is wrong, or right but for its metadata. */
static void nearly_right(void)
{
	unsigned vnic = rnd() % (geo.nvnics ? geo.nvnics : 1);
	uint32_t total = geo.nslots + geo.nruns * geo.run_slots;
	uint32_t at = line(EUROPA_RING_TX(vnic))->index;
	unsigned i, n = 1 + rnd() % 32;

	for (i = 0; i < n; i++) {
		uint32_t slot = rnd() % 4 ? rnd() % total : (uint32_t)rnd();

		if (slot < total)
			lie_in_metadata(slot);
		entries(vnic)[(at + i) & (geo.ring_size - 1)] = slot;
	}
	line(EUROPA_RING_TX(vnic))->index = at + n;
}

static void noise(void)
{
	unsigned i;

	for (i = 0; i < 64; i++)
		*(volatile uint64_t *)(pool + (rnd() % (pool_size / 8)) * 8) = rnd();
}

static void scribble_lines(void)
{
	unsigned ring = rnd() % (2 + 2 * geo.nvnics);

	line(ring)->index = (uint32_t)rnd();
	line(ring)->need_wakeup = (uint32_t)rnd();
	line(ring)->txn_base = (uint32_t)rnd();
	line(ring)->txn_count = (uint32_t)rnd();
}

/* What the VR must not be able to do. Says so on stdout where it can. */
static void try_the_forbidden(void)
{
	char path[] = "/proc/self/fd/3";
	int again = open(path, O_RDWR);
	void *map;

	if (again >= 0)
		printf("BREACH: control could be opened again for writing\n");
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, CONTROL, 0);
	if (map != MAP_FAILED)
		printf("BREACH: control could be mapped for writing\n");
	if (mprotect((void *)header, 4096, PROT_READ | PROT_WRITE) == 0)
		printf("BREACH: control could be made writable\n");
	if (ftruncate(POOL, 0) == 0 || ftruncate(POOL, (off_t)pool_size * 2) == 0)
		printf("BREACH: the pool could be resized\n");
	if (fchmod(CONTROL, 0666) == 0)
		printf("BREACH: control's mode could be changed\n");
	fcntl(KICK, F_SETFL, 0);
	fcntl(DOORBELL, F_SETFL, 0);
	fflush(stdout);
}

/* ---- frames that pass the checks ---- */

static const volatile struct europa_line *switchs_line(unsigned ring)
{
	return (const volatile struct europa_line *)(control + off.control_lines) + ring;
}

/* An EMPTY slot of the alloc ring, or -1. */
static int64_t take_slot(void)
{
	volatile struct europa_line *ours = line(EUROPA_RING_ALLOC);
	uint32_t at = ours->index, slot;

	if (at == __atomic_load_n(&switchs_line(EUROPA_RING_ALLOC)->index, __ATOMIC_ACQUIRE))
		return -1;
	slot = ((const volatile uint32_t *)(control + off.control_rings))[at & (geo.pool_ring_size - 1)];
	__atomic_store_n(&ours->index, at + 1, __ATOMIC_RELEASE);
	return slot;
}

/* Headers that begin as real ones do, often enough, and go on as they like. */
static void fill(volatile uint8_t *frame, uint32_t len)
{
	static const uint16_t types[] = { 0x0008, 0x0008, 0xdd86, 0xdd86, 0x0081, 0xa888, 0x0608, 0x4788, 0x6488 };
	static const uint8_t protocols[] = { 6, 17, 1, 47, 4, 41, 50, 132, 44, 0, 58 };
	uint32_t i;

	for (i = 0; i < len; i++)
		frame[i] = (uint8_t)(rnd() >> 13);
	frame[0] = rnd() % 4 ? 0x02 : 0xff;
	*(volatile uint16_t *)(frame + 12) = rnd() % 8 ? types[rnd() % (sizeof(types) / sizeof(types[0]))] : (uint16_t)rnd();
	if (len < 60)
		return;
	frame[14] = rnd() % 8 ? (frame[12] == 0x86 ? 0x60 : 0x45) : (uint8_t)rnd();
	frame[frame[12] == 0x86 ? 20 : 23] = protocols[rnd() % sizeof(protocols)];
	if (rnd() % 4) {
		frame[16] = (uint8_t)((len - 14) >> 8);
		frame[17] = (uint8_t)(len - 14);
	}
}

static void offload(volatile struct europa_slot *m, uint32_t len)
{
	static const uint8_t types[] = { 0, EUROPA_GSO_TCPV4, EUROPA_GSO_TCPV6, EUROPA_GSO_UDP, EUROPA_GSO_UDP_L4,
					 EUROPA_GSO_TCPV4 | EUROPA_GSO_ECN, EUROPA_GSO_TCPV6 | EUROPA_GSO_ECN };
	uint8_t type = types[rnd() % sizeof(types)];
	uint16_t at = type == EUROPA_GSO_UDP || type == EUROPA_GSO_UDP_L4 ? 6 : 16;
	uint32_t start = rnd() % 4 ? (rnd() % 2 ? 34 : 54) : 14 + rnd() % 100;

	if (start + 66 > len)
		return;
	m->gso_type = type;
	m->csum_offset = type || rnd() % 2 ? at : (uint16_t)(rnd() % 64);
	m->csum_start = (uint16_t)start;
	m->gso_size = (uint16_t)(rnd() % 4 ? 1 + rnd() % 1500 : 1 + rnd() % 8);
	m->hdr_len = (uint16_t)(14 + rnd() % (len - 13));
	if (type || rnd() % 2)
		m->flags |= EUROPA_SLOT_NEEDS_CSUM;
	if (rnd() % 8 == 0) {
		m->flags |= EUROPA_SLOT_VLAN;
		m->vlan_proto = rnd() % 2 ? 0x8100 : 0x88a8;
		m->vlan_tci = (uint16_t)rnd();
	}
}

static volatile uint64_t *sent;         /* shared with the child */

static void send_a_burden(void)
{
	unsigned vnic = rnd() % geo.nvnics;
	volatile struct europa_line *ours = line(EUROPA_RING_TX(vnic));
	int64_t slot = take_slot();
	uint32_t at = ours->index, len = rnd() % 8 ? 60 + rnd() % 1400 : 14 + rnd() % 60;
	volatile struct europa_slot *m;

	if (slot < 0 || at - __atomic_load_n(&switchs_line(EUROPA_RING_TX(vnic))->index, __ATOMIC_ACQUIRE) >= geo.ring_size)
		return;
	m = meta((uint32_t)slot);
	m->state = EUROPA_SLOT_PROCESSED;
	m->flags = 0;
	m->gso_type = 0;
	m->offset = EUROPA_HEADROOM;
	m->len = len;
	fill(pool + off.pool_slots + (uint64_t)slot * geo.slot_stride + EUROPA_HEADROOM, len);
	if (rnd() % 8)
		offload(m, len);
	entries(vnic)[at & (geo.ring_size - 1)] = (uint32_t)slot;
	__atomic_store_n(&ours->index, at + 1, __ATOMIC_RELEASE);
	++*sent;
}

/* ---- the child ---- */

/* Pages that the VR and the switch no longer share, once enough has been sent. */
static void tear(uint8_t *map)
{
	static bool torn;

	if (*sent <= 5000 || madvise(map, pool_size, MADV_REMOVE) < 0 || torn)
		return;
	torn = true;
	printf("hostile: holes\n");
	fflush(stdout);
}

static void forget(uint8_t *map)
{
	madvise(map, pool_size, MADV_DONTNEED);
	mprotect(map, 65536, PROT_NONE);
}

static void push_out(uint8_t *map)
{
	madvise(map, pool_size, rnd() % 2 ? MADV_PAGEOUT : MADV_COLD);
}

/* The pages that the switch has would have to become one. */
static void gather(uint8_t *map)
{
	madvise(map, pool_size, MADV_HUGEPAGE);
	madvise(map, pool_size, MADV_COLLAPSE);
}

static void lock(uint8_t *map)
{
	if (mlock(map, 65536) == 0 && rnd() % 2)
		munlock(map, 65536);
}

static void shrink(uint8_t *map)
{
	void *half = mremap(map, pool_size, pool_size / 2 & ~4095ull, MREMAP_MAYMOVE);

	if (half != MAP_FAILED)
		munmap(half, pool_size / 2 & ~4095ull);
}

static void hand_on(uint8_t *map)
{
	pid_t heir = fork();

	if (heir == 0) {
		map[off.pool_slots + rnd() % (pool_size - off.pool_slots)] ^= 1;
		_exit(0);
	}
	waitpid(heir, NULL, 0);
}

/* The kick's pipe, whose reader is the switch: of another size, with borders between its writes, with pages of the pool in it. */
static void play_with_the_kick(uint8_t *map)
{
	struct iovec page = { map + (rnd() % (pool_size / 4096)) * 4096, 4096 };
	loff_t at = (loff_t)(rnd() % (pool_size / 4096)) * 4096;

	fcntl(KICK, F_SETPIPE_SZ, 4096 << rnd() % 5);
	fcntl(KICK, F_SETFL, O_NONBLOCK | (rnd() % 2 ? O_DIRECT : 0));
	if (rnd() % 2)
		vmsplice(KICK, &page, 1, SPLICE_F_NONBLOCK | (rnd() % 2 ? SPLICE_F_GIFT : 0));
	else
		splice(POOL, &at, KICK, NULL, 4096, SPLICE_F_NONBLOCK);
}

static void (*const games[])(uint8_t *map) = { tear, forget, push_out, gather, lock, shrink, hand_on, play_with_the_kick };

/* Bits of frames change while they are looked at, and the pool comes and goes. */
static void disturb(void)
{
	enum { GAMES = sizeof(games) / sizeof(games[0]) };
	uint64_t turn;

	for (turn = 0;; turn++) {
		uint32_t slot = rnd() % geo.nslots, pause;
		uint8_t *map;

		/* Else no frame would keep its metadata from one end of the ring to the other, and the VR be quarantined at once. */
		for (pause = 0; pause < 10000; pause++)
			rnd();
		meta(slot)->gso_size ^= 1u << rnd() % 16;
		meta(slot)->csum_start ^= 1u << rnd() % 8;
		pool[off.pool_slots + (uint64_t)slot * geo.slot_stride + EUROPA_HEADROOM + rnd() % 128] ^= 1u << rnd() % 8;
		if (turn % 16)
			continue;
		map = mmap(NULL, pool_size, PROT_READ | PROT_WRITE, MAP_SHARED | (rnd() % 2 ? MAP_POPULATE : 0), POOL, 0);
		if (map == MAP_FAILED)
			continue;
		games[turn / 16 % GAMES](map);
		munmap(map, pool_size);
	}
}

/* The sender's own mapping, from under the pages that it has just filled. */
static void move_pool(void)
{
	void *elsewhere = mmap(NULL, pool_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (elsewhere == MAP_FAILED)
		return;
	elsewhere = mremap((void *)pool, pool_size, pool_size, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere);
	if (elsewhere != MAP_FAILED)
		pool = elsewhere;
}

static int burden(void)
{
	uint64_t turn;

	sent = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sent == MAP_FAILED)
		return 1;
	if (fork() == 0) {
		disturb();
		_exit(0);
	}
	printf("hostile: at it\n");
	fflush(stdout);
	for (turn = 0;; turn++) {
		send_a_burden();
		if (turn % 1024 == 0)
			move_pool();
		if (turn % 8 == 0 && write(KICK, "!", 1) < 0 && errno != EAGAIN)
			return 2;
	}
}

/* ---- frames that others would be charged for ---- */

/* An IPv4 packet of nothing but its header, from 10.0.0.9 to 10.0.1.2, in a frame of 64 bytes. */
static void write_empty_packet(volatile uint8_t *frame, const uint8_t *mac, bool tagged)
{
	static const uint8_t source[6] = { 0x02, 0, 0, 0, 0, 9 }, tag[4] = { 0x81, 0x00, 0x00, 0x05 };
	static const uint8_t packet[] = { 0x08, 0x00, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0x65, 0xcf, 10, 0, 0, 9, 10, 0, 1, 2 };
	volatile uint8_t *at = frame + 12;
	unsigned i;

	for (i = 0; i < 64; i++)
		frame[i] = i < 6 ? mac[i] : i < 12 ? source[i - 6] : 0;
	for (i = 0; tagged && i < sizeof tag; i++)
		*at++ = tag[i];
	for (i = 0; i < sizeof packet; i++)
		*at++ = packet[i];
}

static void send_for_the_padding(const uint8_t *mac, bool tagged)
{
	volatile struct europa_line *ours = line(EUROPA_RING_TX(0));
	uint32_t at = ours->index;
	int64_t slot;

	/* One beyond the ring's end is a lie of another kind, and the end of this. */
	if (at - __atomic_load_n(&switchs_line(EUROPA_RING_TX(0))->index, __ATOMIC_ACQUIRE) >= geo.ring_size)
		return;
	slot = take_slot();
	if (slot < 0)
		return;
	write_empty_packet(pool + off.pool_slots + (uint64_t)slot * geo.slot_stride + EUROPA_HEADROOM, mac, tagged);
	*(struct europa_slot *)meta((uint32_t)slot) = (struct europa_slot){
		.state = EUROPA_SLOT_PROCESSED, .flags = EUROPA_SLOT_NEEDS_CSUM, .offset = EUROPA_HEADROOM, .len = 64,
		.csum_start = tagged ? 14 : 34, .csum_offset = 6,
	};
	entries(0)[at & (geo.ring_size - 1)] = (uint32_t)slot;
	__atomic_store_n(&ours->index, at + 1, __ATOMIC_RELEASE);
}

static int charge(const char *text)
{
	const struct timespec moment = { .tv_nsec = 2000000 };
	uint8_t mac[6];
	uint64_t turn;

	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		return 1;
	for (turn = 0;; turn++) {
		send_for_the_padding(mac, turn % 2);
		if (turn % 16)
			continue;
		if (write(KICK, "!", 1) < 0 && errno != EAGAIN)
			return 2;
		nanosleep(&moment, NULL);
	}
}

int main(int argc, char **argv)
{
	struct stat st;
	uint64_t turn;

	random_state = argc > 1 ? strtoull(argv[1], NULL, 0) * 2654435761u + 1 : 88172645463325252ull;
	if (fstat(CONTROL, &st) < 0)
		return 1;
	control = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, CONTROL, 0);
	header = (const void *)control;
	if (header == MAP_FAILED || fstat(POOL, &st) < 0)
		return 1;
	geo = header->geometry;
	off = header->offsets;
	pool_size = (uint64_t)st.st_size;
	pool = mmap(NULL, pool_size, PROT_READ | PROT_WRITE, MAP_SHARED, POOL, 0);
	if (pool == MAP_FAILED)
		return 1;

	try_the_forbidden();
	if (argc > 3 && !strcmp(argv[2], "padding"))
		return charge(argv[3]);
	if (argc > 2)
		return burden();
	printf("hostile: at it\n");
	fflush(stdout);
	for (turn = 0;; turn++) {
		/* By the rules but for one lie first, so that it isn't quarantined before it has said what it has to say. */
		nearly_right();
		if (turn > 1000 && turn % 16 == 0)
			scribble_lines();
		if (turn > 10000)
			noise();
		if (turn % 8 == 0 && write(KICK, "!!!!!!!!", 8) < 0 && errno != EAGAIN)
			return 2;
	}
}

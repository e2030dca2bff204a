// SPDX-License-Identifier: MIT
/*
 * A hostile data plane, for tests/integration/test_hostile.py: it maps what a VR is handed and writes garbage wherever it can, for
 * as long as it lives: ring indexes, ring entries, metadata, slots; it rings the kick, and tries to grow and shrink the
 * pool under the switch. Between floods of pure noise it plays nearly by the rules, with plausible values that are wrong in one
 * place, because noise alone is refused at the first check.
 *
 *	hostile [SEED]
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/europa.h>

enum { CONTROL = 3, POOL, DOORBELL, KICK };

static const struct europa_header *header;
static volatile uint8_t *pool;
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

int main(int argc, char **argv)
{
	struct stat st;
	uint64_t turn;

	random_state = argc > 1 ? strtoull(argv[1], NULL, 0) * 2654435761u + 1 : 88172645463325252ull;
	header = mmap(NULL, 4096, PROT_READ, MAP_SHARED, CONTROL, 0);
	if (header == MAP_FAILED || fstat(POOL, &st) < 0)
		return 1;
	geo = header->geometry;
	off = header->offsets;
	pool_size = (uint64_t)st.st_size;
	pool = mmap(NULL, pool_size, PROT_READ | PROT_WRITE, MAP_SHARED, POOL, 0);
	if (pool == MAP_FAILED)
		return 1;

	try_the_forbidden();
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

/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/packets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/vr.h"
#include "runtime/checkpoint/store.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/region.h"

#define ALIGN 8

static size_t padded(size_t n)
{
	return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static size_t statistics_bytes(const struct europa_geometry *geo)
{
	return sizeof(struct europa_vr_stats) + geo->nvnics * sizeof(struct europa_vnic_stats);
}

size_t packets_most(const struct europa_geometry *geo)
{
	size_t slots = (size_t)geo->nslots + geo->nruns;

	return sizeof(struct packets_header) + statistics_bytes(geo) + slots * (sizeof(struct packets_entry) + ALIGN) +
	       (size_t)geometry_indexes(geo) * geo->slot_stride;
}

static bool is_tx(uint32_t ring)
{
	return ring & 1;
}

/* A ring's place is where its producer writes. */
static uint64_t entries_at(const struct europa_geometry *geo, const struct europa_offsets *off, uint32_t ring)
{
	return (is_tx(ring) ? off->pool_rings : off->control_rings) + layout_ring(geo, ring);
}

static bool fits_slot(const struct europa_geometry *geo, uint32_t slot, const struct europa_slot *meta)
{
	return (uint64_t)meta->offset + meta->len <= geometry_slot_bytes(geo, slot);
}

/* ---- a mapping ---- */

struct map {
	struct europa_offsets off;
	uint8_t *control, *pool;
};

static void unmap(struct map *m)
{
	if (m->control)
		munmap(m->control, m->off.control_size);
	if (m->pool)
		munmap(m->pool, m->off.pool_size);
}
#define auto_map __attribute__((cleanup(unmap)))

/* Both are sealed against shrinking. */
static int map_region(struct map *m, int control, int pool, const struct europa_geometry *geo, int protection, struct error *e)
{
	void *at;

	*m = (struct map){ 0 };
	layout_compute(geo, &m->off);
	at = mmap(NULL, m->off.control_size, protection, MAP_SHARED, control, 0);
	if (at != MAP_FAILED) {
		m->control = at;
		at = mmap(NULL, m->off.pool_size, protection, MAP_SHARED, pool, 0);
	}
	if (at == MAP_FAILED)
		return fail(e, errno, "cannot map the packet pool");
	m->pool = at;
	return 0;
}

static struct europa_line *line(uint8_t *base, uint64_t lines, uint32_t ring)
{
	return (struct europa_line *)(base + lines) + ring;
}

/* ---- saving ---- */

struct saving {
	struct store_writer *w;
	const struct europa_geometry *geo;
	const struct map *map;
	uint8_t *seen;                     /* a byte a slot */
	struct packets_entry *entries;     /* what is kept; frames are read when they are written */
	uint32_t kept;
	struct packets_count *count;
};

/* What the VR can write is read once; what can't be true of a packet that is the VR's isn't kept. */
static bool keep(struct saving *s, uint32_t ring, uint32_t slot)
{
	const struct europa_slot *metas = (const void *)(s->map->pool + s->map->off.pool_meta);
	struct packets_entry entry = { .ring = ring, .slot = slot };

	if (!geometry_names_slot(s->geo, slot) || s->seen[slot])
		return false;
	if (READ_ONCE(s->map->control[s->map->off.control_owners + slot]) != EUROPA_OWNER_VR)
		return false;
	memcpy(&entry.meta, &metas[slot], sizeof entry.meta);
	barrier();
	if (!fits_slot(s->geo, slot, &entry.meta) || (is_tx(ring) && entry.meta.state != EUROPA_SLOT_PROCESSED))
		return false;
	/* The switch gave it no such frame, and the next one won't either. */
	if (!is_tx(ring) && !check_offload(&entry.meta))
		return false;
	entry.meta.state = is_tx(ring) ? EUROPA_SLOT_PROCESSED : EUROPA_SLOT_FILLED;
	s->seen[slot] = 1;
	s->entries[s->kept++] = entry;
	return true;
}

static int keep_ring(struct saving *s, uint32_t ring, struct error *e)
{
	struct europa_line *switchs = line(s->map->control, s->map->off.control_lines, ring);
	struct europa_line *vrs = line(s->map->pool, s->map->off.pool_lines, ring);
	uint32_t producer = smp_load_acquire(is_tx(ring) ? &vrs->index : &switchs->index);
	uint32_t consumer = smp_load_acquire(is_tx(ring) ? &switchs->index : &vrs->index);
	uint32_t size = s->geo->ring_size;
	const uint32_t *entries = (const uint32_t *)((is_tx(ring) ? s->map->pool : s->map->control) + entries_at(s->geo, &s->map->off, ring));

	if (producer - consumer > size)
		return refuse(e, "the %s ring of vNIC %u makes no sense: the data plane has overwritten its index",
			      is_tx(ring) ? "tx" : "rx", (ring - 2) / 2);
	for (uint32_t at = consumer; at != producer; at++) {
		bool good = keep(s, ring, READ_ONCE(entries[at & (size - 1)]));

		if (!good)
			s->count->bad++;
		else if (is_tx(ring))
			s->count->tx++;
		else
			s->count->rx++;
	}
	return 0;
}

static void write_frame(struct saving *s, const struct packets_entry *entry)
{
	static const uint8_t zeroes[ALIGN];
	const uint8_t *slots = s->map->pool + s->map->off.pool_slots;

	store_add(s->w, entry, sizeof *entry);
	store_add(s->w, slots + (size_t)entry->slot * s->geo->slot_stride + entry->meta.offset, entry->meta.len);
	store_add(s->w, zeroes, padded(entry->meta.len) - entry->meta.len);
}

uint64_t packets_not_received(const uint8_t *statistics, const struct europa_geometry *geo)
{
	const struct europa_vnic_stats *vnics = (const void *)(statistics + sizeof(struct europa_vr_stats));
	uint64_t sum = 0;

	for (uint32_t n = 0; n < geo->nvnics; n++)
		for (unsigned cause = EUROPA_DROP_RX_NO_SLOT; cause < EUROPA_DROP_TX_DOWN; cause++)
			sum += READ_ONCE(vnics[n].drops[cause]);
	for (uint32_t n = 0; n < geo->nvnics; n++)
		sum += READ_ONCE(vnics[n].drops[EUROPA_DROP_RX_MALFORMED]);
	return sum;
}

static void write_all(struct saving *s, uint8_t *statistics)
{
	const struct packets_header header = {
		.magic = PACKETS_MAGIC, .version = PACKETS_VERSION, .packets = s->kept, .geometry = *s->geo,
		.drops = EUROPA_DROPS_MAX,
	};

	store_add(s->w, &header, sizeof header);
	/* Frames may still come, and be counted. */
	memcpy(statistics, s->map->control + s->map->off.control_stats, statistics_bytes(s->geo));
	s->count->not_received = packets_not_received(statistics, s->geo);
	store_add(s->w, statistics, statistics_bytes(s->geo));
	for (uint32_t i = 0; i < s->kept; i++)
		write_frame(s, &s->entries[i]);
}

int packets_save(struct store_writer *w, int control, int pool, const struct europa_geometry *geo, struct packets_count *count,
		 struct error *e)
{
	auto_map struct map map = { 0 };
	auto_free uint8_t *seen = calloc(1, geometry_indexes(geo)), *statistics = malloc(statistics_bytes(geo));
	auto_free struct packets_entry *entries = calloc((size_t)geo->nslots + geo->nruns, sizeof *entries);
	struct saving s = { .w = w, .geo = geo, .map = &map, .seen = seen, .entries = entries, .count = count };
	int err = 0;

	*count = (struct packets_count){ 0 };
	if (!seen || !statistics || !entries)
		return fail(e, ENOMEM, "cannot save the packet pool");
	err = map_region(&map, control, pool, geo, PROT_READ, e);
	/* What is to leave leaves before what came in later. */
	for (uint32_t n = 0; n < geo->nvnics && !err; n++)
		err = keep_ring(&s, EUROPA_RING_TX(n), e);
	for (uint32_t n = 0; n < geo->nvnics && !err; n++)
		err = keep_ring(&s, EUROPA_RING_RX(n), e);
	if (!err)
		write_all(&s, statistics);
	return err;
}

/* ---- checking ---- */

/* Walks over the entries; false at the end, and then *left says whether bytes are missing (-1) or too many (> 0). */
struct walk {
	const uint8_t *at;
	size_t left;
	uint32_t packets;
};

static bool walk_next(struct walk *w, struct packets_entry *entry, const uint8_t **frame)
{
	size_t bytes;

	if (!w->packets || w->left < sizeof *entry)
		return false;
	memcpy(entry, w->at, sizeof *entry);
	bytes = sizeof *entry + padded(entry->meta.len);
	if (bytes > w->left)
		return false;
	*frame = w->at + sizeof *entry;
	w->at += bytes;
	w->left -= bytes;
	w->packets--;
	return true;
}

static struct walk walk_begin(const uint8_t *bytes, size_t size, const struct europa_geometry *geo)
{
	size_t head = sizeof(struct packets_header) + statistics_bytes(geo);
	struct packets_header header;

	memcpy(&header, bytes, sizeof header);
	return (struct walk){ .at = bytes + head, .left = size - head, .packets = header.packets };
}

static int check_header(const uint8_t *bytes, size_t size, const struct europa_geometry *geo, struct error *e)
{
	struct packets_header header;

	if (size < sizeof header + statistics_bytes(geo))
		return refuse(e, "%zu bytes: expected at least %zu", size, sizeof header + statistics_bytes(geo));
	memcpy(&header, bytes, sizeof header);
	if (header.magic != PACKETS_MAGIC)
		return refuse(e, "not the packets of a virtual router");
	if (header.version != PACKETS_VERSION)
		return refuse(e, "version %u: this program knows version %u", header.version, PACKETS_VERSION);
	if (header.drops != EUROPA_DROPS_MAX || header.reserved)
		return refuse(e, "statistics of another length than this program's");
	if (memcmp(&header.geometry, geo, sizeof *geo) != 0)
		return refuse(e, "the geometry is not the one in manifest.json");
	return 0;
}

static int check_entry(const struct packets_entry *entry, const struct europa_geometry *geo, uint8_t *seen, uint32_t *fill, struct error *e)
{
	if (entry->ring < 2 || entry->ring >= EUROPA_RING_RX(geo->nvnics))
		return refuse(e, "a packet is in ring %u: expected one of a vNIC's", entry->ring);
	if (!geometry_names_slot(geo, entry->slot))
		return refuse(e, "a packet is in slot %u, which doesn't exist", entry->slot);
	if (seen[entry->slot])
		return refuse(e, "slot %u is there twice", entry->slot);
	if (!fits_slot(geo, entry->slot, &entry->meta))
		return refuse(e, "the packet in slot %u has %u bytes from byte %u on, which is more than the slot", entry->slot,
			      entry->meta.len, entry->meta.offset);
	if (++fill[entry->ring] > geo->ring_size)
		return refuse(e, "more packets in ring %u than it can hold", entry->ring);
	seen[entry->slot] = 1;
	return 0;
}

int packets_check(const uint8_t *bytes, size_t size, const struct europa_geometry *geo, struct packets_count *count, struct error *e)
{
	auto_free uint8_t *seen = calloc(1, geometry_indexes(geo));
	uint32_t fill[EUROPA_MAX_RINGS] = { 0 };
	struct packets_entry entry;
	const uint8_t *frame;
	struct walk w;
	int err = seen ? check_header(bytes, size, geo, e) : fail(e, ENOMEM, "cannot check the packets");

	*count = (struct packets_count){ 0 };
	if (err)
		return err;
	for (w = walk_begin(bytes, size, geo); !err && walk_next(&w, &entry, &frame);) {
		err = check_entry(&entry, geo, seen, fill, e);
		if (is_tx(entry.ring))
			count->tx++;
		else
			count->rx++;
	}
	if (!err && w.packets)
		return refuse(e, "%u packets are missing at its end", w.packets);
	if (!err && w.left)
		return refuse(e, "%zu bytes too many at its end", w.left);
	return err;
}

/* ---- laying ---- */

static void lay_packets(const uint8_t *bytes, size_t size, const struct map *map, const struct europa_geometry *geo)
{
	struct europa_slot *metas = (struct europa_slot *)(map->pool + map->off.pool_meta);
	uint32_t fill[EUROPA_MAX_RINGS] = { 0 };
	struct walk w = walk_begin(bytes, size, geo);
	struct packets_entry entry;
	const uint8_t *frame;

	while (walk_next(&w, &entry, &frame)) {
		uint8_t *base = is_tx(entry.ring) ? map->pool : map->control;
		uint32_t *entries = (uint32_t *)(base + entries_at(geo, &map->off, entry.ring));

		memcpy(map->pool + map->off.pool_slots + (size_t)entry.slot * geo->slot_stride + entry.meta.offset, frame, entry.meta.len);
		metas[entry.slot] = entry.meta;
		metas[entry.slot].state = is_tx(entry.ring) ? EUROPA_SLOT_PROCESSED : EUROPA_SLOT_FILLED;
		map->control[map->off.control_owners + entry.slot] = EUROPA_OWNER_VR;
		entries[fill[entry.ring]++] = entry.slot;
		/* The producer of an rx ring is the switch. A tx ring's is the VR: until packets_release() its number waits in the journal's words,
		 * which mean nothing on the VR's side. */
		if (is_tx(entry.ring))
			line(map->pool, map->off.pool_lines, entry.ring)->txn_count = fill[entry.ring];
		else
			line(map->control, map->off.control_lines, entry.ring)->index = fill[entry.ring];
	}
}

int packets_lay(const uint8_t *bytes, size_t size, const struct region *region, const char *name, bool with_packets, struct error *e)
{
	const struct europa_geometry *geo = &region->geometry;
	auto_free void *memory = calloc(1, vr_memory(geo));
	auto_map struct map map = { 0 };
	struct vr vr;
	int err = memory ? map_region(&map, region->control, region->pool, geo, PROT_READ | PROT_WRITE, e) :
			   fail(e, ENOMEM, "cannot restore the packet pool");

	if (err)
		return err;
	vr_init(&vr, geo, name, map.control, map.pool, memory);
	vr_set_status(&vr, EUROPA_DETACHED);
	memcpy(map.control + map.off.control_stats, bytes + sizeof(struct packets_header), statistics_bytes(geo));
	if (with_packets)
		lay_packets(bytes, size, &map, geo);
	return 0;
}

int packets_lay_whole(const uint8_t *control, const uint8_t *pool, const struct region *region, struct error *e)
{
	auto_map struct map map = { 0 };
	int err = map_region(&map, region->control, region->pool, &region->geometry, PROT_READ | PROT_WRITE, e);

	if (err)
		return err;
	memcpy(map.control, control, map.off.control_size);
	memcpy(map.pool, pool, map.off.pool_size);
	/* Until packets_release_whole() the switch has taken what it was given. */
	for (uint32_t n = 0; n < region->geometry.nvnics; n++)
		line(map.pool, map.off.pool_lines, EUROPA_RING_TX(n))->index = line(map.control, map.off.control_lines, EUROPA_RING_TX(n))->index;
	return 0;
}

int packets_release_whole(const uint8_t *pool, const struct region *region, struct error *e)
{
	auto_map struct map map = { 0 };
	int err = map_region(&map, region->control, region->pool, &region->geometry, PROT_READ | PROT_WRITE, e);

	if (err)
		return err;
	for (uint32_t n = 0; n < region->geometry.nvnics; n++)
		smp_store_release(&line(map.pool, map.off.pool_lines, EUROPA_RING_TX(n))->index,
				  line((uint8_t *)pool, map.off.pool_lines, EUROPA_RING_TX(n))->index);
	if (write(region->kick_write, "", 1) < 0 && errno != EAGAIN)
		return fail(e, errno, "cannot wake the switch");
	return 0;
}

int packets_release(const struct region *region, struct error *e)
{
	auto_map struct map map = { 0 };
	int err = map_region(&map, region->control, region->pool, &region->geometry, PROT_READ | PROT_WRITE, e);
	bool any = false;

	if (err)
		return err;
	for (uint32_t n = 0; n < region->geometry.nvnics; n++) {
		struct europa_line *tx = line(map.pool, map.off.pool_lines, EUROPA_RING_TX(n));
		uint32_t waiting = tx->txn_count;

		tx->txn_count = 0;
		smp_store_release(&tx->index, waiting);
		any |= waiting != 0;
	}
	/* A full pipe wakes it as well. */
	if (any && write(region->kick_write, "", 1) < 0 && errno != EAGAIN)
		return fail(e, errno, "cannot wake the switch");
	return 0;
}

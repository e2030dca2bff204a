// SPDX-License-Identifier: MIT
/*
 * The switch between a hostile VR and an innocent one. The input is a sequence of operations: the hostile VR's (any
 * value anywhere in its pool memfd, indexes that jump, claims about frames, its doorbell words), the switch's
 * (receive, transmit, pool, sleep, quiesce, adopt), and the innocent VR's, which forwards numbered frames all the
 * time. After each operation the switch's books must be right and the innocent VR must have lost nothing.
 *
 * The core is compiled into this file with a READ_ONCE of its own: when `treachery` is on, every word that the core
 * has just read of the hostile VR's memory is another one before it can read it again. So what is not read once,
 * but checked and then read again, is found as if a second CPU had been quick enough.
 */
#include <stdio.h>

#include "core/env.h"

static void betray(const volatile void *read, size_t size);

#undef READ_ONCE
#define READ_ONCE(x) ({                                                 \
	__typeof__(x) value_ = __atomic_load_n(&(x), __ATOMIC_RELAXED); \
	betray(&(x), sizeof(x));                                        \
	value_;                                                         \
})
#undef smp_load_acquire
#define smp_load_acquire(p) ({                                          \
	__typeof__(*(p)) value_ = __atomic_load_n((p), __ATOMIC_ACQUIRE); \
	betray((p), sizeof(*(p)));                                      \
	value_;                                                         \
})

#include "../../kmod/core/layout.c"
#include "../../kmod/core/check.c"
#include "../../kmod/core/pool.c"
#include "../../kmod/core/rx.c"
#include "../../kmod/core/tx.c"
#include "../../kmod/core/vr.c"
#include "../unit/core_bed.h"

#define demand(what) do {                                               \
	if (!(what)) {                                                  \
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
		abort();                                                \
	}                                                               \
} while (0)

static struct bed hostile, innocent;
static bool treachery;
static u32 dice;

/* What the switch has under way with the hostile VR. */
static struct tx_frame frames[VR_BATCH];
static u32 nframes, nput;

/* What the innocent VR must get and give, in order. */
static u32 next_in, next_out;

/* ---- the input ---- */

static const u8 *input;
static size_t left;

static u32 take(u32 bytes)
{
	u32 value = 0;

	while (bytes-- > 0 && left > 0) {
		value = value << 8 | *input++;
		left--;
	}
	return value;
}

static u32 roll(void)
{
	dice = dice * 1664525 + 1013904223;
	return dice >> 8;
}

static void betray(const volatile void *read, size_t size)
{
	u8 *at = (u8 *)(uintptr_t)read;

	if (!treachery || at < hostile.pool || at >= hostile.pool + hostile.off.pool_slots)
		return;
	switch (roll() % 6) {
	case 0:
		memset(at, 0xff, size);
		break;
	case 1:
		memset(at, 0, size);
		break;
	case 2:
		at[roll() % size] ^= 1u << roll() % 8;
		break;
	case 3:
		at[0] = roll();
		break;
	case 4:         /* the first word of a good frame's metadata */
		memcpy(at, (u8[8]){ [0] = EUROPA_SLOT_PROCESSED, [4] = 60 }, size);
		break;
	}
}

/* ---- what must be so ---- */

static void demand_frame(const struct tx_frame *frame)
{
	const struct europa_geometry *geo = &hostile.geo;
	const u8 *slot = hostile.pool + hostile.off.pool_slots + (u64)frame->slot * geo->slot_stride;
	u32 room = frame->slot < geo->nslots ? geo->slot_stride : geo->slot_stride * geo->run_slots;

	demand(geometry_names_slot(geo, frame->slot));
	demand(hostile.vr.owners[frame->slot] == EUROPA_OWNER_SWITCH);
	demand(frame->meta.len >= 14 && frame->meta.len <= room);
	demand(frame->data >= slot && frame->data + frame->meta.len <= slot + room);
	demand(frame->ports && !((u64)frame->ports >> geo->nvnics));
	if (frame->meta.flags & EUROPA_SLOT_NEEDS_CSUM)
		demand(frame->meta.csum_start + frame->meta.csum_offset + 2u <= frame->meta.len);
	if (frame->meta.gso_type)
		demand(frame->meta.gso_size && frame->meta.hdr_len <= frame->meta.len &&
		       (frame->meta.len - frame->meta.csum_start) / frame->meta.gso_size <= 2048 + 20);
	else if (frame->ports & 1)
		demand(frame->meta.len <= 1518);
}

static u64 violations_by_cause(const struct vr *vr)
{
	u64 sum = 0;
	u32 cause, vnic;

	for (cause = EUROPA_DROP_FIRST_VIOLATION; cause <= EUROPA_DROP_LAST_VIOLATION; cause++) {
		sum += vr->stats->drops[cause];
		for (vnic = 0; vnic < vr->geo.nvnics; vnic++)
			sum += vr->vnic_stats[vnic].drops[cause];
	}
	return sum;
}

static void demand_books(const struct bed *bed, u32 in_flight)
{
	const struct vr *vr = &bed->vr;
	const char *fault = bed_fault(bed, in_flight);

	if (fault) {
		fprintf(stderr, "%s\n", fault);
		abort();
	}
	demand(!memcmp(&vr->geo, &bed->geo, sizeof(bed->geo)));
	demand(!memcmp(&vr->off, &bed->off, sizeof(bed->off)));
	demand(!memcmp(&vr->header->geometry, &bed->geo, sizeof(bed->geo)));
	demand(vr->meta == (void *)(bed->pool + bed->off.pool_meta));
	demand(vr->quarantined == (vr->header->status == EUROPA_QUARANTINED));
	demand(vr->stats->violations == violations_by_cause(vr));
}

/* ---- the hostile VR ---- */

static void write_anywhere(void)
{
	u32 at = take(3) % hostile.off.pool_slots, n = 1u << take(1) % 4;

	for (; n > 0; n--, at++)
		hostile.pool[at % hostile.off.pool_slots] = take(1);
}

/* Which of the six rings; the first three are those whose entries the VR writes. */
static struct ring *peer_ring(u32 which)
{
	struct peer *peer = &hostile.peer;
	struct ring *rings[] = { &peer->free, &peer->tx[0], &peer->tx[1], &peer->alloc, &peer->rx[0], &peer->rx[1] };

	return rings[which % 6];
}

static void jump(void)
{
	struct ring *r = peer_ring(take(1));

	r->mine->index = take(1) % 2 ? take(4) : r->mine->index + (signed char)take(1);
	r->index = r->mine->index;
}

/* Mostly what names a slot, sometimes what doesn't. */
static u32 pick(void)
{
	u32 which = take(1) % 14;

	if (which < 9)
		return which;
	return which < 13 ? hostile.vr.nindexes - 11 + which : take(4);
}

static void post(void)
{
	struct ring *r = peer_ring(take(1) % 3);
	u32 slot = pick();

	if (slot < hostile.vr.nindexes)
		hostile.vr.meta[slot].state = EUROPA_SLOT_PROCESSED;
	*ring_entry(r, 0) = slot;
	ring_submit(r, 1);
}

/* 16 bits, mostly near 0 or near the end. */
static u16 edgy(void)
{
	u32 how = take(1);

	return how < 100 ? how : how < 200 ? (u16)(how - 200) : take(2);
}

static void claim(u32 slot)
{
	struct europa_slot *meta = &hostile.vr.meta[slot % hostile.vr.nindexes];

	meta->state = take(1) % 16 ? EUROPA_SLOT_PROCESSED : take(1);
	meta->flags = take(1);
	meta->gso_type = take(1);
	meta->len = take(1) % 4 ? edgy() : take(4);
	meta->offset = edgy();
	meta->vlan_proto = take(1) % 2 ? 0x8100 : take(2);
	meta->hdr_len = edgy();
	meta->gso_size = edgy();
	meta->csum_start = edgy();
	meta->csum_offset = take(1) % 2 ? 16 : edgy();
	meta->ports = take(1);
}

static void claim_of_any(void)
{
	claim(pick());
}

/* Lies about a frame that it has, and sends it. */
static void lie(void)
{
	int slot = peer_get(&hostile.peer.rx[take(1) % 2]);

	if (slot < 0)
		return;
	claim(slot);
	peer_post(&hostile.peer.tx[take(1) % 2], slot);
}

/* As an honest VR would: so that the fuzzer finds its way to frames that are good. */
static void forward(void)
{
	u32 from = take(1) % 2, to = take(1) % 2;
	int slot = peer_get(&hostile.peer.rx[from]);

	if (slot >= 0 && (u32)slot < hostile.vr.nindexes)
		peer_send(&hostile, to, slot);
}

static void drop(void)
{
	int slot = peer_get(peer_ring(3 + take(1) % 3));

	if (slot >= 0)
		peer_post(&hostile.peer.free, slot);
}

/* ---- the switch ---- */

static void receive(void)
{
	static const u32 lengths[] = { 14, 60, 448, 449, 1514, 65549, 73600, 73601 };
	u32 vnic = take(1) % 2, how = take(1), len = lengths[how % 8];
	int slot = rx_slot(&hostile.vr, vnic, len);
	struct europa_slot meta = { .len = len, .flags = how };

	if (slot < 0)
		return;
	demand(geometry_names_slot(&hostile.geo, slot));
	memset(rx_data(&hostile.vr, slot), how, len);
	if (how & 0x80) {
		rx_cancel(&hostile.vr, slot);
		return;
	}
	rx_put(&hostile.vr, vnic, slot, &meta);
	nput++;
}

static void flush(void)
{
	rx_flush(&hostile.vr, 0);
	rx_flush(&hostile.vr, 1);
	nput = 0;
}

static void done(void)
{
	static u8 wire[1 << 17];
	u32 i;

	/* Whatever the VR has written to the metadata since: the copies are what is used. */
	for (i = 0; i < nframes; i++) {
		demand_frame(&frames[i]);
		memcpy(wire, frames[i].data, frames[i].meta.len);
	}
	tx_done(&hostile.vr, frames, nframes);
	nframes = 0;
}

static void transmit(void)
{
	u32 i, looked, vnic = take(1) % 2, max = take(1);

	done();
	nframes = tx_take(&hostile.vr, vnic, frames, max, &looked);
	demand(looked <= VR_BATCH && nframes <= looked);
	for (i = 0; i < nframes; i++)
		demand_frame(&frames[i]);
}

static void turn_pool(void)
{
	u32 budget = take(1);
	bool wake;

	demand(pool_turn(&hostile.vr, budget, &wake) <= budget + hostile.geo.alloc_target);
}

static void doze(void)
{
	bool busy = vr_sleep(&hostile.vr);

	demand(!busy || !vr_paused(&hostile.vr));
	vr_awake(&hostile.vr);
}

static void quiesce(void)
{
	flush();
	done();
	vr_quiesce(&hostile.vr, take(1) % 3);
	vr_ask(&hostile.vr, take(1) % 2);
}

/* The switch dies, with what it had under way. */
static void adopt(void)
{
	u32 epoch = hostile.vr.header->epoch;

	nframes = nput = 0;
	demand(vr_adopt(&hostile.vr, &hostile.geo, hostile.control, hostile.pool, hostile.memory) == 0);
	demand(hostile.vr.header->epoch == epoch + 1);
	demand(request_what(hostile.vr.header->request) == EUROPA_ASK_NOTHING);
}

/* ---- the innocent VR ---- */

static void put_number(u8 *data, u32 number)
{
	memset(data, 0, 60);
	memcpy(data + 20, &number, sizeof(number));
}

static void innocent_works(void)
{
	struct tx_frame sent[VR_BATCH];
	struct europa_slot meta = { .len = 60 };
	u32 i, n, looked, number;
	bool wake;
	int slot;

	for (i = 0; i < 3; i++) {
		slot = rx_slot(&innocent.vr, 0, 60);
		demand(slot >= 0);
		put_number(rx_data(&innocent.vr, slot), next_in++);
		rx_put(&innocent.vr, 0, slot, &meta);
	}
	rx_flush(&innocent.vr, 0);
	while ((slot = peer_get(&innocent.peer.rx[0])) >= 0)
		demand(peer_send(&innocent, 1, slot));
	n = tx_take(&innocent.vr, 1, sent, VR_BATCH, &looked);
	demand(n == 3 && looked == 3);
	for (i = 0; i < n; i++) {
		memcpy(&number, sent[i].data + 20, sizeof(number));
		demand(number == next_out++);
	}
	tx_done(&innocent.vr, sent, n);
	pool_turn(&innocent.vr, 64, &wake);
	demand(innocent.vr.stats->violations == 0);
	demand(!innocent.vr.quarantined);
}

/* ---- */

static void toggle_treachery(void)
{
	dice = take(4);
	treachery = !treachery;
}

static void (*const operations[])(void) = {
	write_anywhere, jump, post, claim_of_any, lie, lie, lie, forward, forward, drop,
	receive, receive, flush, transmit, transmit, done, turn_pool, doze, quiesce, adopt,
	innocent_works, toggle_treachery,
};

/* The memory is allocated once; frames of the last input may lie in the slots of the next. */
static void make(struct bed *bed)
{
	struct europa_geometry geo;

	if (!bed->control) {
		geometry_choose(&geo, 2, 8, EUROPA_MIN_STRIDE, 16, 1);
		geo.alloc_target = 2;
		bed_make(bed, &geo);
	} else {
		memset(bed->control, 0, bed->off.control_size);
		memset(bed->pool, 0, bed->off.pool_slots);
		vr_init(&bed->vr, &bed->geo, "bed", bed->control, bed->pool, bed->memory);
		peer_open(bed);
	}
	bed->vr.vnics[0].mtu = 1500;    /* the other takes what the checks let through */
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	input = data;
	left = size;
	nframes = nput = next_in = next_out = 0;
	treachery = false;
	make(&hostile);
	make(&innocent);
	while (left > 0) {
		operations[take(1) % (sizeof(operations) / sizeof(operations[0]))]();
		demand_books(&hostile, nput + nframes);
	}
	innocent_works();
	demand_books(&innocent, 0);
	adopt();
	demand_books(&hostile, 0);
	return 0;
}

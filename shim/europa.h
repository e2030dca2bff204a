/* SPDX-License-Identifier: MIT */
/*
 * libeuropa: what a data plane links. See europa(3); the contract below it is <linux/europa.h>.
 *
 * A packet is a slot index. The data plane owns a slot from europa_rx() or europa_alloc() until europa_tx() or
 * europa_drop() took it; in between it may read and change the packet and its metadata in place, and keep it as long as it likes
 * (what it keeps is missing for receiving).
 *
 *	struct europa *eu;
 *	uint32_t burst[32];
 *
 *	if (europa_attach(&eu) < 0)
 *		return 1;
 *	for (;;) {
 *		unsigned got = europa_rx(eu, 0, burst, europa_tx_room(eu, 1, 32));
 *		unsigned sent = europa_tx(eu, 1, burst, got);
 *
 *		europa_drop(eu, burst + sent, got - sent);
 *		europa_wait(eu, -1);
 *	}
 *
 * One thread at a time may use a struct europa. Nothing here makes a system call but europa_attach/detach, europa_wait when
 * there is nothing to do, and a tx or drop whose switch sleeps (one write a batch).
 */
#ifndef EUROPA_H
#define EUROPA_H

#include <linux/europa.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/ring.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The fast path's view; the fields up to `priv` are part of the library's ABI (the inline functions below are compiled into data
 * planes), append-only. Read them if you like; writing them is writing your own program's memory.
 */
struct europa {
	uint8_t *slots;                        /* slot i is at slots + i * slot_stride */
	struct europa_slot *meta;              /* its metadata is meta[i] */
	uint32_t slot_stride;
	uint32_t nvnics;
	struct ring *rx, *tx;                  /* one a vNIC */
	struct ring free, alloc;
	const struct europa_vnic *vnics;       /* live: MAC, MTU, carrier as the switch sets them */
	const struct europa_header *header;    /* live: status, epoch */
	struct europa_geometry geometry;
	int kick_fd, doorbell_fd;
	uint64_t idle_turns;                   /* reset by traffic; europa_wait's adaptive polling */
	struct europa_private *priv;
};

/* In C++ a function hides a constructor of the structure that has its name, as the switch's verbs have. Nobody wants one. */
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

/*
 * Attaches to the region whose descriptors this process was handed (LISTEN_FDS, LISTEN_FDNAMES), maps it and checks it. 0, or
 * -ENOENT: none was handed; -EPROTO: another major version; -EINVAL: not a region; -errno of the system call that failed.
 * A region is attached once a process.
 */
int europa_attach(struct europa **eu);
/* The same from descriptors; the library owns them afterwards, also where it fails. */
int europa_attach_fds(struct europa **eu, int control, int pool, int doorbell, int kick);
/* The memfd for the data plane's state, which europa_attach() finds by itself; the library owns it afterwards. */
void europa_attach_state(struct europa *eu, int state);
void europa_detach(struct europa *eu);

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/* One line of text for what europa_attach returned. */
const char *europa_strerror(int error);

/*
 * Waits until a packet is there and can be sent on, or a slot where europa_alloc() took the last one, for at most timeout_ms (-1: for ever,
 * 0: only looks). Call it when a turn over all vNICs found nothing. Spins first, then sleeps in small steps, then on the doorbell: cheap when
 * idle, quick when busy. Returns
 * 1: look again; 0: timeout; -EINTR: a signal came. During a checkpoint it doesn't return until that is over.
 */
int europa_wait(struct europa *eu, int timeout_ms);

/*
 * To wait in a poll loop of one's own: europa_sleep() announces it and returns the descriptor to poll for POLLIN, or -EAGAIN
 * where packets, or slots that europa_alloc() found none of, are there already; europa_awake() must follow in any case. Where those packets can't be
 * sent on, because a tx ring is full, call europa_wait() then, which naps, and not this again.
 */
int europa_sleep(struct europa *eu);
void europa_awake(struct europa *eu);

/*
 * A counter that europa-stat shows by this name (at most 23 characters). Returns where to add, never NULL: with all
 * EUROPA_DP_COUNTERS names in use, a private word that nobody sees.
 */
uint64_t *europa_counter(struct europa *eu, const char *name);

/* What an earlier process of this VR, or the state that was loaded, left in the counter of this name; 0: there is none. */
uint64_t europa_counter_left(const struct europa *eu, const char *name);

/*
 * Checkpoint. What a data plane knows is handed over by itself: `save` writes it with europa_state_write(), `load` gets it back, in
 * another process, perhaps on another host. Packets in rings and counters are saved without it.
 *
 * save: 0, or a negative errno, and the checkpoint fails. It is called from europa_wait(), europa_sleep() or europa_state_poll(), which
 *   then don't return before the checkpoint is over: slots that the data plane keeps aside are not saved.
 * load: 0, or a negative errno. Check all of it: `version` and `blob` may come from anywhere. blob is aligned for any type.
 */
struct europa_state_ops {
	uint32_t version;                      /* of what save writes; from 1 on */
	int (*save)(struct europa *eu, void *arg);
	int (*load)(struct europa *eu, uint32_t version, const void *blob, size_t len, void *arg);
};

/*
 * Registers the callbacks (`ops` must stay), once, after europa_attach() and before the first packet. Where a state is handed to this
 * process, it is loaded here. 1: loaded, go on from there; 0: there was none, begin afresh; -ENOTSUP: there is one, and no `load`;
 * -EBADMSG: it is damaged; -EINVAL: ops has version 0; else what `load` returned, or -errno of a system call.
 */
int europa_state(struct europa *eu, const struct europa_state_ops *ops, void *arg);

/* From `save` alone: appends to the state. 0, or -errno, which stays: -EFBIG beyond EUROPA_STATE_MAX. */
int europa_state_write(struct europa *eu, const void *data, size_t len);

/* For a data plane that is never without packets, so never in europa_wait(): call it between two bursts now and then. Cheap. */
void europa_state_poll(struct europa *eu);

/* Library version, "0.1.0". */
const char *europa_version(void);

/* Internal: writes one byte to the kick. */
void europa_kick(struct europa *eu);

/* ---- packets ---- */

static inline struct europa_slot *europa_meta(const struct europa *eu, uint32_t slot)
{
	return &eu->meta[slot];
}

/* The frame's first byte (its Ethernet header). */
static inline uint8_t *europa_data(const struct europa *eu, uint32_t slot)
{
	return eu->slots + (size_t)slot * eu->slot_stride + eu->meta[slot].offset;
}

/* Starts to load the first line of a frame as it was received, for a burst that is looked at one by one. */
static inline void europa_prefetch(const struct europa *eu, uint32_t slot)
{
	prefetch(eu->slots + (size_t)slot * eu->slot_stride + EUROPA_HEADROOM);
}

static inline uint32_t europa_len(const struct europa *eu, uint32_t slot)
{
	return eu->meta[slot].len;
}

/* Bytes from the slot's start to its end: offset + len may not go beyond. */
static inline uint32_t europa_room(const struct europa *eu, uint32_t slot)
{
	return slot < eu->geometry.nslots ? eu->slot_stride : eu->slot_stride * eu->geometry.run_slots;
}

/* Makes room for n bytes before the frame, or takes them away (negative n). NULL: there isn't that much. */
static inline uint8_t *europa_push(struct europa *eu, uint32_t slot, int n)
{
	struct europa_slot *m = &eu->meta[slot];

	if (n > (int)m->offset || -(int64_t)n > (int64_t)m->len)
		return NULL;
	m->offset = (uint16_t)(m->offset - n);
	m->len = (uint32_t)((int64_t)m->len + n);
	return europa_data(eu, slot);
}

/* ---- bursts ---- */

/* Takes up to max packets that came in at a vNIC. */
static inline unsigned europa_rx(struct europa *eu, unsigned vnic, uint32_t *__restrict slots, unsigned max)
{
	struct ring *r = &eu->rx[vnic];
	unsigned i, n = ring_peek(r, max);

	if (!n || unlikely(n == RING_BROKEN))
		return 0;
	for (i = 0; i < n; i++) {
		slots[i] = *ring_entry(r, i);
		prefetchw(&eu->meta[slots[i]]);
	}
	ring_release(r, n);
	eu->idle_turns = 0;
	return n;
}

/*
 * How many packets europa_tx() would take now, at most `want`. Receive no more than that where they are to be sent on: work on packets that can
 * only be dropped afterwards is wasted, and left where they are they wait, for the switch empties every tx ring, whatever becomes of the
 * frames. Where there is no room, europa_wait() doesn't take what waits for a reason to return at once.
 */
static inline unsigned europa_tx_room(struct europa *eu, unsigned vnic, unsigned want)
{
	unsigned room = ring_reserve(&eu->tx[vnic], want);

	return unlikely(room == RING_BROKEN) ? 0 : room;
}

/* What the fullest tx ring has room for. */
static inline unsigned europa_tx_room_everywhere(struct europa *eu, unsigned want)
{
	unsigned vnic;

	for (vnic = 0; vnic < eu->nvnics; vnic++)
		want = europa_tx_room(eu, vnic, want);
	return want;
}

/*
 * As europa_rx(), but no more packets than can be sent on, whatever way each of them turns out to go. Begin each turn over the vNICs with
 * another one, so that none takes all the room that there is.
 */
static inline unsigned europa_rx_forward(struct europa *eu, unsigned vnic, uint32_t *__restrict slots, unsigned max)
{
	if (!ring_peek(&eu->rx[vnic], 1))
		return 0;
	return europa_rx(eu, vnic, slots, europa_tx_room_everywhere(eu, max));
}

/* Sends packets out of a vNIC. Returns how many were taken; the rest is still the caller's. */
static inline unsigned europa_tx(struct europa *eu, unsigned vnic, const uint32_t *slots, unsigned n)
{
	struct ring *r = &eu->tx[vnic];
	unsigned i, room = ring_reserve(r, n);

	if (unlikely(room == RING_BROKEN) || !room)
		return 0;
	for (i = 0; i < room; i++) {
		eu->meta[slots[i]].state = EUROPA_SLOT_PROCESSED;
		*ring_entry(r, i) = slots[i];
	}
	ring_submit(r, room);
	if (ring_wants_wakeup(r))
		europa_kick(eu);
	return room;
}

/* One packet out of several vNICs (bit n: vNIC n; one at least, none that isn't there), without a copy of it here. true: taken. */
static inline bool europa_replicate(struct europa *eu, uint32_t slot, uint32_t ports)
{
	struct europa_slot *m = &eu->meta[slot];
	unsigned lead = (unsigned)__builtin_ctz(ports | 1u << 31);

	m->flags |= EUROPA_SLOT_REPLICATE;
	m->ports = ports;
	if (europa_tx(eu, lead < eu->nvnics ? lead : 0, &slot, 1))
		return true;
	m->flags &= (uint8_t)~EUROPA_SLOT_REPLICATE;
	return false;
}

/* Gives slots back. Never fails: the free ring has room for every slot of the pool. */
static inline void europa_drop(struct europa *eu, const uint32_t *slots, unsigned n)
{
	struct ring *r = &eu->free;
	unsigned i;

	if (!n || ring_reserve(r, n) != n)
		return;
	for (i = 0; i < n; i++)
		*ring_entry(r, i) = slots[i];
	ring_submit(r, n);
	if (ring_wants_wakeup(r))
		europa_kick(eu);
}

/* Up to n EMPTY slots for packets of one's own: set up metadata (offset EUROPA_HEADROOM, len 0 are set), fill, europa_tx. */
static inline unsigned europa_alloc(struct europa *eu, uint32_t *slots, unsigned n)
{
	struct ring *r = &eu->alloc;
	unsigned i, got = ring_peek(r, n);

	if (!got || unlikely(got == RING_BROKEN))
		return 0;
	for (i = 0; i < got; i++) {
		slots[i] = *ring_entry(r, i);
		memset(&eu->meta[slots[i]], 0, sizeof(struct europa_slot));
		eu->meta[slots[i]].offset = EUROPA_HEADROOM;
	}
	ring_release(r, got);
	return got;
}

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The ring: the only place where memory ordering lives. Included by the switch (module and daemon), by libeuropa and by the
 * tests; installed as <europa/ring.h>.
 *
 * A ring is an array of u32 slot indexes and two lines (struct europa_line), one a side. Four verbs: the producer
 * reserves and submits, the consumer peeks and releases.
 *
 *	producer                              consumer
 *
 *	ring_reserve: load cons     (D)       ring_peek:    load prod     (B)
 *	  write entries, slot, metadata         read entries, slot, metadata
 *	ring_submit:  store prod    (A)       ring_release: store cons    (C)
 *
 *	going to sleep is the consumer's      waking is the producer's
 *
 *	                                      ring_sleep:   store need_wakeup
 *	ring_submit:  store prod    (A)                     full barrier  (F)
 *	              full barrier  (E)                     load prod     (B): sleep only where it is still empty
 *	ring_wants_wakeup: load need_wakeup
 *
 * A, store-release, pairs with B, load-acquire: who sees the index sees the entries, the slot and its metadata.
 * C, store-release, pairs with D, load-acquire: who sees the entry free may overwrite it; the reads of it are over.
 *   In the switch this also covers nothing but the entry: the slot itself comes back through another ring.
 * E pairs with F (store buffering, "Dekker"): either the producer sees need_wakeup, or the consumer sees the new index; never
 *   neither. Without both barriers a wake-up can be lost, and a VR sleeps beside a full ring.
 * need_wakeup itself is stored and loaded relaxed: E and F order it. Clearing it needs no barrier: a wake-up too many
 *   costs one byte in a pipe.
 *
 * Beside the rings one more thing passes: a request to the data plane, a single word with its number in it, and its answer.
 *
 *	switch                                data plane                            supervisor
 *
 *	request_post: store request  (G)      request_seen: load request  (H)
 *	                                        write answer, state, the memfd
 *	                                      answer_post:  store answered (I)      answer_seen:  load answered (J)
 *	                                                                              read answer, state, the memfd
 *
 * G, store-release, pairs with H, load-acquire; I pairs with J in the same way. Two requests are never the same word, so an answer
 *   can't be taken for that to another one.
 *
 * Each side's view is private memory. `peer` is the other side's index as last seen: it is loaded again only where the
 * cached one doesn't suffice, which keeps the other side's line out of this side's cache for most batches.
 *
 * The other side may be hostile: what is loaded is checked by subtraction against the size, which no value can fool, and
 * RING_BROKEN is returned. Then nothing has been touched.
 */
#ifndef EUROPA_CORE_RING_H
#define EUROPA_CORE_RING_H

#include <linux/europa.h>

#include "core/env.h"

struct ring {
	u32 *entries;
	struct europa_line *mine;          /* this side's line */
	const struct europa_line *theirs;
	u32 size;
	u32 index;                         /* this side's own, not yet published where it is ahead of mine->index */
	u32 peer;                          /* the other side's, as last seen */
};

#define RING_BROKEN 0xffffffffu

static inline void ring_init(struct ring *r, u32 *entries, u32 size, struct europa_line *mine,
			     const struct europa_line *theirs)
{
	r->entries = entries;
	r->size = size;
	r->mine = mine;
	r->theirs = theirs;
	r->index = READ_ONCE(mine->index);
	r->peer = smp_load_acquire(&theirs->index);                /* B or D, whichever side this is */
}

/* The entry at `k` places after this side's index. */
static inline u32 *ring_entry(const struct ring *r, u32 k)
{
	return &r->entries[(r->index + k) & (r->size - 1)];
}

/* Producer: how many of `want` entries can be written at ring_entry(r, 0 ...). */
static inline u32 ring_reserve(struct ring *r, u32 want)
{
	u32 used = r->index - r->peer;

	if (unlikely(used > r->size || r->size - used < want)) {
		r->peer = smp_load_acquire(&r->theirs->index);     /* D, matches C */
		used = r->index - r->peer;
		if (unlikely(used > r->size))
			return RING_BROKEN;
	}
	return r->size - used < want ? r->size - used : want;
}

/* Producer: the next n entries, written before, are the consumer's. */
static inline void ring_submit(struct ring *r, u32 n)
{
	r->index += n;
	smp_store_release(&r->mine->index, r->index);              /* A, matches B */
}

/* Producer: does the consumer sleep? Call once a batch, after ring_submit. */
static inline bool ring_wants_wakeup(const struct ring *r)
{
	smp_mb();                                                  /* E, matches F */
	return READ_ONCE(r->theirs->need_wakeup) != 0;
}

/* Consumer: how many of `want` entries can be read at ring_entry(r, 0 ...). */
static inline u32 ring_peek(struct ring *r, u32 want)
{
	u32 ready = r->peer - r->index;

	if (ready < want || unlikely(ready > r->size)) {
		r->peer = smp_load_acquire(&r->theirs->index);     /* B, matches A */
		ready = r->peer - r->index;
		if (unlikely(ready > r->size))
			return RING_BROKEN;
	}
	return ready < want ? ready : want;
}

/* Consumer: the next n entries have been read and may be overwritten. */
static inline void ring_release(struct ring *r, u32 n)
{
	r->index += n;
	smp_store_release(&r->mine->index, r->index);              /* C, matches D */
}

/* Consumer: announces sleep. Sleep only where ring_peek says 0 afterwards. */
static inline void ring_sleep(struct ring *r)
{
	WRITE_ONCE(r->mine->need_wakeup, 1);
	smp_mb();                                                  /* F, matches E */
}

static inline void ring_awake(struct ring *r)
{
	WRITE_ONCE(r->mine->need_wakeup, 0);
}

/* Switch: asks the data plane for something (enum europa_asked). Ring the doorbell afterwards. Returns the request. */
static inline u32 request_post(struct europa_header *header, u32 what)
{
	u32 request = ((READ_ONCE(header->request) >> 8) + 1) << 8 | what;

	smp_store_release(&header->request, request);              /* G, matches H */
	return request;
}

static inline u32 request_seen(const struct europa_header *header)
{
	return smp_load_acquire(&header->request);                 /* H, matches G */
}

static inline u32 request_what(u32 request)
{
	return request & 0xff;
}

/* Data plane: what was asked for is done, or can't be. */
static inline void answer_post(struct europa_pool_header *header, u32 request, int answer, u64 state_len)
{
	WRITE_ONCE(header->answer, answer);
	WRITE_ONCE(header->state_len, state_len);
	smp_store_release(&header->answered, request);             /* I, matches J */
}

/* Supervisor: is this request answered? All three words are the VR's, and may be anything. */
static inline bool answer_seen(const struct europa_pool_header *header, u32 request, int *answer, u64 *state_len)
{
	if (smp_load_acquire(&header->answered) != request)        /* J, matches I */
		return false;
	*answer = READ_ONCE(header->answer);
	*state_len = READ_ONCE(header->state_len);
	return true;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Whether europad's poll thread looks for work once more, or sleeps. Times are cycles (cycles.h), of which the caller reads the clock.
 *
 * Where whoever makes work, a VR or a NIC's softirq, is on another CPU, a spin spares both a wake-up. Where he is on this one it keeps him from it,
 * and the sleep that it delays comes all the same. Which of them it is nobody says; but of spins of the second kind nothing ever comes. While
 * frames come one by one the thread spins in any case: a packet may be faster by it, and nobody lacks what it costs.
 */
#ifndef EUROPA_ENGINE_SPIN_H
#define EUROPA_ENGINE_SPIN_H

#include "core/env.h"

#define SPIN_VAIN    4u         /* in a row, then only */
#define SPIN_TRIES   64u        /* one in so many is tried */
#define SPIN_BATCH   16u        /* frames at once, on average, then CPUs are short */

struct spin {
	u64 limit;              /* of a spin: for the caller to set, all else begins as 0 */
	u64 since;              /* when there was no work any more; 0: there was some in the last round */
	bool slept;             /* since then */
	u32 vain;               /* spins in a row that nothing came of */
	u32 work;               /* of eight rounds in which there was some: a decaying sum */
};

/* In a round that began at `start`. */
static inline void spin_found_work(struct spin *s, u64 start, u32 work)
{
	s->work += work - s->work / 8;
	/* What came while somebody else had this CPU would have come in a sleep as well. */
	if (s->since && !s->slept)
		s->vain = start - s->since < s->limit ? 0 : s->vain + 1;
	s->since = 0;
	s->slept = false;
}

/* After a round that found nothing. full: frames wait for room, so only a VR can make work. false: sleep. */
static inline bool spin_goes_on(struct spin *s, u64 now, bool full)
{
	if (!s->since)
		s->since = now;
	if ((full || s->work >= 8 * SPIN_BATCH) && s->vain > SPIN_VAIN && s->vain % SPIN_TRIES)
		return false;
	return now - s->since <= s->limit;
}

/* Before a sleep. Who is woken for nothing sleeps again at once: who wakes without work doesn't buy spinning. */
static inline void spin_sleeps(struct spin *s)
{
	s->vain += !s->slept;
	s->slept = true;
}

#endif

/* SPDX-License-Identifier: MIT */
/* A token bucket (RFC 1812, 4.3.2.8): so many a second on average, so many at once. */
#ifndef IPFWD_BUCKET_H
#define IPFWD_BUCKET_H

#include <stdbool.h>

#include "core/env.h"

struct bucket {
	u32 rate;               /* tokens a second; 0: none at all */
	u32 depth;              /* the most that it holds */
	u64 thousandths;        /* tokens in it, times 1000 */
	u64 filled;             /* ms, when it was last topped up */
};

static inline void bucket_init(struct bucket *b, u32 rate, u32 depth, u64 now)
{
	*b = (struct bucket){ .rate = rate, .depth = depth, .thousandths = (u64)depth * 1000, .filled = now };
}

static inline bool bucket_take(struct bucket *b, u64 now)
{
	u64 most = (u64)b->depth * 1000, gone = now - b->filled;

	/* After an hour it is full whatever the rate, and the product can't overflow. */
	if (gone > 3600000)
		b->thousandths = b->rate ? most : b->thousandths;
	else
		b->thousandths += gone * b->rate;
	if (b->thousandths > most)
		b->thousandths = most;
	b->filled = now;
	if (!b->rate || b->thousandths < 1000)
		return false;
	b->thousandths -= 1000;
	return true;
}

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who forwards in the kernel sends the sk_buff that it received. A frame that went through a VR is another one, but it can have the sk_buff of
 * one that came in and ended at the copy: a fourth of what a short frame cost was making one and freeing the other.
 *
 * Each CPU keeps two NAPI batches of them at most: one comes in while the VR has the one before. Where frames come in on one CPU and a VR's
 * worker runs on another, they stay where they are, and new ones are made as ever.
 */
#ifndef EUROPA_RECYCLE_H
#define EUROPA_RECYCLE_H

#include <linux/skbuff.h>

/* Takes the caller's reference to a frame that was delivered, and keeps the sk_buff where it can be used again. Softirqs off. */
void recycle_put(struct sk_buff *skb);

/* As from build_skb(): empty, nobody's, with `least` to `most` bytes in front and room for `len`. NULL: there is none. Softirqs off. */
struct sk_buff *recycle_get(unsigned int least, unsigned int most, unsigned int len);

/* All that is kept goes. Nobody gives or takes meanwhile, on any CPU. */
void recycle_empty(void);

/* On all CPUs. */
struct recycle_counts {
	u64 reused;                     /* went out again */
	unsigned int kept;              /* wait for it */
};

struct recycle_counts recycle_count(void);

#endif

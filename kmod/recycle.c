// SPDX-License-Identifier: GPL-2.0
#include "recycle.h"

#include <linux/netfilter.h>
#include <linux/percpu.h>
#include <net/dst.h>

#define KEPT            (2u * NAPI_POLL_WEIGHT)
#define HEAD_MAX        2048u           /* bytes in front of the shared info */

struct stock {
	unsigned int n;                 /* a stack: the last one is in the cache */
	struct sk_buff *skbs[KEPT];
	u64 reused;
};

static DEFINE_PER_CPU(struct stock, stocks);

/*
 * In one piece, with nothing hanging off it, be it empty, and nobody else has any of it. Not in a fragment of a page: whoever has handed the frame
 * to a process without a copy (NFQUEUE, Open vSwitch) has a reference to the page, and among those for the page's other fragments nobody sees
 * it. Not a driver's page pool's: the pool's end waits until its last page is back, and one that is kept here may be kept for ever. Not of the
 * memory that is there for making other memory free.
 */
static bool is_usable(struct sk_buff *skb)
{
	const struct skb_shared_info *info = skb_shinfo(skb);

	return !skb_shared(skb) && !skb_cloned(skb) && !skb_is_nonlinear(skb) && skb->fclone == SKB_FCLONE_UNAVAILABLE &&
	       !skb->head_frag && !skb->pp_recycle && !skb_zcopy(skb) && !info->nr_frags && !info->frag_list && !skb_pfmemalloc(skb) &&
	       skb_end_offset(skb) <= HEAD_MAX;
}

void recycle_put(struct sk_buff *skb)
{
	struct stock *stock = this_cpu_ptr(&stocks);

	if (stock->n == KEPT || !is_usable(skb)) {
		napi_consume_skb(skb, 1);
		return;
	}
	/* What is kept holds on to nobody's route, connection or socket. */
	skb_orphan(skb);
	skb_dst_drop(skb);
	skb_ext_reset(skb);
	nf_reset_ct(skb);
	stock->skbs[stock->n] = skb;
	WRITE_ONCE(stock->n, stock->n + 1);
}

/* The last one. */
static struct sk_buff *take(struct stock *stock)
{
	WRITE_ONCE(stock->n, stock->n - 1);
	return stock->skbs[stock->n];
}

/* With all that a new kernel may have added to an sk_buff: nothing is left but its memory, where that ends, and the one reference to each. */
static void make_anew(struct sk_buff *skb)
{
	memset(skb, 0, offsetof(struct sk_buff, tail));
	memset(skb_shinfo(skb), 0, offsetof(struct skb_shared_info, dataref));
	atomic_set(&skb_shinfo(skb)->dataref, 1);
	skb->alloc_cpu = raw_smp_processor_id();
	skb->data = skb->head;
	skb_reset_tail_pointer(skb);
	skb_unset_mac_header(skb);
	skb->transport_header = skb->mac_header;
	skb->truesize = SKB_TRUESIZE(skb_end_offset(skb));
}

struct sk_buff *recycle_get(unsigned int least, unsigned int most, unsigned int len)
{
	struct stock *stock = this_cpu_ptr(&stocks);
	struct sk_buff *skb;
	unsigned int room;

	if (!stock->n)
		return NULL;
	skb = take(stock);
	room = skb_end_offset(skb);
	if (unlikely(room < ALIGN(least, 16u) + len)) {
		/* Kept, it would be in the way of all below it. */
		napi_consume_skb(skb, 1);
		return NULL;
	}
	WRITE_ONCE(stock->reused, stock->reused + 1);
	make_anew(skb);
	skb_reserve(skb, min(most, round_down(room - len, 16u)));
	return skb;
}

void recycle_empty(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct stock *stock = per_cpu_ptr(&stocks, cpu);

		while (stock->n)
			consume_skb(take(stock));
	}
}

struct recycle_counts recycle_count(void)
{
	struct recycle_counts sum = { 0 };
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct stock *stock = per_cpu_ptr(&stocks, cpu);

		sum.reused += READ_ONCE(stock->reused);
		sum.kept += READ_ONCE(stock->n);
	}
	return sum;
}

/* SPDX-License-Identifier: MIT */
/* What the library knows of its region beside the fast path's view; no data plane sees this. */
#ifndef EUROPA_PRIVATE_H
#define EUROPA_PRIVATE_H

#include "shim/europa.h"

/* Adaptive polling, see wait.c. Times are nanoseconds of CLOCK_MONOTONIC. */
struct pacer {
	uint32_t quota_permille;       /* of one CPU; 1000: as good as no quota, for one thread */
	int64_t tokens;                /* what may be spent on spinning; below zero after a spin that took too long */
	uint32_t spin_ns;              /* as long as was useful lately; 0: not at all */
	uint64_t refilled;             /* when tokens were last topped up */
	uint64_t sampled;              /* when the rate was last measured */
	uint32_t received;             /* packets received by then: the sum of the rx rings' indexes */
	uint32_t rate;                 /* packets a millisecond */
	bool slack_set;                /* this thread's timer slack was made small */
};

struct europa_private {
	struct europa view;
	struct ring rx[EUROPA_MAX_VNICS], tx[EUROPA_MAX_VNICS];
	uint8_t *control, *pool;
	struct europa_offsets offsets;
	int control_fd, pool_fd;
	struct europa_dp_counter *counters;
	uint64_t spare_counter;        /* for counters beyond the table's end */
	struct pacer pacer;
};

void pacer_init(struct europa *eu);

/* Puts every slot that the VR owns and that is in no ring on the free ring: what an earlier process of this VR held. */
void reclaim_held(struct europa_private *priv);

#endif

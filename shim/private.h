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
	uint32_t nap_cost;             /* ns, of setting its timer and what comes with that */
	bool slack_set;                /* this thread's timer slack was made small */
};

/* The hand-over of the data plane's state, see state.c. */
struct state {
	int fd;                        /* the memfd, or -1 */
	const struct europa_state_ops *ops;
	void *arg;
	uint32_t received;             /* packets that the data plane had taken when it last waited and was asked */
	/* while it is written */
	uint8_t *buffer;               /* NULL: it isn't */
	size_t buffered;
	uint64_t written;              /* bytes of the blob that are in the file */
	uint64_t start;                /* where the blob is in the file */
	int error;                     /* the first one, a negative errno */
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
	struct state state;
};

void pacer_init(struct europa *eu);

/* Is the data plane asked for something? Looked at in every wait, so it must cost no more than a load. */
static inline bool state_is_asked(const struct europa *eu)
{
	return unlikely(request_what(request_seen(eu->header)) != EUROPA_ASK_NOTHING);
}
/* Does what is asked for, once a request, and then waits until it is withdrawn. true: time has passed, look again. */
bool state_serve(struct europa *eu);
void state_release(struct state *state);

/* Reads all bytes out of the doorbell. */
void drain_doorbell(struct europa *eu);
/* Sleeps until the doorbell rings: 1; the time is over: 0; a signal came: -EINTR. */
int poll_doorbell(struct europa *eu, int timeout_ms);

/* Puts every slot that the VR owns and that is in no ring on the free ring: what an earlier process of this VR held. */
void reclaim_held(struct europa_private *priv);

#endif

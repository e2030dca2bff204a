/* SPDX-License-Identifier: MIT */
/*
 * Neighbours: which MAC address an address on a link has, for any family. The states are those of RFC 4861:
 *
 *	          resolve               confirm                   30 s              use
 *	 (none) ----------> INCOMPLETE ---------> REACHABLE ---------------> STALE -------> PROBE
 *	    ^                  | 3 asked           ^    ^                     | 10 min       |  |
 *	    |                  v                   |    +---------------------|--- confirm --+  |
 *	    +-- 3 s -------- FAILED <--------------|--------------------------|--- 6 asked -----+
 *	    +----------------------------------------------------------------+
 *
 * In REACHABLE, STALE and PROBE packets are sent: asking again loses none. In INCOMPLETE a few packets wait here,
 * as slots. PERMANENT is what the configuration says, and nothing on the wire changes it.
 *
 * Nothing here sends or knows the time: callers say what time it is, in milliseconds, and are told what is due.
 */
#ifndef IPFWD_NEIGHBOUR_H
#define IPFWD_NEIGHBOUR_H

#include "address.h"

#define NEIGHBOURS            4096
#define NEIGHBOUR_BUCKETS     8192
#define NEIGHBOUR_QUEUE       64         /* packets that wait for one neighbour: a datagram of 64 KiB is 45 fragments */
#define NEIGHBOUR_WAITING     1024       /* for all of them */

#define NEIGHBOUR_ASK_AGAIN   1000       /* ms */
#define NEIGHBOUR_REACHABLE   30000
#define NEIGHBOUR_STALE       600000
#define NEIGHBOUR_FAILED      3000
#define NEIGHBOUR_ASKS        3          /* broadcast, before it is given up; probing begins with as many unicast */

enum neighbour_state {
	NEIGHBOUR_FREE,
	NEIGHBOUR_FAILED_STATE,
	NEIGHBOUR_INCOMPLETE,
	/* from here on the MAC address is known and used */
	NEIGHBOUR_PROBE,
	NEIGHBOUR_STALE_STATE,
	NEIGHBOUR_REACHABLE_STATE,
	NEIGHBOUR_PERMANENT,
};

struct neighbour {
	struct address address;
	u64 deadline;                    /* ms: when its state ends by itself */
	u8 mac[6];
	u8 family, port;
	u8 state;
	u8 asked;                        /* requests sent in this state */
	u8 owed;                         /* a request that could not be sent for want of a slot */
	u8 waiting;                      /* packets in the queue */
	u16 next;                        /* in the hash chain, 0: last */
	u16 first, last;                 /* of the queue, in waiting[] */
} __attribute__((aligned(64)));

struct waiting {
	u32 slot;
	u16 next;                        /* the one that came after it, 0: none */
};

struct neighbours {
	struct neighbour at[NEIGHBOURS + 1];     /* [0] is not used */
	u16 bucket[NEIGHBOUR_BUCKETS];
	u16 high;                        /* none above this was ever used */
	u16 hand;                        /* where the search for a victim goes on */
	u16 cursor;                      /* where neighbours_due goes on */
	struct waiting waiting[NEIGHBOUR_WAITING + 1];   /* [0] is not used */
	u16 waiting_high;                /* none above this was ever used */
	u16 waiting_free;                /* first of those given back */
	u64 due;                         /* no deadline is before this */
	u64 next_due;                    /* the same, of those that the cursor has passed */
};

/* The table must be all zero. */
void neighbours_init(struct neighbours *table);

static inline bool neighbour_usable(const struct neighbour *n)
{
	return n->state >= NEIGHBOUR_PROBE;
}

/* Nothing is to be done before sending: REACHABLE or PERMANENT. */
static inline bool neighbour_certain(const struct neighbour *n)
{
	return n->state >= NEIGHBOUR_REACHABLE_STATE;
}

static inline u16 *neighbour_bucket(struct neighbours *table, unsigned port, const struct address *address)
{
	return &table->bucket[address_hash(address, port) & (NEIGHBOUR_BUCKETS - 1)];
}

/* NULL: not known. */
static inline struct neighbour *neighbour_find(struct neighbours *table, unsigned family, unsigned port,
					       const struct address *address)
{
	u16 id = *neighbour_bucket(table, port, address);

	for (; id; id = table->at[id].next) {
		struct neighbour *n = &table->at[id];

		if (n->port == port && n->family == family && address_equal(&n->address, address))
			return n;
	}
	return NULL;
}

/*
 * A new one, INCOMPLETE, that has to be asked for now (count it with neighbour_asked). Where the table is full one
 * is forgotten that is not in use; NULL: all are.
 */
struct neighbour *neighbour_new(struct neighbours *table, unsigned family, unsigned port, const struct address *address,
				u64 now);

/* A request was sent, or (owed) should have been: the next packet to it should be turned into one. */
void neighbour_asked(struct neighbour *n, bool owed);

/* A packet is about to go to a usable neighbour that is not certain. true: ask it now, unicast. */
bool neighbour_used(struct neighbours *table, struct neighbour *n, u64 now);

/* It answered this router: REACHABLE. Packets that wait are the caller's to send. */
void neighbour_confirm(struct neighbours *table, struct neighbour *n, const u8 *mac, u64 now);

/* It was heard saying what its MAC address is, to anyone: known, not proved. Packets that wait are the caller's. */
void neighbour_hear(struct neighbours *table, struct neighbour *n, const u8 *mac, u64 now);

/* From the configuration. */
void neighbour_pin(struct neighbour *n, const u8 *mac);

/*
 * As it was in another process, usable, for `left` ms more. One that was being asked is asked again when it is next
 * sent to.
 */
void neighbour_restore(struct neighbours *table, struct neighbour *n, const u8 *mac, enum neighbour_state state, u64 left,
		       u64 now);

/* Lets a packet wait. Returns the one that had to give way, or the slot itself where none may wait; -1: none had to. */
int neighbour_wait(struct neighbours *table, struct neighbour *n, u32 slot);

/*
 * Takes all that wait for a neighbour out of its hands; then, with neighbour_next_waiting, oldest first until it says
 * false. In between the neighbour may become another one.
 */
u16 neighbour_take_waiting(struct neighbour *n);
bool neighbour_next_waiting(struct neighbours *table, u16 *queue, u32 *slot);

enum neighbour_event {
	NEIGHBOUR_NOTHING,       /* all that was due is done */
	NEIGHBOUR_ASK,           /* broadcast a request, then neighbour_asked */
	NEIGHBOUR_ASK_UNICAST,
	NEIGHBOUR_GONE,          /* it doesn't answer: packets that wait are the caller's to drop */
};

/* What is due at `now`, one event a call, until NEIGHBOUR_NOTHING. */
enum neighbour_event neighbours_due(struct neighbours *table, u64 now, struct neighbour **n);

#endif

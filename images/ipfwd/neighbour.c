/* SPDX-License-Identifier: MIT */
#include "neighbour.h"

#define NEVER UINT64_MAX

void neighbours_init(struct neighbours *table)
{
	table->due = NEVER;
	table->next_due = NEVER;
}

static void enter(struct neighbours *table, struct neighbour *n, enum neighbour_state state, u64 deadline)
{
	n->state = state;
	n->deadline = deadline;
	n->asked = 0;
	n->owed = 0;
	/* Both: the cursor may or may not have passed this one. */
	if (deadline < table->due)
		table->due = deadline;
	if (deadline < table->next_due)
		table->next_due = deadline;
}

static void unlink_neighbour(struct neighbours *table, struct neighbour *n)
{
	u16 id = n - table->at, *link = neighbour_bucket(table, n->port, &n->address);

	while (*link != id)
		link = &table->at[*link].next;
	*link = n->next;
	n->state = NEIGHBOUR_FREE;
	n->next = 0;
}

static bool dispensable(const struct neighbour *n)
{
	return n->state == NEIGHBOUR_STALE_STATE || n->state == NEIGHBOUR_FAILED_STATE ||
	       (n->state == NEIGHBOUR_INCOMPLETE && !n->waiting);
}

/*
 * A free place, or that of one that can be done without. Looks at a few only: somebody who scans a large subnet
 * through this router must not make it look at all of them for each packet.
 */
static struct neighbour *make_room(struct neighbours *table)
{
	enum { LOOKS = 16 };
	unsigned look;

	if (table->high < NEIGHBOURS)
		return &table->at[++table->high];
	for (look = 0; look < LOOKS; look++) {
		struct neighbour *n;

		table->hand = table->hand % NEIGHBOURS + 1;
		n = &table->at[table->hand];
		if (n->state == NEIGHBOUR_FREE)
			return n;
		if (dispensable(n)) {
			unlink_neighbour(table, n);
			return n;
		}
	}
	return NULL;
}

struct neighbour *neighbour_new(struct neighbours *table, unsigned family, unsigned port, const struct address *address,
				u64 now)
{
	struct neighbour *n = make_room(table);
	u16 *bucket = neighbour_bucket(table, port, address);

	if (!n)
		return NULL;
	*n = (struct neighbour){ .address = *address, .family = family, .port = port, .next = *bucket };
	*bucket = n - table->at;
	enter(table, n, NEIGHBOUR_INCOMPLETE, now + NEIGHBOUR_ASK_AGAIN);
	return n;
}

void neighbour_asked(struct neighbour *n, bool owed)
{
	n->owed = owed;
	n->asked += !owed;
}

bool neighbour_used(struct neighbours *table, struct neighbour *n, u64 now)
{
	if (n->state == NEIGHBOUR_STALE_STATE) {
		enter(table, n, NEIGHBOUR_PROBE, now + NEIGHBOUR_ASK_AGAIN);
		return true;
	}
	return false;
}

void neighbour_confirm(struct neighbours *table, struct neighbour *n, const u8 *mac, u64 now)
{
	if (n->state == NEIGHBOUR_PERMANENT)
		return;
	memcpy(n->mac, mac, sizeof n->mac);
	enter(table, n, NEIGHBOUR_REACHABLE_STATE, now + NEIGHBOUR_REACHABLE);
}

void neighbour_hear(struct neighbours *table, struct neighbour *n, const u8 *mac, u64 now)
{
	if (n->state == NEIGHBOUR_PERMANENT)
		return;
	if (neighbour_usable(n) && !memcmp(n->mac, mac, sizeof n->mac))
		return;
	memcpy(n->mac, mac, sizeof n->mac);
	enter(table, n, NEIGHBOUR_STALE_STATE, now + NEIGHBOUR_STALE);
}

void neighbour_pin(struct neighbour *n, const u8 *mac)
{
	memcpy(n->mac, mac, sizeof n->mac);
	n->state = NEIGHBOUR_PERMANENT;
	n->deadline = NEVER;
}

void neighbour_restore(struct neighbours *table, struct neighbour *n, const u8 *mac, enum neighbour_state state, u64 left,
		       u64 now)
{
	u64 most = state == NEIGHBOUR_REACHABLE_STATE ? NEIGHBOUR_REACHABLE : NEIGHBOUR_STALE;

	if (state == NEIGHBOUR_PERMANENT) {
		neighbour_pin(n, mac);
		return;
	}
	memcpy(n->mac, mac, sizeof n->mac);
	if (state == NEIGHBOUR_PROBE)
		enter(table, n, NEIGHBOUR_STALE_STATE, now + NEIGHBOUR_STALE);
	else
		enter(table, n, state, now + (left < most ? left : most));
}

/* ---- packets that wait ---- */

static u16 new_waiting(struct neighbours *table)
{
	u16 id = table->waiting_free;

	if (id)
		table->waiting_free = table->waiting[id].next;
	else if (table->waiting_high < NEIGHBOUR_WAITING)
		id = ++table->waiting_high;
	return id;
}

bool neighbour_next_waiting(struct neighbours *table, u16 *queue, u32 *slot)
{
	u16 id = *queue;
	struct waiting *w = &table->waiting[id];

	if (!id)
		return false;
	*slot = w->slot;
	*queue = w->next;
	w->next = table->waiting_free;
	table->waiting_free = id;
	return true;
}

u16 neighbour_take_waiting(struct neighbour *n)
{
	u16 queue = n->first;

	n->first = n->last = 0;
	n->waiting = 0;
	return queue;
}

int neighbour_wait(struct neighbours *table, struct neighbour *n, u32 slot)
{
	u32 oldest = 0;
	u16 id;
	int gone = -1;

	if (n->state != NEIGHBOUR_INCOMPLETE)
		return (int)slot;
	if (n->waiting == NEIGHBOUR_QUEUE) {
		neighbour_next_waiting(table, &n->first, &oldest);
		n->waiting--;
		gone = (int)oldest;
	}
	id = new_waiting(table);
	if (!id)
		return (int)slot;
	table->waiting[id] = (struct waiting){ .slot = slot };
	if (n->waiting++)
		table->waiting[n->last].next = id;
	else
		n->first = id;
	n->last = id;
	return gone;
}

/* What the end of its state means for one. */
static enum neighbour_event expire(struct neighbours *table, struct neighbour *n, u64 now)
{
	switch ((enum neighbour_state)n->state) {
	case NEIGHBOUR_INCOMPLETE:
	case NEIGHBOUR_PROBE:
		if (n->asked >= (n->state == NEIGHBOUR_PROBE ? 2 * NEIGHBOUR_ASKS : NEIGHBOUR_ASKS)) {
			enter(table, n, NEIGHBOUR_FAILED_STATE, now + NEIGHBOUR_FAILED);
			return NEIGHBOUR_GONE;
		}
		n->deadline = now + NEIGHBOUR_ASK_AGAIN;
		return n->state == NEIGHBOUR_PROBE && n->asked < NEIGHBOUR_ASKS ? NEIGHBOUR_ASK_UNICAST :
										  NEIGHBOUR_ASK;
	case NEIGHBOUR_REACHABLE_STATE:
		enter(table, n, NEIGHBOUR_STALE_STATE, now + NEIGHBOUR_STALE);
		return NEIGHBOUR_NOTHING;
	case NEIGHBOUR_STALE_STATE:
	case NEIGHBOUR_FAILED_STATE:
		unlink_neighbour(table, n);
		return NEIGHBOUR_NOTHING;
	case NEIGHBOUR_FREE:
	case NEIGHBOUR_PERMANENT:
		break;
	}
	return NEIGHBOUR_NOTHING;
}

enum neighbour_event neighbours_due(struct neighbours *table, u64 now, struct neighbour **n)
{
	if (now < table->due)
		return NEIGHBOUR_NOTHING;
	while (table->cursor < table->high) {
		struct neighbour *this = &table->at[++table->cursor];
		enum neighbour_event event = NEIGHBOUR_NOTHING;

		if (this->state == NEIGHBOUR_FREE || this->state == NEIGHBOUR_PERMANENT)
			continue;
		if (this->deadline <= now)
			event = expire(table, this, now);
		if (this->state != NEIGHBOUR_FREE && this->deadline < table->next_due)
			table->next_due = this->deadline;
		if (event != NEIGHBOUR_NOTHING) {
			*n = this;
			return event;
		}
	}
	table->cursor = 0;
	table->due = table->next_due;
	table->next_due = NEVER;
	return NEIGHBOUR_NOTHING;
}

_Static_assert(sizeof(struct neighbour) == 64, "a cache line");

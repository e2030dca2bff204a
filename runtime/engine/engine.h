/* SPDX-License-Identifier: MIT */
/*
 * europad has four threads:
 *
 *   poll      packets; the only one that touches rings and slots, and only with the engine locked
 *   control   the socket, devices, the carrier; whatever the kernel makes one wait for. Locks the engine for the
 *             moment in which something is added or taken away
 *   janitor   what takes tens of milliseconds and nobody waits for: closing packet sockets
 *   spares    the same before anybody waits for it: packet sockets with their rings (packet.c)
 *
 * The poll thread holds the lock but while it sleeps, and steps aside between two rounds where the control thread asks.
 */
#ifndef EUROPA_ENGINE_ENGINE_H
#define EUROPA_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/env.h"

struct member;
struct nic;
struct devices;
struct error;

struct engine {
	pthread_mutex_t lock;
	atomic_int waiting;        /* threads that want the lock: the poll thread steps aside */
	int wake;                  /* eventfd: the poll thread sleeps and shouldn't */

	/* under the lock */
	struct member *members;
	struct nic *nics;
	u32 generation;            /* +1 whenever the poll thread has other descriptors to look at */
	bool stop;

	/* the control thread's own */
	struct devices *devices;
	int links;                 /* epoll of the sockets that tell of changes of links */
	int hidden;                /* the switch's network namespace, where the control thread lives */

	/* the poll thread's own */
	u32 now_us;                /* CLOCK_MONOTONIC at the start of the round: slots' time stamps */
	u32 watched_us;            /* when the watchdog looked last */
	bool full;                 /* in this round frames had to wait for room */
	bool rang;                 /* a VR was woken since this thread last let go of its CPU */
	u32 stint_us;              /* when that was */
	pthread_t poll_thread;
};

/* Between these two, the poll thread is between two rounds or asleep. */
void engine_lock(struct engine *engine);
void engine_unlock(struct engine *engine);

/* One more socket with events of links, for nics_dispatch or devices_dispatch to read. */
int engine_watch_links(struct engine *engine, int fd, struct error *e);

/* The poll thread (poll.c). */
int poll_start(struct engine *engine, struct error *e);
void poll_stop(struct engine *engine);

#endif

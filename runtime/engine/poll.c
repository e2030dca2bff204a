// SPDX-License-Identifier: MIT
/*
 * The poll thread: rounds over all members and shared NICs while there is work, and a sleep that wakes for
 * anything when there is none.
 *
 * A round gives every member the same budget, in each direction, however much it or its neighbours have, and however many vNICs; these take turns
 * in who comes first. What counts is what frames cost (tx_cost), for one may be a copy for 32 vNICs, or 64 KiB long. So a VR that
 * floods, or is flooded, gets its share of a round and no more.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "runtime/engine/cycles.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/log.h"
#include "runtime/engine/member.h"
#include "runtime/engine/nic.h"
#include "runtime/engine/port.h"
#include "runtime/engine/spin.h"

#define MEMBER_BUDGET  VR_BATCH        /* a member a round and direction, in frames of the usual size */
#define NIC_BUDGET     128u    /* a shared NIC a round, likewise */
#define FREE_BUDGET    256u    /* slots that a member has dropped, a round */
#define WATCH_US       500000u /* between two looks for what makes no progress */
#define STINT_US       50u     /* of work on end, then whom it woke on this CPU has his turn */
#define SPIN_US        30u     /* without work, before going to sleep */

/* What a sleep is to end for, and whose it is. */
struct watch {
	struct pollfd *fds;        /* [0] is the wake-up eventfd */
	struct watched {
		int fd;
		struct member *member;     /* whose kick it is, or */
		struct port *port;         /* whose device it is */
	} *who;
	unsigned n, room;
	u32 generation;
};

/* ---- a round ---- */

static void send_to(struct port *port, const struct tx_frame *const *frames, unsigned n)
{
	if (port && port->up)
		port->ops->send(port, frames, n);
	else if (port)
		port_drop(port, EUROPA_DROP_TX_DOWN, n);
}

/* The frames that leave by one vNIC, in order. */
static void send_out(struct member *m, unsigned vnic, const struct tx_frame *frames, unsigned n)
{
	const struct tx_frame *out[VR_BATCH];
	unsigned i, count = 0;

	for (i = 0; i < n; i++) {
		if (frames[i].ports & (1u << vnic))
			out[count++] = &frames[i];
	}
	if (m->ports[vnic])
		send_to(m->ports[vnic], out, count);
	else
		vr_drop(&m->vr, vnic, EUROPA_DROP_TX_DOWN, count);
}

/* What frames cost shows when they have been taken: of such as these, as many as the budget is for are taken the next time. */
static void learn_from_batch(struct member *m, u32 frames, u32 cost)
{
	u32 most = MEMBER_BUDGET * frames / cost;

	m->bite = most ? most : 1;
}

/* Returns what it cost; 0: there was nothing. */
static unsigned transmit(struct member *m, unsigned vnic, unsigned budget)
{
	struct tx_frame frames[VR_BATCH];
	u32 looked, ports = 0, cost, n, i;

	n = tx_take(&m->vr, vnic, frames, budget < m->bite ? budget : m->bite, &looked);
	if (!looked)
		return 0;
	cost = looked - n;
	for (i = 0; i < n; i++) {
		ports |= frames[i].ports;
		cost += tx_cost(&frames[i]);
	}
	m->copies = 0;
	for (; ports; ports &= ports - 1)
		send_out(m, __builtin_ctz(ports), frames, n);
	cost += m->copies;
	tx_done(&m->vr, frames, n);
	learn_from_batch(m, looked, cost);
	return cost;
}

static unsigned receive(struct member *m, unsigned vnic, unsigned budget)
{
	struct port *port = m->ports[vnic];

	if (!port || !port->ops->receive)
		return 0;
	return port->ops->receive(port, budget);
}

/* One turn over the vNICs, beginning with another one each time, until the budget is spent. */
static unsigned turn(struct member *m, unsigned (*step)(struct member *, unsigned vnic, unsigned budget))
{
	unsigned nvnics = m->vr.geo.nvnics, vnic = m->first, done = 0, i;

	for (i = 0; i < nvnics && done < MEMBER_BUDGET; i++) {
		done += step(m, vnic, MEMBER_BUDGET - done);
		vnic = vnic + 1 < nvnics ? vnic + 1 : 0;
	}
	return done;
}

/* Sends first: the slots that become EMPTY are hot in the cache, and are filled next. */
static unsigned serve(struct member *m)
{
	u64 start = cycles();
	bool wake = false;
	unsigned work;

	work = turn(m, transmit);
	work += pool_turn(&m->vr, FREE_BUDGET, &wake);
	work += turn(m, receive);
	m->ring |= wake;
	if (work) {
		m->first = m->first + 1 < m->vr.geo.nvnics ? m->first + 1 : 0;
		WRITE_ONCE(m->vr.stats->switch_cycles, m->vr.stats->switch_cycles + cycles() - start);
	}
	return work;
}

/* One byte at most a round. A full pipe is as good: the VR has yet to read what is in it. */
static void publish(struct engine *engine, struct member *m)
{
	member_flush(m);
	if (!m->ring)
		return;
	m->ring = false;
	engine->rang = true;
	if (write(m->doorbell, "", 1) < 0 && errno != EAGAIN)
		note("%s: doorbell: errno %d", m->name, errno);
}

static void publish_all(struct engine *engine)
{
	struct member *m;

	for (m = engine->members; m; m = m->next)
		publish(engine, m);
}

static u32 monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u32)(now.tv_sec * 1000000ull + now.tv_nsec / 1000);
}

/* A doorbell too many costs a byte; one that got lost would cost a VR all its packets. */
static void watch_over(struct engine *engine)
{
	struct member *m;

	if (engine->now_us - engine->watched_us < WATCH_US)
		return;
	engine->watched_us = engine->now_us;
	for (m = engine->members; m; m = m->next)
		m->ring |= vr_watch(&m->vr, engine->now_us);
}

static unsigned serve_all(struct engine *engine)
{
	struct member *m;
	struct nic *nic;
	unsigned work = 0;

	engine->now_us = monotonic_us();
	engine->full = false;
	for (nic = engine->nics; nic; nic = nic->next)
		work += nic_receive(nic, NIC_BUDGET);
	/* Nobody's frames wait for the end of others' turns; those that one member sends another are published after the last one's. */
	if (engine->nics)
		publish_all(engine);
	for (m = engine->members; m; m = m->next) {
		work += serve(m);
		publish(engine, m);
	}
	watch_over(engine);
	publish_all(engine);
	return work;
}

/* ---- sleep ---- */

static bool watch_grow(struct watch *w)
{
	unsigned room = w->room ? 2 * w->room : 64;
	struct pollfd *fds = realloc(w->fds, room * sizeof *fds);
	struct watched *who;

	if (!fds)
		return false;
	w->fds = fds;
	who = realloc(w->who, room * sizeof *who);
	if (!who)
		return false;
	w->who = who;
	w->room = room;
	return true;
}

static bool watch_add(struct watch *w, int fd, struct member *member, struct port *port)
{
	if (w->n == w->room && !watch_grow(w))
		return false;
	w->fds[w->n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	w->who[w->n++] = (struct watched){ .fd = fd, .member = member, .port = port };
	return true;
}

static bool watch_member(struct watch *w, struct member *m)
{
	bool ok = m->kick_gone || watch_add(w, m->kick, m, NULL);
	u32 left;

	for (left = m->attached; ok && left; left &= left - 1) {
		struct port *port = m->ports[__builtin_ctz(left)];

		if (port->fd >= 0)
			ok = watch_add(w, port->fd, NULL, port);
	}
	return ok;
}

/*
 * Whatever a sleep is to end for. poll() and not epoll: a packet that comes while all are awake then finds nobody
 * waiting and wakes nobody, which saves each packet more than it costs to name the descriptors for each sleep.
 */
static bool watch_all(struct watch *w, struct engine *engine)
{
	struct member *m;
	struct nic *nic;
	bool ok;

	if (w->n && w->generation == engine->generation)
		return true;
	w->n = 0;
	ok = watch_add(w, engine->wake, NULL, NULL);
	for (m = engine->members; ok && m; m = m->next)
		ok = watch_member(w, m);
	for (nic = engine->nics; ok && nic; nic = nic->next)
		ok = watch_add(w, nic_fd(nic), NULL, NULL);
	w->generation = engine->generation;
	if (!ok)
		w->n = 0;
	return ok;
}

/* One bounded read, however much the VR has written: what is left ends the next sleep. */
static void drain_kick(struct member *m, short revents)
{
	char bytes[4096];

	if (revents & POLLIN) {
		if (read(m->kick, bytes, sizeof bytes) > 0)
			vr_kicked(&m->vr);
	} else if (revents & (POLLHUP | POLLERR)) {
		m->kick_gone = true;
	}
}

/* A packet socket whose device went down says so once. */
static void clear_error(int fd)
{
	int error;
	socklen_t size = sizeof error;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
}

static void look_at(struct engine *engine, struct watch *w)
{
	bool kick_gone = false;
	uint64_t wakes;
	unsigned i;

	if (w->fds[0].revents && read(engine->wake, &wakes, sizeof wakes) < 0)
		note("wake-up: errno %d", errno);
	for (i = 1; i < w->n; i++) {
		struct member *m = w->who[i].member;

		if (!w->fds[i].revents)
			continue;
		if (m) {
			drain_kick(m, w->fds[i].revents);
			kick_gone |= m->kick_gone;
		} else if (w->fds[i].revents & POLLERR) {
			clear_error(w->who[i].fd);
		}
	}
	if (kick_gone)
		engine->generation++;
}

/*
 * A device whose frames wait for room at the VR is not what one waits for: the VR's kick is, or the end of
 * patience. Nor is a device of a quiesced VR: the verb that ends it wakes the thread. A VR in quarantine may kick as it likes. Returns microseconds
 * until the first end of patience, 0: nobody waits.
 */
static u32 leave_out_full(struct watch *w, u32 now_us)
{
	u32 soonest = 0;
	unsigned i;

	for (i = 0; i < w->n; i++) {
		const struct member *m = w->who[i].member;
		const struct port *port = w->who[i].port;
		bool shut = port && vr_shut(&port->member->vr) && !port->member->vr.quarantined;
		u32 waited = port && port->full_since_us ? now_us - port->full_since_us : PORT_PATIENCE_US;
		u32 left = waited < PORT_PATIENCE_US ? PORT_PATIENCE_US - waited : 0;

		w->fds[i].fd = left || shut || (m && m->vr.quarantined) ? -1 : w->who[i].fd;
		if (left && !shut && (!soonest || left < soonest))
			soonest = left;
	}
	return soonest;
}

/* Announces to every VR that it must kick. true: somebody had work in the meantime. */
static bool announce(struct engine *engine)
{
	struct member *m;
	bool work = false;

	for (m = engine->members; m; m = m->next) {
		vr_refresh_stats(&m->vr);
		work |= vr_sleep(&m->vr);
	}
	return work;
}

static void awake(struct engine *engine)
{
	struct member *m;

	for (m = engine->members; m; m = m->next)
		vr_awake(&m->vr);
}

/* Nothing was to be read for the whole of a sleep. What there is to do all the same is done in the next round. */
static void look_for_missed_kicks(struct engine *engine)
{
	struct member *m;

	for (m = engine->members; m; m = m->next) {
		if (!m->kick_gone)
			vr_missed_kick(&m->vr);
	}
}

/* Without the lock while it sleeps; so what it slept on is looked at only if nobody changed it meanwhile. */
static void sleep_on(struct engine *engine, struct watch *w)
{
	bool work = announce(engine);
	int ready = 0;

	if (!work && !watch_all(w, engine)) {
		note("no memory to sleep on the descriptors of all VRs; polling");
		work = true;
	}
	if (!work) {
		u32 generation = engine->generation, patience = leave_out_full(w, engine->now_us);
		struct timespec timeout = { .tv_nsec = (patience ? patience : WATCH_US) * 1000l };

		pthread_mutex_unlock(&engine->lock);
		ready = ppoll(w->fds, w->n, &timeout, NULL);
		pthread_mutex_lock(&engine->lock);
		if (generation != engine->generation) {
			uint64_t wakes;

			if ((w->fds[0].revents & POLLIN) && read(engine->wake, &wakes, sizeof wakes) < 0)
				note("wake-up: errno %d", errno);
			ready = 0;
		} else if (ready == 0 && !patience) {
			look_for_missed_kicks(engine);
		}
	}
	awake(engine);
	if (ready > 0)
		look_at(engine, w);
}

/* ---- the thread ---- */

static void begin_stint(struct engine *engine)
{
	engine->rang = false;
	engine->stint_us = monotonic_us();
}

/*
 * Who is woken on a CPU doesn't always take it from who has it, and then waits for the next tick, up to 4 ms away: a VR, and its packets with it,
 * for as long as a neighbour's flood leaves this thread no time to sleep.
 */
static void let_the_woken_run(struct engine *engine)
{
	if (!engine->rang || engine->now_us - engine->stint_us < STINT_US)
		return;
	pthread_mutex_unlock(&engine->lock);
	sched_yield();
	pthread_mutex_lock(&engine->lock);
	begin_stint(engine);
}

static void step_aside(struct engine *engine)
{
	pthread_mutex_unlock(&engine->lock);
	while (atomic_load_explicit(&engine->waiting, memory_order_relaxed))
		sched_yield();
	pthread_mutex_lock(&engine->lock);
}

static void *poll_thread(void *arg)
{
	struct engine *engine = arg;
	struct watch watch = { 0 };
	struct spin spin = { .limit = SPIN_US * cycles_per_us() };

	pthread_setname_np(pthread_self(), "europad-poll");
	prctl(PR_SET_TIMERSLACK, 1);
	pthread_mutex_lock(&engine->lock);
	while (!engine->stop) {
		u64 start = cycles();
		unsigned work;

		if (unlikely(atomic_load_explicit(&engine->waiting, memory_order_relaxed))) {
			step_aside(engine);
			continue;
		}
		work = serve_all(engine);
		if (work) {
			spin_found_work(&spin, start, work);
			let_the_woken_run(engine);
		} else if (!spin_goes_on(&spin, start, engine->full)) {
			spin_sleeps(&spin);
			sleep_on(engine, &watch);
			begin_stint(engine);
		}
	}
	pthread_mutex_unlock(&engine->lock);
	free(watch.fds);
	free(watch.who);
	return NULL;
}

void engine_lock(struct engine *engine)
{
	uint64_t one = 1;

	atomic_fetch_add(&engine->waiting, 1);
	if (write(engine->wake, &one, sizeof one) < 0)
		note("wake-up: errno %d", errno);
	pthread_mutex_lock(&engine->lock);
	atomic_fetch_sub(&engine->waiting, 1);
}

void engine_unlock(struct engine *engine)
{
	pthread_mutex_unlock(&engine->lock);
}

int poll_start(struct engine *engine, struct error *e)
{
	int r;

	pthread_mutex_init(&engine->lock, NULL);
	engine->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (engine->wake < 0)
		return fail(e, errno, "eventfd");
	r = pthread_create(&engine->poll_thread, NULL, poll_thread, engine);
	return r ? fail(e, r, "cannot start the poll thread") : 0;
}

void poll_stop(struct engine *engine)
{
	engine_lock(engine);
	engine->stop = true;
	engine_unlock(engine);
	pthread_join(engine->poll_thread, NULL);
}

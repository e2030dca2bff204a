// SPDX-License-Identifier: GPL-2.0
/*
 * The worker's round: send what the VR has posted, take back what it dropped, keep the alloc ring topped up, ring the
 * doorbell. While there is work the worker polls, a little longer when there is none, then it announces that it
 * sleeps, and the VR kicks it. It is a thread, and not a softirq, because a doorbell is a pipe and writing to one can
 * sleep, and because a thread can be in the VR's control group: what a VR has the switch do is paid for by the VR.
 *
 * The kick is watched by an entry in the pipe's wait queue, as irqfd watches an eventfd: no thread waits in read(2),
 * so none has to be got out of there when the registration ends.
 */
#include "worker.h"

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/stat.h>
#include <linux/sched/task.h>
#include <linux/timex.h>

#include "member.h"
#include "port.h"
#include "report.h"
#include "trace.h"

#define ROUND_BUDGET    256u            /* frames a round and direction: then somebody else may have the CPU */
#define WATCH_US        500000u         /* between two looks for what makes no progress */
#define SPIN_NS         30000u          /* without work, before going to sleep */

/* ---- transmit ---- */

/* Those of the frames that leave by one vNIC, in order. RCU, softirqs off. */
static void send_out(struct member *m, unsigned int vnic, const struct tx_frame *frames, unsigned int n)
{
	struct port *port = rcu_dereference(m->ports[vnic]);
	unsigned int i, count = 0;

	for (i = 0; i < n; i++) {
		if (frames[i].ports & (1u << vnic))
			m->out[count++] = &frames[i];
	}
	if (port && READ_ONCE(port->up)) {
		port->ops->send(port, m->out, count);
		return;
	}
	spin_lock(&m->lock);
	vr_drop(&m->vr, vnic, EUROPA_DROP_TX_DOWN, count);
	spin_unlock(&m->lock);
}

/*
 * What own devices receive. The stack runs in here and answers at once, often to the same VR, which in a small pool has
 * no other slot for that than the one that was just sent: so not before tx_done().
 */
static void hand_over(struct member *m)
{
	LIST_HEAD(batch);

	list_splice_init(&m->ready, &batch);
	netif_receive_skb_list(&batch);
}

/*
 * A look without the lock: an idle round must not disturb whoever delivers to the VR, and takes and tops up as well. Where that is seen
 * too late, the lock is taken for nothing, or the next round does the work; before the worker sleeps, announce() looks under the lock.
 */
static bool is_empty(const struct ring *r)
{
	return READ_ONCE(r->theirs->index) == data_race(r->index); /* moved under the lock */
}

static void send_slice(struct member *m, const struct tx_frame *frames, unsigned int n, u32 ports)
{
	rcu_read_lock();
	for (; ports; ports &= ports - 1)
		send_out(m, __ffs(ports), frames, n);
	spin_lock(&m->lock);
	tx_done(&m->vr, frames, n);
	spin_unlock(&m->lock);
	hand_over(m);
	rcu_read_unlock();
}

/* Whatever else wants this CPU has it now. */
static void make_way(void)
{
	local_bh_enable();
	cond_resched_tasks_rcu_qs();
	local_bh_disable();
}

static unsigned int transmit(struct member *m, unsigned int vnic, unsigned int budget)
{
	u32 looked, ports, n, sent, slice;

	if (is_empty(&m->vr.tx[vnic]))
		return 0;
	local_bh_disable();
	spin_lock(&m->lock);
	n = tx_take(&m->vr, vnic, m->frames, min_t(u32, budget, VR_BATCH), &looked);
	spin_unlock(&m->lock);
	trace_europa_transmit(m, vnic, looked, n);

	for (sent = 0; sent < n; sent += slice) {
		if (unlikely(sent))
			make_way();
		slice = tx_slice(&m->frames[sent], n - sent, &ports);
		send_slice(m, &m->frames[sent], slice, ports);
	}
	local_bh_enable();
	return looked;
}

/* ---- receive, where a port has to be asked ---- */

static unsigned int receive(struct member *m, unsigned int vnic, unsigned int budget)
{
	unsigned int n = 0;
	struct port *port;

	if (!(READ_ONCE(m->polled) & (1u << vnic)))
		return 0;
	local_bh_disable();
	rcu_read_lock();
	port = rcu_dereference(m->ports[vnic]);
	if (port && port->ops->receive)
		n = port->ops->receive(port, min_t(u32, budget, VR_BATCH));
	rcu_read_unlock();
	local_bh_enable();
	return n;
}

/* ---- a round ---- */

/* One turn over the vNICs, beginning with another one each time, until the budget is spent. */
static unsigned int turn(struct member *m, unsigned int (*step)(struct member *m, unsigned int vnic, unsigned int budget))
{
	unsigned int nvnics = m->vr.geo.nvnics, vnic = m->first, done = 0, i;

	for (i = 0; i < nvnics && done < ROUND_BUDGET; i++) {
		done += step(m, vnic, ROUND_BUDGET - done);
		vnic = vnic + 1 < nvnics ? vnic + 1 : 0;
	}
	return done;
}

/* Without the lock as well, for the same reason. As pool_lacks() sees it, or the worker would go round and round instead of to sleep. */
static bool alloc_is_full(const struct member *m)
{
	const struct ring *r = &m->vr.alloc;
	u32 held = data_race(r->index) - READ_ONCE(r->theirs->index);   /* moved under the lock, */
	u32 free = data_race(m->vr.nfree_slots);                        /* and so is this */

	return (held >= m->vr.geo.alloc_target && held <= r->size) || !free;
}

static unsigned int pool(struct member *m)
{
	bool wake = false;
	unsigned int n;

	if (is_empty(&m->vr.free) && alloc_is_full(m))
		return 0;
	spin_lock_bh(&m->lock);
	n = pool_turn(&m->vr, ROUND_BUDGET, &wake);
	spin_unlock_bh(&m->lock);
	if (wake)
		set_bit(MEMBER_RING, &m->flags);
	return n;
}

/* One byte at most a round. A full pipe is as good: the VR has yet to read what is in it. */
static void ring_doorbell(struct member *m)
{
	loff_t nowhere = 0;

	if (!test_bit(MEMBER_RING, &m->flags) || !test_and_clear_bit(MEMBER_RING, &m->flags))
		return;
	kernel_write(m->doorbell, "", 1, &nowhere);
}

/* Bounded, however much the VR has written: what may be left ends the next sleep. */
static void drain_kick(struct member *m)
{
	loff_t nowhere = 0;
	char bytes[256] __uninitialized;
	ssize_t n;

	if (!test_bit(MEMBER_KICKED, &m->flags) || !test_and_clear_bit(MEMBER_KICKED, &m->flags))
		return;
	n = kernel_read(m->kick, bytes, sizeof(bytes), &nowhere);
	if (n <= 0)
		return;
	vr_kicked(&m->vr);
	if (n == sizeof(bytes))
		set_bit(MEMBER_KICKED, &m->flags);
}

/* A doorbell too many costs a byte; one that got lost would cost the VR all its packets. */
static void watch_over(struct member *m)
{
	u32 now_us = jiffies_to_usecs(jiffies);         /* every round looks: a clock that costs nothing */
	bool stalled;

	if (now_us - m->watched_us < WATCH_US)
		return;
	m->watched_us = now_us;
	spin_lock_bh(&m->lock);
	stalled = vr_watch(&m->vr, now_us);
	spin_unlock_bh(&m->lock);
	if (stalled)
		set_bit(MEMBER_RING, &m->flags);
}

static unsigned int serve(struct member *m)
{
	u64 start = get_cycles();
	unsigned int work;

	mutex_lock(&m->round);
	clear_bit(MEMBER_WOKEN, &m->flags);
	smp_mb__after_atomic();         /* whatever was done before the flag was set is seen in this round */
	drain_kick(m);
	work = turn(m, transmit);
	work += pool(m);
	work += turn(m, receive);
	watch_over(m);
	ring_doorbell(m);
	m->first = m->first + 1 < m->vr.geo.nvnics ? m->first + 1 : 0;
	if (work)
		WRITE_ONCE(m->vr.stats->switch_cycles, m->vr.stats->switch_cycles + get_cycles() - start);
	mutex_unlock(&m->round);
	return work;
}

/* ---- sleep ---- */

static bool announce(struct member *m)
{
	bool work;

	spin_lock_bh(&m->lock);
	work = vr_sleep(&m->vr);
	spin_unlock_bh(&m->lock);
	return work;
}

static void awake(struct member *m)
{
	spin_lock_bh(&m->lock);
	vr_awake(&m->vr);
	spin_unlock_bh(&m->lock);
}

/* Nothing woke the worker. What there is to do all the same is done in the next round. */
static void missed_kick(struct member *m)
{
	spin_lock_bh(&m->lock);
	vr_missed_kick(&m->vr);
	spin_unlock_bh(&m->lock);
}

/* Woken for nothing it sleeps again at once: who kicks without work doesn't buy spinning. */
static void sleep_until_work(struct member *m)
{
	long left = 1;

	set_current_state(TASK_IDLE);
	if (!announce(m) && !READ_ONCE(m->flags) && !kthread_should_stop()) {
		trace_europa_sleep(m, true);
		left = schedule_timeout(usecs_to_jiffies(WATCH_US));
		trace_europa_sleep(m, false);
	}
	__set_current_state(TASK_RUNNING);
	if (!left && !READ_ONCE(m->flags))
		missed_kick(m);
	awake(m);
}

/* As KVM polls for a virtual CPU: not where somebody else wants this one, the VR perhaps. */
static bool may_spin(u64 since)
{
	return single_task_running() && local_clock() - since < SPIN_NS;
}

/* Where a kernel preempts, cond_resched() does nothing, and who waits until all tasks were seen (Tasks RCU) would wait for the load's end. */
static int work(void *member)
{
	struct member *m = member;
	u64 idle_since = 0;

	while (!kthread_should_stop()) {
		if (serve(m)) {
			idle_since = 0;
			cond_resched_tasks_rcu_qs();
			continue;
		}
		idle_since = idle_since ?: local_clock();
		if (!may_spin(idle_since)) {
			sleep_until_work(m);
		} else {
			WRITE_ONCE(m->spins, m->spins + 1);
			cpu_relax();
			cond_resched_tasks_rcu_qs();
		}
	}
	return 0;
}

/* The flag is for a worker that is just about to sleep and has looked already. */
void worker_wake(struct member *m)
{
	set_bit(MEMBER_WOKEN, &m->flags);
	wake_up_process(m->thread);
}

/* ---- the kick ---- */

/* In the VR's write(2), under the lock of the pipe's wait queue. */
static int kicked(wait_queue_entry_t *entry, unsigned int mode, int sync, void *key)
{
	struct member *m = container_of(entry, struct member, kick_entry);

	if (!test_and_set_bit(MEMBER_KICKED, &m->flags))
		worker_wake(m);
	return 0;
}

static void watch(struct file *file, wait_queue_head_t *queue, poll_table *poll)
{
	struct member *m = container_of(poll, struct member, poll);

	/* A pipe that is open for reading only has one queue to wait in. */
	if (m->kick_queue)
		return;
	m->kick_queue = queue;
	add_wait_queue(queue, &m->kick_entry);
}

int worker_start(struct member *m, struct report *report)
{
	struct task_struct *thread = kthread_create(work, m, "europa/%s", m->name);

	if (IS_ERR(thread))
		return fail(report, -PTR_ERR(thread), "cannot start a worker: errno %ld", -PTR_ERR(thread));
	get_task_struct(thread);
	m->thread = thread;
	init_waitqueue_func_entry(&m->kick_entry, kicked);
	init_poll_funcptr(&m->poll, watch);
	if (vfs_poll(m->kick, &m->poll) & EPOLLIN)
		set_bit(MEMBER_KICKED, &m->flags);
	wake_up_process(thread);
	return 0;
}

void worker_stop(struct member *m)
{
	if (m->kick_queue)
		remove_wait_queue(m->kick_queue, &m->kick_entry);
	kthread_stop(m->thread);
	put_task_struct(m->thread);
	m->thread = NULL;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A member is a registered VR: its region pinned, its doorbell and kick, its worker, and what its vNICs are attached to.
 *
 * Who holds what, and in which order (outer first):
 *
 *	client->lock    mutex      one verb at a time on one open file
 *	RTNL            mutex      ports[], what hangs off them (links, shared NICs), device names
 *	round           mutex      the worker's round; QUIESCE takes it so that no slot is in flight, and moves the worker to another control
 *	                           group meanwhile. Never under RTNL
 *	lock            spinlock   struct vr: rings, free slots, owners, statistics. Softirqs off. Never two members' at a time, nothing is
 *	                           sent or received while it is held
 *	RCU                        readers of ports[]
 */
#ifndef EUROPA_MEMBER_H
#define EUROPA_MEMBER_H

#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "core/vr.h"
#include "region.h"

struct mem_cgroup;
struct port;
struct report;
struct pid;
struct task_struct;

/* 32 KB each, where super-packets are sent at all: as many as are with receivers at a time. */
#define MEMBER_PAGES 64

struct member {
	struct hlist_node by_name;                      /* among all; RTNL */
	char name[64];
	struct net *net;                                /* where its devices appear */
	struct region control, pool;
	void *memory;                                   /* the core's */

	spinlock_t lock;                                /* the table above has what it is for */
	struct vr vr;                                   /* under lock */
	struct port __rcu *ports[EUROPA_MAX_VNICS];     /* NULL: not attached; written under RTNL */
	u32 lost;                                       /* bit n: vNIC n was attached, and its device has gone; RTNL */

	/* the worker */
	struct task_struct *thread;
	struct pid *charged;                            /* whose control group it is in, NULL: nobody's */
	struct mutex round;                             /* held while slots are on their way */
	unsigned int first;                             /* the vNIC that comes first in this round */
	unsigned long flags;                            /* MEMBER_* */
	u32 watched_us;                                 /* when the watchdog looked last */
	struct tx_frame frames[VR_BATCH];
	const struct tx_frame *out[VR_BATCH];
	struct list_head ready;                         /* sk_buffs for the host's stack, as soon as their slots are free again */
	struct mem_cgroup *memcg;                       /* whom its pages are charged to, NULL: nobody */
	struct page *pages[MEMBER_PAGES];               /* what long frames are sent in, again and again */
	unsigned int next_page;
	u32 polled;                                     /* bit n: port n makes frames when it is asked */
	u64 spins;                                      /* rounds without work, with another one straight after */
	u64 pages_new, pages_again;                     /* taken from the kernel, and filled again */

	/* pipes, opened anew so that nobody else can change their flags */
	struct file *doorbell, *kick;
	poll_table poll;
	wait_queue_head_t *kick_queue;
	wait_queue_entry_t kick_entry;
};

enum {
	MEMBER_RING,            /* the VR waits for its doorbell */
	MEMBER_KICKED,          /* there is something to read from the kick */
	MEMBER_WOKEN,           /* somebody wants another round */
};

int member_open(const struct europa_ioc_register *reg, struct member **member, struct report *report);
/* Frees everything; the proof that nobody has it any more is in member.c. */
void member_close(struct member *member);

/* ports[n] is taken away; devices to be unregistered are put on `dying`. false: there was none, and none was lost. RTNL. */
bool member_detach(struct member *member, unsigned int vnic, struct list_head *dying);
/* The member of that name whose devices the same user namespace owns. RTNL. */
struct member *member_find(const struct member *asks, const char *name);

/*
 * No slot is in flight when it returns. With EUROPA_QUIESCE_ALL the worker leaves the VR's control group for the caller's meanwhile: a group
 * with a thread of the kernel in it never counts as frozen.
 */
int member_quiesce(struct member *member, u32 how, struct report *report);
/* Asks the data plane, and has it woken; returns the request. */
u32 member_ask(struct member *member, u32 what);
void member_refresh(struct member *member);

/* The VR waits for its doorbell: the worker rings it. Any context. */
void member_ring(struct member *member);

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * A registration's life.
 *
 * member_close() takes away, in this order, whoever may still look at the member, and only then its memory:
 *
 *	names and files         member_find() runs under RTNL; the member leaves these tables under RTNL
 *	ports                   each is taken out of ports[] and out of wherever frames come to it: an own device is
 *	                        unregistered, which waits until no ndo_start_xmit runs; the rx_handler and the classifier
 *	                        of a shared NIC, and the other end of a link, are read under RCU
 *	a grace period          waits for those, softirqs among them, and for a port that its device took with it a moment
 *	                        ago. From here on no packet finds the member, and with the last one the sk_buffs go that were kept
 *	                        for others' frames (recycle.c)
 *	the kick's wait queue   remove_wait_queue() takes the lock under which its entries are called
 *	the worker              kthread_stop() waits for its end. It held nothing but what is freed after this, takes no
 *	                        RTNL, and never waits for room in a pipe or for bytes: both are open with O_NONBLOCK in
 *	                        descriptions of the module's own. It may wait for a pipe's mutex, which the VR holds while
 *	                        it copies to or from a pipe: until that VR has a CPU again, or its page, or is killed
 *	the open file           it is what calls this
 *
 * What is left is memory: the region's mapping and pages, the core's stacks, the pipes, the network namespace.
 */
#include "member.h"

#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/rtnetlink.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/stringhash.h>
#include <linux/vmalloc.h>
#include <net/net_namespace.h>

#include "packet.h"
#include "port.h"
#include "recycle.h"
#include "report.h"
#include "worker.h"

/* Thousands may be there, and whoever comes is looked for by his name and by his two files. RTNL. */
static DEFINE_HASHTABLE(names, 10);
static DEFINE_HASHTABLE(files, 11);
/* For whom packets may be on their way: those that are there, and those that have left and wait for the grace period. RTNL. */
static unsigned int served;

/* ---- who is there ---- */

static u32 hash_of(const char *name)
{
	return full_name_hash(NULL, name, strlen(name));
}

static struct member *find(const char *name)
{
	struct member *m;

	hash_for_each_possible(names, m, by_name, hash_of(name)) {
		if (!strcmp(m->name, name))
			return m;
	}
	return NULL;
}

struct member *member_find(const struct member *asks, const char *name)
{
	struct member *m = find(name);

	ASSERT_RTNL();
	return m && m->net->user_ns == asks->net->user_ns ? m : NULL;
}

/* Whoever has one of the region's files already, whatever he is called. */
static const struct member *find_holder(const struct inode *file)
{
	const struct region *region;

	hash_for_each_possible(files, region, by_file, (unsigned long)file) {
		if (file_inode(region->file) == file)
			return region->member;
	}
	return NULL;
}

static void enter(struct member *m, struct region *region)
{
	region->member = m;
	hash_add(files, &region->by_file, (unsigned long)file_inode(region->file));
}

/* Before the region is touched: it has one switch at a time, and a switch serves it once. */
static int publish(struct member *m, struct report *report)
{
	const struct member *holder;
	int r = 0;

	rtnl_lock();
	holder = find_holder(file_inode(m->control.file)) ?: find_holder(file_inode(m->pool.file));
	if (find(m->name)) {
		r = fail(report, EEXIST, "\"%s\" is registered already", m->name);
	} else if (holder) {
		r = fail(report, EBUSY, "this region is served already, as \"%s\"", holder->name);
	} else {
		hash_add(names, &m->by_name, hash_of(m->name));
		enter(m, &m->control);
		enter(m, &m->pool);
		served++;
	}
	rtnl_unlock();
	return r;
}

/* No packet finds the member any more. */
static void not_served(void)
{
	ASSERT_RTNL();
	if (--served == 0)
		recycle_empty();
}

/* RTNL. */
static void leave(struct member *m)
{
	hash_del(&m->by_name);
	hash_del(&m->control.by_file);
	hash_del(&m->pool.by_file);
}

/* Before anything was attached. */
static void withdraw(struct member *m)
{
	rtnl_lock();
	if (!hlist_unhashed(&m->by_name)) {
		leave(m);
		not_served();
	}
	rtnl_unlock();
}

/* ---- pipes ---- */

/*
 * The descriptor's own flags are shared with whoever handed it over, who could clear O_NONBLOCK and have the worker
 * wait for ever. So the pipe is opened once more. Nobody asks when it was read or written last.
 */
static int open_pipe(int fd, fmode_t mode, struct file **pipe, const char *what, struct report *report)
{
	struct file *given = fget(fd);
	struct file *own;

	if (!given)
		return fail(report, EBADF, "%s: descriptor %d is not open", what, fd);
	if (file_inode(given)->i_sb->s_magic != PIPEFS_MAGIC || !S_ISFIFO(file_inode(given)->i_mode) || !(given->f_mode & mode)) {
		fput(given);
		return fail(report, EINVAL, "%s is not the %s end of a pipe", what, mode == FMODE_WRITE ? "writing" : "reading");
	}
	own = dentry_open(&given->f_path, (mode == FMODE_WRITE ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOATIME, current_cred());
	fput(given);
	if (IS_ERR(own))
		return fail(report, -PTR_ERR(own), "%s: cannot open the pipe again: errno %ld", what, -PTR_ERR(own));
	own->f_mode |= FMODE_NOCMTIME;
	*pipe = own;
	return 0;
}

static int open_pipes(struct member *m, const struct europa_ioc_register *reg, struct report *report)
{
	int r = open_pipe(reg->doorbell, FMODE_WRITE, &m->doorbell, "the doorbell", report);

	return r < 0 ? r : open_pipe(reg->kick, FMODE_READ, &m->kick, "the kick", report);
}

static void close_pipes(struct member *m)
{
	if (m->doorbell)
		fput(m->doorbell);
	if (m->kick)
		fput(m->kick);
}

/* ---- whose the work is ---- */

/* Only a child: else anyone could have his work charged to anybody. */
static struct task_struct *get_child(int pid, struct report *report)
{
	struct pid *number = find_get_pid(pid);
	struct task_struct *task = get_pid_task(number, PIDTYPE_TGID);
	bool ours;

	put_pid(number);
	if (task) {
		rcu_read_lock();
		ours = same_thread_group(rcu_dereference(task->real_parent), current);
		rcu_read_unlock();
		if (ours)
			return task;
		put_task_struct(task);
	}
	fail(report, ESRCH, "process %d is no child of the caller", pid);
	return NULL;
}

static struct mem_cgroup *memory_group(struct task_struct *task)
{
	struct mm_struct *mm = task ? get_task_mm(task) : NULL;
	struct mem_cgroup *memcg;

	if (!mm)
		return NULL;
	memcg = get_mem_cgroup_from_mm(mm);
	mmput(mm);
	return memcg;
}

/* ---- the region ---- */

static int pin_region(struct member *m, const struct europa_ioc_register *reg, struct mem_cgroup *memcg, struct report *report)
{
	struct europa_offsets off;
	int r;

	layout_compute(&reg->reg.geometry, &off);
	m->memory = kvzalloc(vr_memory(&reg->reg.geometry), GFP_KERNEL_ACCOUNT);
	if (!m->memory)
		return fail(report, ENOMEM, "no memory to serve %u slots", reg->reg.geometry.nslots);
	r = region_pin(&m->control, reg->control, off.control_size, memcg, "control", report);
	return r < 0 ? r : region_pin(&m->pool, reg->pool, off.pool_size, memcg, "pool", report);
}

static int take_region(struct member *m, const struct europa_register *reg, struct report *report)
{
	const struct europa_header *header = m->control.address;

	if (reg->flags & EUROPA_REGISTER_ADOPT) {
		if (vr_adopt(&m->vr, &reg->geometry, m->control.address, m->pool.address, m->memory) < 0)
			return fail(report, EINVAL, "there is no region of this geometry to adopt");
		/* The last switch may have ended between publishing and ringing. */
		set_bit(MEMBER_RING, &m->flags);
		return 0;
	}
	if (header->magic)
		return fail(report, EINVAL, "this region has been served before: it can only be adopted");
	vr_init(&m->vr, &reg->geometry, reg->name, m->control.address, m->pool.address, m->memory);
	return 0;
}

static void unpin_region(struct member *m)
{
	region_unpin(&m->pool);
	region_unpin(&m->control);
	kvfree(m->memory);
}

/* ---- life ---- */

/*
 * The supervisor can write control, and the switch believes what is in there: its own words and owners. So who
 * registers must be who could do to the kernel whatever he likes anyway.
 */
static int open_net(struct member *m, int fd, struct report *report)
{
	struct net *net = get_net_ns_by_fd(fd);

	if (IS_ERR(net))
		return fail(report, -PTR_ERR(net), "descriptor %d is not a network namespace", fd);
	if (!capable(CAP_SYS_ADMIN) || !ns_capable(net->user_ns, CAP_NET_ADMIN)) {
		put_net(net);
		return fail(report, EPERM, "only the host's root may register a virtual router");
	}
	m->net = net;
	return 0;
}

static int charge_worker(struct member *m, struct task_struct *vr, struct report *report)
{
	int r = vr ? cgroup_attach_task_all(vr, m->thread) : 0;

	if (r < 0)
		return fail(report, -r, "cannot put the worker into the control group of process %d: errno %d", task_pid_vnr(vr), -r);
	if (!vr)
		return 0;
	m->charged = get_task_pid(vr, PIDTYPE_TGID);
	/* In there the two share the CPU by weight: a worker less urgent than its VR hardly gets to send what that one has. */
	set_user_nice(m->thread, task_nice(vr));
	return 0;
}

static int set_up(struct member *m, const struct europa_ioc_register *reg, struct task_struct *vr, struct report *report)
{
	int r;

	m->memcg = memory_group(vr);
	r = pin_region(m, reg, m->memcg, report);
	if (r == 0)
		r = open_pipes(m, reg, report);
	if (r == 0)
		r = publish(m, report);
	if (r == 0)
		r = take_region(m, &reg->reg, report);
	if (r == 0)
		r = worker_start(m, report);
	if (r == 0)
		r = charge_worker(m, vr, report);
	return r;
}

static void free_member(struct member *m)
{
	close_pipes(m);
	unpin_region(m);
	put_net(m->net);
	put_pid(m->charged);
	packet_free_pages(m);
	mem_cgroup_put(m->memcg);
	kvfree(m);
}

static int build(struct member *m, const struct europa_ioc_register *reg, struct report *report)
{
	struct task_struct *vr = NULL;
	int r;

	if (reg->pid) {
		vr = get_child(reg->pid, report);
		if (!vr)
			return -ESRCH;
	}
	r = set_up(m, reg, vr, report);
	if (vr)
		put_task_struct(vr);
	if (r < 0) {
		withdraw(m);
		if (m->thread) {
			worker_stop(m);
			vr_leave(&m->vr);
		}
	}
	return r;
}

int member_open(const struct europa_ioc_register *reg, struct member **member, struct report *report)
{
	struct member *m;
	const char *why;
	int r;

	if (geometry_check(&reg->reg.geometry, &why) < 0)
		return fail(report, EINVAL, "geometry: %s", why);
	m = kvzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	if (!m)
		return fail(report, ENOMEM, "no memory for \"%s\"", reg->reg.name);
	INIT_LIST_HEAD(&m->ready);
	spin_lock_init(&m->lock);
	mutex_init(&m->round);
	strscpy(m->name, reg->reg.name, sizeof(m->name));
	r = open_net(m, reg->netns, report);
	if (r < 0) {
		kvfree(m);
		return r;
	}
	r = build(m, reg, report);
	if (r < 0) {
		free_member(m);
		return r;
	}
	pr_debug("europa: %s created\n", m->name);
	*member = m;
	return 0;
}

bool member_detach(struct member *m, unsigned int vnic, struct list_head *dying)
{
	struct port *port = rtnl_dereference(m->ports[vnic]);
	bool lost = m->lost & 1u << vnic;

	m->lost &= ~(1u << vnic);
	if (!port)
		return lost;
	port_withdraw(port);
	port->ops->close(port, dying);
	return true;
}

void member_close(struct member *m)
{
	LIST_HEAD(dying);
	unsigned int i;

	rtnl_lock();
	leave(m);
	for (i = 0; i < m->vr.geo.nvnics; i++)
		member_detach(m, i, &dying);
	unregister_netdevice_many(&dying);
	rtnl_unlock();
	/* Expedited: one process may have thousands of registrations, and end. */
	synchronize_rcu_expedited();
	rtnl_lock();
	not_served();
	rtnl_unlock();

	worker_stop(m);
	vr_leave(&m->vr);
	pr_debug("europa: %s destroyed\n", m->name);
	free_member(m);
}

/* ---- verbs ---- */

/* `to` and the VR may be gone by now: then the worker stays where it is. */
static int move_worker(struct member *m, bool out, struct report *report)
{
	struct task_struct *to;
	int r = 0;

	if (!m->charged)
		return 0;
	to = out ? get_task_struct(current) : get_pid_task(m->charged, PIDTYPE_TGID);
	if (to) {
		r = cgroup_attach_task_all(to, m->thread);
		put_task_struct(to);
	}
	return r < 0 ? fail(report, -r, "cannot move the worker to another control group: errno %d", -r) : 0;
}

/* Between two rounds, with everything published that was put, no slot is in flight. */
int member_quiesce(struct member *m, u32 how, struct report *report)
{
	unsigned int vnic;
	int r;

	if (mutex_lock_killable(&m->round))
		return -EINTR;
	r = move_worker(m, how == EUROPA_QUIESCE_ALL, report);
	if (r < 0)
		goto unlock;
	spin_lock_bh(&m->lock);
	for (vnic = 0; vnic < m->vr.geo.nvnics; vnic++) {
		if (rx_flush(&m->vr, vnic))
			member_ring(m);
	}
	vr_quiesce(&m->vr, how);
	vr_refresh_stats(&m->vr);
	spin_unlock_bh(&m->lock);
unlock:
	mutex_unlock(&m->round);
	if (r == 0)
		worker_wake(m);
	return r;
}

u32 member_ask(struct member *m, u32 what)
{
	u32 request;

	spin_lock_bh(&m->lock);
	request = vr_ask(&m->vr, what);
	spin_unlock_bh(&m->lock);
	member_ring(m);
	return request;
}

void member_refresh(struct member *m)
{
	spin_lock_bh(&m->lock);
	vr_refresh_stats(&m->vr);
	spin_unlock_bh(&m->lock);
}

void member_ring(struct member *m)
{
	if (!test_and_set_bit(MEMBER_RING, &m->flags))
		worker_wake(m);
}

// SPDX-License-Identifier: GPL-2.0
#include "chardev.h"

#include <linux/etherdevice.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "member.h"
#include "port.h"
#include "report.h"
#include "rules.h"

struct client {
	struct mutex lock;              /* one verb at a time */
	struct member *member;          /* NULL: not registered yet */
	struct report report;           /* of the last verb that failed */
};

static DECLARE_WAIT_QUEUE_HEAD(released_queue);
static bool released;

/* ---- arguments ---- */

/* As much of the structure as both sides know; `size`, its first word, is the caller's. */
static int copy_argument(void *argument, size_t known, const void __user *from, u32 *size, struct report *report)
{
	int r;

	if (get_user(*size, (const u32 __user *)from))
		return fail(report, EFAULT, "the argument can't be read");
	if (*size < sizeof(*size) || *size > PAGE_SIZE)
		return fail(report, EINVAL, "the argument says it has %u bytes", *size);
	r = copy_struct_from_user(argument, known, from, *size);
	if (r == -E2BIG)
		return fail(report, E2BIG, "the argument has fields that this module doesn't know");
	return r < 0 ? fail(report, -r, "the argument can't be read") : 0;
}

/* Who doesn't get his answer was refused: the caller undoes what was done. */
static int copy_back(void __user *to, const void *argument, size_t known, u32 size, struct report *report)
{
	return copy_to_user(to, argument, min_t(size_t, known, size)) ? fail(report, EFAULT, "the argument can't be written") : 0;
}

#define TERMINATED(field) (strnlen((field), sizeof(field)) < sizeof(field))

static bool name_is_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";

	return name[0] && name[0] != '.' && !name[strspn(name, allowed)];
}

static int check_register(const struct europa_register *reg, struct report *report)
{
	if (!TERMINATED(reg->name) || !name_is_valid(reg->name))
		return fail(report, EINVAL, "register: \"%.*s\" is no name; letters, digits and _+-. make one, shorter than %zu",
			    (int)sizeof(reg->name), reg->name, sizeof(reg->name));
	if (reg->flags & ~EUROPA_REGISTER_ADOPT)
		return fail(report, EINVAL, "register: flags 0x%x are not known", reg->flags & ~EUROPA_REGISTER_ADOPT);
	return 0;
}

static int check_attach(const struct europa_attach *a, struct report *report)
{
	if (a->kind > EUROPA_PORT_XDP)
		return fail(report, EINVAL, "attach: port kind %u is not known", a->kind);
	if (!TERMINATED(a->device) || !TERMINATED(a->peer) || !TERMINATED(a->rule))
		return fail(report, EINVAL, "attach: a text is not terminated");
	if (a->device[0] && (!dev_valid_name(a->device) || strchr(a->device, '%')))
		return fail(report, EINVAL, "vNIC %u: \"%s\" can't be a device's name", a->vnic, a->device);
	if (is_multicast_ether_addr(a->mac))
		return fail(report, EINVAL, "vNIC %u: %pM is a group address; the first byte must be even", a->vnic, a->mac);
	if (a->mtu && a->mtu < ETH_MIN_MTU)
		return fail(report, EINVAL, "vNIC %u: MTU %u is less than 68, the least of IPv4", a->vnic, a->mtu);
	if (a->kind == EUROPA_PORT_SHARED && !a->device[0])
		return fail(report, EINVAL, "vNIC %u: which device is to be shared?", a->vnic);
	if (a->kind == EUROPA_PORT_VR && (!name_is_valid(a->peer) || a->peer_vnic >= EUROPA_MAX_VNICS))
		return fail(report, EINVAL, "vNIC %u: \"%s:%u\" is no vNIC of a VR; NAME:NUMBER would be one", a->vnic, a->peer,
			    a->peer_vnic);
	return 0;
}

/* ---- verbs ---- */

static int serve_register(struct client *c, void __user *argument)
{
	struct europa_ioc_register reg;
	u32 size;
	int r;

	r = copy_argument(&reg, sizeof(reg), argument, &size, &c->report);
	if (r == 0)
		r = check_register(&reg.reg, &c->report);
	if (r < 0)
		return r;
	if (c->member)
		return fail(&c->report, EINVAL, "this file has registered \"%s\" already", c->member->name);
	if (READ_ONCE(released))
		return fail(&c->report, EAGAIN, "the module is about to be unloaded");
	r = member_open(&reg, &c->member, &c->report);
	if (r < 0)
		return r;
	reg.features = c->member->vr.header->features;
	r = copy_back(argument, &reg, sizeof(reg), size, &c->report);
	if (r < 0) {
		member_close(c->member);
		c->member = NULL;
	}
	return r;
}

/* false: there was nothing. */
static bool detach(struct member *m, unsigned int vnic)
{
	LIST_HEAD(dying);
	bool there;

	rtnl_lock();
	there = vnic < m->vr.geo.nvnics && member_detach(m, array_index_nospec(vnic, EUROPA_MAX_VNICS), &dying);
	unregister_netdevice_many(&dying);
	rtnl_unlock();
	return there;
}

static int attach_port(struct member *m, struct europa_attach *attach, struct report *report)
{
	struct rule rule = { .kind = RULE_MAC };
	int r = attach->kind == EUROPA_PORT_SHARED ? rule_make(&rule, attach, report) : 0;

	if (r < 0)
		return r;
	rtnl_lock();
	r = port_attach(m, attach, &rule, report);
	rtnl_unlock();
	if (r < 0)
		rule_release(&rule);
	return r;
}

static int serve_attach(struct client *c, void __user *argument)
{
	struct europa_attach *attach;
	u32 size;
	int r;

	attach = kmalloc(sizeof(*attach), GFP_KERNEL);
	if (!attach)
		return fail(&c->report, ENOMEM, "no memory");
	r = copy_argument(attach, sizeof(*attach), argument, &size, &c->report);
	if (r == 0)
		r = check_attach(attach, &c->report);
	if (r == 0)
		r = attach_port(c->member, attach, &c->report);
	if (r == 0) {
		attach->size = sizeof(*attach);
		r = copy_back(argument, attach, sizeof(*attach), size, &c->report);
		if (r < 0)
			detach(c->member, attach->vnic);
	}
	kfree(attach);
	return r;
}

static int serve_detach(struct client *c, void __user *argument)
{
	struct europa_detach which;
	u32 size;
	int r;

	r = copy_argument(&which, sizeof(which), argument, &size, &c->report);
	if (r < 0)
		return r;
	return detach(c->member, which.vnic) ? 0 : fail(&c->report, ENOENT, "vNIC %u is not attached", which.vnic);
}

static int serve_quiesce(struct client *c, void __user *argument)
{
	struct europa_quiesce quiesce;
	u32 size;
	int r;

	r = copy_argument(&quiesce, sizeof(quiesce), argument, &size, &c->report);
	if (r == 0 && quiesce.on > EUROPA_QUIESCE_IN)
		r = fail(&c->report, EINVAL, "quiesce: %u is not known; 0, 1 and 2 are", quiesce.on);
	return r < 0 ? r : member_quiesce(c->member, quiesce.on, &c->report);
}

static int serve_ask(struct client *c, void __user *argument)
{
	struct europa_ask ask;
	u32 size;
	int r;

	r = copy_argument(&ask, sizeof(ask), argument, &size, &c->report);
	if (r == 0 && (ask.what > EUROPA_ASK_SAVE || ask.reserved))
		r = fail(&c->report, EINVAL, "ask: request %u is not known", ask.what);
	if (r < 0)
		return r;
	ask.request = member_ask(c->member, ask.what);
	return copy_back(argument, &ask, sizeof(ask), size, &c->report);
}

static int serve_refresh(struct client *c)
{
	member_refresh(c->member);
	return 0;
}

static int serve(struct client *c, unsigned int verb, void __user *argument)
{
	if (verb == EUROPA_REGISTER)
		return serve_register(c, argument);
	if (!c->member)
		return fail(&c->report, EINVAL, "nothing is registered on this file");
	switch (verb) {
	case EUROPA_ATTACH:
		return serve_attach(c, argument);
	case EUROPA_DETACH:
		return serve_detach(c, argument);
	case EUROPA_QUIESCE:
		return serve_quiesce(c, argument);
	case EUROPA_ASK:
		return serve_ask(c, argument);
	default:
		return serve_refresh(c);
	}
}

/* ---- the file ---- */

static long chardev_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct client *c = file->private_data;
	unsigned int verb = _IOC_NR(command);
	long r;

	if (_IOC_TYPE(command) != EUROPA_IOC_MAGIC)
		return -ENOTTY;
	if (mutex_lock_killable(&c->lock))
		return -EINTR;
	if (verb == _IOC_NR(EUROPA_IOC_WHY))
		r = copy_to_user((void __user *)argument, c->report.text, sizeof(c->report.text)) ? -EFAULT : 0;
	else if (verb >= EUROPA_REGISTER && verb <= EUROPA_ASK)
		r = serve(c, verb, (void __user *)argument);
	else
		r = -ENOTTY;
	mutex_unlock(&c->lock);
	return r;
}

static __poll_t chardev_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &released_queue, wait);
	return READ_ONCE(released) ? EPOLLHUP : 0;
}

static int chardev_open(struct inode *inode, struct file *file)
{
	struct client *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);

	if (!c)
		return -ENOMEM;
	mutex_init(&c->lock);
	file->private_data = c;
	return nonseekable_open(inode, file);
}

static int chardev_release(struct inode *inode, struct file *file)
{
	struct client *c = file->private_data;

	if (c->member)
		member_close(c->member);
	kfree(c);
	return 0;
}

static const struct file_operations operations = {
	.owner          = THIS_MODULE,
	.open           = chardev_open,
	.release        = chardev_release,
	.unlocked_ioctl = chardev_ioctl,
	.compat_ioctl   = compat_ptr_ioctl,
	.poll           = chardev_poll,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name  = "europa",
	.fops  = &operations,
	.mode  = 0600,
};

void chardev_release_all(bool on)
{
	WRITE_ONCE(released, on);
	wake_up_all(&released_queue);
}

int chardev_init(void)
{
	return misc_register(&device);
}

void chardev_exit(void)
{
	misc_deregister(&device);
}

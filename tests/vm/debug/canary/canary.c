// SPDX-License-Identifier: GPL-2.0
/*
 * One mistake of each kind that the debug kernel is there to find, made when the module is loaded. Where one of them isn't in the kernel's log
 * afterwards, an empty log says nothing.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static DEFINE_SPINLOCK(spin);
static DEFINE_MUTEX(mutex);
static unsigned int shift = 40;
module_param(shift, uint, 0);

static noinline void read_freed_memory(void)
{
	volatile char *memory = kmalloc(100, GFP_KERNEL);

	if (!memory)
		return;
	kfree((void *)memory);
	(void)memory[10];
}

static noinline void lose_memory(void)
{
	void *volatile lost = kmalloc(1234, GFP_KERNEL);

	lost = NULL;
	(void)lost;
}

static noinline void shift_too_far(void)
{
	pr_info("canary: %d\n", 1 << shift);
}

static noinline void sleep_under_a_spinlock(void)
{
	spin_lock(&spin);
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	spin_unlock(&spin);
}

static int __init canary_init(void)
{
	unsigned int i;

	/* First: after a report of any other kind lockdep goes silent. */
	sleep_under_a_spinlock();
	read_freed_memory();
	/* Several: a pointer to the last one may still lie on some stack. */
	for (i = 0; i < 8; i++)
		lose_memory();
	shift_too_far();
	return 0;
}

static void __exit canary_exit(void)
{
}

module_init(canary_init);
module_exit(canary_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Europa: mistakes for the debug kernel to find");

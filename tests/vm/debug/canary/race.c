// SPDX-License-Identifier: GPL-2.0
/* Two threads count in the same word, and neither has said so: KCSAN is there to find that. */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>

#define TURNS 1000000

static unsigned int counted;
static DECLARE_COMPLETION(done);

static int count(void *unused)
{
	unsigned int i;

	for (i = 0; i < TURNS; i++) {
		counted++;
		barrier();
		if (i % 1000 == 0)
			cond_resched();
	}
	complete(&done);
	return 0;
}

static int __init race_init(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct task_struct *thread = kthread_run(count, NULL, "race/%u", i);

		if (IS_ERR(thread))
			return PTR_ERR(thread);
	}
	for (i = 0; i < 2; i++)
		wait_for_completion(&done);
	return 0;
}

static void __exit race_exit(void)
{
}

module_init(race_init);
module_exit(race_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Europa: a data race for the debug kernel to find");

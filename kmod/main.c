// SPDX-License-Identifier: GPL-2.0
/* EuropaKM: the module comes and goes. While a VR is registered its supervisor has /dev/europa open, and the module stays. */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "chardev.h"
#include "nic.h"
#include "port.h"
#include "recycle.h"

static bool release;

static int set_release(const char *value, const struct kernel_param *param)
{
	int r = param_set_bool(value, param);

	if (r == 0)
		chardev_release_all(release);
	return r;
}

static const struct kernel_param_ops release_ops = { .set = set_release, .get = param_get_bool };
module_param_cb(release, &release_ops, &release, 0600);
MODULE_PARM_DESC(release, "tell all supervisors to let go, so that the module can be unloaded; they come back to the next one");

static int get_reused(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%llu\n", recycle_count().reused);
}

static const struct kernel_param_ops reused_ops = { .get = get_reused };
module_param_cb(reused, &reused_ops, NULL, 0400);
MODULE_PARM_DESC(reused, "sk_buffs that came in with one frame and went out with another");

static int get_kept(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%u\n", recycle_count().kept);
}

static const struct kernel_param_ops kept_ops = { .get = get_kept };
module_param_cb(kept, &kept_ops, NULL, 0400);
MODULE_PARM_DESC(kept, "sk_buffs that wait for a frame to go out");

static int __init europa_init(void)
{
	int r;

	r = nic_init();
	if (r < 0)
		return r;
	r = port_device_init();
	if (r < 0)
		goto exit_nic;
	r = chardev_init();
	if (r < 0)
		goto exit_device;
	pr_info("europa: version " EUROPA_VERSION "\n");
	return 0;

exit_device:
	port_device_exit();
exit_nic:
	nic_exit();
	return r;
}

/* No file is open, so no member is left; what they freed by kfree_rcu() runs no code of the module. */
static void __exit europa_exit(void)
{
	chardev_exit();
	port_device_exit();
	nic_exit();
	rcu_barrier();
}

module_init(europa_init);
module_exit(europa_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(EUROPA_VERSION);
MODULE_DESCRIPTION("Europa: the switch of virtual routers");
MODULE_AUTHOR("The Europa authors");

/* SPDX-License-Identifier: GPL-2.0 */
/* /dev/europa: an open file is a registration. */
#ifndef EUROPA_CHARDEV_H
#define EUROPA_CHARDEV_H

#include <linux/types.h>

int chardev_init(void);
void chardev_exit(void);
/* on: nobody may register any more, and who has registered is told to go (POLLHUP), so that the module can be unloaded. */
void chardev_release_all(bool on);

#endif

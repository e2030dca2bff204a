/* SPDX-License-Identifier: GPL-2.0 */
/* The differences between kernel versions, and nothing else. Everything is written for 6.1; what is other elsewhere is here. */
#ifndef EUROPA_COMPAT_H
#define EUROPA_COMPAT_H

#include <linux/netdevice.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#include <net/gso.h>
#endif

/* A device whose transmit function locks for itself. */
static inline void compat_set_lockless(struct net_device *dev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	dev->lltx = true;
#else
	dev->features |= NETIF_F_LLTX;
#endif
}

#endif

/* SPDX-License-Identifier: MIT */
/* The XDP program that gives a device's frames to an AF_XDP socket. */
#ifndef EUROPA_ENGINE_XDP_H
#define EUROPA_ENGINE_XDP_H

/*
 * From now on every frame that comes in at the device goes to the socket that is bound to its queue 0, natively, before there is an
 * sk_buff. Returns a descriptor whose end undoes it; or -errno, -ERANGE: the device's MTU is more than the driver can do this for,
 * -EBUSY: the device has another program.
 */
int xdp_redirect(int ifindex, int xsk);

#endif

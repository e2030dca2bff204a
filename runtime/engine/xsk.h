/* SPDX-License-Identifier: MIT */
/*
 * Sending through AF_XDP, in copy mode and without any XDP program: what comes in at the device is not touched.
 * One system call for a batch, and less work in the kernel for each frame than a packet socket makes of it (a
 * third less over veth). A partial checksum can go along since Linux 6.8; a super-packet can't, and goes by the
 * packet socket.
 */
#ifndef EUROPA_ENGINE_XSK_H
#define EUROPA_ENGINE_XSK_H

#include "core/vr.h"

struct xsk;

#define XSK_FRAME_MAX 1536u     /* longer ones go by the packet socket */

/* In the calling thread's network namespace, bound to nothing. NULL: this kernel can't, or there is no memory. */
struct xsk *xsk_open(void);
/* false: somebody has the device's queue, or it can't. */
bool xsk_bind(struct xsk *xsk, int ifindex);
void xsk_close(struct xsk *xsk);

/* Frames with a partial checksum can go this way. */
bool xsk_takes_csum(const struct xsk *xsk);

/*
 * Copies the frame, `tag` 4 bytes after its addresses where it isn't NULL; with a partial checksum where meta says so. false:
 * all places are taken by frames on their way.
 */
bool xsk_put(struct xsk *xsk, const u8 *data, const struct europa_slot *meta, const void *tag);
/* Sends what was put. Returns frames that the device didn't take; < 0: -errno, it takes none. */
int xsk_flush(struct xsk *xsk);
/* The kernel has taken all that was put: what is sent another way comes after it. */
bool xsk_sent_all(const struct xsk *xsk);

#endif

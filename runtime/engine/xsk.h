/* SPDX-License-Identifier: MIT */
/*
 * An AF_XDP socket in copy mode, on queue 0 of a device.
 *
 * Sending needs no XDP program, so what comes in at the device is not touched. One system call for a batch, and less work in the
 * kernel for each frame than a packet socket makes of it (a third less over veth). A partial checksum can go along since
 * Linux 6.8; a super-packet can't, and goes by the packet socket.
 *
 * Receiving is for ports where a program redirects to the socket whatever comes in (xdp.h): the kernel copies each frame to a place
 * that it was given in the fill ring, makes no sk_buff of it, and says in the rx ring where it is. Frames to send and frames that
 * came in are places of the same memory, because a device's queue has one such memory.
 */
#ifndef EUROPA_ENGINE_XSK_H
#define EUROPA_ENGINE_XSK_H

#include "core/vr.h"

struct xsk;

#define XSK_FRAME_MAX 1536u     /* longer ones go by the packet socket */

/*
 * In the calling thread's network namespace, bound to nothing. longest: of the frames that it receives, at most 3840 bytes; 0: it
 * only sends. NULL and errno: this kernel can't, or there is no memory.
 */
struct xsk *xsk_open(u32 longest);
/* false and errno: somebody has the device's queue (EBUSY), or it can't. */
bool xsk_bind(struct xsk *xsk, int ifindex);
void xsk_close(struct xsk *xsk);
/* For poll(2), and for the map of the program that redirects to it. */
int xsk_fd(const struct xsk *xsk);

/* The next frame, if there is one: it stays, and may be written to, until xsk_next. */
bool xsk_peek(struct xsk *xsk, u8 **data, u32 *len);
void xsk_next(struct xsk *xsk);
/* What was taken is the kernel's to fill again: once a batch. */
void xsk_refill(struct xsk *xsk);
/* The kernel has no more room than for a batch, or none: it may be losing frames. */
bool xsk_is_full(const struct xsk *xsk);
/* Frames that have come and were not taken. */
u32 xsk_waiting(const struct xsk *xsk);
/* Frames that the kernel dropped for want of room since the last call. */
u32 xsk_lost(struct xsk *xsk);

/* Frames with a partial checksum can go this way. */
bool xsk_takes_csum(const struct xsk *xsk);

/*
 * Copies the frame, `tag` 4 bytes after its addresses where it isn't NULL; with a partial checksum where meta says so. false:
 * all places are taken by frames on their way.
 */
bool xsk_put(struct xsk *xsk, const u8 *data, const struct europa_slot *meta, const void *tag);
/*
 * Sends what was put, or was left at the last time. Returns frames that the device dropped; < 0: -errno, it takes none now. What it has yet to
 * take, it may at the next time.
 */
int xsk_flush(struct xsk *xsk);
/* Frames that were put and that the kernel has yet to take; 0: what is sent another way comes after all of them. */
u32 xsk_unsent(const struct xsk *xsk);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A packet socket (AF_PACKET) on one device.
 *
 * Receive: a ring of small frames, shared with the kernel. A frame too long for them (TCP's super-packets) is put
 * whole on the socket's queue as well, and is read from there straight into the VR's pool: small frames stay dense
 * in the cache, and 64 KiB are copied once. Send: frames with offloads by sendmmsg, straight from the pool; plain
 * ones by AF_XDP (xsk.h), which is cheaper. A virtio-net header goes with every frame of the packet socket in both
 * directions, so partial checksums and GSO survive.
 */
#ifndef EUROPA_ENGINE_PACKET_H
#define EUROPA_ENGINE_PACKET_H

#include <linux/virtio_net.h>

#include "core/vr.h"

struct error;
struct port;
struct xsk;

/*
 * How many a ring holds: what comes while the poll thread is kept from its CPU. Each is written and read in turn, and what there is of all rings
 * together should stay in a CPU's cache; so a vNIC's own device has as many as a NIC's queue, and a NIC that many VRs share more.
 */
#define PACKET_FRAMES         512u
#define PACKET_FRAMES_SHARED  2048u

struct packet_socket {
	int fd;
	u8 *ring;                       /* NULL: it only sends */
	u32 frames;                     /* in it: a power of two */
	u32 head;                       /* of the ring: the frame that comes next */
	struct packet_batch *batch;     /* what sendmmsg wants, set up once */
	struct xsk *xsk;                /* NULL: there is none for this device */
};

struct packet_frame {
	const u8 *data;                 /* in the ring, until packet_next */
	u32 held;                       /* bytes at `data`: all of the frame, or its beginning */
	bool queued;                    /* the whole of it is on the socket's queue */
	bool losing;                    /* the kernel has had to drop frames: packet_lost */
	struct europa_slot meta;        /* its len is the whole frame's */
};

/*
 * In the calling thread's network namespace, bound to no device yet: takes tens of milliseconds. packet_get, in
 * the switch's own namespace, takes one of PACKET_FRAMES that is ready, where there is one.
 */
int packet_open(struct packet_socket **socket, u32 frames, struct error *e);
int packet_get(struct packet_socket **socket, struct error *e);
/* A thread that keeps some ready, in the calling thread's namespace. */
int packet_start_spares(struct error *e);
void packet_stop_spares(void);
int packet_bind(struct packet_socket *socket, int ifindex, bool promiscuous, struct error *e);
/*
 * For a port that receives in another way, by this AF_XDP socket: it is the packet socket's to close from now on, also where this fails,
 * and the caller's to bind.
 */
int packet_open_sender(struct packet_socket **socket, struct xsk *xsk, struct error *e);
int packet_bind_sender(struct packet_socket *socket, int ifindex, struct error *e);
/* Takes tens of milliseconds. */
void packet_close(struct packet_socket *socket);

/* The next frame, if there is one; it stays in the ring until packet_next. */
bool packet_peek(struct packet_socket *socket, struct packet_frame *frame);
void packet_next(struct packet_socket *socket);
/* The frame to the VR behind the port, if it takes it, whether it is in the ring or on the queue. */
void packet_deliver(struct packet_socket *socket, const struct packet_frame *frame, struct port *port);
/*
 * The whole of a queued frame, at most `room` bytes, with its metadata. The queue has them in the ring's order: for each frame of the ring that
 * is `queued` there is one packet_fetch or packet_discard, or those behind it would go to who wants those before them. false: it was longer,
 * and is gone.
 */
bool packet_fetch(struct packet_socket *socket, u8 *to, u32 room, struct europa_slot *meta);
void packet_discard(struct packet_socket *socket);
/* Frames that the kernel dropped for want of room since the last call. */
u32 packet_lost(const struct packet_socket *socket);

/* A device that was busy, or down, has left frames that were sent: tries again. Returns those that it dropped now. */
u32 packet_push(struct packet_socket *socket);
/* The same for a socket that is one port's, where they are counted. */
void packet_push_at(struct packet_socket *socket, struct port *port);
/* Those that are still left. */
u32 packet_unsent(const struct packet_socket *socket);
/* Sends all n frames (<= VR_BATCH) or counts by cause, at `port`, why not; but for those that the device leaves for packet_push. */
void packet_send(struct packet_socket *socket, struct port *port, const struct tx_frame *const *frames, unsigned n);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A port is what a vNIC is attached to. Its kind is chosen once, when the vNIC is attached; from then on the poll
 * thread knows only the functions below, each called with a batch.
 *
 *   in:   receive() of the port itself (a device of its own, a generator), or somebody else's port_deliver() (a
 *         shared NIC, another VR)
 *   out:  send()
 *
 * Frames are copied at a port, in both directions, and never lent: so when send() returns, the slots are free, and
 * a port that keeps frames (a link with delay, an AF_XDP ring of a zero-copy NIC) keeps its own copy of them.
 *
 * receive, send: poll thread. attach, detach: control thread, engine locked; nobody calls the port any more when
 * detach returns. settle: control thread, before whoever asked for the detachment is answered. destroy: janitor's thread, takes as long
 * as it takes; the member may be gone by then.
 */
#ifndef EUROPA_ENGINE_PORT_H
#define EUROPA_ENGINE_PORT_H

#include "core/vr.h"
#include "runtime/engine/member.h"

struct error;
struct engine;

struct port_ops {
	/*
	 * Frames from outside into the VR's rx ring, until they have cost the budget (rx_cost); what they have, 0: none was looked at.
	 * NULL: somebody else delivers.
	 */
	unsigned (*receive)(struct port *port, unsigned budget);
	/* Sends what it can, and counts what it can't by cause (port_drop). */
	void (*send)(struct port *port, const struct tx_frame *const *frames, unsigned n);
	/* The port is its vNIC's now. NULL: nothing is to be done. */
	void (*attach)(struct port *port);
	/* It is no longer. NULL: nobody but the vNIC knew it. */
	void (*detach)(struct engine *engine, struct port *port);
	/* No frame comes in any more: counts those that have waited. NULL: none have. */
	void (*settle)(struct port *port);
	void (*destroy)(struct port *port);
};

struct port {
	const struct port_ops *ops;
	struct member *member;
	unsigned vnic;
	int fd;                    /* to poll for POLLIN before sleeping, or -1 */
	int ifindex;               /* of the device in the switch's own network namespace, or 0 */
	bool up;                   /* as EUROPA_VNIC_UP shows it */
	u32 full_since_us;         /* the VR has no room since then; 0: it has */
};

/* Frames that were to leave here and don't, by cause. */
static inline void port_drop(const struct port *port, enum europa_drop cause, u32 n)
{
	vr_drop(&port->member->vr, port->vnic, cause, n);
}

/* Whatever somebody outside wants done to a frame must be what a VR may want done to it. */
static inline bool port_may_deliver(const struct europa_slot *meta)
{
	return likely(!(meta->flags & EUROPA_SLOT_NEEDS_CSUM) && meta->gso_type == EUROPA_GSO_NONE) || check_offload(meta);
}

/* One frame to the VR behind the port, if it takes it. It is published at the end of the turn (member_flush). */
void port_deliver(struct port *port, const u8 *frame, const struct europa_slot *meta);
/*
 * For ports that have a queue of their own in front of the VR: the VR has no room for this frame now, and the frame should
 * wait in the queue. It waits as long as the VR has frames to take: one that is stopped by its quota, or waits for a CPU, or is
 * being checkpointed, goes on where it was, and what the queue can't hold is dropped before anything was spent on it. A VR that has
 * taken all and keeps the slots doesn't keep the queue from moving for longer than PORT_PATIENCE_US; then its drops are counted. The engine is
 * told that frames wait.
 */
bool port_should_wait(struct port *port, u32 len, struct engine *engine);
#define PORT_PATIENCE_US 20000      /* two of the usual quota periods */

/* Carrier, as the data plane sees it. Engine locked. */
void port_set_up(struct port *port, bool up);

/*
 * Makes the port that `attach` asks for; *attach comes back as things are. In the control thread, engine not
 * locked, not yet known to the poll thread: these make it, member_attach() publishes it.
 */
typedef int port_open_fn(struct engine *engine, struct member *member, struct europa_attach *attach,
			 struct port **port, struct error *e);
port_open_fn port_device_open, port_xdp_open, port_shared_open, port_link_open, port_generator_open, port_null_open;

#endif

/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The switch's side of one VR: its private view of the region. Nothing in struct vr is visible to the VR, and nothing
 * that the VR can write is used but through the checks in check.c.
 *
 * The core asks for nothing: the caller gives memory, serialises calls on one VR (one thread in europad, a lock in
 * the module), takes counters from the region, rings the doorbell where it is told to.
 *
 *   in:  port -> classify() -> rx_slot(): an EMPTY slot -> the caller copies the frame in -> rx_put() -> ... -> rx_flush()
 *   out: tx_take(): checked frames -> the caller sends them -> tx_done(): their slots are EMPTY again
 *
 * vr.c (life), pool.c (free slots, owners), rx.c, tx.c, check.c, classify.c.
 */
#ifndef EUROPA_CORE_VR_H
#define EUROPA_CORE_VR_H

#include <linux/europa.h>
#include "core/env.h"
#include "core/layout.h"
#include "core/ring.h"

#define VR_BATCH 64             /* frames that tx_take gives at most in one call */

/* The violations a VR may commit before it is quarantined; 64 good frames earn one back. */
#define VR_TOLERANCE 1024

struct vr {
	struct europa_geometry geo;
	struct europa_offsets off;
	u8 *control, *pool;

	/* private copies of where things are */
	struct europa_header *header;
	struct europa_slot *meta;
	u8 *slots;
	u8 *owners;                     /* in control: the VR may look at it */
	struct europa_vr_stats *stats;
	struct europa_vnic_stats *vnic_stats;
	struct europa_vnic *vnics;

	/* free slots: two stacks, so that the hottest slot is filled next */
	u32 *free_slots, nfree_slots;
	u32 *free_runs, nfree_runs;
	u32 nindexes;                   /* geometry_indexes */

	struct ring alloc, free;
	struct ring rx[EUROPA_MAX_VNICS], tx[EUROPA_MAX_VNICS];
	u32 rx_pending[EUROPA_MAX_VNICS];    /* put, not yet flushed */
	u32 tolerance;                       /* violations left */
	u32 good;                            /* good frames since the last one earned back */
	bool quarantined, quiesced, fenced;
	bool unkicked;                       /* work was found for which no kick has come yet */

	/* what vr_watch saw of the rx rings */
	u32 waiting;                         /* bit n: packets waited in rx ring n */
	u32 taken[EUROPA_MAX_VNICS];         /* up to here the VR had taken them, */
	u32 since_us[EUROPA_MAX_VNICS];      /* and since then it has taken none */
};

/* ---- life (vr.c) ---- */

/* Bytes of private memory that vr_init and vr_adopt want as `memory`. */
size_t vr_memory(const struct europa_geometry *geo);

/* A fresh region, all zero: every slot is the switch's. geo must have passed geometry_check. */
void vr_init(struct vr *vr, const struct europa_geometry *geo, const char *name, void *control, void *pool, void *memory);

/*
 * A region that another switch served: rings go on where they were, half-done transfers are finished or undone by
 * the journal in the lines, owners are believed (the VR can't write them), free slots found again. A VR in
 * quarantine stays there. Ring the doorbell once afterwards: the last switch may have died between publishing and
 * ringing. -EINVAL: control doesn't hold a region of this geometry.
 */
int vr_adopt(struct vr *vr, const struct europa_geometry *geo, void *control, void *pool, void *memory);
/* The last that a switch does with a region. The next one is to know who is in quarantine. */
void vr_leave(struct vr *vr);

void vr_set_status(struct vr *vr, u32 status);
/*
 * 0: goes on, or EUROPA_QUIESCE_ALL or _IN. Between two rounds only, when all that was put is flushed and all that was
 * taken is done: no slot is in flight then.
 */
void vr_quiesce(struct vr *vr, u32 how);
/* Asks the data plane for something (enum europa_asked); returns the request, which its answer will bear. Ring the doorbell. */
u32 vr_ask(struct vr *vr, u32 what);
/* The owner map counted: what the switch and the VR have, in single slots and runs. */
struct vr_census { u32 switch_slots, vr_slots, switch_runs, vr_runs; };
void vr_census(const struct vr *vr, struct vr_census *census);
/* Occupancy into the VR's statistics. */
void vr_refresh_stats(struct vr *vr);

/* The switch neither fills nor takes slots of this VR now. */
static inline bool vr_paused(const struct vr *vr)
{
	return vr->quarantined | vr->quiesced;
}

/* Nothing comes in: frames that can wait outside should. */
static inline bool vr_shut(const struct vr *vr)
{
	return vr_paused(vr) | vr->fenced;
}

/* Counts frames that a port dropped; the core counts its own. */
static inline void vr_drop(struct vr *vr, u32 vnic, enum europa_drop cause, u32 n)
{
	u64 *count = &vr->vnic_stats[vnic].drops[cause];

	WRITE_ONCE(*count, *count + n);
}

/* ---- receive (rx.c): towards the VR ---- */

/*
 * An EMPTY slot for a frame of `len` bytes, or -1 and the drop is counted. Where the frame has offloads, ask check_offload()
 * first: what the VR couldn't send on it isn't given. The slot is still the switch's; fill
 * rx_data(vr, slot), which holds at least len bytes, and call rx_put, or rx_cancel, before the next rx_slot of this
 * vNIC.
 */
int rx_slot(struct vr *vr, u32 vnic, u32 len);

/* Where to put the frame. */
static inline u8 *rx_data(const struct vr *vr, u32 slot)
{
	return vr->slots + (u64)slot * vr->geo.slot_stride + EUROPA_HEADROOM;
}

/*
 * The slot becomes the VR's when rx_flush is called. `meta` is the frame's metadata but for state, in_vnic and
 * offset, which rx_put sets (len, flags, GSO fields, ... are the caller's).
 */
void rx_put(struct vr *vr, u32 vnic, u32 slot, const struct europa_slot *meta);
void rx_cancel(struct vr *vr, u32 slot);
/* Publishes what was put. true: ring the doorbell. */
bool rx_flush(struct vr *vr, u32 vnic);

/* ---- transmit (tx.c): from the VR ---- */

struct tx_frame {
	u32 slot;
	u32 ports;                      /* bitmap of the vNICs it leaves by; one bit but for replicated frames */
	const u8 *data;                 /* in the pool: may change while it is read, so read it once */
	struct europa_slot meta;        /* checked copy */
};

/*
 * Takes up to `max` (<= VR_BATCH) frames from a vNIC's tx ring, and counts them as sent out of the vNICs in
 * `ports`. What fails a check is counted as dropped, its slot reclaimed where it is the VR's to give, and left out.
 * *looked: entries consumed (0: the ring is empty, or the VR is not served).
 */
u32 tx_take(struct vr *vr, u32 vnic, struct tx_frame *frames, u32 max, u32 *looked);
/*
 * The metadata of a frame of one VR for another one that receives it: what the sender wants done holds, for it was checked. What only a switch can
 * know, the sender can only claim. BROADCAST is the caller's to set, from his copy of the frame.
 */
static inline struct europa_slot tx_meta_for_peer(const struct tx_frame *frame, u32 now_us)
{
	struct europa_slot meta = frame->meta;

	meta.flags &= EUROPA_SLOT_NEEDS_CSUM | EUROPA_SLOT_VLAN;
	meta.hash = 0;
	meta.tstamp_us = now_us;
	return meta;
}

/*
 * What a frame costs whoever moves it, in frames of the usual size: its copy, of which 16 KiB cost as much as all else, and the stack's work for
 * segments that it may be taken apart into; once for each vNIC that it leaves by. A budget that counts frames would let a VR have any multiple of
 * its share.
 */
static inline u32 rx_cost(u32 len)
{
	return 1 + len / 16384;
}

u32 tx_cost(const struct tx_frame *frame);
/*
 * How many of n > 0 frames, from the first on, may be sent at one go by whoever keeps others from the CPU meanwhile: a batch of ordinary
 * ones, few of those that cost as much as many. The vNICs that they leave by in *ports.
 */
u32 tx_slice(const struct tx_frame *frames, u32 n, u32 *ports);
/* The frames have left (or were dropped: count that before): their slots are EMPTY and free. */
void tx_done(struct vr *vr, const struct tx_frame *frames, u32 n);

/* ---- pool (pool.c) ---- */

/*
 * Takes dropped slots back from the free ring, at most `budget`; tops up the alloc ring. Returns entries moved. true in
 * *wake: ring the doorbell, the VR waits for a slot of the alloc ring.
 */
u32 pool_turn(struct vr *vr, u32 budget, bool *wake);

/* ---- sleep ---- */
/*
 * Announces on every tx ring and the free ring that the switch will sleep; true: there is work, don't. vr_awake follows. A VR that waits for a slot
 * of the alloc ring kicks as for the free ring.
 */
bool vr_sleep(struct vr *vr);
void vr_awake(struct vr *vr);
bool vr_has_work(struct vr *vr);

/*
 * The watchdog; call it every half second or so, with a clock that may wrap. Counts, per vNIC, each second in which packets waited in the
 * rx ring and the VR took none. true: ring the doorbell, in case it is asleep and should not be. A VR may have good reasons, a frozen control
 * group among them: nothing else happens to it.
 */
#define VR_STALL_US 1000000u
bool vr_watch(struct vr *vr, u32 now_us);
/* A kick came. */
void vr_kicked(struct vr *vr);
/* The switch slept until its time was up. Work that is there all the same counts as a missed kick where none comes by the next such time. */
void vr_missed_kick(struct vr *vr);

/* ---- check.c: the only functions that read what the VR can write ---- */

/* Reads the slot's metadata once into *meta and checks it for transmit. EUROPA_DROPS: good; else the cause. */
enum europa_drop check_tx(const struct vr *vr, u32 slot, struct europa_slot *meta);
/*
 * Whether the checksum and the segments that the metadata asks for can be made of a frame of its length. The same for what comes in as for
 * what goes out: else a VR that sends on what it was given would be charged for it.
 */
bool check_offload(const struct europa_slot *meta);
/* Counts a violation; may quarantine the VR. vnic: EUROPA_MAX_VNICS for the free ring. */
void vr_violation(struct vr *vr, u32 vnic, enum europa_drop cause, u32 n);

#endif

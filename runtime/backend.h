/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's line to the switch that serves its VR: EuropaKM through /dev/europa, or europad through its socket,
 * started where it isn't there. One struct backend is one registration: closing it gives back all that the switch holds.
 */
#ifndef EUROPA_BACKEND_H
#define EUROPA_BACKEND_H

#include <sys/types.h>

#include "runtime/region.h"
#include "runtime/spec.h"

struct error;

struct backend {
	enum vr_switch which;           /* SWITCH_KMOD or SWITCH_USER, never SWITCH_AUTO */
	int fd;                         /* poll it: POLLHUP means that the switch has died */
	int netns;                      /* where the VR's devices live */
	pid_t vr;                       /* whose control group pays for the module's work, or 0 */
};

/* Which one SWITCH_AUTO means on this host; asking for what isn't there is an error. */
int backend_choose(enum vr_switch wanted, enum vr_switch *which, struct error *e);

/*
 * Connects (starting europad, racing others politely) and registers the region; the VR's devices appear in the network namespace of the
 * calling process. ready: the region is laid out as one that was served before. vr: a child whose control group is charged for what the
 * module does for it, or 0.
 */
int backend_register(struct backend *b, enum vr_switch which, const struct region *region, bool ready, const char *name, pid_t vr,
		     struct error *e);
/* After POLLHUP: the same with a new switch, which takes the region over; then attach every vNIC again. */
int backend_adopt(struct backend *b, const struct region *region, const char *name, struct error *e);

/* vnic->mac, mtu and the device's name come back as they are. device[16]: wanted name in, name out. */
int backend_attach(struct backend *b, unsigned n, struct vr_vnic *vnic, char device[16], struct error *e);
int backend_detach(struct backend *b, unsigned n, struct error *e);
/* how: 0 to go on, or EUROPA_QUIESCE_ALL, EUROPA_QUIESCE_IN. */
int backend_quiesce(struct backend *b, unsigned how, struct error *e);
/* Asks the data plane (enum europa_asked); *asked: the request that its answer bears, for answer_seen() of core/ring.h. */
int backend_ask(struct backend *b, unsigned what, unsigned *asked, struct error *e);
/* Brings occupancy in the region's statistics up to date. */
int backend_refresh(struct backend *b, struct error *e);
void backend_close(struct backend *b);
/* The same, and returns when the switch holds nothing any more and has counted what came until then. */
void backend_end(struct backend *b);

#endif

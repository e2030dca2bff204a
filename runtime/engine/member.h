/* SPDX-License-Identifier: MIT */
/* A member is a registered VR: its region mapped, its doorbell and kick, and what its vNICs are attached to. */
#ifndef EUROPA_ENGINE_MEMBER_H
#define EUROPA_ENGINE_MEMBER_H

#include "core/vr.h"

struct engine;
struct error;
struct port;

enum { REGISTER_CONTROL, REGISTER_POOL, REGISTER_DOORBELL, REGISTER_KICK, REGISTER_NETNS, REGISTER_FDS };

struct member {
	struct member *next;
	char name[64];
	struct vr vr;
	struct port *ports[EUROPA_MAX_VNICS];   /* NULL: not attached */
	u32 attached;                           /* bit n: ports[n] is there */
	u32 dirty;                              /* bit n: frames were put into rx ring n and not yet published */
	bool ring;                              /* the VR waits for a doorbell */
	bool adopted;                           /* its region was served by another switch before */
	bool kick_gone;                         /* no writer is left: nothing to poll */
	unsigned first;                         /* the vNIC that comes first in this round */
	u32 bite;                               /* frames that are taken from a tx ring at once */
	u32 copies;                             /* that shared NICs have made of this batch for other vNICs */
	int doorbell, kick, netns;
	u32 group;                              /* of its devices, to remove them all at once */
	void *control, *pool, *memory;
};

/*
 * Checks the region's descriptors as a stranger's, maps them, and takes the region over, fresh or as it was left. The
 * descriptors become the member's (fds[i] = -1) only where this succeeds.
 */
int member_open(const struct europa_register *reg, int fds[REGISTER_FDS], struct member **member, struct error *e);
/* Unmaps, closes; nobody else may know the member any more. */
void member_close(struct member *member);

/* A port becomes vNIC n's, or is taken away (returned; NULL: there was none). Engine locked. */
void member_attach(struct member *member, struct port *port, const struct europa_attach *attach);
struct port *member_detach(struct engine *engine, struct member *member, unsigned vnic);

/* Publishes what was delivered; remembers whether the VR wants to be woken. */
void member_flush(struct member *member);

#endif

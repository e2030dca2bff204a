/* SPDX-License-Identifier: MIT */
/* The supervisor's side of a region: makes the two memfds and the two pipes, and knows who is handed which end. */
#ifndef EUROPA_REGION_H
#define EUROPA_REGION_H

#include <linux/europa.h>

struct error;

struct region {
	int control, pool;                       /* O_RDWR memfds, sealed SHRINK|GROW|SEAL, 0600, root's */
	int state;                               /* what the data plane hands over at a checkpoint: a memfd that it may resize */
	int doorbell_read, doorbell_write;       /* switch to VR: a pipe, both ends O_NONBLOCK */
	int kick_read, kick_write;               /* VR to switch */
	struct europa_geometry geometry;
};

/* All fds are close-on-exec; region_close gives them back. Nothing is left when this fails. */
int region_create(struct region *region, const struct europa_geometry *geometry, const char *name, struct error *e);
void region_close(struct region *region);

/*
 * Tells the VR its CPU quota, in thousandths of a CPU (0: none), by the header in control: its adaptive polling goes by that. The VR sees it with
 * its next wait.
 */
int region_tell_quota(int control, __u32 permille, struct error *e);

/* The descriptors for the VR, in order control (O_RDONLY), pool, doorbell_read, kick_write, state; new ones, the caller's. */
#define REGION_FDS 5
int region_for_vr(const struct region *region, int fds[REGION_FDS], struct error *e);

#endif

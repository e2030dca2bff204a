/* SPDX-License-Identifier: MIT */
/* The supervisor's side of a region: makes the two memfds and the two pipes, and knows who is handed which end. */
#ifndef EUROPA_REGION_H
#define EUROPA_REGION_H

#include <linux/europa.h>

struct error;

struct region {
	int control, pool;                       /* O_RDWR memfds, sealed SHRINK|GROW|SEAL, 0600, root's */
	int doorbell_read, doorbell_write;       /* switch to VR: a pipe, both ends O_NONBLOCK */
	int kick_read, kick_write;               /* VR to switch */
	struct europa_geometry geometry;
};

/* All fds are close-on-exec; region_close gives them back. Nothing is left when this fails. */
int region_create(struct region *region, const struct europa_geometry *geometry, const char *name, struct error *e);
void region_close(struct region *region);

/* The four descriptors for the VR, in order control (O_RDONLY), pool, doorbell_read, kick_write; new ones, the caller's. */
int region_for_vr(const struct region *region, int fds[4], struct error *e);

#endif

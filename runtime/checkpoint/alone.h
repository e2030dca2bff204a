/* SPDX-License-Identifier: MIT */
/* Which processes a VR has: a checkpoint saves its data plane, and whatever else runs in there would silently be missing. */
#ifndef EUROPA_CHECKPOINT_ALONE_H
#define EUROPA_CHECKPOINT_ALONE_H

#include <sys/types.h>

struct error;

/* Process 1's child that came first is the data plane; -1: can't be told. */
pid_t alone_data_plane(pid_t init);
/* Refuses if there is any other. */
int alone_check(pid_t init, struct error *e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What is left of a VR whose supervisor was killed before it could clean up: processes, control group, devices.
 * The supervisor does all of this by itself in the normal case.
 */
#ifndef EUROPA_SWEEP_H
#define EUROPA_SWEEP_H

#include "runtime/state.h"

struct error;

/*
 * Kills what is left and gives it back. The state directory goes too where the VR was started with --rm; otherwise *state
 * is VR_EXITED afterwards, in the file as well. The caller holds the VR's lock, and its supervisor is gone.
 */
int sweep(struct vr_state *state, struct error *e);

/* state_read(), and a sweep where it says VR_DEAD. -ENOENT: there was none, or it was swept away altogether. */
int sweep_read(const char *name, struct vr_state *state, struct error *e);

#endif

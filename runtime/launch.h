/* SPDX-License-Identifier: MIT */
/* From a spec to a VR with a supervisor, which is this process or, detached, a child of it. */
#ifndef EUROPA_LAUNCH_H
#define EUROPA_LAUNCH_H

#include "runtime/spec.h"

struct restored;

/*
 * Returns the exit status of a command of that name: the data plane's where it ran in the foreground. Detached, the VR's name is
 * printed as soon as the data plane runs. restored: what it is to go on from, or NULL.
 */
int launch(const char *command, struct vr_spec *spec, struct restored *restored);

#endif

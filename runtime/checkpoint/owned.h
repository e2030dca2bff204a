/* SPDX-License-Identifier: MIT */
/* Which device is a vNIC's own? By what its switch knows of it: others may have its name, elsewhere or since it was moved. */
#ifndef EUROPA_CHECKPOINT_OWNED_H
#define EUROPA_CHECKPOINT_OWNED_H

#include <stdbool.h>

#include "runtime/spec.h"

struct error;
struct link_info;
struct vr_state;

struct owned {
	enum vr_switch which;
	int ifindex, peer;                 /* europad: its number, wherever it is, and its other end's; 0: there is none */
	char bus_info[32];                 /* EuropaKM: whose it is, as ethtool -i shows it */
};

/* Enters europad's network namespace, and doesn't return from there. */
int owned_find(const struct vr_state *state, unsigned vnic, struct owned *owned, struct error *e);
/* A link of the calling thread's network namespace. */
bool owned_is(const struct owned *owned, const struct link_info *link);

#endif

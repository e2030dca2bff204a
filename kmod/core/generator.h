/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * A port without any network: it copies frames from a template into as many slots as the VR's rx ring takes, and copies what the VR sends
 * into a scratch frame. What passes here is the hand-off alone: the copies, the rings, the checks.
 */
#ifndef EUROPA_CORE_GENERATOR_H
#define EUROPA_CORE_GENERATOR_H

#include "core/text.h"
#include "core/vr.h"

#define GENERATOR_MIN 60u
#define GENERATOR_MAX 9014u

struct generator {
	u32 size, burst;
	u64 left;                       /* frames still to make; ~0: for ever */
	u8 template[GENERATOR_MAX];
	u8 scratch[65536 + 64];
};

/* "size=64,burst=32,count=N", to the VR's address. -EINVAL: what is in *word is not known; GENERATOR_EXPECTS is. */
int generator_init(struct generator *g, const char *arguments, const u8 mac[6], struct text *word);
#define GENERATOR_EXPECTS "size=60..9014, burst=1..64 and count=N are known"

/* Returns frames. true in *wake: ring the doorbell. */
u32 generator_make(struct generator *g, struct vr *vr, u32 vnic, u32 budget, bool *wake);
void generator_swallow(struct generator *g, const struct tx_frame *const *frames, u32 n);

#endif

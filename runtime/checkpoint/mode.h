/* SPDX-License-Identifier: MIT */
/*
 * The ways to save a VR's processes. Everything else, the region, the limits, the network, the directory, is the same for all of
 * them: checkpoint.c does it, and asks a mode three questions.
 */
#ifndef EUROPA_CHECKPOINT_MODE_H
#define EUROPA_CHECKPOINT_MODE_H

#include "runtime/checkpoint/ask.h"
#include "runtime/checkpoint/manifest.h"
#include "runtime/state.h"
#include "runtime/view.h"

struct error;

/* One attempt to checkpoint a VR. */
struct checkpoint {
	struct vr_state state;
	struct manifest manifest;
	struct view view;
	unsigned timeout_ms;
	struct line line;
	int directory;                     /* the partial one */
	uint64_t not_received;             /* frames that had been dropped in front of the VR, in the statistics with which it will go on */
};

struct mode {
	enum checkpoint_mode mode;
	/* It works on this host, and for a VR that was started as this one; the error says why not. */
	int (*available)(const struct vr_state *state, struct error *e);
	/* Looks at the VR, touches nothing, and names what it couldn't save. */
	int (*preflight)(struct checkpoint *c, struct error *e);
	/* The VR has been asked to save: waits until it stands still, and does not touch its packets from then on. */
	int (*settle)(struct checkpoint *c, struct error *e);
	/* Neither VR nor switch moves a packet. Writes the mode's files and says in the manifest what they are. */
	int (*save)(struct checkpoint *c, struct error *e);
};

extern const struct mode mode_criu, mode_warm;

#endif

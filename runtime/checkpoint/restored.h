/* SPDX-License-Identifier: MIT */
/*
 * A checkpoint that was read and verified whole, and what of it each step of starting a VR takes: container.c's ladder calls these, in the
 * order of the functions here.
 */
#ifndef EUROPA_CHECKPOINT_RESTORED_H
#define EUROPA_CHECKPOINT_RESTORED_H

#include "runtime/checkpoint/manifest.h"
#include "runtime/checkpoint/packets.h"

struct cgroup_set;
struct error;
struct region;
struct vr_state;

enum replay { REPLAY_ONCE, REPLAY_ALWAYS, REPLAY_NEVER };

struct restored {
	struct manifest manifest;
	uint8_t *bytes[CHECKPOINT_FILES];  /* the files' contents, or NULL; verified */
	struct packets_count packets;

	/* how it is restored */
	enum replay replay;
	bool leave_network;                /* devices stay as the switch makes them */
	char *netns[EUROPA_MAX_VNICS];     /* where to put a vNIC's device instead, or NULL; the caller's */

	/* while it is */
	bool with_packets, claimed, sent;
};

/* Reads and checks all there is, and creates nothing. The caller calls restored_close, also after an error. */
int restored_open(struct restored *r, const char *path, struct error *e);
void restored_close(struct restored *r);

/* The configuration beside the VR's state. */
int restored_config(const struct restored *r, const char *name, struct error *e);
/* Whose turn it is to forward the packets; and the end of that. */
int restored_claim(struct restored *r, struct error *e);
void restored_unclaim(struct restored *r);
/* Statistics, packets and the data plane's state, into a region that no switch has seen. */
int restored_lay(struct restored *r, const struct region *region, const char *name, struct error *e);
/* The devices where they were, and links up as far as they come up. */
int restored_network(struct restored *r, const struct vr_state *state, const struct region *region, struct error *e);
/* What was to leave leaves. The data plane starts after this. */
int restored_resume(struct restored *r, const struct region *region, struct error *e);
/* criu mode: the process that was saved goes on, in the VR of which process 1 is given. Nothing in warm mode. */
int restored_process(struct restored *r, const struct vr_state *state, const struct region *region, pid_t init, struct cgroup_set *cgroup,
		     struct error *e);
/* Its number in the VR; 0: process 1 starts one. */
uint32_t restored_pid(const struct restored *r);
/* The data plane has taken its state over, or has ended. */
int restored_await(struct restored *r, const struct region *region, int pidfd, struct error *e);
/* It runs: the files' contents aren't needed any more. */
void restored_drop(struct restored *r);

#endif

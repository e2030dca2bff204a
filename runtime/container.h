/* SPDX-License-Identifier: MIT */
/*
 * A VR as its supervisor holds it. Starting is a ladder of steps, each of which knows how it is undone (container.c
 * has the table); what ends a VR, or an attempt to start one, is the same ladder downwards.
 */
#ifndef EUROPA_CONTAINER_H
#define EUROPA_CONTAINER_H

#include <stdbool.h>

#include "runtime/backend.h"
#include "runtime/checkpoint/serve.h"
#include "runtime/logfile.h"
#include "runtime/region.h"
#include "runtime/rootfs.h"
#include "runtime/spec.h"
#include "runtime/state.h"

struct error;
struct cgroup_set;
struct restored;

struct container {
	struct vr_spec *spec;
	struct restored *restored; /* what it goes on from, or NULL */
	struct vr_state state;
	unsigned steps;            /* how many of the ladder's are taken */

	int lock;                  /* of the name, until the first state is written */
	struct logfile log;        /* detached VRs */
	int log_read, log_write;
	bool has_region, registered;
	struct region region;
	struct backend backend;
	struct checkpoint_server checkpoint;
	struct rootfs rootfs;
	int init_image;
	struct cgroup_set *cgroup;
	bool quota_waits;          /* and is set when the root is made */
	int handshake[2];
	pid_t pid;                 /* of process 1; 0: none, or reaped */
	int pidfd;
	bool pid_file_written;

	bool exec_failed;          /* the program itself couldn't be executed */
	int exit_status;           /* of the data plane, once it has ended */
};

/*
 * Makes the VR that the spec says and starts its data plane. When this fails, nothing is left. spec->name is filled
 * in where it was empty. restored: the checkpoint that it goes on from, or NULL.
 */
int container_start(struct container *c, struct vr_spec *spec, struct restored *restored, struct error *e);

/*
 * The data plane has ended, with c->exit_status: everything is given back, and the state says so, or is gone too
 * where the spec says --rm.
 */
void container_end(struct container *c);

/* The exit status of process 1, which has ended. */
int container_reap(struct container *c);

/* A new switch serves the VR after the old one died. */
int container_adopt(struct container *c, struct error *e);

/* EUROPA_FAULT=list was asked for, in a build that knows it. */
bool container_list_steps(void);

#endif

/* SPDX-License-Identifier: MIT */
/* The supervisor's half of a checkpoint: it freezes and resumes the VR, and makes the checkpoint valid. line.h has the whole story. */
#ifndef EUROPA_CHECKPOINT_SERVE_H
#define EUROPA_CHECKPOINT_SERVE_H

#include <limits.h>
#include <stdbool.h>

struct backend;
struct error;
struct region;

struct checkpoint_server {
	int listener;
	int tool;                          /* who is at it; -1: nobody */
	int parent;                        /* directory that the checkpoint goes to */
	char partial[NAME_MAX + 1], final[NAME_MAX + 1];
	bool frozen;
	bool committed;                    /* and the VR is to end */
};
#define CHECKPOINT_SERVER_NONE { .listener = -1, .tool = -1, .parent = -1 }

int serve_open(struct checkpoint_server *s, const char *name, struct error *e);
void serve_close(struct checkpoint_server *s, struct backend *backend);

/* A tool has come: s->tool is to be watched now, unless it is -1. */
void serve_accept(struct checkpoint_server *s);
/* It says something, or is gone. Afterwards s->tool may be -1. */
void serve_tool(struct checkpoint_server *s, struct backend *backend, const struct region *region);
/* The switch has died: what it was asked is void, and the VR goes on with the next one. */
void serve_abandon(struct checkpoint_server *s, struct backend *backend);

#endif

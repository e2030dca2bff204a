/* SPDX-License-Identifier: MIT */
/* The tool's half of a checkpoint: its line to the VR's supervisor. line.h has the whole story. */
#ifndef EUROPA_CHECKPOINT_ASK_H
#define EUROPA_CHECKPOINT_ASK_H

#include <stdbool.h>
#include <stdint.h>

struct error;

struct line {
	int fd;                            /* its end is the end of the freeze */
	int control, pool, state;          /* the region */
	uint32_t sequence;                 /* of the request that the data plane has to answer */
};
#define LINE_NONE { .fd = -1, .control = -1, .pool = -1, .state = -1 }

/* parent: the directory in which the checkpoint is made under the name `partial`, and gets the name `final`. */
int ask_begin(struct line *line, const char *name, int parent, const char *partial, const char *final, struct error *e);
/* Nothing comes in any more, and the data plane is asked to save. */
int ask_freeze(struct line *line, struct error *e);
/* The data plane has answered: from here on the switch touches no slot either. */
int ask_stop(struct line *line, struct error *e);
/* The checkpoint is there when this returns 0. */
int ask_commit(struct line *line, bool leave_running, struct error *e);
void ask_close(struct line *line);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Which checkpoints' packets have been forwarded, so that they are forwarded once, however often a checkpoint is restored: a file each below
 * the run directory, since a checkpoint itself is never changed. So it is remembered per host, and until the host is booted anew.
 */
#ifndef EUROPA_CHECKPOINT_SEEN_H
#define EUROPA_CHECKPOINT_SEEN_H

#include <stdbool.h>

struct error;

/* *first: nobody has forwarded them, or is about to; from now on it is this process. */
int seen_claim(const char *id, bool *first, struct error *e);
/* They are on their way. */
int seen_settle(const char *id, struct error *e);
/* They weren't, after all. */
void seen_release(const char *id);

#endif

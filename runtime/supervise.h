/* SPDX-License-Identifier: MIT */
/* The supervisor's loop: from the data plane's start to its end. */
#ifndef EUROPA_SUPERVISE_H
#define EUROPA_SUPERVISE_H

#include <signal.h>

struct container;

/*
 * Signals that go on to the data plane. To be blocked before the VR is made, so that none is lost and none ends the
 * supervisor.
 */
void supervise_block_signals(sigset_t *forwarded);

/* Returns when process 1 has ended and been reaped: its exit status, 128+n for a signal. */
int supervise(struct container *c, const sigset_t *forwarded);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A thread for what the kernel takes tens of milliseconds for and nobody waits for: closing a packet socket is a
 * grace period of RCU.
 */
#ifndef EUROPA_ENGINE_JANITOR_H
#define EUROPA_ENGINE_JANITOR_H

struct error;

int janitor_start(struct error *e);
/*
 * Runs do_it(arg) in the janitor's thread. Where there is no memory to remember it, at once, before those that wait: so no job may need what
 * another one ends.
 */
void janitor_later(void (*do_it)(void *), void *arg);
/* All jobs done, the thread ended. */
void janitor_stop(void);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* The worker: a kernel thread a VR, which takes what the VR sends, and rings its doorbell. */
#ifndef EUROPA_WORKER_H
#define EUROPA_WORKER_H

struct member;
struct report;

int worker_start(struct member *member, struct report *report);
/* Nobody may know the member any more but its kick. Not under RTNL. */
void worker_stop(struct member *member);
/* Any context. */
void worker_wake(struct member *member);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * europa-init as the runtime sees it: a sealed copy of its file, its orders, and how the process that becomes it is
 * prepared.
 */
#ifndef EUROPA_RUNTIME_INIT_H
#define EUROPA_RUNTIME_INIT_H

#include <stdbool.h>

#include "runtime/region.h"
#include "runtime/spec.h"

struct error;
struct handshake_message;

/*
 * A memfd with europa-init in it, sealed, and for executing only: whoever runs from it can be traced by nobody in the
 * VR, and
 * /proc/PID/exe of it leads to no file of the host.
 */
int init_image(struct error *e);

/* Orders for europa-init, sent over its handshake. direct: be the program, not its parent (europa-exec). */
int init_send_plan(int handshake, const struct vr_spec *spec, bool direct, uint32_t restored, struct error *e);

/* A handshake's two ends, [0] the supervisor's. */
int init_handshake(int ends[2], struct error *e);

/*
 * Waits until the program runs: 0. Or the failure that the other side reported; *exec_failed: the program was at
 * fault.
 */
int init_await_exec(int handshake, bool *exec_failed, struct error *e);
/* The other side's next message, which must be of this kind; its code, where that is wanted. */
int init_await(int handshake, unsigned kind, int *code, struct error *e);
/* GO, with the copy of europa-init that is made meanwhile. */
int init_send_go(int handshake, int image, struct error *e);
int init_await_go(int handshake, int *image, struct error *e);
/* Which exit status of europa-run and europa-exec says what errno does. */
int init_exec_status(int code);

/* What its process does last, wherever it is: */
struct init_start {
	int image;                 /* from init_image() */
	int handshake;
	int stdio[3];              /* -1: as it is */
	int region[REGION_FDS];
	unsigned region_count;     /* REGION_FDS, or 0 */
	char **argv;               /* "europa-init", then the program's */
	char **envp;
};
/* Puts the descriptors where they belong and becomes europa-init. Returns only when that fails. */
int init_become(const struct init_start *start, struct error *e);

/* The program's argv behind europa-init's own; NULL: no memory. One block each, free() it. */
char **init_argv(char *const *args);
char **init_envp(char *const *env, bool with_region);

#endif

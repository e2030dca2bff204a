/* SPDX-License-Identifier: MIT */
/* europad's socket: one connection is one registration. The control thread. */
#ifndef EUROPA_ENGINE_CONTROL_H
#define EUROPA_ENGINE_CONTROL_H

#include <stdbool.h>

struct engine;
struct error;

struct control {
	const char *run_dir;
	bool keep;                  /* goes on without a VR */
	int listener;               /* bound and listening */
	int signals;                /* signalfd of what ends europad */
};

/* Serves until the last VR is gone (or a signal came), gives back all that VRs had. */
int control_run(struct control *control, struct engine *engine, struct error *e);

/* The socket, after the lock: nobody else serves this directory. -EADDRINUSE: somebody does. */
int control_listen(const char *run_dir, struct error *e);
/* RUN_DIR/switch.lock, held by whoever starts a switch and by a switch that ends. */
int control_lock(const char *run_dir, bool wait, struct error *e);

#endif

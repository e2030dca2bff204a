/* SPDX-License-Identifier: MIT */
/* Executes criu: on the host, or on its way into a VR's namespaces, which its plugin (shim/criu/enter.c) enters. */
#ifndef EUROPA_CHECKPOINT_CRIU_RUN_H
#define EUROPA_CHECKPOINT_CRIU_RUN_H

#include <stdbool.h>
#include <sys/types.h>

struct cgroup_set;
struct error;

/* Descriptors that criu is executed with. */
#define CRIU_LOG_FD       199
#define CRIU_IMAGES_FD    200
#define CRIU_NAMESPACE_FD 201
#define CRIU_NAMESPACES   6
#define CRIU_INHERIT_FD   210
#define CRIU_ARGS         48

struct criu_call {
	const char *args[CRIU_ARGS];       /* from the verb on, NULL-terminated */
	pid_t init;                        /* the VR's process 1; 0: criu stays on the host */
	pid_t time;                        /* whose time namespace */
	int images;                        /* a directory */
	int fds[16];                       /* from CRIU_INHERIT_FD on */
	unsigned nfds;
	struct cgroup_set *cgroup;         /* to run in, or NULL */
	const char *name;                  /* of the VR: where the log is kept if it fails; NULL: nowhere */
	unsigned timeout_ms;               /* killed after that; 0: never, for a criu that is killed takes what it holds with it */
};

/* The error has criu's own last error line, and where its log is. */
int criu_run(const struct criu_call *call, struct error *e);

#endif

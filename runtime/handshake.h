/* SPDX-License-Identifier: MIT */
/*
 * What a supervisor and the process that becomes a VR's process 1 say to each other while it starts, over one
 * SOCK_SEQPACKET pair. The supervisor's half is in container.c, the other one in namespace.c until europa-init is
 * executed, and then in shim/init/init.c. europa-exec uses the second part alone.
 *
 *	supervisor                           the child
 *	                                     arms itself: dies with the supervisor
 *	maps ids, copies europa-init,        makes its network namespace
 *	registers the region
 *	                 GO, and the copy -->
 *	                                     hostname, root, pivot_root, cgroup and its namespace
 *	                 <-- BUILT           where the supervisor waits with the quota for it
 *	sets the quota
 *	                 struct init_plan -->
 *	                                     executes europa-init, drops privilege, forks, executes the data plane
 *	                 <-- end of file     the last copy of its end was closed by that exec
 *
 * europa-exec's scout says MADE, with the new process's number.
 *
 * Where a step fails, the child says FAILED instead and exits. Either side takes the end of file as the other one's
 * death: a child that gets it before its time exits.
 */
#ifndef EUROPA_HANDSHAKE_H
#define EUROPA_HANDSHAKE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/spec.h"

enum handshake_kind {
	HANDSHAKE_GO = 1,
	HANDSHAKE_BUILT,
	HANDSHAKE_MADE,
	HANDSHAKE_FAILED,
};

struct handshake_message {
	uint32_t kind;
	int32_t code;              /* FAILED: errno; MADE: pid */
	uint32_t exec;             /* FAILED: it was the program itself that couldn't be executed */
	char text[500];            /* FAILED: struct error's */
};

/* Where europa-init finds its end. Below it are stdio and the region's descriptors. */
#define HANDSHAKE_FD 8

/*
 * What europa-init is to do. Its own argv and environment, from argv[1] on, are the program's. Sent as one message of
 * init_plan_size() bytes.
 */
#define INIT_FILTER_MAX 2048       /* instructions */
struct init_plan {
	uint32_t size;             /* of this structure as sent */
	uint32_t uid, gid;         /* inside the VR */
	uint32_t ngroups, groups[VR_GROUPS];
	struct rlimits rlimits;    /* the program's, and not those of process 1 */
	uint32_t region_fds;       /* 5, or 0: descriptors from 3 on that the program inherits */
	uint64_t caps;             /* bit n: capability n is kept */
	uint32_t restored;         /* the data plane's pid where another program makes it, in here, later; 0: init starts it */
	uint32_t direct;           /* 1: execute the program in this process (europa-exec); 0: be process 1 and its parent */
	char cwd[4096];
	char fault[24];            /* test builds: the step to fail at */
	uint32_t filter_length;    /* instructions */
	struct sock_filter filter[INIT_FILTER_MAX];
};

static inline uint32_t init_plan_size(const struct init_plan *plan)
{
	return (uint32_t)(__builtin_offsetof(struct init_plan, filter) + plan->filter_length * sizeof plan->filter[0]);
}

/* The steps of europa-init that can fail, in their order. */
#define INIT_STEPS(X) \
	X("no-new-privs") X("sweep") X("chdir") X("bounding") X("keepcaps") X("ids") X("capabilities") X("chdir-again") \
	X("parent") X("seccomp") X("fork") X("rlimits") X("exec")

#endif

/* SPDX-License-Identifier: MIT */
/* The child's half of starting a VR: from the clone to europa-init. container.c has the other half. */
#ifndef EUROPA_NAMESPACE_H
#define EUROPA_NAMESPACE_H

#include "runtime/init.h"
#include "runtime/rootfs.h"

struct cgroup_set;

/*
 * All of a VR's but the network and cgroup namespaces, which its process makes itself: one in parallel with the supervisor, the
 * other when it is where the namespace is to have its root.
 */
#define NAMESPACE_FLAGS (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)

struct newborn {
	struct cgroup_set *cgroup;         /* to enter; NULL: born there */
	const struct rootfs *rootfs;
	const char *hostname;
	bool says_built;                   /* the quota waits for it */
	bool loopback;                     /* bring it up: something in there may use sockets */
	struct init_start init;            /* its image comes with the word to go */
};

/* In the new process, in its namespaces but the network's; it shares nothing with its parent but descriptors. */
__attribute__((noreturn)) void namespace_begin(struct newborn *newborn);

/*
 * Clones with the flags and CLONE_PIDFD, into the control group of that fd where it is not negative. As fork(2),
 * -errno.
 */
pid_t namespace_clone(unsigned long long flags, int cgroup_fd, int *pidfd);

/*
 * Makes the calling process one that nobody in the VR can trace, and that is killed when its parent ends; where that
 * has ended already, there is no return. To be repeated after a change of uid.
 */
int namespace_arm(int handshake, struct error *e);

#ifdef EUROPA_FAULTS
void namespace_list_steps(void);
#endif

#endif

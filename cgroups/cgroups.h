/* SPDX-License-Identifier: MIT */
/*
 * The life of a VR's control group: create, limit, enter, freeze, stat, kill, destroy; over cgroup v1, v2 and the
 * hybrid of both, found out at run time by what is mounted (statfs, not "the directory exists").
 * A group is named "europa/NAME" below every hierarchy that carries a controller that is wanted.
 */
#ifndef EUROPA_CGROUPS_H
#define EUROPA_CGROUPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/spec.h"      /* struct vr_limits */

struct error;
struct cgroup_set;             /* a VR's group in all hierarchies */

/* What is mounted: one of "v1", "v2", "hybrid", or "none". Read once and kept. */
const char *cgroups_layout(void);

/* Makes the group with its limits. It must not exist (-EEXIST), and nothing is left when this fails.
 * A limit whose controller is not to be had is an error that says which. */
int cgroups_create(const char *name, const struct vr_limits *limits, struct cgroup_set **out, struct error *e);
/* The group of a VR that runs. -ENOENT: none. */
int cgroups_open(const char *name, struct cgroup_set **out, struct error *e);
void cgroups_close(struct cgroup_set *set);

/* An fd for clone3(CLONE_INTO_CGROUP), or -ENOTSUP where v1 hierarchies hold the limits: then cgroups_enter(). */
int cgroups_clone_fd(const struct cgroup_set *set);
/*
 * Moves a process, with all its threads. Refuses a frozen group (-EBUSY). After a failure the process may be in some of
 * the hierarchies: end it.
 * pid 0 is the caller, and much the fastest way in where cgroups_clone_fd() has none: a single thread that moves itself
 * takes 0.13 ms, where moving another process makes the kernel wait for an RCU grace period (12 ms). So a new
 * child enters by itself, before anything else. What it needs was opened by cgroups_create()/_open(): it may already be
 * in a user or mount namespace of its own. A cgroup namespace is to be unshared afterwards.
 */
int cgroups_enter(struct cgroup_set *set, pid_t pid, struct error *e);

/* Changes what is not 0 (or NULL) in limits; all or nothing. UINT32_MAX / UINT64_MAX lift a limit. */
int cgroups_update(struct cgroup_set *set, const struct vr_limits *limits, struct error *e);
/* What is in force now, 0 or NULL: no limit. limits->cpuset is to be freed. */
int cgroups_limits(struct cgroup_set *set, struct vr_limits *limits, struct error *e);

int cgroups_freeze(struct cgroup_set *set, struct error *e);   /* returns when all is frozen; thaws where it can't */
int cgroups_thaw(struct cgroup_set *set, struct error *e);
/* Or told to freeze: on v2 a group that has a thread of the kernel in it never comes to an end with that. */
bool cgroups_frozen(struct cgroup_set *set);

struct cgroup_stat {
	uint64_t cpu_usec;                 /* used */
	uint64_t nr_periods, nr_throttled; /* quota periods that passed, and those in which it was stopped */
	uint64_t throttled_usec;
	uint64_t memory, memory_peak;      /* bytes */
	uint64_t pids;
};
int cgroups_stat(struct cgroup_set *set, struct cgroup_stat *st, struct error *e);

int cgroups_signal(struct cgroup_set *set, int sig, struct error *e);
/* SIGKILL to all, whatever state it is in; waits until the group is empty. */
int cgroups_kill(struct cgroup_set *set, struct error *e);
/* Removes the group, which must be empty. Nothing there any more: 0. */
int cgroups_destroy(struct cgroup_set *set, struct error *e);

#endif

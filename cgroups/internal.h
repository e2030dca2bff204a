/* SPDX-License-Identifier: MIT */
/*
 * What the files of cgroups/ share.
 *
 *	layout      hierarchies: what is mounted, and which controller is taken from where
 *	set         a VR's group in each of the hierarchies that it needs, an open directory each
 *	plan        limits as a list of files and values; made per version, written by limits.c
 *
 * Every hierarchy brings the functions of its version (struct version), so that the life cycle has no branches for v1 and v2.
 * cgroups.h is not included from here: its struct cgroup_stat has a namesake in libcgroup.h, which values.c needs.
 */
#ifndef EUROPA_CGROUPS_INTERNAL_H
#define EUROPA_CGROUPS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "runtime/spec.h"

struct error;
struct cgroup_stat;

#define PARENT "europa"            /* all VRs' groups are below it */

/* ---- layout.c: what is mounted ---- */

enum controller { CPU, CPUACCT, CPUSET, MEMORY, PIDS, FREEZER, CONTROLLERS };
#define BIT(controller) (1u << (controller))

/* Every VR's group has these, limited or not: statistics, freeze and kill need them. */
#define ALWAYS (BIT(CPU) | BIT(CPUACCT) | BIT(MEMORY) | BIT(PIDS) | BIT(FREEZER))

struct hierarchy {
	const struct version *version;
	char *path;                /* the mount point */
	int fd;                    /* O_PATH, of the mount point */
	unsigned serves;           /* BIT()s of the controllers that are taken from here; each is taken from one place */
};

struct layout {
	const char *name;
	unsigned n;
	struct hierarchy hierarchy[CONTROLLERS];
};

#define LAYOUT_V1 1u
#define LAYOUT_V2 2u

const struct layout *layout_get(void);
/* Reads it again, after mounts have changed; of the versions in the mask, so that either can be tried alone where both are.
 * Sets that are open are of no use afterwards. */
void layout_reload(unsigned versions);
const char *controller_name(enum controller controller);

/* ---- group.c: one group in one hierarchy ---- */

struct group {
	const struct hierarchy *hierarchy;
	int dir;                   /* the group's directory */
	int entrance;              /* open for writing "0": moves the writer; see version->entrance */
};

struct cgroup_set {
	char name[sizeof PARENT "/" + VR_NAME_MAX];
	unsigned n;
	struct group group[CONTROLLERS];
};

/* -ENOENT: somebody else has removed one of the groups. */
int set_is_alive(const struct cgroup_set *set, struct error *e);
/* The group that a controller's files are in, or NULL. */
struct group *group_of(const struct cgroup_set *set, enum controller controller);
/* The group whose cgroup.procs is believed. All have the same members, but for a process that is just entering. */
struct group *group_of_members(const struct cgroup_set *set);

/* Adds the set's group in this hierarchy; makes its directory, or opens it. */
int group_make(struct cgroup_set *set, const struct hierarchy *hierarchy, struct error *e);
int group_open(struct cgroup_set *set, const struct hierarchy *hierarchy, struct error *e);
/* Removes the set's group of this index, and the parent where that was the last one. -EBUSY: somebody is in it; then it
 * stays in the set. */
int group_remove(struct cgroup_set *set, unsigned index);
void group_close(struct group *group);

/* Text files below a directory. Reading takes white space off the end; -E2BIG where it doesn't fit. */
int file_read(int dir, const char *file, char *text, size_t size);
int file_write(int dir, const char *file, const char *text);

/* Pauses that grow from 50 us to 5 ms; false: the deadline is over. */
struct patience {
	struct timespec deadline;
	long pause_ns;
};
void patience_start(struct patience *p, int milliseconds);
bool patience_wait(struct patience *p);

/* ---- limits.c ---- */

#define VALUE_MAX 1024

struct setting {
	enum controller controller;
	const char *file;
	char value[VALUE_MAX];
	bool optional;             /* not every kernel has this file, and it can be done without */
};

struct plan {
	unsigned n;
	struct setting setting[14];
};

void plan_add(struct plan *plan, enum controller controller, const char *file, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void plan_add_optional(struct plan *plan, enum controller controller, const char *file, const char *value);
/* UINT64_MAX: "max". */
void plan_add_max(struct plan *plan, enum controller controller, const char *file, uint64_t limit);

/* A controller that isn't switched on limits nothing: the text is empty. */
int limit_read_text(const struct cgroup_set *set, enum controller controller, const char *file, char text[VALUE_MAX]);
/* "max" and nothing at all read as 0. */
int limit_read(const struct cgroup_set *set, enum controller controller, const char *file, uint64_t *limit);

int limits_check(const struct vr_limits *limits, struct error *e);
/* The controllers without which these limits can't be had, and an error that names one that isn't mounted. */
unsigned limits_need(const struct vr_limits *limits);
int limits_available(const struct vr_limits *limits, struct error *e);
/* Quota and period in microseconds, of limits that passed limits_check(). A quota of -1 is none. */
int64_t limits_quota(const struct vr_limits *limits, uint32_t *period);
/* The other way round. */
void limits_from_quota(struct vr_limits *limits, int64_t quota, uint32_t period);
/* The weight that every group has by itself is none. */
#define WEIGHT_DEFAULT 100u
#define WEIGHT_MIN     1u
#define WEIGHT_MAX     10000u
void limits_from_weight(struct vr_limits *limits, uint64_t weight);
/* Writes the limits into a group that is being made. */
int limits_write(const struct cgroup_set *set, const struct vr_limits *limits, struct error *e);

/* ---- values.c: a running group's values, by libcgroup ---- */

int value_get(const struct cgroup_set *set, enum controller controller, const char *file, char *text, size_t size);
int value_set(const struct cgroup_set *set, enum controller controller, const char *file, const char *text);
void values_forget_mounts(void);

/* ---- members.c ---- */

struct members {
	pid_t *pid;
	size_t n;
};

int members_read(const struct group *group, struct members *members);
bool members_have(const struct members *members, pid_t pid);
void members_release(struct members *members);
/* Moves a process into the group of this directory. One that is gone meanwhile is no error. */
int members_move(int dir, pid_t pid);

/* ---- freeze.c ---- */

/* Asks for it and waits a while; -ETIMEDOUT: not (yet) there. */
int freeze_try(struct group *group, int milliseconds);
int thaw_try(struct group *group);

/* ---- v1.c, v2.c ---- */

enum freezer_state { THAWED, FREEZING, FROZEN };

struct version {
	unsigned layout;           /* LAYOUT_V1, LAYOUT_V2 */

	/* The file in which a process of one thread moves itself by writing "0". */
	const char *entrance;

	/*
	 * Makes a new group's controllers work: on v1 a cpuset needs CPUs and memory nodes before a task can enter, on v2 a
	 * controller must be switched on in the levels above. Of the wanted ones only the needed ones must succeed.
	 */
	int (*prepare)(const struct group *group, const char *name, unsigned want, unsigned need, struct error *e);

	/* Adds what brings the limits about that are set, of CPU and memory; only for these controllers. */
	void (*plan)(const struct vr_limits *limits, unsigned controllers, struct plan *plan);

	/* Reads back what plan() wrote, for these controllers. */
	int (*limits)(const struct cgroup_set *set, unsigned controllers, struct vr_limits *limits);

	/* Fills in what these controllers know of CPU and memory. */
	void (*stat)(const struct group *group, unsigned controllers, struct cgroup_stat *st);

	int (*freeze)(int dir, bool on);
	int (*freezer_state)(int dir);     /* an enum freezer_state */

	/* SIGKILL to all members by the kernel itself; -ENOENT where it can't. */
	int (*kill)(int dir);
};

extern const struct version cgroup_v1, cgroup_v2;

/* The number after "key " at a line's start, or 0. */
uint64_t stat_value(const char *text, const char *key);
uint64_t number_in(int dir, const char *file);       /* 0: no such file */

#endif

/* SPDX-License-Identifier: MIT */
/* The other half of criu.c: a process that was saved goes on in a VR whose process 1 waits for it. */
#ifndef EUROPA_CHECKPOINT_CRIU_RESTORE_H
#define EUROPA_CHECKPOINT_CRIU_RESTORE_H

#include <stdint.h>
#include <sys/types.h>

struct cgroup_set;
struct criu_image;
struct error;
struct region;

/* It is root's, and nobody else may write to it or read it: what is restored runs with what the VR may do. */
int criu_restore_check(int dir, const char *path, struct error *e);
/* was: the name that the VR had. uid_base: of the VR's root, on the host. */
int criu_restore(const struct criu_image *image, const char *was, const char *name, const struct region *region, pid_t init, uint32_t uid_base,
		 struct cgroup_set *cgroup, struct error *e);

#endif

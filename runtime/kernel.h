/* SPDX-License-Identifier: MIT */
/* The line to EuropaKM: /dev/europa, an open file a VR. */
#ifndef EUROPA_KERNEL_H
#define EUROPA_KERNEL_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/region.h"

struct error;

/* The module is loaded, and we may use it. */
bool kernel_is_there(void);

/* The new registration's file in *fd. netns: where devices appear; vr: the process whose control group pays, or 0. */
int kernel_register(const struct region *region, const char *name, unsigned flags, int netns, pid_t vr, int *fd, struct error *e);

/* Any verb but EUROPA_REGISTER. */
int kernel_ask(int fd, const struct europa_request *request, struct europa_reply *reply, struct error *e);

#endif

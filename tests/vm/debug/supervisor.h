/* SPDX-License-Identifier: MIT */
/*
 * A supervisor as small as can be: one region and one open /dev/europa, each verb as the bare ioctl that it is. All functions return 0 or
 * a descriptor, or -errno.
 */
#ifndef TESTS_VM_DEBUG_SUPERVISOR_H
#define TESTS_VM_DEBUG_SUPERVISOR_H

#include <stdint.h>
#include <sys/types.h>

#include "core/layout.h"
#include "runtime/region.h"

struct supervisor {
	const char *name;
	struct region region;
	struct europa_offsets off;
	uint8_t *control, *pool;        /* mapped */
	int device;                     /* -1: not open */
	int netns;
	pid_t child;                    /* whose control group is charged, or 0 */
};

/* Ends the program with a line where the machine has no such thing as a memfd. */
void supervisor_make(struct supervisor *s, const char *name, const struct europa_geometry *geometry);
void supervisor_free(struct supervisor *s);

int supervisor_open(struct supervisor *s);
int supervisor_close(struct supervisor *s);
int supervisor_register(struct supervisor *s, unsigned flags);
int supervisor_attach(struct supervisor *s, const struct europa_attach *attach);
int supervisor_detach(struct supervisor *s, unsigned vnic);
int supervisor_quiesce(struct supervisor *s, unsigned on);
int supervisor_ask(struct supervisor *s, unsigned what);
int supervisor_refresh(struct supervisor *s);
/* What the module says about the last verb that failed. */
const char *supervisor_why(struct supervisor *s);

/* The VR's side of its rings, as whoever wants to break them needs it. */
struct europa_line *supervisor_line(const struct supervisor *s, unsigned ring);
uint32_t *supervisor_entries(const struct supervisor *s, unsigned ring);

/* Writes a text to a file of /proc or /sys; ends the program where that fails. */
void put(const char *path, const char *text);

#endif

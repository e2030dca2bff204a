/* SPDX-License-Identifier: MIT */
/*
 * The stations as bytes: what a checkpoint saves, and a bridge that goes on elsewhere begins with. A header, then
 * sixteen bytes a station. Ageing goes on where it was; how long, and how many there is room for, is the new bridge's.
 */
#ifndef L2SWITCH_STATE_H
#define L2SWITCH_STATE_H

#include <stddef.h>

#include "images/l2switch/stations.h"

#define STATE_VERSION 1

/* Takes bytes; 0 or a negative errno, which ends it. */
typedef int state_put_fn(void *to, const void *bytes, size_t n);
int state_save(const struct stations *stations, uint32_t ports, uint32_t now, state_put_fn *put, void *to);

/*
 * Into an empty table. The bytes may come from anywhere: 0, or -EINVAL and in *why a static text that says what is wrong. Stations for which
 * there is no room are left out: their frames are flooded until they are learned.
 */
int state_load(struct stations *stations, uint32_t ports, uint32_t now, uint32_t version, const void *blob, size_t len, const char **why);

#endif

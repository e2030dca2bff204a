/* SPDX-License-Identifier: MIT */
/*
 * The message on europad's socket: from the bytes that came to a checked struct europa_request, and nothing else.
 * No state, no descriptors, so that it can be tested and fuzzed by itself.
 */
#ifndef EUROPA_ENGINE_PROTOCOL_H
#define EUROPA_ENGINE_PROTOCOL_H

#include <linux/europa.h>
#include <stdbool.h>
#include <stddef.h>

struct error;

/* The most that a client of a later version may send. */
#define REQUEST_MAX 4096

/*
 * Sized structs: what an older client left out is zero, what a newer one sends beyond this version must be zero.
 * Every text is NUL-terminated and every name made of what names are made of afterwards. -E2BIG, -EPROTO, -EINVAL.
 */
int request_parse(const void *bytes, size_t n, struct europa_request *request, struct error *e);

/* A VR's name, as state directories and devices can bear it. */
bool name_is_valid(const char *name);

#endif

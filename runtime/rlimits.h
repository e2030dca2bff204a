/* SPDX-License-Identifier: MIT */
/* An image's resource limits (setrlimit(2)), by the names that OCI and the kernel have for them. */
#ifndef EUROPA_RLIMITS_H
#define EUROPA_RLIMITS_H

#include <stdbool.h>
#include <stdint.h>

#define RLIMITS          16
#define RLIMIT_UNLIMITED UINT64_MAX

struct error;

struct rlimits {
	uint32_t n;
	struct rlimits_one {
		uint32_t resource;
		uint64_t soft, hard;       /* soft <= hard */
	} one[RLIMITS];
};

/* "RLIMIT_NOFILE". NULL, false: there is none. */
const char *rlimit_name(unsigned resource);
bool rlimit_number(const char *name, unsigned *resource);

/* The calling process, and so its children, may have these. More than its own hard limit takes privilege on the host. */
int rlimits_allow(const struct rlimits *limits, struct error *e);
/* The calling process has these. */
int rlimits_set(const struct rlimits *limits, struct error *e);

#endif

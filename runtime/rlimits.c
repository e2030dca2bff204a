/* SPDX-License-Identifier: MIT */
#include "runtime/rlimits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "runtime/error.h"

static const char *const names[RLIMITS] = {
	[RLIMIT_CPU] = "RLIMIT_CPU", [RLIMIT_FSIZE] = "RLIMIT_FSIZE", [RLIMIT_DATA] = "RLIMIT_DATA", [RLIMIT_STACK] = "RLIMIT_STACK",
	[RLIMIT_CORE] = "RLIMIT_CORE", [RLIMIT_RSS] = "RLIMIT_RSS", [RLIMIT_NPROC] = "RLIMIT_NPROC", [RLIMIT_NOFILE] = "RLIMIT_NOFILE",
	[RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK", [RLIMIT_AS] = "RLIMIT_AS", [RLIMIT_LOCKS] = "RLIMIT_LOCKS",
	[RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING", [RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE", [RLIMIT_NICE] = "RLIMIT_NICE",
	[RLIMIT_RTPRIO] = "RLIMIT_RTPRIO", [RLIMIT_RTTIME] = "RLIMIT_RTTIME",
};

const char *rlimit_name(unsigned resource)
{
	return resource < RLIMITS ? names[resource] : NULL;
}

bool rlimit_number(const char *name, unsigned *resource)
{
	for (*resource = 0; *resource < RLIMITS; ++*resource)
		if (strcmp(names[*resource], name) == 0)
			return true;
	return false;
}

static int set(const struct rlimits_one *l, uint64_t soft, uint64_t hard, struct error *e)
{
	const struct rlimit64 limit = { soft, hard };
	char value[24] = "unlimited";

	if (prlimit64(0, l->resource, &limit, NULL) == 0)
		return 0;
	if (l->hard != RLIMIT_UNLIMITED)
		snprintf(value, sizeof value, "%llu", (unsigned long long)l->hard);
	return fail(e, errno, "cannot set the image's resource limit %s to %s", names[l->resource], value);
}

int rlimits_allow(const struct rlimits *limits, struct error *e)
{
	int err = 0;

	for (uint32_t i = 0; i < limits->n && !err; i++) {
		const struct rlimits_one *l = &limits->one[i];
		struct rlimit64 now;

		if (prlimit64(0, l->resource, NULL, &now) < 0)
			return fail(e, errno, "cannot read the resource limit %s", names[l->resource]);
		if (now.rlim_max < l->hard)
			err = set(l, now.rlim_cur, l->hard, e);
	}
	return err;
}

int rlimits_set(const struct rlimits *limits, struct error *e)
{
	int err = 0;

	for (uint32_t i = 0; i < limits->n && !err; i++)
		err = set(&limits->one[i], limits->one[i].soft, limits->one[i].hard, e);
	return err;
}

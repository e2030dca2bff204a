/* SPDX-License-Identifier: MIT */
#include "counters.h"

#include <linux/europa.h>

const char *const counter_names[COUNTER_COUNT] = {
#define X(id, name) [COUNT_##id] = name,
	COUNTERS(X)
#undef X
};

#define X(id, text) _Static_assert(sizeof(text) <= sizeof(((struct europa_dp_counter *)0)->name), text);
COUNTERS(X)
#undef X
_Static_assert(COUNTER_COUNT <= EUROPA_DP_COUNTERS, "more counters than the region has room for");

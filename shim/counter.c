// SPDX-License-Identifier: MIT
/* Counters that a data plane shows to europa-stat under names of its own. */
#include <string.h>

#include "shim/private.h"

uint64_t europa_counter_left(const struct europa *eu, const char *name)
{
	const struct europa_private *priv = eu->priv;
	const struct europa_dp_counter *counter;

	for (counter = priv->counters; counter < priv->counters + EUROPA_DP_COUNTERS; counter++) {
		if (counter->name[0] && !strncmp(counter->name, name, sizeof(counter->name)))
			return counter->value;
	}
	return 0;
}

uint64_t *europa_counter(struct europa *eu, const char *name)
{
	struct europa_private *priv = eu->priv;
	struct europa_dp_counter *counter;
	size_t length = strnlen(name, sizeof(counter->name) - 1);

	if (!length)
		return &priv->spare_counter;
	for (counter = priv->counters; counter < priv->counters + EUROPA_DP_COUNTERS; counter++) {
		if (!counter->name[0]) {
			counter->value = 0;
			memcpy(counter->name, name, length);
			return (uint64_t *)&counter->value;
		}
		/* Asked for before, by this process or by the one whose region it took over: it goes on. */
		if (!strncmp(counter->name, name, length) && !counter->name[length])
			return (uint64_t *)&counter->value;
	}
	return &priv->spare_counter;
}

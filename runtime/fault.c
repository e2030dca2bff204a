/* SPDX-License-Identifier: MIT */
#include "runtime/fault.h"

#ifdef EUROPA_FAULTS
#include <stdlib.h>
#include <string.h>

bool fault_wanted(const char *step)
{
	const char *wanted = getenv("EUROPA_FAULT");

	return wanted && strcmp(wanted, step) == 0;
}
#endif

/* SPDX-License-Identifier: MIT */
#include "runtime/fault.h"

#ifdef EUROPA_FAULTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool fault_wanted(const char *step)
{
	const char *wanted = getenv("EUROPA_FAULT"), *killed = getenv("EUROPA_FAULT_KILL");

	if (killed && strcmp(killed, step) == 0)
		kill(getpid(), SIGKILL);
	return wanted && strcmp(wanted, step) == 0;
}
#endif

/* SPDX-License-Identifier: MIT */
/*
 * Every step of starting a VR has a name, and a build with -DEUROPA_FAULTS fails at the step that $EUROPA_FAULT
 * names, so that a test can see that nothing is left behind; where $EUROPA_FAULT_KILL names it, the process is killed there. EUROPA_FAULT=list
 * prints the names. Other builds have none of this.
 */
#ifndef EUROPA_FAULT_H
#define EUROPA_FAULT_H

#include <errno.h>
#include <stdbool.h>

#include "runtime/error.h"

#ifdef EUROPA_FAULTS
bool fault_wanted(const char *step);
#else
static inline bool fault_wanted(const char *step)
{
	return false;
}
#endif

static inline int fault_inject(const char *step, struct error *e)
{
	return fault_wanted(step) ? fail(e, EIO, "fault injected at step \"%s\"", step) : 0;
}

#endif

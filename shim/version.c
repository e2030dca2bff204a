// SPDX-License-Identifier: MIT
#include "shim/europa.h"

const char *europa_version(void)
{
	return EUROPA_VERSION;
}

/* SPDX-License-Identifier: MIT */
/* One line in switch.log (stderr, where europad stays in the foreground), with the time. */
#ifndef EUROPA_ENGINE_LOG_H
#define EUROPA_ENGINE_LOG_H

#include "runtime/error.h"

void note(const char *fmt, ...) PRINTF(1, 2);

#endif

/* SPDX-License-Identifier: MIT */
#include "runtime/engine/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

void note(const char *fmt, ...)
{
	char line[600];
	struct timespec now;
	struct tm tm;
	size_t used;
	va_list ap;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%SZ ", &tm);
	va_start(ap, fmt);
	vsnprintf(line + used, sizeof line - used - 1, fmt, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "%s\n", line);      /* one write: lines of two threads don't mix */
}

/* SPDX-License-Identifier: MIT */
#include "runtime/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int fail(struct error *e, int code, const char *fmt, ...)
{
	size_t used;
	va_list ap;

	if (!e || e->code)
		return -code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	used = strlen(e->text);
	snprintf(e->text + used, sizeof e->text - used, ": %s", strerror(code));
	e->code = code;
	return -code;
}

int refuse(struct error *e, const char *fmt, ...)
{
	va_list ap;

	if (!e || e->code)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	e->code = EINVAL;
	return -EINVAL;
}

int context(struct error *e, const char *fmt, ...)
{
	char below[sizeof e->text];
	size_t used;
	va_list ap;

	if (!e)
		return -EINVAL;
	memcpy(below, e->text, sizeof below);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	used = strlen(e->text);
	snprintf(e->text + used, sizeof e->text - used, ": %s", below);
	return -e->code;
}

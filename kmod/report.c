// SPDX-License-Identifier: GPL-2.0
#include "report.h"

#include <linux/ctype.h>
#include <linux/kernel.h>

/* What is quoted came from a caller: whatever it was, it becomes printable. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if (!isascii(*text) || !isprint(*text))
			*text = '?';
	}
}

int fail(struct report *report, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vscnprintf(report->text, sizeof(report->text), format, arguments);
	va_end(arguments);
	make_printable(report->text);
	return -code;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* Why a verb failed: one line of text beside the errno, for the supervisor to show. */
#ifndef EUROPA_REPORT_H
#define EUROPA_REPORT_H

#include <linux/compiler.h>

struct report {
	char text[256];
};

/* Writes the line and returns -code, so that a failure is one statement. */
__printf(3, 4) int fail(struct report *report, int code, const char *format, ...);

#endif

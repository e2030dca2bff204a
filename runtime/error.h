/* SPDX-License-Identifier: MIT */
/*
 * Errors travel as a negative errno and one line of text, which is made where the cause is known and printed
 * once, at the command's edge, as "europa-run: TEXT". The first failure is the one that explains: a later one
 * on the way out (an undo that fails too) does not overwrite it.
 */
#ifndef EUROPA_ERROR_H
#define EUROPA_ERROR_H

#include <stddef.h>

struct error {
	int code;          /* errno value, 0: none */
	char text[500];
};

#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* A step that failed: TEXT is the format's result and ": strerror(code)". Returns -code. */
int fail(struct error *e, int code, const char *fmt, ...) PRINTF(3, 4);

/* Input that can't be taken: TEXT is the format's result alone; it quotes the input and says what would be right.
 * Returns -EINVAL. */
int refuse(struct error *e, const char *fmt, ...) PRINTF(2, 3);

/* Puts "fmt: " before the text of an error that came from below. Returns -e->code. */
int context(struct error *e, const char *fmt, ...) PRINTF(2, 3);

#endif

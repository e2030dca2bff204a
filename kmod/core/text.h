/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Parts of a text, for what a user wrote: rules (rule.h), and a generator's arguments (generator.h). */
#ifndef EUROPA_CORE_TEXT_H
#define EUROPA_CORE_TEXT_H

#include "core/env.h"

struct text {
	const char *at;
	u32 n;
};

/* All from *p on that is neither `end` nor the text's end; *p is behind it afterwards. */
static inline struct text text_until(const char **p, char end)
{
	struct text t = { .at = *p };

	while (**p && **p != end)
		++*p;
	t.n = (u32)(*p - t.at);
	return t;
}

static inline bool text_is(struct text t, const char *word)
{
	u32 i;

	for (i = 0; i < t.n; i++) {
		if (!word[i] || word[i] != t.at[i])
			return false;
	}
	return !word[i];
}

/* -1: none. */
static inline int text_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* All of it and nothing else. */
static inline bool text_digits(struct text t, u32 base, u64 *out)
{
	u32 i;

	*out = 0;
	for (i = 0; i < t.n; i++) {
		int digit = text_digit(t.at[i]);

		if (digit < 0 || digit >= (int)base || __builtin_mul_overflow(*out, (u64)base, out) ||
		    __builtin_add_overflow(*out, (u64)digit, out))
			return false;
	}
	return t.n > 0;
}

/* Decimal, or hexadecimal with 0x. */
static inline bool text_number(struct text t, u64 *out)
{
	if (t.n > 2 && t.at[0] == '0' && (t.at[1] | 0x20) == 'x')
		return text_digits((struct text){ t.at + 2, t.n - 2 }, 16, out);
	return text_digits(t, 10, out);
}

#endif

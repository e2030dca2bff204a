/* SPDX-License-Identifier: MIT */
/* Where a fuzzer has a state saved that was taken: in as many bytes as it had, or in fewer where what was in it twice is there once. */
#ifndef EUROPA_FUZZ_BYTES_H
#define EUROPA_FUZZ_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
	uint8_t *at;
	size_t n, room;
};

static inline int put(void *to, const void *bytes, size_t n)
{
	struct bytes *b = to;

	if (n > b->room - b->n)
		abort();
	if (n)
		memcpy(b->at + b->n, bytes, n);
	b->n += n;
	return 0;
}

#endif

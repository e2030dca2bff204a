// SPDX-License-Identifier: MIT
/*
 * Any bytes as a state that ipfwd is to go on from: taken, or refused with a message. What was taken is saved and loaded
 * again, and is as long as it was.
 */
#include <stdlib.h>

#include "images/ipfwd/state.h"
#include "tests/fuzz/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct europa_vnic vnics[3];
	struct europa eu = { .nvnics = 3, .vnics = vnics };
	struct router *r = router_new(&eu, 1000), *again;
	struct error e = { 0 };
	/* Exactly as long as it says: a step beyond the end is seen. */
	uint8_t *blob = malloc(size ? size : 1);
	struct bytes saved = { .at = malloc(size ? size : 1), .room = size };
	int err;

	memcpy(blob, data, size);
	err = state_load(r, STATE_VERSION, blob, size, &e);
	if ((err != 0) != (e.code != 0) || (err && !e.text[0]))
		abort();
	if (!err) {
		if (state_save(r, put, &saved))
			abort();
		again = router_new(&eu, 1000);
		if (state_load(again, STATE_VERSION, saved.at, saved.n, &e) || fib_count(&again->fib) != fib_count(&r->fib))
			abort();
		router_free(again);
	}
	router_free(r);
	free(saved.at);
	free(blob);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * A data plane whose state is one number, its generation. The first one takes nothing, so that what comes in stays in its rings; those
 * that go on from a checkpoint forward from vNIC 0 to 1. With "refuse" as its argument, a later generation can't load.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shim/europa.h"

#define BURST 32

static uint32_t generation;

static int save(struct europa *eu, void *argument)
{
	return europa_state_write(eu, &generation, sizeof generation);
}

static int load(struct europa *eu, uint32_t version, const void *blob, size_t length, void *argument)
{
	if (version != 1 || length != sizeof generation || argument)
		return -EINVAL;
	memcpy(&generation, blob, sizeof generation);
	generation++;
	return 0;
}

static const struct europa_state_ops ops = { .version = 1, .save = save, .load = load };

static void hoard(struct europa *eu)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (;;) {
		europa_state_poll(eu);
		nanosleep(&moment, NULL);
	}
}

static void forward(struct europa *eu)
{
	uint32_t packets[BURST];

	for (;;) {
		unsigned got = europa_rx(eu, 0, packets, BURST), sent = europa_tx(eu, 1, packets, got);

		europa_drop(eu, packets + sent, got - sent);
		if (!got)
			europa_wait(eu, -1);
	}
}

int main(int argc, char **argv)
{
	struct europa *eu;

	if (europa_attach(&eu) < 0 || europa_state(eu, &ops, argc > 1 ? argv[1] : NULL) < 0) {
		fprintf(stderr, "hoarder: it can't go on\n");
		return 1;
	}
	*europa_counter(eu, "generation") = generation;
	if (generation == 0)
		hoard(eu);
	forward(eu);
	return 0;
}

// SPDX-License-Identifier: MIT
/*
 * The data plane of a VR that is no good neighbour, to measure what that does to others.
 *
 *	neighbour spin [PROCESSES]   polls for ever without ever waiting, and so do as many processes beside it
 *	neighbour flood              sends frames of its own out of vNIC 0, as many as it can, without ever waiting
 *	neighbour die                takes slots, sends some, and crashes
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/europa.h"

#define BURST 64

static void forward(struct europa *eu)
{
	uint32_t slots[BURST];

	for (unsigned vnic = 0; vnic < eu->nvnics; vnic++) {
		unsigned got = europa_rx(eu, vnic, slots, BURST);
		unsigned sent = europa_tx(eu, (vnic ^ 1) < eu->nvnics ? vnic ^ 1 : vnic, slots, got);

		europa_drop(eu, slots + sent, got - sent);
	}
}

/* Broadcasts of a protocol that nobody speaks. */
static unsigned flood(struct europa *eu)
{
	uint32_t slots[BURST];
	unsigned n = europa_alloc(eu, slots, BURST), sent;

	for (unsigned i = 0; i < n; i++) {
		memset(europa_data(eu, slots[i]), 0xff, 12);
		memset(europa_data(eu, slots[i]) + 12, 0x88, 48);
		europa_meta(eu, slots[i])->len = 60;
	}
	sent = europa_tx(eu, 0, slots, n);
	europa_drop(eu, slots + sent, n - sent);
	return sent;
}

static void start_others(int others)
{
	while (others-- > 0) {
		if (fork() != 0)
			continue;
		for (;;)
			;
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "spin";
	unsigned long sent = 0;
	struct europa *eu;
	int error = europa_attach(&eu);

	if (strcmp(mode, "spin") && strcmp(mode, "flood") && strcmp(mode, "die")) {
		fprintf(stderr, "neighbour: '%s': spin, flood or die is wanted\n", mode);
		return 2;
	}
	if (error) {
		fprintf(stderr, "neighbour: %s\n", europa_strerror(error));
		return 1;
	}
	if (!strcmp(mode, "spin"))
		start_others(argc > 2 ? atoi(argv[2]) : 0);
	for (;;) {
		forward(eu);
		if (strcmp(mode, "spin"))
			sent += flood(eu);
		if (!strcmp(mode, "die") && sent > 1000)
			abort();
	}
}

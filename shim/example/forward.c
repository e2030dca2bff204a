// SPDX-License-Identifier: MIT
/* A whole data plane: what comes in at vNIC 0 leaves by vNIC 1 and the other way round, and is counted. */
#include <europa.h>
#include <stdio.h>

#define BURST 32

static void forward(struct europa *eu, unsigned in, unsigned out, uint64_t *count)
{
	uint32_t packets[BURST];
	unsigned got = europa_rx(eu, in, packets, europa_tx_room(eu, out, BURST));
	unsigned sent = europa_tx(eu, out, packets, got);

	europa_drop(eu, packets + sent, got - sent);
	*count += sent;
}

int main(void)
{
	struct europa *eu;
	uint64_t *count;
	int error = europa_attach(&eu);

	if (error) {
		fprintf(stderr, "forward: %s\n", europa_strerror(error));
		return 1;
	}
	count = europa_counter(eu, "forwarded");
	for (;;) {
		forward(eu, 0, 1, count);
		forward(eu, 1, 0, count);
		europa_wait(eu, -1);
	}
}

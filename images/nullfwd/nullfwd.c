// SPDX-License-Identifier: MIT
/*
 * nullfwd: what comes in at vNIC n goes out of vNIC n^1, unseen. What forwarding costs at the very least; with an odd number
 * of vNICs the last one's packets come back.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/europa.h"

#define BURST_MAX 256

static const char usage[] =
	"usage: nullfwd [--burst N]\n"
	"Sends what comes in at vNIC 0 out of vNIC 1, 1 to 0, 2 to 3, and so on.\n"
	"\n"
	"  -b, --burst N   packets in a burst, 1 to 256 (default 32)\n"
	"  -h, --help      this text\n"
	"  -V, --version   the version\n";

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	stop = signal;
}

/* Exits with 2 where the command line makes no sense. */
static unsigned parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "burst", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	unsigned long burst = 32;
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "b:hV", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			burst = strtoul(optarg, &end, 10);
			if (*optarg < '0' || *optarg > '9' || *end || burst < 1 || burst > BURST_MAX) {
				fprintf(stderr, "nullfwd: --burst '%s': a number from 1 to %d is wanted\n", optarg, BURST_MAX);
				exit(2);
			}
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'V':
			puts("nullfwd " EUROPA_VERSION);
			exit(0);
		default:
			fputs("nullfwd: see nullfwd --help\n", stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "nullfwd: '%s': only options are wanted, see nullfwd --help\n", argv[optind]);
		exit(2);
	}
	return (unsigned)burst;
}

/* One burst from one vNIC to its neighbour. */
static unsigned forward(struct europa *eu, unsigned in, unsigned burst, uint64_t *tx_full)
{
	uint32_t slots[BURST_MAX];
	unsigned out = (in ^ 1) < eu->nvnics ? in ^ 1 : in;
	unsigned got = europa_rx(eu, in, slots, europa_tx_room(eu, out, burst));
	unsigned sent = got ? europa_tx(eu, out, slots, got) : 0;

	if (sent < got) {
		europa_drop(eu, slots + sent, got - sent);
		*tx_full += got - sent;
	}
	return got;
}

/* It knows nothing: its counters and packets are saved without it. */
static int save(struct europa *eu, void *unused)
{
	return 0;
}

static int load(struct europa *eu, uint32_t version, const void *blob, size_t len, void *unused)
{
	if (version == 1 && len == 0)
		return 0;
	fprintf(stderr, "nullfwd: the state can't be loaded: version %u with %zu bytes; version 1 has none\n", version, len);
	return -EINVAL;
}

static const struct europa_state_ops state_ops = { .version = 1, .save = save, .load = load };

int main(int argc, char **argv)
{
	unsigned burst = parse(argc, argv);
	const struct sigaction action = { .sa_handler = on_signal };
	uint64_t *tx_full;
	struct europa *eu;
	int error = europa_attach(&eu);

	if (error) {
		fprintf(stderr, "nullfwd: %s\n", europa_strerror(error));
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	tx_full = europa_counter(eu, "tx_full");
	error = europa_state(eu, &state_ops, NULL);
	if (error < 0) {
		/* load has said the rest. */
		if (error != -EINVAL)
			fprintf(stderr, "nullfwd: %s\n", europa_strerror(error));
		return 1;
	}

	while (!stop) {
		unsigned work = 0;

		for (unsigned vnic = 0; vnic < eu->nvnics; vnic++)
			work += forward(eu, vnic, burst, tx_full);
		/* Not for ever: a signal that comes just before the sleep is seen after it. */
		if (!work)
			europa_wait(eu, 1000);
	}
	europa_detach(eu);
	return 0;
}

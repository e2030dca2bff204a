// SPDX-License-Identifier: MIT
/* l2switch: an Ethernet switch between all vNICs of its VR. Options, signals and the loop; bridge.c has the packets. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "images/l2switch/bridge.h"
#include "images/l2switch/state.h"

#define AGEING_DEFAULT   300
#define AGEING_MAX       1000000
#define STATIONS_DEFAULT 16384
#define STATIONS_MAX     (1 << 22)

static const char usage[] =
	"usage: l2switch [--ageing SECONDS] [--stations N]\n"
	"Switches Ethernet frames between all vNICs: learns where stations are, floods what it doesn't know.\n"
	"\n"
	"  -a, --ageing SECONDS  forget a station that was silent for so long (default 300; 0: learn nothing)\n"
	"  -s, --stations N      room for about so many stations (default 16384)\n"
	"  -h, --help            this text\n"
	"  -V, --version         the version\n";

struct settings {
	uint32_t ageing, stations;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	stop = signal;
}

/* Exits with 2 where the text is no number in the range. */
static uint32_t number(const char *option, const char *text, uint32_t min, uint32_t max)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < min || value > max) {
		fprintf(stderr, "l2switch: --%s '%s': a number from %u to %u is wanted\n", option, text, min, max);
		exit(2);
	}
	return (uint32_t)value;
}

static struct settings parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ageing", required_argument, NULL, 'a' },
		{ "stations", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct settings settings = { .ageing = AGEING_DEFAULT, .stations = STATIONS_DEFAULT };
	int option;

	while ((option = getopt_long(argc, argv, "a:s:hV", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			settings.ageing = number("ageing", optarg, 0, AGEING_MAX);
			break;
		case 's':
			settings.stations = number("stations", optarg, 1, STATIONS_MAX);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'V':
			puts("l2switch " EUROPA_VERSION);
			exit(0);
		default:
			fputs("l2switch: see l2switch --help\n", stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "l2switch: '%s': only options are wanted, see l2switch --help\n", argv[optind]);
		exit(2);
	}
	return settings;
}

/* Sixteen random bytes that the kernel gives to every new program. */
static uint64_t secret(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	uint64_t value = 0x9e3779b97f4a7c15ull;

	if (random)
		memcpy(&value, random, sizeof(value));
	return value;
}

static uint32_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec;
}

static int put(void *eu, const void *bytes, size_t n)
{
	return europa_state_write(eu, bytes, n);
}

static int save(struct europa *eu, void *bridge)
{
	return state_save(&((struct bridge *)bridge)->stations, eu->nvnics, seconds(), put, eu);
}

static int load(struct europa *eu, uint32_t version, const void *blob, size_t len, void *bridge)
{
	const char *why = "";
	int error = state_load(&((struct bridge *)bridge)->stations, eu->nvnics, seconds(), version, blob, len, &why);

	if (error)
		fprintf(stderr, "l2switch: the state can't be loaded: %s\n", why);
	return error;
}

static const struct europa_state_ops state_ops = { .version = STATE_VERSION, .save = save, .load = load };

static void run(struct bridge *bridge)
{
	unsigned first = 0;

	while (!stop) {
		uint32_t now = seconds();
		unsigned work = 0;

		for (unsigned i = 0; i < bridge->eu->nvnics; i++)
			work += bridge_burst(bridge, (first + i) % bridge->eu->nvnics, now);
		first++;
		/* Not for ever: a signal that comes just before the sleep is seen after it. */
		if (!work)
			europa_wait(bridge->eu, 1000);
	}
}

int main(int argc, char **argv)
{
	struct settings settings = parse(argc, argv);
	const struct sigaction action = { .sa_handler = on_signal };
	static struct bridge bridge;
	struct europa *eu;
	int error = europa_attach(&eu);

	if (error) {
		fprintf(stderr, "l2switch: %s\n", europa_strerror(error));
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (bridge_init(&bridge, eu, settings.stations, settings.ageing, secret()) < 0) {
		fprintf(stderr, "l2switch: --stations '%u': not enough memory, take less\n", settings.stations);
		return 1;
	}
	error = europa_state(eu, &state_ops, &bridge);
	if (error < 0) {
		/* load has said the rest. */
		if (error != -EINVAL)
			fprintf(stderr, "l2switch: %s\n", europa_strerror(error));
		return 1;
	}
	run(&bridge);
	bridge_release(&bridge);
	europa_detach(eu);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * ipfwd: an IPv4 router between all vNICs of its VR. Options, signals and the loop; router.h says where the packets
 * go.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "config.h"
#include "router.h"
#include "state.h"

#define CONFIG_FILE "/etc/europa/config"
#define PUBLISH_MS  100
#define WAIT_MS     1000    /* not for ever: a signal that comes just before the sleep is seen after it */

static volatile sig_atomic_t stop, print;

static void on_stop(int signal)
{
	stop = signal;
}

static void on_print(int signal)
{
	print = signal;
}

static void usage(FILE *out)
{
	fputs("usage: ipfwd [--config FILE] [--check] [--] [STATEMENT...]\n"
	      "Routes IPv4 between all vNICs. Statements are arguments, or lines of the file:\n"
	      "\n", out);
	config_help(out);
	fputs("\n"
	      "PREFIX is like 10.9.0.0/16 or \"default\"; vNICs are numbered from 0; # begins a comment.\n"
	      "Without any address, vNIC N gets 10.0.N.1/24: hosts 10.0.0.2 and 10.0.1.2 reach each other.\n"
	      "\n"
	      "  -c, --config FILE  statements from FILE (default " CONFIG_FILE ", where it exists)\n"
	      "  -n, --check        read the statements, say what is wrong with them, and leave\n"
	      "  -h, --help         this text\n"
	      "  -V, --version      the version\n"
	      "\n"
	      "SIGUSR1 prints the counters; so does the end.\n"
	      "\n"
	      "  europa-run --vnics 2 image/ipfwd -- address 0 10.0.1.1/24 address 1 192.0.2.2/30 \\\n"
	      "             route default via 192.0.2.1\n", out);
}

struct settings {
	const char *config;
	bool check;
};

/* Exits where there is nothing to run. What is left of argv from optind on are statements. */
static struct settings parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct settings settings = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "+c:nhV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			settings.config = optarg;
			break;
		case 'n':
			settings.check = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		case 'V':
			printf("ipfwd %s\n", EUROPA_VERSION);
			exit(0);
		default:
			fputs("ipfwd: see ipfwd --help\n", stderr);
			exit(2);
		}
	}
	return settings;
}

static int read_config(struct config *config, const struct settings *settings, int n, char **statements,
		       struct error *e)
{
	int err = config_read(config, settings->config ? settings->config : CONFIG_FILE, e);

	if (err == -ENOENT && !settings->config) {
		*e = (struct error){ 0 };
		err = 0;
	}
	return err ? err : config_arguments(config, n, statements, e);
}

static u64 milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (u64)now.tv_sec * 1000 + (u64)now.tv_nsec / 1000000;
}

static void print_counters(const struct router *r)
{
	unsigned i;

	for (i = 0; i < COUNTER_COUNT; i++)
		if (r->count[i])
			printf("%-20s %" PRIu64 "\n", counter_names[i], r->count[i]);
	fflush(stdout);
}

/* One turn over all vNICs, from `first` on. Returns packets. */
static unsigned turn(struct router *r, unsigned first)
{
	unsigned i, got, work = 0;
	u32 slots[ROUTER_BURST];

	for (i = 0; i < r->nports; i++) {
		unsigned vnic = first + i < r->nports ? first + i : first + i - r->nports;

		got = europa_rx_forward(r->eu, vnic, slots, ROUTER_BURST);
		if (!got)
			continue;
		router_receive(r, vnic, slots, got);
		router_flush(r);
		work += got;
	}
	return work;
}

/* How long to sleep where there is nothing to do. */
static int patience(const struct router *r)
{
	u64 due = router_due(r);

	if (due <= r->now)
		return 0;
	return due - r->now < WAIT_MS ? (int)(due - r->now) : WAIT_MS;
}

/* Copies the counters to where europa-stat finds them; the first time that something happened, under its name. */
static void publish_counters(const struct router *r)
{
	static uint64_t *shown[COUNTER_COUNT];
	unsigned i;

	for (i = 0; i < COUNTER_COUNT; i++) {
		if (!shown[i] && r->count[i])
			shown[i] = europa_counter(r->eu, counter_names[i]);
		if (shown[i])
			*shown[i] = r->count[i];
	}
}

/* ---- checkpoint ---- */

struct hand_over {
	struct router *r;
	struct error *e;
};

static int put(void *eu, const void *bytes, size_t n)
{
	return europa_state_write(eu, bytes, n);
}

/* Packets that wait for a neighbour are not saved. Where this process goes on, they aren't lost, and counted no more. */
static int save(struct europa *eu, void *arg)
{
	struct router *r = ((struct hand_over *)arg)->r;
	uint64_t waiting = r->slots_waiting + r->runs_waiting;

	r->count[COUNT_WAIT_OVERFLOW] += waiting;
	publish_counters(r);
	r->count[COUNT_WAIT_OVERFLOW] -= waiting;
	r->now = milliseconds();
	return state_save(r, put, eu);
}

static int load(struct europa *eu, uint32_t version, const void *blob, size_t len, void *arg)
{
	struct hand_over *to = arg;
	unsigned i;

	for (i = 0; i < COUNTER_COUNT; i++)
		to->r->count[i] = europa_counter_left(eu, counter_names[i]);
	return state_load(to->r, version, blob, len, to->e);
}

static const struct europa_state_ops state_ops = { .version = STATE_VERSION, .save = save, .load = load };

/* ---- the loop ---- */

static void run(struct router *r)
{
	u64 publish = 0;
	unsigned first = 0;
	bool news = true;

	while (!stop) {
		unsigned work;

		r->now = milliseconds();
		if (r->now >= router_due(r)) {
			router_tick(r);
			router_flush(r);
			news = true;
		}
		work = turn(r, first);
		first = first + 1 < r->nports ? first + 1 : 0;
		news |= work > 0;
		if (news && (!work || r->now >= publish)) {
			publish_counters(r);
			publish = r->now + PUBLISH_MS;
			news = false;
		}
		if (print) {
			print = 0;
			print_counters(r);
		}
		if (!work)
			europa_wait(r->eu, patience(r));
	}
	publish_counters(r);
}

static void handle_signals(void)
{
	const struct sigaction on_stop_action = { .sa_handler = on_stop }, on_print_action = { .sa_handler = on_print };

	sigaction(SIGTERM, &on_stop_action, NULL);
	sigaction(SIGINT, &on_stop_action, NULL);
	sigaction(SIGUSR1, &on_print_action, NULL);
}

/* Against as many vNICs as there can be, and a router of its own. */
static int check(const struct settings *settings, int n, char **statements, struct error *e)
{
	static struct europa_vnic vnics[EUROPA_MAX_VNICS];
	struct europa eu = { .nvnics = EUROPA_MAX_VNICS, .vnics = vnics };
	struct router *r = router_new(&eu, 0);
	struct config config;
	int err;

	if (!r)
		return fail(e, ENOMEM, "router");
	config_init(&config);
	err = read_config(&config, settings, n, statements, e);
	if (!err)
		err = config_apply(&config, r, e);
	config_release(&config);
	router_free(r);
	return err;
}

/* From a configuration, or where another process stopped: then all that it was told is in its state. */
static int set_up(struct router *r, const struct settings *settings, int n, char **statements, struct hand_over *hand_over)
{
	int err = europa_state(r->eu, &state_ops, hand_over);
	struct config config;

	if (err < 0 && !hand_over->e->code)
		return refuse(hand_over->e, "%s", europa_strerror(err));
	if (err)
		return err < 0 ? err : 0;
	config_init(&config);
	err = read_config(&config, settings, n, statements, hand_over->e);
	if (!err)
		err = config_apply(&config, r, hand_over->e);
	config_release(&config);
	return err;
}

static int route(const struct settings *settings, int n, char **statements, struct error *e)
{
	struct hand_over hand_over = { .e = e };
	struct router *r;
	struct europa *eu;
	int err = europa_attach(&eu);

	if (err)
		return refuse(e, "%s", europa_strerror(err));
	r = router_new(eu, milliseconds());
	if (!r)
		return fail(e, ENOMEM, "router");
	hand_over.r = r;
	err = set_up(r, settings, n, statements, &hand_over);
	if (err)
		return err;
	handle_signals();
	run(r);
	print_counters(r);
	router_free(r);
	europa_detach(eu);
	return 0;
}

int main(int argc, char **argv)
{
	struct settings settings = parse(argc, argv);
	struct error e = { 0 };
	int n = argc - optind, err;

	err = (settings.check ? check : route)(&settings, n, argv + optind, &e);
	if (err)
		fprintf(stderr, "ipfwd: %s\n", e.text);
	return err ? 1 : 0;
}

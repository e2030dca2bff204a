/* SPDX-License-Identifier: MIT */
/*
 * A VR without a container, to test a switch directly: makes a region, registers it, attaches vNICs, and runs a
 * data plane in a child process. Where the switch dies it has the region adopted, as a supervisor does.
 *
 *	vr_driver NAME MODE PORT...
 *
 * MODE is what the data plane does with what it receives: `forward` from an even vNIC to the next odd one and
 * back, `echo` out of where it came in, `hold` it for ever, `drop` it, `mute`: drops it when the switch sleeps, and
 * doesn't kick, `none`: never looks, `flood`: sends frames of its own out of vNIC 0 as fast as it can, and says of them what
 * nobody but a switch can know, `doubt`: drops it, and counts as received what was said so. PORT is one
 * vNIC: device[=NAME], xdp[=NAME], shared=DEVICE[,RULE], vr=NAME:N, generator=ARGS,
 * none.
 *
 * Prints "ready", then obeys lines on standard input, each with one line of answer:
 *	attach N PORT, detach N, quiesce 0|1|2, census, stats N, mac N, stop, cont, kill (the data plane), quit,
 *	ask 0|1: the data plane for its state, which is how many packets it has received
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/drop.h"
#include "core/layout.h"
#include "runtime/backend.h"
#include "runtime/error.h"
#include "runtime/region.h"
#include "runtime/state.h"
#include "shim/europa.h"

struct driver {
	const char *name, *mode;
	struct region region;
	struct backend backend;
	unsigned vnics;
	struct vr_vnic vnic[EUROPA_MAX_VNICS];
	char device[EUROPA_MAX_VNICS][16];
	bool attached[EUROPA_MAX_VNICS];
	const __u8 *control, *pool;
	struct europa_offsets off;
	pid_t child;
};

/* The library's own would drag in everything that knows about state. */
int state_run_dir(char *path, size_t size, struct error *e)
{
	snprintf(path, size, "%s", getenv("EUROPA_RUN_DIR"));
	return 0;
}

static void die(const struct error *e)
{
	printf("error %d %s\n", e->code, e->text);
	exit(1);
}

/* ---- the data plane ---- */

static unsigned out_of(const struct europa *eu, const char *mode, unsigned vnic)
{
	return *mode == 'f' && (vnic ^ 1) < eu->nvnics ? vnic ^ 1 : vnic;
}

static void flood(struct europa *eu)
{
	uint32_t slots[32];

	for (;;) {
		unsigned i, n = europa_alloc(eu, slots, 32), sent;

		for (i = 0; i < n; i++) {
			memset(europa_data(eu, slots[i]), 0xff, 60);
			europa_meta(eu, slots[i])->len = 60;
			europa_meta(eu, slots[i])->flags = EUROPA_SLOT_CSUM_VALID;
			europa_meta(eu, slots[i])->hash = ~0u;
		}
		sent = europa_tx(eu, 0, slots, n);
		europa_drop(eu, slots + sent, n - sent);
		if (!n)
			europa_wait(eu, -1);
	}
}

/* A data plane whose kicks get lost. */
static void drop_without_kick(struct europa *eu)
{
	const struct timespec moment = { .tv_nsec = 50000000 };
	uint32_t slot;

	for (;;) {
		europa_wait(eu, -1);
		if (!europa_rx(eu, 0, &slot, 1))
			continue;
		while (!READ_ONCE(eu->free.theirs->need_wakeup))
			nanosleep(&moment, NULL);
		if (ring_reserve(&eu->free, 1) != 1)
			continue;
		*ring_entry(&eu->free, 0) = slot;
		ring_submit(&eu->free, 1);
	}
}

static uint64_t received;

static int save(struct europa *eu, void *unused)
{
	return europa_state_write(eu, &received, sizeof received);
}

static const struct europa_state_ops state_ops = { .version = 1, .save = save };

static unsigned count(const struct europa *eu, const char *mode, const uint32_t *slots, unsigned n)
{
	unsigned i, said = 0;

	if (strcmp(mode, "doubt"))
		return n;
	for (i = 0; i < n; i++) {
		const struct europa_slot *meta = europa_meta(eu, slots[i]);

		said += meta->hash || (meta->flags & EUROPA_SLOT_CSUM_VALID);
	}
	return said;
}

static void forward(struct europa *eu, const char *mode)
{
	uint32_t slots[32];

	europa_state(eu, &state_ops, NULL);

	for (;;) {
		unsigned vnic, all = 0;

		for (vnic = 0; vnic < eu->nvnics; vnic++) {
			unsigned got = europa_rx(eu, vnic, slots, 32), sent = 0;

			all += got;
			received += count(eu, mode, slots, got);
			if (*mode == 'h')
				continue;
			if (*mode != 'd')
				sent = europa_tx(eu, out_of(eu, mode, vnic), slots, got);
			europa_drop(eu, slots + sent, got - sent);
		}
		if (!all)
			europa_wait(eu, -1);
	}
}

static void data_plane(struct driver *d)
{
	struct error e = { 0 };
	struct europa *eu;
	int fds[REGION_FDS], r;

	d->child = fork();
	if (d->child)
		return;
	/* Nothing of the supervisor's: its line to the switch ends with it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (region_for_vr(&d->region, fds, &e) < 0)
		die(&e);
	backend_close(&d->backend);
	region_close(&d->region);
	r = europa_attach_fds(&eu, fds[0], fds[1], fds[2], fds[3]);
	if (r < 0) {
		fprintf(stderr, "europa_attach: %s\n", europa_strerror(r));
		_exit(1);
	}
	europa_attach_state(eu, fds[4]);
	if (!strcmp(d->mode, "none"))
		pause();
	else if (!strcmp(d->mode, "mute"))
		drop_without_kick(eu);
	else if (!strcmp(d->mode, "flood"))
		flood(eu);
	else
		forward(eu, d->mode);
	_exit(0);
}

/* ---- ports ---- */

#define KINDS 6

static int parse_port(struct driver *d, unsigned n, char *text)
{
	static const char *const kinds[] = { "device", "shared", "vr", "generator", "none", "xdp" };
	struct vr_vnic *v = &d->vnic[n];
	char *arg = strchr(text, '='), *comma;
	unsigned kind;

	memset(v, 0, sizeof *v);
	d->device[n][0] = '\0';
	if (arg)
		*arg++ = '\0';
	for (kind = 0; kind < KINDS && strcmp(kinds[kind], text); kind++)
		;
	v->kind = kind;
	if ((kind == EUROPA_PORT_DEVICE || kind == EUROPA_PORT_XDP) && arg)
		snprintf(d->device[n], sizeof d->device[n], "%s", arg);
	else
		v->target = arg ? strdup(arg) : NULL;
	comma = kind == EUROPA_PORT_SHARED && arg ? strchr(v->target, ',') : NULL;
	if (comma) {
		*comma = '\0';
		v->rule = comma + 1;
	}
	return kind < KINDS ? 0 : -EINVAL;
}

static int attach(struct driver *d, unsigned n, struct error *e)
{
	int r = backend_attach(&d->backend, n, &d->vnic[n], d->device[n], e);

	d->attached[n] = r == 0;
	return r;
}

static int choose_switch(struct driver *d, struct error *e)
{
	const char *name = getenv("EUROPA_SWITCH");
	enum vr_switch wanted = !name || !strcmp(name, "auto") ? SWITCH_AUTO : !strcmp(name, "kmod") ? SWITCH_KMOD : SWITCH_USER;
	enum vr_switch which;
	int r = backend_choose(wanted, &which, e);

	return r < 0 ? r : backend_register(&d->backend, which, &d->region, false, d->name, 0, e);
}

/* The module tells its VRs to go before it goes itself; the next one may take a while to come. */
static void adopt(struct driver *d)
{
	const struct timespec moment = { .tv_nsec = 50000000 };
	struct error e = { 0 };
	unsigned n;

	while (backend_adopt(&d->backend, &d->region, d->name, &e) < 0) {
		if (d->backend.which != SWITCH_KMOD)
			die(&e);
		e = (struct error){ 0 };
		nanosleep(&moment, NULL);
	}
	for (n = 0; n < d->vnics; n++) {
		if (d->attached[n] && attach(d, n, &e) < 0)
			die(&e);
	}
	fprintf(stderr, "%s: adopted\n", d->name);
}

/* ---- commands ---- */

static void print_census(const struct driver *d)
{
	const __u8 *owners = d->control + d->off.control_owners;
	const struct europa_geometry *g = &d->region.geometry;
	unsigned i, slots = 0, runs = 0;
	const struct europa_vr_stats *stats = (const void *)(d->control + d->off.control_stats);

	for (i = 0; i < g->nslots; i++)
		slots += owners[i] == EUROPA_OWNER_SWITCH;
	for (i = 0; i < g->nruns; i++)
		runs += owners[g->nslots + i * g->run_slots] == EUROPA_OWNER_SWITCH;
	printf("ok slots=%u switch_slots=%u free_slots=%llu runs=%u switch_runs=%u free_runs=%llu violations=%llu cycles=%llu\n", g->nslots,
	       slots, (unsigned long long)stats->free_slots, g->nruns, runs, (unsigned long long)stats->free_runs,
	       (unsigned long long)stats->violations, (unsigned long long)stats->switch_cycles);
}

static void print_stats(const struct driver *d, unsigned n)
{
	const struct europa_vr_stats *vr = (const void *)(d->control + d->off.control_stats);
	const struct europa_vnic_stats *s = (const void *)(vr + 1);
	const struct europa_vnic *v = (const void *)(d->control + d->off.control_vnics);
	unsigned i;

	s += n;
	v += n;
	printf("ok device=%s up=%d mtu=%u mac=%02x:%02x:%02x:%02x:%02x:%02x rx_packets=%llu rx_bytes=%llu tx_packets=%llu tx_bytes=%llu "
	       "rx_batches=%llu tx_batches=%llu wakeups=%llu stalls=%llu missed=%llu", v->device, v->flags & 1, v->mtu, v->mac[0], v->mac[1],
	       v->mac[2], v->mac[3], v->mac[4], v->mac[5], (unsigned long long)s->rx_packets, (unsigned long long)s->rx_bytes,
	       (unsigned long long)s->tx_packets, (unsigned long long)s->tx_bytes, (unsigned long long)s->rx_batches,
	       (unsigned long long)s->tx_batches, (unsigned long long)s->wakeups, (unsigned long long)s->stalls,
	       (unsigned long long)vr->missed_kicks);
	for (i = 0; i < EUROPA_DROPS; i++) {
		if (s->drops[i])
			printf(" %s=%llu", europa_drop_names[i], (unsigned long long)s->drops[i]);
	}
	printf("\n");
}

static void answer(int r, const struct error *e)
{
	if (r < 0)
		printf("error %d %s\n", e->code, e->text);
	else
		printf("ok\n");
}

/* What the data plane answered, and what it had received when it did. */
static void ask(struct driver *d, unsigned what)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	unsigned asked, ms = 30000;
	struct error e = { 0 };
	uint64_t saved = 0;
	int said = 0;
	__u64 len = 0;

	if (backend_ask(&d->backend, what, &asked, &e) < 0) {
		answer(-1, &e);
		return;
	}
	while (what && !answer_seen((const void *)d->pool, asked, &said, &len) && ms--)
		nanosleep(&moment, NULL);
	if (what && said == 0 && pread(d->region.state, &saved, sizeof saved, len - sizeof saved) != sizeof saved)
		len = 0;
	printf("ok answered=%d said=%d len=%llu received=%llu\n", ms != ~0u, said, (unsigned long long)len, (unsigned long long)saved);
}

static void obey(struct driver *d, char *line)
{
	struct error e = { 0 };
	char port[600];
	unsigned n;

	if (sscanf(line, "attach %u %599[^\n]", &n, port) == 2 && n < d->vnics && parse_port(d, n, port) == 0)
		answer(attach(d, n, &e), &e);
	else if (sscanf(line, "detach %u", &n) == 1 && n < d->vnics)
		answer(backend_detach(&d->backend, n, &e), &e), d->attached[n] = false;
	else if (sscanf(line, "quiesce %u", &n) == 1)
		answer(backend_quiesce(&d->backend, n, &e), &e);
	else if (sscanf(line, "ask %u", &n) == 1)
		ask(d, n);
	else if (!strncmp(line, "census", 6))
		backend_refresh(&d->backend, &e), print_census(d);
	else if (sscanf(line, "stats %u", &n) == 1 && n < d->vnics)
		print_stats(d, n);
	else if (!strncmp(line, "stop", 4))
		answer(kill(d->child, SIGSTOP), &e);
	else if (!strncmp(line, "cont", 4))
		answer(kill(d->child, SIGCONT), &e);
	else if (!strncmp(line, "kill", 4))
		answer(kill(d->child, SIGKILL), &e), waitpid(d->child, NULL, 0);
	else
		printf("error 22 what is \"%s\"?\n", line);
}

static void serve(struct driver *d)
{
	char line[700];

	for (;;) {
		struct pollfd fds[] = { { .fd = 0, .events = POLLIN }, { .fd = d->backend.fd } };

		fflush(stdout);
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents & POLLHUP)
			adopt(d);
		if (!fds[0].revents)
			continue;
		if (!fgets(line, sizeof line, stdin) || !strncmp(line, "quit", 4))
			return;
		obey(d, line);
	}
}

int main(int argc, char **argv)
{
	struct driver d = { 0 };
	struct europa_geometry geo;
	struct error e = { 0 };
	const char *slots = getenv("SLOTS");
	unsigned n;

	if (argc < 3 || argc - 3 > EUROPA_MAX_VNICS)
		return 2;
	setvbuf(stdin, NULL, _IONBF, 0);
	d.name = argv[1];
	d.mode = argv[2];
	d.vnics = argc - 3;
	geometry_choose(&geo, d.vnics, slots ? strtoul(slots, NULL, 10) : 2048, 0, 0, UINT32_MAX);
	layout_compute(&geo, &d.off);
	if (region_create(&d.region, &geo, d.name, &e) < 0 ||
	    choose_switch(&d, &e) < 0)
		die(&e);
	d.control = mmap(NULL, d.off.control_size, PROT_READ, MAP_SHARED, d.region.control, 0);
	d.pool = mmap(NULL, sizeof(struct europa_pool_header), PROT_READ, MAP_SHARED, d.region.pool, 0);
	if (d.control == MAP_FAILED || d.pool == MAP_FAILED)
		return 1;
	for (n = 0; n < d.vnics; n++) {
		if (parse_port(&d, n, argv[3 + n]) < 0 || attach(&d, n, &e) < 0)
			die(&e);
	}
	data_plane(&d);
	printf("ready\n");
	serve(&d);
	kill(d.child, SIGKILL);
	waitpid(d.child, NULL, 0);
	return 0;
}

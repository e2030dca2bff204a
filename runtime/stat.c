/* SPDX-License-Identifier: MIT */
/* europa-stat: what VRs do, once or again and again. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/drop.h"
#include "runtime/command.h"
#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/sample.h"
#include "runtime/sweep.h"
#include "runtime/view.h"

enum { OPTION_FORMAT = OPTION_LONG };

const struct command_option stat_options[] = {
	{ 'w', "watch", "[SECONDS]", "again every so many seconds, with rates (default 1)", NULL },
	{ OPTION_FORMAT, "format", "FORMAT", "table or json (default table)", "table json" },
	OPTIONS_END
};

#define MAX_WATCH_MS (3600 * 1000)

struct request {
	uint64_t watch_ms;         /* 0: once */
	bool json;
	char **names;              /* NULL-terminated; NULL: all that run */
};

/* What --watch remembers of a VR between two rounds. */
struct memory {
	struct memory *next;
	char name[VR_NAME_MAX];
	int64_t created_ns;        /* another VR of the same name is no continuation */
	struct sample sample;
};

static struct memory *recall(struct memory **all, const struct vr_state *state)
{
	for (struct memory *m = *all; m; m = m->next)
		if (strcmp(m->name, state->name) == 0 && m->created_ns == state->created_ns)
			return m;
	return NULL;
}

static void remember(struct memory **all, const struct vr_state *state, const struct sample *sample)
{
	struct memory *m = recall(all, state);

	if (!m) {
		m = calloc(1, sizeof *m);
		if (!m)
			return;
		strcpy(m->name, state->name);
		m->created_ns = state->created_ns;
		m->next = *all;
		*all = m;
	}
	m->sample = *sample;
}

/* ---- the table ---- */

static bool has_quota(const struct sample *s)
{
	return s->limits.cpu_permille && s->limits.cpu_permille != UINT32_MAX;
}

static void print_cpu(const struct vr_state *state, const struct sample *s, const struct sample *before)
{
	uint64_t periods = s->cgroup.nr_periods - (before ? before->cgroup.nr_periods : 0);
	uint64_t throttled = s->cgroup.nr_throttled - (before ? before->cgroup.nr_throttled : 0);
	uint64_t usec = s->cgroup.throttled_usec - (before ? before->cgroup.throttled_usec : 0);

	printf("  cpu     %.1f%%", sample_cpu_percent(state, s, before));
	if (has_quota(s))
		printf(" of %.1f%%, throttled in %" PRIu64 " of %" PRIu64 " periods of %.3g ms, for %.3f s (%.1f%% of the time)",
		       s->limits.cpu_permille / 10.0, throttled, periods, s->limits.period_us / 1e3, usec / 1e6,
		       sample_throttled_percent(state, s, before));
	else
		printf(", no quota");
	printf(before ? "\n" : " (since it was started)\n");
}

static void print_memory(const struct sample *s)
{
	char used[24], limit[24];
	bool limited = s->limits.memory && s->limits.memory < INT64_MAX;

	printf("  memory  %s", quantity_print_size(used, sizeof used, s->cgroup.memory));
	if (limited)
		printf(" of %s", quantity_print_size(limit, sizeof limit, s->limits.memory));
	printf("   pids %" PRIu64, s->cgroup.pids);
	if (s->limits.pids && s->limits.pids < INT64_MAX)
		printf(" of %" PRIu64, s->limits.pids);
	putchar('\n');
}

static void print_pool(const struct sample *s)
{
	printf("  pool    %u slots of %u bytes, %u with the VR; %u super-packets, %u with the VR\n", s->geo.nslots, s->geo.slot_stride,
	       s->vr_slots, s->geo.nruns, s->vr_runs);
	printf("          free ring %u, alloc ring %u of %u; dropped by the VR %" PRIu64 ", originated %" PRIu64 "\n", s->free_used,
	       s->alloc_used, s->geo.pool_ring_size, (uint64_t)s->vr.dropped, (uint64_t)s->vr.allocated);
}

/* A count, or a count a second. */
static void print_amount(uint64_t before, uint64_t now, double seconds, bool rate)
{
	if (rate)
		printf(" %12.0f", seconds > 0 ? (double)(now - before) / seconds : 0);
	else
		printf(" %12" PRIu64, now);
}

static void print_vnics(const struct vr_state *state, const struct sample *s, const struct sample *before)
{
	double seconds = before ? sample_seconds(before, s) : 0;
	const char *unit = before ? "/s" : "";

	printf("  %4s %-15s %4s %10s%-2s %10s%-2s %10s%-2s %10s%-2s %11s %11s\n", "VNIC", "DEVICE", "LINK", "RX PKTS", unit,
	       "RX BYTES", unit, "TX PKTS", unit, "TX BYTES", unit, "RX RING", "TX RING");
	for (unsigned n = 0; n < s->geo.nvnics; n++) {
		const struct europa_vnic_stats *now = &s->vnic[n].stats;
		const struct europa_vnic_stats *then = before ? &before->vnic[n].stats : now;
		char rx[24], tx[24];

		snprintf(rx, sizeof rx, "%u/%u", s->vnic[n].rx_used, s->geo.ring_size);
		snprintf(tx, sizeof tx, "%u/%u", s->vnic[n].tx_used, s->geo.ring_size);
		printf("  %4u %-15s %4s", n, n < state->vnics && state->vnic[n].device[0] ? state->vnic[n].device : "-",
		       s->vnic[n].up ? "up" : "down");
		print_amount(then->rx_packets, now->rx_packets, seconds, before);
		print_amount(then->rx_bytes, now->rx_bytes, seconds, before);
		print_amount(then->tx_packets, now->tx_packets, seconds, before);
		print_amount(then->tx_bytes, now->tx_bytes, seconds, before);
		printf(" %11s %11s\n", rx, tx);
	}
}

static void print_drops_of(const char *whose, const __u64 *drops, const __u64 *before)
{
	bool any = false;

	for (unsigned cause = 0; cause < EUROPA_DROPS; cause++) {
		if (!drops[cause])
			continue;
		printf("%s %s %" PRIu64, any ? "," : whose, europa_drop_names[cause], (uint64_t)drops[cause]);
		if (before && drops[cause] != before[cause])
			printf(" (+%" PRIu64 ")", (uint64_t)(drops[cause] - before[cause]));
		any = true;
	}
	if (any)
		putchar('\n');
}

static void print_cause(const struct vr_state *state, const struct sample *s, const struct sample *before)
{
	uint64_t dropped = sample_no_room(s) - (before ? sample_no_room(before) : 0);

	switch (sample_cause(state, s, before)) {
	case CAUSE_NONE:
		break;
	case CAUSE_QUOTA:
		printf("          %" PRIu64 " packets found no room because of the quota: it stopped the VR for %.1f%% of the time;"
		       " more packets come than %.1f%% of a CPU can forward\n",
		       dropped, sample_throttled_percent(state, s, before), s->limits.cpu_permille / 10.0);
		break;
	case CAUSE_SLOW:
		printf("          %" PRIu64 " packets found no room, and not because of a quota: the VR is too slow, or waits for a CPU\n", dropped);
		break;
	}
}

static void print_stalls(const struct sample *s, const struct sample *before)
{
	for (unsigned n = 0; n < s->geo.nvnics; n++) {
		uint64_t stalls = s->vnic[n].stats.stalls;

		if (!stalls)
			continue;
		printf("  stalls  vNIC %u: for %" PRIu64 " s the VR took none of the packets that waited for it", n, stalls);
		if (before && stalls != before->vnic[n].stats.stalls)
			printf(" (+%" PRIu64 ")", stalls - (uint64_t)before->vnic[n].stats.stalls);
		putchar('\n');
	}
	if (s->vr.missed_kicks)
		printf("  stalls  %" PRIu64 " times the switch found packets of the VR by itself: the kick was missing\n",
		       (uint64_t)s->vr.missed_kicks);
}

static void print_drops(const struct vr_state *state, const struct sample *s, const struct sample *before)
{
	char whose[40];

	for (unsigned n = 0; n < s->geo.nvnics; n++) {
		snprintf(whose, sizeof whose, "  drops   vNIC %u:", n);
		print_drops_of(whose, s->vnic[n].stats.drops, before ? before->vnic[n].stats.drops : NULL);
	}
	print_drops_of("  drops   free and alloc rings:", s->vr.drops, before ? before->vr.drops : NULL);
	print_cause(state, s, before);
	if (s->vr.violations)
		printf("          the VR broke the contract %" PRIu64 " times\n", (uint64_t)s->vr.violations);
}

static void print_counters(const struct sample *s)
{
	char quoted[100];

	for (unsigned i = 0; i < EUROPA_DP_COUNTERS; i++)
		if (s->counters[i].name[0])
			printf("  counter %-24s %" PRIu64 "\n", quantity_quote(quoted, sizeof quoted, s->counters[i].name),
			       (uint64_t)s->counters[i].value);
}

static void print_vr(const struct vr_state *state, const struct sample *s, const struct sample *before)
{
	printf("%s: %s", state->name, state_status_name(state->status));
	if (s->has_region)
		printf(", switch %s (%s)", state->which_switch == SWITCH_KMOD ? "kmod" : "user", view_status_name(s->status));
	putchar('\n');
	if (s->has_cgroup) {
		print_cpu(state, s, before);
		print_memory(s);
	}
	if (!s->has_region)
		return;
	print_pool(s);
	if (s->geo.nvnics)
		print_vnics(state, s, before);
	print_drops(state, s, before);
	print_stalls(s, before);
	print_counters(s);
}

/* ---- rounds ---- */

struct round {
	const struct request *request;
	struct memory **memories;
	json_t *array;
	bool failed;
	unsigned shown;
};

static void show(struct round *round, const char *name, bool asked_for)
{
	struct error e = { 0 };
	struct vr_state state;
	struct sample now;
	struct memory *memory;
	const struct sample *before;
	int err = sweep_read(name, &state, &e);

	if (err == -ENOENT && !asked_for)
		return;
	if (err) {
		command_failed("stat", &e, 1);
		round->failed = true;
		return;
	}
	if (!asked_for && !state_is_live(&state)) {
		state_release(&state);
		return;
	}
	sample_take(&state, &now, &e);
	if (state_is_live(&state) && state.status != VR_CREATED && state.vnics && !now.has_region) {
		context(&e, "no statistics of \"%s\"", name);
		command_failed("stat", &e, 1);
		round->failed = true;
	}
	memory = round->request->watch_ms ? recall(round->memories, &state) : NULL;
	before = memory && memory->sample.has_region && now.has_region ? &memory->sample : NULL;
	if (round->array)
		json_array_append_new(round->array, sample_json(&state, &now, before));
	else {
		if (round->shown++)
			putchar('\n');
		print_vr(&state, &now, before);
	}
	if (round->request->watch_ms)
		remember(round->memories, &state, &now);
	state_release(&state);
}

/* One round; in JSON one array a round, on one line where rounds follow each other. */
static int show_round(const struct request *r, struct memory **memories)
{
	struct round round = { .request = r, .memories = memories, .array = r->json ? json_array() : NULL };
	struct error e = { 0 };
	char **names;

	for (char **name = r->names; name && *name; name++)
		show(&round, *name, true);
	if (!r->names) {
		if (state_list(&names, &e) < 0)
			return command_failed("stat", &e, 1);
		for (char **name = names; *name; name++) {
			show(&round, *name, false);
			free(*name);
		}
		free(names);
		if (!round.shown && !r->json)
			puts("no virtual router runs");
	}
	if (r->json) {
		json_dumpf(round.array, stdout, (r->watch_ms ? JSON_COMPACT : JSON_INDENT(2)) | JSON_REAL_PRECISION(10));
		putchar('\n');
		json_decref(round.array);
	}
	command_flush();
	return round.failed;
}

static int watch(const struct request *r)
{
	const struct timespec pause = { .tv_sec = (time_t)(r->watch_ms / 1000), .tv_nsec = (long)(r->watch_ms % 1000) * 1000000 };
	struct memory *memories = NULL;
	int failed;

	for (;;) {
		if (!r->json && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		failed = show_round(r, &memories);
		if (failed || ferror(stdout))
			break;
		nanosleep(&pause, NULL);
		if (!r->json && !isatty(STDOUT_FILENO))
			putchar('\n');
	}
	while (memories) {
		struct memory *next = memories->next;

		free(memories);
		memories = next;
	}
	return failed;
}

/* "2", "0.5". */
static bool parse_seconds(const char *text, uint64_t *ms)
{
	uint32_t thousandths;

	if (!quantity_cpus(text, &thousandths) || thousandths < 100 || thousandths > MAX_WATCH_MS)
		return false;
	*ms = thousandths;
	return true;
}

static int parse(struct request *r, int argc, char **argv, struct error *e)
{
	struct arguments a = ARGUMENTS(argc, argv, stat_options);
	int key, names = 0;

	while ((key = arguments_next(&a, e)) > 0)
		switch (key) {
		case 'w':
			r->watch_ms = 1000;
			if (a.value && !parse_seconds(a.value, &r->watch_ms))
				return arguments_expected(&a, e, "seconds from 0.1 to 1024, as in 2 or 0.5");
			break;
		case OPTION_FORMAT:
			r->json = strcmp(a.value, "json") == 0;
			if (!r->json && strcmp(a.value, "table") != 0)
				return arguments_expected(&a, e, "table or json");
			break;
		case ARGUMENT_OPERAND:
			argv[1 + names++] = (char *)a.value;
			r->names = argv + 1;
			break;
		}
	/* There is room: names come after argv[0], and argv[argc] is NULL. */
	argv[1 + names] = NULL;
	return key;
}

int cmd_stat(int argc, char **argv)
{
	struct request r = { 0 };
	struct error e = { 0 };

	if (parse(&r, argc, argv, &e) < 0)
		return command_failed("stat", &e, 1);
	if (r.watch_ms)
		return watch(&r);
	return show_round(&r, NULL);
}

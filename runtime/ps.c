/* SPDX-License-Identifier: MIT */
/* europa-ps: the virtual routers as a table, or as JSON. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/command.h"
#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/sample.h"
#include "runtime/sweep.h"
#include "runtime/view.h"

enum { OPTION_NO_TRUNC = OPTION_LONG, OPTION_FORMAT };

const struct command_option ps_options[] = {
	{ 'a', "all", NULL, "also those that have exited", NULL },
	{ 'q', "quiet", NULL, "names only", NULL },
	{ OPTION_NO_TRUNC, "no-trunc", NULL, "show images in full", NULL },
	{ OPTION_FORMAT, "format", "FORMAT", "table or json (default table)", "table json" },
	OPTIONS_END
};

struct ps {
	bool all, quiet, no_trunc, json;
	bool failed;               /* a VR's state couldn't be read */
	json_t *array;
	size_t rows, allocated;
	struct row {
		char *cell[7];
	} *row;
};

static const char *const headings[] = { "NAME", "IMAGE", "STATUS", "CPU", "SWITCH", "VNICS", "PID" };
#define COLUMNS (sizeof headings / sizeof *headings)
#define IMAGE_WIDTH 32

static const char *print_ago(char *buf, size_t size, int64_t ns)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = { { 7 * 86400, "week" }, { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
	int64_t seconds = ns / 1000000000;

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (seconds >= units[i].seconds) {
			int64_t n = seconds / units[i].seconds;

			snprintf(buf, size, "%lld %s%s", (long long)n, units[i].name, n == 1 ? "" : "s");
			return buf;
		}
	snprintf(buf, size, "less than a second");
	return buf;
}

/* What the region says about its switch, in words, where it is out of the ordinary. */
static const char *switch_remark(const struct vr_state *state)
{
	struct error ignored = { 0 };
	struct view view;
	uint32_t status;

	if (state->status != VR_RUNNING || view_open(state, &view, &ignored) < 0)
		return "";
	status = view_status(&view);
	view_close(&view);
	switch (status) {
	case EUROPA_ATTACHED:    return "";
	case EUROPA_DETACHED:    return " (no switch)";
	case EUROPA_QUIESCED:
	case EUROPA_FENCED:      return " (quiesced)";
	case EUROPA_QUARANTINED: return " (quarantined)";
	}
	return "";
}

static void print_status(char *buf, size_t size, const struct vr_state *state)
{
	struct timespec now;
	int64_t now_ns;
	char ago[40];

	clock_gettime(CLOCK_REALTIME, &now);
	now_ns = now.tv_sec * 1000000000ll + now.tv_nsec;
	switch (state->status) {
	case VR_CREATED:
		snprintf(buf, size, "Created");
		return;
	case VR_RUNNING:
	case VR_STOPPING:
	case VR_PAUSED:
		snprintf(buf, size, "%s %s%s", state->status == VR_PAUSED ? "Paused, up" : state->status == VR_STOPPING ? "Stopping, up" : "Up",
			 print_ago(ago, sizeof ago, now_ns - state->started_ns), switch_remark(state));
		return;
	case VR_EXITED:
		snprintf(buf, size, "Exited (%d) %s ago", state->exit_code, print_ago(ago, sizeof ago, now_ns - state->finished_ns));
		return;
	case VR_DEAD:
		snprintf(buf, size, "Dead");
		return;
	}
}

static void print_cpu(char *buf, size_t size, uint32_t permille)
{
	if (permille)
		snprintf(buf, size, permille % 10 ? "%u.%u%%" : "%u%%", permille / 10, permille % 10);
	else
		snprintf(buf, size, "-");
}

static const char *switch_name(enum vr_switch which)
{
	return which == SWITCH_KMOD ? "kmod" : which == SWITCH_USER ? "user" : "-";
}

static struct row *new_row(struct ps *ps)
{
	if (ps->rows == ps->allocated) {
		size_t more = ps->allocated ? 2 * ps->allocated : 16;
		struct row *longer = realloc(ps->row, more * sizeof *longer);

		if (!longer)
			return NULL;
		ps->row = longer;
		ps->allocated = more;
	}
	return &ps->row[ps->rows++];
}

static void add_row(struct ps *ps, const struct vr_state *state)
{
	char image[1024], status[100], cpu[20], vnics[12], pid[12];
	const char *cells[COLUMNS] = { state->name, image, status, cpu, switch_name(state->which_switch), vnics, pid };
	struct row *row = new_row(ps);

	if (!row)
		return;
	quantity_quote(image, ps->no_trunc ? sizeof image : IMAGE_WIDTH, state->image ? state->image : "-");
	print_status(status, sizeof status, state);
	print_cpu(cpu, sizeof cpu, state->limits.cpu_permille);
	snprintf(vnics, sizeof vnics, "%u", state->vnics);
	if (state_is_live(state) && state->init.pid)
		snprintf(pid, sizeof pid, "%d", state->init.pid);
	else
		strcpy(pid, "-");
	for (size_t i = 0; i < COLUMNS; i++)
		row->cell[i] = strdup(cells[i]);
}

static json_t *time_json(int64_t ns)
{
	char text[TIME_BYTES];

	return ns ? json_string(print_time(text, sizeof text, ns)) : json_null();
}

static void add_json(struct ps *ps, const struct vr_state *state)
{
	bool live = state_is_live(state), limited = state->limits.cpu_permille;
	char status[100];
	struct view view;
	struct error ignored = { 0 };
	const char *switch_status = NULL;

	if (live && view_open(state, &view, &ignored) == 0) {
		switch_status = view_status_name(view_status(&view));
		view_close(&view);
	}
	print_status(status, sizeof status, state);
	json_array_append_new(ps->array,
		json_pack("{s:s, s:s?, s:s?, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:s?, s:i, s:o, s:i}",
			  "name", state->name, "image", state->image, "command", state->command,
			  "status", state_status_name(state->status), "status_text", status,
			  "created", time_json(state->created_ns), "started", time_json(state->started_ns),
			  "finished", time_json(state->finished_ns),
			  "exit_code", state->status == VR_EXITED ? json_integer(state->exit_code) : json_null(),
			  "cpu_percent", limited ? json_real(state->limits.cpu_permille / 10.0) : json_null(),
			  "switch", switch_name(state->which_switch), "switch_status", switch_status,
			  "vnics", (int)state->vnics,
			  "pid", live && state->init.pid ? json_integer(state->init.pid) : json_null(),
			  "supervisor", state->supervisor.pid));
}

static void add(struct ps *ps, const char *name)
{
	struct error e = { 0 };
	struct vr_state state;
	int err = sweep_read(name, &state, &e);

	/* It went, or is only just coming, while the list was read. */
	if (err == -ENOENT)
		return;
	if (err) {
		command_failed("ps", &e, 1);
		ps->failed = true;
		return;
	}
	if (ps->all || state_is_live(&state)) {
		if (ps->json)
			add_json(ps, &state);
		else
			add_row(ps, &state);
	}
	state_release(&state);
}

static void print_line(char *const *cells, const size_t *width)
{
	for (size_t i = 0; i + 1 < COLUMNS; i++)
		printf("%-*s  ", (int)width[i], cells[i]);
	printf("%s\n", cells[COLUMNS - 1]);
}

static void print_table(const struct ps *ps)
{
	size_t width[COLUMNS];

	if (ps->quiet) {
		for (size_t r = 0; r < ps->rows; r++)
			puts(ps->row[r].cell[0]);
		return;
	}
	for (size_t i = 0; i < COLUMNS; i++) {
		width[i] = strlen(headings[i]);
		for (size_t r = 0; r < ps->rows; r++)
			if (strlen(ps->row[r].cell[i]) > width[i])
				width[i] = strlen(ps->row[r].cell[i]);
	}
	print_line((char *const *)headings, width);
	for (size_t r = 0; r < ps->rows; r++)
		print_line(ps->row[r].cell, width);
}

static void free_rows(struct ps *ps)
{
	for (size_t r = 0; r < ps->rows; r++)
		for (size_t i = 0; i < COLUMNS; i++)
			free(ps->row[r].cell[i]);
	free(ps->row);
	json_decref(ps->array);
}

static int parse(struct ps *ps, int argc, char **argv, struct error *e)
{
	struct arguments a = ARGUMENTS(argc, argv, ps_options);
	int key;

	while ((key = arguments_next(&a, e)) > 0)
		switch (key) {
		case 'a':
			ps->all = true;
			break;
		case 'q':
			ps->quiet = true;
			break;
		case OPTION_NO_TRUNC:
			ps->no_trunc = true;
			break;
		case OPTION_FORMAT:
			ps->json = strcmp(a.value, "json") == 0;
			if (!ps->json && strcmp(a.value, "table") != 0)
				return arguments_expected(&a, e, "table or json");
			break;
		case ARGUMENT_OPERAND:
			return arguments_unexpected(&a, e);
		}
	if (key < 0)
		return key;
	return ps->quiet && ps->json ? refuse(e, "--quiet: expected no --format json beside it, which prints more than names") : 0;
}

int cmd_ps(int argc, char **argv)
{
	struct error e = { 0 };
	struct ps ps = { 0 };
	char **names;

	if (parse(&ps, argc, argv, &e) < 0 || state_list(&names, &e) < 0)
		return command_failed("ps", &e, 1);
	ps.array = json_array();
	for (char **name = names; *name; name++) {
		add(&ps, *name);
		free(*name);
	}
	free(names);
	if (ps.json) {
		json_dumpf(ps.array, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
		putchar('\n');
	} else
		print_table(&ps);
	free_rows(&ps);
	return ps.failed;
}

/* SPDX-License-Identifier: MIT */
/* europa-inspect: everything that is known about VRs, as one JSON array. */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/command.h"
#include "runtime/error.h"
#include "runtime/sample.h"
#include "runtime/sweep.h"

const struct command_option inspect_options[] = {
	OPTIONS_END
};

static json_t *time_json(int64_t ns)
{
	char text[TIME_BYTES];

	return ns ? json_string(print_time(text, sizeof text, ns)) : json_null();
}

/* A file of the VR's directory as it is; null where there is none or where it is no JSON. */
static json_t *file_json(const char *name, const char *file)
{
	struct error ignored = { 0 };
	char run[PATH_MAX], path[PATH_MAX + VR_NAME_MAX + 32];
	json_t *json;

	if (state_run_dir(run, sizeof run, &ignored) < 0)
		return json_null();
	snprintf(path, sizeof path, "%s/%s/%s", run, name, file);
	json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	return json ? json : json_null();
}

static json_t *inspect_json(const struct vr_state *state)
{
	struct error ignored = { 0 };
	struct sample sample;

	sample_take(state, &sample, &ignored);
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "name", state->name, "status", state_status_name(state->status),
			 "created", time_json(state->created_ns), "started", time_json(state->started_ns),
			 "finished", time_json(state->finished_ns),
			 "state", file_json(state->name, "state.json"),
			 "spec", file_json(state->name, "spec.json"),
			 "statistics", state_is_live(state) ? sample_json(state, &sample, NULL) : json_null());
}

int cmd_inspect(int argc, char **argv)
{
	struct arguments a = ARGUMENTS(argc, argv, inspect_options);
	json_t *array = json_array();
	struct error e = { 0 };
	struct vr_state state;
	bool any = false, failed = false;
	int key;

	while ((key = arguments_next(&a, &e)) > 0) {
		struct error why = { 0 };

		any = true;
		if (sweep_read(a.value, &state, &why) < 0) {
			failed = command_failed("inspect", &why, true);
			continue;
		}
		json_array_append_new(array, inspect_json(&state));
		state_release(&state);
	}
	if (!key && !any)
		key = refuse(&e, "expected the name of a virtual router (europa-ps -a lists them)");
	if (key < 0) {
		json_decref(array);
		return command_failed("inspect", &e, 1);
	}
	json_dumpf(array, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
	putchar('\n');
	json_decref(array);
	return failed;
}

/* SPDX-License-Identifier: MIT */
#include "runtime/spec.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/quantity.h"

static void free_list(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

void spec_release(struct vr_spec *spec)
{
	free(spec->image);
	free(spec->bundle);
	free(spec->limits.cpuset);
	for (unsigned n = 0; n < EUROPA_MAX_VNICS; n++) {
		free(spec->vnic[n].target);
		free(spec->vnic[n].rule);
	}
	free_list(spec->args);
	free_list(spec->env);
	free(spec->cwd);
	free(spec->hostname);
	free(spec->rootfs);
	for (unsigned n = 0; n < spec->nmounts; n++) {
		free(spec->mounts[n].source);
		free(spec->mounts[n].target);
	}
	free(spec->mounts);
	free(spec->config);
	free(spec->pid_file);
	free(spec->log_dir);
	memset(spec, 0, sizeof *spec);
}

/* ---- as JSON ---- */

static json_t *text_json(const char *text)
{
	json_t *json = text ? json_string(text) : json_null();
	char quoted[1024];

	return json ? json : json_string(quantity_quote(quoted, sizeof quoted, text));
}

static json_t *list_json(char *const *list)
{
	json_t *array = json_array();

	for (; list && *list; list++)
		json_array_append_new(array, text_json(*list));
	return array;
}

static json_t *vnics_json(const struct vr_spec *spec)
{
	static const char *const kinds[] = {
		[EUROPA_PORT_DEVICE] = "device", [EUROPA_PORT_SHARED] = "shared", [EUROPA_PORT_VR] = "vr",
		[EUROPA_PORT_GENERATOR] = "generator", [EUROPA_PORT_NONE] = "none",
	};
	json_t *array = json_array();

	for (unsigned n = 0; n < spec->vnics; n++) {
		const struct vr_vnic *v = &spec->vnic[n];

		json_array_append_new(array, json_pack("{s:s, s:o, s:o}", "kind", kinds[v->kind], "target", text_json(v->target),
						       "rule", text_json(v->rule)));
	}
	return array;
}

static json_t *mounts_json(const struct vr_spec *spec)
{
	json_t *array = json_array();

	for (unsigned n = 0; n < spec->nmounts; n++)
		json_array_append_new(array, json_pack("{s:o, s:o, s:b}", "source", text_json(spec->mounts[n].source),
						       "target", text_json(spec->mounts[n].target),
						       "read_only", spec->mounts[n].read_only));
	return array;
}

static json_t *geometry_json(const struct europa_geometry *g)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "slots", (json_int_t)g->nslots, "slot_bytes", (json_int_t)g->slot_stride,
			 "super_packets", (json_int_t)g->nruns, "ring_entries", (json_int_t)g->ring_size);
}

char *spec_print(const struct vr_spec *spec)
{
	static const char *const switches[] = { [SWITCH_AUTO] = "auto", [SWITCH_KMOD] = "kmod", [SWITCH_USER] = "user" };
	char caps[20], *text;
	json_t *json;

	snprintf(caps, sizeof caps, "0x%016llx", (unsigned long long)spec->caps);
	json = json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:I, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}",
			 "image", text_json(spec->image), "bundle", text_json(spec->bundle), "rootfs", text_json(spec->rootfs),
			 "switch", switches[spec->which_switch],
			 "args", list_json(spec->args), "env", list_json(spec->env), "cwd", text_json(spec->cwd),
			 "uid", (json_int_t)spec->uid, "gid", (json_int_t)spec->gid, "capabilities", caps,
			 "seccomp", spec->wide_seccomp ? "wide" : "tight", "hostname", text_json(spec->hostname),
			 "mounts", mounts_json(spec), "config", text_json(spec->config), "vnics", vnics_json(spec),
			 "geometry", geometry_json(&spec->geometry), "detach", spec->detach,
			 "pid_file", text_json(spec->pid_file), "log_dir", text_json(spec->log_dir));
	text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	json_decref(json);
	return text;
}

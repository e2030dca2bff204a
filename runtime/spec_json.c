/* SPDX-License-Identifier: MIT */
#include "runtime/spec_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/layout.h"
#include "runtime/error.h"
#include "runtime/quantity.h"

#define MOST_WORDS  4096        /* arguments, variables or mounts; a longer list is nobody's */

static const char *const kinds[] = {
	[EUROPA_PORT_DEVICE] = "device", [EUROPA_PORT_SHARED] = "shared", [EUROPA_PORT_VR] = "vr",
	[EUROPA_PORT_GENERATOR] = "generator", [EUROPA_PORT_NONE] = "none", [EUROPA_PORT_XDP] = "device:xdp",
};
#define KINDS (sizeof kinds / sizeof *kinds)

static const char *const switches[] = { [SWITCH_AUTO] = "auto", [SWITCH_KMOD] = "kmod", [SWITCH_USER] = "user" };
#define SWITCHES (sizeof switches / sizeof *switches)

int json_complaint(const json_error_t *error, struct error *e)
{
	char quoted[200];

	return refuse(e, "%s", quantity_quote(quoted, sizeof quoted, error->text));
}

int json_in_range(const char *what, json_int_t n, json_int_t min, json_int_t max, struct error *e)
{
	if (n >= min && n <= max)
		return 0;
	return refuse(e, "%s %" JSON_INTEGER_FORMAT ": expected %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
		      what, n, min, max);
}

void mac_print(const uint8_t mac[6], char text[18])
{
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* ---- to JSON ---- */

json_t *text_json(const char *text, bool *lossy)
{
	json_t *json = text ? json_string(text) : json_null();
	char quoted[1024];

	if (json)
		return json;
	*lossy = true;
	return json_string(quantity_quote(quoted, sizeof quoted, text));
}

static json_t *list_json(char *const *list, bool *lossy)
{
	json_t *array = json_array();

	for (; list && *list; list++)
		json_array_append_new(array, text_json(*list, lossy));
	return array;
}

static json_t *vnics_json(const struct vr_spec *spec, bool *lossy)
{
	json_t *array = json_array();
	char mac[18];

	for (unsigned n = 0; n < spec->vnics; n++) {
		const struct vr_vnic *v = &spec->vnic[n];

		mac_print(v->mac, mac);
		json_array_append_new(array, json_pack("{s:s, s:o, s:o, s:s, s:i}", "kind", kinds[v->kind],
						       "target", text_json(v->target, lossy),
						       "rule", text_json(v->rule, lossy), "mac", mac, "mtu", (int)v->mtu));
	}
	return array;
}

static json_t *mounts_json(const struct vr_spec *spec, bool *lossy)
{
	json_t *array = json_array();

	for (unsigned n = 0; n < spec->nmounts; n++)
		json_array_append_new(array, json_pack("{s:o, s:o, s:b}", "source", text_json(spec->mounts[n].source, lossy),
						       "target", text_json(spec->mounts[n].target, lossy),
						       "read_only", spec->mounts[n].read_only));
	return array;
}

static json_t *geometry_json(const struct europa_geometry *g)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "slots", (json_int_t)g->nslots,
			 "slot_bytes", (json_int_t)g->slot_stride, "super_packets", (json_int_t)g->nruns,
			 "super_packet_slots", (json_int_t)g->run_slots, "ring_entries", (json_int_t)g->ring_size,
			 "pool_ring_entries", (json_int_t)g->pool_ring_size, "alloc_target", (json_int_t)g->alloc_target);
}

static json_int_t bounded(uint64_t n)
{
	return n > INT64_MAX ? 0 : (json_int_t)n;
}

json_t *limits_json(const struct vr_limits *l)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:s*, s:I, s:I}", "cpu_permille", (json_int_t)l->cpu_permille,
			 "period_us", (json_int_t)l->period_us, "burst_us", (json_int_t)l->burst_us,
			 "cpu_weight", (json_int_t)l->cpu_weight, "cpuset", l->cpuset, "memory", bounded(l->memory), "pids", bounded(l->pids));
}

static json_t *groups_json(const struct vr_spec *spec)
{
	json_t *array = json_array();

	for (unsigned n = 0; n < spec->ngroups; n++)
		json_array_append_new(array, json_integer(spec->groups[n]));
	return array;
}

/* null: no limit, or one that no process reaches. */
static json_t *rlimit_value_json(uint64_t n)
{
	return n > INT64_MAX ? json_null() : json_integer((json_int_t)n);
}

static json_t *rlimits_json(const struct rlimits *limits)
{
	json_t *array = json_array();

	for (uint32_t n = 0; n < limits->n; n++)
		json_array_append_new(array, json_pack("{s:s, s:o, s:o}", "type", rlimit_name(limits->one[n].resource),
						       "soft", rlimit_value_json(limits->one[n].soft),
						       "hard", rlimit_value_json(limits->one[n].hard)));
	return array;
}

json_t *spec_json(const struct vr_spec *spec)
{
	bool lossy = false;
	char caps[20];
	json_t *json;

	snprintf(caps, sizeof caps, "0x%016llx", (unsigned long long)spec->caps);
	json = json_pack("{s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:I, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o}",
			 "name", spec->name, "image", text_json(spec->image, &lossy), "bundle", text_json(spec->bundle, &lossy),
			 "rootfs", text_json(spec->rootfs, &lossy), "switch", switches[spec->which_switch],
			 "args", list_json(spec->args, &lossy), "env", list_json(spec->env, &lossy),
			 "cwd", text_json(spec->cwd, &lossy), "uid", (json_int_t)spec->uid, "gid", (json_int_t)spec->gid,
			 "capabilities", caps, "seccomp", spec->wide_seccomp ? "wide" : "tight",
			 "hostname", text_json(spec->hostname, &lossy), "mounts", mounts_json(spec, &lossy),
			 "config", text_json(spec->config, &lossy), "limits", limits_json(&spec->limits),
			 "vnics", vnics_json(spec, &lossy), "geometry", geometry_json(&spec->geometry),
			 "detach", spec->detach, "rm", spec->rm,
			 "pid_file", text_json(spec->pid_file, &lossy), "log_dir", text_json(spec->log_dir, &lossy));
	if (!json)
		return NULL;
	if (spec->ngroups)
		json_object_set_new(json, "groups", groups_json(spec));
	if (spec->rlimits.n)
		json_object_set_new(json, "rlimits", rlimits_json(&spec->rlimits));
	json_object_set_new(json, "lossy", json_boolean(lossy));
	return json;
}

char *spec_print(const struct vr_spec *spec)
{
	json_t *json = spec_json(spec);
	char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

	json_decref(json);
	return text;
}

/* ---- from JSON ---- */

/* Index of a word in a table, or -1. */
static int find_word(const char *word, const char *const *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, table[i]) == 0)
			return (int)i;
	return -1;
}

/* A string or null. */
static int keep_text(json_t *json, const char *what, char **where, struct error *e)
{
	if (json_is_null(json))
		return 0;
	if (!json_is_string(json))
		return refuse(e, "%s: expected a string or null", what);
	*where = strdup(json_string_value(json));
	return *where ? 0 : fail(e, ENOMEM, "cannot keep the specification");
}

/* NULL where it is null: then nobody looks at what is in it. */
static int keep_absolute(json_t *json, const char *what, char **where, struct error *e)
{
	char quoted[200];
	int err = keep_text(json, what, where, e);

	if (!err && *where && (*where)[0] != '/')
		return refuse(e, "%s \"%s\": expected an absolute path", what, quantity_quote(quoted, sizeof quoted, *where));
	return err;
}

static int keep_list(json_t *json, const char *what, char ***where, struct error *e)
{
	size_t n = json_array_size(json);

	if (!json_is_array(json) || n > MOST_WORDS)
		return refuse(e, "%s: expected an array of at most %d strings", what, MOST_WORDS);
	*where = calloc(n + 1, sizeof **where);
	if (!*where)
		return fail(e, ENOMEM, "cannot keep the specification");
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(json, i));

		if (!text)
			return refuse(e, "%s: expected strings", what);
		(*where)[i] = strdup(text);
		if (!(*where)[i])
			return fail(e, ENOMEM, "cannot keep the specification");
	}
	return 0;
}

static int check_env(char *const *env, struct error *e)
{
	char quoted[200];

	for (; *env; env++) {
		const char *equals = strchr(*env, '=');

		if (!equals || !quantity_env_name(*env, (size_t)(equals - *env)))
			return refuse(e, "env \"%s\": expected NAME=VALUE", quantity_quote(quoted, sizeof quoted, *env));
	}
	return 0;
}

int limits_parse(json_t *json, struct vr_limits *l, struct error *e)
{
	json_int_t permille, period, burst, memory, pids, weight = 0;
	const char *cpuset = NULL;
	json_error_t error;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:I, s:I, s:I, s?I, s?s, s:I, s:I}", "cpu_permille", &permille,
			   "period_us", &period, "burst_us", &burst, "cpu_weight", &weight, "cpuset", &cpuset, "memory", &memory, "pids", &pids) < 0)
		return json_complaint(&error, e);
	if (json_in_range("cpu_permille", permille, 0, UINT32_MAX, e) || json_in_range("period_us", period, 0, UINT32_MAX, e) ||
	    json_in_range("burst_us", burst, 0, UINT32_MAX, e) || json_in_range("memory", memory, 0, INT64_MAX, e) ||
	    json_in_range("pids", pids, 0, INT64_MAX, e) || json_in_range("cpu_weight", weight, 0, 10000, e))
		return -EINVAL;
	if (cpuset && !quantity_cpuset(cpuset))
		return refuse(e, "cpuset: expected a list of CPUs");
	l->cpu_permille = (uint32_t)permille;
	l->period_us = (uint32_t)period;
	l->burst_us = (uint32_t)burst;
	l->cpu_weight = (uint32_t)weight;
	l->memory = (uint64_t)memory;
	l->pids = (uint64_t)pids;
	if (!cpuset)
		return 0;
	l->cpuset = strdup(cpuset);
	return l->cpuset ? 0 : fail(e, ENOMEM, "cannot keep the limits");
}

/* It comes to terminals and logs, in messages of the switch's as well. */
static bool is_printable(const char *text)
{
	for (; text && *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static int parse_vnic(json_t *json, struct vr_vnic *v, unsigned n, struct error *e)
{
	const char *kind, *mac;
	json_t *target, *rule;
	json_error_t error;
	json_int_t mtu;
	int found, err;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:s, s:o, s:o, s:s, s:I}", "kind", &kind, "target", &target, "rule", &rule,
			   "mac", &mac, "mtu", &mtu) < 0)
		return json_complaint(&error, e);
	found = find_word(kind, kinds, KINDS);
	if (found < 0)
		return refuse(e, "vNIC %u: kind: not one that is known", n);
	v->kind = (uint8_t)found;
	if (strcmp(mac, "00:00:00:00:00:00") != 0 && !quantity_mac(mac, v->mac))
		return refuse(e, "vNIC %u: expected a MAC address", n);
	if (json_in_range("mtu", mtu, 0, 65535, e))
		return -EINVAL;
	v->mtu = (uint16_t)mtu;
	err = keep_text(target, "target", &v->target, e) ?: keep_text(rule, "rule", &v->rule, e);
	if (err)
		return err;
	if (!is_printable(v->target) || !is_printable(v->rule))
		return refuse(e, "vNIC %u: target, rule: expected ASCII text", n);
	if (v->kind == EUROPA_PORT_SHARED && (!v->target || !quantity_device_name(v->target)))
		return refuse(e, "vNIC %u: target: expected a net device's name", n);
	if (v->rule && (v->kind != EUROPA_PORT_SHARED || quantity_rule_expected(v->rule)))
		return refuse(e, "vNIC %u: rule: not one that is known", n);
	return 0;
}

static int parse_vnics(json_t *json, struct vr_spec *spec, struct error *e)
{
	size_t n = json_array_size(json);
	int err = 0;

	if (!json_is_array(json) || n > EUROPA_MAX_VNICS)
		return refuse(e, "vnics: expected an array of at most %d", EUROPA_MAX_VNICS);
	for (spec->vnics = 0; spec->vnics < n && !err; spec->vnics++)
		err = parse_vnic(json_array_get(json, spec->vnics), &spec->vnic[spec->vnics], spec->vnics, e);
	return err;
}

static int parse_geometry(json_t *json, struct vr_spec *spec, struct error *e)
{
	struct europa_geometry *g = &spec->geometry;
	json_int_t slots, stride, runs, run_slots, ring, pool_ring, alloc;
	json_error_t error;
	const char *why;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "slots", &slots,
			   "slot_bytes", &stride, "super_packets", &runs, "super_packet_slots", &run_slots,
			   "ring_entries", &ring, "pool_ring_entries", &pool_ring, "alloc_target", &alloc) < 0)
		return json_complaint(&error, e);
	if (json_in_range("slots", slots, 0, UINT32_MAX, e) || json_in_range("slot_bytes", stride, 0, UINT32_MAX, e) ||
	    json_in_range("super_packets", runs, 0, UINT32_MAX, e) ||
	    json_in_range("super_packet_slots", run_slots, 0, UINT32_MAX, e) ||
	    json_in_range("ring_entries", ring, 0, UINT32_MAX, e) ||
	    json_in_range("pool_ring_entries", pool_ring, 0, UINT32_MAX, e) ||
	    json_in_range("alloc_target", alloc, 0, UINT32_MAX, e))
		return -EINVAL;
	*g = (struct europa_geometry){
		.nvnics = spec->vnics, .nslots = (uint32_t)slots, .nruns = (uint32_t)runs, .run_slots = (uint32_t)run_slots,
		.slot_stride = (uint32_t)stride, .ring_size = (uint32_t)ring, .pool_ring_size = (uint32_t)pool_ring,
		.alloc_target = (uint32_t)alloc,
	};
	return geometry_check(g, &why) < 0 ? refuse(e, "geometry: %s", why) : 0;
}

static bool climbs(const char *path)
{
	size_t length = strlen(path);

	return strstr(path, "/../") || (length >= 3 && strcmp(path + length - 3, "/..") == 0);
}

static int parse_mount(json_t *json, struct vr_mount *m, struct error *e)
{
	json_t *source, *target;
	json_error_t error;
	int read_only, err;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:o, s:o, s:b}", "source", &source, "target", &target,
			   "read_only", &read_only) < 0)
		return json_complaint(&error, e);
	m->read_only = read_only;
	err = keep_absolute(source, "mount source", &m->source, e) ?: keep_absolute(target, "mount target", &m->target, e);
	if (!err && (!m->source || !m->target || !m->target[1] || climbs(m->target)))
		return refuse(e, "mounts: expected a source, and a target without ..");
	return err;
}

static int parse_mounts(json_t *json, struct vr_spec *spec, struct error *e)
{
	size_t n = json_array_size(json);
	int err = 0;

	if (!json_is_array(json) || n > MOST_WORDS)
		return refuse(e, "mounts: expected an array of at most %d", MOST_WORDS);
	spec->mounts = calloc(n + 1, sizeof *spec->mounts);
	if (!spec->mounts)
		return fail(e, ENOMEM, "cannot keep the specification");
	for (size_t i = 0; i < n && !err; i++, spec->nmounts++)
		err = parse_mount(json_array_get(json, i), &spec->mounts[i], e);
	return err;
}

static int parse_groups(json_t *json, struct vr_spec *spec, struct error *e)
{
	size_t n = json_array_size(json);

	if (!json_is_array(json) || n > VR_GROUPS)
		return refuse(e, "groups: expected an array of at most %d", VR_GROUPS);
	for (; spec->ngroups < n; spec->ngroups++) {
		json_t *group = json_array_get(json, spec->ngroups);

		if (!json_is_integer(group))
			return refuse(e, "groups: expected numbers");
		if (json_in_range("group", json_integer_value(group), 0, 65535, e))
			return -EINVAL;
		spec->groups[spec->ngroups] = (uint32_t)json_integer_value(group);
	}
	return 0;
}

static bool keep_rlimit_value(json_t *json, uint64_t *where)
{
	*where = json_is_null(json) ? RLIMIT_UNLIMITED : (uint64_t)json_integer_value(json);
	return json_is_null(json) || (json_is_integer(json) && json_integer_value(json) >= 0);
}

static int parse_rlimit(json_t *json, struct rlimits_one *one, struct error *e)
{
	json_t *soft, *hard;
	json_error_t error;
	const char *type;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:s, s:o, s:o}", "type", &type, "soft", &soft, "hard", &hard) < 0)
		return json_complaint(&error, e);
	if (!rlimit_number(type, &one->resource))
		return refuse(e, "rlimits: expected types as in RLIMIT_NOFILE");
	if (!keep_rlimit_value(soft, &one->soft) || !keep_rlimit_value(hard, &one->hard) || one->soft > one->hard)
		return refuse(e, "%s: expected numbers or null, and soft not above hard", type);
	return 0;
}

static int parse_rlimits(json_t *json, struct rlimits *limits, struct error *e)
{
	size_t n = json_array_size(json);
	int err = 0;

	if (!json_is_array(json) || n > RLIMITS)
		return refuse(e, "rlimits: expected an array of at most %d", RLIMITS);
	for (; limits->n < n && !err; limits->n++)
		err = parse_rlimit(json_array_get(json, limits->n), &limits->one[limits->n], e);
	return err;
}

static int parse_words(const char *name, const char *which, const char *caps, const char *seccomp, struct vr_spec *spec, struct error *e)
{
	int found = find_word(which, switches, SWITCHES);
	unsigned long long bits;
	char end;

	if (!quantity_vr_name(name))
		return refuse(e, "name: expected " EXPECT_VR_NAME);
	strcpy(spec->name, name);
	if (found < 0)
		return refuse(e, "switch: expected auto, kmod or user");
	spec->which_switch = (enum vr_switch)found;
	if (strlen(caps) != 18 || strspn(caps, "0123456789abcdefx") != 18 || sscanf(caps, "0x%16llx%c", &bits, &end) != 1)
		return refuse(e, "capabilities: expected 0x and 16 hexadecimal digits");
	spec->caps = bits;
	if (strcmp(seccomp, "wide") != 0 && strcmp(seccomp, "tight") != 0)
		return refuse(e, "seccomp: expected tight or wide");
	spec->wide_seccomp = seccomp[0] == 'w';
	return 0;
}

int spec_parse(json_t *json, struct vr_spec *spec, struct error *e)
{
	json_t *image, *bundle, *rootfs, *args, *env, *cwd, *hostname, *mounts, *config, *limits, *vnics, *geometry, *pid_file, *log_dir;
	json_t *groups = NULL, *rlimits = NULL;
	const char *name, *which, *caps, *seccomp;
	int detach, rm, lossy, err;
	json_int_t uid, gid;
	json_error_t error;

	if (json_unpack_ex(json, &error, JSON_STRICT,
			   "{s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:I, s:I, s:s, s:s, "
			   "s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:b, s?o, s?o}",
			   "name", &name, "image", &image, "bundle", &bundle, "rootfs", &rootfs, "switch", &which, "args", &args,
			   "env", &env, "cwd", &cwd, "uid", &uid, "gid", &gid, "capabilities", &caps, "seccomp", &seccomp,
			   "hostname", &hostname, "mounts", &mounts, "config", &config, "limits", &limits, "vnics", &vnics,
			   "geometry", &geometry, "detach", &detach, "rm", &rm, "pid_file", &pid_file, "log_dir", &log_dir,
			   "lossy", &lossy, "groups", &groups, "rlimits", &rlimits) < 0)
		return json_complaint(&error, e);
	if (lossy)
		return refuse(e, "an argument, a variable or a path is no UTF-8 text");
	if (json_in_range("uid", uid, 0, UINT32_MAX, e) || json_in_range("gid", gid, 0, UINT32_MAX, e))
		return -EINVAL;
	spec->uid = (uint32_t)uid;
	spec->gid = (uint32_t)gid;
	spec->detach = detach;
	spec->rm = rm;
	err = parse_words(name, which, caps, seccomp, spec, e) ?: keep_text(image, "image", &spec->image, e) ?:
	      keep_absolute(bundle, "bundle", &spec->bundle, e) ?: keep_absolute(rootfs, "rootfs", &spec->rootfs, e) ?:
	      keep_list(args, "args", &spec->args, e) ?: keep_list(env, "env", &spec->env, e) ?: keep_text(cwd, "cwd", &spec->cwd, e) ?:
	      keep_text(hostname, "hostname", &spec->hostname, e) ?: keep_absolute(config, "config", &spec->config, e) ?:
	      keep_absolute(pid_file, "pid_file", &spec->pid_file, e) ?: keep_absolute(log_dir, "log_dir", &spec->log_dir, e) ?:
	      limits_parse(limits, &spec->limits, e) ?: parse_vnics(vnics, spec, e) ?: parse_geometry(geometry, spec, e) ?:
	      parse_mounts(mounts, spec, e) ?: (groups ? parse_groups(groups, spec, e) : 0) ?:
	      (rlimits ? parse_rlimits(rlimits, &spec->rlimits, e) : 0);
	return err ?: check_env(spec->env, e);
}

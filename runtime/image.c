/* SPDX-License-Identifier: MIT */
#include "runtime/image.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/privilege.h"
#include "runtime/quantity.h"

#define CONFIG_MAX      (1 << 20)
#define HOSTNAME_MAX    64
#define MTU_MIN         68
#define MTU_MAX         65521
#define UNLIMITED       "18446744073709551615"
#define UNLIMITED_READ  INT64_MAX

static void json_free(json_t **json)
{
	json_decref(*json);
}
#define auto_json __attribute__((cleanup(json_free)))

/* Where a value is in the document: a chain up to the root. */
struct place {
	const struct place *up;
	const char *key;           /* NULL: element `index` of an array */
	size_t index;
};
#define MEMBER(up_, key_)    (&(struct place){ .up = (up_), .key = (key_) })
#define ELEMENT(up_, index_) (&(struct place){ .up = (up_), .index = (index_) })

struct document {
	const char *path;          /* of config.json, for messages */
	const char *text;          /* which the parser has found to be well-formed, and is NUL-terminated */
	struct vr_spec *spec;
};

/* ---- finding a value's line and column, which the parser doesn't keep ---- */

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

static const char *skip_value(const char *p)
{
	unsigned depth = 0;

	do {
		if (*p == '"') {
			p = skip_string(p);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if ((*p == '}' || *p == ']') && --depth == 0)
			return p + 1;
		p++;
	} while (*p && (depth || !strchr(",]} \t\r\n", *p)));
	return p;
}

/* p is behind the opening bracket; returns the wanted value, or NULL. */
static const char *find_inside(const char *p, const struct place *place)
{
	for (size_t i = 0; ; i++) {
		bool found = !place->key && i == place->index;

		p = skip_space(p);
		if (place->key && *p == '"') {
			size_t length = strlen(place->key);

			found = strncmp(p + 1, place->key, length) == 0 && p[1 + length] == '"';
			p = skip_space(skip_string(p));
			p = skip_space(p + (*p == ':'));
		}
		if (found)
			return p;
		p = skip_space(skip_value(p));
		if (*p != ',')
			return NULL;
		p++;
	}
}

/* The value, or the nearest thing around it that is there. */
static const char *find_place(const struct document *d, const struct place *place)
{
	const char *around, *found = NULL;

	if (!place)
		return skip_space(d->text);
	around = find_place(d, place->up);
	if (*around == '{' || *around == '[')
		found = find_inside(around + 1, place);
	return found ? found : around;
}

static void name_place(const struct place *place, char *text, size_t size)
{
	size_t used;

	text[0] = 0;
	if (!place)
		return;
	name_place(place->up, text, size);
	used = strlen(text);
	if (place->key)
		snprintf(text + used, size - used, "%s%s", used ? "." : "", place->key);
	else
		snprintf(text + used, size - used, "[%zu]", place->index);
}

/* "PATH:LINE:COLUMN: KEY: WHAT" */
static int refuse_at(const struct document *d, const struct place *place, struct error *e, const char *what)
{
	const char *at = find_place(d, place), *start = d->text;
	char name[120];
	unsigned line = 1;

	for (const char *p = d->text; p < at; p++) {
		if (*p != '\n')
			continue;
		line++;
		start = p + 1;
	}
	name_place(place, name, sizeof name);
	return refuse(e, "%s:%u:%u: %s%s%s", d->path, line, (unsigned)(at - start) + 1, name, *name ? ": " : "", what);
}

static int refuse_value(const struct document *d, const struct place *place, struct error *e, const char *value,
			const char *expected)
{
	char quoted[80], what[200];

	snprintf(what, sizeof what, "\"%s\": expected %s", quantity_quote(quoted, sizeof quoted, value), expected);
	return refuse_at(d, place, e, what);
}

/* ---- typed access ---- */

static const char *expected_type(json_type type)
{
	switch (type) {
	case JSON_OBJECT:  return "expected an object";
	case JSON_ARRAY:   return "expected an array";
	case JSON_STRING:  return "expected a string";
	case JSON_INTEGER: return "expected an integer";
	default:           return "expected another type";
	}
}

/* The member that `place` names, which must be of that type where it is there at all; else NULL. */
static int get(const struct document *d, json_t *parent, const struct place *place, json_type type, json_t **out,
	       struct error *e)
{
	json_t *found = parent ? json_object_get(parent, place->key) : NULL;

	*out = NULL;
	if (found && json_typeof(found) != type)
		return refuse_at(d, place, e, expected_type(type));
	*out = found;
	return 0;
}

static int copy_string(char **where, const char *text, struct error *e)
{
	char *copy = strdup(text);

	if (!copy)
		return fail(e, ENOMEM, "cannot keep the image's configuration");
	free(*where);
	*where = copy;
	return 0;
}

static int get_string(const struct document *d, json_t *parent, const struct place *place, char **where, struct error *e)
{
	json_t *found;
	int err = get(d, parent, place, JSON_STRING, &found, e);

	return err || !found ? err : copy_string(where, json_string_value(found), e);
}

static int take_id(const struct document *d, json_t *id, const struct place *place, uint32_t *where, struct error *e)
{
	if (!json_is_integer(id))
		return refuse_at(d, place, e, expected_type(JSON_INTEGER));
	if (json_integer_value(id) < 0 || json_integer_value(id) > USER_MAX)
		return refuse_at(d, place, e, "expected an id from 0 to 65535");
	*where = (uint32_t)json_integer_value(id);
	return 0;
}

static int get_id(const struct document *d, json_t *parent, const struct place *place, uint32_t *where, struct error *e)
{
	json_t *found = parent ? json_object_get(parent, place->key) : NULL;

	return found ? take_id(d, found, place, where, e) : 0;
}

/* A list of strings, each of which `check` finds good; NULL-terminated. */
static int get_strings(const struct document *d, json_t *parent, const struct place *place, char ***where,
		       bool (*check)(const char *text), const char *expected, struct error *e)
{
	json_t *array, *element;
	size_t i;
	int err = get(d, parent, place, JSON_ARRAY, &array, e);

	if (err || !array)
		return err;
	*where = calloc(json_array_size(array) + 1, sizeof **where);
	if (!*where)
		return fail(e, ENOMEM, "cannot keep the image's configuration");
	json_array_foreach(array, i, element) {
		const struct place *at = ELEMENT(place, i);

		if (!json_is_string(element))
			return refuse_at(d, at, e, expected_type(JSON_STRING));
		if (!check(json_string_value(element)))
			return refuse_value(d, at, e, json_string_value(element), expected);
		err = copy_string(&(*where)[i], json_string_value(element), e);
		if (err)
			return err;
	}
	return 0;
}

/* ---- process ---- */

static bool is_any(const char *text)
{
	return true;
}

static bool is_variable(const char *text)
{
	const char *equals = strchr(text, '=');

	return equals && quantity_env_name(text, (size_t)(equals - text));
}

/* Only what every list that is there has. Inheritable and ambient ones are never given. */
static int parse_capabilities(const struct document *d, json_t *process, const struct place *up, struct error *e)
{
	static const char *const sets[] = { "bounding", "permitted", "effective" };
	const struct place *place = MEMBER(up, "capabilities");
	uint64_t wanted = UINT64_MAX;
	json_t *capabilities, *list, *element;
	bool any = false;
	size_t n;
	int err = get(d, process, place, JSON_OBJECT, &capabilities, e);

	if (err || !capabilities)
		return err;
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		const struct place *set = MEMBER(place, sets[i]);
		uint64_t these = 0;
		unsigned number;

		err = get(d, capabilities, set, JSON_ARRAY, &list, e);
		if (err)
			return err;
		if (!list)
			continue;
		json_array_foreach(list, n, element) {
			if (!json_is_string(element))
				return refuse_at(d, ELEMENT(set, n), e, expected_type(JSON_STRING));
			if (!capability_number(json_string_value(element), &number))
				return refuse_value(d, ELEMENT(set, n), e, json_string_value(element),
						    "a capability, as in CAP_NET_ADMIN");
			these |= UINT64_C(1) << number;
		}
		wanted &= these;
		any = true;
	}
	d->spec->caps = any ? capability_policy(wanted) : 0;
	return 0;
}

static int parse_groups(const struct document *d, json_t *user, const struct place *up, struct error *e)
{
	const struct place *place = MEMBER(up, "additionalGids");
	struct vr_spec *spec = d->spec;
	json_t *array, *element;
	size_t i;
	int err = get(d, user, place, JSON_ARRAY, &array, e);

	if (err || !array)
		return err;
	if (json_array_size(array) > VR_GROUPS)
		return refuse_at(d, place, e, "expected at most 32 groups");
	json_array_foreach(array, i, element) {
		err = take_id(d, element, ELEMENT(place, i), &spec->groups[i], e);
		if (err)
			return err;
		spec->ngroups++;
	}
	return 0;
}

static int parse_user(const struct document *d, json_t *process, const struct place *up, struct error *e)
{
	const struct place *place = MEMBER(up, "user");
	json_t *user;
	int err = get(d, process, place, JSON_OBJECT, &user, e);

	if (!err)
		err = get_id(d, user, MEMBER(place, "uid"), &d->spec->uid, e);
	if (!err)
		err = get_id(d, user, MEMBER(place, "gid"), &d->spec->gid, e);
	return err ? err : parse_groups(d, user, place, e);
}

static int get_rlimit_value(const struct document *d, json_t *limit, const struct place *place, uint64_t *where, struct error *e)
{
	json_t *found;
	int err = get(d, limit, place, JSON_INTEGER, &found, e);

	if (err)
		return err;
	if (!found || json_integer_value(found) < 0)
		return refuse_at(d, place, e, "expected a number; " UNLIMITED " is no limit");
	*where = json_integer_value(found) == UNLIMITED_READ ? RLIMIT_UNLIMITED : (uint64_t)json_integer_value(found);
	return 0;
}

static int parse_rlimit(const struct document *d, json_t *limit, const struct place *place, struct rlimits *limits, struct error *e)
{
	struct rlimits_one *one = &limits->one[limits->n];
	json_t *type;
	int err;

	if (!json_is_object(limit))
		return refuse_at(d, place, e, expected_type(JSON_OBJECT));
	err = get(d, limit, MEMBER(place, "type"), JSON_STRING, &type, e);
	if (err)
		return err;
	if (!type || !rlimit_number(json_string_value(type), &one->resource))
		return refuse_value(d, MEMBER(place, "type"), e, type ? json_string_value(type) : "", "a resource limit, as in RLIMIT_NOFILE");
	for (uint32_t i = 0; i < limits->n; i++)
		if (limits->one[i].resource == one->resource)
			return refuse_value(d, MEMBER(place, "type"), e, json_string_value(type), "each resource limit once");
	err = get_rlimit_value(d, limit, MEMBER(place, "soft"), &one->soft, e);
	if (!err)
		err = get_rlimit_value(d, limit, MEMBER(place, "hard"), &one->hard, e);
	if (!err && one->soft > one->hard)
		return refuse_at(d, MEMBER(place, "soft"), e, "expected at most what \"hard\" is");
	limits->n += !err;
	return err;
}

static int parse_rlimits(const struct document *d, json_t *process, const struct place *up, struct error *e)
{
	const struct place *place = MEMBER(up, "rlimits");
	json_t *array, *element;
	size_t i;
	int err = get(d, process, place, JSON_ARRAY, &array, e);

	if (err || !array)
		return err;
	if (json_array_size(array) > RLIMITS)
		return refuse_at(d, place, e, "expected at most 16, each resource limit once");
	json_array_foreach(array, i, element) {
		err = parse_rlimit(d, element, ELEMENT(place, i), &d->spec->rlimits, e);
		if (err)
			return err;
	}
	return 0;
}

static int parse_process(const struct document *d, json_t *root, struct error *e)
{
	const struct place *place = MEMBER(NULL, "process");
	struct vr_spec *spec = d->spec;
	json_t *process;
	int err = get(d, root, place, JSON_OBJECT, &process, e);

	if (!err && !process)
		return refuse_at(d, NULL, e, "expected a \"process\", which says what to run");
	if (!err && json_is_true(json_object_get(process, "terminal")))
		return refuse_at(d, MEMBER(place, "terminal"), e,
				 "a terminal of its own can't be had: expected false (the program gets the caller's stdio)");
	if (!err)
		err = get_strings(d, process, MEMBER(place, "args"), &spec->args, is_any, "", e);
	if (!err && (!spec->args || !spec->args[0] || !*spec->args[0]))
		return refuse_at(d, MEMBER(place, "args"), e, "expected the program and its arguments");
	if (!err)
		err = get_strings(d, process, MEMBER(place, "env"), &spec->env, is_variable, "NAME=VALUE", e);
	if (!err)
		err = get_string(d, process, MEMBER(place, "cwd"), &spec->cwd, e);
	if (!err && spec->cwd && (spec->cwd[0] != '/' || strlen(spec->cwd) >= PATH_MAX))
		return refuse_value(d, MEMBER(place, "cwd"), e, spec->cwd, "an absolute path");
	if (!err)
		err = parse_user(d, process, place, e);
	if (!err)
		err = parse_rlimits(d, process, place, e);
	return err ? err : parse_capabilities(d, process, place, e);
}

/* ---- the rest ---- */

static bool is_hostname(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length <= HOSTNAME_MAX &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_+") == length;
}

static int parse_hostname(const struct document *d, json_t *root, struct error *e)
{
	const struct place *place = MEMBER(NULL, "hostname");
	int err = get_string(d, root, place, &d->spec->hostname, e);

	if (!err && d->spec->hostname && !is_hostname(d->spec->hostname))
		return refuse_value(d, place, e, d->spec->hostname, "at most 64 letters, digits, and . - _ +");
	return err;
}

/* Nothing of the host outside the image's directory can be an image's root. */
static bool stays_inside(const char *path)
{
	if (*path == '/' || !*path)
		return false;
	while (*path) {
		size_t length = strcspn(path, "/");

		if (length == 2 && path[0] == '.' && path[1] == '.')
			return false;
		path += length + (path[length] == '/');
	}
	return true;
}

static int parse_root(const struct document *d, json_t *root, struct error *e)
{
	const struct place *place = MEMBER(NULL, "root"), *path_place = MEMBER(place, "path");
	json_t *object, *path;
	int err = get(d, root, place, JSON_OBJECT, &object, e);

	if (!err)
		err = get(d, object, path_place, JSON_STRING, &path, e);
	if (err)
		return err;
	if (!path)
		return refuse_at(d, place, e, "expected a \"path\", which says where the root file system is");
	if (!stays_inside(json_string_value(path)))
		return refuse_value(d, path_place, e, json_string_value(path), "a directory inside the image, as in rootfs");
	free(d->spec->rootfs);
	if (asprintf(&d->spec->rootfs, "%s/%s", d->spec->bundle, json_string_value(path)) < 0) {
		d->spec->rootfs = NULL;
		return fail(e, ENOMEM, "cannot keep the image's configuration");
	}
	return 0;
}

/* File systems that every VR has, or does without, whatever the image says. */
static bool is_usual_mount(const char *type, const char *destination)
{
	static const struct { const char *type, *destination; } usual[] = {
		{ "proc", "/proc" }, { "tmpfs", "/dev" }, { "devpts", "/dev/pts" }, { "tmpfs", "/dev/shm" },
		{ "mqueue", "/dev/mqueue" }, { "sysfs", "/sys" }, { "cgroup", "/sys/fs/cgroup" },
		{ "cgroup2", "/sys/fs/cgroup" }, { "tmpfs", "/tmp" },
	};

	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
		if (strcmp(usual[i].type, type) == 0 && strcmp(usual[i].destination, destination) == 0)
			return true;
	return false;
}

static int parse_mounts(const struct document *d, json_t *root, struct error *e)
{
	const struct place *place = MEMBER(NULL, "mounts");
	json_t *array, *mount, *type, *destination;
	size_t i;
	int err = get(d, root, place, JSON_ARRAY, &array, e);

	if (err || !array)
		return err;
	json_array_foreach(array, i, mount) {
		const struct place *at = ELEMENT(place, i);

		if (!json_is_object(mount))
			return refuse_at(d, at, e, expected_type(JSON_OBJECT));
		err = get(d, mount, MEMBER(at, "type"), JSON_STRING, &type, e);
		if (!err)
			err = get(d, mount, MEMBER(at, "destination"), JSON_STRING, &destination, e);
		if (err)
			return err;
		if (!destination)
			return refuse_at(d, at, e, "expected a \"destination\"");
		if (!is_usual_mount(type ? json_string_value(type) : "bind", json_string_value(destination)))
			return refuse_value(d, MEMBER(at, "destination"), e, json_string_value(destination),
					    "no mounts but the usual ones (europa-run --mount adds others)");
	}
	return 0;
}

static int parse_hooks(const struct document *d, json_t *root, struct error *e)
{
	const struct place *place = MEMBER(NULL, "hooks");
	json_t *hooks;
	int err = get(d, root, place, JSON_OBJECT, &hooks, e);

	if (!err && hooks && json_object_size(hooks))
		return refuse_at(d, place, e, "an image can't run programs on the host: expected none");
	return err;
}

static int parse_version(const struct document *d, json_t *root, struct error *e)
{
	const struct place *place = MEMBER(NULL, "ociVersion");
	json_t *version;
	int err = get(d, root, place, JSON_STRING, &version, e);

	if (!err && version && strncmp(json_string_value(version), "1.", 2))
		return refuse_value(d, place, e, json_string_value(version), "version 1 of the OCI runtime specification");
	return err;
}

/* ---- annotations ---- */

static bool set_number(const char *text, uint64_t min, uint64_t max, uint32_t *where)
{
	uint64_t n;

	if (!quantity_number(text, min, max, &n))
		return false;
	*where = (uint32_t)n;
	return true;
}

static bool set_vnics(struct vr_spec *spec, const char *text)
{
	return set_number(text, 0, EUROPA_MAX_VNICS, &spec->vnics);
}

static bool set_pool(struct vr_spec *spec, const char *text)
{
	return set_number(text, EUROPA_MIN_SLOTS, EUROPA_MAX_SLOTS, &spec->geometry.nslots);
}

static bool set_slot_size(struct vr_spec *spec, const char *text)
{
	uint64_t bytes;

	if (!quantity_size(text, &bytes) || bytes < EUROPA_MIN_STRIDE || bytes > EUROPA_MAX_STRIDE)
		return false;
	spec->geometry.slot_stride = (uint32_t)bytes;
	return true;
}

static bool set_ring(struct vr_spec *spec, const char *text)
{
	uint32_t n;

	if (!set_number(text, 1, EUROPA_MAX_RING, &n) || (n & (n - 1)))
		return false;
	spec->geometry.ring_size = n;
	return true;
}

static bool set_runs(struct vr_spec *spec, const char *text)
{
	return set_number(text, 1, EUROPA_MAX_SLOTS, &spec->geometry.nruns);
}

static bool set_mtu(struct vr_spec *spec, const char *text)
{
	uint32_t mtu;

	if (!set_number(text, MTU_MIN, MTU_MAX, &mtu))
		return false;
	for (unsigned n = 0; n < EUROPA_MAX_VNICS; n++)
		spec->vnic[n].mtu = (uint16_t)mtu;
	return true;
}

static bool set_cpu(struct vr_spec *spec, const char *text)
{
	return quantity_percent(text, &spec->limits.cpu_permille);
}

static bool set_seccomp(struct vr_spec *spec, const char *text)
{
	spec->wide_seccomp = strcmp(text, "wide") == 0;
	return spec->wide_seccomp || strcmp(text, "tight") == 0;
}

static const struct annotation {
	const char *name;
	bool (*set)(struct vr_spec *spec, const char *text);
	const char *expected;
} annotations[] = {
	{ "io.europa.vnics", set_vnics, "a number of vNICs from 0 to 32" },
	{ "io.europa.pool", set_pool, "a number of slots from 2 to 1048576" },
	{ "io.europa.slot-size", set_slot_size, "bytes from 576 to 65472, as in 2048 or 2K" },
	{ "io.europa.ring", set_ring, "a power of two up to 65536" },
	{ "io.europa.runs", set_runs, "a number of super-packets from 1" },
	{ "io.europa.mtu", set_mtu, "bytes from 68 to 65521" },
	{ "io.europa.cpu", set_cpu, EXPECT_PERCENT },
	{ "io.europa.seccomp", set_seccomp, "tight or wide" },
};

static const struct annotation *find_annotation(const char *name)
{
	for (size_t i = 0; i < sizeof annotations / sizeof annotations[0]; i++)
		if (strcmp(annotations[i].name, name) == 0)
			return &annotations[i];
	return NULL;
}

static int parse_annotations(const struct document *d, json_t *root, struct error *e)
{
	const struct place *place = MEMBER(NULL, "annotations");
	const char *name;
	json_t *object, *value;
	int err = get(d, root, place, JSON_OBJECT, &object, e);

	if (err || !object)
		return err;
	json_object_foreach(object, name, value) {
		const struct place *at = MEMBER(place, name);
		const struct annotation *annotation;

		if (!json_is_string(value))
			return refuse_at(d, at, e, expected_type(JSON_STRING));
		if (strncmp(name, "io.europa.", 10))
			continue;       /* somebody else's */
		annotation = find_annotation(name);
		if (!annotation)
			return refuse_at(d, at, e, "no annotation of this name is known");
		if (!annotation->set(d->spec, json_string_value(value)))
			return refuse_value(d, at, e, json_string_value(value), annotation->expected);
	}
	return 0;
}

/* ---- loading ---- */

static int parse_document(const struct document *d, json_t *root, struct error *e)
{
	static int (*const parts[])(const struct document *d, json_t *root, struct error *e) = {
		parse_version, parse_process, parse_root, parse_hostname, parse_mounts, parse_hooks, parse_annotations,
	};
	int err;

	if (!json_is_object(root))
		return refuse_at(d, NULL, e, expected_type(JSON_OBJECT));
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		err = parts[i](d, root, e);
		if (err)
			return err;
	}
	return d->spec->cwd ? 0 : copy_string(&d->spec->cwd, "/", e);
}

/* OCI's word for no limit is more than the parser's integers hold: the most that they do stands for it, as long in the text. */
static char *readable(const char *text, size_t length)
{
	char *copy = malloc(length + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	for (char *p = copy; *p; ) {
		size_t digits = strspn(p, "0123456789");

		if (*p == '"') {
			p = (char *)skip_string(p);
			continue;
		}
		if (digits == strlen(UNLIMITED) && memcmp(p, UNLIMITED, digits) == 0)
			memcpy(p, " 9223372036854775807", digits);
		p += digits ? digits : 1;
	}
	return copy;
}

int image_parse(const char *text, size_t length, struct vr_spec *spec, struct error *e)
{
	auto_free char *path = NULL, *copy = readable(text, length);
	auto_json json_t *root = NULL;
	struct document document = { .text = copy, .spec = spec };
	json_error_t error;
	char quoted[160];

	if (asprintf(&path, "%s/config.json", spec->bundle) < 0)
		path = NULL;
	if (!path || !copy)
		return fail(e, ENOMEM, "cannot read the image's configuration");
	document.path = path;
	root = json_loadb(copy, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!root)
		return refuse(e, "%s:%d:%d: %s", path, error.line, error.column,
			      quantity_quote(quoted, sizeof quoted, error.text));
	return parse_document(&document, root, e);
}

static bool is_bundle(const char *path)
{
	char config[PATH_MAX];

	return snprintf(config, sizeof config, "%s/config.json", path) < (int)sizeof config && access(config, F_OK) == 0;
}

/* The path as it was typed, or else below the directory of installed images. */
static int find_bundle(const char *image, char found[PATH_MAX], struct error *e)
{
	const char *name = strncmp(image, "image/", 6) == 0 ? image + 6 : image;
	char quoted[200];
	struct stat st;

	if (snprintf(found, PATH_MAX, "%s", image) < PATH_MAX && is_bundle(found))
		return 0;
	if (*image && *image != '/' && snprintf(found, PATH_MAX, "%s/%s", EUROPA_IMAGEDIR, name) < PATH_MAX &&
	    is_bundle(found))
		return 0;
	quantity_quote(quoted, sizeof quoted, image);
	if (stat(image, &st) == 0)
		return refuse(e, "image \"%s\": expected a directory with config.json and a root file system in it", quoted);
	return refuse(e, "image \"%s\": there is no such directory here, nor in " EUROPA_IMAGEDIR, quoted);
}

static int read_config(const char *bundle, char **text, size_t *length, struct error *e)
{
	char path[PATH_MAX];
	auto_free char *buffer = malloc(CONFIG_MAX + 1);
	auto_close int fd = -1;
	size_t used = 0;
	struct stat st;
	ssize_t got;

	if (!buffer || snprintf(path, sizeof path, "%s/config.json", bundle) >= (int)sizeof path)
		return fail(e, ENOMEM, "image \"%s\"", bundle);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return fail(e, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return refuse(e, "%s: expected a plain file", path);
	while (used <= CONFIG_MAX && (got = read(fd, buffer + used, CONFIG_MAX + 1 - used)) != 0) {
		if (got < 0)
			return fail(e, errno, "%s", path);
		used += (size_t)got;
	}
	if (used > CONFIG_MAX)
		return refuse(e, "%s: expected at most %d bytes", path, CONFIG_MAX);
	buffer[used] = 0;
	*text = take_ptr(buffer);
	*length = used;
	return 0;
}

int image_load(const char *image, struct vr_spec *spec, struct error *e)
{
	char found[PATH_MAX];
	auto_free char *text = NULL;
	size_t length = 0;
	int err = find_bundle(image, found, e);

	if (err)
		return err;
	free(spec->bundle);
	spec->bundle = realpath(found, NULL);
	if (!spec->bundle)
		return fail(e, errno, "image \"%s\"", image);
	err = copy_string(&spec->image, image, e);
	if (!err)
		err = read_config(spec->bundle, &text, &length, e);
	return err ? err : image_parse(text, length, spec, e);
}

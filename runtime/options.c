/* SPDX-License-Identifier: MIT */
#include "runtime/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/layout.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/image.h"
#include "runtime/quantity.h"

#define MIN_MEMORY      (1ull << 20)
#define MAX_PIDS        (1ull << 22)
#define MAX_WEIGHT 10000
#define USUAL_WEIGHT 100
#define MIN_PERIOD_US   1000
#define MAX_PERIOD_US   1000000
#define DEFAULT_PERIOD_US 10000
#define MIN_QUOTA_US    1000            /* the kernel takes no smaller one */
#define DEFAULT_SLOTS   2048
#define MIN_MTU         68              /* RFC 791 */
#define MAX_MTU         65521           /* an Ethernet header more is 64 KiB */
#define FRAME_OVERHEAD  18              /* Ethernet header and one VLAN tag */

enum {
	OPTION_NAME = OPTION_AFTER_LIMITS,
	OPTION_VNICS,
	OPTION_LINK,
	OPTION_MAC,
	OPTION_MTU,
	OPTION_POOL,
	OPTION_SLOT_SIZE,
	OPTION_RING,
	OPTION_RUNS,
	OPTION_MOUNT,
	OPTION_CONFIG,
	OPTION_PID_FILE,
	OPTION_LOG_DIR,
	OPTION_SWITCH,
	OPTION_RM,
};

const struct command_option run_options[] = {
	{ OPTION_NAME, "name", "NAME", "name of the VR (default: the image's, with a number)", NULL },
	LIMIT_OPTIONS,
	{ OPTION_VNICS, "vnics", "N", "how many vNICs (default: what the image asks for)", NULL },
	{ OPTION_LINK, "link", "N=WHAT[,RULE]", "vNIC N shares device WHAT by RULE; or VR:n, device:xdp, none, generator[:size=64]", NULL },
	{ OPTION_MAC, "mac", "N=MAC", "MAC address of vNIC N", NULL },
	{ OPTION_MTU, "mtu", "[N=]BYTES", "MTU of vNIC N, or of all (default 1500)", NULL },
	{ OPTION_POOL, "pool", "SLOTS", "slots of the packet pool, from 2 (default 2048)", NULL },
	{ OPTION_SLOT_SIZE, "slot-size", "SIZE", "bytes of a slot: headroom of 128 and a frame (default 2K)", NULL },
	{ OPTION_RING, "ring", "ENTRIES", "entries of each rxRing and txRing, a power of two (default 1024)", NULL },
	{ OPTION_RUNS, "runs", "N", "super-packets of 64 KiB that the pool has room for", NULL },
	{ 'e', "env", "NAME[=VALUE]", "a variable for the data plane; without value: as it is here", NULL },
	{ OPTION_MOUNT, "mount", "SRC:DST[:ro|rw]", "SRC of the host is seen at DST in the VR (default ro)", "FILE" },
	{ OPTION_CONFIG, "config", "FILE", "FILE is seen read-only as /etc/europa/config", "FILE" },
	{ 'd', "detach", NULL, "run in the background, print the name", NULL },
	{ OPTION_PID_FILE, "pid-file", "FILE", "write the pid of the VR's process 1 to FILE", "FILE" },
	{ OPTION_LOG_DIR, "log-dir", "DIR", "keep the log of a detached VR in DIR", "DIR" },
	{ OPTION_SWITCH, "switch", "KIND", "which switch serves it: auto, kmod or user (default auto)", "auto kmod user" },
	{ OPTION_RM, "rm", NULL, "forget the VR and its log as soon as it ends", NULL },
	OPTIONS_END
};

/* A run's command line while it is read: what can't go straight onto the spec, because the image's defaults must come first. */
struct request {
	struct vr_spec *spec;
	uint32_t slots, slot_size, ring, runs;  /* the geometry as geometry_choose() wants it */
	unsigned past_vnic;                     /* highest vNIC that an option names, plus one */
	char past_option[300];                  /* that option, to complain about */
};

static int out_of_memory(struct error *e)
{
	return fail(e, ENOMEM, "cannot keep the options");
}

static int replace_string(char **where, const char *text, struct error *e)
{
	char *copy = strdup(text);

	if (!copy)
		return out_of_memory(e);
	free(*where);
	*where = copy;
	return 0;
}

/* Path from the root on, so that it still means the same when the supervisor has gone elsewhere. */
static int replace_path(char **where, const char *path, struct error *e)
{
	char directory[PATH_MAX], *absolute;

	if (path[0] == '/')
		return replace_string(where, path, e);
	if (!getcwd(directory, sizeof directory))
		return fail(e, errno, "cannot tell the working directory");
	if (asprintf(&absolute, "%s/%s", directory, path) < 0)
		return out_of_memory(e);
	free(*where);
	*where = absolute;
	return 0;
}

static bool is_unlimited(const char *text)
{
	return strcmp(text, "unlimited") == 0 || strcmp(text, "max") == 0;
}

int options_limit(int key, const struct arguments *a, bool lift, struct vr_limits *limits, struct error *e)
{
	bool unlimited = a->value && is_unlimited(a->value);
	uint64_t n = lift ? UINT64_MAX : 0;

	switch (key) {
	case OPTION_CPU:
	case OPTION_CPUS:
		if (unlimited)
			limits->cpu_permille = (uint32_t)n;
		else if (key == OPTION_CPU && !quantity_percent(a->value, &limits->cpu_permille))
			return arguments_expected(a, e, EXPECT_PERCENT);
		else if (key == OPTION_CPUS && !quantity_cpus(a->value, &limits->cpu_permille))
			return arguments_expected(a, e, EXPECT_CPUS);
		return 1;
	case OPTION_CPU_PERIOD:
		if (!quantity_microseconds(a->value, &n) || n < MIN_PERIOD_US || n > MAX_PERIOD_US)
			return arguments_expected(a, e, "a time from 1ms to 1s, as in 10ms or 10000us");
		limits->period_us = (uint32_t)n;
		return 1;
	case OPTION_CPU_BURST:
		if (!quantity_microseconds(a->value, &n) || n > UINT32_MAX - 1)
			return arguments_expected(a, e, "a time, as in 5ms or 5000us");
		limits->burst_us = n || !lift ? (uint32_t)n : UINT32_MAX;
		return 1;
	case OPTION_CPU_WEIGHT:
		if (!quantity_number(a->value, 1, MAX_WEIGHT, &n))
			return arguments_expected(a, e, "a number from 1 to 10000; 100 is what others have");
		limits->cpu_weight = n == USUAL_WEIGHT ? (lift ? UINT32_MAX : 0) : (uint32_t)n;
		return 1;
	case OPTION_CPUSET:
		if (!quantity_cpuset(a->value))
			return arguments_expected(a, e, "a list of CPUs in ascending order, as in 0-3,5");
		return replace_string(&limits->cpuset, a->value, e) ?: 1;
	case OPTION_MEMORY:
		if (!unlimited && (!quantity_size(a->value, &n) || n < MIN_MEMORY || n > INT64_MAX))
			return arguments_expected(a, e, "a size of 1M or more, as in 64M or 1G, or unlimited");
		limits->memory = n;
		return 1;
	case OPTION_PIDS:
		if (!unlimited && !quantity_number(a->value, 1, MAX_PIDS, &n))
			return arguments_expected(a, e, "a number from 1 to 4194304, or unlimited");
		limits->pids = n;
		return 1;
	}
	return 0;
}

/* "N=..." of --link, --mac and --mtu: the vNIC, and in *rest what it is to have. */
static bool take_vnic(struct request *r, const struct arguments *a, unsigned *vnic, const char **rest)
{
	char number[4] = "", quoted[200];
	const char *equals = strchr(a->value, '=');
	uint64_t n;

	if (!equals || (size_t)(equals - a->value) >= sizeof number)
		return false;
	memcpy(number, a->value, (size_t)(equals - a->value));
	if (!quantity_number(number, 0, EUROPA_MAX_VNICS - 1, &n))
		return false;
	if (n >= r->past_vnic) {
		r->past_vnic = (unsigned)n + 1;
		snprintf(r->past_option, sizeof r->past_option, "%s \"%s\"", a->spelled,
			 quantity_quote(quoted, sizeof quoted, a->value));
	}
	*vnic = (unsigned)n;
	*rest = equals + 1;
	return true;
}

/* "left:2" is vNIC 2 of the VR "left". */
static bool is_peer(const char *what)
{
	char name[VR_NAME_MAX];
	const char *colon = strrchr(what, ':');
	uint64_t vnic;

	if (!colon || (size_t)(colon - what) >= sizeof name)
		return false;
	memcpy(name, what, (size_t)(colon - what));
	name[colon - what] = '\0';
	return quantity_vr_name(name) && quantity_number(colon + 1, 0, EUROPA_MAX_VNICS - 1, &vnic);
}

static bool is_generator(const char *what)
{
	return strcmp(what, "generator") == 0 || strncmp(what, "generator:", 10) == 0;
}

static bool is_generator_arguments(const char *arguments)
{
	uint64_t size;

	return !*arguments || (strncmp(arguments, "size=", 5) == 0 && quantity_number(arguments + 5, 60, 65535, &size));
}

/* WHAT[,RULE] onto the vNIC; a static text that says what would be right where it can't be. */
static const char *link_expected(struct vr_vnic *vnic, char *what, struct error *e)
{
	char *comma = strchr(what, ','), *target = what, *rule = NULL;
	uint8_t kind;

	if (comma && !is_generator(what)) {
		*comma = '\0';
		rule = comma + 1 + strspn(comma + 1, " ");
	}
	if (strcmp(what, "none") == 0) {
		kind = EUROPA_PORT_NONE;
		target = NULL;
	} else if (strcmp(what, "device:xdp") == 0) {
		kind = EUROPA_PORT_XDP;
		target = NULL;
	} else if (is_generator(what)) {
		kind = EUROPA_PORT_GENERATOR;
		target = what + strlen("generator");
		target += *target == ':';
		if (!is_generator_arguments(target))
			return "generator, or generator:size= and a frame's length from 60 to 65535";
	} else if (strchr(what, ':')) {
		kind = EUROPA_PORT_VR;
		if (!is_peer(what))
			return "a VR's name and one of its vNICs, as in left:0";
	} else {
		kind = EUROPA_PORT_SHARED;
		if (!quantity_device_name(what))
			return "a net device, VR:n, device:xdp, none or generator after the =";
	}
	if (rule && kind != EUROPA_PORT_SHARED)
		return "no rule: rules are for net devices";
	if (rule && strlen(rule) >= sizeof ((struct europa_attach *)0)->rule)
		return "a rule of at most 511 bytes";
	if (rule && quantity_rule_expected(rule))
		return quantity_rule_expected(rule);

	free(vnic->target);
	free(vnic->rule);
	vnic->kind = kind;
	vnic->target = target ? strdup(target) : NULL;
	vnic->rule = rule ? strdup(rule) : NULL;
	if ((target && !vnic->target) || (rule && !vnic->rule))
		out_of_memory(e);
	return NULL;
}

static int apply_link(struct request *r, const struct arguments *a, struct error *e)
{
	auto_free char *copy = NULL;
	const char *what, *expected;
	unsigned n;

	if (!take_vnic(r, a, &n, &what))
		return arguments_expected(a, e, "a vNIC from 0 to 31, = and what it is linked to, as in 0=eth1 or 0=eth1,vlan 5");
	copy = strdup(what);
	if (!copy)
		return out_of_memory(e);
	expected = link_expected(&r->spec->vnic[n], copy, e);
	if (expected)
		return arguments_expected(a, e, expected);
	return -e->code;
}

static int apply_mac(struct request *r, const struct arguments *a, struct error *e)
{
	const char *mac;
	unsigned n;

	if (!take_vnic(r, a, &n, &mac) || !quantity_mac(mac, r->spec->vnic[n].mac))
		return arguments_expected(a, e, "a vNIC, = and a unicast MAC address, as in 0=52:54:00:12:34:56");
	return 0;
}

static int apply_mtu(struct request *r, const struct arguments *a, struct error *e)
{
	const char *bytes = a->value;
	unsigned first = 0, last = EUROPA_MAX_VNICS - 1;
	uint64_t mtu;

	if (strchr(a->value, '=')) {
		if (!take_vnic(r, a, &first, &bytes))
			return arguments_expected(a, e, "a vNIC from 0 to 31 before the =, as in 0=1500");
		last = first;
	}
	if (!quantity_number(bytes, MIN_MTU, MAX_MTU, &mtu))
		return arguments_expected(a, e, "bytes from 68 to 65521, as in 1500 or 0=1500");
	for (unsigned n = first; n <= last; n++)
		r->spec->vnic[n].mtu = (uint16_t)mtu;
	return 0;
}

static int apply_number(const struct arguments *a, struct error *e, uint32_t min, uint32_t max, uint32_t *out)
{
	char what[60];
	uint64_t n;

	if (!quantity_number(a->value, min, max, &n)) {
		snprintf(what, sizeof what, "a number from %u to %u", min, max);
		return arguments_expected(a, e, what);
	}
	*out = (uint32_t)n;
	return 0;
}

static int apply_slot_size(struct request *r, const struct arguments *a, struct error *e)
{
	uint64_t bytes;

	if (!quantity_size(a->value, &bytes) || bytes < EUROPA_MIN_STRIDE || bytes > EUROPA_MAX_STRIDE)
		return arguments_expected(a, e, "a size from 576 to 65472, as in 2K");
	r->slot_size = (uint32_t)bytes;
	return 0;
}

static int apply_ring(struct request *r, const struct arguments *a, struct error *e)
{
	uint64_t n;

	if (!quantity_number(a->value, 2, EUROPA_MAX_RING, &n) || (n & (n - 1)))
		return arguments_expected(a, e, "a power of two from 2 to 65536");
	r->ring = (uint32_t)n;
	return 0;
}

/* Puts NAME=VALUE where NAME was, or at the end. */
static int set_env(struct vr_spec *spec, const char *assignment, struct error *e)
{
	size_t length = strcspn(assignment, "=") + 1, n = 0;
	char **longer;

	for (; spec->env && spec->env[n]; n++)
		if (strncmp(spec->env[n], assignment, length) == 0)
			return replace_string(&spec->env[n], assignment, e);
	longer = realloc(spec->env, (n + 2) * sizeof *longer);
	if (!longer)
		return out_of_memory(e);
	spec->env = longer;
	longer[n] = NULL;
	longer[n + 1] = NULL;
	return replace_string(&longer[n], assignment, e);
}

static int apply_env(struct request *r, const struct arguments *a, struct error *e)
{
	const char *here, *equals = strchr(a->value, '=');
	auto_free char *assignment = NULL;

	if (!quantity_env_name(a->value, equals ? (size_t)(equals - a->value) : strlen(a->value)))
		return arguments_expected(a, e, "NAME=VALUE, the name of letters, digits and _");
	if (equals)
		return set_env(r->spec, a->value, e);
	here = getenv(a->value);
	if (!here)
		return 0;
	if (asprintf(&assignment, "%s=%s", a->value, here) < 0)
		return out_of_memory(e);
	return set_env(r->spec, assignment, e);
}

static bool is_plain_absolute(const char *path)
{
	return path[0] == '/' && path[1] && !strstr(path, "/../") &&
	       !(strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0);
}

static int apply_mount(struct request *r, const struct arguments *a, struct error *e)
{
	struct vr_spec *spec = r->spec;
	auto_free char *copy = strdup(a->value);
	struct vr_mount *longer, *m;
	char *source = copy, *target, *mode;
	struct stat st;

	if (!copy)
		return out_of_memory(e);
	target = strchr(copy, ':');
	if (target)
		*target++ = '\0';
	mode = target ? strchr(target, ':') : NULL;
	if (mode)
		*mode++ = '\0';
	if (!target || !*source || !is_plain_absolute(target) ||
	    (mode && strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0))
		return arguments_expected(a, e, "SOURCE:TARGET, :ro or :rw after it, the target absolute and without ..");
	if (stat(source, &st) < 0)
		return fail(e, errno, "%s \"%s\": cannot find the source", a->spelled, a->value);

	longer = realloc(spec->mounts, (spec->nmounts + 1) * sizeof *longer);
	if (!longer)
		return out_of_memory(e);
	spec->mounts = longer;
	m = &longer[spec->nmounts];
	*m = (struct vr_mount){ .read_only = !mode || strcmp(mode, "ro") == 0 };
	spec->nmounts++;
	return replace_path(&m->source, source, e) ?: replace_string(&m->target, target, e);
}

static int apply_config(struct request *r, const struct arguments *a, struct error *e)
{
	struct stat st;

	if (stat(a->value, &st) < 0)
		return fail(e, errno, "%s \"%s\": cannot find the file", a->spelled, a->value);
	if (!S_ISREG(st.st_mode))
		return arguments_expected(a, e, "a regular file");
	return replace_path(&r->spec->config, a->value, e);
}

static int apply_log_dir(struct request *r, const struct arguments *a, struct error *e)
{
	struct stat st;

	if (stat(a->value, &st) < 0)
		return fail(e, errno, "%s \"%s\": cannot find the directory", a->spelled, a->value);
	if (!S_ISDIR(st.st_mode))
		return arguments_expected(a, e, "a directory");
	return replace_path(&r->spec->log_dir, a->value, e);
}

static int apply_switch(struct request *r, const struct arguments *a, struct error *e)
{
	static const char *const names[] = { [SWITCH_AUTO] = "auto", [SWITCH_KMOD] = "kmod", [SWITCH_USER] = "user" };

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(a->value, names[i]) == 0) {
			r->spec->which_switch = (enum vr_switch)i;
			return 0;
		}
	return arguments_expected(a, e, "auto, kmod or user");
}

static int apply_name(struct request *r, const struct arguments *a, struct error *e)
{
	if (!quantity_vr_name(a->value))
		return arguments_expected(a, e, EXPECT_VR_NAME);
	strcpy(r->spec->name, a->value);
	return 0;
}

static int apply_option(struct request *r, int key, const struct arguments *a, struct error *e)
{
	struct vr_spec *spec = r->spec;
	int known = options_limit(key, a, false, &spec->limits, e);

	if (known)
		return known < 0 ? known : 0;
	switch (key) {
	case OPTION_NAME:      return apply_name(r, a, e);
	case OPTION_VNICS:     return apply_number(a, e, 0, EUROPA_MAX_VNICS, &spec->vnics);
	case OPTION_LINK:      return apply_link(r, a, e);
	case OPTION_MAC:       return apply_mac(r, a, e);
	case OPTION_MTU:       return apply_mtu(r, a, e);
	case OPTION_POOL:      return apply_number(a, e, EUROPA_MIN_SLOTS, EUROPA_MAX_SLOTS, &r->slots);
	case OPTION_SLOT_SIZE: return apply_slot_size(r, a, e);
	case OPTION_RING:      return apply_ring(r, a, e);
	case OPTION_RUNS:      return apply_number(a, e, 0, EUROPA_MAX_SLOTS, &r->runs);
	case 'e':              return apply_env(r, a, e);
	case OPTION_MOUNT:     return apply_mount(r, a, e);
	case OPTION_CONFIG:    return apply_config(r, a, e);
	case OPTION_PID_FILE:  return replace_path(&spec->pid_file, a->value, e);
	case OPTION_LOG_DIR:   return apply_log_dir(r, a, e);
	case OPTION_SWITCH:    return apply_switch(r, a, e);
	case OPTION_RM:        spec->rm = true; return 0;
	case 'd':              spec->detach = true; return 0;
	}
	return refuse(e, "%s: not understood here", a->spelled);
}

/* All options up to IMAGE; a->at is behind it afterwards. *image is NULL where there is none. */
static int apply_options(struct request *r, struct arguments *a, const char **image, struct error *e)
{
	int key, err;

	*image = NULL;
	while ((key = arguments_next(a, e)) > 0) {
		if (key == ARGUMENT_OPERAND) {
			*image = a->value;
			return 0;
		}
		err = apply_option(r, key, a, e);
		if (err)
			return err;
	}
	return key;
}

/* What stands behind IMAGE takes the place of the image's own arguments; the program stays the image's. */
static int replace_arguments(struct vr_spec *spec, int argc, char **argv, struct error *e)
{
	char **args;

	if (argc && strcmp(argv[0], "--") == 0) {
		argc--;
		argv++;
	}
	if (!argc)
		return 0;
	args = calloc((size_t)argc + 2, sizeof *args);
	if (!args)
		return out_of_memory(e);
	args[0] = spec->args && spec->args[0] ? strdup(spec->args[0]) : strdup("");
	for (int i = 0; i < argc; i++)
		args[i + 1] = strdup(argv[i]);
	for (char **old = spec->args; old && *old; old++)
		free(*old);
	free(spec->args);
	spec->args = args;
	for (int i = 0; i <= argc; i++)
		if (!args[i])
			return out_of_memory(e);
	return 0;
}

static int complete_geometry(struct request *r, struct error *e)
{
	struct europa_geometry *geo = &r->spec->geometry;
	const char *why = NULL;

	geometry_choose(geo, r->spec->vnics, r->slots, r->slot_size, r->ring, r->runs);
	if (geometry_check(geo, &why))
		return refuse(e, "a pool of %u slots of %u bytes with %u super-packets and rings of %u: %s",
			      geo->nslots, geo->slot_stride, geo->nruns, geo->ring_size, why);
	return 0;
}

static int check_vnics(const struct request *r, struct error *e)
{
	const struct vr_spec *spec = r->spec;
	unsigned longest = spec->geometry.slot_stride - EUROPA_HEADROOM - FRAME_OVERHEAD;

	if (r->past_vnic > spec->vnics)
		return refuse(e, "%s: expected one of the VR's %u vNIC%s, which are counted from 0 (see --vnics)",
			      r->past_option, spec->vnics, spec->vnics == 1 ? "" : "s");
	for (unsigned n = 0; n < spec->vnics; n++)
		if (!spec->geometry.nruns && spec->vnic[n].mtu > longest)
			return refuse(e, "--mtu \"%u\": expected at most %u with slots of %u bytes and no super-packets (see --slot-size)",
				      spec->vnic[n].mtu, longest, spec->geometry.slot_stride);
	return 0;
}

/* The kernel takes no quota below 1 ms; said here, in the user's words, and not when the group is made. */
int options_check_period(uint32_t permille, uint32_t period_us, struct error *e)
{
	if (!permille || !period_us || (uint64_t)permille * period_us / 1000 >= MIN_QUOTA_US)
		return 0;
	return refuse(e, "--cpu-period \"%uus\": expected at least %uus with a quota of %u.%u%%, for 1 ms in each period",
		      period_us, (MIN_QUOTA_US * 1000 + permille - 1) / permille, permille / 10, permille % 10);
}

int options_check_burst(uint32_t permille, uint32_t period_us, uint32_t burst_us, struct error *e)
{
	uint64_t quota = (uint64_t)permille * (period_us ? period_us : DEFAULT_PERIOD_US) / 1000;

	if (!burst_us)
		return 0;
	if (!permille)
		return refuse(e, "--cpu-burst \"%uus\": expected a quota (--cpu) that it can save up", burst_us);
	/* Where it would be less, the period becomes longer. */
	if (quota < MIN_QUOTA_US)
		quota = MIN_QUOTA_US;
	if (burst_us > quota)
		return refuse(e, "--cpu-burst \"%uus\": expected at most the quota, %lluus in each period",
			      burst_us, (unsigned long long)quota);
	return 0;
}

static int check_quota(const struct vr_limits *limits, struct error *e)
{
	return options_check_period(limits->cpu_permille, limits->period_us, e) ?:
	       options_check_burst(limits->cpu_permille, limits->period_us, limits->burst_us, e);
}

/* Values are looked at before the image is, so that a slip of the finger is not blamed on a file. */
static int check_first(int argc, char **argv, struct error *e)
{
	struct vr_spec scratch = { 0 };
	struct request r = { .spec = &scratch };
	struct arguments a = ARGUMENTS(argc, argv, run_options);
	const char *image;
	int err;

	a.operands_last = true;
	err = apply_options(&r, &a, &image, e);
	if (!err && !image)
		err = refuse(e, "expected an image, as in europa-run --cpu 25%% --vnics 2 image/ipfwd");
	spec_release(&scratch);
	return err;
}

static const char *find_image(int argc, char **argv)
{
	struct arguments a = ARGUMENTS(argc, argv, run_options);
	struct error ignored = { 0 };
	int key;

	a.operands_last = true;
	while ((key = arguments_next(&a, &ignored)) > 0)
		if (key == ARGUMENT_OPERAND)
			return a.value;
	return NULL;
}

/* A data plane can't see its cgroup: libeuropa measures its spinning by this (shim/wait.c). */
int options_tell_quota(struct vr_spec *spec, struct error *e)
{
	char assignment[sizeof "EUROPA_CPU_PERMILLE=4294967295"];

	if (!spec->limits.cpu_permille)
		return 0;
	snprintf(assignment, sizeof assignment, "EUROPA_CPU_PERMILLE=%u", spec->limits.cpu_permille);
	return set_env(spec, assignment, e);
}

int options_run(int argc, char **argv, struct vr_spec *spec, struct error *e)
{
	struct request r = { .spec = spec };
	struct arguments a = ARGUMENTS(argc, argv, run_options);
	const struct europa_geometry *image_geometry = &spec->geometry;
	const char *image;
	int err;

	a.operands_last = true;
	err = check_first(argc, argv, e);
	if (err)
		return err;
	err = image_load(find_image(argc, argv), spec, e);
	if (err)
		return err;

	r.slots = image_geometry->nslots ? image_geometry->nslots : DEFAULT_SLOTS;
	r.slot_size = image_geometry->slot_stride;
	r.ring = image_geometry->ring_size;
	r.runs = image_geometry->nruns ? image_geometry->nruns : UINT32_MAX;
	err = apply_options(&r, &a, &image, e);
	if (!err)
		err = replace_arguments(spec, argc - a.at, argv + a.at, e);
	if (!err)
		err = complete_geometry(&r, e);
	if (!err)
		err = check_vnics(&r, e);
	if (!err)
		err = check_quota(&spec->limits, e);
	return err ? err : options_tell_quota(spec, e);
}

void options_name_stem(const char *image, char stem[VR_NAME_MAX])
{
	const char *end = image + strlen(image), *start;
	size_t used = 0;

	while (end > image && end[-1] == '/')
		end--;
	for (start = end; start > image && start[-1] != '/'; start--)
		;
	/* Room for "-" and a number stays free. */
	for (; start < end && used < VR_NAME_MAX - 12; start++) {
		bool fits = isascii((unsigned char)*start) &&
			    (isalnum((unsigned char)*start) || strchr("_+.-", *start));

		stem[used++] = fits ? *start : '_';
	}
	stem[used] = '\0';
	if (!used || stem[0] == '.' || stem[0] == '-')
		strcpy(stem, "vr");
}

/* SPDX-License-Identifier: MIT */
/*
 * europa-restore: a VR goes on from a checkpoint, here or on another host. The checkpoint is verified whole first; then it is a start like
 * europa-run's, by the same ladder of steps, and one that fails leaves nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/checkpoint/restored.h"
#include "runtime/cleanup.h"
#include "runtime/command.h"
#include "runtime/container.h"
#include "runtime/descriptors.h"
#include "runtime/error.h"
#include "runtime/image.h"
#include "runtime/launch.h"
#include "runtime/options.h"
#include "runtime/quantity.h"
#include "runtime/spec_json.h"

enum {
	OPTION_IMAGE = OPTION_LONG,
	OPTION_SWITCH,
	OPTION_RM,
	OPTION_PID_FILE,
	OPTION_LOG_DIR,
	OPTION_REPLAY,
	OPTION_NO_REPLAY,
	OPTION_NO_NETWORK,
	OPTION_NETNS,
	OPTION_MOUNTS,
	OPTION_CHECK,
	OPTION_FORMAT,
};

const struct command_option restore_options[] = {
	{ 'n', "name", "NAME", "name of the VR (default: the one that it had)", NULL },
	{ 'd', "detach", NULL, "run in the background, print the name", NULL },
	{ OPTION_IMAGE, "image", "IMAGE", "the VR's image, where it is elsewhere on this host", "IMAGE" },
	{ OPTION_NETNS, "netns", "N=NAME", "put the device of vNIC N into that network namespace; N=: leave it here", NULL },
	{ OPTION_NO_NETWORK, "no-network", NULL, "leave devices as they are made: no namespace, address or route", NULL },
	{ OPTION_REPLAY, "replay", NULL, "forward the packets that were in flight, even if they have been forwarded", NULL },
	{ OPTION_NO_REPLAY, "no-replay", NULL, "leave these packets out", NULL },
	{ OPTION_MOUNTS, "allow-mounts", NULL, "mount what of this host the checkpoint asks for", NULL },
	{ OPTION_SWITCH, "switch", "KIND", "which switch serves it: auto, kmod or user (default: as it was started)", "auto kmod user" },
	{ OPTION_PID_FILE, "pid-file", "FILE", "write the pid of the VR's process 1 to FILE", "FILE" },
	{ OPTION_LOG_DIR, "log-dir", "DIR", "keep the log of a detached VR in DIR", "DIR" },
	{ OPTION_RM, "rm", NULL, "forget the VR and its log as soon as it ends", NULL },
	{ OPTION_CHECK, "check", NULL, "verify the checkpoint, print what it is, restore nothing", NULL },
	{ OPTION_FORMAT, "format", "FORMAT", "what --check prints: text or json", "text json" },
	OPTIONS_END
};

struct request {
	const char *path, *name, *image, *pid_file, *log_dir;
	bool detach, rm, leave_network, allow_mounts, check, json;
	int which_switch;                  /* enum vr_switch, or -1 */
	enum replay replay;
	char *netns[EUROPA_MAX_VNICS];     /* points into argv */
};

/* ---- command line ---- */

static int take_netns(struct request *r, const struct arguments *a, struct error *e)
{
	char *equals = strchr(a->value, '='), number[4] = "";
	uint64_t n;

	if (equals && (size_t)(equals - a->value) < sizeof number)
		memcpy(number, a->value, (size_t)(equals - a->value));
	if (!equals || !quantity_number(number, 0, EUROPA_MAX_VNICS - 1, &n) || (equals[1] && !network_is_netns_name(equals + 1)))
		return arguments_expected(a, e, "a vNIC, = and the name of a network namespace (ip netns), as in 0=left");
	r->netns[n] = equals + 1;
	return 0;
}

static int take_switch(struct request *r, const struct arguments *a, struct error *e)
{
	static const char *const names[] = { [SWITCH_AUTO] = "auto", [SWITCH_KMOD] = "kmod", [SWITCH_USER] = "user" };

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(a->value, names[i]) == 0) {
			r->which_switch = (int)i;
			return 0;
		}
	return arguments_expected(a, e, "auto, kmod or user");
}

static int take_option(struct request *r, int key, const struct arguments *a, struct error *e)
{
	switch (key) {
	case 'n':
		r->name = a->value;
		return quantity_vr_name(a->value) ? 0 : arguments_expected(a, e, EXPECT_VR_NAME);
	case 'd':               r->detach = true; return 0;
	case OPTION_IMAGE:      r->image = a->value; return 0;
	case OPTION_NETNS:      return take_netns(r, a, e);
	case OPTION_NO_NETWORK: r->leave_network = true; return 0;
	case OPTION_REPLAY:     r->replay = REPLAY_ALWAYS; return 0;
	case OPTION_NO_REPLAY:  r->replay = REPLAY_NEVER; return 0;
	case OPTION_MOUNTS:     r->allow_mounts = true; return 0;
	case OPTION_SWITCH:     return take_switch(r, a, e);
	case OPTION_PID_FILE:   r->pid_file = a->value; return 0;
	case OPTION_LOG_DIR:    r->log_dir = a->value; return 0;
	case OPTION_RM:         r->rm = true; return 0;
	case OPTION_CHECK:      r->check = true; return 0;
	case OPTION_FORMAT:
		r->json = strcmp(a->value, "json") == 0;
		return r->json || strcmp(a->value, "text") == 0 ? 0 : arguments_expected(a, e, "text or json");
	}
	if (r->path)
		return arguments_unexpected(a, e);
	r->path = a->value;
	return 0;
}

static int parse(struct request *r, int argc, char **argv, struct error *e)
{
	struct arguments a = ARGUMENTS(argc, argv, restore_options);
	int key, err = 0;

	while (!err && (key = arguments_next(&a, e)) > 0)
		err = take_option(r, key, &a, e);
	if (err || key < 0)
		return err ? err : key;
	return r->path ? 0 : refuse(e, "expected the directory of a checkpoint, as in europa-restore -d saved");
}

/* ---- from the checkpoint to a spec ---- */

#define SWAP(a, b) do { __auto_type swapped_ = (a); (a) = (b); (b) = swapped_; } while (0)

/*
 * The program, its root and what it may do come from this host's image, by this host's policy; what the VR was told comes from the
 * checkpoint. Both keep something to release.
 */
static void take_over(struct vr_spec *spec, struct vr_spec *was)
{
	strcpy(spec->name, was->name);
	spec->which_switch = was->which_switch;
	SWAP(spec->limits, was->limits);
	spec->vnics = was->vnics;
	for (unsigned n = 0; n < EUROPA_MAX_VNICS; n++)
		SWAP(spec->vnic[n], was->vnic[n]);
	spec->geometry = was->geometry;
	SWAP(spec->args, was->args);
	SWAP(spec->env, was->env);
	SWAP(spec->nmounts, was->nmounts);
	SWAP(spec->mounts, was->mounts);
}

static int absolute(char **where, const char *path, struct error *e)
{
	auto_free char *here = path && path[0] != '/' ? getcwd(NULL, 0) : NULL;

	if (!path)
		return 0;
	if (path[0] == '/')
		*where = strdup(path);
	else if (!here || asprintf(where, "%s/%s", here, path) < 0)
		*where = NULL;
	return *where ? 0 : fail(e, errno ? errno : ENOMEM, "\"%s\"", path);
}

static int check_mounts(const struct vr_spec *spec, const struct request *r, struct error *e)
{
	char quoted[200];

	if (!spec->nmounts || r->allow_mounts)
		return 0;
	return refuse(e, "the checkpoint asks for \"%s\" of this host to be mounted, %s: --allow-mounts lets it",
		      quantity_quote(quoted, sizeof quoted, spec->mounts[0].source),
		      spec->mounts[0].read_only ? "read-only" : "and to be written to");
}

static int check_netns(const struct vr_spec *spec, const struct request *r, struct error *e)
{
	for (unsigned n = spec->vnics; n < EUROPA_MAX_VNICS; n++)
		if (r->netns[n])
			return refuse(e, "--netns \"%u=%s\": expected one of the VR's %u vNICs, which are counted from 0", n, r->netns[n],
				      spec->vnics);
	return 0;
}

/*
 * The place where a program is, of which the checkpoint says nothing else. It must be what it says: "/proc/self/cwd/saved/x", or a
 * bundle that was packed up with the checkpoint, would make code of what is data.
 */
static int check_bundle(const char *bundle, const char *checkpoint, struct error *e)
{
	auto_free char *is = realpath(bundle, NULL), *home = realpath(checkpoint, NULL);
	size_t length = home ? strlen(home) : 0;
	char quoted[200];

	quantity_quote(quoted, sizeof quoted, bundle);
	if (!is || !home)
		return fail(e, errno, "image \"%s\"", quoted);
	if (strcmp(is, bundle) != 0)
		return refuse(e, "image \"%s\": is another directory by its real name", quoted);
	if (strncmp(is, home, length) == 0 && (is[length] == '/' || !is[length]))
		return refuse(e, "image \"%s\": came with the checkpoint, and is not this host's", quoted);
	return 0;
}

static int keep_config(struct vr_spec *spec, const struct restored *restored, struct error *e)
{
	char path[4096];
	int err;

	if (!restored->bytes[FILE_CONFIG])
		return 0;
	err = state_config_path(spec->name, path, e);
	return err ?: absolute(&spec->config, path, e);
}

static int make_spec(struct vr_spec *spec, struct restored *restored, const struct request *r, struct error *e)
{
	const char *image = r->image ? r->image : restored->manifest.spec.bundle;
	int err = (r->image ? 0 : check_bundle(image, r->path, e)) ?: image_load(image, spec, e);

	if (err)
		return context(e, "the virtual router's image%s", r->image ? "" : " (--image says where it is on this host)");
	take_over(spec, &restored->manifest.spec);
	/* As it was typed once, for europa-ps. */
	if (!r->image && restored->manifest.spec.image)
		SWAP(spec->image, restored->manifest.spec.image);
	if (r->name)
		strcpy(spec->name, r->name);
	if (r->which_switch >= 0)
		spec->which_switch = (enum vr_switch)r->which_switch;
	spec->detach = r->detach;
	spec->rm = r->rm;
	restored->replay = r->replay;
	restored->leave_network = r->leave_network;
	memcpy(restored->netns, r->netns, sizeof restored->netns);
	if (restored->manifest.mode == MODE_CRIU && !r->detach)
		return refuse(e, "a checkpoint of mode criu is of a detached virtual router: expected --detach");
	return check_mounts(spec, r, e) ?: check_netns(spec, r, e) ?: absolute(&spec->pid_file, r->pid_file, e) ?:
	       absolute(&spec->log_dir, r->log_dir, e) ?: keep_config(spec, restored, e) ?: options_tell_quota(spec, e);
}

/* ---- --check ---- */

static json_t *summary(const struct restored *restored, const struct request *r)
{
	const struct manifest *m = &restored->manifest;
	char created[40];
	time_t seconds = (time_t)(m->created_ns / 1000000000);
	struct tm utc;
	bool lossy;

	gmtime_r(&seconds, &utc);
	strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &utc);
	return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:s}",
			 "directory", text_json(r->path, &lossy), "id", m->id, "name", m->spec.name,
			 "mode", manifest_mode_name(m->mode), "created", created, "europa", m->europa, "architecture", m->architecture,
			 "left_running", m->left_running, "vnics", (json_int_t)m->spec.vnics, "rx_packets", (json_int_t)restored->packets.rx,
			 "tx_packets", (json_int_t)restored->packets.tx, "state_bytes", (json_int_t)m->files[FILE_STATE].size,
			 "image", m->spec.bundle);
}

static int print_check(const struct restored *restored, const struct request *r)
{
	auto_json json_t *json = summary(restored, r);
	const char *key;
	json_t *value;

	if (r->json) {
		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
		return 0;
	}
	json_object_foreach(json, key, value) {
		auto_free char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
		char quoted[400];

		printf("%-13s %s\n", key, text ? text : quantity_quote(quoted, sizeof quoted, json_string_value(value)));
	}
	return 0;
}

/* ---- all of it ---- */

static int restore(const struct request *r)
{
	struct vr_spec spec = { 0 };
	struct restored restored;
	struct error e = { 0 };
	int status, err = restored_open(&restored, r->path, &e);

	if (!err && !r->check)
		err = make_spec(&spec, &restored, r, &e);
	if (err)
		status = command_failed("restore", &e, EXIT_OWN_ERROR);
	else
		status = r->check ? print_check(&restored, r) : launch("restore", &spec, &restored);
	spec_release(&spec);
	restored_close(&restored);
	return status;
}

int cmd_restore(int argc, char **argv)
{
	struct request r = { .which_switch = -1 };
	struct error e = { 0 };
	int err;

	if (container_list_steps())
		return 0;
	err = descriptors_tidy(&e);
	if (!err)
		err = parse(&r, argc, argv, &e);
	return err ? command_failed("restore", &e, EXIT_OWN_ERROR) : restore(&r);
}

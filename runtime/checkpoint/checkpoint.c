/* SPDX-License-Identifier: MIT */
/*
 * europa-checkpoint: a VR that runs is saved to a directory, and ends, or goes on. The order: look at everything and touch nothing; freeze;
 * write a partial directory; have it renamed, and only then is there a checkpoint. line.h says who does what, docs/checkpoint.md why.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/europa.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/checkpoint/mode.h"
#include "runtime/checkpoint/packets.h"
#include "runtime/cleanup.h"
#include "runtime/command.h"
#include "runtime/error.h"
#include "runtime/fault.h"
#include "runtime/quantity.h"
#include "runtime/rootfs.h"
#include "runtime/spec_json.h"
#include "runtime/sweep.h"

#define DEFAULT_TIMEOUT_S 10
#define END_MS            15000    /* what a supervisor may need to take its VR down */
#define RESUME_MS         5000

enum { OPTION_FORMAT = OPTION_LONG };

const struct command_option checkpoint_options[] = {
	{ 'm', "mode", "MODE", "how processes are saved: auto, criu or warm (default auto)", "auto criu warm" },
	{ 'R', "leave-running", NULL, "the virtual router goes on", NULL },
	{ 't', "timeout", "SECONDS", "how long the data plane may take to save its state (default 10)", NULL },
	{ OPTION_FORMAT, "format", "FORMAT", "what is printed: text or json", "text json" },
	OPTIONS_END
};

struct request {
	const char *name, *path;
	enum checkpoint_mode mode;
	bool leave_running, json;
	uint64_t timeout_s;
};

/* Where it goes. */
struct target {
	int parent;
	char final[NAME_MAX + 1], partial[NAME_MAX + 1];
};

struct outcome {
	struct packets_count packets;
	int64_t frozen_us;
	uint64_t lost;                     /* frames that came when the statistics had been saved, and ended with the devices */
};

static int64_t now_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

static int parse(struct request *r, int argc, char **argv, struct error *e)
{
	struct arguments a = ARGUMENTS(argc, argv, checkpoint_options);
	int key;

	while ((key = arguments_next(&a, e)) > 0)
		switch (key) {
		case 'm':
			if (!manifest_mode(a.value, &r->mode))
				return arguments_expected(&a, e, "auto, criu or warm");
			break;
		case 'R':
			r->leave_running = true;
			break;
		case 't':
			if (!quantity_number(a.value, 1, 86400, &r->timeout_s))
				return arguments_expected(&a, e, "seconds from 1 to 86400");
			break;
		case OPTION_FORMAT:
			r->json = strcmp(a.value, "json") == 0;
			if (!r->json && strcmp(a.value, "text") != 0)
				return arguments_expected(&a, e, "text or json");
			break;
		case ARGUMENT_OPERAND:
			if (r->path)
				return arguments_unexpected(&a, e);
			if (r->name)
				r->path = a.value;
			else
				r->name = a.value;
			break;
		}
	if (key < 0)
		return key;
	if (!r->path)
		return refuse(e, "expected the name of a virtual router and a directory to make, as in europa-checkpoint ipfwd-1 saved");
	return 0;
}

/* ---- which mode ---- */

/* In order of preference. */
static const struct mode *const modes[] = { &mode_criu, &mode_warm };

static const struct mode *choose_mode(enum checkpoint_mode wanted, const struct vr_state *state, struct error *e)
{
	struct error why = { 0 };

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (wanted != MODE_AUTO && modes[i]->mode != wanted)
			continue;
		why = (struct error){ 0 };
		if (modes[i]->available(state, &why) == 0)
			return modes[i];
		if (wanted != MODE_AUTO) {
			*e = why;
			context(e, "--mode %s", manifest_mode_name(wanted));
			return NULL;
		}
	}
	refuse(e, "--mode %s: this version of Europa can't checkpoint by it; --mode warm is what there is", manifest_mode_name(wanted));
	return NULL;
}

/* ---- looking ---- */

/* PATH's directory, and the two names in it. */
static int find_target(const char *path, struct target *t, struct error *e)
{
	size_t end = strlen(path), start;
	auto_free char *parent = NULL;
	struct stat st;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		;
	if (snprintf(t->final, sizeof t->final, "%.*s", (int)(end - start), path + start) >= (int)sizeof t->final ||
	    snprintf(t->partial, sizeof t->partial, "%.*s.partial.%d", (int)(end - start), path + start, getpid()) >= (int)sizeof t->partial)
		return fail(e, ENAMETOOLONG, "\"%s\"", path);
	if (!t->final[0] || strcmp(t->final, ".") == 0 || strcmp(t->final, "..") == 0)
		return refuse(e, "\"%s\": expected the name of a directory to make", path);
	parent = start ? strndup(path, start) : strdup(".");
	if (!parent)
		return fail(e, ENOMEM, "\"%s\"", path);
	t->parent = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->parent < 0)
		return fail(e, errno, "cannot open \"%s\", where the checkpoint is to be made", parent);
	if (fstatat(t->parent, t->final, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return refuse(e, "\"%s\" is there already: a checkpoint is never overwritten", path);
	return 0;
}

static int check_thawed(const struct vr_state *state, struct error *e)
{
	struct cgroup_set *set;
	bool frozen;
	int err = state_cgroup(state) ? cgroups_open(state_cgroup(state), &set, e) : 0;

	if (err || !state_cgroup(state))
		return err;
	frozen = cgroups_frozen(set);
	cgroups_close(set);
	return frozen ? refuse(e, "its control group is frozen: thaw it first, for a data plane that stands still can't save anything") : 0;
}

static int check_running(const struct checkpoint *c, struct error *e)
{
	if (c->state.status != VR_RUNNING && c->state.status != VR_PAUSED)
		return refuse(e, "it is not running, but %s", state_status_name(c->state.status));
	if (!c->state.vnics)
		return refuse(e, "it has no vNIC, and so no packet pool to save");
	return check_thawed(&c->state, e);
}

static int check_switch(const struct checkpoint *c, struct error *e)
{
	uint32_t status = view_status(&c->view);

	if (status == EUROPA_QUARANTINED)
		return refuse(e, "it is in quarantine: its data plane broke the contract with the switch");
	if (status != EUROPA_ATTACHED)
		return refuse(e, "its switch says \"%s\": expected attached", view_status_name(status));
	return 0;
}

/* What it was started with, and what has become of that. */
static int describe(struct checkpoint *c, struct error *e)
{
	struct vr_spec *spec = &c->manifest.spec;
	int err = state_read_spec(c->state.name, spec, e);

	if (err)
		return err;
	if (spec->vnics != c->state.vnics || memcmp(&spec->geometry, &c->view.geo, sizeof spec->geometry) != 0)
		return refuse(e, "its specification and its packet pool contradict each other");
	free(spec->limits.cpuset);
	spec->limits = c->state.limits;
	spec->limits.cpuset = c->state.limits.cpuset ? strdup(c->state.limits.cpuset) : NULL;
	if (c->state.limits.cpuset && !spec->limits.cpuset)
		return fail(e, ENOMEM, "cannot keep the limits");
	for (unsigned n = 0; n < spec->vnics && !err; n++) {
		memcpy(spec->vnic[n].mac, c->state.vnic[n].mac, sizeof spec->vnic[n].mac);
		spec->vnic[n].mtu = c->state.vnic[n].mtu;
		err = network_note(&c->state, n, &c->manifest.network[n], e);
	}
	return err;
}

static int identify(struct checkpoint *c, const struct mode *mode, bool left_running, struct error *e)
{
	struct manifest *m = &c->manifest;
	struct utsname host;

	if (uname(&host) < 0)
		return fail(e, errno, "uname");
	snprintf(m->europa, sizeof m->europa, "%s", EUROPA_VERSION);
	snprintf(m->architecture, sizeof m->architecture, "%.31s", host.machine);
	m->mode = mode->mode;
	m->left_running = left_running;
	m->created_ns = now_us(CLOCK_REALTIME) * 1000;
	return 0;
}

/* Nothing is touched here. */
static int preflight(struct checkpoint *c, const struct mode *mode, const struct request *r, struct error *e)
{
	return fault_inject("checkpoint-preflight", e) ?: check_running(c, e) ?: view_open(&c->state, &c->view, e) ?: check_switch(c, e) ?:
	       describe(c, e) ?: identify(c, mode, r->leave_running, e) ?: mode->preflight(c, e);
}

/* ---- writing ---- */

static int make_partial(struct checkpoint *c, const struct target *t, struct error *e)
{
	int err = fault_inject("checkpoint-partial", e);

	if (err)
		return err;
	c->directory = store_make(t->parent, t->partial, e);
	return c->directory < 0 ? c->directory : 0;
}

static int save_region(struct checkpoint *c, struct packets_count *count, struct error *e)
{
	auto_free struct store_writer *w = malloc(sizeof *w);
	struct store_file *file = &c->manifest.files[FILE_REGION];
	int err = fault_inject("checkpoint-region", e);

	if (!err)
		err = w ? store_begin(w, c->directory, manifest_file_names[FILE_REGION], e) : fail(e, ENOMEM, "cannot save the packet pool");
	if (err)
		return err;
	err = packets_save(w, c->line.control, c->line.pool, &c->view.geo, count, e);
	err = store_end(w, file, e) ?: err;
	if (!err && file->size > REGION_MOST)
		err = refuse(e, "its rings hold %llu bytes of packets: a checkpoint holds at most %llu", (unsigned long long)file->size, REGION_MOST);
	c->manifest.rx_packets = count->rx;
	c->manifest.tx_packets = count->tx;
	c->not_received = count->not_received;
	return err;
}

/* As the data plane sees it, even where the file that --config named has another name or none now. Nothing in the VR leads out of it. */
static int open_config(const struct checkpoint *c, struct error *e)
{
	const struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	char path[40];
	auto_close int root = -1;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/root", c->state.init.pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return fail(e, errno, "cannot open \"%s\"", path);
	fd = (int)syscall(SYS_openat2, root, ROOTFS_CONFIG, &how, sizeof how);
	if (fd < 0 && errno == ENOSYS)
		fd = open(c->manifest.spec.config, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? fail(e, errno, "cannot read its configuration") : fd;
}

static int save_config(struct checkpoint *c, struct error *e)
{
	auto_free uint8_t *bytes = NULL;
	auto_close int fd = -1;
	size_t size;
	int err = fault_inject("checkpoint-config", e);

	if (err || !c->manifest.spec.config)
		return err;
	fd = open_config(c, e);
	if (fd < 0)
		return fd;
	err = store_read_fd(fd, "", ROOTFS_CONFIG + 1, CONFIG_MOST, &bytes, &size, e);
	return err ?: store_write(c->directory, manifest_file_names[FILE_CONFIG], bytes, size, &c->manifest.files[FILE_CONFIG], e);
}

static int save_manifest(struct checkpoint *c, struct error *e)
{
	struct store_file ignored;
	auto_free char *text = NULL;
	int err = fault_inject("checkpoint-manifest", e);

	if (err)
		return err;
	text = manifest_print(&c->manifest);
	if (!text)
		return fail(e, ENOMEM, "cannot write the checkpoint's manifest");
	err = store_write(c->directory, MANIFEST_FILE, text, strlen(text), &ignored, e);
	if (!err && fsync(c->directory) < 0)
		err = fail(e, errno, "cannot write the checkpoint's directory");
	return err;
}

static int save_processes(struct checkpoint *c, const struct mode *mode, struct error *e)
{
	return fault_inject("checkpoint-processes", e) ?: mode->save(c, e);
}

/* What needs no frozen VR: a large configuration takes its time. */
static int begin(struct checkpoint *c, const struct target *t, struct error *e)
{
	return fault_inject("checkpoint-begin", e) ?: ask_begin(&c->line, c->state.name, t->parent, t->partial, t->final, e) ?:
	       make_partial(c, t, e) ?: save_config(c, e);
}

/* The VR is frozen while this runs, and goes on where it fails. */
static int save(struct checkpoint *c, const struct mode *mode, const struct request *r, struct outcome *o, struct error *e)
{
	int64_t start = now_us(CLOCK_MONOTONIC);
	int err = fault_inject("checkpoint-freeze", e) ?: ask_freeze(&c->line, e) ?:
		  fault_inject("checkpoint-settle", e) ?: mode->settle(c, e) ?: fault_inject("checkpoint-stop", e) ?: ask_stop(&c->line, e) ?:
		  save_region(c, &o->packets, e) ?: save_processes(c, mode, e) ?: save_manifest(c, e) ?:
		  fault_inject("checkpoint-commit", e) ?: ask_commit(&c->line, r->leave_running, e);

	if (!err && fault_wanted("checkpoint-committed"))
		err = 0;                /* a test kills it there, and has nothing to fail */
	o->frozen_us = now_us(CLOCK_MONOTONIC) - start;
	return err;
}

/* ---- all of it ---- */

/* The checkpoint is there whatever becomes of the rest. The region lives as long as it is mapped here. */
static void wait_for_end(const struct checkpoint *c, int supervisor, struct outcome *o)
{
	struct pollfd end = { .fd = supervisor, .events = POLLIN };

	if (supervisor >= 0 && poll(&end, 1, END_MS) == 0)
		fprintf(stderr, "europa-checkpoint: the checkpoint is made, but the supervisor of \"%s\" has yet to end\n", c->state.name);
	o->lost = packets_not_received(c->view.control + c->view.off.control_stats, &c->view.geo) - c->not_received;
}

/* The supervisor lets go when it sees this end closed; where the checkpoint failed, what was written is gone by then. */
static void let_go(const struct line *line)
{
	struct pollfd end = { .fd = line->fd, .events = POLLIN };

	if (line->fd < 0)
		return;
	shutdown(line->fd, SHUT_WR);
	poll(&end, 1, RESUME_MS);
}

/* What a restore will not find, said now, when something can be done about it. */
static void warn(const struct checkpoint *c)
{
	for (unsigned n = 0; n < c->manifest.spec.vnics; n++)
		if (c->state.vnic[n].device[0] && !c->state.vnic[n].link && !c->manifest.network[n].known)
			fprintf(stderr, "europa-checkpoint: device \"%s\" is in no network namespace with a name: "
				"its place and addresses are not saved\n", c->state.vnic[n].device);
}

static void report(const struct checkpoint *c, const struct request *r, const struct outcome *o)
{
	const struct manifest *m = &c->manifest;
	char size[32];

	if (r->json) {
		bool lossy;
		auto_json json_t *json = json_pack("{s:s, s:o, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:f}", "name", m->spec.name,
						   "directory", text_json(r->path, &lossy), "id", m->id,
						   "mode", manifest_mode_name(m->mode), "left_running", r->leave_running,
						   "rx_packets", (json_int_t)o->packets.rx, "tx_packets", (json_int_t)o->packets.tx,
						   "lost_packets", (json_int_t)o->lost,
						   "state_bytes", (json_int_t)m->files[FILE_STATE].size, "frozen_ms", (double)o->frozen_us / 1000);

		json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		putchar('\n');
		return;
	}
	printf("%s: %s checkpoint in \"%s\": %s of state, %u packets; it stood still for %lld.%lld ms\n", m->spec.name, manifest_mode_name(m->mode),
	       r->path, quantity_print_size(size, sizeof size, m->files[FILE_STATE].size), o->packets.rx + o->packets.tx,
	       (long long)o->frozen_us / 1000, (long long)o->frozen_us % 1000 / 100);
	if (o->lost)
		printf("%s: %llu packets that came meanwhile ended with its devices\n", m->spec.name, (unsigned long long)o->lost);
}

/*
 * A supervisor that is killed while it commits has renamed the directory, or has not: it can't say so any more. Looked at by what the
 * directory is, for its name may be somebody else's by now.
 */
static bool is_committed(const struct checkpoint *c, const struct target *t)
{
	struct stat made, there;

	return c->directory >= 0 && fstat(c->directory, &made) == 0 &&
	       fstatat(t->parent, t->final, &there, AT_SYMLINK_NOFOLLOW) == 0 && made.st_dev == there.st_dev &&
	       made.st_ino == there.st_ino && fsync(t->parent) == 0;
}

/* The supervisor has removed what was written, but for one that was killed. */
static int give_up(const struct checkpoint *c, const struct target *t, const char *name, struct error *e)
{
	if (c->directory >= 0)
		store_remove(t->parent, t->partial);
	return context(e, "cannot checkpoint \"%s\"", name);
}

static void release(struct checkpoint *c)
{
	view_close(&c->view);
	ask_close(&c->line);
	if (c->directory >= 0)
		close(c->directory);
	manifest_release(&c->manifest);
	state_release(&c->state);
}

static int checkpoint(const struct request *r, struct error *e)
{
	struct checkpoint c = { .line = LINE_NONE, .directory = -1, .timeout_ms = (unsigned)r->timeout_s * 1000 };
	auto_close int supervisor = -1;
	struct target t = { .parent = -1 };
	struct outcome o = { 0 };
	const struct mode *mode;
	int err = sweep_read(r->name, &c.state, e);

	if (err)
		return err;
	mode = choose_mode(r->mode, &c.state, e);
	err = mode ? find_target(r->path, &t, e) : -EINVAL;
	if (!err) {
		supervisor = process_open(&c.state.supervisor);
		err = preflight(&c, mode, r, e) ?: begin(&c, &t, e) ?: save(&c, mode, r, &o, e);
		let_go(&c.line);
		if (err && is_committed(&c, &t)) {
			*e = (struct error){ 0 };
			err = 0;
		} else if (err) {
			err = give_up(&c, &t, r->name, e);
		}
	}
	if (!err && !r->leave_running)
		wait_for_end(&c, supervisor, &o);
	if (!err) {
		warn(&c);
		report(&c, r, &o);
	}
	if (t.parent >= 0)
		close(t.parent);
	release(&c);
	return err;
}

int cmd_checkpoint(int argc, char **argv)
{
	struct request r = { .mode = MODE_AUTO, .timeout_s = DEFAULT_TIMEOUT_S };
	struct error e = { 0 };

	if (parse(&r, argc, argv, &e) < 0 || checkpoint(&r, &e) < 0)
		return command_failed("checkpoint", &e, 1);
	return 0;
}

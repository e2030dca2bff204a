/* SPDX-License-Identifier: MIT */
#include "runtime/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/message.h"
#include "runtime/quantity.h"
#include "runtime/run_dir.h"
#include "runtime/spec_json.h"
#include "runtime/sweep.h"
#include "runtime/tree.h"

#define STATE_VERSION   1
#define STATE_MAX_BYTES (1 << 20)       /* a longer state.json is none of ours */
#define LOCK_SECONDS    10
#define UID_RANGES      10000
#define UIDS_PER_RANGE  65536

static const char *const status_names[] = {
	[VR_CREATED] = "created", [VR_RUNNING] = "running", [VR_PAUSED] = "paused",
	[VR_STOPPING] = "stopping", [VR_EXITED] = "exited", [VR_DEAD] = "dead",
};
#define STATUSES (sizeof status_names / sizeof *status_names)

static const char *const switch_names[] = { [SWITCH_AUTO] = "auto", [SWITCH_KMOD] = "kmod", [SWITCH_USER] = "user" };
#define SWITCHES (sizeof switch_names / sizeof *switch_names)

const char *state_status_name(enum vr_status status)
{
	return status_names[status];
}

/* ---- the run directory ---- */

int state_run_dir(char *path, size_t size, struct error *e)
{
	const char *chosen = run_dir_chosen();

	if (strlen(chosen) >= size || strlen(chosen) > PATH_MAX - VR_NAME_MAX - 32)
		return fail(e, ENAMETOOLONG, "run directory \"%s\"", chosen);
	strcpy(path, chosen);
	return run_dir_make(path, e);
}

static int open_run_dir(char *path, struct error *e)
{
	int fd = state_run_dir(path, PATH_MAX, e);

	if (fd < 0)
		return fd;
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? fail(e, errno, "cannot open the run directory \"%s\"", path) : fd;
}

/* Names beside the VRs' in the run directory. */
static bool is_reserved(const char *name)
{
	return strncmp(name, "switch.", 7) == 0 || strcmp(name, "netns") == 0;
}

static int check_name(const char *name, struct error *e)
{
	char quoted[VR_NAME_MAX + 40];

	if (quantity_vr_name(name) && !is_reserved(name))
		return 0;
	quantity_quote(quoted, sizeof quoted, name);
	if (is_reserved(name))
		return refuse(e, "name \"%s\": is taken by Europa itself, expected another one", quoted);
	return refuse(e, "name \"%s\": expected " EXPECT_VR_NAME, quoted);
}

int state_open_dir(const char *name, struct error *e)
{
	char path[PATH_MAX];
	auto_close int run = -1;
	int fd = check_name(name, e);

	if (fd < 0)
		return fd;
	run = open_run_dir(path, e);
	if (run < 0)
		return run;
	fd = openat(run, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		refuse(e, "no virtual router named \"%s\" (europa-ps -a lists them)", name);
		return -ENOENT;
	}
	return fd < 0 ? fail(e, errno, "cannot open \"%s/%s\"", path, name) : fd;
}

/* ---- locks ---- */

/* The lock that this process took by state_claim() or state_lock(). Its owner just closes the fd, so it is looked at again. */
static struct {
	int fd;
	dev_t dev;
	ino_t ino;
} held = { .fd = -1 };

static bool same_file(const struct stat *a, dev_t dev, ino_t ino)
{
	return a->st_dev == dev && a->st_ino == ino;
}

static void remember_lock(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	held.fd = fd;
	held.dev = st.st_dev;
	held.ino = st.st_ino;
}

static bool holds_lock(int dir)
{
	struct stat mine, there;

	return held.fd >= 0 && fstat(held.fd, &mine) == 0 && same_file(&mine, held.dev, held.ino) &&
	       fstatat(dir, "lock", &there, AT_SYMLINK_NOFOLLOW) == 0 && same_file(&there, held.dev, held.ino);
}

/* Waits for the lock, but not for ever: its holder may be stopped. */
static int flock_within(int fd, unsigned seconds)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };

	for (unsigned tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK || tries >= seconds * 200)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* Locks DIR/lock. -EWOULDBLOCK: somebody else has it; -ESTALE: the directory was removed meanwhile. */
static int lock_dir(int dir, unsigned seconds, int *lock)
{
	auto_close int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat mine, there;
	int err;

	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	err = flock_within(fd, seconds);
	if (err)
		return err;
	if (fstat(fd, &mine) < 0 || fstatat(dir, "lock", &there, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !same_file(&there, mine.st_dev, mine.st_ino))
		return -ESTALE;
	*lock = take_fd(&fd);
	return 0;
}

int state_lock(const char *name, struct error *e)
{
	auto_close int dir = state_open_dir(name, e);
	int lock, err;

	if (dir < 0)
		return dir;
	err = lock_dir(dir, LOCK_SECONDS, &lock);
	if (err == -ESTALE) {
		refuse(e, "no virtual router named \"%s\" (europa-ps -a lists them)", name);
		return -ENOENT;
	}
	if (err == -EWOULDBLOCK)
		return fail(e, EBUSY, "virtual router \"%s\" is being changed by another command", name);
	if (err)
		return fail(e, -err, "cannot lock the state of \"%s\"", name);
	remember_lock(lock);
	return lock;
}

/* ---- files ---- */

static int read_file(int dir, const char *file, char **text, size_t *length)
{
	auto_close int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_free char *buf = NULL;
	size_t used = 0;
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > STATE_MAX_BYTES)
		return -EFBIG;
	buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	while (used < (size_t)st.st_size) {
		got = read(fd, buf + used, (size_t)st.st_size - used);
		if (got < 0)
			return -errno;
		if (!got)
			break;
		used += (size_t)got;
	}
	buf[used] = '\0';
	*text = take_ptr(buf);
	*length = used;
	return 0;
}

/* Whole or not at all, also across a crash of this process. */
static int write_file(int dir, const char *file, const char *text, size_t length)
{
	char temporary[64];
	auto_close int fd = -1;
	ssize_t put;

	snprintf(temporary, sizeof temporary, ".%s.tmp", file);
	if (unlinkat(dir, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (; length; text += put, length -= (size_t)put) {
		put = write(fd, text, length);
		if (put < 0)
			return -errno;
	}
	return renameat(dir, temporary, dir, file) < 0 ? -errno : 0;
}

/* ---- from and to JSON ---- */

static json_t *pack_process(const struct process_id *id)
{
	return json_pack("{s:i, s:I}", "pid", (int)id->pid, "start_time", (json_int_t)id->start_time);
}

/* NULL: a text is no UTF-8, or there is no memory. */
static json_t *pack_vnics(const struct vr_state *state)
{
	auto_json json_t *array = json_array();

	for (unsigned n = 0; n < state->vnics; n++) {
		const uint8_t *mac = state->vnic[n].mac;
		char text[18];

		snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
		if (json_array_append_new(array, json_pack("{s:s, s:s*, s:s, s:i}", "device", state->vnic[n].device,
							   "link", state->vnic[n].link, "mac", text, "mtu", (int)state->vnic[n].mtu)))
			return NULL;
	}
	return take_ptr(array);
}

static json_t *pack_state(const struct vr_state *s)
{
	return json_pack("{s:i, s:s, s:s, s:s*, s:s*, s:I, s:I, s:I, s:i, s:o, s:o, s:i, s:i, s:o, s:s, s:s*, s:I, s:o, s:s*, s:s*, s:b}",
			 "version", STATE_VERSION,
			 "name", s->name,
			 "status", state_status_name(s->status),
			 "image", s->image,
			 "command", s->command,
			 "created_ns", (json_int_t)s->created_ns,
			 "started_ns", (json_int_t)s->started_ns,
			 "finished_ns", (json_int_t)s->finished_ns,
			 "exit_code", s->exit_code,
			 "supervisor", pack_process(&s->supervisor),
			 "init", pack_process(&s->init),
			 "control_fd", s->control_fd,
			 "pool_fd", s->pool_fd,
			 "limits", limits_json(&s->limits),
			 "switch", switch_names[s->which_switch],
			 "cgroup", s->cgroup,
			 "uid_base", (json_int_t)s->uid_base,
			 "vnics", pack_vnics(s),
			 "log", s->log,
			 "bundle", s->bundle,
			 "rm", s->rm);
}

static int keep_string(char **where, const char *text, struct error *e)
{
	if (!text)
		return 0;
	*where = strdup(text);
	return *where ? 0 : fail(e, ENOMEM, "cannot keep the state");
}

static int parse_process(json_t *json, const char *what, struct process_id *id, struct error *e)
{
	json_int_t pid, start;
	json_error_t error;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:I, s:I}", "pid", &pid, "start_time", &start) < 0)
		return json_complaint(&error, e);
	if (json_in_range(what, pid, 0, 1 << 22, e) || json_in_range(what, start, 0, INT64_MAX, e))
		return -EINVAL;
	id->pid = (pid_t)pid;
	id->start_time = (uint64_t)start;
	return 0;
}

static bool is_zero_mac(const char *mac)
{
	return strcmp(mac, "00:00:00:00:00:00") == 0;
}

static int parse_vnic(json_t *json, struct vr_state *state, unsigned n, struct error *e)
{
	const char *device, *link = NULL, *mac;
	json_error_t error;
	json_int_t mtu;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:s, s?s, s:s, s:I}", "device", &device, "link", &link,
			   "mac", &mac, "mtu", &mtu) < 0)
		return json_complaint(&error, e);
	if (*device && !quantity_device_name(device))
		return refuse(e, "vNIC %u: expected a net device's name", n);
	if (!is_zero_mac(mac) && !quantity_mac(mac, state->vnic[n].mac))
		return refuse(e, "vNIC %u: expected a MAC address", n);
	if (json_in_range("mtu", mtu, 0, 65535, e))
		return -EINVAL;
	strcpy(state->vnic[n].device, device);
	state->vnic[n].mtu = (uint16_t)mtu;
	return keep_string(&state->vnic[n].link, link, e);
}

static int parse_vnics(json_t *json, struct vr_state *state, struct error *e)
{
	size_t vnics = json_array_size(json);
	int err = 0;

	if (!json_is_array(json) || vnics > EUROPA_MAX_VNICS)
		return refuse(e, "vnics: expected an array of at most %d", EUROPA_MAX_VNICS);
	for (state->vnics = 0; state->vnics < vnics && !err; state->vnics++)
		err = parse_vnic(json_array_get(json, state->vnics), state, state->vnics, e);
	return err;
}

/* Index of a word in a table, or -1. */
static int find_word(const char *word, const char *const *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, table[i]) == 0)
			return (int)i;
	return -1;
}

/* The sweep kills all that is in that group: it must be one of ours. */
static bool is_cgroup_name(const char *cgroup)
{
	return strncmp(cgroup, "europa/", 7) == 0 && quantity_vr_name(cgroup + 7);
}

static int parse_strings(json_t *json, const char *name, struct vr_state *s, struct error *e)
{
	const char *is, *status, *which, *image = NULL, *command = NULL, *cgroup = NULL, *log = NULL, *bundle = NULL;
	json_error_t error;
	int found;

	if (json_unpack_ex(json, &error, 0, "{s:s, s:s, s:s, s?s, s?s, s?s, s?s, s?s}", "name", &is, "status", &status,
			   "switch", &which, "image", &image, "command", &command, "cgroup", &cgroup, "log", &log,
			   "bundle", &bundle) < 0)
		return json_complaint(&error, e);
	if (strcmp(is, name) != 0 || strlen(is) >= sizeof s->name)
		return refuse(e, "name: expected \"%s\", as its directory has it", name);
	strcpy(s->name, is);

	found = find_word(status, status_names, STATUSES);
	if (found < 0)
		return refuse(e, "status: not one that is known");
	s->status = (enum vr_status)found;
	found = find_word(which, switch_names, SWITCHES);
	if (found < 0)
		return refuse(e, "switch: expected kmod or user");
	s->which_switch = (enum vr_switch)found;

	if (cgroup && !is_cgroup_name(cgroup))
		return refuse(e, "cgroup: expected \"europa/\" and a name");
	return keep_string(&s->image, image, e) ?: keep_string(&s->command, command, e) ?:
	       keep_string(&s->cgroup, cgroup, e) ?: keep_string(&s->log, log, e) ?: keep_string(&s->bundle, bundle, e);
}

static int parse_numbers(json_t *json, struct vr_state *s, struct error *e)
{
	json_int_t version, created, started, finished, code, control, pool, uid_base;
	json_error_t error;

	if (json_unpack_ex(json, &error, 0, "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "version", &version,
			   "created_ns", &created, "started_ns", &started, "finished_ns", &finished, "exit_code", &code,
			   "control_fd", &control, "pool_fd", &pool, "uid_base", &uid_base, "rm", &s->rm) < 0)
		return json_complaint(&error, e);
	if (json_in_range("version", version, STATE_VERSION, STATE_VERSION, e) || json_in_range("created_ns", created, 0, INT64_MAX, e) ||
	    json_in_range("started_ns", started, 0, INT64_MAX, e) || json_in_range("finished_ns", finished, 0, INT64_MAX, e) ||
	    json_in_range("exit_code", code, 0, 255, e) || json_in_range("control_fd", control, -1, 1 << 30, e) ||
	    json_in_range("pool_fd", pool, -1, 1 << 30, e) || json_in_range("uid_base", uid_base, 0, UINT32_MAX, e))
		return -EINVAL;
	s->created_ns = created;
	s->started_ns = started;
	s->finished_ns = finished;
	s->exit_code = (int)code;
	s->control_fd = (int)control;
	s->pool_fd = (int)pool;
	s->uid_base = (uint32_t)uid_base;
	return 0;
}

static int parse_parts(json_t *json, struct vr_state *s, struct error *e)
{
	json_t *supervisor, *init, *limits, *vnics;
	json_error_t error;

	if (json_unpack_ex(json, &error, 0, "{s:o, s:o, s:o, s:o}", "supervisor", &supervisor, "init", &init,
			   "limits", &limits, "vnics", &vnics) < 0)
		return json_complaint(&error, e);
	return parse_process(supervisor, "supervisor", &s->supervisor, e) ?: parse_process(init, "init", &s->init, e) ?:
	       limits_parse(limits, &s->limits, e) ?: parse_vnics(vnics, s, e);
}

/* The keys that pack_state() writes; the parts unpack some each, so that none may be left over is checked here. */
static int refuse_unknown_keys(json_t *json, struct error *e)
{
	static const char *const keys[] = {
		"version", "name", "status", "image", "command", "created_ns", "started_ns", "finished_ns", "exit_code",
		"supervisor", "init", "control_fd", "pool_fd", "limits", "switch", "cgroup", "uid_base", "vnics", "log",
		"bundle", "rm",
	};
	char quoted[100];
	const char *key;
	json_t *value;

	json_object_foreach(json, key, value)
		if (find_word(key, keys, sizeof keys / sizeof *keys) < 0)
			return refuse(e, "unknown key \"%s\"", quantity_quote(quoted, sizeof quoted, key));
	return 0;
}

int state_parse(const char *text, size_t length, const char *name, struct vr_state *state, struct error *e)
{
	auto_json json_t *json = NULL;
	json_error_t error;
	int err;

	memset(state, 0, sizeof *state);
	json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (!json) {
		char quoted[200];

		return refuse(e, "line %d, column %d: %s", error.line, error.column,
			      quantity_quote(quoted, sizeof quoted, error.text));
	}
	if (!json_is_object(json))
		return refuse(e, "expected an object");
	err = refuse_unknown_keys(json, e) ?: parse_numbers(json, state, e) ?: parse_strings(json, name, state, e) ?:
	      parse_parts(json, state, e);
	if (err)
		state_release(state);
	return err;
}

void state_release(struct vr_state *state)
{
	free(state->image);
	free(state->command);
	free(state->limits.cpuset);
	free(state->cgroup);
	free(state->log);
	free(state->bundle);
	for (unsigned n = 0; n < EUROPA_MAX_VNICS; n++)
		free(state->vnic[n].link);
	memset(state, 0, sizeof *state);
}

/* ---- read and write ---- */

static int read_state_at(int dir, const char *name, struct vr_state *state, struct error *e)
{
	auto_free char *text = NULL;
	char path[PATH_MAX];
	size_t length;
	int err;

	memset(state, 0, sizeof *state);
	err = read_file(dir, "state.json", &text, &length);
	if (err == -ENOENT)
		return err;
	err = state_run_dir(path, sizeof path, e) ?: err;
	if (err)
		return fail(e, -err, "cannot read \"%s/%s/state.json\"", path, name);
	err = state_parse(text, length, name, state, e);
	if (err)
		context(e, "\"%s/%s/state.json\"", path, name);
	return err;
}

static bool is_gone(const struct process_id *id)
{
	struct process_id now;

	return process_identify(id->pid, &now) < 0 || now.start_time != id->start_time;
}

int state_read(const char *name, struct vr_state *state, struct error *e)
{
	auto_close int dir = -1;
	int err;

	memset(state, 0, sizeof *state);
	dir = state_open_dir(name, e);
	if (dir < 0)
		return dir;
	err = read_state_at(dir, name, state, e);
	if (err == -ENOENT)
		refuse(e, "no virtual router named \"%s\" (europa-ps -a lists them)", name);
	if (!err && state_is_live(state) && is_gone(&state->supervisor))
		state->status = VR_DEAD;
	return err;
}

static bool is_utf8(const char *text)
{
	auto_json json_t *json = json_string(text);

	return json;
}

/* JSON takes UTF-8 alone. Whatever was typed that isn't is what the complaint is about. */
static int refuse_texts(const struct vr_state *state, struct error *e)
{
	const char *const texts[] = { state->image, state->command, state->bundle, state->log };
	char quoted[200];

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (texts[i] && !is_utf8(texts[i]))
			return refuse(e, "\"%s\": expected UTF-8", quantity_quote(quoted, sizeof quoted, texts[i]));
	for (unsigned n = 0; n < state->vnics; n++)
		if (state->vnic[n].link && !is_utf8(state->vnic[n].link))
			return refuse(e, "--link \"%s\": expected UTF-8", quantity_quote(quoted, sizeof quoted, state->vnic[n].link));
	return fail(e, ENOMEM, "cannot write the state of \"%s\"", state->name);
}

int state_write(const struct vr_state *state, struct error *e)
{
	auto_json json_t *json = NULL;
	auto_free char *text = NULL;
	auto_close int dir = state_open_dir(state->name, e), lock = -1;
	int err;

	if (dir < 0)
		return dir;
	json = pack_state(state);
	text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	if (!text)
		return refuse_texts(state, e);
	err = holds_lock(dir) ? 0 : lock_dir(dir, LOCK_SECONDS, &lock);
	if (!err)
		err = write_file(dir, "state.json", text, strlen(text));
	return err ? fail(e, -err, "cannot write the state of \"%s\"", state->name) : 0;
}

int state_write_spec(const struct vr_spec *spec, struct error *e)
{
	auto_close int dir = state_open_dir(spec->name, e);
	auto_free char *text = NULL;
	int err;

	if (dir < 0)
		return dir;
	text = spec_print(spec);
	err = text ? write_file(dir, "spec.json", text, strlen(text)) : -ENOMEM;
	return err ? fail(e, -err, "cannot write the specification of \"%s\"", spec->name) : 0;
}

int state_read_spec(const char *name, struct vr_spec *spec, struct error *e)
{
	auto_close int dir = state_open_dir(name, e);
	auto_free char *text = NULL;
	auto_json json_t *json = NULL;
	json_error_t error;
	size_t length;
	int err = dir < 0 ? dir : read_file(dir, "spec.json", &text, &length);

	if (dir < 0)
		return dir;
	if (err)
		return fail(e, -err, "cannot read the specification of \"%s\"", name);
	json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	err = json ? spec_parse(json, spec, e) : json_complaint(&error, e);
	return err ? context(e, "spec.json of \"%s\"", name) : 0;
}

int state_config_path(const char *name, char path[PATH_MAX], struct error *e)
{
	int err = check_name(name, e) ?: state_run_dir(path, PATH_MAX, e);

	if (!err)
		sprintf(path + strlen(path), "/%s/config", name);
	return err;
}

int state_write_config(const char *name, const void *bytes, size_t n, struct error *e)
{
	auto_close int dir = state_open_dir(name, e);
	int err;

	if (dir < 0)
		return dir;
	err = write_file(dir, "config", bytes, n);
	/* Nobody gets at it by its path; the VR does by a mount. */
	if (!err && fchmodat(dir, "config", 0644, 0) < 0)
		err = -errno;
	return err ? fail(e, -err, "cannot write the configuration of \"%s\"", name) : 0;
}

/* ---- names ---- */

static int name_taken(struct error *e, const char *name, const char *by)
{
	refuse(e, "the name \"%s\" is taken by a virtual router that %s", name, by);
	return -EEXIST;
}

/* NAME/ is there with a state, and its lock is ours. -ESTALE: it was a leaving, and is gone now. */
static int make_way(struct vr_state *state, struct error *e)
{
	bool live = state_is_live(state);
	int err = 0;

	if (live && !is_gone(&state->supervisor))
		return name_taken(e, state->name, "runs");
	if (live)
		err = sweep(state, e);
	else if (state->rm)
		err = state_remove(state->name, e);
	if (err)
		return err;
	return state->rm ? -ESTALE : name_taken(e, state->name, "has exited (europa-kill forgets it)");
}

/* Nobody has NAME/'s lock but we. 0: the name may be had. */
static int take_over(const char *name, int dir, struct error *e)
{
	struct vr_state state;
	int err = read_state_at(dir, name, &state, e);

	/* Made by a europa-run that was killed before it had written anything. */
	if (err == -ENOENT)
		return 0;
	if (err) {
		context(e, "the name \"%s\" is taken, europa-kill would free it", name);
		return -EEXIST;
	}
	err = make_way(&state, e);
	state_release(&state);
	return err;
}

/* One attempt; -ESTALE: somebody removed the directory under our feet. */
static int claim_once(int run, const char *name, struct error *e)
{
	auto_close int dir = -1, lock = -1;
	bool made = mkdirat(run, name, 0700) == 0;
	int err;

	if (!made && errno != EEXIST)
		return fail(e, errno, "cannot make the state directory of \"%s\"", name);
	dir = openat(run, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ESTALE : fail(e, errno, "cannot open the state directory of \"%s\"", name);
	err = lock_dir(dir, 0, &lock);
	if (err == -EWOULDBLOCK) {
		refuse(e, "the name \"%s\" is taken by a virtual router that is being started or changed", name);
		return -EEXIST;
	}
	if (err == -ESTALE)
		return err;
	if (err)
		return fail(e, -err, "cannot lock the state directory of \"%s\"", name);
	remember_lock(lock);
	err = take_over(name, dir, e);
	return err ? err : take_fd(&lock);
}

int state_claim(const char *name, struct error *e)
{
	char path[PATH_MAX];
	auto_close int run = -1;
	int lock = check_name(name, e);

	if (lock < 0)
		return lock;
	run = open_run_dir(path, e);
	if (run < 0)
		return run;
	for (int tries = 0; tries < 100; tries++) {
		lock = claim_once(run, name, e);
		if (lock != -ESTALE)
			return lock;
	}
	return fail(e, EBUSY, "cannot take the name \"%s\"", name);
}

int state_claim_numbered(const char *stem, char name[VR_NAME_MAX], struct error *e)
{
	for (unsigned n = 1; n < 1000000; n++) {
		struct error taken = { 0 };
		int lock;

		if (snprintf(name, VR_NAME_MAX, "%s-%u", stem, n) >= VR_NAME_MAX)
			return refuse(e, "\"%s\": expected a shorter name", stem);
		lock = state_claim(name, &taken);
		if (lock == -EEXIST)
			continue;
		if (lock < 0 && e && !e->code)
			*e = taken;
		return lock;
	}
	return refuse(e, "\"%s\": all numbers are taken", stem);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool names_a_vr(const struct dirent *entry)
{
	return quantity_vr_name(entry->d_name) && !is_reserved(entry->d_name) &&
	       (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
}

int state_list(char ***names, struct error *e)
{
	char path[PATH_MAX], **list = calloc(1, sizeof *list), **longer;
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	size_t n = 0;
	int err = list ? state_run_dir(path, sizeof path, e) : fail(e, ENOMEM, "cannot list the virtual routers");

	if (!err) {
		dir = opendir(path);
		err = dir ? 0 : fail(e, errno, "cannot list \"%s\"", path);
	}
	while (!err && (entry = readdir(dir))) {
		if (!names_a_vr(entry))
			continue;
		longer = realloc(list, (n + 2) * sizeof *list);
		if (longer)
			list = longer;
		list[n] = longer ? strdup(entry->d_name) : NULL;
		if (!list[n])
			err = fail(e, ENOMEM, "cannot list the virtual routers");
		else
			list[++n] = NULL;
	}
	if (err) {
		while (n)
			free(list[--n]);
		free(list);
		return err;
	}
	qsort(list, n, sizeof *list, compare_names);
	*names = list;
	return 0;
}

/* ---- removal ---- */

static bool any_lives(void)
{
	struct error ignored = { 0 };
	struct vr_state state;
	bool lives = false;
	char **names;

	if (state_list(&names, &ignored) < 0)
		return true;
	for (char **name = names; *name; name++) {
		struct error e = { 0 };

		/* One that is only being made has no state yet, and is about to want a switch. */
		if (state_read(*name, &state, &e) == 0) {
			lives |= state_is_live(&state);
			state_release(&state);
		} else
			lives = true;
		free(*name);
	}
	free(names);
	return lives;
}

static bool switch_lives(const char *run_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	return (size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/" EUROPA_SWITCH_SOCKET, run_path) < sizeof address.sun_path &&
	       message_somebody_listens(&address);
}

void state_forget_switch(void)
{
	auto_close int run = -1, lock = -1;
	struct error ignored = { 0 };
	char path[PATH_MAX + 32];

	run = open_run_dir(path, &ignored);
	if (run < 0)
		return;
	/* Who starts a switch takes this lock first, and a switch that is about to end does. */
	lock = openat(run, "switch.lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0 || switch_lives(path) || any_lives())
		return;
	/* The pairs of all vNICs end in this network namespace, and go with it. */
	strcat(path, "/netns/switch");
	umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	unlinkat(run, "netns/switch", 0);
}

/* ".NAME.PID", and nothing like it: a run directory that somebody has chosen may have been a directory of his before. */
static bool is_aside(const struct dirent *entry)
{
	const char *pid = strrchr(entry->d_name, '.');
	char name[VR_NAME_MAX];

	if (entry->d_name[0] != '.' || pid == entry->d_name || !pid[1] || pid[1 + strspn(pid + 1, "0123456789")])
		return false;
	return snprintf(name, sizeof name, "%.*s", (int)(pid - entry->d_name - 1), entry->d_name + 1) < (int)sizeof name &&
	       quantity_vr_name(name) && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
}

/* What somebody who was killed had begun to remove; or is removing now, who won't mind help. */
static void finish_removals(int run)
{
	auto_close int fd = openat(run, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return;
	fd = -1;
	while ((entry = readdir(dir)))
		if (is_aside(entry))
			tree_remove(run, entry->d_name);
}

int state_remove(const char *name, struct error *e)
{
	char path[PATH_MAX], aside[VR_NAME_MAX + 32];
	auto_close int run = -1;
	int err = check_name(name, e);

	if (err)
		return err;
	run = open_run_dir(path, e);
	if (run < 0)
		return run;
	finish_removals(run);
	/* Out of sight first: nobody sees half of it, and the name is free at once. */
	snprintf(aside, sizeof aside, ".%s.%d", name, getpid());
	if (renameat(run, name, run, aside) < 0)
		return errno == ENOENT ? 0 : fail(e, errno, "cannot remove \"%s/%s\"", path, name);
	err = tree_remove(run, aside);
	return err ? fail(e, -err, "cannot remove \"%s/%s\"", path, aside) : 0;
}

/* ---- uids ---- */

/* Marks the ranges that VRs have, in a bitmap. */
static int mark_uids(const char *run_path, uint8_t *taken, struct error *e)
{
	char **names, path[PATH_MAX + VR_NAME_MAX];
	int err = state_list(&names, e);

	if (err)
		return err;
	for (char **name = names; *name; name++) {
		auto_free char *text = NULL;
		auto_close int dir = -1;
		size_t length;
		uint64_t n;

		snprintf(path, sizeof path, "%s/%s", run_path, *name);
		dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir >= 0 && read_file(dir, "uids", &text, &length) == 0 && quantity_number(text, 0, UID_RANGES - 1, &n))
			taken[n / 8] |= (uint8_t)(1 << n % 8);
		free(*name);
	}
	free(names);
	return 0;
}

int state_claim_uids(const char *name, uint32_t *uid_base, struct error *e)
{
	uint8_t taken[UID_RANGES / 8] = { 0 };
	auto_close int run = -1, dir = -1, lock = -1;
	char path[PATH_MAX], text[16];
	unsigned n = 0;
	int err;

	dir = state_open_dir(name, e);
	if (dir < 0)
		return dir;
	run = open_run_dir(path, e);
	if (run < 0)
		return run;
	lock = openat(run, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	err = lock < 0 ? -errno : flock_within(lock, LOCK_SECONDS);
	if (err)
		return fail(e, -err, "cannot lock \"%s/.lock\"", path);
	finish_removals(run);
	err = mark_uids(path, taken, e);
	if (err)
		return err;
	while (n < UID_RANGES && taken[n / 8] & 1 << n % 8)
		n++;
	if (n == UID_RANGES)
		return fail(e, ENOSPC, "all %d ranges of uids are taken", UID_RANGES);
	snprintf(text, sizeof text, "%u", n);
	err = write_file(dir, "uids", text, strlen(text));
	if (err)
		return fail(e, -err, "cannot write \"%s/%s/uids\"", path, name);
	*uid_base = EUROPA_UID_BASE + n * UIDS_PER_RANGE;
	return 0;
}

/* ---- the region ---- */

/* A memfd that nobody can cut short under a reader's mapping. */
static int open_fd_of(const struct process_id *owner, int number, int mode, struct error *e)
{
	auto_close int fd = -1;
	char path[48];
	int seals;

	snprintf(path, sizeof path, "/proc/%d/fd/%d", owner->pid, number);
	fd = open(path, mode | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(e, errno, "cannot open the region");
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return refuse(e, "the region is no sealed memfd");
	return take_fd(&fd);
}

int state_open_region(const struct vr_state *state, int *control_fd, int *pool_fd, struct error *e)
{
	auto_close int control = -1, pool = -1;

	if (is_gone(&state->supervisor))
		return refuse(e, "virtual router \"%s\" has no supervisor", state->name);
	control = open_fd_of(&state->supervisor, state->control_fd, O_RDONLY, e);
	if (control < 0)
		return control;
	pool = open_fd_of(&state->supervisor, state->pool_fd, O_RDONLY, e);
	if (pool < 0)
		return pool;
	/* It still has its number, so nobody else had it while the paths were opened. */
	if (is_gone(&state->supervisor))
		return refuse(e, "virtual router \"%s\" has no supervisor", state->name);
	*control_fd = take_fd(&control);
	*pool_fd = take_fd(&pool);
	return 0;
}

int state_open_control(const struct vr_state *state, struct error *e)
{
	auto_close int control = -1;

	if (!is_gone(&state->supervisor))
		control = open_fd_of(&state->supervisor, state->control_fd, O_RDWR, e);
	if (is_gone(&state->supervisor))
		return refuse(e, "virtual router \"%s\" has no supervisor", state->name);
	return control < 0 ? -e->code : take_fd(&control);
}

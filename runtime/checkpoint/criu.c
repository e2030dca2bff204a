/* SPDX-License-Identifier: MIT */
/*
 * The criu mode: the data plane's process itself is saved, with all that it remembers. It hands its state over first, as in warm mode, for the
 * sake of standing still with nothing in its hands; what it wrote stays unused.
 *
 * criu runs in the VR's namespaces, with the host's privilege, which it needs to read a seccomp filter; so the user namespace is the one that
 * it takes into its image. On restore there is a user namespace already, made by the runtime as for any VR, and criu's inventory is
 * changed to say that its own was the same, so that it makes none. docs/checkpoint.md has the whole order.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/europa.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/layout.h"
#include "runtime/checkpoint/alone.h"
#include "runtime/checkpoint/criu_plugin.h"
#include "runtime/checkpoint/criu_run.h"
#include "runtime/checkpoint/handover.h"
#include "runtime/checkpoint/mode.h"
#include "runtime/checkpoint/packets.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"

static int available(const struct vr_state *state, struct error *e)
{
	struct criu_call check = { .args = { "check" } };
	char directory[PATH_MAX];
	int err = criu_plugin_directory(directory, e) ?: criu_run(&check, e);

	if (err)
		return err;
	return state->log ? 0 : refuse(e, "it is not detached: its standard input and output are somebody else's, and criu can't save them");
}

/* ---- looking ---- */

/* The number that it has in there. */
static int inner_pid(pid_t pid, uint32_t *inner)
{
	char path[40], line[256];
	FILE *in;

	*inner = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof line, in))
		if (strncmp(line, "NSpid:", 6) == 0)
			*inner = (uint32_t)strtoul(strrchr(line, '\t') ?: "0", NULL, 10);
	if (in)
		fclose(in);
	return *inner ? 0 : -ESRCH;
}

static int look_at(pid_t pid, int fd, struct stat *st, struct error *e)
{
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
	return stat(path, st) ? fail(e, errno, "the data plane's descriptor %d", fd) : 0;
}

static int look_at_pipe(pid_t pid, int fd, uint64_t *inode, struct error *e)
{
	struct stat st = { 0 };
	int err = look_at(pid, fd, &st, e);

	*inode = st.st_ino;
	return err ?: S_ISFIFO(st.st_mode) ? 0 : refuse(e, "the data plane's descriptor %d is not the pipe that it was started with", fd);
}

/* /dev/null, opened before the VR had its root: criu can't find it from in there, and is told that it comes from outside. */
static int name_input(pid_t pid, char name[48], struct error *e)
{
	struct stat st = { 0 };
	unsigned mount = 0;
	char path[48], line[100];
	FILE *in;
	int err = look_at(pid, 0, &st, e);

	if (err)
		return err;
	if (!S_ISCHR(st.st_mode) || st.st_rdev != 0x103)
		return refuse(e, "the data plane's descriptor 0 is not /dev/null, which it was started with");
	snprintf(path, sizeof path, "/proc/%d/fdinfo/0", pid);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof line, in))
		sscanf(line, "mnt_id: %u", &mount);
	if (in)
		fclose(in);
	snprintf(name, 48, "file[%x:%" PRIx64 "]", mount, (uint64_t)st.st_ino);
	return mount ? 0 : refuse(e, "can't tell the mount of the data plane's descriptor 0");
}

static int preflight(struct checkpoint *c, struct error *e)
{
	const char *program = c->manifest.spec.args && c->manifest.spec.args[0] ? c->manifest.spec.args[0] : "?";
	struct criu_image *image = &c->manifest.criu;
	pid_t init = c->state.init.pid, pid = alone_data_plane(init);
	int err = handover_offered(&c->view, program, e) ?: alone_check(init, e);

	if (err)
		return err;
	if (pid <= 0 || inner_pid(pid, &image->pid))
		return refuse(e, "can't find its data plane's process");
	return name_input(pid, image->input, e) ?: look_at_pipe(pid, 1, &image->log, e) ?: look_at_pipe(pid, 5, &image->doorbell, e) ?:
	       look_at_pipe(pid, 6, &image->kick, e);
}

static int settle(struct checkpoint *c, struct error *e)
{
	uint64_t size;

	return handover_await(&c->line, c->timeout_ms, &size, e);
}

/* ---- criu's inventory ---- */

#define IMAGE_HEADER 12           /* two magic numbers and a length, before the message */
#define FIELD_ROOT_IDS (3 << 3 | 2)
#define FIELD_USER_NS  (10 << 3)

/* The value of a field of a message whose fields are small numbers and messages; NULL: there is none. */
static uint8_t *find_field(uint8_t *at, const uint8_t *end, unsigned key, size_t *length)
{
	while (end - at >= 2) {
		bool found = at[0] == key, is_message = (at[0] & 7) == 2;

		if ((at[0] & 0x80) || (at[1] & 0x80) || (!is_message && (at[0] & 7) != 0))
			return NULL;
		*length = is_message ? at[1] : 1;
		at += is_message ? 2 : 1;
		if (*length > (size_t)(end - at))
			return NULL;
		if (found)
			return at;
		at += *length;
	}
	return NULL;
}

static ssize_t read_small(int dir, const char *name, uint8_t bytes[4096])
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, 4096);

	return n > IMAGE_HEADER ? n : -1;
}

static int adjust_inventory(int dir, uint32_t pid, struct error *e)
{
	uint8_t inventory[4096], ids[4096], *root, *criu_s = NULL, *user;
	auto_close int fd = openat(dir, "inventory.img", O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t size = read_small(dir, "inventory.img", inventory), ids_size;
	char name[32];
	size_t length;

	snprintf(name, sizeof name, "ids-%u.img", pid);
	ids_size = read_small(dir, name, ids);
	if (fd < 0 || size < 0 || ids_size < 0)
		return refuse(e, "criu wrote no inventory");
	root = find_field(inventory + IMAGE_HEADER, inventory + size, FIELD_ROOT_IDS, &length);
	if (root)
		criu_s = find_field(root, root + length, FIELD_USER_NS, &length);
	user = find_field(ids + IMAGE_HEADER, ids + ids_size, FIELD_USER_NS, &length);
	if (!criu_s || !user || (*user & 0x80))
		return refuse(e, "criu's inventory is of a kind that this version of Europa doesn't know");
	return pwrite(fd, user, 1, criu_s - inventory) == 1 ? 0 : fail(e, errno, "criu's inventory");
}

/* ---- saving ---- */

static int dump(struct checkpoint *c, int dir, struct error *e)
{
	const struct criu_image *image = &c->manifest.criu;
	char plugins[PATH_MAX], pid[16], timeout[16];
	pid_t init = c->state.init.pid;
	struct criu_call call = {
		.args = { "dump", "--tree", pid, "--images-dir", "/proc/self/fd/200", "--work-dir", "/proc/self/fd/200", "--libdir", plugins,
			  "--log-file", "-", "-v4", "--leave-running", "--manage-cgroups=ignore", "--timeout", timeout, "--external", image->input },
		.init = init, .time = alone_data_plane(init), .images = dir, .name = c->state.name,
	};

	snprintf(pid, sizeof pid, "%u", image->pid);
	snprintf(timeout, sizeof timeout, "%u", c->timeout_ms / 1000 + 1);
	return criu_plugin_directory(plugins, e) ?: criu_run(&call, e);
}

static int read_memfd(int memfd, uint8_t *bytes, size_t size, struct error *e)
{
	if (!bytes)
		return fail(e, ENOMEM, "cannot save the region");
	return pread(memfd, bytes, size, 0) == (ssize_t)size ? 0 : fail(e, errno ? errno : EIO, "cannot read the region");
}

/* Its statistics have gone on since the file "region" was written, and are those that the restored VR will have. */
static int save_region(struct checkpoint *c, int dir, struct error *e)
{
	struct store_file ignored = { 0 };
	struct europa_offsets off;
	auto_free uint8_t *control = NULL, *pool = NULL;
	int err;

	layout_compute(&c->view.geo, &off);
	control = malloc(off.control_size);
	pool = malloc(off.pool_size);
	err = read_memfd(c->line.control, control, off.control_size, e) ?: read_memfd(c->line.pool, pool, off.pool_size, e);
	if (err)
		return err;
	c->not_received = packets_not_received(control + off.control_stats, &c->view.geo);
	return store_write(dir, "control", control, off.control_size, &ignored, e) ?: store_write(dir, "pool", pool, off.pool_size, &ignored, e);
}

static int save(struct checkpoint *c, struct error *e)
{
	struct criu_image *image = &c->manifest.criu;
	auto_close int dir = -1;

	if (mkdirat(c->directory, CRIU_DIRECTORY, 0700) < 0)
		return fail(e, errno, "cannot make the directory \"" CRIU_DIRECTORY "\"");
	dir = openat(c->directory, CRIU_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return fail(e, errno, "cannot open the directory \"" CRIU_DIRECTORY "\"");
	return dump(c, dir, e) ?: adjust_inventory(dir, image->pid, e) ?: save_region(c, dir, e) ?: criu_image_list(image, dir, e);
}

const struct mode mode_criu = {
	.mode = MODE_CRIU, .available = available, .preflight = preflight, .settle = settle, .save = save,
};

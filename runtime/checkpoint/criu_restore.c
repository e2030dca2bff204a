/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/criu_restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/checkpoint/criu_image.h"
#include "runtime/checkpoint/criu_plugin.h"
#include "runtime/checkpoint/criu_run.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/region.h"

#define RESTORE_MS 60000

enum { AT_CONTROL, AT_POOL, AT_STATE, AT_DOORBELL, AT_KICK, AT_LOG, AT_INPUT, INHERITED };

static int check_private(int fd, const char *path, struct error *e)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return fail(e, errno, "cannot open \"%s\"", path);
	if (st.st_uid != 0 || (st.st_mode & 077))
		return refuse(e, "\"%s\" belongs to user %u and has mode 0%o: a checkpoint of mode criu is code, and has to be root's, with "
			      "mode 0700", path, st.st_uid, st.st_mode & 07777);
	return 0;
}

int criu_restore_check(int dir, const char *path, struct error *e)
{
	auto_close int below = openat(dir, CRIU_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char full[PATH_MAX + sizeof "/" CRIU_DIRECTORY];

	snprintf(full, sizeof full, "%s/" CRIU_DIRECTORY, path);
	return check_private(dir, path, e) ?: check_private(below, full, e);
}

/* ---- the images ---- */

static int put_file(int dir, const struct criu_file *file, uint32_t owner, struct error *e)
{
	auto_close int fd = openat(dir, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	uint64_t done = 0;

	if (fd < 0)
		return fail(e, errno, "criu's image \"%s\"", file->name);
	while (done < file->file.size) {
		ssize_t n = write(fd, file->bytes + done, file->file.size - done);

		if (n < 0 && errno != EINTR)
			return fail(e, errno, "criu's image \"%s\"", file->name);
		done += n > 0 ? (uint64_t)n : 0;
	}
	return fchown(fd, owner, owner) ? fail(e, errno, "criu's image \"%s\"", file->name) : 0;
}

/*
 * A copy in memory that has no path: what criu reads is what was verified, and belongs to the VR's root, which a process that is
 * being restored is.
 */
static int put_images(const struct criu_image *image, uint32_t owner, struct error *e)
{
	auto_close int context = fsopen("tmpfs", FSOPEN_CLOEXEC), tree = -1, dir = -1;
	int err = 0;

	if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "mode", "0700", 0) || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return fail(e, errno, "a file system for criu's images");
	tree = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	dir = tree < 0 ? -1 : openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return fail(e, errno, "a file system for criu's images");
	for (unsigned i = 0; i < image->count && !err; i++)
		if (strcmp(image->files[i].name, "control") != 0 && strcmp(image->files[i].name, "pool") != 0)
			err = put_file(dir, &image->files[i], owner, e);
	if (!err && fchown(dir, owner, owner))
		err = fail(e, errno, "a file system for criu's images");
	return err ?: take_fd(&dir);
}

/* ---- descriptors ---- */

/*
 * A process that is being restored opens these anew, as the VR's root: so they are its own meanwhile. Not control, which it must not be
 * able to write to: that one is to be read by all.
 */
static int lend(const struct region *region, int log, uint32_t owner, mode_t control, struct error *e)
{
	const int fds[] = { region->pool, region->state, region->doorbell_read, region->kick_write, log };

	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fchown(fds[i], owner, owner))
			return fail(e, errno, "the region's descriptors");
	return fchmod(region->control, control) ? fail(e, errno, "the region's descriptors") : 0;
}

static void name_inherited(char texts[INHERITED][120], const struct criu_image *image, const char *was)
{
	snprintf(texts[AT_CONTROL], 120, "fd[%d]:/memfd:europa-%s-control", CRIU_INHERIT_FD + AT_CONTROL, was);
	snprintf(texts[AT_POOL], 120, "fd[%d]:/memfd:europa-%s-pool", CRIU_INHERIT_FD + AT_POOL, was);
	snprintf(texts[AT_STATE], 120, "fd[%d]:/memfd:europa-%s-state", CRIU_INHERIT_FD + AT_STATE, was);
	snprintf(texts[AT_DOORBELL], 120, "fd[%d]:pipe:[%" PRIu64 "]", CRIU_INHERIT_FD + AT_DOORBELL, image->doorbell);
	snprintf(texts[AT_KICK], 120, "fd[%d]:pipe:[%" PRIu64 "]", CRIU_INHERIT_FD + AT_KICK, image->kick);
	snprintf(texts[AT_LOG], 120, "fd[%d]:pipe:[%" PRIu64 "]", CRIU_INHERIT_FD + AT_LOG, image->log);
	snprintf(texts[AT_INPUT], 120, "fd[%d]:%s", CRIU_INHERIT_FD + AT_INPUT, image->input);
}

static int open_log(pid_t init, struct error *e)
{
	char path[40];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/fd/1", init);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? fail(e, errno, "the log of process 1") : fd;
}

int criu_restore(const struct criu_image *image, const char *was, const char *name, const struct region *region, pid_t init, uint32_t uid_base,
		 struct cgroup_set *cgroup, struct error *e)
{
	char plugins[PATH_MAX], texts[INHERITED][120];
	auto_close int images = put_images(image, uid_base, e), log = -1, null = -1;
	struct criu_call call = {
		.args = { "restore", "--restore-detached", "--images-dir", "/proc/self/fd/200", "--work-dir", "/proc/self/fd/200", "--libdir",
			  plugins, "--log-file", "-", "-v4", "--manage-cgroups=ignore", "--join-ns", "user:/proc/1/ns/user,0,0" },
		.init = init, .time = init, .images = images, .cgroup = cgroup, .name = name, .timeout_ms = RESTORE_MS, .nfds = INHERITED,
		.fds = { region->control, region->pool, region->state, region->doorbell_read, region->kick_write },
	};
	unsigned n = 0;
	int err;

	if (images < 0)
		return images;
	log = open_log(init, e);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (log < 0 || null < 0)
		return log < 0 ? log : fail(e, errno, "/dev/null");
	call.fds[AT_LOG] = log;
	call.fds[AT_INPUT] = null;
	name_inherited(texts, image, was);
	while (call.args[n])
		n++;
	for (unsigned i = 0; i < INHERITED; i++) {
		call.args[n++] = "--inherit-fd";
		call.args[n++] = texts[i];
	}
	err = criu_plugin_directory(plugins, e) ?: lend(region, log, uid_base, 0644, e) ?: criu_run(&call, e);
	if (!err)
		err = lend(region, log, 0, 0600, e);
	return err;
}

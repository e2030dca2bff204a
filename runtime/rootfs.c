/* SPDX-License-Identifier: MIT */
#include "runtime/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/fault.h"

#define TMP_SIZE        "64m"
#define IMAGE_FLAGS     (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define DEVICE_FLAGS    (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

/* ---- gathering ---- */

/* What the VR has of its own at the top: an image's directory of that name is not seen. */
static const char *const own_directories[] = { "dev", "proc", "sys", "tmp" };

static const struct {
	const char *name;
	unsigned major, minor;
} devices[] = {
	{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

/* A mount that the user asked for. */
struct target {
	char *path;                /* below the root, normalized, without a leading slash */
	const char *source;
	bool read_only;
	bool directory;
	int fd;                    /* the source, O_PATH */
};

struct gathering {
	struct rootfs *rootfs;
	struct target *targets;
	size_t count;
};

static struct rootfs_item *find_item(const struct rootfs *rootfs, const char *path)
{
	for (size_t i = 0; i < rootfs->count; i++)
		if (strcmp(rootfs->items[i].path, path) == 0)
			return &rootfs->items[i];
	return NULL;
}

/* Takes `path` and `link` over, also when it fails. */
static int add_item(struct rootfs *rootfs, enum rootfs_kind kind, char *path, char *link, struct error *e)
{
	if (path && rootfs->count == rootfs->room) {
		size_t room = rootfs->room ? 2 * rootfs->room : 32;
		struct rootfs_item *items = realloc(rootfs->items, room * sizeof *items);

		if (items) {
			rootfs->items = items;
			rootfs->room = room;
		}
	}
	if (!path || (kind == ROOTFS_SYMLINK && !link) || rootfs->count == rootfs->room) {
		free(path);
		free(link);
		return fail(e, ENOMEM, "the root file system's list");
	}
	rootfs->items[rootfs->count++] = (struct rootfs_item){ .kind = kind, .path = path, .link = link, .mount = -1 };
	return 0;
}

static int set_attributes(int mount, unsigned attributes, unsigned flags)
{
	/* Private: a mount in here must not appear on the host, nor one on the host in here. */
	struct mount_attr attr = { .attr_set = attributes, .propagation = MS_PRIVATE };

	return mount_setattr(mount, "", AT_EMPTY_PATH | flags, &attr, sizeof attr) ? -errno : 0;
}

/* Submounts come along where their flags can be set with the rest. */
static int detach_mount(struct rootfs *rootfs, int fd, unsigned attributes, struct error *e, const char *what)
{
	unsigned recursive = rootfs->late_attributes ? 0 : AT_RECURSIVE;
	auto_close int mount = open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive);
	int err;

	if (mount < 0)
		return fail(e, errno, "can't take a mount of \"%s\"", what);
	if (rootfs->late_attributes)
		return take_fd(&mount);
	err = set_attributes(mount, attributes, AT_RECURSIVE);
	if (err == -ENOSYS) {
		rootfs->late_attributes = true;
		return detach_mount(rootfs, fd, attributes, e, what);
	}
	if (err)
		return fail(e, -err, "can't set the flags of a mount of \"%s\"", what);
	return take_fd(&mount);
}

static int add_mount(struct rootfs *rootfs, char *path, int fd, bool directory, unsigned attributes, struct error *e,
		     const char *what)
{
	enum rootfs_kind kind = directory ? ROOTFS_MOUNT_DIRECTORY : ROOTFS_MOUNT_FILE;
	struct rootfs_item *item;
	int mount, err;

	mount = detach_mount(rootfs, fd, attributes, e, what);
	if (mount < 0) {
		free(path);
		return mount;
	}
	err = add_item(rootfs, kind, path, NULL, e);
	if (err) {
		close(mount);
		return err;
	}
	item = &rootfs->items[rootfs->count - 1];
	item->mount = mount;
	item->attributes = attributes;
	return 0;
}

static bool is_own(const char *path, size_t length)
{
	for (size_t i = 0; i < sizeof own_directories / sizeof own_directories[0]; i++)
		if (strlen(own_directories[i]) == length && memcmp(own_directories[i], path, length) == 0)
			return true;
	return false;
}

static bool is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 && path[length] == '/';
}

static const struct target *find_target(const struct gathering *g, const char *path)
{
	for (size_t i = 0; i < g->count; i++)
		if (strcmp(g->targets[i].path, path) == 0)
			return &g->targets[i];
	return NULL;
}

static bool leads_to_target(const struct gathering *g, const char *path)
{
	for (size_t i = 0; i < g->count; i++)
		if (is_below(g->targets[i].path, path))
			return true;
	return false;
}

static char *join(const char *prefix, const char *name)
{
	char *path;

	if (!*prefix)
		return strdup(name);
	return asprintf(&path, "%s/%s", prefix, name) < 0 ? NULL : path;
}

static char *read_link(int fd, off_t size)
{
	size_t room = size > 0 && size < 4096 ? (size_t)size + 1 : 4096;
	char *text = malloc(room);
	ssize_t got = text ? readlinkat(fd, "", text, room - 1) : -1;

	if (got < 0) {
		free(text);
		return NULL;
	}
	text[got] = 0;
	return text;
}

static int gather_directory(struct gathering *g, int fd, const char *prefix, struct error *e);

/* A directory on the way to a mount target is the VR's own, and what the image has in it is brought one by one. */
static int gather_apart(struct gathering *g, int fd, char *path, struct error *e)
{
	auto_free char *prefix = strdup(path);
	auto_close int readable = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (readable < 0) {
		err = fail(e, errno, "the image's \"/%s\"", path);
		free(path);
		return err;
	}
	err = add_item(g->rootfs, ROOTFS_DIRECTORY, path, NULL, e);
	if (err || !prefix)
		return err ? err : fail(e, ENOMEM, "\"/%s\"", path);
	return gather_directory(g, readable, prefix, e);
}

static int gather_entry(struct gathering *g, int dir, const char *prefix, const char *name, struct error *e)
{
	auto_close int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	auto_free char *path = join(prefix, name);
	const struct target *target;
	struct stat st;

	if (!path)
		return fail(e, ENOMEM, "\"%s\"", name);
	if (fd < 0 || fstat(fd, &st))
		return fail(e, errno, "the image's \"/%s\"", path);
	if (!*prefix && is_own(name, strlen(name))) {
		if (!S_ISDIR(st.st_mode))
			return refuse(e, "the image's \"/%s\" is not a directory: expected one, or none", path);
		return 0;
	}
	target = find_target(g, path);
	if (target && S_ISDIR(st.st_mode) == target->directory && !S_ISLNK(st.st_mode))
		return 0;
	if (target)
		return refuse(e, "mount target \"/%s\": the image has a %s there, and \"%s\" is a %s", path,
			      S_ISLNK(st.st_mode) ? "symbolic link" : S_ISDIR(st.st_mode) ? "directory" : "file",
			      target->source, target->directory ? "directory" : "file");
	if (leads_to_target(g, path)) {
		if (!S_ISDIR(st.st_mode))
			return refuse(e, "mount target below \"/%s\": that is no directory in the image", path);
		return gather_apart(g, fd, take_ptr(path), e);
	}
	if (S_ISLNK(st.st_mode))
		return add_item(g->rootfs, ROOTFS_SYMLINK, take_ptr(path), read_link(fd, st.st_size), e);
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
		return add_mount(g->rootfs, take_ptr(path), fd, S_ISDIR(st.st_mode), IMAGE_FLAGS, e, name);
	return 0;                       /* devices, sockets and pipes of an image mean nothing in a VR */
}

static int gather_directory(struct gathering *g, int fd, const char *prefix, struct error *e)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	auto_closedir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int err;

	if (!dir) {
		err = fail(e, errno, "the image's \"/%s\"", prefix);
		if (copy >= 0)
			close(copy);
		return err;
	}
	while (errno = 0, entry = readdir(dir)) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		err = gather_entry(g, fd, prefix, entry->d_name, e);
		if (err)
			return err;
	}
	return errno ? fail(e, errno, "the image's \"/%s\"", prefix) : 0;
}

/* Directories that lead to a target and that the image doesn't have. */
static int add_ancestors(struct gathering *g, const char *path, struct error *e)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		char *ancestor = strndup(path, (size_t)(slash - path));
		int err;

		if (ancestor && find_item(g->rootfs, ancestor)) {
			free(ancestor);
			continue;
		}
		err = add_item(g->rootfs, ROOTFS_DIRECTORY, ancestor, NULL, e);
		if (err)
			return err;
	}
	return 0;
}

static int gather_targets(struct gathering *g, struct error *e)
{
	for (size_t i = 0; i < g->count; i++) {
		struct target *t = &g->targets[i];
		unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (t->read_only ? MOUNT_ATTR_RDONLY : 0);
		int err = add_ancestors(g, t->path, e);

		if (!err)
			err = add_mount(g->rootfs, strdup(t->path), t->fd, t->directory, attributes, e, t->source);
		if (err)
			return err;
	}
	return 0;
}

/* The host's device nodes, and only if they are what their names say. */
static int gather_devices(struct rootfs *rootfs, struct error *e)
{
	for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
		auto_close int fd = -1;
		char path[32];
		struct stat st;
		int err;

		snprintf(path, sizeof path, "/dev/%s", devices[i].name);
		fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st))
			return fail(e, errno, "%s", path);
		if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(devices[i].major, devices[i].minor))
			return refuse(e, "%s is not the device %u:%u: repair the host's /dev", path, devices[i].major,
				      devices[i].minor);
		err = add_mount(rootfs, strdup(path + 1), fd, false, DEVICE_FLAGS, e, path);
		if (err)
			return err;
	}
	return 0;
}

/* "/a//b/" becomes "a/b". NULL: not a path that could be meant. */
static char *normalize(const char *path)
{
	char *out = malloc(strlen(path) + 1), *end = out;

	while (out && *path) {
		size_t length = strcspn(path, "/");

		if ((length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.')) {
			free(out);
			return NULL;
		}
		if (length && end > out)
			*end++ = '/';
		memcpy(end, path, length);
		end += length;
		path += length + (path[length] == '/');
	}
	if (out)
		*end = 0;
	return out;
}

static int open_target(struct gathering *g, const struct vr_mount *mount, struct error *e)
{
	struct target *t = &g->targets[g->count];
	struct stat st;

	*t = (struct target){ .source = mount->source, .read_only = mount->read_only, .fd = -1 };
	t->path = mount->target[0] == '/' ? normalize(mount->target) : NULL;
	if (!t->path || !*t->path) {
		free(t->path);
		return refuse(e, "mount target \"%s\": expected an absolute path without \"..\"", mount->target);
	}
	g->count++;             /* from here on release_targets() has it */
	if (is_own(t->path, strcspn(t->path, "/")))
		return refuse(e, "mount target \"%s\": /dev, /proc, /sys and /tmp are the VR's own", mount->target);
	for (size_t i = 0; i + 1 < g->count; i++) {
		const char *other = g->targets[i].path;

		if (strcmp(other, t->path) == 0 || is_below(other, t->path) || is_below(t->path, other))
			return refuse(e, "mount targets \"/%s\" and \"/%s\" overlap", other, t->path);
	}
	t->fd = open(mount->source, O_PATH | O_CLOEXEC);
	if (t->fd < 0 || fstat(t->fd, &st))
		return fail(e, errno, "mount source \"%s\"", mount->source);
	t->directory = S_ISDIR(st.st_mode);
	if (!t->directory && !S_ISREG(st.st_mode))
		return refuse(e, "mount source \"%s\": expected a directory or a plain file", mount->source);
	return 0;
}

static int open_config(struct gathering *g, const char *config, struct error *e)
{
	struct vr_mount mount = { .source = (char *)config, .target = ROOTFS_CONFIG, .read_only = true };
	struct stat st;
	int err = open_target(g, &mount, e);

	if (err)
		return err;
	if (fstat(g->targets[g->count - 1].fd, &st))
		return fail(e, errno, "configuration \"%s\"", config);
	if (!S_ISREG(st.st_mode))
		return refuse(e, "configuration \"%s\": expected a plain file", config);
	/* The VR's root is nobody on the host. */
	if (!(st.st_mode & S_IROTH))
		return refuse(e, "configuration \"%s\": others can't read it, so the VR can't: chmod o+r it", config);
	return 0;
}

static int open_targets(struct gathering *g, const struct vr_spec *spec, struct error *e)
{
	int err = 0;

	g->targets = calloc(spec->nmounts + 1, sizeof *g->targets);
	if (!g->targets)
		return fail(e, ENOMEM, "mounts");
	if (spec->config)
		err = open_config(g, spec->config, e);
	for (unsigned i = 0; i < spec->nmounts && !err; i++)
		err = open_target(g, &spec->mounts[i], e);
	return err;
}

static void release_targets(struct gathering *g)
{
	for (size_t i = 0; i < g->count; i++) {
		free(g->targets[i].path);
		if (g->targets[i].fd >= 0)
			close(g->targets[i].fd);
	}
	free(g->targets);
}

/* Components one at a time, none a link: what openat2() does, where there is no openat2(). */
static int walk_beneath(int dir, const char *path)
{
	auto_close int at = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	char name[256];

	while (at >= 0 && *path) {
		size_t length = strcspn(path, "/");
		int next;

		if (length >= sizeof name || (length == 2 && memcmp(path, "..", 2) == 0))
			return -EXDEV;
		memcpy(name, path, length);
		name[length] = 0;
		path += length + (path[length] == '/');
		if (!length || strcmp(name, ".") == 0)
			continue;
		next = openat(at, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
		if (next < 0)
			return -errno;
		close(at);
		at = next;
	}
	return at < 0 ? -errno : openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_directory_beneath(int dir, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);

	if (fd < 0 && errno == ENOSYS)
		return walk_beneath(dir, path);
	return fd < 0 ? -errno : fd;
}

static int open_rootfs(const struct vr_spec *spec, struct error *e)
{
	auto_close int bundle = open(spec->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *inside;
	int fd;

	if (bundle < 0)
		return fail(e, errno, "image \"%s\"", spec->bundle);
	if (!is_below(spec->rootfs, spec->bundle))
		return refuse(e, "root file system \"%s\": expected a directory inside the image", spec->rootfs);
	inside = spec->rootfs + strlen(spec->bundle) + 1;
	fd = open_directory_beneath(bundle, inside + strspn(inside, "/"));
	if (fd == -ELOOP)
		return refuse(e, "root file system \"%s\": there is a symbolic link on the way to it", spec->rootfs);
	return fd < 0 ? fail(e, -fd, "root file system \"%s\"", spec->rootfs) : fd;
}

int rootfs_gather(struct rootfs *rootfs, const struct vr_spec *spec, struct error *e)
{
	struct gathering g = { .rootfs = rootfs };
	auto_close int root = open_rootfs(spec, e);
	int err;

	if (root < 0)
		return root;
	err = gather_devices(rootfs, e);
	if (!err)
		err = open_targets(&g, spec, e);
	if (!err)
		err = gather_directory(&g, root, "", e);
	if (!err)
		err = gather_targets(&g, e);
	release_targets(&g);
	if (err)
		rootfs_release(rootfs);
	return err;
}

void rootfs_release(struct rootfs *rootfs)
{
	for (size_t i = 0; i < rootfs->count; i++) {
		free(rootfs->items[i].path);
		free(rootfs->items[i].link);
		if (rootfs->items[i].mount >= 0)
			close(rootfs->items[i].mount);
	}
	free(rootfs->items);
	*rootfs = (struct rootfs){ 0 };
}

/* ---- building ---- */

struct building {
	const struct rootfs *rootfs;
	int root;                  /* of the new tree */
	int host_null;             /* /dev/null's mount in it */
};

/* What nobody in a VR needs to read: a file is covered by /dev/null, a directory by an empty one. */
static const struct { const char *path; bool directory; } masked[] = {
	{ "proc/acpi", true }, { "proc/asound", true }, { "proc/scsi", true },
	{ "proc/kcore", false }, { "proc/keys", false }, { "proc/key-users", false }, { "proc/kmsg", false },
	{ "proc/kpagecount", false }, { "proc/kpageflags", false }, { "proc/kpagecgroup", false },
	{ "proc/latency_stats", false }, { "proc/sched_debug", false }, { "proc/timer_list", false },
	{ "proc/timer_stats", false },
};

/* What may be read, and not be written. */
static const char *const read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };

/* Of a mount that is attached: by mount_setattr(), or in the way of the kernels before it. */
static int set_attached(int tree, unsigned attributes)
{
	unsigned long flags = MS_REMOUNT | MS_BIND;
	char path[40];
	int err = set_attributes(tree, attributes, 0);

	if (err != -ENOSYS)
		return err;
	flags |= attributes & MOUNT_ATTR_RDONLY ? MS_RDONLY : 0;
	flags |= attributes & MOUNT_ATTR_NOSUID ? MS_NOSUID : 0;
	flags |= attributes & MOUNT_ATTR_NODEV ? MS_NODEV : 0;
	flags |= attributes & MOUNT_ATTR_NOEXEC ? MS_NOEXEC : 0;
	/* The host's /proc, which is still there. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", tree);
	if (mount(NULL, path, NULL, MS_PRIVATE, NULL) || mount(NULL, path, NULL, flags, NULL))
		return -errno;
	return 0;
}

static int attach(int tree, int root, const char *path)
{
	return move_mount(tree, "", root, path, MOVE_MOUNT_F_EMPTY_PATH) ? -errno : 0;
}

/* A new file system, detached. `options`: key, value, key, value, NULL. */
static int make_filesystem(const char *type, const char *const *options, unsigned attributes, struct error *e)
{
	auto_close int context_fd = fsopen(type, FSOPEN_CLOEXEC);
	int tree;

	if (context_fd < 0)
		return fail(e, errno, "can't make a file system of type %s", type);
	for (; options && options[0]; options += 2)
		if (fsconfig(context_fd, FSCONFIG_SET_STRING, options[0], options[1], 0))
			return fail(e, errno, "%s: option %s=%s", type, options[0], options[1]);
	if (fsconfig(context_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return fail(e, errno, "can't make a file system of type %s", type);
	tree = fsmount(context_fd, FSMOUNT_CLOEXEC, attributes);
	return tree < 0 ? fail(e, errno, "can't mount a file system of type %s", type) : tree;
}

/*
 * The new root covers the host's "/", which stays this process's root until pivot_root(). Of all this the host sees
 * nothing: in a mount namespace that belongs to another user namespace than the one it was copied from, the copies
 * have become private or slaves.
 */
static int make_root(struct building *b, struct error *e)
{
	static const char *const options[] = { "mode", "0755", NULL };

	b->root = make_filesystem("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, e);
	if (b->root < 0)
		return b->root;
	if (move_mount(b->root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH))
		return fail(e, errno, "can't attach the new root");
	if (mkdirat(b->root, "dev", 0755) || mkdirat(b->root, "proc", 0555) || mkdirat(b->root, "tmp", 0755))
		return fail(e, errno, "the new root's directories");
	return 0;
}

static int bring_item(struct building *b, const struct rootfs_item *item, struct error *e)
{
	int err = 0;

	switch (item->kind) {
	case ROOTFS_SYMLINK:
		err = symlinkat(item->link, b->root, item->path);
		break;
	case ROOTFS_DIRECTORY:
	case ROOTFS_MOUNT_DIRECTORY:
		err = mkdirat(b->root, item->path, 0755);
		break;
	case ROOTFS_MOUNT_FILE:
		err = mknodat(b->root, item->path, S_IFREG | 0444, 0);
		break;
	}
	if (err)
		return fail(e, errno, "can't make \"/%s\"", item->path);
	if (item->mount < 0)
		return 0;
	err = attach(item->mount, b->root, item->path);
	if (!err && b->rootfs->late_attributes)
		err = set_attached(item->mount, item->attributes);
	return err ? fail(e, -err, "can't mount \"/%s\"", item->path) : 0;
}

static int bring_items(struct building *b, struct error *e)
{
	for (size_t i = 0; i < b->rootfs->count; i++) {
		const struct rootfs_item *item = &b->rootfs->items[i];
		int err = bring_item(b, item, e);

		if (err)
			return err;
		if (strcmp(item->path, "dev/null") == 0)
			b->host_null = item->mount;
	}
	return 0;
}

static int make_tmpfs(struct building *b, const char *path, struct error *e)
{
	static const char *const options[] = { "mode", "1777", "size", TMP_SIZE, "nr_inodes", "16k", NULL };
	auto_close int tree = make_filesystem("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, e);
	int err;

	if (tree < 0)
		return tree;
	err = attach(tree, b->root, path);
	return err ? fail(e, -err, "can't mount \"/%s\"", path) : 0;
}

static int finish_dev(struct building *b, struct error *e)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "dev/fd" }, { "fd/0", "dev/stdin" }, { "fd/1", "dev/stdout" }, { "fd/2", "dev/stderr" },
	};

	for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
		if (symlinkat(links[i][0], b->root, links[i][1]))
			return fail(e, errno, "can't make \"/%s\"", links[i][1]);
	if (mkdirat(b->root, "dev/shm", 0755))
		return fail(e, errno, "can't make \"/dev/shm\"");
	return make_tmpfs(b, "dev/shm", e);
}

static int cover(struct building *b, const char *path, bool directory, struct error *e)
{
	static const char *const options[] = { "mode", "0555", "size", "4k", NULL };
	auto_close int tree = -1;
	int err;

	if (faccessat(b->root, path, F_OK, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : fail(e, errno, "\"/%s\"", path);
	if (directory)
		tree = make_filesystem("tmpfs", options, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, e);
	else
		tree = open_tree(b->host_null, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return fail(e, errno, "can't cover \"/%s\"", path);
	err = attach(tree, b->root, path);
	return err ? fail(e, -err, "can't cover \"/%s\"", path) : 0;
}

static int protect(struct building *b, const char *path, struct error *e)
{
	auto_close int tree = open_tree(b->root, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	int err;

	if (tree < 0)
		return errno == ENOENT ? 0 : fail(e, errno, "\"/%s\"", path);
	err = attach(tree, b->root, path);
	if (!err)
		err = set_attached(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return err ? fail(e, -err, "can't make \"/%s\" read-only", path) : 0;
}

static int make_proc(struct building *b, struct error *e)
{
	auto_close int tree = make_filesystem("proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, e);
	int err;

	if (tree < 0)
		return tree;
	err = attach(tree, b->root, "proc");
	if (err)
		return fail(e, -err, "can't mount \"/proc\"");
	for (size_t i = 0; i < sizeof masked / sizeof masked[0] && !err; i++)
		err = cover(b, masked[i].path, masked[i].directory, e);
	for (size_t i = 0; i < sizeof read_only / sizeof read_only[0] && !err; i++)
		err = protect(b, read_only[i], e);
	return err;
}

static int make_tmp(struct building *b, struct error *e)
{
	return make_tmpfs(b, "tmp", e);
}

static int seal_root(struct building *b, struct error *e)
{
	int err = set_attached(b->root, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);

	return err ? fail(e, -err, "can't make the root read-only") : 0;
}

/* Both roots end up at "/", the host's on top, and that one is taken away. */
static int pivot(struct building *b, struct error *e)
{
	if (fchdir(b->root) || syscall(SYS_pivot_root, ".", "."))
		return fail(e, errno, "can't change the root");
	if (umount2(".", MNT_DETACH))
		return fail(e, errno, "can't leave the host's root");
	if (chdir("/"))
		return fail(e, errno, "can't enter the new root");
	return 0;
}

static const struct {
	const char *name;
	int (*take)(struct building *b, struct error *e);
} steps[] = {
	{ "root", make_root }, { "items", bring_items }, { "dev", finish_dev }, { "proc", make_proc },
	{ "tmp", make_tmp }, { "seal", seal_root }, { "pivot", pivot },
};

int rootfs_build(const struct rootfs *rootfs, struct error *e)
{
	struct building b = { .rootfs = rootfs, .root = -1, .host_null = -1 };
	int err = 0;

	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !err; i++) {
		err = fault_inject(steps[i].name, e);
		if (!err)
			err = steps[i].take(&b, e);
	}
	if (b.root >= 0)
		close(b.root);
	return err;
}

#ifdef EUROPA_FAULTS
void rootfs_list_steps(void)
{
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		puts(steps[i].name);
}
#endif

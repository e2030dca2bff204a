/* SPDX-License-Identifier: MIT */
#include "runtime/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "runtime/cleanup.h"

#define DEPTH 8

static int remove_below(int parent, const char *name, unsigned depth);

static int empty(int dir, unsigned depth)
{
	/* With an offset of its own: the caller may have read from the directory. */
	auto_close int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int err = 0;

	if (!entries)
		return -errno;
	fd = -1;
	while ((entry = readdir(entries)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			err = remove_below(dirfd(entries), entry->d_name, depth) ?: err;
	return err;
}

/* depth: of directories that are entered yet. */
static int remove_below(int parent, const char *name, unsigned depth)
{
	auto_close int dir = -1;
	int err;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if ((errno != EISDIR && errno != EPERM) || depth == 0)
		return -errno;
	dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	err = empty(dir, depth - 1);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : err ?: -errno;
}

int tree_remove(int parent, const char *name)
{
	return remove_below(parent, name, DEPTH);
}

int tree_empty(int dir)
{
	return empty(dir, DEPTH - 1);
}

/* SPDX-License-Identifier: MIT */
#include "runtime/run_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/error.h"

const char *run_dir_chosen(void)
{
	const char *chosen = getenv("EUROPA_RUN_DIR");

	return chosen && *chosen ? chosen : "/run/europa";
}

static int refuse_open_directory(const char *path, const struct stat *st, struct error *e)
{
	if (!S_ISDIR(st->st_mode))
		return refuse(e, "run directory \"%s\": expected a directory", path);
	if (st->st_uid != geteuid())
		return refuse(e, "run directory \"%s\": expected it to be owned by uid %u, not %u (run as root?)",
			      path, geteuid(), st->st_uid);
	if (st->st_mode & 077)
		return refuse(e, "run directory \"%s\": expected mode 0700, not %04o", path, st->st_mode & 07777);
	return 0;
}

int run_dir_make(const char *path, struct error *e)
{
	struct stat st;

	if (path[0] != '/')
		return refuse(e, "EUROPA_RUN_DIR \"%s\": expected an absolute path", path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fail(e, errno, "cannot make the run directory \"%s\"", path);
	if (lstat(path, &st) < 0)
		return fail(e, errno, "cannot look at the run directory \"%s\"", path);
	return refuse_open_directory(path, &st, e);
}

/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/criu_plugin.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/error.h"

#define PLUGIN "europa-enter.so"

static bool is_there(const char *directory)
{
	char path[PATH_MAX + sizeof PLUGIN];

	snprintf(path, sizeof path, "%s/" PLUGIN, directory);
	return access(path, R_OK) == 0;
}

int criu_plugin_directory(char path[PATH_MAX], struct error *e)
{
	static const char installed[] = EUROPA_LIBEXECDIR "/criu";
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 16);
	char *slash;

	if (length > 0) {
		path[length] = '\0';
		slash = strrchr(path, '/');
		if (slash) {
			strcpy(slash + 1, "criu");
			if (is_there(path))
				return 0;
		}
	}
	strcpy(path, installed);
	return is_there(path) ? 0 : fail(e, ENOENT, "criu's plugin, \"%s/" PLUGIN "\"", installed);
}

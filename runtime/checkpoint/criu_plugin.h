/* SPDX-License-Identifier: MIT */
/* Where the plugin is that criu is to load, and nothing else. */
#ifndef EUROPA_CHECKPOINT_CRIU_PLUGIN_H
#define EUROPA_CHECKPOINT_CRIU_PLUGIN_H

#include <limits.h>

struct error;

/* In a build tree, or where it is installed. */
int criu_plugin_directory(char path[PATH_MAX], struct error *e);

#endif

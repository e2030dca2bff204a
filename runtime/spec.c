/* SPDX-License-Identifier: MIT */
#include "runtime/spec.h"

#include <stdlib.h>
#include <string.h>

static void free_list(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

void spec_release(struct vr_spec *spec)
{
	free(spec->image);
	free(spec->bundle);
	free(spec->limits.cpuset);
	for (unsigned n = 0; n < EUROPA_MAX_VNICS; n++) {
		free(spec->vnic[n].target);
		free(spec->vnic[n].rule);
	}
	free_list(spec->args);
	free_list(spec->env);
	free(spec->cwd);
	free(spec->hostname);
	free(spec->rootfs);
	for (unsigned n = 0; n < spec->nmounts; n++) {
		free(spec->mounts[n].source);
		free(spec->mounts[n].target);
	}
	free(spec->mounts);
	free(spec->config);
	free(spec->pid_file);
	free(spec->log_dir);
	memset(spec, 0, sizeof *spec);
}

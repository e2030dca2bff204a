/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/alone.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/quantity.h"

static ino_t pid_namespace(pid_t pid)
{
	char path[40];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void read_comm(pid_t pid, char name[64])
{
	char path[40];
	FILE *in;

	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	in = fopen(path, "re");
	if (!in || !fgets(name, 64, in))
		strcpy(name, "?");
	if (in)
		fclose(in);
	name[strcspn(name, "\n")] = '\0';
}

pid_t alone_data_plane(pid_t init)
{
	char path[60];
	pid_t child = -1;
	FILE *in;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", init, init);
	in = fopen(path, "re");
	if (in && fscanf(in, "%d", &child) != 1)
		child = -1;
	if (in)
		fclose(in);
	return child;
}

int alone_check(pid_t init, struct error *e)
{
	pid_t data_plane = alone_data_plane(init);
	ino_t namespace = pid_namespace(init);
	auto_closedir DIR *proc = opendir("/proc");
	struct dirent *entry;
	char name[64], quoted[200];

	if (!namespace || !proc)
		return fail(e, errno, "cannot look at the processes");
	while ((entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 0 || pid == init || pid == data_plane || pid_namespace(pid) != namespace)
			continue;
		/* A kernel that doesn't list children: then one is the data plane, and two are too many. */
		if (data_plane < 0) {
			data_plane = pid;
			continue;
		}
		read_comm(pid, name);
		return refuse(e, "process %d \"%s\" runs in it beside the data plane, and can't be saved: end it first", pid,
			      quantity_quote(quoted, sizeof quoted, name));
	}
	return 0;
}

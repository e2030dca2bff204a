/* SPDX-License-Identifier: MIT */
/*
 * The warm mode: the data plane hands over what it knows, and another process of the same program goes on from there. It needs nothing of
 * the kernel, and saves one process: the data plane.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/europa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/checkpoint/handover.h"
#include "runtime/checkpoint/mode.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/quantity.h"

static int available(struct error *e)
{
	return 0;
}

/* ---- which processes ---- */

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

/* Process 1's child that came first is the data plane; -1: can't be told. */
static pid_t first_child(pid_t init)
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

/* Whatever else runs in the VR would silently be missing after a restore. */
static int check_alone(const struct vr_state *state, struct error *e)
{
	pid_t init = state->init.pid, data_plane = first_child(init);
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
		return refuse(e, "process %d \"%s\" runs in it beside the data plane, and can't be saved in warm mode: end it first", pid,
			      quantity_quote(quoted, sizeof quoted, name));
	}
	return 0;
}

static int preflight(struct checkpoint *c, struct error *e)
{
	const char *program = c->manifest.spec.args && c->manifest.spec.args[0] ? c->manifest.spec.args[0] : "?";

	return handover_offered(&c->view, program, e) ?: check_alone(&c->state, e);
}

/* ---- saving ---- */

static int settle(struct checkpoint *c, struct error *e)
{
	return handover_await(&c->line, c->timeout_ms, &c->manifest.files[FILE_STATE].size, e);
}

static int save(struct checkpoint *c, struct error *e)
{
	struct store_file *file = &c->manifest.files[FILE_STATE];
	auto_free struct store_writer *w = malloc(sizeof *w);
	uint64_t size = file->size;
	int err = w ? store_begin(w, c->directory, manifest_file_names[FILE_STATE], e) : fail(e, ENOMEM, "cannot save the state");

	if (err)
		return err;
	err = handover_copy(c->line.state, size, w, &c->manifest.state_version, e);
	return store_end(w, file, e) ?: err;
}

const struct mode mode_warm = {
	.mode = MODE_WARM, .available = available, .preflight = preflight, .settle = settle, .save = save,
};

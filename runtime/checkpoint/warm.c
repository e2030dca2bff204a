/* SPDX-License-Identifier: MIT */
/*
 * The warm mode: the data plane hands over what it knows, and another process of the same program goes on from there. It needs nothing of
 * the kernel, and saves one process: the data plane.
 */
#include <errno.h>
#include <linux/europa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/checkpoint/alone.h"
#include "runtime/checkpoint/handover.h"
#include "runtime/checkpoint/mode.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/quantity.h"

static int available(const struct vr_state *state, struct error *e)
{
	return 0;
}

static int preflight(struct checkpoint *c, struct error *e)
{
	const char *program = c->manifest.spec.args && c->manifest.spec.args[0] ? c->manifest.spec.args[0] : "?";

	return handover_offered(&c->view, program, e) ?: alone_check(c->state.init.pid, e);
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

/* SPDX-License-Identifier: MIT */
/* Any bytes as a state.json: refused in one printable line, or taken and the same after it was written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/error.h"
#include "runtime/state.h"

static void check_message(const struct error *e)
{
	if (!e->code || !e->text[0] || strlen(e->text) >= sizeof e->text || strchr(e->text, '\n'))
		abort();
}

/* What has been taken keeps the promises that its readers rely on. */
static void check_state(const struct vr_state *s)
{
	if (strcmp(s->name, "x") != 0 || s->vnics > EUROPA_MAX_VNICS || s->exit_code < 0 || s->exit_code > 255)
		abort();
	if (s->cgroup && (strncmp(s->cgroup, "europa/", 7) != 0 || strchr(state_cgroup(s), '/') || state_cgroup(s)[0] == '.'))
		abort();
	for (unsigned n = 0; n < s->vnics; n++)
		if (!memchr(s->vnic[n].device, '\0', sizeof s->vnic[n].device) || strchr(s->vnic[n].device, '/'))
			abort();
	state_status_name(s->status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = { 0 };
	struct vr_state state;

	if (state_parse((const char *)data, size, "x", &state, &e)) {
		check_message(&e);
		return 0;
	}
	check_state(&state);
	state_release(&state);
	return 0;
}

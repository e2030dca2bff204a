/* SPDX-License-Identifier: MIT */
/* Any text as a checkpoint's manifest, signed so that it is looked into: refused in one printable line, or taken and the same when printed again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/checkpoint/manifest.h"
#include "runtime/error.h"

static void check_message(const struct error *e)
{
	if (!e->code || !e->text[0] || strlen(e->text) >= sizeof e->text || strchr(e->text, '\n'))
		abort();
}

/* What the restorer relies on. */
static void check_manifest(const struct manifest *m)
{
	if (!m->spec.vnics || !m->spec.args[0])
		abort();
	if (m->spec.vnics > EUROPA_MAX_VNICS || m->spec.geometry.nvnics != m->spec.vnics || m->mode == MODE_AUTO)
		abort();
	if (strchr(m->spec.name, '/') || m->spec.name[0] == '.' || !m->spec.bundle || m->spec.bundle[0] != '/')
		abort();
	for (unsigned n = 0; n < m->spec.vnics; n++)
		if (strchr(m->network[n].netns, '/') || strchr(m->network[n].device, '/') || m->network[n].netns[0] == '.')
			abort();
}

static void check_round_trip(struct manifest *m)
{
	struct manifest back = { 0 };
	struct error e = { 0 };
	char *text = manifest_print(m);

	if (!text || manifest_parse(text, strlen(text), &back, &e))
		abort();
	free(text);
	manifest_release(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest m = { 0 };
	struct error e = { 0 };
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	manifest_sign(text, size);
	if (manifest_parse(text, size, &m, &e)) {
		check_message(&e);
	} else {
		check_manifest(&m);
		check_round_trip(&m);
	}
	manifest_release(&m);
	free(text);
	return 0;
}

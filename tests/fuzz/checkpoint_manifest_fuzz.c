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

/* Names of files below criu/, and words on criu's command line. */
static void check_criu(const struct criu_image *image)
{
	if (!criu_image_find(image, "control") || !criu_image_find(image, "pool") || !criu_image_find(image, "inventory.img"))
		abort();
	if (image->pid < 2 || strncmp(image->input, "file[", 5) != 0 || strpbrk(image->input, " ,/"))
		abort();
	for (unsigned i = 0; i < image->count; i++)
		if (strchr(image->files[i].name, '/') || image->files[i].name[0] == '.' || image->files[i].file.size > CRIU_FILE_MOST)
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
	if ((m->mode == MODE_CRIU) != (m->criu.count > 0) || !m->files[FILE_REGION].present)
		abort();
	if (m->mode == MODE_CRIU)
		check_criu(&m->criu);
}

static void check_round_trip(struct manifest *m)
{
	struct manifest back = { 0 };
	struct error e = { 0 };
	char *text = manifest_print(m), *again;

	if (!text || manifest_parse(text, strlen(text), &back, &e))
		abort();
	again = manifest_print(&back);
	if (!again || strcmp(text, again) != 0)
		abort();
	free(again);
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

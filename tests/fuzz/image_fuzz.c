/* SPDX-License-Identifier: MIT */
/* config.json of an image, which a stranger wrote. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/error.h"
#include "runtime/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vr_spec spec = { .bundle = strdup("/image") };
	struct error e = { 0 };
	char *text = malloc(size + 1);

	if (!text || !spec.bundle)
		abort();
	memcpy(text, data, size);
	text[size] = 0;
	if (image_parse(text, size, &spec, &e) == 0) {
		/* What is taken is within what the rest relies on. */
		if (!spec.args || !spec.args[0] || !spec.rootfs || !spec.cwd || spec.cwd[0] != '/' || spec.uid > 65535 ||
		    spec.gid > 65535 || spec.vnics > EUROPA_MAX_VNICS || strstr(spec.rootfs, "/../") || spec.ngroups > VR_GROUPS ||
		    spec.rlimits.n > RLIMITS)
			abort();
		for (unsigned i = 0; i < spec.rlimits.n; i++)
			if (!rlimit_name(spec.rlimits.one[i].resource) || spec.rlimits.one[i].soft > spec.rlimits.one[i].hard)
				abort();
	} else if (!e.code || !e.text[0]) {
		abort();
	}
	spec_release(&spec);
	free(text);
	return 0;
}

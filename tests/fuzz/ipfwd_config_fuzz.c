// SPDX-License-Identifier: MIT
/* Any bytes as a configuration: read, or refused with a message; never more. */
#include <stdlib.h>

#include "images/ipfwd/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct europa_vnic vnics[3];
	struct europa eu = { .nvnics = 3, .vnics = vnics };
	struct router *r = router_new(&eu, 0);
	/* Exactly as long as it says: a step beyond the end is seen. */
	char *text = malloc(size ? size : 1);
	struct error e = { 0 };
	struct config config;
	int err;

	memcpy(text, data, size);
	config_init(&config);
	err = config_parse(&config, "conf", text, size, &e);
	if (!err)
		err = config_apply(&config, r, &e);
	if ((err != 0) != (e.code != 0) || (err && !e.text[0]))
		abort();
	config_release(&config);
	router_free(r);
	free(text);
	return 0;
}

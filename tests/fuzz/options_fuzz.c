/* SPDX-License-Identifier: MIT */
/* Any words as europa-run's command line (words end at newlines), and any text as each quantity. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/error.h"
#include "runtime/options.h"
#include "runtime/quantity.h"

#define MAX_WORDS 32

static void try_quantities(const char *text)
{
	char buf[64];
	uint8_t mac[6];
	uint32_t permille;
	uint64_t n;
	int sig;

	if (quantity_percent(text, &permille) && !permille)
		abort();
	if (quantity_cpus(text, &permille) && !permille)
		abort();
	if (quantity_number(text, 2, 9, &n) && (n < 2 || n > 9))
		abort();
	if (quantity_number_or_hex(text, 2, 999, &n) && (n < 2 || n > 999))
		abort();
	if (quantity_signal(text, &sig) && (sig < 1 || sig > 64))
		abort();
	quantity_size(text, &n);
	quantity_microseconds(text, &n);
	quantity_mac(text, mac);
	quantity_cpuset(text);
	quantity_device_name(text);
	quantity_rule_expected(text);
	if (quantity_vr_name(text) && (text[0] == '.' || strchr(text, '/') || strlen(text) > 63))
		abort();
	for (const char *p = quantity_quote(buf, sizeof buf, text); *p; p++)
		if (*p < ' ' || *p > '~')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* There is no such image: what is right up to there is read twice, and then refused for that. */
	char *copy = malloc(size + 1), *argv[MAX_WORDS + 3], *saved = NULL;
	struct vr_spec spec = { 0 };
	struct error e = { 0 };
	int argc = 0;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	try_quantities(copy);
	argv[argc++] = (char *)"europa-run";
	for (char *word = strtok_r(copy, "\n", &saved); word && argc < MAX_WORDS; word = strtok_r(NULL, "\n", &saved))
		argv[argc++] = word;
	argv[argc++] = (char *)"/dev/null/image";
	argv[argc] = NULL;
	if (!options_run(argc, argv, &spec, &e) || !e.text[0] || strchr(e.text, '\n'))
		abort();
	spec_release(&spec);
	free(copy);
	return 0;
}

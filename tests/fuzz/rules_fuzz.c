// SPDX-License-Identifier: MIT
/*
 * A rule's text, and behind its NUL a frame: parsed, put into a classifier, and the frame classified; and the same
 * bytes as a request.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine/protocol.h"
#include "runtime/engine/rules.h"
#include "runtime/error.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As europad: in a network namespace without a way out, where asking for a host's name fails at once. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		abort();
	return 0;
}

static void try_rule(const char *text, const uint8_t *frame, size_t len)
{
	static void *memory;
	const u32 whole = len;
	struct error e = { 0 };
	struct rule rule;
	u16 targets[CLASSIFY_MAX_TARGETS];
	struct classifier *c;

	if (rule_parse(text, &rule, &e) < 0) {
		if (!e.code || !e.text[0] || strchr(e.text, '\n'))
			abort();
		return;
	}
	if (!memory)
		memory = malloc(classifier_memory());
	c = classifier_init(memory, rule_run_filter);
	rule.target = 7;
	rule.mac[0] = 2;
	if (classifier_add(c, &rule) == 0 && classify(c, frame, len, &whole, -1, targets) > 1)
		abort();
	rule_release(&rule);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct europa_request request;
	struct error e = { 0 };
	char text[600];
	size_t n = strnlen((const char *)data, size < sizeof text - 1 ? size : sizeof text - 1);

	memcpy(text, data, n);
	text[n] = '\0';
	try_rule(text, data + n, size - n);
	if (request_parse(data, size, &request, &e) < 0 && !e.code)
		abort();
	return 0;
}

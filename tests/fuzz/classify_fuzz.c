// SPDX-License-Identifier: MIT
/*
 * The classifier: rules from the first bytes of the input, a frame from the rest. Nothing is read beyond the frame,
 * targets are ones that there are, a frame to one station goes to one at most, what is removed is found no more,
 * and the order of rules doesn't matter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/classify.h"

#define MOST_RULES 12
#define demand(what) do {                                               \
	if (!(what)) {                                                  \
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
		abort();                                                \
	}                                                               \
} while (0)

/* The filter's program is the rule: frames whose sixth byte is its number. */
static bool run_filter(const void *filter, const u8 *frame, u32 len, const void *whole)
{
	const struct rule *rule = filter;

	demand(len >= 14 && whole == frame);
	return frame[5] == (u8)rule->number;
}

/* One rule from 10 bytes; numbers are small, so that frames meet them. */
static void read_rule(struct rule *rule, u16 target, const u8 *bytes)
{
	*rule = (struct rule){
		.kind = bytes[0] % (RULE_FILTER + 1), .target = target, .mac = { 2, 0, 0, 0, 0, bytes[1] },
		.number = bytes[2] << 8 | bytes[3], .vni = bytes[4], .family = bytes[5] & 1 ? 4 : 6,
		.prefix_len = bytes[6] % 33, .address = { bytes[7], bytes[8], bytes[9] }, .filter = rule,
	};
}

static struct classifier *make(struct rule *rules, u32 n, bool backwards, const bool *added)
{
	struct classifier *c = classifier_init(malloc(classifier_memory()), run_filter);
	u32 i;

	for (i = 0; i < n; i++) {
		struct rule *rule = &rules[backwards ? n - 1 - i : i];

		if (added[rule->target])
			demand(classifier_add(c, rule) == 0);
	}
	return c;
}

static u32 look(const struct classifier *c, const u8 *frame, u32 len, int tci, u16 *targets, const bool *added)
{
	u32 i, n = classify(c, frame, len, frame, tci, targets);

	demand(n <= CLASSIFY_MAX_TARGETS);
	demand(len >= 14 || n == 0);
	demand(n <= 1 || (frame[0] & 1));
	for (i = 0; i < n; i++) {
		demand(targets[i] < MOST_RULES && added[targets[i]]);
		demand(i == 0 || targets[i - 1] < targets[i]);
	}
	return n;
}

static bool has(const u16 *targets, u32 n, u16 target)
{
	while (n-- > 0) {
		if (targets[n] == target)
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u16 targets[CLASSIFY_MAX_TARGETS], again[CLASSIFY_MAX_TARGETS];
	struct rule rules[MOST_RULES];
	bool added[MOST_RULES] = { false }, filters = false;
	struct classifier *c, *other;
	u32 i, n, nrules;
	u8 *frame;
	int tci;

	if (size < 3)
		return 0;
	nrules = data[0] % (MOST_RULES + 1);
	tci = data[1] & 0x80 ? data[2] : -1;
	data += 3;
	size -= 3;
	if (size < nrules * 10)
		return 0;

	c = classifier_init(malloc(classifier_memory()), run_filter);
	for (i = 0; i < nrules; i++, data += 10, size -= 10) {
		read_rule(&rules[i], i, data);
		added[i] = classifier_add(c, &rules[i]) == 0;
		filters |= added[i] && rules[i].kind == RULE_FILTER;
	}
	frame = malloc(size);
	memcpy(frame, data, size);

	n = look(c, frame, size, tci, targets, added);
	for (i = 0; i < nrules && size >= 14; i++) {
		if (added[i] && rules[i].kind == RULE_MAC && (frame[0] & 1))
			demand(has(targets, n, i));
		if (added[i] && !memcmp(frame, rules[i].mac, 6))
			demand(n == 1);
	}

	/* Filters apart, the order in which rules came makes no difference. */
	other = make(rules, nrules, true, added);
	if (!filters || (size && (frame[0] & 1))) {
		demand(look(other, frame, size, tci, again, added) == n);
		demand(!memcmp(targets, again, n * sizeof(u16)));
	}
	/* Without its first target, the frame goes to others; in the end to nobody. */
	for (i = 0; i < nrules && n; i++) {
		added[targets[0]] = false;
		classifier_remove(c, targets[0]);
		n = look(c, frame, size, tci, targets, added);
	}
	for (i = 0; i < MOST_RULES; i++)
		classifier_remove(other, i);
	demand(classify(other, frame, size, frame, tci, again) == 0);

	free(frame);
	free(c);
	free(other);
	return 0;
}

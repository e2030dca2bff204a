/* SPDX-License-Identifier: MIT */
#include "runtime/completion.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/state.h"

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void offer(const char *candidate, const char *prefix)
{
	if (starts_with(candidate, prefix))
		puts(candidate);
}

/* Never an error: a shell's prompt is no place for one. */
static void offer_vrs(const char *prefix, bool all)
{
	struct error ignored = { 0 };
	struct vr_state state;
	char **names;

	if (state_list(&names, &ignored) < 0)
		return;
	for (char **name = names; *name; name++) {
		struct error e = { 0 };

		if (starts_with(*name, prefix) && state_read(*name, &state, &e) == 0) {
			if (all || state_is_live(&state))
				puts(*name);
			state_release(&state);
		}
		free(*name);
	}
	free(names);
}

static void offer_images(const char *directory, const char *shown_as, const char *prefix)
{
	auto_closedir DIR *dir = opendir(directory);
	char candidate[PATH_MAX];
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || snprintf(candidate, sizeof candidate, "%s%s", shown_as, entry->d_name) < 0)
			continue;
		offer(candidate, prefix);
	}
}

static void offer_words(const char *words, const char *prefix)
{
	for (size_t length; *words; words += length, words += *words == ' ') {
		char word[64];

		length = strcspn(words, " ");
		snprintf(word, sizeof word, "%.*s", (int)length, words);
		offer(word, prefix);
	}
}

static void offer_kind(const char *kind, const char *prefix)
{
	if (!kind)
		return;
	if (strcmp(kind, "FILE") == 0)
		puts(":file");
	else if (strcmp(kind, "DIR") == 0)
		puts(":dir");
	else if (strcmp(kind, "VR") == 0)
		offer_vrs(prefix, false);
	else if (strcmp(kind, "ANYVR") == 0)
		offer_vrs(prefix, true);
	else if (strcmp(kind, "IMAGE") == 0) {
		offer_images("image", "image/", prefix);
		offer_images(EUROPA_IMAGEDIR, "", prefix);
		puts(":dir");
	} else
		offer_words(kind, prefix);
}

static void offer_options(const struct command *c, const char *prefix)
{
	char candidate[64];

	for (const struct command_option *o = c->options; o->name; o++) {
		snprintf(candidate, sizeof candidate, "--%s", o->name);
		offer(candidate, prefix);
	}
	offer("--help", prefix);
	offer("--version", prefix);
}

/* The option that a word spells, "--switch" or "-s" or the beginning of "--switch=us"; NULL: none that takes a value. */
static const struct command_option *find_option(const struct command *c, const char *word)
{
	size_t length = strcspn(word, "=");

	for (const struct command_option *o = c->options; o->name; o++) {
		bool is_long = length == strlen(o->name) + 2 && strncmp(word, "--", 2) == 0 && strncmp(word + 2, o->name, length - 2) == 0;
		bool is_short = length == 2 && word[0] == '-' && word[1] == o->key;

		if (o->value && (is_long || is_short))
			return o;
	}
	return NULL;
}

/* "--switch=us": the shell wants what comes behind the =. */
static void offer_value(const struct command *c, const char *prefix)
{
	const struct command_option *o = find_option(c, prefix);

	if (o)
		offer_kind(o->complete, strchr(prefix, '=') + 1);
}

/* Where the words before the cursor leave us: at an option's value, among the options, or among the program's own words. */
static void complete_word(const struct command *c, int argc, char **argv, const char *prefix)
{
	struct arguments a = ARGUMENTS(argc, argv, c->options);
	const struct command_option *o = NULL;
	struct error e = { 0 };
	int key, operands = 0;

	a.operands_last = c->operands_last;
	while ((key = arguments_next(&a, &e)) > 0)
		operands += key == ARGUMENT_OPERAND;
	/* The parser's complaint at the end of the words is that the last option has no value yet. */
	if (e.code && a.at >= argc)
		o = find_option(c, a.spelled);
	if (o)
		offer_kind(o->complete, prefix);
	else if (!a.only_operands && starts_with(prefix, "--") && strchr(prefix, '='))
		offer_value(c, prefix);
	else if (c->operands_last && operands)
		puts(":file");
	else if (prefix[0] == '-' && !a.only_operands)
		offer_options(c, prefix);
	else
		offer_kind(c->complete, prefix);
}

static void offer_commands(const struct command *commands, size_t n, const char *prefix)
{
	for (size_t i = 0; i < n; i++)
		offer(commands[i].name, prefix);
}

static bool asks_for_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int complete(const struct command *commands, size_t n, int argc, char **argv)
{
	const char *called, *slash;
	uint64_t index;
	int first = 2;             /* argv[2] is the command line's first word */

	if (argc < 3 || !quantity_number(argv[1], 1, (uint64_t)argc, &index) || (int)index + first > argc)
		return EXIT_FAILURE;
	slash = strrchr(argv[first], '/');
	called = slash ? slash + 1 : argv[first];
	if (strcmp(called, "europa") == 0) {
		const char *prefix = (int)index + first < argc ? argv[first + index] : "";

		if (index == 1) {
			offer_commands(commands, n, prefix);
			offer("help", prefix);
			offer("--help", prefix);
			offer("--version", prefix);
			return EXIT_SUCCESS;
		}
		if (index == 2 && asks_for_help(argv[first + 1])) {
			offer_commands(commands, n, prefix);
			return EXIT_SUCCESS;
		}
		first++;
		index--;
		called = argv[first];
	} else if (starts_with(called, "europa-"))
		called += 7;
	for (size_t i = 0; i < n; i++)
		if (strcmp(commands[i].name, called) == 0)
			complete_word(&commands[i], (int)index, argv + first,
				      (int)index + first < argc ? argv[first + index] : "");
	return EXIT_SUCCESS;
}

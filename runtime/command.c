/* SPDX-License-Identifier: MIT */
#include "runtime/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/error.h"
#include "runtime/quantity.h"

static const struct command_option *find_long(const struct arguments *a, const char *name, size_t length)
{
	for (const struct command_option *o = a->options; o->name; o++)
		if (strlen(o->name) == length && memcmp(o->name, name, length) == 0)
			return o;
	return NULL;
}

static const struct command_option *find_short(const struct arguments *a, char letter)
{
	for (const struct command_option *o = a->options; o->name; o++)
		if (o->key == letter)
			return o;
	return NULL;
}

static int unknown_option(const struct arguments *a, struct error *e, const char *word)
{
	char quoted[100];

	return refuse(e, "unknown option \"%s\": --help lists them", quantity_quote(quoted, sizeof quoted, word));
}

/* "[SECONDS]": --watch, --watch=2 and --watch 2 are all right, and a next word that is no number belongs to somebody else. */
static bool is_optional(const struct command_option *o)
{
	return o->value[0] == '[' && o->value[strlen(o->value) - 1] == ']';
}

/* The option's value is the rest of its own word, or else the next word. */
static int take_value(struct arguments *a, struct error *e, const struct command_option *o, const char *rest)
{
	bool optional = is_optional(o);

	a->value = rest;
	if (!a->value && a->at < a->argc && (!optional || (a->argv[a->at][0] >= '0' && a->argv[a->at][0] <= '9')))
		a->value = a->argv[a->at++];
	if (!a->value && !optional)
		return refuse(e, "%s: expected %s after it", a->spelled, o->value);
	return o->key;
}

static int next_long(struct arguments *a, struct error *e, const char *word)
{
	const char *name = word + 2, *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);
	const struct command_option *o = find_long(a, name, length);

	if (!o && strcmp(name, "help") == 0)
		return ARGUMENT_HELP;
	if (!o && strcmp(name, "version") == 0)
		return ARGUMENT_VERSION;
	if (!o)
		return unknown_option(a, e, word);
	snprintf(a->spelled, sizeof a->spelled, "--%s", o->name);
	if (o->value)
		return take_value(a, e, o, equals ? equals + 1 : NULL);
	if (equals)
		return refuse(e, "%s: takes no value", a->spelled);
	return o->key;
}

static int next_short(struct arguments *a, struct error *e)
{
	char letter = a->cluster[0], word[3] = { '-', letter, 0 };
	const struct command_option *o = find_short(a, letter);
	const char *rest = a->cluster[1] ? a->cluster + 1 : NULL;

	a->cluster = rest;
	if (!o && letter == 'h')
		return ARGUMENT_HELP;
	if (!o)
		return unknown_option(a, e, word);
	snprintf(a->spelled, sizeof a->spelled, "%s", word);
	if (!o->value)
		return o->key;
	a->cluster = NULL;
	return take_value(a, e, o, rest);
}

int arguments_next(struct arguments *a, struct error *e)
{
	const char *word;

	if (a->cluster)
		return next_short(a, e);
	if (a->at >= a->argc)
		return ARGUMENT_END;
	word = a->argv[a->at++];
	if (!a->only_operands && strcmp(word, "--") == 0) {
		a->only_operands = true;
		return arguments_next(a, e);
	}
	if (a->only_operands || word[0] != '-' || !word[1]) {
		a->only_operands |= a->operands_last;
		a->value = word;
		return ARGUMENT_OPERAND;
	}
	if (word[1] == '-')
		return next_long(a, e, word);
	a->cluster = word + 1;
	return next_short(a, e);
}

int arguments_expected(const struct arguments *a, struct error *e, const char *what)
{
	char quoted[200];

	return refuse(e, "%s \"%s\": expected %s", a->spelled, quantity_quote(quoted, sizeof quoted, a->value), what);
}

int arguments_unexpected(const struct arguments *a, struct error *e)
{
	char quoted[200];

	return refuse(e, "unexpected argument \"%s\": --help shows what is understood",
		      quantity_quote(quoted, sizeof quoted, a->value));
}

static void option_usage(const struct command_option *o, FILE *to)
{
	char left[60];
	bool has_letter = o->key < OPTION_LONG;

	snprintf(left, sizeof left, "  %c%c%s --%s%s%s", has_letter ? '-' : ' ', has_letter ? o->key : ' ',
		 has_letter ? "," : " ", o->name, o->value ? " " : "", o->value ? o->value : "");
	if (strlen(left) < 28)
		fprintf(to, "%-28s %s\n", left, o->help);
	else
		fprintf(to, "%s\n%-28s %s\n", left, "", o->help);
}

void command_usage(const struct command *c, FILE *to)
{
	fprintf(to, "usage: europa-%s %s\n\n%s\n\noptions:\n", c->name, c->operands, c->summary);
	for (const struct command_option *o = c->options; o->name; o++)
		if (o->help)
			option_usage(o, to);
	fprintf(to, "  -h, --help                 this text\n      --version              the version\n\nexamples:\n");
	for (const char *line = c->examples; *line; ) {
		size_t length = strcspn(line, "\n");

		fprintf(to, "  %.*s\n", (int)length, line);
		line += length + (line[length] == '\n');
	}
	fprintf(to, "\nMore: man europa-%s\n", c->name);
}

int command_flush(void)
{
	static int first;

	/* stdio drops what it couldn't write, and the next time there is nothing that could fail. */
	if (fflush(stdout) && !first)
		first = errno;
	else if (ferror(stdout) && !first)
		first = EIO;
	return first == EPIPE ? 0 : first;
}

int command_failed(const char *name, const struct error *e, int status)
{
	fprintf(stderr, "europa-%s: %s\n", name, e->text);
	return status;
}

/* SPDX-License-Identifier: MIT */
/* The europa binary: `europa NAME ...` and, by a link of that name, `europa-NAME ...`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/command.h"
#include "runtime/completion.h"
#include "runtime/error.h"
#include "runtime/quantity.h"

static const struct command commands[] = {
	{ .name = "run", .main = cmd_run, .options = run_options, .operands_last = true, .complete = "IMAGE",
	  .operands = "[OPTION...] IMAGE [--] [ARG...]",
	  .summary = "Makes a virtual router from an image and runs its data plane; arguments after IMAGE go to it.",
	  .examples = "europa-run --cpu 25% --vnics 2 image/ipfwd\n"
		      "europa-run -d --name left --link '0=eth1,vlan 5' --config routes image/ipfwd -- -v\n"
		      "europa-run --rm --link 0=generator --link 1=none --vnics 2 image/nullfwd" },
	{ .name = "ps", .main = cmd_ps, .options = ps_options,
	  .operands = "[OPTION...]",
	  .summary = "Lists the virtual routers that run, or all of them.",
	  .examples = "europa-ps\neuropa-ps -a --format json" },
	{ .name = "kill", .main = cmd_kill, .options = kill_options, .complete = "ANYVR",
	  .operands = "[OPTION...] NAME...",
	  .summary = "Ends virtual routers: TERM, and after a grace KILL; nothing of them is left when it returns.",
	  .examples = "europa-kill ipfwd-1\neuropa-kill --time 0 --all\neuropa-kill -s HUP ipfwd-1" },
	{ .name = "stat", .main = cmd_stat, .options = stat_options, .complete = "VR",
	  .operands = "[OPTION...] [NAME...]",
	  .summary = "Shows what virtual routers do: packets, drops by cause, pool, rings, CPU against the quota.",
	  .examples = "europa-stat ipfwd-1\neuropa-stat --watch 2 ipfwd-1\neuropa-stat --format json" },
	{ .name = "exec", .main = cmd_exec, .options = exec_options, .operands_last = true, .complete = "VR",
	  .operands = "[OPTION...] NAME [--] COMMAND [ARG...]",
	  .summary = "Runs a command inside a virtual router.",
	  .examples = "europa-exec ipfwd-1 /bin/ipfwd --version" },
	{ .name = "logs", .main = cmd_logs, .options = logs_options, .complete = "ANYVR",
	  .operands = "[OPTION...] NAME",
	  .summary = "Shows what the data plane of a detached virtual router has printed.",
	  .examples = "europa-logs ipfwd-1\neuropa-logs -f --tail 20 ipfwd-1" },
	{ .name = "update", .main = cmd_update, .options = update_options, .complete = "VR",
	  .operands = "OPTION... NAME",
	  .summary = "Changes the limits of a virtual router that runs; all of them, or none.",
	  .examples = "europa-update --cpu 50% ipfwd-1\neuropa-update --memory unlimited --pids 100 ipfwd-1" },
	{ .name = "inspect", .main = cmd_inspect, .options = inspect_options, .complete = "ANYVR",
	  .operands = "NAME...",
	  .summary = "Prints everything that is known about virtual routers as one JSON array.",
	  .examples = "europa-inspect ipfwd-1\neuropa-inspect ipfwd-1 | jq -r '.[0].state.vnics[].device'" },
	{ .name = "checkpoint", .main = cmd_checkpoint, .options = checkpoint_options, .complete = "VR",
	  .operands = "[OPTION...] NAME DIR",
	  .summary = "Saves a virtual router that runs, with its packets in flight, to a new directory.",
	  .examples = "europa-checkpoint ipfwd-1 saved\neuropa-checkpoint --leave-running --format json ipfwd-1 saved" },
	{ .name = "restore", .main = cmd_restore, .options = restore_options, .complete = "DIR",
	  .operands = "[OPTION...] DIR",
	  .summary = "Makes a virtual router go on from a checkpoint, here or on another host.",
	  .examples = "europa-restore -d saved\neuropa-restore -d --name copy --no-network saved\neuropa-restore --check saved" },
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void usage(FILE *to)
{
	fprintf(to, "usage: europa COMMAND [OPTION...] [ARG...]\n\n"
		    "Virtual routers whose data planes are ordinary programs.\n\ncommands:\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fprintf(to, "\n`europa-COMMAND` is the same as `europa COMMAND`. europa COMMAND --help says more.\n");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* --help and --version work anywhere among a command's own options, and even where others of them are wrong. */
static int asked_for(const struct command *c, int argc, char **argv)
{
	struct arguments a = ARGUMENTS(argc, argv, c->options);
	struct error ignored = { 0 };
	int key;

	a.operands_last = c->operands_last;
	while ((key = arguments_next(&a, &ignored)) != ARGUMENT_END) {
		if (key == ARGUMENT_HELP || key == ARGUMENT_VERSION)
			return key;
		if (key == ARGUMENT_OPERAND && c->operands_last)
			break;
	}
	return 0;
}

static int print_version(const char *name)
{
	printf("%s %s\n", name, EUROPA_VERSION);
	return EXIT_SUCCESS;
}

static int run_command(const struct command *c, int argc, char **argv)
{
	char name[32];

	snprintf(name, sizeof name, "europa-%s", c->name);
	switch (asked_for(c, argc, argv)) {
	case ARGUMENT_HELP:
		command_usage(c, stdout);
		return EXIT_SUCCESS;
	case ARGUMENT_VERSION:
		return print_version(name);
	}
	return c->main(argc, argv);
}

static int unknown_command(const char *word)
{
	char quoted[100];

	fprintf(stderr, "europa: unknown command \"%s\": expected one of", quantity_quote(quoted, sizeof quoted, word));
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(stderr, "%s %s", i ? "," : "", commands[i].name);
	fputc('\n', stderr);
	return EXIT_FAILURE;
}

/* argv[0] was "europa": the command is the first argument. */
static int run_subcommand(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		c = argc > 2 ? find_command(argv[2]) : NULL;
		if (argc > 2 && !c)
			return unknown_command(argv[2]);
		if (c)
			command_usage(c, stdout);
		else
			usage(stdout);
		return EXIT_SUCCESS;
	}
	if (strcmp(argv[1], "--version") == 0)
		return print_version("europa");
	if (strcmp(argv[1], COMPLETION_COMMAND) == 0)
		return complete(commands, COMMANDS, argc - 1, argv + 1);
	c = find_command(argv[1]);
	return c ? run_command(c, argc - 1, argv + 1) : unknown_command(argv[1]);
}

/* A script must not take half of the output for all of it. */
static int check_output(const char *called, int status)
{
	int error = command_flush();

	if (status || !error)
		return status;
	fprintf(stderr, "%s: cannot write to standard output: %s\n", called, strerror(error));
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *called = slash ? slash + 1 : argc ? argv[0] : "europa";
	const struct command *c = NULL;
	int status;

	if (strncmp(called, "europa-", 7) == 0)
		c = find_command(called + 7);
	status = c ? run_command(c, argc, argv) : run_subcommand(argc, argv);
	return check_output(called, status);
}

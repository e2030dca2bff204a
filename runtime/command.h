/* SPDX-License-Identifier: MIT */
/*
 * A command, as the one table in europa.c describes it. Dispatch, --help, bash completion and the test of the man pages
 * all read the same rows, so that none of them can be stale.
 */
#ifndef EUROPA_COMMAND_H
#define EUROPA_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

struct error;

struct command_option {
	int key;                   /* the short option's letter, or a number from OPTION_LONG on where there is none */
	const char *name;          /* long name without dashes */
	const char *value;         /* what it takes, in capitals; "[WHAT]": may be left out; NULL: nothing */
	const char *help;          /* one line; NULL: another spelling of the row above, not shown by --help */
	const char *complete;      /* "FILE", "DIR", "VR" (running), "ANYVR", "IMAGE", or the words themselves; NULL: nothing */
};
#define OPTION_LONG 256
#define OPTIONS_END { 0, NULL, NULL, NULL, NULL }

struct command {
	const char *name;          /* "run": both `europa run` and `europa-run` */
	const char *operands;
	const char *summary;
	int (*main)(int argc, char **argv);
	const struct command_option *options;
	bool operands_last;        /* the first operand ends the options: what follows belongs to a program in the VR */
	const char *complete;      /* operands, as command_option.complete */
	const char *examples;      /* one a line */
};

extern const struct command_option run_options[], ps_options[], kill_options[], stat_options[], exec_options[],
	logs_options[], update_options[], inspect_options[], checkpoint_options[], restore_options[];

int cmd_run(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_update(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_checkpoint(int argc, char **argv);
int cmd_restore(int argc, char **argv);

/*
 * Walks a command line: `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE`, `-abc`, and `--`, after which all is operands.
 *
 *	struct arguments a = ARGUMENTS(argc, argv, ps_options);
 *	while ((key = arguments_next(&a, e)) > 0)
 *		...
 */
struct arguments {
	int argc;
	char **argv;
	const struct command_option *options;
	bool operands_last;

	int at;                    /* argv[at] is what comes next; after the end: the rest */
	const char *cluster;       /* what is left of -abc */
	bool only_operands;        /* -- was seen */
	char spelled[40];          /* the option as the user wrote it, "--cpu" */
	const char *value;         /* of the option, or the operand */
};
#define ARGUMENTS(argc_, argv_, options_) \
	{ .argc = (argc_), .argv = (argv_), .options = (options_), .at = 1 }

enum {
	ARGUMENT_END,              /* 0 */
	ARGUMENT_OPERAND,
	ARGUMENT_HELP,             /* --help, -h */
	ARGUMENT_VERSION,
};                                 /* all other results are keys; negative: error */

int arguments_next(struct arguments *a, struct error *e);
/* "--cpu "abc": expected WHAT", about the value that arguments_next found. Returns -EINVAL. */
int arguments_expected(const struct arguments *a, struct error *e, const char *what);
/* An operand where there should be none. Returns -EINVAL. */
int arguments_unexpected(const struct arguments *a, struct error *e);

void command_usage(const struct command *c, FILE *to);

/* Why something that was printed could not be written, an errno, or 0. A reader that has gone has what it wanted. */
int command_flush(void);

/* Prints "europa-NAME: TEXT" on stderr and returns `status`, the command's exit status. */
int command_failed(const char *name, const struct error *e, int status);
#define EXIT_OWN_ERROR 125         /* run and exec, whose other exit statuses are the program's own */

#endif

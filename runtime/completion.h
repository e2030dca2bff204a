/* SPDX-License-Identifier: MIT */
/*
 * What could stand where the cursor is, for the shell: `europa __complete INDEX WORD...`, where WORD... is the command line
 * (the first word is europa or europa-NAME) and INDEX is the number of the word to complete. One candidate a line;
 * ":file" and ":dir" ask the shell to add files or directories.
 */
#ifndef EUROPA_COMPLETION_H
#define EUROPA_COMPLETION_H

#include <stddef.h>

#include "runtime/command.h"

#define COMPLETION_COMMAND "__complete"

int complete(const struct command *commands, size_t n, int argc, char **argv);

#endif

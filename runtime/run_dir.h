/* SPDX-License-Identifier: MIT */
/* The run directory, /run/europa or $EUROPA_RUN_DIR: the commands and europad ask the same of it. */
#ifndef EUROPA_RUN_DIR_H
#define EUROPA_RUN_DIR_H

struct error;

/* What was chosen; not looked at. */
const char *run_dir_chosen(void);
/* Makes it (0700) where it isn't there. Refused is what somebody else owns, or may look into. */
int run_dir_make(const char *path, struct error *e);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef EUROPA_INIT_PRIVILEGE_H
#define EUROPA_INIT_PRIVILEGE_H

#include "runtime/handshake.h"

struct error;

/* Gives up all that the program isn't to have, in the one order in which each step still may. */
int privilege_drop(const struct init_plan *plan, struct error *e);

#endif

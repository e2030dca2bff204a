/* SPDX-License-Identifier: MIT */
/* Rules (core/rule.h) with their filters, by libpcap. */
#ifndef EUROPA_ENGINE_RULES_H
#define EUROPA_ENGINE_RULES_H

#include "core/rule.h"

struct error;

/*
 * kind and what goes with it into *rule; target and mac are the caller's. rule_release gives back what a filter
 * holds.
 */
int rule_parse(const char *text, struct rule *rule, struct error *e);
void rule_release(struct rule *rule);

/* For classifier_init: `whole` is a u32, the length of all of the frame. */
bool rule_run_filter(const void *filter, const u8 *frame, u32 len, const void *whole);

#endif

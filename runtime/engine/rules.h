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

/* Before filters are run on a frame: its length, of which they may be given the beginning. One thread. */
void rule_look_at(u32 len);
/* For classifier_init. */
bool rule_run_filter(const void *filter, const u8 *frame, u32 len);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Rules (core/rule.h). A filter is compiled by the supervisor, which hands the instructions over beside the text. */
#ifndef EUROPA_RULES_H
#define EUROPA_RULES_H

#include "core/rule.h"

struct europa_attach;
struct report;

/*
 * The rule that `attach` has, its program loaded where it is a filter; target and mac are the caller's. Reads the caller's memory and has the
 * program compiled: not under RTNL, where all of the host would wait for that.
 */
int rule_make(struct rule *rule, const struct europa_attach *attach, struct report *report);
/* When nobody can be running the program any more. */
void rule_release(struct rule *rule);

/* For classifier_init: what it looks at is the sk_buff. Softirqs off. */
bool rule_run_filter(const void *filter, const u8 *frame, u32 len, const void *skb);

#endif

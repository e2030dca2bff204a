/* SPDX-License-Identifier: GPL-2.0 */
/* Rules (core/rule.h). A filter is compiled by the supervisor, which hands the instructions over beside the text. */
#ifndef EUROPA_RULES_H
#define EUROPA_RULES_H

#include "core/rule.h"

struct europa_attach;
struct report;
struct sk_buff;

/* kind and what goes with it into *rule; target and mac are the caller's. */
int rule_parse(const char *text, struct rule *rule, struct report *report);

/* The program of a rule of kind RULE_FILTER, and its end: when nobody can be running it any more. */
int rule_load_filter(struct rule *rule, const struct europa_attach *attach, struct report *report);
void rule_release(struct rule *rule);

/* For classifier_init: what it looks at is the sk_buff that rule_look_at has named on this CPU. Softirqs off. */
bool rule_run_filter(const void *filter, const u8 *frame, u32 len);
void rule_look_at(struct sk_buff *skb);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The text of a rule that says which frames of a shared NIC are a vNIC's:
 *
 *	mac                   those for its MAC address (also where there is no rule)
 *	vlan ID               1..4094
 *	ethertype TYPE        0x0600..0xffff
 *	ip ADDRESS[/LENGTH]   by destination, IPv4 or IPv6
 *	udp PORT              by destination, 1..65535
 *	vxlan VNI             0..16777215
 *	filter EXPRESSION     whatever tcpdump takes. Compiled by the supervisor, which hands over the instructions beside the text
 */
#ifndef EUROPA_RULES_H
#define EUROPA_RULES_H

#include "core/classify.h"

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

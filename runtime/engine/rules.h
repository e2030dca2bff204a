/* SPDX-License-Identifier: MIT */
/*
 * The text of a rule that says which frames of a shared NIC are a vNIC's:
 *
 *	mac                   those for its MAC address (also where there is no rule)
 *	vlan ID               1..4094
 *	ethertype TYPE        0x0600..0xffff
 *	ip ADDRESS[/LENGTH]   by destination, IPv4 or IPv6
 *	udp PORT              by destination, 1..65535
 *	vxlan VNI             0..16777215
 *	filter EXPRESSION     whatever tcpdump takes
 */
#ifndef EUROPA_ENGINE_RULES_H
#define EUROPA_ENGINE_RULES_H

#include "core/classify.h"

struct error;

/*
 * kind and what goes with it into *rule; target and mac are the caller's. rule_release gives back what a filter
 * holds.
 */
int rule_parse(const char *text, struct rule *rule, struct error *e);
void rule_release(struct rule *rule);

/* For classifier_init. */
bool rule_run_filter(const void *filter, const u8 *frame, u32 len);

#endif

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
 *
 * tcpdump expressions (`filter`) are compiled by libpcap, which the kernel hasn't got: -EOPNOTSUPP.
 */
#ifndef EUROPA_RULES_H
#define EUROPA_RULES_H

#include "core/classify.h"

struct report;

/* kind and what goes with it into *rule; target and mac are the caller's. */
int rule_parse(const char *text, struct rule *rule, struct report *report);

#endif

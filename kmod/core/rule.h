/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The text of a rule that says which frames of a shared NIC are a vNIC's:
 *
 *	mac                   those for its MAC address (also where there is no rule)
 *	vlan ID               1..4094
 *	ethertype TYPE        0x0600..0xffff
 *	ip ADDRESS[/LENGTH]   by destination, IPv4 or IPv6
 *	udp PORT              by destination, 1..65535
 *	vxlan VNI             0..16777215
 *	filter EXPRESSION     whatever tcpdump takes; compiled by others
 */
#ifndef EUROPA_CORE_RULE_H
#define EUROPA_CORE_RULE_H

#include "core/classify.h"
#include "core/text.h"

/* What is wrong: `word` IS. */
struct rule_fault {
	struct text word;               /* of the text; at NULL: it is the whole */
	const char *is;                 /* NULL: the address goes on behind its prefix; the rule is what would be right */
};

/* The family of an address, 4 or 6; 0: it is none. */
typedef u8 (*rule_address_fn)(struct text text, u8 address[16]);

/* kind and what goes with it into *rule, which is else all zero. A filter's expression is *expression. 0 or -EINVAL. */
int rule_read(const char *text, rule_address_fn address, struct rule *rule, const char **expression, struct rule_fault *fault);

#endif

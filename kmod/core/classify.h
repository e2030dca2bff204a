/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The classifier of a shared NIC: which vNICs get a frame. Exact matches are hashed, one look-up a kind of rule
 * that is in use, so that the cost doesn't grow with the number of VRs; then filters (tcpdump expressions) in the
 * order in which they were added. The first that matches wins, in this order:
 *
 *	vxlan VNI, udp PORT (destination), ip PREFIX (destination, longest first), ethertype TYPE, vlan ID, filters, mac
 *
 * Every vNIC of a shared NIC is also found by its own MAC address, whatever its rule: ARP and ND answers come that
 * way. Group addresses go to all vNICs of the NIC whose rule is `mac`, or whose rule matches; ARP requests and ND
 * to all.
 */
#ifndef EUROPA_CORE_CLASSIFY_H
#define EUROPA_CORE_CLASSIFY_H

#include "core/env.h"

#define CLASSIFY_MAX_TARGETS 256        /* vNICs on one shared NIC */

enum rule_kind { RULE_MAC, RULE_VLAN, RULE_ETHERTYPE, RULE_IP, RULE_UDP, RULE_VXLAN, RULE_FILTER };

struct rule {
	enum rule_kind kind;
	u16 target;                     /* what classify() reports: the caller's number, < CLASSIFY_MAX_TARGETS */
	u8 mac[6];                      /* the vNIC's own address, for every kind */
	u16 number;                     /* vlan id, ethertype, UDP port */
	u32 vni;
	u8 family, prefix_len;          /* RULE_IP: 4 or 6 */
	u8 address[16];
	const void *filter;             /* RULE_FILTER: the caller's program, given back to run_filter */
};

struct classifier;

/* whole: as classify() was given it. */
typedef bool (*run_filter_fn)(const void *filter, const u8 *frame, u32 len, const void *whole);

size_t classifier_memory(void);         /* bytes for classifier_init's `memory` */
struct classifier *classifier_init(void *memory, run_filter_fn run_filter);
/*
 * A target may have several rules. -EEXIST: the same rule, or its MAC address, is there for another target;
 * -EINVAL: no such target, kind or prefix; -ENOSPC: full.
 */
int classifier_add(struct classifier *c, const struct rule *rule);
/* All rules of a target. */
void classifier_remove(struct classifier *c, u16 target);
/* Is it the address of one of the targets? */
bool classifier_knows(const struct classifier *c, const u8 mac[6]);

/*
 * Targets of a frame, at most CLASSIFY_MAX_TARGETS, into targets[]; returns how many (0: nobody's). vlan_tci < 0:
 * the frame had no tag (a tag inside the frame is looked at as well). Reads at most `len` bytes, which may be the frame's beginning; a filter,
 * which may ask for the rest or for the length of all, has `whole` for that, the frame as the caller knows it.
 */
u32 classify(const struct classifier *c, const u8 *frame, u32 len, const void *whole, int vlan_tci, u16 *targets);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The router between two sides of a region: frames go in through the switch's core, and what leaves has passed its
 * checks. So every test here is also one of the contract: at the end no slot is missing, and nothing was ever wrong
 * with what was sent.
 *
 *	 10.0.0.2, .7 ---- vNIC 0: 10.0.0.1/24   ipfwd   vNIC 1: 10.0.1.1/24 ---- 10.0.1.2, 10.0.1.9 (gateway)
 */
#ifndef TESTS_IPFWD_BED_H
#define TESTS_IPFWD_BED_H

/* Before cmocka, which makes a macro of fail(). */
#include "images/ipfwd/config.h"

#include "images/ipfwd/checksum.h"
#include "images/ipfwd/packet.h"
#include "images/ipfwd/router.h"
#include "tests/unit/bed.h"

#define FRAME_MOST 65600
#define CAUGHT     4096

/* What left by a vNIC. */
struct caught {
	unsigned vnic;
	struct europa_slot meta;
	u8 *frame;
	u32 len;
};

struct ipfwd_bed {
	struct bed bed;
	struct router *r;
	struct caught caught[CAUGHT];
	unsigned ncaught;
	unsigned next;                   /* that ipfwd_next returns */
	u32 held[256];
	unsigned nheld;
};

/* The standard configuration: addresses as drawn, static neighbours for all hosts there. */
extern const char ipfwd_standard[];
/* The same without the neighbours: they have to be asked. */
extern const char ipfwd_unknown[];

struct ipfwd_bed *ipfwd_open(unsigned slots, const char *config);
/* Lets an hour pass, so that nothing waits any more, checks that all is whole, and frees. */
void ipfwd_close(struct ipfwd_bed *b);

/* One frame in at a vNIC, one turn of the router, and all that left is caught. meta may be NULL. */
void ipfwd_in(struct ipfwd_bed *b, unsigned vnic, const u8 *frame, u32 len, const struct europa_slot *meta);
/* Puts a frame into the rx ring only. */
void ipfwd_put(struct ipfwd_bed *b, unsigned vnic, const u8 *frame, u32 len, const struct europa_slot *meta);
void ipfwd_turn(struct ipfwd_bed *b);
/* Time passes. */
void ipfwd_later(struct ipfwd_bed *b, u64 ms);
void ipfwd_mtu(struct ipfwd_bed *b, unsigned vnic, u16 mtu);

/* From now on europa_alloc gives nothing, until they are given back. Returns how many were there. */
unsigned ipfwd_hold_slots(struct ipfwd_bed *b);
void ipfwd_give_slots_back(struct ipfwd_bed *b);

/* The next one caught, or NULL. */
struct caught *ipfwd_next(struct ipfwd_bed *b);
/* The next one, which must be there and have left by this vNIC. */
struct caught *ipfwd_expect(struct ipfwd_bed *b, unsigned vnic);
void ipfwd_expect_nothing(struct ipfwd_bed *b);

#define COUNTED(b, id) ((b)->r->count[COUNT_##id])

/* ---- frames ---- */

void mac_of_vnic(u8 *mac, unsigned vnic);        /* the router's */
void mac_of_host(u8 *mac, u32 address);          /* 02:aa and the address */

/* What a packet is made of; what is zero gets the usual: from 10.0.0.2 to 10.0.1.2, UDP, TTL 64, DF clear. */
struct packet_form {
	u32 src, dst;
	u8 ttl, protocol, tos;
	u16 fragment, id;
	u32 payload;                     /* bytes, transport header included */
	const u8 *options;
	unsigned noptions;               /* a multiple of 4 */
};

/* Writes a frame for the router's vNIC 0. Payload byte i is i * 7 but for the transport header. Returns its length. */
u32 make_packet(u8 *frame, const struct packet_form *form);
/* The header's checksum anew, after the test changed it. */
void repair_checksum(u8 *frame);
/* An ICMP message as payload, checksum included. */
u32 make_icmp(u8 *frame, const struct packet_form *form, u8 type, u8 code, u32 rest, u32 data);
u32 make_arp(u8 *frame, unsigned vnic, u16 operation, u32 sender, u32 target);
void assert_ipv4_sound(const u8 *frame, u32 len);

#define IP(a, b, c, d) ((u32)(a) << 24 | (u32)(b) << 16 | (u32)(c) << 8 | (u32)(d))

#endif

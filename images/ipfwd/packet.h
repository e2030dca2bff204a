/* SPDX-License-Identifier: MIT */
/*
 * Frames as they are on the wire: Ethernet, ARP, IPv4, ICMP. The fields of the structures are in network byte
 * order; every address in a variable is in host byte order. Headers lie at any alignment, hence packed.
 */
#ifndef IPFWD_PACKET_H
#define IPFWD_PACKET_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include <linux/europa.h>
#include "core/env.h"

#define PACKED __attribute__((packed))

#define ETHERNET_BYTES     14
#define ETHERNET_LONGEST   1514           /* what fits any Ethernet: header and 1500 bytes */
#define TYPE_IPV4          0x0800
#define TYPE_ARP           0x0806

struct ethernet {
	u8 dst[6], src[6];
	u16 type;
} PACKED;

struct arp {
	u16 hardware, protocol;
	u8 hardware_bytes, protocol_bytes;
	u16 operation;
	u8 sender_mac[6];
	u32 sender;
	u8 target_mac[6];
	u32 target;
} PACKED;

#define ARP_REQUEST        1
#define ARP_REPLY          2

struct ipv4 {
	u8 version_words;                 /* 4 << 4 | header words */
	u8 tos;
	u16 total;                        /* bytes, this header included */
	u16 id;
	u16 fragment;                     /* flags, and offset in units of 8 bytes */
	u8 ttl, protocol;
	u16 checksum;
	u32 src, dst;
} PACKED;

#define IPV4_BYTES         20
#define IPV4_LONGEST       60             /* header with options */
#define IPV4_DF            0x4000
#define IPV4_MF            0x2000
#define IPV4_OFFSET        0x1fff

#define PROTOCOL_ICMP      1
#define PROTOCOL_TCP       6
#define PROTOCOL_UDP       17

struct icmp {
	u8 type, code;
	u16 checksum;
	u32 rest;                         /* identifier and sequence, gateway, pointer, or next-hop MTU */
} PACKED;

#define ICMP_BYTES         8
#define ICMP_ECHO_REPLY    0
#define ICMP_UNREACHABLE   3
#define ICMP_REDIRECT      5
#define ICMP_ECHO          8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_BAD_PARAMETER 12

#define UNREACHABLE_NET        0
#define UNREACHABLE_HOST       1
#define UNREACHABLE_PROTOCOL   2
#define UNREACHABLE_PORT       3
#define UNREACHABLE_TOO_BIG    4
#define UNREACHABLE_PROHIBITED 13

_Static_assert(sizeof(struct ethernet) == ETHERNET_BYTES, "ethernet");
_Static_assert(sizeof(struct arp) == 28, "arp");
_Static_assert(sizeof(struct ipv4) == IPV4_BYTES, "ipv4");
_Static_assert(sizeof(struct icmp) == ICMP_BYTES, "icmp");

#define LIMITED_BROADCAST  0xffffffffu

static inline struct ipv4 *ipv4_of(u8 *frame)
{
	return (struct ipv4 *)(frame + ETHERNET_BYTES);
}

static inline unsigned ipv4_header_bytes(const struct ipv4 *ip)
{
	return (ip->version_words & 15) * 4u;
}

static inline bool is_link_local(u32 address)
{
	return address >> 16 == 0xa9fe;
}

static inline u32 prefix_mask(unsigned length)
{
	return length ? ~0u << (32 - length) : 0;
}

/* A MAC address as a number, to compare and store in one go. */
static inline u64 mac_number(const u8 *mac)
{
	u64 number = 0;

	memcpy(&number, mac, 6);
	return number;
}

static inline bool is_group_mac(const u8 *mac)
{
	return mac[0] & 1;
}

#endif

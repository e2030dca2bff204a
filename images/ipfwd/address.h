/* SPDX-License-Identifier: MIT */
/*
 * Addresses and prefixes of any family. An IPv4 address lies in word[0] in host byte order, and the other words are
 * zero.
 */
#ifndef IPFWD_ADDRESS_H
#define IPFWD_ADDRESS_H

#include <stdbool.h>
#include <string.h>

#include "core/env.h"

enum family { FAMILY_NONE = 0, FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

struct address {
	u32 word[4];
};

struct prefix {
	struct address address;
	u8 family;
	u8 length;
};

static inline struct address address_ipv4(u32 v4)
{
	return (struct address){ .word = { v4 } };
}

static inline struct prefix prefix_ipv4(u32 v4, unsigned length)
{
	return (struct prefix){ .address = address_ipv4(v4), .family = FAMILY_IPV4, .length = length };
}

static inline bool address_equal(const struct address *a, const struct address *b)
{
	return !((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) | (a->word[2] ^ b->word[2]) | (a->word[3] ^ b->word[3]));
}

static inline u32 address_hash(const struct address *a, unsigned port)
{
	u64 h = ((u64)(a->word[0] ^ a->word[2]) << 32 | (a->word[1] ^ a->word[3])) + port;

	h *= 0x9e3779b97f4a7c15ull;
	return (u32)(h >> 40);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The Internet checksum (RFC 1071) and its update where the TTL goes down (RFC 1624). Sums are kept in memory
 * order: the checksum of bytes is the same whichever way the machine numbers them, so nothing is swapped.
 */
#ifndef IPFWD_CHECKSUM_H
#define IPFWD_CHECKSUM_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "core/env.h"

static inline u16 checksum_fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

/* One's complement sum of n bytes on top of `sum`; an odd last byte is followed by a zero. */
static inline u64 checksum_add(u64 sum, const void *data, size_t n)
{
	const u8 *p = data;
	u32 word = 0;

	/* A header without options has 5 words: all of them in a row, where n is a constant. */
#pragma GCC unroll 5
	for (; n >= 4; n -= 4, p += 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (n) {
		word = 0;
		memcpy(&word, p, n);
		sum += word;
	}
	return sum;
}

/* What belongs into a checksum field that was zero while summed. */
static inline u16 checksum_of(const void *data, size_t n)
{
	return (u16)~checksum_fold(checksum_add(0, data, n));
}

/* Data that includes its own checksum field sums to all ones where nothing was damaged. */
static inline bool checksum_holds(const void *data, size_t n)
{
	return checksum_fold(checksum_add(0, data, n)) == 0xffff;
}

/*
 * RFC 1624, equation 3: the checksum of data in which one 16-bit word changed, both in memory order. Not for data
 * of zeros.
 */
static inline u16 checksum_update(u16 checksum, u16 before, u16 after)
{
	u32 sum = (u16)~checksum + (u32)(u16)~before + after;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}

/*
 * The checksum of an IPv4 header whose TTL goes down by one: the same for the word that has the TTL in its upper
 * byte. It becomes 0x0100 less, so the checksum becomes 0x0100 more, with the carry brought round. A header is
 * never all zeros, so this can't meet the two zeros of one's complement.
 */
static inline u16 checksum_ttl_less(u16 checksum)
{
	u32 sum = (u32)checksum + htons(0x0100);

	return (u16)(sum + (sum >= 0xffff));
}

#endif

// SPDX-License-Identifier: GPL-2.0 OR MIT
#include "core/name.h"

#define KEPT   6u                       /* characters of a name that is cut */
#define DIGITS 5u                       /* of its hash, in their place */

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/: no secret, and the same everywhere. */
static u32 hash32(const char *text)
{
	u32 hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (u8)*text) * 16777619u;
	return hash;
}

static u64 hash64(u64 hash, const u8 *bytes, u32 n)
{
	while (n--)
		hash = (hash ^ *bytes++) * 0x100000001b3ull;
	return hash;
}

static u32 length(const char *text)
{
	u32 n = 0;

	while (text[n])
		n++;
	return n;
}

static char *put_cut(char *to, const char *vr, u32 turn)
{
	u32 hash = hash32(vr) + turn, i;

	memcpy(to, vr, KEPT);
	to += KEPT;
	for (i = DIGITS; i--; )
		*to++ = "0123456789abcdef"[hash >> 4 * i & 15];
	return to;
}

bool name_device(const char *vr, u32 vnic, u32 turn, char device[NAME_DEVICE_SIZE])
{
	u32 n = length(vr), tail = vnic < 10 ? sizeof("-v0") : sizeof("-v10");
	bool cut = n + tail > NAME_DEVICE_SIZE;
	char *to = device + n;

	if (cut)
		to = put_cut(device, vr, turn);
	else
		memcpy(device, vr, n);
	*to++ = '-';
	*to++ = 'v';
	if (vnic >= 10)
		*to++ = (char)('0' + vnic / 10 % 10);
	*to++ = (char)('0' + vnic % 10);
	*to = '\0';
	return turn == 0 || (cut && turn < 1u << 4 * DIGITS);
}

void name_address(const void *host, u32 n, const char *vr, u32 vnic, u8 first, u8 mac[6])
{
	u64 hash = hash64(0xcbf29ce484222325ull, host, n);

	hash = hash64(hash, (const u8 *)vr, length(vr));
	hash ^= hash >> 32;
	mac[0] = first;
	memcpy(mac + 1, &hash, 4);
	mac[5] = (u8)vnic;
}

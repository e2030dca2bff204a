/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "checksum.h"

#define OPTION_END              0
#define OPTION_NOP              1
#define OPTION_RECORD_ROUTE     7
#define OPTION_LOOSE_ROUTE      131
#define OPTION_STRICT_ROUTE     137
#define OPTION_COPIED           0x80

/*
 * A walk over the options. at: offset of the present one from the header's start; bytes: its length, 0: it is broken.
 */
struct walk {
	const u8 *header;
	unsigned end;
	unsigned at, bytes;
};

static struct walk walk_options(const struct ipv4 *ip)
{
	return (struct walk){ .header = (const u8 *)ip, .end = ipv4_header_bytes(ip), .at = IPV4_BYTES };
}

/* false: there are no more. */
static bool step(struct walk *w)
{
	w->at += w->bytes;
	if (w->at >= w->end || w->header[w->at] == OPTION_END)
		return false;
	if (w->header[w->at] == OPTION_NOP)
		w->bytes = 1;
	else if (w->at + 1 >= w->end || w->header[w->at + 1] < 2 || w->header[w->at + 1] > w->end - w->at)
		w->bytes = 0;
	else
		w->bytes = w->header[w->at + 1];
	return true;
}

bool options_source_route(const struct ipv4 *ip)
{
	struct walk w = walk_options(ip);

	while (step(&w) && w.bytes) {
		u8 kind = w.header[w.at];

		if (kind == OPTION_LOOSE_ROUTE || kind == OPTION_STRICT_ROUTE)
			return true;
	}
	return false;
}

/* Type, length, pointer (the first is 4), addresses. 0, or the offset of what is wrong. */
static int record_route(struct ipv4 *ip, const struct walk *w, u32 own)
{
	u8 *option = (u8 *)ip + w->at;
	u32 address = htonl(own);

	if (w->bytes < 3)
		return (int)w->at + 1;
	if (option[2] < 4)
		return (int)w->at + 2;
	if (option[2] > w->bytes)       /* full: it passes as it is */
		return 0;
	if (option[2] + 3u > w->bytes)
		return (int)w->at + 2;
	if (!own)
		return 0;
	memcpy(option + option[2] - 1, &address, 4);
	option[2] += 4;
	ip->checksum = 0;
	ip->checksum = checksum_of(ip, ipv4_header_bytes(ip));
	return 0;
}

int options_process(struct ipv4 *ip, u32 own)
{
	struct walk w = walk_options(ip);
	int wrong = 0;

	while (!wrong && step(&w)) {
		if (!w.bytes)
			return (int)w.at + 1;
		if (w.header[w.at] == OPTION_RECORD_ROUTE)
			wrong = record_route(ip, &w, own);
	}
	return wrong;
}

unsigned options_of_fragments(const struct ipv4 *ip, u8 *to)
{
	struct walk w = walk_options(ip);
	unsigned n = 0;

	while (step(&w) && w.bytes) {
		if (!(w.header[w.at] & OPTION_COPIED))
			continue;
		memcpy(to + n, w.header + w.at, w.bytes);
		n += w.bytes;
	}
	while (n % 4)
		to[n++] = OPTION_END;
	return n;
}

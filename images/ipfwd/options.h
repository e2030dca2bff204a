/* SPDX-License-Identifier: MIT */
/*
 * IPv4 options (RFC 791, 1812 5.3.13, 7126). Headers given here are complete: header length >= 20, and all of it
 * there.
 */
#ifndef IPFWD_OPTIONS_H
#define IPFWD_OPTIONS_H

#include "packet.h"

/* Is there a source route? Such packets are dropped (RFC 7126, 4.3 and 4.4). */
bool options_source_route(const struct ipv4 *ip);

/*
 * Checks the options, and writes `own` (0: don't) into a record route that has room. Others are none of a router's
 * business, and pass. Returns 0, or the offset of the first bad byte, for the sender to look at.
 */
int options_process(struct ipv4 *ip, u32 own);

/* Copies to `to` the options that every fragment must have, padded. Returns their length, a multiple of 4. */
unsigned options_of_fragments(const struct ipv4 *ip, u8 *to);

#endif

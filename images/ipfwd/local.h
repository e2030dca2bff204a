/* SPDX-License-Identifier: MIT */
#ifndef IPFWD_LOCAL_H
#define IPFWD_LOCAL_H

#include "router.h"

/* Consumes a packet for one of the router's own addresses: answers echo requests, and says what it doesn't serve. */
void local_receive(struct router *r, u32 slot);

#endif

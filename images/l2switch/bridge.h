/* SPDX-License-Identifier: MIT */
/* A learning bridge over the vNICs of a VR: one burst from one port at a time. */
#ifndef L2SWITCH_BRIDGE_H
#define L2SWITCH_BRIDGE_H

#include "images/l2switch/stations.h"
#include "shim/europa.h"

#define BRIDGE_BURST 32

/* As europa-stat shows them. */
struct bridge_counters {
	uint64_t *forwarded;       /* to the one port where the destination is */
	uint64_t *flooded;         /* to all others: group address, or station not known */
	uint64_t *filtered;        /* destination is at the port where the frame came in, or there is no other port */
	uint64_t *reserved;        /* 01:80:c2:00:00:0x ends at every bridge */
	uint64_t *tx_full;         /* the way out had no room */
	uint64_t *learned, *moved, *table_full;
};

/* What a burst sends by one port. */
struct outlet {
	uint32_t slots[BRIDGE_BURST];
	unsigned count;
};

struct bridge {
	struct europa *eu;
	struct stations stations;
	struct bridge_counters counters;
	uint32_t ports;            /* bit n: vNIC n */
	struct outlet outlet[EUROPA_MAX_VNICS];
	uint32_t dropped[BRIDGE_BURST];
	unsigned ndropped;
};

/* -ENOMEM */
int bridge_init(struct bridge *bridge, struct europa *eu, uint32_t max_stations, uint32_t ageing, uint64_t secret);
void bridge_release(struct bridge *bridge);

/* Forwards one burst from a port; `now` in seconds. Returns how many packets there were. */
unsigned bridge_burst(struct bridge *bridge, unsigned in, uint32_t now);

#endif

// SPDX-License-Identifier: MIT
/*
 * A burst goes through three passes: touch the frames and the buckets of their stations, so that the misses overlap; decide each;
 * send what was decided, port by port. VLAN tags pass unseen, in the frame or in the metadata; stations are learned for all
 * VLANs together.
 */
#include <string.h>

#include "images/l2switch/bridge.h"

#define ETH_HEADER 14

/* The sixteen addresses of IEEE 802.1Q, table 8-1: spanning tree, LACP, LLDP and others that must not cross a bridge. */
static bool is_reserved(uint64_t mac)
{
	static const uint8_t first[6] = { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x00 };

	return (mac & ~(0x0full << 40)) == mac_at(first);
}

int bridge_init(struct bridge *bridge, struct europa *eu, uint32_t max_stations, uint32_t ageing, uint64_t secret)
{
	memset(bridge, 0, sizeof(*bridge));
	bridge->eu = eu;
	bridge->ports = (uint32_t)((1ull << eu->nvnics) - 1);
	bridge->counters = (struct bridge_counters){
		.forwarded  = europa_counter(eu, "forwarded"),
		.flooded    = europa_counter(eu, "flooded"),
		.filtered   = europa_counter(eu, "filtered"),
		.reserved   = europa_counter(eu, "reserved"),
		.tx_full    = europa_counter(eu, "tx_full"),
		.learned    = europa_counter(eu, "stations_learned"),
		.moved      = europa_counter(eu, "stations_moved"),
		.table_full = europa_counter(eu, "stations_no_room"),
	};
	return stations_init(&bridge->stations, max_stations, ageing, secret);
}

void bridge_release(struct bridge *bridge)
{
	stations_release(&bridge->stations);
}

static void drop(struct bridge *bridge, uint32_t slot, uint64_t *counter)
{
	bridge->dropped[bridge->ndropped++] = slot;
	++*counter;
}

static void learn(struct bridge *bridge, uint64_t source, unsigned in, uint32_t now)
{
	switch (stations_learn(&bridge->stations, source, in, now)) {
	case STATION_KNOWN:
		break;
	case STATION_NEW:
		++*bridge->counters.learned;
		break;
	case STATION_MOVED:
		++*bridge->counters.moved;
		break;
	case STATION_NO_ROOM:
		++*bridge->counters.table_full;
		break;
	}
}

static void send_outlet(struct bridge *bridge, unsigned port)
{
	struct outlet *outlet = &bridge->outlet[port];
	unsigned sent = europa_tx(bridge->eu, port, outlet->slots, outlet->count);

	europa_drop(bridge->eu, outlet->slots + sent, outlet->count - sent);
	*bridge->counters.forwarded += sent;
	*bridge->counters.tx_full += outlet->count - sent;
	outlet->count = 0;
}

static void send_outlets(struct bridge *bridge)
{
	for (unsigned port = 0; port < bridge->eu->nvnics; port++) {
		if (bridge->outlet[port].count)
			send_outlet(bridge, port);
	}
}

/* By all ports but the one it came in at. What was decided before leaves before, so that frames keep their order. */
static void flood(struct bridge *bridge, uint32_t slot, unsigned in)
{
	uint32_t others = bridge->ports & ~(1u << in);

	if (!others) {
		drop(bridge, slot, bridge->counters.filtered);
		return;
	}
	send_outlets(bridge);
	if (europa_replicate(bridge->eu, slot, others))
		++*bridge->counters.flooded;
	else
		drop(bridge, slot, bridge->counters.tx_full);
}

static void decide(struct bridge *bridge, uint32_t slot, unsigned in, uint32_t now)
{
	const uint8_t *frame = europa_data(bridge->eu, slot);
	uint64_t destination;
	int out;

	if (europa_len(bridge->eu, slot) < ETH_HEADER) {
		drop(bridge, slot, bridge->counters.filtered);
		return;
	}
	destination = mac_at(frame);
	learn(bridge, mac_at(frame + 6), in, now);

	if (mac_is_group(destination)) {
		if (is_reserved(destination))
			drop(bridge, slot, bridge->counters.reserved);
		else
			flood(bridge, slot, in);
		return;
	}
	out = stations_find(&bridge->stations, destination, now);
	if (out == STATION_UNKNOWN)
		flood(bridge, slot, in);
	else if ((unsigned)out == in)
		drop(bridge, slot, bridge->counters.filtered);
	else
		bridge->outlet[out].slots[bridge->outlet[out].count++] = slot;
}

static void touch(const struct bridge *bridge, const uint32_t *slots, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		europa_prefetch(bridge->eu, slots[i]);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *frame = europa_data(bridge->eu, slots[i]);

		prefetch(stations_bucket(&bridge->stations, mac_at(frame)));
		prefetch(stations_bucket(&bridge->stations, mac_at(frame + 6)));
	}
}

unsigned bridge_burst(struct bridge *bridge, unsigned in, uint32_t now)
{
	uint32_t slots[BRIDGE_BURST];
	unsigned got = europa_rx_forward(bridge->eu, in, slots, BRIDGE_BURST);

	if (!got)
		return 0;
	touch(bridge, slots, got);
	for (unsigned i = 0; i < got; i++)
		decide(bridge, slots[i], in, now);
	send_outlets(bridge);
	europa_drop(bridge->eu, bridge->dropped, bridge->ndropped);
	bridge->ndropped = 0;
	return got;
}

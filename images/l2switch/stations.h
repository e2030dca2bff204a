/* SPDX-License-Identifier: MIT */
/*
 * Which station is behind which port: a hash table of MAC addresses, of fixed size, in which what hasn't been heard of for the
 * ageing time counts for nothing.
 *
 * Buckets are one cache line, so that a lookup touches one. The hash has a secret of this process, so that nobody can choose
 * addresses that fall into one bucket. Where a bucket is full of live stations a new one is not learned: a flood of invented
 * addresses can keep strangers out, whose frames are flooded then, but it can't push out who is there.
 */
#ifndef L2SWITCH_STATIONS_H
#define L2SWITCH_STATIONS_H

#include <stdbool.h>
#include <stdint.h>

#define STATIONS_PER_BUCKET 5
#define STATION_UNKNOWN     (-1)

struct bucket {
	uint64_t station[STATIONS_PER_BUCKET];    /* MAC address in the low 48 bits, port above; 0: not in use */
	uint32_t heard[STATIONS_PER_BUCKET];      /* seconds */
	uint32_t reserved;
};

struct stations {
	struct bucket *buckets;
	uint64_t mask;                            /* number of buckets - 1 */
	uint64_t secret;                          /* odd */
	uint32_t ageing;                          /* seconds; 0: nothing is ever learned */
};

enum learned { STATION_KNOWN, STATION_NEW, STATION_MOVED, STATION_NO_ROOM };

/* Room for about `count` stations. -ENOMEM. */
int stations_init(struct stations *stations, uint32_t count, uint32_t ageing, uint64_t secret);
void stations_release(struct stations *stations);

/* An address as the low 48 bits of a number, from the six bytes of a frame. */
static inline uint64_t mac_at(const uint8_t *bytes)
{
	uint64_t mac = 0;

	__builtin_memcpy(&mac, bytes, 6);
	return mac;
}

static inline bool mac_is_group(uint64_t mac)
{
	return mac & 1;
}

/* Two rounds of multiply and fold: every bit of the address reaches the index, wherever a vendor's numbers differ. */
static inline struct bucket *stations_bucket(const struct stations *stations, uint64_t mac)
{
	uint64_t hash = (mac ^ stations->secret) * 0x9e3779b97f4a7c15ull;

	hash = (hash ^ hash >> 32) * stations->secret;
	return &stations->buckets[(hash ^ hash >> 32) & stations->mask];
}

/* The port of a station, or STATION_UNKNOWN. */
int stations_find(const struct stations *stations, uint64_t mac, uint32_t now);
/* The station was heard of at a port. A group address or zero is nobody's and is not learned: STATION_KNOWN. */
enum learned stations_learn(struct stations *stations, uint64_t mac, unsigned port, uint32_t now);
/* How many live stations there are. */
uint32_t stations_count(const struct stations *stations, uint32_t now);

struct station {
	uint64_t mac;
	uint32_t port;
	uint32_t age;                             /* seconds since it was heard of */
};
/* The next live one from *place on (0 at first), which moves on. false: that was the last. */
bool stations_next(const struct stations *stations, uint64_t *place, uint32_t now, struct station *station);

#endif

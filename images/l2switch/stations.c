// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "images/l2switch/stations.h"

#define MAC_BITS  48
#define MAC_MASK  ((1ull << MAC_BITS) - 1)

_Static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");

/* Half-full buckets: with five places each, about one station in a hundred finds its bucket full when all are there. */
int stations_init(struct stations *stations, uint32_t count, uint32_t ageing, uint64_t secret)
{
	unsigned bits = 1;

	while (bits < 24 && (1ull << bits) * STATIONS_PER_BUCKET / 2 < count)
		bits++;
	stations->buckets = aligned_alloc(sizeof(struct bucket), sizeof(struct bucket) << bits);
	if (!stations->buckets)
		return -ENOMEM;
	memset(stations->buckets, 0, sizeof(struct bucket) << bits);
	stations->mask = (1ull << bits) - 1;
	stations->secret = secret | 1;
	stations->ageing = ageing;
	return 0;
}

void stations_release(struct stations *stations)
{
	free(stations->buckets);
	stations->buckets = NULL;
}

static bool is_live(const struct stations *stations, const struct bucket *bucket, unsigned place, uint32_t now)
{
	return bucket->station[place] && now - bucket->heard[place] < stations->ageing;
}

/* Where the address is in its bucket, live or not; STATIONS_PER_BUCKET: it isn't. */
static unsigned place_of(const struct bucket *bucket, uint64_t mac)
{
	unsigned place;

	for (place = 0; place < STATIONS_PER_BUCKET; place++) {
		if ((bucket->station[place] & MAC_MASK) == mac)
			break;
	}
	return place;
}

static unsigned place_for_new(const struct stations *stations, const struct bucket *bucket, uint32_t now)
{
	unsigned place;

	for (place = 0; place < STATIONS_PER_BUCKET; place++) {
		if (!is_live(stations, bucket, place, now))
			break;
	}
	return place;
}

int stations_find(const struct stations *stations, uint64_t mac, uint32_t now)
{
	const struct bucket *bucket = stations_bucket(stations, mac);
	unsigned place = place_of(bucket, mac);

	if (place == STATIONS_PER_BUCKET || !is_live(stations, bucket, place, now))
		return STATION_UNKNOWN;
	return (int)(bucket->station[place] >> MAC_BITS);
}

enum learned stations_learn(struct stations *stations, uint64_t mac, unsigned port, uint32_t now)
{
	struct bucket *bucket = stations_bucket(stations, mac);
	uint64_t station = (uint64_t)port << MAC_BITS | mac;
	enum learned what = STATION_NEW;
	unsigned place;

	if (mac == 0 || mac_is_group(mac) || !stations->ageing)
		return STATION_KNOWN;
	place = place_of(bucket, mac);
	if (place == STATIONS_PER_BUCKET)
		place = place_for_new(stations, bucket, now);
	else if (is_live(stations, bucket, place, now))
		what = bucket->station[place] == station ? STATION_KNOWN : STATION_MOVED;
	if (place == STATIONS_PER_BUCKET)
		return STATION_NO_ROOM;

	/* Most frames say what is known: then the line stays clean in the cache. */
	if (what != STATION_KNOWN)
		bucket->station[place] = station;
	if (bucket->heard[place] != now)
		bucket->heard[place] = now;
	return what;
}

bool stations_next(const struct stations *stations, uint64_t *place, uint32_t now, struct station *station)
{
	uint64_t end = (stations->mask + 1) * STATIONS_PER_BUCKET;

	while (*place < end) {
		const struct bucket *bucket = &stations->buckets[*place / STATIONS_PER_BUCKET];
		unsigned at = *place % STATIONS_PER_BUCKET;

		++*place;
		if (!is_live(stations, bucket, at, now))
			continue;
		*station = (struct station){
			.mac = bucket->station[at] & MAC_MASK, .port = bucket->station[at] >> MAC_BITS,
			.age = now - bucket->heard[at],
		};
		return true;
	}
	return false;
}

uint32_t stations_count(const struct stations *stations, uint32_t now)
{
	struct station station;
	uint64_t place = 0;
	uint32_t count = 0;

	while (stations_next(stations, &place, now, &station))
		count++;
	return count;
}

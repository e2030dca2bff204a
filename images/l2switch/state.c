// SPDX-License-Identifier: MIT
#include "images/l2switch/state.h"

#include <errno.h>

#define MAGIC 0x3165746174732d62ull     /* "b-state1" */
#define PIECE 512                       /* stations that are written at once */

struct saved_header {
	uint64_t magic;
	uint32_t ports;
	uint32_t nstations;
};

_Static_assert(sizeof(struct saved_header) == 16 && sizeof(struct station) == 16,
	       "version 1 is laid out like this, and without holes");

int state_save(const struct stations *stations, uint32_t ports, uint32_t now, state_put_fn *put, void *to)
{
	struct saved_header header = { .magic = MAGIC, .ports = ports, .nstations = stations_count(stations, now) };
	struct station piece[PIECE];
	uint64_t place = 0;
	unsigned n = 0;
	int error = put(to, &header, sizeof(header));

	while (!error && stations_next(stations, &place, now, &piece[n])) {
		if (++n == PIECE) {
			error = put(to, piece, sizeof(piece));
			n = 0;
		}
	}
	return error ? error : put(to, piece, n * sizeof(*piece));
}

static int refuse(const char **why, const char *text)
{
	*why = text;
	return -EINVAL;
}

static int load_station(struct stations *stations, uint32_t ports, uint32_t now, const struct station *saved, const char **why)
{
	if (!saved->mac || saved->mac >> 48 || mac_is_group(saved->mac))
		return refuse(why, "a station's address is none");
	if (saved->port >= ports)
		return refuse(why, "a station is behind a port that isn't there");
	if (saved->age >= stations->ageing)
		return 0;
	switch (stations_learn(stations, saved->mac, saved->port, now - saved->age)) {
	case STATION_NEW:
	case STATION_NO_ROOM:
		return 0;
	default:
		return refuse(why, "a station is there twice");
	}
}

int state_load(struct stations *stations, uint32_t ports, uint32_t now, uint32_t version, const void *blob, size_t len, const char **why)
{
	const struct saved_header *header = blob;
	const struct station *saved = (const void *)(header + 1);
	int error = 0;

	if (version != STATE_VERSION)
		return refuse(why, "it is of another version than 1");
	if (len < sizeof(*header) || header->magic != MAGIC)
		return refuse(why, "l2switch didn't write it");
	if (len != sizeof(*header) + (uint64_t)header->nstations * sizeof(*saved))
		return refuse(why, "it has another length than its number of stations says");
	if (header->ports != ports)
		return refuse(why, "it is of a switch with another number of vNICs");
	for (uint32_t i = 0; !error && i < header->nstations; i++)
		error = load_station(stations, ports, now, &saved[i], why);
	return error;
}

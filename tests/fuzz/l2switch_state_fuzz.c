// SPDX-License-Identifier: MIT
/* Any bytes as stations that l2switch is to go on with: taken, or refused with a reason. What was taken is found, saved and loaded again. */
#include <stdlib.h>
#include <string.h>

#include "images/l2switch/state.h"
#include "tests/fuzz/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PORTS  4
#define AGEING 300
#define NOW    100          /* so that who was heard of earlier than that is heard of before the clock began */

static void use(const struct stations *stations, size_t size)
{
	struct stations again;
	struct bytes saved = { .at = malloc(size), .room = size };
	struct station station;
	uint64_t place = 0;
	const char *why = NULL;

	while (stations_next(stations, &place, NOW, &station)) {
		if (station.port >= PORTS || station.age >= AGEING ||
		    stations_find(stations, station.mac, NOW) != (int)station.port)
			abort();
	}
	if (state_save(stations, PORTS, NOW, put, &saved))
		abort();
	if (stations_init(&again, 64, AGEING, 11) ||
	    state_load(&again, PORTS, NOW, STATE_VERSION, saved.at, saved.n, &why))
		abort();
	stations_release(&again);
	free(saved.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *blob = malloc(size ? size : 1);
	struct stations stations;
	const char *why = NULL;
	int err;

	memcpy(blob, data, size);
	if (stations_init(&stations, 64, AGEING, 7))
		abort();
	err = state_load(&stations, PORTS, NOW, STATE_VERSION, blob, size, &why);
	if ((err != 0) != (why != NULL))
		abort();
	if (!err)
		use(&stations, size);
	stations_release(&stations);
	free(blob);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Any bytes as a checkpoint's region and state: refused in one line, or laid into a region that a switch then takes over with no slot missing. */
#include <linux/europa.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/vr.h"
#include "runtime/checkpoint/handover.h"
#include "runtime/checkpoint/packets.h"
#include "runtime/error.h"
#include "runtime/region.h"

static struct europa_geometry geo;

/* The input's magic, version and geometry are made right, so that what comes behind them is reached. */
static void put_header(uint8_t *bytes)
{
	struct packets_header header;

	memcpy(&header, bytes, sizeof header);
	header.magic = PACKETS_MAGIC;
	header.version = PACKETS_VERSION;
	header.geometry = geo;
	header.drops = EUROPA_DROPS_MAX;
	header.reserved = 0;
	header.packets %= 64;
	memcpy(bytes, &header, sizeof header);
}

static void check_census(struct vr *vr, const struct packets_count *count)
{
	struct vr_census census;

	vr_census(vr, &census);
	if (census.vr_slots + census.vr_runs != count->rx + count->tx || census.switch_slots + census.vr_slots != geo.nslots ||
	    census.switch_runs + census.vr_runs != geo.nruns)
		abort();
}

/* A switch that serves it afterwards meets nothing but a VR's lies. */
static void serve(struct vr *vr)
{
	struct tx_frame frames[VR_BATCH];
	bool wake;
	u32 looked, n;

	for (u32 vnic = 0; vnic < geo.nvnics; vnic++)
		while ((n = tx_take(vr, vnic, frames, VR_BATCH, &looked)) || looked)
			tx_done(vr, frames, n);
	pool_turn(vr, 64, &wake);
}

static void lay(const uint8_t *bytes, size_t size, const struct packets_count *count)
{
	struct europa_offsets off;
	struct region region;
	struct error e = { 0 };
	void *memory = calloc(1, vr_memory(&geo)), *control, *pool;
	struct vr vr;

	layout_compute(&geo, &off);
	if (region_create(&region, &geo, "x", &e) || packets_lay(bytes, size, &region, "x", true, &e))
		abort();
	control = mmap(NULL, off.control_size, PROT_READ | PROT_WRITE, MAP_SHARED, region.control, 0);
	pool = mmap(NULL, off.pool_size, PROT_READ | PROT_WRITE, MAP_SHARED, region.pool, 0);
	if (vr_adopt(&vr, &geo, control, pool, memory))
		abort();
	check_census(&vr, count);
	if (packets_release(&region, &e))
		abort();
	serve(&vr);
	munmap(control, off.control_size);
	munmap(pool, off.pool_size);
	region_close(&region);
	free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packets_count count;
	struct error e = { 0 };
	uint8_t *bytes = malloc(size + 1);
	uint32_t version;

	if (!geo.nslots)
		geometry_choose(&geo, 2, 8, 576, 4, 1);
	memcpy(bytes, data, size);
	if (handover_check(bytes, size, &version, &e) && !e.text[0])
		abort();
	e = (struct error){ 0 };
	if (size >= sizeof(struct packets_header))
		put_header(bytes);
	if (packets_check(bytes, size, &geo, &count, &e) == 0)
		lay(bytes, size, &count);
	else if (!e.text[0] || strchr(e.text, '\n'))
		abort();
	free(bytes);
	return 0;
}

// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/bed.h"

static void *memory_file(int *fd, uint64_t size)
{
	void *map;

	*fd = memfd_create("bed", MFD_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(ftruncate(*fd, (off_t)size), 0);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_true(map != MAP_FAILED);
	return map;
}

void bed_open(struct bed *bed, unsigned vnics, unsigned slots, unsigned ring)
{
	const char *why = "";

	memset(bed, 0, sizeof(*bed));
	geometry_choose(&bed->geometry, vnics, slots, 0, ring, 2);
	assert_int_equal(geometry_check(&bed->geometry, &why), 0);
	layout_compute(&bed->geometry, &bed->offsets);
	bed->state = memfd_create("bed-state", MFD_CLOEXEC);
	assert_true(bed->state >= 0);
	bed->control_map = memory_file(&bed->control, bed->offsets.control_size);
	bed->pool_map = memory_file(&bed->pool, bed->offsets.pool_size);
	assert_int_equal(pipe2(bed->doorbell, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(pipe2(bed->kick, O_NONBLOCK | O_CLOEXEC), 0);
	bed->memory = calloc(1, vr_memory(&bed->geometry));
	assert_non_null(bed->memory);
	vr_init(&bed->vr, &bed->geometry, "bed", bed->control_map, bed->pool_map, bed->memory);
}

void bed_handed(const struct bed *bed, int fds[4])
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", bed->control);
	fds[0] = open(path, O_RDONLY | O_CLOEXEC);
	fds[1] = dup(bed->pool);
	fds[2] = dup(bed->doorbell[0]);
	fds[3] = dup(bed->kick[1]);
	for (int i = 0; i < 4; i++)
		assert_true(fds[i] >= 0);
}

int bed_attach(struct bed *bed)
{
	int fds[4];

	bed_handed(bed, fds);
	return europa_attach_fds(&bed->eu, fds[0], fds[1], fds[2], fds[3]);
}

void bed_hand_state(struct bed *bed)
{
	europa_attach_state(bed->eu, dup(bed->state));
}

void bed_forget_data_plane(struct bed *bed)
{
	europa_detach(bed->eu);
	bed->eu = NULL;
}

void bed_close(struct bed *bed)
{
	europa_detach(bed->eu);
	munmap(bed->control_map, bed->offsets.control_size);
	munmap(bed->pool_map, bed->offsets.pool_size);
	close(bed->control);
	close(bed->pool);
	close(bed->state);
	for (int i = 0; i < 2; i++) {
		close(bed->doorbell[i]);
		close(bed->kick[i]);
	}
	free(bed->memory);
}

static void ring_doorbell(struct bed *bed)
{
	assert_true(write(bed->doorbell[1], "", 1) == 1 || errno == EAGAIN);
}

static bool put(struct bed *bed, unsigned vnic, const void *frame, uint32_t len)
{
	const struct europa_slot meta = { .len = len };
	int slot = rx_slot(&bed->vr, vnic, len);

	if (slot < 0)
		return false;
	memcpy(rx_data(&bed->vr, (uint32_t)slot), frame, len);
	rx_put(&bed->vr, vnic, (uint32_t)slot, &meta);
	return true;
}

bool bed_receive(struct bed *bed, unsigned vnic, const void *frame, uint32_t len)
{
	bool taken = put(bed, vnic, frame, len);

	if (rx_flush(&bed->vr, vnic))
		ring_doorbell(bed);
	return taken;
}

void bed_receive_numbered(struct bed *bed, unsigned vnic, unsigned first, unsigned n)
{
	uint32_t frame[15] = { 0 };

	for (unsigned i = 0; i < n; i++) {
		frame[0] = first + i;
		assert_true(put(bed, vnic, frame, sizeof(frame)));
	}
	if (rx_flush(&bed->vr, vnic))
		ring_doorbell(bed);
}

unsigned bed_take(struct bed *bed, unsigned vnic, struct tx_frame frames[VR_BATCH])
{
	uint32_t looked;

	return tx_take(&bed->vr, vnic, frames, VR_BATCH, &looked);
}

void bed_sent(struct bed *bed, const struct tx_frame *frames, unsigned n)
{
	tx_done(&bed->vr, frames, n);
}

unsigned bed_drain(struct bed *bed, unsigned vnic)
{
	struct tx_frame frames[VR_BATCH];
	unsigned n, sum = 0;
	bool wake;

	while ((n = bed_take(bed, vnic, frames)) > 0) {
		bed_sent(bed, frames, n);
		sum += n;
	}
	pool_turn(&bed->vr, UINT32_MAX, &wake);
	return sum;
}

uint32_t frame_number(const uint8_t *data)
{
	uint32_t number;

	memcpy(&number, data, sizeof(number));
	return number;
}

void bed_assert_whole(struct bed *bed)
{
	uint32_t spare;
	struct vr_census census;

	for (unsigned vnic = 0; vnic < bed->geometry.nvnics; vnic++)
		bed_drain(bed, vnic);
	vr_census(&bed->vr, &census);
	spare = READ_ONCE(bed->vr.alloc.mine->index) - READ_ONCE(bed->vr.alloc.theirs->index);
	assert_int_equal(bed->vr.stats->violations, 0);
	assert_int_equal(census.vr_slots, spare);       /* what waits in the alloc ring is the VR's by right */
	assert_int_equal(census.switch_slots, bed->geometry.nslots - spare);
	assert_int_equal(census.vr_runs, 0);
	assert_int_equal(bed->vr.nfree_slots, census.switch_slots);
}

// SPDX-License-Identifier: MIT
/* libeuropa against the switch's core: attaching, moving packets, and coming back after a death. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/pool.h"
#include "tests/unit/bed.h"

static struct bed bed;

static int setup(void **state)
{
	bed_open(&bed, 3, 256, 64);
	assert_int_equal(bed_attach(&bed), 0);
	return 0;
}

static int setup_unattached(void **state)
{
	bed_open(&bed, 3, 256, 64);
	return 0;
}

static int teardown(void **state)
{
	bed_close(&bed);
	return 0;
}

/* ---- attaching ---- */

#define LOADED 200

static int load(struct europa *eu, uint32_t version, const void *blob, size_t len, void *arg)
{
	return version == 3 && len == 1 && *(const char *)blob == 'x' ? 0 : -EINVAL;
}

static const struct europa_state_ops state_ops = { .version = 3, .load = load };

/* What europa_attach says in a process that was handed the region's descriptors as `names`, with LISTEN_FDS `count`. */
static int attach_in_child(const char *names, const char *count, const char *pid)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		static const char *const order[5] = {
			"europa.control", "europa.pool", "europa.doorbell", "europa.kick", "europa.state",
		};
		struct europa *eu;
		char number[16];
		int fds[5], fd = 3, error;
		const char *name = names;

		bed_handed(&bed, fds);
		fds[4] = bed.state;
		for (int i = 0; i < 5; i++)
			fds[i] = fcntl(fds[i], F_DUPFD, 100);
		while (name && *name) {
			size_t length = strcspn(name, ":");

			close(fd);
			for (int i = 0; i < 5; i++) {
				if (strlen(order[i]) == length && !memcmp(name, order[i], length))
					dup2(fds[i], fd);
			}
			name = name[length] ? name + length + 1 : NULL;
			fd++;
		}
		snprintf(number, sizeof(number), "%d", getpid());
		names ? setenv("LISTEN_FDNAMES", names, 1) : unsetenv("LISTEN_FDNAMES");
		count ? setenv("LISTEN_FDS", count, 1) : unsetenv("LISTEN_FDS");
		pid ? setenv("LISTEN_PID", strcmp(pid, "self") ? pid : number, 1) : unsetenv("LISTEN_PID");
		error = europa_attach(&eu);
		_exit(error ? -error : europa_state(eu, &state_ops, NULL) == 1 ? LOADED : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void attaches_by_name_in_any_order(void **state)
{
	static const struct { const char *names, *count, *pid; int expect; } cases[] = {
		{ "europa.control:europa.pool:europa.doorbell:europa.kick", "4", NULL, 0 },
		{ "europa.kick:europa.pool:europa.control:europa.doorbell", "4", NULL, 0 },
		{ "log:europa.kick::europa.pool:europa.control:europa.doorbell:http", "7", NULL, 0 },
		{ "europa.control:europa.pool:europa.doorbell:europa.kick", "4", "self", 0 },
		{ "europa.control:europa.pool:europa.doorbell:europa.kick", "4", "1", -ENOENT },
		{ "europa.control:europa.pool:europa.doorbell:europa.kick", "4", "", -ENOENT },
		{ "europa.control:europa.pool:europa.doorbell", "3", NULL, -ENOENT },
		{ "europa.control:europa.pool:europa.doorbell:europa.kick", "3", NULL, -ENOENT },
		{ "europa.control:europa.pool:europa.doorbell:europa.kick", "4x", NULL, -ENOENT },
		{ "europa.control:europa.pool:europa.doorbell:europa.kick", "-4", NULL, -ENOENT },
		{ "europa.control:europa.pool:europa.doorbell:europa.kick", "", NULL, -ENOENT },
		{ "europa.control:europa.pool:europa.doorbell:europa.kick", NULL, NULL, -ENOENT },
		{ "europa.control:europa.pool:europa.doorbell:europa.kicks", "4", NULL, -ENOENT },
		{ "", "4", NULL, -ENOENT },
		{ NULL, "4", NULL, -ENOENT },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int got = attach_in_child(cases[i].names, cases[i].count, cases[i].pid);

		if (got != cases[i].expect)
			fail_msg("case %u (%s): %d instead of %d", i, cases[i].names, got, cases[i].expect);
	}
}

static void finds_a_state_where_one_is_handed_to_it(void **state)
{
	const struct { struct europa_state_header header; char blob; } file = {
		.header = { .magic = EUROPA_STATE_MAGIC, .version = 3, .len = 1 }, .blob = 'x',
	};
	static const char all[] = "europa.control:europa.pool:europa.doorbell:europa.kick:europa.state";
	static const char mixed[] = "europa.state:europa.control:europa.pool:europa.doorbell:europa.kick";

	assert_int_equal(attach_in_child(all, "5", NULL), 0);
	assert_int_equal(pwrite(bed.state, &file, sizeof(file.header) + 1, 0), sizeof(file.header) + 1);
	assert_int_equal(attach_in_child(all, "4", NULL), 0);
	assert_int_equal(attach_in_child(all, "5", "1"), -ENOENT);
	assert_int_equal(attach_in_child(all, "5", NULL), -LOADED);
	assert_int_equal(pwrite(bed.state, &file, sizeof(file.header) + 1, 0), sizeof(file.header) + 1);
	assert_int_equal(attach_in_child(mixed, "5", "self"), -LOADED);
	assert_int_equal(attach_in_child(all, "5", NULL), 0);
}

static void refuses_what_is_no_region(void **state)
{
	struct europa_header *header = bed.control_map, good = *header;
	int fds[4];

	header->magic++;
	assert_int_equal(bed_attach(&bed), -EINVAL);
	*header = good;
	header->major++;
	assert_int_equal(bed_attach(&bed), -EPROTO);
	*header = good;
	header->geometry.ring_size = 63;
	assert_int_equal(bed_attach(&bed), -EINVAL);
	*header = good;
	header->geometry.nslots *= 2;
	assert_int_equal(bed_attach(&bed), -EINVAL);
	*header = good;
	header->offsets.pool_meta += 64;
	assert_int_equal(bed_attach(&bed), -EINVAL);
	*header = good;

	bed_handed(&bed, fds);
	assert_int_equal(europa_attach_fds(&bed.eu, fds[2], fds[1], fds[0], fds[3]), -ESPIPE);
	bed_handed(&bed, fds);
	assert_int_equal(europa_attach_fds(&bed.eu, fds[0], fds[2], fds[1], fds[3]), -EINVAL);
	bed_handed(&bed, fds);
	close(fds[1]);
	assert_int_equal(europa_attach_fds(&bed.eu, fds[0], fds[1], fds[2], fds[3]), -EBADF);
	assert_null(bed.eu);

	assert_int_equal(ftruncate(bed.pool, (off_t)bed.offsets.pool_size - 4096), 0);
	assert_int_equal(bed_attach(&bed), -EINVAL);
	assert_int_equal(ftruncate(bed.pool, (off_t)bed.offsets.pool_size), 0);
	assert_int_equal(bed_attach(&bed), 0);
}

static void says_what_it_knows(void **state)
{
	const struct europa_pool_header *header = bed.pool_map;
	const struct europa_header *control = bed.control_map;

	assert_int_equal(header->magic, EUROPA_MAGIC);
	assert_int_equal(header->features, control->features);
	assert_string_equal(europa_version(), EUROPA_VERSION);
	for (int error = 0; error > -200; error--)
		assert_true(strlen(europa_strerror(error)) > 0);
}

/* ---- packets ---- */

static void forwards_what_it_receives(void **state)
{
	struct tx_frame frames[VR_BATCH];
	uint32_t slots[32] = { 0 };

	bed_receive_numbered(&bed, 0, 100, 10);
	assert_int_equal(europa_rx(bed.eu, 1, slots, 32), 0);
	assert_int_equal(europa_rx(bed.eu, 0, slots, 32), 10);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(europa_len(bed.eu, slots[i]), 60);
		assert_int_equal(europa_meta(bed.eu, slots[i])->in_vnic, 0);
		assert_int_equal(europa_meta(bed.eu, slots[i])->state, EUROPA_SLOT_FILLED);
		assert_int_equal(frame_number(europa_data(bed.eu, slots[i])), 100 + i);
	}
	assert_int_equal(europa_tx(bed.eu, 1, slots, 10), 10);
	assert_int_equal(bed_take(&bed, 1, frames), 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(frame_number(frames[i].data), 100 + i);
	bed_sent(&bed, frames, 10);
	bed_assert_whole(&bed);
}

static void takes_no_more_than_a_ring_holds(void **state)
{
	uint32_t slots[64 + 8] = { 0 };

	bed_receive_numbered(&bed, 0, 0, 64);
	assert_int_equal(europa_rx(bed.eu, 0, slots, 40), 40);
	assert_int_equal(europa_rx(bed.eu, 0, slots + 40, 40), 24);
	bed_receive_numbered(&bed, 0, 64, 8);
	assert_int_equal(europa_rx(bed.eu, 0, slots + 64, 8), 8);

	assert_int_equal(europa_tx(bed.eu, 2, slots, 72), 64);
	assert_int_equal(europa_tx(bed.eu, 2, slots + 64, 8), 0);
	europa_drop(bed.eu, slots + 64, 8);
	assert_int_equal(bed_drain(&bed, 2), 64);
	bed_assert_whole(&bed);
}

/* What can't be sent on stays in the rx ring, where it has cost nothing yet. */
static void receives_what_it_can_send_on(void **state)
{
	struct tx_frame frames[VR_BATCH];
	uint32_t slots[64] = { 0 };
	unsigned taken;

	assert_int_equal(europa_tx_room(bed.eu, 2, 100), 64);
	assert_int_equal(europa_tx_room(bed.eu, 2, 10), 10);
	bed_receive_numbered(&bed, 0, 0, 60);
	assert_int_equal(europa_rx_forward(bed.eu, 0, slots, 64), 60);
	assert_int_equal(europa_tx(bed.eu, 2, slots, 60), 60);
	assert_int_equal(europa_tx_room(bed.eu, 2, 100), 4);
	assert_int_equal(europa_tx_room(bed.eu, 1, 100), 64);
	assert_int_equal(europa_tx_room_everywhere(bed.eu, 100), 4);

	bed_receive_numbered(&bed, 0, 60, 10);
	assert_int_equal(europa_rx_forward(bed.eu, 0, slots, 3), 3);
	assert_int_equal(europa_tx(bed.eu, 2, slots, 3), 3);
	assert_int_equal(europa_rx_forward(bed.eu, 0, slots, 64), 1);
	assert_int_equal(europa_tx(bed.eu, 2, slots, 1), 1);
	assert_int_equal(europa_rx_forward(bed.eu, 0, slots, 64), 0);

	taken = bed_take(&bed, 2, frames);
	bed_sent(&bed, frames, taken);
	assert_true(taken >= 6);
	assert_int_equal(europa_rx_forward(bed.eu, 0, slots, 64), 6);
	assert_int_equal(frame_number(europa_data(bed.eu, slots[0])), 64);
	europa_drop(bed.eu, slots, 6);
	bed_drain(&bed, 2);
	bed_assert_whole(&bed);
}

static void originates_from_empty_slots(void **state)
{
	struct tx_frame frames[VR_BATCH];
	uint32_t slots[4] = { 0 };
	unsigned got;

	bed_drain(&bed, 0);
	got = europa_alloc(bed.eu, slots, 4);
	assert_int_equal(got, 4);
	for (unsigned i = 0; i < got; i++) {
		assert_int_equal(europa_len(bed.eu, slots[i]), 0);
		assert_int_equal(europa_meta(bed.eu, slots[i])->offset, EUROPA_HEADROOM);
		memset(europa_data(bed.eu, slots[i]), (int)i, 60);
		europa_meta(bed.eu, slots[i])->len = 60;
	}
	assert_int_equal(europa_tx(bed.eu, 0, slots, got), got);
	assert_int_equal(bed_take(&bed, 0, frames), got);
	for (unsigned i = 0; i < got; i++)
		assert_int_equal(frames[i].data[59], i);
	bed_sent(&bed, frames, got);
	bed_assert_whole(&bed);
}

static void replicates_one_packet_to_many(void **state)
{
	struct tx_frame frames[VR_BATCH];
	uint32_t slot = 0;

	bed_receive_numbered(&bed, 0, 7, 1);
	assert_int_equal(europa_rx(bed.eu, 0, &slot, 1), 1);
	assert_true(europa_replicate(bed.eu, slot, 1u << 1 | 1u << 2));
	assert_int_equal(bed_take(&bed, 0, frames), 0);
	assert_int_equal(bed_take(&bed, 1, frames), 1);
	assert_int_equal(frames[0].ports, 1u << 1 | 1u << 2);
	bed_sent(&bed, frames, 1);
	bed_assert_whole(&bed);
}

static void pushes_into_the_headroom_only(void **state)
{
	uint32_t slot = 0;
	uint8_t *start;

	bed_receive_numbered(&bed, 0, 7, 1);
	assert_int_equal(europa_rx(bed.eu, 0, &slot, 1), 1);
	start = europa_data(bed.eu, slot);
	assert_ptr_equal(europa_push(bed.eu, slot, 128), start - 128);
	assert_int_equal(europa_len(bed.eu, slot), 188);
	assert_null(europa_push(bed.eu, slot, 1));
	assert_ptr_equal(europa_push(bed.eu, slot, -128), start);
	assert_null(europa_push(bed.eu, slot, -61));
	assert_ptr_equal(europa_push(bed.eu, slot, -60), start + 60);
	assert_int_equal(europa_len(bed.eu, slot), 0);
	assert_int_equal(europa_room(bed.eu, slot), bed.geometry.slot_stride);
	assert_int_equal(europa_room(bed.eu, bed.geometry.nslots), bed.geometry.slot_stride * bed.geometry.run_slots);
	europa_drop(bed.eu, &slot, 1);
	bed_assert_whole(&bed);
}

static void carries_super_packets_in_one_piece(void **state)
{
	static uint8_t super[65550];
	struct tx_frame frames[VR_BATCH];
	uint32_t slot = 0;

	for (unsigned i = 0; i < sizeof(super); i++)
		super[i] = (uint8_t)(i * 7);
	bed.vr.vnics[1].mtu = 65535;
	assert_true(bed_receive(&bed, 0, super, sizeof(super)));
	assert_int_equal(europa_rx(bed.eu, 0, &slot, 1), 1);
	assert_int_equal(slot, bed.geometry.nslots);
	assert_int_equal(europa_len(bed.eu, slot), sizeof(super));
	assert_memory_equal(europa_data(bed.eu, slot), super, sizeof(super));
	assert_int_equal(europa_tx(bed.eu, 1, &slot, 1), 1);
	assert_int_equal(bed_take(&bed, 1, frames), 1);
	assert_memory_equal(frames[0].data, super, sizeof(super));
	bed_sent(&bed, frames, 1);
	bed_assert_whole(&bed);
}

static bool kicked(void)
{
	char byte;

	return read(bed.kick[0], &byte, 1) == 1;
}

static void kicks_a_switch_that_sleeps_and_no_other(void **state)
{
	uint32_t slots[2] = { 0 };

	bed_receive_numbered(&bed, 0, 0, 2);
	assert_int_equal(europa_rx(bed.eu, 0, slots, 2), 2);
	assert_int_equal(europa_tx(bed.eu, 1, slots, 1), 1);
	assert_false(kicked());
	bed_drain(&bed, 1);
	assert_false(vr_sleep(&bed.vr));
	europa_drop(bed.eu, slots + 1, 1);
	assert_true(kicked());
	vr_awake(&bed.vr);
	assert_int_equal(bed_drain(&bed, 1), 0);
	bed_assert_whole(&bed);
}

static void ignores_a_ring_that_makes_no_sense(void **state)
{
	uint32_t slots[65] = { 0 };

	bed.vr.rx[0].mine->index += 1000;
	assert_int_equal(europa_rx(bed.eu, 0, slots, 8), 0);
	bed.vr.tx[1].mine->index += 1000;
	assert_int_equal(europa_tx(bed.eu, 1, slots, 65), 0);
	bed.vr.alloc.mine->index += 100000;
	assert_int_equal(europa_alloc(bed.eu, slots, 8), 0);
}

/* ---- coming back ---- */

static void gives_back_what_a_dead_process_held(void **state)
{
	struct vr_census census;
	uint32_t slots[64] = { 0 };

	bed_drain(&bed, 0);                                            /* fills the alloc ring */
	bed_receive_numbered(&bed, 0, 0, 40);
	bed_receive_numbered(&bed, 1, 0, 10);
	assert_int_equal(europa_rx(bed.eu, 0, slots, 30), 30);         /* 30 in hand, 10 unread here, 10 there */
	assert_int_equal(europa_tx(bed.eu, 1, slots, 8), 8);           /* 22 in hand, 8 on their way out */
	europa_drop(bed.eu, slots + 8, 4);                             /* 18 in hand */
	assert_int_equal(europa_alloc(bed.eu, slots + 30, 3), 3);      /* 21 in hand */

	bed_forget_data_plane(&bed);
	assert_int_equal(bed_attach(&bed), 0);
	assert_int_equal(bed_drain(&bed, 1), 8);
	assert_int_equal(bed.vr.stats->dropped, 4 + 21);
	vr_census(&bed.vr, &census);
	assert_int_equal(census.vr_slots, 20 + bed.geometry.alloc_target);

	assert_int_equal(europa_rx(bed.eu, 0, slots, 64), 10);
	assert_int_equal(frame_number(europa_data(bed.eu, slots[0])), 30);
	europa_drop(bed.eu, slots, 10);
	assert_int_equal(europa_rx(bed.eu, 1, slots, 64), 10);
	europa_drop(bed.eu, slots, 10);
	bed_assert_whole(&bed);
}

static void gives_back_what_a_killed_process_held(void **state)
{
	int ready[2], status;
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	bed_receive_numbered(&bed, 0, 0, 50);
	child = fork();
	if (child == 0) {
		uint32_t slots[64] = { 0 };

		if (bed_attach(&bed) < 0 || europa_rx(bed.eu, 0, slots, 50) != 50 ||
		    europa_tx(bed.eu, 2, slots, 5) != 5 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);

	assert_int_equal(bed_attach(&bed), 0);
	assert_int_equal(bed_drain(&bed, 2), 5);
	assert_int_equal(bed.vr.stats->dropped, 45);
	bed_assert_whole(&bed);
}

/* The switch is stopped between owners and index: the journal says that those slots are on their way. */
static void leaves_alone_what_is_being_published(void **state)
{
	struct ring *r = &bed.vr.rx[0];
	uint32_t slots[8] = { 0 };
	unsigned n;

	for (n = 0; n < 4; n++) {
		const struct europa_slot meta = { .len = 60 };

		rx_put(&bed.vr, 0, (uint32_t)rx_slot(&bed.vr, 0, 60), &meta);
	}
	pool_announce(r, n);
	for (unsigned i = 0; i < n; i++)
		bed.vr.owners[*ring_entry(r, i)] = EUROPA_OWNER_VR;

	assert_int_equal(bed_attach(&bed), 0);
	bed_drain(&bed, 0);
	assert_int_equal(bed.vr.stats->dropped, 0);

	rx_flush(&bed.vr, 0);
	assert_int_equal(europa_rx(bed.eu, 0, slots, 8), 4);
	europa_drop(bed.eu, slots, 4);
	bed_assert_whole(&bed);
}

static void recovers_from_indexes_that_were_overwritten(void **state)
{
	uint32_t slots[64] = { 0 };

	bed_receive_numbered(&bed, 0, 0, 20);
	assert_int_equal(europa_rx(bed.eu, 0, slots, 5), 5);
	bed.eu->rx[0].mine->index = 0xdeadbeef;
	bed.eu->tx[1].mine->index = 0xdeadbeef;
	bed.eu->free.mine->index = 0xdeadbeef;
	bed_forget_data_plane(&bed);

	assert_int_equal(bed_attach(&bed), 0);
	bed_receive_numbered(&bed, 0, 100, 2);
	assert_int_equal(europa_rx(bed.eu, 0, slots, 64), 2);
	assert_int_equal(frame_number(europa_data(bed.eu, slots[0])), 100);
	assert_int_equal(europa_tx(bed.eu, 1, slots, 2), 2);
	assert_int_equal(bed_drain(&bed, 1), 2);
	bed_assert_whole(&bed);
}

/* ---- counters ---- */

static void counts_under_names_of_its_own(void **state)
{
	const struct europa_dp_counter *shown = (void *)((uint8_t *)bed.pool_map + bed.offsets.pool_counters);
	uint64_t *ttl = europa_counter(bed.eu, "ttl_exceeded");
	uint64_t *longest = europa_counter(bed.eu, "a_name_that_is_longer_than_the_field");
	char name[16];

	*ttl += 3;
	*longest += 1;
	assert_string_equal(shown[0].name, "ttl_exceeded");
	assert_int_equal(shown[0].value, 3);
	assert_string_equal(shown[1].name, "a_name_that_is_longer_t");
	assert_ptr_equal(europa_counter(bed.eu, "ttl_exceeded"), ttl);
	assert_ptr_equal(europa_counter(bed.eu, "a_name_that_is_longer_than_the_field"), longest);
	assert_ptr_not_equal(europa_counter(bed.eu, "ttl"), ttl);
	for (unsigned i = 3; i < EUROPA_DP_COUNTERS; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		assert_non_null(europa_counter(bed.eu, name));
	}
	assert_string_equal(shown[EUROPA_DP_COUNTERS - 1].name, "c63");
	*europa_counter(bed.eu, "one too many") += 1;
	*europa_counter(bed.eu, "") += 1;

	bed_forget_data_plane(&bed);
	assert_int_equal(bed_attach(&bed), 0);
	assert_int_equal(*europa_counter(bed.eu, "ttl_exceeded"), 3);
}

int main(void)
{
#define ATTACHED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define UNATTACHED(test) cmocka_unit_test_setup_teardown(test, setup_unattached, teardown)
	const struct CMUnitTest tests[] = {
		UNATTACHED(attaches_by_name_in_any_order),
		UNATTACHED(finds_a_state_where_one_is_handed_to_it),
		UNATTACHED(refuses_what_is_no_region),
		ATTACHED(says_what_it_knows),
		ATTACHED(forwards_what_it_receives),
		ATTACHED(takes_no_more_than_a_ring_holds),
		ATTACHED(receives_what_it_can_send_on),
		ATTACHED(originates_from_empty_slots),
		ATTACHED(replicates_one_packet_to_many),
		ATTACHED(pushes_into_the_headroom_only),
		ATTACHED(carries_super_packets_in_one_piece),
		ATTACHED(kicks_a_switch_that_sleeps_and_no_other),
		ATTACHED(ignores_a_ring_that_makes_no_sense),
		ATTACHED(gives_back_what_a_dead_process_held),
		UNATTACHED(gives_back_what_a_killed_process_held),
		UNATTACHED(leaves_alone_what_is_being_published),
		ATTACHED(recovers_from_indexes_that_were_overwritten),
		ATTACHED(counts_under_names_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

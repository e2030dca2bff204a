// SPDX-License-Identifier: MIT
/*
 * A switch that takes over from one that was killed. The dead one is a child process over shared memory, run one
 * machine instruction at a time: after each that changed anything, a copy of the region is adopted as if the child
 * had been killed there, and every slot must be accounted for. So every instruction at which kill -9 can strike is
 * tried, as the compiler really ordered them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core_bed.h"

/* ---- one process, one region after the other ---- */

static void rings_counters_and_free_slots_go_on(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct bed bed;
	struct vr next;
	int a, b;

	bed_make(&bed, &geo);
	a = bed_receive(&bed, 0, 60, 0);
	b = bed_receive(&bed, 0, 60, 0);
	rx_flush(&bed.vr, 0);
	assert_int_equal(peer_get(&bed.peer.rx[0]), a);
	vr_sleep(&bed.vr);
	vr_leave(&bed.vr);

	memset(bed.memory, 0xff, vr_memory(&geo));
	assert_int_equal(vr_adopt(&next, &geo, bed.control, bed.pool, bed.memory), 0);
	bed.vr = next;
	assert_null(bed_fault(&bed, 0));
	assert_int_equal(bed.vr.header->status, EUROPA_ATTACHED);
	assert_int_equal(bed.vr.header->epoch, 2);
	assert_false(ring_wants_wakeup(&bed.peer.tx[0]));
	assert_false(ring_wants_wakeup(&bed.peer.free));
	assert_int_equal(bed.vr.vnic_stats[0].rx_packets, 2);
	assert_int_equal(bed.vr.nfree_slots, 6);

	assert_true(bed_receive(&bed, 0, 60, 0) >= 0);
	rx_flush(&bed.vr, 0);
	assert_int_equal(peer_get(&bed.peer.rx[0]), b);
	assert_true(peer_get(&bed.peer.rx[0]) >= 0);
	peer_post(&bed.peer.free, a);
	peer_post(&bed.peer.free, b);
	pool_turn(&bed.vr, 64, &(bool){ 0 });
	assert_int_equal(bed.vr.stats->violations, 0);
	assert_null(bed_fault(&bed, 0));
	bed_free(&bed);
}

static void a_request_is_withdrawn_where_nobody_remembers_its_fence(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct bed bed;
	u32 asked, withdrawn;

	bed_make(&bed, &geo);
	assert_int_equal(request_what(request_seen(bed.vr.header)), EUROPA_ASK_NOTHING);
	vr_quiesce(&bed.vr, EUROPA_QUIESCE_IN);
	asked = vr_ask(&bed.vr, EUROPA_ASK_SAVE);
	assert_int_equal(request_seen(bed.vr.header), asked);
	assert_int_equal(request_what(asked), EUROPA_ASK_SAVE);

	assert_int_equal(vr_adopt(&bed.vr, &geo, bed.control, bed.pool, bed.memory), 0);
	withdrawn = request_seen(bed.vr.header);
	assert_int_equal(request_what(withdrawn), EUROPA_ASK_NOTHING);
	assert_int_not_equal(withdrawn, asked);
	assert_int_equal(bed.vr.header->status, EUROPA_ATTACHED);

	assert_int_equal(vr_adopt(&bed.vr, &geo, bed.control, bed.pool, bed.memory), 0);
	assert_int_equal(request_seen(bed.vr.header), withdrawn);
	assert_int_not_equal(vr_ask(&bed.vr, EUROPA_ASK_SAVE), asked);
	bed_free(&bed);
}

static void a_vr_in_quarantine_stays_there(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct bed bed;

	bed_make(&bed, &geo);
	vr_violation(&bed.vr, 0, EUROPA_DROP_BAD_INDEX, VR_TOLERANCE);
	assert_int_equal(vr_adopt(&bed.vr, &geo, bed.control, bed.pool, bed.memory), 0);
	assert_true(bed.vr.quarantined);
	assert_int_equal(bed.vr.header->status, EUROPA_QUARANTINED);
	assert_int_equal(bed_receive(&bed, 0, 60, 0), -1);
	bed_free(&bed);
}

static void a_switch_that_leaves_in_good_order_is_no_pardon(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct bed bed;

	bed_make(&bed, &geo);
	vr_leave(&bed.vr);
	assert_int_equal(bed.vr.header->status, EUROPA_DETACHED);

	assert_int_equal(vr_adopt(&bed.vr, &geo, bed.control, bed.pool, bed.memory), 0);
	vr_violation(&bed.vr, 0, EUROPA_DROP_BAD_INDEX, VR_TOLERANCE);
	vr_leave(&bed.vr);
	assert_int_equal(vr_adopt(&bed.vr, &geo, bed.control, bed.pool, bed.memory), 0);
	assert_true(bed.vr.quarantined);
	assert_int_equal(bed.vr.header->status, EUROPA_QUARANTINED);
	bed_free(&bed);
}

static void spoil_magic(struct bed *bed) { bed->vr.header->magic++; }
static void spoil_major(struct bed *bed) { bed->vr.header->major++; }
static void spoil_geometry(struct bed *bed) { bed->vr.header->geometry.nslots++; }
static void spoil_offsets(struct bed *bed) { bed->vr.header->offsets.pool_slots++; }
static void spoil_count(struct bed *bed) { bed->vr.rx[1].mine->txn_count = 17; }
static void spoil_base(struct bed *bed)
{
	bed->vr.tx[0].mine->txn_base = 5;
	bed->vr.tx[0].mine->txn_count = 1;
}

static void what_is_no_region_is_refused(void **state)
{
	static void (*const spoil[])(struct bed *) = {
		spoil_magic, spoil_major, spoil_geometry, spoil_offsets, spoil_count, spoil_base,
	};
	struct europa_geometry geo = small_geometry();
	struct bed bed;
	size_t i;

	for (i = 0; i < sizeof(spoil) / sizeof(spoil[0]); i++) {
		bed_make(&bed, &geo);
		spoil[i](&bed);
		if (vr_adopt(&bed.vr, &geo, bed.control, bed.pool, bed.memory) != -EINVAL)
			fail_msg("spoilt in way %zu, and adopted", i);
		bed_free(&bed);
	}
}

/* ---- killed at every instruction ---- */

/* What both processes see; the region first. */
struct shared {
	struct bed bed;
	u32 stage;              /* operations of the switch that are over */
};

/* The slots that the VR has in its hands, neither in a ring that it reads nor in one that it has written. */
static bool held[2048];

static void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

static void switch_works(struct shared *shared)
{
	struct bed *bed = &shared->bed;
	struct tx_frame frames[VR_BATCH];
	u32 looked, n;
	bool wake;

	bed_receive(bed, 0, 60, 1);
	bed_receive(bed, 0, 60, 2);
	bed_receive(bed, 0, 60, 3);
	rx_flush(&bed->vr, 0);
	bed_receive(bed, 1, 500, 4);
	rx_flush(&bed->vr, 1);
	WRITE_ONCE(shared->stage, 1);

	pool_turn(&bed->vr, 64, &wake);
	WRITE_ONCE(shared->stage, 2);

	n = tx_take(&bed->vr, 0, frames, VR_BATCH, &looked);
	tx_done(&bed->vr, frames, n);
	n = tx_take(&bed->vr, 1, frames, VR_BATCH, &looked);
	bed_receive(bed, 1, 60, 5);
	rx_flush(&bed->vr, 1);
	tx_done(&bed->vr, frames, n);
	WRITE_ONCE(shared->stage, 3);

	pool_turn(&bed->vr, 64, &wake);
	bed_receive(bed, 0, 60, 6);
	bed_receive(bed, 0, 60, 7);
	rx_flush(&bed->vr, 0);
	WRITE_ONCE(shared->stage, 4);
}

static void hold(int slot)
{
	assert_true(slot >= 0 && !held[slot]);
	held[slot] = true;
}

static u32 let_go(u32 slot)
{
	assert_true(held[slot]);
	held[slot] = false;
	return slot;
}

/* What the VR does when the switch has come to a stage. */
static void vr_works(struct bed *bed, u32 stage)
{
	static int a, b, run, mine;

	switch (stage) {
	case 1:
		hold(a = peer_get(&bed->peer.rx[0]));
		hold(b = peer_get(&bed->peer.rx[0]));
		hold(run = peer_get(&bed->peer.rx[1]));
		peer_post(&bed->peer.free, let_go(b));
		peer_send(bed, 0, let_go(a));
		break;
	case 2:
		hold(mine = peer_get(&bed->peer.alloc));
		bed->vr.meta[mine] = (struct europa_slot){ .offset = EUROPA_HEADROOM, .len = 60 };
		peer_send(bed, 0, let_go(mine));
		peer_post(&bed->peer.tx[1], let_go(run));       /* not PROCESSED */
		hold(mine = peer_get(&bed->peer.alloc));
		peer_send(bed, 1, let_go(mine));                /* no length */
		break;
	case 3:
		hold(a = peer_get(&bed->peer.rx[0]));
		hold(b = peer_get(&bed->peer.rx[1]));
		peer_post(&bed->peer.free, let_go(a));
		peer_post(&bed->peer.free, let_go(b));
		break;
	}
}

/* Every entry between consumer and producer: one more place where that slot is. */
static void count_ring(const struct ring *consumer, u32 from, u32 to, u8 *places)
{
	assert_true(to - from <= consumer->size);
	for (; from != to; from++)
		places[consumer->entries[from & (consumer->size - 1)]]++;
}

/* The VR's slots are exactly those in its hands and in the rings, each in one place. */
static void assert_nothing_lost(const struct bed *bed)
{
	const struct peer *peer = &bed->peer;
	u8 places[2048] = { 0 };
	u32 i;

	assert_true(bed->vr.nindexes <= sizeof(places));
	for (i = 0; i < bed->geo.nvnics; i++) {
		count_ring(&peer->rx[i], peer->rx[i].mine->index, bed->vr.rx[i].index, places);
		count_ring(&peer->tx[i], bed->vr.tx[i].index, peer->tx[i].mine->index, places);
	}
	count_ring(&peer->alloc, peer->alloc.mine->index, bed->vr.alloc.index, places);
	count_ring(&peer->free, bed->vr.free.index, peer->free.mine->index, places);
	for (i = 0; i < bed->vr.nindexes; i++) {
		u32 found = places[i] + held[i];

		if (found != (bed->vr.owners[i] == EUROPA_OWNER_VR))
			fail_msg("slot %u is the %s's and in %u places of the VR", i,
				 bed->vr.owners[i] == EUROPA_OWNER_VR ? "VR" : "switch", found);
	}
}

/* The region of `bed` into `copy`, as far as adopting looks at it, with an honest VR's view of the copy. */
static void copy_region(struct bed *copy, const struct bed *bed)
{
	memcpy(copy->control, bed->control, bed->off.control_size);
	memcpy(copy->pool, bed->pool, bed->off.pool_slots);
	peer_open(copy);
}

static void adopt_copy(struct bed *copy, const struct bed *bed)
{
	const char *fault;

	copy_region(copy, bed);
	assert_int_equal(vr_adopt(&copy->vr, &copy->geo, copy->control, copy->pool, copy->memory), 0);
	fault = bed_fault(copy, 0);
	if (fault)
		fail_msg("%s", fault);
	assert_nothing_lost(copy);
}

static bool transfer_is_under_way(const struct bed *bed)
{
	const struct europa_line *lines = (void *)(bed->control + bed->off.control_lines);
	u32 i;

	for (i = 0; i < 2 + 2 * bed->geo.nvnics; i++) {
		if (lines[i].txn_count)
			return true;
	}
	return false;
}

/* A child that stops before `work`, to be run instruction by instruction. */
static pid_t start(void (*work)(struct shared *), struct shared *shared)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(1);
		raise(SIGSTOP);
		work(shared);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

/* false: it has ended by itself. */
static bool step(pid_t pid)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSTOPPED(status))
		return true;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return false;
}

static void shared_bed_make(struct shared *shared)
{
	struct europa_geometry geo = small_geometry();
	struct bed *bed = &shared->bed;

	bed_make(bed, &geo);
	free(bed->control);
	free(bed->pool);
	bed->control = share(bed->off.control_size);
	bed->pool = share(bed->off.pool_size);
	vr_init(&bed->vr, &geo, "bed", bed->control, bed->pool, bed->memory);
	peer_open(bed);
}

static void shared_bed_free(struct shared *shared)
{
	munmap(shared->bed.control, shared->bed.off.control_size);
	munmap(shared->bed.pool, shared->bed.off.pool_size);
	free(shared->bed.memory);
	munmap(shared, sizeof(*shared));
}

static void adopts(struct shared *shared)
{
	struct bed *bed = &shared->bed;

	vr_adopt(&bed->vr, &bed->geo, bed->control, bed->pool, bed->memory);
}

/* The second switch, too, is killed at every instruction while it adopts what the first has left. Returns places tried. */
static u32 kill_the_successor(const struct bed *left, struct bed *copy, u8 *last)
{
	struct shared *second = share(sizeof(*second));
	u32 tried = 0;
	pid_t pid;

	shared_bed_make(second);
	copy_region(&second->bed, left);
	memcpy(last, second->bed.control, left->off.control_size);
	pid = start(adopts, second);
	while (step(pid)) {
		if (!memcmp(last, second->bed.control, left->off.control_size))
			continue;
		memcpy(last, second->bed.control, left->off.control_size);
		adopt_copy(copy, &second->bed);
		tried++;
	}
	shared_bed_free(second);
	return tried;
}

static void killed_at_any_instruction_it_loses_no_slot(void **state)
{
	struct shared *shared = share(sizeof(*shared));
	struct bed copy, *bed = &shared->bed;
	u32 stage = 0, tried = 0, under_way = 0, tried_twice = 0;
	u8 *last, *last_of_second;
	pid_t pid;

	shared_bed_make(shared);
	bed_make(&copy, &bed->geo);
	last = zeroed(bed->off.control_size);
	last_of_second = zeroed(bed->off.control_size);
	pid = start(switch_works, shared);
	while (step(pid)) {
		if (stage != READ_ONCE(shared->stage))
			vr_works(bed, ++stage);
		if (!memcmp(last, bed->control, bed->off.control_size))
			continue;
		memcpy(last, bed->control, bed->off.control_size);
		adopt_copy(&copy, bed);
		tried++;
		if (!transfer_is_under_way(bed))
			continue;
		under_way++;
		tried_twice += kill_the_successor(bed, &copy, last_of_second);
	}
	assert_int_equal(stage, 4);
	print_message("killed at %u places, %u of them in the middle of a transfer; the successor at %u\n", tried, under_way,
		      tried_twice);
	/* 9 transfers: each is announced, done and published, 4 states at least. */
	assert_true(under_way >= 27);
	assert_true(tried > under_way);
	assert_true(tried_twice > under_way);
	free(last);
	free(last_of_second);
	bed_free(&copy);
	shared_bed_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_counters_and_free_slots_go_on),
		cmocka_unit_test(a_request_is_withdrawn_where_nobody_remembers_its_fence),
		cmocka_unit_test(a_vr_in_quarantine_stays_there),
		cmocka_unit_test(a_switch_that_leaves_in_good_order_is_no_pardon),
		cmocka_unit_test(what_is_no_region_is_refused),
		cmocka_unit_test(killed_at_any_instruction_it_loses_no_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/* Geometries that are refused and chosen, and where everything in the region ends up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "core/layout.h"

#define ANY 0xffffffffu

static struct europa_geometry good(void)
{
	struct europa_geometry geo;

	geometry_choose(&geo, 2, 2048, 0, 0, ANY);
	return geo;
}

#define WRONG(field, value, says) { offsetof(struct europa_geometry, field), value, says }

static void wrong_geometries_are_refused_with_the_reason(void **state)
{
	static const struct { size_t field; u32 value; const char *says; } cases[] = {
		WRONG(nvnics, 33, "vNICs"),
		WRONG(nvnics, ANY, "vNICs"),
		WRONG(nslots, 0, "number of slots"),
		WRONG(nslots, 1, "number of slots"),
		WRONG(nslots, EUROPA_MAX_SLOTS + 1, "number of slots"),
		WRONG(nslots, ANY, "number of slots"),
		WRONG(slot_stride, 0, "slot size"),
		WRONG(slot_stride, 512, "slot size"),
		WRONG(slot_stride, 65536, "slot size"),
		WRONG(slot_stride, ANY, "slot size"),
		WRONG(slot_stride, 2048, "odd multiple"),
		WRONG(slot_stride, 2111, "odd multiple"),
		WRONG(run_slots, 0, "a run"),
		WRONG(run_slots, 16, "a run"),
		WRONG(run_slots, 33, "a run"),
		WRONG(run_slots, 64, "a run"),
		WRONG(nruns, EUROPA_MAX_SLOTS / 32, "too many runs"),
		WRONG(nruns, ANY, "too many runs"),
		WRONG(ring_size, 0, "ring size"),
		WRONG(ring_size, 8, "ring size"),
		WRONG(ring_size, 1000, "ring size"),
		WRONG(ring_size, 1u << 17, "ring size"),
		WRONG(pool_ring_size, 0, "pool ring"),
		WRONG(pool_ring_size, 1024, "pool ring"),
		WRONG(pool_ring_size, 3000, "pool ring"),
		WRONG(pool_ring_size, 1u << 21, "pool ring"),
		WRONG(alloc_target, 2049, "alloc target"),
	};
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct europa_geometry geo = good();

		why = NULL;
		memcpy((char *)&geo + cases[i].field, &cases[i].value, sizeof(u32));
		if (geometry_check(&geo, &why) != -EINVAL)
			fail_msg("case %zu was not refused", i);
		if (!strstr(why, cases[i].says))
			fail_msg("case %zu: \"%s\" does not speak of \"%s\"", i, why, cases[i].says);
	}
}

static void what_is_chosen_is_accepted(void **state)
{
	static const u32 vnics[] = { 0, 1, 2, 32 };
	static const u32 slots[] = { 2, 3, 63, 64, 2048, 5000, 1000000, EUROPA_MAX_SLOTS };
	static const u32 sizes[] = { 0, 1, 576, 577, 640, 2048, 2112, 9216, 65472 };
	static const u32 rings[] = { 0, 1, 16, 1000, 65536 };
	size_t v, s, z, r;

	for (v = 0; v < sizeof(vnics) / sizeof(u32); v++)
	for (s = 0; s < sizeof(slots) / sizeof(u32); s++)
	for (z = 0; z < sizeof(sizes) / sizeof(u32); z++)
	for (r = 0; r < sizeof(rings) / sizeof(u32); r++) {
		struct europa_geometry geo;
		const char *why = "";

		geometry_choose(&geo, vnics[v], slots[s], sizes[z], rings[r], ANY);
		if (geometry_check(&geo, &why) < 0)
			fail_msg("%u vNICs, %u slots of %u, ring %u: %s", vnics[v], slots[s], sizes[z], rings[r], why);
		assert_true(geo.slot_stride >= sizes[z]);
		assert_true(geo.ring_size >= rings[r]);
		assert_int_equal(geo.nslots, slots[s]);
	}
}

static void what_cannot_be_is_not_rounded_into_what_can(void **state)
{
	struct europa_geometry geo;
	const char *why;

	geometry_choose(&geo, 2, 64, 65473, 0, ANY);
	assert_int_equal(geometry_check(&geo, &why), -EINVAL);
	geometry_choose(&geo, 2, 64, ANY, 0, ANY);
	assert_int_equal(geometry_check(&geo, &why), -EINVAL);
	geometry_choose(&geo, 2, 64, 0, 65537, ANY);
	assert_int_equal(geometry_check(&geo, &why), -EINVAL);
	geometry_choose(&geo, 2, 64, 0, ANY, ANY);
	assert_int_equal(geometry_check(&geo, &why), -EINVAL);
	geometry_choose(&geo, 2, ANY, 0, 0, 5);
	assert_int_equal(geometry_check(&geo, &why), -EINVAL);
	geometry_choose(&geo, 33, 64, 0, 0, 0);
	assert_int_equal(geometry_check(&geo, &why), -EINVAL);
	geometry_choose(&geo, 2, 1, 0, 0, 0);
	assert_int_equal(geometry_check(&geo, &why), -EINVAL);
}

static void defaults(void **state)
{
	struct europa_geometry geo = good();

	assert_int_equal(geo.slot_stride, 2112);
	assert_int_equal(geo.run_slots, 32);
	assert_int_equal(geo.nruns, 64);
	assert_int_equal(geo.ring_size, 1024);
	assert_int_equal(geo.pool_ring_size, 4096);
	assert_int_equal(geo.alloc_target, 128);
}

static void a_run_holds_the_largest_super_packet(void **state)
{
	u32 lines;

	for (lines = 9; lines <= 1023; lines += 2) {
		struct europa_geometry geo;

		geometry_choose(&geo, 1, 64, lines * 64, 0, 4);
		assert_true(geo.slot_stride * geo.run_slots >= EUROPA_SUPER_BYTES);
		assert_true(geo.run_slots == 1 || geo.slot_stride * geo.run_slots / 2 < EUROPA_SUPER_BYTES);
		assert_int_equal(geometry_slot_bytes(&geo, 63), geo.slot_stride);
		assert_int_equal(geometry_slot_bytes(&geo, 64), geo.slot_stride * geo.run_slots);
	}
}

/* Blocks in the order of the drawing, none over the next, each on a line, within the whole. */
static void assert_blocks(const u64 (*blocks)[2], size_t n, u64 size)
{
	u64 end = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		assert_true(blocks[i][0] >= end);
		assert_int_equal(blocks[i][0] % EUROPA_CACHE_LINE, 0);
		end = blocks[i][0] + blocks[i][1];
	}
	assert_true(end <= size);
	assert_true(size - end < 4096);
	assert_int_equal(size % 4096, 0);
}

static void blocks_do_not_overlap(void **state)
{
	static const u32 vnics[] = { 0, 1, 2, 32 };
	static const u32 slots[] = { 2, 2049, EUROPA_MAX_SLOTS };
	size_t v, s;

	for (v = 0; v < 4; v++)
	for (s = 0; s < 3; s++) {
		struct europa_geometry geo;
		struct europa_offsets off;
		u32 lines, rings, indexes;

		geometry_choose(&geo, vnics[v], slots[s], slots[s] > 4096 ? 65472 : 0, 16, slots[s] == 2 ? 2 : ANY);
		layout_compute(&geo, &off);
		lines = 64 * (2 + 2 * geo.nvnics);
		rings = 4 * (geo.pool_ring_size + geo.nvnics * geo.ring_size);
		indexes = geometry_indexes(&geo);
		assert_blocks((const u64[][2]){
			{ 0, sizeof(struct europa_header) },
			{ off.control_lines, lines },
			{ off.control_vnics, geo.nvnics * sizeof(struct europa_vnic) },
			{ off.control_stats, sizeof(struct europa_vr_stats) + geo.nvnics * sizeof(struct europa_vnic_stats) },
			{ off.control_rings, rings },
			{ off.control_owners, indexes },
		}, 6, off.control_size);
		assert_true(off.pool_slots - off.pool_meta - (u64)indexes * 32 < 4096);
		assert_blocks((const u64[][2]){
			{ 0, sizeof(struct europa_pool_header) },
			{ off.pool_lines, lines },
			{ off.pool_counters, EUROPA_DP_COUNTERS * sizeof(struct europa_dp_counter) },
			{ off.pool_rings, rings },
			{ off.pool_meta, (u64)indexes * 32 },
			{ off.pool_slots, (u64)indexes * geo.slot_stride },
		}, 6, off.pool_size);
	}
}

static void each_ring_has_entries_of_its_own(void **state)
{
	struct europa_geometry geo = good();

	assert_int_equal(layout_ring(&geo, EUROPA_RING_FREE), 0);
	assert_int_equal(layout_ring(&geo, EUROPA_RING_ALLOC), 0);
	assert_int_equal(layout_ring(&geo, EUROPA_RING_RX(0)), 4 * 4096);
	assert_int_equal(layout_ring(&geo, EUROPA_RING_TX(0)), 4 * 4096);
	assert_int_equal(layout_ring(&geo, EUROPA_RING_RX(1)), 4 * (4096 + 1024));
	assert_int_equal(layout_ring(&geo, EUROPA_RING_TX(1)), 4 * (4096 + 1024));
}

static void inside_a_run_no_index_names_a_slot(void **state)
{
	struct europa_geometry geo;
	u32 slot;

	geometry_choose(&geo, 1, 5, 0, 0, 3);
	for (slot = 0; slot < 5 + 3 * 32 + 40; slot++) {
		bool names = slot < 5 || slot == 5 || slot == 5 + 32 || slot == 5 + 64;

		assert_int_equal(geometry_names_slot(&geo, slot), names);
	}
	assert_false(geometry_names_slot(&geo, ANY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_geometries_are_refused_with_the_reason),
		cmocka_unit_test(what_is_chosen_is_accepted),
		cmocka_unit_test(what_cannot_be_is_not_rounded_into_what_can),
		cmocka_unit_test(defaults),
		cmocka_unit_test(a_run_holds_the_largest_super_packet),
		cmocka_unit_test(blocks_do_not_overlap),
		cmocka_unit_test(each_ring_has_entries_of_its_own),
		cmocka_unit_test(inside_a_run_no_index_names_a_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

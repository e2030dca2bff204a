// SPDX-License-Identifier: MIT
/* The generator: what its arguments say, and that it makes no more than there is room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/generator.h"
#include "tests/unit/core_bed.h"

static const u8 mac[6] = { 2, 1, 2, 3, 4, 5 };
static struct generator g;

static void arguments_are_taken(void **state)
{
	static const struct { const char *text; u32 size, burst; u64 left; } rows[] = {
		{ "", 64, 32, ~0ull },
		{ "size=60", 60, 32, ~0ull },
		{ "size=9014,burst=64,count=0", 9014, 64, 0 },
		{ ",burst=1,,count=18446744073709551615,", 64, 1, ~0ull },
	};
	struct text word;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(generator_init(&g, rows[i].text, mac, &word), 0);
		assert_int_equal(g.size, rows[i].size);
		assert_int_equal(g.burst, rows[i].burst);
		assert_true(g.left == rows[i].left);
		assert_memory_equal(g.template, mac, 6);
		assert_int_equal(g.template[16] << 8 | g.template[17], g.size - 14);
	}
}

static void what_is_not_known_is_named(void **state)
{
	static const struct { const char *text, *word; } rows[] = {
		{ "size=59", "size=59" }, { "size=9015", "size=9015" }, { "burst=0", "burst=0" }, { "burst=65", "burst=65" },
		{ "size", "size" }, { "size=", "size=" }, { "=64", "=64" }, { "sizes=64", "sizes=64" }, { "size=64x", "size=64x" },
		{ "burst=2,count=-1,size=64", "count=-1" }, { "size=0x40", "size=0x40" }, { "count=18446744073709551616", "count=18446744073709551616" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct text word;

		assert_int_equal(generator_init(&g, rows[i].text, mac, &word), -EINVAL);
		assert_true(text_is(word, rows[i].word));
	}
}

static void it_makes_what_there_is_room_for_and_no_more(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct bed bed;
	struct text word;
	bool wake;

	bed_make(&bed, &geo);
	assert_int_equal(generator_init(&g, "count=11", mac, &word), 0);
	/* 8 slots, of which the VR has some to send from. */
	for (u32 made = 0, n = 1; n; made += n) {
		n = generator_make(&g, &bed.vr, 1, 3, &wake);
		assert_true(n <= 3 && made + n <= 8);
		assert_int_equal(g.left, 11 - made - n);
	}
	assert_int_equal(bed.vr.vnic_stats[1].drops[EUROPA_DROP_RX_NO_SLOT], 0);
	assert_true(g.left > 0);
	bed_free(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_taken),
		cmocka_unit_test(what_is_not_known_is_named),
		cmocka_unit_test(it_makes_what_there_is_room_for_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The unit tests of the core are written for cmocka and a C library. This is what they use of both, on KUnit: so the same files, unchanged,
 * are tables for the kernel, where the core is compiled as the module has it and KASAN watches its memory.
 *
 * It is included before the first line of each test (Kbuild); the C library's headers that they ask for are there and empty. main() gets
 * another name, and is called from unit.c.
 */
#ifndef EUROPA_TEST_VM_CMOCKA_H
#define EUROPA_TEST_VM_CMOCKA_H

#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>

struct CMUnitTest {
	const char *name;
	void (*test)(void **state);
	int (*setup)(void **state);
	int (*teardown)(void **state);
};

#define cmocka_unit_test(test) cmocka_unit_test_setup_teardown(test, NULL, NULL)
#define cmocka_unit_test_setup_teardown(test, setup, teardown) { #test, test, setup, teardown }
#define cmocka_run_group_tests(tests, setup, teardown) unit_run(UNIT_GROUP, tests, ARRAY_SIZE(tests))

/* Runs them one after the other, says in the log how each ended. 0. */
int unit_run(const char *group, const struct CMUnitTest *tests, size_t n);
/* Ends the test, and the thread that it is. */
__printf(3, 4) void unit_fail(const char *file, int line, const char *format, ...);

#define unit_check(holds, format, ...) \
	do { if (!(holds)) unit_fail(__FILE__, __LINE__, format, ##__VA_ARGS__); } while (0)
#define unit_check_equal(a, b) \
	do { \
		u64 a_ = (u64)(a), b_ = (u64)(b); \
		unit_check(a_ == b_, "%s is 0x%llx, not %s, which is 0x%llx", #a, a_, #b, b_); \
	} while (0)

#define fail_msg(format, ...)           unit_check(false, format, ##__VA_ARGS__)
#define assert_true(what)               unit_check(what, "not true: %s", #what)
#define assert_false(what)              unit_check(!(what), "true: %s", #what)
#define assert_null(what)               unit_check_equal((uintptr_t)(what), 0)
#define assert_non_null(what)           unit_check(what, "NULL: %s", #what)
#define assert_int_equal(a, b)          unit_check_equal(a, b)
#define assert_string_equal(a, b)       unit_check(!strcmp(a, b), "\"%s\" is not \"%s\"", a, b)
#define assert_memory_equal(a, b, size) unit_check(!memcmp(a, b, size), "%s and %s differ", #a, #b)

#define UINT32_MAX                      U32_MAX

/* Not of the best, but the same after each srand(). */
void srand(unsigned int seed);
int rand(void);

/* Pages, and all else byte by byte: what goes beyond is seen. */
#define malloc(size)                    kvmalloc(size, GFP_KERNEL)
#define calloc(n, size)                 kvcalloc(n, size, GFP_KERNEL)
#define aligned_alloc(alignment, size)  kvmalloc(size, GFP_KERNEL)
#define free(memory)                    kvfree(memory)
#define abort()                         BUG()

#endif

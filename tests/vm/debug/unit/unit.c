// SPDX-License-Identifier: GPL-2.0
/*
 * The core's unit tests in a kernel: one KUnit suite for each file of tests/unit, one case for each test in it. Loading the module runs them
 * all; what came of them is in the kernel's log, as KTAP.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/sched.h>

/* Last: it gives malloc() and free() another meaning. */
#include "cmocka.h"

static const struct CMUnitTest *running;        /* the group's */
static struct kunit_case *cases;
static u32 chance;

void srand(unsigned int seed)
{
	chance = seed;
}

int rand(void)
{
	chance = chance * 1664525 + 1013904223;
	return chance >> 8;
}

void unit_fail(const char *file, int line, const char *format, ...)
{
	struct va_format text = { .fmt = format };
	va_list arguments;

	va_start(arguments, format);
	text.va = &arguments;
	kunit_err(current->kunit_test, "%s:%d: %pV", kbasename(file), line, &text);
	va_end(arguments);
	KUNIT_ASSERT_TRUE(current->kunit_test, false);
}

/* KUnit doesn't say which case it is running; their names are the same pointers. */
static void run_case(struct kunit *kunit)
{
	const struct CMUnitTest *test = running;
	void *state = NULL;

	while (test->name != kunit->name)
		test++;
	if (test->setup)
		assert_int_equal(test->setup(&state), 0);
	test->test(&state);
	if (test->teardown)
		assert_int_equal(test->teardown(&state), 0);
}

int unit_run(const char *group, const struct CMUnitTest *tests, size_t n)
{
	struct kunit_suite suite = { 0 };
	size_t i;

	cases = kcalloc(n + 1, sizeof(*cases), GFP_KERNEL);
	if (!cases)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		cases[i].run_case = run_case;
		cases[i].name = tests[i].name;
	}
	running = tests;
	strscpy((char *)suite.name, group, sizeof(suite.name));
	suite.test_cases = cases;
	kunit_run_tests(&suite);
	kfree(cases);
	return 0;
}

#define DECLARE(test) int test##_main(void);
#define MAIN(test) test##_main,

EACH_TEST(DECLARE)

static int __init unit_init(void)
{
	static int (*const mains[])(void) = { EACH_TEST(MAIN) };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mains); i++) {
		int r = mains[i]();

		if (r < 0)
			return r;
	}
	return 0;
}

static void __exit unit_exit(void)
{
}

module_init(unit_init);
module_exit(unit_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Europa: the core's unit tests");

/* SPDX-License-Identifier: MIT */
/* What most tests of the core begin and end with: a small region, and books that are right. Behind <cmocka.h>. */
#ifndef EUROPA_TEST_CORE_FIXTURE_H
#define EUROPA_TEST_CORE_FIXTURE_H

#include "core_bed.h"

static inline int bed_setup(void **state)
{
	static struct bed bed;
	struct europa_geometry geo = small_geometry();

	bed_make(&bed, &geo);
	*state = &bed;
	return 0;
}

static inline int bed_teardown(void **state)
{
	struct bed *bed = *state;

	assert_null(bed_fault(bed, 0));
	bed_free(bed);
	return 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/* The CPU's clock: what a round costs, without a system call. */
#ifndef EUROPA_ENGINE_CYCLES_H
#define EUROPA_ENGINE_CYCLES_H

#include <time.h>

#include "core/env.h"

#if defined(__x86_64__)
static inline u64 cycles(void)
{
	return __builtin_ia32_rdtsc();
}
#else
static inline u64 cycles(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}
#endif

/* Measured over a millisecond. */
static inline u64 cycles_per_us(void)
{
	struct timespec pause = { .tv_nsec = 1000000 }, before, after;
	u64 start = cycles(), us;

	clock_gettime(CLOCK_MONOTONIC, &before);
	nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &after);
	us = (after.tv_sec - before.tv_sec) * 1000000ull + (after.tv_nsec - before.tv_nsec) / 1000;
	return (cycles() - start) / (us ? us : 1);
}

#endif

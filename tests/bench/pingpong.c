// SPDX-License-Identifier: MIT
/*
 * How far apart two CPUs are: one cache line goes to and fro between two threads, each pinned to its CPU. What a hand-off between
 * processes can reach depends on this more than on anything else, and on rented machines it changes from hour to hour.
 *
 *	pingpong [CPU CPU]
 *
 * Prints the median of 21 runs: nanoseconds and TSC cycles for one way. A few nanoseconds: siblings of one core; 20 to 100: two
 * cores that share a cache; more: two sockets.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS   21
#define ROUNDS 50000u

static _Alignas(128) volatile uint32_t ball;
static int cpus[2] = { 0, 1 };

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t cycles(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0) {
		fprintf(stderr, "pingpong: no CPU %d\n", cpu);
		exit(1);
	}
}

/* Side 0 plays on even numbers, side 1 on odd ones. */
static void play(uint32_t side)
{
	for (uint32_t round = side; round < 2 * ROUNDS; round += 2) {
		while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != round)
			;
		__atomic_store_n(&ball, round + 1, __ATOMIC_RELEASE);
	}
}

static void *other_side(void *arg)
{
	pin(cpus[1]);
	play(1);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	double ns[RUNS], tsc[RUNS];

	if (argc == 3) {
		cpus[0] = atoi(argv[1]);
		cpus[1] = atoi(argv[2]);
	} else if (argc != 1) {
		fputs("usage: pingpong [CPU CPU]\n", stderr);
		return 2;
	}
	if (cpus[0] == cpus[1]) {
		fputs("pingpong: two different CPUs are wanted\n", stderr);
		return 2;
	}
	pin(cpus[0]);
	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t start, first;
		pthread_t thread;

		ball = 0;
		if (pthread_create(&thread, NULL, other_side, NULL)) {
			fputs("pingpong: no thread\n", stderr);
			return 1;
		}
		start = now_ns();
		first = cycles();
		play(0);
		pthread_join(thread, NULL);
		ns[run] = (double)(now_ns() - start) / (2.0 * ROUNDS);
		tsc[run] = (double)(cycles() - first) / (2.0 * ROUNDS);
	}
	qsort(ns, RUNS, sizeof(ns[0]), by_value);
	qsort(tsc, RUNS, sizeof(tsc[0]), by_value);
	printf("%.1f ns %.0f cycles\n", ns[RUNS / 2], tsc[RUNS / 2]);
	return 0;
}

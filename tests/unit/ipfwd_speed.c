// SPDX-License-Identifier: MIT
/*
 * How fast the router's parts are by themselves: no test, it prints. Cycles are the TSC's, which ticks at its own
 * constant rate. Medians of several rounds.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "images/ipfwd/ipv4.h"
#include "images/ipfwd/route.h"
#include "images/ipfwd/state.h"
#include "tests/unit/ipfwd_bed.h"
#include "tests/unit/ipfwd_tables.h"

#define ROUTES   930000         /* of which about 900,000 are different */
#define ROUNDS   9
#define LOOKUPS  (1 << 22)

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, unsigned n)
{
	qsort(values, n, sizeof *values, by_value);
	return values[n / 2];
}

static double cycles_per_second(void)
{
	double start = seconds();
	u64 tsc = __rdtsc();

	while (seconds() - start < 0.05)
		;
	return (double)(__rdtsc() - tsc) / (seconds() - start);
}

static size_t full_table(struct fib_route **routes)
{
	*routes = calloc(ROUTES, sizeof **routes);
	return table_internet(*routes, ROUTES, 500, 1);
}

/* Destinations inside the table's routes, each route as likely as any other. */
static u32 *random_destinations(const struct fib_route *routes, size_t n)
{
	u32 *dst = malloc(LOOKUPS * sizeof *dst);
	uint64_t seed = 99;

	for (unsigned i = 0; i < LOOKUPS; i++) {
		const struct fib_route *route = &routes[table_random(&seed) % n];

		dst[i] = route->prefix | ((u32)table_random(&seed) & ~table_mask(route->length));
	}
	return dst;
}

static void measure_table(void)
{
	double build[3], burst[ROUNDS], change[ROUNDS];
	struct fib_route *routes;
	size_t n = full_table(&routes), which;
	u32 *dst = random_destinations(routes, n);
	u16 nexthop[32];
	struct fib fib;
	u64 sum = 0;

	for (unsigned i = 0; i < 3; i++) {
		double start = seconds();

		fib_init(&fib);
		if (fib_build(&fib, routes, n, &which))
			abort();
		build[i] = seconds() - start;
		if (i < 2)
			fib_release(&fib);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		double start = seconds();

		for (unsigned k = 0; k < LOOKUPS; k += 32) {
			for (unsigned j = 0; j < 32; j++)
				fib_prefetch(&fib, dst[k + j]);
			fib_lookup_burst(&fib, dst + k, nexthop, 32);
			sum += nexthop[5];
		}
		burst[i] = LOOKUPS / (seconds() - start) / 1e6;
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		double start = seconds();

		for (size_t k = i; k < n; k += 50) {
			fib_delete(&fib, routes[k].prefix, routes[k].length);
			fib_set(&fib, routes[k].prefix, routes[k].length, routes[k].nexthop);
		}
		change[i] = (seconds() - start) / (double)(n / 50) * 1e6;
	}
	printf("table       %zu routes built in %.0f ms; %.0f million look-ups/s, random, bursts of 32; delete and add again %.2f us\n",
	       n, median(build, 3) * 1e3, median(burst, ROUNDS), median(change, ROUNDS));
	if (sum == 1)
		puts("");
	fib_release(&fib);
	free(dst);
	free(routes);
}

static void measure_config(void)
{
	enum { LINES = 1000000 };
	static struct europa_vnic vnics[2];
	struct europa eu = { .nvnics = 2, .vnics = vnics };
	char path[] = "/tmp/ipfwd-speed-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	double start, read;
	struct error e = { 0 };
	struct config config;
	struct router *r;

	for (u32 i = 0; i < LINES; i++)
		fprintf(f, "route %s/24 via 10.0.1.%u\n", dotted(IP(20, 0, 0, 0) + (i << 8)), 2 + i % 200);
	fclose(f);
	start = seconds();
	config_init(&config);
	if (config_read(&config, path, &e))
		abort();
	read = seconds() - start;
	r = router_new(&eu, 0);
	start = seconds();
	if (config_apply(&config, r, &e))
		abort();
	printf("config      %u routes read from a file in %.0f ms, and set up in %.0f ms\n", LINES, read * 1e3,
	       (seconds() - start) * 1e3);
	config_release(&config);
	router_free(r);
	unlink(path);

	start = seconds();
	r = router_new(&eu, 0);
	config_init(&config);
	config_apply(&config, r, &e);
	printf("            no configuration at all: ready in %.0f us\n", (seconds() - start) * 1e6);
	router_free(r);
}

static int put(void *fd, const void *bytes, size_t n)
{
	return write(*(int *)fd, bytes, n) == (ssize_t)n ? 0 : -errno;
}

/* What a checkpoint costs the router: its table out to a memfd, and from there into another router. */
static void measure_state(void)
{
	static struct europa_vnic vnics[2];
	struct europa eu = { .nvnics = 2, .vnics = vnics };
	struct route_target target = { .kind = NEXTHOP_GATEWAY };
	double save[3], load[3];
	struct fib_route *routes;
	size_t n = full_table(&routes), which, bytes = 0;
	struct router *r = router_new(&eu, 0);

	for (size_t i = 0; i < n; i++) {
		target.gateway = address_ipv4(IP(10, 0, 1, routes[i].nexthop % 256));
		routes[i].nexthop = route_target_id(r, FAMILY_IPV4, &target);
	}
	if (route_load(r, routes, n, &which))
		abort();
	for (unsigned i = 0; i < 3; i++) {
		int fd = memfd_create("state", MFD_CLOEXEC);
		struct router *next = router_new(&eu, 0);
		double start = seconds();
		struct error e = { 0 };
		void *blob;

		if (state_save(r, put, &fd))
			abort();
		save[i] = seconds() - start;
		bytes = (size_t)lseek(fd, 0, SEEK_END);
		start = seconds();
		blob = malloc(bytes);
		if (pread(fd, blob, bytes, 0) != (ssize_t)bytes || state_load(next, STATE_VERSION, blob, bytes, &e))
			abort();
		load[i] = seconds() - start;
		free(blob);
		close(fd);
		router_free(next);
	}
	printf("state       %zu routes saved in %.0f ms (%.1f MB), and loaded in %.0f ms\n", n, median(save, 3) * 1e3,
	       (double)bytes / 1e6, median(load, 3) * 1e3);
	router_free(r);
	free(routes);
}

/*
 * Slots with a packet each, from vNIC 0 to vNIC 1, `slots` of them in turn; only router_receive is timed: no ring,
 * no switch. The frames are made anew before each burst, as a switch would, which leaves them in this core's cache.
 */
static void measure_core(struct ipfwd_bed *b, const char *what, unsigned slots, const u32 *dst, double hertz)
{
	enum { BURSTS = 20000 };
	double rounds[ROUNDS];
	u32 burst[32], at = 0;
	u8 frame[FRAME_MOST];
	u32 len = make_packet(frame, &(struct packet_form){ .payload = 26 });
	struct europa *eu = b->bed.eu;

	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 cycles = 0;

		for (unsigned k = 0; k < BURSTS; k++) {
			u64 start;

			for (unsigned i = 0; i < 32; i++) {
				u32 slot = at++ % slots;
				struct europa_slot *meta = europa_meta(eu, slot);

				*meta = (struct europa_slot){ .state = EUROPA_SLOT_FILLED, .len = len, .offset = EUROPA_HEADROOM };
				memcpy(europa_data(eu, slot), frame, len);
				if (dst) {
					ipv4_of(europa_data(eu, slot))->dst = htonl(dst[(k * 32 + i) % LOOKUPS]);
					repair_checksum(europa_data(eu, slot));
				}
				burst[i] = slot;
			}
			start = __rdtsc();
			router_receive(b->r, 0, burst, 32);
			cycles += __rdtsc() - start;
			if (b->r->port[1].nout != 32)
				abort();
			b->r->port[1].nout = 0;
		}
		rounds[round] = (double)cycles / BURSTS / 32;
	}
	printf("forwarding  %5.1f cycles a packet, %5.1f million/s: %s\n", median(rounds, ROUNDS),
	       hertz / median(rounds, ROUNDS) / 1e6, what);
}

/* The standard configuration and a full table, half of it by each of vNIC 1's neighbours. */
static char *full_config(const struct fib_route *routes, size_t n)
{
	char *text = malloc(strlen(ipfwd_standard) + 1 + n * 64), *end = text + sprintf(text, "%s", ipfwd_standard);

	for (size_t i = 0; i < n; i++)
		if (routes[i].prefix >> 24 != 10 && routes[i].prefix >> 24 != 127)
			end += sprintf(end, "route %s/%u via 10.0.1.%u\n", dotted(routes[i].prefix), routes[i].length,
				       i % 2 ? 2 : 9);
	return text;
}

static void measure_forwarding(void)
{
	double hertz = cycles_per_second();
	struct fib_route *routes;
	size_t n = full_table(&routes), i;
	u32 *dst = random_destinations(routes, n);
	char *text = full_config(routes, n);
	struct ipfwd_bed *b = ipfwd_open(4096, ipfwd_standard);

	measure_core(b, "one flow, 32 slots", 32, NULL, hertz);
	measure_core(b, "one flow, 2048 slots", 2048, NULL, hertz);
	b = ipfwd_open(4096, text);
	for (i = 0; i < LOOKUPS; i++)
		if (dst[i] >> 24 == 10 || dst[i] >> 24 == 127 || dst[i] >> 16 == 0xa9fe)
			dst[i] = IP(10, 0, 1, 2);
	measure_core(b, "900,000 routes, random destinations, 32 slots", 32, dst, hertz);
	measure_core(b, "900,000 routes, random destinations, 2048 slots", 2048, dst, hertz);
	free(text);
	free(routes);
	free(dst);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	measure_table();
	measure_config();
	measure_state();
	measure_forwarding();
	return 0;
}

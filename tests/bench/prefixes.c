// SPDX-License-Identifier: MIT
/*
 * A table as large as the Internet's for whoever is to forward by it, the same at every run (tests/unit/ipfwd_tables.h): prefixes of a
 * realistic length, at random places. Networks of this host and of the tests' own addresses are left out.
 *
 *	prefixes N              N different prefixes, one a line, in no order
 *	prefixes N ADDRESSES    so many addresses instead, each inside one of these N prefixes, whichever it is
 */
#include <stdbool.h>
#include <stdio.h>

#include "tests/unit/ipfwd_tables.h"

#define MOST (1u << 22)

static void *allocate(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p) {
		perror("prefixes");
		exit(1);
	}
	return p;
}

static bool usable(uint32_t prefix)
{
	return prefix >> 24 != 10 && prefix >> 24 != 127 && prefix >> 16 != 0xa9fe;
}

static size_t drop_unusable(struct fib_route *routes, size_t n)
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++)
		if (usable(routes[i].prefix))
			routes[kept++] = routes[i];
	return kept;
}

/* At least n of them: of those made at random some are alike. */
static struct fib_route *make_routes(size_t n, size_t *made)
{
	struct fib_route *routes = NULL;
	size_t wanted = n;

	do {
		free(routes);
		wanted += wanted / 8 + 16;
		routes = allocate(wanted, sizeof *routes);
		*made = drop_unusable(routes, table_internet(routes, wanted, 1, 1));
	} while (*made < n);
	return routes;
}

/* So that the first ones are any ones. */
static void shuffle(struct fib_route *routes, size_t n, uint64_t *seed)
{
	for (size_t i = n; i > 1; i--) {
		size_t other = table_random(seed) % i;
		struct fib_route swap = routes[i - 1];

		routes[i - 1] = routes[other];
		routes[other] = swap;
	}
}

static void print_address(uint32_t a)
{
	printf("%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

static size_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || !value || value > MOST) {
		fprintf(stderr, "prefixes: \"%s\": expected 1 to %u\n", text, MOST);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	size_t n, made, addresses;
	struct fib_route *routes;
	uint64_t seed = 2;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: prefixes N [ADDRESSES]\n");
		return 2;
	}
	n = number(argv[1]);
	addresses = argc == 3 ? number(argv[2]) : 0;
	routes = make_routes(n, &made);
	shuffle(routes, made, &seed);
	for (size_t i = 0; i < addresses; i++) {
		const struct fib_route *route = &routes[table_random(&seed) % n];

		print_address(route->prefix | ((uint32_t)table_random(&seed) & ~table_mask(route->length)));
		putchar('\n');
	}
	for (size_t i = 0; !addresses && i < n; i++) {
		print_address(routes[i].prefix);
		printf("/%u\n", routes[i].length);
	}
	free(routes);
	return fflush(stdout) ? 1 : 0;
}

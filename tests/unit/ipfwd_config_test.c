// SPDX-License-Identifier: MIT
/* What may be written in a configuration, and what is said about the rest. */
#include "tests/unit/ipfwd_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Against a router with two vNICs. Returns the message, NULL: it is right. */
static const char *verdict(const char *text, size_t bytes)
{
	static struct europa_vnic vnics[2];
	static struct error e;
	struct europa eu = { .nvnics = 2, .vnics = vnics };
	struct router *r = router_new(&eu, 0);
	struct config config;
	int err;

	assert_non_null(r);
	e = (struct error){ 0 };
	config_init(&config);
	err = config_parse(&config, "conf", text, bytes, &e);
	if (!err)
		err = config_apply(&config, r, &e);
	config_release(&config);
	router_free(r);
	assert_int_equal(err != 0, e.code != 0);
	return err ? e.text : NULL;
}

#define PORTS "address 0 10.0.0.1/24\naddress 1 10.0.1.1/24\n"

static const struct { const char *text, *message; } refused[] = {
	{ "adress 0 10.0.0.1/24", "conf:1: \"adress\": not a statement; there are address, route, neighbour, vlan, icmp-rate, "
	  "redirects and source-check" },
	{ "\n\n  # comment\nbogus", "conf:4: \"bogus\": not a statement; there are address, route, neighbour, vlan, icmp-rate, "
	  "redirects and source-check" },

	{ "address", "conf:1: \"address\": words are missing after it; try \"address N ADDRESS/LENGTH\"" },
	{ "address 0", "conf:1: \"address\": words are missing after it; try \"address N ADDRESS/LENGTH\"" },
	{ "address x 10.0.0.1/24", "conf:1: \"x\": not a vNIC; they are numbered from 0" },
	{ "address -1 10.0.0.1/24", "conf:1: \"-1\": not a vNIC; they are numbered from 0" },
	{ "address 01 10.0.0.1/24", "conf:1: \"01\": not a vNIC; they are numbered from 0" },
	{ "address 99 10.0.0.1/24", "conf:1: \"99\": not a vNIC; they are numbered from 0" },
	{ "address 4294967296 10.0.0.1/24", "conf:1: \"4294967296\": not a vNIC; they are numbered from 0" },
	{ "address 2 10.0.0.1/24", "conf:1: \"2\": there is no such vNIC; the last is 1" },
	{ "address 0 10.0.0.1", "conf:1: \"10.0.0.1\": not an address with the length of its prefix, like 10.0.1.1/24" },
	{ "address 0 10.0.0.1/33", "conf:1: \"10.0.0.1/33\": not an address with the length of its prefix, like 10.0.1.1/24" },
	{ "address 0 10.0.0.1/0", "conf:1: \"10.0.0.1/0\": not an address with the length of its prefix, like 10.0.1.1/24" },
	{ "address 0 10.0.0.1/", "conf:1: \"10.0.0.1/\": not an address with the length of its prefix, like 10.0.1.1/24" },
	{ "address 0 10.0.0/24", "conf:1: \"10.0.0/24\": not an address with the length of its prefix, like 10.0.1.1/24" },
	{ "address 0 10.0.0.256/24", "conf:1: \"10.0.0.256/24\": not an address with the length of its prefix, like 10.0.1.1/24" },
	{ "address 0 10.0.0.01/24", "conf:1: \"10.0.0.01/24\": not an address with the length of its prefix, like 10.0.1.1/24" },
	{ "address 0 127.0.0.1/8", "conf:1: \"127.0.0.1/8\": no host can have this address" },
	{ "address 0 224.0.0.1/8", "conf:1: \"224.0.0.1/8\": no host can have this address" },
	{ "address 0 10.0.0.0/24", "conf:1: \"10.0.0.0/24\": is the subnet's own or its broadcast address; a host's is, for "
	  "example, 10.0.0.1/24" },
	{ "address 0 10.0.0.255/24", "conf:1: \"10.0.0.255/24\": is the subnet's own or its broadcast address; a host's is, for "
	  "example, 10.0.0.1/24" },
	{ "address 0 10.0.0.1/24 dev", "conf:1: \"dev\": one word too many" },
	{ PORTS "address 0 10.0.0.1/24", "conf:3: \"10.0.0.1\": is given twice; an address belongs to one vNIC, once" },
	{ PORTS "address 1 10.0.0.9/24", "conf:3: \"10.0.0.9/24\": vNIC 0 is in this subnet already; vNIC 1 needs another one" },

	{ "route 10.9.0.0/16", "conf:1: \"route\": words are missing after it; try \"route PREFIX via ADDRESS [dev N]\"" },
	{ "route 10.9.0.1/16 via 10.0.0.2", "conf:1: \"10.9.0.1/16\": has bits beyond its length; 10.9.0.0/16 would be right" },
	{ "route 10.9.0/16 via 10.0.0.2", "conf:1: \"10.9.0/16\": neither a prefix like 10.9.0.0/16 nor \"default\"" },
	{ "route 10.9.0.0/16 through 10.0.0.2", "conf:1: \"through\": after the prefix comes via, dev, blackhole, prohibit or "
	  "unreachable" },
	{ "route 10.9.0.0/16 via", "conf:1: \"via\": the gateway's address is missing after it" },
	{ "route 10.9.0.0/16 via 10.0.0.2/24", "conf:1: \"10.0.0.2/24\": not an IPv4 address like 10.0.0.1" },
	{ "route 10.9.0.0/16 via 10.0.0.2 dev", "conf:1: \"dev\": the vNIC's number is missing after it" },
	{ "route 10.9.0.0/16 via 10.0.0.2 metric 5", "conf:1: \"metric\": one word too many" },
	{ "route 10.9.0.0/16 via 10.0.0.2 dev 0 1", "conf:1: \"1\": one word too many" },
	{ "route 10.9.0.0/16 blackhole dev 0", "conf:1: \"dev\": one word too many" },
	{ "route 10.9.0.0/16 dev 7", "conf:1: \"7\": there is no such vNIC; the last is 1" },
	{ "route 10.9.0.0/16 via 0.0.0.0", "conf:1: \"0.0.0.0\": no host can have this address" },
	{ "route 10.9.0.0/16 via 192.168.0.1", "conf:1: \"192.168.0.1\": in no subnet of this router; give it an address there, "
	  "or say dev N" },
	{ "route 10.9.0.0/16 via 10.0.1.1", "conf:1: \"10.0.1.1\": is this router's own address; a gateway is another one" },
	{ "route 127.1.0.0/16 via 10.0.1.2", "conf:1: \"127.1.0.0/16\": is never forwarded, so it can't have a route" },
	{ "route 224.0.0.0/4 via 10.0.1.2", "conf:1: \"224.0.0.0/4\": is never forwarded, so it can't have a route" },
	{ "route 0.0.0.0/8 via 10.0.1.2", "conf:1: \"0.0.0.0/8\": is never forwarded, so it can't have a route" },
	{ "route 10.9.0.0/16 blackhole\n#\nroute 10.9.0.0/16 via 10.0.0.2", "conf:3: \"10.9.0.0/16\": has a route already, at "
	  "line 1" },
	{ "route default blackhole\nroute 0.0.0.0/0 prohibit", "conf:2: \"0.0.0.0/0\": has a route already, at line 1" },
	{ PORTS "route 10.0.1.0/24 via 10.0.0.2", "conf:3: \"10.0.1.0/24\": vNIC 1 is in this subnet, which needs no route" },

	{ "neighbour 10.0.0.2 02:00:00:00:00:01 dev", "conf:1: \"neighbour\": words are missing after it; try \"neighbour ADDRESS "
	  "MAC dev N\"" },
	{ "neighbor 10.0.0.2", "conf:1: \"neighbor\": words are missing after it; try \"neighbor ADDRESS MAC dev N\"" },
	{ "neighbour 10.0.0.2 02:00:00:00:00 dev 0", "conf:1: \"02:00:00:00:00\": not the MAC address of one host, like "
	  "02:00:00:00:00:01" },
	{ "neighbour 10.0.0.2 03:00:00:00:00:01 dev 0", "conf:1: \"03:00:00:00:00:01\": not the MAC address of one host, like "
	  "02:00:00:00:00:01" },
	{ "neighbour 10.0.0.2 00:00:00:00:00:00 dev 0", "conf:1: \"00:00:00:00:00:00\": not the MAC address of one host, like "
	  "02:00:00:00:00:01" },
	{ "neighbour 10.0.0.2 02:00:00:00:00:0g dev 0", "conf:1: \"02:00:00:00:00:0g\": not the MAC address of one host, like "
	  "02:00:00:00:00:01" },
	{ "neighbour 10.0.0.2 02:00:00:00:00:01 on 0", "conf:1: \"on\": after the MAC address comes dev and the vNIC's number" },
	{ "neighbour 10.0.0.2 02:00:00:00:00:01 dev 2", "conf:1: \"2\": there is no such vNIC; the last is 1" },
	{ "neighbour 10.0.0.2 02:00:00:00:00:01 dev 0\nneighbour 10.0.0.2 02:00:00:00:00:02 dev 0",
	  "conf:2: \"10.0.0.2\": is given twice for vNIC 0" },

	{ "vlan 0 0", "conf:1: \"0\": not a VLAN's number; they go from 1 to 4094" },
	{ "vlan 0 4095", "conf:1: \"4095\": not a VLAN's number; they go from 1 to 4094" },
	{ "vlan 5 1", "conf:1: \"5\": there is no such vNIC; the last is 1" },
	{ "icmp-rate many", "conf:1: \"many\": not a number from 0 to 1000000" },
	{ "icmp-rate 1000001", "conf:1: \"1000001\": not a number from 0 to 1000000" },
	{ "icmp-rate 1 2 3", "conf:1: \"3\": one word too many" },
	{ "source-check strict", "conf:1: \"strict\": neither \"on\" nor \"off\"" },
	{ "\033[31m", "conf:1: \"?[31m\": not a statement; there are address, route, neighbour, vlan, icmp-rate, redirects and "
	  "source-check" },
	{ "redirects maybe", "conf:1: \"maybe\": neither \"on\" nor \"off\"" },
	{ "route 1 2 3 4 5 6 7 8 9 10 11", "conf:1: \"8\": one word too many" },
};

static void what_is_wrong_is_named_with_its_line_and_word(void **state)
{
	for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		const char *message = verdict(refused[i].text, strlen(refused[i].text));

		if (!message)
			fail_msg("taken: %s", refused[i].text);
		assert_string_equal(message, refused[i].message);
	}
}

static const char *const taken[] = {
	"",
	"\n\n\n",
	"# nothing\n   \t \n",
	"address 0 10.0.0.1/24",
	"address 0 10.0.0.0/31\naddress 1 10.0.0.2/32",
	"address 0 10.0.0.1/24 # here\naddress 0 10.5.0.1/24\naddress 1 10.0.1.1/24#there\r\n",
	PORTS "route default via 10.0.1.254",
	"route default via 10.0.1.254\n" PORTS,                 /* in any order */
	"route 192.0.2.0/24 via 198.51.100.1 dev 1",            /* a gateway that is in no subnet */
	"route 192.0.2.0/24 dev 1",
	"route 192.0.2.1 via 10.0.0.2",
	"route 0.0.0.0/1 via 10.0.0.2\nroute 128.0.0.0/1 via 10.0.0.2",
	"route 10.0.0.0/8 blackhole\nroute 10.1.0.0/16 prohibit\nroute 10.2.0.0/16 unreachable",
	"neighbour 10.0.0.2 02:AB:cd:00:00:01 dev 0\nneighbour 10.0.0.2 02:ab:cd:00:00:01 dev 1",
	"vlan 0 1\nvlan 1 4094\nicmp-rate 0\nicmp-rate 5 1000000\nredirects off\nredirects on\nsource-check on\nsource-check off",
};

static void what_is_right_is_taken(void **state)
{
	for (unsigned i = 0; i < sizeof taken / sizeof taken[0]; i++) {
		const char *message = verdict(taken[i], strlen(taken[i]));

		if (message)
			fail_msg("%s: %s", taken[i], message);
	}
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	assert_non_null(verdict("address\0000 10.0.0.1/24", 22));
	assert_non_null(verdict("\xff\xfe", 2));
	assert_non_null(verdict("route default via 10.0.0.2\0", 27));
}

static void without_addresses_each_vnic_gets_its_own(void **state)
{
	struct ipfwd_bed *b = ipfwd_open(64, "");

	assert_true(port_owns(&b->r->port[0], IP(10, 0, 0, 1)));
	assert_true(port_owns(&b->r->port[1], IP(10, 0, 1, 1)));
	assert_int_equal(b->r->nexthops.at[fib_lookup(&b->r->fib, IP(10, 0, 1, 77))].kind, NEXTHOP_CONNECTED);
	assert_int_equal(b->r->nexthops.at[fib_lookup(&b->r->fib, IP(10, 0, 1, 77))].port, 1);
	assert_int_equal(b->r->nexthops.at[fib_lookup(&b->r->fib, IP(10, 0, 2, 1))].kind, NEXTHOP_NO_ROUTE);
	ipfwd_close(b);
}

static int from_arguments(struct config *config, struct error *e, char **arguments)
{
	int n = 0;

	while (arguments[n])
		n++;
	*e = (struct error){ 0 };
	config_init(config);
	return config_arguments(config, n, arguments, e);
}

static void arguments_are_statements_in_one_piece_or_several(void **state)
{
	char *pieces[] = { "address", "0", "10.0.0.1/24", "route", "default", "via", "10.0.0.2", NULL };
	char *quoted[] = { "address 0 10.0.0.1/24", "route default via 10.0.0.2", NULL };
	char *one[] = { "address 0 10.0.0.1/24 route default via 10.0.0.2", NULL };
	char *wrong[] = { "address 0 10.0.0.1/24", "route", "defalt", "via", "10.0.0.2", NULL };
	char *last[] = { "redirects", NULL };
	char **all[] = { pieces, quoted, one };
	struct config config;
	struct error e;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(from_arguments(&config, &e, all[i]), 0);
		assert_int_equal(config.addresses.n, 1);
		assert_int_equal(config.addresses.at[0].address, IP(10, 0, 0, 1));
		assert_int_equal(config.routes.n, 1);
		assert_int_equal(config.routes.at[0].length, 0);
		assert_int_equal(config.routes.at[0].gateway, IP(10, 0, 0, 2));
		config_release(&config);
	}
	assert_int_equal(from_arguments(&config, &e, wrong), -EINVAL);
	assert_string_equal(e.text, "argument 2: \"defalt\": neither a prefix like 10.9.0.0/16 nor \"default\"");
	config_release(&config);
	assert_int_equal(from_arguments(&config, &e, last), -EINVAL);
	assert_string_equal(e.text, "argument 1: \"redirects\": words are missing after it; try \"redirects on|off\"");
	config_release(&config);
}

static void a_missing_file_is_named(void **state)
{
	struct config config;
	struct error e = { 0 };

	config_init(&config);
	assert_int_equal(config_read(&config, "/nonexistent/conf", &e), -ENOENT);
	assert_string_equal(e.text, "/nonexistent/conf: No such file or directory");
	e = (struct error){ 0 };
	assert_int_equal(config_read(&config, "/", &e), -EISDIR);
	config_release(&config);
}

/* A million routes, from a file; the last line has an error once, to see that it is line 1000003. */
static void a_million_routes_are_read(void **state)
{
	enum { ROUTES = 1000000 };
	char path[] = "/tmp/ipfwd-config-XXXXXX";
	static struct europa_vnic vnics[2];
	struct europa eu = { .nvnics = 2, .vnics = vnics };
	struct router *r = router_new(&eu, 0);
	struct error e = { 0 };
	struct config config;
	FILE *f = fdopen(mkstemp(path), "w");

	assert_non_null(f);
	fputs(PORTS, f);
	for (u32 i = 0; i < ROUTES; i++) {
		u32 prefix = IP(20, 0, 0, 0) + (i << 8);

		fprintf(f, "route %s/24 via 10.0.1.%u\n", dotted(prefix), 2 + i % 200);
	}
	fclose(f);
	config_init(&config);
	assert_int_equal(config_read(&config, path, &e), 0);
	assert_int_equal(config.routes.n, ROUTES);
	assert_int_equal(config_apply(&config, r, &e), 0);
	config_release(&config);
	for (u32 i = 0; i < ROUTES; i += 997) {
		const struct nexthop *nh = &r->nexthops.at[fib_lookup(&r->fib, IP(20, 0, 0, 1) + (i << 8))];

		assert_int_equal(nh->kind, NEXTHOP_GATEWAY);
		assert_int_equal(nh->gateway.word[0], IP(10, 0, 1, 2 + i % 200));
	}
	assert_true(r->nexthops.used < 250);
	router_free(r);

	f = fopen(path, "a");
	fputs("route 1.2.3.4/33 via 10.0.1.2", f);
	fclose(f);
	config_init(&config);
	assert_int_equal(config_read(&config, path, &e), -EINVAL);
	assert_non_null(strstr(e.text, ":1000003: \"1.2.3.4/33\""));
	config_release(&config);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_named_with_its_line_and_word),
		cmocka_unit_test(what_is_right_is_taken),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(without_addresses_each_vnic_gets_its_own),
		cmocka_unit_test(arguments_are_statements_in_one_piece_or_several),
		cmocka_unit_test(a_missing_file_is_named),
		cmocka_unit_test(a_million_routes_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The configuration: statements, one a line in a file, or as the program's arguments. config.c reads them into
 * lists and knows no router; configure.c checks the lists against each other and sets the router up.
 */
#ifndef IPFWD_CONFIG_H
#define IPFWD_CONFIG_H

#include <stdio.h>

#include "route.h"
#include "runtime/error.h"

#define CONFIG_ARGUMENT  0x80000000u     /* in `line`: it is the number of an argument */
#define CONFIG_ANY_PORT  0xff

struct config_address {
	u32 line;
	u32 address;
	u8 length, port;
};

struct config_route {
	u32 line;
	u32 prefix, gateway;
	u8 length, port;                 /* port: CONFIG_ANY_PORT where it follows from the gateway */
	u8 kind;                         /* enum nexthop_kind */
	u8 reserved;
};

struct config_neighbour {
	u32 line;
	u32 address;
	u8 port;
	u8 mac[6];
};

struct config_vlan {
	u32 line;
	u16 vlan;
	u8 port;
};

/* A list that grows. */
#define CONFIG_LIST(type) struct { type *at; size_t n, room; }

struct config {
	const char *file;                /* its name, for messages */
	CONFIG_LIST(struct config_address) addresses;
	CONFIG_LIST(struct config_route) routes;
	CONFIG_LIST(struct config_neighbour) neighbours;
	CONFIG_LIST(struct config_vlan) vlans;
	u32 icmp_rate, icmp_depth;
	bool redirects, source_check;
};

void config_init(struct config *config);
void config_release(struct config *config);

/* Statements of a text; `file` names it. 0 or -errno with text; what was read before is kept. */
int config_parse(struct config *config, const char *file, const char *text, size_t bytes, struct error *e);
/* The same from a file. -ENOENT: there is none. */
int config_read(struct config *config, const char *file, struct error *e);
/* Statements from arguments: each begins with its keyword, and may be one argument or several. */
int config_arguments(struct config *config, int n, char **arguments, struct error *e);

/* Sets up a new router. Without any address, vNIC n gets 10.0.n.1/24. */
int config_apply(const struct config *config, struct router *r, struct error *e);

/* Prints the statements with their meaning. */
void config_help(FILE *out);

/* "FILE:LINE" or "argument N", in static memory. */
const char *config_place(const struct config *config, u32 line);

/* An IPv4 address as people write it, in static memory that is good for four of them. */
const char *dotted(u32 address);

#endif

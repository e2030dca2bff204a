/* SPDX-License-Identifier: MIT */
/*
 * What a host has made of a vNIC's own device: where it is, and what addresses and routes it has. A checkpoint notes it, a restore
 * makes it again, so that the neighbours see the same router at the same place.
 */
#ifndef EUROPA_CHECKPOINT_NETWORK_H
#define EUROPA_CHECKPOINT_NETWORK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct error;
struct mnl_socket;
struct vr_state;

#define NETWORK_NAME_MAX 64        /* of a named network namespace */
#define NETWORK_MOST     4096      /* addresses, or routes, of one device */

struct network_address {
	uint8_t family, prefix, scope;
	bool has_broadcast, has_peer;
	uint8_t bytes[16], broadcast[16], peer[16];   /* peer: the prefix is of the other end's address, not of bytes */
};

struct network_route {             /* of the main table; what the kernel makes by itself is not here */
	uint8_t family, prefix, scope, protocol;
	bool has_via, has_source, onlink;  /* onlink: via is a neighbour, though no prefix of the device's says so */
	uint8_t to[16], via[16], source[16];
	uint32_t metric;
};

struct network {
	bool known;                        /* the device was found */
	char device[16];
	char netns[NETWORK_NAME_MAX];      /* below /run/netns; "": where the VR's supervisor is */
	bool up;
	char master[16];                   /* bridge that it is a port of; "": none */
	uint32_t mtu;
	uint8_t mac[6];                    /* the device's, not the vNIC's */
	unsigned naddresses, nroutes;
	struct network_address *addresses;
	struct network_route *routes;
};

/* Looks where the supervisor is, then in every named namespace. A device that is nowhere is not known; that is no error. */
int network_note(const struct vr_state *state, unsigned vnic, struct network *network, struct error *e);
/* The addresses and routes of a device, asked for over a socket of the network namespace where it is. */
int network_read(struct network *network, struct mnl_socket *nl, uint32_t ifindex, struct error *e);

/*
 * The device, which is where the calling process is, is put where it was and gets what it had. `device`: its name now; netns: where to
 * put it instead, or NULL.
 */
int network_make(const struct network *network, const char *device, const char *netns, struct error *e);

/* All of its names and numbers are checked. The caller calls network_release, also after an error. */
json_t *network_json(const struct network *network);
int network_parse(json_t *json, struct network *network, struct error *e);
void network_release(struct network *network);

static inline size_t network_address_bytes(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}
/* A file's name, and so no path. */
bool network_is_netns_name(const char *name);

#endif

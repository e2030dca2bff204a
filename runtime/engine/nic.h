/* SPDX-License-Identifier: MIT */
/* A NIC that vNICs of one or more VRs share: one packet socket, and a classifier that says whose a frame is. */
#ifndef EUROPA_ENGINE_NIC_H
#define EUROPA_ENGINE_NIC_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/classify.h"
#include "core/vr.h"

struct engine;
struct error;
struct mnl_socket;
struct packet_socket;
struct port;

struct nic {
	struct nic *next;
	struct engine *engine;
	dev_t netns_dev;                /* which device it is: of which namespace, and which number there */
	ino_t netns_ino;
	int ifindex;
	char name[16];
	unsigned mtu;
	bool up;
	unsigned users;                 /* vNICs */
	unsigned filters;               /* among their rules */
	u64 lost;                       /* frames that the kernel dropped: before they were classified, or when they had waited to leave */
	struct packet_socket *socket;
	struct mnl_socket *events, *requests;
	struct classifier *classifier;
	struct port *targets[CLASSIFY_MAX_TARGETS];
	u8 *bounce;                     /* a super-packet that more than one vNIC wants */
};

/* The NIC of that name in a namespace, opened where it isn't open yet: takes tens of milliseconds. Control thread. */
int nic_get(struct engine *engine, int netns, const char *device, struct nic **nic, struct error *e);
/* Engine locked: true, when nobody uses it any more and nobody finds it; then nic_close, which takes time. */
bool nic_put(struct nic *nic);
void nic_close(struct nic *nic);

/*
 * Poll thread: frames from the wire, until they have cost the budget, and what they have; what to poll for; frames from one of its
 * vNICs to the others and to the wire.
 */
unsigned nic_receive(struct nic *nic, unsigned budget);
int nic_fd(const struct nic *nic);
void nic_send(struct nic *nic, struct port *from, const struct tx_frame *const *frames, unsigned n);

/* Carrier of all NICs. Control thread. */
void nics_dispatch(struct engine *engine);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A port is what a vNIC is attached to. Its kind is chosen once, when the vNIC is attached; from then on the worker
 * knows only the functions below, each called with a batch.
 *
 *   in:   somebody calls packet_deliver() (an own device, a shared NIC, another VR), or receive() is called (a generator)
 *   out:  send()
 *
 * Frames are copied at a port, in both directions, and never lent: when send() returns, the slots are free. What goes
 * to the host's own stack is put on member->ready, for the worker to hand over when they are.
 *
 * send, receive: RCU, softirqs off, member->lock not held. close: RTNL; the port is out of ports[] already, but
 * readers may still have it until a grace period has passed, so it frees itself accordingly.
 */
#ifndef EUROPA_PORT_H
#define EUROPA_PORT_H

#include <linux/types.h>

#include "core/vr.h"
#include "member.h"

struct report;
struct rule;

struct port_ops {
	void (*send)(struct port *port, const struct tx_frame *const *frames, unsigned int n);
	/* At most `budget` frames into the VR's rx ring; how many. NULL: somebody else delivers. */
	unsigned int (*receive)(struct port *port, unsigned int budget);
	/* Nobody may find the port any more; a device is put on `dying`. */
	void (*close)(struct port *port, struct list_head *dying);
};

struct port {
	const struct port_ops *ops;
	struct member *member;
	unsigned int vnic;
	bool up;                        /* as EUROPA_VNIC_UP shows it */
	struct rcu_head rcu;
};

/* The port becomes its vNIC's, and what `attach` says is shown to the VR. RTNL. */
void port_publish(struct port *port, const struct europa_attach *attach);
/* It is no longer: down, and out of ports[]. RTNL. */
void port_withdraw(struct port *port);
/* Carrier, as the data plane sees it. RTNL. */
void port_set_up(struct port *port, bool up);
/* Frames that were to pass here and don't, by cause. Softirqs off. */
void port_drop(struct port *port, enum europa_drop cause, unsigned int n);

/*
 * Makes the port that `attach` asks for, and publishes it; *attach comes back as things are. RTNL. `rule` is for a shared NIC's, and the
 * port's where this succeeds.
 */
int port_attach(struct member *member, struct europa_attach *attach, const struct rule *rule, struct report *report);

/* As port_attach(), each for one kind. An address for the VR's side is in attach->mac already. */
int port_null_open(struct member *member, struct europa_attach *attach, struct report *report);
int port_device_open(struct member *member, struct europa_attach *attach, struct report *report);
int port_shared_open(struct member *member, struct europa_attach *attach, const struct rule *rule, struct report *report);
int port_link_open(struct member *member, struct europa_attach *attach, struct report *report);
int port_generator_open(struct member *member, struct europa_attach *attach, struct report *report);

/* A locally administered address, the same for the same vNIC of the same name on a host of the same name. */
void port_choose_mac(const struct member *member, unsigned int vnic, u8 first, u8 *mac);

int port_device_init(void);
void port_device_exit(void);

#endif

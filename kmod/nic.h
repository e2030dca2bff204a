/* SPDX-License-Identifier: GPL-2.0 */
/* A NIC that vNICs of one or more VRs share: its rx_handler, and a classifier that says whose a frame is. All of it under RTNL. */
#ifndef EUROPA_NIC_H
#define EUROPA_NIC_H

#include "core/classify.h"
#include "port.h"

struct net_device;
struct nic;

/* Or an ERR_PTR. */
struct nic *nic_get(struct member *member, const char *device, struct report *report);
void nic_put(struct nic *nic);

struct net_device *nic_device(const struct nic *nic);
bool nic_up(const struct nic *nic);

/* rule->target is chosen here. -EEXIST: the rule or the address is somebody else's; -ENOSPC: full. */
int nic_join(struct nic *nic, struct port *port, struct rule *rule);
void nic_leave(struct nic *nic, struct port *port, const struct rule *rule);

/* Frames of one of its vNICs to the others and to the wire. RCU, softirqs off. */
void nic_send(struct nic *nic, struct port *from, const struct tx_frame *const *frames, unsigned int n);

int nic_init(void);
void nic_exit(void);

#endif

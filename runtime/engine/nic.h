/* SPDX-License-Identifier: MIT */
/* A NIC that vNICs of one or more VRs share: one packet socket, and a classifier that says whose a frame is. */
#ifndef EUROPA_ENGINE_NIC_H
#define EUROPA_ENGINE_NIC_H

struct nic {
	struct nic *next;
	int fd;
};

static inline unsigned nic_receive(struct nic *nic, unsigned budget) { return 0; }
static inline int nic_fd(struct nic *nic) { return nic->fd; }

#endif

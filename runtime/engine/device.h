/* SPDX-License-Identifier: MIT */
/*
 * The vNICs' own network devices: veth pairs. One end is the user's, in the network namespace of whoever
 * registered the VR; the other end is the switch's, in a namespace of its own where the kernel has no addresses
 * and answers nothing. That namespace is bind-mounted at RUN_DIR/netns/switch, so that the pairs outlive a switch
 * that is killed and the next one finds them there, each with the VR's name and the vNIC's number in its alias.
 *
 * Control thread only.
 */
#ifndef EUROPA_ENGINE_DEVICE_H
#define EUROPA_ENGINE_DEVICE_H

#include <linux/europa.h>
#include <stdbool.h>

/* Of the switch's end: the VR's name and the vNIC's number. */
#define DEVICE_ALIAS "europa %s %u"

struct devices;
struct engine;
struct error;
struct member;

/* The switch's namespace, found or made; the calling thread, and those that it starts, live there from now on. */
int devices_open(struct engine *engine, const char *run_dir, struct error *e);
/* Removes what nobody has claimed, and the namespace's name; run_dir NULL: leaves both to the next switch. */
void devices_close(struct engine *engine, const char *run_dir);

/*
 * The pair for a vNIC: the one that an earlier switch left, where the VR is being adopted, or a new one. *ifindex
 * is the switch's end; names, addresses and MTU that `attach` leaves open are filled in. *up: carrier. Of kind XDP: what comes from the user's
 * end has its checksums and tags in the frame (offload.h).
 */
int device_create(struct devices *devices, const struct member *member, struct europa_attach *attach, int *ifindex, bool *up,
		  struct error *e);
void device_remove(struct devices *devices, int ifindex);
void device_remove_all(struct devices *devices, const struct member *member);

/* A MAC address that is the same whenever the VR has this name on this machine. */
void device_choose_mac(const char *name, unsigned vnic, __u8 mac[6]);

/* Carrier of all ports that have a device here. */
void devices_dispatch(struct engine *engine);

/* Milliseconds until what no VR has claimed is removed, -1: there is nothing; devices_sweep does it when it is due. */
int devices_leftovers_due(const struct devices *devices);
void devices_sweep(struct devices *devices);

#endif

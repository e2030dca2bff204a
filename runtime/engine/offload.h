/* SPDX-License-Identifier: MIT */
/* What a device leaves for another one to do: a frame's checksum, its VLAN tag. */
#ifndef EUROPA_ENGINE_OFFLOAD_H
#define EUROPA_ENGINE_OFFLOAD_H

struct error;

/*
 * From now on what leaves by the device (of the namespace that netns is a descriptor of) has its checksums and its tags in the
 * frame. home: the calling thread's own namespace.
 */
int offload_end(int netns, int home, const char *device, struct error *e);

#endif

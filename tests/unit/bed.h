/* SPDX-License-Identifier: MIT */
/*
 * A region with both its sides in one process: the switch's core on one, libeuropa on the other, over real memfds and
 * pipes. What a test does with the switch's side is what a port of europad does.
 */
#ifndef TESTS_BED_H
#define TESTS_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/vr.h"
#include "shim/europa.h"

struct bed {
	struct europa_geometry geometry;
	struct europa_offsets offsets;
	struct vr vr;
	struct europa *eu;
	int control, pool, state;
	int doorbell[2], kick[2];          /* [0] is the read end */
	void *control_map, *pool_map, *memory;
};

/* A region that a switch serves, and no data plane yet. */
void bed_open(struct bed *bed, unsigned vnics, unsigned slots, unsigned ring);
/* The data plane's side: control opened O_RDONLY, as a VR has it. What europa_attach_fds returns. */
int bed_attach(struct bed *bed);
/* Hands the state memfd to the data plane that is attached. */
void bed_hand_state(struct bed *bed);
/* The four descriptors for the VR that are always there, the caller's. */
void bed_handed(const struct bed *bed, int fds[4]);
/* As if the data plane's process had died: nothing is drained or given back. */
void bed_forget_data_plane(struct bed *bed);
void bed_close(struct bed *bed);

/* One frame comes in at a vNIC; false: the core counted a drop. Rings the doorbell where it is due. */
bool bed_receive(struct bed *bed, unsigned vnic, const void *frame, uint32_t len);
/* n frames of 60 bytes, each with its number in the first four. */
void bed_receive_numbered(struct bed *bed, unsigned vnic, unsigned first, unsigned n);
/* Takes what leaves by a vNIC's tx ring into frames; the slots stay taken until bed_sent. */
unsigned bed_take(struct bed *bed, unsigned vnic, struct tx_frame frames[VR_BATCH]);
void bed_sent(struct bed *bed, const struct tx_frame *frames, unsigned n);
/* Takes and forgets all that leaves by a vNIC, and what was dropped. Returns frames. */
unsigned bed_drain(struct bed *bed, unsigned vnic);

uint32_t frame_number(const uint8_t *data);

/* Every slot is the switch's again and nothing was ever wrong. */
void bed_assert_whole(struct bed *bed);

#endif

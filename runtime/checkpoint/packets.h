/* SPDX-License-Identifier: MIT */
/*
 * What a checkpoint keeps of a VR's region: the packets in its rxRings and txRings, in order, and the switch's statistics. The file "region",
 * little-endian:
 *
 *	struct packets_header
 *	struct europa_vr_stats
 *	struct europa_vnic_stats      per vNIC
 *	struct packets_entry          and the frame's bytes, padded with zeroes to 8; `packets` times, ring by ring, each in its order
 *
 * Slots that are in no ring of a vNIC are not kept: the free ring's are nobody's any more, the alloc ring's are EMPTY, and what the
 * data plane holds in its hands is its own affair to save, as are its counters. A packet comes back in the slot that it was in.
 */
#ifndef EUROPA_CHECKPOINT_PACKETS_H
#define EUROPA_CHECKPOINT_PACKETS_H

#include <linux/europa.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct region;
struct store_writer;

#define PACKETS_MAGIC   0x31534b5455524545ull
#define PACKETS_VERSION 1

struct packets_header {
	uint64_t magic;
	uint32_t version;
	uint32_t packets;
	struct europa_geometry geometry;
	uint32_t drops;                    /* EUROPA_DROPS_MAX: how long the statistics are */
	uint32_t reserved;
};

struct packets_entry {
	uint32_t ring;                     /* EUROPA_RING_RX(n) or EUROPA_RING_TX(n) */
	uint32_t slot;
	struct europa_slot meta;
};

struct packets_count {
	uint32_t rx, tx;                   /* packets that are kept */
	uint32_t bad;                      /* entries that name no packet of the VR's, which a switch would have refused: not kept */
	uint64_t not_received;             /* frames that had been dropped in front of the VR by then, as the statistics that are kept say */
};

/* The longest "region" that a geometry can give. */
size_t packets_most(const struct europa_geometry *geo);

/*
 * From a region that is fenced, and whose VR stands still, or ought to: its memory may be anything and may change meanwhile, and what is
 * written is valid in any case. -EINVAL: one of its rings makes no sense.
 */
int packets_save(struct store_writer *w, int control, int pool, const struct europa_geometry *geo, struct packets_count *count,
		 struct error *e);

/* The same sum, over the statistics of a region's control. */
uint64_t packets_not_received(const uint8_t *statistics, const struct europa_geometry *geo);

/*
 * Bytes from anywhere: all lengths, the geometry, every ring, slot and length; no slot twice, no ring fuller than it can be. The
 * error doesn't name the file.
 */
int packets_check(const uint8_t *bytes, size_t size, const struct europa_geometry *geo, struct packets_count *count, struct error *e);

/*
 * Lays what was checked into a region that no switch has seen yet, which is ready to be adopted then. with_packets: else only the
 * statistics. What is in txRings is there, but not published.
 */
int packets_lay(const uint8_t *bytes, size_t size, const struct region *region, const char *name, bool with_packets, struct error *e);
/* Publishes the txRings, and wakes the switch. Before the data plane starts. */
int packets_release(const struct region *region, struct error *e);

/* The same for a process that goes on where it was, and so needs the region as it was: both files whole, whose sizes have been checked. */
int packets_lay_whole(const uint8_t *control, const uint8_t *pool, const struct region *region, struct error *e);
int packets_release_whole(const uint8_t *pool, const struct region *region, struct error *e);

#endif

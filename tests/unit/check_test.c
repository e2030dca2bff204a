// SPDX-License-Identifier: MIT
/* What the VR may say about a frame and what it may not, as a table; and how long it may go on saying it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core_bed.h"

#define GOOD            EUROPA_DROPS
#define LENGTH          EUROPA_DROP_BAD_LENGTH
#define OFFLOAD         EUROPA_DROP_BAD_OFFLOAD
#define CSUM            EUROPA_SLOT_NEEDS_CSUM
#define ROOM            EUROPA_MIN_STRIDE
#define RUN             (EUROPA_MIN_STRIDE * 128)

/* A frame is in slot 3 of 8, or in the run at 8, and says PROCESSED where nothing else is said. */
#define SLOT            3, .meta.state = EUROPA_SLOT_PROCESSED, .meta.offset = 128
#define LARGE           8, .meta.state = EUROPA_SLOT_PROCESSED, .meta.offset = 128
#define TCP4            .meta.gso_type = EUROPA_GSO_TCPV4, .meta.hdr_len = 54, .meta.gso_size = 1448, \
                        .meta.csum_start = 34, .meta.csum_offset = 16
#define TCP6            .meta.gso_type = EUROPA_GSO_TCPV6, .meta.hdr_len = 74, .meta.gso_size = 1428, \
                        .meta.csum_start = 54, .meta.csum_offset = 16
#define UDP4            .meta.gso_type = EUROPA_GSO_UDP_L4, .meta.hdr_len = 42, .meta.gso_size = 1472, \
                        .meta.csum_start = 34, .meta.csum_offset = 6

struct claim {
	const char *name;
	enum europa_drop verdict;
	u32 slot;
	struct europa_slot meta;
};

static const struct claim claims[] = {
	{ "a plain frame", GOOD, SLOT, .meta.len = 60 },
	{ "the shortest", GOOD, SLOT, .meta.len = 14 },
	{ "the longest", GOOD, SLOT, .meta.len = ROOM - 128 },
	{ "without headroom", GOOD, SLOT, .meta.offset = 0, .meta.len = ROOM },
	{ "at the slot's end", GOOD, SLOT, .meta.offset = ROOM - 14, .meta.len = 14 },
	{ "the longest in a run", GOOD, LARGE, .meta.len = RUN - 128 },
	{ "far into a run", GOOD, LARGE, .meta.offset = 65535, .meta.len = RUN - 65535 },
	{ "what only the receiver can know", GOOD, SLOT, .meta.len = 60, .meta.flags = EUROPA_SLOT_CSUM_VALID |
	  EUROPA_SLOT_BROADCAST, .meta.in_vnic = 200, .meta.hash = ~0u, .meta.tstamp_us = ~0u },
	{ "fields that no flag puts in force", GOOD, SLOT, .meta.len = 60, .meta.vlan_proto = 1, .meta.csum_start = 9999,
	  .meta.hdr_len = 9999, .meta.gso_size = 9999, .meta.ports = 0 },
	{ "flags of the future", GOOD, SLOT, .meta.len = 60, .meta.flags = 0xe0 },

	{ "empty", EUROPA_DROP_BAD_STATE, SLOT, .meta.state = EUROPA_SLOT_EMPTY, .meta.len = 60 },
	{ "filled", EUROPA_DROP_BAD_STATE, SLOT, .meta.state = EUROPA_SLOT_FILLED, .meta.len = 60 },
	{ "no state that there is", EUROPA_DROP_BAD_STATE, SLOT, .meta.state = 0xff, .meta.len = 60 },

	{ "no frame", LENGTH, SLOT, .meta.len = 0 },
	{ "half a header", LENGTH, SLOT, .meta.len = 13 },
	{ "one byte beyond", LENGTH, SLOT, .meta.len = ROOM - 127 },
	{ "one byte beyond, by offset", LENGTH, SLOT, .meta.offset = ROOM - 13, .meta.len = 14 },
	{ "offset beyond the slot", LENGTH, SLOT, .meta.offset = 65535, .meta.len = 14 },
	{ "one byte beyond the run", LENGTH, LARGE, .meta.len = RUN - 127 },
	{ "wraps around", LENGTH, SLOT, .meta.len = 0xffffff90 },
	{ "as long as can be", LENGTH, SLOT, .meta.len = 0xffffffff },
	{ "half of all", LENGTH, SLOT, .meta.len = 0x80000000 },

	{ "partial checksum", GOOD, SLOT, .meta.len = 60, .meta.flags = CSUM, .meta.csum_start = 34, .meta.csum_offset = 6 },
	{ "checksum in the last bytes", GOOD, SLOT, .meta.len = 60, .meta.flags = CSUM, .meta.csum_start = 34, .meta.csum_offset = 24 },
	{ "checksum half outside", OFFLOAD, SLOT, .meta.len = 60, .meta.flags = CSUM, .meta.csum_start = 34, .meta.csum_offset = 25 },
	{ "checksum far outside", OFFLOAD, SLOT, .meta.len = 60, .meta.flags = CSUM, .meta.csum_start = 65535, .meta.csum_offset = 65535 },
	{ "checksum of the Ethernet header", OFFLOAD, SLOT, .meta.len = 60, .meta.flags = CSUM, .meta.csum_start = 13 },
	{ "checksum from a tag that was taken out", OFFLOAD, SLOT, .meta.len = 60, .meta.flags = CSUM, .meta.csum_start = 10, .meta.csum_offset = 6 },
	{ "checksum from the first byte", OFFLOAD, SLOT, .meta.len = 60, .meta.flags = CSUM, .meta.csum_start = 0, .meta.csum_offset = 40 },
	{ "checksum in what was cut off", OFFLOAD, SLOT, .meta.len = 34, .meta.flags = CSUM, .meta.csum_start = 34, .meta.csum_offset = 16 },
	{ "checksum right behind it", GOOD, SLOT, .meta.len = 60, .meta.flags = CSUM, .meta.csum_start = 14 },

	{ "TCP over IPv4", GOOD, LARGE, .meta.len = 65549, .meta.flags = CSUM, TCP4 },
	{ "TCP over IPv6", GOOD, LARGE, .meta.len = 65549, .meta.flags = CSUM, TCP6 },
	{ "TCP with ECN", GOOD, LARGE, .meta.len = 9000, .meta.flags = CSUM, TCP4, .meta.gso_type = 1 | EUROPA_GSO_ECN },
	{ "UDP segments", GOOD, LARGE, .meta.len = 9000, .meta.flags = CSUM, UDP4 },
	{ "UDP fragments", GOOD, LARGE, .meta.len = 9000, .meta.flags = CSUM, UDP4, .meta.gso_type = EUROPA_GSO_UDP },
	{ "a super-packet of one segment", GOOD, SLOT, .meta.len = 60, .meta.flags = CSUM, TCP4 },
	{ "headers in one piece with data", GOOD, LARGE, .meta.len = 9000, .meta.flags = CSUM, TCP4, .meta.hdr_len = 9000 },

	{ "GSO without a checksum", OFFLOAD, LARGE, .meta.len = 9000, TCP4 },
	{ "GSO of no known type", OFFLOAD, LARGE, .meta.len = 9000, .meta.flags = CSUM, TCP4, .meta.gso_type = 2 },
	{ "GSO of another unknown type", OFFLOAD, LARGE, .meta.len = 9000, .meta.flags = CSUM, TCP4, .meta.gso_type = 0x7f },
	{ "ECN of nothing", OFFLOAD, LARGE, .meta.len = 9000, .meta.flags = CSUM, TCP4, .meta.gso_type = EUROPA_GSO_ECN },
	{ "ECN of UDP", OFFLOAD, LARGE, .meta.len = 9000, .meta.flags = CSUM, UDP4, .meta.gso_type = 5 | EUROPA_GSO_ECN },
	{ "segments of nothing", OFFLOAD, LARGE, .meta.len = 9000, .meta.flags = CSUM, TCP4, .meta.gso_size = 0 },
	{ "as many segments as can be", GOOD, LARGE, .meta.len = 54 + 2048 * 31, .meta.flags = CSUM, TCP4, .meta.gso_size = 31 },
	{ "one segment more", OFFLOAD, LARGE, .meta.len = 54 + 2048 * 31 + 1, .meta.flags = CSUM, TCP4, .meta.gso_size = 31 },
	{ "segments of 8 bytes of a super-packet", OFFLOAD, LARGE, .meta.len = 65549, .meta.flags = CSUM, TCP4, .meta.gso_size = 8 },
	{ "segments of one byte", OFFLOAD, LARGE, .meta.len = 9000, .meta.flags = CSUM, UDP4, .meta.gso_size = 1 },
	{ "TCP summed where UDP is", OFFLOAD, LARGE, .meta.len = 9000, .meta.flags = CSUM, TCP4, .meta.csum_offset = 6 },
	{ "UDP summed where TCP is", OFFLOAD, LARGE, .meta.len = 9000, .meta.flags = CSUM, UDP4, .meta.csum_offset = 16 },
	{ "headers of 13 bytes", OFFLOAD, LARGE, .meta.len = 9000, .meta.flags = CSUM, TCP4, .meta.hdr_len = 13 },
	{ "headers longer than the frame", OFFLOAD, LARGE, .meta.len = 9000, .meta.flags = CSUM, TCP4, .meta.hdr_len = 9001 },
	{ "half a TCP header", OFFLOAD, SLOT, .meta.len = 53, .meta.flags = CSUM, TCP4, .meta.hdr_len = 53 },

	{ "a tag", GOOD, SLOT, .meta.len = 60, .meta.flags = EUROPA_SLOT_VLAN, .meta.vlan_proto = 0x8100, .meta.vlan_tci = 0xffff },
	{ "a service tag", GOOD, SLOT, .meta.len = 60, .meta.flags = EUROPA_SLOT_VLAN, .meta.vlan_proto = 0x88a8 },
	{ "a tag that is none", OFFLOAD, SLOT, .meta.len = 60, .meta.flags = EUROPA_SLOT_VLAN, .meta.vlan_proto = 0x0800 },
	{ "a tag in the other byte order", OFFLOAD, SLOT, .meta.len = 60, .meta.flags = EUROPA_SLOT_VLAN, .meta.vlan_proto = 0x0081 },

	{ "replicated to both", GOOD, SLOT, .meta.len = 60, .meta.flags = EUROPA_SLOT_REPLICATE, .meta.ports = 3 },
	{ "replicated to one", GOOD, SLOT, .meta.len = 60, .meta.flags = EUROPA_SLOT_REPLICATE, .meta.ports = 2 },
	{ "replicated to none", EUROPA_DROP_BAD_PORTS, SLOT, .meta.len = 60, .meta.flags = EUROPA_SLOT_REPLICATE, .meta.ports = 0 },
	{ "replicated to a third", EUROPA_DROP_BAD_PORTS, SLOT, .meta.len = 60, .meta.flags = EUROPA_SLOT_REPLICATE, .meta.ports = 7 },
	{ "replicated to the last", EUROPA_DROP_BAD_PORTS, SLOT, .meta.len = 60, .meta.flags = EUROPA_SLOT_REPLICATE, .meta.ports = 1u << 31 },
};

static void each_claim_gets_its_verdict(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct bed bed;
	size_t i;

	bed_make(&bed, &geo);
	assert_int_equal(geo.run_slots, 128);
	for (i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		const struct claim *claim = &claims[i];
		struct europa_slot meta;
		enum europa_drop verdict;

		bed.vr.meta[claim->slot] = claim->meta;
		memset(&meta, 0xa5, sizeof(meta));
		verdict = check_tx(&bed.vr, claim->slot, &meta);
		if (verdict != claim->verdict)
			fail_msg("%s: %d, not %d", claim->name, verdict, claim->verdict);
		assert_memory_equal(&meta, &claim->meta, sizeof(meta));
	}
	bed_free(&bed);
}

/* Of what comes in only the offloads are others' word; the terms are the same. */
static void what_comes_in_is_held_to_the_same_terms(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		const struct claim *claim = &claims[i];

		if ((claim->verdict != GOOD && claim->verdict != OFFLOAD) || claim->meta.flags & EUROPA_SLOT_VLAN)
			continue;
		if (check_offload(&claim->meta) != (claim->verdict == GOOD))
			fail_msg("%s: %s", claim->name, claim->verdict == GOOD ? "refused" : "taken");
	}
}

static void with_32_vnics_each_bit_is_a_port(void **state)
{
	struct europa_geometry geo;
	struct europa_slot meta;
	struct bed bed;

	geometry_choose(&geo, 32, 8, EUROPA_MIN_STRIDE, 16, 0);
	bed_make(&bed, &geo);
	bed.vr.meta[0] = (struct europa_slot){ .state = EUROPA_SLOT_PROCESSED, .offset = 128, .len = 60,
					       .flags = EUROPA_SLOT_REPLICATE, .ports = ~0u };
	assert_int_equal(check_tx(&bed.vr, 0, &meta), EUROPA_DROPS);
	bed_free(&bed);
}

static void violations_are_tolerated_up_to_a_number(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct bed bed;
	u32 i;

	bed_make(&bed, &geo);
	for (i = 1; i < VR_TOLERANCE; i++)
		vr_violation(&bed.vr, i % 2, EUROPA_DROP_BAD_STATE, 1);
	assert_false(bed.vr.quarantined);
	vr_violation(&bed.vr, EUROPA_MAX_VNICS, EUROPA_DROP_NOT_OWNED, 1);
	assert_true(bed.vr.quarantined);
	assert_int_equal(bed.vr.header->status, EUROPA_QUARANTINED);

	assert_int_equal(bed.vr.stats->violations, VR_TOLERANCE);
	assert_int_equal(bed_dropped(&bed, 0, EUROPA_DROP_BAD_STATE), VR_TOLERANCE / 2 - 1);
	assert_int_equal(bed_dropped(&bed, 1, EUROPA_DROP_BAD_STATE), VR_TOLERANCE / 2);
	assert_int_equal(bed_dropped(&bed, EUROPA_MAX_VNICS, EUROPA_DROP_NOT_OWNED), 1);
	bed_free(&bed);
}

static void good_frames_earn_violations_back(void **state)
{
	struct europa_geometry geo = small_geometry();
	struct tx_frame frame;
	struct bed bed;
	u32 i, looked;

	bed_make(&bed, &geo);
	vr_violation(&bed.vr, 0, EUROPA_DROP_BAD_STATE, 3);
	for (i = 0; i < 64 * 5; i++) {
		assert_int_equal(bed.vr.tolerance, i / 64 < 3 ? VR_TOLERANCE - 3 + i / 64 : VR_TOLERANCE);
		bed_receive(&bed, 0, 60, 0);
		rx_flush(&bed.vr, 0);
		peer_send(&bed, 0, peer_get(&bed.peer.rx[0]));
		assert_int_equal(tx_take(&bed.vr, 0, &frame, 1, &looked), 1);
		tx_done(&bed.vr, &frame, 1);
	}
	bed_free(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_claim_gets_its_verdict),
		cmocka_unit_test(what_comes_in_is_held_to_the_same_terms),
		cmocka_unit_test(with_32_vnics_each_bit_is_a_port),
		cmocka_unit_test(violations_are_tolerated_up_to_a_number),
		cmocka_unit_test(good_frames_earn_violations_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * Any frames, in any order, with any metadata that the switch lets in, into a router between libeuropa and the switch's core. Checks
 * after each input that no slot is missing, that what left was in order, and that the router has broken no rule, whatever it was sent.
 *
 * The input is a sequence of frames, each with four bytes before it:
 *
 *	bit 0     vNIC
 *	bit 1     make a header that is right: MAC addresses, type, version, total length, checksum
 *	bit 2     the next 8 bytes are offload metadata
 *	bit 3     some of its bytes are from the router's own subnets
 *	bits 4-7  time that passes before it
 *	then      repeat count, length (2 bytes)
 */
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/vr.h"
#include "images/ipfwd/checksum.h"
#include "images/ipfwd/config.h"
#include "images/ipfwd/packet.h"
#include "images/ipfwd/router.h"

#define SLOTS       64
#define GUARD       64
#define LONGEST     60000

static const char config_text[] =
	"address 0 10.0.0.1/24\naddress 1 10.0.1.1/24\naddress 1 169.254.3.1/16\n"
	"route 10.9.0.0/16 via 10.0.1.9\nroute 10.9.8.0/24 via 10.0.0.7\nroute 10.8.0.0/16 prohibit\n"
	"neighbour 10.0.0.2 02:00:00:00:00:02 dev 0\nneighbour 10.0.1.2 02:00:00:00:01:02 dev 1\nvlan 1 5\n";

static struct vr vr;
static struct europa *eu;
static struct europa_geometry geometry;
static struct europa_offsets offsets;

#define CHECK(x) do { if (!(x)) abort(); } while (0)

static u8 *file_map(int *fd, size_t size)
{
	u8 *map;

	*fd = memfd_create("fuzz", MFD_CLOEXEC);
	CHECK(*fd >= 0 && !ftruncate(*fd, (off_t)size));
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	CHECK(map != MAP_FAILED);
	return map;
}

/* Frames are short enough that the ends of a slot are nobody's: whoever goes there went too far. */
static void guard(u32 slot, u32 bytes)
{
	u8 *at = eu->slots + (size_t)slot * geometry.slot_stride;

	ASAN_POISON_MEMORY_REGION(at, GUARD);
	ASAN_POISON_MEMORY_REGION(at + bytes - GUARD, GUARD);
}

static void set_up(void)
{
	int control, pool, doorbell[2], kick[2];
	char path[64];
	u8 *control_map, *pool_map;
	u32 i;

	geometry_choose(&geometry, 2, SLOTS, 0, 64, 4);
	layout_compute(&geometry, &offsets);
	control_map = file_map(&control, offsets.control_size);
	pool_map = file_map(&pool, offsets.pool_size);
	CHECK(!pipe2(doorbell, O_NONBLOCK) && !pipe2(kick, O_NONBLOCK));
	vr_init(&vr, &geometry, "fuzz", control_map, pool_map, malloc(vr_memory(&geometry)));
	for (i = 0; i < 2; i++) {
		vr.vnics[i].mac[0] = 2;
		vr.vnics[i].mac[5] = (u8)(0xe0 + i);
		vr.vnics[i].mtu = i ? 600 : 1500;
		vr.vnics[i].flags = EUROPA_VNIC_UP;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", control);
	CHECK(!europa_attach_fds(&eu, open(path, O_RDONLY), pool, doorbell[0], kick[1]));
	for (i = 0; i < SLOTS; i++)
		guard(i, geometry.slot_stride);
	for (i = 0; i < geometry.nruns; i++)
		guard(SLOTS + i * geometry.run_slots, geometry.slot_stride * geometry.run_slots);
}

static void take_all(bool plain)
{
	struct tx_frame frames[VR_BATCH];
	u32 vnic, i, n, looked;
	bool wake;

	for (vnic = 0; vnic < 2; vnic++) {
		while ((n = tx_take(&vr, vnic, frames, VR_BATCH, &looked)) || looked) {
			for (i = 0; i < n; i++) {
				const struct ipv4 *ip = ipv4_of((u8 *)frames[i].data);

				if (frames[i].data[12] != 8 || frames[i].data[13] != 0)
					continue;
				CHECK(ntohs(ip->total) + ETHERNET_BYTES == frames[i].meta.len);
				CHECK(checksum_holds(ip, ipv4_header_bytes(ip)));
				if (plain)
					CHECK(ntohs(ip->total) <= vr.vnics[vnic].mtu);
			}
			tx_done(&vr, frames, n);
		}
	}
	pool_turn(&vr, UINT32_MAX, &wake);
}

static void turn(struct router *r, bool plain)
{
	u32 burst[ROUTER_BURST];
	unsigned vnic, n;

	if (r->now >= router_due(r))
		router_tick(r);
	for (vnic = 0; vnic < 2; vnic++)
		while ((n = europa_rx(eu, vnic, burst, ROUTER_BURST)) > 0)
			router_receive(r, vnic, burst, n);
	router_flush(r);
	take_all(plain);
}

static void make_right(u8 *frame, u32 len, unsigned vnic, bool ours)
{
	struct ipv4 *ip = ipv4_of(frame);

	if (len < ETHERNET_BYTES + IPV4_BYTES)
		return;
	memcpy(frame, vr.vnics[vnic].mac, 6);
	if (frame[12] == 8 && frame[13] == 6)
		return;
	frame[12] = 8;
	frame[13] = 0;
	ip->version_words = 0x40 | (ip->version_words & 15);
	if (ipv4_header_bytes(ip) < IPV4_BYTES || ETHERNET_BYTES + ipv4_header_bytes(ip) > len)
		ip->version_words = 0x45;
	ip->total = htons(len - ETHERNET_BYTES);
	if (ours) {
		ip->src = htonl(0x0a000000 | (ntohl(ip->src) & 0x1ff));
		ip->dst = htonl(0x0a000000 | (ntohl(ip->dst) & 0x901ff));
	}
	ip->checksum = 0;
	ip->checksum = checksum_of(ip, ipv4_header_bytes(ip));
}

/* One frame of the input. Returns how many bytes it took; 0: there is none. */
static size_t feed(struct router *r, const uint8_t *data, size_t size, bool *plain)
{
	struct europa_slot meta = { 0 };
	unsigned vnic, repeat, head = 4;
	u32 len;
	int slot;

	if (size < 4)
		return 0;
	vnic = data[0] & 1;
	r->now += (u64)(data[0] >> 4) * (data[0] >> 4) * 500;
	len = (u32)data[2] << 8 | data[3];
	if (data[0] & 4 && size >= 12) {
		meta.flags = data[4] & (EUROPA_SLOT_NEEDS_CSUM | EUROPA_SLOT_CSUM_VALID | EUROPA_SLOT_VLAN);
		meta.gso_type = data[5];
		memcpy(&meta.gso_size, data + 6, 2);
		memcpy(&meta.csum_start, data + 8, 2);
		meta.csum_offset = data[10];
		meta.vlan_tci = data[11] & 7;
		meta.hdr_len = ETHERNET_BYTES + (data[11] >> 3);
		head = 12;
		*plain = false;
	}
	if (len > LONGEST)
		len = LONGEST;
	if (len > 1700 && len < geometry.slot_stride)
		len = 1700;
	meta.len = len;
	if (!check_offload(&meta)) {
		meta.flags &= ~EUROPA_SLOT_NEEDS_CSUM;
		meta.gso_type = EUROPA_GSO_NONE;
	}
	/* The frame's end may be beyond the input's: it repeats. */
	for (repeat = 0; repeat <= (data[1] & 3); repeat++) {
		slot = rx_slot(&vr, vnic, len);
		if (slot < 0)
			break;
		for (u32 i = 0; i < len; i++)
			rx_data(&vr, (u32)slot)[i] = size > head ? data[head + i % (size - head)] : 0;
		if (data[0] & 2)
			make_right(rx_data(&vr, (u32)slot), len, vnic, data[0] & 8);
		rx_put(&vr, vnic, (u32)slot, &meta);
	}
	rx_flush(&vr, vnic);
	turn(r, *plain);
	return head + len < size ? head + len : size;
}

static void assert_whole(void)
{
	struct vr_census census;
	u32 spare = vr.alloc.mine->index - vr.alloc.theirs->index;

	vr_census(&vr, &census);
	CHECK(census.vr_slots == spare);
	CHECK(census.vr_runs == 0);
	CHECK(!vr.stats->violations);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = { 0 };
	struct config config;
	struct router *r;
	bool plain = true;
	size_t used;
	int i;

	if (!eu)
		set_up();
	r = router_new(eu, 1000);
	config_init(&config);
	CHECK(!config_parse(&config, "conf", config_text, sizeof config_text - 1, &e) && !config_apply(&config, r, &e));
	config_release(&config);
	while ((used = feed(r, data, size, &plain)) > 0) {
		data += used;
		size -= used;
	}
	/* Whoever waits for a neighbour is given up, and nothing is held any more. */
	for (i = 0; i < 12; i++) {
		r->now += 1000;
		turn(r, plain);
	}
	assert_whole();
	router_free(r);
	return 0;
}

// SPDX-License-Identifier: MIT
/*
 * /dev/europa under a fuzzer: programs of a few calls each, on three VRs and a shared NIC: verbs with one wrong field, ioctls of noise, rings
 * and metadata that lie, pipes that are full, devices that go down and away, frames that nobody expects. KCOV tells which code of the module
 * a program has reached; one that reaches something new is kept and varied. Everything follows from the seed.
 *
 *	fuzz PROGRAMS [SEED]
 *
 * There is no wrong answer to a program but in the kernel's log. At the end nothing may be registered any more, and a well-behaved VR must be
 * served: else the exit status is 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/vm/debug/supervisor.h"

#define VRS        3
#define OPS        16           /* of a program */
#define CORPUS     512
#define COVER      (64u << 10)
#define KCOV_INIT_TRACE _IOR('c', 1, unsigned long)
#define KCOV_ENABLE     _IO('c', 100)

enum what {
	OPEN, REGISTER, ADOPT, ATTACH, DETACH, QUIESCE, ASK, REFRESH, NOISE, CLOSE,
	SCRIBBLE, TRANSMIT, KICK, RECEIVE, DEVICE, HOLE, RENEW, RELEASE, PAUSE,
	WHATS
};

struct op { uint8_t what, vr; uint32_t a, b, c; };
struct program { unsigned n; struct op op[OPS]; };

static const char *const names[VRS] = { "fuzz0", "fuzz1", "fuzz2" };
static struct supervisor vr[VRS];
static int packets, netlink;            /* sockets */
static unsigned long *cover;

/* ---- chance ---- */

static uint64_t chance;

static uint32_t rnd(void)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (uint32_t)(chance >> 16);
}

static uint32_t interesting(void)
{
	static const uint32_t values[] = {
		0, 1, 2, 3, 4, 7, 8, 14, 15, 16, 31, 32, 33, 60, 63, 64, 65, 127, 128, 255, 256, 576, 632, 1500,
		4095, 4096, 4097, 65472, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
	};

	return rnd() % 4 ? values[rnd() % (sizeof(values) / sizeof(values[0]))] : rnd();
}

/* ---- what a program can do ---- */

static void choose_geometry(struct europa_geometry *geo, uint32_t a)
{
	static const uint32_t slots[] = { 2, 8, 64, 300 }, strides[] = { EUROPA_MIN_STRIDE, 0, 4160, EUROPA_MAX_STRIDE };

	geometry_choose(geo, 1 + a % 4, slots[a >> 2 & 3], strides[a >> 4 & 3], 16u << (a >> 6 & 3), a >> 8 & 3);
}

static void renew(struct supervisor *s, uint32_t a)
{
	struct europa_geometry geo;
	const char *name = s->name;

	choose_geometry(&geo, a);
	supervisor_free(s);
	supervisor_make(s, name, &geo);
}

/* One word of an argument, where `at` names one, becomes `value`. */
static void spoil(void *argument, size_t size, uint32_t at, uint32_t value)
{
	if (at % 4 == 0)
		memcpy((char *)argument + at / 4 % (size / 4) * 4, &value, sizeof(value));
}

static void do_register(struct supervisor *s, const struct op *op, unsigned flags)
{
	struct europa_ioc_register reg = {
		.size = sizeof(reg), .control = s->region.control, .pool = s->region.pool,
		.doorbell = s->region.doorbell_write, .kick = s->region.kick_read, .netns = s->netns,
		.reg = { .size = sizeof(reg.reg), .flags = flags, .geometry = s->region.geometry },
	};

	strcpy(reg.reg.name, s->name);
	spoil(&reg, sizeof(reg), op->a, op->b);
	ioctl(s->device, EUROPA_IOC_REGISTER, &reg);
}

static const struct sock_filter filters[][4] = {
	{ { 0x28, 0, 0, 12 }, { 0x15, 0, 1, 0x0800 }, { 0x06, 0, 0, 0xffff }, { 0x06, 0, 0, 0 } },
	{ { 0x20, 0, 0, 0xfffff004 }, { 0x16, 0, 0, 0 }, { 0x16, 0, 0, 0 }, { 0x16, 0, 0, 0 } },
	{ { 0xb1, 0, 0, 14 }, { 0x50, 0, 0, 200 }, { 0x16, 0, 0, 0 }, { 0x06, 0, 0, 1 } },
	{ { 0x05, 0, 0, 0xffffffff }, { 0x06, 0, 0, 0 }, { 0x61, 0, 0, 99 }, { 0x03, 0, 0, 77 } },
};

static void do_attach(struct supervisor *s, const struct op *op)
{
	static const char *const rules[] = {
		"", "mac", "vlan 7", "vlan 0", "ethertype 0x8847", "ip 10.0.0.0/8", "ip fd00::/8", "ip 10.0.0.1/8", "udp 53",
		"vxlan 4660", "filter ip", "filter", "ip 999", " vlan\t4095", "nonsense", "ip ::ffff:10.0.0.0/104",
	};
	static const char *const devices[] = { "", "nic", "wire", "lo", "fuzz0-v0", "fuzz1-v0", "dev%d", "." };
	struct europa_attach attach = { .size = sizeof(attach), .vnic = op->a % 5, .kind = op->a >> 4 & 7 };

	strcpy(attach.device, devices[attach.kind == EUROPA_PORT_SHARED ? (op->a >> 7 & 7 ? 1 : 3) : op->a >> 10 & 1 ? op->a >> 11 & 7 : 0]);
	strcpy(attach.rule, rules[op->a >> 14 & 15]);
	if (attach.kind == EUROPA_PORT_VR) {
		strcpy(attach.peer, names[(op->a >> 18 & 1 ? op->vr + 1u : op->a) % VRS]);
		attach.peer_vnic = op->a >> 19 & 1;
	} else if (attach.kind == EUROPA_PORT_GENERATOR) {
		strcpy(attach.peer, op->a >> 20 & 1 ? "size=9014,burst=64" : op->a >> 21 & 1 ? "size=60,count=7" : "size=1,,=");
	}
	if (!strncmp(attach.rule, "filter", 6)) {
		attach.filter_len = 4;
		attach.filter = (uintptr_t)filters[op->a >> 22 & 3];
	}
	spoil(&attach, sizeof(attach), op->b, op->c);
	ioctl(s->device, EUROPA_IOC_ATTACH, &attach);
}

static void do_noise(struct supervisor *s, const struct op *op)
{
	static _Alignas(4096) uint8_t bytes[8192];
	unsigned verb = op->a % 8 ? op->a >> 4 & 15 : op->a >> 4, i;
	/* Also arguments that end with the page, at addresses of nobody, and of the kernel. */
	static const unsigned long elsewhere[] = { 0, 8, 0x7ffffffff000, 0xffff800000000000, ~0ul - 7 };

	for (i = 0; i < 700; i += 4) {
		uint32_t word = rnd();

		memcpy(bytes + i, &word, 4);
	}
	memcpy(bytes, &op->b, 4);
	ioctl(s->device, _IOC(op->c & 3, op->c % 32 ? EUROPA_IOC_MAGIC : op->c >> 8 & 0xff, verb, op->c >> 16 & 0x3fff),
	      op->c >> 4 & 7 ? (unsigned long)bytes : elsewhere[op->b % 5]);
}

static void do_scribble(const struct supervisor *s, const struct op *op)
{
	const struct europa_geometry *geo = &s->region.geometry;
	unsigned ring = op->a % (2 + 2 * geo->nvnics);
	struct europa_line *line = supervisor_line(s, ring);
	uint32_t *words[] = { &line->index, &line->need_wakeup, &line->txn_base, &line->txn_count };

	if (op->a >> 8 & 1)
		*(volatile uint32_t *)words[op->a >> 9 & 3] = op->b;
	else
		*(volatile uint32_t *)(s->pool + (uint64_t)op->b * 4 % s->off.pool_size) = op->c;
}

/* Entries of a tx or the free ring that are right, but for what the program wants wrong. */
static void do_transmit(const struct supervisor *s, const struct op *op)
{
	const struct europa_geometry *geo = &s->region.geometry;
	unsigned ring = op->a % 8 == 7 ? EUROPA_RING_FREE : EUROPA_RING_TX(op->a % geo->nvnics), i, n = 1 + (op->a >> 3 & 63);
	uint32_t size = layout_ring_size(geo, ring), indexes = geometry_indexes(geo), *entries = supervisor_entries(s, ring);
	struct europa_line *line = supervisor_line(s, ring);
	const uint8_t *owners = s->control + s->off.control_owners;
	uint32_t at = line->index;

	for (i = 0; i < n && i < size; i++) {
		struct europa_slot meta = { .state = EUROPA_SLOT_PROCESSED, .len = 60 + (op->c >> 20), .offset = EUROPA_HEADROOM,
					    .flags = op->c & 0xf, .gso_type = op->c >> 4 & 7, .gso_size = 1 + (op->c >> 8 & 1023), .hdr_len = 54,
					    .csum_start = 34, .csum_offset = op->c >> 18 & 1 ? 16 : 6, .vlan_tci = 7, .vlan_proto = 0x8100,
					    .ports = op->c };
		uint32_t slot = rnd() % indexes, tries = 0;

		while (owners[slot] != EUROPA_OWNER_VR && tries++ < 64)
			slot = (slot + 1) % indexes;
		spoil(&meta, sizeof(meta), op->b, op->c);
		memcpy(s->pool + s->off.pool_meta + (uint64_t)slot * sizeof(meta), &meta, sizeof(meta));
		entries[(at + i) & (size - 1)] = op->b % 16 == 1 ? op->c : slot;
	}
	__atomic_store_n(&line->index, at + n, __ATOMIC_RELEASE);
	if (write(s->region.kick_write, "", 1) < 0 && errno != EAGAIN)
		return;
}

static void do_kick(const struct supervisor *s, const struct op *op)
{
	static const char full[65536];
	static char sink[4096];

	switch (op->a % 4) {
	case 0:
		if (write(s->region.kick_write, full, op->b % sizeof(full)) < 0)
			break;
		break;
	case 1:
		if (read(s->region.doorbell_read, sink, sizeof(sink)) < 0)
			break;
		break;
	case 2:
		if (write(s->region.doorbell_write, full, op->b % sizeof(full)) < 0)
			break;
		break;
	default:
		fcntl(op->b & 1 ? s->region.kick_read : s->region.doorbell_write, F_SETFL, op->b & 2 ? O_NONBLOCK : 0);
		fcntl(s->region.doorbell_write, F_SETFL, O_NONBLOCK);
	}
}

static unsigned device_of(const struct op *op)
{
	char name[IFNAMSIZ];

	if (op->a % 4 == 0)
		return if_nametoindex(op->a & 4 ? "nic" : "wire");
	snprintf(name, sizeof(name), "%s-v%u", names[op->vr % VRS], op->a >> 3 & 1);
	return if_nametoindex(name);
}

/* Frames by a device of a VR or at the shared NIC, with whatever offloads. */
static void do_receive(const struct op *op)
{
	static const uint8_t headers[54] = {
		0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0, 80, 0, 53, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff,
	};
	static struct { struct virtio_net_hdr offload; uint8_t frame[65549]; } __attribute__((packed)) out;
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)device_of(op), .sll_halen = 6 };
	uint32_t len = 14 + op->b % (op->b >> 16 & 7 ? 2000 : sizeof(out.frame) - 14);

	memset(&out.offload, 0, sizeof(out.offload));
	memcpy(out.frame, headers, sizeof(headers));
	if (op->c & 1)
		out.frame[0] = 0xff;
	if (op->c & 2)
		memcpy(out.frame + 12, "\x81\x00\x00\x07\x08\x00", 6);
	if (op->c & 4)
		out.frame[23] = 17;
	out.frame[5] = op->c >> 8;
	if (op->c & 8)
		out.offload = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = op->c >> 4 & 7, .hdr_len = 54,
						       .gso_size = 100 + (op->c >> 16 & 1023), .csum_start = 34, .csum_offset = 16 };
	sendto(packets, &out, sizeof(out.offload) + len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

static void delete_device(unsigned index)
{
	struct { struct nlmsghdr head; struct ifinfomsg info; } request = {
		.head = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_DELLINK, .nlmsg_flags = NLM_F_REQUEST },
		.info = { .ifi_index = (int)index },
	};

	send(netlink, &request, sizeof(request), 0);
}

static void do_device(const struct op *op)
{
	struct ifreq request = { 0 };
	unsigned index = device_of(op);

	if (!index || !if_indextoname(index, request.ifr_name))
		return;
	switch (op->b % 4) {
	case 0:
		if (strstr(request.ifr_name, "-v"))
			delete_device(index);
		break;
	case 1:
		request.ifr_mtu = (int)(op->c % 70000);
		ioctl(packets, SIOCSIFMTU, &request);
		break;
	default:
		request.ifr_flags = op->b & 4 ? IFF_UP : 0;
		ioctl(packets, SIOCSIFFLAGS, &request);
	}
}

static void run_op(const struct op *op)
{
	struct supervisor *s = &vr[op->vr % VRS];
	struct pollfd fd = { .fd = s->device, .events = POLLIN };

	switch (op->what % WHATS) {
	case OPEN:     supervisor_close(s); supervisor_open(s); break;
	case REGISTER: do_register(s, op, 0); break;
	case ADOPT:    do_register(s, op, EUROPA_REGISTER_ADOPT); break;
	case ATTACH:   do_attach(s, op); break;
	case DETACH:   supervisor_detach(s, op->a % 8 ? op->a % 5 : op->a); break;
	case QUIESCE:  supervisor_quiesce(s, op->a & 3); break;
	case ASK:      supervisor_ask(s, op->a & 3); break;
	case REFRESH:  supervisor_refresh(s); supervisor_why(s); break;
	case NOISE:    do_noise(s, op); break;
	case CLOSE:    supervisor_close(s); break;
	case SCRIBBLE: do_scribble(s, op); break;
	case TRANSMIT: do_transmit(s, op); break;
	case KICK:     do_kick(s, op); break;
	case RECEIVE:  do_receive(op); break;
	case DEVICE:   do_device(op); break;
	case HOLE:     fallocate(s->region.pool, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, op->a % 64 * 4096, (1 + op->b % 64) * 4096); break;
	case RENEW:    renew(s, op->a); break;
	case RELEASE:  put("/sys/module/europa/parameters/release", op->a % 4 ? "0" : "1"); poll(&fd, 1, 0); break;
	case PAUSE:    usleep(op->a % 2000); break;
	}
}

/* Every program begins with three fresh regions that nobody has registered. */
static void run(const struct program *program)
{
	unsigned i;

	for (i = 0; i < program->n; i++)
		run_op(&program->op[i]);
	for (i = 0; i < VRS; i++)
		renew(&vr[i], rnd());
	put("/sys/module/europa/parameters/release", "0");
}

/* ---- which programs ---- */

#define REGISTERED(n) { OPEN, n, 0, 0, 0 }, { REGISTER, n, 1, 0, 0 }
/* Attached to a device, a shared NIC, vNIC 0 of the next VR, a generator. */
#define ON_DEVICE(n)    { ATTACH, n, 0, 1, 0 }
#define ON_NIC(n)       { ATTACH, n, 0x90, 1, 0 }
#define ON_LINK(n)      { ATTACH, n, 0x40020, 1, 0 }
#define ON_GENERATOR(n) { ATTACH, n, 0x200030, 1, 0 }

static const struct program seeds[] = {
	{ 4, { REGISTERED(0), ON_DEVICE(0), { RECEIVE, 0, 1, 60, 0 } } },
	{ 6, { REGISTERED(0), ON_DEVICE(0), { PAUSE, 0, 500, 0, 0 }, { TRANSMIT, 0, 0, 2, 0 }, { PAUSE, 0, 500, 0, 0 } } },
	{ 5, { REGISTERED(1), ON_NIC(1), { RECEIVE, 0, 0, 60, 0x101 }, { RECEIVE, 0, 0, 60, 0x102 } } },
	{ 7, { REGISTERED(0), REGISTERED(1), ON_LINK(0), { ATTACH, 1, 0x20, 1, 0 }, { TRANSMIT, 0, 8, 2, 0 } } },
	{ 5, { REGISTERED(2), ON_GENERATOR(2), { PAUSE, 2, 900, 0, 0 }, { QUIESCE, 2, 1, 0, 0 } } },
	{ 6, { REGISTERED(0), { CLOSE, 0, 0, 0, 0 }, { OPEN, 0, 0, 0, 0 }, { ADOPT, 0, 1, 0, 0 }, { DETACH, 0, 1, 0, 0 } } },
	{ 6, { REGISTERED(0), ON_DEVICE(0), { DEVICE, 0, 1, 0, 0 }, ON_DEVICE(0), { DEVICE, 0, 1, 2, 0 } } },
};

static struct program corpus[CORPUS];
static unsigned ncorpus;
static uint8_t seen[1u << 16];
static unsigned edges;

static struct op any_op(void)
{
	return (struct op){ rnd() % WHATS, rnd() % VRS, rnd(), interesting(), interesting() };
}

static struct program vary(void)
{
	struct program p = corpus[rnd() % ncorpus];
	unsigned times = 1 + rnd() % 4;

	while (times--) {
		unsigned at = rnd() % p.n;
		struct op *op = &p.op[at];

		switch (rnd() % 6) {
		case 0:
		case 1:
			if (p.n == OPS)
				break;
			memmove(op + 1, op, (p.n - at) * sizeof(*op));
			*op = any_op();
			p.n++;
			break;
		case 2:
			op->a = rnd() % 2 ? rnd() : op->a ^ 1u << rnd() % 32;
			break;
		case 3:
			op->b = interesting();
			break;
		case 4:
			op->c = interesting();
			break;
		default:
			op->vr = rnd() % VRS;
		}
	}
	return p;
}

static bool reached_something_new(void)
{
	unsigned long n = __atomic_load_n(&cover[0], __ATOMIC_RELAXED), i;
	uint32_t before = 0;
	bool fresh = false;

	for (i = 1; i <= n && i < COVER; i++) {
		uint32_t here = (uint32_t)cover[i], edge = (here ^ before * 31) & (sizeof(seen) - 1);

		before = here;
		if (!seen[edge]) {
			seen[edge] = 1;
			edges++;
			fresh = true;
		}
	}
	return fresh;
}

static void try_program(const struct program *p)
{
	__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
	run(p);
	if (reached_something_new() && ncorpus < CORPUS)
		corpus[ncorpus++] = *p;
}

/* ---- before and after ---- */

static bool make(void)
{
	int kcov = open("/sys/kernel/debug/kcov", O_RDWR), on = 1;
	struct europa_geometry geo;
	unsigned i;

	if (kcov < 0 || ioctl(kcov, KCOV_INIT_TRACE, (unsigned long)COVER) < 0)
		return false;
	cover = mmap(NULL, COVER * sizeof(*cover), PROT_READ | PROT_WRITE, MAP_SHARED, kcov, 0);
	if (cover == MAP_FAILED || ioctl(kcov, KCOV_ENABLE, 0) < 0)
		return false;
	packets = socket(AF_PACKET, SOCK_RAW, 0);
	netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (packets < 0 || netlink < 0 || setsockopt(packets, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0)
		return false;
	choose_geometry(&geo, 0);
	for (i = 0; i < VRS; i++)
		supervisor_make(&vr[i], names[i], &geo);
	return system("ip link add nic type veth peer name wire && ip link set nic up && ip link set wire up") == 0;
}

/* The module still does what it is for: a VR with a generator finds its frames. */
static bool serves(void)
{
	static const struct europa_attach generator = { .kind = EUROPA_PORT_GENERATOR, .peer = "size=60,count=5" };
	struct europa_geometry geo;
	struct supervisor s;
	const struct europa_line *rx;
	unsigned tries;

	geometry_choose(&geo, 1, 64, 0, 64, 0);
	supervisor_make(&s, "honest", &geo);
	rx = (const struct europa_line *)(s.control + s.off.control_lines) + EUROPA_RING_RX(0);
	if (supervisor_open(&s) < 0 || supervisor_register(&s, 0) < 0 || supervisor_attach(&s, &generator) < 0)
		return false;
	for (tries = 0; tries < 10000 && __atomic_load_n(&rx->index, __ATOMIC_ACQUIRE) != 5; tries++)
		usleep(1000);
	supervisor_free(&s);
	return tries < 10000;
}

static bool nobody_is_registered(void)
{
	char text[16] = "";
	int fd = open("/sys/module/europa/refcnt", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 && atoi(text) == 0;
}

int main(int argc, char **argv)
{
	unsigned programs = argc > 1 ? (unsigned)atoi(argv[1]) : 1000, i;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;

	chance = seed * 0x9e3779b97f4a7c15ull | 1;
	if (!make()) {
		perror("fuzz: cannot begin");
		return 2;
	}
	for (i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
		try_program(&seeds[i]);
	if (!ncorpus) {
		fprintf(stderr, "fuzz: the module isn't built with KCOV\n");
		return 2;
	}
	for (i = 0; i < programs; i++) {
		struct program p = vary();

		try_program(&p);
	}
	for (i = 0; i < VRS; i++)
		supervisor_free(&vr[i]);
	printf("fuzz: seed %lu, %u programs, %u kept, %u edges\n", seed, programs, ncorpus, edges);
	if (!nobody_is_registered() || !serves()) {
		fprintf(stderr, "fuzz: the module is not what it was\n");
		return 1;
	}
	return system("ip link del nic") != 0;
}

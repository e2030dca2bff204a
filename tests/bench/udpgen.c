// SPDX-License-Identifier: MIT
/*
 * A generator of UDP packets of one size, faster than any router beside it.
 *
 *	udpgen --device DEV --to MAC --dst ADDRESS [--src ADDRESS] [--size BYTES] [--rate PPS] [--count N] [--seconds S]
 *	       [--cpu N] [--xdp [--targets FILE] | --qdisc] [--sequence]
 *
 * By default frames go out by a packet socket, in batches of sendmmsg: works everywhere, but each frame costs the
 * generator's CPU an sk_buff, about as much as forwarding one.
 *
 * With --xdp they go out as XDP frames (BPF_PROG_TEST_RUN with live frames): the device's other end builds the sk_buff, as the
 * driver of a real NIC would on the router's CPU, and the generator costs next to nothing. The other end of a veth must have
 * NAPI for that (`ethtool -K DEV gro on`).
 *
 * --targets FILE has many destinations instead of one, a line each: DEVICE MAC ADDRESS. Each frame goes to the next one, and after the last
 * comes the first. All devices are in this network namespace.
 *
 * --pin-drop PATH does something else: it pins a tc program that drops everything at PATH (on a bpffs), for the sink's device:
 *
 *	tc filter add dev DEV ingress bpf da object-pinned PATH
 *
 * --qdisc takes the stack's ordinary way out. Without it a device that is removed at this very moment can cost the kernel a division by
 * its number of queues, which is 0 then (packet_direct_xmit, Linux 6.1).
 *
 * --sequence puts a big-endian u64 that counts up into the payload (packet socket only), so that a receiver can tell what got lost.
 * At the end it prints one line: packets sent, seconds, packets/s, CPU seconds (with --xdp only the last two mean something).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BATCH     64
#define XDP_BATCH 64
#define XDP_SMALLEST_BATCH 8
#define XDP_BATCH_US 50         /* what there is room for in one is sent together */
#define XDP_LOOKS 512           /* at the clock for one frame, about 10 us */
#define HEADERS   (14 + 20 + 8)
#define MAX_SIZE  1514

/* 2^18 of them are 4 MiB, more than which some kernels have no map for. */
#define MAX_TARGETS (1u << 18)

/* What a frame's headers say that is not the same in all of them, as the XDP program reads it. */
struct target {
	uint8_t mac[6];
	uint16_t checksum;              /* of the IP header; network byte order, as is dst */
	uint32_t dst;
	uint32_t ifindex;
};

/* What the XDP program keeps from one frame to the next. */
struct progress {
	uint64_t due;                   /* the kernel's clock at which the next frame is due */
	uint64_t next;                  /* its target */
};

static struct {
	const char *device, *targets;
	unsigned ifindex;
	uint8_t src_mac[6], dst_mac[6];
	struct in_addr src, dst;
	unsigned size;
	uint64_t rate, count;
	double seconds;
	int cpu;
	bool xdp, qdisc, sequence;
} want = { .size = 64, .cpu = -1 };

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "udpgen: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned ip_checksum(const uint8_t ip[20])
{
	uint32_t sum = 0;
	unsigned i;

	for (i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static void make_frame(uint8_t frame[MAX_SIZE])
{
	uint8_t *ip = frame + 14, *udp = ip + 20;

	memset(frame, 0, MAX_SIZE);
	memcpy(frame, want.dst_mac, 6);
	memcpy(frame + 6, want.src_mac, 6);
	put16(frame + 12, ETH_P_IP);
	ip[0] = 0x45;
	put16(ip + 2, want.size - 14);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, &want.src, 4);
	memcpy(ip + 16, &want.dst, 4);
	put16(ip + 10, ip_checksum(ip));
	put16(udp, 9);
	put16(udp + 2, 9);
	put16(udp + 4, want.size - 34);
}

/* Called once a batch: waits until it is time for the next one. What couldn't be sent in time is not made up for by a burst. */
static bool go_on(uint64_t sent, double start)
{
	static double late;             /* seconds that were let go */
	double elapsed = now() - start, due = want.rate ? (double)sent / (double)want.rate + late : elapsed;

	if (stopped || (want.count && sent >= want.count) || (want.seconds > 0 && elapsed >= want.seconds))
		return false;
	if (elapsed - due > 2e-3)
		late += elapsed - due;
	while (elapsed < due && !stopped) {
		if (due - elapsed > 200e-6) {
			struct timespec pause = { .tv_nsec = (long)((due - elapsed < 0.01 ? due - elapsed : 0.01) * 0.5e9) };

			nanosleep(&pause, NULL);
		}
		elapsed = now() - start;
	}
	return true;
}

static uint64_t by_socket(const uint8_t *frame, double start)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = (int)want.ifindex, .sll_halen = 6 };
	static uint8_t frames[BATCH][MAX_SIZE];
	struct mmsghdr batch[BATCH];
	struct iovec iov[BATCH];
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;
	uint64_t sent = 0, sequence = 0;
	unsigned i, n;
	int done;

	if (fd < 0 || (!want.qdisc && setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) < 0))
		die("packet socket");
	memset(batch, 0, sizeof batch);
	for (i = 0; i < BATCH; i++) {
		memcpy(frames[i], frame, want.size);
		iov[i] = (struct iovec){ frames[i], want.size };
		batch[i].msg_hdr.msg_iov = &iov[i];
		batch[i].msg_hdr.msg_iovlen = 1;
		batch[i].msg_hdr.msg_name = &address;
		batch[i].msg_hdr.msg_namelen = sizeof address;
	}
	while (go_on(sent, start)) {
		n = want.count && want.count - sent < BATCH ? (unsigned)(want.count - sent) : BATCH;
		if (want.rate && want.rate < 20000)
			n = 1;
		for (i = 0; want.sequence && i < n; i++) {
			uint64_t be = __builtin_bswap64(sequence + i);

			memcpy(frames[i] + HEADERS, &be, 8);
		}
		done = sendmmsg(fd, batch, n, 0);
		if (done < 0 && errno != ENOBUFS && errno != EINTR && errno != EAGAIN)
			die("sendmmsg");
		if (done > 0) {
			sent += (unsigned)done;
			sequence += (unsigned)done;
		}
	}
	return sent;
}

static int bpf(int verb, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, verb, attr, sizeof *attr);
}

static int load(unsigned type, const struct bpf_insn *program, size_t insns)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof attr);
	attr.prog_type = type;
	attr.insns = (uintptr_t)program;
	attr.insn_cnt = (unsigned)insns;
	attr.license = (uintptr_t)"GPL";
	fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0)
		die("loading a BPF program");
	return fd;
}

/* A map of one value, which a program can address by itself. */
static int make_map(const void *value, size_t size)
{
	const uint32_t key = 0;
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof attr);
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = sizeof key;
	attr.value_size = (uint32_t)size;
	attr.max_entries = 1;
	fd = bpf(BPF_MAP_CREATE, &attr);
	if (fd < 0)
		die("making a BPF map");
	memset(&attr, 0, sizeof attr);
	attr.map_fd = (uint32_t)fd;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)value;
	if (bpf(BPF_MAP_UPDATE_ELEM, &attr) < 0)
		die("filling a BPF map");
	return fd;
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) == 6;
}

static struct target make_target(const uint8_t *frame, const uint8_t mac[6], struct in_addr dst, unsigned ifindex)
{
	struct target t = { .dst = dst.s_addr, .ifindex = ifindex };
	uint8_t ip[20];

	memcpy(t.mac, mac, 6);
	memcpy(ip, frame + 14, sizeof ip);
	memset(ip + 10, 0, 2);
	memcpy(ip + 16, &dst, 4);
	t.checksum = htons((uint16_t)ip_checksum(ip));
	return t;
}

/* One line of --targets: DEVICE MAC ADDRESS. */
static struct target parse_target(const uint8_t *frame, const char *line, unsigned number)
{
	static char device[IFNAMSIZ];
	static unsigned ifindex;
	char name[IFNAMSIZ], mac_text[18], address[16];
	struct in_addr dst;
	uint8_t mac[6];
	bool whole = sscanf(line, "%15s %17s %15s", name, mac_text, address) == 3;

	/* Most lines name the same device as the one before. */
	if (whole && (!ifindex || strcmp(name, device))) {
		ifindex = if_nametoindex(name);
		memcpy(device, name, sizeof device);
	}
	if (!whole || !ifindex || !parse_mac(mac_text, mac) || !inet_aton(address, &dst)) {
		fprintf(stderr, "udpgen: %s, line %u: \"%.*s\": expected DEVICE MAC ADDRESS\n", want.targets, number,
			(int)strcspn(line, "\n"), line);
		exit(2);
	}
	return make_target(frame, mac, dst, ifindex);
}

static unsigned read_targets(const uint8_t *frame, struct target *targets)
{
	FILE *file = fopen(want.targets, "r");
	unsigned n = 0;
	char line[80];

	if (!file)
		die(want.targets);
	for (; n < MAX_TARGETS && fgets(line, sizeof line, file); n++)
		targets[n] = parse_target(frame, line, n + 1);
	if (!n || fgets(line, sizeof line, file)) {
		fprintf(stderr, "udpgen: %s: expected 1 to %u lines\n", want.targets, MAX_TARGETS);
		exit(2);
	}
	fclose(file);
	return n;
}

#define INSN(...) (program[n++] = (struct bpf_insn){ __VA_ARGS__ })
#define MOV(dst, src)      INSN(.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = dst, .src_reg = src)
#define MOV_NUMBER(dst, k) INSN(.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = dst, .imm = k)
#define ADD(dst, src)      INSN(.code = BPF_ALU64 | BPF_ADD | BPF_X, .dst_reg = dst, .src_reg = src)
#define ADD_NUMBER(dst, k) INSN(.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = dst, .imm = k)
#define SHIFT(dst, k)      INSN(.code = BPF_ALU64 | BPF_LSH | BPF_K, .dst_reg = dst, .imm = k)
#define MAP_VALUE(dst, fd) (INSN(.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = dst, .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = fd), n++)
#define LOAD(width, dst, src, at)  INSN(.code = BPF_LDX | BPF_MEM | width, .dst_reg = dst, .src_reg = src, .off = at)
#define STORE(width, dst, at, src) INSN(.code = BPF_STX | BPF_MEM | width, .dst_reg = dst, .off = at, .src_reg = src)
#define CALL(function)     INSN(.code = BPF_JMP | BPF_CALL, .imm = function)
#define EXIT()             INSN(.code = BPF_JMP | BPF_EXIT)

/*
 * The kernel runs this as fast as it can; with a rate, it waits until the frame is due, and drops it where that takes long:
 *
 *	looks = XDP_LOOKS; do now = ktime; while (now < due && --looks); if (!looks) return XDP_DROP;
 *	due += interval; if (due < now - 1 ms) due = now;
 *	target = targets[next < ntargets ? next : next = 0]; next++;
 *
 * Each frame that is dropped goes back to the generator's pool of pages, and so does each that the router has taken: where all that are not due are
 * dropped at once, the pool's lock, which the generator then has most of the time, costs whoever routes a third of his CPU.
 *
 * Then it writes the headers, among them what the target says, and returns bpf_redirect(target->ifindex, 0). They are written each time
 * because the pages go round: a frame would else start with the MAC addresses and the TTL that the router gave it on its last trip.
 */
static int load_redirect(const uint8_t *frame, const struct target *targets, unsigned ntargets)
{
	struct bpf_insn program[80] = { 0 };
	unsigned n = 0;
	int i;

	_Static_assert(sizeof *targets == 1 << 4, "the program shifts by 4");
	MOV(BPF_REG_6, BPF_REG_1);
	MAP_VALUE(BPF_REG_7, make_map(&(struct progress){ 0 }, sizeof(struct progress)));
	if (want.rate) {
		LOAD(BPF_DW, BPF_REG_8, BPF_REG_7, offsetof(struct progress, due));
		MOV_NUMBER(BPF_REG_9, XDP_LOOKS);
		CALL(BPF_FUNC_ktime_get_ns);
		INSN(.code = BPF_JMP | BPF_JGE | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_8, .off = 4);
		ADD_NUMBER(BPF_REG_9, -1);
		INSN(.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = BPF_REG_9, .off = -4);
		MOV_NUMBER(BPF_REG_0, XDP_DROP);
		EXIT();
		MOV(BPF_REG_1, BPF_REG_8);
		ADD_NUMBER(BPF_REG_1, (int)(1000000000 / want.rate));
		MOV(BPF_REG_2, BPF_REG_0);
		ADD_NUMBER(BPF_REG_2, -1000000);
		INSN(.code = BPF_JMP | BPF_JGE | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_2, .off = 1);
		MOV(BPF_REG_1, BPF_REG_0);
		STORE(BPF_DW, BPF_REG_7, offsetof(struct progress, due), BPF_REG_1);
	}
	LOAD(BPF_DW, BPF_REG_8, BPF_REG_7, offsetof(struct progress, next));
	INSN(.code = BPF_JMP | BPF_JLT | BPF_K, .dst_reg = BPF_REG_8, .imm = (int)ntargets, .off = 1);
	MOV_NUMBER(BPF_REG_8, 0);
	MOV(BPF_REG_1, BPF_REG_8);
	ADD_NUMBER(BPF_REG_1, 1);
	STORE(BPF_DW, BPF_REG_7, offsetof(struct progress, next), BPF_REG_1);
	SHIFT(BPF_REG_8, 4);
	MAP_VALUE(BPF_REG_9, make_map(targets, ntargets * sizeof *targets));
	ADD(BPF_REG_9, BPF_REG_8);
	LOAD(BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct xdp_md, data));
	LOAD(BPF_W, BPF_REG_3, BPF_REG_6, offsetof(struct xdp_md, data_end));
	MOV(BPF_REG_4, BPF_REG_2);
	ADD_NUMBER(BPF_REG_4, (HEADERS + 3) & ~3);
	INSN(.code = BPF_JMP | BPF_JGT | BPF_X, .dst_reg = BPF_REG_4, .src_reg = BPF_REG_3, .off = (HEADERS + 3) / 4 + 8);
	for (i = 0; i < HEADERS; i += 4) {
		INSN(.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_2, .off = (short)i);
		memcpy(&program[n - 1].imm, frame + i, 4);
	}
	LOAD(BPF_W, BPF_REG_1, BPF_REG_9, offsetof(struct target, mac));
	STORE(BPF_W, BPF_REG_2, 0, BPF_REG_1);
	LOAD(BPF_H, BPF_REG_1, BPF_REG_9, offsetof(struct target, mac) + 4);
	STORE(BPF_H, BPF_REG_2, 4, BPF_REG_1);
	LOAD(BPF_H, BPF_REG_1, BPF_REG_9, offsetof(struct target, checksum));
	STORE(BPF_H, BPF_REG_2, 14 + 10, BPF_REG_1);
	LOAD(BPF_W, BPF_REG_1, BPF_REG_9, offsetof(struct target, dst));
	STORE(BPF_W, BPF_REG_2, 14 + 16, BPF_REG_1);
	LOAD(BPF_W, BPF_REG_1, BPF_REG_9, offsetof(struct target, ifindex));
	MOV_NUMBER(BPF_REG_2, 0);
	CALL(BPF_FUNC_redirect);
	EXIT();
	return load(BPF_PROG_TYPE_XDP, program, n);
}

/* return TC_ACT_SHOT; */
static int pin_drop(const char *path)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof attr);
	attr.bpf_fd = (unsigned)load(BPF_PROG_TYPE_SCHED_CLS, program, sizeof program / sizeof *program);
	attr.pathname = (uintptr_t)path;
	if (bpf(BPF_OBJ_PIN, &attr) < 0)
		die(path);
	return 0;
}

/* At a low rate a batch takes its time, and what is in it waits for its end. */
static uint32_t xdp_batch(void)
{
	uint64_t due = want.rate * XDP_BATCH_US / 1000000;

	return !want.rate || due > XDP_BATCH ? XDP_BATCH : due < XDP_SMALLEST_BATCH ? XDP_SMALLEST_BATCH : (uint32_t)due;
}

/*
 * One call for all of it, ended by a signal: the kernel makes a pool of pages for each call, and that takes milliseconds. How many
 * were sent is for the devices' counters to say.
 */
static void by_xdp(const uint8_t *frame)
{
	struct itimerval alarm_clock = { .it_value = { (time_t)want.seconds, (suseconds_t)(want.seconds * 1e6) % 1000000 } };
	struct xdp_md context = { .data_end = want.size };
	static struct target targets[MAX_TARGETS];
	unsigned ntargets = 1;
	union bpf_attr attr;

	if (want.targets)
		ntargets = read_targets(frame, targets);
	else
		targets[0] = make_target(frame, want.dst_mac, want.dst, want.ifindex);
	memset(&attr, 0, sizeof attr);
	attr.test.prog_fd = (uint32_t)load_redirect(frame, targets, ntargets);
	attr.test.data_in = (uintptr_t)frame;
	attr.test.data_size_in = want.size;
	attr.test.ctx_in = (uintptr_t)&context;
	attr.test.ctx_size_in = sizeof context;
	attr.test.repeat = want.count ? (uint32_t)want.count : INT32_MAX;
	attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
	attr.test.batch_size = xdp_batch();
	if (want.seconds > 0)
		setitimer(ITIMER_REAL, &alarm_clock, NULL);
	if (bpf(BPF_PROG_TEST_RUN, &attr) < 0 && errno != EINTR)
		die("sending XDP frames");
}

static void own_mac(void)
{
	struct ifreq request;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	memset(&request, 0, sizeof request);
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", want.device);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		die(want.device);
	memcpy(want.src_mac, request.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", 1, 0, 'd' }, { "to", 1, 0, 't' }, { "dst", 1, 0, 'D' }, { "src", 1, 0, 'S' }, { "size", 1, 0, 's' },
		{ "rate", 1, 0, 'r' }, { "count", 1, 0, 'n' }, { "seconds", 1, 0, 'T' }, { "cpu", 1, 0, 'c' }, { "xdp", 0, 0, 'x' },
		{ "sequence", 0, 0, 'q' }, { "qdisc", 0, 0, 'Q' }, { "targets", 1, 0, 'f' },
		{ "pin-drop", 1, 0, 'p' }, { 0 }
	};
	int c;

	inet_aton("10.0.0.2", &want.src);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'd': want.device = optarg; break;
		case 't':
			if (!parse_mac(optarg, want.dst_mac))
				exit(2);
			break;
		case 'D': if (!inet_aton(optarg, &want.dst)) exit(2); break;
		case 'S': if (!inet_aton(optarg, &want.src)) exit(2); break;
		case 's': want.size = (unsigned)atoi(optarg); break;
		case 'r': want.rate = strtoull(optarg, NULL, 0); break;
		case 'n': want.count = strtoull(optarg, NULL, 0); break;
		case 'T': want.seconds = atof(optarg); break;
		case 'c': want.cpu = atoi(optarg); break;
		case 'x': want.xdp = true; break;
		case 'Q': want.qdisc = true; break;
		case 'q': want.sequence = true; break;
		case 'f': want.targets = optarg; break;
		case 'p': exit(pin_drop(optarg));
		default: exit(2);
		}
	}
	if (!want.device || !(want.ifindex = if_nametoindex(want.device)))
		die("--device");
	if (want.targets && !want.xdp) {
		fprintf(stderr, "udpgen: --targets %s: only with --xdp\n", want.targets);
		exit(2);
	}
	if (want.size < HEADERS + 8 || want.size > MAX_SIZE) {
		fprintf(stderr, "udpgen: --size %u: 50 to %d\n", want.size, MAX_SIZE);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	uint8_t frame[MAX_SIZE];
	double start, elapsed;
	uint64_t sent;

	parse(argc, argv);
	own_mac();
	make_frame(frame);
	if (want.cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(want.cpu, &set);
		if (sched_setaffinity(0, sizeof set, &set) < 0)
			die("--cpu");
	}
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	signal(SIGALRM, stop);
	start = now();
	sent = 0;
	if (want.xdp)
		by_xdp(frame);
	else
		sent = by_socket(frame, start);
	elapsed = now() - start;
	printf("%llu packets %.6f s %.0f pps %.3f cpu-s\n", (unsigned long long)sent, elapsed, (double)sent / elapsed, cpu_seconds());
	return 0;
}

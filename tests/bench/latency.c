// SPDX-License-Identifier: MIT
/*
 * How long packets take through a router, and how many of them get lost, at a steady rate.
 *
 *	latency --from NETNS:DEV --to NETNS:DEV --mac MAC --dst ADDRESS [--src ADDRESS] [--rate PPS] [--seconds S] [--port N] [--steady]
 *
 * UDP packets go out of the first device and are expected at the second, each with its number and the time at which it was sent. The
 * time of arrival is the kernel's (SO_TIMESTAMPNS), so that this program's own waiting for a CPU is in no figure. At low rates each
 * packet finds everybody asleep: that is what a wake-up costs.
 *
 * --steady: who sends is a real-time thread. Where somebody else wants his CPU, his waiting would else end in a burst of all that should have been
 * sent meanwhile. Whom such a thread wakes, the scheduler places on other CPUs than an ordinary one's, so it is not for what a wake-up costs.
 *
 * Prints one line: sent, received, lost, then microseconds: minimum, the 50th, 90th, 99th and 99.9th percentile, maximum.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAGIC     0x6c6174656e637921ull
#define HEADERS   (14 + 20 + 8)
#define SIZE      (HEADERS + 24)
#define LAST_MS   1000          /* for what is under way when the last packet has been sent */

struct payload {
	uint64_t magic, number, sent_ns;
} __attribute__((packed));

static struct {
	const char *from, *to;
	uint8_t mac[6];
	struct in_addr src, dst;
	double rate, seconds;
	uint16_t port;
	bool steady;
} want = { .rate = 1000, .seconds = 1, .port = 9 };

static int out, in;
static uint64_t count, received;
static uint64_t *took_ns;       /* by number; 0: it hasn't arrived */
static volatile bool sent_all;

static void die(const char *what)
{
	fprintf(stderr, "latency: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* A packet socket on NETNS:DEV; this process is in that namespace afterwards, which is of no consequence. */
static int open_socket(const char *where, int protocol, uint8_t mac[6])
{
	char path[128];
	const char *colon = strchr(where, ':');
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol) };
	socklen_t size = sizeof address;
	int fd, ns, ignore = 1, room = 16 << 20;

	if (!colon) {
		fprintf(stderr, "latency: '%s': expected NETNS:DEVICE\n", where);
		exit(2);
	}
	snprintf(path, sizeof path, "/run/netns/%.*s", (int)(colon - where), where);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		die(path);
	close(ns);
	address.sll_ifindex = if_nametoindex(colon + 1);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0 || !address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		die(colon + 1);
	getsockname(fd, (struct sockaddr *)&address, &size);
	memcpy(mac, address.sll_addr, 6);
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &ignore, sizeof ignore);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	return fd;
}

/* What else arrives, a flood perhaps, is not to wake this program. */
static void only_ours(int fd)
{
	struct sock_filter instructions[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 36),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, want.port, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, ~0u),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog filter = { .len = 4, .filter = instructions };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0)
		die("filter");
}

static uint16_t checksum(const uint8_t *bytes, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = (uint8_t)value;
}

static void make_frame(uint8_t frame[SIZE], const uint8_t src_mac[6])
{
	memcpy(frame, want.mac, 6);
	memcpy(frame + 6, src_mac, 6);
	put16(frame + 12, ETH_P_IP);
	frame[14] = 0x45;
	put16(frame + 16, SIZE - 14);
	frame[22] = 64;
	frame[23] = IPPROTO_UDP;
	memcpy(frame + 26, &want.src, 4);
	memcpy(frame + 30, &want.dst, 4);
	put16(frame + 24, checksum(frame + 14, 20));
	put16(frame + 34, 9000);
	put16(frame + 36, want.port);
	put16(frame + 38, SIZE - 34);
}

static void be_steady(void)
{
	const struct sched_param first = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &first) < 0)
		fprintf(stderr, "latency: no real-time priority (%s): it waits for its CPU like everybody, and makes up for it by bursts\n",
			strerror(errno));
}

static void send_all(const uint8_t src_mac[6])
{
	uint8_t frame[SIZE] = { 0 };
	struct payload *payload = (struct payload *)(frame + HEADERS);
	uint64_t start = now_ns(CLOCK_MONOTONIC);

	make_frame(frame, src_mac);
	payload->magic = MAGIC;
	if (want.steady)
		be_steady();
	for (uint64_t n = 0; n < count; n++) {
		uint64_t due = start + (uint64_t)((double)n * 1e9 / want.rate);
		const struct timespec at = { .tv_sec = (time_t)(due / 1000000000), .tv_nsec = (long)(due % 1000000000) };

		if (now_ns(CLOCK_MONOTONIC) < due)
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		payload->number = n;
		payload->sent_ns = now_ns(CLOCK_REALTIME);
		/* What isn't taken is lost, and counted as that. */
		if (send(out, frame, sizeof frame, 0) < 0 && errno != ENOBUFS && errno != EAGAIN)
			die("send");
	}
}

static uint64_t arrival_ns(struct msghdr *message)
{
	struct timespec t;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(c), sizeof t);
		return t.tv_sec * 1000000000ull + t.tv_nsec;
	}
	return 0;
}

static void take(const uint8_t *frame, ssize_t n, uint64_t at)
{
	struct payload payload;

	if (n < SIZE || frame[12] != 8 || frame[13] || frame[36] != want.port >> 8 || frame[37] != (uint8_t)want.port)
		return;
	memcpy(&payload, frame + HEADERS, sizeof payload);
	if (payload.magic != MAGIC || payload.number >= count || took_ns[payload.number])
		return;
	took_ns[payload.number] = at > payload.sent_ns ? at - payload.sent_ns : 1;
	received++;
}

static void *receive_all(void *arg)
{
	uint8_t frame[2048];
	char control[256];
	struct iovec piece = { frame, sizeof frame };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control };
	uint64_t end = 0;

	while (received < count) {
		ssize_t n;

		message.msg_controllen = sizeof control;
		n = recvmsg(in, &message, 0);
		if (n >= 0)
			take(frame, n, arrival_ns(&message));
		else if (errno != EAGAIN && errno != EINTR)
			die("receive");
		if (sent_all && !end)
			end = now_ns(CLOCK_MONOTONIC) + LAST_MS * 1000000ull;
		if (end && now_ns(CLOCK_MONOTONIC) > end)
			break;
	}
	return NULL;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile(const uint64_t *sorted, double share)
{
	return received ? (double)sorted[(uint64_t)((double)(received - 1) * share)] / 1e3 : 0;
}

static void report(void)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < count; i++) {
		if (took_ns[i])
			took_ns[n++] = took_ns[i];
	}
	qsort(took_ns, n, sizeof *took_ns, ascending);
	printf("sent %llu received %llu lost %llu min %.1f p50 %.1f p90 %.1f p99 %.1f p999 %.1f max %.1f\n", (unsigned long long)count,
	       (unsigned long long)received, (unsigned long long)(count - received), percentile(took_ns, 0), percentile(took_ns, 0.5),
	       percentile(took_ns, 0.9), percentile(took_ns, 0.99), percentile(took_ns, 0.999), percentile(took_ns, 1));
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "from", 1, NULL, 'f' }, { "to", 1, NULL, 't' }, { "mac", 1, NULL, 'm' }, { "src", 1, NULL, 's' }, { "dst", 1, NULL, 'd' },
		{ "rate", 1, NULL, 'r' }, { "seconds", 1, NULL, 'S' }, { "port", 1, NULL, 'p' }, { "steady", 0, NULL, 'y' }, { 0 },
	};
	uint8_t *m = want.mac;
	bool ok = true;
	int option;

	inet_pton(AF_INET, "10.0.0.2", &want.src);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'f': want.from = optarg; break;
		case 't': want.to = optarg; break;
		case 'm': ok &= sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) == 6; break;
		case 's': ok &= inet_pton(AF_INET, optarg, &want.src) == 1; break;
		case 'd': ok &= inet_pton(AF_INET, optarg, &want.dst) == 1; break;
		case 'r': want.rate = atof(optarg); break;
		case 'S': want.seconds = atof(optarg); break;
		case 'p': want.port = (uint16_t)atoi(optarg); break;
		case 'y': want.steady = true; break;
		default: ok = false;
		}
	}
	count = (uint64_t)(want.rate * want.seconds);
	if (!ok || !want.from || !want.to || !want.dst.s_addr || !count || optind < argc) {
		fputs("usage: latency --from NETNS:DEV --to NETNS:DEV --mac MAC --dst ADDRESS [--src ADDRESS] [--rate PPS] [--seconds S]"
		      " [--port N] [--steady]\n", stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	const struct timeval look = { .tv_usec = 20000 };
	uint8_t src_mac[6], ignored[6];
	pthread_t receiver;
	int on = 1;

	parse(argc, argv);
	took_ns = calloc(count, sizeof *took_ns);
	if (!took_ns)
		die("memory");
	in = open_socket(want.to, ETH_P_ALL, ignored);
	out = open_socket(want.from, 0, src_mac);
	only_ours(in);
	setsockopt(in, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
	setsockopt(in, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof look);
	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	if (pthread_create(&receiver, NULL, receive_all, NULL))
		die("thread");
	send_all(src_mac);
	sent_all = true;
	pthread_join(receiver, NULL);
	report();
	return 0;
}

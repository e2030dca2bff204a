// SPDX-License-Identifier: MIT
/*
 * The plainest router of super-packets in user mode, to measure against: a packet socket at each device, frames with their offloads as they are
 * (PACKET_VNET_HDR), one recv and one send each, and a thread for either direction. What comes in at one device goes out of the other with new MAC
 * addresses and the TTL decremented; no look-up, no checks, and nobody beside it.
 *
 *	super_fwd LEFT LEFT-HOST-MAC RIGHT RIGHT-HOST-MAC
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define HEADER  sizeof(struct virtio_net_hdr)
#define LONGEST (HEADER + ETH_HLEN + 65535)

struct side {
	int fd;
	uint8_t own[ETH_ALEN], host[ETH_ALEN];
};

struct way {
	const struct side *from, *to;
};

static void die(const char *what)
{
	fprintf(stderr, "super_fwd: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void open_side(struct side *side, const char *device, const char *host)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(device),
	};
	uint8_t *h = side->host;
	struct ifreq request = { 0 };
	int on = 1, room = 16 << 20;

	if (sscanf(host, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &h[0], &h[1], &h[2], &h[3], &h[4], &h[5]) != ETH_ALEN) {
		fprintf(stderr, "super_fwd: \"%s\" is no MAC address\n", host);
		exit(2);
	}
	side->fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (side->fd < 0 || setsockopt(side->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) < 0 ||
	    setsockopt(side->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) < 0 ||
	    setsockopt(side->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0 ||
	    setsockopt(side->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0 ||
	    setsockopt(side->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0 ||
	    bind(side->fd, (struct sockaddr *)&address, sizeof address) < 0)
		die(device);
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
	if (ioctl(side->fd, SIOCGIFHWADDR, &request) < 0)
		die(device);
	memcpy(side->own, request.ifr_hwaddr.sa_data, ETH_ALEN);
}

/* false: not for a router. */
static int route(const struct way *way, uint8_t *frame, ssize_t len)
{
	uint32_t sum;

	if (len < ETH_HLEN + 20 || memcmp(frame, way->from->own, ETH_ALEN) || frame[12] != 8 || frame[13] || frame[22] <= 1)
		return 0;
	memcpy(frame, way->to->host, ETH_ALEN);
	memcpy(frame + ETH_ALEN, way->to->own, ETH_ALEN);
	frame[22]--;
	sum = (uint32_t)(frame[24] << 8 | frame[25]) + 0x100;
	sum += sum >> 16;
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
	return 1;
}

static void *forward(void *arg)
{
	const struct way *way = arg;
	uint8_t *packet = malloc(LONGEST);

	if (!packet)
		die("memory");
	for (;;) {
		ssize_t n = recv(way->from->fd, packet, LONGEST, 0);

		if (n > (ssize_t)HEADER && route(way, packet + HEADER, n - (ssize_t)HEADER))
			send(way->to->fd, packet, (size_t)n, 0);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct side left, right;
	static struct way to_right = { &left, &right }, to_left = { &right, &left };
	pthread_t thread;

	if (argc != 5) {
		fprintf(stderr, "usage: super_fwd LEFT LEFT-HOST-MAC RIGHT RIGHT-HOST-MAC\n");
		return 2;
	}
	open_side(&left, argv[1], argv[2]);
	open_side(&right, argv[3], argv[4]);
	if (pthread_create(&thread, NULL, forward, &to_left))
		die("thread");
	printf("forwarding\n");
	fflush(stdout);
	forward(&to_right);
	return 0;
}

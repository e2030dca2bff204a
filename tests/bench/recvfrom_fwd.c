// SPDX-License-Identifier: MIT
/*
 * The plainest router in user mode, to measure against: two packet sockets, one frame a system call, recvfrom and send. What comes
 * in at one device goes out of the other with new MAC addresses, the TTL decremented and the checksum repaired; no
 * look-up, no checks. One direction, which is what the measurement uses.
 *
 *	recvfrom_fwd IN OUT NEXT-HOP-MAC
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int open_device(const char *name, int protocol)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1, room = 4 << 20;

	if (fd < 0 || !address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		fprintf(stderr, "recvfrom_fwd: %s: %s\n", name, strerror(errno));
		exit(1);
	}
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	return fd;
}

int main(int argc, char **argv)
{
	uint8_t frame[2048], from[6], to[6];
	struct ifreq request;
	int in, out;

	if (argc != 4 || sscanf(argv[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &to[0], &to[1], &to[2], &to[3], &to[4], &to[5]) != 6) {
		fprintf(stderr, "usage: recvfrom_fwd IN OUT NEXT-HOP-MAC\n");
		return 2;
	}
	in = open_device(argv[1], ETH_P_IP);
	out = open_device(argv[2], 0);
	memset(&request, 0, sizeof request);
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", argv[2]);
	if (ioctl(out, SIOCGIFHWADDR, &request) < 0)
		return 1;
	memcpy(from, request.ifr_hwaddr.sa_data, 6);
	printf("forwarding\n");
	fflush(stdout);
	for (;;) {
		ssize_t n = recvfrom(in, frame, sizeof frame, 0, NULL, NULL);
		uint32_t sum;

		if (n < 34 || frame[22] <= 1)
			continue;
		memcpy(frame, to, 6);
		memcpy(frame + 6, from, 6);
		frame[22]--;
		sum = (uint32_t)(frame[24] << 8 | frame[25]) + 0x100;
		sum += sum >> 16;
		frame[24] = (uint8_t)(sum >> 8);
		frame[25] = (uint8_t)sum;
		send(out, frame, (size_t)n, MSG_DONTWAIT);
	}
}

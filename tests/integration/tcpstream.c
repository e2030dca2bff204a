// SPDX-License-Identifier: MIT
/*
 * A TCP stream whose every byte is checked at its end: what it carries at offset n is a function of n.
 *
 *	tcpstream receive PORT                prints "listening", takes one connection, then prints "BYTES good" or the first bad offset
 *	tcpstream send ADDRESS PORT BYTES
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t word_at(uint64_t n)
{
	n ^= n >> 31;
	n *= 0x9e3779b97f4a7c15ull;
	return n ^ n >> 29;
}

static int die(const char *what)
{
	fprintf(stderr, "tcpstream: %s: %s\n", what, strerror(errno));
	return 1;
}

static int receive_stream(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	static uint8_t buffer[1 << 18];
	uint64_t got = 0, word = 0;
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), stream;
	ssize_t n, i;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1) < 0)
		return die("listen");
	printf("listening\n");
	fflush(stdout);
	stream = accept(listener, NULL, NULL);
	if (stream < 0)
		return die("accept");
	while ((n = read(stream, buffer, sizeof buffer)) > 0) {
		for (i = 0; i < n; i++, got++) {
			if ((got & 7) == 0)
				word = word_at(got / 8);
			if (buffer[i] != (uint8_t)(word >> (got & 7) * 8)) {
				printf("bad byte at %llu\n", (unsigned long long)got);
				return 1;
			}
		}
	}
	if (n < 0)
		return die("read");
	printf("%llu good\n", (unsigned long long)got);
	return 0;
}

static int send_stream(const char *host, uint16_t port, uint64_t bytes)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	static uint64_t buffer[1 << 15];
	int stream = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t sent = 0;

	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return die(host);
	if (connect(stream, (struct sockaddr *)&address, sizeof address) < 0)
		return die("connect");
	while (sent < bytes) {
		size_t size = sizeof buffer, done = 0, i;

		for (i = 0; i < sizeof buffer / sizeof *buffer; i++)
			buffer[i] = word_at(sent / 8 + i);
		if (bytes - sent < size)
			size = bytes - sent;
		while (done < size) {
			ssize_t n = write(stream, (uint8_t *)buffer + done, size - done);

			if (n < 0)
				return die("write");
			done += (size_t)n;
		}
		sent += size;
	}
	close(stream);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "receive"))
		return receive_stream((uint16_t)atoi(argv[2]));
	if (argc == 5 && !strcmp(argv[1], "send"))
		return send_stream(argv[2], (uint16_t)atoi(argv[3]), strtoull(argv[4], NULL, 0));
	fprintf(stderr, "usage: tcpstream receive PORT | send ADDRESS PORT BYTES\n");
	return 2;
}

// SPDX-License-Identifier: MIT
/*
 * A port without any network: it copies frames from a template into as many slots as the VR's rx ring takes, and
 * copies what the VR sends into a scratch frame. What passes here is the hand-off alone: the copies, the rings,
 * the checks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/port.h"
#include "runtime/error.h"

#define FRAME_MIN 60u
#define FRAME_MAX 9014u

struct generator {
	struct port port;
	u32 size, burst;
	u64 left;                       /* frames still to make; ~0: for ever */
	u8 template[FRAME_MAX];
	u8 scratch[65536 + 64];
};

static u32 least(u32 a, u32 b)
{
	return a < b ? a : b;
}

/* As many as there is room for, so that nothing is dropped for being too fast. */
static unsigned generate(struct port *port, unsigned budget)
{
	struct generator *g = (struct generator *)port;
	struct vr *vr = &port->member->vr;
	struct europa_slot meta = { .len = g->size };
	u32 i, n;

	if (vr_shut(vr))
		return 0;
	n = least(least(budget, g->burst), vr->nfree_slots);
	n = least(n, g->left < n ? (u32)g->left : n);
	i = ring_reserve(&vr->rx[port->vnic], n);
	if (i == RING_BROKEN)
		i = 0;
	n = least(n, i);
	for (i = 0; i < n; i++) {
		int slot = rx_slot(vr, port->vnic, g->size);

		if (slot < 0)
			break;
		memcpy(rx_data(vr, slot), g->template, g->size);
		rx_put(vr, port->vnic, slot, &meta);
	}
	if (g->left != ~0ull)
		g->left -= i;
	if (i)
		port->member->ring |= rx_flush(vr, port->vnic);
	return i;
}

static void swallow(struct port *port, const struct tx_frame *const *frames, unsigned n)
{
	struct generator *g = (struct generator *)port;
	unsigned i;

	for (i = 0; i < n; i++) {
		memcpy(g->scratch, frames[i]->data, least(frames[i]->meta.len, sizeof g->scratch));
		barrier();
	}
}

static void generator_destroy(struct port *port)
{
	free(port);
}

static const struct port_ops ops = {
	.receive = generate,
	.send = swallow,
	.destroy = generator_destroy,
};

/* "size=64,burst=32,count=N" */
static int parse_argument(struct generator *g, const char *word, struct error *e)
{
	static const char right[] = "size=60..9014, burst=1..64 and count=N are known";
	const char *digits = strchr(word, '=');
	char *end;
	unsigned long long n;

	if (!digits || digits[1] < '0' || digits[1] > '9')
		return refuse(e, "generator: \"%s\": %s", word, right);
	errno = 0;
	n = strtoull(digits + 1, &end, 10);
	if (*end || errno)
		return refuse(e, "generator: \"%s\": %s", word, right);
	if (!strncmp(word, "size=", 5) && n >= FRAME_MIN && n <= FRAME_MAX)
		g->size = n;
	else if (!strncmp(word, "burst=", 6) && n >= 1 && n <= VR_BATCH)
		g->burst = n;
	else if (!strncmp(word, "count=", 6))
		g->left = n;
	else
		return refuse(e, "generator: \"%s\": %s", word, right);
	return 0;
}

static int parse_arguments(struct generator *g, const char *text, struct error *e)
{
	char words[64], *word, *rest = words;

	memcpy(words, text, sizeof words);
	while ((word = strsep(&rest, ","))) {
		int r = *word ? parse_argument(g, word, e) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* UDP from 198.18.0.1 to 198.19.0.1, the addresses for benchmarks (RFC 2544); checksums are nobody's business here. */
static void make_template(struct generator *g, const u8 mac[6])
{
	static const u8 headers[] = {
		0x02, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 19, 0, 1,
		0, 9, 0, 9, 0, 0, 0, 0,
	};
	u32 ip = g->size - 14, udp = ip - 20;

	memcpy(g->template, headers, sizeof headers);
	memcpy(g->template, mac, 6);
	g->template[16] = ip >> 8;
	g->template[17] = ip;
	g->template[38] = udp >> 8;
	g->template[39] = udp;
}

int port_generator_open(struct engine *engine, struct member *member, struct europa_attach *attach,
			struct port **port, struct error *e)
{
	struct generator *g = calloc(1, sizeof *g);
	int r;

	if (!g)
		return fail(e, ENOMEM, "vNIC %u", attach->vnic);
	g->size = 64;
	g->burst = 32;
	g->left = ~0ull;
	r = parse_arguments(g, attach->peer, e);
	if (r < 0) {
		free(g);
		return r;
	}
	make_template(g, attach->mac);
	g->port = (struct port){ .ops = &ops, .member = member, .vnic = attach->vnic, .fd = -1, .up = true };
	*port = &g->port;
	return 0;
}

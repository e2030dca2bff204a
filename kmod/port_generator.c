// SPDX-License-Identifier: GPL-2.0
/*
 * A port without any network: it copies frames from a template into as many slots as the VR's rx ring takes, and
 * copies what the VR sends into a scratch frame. What passes here is the hand-off alone: the copies, the rings, the
 * checks.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "port.h"
#include "report.h"

#define FRAME_MIN 60u
#define FRAME_MAX 9014u

struct generator {
	struct port port;
	u32 size, burst;
	u64 left;                       /* frames still to make; ~0: for ever */
	u8 template[FRAME_MAX];
	u8 scratch[65536 + 64];
};

static struct generator *generator_of(struct port *port)
{
	return container_of(port, struct generator, port);
}

/* As many as there is room for, so that nothing is dropped for being too fast. */
static unsigned int room(struct generator *g, struct vr *vr, unsigned int budget)
{
	u32 n = min3(budget, g->burst, vr->nfree_slots);
	u32 free;

	if (vr_shut(vr))
		return 0;
	if (g->left < n)
		n = (u32)g->left;
	free = ring_reserve(&vr->rx[g->port.vnic], n);
	return free == RING_BROKEN ? 0 : min(n, free);
}

static unsigned int generate(struct port *port, unsigned int budget)
{
	struct generator *g = generator_of(port);
	struct member *m = port->member;
	struct vr *vr = &m->vr;
	struct europa_slot meta = { .len = g->size };
	unsigned int i, n;

	spin_lock(&m->lock);
	n = room(g, vr, budget);
	for (i = 0; i < n; i++) {
		int slot = rx_slot(vr, port->vnic, g->size);

		if (slot < 0)
			break;
		memcpy(rx_data(vr, slot), g->template, g->size);
		rx_put(vr, port->vnic, slot, &meta);
	}
	if (g->left != ~0ull)
		g->left -= i;
	if (i && rx_flush(vr, port->vnic))
		member_ring(m);
	spin_unlock(&m->lock);
	return i;
}

static void swallow(struct port *port, const struct tx_frame *const *frames, unsigned int n)
{
	struct generator *g = generator_of(port);
	unsigned int i;

	for (i = 0; i < n; i++) {
		memcpy(g->scratch, frames[i]->data, min_t(u32, frames[i]->meta.len, sizeof(g->scratch)));
		barrier();
	}
}

static void generator_close(struct port *port, struct list_head *dying)
{
	struct generator *g = generator_of(port);

	kvfree_rcu(g, port.rcu);
}

static const struct port_ops ops = {
	.receive = generate,
	.send = swallow,
	.close = generator_close,
};

/* ---- "size=64,burst=32,count=N" ---- */

static int parse_argument(struct generator *g, char *word, struct report *report)
{
	char *digits = strchr(word, '=');
	u64 n;

	if (digits) {
		*digits++ = '\0';
		if (kstrtou64(digits, 10, &n) == 0) {
			if (!strcmp(word, "size") && n >= FRAME_MIN && n <= FRAME_MAX)
				return g->size = n, 0;
			if (!strcmp(word, "burst") && n >= 1 && n <= VR_BATCH)
				return g->burst = n, 0;
			if (!strcmp(word, "count"))
				return g->left = n, 0;
		}
		digits[-1] = '=';
	}
	return fail(report, EINVAL, "generator: \"%s\": size=60..9014, burst=1..64 and count=N are known", word);
}

static int parse_arguments(struct generator *g, const char *text, struct report *report)
{
	char words[64], *word, *rest = words;

	strscpy(words, text, sizeof(words));
	while ((word = strsep(&rest, ","))) {
		int r = *word ? parse_argument(g, word, report) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* UDP from 198.18.0.1 to 198.19.0.1, the addresses for benchmarks (RFC 2544); checksums are nobody's business here. */
static void make_template(struct generator *g, const u8 *mac)
{
	static const u8 headers[] = {
		0x02, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 19, 0, 1,
		0, 9, 0, 9, 0, 0, 0, 0,
	};
	u32 ip = g->size - 14, udp = ip - 20;

	memcpy(g->template, headers, sizeof(headers));
	memcpy(g->template, mac, 6);
	g->template[16] = ip >> 8;
	g->template[17] = ip;
	g->template[38] = udp >> 8;
	g->template[39] = udp;
}

int port_generator_open(struct member *member, struct europa_attach *attach, struct report *report)
{
	struct generator *g = kvzalloc(sizeof(*g), GFP_KERNEL_ACCOUNT);
	int r;

	if (!g)
		return fail(report, ENOMEM, "no memory for vNIC %u", attach->vnic);
	g->port.ops = &ops;
	g->port.member = member;
	g->port.vnic = attach->vnic;
	g->size = 64;
	g->burst = 32;
	g->left = ~0ull;
	r = parse_arguments(g, attach->peer, report);
	if (r < 0) {
		kvfree(g);
		return r;
	}
	make_template(g, attach->mac);
	port_publish(&g->port, attach);
	port_set_up(&g->port, true);
	return 0;
}

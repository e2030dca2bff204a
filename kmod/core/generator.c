// SPDX-License-Identifier: GPL-2.0 OR MIT
#include "core/generator.h"

static u32 least(u32 a, u32 b)
{
	return a < b ? a : b;
}

/* As many as there is room for, so that nothing is dropped for being too fast. */
static u32 room(struct generator *g, struct vr *vr, u32 vnic, u32 budget)
{
	u32 n = least(least(budget, g->burst), vr->nfree_slots), free;

	if (vr_shut(vr))
		return 0;
	if (g->left < n)
		n = (u32)g->left;
	free = ring_reserve(&vr->rx[vnic], n);
	return free == RING_BROKEN ? 0 : least(n, free);
}

u32 generator_make(struct generator *g, struct vr *vr, u32 vnic, u32 budget, bool *wake)
{
	struct europa_slot meta = { .len = g->size };
	u32 i, n = room(g, vr, vnic, budget);

	for (i = 0; i < n; i++) {
		int slot = rx_slot(vr, vnic, g->size);

		if (slot < 0)
			break;
		memcpy(rx_data(vr, slot), g->template, g->size);
		rx_put(vr, vnic, slot, &meta);
	}
	if (g->left != ~0ull)
		g->left -= i;
	*wake = i && rx_flush(vr, vnic);
	return i;
}

void generator_swallow(struct generator *g, const struct tx_frame *const *frames, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		memcpy(g->scratch, frames[i]->data, least(frames[i]->meta.len, sizeof(g->scratch)));
		barrier();
	}
}

/* ---- arguments ---- */

static bool take_argument(struct generator *g, struct text word)
{
	const char *p = word.at;
	struct text name = text_until(&p, '=');
	u64 n;

	if (name.n >= word.n || !text_digits((struct text){ p + 1, word.n - name.n - 1 }, 10, &n))
		return false;
	if (text_is(name, "size") && n >= GENERATOR_MIN && n <= GENERATOR_MAX)
		g->size = (u32)n;
	else if (text_is(name, "burst") && n >= 1 && n <= VR_BATCH)
		g->burst = (u32)n;
	else if (text_is(name, "count"))
		g->left = n;
	else
		return false;
	return true;
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

	memset(g->template, 0, sizeof(g->template));
	memcpy(g->template, headers, sizeof(headers));
	memcpy(g->template, mac, 6);
	g->template[16] = (u8)(ip >> 8);
	g->template[17] = (u8)ip;
	g->template[38] = (u8)(udp >> 8);
	g->template[39] = (u8)udp;
}

int generator_init(struct generator *g, const char *arguments, const u8 mac[6], struct text *word)
{
	g->size = 64;
	g->burst = 32;
	g->left = ~0ull;
	while (*arguments) {
		*word = text_until(&arguments, ',');
		if (word->n && !take_argument(g, *word))
			return -EINVAL;
		arguments += *arguments == ',';
	}
	make_template(g, mac);
	return 0;
}

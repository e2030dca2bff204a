// SPDX-License-Identifier: MIT
#include "runtime/engine/xsk.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAMES        128u              /* twice a batch: some may still be on their way */
#define FRAME_BYTES   2048u
#define MACS          12u
#define TAG           4u
#define SEND_BYTES    (16 << 20)

#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9         /* Linux 6.17 */
#endif

/* Metadata in front of a frame to send, from Linux 6.8 on (Documentation/networking/xsk-tx-metadata.rst). */
struct umem_reg {
	u64 addr, len;
	u32 chunk_size, headroom, flags, tx_metadata_len;
};
struct tx_metadata {
	u64 flags;
	u16 csum_start, csum_offset;
	u8 reserved[12];                /* Linux 6.14 looks at 24 bytes in all */
};
#define UMEM_TX_METADATA_LEN  (1u << 2)
#define TX_METADATA           (1u << 1)         /* xdp_desc.options */
#define TXMD_CHECKSUM         (1u << 1)         /* tx_metadata.flags */
EUROPA_ASSERT(sizeof(struct tx_metadata) == 24);

struct xsk {
	int fd;
	u8 *frames;
	u32 free[FRAMES], nfree;        /* a stack: the frame that was sent last is hot */
	bool csum;                      /* this kernel takes metadata */

	/* the kernel's rings: we produce descriptors, it gives back addresses */
	void *tx_map, *done_map;
	size_t tx_bytes, done_bytes;
	u32 *tx_producer, *tx_consumer, *done_producer, *done_consumer;
	struct xdp_desc *tx;
	u64 *done;
	u32 put, sent;                  /* our index in tx: written, and told to the kernel */
};

static bool map_ring(int fd, const struct xdp_ring_offset *off, size_t entry, off_t where, void **map, size_t *bytes)
{
	*bytes = off->desc + FRAMES * entry;
	*map = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, where);
	if (*map == MAP_FAILED)
		*map = NULL;
	return *map != NULL;
}

/* An older kernel refuses the flag. */
static bool give_frames(struct xsk *x)
{
	struct umem_reg umem = {
		.addr = (u64)(uintptr_t)x->frames, .len = FRAMES * FRAME_BYTES, .chunk_size = FRAME_BYTES,
		.flags = UMEM_TX_METADATA_LEN, .tx_metadata_len = sizeof(struct tx_metadata),
	};

	x->csum = setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof umem) == 0;
	if (x->csum)
		return true;
	umem.flags = umem.tx_metadata_len = 0;
	return setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &umem, offsetof(struct umem_reg, tx_metadata_len)) == 0;
}

static bool set_up(struct xsk *x)
{
	const int entries = FRAMES, bytes = SEND_BYTES, budget = VR_BATCH;
	struct xdp_mmap_offsets off;
	socklen_t size = sizeof off;

	/* Nothing is received, but without a fill ring the kernel binds no socket. */
	if (!give_frames(x) ||
	    setsockopt(x->fd, SOL_XDP, XDP_UMEM_FILL_RING, &entries, sizeof entries) < 0 ||
	    setsockopt(x->fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &entries, sizeof entries) < 0 ||
	    setsockopt(x->fd, SOL_XDP, XDP_TX_RING, &entries, sizeof entries) < 0 ||
	    setsockopt(x->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0 ||
	    getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &size) < 0)
		return false;
	/* A whole batch in one call; where that can't be said, it takes two. */
	setsockopt(x->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget);
	if (!map_ring(x->fd, &off.tx, sizeof *x->tx, XDP_PGOFF_TX_RING, &x->tx_map, &x->tx_bytes) ||
	    !map_ring(x->fd, &off.cr, sizeof *x->done, XDP_UMEM_PGOFF_COMPLETION_RING, &x->done_map, &x->done_bytes))
		return false;
	x->tx_producer = (u32 *)((u8 *)x->tx_map + off.tx.producer);
	x->tx_consumer = (u32 *)((u8 *)x->tx_map + off.tx.consumer);
	x->tx = (struct xdp_desc *)((u8 *)x->tx_map + off.tx.desc);
	x->done_producer = (u32 *)((u8 *)x->done_map + off.cr.producer);
	x->done_consumer = (u32 *)((u8 *)x->done_map + off.cr.consumer);
	x->done = (u64 *)((u8 *)x->done_map + off.cr.desc);
	return true;
}

struct xsk *xsk_open(void)
{
	struct xsk *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	x->frames = mmap(NULL, FRAMES * FRAME_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (x->frames == MAP_FAILED)
		x->frames = NULL;
	if (x->fd < 0 || !x->frames || !set_up(x)) {
		xsk_close(x);
		return NULL;
	}
	for (x->nfree = 0; x->nfree < FRAMES; x->nfree++)
		x->free[x->nfree] = x->nfree;
	return x;
}

bool xsk_bind(struct xsk *x, int ifindex)
{
	const struct sockaddr_xdp address = { .sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY, .sxdp_ifindex = ifindex };

	return bind(x->fd, (const struct sockaddr *)&address, sizeof address) == 0;
}

void xsk_close(struct xsk *x)
{
	if (x->tx_map)
		munmap(x->tx_map, x->tx_bytes);
	if (x->done_map)
		munmap(x->done_map, x->done_bytes);
	if (x->fd >= 0)
		close(x->fd);
	if (x->frames)
		munmap(x->frames, FRAMES * FRAME_BYTES);
	free(x);
}

static void take_back(struct xsk *x)
{
	u32 at = *x->done_consumer, end = smp_load_acquire(x->done_producer);

	for (; at != end; at++)
		x->free[x->nfree++] = x->done[at & (FRAMES - 1)] / FRAME_BYTES;
	smp_store_release(x->done_consumer, at);
}

/* Frames start at different lines of their places, so that they don't all fall into the same cache sets; metadata fits before. */
static u64 place(u32 frame)
{
	return (u64)frame * FRAME_BYTES + (1 + frame % 7) * EUROPA_CACHE_LINE;
}

bool xsk_takes_csum(const struct xsk *x)
{
	return x->csum;
}

static void ask_csum(u8 *frame, const struct europa_slot *meta, u32 tag)
{
	*(struct tx_metadata *)(frame - sizeof(struct tx_metadata)) = (struct tx_metadata){
		.flags = TXMD_CHECKSUM, .csum_start = meta->csum_start + tag, .csum_offset = meta->csum_offset,
	};
}

bool xsk_put(struct xsk *x, const u8 *data, const struct europa_slot *meta, const void *tag)
{
	struct xdp_desc desc = { .len = meta->len };
	u8 *to;

	if (unlikely(!x->nfree))
		take_back(x);
	if (unlikely(!x->nfree))
		return false;
	desc.addr = place(x->free[--x->nfree]);
	to = x->frames + desc.addr;
	if (likely(!tag)) {
		memcpy(to, data, meta->len);
	} else {
		memcpy(to, data, MACS);
		memcpy(to + MACS, tag, TAG);
		memcpy(to + MACS + TAG, data + MACS, meta->len - MACS);
		desc.len += TAG;
	}
	if (meta->flags & EUROPA_SLOT_NEEDS_CSUM) {
		ask_csum(to, meta, tag ? TAG : 0);
		desc.options = TX_METADATA;
	}
	/* There are as many places in the ring as frames: it is never full. */
	x->tx[x->put++ & (FRAMES - 1)] = desc;
	return true;
}

int xsk_flush(struct xsk *x)
{
	int dropped = 0;

	if (x->put == x->sent && smp_load_acquire(x->tx_consumer) == x->put)
		return 0;
	x->sent = x->put;
	smp_store_release(x->tx_producer, x->sent);
	while (smp_load_acquire(x->tx_consumer) != x->sent) {
		u32 before = READ_ONCE(*x->tx_consumer);

		if (sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) == 0)
			continue;
		if (errno == EBUSY) {
			dropped++;      /* the device dropped one, and that one is over */
		} else if (errno != EAGAIN && errno != ENOBUFS) {
			take_back(x);
			return -errno;
		} else if (READ_ONCE(*x->tx_consumer) == before) {
			break;          /* no progress: it goes on with the next batch */
		}
	}
	take_back(x);
	return dropped;
}

bool xsk_sent_all(const struct xsk *x)
{
	return smp_load_acquire(x->tx_consumer) == x->put;
}

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

struct xsk {
	int fd;
	u8 *frames;
	u32 free[FRAMES], nfree;        /* a stack: the frame that was sent last is hot */

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

static bool set_up(struct xsk *x)
{
	const struct xdp_umem_reg umem = {
		.addr = (u64)(uintptr_t)x->frames, .len = FRAMES * FRAME_BYTES, .chunk_size = FRAME_BYTES,
	};
	const int entries = FRAMES, bytes = SEND_BYTES, budget = VR_BATCH;
	struct xdp_mmap_offsets off;
	socklen_t size = sizeof off;

	/* Nothing is received, but without a fill ring the kernel binds no socket. */
	if (setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof umem) < 0 ||
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

/* Frames start at different lines of their places, so that they don't all fall into the same cache sets. */
static u64 place(u32 frame)
{
	return (u64)frame * FRAME_BYTES + (frame & 7) * EUROPA_CACHE_LINE;
}

bool xsk_put(struct xsk *x, const u8 *data, u32 len, const void *tag)
{
	u64 address;
	u8 *to;

	if (unlikely(!x->nfree))
		take_back(x);
	if (unlikely(!x->nfree))
		return false;
	address = place(x->free[--x->nfree]);
	to = x->frames + address;
	if (likely(!tag)) {
		memcpy(to, data, len);
	} else {
		memcpy(to, data, MACS);
		memcpy(to + MACS, tag, TAG);
		memcpy(to + MACS + TAG, data + MACS, len - MACS);
		len += TAG;
	}
	/* There are as many places in the ring as frames: it is never full. */
	x->tx[x->put++ & (FRAMES - 1)] = (struct xdp_desc){ .addr = address, .len = len };
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

// SPDX-License-Identifier: MIT
#include "runtime/engine/xsk.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAMES        128u              /* to send; twice a batch: some may still be on their way */
#define RX_FRAMES     2048u             /* to receive: what comes while the poll thread is kept from its CPU for some milliseconds */
#define CHUNK_SHIFT   11                /* a frame's place, and the kernel takes 2048 or 4096 bytes */
#define RX_HEADROOM   256u              /* XDP_PACKET_HEADROOM, before each frame that comes in */
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

/* A ring that is shared with the kernel. */
struct queue {
	void *map;
	size_t bytes;
	u32 *producer, *consumer;
	void *entries;
};

struct xsk {
	int fd;
	u8 *frames;                     /* FRAMES to send, and behind them those to receive */
	u32 rx_frames, chunk_shift;
	u32 free[FRAMES], nfree;        /* a stack: the frame that was sent last is hot */
	bool csum;                      /* this kernel takes metadata */

	/* we produce descriptors in tx, the kernel gives back addresses in done */
	struct queue tx, done;
	u32 put, sent;                  /* our index in tx: written, and told to the kernel */

	/* we produce addresses in fill, the kernel descriptors in rx; without rx_frames there is no rx */
	struct queue fill, rx;
	u32 taken, seen;                /* our index in rx, and the kernel's when it was looked at last */
	u32 lost;                       /* what the kernel has said of it */
};

static bool map_queue(int fd, const struct xdp_ring_offset *off, size_t bytes, off_t where, struct queue *q)
{
	q->bytes = off->desc + bytes;
	q->map = mmap(NULL, q->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, where);
	if (q->map == MAP_FAILED) {
		q->map = NULL;
		return false;
	}
	q->producer = (u32 *)((u8 *)q->map + off->producer);
	q->consumer = (u32 *)((u8 *)q->map + off->consumer);
	q->entries = (u8 *)q->map + off->desc;
	return true;
}

static void unmap_queue(const struct queue *q)
{
	if (q->map)
		munmap(q->map, q->bytes);
}

static struct xdp_desc *tx_entry(const struct xsk *x, u32 index)
{
	return (struct xdp_desc *)x->tx.entries + (index & (FRAMES - 1));
}

static u64 *done_entry(const struct xsk *x, u32 index)
{
	return (u64 *)x->done.entries + (index & (FRAMES - 1));
}

static struct xdp_desc *rx_entry(const struct xsk *x, u32 index)
{
	return (struct xdp_desc *)x->rx.entries + (index & (RX_FRAMES - 1));
}

static u64 *fill_entry(const struct xsk *x, u32 index)
{
	return (u64 *)x->fill.entries + (index & (RX_FRAMES - 1));
}

static size_t umem_bytes(const struct xsk *x)
{
	return (size_t)(FRAMES + x->rx_frames) << x->chunk_shift;
}

/* An older kernel refuses the flag. */
static bool give_frames(struct xsk *x)
{
	struct umem_reg umem = {
		.addr = (u64)(uintptr_t)x->frames, .len = umem_bytes(x), .chunk_size = 1u << x->chunk_shift,
		.flags = UMEM_TX_METADATA_LEN, .tx_metadata_len = sizeof(struct tx_metadata),
	};

	x->csum = setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof umem) == 0;
	if (x->csum)
		return true;
	umem.flags = umem.tx_metadata_len = 0;
	return setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &umem, offsetof(struct umem_reg, tx_metadata_len)) == 0;
}

static bool set_up_to_receive(struct xsk *x, const struct xdp_mmap_offsets *off)
{
	u32 i;

	if (!x->rx_frames)
		return true;
	if (!map_queue(x->fd, &off->fr, RX_FRAMES * sizeof(u64), XDP_UMEM_PGOFF_FILL_RING, &x->fill) ||
	    !map_queue(x->fd, &off->rx, RX_FRAMES * sizeof(struct xdp_desc), XDP_PGOFF_RX_RING, &x->rx))
		return false;
	for (i = 0; i < RX_FRAMES; i++)
		*fill_entry(x, i) = (u64)(FRAMES + i) << x->chunk_shift;
	smp_store_release(x->fill.producer, RX_FRAMES);
	return true;
}

static bool set_up(struct xsk *x)
{
	const int entries = FRAMES, bytes = SEND_BYTES, budget = VR_BATCH, rx_entries = RX_FRAMES;
	/* Without a fill ring the kernel binds no socket, not even one that only sends. */
	const int fill_entries = x->rx_frames ? RX_FRAMES : FRAMES;
	struct xdp_mmap_offsets off;
	socklen_t size = sizeof off;

	if (!give_frames(x) ||
	    setsockopt(x->fd, SOL_XDP, XDP_UMEM_FILL_RING, &fill_entries, sizeof fill_entries) < 0 ||
	    setsockopt(x->fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &entries, sizeof entries) < 0 ||
	    setsockopt(x->fd, SOL_XDP, XDP_TX_RING, &entries, sizeof entries) < 0 ||
	    (x->rx_frames && setsockopt(x->fd, SOL_XDP, XDP_RX_RING, &rx_entries, sizeof rx_entries) < 0) ||
	    setsockopt(x->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0 ||
	    getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &size) < 0)
		return false;
	/* A whole batch in one call; where that can't be said, it takes two. */
	setsockopt(x->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget);
	return map_queue(x->fd, &off.tx, FRAMES * sizeof(struct xdp_desc), XDP_PGOFF_TX_RING, &x->tx) &&
	       map_queue(x->fd, &off.cr, FRAMES * sizeof(u64), XDP_UMEM_PGOFF_COMPLETION_RING, &x->done) &&
	       set_up_to_receive(x, &off);
}

struct xsk *xsk_open(u32 longest)
{
	struct xsk *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->rx_frames = longest ? RX_FRAMES : 0;
	x->chunk_shift = CHUNK_SHIFT + (longest > (1u << CHUNK_SHIFT) - RX_HEADROOM);
	x->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	x->frames = mmap(NULL, umem_bytes(x), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (x->frames == MAP_FAILED)
		x->frames = NULL;
	if (x->fd < 0 || !x->frames || !set_up(x)) {
		int error = errno;

		xsk_close(x);
		errno = error;
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
	unmap_queue(&x->tx);
	unmap_queue(&x->done);
	unmap_queue(&x->fill);
	unmap_queue(&x->rx);
	if (x->fd >= 0)
		close(x->fd);
	if (x->frames)
		munmap(x->frames, umem_bytes(x));
	free(x);
}

int xsk_fd(const struct xsk *x)
{
	return x->fd;
}

/* ---- receive ---- */

bool xsk_peek(struct xsk *x, u8 **data, u32 *len)
{
	const struct xdp_desc *desc;

	if (x->taken == x->seen) {
		x->seen = smp_load_acquire(x->rx.producer);
		if (x->taken == x->seen)
			return false;
	}
	desc = rx_entry(x, x->taken);
	*data = x->frames + desc->addr;
	*len = desc->len;
	prefetch(x->frames + rx_entry(x, x->taken + 2)->addr);
	return true;
}

/*
 * What was taken from entry n of rx goes to entry n of fill. It is free: the kernel has had as many addresses from there as it has
 * put descriptors here, and more.
 */
void xsk_next(struct xsk *x)
{
	*fill_entry(x, x->taken) = rx_entry(x, x->taken)->addr >> x->chunk_shift << x->chunk_shift;
	x->taken++;
}

void xsk_refill(struct xsk *x)
{
	smp_store_release(x->fill.producer, x->taken + RX_FRAMES);
	smp_store_release(x->rx.consumer, x->taken);
}

bool xsk_is_full(const struct xsk *x)
{
	return READ_ONCE(*x->rx.producer) - x->taken >= RX_FRAMES - VR_BATCH;
}

u32 xsk_waiting(const struct xsk *x)
{
	return smp_load_acquire(x->rx.producer) - x->taken;
}

/* A frame that finds no place to be copied to counts as dropped, one that finds no room in rx, as that. */
u32 xsk_lost(struct xsk *x)
{
	struct xdp_statistics stats = { 0 };
	socklen_t size = sizeof stats;
	u32 before = x->lost;

	if (getsockopt(x->fd, SOL_XDP, XDP_STATISTICS, &stats, &size) == 0)
		x->lost = (u32)(stats.rx_dropped + stats.rx_ring_full);
	return x->lost - before;
}

/* ---- send ---- */

static void take_back(struct xsk *x)
{
	u32 at = *x->done.consumer, end = smp_load_acquire(x->done.producer);

	for (; at != end; at++)
		x->free[x->nfree++] = *done_entry(x, at) >> x->chunk_shift;
	smp_store_release(x->done.consumer, at);
}

/* Frames start at different lines of their places, so that they don't all fall into the same cache sets; metadata fits before. */
static u64 place(const struct xsk *x, u32 frame)
{
	return ((u64)frame << x->chunk_shift) + (1 + frame % 7) * EUROPA_CACHE_LINE;
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
	desc.addr = place(x, x->free[--x->nfree]);
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
	*tx_entry(x, x->put++) = desc;
	return true;
}

int xsk_flush(struct xsk *x)
{
	int dropped = 0, error = 0;

	if (x->put == x->sent && smp_load_acquire(x->tx.consumer) == x->put)
		return 0;
	x->sent = x->put;
	smp_store_release(x->tx.producer, x->sent);
	while (!error && smp_load_acquire(x->tx.consumer) != x->sent) {
		u32 before = READ_ONCE(*x->tx.consumer);

		if (sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) == 0)
			continue;
		if (errno == EBUSY) {
			dropped++;      /* the device dropped one, and that one is over */
		} else if (errno != EAGAIN && errno != ENOBUFS) {
			error = errno;
		} else if (READ_ONCE(*x->tx.consumer) == before) {
			break;          /* no progress: it goes on with the next batch */
		}
	}
	take_back(x);
	return dropped ? dropped : -error;
}

u32 xsk_unsent(const struct xsk *x)
{
	return x->put - smp_load_acquire(x->tx.consumer);
}

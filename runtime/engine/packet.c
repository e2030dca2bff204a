// SPDX-License-Identifier: MIT
#include "runtime/engine/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/engine/log.h"
#include "runtime/engine/port.h"
#include "runtime/engine/xsk.h"
#include "runtime/error.h"

/* Of the usual MTU, and the kernel's header. An odd number of cache lines: with 32 all frames would begin in a 32nd of the cache's sets. */
#define FRAME_BYTES   (31u * EUROPA_CACHE_LINE)
#define QUEUE_BYTES   (16 << 20)        /* super-packets that wait on the socket */
#define SPARES        4u
#define MACS          (2 * ETH_ALEN)
#define TAG           4u

struct packet_batch {
	struct mmsghdr messages[VR_BATCH];
	struct iovec pieces[VR_BATCH][4];
	struct virtio_net_hdr offloads[VR_BATCH];
	__be16 tags[VR_BATCH][2];
};

/* ---- life ---- */

static int set(int fd, int option, int value)
{
	return setsockopt(fd, SOL_PACKET, option, &value, sizeof value);
}

static int set_up_to_send(struct packet_socket *s)
{
	const int bytes = QUEUE_BYTES;

	if (set(s->fd, PACKET_VNET_HDR, 1) < 0 || set(s->fd, PACKET_QDISC_BYPASS, 1) < 0 ||
	    setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
		return -errno;
	return 0;
}

/* The kernel wants blocks of whole pages: 31, on any machine. */
static u32 frames_in_block(void)
{
	return sysconf(_SC_PAGESIZE) / EUROPA_CACHE_LINE;
}

static int set_up_to_receive(struct packet_socket *s)
{
	const u32 in_block = frames_in_block();
	const struct tpacket_req req = {
		.tp_block_size = in_block * FRAME_BYTES,
		.tp_block_nr = s->frames / in_block,
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = s->frames,
	};
	const int bytes = QUEUE_BYTES;

	/* The order matters: the ring's frames are laid out for version and virtio-net header when it is made. */
	if (set(s->fd, PACKET_VERSION, TPACKET_V2) < 0 || set(s->fd, PACKET_COPY_THRESH, 1) < 0 ||
	    set(s->fd, PACKET_AUXDATA, 1) < 0 || set(s->fd, PACKET_IGNORE_OUTGOING, 1) < 0 ||
	    setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0 ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof req) < 0)
		return -errno;
	s->ring = mmap(NULL, s->frames * FRAME_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, s->fd, 0);
	if (s->ring == MAP_FAILED) {
		s->ring = NULL;
		return -errno;
	}
	return 0;
}

static struct packet_batch *make_batch(void)
{
	struct packet_batch *b = calloc(1, sizeof *b);
	unsigned i;

	for (i = 0; b && i < VR_BATCH; i++) {
		b->pieces[i][0] = (struct iovec){ &b->offloads[i], sizeof b->offloads[i] };
		b->messages[i].msg_hdr.msg_iov = b->pieces[i];
	}
	return b;
}

/* frames: 0 for a socket that only sends. */
static int open_socket(struct packet_socket **socket_, struct xsk *xsk, u32 frames, struct error *e)
{
	struct packet_socket *s = calloc(1, sizeof *s);
	int r;

	if (!s) {
		if (xsk)
			xsk_close(xsk);
		return fail(e, ENOMEM, "packet socket");
	}
	s->frames = frames && frames < frames_in_block() ? frames_in_block() : frames;
	s->batch = make_batch();
	/* Protocol 0: nothing comes in before packet_bind. */
	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	s->xsk = xsk;
	r = s->fd < 0 ? -errno : !s->batch ? -ENOMEM : set_up_to_send(s);
	if (r == 0 && frames)
		r = set_up_to_receive(s);
	if (r < 0) {
		packet_close(s);
		return fail(e, -r, "cannot open a packet socket");
	}
	*socket_ = s;
	return 0;
}

int packet_open(struct packet_socket **socket_, u32 frames, struct error *e)
{
	return open_socket(socket_, xsk_open(0), frames, e);
}

int packet_open_sender(struct packet_socket **socket_, struct xsk *xsk, struct error *e)
{
	return open_socket(socket_, xsk, 0, e);
}

static int bind_to(struct packet_socket *s, int ifindex, u16 protocol, struct error *e)
{
	const struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = ifindex };

	return bind(s->fd, (const struct sockaddr *)&ll, sizeof ll) < 0 ? fail(e, errno, "cannot bind a packet socket") : 0;
}

int packet_bind_sender(struct packet_socket *s, int ifindex, struct error *e)
{
	return bind_to(s, ifindex, 0, e);
}

int packet_bind(struct packet_socket *s, int ifindex, bool promiscuous, struct error *e)
{
	const struct packet_mreq all = { .mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC };
	int r = bind_to(s, ifindex, ETH_P_ALL, e);

	if (r < 0)
		return r;
	/* Where it can't be, all frames go by the packet socket. */
	if (s->xsk && !xsk_bind(s->xsk, ifindex)) {
		xsk_close(s->xsk);
		s->xsk = NULL;
	}
	if (promiscuous && setsockopt(s->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) < 0)
		return fail(e, errno, "cannot listen to all addresses");
	return 0;
}

void packet_close(struct packet_socket *s)
{
	if (s->ring)
		munmap(s->ring, s->frames * FRAME_BYTES);
	if (s->fd >= 0)
		close(s->fd);
	if (s->xsk)
		xsk_close(s->xsk);
	free(s->batch);
	free(s);
}

/* ---- spare sockets ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	pthread_t thread;
	struct packet_socket *sockets[SPARES];
	unsigned n;
	bool stop;
} spares = { .lock = PTHREAD_MUTEX_INITIALIZER, .wanted = PTHREAD_COND_INITIALIZER };

/* Waits until one is missing, or `failed`: until one more is. false: no more are. */
static bool one_is_missing(bool failed)
{
	bool missing;

	pthread_mutex_lock(&spares.lock);
	while ((failed || spares.n == SPARES) && !spares.stop) {
		pthread_cond_wait(&spares.wanted, &spares.lock);
		failed = false;
	}
	missing = !spares.stop;
	pthread_mutex_unlock(&spares.lock);
	return missing;
}

static void keep(struct packet_socket *s)
{
	pthread_mutex_lock(&spares.lock);
	spares.sockets[spares.n++] = s;
	pthread_mutex_unlock(&spares.lock);
}

static void *prepare(void *unused)
{
	bool failed = false;

	pthread_setname_np(pthread_self(), "europad-spares");
	while (one_is_missing(failed)) {
		struct error e = { 0 };
		struct packet_socket *s;

		failed = packet_open(&s, PACKET_FRAMES, &e) < 0;
		if (failed)
			note("no spare socket: %s", e.text);
		else
			keep(s);
	}
	return NULL;
}

int packet_start_spares(struct error *e)
{
	int r = pthread_create(&spares.thread, NULL, prepare, NULL);

	return r ? fail(e, r, "cannot start the thread for spare sockets") : 0;
}

void packet_stop_spares(void)
{
	pthread_mutex_lock(&spares.lock);
	spares.stop = true;
	pthread_cond_signal(&spares.wanted);
	pthread_mutex_unlock(&spares.lock);
	pthread_join(spares.thread, NULL);
	while (spares.n)
		packet_close(spares.sockets[--spares.n]);
}

int packet_get(struct packet_socket **socket_, struct error *e)
{
	struct packet_socket *s = NULL;

	pthread_mutex_lock(&spares.lock);
	if (spares.n)
		s = spares.sockets[--spares.n];
	pthread_cond_signal(&spares.wanted);
	pthread_mutex_unlock(&spares.lock);
	if (!s)
		return packet_open(socket_, PACKET_FRAMES, e);
	*socket_ = s;
	return 0;
}

/* ---- receive ---- */

/* Both sides count in the frame's first byte, and both use the numbers of virtio-net. */
static void meta_from_offload(struct europa_slot *meta, const struct virtio_net_hdr *o)
{
	if (likely(!(o->flags | o->gso_type)))
		return;
	if (o->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		meta->flags |= EUROPA_SLOT_NEEDS_CSUM;
		meta->csum_start = o->csum_start;
		meta->csum_offset = o->csum_offset;
	} else if (o->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		meta->flags |= EUROPA_SLOT_CSUM_VALID;
	}
	if (o->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		meta->gso_type = o->gso_type;
		meta->gso_size = o->gso_size;
		meta->hdr_len = o->hdr_len;
	}
}

static void meta_from_vlan(struct europa_slot *meta, u32 status, u16 tci, u16 tpid)
{
	if (likely(!(status & TP_STATUS_VLAN_VALID)))
		return;
	meta->flags |= EUROPA_SLOT_VLAN;
	meta->vlan_tci = tci;
	meta->vlan_proto = status & TP_STATUS_VLAN_TPID_VALID ? tpid : ETH_P_8021Q;
}

static struct tpacket2_hdr *ring_frame(const struct packet_socket *s, u32 head)
{
	return (struct tpacket2_hdr *)(s->ring + (head & (s->frames - 1)) * FRAME_BYTES);
}

bool packet_peek(struct packet_socket *s, struct packet_frame *f)
{
	const struct tpacket2_hdr *h = ring_frame(s, s->head);
	u32 status = smp_load_acquire(&h->tp_status);

	if (!(status & TP_STATUS_USER))
		return false;
	prefetch(ring_frame(s, s->head + 2));
	prefetch((const u8 *)ring_frame(s, s->head + 2) + EUROPA_CACHE_LINE);

	f->data = (const u8 *)h + h->tp_mac;
	f->held = h->tp_snaplen;
	f->queued = status & TP_STATUS_COPY;
	f->losing = status & TP_STATUS_LOSING;
	f->meta = (struct europa_slot){ .len = h->tp_len };
	if (f->data[0] & 1)
		f->meta.flags = EUROPA_SLOT_BROADCAST;
	meta_from_offload(&f->meta, (const struct virtio_net_hdr *)(f->data - sizeof(struct virtio_net_hdr)));
	meta_from_vlan(&f->meta, status, h->tp_vlan_tci, h->tp_vlan_tpid);
	return true;
}

void packet_next(struct packet_socket *s)
{
	smp_store_release(&ring_frame(s, s->head)->tp_status, TP_STATUS_KERNEL);
	s->head++;
}

static const struct tpacket_auxdata *find_auxdata(struct msghdr *message)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
			return (const void *)CMSG_DATA(c);
	}
	return NULL;
}

/* What comes next on the queue. A device that went down says so once, and nothing has come off the queue then. */
static ssize_t take_queued(struct packet_socket *s, struct msghdr *message)
{
	ssize_t n;

	do
		n = recvmsg(s->fd, message, MSG_DONTWAIT);
	while (n < 0 && errno == ENETDOWN);
	return n;
}

bool packet_fetch(struct packet_socket *s, u8 *to, u32 room, struct europa_slot *meta)
{
	struct virtio_net_hdr offload;
	struct iovec pieces[] = { { &offload, sizeof offload }, { to, room } };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct msghdr message = {
		.msg_iov = pieces, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control,
	};
	const struct tpacket_auxdata *aux;
	ssize_t n = take_queued(s, &message);

	if (n < (ssize_t)(sizeof offload + ETH_HLEN) || (message.msg_flags & MSG_TRUNC))
		return false;
	*meta = (struct europa_slot){ .len = n - sizeof offload };
	if (to[0] & 1)
		meta->flags = EUROPA_SLOT_BROADCAST;
	meta_from_offload(meta, &offload);
	aux = find_auxdata(&message);
	if (aux)
		meta_from_vlan(meta, aux->tp_status, aux->tp_vlan_tci, aux->tp_vlan_tpid);
	return true;
}

void packet_discard(struct packet_socket *s)
{
	struct msghdr nothing = { 0 };

	if (take_queued(s, &nothing) < 0 && errno != EAGAIN)
		note("packet socket: errno %d", errno);
}

/* Longer than a frame of the ring: it is read from the socket's queue, most often into a run of the pool. */
static void deliver_queued(struct packet_socket *s, const struct packet_frame *frame, struct port *port)
{
	struct vr *vr = &port->member->vr;
	struct europa_slot meta;
	int slot;

	if (!frame->queued) {
		port_drop(port, EUROPA_DROP_RX_NO_RUN, 1);      /* too many super-packets wait on the socket */
		return;
	}
	slot = rx_slot(vr, port->vnic, frame->meta.len);
	if (slot < 0) {
		packet_discard(s);
		return;
	}
	if (!packet_fetch(s, rx_data(vr, slot), geometry_slot_bytes(&vr->geo, slot) - EUROPA_HEADROOM, &meta)) {
		rx_cancel(vr, slot);
		port_drop(port, EUROPA_DROP_RX_TOO_LONG, 1);
		return;
	}
	if (!port_may_deliver(&meta)) {
		rx_cancel(vr, slot);
		port_drop(port, EUROPA_DROP_RX_MALFORMED, 1);
		return;
	}
	meta.tstamp_us = frame->meta.tstamp_us;
	rx_put(vr, port->vnic, slot, &meta);
	port->member->dirty |= 1u << port->vnic;
}

void packet_deliver(struct packet_socket *s, const struct packet_frame *frame, struct port *port)
{
	if (likely(frame->held == frame->meta.len))
		port_deliver(port, frame->data, &frame->meta);
	else
		deliver_queued(s, frame, port);
}

u32 packet_lost(const struct packet_socket *s)
{
	struct tpacket_stats stats = { 0 };
	socklen_t size = sizeof stats;

	return getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0 ? stats.tp_drops : 0;
}

/* ---- send ---- */

static void offload_from_meta(struct virtio_net_hdr *o, const struct europa_slot *meta, u32 tag)
{
	u32 headers;

	memset(o, 0, sizeof *o);
	if (likely(!(meta->flags & EUROPA_SLOT_NEEDS_CSUM)))
		return;
	o->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	o->csum_start = meta->csum_start + tag;
	o->csum_offset = meta->csum_offset;
	if (meta->gso_type == EUROPA_GSO_NONE)
		return;
	/*
	 * hdr_len is what the kernel allocates in one piece: no more than headers, whatever the frame was made of
	 * when it came in.
	 */
	headers = meta->csum_start + 64u;
	o->gso_type = meta->gso_type;
	o->gso_size = meta->gso_size;
	o->hdr_len = tag + (meta->hdr_len < headers ? meta->hdr_len : headers);
}

static void make_tag(__be16 tag[2], const struct europa_slot *meta)
{
	tag[0] = htons(meta->vlan_proto);
	tag[1] = htons(meta->vlan_tci);
}

/* The tag goes between the addresses and the rest; nothing is written to the pool for that. */
static unsigned pieces_with_tag(struct iovec *pieces, __be16 *tag, const struct tx_frame *frame)
{
	make_tag(tag, &frame->meta);
	pieces[1] = (struct iovec){ (void *)frame->data, MACS };
	pieces[2] = (struct iovec){ tag, TAG };
	pieces[3] = (struct iovec){ (void *)(frame->data + MACS), frame->meta.len - MACS };
	return 4;
}

static void fill_batch(struct packet_batch *b, const struct tx_frame *const *frames, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct tx_frame *frame = frames[i];
		bool tagged = frame->meta.flags & EUROPA_SLOT_VLAN;

		offload_from_meta(&b->offloads[i], &frame->meta, tagged ? TAG : 0);
		if (unlikely(tagged)) {
			b->messages[i].msg_hdr.msg_iovlen = pieces_with_tag(b->pieces[i], b->tags[i], frame);
		} else {
			b->pieces[i][1] = (struct iovec){ (void *)frame->data, frame->meta.len };
			b->messages[i].msg_hdr.msg_iovlen = 2;
		}
	}
}

static enum europa_drop cause_of(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return EUROPA_DROP_TX_FULL;
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
		return EUROPA_DROP_TX_DOWN;
	case EMSGSIZE:
		return EUROPA_DROP_TX_TOO_LONG;
	default:
		return EUROPA_DROP_TX_ERROR;
	}
}

/* With a virtio-net header each. */
static void send_offloaded(struct packet_socket *s, struct port *port, const struct tx_frame *const *frames, unsigned n)
{
	struct packet_batch *b = s->batch;
	enum europa_drop cause;
	unsigned done = 0;
	int sent;

	fill_batch(b, frames, n);
	while (done < n) {
		sent = sendmmsg(s->fd, b->messages + done, n - done, MSG_DONTWAIT);
		if (likely(sent > 0)) {
			done += sent;
			continue;
		}
		/* One frame that can't go doesn't stop those behind it; a device that takes none does. */
		cause = cause_of(errno);
		if (cause == EUROPA_DROP_TX_FULL || cause == EUROPA_DROP_TX_DOWN) {
			port_drop(port, cause, n - done);
			return;
		}
		port_drop(port, cause, 1);
		done++;
	}
}

/* How many of them found a place. */
static unsigned put_plain(struct packet_socket *s, const struct tx_frame *const *frames, unsigned n)
{
	unsigned i;
	__be16 tag[2];

	for (i = 0; i < n; i++) {
		const struct tx_frame *frame = frames[i];
		bool tagged = frame->meta.flags & EUROPA_SLOT_VLAN;

		if (unlikely(tagged))
			make_tag(tag, &frame->meta);
		if (unlikely(!xsk_put(s->xsk, frame->data, &frame->meta, tagged ? tag : NULL)))
			break;
	}
	return i;
}

/* What has been put, and what was left before. Why the device takes no more, if it doesn't. */
static enum europa_drop flush(struct packet_socket *s, struct port *port)
{
	int r = s->xsk ? xsk_flush(s->xsk) : 0;

	if (unlikely(r > 0))
		port_drop(port, EUROPA_DROP_TX_FULL, r);
	return r < 0 ? cause_of(-r) : EUROPA_DROP_TX_FULL;
}

/*
 * Plain ones may find no place while those before still wait for whoever receives them, a softirq that is late. The packet socket has
 * room, and what it sends queues behind them; but for those that the kernel has yet to take, which nothing may overtake. Neither sent nor
 * dropped are these: packet_push sees what becomes of them.
 */
static void send_run(struct packet_socket *s, struct port *port, const struct tx_frame *const *frames, unsigned n, bool plain)
{
	unsigned put = plain ? put_plain(s, frames, n) : 0;
	enum europa_drop why = flush(s, port);

	if (put == n)
		return;
	if (likely(!packet_unsent(s)))
		send_offloaded(s, port, frames + put, n - put);
	else
		port_drop(port, why, n - put);
}

u32 packet_push(struct packet_socket *s)
{
	int r = unlikely(packet_unsent(s)) ? xsk_flush(s->xsk) : 0;

	return r > 0 ? r : 0;
}

void packet_push_at(struct packet_socket *s, struct port *port)
{
	if (unlikely(packet_unsent(s)))
		flush(s, port);
}

u32 packet_unsent(const struct packet_socket *s)
{
	return s->xsk ? xsk_unsent(s->xsk) : 0;
}

static bool is_plain(const struct packet_socket *s, const struct tx_frame *frame)
{
	if (!s->xsk || frame->meta.len > XSK_FRAME_MAX || frame->meta.gso_type != EUROPA_GSO_NONE)
		return false;
	return !(frame->meta.flags & EUROPA_SLOT_NEEDS_CSUM) || xsk_takes_csum(s->xsk);
}

/* In order: as many as go the same way together. */
void packet_send(struct packet_socket *s, struct port *port, const struct tx_frame *const *frames, unsigned n)
{
	while (n) {
		bool plain = is_plain(s, frames[0]);
		unsigned run = 1;

		while (run < n && is_plain(s, frames[run]) == plain)
			run++;
		send_run(s, port, frames, run, plain);
		frames += run;
		n -= run;
	}
}

// SPDX-License-Identifier: MIT
/* From inherited descriptors to a struct europa: find, map, check, and go on where an earlier process stopped. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/layout.h"
#include "shim/private.h"

#define LISTEN_FDS_START 3
#define KNOWN_FEATURES   (EUROPA_F_OFFLOAD | EUROPA_F_RUNS | EUROPA_F_REPLICATE | EUROPA_F_ALLOC | EUROPA_F_STATE)

/* Up to KICK all are needed; an older supervisor hands out no more. */
enum handed { CONTROL, POOL, DOORBELL, KICK, STATE, HANDED };
#define NEEDED ((1u << STATE) - 1)

static const char *const handed_names[HANDED] = {
	[CONTROL]  = "europa.control",
	[POOL]     = "europa.pool",
	[DOORBELL] = "europa.doorbell",
	[KICK]     = "europa.kick",
	[STATE]    = "europa.state",
};

/* A decimal number from the environment, or -1. */
static long env_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long value;

	if (!text || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtol(text, &end, 10);
	return errno || *end ? -1 : value;
}

static int find_handed(int fds[HANDED])
{
	const char *name = getenv("LISTEN_FDNAMES");
	long count = env_number("LISTEN_FDS");
	unsigned found = 0;

	fds[STATE] = -1;
	/* Descriptors that were meant for another process may be anything here. */
	if (getenv("LISTEN_PID") && env_number("LISTEN_PID") != getpid())
		return -ENOENT;
	for (long i = 0; name && i < count; i++) {
		size_t length = strcspn(name, ":");

		for (int which = 0; which < HANDED; which++) {
			if (strlen(handed_names[which]) != length || memcmp(name, handed_names[which], length))
				continue;
			fds[which] = LISTEN_FDS_START + (int)i;
			found |= 1u << which;
		}
		name = name[length] ? name + length + 1 : NULL;
	}
	return (found & NEEDED) == NEEDED ? 0 : -ENOENT;
}

/* Maps all of a file that must be `size` bytes at least, so that no access can be beyond its end. */
static int map_file(int fd, uint64_t size, int protection, uint8_t **address)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < size)
		return -EINVAL;
	map = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*address = map;
	return 0;
}

/* The geometry from the control file's header, and what follows from it. */
static int read_header(struct europa_private *priv, struct europa_header *header)
{
	const char *why;
	ssize_t got = pread(priv->control_fd, header, sizeof(*header), 0);

	if (got < 0)
		return -errno;
	if (got != sizeof(*header) || header->magic != EUROPA_MAGIC)
		return -EINVAL;
	if (header->major != EUROPA_MAJOR)
		return -EPROTO;
	if (geometry_check(&header->geometry, &why) < 0)
		return -EINVAL;
	layout_compute(&header->geometry, &priv->offsets);
	return memcmp(&header->offsets, &priv->offsets, sizeof(priv->offsets)) ? -EINVAL : 0;
}

static uint32_t *entries(uint8_t *file, uint64_t rings, const struct europa_geometry *geo, unsigned vnic)
{
	return (uint32_t *)(file + rings) + geo->pool_ring_size + (size_t)vnic * geo->ring_size;
}

/*
 * The indexes in the region are where an earlier process of this VR stopped, or zero. An index of its own that cannot be true
 * was overwritten by a bug of that process: start at the switch's index then, which loses nothing but what reclaim_held finds.
 */
static void start_ring(struct ring *r, uint32_t *ring_entries, uint32_t size, struct europa_line *mine,
		       const struct europa_line *theirs, bool producer)
{
	uint32_t ahead;

	ring_init(r, ring_entries, size, mine, theirs);
	ahead = producer ? r->index - r->peer : r->peer - r->index;
	if (ahead > size) {
		r->index = r->peer;
		ring_submit(r, 0);
	}
	ring_awake(r);
}

static void start_rings(struct europa_private *priv)
{
	const struct europa_geometry *geo = &priv->view.geometry;
	const struct europa_offsets *off = &priv->offsets;
	const struct europa_line *theirs = (const void *)(priv->control + off->control_lines);
	struct europa_line *mine = (void *)(priv->pool + off->pool_lines);
	uint32_t *alloc = (uint32_t *)(priv->control + off->control_rings);
	uint32_t *free_entries = (uint32_t *)(priv->pool + off->pool_rings);

	start_ring(&priv->view.free, free_entries, geo->pool_ring_size, &mine[EUROPA_RING_FREE],
		   &theirs[EUROPA_RING_FREE], true);
	start_ring(&priv->view.alloc, alloc, geo->pool_ring_size, &mine[EUROPA_RING_ALLOC],
		   &theirs[EUROPA_RING_ALLOC], false);
	for (unsigned n = 0; n < geo->nvnics; n++) {
		start_ring(&priv->rx[n], entries(priv->control, off->control_rings, geo, n), geo->ring_size,
			   &mine[EUROPA_RING_RX(n)], &theirs[EUROPA_RING_RX(n)], false);
		start_ring(&priv->tx[n], entries(priv->pool, off->pool_rings, geo, n), geo->ring_size,
			   &mine[EUROPA_RING_TX(n)], &theirs[EUROPA_RING_TX(n)], true);
	}
}

static void fill_view(struct europa_private *priv, const struct europa_geometry *geo)
{
	struct europa *eu = &priv->view;

	eu->geometry = *geo;
	eu->slots = priv->pool + priv->offsets.pool_slots;
	eu->meta = (struct europa_slot *)(priv->pool + priv->offsets.pool_meta);
	eu->slot_stride = geo->slot_stride;
	eu->nvnics = geo->nvnics;
	eu->rx = priv->rx;
	eu->tx = priv->tx;
	eu->vnics = (const struct europa_vnic *)(priv->control + priv->offsets.control_vnics);
	eu->header = (const struct europa_header *)priv->control;
	eu->priv = priv;
	priv->counters = (struct europa_dp_counter *)(priv->pool + priv->offsets.pool_counters);
}

static void introduce(struct europa_private *priv, uint32_t offered)
{
	struct europa_pool_header *header = (struct europa_pool_header *)priv->pool;

	/* Until this process says what its state is like, it has none. */
	WRITE_ONCE(header->state_version, 0);
	WRITE_ONCE(header->features, offered & KNOWN_FEATURES);
	smp_store_release(&header->magic, EUROPA_MAGIC);
}

/* Both maps fault in as they are touched: a large pool costs its owner only the slots that are really in use. */
static int map_region(struct europa_private *priv, struct europa_header *header)
{
	int error = read_header(priv, header);

	if (!error)
		error = map_file(priv->control_fd, priv->offsets.control_size, PROT_READ, &priv->control);
	if (!error)
		error = map_file(priv->pool_fd, priv->offsets.pool_size, PROT_READ | PROT_WRITE, &priv->pool);
	return error;
}

int europa_attach_fds(struct europa **eu, int control, int pool, int doorbell, int kick)
{
	struct europa_private *priv = aligned_alloc(EUROPA_CACHE_LINE, (sizeof(*priv) + 63) & ~(size_t)63);
	struct europa_header header;
	int error;

	*eu = NULL;
	if (!priv) {
		close(control), close(pool), close(doorbell), close(kick);
		return -ENOMEM;
	}
	memset(priv, 0, sizeof(*priv));
	priv->control_fd = control;
	priv->pool_fd = pool;
	priv->view.doorbell_fd = doorbell;
	priv->view.kick_fd = kick;
	priv->view.priv = priv;
	priv->state.fd = -1;

	error = map_region(priv, &header);
	if (error) {
		europa_detach(&priv->view);
		return error;
	}
	fill_view(priv, &header.geometry);
	introduce(priv, header.features);
	start_rings(priv);
	reclaim_held(priv);
	pacer_init(&priv->view);
	*eu = &priv->view;
	return 0;
}

int europa_attach(struct europa **eu)
{
	int fds[HANDED];
	int error = find_handed(fds);

	*eu = NULL;
	if (error)
		return error;
	error = europa_attach_fds(eu, fds[CONTROL], fds[POOL], fds[DOORBELL], fds[KICK]);
	if (!error)
		europa_attach_state(*eu, fds[STATE]);
	else if (fds[STATE] >= 0)
		close(fds[STATE]);
	return error;
}

void europa_detach(struct europa *eu)
{
	struct europa_private *priv;

	if (!eu)
		return;
	priv = eu->priv;
	if (priv->control)
		munmap(priv->control, priv->offsets.control_size);
	if (priv->pool)
		munmap(priv->pool, priv->offsets.pool_size);
	close(priv->control_fd);
	close(priv->pool_fd);
	close(eu->doorbell_fd);
	close(eu->kick_fd);
	state_release(&priv->state);
	free(priv);
}

void europa_kick(struct europa *eu)
{
	/* A full pipe has a byte that the switch hasn't read yet: it will wake in any case. */
	ssize_t ignored = write(eu->kick_fd, "", 1);

	(void)ignored;
}

const char *europa_strerror(int error)
{
	switch (error) {
	case 0:
		return "no error";
	case -ENOENT:
		return "no packet pool was handed to this process: start it by europa-run";
	case -EPROTO:
		return "the switch speaks another major version of the packet pool's layout";
	case -EBADMSG:
		return "the state handed to this process is damaged";
	case -EINVAL:
		return "the descriptors handed to this process are not a packet pool";
	default:
		return strerror(error < 0 ? -error : error);
	}
}

// SPDX-License-Identifier: MIT
#include "runtime/engine/member.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "runtime/cleanup.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/port.h"
#include "runtime/error.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Sealed against resizing, a memfd can't be pulled away from under a mapping: there is no SIGBUS to fear. */
static int check_memfd(int fd, u64 size, const char *what, struct error *e)
{
	struct statfs fs;
	struct stat st;
	int seals, flags;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return fail(e, errno, "%s", what);
	seals = fcntl(fd, F_GET_SEALS);
	flags = fcntl(fd, F_GETFL);
	if (!S_ISREG(st.st_mode) || fs.f_type != TMPFS_MAGIC || seals < 0)
		return refuse(e, "%s is not a memfd", what);
	if ((seals & SEALS) != SEALS || (seals & F_SEAL_WRITE))
		return refuse(e, "%s has seals 0x%x; SHRINK, GROW and SEAL are wanted, WRITE is not", what, seals);
	if ((flags & O_ACCMODE) != O_RDWR)
		return refuse(e, "%s is not open for reading and writing", what);
	if ((u64)st.st_size != size)
		return refuse(e, "%s has %llu bytes; its geometry wants %llu", what, (unsigned long long)st.st_size,
			      (unsigned long long)size);
	return 0;
}

static int check_pipe(int fd, int mode, const char *what, struct error *e)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return fail(e, errno, "%s", what);
	if (!S_ISFIFO(st.st_mode) || (flags & O_ACCMODE) != mode || !(flags & O_NONBLOCK))
		return refuse(e, "%s is not the %s end of a non-blocking pipe", what, mode == O_WRONLY ? "writing" : "reading");
	return 0;
}

static int check_netns(int fd, struct error *e)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return fail(e, errno, "the network namespace");
	if (fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return refuse(e, "the fifth descriptor is not a network namespace");
	return 0;
}

static int check_fds(const struct europa_geometry *geo, const int fds[REGISTER_FDS], struct error *e)
{
	struct europa_offsets off;
	int r;

	layout_compute(geo, &off);
	r = check_memfd(fds[REGISTER_CONTROL], off.control_size, "control", e);
	if (r == 0)
		r = check_memfd(fds[REGISTER_POOL], off.pool_size, "pool", e);
	if (r == 0)
		r = check_pipe(fds[REGISTER_DOORBELL], O_WRONLY, "the doorbell", e);
	if (r == 0)
		r = check_pipe(fds[REGISTER_KICK], O_RDONLY, "the kick", e);
	if (r == 0)
		r = check_netns(fds[REGISTER_NETNS], e);
	return r;
}

static int map(int fd, u64 size, const char *what, void **address, struct error *e)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return fail(e, errno, "cannot map %s", what);
	*address = p;
	return 0;
}

static int take_region(struct member *m, const struct europa_register *reg, struct error *e)
{
	const struct europa_header *header = m->control;

	if (reg->flags & EUROPA_REGISTER_ADOPT) {
		if (vr_adopt(&m->vr, &reg->geometry, m->control, m->pool, m->memory) < 0)
			return refuse(e, "there is no region of this geometry to adopt");
		m->adopted = true;
		m->ring = true;         /* the last switch may have died between publishing and ringing */
		return 0;
	}
	if (header->magic)
		return refuse(e, "this region has been served before: it can only be adopted");
	vr_init(&m->vr, &reg->geometry, reg->name, m->control, m->pool, m->memory);
	return 0;
}

static void unmap(struct member *m)
{
	struct europa_offsets off;

	layout_compute(&m->vr.geo, &off);
	if (m->control)
		munmap(m->control, off.control_size);
	if (m->pool)
		munmap(m->pool, off.pool_size);
	free(m->memory);
	free(m);
}

static int map_region(struct member *m, const struct europa_register *reg, const int fds[REGISTER_FDS], struct error *e)
{
	struct europa_offsets off;
	int r;

	layout_compute(&reg->geometry, &off);
	m->vr.geo = reg->geometry;
	m->memory = calloc(1, vr_memory(&reg->geometry));
	if (!m->memory)
		return fail(e, ENOMEM, "cannot serve %u slots", reg->geometry.nslots);
	r = map(fds[REGISTER_CONTROL], off.control_size, "control", &m->control, e);
	if (r == 0)
		r = map(fds[REGISTER_POOL], off.pool_size, "pool", &m->pool, e);
	return r < 0 ? r : take_region(m, reg, e);
}

int member_open(const struct europa_register *reg, int fds[REGISTER_FDS], struct member **member, struct error *e)
{
	/* Not the numbers that a switch before this one gave its devices. */
	static u32 groups;
	struct member *m;
	const char *why;
	int r;

	if (geometry_check(&reg->geometry, &why) < 0)
		return refuse(e, "geometry: %s", why);
	r = check_fds(&reg->geometry, fds, e);
	if (r < 0)
		return r;
	m = calloc(1, sizeof *m);
	if (!m)
		return fail(e, ENOMEM, "cannot register");
	r = map_region(m, reg, fds, e);
	if (r < 0) {
		m->vr.geo = reg->geometry;
		unmap(m);
		return r;
	}
	memcpy(m->name, reg->name, sizeof m->name);
	m->bite = VR_BATCH;
	m->doorbell = take_fd(&fds[REGISTER_DOORBELL]);
	m->kick = take_fd(&fds[REGISTER_KICK]);
	m->netns = take_fd(&fds[REGISTER_NETNS]);
	if (!groups)
		groups = (u32)getpid() << 10;
	m->group = ++groups;
	*member = m;
	return 0;
}

void member_close(struct member *m)
{
	close(m->doorbell);
	close(m->kick);
	close(m->netns);
	unmap(m);
}

void member_attach(struct member *m, struct port *port, const struct europa_attach *attach)
{
	struct europa_vnic *vnic = &m->vr.vnics[port->vnic];

	memcpy(vnic->mac, attach->mac, sizeof vnic->mac);
	memcpy(vnic->device, attach->device, sizeof vnic->device);
	WRITE_ONCE(vnic->mtu, attach->mtu);
	m->ports[port->vnic] = port;
	m->attached |= 1u << port->vnic;
	port_set_up(port, port->up);
	if (port->ops->attach)
		port->ops->attach(port);
}

struct port *member_detach(struct engine *engine, struct member *m, unsigned vnic)
{
	struct port *port = m->ports[vnic];

	if (!port)
		return NULL;
	port_set_up(port, false);
	if (port->ops->detach)
		port->ops->detach(engine, port);
	m->ports[vnic] = NULL;
	m->attached &= ~(1u << vnic);
	return port;
}

void member_flush(struct member *m)
{
	for (; m->dirty; m->dirty &= m->dirty - 1)
		m->ring |= rx_flush(&m->vr, __builtin_ctz(m->dirty));
}

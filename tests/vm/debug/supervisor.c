// SPDX-License-Identifier: MIT
#include "tests/vm/debug/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/error.h"

static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static uint8_t *map(int fd, uint64_t size)
{
	uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		die("mmap", strerror(errno));
	return at;
}

void supervisor_make(struct supervisor *s, const char *name, const struct europa_geometry *geometry)
{
	struct error e = { 0 };

	*s = (struct supervisor){ .name = name, .device = -1 };
	if (region_create(&s->region, geometry, name, &e) < 0)
		die(name, e.text);
	layout_compute(geometry, &s->off);
	s->control = map(s->region.control, s->off.control_size);
	s->pool = map(s->region.pool, s->off.pool_size);
	s->netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (s->netns < 0)
		die("/proc/self/ns/net", strerror(errno));
}

void supervisor_free(struct supervisor *s)
{
	supervisor_close(s);
	munmap(s->control, s->off.control_size);
	munmap(s->pool, s->off.pool_size);
	region_close(&s->region);
	close(s->netns);
}

int supervisor_open(struct supervisor *s)
{
	s->device = open(EUROPA_DEVICE, O_RDWR | O_CLOEXEC);
	return s->device < 0 ? -errno : s->device;
}

int supervisor_close(struct supervisor *s)
{
	int fd = s->device;

	s->device = -1;
	return fd >= 0 && close(fd) < 0 ? -errno : 0;
}

static int call(const struct supervisor *s, unsigned long command, void *argument)
{
	return ioctl(s->device, command, argument) < 0 ? -errno : 0;
}

int supervisor_register(struct supervisor *s, unsigned flags)
{
	struct europa_ioc_register reg = {
		.size = sizeof(reg),
		.control = s->region.control, .pool = s->region.pool,
		.doorbell = s->region.doorbell_write, .kick = s->region.kick_read,
		.netns = s->netns, .pid = s->child,
		.reg = { .size = sizeof(reg.reg), .flags = flags, .geometry = s->region.geometry },
	};

	snprintf(reg.reg.name, sizeof(reg.reg.name), "%s", s->name);
	return call(s, EUROPA_IOC_REGISTER, &reg);
}

int supervisor_attach(struct supervisor *s, const struct europa_attach *attach)
{
	struct europa_attach argument = *attach;

	argument.size = sizeof(argument);
	return call(s, EUROPA_IOC_ATTACH, &argument);
}

int supervisor_detach(struct supervisor *s, unsigned vnic)
{
	struct europa_detach argument = { .size = sizeof(argument), .vnic = vnic };

	return call(s, EUROPA_IOC_DETACH, &argument);
}

int supervisor_quiesce(struct supervisor *s, unsigned on)
{
	struct europa_quiesce argument = { .size = sizeof(argument), .on = on };

	return call(s, EUROPA_IOC_QUIESCE, &argument);
}

int supervisor_ask(struct supervisor *s, unsigned what)
{
	struct europa_ask argument = { .size = sizeof(argument), .what = what };

	return call(s, EUROPA_IOC_ASK, &argument);
}

int supervisor_refresh(struct supervisor *s)
{
	return call(s, EUROPA_IOC_REFRESH, NULL);
}

const char *supervisor_why(struct supervisor *s)
{
	static char text[256];

	if (ioctl(s->device, EUROPA_IOC_WHY, text) < 0)
		return strerror(errno);
	return text;
}

struct europa_line *supervisor_line(const struct supervisor *s, unsigned ring)
{
	return (struct europa_line *)(s->pool + s->off.pool_lines) + ring;
}

/* A ring that the VR produces stands in the pool, in the same order as the switch's in control. */
uint32_t *supervisor_entries(const struct supervisor *s, unsigned ring)
{
	return (uint32_t *)(s->pool + s->off.pool_rings + layout_ring(&s->region.geometry, ring));
}

void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path, strerror(errno));
	close(fd);
}

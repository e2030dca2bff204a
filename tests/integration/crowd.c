/* SPDX-License-Identifier: MIT */
/*
 * A crowd of VRs in one process, to see what a switch does with thousands: each has a region as small as can be and one vNIC, whose generator
 * makes FRAMES frames. All of them are registered before the first one takes its frames; then each in turn takes them, sends them back, and
 * has to see all its slots come home, while all the others sleep.
 *
 *	crowd COUNT STEM [devices]
 *
 * They are STEM0, STEM1, ... With "devices" each eighth has a second vNIC, with a device of its own. Says "ready" when all have been served, and
 * keeps them registered until its standard input ends; or "error" and why. What each step took is on standard error, for people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/layout.h"
#include "runtime/backend.h"
#include "runtime/error.h"
#include "runtime/region.h"
#include "runtime/state.h"
#include "shim/europa.h"

#define FRAMES  3u
#define SLOTS   4u
#define DEVICES 8u              /* one of so many has a device */
#define PATIENCE_MS 120000u     /* for one VR: emulated machines are slow */

struct one {
	char name[64];
	struct backend backend;
	struct europa *eu;
	uint32_t slots[FRAMES];
	bool has_device;
};

/* The library's own would drag in everything that knows about state. */
int state_run_dir(char *path, size_t size, struct error *e)
{
	snprintf(path, size, "%s", getenv("EUROPA_RUN_DIR"));
	return 0;
}

static void die(const char *name, const char *why)
{
	printf("error %s: %s\n", name, why);
	exit(1);
}

static enum vr_switch which;

static void choose_switch(void)
{
	const char *name = getenv("EUROPA_SWITCH");
	enum vr_switch wanted = !name || !strcmp(name, "auto") ? SWITCH_AUTO : !strcmp(name, "kmod") ? SWITCH_KMOD : SWITCH_USER;
	struct error e = { 0 };

	if (backend_choose(wanted, &which, &e) < 0)
		die("switch", e.text);
}

static int attach(struct one *o, unsigned n, enum europa_port_kind kind, char *target, struct error *e)
{
	struct vr_vnic vnic = { .kind = kind, .target = target };
	char device[16] = "";

	return backend_attach(&o->backend, n, &vnic, device, e);
}

/* Of the region's descriptors only those are kept that the VR has: there are thousands. */
static void join(struct one *o)
{
	struct europa_geometry geo;
	struct region region;
	struct error e = { 0 };
	int fds[REGION_FDS], r;

	geometry_choose(&geo, 1 + o->has_device, SLOTS, EUROPA_MIN_STRIDE, 16, 0);
	geo.alloc_target = 0;
	if (region_create(&region, &geo, o->name, &e) < 0 ||
	    backend_register(&o->backend, which, &region, false, o->name, 0, &e) < 0 ||
	    attach(o, 0, EUROPA_PORT_GENERATOR, (char[]){ "size=60,count=3" }, &e) < 0 ||
	    (o->has_device && attach(o, 1, EUROPA_PORT_DEVICE, NULL, &e) < 0) ||
	    region_for_vr(&region, fds, &e) < 0)
		die(o->name, e.text);
	region_close(&region);
	close(o->backend.netns);
	o->backend.netns = -1;
	close(fds[REGION_FDS - 1]);
	r = europa_attach_fds(&o->eu, fds[0], fds[1], fds[2], fds[3]);
	if (r < 0)
		die(o->name, europa_strerror(r));
}

static void wait_a_moment(const struct one *o, unsigned *left, const char *what)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	if (!*left)
		die(o->name, what);
	--*left;
	nanosleep(&moment, NULL);
}

static void take(struct one *o)
{
	unsigned left = PATIENCE_MS, got = 0;

	while ((got += europa_rx(o->eu, 0, o->slots + got, FRAMES - got)) < FRAMES)
		wait_a_moment(o, &left, "its frames don't come");
}

static unsigned owned_by_switch(const struct one *o)
{
	const uint8_t *control = (const uint8_t *)o->eu->header;
	const uint8_t *owners = control + o->eu->header->offsets.control_owners;
	unsigned i, n = 0;

	for (i = 0; i < SLOTS; i++)
		n += __atomic_load_n(&owners[i], __ATOMIC_RELAXED) == EUROPA_OWNER_SWITCH;
	return n;
}

static void send_back(struct one *o)
{
	unsigned left = PATIENCE_MS;

	if (europa_tx(o->eu, 0, o->slots, FRAMES) != FRAMES)
		die(o->name, "its ring doesn't take what came out of the other");
	while (owned_by_switch(o) != SLOTS)
		wait_a_moment(o, &left, "its slots don't come home");
}

/* ---- what it took ---- */

static unsigned long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ul + now.tv_nsec / 1000000;
}

static void each(struct one *crowd, unsigned count, void (*step)(struct one *o), const char *what)
{
	unsigned long start = now_ms();
	unsigned i;

	for (i = 0; i < count; i++) {
		step(&crowd[i]);
		if ((i + 1) % (count / 4 ? count / 4 : 1) == 0)
			fprintf(stderr, "%s: %u after %lu ms\n", what, i + 1, now_ms() - start);
	}
}

int main(int argc, char **argv)
{
	unsigned count = argc > 2 ? (unsigned)atoi(argv[1]) : 0, i;
	struct rlimit files;
	struct one *crowd;
	char byte;

	if (!count)
		return 2;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	choose_switch();
	crowd = calloc(count, sizeof *crowd);
	if (!crowd)
		die(argv[2], "no memory");
	for (i = 0; i < count; i++) {
		snprintf(crowd[i].name, sizeof crowd[i].name, "%s%u", argv[2], i);
		crowd[i].has_device = argc > 3 && i % DEVICES == 0;
	}
	each(crowd, count, join, "registered");
	each(crowd, count, take, "taken");
	each(crowd, count, send_back, "sent back");
	printf("ready\n");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}

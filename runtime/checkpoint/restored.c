/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/restored.h"

#include <errno.h>
#include <linux/europa.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "core/layout.h"
#include "runtime/checkpoint/criu_restore.h"
#include "runtime/checkpoint/handover.h"
#include "runtime/checkpoint/seen.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/region.h"
#include "runtime/state.h"

#define LINK_MS 2000            /* a link that isn't up by then has nobody at its other end */
#define TAKE_MS 60000           /* for a data plane to take its state over: a table of millions of routes, on a busy host */

/* ---- reading ---- */

static int read_manifest(struct restored *r, int dir, const char *path, struct error *e)
{
	auto_free uint8_t *text = NULL;
	size_t length;
	int err = store_read(dir, path, MANIFEST_FILE, MANIFEST_MOST, &text, &length, e);

	if (err)
		return err;
	err = manifest_parse((const char *)text, length, &r->manifest, e);
	return err ? context(e, "\"%s/" MANIFEST_FILE "\"", path) : 0;
}

static int check_host(const struct manifest *m, const char *path, struct error *e)
{
	struct utsname host;

	if (uname(&host) < 0)
		return fail(e, errno, "uname");
	if (strcmp(host.machine, m->architecture) != 0)
		return refuse(e, "\"%s\" was made on %s: this host is %s", path, m->architecture, host.machine);
	return 0;
}

/* A region that is shorter than the process believes would end it, and not be noticed before. */
static int check_whole(const struct criu_image *image, const struct europa_geometry *geometry, const char *path, struct error *e)
{
	struct europa_offsets off;

	layout_compute(geometry, &off);
	if (criu_image_find(image, "control")->file.size != off.control_size || criu_image_find(image, "pool")->file.size != off.pool_size)
		return refuse(e, "\"%s/" CRIU_DIRECTORY "\": control and pool have other sizes than the manifest's geometry gives", path);
	return 0;
}

static int check_files(struct restored *r, const char *path, struct error *e)
{
	const struct manifest *m = &r->manifest;
	uint32_t version = 0;

	if (packets_check(r->bytes[FILE_REGION], m->files[FILE_REGION].size, &m->spec.geometry, &r->packets, e))
		return context(e, "\"%s/%s\"", path, manifest_file_names[FILE_REGION]);
	if (m->mode == MODE_CRIU)
		return check_whole(&m->criu, &m->spec.geometry, path, e);
	if (handover_check(r->bytes[FILE_STATE], m->files[FILE_STATE].size, &version, e))
		return context(e, "\"%s/%s\"", path, manifest_file_names[FILE_STATE]);
	if (version != m->state_version)
		return refuse(e, "\"%s/%s\" is of version %u, manifest.json says %u", path, manifest_file_names[FILE_STATE], version,
			      m->state_version);
	return 0;
}

int restored_open(struct restored *r, const char *path, struct error *e)
{
	auto_close int dir = -1;
	int err;

	memset(r, 0, sizeof *r);
	dir = store_open(path, e);
	if (dir < 0)
		return dir;
	err = read_manifest(r, dir, path, e) ?: check_host(&r->manifest, path, e);
	for (unsigned i = 0; i < CHECKPOINT_FILES && !err; i++)
		if (r->manifest.files[i].present)
			err = store_verify(dir, path, manifest_file_names[i], &r->manifest.files[i], &r->bytes[i], e);
	if (!err && r->manifest.mode == MODE_CRIU)
		err = criu_restore_check(dir, path, e) ?: criu_image_read(&r->manifest.criu, dir, path, e);
	return err ?: check_files(r, path, e);
}

void restored_drop(struct restored *r)
{
	for (unsigned i = 0; i < CHECKPOINT_FILES; i++) {
		free(r->bytes[i]);
		r->bytes[i] = NULL;
	}
	criu_image_drop(&r->manifest.criu);
}

void restored_close(struct restored *r)
{
	restored_drop(r);
	manifest_release(&r->manifest);
	memset(r, 0, sizeof *r);
}

/* ---- before the switch ---- */

int restored_config(const struct restored *r, const char *name, struct error *e)
{
	if (!r->bytes[FILE_CONFIG])
		return 0;
	return state_write_config(name, r->bytes[FILE_CONFIG], r->manifest.files[FILE_CONFIG].size, e);
}

int restored_claim(struct restored *r, struct error *e)
{
	bool first = false;
	int err = seen_claim(r->manifest.id, &first, e);

	if (err)
		return err;
	r->claimed = first;
	/* A VR that was left running has forwarded them by itself. */
	r->with_packets = r->replay == REPLAY_ALWAYS || (r->replay == REPLAY_ONCE && first && !r->manifest.left_running);
	/* Whoever restores it next may. */
	if (first && !r->with_packets)
		restored_unclaim(r);
	if (!r->with_packets && r->manifest.mode == MODE_CRIU && r->packets.rx + r->packets.tx)
		return refuse(e, "the checkpoint's %u packets have been forwarded before, and a checkpoint of mode criu can't go without them: "
			      "--replay forwards them again", r->packets.rx + r->packets.tx);
	if (!r->with_packets && r->replay == REPLAY_ONCE && r->packets.rx + r->packets.tx)
		fprintf(stderr, "europa-restore: the checkpoint's %u packets have been forwarded before, and are left out (--replay brings them)\n",
			r->packets.rx + r->packets.tx);
	return 0;
}

/* Also the ordinary end of a VR, long after. Packets that have left don't leave again by another attempt. */
void restored_unclaim(struct restored *r)
{
	if (r->claimed && !r->sent)
		seen_release(r->manifest.id);
	r->claimed = false;
}

int restored_lay(struct restored *r, const struct region *region, const char *name, struct error *e)
{
	if (r->manifest.mode == MODE_CRIU)
		return packets_lay_whole(criu_image_find(&r->manifest.criu, "control")->bytes, criu_image_find(&r->manifest.criu, "pool")->bytes,
					 region, e);
	return packets_lay(r->bytes[FILE_REGION], r->manifest.files[FILE_REGION].size, region, name, r->with_packets, e) ?:
	       handover_give(region->state, r->bytes[FILE_STATE], r->manifest.files[FILE_STATE].size, e);
}

/* ---- the network ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static bool is_up(const struct region *region, unsigned n)
{
	struct europa_offsets off;
	struct europa_vnic vnic = { 0 };

	layout_compute(&region->geometry, &off);
	return pread(region->control, &vnic, sizeof vnic, (off_t)(off.control_vnics + n * sizeof vnic)) != sizeof vnic ||
	       (vnic.flags & EUROPA_VNIC_UP);
}

/* What is forwarded into a link that is only coming up would be lost. */
static void wait_for_links(const struct restored *r, const struct region *region)
{
	const struct timespec moment = { .tv_nsec = 200000 };
	int64_t deadline = now_ms() + LINK_MS;

	for (unsigned n = 0; n < r->manifest.spec.vnics; n++) {
		if (!r->manifest.network[n].known || !r->manifest.network[n].up)
			continue;
		while (!is_up(region, n) && now_ms() < deadline)
			nanosleep(&moment, NULL);
	}
}

int restored_network(struct restored *r, const struct vr_state *state, const struct region *region, struct error *e)
{
	int err = 0;

	if (r->leave_network)
		return 0;
	for (unsigned n = 0; n < state->vnics && !err; n++)
		if (r->manifest.network[n].known && state->vnic[n].device[0] && !state->vnic[n].link)
			err = network_make(&r->manifest.network[n], state->vnic[n].device, r->netns[n], e);
	if (!err)
		wait_for_links(r, region);
	return err;
}

/* ---- go ---- */

int restored_resume(struct restored *r, const struct region *region, struct error *e)
{
	int err = r->with_packets && r->claimed ? seen_settle(r->manifest.id, e) : 0;

	if (!err && r->manifest.mode == MODE_CRIU) {
		r->sent = r->packets.tx > 0;
		return packets_release_whole(criu_image_find(&r->manifest.criu, "pool")->bytes, region, e);
	}
	if (err || !r->with_packets)
		return err;
	r->sent = r->packets.tx > 0;
	return packets_release(region, e);
}

static bool has_taken(const struct region *region)
{
	struct europa_pool_header header = { 0 };

	return pread(region->pool, &header, sizeof header, 0) == sizeof header && (header.features & EUROPA_F_STATE) && header.state_version;
}

uint32_t restored_pid(const struct restored *r)
{
	return r->manifest.mode == MODE_CRIU ? r->manifest.criu.pid : 0;
}

int restored_process(struct restored *r, const struct vr_state *state, const struct region *region, pid_t init, struct cgroup_set *cgroup,
		     struct error *e)
{
	if (r->manifest.mode != MODE_CRIU)
		return 0;
	return criu_restore(&r->manifest.criu, r->manifest.spec.name, state->name, region, init, state->uid_base, cgroup, e);
}

int restored_await(struct restored *r, const struct region *region, int pidfd, struct error *e)
{
	const struct timespec moment = { .tv_nsec = 300000 };
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	int64_t deadline = now_ms() + TAKE_MS;

	while (r->manifest.mode == MODE_WARM && !has_taken(region)) {
		if (ppoll(&end, 1, &moment, NULL) > 0 && !has_taken(region))
			return refuse(e, "the data plane ended without taking over the state that it was handed (version %u)",
				      r->manifest.state_version);
		if (now_ms() > deadline)
			return refuse(e, "the data plane has not taken over its state within %d seconds", TAKE_MS / 1000);
	}
	/* From here on it forwards. */
	r->sent |= r->with_packets;
	return 0;
}

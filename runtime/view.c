/* SPDX-License-Identifier: MIT */
#include "runtime/view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"

static int map(int fd, size_t bytes, const uint8_t **where, struct error *e)
{
	void *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return fail(e, errno, "cannot map the region");
	*where = p;
	return 0;
}

static bool is_cut_short(int fd, uint64_t bytes)
{
	struct stat st;

	return fstat(fd, &st) < 0 || st.st_size < 0 || (uint64_t)st.st_size < bytes;
}

static int read_header(int fd, struct europa_geometry *geo, struct error *e)
{
	const uint8_t *page = NULL;
	struct europa_header header;
	const char *why = "not valid";
	int err;

	if (is_cut_short(fd, 4096))
		return refuse(e, "the region is cut short");
	err = map(fd, 4096, &page, e);
	if (err)
		return err;
	memcpy(&header, page, sizeof header);
	munmap((void *)page, 4096);
	if (header.magic != EUROPA_MAGIC)
		return refuse(e, "the region has no switch yet");
	if (header.major != EUROPA_MAJOR)
		return refuse(e, "the region has layout %u, expected %u: is this europa of another version?", header.major, EUROPA_MAJOR);
	*geo = header.geometry;
	if (geometry_check(geo, &why))
		return refuse(e, "the region's geometry is wrong: %s", why);
	return 0;
}

int view_map(int control_fd, int pool_fd, struct view *view, struct error *e)
{
	int err;

	memset(view, 0, sizeof *view);
	err = read_header(control_fd, &view->geo, e);
	if (err)
		return err;
	layout_compute(&view->geo, &view->off);
	view->control_bytes = view->off.control_size;
	view->pool_bytes = view->off.pool_rings;
	if (is_cut_short(control_fd, view->control_bytes) || is_cut_short(pool_fd, view->off.pool_size))
		return refuse(e, "the region is cut short");
	err = map(control_fd, view->control_bytes, &view->control, e) ?: map(pool_fd, view->pool_bytes, &view->pool, e);
	if (err)
		view_close(view);
	return err;
}

int view_open(const struct vr_state *state, struct view *view, struct error *e)
{
	auto_close int control = -1, pool = -1;
	int err;

	memset(view, 0, sizeof *view);
	err = state_open_region(state, &control, &pool, e);
	return err ? err : view_map(control, pool, view, e);
}

void view_close(struct view *view)
{
	if (view->control)
		munmap((void *)view->control, view->control_bytes);
	if (view->pool)
		munmap((void *)view->pool, view->pool_bytes);
	memset(view, 0, sizeof *view);
}

uint32_t view_status(const struct view *view)
{
	return view_u32(view->control, offsetof(struct europa_header, status));
}

const char *view_status_name(uint32_t status)
{
	static const char *const names[] = {
		[EUROPA_DETACHED] = "detached", [EUROPA_ATTACHED] = "attached",
		[EUROPA_QUIESCED] = "quiesced", [EUROPA_QUARANTINED] = "quarantined",
		[EUROPA_FENCED] = "fenced",
	};

	return status < sizeof names / sizeof *names ? names[status] : "unknown";
}

uint32_t view_ring_used(const struct view *view, unsigned ring)
{
	size_t line = ring * sizeof(struct europa_line);
	uint32_t ours = view_u32(view->control, view->off.control_lines + line);
	uint32_t theirs = view_u32(view->pool, view->off.pool_lines + line);
	/* alloc and rx rings have odd and even numbers: 1 and 2 + 2n; the switch produces those. */
	bool switch_produces = ring == EUROPA_RING_ALLOC || (ring > 1 && ring % 2 == 0);
	uint32_t used = switch_produces ? ours - theirs : theirs - ours;
	uint32_t size = layout_ring_size(&view->geo, ring);

	return used < size ? used : size;
}

void view_owned(const struct view *view, uint32_t *slots, uint32_t *runs)
{
	const uint8_t *owners = view->control + view->off.control_owners;
	uint32_t all = geometry_indexes(&view->geo);

	*slots = *runs = 0;
	for (uint32_t i = 0; i < view->geo.nslots; i++)
		*slots += READ_ONCE(owners[i]) == EUROPA_OWNER_VR;
	for (uint32_t i = view->geo.nslots; i < all; i += view->geo.run_slots)
		*runs += READ_ONCE(owners[i]) == EUROPA_OWNER_VR;
}

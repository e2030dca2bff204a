/* SPDX-License-Identifier: MIT */
#include "runtime/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/env.h"
#include "core/layout.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"

#define FIXED_SIZE (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static void cleanup_regionp(struct region **region)
{
	if (*region)
		region_close(*region);
}

/*
 * The name tells the region's files from those of other VRs: where descriptors are saved and restored, they go by
 * it.
 */
static int make_memfd(const char *name, const char *part, __u64 size, int seals, int *out, struct error *e)
{
	char label[100];
	auto_close int fd = -1;

	snprintf(label, sizeof label, "europa-%s-%s", name, part);
	fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fail(e, errno, "cannot make the %s memfd", part);
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, size) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)
		return fail(e, errno, "cannot give the %s memfd %llu bytes", part, (unsigned long long)size);
	*out = take_fd(&fd);
	return 0;
}

static int make_pipe(int *read_end, int *write_end, const char *what, struct error *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail(e, errno, "cannot make the %s", what);
	*read_end = ends[0];
	*write_end = ends[1];
	return 0;
}

int region_create(struct region *region, const struct europa_geometry *geometry, const char *name, struct error *e)
{
	__attribute__((cleanup(cleanup_regionp))) struct region *undo = region;
	struct europa_offsets off;
	const char *why;
	int r;

	*region = (struct region){ -1, -1, -1, -1, -1, -1, -1, *geometry };
	if (geometry_check(geometry, &why) < 0)
		return refuse(e, "%s", why);
	layout_compute(geometry, &off);
	r = make_memfd(name, "control", off.control_size, FIXED_SIZE, &region->control, e);
	if (r == 0)
		r = make_memfd(name, "pool", off.pool_size, FIXED_SIZE, &region->pool, e);
	/* Nobody maps this one who would be hurt by its shrinking: it is read and written. */
	if (r == 0)
		r = make_memfd(name, "state", 0, F_SEAL_SEAL, &region->state, e);
	if (r == 0)
		r = make_pipe(&region->doorbell_read, &region->doorbell_write, "doorbell", e);
	if (r == 0)
		r = make_pipe(&region->kick_read, &region->kick_write, "kick", e);
	if (r == 0)
		undo = NULL;
	return r;
}

int region_tell_quota(int control, __u32 permille, struct error *e)
{
	struct europa_header *header = mmap(NULL, sizeof *header, PROT_READ | PROT_WRITE, MAP_SHARED, control, 0);

	if (header == MAP_FAILED)
		return fail(e, errno, "cannot map the region to tell the data plane its quota");
	WRITE_ONCE(header->cpu_permille, permille ? permille : UINT32_MAX);
	munmap(header, sizeof *header);
	return 0;
}

void region_close(struct region *region)
{
	int *fds[] = {
		&region->control, &region->pool, &region->state, &region->doorbell_read, &region->doorbell_write,
		&region->kick_read, &region->kick_write,
	};
	size_t i;

	for (i = 0; i < sizeof fds / sizeof *fds; i++) {
		if (*fds[i] >= 0)
			close(take_fd(fds[i]));
	}
}

/* Opened anew, read-only: a duplicate of the descriptor would be as writable as this one. */
static int open_read_only(int fd, struct error *e)
{
	char path[40];
	int ro;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? fail(e, errno, "cannot open the control memfd read-only") : ro;
}

int region_for_vr(const struct region *region, int fds[REGION_FDS], struct error *e)
{
	const int shared[] = { region->pool, region->doorbell_read, region->kick_write, region->state };
	auto_close int control = open_read_only(region->control, e);
	int i;

	if (control < 0)
		return control;
	for (i = 0; i < REGION_FDS - 1; i++) {
		fds[i + 1] = fcntl(shared[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i + 1] < 0) {
			int code = errno;

			while (i-- > 0)
				close(fds[i + 1]);
			return fail(e, code, "cannot duplicate a descriptor of the region");
		}
	}
	fds[0] = take_fd(&control);
	return 0;
}

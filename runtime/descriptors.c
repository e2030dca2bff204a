/* SPDX-License-Identifier: MIT */
#include "runtime/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/error.h"

/*
 * Descriptors may stand above the limit where it was lowered after they were made; not above the kernel's default for
 * it.
 */
#define FD_CEILING 1048576u

static int close_each(unsigned first)
{
	struct rlimit limit = { .rlim_max = FD_CEILING };

	getrlimit(RLIMIT_NOFILE, &limit);
	for (unsigned fd = first; fd < limit.rlim_max && fd < FD_CEILING; fd++)
		close((int)fd);
	return 0;
}

static int mark_each(unsigned first)
{
	struct rlimit limit = { .rlim_max = FD_CEILING };

	getrlimit(RLIMIT_NOFILE, &limit);
	for (unsigned fd = first; fd < limit.rlim_max && fd < FD_CEILING; fd++)
		if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) && errno != EBADF)
			return -errno;
	return 0;
}

int descriptors_tidy(struct error *e)
{
	int fd, err = 0;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	if (fd < 0)
		return fail(e, errno, "/dev/null");
	if (syscall(SYS_close_range, 3, ~0U, 0))
		err = errno == ENOSYS ? close_each(3) : -errno;
	return err ? fail(e, -err, "can't close inherited descriptors") : 0;
}

int descriptors_close_on_exec(unsigned first, struct error *e)
{
	int err = 0;

	if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC))
		err = errno == ENOSYS ? mark_each(first) : -errno;
	return err ? fail(e, -err, "can't mark descriptors close-on-exec") : 0;
}

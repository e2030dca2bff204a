/* SPDX-License-Identifier: MIT */
#include "runtime/namespace.h"

#include <errno.h>
#include <grp.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/fault.h"
#include "runtime/handshake.h"

pid_t namespace_clone(unsigned long long flags, int cgroup_fd, int *pidfd)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD,
		.pidfd = (uintptr_t)pidfd,
		/* A sibling's is its parent's; clone3() wants none to be given then. */
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
	};
	pid_t pid;

	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid < 0 && errno == ENOSYS && cgroup_fd < 0)
		pid = (pid_t)syscall(SYS_clone, (unsigned long)(flags | CLONE_PIDFD | SIGCHLD), 0, pidfd, 0, 0);
	return pid < 0 ? -errno : pid;
}

int namespace_arm(int handshake, struct error *e)
{
	struct pollfd line = { .fd = handshake };

	/*
	 * No look into a process that is half the host's, half the VR's. A change of uid undoes both this and the
	 * signal.
	 */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return fail(e, errno, "can't protect the process");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return fail(e, errno, "can't ask for a signal at the supervisor's death");
	/* A parent that died before that has closed its end already. */
	if (poll(&line, 1, 0) < 0)
		return fail(e, errno, "poll");
	if (line.revents & (POLLHUP | POLLERR))
		_exit(125);
	return 0;
}

static int arm(struct newborn *n, struct error *e)
{
	return namespace_arm(n->init.handshake, e);
}

/*
 * As late as can be: what it takes to get here would use up the quota of the VR's first period, and then wait for the
 * next.
 */
static int enter_cgroup(struct newborn *n, struct error *e)
{
	return n->cgroup ? cgroups_enter(n->cgroup, 0, e) : 0;
}

static int make_network(struct newborn *n, struct error *e)
{
	return unshare(CLONE_NEWNET) ? fail(e, errno, "can't make a network namespace") : 0;
}

/* Until then its ids are nobody's. */
static int await_go(struct newborn *n, struct error *e)
{
	return init_await_go(n->init.handshake, &n->init.image, e);
}

static int say_built(struct newborn *n, struct error *e)
{
	struct handshake_message message = { .kind = HANDSHAKE_BUILT };

	if (!n->says_built)
		return 0;
	if (send(n->init.handshake, &message, sizeof message, MSG_NOSIGNAL) != sizeof message)
		return fail(e, errno, "the supervisor");
	return 0;
}

static int become_root(struct newborn *n, struct error *e)
{
	if (setgroups(0, NULL) || setresgid(0, 0, 0) || setresuid(0, 0, 0))
		return fail(e, errno, "can't become the VR's root");
	return arm(n, e);
}

static int hide_cgroup(struct newborn *n, struct error *e)
{
	return unshare(CLONE_NEWCGROUP) ? fail(e, errno, "can't make a cgroup namespace") : 0;
}

static int set_hostname(struct newborn *n, struct error *e)
{
	return sethostname(n->hostname, strlen(n->hostname)) ? fail(e, errno, "hostname \"%s\"", n->hostname) : 0;
}

static int raise_loopback(struct newborn *n, struct error *e)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	auto_close int fd = -1;

	if (!n->loopback)
		return 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		return fail(e, errno, "can't bring the loopback device up");
	return 0;
}

static int build_root(struct newborn *n, struct error *e)
{
	return rootfs_build(n->rootfs, e);
}

static const struct {
	const char *name;
	int (*take)(struct newborn *n, struct error *e);
} steps[] = {
	{ "arm", arm },
	{ "network", make_network },
	{ "await-go", await_go },
	{ "become-root", become_root },
	{ "hostname", set_hostname },
	{ "loopback", raise_loopback },
	{ "rootfs", build_root },
	{ "enter", enter_cgroup },
	{ "cgroup-namespace", hide_cgroup },
	{ "built", say_built },
};

void namespace_begin(struct newborn *n)
{
	struct handshake_message message = { .kind = HANDSHAKE_FAILED };
	struct error e = { 0 };
	int err = 0;

	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !err; i++) {
		err = fault_inject(steps[i].name, &e);
		if (!err)
			err = steps[i].take(n, &e);
	}
	if (!err)
		init_become(&n->init, &e);
	message.code = e.code;
	memcpy(message.text, e.text, sizeof message.text);
	send(n->init.handshake, &message, sizeof message, MSG_NOSIGNAL);
	_exit(125);
}

#ifdef EUROPA_FAULTS
void namespace_list_steps(void)
{
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		puts(steps[i].name);
	rootfs_list_steps();
	puts("exec-init");
}
#endif

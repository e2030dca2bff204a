/* SPDX-License-Identifier: MIT */
#include "shim/init/privilege.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/descriptors.h"
#include "runtime/fault.h"

static int forbid_new_privileges(const struct init_plan *plan, struct error *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(e, errno, "can't set no_new_privs");
	return 0;
}

/* Marked, not closed: the handshake is still needed, until the exec closes it. */
static int sweep_descriptors(const struct init_plan *plan, struct error *e)
{
	return descriptors_close_on_exec(3 + plan->region_fds, e);
}

/* A directory outside of the root has no path in here: the kernel reports it as "(unreachable)/...". */
static int enter_directory(const struct init_plan *plan, struct error *e)
{
	char reached[PATH_MAX];

	if (chdir(plan->cwd))
		return fail(e, errno, "can't enter the working directory \"%s\"", plan->cwd);
	if (syscall(SYS_getcwd, reached, sizeof reached) < 0)
		return fail(e, errno, "working directory \"%s\"", plan->cwd);
	if (reached[0] != '/')
		return refuse(e, "working directory \"%s\": leads out of the root file system", plan->cwd);
	return 0;
}

static int empty_bounding_set(const struct init_plan *plan, struct error *e)
{
	for (int cap = 0; cap < 64; cap++) {
		if (plan->caps >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)            /* the kernel's last capability was the one before */
			return 0;
		return fail(e, errno, "can't drop capability %d from the bounding set", cap);
	}
	return 0;
}

static int keep_capabilities(const struct init_plan *plan, struct error *e)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return fail(e, errno, "can't keep capabilities over setuid");
	return 0;
}

static int switch_ids(const struct init_plan *plan, struct error *e)
{
	if (setgroups(plan->ngroups, plan->groups))
		return fail(e, errno, "can't set supplementary groups");
	if (setresgid(plan->gid, plan->gid, plan->gid))
		return fail(e, errno, "can't become group %u", plan->gid);
	if (setresuid(plan->uid, plan->uid, plan->uid))
		return fail(e, errno, "can't become user %u", plan->uid);
	return 0;
}

static int set_capabilities(const struct init_plan *plan, struct error *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)plan->caps, .permitted = (uint32_t)plan->caps },
		{ .effective = (uint32_t)(plan->caps >> 32), .permitted = (uint32_t)(plan->caps >> 32) },
	};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		return fail(e, errno, "can't clear ambient capabilities");
	if (syscall(SYS_capset, &header, data))
		return fail(e, errno, "can't set capabilities");
	return 0;
}

/*
 * Changing the uid disarmed the signal. A supervisor that died before it was armed again has closed its end already.
 */
static int check_parent(const struct init_plan *plan, struct error *e)
{
	struct pollfd line = { .fd = HANDSHAKE_FD };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return fail(e, errno, "can't ask for a signal at the supervisor's death");
	if (poll(&line, 1, 0) < 0)
		return fail(e, errno, "poll");
	if (line.revents & (POLLHUP | POLLERR | POLLNVAL))
		_exit(125);
	return 0;
}

static int enter_seccomp(const struct init_plan *plan, struct error *e)
{
	struct sock_fprog program = {
		.len = (unsigned short)plan->filter_length,
		.filter = (struct sock_filter *)plan->filter,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		return fail(e, errno, "can't install the system call filter");
	return 0;
}

int privilege_drop(const struct init_plan *plan, struct error *e)
{
	static const struct {
		const char *name;
		int (*take)(const struct init_plan *plan, struct error *e);
	} steps[] = {
		{ "no-new-privs", forbid_new_privileges },
		{ "sweep", sweep_descriptors },
		{ "chdir", enter_directory },
		{ "bounding", empty_bounding_set },
		{ "keepcaps", keep_capabilities },
		{ "ids", switch_ids },
		{ "capabilities", set_capabilities },
		{ "chdir-again", enter_directory },
		{ "parent", check_parent },
		{ "seccomp", enter_seccomp },
	};
	int err;

	for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		err = fault_inject(steps[i].name, e);
		if (!err)
			err = steps[i].take(plan, e);
		if (err)
			return err;
	}
	return 0;
}

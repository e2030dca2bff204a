/* SPDX-License-Identifier: MIT */
#include "runtime/sweep.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"

#define KILLED_EXIT_CODE (128 + SIGKILL)
#define DEATH_MS         10000
#define CGROUP_TRIES     100

/* Its whole pid namespace dies with it, and its network and mount namespaces with those. */
static int kill_init(const struct vr_state *state, struct error *e)
{
	auto_close int pidfd = process_open(&state->init);
	struct pollfd exited = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0)
		return 0;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return fail(e, errno, "cannot kill process %d of \"%s\"", state->init.pid, state->name);
	if (poll(&exited, 1, DEATH_MS) == 0)
		return fail(e, ETIMEDOUT, "process %d of \"%s\" does not die", state->init.pid, state->name);
	return 0;
}

static int try_remove_cgroup(const char *name, struct error *e)
{
	struct cgroup_set *set;
	int err = cgroups_open(name, &set, e);

	if (err)
		return err;
	err = cgroups_kill(set, e);
	if (!err)
		err = cgroups_destroy(set, e);
	cgroups_close(set);
	return err;
}

/* Somebody else may be at it too, a supervisor of whom the state doesn't tell: then it is gone under our hands, or soon will be. */
static int remove_cgroup(const struct vr_state *state, struct error *e)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	const char *name = state_cgroup(state);
	struct error last;

	for (int tries = 0; name && tries < CGROUP_TRIES; tries++) {
		int err;

		last = (struct error){ 0 };
		err = try_remove_cgroup(name, &last);
		if (!err || err == -ENOENT)
			return 0;
		nanosleep(&pause, NULL);
	}
	if (!name)
		return 0;
	*e = last;
	return -last.code;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

int sweep(struct vr_state *state, struct error *e)
{
	int err = kill_init(state, e);

	if (!err)
		err = remove_cgroup(state, e);
	if (err)
		return context(e, "cannot sweep up after \"%s\"", state->name);
	if (state->rm) {
		err = state_remove(state->name, e);
	} else {
		state->status = VR_EXITED;
		state->exit_code = KILLED_EXIT_CODE;
		state->finished_ns = now_ns();
		memset(&state->init, 0, sizeof state->init);
		err = state_write(state, e);
	}
	state_forget_switch();
	return err;
}

int sweep_read(const char *name, struct vr_state *state, struct error *e)
{
	auto_close int lock = -1;
	int err = state_read(name, state, e);

	if (err || state->status != VR_DEAD)
		return err;
	/* Once more under the lock: another command may be sweeping, or have swept, and a new VR may have the name. */
	lock = state_lock(name, e);
	state_release(state);
	if (lock < 0)
		return lock;
	err = state_read(name, state, e);
	if (err || state->status != VR_DEAD)
		return err;
	err = sweep(state, e);
	if (!err && state->rm) {
		refuse(e, "no virtual router named \"%s\" (europa-ps -a lists them)", name);
		err = -ENOENT;
	}
	if (err)
		state_release(state);
	return err;
}

/* SPDX-License-Identifier: MIT */
/*
 * europa-kill: ends VRs. The data plane gets its signal and has a grace to finish; then the whole group is killed. What belongs
 * to the VR is given back by its supervisor, which is waited for; where there is none left, or where it hangs, it is swept here.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/cleanup.h"
#include "runtime/command.h"
#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/sweep.h"

#define DEFAULT_GRACE_S 10
#define TEARDOWN_MS     15000      /* what a supervisor may need once nothing of its VR runs */
#define DEVICES_MS      5000
#define START_MS        5000       /* how long a VR that is being made is waited for */

const struct command_option kill_options[] = {
	{ 's', "signal", "SIGNAL", "what the data plane gets first: 15, TERM or SIGTERM (default TERM)",
	  "TERM KILL INT HUP USR1 USR2 QUIT" },
	{ 't', "time", "SECONDS", "grace before KILL (default 10)", NULL },
	{ 'a', "all", NULL, "all virtual routers, also those that have exited", NULL },
	OPTIONS_END
};

struct request {
	int signal;
	uint64_t grace_s;
	bool all;
	int names;                 /* operands, moved to the front of argv[1...] */
};

struct target {
	const char *name;
	struct vr_state state;
	int supervisor;            /* pidfd; -1: nothing to wait for */
	int netns;                 /* where its devices are; -1: here, as far as one knows */
	bool done, failed;
};

static bool ends_a_vr(int sig)
{
	return sig == SIGTERM || sig == SIGINT || sig == SIGQUIT || sig == SIGKILL;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static int report(struct target *t, const struct error *e)
{
	t->done = t->failed = true;
	return command_failed("kill", e, 1);
}

static int send_signal(const struct process_id *id, int sig)
{
	auto_close int pidfd = process_open(id);

	if (pidfd < 0)
		return pidfd;
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

/* true: the process behind the pidfd is gone before the deadline. */
static bool wait_gone(int pidfd, int64_t deadline)
{
	struct pollfd gone = { .fd = pidfd, .events = POLLIN };

	for (;;) {
		int64_t left = deadline - now_ms();
		int n = poll(&gone, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return true;
		if (n == 0 && left <= 0)
			return false;
	}
}

/* A frozen process gets no signal but KILL. */
static void kill_group(const struct vr_state *state, bool only_thaw, struct error *e)
{
	struct cgroup_set *set;

	if (!state->cgroup || cgroups_open(state_cgroup(state), &set, e) < 0)
		return;
	if (!only_thaw)
		cgroups_kill(set, e);
	else if (cgroups_frozen(set))
		cgroups_thaw(set, e);
	cgroups_close(set);
}

/* state.json can't be read, or isn't there. Its name is enough to find what may run, and its directory goes. */
static int forget_unreadable(struct target *t)
{
	char cgroup[VR_NAME_MAX + 8];
	struct vr_state state = { .rm = 1, .cgroup = cgroup };
	struct error e = { 0 };
	auto_close int lock = state_lock(t->name, &e);

	snprintf(state.name, sizeof state.name, "%s", t->name);
	snprintf(cgroup, sizeof cgroup, "europa/%s", t->name);
	if (lock < 0 || sweep(&state, &e) < 0)
		return report(t, &e);
	puts(t->name);
	return 0;
}

static bool has_device(const struct vr_state *state)
{
	for (unsigned n = 0; n < state->vnics; n++)
		if (state->vnic[n].device[0] && !state->vnic[n].link && if_nametoindex(state->vnic[n].device))
			return true;
	return false;
}

/* The switch removes them as soon as it hears that the supervisor is gone. */
static void wait_for_devices(const struct target *t)
{
	const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
	int64_t deadline = now_ms() + DEVICES_MS;
	auto_close int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (t->netns >= 0 && (home < 0 || setns(t->netns, CLONE_NEWNET) < 0))
		return;
	while (has_device(&t->state) && now_ms() < deadline)
		nanosleep(&pause, NULL);
	if (t->netns >= 0)
		setns(home, CLONE_NEWNET);
}

static int open_netns(pid_t pid)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Nothing of it runs any more: takes what was kept. */
static int forget(struct target *t)
{
	struct error e = { 0 };
	struct vr_state now;
	auto_close int lock = state_lock(t->name, &e);
	int err = lock < 0 ? lock : state_read(t->name, &now, &e);

	if (err == -ENOENT) {
		puts(t->name);
		return 0;
	}
	if (err)
		return report(t, &e);
	now.rm = 1;
	if (now.created_ns != t->state.created_ns)
		err = 0;                /* a new VR has the name already */
	else if (state_is_live(&now))
		err = refuse(&e, "virtual router \"%s\" still has a supervisor", t->name);
	else
		err = sweep(&now, &e);
	state_release(&now);
	if (err)
		return report(t, &e);
	puts(t->name);
	return 0;
}

static void mark_stopping(struct target *t)
{
	struct error ignored = { 0 };
	struct vr_state now;
	auto_close int lock = state_lock(t->name, &ignored);

	if (lock < 0 || state_read(t->name, &now, &ignored) < 0)
		return;
	if (now.status == VR_RUNNING || now.status == VR_PAUSED) {
		now.status = VR_STOPPING;
		state_write(&now, &ignored);
	}
	state_release(&now);
}

/* A VR that is being made has no process 1 yet: it will be there in a moment, or the attempt has failed. */
static int read_started(const char *name, struct vr_state *state, struct error *e)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int64_t deadline = now_ms() + START_MS;
	int err;

	while (!(err = state_read(name, state, e)) && state->status == VR_CREATED && !state->init.pid && now_ms() < deadline) {
		state_release(state);
		nanosleep(&pause, NULL);
	}
	return err;
}

static bool has_cgroup(const char *name)
{
	struct error ignored = { 0 };
	struct cgroup_set *set;

	if (cgroups_open(name, &set, &ignored) < 0)
		return false;
	cgroups_close(set);
	return true;
}

/* What has no directory here isn't ended, for it may be another run directory's; but who removed the directory is told how to. */
static int refuse_unknown(struct target *t, const struct error *e)
{
	struct error whose = { 0 };

	if (!has_cgroup(t->name))
		return report(t, e);
	refuse(&whose, "no virtual router named \"%s\" in this run directory, but the control group \"europa/%s\": it is another "
		       "EUROPA_RUN_DIR's, or its directory was removed; TERM to its supervisor, the parent of the europa-init in that group, "
		       "ends it", t->name, t->name);
	return report(t, &whose);
}

/* First pass over all targets: signals, so that their graces run at the same time. */
static void begin(struct target *t, const struct request *r)
{
	struct error e = { 0 };
	int err = read_started(t->name, &t->state, &e);

	if (err == -ENOENT) {
		struct error none = { 0 };
		auto_close int lock = state_lock(t->name, &none);

		/* A directory without a state is what a killed europa-run left. */
		if (lock == -ENOENT)
			refuse_unknown(t, &e);
		else if (lock < 0)
			report(t, &none);
		if (lock < 0)
			return;
	}
	if (err && !ends_a_vr(r->signal)) {
		report(t, &e);
		return;
	}
	if (err) {
		t->done = true;
		forget_unreadable(t);
		return;
	}
	if (!state_is_live(&t->state)) {
		if (ends_a_vr(r->signal))
			return;
		refuse(&e, "virtual router \"%s\" doesn't run", t->name);
		report(t, &e);
		return;
	}
	t->netns = open_netns(t->state.supervisor.pid);
	t->supervisor = process_open(&t->state.supervisor);
	if (ends_a_vr(r->signal))
		mark_stopping(t);
	if (r->signal != SIGKILL) {
		if (t->state.status == VR_PAUSED && ends_a_vr(r->signal))
			kill_group(&t->state, true, &e);
		err = send_signal(t->state.init.pid ? &t->state.init : &t->state.supervisor, r->signal);
		if (err && err != -ESRCH && !ends_a_vr(r->signal)) {
			fail(&e, -err, "cannot send signal %d to \"%s\"", r->signal, t->name);
			report(t, &e);
		}
	}
}

/* Second pass: until nothing is left, whatever it takes. */
static void finish(struct target *t, const struct request *r, int64_t deadline)
{
	struct error e = { 0 };

	if (t->supervisor >= 0 && (r->signal == SIGKILL || !wait_gone(t->supervisor, deadline))) {
		kill_group(&t->state, false, &e);
		send_signal(&t->state.init, SIGKILL);
		if (!wait_gone(t->supervisor, now_ms() + TEARDOWN_MS)) {
			send_signal(&t->state.supervisor, SIGKILL);
			wait_gone(t->supervisor, now_ms() + TEARDOWN_MS);
		}
	}
	wait_for_devices(t);
	forget(t);
}

/* Named twice, it is ended once, and told of once. */
static void take_name(struct request *r, char **argv, const char *name)
{
	for (int i = 1; i <= r->names; i++)
		if (strcmp(argv[i], name) == 0)
			return;
	argv[1 + r->names++] = (char *)name;
}

static int parse(struct request *r, int argc, char **argv, struct error *e)
{
	struct arguments a = ARGUMENTS(argc, argv, kill_options);
	int key;

	while ((key = arguments_next(&a, e)) > 0)
		switch (key) {
		case 's':
			if (!quantity_signal(a.value, &r->signal))
				return arguments_expected(&a, e, "a signal, as in 15, TERM or SIGTERM");
			break;
		case 't':
			if (!quantity_number(a.value, 0, 86400, &r->grace_s))
				return arguments_expected(&a, e, "seconds from 0 to 86400");
			break;
		case 'a':
			r->all = true;
			break;
		case ARGUMENT_OPERAND:
			take_name(r, argv, a.value);
			break;
		}
	if (key < 0)
		return key;
	if (r->all && r->names)
		return refuse(e, "--all: expected no names beside it");
	if (!r->all && !r->names)
		return refuse(e, "expected the name of a virtual router, or --all (europa-ps -a lists them)");
	return 0;
}

static int kill_all(char **names, int n, const struct request *r)
{
	int64_t deadline = now_ms() + (int64_t)r->grace_s * 1000;
	auto_free struct target *target = calloc((size_t)n + 1, sizeof *target);
	int failed = 0;

	if (!target)
		return 1;
	for (int i = 0; i < n; i++) {
		target[i].name = names[i];
		target[i].supervisor = target[i].netns = -1;
		begin(&target[i], r);
	}
	for (int i = 0; i < n; i++) {
		if (target[i].done)
			;
		else if (ends_a_vr(r->signal))
			finish(&target[i], r, deadline);
		else
			puts(names[i]);
		failed |= target[i].failed;
		state_release(&target[i].state);
		close(target[i].supervisor);
		close(target[i].netns);
	}
	return failed;
}

int cmd_kill(int argc, char **argv)
{
	struct request r = { .signal = SIGTERM, .grace_s = DEFAULT_GRACE_S };
	struct error e = { 0 };
	char **names = argv + 1;
	int n, status;

	if (parse(&r, argc, argv, &e) < 0)
		return command_failed("kill", &e, 1);
	n = r.names;
	if (r.all) {
		if (state_list(&names, &e) < 0)
			return command_failed("kill", &e, 1);
		for (n = 0; names[n]; n++)
			;
	}
	status = kill_all(names, n, &r);
	if (r.all) {
		while (n)
			free(names[--n]);
		free(names);
	}
	return status;
}

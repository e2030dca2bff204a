/* SPDX-License-Identifier: MIT */
/* The supervisor's half of a VR's life. namespace.c has its process's half. */
#include "runtime/container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/checkpoint/restored.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/fault.h"
#include "runtime/handshake.h"
#include "runtime/namespace.h"
#include "runtime/options.h"

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static int keep_string(char **where, const char *text, struct error *e)
{
	*where = strdup(text);
	return *where ? 0 : fail(e, ENOMEM, "the state of the virtual router");
}

/* ---- name and state ---- */

static char *join_args(char *const *args)
{
	char *joined = NULL;
	size_t length;
	FILE *out = open_memstream(&joined, &length);

	if (!out)
		return NULL;
	for (size_t i = 0; args && args[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", args[i]);
	if (fclose(out)) {
		free(joined);
		return NULL;
	}
	return joined;
}

static int describe(struct container *c, struct error *e)
{
	const struct vr_spec *spec = c->spec;
	struct vr_state *state = &c->state;
	int err = 0;

	strcpy(state->name, spec->name);
	state->status = VR_CREATED;
	state->created_ns = now_ns();
	state->rm = spec->rm;
	state->which_switch = spec->which_switch;
	state->limits = spec->limits;
	state->limits.cpuset = NULL;
	state->control_fd = state->pool_fd = -1;
	state->vnics = spec->vnics;
	if (process_identify(getpid(), &state->supervisor))
		return fail(e, errno, "the supervisor's start time");
	state->command = join_args(spec->args);
	if (!state->command || asprintf(&state->cgroup, "europa/%s", spec->name) < 0)
		return fail(e, ENOMEM, "the state of the virtual router");
	if (spec->limits.cpuset)
		err = keep_string(&state->limits.cpuset, spec->limits.cpuset, e);
	if (!err && spec->image)
		err = keep_string(&state->image, spec->image, e);
	return err || !spec->bundle ? err : keep_string(&state->bundle, spec->bundle, e);
}

static int claim_name(struct container *c, struct error *e)
{
	char stem[VR_NAME_MAX];

	if (c->spec->name[0]) {
		c->lock = state_claim(c->spec->name, e);
	} else {
		options_name_stem(c->spec->image, stem);
		c->lock = state_claim_numbered(stem, c->spec->name, e);
	}
	return c->lock < 0 ? c->lock : 0;
}

/* The last thing: what is known about the VR from here on. */
static void leave_name(struct container *c)
{
	struct error ignored = { 0 };

	if (c->state.started_ns && !c->spec->rm) {
		c->state.status = VR_EXITED;
		c->state.exit_code = c->exit_status;
		c->state.finished_ns = now_ns();
		c->state.init = (struct process_id){ 0 };
		c->state.control_fd = c->state.pool_fd = -1;
		state_write(&c->state, &ignored);
	} else {
		state_remove(c->spec->name, &ignored);
	}
	close_fd(&c->lock);
	state_release(&c->state);
}

static int write_first_state(struct container *c, struct error *e)
{
	int err = describe(c, e);

	if (!err)
		err = state_claim_uids(c->spec->name, &c->state.uid_base, e);
	if (!err)
		err = state_write_spec(c->spec, e);
	if (!err && c->restored)
		err = restored_config(c->restored, c->spec->name, e);
	if (!err)
		err = state_write(&c->state, e);
	/* From here on it can be swept: whoever has waited for the name may look. */
	if (!err)
		close_fd(&c->lock);
	return err;
}

/* ---- log ---- */

static int log_path(const struct container *c, char path[PATH_MAX], struct error *e)
{
	char run[PATH_MAX];
	int n, err;

	if (c->spec->log_dir) {
		n = snprintf(path, PATH_MAX, "%s/%s.log", c->spec->log_dir, c->spec->name);
	} else {
		err = state_run_dir(run, sizeof run, e);
		if (err)
			return err;
		n = snprintf(path, PATH_MAX, "%s/%s/log", run, c->spec->name);
	}
	return n < PATH_MAX ? 0 : fail(e, ENAMETOOLONG, "the log of \"%s\"", c->spec->name);
}

static int open_log(struct container *c, struct error *e)
{
	char path[PATH_MAX];
	int ends[2], err;

	if (!c->spec->detach)
		return 0;
	err = log_path(c, path, e);
	if (!err)
		err = logfile_open(&c->log, path, e);
	if (!err)
		err = keep_string(&c->state.log, path, e);
	if (err)
		return err;
	if (pipe2(ends, O_CLOEXEC))
		return fail(e, errno, "the log's pipe");
	c->log_read = ends[0];
	c->log_write = ends[1];
	return fcntl(c->log_read, F_SETFL, O_NONBLOCK) ? fail(e, errno, "the log's pipe") : 0;
}

/* Kept with the state, and gone with it. */
static void close_log(struct container *c)
{
	close_fd(&c->log_read);
	close_fd(&c->log_write);
	if (!c->state.started_ns || (c->spec->rm && !(c->checkpoint.committed && c->spec->log_dir)))
		logfile_remove(&c->log);
	else
		logfile_close(&c->log);
}

/* ---- checkpoint and restore ---- */

static int open_supervisor(struct container *c, struct error *e)
{
	return serve_open(&c->checkpoint, c->spec->name, e);
}

/* Taken from the loop when the VR is to end by it: nobody keeps what is in the checkpoint. */
static void close_supervisor(struct container *c)
{
	serve_close(&c->checkpoint, &c->backend);
}

static int claim_packets(struct container *c, struct error *e)
{
	return c->restored ? restored_claim(c->restored, e) : 0;
}

static void unclaim_packets(struct container *c)
{
	if (c->restored)
		restored_unclaim(c->restored);
}

static int make_network(struct container *c, struct error *e)
{
	return c->restored ? restored_network(c->restored, &c->state, &c->region, e) : 0;
}

static int resume_packets(struct container *c, struct error *e)
{
	return c->restored ? restored_resume(c->restored, &c->region, e) : 0;
}

static int restore_process(struct container *c, struct error *e)
{
	return c->restored ? restored_process(c->restored, &c->state, &c->region, c->pid, c->cgroup, e) : 0;
}

/* Only a data plane that has taken over what it was handed is a restored one. */
static int await_state(struct container *c, struct error *e)
{
	return c->restored ? restored_await(c->restored, &c->region, c->pidfd, e) : 0;
}

/* ---- region and switch ---- */

static int make_region(struct container *c, struct error *e)
{
	int err;

	if (!c->spec->vnics)
		return 0;
	err = backend_choose(c->spec->which_switch, &c->state.which_switch, e);
	if (!err)
		err = region_create(&c->region, &c->spec->geometry, c->spec->name, e);
	if (err)
		return err;
	c->has_region = true;
	if (c->restored)
		err = restored_lay(c->restored, &c->region, c->spec->name, e);
	/* Last: a header that was saved says what the quota was then. */
	if (!err)
		err = region_tell_quota(c->region.control, c->spec->limits.cpu_permille, e);
	c->state.control_fd = c->region.control;
	c->state.pool_fd = c->region.pool;
	return err;
}

static void drop_region(struct container *c)
{
	if (c->has_region)
		region_close(&c->region);
	c->has_region = false;
}

static int register_region(struct container *c, struct error *e)
{
	int err;

	if (!c->has_region)
		return 0;
	err = backend_register(&c->backend, c->state.which_switch, &c->region, c->restored != NULL, c->spec->name, c->pid, e);
	c->registered = !err;
	return err;
}

static void unregister(struct container *c)
{
	/* Whoever made a checkpoint wants to know what it has cost. */
	if (c->registered && c->checkpoint.committed)
		backend_end(&c->backend);
	else if (c->registered)
		backend_close(&c->backend);
	c->registered = false;
}

/* As it was typed; NULL: the vNIC has a device of its own. */
static char *describe_link(const struct vr_vnic *vnic)
{
	const char *target = vnic->target ? vnic->target : "", *rule = vnic->rule ? vnic->rule : "";
	char *text = NULL;
	int length;

	switch (vnic->kind) {
	case EUROPA_PORT_DEVICE:
	case EUROPA_PORT_XDP:
		return NULL;
	case EUROPA_PORT_NONE:
		return strdup("none");
	case EUROPA_PORT_GENERATOR:
		length = asprintf(&text, "generator%s%s", *target ? ":" : "", target);
		break;
	default:
		length = asprintf(&text, "%s%s%s", target, *rule ? "," : "", rule);
	}
	return length < 0 ? NULL : text;
}

static int attach_vnics(struct container *c, struct error *e)
{
	for (unsigned n = 0; n < c->spec->vnics; n++) {
		struct vr_vnic *vnic = &c->spec->vnic[n];
		char device[16];
		int err;

		/* From the next switch as it was called before: who had the name that this one had to do without may have gone. */
		memcpy(device, c->state.vnic[n].device, sizeof device);
		err = backend_attach(&c->backend, n, vnic, device, e);
		if (err)
			return err;
		memcpy(c->state.vnic[n].device, device, sizeof device);
		memcpy(c->state.vnic[n].mac, vnic->mac, sizeof vnic->mac);
		c->state.vnic[n].mtu = vnic->mtu;
		if (!c->state.vnic[n].link)
			c->state.vnic[n].link = describe_link(vnic);
	}
	return 0;
}

int container_adopt(struct container *c, struct error *e)
{
	int err = backend_adopt(&c->backend, &c->region, c->spec->name, e);

	return err ? err : attach_vnics(c, e);
}

/* ---- the process ---- */

static int gather_root(struct container *c, struct error *e)
{
	return rootfs_gather(&c->rootfs, c->spec, e);
}

/* Called early as well, once the VR has it. */
static void release_root(struct container *c)
{
	rootfs_release(&c->rootfs);
}

static int copy_init(struct container *c, struct error *e)
{
	c->init_image = init_image(e);
	return c->init_image < 0 ? c->init_image : 0;
}

static void drop_init(struct container *c)
{
	close_fd(&c->init_image);
}

/*
 * Where a process is born in its group (v2), it makes its root in there as well. That takes more than the quota of a
 * period, often, so the quota waits until it is made; on v1 it enters late instead.
 */
static int make_cgroup(struct container *c, struct error *e)
{
	struct vr_limits limits = c->spec->limits;
	bool is_v2 = strcmp(cgroups_layout(), "v2") == 0;
	int err;

	if (is_v2)
		limits.cpu_permille = limits.period_us = limits.burst_us = 0;
	err = cgroups_create(c->spec->name, &limits, &c->cgroup, e);
	c->quota_waits = !err && is_v2 && c->spec->limits.cpu_permille;
	return err;
}

static int set_quota(struct container *c, struct error *e)
{
	struct vr_limits quota = {
		.cpu_permille = c->spec->limits.cpu_permille,
		.period_us = c->spec->limits.period_us,
		.burst_us = c->spec->limits.burst_us,
	};

	return cgroups_update(c->cgroup, &quota, e);
}

static void remove_cgroup(struct container *c)
{
	struct error busy = { 0 }, ignored = { 0 };

	if (!c->cgroup)
		return;
	/*
	 * Process 1 is dead and all others with it; only what has escaped from its pid namespace into the group is
	 * left.
	 */
	if (cgroups_destroy(c->cgroup, &busy) && !cgroups_kill(c->cgroup, &ignored))
		cgroups_destroy(c->cgroup, &ignored);
	cgroups_close(c->cgroup);
	c->cgroup = NULL;
}

static int fill_newborn(const struct container *c, struct newborn *n, struct error *e)
{
	int null;

	*n = (struct newborn){
		.rootfs = &c->rootfs,
		.hostname = c->spec->hostname ? c->spec->hostname : c->spec->name,
		.says_built = c->quota_waits,
		.loopback = c->spec->wide_seccomp,
		.init = {
			.image = -1,
			.handshake = c->handshake[1],
			.stdio = { -1, -1, -1 },
			.argv = init_argv(c->spec->args),
			.envp = init_envp(c->spec->env, c->has_region),
		},
	};
	if (!n->init.argv || !n->init.envp)
		return fail(e, ENOMEM, "the program's arguments");
	if (c->spec->detach) {
		null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (null < 0)
			return fail(e, errno, "/dev/null");
		n->init.stdio[0] = null;
		n->init.stdio[1] = n->init.stdio[2] = c->log_write;
	}
	if (!c->has_region)
		return 0;
	n->init.region_count = REGION_FDS;
	return region_for_vr(&c->region, n->init.region, e);
}

/* What only the child needed. */
static void drop_newborn(struct newborn *n)
{
	if (n->init.stdio[0] >= 0)
		close(n->init.stdio[0]);
	for (unsigned i = 0; i < n->init.region_count; i++)
		close(n->init.region[i]);
	free(n->init.argv);
	free(n->init.envp);
}

static int spawn(struct container *c, struct error *e)
{
	int cgroup_fd = cgroups_clone_fd(c->cgroup);
	struct newborn newborn;
	int err = rlimits_allow(&c->spec->rlimits, e) ?: init_handshake(c->handshake, e);

	if (err)
		return err;
	err = fill_newborn(c, &newborn, e);
	if (err)
		newborn.init.region_count = 0;
	if (cgroup_fd < 0)
		newborn.cgroup = c->cgroup;
	c->pid = err ? err : namespace_clone(NAMESPACE_FLAGS, cgroup_fd, &c->pidfd);
	/* Without clone3() nobody is born in a group. */
	if (c->pid == -ENOSYS && cgroup_fd >= 0) {
		newborn.cgroup = c->cgroup;
		c->pid = namespace_clone(NAMESPACE_FLAGS, -1, &c->pidfd);
	}
	if (c->pid == 0) {
		/* With the supervisor's end open here too, its death would go unnoticed. */
		close(c->handshake[0]);
		namespace_begin(&newborn);
	}
	drop_newborn(&newborn);
	close_fd(&c->handshake[1]);
	close_fd(&c->log_write);
	if (c->pid > 0)
		return 0;
	if (!err)
		err = fail(e, -c->pid, "can't make the virtual router's namespaces");
	c->pid = 0;
	return err;
}

int container_reap(struct container *c)
{
	siginfo_t info = { 0 };

	while (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
	c->pid = 0;
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

static void kill_process(struct container *c)
{
	if (c->pid > 0) {
		if (syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0) && errno == ENOSYS)
			kill(c->pid, SIGKILL);          /* not reaped: the number is still its own */
		container_reap(c);
	}
	close_fd(&c->pidfd);
	close_fd(&c->handshake[0]);
}

/* Through a directory that is seen to be a process's in a real procfs, whatever is mounted at /proc. */
static int open_process(pid_t pid, struct error *e)
{
	char path[32];
	struct statfs fs;
	auto_close int fd = -1;

	snprintf(path, sizeof path, "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs))
		return fail(e, errno, "%s", path);
	if (fs.f_type != PROC_SUPER_MAGIC)
		return refuse(e, "/proc is not a proc file system: mount it there");
	return take_fd(&fd);
}

static int write_map(int process, const char *file, uint32_t base, struct error *e)
{
	auto_close int fd = openat(process, file, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	char map[40];
	int length = snprintf(map, sizeof map, "0 %u 65536\n", base);

	if (fd < 0 || write(fd, map, (size_t)length) != length)
		return fail(e, errno, "can't write the VR's %s", file);
	return 0;
}

static int map_ids(struct container *c, struct error *e)
{
	auto_close int process = open_process(c->pid, e);
	int err = process < 0 ? process : write_map(process, "uid_map", c->state.uid_base, e);

	return err ? err : write_map(process, "gid_map", c->state.uid_base, e);
}

/* Its end of the line is closed: with all read that was sent to it, or not. */
static bool has_hung_up(int err)
{
	return err == -EPIPE || err == -ECONNRESET;
}

/* Where the process has failed already, what it says about it is heard by whoever waits for it. */
static int release_process(struct container *c, struct error *e)
{
	int err = init_send_go(c->handshake[0], c->init_image, e);

	if (!err && c->quota_waits) {
		err = init_await(c->handshake[0], HANDSHAKE_BUILT, NULL, e);
		if (!err)
			err = set_quota(c, e);
		if (err)
			return err;
	}
	if (!err)
		err = init_send_plan(c->handshake[0], c->spec, false, c->restored ? restored_pid(c->restored) : 0, e);
	if (!has_hung_up(err))
		return err;
	*e = (struct error){ 0 };
	return 0;
}

static int await_exec(struct container *c, struct error *e)
{
	return init_await_exec(c->handshake[0], &c->exec_failed, e);
}

/* ---- what others see ---- */

/* What is renamed over is gone: not a device, nor a link such as /dev/stdout. */
static int check_pid_file(const char *path, struct error *e)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return refuse(e, "pid file \"%s\": expected a regular file, or none that is there", path);
	return 0;
}

static int write_pid_file(struct container *c, struct error *e)
{
	char temporary[PATH_MAX];
	auto_close int fd = -1;
	int wrong;

	if (!c->spec->pid_file)
		return 0;
	wrong = check_pid_file(c->spec->pid_file, e);
	if (wrong)
		return wrong;
	if (snprintf(temporary, sizeof temporary, "%s.%d", c->spec->pid_file, getpid()) >= (int)sizeof temporary)
		return fail(e, ENAMETOOLONG, "pid file \"%s\"", c->spec->pid_file);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail(e, errno, "pid file \"%s\"", c->spec->pid_file);
	wrong = dprintf(fd, "%d\n", c->pid) < 0 ? errno : rename(temporary, c->spec->pid_file) ? errno : 0;
	if (wrong) {
		unlink(temporary);
		return fail(e, wrong, "pid file \"%s\"", c->spec->pid_file);
	}
	c->pid_file_written = true;
	return 0;
}

static void remove_pid_file(struct container *c)
{
	if (c->pid_file_written)
		unlink(c->spec->pid_file);
	c->pid_file_written = false;
}

static int announce(struct container *c, struct error *e)
{
	c->state.started_ns = now_ns();
	c->state.status = VR_RUNNING;
	/* Where it has ended already, its status waits for the supervisor. */
	if (process_identify(c->pid, &c->state.init))
		c->state.init = (struct process_id){ 0 };
	return state_write(&c->state, e);
}

/* ---- the ladder ---- */

static const struct step {
	const char *name;
	int (*take)(struct container *c, struct error *e);
	void (*undo)(struct container *c);      /* also where take() failed half-way */
} ladder[] = {
	{ "claim", claim_name, leave_name },
	{ "state", write_first_state, NULL },
	{ "log", open_log, close_log },
	{ "supervisor", open_supervisor, close_supervisor },
	{ "packets", claim_packets, unclaim_packets },
	{ "region", make_region, drop_region },
	{ "gather", gather_root, release_root },
	{ "cgroup", make_cgroup, remove_cgroup },
	{ "clone", spawn, kill_process },
	/* From here to "release" the process makes its network namespace. */
	{ "map-ids", map_ids, NULL },
	{ "init-image", copy_init, drop_init },
	{ "register", register_region, unregister },
	{ "attach", attach_vnics, NULL },
	{ "devices", make_network, NULL },
	{ "resume", resume_packets, NULL },
	{ "release", release_process, NULL },
	{ "await-exec", await_exec, NULL },
	{ "process", restore_process, NULL },
	{ "await-state", await_state, NULL },
	{ "pid-file", write_pid_file, remove_pid_file },
	{ "announce", announce, NULL },
};
#define STEPS (sizeof ladder / sizeof ladder[0])

static void climb_down(struct container *c)
{
	while (c->steps > 0) {
		const struct step *step = &ladder[--c->steps];

		if (step->undo)
			step->undo(c);
	}
}

static int climb(struct container *c, struct error *e)
{
	while (c->steps < STEPS) {
		const struct step *step = &ladder[c->steps];
		int err = fault_inject(step->name, e);

		if (err)
			return err;
		err = step->take(c, e);
		/* Whoever has no name has nothing, not even somebody else's. */
		if (err && c->steps == 0)
			return err;
		c->steps++;
		if (err)
			return err;
	}
	return 0;
}

int container_start(struct container *c, struct vr_spec *spec, struct restored *restored, struct error *e)
{
	int err;

	*c = (struct container){
		.spec = spec, .restored = restored, .checkpoint = CHECKPOINT_SERVER_NONE,
		.lock = -1, .log = LOGFILE_NONE, .log_read = -1, .log_write = -1, .backend = { .fd = -1, .netns = -1 },
		.init_image = -1, .handshake = { -1, -1 }, .pidfd = -1,
	};
	err = climb(c, e);
	if (err) {
		c->state.started_ns = 0;        /* it never was */
		climb_down(c);
		return err;
	}
	release_root(c);
	drop_init(c);
	if (restored)
		restored_drop(restored);
	return 0;
}

void container_end(struct container *c)
{
	climb_down(c);
}

bool container_list_steps(void)
{
#ifdef EUROPA_FAULTS
	static const char *const of_init[] = {
#define NAME(name) name,
		INIT_STEPS(NAME)
#undef NAME
	};

	if (!fault_wanted("list"))
		return false;
	for (size_t i = 0; i < STEPS; i++)
		puts(ladder[i].name);
	namespace_list_steps();
	for (size_t i = 0; i < sizeof of_init / sizeof of_init[0]; i++)
		puts(of_init[i]);
	return true;
#else
	return false;
#endif
}

// SPDX-License-Identifier: MIT
/*
 * cgroups/ against the control groups of the machine that it runs on, as root. Where v1 and v2 are mounted side by side, what
 * needs no controller runs twice: on what is there, and on the v2 hierarchy alone.
 *
 * System calls are made to fail by the linker's --wrap, see fault(); build.mk lists the wrapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "cgroups/internal.h"
#include "runtime/error.h"

#include <cmocka.h>        /* last: it has a macro named fail */

#define PATIENCE_MS 20000

/* ---- faults: the nth of the wrapped calls fails ---- */

static unsigned fault_at, fault_calls;     /* 0: none */
static int clock_runs;                     /* makes a minute pass at every look at the clock */

static bool fault(void)
{
	return fault_at && ++fault_calls == fault_at;
}

static void faults_begin(unsigned at)
{
	fault_calls = 0;
	fault_at = at;
}

/* true: the call that was to fail came. */
static bool faults_end(void)
{
	bool came = fault_calls >= fault_at;

	fault_at = 0;
	return came;
}

int __real_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	if (fault()) {
		errno = EIO;
		return -1;
	}
	return __real_mkdirat(dir, path, mode);
}

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
	if (fault()) {
		errno = EIO;
		return -1;
	}
	return __real_openat(dir, path, flags, 0);
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (fault()) {
		errno = EIO;
		return -1;
	}
	return __real_write(fd, data, size);
}

struct cgroup;
int __real_cgroup_modify_cgroup(struct cgroup *cgroup);
int __wrap_cgroup_modify_cgroup(struct cgroup *cgroup);
int __wrap_cgroup_modify_cgroup(struct cgroup *cgroup)
{
	return fault() ? 50011 /* ECGINVAL */ : __real_cgroup_modify_cgroup(cgroup);
}

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int rc = __real_clock_gettime(clock, now);

	if (clock_runs)
		now->tv_sec += 60 * clock_runs++;
	return rc;
}

/* ---- a VR's group and who lives in it ---- */

struct fixture {
	char name[VR_NAME_MAX];
	struct cgroup_set *set;
	struct error error;
	pid_t child[8];
	unsigned nchildren;
};

static unsigned test_number;
static unsigned versions = LAYOUT_V1 | LAYOUT_V2;      /* that this round of tests looks at */

static int begin(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	snprintf(f->name, sizeof f->name, "eucg-%d-%u", (int)getpid(), ++test_number);
	*state = f;
	return 0;
}

static void reap(struct fixture *f)
{
	for (unsigned i = 0; i < f->nchildren; i++) {
		kill(f->child[i], SIGKILL);
		waitpid(f->child[i], NULL, 0);
	}
	f->nchildren = 0;
}

/* Also after a test that failed half-way. */
static int end(void **state)
{
	struct fixture *f = *state;
	struct cgroup_set *left;
	struct error e = { 0 };

	fault_at = 0;
	clock_runs = 0;
	cgroups_close(f->set);
	layout_reload(versions);
	if (cgroups_open(f->name, &left, &e) == 0) {
		cgroups_kill(left, &e);
		reap(f);
		cgroups_destroy(left, &e);
		cgroups_close(left);
	}
	reap(f);
	free(f);
	return 0;
}

#define assert_ok(f, call) do { \
	int rc_ = (call); \
	if (rc_) \
		fail_msg("%s: %d, \"%s\"", #call, rc_, (f)->error.text); \
} while (0)

/* Fails with this code and a text that has this in it; ready for the next. */
#define assert_fails(f, code_, words, call) do { \
	(f)->error = (struct error) { 0 }; \
	int rc_ = (call); \
	if (rc_ != -(code_) || (f)->error.code != (code_) || !strstr((f)->error.text, words)) \
		fail_msg("%s: %d, \"%s\"; expected %d and \"%s\"", #call, rc_, (f)->error.text, -(code_), words); \
	(f)->error = (struct error) { 0 }; \
} while (0)

static void require(struct fixture *f, unsigned controllers)
{
	struct vr_limits limits = {
		.cpu_permille = controllers & BIT(CPU) ? 500 : 0,
		.cpuset = controllers & BIT(CPUSET) ? "0" : NULL,
		.memory = controllers & BIT(MEMORY) ? 1 << 20 : 0,
		.pids = controllers & BIT(PIDS) ? 1 : 0,
	};
	struct error e = { 0 };

	if (limits_available(&limits, &e) < 0) {
		print_message("skipped: %s\n", e.text);
		skip();
	}
}

static void create(struct fixture *f, struct vr_limits limits)
{
	assert_ok(f, cgroups_create(f->name, &limits, &f->set, &f->error));
	assert_non_null(f->set);
}

/* Runs a function in the group, in a child of its own that has entered when this returns. */
static pid_t spawn(struct fixture *f, void (*function)(void *arg), void *arg)
{
	int entered[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(entered), 0);
	pid = fork();
	if (pid == 0) {
		struct error e = { 0 };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (cgroups_enter(f->set, 0, &e) < 0 || write(entered[1], "y", 1) != 1) {
			fprintf(stderr, "%s\n", e.text);
			_exit(1);
		}
		close(entered[0]);
		close(entered[1]);
		function(arg);
		_exit(0);
	}
	assert_true(pid > 0);
	f->child[f->nchildren++] = pid;
	close(entered[1]);
	assert_int_equal(read(entered[0], &byte, 1), 1);
	close(entered[0]);
	return pid;
}

static void sleep_for_ever(void *arg)
{
	for (;;)
		pause();
}

static void count_for_ever(void *arg)
{
	volatile uint64_t *counter = arg;

	for (;;)
		(*counter)++;
}

static volatile uint64_t *shared_counter(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define eventually(condition) do { \
	struct patience p_; \
	patience_start(&p_, PATIENCE_MS); \
	while (!(condition)) \
		if (!patience_wait(&p_)) \
			fail_msg("never came true: %s", #condition); \
} while (0)

/* ---- what the kernel says ---- */

static bool exists_anywhere(const char *name)
{
	const struct layout *layout = layout_get();
	char path[100];

	snprintf(path, sizeof path, PARENT "/%s", name);
	for (unsigned i = 0; i < layout->n; i++)
		if (faccessat(layout->hierarchy[i].fd, path, F_OK, 0) == 0)
			return true;
	return false;
}

static const char *file_of(struct fixture *f, enum controller c, const char *v1, const char *v2)
{
	static char text[VALUE_MAX];
	struct group *group = group_of(f->set, c);
	bool is_v1;

	assert_non_null(group);
	is_v1 = group->hierarchy->version->layout == LAYOUT_V1;
	if (file_read(group->dir, is_v1 ? v1 : v2, text, sizeof text) < 0)
		fail_msg("can't read %s", is_v1 ? v1 : v2);
	return text;
}

static void assert_quota(struct fixture *f, long quota, long period)
{
	char expected[64];

	if (group_of(f->set, CPU)->hierarchy->version->layout == LAYOUT_V1) {
		assert_int_equal(atol(file_of(f, CPU, "cpu.cfs_quota_us", NULL)), quota);
		assert_int_equal(atol(file_of(f, CPU, "cpu.cfs_period_us", NULL)), period);
	} else {
		snprintf(expected, sizeof expected, quota < 0 ? "max %ld" : "%2$ld %1$ld", period, quota);
		assert_string_equal(file_of(f, CPU, NULL, "cpu.max"), expected);
	}
}

/* Is it in every group of the set, and only once? */
static bool is_member_everywhere(struct fixture *f, pid_t pid)
{
	bool everywhere = true;

	for (unsigned i = 0; i < f->set->n; i++) {
		struct members members;

		assert_int_equal(members_read(&f->set->group[i], &members), 0);
		everywhere = everywhere && members_have(&members, pid);
		members_release(&members);
	}
	return everywhere;
}

static size_t count_members(struct fixture *f)
{
	struct members members;
	size_t n;

	assert_int_equal(members_read(group_of_members(f->set), &members), 0);
	n = members.n;
	members_release(&members);
	return n;
}

/* ---- layout ---- */

static void layout_is_what_proc_mounts_says(void **state)
{
	char line[1024], type[64], options[512];
	bool v1 = false, v2 = false;
	FILE *mounts = fopen("/proc/mounts", "r");

	assert_non_null(mounts);
	while (fgets(line, sizeof line, mounts))
		if (sscanf(line, "%*s %*s %63s %511s", type, options) == 2) {
			v2 = v2 || !strcmp(type, "cgroup2");
			v1 = v1 || (!strcmp(type, "cgroup") && (strstr(options, "cpu") || strstr(options, "memory") ||
								strstr(options, "pids") || strstr(options, "freezer")));
		}
	fclose(mounts);
	assert_string_equal(cgroups_layout(), v1 && v2 ? "hybrid" : v1 ? "v1" : v2 ? "v2" : "none");
}

static void layout_takes_each_controller_from_one_place(void **state)
{
	const struct layout *layout = layout_get();
	unsigned seen = 0;

	for (unsigned i = 0; i < layout->n; i++) {
		assert_int_equal(layout->hierarchy[i].serves & seen, 0);
		assert_int_not_equal(layout->hierarchy[i].serves, 0);
		seen |= layout->hierarchy[i].serves;
	}
	assert_int_equal(seen & BIT(FREEZER), BIT(FREEZER));
}

/* ---- create ---- */

static void cpu_limits_land_in_the_kernel(void **state)
{
	static const struct {
		uint32_t permille, period, burst;
		long quota_us, period_us;
	} table[] = {
		{ 250,  0,      0,     2500,  10000 },
		{ 1500, 0,      0,     15000, 10000 },
		{ 250,  100000, 0,     25000, 100000 },
		{ 500,  20000,  5000,  10000, 20000 },
		{ 1000, 1000,   1000,  1000,  1000 },
		{ 50,   0,      0,     1000,  20000 },       /* the period grows until the quota is a millisecond */
		{ 3,    0,      0,     1000,  333334 },
		{ 1,    5000,   0,     1000,  1000000 },
	};
	struct fixture *f = *state;

	require(f, BIT(CPU));
	for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
		struct vr_limits now;

		create(f, (struct vr_limits) { .cpu_permille = table[i].permille, .period_us = table[i].period,
					       .burst_us = table[i].burst });
		assert_quota(f, table[i].quota_us, table[i].period_us);
		if (table[i].burst)
			assert_int_equal(atol(file_of(f, CPU, "cpu.cfs_burst_us", "cpu.max.burst")), table[i].burst);
		assert_ok(f, cgroups_limits(f->set, &now, &f->error));
		assert_int_equal(now.cpu_permille, table[i].permille);
		assert_int_equal(now.period_us, table[i].period_us);
		assert_int_equal(now.burst_us, table[i].burst);
		free(now.cpuset);
		assert_ok(f, cgroups_destroy(f->set, &f->error));
		cgroups_close(f->set);
		f->set = NULL;
	}
}

/* v1 and v2 count weights differently; a VR without one has what everybody has. */
static void a_weight_lands_in_the_kernel(void **state)
{
	static const struct {
		uint32_t weight, shares;
	} table[] = { { 0, 1024 }, { 1, 10 }, { 50, 512 }, { 250, 2560 }, { 10000, 102400 }, { UINT32_MAX, 1024 } };
	struct fixture *f = *state;

	require(f, BIT(CPU));
	create(f, (struct vr_limits) { .cpu_permille = 250 });
	for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
		bool usual = table[i].shares == 1024;
		struct vr_limits now;

		assert_ok(f, cgroups_update(f->set, &(struct vr_limits) { .cpu_weight = table[i].weight }, &f->error));
		assert_int_equal(atol(file_of(f, CPU, "cpu.shares", "cpu.weight")),
				 group_of(f->set, CPU)->hierarchy->version->layout == LAYOUT_V2 ? (usual ? 100 : table[i].weight) : table[i].shares);
		assert_ok(f, cgroups_limits(f->set, &now, &f->error));
		assert_int_equal(now.cpu_weight, usual ? 0 : table[i].weight);
		assert_int_equal(now.cpu_permille, 250);
		free(now.cpuset);
	}
	assert_fails(f, EINVAL, "cpu weight '10001': must be 1 to 10000",
		     cgroups_update(f->set, &(struct vr_limits) { .cpu_weight = 10001 }, &f->error));
}

/* v1 takes more than any weight is, and less. */
static void shares_set_by_hand_read_as_a_weight(void **state)
{
	static const struct {
		const char *shares;
		uint32_t weight;
	} table[] = { { "2", 1 }, { "262144", 10000 }, { "1024", 0 } };
	struct fixture *f = *state;

	require(f, BIT(CPU));
	create(f, (struct vr_limits) { .cpu_permille = 250 });
	if (group_of(f->set, CPU)->hierarchy->version->layout != LAYOUT_V1)
		skip();
	for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
		struct vr_limits now;

		assert_int_equal(file_write(group_of(f->set, CPU)->dir, "cpu.shares", table[i].shares), 0);
		assert_ok(f, cgroups_limits(f->set, &now, &f->error));
		assert_int_equal(now.cpu_weight, table[i].weight);
		free(now.cpuset);
	}
}

static void memory_pids_and_cpuset_land_in_the_kernel(void **state)
{
	struct fixture *f = *state;
	struct vr_limits now;

	require(f, BIT(MEMORY) | BIT(PIDS) | BIT(CPUSET));
	create(f, (struct vr_limits) { .memory = 64 << 20, .pids = 17, .cpuset = "0" });
	assert_int_equal(atol(file_of(f, MEMORY, "memory.limit_in_bytes", "memory.max")), 64 << 20);
	assert_int_equal(atol(file_of(f, PIDS, "pids.max", "pids.max")), 17);
	assert_string_equal(file_of(f, CPUSET, "cpuset.cpus", "cpuset.cpus"), "0");
	assert_ok(f, cgroups_limits(f->set, &now, &f->error));
	assert_int_equal(now.memory, 64 << 20);
	assert_int_equal(now.pids, 17);
	assert_string_equal(now.cpuset, "0");
	assert_int_equal(now.cpu_permille, 0);
	free(now.cpuset);
}

static void without_limits_there_is_still_a_group_to_count_and_to_freeze(void **state)
{
	struct fixture *f = *state;
	struct vr_limits now;

	create(f, (struct vr_limits) { 0 });
	assert_non_null(group_of(f->set, FREEZER));
	assert_non_null(group_of(f->set, CPUACCT));
	assert_ok(f, cgroups_limits(f->set, &now, &f->error));
	assert_int_equal(now.cpu_permille, 0);
	assert_int_equal(now.period_us, 0);
	assert_int_equal(now.memory, 0);
	assert_int_equal(now.pids, 0);
}

static void a_cpuset_binds_its_members(void **state)
{
	struct fixture *f = *state;
	cpu_set_t cpus;
	pid_t pid;

	require(f, BIT(CPUSET));
	create(f, (struct vr_limits) { .cpuset = "0" });
	pid = spawn(f, sleep_for_ever, NULL);
	assert_int_equal(sched_getaffinity(pid, sizeof cpus, &cpus), 0);
	assert_int_equal(CPU_COUNT(&cpus), 1);
	assert_true(CPU_ISSET(0, &cpus));
}

static void create_refuses_an_existing_group(void **state)
{
	struct fixture *f = *state;
	struct cgroup_set *second = NULL;

	create(f, (struct vr_limits) { 0 });
	assert_fails(f, EEXIST, f->name, cgroups_create(f->name, &(struct vr_limits) { 0 }, &second, &f->error));
	assert_null(second);
	for (unsigned i = 0; i < f->set->n; i++)
		assert_int_equal(faccessat(f->set->group[i].dir, "cgroup.procs", F_OK, 0), 0);
}

static void bad_names_are_refused(void **state)
{
	static const char *const names[] = {
		"", ".", "..", ".hidden", "../escape", "/etc", "a/b", "a/../b", "a b", "a\nb", "a%b", "ä", "a\\b",
		"0123456789012345678901234567890123456789012345678901234567890123",
	};
	struct fixture *f = *state;
	struct cgroup_set *set = NULL;

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		assert_fails(f, EINVAL, "name '", cgroups_create(names[i], &(struct vr_limits) { 0 }, &set, &f->error));
		assert_fails(f, EINVAL, "name '", cgroups_open(names[i], &set, &f->error));
	}
	assert_null(set);
	/* A file of the parent's is no group. */
	assert_fails(f, ENOENT, "tasks", cgroups_open("tasks", &set, &f->error));
	assert_fails(f, ENOENT, "cgroup.procs", cgroups_open("cgroup.procs", &set, &f->error));
}

static void impossible_limits_are_refused(void **state)
{
	static const struct {
		struct vr_limits limits;
		const char *words;
	} table[] = {
		{ { .cpu_permille = 250, .period_us = 999 }, "cpu period '999': must be 1000 to 1000000" },
		{ { .cpu_permille = 250, .period_us = 1000001 }, "cpu period '1000001'" },
		{ { .burst_us = 1000 }, "cpu burst '1000': needs a cpu limit" },
		{ { .cpu_permille = 250, .burst_us = 2501 }, "cpu burst '2501': must be at most the quota of a period, 2500" },
		{ { .cpuset = "" }, "cpuset ''" },
		{ { .cpuset = "zero" }, "cpuset 'zero': must be a list" },
		{ { .cpuset = "0\n1" }, "must be a list" },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
		assert_fails(f, EINVAL, table[i].words, cgroups_create(f->name, &table[i].limits, &f->set, &f->error));
	assert_false(exists_anywhere(f->name));
}

static void a_limit_that_the_kernel_refuses_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct vr_limits limits = { .cpu_permille = 250, .memory = 1 << 26, .pids = UINT64_C(1) << 40 };

	require(f, BIT(CPU) | BIT(MEMORY) | BIT(PIDS));
	assert_fails(f, EINVAL, "can't set pids.max to '1099511627776'", cgroups_create(f->name, &limits, &f->set, &f->error));
	assert_false(exists_anywhere(f->name));
}

static void a_cpuset_of_no_such_cpu_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct vr_limits limits = { .cpuset = "4000" };

	require(f, BIT(CPUSET));
	assert_true(cgroups_create(f->name, &limits, &f->set, &f->error) < 0);
	assert_non_null(strstr(f->error.text, "can't set cpuset.cpus to '4000'"));
	assert_false(exists_anywhere(f->name));
}

static void a_limit_without_a_controller_names_it(void **state)
{
	static const struct {
		struct vr_limits limits;
		const char *words;
	} table[] = {
		{ { .cpu_permille = 1 }, "can't limit cpu, this machine has no control group with the 'cpu' controller" },
		{ { .cpuset = "0" }, "can't limit the set of CPUs, this machine has no control group with the 'cpuset' controller" },
		{ { .memory = 1 << 20 }, "'memory'" },
		{ { .pids = 1 }, "'pids'" },
		{ { 0 }, "no control group file system is mounted" },
	};
	struct fixture *f = *state;

	layout_reload(0);
	assert_string_equal(cgroups_layout(), "none");
	for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
		assert_fails(f, ENOTSUP, table[i].words, cgroups_create(f->name, &table[i].limits, &f->set, &f->error));
	layout_reload(versions);
	assert_false(exists_anywhere(f->name));
}

/* Every single call fails once; then nothing may be left. */
static void a_create_that_fails_anywhere_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct vr_limits limits = { .cpu_permille = 250, .burst_us = 1000, .memory = 1 << 26, .pids = 10, .cpuset = "0" };
	struct error e = { 0 };
	unsigned n, failures = 0;

	if (limits_available(&limits, &e) < 0)
		limits = (struct vr_limits) { 0 };
	for (n = 1; n < 1000; n++) {
		int rc;

		faults_begin(n);
		f->error = (struct error) { 0 };
		rc = cgroups_create(f->name, &limits, &f->set, &f->error);
		if (!faults_end())
			break;
		if (rc == 0) {
			/* It could do without, as with a controller that nothing is limited by. */
			assert_ok(f, cgroups_destroy(f->set, &f->error));
			cgroups_close(f->set);
			f->set = NULL;
			continue;
		}
		failures++;
		assert_int_equal(rc, -EIO);
		assert_null(f->set);
		if (exists_anywhere(f->name))
			fail_msg("call %u failed (%s), and the group is still there", n, f->error.text);
	}
	assert_true(n < 1000);
	assert_true(failures >= (limits.pids ? 20u : 4u));
	assert_non_null(f->set);       /* the last round, without a fault */
}

/* Of groups that come and go, one's end takes the parent away while another one begins. */
static void creates_and_destroys_race_for_the_parent(void **state)
{
	enum { RACERS = 4, ROUNDS = 60 };
	pid_t racer[RACERS];

	for (int r = 0; r < RACERS; r++) {
		racer[r] = fork();
		if (racer[r] == 0) {
			char name[VR_NAME_MAX];

			snprintf(name, sizeof name, "eucg-race-%d", (int)getpid());
			for (int i = 0; i < ROUNDS; i++) {
				struct cgroup_set *set;
				struct error e = { 0 };

				if (cgroups_create(name, &(struct vr_limits) { 0 }, &set, &e) < 0 || cgroups_destroy(set, &e) < 0) {
					fprintf(stderr, "round %d: %s\n", i, e.text);
					_exit(1);
				}
				cgroups_close(set);
			}
			_exit(0);
		}
	}
	for (int r = 0; r < RACERS; r++) {
		int status;

		assert_int_equal(waitpid(racer[r], &status, 0), racer[r]);
		assert_int_equal(status, 0);
	}
}

/* ---- enter ---- */

static void open_finds_the_group_of_a_vr_that_runs(void **state)
{
	struct fixture *f = *state;
	struct cgroup_set *again;
	unsigned n;

	assert_fails(f, ENOENT, f->name, cgroups_open(f->name, &again, &f->error));
	create(f, (struct vr_limits) { 0 });
	n = f->set->n;
	cgroups_close(f->set);
	f->set = NULL;
	assert_ok(f, cgroups_open(f->name, &f->set, &f->error));
	assert_int_equal(f->set->n, n);
}

static void a_child_moves_itself_everywhere(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	create(f, (struct vr_limits) { 0 });
	pid = spawn(f, sleep_for_ever, NULL);
	assert_true(is_member_everywhere(f, pid));
	assert_int_equal(count_members(f), 1);
}

static void another_process_is_moved_everywhere(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();

	if (pid == 0)
		sleep_for_ever(NULL);
	f->child[f->nchildren++] = pid;
	create(f, (struct vr_limits) { 0 });
	assert_ok(f, cgroups_enter(f->set, pid, &f->error));
	assert_true(is_member_everywhere(f, pid));
}

/* A new user namespace has no right to any of the files by itself. */
static void a_child_can_enter_from_its_own_user_namespace(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid;

	create(f, (struct vr_limits) { 0 });
	pid = fork();
	if (pid == 0) {
		struct error e = { 0 };

		if (syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(77);
		_exit(cgroups_enter(f->set, 0, &e) < 0);
	}
	f->child[f->nchildren++] = pid;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	f->nchildren = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void *sleeping_thread(void *arg)
{
	sleep_for_ever(arg);
	return NULL;
}

static void a_process_with_threads_is_moved_as_a_whole(void **state)
{
	struct fixture *f = *state;
	int entered[2];
	char byte;
	pid_t pid;

	create(f, (struct vr_limits) { 0 });
	assert_int_equal(pipe(entered), 0);
	pid = fork();
	if (pid == 0) {
		pthread_t thread;
		struct error e = { 0 };

		pthread_create(&thread, NULL, sleeping_thread, NULL);
		if (cgroups_enter(f->set, 0, &e) == 0)
			assert_int_equal(write(entered[1], "y", 1), 1);
		sleep_for_ever(NULL);
	}
	f->child[f->nchildren++] = pid;
	close(entered[1]);
	assert_int_equal(read(entered[0], &byte, 1), 1);
	close(entered[0]);
	for (unsigned i = 0; i < f->set->n; i++) {
		char text[256];

		assert_int_equal(file_read(f->set->group[i].dir, "cgroup.threads", text, sizeof text) == 0 ||
				 file_read(f->set->group[i].dir, "tasks", text, sizeof text) == 0, 1);
		assert_non_null(strchr(text, '\n'));       /* two lines, two threads */
	}
}

static void a_clone_fd_is_given_on_v2_alone(void **state)
{
	struct fixture *f = *state;
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	pid_t pid;

	create(f, (struct vr_limits) { 0 });
	if (strcmp(cgroups_layout(), "v2")) {
		assert_int_equal(cgroups_clone_fd(f->set), -ENOTSUP);
		return;
	}
	args.cgroup = (uint64_t)cgroups_clone_fd(f->set);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0)
		sleep_for_ever(NULL);
	assert_true(pid > 0);
	f->child[f->nchildren++] = pid;
	assert_true(is_member_everywhere(f, pid));
}

/* ---- limits that change ---- */

static void a_spinner_stays_below_its_quota(void **state)
{
	struct fixture *f = *state;
	volatile uint64_t *counter = shared_counter();
	struct cgroup_stat before, after;
	double start, used, allowed;

	require(f, BIT(CPU));
	create(f, (struct vr_limits) { .cpu_permille = 250 });
	start = seconds();
	spawn(f, count_for_ever, (void *)counter);
	assert_ok(f, cgroups_stat(f->set, &before, &f->error));
	usleep(1000000);
	do {
		assert_ok(f, cgroups_stat(f->set, &after, &f->error));
	} while (!after.nr_throttled && seconds() - start < PATIENCE_MS / 1000);
	used = (double)(after.cpu_usec - before.cpu_usec) / 1e6;
	allowed = 0.25 * (seconds() - start);
	assert_true(after.nr_throttled > 0);
	assert_true(after.nr_periods >= after.nr_throttled);
	assert_true(after.throttled_usec > 0);
	assert_true(after.cpu_usec > before.cpu_usec);
	if (used > allowed * 1.1 + 0.02)
		fail_msg("used %.3f s of %.3f s", used, allowed);
	munmap((void *)counter, 4096);
}

static void statistics_count_memory_and_processes(void **state)
{
	struct fixture *f = *state;
	struct cgroup_stat st;

	require(f, BIT(MEMORY) | BIT(PIDS));
	create(f, (struct vr_limits) { 0 });
	spawn(f, sleep_for_ever, NULL);
	spawn(f, sleep_for_ever, NULL);
	assert_ok(f, cgroups_stat(f->set, &st, &f->error));
	assert_int_equal(st.pids, 2);
	assert_true(st.memory > 0);
	assert_true(st.memory_peak == 0 /* not before 5.19 on v2 */ || st.memory_peak >= st.memory / 2);
}

static void a_removed_group_has_no_statistics_and_no_limits(void **state)
{
	struct fixture *f = *state;
	struct cgroup_set *other;
	struct cgroup_stat st;
	struct vr_limits now;

	create(f, (struct vr_limits) { 0 });
	assert_ok(f, cgroups_open(f->name, &other, &f->error));
	assert_ok(f, cgroups_destroy(other, &f->error));
	cgroups_close(other);
	assert_fails(f, ENOENT, f->name, cgroups_stat(f->set, &st, &f->error));
	assert_fails(f, ENOENT, f->name, cgroups_limits(f->set, &now, &f->error));
	assert_fails(f, ENOENT, f->name, cgroups_update(f->set, &(struct vr_limits) { .pids = 5 }, &f->error));
	assert_false(exists_anywhere(f->name));
}

static void update_changes_what_is_given_and_nothing_else(void **state)
{
	struct fixture *f = *state;

	require(f, BIT(CPU) | BIT(MEMORY) | BIT(PIDS));
	create(f, (struct vr_limits) { .cpu_permille = 250, .burst_us = 1000, .memory = 64 << 20, .pids = 17 });

	assert_ok(f, cgroups_update(f->set, &(struct vr_limits) { .pids = 20 }, &f->error));
	assert_int_equal(atol(file_of(f, PIDS, "pids.max", "pids.max")), 20);
	assert_quota(f, 2500, 10000);
	assert_int_equal(atol(file_of(f, MEMORY, "memory.limit_in_bytes", "memory.max")), 64 << 20);

	assert_ok(f, cgroups_update(f->set, &(struct vr_limits) { .cpu_permille = 500 }, &f->error));
	assert_quota(f, 5000, 10000);
	assert_int_equal(atol(file_of(f, CPU, "cpu.cfs_burst_us", "cpu.max.burst")), 1000);

	/* The share stays where only the period changes. */
	assert_ok(f, cgroups_update(f->set, &(struct vr_limits) { .period_us = 50000 }, &f->error));
	assert_quota(f, 25000, 50000);

	assert_ok(f, cgroups_update(f->set, &(struct vr_limits) { .memory = 32 << 20 }, &f->error));
	assert_int_equal(atol(file_of(f, MEMORY, "memory.limit_in_bytes", "memory.max")), 32 << 20);
	assert_int_equal(atol(file_of(f, PIDS, "pids.max", "pids.max")), 20);
}

static void update_lifts_limits(void **state)
{
	struct fixture *f = *state;
	struct vr_limits now;

	require(f, BIT(CPU) | BIT(MEMORY) | BIT(PIDS));
	create(f, (struct vr_limits) { .cpu_permille = 250, .burst_us = 1000, .memory = 64 << 20, .pids = 17 });
	assert_ok(f, cgroups_update(f->set, &(struct vr_limits) { .burst_us = UINT32_MAX }, &f->error));
	assert_int_equal(atol(file_of(f, CPU, "cpu.cfs_burst_us", "cpu.max.burst")), 0);
	assert_ok(f, cgroups_update(f->set, &(struct vr_limits) { .cpu_permille = UINT32_MAX, .memory = UINT64_MAX,
								     .pids = UINT64_MAX }, &f->error));
	assert_ok(f, cgroups_limits(f->set, &now, &f->error));
	assert_int_equal(now.cpu_permille, 0);
	assert_int_equal(now.memory, 0);
	assert_int_equal(now.pids, 0);
	assert_string_equal(file_of(f, PIDS, "pids.max", "pids.max"), "max");
	assert_fails(f, EINVAL, "cpu burst '1000': needs a cpu limit",
		     cgroups_update(f->set, &(struct vr_limits) { .burst_us = 1000 }, &f->error));
}

static void assert_limits_are(struct fixture *f, const struct vr_limits *expected)
{
	struct vr_limits now;

	assert_ok(f, cgroups_limits(f->set, &now, &f->error));
	assert_int_equal(now.cpu_permille, expected->cpu_permille);
	assert_int_equal(now.period_us, expected->period_us);
	assert_int_equal(now.burst_us, expected->burst_us);
	assert_int_equal(now.memory, expected->memory);
	assert_int_equal(now.pids, expected->pids);
	if (expected->cpuset)
		assert_string_equal(now.cpuset, expected->cpuset);
	else
		assert_null(now.cpuset);
	free(now.cpuset);
}

static void update_is_all_or_nothing(void **state)
{
	static const struct vr_limits before = { .cpu_permille = 250, .period_us = 10000, .burst_us = 1000, .memory = 64 << 20,
						 .pids = 17 };
	struct fixture *f = *state;
	unsigned groups;

	require(f, BIT(CPU) | BIT(MEMORY) | BIT(PIDS) | BIT(CPUSET));
	create(f, before);
	groups = f->set->n;

	/* pids come last: all else has been changed by then. */
	assert_fails(f, EINVAL, "can't set pids.max", cgroups_update(f->set, &(struct vr_limits) {
		.cpu_permille = 900, .period_us = 20000, .burst_us = 3000, .memory = 32 << 20, .pids = UINT64_C(1) << 40 }, &f->error));
	assert_limits_are(f, &before);

	assert_true(cgroups_update(f->set, &(struct vr_limits) { .cpu_permille = 900, .memory = 32 << 20, .cpuset = "4000" },
				   &f->error) < 0);
	f->error = (struct error) { 0 };
	assert_limits_are(f, &before);
	assert_int_equal(f->set->n, groups);
}

static void an_update_that_fails_anywhere_changes_nothing(void **state)
{
	static const struct vr_limits before = { .cpu_permille = 250, .period_us = 10000, .burst_us = 1000, .memory = 64 << 20,
						 .pids = 17, .cpuset = "0" };
	static const struct vr_limits after = { .cpu_permille = 900, .period_us = 20000, .burst_us = 3000, .memory = 32 << 20,
						.pids = 10, .cpuset = "0" };
	struct fixture *f = *state;
	unsigned n, failures = 0;

	require(f, BIT(CPU) | BIT(MEMORY) | BIT(PIDS) | BIT(CPUSET));
	create(f, before);
	spawn(f, sleep_for_ever, NULL);
	for (n = 1; n < 100; n++) {
		int rc;

		faults_begin(n);
		rc = cgroups_update(f->set, &after, &f->error);
		if (!faults_end())
			break;
		assert_true(rc < 0);
		f->error = (struct error) { 0 };
		failures++;
		assert_limits_are(f, &before);
	}
	assert_true(failures >= 5);
	assert_limits_are(f, &after);
}

static void update_gives_a_cpuset_to_a_vr_that_had_none(void **state)
{
	struct fixture *f = *state;
	cpu_set_t cpus;
	pid_t first, second;

	require(f, BIT(CPUSET));
	create(f, (struct vr_limits) { 0 });
	first = spawn(f, sleep_for_ever, NULL);
	second = spawn(f, sleep_for_ever, NULL);
	assert_ok(f, cgroups_update(f->set, &(struct vr_limits) { .cpuset = "0" }, &f->error));
	assert_true(is_member_everywhere(f, first));
	assert_true(is_member_everywhere(f, second));
	eventually(sched_getaffinity(second, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1 && CPU_ISSET(0, &cpus));
	assert_ok(f, cgroups_kill(f->set, &f->error));
	reap(f);
	assert_ok(f, cgroups_destroy(f->set, &f->error));
	assert_false(exists_anywhere(f->name));
}

/* ---- freeze ---- */

static void a_frozen_vr_stands_still_until_it_is_thawed(void **state)
{
	struct fixture *f = *state;
	volatile uint64_t *counter = shared_counter();
	uint64_t then;

	create(f, (struct vr_limits) { 0 });
	spawn(f, count_for_ever, (void *)counter);
	eventually(*counter > 0);
	assert_false(cgroups_frozen(f->set));
	assert_ok(f, cgroups_freeze(f->set, &f->error));
	assert_true(cgroups_frozen(f->set));
	then = *counter;
	usleep(30000);
	assert_int_equal(*counter, then);
	assert_ok(f, cgroups_freeze(f->set, &f->error));
	assert_ok(f, cgroups_thaw(f->set, &f->error));
	assert_false(cgroups_frozen(f->set));
	eventually(*counter > then);
	assert_ok(f, cgroups_thaw(f->set, &f->error));
	munmap((void *)counter, 4096);
}

static void nobody_enters_a_frozen_group(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();

	if (pid == 0)
		sleep_for_ever(NULL);
	f->child[f->nchildren++] = pid;
	create(f, (struct vr_limits) { 0 });
	assert_ok(f, cgroups_freeze(f->set, &f->error));
	assert_fails(f, EBUSY, "frozen", cgroups_enter(f->set, pid, &f->error));
	assert_int_equal(count_members(f), 0);
	assert_ok(f, cgroups_thaw(f->set, &f->error));
	assert_ok(f, cgroups_enter(f->set, pid, &f->error));
}

/* Waits in the kernel for a page that nobody will bring: it can be killed, but not frozen. */
static void read_a_page_that_never_comes(void *arg)
{
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = { .range = { (uintptr_t)page, 4096 }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	volatile uint64_t *began = arg;
	int null[2];

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) < 0 || ioctl(uffd, UFFDIO_REGISTER, &range) < 0 || pipe(null) < 0) {
		*began = 2;
		sleep_for_ever(NULL);
	}
	*began = 1;
	__real_write(null[1], page, 4096);
}

static void what_cannot_be_frozen_is_thawed_again(void **state)
{
	struct fixture *f = *state;
	volatile uint64_t *began = shared_counter();
	char path[64], text[4096];
	struct group *freezer;
	pid_t pid;

	create(f, (struct vr_limits) { 0 });
	pid = spawn(f, read_a_page_that_never_comes, (void *)began);
	eventually(*began);
	if (*began == 2) {
		print_message("skipped: no userfaultfd\n");
		skip();
	}
	snprintf(path, sizeof path, "/proc/%d/wchan", (int)pid);
	eventually(file_read(AT_FDCWD, path, text, sizeof text) == 0 && !strcmp(text, "handle_userfault"));
	clock_runs = 1;
	assert_fails(f, ETIMEDOUT, "can't freeze", cgroups_freeze(f->set, &f->error));
	clock_runs = 0;
	freezer = group_of(f->set, FREEZER);
	assert_false(cgroups_frozen(f->set));
	assert_int_equal(freezer->hierarchy->version->freezer_state(freezer->dir), THAWED);
	/* Somebody else's attempt, which nobody gives up. */
	assert_int_equal(freezer->hierarchy->version->freeze(freezer->dir, true), 0);
	assert_int_equal(freezer->hierarchy->version->freezer_state(freezer->dir), FREEZING);
	assert_true(cgroups_frozen(f->set));
	assert_ok(f, cgroups_thaw(f->set, &f->error));
	munmap((void *)began, 4096);
}

/* ---- kill and destroy ---- */

static void a_signal_reaches_all_members_and_nobody_else(void **state)
{
	struct fixture *f = *state;
	pid_t outside = fork();
	int status;

	if (outside == 0)
		sleep_for_ever(NULL);
	create(f, (struct vr_limits) { 0 });
	for (int i = 0; i < 5; i++)
		spawn(f, sleep_for_ever, NULL);
	assert_ok(f, cgroups_signal(f->set, SIGTERM, &f->error));
	while (f->nchildren) {
		pid_t pid = f->child[--f->nchildren];

		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	}
	assert_int_equal(waitpid(outside, &status, WNOHANG), 0);
	kill(outside, SIGKILL);
	waitpid(outside, NULL, 0);
	assert_ok(f, cgroups_signal(f->set, SIGTERM, &f->error));
}

static void kill_reaches_a_frozen_group(void **state)
{
	struct fixture *f = *state;

	create(f, (struct vr_limits) { 0 });
	spawn(f, sleep_for_ever, NULL);
	assert_ok(f, cgroups_freeze(f->set, &f->error));
	assert_ok(f, cgroups_kill(f->set, &f->error));
	assert_int_equal(count_members(f), 0);
	reap(f);
	assert_ok(f, cgroups_destroy(f->set, &f->error));
}

/* Each process has a successor before it ends: 30 of them at any time, never the same for long. */
static void hydra(void *arg)
{
	for (int head = 0; head < 30; head++)
		if (fork() == 0)
			for (;;)
				if (fork() > 0)
					_exit(0);
	sleep_for_ever(NULL);
}

static void kill_overtakes_a_forking_tree(void **state)
{
	struct fixture *f = *state;

	/* The orphans are ours, and nobody waits for them. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGCHLD, SIG_IGN);
	create(f, (struct vr_limits) { 0 });
	spawn(f, hydra, NULL);
	eventually(count_members(f) > 10);
	assert_ok(f, cgroups_kill(f->set, &f->error));
	assert_int_equal(count_members(f), 0);
	assert_ok(f, cgroups_destroy(f->set, &f->error));
	assert_false(exists_anywhere(f->name));
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	f->nchildren = 0;
}

/* A process that died, or was given up, between two hierarchies. */
static void kill_reaches_who_entered_only_half(void **state)
{
	struct fixture *f = *state;

	create(f, (struct vr_limits) { 0 });
	for (unsigned i = 0; i < f->set->n; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			sleep_for_ever(NULL);
		f->child[0] = pid;
		f->nchildren = 1;
		assert_int_equal(members_move(f->set->group[i].dir, pid), 0);
		assert_ok(f, cgroups_kill(f->set, &f->error));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		f->nchildren = 0;
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	assert_ok(f, cgroups_destroy(f->set, &f->error));
}

static void destroy_refuses_while_somebody_is_in(void **state)
{
	struct fixture *f = *state;
	unsigned groups;
	pid_t pid;

	create(f, (struct vr_limits) { 0 });
	groups = f->set->n;
	pid = spawn(f, sleep_for_ever, NULL);
	assert_fails(f, EBUSY, "there are processes", cgroups_destroy(f->set, &f->error));
	assert_int_equal(f->set->n, groups);
	assert_true(is_member_everywhere(f, pid));

	/* Nothing is removed for one that is only where it counts, either. */
	for (unsigned i = 0; i < f->set->n; i++)
		if (&f->set->group[i] != group_of_members(f->set))
			assert_int_equal(members_move(f->set->group[i].hierarchy->fd, pid), 0);
	assert_fails(f, EBUSY, "there are processes", cgroups_destroy(f->set, &f->error));
	assert_int_equal(f->set->n, groups);

	assert_ok(f, cgroups_kill(f->set, &f->error));
	assert_ok(f, cgroups_destroy(f->set, &f->error));
	assert_false(exists_anywhere(f->name));
	assert_ok(f, cgroups_destroy(f->set, &f->error));
}

static void destroying_what_somebody_else_destroyed_is_no_error(void **state)
{
	struct fixture *f = *state;
	struct cgroup_set *other;

	create(f, (struct vr_limits) { 0 });
	assert_ok(f, cgroups_open(f->name, &other, &f->error));
	assert_ok(f, cgroups_destroy(f->set, &f->error));
	assert_ok(f, cgroups_kill(other, &f->error));
	assert_ok(f, cgroups_destroy(other, &f->error));
	cgroups_close(other);
}

static bool parent_is_gone_or_in_use(int hierarchy)
{
	struct stat st;

	return fstatat(hierarchy, PARENT, &st, 0) < 0 || st.st_nlink > 2;
}

static void the_last_vr_takes_the_parent_along(void **state)
{
	struct fixture *f = *state;
	const struct layout *layout = layout_get();

	create(f, (struct vr_limits) { 0 });
	assert_ok(f, cgroups_destroy(f->set, &f->error));
	for (unsigned i = 0; i < layout->n; i++)
		eventually(parent_is_gone_or_in_use(layout->hierarchy[i].fd));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

/* Any hierarchy will do for these. */
static const struct CMUnitTest life_tests[] = {
	TEST(layout_takes_each_controller_from_one_place),
	TEST(without_limits_there_is_still_a_group_to_count_and_to_freeze),
	TEST(create_refuses_an_existing_group),
	TEST(bad_names_are_refused),
	TEST(impossible_limits_are_refused),
	TEST(a_limit_without_a_controller_names_it),
	TEST(a_create_that_fails_anywhere_leaves_nothing),
	TEST(creates_and_destroys_race_for_the_parent),
	TEST(open_finds_the_group_of_a_vr_that_runs),
	TEST(a_child_moves_itself_everywhere),
	TEST(another_process_is_moved_everywhere),
	TEST(a_child_can_enter_from_its_own_user_namespace),
	TEST(a_process_with_threads_is_moved_as_a_whole),
	TEST(a_clone_fd_is_given_on_v2_alone),
	TEST(a_removed_group_has_no_statistics_and_no_limits),
	TEST(a_frozen_vr_stands_still_until_it_is_thawed),
	TEST(nobody_enters_a_frozen_group),
	TEST(what_cannot_be_frozen_is_thawed_again),
	TEST(a_signal_reaches_all_members_and_nobody_else),
	TEST(kill_reaches_a_frozen_group),
	TEST(kill_overtakes_a_forking_tree),
	TEST(kill_reaches_who_entered_only_half),
	TEST(destroy_refuses_while_somebody_is_in),
	TEST(destroying_what_somebody_else_destroyed_is_no_error),
	TEST(the_last_vr_takes_the_parent_along),
};

/* These need controllers. */
static const struct CMUnitTest limit_tests[] = {
	TEST(cpu_limits_land_in_the_kernel),
	TEST(a_weight_lands_in_the_kernel),
	TEST(shares_set_by_hand_read_as_a_weight),
	TEST(memory_pids_and_cpuset_land_in_the_kernel),
	TEST(a_cpuset_binds_its_members),
	TEST(a_limit_that_the_kernel_refuses_leaves_nothing),
	TEST(a_cpuset_of_no_such_cpu_leaves_nothing),
	TEST(a_spinner_stays_below_its_quota),
	TEST(statistics_count_memory_and_processes),
	TEST(update_changes_what_is_given_and_nothing_else),
	TEST(update_lifts_limits),
	TEST(update_is_all_or_nothing),
	TEST(an_update_that_fails_anywhere_changes_nothing),
	TEST(update_gives_a_cpuset_to_a_vr_that_had_none),
};

static const struct CMUnitTest layout_tests[] = { cmocka_unit_test(layout_is_what_proc_mounts_says) };

static void needs_root(void **state)
{
	print_message("skipped: control groups can only be made by root\n");
	skip();
}

int main(void)
{
	const struct CMUnitTest root_tests[] = { cmocka_unit_test(needs_root) };
	int failures;

	if (geteuid() != 0)
		return cmocka_run_group_tests_name("cgroups", root_tests, NULL, NULL);
	failures = cmocka_run_group_tests_name("layout", layout_tests, NULL, NULL);
	failures += cmocka_run_group_tests_name("limits", limit_tests, NULL, NULL);
	failures += cmocka_run_group_tests_name("life", life_tests, NULL, NULL);
	if (!strcmp(cgroups_layout(), "hybrid")) {
		versions = LAYOUT_V2;
		layout_reload(versions);
		failures += cmocka_run_group_tests_name("life on v2 alone", life_tests, NULL, NULL);
	}
	return failures ? 1 : 0;
}

/* SPDX-License-Identifier: MIT */
/* What is kept about VRs: it comes back as it was written, and nothing that a stranger writes does harm. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/error.h"
#include "runtime/state.h"
#include "runtime/sweep.h"

#include <cmocka.h>        /* last: it has a macro named fail */

static char run_dir[] = "/tmp/europa-state-XXXXXX";

static struct vr_state sample_state(const char *name)
{
	struct vr_state s = {
		.status = VR_RUNNING, .image = (char *)"image/ipfwd", .command = (char *)"/bin/ipfwd -v", .created_ns = 1000000001, .started_ns = 2,
		.control_fd = 7, .pool_fd = 8, .which_switch = SWITCH_USER, .cgroup = (char *)"europa/x", .uid_base = EUROPA_UID_BASE + 65536,
		.limits = { .cpu_permille = 250, .period_us = 10000, .burst_us = 5, .cpuset = (char *)"0-1", .memory = 64 << 20, .pids = 10 },
		.vnics = 2, .log = (char *)"/run/europa/x/log", .bundle = (char *)"/images/ipfwd", .rm = 1,
		.vnic = { { .device = "x-v0", .mac = { 2, 0, 0, 0, 0, 1 }, .mtu = 1500 }, { .link = (char *)"eth1,vlan 5", .mtu = 9000 } },
	};

	strcpy(s.name, name);
	process_identify(getpid(), &s.supervisor);
	process_identify(getpid(), &s.init);
	return s;
}

/* Claims a name and gives its lock back, as a supervisor does that has started. */
static void claim(const char *name)
{
	struct error e = { 0 };
	int lock = state_claim(name, &e);

	if (lock < 0)
		fail_msg("%s", e.text);
	close(lock);
}

static void write_state(const struct vr_state *s)
{
	struct error e = { 0 };

	if (state_write(s, &e))
		fail_msg("%s", e.text);
}

static void write_raw(const char *name, const char *file, const char *text, size_t length)
{
	char path[200];
	int fd;

	snprintf(path, sizeof path, "%s/%s/%s", run_dir, name, file);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
	close(fd);
}

static void remove_vr(const char *name)
{
	struct error e = { 0 };

	if (state_remove(name, &e))
		fail_msg("%s", e.text);
}

static void what_is_written_comes_back(void **state)
{
	struct vr_state s = sample_state("x"), back;
	struct error e = { 0 };

	claim("x");
	write_state(&s);
	assert_int_equal(state_read("x", &back, &e), 0);
	assert_string_equal(back.name, "x");
	assert_int_equal(back.status, VR_RUNNING);
	assert_string_equal(back.image, s.image);
	assert_string_equal(back.command, s.command);
	assert_int_equal(back.created_ns, s.created_ns);
	assert_int_equal(back.started_ns, s.started_ns);
	assert_int_equal(back.finished_ns, 0);
	assert_int_equal(back.supervisor.pid, getpid());
	assert_int_equal(back.supervisor.start_time, s.supervisor.start_time);
	assert_int_equal(back.control_fd, 7);
	assert_int_equal(back.pool_fd, 8);
	assert_int_equal(back.limits.cpu_permille, 250);
	assert_int_equal(back.limits.memory, 64 << 20);
	assert_string_equal(back.limits.cpuset, "0-1");
	assert_int_equal(back.which_switch, SWITCH_USER);
	assert_string_equal(back.cgroup, "europa/x");
	assert_string_equal(state_cgroup(&back), "x");
	assert_int_equal(back.uid_base, s.uid_base);
	assert_int_equal(back.vnics, 2);
	assert_string_equal(back.vnic[0].device, "x-v0");
	assert_memory_equal(back.vnic[0].mac, s.vnic[0].mac, 6);
	assert_null(back.vnic[0].link);
	assert_string_equal(back.vnic[1].link, "eth1,vlan 5");
	assert_int_equal(back.vnic[1].mtu, 9000);
	assert_string_equal(back.log, s.log);
	assert_true(back.rm);
	state_release(&back);
	remove_vr("x");
}

static void a_vr_that_is_hardly_begun_comes_back(void **state)
{
	struct vr_state s = { .name = "x", .status = VR_CREATED, .control_fd = -1, .pool_fd = -1 }, back;
	struct error e = { 0 };

	claim("x");
	process_identify(getpid(), &s.supervisor);
	write_state(&s);
	assert_int_equal(state_read("x", &back, &e), 0);
	assert_int_equal(back.status, VR_CREATED);
	assert_null(back.image);
	assert_null(state_cgroup(&back));
	state_release(&back);
	remove_vr("x");
}

static size_t read_text(const char *name, char *text, size_t size)
{
	char path[200];
	size_t got;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s/state.json", run_dir, name);
	f = fopen(path, "re");
	assert_non_null(f);
	got = fread(text, 1, size, f);
	fclose(f);
	return got;
}

static void what_is_no_utf8_is_quoted(void **state)
{
	struct vr_state images = sample_state("x"), commands = sample_state("x"), links = sample_state("x");
	const struct {
		const struct vr_state *s;
		const char *message;
	} cases[] = {
		{ &images, "\"image/\\xff\": expected UTF-8" },
		{ &commands, "\"/bin/x \\xc3\": expected UTF-8" },
		{ &links, "--link \"generator:\\xff\": expected UTF-8" },
	};

	images.image = "image/\xff";
	commands.command = "/bin/x \xc3";
	links.vnic[1].link = "generator:\xff";
	claim("x");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error e = { 0 };

		assert_int_equal(state_write(cases[i].s, &e), -EINVAL);
		assert_string_equal(e.text, cases[i].message);
	}
	remove_vr("x");
}

static void a_torn_file_is_an_error_that_names_it(void **state)
{
	struct vr_state s = sample_state("x"), back;
	char text[8192];
	size_t length;

	claim("x");
	write_state(&s);
	length = read_text("x", text, sizeof text);
	assert_in_range(length, 100, sizeof text - 1);
	for (size_t cut = 0; cut < length; cut++) {
		struct error e = { 0 };
		int err;

		write_raw("x", "state.json", text, cut);
		err = state_read("x", &back, &e);
		/* The last byte is the closing brace: only blanks may be missing. */
		if (!err || !strstr(e.text, "x/state.json"))
			fail_msg("cut at %zu of %zu: %d, %s", cut, length, err, e.text);
		assert_null(strchr(e.text, '\n'));
	}
	remove_vr("x");
}

static void a_foreign_state_is_refused(void **state)
{
	static const struct {
		const char *from, *to;
	} changes[] = {
		{ "\"version\": 1", "\"version\": 2" },
		{ "\"name\": \"x\"", "\"name\": \"y\"" },
		{ "\"running\"", "\"jogging\"" },
		{ "\"switch\": \"user\"", "\"switch\": \"hub\"" },
		{ "\"cgroup\": \"europa/x\"", "\"cgroup\": \"\"" },
		{ "\"cgroup\": \"europa/x\"", "\"cgroup\": \"europa/..\"" },
		{ "\"cgroup\": \"europa/x\"", "\"cgroup\": \"system.slice\"" },
		{ "\"cgroup\": \"europa/x\"", "\"cgroup\": \"europa/a/b\"" },
		{ "\"device\": \"x-v0\"", "\"device\": \"a/b\"" },
		{ "\"device\": \"x-v0\"", "\"device\": \"averyverylongname\"" },
		{ "\"mtu\": 1500", "\"mtu\": 65536" },
		{ "\"mtu\": 1500", "\"mtu\": -1" },
		{ "\"mtu\": 1500", "\"mtu\": 1500, \"mtu\": 1500" },
		{ "02:00:00:00:00:01", "03:00:00:00:00:01" },
		{ "\"exit_code\": 0", "\"exit_code\": 256" },
		{ "\"exit_code\": 0", "\"exit_code\": \"0\"" },
		{ "\"exit_code\": 0", "\"exit_code\": 0.5" },
		{ "\"exit_code\": 0", "\"exit_code\": 99999999999999999999" },
		{ "\"exit_code\": 0", "\"exit_kode\": 0" },
		{ "\"exit_code\": 0", "\"exit_code\": 0, \"more\": 1" },
		{ "\"control_fd\": 7", "\"control_fd\": -2" },
		{ "\"cpuset\": \"0-1\"", "\"cpuset\": \"../x\"" },
		{ "\"pids\": 10", "\"pids\": -10" },
		{ "\"rm\": true", "\"rm\": 1" },
		{ "\"rm\": true", "\"rm\": null" },
		{ "\"image\": \"image", "\"image\": \"\\u0000image" },
		{ "\"image\": \"image", "\"image\": \"\xff" },
		{ "\"vnics\": [", "\"vnics\": [ 1, " },
		{ "\"vnics\": [", "\"vnics\": [[], " },
	};
	struct vr_state s = sample_state("x"), back;
	char text[8192], changed[8400];

	claim("x");
	write_state(&s);
	text[read_text("x", text, sizeof text - 1)] = '\0';
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		struct error e = { 0 };
		const char *at = strstr(text, changes[i].from);

		if (!at)
			fail_msg("the file has no %s", changes[i].from);
		snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, changes[i].to, at + strlen(changes[i].from));
		write_raw("x", "state.json", changed, strlen(changed));
		if (!state_read("x", &back, &e))
			fail_msg("%s is taken", changes[i].to);
		if (!strstr(e.text, "x/state.json"))
			fail_msg("%s", e.text);
	}
	remove_vr("x");
}

static void odd_files_are_refused(void **state)
{
	static const char *const texts[] = { "", "{}", "[]", "null", "\"x\"", "{\"version\": 1}", "\xef\xbb\xbf{}", "{\"version\":1,\"version\":1}" };
	struct vr_state back;
	char path[200];

	claim("x");
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct error e = { 0 };

		write_raw("x", "state.json", texts[i], strlen(texts[i]));
		assert_int_not_equal(state_read("x", &back, &e), 0);
	}
	snprintf(path, sizeof path, "%s/x/state.json", run_dir);
	assert_return_code(unlink(path), errno);
	assert_return_code(symlink("/etc/passwd", path), errno);
	assert_int_not_equal(state_read("x", &back, &(struct error){ 0 }), 0);
	assert_return_code(unlink(path), errno);
	assert_return_code(mkfifo(path, 0600), errno);
	assert_int_not_equal(state_read("x", &back, &(struct error){ 0 }), 0);
	remove_vr("x");
}

static void a_name_that_is_none_opens_nothing(void **state)
{
	static const char *const names[] = { "", ".", "..", "../x", "a/b", "/etc", "netns", "switch.sock", "switch.log", ".lock" };
	struct vr_state s;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct error e = { 0 };

		assert_int_equal(state_read(names[i], &s, &e), -EINVAL);
		e.code = 0;
		assert_int_equal(state_claim(names[i], &e), -EINVAL);
		e.code = 0;
		assert_int_equal(state_remove(names[i], &e), -EINVAL);
	}
}

static void a_missing_vr_is_said_to_be_missing(void **state)
{
	struct error e = { 0 };
	struct vr_state s;

	assert_int_equal(state_read("nobody", &s, &e), -ENOENT);
	assert_string_equal(e.text, "no virtual router named \"nobody\" (europa-ps -a lists them)");
	e.code = 0;
	assert_int_equal(state_lock("nobody", &e), -ENOENT);
}

static void a_name_is_claimed_once(void **state)
{
	struct error e = { 0 };
	struct vr_state s = sample_state("x");
	int lock = state_claim("x", &e);

	assert_true(lock >= 0);
	assert_int_equal(state_claim("x", &e), -EEXIST);
	assert_non_null(strstr(e.text, "\"x\" is taken"));
	/* Its owner can write under its own lock. */
	write_state(&s);
	close(lock);
	e.code = 0;
	assert_int_equal(state_claim("x", &e), -EEXIST);
	assert_non_null(strstr(e.text, "runs"));

	s.status = VR_EXITED;
	s.rm = 0;
	write_state(&s);
	e.code = 0;
	assert_int_equal(state_claim("x", &e), -EEXIST);
	assert_non_null(strstr(e.text, "has exited"));
	s.rm = 1;
	write_state(&s);
	claim("x");
	remove_vr("x");
}

static void what_a_killed_starter_left_can_be_claimed(void **state)
{
	claim("x");
	claim("x");
	remove_vr("x");
}

static void numbers_go_up_and_are_used_again(void **state)
{
	struct error e = { 0 };
	char name[VR_NAME_MAX];
	int lock[3];

	for (int i = 0; i < 3; i++) {
		lock[i] = state_claim_numbered("ipfwd", name, &e);
		assert_true(lock[i] >= 0);
		assert_int_equal(name[6], '1' + i);
	}
	remove_vr("ipfwd-2");
	close(lock[1]);
	lock[1] = state_claim_numbered("ipfwd", name, &e);
	assert_string_equal(name, "ipfwd-2");
	for (int i = 0; i < 3; i++)
		close(lock[i]);
	remove_vr("ipfwd-1");
	remove_vr("ipfwd-2");
	remove_vr("ipfwd-3");
}

#define RACERS 8
static void only_one_of_many_gets_a_name(void **state)
{
	int winners = 0, status, start[2];
	pid_t pid[RACERS];

	assert_return_code(pipe(start), errno);
	for (int i = 0; i < RACERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			struct error e = { 0 };
			char byte;

			close(start[1]);
			if (read(start[0], &byte, 1) < 0)
				_exit(2);
			/* Keeps the lock until all have tried. */
			if (state_claim("x", &e) < 0)
				_exit(1);
			sleep(1);
			_exit(0);
		}
	}
	close(start[0]);
	close(start[1]);
	for (int i = 0; i < RACERS; i++) {
		waitpid(pid[i], &status, 0);
		winners += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	assert_int_equal(winners, 1);
	remove_vr("x");
}

static void all_names_are_listed_sorted(void **state)
{
	static const char *const made[] = { "c", "a", "b-1" };
	struct error e = { 0 };
	char **names, path[200];

	for (int i = 0; i < 3; i++)
		claim(made[i]);
	snprintf(path, sizeof path, "%s/netns", run_dir);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/afile", run_dir);
	close(creat(path, 0600));
	assert_int_equal(state_list(&names, &e), 0);
	assert_string_equal(names[0], "a");
	assert_string_equal(names[1], "b-1");
	assert_string_equal(names[2], "c");
	assert_null(names[3]);
	for (int i = 0; i < 4; i++)
		free(names[i]);
	free(names);
	unlink(path);
	for (int i = 0; i < 3; i++)
		remove_vr(made[i]);
}

/* Whoever starts or ends a VR completes what somebody who was killed had begun, and removes nothing else; who only looks removes nothing. */
static void a_removal_that_was_cut_short_is_completed(void **state)
{
	static const char *const others[] = { ".cache1", ".12", "..7", ".gone.x1", ".a b.5", ".gone." };
	struct error e = { 0 };
	char **names, from[200], to[200];

	claim("gone");
	claim("x");
	snprintf(from, sizeof from, "%s/gone", run_dir);
	snprintf(to, sizeof to, "%s/.gone.12345", run_dir);
	assert_return_code(rename(from, to), errno);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		snprintf(from, sizeof from, "%s/%s", run_dir, others[i]);
		assert_return_code(mkdir(from, 0700), errno);
	}
	assert_int_equal(state_list(&names, &e), 0);
	assert_string_equal(names[0], "x");
	assert_null(names[1]);
	free(names[0]);
	free(names);
	assert_int_equal(access(to, F_OK), 0);
	remove_vr("x");
	assert_int_equal(access(to, F_OK), -1);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		snprintf(from, sizeof from, "%s/%s", run_dir, others[i]);
		assert_return_code(rmdir(from), errno);
	}
}

static void a_start_completes_a_removal_too(void **state)
{
	struct error e = { 0 };
	char path[200];
	uint32_t uid_base;

	snprintf(path, sizeof path, "%s/.gone.12345", run_dir);
	assert_return_code(mkdir(path, 0700), errno);
	claim("x");
	assert_int_equal(state_claim_uids("x", &uid_base, &e), 0);
	assert_int_equal(access(path, F_OK), -1);
	remove_vr("x");
}

static pid_t start_process(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* A test that fails half-way leaves nobody behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void a_vr_whose_supervisor_is_gone_is_dead(void **state)
{
	struct vr_state s = sample_state("x"), back;
	struct error e = { 0 };
	pid_t pid = start_process();

	claim("x");
	assert_int_equal(process_identify(pid, &s.supervisor), 0);
	write_state(&s);
	assert_int_equal(state_read("x", &back, &e), 0);
	assert_int_equal(back.status, VR_RUNNING);
	state_release(&back);

	/* Another process with the same number is somebody else. */
	s.supervisor.start_time++;
	write_state(&s);
	assert_int_equal(state_read("x", &back, &e), 0);
	assert_int_equal(back.status, VR_DEAD);
	state_release(&back);

	/* A zombie doesn't look after anything. */
	s.supervisor.start_time--;
	write_state(&s);
	kill(pid, SIGKILL);
	assert_return_code(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), errno);
	assert_int_equal(state_read("x", &back, &e), 0);
	assert_int_equal(back.status, VR_DEAD);
	state_release(&back);
	waitpid(pid, NULL, 0);
	assert_int_equal(state_read("x", &back, &e), 0);
	assert_int_equal(back.status, VR_DEAD);
	state_release(&back);
	remove_vr("x");
}

static void what_a_dead_vr_left_is_swept(void **state)
{
	struct vr_state s = sample_state("x"), back;
	struct error e = { 0 };
	pid_t init = start_process();
	int status;

	claim("x");
	s.supervisor.start_time++;
	s.cgroup = NULL;
	s.rm = 0;
	assert_int_equal(process_identify(init, &s.init), 0);
	write_state(&s);
	assert_int_equal(sweep_read("x", &back, &e), 0);
	assert_int_equal(back.status, VR_EXITED);
	assert_int_equal(back.exit_code, 137);
	assert_true(back.finished_ns > 0);
	state_release(&back);
	assert_int_equal(waitpid(init, &status, 0), init);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(state_read("x", &back, &e), 0);
	assert_int_equal(back.status, VR_EXITED);
	state_release(&back);

	/* With --rm nothing is kept. */
	s.rm = 1;
	write_state(&s);
	assert_int_equal(sweep_read("x", &back, &e), -ENOENT);
	e.code = 0;
	assert_int_equal(state_read("x", &back, &e), -ENOENT);
}

static void a_process_is_identified_by_its_start(void **state)
{
	struct process_id id;
	int fd;

	assert_int_equal(process_identify(getpid(), &id), 0);
	fd = process_open(&id);
	assert_true(fd >= 0);
	close(fd);
	id.start_time ^= 1;
	assert_int_equal(process_open(&id), -ESRCH);
	id.pid = 0;
	assert_int_equal(process_open(&id), -ESRCH);
	assert_int_equal(process_identify(-1, &id), -ESRCH);
	assert_int_equal(process_identify(1 << 30, &id), -ESRCH);
}

static void every_vr_has_uids_of_its_own(void **state)
{
	static const char *const names[] = { "a", "b", "c" };
	struct error e = { 0 };
	uint32_t base[3], again;

	for (int i = 0; i < 3; i++) {
		claim(names[i]);
		assert_int_equal(state_claim_uids(names[i], &base[i], &e), 0);
		assert_int_equal(base[i], EUROPA_UID_BASE + (uint32_t)i * 65536);
	}
	remove_vr("b");
	claim("b");
	assert_int_equal(state_claim_uids("b", &again, &e), 0);
	assert_int_equal(again, base[1]);
	write_raw("c", "uids", "99999", 5);
	write_raw("a", "uids", "0x", 2);
	assert_int_equal(state_claim_uids("b", &again, &e), 0);
	for (int i = 0; i < 3; i++)
		remove_vr(names[i]);
	assert_int_equal(state_claim_uids("a", &again, &e), -ENOENT);
}

static void a_run_directory_that_others_can_write_is_refused(void **state)
{
	char path[4096];
	struct error e = { 0 };

	assert_int_equal(state_run_dir(path, sizeof path, &e), 0);
	assert_string_equal(path, run_dir);
	assert_return_code(chmod(run_dir, 0755), errno);
	assert_int_not_equal(state_run_dir(path, sizeof path, &e), 0);
	assert_non_null(strstr(e.text, "expected mode 0700, not 0755"));
	assert_return_code(chmod(run_dir, 0700), errno);

	setenv("EUROPA_RUN_DIR", "relative", 1);
	e.code = 0;
	assert_int_not_equal(state_run_dir(path, sizeof path, &e), 0);
	assert_non_null(strstr(e.text, "expected an absolute path"));
	setenv("EUROPA_RUN_DIR", run_dir, 1);
}

static void the_region_is_opened_through_its_supervisor(void **state)
{
	struct vr_state s = sample_state("x");
	struct error e = { 0 };
	int control, pool, plain = memfd_create("plain", MFD_CLOEXEC), sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_return_code(ftruncate(sealed, 4096), errno);
	assert_return_code(fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK), errno);
	s.control_fd = s.pool_fd = sealed;
	assert_int_equal(state_open_region(&s, &control, &pool, &e), 0);
	assert_int_equal(fcntl(control, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(pool, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(control);
	close(pool);

	/* What can be cut short under a reader is no region. */
	s.pool_fd = plain;
	assert_int_not_equal(state_open_region(&s, &control, &pool, &e), 0);
	s.pool_fd = -1;
	assert_int_not_equal(state_open_region(&s, &control, &pool, &e), 0);
	s.pool_fd = sealed;
	s.supervisor.start_time++;
	assert_int_not_equal(state_open_region(&s, &control, &pool, &e), 0);
	close(plain);
	close(sealed);
}

static int make_run_dir(void **state)
{
	if (!mkdtemp(run_dir))
		return -1;
	return setenv("EUROPA_RUN_DIR", run_dir, 1);
}

static int remove_run_dir(void **state)
{
	char path[200];

	snprintf(path, sizeof path, "%s/netns", run_dir);
	rmdir(path);
	snprintf(path, sizeof path, "%s/.lock", run_dir);
	unlink(path);
	return rmdir(run_dir);  /* fails where something was left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_comes_back),
		cmocka_unit_test(a_vr_that_is_hardly_begun_comes_back),
		cmocka_unit_test(what_is_no_utf8_is_quoted),
		cmocka_unit_test(a_torn_file_is_an_error_that_names_it),
		cmocka_unit_test(a_foreign_state_is_refused),
		cmocka_unit_test(odd_files_are_refused),
		cmocka_unit_test(a_name_that_is_none_opens_nothing),
		cmocka_unit_test(a_missing_vr_is_said_to_be_missing),
		cmocka_unit_test(a_name_is_claimed_once),
		cmocka_unit_test(what_a_killed_starter_left_can_be_claimed),
		cmocka_unit_test(numbers_go_up_and_are_used_again),
		cmocka_unit_test(only_one_of_many_gets_a_name),
		cmocka_unit_test(all_names_are_listed_sorted),
		cmocka_unit_test(a_removal_that_was_cut_short_is_completed),
		cmocka_unit_test(a_start_completes_a_removal_too),
		cmocka_unit_test(a_vr_whose_supervisor_is_gone_is_dead),
		cmocka_unit_test(what_a_dead_vr_left_is_swept),
		cmocka_unit_test(a_process_is_identified_by_its_start),
		cmocka_unit_test(every_vr_has_uids_of_its_own),
		cmocka_unit_test(a_run_directory_that_others_can_write_is_refused),
		cmocka_unit_test(the_region_is_opened_through_its_supervisor),
	};

	return cmocka_run_group_tests(tests, make_run_dir, remove_run_dir);
}

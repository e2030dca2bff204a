/* SPDX-License-Identifier: MIT */
/* The system call filters as the kernel applies them: each row is tried by a process that is under the filter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/seccomp.h"

#include <cmocka.h>        /* last: it has a macro named fail */

#define PASSES 0           /* whatever the system call itself says to such arguments: only the filter is asked */
#define HIGH   (UINT64_C(1) << 32)

struct row {
	const char *name;
	long number;
	unsigned long long args[3];
	int tight, wide;           /* errno, or PASSES */
};

static const struct row rows[] = {
	{ "getpid", SYS_getpid, { 0 }, PASSES, PASSES },
	{ "socket inet", SYS_socket, { AF_INET, SOCK_DGRAM }, EPERM, PASSES },
	{ "socket unix", SYS_socket, { AF_UNIX, SOCK_DGRAM }, EPERM, PASSES },
	{ "socket vsock", SYS_socket, { 40, SOCK_STREAM }, EPERM, ENOSYS },
	{ "socket alg", SYS_socket, { 38, SOCK_SEQPACKET }, EPERM, ENOSYS },
	{ "socket alg, hidden", SYS_socket, { 38 | HIGH, SOCK_SEQPACKET }, EPERM, ENOSYS },
	{ "ptrace", SYS_ptrace, { 0 }, EPERM, EPERM },
	{ "process_vm_readv", SYS_process_vm_readv, { 0 }, EPERM, EPERM },
	{ "mount", SYS_mount, { 0 }, EPERM, EPERM },
	{ "umount2", SYS_umount2, { 0 }, EPERM, EPERM },
	{ "open_tree", SYS_open_tree, { 0 }, EPERM, EPERM },
	{ "fsopen", SYS_fsopen, { 0 }, EPERM, EPERM },
	{ "pivot_root", SYS_pivot_root, { 0 }, EPERM, EPERM },
	{ "unshare", SYS_unshare, { CLONE_NEWUSER }, EPERM, EPERM },
	{ "setns", SYS_setns, { 0 }, EPERM, EPERM },
	{ "clone newuser", SYS_clone, { CLONE_NEWUSER | SIGCHLD }, ENOSYS, ENOSYS },
	{ "clone newnet", SYS_clone, { CLONE_NEWNET | SIGCHLD }, ENOSYS, ENOSYS },
	{ "clone newtime", SYS_clone, { 0x80 }, ENOSYS, ENOSYS },
	{ "clone3", SYS_clone3, { 0 }, ENOSYS, ENOSYS },
	{ "keyctl", SYS_keyctl, { 0 }, EPERM, EPERM },
	{ "add_key", SYS_add_key, { 0 }, EPERM, EPERM },
	{ "bpf", SYS_bpf, { 0 }, EPERM, EPERM },
	{ "perf_event_open", SYS_perf_event_open, { 0 }, EPERM, EPERM },
	{ "io_uring_setup", SYS_io_uring_setup, { 0 }, EPERM, EPERM },
	{ "userfaultfd", SYS_userfaultfd, { 0 }, EPERM, EPERM },
	{ "open_by_handle_at", SYS_open_by_handle_at, { 0 }, EPERM, EPERM },
	{ "init_module", SYS_init_module, { 0 }, EPERM, EPERM },
	{ "kexec_load", SYS_kexec_load, { 0 }, EPERM, EPERM },
	{ "syslog", SYS_syslog, { 0 }, EPERM, EPERM },
	{ "chroot", SYS_chroot, { 0 }, EPERM, EPERM },
	{ "setuid", SYS_setuid, { 0 }, EPERM, PASSES },
	{ "personality, no randomization", SYS_personality, { 0x0040000 }, EPERM, ENOSYS },
	{ "personality, what it is", SYS_personality, { 0xffffffff }, EPERM, PASSES },
	{ "prctl name", SYS_prctl, { PR_GET_DUMPABLE }, PASSES, PASSES },
	{ "prctl mm", SYS_prctl, { PR_SET_MM }, ENOSYS, ENOSYS },
	{ "prctl ptracer", SYS_prctl, { PR_SET_PTRACER }, ENOSYS, ENOSYS },
	{ "tiocsti", SYS_ioctl, { 0, TIOCSTI }, EPERM, EPERM },
	{ "tiocsti, hidden", SYS_ioctl, { 0, TIOCSTI | HIGH }, EPERM, EPERM },
	{ "tiocsti, hidden by all bits", SYS_ioctl, { 0, TIOCSTI | 0xffffffff00000000ull }, EPERM, EPERM },
	{ "tioclinux", SYS_ioctl, { 0, TIOCLINUX }, EPERM, EPERM },
	{ "tioclinux, hidden", SYS_ioctl, { 0, TIOCLINUX | HIGH }, EPERM, EPERM },
	{ "fionread", SYS_ioctl, { 77, FIONREAD }, PASSES, PASSES },
	{ "none that exists", 9999, { 0 }, ENOSYS, ENOSYS },
};

static void install(bool wide)
{
	size_t length;
	const struct sock_filter *filter = seccomp_filter(wide, &length);
	struct sock_fprog program = { .len = (unsigned short)length, .filter = (struct sock_filter *)filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		_exit(200);
}

/* What the filter makes of it: errno as the filter's return value has it. */
static int try(const struct row *row)
{
	long result = syscall(row->number, row->args[0], row->args[1], row->args[2], 0, 0, 0);

	return result < 0 ? errno : 0;
}

static int in_child(bool wide, int (*body)(const struct row *row), const struct row *row)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		install(wide);
		_exit(body(row));
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void check(bool wide)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int expected = wide ? rows[i].wide : rows[i].tight;
		int got = in_child(wide, try, &rows[i]);
		bool refused = got == EPERM || got == ENOSYS;

		if (expected == PASSES ? refused || got >= 200 : got != expected) {
			print_error("%s: %d instead of %d\n", rows[i].name, got, expected);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

static void the_tight_filter(void **state)
{
	check(false);
}

static void the_wide_filter(void **state)
{
	check(true);
}

static void *nothing(void *arg)
{
	return arg;
}

/* Allocates, maps, makes a thread and a process, sleeps, asks for the time: a data plane's life. */
static int live(const struct row *row)
{
	struct timespec nap = { .tv_nsec = 1000 };
	pthread_t thread;
	char *memory = malloc(4 << 20);
	pid_t pid;

	memset(memory, 1, 4 << 20);
	free(memory);
	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		return 1;
	nanosleep(&nap, NULL);
	pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		return 2;
	return sysconf(_SC_NPROCESSORS_ONLN) > 0 ? 0 : 3;
}

static void an_ordinary_program_lives_under_both(void **state)
{
	assert_int_equal(in_child(false, live, NULL), 0);
	assert_int_equal(in_child(true, live, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tight_filter),
		cmocka_unit_test(the_wide_filter),
		cmocka_unit_test(an_ordinary_program_lives_under_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Compiles the system call filters while Europa is built, and prints them as C arrays. libseccomp takes a millisecond
 * or two for what is the same at every start of a VR.
 *
 * Both are lists of what is allowed. What is on no list fails with ENOSYS, as on a kernel that doesn't have it, so
 * that programs fall back to what they did before it was there; what is known and never to be had fails with EPERM,
 * which they report.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A data plane: memory, files, time, threads, waiting; no sockets. */
static const char *const tight[] = {
	/* input and output on what is open */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "lseek", "_llseek",
	"sendfile", "splice", "tee", "vmsplice", "copy_file_range", "dup", "dup2", "dup3", "close", "close_range", "fcntl",
	"flock", "fsync", "fdatasync", "sync_file_range", "ftruncate", "truncate", "fallocate", "fadvise64", "readahead",
	"pipe", "pipe2", "eventfd", "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd", "signalfd4",
	"memfd_create",
	/* waiting */
	"poll", "ppoll", "select", "pselect6", "_newselect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait",
	"epoll_pwait", "epoll_pwait2", "pause", "nanosleep", "clock_nanosleep", "sched_yield", "restart_syscall",
	/* files */
	"open", "openat", "openat2", "creat", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs", "access",
	"faccessat", "faccessat2", "readlink", "readlinkat", "getdents", "getdents64", "getcwd", "chdir", "fchdir", "umask",
	"mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "chmod", "fchmod", "fchmodat",
	"utimensat", "link", "linkat", "symlink", "symlinkat",
	/* memory */
	"brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "msync", "mincore", "mlock", "mlock2", "munlock", "mlockall",
	"munlockall", "membarrier", "pkey_alloc", "pkey_free", "pkey_mprotect",
	/* threads and processes */
	"futex", "futex_waitv", "set_robust_list", "get_robust_list", "set_tid_address", "rseq", "arch_prctl", "set_thread_area",
	"get_thread_area", "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "kill", "tkill",
	"tgkill", "getpid", "getppid", "gettid", "getpgid", "getpgrp", "setpgid", "getsid", "setsid", "getuid", "geteuid",
	"getgid", "getegid", "getresuid", "getresgid", "getgroups", "capget", "sched_getaffinity", "sched_setaffinity",
	"sched_getparam", "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "getpriority", "getcpu",
	"getrlimit", "setrlimit", "prlimit64", "getrusage", "times", "sysinfo", "uname", "getrandom",
	/* signals and time */
	"rt_sigaction", "rt_sigprocmask", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigqueueinfo",
	"rt_tgsigqueueinfo", "rt_sigreturn", "sigreturn", "sigaltstack", "alarm", "getitimer", "setitimer", "timer_create",
	"timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete", "time", "gettimeofday", "clock_gettime",
	"clock_getres",
};

/* Beside all that: shells, daemons, control planes. */
static const char *const wide[] = {
	"bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername", "getsockopt", "setsockopt", "shutdown",
	"send", "recv", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "socketpair",
	"inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "sync", "syncfs", "utime", "utimes",
	"futimesat", "chown", "fchown", "lchown", "fchownat", "mknod", "mknodat", "getxattr", "lgetxattr", "fgetxattr",
	"listxattr", "llistxattr", "flistxattr", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr",
	"fremovexattr", "name_to_handle_at", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid",
	"setfsgid", "setgroups", "capset", "setpriority", "sched_setparam", "sched_setscheduler", "sched_setattr",
	"sched_getattr", "ioprio_get", "ioprio_set", "sched_rr_get_interval", "pidfd_open", "pidfd_send_signal", "seccomp",
	"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "shmget", "shmat", "shmdt", "shmctl",
	"semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink",
	"mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr", "ipc", "io_setup", "io_destroy", "io_submit",
	"io_getevents", "io_cancel",
};

/* What a program may try, and is told that it may not. */
static const char *const refused[] = {
	"mount", "umount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_tree", "move_mount", "fsopen",
	"fsconfig", "fsmount", "fspick", "mount_setattr", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise",
	"pidfd_getfd", "kcmp", "keyctl", "add_key", "request_key", "bpf", "perf_event_open", "io_uring_setup", "io_uring_enter",
	"io_uring_register", "userfaultfd", "fanotify_init", "fanotify_mark", "open_by_handle_at", "init_module",
	"finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl",
	"quotactl_fd", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "sethostname", "setdomainname",
	"syslog", "iopl", "ioperm", "modify_ldt", "vhangup", "nfsservctl", "lookup_dcookie", "mbind", "set_mempolicy",
	"get_mempolicy", "migrate_pages", "move_pages", "set_mempolicy_home_node", "memfd_secret", "uselib", "ustat",
};

/* Refused where they are not on the list that is being compiled. */
static const char *const refused_to_tight[] = {
	"socket", "socketpair", "bind", "connect", "listen", "accept", "accept4", "sendto", "recvfrom", "sendmsg", "recvmsg",
	"sendmmsg", "recvmmsg", "chown", "fchown", "lchown", "fchownat", "mknod", "mknodat", "setuid", "setgid", "setreuid",
	"setregid", "setresuid", "setresgid", "setgroups", "capset", "personality",
};

#define NAMESPACES ((uint64_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
			       CLONE_NEWNET | 0x80 /* CLONE_NEWTIME */))

static const uint64_t prctls[] = {
	PR_SET_NAME, PR_GET_NAME, PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_SET_DUMPABLE, PR_GET_DUMPABLE, PR_SET_TIMERSLACK,
	PR_GET_TIMERSLACK, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_SECUREBITS,
	PR_GET_KEEPCAPS, PR_GET_TID_ADDRESS, PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER, PR_SET_THP_DISABLE,
	PR_GET_THP_DISABLE, 0x53564d41 /* PR_SET_VMA */,
};
static const uint64_t wide_prctls[] = { PR_SET_KEEPCAPS, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_CAP_AMBIENT };

__attribute__((noreturn)) static void give_up(const char *what, int err)
{
	fprintf(stderr, "seccomp: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void add(scmp_filter_ctx filter, uint32_t action, const char *name)
{
	int number = seccomp_syscall_resolve_name(name), err;

	if (number < 0)
		return;                 /* this architecture or libseccomp doesn't have it: ENOSYS then */
	err = seccomp_rule_add(filter, action, number, 0);
	if (err)
		give_up(name, err);
}

#define ADD_ALL(filter, action, names) \
	for (size_t i_ = 0; i_ < sizeof(names) / sizeof((names)[0]); i_++) \
		add(filter, action, (names)[i_])

static void add_compared(scmp_filter_ctx filter, const char *name, unsigned n, struct scmp_arg_cmp *compared)
{
	int err = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(name), n, compared);

	if (err)
		give_up(name, err);
}

/*
 * clone() without namespaces. clone3() has its flags in memory, where no filter sees them: it isn't there, and
 * libraries take clone().
 */
static void add_clone(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp no_namespaces = SCMP_A0(SCMP_CMP_MASKED_EQ, NAMESPACES, 0);

	add_compared(filter, "clone", 1, &no_namespaces);
}

static void add_prctl(scmp_filter_ctx filter, const uint64_t *options, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct scmp_arg_cmp option = SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, options[i]);

		add_compared(filter, "prctl", 1, &option);
	}
}

/* Of the families, none that talks to a hypervisor or to the kernel's cryptography. */
static void add_socket(scmp_filter_ctx filter)
{
	static const uint64_t families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET };

	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
		struct scmp_arg_cmp family = SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, families[i]);

		add_compared(filter, "socket", 1, &family);
	}
}

/* What it is now, or what it always is: nothing that makes exploits easier. */
static void add_personality(scmp_filter_ctx filter)
{
	static const uint64_t personas[] = { 0, 0xffffffff };

	for (size_t i = 0; i < sizeof personas / sizeof personas[0]; i++) {
		struct scmp_arg_cmp persona = SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, personas[i]);

		add_compared(filter, "personality", 1, &persona);
	}
}

static scmp_filter_ctx make_filter(bool is_wide)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

	if (!filter)
		give_up("init", -ENOMEM);
	seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);  /* a binary tree */
	ADD_ALL(filter, SCMP_ACT_ALLOW, tight);
	add(filter, SCMP_ACT_ALLOW, "ioctl");                   /* but see print_preamble() */
	ADD_ALL(filter, SCMP_ACT_ERRNO(EPERM), refused);
	add_clone(filter);
	add_prctl(filter, prctls, sizeof prctls / sizeof prctls[0]);
	if (!is_wide) {
		ADD_ALL(filter, SCMP_ACT_ERRNO(EPERM), refused_to_tight);
		return filter;
	}
	ADD_ALL(filter, SCMP_ACT_ALLOW, wide);
	add_prctl(filter, wide_prctls, sizeof wide_prctls / sizeof wide_prctls[0]);
	add_socket(filter);
	add_personality(filter);
	return filter;
}

static void print_instruction(struct sock_filter i)
{
	printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", i.code, i.jt, i.jf, i.k);
}

/*
 * ioctl() is allowed but for requests that put characters into a terminal. The kernel reads the request as 32 bits,
 * so these are what is compared: bits above them don't hide it. A list of what is allowed has no word for "all but",
 * so this stands before it.
 */
static void print_preamble(void)
{
	const unsigned refused_ioctls[] = { TIOCSTI, TIOCLINUX };
	const struct sock_filter preamble[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native() == SCMP_ARCH_X86_64 ? AUDIT_ARCH_X86_64
				: AUDIT_ARCH_AARCH64, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),     /* little-endian: the low half */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused_ioctls[0], 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused_ioctls[1], 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};

	for (size_t i = 0; i < sizeof preamble / sizeof preamble[0]; i++)
		print_instruction(preamble[i]);
}

/* libseccomp writes to a descriptor. */
static void print_filter(const char *name, bool is_wide)
{
	scmp_filter_ctx filter = make_filter(is_wide);
	int fd = memfd_create(name, MFD_CLOEXEC), err;
	struct sock_filter instruction;

	err = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);
	if (err)
		give_up(name, err);
	lseek(fd, 0, SEEK_SET);
	printf("static const struct sock_filter seccomp_%s[] = {\n", name);
	print_preamble();
	while (read(fd, &instruction, sizeof instruction) == sizeof instruction)
		print_instruction(instruction);
	printf("};\n");
	close(fd);
	seccomp_release(filter);
}

int main(void)
{
	printf("/* Made by runtime/seccomp/compile.c. */\n#include <linux/filter.h>\n");
	print_filter("tight", false);
	print_filter("wide", true);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * What the container tests run inside a VR (and, as `probe without ...`, around europa-run): one small static program
 * that looks about, tries what must not work, and prints what came of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, long result)
{
	printf("%s: %s\n", what, result < 0 ? strerror(errno) : "ok");
}

static int cat(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		char text[65536];
		int fd = open(argv[i], O_RDONLY);
		ssize_t got;

		if (fd < 0) {
			say(argv[i], -1);
			continue;
		}
		while ((got = read(fd, text, sizeof text)) > 0)
			fwrite(text, 1, (size_t)got, stdout);
		close(fd);
	}
	return 0;
}

/* NAME KIND of each entry. */
static int list(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *entry;

		if (!dir) {
			say(argv[i], -1);
			continue;
		}
		while ((entry = readdir(dir))) {
			struct stat st;

			if (entry->d_name[0] == '.' || fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
				continue;
			printf("%s %s", entry->d_name, S_ISDIR(st.st_mode) ? "directory" : S_ISLNK(st.st_mode) ? "link" :
			       S_ISREG(st.st_mode) ? "file" : "other");
			if (S_ISCHR(st.st_mode))
				printf(" %u:%u", major(st.st_rdev), minor(st.st_rdev));
			putchar('\n');
		}
		closedir(dir);
	}
	return 0;
}

/* Each descriptor's number and what it is, but for the one that looks. */
static int descriptors(int argc, char **argv)
{
	for (int fd = 0; fd < 1024; fd++) {
		char path[32], target[256];
		ssize_t length;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof target - 1);
		printf("%d %.*s\n", fd, length < 0 ? 1 : (int)length, length < 0 ? "?" : target);
	}
	return 0;
}

static int echo(int argc, char **argv)
{
	char text[4096];
	ssize_t got;

	while ((got = read(0, text, sizeof text)) > 0)
		if (write(1, text, (size_t)got) != got)
			return 1;
	return 0;
}

static int nap(int argc, char **argv)
{
	return usleep(20 * 1000);
}

static int write_to(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		int fd = open(argv[i], O_WRONLY | O_CREAT, 0644);

		say(argv[i], fd < 0 ? -1 : write(fd, "x", 1));
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

/* Process 1: its program, its memory, its life. */
static int attack_init(int argc, char **argv)
{
	char target[256];

	say("readlink exe", readlink("/proc/1/exe", target, sizeof target));
	say("open exe", open("/proc/1/exe", O_RDONLY));
	say("open mem", open("/proc/1/mem", O_RDWR));
	say("list fd", open("/proc/1/fd/0", O_RDONLY));
	say("enter root", open("/proc/1/root/etc", O_RDONLY));
	say("ptrace", ptrace(PTRACE_ATTACH, 1, 0, 0));
	return 0;
}

static const char *program_of(int pid, char *target, size_t size)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	length = readlink(path, target, size - 1);
	if (length < 0)
		return NULL;
	target[length] = 0;
	return target;
}

/* What of another process can be seen: where its program is, and whether its memory opens. */
static void spy_on(int pid, FILE *seen)
{
	char path[64], before[256], after[256];
	const char *program = program_of(pid, before, sizeof before), *now;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	now = program_of(pid, after, sizeof after);
	if (program)
		fprintf(seen, "exe %s\n", program);
	if (fd < 0)
		return;
	fprintf(seen, "mem %s\n", now ? now : program ? program : "?");
	close(fd);
}

/* Looks at all that comes and goes beside it until it is told to stop. */
static int spy(int argc, char **argv)
{
	FILE *seen = fopen("/tmp/seen", "w");

	if (!seen)
		return 1;
	puts("ready");
	fflush(stdout);
	while (access("/tmp/stop", F_OK)) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;

		while (proc && (entry = readdir(proc)))
			if (atoi(entry->d_name) > 1 && atoi(entry->d_name) != getpid())
				spy_on(atoi(entry->d_name), seen);
		if (proc)
			closedir(proc);
	}
	fprintf(seen, "end\n");
	fclose(seen);
	while (pause() < 0)
		;
	return 0;
}

/* The region's descriptors, as a program would use them that wants more than it was given. */
static int attack_region(int argc, char **argv)
{
	struct stat control, pool;
	void *map;

	if (fstat(3, &control) || fstat(4, &pool))
		return 1;
	say("shrink control", ftruncate(3, 0));
	say("shrink pool", ftruncate(4, 0));
	say("grow pool", ftruncate(4, pool.st_size + 4096));
	say("punch pool", fallocate(4, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	say("seal pool", fcntl(4, F_ADD_SEALS, F_SEAL_WRITE));
	say("seal control", fcntl(3, F_ADD_SEALS, F_SEAL_WRITE));
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
	say("map control to write", map == MAP_FAILED ? -1 : 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3, 0);
	say("map control to read", map == MAP_FAILED ? -1 : 0);
	say("protect control to write", mprotect(map, 4096, PROT_READ | PROT_WRITE));
	say("write control", write(3, "x", 1));
	say("open control again", open("/proc/self/fd/3", O_RDWR));
	say("chmod control", fchmod(3, 0666));
	say("chmod pool", fchmod(4, 0666));
	say("map pool to write", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 4, 0) == MAP_FAILED ? -1 : 0);
	return 0;
}

static int attack_terminal(int argc, char **argv)
{
	char c = 'x';
	unsigned long requests[] = { TIOCSTI, TIOCSTI | 1ul << 32, TIOCSTI | 0xffffffff00000000ul, TIOCLINUX };

	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
		say("inject", syscall(SYS_ioctl, 0, requests[i], &c));
	say("open /dev/tty", open("/dev/tty", O_RDWR));
	printf("session %d\n", getsid(0) == getsid(getppid()));
	return 0;
}

static int attack_kernel(int argc, char **argv)
{
	say("unshare", syscall(SYS_unshare, 0x10000000));
	say("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0));
	say("socket", socket(AF_INET, SOCK_DGRAM, 0));
	say("mknod", mknod("/tmp/null", S_IFCHR | 0666, makedev(1, 3)));
	say("setuid", syscall(SYS_setresuid, 0, 0, 0));
	return 0;
}

/* An orphan in the VR: its parent ends at once. */
static int orphan(int argc, char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (fork() == 0) {
			usleep(1000);
			_exit(0);
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	usleep(100 * 1000);
	return list(1, (char *[]){ (char *)"/proc" });
}

static volatile sig_atomic_t caught;
static void catch(int sig)
{
	caught = sig;
}

/* Says when it is ready, and exits with the number of the first signal that comes. */
static int wait_signal(int argc, char **argv)
{
	for (int sig = 1; sig < 32; sig++)
		signal(sig, catch);
	signal(SIGCHLD, SIG_DFL);
	puts("ready");
	fflush(stdout);
	while (!caught)
		usleep(1000);
	return caught;
}

static int print(int argc, char **argv)
{
	long lines = argc ? atol(argv[0]) : 1;

	for (long i = 0; i < lines; i++)
		printf("line %ld of what is printed by a program that has much to say about nothing in particular\n", i);
	return 0;
}

static int kill_self(int argc, char **argv)
{
	return kill(getpid(), argc ? atoi(argv[0]) : SIGKILL);
}

static int leave(int argc, char **argv)
{
	return argc ? atoi(argv[0]) : 0;
}

static int wait_for_ever(int argc, char **argv)
{
	while (pause() < 0)
		;
	return 0;
}

static const struct { const char *name; long number; } system_calls[] = {
	{ "openat2", SYS_openat2 }, { "close_range", SYS_close_range }, { "pidfd_open", SYS_pidfd_open },
	{ "mount_setattr", SYS_mount_setattr }, { "clone3", SYS_clone3 },
};

/* without NAME... -- COMMAND...: the command on a kernel that doesn't have these. */
static int without(int argc, char **argv)
{
	struct sock_filter filter[32] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
	struct sock_fprog program = { .len = 1, .filter = filter };

	for (; argc && strcmp(*argv, "--"); argc--, argv++)
		for (size_t i = 0; i < sizeof system_calls / sizeof system_calls[0]; i++) {
			if (strcmp(system_calls[i].name, *argv))
				continue;
			filter[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
									     system_calls[i].number, 0, 1);
			filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
									     SECCOMP_RET_ERRNO | ENOSYS);
		}
	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (argc < 2 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		return 99;
	execvp(argv[1], argv + 1);
	return 98;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(int argc, char **argv); } commands[] = {
		{ "cat", cat }, { "list", list }, { "echo", echo }, { "nap", nap }, { "descriptors", descriptors }, { "write", write_to },
		{ "attack-init", attack_init }, { "attack-region", attack_region }, { "attack-terminal", attack_terminal },
		{ "attack-kernel", attack_kernel }, { "spy", spy }, { "orphan", orphan }, { "signal", wait_signal },
		{ "print", print }, { "kill", kill_self }, { "exit", leave }, { "wait", wait_for_ever }, { "without", without },
	};

	for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	return 97;
}

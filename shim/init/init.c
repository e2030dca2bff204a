/* SPDX-License-Identifier: MIT */
/*
 * europa-init: process 1 of every VR, and the only privileged code inside one. It is started by the runtime from a
 * sealed copy of its file, as the VR's root, in all the VR's namespaces; gets its orders at HANDSHAKE_FD
 * (runtime/handshake.h), drops privilege, starts the data plane, passes signals on to it, reaps what is orphaned, and
 * exits with the data plane's status.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/fault.h"
#include "runtime/handshake.h"
#include "shim/init/privilege.h"

extern char **environ;
static struct init_plan plan;

#ifdef EUROPA_FAULTS
bool fault_wanted(const char *step)
{
	return strcmp(plan.fault, step) == 0;
}
#endif

__attribute__((noreturn)) static void give_up(const struct error *e, bool exec)
{
	struct handshake_message message = { .kind = HANDSHAKE_FAILED, .code = e->code, .exec = exec };

	memcpy(message.text, e->text, sizeof message.text);
	/* Not send(): the filter, which may be in force already, knows no sockets. */
	if (write(HANDSHAKE_FD, &message, sizeof message) < 0)
		_exit(124);             /* nobody listens */
	_exit(125);
}

static int receive_plan(struct error *e)
{
	ssize_t got = recv(HANDSHAKE_FD, &plan, sizeof plan, 0);

	if (got == 0)
		_exit(125);             /* the supervisor is gone */
	if (got < 0)
		return fail(e, errno, "europa-init: no orders");
	if ((size_t)got < offsetof(struct init_plan, filter) || plan.size != (size_t)got ||
	    init_plan_size(&plan) != plan.size)
		return refuse(e, "europa-init is not of the same version as europa-run");
	return 0;
}

/* LISTEN_PID names the process that the descriptors are for, which is known only now. */
static void announce_descriptors(void)
{
	static char text[32];

	if (!plan.region_fds)
		return;
	for (char **variable = environ; *variable; variable++) {
		if (strncmp(*variable, "LISTEN_PID=", 11))
			continue;
		snprintf(text, sizeof text, "LISTEN_PID=%d", (int)getpid());
		*variable = text;
	}
}

static void default_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * The program's own PATH is searched where its name has no slash. Not execvp(): that would hand what the kernel can't
 * execute to a shell, whose absence would then be what the user is told about. Returns errno.
 */
static int execute(char **argv)
{
	const char *path = getenv("PATH");
	char candidate[4096];
	int err = ENOENT;

	/* The empty name is nowhere: in a directory of PATH it would be the directory. */
	if (!argv[0][0] || strchr(argv[0], '/')) {
		execv(argv[0], argv);
		return errno;
	}
	for (path = path ? path : "/usr/local/bin:/usr/bin:/bin"; ; path++) {
		int length = (int)strcspn(path, ":"), printed;

		printed = snprintf(candidate, sizeof candidate, "%.*s/%s", length, path, argv[0]);
		if (length && printed < (int)sizeof candidate) {
			execv(candidate, argv);
			if (errno != ENOENT && errno != ENOTDIR)
				err = errno;
		}
		path += length;
		if (!*path)
			return err;
	}
}

__attribute__((noreturn)) static void become(char **argv)
{
	struct error e = { 0 };

	announce_descriptors();
	default_signals();
	if (fault_inject("rlimits", &e) || rlimits_set(&plan.rlimits, &e))
		give_up(&e, false);
	if (!fault_inject("exec", &e))
		fail(&e, execute(argv), "exec \"%s\"", argv[0]);
	give_up(&e, true);
}

static int status_of(const siginfo_t *info)
{
	return info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}

/* Reaps all that has ended; the data plane's end is init's own, and with it that of all that is left in here. */
static void reap(pid_t program)
{
	siginfo_t info;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) || info.si_pid == 0)
			return;
		if (info.si_pid == program)
			_exit(status_of(&info));
	}
}

__attribute__((noreturn)) static void attend(pid_t program, const sigset_t *signals)
{
	for (;;) {
		int sig = sigwaitinfo(signals, NULL);

		if (sig == SIGCHLD)
			reap(program);
		else if (sig > 0)
			kill(program, sig);
	}
}

int main(int argc, char **argv)
{
	struct error e = { 0 };
	sigset_t all;
	pid_t program;

	if (argc < 2)
		return 125;
	/* Blocked, not ignored or handled: process 1 gets no signal that it doesn't wait for, and loses none. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (receive_plan(&e))
		give_up(&e, false);
	setsid();
	if (privilege_drop(&plan, &e))
		give_up(&e, false);
	if (plan.direct)
		become(argv + 1);
	if (fault_inject("fork", &e))
		give_up(&e, false);
	program = plan.restored ? (pid_t)plan.restored : fork();
	if (program == 0) {
		/* A tree of processes is checkpointed whole only where its first one leads a session. */
		setsid();
		become(argv + 1);
	}
	if (program < 0) {
		fail(&e, errno, "can't fork");
		give_up(&e, false);
	}
	for (int fd = 3; fd <= HANDSHAKE_FD; fd++)
		close(fd);
	attend(program, &all);
}

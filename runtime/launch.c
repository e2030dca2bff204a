/* SPDX-License-Identifier: MIT */
/*
 * In the foreground the supervisor is this process, with the caller's stdio; detached it is a child of it, and this one returns as
 * soon as the data plane runs, or can't.
 */
#include "runtime/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/command.h"
#include "runtime/container.h"
#include "runtime/error.h"
#include "runtime/init.h"
#include "runtime/supervise.h"

/* How a start ended, as the detached supervisor tells it to whoever waits. */
struct report {
	int status;                /* 0: it runs */
	char name[VR_NAME_MAX];
	struct error error;
};

static int start(struct container *c, struct vr_spec *spec, struct restored *restored, struct report *report)
{
	int err = container_start(c, spec, restored, &report->error);

	strcpy(report->name, spec->name);
	if (err)
		report->status = c->exec_failed ? init_exec_status(-err) : EXIT_OWN_ERROR;
	return report->status;
}

static int run_here(const char *command, struct vr_spec *spec, struct restored *restored)
{
	struct report report = { 0 };
	struct container container;
	sigset_t forwarded;

	supervise_block_signals(&forwarded);
	if (start(&container, spec, restored, &report))
		return command_failed(command, &report.error, report.status);
	container.exit_status = supervise(&container, &forwarded);
	container_end(&container);
	return container.exit_status;
}

/*
 * Nothing of the caller is held: not its directory, its terminal, nor the pipe that it may read our output from. The pipe goes last: at its end
 * of file the caller may take all of it for done.
 */
static void leave_caller(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	umask(022);
	if (chdir("/")) {
		/* Then it stays where it is, and so does whatever is mounted there. */
	}
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

/* true: whoever asked for the VR knows now that it runs. Else he was interrupted before that. */
static bool tell(int caller, const struct report *report)
{
	char heard;

	return send(caller, report, sizeof *report, MSG_NOSIGNAL) == sizeof *report && recv(caller, &heard, 1, 0) == 1;
}

__attribute__((noreturn)) static void run_detached(struct vr_spec *spec, struct restored *restored, int caller)
{
	struct report report = { 0 };
	struct container container;
	sigset_t forwarded;
	int status;

	setsid();
	supervise_block_signals(&forwarded);
	status = start(&container, spec, restored, &report);
	if (!tell(caller, &report) && !status) {
		/* Nobody knows of it, so it is not to be. */
		spec->rm = true;
		container_end(&container);
		status = EXIT_OWN_ERROR;
	}
	if (status)
		_exit(status);
	close(caller);
	leave_caller();
	container.exit_status = supervise(&container, &forwarded);
	container_end(&container);
	_exit(container.exit_status);
}

/* A VR whose name nobody was told is not to be. */
static int print_name(struct report *report)
{
	int error;

	puts(report->name);
	error = command_flush();
	return error ? fail(&report->error, error, "cannot print the name \"%s\"", report->name) : 0;
}

/* Waits for the report; a signal that ends us comes first or not at all, and then the supervisor gets no answer. */
static int hear(int supervisor, const sigset_t *ending, struct report *report)
{
	auto_close int signals = signalfd(-1, ending, SFD_CLOEXEC);
	struct pollfd wait[] = { { .fd = supervisor, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;
	bool heard;

	while (poll(wait, 2, -1) < 0 && errno == EINTR)
		;
	if (wait[1].revents && read(signals, &info, sizeof info) == sizeof info)
		return 128 + (int)info.ssi_signo;
	heard = recv(supervisor, report, sizeof *report, 0) == sizeof *report;
	if (heard && !report->status && print_name(report)) {
		report->status = EXIT_OWN_ERROR;
	} else if (!heard || send(supervisor, "", 1, MSG_NOSIGNAL) != 1) {
		report->status = EXIT_OWN_ERROR;
		refuse(&report->error, "the supervisor died while it made the virtual router");
	}
	return 0;
}

static int detach(const char *command, struct vr_spec *spec, struct restored *restored)
{
	struct report report = { 0 };
	sigset_t ending;
	int ends[2], interrupted;
	pid_t pid;

	supervise_block_signals(&ending);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return fail(&report.error, errno, "socketpair"), command_failed(command, &report.error, EXIT_OWN_ERROR);
	pid = fork();
	if (pid < 0)
		return fail(&report.error, errno, "can't fork"), command_failed(command, &report.error, EXIT_OWN_ERROR);
	if (pid == 0) {
		close(ends[0]);
		run_detached(spec, restored, ends[1]);
	}
	close(ends[1]);
	sigdelset(&ending, SIGWINCH);
	sigdelset(&ending, SIGCONT);
	interrupted = hear(ends[0], &ending, &report);
	if (interrupted)
		return interrupted;
	if (!report.status)
		return 0;
	/* Nothing of it is left when we return. */
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return command_failed(command, &report.error, report.status);
}

int launch(const char *command, struct vr_spec *spec, struct restored *restored)
{
	struct error e = { 0 };

	if (geteuid() != 0)
		return refuse(&e, "only root can make a virtual router"), command_failed(command, &e, EXIT_OWN_ERROR);
	return spec->detach ? detach(command, spec, restored) : run_here(command, spec, restored);
}

/* SPDX-License-Identifier: MIT */
#include "runtime/supervise.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/cleanup.h"
#include "runtime/container.h"
#include "runtime/error.h"

#define ADOPT_RETRY_MS 200

enum source { SOURCE_EXIT, SOURCE_SIGNAL, SOURCE_LOG, SOURCE_SWITCH, SOURCE_CHECKPOINT, SOURCE_TOOL };

struct loop {
	struct container *c;
	int epoll, signals;
	bool orphaned;             /* the switch has died, and there is no new one yet */
	bool complained;           /* ... and that has been said */
};

void supervise_block_signals(sigset_t *forwarded)
{
	static const int signals[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT,
	};

	sigemptyset(forwarded);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		sigaddset(forwarded, signals[i]);
	sigprocmask(SIG_BLOCK, forwarded, NULL);
	/* A reader of our output that is gone must not end the VR. */
	signal(SIGPIPE, SIG_IGN);
}

/* To whoever looks after the VR: its log, or the terminal. */
static void note(struct container *c, const char *text)
{
	char line[600];
	int length = snprintf(line, sizeof line, "europa-run: %s\n", text);

	if (length >= (int)sizeof line)
		length = sizeof line - 1;
	if (c->spec->detach)
		logfile_write(&c->log, line, (size_t)length);
	else
		fputs(line, stderr);
}

static void watch(struct loop *l, int fd, enum source source)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.u32 = source };

	if (fd >= 0)
		epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void forward_signal(struct loop *l)
{
	struct signalfd_siginfo info;

	while (read(l->signals, &info, sizeof info) == sizeof info)
		syscall(SYS_pidfd_send_signal, l->c->pidfd, (int)info.ssi_signo, NULL, 0);
}

/* All that is there now. */
static void copy_log(struct container *c)
{
	char text[16384];
	ssize_t got;

	while (c->log_read >= 0 && (got = read(c->log_read, text, sizeof text)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return;
		logfile_write(&c->log, text, (size_t)got);
	}
	/* All writers are gone. */
	if (c->log_read >= 0)
		close(c->log_read);
	c->log_read = -1;
}

static void adopt(struct loop *l)
{
	struct error e = { 0 };

	l->orphaned = container_adopt(l->c, &e) < 0;
	if (!l->orphaned) {
		note(l->c, "the switch has died, another one has taken the virtual router over");
		watch(l, l->c->backend.fd, SOURCE_SWITCH);
	} else if (!l->complained) {
		context(&e, "the switch has died, and no other one can take the virtual router over yet");
		note(l->c, e.text);
	}
	l->complained = l->orphaned;
}

static void switch_died(struct loop *l)
{
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->c->backend.fd, NULL);
	serve_abandon(&l->c->checkpoint, &l->c->backend);
	/* The next switch would know of no fence, and send what is in the checkpoint: the VR's end is under way. */
	if (!l->c->checkpoint.committed)
		adopt(l);
}

static void accept_tool(struct loop *l)
{
	bool had = l->c->checkpoint.tool >= 0;

	serve_accept(&l->c->checkpoint);
	if (!had)
		watch(l, l->c->checkpoint.tool, SOURCE_TOOL);
}

/*
 * A checkpoint that is valid ends the VR at once: what it would forward from now on is in the checkpoint. And there is nothing that its state
 * directory could still tell.
 */
static void hear_tool(struct loop *l)
{
	struct container *c = l->c;
	struct error ignored = { 0 };

	if (c->checkpoint.tool < 0)
		return;
	serve_tool(&c->checkpoint, &c->backend, c->has_region ? &c->region : NULL);
	if (!c->checkpoint.committed)
		return;
	c->spec->rm = true;
	/*
	 * All that runs in its pid namespace ends with process 1. Not cgroups_kill(): the module's worker is in the group as long as the
	 * VR is registered.
	 */
	syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
	if (cgroups_frozen(c->cgroup))
		cgroups_thaw(c->cgroup, &ignored);
}

/* false: process 1 has ended. */
static bool handle(struct loop *l, const struct epoll_event *event)
{
	switch ((enum source)event->data.u32) {
	case SOURCE_EXIT:
		return false;
	case SOURCE_SIGNAL:
		forward_signal(l);
		break;
	case SOURCE_LOG:
		copy_log(l->c);
		break;
	case SOURCE_SWITCH:
		if (event->events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
			switch_died(l);
		break;
	case SOURCE_CHECKPOINT:
		accept_tool(l);
		break;
	case SOURCE_TOOL:
		hear_tool(l);
		break;
	}
	return true;
}

static void run_loop(struct loop *l)
{
	struct epoll_event events[4];

	for (;;) {
		int n = epoll_wait(l->epoll, events, 4, l->orphaned ? ADOPT_RETRY_MS : -1);

		for (int i = 0; i < n; i++)
			if (!handle(l, &events[i]))
				return;
		if (n == 0)
			adopt(l);
	}
}

int supervise(struct container *c, const sigset_t *forwarded)
{
	auto_close int epoll = epoll_create1(EPOLL_CLOEXEC);
	auto_close int signals = signalfd(-1, forwarded, SFD_CLOEXEC | SFD_NONBLOCK);
	struct loop loop = { .c = c, .epoll = epoll, .signals = signals };
	int status;

	watch(&loop, c->pidfd, SOURCE_EXIT);
	watch(&loop, signals, SOURCE_SIGNAL);
	watch(&loop, c->log_read, SOURCE_LOG);
	watch(&loop, c->checkpoint.listener, SOURCE_CHECKPOINT);
	if (c->registered)
		watch(&loop, c->backend.fd, SOURCE_SWITCH);
	run_loop(&loop);
	status = container_reap(c);
	copy_log(c);
	return status;
}

// SPDX-License-Identifier: MIT
/*
 * europad: the switch in user mode. Started by the first europa-run that needs it, gone after the last VR, unless
 * --keep.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/descriptors.h"
#include "runtime/engine/control.h"
#include "runtime/engine/device.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/janitor.h"
#include "runtime/engine/log.h"
#include "runtime/engine/packet.h"
#include "runtime/run_dir.h"

static const char usage[] =
	"usage: europad [--keep] [--foreground]\n"
	"\n"
	"The user-mode switch of Europa's virtual routers. europa-run starts it where it isn't running; it ends with the\n"
	"last virtual router.\n"
	"\n"
	"  --keep         go on without a virtual router\n"
	"  --foreground   stay in the foreground, log to standard error\n"
	"  --version      print the version\n"
	"  --help         print this\n"
	"\n"
	"Its socket, lock and log are in $EUROPA_RUN_DIR (default /run/europa).\n";

struct options {
	bool keep, foreground;
	bool locked;                /* whoever starts it holds the lock, and waits until the socket is there */
	const char *run_dir;
};

/* As the commands have it: a script must not take half of the output for all of it; a reader that has gone has what it wanted. */
__attribute__((noreturn)) static void print_and_exit(const char *text)
{
	if ((fputs(text, stdout) != EOF && fflush(stdout) == 0) || errno == EPIPE)
		exit(0);
	fprintf(stderr, "europad: cannot write to standard output: %s\n", strerror(errno));
	exit(125);
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "keep", no_argument, NULL, 'k' }, { "foreground", no_argument, NULL, 'f' },
		{ "locked", no_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int c;

	o->run_dir = run_dir_chosen();
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'k':
			o->keep = true;
			break;
		case 'f':
			o->foreground = true;
			break;
		case 'l':
			o->locked = true;
			break;
		case 'V':
			print_and_exit("europad " EUROPA_VERSION "\n");
		case 'h':
			print_and_exit(usage);
		default:
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "europad: \"%s\": no arguments are expected, see --help\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

/* Signals come as a descriptor; SIGPIPE not at all. Before any thread is started. */
static int open_signals(struct error *e)
{
	sigset_t ends;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_SETMASK, &ends, NULL);
	fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? fail(e, errno, "signalfd") : fd;
}

/* A VR takes four and more, and the usual limit is for programs that use select(): as many as may be. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * Nothing of whoever happened to start the switch is kept: no terminal, session or descriptor. The parent waits
 * until the socket is there and exits; what the child has to say goes to the log from here on.
 */
static int go_to_background(const char *run_dir, struct error *e)
{
	char path[4096];
	auto_close int log = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t child;

	snprintf(path, sizeof path, "%s/switch.log", run_dir);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0 || null < 0)
		return fail(e, errno, "cannot open \"%s\"", log < 0 ? path : "/dev/null");
	child = fork();
	if (child < 0)
		return fail(e, errno, "cannot fork");
	if (child > 0)
		_exit(0);
	setsid();
	dup2(null, STDIN_FILENO);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	return 0;
}

/* The socket is there and whoever connects is served; and all of it that is slow comes after that. */
static int start(const struct options *o, struct control *control, struct engine *engine, struct error *e)
{
	auto_close int lock = -1;
	int r = geteuid() ? refuse(e, "only root can run the switch") : run_dir_make(o->run_dir, e);

	if (r < 0)
		return r;
	control->signals = open_signals(e);
	if (control->signals < 0)
		return control->signals;
	if (!o->locked) {
		lock = control_lock(o->run_dir, true, e);
		if (lock < 0)
			return lock;
	}
	r = control_listen(o->run_dir, e);
	if (r < 0)
		return r;
	control->listener = r;
	r = devices_open(engine, o->run_dir, e);
	if (r == 0 && !o->foreground)
		r = go_to_background(o->run_dir, e);
	return r;
}

static int run(struct control *control, struct engine *engine, struct error *e)
{
	int r = janitor_start(e);

	if (r < 0)
		return r;
	r = poll_start(engine, e);
	if (r < 0)
		return r;
	r = packet_start_spares(e);
	if (r < 0)
		return r;
	note("europad " EUROPA_VERSION " serves %s", control->run_dir);
	r = control_run(control, engine, e);
	poll_stop(engine);
	janitor_stop();
	packet_stop_spares();
	return r;
}

static void leave_nothing(const struct control *control, struct engine *engine)
{
	char path[4096];

	if (control->listener < 0)
		return;
	snprintf(path, sizeof path, "%s/%s", control->run_dir, EUROPA_SWITCH_SOCKET);
	unlink(path);
	devices_close(engine, control->run_dir);
}

int main(int argc, char **argv)
{
	static struct engine engine;
	struct options options = { 0 };
	struct control control = { .listener = -1, .signals = -1 };
	struct error e = { 0 };

	if (parse_options(argc, argv, &options) < 0)
		return 125;
	if (descriptors_tidy(&e) < 0) {
		fprintf(stderr, "europad: %s\n", e.text);
		return 125;
	}
	allow_descriptors();
	umask(077);
	if (chdir("/") < 0)
		return 125;
	control.run_dir = options.run_dir;
	control.keep = options.keep;
	if (start(&options, &control, &engine, &e) < 0 || run(&control, &engine, &e) < 0) {
		fprintf(stderr, "europad: %s\n", e.text);
		leave_nothing(&control, &engine);
		return 125;
	}
	note("no virtual router is left");
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * europa-exec: a command inside a VR, confined as its data plane is. Three processes take part:
 *
 *	this one    stays on the host, waits, passes signals on
 *	the scout   goes into the VR's control group and namespaces, makes the third there, and ends
 *	the third   a child of this one (CLONE_PARENT), in all of the VR's namespaces: becomes a sealed europa-init, which drops
 *	            privilege and becomes the command
 *
 * From before it enters the namespaces until the command runs, nobody in the VR can look into any of them.
 */
#include <errno.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups/cgroups.h"
#include "runtime/cleanup.h"
#include "runtime/command.h"
#include "runtime/descriptors.h"
#include "runtime/error.h"
#include "runtime/handshake.h"
#include "runtime/image.h"
#include "runtime/init.h"
#include "runtime/namespace.h"
#include "runtime/privilege.h"
#include "runtime/quantity.h"
#include "runtime/supervise.h"
#include "runtime/sweep.h"

enum { OPTION_USER = 'u', OPTION_ENV = 'e', OPTION_WORKDIR = 'w' };

const struct command_option exec_options[] = {
	{ OPTION_USER, "user", "UID[:GID]", "run as this user of the VR (default: the data plane's)", NULL },
	{ OPTION_ENV, "env", "NAME=VALUE", "a variable more", NULL },
	{ OPTION_WORKDIR, "workdir", "DIR", "working directory in the VR", NULL },
	OPTIONS_END
};

struct request {
	const char *name;
	char **command;
	const char *user, *workdir;
	char **env;                /* NAME=VALUE, NULL-terminated, room for all of argv */
	size_t env_count;
};

#define VR_NAMESPACES (NAMESPACE_FLAGS | CLONE_NEWNET | CLONE_NEWCGROUP)

static int add_variable(struct request *r, const struct arguments *a, struct error *e)
{
	const char *equals = strchr(a->value, '=');

	if (!equals || !quantity_env_name(a->value, (size_t)(equals - a->value)))
		return arguments_expected(a, e, "NAME=VALUE");
	r->env[r->env_count++] = (char *)a->value;
	return 0;
}

static int parse(struct request *r, int argc, char **argv, struct error *e)
{
	struct arguments a = ARGUMENTS(argc, argv, exec_options);
	uint32_t uid, gid;
	int key, err = 0;

	a.operands_last = true;
	r->env = calloc((size_t)argc + 1, sizeof *r->env);
	if (!r->env)
		return fail(e, ENOMEM, "cannot keep the options");
	while (!err && !r->name && (key = arguments_next(&a, e)) != ARGUMENT_END) {
		if (key < 0)
			return key;
		switch (key) {
		case ARGUMENT_OPERAND:
			r->name = a.value;
			break;
		case OPTION_USER:
			r->user = a.value;
			err = user_parse(a.value, &uid, &gid, e);
			break;
		case OPTION_ENV:
			err = add_variable(r, &a, e);
			break;
		case OPTION_WORKDIR:
			r->workdir = a.value;
			if (a.value[0] != '/')
				err = arguments_expected(&a, e, "an absolute path");
			break;
		}
	}
	if (err)
		return err;
	if (a.at < argc && strcmp(argv[a.at], "--") == 0)
		a.at++;
	r->command = argv + a.at;
	if (!r->name || !r->command[0])
		return refuse(e, "expected a virtual router and a command, as in europa-exec ipfwd-1 /bin/ipfwd --version");
	return 0;
}

static int check_running(const struct vr_state *state, struct error *e)
{
	if (state->status == VR_PAUSED)
		return refuse(e, "virtual router \"%s\" is paused: nothing can run in it", state->name);
	if (state->status != VR_RUNNING || !state->init.pid)
		return refuse(e, "virtual router \"%s\" is not running, but %s", state->name,
			      state_status_name(state->status));
	return 0;
}

/* The variables of the image, then those of the command line, which win: a later one replaces an earlier one. */
static char **merge_environment(char *const *image, const struct request *r)
{
	size_t n = 0, count = 0;
	char **merged;

	while (image && image[count])
		count++;
	merged = calloc(count + r->env_count + 1, sizeof *merged);
	for (size_t i = 0; merged && i < count + r->env_count; i++) {
		char *variable = i < count ? image[i] : r->env[i - count];
		size_t length = strcspn(variable, "=") + 1, at = 0;

		while (at < n && strncmp(merged[at], variable, length))
			at++;
		merged[at] = variable;
		n += at == n;
	}
	return merged;
}

/* What the scout and the third process are made from. */
struct visit {
	struct cgroup_set *cgroup;
	int vr;                    /* pidfd of its process 1 */
	struct init_start init;
};

static int become_root(const struct visit *v, struct error *e)
{
	if (setgroups(0, NULL) || setresgid(0, 0, 0) || setresuid(0, 0, 0))
		return fail(e, errno, "can't become the VR's root");
	return namespace_arm(v->init.handshake, e);
}

__attribute__((noreturn)) static void give_up(const struct visit *v, const struct error *e)
{
	struct handshake_message message = { .kind = HANDSHAKE_FAILED, .code = e->code };

	memcpy(message.text, e->text, sizeof message.text);
	send(v->init.handshake, &message, sizeof message, MSG_NOSIGNAL);
	_exit(EXIT_OWN_ERROR);
}

__attribute__((noreturn)) static void be_third(const struct visit *v)
{
	struct error e = { 0 };
	int err = namespace_arm(v->init.handshake, &e);

	if (!err)
		err = become_root(v, &e);
	if (!err)
		init_become(&v->init, &e);
	give_up(v, &e);
}

__attribute__((noreturn)) static void scout(const struct visit *v)
{
	struct handshake_message made = { .kind = HANDSHAKE_MADE };
	struct error e = { 0 };
	int pidfd, err = namespace_arm(v->init.handshake, &e);

	if (!err)
		err = cgroups_enter(v->cgroup, 0, &e);
	if (!err && setns(v->vr, VR_NAMESPACES))
		err = fail(&e, errno, "can't enter the virtual router's namespaces");
	if (err)
		give_up(v, &e);
	made.code = namespace_clone(CLONE_PARENT, -1, &pidfd);
	if (made.code == 0)
		be_third(v);
	if (made.code < 0) {
		fail(&e, -made.code, "can't make a process in the virtual router");
		give_up(v, &e);
	}
	send(v->init.handshake, &made, sizeof made, MSG_NOSIGNAL);
	_exit(0);
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The third process's end; signals that come meanwhile are its. */
static int attend(pid_t pid, const sigset_t *forwarded)
{
	sigset_t set = *forwarded;
	int status;

	sigaddset(&set, SIGCHLD);
	for (;;) {
		int sig;

		if (waitpid(pid, &status, WNOHANG) == pid)
			return status_of(status);
		sig = sigwaitinfo(&set, NULL);
		if (sig > 0 && sig != SIGCHLD)
			kill(pid, sig);
	}
}

static int report(const struct error *e, bool exec_failed)
{
	return command_failed("exec", e, exec_failed ? init_exec_status(e->code) : EXIT_OWN_ERROR);
}

static void block_signals(sigset_t *forwarded)
{
	sigset_t children;

	supervise_block_signals(forwarded);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
}

/* Makes the third process and waits for its end. Returns the exit status of all. */
static int visit(struct visit *v, const struct vr_spec *spec)
{
	struct error e = { 0 };
	bool exec_failed = false;
	sigset_t forwarded;
	int ends[2], err, status;
	pid_t pid, third = 0;

	block_signals(&forwarded);
	if (rlimits_allow(&spec->rlimits, &e) || init_handshake(ends, &e) || init_send_plan(ends[0], spec, true, 0, &e))
		return report(&e, false);
	v->init.handshake = ends[1];
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		scout(v);
	}
	close(ends[1]);
	if (pid < 0)
		return fail(&e, errno, "can't fork"), report(&e, false);
	/* Where the third one fails at once, that may be heard first. */
	err = init_await(ends[0], HANDSHAKE_MADE, &third, &e);
	if (!err)
		err = init_await_exec(ends[0], &exec_failed, &e);
	waitpid(pid, &status, 0);
	if (err) {
		while (waitpid(-1, &status, 0) > 0)
			;
		return report(&e, exec_failed);
	}
	return attend(third, &forwarded);
}

static int replace(char **where, const char *text, struct error *e)
{
	char *copy = strdup(text);

	if (!copy)
		return fail(e, ENOMEM, "cannot keep the options");
	free(*where);
	*where = copy;
	return 0;
}

/* How the VR's own program is confined, with what the command line changes. */
static int find_confinement(const struct request *r, const struct vr_state *state, struct vr_spec *spec, struct error *e)
{
	int err;

	if (!state->bundle)
		return refuse(e, "virtual router \"%s\" has no image", state->name);
	err = image_load(state->bundle, spec, e);
	if (!err && r->user) {
		err = user_parse(r->user, &spec->uid, &spec->gid, e);
		spec->ngroups = 0;      /* the image's user's */
	}
	if (!err && r->workdir)
		err = replace(&spec->cwd, r->workdir, e);
	return err;
}

static int enter(const struct request *r, const struct vr_state *state, const struct vr_spec *spec, struct error *e)
{
	auto_free char **env = merge_environment(spec->env, r);
	auto_close int vr = process_open(&state->init), image = -1;
	struct visit v = { .vr = vr, .init = { .stdio = { -1, -1, -1 } } };
	int err, status;

	if (vr < 0)
		return refuse(e, "virtual router \"%s\" has just ended", state->name);
	image = v.init.image = init_image(e);
	if (image < 0)
		return image;
	v.init.argv = init_argv(r->command);
	v.init.envp = env ? init_envp(env, false) : NULL;
	if (!v.init.argv || !v.init.envp)
		return fail(e, ENOMEM, "the command's arguments");
	err = cgroups_open(state->name, &v.cgroup, e);
	if (err)
		return err;
	status = visit(&v, spec);
	cgroups_close(v.cgroup);
	free(v.init.argv);
	free(v.init.envp);
	return status;
}

int cmd_exec(int argc, char **argv)
{
	struct request r = { 0 };
	struct vr_state state = { 0 };
	struct vr_spec spec = { 0 };
	struct error e = { 0 };
	int status;

	status = descriptors_tidy(&e) ?: parse(&r, argc, argv, &e) ?: sweep_read(r.name, &state, &e);
	if (!status) {
		status = check_running(&state, &e) ?: find_confinement(&r, &state, &spec, &e) ?:
			 enter(&r, &state, &spec, &e);
		state_release(&state);
		spec_release(&spec);
	}
	free(r.env);
	return status < 0 ? command_failed("exec", &e, EXIT_OWN_ERROR) : status;
}

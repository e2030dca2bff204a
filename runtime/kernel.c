/* SPDX-License-Identifier: MIT */
#include "runtime/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/engine/rules.h"
#include "runtime/error.h"

static int open_device(void)
{
	int fd = open(EUROPA_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool kernel_is_there(void)
{
	auto_close int fd = open_device();

	return fd >= 0;
}

/* The module says in one line why it refused. */
static int refused(int fd, int code, struct error *e)
{
	char text[256];

	if (ioctl(fd, EUROPA_IOC_WHY, text) < 0 || !text[0])
		return fail(e, code, "\"" EUROPA_DEVICE "\" refuses");
	text[sizeof text - 1] = '\0';
	refuse(e, "%s", text);
	if (e)
		e->code = code;
	return -code;
}

static int call(int fd, unsigned long command, void *argument, struct error *e)
{
	int r;

	do
		r = ioctl(fd, command, argument);
	while (r < 0 && errno == EINTR);
	return r < 0 ? refused(fd, errno, e) : 0;
}

int kernel_register(const struct region *region, const char *name, unsigned flags, int netns, pid_t vr, int *out, struct error *e)
{
	struct europa_ioc_register reg = {
		.size = sizeof reg,
		.control = region->control, .pool = region->pool,
		.doorbell = region->doorbell_write, .kick = region->kick_read,
		.netns = netns, .pid = vr,
		.reg = { .size = sizeof reg.reg, .flags = flags, .geometry = region->geometry },
	};
	auto_close int fd = open_device();
	int r;

	if (fd < 0)
		return fail(e, -fd, "cannot open \"" EUROPA_DEVICE "\"");
	snprintf(reg.reg.name, sizeof reg.reg.name, "%s", name);
	r = call(fd, EUROPA_IOC_REGISTER, &reg, e);
	if (r == 0)
		*out = take_fd(&fd);
	return r;
}

/* What is compiled here; the kernel reads the rest of a rule by itself, and says what is wrong with it in the same words. */
static int attach(int fd, struct europa_attach *attach, struct error *e)
{
	const struct bpf_program *program;
	struct rule rule = { .kind = RULE_MAC };
	int r = 0;

	attach->rule[sizeof attach->rule - 1] = '\0';
	if (attach->kind == EUROPA_PORT_SHARED)
		r = rule_parse(attach->rule, &rule, e);
	if (r < 0)
		return context(e, "vNIC %u", attach->vnic);
	if (rule.kind == RULE_FILTER) {
		program = rule.filter;
		attach->filter_len = program->bf_len;
		attach->filter = (uintptr_t)program->bf_insns;
	}
	r = call(fd, EUROPA_IOC_ATTACH, attach, e);
	rule_release(&rule);
	attach->filter_len = 0;
	attach->filter = 0;
	return r;
}

int kernel_ask(int fd, const struct europa_request *request, struct europa_reply *reply, struct error *e)
{
	struct europa_request argument = *request;
	int r;

	memset(reply, 0, sizeof *reply);
	switch (request->verb) {
	case EUROPA_ATTACH:
		r = attach(fd, &argument.attach, e);
		reply->attach = argument.attach;
		break;
	case EUROPA_DETACH:
		r = call(fd, EUROPA_IOC_DETACH, &argument.detach, e);
		break;
	case EUROPA_QUIESCE:
		r = call(fd, EUROPA_IOC_QUIESCE, &argument.quiesce, e);
		break;
	case EUROPA_ASK:
		r = call(fd, EUROPA_IOC_ASK, &argument.ask, e);
		reply->request = argument.ask.request;
		break;
	default:
		r = call(fd, EUROPA_IOC_REFRESH, NULL, e);
		break;
	}
	reply->status = r;
	return r;
}

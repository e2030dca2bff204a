// SPDX-License-Identifier: MIT
/*
 * Every verb of the module with each of its allocations, and of its looks at the caller's memory, failing in turn: the first, then the second,
 * until one run has none left to fail (/proc/thread-self/fail-nth). A verb either gets by without, or says why it failed and has
 * changed nothing: right after it the same verb succeeds. What can only be undone by a verb must not fail at all. Whether memory is lost is
 * looked at by kmemleak when all is over. Frames that come in when nothing can be allocated are counted. A sender that is later than the end
 * of its device and of its VR touches nothing of either.
 *
 *	vm_failure_test SHARED LATE: files, shared/shared.ko and late/late.ko
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/vm/debug/supervisor.h"

#define MANY 2000               /* no verb has that many allocations */

static struct supervisor us, them;
static int fail_nth;
static const char *shared_ko, *late_ko;

/* ---- the machine ---- */

/* Where a failure is left over, writing is what fails, and then none is left. */
static void arm(unsigned n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	assert_true(pwrite(fail_nth, text, strlen(text), 0) > 0 || pwrite(fail_nth, text, strlen(text), 0) > 0);
}

/* true: the failure has happened. Looking can itself be what fails, where one was left. */
static bool disarm(void)
{
	char text[16] = "";
	bool happened = pread(fail_nth, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;

	arm(0);
	return happened;
}

/* Also what may sleep, and single pages. */
static void let_everything_fail(void)
{
	put("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	put("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	put("/sys/kernel/debug/failslab/verbose", "0");
	put("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	put("/sys/kernel/debug/fail_usercopy/verbose", "0");
}

/* ---- the verbs ---- */

static const struct sock_filter udp_only[] = {
	{ 0x28, 0, 0, 12 }, { 0x15, 0, 1, 0x0800 }, { 0x06, 0, 0, 0xffff }, { 0x06, 0, 0, 0 },
};

static const struct europa_attach
	own_device = { .kind = EUROPA_PORT_DEVICE },
	shared_by_mac = { .kind = EUROPA_PORT_SHARED, .device = "nic" },
	shared_by_prefix = { .kind = EUROPA_PORT_SHARED, .device = "nic", .rule = "ip 10.1.0.0/16" },
	shared_by_filter = { .kind = EUROPA_PORT_SHARED, .device = "nic", .rule = "filter ip", .filter_len = 4 },
	link_to_them = { .kind = EUROPA_PORT_VR, .peer = "them", .peer_vnic = 0 },
	link_to_us = { .kind = EUROPA_PORT_VR, .peer = "us", .peer_vnic = 0 },
	generator = { .kind = EUROPA_PORT_GENERATOR, .peer = "size=64,count=1000" },
	nothing = { .kind = EUROPA_PORT_NONE };

static const struct europa_attach *attached;    /* what the row at hand attaches */

static struct europa_geometry small(void)
{
	struct europa_geometry geo;

	geometry_choose(&geo, 2, 64, 0, 64, 2);
	return geo;
}

static void none(void)
{
}

static void renew(void)
{
	const struct europa_geometry geo = small();
	pid_t child = us.child;

	supervisor_free(&us);
	supervisor_make(&us, "us", &geo);
	us.child = child;
}

static void fresh_and_open(void)
{
	renew();
	assert_true(supervisor_open(&us) >= 0);
}

static void registered(void)
{
	fresh_and_open();
	assert_int_equal(supervisor_register(&us, 0), 0);
}

static void served_before(void)
{
	registered();
	supervisor_close(&us);
	assert_true(supervisor_open(&us) >= 0);
}

static int call_attach(void)
{
	struct europa_attach attach = *attached;

	if (attach.filter_len)
		attach.filter = (uintptr_t)udp_only;
	return supervisor_attach(&us, &attach);
}

static void is_attached(void)
{
	registered();
	assert_int_equal(call_attach(), 0);
}

static void is_quiesced(void)
{
	registered();
	assert_int_equal(supervisor_quiesce(&us, 1), 0);
}

static int call_open(void)
{
	int r = supervisor_open(&us);

	return r < 0 ? r : 0;
}


static int call_register(void) { return supervisor_register(&us, 0); }
static int call_adopt(void) { return supervisor_register(&us, EUROPA_REGISTER_ADOPT); }
static int call_detach(void) { return supervisor_detach(&us, 0); }
static int call_quiesce(void) { return supervisor_quiesce(&us, 1); }
static int call_go_on(void) { return supervisor_quiesce(&us, 0); }
static int call_ask(void) { return supervisor_ask(&us, EUROPA_ASK_SAVE); }
static int call_refresh(void) { return supervisor_refresh(&us); }
static int call_close(void) { return supervisor_close(&us); }

struct verb {
	const char *name;
	void (*before)(void);
	int (*call)(void);
	/* Makes it possible once more after a failure, where more than calling again is needed. */
	void (*again)(void);
	const struct europa_attach *attach;
	bool may_not_fail;
};

static const struct verb verbs[] = {
	{ "open", renew, call_open, none, NULL, false },
	/* What has been served once can only be adopted: whoever registered and failed begins with a new region. */
	{ "register", fresh_and_open, call_register, fresh_and_open, NULL, false },
	{ "adopt", served_before, call_adopt, none, NULL, false },
	{ "attach a device", registered, call_attach, none, &own_device, false },
	{ "attach a shared NIC by address", registered, call_attach, none, &shared_by_mac, false },
	{ "attach a shared NIC by prefix", registered, call_attach, none, &shared_by_prefix, false },
	{ "attach a shared NIC by filter", registered, call_attach, none, &shared_by_filter, false },
	{ "attach a link", registered, call_attach, none, &link_to_them, false },
	{ "attach a generator", registered, call_attach, none, &generator, false },
	{ "attach nothing", registered, call_attach, none, &nothing, false },
	{ "quiesce", registered, call_quiesce, none, NULL, false },
	{ "go on", is_quiesced, call_go_on, none, NULL, false },
	{ "ask for the state", registered, call_ask, none, NULL, false },
	{ "refresh", registered, call_refresh, none, NULL, true },
	{ "detach a device", is_attached, call_detach, none, &own_device, false },
	{ "detach a shared NIC", is_attached, call_detach, none, &shared_by_mac, false },
	{ "detach a shared NIC with a filter", is_attached, call_detach, none, &shared_by_filter, false },
	{ "detach a link", is_attached, call_detach, none, &link_to_them, false },
	{ "detach a generator", is_attached, call_detach, none, &generator, false },
	{ "close with nothing", registered, call_close, none, NULL, true },
	{ "close with a device", is_attached, call_close, none, &own_device, true },
	{ "close with a shared NIC", is_attached, call_close, none, &shared_by_mac, true },
	{ "close with a filter", is_attached, call_close, none, &shared_by_filter, true },
	{ "close with a link", is_attached, call_close, none, &link_to_them, true },
	{ "close with a generator", is_attached, call_close, none, &generator, true },
};

/* ---- what is asked of each ---- */

/* The network stack has other words for a device that it had no memory for. */
static bool is_lack(int r)
{
	return r == -ENOMEM || r == -EFAULT || strstr(supervisor_why(&us), "cannot make device");
}

/* One run with the n-th failure. false: there were fewer. */
static bool nth_fails(const struct verb *verb, unsigned n, unsigned *refused)
{
	bool happened;
	int r;

	verb->before();
	arm(n);
	r = verb->call();
	happened = disarm();
	if (r < 0 && (!happened || verb->may_not_fail || !is_lack(r)))
		fail_msg("%s: with failure %u (%s): errno %d: %s", verb->name, n, happened ? "happened" : "not reached", -r,
			 us.device >= 0 ? supervisor_why(&us) : "");
	if (r < 0) {
		*refused += 1;
		verb->again();
		r = verb->call();
		if (r < 0)
			fail_msg("%s: after failure %u was over: errno %d: %s", verb->name, n, -r,
				 us.device >= 0 ? supervisor_why(&us) : "");
	}
	supervisor_close(&us);
	return happened;
}

static void each_failure_is_survived(void **state)
{
	const struct verb *verb = *state;
	unsigned n, refused = 0;

	attached = verb->attach;
	for (n = 1; nth_fails(verb, n, &refused); n++)
		assert_true(n < MANY);
	print_message("# %s: %u failures, %u refused\n", verb->name, n - 1, refused);
}

/* ---- frames ---- */

/* Only what waits for memory gets any: system calls. */
static void starve_softirqs(void)
{
	put("/sys/kernel/debug/failslab/ignore-gfp-wait", "Y");
	put("/sys/kernel/debug/failslab/times", "1000000");
	put("/sys/kernel/debug/failslab/probability", "100");
}

static void feed_softirqs(void)
{
	put("/sys/kernel/debug/failslab/probability", "0");
	put("/sys/kernel/debug/failslab/times", "1");
	put("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
}

/* Frames that the shared NIC has counted as lost before anybody knew whose they were. */
static unsigned unseen(void)
{
	FILE *file = fopen("/sys/class/net/nic/statistics/rx_dropped", "r");
	unsigned n = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%u", &n), 1);
	fclose(file);
	return n;
}

static unsigned received(void)
{
	const struct europa_vnic_stats *stats = (const void *)(us.control + us.off.control_stats + sizeof(struct europa_vr_stats));

	return (unsigned)__atomic_load_n(&stats->rx_packets, __ATOMIC_RELAXED);
}

static void wait_for(unsigned (*what)(void), unsigned n)
{
	unsigned tries;

	for (tries = 0; what() < n && tries < 5000; tries++)
		usleep(1000);
	assert_int_equal(what(), n);
}

/* It comes in with its tag taken out of it. */
static void send_tagged(void)
{
	static const uint8_t frame[64] = { 0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x81, 0, 0, 5, 0x08, 0 };
	struct sockaddr_ll wire = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("wire") };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	assert_int_equal(sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&wire, sizeof(wire)), sizeof(frame));
	close(fd);
}

/* As the system call. */
static int load(const char *module, const char *parameters)
{
	int fd = open(module, O_RDONLY), r, error;

	assert_true(fd >= 0);
	r = (int)syscall(SYS_finit_module, fd, parameters, 0);
	error = errno;
	close(fd);
	errno = error;
	return r;
}

static void send_shared(void)
{
	assert_int_equal(load(shared_ko, "device=nic"), -1);
	assert_int_equal(errno, ECANCELED);
}

struct arrival {
	const char *name;
	void (*send)(void);
};

static const struct arrival arrivals[] = {
	{ "a tagged frame for a filter to look at", send_tagged },
	{ "a frame that somebody else holds", send_shared },
};

static void a_frame_without_memory_is_counted(void **state)
{
	static const struct sock_filter everything[] = { { 0x06, 0, 0, 0xffff } };
	const struct arrival *arrival = *state;
	const struct europa_attach attach = {
		.kind = EUROPA_PORT_SHARED, .device = "nic", .rule = "filter all", .filter_len = 1, .filter = (uintptr_t)everything,
	};
	unsigned lost;

	registered();
	assert_int_equal(supervisor_attach(&us, &attach), 0);
	lost = unseen();
	arrival->send();
	wait_for(received, 1);
	assert_int_equal(unseen(), lost);

	starve_softirqs();
	arrival->send();
	wait_for(unseen, lost + 1);
	feed_softirqs();

	arrival->send();
	wait_for(received, 2);
	assert_int_equal(unseen(), lost + 1);
	supervisor_close(&us);
}

static void late_sender_is_ready(void)
{
	registered();
	assert_int_equal(supervisor_attach(&us, &own_device), 0);
	assert_int_equal(load(late_ko, "device=us-v0"), 0);
}

static void late_sender_sends(void)
{
	assert_int_equal(syscall(SYS_delete_module, "late", 0), 0);
}

static unsigned device_is_gone(void)
{
	return access("/sys/class/net/us-v0", F_OK) < 0;
}

/* What it holds is the device, and neither the port in it nor the VR; KASAN sees whether it touches them. */
static void a_late_sender_touches_nothing(void **state)
{
	put("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");       /* nobody else sends by that device */
	late_sender_is_ready();
	late_sender_sends();
	wait_for(received, 1);          /* in time it is a sender like any other */
	supervisor_close(&us);

	late_sender_is_ready();
	assert_int_equal(system("ip link del us-v0 &"), 0);
	wait_for(device_is_gone, 1);
	supervisor_close(&us);
	late_sender_sends();
}

static int make_charged(void **state)
{
	us.child = fork();
	if (us.child == 0) {
		pause();
		_exit(0);
	}
	return us.child < 0;
}

static int end_charged(void **state)
{
	kill(us.child, SIGKILL);
	waitpid(us.child, NULL, 0);
	us.child = 0;
	return 0;
}

static int make(void **state)
{
	const struct europa_geometry geo = small();

	let_everything_fail();
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	assert_true(fail_nth >= 0);
	assert_int_equal(system("ip link add nic type veth peer name wire && ip link set nic up && ip link set wire up"), 0);
	supervisor_make(&us, "us", &geo);
	supervisor_make(&them, "them", &geo);
	assert_true(supervisor_open(&them) >= 0);
	assert_int_equal(supervisor_register(&them, 0), 0);
	assert_int_equal(supervisor_attach(&them, &link_to_us), 0);
	/* No page of this process' own is missing while something fails. */
	assert_int_equal(mlockall(MCL_CURRENT), 0);
	return 0;
}

static int unmake(void **state)
{
	munlockall();
	supervisor_free(&us);
	supervisor_free(&them);
	close(fail_nth);
	return system("ip link del nic");
}

int main(int argc, char **argv)
{
	enum { VERBS = sizeof(verbs) / sizeof(verbs[0]), ARRIVALS = sizeof(arrivals) / sizeof(arrivals[0]) };
	struct CMUnitTest tests[VERBS + 1 + ARRIVALS + 1] = { 0 };
	unsigned i;

	if (argc != 3)
		return 2;
	shared_ko = argv[1];
	late_ko = argv[2];
	for (i = 0; i < ARRIVALS; i++)
		tests[VERBS + 1 + i] = (struct CMUnitTest){ .name = arrivals[i].name, .test_func = a_frame_without_memory_is_counted,
							    .initial_state = (void *)&arrivals[i] };
	for (i = 0; i < VERBS; i++)
		tests[i] = (struct CMUnitTest){ .name = verbs[i].name, .test_func = each_failure_is_survived, .initial_state = (void *)&verbs[i] };
	tests[VERBS] = (struct CMUnitTest){ .name = "register, charged to a child", .test_func = each_failure_is_survived,
					    .setup_func = make_charged, .teardown_func = end_charged, .initial_state = (void *)&verbs[1] };
	tests[VERBS + 1 + ARRIVALS] = (struct CMUnitTest){ .name = "a sender that is late", .test_func = a_late_sender_touches_nothing };
	return cmocka_run_group_tests(tests, make, unmake);
}

// SPDX-License-Identifier: MIT
/* What becomes of frames that a device doesn't take at once, over a pair of devices in a network namespace of the test's own. */
#include "runtime/error.h"      /* cmocka has a fail of its own */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core_fixture.h"
#include "runtime/engine/packet.h"
#include "runtime/engine/port.h"
#include "runtime/engine/xsk.h"

#define FRAMES 10u

static struct member member;
static struct port port;
static struct packet_socket *sock;

static void run(const char *command)
{
	if (system(command))
		fail_msg("%s", command);
}

/* Frames go from "near" to "far". Who may not make a namespace has no socket, and skips the tests. */
static int make(void **state)
{
	struct error e = { 0 };

	sock = NULL;
	bed_setup(state);
	member = (struct member){ .vr = ((struct bed *)*state)->vr };
	port = (struct port){ .member = &member };
	if (unshare(CLONE_NEWNET) < 0)
		return 0;
	/* It would send as well. */
	run("[ ! -e /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
	run("ip link add near type veth peer name far && ip link set near up && ip link set far up");
	assert_int_equal(packet_open(&sock, PACKET_FRAMES, &e), 0);
	assert_int_equal(packet_bind(sock, (int)if_nametoindex("near"), false, &e), 0);
	return 0;
}

static int unmake(void **state)
{
	if (sock)
		packet_close(sock);
	((struct bed *)*state)->vr = member.vr;
	return bed_teardown(state);
}

static void needs_xdp(void)
{
	if (!sock || !sock->xsk)
		skip();
}

static void send_n(unsigned n, u32 len)
{
	static const u8 data[XSK_FRAME_MAX + 1] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };
	const struct tx_frame frame = { .data = (u8 *)data, .meta = { .len = len } };
	const struct tx_frame *frames[FRAMES];
	unsigned i;

	for (i = 0; i < n; i++)
		frames[i] = &frame;
	packet_send(sock, &port, frames, n);
}

static void send_frames(void)
{
	send_n(FRAMES, 60);
}

static unsigned long arrived(void)
{
	FILE *devices = fopen("/proc/net/dev", "r");
	unsigned long n = 0;
	char line[300];

	assert_non_null(devices);
	while (fgets(line, sizeof line, devices) && sscanf(line, " far: %*u %lu", &n) != 1)
		;
	fclose(devices);
	return n;
}

static u64 dropped(void)
{
	const u64 *drops = member.vr.vnic_stats[0].drops;
	u64 n = 0;
	unsigned cause;

	for (cause = 0; cause < EUROPA_DROPS; cause++)
		n += drops[cause];
	return n;
}

static void frames_leave_at_once(void **state)
{
	needs_xdp();
	send_frames();
	assert_int_equal(packet_unsent(sock), 0);
	assert_int_equal(arrived(), FRAMES);
	assert_int_equal(dropped(), 0);
}

/* Each is sent, or dropped, and never both. */
static void what_a_device_that_is_down_has_left_leaves_when_it_is_up(void **state)
{
	needs_xdp();
	run("ip link set near down");
	send_frames();
	assert_int_equal(packet_push(sock), 0);
	assert_int_equal(packet_unsent(sock), FRAMES);
	assert_int_equal(dropped(), 0);
	run("ip link set near up");
	assert_int_equal(packet_push(sock), 0);
	assert_int_equal(packet_unsent(sock), 0);
	assert_int_equal(arrived(), FRAMES);
	assert_int_equal(dropped(), 0);
}

/* A long one goes another way. */
static void nothing_overtakes_what_waits(void **state)
{
	struct packet_socket *listener;
	struct error e = { 0 };
	struct packet_frame frame;
	socklen_t size = sizeof(int);
	unsigned i;
	int error;

	needs_xdp();
	run("ip link set far mtu 2000 && ip link set near mtu 2000");
	assert_int_equal(packet_open(&listener, PACKET_FRAMES, &e), 0);
	assert_int_equal(packet_bind(listener, (int)if_nametoindex("far"), true, &e), 0);
	run("ip link set near down");
	send_frames();
	send_n(1, XSK_FRAME_MAX + 1);
	assert_int_equal(member.vr.vnic_stats[0].drops[EUROPA_DROP_TX_DOWN], 1);
	run("ip link set near up");
	getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &size);      /* that it was down, which a socket says once */
	send_n(1, XSK_FRAME_MAX + 1);
	for (i = 0; i <= FRAMES; i++, packet_next(listener)) {
		assert_true(packet_peek(listener, &frame));
		assert_int_equal(frame.meta.len, i < FRAMES ? 60 : XSK_FRAME_MAX + 1);
	}
	assert_false(packet_peek(listener, &frame));
	packet_close(listener);
}

static void what_it_has_no_room_for_is_dropped_as_down(void **state)
{
	unsigned n;

	needs_xdp();
	run("ip link set near down");
	for (n = 0; n < 1000; n += FRAMES)
		send_frames();
	assert_int_equal(dropped() + packet_unsent(sock), 1000);
	assert_int_equal(member.vr.vnic_stats[0].drops[EUROPA_DROP_TX_DOWN], dropped());
	assert_true(dropped() > 0);
}

/* Up, but the other end isn't. */
static void what_a_device_drops_later_is_said_then(void **state)
{
	needs_xdp();
	run("ip link set near down");
	send_frames();
	run("ip link set far down && ip link set near up");
	assert_int_equal(packet_push(sock), FRAMES);
	assert_int_equal(packet_unsent(sock), 0);
	assert_int_equal(packet_push(sock), 0);
	run("ip link set far up");
	assert_int_equal(arrived(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_leave_at_once, make, unmake),
		cmocka_unit_test_setup_teardown(what_a_device_that_is_down_has_left_leaves_when_it_is_up, make, unmake),
		cmocka_unit_test_setup_teardown(nothing_overtakes_what_waits, make, unmake),
		cmocka_unit_test_setup_teardown(what_it_has_no_room_for_is_dropped_as_down, make, unmake),
		cmocka_unit_test_setup_teardown(what_a_device_drops_later_is_said_then, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

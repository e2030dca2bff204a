// SPDX-License-Identifier: MIT
/* What is taken as a request on europad's socket, and what is refused and why. */
#include "runtime/engine/protocol.h"
#include "runtime/error.h"

/* cmocka has a macro by the name of error.h's fail(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>


#define HEAD offsetof(struct europa_request, reg)

static struct europa_request attach_request(void)
{
	return (struct europa_request){
		.verb = EUROPA_ATTACH, .major = EUROPA_MAJOR,
		.attach = { .size = sizeof(struct europa_attach), .vnic = 3, .kind = EUROPA_PORT_DEVICE, .mtu = 1500 },
	};
}

static struct europa_request register_request(const char *name)
{
	struct europa_request r = {
		.verb = EUROPA_REGISTER, .major = EUROPA_MAJOR,
		.reg = { .size = sizeof(struct europa_register), .flags = EUROPA_REGISTER_ADOPT },
	};

	memcpy(r.reg.name, name, strlen(name));
	return r;
}

static int parse(const void *bytes, size_t n, struct error *e)
{
	struct europa_request out;

	memset(e, 0, sizeof *e);
	return request_parse(bytes, n, &out, e);
}

static void a_whole_request_comes_out_as_it_went_in(void **state)
{
	struct europa_request in = attach_request(), out;
	struct error e = { 0 };

	assert_int_equal(request_parse(&in, sizeof in, &out, &e), 0);
	assert_memory_equal(&in, &out, sizeof in);
	in = register_request("router-1");
	assert_int_equal(request_parse(&in, sizeof in, &out, &e), 0);
	assert_memory_equal(&in, &out, sizeof in);
}

/* A message may end where its argument does, and an argument where an older client's did: the rest is zero. */
static void a_shorter_structure_is_filled_with_zeros(void **state)
{
	struct europa_request in = attach_request(), out;
	struct error e = { 0 };

	in.attach.size = offsetof(struct europa_attach, mac);
	memset(in.attach.mac, 0xfe, sizeof in.attach.mac);
	assert_int_equal(request_parse(&in, HEAD + in.attach.size, &out, &e), 0);
	assert_int_equal(out.attach.mtu, 1500);
	assert_int_equal(out.attach.mac[0], 0);
}

static void a_longer_structure_must_be_zero_beyond_what_is_known(void **state)
{
	unsigned char bytes[sizeof(struct europa_request) + 64] = { 0 };
	struct europa_request in = attach_request();
	struct error e;

	in.attach.size += 16;
	memcpy(bytes, &in, sizeof in);
	assert_int_equal(parse(bytes, HEAD + in.attach.size, &e), 0);
	bytes[HEAD + sizeof(struct europa_attach) + 15] = 1;
	assert_int_equal(parse(bytes, HEAD + in.attach.size, &e), -E2BIG);
}

static void a_size_that_lies_is_refused(void **state)
{
	static const __u32 sizes[] = { 0, 1, 3, sizeof(struct europa_request), 0xffffffff };
	struct europa_request in = attach_request();
	struct error e;
	size_t i;

	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		in.attach.size = sizes[i];
		assert_int_equal(parse(&in, HEAD + sizeof in.attach, &e), -EINVAL);
	}
}

static void a_truncated_message_is_refused(void **state)
{
	struct europa_request in = attach_request();
	struct error e;
	size_t n;

	for (n = 0; n < HEAD + sizeof in.attach; n++)
		assert_true(parse(&in, n, &e) < 0);
}

static void other_versions_and_verbs_are_refused(void **state)
{
	struct europa_request in = attach_request();
	struct error e;

	in.major = EUROPA_MAJOR + 1;
	assert_int_equal(parse(&in, sizeof in, &e), -EPROTO);
	in = attach_request();
	in.verb = 0;
	assert_int_equal(parse(&in, sizeof in, &e), -EINVAL);
	in.verb = EUROPA_ASK + 1;
	assert_int_equal(parse(&in, sizeof in, &e), -EINVAL);
	in.verb = 0x80000001;
	assert_int_equal(parse(&in, sizeof in, &e), -EINVAL);
}

static void refresh_needs_no_argument(void **state)
{
	__u32 head[2] = { EUROPA_REFRESH, EUROPA_MAJOR };
	struct error e;

	assert_int_equal(parse(head, sizeof head, &e), 0);
}

static void what_a_data_plane_can_be_asked_for_is_known(void **state)
{
	struct europa_request in = {
		.verb = EUROPA_ASK, .major = EUROPA_MAJOR, .ask = { .size = sizeof in.ask, .what = EUROPA_ASK_SAVE, .request = 7 },
	};
	struct error e;

	assert_int_equal(parse(&in, HEAD + sizeof in.ask, &e), 0);
	in.ask.reserved = 1;
	assert_int_equal(parse(&in, HEAD + sizeof in.ask, &e), -EINVAL);
	in.ask.reserved = 0;
	in.ask.what = EUROPA_ASK_SAVE + 1;
	assert_int_equal(parse(&in, HEAD + sizeof in.ask, &e), -EINVAL);

	in = (struct europa_request){
		.verb = EUROPA_QUIESCE, .major = EUROPA_MAJOR, .quiesce = { sizeof in.quiesce, EUROPA_QUIESCE_IN },
	};
	assert_int_equal(parse(&in, HEAD + sizeof in.quiesce, &e), 0);
	in.quiesce.on = EUROPA_QUIESCE_IN + 1;
	assert_int_equal(parse(&in, HEAD + sizeof in.quiesce, &e), -EINVAL);
}

static void names_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "", ".", "..", ".hidden", "a/b", "../x", "a b", "a\nb", "\x80", "a%d" };
	static const char *const good[] = { "a", "A-1", "_x", "+y", "-z", "a.b", "0" };
	struct europa_request in;
	struct error e;
	size_t i;

	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		in = register_request(bad[i]);
		assert_int_equal(parse(&in, sizeof in, &e), -EINVAL);
	}
	for (i = 0; i < sizeof good / sizeof *good; i++) {
		in = register_request(good[i]);
		assert_int_equal(parse(&in, sizeof in, &e), 0);
	}
	in = register_request("");
	memset(in.reg.name, 'a', sizeof in.reg.name);           /* no end */
	assert_int_equal(parse(&in, sizeof in, &e), -EINVAL);
}

static void unknown_flags_are_refused(void **state)
{
	struct europa_request in = register_request("a");
	struct error e;

	in.reg.flags = 2;
	assert_int_equal(parse(&in, sizeof in, &e), -EINVAL);
}

static void texts_without_an_end_are_refused(void **state)
{
	struct europa_request in;
	struct error e;

	in = attach_request();
	memset(in.attach.device, 'a', sizeof in.attach.device);
	assert_int_equal(parse(&in, sizeof in, &e), -EINVAL);
	in = attach_request();
	memset(in.attach.peer, 'a', sizeof in.attach.peer);
	assert_int_equal(parse(&in, sizeof in, &e), -EINVAL);
	in = attach_request();
	memset(in.attach.rule, 'a', sizeof in.attach.rule);
	assert_int_equal(parse(&in, sizeof in, &e), -EINVAL);
}

static void what_cannot_be_attached_is_refused_by_name(void **state)
{
	struct europa_request in;
	struct error e;

#define REFUSED(change, says) do { \
		in = attach_request(); \
		change; \
		assert_int_equal(parse(&in, sizeof in, &e), -EINVAL); \
		if (!strstr(e.text, says)) \
			fail_msg("%s: %s", #change, e.text); \
	} while (0)

	REFUSED(in.attach.vnic = EUROPA_MAX_VNICS, "32");
	REFUSED(in.attach.kind = EUROPA_PORT_XDP + 1, "6");
	REFUSED(in.attach.mtu = 67, "67");
	REFUSED(in.attach.mac[0] = 1, "group address");
	REFUSED(strcpy(in.attach.device, "a/b"), "a/b");
	REFUSED(strcpy(in.attach.device, ".."), "..");
	REFUSED(strcpy(in.attach.device, "a:b"), "a:b");
	REFUSED(strcpy(in.attach.device, "v%d"), "v%d");
	REFUSED(in.attach.kind = EUROPA_PORT_SHARED, "which device");
	REFUSED(in.attach.kind = EUROPA_PORT_VR, "NAME:NUMBER");
	REFUSED((in.attach.kind = EUROPA_PORT_VR, strcpy(in.attach.peer, "b"), in.attach.peer_vnic = 32), "b:32");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_request_comes_out_as_it_went_in),
		cmocka_unit_test(a_shorter_structure_is_filled_with_zeros),
		cmocka_unit_test(a_longer_structure_must_be_zero_beyond_what_is_known),
		cmocka_unit_test(a_size_that_lies_is_refused),
		cmocka_unit_test(a_truncated_message_is_refused),
		cmocka_unit_test(other_versions_and_verbs_are_refused),
		cmocka_unit_test(refresh_needs_no_argument),
		cmocka_unit_test(what_a_data_plane_can_be_asked_for_is_known),
		cmocka_unit_test(names_that_are_none_are_refused),
		cmocka_unit_test(unknown_flags_are_refused),
		cmocka_unit_test(texts_without_an_end_are_refused),
		cmocka_unit_test(what_cannot_be_attached_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

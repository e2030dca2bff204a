/* SPDX-License-Identifier: MIT */
/* Images: what config.json says becomes of the spec, and every way to say it wrong is refused with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/error.h"
#include "runtime/image.h"
#include "runtime/privilege.h"

#include <cmocka.h>        /* last: it has a macro named fail */

#define CAP(n) (UINT64_C(1) << (n))

/* A whole configuration around the parts that a row is about; ' stands for ". */
static char *document(const char *process, const char *rest)
{
	char *text = NULL;

	if (asprintf(&text, "{'ociVersion':'1.0.2',\n 'process': {%s},\n 'root': {'path': 'rootfs'}%s%s}", process,
		     *rest ? ",\n " : "", rest) < 0)
		abort();
	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	return text;
}

static int parse(const char *text, struct vr_spec *spec, struct error *e)
{
	memset(spec, 0, sizeof *spec);
	memset(e, 0, sizeof *e);
	spec->bundle = strdup("/images/x");
	return image_parse(text, strlen(text), spec, e);
}

static void take(const char *process, const char *rest, struct vr_spec *spec)
{
	char *text = document(process, rest);
	struct error e;

	if (parse(text, spec, &e))
		fail_msg("%s\n    is refused: %s", text, e.text);
	free(text);
}

static void a_minimal_image_has_the_defaults(void **state)
{
	struct vr_spec spec;

	take("'args': ['/bin/x', '-v']", "", &spec);
	assert_string_equal(spec.args[0], "/bin/x");
	assert_string_equal(spec.args[1], "-v");
	assert_null(spec.args[2]);
	assert_string_equal(spec.cwd, "/");
	assert_string_equal(spec.rootfs, "/images/x/rootfs");
	assert_null(spec.hostname);
	assert_int_equal(spec.uid, 0);
	assert_int_equal(spec.vnics, 0);
	assert_int_equal(spec.geometry.nslots, 0);
	assert_true(spec.caps == 0);
	assert_false(spec.wide_seccomp);
	spec_release(&spec);
}

static void the_process_is_taken(void **state)
{
	struct vr_spec spec;

	take("'args': ['x'], 'env': ['A=1', 'B='], 'cwd': '/data', 'user': {'uid': 1000, 'gid': 65535}", "'hostname': 'r-1.x'",
	     &spec);
	assert_string_equal(spec.env[0], "A=1");
	assert_string_equal(spec.env[1], "B=");
	assert_null(spec.env[2]);
	assert_string_equal(spec.cwd, "/data");
	assert_int_equal(spec.uid, 1000);
	assert_int_equal(spec.gid, 65535);
	assert_string_equal(spec.hostname, "r-1.x");
	spec_release(&spec);
}

static void groups_and_resource_limits_are_taken(void **state)
{
	struct vr_spec spec;

	take("'args': ['18446744073709551615'], 'user': {'additionalGids': [7, 65535]}, 'rlimits': [{'type': 'RLIMIT_NOFILE', 'soft': 10, 'hard': 20},"
	     " {'type': 'RLIMIT_CORE', 'soft': 0, 'hard': 18446744073709551615}, {'type': 'RLIMIT_RTTIME', 'soft': 5, 'hard': 5}]", "", &spec);
	assert_int_equal(spec.ngroups, 2);
	assert_int_equal(spec.groups[0], 7);
	assert_int_equal(spec.groups[1], 65535);
	assert_int_equal(spec.rlimits.n, 3);
	assert_int_equal(spec.rlimits.one[0].resource, RLIMIT_NOFILE);
	assert_int_equal(spec.rlimits.one[0].soft, 10);
	assert_int_equal(spec.rlimits.one[0].hard, 20);
	assert_int_equal(spec.rlimits.one[1].resource, RLIMIT_CORE);
	assert_int_equal(spec.rlimits.one[1].soft, 0);
	assert_true(spec.rlimits.one[1].hard == RLIMIT_UNLIMITED);
	assert_int_equal(spec.rlimits.one[2].resource, RLIMIT_RTTIME);
	assert_string_equal(spec.args[0], "18446744073709551615");
	spec_release(&spec);
}

static void annotations_are_the_defaults_of_the_vnics(void **state)
{
	struct vr_spec spec;

	take("'args': ['x']",
	     "'annotations': {'io.europa.vnics': '2', 'io.europa.pool': '100', 'io.europa.slot-size': '4K', 'io.europa.ring': '256',"
	     " 'io.europa.runs': '3', 'io.europa.mtu': '9000', 'io.europa.cpu': '12.5%', 'io.europa.seccomp': 'wide',"
	     " 'org.other': 'anything'}", &spec);
	assert_int_equal(spec.vnics, 2);
	assert_int_equal(spec.geometry.nslots, 100);
	assert_int_equal(spec.geometry.slot_stride, 4096);
	assert_int_equal(spec.geometry.ring_size, 256);
	assert_int_equal(spec.geometry.nruns, 3);
	assert_int_equal(spec.vnic[0].mtu, 9000);
	assert_int_equal(spec.vnic[31].mtu, 9000);
	assert_int_equal(spec.limits.cpu_permille, 125);
	assert_true(spec.wide_seccomp);
	spec_release(&spec);
}

static void capabilities_are_what_every_list_and_the_policy_have(void **state)
{
	static const struct { const char *lists; uint64_t caps; } rows[] = {
		{ "", 0 },
		{ "'bounding': ['CAP_NET_ADMIN', 'CAP_NET_RAW']", CAP(12) | CAP(13) },
		{ "'bounding': ['CAP_NET_ADMIN', 'CAP_NET_RAW'], 'effective': ['CAP_NET_RAW']", CAP(13) },
		{ "'bounding': ['CAP_NET_ADMIN'], 'permitted': []", 0 },
		{ "'inheritable': ['CAP_NET_ADMIN'], 'ambient': ['CAP_NET_ADMIN']", 0 },
		{ "'bounding': ['cap_chown']", CAP(0) },
		/* no image gets these */
		{ "'bounding': ['CAP_SYS_ADMIN', 'CAP_SYS_PTRACE', 'CAP_SYS_MODULE', 'CAP_BPF', 'CAP_MKNOD', 'CAP_SYS_CHROOT']", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct vr_spec spec;
		char process[400];

		snprintf(process, sizeof process, "'args': ['x'], 'capabilities': {%s}", rows[i].lists);
		take(process, "", &spec);
		if (spec.caps != rows[i].caps)
			fail_msg("%s: %#llx", rows[i].lists, (unsigned long long)spec.caps);
		spec_release(&spec);
	}
}

static void the_usual_parts_of_a_bundle_are_ignored(void **state)
{
	struct vr_spec spec;

	take("'args': ['x'], 'terminal': false, 'rlimits': [], 'noNewPrivileges': false",
	     "'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc'}, {'destination': '/dev', 'type': 'tmpfs'},"
	     " {'destination': '/sys', 'type': 'sysfs'}, {'destination': '/dev/pts', 'type': 'devpts'}], 'hooks': {},"
	     " 'linux': {'namespaces': [{'type': 'pid'}], 'seccomp': {'defaultAction': 'SCMP_ACT_ALLOW'}}, 'unheardOf': [1]", &spec);
	spec_release(&spec);
}

static void what_is_wrong_is_refused_with_its_place(void **state)
{
	/* The document's process is in line 2, what follows from line 4 on. */
	static const struct { const char *process, *rest, *says; } rows[] = {
		{ "", "", "config.json:2:13: process.args: expected the program" },
		{ "'args': []", "", ":2:22: process.args: expected the program" },
		{ "'args': ['']", "", "process.args: expected the program" },
		{ "'args': 'x'", "", ":2:22: process.args: expected an array" },
		{ "'args': ['x', 7]", "", ":2:28: process.args[1]: expected a string" },
		{ "'args': ['x'], 'env': ['A']", "", ":2:37: process.env[0]: \"A\": expected NAME=VALUE" },
		{ "'args': ['x'], 'env': ['1A=b']", "", "process.env[0]: \"1A=b\": expected NAME=VALUE" },
		{ "'args': ['x'], 'cwd': 'relative'", "", "process.cwd: \"relative\": expected an absolute path" },
		{ "'args': ['x'], 'cwd': ''", "", "process.cwd: \"\": expected an absolute path" },
		{ "'args': ['x'], 'terminal': true", "", ":2:41: process.terminal:" },
		{ "'args': ['x'], 'user': 'root'", "", "process.user: expected an object" },
		{ "'args': ['x'], 'user': {'uid': '1'}", "", ":2:45: process.user.uid: expected an integer" },
		{ "'args': ['x'], 'user': {'uid': -1}", "", "process.user.uid: expected an id from 0 to 65535" },
		{ "'args': ['x'], 'user': {'uid': 65536}", "", "process.user.uid: expected an id from 0 to 65535" },
		{ "'args': ['x'], 'user': {'gid': 4294967296}", "", "process.user.gid: expected an id from 0 to 65535" },
		{ "'args': ['x'], 'user': {'uid': 1.0}", "", "process.user.uid: expected an integer" },
		{ "'args': ['x'], 'user': {'uid': 01}", "", "config.json:2:" },
		{ "'args': ['x'], 'user': {'additionalGids': 7}", "", "process.user.additionalGids: expected an array" },
		{ "'args': ['x'], 'user': {'additionalGids': [7, '8']}", "", ":2:60: process.user.additionalGids[1]: expected an integer" },
		{ "'args': ['x'], 'user': {'additionalGids': [65536]}", "", "process.user.additionalGids[0]: expected an id from 0 to 65535" },
		{ "'args': ['x'], 'user': {'additionalGids': [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}", "",
		  "process.user.additionalGids: expected at most 32" },
		{ "'args': ['x'], 'rlimits': {}", "", "process.rlimits: expected an array" },
		{ "'args': ['x'], 'rlimits': [7]", "", "process.rlimits[0]: expected an object" },
		{ "'args': ['x'], 'rlimits': [{'soft': 1, 'hard': 1}]", "", "process.rlimits[0].type: \"\": expected a resource limit" },
		{ "'args': ['x'], 'rlimits': [{'type': 'NOFILE', 'soft': 1, 'hard': 1}]", "", "\"NOFILE\": expected a resource limit, as in RLIMIT_NOFILE" },
		{ "'args': ['x'], 'rlimits': [{'type': 'RLIMIT_AS', 'soft': 2, 'hard': 1}]", "", "process.rlimits[0].soft: expected at most what \"hard\" is" },
		{ "'args': ['x'], 'rlimits': [{'type': 'RLIMIT_AS', 'soft': -1, 'hard': 1}]", "", "process.rlimits[0].soft: expected a number" },
		{ "'args': ['x'], 'rlimits': [{'type': 'RLIMIT_AS', 'soft': 1}]", "", "process.rlimits[0].hard: expected a number" },
		{ "'args': ['x'], 'rlimits': [{'type': 'RLIMIT_AS', 'soft': '1', 'hard': 1}]", "", "process.rlimits[0].soft: expected an integer" },
		{ "'args': ['x'], 'rlimits': [{'type': 'RLIMIT_AS', 'soft': 1, 'hard': 1}, {'type': 'RLIMIT_AS', 'soft': 1, 'hard': 1}]", "",
		  "process.rlimits[1].type: \"RLIMIT_AS\": expected each resource limit once" },
		{ "'args': ['x'], 'capabilities': {'bounding': ['CAP_WRONG']}", "",
		  "process.capabilities.bounding[0]: \"CAP_WRONG\": expected a capability" },
		{ "'args': ['x'], 'capabilities': {'bounding': ['12']}", "", "expected a capability" },
		{ "'args': ['x']", "'hostname': 'a b'", ":4:14: hostname: \"a b\": expected" },
		{ "'args': ['x']", "'hostname': ''", "hostname: \"\": expected" },
		{ "'args': ['x']", "'mounts': [{'destination': '/proc', 'type': 'proc'},\n {'destination': '/x', 'type': 'bind'}]",
		  ":5:18: mounts[1].destination: \"/x\": expected no mounts but the usual ones" },
		{ "'args': ['x']", "'mounts': [{'type': 'proc'}]", "mounts[0]: expected a \"destination\"" },
		{ "'args': ['x']", "'mounts': [{'destination': '/proc', 'type': 'tmpfs'}]", "mounts[0].destination" },
		{ "'args': ['x']", "'hooks': {'prestart': [{'path': '/bin/sh'}]}", "hooks: an image can't run programs on the host" },
		{ "'args': ['x']", "'annotations': {'io.europa.vnics': 2}", ":4:37: annotations.io.europa.vnics: expected a string" },
		{ "'args': ['x']", "'annotations': {'io.europa.vnics': '33'}", "\"33\": expected a number of vNICs from 0 to 32" },
		{ "'args': ['x']", "'annotations': {'io.europa.vnics': ' 2'}", "\" 2\": expected a number of vNICs" },
		{ "'args': ['x']", "'annotations': {'io.europa.vnics': '-1'}", "expected a number of vNICs" },
		{ "'args': ['x']", "'annotations': {'io.europa.pool': '1'}", "expected a number of slots" },
		{ "'args': ['x']", "'annotations': {'io.europa.slot-size': '100'}", "expected bytes from 576" },
		{ "'args': ['x']", "'annotations': {'io.europa.ring': '1000'}", "expected a power of two" },
		{ "'args': ['x']", "'annotations': {'io.europa.mtu': '67'}", "expected bytes from 68" },
		{ "'args': ['x']", "'annotations': {'io.europa.cpu': '25'}", "expected a percentage" },
		{ "'args': ['x']", "'annotations': {'io.europa.seccomp': 'none'}", "expected tight or wide" },
		{ "'args': ['x']", "'annotations': {'io.europa.vncis': '2'}", "annotations.io.europa.vncis: no annotation of this name" },
		{ "'args': ['x']", "'hostname': 'a', 'hostname': 'b'", "config.json:4:" },
		{ "'args': ['x']", "'hostname': 'a'}, x", "config.json:4:" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *text = document(rows[i].process, rows[i].rest);
		struct vr_spec spec;
		struct error e;

		if (parse(text, &spec, &e) == 0)
			fail_msg("is taken: %s", text);
		if (!strstr(e.text, rows[i].says) || strncmp(e.text, "/images/x/config.json:", 22))
			fail_msg("%s\n    says: %s\n    not:  %s", text, e.text, rows[i].says);
		spec_release(&spec);
		free(text);
	}
}

static void a_root_outside_the_image_is_refused(void **state)
{
	static const char *const paths[] = { "/", "/etc", "..", "../x", "a/../../b", "rootfs/..", "" };

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		struct vr_spec spec;
		struct error e;
		char text[200];

		snprintf(text, sizeof text, "{\"process\": {\"args\": [\"x\"]}, \"root\": {\"path\": \"%s\"}}", paths[i]);
		if (parse(text, &spec, &e) == 0)
			fail_msg("%s is taken", paths[i]);
		assert_non_null(strstr(e.text, "root.path"));
		spec_release(&spec);
	}
}

static void what_is_no_configuration_is_refused(void **state)
{
	static const char *const texts[] = {
		"", "{", "[]", "null", "7", "\"x\"", "{}", "{\"process\": null}", "{\"process\": []}", "{\"root\": {\"path\": \"x\"}}",
		"{\"process\": {\"args\": [\"x\"]}}", "{\"ociVersion\": \"2.0\", \"process\": {\"args\": [\"x\"]}, \"root\": {\"path\": \"r\"}}",
		"{\"process\": {\"args\": [\"x\\u0000y\"]}, \"root\": {\"path\": \"r\"}}",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct vr_spec spec;
		struct error e;

		if (parse(texts[i], &spec, &e) == 0)
			fail_msg("%s is taken", texts[i]);
		assert_true(strncmp(e.text, "/images/x/config.json:", 22) == 0);
		spec_release(&spec);
	}
}

/* ---- files ---- */

static void write_file(const char *directory, const char *name, const char *text)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int load(const char *image, struct vr_spec *spec, struct error *e)
{
	memset(spec, 0, sizeof *spec);
	memset(e, 0, sizeof *e);
	return image_load(image, spec, e);
}

static void an_image_is_a_directory_with_a_configuration(void **state)
{
	char directory[] = "/tmp/europa-image-XXXXXX", path[100];
	struct vr_spec spec;
	struct error e;

	assert_non_null(mkdtemp(directory));
	assert_true(load(directory, &spec, &e) < 0);
	assert_non_null(strstr(e.text, "expected a directory with config.json"));
	spec_release(&spec);

	write_file(directory, "config.json", "{\"process\": {\"args\": [\"/x\"]}, \"root\": {\"path\": \"r\"}}");
	assert_int_equal(load(directory, &spec, &e), 0);
	assert_string_equal(spec.bundle, directory);
	assert_string_equal(spec.image, directory);
	spec_release(&spec);

	snprintf(path, sizeof path, "%s/config.json", directory);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_true(load(directory, &spec, &e) < 0);
	spec_release(&spec);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(load(directory, &spec, &e) < 0);
	assert_non_null(strstr(e.text, "expected a plain file"));
	spec_release(&spec);
	unlink(path);
	rmdir(directory);
}

static void an_image_that_is_nowhere_says_where_was_looked(void **state)
{
	static const char *const names[] = { "nowhere", "image/nowhere", "/nowhere", "", "../nowhere" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct vr_spec spec;
		struct error e;

		assert_true(load(names[i], &spec, &e) < 0);
		assert_non_null(strstr(e.text, "there is no such directory"));
		spec_release(&spec);
	}
}

/* ---- users ---- */

static void a_user_is_two_numbers_that_a_virtual_router_has(void **state)
{
	static const struct { const char *text; uint32_t uid, gid; } good[] = {
		{ "0", 0, 0 }, { "1", 1, 1 }, { "1000:7", 1000, 7 }, { "65535:0", 65535, 0 },
	};
	static const char *const bad[] = {
		"", ":", "1:", ":1", "-1", "+1", "01", "00", " 1", "1 ", "1:-1", "1:01", "1:1:1", "65536", "1:65536", "4294967295",
		"4294967296", "4294967296:1", "18446744073709551616", "0x1", "root", "1:root", "1e3", "99999999999999999999999",
	};
	uint32_t uid, gid;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct error e = { 0 };

		if (user_parse(good[i].text, &uid, &gid, &e))
			fail_msg("%s", e.text);
		assert_int_equal(uid, good[i].uid);
		assert_int_equal(gid, good[i].gid);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct error e = { 0 };

		uid = gid = 4711;
		if (!user_parse(bad[i], &uid, &gid, &e))
			fail_msg("\"%s\" is taken as %u:%u", bad[i], uid, gid);
		assert_int_equal(uid, 4711);
		assert_int_equal(gid, 4711);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_minimal_image_has_the_defaults),
		cmocka_unit_test(the_process_is_taken),
		cmocka_unit_test(groups_and_resource_limits_are_taken),
		cmocka_unit_test(annotations_are_the_defaults_of_the_vnics),
		cmocka_unit_test(capabilities_are_what_every_list_and_the_policy_have),
		cmocka_unit_test(the_usual_parts_of_a_bundle_are_ignored),
		cmocka_unit_test(what_is_wrong_is_refused_with_its_place),
		cmocka_unit_test(a_root_outside_the_image_is_refused),
		cmocka_unit_test(what_is_no_configuration_is_refused),
		cmocka_unit_test(an_image_is_a_directory_with_a_configuration),
		cmocka_unit_test(an_image_that_is_nowhere_says_where_was_looked),
		cmocka_unit_test(a_user_is_two_numbers_that_a_virtual_router_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* europa-run's command line: every option, what it does to the spec, and every way to get it wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/error.h"
#include "runtime/options.h"

#include <cmocka.h>        /* last: it has a macro named fail */

#define MAX_WORDS 64

static char image[] = "/tmp/europa-options-XXXXXX";

/* Splits at blanks, where ~ stands for a blank inside a word; the image is written @. */
static int split(char *line, char **argv)
{
	int argc = 0;

	for (char *word = strtok(line, " "); word && argc < MAX_WORDS - 1; word = strtok(NULL, " ")) {
		for (char *p = word; *p; p++)
			if (*p == '~')
				*p = ' ';
		argv[argc++] = strcmp(word, "@") == 0 ? image : word;
	}
	argv[argc] = NULL;
	return argc;
}

static int parse(const char *line, struct vr_spec *spec, struct error *e)
{
	char *copy = NULL, *argv[MAX_WORDS];
	int argc, err;

	memset(spec, 0, sizeof *spec);
	memset(e, 0, sizeof *e);
	if (asprintf(&copy, "europa-run %s", line) < 0)
		abort();
	argc = split(copy, argv);
	err = options_run(argc, argv, spec, e);
	free(copy);
	return err;
}

static void take(const char *line, struct vr_spec *spec)
{
	struct error e;

	if (parse(line, spec, &e))
		fail_msg("%s\n    is refused: %s", line, e.text);
}

static void an_image_alone_has_the_defaults(void **state)
{
	struct vr_spec s;

	take("@", &s);
	assert_string_equal(s.image, image);
	assert_string_equal(s.name, "");
	assert_int_equal(s.vnics, 2);
	assert_int_equal(s.geometry.nvnics, 2);
	assert_int_equal(s.geometry.nslots, 2048);
	assert_int_equal(s.limits.cpu_permille, 0);
	assert_int_equal(s.limits.period_us, 0);
	assert_int_equal(s.which_switch, SWITCH_AUTO);
	assert_false(s.detach);
	assert_false(s.rm);
	assert_string_equal(s.args[0], "/bin/prog");
	assert_string_equal(s.args[1], "default");
	assert_null(s.args[2]);
	for (unsigned n = 0; n < s.vnics; n++)
		assert_int_equal(s.vnic[n].kind, EUROPA_PORT_DEVICE);
	spec_release(&s);
}

static void limits_are_written_in_either_spelling(void **state)
{
	struct vr_spec s;

	take("--cpu 25% --cpu-period 20ms --cpu-burst=1ms --cpu-weight 300 --cpuset 0-1 --memory 64M --pids 10 @", &s);
	assert_int_equal(s.limits.cpu_permille, 250);
	assert_int_equal(s.limits.period_us, 20000);
	assert_int_equal(s.limits.burst_us, 1000);
	assert_int_equal(s.limits.cpu_weight, 300);
	assert_string_equal(s.limits.cpuset, "0-1");
	assert_int_equal(s.limits.memory, 64 << 20);
	assert_int_equal(s.limits.pids, 10);
	spec_release(&s);

	take("--cpus=1.5 --cpuset-cpus 0 -m64M --pids-limit unlimited @", &s);
	assert_int_equal(s.limits.cpu_permille, 1500);
	assert_string_equal(s.limits.cpuset, "0");
	assert_int_equal(s.limits.memory, 64 << 20);
	assert_int_equal(s.limits.pids, 0);
	spec_release(&s);
}

static void the_last_of_an_option_counts(void **state)
{
	struct vr_spec s;

	take("--cpu 25% --cpuset 0 --name a --cpuset 1 --cpu 50% --name b @", &s);
	assert_int_equal(s.limits.cpu_permille, 500);
	assert_string_equal(s.limits.cpuset, "1");
	assert_string_equal(s.name, "b");
	spec_release(&s);
}

static void vnics_are_linked(void **state)
{
	struct vr_spec s;

	take("--vnics 7 --link 0=eth1 --link 1=eth1,vlan~5 --link 2=left:3 --link 3=none --link 4=generator:size=64 "
	     "--link 5=eth0,filter~ip~and~(tcp,udp) --link 6=device:xdp @", &s);
	assert_int_equal(s.vnic[0].kind, EUROPA_PORT_SHARED);
	assert_string_equal(s.vnic[0].target, "eth1");
	assert_null(s.vnic[0].rule);
	assert_int_equal(s.vnic[1].kind, EUROPA_PORT_SHARED);
	assert_string_equal(s.vnic[1].rule, "vlan 5");
	assert_int_equal(s.vnic[2].kind, EUROPA_PORT_VR);
	assert_string_equal(s.vnic[2].target, "left:3");
	assert_int_equal(s.vnic[3].kind, EUROPA_PORT_NONE);
	assert_null(s.vnic[3].target);
	assert_int_equal(s.vnic[4].kind, EUROPA_PORT_GENERATOR);
	assert_string_equal(s.vnic[4].target, "size=64");
	assert_string_equal(s.vnic[5].rule, "filter ip and (tcp,udp)");
	assert_int_equal(s.vnic[6].kind, EUROPA_PORT_XDP);
	assert_null(s.vnic[6].target);
	spec_release(&s);
}

static void vnics_have_addresses_and_mtus(void **state)
{
	struct vr_spec s;

	take("--vnics 3 --mac 1=52:54:00:00:00:01 --mtu 1400 --mtu 2=9000 @", &s);
	assert_memory_equal(s.vnic[1].mac, "\x52\x54\x00\x00\x00\x01", 6);
	assert_int_equal(s.vnic[0].mac[0], 0);
	assert_int_equal(s.vnic[0].mtu, 1400);
	assert_int_equal(s.vnic[2].mtu, 9000);
	spec_release(&s);
}

static void the_pool_has_any_number_of_slots_from_two(void **state)
{
	struct vr_spec s;
	static const unsigned slots[] = { 2, 3, 7, 1000, 2048, 4097, 1048576 };
	char line[100];

	for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
		snprintf(line, sizeof line, "--pool %u --runs 0 @", slots[i]);
		take(line, &s);
		assert_int_equal(s.geometry.nslots, slots[i]);
		assert_int_equal(s.geometry.nruns, 0);
		spec_release(&s);
	}
	take("--pool 64 --slot-size 4K --ring 256 --runs 4 @", &s);
	assert_true(s.geometry.slot_stride >= 4096 - 64);
	assert_int_equal(s.geometry.ring_size, 256);
	assert_int_equal(s.geometry.nruns, 4);
	spec_release(&s);
}

static const char *find_env(const struct vr_spec *s, const char *name)
{
	size_t length = strlen(name), found = 0;
	const char *value = NULL;

	for (char **p = s->env; p && *p; p++)
		if (strncmp(*p, name, length) == 0 && (*p)[length] == '=') {
			value = *p + length + 1;
			found++;
		}
	assert_true(found <= 1);
	return value;
}

static void the_environment_is_the_images_with_changes(void **state)
{
	struct vr_spec s;

	setenv("FROM_HERE", "yes", 1);
	unsetenv("NOT_HERE");
	take("-e NEW=1 --env A=changed -eEMPTY= -e FROM_HERE --env NOT_HERE @", &s);
	assert_string_equal(find_env(&s, "NEW"), "1");
	assert_string_equal(find_env(&s, "A"), "changed");
	assert_string_equal(find_env(&s, "EMPTY"), "");
	assert_string_equal(find_env(&s, "FROM_HERE"), "yes");
	assert_null(find_env(&s, "NOT_HERE"));
	spec_release(&s);
}

static void the_data_plane_is_told_its_quota(void **state)
{
	struct vr_spec s;

	take("--cpu 25% @", &s);
	assert_string_equal(find_env(&s, "EUROPA_CPU_PERMILLE"), "250");
	spec_release(&s);
	take("--env A=1 @", &s);
	assert_null(find_env(&s, "EUROPA_CPU_PERMILLE"));
	spec_release(&s);
}

static void host_paths_become_absolute(void **state)
{
	struct vr_spec s;

	assert_return_code(chdir("/tmp"), 0);
	take("--mount .:/mnt --mount /etc:/host/etc:rw --pid-file x.pid --log-dir . --config /etc/passwd @", &s);
	assert_int_equal(s.nmounts, 2);
	assert_string_equal(s.mounts[0].source, "/tmp/.");
	assert_string_equal(s.mounts[0].target, "/mnt");
	assert_true(s.mounts[0].read_only);
	assert_string_equal(s.mounts[1].source, "/etc");
	assert_false(s.mounts[1].read_only);
	assert_string_equal(s.pid_file, "/tmp/x.pid");
	assert_string_equal(s.log_dir, "/tmp/.");
	assert_string_equal(s.config, "/etc/passwd");
	spec_release(&s);
}

static void arguments_behind_the_image_replace_its_own(void **state)
{
	static const char *const lines[] = { "@ --cpu x", "@ -- --cpu x" };
	struct vr_spec s;

	for (int i = 0; i < 2; i++) {
		take(lines[i], &s);
		assert_string_equal(s.args[0], "/bin/prog");
		assert_string_equal(s.args[1], "--cpu");
		assert_string_equal(s.args[2], "x");
		assert_null(s.args[3]);
		assert_int_equal(s.limits.cpu_permille, 0);
		spec_release(&s);
	}
	take("-- @ a", &s);
	assert_string_equal(s.args[1], "a");
	assert_null(s.args[2]);
	spec_release(&s);
	take("@ a -- b", &s);
	assert_string_equal(s.args[2], "--");
	assert_string_equal(s.args[3], "b");
	spec_release(&s);
}

static void flags_can_be_given_together(void **state)
{
	struct vr_spec s;

	take("-de A=1 --rm --switch user --name=x @", &s);
	assert_true(s.detach);
	assert_true(s.rm);
	assert_int_equal(s.which_switch, SWITCH_USER);
	assert_string_equal(s.name, "x");
	assert_string_equal(find_env(&s, "A"), "1");
	spec_release(&s);
}

/* Whole lines, and what the message must have in it: the option and the value as written, and what would be right. */
static void bad_values_are_refused_in_one_line(void **state)
{
	static const struct {
		const char *line, *message;
	} table[] = {
		{ "--cpu abc @", "--cpu \"abc\": expected a percentage of one CPU, as in 25% or 150%" },
		{ "--cpu 25 @", "--cpu \"25\": expected a percentage" },
		{ "--cpu= @", "--cpu \"\": expected" },
		{ "--cpu -5% @", "--cpu \"-5%\"" },
		{ "--cpus x @", "--cpus \"x\": expected a number of CPUs" },
		{ "--cpu-period 1us @", "--cpu-period \"1us\": expected a time from 1ms to 1s" },
		{ "--cpu-period 2s @", "--cpu-period \"2s\"" },
		{ "--cpu-burst x --cpu 5% @", "--cpu-burst \"x\": expected a time" },
		{ "--cpu-weight 0 @", "--cpu-weight \"0\": expected a number from 1 to 10000" },
		{ "--cpu-weight 10001 @", "--cpu-weight \"10001\": expected a number from 1 to 10000" },
		{ "--cpu-burst 1ms @", "--cpu-burst \"1000us\": expected a quota (--cpu) that it can save up" },
		{ "--cpu 25% --cpu-burst 2501us @", "--cpu-burst \"2501us\": expected at most the quota, 2500us in each period" },
		{ "--cpu 1% --cpu-burst 1001us @", "--cpu-burst \"1001us\": expected at most the quota, 1000us in each period" },
		{ "--cpu 10% --cpu-period 100ms --cpu-burst 11ms @", "--cpu-burst \"11000us\": expected at most the quota, 10000us" },
		{ "--cpu 5% --cpu-period 10ms @", "--cpu-period \"10000us\": expected at least 20000us" },
		{ "--cpuset 3-1 @", "--cpuset \"3-1\": expected a list of CPUs" },
		{ "--cpuset-cpus x @", "--cpuset-cpus \"x\"" },
		{ "--memory 64X @", "--memory \"64X\": expected a size" },
		{ "-m 1K @", "-m \"1K\": expected a size of 1M or more" },
		{ "--pids 0 @", "--pids \"0\": expected a number from 1" },
		{ "--pids-limit -1 @", "--pids-limit \"-1\"" },
		{ "--vnics 33 @", "--vnics \"33\": expected a number from 0 to 32" },
		{ "--vnics two @", "--vnics \"two\"" },
		{ "--link eth0 @", "--link \"eth0\": expected a vNIC from 0 to 31" },
		{ "--link 32=eth0 @", "--link \"32=eth0\": expected a vNIC" },
		{ "--link x=eth0 @", "--link \"x=eth0\"" },
		{ "--link 0= @", "--link \"0=\": expected a net device" },
		{ "--link 0=averyveryverylongname @", "--link \"0=averyveryverylongname\": expected a net device" },
		{ "--link 0=eth0, @", "--link \"0=eth0,\": expected a rule: mac, vlan N" },
		{ "--link 0=eth0,vlan~5000 @", "--link \"0=eth0,vlan 5000\": expected vlan and a number from 1 to 4094" },
		{ "--link 0=eth0,ip~300.0.0.0/8 @", "expected ip and a prefix" },
		{ "--link 0=none,mac @", "expected no rule" },
		{ "--link 0=left:1,mac @", "expected no rule" },
		{ "--link 0=device:xdp,mac @", "expected no rule" },
		{ "--link 0=device:raw @", "expected a VR's name and one of its vNICs" },
		{ "--link 0=left:32 @", "expected a VR's name and one of its vNICs" },
		{ "--link 0=:0 @", "expected a VR's name" },
		{ "--link 0=generator:size=1 @", "expected generator, or generator:size=" },
		{ "--link 0=generator:speed=9 @", "expected generator, or generator:size=" },
		{ "--vnics 2 --link 2=eth0 @", "--link \"2=eth0\": expected one of the VR's 2 vNICs" },
		{ "--mac 52:54:00:00:00:01 @", "--mac \"52:54:00:00:00:01\": expected a vNIC, = and a unicast MAC" },
		{ "--mac 0=01:00:5e:00:00:01 @", "--mac \"0=01:00:5e:00:00:01\"" },
		{ "--vnics 1 --mac 1=52:54:00:00:00:01 @", "expected one of the VR's 1 vNIC," },
		{ "--mtu 67 @", "--mtu \"67\": expected bytes from 68 to 65521" },
		{ "--mtu 0=x @", "--mtu \"0=x\"" },
		{ "--mtu 99=1500 @", "--mtu \"99=1500\": expected a vNIC from 0 to 31" },
		{ "--mtu 9000 --runs 0 @", "--mtu \"9000\": expected at most" },
		{ "--pool 1 @", "--pool \"1\": expected a number from 2 to 1048576" },
		{ "--pool 1048577 @", "--pool \"1048577\"" },
		{ "--slot-size 100 @", "--slot-size \"100\": expected a size from 576 to 65472" },
		{ "--slot-size 1M @", "--slot-size \"1M\"" },
		{ "--ring 1000 @", "--ring \"1000\": expected a power of two" },
		{ "--ring 0 @", "--ring \"0\"" },
		{ "--ring 131072 @", "--ring \"131072\"" },
		{ "--runs x @", "--runs \"x\": expected a number" },
		{ "--env 1A=x @", "--env \"1A=x\": expected NAME=VALUE" },
		{ "-e =x @", "-e \"=x\"" },
		{ "--mount /tmp @", "--mount \"/tmp\": expected SOURCE:TARGET" },
		{ "--mount /tmp:x @", "--mount \"/tmp:x\"" },
		{ "--mount /tmp:/a/../b @", "--mount \"/tmp:/a/../b\"" },
		{ "--mount /tmp:/a/.. @", "--mount \"/tmp:/a/..\"" },
		{ "--mount /tmp:/ @", "--mount \"/tmp:/\"" },
		{ "--mount /tmp:/x:rx @", "--mount \"/tmp:/x:rx\"" },
		{ "--mount /nonexistent-europa:/x @", "--mount \"/nonexistent-europa:/x\": cannot find the source: No such file" },
		{ "--config /nonexistent-europa @", "--config \"/nonexistent-europa\": cannot find the file" },
		{ "--config /tmp @", "--config \"/tmp\": expected a regular file" },
		{ "--log-dir /nonexistent-europa @", "--log-dir \"/nonexistent-europa\": cannot find the directory" },
		{ "--log-dir /etc/passwd @", "--log-dir \"/etc/passwd\": expected a directory" },
		{ "--switch none @", "--switch \"none\": expected auto, kmod or user" },
		{ "--name a/b @", "--name \"a/b\": expected letters" },
		{ "--name .. @", "--name \"..\"" },
		{ "--name= @", "--name \"\"" },
		{ "--detach=yes @", "--detach: takes no value" },
		{ "--rm=1 @", "--rm: takes no value" },
		{ "--frobnicate @", "unknown option \"--frobnicate\"" },
		{ "--cp 25% @", "unknown option \"--cp\"" },
		{ "-x @", "unknown option \"-x\"" },
		{ "-dx @", "unknown option \"-x\"" },
		{ "--cpu", "--cpu: expected PERCENT after it" },
		{ "-e", "-e: expected NAME" },
		{ "", "expected an image" },
		{ "--cpu 25%", "expected an image" },
		{ "--cpu abc /nonexistent-europa", "--cpu \"abc\"" },
		{ "/nonexistent-europa", "/nonexistent-europa" },
	};
	struct vr_spec s;
	struct error e;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (!parse(table[i].line, &s, &e))
			fail_msg("%s\n    is taken", table[i].line);
		if (!strstr(e.text, table[i].message))
			fail_msg("%s\n    says: %s\n    expected: %s", table[i].line, e.text, table[i].message);
		assert_null(strchr(e.text, '\n'));
		spec_release(&s);
	}
}

/* Each option of the table is understood, so that --help promises nothing. */
static void every_option_of_the_table_is_implemented(void **state)
{
	struct vr_spec s;
	struct error e;
	char line[100];

	for (const struct command_option *o = run_options; o->name; o++) {
		snprintf(line, sizeof line, "--%s%s @", o->name, o->value ? "=~" : "");
		parse(line, &s, &e);
		if (strstr(e.text, "not understood") || strstr(e.text, "unknown option"))
			fail_msg("--%s: %s", o->name, e.text);
		spec_release(&s);
	}
}

static void a_name_is_made_from_the_images_path(void **state)
{
	static const struct {
		const char *image, *stem;
	} table[] = {
		{ "image/ipfwd", "ipfwd" }, { "ipfwd", "ipfwd" }, { "/a/b/c///", "c" }, { "./x.y", "x.y" }, { "a b", "a_b" }, { "/", "vr" }, { "..", "vr" },
		{ ".hidden", "vr" }, { "-x", "vr" }, { "\xc3\xa4", "__" },
		{ "1234567890123456789012345678901234567890123456789012345678901234567890", "1234567890123456789012345678901234567890123456789012" },
	};
	char stem[VR_NAME_MAX];

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		options_name_stem(table[i].image, stem);
		assert_string_equal(stem, table[i].stem);
	}
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int make_image(void **state)
{
	char path[100];

	if (!mkdtemp(image))
		return -1;
	snprintf(path, sizeof path, "%s/rootfs", image);
	mkdir(path, 0755);
	snprintf(path, sizeof path, "%s/config.json", image);
	write_file(path, "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"args\":[\"/bin/prog\",\"default\"],"
			 "\"env\":[\"A=image\",\"B=image\"],\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0}},"
			 "\"annotations\":{\"io.europa.vnics\":\"2\"}}");
	return 0;
}

static int remove_image(void **state)
{
	char path[100];

	snprintf(path, sizeof path, "%s/config.json", image);
	unlink(path);
	snprintf(path, sizeof path, "%s/rootfs", image);
	rmdir(path);
	return rmdir(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_alone_has_the_defaults),
		cmocka_unit_test(limits_are_written_in_either_spelling),
		cmocka_unit_test(the_last_of_an_option_counts),
		cmocka_unit_test(vnics_are_linked),
		cmocka_unit_test(vnics_have_addresses_and_mtus),
		cmocka_unit_test(the_pool_has_any_number_of_slots_from_two),
		cmocka_unit_test(the_environment_is_the_images_with_changes),
		cmocka_unit_test(the_data_plane_is_told_its_quota),
		cmocka_unit_test(host_paths_become_absolute),
		cmocka_unit_test(arguments_behind_the_image_replace_its_own),
		cmocka_unit_test(flags_can_be_given_together),
		cmocka_unit_test(bad_values_are_refused_in_one_line),
		cmocka_unit_test(every_option_of_the_table_is_implemented),
		cmocka_unit_test(a_name_is_made_from_the_images_path),
	};

	return cmocka_run_group_tests(tests, make_image, remove_image);
}

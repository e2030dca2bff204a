/* SPDX-License-Identifier: MIT */
/* A checkpoint's files: what was saved comes back, whatever else is refused, and every flipped bit is seen. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/vr.h"
#include "runtime/checkpoint/handover.h"
#include "runtime/checkpoint/manifest.h"
#include "runtime/checkpoint/packets.h"
#include "runtime/checkpoint/seen.h"
#include "runtime/engine/netlink.h"
#include "runtime/error.h"
#include "runtime/region.h"

#include <cmocka.h>        /* last: it has a macro named fail */

static char directory[] = "/tmp/europa-checkpoint-XXXXXX";
static int dir;

/* ---- manifest ---- */

static struct manifest sample(void)
{
	struct manifest m = {
		.europa = "0.1.0", .architecture = "x86_64", .mode = MODE_WARM, .created_ns = 12345678901, .state_version = 3,
		.rx_packets = 1, .tx_packets = 2,
		.spec = {
			.name = "left", .bundle = strdup("/images/ipfwd"), .rootfs = strdup("/images/ipfwd/rootfs"), .cwd = strdup("/"),
			.ngroups = 2, .groups = { 7, 65535 },
			.rlimits = { .n = 1, .one = { { .resource = RLIMIT_NOFILE, .soft = 1024, .hard = RLIMIT_UNLIMITED } } },
			.image = strdup("image/ipfwd"), .limits = { .cpu_permille = 250, .period_us = 10000, .cpuset = strdup("0-1"), .memory = 1 << 26 },
			.vnics = 2, .vnic = { { .mac = { 2, 0, 0, 0, 0, 1 }, .mtu = 1500 },
				{ .kind = EUROPA_PORT_SHARED, .target = strdup("eth1"), .rule = strdup("vlan 5"), .mac = { 2, 0, 0, 0, 0, 2 }, .mtu = 9000 } },
		},
		.network[0] = { .known = true, .device = "left-v0", .netns = "a", .up = true, .master = "br0", .mtu = 1500, .mac = { 2, 1, 1, 1, 1, 1 },
				.naddresses = 2, .nroutes = 1 },
		.files[FILE_REGION] = { .present = true, .size = 4711 },
		.files[FILE_STATE] = { .present = true, .size = 815 },
	};

	memset(m.files[FILE_REGION].sha256, 'a', 64);
	memset(m.files[FILE_STATE].sha256, '1', 64);
	geometry_choose(&m.spec.geometry, 2, 64, 0, 0, 2);
	m.network[0].addresses = calloc(2, sizeof *m.network[0].addresses);
	m.network[0].routes = calloc(1, sizeof *m.network[0].routes);
	m.network[0].addresses[0] = (struct network_address){ .family = 2, .prefix = 24, .bytes = { 10, 0, 0, 2 },
								  .has_peer = true, .peer = { 10, 0, 0, 9 } };
	m.network[0].addresses[1] = (struct network_address){ .family = 10, .prefix = 64, .bytes = { 0x20, 1, 0xd, 0xb8 } };
	m.network[0].routes[0] = (struct network_route){ .family = 2, .prefix = 8, .protocol = 3, .has_via = true, .onlink = true, .to = { 11 }, .via = { 10, 0, 0, 1 },
							 .metric = 7 };
	m.spec.args = calloc(2, sizeof *m.spec.args);
	m.spec.args[0] = strdup("/bin/ipfwd");
	m.spec.env = calloc(2, sizeof *m.spec.env);
	m.spec.env[0] = strdup("A=1 \"2\"");
	return m;
}

static struct manifest sample_of_criu(void)
{
	static const char *const names[] = { "control", "pool", "inventory.img", "pages-1.img" };
	struct manifest m = sample();

	m.mode = MODE_CRIU;
	m.files[FILE_STATE].present = false;
	m.criu = (struct criu_image){ .pid = 5, .input = "file[2c:3]", .log = 40, .doorbell = 41, .kick = 42, .count = 4, .files = calloc(4, sizeof *m.criu.files) };
	for (unsigned i = 0; i < m.criu.count; i++) {
		strcpy(m.criu.files[i].name, names[i]);
		m.criu.files[i].file = (struct store_file){ .present = true, .size = 1000 + i };
		memset(m.criu.files[i].file.sha256, 'b', 64);
	}
	return m;
}

static void comes_back(struct manifest m, struct manifest *back)
{
	char *text = manifest_print(&m), *again;
	struct error e = { 0 };

	assert_non_null(text);
	if (manifest_parse(text, strlen(text), back, &e))
		fail_msg("%s", e.text);
	assert_string_equal(m.id, back->id);
	assert_memory_equal(&m.spec.geometry, &back->spec.geometry, sizeof m.spec.geometry);
	again = manifest_print(back);
	assert_string_equal(text, again);
	free(text);
	free(again);
	manifest_release(&m);
}

static void a_manifest_comes_back(void **state)
{
	struct manifest back = { 0 };

	comes_back(sample(), &back);
	assert_int_equal(back.spec.ngroups, 2);
	assert_int_equal(back.spec.groups[1], 65535);
	assert_int_equal(back.spec.rlimits.one[0].resource, RLIMIT_NOFILE);
	assert_true(back.spec.rlimits.one[0].soft == 1024 && back.spec.rlimits.one[0].hard == RLIMIT_UNLIMITED);
	assert_int_equal(back.network[0].routes[0].metric, 7);
	assert_true(back.network[0].routes[0].onlink);
	assert_true(back.network[0].addresses[0].has_peer && !back.network[0].addresses[1].has_peer);
	assert_int_equal(back.network[0].addresses[0].peer[3], 9);
	manifest_release(&back);
}

static void a_manifest_of_criu_comes_back(void **state)
{
	struct manifest back = { 0 };

	comes_back(sample_of_criu(), &back);
	assert_int_equal(back.criu.pid, 5);
	assert_string_equal(back.criu.input, "file[2c:3]");
	assert_int_equal(back.criu.kick, 42);
	assert_int_equal(back.criu.count, 4);
	assert_int_equal(criu_image_find(&back.criu, "pages-1.img")->file.size, 1003);
	manifest_release(&back);
}

/* Else the fuzzer would never look behind the first thing that is refused. */
static void the_fuzzers_manifests_are_good(void **state)
{
	static const char *const seeds[] = { "warm", "criu" };

	for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
		char path[80], text[16384];
		struct manifest m = { 0 };
		struct error e = { 0 };
		ssize_t length;
		int fd;

		snprintf(path, sizeof path, "tests/fuzz/corpus/checkpoint_manifest_fuzz/%s", seeds[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		length = read(fd, text, sizeof text);
		assert_true(length > 0 && length < (ssize_t)sizeof text);
		close(fd);
		manifest_sign(text, (size_t)length);
		if (manifest_parse(text, (size_t)length, &m, &e))
			fail_msg("%s: %s", path, e.text);
		assert_string_equal(manifest_mode_name(m.mode), seeds[i]);
		manifest_release(&m);
	}
}

static void every_flipped_bit_and_every_cut_of_a_manifest_is_seen(void **state)
{
	struct manifest m = sample();
	char *text = manifest_print(&m);
	size_t length = strlen(text);

	for (size_t at = 0; at < length; at++) {
		struct manifest back = { 0 };
		struct error e = { 0 };

		text[at] ^= 1 << at % 8;
		assert_int_not_equal(manifest_parse(text, length, &back, &e), 0);
		assert_non_null(strstr(e.text, "damaged"));
		text[at] ^= 1 << at % 8;
		manifest_release(&back);
		e = (struct error){ 0 };
		memset(&back, 0, sizeof back);
		assert_int_not_equal(manifest_parse(text, at, &back, &e), 0);
		assert_non_null(strstr(e.text, "damaged"));
		manifest_release(&back);
	}
	free(text);
	manifest_release(&m);
}

/* Signed as if it were true: then its contents are looked at. */
static void refused_with(struct manifest m, const char *from, const char *to, const char *why)
{
	struct manifest back = { 0 };
	char *text = manifest_print(&m), *at = strstr(text, from), *changed;
	struct error e = { 0 };

	assert_non_null(at);
	assert_true(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
	manifest_sign(changed, strlen(changed));
	assert_int_not_equal(manifest_parse(changed, strlen(changed), &back, &e), 0);
	if (!strstr(e.text, why))
		fail_msg("\"%s\" for \"%s\": \"%s\", expected \"%s\"", to, from, e.text, why);
	free(text);
	free(changed);
	manifest_release(&m);
	manifest_release(&back);
}

static void what_a_stranger_writes_into_a_manifest_is_refused(void **state)
{
	static const struct { const char *from, *to, *why; } cases[] = {
		{ "\"version\": 1", "\"version\": 2", "format version 2" },
		{ "\"version\": 1", "\"version\": \"1\"", "version" },
		{ "\"mode\": \"warm\"", "\"mode\": \"auto\"", "criu or warm" },
		{ "\"mode\": \"warm\"", "\"mode\": \"warm\", \"mood\": 1", "mood" },
		{ "\"left_running\": false", "\"left_running\": false, \"left_running\": true", "duplicate" },
		{ "\"size\": 4711", "\"size\": 99999999999999", "at most" },
		{ "\"size\": 4711", "\"size\": -1", "at most" },
		{ "\"size\": 815", "\"size\": 1073741825", "at most" },
		{ "\"name\": \"left\"", "\"name\": \"../left\"", "name" },
		{ "\"bundle\": \"/images/ipfwd\"", "\"bundle\": \"images\"", "absolute" },
		{ "\"bundle\": \"/images/ipfwd\"", "\"bundle\": null", "bundle" },
		{ "\"/bin/ipfwd\"", "", "program" },
		{ "\"/bin/ipfwd\"", "\"\"", "program" },
		{ "\"slots\": 64", "\"slots\": 0", "geometry" },
		{ "\"slots\": 64", "\"slots\": 4294967296", "slots" },
		{ "\"netns\": \"a\"", "\"netns\": \"../a\"", "namespace" },
		{ "\"master\": \"br0\"", "\"master\": \"br/0\"", "device" },
		{ "\"address\": \"10.0.0.2/24\"", "\"address\": \"10.0.0.2/33\"", "PREFIX" },
		{ "\"via\": \"10.0.0.1\"", "\"via\": \"2001:db8::1\"", "one family" },
		{ "\"peer\": \"10.0.0.9\"", "\"peer\": \"2001:db8::1\"", "one family" },
		{ "\"onlink\": true", "\"onlink\": 2", "Expected true or false" },
		{ "65535\n", "65536\n", "group 65536" },
		{ "65535\n", "\"x\"\n", "groups: expected numbers" },
		{ "\"RLIMIT_NOFILE\"", "\"RLIMIT_FILES\"", "RLIMIT_NOFILE" },
		{ "\"soft\": 1024", "\"soft\": -1", "RLIMIT_NOFILE: expected numbers or null" },
		{ "\"hard\": null", "\"hard\": 7", "not above hard" },
		{ "\"cpuset\": \"0-1\"", "\"cpuset\": \"1-0\"", "cpuset" },
		{ "\"env\": [", "\"env\": [\"=\",", "NAME=VALUE" },
		{ "\"target\": \"eth1\"", "\"target\": \"../eth1\"", "device" },
		{ "\"mtu\": 9000", "\"mtu\": 65536", "mtu" },
		{ "\"lossy\": false", "\"lossy\": true", "UTF-8" },
		{ "\"europa\": \"0.1.0\"", "\"europa\": \"0.1.0\\n\"", "word" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		refused_with(sample(), cases[i].from, cases[i].to, cases[i].why);
}

static void what_a_stranger_writes_about_criu_is_refused(void **state)
{
	static const struct { const char *from, *to, *why; } cases[] = {
		{ "\"mode\": \"criu\"", "\"mode\": \"warm\"", "state: expected a file" },
		{ "\"criu\": {", "\"criu\": null, \"kriu\": {", "kriu" },
		{ "\"pid\": 5", "\"pid\": 1", "pid" },
		{ "\"pid\": 5", "\"pid\": 20001", "pid" },
		{ "\"kick\": 42", "\"kick\": -1", "kick" },
		{ "\"log\": 40", "\"log\": \"40\"", "integer" },
		{ "file[2c:3]", "file[2c:3", "file[MOUNT:INODE]" },
		{ "file[2c:3]", "file[:3]", "file[MOUNT:INODE]" },
		{ "file[2c:3]", "file[2c:]", "file[MOUNT:INODE]" },
		{ "file[2c:3]", "file[2c:3],x", "file[MOUNT:INODE]" },
		{ "file[2c:3]", "/etc/shadow", "file[MOUNT:INODE]" },
		{ "pages-1.img", "../pages-1.img", "a file of that name" },
		{ "pages-1.img", ".pages", "a file of that name" },
		{ "pages-1.img", "", "a file of that name" },
		{ "pages-1.img", "pages-1234567890123456789012345678901234567890.img", "a file of that name" },
		{ "pages-1.img", "control", "duplicate" },
		{ "inventory.img", "inventory", "inventory.img among them" },
		{ "\"size\": 1003", "\"size\": 1073741825", "pages-1.img" },
		{ "\"size\": 1003", "\"size\": -1", "pages-1.img" },
		{ "bbbb\"", "bbb\"", "SHA-256" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		refused_with(sample_of_criu(), cases[i].from, cases[i].to, cases[i].why);
}

/* ---- packets ---- */

struct bed {
	struct region region;
	struct europa_offsets off;
	uint8_t *control, *pool;
	struct vr vr;
	void *memory;
};

static void bed_open(struct bed *b)
{
	struct europa_geometry geo;
	struct error e = { 0 };

	geometry_choose(&geo, 2, 16, 0, 8, 1);
	if (region_create(&b->region, &geo, "x", &e))
		fail_msg("%s", e.text);
	layout_compute(&geo, &b->off);
	b->control = mmap(NULL, b->off.control_size, PROT_READ | PROT_WRITE, MAP_SHARED, b->region.control, 0);
	b->pool = mmap(NULL, b->off.pool_size, PROT_READ | PROT_WRITE, MAP_SHARED, b->region.pool, 0);
	b->memory = calloc(1, vr_memory(&geo));
}

static void bed_close(struct bed *b)
{
	munmap(b->control, b->off.control_size);
	munmap(b->pool, b->off.pool_size);
	region_close(&b->region);
	free(b->memory);
}

static struct europa_line *vrs_line(struct bed *b, uint32_t ring)
{
	return (struct europa_line *)(b->pool + b->off.pool_lines) + ring;
}

static uint32_t *tx_entries(struct bed *b, unsigned vnic)
{
	return (uint32_t *)(b->pool + b->off.pool_rings + layout_ring(&b->region.geometry, EUROPA_RING_TX(vnic)));
}

/* A frame comes in at a vNIC. */
static uint32_t receive(struct bed *b, unsigned vnic, uint32_t length, uint8_t fill)
{
	struct europa_slot meta = { .len = length };
	int slot = rx_slot(&b->vr, vnic, length);

	assert_true(slot >= 0);
	memset(rx_data(&b->vr, (uint32_t)slot), fill, length);
	rx_put(&b->vr, vnic, (uint32_t)slot, &meta);
	rx_flush(&b->vr, vnic);
	return (uint32_t)slot;
}

/* The VR takes the oldest from an rx ring and puts it on a tx ring. */
static void forward(struct bed *b, unsigned in, unsigned out, uint32_t slot)
{
	struct europa_line *tx = vrs_line(b, EUROPA_RING_TX(out));

	vrs_line(b, EUROPA_RING_RX(in))->index++;
	((struct europa_slot *)(b->pool + b->off.pool_meta))[slot].state = EUROPA_SLOT_PROCESSED;
	tx_entries(b, out)[tx->index & (b->region.geometry.ring_size - 1)] = slot;
	tx->index++;
}

static uint8_t *save(struct bed *b, size_t *size, struct packets_count *count)
{
	struct store_writer *w = malloc(sizeof *w);
	struct store_file file;
	struct error e = { 0 };
	uint8_t *bytes;

	unlinkat(dir, "region", 0);
	if (store_begin(w, dir, "region", &e) || packets_save(w, b->region.control, b->region.pool, &b->region.geometry, count, &e) ||
	    store_end(w, &file, &e) || store_verify(dir, directory, "region", &file, &bytes, &e))
		fail_msg("%s", e.text);
	*size = file.size;
	free(w);
	return bytes;
}

/* Three packets in: one waits, one is on its way out, and a super-packet waits. */
static void fill(struct bed *b)
{
	uint32_t first;

	bed_open(b);
	vr_init(&b->vr, &b->region.geometry, "x", b->control, b->pool, b->memory);
	first = receive(b, 0, 100, 0xaa);
	receive(b, 0, 1500, 0xbb);
	receive(b, 1, 50001, 0xcc);
	forward(b, 0, 1, first);
}

static void packets_come_back_in_order_and_once(void **state)
{
	struct tx_frame frames[8];
	struct packets_count count;
	struct bed from, to;
	struct error e = { 0 };
	uint8_t *bytes;
	uint32_t looked, slot;
	size_t size;

	fill(&from);
	bytes = save(&from, &size, &count);
	assert_int_equal(count.rx, 2);
	assert_int_equal(count.tx, 1);
	assert_int_equal(count.bad, 0);
	assert_true(size <= packets_most(&from.region.geometry));

	bed_open(&to);
	if (packets_check(bytes, size, &to.region.geometry, &count, &e) || packets_lay(bytes, size, &to.region, "y", true, &e))
		fail_msg("%s", e.text);
	assert_int_equal(count.rx, 2);
	assert_int_equal(vr_adopt(&to.vr, &to.region.geometry, to.control, to.pool, to.memory), 0);
	assert_string_equal(to.vr.header->name, "y");
	assert_int_equal(to.vr.vnic_stats[0].rx_packets, 2);
	/* What is to leave is not seen before it is released. */
	assert_int_equal(tx_take(&to.vr, 1, frames, 8, &looked), 0);
	assert_int_equal(packets_release(&to.region, &e), 0);
	assert_int_equal(tx_take(&to.vr, 1, frames, 8, &looked), 1);
	assert_int_equal(frames[0].meta.len, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(frames[0].data[i], 0xaa);
	tx_done(&to.vr, frames, 1);
	assert_int_equal(tx_take(&to.vr, 1, frames, 8, &looked), 0);
	/* And what has come in is there. */
	slot = *(uint32_t *)(to.control + to.off.control_rings + layout_ring(&to.region.geometry, EUROPA_RING_RX(1)));
	assert_true(slot >= to.region.geometry.nslots);
	assert_int_equal(rx_data(&to.vr, slot)[50000], 0xcc);
	free(bytes);
	bed_close(&from);
	bed_close(&to);
}

static void without_its_packets_a_checkpoint_leaves_statistics_alone(void **state)
{
	struct packets_count count;
	struct vr_census census;
	struct bed from, to;
	struct error e = { 0 };
	uint8_t *bytes;
	size_t size;

	fill(&from);
	bytes = save(&from, &size, &count);
	bed_open(&to);
	assert_int_equal(packets_lay(bytes, size, &to.region, "y", false, &e), 0);
	assert_int_equal(vr_adopt(&to.vr, &to.region.geometry, to.control, to.pool, to.memory), 0);
	vr_census(&to.vr, &census);
	assert_int_equal(census.vr_slots + census.vr_runs, 0);
	assert_int_equal(to.vr.vnic_stats[1].rx_bytes, 50001);
	free(bytes);
	bed_close(&from);
	bed_close(&to);
}

static void what_a_vr_lies_about_is_not_saved(void **state)
{
	struct packets_count count;
	struct error e = { 0 };
	struct store_writer *w = malloc(sizeof *w);
	struct europa_slot *metas;
	struct bed b;
	size_t size;

	fill(&b);
	metas = (struct europa_slot *)(b.pool + b.off.pool_meta);
	/* The slot that is on its way out once more; one that is the switch's; one that doesn't exist; one too long. */
	tx_entries(&b, 1)[1] = tx_entries(&b, 1)[0];
	tx_entries(&b, 1)[2] = 15;
	tx_entries(&b, 1)[3] = 0xfffffff0;
	vrs_line(&b, EUROPA_RING_TX(1))->index += 3;
	metas[*(uint32_t *)(b.control + b.off.control_rings + layout_ring(&b.region.geometry, EUROPA_RING_RX(0)) + 4)].len = 0xffffffff;
	free(save(&b, &size, &count));
	assert_int_equal(count.tx, 1);
	assert_int_equal(count.rx, 1);
	assert_int_equal(count.bad, 4);

	vrs_line(&b, EUROPA_RING_TX(0))->index = 0x80000000;
	unlinkat(dir, "region", 0);
	assert_int_equal(store_begin(w, dir, "region", &e), 0);
	assert_int_equal(packets_save(w, b.region.control, b.region.pool, &b.region.geometry, &count, &e), -EINVAL);
	assert_non_null(strstr(e.text, "tx ring of vNIC 0 makes no sense"));
	close(w->fd);
	free(w);
	bed_close(&b);
}

/* A switch gives no VR what it couldn't send on, and a checkpoint is no way around that. */
static void what_no_switch_would_give_a_vr_is_not_saved(void **state)
{
	struct packets_count count;
	struct europa_slot *metas;
	struct bed b;
	size_t size;
	uint32_t waits;

	fill(&b);
	metas = (struct europa_slot *)(b.pool + b.off.pool_meta);
	waits = ((uint32_t *)(b.control + b.off.control_rings + layout_ring(&b.region.geometry, EUROPA_RING_RX(0))))[1];
	metas[waits].flags = EUROPA_SLOT_NEEDS_CSUM;
	metas[waits].csum_start = 10;
	vr_drop(&b.vr, 0, EUROPA_DROP_RX_MALFORMED, 3);
	vr_drop(&b.vr, 1, EUROPA_DROP_RX_DOWN, 2);
	free(save(&b, &size, &count));
	assert_int_equal(count.rx, 1);
	assert_int_equal(count.bad, 1);
	assert_int_equal(count.not_received, 5);
	bed_close(&b);
}

static void a_region_file_that_cannot_be_is_refused(void **state)
{
	struct packets_count count;
	struct bed b;
	size_t size, entries = sizeof(struct packets_header) + sizeof(struct europa_vr_stats) + 2 * sizeof(struct europa_vnic_stats);
	uint8_t *bytes, *copy;

	fill(&b);
	bytes = save(&b, &size, &count);
	copy = malloc(size + 8);
	for (int i = 0; i < 9; i++) {
		struct packets_entry *entry = (void *)(copy + entries);
		struct packets_header *header = (void *)copy;
		static const char *const why[] = {
			"exist", "twice", "more than the slot", "ring 6", "ring 0", "not the packets", "too many", "missing", "geometry",
		};
		size_t length = size;
		struct error e = { 0 };

		memcpy(copy, bytes, size);
		memset(copy + size, 0, 8);
		switch (i) {
		case 0: entry->slot = b.region.geometry.nslots + 1; break;
		case 1: entry->slot = ((struct packets_entry *)(copy + entries + sizeof *entry + 104))->slot; break;
		case 2: entry->meta.offset = 65535; break;
		case 3: entry->ring = 6; break;
		case 4: entry->ring = 0; break;
		case 5: header->magic++; break;
		case 6: length += 8; break;
		case 7: length -= 8; break;
		case 8: header->geometry.alloc_target++; break;
		}
		assert_int_equal(packets_check(copy, length, &b.region.geometry, &count, &e), -EINVAL);
		if (!strstr(e.text, why[i]))
			fail_msg("case %d: \"%s\", expected \"%s\"", i, e.text, why[i]);
	}
	for (size_t length = 0; length < size; length += length < entries ? 1 : 97) {
		struct error e = { 0 };

		assert_int_equal(packets_check(bytes, length, &b.region.geometry, &count, &e), -EINVAL);
	}
	free(bytes);
	free(copy);
	bed_close(&b);
}

/* ---- files, state, and whose turn it is ---- */

static void a_file_that_was_changed_is_named(void **state)
{
	struct store_file file;
	struct error e = { 0 };
	uint8_t *bytes;
	int fd;

	assert_int_equal(store_write(dir, "state", "0123456789", 10, &file, &e), 0);
	assert_int_equal(store_verify(dir, "saved", "state", &file, &bytes, &e), 0);
	assert_memory_equal(bytes, "0123456789", 11);
	free(bytes);
	fd = openat(dir, "state", O_WRONLY);
	assert_int_equal(pwrite(fd, "x", 1, 5), 1);
	assert_int_equal(store_verify(dir, "saved", "state", &file, &bytes, &e), -EINVAL);
	assert_string_equal(e.text, "\"saved/state\" is damaged: its SHA-256 is not the one in manifest.json");
	e = (struct error){ 0 };
	assert_int_equal(ftruncate(fd, 9), 0);
	assert_int_equal(store_verify(dir, "saved", "state", &file, &bytes, &e), -EINVAL);
	assert_string_equal(e.text, "\"saved/state\" has 9 bytes, but 10 were written: it is damaged");
	e = (struct error){ 0 };
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(store_verify(dir, "saved", "state", &file, &bytes, &e), -EINVAL);
	close(fd);
	unlinkat(dir, "state", 0);
	assert_int_equal(mkfifoat(dir, "state", 0600), 0);
	e = (struct error){ 0 };
	assert_int_equal(store_verify(dir, "saved", "state", &file, &bytes, &e), -EINVAL);
	assert_string_equal(e.text, "\"saved/state\": expected a regular file");
	unlinkat(dir, "state", 0);
	assert_int_equal(symlinkat("/etc/passwd", dir, "state"), 0);
	e = (struct error){ 0 };
	assert_int_equal(store_verify(dir, "saved", "state", &file, &bytes, &e), -ELOOP);
	unlinkat(dir, "state", 0);
}

static void a_state_that_cannot_be_is_refused(void **state)
{
	struct { struct europa_state_header header; char blob[8]; } file = {
		.header = { .magic = EUROPA_STATE_MAGIC, .version = 7, .len = 8 },
	}, bad;
	struct error e = { 0 };
	uint32_t version;

	assert_int_equal(handover_check((void *)&file, sizeof file, &version, &e), 0);
	assert_int_equal(version, 7);
	for (int i = 0; i < 6; i++) {
		size_t length = sizeof bad;

		e = (struct error){ 0 };
		bad = file;
		switch (i) {
		case 0: bad.header.magic++; break;
		case 1: bad.header.version = 0; break;
		case 2: bad.header.ncounters = EUROPA_DP_COUNTERS + 1; break;
		case 3: bad.header.len = ~0ull; break;
		case 4: bad.header.reserved[9] = 1; break;
		case 5: length--; break;
		}
		assert_int_equal(handover_check((void *)&bad, length, &version, &e), -EINVAL);
		assert_true(e.text[0]);
	}
}

static void packets_are_the_first_ones_once(void **state)
{
	struct error e = { 0 };
	bool first = false;

	assert_int_equal(seen_claim("abc", &first, &e), 0);
	assert_true(first);
	seen_release("abc");
	assert_int_equal(seen_claim("abc", &first, &e), 0);
	assert_true(first);
	assert_int_equal(seen_settle("abc", &e), 0);
	assert_int_equal(seen_claim("abc", &first, &e), 0);
	assert_false(first);
	assert_int_equal(seen_claim("abd", &first, &e), 0);
	assert_true(first);
	seen_release("abc");
	seen_release("abd");
}

/* Somebody who may write where the checkpoint is made puts a directory of his in the place of ours. */
static void a_directory_that_others_may_enter_is_not_ours(void **state)
{
	struct error e = { 0 };
	int made = store_make(dir, "partial", &e);

	assert_return_code(made, e.code);
	assert_return_code(mkdirat(made, "sub", 0700), errno);
	assert_return_code(fchmod(made, 0755), errno);
	assert_int_equal(store_own(dir, "partial", &e), -EINVAL);
	assert_non_null(strstr(e.text, "\"partial\" was replaced"));
	store_remove(dir, "partial");
	assert_int_equal(faccessat(made, "sub", F_OK, 0), 0);

	assert_return_code(fchmod(made, 0700), errno);
	assert_return_code(symlinkat("partial", dir, "link"), errno);
	e = (struct error){ 0 };
	assert_int_equal(store_own(dir, "link", &e), -ENOTDIR);
	store_remove(dir, "link");
	assert_int_equal(faccessat(made, "sub", F_OK, 0), 0);
	assert_return_code(unlinkat(dir, "link", 0), errno);

	store_remove(dir, "partial");
	assert_int_equal(faccessat(dir, "partial", F_OK, 0), -1);
	close(made);
}

/* ---- a host whose addresses change while it is asked ---- */

static unsigned interruptions;

ssize_t __real_mnl_socket_recvfrom(const struct mnl_socket *nl, void *bytes, size_t size);
ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *nl, void *bytes, size_t size);
ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *nl, void *bytes, size_t size)
{
	ssize_t n = __real_mnl_socket_recvfrom(nl, bytes, size);
	int left = (int)n;
	struct nlmsghdr *h = bytes, *last = NULL;

	for (; interruptions && mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
		last = h;
	if (last) {
		last->nlmsg_flags |= NLM_F_DUMP_INTR;
		interruptions--;
	}
	return n;
}

static void what_changed_while_it_was_read_is_read_again(void **state)
{
	struct network quiet = { .device = "lo" }, changing = { .device = "lo" };
	struct error e = { 0 };
	struct mnl_socket *nl = netlink_open(0, &e);
	uint32_t lo = if_nametoindex("lo");

	assert_non_null(nl);
	assert_int_equal(network_read(&quiet, nl, lo, &e), 0);
	assert_true(quiet.naddresses > 0);
	interruptions = 3;
	assert_int_equal(network_read(&changing, nl, lo, &e), 0);
	assert_int_equal(interruptions, 0);
	assert_int_equal(changing.naddresses, quiet.naddresses);
	assert_int_equal(changing.nroutes, quiet.nroutes);
	assert_memory_equal(changing.addresses, quiet.addresses, quiet.naddresses * sizeof *quiet.addresses);

	interruptions = 1000000;
	assert_int_equal(network_read(&changing, nl, lo, &e), -EINTR);
	assert_non_null(strstr(e.text, "addresses and routes of \"lo\""));
	interruptions = 0;
	assert_int_equal(network_read(&changing, nl, lo, &e), 0);
	network_release(&quiet);
	network_release(&changing);
	mnl_socket_close(nl);
}

static int open_directory(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	dir = open(directory, O_RDONLY | O_DIRECTORY);
	return setenv("EUROPA_RUN_DIR", directory, 1) || dir < 0 ? -1 : 0;
}

static int remove_directory(void **state)
{
	unlinkat(dir, "region", 0);
	store_remove(AT_FDCWD, directory);
	close(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_comes_back),
		cmocka_unit_test(a_manifest_of_criu_comes_back),
		cmocka_unit_test(the_fuzzers_manifests_are_good),
		cmocka_unit_test(every_flipped_bit_and_every_cut_of_a_manifest_is_seen),
		cmocka_unit_test(what_a_stranger_writes_into_a_manifest_is_refused),
		cmocka_unit_test(what_a_stranger_writes_about_criu_is_refused),
		cmocka_unit_test(packets_come_back_in_order_and_once),
		cmocka_unit_test(without_its_packets_a_checkpoint_leaves_statistics_alone),
		cmocka_unit_test(what_a_vr_lies_about_is_not_saved),
		cmocka_unit_test(what_no_switch_would_give_a_vr_is_not_saved),
		cmocka_unit_test(a_region_file_that_cannot_be_is_refused),
		cmocka_unit_test(a_file_that_was_changed_is_named),
		cmocka_unit_test(a_state_that_cannot_be_is_refused),
		cmocka_unit_test(packets_are_the_first_ones_once),
		cmocka_unit_test(a_directory_that_others_may_enter_is_not_ours),
		cmocka_unit_test(what_changed_while_it_was_read_is_read_again),
	};

	return cmocka_run_group_tests(tests, open_directory, remove_directory);
}

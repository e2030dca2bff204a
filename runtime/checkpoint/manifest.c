/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/layout.h"
#include "runtime/checkpoint/packets.h"
#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/spec_json.h"

#define HASH_DIGITS (STORE_HASH_TEXT - 1)
#define BEGINNING   "{\n  \"id\": \""
#define ZEROES      "0000000000000000000000000000000000000000000000000000000000000000"

const char *const manifest_file_names[CHECKPOINT_FILES] = {
	[FILE_REGION] = "region", [FILE_STATE] = "state", [FILE_CONFIG] = "config",
};

static const char *const mode_names[] = { [MODE_AUTO] = "auto", [MODE_CRIU] = "criu", [MODE_WARM] = "warm" };

const char *manifest_mode_name(enum checkpoint_mode mode)
{
	return mode_names[mode];
}

bool manifest_mode(const char *name, enum checkpoint_mode *mode)
{
	for (unsigned i = 0; i < sizeof mode_names / sizeof *mode_names; i++)
		if (strcmp(name, mode_names[i]) == 0) {
			*mode = (enum checkpoint_mode)i;
			return true;
		}
	return false;
}

void manifest_release(struct manifest *m)
{
	spec_release(&m->spec);
	criu_image_release(&m->criu);
	for (unsigned n = 0; n < EUROPA_MAX_VNICS; n++)
		network_release(&m->network[n]);
}

/* ---- its own hash ---- */

static void hash_text(const char *text, size_t length, char hash[STORE_HASH_TEXT])
{
	size_t before = strlen(BEGINNING);
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, before, (const uint8_t *)text);
	sha256_update(&sha, HASH_DIGITS, (const uint8_t *)ZEROES);
	sha256_update(&sha, length - before - HASH_DIGITS, (const uint8_t *)text + before + HASH_DIGITS);
	store_hash_text(&sha, hash);
}

void manifest_sign(char *text, size_t length)
{
	char hash[STORE_HASH_TEXT];

	if (length < strlen(BEGINNING) + HASH_DIGITS)
		return;
	hash_text(text, length, hash);
	memcpy(text + strlen(BEGINNING), hash, HASH_DIGITS);
}

static int check_hash(const char *text, size_t length, struct error *e)
{
	char hash[STORE_HASH_TEXT];

	if (length < strlen(BEGINNING) + HASH_DIGITS || memcmp(text, BEGINNING, strlen(BEGINNING)) != 0)
		return refuse(e, "not the manifest of a checkpoint, or damaged at its beginning");
	hash_text(text, length, hash);
	if (memcmp(text + strlen(BEGINNING), hash, HASH_DIGITS) != 0)
		return refuse(e, "damaged: its SHA-256 is not its id");
	return 0;
}

/* ---- to JSON ---- */

static json_t *file_json(const struct store_file *file)
{
	return file->present ? json_pack("{s:I, s:s}", "size", (json_int_t)file->size, "sha256", file->sha256) : json_null();
}

static json_t *pack(const struct manifest *m)
{
	json_t *networks = json_array();

	for (unsigned n = 0; n < m->spec.vnics; n++)
		json_array_append_new(networks, network_json(&m->network[n]));
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "id", ZEROES, "version", MANIFEST_VERSION, "europa", m->europa, "architecture", m->architecture,
			 "mode", manifest_mode_name(m->mode), "left_running", m->left_running,
			 "created_ns", (json_int_t)m->created_ns, "state_version", (json_int_t)m->state_version,
			 "rx_packets", (json_int_t)m->rx_packets, "tx_packets", (json_int_t)m->tx_packets,
			 "region", file_json(&m->files[FILE_REGION]), "state", file_json(&m->files[FILE_STATE]),
			 "config", file_json(&m->files[FILE_CONFIG]), "criu", criu_image_json(&m->criu),
			 "spec", spec_json(&m->spec), "network", networks);
}

char *manifest_print(struct manifest *m)
{
	json_t *json = pack(m);
	char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

	json_decref(json);
	if (!text)
		return NULL;
	manifest_sign(text, strlen(text));
	snprintf(m->id, sizeof m->id, "%s", text + strlen(BEGINNING));
	return text;
}

/* ---- from JSON ---- */

static int parse_file(json_t *json, const char *name, uint64_t most, struct store_file *file, struct error *e)
{
	json_error_t error;
	const char *sha256;
	json_int_t size;

	if (json_is_null(json))
		return 0;
	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:I, s:s}", "size", &size, "sha256", &sha256) < 0)
		return json_complaint(&error, e);
	if (size < 0 || (uint64_t)size > most)
		return refuse(e, "%s: %" JSON_INTEGER_FORMAT " bytes: expected at most %llu", name, size, (unsigned long long)most);
	if (strlen(sha256) != HASH_DIGITS || strspn(sha256, "0123456789abcdef") != HASH_DIGITS)
		return refuse(e, "%s: expected a SHA-256", name);
	*file = (struct store_file){ .present = true, .size = (uint64_t)size };
	strcpy(file->sha256, sha256);
	return 0;
}

static int parse_networks(json_t *json, struct manifest *m, struct error *e)
{
	int err = 0;

	if (!json_is_array(json) || json_array_size(json) != m->spec.vnics)
		return refuse(e, "network: expected an array of %u", m->spec.vnics);
	for (unsigned n = 0; n < m->spec.vnics && !err; n++) {
		err = network_parse(json_array_get(json, n), &m->network[n], e);
		if (err)
			context(e, "network of vNIC %u", n);
	}
	return err;
}

static int keep_word(const char *what, const char *text, char *to, size_t size, struct error *e)
{
	char quoted[100];

	if (!*text || strlen(text) >= size || strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") != strlen(text))
		return refuse(e, "%s \"%s\": expected a word", what, quantity_quote(quoted, sizeof quoted, text));
	strcpy(to, text);
	return 0;
}

static int parse_version(json_t *json, struct error *e)
{
	json_t *version = json_object_get(json, "version");

	if (!json_is_integer(version))
		return refuse(e, "expected an object with a version");
	if (json_integer_value(version) != MANIFEST_VERSION)
		return refuse(e, "the checkpoint is of format version %" JSON_INTEGER_FORMAT ": this program knows version %d",
			      json_integer_value(version), MANIFEST_VERSION);
	return 0;
}

static uint64_t region_most(const struct europa_geometry *geo)
{
	size_t most = packets_most(geo);

	return most < REGION_MOST ? most : REGION_MOST;
}

static int parse_all(json_t *json, struct manifest *m, struct error *e)
{
	json_int_t version, created, state_version, rx, tx;
	json_t *region, *state, *config, *criu, *spec, *networks;
	const char *id, *europa, *architecture, *mode;
	json_error_t error;
	int left_running, err;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:s, s:I, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
			   "id", &id, "version", &version, "europa", &europa, "architecture", &architecture, "mode", &mode,
			   "left_running", &left_running, "created_ns", &created, "state_version", &state_version,
			   "rx_packets", &rx, "tx_packets", &tx, "region", &region, "state", &state, "config", &config, "criu", &criu,
			   "spec", &spec, "network", &networks) < 0)
		return json_complaint(&error, e);
	if (!manifest_mode(mode, &m->mode) || m->mode == MODE_AUTO)
		return refuse(e, "mode: expected criu or warm");
	if (json_in_range("created_ns", created, 0, INT64_MAX, e) || json_in_range("state_version", state_version, 0, UINT32_MAX, e) ||
	    json_in_range("rx_packets", rx, 0, UINT32_MAX, e) || json_in_range("tx_packets", tx, 0, UINT32_MAX, e))
		return -EINVAL;
	/* The hash has been compared: it is as long as one. */
	snprintf(m->id, sizeof m->id, "%s", id);
	m->left_running = left_running;
	m->created_ns = created;
	m->state_version = (uint32_t)state_version;
	m->rx_packets = (uint32_t)rx;
	m->tx_packets = (uint32_t)tx;
	err = keep_word("europa", europa, m->europa, sizeof m->europa, e) ?:
	      keep_word("architecture", architecture, m->architecture, sizeof m->architecture, e);
	if (!err && spec_parse(spec, &m->spec, e))
		err = context(e, "spec");
	if (!err && !m->spec.bundle)
		err = refuse(e, "spec: expected a bundle");
	if (!err && !m->spec.vnics)
		err = refuse(e, "spec: expected a vNIC at least");
	if (!err && (!m->spec.args[0] || !m->spec.args[0][0]))
		err = refuse(e, "spec: expected a program in args");
	if (!err && criu_image_parse(criu, &m->criu, e))
		err = context(e, "criu");
	return err ?: parse_networks(networks, m, e) ?:
	       parse_file(region, "region", region_most(&m->spec.geometry), &m->files[FILE_REGION], e) ?:
	       parse_file(state, "state", STATE_MOST, &m->files[FILE_STATE], e) ?:
	       parse_file(config, "config", CONFIG_MOST, &m->files[FILE_CONFIG], e);
}

int manifest_parse(const char *text, size_t length, struct manifest *m, struct error *e)
{
	auto_json json_t *json = NULL;
	json_error_t error;
	int err = check_hash(text, length, e);

	if (err)
		return err;
	json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (!json) {
		char quoted[200];

		return refuse(e, "line %d, column %d: %s", error.line, error.column, quantity_quote(quoted, sizeof quoted, error.text));
	}
	err = parse_version(json, e) ?: parse_all(json, m, e);
	if (!err && !m->files[FILE_REGION].present)
		err = refuse(e, "region: expected a file");
	if (!err && m->mode == MODE_WARM && !m->files[FILE_STATE].present)
		err = refuse(e, "state: expected a file");
	if (!err && (m->mode == MODE_CRIU) != (m->criu.count > 0))
		err = refuse(e, "criu: expected an object in mode criu, and null in others");
	return err;
}

/* SPDX-License-Identifier: MIT */
/*
 * manifest.json: what a checkpoint is of, and what its other files are. It may have come from anywhere: what is read is checked
 * before it is believed, and its own SHA-256 first.
 *
 * It begins with the line that has the checkpoint's id, which is the SHA-256 of the text with 64 zeroes in the id's place. So the id
 * names all of the checkpoint, for the manifest has the SHA-256 of every other file.
 */
#ifndef EUROPA_CHECKPOINT_MANIFEST_H
#define EUROPA_CHECKPOINT_MANIFEST_H

#include "runtime/checkpoint/criu_image.h"
#include "runtime/checkpoint/network.h"
#include "runtime/checkpoint/store.h"
#include "runtime/spec.h"

struct error;

#define MANIFEST_FILE    "manifest.json"
#define MANIFEST_VERSION 1
#define MANIFEST_MOST    (16u << 20)       /* bytes; a longer one is none of ours */
#define REGION_MOST      (1ull << 30)
#define STATE_MOST       (1ull << 30)      /* of what a data plane hands over */
#define CONFIG_MOST      (64u << 20)       /* of --config's file */

enum checkpoint_mode { MODE_AUTO, MODE_CRIU, MODE_WARM };

/* The other files; names in manifest_file_names. */
enum checkpoint_file { FILE_REGION, FILE_STATE, FILE_CONFIG, CHECKPOINT_FILES };
extern const char *const manifest_file_names[CHECKPOINT_FILES];

struct manifest {
	char id[STORE_HASH_TEXT];
	char europa[32];                   /* version that wrote it */
	char architecture[32];             /* uname -m */
	enum checkpoint_mode mode;         /* never MODE_AUTO */
	bool left_running;
	int64_t created_ns;                /* CLOCK_REALTIME */
	uint32_t state_version;            /* of the state file, as the data plane counts */
	uint32_t rx_packets, tx_packets;   /* for people; the region file is what counts */
	struct vr_spec spec;               /* limits and MAC addresses as they were in force; config: where its file came from */
	struct network network[EUROPA_MAX_VNICS];
	struct store_file files[CHECKPOINT_FILES];
	struct criu_image criu;            /* MODE_CRIU alone */
};

const char *manifest_mode_name(enum checkpoint_mode mode);
/* "auto", "criu", "warm". */
bool manifest_mode(const char *name, enum checkpoint_mode *mode);

/* The text, with the id in it, which manifest->id gets as well. The caller frees it; NULL: no memory. */
char *manifest_print(struct manifest *manifest);

/* Puts the id of a text, however it was changed, into its place. */
void manifest_sign(char *text, size_t length);

/* Fills *manifest, all zero before; the caller calls manifest_release, also after an error. The error doesn't name the file. */
int manifest_parse(const char *text, size_t length, struct manifest *manifest, struct error *e);
void manifest_release(struct manifest *manifest);

#endif

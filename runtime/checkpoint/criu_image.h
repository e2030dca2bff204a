/* SPDX-License-Identifier: MIT */
/*
 * What a checkpoint of mode criu has below criu/: criu's own files, and "control" and "pool", the region as it was to the byte, for a
 * process that is restored remembers where in its rings it was. The manifest has the size and SHA-256 of every one.
 */
#ifndef EUROPA_CHECKPOINT_CRIU_IMAGE_H
#define EUROPA_CHECKPOINT_CRIU_IMAGE_H

#include <jansson.h>

#include "runtime/checkpoint/store.h"

struct error;

#define CRIU_DIRECTORY  "criu"
#define CRIU_FILES_MOST 128
#define CRIU_FILE_MOST  (1ull << 30)

struct criu_file {
	char name[48];
	struct store_file file;
	uint8_t *bytes;                    /* when it was read */
};

struct criu_image {
	uint32_t pid;                      /* the data plane's, in the VR */
	char input[48];                    /* its standard input, as criu names it */
	uint64_t log, doorbell, kick;      /* the pipes that it held, by inode */
	unsigned count;
	struct criu_file *files;           /* the image's own */
};

/* NULL where there is nothing in it. */
json_t *criu_image_json(const struct criu_image *image);
/* null is no image; the caller releases it, also after an error. */
int criu_image_parse(json_t *json, struct criu_image *image, struct error *e);
/* The files' contents aren't needed any more. */
void criu_image_drop(struct criu_image *image);
void criu_image_release(struct criu_image *image);

/* All files in the directory: their sizes and hashes. */
int criu_image_list(struct criu_image *image, int dir, struct error *e);
/* Reads and verifies all, from the checkpoint at `path`. */
int criu_image_read(struct criu_image *image, int dir, const char *path, struct error *e);
const struct criu_file *criu_image_find(const struct criu_image *image, const char *name);

#endif

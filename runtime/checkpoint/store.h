/* SPDX-License-Identifier: MIT */
/*
 * The directory of a checkpoint: files that are written once, with their size and SHA-256, into a partial directory, and read whole
 * into memory, where what was checked is what is used.
 */
#ifndef EUROPA_CHECKPOINT_STORE_H
#define EUROPA_CHECKPOINT_STORE_H

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define STORE_HASH_TEXT (2 * SHA256_DIGEST_SIZE + 1)

/* What the manifest says of a file. */
struct store_file {
	bool present;
	uint64_t size;
	char sha256[STORE_HASH_TEXT];
};

void store_hash_text(struct sha256_ctx *sha, char text[STORE_HASH_TEXT]);

/* ---- the directory ---- */

/* Makes a directory, and opens it. */
int store_make(int parent, const char *name, struct error *e);
/* Opens it, where it is this user's alone: who else may write in the parent could have put another in its place. */
int store_own(int parent, const char *name, struct error *e);
/* Removes such a directory with all that is in it; does nothing where there is none. */
void store_remove(int parent, const char *name);

/* ---- writing ---- */

struct store_writer {
	const char *name;          /* for messages and for unlinking */
	int fd;
	struct sha256_ctx sha;
	uint64_t size;
	size_t used;
	int failed;                /* errno of the first write that failed */
	uint8_t buffer[1 << 16];
};

/* A new file of mode 0600 in the directory. */
int store_begin(struct store_writer *w, int dir, const char *name, struct error *e);
/* Errors are kept for store_end. */
void store_add(struct store_writer *w, const void *bytes, size_t n);
/* Written and on the disk, and what it is in *file; also closes it where it fails. */
int store_end(struct store_writer *w, struct store_file *file, struct error *e);
/* All of a file at once. */
int store_write(int dir, const char *name, const void *bytes, size_t n, struct store_file *file, struct error *e);

/* ---- reading ---- */

/* The directory; its path is the caller's and is named in messages. */
int store_open(const char *path, struct error *e);
/* A regular file of at most `most` bytes, whole: *bytes is the caller's to free, with a NUL behind it. The descriptor stays the caller's. */
int store_read_fd(int fd, const char *path, const char *name, size_t most, uint8_t **bytes, size_t *size, struct error *e);
int store_read(int dir, const char *path, const char *name, size_t most, uint8_t **bytes, size_t *size, struct error *e);
/* The same, and it is what the manifest says that it is. */
int store_verify(int dir, const char *path, const char *name, const struct store_file *file, uint8_t **bytes, struct error *e);

#endif

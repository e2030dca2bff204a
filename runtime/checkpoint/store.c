/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/tree.h"

#define REMOVE_TRIES 100

void store_hash_text(struct sha256_ctx *sha, char text[STORE_HASH_TEXT])
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_digest(sha, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		sprintf(text + 2 * i, "%02x", digest[i]);
}

/* ---- the directory ---- */

int store_own(int parent, const char *name, struct error *e)
{
	auto_close int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (dir < 0 || fstat(dir, &st) < 0)
		return fail(e, errno, "cannot open the directory \"%s\"", name);
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return refuse(e, "the directory \"%s\" was replaced: expected one of mode 0700 that belongs to uid %u", name, geteuid());
	return take_fd(&dir);
}

int store_make(int parent, const char *name, struct error *e)
{
	if (mkdirat(parent, name, 0700) < 0)
		return fail(e, errno, "cannot make the directory \"%s\"", name);
	return store_own(parent, name, e);
}

/* ---- writing ---- */

int store_begin(struct store_writer *w, int dir, const char *name, struct error *e)
{
	w->name = name;
	w->size = w->used = 0;
	w->failed = 0;
	sha256_init(&w->sha);
	w->fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return w->fd < 0 ? fail(e, errno, "cannot make the checkpoint's file \"%s\"", name) : 0;
}

static void flush(struct store_writer *w)
{
	size_t done = 0;

	sha256_update(&w->sha, w->used, w->buffer);
	while (done < w->used && !w->failed) {
		ssize_t n = write(w->fd, w->buffer + done, w->used - done);

		if (n < 0 && errno != EINTR)
			w->failed = errno;
		else if (n > 0)
			done += (size_t)n;
	}
	w->used = 0;
}

void store_add(struct store_writer *w, const void *bytes, size_t n)
{
	const uint8_t *from = bytes;

	w->size += n;
	while (n && !w->failed) {
		size_t piece = sizeof w->buffer - w->used;

		if (piece > n)
			piece = n;
		memcpy(w->buffer + w->used, from, piece);
		w->used += piece;
		from += piece;
		n -= piece;
		if (w->used == sizeof w->buffer)
			flush(w);
	}
}

int store_end(struct store_writer *w, struct store_file *file, struct error *e)
{
	flush(w);
	if (!w->failed && fsync(w->fd) < 0)
		w->failed = errno;
	if (close(w->fd) < 0 && !w->failed)
		w->failed = errno;
	w->fd = -1;
	if (w->failed)
		return fail(e, w->failed, "cannot write the checkpoint's file \"%s\"", w->name);
	*file = (struct store_file){ .present = true, .size = w->size };
	store_hash_text(&w->sha, file->sha256);
	return 0;
}

int store_write(int dir, const char *name, const void *bytes, size_t n, struct store_file *file, struct error *e)
{
	auto_free struct store_writer *w = malloc(sizeof *w);
	int err = w ? store_begin(w, dir, name, e) : fail(e, ENOMEM, "cannot write the checkpoint's file \"%s\"", name);

	if (err)
		return err;
	store_add(w, bytes, n);
	return store_end(w, file, e);
}

void store_remove(int parent, const char *name)
{
	auto_close int dir = store_own(parent, name, NULL);
	int tries = REMOVE_TRIES, err = dir < 0 ? dir : -ENOTEMPTY;

	/* A criu whose tool was killed still writes, until the directory that it writes into is gone. */
	while (err == -ENOTEMPTY && tries--)
		err = tree_empty(dir);
	if (!err)
		unlinkat(parent, name, AT_REMOVEDIR);
}

/* ---- reading ---- */

int store_open(const char *path, struct error *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? fail(e, errno, "cannot open the checkpoint \"%s\"", path) : fd;
}

static int read_all(int fd, uint8_t *to, size_t size, size_t *used)
{
	for (*used = 0; *used < size;) {
		ssize_t n = read(fd, to + *used, size - *used);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		if (n > 0)
			*used += (size_t)n;
	}
	return 0;
}

int store_read_fd(int fd, const char *path, const char *name, size_t most, uint8_t **bytes, size_t *size, struct error *e)
{
	auto_free uint8_t *buffer = NULL;
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return fail(e, errno, "cannot read \"%s/%s\"", path, name);
	if (!S_ISREG(st.st_mode))
		return refuse(e, "\"%s/%s\": expected a regular file", path, name);
	if ((uint64_t)st.st_size > most)
		return refuse(e, "\"%s/%s\" has %lld bytes: expected at most %zu", path, name, (long long)st.st_size, most);
	buffer = malloc((size_t)st.st_size + 1);
	if (!buffer)
		return fail(e, ENOMEM, "cannot read \"%s/%s\"", path, name);
	err = read_all(fd, buffer, (size_t)st.st_size, size);
	if (err)
		return fail(e, -err, "cannot read \"%s/%s\"", path, name);
	buffer[*size] = '\0';
	*bytes = take_ptr(buffer);
	return 0;
}

int store_read(int dir, const char *path, const char *name, size_t most, uint8_t **bytes, size_t *size, struct error *e)
{
	/* Not blocking: a pipe of that name is refused, and not waited for. */
	auto_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? fail(e, errno, "cannot read \"%s/%s\"", path, name) : store_read_fd(fd, path, name, most, bytes, size, e);
}

int store_verify(int dir, const char *path, const char *name, const struct store_file *file, uint8_t **bytes, struct error *e)
{
	auto_free uint8_t *buffer = NULL;
	char sha256[STORE_HASH_TEXT];
	struct sha256_ctx sha;
	size_t size;
	int err = store_read(dir, path, name, (size_t)file->size, &buffer, &size, e);

	if (err)
		return err;
	if (size != file->size)
		return refuse(e, "\"%s/%s\" has %zu bytes, but %llu were written: it is damaged", path, name, size,
			      (unsigned long long)file->size);
	sha256_init(&sha);
	sha256_update(&sha, size, buffer);
	store_hash_text(&sha, sha256);
	if (strcmp(sha256, file->sha256) != 0)
		return refuse(e, "\"%s/%s\" is damaged: its SHA-256 is not the one in manifest.json", path, name);
	*bytes = take_ptr(buffer);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/criu_image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/spec_json.h"

#define HASH_DIGITS (STORE_HASH_TEXT - 1)
#define HEX_DIGITS  "0123456789abcdef"

void criu_image_drop(struct criu_image *image)
{
	for (unsigned i = 0; i < image->count; i++) {
		free(image->files[i].bytes);
		image->files[i].bytes = NULL;
	}
}

void criu_image_release(struct criu_image *image)
{
	criu_image_drop(image);
	free(image->files);
	image->files = NULL;
	image->count = 0;
}

const struct criu_file *criu_image_find(const struct criu_image *image, const char *name)
{
	for (unsigned i = 0; i < image->count; i++)
		if (strcmp(image->files[i].name, name) == 0)
			return &image->files[i];
	return NULL;
}

/* A name that leads nowhere else. */
static bool is_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < sizeof ((struct criu_file *)0)->name && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length;
}

static struct criu_file *add(struct criu_image *image, const char *name, struct error *e)
{
	struct criu_file *file;

	if (!is_name(name) || criu_image_find(image, name)) {
		refuse(e, "a file of that name: expected lower-case letters, digits, dots and hyphens, and each once");
		return NULL;
	}
	if (!image->files)
		image->files = calloc(CRIU_FILES_MOST, sizeof *image->files);
	if (!image->files || image->count == CRIU_FILES_MOST) {
		refuse(e, "more than %u files", CRIU_FILES_MOST);
		return NULL;
	}
	file = &image->files[image->count++];
	strcpy(file->name, name);
	return file;
}

/* ---- manifest ---- */

json_t *criu_image_json(const struct criu_image *image)
{
	json_t *files;

	if (!image->count)
		return json_null();
	files = json_object();
	for (unsigned i = 0; i < image->count; i++) {
		const struct criu_file *file = &image->files[i];

		json_object_set_new(files, file->name, json_pack("{s:I, s:s}", "size", (json_int_t)file->file.size, "sha256", file->file.sha256));
	}
	return json_pack("{s:I, s:s, s:I, s:I, s:I, s:o}", "pid", (json_int_t)image->pid, "input", image->input, "log", (json_int_t)image->log,
			 "doorbell", (json_int_t)image->doorbell, "kick", (json_int_t)image->kick, "files", files);
}

static int parse_file(const char *name, json_t *json, struct criu_image *image, struct error *e)
{
	struct criu_file *file = add(image, name, e);
	json_error_t error;
	const char *sha256;
	json_int_t size;

	if (!file)
		return -e->code;
	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:I, s:s}", "size", &size, "sha256", &sha256) < 0)
		return json_complaint(&error, e);
	if (size < 0 || (uint64_t)size > CRIU_FILE_MOST)
		return refuse(e, "%s: %" JSON_INTEGER_FORMAT " bytes: expected at most %llu", name, size, CRIU_FILE_MOST);
	if (strlen(sha256) != HASH_DIGITS || strspn(sha256, HEX_DIGITS) != HASH_DIGITS)
		return refuse(e, "%s: expected a SHA-256", name);
	file->file = (struct store_file){ .present = true, .size = (uint64_t)size };
	strcpy(file->file.sha256, sha256);
	return 0;
}

static int parse_files(json_t *files, struct criu_image *image, struct error *e)
{
	const char *name;
	json_t *json;
	int err = 0;

	if (!json_is_object(files))
		return refuse(e, "files: expected an object");
	json_object_foreach(files, name, json)
		if (!err)
			err = parse_file(name, json, image, e);
	if (!err && (!criu_image_find(image, "control") || !criu_image_find(image, "pool") || !criu_image_find(image, "inventory.img")))
		err = refuse(e, "files: expected control, pool and inventory.img among them");
	return err;
}

/* file[MOUNT:INODE], in hexadecimal digits: a word on criu's command line. */
static bool is_input(const char *text)
{
	const char *mount = text + strlen("file["), *inode;

	if (strncmp(text, "file[", strlen("file[")) != 0 || strlen(text) >= sizeof ((struct criu_image *)0)->input)
		return false;
	inode = mount + strspn(mount, HEX_DIGITS) + 1;
	if (inode - mount < 2 || inode[-1] != ':')
		return false;
	return strspn(inode, HEX_DIGITS) > 0 && strcmp(inode + strspn(inode, HEX_DIGITS), "]") == 0;
}

int criu_image_parse(json_t *json, struct criu_image *image, struct error *e)
{
	json_int_t pid, log, doorbell, kick;
	json_error_t error;
	const char *input;
	char quoted[100];
	json_t *files;

	if (json_is_null(json))
		return 0;
	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:I, s:s, s:I, s:I, s:I, s:o}", "pid", &pid, "input", &input, "log", &log,
			   "doorbell", &doorbell, "kick", &kick, "files", &files) < 0)
		return json_complaint(&error, e);
	if (json_in_range("pid", pid, 2, 20000, e) || json_in_range("log", log, 0, INT64_MAX, e) ||
	    json_in_range("doorbell", doorbell, 0, INT64_MAX, e) || json_in_range("kick", kick, 0, INT64_MAX, e))
		return -EINVAL;
	if (!is_input(input))
		return refuse(e, "input \"%s\": expected file[MOUNT:INODE]", quantity_quote(quoted, sizeof quoted, input));
	image->pid = (uint32_t)pid;
	image->log = (uint64_t)log;
	image->doorbell = (uint64_t)doorbell;
	image->kick = (uint64_t)kick;
	strcpy(image->input, input);
	return parse_files(files, image, e);
}

/* ---- files ---- */

/* Written by criu, and so not hashed on their way; on the disk before the checkpoint gets its name. */
static int hash_file(int dir, struct criu_file *file, struct error *e)
{
	auto_close int fd = openat(dir, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_free uint8_t *piece = malloc(1 << 16);
	struct sha256_ctx sha;
	ssize_t n;

	if (fd < 0 || !piece)
		return fail(e, errno, "cannot read \"" CRIU_DIRECTORY "/%s\"", file->name);
	sha256_init(&sha);
	while ((n = read(fd, piece, 1 << 16)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(e, errno, "cannot read \"" CRIU_DIRECTORY "/%s\"", file->name);
		sha256_update(&sha, (size_t)n, piece);
		file->file.size += (uint64_t)n;
	}
	if (fchmod(fd, 0600) || fsync(fd))
		return fail(e, errno, "cannot write \"" CRIU_DIRECTORY "/%s\"", file->name);
	store_hash_text(&sha, file->file.sha256);
	file->file.present = true;
	return file->file.size > CRIU_FILE_MOST ? refuse(e, "\"" CRIU_DIRECTORY "/%s\" has %llu bytes: a checkpoint has at most %llu in a file",
							 file->name, (unsigned long long)file->file.size, CRIU_FILE_MOST) : 0;
}

int criu_image_list(struct criu_image *image, int dir, struct error *e)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int err = 0;

	if (!entries) {
		err = fail(e, errno, "cannot list \"" CRIU_DIRECTORY "\"");
		if (copy >= 0)
			close(copy);
		return err;
	}
	while (!err && (entry = readdir(entries))) {
		struct criu_file *file;

		if (entry->d_name[0] == '.')
			continue;
		file = add(image, entry->d_name, e);
		err = file ? hash_file(dir, file, e) : context(e, "\"" CRIU_DIRECTORY "\"");
	}
	if (!err && fsync(dir))
		err = fail(e, errno, "cannot write \"" CRIU_DIRECTORY "\"");
	return err;
}

int criu_image_read(struct criu_image *image, int dir, const char *path, struct error *e)
{
	auto_close int below = openat(dir, CRIU_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char full[4200];
	int err = 0;

	snprintf(full, sizeof full, "%s/" CRIU_DIRECTORY, path);
	if (below < 0)
		return fail(e, errno, "cannot open \"%s\"", full);
	for (unsigned i = 0; i < image->count && !err; i++)
		err = store_verify(below, full, image->files[i].name, &image->files[i].file, &image->files[i].bytes, e);
	return err;
}

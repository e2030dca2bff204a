// SPDX-License-Identifier: MIT
/*
 * The hand-over of what a data plane knows, both ways: to the state memfd where the switch asks for it, and from there in the process
 * that goes on. The contract is in <linux/europa.h>.
 *
 * After a good answer this process does nothing until the request is withdrawn, signals or not: else it would be saved with one
 * state, and killed with another. Whoever asked is the one who is patient for so long and no longer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/private.h"

#define BUFFER_BYTES ((size_t)256 << 10)
#define LOOK_MS      1000      /* for a doorbell that nobody rings any more */

void europa_attach_state(struct europa *eu, int state)
{
	struct state *s = &eu->priv->state;

	if (s->fd >= 0)
		close(s->fd);
	s->fd = state;
}

void state_release(struct state *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->buffer);
}

static struct europa_pool_header *pool_header(const struct europa *eu)
{
	return (struct europa_pool_header *)eu->priv->pool;
}

/* ---- the file ---- */

static int write_at(int fd, const void *data, size_t len, uint64_t at)
{
	const uint8_t *from = data;

	while (len) {
		ssize_t n = pwrite(fd, from, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_at(int fd, void *data, size_t len, uint64_t at)
{
	uint8_t *to = data;

	while (len) {
		ssize_t n = pread(fd, to, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;       /* it shrinks while it is read */
		to += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Nothing is left of it for the next process, and nobody pays for its memory. */
static void forget(const struct state *s)
{
	if (s->fd >= 0 && ftruncate(s->fd, 0) < 0)
		(void)write_at(s->fd, &(uint64_t){ 0 }, sizeof(uint64_t), 0);
}

/* ---- saving ---- */

static int flush(struct state *s)
{
	if (!s->error && s->buffered)
		s->error = write_at(s->fd, s->buffer, s->buffered, s->start + s->written);
	s->written += s->buffered;
	s->buffered = 0;
	return s->error;
}

int europa_state_write(struct europa *eu, const void *data, size_t len)
{
	struct state *s = &eu->priv->state;
	const uint8_t *from = data;

	if (!s->buffer)
		return -EINVAL;
	if (!s->error && len > EUROPA_STATE_MAX - s->written - s->buffered)
		s->error = -EFBIG;
	while (!s->error && len) {
		size_t n = BUFFER_BYTES - s->buffered < len ? BUFFER_BYTES - s->buffered : len;

		memcpy(s->buffer + s->buffered, from, n);
		s->buffered += n;
		from += n;
		len -= n;
		if (s->buffered == BUFFER_BYTES)
			flush(s);
	}
	return s->error;
}

/* The counters that are in use stand together: europa_counter() takes the first free place. */
static uint32_t count_counters(const struct europa_private *priv)
{
	uint32_t n = 0;

	while (n < EUROPA_DP_COUNTERS && priv->counters[n].name[0])
		n++;
	return n;
}

/* The header last: until then the file holds no state. */
static int write_state(struct europa *eu)
{
	struct europa_private *priv = eu->priv;
	struct state *s = &priv->state;
	struct europa_state_header header = { .magic = EUROPA_STATE_MAGIC, .version = s->ops->version };
	int error;

	if (ftruncate(s->fd, 0) < 0)
		return -errno;
	header.ncounters = count_counters(priv);
	s->start = sizeof(header) + header.ncounters * sizeof(struct europa_dp_counter);
	s->written = 0;
	s->buffered = 0;
	s->error = 0;
	error = s->ops->save(eu, s->arg);
	if (flush(s))
		error = s->error;
	header.len = s->written;
	/* After save, which may have counted something. */
	if (!error)
		error = write_at(s->fd, priv->counters, header.ncounters * sizeof(struct europa_dp_counter), sizeof(header));
	return error ? error : write_at(s->fd, &header, sizeof(header), 0);
}

static int save(struct europa *eu)
{
	struct state *s = &eu->priv->state;
	int error;

	if (!s->ops || !s->ops->save || s->fd < 0)
		return -ENOTSUP;
	s->buffer = malloc(BUFFER_BYTES);
	if (!s->buffer)
		return -ENOMEM;
	error = write_state(eu);
	free(s->buffer);
	s->buffer = NULL;
	if (error)
		forget(s);
	return error > 0 ? -EINVAL : error;
}

/* ---- being asked ---- */

static void stand_still(struct europa *eu, uint32_t request)
{
	while (request_seen(eu->header) == request)
		(void)poll_doorbell(eu, LOOK_MS);
}

bool state_serve(struct europa *eu)
{
	struct europa_pool_header *header = pool_header(eu);
	const struct state *s = &eu->priv->state;
	uint32_t request = request_seen(eu->header), what = request_what(request);
	int answer = READ_ONCE(header->answer);

	if (what == EUROPA_ASK_NOTHING)
		return false;
	/* Answered already, perhaps by the process before this one. */
	if (READ_ONCE(header->answered) != request) {
		answer = what == EUROPA_ASK_SAVE ? save(eu) : -ENOTSUP;
		answer_post(header, request, answer, answer ? 0 : s->start + s->written);
	}
	if (answer)
		return false;
	stand_still(eu, request);
	forget(s);
	return true;
}

void europa_state_poll(struct europa *eu)
{
	if (state_is_asked(eu))
		state_serve(eu);
}

/* ---- loading ---- */

/* 1: there is a state, of the size that the file has; 0: there is none. */
static int read_header(int fd, struct europa_state_header *header)
{
	struct stat st;
	uint64_t size;
	int error;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(*header))
		return 0;
	error = read_at(fd, header, sizeof(*header), 0);
	if (error)
		return error;
	if (!header->magic)
		return 0;               /* whoever wrote it didn't come to the end */
	if (header->magic != EUROPA_STATE_MAGIC || !header->version || header->ncounters > EUROPA_DP_COUNTERS ||
	    header->len > EUROPA_STATE_MAX)
		return -EBADMSG;
	size = sizeof(*header) + header->ncounters * sizeof(struct europa_dp_counter) + header->len;
	return (uint64_t)st.st_size == size ? 1 : -EBADMSG;
}

static void load_counters(struct europa *eu, struct europa_dp_counter *counters, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		counters[i].name[sizeof(counters[i].name) - 1] = '\0';
		*europa_counter(eu, counters[i].name) = counters[i].value;
	}
}

static int load(struct europa *eu, const struct europa_state_header *header)
{
	struct europa_dp_counter counters[EUROPA_DP_COUNTERS];
	const struct state *s = &eu->priv->state;
	size_t bytes = header->ncounters * sizeof(*counters);
	void *blob;
	int error;

	if (!s->ops->load)
		return -ENOTSUP;
	blob = malloc(header->len + 1);
	if (!blob)
		return -ENOMEM;
	error = read_at(s->fd, counters, bytes, sizeof(*header));
	if (!error)
		error = read_at(s->fd, blob, header->len, sizeof(*header) + bytes);
	if (!error) {
		load_counters(eu, counters, header->ncounters);
		error = s->ops->load(eu, header->version, blob, header->len, s->arg);
	}
	free(blob);
	if (error)
		return error < 0 ? error : -EINVAL;
	/* Once: a process that is started after this one begins with what it is told, not with what is long past. */
	forget(s);
	return 1;
}

int europa_state(struct europa *eu, const struct europa_state_ops *ops, void *arg)
{
	struct state *s = &eu->priv->state;
	struct europa_state_header header;
	int found;

	if (!ops->version)
		return -EINVAL;
	s->ops = ops;
	s->arg = arg;
	found = s->fd < 0 ? 0 : read_header(s->fd, &header);
	if (found == 1)
		found = load(eu, &header);
	if (found >= 0 && s->fd >= 0 && ops->save)
		WRITE_ONCE(pool_header(eu)->state_version, ops->version);
	return found;
}

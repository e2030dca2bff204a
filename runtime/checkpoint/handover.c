/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/handover.h"

#include <errno.h>
#include <linux/europa.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/ring.h"
#include "runtime/checkpoint/ask.h"
#include "runtime/checkpoint/store.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/view.h"

#define PIECE       (1u << 20)
#define OFFER_TRIES 200         /* 10 ms apart */
#define QUICK_MS    20              /* most data planes have answered by then */

int handover_offered(const struct view *view, const char *program, struct error *e)
{
	const struct europa_pool_header *header = (const void *)view->pool;
	const struct timespec moment = { .tv_nsec = 10000000 };
	char quoted[200];

	/* One that has only just started may be about to say so. */
	for (int tries = 0; tries < OFFER_TRIES; tries++) {
		if ((READ_ONCE(header->features) & EUROPA_F_STATE) && READ_ONCE(header->state_version))
			return 0;
		nanosleep(&moment, NULL);
	}
	refuse(e, "its data plane \"%s\" can't hand over its state: it has not called europa_state()",
	       quantity_quote(quoted, sizeof quoted, program));
	return -ENOTSUP;
}

/* ---- saving ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* false: the supervisor has given up, or is gone. */
static bool pause_on(const struct line *line, int64_t waited_ms)
{
	const struct timespec moment = { .tv_nsec = waited_ms < QUICK_MS ? 100000 : 1000000 };
	struct pollfd end = { .fd = line->fd, .events = POLLIN };

	return ppoll(&end, 1, &moment, NULL) <= 0;
}

static int refused(int answer, struct error *e)
{
	if (answer == -ENOTSUP) {
		refuse(e, "its data plane can't hand over its state");
		return -ENOTSUP;
	}
	/* The word is the VR's: any number may be in it. */
	return fail(e, answer < 0 && answer > -4096 ? -answer : EPROTO, "its data plane failed to save its state");
}

int handover_await(const struct line *line, unsigned timeout_ms, uint64_t *size, struct error *e)
{
	const struct europa_pool_header *header = mmap(NULL, sizeof *header, PROT_READ, MAP_SHARED, line->pool, 0);
	int64_t start = now_ms();
	int answer = 0, err = 0;
	u64 length = 0;

	if (header == MAP_FAILED)
		return fail(e, errno, "cannot map the packet pool");
	while (!err && !answer_seen(header, line->sequence, &answer, &length)) {
		int64_t waited = now_ms() - start;

		if (waited > timeout_ms)
			err = refuse(e, "its data plane has not saved its state within %u.%u seconds; is it stopped, or without CPU time? "
				     "(--timeout gives it longer)", timeout_ms / 1000, timeout_ms % 1000 / 100);
		else if (!pause_on(line, waited))
			err = refuse(e, "the virtual router, or the switch that serves it, ended meanwhile");
	}
	munmap((void *)header, sizeof *header);
	*size = length;
	if (err)
		return err;
	if (answer)
		return refused(answer, e);
	if (length < sizeof(struct europa_state_header) || length > HANDOVER_MOST)
		return refuse(e, "its data plane says that its state has %llu bytes: expected %zu to %llu", (unsigned long long)length,
			      sizeof(struct europa_state_header), (unsigned long long)HANDOVER_MOST);
	return 0;
}

static int check_header(const struct europa_state_header *header, uint64_t size, struct error *e)
{
	static const uint8_t zeroes[sizeof header->reserved];

	if (header->magic != EUROPA_STATE_MAGIC)
		return refuse(e, "not the state of a data plane");
	if (!header->version || header->ncounters > EUROPA_DP_COUNTERS || header->len > EUROPA_STATE_MAX ||
	    memcmp(header->reserved, zeroes, sizeof zeroes) != 0)
		return refuse(e, "the state's header makes no sense");
	if (size != sizeof *header + header->ncounters * sizeof(struct europa_dp_counter) + header->len)
		return refuse(e, "the state has %llu bytes, which is not what its header says", (unsigned long long)size);
	return 0;
}

int handover_copy(int memfd, uint64_t size, struct store_writer *w, uint32_t *version, struct error *e)
{
	auto_free uint8_t *piece = malloc(PIECE);
	struct europa_state_header header;
	uint64_t at = 0;
	int err = 0;

	if (!piece)
		return fail(e, ENOMEM, "cannot copy the state");
	while (at < size && !err) {
		ssize_t n = pread(memfd, piece, size - at < PIECE ? size - at : PIECE, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(e, errno, "cannot read the state");
		if (n == 0 || (at == 0 && (size_t)n < sizeof header))
			return refuse(e, "its data plane's state is shorter than it says");
		if (at == 0) {
			memcpy(&header, piece, sizeof header);
			err = check_header(&header, size, e);
			*version = header.version;
		}
		store_add(w, piece, (size_t)n);
		at += (uint64_t)n;
	}
	return err;
}

/* ---- restoring ---- */

int handover_check(const uint8_t *bytes, size_t size, uint32_t *version, struct error *e)
{
	struct europa_state_header header;

	if (size < sizeof header)
		return refuse(e, "%zu bytes: expected at least %zu", size, sizeof header);
	memcpy(&header, bytes, sizeof header);
	*version = header.version;
	return check_header(&header, size, e);
}

int handover_give(int memfd, const uint8_t *bytes, size_t size, struct error *e)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(memfd, bytes + done, size - done, (off_t)done);

		if (n < 0 && errno != EINTR)
			return fail(e, errno, "cannot hand the state over");
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

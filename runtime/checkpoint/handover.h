/* SPDX-License-Identifier: MIT */
/*
 * What a data plane hands over: the contents of its state memfd, struct europa_state_header, counters and a blob that is the data plane's
 * own. Kept as the file "state", byte by byte; the contract is in <linux/europa.h>.
 */
#ifndef EUROPA_CHECKPOINT_HANDOVER_H
#define EUROPA_CHECKPOINT_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct line;
struct store_writer;
struct view;

#define HANDOVER_MOST (EUROPA_STATE_MAX + sizeof(struct europa_state_header) + \
		       EUROPA_DP_COUNTERS * sizeof(struct europa_dp_counter))

/* It says that it can; `program` is for the message where it can't. */
int handover_offered(const struct view *view, const char *program, struct error *e);

/* Waits for the answer to the request that line->sequence names; *size: how long the state is. */
int handover_await(const struct line *line, unsigned timeout_ms, uint64_t *size, struct error *e);

/* Copies that many bytes of the memfd, which its VR may change meanwhile: what was written is checked by the reader, too. */
int handover_copy(int memfd, uint64_t size, struct store_writer *w, uint32_t *version, struct error *e);

/* All that can be told without the data plane. The error doesn't name the file. */
int handover_check(const uint8_t *bytes, size_t size, uint32_t *version, struct error *e);

/* Into the memfd of a VR that hasn't started yet. */
int handover_give(int memfd, const uint8_t *bytes, size_t size, struct error *e);

#endif

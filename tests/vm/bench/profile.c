// SPDX-License-Identifier: MIT
/*
 * A plugin of qemu's emulation: counts the instructions that the guest executes, by address. `counted` (beside this file) marks where
 * counting begins and ends; each interval between two marks leaves a file PREFIX.N, N from 1, with a line "ADDRESS INSTRUCTIONS" for each
 * block of code that ran, in hexadecimal and decimal.
 *
 *	-plugin profile.so,to=PREFIX
 *
 * For machines with one CPU: several would add to one counter at once. Debian has no qemu-plugin.h; what is declared here is
 * version 1 of the interface, as qemu documents it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, enum qemu_plugin_op op, void *counter, uint64_t add);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*cb)(unsigned int cpu, void *arg),
					    enum qemu_plugin_cb_flags flags, void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t n);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

/* What qemu translates in one piece. The same code, translated again, is another one. */
struct block {
	struct block *next;
	uint64_t address, instructions;
};

static struct block *blocks;
static const char *prefix;
static unsigned intervals;

static void begin(unsigned int cpu, void *arg)
{
	for (struct block *b = blocks; b; b = b->next)
		b->instructions = 0;
}

static void end(unsigned int cpu, void *arg)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof path, "%s.%u", prefix, ++intervals);
	file = fopen(path, "w");
	if (!file) {
		perror(path);
		exit(1);
	}
	for (const struct block *b = blocks; b; b = b->next) {
		if (b->instructions)
			fprintf(file, "%" PRIx64 " %" PRIu64 "\n", b->address, b->instructions);
	}
	if (fclose(file)) {
		perror(path);
		exit(1);
	}
}

static const uint8_t mark_begin[] = { MARK_BEGIN }, mark_end[] = { MARK_END };

static bool is_mark(struct qemu_plugin_insn *insn, const uint8_t *mark)
{
	return qemu_plugin_insn_size(insn) == sizeof mark_begin && !memcmp(qemu_plugin_insn_data(insn), mark, sizeof mark_begin);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = malloc(sizeof *b);
	size_t n = qemu_plugin_tb_n_insns(tb);

	if (!b)
		abort();
	*b = (struct block){ .next = blocks, .address = qemu_plugin_tb_vaddr(tb) };
	blocks = b;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &b->instructions, n);
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (is_mark(insn, mark_begin))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
		else if (is_mark(insn, mark_end))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "to=", 3)) {
		fputs("profile: one argument is wanted: to=PREFIX\n", stderr);
		return -1;
	}
	prefix = strdup(argv[0] + 3);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return prefix ? 0 : -1;
}

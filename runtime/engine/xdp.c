// SPDX-License-Identifier: MIT
#include "runtime/engine/xdp.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/cleanup.h"

static int bpf(int verb, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, verb, attr, sizeof *attr);

	return r < 0 ? -errno : r;
}

/* From the number of a queue to the socket that is bound to it. */
static int make_map(int xsk)
{
	const uint32_t queue = 0;
	union bpf_attr attr;
	auto_close int map = -1;
	int r;

	memset(&attr, 0, sizeof attr);
	attr.map_type = BPF_MAP_TYPE_XSKMAP;
	attr.key_size = attr.value_size = sizeof(uint32_t);
	attr.max_entries = 1;
	map = bpf(BPF_MAP_CREATE, &attr);
	if (map < 0)
		return map;
	memset(&attr, 0, sizeof attr);
	attr.map_fd = (uint32_t)map;
	attr.key = (uintptr_t)&queue;
	attr.value = (uintptr_t)&xsk;
	r = bpf(BPF_MAP_UPDATE_ELEM, &attr);
	return r < 0 ? r : take_fd(&map);
}

/* return bpf_redirect_map(map, context->rx_queue_index, XDP_DROP); the last: for a queue that has no socket. */
static int load_program(int map)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_1, .off = offsetof(struct xdp_md, rx_queue_index) },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map },
		{ 0 },                          /* the upper half of the number before */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_DROP },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof attr);
	attr.prog_type = BPF_PROG_TYPE_XDP;
	attr.insns = (uintptr_t)program;
	attr.insn_cnt = sizeof program / sizeof *program;
	attr.license = (uintptr_t)"";
	memcpy(attr.prog_name, "europad", sizeof "europad");
	return bpf(BPF_PROG_LOAD, &attr);
}

int xdp_redirect(int ifindex, int xsk)
{
	union bpf_attr attr;
	auto_close int map = make_map(xsk), program = -1;

	if (map < 0)
		return map;
	program = load_program(map);
	if (program < 0)
		return program;
	memset(&attr, 0, sizeof attr);
	attr.link_create.prog_fd = (uint32_t)program;
	attr.link_create.target_ifindex = (uint32_t)ifindex;
	attr.link_create.attach_type = BPF_XDP;
	attr.link_create.flags = XDP_FLAGS_DRV_MODE;
	return bpf(BPF_LINK_CREATE, &attr);
}

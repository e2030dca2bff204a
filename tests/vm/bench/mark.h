/* SPDX-License-Identifier: MIT */
/* What a program in the guest executes to be noticed: a long nop, nopl 0x4555000N(%rax), with a displacement that no compiler chooses. */
#ifndef EUROPA_BENCH_MARK_H
#define EUROPA_BENCH_MARK_H

#define MARK(n) 0x0f, 0x1f, 0x80, n, 0x00, 0x55, 0x45
#define MARK_BEGIN MARK(1)
#define MARK_END   MARK(2)

#endif

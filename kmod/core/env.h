/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * All that the core asks of its surroundings, on one screen: fixed-width types, single reads and writes of shared
 * words, acquire, release and the full barrier, branch and prefetch hints, memcpy and memset. Kernel words on both
 * sides. The core's only #ifdef __KERNEL__ is here.
 */
#ifndef EUROPA_CORE_ENV_H
#define EUROPA_CORE_ENV_H

#ifdef __KERNEL__

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/nospec.h>
#include <linux/prefetch.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>

#else

#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
#include <string.h>
#else
/* Declared, not included: the core is also built with no C library at all. */
extern void *memcpy(void *__restrict, const void *__restrict, size_t);
extern void *memset(void *, int, size_t);
extern int memcmp(const void *, const void *, size_t);
#endif

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the region is little-endian, and so must be the machine"
#endif

/* Not filled with zeros first, as kernels fill what is on the stack: for arrays of which the part that is read was written. */
#define __uninitialized

#define READ_ONCE(x)            __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)        __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define smp_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define smp_mb()                __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define barrier()               __asm__ volatile("" ::: "memory")
#ifndef likely
#define likely(x)               __builtin_expect(!!(x), 1)
#define unlikely(x)             __builtin_expect(!!(x), 0)
#endif
#define prefetch(p)             __builtin_prefetch((p), 0, 3)
#ifdef __x86_64__
/* Where gcc isn't told that the CPU has it, it makes a prefetch for reading. To any x86-64 this one is at worst a no-op. */
#define prefetchw(p)            __asm__ volatile("prefetchw %0" : : "m"(*(const char *)(p)))
#else
#define prefetchw(p)            __builtin_prefetch((p), 1, 3)
#endif

/* index where it is < size, else 0; computed, not branched to: a CPU that guesses a branch wrong reads nothing beyond. */
static inline u32 array_index_nospec(u32 index, u32 size)
{
	u64 at = index;

	__asm__("" : "+r"(at));         /* the compiler mustn't derive the mask from a comparison made before */
	return index & (u32)((int64_t)(at - size) >> 63);
}

static inline u16 be16_to_cpup(const void *p)
{
	const u8 *b = (const u8 *)p;

	return (u16)(b[0] << 8 | b[1]);
}

static inline u32 be32_to_cpup(const void *p)
{
	const u8 *b = (const u8 *)p;

	return (u32)b[0] << 24 | (u32)b[1] << 16 | (u32)b[2] << 8 | b[3];
}

#endif /* __KERNEL__ */

#define EUROPA_CACHE_LINE 64

#endif

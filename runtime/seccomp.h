/* SPDX-License-Identifier: MIT */
/*
 * The two system call filters, compiled when Europa is (runtime/seccomp/compile.c has the lists): at run time they
 * are two constant arrays.
 */
#ifndef EUROPA_SECCOMP_H
#define EUROPA_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

/* wide: for ordinary programs, with sockets and shells; else for data planes. */
const struct sock_filter *seccomp_filter(bool wide, size_t *length);

#endif

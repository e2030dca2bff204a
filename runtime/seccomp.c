/* SPDX-License-Identifier: MIT */
#include "runtime/seccomp.h"

#include "runtime/handshake.h"
#include "seccomp_filters.h"

_Static_assert(sizeof seccomp_tight <= INIT_FILTER_MAX * sizeof(struct sock_filter), "the tight filter fits into a plan");
_Static_assert(sizeof seccomp_wide <= INIT_FILTER_MAX * sizeof(struct sock_filter), "the wide filter fits into a plan");

const struct sock_filter *seccomp_filter(bool wide, size_t *length)
{
	*length = wide ? sizeof seccomp_wide / sizeof seccomp_wide[0] : sizeof seccomp_tight / sizeof seccomp_tight[0];
	return wide ? seccomp_wide : seccomp_tight;
}

/* SPDX-License-Identifier: MIT */
/* What a VR may be: the policy about capabilities, and users as they are written. */
#ifndef EUROPA_PRIVILEGE_H
#define EUROPA_PRIVILEGE_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* "CAP_NET_ADMIN", in any case. */
bool capability_number(const char *name, unsigned *number);

/*
 * Of the capabilities that an image asks for (bit n: capability n), those that any VR may have. They count in the
 * VR's own namespaces only; even so, one that opens much of the kernel to a program is granted to none.
 */
uint64_t capability_policy(uint64_t wanted);

#define USER_MAX 65535u            /* a VR has the ids 0 to here */

/* "1000" or "1000:1000"; without a group, that of the same number. Nothing is stored where it is refused. */
int user_parse(const char *text, uint32_t *uid, uint32_t *gid, struct error *e);

#endif

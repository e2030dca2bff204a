/* SPDX-License-Identifier: MIT */
#include "runtime/privilege.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>

#include "runtime/error.h"
#include "runtime/quantity.h"

static const unsigned char granted[] = {
	CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL, CAP_SETGID, CAP_SETUID,
	CAP_NET_BIND_SERVICE, CAP_NET_BROADCAST, CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK,
};

bool capability_number(const char *name, unsigned *number)
{
	cap_value_t value;

	if (strncasecmp(name, "cap_", 4) || cap_from_name(name, &value) || value < 0 || value > 63)
		return false;
	*number = (unsigned)value;
	return true;
}

uint64_t capability_policy(uint64_t wanted)
{
	uint64_t policy = 0;

	for (size_t i = 0; i < sizeof granted; i++)
		policy |= UINT64_C(1) << granted[i];
	return wanted & policy;
}

static bool parse_ids(const char *text, uint64_t *user, uint64_t *group)
{
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	char first[16];

	if (length >= sizeof first)
		return false;
	memcpy(first, text, length);
	first[length] = 0;
	return quantity_number(first, 0, USER_MAX, user) && quantity_number(colon ? colon + 1 : first, 0, USER_MAX, group);
}

int user_parse(const char *text, uint32_t *uid, uint32_t *gid, struct error *e)
{
	uint64_t user, group;
	char quoted[100];

	if (!parse_ids(text, &user, &group))
		return refuse(e, "user \"%s\": expected numbers from 0 to %u, as in 1000 or 1000:1000",
			      quantity_quote(quoted, sizeof quoted, text), USER_MAX);
	*uid = (uint32_t)user;
	*gid = (uint32_t)group;
	return 0;
}

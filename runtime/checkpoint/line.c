/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/line.h"

#include <stdio.h>

#include "runtime/state.h"

int line_address(const char *name, int *dir, struct sockaddr_un *address, struct error *e)
{
	*dir = state_open_dir(name, e);
	if (*dir < 0)
		return *dir;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/" LINE_SOCKET, *dir);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * What criu loads (--libdir) to save or restore a data plane inside its VR. criu saves whatever namespaces differ between it and the processes,
 * and makes them anew; a VR's are Europa's business, so criu goes in, and finds none that differs but the user namespace. It does so here, and
 * not before it is executed: in there it would find neither its libraries nor a loopback device to try the kernel's features on.
 *
 * By symbols and not by criu's descriptor of a plugin, whose header a build would need.
 */
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/checkpoint/criu_run.h"

__attribute__((visibility("default"))) int cr_plugin_init(void);
__attribute__((visibility("default"))) void cr_plugin_fini(void);

int cr_plugin_init(void)
{
	for (int fd = CRIU_NAMESPACE_FD; fd < CRIU_NAMESPACE_FD + CRIU_NAMESPACES; fd++) {
		if (setns(fd, 0)) {
			printf("Error (europa): can't enter namespace %d of the virtual router: %m\n", fd - CRIU_NAMESPACE_FD);
			return -1;
		}
		close(fd);
	}
	/* criu 3.17 forgets that a process had it: what it restores inherits it. */
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void cr_plugin_fini(void)
{
}

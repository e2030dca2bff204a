/* SPDX-License-Identifier: MIT */
/*
 * What europa-checkpoint and a VR's supervisor say to each other, over a SOCK_SEQPACKET socket in the VR's state directory. The tool's half is
 * ask.c, the supervisor's serve.c.
 *
 *	europa-checkpoint                     the supervisor
 *	connects
 *	BEGIN, where the checkpoint goes  -->
 *	                                      <-- 0
 *	makes the partial directory, writes into it what doesn't change
 *	FREEZE                            -->
 *	                                      has the switch let nothing in, and asks the data plane to save
 *	                                      <-- 0, and control, pool and state
 *	waits until the data plane has answered in the pool
 *	STOP                              -->
 *	                                      has the switch touch no slot any more
 *	                                      <-- 0
 *	writes the rest into the partial directory
 *	COMMIT                            -->
 *	                                      renames the directory to what it is to be called: from here on it is there
 *	                                      <-- 0
 *	                                      ends the VR, or has it go on
 *	waits for the supervisor's end
 *
 * The connection is the freeze: where it ends before COMMIT, for whatever reason, the partial directory is removed and the VR goes on. And
 * the rename is done by the process whose death is the VR's: whoever is killed, and whenever, either there is a checkpoint and its VR
 * has stopped for good, or there is none and the VR runs.
 */
#ifndef EUROPA_CHECKPOINT_LINE_H
#define EUROPA_CHECKPOINT_LINE_H

#include <limits.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct error;

#define LINE_SOCKET "supervisor.sock"

enum line_verb {
	LINE_BEGIN  = 1,
	LINE_FREEZE = 2,
	LINE_STOP   = 3,
	LINE_COMMIT = 4,
};

struct line_request {
	uint32_t verb;
	uint32_t leave_running;            /* COMMIT: the VR goes on */
	char partial[NAME_MAX + 1];        /* BEGIN: names in the directory whose descriptor goes with it */
	char final[NAME_MAX + 1];
};

enum line_fd { LINE_CONTROL, LINE_POOL, LINE_STATE, LINE_FDS };

struct line_reply {
	int32_t status;                    /* 0, or a negative errno */
	uint32_t sequence;                 /* FREEZE: of the request that the data plane is to answer */
	char text[500];                    /* status < 0: struct error's */
};

/* Through the state directory's descriptor, *dir, the caller's: a socket's path has 107 bytes, a run directory's may have more. */
int line_address(const char *name, int *dir, struct sockaddr_un *address, struct error *e);

#endif

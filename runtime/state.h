/* SPDX-License-Identifier: MIT */
/*
 * What is known about every VR, kept as one directory each under the run directory:
 *
 *	/run/europa/                  0700, root's; $EUROPA_RUN_DIR instead, where it is set (tests, a second "host")
 *	    NAME/state.json           this structure; written to a temporary file and renamed, under NAME/lock
 *	    NAME/spec.json            what it was started with, for europa-inspect
 *	    NAME/config               what --config named where it was checkpointed, of a restored VR
 *	    NAME/supervisor.sock      where europa-checkpoint finds the supervisor
 *	    NAME/log, NAME/log.1      what the data plane printed (detached VRs), and NAME/log.times when
 *	    NAME/uids                 its range of host uids
 *	    NAME/lock                 flock()ed by whoever changes the directory
 *	    .restored/ID              the checkpoints whose packets have been forwarded here
 *	    .lock                     flock()ed while a uid range is chosen
 *	    switch.sock, switch.lock, switch.log, netns/     europad's
 *
 * Everything read back is checked as if a stranger had written it: a truncated or foreign file is an error that
 * names it, never a crash. A pid is believed only together with its start time.
 */
#ifndef EUROPA_STATE_H
#define EUROPA_STATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/spec.h"

struct error;

enum vr_status {
	VR_CREATED,        /* resources are being made; the data plane doesn't run yet */
	VR_RUNNING,
	VR_PAUSED,         /* its cgroup is frozen */
	VR_STOPPING,       /* europa-kill is at it */
	VR_EXITED,         /* nothing runs; state and log are kept until europa-kill or --rm removes them */
	VR_DEAD,           /* its supervisor was killed: what is left is swept by the next command that sees it */
};

/* A process that can't be mistaken for another one that got its number. */
struct process_id {
	pid_t pid;                 /* 0: none */
	uint64_t start_time;       /* field 22 of /proc/PID/stat, clock ticks since boot */
};

struct vr_state {
	char name[VR_NAME_MAX];
	enum vr_status status;
	char *image;
	char *command;             /* the data plane's argv, joined, for ps */
	int64_t created_ns, started_ns, finished_ns;   /* CLOCK_REALTIME, 0: not yet */
	int exit_code;             /* VR_EXITED: the data plane's, 128+n for a signal */
	struct process_id supervisor;   /* owns the region's fds and the registration */
	struct process_id init;         /* process 1 of the VR, as the host sees it */
	int control_fd, pool_fd;   /* the region, as fd numbers in the supervisor: open("/proc/PID/fd/N") */
	struct vr_limits limits;
	enum vr_switch which_switch;    /* the one that serves it: SWITCH_KMOD or SWITCH_USER */
	char *cgroup;              /* name below each hierarchy's mount point, "europa/NAME" */
	uint32_t uid_base;         /* host uid of the VR's root; 65536 uids from here are the VR's own */
	unsigned vnics;
	struct {
		char device[16];   /* IFNAMSIZ; "" where the vNIC has none of its own */
		char *link;        /* WHAT[,RULE] as typed, or NULL */
		uint8_t mac[6];
		uint16_t mtu;
	} vnic[EUROPA_MAX_VNICS];
	char *log;                 /* path, or NULL: stdio went to the terminal */
	char *bundle;
	int rm;
};

/* Path of the run directory; makes it (0700) where it isn't there. */
int state_run_dir(char *path, size_t size, struct error *e);

/* NAME/ as a descriptor. -ENOENT: no VR of that name. */
int state_open_dir(const char *name, struct error *e);

/* Takes a name: makes NAME/ and locks it. NAME in use: -EEXIST, and a message that says by what.
 * A dead VR of that name is swept first, and is out of the way where it was started with --rm. Returns the lock's fd,
 * to be closed when the first state_write() has said what the VR is: as long as it is open, others wait for it. */
int state_claim(const char *name, struct error *e);
/* The first of STEM-1, STEM-2, ... that is free; claimed. NAME gets it. */
int state_claim_numbered(const char *stem, char name[VR_NAME_MAX], struct error *e);

/* Locks a VR's directory to read, change and write its state. -ENOENT: no VR of that name. Returns the lock's fd. */
int state_lock(const char *name, struct error *e);
/* Takes the lock for itself where the calling process doesn't hold it by state_claim() or state_lock(). */
int state_write(const struct vr_state *state, struct error *e);
/* What it was started with, as spec.json. */
int state_write_spec(const struct vr_spec *spec, struct error *e);
/* And that back; *spec all zero before, spec_release also after an error. */
int state_read_spec(const char *name, struct vr_spec *spec, struct error *e);
/* Its configuration, where that came with a checkpoint: a file beside its state, which the VR may read. state_config_path() is where. */
int state_write_config(const char *name, const void *bytes, size_t n, struct error *e);
int state_config_path(const char *name, char path[4096], struct error *e);
/* Fills *state; a VR_RUNNING whose supervisor is gone comes back as VR_DEAD. -ENOENT: no VR of that name. */
int state_read(const char *name, struct vr_state *state, struct error *e);
void state_release(struct vr_state *state);
/* What state_read() does with the file's text. */
int state_parse(const char *text, size_t length, const char *name, struct vr_state *state, struct error *e);
const char *state_status_name(enum vr_status status);
/* Its processes are there, or are being made. */
static inline bool state_is_live(const struct vr_state *state)
{
	return state->status < VR_EXITED;
}
/* Removes NAME/ and all in it, and completes removals that somebody who was killed had begun; state_claim_uids() does so too. */
int state_remove(const char *name, struct error *e);

/* Where a switch that was killed left its devices, and no VR is left to start another one: removes them. */
void state_forget_switch(void);

/* Names of all VRs, sorted; NULL-terminated; free() each and the array. */
int state_list(char ***names, struct error *e);

/* Takes a uid range that no other VR has: the n of 0..9999 becomes EUROPA_UID_BASE + n * 65536. */
int state_claim_uids(const char *name, uint32_t *uid_base, struct error *e);
#define EUROPA_UID_BASE 1000000000u

/* NAME of "europa/NAME", as cgroups_open() wants it; NULL: it has no group (yet). */
static inline const char *state_cgroup(const struct vr_state *state)
{
	return state->cgroup ? state->cgroup + sizeof "europa/" - 1 : NULL;
}

int process_identify(pid_t pid, struct process_id *id);          /* reads the start time; -ESRCH: gone */
int process_open(const struct process_id *id);                   /* a pidfd of just that process, or -ESRCH */

/* Opens the VR's region read-only through its supervisor. */
int state_open_region(const struct vr_state *state, int *control_fd, int *pool_fd, struct error *e);
/* Its control memfd alone, for writing what is not the switch's to write: the quota. */
int state_open_control(const struct vr_state *state, struct error *e);

#endif

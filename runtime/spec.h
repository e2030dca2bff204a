/* SPDX-License-Identifier: MIT */
/*
 * What a virtual router is to be: the union of the image's defaults (config.json and its io.europa.* annotations)
 * and what the command line says, checked. Made by options.c and image.c; nobody changes it afterwards.
 */
#ifndef EUROPA_SPEC_H
#define EUROPA_SPEC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "linux/europa.h"
#include "runtime/rlimits.h"

struct error;

#define VR_NAME_MAX 64     /* [A-Za-z0-9_+-][A-Za-z0-9_+.-]*, and shorter than this */
#define VR_GROUPS   32     /* supplementary groups, at most */

enum vr_switch { SWITCH_AUTO, SWITCH_KMOD, SWITCH_USER };

/* What the VR may use. 0 in a field: no limit, or the default that the comment names. */
struct vr_limits {
	uint32_t cpu_permille;     /* of one CPU: 250 is 25%, 1500 is 150% */
	uint32_t period_us;        /* 0: 10000, see docs/design.md "Why a period of 10 ms" */
	uint32_t burst_us;
	uint32_t cpu_weight;       /* 1..10000 against others that want the same CPU; 0: 100 */
	char *cpuset;              /* "0-3,5" as the kernel takes it, or NULL */
	uint64_t memory;           /* bytes */
	uint64_t pids;
};

/* --link N=WHAT[,RULE]; without one the vNIC gets a device of its own on the host. */
struct vr_vnic {
	uint8_t kind;              /* EUROPA_PORT_* */
	char *target;              /* net device, or "VR:N", or generator's arguments; NULL for a device of its own */
	char *rule;                /* as written, "vlan 5", "udp 4789", ...; NULL: by destination MAC */
	uint8_t mac[6];            /* all zero: made from the VR's name and the vNIC's number */
	uint16_t mtu;              /* 0: 1500 */
};

struct vr_mount {
	char *source;              /* on the host */
	char *target;              /* in the VR, absolute */
	bool read_only;
};

struct vr_spec {
	char name[VR_NAME_MAX];
	char *image;               /* as typed */
	char *bundle;              /* absolute path of the directory that holds config.json and rootfs */
	enum vr_switch which_switch;
	struct vr_limits limits;

	unsigned vnics;
	struct vr_vnic vnic[EUROPA_MAX_VNICS];
	struct europa_geometry geometry;   /* pool, slot size, rings */

	/* the process, from config.json, with the command line's changes */
	char **args;               /* NULL-terminated */
	char **env;                /* NULL-terminated, NAME=VALUE */
	char *cwd;
	uint32_t uid, gid;         /* inside the VR */
	unsigned ngroups;          /* supplementary ones */
	uint32_t groups[VR_GROUPS];
	struct rlimits rlimits;    /* of what is not here, those of whoever starts it */
	uint64_t caps;             /* bit n: capability n; what image AND policy grant */
	bool wide_seccomp;         /* the image asked for "io.europa.seccomp": "wide" */
	char *hostname;            /* default: name */
	char *rootfs;              /* absolute path on the host */
	unsigned nmounts;
	struct vr_mount *mounts;
	char *config;              /* --config FILE: seen read-only in the VR as /etc/europa/config */

	/* how it is run */
	bool detach;
	bool rm;                   /* forget the VR's state and log as soon as it ends */
	char *pid_file;
	char *log_dir;             /* NULL: the VR's state directory */
};

/* Frees what the spec holds, not the spec. */
void spec_release(struct vr_spec *spec);

#endif

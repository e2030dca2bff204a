/* SPDX-License-Identifier: MIT */
/*
 * The VR's file system, made in two halves.
 *
 * The supervisor, with the host's rights, gathers: it looks at each thing that is to be seen in the VR exactly once,
 * by descriptor and without following a symbolic link, and takes a detached mount of it. What it has then is a list
 * in which no path is ever resolved again.
 *
 * The VR's own process, with no rights but those over its own namespaces, builds: it makes an empty tmpfs, a
 * directory or an empty file in it for each item of the list, and attaches the mounts there. So every mount point is
 * in a file system that nobody else has ever written to, whatever the image has at that place, and an image needs no
 * mount points of its own.
 *
 *	/                 tmpfs, read-only at last
 *	/<image's>        what the image's rootfs holds: read-only, nosuid, nodev
 *	/dev              null zero full random urandom tty of the host, verified; shm: a tmpfs
 *	/proc             of the VR's own pid namespace, masked
 *	/tmp              tmpfs
 *	/etc/europa/config, and what --mount says
 *
 * There is no /sys and no control group file system.
 */
#ifndef EUROPA_ROOTFS_H
#define EUROPA_ROOTFS_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/spec.h"

struct error;

#define ROOTFS_CONFIG   "/etc/europa/config"

enum rootfs_kind {
	ROOTFS_DIRECTORY,          /* a directory of the VR's own */
	ROOTFS_SYMLINK,            /* `link` says where to */
	ROOTFS_MOUNT_DIRECTORY,    /* `mount` is attached to a new directory, */
	ROOTFS_MOUNT_FILE,         /* or to a new file */
};

struct rootfs_item {
	enum rootfs_kind kind;
	char *path;                /* below the VR's root, without a leading slash */
	char *link;
	int mount;                 /* detached, from open_tree(); -1 */
	unsigned attributes;       /* MOUNT_ATTR_*, in force already but where rootfs.late_attributes is set */
};

struct rootfs {
	size_t count, room;
	struct rootfs_item *items;
	bool late_attributes;      /* no mount_setattr() here: the VR's process sets them once the mounts are attached */
};

/* Empty where this fails. */
int rootfs_gather(struct rootfs *rootfs, const struct vr_spec *spec, struct error *e);
void rootfs_release(struct rootfs *rootfs);

/*
 * In the VR's process, in its mount namespace, as its root. Afterwards "/" is the VR's and nothing else can be
 * reached.
 */
int rootfs_build(const struct rootfs *rootfs, struct error *e);

#ifdef EUROPA_FAULTS
void rootfs_list_steps(void);
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * An image is an OCI bundle: a directory with config.json and the root file system that it names. What is taken from
 * config.json: process (args, env, cwd, user, capabilities, rlimits), root.path, hostname, and the annotations
 *
 *	io.europa.vnics      "2"       how many vNICs
 *	io.europa.pool       "2048"    slots
 *	io.europa.slot-size  "2K"      bytes of a slot
 *	io.europa.ring       "1024"    entries of a ring
 *	io.europa.runs       "16"      super-packets
 *	io.europa.mtu        "1500"
 *	io.europa.cpu        "25%"     of one CPU
 *	io.europa.seccomp    "tight"   or "wide"
 *
 * The rest of OCI is ignored where that is harmless, and refused where an image would not be what it says: hooks,
 * mounts other than the usual ones, a terminal.
 */
#ifndef EUROPA_IMAGE_H
#define EUROPA_IMAGE_H

#include <stddef.h>

#include "runtime/spec.h"

struct error;

/*
 * IMAGE is the directory's path, or, where there is none, an installed image's name ("ipfwd", "image/ipfwd"). Fills
 * the spec's image, bundle, rootfs, args, env, cwd, uid, gid, groups, rlimits, caps, wide_seccomp, hostname, vnics, vnic[].mtu,
 * limits.cpu_permille; and in geometry nslots, slot_stride, ring_size and nruns as the image words them, 0 where it
 * doesn't. The caller calls spec_release, also after an error.
 */
int image_load(const char *image, struct vr_spec *spec, struct error *e);

/* What image_load() does with the text of config.json, which lies in spec->bundle. */
int image_parse(const char *text, size_t length, struct vr_spec *spec, struct error *e);

#endif

/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What a vNIC gets where nobody has asked for anything else: the name of its own device on the host, and addresses. They follow from the
 * VR's name and the host alone, so that they are the same again tomorrow.
 */
#ifndef EUROPA_CORE_NAME_H
#define EUROPA_CORE_NAME_H

#include "core/env.h"

#define NAME_DEVICE_SIZE 16u            /* IFNAMSIZ */

/*
 * NAME-vN. A name that leaves no room for that is cut to its first six characters, and five digits of a hash of all of it tell it from
 * others: "frankfurt-edge" has frankfd1202-v0. The same from every switch, in the first turn, which is 0. Among a thousand names that begin
 * alike two have the same digits as likely as not: where a name is taken, the next turn gives another. false: there is none.
 */
bool name_device(const char *vr, u32 vnic, u32 turn, char device[NAME_DEVICE_SIZE]);

/*
 * The first byte as given, the last one is the vNIC's number. `host`: n bytes that other machines on the same wire don't have, for they may
 * have VRs of the same names.
 */
void name_address(const void *host, u32 n, const char *vr, u32 vnic, u8 first, u8 mac[6]);
#define NAME_ADDRESS_VR      0x02       /* locally administered: the VR's side */
#define NAME_ADDRESS_DEVICE  0x06       /* its own device's */

#endif

// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the VR says about a frame that it wants sent. It may be anything, and it may change while it is looked at: each
 * word is read once into the caller's copy, and only the copy is checked and used.
 */
#include "core/vr.h"

#define ETH_HEADER      14u
#define TCP_HEADER      20u
#define UDP_HEADER      8u
#define TCP_CSUM_AT     16u
#define UDP_CSUM_AT     6u

/* Flags that ask for more than to send the bytes. */
#define DEMANDS (EUROPA_SLOT_NEEDS_CSUM | EUROPA_SLOT_VLAN | EUROPA_SLOT_REPLICATE)

static void read_once(const struct europa_slot *shared, struct europa_slot *meta)
{
	const u64 *from = (const u64 *)shared;
	u64 *to = (u64 *)meta;

	to[0] = READ_ONCE(from[0]);
	to[1] = READ_ONCE(from[1]);
	to[2] = READ_ONCE(from[2]);
	to[3] = READ_ONCE(from[3]);
}

static bool csum_is_sane(const struct europa_slot *meta)
{
	return meta->csum_start >= ETH_HEADER && (u32)meta->csum_start + meta->csum_offset + 2 <= meta->len;
}

static bool gso_is_sane(const struct europa_slot *meta)
{
	u32 l4_header, csum_at;

	switch (meta->gso_type) {
	case EUROPA_GSO_TCPV4:
	case EUROPA_GSO_TCPV4 | EUROPA_GSO_ECN:
	case EUROPA_GSO_TCPV6:
	case EUROPA_GSO_TCPV6 | EUROPA_GSO_ECN:
		l4_header = TCP_HEADER;
		csum_at = TCP_CSUM_AT;
		break;
	case EUROPA_GSO_UDP:
	case EUROPA_GSO_UDP_L4:
		l4_header = UDP_HEADER;
		csum_at = UDP_CSUM_AT;
		break;
	default:
		return false;
	}

	/* hdr_len is a hint, and kernels give the length of whatever was in one piece: bounds are all that is to be asked. */
	return (meta->flags & EUROPA_SLOT_NEEDS_CSUM) && meta->csum_offset == csum_at && meta->gso_size > 0 &&
	       meta->hdr_len >= ETH_HEADER && meta->hdr_len <= meta->len &&
	       meta->csum_start + l4_header <= meta->len &&
	       meta->len - meta->csum_start - l4_header <= meta->gso_size * EUROPA_MAX_SEGMENTS;
}

bool check_offload(const struct europa_slot *meta)
{
	if ((meta->flags & EUROPA_SLOT_NEEDS_CSUM) && !csum_is_sane(meta))
		return false;
	return meta->gso_type == EUROPA_GSO_NONE || gso_is_sane(meta);
}

static bool vlan_is_sane(const struct europa_slot *meta)
{
	return meta->vlan_proto == 0x8100 || meta->vlan_proto == 0x88a8;
}

static bool ports_are_sane(const struct vr *vr, const struct europa_slot *meta)
{
	return meta->ports && !((u64)meta->ports >> vr->geo.nvnics);
}

static enum europa_drop check_demands(const struct vr *vr, const struct europa_slot *meta)
{
	if (!check_offload(meta))
		return EUROPA_DROP_BAD_OFFLOAD;
	if ((meta->flags & EUROPA_SLOT_VLAN) && !vlan_is_sane(meta))
		return EUROPA_DROP_BAD_OFFLOAD;
	if ((meta->flags & EUROPA_SLOT_REPLICATE) && !ports_are_sane(vr, meta))
		return EUROPA_DROP_BAD_PORTS;
	return EUROPA_DROPS;
}

enum europa_drop check_tx(const struct vr *vr, u32 slot, struct europa_slot *meta)
{
	u32 room = geometry_slot_bytes(&vr->geo, slot);

	read_once(&vr->meta[slot], meta);

	if (unlikely(meta->state != EUROPA_SLOT_PROCESSED))
		return EUROPA_DROP_BAD_STATE;
	if (unlikely(meta->len < ETH_HEADER || meta->len > room || meta->offset > room - meta->len))
		return EUROPA_DROP_BAD_LENGTH;
	if (likely(!(meta->flags & DEMANDS) && meta->gso_type == EUROPA_GSO_NONE))
		return EUROPA_DROPS;
	return check_demands(vr, meta);
}

static void quarantine(struct vr *vr)
{
	vr->tolerance = 0;
	vr->quarantined = true;
	vr_set_status(vr, EUROPA_QUARANTINED);
}

void vr_violation(struct vr *vr, u32 vnic, enum europa_drop cause, u32 n)
{
	u64 *count = vnic < vr->geo.nvnics ? &vr->vnic_stats[vnic].drops[cause] : &vr->stats->drops[cause];

	WRITE_ONCE(*count, *count + n);
	WRITE_ONCE(vr->stats->violations, vr->stats->violations + n);
	if (vr->tolerance > n)
		vr->tolerance -= n;
	else if (!vr->quarantined)
		quarantine(vr);
}

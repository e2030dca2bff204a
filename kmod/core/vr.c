// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The life of a VR's region in a switch: made, or adopted from a switch that is gone; sleep; statistics. */
#include "core/pool.h"

size_t vr_memory(const struct europa_geometry *geo)
{
	return ((size_t)geo->nslots + geo->nruns) * sizeof(u32);
}

static struct europa_line *control_line(const struct vr *vr, u32 ring)
{
	return (struct europa_line *)(vr->control + vr->off.control_lines) + ring;
}

static struct europa_line *pool_line(const struct vr *vr, u32 ring)
{
	return (struct europa_line *)(vr->pool + vr->off.pool_lines) + ring;
}

/* The switch's line is in control, whatever its side of the ring; the entries are the producer's. */
static void open_ring(struct vr *vr, struct ring *r, u32 ring)
{
	bool from_vr = ring == EUROPA_RING_FREE || (ring > EUROPA_RING_ALLOC && (ring & 1));
	u8 *rings = from_vr ? vr->pool + vr->off.pool_rings : vr->control + vr->off.control_rings;

	ring_init(r, (u32 *)(rings + layout_ring(&vr->geo, ring)), layout_ring_size(&vr->geo, ring),
		  control_line(vr, ring), pool_line(vr, ring));
}

static void open_rings(struct vr *vr)
{
	u32 vnic;

	open_ring(vr, &vr->free, EUROPA_RING_FREE);
	open_ring(vr, &vr->alloc, EUROPA_RING_ALLOC);
	for (vnic = 0; vnic < vr->geo.nvnics; vnic++) {
		open_ring(vr, &vr->rx[vnic], EUROPA_RING_RX(vnic));
		open_ring(vr, &vr->tx[vnic], EUROPA_RING_TX(vnic));
	}
}

static void open_region(struct vr *vr, const struct europa_geometry *geo, void *control, void *pool, void *memory)
{
	memset(vr, 0, sizeof(*vr));
	vr->geo = *geo;
	layout_compute(geo, &vr->off);
	vr->nindexes = geometry_indexes(geo);

	vr->control = control;
	vr->pool = pool;
	vr->header = control;
	vr->vnics = (struct europa_vnic *)(vr->control + vr->off.control_vnics);
	vr->stats = (struct europa_vr_stats *)(vr->control + vr->off.control_stats);
	vr->vnic_stats = (struct europa_vnic_stats *)(vr->stats + 1);
	vr->owners = vr->control + vr->off.control_owners;
	vr->meta = (struct europa_slot *)(vr->pool + vr->off.pool_meta);
	vr->slots = vr->pool + vr->off.pool_slots;

	vr->free_slots = memory;
	vr->free_runs = vr->free_slots + geo->nslots;
	vr->tolerance = VR_TOLERANCE;
	open_rings(vr);
}

/* What the owner map says is the switch's goes on the free stacks, the lowest index on top. */
static void find_free(struct vr *vr)
{
	u32 i;

	for (i = vr->geo.nruns; i-- > 0;) {
		u32 run = vr->geo.nslots + i * vr->geo.run_slots;

		if (vr->owners[run] == EUROPA_OWNER_SWITCH)
			pool_push(vr, run);
	}
	for (i = vr->geo.nslots; i-- > 0;) {
		if (vr->owners[i] == EUROPA_OWNER_SWITCH)
			pool_push(vr, i);
	}
}

static u32 features(const struct europa_geometry *geo)
{
	return EUROPA_F_OFFLOAD | EUROPA_F_REPLICATE | EUROPA_F_STATE | (geo->nruns ? EUROPA_F_RUNS : 0) |
	       (geo->alloc_target ? EUROPA_F_ALLOC : 0);
}

static void copy_name(char *to, const char *name, u32 size)
{
	u32 i;

	for (i = 0; i + 1 < size && name[i]; i++)
		to[i] = name[i];
	to[i] = '\0';
}

void vr_init(struct vr *vr, const struct europa_geometry *geo, const char *name, void *control, void *pool, void *memory)
{
	struct europa_header *header = control;

	open_region(vr, geo, control, pool, memory);
	find_free(vr);

	header->major = EUROPA_MAJOR;
	header->minor = EUROPA_MINOR;
	header->features = features(geo);
	header->geometry = vr->geo;
	header->offsets = vr->off;
	header->epoch = 1;
	copy_name(header->name, name, sizeof(header->name));
	vr_set_status(vr, EUROPA_ATTACHED);
	/* Who sees the magic sees the rest. */
	smp_store_release(&header->magic, EUROPA_MAGIC);
}

/* A ring whose switch was killed while slots changed hands; pool.h has the cases. -EINVAL: no switch leaves such a line. */
static int repair_ring(struct vr *vr, struct ring *r, bool switch_consumes)
{
	struct europa_line *line = r->mine;
	u32 i, base = line->txn_base, count = line->txn_count;

	if (count == 0)
		return 0;
	if (count > r->size || (line->index != base && line->index != base + count))
		return -EINVAL;

	if (line->index == base) {
		for (i = 0; i < count; i++) {
			u32 slot = READ_ONCE(*ring_entry(r, i));

			if (slot < vr->nindexes && geometry_names_slot(&vr->geo, slot))
				WRITE_ONCE(vr->owners[slot], EUROPA_OWNER_SWITCH);
		}
		barrier();
		if (switch_consumes)
			ring_release(r, count);
	}
	pool_announced_is_done(r);
	return 0;
}

static int repair_rings(struct vr *vr)
{
	u32 vnic;

	if (repair_ring(vr, &vr->alloc, false) < 0 || repair_ring(vr, &vr->free, true) < 0)
		return -EINVAL;
	for (vnic = 0; vnic < vr->geo.nvnics; vnic++) {
		if (repair_ring(vr, &vr->rx[vnic], false) < 0 || repair_ring(vr, &vr->tx[vnic], true) < 0)
			return -EINVAL;
	}
	return 0;
}

static bool holds_region(const struct vr *vr)
{
	const struct europa_header *header = vr->header;

	/* Pairs with vr_init's release. */
	return smp_load_acquire(&header->magic) == EUROPA_MAGIC && header->major == EUROPA_MAJOR &&
	       !memcmp(&header->geometry, &vr->geo, sizeof(vr->geo)) &&
	       !memcmp(&header->offsets, &vr->off, sizeof(vr->off));
}

int vr_adopt(struct vr *vr, const struct europa_geometry *geo, void *control, void *pool, void *memory)
{
	open_region(vr, geo, control, pool, memory);
	if (!holds_region(vr) || repair_rings(vr) < 0)
		return -EINVAL;
	vr_awake(vr);
	find_free(vr);

	vr->header->minor = EUROPA_MINOR;
	vr->header->features = features(geo);
	/* The fence that it was asked behind has gone with the last switch. */
	if (request_what(request_seen(vr->header)) != EUROPA_ASK_NOTHING)
		vr_ask(vr, EUROPA_ASK_NOTHING);
	WRITE_ONCE(vr->header->epoch, vr->header->epoch + 1);
	/* A switch that dies is no pardon. */
	vr->quarantined = vr->header->status == EUROPA_QUARANTINED;
	if (!vr->quarantined)
		vr_set_status(vr, EUROPA_ATTACHED);
	return 0;
}

void vr_set_status(struct vr *vr, u32 status)
{
	WRITE_ONCE(vr->header->status, status);
}

void vr_leave(struct vr *vr)
{
	vr_refresh_stats(vr);
	if (!vr->quarantined)
		vr_set_status(vr, EUROPA_DETACHED);
}

void vr_quiesce(struct vr *vr, u32 how)
{
	vr->fenced = how == EUROPA_QUIESCE_IN;
	vr->quiesced = how && !vr->fenced;
	if (!vr->quarantined)
		vr_set_status(vr, vr->fenced ? EUROPA_FENCED : vr->quiesced ? EUROPA_QUIESCED : EUROPA_ATTACHED);
}

u32 vr_ask(struct vr *vr, u32 what)
{
	return request_post(vr->header, what);
}

void vr_census(const struct vr *vr, struct vr_census *census)
{
	u32 i;

	memset(census, 0, sizeof(*census));
	for (i = 0; i < vr->geo.nslots; i++) {
		if (vr->owners[i] == EUROPA_OWNER_SWITCH)
			census->switch_slots++;
		else
			census->vr_slots++;
	}
	for (; i < vr->nindexes; i += vr->geo.run_slots) {
		if (vr->owners[i] == EUROPA_OWNER_SWITCH)
			census->switch_runs++;
		else
			census->vr_runs++;
	}
}

void vr_refresh_stats(struct vr *vr)
{
	WRITE_ONCE(vr->stats->free_slots, vr->nfree_slots);
	WRITE_ONCE(vr->stats->free_runs, vr->nfree_runs);
}

/* A ring that makes no sense is work, too: who looks at it counts it, and quarantine ends it. */
static bool has_given(struct vr *vr)
{
	u32 vnic;

	if (ring_peek(&vr->free, 1))
		return true;
	for (vnic = 0; vnic < vr->geo.nvnics; vnic++) {
		if (ring_peek(&vr->tx[vnic], 1))
			return true;
	}
	return false;
}

bool vr_has_work(struct vr *vr)
{
	return !vr_paused(vr) && (has_given(vr) || pool_lacks(vr));
}

bool vr_sleep(struct vr *vr)
{
	u32 vnic;

	ring_sleep(&vr->free);
	for (vnic = 0; vnic < vr->geo.nvnics; vnic++)
		ring_sleep(&vr->tx[vnic]);
	return vr_has_work(vr);
}

void vr_awake(struct vr *vr)
{
	u32 vnic;

	ring_awake(&vr->free);
	for (vnic = 0; vnic < vr->geo.nvnics; vnic++)
		ring_awake(&vr->tx[vnic]);
}

static bool is_stalled(struct vr *vr, u32 vnic, u32 now_us)
{
	const struct ring *r = &vr->rx[vnic];
	u32 bit = 1u << vnic, taken = READ_ONCE(r->theirs->index);

	if (taken == READ_ONCE(r->mine->index)) {
		vr->waiting &= ~bit;
		return false;
	}
	if (!(vr->waiting & bit) || taken != vr->taken[vnic]) {
		vr->waiting |= bit;
		vr->taken[vnic] = taken;
		vr->since_us[vnic] = now_us;
		return false;
	}
	return now_us - vr->since_us[vnic] >= VR_STALL_US;
}

bool vr_watch(struct vr *vr, u32 now_us)
{
	bool stalled = false;
	u32 vnic;

	/* A VR that saves its state stands still until that is over. */
	if (vr_shut(vr)) {
		vr->waiting = 0;
		return false;
	}
	for (vnic = 0; vnic < vr->geo.nvnics; vnic++) {
		struct europa_vnic_stats *stats = &vr->vnic_stats[vnic];

		if (!is_stalled(vr, vnic, now_us))
			continue;
		vr->since_us[vnic] = now_us;
		WRITE_ONCE(stats->stalls, stats->stalls + 1);
		stalled = true;
	}
	return stalled;
}

void vr_kicked(struct vr *vr)
{
	vr->unkicked = false;
	WRITE_ONCE(vr->stats->kicks, vr->stats->kicks + 1);
}

/* A VR that was stopped between its last index and its kick is late and not mute: the next look decides. */
void vr_missed_kick(struct vr *vr)
{
	if (vr->unkicked)
		WRITE_ONCE(vr->stats->missed_kicks, vr->stats->missed_kicks + 1);
	vr->unkicked = !vr_paused(vr) && has_given(vr);
}

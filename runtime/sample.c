/* SPDX-License-Identifier: MIT */
#include "runtime/sample.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/drop.h"
#include "runtime/cleanup.h"
#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/view.h"

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

const char *print_time(char *buf, size_t size, int64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	size_t used;

	buf[0] = '\0';
	if (!ns || !gmtime_r(&seconds, &tm))
		return buf;
	used = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + used, size - used, ".%09lldZ", (long long)(ns % 1000000000));
	return buf;
}

/* Counters are read one by one while the switch goes on counting: each is true, their sum is nearly so. */
static void copy_words(void *to, const uint8_t *base, size_t offset, size_t bytes)
{
	uint64_t *words = to;

	for (size_t i = 0; i < bytes / 8; i++)
		words[i] = view_u64(base, offset + 8 * i);
}

static void take_region(const struct view *view, struct sample *s)
{
	size_t vnic_stats = view->off.control_stats + sizeof(struct europa_vr_stats);

	s->has_region = true;
	s->geo = view->geo;
	s->status = view_status(view);
	s->epoch = view_u32(view->control, offsetof(struct europa_header, epoch));
	s->features = view_u32(view->control, offsetof(struct europa_header, features));
	view_owned(view, &s->vr_slots, &s->vr_runs);
	s->free_used = view_ring_used(view, EUROPA_RING_FREE);
	s->alloc_used = view_ring_used(view, EUROPA_RING_ALLOC);
	copy_words(&s->vr, view->control, view->off.control_stats, sizeof s->vr);
	for (unsigned n = 0; n < view->geo.nvnics; n++) {
		size_t vnic = view->off.control_vnics + n * sizeof(struct europa_vnic);

		s->vnic[n].up = view_u32(view->control, vnic + offsetof(struct europa_vnic, flags)) & EUROPA_VNIC_UP;
		s->vnic[n].rx_used = view_ring_used(view, EUROPA_RING_RX(n));
		s->vnic[n].tx_used = view_ring_used(view, EUROPA_RING_TX(n));
		copy_words(&s->vnic[n].stats, view->control, vnic_stats + n * sizeof(struct europa_vnic_stats),
			   sizeof s->vnic[n].stats);
	}
	copy_words(s->counters, view->pool, view->off.pool_counters, sizeof s->counters);
	for (unsigned i = 0; i < EUROPA_DP_COUNTERS; i++)
		s->counters[i].name[sizeof s->counters[i].name - 1] = '\0';
}

static void take_cgroup(const struct vr_state *state, struct sample *s, struct error *e)
{
	struct cgroup_set *set;

	if (!state->cgroup || cgroups_open(state_cgroup(state), &set, e) < 0)
		return;
	s->has_cgroup = cgroups_stat(set, &s->cgroup, e) == 0 && cgroups_limits(set, &s->limits, e) == 0;
	free(take_ptr(s->limits.cpuset));
	cgroups_close(set);
}

void sample_take(const struct vr_state *state, struct sample *s, struct error *e)
{
	struct error no_cgroup = { 0 };
	struct view view;

	memset(s, 0, sizeof *s);
	s->time_ns = clock_ns(CLOCK_REALTIME);
	s->monotonic_ns = clock_ns(CLOCK_MONOTONIC);
	if (!state_is_live(state))
		return;
	take_cgroup(state, s, &no_cgroup);
	if (view_open(state, &view, e) == 0) {
		take_region(&view, s);
		view_close(&view);
	}
	if (e && !e->code)
		*e = no_cgroup;
}

double sample_seconds(const struct sample *before, const struct sample *now)
{
	return (double)(now->monotonic_ns - before->monotonic_ns) / 1e9;
}

static double percent_of_time(const struct vr_state *state, const struct sample *s, const struct sample *before, uint64_t usec)
{
	double passed_us = before ? sample_seconds(before, s) * 1e6 : (double)(s->time_ns - state->started_ns) / 1e3;

	return passed_us > 0 ? 100 * (double)usec / passed_us : 0;
}

double sample_cpu_percent(const struct vr_state *state, const struct sample *s, const struct sample *before)
{
	return percent_of_time(state, s, before, s->cgroup.cpu_usec - (before ? before->cgroup.cpu_usec : 0));
}

/* v1 and v2 count the time of every CPU on which something of the group waited. */
double sample_throttled_percent(const struct vr_state *state, const struct sample *s, const struct sample *before)
{
	double percent = percent_of_time(state, s, before, s->cgroup.throttled_usec - (before ? before->cgroup.throttled_usec : 0));

	return percent > 100 ? 100 : percent;
}

uint64_t sample_no_room(const struct sample *s)
{
	uint64_t n = 0;

	for (unsigned vnic = 0; vnic < s->geo.nvnics; vnic++) {
		const __u64 *drops = s->vnic[vnic].stats.drops;

		n += drops[EUROPA_DROP_RX_RING_FULL] + drops[EUROPA_DROP_RX_NO_SLOT] + drops[EUROPA_DROP_RX_NO_RUN];
	}
	return n;
}

/* Stopped now and then for less time than this, a VR has no lack of CPU time that would explain a full ring. */
#define MATTERS_PERCENT 2.0

enum sample_cause sample_cause(const struct vr_state *state, const struct sample *s, const struct sample *before)
{
	if (sample_no_room(s) <= (before ? sample_no_room(before) : 0))
		return CAUSE_NONE;
	return sample_throttled_percent(state, s, before) >= MATTERS_PERCENT ? CAUSE_QUOTA : CAUSE_SLOW;
}

/* ---- JSON ---- */

/* jansson's integers are signed. */
static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *number_or_null(uint64_t n)
{
	return n && n < INT64_MAX ? number(n) : json_null();
}

static json_t *drops_json(const __u64 *drops)
{
	json_t *json = json_object();

	for (unsigned cause = 0; cause < EUROPA_DROPS; cause++)
		json_object_set_new(json, europa_drop_names[cause], number(drops[cause]));
	return json;
}

static json_t *ring_json(uint32_t used, uint32_t size)
{
	return json_pack("{s:o, s:o}", "used", number(used), "size", number(size));
}

static json_t *cpu_json(const struct vr_state *state, const struct sample *s, const struct sample *before)
{
	const struct vr_limits *l = &s->limits;
	bool limited = l->cpu_permille && l->cpu_permille != UINT32_MAX;

	return json_pack("{s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:f}",
			 "used_usec", number(s->cgroup.cpu_usec),
			 "percent", sample_cpu_percent(state, s, before),
			 "quota_percent", limited ? json_real(l->cpu_permille / 10.0) : json_null(),
			 "period_usec", number(l->period_us),
			 "periods", number(s->cgroup.nr_periods),
			 "periods_throttled", number(s->cgroup.nr_throttled),
			 "throttled_usec", number(s->cgroup.throttled_usec),
			 "throttled_percent", sample_throttled_percent(state, s, before));
}

static json_t *switch_json(const struct vr_state *state, const struct sample *s)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "kind", state->which_switch == SWITCH_KMOD ? "kmod" : "user",
			 "status", view_status_name(s->status),
			 "epoch", number(s->epoch),
			 "cycles", number(s->vr.switch_cycles),
			 "kicks", number(s->vr.kicks),
			 "missed_kicks", number(s->vr.missed_kicks),
			 "violations", number(s->vr.violations),
			 "drops", drops_json(s->vr.drops));
}

static json_t *pool_json(const struct sample *s)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "slots", number(s->geo.nslots),
			 "slots_of_vr", number(s->vr_slots),
			 "runs", number(s->geo.nruns),
			 "runs_of_vr", number(s->vr_runs),
			 "slot_bytes", number(s->geo.slot_stride),
			 "allocated", number(s->vr.allocated),
			 "dropped_by_vr", number(s->vr.dropped),
			 "free_ring", ring_json(s->free_used, s->geo.pool_ring_size),
			 "alloc_ring", ring_json(s->alloc_used, s->geo.pool_ring_size));
}

static void add_rate(json_t *json, const char *key, uint64_t before, uint64_t now, double seconds)
{
	json_object_set_new(json, key, json_real(seconds > 0 ? (double)(now - before) / seconds : 0));
}

static json_t *vnic_json(const struct vr_state *state, const struct sample *s, const struct sample *before, unsigned n)
{
	const struct europa_vnic_stats *now = &s->vnic[n].stats, *then = before ? &before->vnic[n].stats : NULL;
	const char *device = n < state->vnics ? state->vnic[n].device : "";
	double seconds = before ? sample_seconds(before, s) : 0;
	json_t *json = json_pack("{s:i, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
				 "vnic", (int)n, "device", device, "up", s->vnic[n].up,
				 "rx_packets", number(now->rx_packets), "rx_bytes", number(now->rx_bytes),
				 "tx_packets", number(now->tx_packets), "tx_bytes", number(now->tx_bytes),
				 "rx_batches", number(now->rx_batches), "tx_batches", number(now->tx_batches),
				 "wakeups", number(now->wakeups), "stalls", number(now->stalls),
				 "rx_ring", ring_json(s->vnic[n].rx_used, s->geo.ring_size),
				 "tx_ring", ring_json(s->vnic[n].tx_used, s->geo.ring_size),
				 "drops", drops_json(now->drops));

	if (then && json) {
		add_rate(json, "rx_packets_per_second", then->rx_packets, now->rx_packets, seconds);
		add_rate(json, "rx_bytes_per_second", then->rx_bytes, now->rx_bytes, seconds);
		add_rate(json, "tx_packets_per_second", then->tx_packets, now->tx_packets, seconds);
		add_rate(json, "tx_bytes_per_second", then->tx_bytes, now->tx_bytes, seconds);
	}
	return json;
}

static json_t *counters_json(const struct sample *s)
{
	json_t *json = json_object();
	char quoted[100];

	for (unsigned i = 0; i < EUROPA_DP_COUNTERS; i++)
		if (s->counters[i].name[0])
			json_object_set_new(json, quantity_quote(quoted, sizeof quoted, s->counters[i].name),
					    number(s->counters[i].value));
	return json;
}

static json_t *cause_json(enum sample_cause cause)
{
	return cause == CAUSE_NONE ? json_null() : json_string(cause == CAUSE_QUOTA ? "quota" : "slow");
}

json_t *sample_json(const struct vr_state *state, const struct sample *s, const struct sample *before)
{
	char time[TIME_BYTES];
	json_t *vnics, *json = json_pack("{s:s, s:s, s:s}", "name", state->name, "time", print_time(time, sizeof time, s->time_ns),
					 "status", state_status_name(state->status));

	if (s->has_cgroup) {
		json_object_set_new(json, "cpu", cpu_json(state, s, before));
		json_object_set_new(json, "memory", json_pack("{s:o, s:o, s:o}", "used", number(s->cgroup.memory),
							      "peak", number(s->cgroup.memory_peak),
							      "limit", number_or_null(s->limits.memory)));
		json_object_set_new(json, "pids", json_pack("{s:o, s:o}", "used", number(s->cgroup.pids),
							    "limit", number_or_null(s->limits.pids)));
	}
	if (!s->has_region)
		return json;
	json_object_set_new(json, "switch", switch_json(state, s));
	json_object_set_new(json, "pool", pool_json(s));
	vnics = json_array();
	for (unsigned n = 0; n < s->geo.nvnics; n++)
		json_array_append_new(vnics, vnic_json(state, s, before, n));
	json_object_set_new(json, "vnics", vnics);
	json_object_set_new(json, "no_room", cause_json(sample_cause(state, s, before)));
	json_object_set_new(json, "counters", counters_json(s));
	return json;
}

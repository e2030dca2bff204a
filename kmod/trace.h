/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints: /sys/kernel/tracing/events/europa. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM europa

#if !defined(EUROPA_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define EUROPA_TRACE_H

#include <linux/tracepoint.h>

#include "member.h"

/* A frame for a VR: the slot that it went into, or -1. */
TRACE_EVENT(europa_receive,
	TP_PROTO(const struct member *m, unsigned int vnic, u32 len, int slot),
	TP_ARGS(m, vnic, len, slot),
	TP_STRUCT__entry(
		__array(char, name, 64)
		__field(unsigned int, vnic)
		__field(u32, len)
		__field(int, slot)
	),
	TP_fast_assign(
		memcpy(__entry->name, m->name, sizeof(m->name));
		__entry->vnic = vnic;
		__entry->len = len;
		__entry->slot = slot;
	),
	TP_printk("vr=%s vnic=%u len=%u slot=%d", __entry->name, __entry->vnic, __entry->len, __entry->slot)
);

/* A batch from a VR: entries that were looked at, and frames that passed the checks. */
TRACE_EVENT(europa_transmit,
	TP_PROTO(const struct member *m, unsigned int vnic, u32 looked, u32 good),
	TP_ARGS(m, vnic, looked, good),
	TP_STRUCT__entry(
		__array(char, name, 64)
		__field(unsigned int, vnic)
		__field(u32, looked)
		__field(u32, good)
	),
	TP_fast_assign(
		memcpy(__entry->name, m->name, sizeof(m->name));
		__entry->vnic = vnic;
		__entry->looked = looked;
		__entry->good = good;
	),
	TP_printk("vr=%s vnic=%u looked=%u good=%u", __entry->name, __entry->vnic, __entry->looked, __entry->good)
);

/* The worker goes to sleep (1) or is back (0). */
TRACE_EVENT(europa_sleep,
	TP_PROTO(const struct member *m, bool asleep),
	TP_ARGS(m, asleep),
	TP_STRUCT__entry(
		__array(char, name, 64)
		__field(bool, asleep)
	),
	TP_fast_assign(
		memcpy(__entry->name, m->name, sizeof(m->name));
		__entry->asleep = asleep;
	),
	TP_printk("vr=%s asleep=%d", __entry->name, __entry->asleep)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

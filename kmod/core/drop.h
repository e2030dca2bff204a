/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The names of enum europa_drop, as europa-stat and its JSON show them. */
#ifndef EUROPA_CORE_DROP_H
#define EUROPA_CORE_DROP_H

#include <linux/europa.h>

static const char *const europa_drop_names[EUROPA_DROPS] = {
	[EUROPA_DROP_RX_NO_SLOT]     = "rx_no_slot",
	[EUROPA_DROP_RX_NO_RUN]      = "rx_no_run",
	[EUROPA_DROP_RX_RING_FULL]   = "rx_ring_full",
	[EUROPA_DROP_RX_TOO_LONG]    = "rx_too_long",
	[EUROPA_DROP_RX_DOWN]        = "rx_down",
	[EUROPA_DROP_RX_QUARANTINED] = "rx_quarantined",
	[EUROPA_DROP_TX_DOWN]        = "tx_down",
	[EUROPA_DROP_TX_FULL]        = "tx_full",
	[EUROPA_DROP_TX_TOO_LONG]    = "tx_too_long",
	[EUROPA_DROP_TX_ERROR]       = "tx_error",
	[EUROPA_DROP_BAD_RING]       = "bad_ring",
	[EUROPA_DROP_BAD_INDEX]      = "bad_index",
	[EUROPA_DROP_NOT_OWNED]      = "not_owned",
	[EUROPA_DROP_BAD_STATE]      = "bad_state",
	[EUROPA_DROP_BAD_LENGTH]     = "bad_length",
	[EUROPA_DROP_BAD_OFFLOAD]    = "bad_offload",
	[EUROPA_DROP_BAD_PORTS]      = "bad_ports",
	[EUROPA_DROP_RX_MALFORMED]   = "rx_malformed",
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What became of the packets. The names are what europa-stat shows. `forwarded` includes the few that wait for a
 * neighbour; where it doesn't answer they are counted as host_unreachable too.
 */
#ifndef IPFWD_COUNTERS_H
#define IPFWD_COUNTERS_H

#define COUNTERS(X) \
	X(RECEIVED,         "received") \
	/* went on */ \
	X(FORWARDED,        "forwarded") \
	X(ARP_TAKEN,        "arp_taken")             /* ARP that wanted no answer */ \
	/* not IPv4 for this router */ \
	X(NOT_FOR_ME,       "not_for_me")            /* another MAC address */ \
	X(OTHER_VLAN,       "other_vlan") \
	X(OTHER_PROTOCOL,   "other_protocol")        /* neither IPv4 nor ARP */ \
	X(MULTICAST,        "multicast") \
	X(BROADCAST,        "broadcast") \
	X(TOO_SHORT,        "too_short") \
	X(BAD_ARP,          "bad_arp") \
	X(FOREIGN_ARP,      "foreign_arp")           /* for another, or from outside the subnet */ \
	/* IPv4 that must not be forwarded */ \
	X(BAD_HEADER,       "bad_header")            /* version, header length, total length, what is beyond it; cut: where it ends */ \
	X(BAD_CHECKSUM,     "bad_checksum") \
	X(BAD_OPTIONS,      "bad_options") \
	X(SOURCE_ROUTED,    "source_routed") \
	X(MARTIAN_SOURCE,   "martian_source") \
	X(WRONG_SOURCE,     "wrong_source")          /* source-check: its answer would leave elsewhere */ \
	X(MARTIAN_DEST,     "martian_destination") \
	X(LINK_LOCAL,       "link_local") \
	X(DIRECTED_CAST,    "directed_broadcast") \
	X(BLACKHOLED,       "blackholed") \
	X(LOCAL_IGNORED,    "local_ignored")         /* for the router, and no answer is due */ \
	X(NO_SERVICE,       "no_service")            /* for the router: a port or protocol that it doesn't serve */ \
	X(LOCAL_FRAGMENT,   "local_fragment")        /* for the router, in pieces */ \
	/* an error was due, the reason is counted here; the error itself below */ \
	X(TTL_EXCEEDED,     "ttl_exceeded") \
	X(NO_ROUTE,         "no_route") \
	X(PROHIBITED,       "prohibited") \
	X(TOO_BIG,          "too_big")               /* larger than the MTU, and must not be fragmented */ \
	X(HOST_UNREACHABLE, "host_unreachable")      /* the neighbour doesn't answer ARP */ \
	X(WAIT_OVERFLOW,    "wait_overflow")         /* too many wait for the same neighbour */ \
	X(NEIGHBOURS_FULL,  "neighbours_full") \
	X(NO_SLOT,          "no_slot")               /* no EMPTY slot to send what was due */ \
	X(TX_FULL,          "tx_full")               /* the switch didn't take it */ \
	/* what the router sent by itself */ \
	X(ECHO_REPLIES,     "echo_replies") \
	X(ICMP_ERRORS,      "icmp_errors") \
	X(ICMP_LIMITED,     "icmp_limited")          /* held back by the rate limit */ \
	X(ICMP_FORBIDDEN,   "icmp_forbidden")        /* about a packet that no error may be sent about */ \
	X(REDIRECTS,        "redirects") \
	X(FRAGMENTED,       "fragmented")            /* packets */ \
	X(FRAGMENTS,        "fragments")             /* pieces of them */ \
	X(ARP_REPLIES,      "arp_replies") \
	X(ARP_REQUESTS,     "arp_requests")

enum counter {
#define X(id, name) COUNT_##id,
	COUNTERS(X)
#undef X
	COUNTER_COUNT,
};

extern const char *const counter_names[COUNTER_COUNT];

#endif

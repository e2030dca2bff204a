/* SPDX-License-Identifier: MIT */
/*
 * What users write, into what programs count. Strict: the whole text must be the quantity, no sign, no blank, no leading zero, no
 * overflow; what is not is refused (false), never guessed, and nothing is stored then.
 */
#ifndef EUROPA_QUANTITY_H
#define EUROPA_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "7", from min to max. */
bool quantity_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* The same, and "0x86dd". */
bool quantity_number_or_hex(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* Share of one CPU in thousandths: "25%", "150%", "12.5%"; and the same as "0.25", "1.5". 0.1% to 1024 CPUs. */
bool quantity_percent(const char *text, uint32_t *permille);
bool quantity_cpus(const char *text, uint32_t *permille);
#define EXPECT_PERCENT "a percentage of one CPU, as in 25% or 150%"
#define EXPECT_CPUS    "a number of CPUs, as in 0.25 or 1.5"

/* Bytes: "65536", "64K", "64M", "2G", "1T"; "64m", "64MB" and "64MiB" are the same: all are powers of 1024. */
bool quantity_size(const char *text, uint64_t *bytes);
/* Microseconds: "10ms", "500us", "1s"; a bare number is microseconds, as for podman's --cpu-period. */
bool quantity_microseconds(const char *text, uint64_t *us);

/* "52:54:00:12:34:56"; a unicast address that is not all zero. */
bool quantity_mac(const char *text, uint8_t mac[6]);
/* "0-3,5": ascending, without overlap, as the kernel prints it. */
bool quantity_cpuset(const char *text);
/* "15", "TERM", "SIGTERM", "sigterm". */
bool quantity_signal(const char *text, int *signal);

/* A VR's name: [A-Za-z0-9_+-][A-Za-z0-9_+.-]*, shorter than VR_NAME_MAX. */
bool quantity_vr_name(const char *text);
#define EXPECT_VR_NAME "letters, digits, _ + - and, not first, a dot; at most 63 in all"
/* A net device's name: as the kernel's dev_valid_name() has it. */
bool quantity_device_name(const char *text);
/* "[A-Za-z_][A-Za-z0-9_]*", of `length` bytes. */
bool quantity_env_name(const char *text, size_t length);

/* The rule of a shared NIC, "vlan 5"; NULL, or a static text that says what would be right. */
const char *quantity_rule_expected(const char *rule);

/* Text from elsewhere, for one line of a terminal: what doesn't print becomes \xNN, what doesn't fit becomes "...". Returns buf. */
const char *quantity_quote(char *buf, size_t size, const char *text);

/* "64.0 MiB" style for people; exact below 1024. Returns buf. */
const char *quantity_print_size(char *buf, size_t size, uint64_t bytes);

#endif

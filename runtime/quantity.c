/* SPDX-License-Identifier: MIT */
#include "runtime/quantity.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runtime/spec.h"

#define MAX_PERMILLE (1024 * 1000)
#define MAX_CPUS     8192

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits from *text on, which moves behind them. */
static bool take_digits(const char **text, uint64_t *out)
{
	const char *p = *text;
	uint64_t n = 0;

	if (!is_digit(*p) || (*p == '0' && is_digit(p[1])))
		return false;
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	*text = p;
	*out = n;
	return true;
}

bool quantity_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t n;

	if (!take_digits(&text, &n) || *text || n < min || n > max)
		return false;
	*out = n;
	return true;
}

bool quantity_number_or_hex(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	size_t digits = 0;

	if (text[0] != '0' || (text[1] != 'x' && text[1] != 'X'))
		return quantity_number(text, min, max, out);
	for (text += 2; isxdigit((unsigned char)*text) && digits < 16; text++, digits++)
		n = n << 4 | (is_digit(*text) ? *text - '0' : (*text | 0x20) - 'a' + 10);
	if (!digits || *text || n < min || n > max)
		return false;
	*out = n;
	return true;
}

/* "12.5" with at most `places` digits after the point, as 12.5 * 10^places. */
static bool take_decimal(const char **text, unsigned places, uint64_t *out)
{
	const char *p = *text;
	uint64_t n;

	if (!take_digits(&p, &n))
		return false;
	if (*p == '.') {
		if (!is_digit(*++p))
			return false;
		for (; is_digit(*p) && places; p++, places--)
			if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
				return false;
		while (*p == '0')
			p++;
	}
	for (; places; places--)
		if (__builtin_mul_overflow(n, 10, &n))
			return false;
	*text = p;
	*out = n;
	return true;
}

static bool permille_from(const char *text, unsigned places, const char *suffix, uint32_t *permille)
{
	uint64_t n;

	if (!take_decimal(&text, places, &n) || strcmp(text, suffix) != 0 || n < 1 || n > MAX_PERMILLE)
		return false;
	*permille = (uint32_t)n;
	return true;
}

bool quantity_percent(const char *text, uint32_t *permille)
{
	return permille_from(text, 1, "%", permille);
}

bool quantity_cpus(const char *text, uint32_t *permille)
{
	return permille_from(text, 3, "", permille);
}

bool quantity_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "kmgt";
	const char *unit;
	unsigned shift = 0;
	uint64_t n;

	if (!take_digits(&text, &n))
		return false;
	unit = *text ? strchr(units, tolower((unsigned char)*text)) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		text++;
	}
	if (*text && strcasecmp(text, "b") != 0 && !(unit && strcasecmp(text, "ib") == 0))
		return false;
	if (n > UINT64_MAX >> shift)
		return false;
	*bytes = n << shift;
	return true;
}

bool quantity_microseconds(const char *text, uint64_t *us)
{
	static const struct {
		const char *name;
		uint64_t us;
	} units[] = { { "", 1 }, { "us", 1 }, { "ms", 1000 }, { "s", 1000000 } };
	uint64_t n;
	size_t i = 0;

	if (!take_digits(&text, &n))
		return false;
	while (i < sizeof units / sizeof *units && strcmp(text, units[i].name) != 0)
		i++;
	if (i == sizeof units / sizeof *units || __builtin_mul_overflow(n, units[i].us, &n))
		return false;
	*us = n;
	return true;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	return isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10 : -1;
}

bool quantity_mac(const char *text, uint8_t mac[6])
{
	static const uint8_t zero[6];
	uint8_t parsed[6];

	for (int i = 0; i < 6; i++, text += 3) {
		int high = hex_value(text[0]), low = high < 0 ? -1 : hex_value(text[1]);

		if (low < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return false;
		parsed[i] = (uint8_t)(high << 4 | low);
	}
	if (parsed[0] & 1 || memcmp(parsed, zero, 6) == 0)
		return false;
	memcpy(mac, parsed, 6);
	return true;
}

bool quantity_cpuset(const char *text)
{
	uint64_t first, last, least = 0;

	for (;;) {
		if (!take_digits(&text, &first) || first < least || first >= MAX_CPUS)
			return false;
		last = first;
		if (*text == '-') {
			text++;
			if (!take_digits(&text, &last) || last < first || last >= MAX_CPUS)
				return false;
		}
		if (!*text)
			return true;
		if (*text++ != ',')
			return false;
		least = last + 1;
	}
}

bool quantity_signal(const char *text, int *signal)
{
	uint64_t number;

	if (quantity_number(text, 1, SIGRTMAX, &number)) {
		*signal = (int)number;
		return true;
	}
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < NSIG; i++)
		if (sigabbrev_np(i) && strcasecmp(text, sigabbrev_np(i)) == 0) {
			*signal = i;
			return true;
		}
	return false;
}

bool quantity_vr_name(const char *text)
{
	size_t length = strlen(text);

	if (!length || length >= VR_NAME_MAX || text[0] == '.')
		return false;
	for (const char *p = text; *p; p++)
		if (!isascii((unsigned char)*p) || !(isalnum((unsigned char)*p) || strchr("_+.-", *p)))
			return false;
	return true;
}

bool quantity_device_name(const char *text)
{
	size_t length = strlen(text);

	if (!length || length >= IFNAMSIZ || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (const char *p = text; *p; p++)
		if (!isgraph((unsigned char)*p) || *p == '/' || *p == ':')
			return false;
	return true;
}

bool quantity_env_name(const char *text, size_t length)
{
	if (!length || is_digit(text[0]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isascii((unsigned char)text[i]) || !(isalnum((unsigned char)text[i]) || text[i] == '_'))
			return false;
	return true;
}

static bool is_prefix(const char *text)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	uint8_t bytes[16];
	uint64_t bits;
	bool six;

	if (length >= sizeof address)
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	six = strchr(address, ':') != NULL;
	if (inet_pton(six ? AF_INET6 : AF_INET, address, bytes) != 1)
		return false;
	return !slash || quantity_number(slash + 1, 0, six ? 128 : 32, &bits);
}

/* What follows the keyword and blanks; NULL where the rule doesn't begin with that word. */
static const char *rule_argument(const char *rule, const char *keyword)
{
	size_t length = strlen(keyword);

	if (strncmp(rule, keyword, length) != 0 || (rule[length] && rule[length] != ' '))
		return NULL;
	rule += length;
	return rule + strspn(rule, " ");
}

const char *quantity_rule_expected(const char *rule)
{
	const char *argument;
	uint64_t n;

	if ((argument = rule_argument(rule, "mac")))
		return *argument ? "nothing after \"mac\"" : NULL;
	if ((argument = rule_argument(rule, "vlan")))
		return quantity_number(argument, 1, 4094, &n) ? NULL : "vlan and a number from 1 to 4094";
	if ((argument = rule_argument(rule, "ethertype")))
		return quantity_number_or_hex(argument, 0x600, 0xffff, &n) ? NULL
			: "ethertype and a number from 0x600 to 0xffff";
	if ((argument = rule_argument(rule, "ip")))
		return is_prefix(argument) ? NULL : "ip and a prefix, as in ip 192.0.2.0/24 or ip 2001:db8::/32";
	if ((argument = rule_argument(rule, "udp")))
		return quantity_number(argument, 1, 65535, &n) ? NULL : "udp and a port from 1 to 65535";
	if ((argument = rule_argument(rule, "vxlan")))
		return quantity_number(argument, 0, 0xffffff, &n) ? NULL : "vxlan and a VNI from 0 to 16777215";
	if ((argument = rule_argument(rule, "filter")))
		return *argument ? NULL : "filter and a tcpdump expression";
	return "a rule: mac, vlan N, ethertype N, ip PREFIX, udp PORT, vxlan VNI or filter EXPR";
}

const char *quantity_quote(char *buf, size_t size, const char *text)
{
	size_t used = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = c >= ' ' && c < 0x7f;
		size_t need = plain ? 1 : 4;

		if (used + need + 4 > size) {
			memcpy(buf + used, "...", 4);
			return buf;
		}
		if (plain)
			buf[used] = (char)c;
		else
			snprintf(buf + used, size - used, "\\x%02x", c);
		used += need;
	}
	buf[used] = '\0';
	return buf;
}

const char *quantity_print_size(char *buf, size_t size, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned unit = 0;
	double value = (double)bytes;

	for (; value >= 1024 && unit < 4; unit++)
		value /= 1024;
	snprintf(buf, size, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return buf;
}

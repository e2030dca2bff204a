/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "runtime/cleanup.h"

#define MOST_WORDS 8

struct word {
	const char *at;
	unsigned n;
};

#define MOST_QUOTED 60

/* One statement, and where it stands. */
struct statement {
	struct config *config;
	struct error *e;
	u32 line;
	unsigned n;
	struct word word[MOST_WORDS + 1];
};

void config_init(struct config *config)
{
	*config = (struct config){ .icmp_rate = ICMP_RATE, .icmp_depth = ICMP_DEPTH, .redirects = true };
}

void config_release(struct config *config)
{
	free(config->addresses.at);
	free(config->routes.at);
	free(config->neighbours.at);
	free(config->vlans.at);
	config_init(config);
}

const char *config_place(const struct config *config, u32 line)
{
	static char text[300];

	if (line & CONFIG_ARGUMENT)
		snprintf(text, sizeof text, "argument %u", line & ~CONFIG_ARGUMENT);
	else
		snprintf(text, sizeof text, "%s:%u", config->file, line);
	return text;
}

const char *dotted(u32 address)
{
	static char text[4][16];
	static unsigned turn;
	char *t = text[turn++ % 4];

	snprintf(t, 16, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
	return t;
}

/* A word as it can be shown on a terminal, whatever is in it. */
static const char *quote(struct word w)
{
	static char text[MOST_QUOTED + 1];
	unsigned i;

	for (i = 0; i < w.n && i < MOST_QUOTED; i++)
		text[i] = w.at[i] > ' ' && w.at[i] <= '~' ? w.at[i] : '?';
	text[i] = 0;
	return text;
}

/* Room for one element more. */
static int grow(void **at, size_t n, size_t *room, size_t bytes, struct error *e)
{
	size_t more = *room ? *room * 2 : 16;
	void *bigger;

	if (n < *room)
		return 0;
	bigger = realloc(*at, more * bytes);
	if (!bigger)
		return fail(e, ENOMEM, "configuration");
	*at = bigger;
	*room = more;
	return 0;
}

#define APPEND(list, element, e) ({ \
	int err_ = grow((void **)&(list).at, (list).n, &(list).room, sizeof *(list).at, e); \
	if (!err_) \
		(list).at[(list).n++] = (element); \
	err_; })

/* ---- words ---- */

static bool is(struct word w, const char *text)
{
	return w.n == strlen(text) && !memcmp(w.at, text, w.n);
}

/* A decimal number without sign or leading zeros, up to `most`. */
static bool parse_number(struct word w, u32 most, u32 *number)
{
	u64 value = 0;
	unsigned i;

	if (!w.n || w.n > 10 || (w.at[0] == '0' && w.n > 1))
		return false;
	for (i = 0; i < w.n; i++) {
		if (w.at[i] < '0' || w.at[i] > '9')
			return false;
		value = value * 10 + (u64)(w.at[i] - '0');
	}
	*number = (u32)value;
	return value <= most;
}

/* Dotted decimal, all four parts. */
static bool parse_address(struct word w, u32 *address)
{
	const char *p = w.at, *end = w.at + w.n;
	u32 value = 0;
	unsigned part;

	for (part = 0; part < 4; part++) {
		const char *digits = p;
		u32 octet = 0;

		if (part && (p == end || *p++ != '.'))
			return false;
		digits = p;
		while (p < end && *p >= '0' && *p <= '9' && p - digits < 3)
			octet = octet * 10 + (u32)(*p++ - '0');
		if (p == digits || octet > 255 || (*digits == '0' && p - digits > 1))
			return false;
		value = value << 8 | octet;
	}
	*address = value;
	return p == end;
}

static bool parse_prefix(struct word w, u32 *address, u8 *length)
{
	const char *slash = memchr(w.at, '/', w.n);
	struct word before = w, after = { NULL, 0 };
	u32 bits = 32;

	if (slash) {
		before.n = slash - w.at;
		after = (struct word){ slash + 1, w.n - before.n - 1 };
		if (!parse_number(after, 32, &bits))
			return false;
	}
	*length = (u8)bits;
	return parse_address(before, address);
}

static bool parse_hex(char c, u8 *digit)
{
	if (c >= '0' && c <= '9')
		*digit = (u8)(c - '0');
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		*digit = (u8)((c | 0x20) - 'a' + 10);
	else
		return false;
	return true;
}

static bool parse_mac(struct word w, u8 *mac)
{
	unsigned i;

	if (w.n != 17)
		return false;
	for (i = 0; i < 6; i++) {
		u8 high, low;

		if (!parse_hex(w.at[3 * i], &high) || !parse_hex(w.at[3 * i + 1], &low))
			return false;
		if (i < 5 && w.at[3 * i + 2] != ':')
			return false;
		mac[i] = (u8)(high << 4 | low);
	}
	return !is_group_mac(mac) && mac_number(mac);
}

/* ---- statements ---- */

#define REFUSE(s, fmt, ...) \
	refuse((s)->e, "%s: " fmt, config_place((s)->config, (s)->line), ##__VA_ARGS__)

static int take_port(struct statement *s, struct word w, u8 *port)
{
	u32 number;

	if (!parse_number(w, EUROPA_MAX_VNICS - 1, &number))
		return REFUSE(s, "\"%s\": not a vNIC; they are numbered from 0", quote(w));
	*port = (u8)number;
	return 0;
}

static bool is_host_address(u32 address)
{
	u32 octet = address >> 24;

	return octet != 0 && octet != 127 && octet < 224;
}

static int take_host(struct statement *s, struct word w, u32 *address)
{
	if (!parse_address(w, address))
		return REFUSE(s, "\"%s\": not an IPv4 address like 10.0.0.1", quote(w));
	if (!is_host_address(*address))
		return REFUSE(s, "\"%s\": no host can have this address", quote(w));
	return 0;
}

static int too_many(struct statement *s, unsigned from)
{
	return REFUSE(s, "\"%s\": one word too many", quote(s->word[from]));
}

/* address N A.B.C.D/LEN */
static int take_address(struct statement *s)
{
	struct config_address a = { .line = s->line };
	struct word w = s->word[2];
	u32 host;

	if (take_port(s, s->word[1], &a.port))
		return -EINVAL;
	if (!memchr(w.at, '/', w.n) || !parse_prefix(w, &a.address, &a.length) || !a.length)
		return REFUSE(s, "\"%s\": not an address with the length of its prefix, like 10.0.1.1/24", quote(w));
	if (!is_host_address(a.address))
		return REFUSE(s, "\"%s\": no host can have this address", quote(w));
	host = a.address & ~prefix_mask(a.length);
	if (a.length < 31 && (!host || host == ~prefix_mask(a.length)))
		return REFUSE(s, "\"%s\": is the subnet's own or its broadcast address; a host's is, for example, %s/%u",
			      quote(w), dotted((a.address & prefix_mask(a.length)) + 1), a.length);
	return s->n > 3 ? too_many(s, 3) : APPEND(s->config->addresses, a, s->e);
}

static int take_destination(struct statement *s, struct word w, struct config_route *route)
{
	u32 mask;

	if (is(w, "default"))
		return 0;
	if (!parse_prefix(w, &route->prefix, &route->length))
		return REFUSE(s, "\"%s\": neither a prefix like 10.9.0.0/16 nor \"default\"", quote(w));
	mask = prefix_mask(route->length);
	if (route->prefix & ~mask)
		return REFUSE(s, "\"%s\": has bits beyond its length; %s/%u would be right", quote(w),
			      dotted(route->prefix & mask), route->length);
	if ((route->length >= 8 && (route->prefix >> 24 == 0 || route->prefix >> 24 == 127)) ||
	    (route->length >= 3 && route->prefix >> 24 >= 224))
		return REFUSE(s, "\"%s\": is never forwarded, so it can't have a route", quote(w));
	return 0;
}

static const struct { const char *word; u8 kind; } refusals[] = {
	{ "blackhole", NEXTHOP_BLACKHOLE },
	{ "prohibit", NEXTHOP_PROHIBIT },
	{ "unreachable", NEXTHOP_UNREACHABLE },
};

/* route PREFIX via A.B.C.D [dev N] | dev N | blackhole | prohibit | unreachable */
static int take_route(struct statement *s)
{
	struct config_route route = { .line = s->line, .port = CONFIG_ANY_PORT };
	struct word how = s->word[2];
	unsigned next = 3, i;

	if (take_destination(s, s->word[1], &route))
		return -EINVAL;
	if (is(how, "via")) {
		route.kind = NEXTHOP_GATEWAY;
		if (s->n < 4)
			return REFUSE(s, "\"via\": the gateway's address is missing after it");
		if (take_host(s, s->word[3], &route.gateway))
			return -EINVAL;
		next = 4;
	} else if (is(how, "dev")) {
		route.kind = NEXTHOP_CONNECTED;
		next = 2;
	} else {
		for (i = 0; i < 3 && !is(how, refusals[i].word); i++)
			;
		if (i == 3)
			return REFUSE(s, "\"%s\": after the prefix comes via, dev, blackhole, prohibit or unreachable",
				      quote(how));
		route.kind = refusals[i].kind;
	}
	if (route.kind <= NEXTHOP_CONNECTED && s->n > next && is(s->word[next], "dev")) {
		if (s->n < next + 2)
			return REFUSE(s, "\"dev\": the vNIC's number is missing after it");
		if (take_port(s, s->word[next + 1], &route.port))
			return -EINVAL;
		next += 2;
	}
	return s->n > next ? too_many(s, next) : APPEND(s->config->routes, route, s->e);
}

/* neighbour A.B.C.D MAC dev N */
static int take_neighbour(struct statement *s)
{
	struct config_neighbour n = { .line = s->line };

	if (take_host(s, s->word[1], &n.address))
		return -EINVAL;
	if (!parse_mac(s->word[2], n.mac))
		return REFUSE(s, "\"%s\": not the MAC address of one host, like 02:00:00:00:00:01", quote(s->word[2]));
	if (!is(s->word[3], "dev"))
		return REFUSE(s, "\"%s\": after the MAC address comes dev and the vNIC's number", quote(s->word[3]));
	if (take_port(s, s->word[4], &n.port))
		return -EINVAL;
	return s->n > 5 ? too_many(s, 5) : APPEND(s->config->neighbours, n, s->e);
}

/* vlan N ID */
static int take_vlan(struct statement *s)
{
	struct config_vlan v = { .line = s->line };
	u32 id;

	if (take_port(s, s->word[1], &v.port))
		return -EINVAL;
	if (!parse_number(s->word[2], 4094, &id) || !id)
		return REFUSE(s, "\"%s\": not a VLAN's number; they go from 1 to 4094", quote(s->word[2]));
	v.vlan = (u16)id;
	return s->n > 3 ? too_many(s, 3) : APPEND(s->config->vlans, v, s->e);
}

/* icmp-rate N [BURST] */
static int take_icmp_rate(struct statement *s)
{
	u32 rate, depth;
	unsigned i;

	for (i = 1; i < s->n && i < 3; i++)
		if (!parse_number(s->word[i], 1000000, &depth))
			return REFUSE(s, "\"%s\": not a number from 0 to 1000000", quote(s->word[i]));
	parse_number(s->word[1], 1000000, &rate);
	/* The Linux default's proportion, and at least one or nothing would ever pass. */
	depth = s->n > 2 ? depth : rate / 20 + 1;
	s->config->icmp_rate = rate;
	s->config->icmp_depth = depth;
	return s->n > 3 ? too_many(s, 3) : 0;
}

static int take_switch(struct statement *s, bool *on)
{
	*on = is(s->word[1], "on");
	if (!*on && !is(s->word[1], "off"))
		return REFUSE(s, "\"%s\": neither \"on\" nor \"off\"", quote(s->word[1]));
	return s->n > 2 ? too_many(s, 2) : 0;
}

static int take_redirects(struct statement *s)
{
	return take_switch(s, &s->config->redirects);
}

static int take_source_check(struct statement *s)
{
	return take_switch(s, &s->config->source_check);
}

static const struct {
	const char *keyword;
	unsigned least;                  /* words, the keyword included */
	int (*take)(struct statement *s);
	const char *grammar, *meaning;
} statements[] = {
	/* The first one is most of a million lines. */
	{ "route", 3, take_route, "PREFIX via ADDRESS [dev N]", "through a gateway" },
	{ "route", 3, take_route, "PREFIX dev N", "to hosts that are on the link of vNIC N" },
	{ "route", 3, take_route, "PREFIX blackhole|prohibit|unreachable", "nowhere: silently, or with an ICMP error" },
	{ "address", 3, take_address, "N ADDRESS/LENGTH", "an address of the router on vNIC N, and the subnet there" },
	{ "neighbour", 5, take_neighbour, "ADDRESS MAC dev N", "a host that is not asked for by ARP" },
	{ "neighbor", 5, take_neighbour, NULL, NULL },
	{ "vlan", 3, take_vlan, "N ID", "frames on vNIC N have this VLAN tag" },
	{ "icmp-rate", 2, take_icmp_rate, "N [BURST]", "ICMP errors a second, and at once (1000 50)" },
	{ "redirects", 2, take_redirects, "on|off", "send ICMP redirects (on)" },
	{ "source-check", 2, take_source_check, "on|off", "drop what comes in where its answer wouldn't leave (off)" },
};

#define STATEMENTS (sizeof statements / sizeof statements[0])

void config_help(FILE *out)
{
	unsigned i;

	for (i = 0; i < STATEMENTS; i++)
		if (statements[i].grammar)
			fprintf(out, "  %s %-*s  %s\n", statements[i].keyword, 48 - (int)strlen(statements[i].keyword),
				statements[i].grammar, statements[i].meaning);
}

static unsigned find_statement(struct word w)
{
	unsigned i;

	for (i = 0; i < STATEMENTS && !is(w, statements[i].keyword); i++)
		;
	return i;
}

static int take_statement(struct statement *s)
{
	unsigned i = find_statement(s->word[0]);

	if (i == STATEMENTS)
		return REFUSE(s, "\"%s\": not a statement; there are address, route, neighbour, vlan, icmp-rate, "
			      "redirects and source-check", quote(s->word[0]));
	if (s->n < statements[i].least)
		return REFUSE(s, "\"%s\": words are missing after it; try \"%s %s\"", statements[i].keyword,
			      statements[i].keyword, statements[i].grammar ? statements[i].grammar : "ADDRESS MAC dev N");
	if (s->n > MOST_WORDS)
		return too_many(s, MOST_WORDS);
	return statements[i].take(s);
}

/* ---- texts ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Splits [p, end) into words, up to one more than a statement can have, so that too many are seen. */
static void split(struct statement *s, const char *p, const char *end)
{
	while (s->n <= MOST_WORDS) {
		struct word *w = &s->word[s->n];

		while (p < end && is_blank(*p))
			p++;
		if (p == end || *p == '#')
			return;
		w->at = p;
		while (p < end && !is_blank(*p) && *p != '#')
			p++;
		w->n = p - w->at;
		s->n++;
	}
}

int config_parse(struct config *config, const char *file, const char *text, size_t bytes, struct error *e)
{
	struct statement s = { .config = config, .e = e };
	const char *p = text, *end = text + bytes;
	int err;

	config->file = file;
	while (p < end) {
		const char *newline = memchr(p, '\n', end - p);

		if (!newline)
			newline = end;
		s.line++;
		s.n = 0;
		split(&s, p, newline);
		err = s.n ? take_statement(&s) : 0;
		if (err)
			return err;
		p = newline + 1;
	}
	return 0;
}

int config_arguments(struct config *config, int n, char **arguments, struct error *e)
{
	struct statement words = { 0 }, s = { .config = config, .e = e };
	unsigned w;
	int i, err;

	for (i = 0; i < n; i++) {
		words.n = 0;
		split(&words, arguments[i], arguments[i] + strlen(arguments[i]));
		for (w = 0; w < words.n; w++) {
			if (s.n && find_statement(words.word[w]) < STATEMENTS) {
				err = take_statement(&s);
				if (err)
					return err;
				s.n = 0;
			}
			if (!s.n)
				s.line = CONFIG_ARGUMENT | (u32)(i + 1);
			if (s.n <= MOST_WORDS)
				s.word[s.n++] = words.word[w];
		}
	}
	return s.n ? take_statement(&s) : 0;
}

/* The whole file; *bytes may be more than fstat said, or less: it may be a pipe. */
static int read_all(int fd, const char *file, char **text, size_t *bytes, struct error *e)
{
	size_t room = 65536, used = 0;
	auto_free char *at = NULL;
	struct stat st;

	if (!fstat(fd, &st) && st.st_size > 0)
		room = (size_t)st.st_size + 1;
	for (;;) {
		ssize_t got;

		if (!at || used == room) {
			char *bigger = realloc(at, at ? room *= 2 : room);

			if (!bigger)
				return fail(e, ENOMEM, "%s", file);
			at = bigger;
		}
		got = read(fd, at + used, room - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(e, errno, "%s", file);
		if (got == 0)
			break;
		used += (size_t)got;
	}
	*text = take_ptr(at);
	*bytes = used;
	return 0;
}

int config_read(struct config *config, const char *file, struct error *e)
{
	auto_close int fd = open(file, O_RDONLY | O_CLOEXEC);
	auto_free char *text = NULL;
	size_t bytes = 0;
	int err;

	if (fd < 0)
		return fail(e, errno, "%s", file);
	err = read_all(fd, file, &text, &bytes, e);
	return err ? err : config_parse(config, file, text, bytes, e);
}

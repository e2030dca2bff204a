// SPDX-License-Identifier: MIT
#include "runtime/engine/rules.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/error.h"

#define BLANK " \t"

/* Decimal, or hexadecimal with 0x; all of the text and nothing else. */
static bool parse_number(const char *text, u64 least, u64 most, u64 *out)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	size_t n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");

	if (!n || digits[n] || n > 12)
		return false;
	*out = strtoull(digits, NULL, hex ? 16 : 10);
	return *out >= least && *out <= most;
}

static int parse_vlan(const char *word, struct rule *rule, struct error *e)
{
	u64 n;

	if (!parse_number(word, 1, 4094, &n))
		return refuse(e, "rule \"vlan %s\": \"%s\" is no VLAN; 1 to 4094 are", word, word);
	rule->number = n;
	return 0;
}

static int parse_ethertype(const char *word, struct rule *rule, struct error *e)
{
	u64 n;

	if (!parse_number(word, 0x600, 0xffff, &n))
		return refuse(e, "rule \"ethertype %s\": \"%s\" is no EtherType; 0x0600 to 0xffff are", word, word);
	rule->number = n;
	return 0;
}

static int parse_udp(const char *word, struct rule *rule, struct error *e)
{
	u64 n;

	if (!parse_number(word, 1, 65535, &n))
		return refuse(e, "rule \"udp %s\": \"%s\" is no port; 1 to 65535 are", word, word);
	rule->number = n;
	return 0;
}

static int parse_vxlan(const char *word, struct rule *rule, struct error *e)
{
	u64 n;

	if (!parse_number(word, 0, 0xffffff, &n))
		return refuse(e, "rule \"vxlan %s\": \"%s\" is no VNI; 0 to 16777215 are", word, word);
	rule->vni = n;
	return 0;
}

/* What of the address lies beyond the prefix becomes 0; false: it was 0. */
static bool clear_host_bits(struct rule *rule, unsigned bits)
{
	bool cleared = false;
	unsigned bit;

	for (bit = rule->prefix_len; bit < bits; bit++) {
		u8 mask = 0x80 >> (bit & 7);

		cleared |= rule->address[bit / 8] & mask;
		rule->address[bit / 8] &= ~mask;
	}
	return cleared;
}

static int parse_ip(const char *word, struct rule *rule, struct error *e)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(word, '/');
	size_t n = slash ? (size_t)(slash - word) : strlen(word);
	unsigned bits;
	u64 length;

	if (n >= sizeof address)
		return refuse(e, "rule \"ip %s\": that is no address; 10.0.0.0/8 or fd00::/8 would be right", word);
	memcpy(address, word, n);
	address[n] = '\0';
	if (inet_pton(AF_INET, address, rule->address) == 1)
		rule->family = 4;
	else if (inet_pton(AF_INET6, address, rule->address) == 1)
		rule->family = 6;
	else
		return refuse(e, "rule \"ip %s\": \"%s\" is no address; 10.0.0.0/8 or fd00::/8 would be right", word, address);
	bits = rule->family == 4 ? 32 : 128;
	length = bits;
	if (slash && !parse_number(slash + 1, 0, bits, &length))
		return refuse(e, "rule \"ip %s\": \"%s\" is no prefix length; 0 to %u are", word, slash + 1, bits);
	rule->prefix_len = length;
	if (clear_host_bits(rule, bits)) {
		inet_ntop(rule->family == 4 ? AF_INET : AF_INET6, rule->address, address, sizeof address);
		return refuse(e, "rule \"ip %s\": the address goes on behind the prefix; %s/%u would be right", word, address,
			      rule->prefix_len);
	}
	return 0;
}

/* ---- filters ---- */

/*
 * libpcap is loaded when the first filter is asked for: on Debian it brings D-Bus, systemd and cryptography with it, which would cost
 * every start of a VR 0.7 ms.
 */
static struct {
	__typeof__(&pcap_open_dead) open_dead;
	__typeof__(&pcap_compile) compile;
	__typeof__(&pcap_geterr) geterr;
	__typeof__(&pcap_close) close;
	__typeof__(&pcap_freecode) freecode;
	__typeof__(&bpf_filter) run;
} libpcap;

static int load_libpcap(struct error *e)
{
	void *library;

	if (libpcap.run)
		return 0;
	library = dlopen("libpcap.so.0.8", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return refuse(e, "a filter needs libpcap: %s", dlerror());
	libpcap.open_dead = (__typeof__(libpcap.open_dead))dlsym(library, "pcap_open_dead");
	libpcap.compile = (__typeof__(libpcap.compile))dlsym(library, "pcap_compile");
	libpcap.geterr = (__typeof__(libpcap.geterr))dlsym(library, "pcap_geterr");
	libpcap.close = (__typeof__(libpcap.close))dlsym(library, "pcap_close");
	libpcap.freecode = (__typeof__(libpcap.freecode))dlsym(library, "pcap_freecode");
	if (!libpcap.open_dead || !libpcap.compile || !libpcap.geterr || !libpcap.close || !libpcap.freecode)
		return refuse(e, "a filter needs libpcap: %s", dlerror());
	libpcap.run = (__typeof__(libpcap.run))dlsym(library, "bpf_filter");
	return libpcap.run ? 0 : refuse(e, "a filter needs libpcap: %s", dlerror());
}

static int parse_filter(const char *expression, struct rule *rule, struct error *e)
{
	struct bpf_program *program;
	pcap_t *pcap;
	int r = load_libpcap(e);

	if (r < 0)
		return r;
	program = calloc(1, sizeof *program);
	pcap = libpcap.open_dead(DLT_EN10MB, 65535);
	if (!program || !pcap) {
		r = fail(e, ENOMEM, "rule \"filter %s\"", expression);
	} else if (libpcap.compile(pcap, program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		r = refuse(e, "rule \"filter %s\": %s", expression, libpcap.geterr(pcap));
	} else {
		rule->filter = program;
		program = NULL;
	}
	if (pcap)
		libpcap.close(pcap);
	free(program);
	return r;
}

void rule_release(struct rule *rule)
{
	struct bpf_program *program = (struct bpf_program *)rule->filter;

	if (rule->kind != RULE_FILTER || !program)
		return;
	libpcap.freecode(program);
	free(program);
	rule->filter = NULL;
}

bool rule_run_filter(const void *filter, const u8 *frame, u32 len)
{
	const struct bpf_program *program = filter;

	return libpcap.run(program->bf_insns, frame, len, len) != 0;
}

/* ---- the text ---- */

static const struct {
	const char *word;
	enum rule_kind kind;
	int (*parse)(const char *word, struct rule *rule, struct error *e);     /* NULL: nothing follows */
} kinds[] = {
	{ "mac",       RULE_MAC,       NULL },
	{ "vlan",      RULE_VLAN,      parse_vlan },
	{ "ethertype", RULE_ETHERTYPE, parse_ethertype },
	{ "ip",        RULE_IP,        parse_ip },
	{ "udp",       RULE_UDP,       parse_udp },
	{ "vxlan",     RULE_VXLAN,     parse_vxlan },
	{ "filter",    RULE_FILTER,    parse_filter },
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* What follows the first word: one word, but all the rest for a filter. */
static int parse_rest(unsigned k, char *rest, struct rule *rule, struct error *e)
{
	char *more;

	rest += strspn(rest, BLANK);
	if (kinds[k].kind != RULE_FILTER) {
		more = rest + strcspn(rest, BLANK);
		if (more[strspn(more, BLANK)])
			return refuse(e, "rule \"%s\": \"%s\" is too much", kinds[k].word, more + strspn(more, BLANK));
		*more = '\0';
	}
	if (!kinds[k].parse)
		return *rest ? refuse(e, "rule \"%s\": \"%s\" is too much", kinds[k].word, rest) : 0;
	if (!*rest)
		return refuse(e, "rule \"%s\": of what?", kinds[k].word);
	return kinds[k].parse(rest, rule, e);
}

int rule_parse(const char *text, struct rule *rule, struct error *e)
{
	char words[512], *word = words;
	size_t n;
	unsigned k;

	memset(rule, 0, sizeof *rule);
	if (strlen(text) >= sizeof words)
		return refuse(e, "a rule has at most %zu characters", sizeof words - 1);
	for (n = 0; text[n]; n++) {
		if ((unsigned char)text[n] < ' ' && text[n] != '\t')
			return refuse(e, "a rule is one line of text; there is a byte 0x%02x in it", text[n]);
	}
	strcpy(words, text);
	word += strspn(word, BLANK);
	if (!*word)
		return 0;               /* mac */
	n = strcspn(word, BLANK);
	for (k = 0; k < KINDS; k++) {
		if (strlen(kinds[k].word) == n && !memcmp(kinds[k].word, word, n)) {
			rule->kind = kinds[k].kind;
			return parse_rest(k, word + n, rule, e);
		}
	}
	return refuse(e, "rule \"%s\": \"%.*s\" is no kind of rule; mac, vlan, ethertype, ip, udp, vxlan and filter are", text, (int)n, word);
}

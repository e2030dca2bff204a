// SPDX-License-Identifier: GPL-2.0
#include "rules.h"

#include <linux/err.h>
#include <linux/filter.h>
#include <linux/inet.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <linux/europa.h>
#include "report.h"

#define BLANK " \t"

/* Decimal, or hexadecimal with 0x; all of the text and nothing else. */
static bool parse_number(const char *text, u64 least, u64 most, u64 *out)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');

	if (text[0] == '+' || kstrtou64(text, hex ? 16 : 10, out) < 0)
		return false;
	return *out >= least && *out <= most;
}

static int parse_vlan(const char *word, struct rule *rule, struct report *report)
{
	u64 n;

	if (!parse_number(word, 1, 4094, &n))
		return fail(report, EINVAL, "rule \"vlan %s\": \"%s\" is no VLAN; 1 to 4094 are", word, word);
	rule->number = n;
	return 0;
}

static int parse_ethertype(const char *word, struct rule *rule, struct report *report)
{
	u64 n;

	if (!parse_number(word, 0x600, 0xffff, &n))
		return fail(report, EINVAL, "rule \"ethertype %s\": \"%s\" is no EtherType; 0x0600 to 0xffff are", word, word);
	rule->number = n;
	return 0;
}

static int parse_udp(const char *word, struct rule *rule, struct report *report)
{
	u64 n;

	if (!parse_number(word, 1, 65535, &n))
		return fail(report, EINVAL, "rule \"udp %s\": \"%s\" is no port; 1 to 65535 are", word, word);
	rule->number = n;
	return 0;
}

static int parse_vxlan(const char *word, struct rule *rule, struct report *report)
{
	u64 n;

	if (!parse_number(word, 0, 0xffffff, &n))
		return fail(report, EINVAL, "rule \"vxlan %s\": \"%s\" is no VNI; 0 to 16777215 are", word, word);
	rule->vni = n;
	return 0;
}

/* What of the address lies beyond the prefix becomes 0; false: it was 0. */
static bool clear_host_bits(struct rule *rule, unsigned int bits)
{
	bool cleared = false;
	unsigned int bit;

	for (bit = rule->prefix_len; bit < bits; bit++) {
		u8 mask = 0x80 >> (bit & 7);

		cleared |= rule->address[bit / 8] & mask;
		rule->address[bit / 8] &= ~mask;
	}
	return cleared;
}

static int parse_ip(const char *word, struct rule *rule, struct report *report)
{
	const char *end = strchrnul(word, '/');
	unsigned int bits;
	u64 length;

	if (in4_pton(word, end - word, rule->address, -1, NULL))
		rule->family = 4;
	else if (in6_pton(word, end - word, rule->address, -1, NULL))
		rule->family = 6;
	else
		return fail(report, EINVAL, "rule \"ip %s\": \"%.*s\" is no address; 10.0.0.0/8 or fd00::/8 would be right", word,
			    (int)(end - word), word);
	bits = rule->family == 4 ? 32 : 128;
	length = bits;
	if (*end && !parse_number(end + 1, 0, bits, &length))
		return fail(report, EINVAL, "rule \"ip %s\": \"%s\" is no prefix length; 0 to %u are", word, end + 1, bits);
	rule->prefix_len = length;
	if (!clear_host_bits(rule, bits))
		return 0;
	if (rule->family == 4)
		return fail(report, EINVAL, "rule \"ip %s\": the address goes on behind the prefix; %pI4/%u would be right", word,
			    rule->address, rule->prefix_len);
	return fail(report, EINVAL, "rule \"ip %s\": the address goes on behind the prefix; %pI6c/%u would be right", word,
		    rule->address, rule->prefix_len);
}

/* ---- filters ---- */

static DEFINE_PER_CPU(struct sk_buff *, looked_at);

int rule_load_filter(struct rule *rule, const struct europa_attach *attach, struct report *report)
{
	struct sock_fprog_kern program = { .len = attach->filter_len };
	struct bpf_prog *loaded;
	int r;

	if (rule->kind != RULE_FILTER)
		return 0;
	if (!attach->filter_len || attach->filter_len > BPF_MAXINSNS)
		return fail(report, EINVAL, "rule \"%s\": it came with %u instructions; 1 to %u are to be compiled from it", attach->rule,
			    attach->filter_len, BPF_MAXINSNS);
	program.filter = memdup_user(u64_to_user_ptr(attach->filter), attach->filter_len * sizeof(*program.filter));
	if (IS_ERR(program.filter))
		return fail(report, -PTR_ERR(program.filter), "rule \"%s\": its instructions can't be read", attach->rule);
	r = bpf_prog_create(&loaded, &program);
	kfree(program.filter);
	if (r < 0)
		return fail(report, -r, "rule \"%s\": the kernel refuses its instructions: errno %d", attach->rule, -r);
	rule->filter = loaded;
	return 0;
}

void rule_release(struct rule *rule)
{
	if (rule->kind == RULE_FILTER && rule->filter)
		bpf_prog_destroy((struct bpf_prog *)rule->filter);
	rule->filter = NULL;
}

void rule_look_at(struct sk_buff *skb)
{
	this_cpu_write(looked_at, skb);
}

bool rule_run_filter(const void *filter, const u8 *frame, u32 len)
{
	return bpf_prog_run_clear_cb(filter, this_cpu_read(looked_at)) != 0;
}

/* ---- the text ---- */

static const struct {
	const char *word;
	enum rule_kind kind;
	int (*parse)(const char *word, struct rule *rule, struct report *report);       /* NULL: nothing follows */
} kinds[] = {
	{ "mac",       RULE_MAC,       NULL },
	{ "vlan",      RULE_VLAN,      parse_vlan },
	{ "ethertype", RULE_ETHERTYPE, parse_ethertype },
	{ "ip",        RULE_IP,        parse_ip },
	{ "udp",       RULE_UDP,       parse_udp },
	{ "vxlan",     RULE_VXLAN,     parse_vxlan },
	{ "filter",    RULE_FILTER,    NULL },
};

/* What follows the first word: one word, but all the rest for a filter, which is compiled elsewhere. */
static int parse_rest(unsigned int k, char *rest, struct rule *rule, struct report *report)
{
	char *more;

	rest += strspn(rest, BLANK);
	if (kinds[k].kind == RULE_FILTER)
		return *rest ? 0 : fail(report, EINVAL, "rule \"filter\": of what?");
	more = rest + strcspn(rest, BLANK);
	if (more[strspn(more, BLANK)] || (*rest && !kinds[k].parse))
		return fail(report, EINVAL, "rule \"%s %s\": that is too much", kinds[k].word, rest);
	*more = '\0';
	if (!kinds[k].parse)
		return 0;
	if (!*rest)
		return fail(report, EINVAL, "rule \"%s\": of what?", kinds[k].word);
	return kinds[k].parse(rest, rule, report);
}

int rule_parse(const char *text, struct rule *rule, struct report *report)
{
	char words[512], *word = words;
	unsigned int k;
	size_t n;

	memset(rule, 0, sizeof(*rule));
	if (strscpy(words, text, sizeof(words)) < 0)
		return fail(report, EINVAL, "a rule has at most %zu characters", sizeof(words) - 1);
	word += strspn(word, BLANK);
	if (!*word)
		return 0;               /* mac */
	n = strcspn(word, BLANK);
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		if (strlen(kinds[k].word) == n && !memcmp(kinds[k].word, word, n)) {
			rule->kind = kinds[k].kind;
			return parse_rest(k, word + n, rule, report);
		}
	}
	return fail(report, EINVAL, "rule \"%s\": \"%.*s\" is no kind of rule; mac, vlan, ethertype, ip, udp, vxlan and filter are", text,
		    (int)n, word);
}

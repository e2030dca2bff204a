// SPDX-License-Identifier: GPL-2.0 OR MIT
#include "core/rule.h"

static const struct kind {
	const char *word;
	enum rule_kind kind;
	u32 least, most;
	const char *is;                 /* what is no number from least to most */
} kinds[] = {
	{ "mac",       RULE_MAC,       0,     0,        NULL },
	{ "vlan",      RULE_VLAN,      1,     4094,     "no VLAN; 1 to 4094 are" },
	{ "ethertype", RULE_ETHERTYPE, 0x600, 0xffff,   "no EtherType; 0x0600 to 0xffff are" },
	{ "ip",        RULE_IP,        0,     0,        NULL },
	{ "udp",       RULE_UDP,       1,     65535,    "no port; 1 to 65535 are" },
	{ "vxlan",     RULE_VXLAN,     0,     0xffffff, "no VNI; 0 to 16777215 are" },
	{ "filter",    RULE_FILTER,    0,     0,        NULL },
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

static int wrong(struct rule_fault *fault, struct text word, const char *is)
{
	fault->word = word;
	fault->is = is;
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(const char **p)
{
	while (is_blank(**p))
		++*p;
}

static struct text next_word(const char **p)
{
	struct text word;

	skip_blanks(p);
	word.at = *p;
	while (**p && !is_blank(**p))
		++*p;
	word.n = (u32)(*p - word.at);
	return word;
}

static const struct kind *find_kind(struct text word)
{
	u32 k;

	for (k = 0; k < KINDS; k++) {
		if (text_is(word, kinds[k].word))
			return &kinds[k];
	}
	return NULL;
}

static int read_number(const struct kind *kind, struct text word, struct rule *rule, struct rule_fault *fault)
{
	u64 n;

	if (!text_number(word, &n) || n < kind->least || n > kind->most)
		return wrong(fault, word, kind->is);
	if (kind->kind == RULE_VXLAN)
		rule->vni = (u32)n;
	else
		rule->number = (u16)n;
	return 0;
}

/* What of the address lies beyond the prefix becomes 0; false: it was 0. */
static bool clear_host_bits(struct rule *rule, u32 bits)
{
	bool cleared = false;
	u32 bit;

	for (bit = rule->prefix_len; bit < bits; bit++) {
		u8 mask = 0x80 >> (bit & 7);

		cleared |= rule->address[bit / 8] & mask;
		rule->address[bit / 8] &= ~mask;
	}
	return cleared;
}

static int read_ip(struct text word, rule_address_fn address, struct rule *rule, struct rule_fault *fault)
{
	struct text part = { .at = word.at }, length;
	u32 bits;
	u64 n;

	while (part.n < word.n && part.at[part.n] != '/')
		part.n++;
	rule->family = address(part, rule->address);
	if (!rule->family)
		return wrong(fault, part, "no address; 10.0.0.0/8 or fd00::/8 would be right");
	bits = rule->family == 4 ? 32 : 128;
	n = bits;
	if (part.n < word.n) {
		length = (struct text){ part.at + part.n + 1, word.n - part.n - 1 };
		if (!text_number(length, &n) || n > bits)
			return wrong(fault, length, bits == 32 ? "no prefix length; 0 to 32 are" : "no prefix length; 0 to 128 are");
	}
	rule->prefix_len = (u8)n;
	return clear_host_bits(rule, bits) ? wrong(fault, word, NULL) : 0;
}

int rule_read(const char *text, rule_address_fn address, struct rule *rule, const char **expression, struct rule_fault *fault)
{
	const struct text whole = { .at = NULL };
	struct text word = next_word(&text), more;
	const struct kind *kind = find_kind(word);

	memset(rule, 0, sizeof(*rule));
	if (!word.n)
		return 0;               /* mac */
	if (!kind)
		return wrong(fault, word, "no kind of rule; mac, vlan, ethertype, ip, udp, vxlan and filter are");
	rule->kind = kind->kind;
	if (kind->kind == RULE_FILTER) {
		skip_blanks(&text);
		*expression = text;
		return *text ? 0 : wrong(fault, whole, "of what?");
	}
	word = kind->kind == RULE_MAC ? (struct text){ .at = NULL } : next_word(&text);
	more = next_word(&text);
	if (more.n)
		return wrong(fault, more, "too much");
	if (kind->kind == RULE_MAC)
		return 0;
	if (!word.n)
		return wrong(fault, whole, "of what?");
	return kind->kind == RULE_IP ? read_ip(word, address, rule, fault) : read_number(kind, word, rule, fault);
}

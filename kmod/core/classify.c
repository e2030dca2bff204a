// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The classifier. A frame is read once into facts (what it is, to whom); rules are looked up by facts. All exact
 * rules are in one hash table, whose keys carry the kind; a kind that no rule uses is not looked up.
 */
#include "core/classify.h"

#define ETH_HEADER      14u
#define ETH_ARP         0x0806
#define ETH_IPV4        0x0800
#define ETH_IPV6        0x86dd
#define ETH_VLAN        0x8100
#define ETH_QINQ        0x88a8
#define VLAN_ID         0x0fff

#define PROTO_UDP       17
#define PROTO_ICMP6     58
#define V6_HOP_BY_HOP   0
#define V6_ROUTING      43
#define V6_FRAGMENT     44
#define V6_AUTH         51
#define V6_DESTINATION  60
#define MOST_EXTENSIONS 8

#define VXLAN_PORT      4789
#define VXLAN_PORT_OLD  8472    /* what Linux uses where nothing else is said */
#define VXLAN_HAS_VNI   0x08

#define MAX_RULES       CLASSIFY_MAX_TARGETS
#define TABLE_BITS      10      /* twice the keys: two a rule */
#define TABLE_SIZE      (1u << TABLE_BITS)
#define KINDS           (RULE_FILTER + 1)
#define NOBODY          0xffffu

struct key {
	u64 high, low;
	u32 kind;               /* enum rule_kind + 1, family and prefix length of RULE_IP above it; 0: nothing here */
};

struct entry {
	struct key key;
	u16 target;
};

/* Prefix lengths in use of one family: 0 to 128, a bit each. */
struct prefixes {
	u64 bits[3];
};

struct targets {
	u64 bits[CLASSIFY_MAX_TARGETS / 64];
};

struct classifier {
	run_filter_fn run_filter;
	u32 nrules;
	struct rule rules[MAX_RULES];           /* in the order in which they were added */
	u32 in_use[KINDS];
	struct prefixes prefixes[2];            /* of IPv4, of IPv6 */
	struct targets all, by_mac;
	struct entry table[TABLE_SIZE];
};

/* What is known of a frame. */
struct facts {
	const u8 *frame;
	u32 len;
	const void *whole;      /* what filters are run on */
	int vlan;               /* -1: not tagged */
	u16 ethertype;          /* behind the tags */
	u8 family;              /* 4, 6, or 0: no IP */
	u8 ip_dst[16];
	int udp_port;           /* -1: no UDP, or a fragment that has no ports */
	int vni;                /* -1: no VXLAN */
	bool discovery;         /* ARP or neighbour discovery */
};

static u16 be16_at(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

/* ---- facts ---- */

static void read_udp(struct facts *f, u32 at)
{
	const u8 *udp = f->frame + at;

	if (f->len < at + 8)
		return;
	f->udp_port = be16_at(udp + 2);
	if (f->udp_port != VXLAN_PORT && f->udp_port != VXLAN_PORT_OLD)
		return;
	if (f->len >= at + 16 && (udp[8] & VXLAN_HAS_VNI))
		f->vni = udp[12] << 16 | udp[13] << 8 | udp[14];
}

static void read_ipv4(struct facts *f, u32 at)
{
	const u8 *ip = f->frame + at;
	u32 header;

	if (f->len < at + 20 || ip[0] >> 4 != 4)
		return;
	header = (ip[0] & 15) * 4;
	if (header < 20)
		return;
	f->family = 4;
	memcpy(f->ip_dst, ip + 16, 4);

	if (ip[9] == PROTO_UDP && !(be16_at(ip + 6) & 0x1fff))
		read_udp(f, at + header);
}

static void read_icmp6(struct facts *f, u32 at)
{
	if (f->len > at)
		f->discovery = f->frame[at] >= 133 && f->frame[at] <= 137;
}

/* Walks the extension headers, a few at most. */
static void read_ipv6(struct facts *f, u32 at)
{
	const u8 *ip = f->frame + at;
	u32 next, i;

	if (f->len < at + 40 || ip[0] >> 4 != 6)
		return;
	f->family = 6;
	memcpy(f->ip_dst, ip + 24, 16);

	next = ip[6];
	at += 40;
	for (i = 0; i < MOST_EXTENSIONS; i++) {
		const u8 *header = f->frame + at;

		if (next == PROTO_UDP)
			return read_udp(f, at);
		if (next == PROTO_ICMP6)
			return read_icmp6(f, at);
		if (f->len < at + 8)
			return;
		if (next == V6_FRAGMENT && be16_at(header + 2) & 0xfff8)
			return;
		if (next == V6_FRAGMENT)
			at += 8;
		else if (next == V6_AUTH)
			at += (header[1] + 2) * 4;
		else if (next == V6_HOP_BY_HOP || next == V6_ROUTING || next == V6_DESTINATION)
			at += (header[1] + 1) * 8;
		else
			return;
		next = header[0];
	}
}

/* Behind two tags at most; the outermost that names a VLAN counts, the one in metadata being outside of all. */
static u32 read_tags(struct facts *f)
{
	u32 i, at = ETH_HEADER;

	f->ethertype = be16_at(f->frame + 12);
	for (i = 0; i < 2; i++) {
		if (f->ethertype != ETH_VLAN && f->ethertype != ETH_QINQ)
			break;
		if (f->len < at + 4)
			break;
		if (f->vlan <= 0)
			f->vlan = be16_at(f->frame + at) & VLAN_ID;
		f->ethertype = be16_at(f->frame + at + 2);
		at += 4;
	}
	return at;
}

/* frame holds an Ethernet header. */
static void read_facts(struct facts *f, const u8 *frame, u32 len, const void *whole, int vlan_tci)
{
	u32 at;

	f->frame = frame;
	f->len = len;
	f->whole = whole;
	f->vlan = vlan_tci < 0 ? -1 : vlan_tci & VLAN_ID;
	f->family = 0;
	f->udp_port = -1;
	f->vni = -1;

	at = read_tags(f);
	f->discovery = f->ethertype == ETH_ARP;
	if (f->ethertype == ETH_IPV4)
		read_ipv4(f, at);
	else if (f->ethertype == ETH_IPV6)
		read_ipv6(f, at);
}

/* ---- keys ---- */

static struct key key_of_number(enum rule_kind kind, u32 number)
{
	return (struct key){ .low = number, .kind = kind + 1 };
}

static struct key key_of_mac(const u8 *mac)
{
	struct key key = { .kind = RULE_MAC + 1 };

	memcpy(&key.low, mac, 6);
	return key;
}

/* The first `bits` of an address, the rest zero. */
static struct key key_of_prefix(u32 family, const u8 *address, u32 bits)
{
	struct key key = { .kind = (RULE_IP + 1) | family << 8 | bits << 16 };
	u8 masked[16] = { 0 };

	memcpy(masked, address, bits / 8);
	if (bits % 8)
		masked[bits / 8] = address[bits / 8] & (0xff00 >> bits % 8);
	memcpy(&key.high, masked, 8);
	memcpy(&key.low, masked + 8, 8);
	return key;
}

/* The key of a rule's own kind; filters have none. */
static struct key key_of_rule(const struct rule *rule)
{
	switch (rule->kind) {
	case RULE_IP:
		return key_of_prefix(rule->family, rule->address, rule->prefix_len);
	case RULE_VXLAN:
		return key_of_number(RULE_VXLAN, rule->vni);
	case RULE_VLAN:
	case RULE_ETHERTYPE:
	case RULE_UDP:
		return key_of_number(rule->kind, rule->number);
	default:
		return key_of_mac(rule->mac);
	}
}

static u32 hash(const struct key *key)
{
	u64 h = key->high * 0x9e3779b97f4a7c15ULL ^ key->low * 0xc2b2ae3d27d4eb4fULL ^ (u64)key->kind << 29;

	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h >> (64 - TABLE_BITS);
}

static bool same_key(const struct key *a, const struct key *b)
{
	return a->low == b->low && a->high == b->high && a->kind == b->kind;
}

/* Ends: the table is never more than half full. */
static u32 find(const struct classifier *c, const struct key *key)
{
	u32 at = hash(key);

	while (c->table[at].key.kind && !same_key(&c->table[at].key, key))
		at = (at + 1) % TABLE_SIZE;
	return at;
}

static u32 look_up(const struct classifier *c, struct key key)
{
	const struct entry *entry = &c->table[find(c, &key)];

	return entry->key.kind ? entry->target : NOBODY;
}

static bool taken_by_another(const struct classifier *c, struct key key, u16 target)
{
	u32 holder = look_up(c, key);

	return holder != NOBODY && holder != target;
}

static void insert(struct classifier *c, struct key key, u16 target)
{
	struct entry *entry = &c->table[find(c, &key)];

	entry->key = key;
	entry->target = target;
}

/* ---- sets of targets ---- */

static void set_add(struct targets *set, u32 target)
{
	if (target != NOBODY)
		set->bits[target / 64] |= 1ULL << target % 64;
}

static u32 set_list(const struct targets *set, u16 *targets)
{
	u32 word, n = 0;

	for (word = 0; word < CLASSIFY_MAX_TARGETS / 64; word++) {
		u64 left = set->bits[word];

		for (; left; left &= left - 1)
			targets[n++] = word * 64 + __builtin_ctzll(left);
	}
	return n;
}

/* ---- rules ---- */

size_t classifier_memory(void)
{
	return sizeof(struct classifier);
}

struct classifier *classifier_init(void *memory, run_filter_fn run_filter)
{
	struct classifier *c = memory;

	memset(c, 0, sizeof(*c));
	c->run_filter = run_filter;
	return c;
}

static bool rule_is_sane(const struct rule *rule)
{
	if ((u32)rule->kind >= KINDS || rule->target >= CLASSIFY_MAX_TARGETS)
		return false;
	if (rule->kind != RULE_IP)
		return true;
	return (rule->family == 4 && rule->prefix_len <= 32) || (rule->family == 6 && rule->prefix_len <= 128);
}

/* A rule that is in rules[] into all that is looked at when a frame comes. */
static void put_in_force(struct classifier *c, const struct rule *rule)
{
	c->in_use[rule->kind]++;
	set_add(&c->all, rule->target);
	insert(c, key_of_mac(rule->mac), rule->target);
	if (rule->kind == RULE_MAC)
		set_add(&c->by_mac, rule->target);
	else if (rule->kind != RULE_FILTER)
		insert(c, key_of_rule(rule), rule->target);
	if (rule->kind == RULE_IP)
		c->prefixes[rule->family == 6].bits[rule->prefix_len / 64] |= 1ULL << rule->prefix_len % 64;
}

int classifier_add(struct classifier *c, const struct rule *rule)
{
	if (!rule_is_sane(rule))
		return -EINVAL;
	if (c->nrules == MAX_RULES)
		return -ENOSPC;
	if (taken_by_another(c, key_of_mac(rule->mac), rule->target) ||
	    taken_by_another(c, key_of_rule(rule), rule->target))
		return -EEXIST;

	c->rules[c->nrules] = *rule;
	put_in_force(c, &c->rules[c->nrules]);
	c->nrules++;
	return 0;
}

void classifier_remove(struct classifier *c, u16 target)
{
	u32 i, kept = 0;

	for (i = 0; i < c->nrules; i++) {
		if (c->rules[i].target != target)
			c->rules[kept++] = c->rules[i];
	}
	c->nrules = kept;

	memset(c->in_use, 0, sizeof(c->in_use));
	memset(c->prefixes, 0, sizeof(c->prefixes));
	memset(&c->all, 0, sizeof(c->all));
	memset(&c->by_mac, 0, sizeof(c->by_mac));
	memset(c->table, 0, sizeof(c->table));
	for (i = 0; i < kept; i++)
		put_in_force(c, &c->rules[i]);
}

bool classifier_knows(const struct classifier *c, const u8 mac[6])
{
	return look_up(c, key_of_mac(mac)) != NOBODY;
}

/* ---- frames ---- */

/* true: the search is over. With `all`, every target that is found goes in there, and it never is. */
static bool found(u32 target, struct targets *all)
{
	if (target == NOBODY)
		return false;
	if (!all)
		return true;
	set_add(all, target);
	return false;
}

/* The longest first. */
static u32 match_prefixes(const struct classifier *c, const struct facts *f, struct targets *all)
{
	const struct prefixes *p = &c->prefixes[f->family == 6];
	u32 word;

	for (word = 3; word-- > 0;) {
		u64 left = p->bits[word];

		while (left) {
			u32 bit = 63 - __builtin_clzll(left);
			u32 target = look_up(c, key_of_prefix(f->family, f->ip_dst, word * 64 + bit));

			if (found(target, all))
				return target;
			left &= ~(1ULL << bit);
		}
	}
	return NOBODY;
}

static u32 match_filters(const struct classifier *c, const struct facts *f, struct targets *all)
{
	u32 i;

	for (i = 0; i < c->nrules; i++) {
		const struct rule *rule = &c->rules[i];

		if (rule->kind == RULE_FILTER && c->run_filter(rule->filter, f->frame, f->len, f->whole) &&
		    found(rule->target, all))
			return rule->target;
	}
	return NOBODY;
}

/* The first target by the order of kinds, or NOBODY; with `all`, all into there. */
static u32 match_rules(const struct classifier *c, const struct facts *f, struct targets *all)
{
	u32 target = NOBODY;

	if (c->in_use[RULE_VXLAN] && f->vni >= 0)
		target = look_up(c, key_of_number(RULE_VXLAN, f->vni));
	if (found(target, all))
		return target;

	if (c->in_use[RULE_UDP] && f->udp_port >= 0)
		target = look_up(c, key_of_number(RULE_UDP, f->udp_port));
	if (found(target, all))
		return target;

	if (c->in_use[RULE_IP] && f->family)
		target = match_prefixes(c, f, all);
	if (found(target, all))
		return target;

	if (c->in_use[RULE_ETHERTYPE])
		target = look_up(c, key_of_number(RULE_ETHERTYPE, f->ethertype));
	if (found(target, all))
		return target;

	if (c->in_use[RULE_VLAN] && f->vlan >= 0)
		target = look_up(c, key_of_number(RULE_VLAN, f->vlan));
	if (found(target, all))
		return target;

	if (c->in_use[RULE_FILTER])
		return match_filters(c, f, all);
	return NOBODY;
}

u32 classify(const struct classifier *c, const u8 *frame, u32 len, const void *whole, int vlan_tci, u16 *targets)
{
	bool macs_only = c->in_use[RULE_MAC] == c->nrules;
	bool group;
	u32 target = NOBODY;
	struct facts f __uninitialized;

	if (len < ETH_HEADER)
		return 0;
	group = frame[0] & 1;
	if (!macs_only)
		read_facts(&f, frame, len, whole, vlan_tci);

	if (group && (macs_only || f.discovery))
		return set_list(&c->all, targets);
	if (group) {
		struct targets all = c->by_mac;

		match_rules(c, &f, &all);
		return set_list(&all, targets);
	}

	if (!macs_only)
		target = match_rules(c, &f, NULL);
	if (target == NOBODY)
		target = look_up(c, key_of_mac(frame));
	targets[0] = target;
	return target != NOBODY;
}

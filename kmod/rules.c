// SPDX-License-Identifier: GPL-2.0
#include "rules.h"

#include <linux/err.h>
#include <linux/filter.h>
#include <linux/inet.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <linux/europa.h>
#include "report.h"

/* ---- filters ---- */

static int load_filter(struct rule *rule, const struct europa_attach *attach, struct report *report)
{
	struct sock_fprog_kern program = { .len = attach->filter_len };
	struct bpf_prog *loaded;
	int r;

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

bool rule_run_filter(const void *filter, const u8 *frame, u32 len, const void *skb)
{
	return bpf_prog_run_clear_cb(filter, (struct sk_buff *)skb) != 0;
}

/* ---- the text ---- */

static u8 read_address(struct text text, u8 address[16])
{
	return in4_pton(text.at, text.n, address, -1, NULL) ? 4 : in6_pton(text.at, text.n, address, -1, NULL) ? 6 : 0;
}

static int complain(const char *text, const struct rule *rule, const struct rule_fault *fault, struct report *report)
{
	if (!fault->word.at)
		return fail(report, EINVAL, "rule \"%s\": %s", text, fault->is);
	if (fault->is)
		return fail(report, EINVAL, "rule \"%s\": \"%.*s\" is %s", text, (int)fault->word.n, fault->word.at, fault->is);
	if (rule->family == 4)
		return fail(report, EINVAL, "rule \"%s\": the address goes on behind the prefix; %pI4/%u would be right", text,
			    rule->address, rule->prefix_len);
	return fail(report, EINVAL, "rule \"%s\": the address goes on behind the prefix; %pI6c/%u would be right", text, rule->address,
		    rule->prefix_len);
}

static int parse(const char *text, struct rule *rule, struct report *report)
{
	struct rule_fault fault;
	const char *expression;

	return rule_read(text, read_address, rule, &expression, &fault) < 0 ? complain(text, rule, &fault, report) : 0;
}

int rule_make(struct rule *rule, const struct europa_attach *attach, struct report *report)
{
	int r = parse(attach->rule, rule, report);

	return r == 0 && rule->kind == RULE_FILTER ? load_filter(rule, attach, report) : r;
}

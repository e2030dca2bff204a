// SPDX-License-Identifier: MIT
#include "runtime/engine/rules.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/error.h"

#define RULE_MAX 512

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

bool rule_run_filter(const void *filter, const u8 *frame, u32 len, const void *whole)
{
	const struct bpf_program *program = filter;

	return libpcap.run(program->bf_insns, frame, *(const u32 *)whole, len) != 0;
}

/* ---- the text ---- */

static u8 read_address(struct text text, u8 address[16])
{
	char word[INET6_ADDRSTRLEN];

	if (text.n >= sizeof word)
		return 0;
	memcpy(word, text.at, text.n);
	word[text.n] = '\0';
	return inet_pton(AF_INET, word, address) == 1 ? 4 : inet_pton(AF_INET6, word, address) == 1 ? 6 : 0;
}

static int complain(const char *text, const struct rule *rule, const struct rule_fault *fault, struct error *e)
{
	char address[INET6_ADDRSTRLEN];

	if (!fault->word.at)
		return refuse(e, "rule \"%s\": %s", text, fault->is);
	if (fault->is)
		return refuse(e, "rule \"%s\": \"%.*s\" is %s", text, (int)fault->word.n, fault->word.at, fault->is);
	inet_ntop(rule->family == 4 ? AF_INET : AF_INET6, rule->address, address, sizeof address);
	return refuse(e, "rule \"%s\": the address goes on behind the prefix; %s/%u would be right", text, address, rule->prefix_len);
}

int rule_parse(const char *text, struct rule *rule, struct error *e)
{
	struct rule_fault fault;
	const char *expression;
	size_t n;

	memset(rule, 0, sizeof *rule);
	if (strlen(text) >= RULE_MAX)
		return refuse(e, "a rule has at most %d characters", RULE_MAX - 1);
	for (n = 0; text[n]; n++) {
		if ((unsigned char)text[n] < ' ' && text[n] != '\t')
			return refuse(e, "a rule is one line of text; there is a byte 0x%02x in it", text[n]);
	}
	if (rule_read(text, read_address, rule, &expression, &fault) < 0)
		return complain(text, rule, &fault, e);
	return rule->kind == RULE_FILTER ? parse_filter(expression, rule, e) : 0;
}

/* SPDX-License-Identifier: MIT */
#include "runtime/engine/protocol.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "runtime/error.h"

#define ARGUMENT offsetof(struct europa_request, reg)

static const struct {
	const char *name;
	size_t size;               /* of the argument, 0: none */
} verbs[] = {
	[EUROPA_REGISTER] = { "register", sizeof(struct europa_register) },
	[EUROPA_ATTACH]   = { "attach",   sizeof(struct europa_attach) },
	[EUROPA_DETACH]   = { "detach",   sizeof(struct europa_detach) },
	[EUROPA_QUIESCE]  = { "quiesce",  sizeof(struct europa_quiesce) },
	[EUROPA_REFRESH]  = { "refresh",  0 },
	[EUROPA_ASK]      = { "ask",      sizeof(struct europa_ask) },
};

/* The argument into *request: as much as both sides know. */
static int copy_argument(unsigned verb, const unsigned char *bytes, size_t n, struct europa_request *request, struct error *e)
{
	size_t known = verbs[verb].size, i;
	__u32 size;

	if (!known)
		return 0;
	if (n < sizeof size)
		return refuse(e, "%s without its argument", verbs[verb].name);
	memcpy(&size, bytes, sizeof size);
	if (size < sizeof size || size > n)
		return refuse(e, "%s: the argument says it has %u bytes, and %zu came", verbs[verb].name, size, n);
	for (i = known; i < size; i++) {
		if (bytes[i])
			return fail(e, E2BIG, "%s: the argument has fields that this switch doesn't know", verbs[verb].name);
	}
	memcpy(&request->reg, bytes, size < known ? size : known);
	return 0;
}

bool name_is_valid(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-";

	return name[0] && strchr(first, name[0]) && name[strspn(name, "." "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-")] == '\0';
}

/* What the kernel takes as a device's name. */
static bool device_is_valid(const char *name)
{
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++) {
		if (*name <= ' ' || *name == '/' || *name == ':' || *name == 0x7f || *name == '%')
			return false;
	}
	return true;
}

#define TERMINATED(field) (memchr((field), '\0', sizeof(field)) != NULL)

static int check_register(const struct europa_register *reg, struct error *e)
{
	if (!TERMINATED(reg->name) || !name_is_valid(reg->name))
		return refuse(e, "register: \"%.*s\" is no name; letters, digits and _+-. make one, shorter than %zu",
			      (int)sizeof reg->name, reg->name, sizeof reg->name);
	if (reg->flags & ~EUROPA_REGISTER_ADOPT)
		return refuse(e, "register: flags 0x%x are not known", reg->flags & ~EUROPA_REGISTER_ADOPT);
	return 0;
}

static bool is_group(const __u8 mac[6])
{
	return mac[0] & 1;
}

static int check_attach(const struct europa_attach *a, struct error *e)
{
	if (a->vnic >= EUROPA_MAX_VNICS)
		return refuse(e, "attach: there is no vNIC %u", a->vnic);
	if (a->kind > EUROPA_PORT_XDP)
		return refuse(e, "attach: port kind %u is not known", a->kind);
	if (!TERMINATED(a->device) || !TERMINATED(a->peer) || !TERMINATED(a->rule))
		return refuse(e, "attach: a text is not terminated");
	if (!device_is_valid(a->device))
		return refuse(e, "vNIC %u: \"%s\" can't be a device's name", a->vnic, a->device);
	if (is_group(a->mac))
		return refuse(e, "vNIC %u: %02x:%02x:%02x:%02x:%02x:%02x is a group address; the first byte must be even", a->vnic,
			      a->mac[0], a->mac[1], a->mac[2], a->mac[3], a->mac[4], a->mac[5]);
	if (a->mtu && a->mtu < 68)
		return refuse(e, "vNIC %u: MTU %u is less than 68, the least of IPv4", a->vnic, a->mtu);
	if (a->kind == EUROPA_PORT_SHARED && !a->device[0])
		return refuse(e, "vNIC %u: which device is to be shared?", a->vnic);
	if (a->kind == EUROPA_PORT_VR && (!name_is_valid(a->peer) || a->peer_vnic >= EUROPA_MAX_VNICS))
		return refuse(e, "vNIC %u: \"%s:%u\" is no vNIC of a VR; NAME:NUMBER would be one", a->vnic, a->peer, a->peer_vnic);
	return 0;
}

int request_parse(const void *bytes, size_t n, struct europa_request *request, struct error *e)
{
	const unsigned char *b = bytes;
	__u32 head[2];
	int r;

	memset(request, 0, sizeof *request);
	if (n < sizeof head)
		return refuse(e, "a request has at least %zu bytes, and %zu came", sizeof head, n);
	memcpy(head, b, sizeof head);
	if (head[1] != EUROPA_MAJOR)
		return fail(e, EPROTO, "the client speaks version %u, this switch version %u", head[1], EUROPA_MAJOR);
	if (head[0] < EUROPA_REGISTER || head[0] > EUROPA_ASK)
		return refuse(e, "verb %u is not known", head[0]);
	request->verb = head[0];
	request->major = head[1];
	r = copy_argument(head[0], b + ARGUMENT, n - ARGUMENT, request, e);
	if (r < 0)
		return r;

	switch (request->verb) {
	case EUROPA_REGISTER:
		return check_register(&request->reg, e);
	case EUROPA_ATTACH:
		return check_attach(&request->attach, e);
	case EUROPA_DETACH:
		if (request->detach.vnic >= EUROPA_MAX_VNICS)
			return refuse(e, "detach: there is no vNIC %u", request->detach.vnic);
		return 0;
	case EUROPA_QUIESCE:
		if (request->quiesce.on > EUROPA_QUIESCE_IN)
			return refuse(e, "quiesce: %u is not known; 0, 1 and 2 are", request->quiesce.on);
		return 0;
	case EUROPA_ASK:
		if (request->ask.what > EUROPA_ASK_SAVE || request->ask.reserved)
			return refuse(e, "ask: request %u is not known", request->ask.what);
		return 0;
	default:
		return 0;
	}
}

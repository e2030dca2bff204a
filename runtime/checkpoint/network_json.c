/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/error.h"
#include "runtime/quantity.h"
#include "runtime/spec_json.h"

void network_release(struct network *network)
{
	free(network->addresses);
	free(network->routes);
	memset(network, 0, sizeof *network);
}

bool network_is_netns_name(const char *name)
{
	return name[0] && strlen(name) < NETWORK_NAME_MAX && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static json_t *bytes_json(uint8_t family, const uint8_t bytes[16])
{
	char text[INET6_ADDRSTRLEN];

	return json_string(inet_ntop(family, bytes, text, sizeof text) ? text : "");
}

static json_t *prefix_json(uint8_t family, const uint8_t bytes[16], unsigned prefix)
{
	char text[INET6_ADDRSTRLEN + 4] = "";

	if (inet_ntop(family, bytes, text, INET6_ADDRSTRLEN))
		sprintf(text + strlen(text), "/%u", prefix);
	return json_string(text);
}

static json_t *address_json(const struct network_address *a)
{
	return json_pack("{s:o, s:o, s:i, s:o*}", "address", prefix_json(a->family, a->bytes, a->prefix),
			 "broadcast", a->has_broadcast ? bytes_json(a->family, a->broadcast) : json_null(), "scope", (int)a->scope,
			 "peer", a->has_peer ? bytes_json(a->family, a->peer) : NULL);
}

static json_t *route_json(const struct network_route *r)
{
	return json_pack("{s:o, s:o, s:o, s:I, s:i, s:i, s:o*}", "to", prefix_json(r->family, r->to, r->prefix),
			 "via", r->has_via ? bytes_json(r->family, r->via) : json_null(),
			 "source", r->has_source ? bytes_json(r->family, r->source) : json_null(),
			 "metric", (json_int_t)r->metric, "scope", (int)r->scope, "protocol", (int)r->protocol,
			 "onlink", r->onlink ? json_true() : NULL);
}

json_t *network_json(const struct network *n)
{
	json_t *addresses, *routes;
	char mac[18];

	if (!n->known)
		return json_null();
	addresses = json_array();
	routes = json_array();
	for (unsigned i = 0; i < n->naddresses; i++)
		json_array_append_new(addresses, address_json(&n->addresses[i]));
	for (unsigned i = 0; i < n->nroutes; i++)
		json_array_append_new(routes, route_json(&n->routes[i]));
	mac_print(n->mac, mac);
	return json_pack("{s:s, s:s, s:b, s:s, s:I, s:s, s:o, s:o}", "device", n->device, "netns", n->netns, "up", n->up,
			 "master", n->master, "mtu", (json_int_t)n->mtu, "mac", mac, "addresses", addresses, "routes", routes);
}

static int parse_bytes(const char *text, uint8_t *family, uint8_t bytes[16], struct error *e)
{
	char quoted[80];

	*family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(*family, text, bytes) == 1)
		return 0;
	return refuse(e, "\"%s\": expected an address", quantity_quote(quoted, sizeof quoted, text));
}

static int parse_prefix(const char *text, uint8_t *family, uint8_t bytes[16], uint8_t *prefix, struct error *e)
{
	char address[INET6_ADDRSTRLEN] = "", quoted[80];
	const char *slash = strchr(text, '/');
	uint64_t n;

	if (slash && (size_t)(slash - text) < sizeof address)
		memcpy(address, text, (size_t)(slash - text));
	if (!address[0] || parse_bytes(address, family, bytes, NULL) < 0 ||
	    !quantity_number(slash + 1, 0, 8 * network_address_bytes(*family), &n))
		return refuse(e, "\"%s\": expected ADDRESS/PREFIX", quantity_quote(quoted, sizeof quoted, text));
	*prefix = (uint8_t)n;
	return 0;
}

/* Null, or an address of that family. */
static int parse_hop(json_t *json, uint8_t family, uint8_t bytes[16], bool *has, struct error *e)
{
	uint8_t is;
	int err;

	if (json_is_null(json))
		return 0;
	if (!json_is_string(json))
		return refuse(e, "expected an address or null");
	err = parse_bytes(json_string_value(json), &is, bytes, e);
	if (!err && is != family)
		return refuse(e, "expected addresses of one family");
	*has = !err;
	return err;
}

static int parse_address(json_t *json, struct network_address *a, struct error *e)
{
	json_t *broadcast, *peer = NULL;
	json_error_t error;
	const char *text;
	json_int_t scope;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:s, s:o, s:I, s?o}", "address", &text, "broadcast", &broadcast, "scope", &scope,
			   "peer", &peer) < 0)
		return json_complaint(&error, e);
	a->scope = (uint8_t)scope;
	return json_in_range("scope", scope, 0, 255, e) ?: parse_prefix(text, &a->family, a->bytes, &a->prefix, e) ?:
	       parse_hop(broadcast, a->family, a->broadcast, &a->has_broadcast, e) ?:
	       (peer ? parse_hop(peer, a->family, a->peer, &a->has_peer, e) : 0);
}

static int parse_route(json_t *json, struct network_route *r, struct error *e)
{
	json_int_t metric, scope, protocol;
	json_t *via, *source;
	json_error_t error;
	const char *to;
	int onlink = 0;

	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:s, s:o, s:o, s:I, s:I, s:I, s?b}", "to", &to, "via", &via, "source", &source,
			   "metric", &metric, "scope", &scope, "protocol", &protocol, "onlink", &onlink) < 0)
		return json_complaint(&error, e);
	if (json_in_range("metric", metric, 0, UINT32_MAX, e) || json_in_range("scope", scope, 0, 255, e) ||
	    json_in_range("protocol", protocol, 0, 255, e))
		return -EINVAL;
	r->metric = (uint32_t)metric;
	r->scope = (uint8_t)scope;
	r->protocol = (uint8_t)protocol;
	r->onlink = onlink;
	return parse_prefix(to, &r->family, r->to, &r->prefix, e) ?: parse_hop(via, r->family, r->via, &r->has_via, e) ?:
	       parse_hop(source, r->family, r->source, &r->has_source, e);
}

static int parse_lists(json_t *addresses, json_t *routes, struct network *n, struct error *e)
{
	size_t naddresses = json_array_size(addresses), nroutes = json_array_size(routes);
	int err = 0;

	if (!json_is_array(addresses) || !json_is_array(routes) || naddresses > NETWORK_MOST || nroutes > NETWORK_MOST)
		return refuse(e, "addresses, routes: expected arrays of at most %d", NETWORK_MOST);
	n->addresses = calloc(naddresses + 1, sizeof *n->addresses);
	n->routes = calloc(nroutes + 1, sizeof *n->routes);
	if (!n->addresses || !n->routes)
		return fail(e, ENOMEM, "cannot keep addresses and routes");
	for (; n->naddresses < naddresses && !err; n->naddresses++)
		err = parse_address(json_array_get(addresses, n->naddresses), &n->addresses[n->naddresses], e);
	for (; n->nroutes < nroutes && !err; n->nroutes++)
		err = parse_route(json_array_get(routes, n->nroutes), &n->routes[n->nroutes], e);
	return err;
}

int network_parse(json_t *json, struct network *n, struct error *e)
{
	const char *device, *netns, *master, *mac;
	json_t *addresses, *routes;
	json_error_t error;
	json_int_t mtu;
	int up;

	if (json_is_null(json))
		return 0;
	if (json_unpack_ex(json, &error, JSON_STRICT, "{s:s, s:s, s:b, s:s, s:I, s:s, s:o, s:o}", "device", &device, "netns", &netns,
			   "up", &up, "master", &master, "mtu", &mtu, "mac", &mac, "addresses", &addresses, "routes", &routes) < 0)
		return json_complaint(&error, e);
	if (!quantity_device_name(device) || (*master && !quantity_device_name(master)))
		return refuse(e, "device, master: expected a net device's name");
	if (*netns && !network_is_netns_name(netns))
		return refuse(e, "netns: expected a network namespace's name");
	if (!quantity_mac(mac, n->mac))
		return refuse(e, "mac: expected a MAC address");
	if (json_in_range("mtu", mtu, 0, 65535, e))
		return -EINVAL;
	strcpy(n->device, device);
	strcpy(n->master, master);
	strcpy(n->netns, netns);
	n->up = up;
	n->mtu = (uint32_t)mtu;
	n->known = true;
	return parse_lists(addresses, routes, n, e);
}

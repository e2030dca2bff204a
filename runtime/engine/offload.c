// SPDX-License-Identifier: MIT
#include "runtime/engine/offload.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "runtime/cleanup.h"
#include "runtime/error.h"

#define FEATURES_MAX 256u       /* Linux 6.18 has 65 */

/* By the kernel's names for them (ethtool -k). Segmentation is not among them: whoever attaches an XDP program ends that at the other end. */
static const char *const unwanted[] = { "tx-checksum-ip-generic", "tx-checksum-sctp", "tx-vlan-hw-insert", "tx-vlan-stag-hw-insert" };

struct feature_names {
	struct ethtool_gstrings head;
	char name[FEATURES_MAX][ETH_GSTRING_LEN];
};

struct feature_changes {
	struct ethtool_sfeatures head;
	struct ethtool_set_features_block block[FEATURES_MAX / 32];
};

/* In a namespace of somebody else's for the moment that it takes: a socket stays where it was made. */
static int socket_in(int netns, int home)
{
	int fd, error;

	if (setns(netns, CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	error = errno;
	if (setns(home, CLONE_NEWNET) < 0)
		abort();                /* there is nothing right to do there */
	return fd < 0 ? -error : fd;
}

static int ask(int fd, const char *device, void *what)
{
	struct ifreq request = { .ifr_data = what };

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
	return ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

static int count_features(int fd, const char *device)
{
	struct {
		struct ethtool_sset_info head;
		__u32 count;
	} sets = { .head = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES } };
	int r = ask(fd, device, &sets);

	return r < 0 ? r : sets.count > FEATURES_MAX ? -E2BIG : (int)sets.count;
}

static bool is_unwanted(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof unwanted / sizeof *unwanted; i++) {
		if (strncmp(name, unwanted[i], ETH_GSTRING_LEN) == 0)
			return true;
	}
	return false;
}

static int end_unwanted(int fd, const char *device)
{
	struct feature_names names = { .head = { .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES } };
	struct feature_changes changes = { .head = { .cmd = ETHTOOL_SFEATURES } };
	int n = count_features(fd, device), i, r;

	if (n < 0)
		return n;
	names.head.len = n;
	r = ask(fd, device, &names);
	if (r < 0)
		return r;
	for (i = 0; i < n; i++) {
		if (is_unwanted(names.name[i]))
			changes.block[i / 32].valid |= 1u << i % 32;
	}
	changes.head.size = (n + 31) / 32;
	return ask(fd, device, &changes);
}

int offload_end(int netns, int home, const char *device, struct error *e)
{
	auto_close int fd = socket_in(netns, home);
	int r = fd < 0 ? fd : end_unwanted(fd, device);

	return r < 0 ? fail(e, -r, "cannot end the offloads of device \"%s\"", device) : 0;
}

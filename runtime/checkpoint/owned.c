/* SPDX-License-Identifier: MIT */
#include "runtime/checkpoint/owned.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/cleanup.h"
#include "runtime/engine/device.h"
#include "runtime/engine/netlink.h"
#include "runtime/error.h"
#include "runtime/state.h"

/* ---- europad: a veth pair, whose other end says whose it is ---- */

struct search {
	char alias[sizeof ((struct link_info *)0)->alias];
	struct owned *owned;
};

static int compare(const struct nlmsghdr *h, void *data)
{
	const struct search *search = data;
	struct link_info link;

	link_read(h, &link);
	if (strcmp(link.alias, search->alias) == 0) {
		search->owned->ifindex = link.peer;
		search->owned->peer = link.ifindex;
	}
	return MNL_CB_OK;
}

static int find_pair(const struct vr_state *state, unsigned vnic, struct owned *owned, struct error *e)
{
	struct search search = { .owned = owned };
	char path[PATH_MAX + 32];
	auto_netlink struct mnl_socket *nl = NULL;
	auto_close int netns = -1;
	int err = state_run_dir(path, PATH_MAX, e);

	if (err)
		return err;
	strcat(path, "/netns/switch");
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0 && errno == ENOENT)
		return 0;               /* the switch has ended, and its devices with it */
	if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
		return fail(e, errno, "cannot enter the switch's network namespace \"%s\"", path);
	snprintf(search.alias, sizeof search.alias, DEVICE_ALIAS, state->name, vnic);
	nl = netlink_open(0, e);
	if (!nl)
		return -e->code;
	err = netlink_dump(nl, RTM_GETLINK, sizeof(struct ifinfomsg), compare, NULL, &search);
	return err ? fail(e, -err, "cannot list the switch's devices") : 0;
}

/* ---- EuropaKM: a device of the module's ---- */

static bool driver_says(const char *device, const char *bus_info)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_data = (void *)&info };
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
	return fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0 && strncmp(info.bus_info, bus_info, sizeof info.bus_info) == 0;
}

/* ---- both ---- */

int owned_find(const struct vr_state *state, unsigned vnic, struct owned *owned, struct error *e)
{
	*owned = (struct owned){ .which = state->which_switch };
	if (state->which_switch == SWITCH_USER)
		return find_pair(state, vnic, owned, e);
	/* As the module writes it: there is room for the beginning of a name. */
	snprintf(owned->bus_info, sizeof owned->bus_info, "%.24s:%u", state->name, vnic);
	return 0;
}

bool owned_is(const struct owned *owned, const struct link_info *link)
{
	if (owned->which == SWITCH_USER)
		return owned->ifindex && link->ifindex == owned->ifindex && link->peer == owned->peer && strcmp(link->kind, "veth") == 0;
	return strcmp(link->kind, "europa") == 0 && driver_says(link->name, owned->bus_info);
}

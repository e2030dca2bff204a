/* SPDX-License-Identifier: MIT */
/*
 * What is mounted. A hybrid machine has v1 hierarchies and a v2 one side by side, and which controllers are where differs: each
 * is looked up in whichever has it, v1 first, since a controller can only be bound to one of them.
 *
 * libcgroup could name the mount points, but not their versions; it does not see a v2 mount without controllers; and
 * cgroup_init() clears a table of 2.4 MB, so that it takes 0.5 to 0.6 ms of a new process where this here takes 0.2. Every
 * start of a VR would wait for that. values.c, which is off that path, uses it.
 */
#include "cgroups/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "cgroups/cgroups.h"
#include "runtime/cleanup.h"

static const char *const names[] = {
	[CPU] = "cpu", [CPUACCT] = "cpuacct", [CPUSET] = "cpuset", [MEMORY] = "memory", [PIDS] = "pids", [FREEZER] = "freezer",
};
_Static_assert(sizeof names / sizeof *names == CONTROLLERS, "a controller without a name");

static struct layout known;
static bool is_known;

const char *controller_name(enum controller controller)
{
	return names[controller];
}

/* The controllers named in a list that is separated by any of the separators. The list is consumed. */
static unsigned controllers_in(char *list, const char *separators)
{
	unsigned found = 0;
	char *word, *rest;

	for (word = strtok_r(list, separators, &rest); word; word = strtok_r(NULL, separators, &rest))
		for (int c = 0; c < CONTROLLERS; c++)
			if (!strcmp(word, names[c]))
				found |= BIT(c);
	return found;
}

/* One cgroup mount of /proc/self/mountinfo. */
struct mount {
	dev_t dev;
	char *path;
	bool v2;
	char *options;             /* of the file system: v1's controllers are among them */
};

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/*
 * "36 31 0:33 / /sys/fs/cgroup/freezer rw,relatime shared:7 - cgroup cgroup rw,freezer"
 * false: no cgroup mount.
 */
static bool parse_mount(char *line, struct mount *m)
{
	unsigned major, minor;
	char *second_half = strstr(line, " - ");
	char *word, *rest, *type;

	if (!second_half)
		return false;
	*second_half = '\0';
	type = strtok_r(second_half + 3, " \n", &rest);
	strtok_r(NULL, " \n", &rest);                      /* the source */
	m->options = strtok_r(NULL, " \n", &rest);
	if (!type || !m->options || (strcmp(type, "cgroup") && strcmp(type, "cgroup2")))
		return false;
	m->v2 = !strcmp(type, "cgroup2");

	strtok_r(line, " ", &rest);                        /* mount id */
	strtok_r(NULL, " ", &rest);                        /* parent's */
	word = strtok_r(NULL, " ", &rest);
	if (!word || sscanf(word, "%u:%u", &major, &minor) != 2)
		return false;
	m->dev = makedev(major, minor);
	strtok_r(NULL, " ", &rest);                        /* the mount's root */
	m->path = strtok_r(NULL, " ", &rest);
	if (!m->path)
		return false;
	unescape(m->path);
	return true;
}

/* The mount point's fd, where this mount is what one sees there and not another one mounted over it. */
static int open_mount(const struct mount *m)
{
	auto_close int fd = open(m->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;
	struct stat st;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return -1;
	if (fs.f_type != (m->v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC) || st.st_dev != m->dev)
		return -1;
	return take_fd(&fd);
}

/* v2 has no freezer and no cpuacct to switch on: every group can freeze and counts its time. */
static unsigned controllers_of(const struct mount *m, int fd)
{
	char list[512];

	if (!m->v2)
		return controllers_in(m->options, ",");
	if (file_read(fd, "cgroup.controllers", list, sizeof list) < 0)
		return 0;
	return controllers_in(list, " ") | BIT(FREEZER) | BIT(CPUACCT);
}

/* Notes a hierarchy, the v2 one aside: what it serves is what all of v1 leaves. */
static void add_hierarchy(struct layout *layout, struct hierarchy *v2, const struct mount *m)
{
	struct hierarchy found = { .version = m->v2 ? &cgroup_v2 : &cgroup_v1 };

	found.fd = open_mount(m);
	if (found.fd < 0)
		return;
	found.serves = controllers_of(m, found.fd);
	for (unsigned i = 0; i < layout->n; i++)
		found.serves &= ~layout->hierarchy[i].serves;      /* mounted at two places: the first will do */
	if (m->v2 ? v2->path != NULL : !found.serves) {
		close(found.fd);
		return;
	}
	found.path = strdup(m->path);
	if (!found.path) {
		close(found.fd);
		return;
	}
	if (m->v2)
		*v2 = found;
	else
		layout->hierarchy[layout->n++] = found;
}

static void forget(struct layout *layout)
{
	for (unsigned i = 0; i < layout->n; i++) {
		free(layout->hierarchy[i].path);
		close(layout->hierarchy[i].fd);
	}
	*layout = (struct layout) { .name = "none" };
}

void layout_reload(unsigned versions)
{
	struct hierarchy v2 = { .path = NULL };
	auto_fclose FILE *file = NULL;
	auto_free char *line = NULL;
	size_t size = 0;
	unsigned taken = 0;

	values_forget_mounts();
	forget(&known);
	is_known = true;
	file = fopen("/proc/self/mountinfo", "re");
	if (!file)
		return;
	while (getline(&line, &size, file) > 0) {
		struct mount m;

		if (parse_mount(line, &m) && (versions & (m.v2 ? LAYOUT_V2 : LAYOUT_V1)))
			add_hierarchy(&known, &v2, &m);
	}
	known.name = known.n && v2.path ? "hybrid" : known.n ? "v1" : v2.path ? "v2" : "none";

	/* What no v1 hierarchy has comes from v2, wherever in the list that was mounted. */
	for (unsigned i = 0; i < known.n; i++)
		taken |= known.hierarchy[i].serves;
	v2.serves &= ~taken;
	if (v2.path && v2.serves && known.n < CONTROLLERS) {
		known.hierarchy[known.n++] = v2;
	} else if (v2.path) {
		free(v2.path);
		close(v2.fd);
	}
}

const struct layout *layout_get(void)
{
	if (!is_known)
		layout_reload(LAYOUT_V1 | LAYOUT_V2);
	return &known;
}

const char *cgroups_layout(void)
{
	return layout_get()->name;
}

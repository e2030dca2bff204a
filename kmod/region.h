/* SPDX-License-Identifier: GPL-2.0 */
/* One of a region's two memfds, its pages pinned and mapped into the kernel for as long as the registration lives. */
#ifndef EUROPA_REGION_H
#define EUROPA_REGION_H

#include <linux/types.h>

struct file;
struct mem_cgroup;
struct member;
struct page;
struct report;
struct user_struct;

struct region {
	struct file *file;
	struct page **pages;
	unsigned long npages;
	void *address;
	struct user_struct *user;       /* whose RLIMIT_MEMLOCK it counts against, or NULL */
	struct hlist_node by_file;      /* among all that are served; RTNL */
	const struct member *member;    /* whose it is, then */
};

/*
 * Checks the descriptor as a stranger's (a memfd of `size` bytes, sealed against resizing, open for reading and
 * writing), pins and maps it. Pages that aren't there yet are charged to `memcg` (NULL: the caller's). Nothing is
 * held where this fails.
 */
int region_pin(struct region *region, int fd, u64 size, struct mem_cgroup *memcg, const char *what, struct report *report);
void region_unpin(struct region *region);

#endif

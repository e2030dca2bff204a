// SPDX-License-Identifier: GPL-2.0
/*
 * The pages are taken from the memfd's page cache one by one and mapped beside each other, as graphics drivers do
 * with their objects. That needs no mapping in any process, so it doesn't matter what a VR does to its own; and
 * because SHRINK and SEAL are on, no page can be truncated away. A hole can still be punched: then the file gets
 * another page at that place, the switch goes on with the one that it holds, and a VR that does this to itself talks
 * to nobody there. Nothing of it can hurt the switch.
 */
#include "region.h"

#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pagevec.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/vmalloc.h>

#include "report.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* ---- what may be pinned ---- */

static int check_file(struct file *file, u64 size, const char *what, struct report *report)
{
	struct inode *inode = file_inode(file);
	unsigned int seals;

	if (!S_ISREG(inode->i_mode) || inode->i_sb->s_magic != TMPFS_MAGIC || !shmem_mapping(inode->i_mapping))
		return fail(report, EINVAL, "%s is not a memfd", what);
	/* SEAL among them means that they stay what they are now. */
	seals = READ_ONCE(SHMEM_I(inode)->seals);
	if ((seals & SEALS) != SEALS || (seals & F_SEAL_WRITE))
		return fail(report, EINVAL, "%s has seals 0x%x; SHRINK, GROW and SEAL are wanted, WRITE is not", what, seals);
	if ((file->f_mode & (FMODE_READ | FMODE_WRITE)) != (FMODE_READ | FMODE_WRITE))
		return fail(report, EINVAL, "%s is not open for reading and writing", what);
	if (i_size_read(inode) != size)
		return fail(report, EINVAL, "%s has %lld bytes; its geometry wants %llu", what, i_size_read(inode), size);
	return 0;
}

/* As AF_XDP does it: pinned memory can't be swapped out, so who may not lock memory may not pin it. */
static int account(struct region *region)
{
	unsigned long limit, before, after;

	if (capable(CAP_IPC_LOCK))
		return 0;
	region->user = get_uid(current_user());
	limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	do {
		before = atomic_long_read(&region->user->locked_vm);
		after = before + region->npages;
		if (after > limit) {
			free_uid(region->user);
			region->user = NULL;
			return -ENOBUFS;
		}
	} while (atomic_long_cmpxchg(&region->user->locked_vm, before, after) != before);
	return 0;
}

static void unaccount(struct region *region)
{
	if (!region->user)
		return;
	atomic_long_sub(region->npages, &region->user->locked_vm);
	free_uid(region->user);
	region->user = NULL;
}

/* ---- pages ---- */

static void flush_batch(struct folio_batch *batch)
{
	check_move_unevictable_folios(batch);
	folio_batch_release(batch);
}

/* The first n pages; what the switch wrote is in them, so none may be taken for clean. */
static void release_pages_of(struct region *region, unsigned long n)
{
	struct folio_batch batch;
	unsigned long i;

	mapping_clear_unevictable(region->file->f_mapping);
	folio_batch_init(&batch);
	for (i = 0; i < n; i++) {
		set_page_dirty(region->pages[i]);
		if (!folio_batch_add(&batch, page_folio(region->pages[i])))
			flush_batch(&batch);
		cond_resched();
	}
	if (folio_batch_count(&batch))
		flush_batch(&batch);
}

static int get_pages(struct region *region)
{
	struct address_space *mapping = region->file->f_mapping;
	/* A control group that has no room is an error of the registration, and nobody has to die for it. */
	gfp_t gfp = mapping_gfp_mask(mapping) | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	unsigned long i;

	mapping_set_unevictable(mapping);
	for (i = 0; i < region->npages; i++) {
		struct page *page = fatal_signal_pending(current) ? ERR_PTR(-EINTR) :
				    shmem_read_mapping_page_gfp(mapping, i, gfp);

		if (IS_ERR(page)) {
			release_pages_of(region, i);
			return PTR_ERR(page);
		}
		region->pages[i] = page;
		cond_resched();
	}
	return 0;
}

static int get_pages_charged_to(struct region *region, struct mem_cgroup *memcg)
{
	struct mem_cgroup *before;
	int r;

	if (!memcg)
		return get_pages(region);
	before = set_active_memcg(memcg);
	r = get_pages(region);
	set_active_memcg(before);
	return r;
}

static int pin(struct region *region, struct mem_cgroup *memcg)
{
	int r = account(region);

	if (r < 0)
		return r;
	region->pages = kvmalloc_array(region->npages, sizeof(*region->pages), GFP_KERNEL_ACCOUNT);
	if (!region->pages) {
		r = -ENOMEM;
		goto unaccount;
	}
	r = get_pages_charged_to(region, memcg);
	if (r < 0)
		goto free_array;
	region->address = vmap(region->pages, region->npages, VM_MAP, PAGE_KERNEL);
	if (!region->address) {
		r = -ENOMEM;
		goto release_pages;
	}
	return 0;

release_pages:
	release_pages_of(region, region->npages);
free_array:
	kvfree(region->pages);
unaccount:
	unaccount(region);
	return r;
}

int region_pin(struct region *region, int fd, u64 size, struct mem_cgroup *memcg, const char *what, struct report *report)
{
	int r;

	memset(region, 0, sizeof(*region));
	region->file = fget(fd);
	if (!region->file)
		return fail(report, EBADF, "%s: descriptor %d is not open", what, fd);
	r = check_file(region->file, size, what, report);
	if (r == 0) {
		region->npages = size >> PAGE_SHIFT;
		r = pin(region, memcg);
		if (r == -ENOBUFS)
			fail(report, -r, "%s: %llu bytes are more than RLIMIT_MEMLOCK leaves", what, size);
		else if (r < 0)
			fail(report, -r, "%s: cannot pin %llu bytes: errno %d", what, size, -r);
	}
	if (r < 0) {
		fput(region->file);
		region->file = NULL;
	}
	return r;
}

void region_unpin(struct region *region)
{
	if (!region->file)
		return;
	vunmap(region->address);
	release_pages_of(region, region->npages);
	kvfree(region->pages);
	unaccount(region);
	fput(region->file);
	region->file = NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * Directories of Europa's own, removed with all that is in them: by descriptors, so that no symbolic link leads out of one, and no deeper
 * than any of them is.
 */
#ifndef EUROPA_TREE_H
#define EUROPA_TREE_H

/* As much as can be; the first failure's -errno, 0 where nothing is left. */
int tree_remove(int parent, const char *name);
/* All that is in it. The descriptor stays the caller's. */
int tree_empty(int dir);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Scope-bound ownership: a variable declared with one of these gives its resource back when it leaves scope;
 * take_fd()/take_ptr() hand it on. Never mixed with undo labels in one file.
 */
#ifndef EUROPA_CLEANUP_H
#define EUROPA_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}
static inline void cleanup_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}
static inline void cleanup_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define auto_close  __attribute__((cleanup(cleanup_closep)))
#define auto_free   __attribute__((cleanup(cleanup_freep)))
#define auto_fclose __attribute__((cleanup(cleanup_fclosep)))
#define auto_closedir __attribute__((cleanup(cleanup_closedirp)))

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
/* For an owner that lives on: nothing where it is closed already. */
static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(take_fd(fd));
}
#define take_ptr(p) ({ __auto_type taken_ = (p); (p) = NULL; taken_; })

#endif

/* SPDX-License-Identifier: MIT */
#ifndef EUROPA_DESCRIPTORS_H
#define EUROPA_DESCRIPTORS_H

struct error;

/* 0, 1 and 2 are open afterwards, and nothing else is. */
int descriptors_tidy(struct error *e);

/* All from `first` on will be closed by the next exec. */
int descriptors_close_on_exec(unsigned first, struct error *e);

#endif

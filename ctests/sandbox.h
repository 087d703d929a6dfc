/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SANDBOX_H
#define SANDBOX_H

/* The system calls that `name` stands for are not to be had from now on; 0: nobody knows that name. */
int sandbox_enter(const char *name);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting the processes that measure. */
#ifndef RUN_H
#define RUN_H

#include <stdio.h>
#include <sys/types.h>

/* Starts `program row`, its output in `*output`. `prepare`: called in the child, in front of the exec. */
pid_t start(const char *program, const char *row, void (*prepare)(void), FILE **output);

/* System calls for one operation; negative: not known. */
double count_calls(const char *program, const char *row);

#endif

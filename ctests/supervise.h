/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls that the library makes in one thread, seen and decided one by one. Linux only.
 *
 * A seccomp filter on the calling thread hands every system call to a second thread, which has none. Only
 * between `enter_library` and `leave_library` are they counted, kept, and put to the case's `decide`; at all
 * other times they go their way. So a case may fail the third call of an EV_ADD, or every one of a kind, or
 * pretend that it succeeded; and both threads share memory and descriptors, so that a call can be made in the
 * caller's place.
 */
#ifndef SUPERVISE_H
#define SUPERVISE_H

#ifdef __linux__

#include <stdint.h>
#include <sys/syscall.h>

struct call {
    int number;
    int is_child; /* the caller is a child of the thread's, made by fork */
    int in_proc; /* it is about a path in /proc */
    int family;  /* of bind()'s address */
    int has_item; /* it adds to an epoll what that has already */
    uint64_t arguments[6];
};

/* What becomes of a call: the system makes it, or it returns a value (0 or more) or -errno unmade. */
#define GOES_ON INT64_MIN

/* Begins to supervise the calling thread, for good, and its `children` or not. `decide` runs in the other thread.
 * Skips the case where the system has no such filters. */
void supervise(int64_t (*decide)(const struct call *, int index, void *argument), void *argument, int children);

void enter_library(void);
void leave_library(void);

/* The calls seen between the two so far, and the first MOST_CALLS of them. */
enum { MOST_CALLS = 512 };
int calls_seen(void);
const struct call *call_seen(int index);

/* Descriptors in /proc/self/fd. */
int listed_descriptors(void);

#endif
#endif

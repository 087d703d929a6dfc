/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that a program can ask of the library, one operation each, for the cases that make it fail: of the
 * system's calls (faults.c, refusals.c) and of the allocator's (memory.c). Linux only.
 *
 * An operation is prepared, acts, and is proved to have worked. Only `act` calls the library under the fault, and
 * makes no other call.
 */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#ifdef __linux__

#include <sys/types.h>

struct bench {
    int kq;      /* the queue that is acted on; watches `near`, and has no helper yet */
    int near[2]; /* a pipe */
    int old;     /* a queue with an event of every kind, from before */
    int old_fds[2];
    pid_t old_child;
    int fds[2]; /* what the operation is about */
    int file;
    int spare;
    pid_t child;
    int orders[2]; /* to the child */
    /* Where it is not NULL: what is done when a change is refused that the act needs. */
    void (*refused)(struct bench *, int error);
    /* Where it is not NULL: ends the fault in a child that the act makes. */
    void (*recover)(void);
    int many[30];
    int has_many;
    struct kevent change;
    struct kevent got[8];
    struct timespec timeout;
    int count;
};

/* What an operation does that is not an errno. */
enum { NOTHING_CAME = -1 };

struct operation {
    const char *name;
    void (*prepare)(struct bench *);
    /* 0, an errno, or NOTHING_CAME. */
    int (*act)(struct bench *);
    /* After an act that succeeded; `act` may be called again. */
    void (*works)(struct bench *);
    unsigned traits;
};

/* The act may be made once only, and is not tried again; it ends the queue `kq`; it makes a child. */
enum { ONCE = 1, ENDS_QUEUE = 2, FORKS = 4 };

extern const struct operation operations[];
extern const int operation_count;

const struct operation *operation_named(const char *name);

/* Two queues with events, as of struct bench; that all of them still are delivered; that both can be closed. */
void bench_build(struct bench *);
void bench_delivers(struct bench *, int near_too);
void bench_close(struct bench *);
/* Ends what the operation made for itself. */
void operation_end(struct bench *);

#endif
#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The benchmark: what a file of scenarios includes, and nothing else of the benchmark.
 *
 *     static void turns(void *state, long n) { ... n turns, each checked ... }
 *     static void raw(const struct row *row) { ... set up ... measure(turns, &state); }
 *     static void kq(const struct row *row) { ... set up ... measure(other_turns, &state); }
 *     static struct row rows[] = {{"name", raw, kq}, ...};
 *     ROWS(rows)
 *
 * A row is one scenario. `kq` does it with kqueue, `raw` with the best that can be written by hand against the
 * kernel for the same information. Every call is a process of its own, pinned to one CPU, and may leave
 * anything behind. The same objects are linked twice, with the library and without, so that the raw side has
 * libc's own close() and nothing else of ours.
 *
 * An operation whose events are not the expected ones ends the process: figures of wrong answers are worth
 * nothing.
 */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sys/types.h>
#include <sys/event.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Undefined where the library is not linked in. */
#pragma weak kqueue
#pragma weak kevent

/* ---- Rows --------------------------------------------------------------------------------------- */

struct row {
    const char *name;
    void (*raw)(const struct row *); /* NULL: the figure stands alone */
    void (*kq)(const struct row *);
    long a, b;         /* the variant */
    int verify;        /* with KQUEUE_VERIFY=1 */
    const char *style; /* another variant, by name */
};

struct rows {
    struct row *first;
    size_t count;
    struct rows *next;
};

void bench_register(struct rows *);

#define ROWS(table)                                                                                         \
    __attribute__((constructor)) static void register_rows(void)                                            \
    {                                                                                                       \
        static struct rows registered = {table, sizeof(table) / sizeof(table)[0], NULL};                    \
        bench_register(&registered);                                                                        \
    }

/* ---- Measuring ---------------------------------------------------------------------------------- */

#define SECOND INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)

int64_t now(void);      /* nanoseconds of the monotonic clock */
int64_t cpu_time(void); /* nanoseconds that the process has run */

/* A repetition is the median of many pieces, each at least so long: a neighbour who takes the CPU for a moment
 * spoils a few of them, and not the repetition. */
#define PIECE (MILLISECOND / 2)
#define LONG_PIECE (8 * MILLISECOND)

/* A turn does so many operations; 1 unless said. */
void each_is(long operations);

/* Measures `run(state, n)`, which does n turns, and prints nanoseconds an operation. */
void measure(void (*run)(void *state, long n), void *state);
/* The same, where a piece is to be longer: threads have to be started. */
void measure_long(void (*run)(void *state, long n), void *state);

/* The same for operations that have parts which do not count: between `clock_on` and `clock_off` they do. */
void measure_parts(void (*run)(void *state, long n), void *state);
void clock_on(void);
void clock_off(void);

/* Is this the run in which system calls are counted? It does few operations. */
int is_counting(void);

/* A figure that the scenario has worked out itself. `metric` is appended to the row's name ("": nothing). */
void value(const char *metric, double figure);

/* ---- Checks ------------------------------------------------------------------------------------- */

_Noreturn void bench_fail(const char *file, int line, const char *text);
_Noreturn void bench_skip(const char *reason);

#define unlikely(x) __builtin_expect(!!(x), 0)

#define CHECK(condition)                                                                                    \
    do {                                                                                                    \
        if (unlikely(!(condition)))                                                                         \
            bench_fail(__FILE__, __LINE__, #condition);                                                     \
    } while (0)

/* The value of a call, which is not -1. */
#define OK(call) bench_ok((intmax_t)(call), __FILE__, __LINE__, #call)
static inline int bench_ok(intmax_t result, const char *file, int line, const char *text)
{
    if (unlikely(result == -1))
        bench_fail(file, line, text);
    return (int)result;
}

/* ---- What scenarios share ----------------------------------------------------------------------- */

static const struct timespec no_time = {0, 0};

static inline struct kevent change_of(uintptr_t ident, short filter, unsigned short flags, unsigned fflags,
                                      intptr_t data, void *udata)
{
    struct kevent change;
    EV_SET(&change, ident, filter, flags, fflags, data, udata);
    return change;
}

/* Applies one change. */
static inline void change(int kq, uintptr_t ident, short filter, unsigned short flags, unsigned fflags,
                          intptr_t data)
{
    struct kevent change = change_of(ident, filter, flags, fflags, data, NULL);
    OK(kevent(kq, &change, 1, NULL, 0, NULL));
}

static inline void control(int ep, int operation, int fd, unsigned events)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)fd};
    OK(epoll_ctl(ep, operation, fd, &event));
}

static inline int readable_bytes(int fd)
{
    int bytes = 0;
    OK(ioctl(fd, FIONREAD, &bytes));
    return bytes;
}

static inline void put_byte(int fd)
{
    CHECK(write(fd, "x", 1) == 1);
}

static inline void take_byte(int fd)
{
    char byte;
    CHECK(read(fd, &byte, 1) == 1);
}

static inline void add_to(int eventfd)
{
    uint64_t one = 1;
    CHECK(write(eventfd, &one, sizeof one) == sizeof one);
}

static inline uint64_t take_from(int eventfd)
{
    uint64_t count = 0;
    CHECK(read(eventfd, &count, sizeof count) == sizeof count);
    return count;
}

/* A connected pair of AF_UNIX stream sockets. */
void socket_pair(int fds[2]);
/* Zeroed memory. */
void *memory(size_t bytes);
/* Raises RLIMIT_NOFILE to `n` and some, or skips the row. */
void need_descriptors(long n);
/* `n` descriptors of a file that never becomes ready; they are `first` ... `first + n - 1`, which is returned. */
int silent_descriptors(long n);
/* How many descriptors, and threads, the process has. */
long open_descriptors(void);
long thread_count(void);

/* Pins the calling thread to the `n`th of the CPUs that the process may use, or skips the row. */
void pin(int n);
/* Lets the calling thread, and threads that it makes, run on the first two. */
void unpin(void);

#endif

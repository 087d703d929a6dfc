/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The conformance suite: what a file of cases includes, and nothing else of the suite.
 *
 *     #define SUITE "read"
 *     #include "suite.h"
 *
 *     // 3.4 An unconnected stream socket is not ready.
 *     TEST(unconnected_stream_is_not_ready, "3.4")
 *     {
 *         int kq = queue();
 *         ...
 *     }
 *
 * Every case runs in a forked process of its own, in a process group and an empty scratch directory of
 * its own (the working directory; removed afterwards), with default signal dispositions, an empty signal
 * mask and only descriptors 0 to 2 open. It may leave anything behind. It passes by returning.
 *
 * Assertions end the case at once, from any thread and from any process that the case forked.
 */
#ifndef SUITE_H
#define SUITE_H

#ifndef SUITE
#error "define SUITE, the name of this file's cases, before including suite.h"
#endif

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sys/types.h>
#include <sys/event.h>

#include "absent.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- Cases -------------------------------------------------------------------------------------- */

struct test {
    const char *suite;
    const char *name;
    const char *rules; /* numbers of SEMANTICS.md, separated by spaces */
    const char *file;
    int line;
    int limit; /* seconds */
    void (*run)(void);
    struct test *next;
};

void suite_register(struct test *);

/* A case; `rules` are the numbers of the rules that it proves. It is killed after 10 seconds. */
#define TEST(name, rules) TEST_LIMIT(name, rules, 10)

/* A case that needs another time limit, in seconds. */
#define TEST_LIMIT(name, rules, limit)                                                                      \
    static void test_##name(void);                                                                          \
    __attribute__((constructor)) static void register_##name(void)                                          \
    {                                                                                                       \
        static struct test test = {SUITE, #name, rules, __FILE__, __LINE__, limit, test_##name, NULL};      \
        suite_register(&test);                                                                              \
    }                                                                                                       \
    static void test_##name(void)

/*
 * A program for cases that exec: `exec_helper("name", "argument")` replaces the calling process by this
 * executable running the helper, which gets the argument and gives the exit status.
 */
struct helper {
    const char *name;
    int (*run)(const char *argument);
    struct helper *next;
};

void suite_register_helper(struct helper *);
_Noreturn void exec_helper(const char *name, const char *argument);
/* The path of this executable and the arguments that run a helper, for posix_spawn and the like. */
const char *helper_path(void);

#define HELPER(name)                                                                                        \
    static int helper_##name(const char *argument);                                                         \
    __attribute__((constructor)) static void register_helper_##name(void)                                   \
    {                                                                                                       \
        static struct helper helper = {#name, helper_##name, NULL};                                         \
        suite_register_helper(&helper);                                                                     \
    }                                                                                                       \
    static int helper_##name(const char *argument)

/* ---- Assertions --------------------------------------------------------------------------------- */

_Noreturn void suite_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void suite_skip(const char *file, int line, const char *reason);
void suite_at(const char *file, int line); /* remembered, for the report of a crash or a hang */
const char *suite_errno_name(int error);

/* Ends the case as failed, with a message. */
#define FAIL(...) suite_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Ends the case as skipped: something that it needs is not here. */
#define SKIP(reason) suite_skip(__FILE__, __LINE__, reason)

#define CHECK(cond)                                                                                         \
    do {                                                                                                    \
        suite_at(__FILE__, __LINE__);                                                                       \
        if (!(cond))                                                                                        \
            suite_fail(__FILE__, __LINE__, "%s is false", #cond);                                           \
    } while (0)

#define CHECK_COMPARE(a, op, b)                                                                             \
    do {                                                                                                    \
        suite_at(__FILE__, __LINE__);                                                                       \
        intmax_t a_ = (intmax_t)(a);                                                                        \
        intmax_t b_ = (intmax_t)(b);                                                                        \
        if (!(a_ op b_))                                                                                    \
            suite_fail(__FILE__, __LINE__, "%s %s %s is false: %jd (%#jx) and %jd (%#jx)", #a, #op, #b, a_, \
                       (uintmax_t)a_, b_, (uintmax_t)b_);                                                   \
    } while (0)

#define CHECK_EQ(a, b) CHECK_COMPARE(a, ==, b)
#define CHECK_NE(a, b) CHECK_COMPARE(a, !=, b)
#define CHECK_GE(a, b) CHECK_COMPARE(a, >=, b)
#define CHECK_LE(a, b) CHECK_COMPARE(a, <=, b)

/* `expr` is -1 and errno is `error`. */
#define CHECK_ERRNO(expr, error)                                                                            \
    do {                                                                                                    \
        suite_at(__FILE__, __LINE__);                                                                       \
        errno = 0;                                                                                          \
        intmax_t r_ = (intmax_t)(expr);                                                                     \
        int e_ = errno;                                                                                     \
        if (r_ != -1 || e_ != (error))                                                                      \
            suite_fail(__FILE__, __LINE__, "%s gave %jd with errno %s, expected -1 with %s", #expr, r_,     \
                       suite_errno_name(e_), suite_errno_name(error));                                      \
    } while (0)

/* The value of `expr`, which is not -1. */
#define OK(expr) suite_ok((suite_at(__FILE__, __LINE__), (intmax_t)(expr)), #expr, __FILE__, __LINE__)
int suite_ok(intmax_t result, const char *text, const char *file, int line);

/* The pthread call `expr` returns 0. */
#define OK0(expr)                                                                                           \
    do {                                                                                                    \
        suite_at(__FILE__, __LINE__);                                                                       \
        int r_ = (expr);                                                                                    \
        if (r_ != 0)                                                                                        \
            suite_fail(__FILE__, __LINE__, "%s gave %d (%s)", #expr, r_, suite_errno_name(r_));             \
    } while (0)

/* ---- Queues and events -------------------------------------------------------------------------- */

#define UDATA(n) ((void *)(uintptr_t)(n))

/* A new kqueue. */
#define queue() suite_queue(__FILE__, __LINE__)
int suite_queue(const char *file, int line);

/* The change as a value. `ident` and `udata` may be any integer or pointer. */
#define EVENT(ident, filter, flags, fflags, data, udata)                                                    \
    suite_event((uintptr_t)(ident), (short)(filter), (unsigned short)(flags), (unsigned)(fflags),           \
                (intptr_t)(data), UDATA(udata))
struct kevent suite_event(uintptr_t ident, short filter, unsigned short flags, unsigned fflags, intptr_t data,
                          void *udata);

/* Applies one change without an eventlist; it must succeed. */
#define change(kq, ident, filter, flags, fflags, data, udata)                                               \
    suite_change(__FILE__, __LINE__, kq, EVENT(ident, filter, flags, fflags, data, udata))
void suite_change(const char *file, int line, int kq, struct kevent change);

/* Applies one change without an eventlist; 0 or the errno. */
#define change_errno(kq, ident, filter, flags, fflags, data, udata)                                         \
    suite_change_errno(__FILE__, __LINE__, kq, EVENT(ident, filter, flags, fflags, data, udata))
int suite_change_errno(const char *file, int line, int kq, struct kevent change);

/* The number of events collected, at least one: waits up to 5 seconds for the first, with room for `n`. */
#define collect(kq, ev, n) suite_collect(__FILE__, __LINE__, kq, ev, n)
int suite_collect(const char *file, int line, int kq, struct kevent *ev, int n);

/* Waits up to 5 seconds for events, with room for more than one: exactly one comes. */
#define wait_event(kq, ev) suite_wait_event(__FILE__, __LINE__, kq, ev)
void suite_wait_event(const char *file, int line, int kq, struct kevent *ev);

/* kevent with time-out 0 and with room reports nothing. */
#define nothing(kq) suite_nothing(__FILE__, __LINE__, kq)
void suite_nothing(const char *file, int line, int kq);

/* What an event must be. A field named in `any` may have any value; `data_at_least` makes data a minimum. */
struct expect {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned fflags;
    intptr_t data;
    void *udata;
    unsigned any;
};
enum { ANY_IDENT = 1, ANY_FLAGS = 2, ANY_FFLAGS = 4, ANY_DATA = 8, ANY_UDATA = 16, DATA_AT_LEAST = 32 };

/* The event `ev` (an object, not a pointer) is this one, in every field. */
#define EXPECT_EVENT(ev, ident, filter, flags, fflags, data, udata)                                         \
    EXPECT_EVENT_ANY(ev, ident, filter, flags, fflags, data, udata, 0)

/* The same, but for the fields named in `any_`, as in (ev, fd, EVFILT_WRITE, EV_ADD, 0, 1, 0, DATA_AT_LEAST). */
#define EXPECT_EVENT_ANY(ev, ident, filter, flags, fflags, data, udata, any_)                               \
    suite_expect(__FILE__, __LINE__, &(ev),                                                                 \
                 (struct expect){(uintptr_t)(ident), (short)(filter), (unsigned short)(flags),              \
                                 (unsigned)(fflags), (intptr_t)(data), UDATA(udata), any_})

/* The same, fields by name: EXPECT(ev, .ident = fd, .filter = EVFILT_READ, .any = ANY_DATA). */
#define EXPECT(ev, ...) suite_expect(__FILE__, __LINE__, &(ev), (struct expect){__VA_ARGS__})
void suite_expect(const char *file, int line, const struct kevent *got, struct expect want);

/* The entry of `ev[0..n)` with this ident and filter: there is exactly one. For events whose order is free. */
#define find_event(ev, n, ident, filter)                                                                    \
    suite_find_event(__FILE__, __LINE__, ev, n, (uintptr_t)(ident), (short)(filter))
struct kevent *suite_find_event(const char *file, int line, struct kevent *ev, int n, uintptr_t ident,
                                short filter);

/* ---- Time --------------------------------------------------------------------------------------- */

#define SECOND INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)

int64_t now(void);                    /* nanoseconds of the monotonic clock */
struct timespec duration(int64_t ns); /* as kevent takes it */
/* How much slower than usual this run may be (1; more under valgrind): option -t. Scales every limit. */
int patience(void);

/* ---- Descriptors -------------------------------------------------------------------------------- */

/* A pipe; a connected pair of AF_UNIX stream sockets. */
#define pipe_pair(fds) suite_pipe_pair(__FILE__, __LINE__, fds)
void suite_pipe_pair(const char *file, int line, int fds[2]);
#define socket_pair(fds) suite_socket_pair(__FILE__, __LINE__, fds)
void suite_socket_pair(const char *file, int line, int fds[2]);

/* Writes, or reads away, exactly `n` bytes. */
#define put(fd, n) suite_put(__FILE__, __LINE__, fd, n)
void suite_put(const char *file, int line, int fd, size_t n);
#define take(fd, n) suite_take(__FILE__, __LINE__, fd, n)
void suite_take(const char *file, int line, int fd, size_t n);

/* poll(2) with time-out 0 says readable, or not. */
int readable(int fd);
/* What the library under test is built on, as -b says: "linux", "posix"... */
const char *suite_backend(void);
/* What the option -w takes away; "" if nothing. */
const char *suite_lacks(void);
/* How long that may take on this backend until it is true, in milliseconds; mostly 0. */
int grace(void);

/* Whether the number is an open descriptor; how many are. */
int is_open(int fd);
int open_descriptors(void);

/* Raises RLIMIT_NOFILE to at least `n`; skips the case where the system forbids it. */
#define need_descriptors(n) suite_need_descriptors(__FILE__, __LINE__, n)
void suite_need_descriptors(const char *file, int line, unsigned n);

/* ---- Threads and processes ---------------------------------------------------------------------- */

struct thread {
    pthread_t id;
    void *(*run)(void *);
    void *argument;
    int tid; /* of the system, where it has one */
    pthread_mutex_t lock;
    pthread_cond_t started;
    int has_started;
};

/* Starts a thread; returns when it runs. */
#define start(thread, run, argument) suite_start(__FILE__, __LINE__, thread, run, argument)
void suite_start(const char *file, int line, struct thread *, void *(*run)(void *), void *argument);

/* Waits for its end. A thread that does not end is a hang. */
#define join(thread) suite_join(__FILE__, __LINE__, thread)
void *suite_join(const char *file, int line, struct thread *);

/* Returns once the thread sleeps in a system call. Where that cannot be seen it waits a little: a case
 * must hold also if the thread is not there yet. */
void until_asleep(const struct thread *);
#ifdef __linux__
/* One of a thread's sets of signals by its name in /proc/.../status: SigBlk, SigCgt. */
uint64_t signal_mask(int tid, const char *name);
#endif
/* The same for a single-threaded child. */
void until_child_asleep(pid_t);

/* Waits for a child; it must have exited with status 0 (an assertion that failed there is reported). */
#define child_succeeds(pid) suite_child_succeeds(__FILE__, __LINE__, pid)
void suite_child_succeeds(const char *file, int line, pid_t pid);

/* The number of threads in this process, or 0 where the system does not tell. */
int thread_count(void);

#endif

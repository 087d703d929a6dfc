/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Short forms of what most cases do with a queue. Included after suite.h.
 */
#ifndef EVENTS_H
#define EVENTS_H

/* The next event, and the only one, is this. */
#define EXPECT_NEXT(kq, ident, filter, flags, fflags, data, udata)                                          \
    EXPECT_NEXT_ANY(kq, ident, filter, flags, fflags, data, udata, 0)

#define EXPECT_NEXT_ANY(kq, ident, filter, flags, fflags, data, udata, any)                                 \
    do {                                                                                                    \
        struct kevent next_;                                                                                \
        wait_event(kq, &next_);                                                                             \
        EXPECT_EVENT_ANY(next_, ident, filter, flags, fflags, data, udata, any);                            \
    } while (0)

/* kevent sleeps for its whole time-out and reports nothing; it does not spin meanwhile (10.5). */
static inline void sleeps(int kq)
{
    struct kevent ev;
    struct timespec timeout = duration(100 * MILLISECOND);
    struct timespec before, after;
    int64_t start_time = now();
    OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before));
    int count = kevent(kq, NULL, 0, &ev, 1, &timeout);
    OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after));
    int64_t elapsed = now() - start_time;
    CHECK_EQ(count, 0);
    CHECK_GE(elapsed, 100 * MILLISECOND);
    int64_t spent = (after.tv_sec - before.tv_sec) * SECOND + after.tv_nsec - before.tv_nsec;
    CHECK_LE(spent, 50 * MILLISECOND * patience());
}

/* A thread that waits on `kq` for one event, the only one, with `wait_one` as its function. */
struct waiter {
    int kq;
    struct kevent ev;
};

static inline void *wait_one(void *argument)
{
    struct waiter *waiter = argument;
    wait_event(waiter->kq, &waiter->ev);
    return NULL;
}

#endif

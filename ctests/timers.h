/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Periodic timers held against the clock. Included after suite.h.
 */
#ifndef TIMERS_H
#define TIMERS_H

#include "events.h"

/* Sleeps until the monotonic clock says `time` or later. */
static inline void until(int64_t time)
{
    for (int64_t left; (left = time - now()) > 0;) {
        struct timespec sleep = duration(left);
        nanosleep(&sleep, NULL);
    }
}

/* A periodic timer, and all that was reported of it. */
struct ticks {
    int kq;
    uintptr_t ident;
    unsigned short flags;
    int64_t period;
    int64_t started_after, started_before; /* the start lies between these */
    int64_t total, last;
};

static inline struct ticks start_ticks(int kq, uintptr_t ident, unsigned short flags, unsigned fflags,
                                       intptr_t data, int64_t period)
{
    struct ticks ticks = {.kq = kq, .ident = ident, .flags = flags | EV_CLEAR, .period = period};
    ticks.started_after = now();
    change(kq, ident, EVFILT_TIMER, flags, fflags, data, 0xfeed);
    ticks.started_before = now();
    return ticks;
}

/*
 * Collects an event of the timer: the sum of all counts is never more than the periods that can have
 * ended by now, and not less than those that have ended before the call.
 */
static inline void collect_ticks(struct ticks *ticks)
{
    struct kevent ev;
    int64_t before = now();
    wait_event(ticks->kq, &ev);
    int64_t after = now();
    EXPECT_EVENT_ANY(ev, ticks->ident, EVFILT_TIMER, ticks->flags, 0, 1, 0xfeed, DATA_AT_LEAST);
    ticks->last = ev.data;
    ticks->total += ev.data;
    CHECK_LE(ticks->total, (after - ticks->started_after) / ticks->period);
    CHECK_GE(ticks->total, (before - ticks->started_before) / ticks->period);
}

/* A timer of `data` units is periodic with this period; collected `n` times. */
static inline void periodic(unsigned fflags, intptr_t data, int64_t period, int n)
{
    struct ticks ticks = start_ticks(queue(), 1, EV_ADD, fflags, data, period);
    for (int i = 0; i < n; i++)
        collect_ticks(&ticks);
    change(ticks.kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    nothing(ticks.kq);
}

#endif

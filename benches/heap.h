/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bare heap that timers are measured against: a binary heap of deadlines, in which each timer knows its place,
 * and one timerfd that is only ever moved earlier.
 */
#ifndef HEAP_H
#define HEAP_H

#include "bench.h"

#include <sys/timerfd.h>

struct timer {
    int64_t deadline, period;
    long place;
};

struct heap {
    struct timer **timers;
    long count;
    int fd;
    int64_t armed; /* INT64_MAX: not */
};

static inline void heap_open(struct heap *heap, long most)
{
    *heap = (struct heap){.timers = memory((size_t)most * sizeof(struct timer *)),
                          .fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
                          .armed = INT64_MAX};
}

static inline void heap_put(struct heap *heap, struct timer *timer, long place)
{
    heap->timers[place] = timer;
    timer->place = place;
}

static inline void heap_sift(struct heap *heap, struct timer *timer, long place)
{
    while (place > 0 && heap->timers[(place - 1) / 2]->deadline > timer->deadline) {
        heap_put(heap, heap->timers[(place - 1) / 2], place);
        place = (place - 1) / 2;
    }
    for (;;) {
        long child = 2 * place + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->timers[child + 1]->deadline < heap->timers[child]->deadline)
            child++;
        if (heap->timers[child]->deadline >= timer->deadline)
            break;
        heap_put(heap, heap->timers[child], place);
        place = child;
    }
    heap_put(heap, timer, place);
}

static inline void heap_arm(struct heap *heap, int64_t deadline)
{
    if (deadline >= heap->armed)
        return;
    struct itimerspec when = {.it_value = {deadline / SECOND, deadline % SECOND}};
    OK(timerfd_settime(heap->fd, TFD_TIMER_ABSTIME, &when, NULL));
    heap->armed = deadline;
}

static inline void heap_add(struct heap *heap, struct timer *timer, int64_t period)
{
    timer->period = period;
    timer->deadline = now() + period;
    heap_sift(heap, timer, heap->count++);
    heap_arm(heap, timer->deadline);
}

static inline void heap_move(struct heap *heap, struct timer *timer, int64_t deadline)
{
    timer->deadline = deadline;
    heap_sift(heap, timer, timer->place);
}

static inline void heap_remove(struct heap *heap, struct timer *timer)
{
    struct timer *last = heap->timers[--heap->count];
    if (last != timer)
        heap_sift(heap, last, timer->place);
}

/* The timerfd has fired: it can be set anew when what is due is out. */
static inline void heap_fired(struct heap *heap)
{
    heap->armed = INT64_MAX;
}

#endif

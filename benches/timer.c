/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_TIMER, against a bare heap.
 */
#include "bench.h"
#include "heap.h"

enum { HOUR = 3600 * 1000 }; /* milliseconds */

/* ---- Adding, deleting, adding again ------------------------------------------------------------- */

struct clocks {
    int queue;
    struct heap heap;
    struct timer timer, *others;
    long ident;
};

/* Deadlines on both sides of the one that comes and goes. */
static int64_t other_period(long i)
{
    return HOUR / 2 + i * 7919 % HOUR;
}

static void raw_open(struct clocks *clocks, long others)
{
    clocks->queue = OK(epoll_create1(EPOLL_CLOEXEC));
    heap_open(&clocks->heap, others + 1);
    control(clocks->queue, EPOLL_CTL_ADD, clocks->heap.fd, EPOLLIN | EPOLLET);
    clocks->others = memory((size_t)(others + 1) * sizeof clocks->others[0]);
    for (long i = 0; i < others; i++)
        heap_add(&clocks->heap, &clocks->others[i], other_period(i) * MILLISECOND);
}

static void kq_open(struct clocks *clocks, long others)
{
    clocks->queue = OK(kqueue());
    clocks->ident = others;
    for (long i = 0; i < others; i++)
        change(clocks->queue, (uintptr_t)i, EVFILT_TIMER, EV_ADD, 0, other_period(i));
}

static void raw_comes_and_goes(void *state, long n)
{
    struct clocks *clocks = state;
    while (n-- > 0) {
        heap_add(&clocks->heap, &clocks->timer, HOUR * MILLISECOND);
        heap_remove(&clocks->heap, &clocks->timer);
    }
}

static void kq_comes_and_goes(void *state, long n)
{
    struct clocks *clocks = state;
    while (n-- > 0) {
        change(clocks->queue, (uintptr_t)clocks->ident, EVFILT_TIMER, EV_ADD, 0, HOUR);
        change(clocks->queue, (uintptr_t)clocks->ident, EVFILT_TIMER, EV_DELETE, 0, 0);
    }
}

static void raw_again(void *state, long n)
{
    struct clocks *clocks = state;
    while (n-- > 0) {
        int64_t deadline = now() + (HOUR + n % 1000) * MILLISECOND;
        heap_move(&clocks->heap, &clocks->timer, deadline);
        heap_arm(&clocks->heap, deadline);
    }
}

static void kq_again(void *state, long n)
{
    struct clocks *clocks = state;
    while (n-- > 0)
        change(clocks->queue, (uintptr_t)clocks->ident, EVFILT_TIMER, EV_ADD, 0, HOUR + n % 1000);
}

static void raw_add_delete(const struct row *row)
{
    struct clocks clocks;
    raw_open(&clocks, row->a);
    measure(raw_comes_and_goes, &clocks);
}

/* A timer that is still there expires when it is told to, and no other does. */
static void expect_expiry(struct clocks *clocks)
{
    struct kevent event;
    change(clocks->queue, (uintptr_t)clocks->ident, EVFILT_TIMER, EV_ADD, 0, 1);
    CHECK(kevent(clocks->queue, NULL, 0, &event, 1, NULL) == 1);
    CHECK(event.ident == (uintptr_t)clocks->ident && event.filter == EVFILT_TIMER && event.data >= 1);
}

static void kq_add_delete(const struct row *row)
{
    struct clocks clocks;
    kq_open(&clocks, row->a);
    measure(kq_comes_and_goes, &clocks);
    expect_expiry(&clocks);
}

static void raw_add_again(const struct row *row)
{
    struct clocks clocks;
    raw_open(&clocks, row->a);
    heap_add(&clocks.heap, &clocks.timer, HOUR * MILLISECOND);
    measure(raw_again, &clocks);
}

static void kq_add_again(const struct row *row)
{
    struct clocks clocks;
    kq_open(&clocks, row->a);
    change(clocks.queue, (uintptr_t)clocks.ident, EVFILT_TIMER, EV_ADD, 0, HOUR);
    measure(kq_again, &clocks);
    expect_expiry(&clocks);
}

/* ---- A byte's way beside many timers ------------------------------------------------------------ */

struct pong {
    struct clocks clocks;
    int fds[2];
};

static void raw_pong(void *state, long n)
{
    struct pong *pong = state;
    while (n-- > 0) {
        struct epoll_event event;
        put_byte(pong->fds[0]);
        CHECK(epoll_wait(pong->clocks.queue, &event, 1, -1) == 1);
        CHECK(event.data.u64 == (uint64_t)pong->fds[1] && readable_bytes(pong->fds[1]) == 1);
        take_byte(pong->fds[1]);
    }
}

static void kq_pong(void *state, long n)
{
    struct pong *pong = state;
    while (n-- > 0) {
        struct kevent event;
        put_byte(pong->fds[0]);
        CHECK(kevent(pong->clocks.queue, NULL, 0, &event, 1, NULL) == 1);
        CHECK(event.ident == (uintptr_t)pong->fds[1] && event.filter == EVFILT_READ && event.data == 1);
        take_byte(pong->fds[1]);
    }
}

static void raw_beside(const struct row *row)
{
    struct pong pong;
    raw_open(&pong.clocks, row->a);
    socket_pair(pong.fds);
    control(pong.clocks.queue, EPOLL_CTL_ADD, pong.fds[1], EPOLLIN);
    measure(raw_pong, &pong);
}

static void kq_beside(const struct row *row)
{
    struct pong pong;
    kq_open(&pong.clocks, row->a);
    socket_pair(pong.fds);
    change(pong.clocks.queue, (uintptr_t)pong.fds[1], EVFILT_READ, EV_ADD, 0, 0);
    measure(kq_pong, &pong);
}

/* ---- 1,000 timers of a millisecond -------------------------------------------------------------- */

/*
 * CPU time for each expiration. All begin together, so that both sides have as many due at once. None may be missed:
 * what was due before the last call was reported by it, or before; nothing can have been due more often.
 */
enum { TIMERS = 1000, ROUNDS = 200 };

static long raw_expirations(struct clocks *clocks)
{
    struct heap *heap = &clocks->heap;
    struct epoll_event event;
    CHECK(epoll_wait(clocks->queue, &event, 1, -1) == 1);
    int64_t time = now();
    long counted = 0;
    heap_fired(heap);
    while (heap->timers[0]->deadline <= time) {
        struct timer *timer = heap->timers[0];
        int64_t missed = (time - timer->deadline) / timer->period;
        counted += 1 + missed;
        heap_move(heap, timer, timer->deadline + (1 + missed) * timer->period);
    }
    heap_arm(heap, heap->timers[0]->deadline);
    return counted;
}

static long kq_expirations(struct clocks *clocks)
{
    struct kevent events[TIMERS];
    int count = OK(kevent(clocks->queue, NULL, 0, events, TIMERS, NULL));
    long counted = 0;
    for (int i = 0; i < count; i++) {
        CHECK(events[i].filter == EVFILT_TIMER && events[i].data >= 1);
        counted += events[i].data;
    }
    return counted;
}

/* The timers were started between `begin` and `began`. */
static void count_expirations(struct clocks *clocks, int64_t begin, int64_t began, long (*expirations)(struct clocks *))
{
    int64_t cpu = cpu_time(), end = began + (is_counting() ? 20 : ROUNDS) * MILLISECOND, before, after;
    long counted = 0;
    if (is_counting())
        clock_on();
    do {
        before = now();
        counted += expirations(clocks);
        after = now();
    } while (after < end);
    if (is_counting())
        clock_off();
    cpu = cpu_time() - cpu;
    CHECK(counted >= (before - began) / MILLISECOND * TIMERS);
    CHECK(counted <= (after - begin) / MILLISECOND * TIMERS);
    value("", (double)cpu / (double)counted);
    if (is_counting())
        printf("operations %ld\n", counted);
}

static void raw_periodic(const struct row *row)
{
    (void)row;
    struct clocks clocks;
    raw_open(&clocks, TIMERS);
    while (clocks.heap.count > 0)
        heap_remove(&clocks.heap, clocks.heap.timers[0]);
    int64_t begin = now();
    for (int i = 0; i < TIMERS; i++)
        heap_add(&clocks.heap, &clocks.others[i], MILLISECOND);
    count_expirations(&clocks, begin, now(), raw_expirations);
}

static void kq_periodic(const struct row *row)
{
    (void)row;
    struct clocks clocks;
    struct kevent timers[TIMERS];
    kq_open(&clocks, 0);
    for (int i = 0; i < TIMERS; i++)
        timers[i] = change_of((uintptr_t)i, EVFILT_TIMER, EV_ADD, 0, 1, NULL);
    int64_t begin = now();
    OK(kevent(clocks.queue, timers, TIMERS, NULL, 0, NULL));
    count_expirations(&clocks, begin, now(), kq_expirations);
}

/* ---- Lateness ----------------------------------------------------------------------------------- */

/* One-shot timers, one after the other or some at a time (so that many long ones fit a short run). */
enum { SAMPLES = 400, MOST_AT_ONCE = 16 };

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void tell_lateness(int64_t *late)
{
    qsort(late, SAMPLES, sizeof late[0], by_size);
    CHECK(late[0] >= 0); /* never early */
    value("median", (double)late[SAMPLES / 2]);
    value("999", (double)late[SAMPLES * 999 / 1000]);
}

static void raw_late(const struct row *row)
{
    struct clocks clocks;
    int64_t late[SAMPLES + MOST_AT_ONCE];
    raw_open(&clocks, row->b);
    while (clocks.heap.count > 0)
        heap_remove(&clocks.heap, clocks.heap.timers[0]);
    for (long i = 0; i < row->b; i++)
        heap_add(&clocks.heap, &clocks.others[i], row->a * MILLISECOND * (i + 1) / row->b);
    for (long got = 0; got < SAMPLES;) {
        struct epoll_event event;
        CHECK(epoll_wait(clocks.queue, &event, 1, -1) == 1);
        int64_t time = now();
        heap_fired(&clocks.heap);
        while (clocks.heap.count > 0 && clocks.heap.timers[0]->deadline <= time) {
            struct timer *timer = clocks.heap.timers[0];
            late[got++] = time - timer->deadline;
            heap_remove(&clocks.heap, timer);
            heap_add(&clocks.heap, timer, row->a * MILLISECOND);
        }
        heap_arm(&clocks.heap, clocks.heap.timers[0]->deadline);
    }
    tell_lateness(late);
}

static void kq_late(const struct row *row)
{
    struct clocks clocks;
    int64_t late[SAMPLES + MOST_AT_ONCE], deadlines[MOST_AT_ONCE];
    kq_open(&clocks, 0);
    for (long i = 0; i < row->b; i++) {
        int64_t time = row->a * MILLISECOND * (i + 1) / row->b;
        deadlines[i] = now() + time;
        change(clocks.queue, (uintptr_t)i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_NSECONDS, time);
    }
    for (long got = 0; got < SAMPLES;) {
        struct kevent events[MOST_AT_ONCE];
        int count = OK(kevent(clocks.queue, NULL, 0, events, MOST_AT_ONCE, NULL));
        int64_t time = now();
        for (int i = 0; i < count; i++) {
            CHECK(events[i].filter == EVFILT_TIMER && events[i].data == 1);
            late[got++] = time - deadlines[events[i].ident];
            deadlines[events[i].ident] = now() + row->a * MILLISECOND;
            change(clocks.queue, events[i].ident, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_NSECONDS,
                   row->a * MILLISECOND);
        }
    }
    tell_lateness(late);
}

static struct row rows[] = {
    {.name = "timer-add-delete", .raw = raw_add_delete, .kq = kq_add_delete},
    {.name = "timer-add-delete-beside-100000", .raw = raw_add_delete, .kq = kq_add_delete, .a = 100000},
    {.name = "timer-add-again", .raw = raw_add_again, .kq = kq_add_again},
    {.name = "timer-add-again-beside-100000", .raw = raw_add_again, .kq = kq_add_again, .a = 100000},
    {.name = "timer-1000-periodic", .raw = raw_periodic, .kq = kq_periodic},
    {.name = "timer-late-1ms", .raw = raw_late, .kq = kq_late, .a = 1, .b = 1},
    {.name = "timer-late-10ms", .raw = raw_late, .kq = kq_late, .a = 10, .b = 10},
    {.name = "pingpong-10-timers", .raw = raw_beside, .kq = kq_beside, .a = 10},
    {.name = "pingpong-100-timers", .raw = raw_beside, .kq = kq_beside, .a = 100},
    {.name = "pingpong-1000-timers", .raw = raw_beside, .kq = kq_beside, .a = 1000},
    {.name = "pingpong-10000-timers", .raw = raw_beside, .kq = kq_beside, .a = 10000},
    {.name = "pingpong-100000-timers", .raw = raw_beside, .kq = kq_beside, .a = 100000},
};
ROWS(rows)

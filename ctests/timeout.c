/* SPDX-License-Identifier: BSD-2-Clause */
/* Section 1: how long kevent() waits, and what ends the wait. */
#define SUITE "timeout"
#include "suite.h"

#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

static const struct timespec no_wait = {0, 0};

/* ---- 1.4 ---------------------------------------------------------------------------------------- */

/* 1.4 nevents 0: the changes are applied and the call returns at once, whatever the time-out. */
TEST(no_room_never_waits, "1.4")
{
    int kq = queue();
    static const struct timespec times[] = {
        {0, 0}, {3600, 0}, {LONG_MAX, 999999999}, {-1, 0}, {0, -1}, {0, 1000000000},
    };
    struct kevent change;
    int ident = 0;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        CHECK_EQ(kevent(kq, NULL, 0, NULL, 0, &times[i]), 0);
        change = EVENT(ident, EVFILT_USER, EV_ADD, 0, 0, 0);
        CHECK_EQ(kevent(kq, &change, 1, NULL, 0, &times[i]), 0);
        change(kq, ident, EVFILT_USER, EV_DELETE, 0, 0, 0);
        ident++;
    }
    CHECK_EQ(kevent(kq, NULL, 0, NULL, 0, NULL), 0);
    change = EVENT(ident, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    CHECK_EQ(kevent(kq, &change, 1, NULL, 0, NULL), 0);
    change(kq, ident, EVFILT_USER, EV_DELETE, 0, 0, 0);
}

/* 1.4 nevents 0 collects nothing: what is pending stays. */
TEST(no_room_consumes_nothing, "1.4")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    pipe_pair(fds);
    put(fds[1], 1);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(kevent(kq, NULL, 0, NULL, 0, NULL), 0);
        CHECK_EQ(kevent(kq, NULL, 0, ev, 0, &no_wait), 0);
    }
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 1);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 2);
}

/* 1.4 {0,0} polls: it does not wait. */
TEST(zero_polls, "1.4")
{
    int kq = queue();
    struct kevent ev;
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 0);
    for (int i = 0; i < 10000; i++)
        CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &no_wait), 0);
    change(kq, 2, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 3);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &no_wait), 1);
        EXPECT_EVENT(ev, 2, EVFILT_USER, EV_ADD, 0, 0, 3);
    }
}

/* 1.4 A time-out is never cut short, nanoseconds included. */
TEST(never_returns_early, "1.4")
{
    int kq = queue();
    static const int64_t times[] = {1,       999,     1000,    1001,    50000,   123456,  999999,
                                    1000000, 1000001, 1499999, 1999999, 2500000, 10000001};
    struct kevent ev;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        for (int round = 0; round < 20; round++) {
            struct timespec time = duration(times[i]);
            int64_t begin = now();
            CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &time), 0);
            CHECK_GE(now() - begin, times[i]);
        }
    }
}

/* 1.4 A long time-out with whole seconds and a rest is neither cut to the seconds nor to the rest. */
TEST(seconds_and_nanoseconds_add_up, "1.4")
{
    int kq = queue();
    struct kevent ev;
    struct timespec time = {1, 200000000};
    int64_t begin = now();
    CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &time), 0);
    CHECK_GE(now() - begin, 1200 * MILLISECOND);
}

/* 1.4 Nanoseconds count: 0.1 ms is not rounded up to a whole millisecond. */
TEST(short_timeouts_are_short, "1.4")
{
#ifdef SYS_epoll_pwait2
    if (strncmp(suite_backend(), "linux", 5) == 0
        && syscall(SYS_epoll_pwait2, -1, NULL, 0, NULL, NULL, 0) == -1 && errno == ENOSYS)
        SKIP("before Linux 5.11 a time-out is rounded up to milliseconds");
#endif
    int kq = queue();
    struct kevent ev;
    struct timespec time = duration(100000);
    int64_t best = INT64_MAX;
    for (int i = 0; i < 200; i++) {
        int64_t begin = now();
        CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &time), 0);
        int64_t took = now() - begin;
        best = took < best ? took : best;
    }
    CHECK_LE(best, 900000 * (int64_t)patience());
}

/* 1.4 Time-outs beyond 2^31 seconds, or milliseconds, or what a 64-bit count of nanoseconds holds, do not end early. */
TEST(huge_timeouts_wait, "1.4")
{
    int kq = queue();
    static const struct timespec times[] = {
        {60, 999999999},
        {2147483, 647000000},          /* 2^31 - 1 ms */
        {2147483, 648000000},
        {4294967, 295000000},          /* 2^32 - 1 ms */
        {4294967, 296000000},
        {50 * 86400, 0},               /* 50 days: past 2^32 ms */
        {100000000, 0},                /* what FreeBSD once allowed at most */
        {2147483647, 999999999},
#if LONG_MAX > 0x7fffffff
        {2147483648, 0},
        {4294967295, 0},
        {4294967296, 0},
        {4294967297, 500},
        {9223372036, 854775807},       /* 2^63 - 1 ns */
        {9223372036, 854775808},
        {9223372037, 0},
        {18446744073, 709551616},      /* 2^64 ns */
        {18446744073, 800000000},
        {9223372036854775, 0},
        {9223372036854776, 0},
        {LONG_MAX / 2, 0},
        {LONG_MAX - 1, 999999999},
        {LONG_MAX, 0},
#endif
        {LONG_MAX, 999999999},
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct kevent ev;
        change(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 10, i);
        CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &times[i]), 1);
        EXPECT_EVENT(ev, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, i);
    }
}

struct waiter {
    int kq;
    const struct timespec *timeout;
    int result;
    int error;
    struct kevent ev;
    atomic_int done;
};

static void *wait_once(void *argument)
{
    struct waiter *waiter = argument;
    waiter->result = kevent(waiter->kq, NULL, 0, &waiter->ev, 1, waiter->timeout);
    waiter->error = errno;
    waiter->done = 1;
    return NULL;
}

/* 1.4 The same with nothing else in the queue: the thread sleeps until another triggers an event. */
TEST(huge_timeouts_sleep, "1.4")
{
    static const struct timespec times[] = {{50 * 86400, 0}, {LONG_MAX, 999999999}, {2147483647, 0}};
    for (size_t i = 0; i < 4; i++) {
        struct waiter waiter = {.kq = queue(), .timeout = i < 3 ? &times[i] : NULL};
        struct thread thread;
        change(waiter.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
        start(&thread, wait_once, &waiter);
        until_asleep(&thread);
        CHECK(!waiter.done);
        change(waiter.kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 7, 8);
        join(&thread);
        CHECK_EQ(waiter.result, 1);
        EXPECT_EVENT(waiter.ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 7, 8);
    }
}

/* 1.4 time-out NULL never returns 0, whatever the queue is woken for that comes to nothing. */
TEST(null_never_returns_zero, "1.4 10.5")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    int kq = waiter.kq, fds[2], quiet[2];
    pipe_pair(fds);
    pipe_pair(quiet);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    change(kq, 2, EVFILT_USER, EV_ADD | EV_DISABLE, 0, 0, 0);
    change(kq, 3, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 1, 0);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_LOWAT, 100, 0);
    change(kq, quiet[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 0);
    start(&thread, wait_once, &waiter);
    until_asleep(&thread);
    put(quiet[1], 1);
    OK(close(quiet[1]));
    for (int i = 0; i < 50; i++) {
        change(kq, 2, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
        change(kq, 4, EVFILT_USER, EV_ADD | EV_DISABLE, NOTE_TRIGGER, 0, 0);
        change(kq, 4, EVFILT_USER, EV_DELETE, 0, 0, 0);
        change(kq, 5, EVFILT_TIMER, EV_ADD, 0, 3600000 - i, 0);
        change(kq, 5, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
        put(fds[1], 1);
        struct timespec little = duration(MILLISECOND);
        nanosleep(&little, NULL);
        CHECK(!waiter.done);
    }
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 7, 8);
    join(&thread);
    CHECK_EQ(waiter.result, 1);
    EXPECT_EVENT(waiter.ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 7, 8);
}

/* 1.4 What wakes the queue and comes to nothing neither shortens a time-out nor starts it anew. */
TEST(timeout_survives_idle_wakeups, "1.4")
{
    struct timespec time = duration(150 * MILLISECOND);
    struct waiter waiter = {.kq = queue(), .timeout = &time};
    struct thread thread;
    int kq = waiter.kq, fds[2];
    pipe_pair(fds);
    change(kq, 2, EVFILT_USER, EV_ADD | EV_DISABLE, 0, 0, 0);
    change(kq, 3, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 1, 0);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_LOWAT, 60000, 0);
    int64_t begin = now();
    start(&thread, wait_once, &waiter);
    while (!waiter.done) {
        change(kq, 2, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
        if (now() - begin < 100 * MILLISECOND)
            put(fds[1], 1);
        struct timespec little = duration(MILLISECOND);
        nanosleep(&little, NULL);
        CHECK_LE(now() - begin, 5 * SECOND * patience());
    }
    join(&thread);
    CHECK_EQ(waiter.result, 0);
    CHECK_GE(now() - begin, 150 * MILLISECOND);
}

/* 1.4 An event that comes during the wait ends it. */
TEST(event_ends_the_wait, "1.4")
{
    struct timespec hour = {3600, 0};
    int fds[2];
    pipe_pair(fds);
    struct waiter waiter = {.kq = queue(), .timeout = &hour};
    struct thread thread;
    change(waiter.kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 5);
    start(&thread, wait_once, &waiter);
    until_asleep(&thread);
    put(fds[1], 3);
    join(&thread);
    CHECK_EQ(waiter.result, 1);
    EXPECT_EVENT(waiter.ev, fds[0], EVFILT_READ, EV_ADD, 0, 3, 5);
}

/* ---- 1.9 ---------------------------------------------------------------------------------------- */

static atomic_int caught;

static void count_signal(int number)
{
    (void)number;
    caught++;
}

static void handle(int number, int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = count_signal;
    action.sa_flags = flags;
    OK(sigaction(number, &action, NULL));
}

struct sender {
    pthread_t target;
    atomic_int stop;
};

/* Sends SIGUSR1 until told to stop: one of them meets the target asleep. */
static void *send_signals(void *argument)
{
    struct sender *sender = argument;
    while (!sender->stop) {
        struct timespec little = duration(2 * MILLISECOND);
        nanosleep(&little, NULL);
        pthread_kill(sender->target, SIGUSR1);
    }
    return NULL;
}

static void is_interrupted(int kq, const struct kevent *changes, int count, const struct timespec *timeout)
{
    struct sender sender = {pthread_self(), 0};
    struct thread thread;
    struct kevent ev[2];
    start(&thread, send_signals, &sender);
    int before = caught;
    errno = 0;
    int n = kevent(kq, changes, count, ev, 2, timeout);
    int error = errno;
    sender.stop = 1;
    join(&thread);
    CHECK_EQ(n, -1);
    CHECK_EQ(error, EINTR);
    CHECK_GE(caught, before + 1);
}

/* 1.9 EINTR after a caught signal while waiting. */
TEST(caught_signal_is_eintr, "1.9")
{
    int kq = queue();
    struct timespec hour = {3600, 0};
    handle(SIGUSR1, 0);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 0);
    is_interrupted(kq, NULL, 0, NULL);
    is_interrupted(kq, NULL, 0, &hour);
    struct kevent ev;
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 1, 2);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 1, 2);
}

/* 1.9 SA_RESTART does not restart kevent. */
TEST(sa_restart_is_eintr_too, "1.9")
{
    int kq = queue();
    struct timespec hour = {3600, 0};
    handle(SIGUSR1, SA_RESTART);
    is_interrupted(kq, NULL, 0, NULL);
    is_interrupted(kq, NULL, 0, &hour);
}

/* 1.9 When kevent is interrupted, all changes have been applied, once. */
TEST(interrupted_call_has_applied_its_changes, "1.9")
{
    enum { N = 200 };
    int kq = queue();
    struct kevent changes[N], ev[4];
    handle(SIGUSR1, 0);
    change(kq, N, EVFILT_USER, EV_ADD, 0, 0, 0);
    for (int i = 0; i < N - 1; i++)
        changes[i] = EVENT(i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    changes[N - 1] = EVENT(N, EVFILT_USER, EV_DELETE, 0, 0, 0);
    is_interrupted(kq, changes, N, NULL);
    CHECK_EQ(change_errno(kq, N, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
    for (int i = 0; i < N - 1; i++) {
        change(kq, i, EVFILT_USER, 0, NOTE_TRIGGER, i, i);
        CHECK_EQ(collect(kq, ev, 4), 1);
        EXPECT_EVENT(ev[0], i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, i, i);
    }
}

/* 1.9 A signal that is ignored or blocked interrupts nothing. */
TEST(only_caught_signals_interrupt, "1.9")
{
    int kq = queue();
    struct sender sender = {pthread_self(), 0};
    struct thread thread;
    struct kevent ev;
    sigset_t set;
    signal(SIGUSR1, SIG_IGN);
    start(&thread, send_signals, &sender);
    for (int i = 0; i < 10; i++) {
        change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20, 6);
        CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, NULL), 1);
        EXPECT_EVENT(ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 6);
        if (i == 4) {
            OK(sigemptyset(&set));
            OK(sigaddset(&set, SIGUSR1));
            OK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
            handle(SIGUSR1, 0);
        }
    }
    sender.stop = 1;
    join(&thread);
    CHECK_EQ(caught, 0);
}

/* 1.9 A signal that another thread catches interrupts only that thread's call. */
TEST(signals_of_other_threads_do_not_interrupt, "1.9")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    sigset_t set, old;
    handle(SIGUSR1, 0);
    change(waiter.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    OK(sigemptyset(&set));
    OK(sigaddset(&set, SIGUSR1));
    OK0(pthread_sigmask(SIG_BLOCK, &set, &old));
    start(&thread, wait_once, &waiter);
    OK0(pthread_sigmask(SIG_SETMASK, &old, NULL));
    until_asleep(&thread);
    for (int i = 0; i < 20; i++)
        OK(kill(getpid(), SIGUSR1));
    CHECK_GE(caught, 1);
    change(waiter.kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    join(&thread);
    CHECK_EQ(waiter.result, 1);
}

static int handler_queue;

static void trigger_in_handler(int number)
{
    struct kevent change;
    int error = errno;
    (void)number;
    EV_SET(&change, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
    if (kevent(handler_queue, &change, 1, NULL, 0, NULL) == 0)
        caught++;
    errno = error;
}

/* 1.9 kevent is a system call: a handler may call it, also for the queue that it interrupted. */
TEST(handler_triggers_an_event, "1.9 9.4")
{
    int kq = handler_queue = queue();
    struct kevent ev;
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    signal(SIGALRM, trigger_in_handler);
    struct itimerspec every = {{0, 300000}, {0, 300000}};
    timer_t timer;
    OK(timer_create(CLOCK_MONOTONIC, NULL, &timer));
    OK(timer_settime(timer, 0, &every, NULL));
    for (int events = 0; events < 300;) {
        int n = kevent(kq, NULL, 0, &ev, 1, NULL);
        if (n == -1) {
            CHECK_EQ(errno, EINTR);
            continue;
        }
        CHECK_EQ(n, 1);
        EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
        events++;
        /* Changes too are interrupted anywhere. */
        change(kq, 2, EVFILT_USER, EV_ADD, 0, 0, 0);
        change(kq, 2, EVFILT_USER, EV_DELETE, 0, 0, 0);
    }
    OK(timer_delete(timer));
    CHECK_GE(caught, 300);
}

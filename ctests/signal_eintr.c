/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_SIGNAL and EINTR: what interrupts a kevent() that waits, and what does not.
 */
#define SUITE "signal"
#include "suite.h"

#include "signals.h"

#include <sched.h>
#include <stdatomic.h>

/* A thread that sleeps in kevent() on a queue which has nothing to report. */
struct sleeper {
    struct thread thread;
    int kq;
    atomic_int interrupted; /* how often kevent was EINTR */
};

static void *sleep_in_kevent(void *argument)
{
    struct sleeper *sleeper = argument;
    for (;;) {
        struct kevent ev;
        int count = kevent(sleeper->kq, NULL, 0, &ev, 1, NULL);
        if (count == 1) {
            EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xbeef);
            return NULL;
        }
        CHECK_EQ(count, -1);
        CHECK_EQ(errno, EINTR);
        sleeper->interrupted++;
    }
}

static void start_sleeper(struct sleeper *sleeper, int kq)
{
    *sleeper = (struct sleeper){.kq = kq};
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xbeef);
    start(&sleeper->thread, sleep_in_kevent, sleeper);
    until_asleep(&sleeper->thread);
}

static void stop_sleeper(struct sleeper *sleeper)
{
    change(sleeper->kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0xbeef);
    join(&sleeper->thread);
}

/* 7.2 A signal that is only recorded does not interrupt kevent(), whoever watches it. */
TEST(recorded_does_not_interrupt, "7.2")
{
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN};
    for (int i = 0; i < 4; i++) {
        struct sleeper sleeper;
        int kq = queue(), other = queue();
        set_handler(SIGUSR1, handlers[i % 2], 0);
        if (i < 2)
            change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_DISABLE, 0, 0, 0xfeed);
        watch(other, SIGUSR1);
        start_sleeper(&sleeper, kq);
        for (int round = 0; round < 20; round++) {
            OK0(pthread_kill(sleeper.thread.id, SIGUSR1));
            send(SIGUSR1);
        }
        stop_sleeper(&sleeper);
        CHECK_EQ(sleeper.interrupted, 0);
        EXPECT_SIGNAL_MERGED(other, SIGUSR1);
    }
}

/* 1.9 7.2 The program's own does, SA_RESTART or not, watched or not. */
TEST(handled_interrupts, "1.9 7.2")
{
    for (int i = 0; i < 4; i++) {
        struct sleeper sleeper;
        int kq = queue(), other = queue();
        set_handler(SIGUSR2, count_signal, i % 2 ? SA_RESTART : 0);
        watch(other, SIGUSR1);
        if (i < 2)
            watch(other, SIGUSR2);
        start_sleeper(&sleeper, kq);
        for (int round = 1; round <= 10; round++) {
            OK0(pthread_kill(sleeper.thread.id, SIGUSR2));
            while (sleeper.interrupted < round)
                sched_yield();
            until_asleep(&sleeper.thread);
        }
        stop_sleeper(&sleeper);
        if (i < 2)
            EXPECT_SIGNAL(other, SIGUSR2, 10);
    }
}

/* 7.2 It does so also where it comes together with one that is only recorded: of 1,000 pairs, all. */
static void pairs(int own_first, int disabled)
{
    struct sleeper sleeper;
    int kq = queue(), other = queue();
    set_handler(SIGUSR2, count_signal, 0);
    watch(other, SIGUSR1);
    if (disabled)
        change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_DISABLE, 0, 0, 0xfeed);
    start_sleeper(&sleeper, kq);
    for (int round = 1; round <= 1000; round++) {
        until_asleep(&sleeper.thread);
        OK0(pthread_kill(sleeper.thread.id, own_first ? SIGUSR2 : SIGUSR1));
        OK0(pthread_kill(sleeper.thread.id, own_first ? SIGUSR1 : SIGUSR2));
        while (sleeper.interrupted < round)
            sched_yield();
    }
    stop_sleeper(&sleeper);
    CHECK_EQ(sleeper.interrupted, 1000);
    CHECK_EQ(handled, 1000);
    EXPECT_SIGNAL_MERGED(other, SIGUSR1);
}

TEST_LIMIT(pair_recorded_first, "7.2", 20)
{
    pairs(0, 0);
}

TEST_LIMIT(pair_own_first, "7.2", 20)
{
    pairs(1, 0);
}

TEST_LIMIT(pair_with_a_disabled_event, "7.2 2.5", 20)
{
    pairs(0, 1);
}

/* 7.2 Where kevent() reports the recorded one, the pair is told whole too: by an event, and by the handler. */
struct both {
    int kq;
    atomic_int events;
};

static void *collect_pairs(void *argument)
{
    struct both *both = argument;
    for (;;) {
        struct kevent ev;
        int count = kevent(both->kq, NULL, 0, &ev, 1, NULL);
        if (count == -1) {
            CHECK_EQ(errno, EINTR);
        } else if (ev.filter == EVFILT_USER) {
            return NULL;
        } else {
            CHECK_EQ(count, 1);
            EXPECT_EVENT(ev, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0xfeed);
            both->events++;
        }
    }
}

TEST_LIMIT(pair_with_an_event, "7.2 7.1", 20)
{
    struct thread thread;
    struct both both = {.kq = queue()};
    set_handler(SIGUSR2, count_signal, 0);
    watch(both.kq, SIGUSR1);
    change(both.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xbeef);
    start(&thread, collect_pairs, &both);
    for (int round = 1; round <= 1000; round++) {
        until_asleep(&thread);
        OK0(pthread_kill(thread.id, SIGUSR1));
        OK0(pthread_kill(thread.id, SIGUSR2));
        while (both.events < round || handled < round)
            sched_yield();
    }
    change(both.kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0xbeef);
    join(&thread);
    CHECK_EQ(handled, 1000);
    CHECK_EQ(both.events, 1000);
}

/* 1.4 A storm of signals that are only recorded neither ends nor lengthens a time-out. */
static atomic_int release;

static void *storm(void *argument)
{
    pthread_t target = *(pthread_t *)argument;
    while (!release)
        pthread_kill(target, SIGUSR1);
    return NULL;
}

TEST(timeout_in_a_storm, "7.2 1.4")
{
    struct thread thread;
    pthread_t self = pthread_self();
    int kq = queue(), other = queue();
    watch(other, SIGUSR1);
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_DISABLE, 0, 0, 0xfeed);
    start(&thread, storm, &self);
    for (int round = 0; round < 5; round++) {
        struct kevent ev;
        struct timespec timeout = duration(50 * MILLISECOND);
        int64_t begin = now();
        CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &timeout), 0);
        CHECK_GE(now() - begin, 50 * MILLISECOND);
        CHECK_LE(now() - begin, 2 * SECOND * patience());
    }
    release = 1;
    join(&thread);
    EXPECT_SIGNAL_MERGED(other, SIGUSR1);
}

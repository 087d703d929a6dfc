/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_SIGNAL and EINTR: what interrupts a kevent() that waits, and what does not.
 */
#define SUITE "signal"
#include "suite.h"

#include "signals.h"

#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <ucontext.h>

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

/* ---- A sleep that is interrupted and goes on ------------------------------------------------------ */

/* Threads that wait on one queue and count what each call came to. */
struct counting {
    struct thread thread;
    int kq;
    atomic_int events;
    atomic_int interrupted;
    atomic_int stop;
};

static void *wait_on(void *argument)
{
    struct counting *waiter = argument;
    while (!waiter->stop) {
        struct kevent ev;
        int count = kevent(waiter->kq, NULL, 0, &ev, 1, NULL);
        if (count == 1) {
            waiter->events++;
        } else {
            CHECK_EQ(count, -1);
            CHECK_EQ(errno, EINTR);
            waiter->interrupted++;
        }
        mask_is(0);
    }
    return NULL;
}

static void nap_for(int steps)
{
    for (volatile int i = 0; i < steps; i++)
        continue;
}

static void wake_for_nothing(int kq)
{
    enum { ROUNDS = 600 };
    static struct counting waiter[2];
    watch(kq, SIGUSR1);
    for (int i = 0; i < 2; i++) {
        waiter[i].kq = kq;
        start(&waiter[i].thread, wait_on, &waiter[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int returned[2], events = waiter[0].events + waiter[1].events;
        for (int i = 0; i < 2; i++) {
            until_asleep(&waiter[i].thread);
            returned[i] = waiter[i].events + waiter[i].interrupted;
        }
        send(SIGUSR1);
        nap_for(round % 40 * 1000);
        for (int i = 0; i < 2; i++)
            OK0(pthread_kill(waiter[(i + round) % 2].thread.id, SIGUSR2));
        for (int i = 0; i < 2; i++)
            while (waiter[i].events + waiter[i].interrupted == returned[i])
                sched_yield();
        while (waiter[0].events + waiter[1].events == events)
            sched_yield();
    }
    for (int i = 0; i < 2; i++) {
        until_asleep(&waiter[i].thread);
        waiter[i].stop = 1;
        OK0(pthread_kill(waiter[i].thread.id, SIGUSR2));
        join(&waiter[i].thread);
    }
    CHECK_EQ(waiter[0].events + waiter[1].events >= ROUNDS, 1);
}

/* 1.9 7.2 Also where the other thread takes the event, so that this one was woken for nothing. */
TEST_LIMIT(woken_for_nothing, "1.9 7.2", 30)
{
    int kq = queue();
    set_handler(SIGUSR2, count_signal, 0);
    wake_for_nothing(kq);
}

/* 1.9 7.2 And where the handler was there before the first kqueue. */
TEST_LIMIT(woken_for_nothing_beside_an_older_handler, "1.9 7.2", 30)
{
    set_handler(SIGUSR2, count_signal, 0);
    wake_for_nothing(queue());
}

/* 1.9 The same where nothing is swallowed: data below the mark wakes the thread, and a watched signal comes. */
TEST_LIMIT(watched_and_woken_for_nothing, "1.9 3.1", 30)
{
    enum { ROUNDS = 400 };
    static struct counting waiter;
    int kq = queue(), other = queue(), fds[2];
    socket_pair(fds);
    set_handler(SIGUSR2, count_signal, 0);
    watch(other, SIGUSR2);
    change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 1000, 0);
    waiter.kq = kq;
    start(&waiter.thread, wait_on, &waiter);
    for (int round = 1; round <= ROUNDS; round++) {
        until_asleep(&waiter.thread);
        put(fds[1], 1);
        nap_for(round % 40 * 1000);
        waiter.stop = round == ROUNDS;
        OK0(pthread_kill(waiter.thread.id, SIGUSR2));
        while (waiter.interrupted < round)
            sched_yield();
        take(fds[0], 1);
    }
    join(&waiter.thread);
    CHECK_EQ(waiter.events, 0);
    EXPECT_SIGNAL(other, SIGUSR2, ROUNDS);
}

/* 1.9 7.2 A handler that collects the event of its own signal: the wait that it interrupted is EINTR. */
static int own_queue;
static atomic_int collected;

static void collect_own(int signo)
{
    struct kevent ev;
    struct timespec at_once = {0, 0};
    if (kevent(own_queue, NULL, 0, &ev, 1, &at_once) == 1 && (int)ev.ident == signo)
        collected++;
    errno = EDOM;
}

static void collecting_handler(int swallowed)
{
    static struct counting waiter;
    own_queue = waiter.kq = queue();
    set_handler(SIGUSR2, collect_own, 0);
    watch(own_queue, SIGUSR2);
    if (swallowed)
        watch(own_queue, SIGUSR1);
    start(&waiter.thread, wait_on, &waiter);
    for (int round = 1; round <= 200; round++) {
        until_asleep(&waiter.thread);
        OK0(pthread_kill(waiter.thread.id, SIGUSR2));
        while (waiter.interrupted < round)
            sched_yield();
        CHECK_EQ(collected, round);
    }
    until_asleep(&waiter.thread);
    waiter.stop = 1;
    OK0(pthread_kill(waiter.thread.id, SIGUSR2));
    join(&waiter.thread);
    CHECK_EQ(waiter.events, 0);
}

TEST(handler_collects_while_waited_for, "1.9 7.2")
{
    collecting_handler(0);
}

TEST(handler_collects_beside_a_recorded_one, "1.9 7.2")
{
    collecting_handler(1);
}

/* 7.2 7.4 A thread that waits already is not interrupted by what another begins to watch and the program ignores. */
TEST(watched_while_asleep, "7.2 7.4")
{
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN};
    for (int i = 0; i < 4; i++) {
        struct sleeper sleeper;
        int kq = queue(), other = queue();
        if (i >= 2)
            watch(other, SIGWINCH);
        set_handler(SIGUSR1, handlers[i % 2], 0);
        start_sleeper(&sleeper, kq);
        watch(other, SIGUSR1);
        OK0(pthread_kill(sleeper.thread.id, SIGUSR1));
        EXPECT_SIGNAL(other, SIGUSR1, 1);
        stop_sleeper(&sleeper);
        CHECK_EQ(sleeper.interrupted, 0);
        OK(close(other));
    }
}

/* 7.2 What nobody watches and the system ignores does not interrupt, whatever else is watched and handled. */
TEST(unwatched_and_ignored_does_not_interrupt, "7.2")
{
    struct sleeper sleeper;
    int kq = queue(), other = queue();
    set_handler(SIGUSR2, count_signal, 0);
    watch(other, SIGUSR1);
    start_sleeper(&sleeper, kq);
    for (int round = 1; round <= 300; round++) {
        send(SIGCHLD);
        OK0(pthread_kill(sleeper.thread.id, SIGUSR1));
        OK0(pthread_kill(sleeper.thread.id, SIGCHLD));
        change(kq, 2, EVFILT_USER, EV_ADD | EV_ONESHOT | EV_DISABLE, 0, 0, 0);
        change(kq, 2, EVFILT_USER, EV_DELETE, 0, 0, 0);
    }
    stop_sleeper(&sleeper);
    CHECK_EQ(sleeper.interrupted, 0);
    EXPECT_SIGNAL_MERGED(other, SIGUSR1);
}

/* ---- The mask after a sleep with another one ------------------------------------------------------- */

static void sleep_specially(int other)
{
    set_handler(SIGUSR2, count_signal, 0);
    watch(other, SIGUSR1);
}

/* 7.5 The mask is the program's again after every kind of return. */
TEST(mask_after_a_return, "7.5 1.4")
{
    int kq = queue(), other = queue();
    struct kevent ev;
    struct timespec timeout = duration(MILLISECOND);
    sleep_specially(other);
    mask(SIG_BLOCK, SIGHUP);
    CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &timeout), 0);
    mask_is(SIGHUP);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 0);
    wait_event(kq, &ev);
    mask_is(SIGHUP);
    OK(close(kq));
    CHECK_ERRNO(kevent(kq, NULL, 0, &ev, 1, NULL), EBADF);
    mask_is(SIGHUP);
}

/* 1.9 A handler that changes errno: EINTR is told all the same. 7.5 And what it blocks for good stays blocked. */
static void block_for_good(int signo, siginfo_t *info, void *context)
{
    (void)info;
    sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGHUP);
    count_signal(signo);
    errno = EDOM;
}

static void *interrupted_once(void *argument)
{
    struct kevent ev;
    CHECK_ERRNO(kevent(*(int *)argument, NULL, 0, &ev, 1, NULL), EINTR);
    mask_is(SIGHUP);
    return NULL;
}

TEST(handler_changes_what_is_gone_on_with, "1.9 7.5")
{
    struct thread thread;
    struct sigaction action = {.sa_sigaction = block_for_good, .sa_flags = SA_SIGINFO};
    int kq = queue(), other = queue();
    sleep_specially(other);
    OK(sigaction(SIGUSR2, &action, NULL));
    start(&thread, interrupted_once, &kq);
    until_asleep(&thread);
    while (handled == 0) {
        OK0(pthread_kill(thread.id, SIGUSR2));
        until_asleep(&thread);
    }
    join(&thread);
}

/* 1.13 7.5 Also for the clean-up handlers of a thread that is cancelled in its wait. */
static atomic_int cleaned_up;

static void check_mask(void *unused)
{
    sigset_t set;
    (void)unused;
    OK0(pthread_sigmask(SIG_BLOCK, NULL, &set));
    for (int signo = 1; signo < 32; signo++) /* the next is libc's, and cancels threads */
        CHECK_EQ(sigismember(&set, signo), signo == SIGHUP);
    cleaned_up = 1;
}

static void *wait_to_be_cancelled(void *argument)
{
    struct kevent ev;
    mask(SIG_BLOCK, SIGHUP);
    pthread_cleanup_push(check_mask, NULL);
    for (;;)
        kevent(*(int *)argument, NULL, 0, &ev, 1, NULL);
    pthread_cleanup_pop(0);
    return NULL;
}

TEST(mask_after_cancellation, "1.13 7.5")
{
    struct thread thread;
    int kq = queue(), other = queue();
    sleep_specially(other);
    start(&thread, wait_to_be_cancelled, &kq);
    until_asleep(&thread);
    OK0(pthread_cancel(thread.id));
    CHECK(join(&thread) == PTHREAD_CANCELED);
    CHECK(cleaned_up);
}

/* 7.5 And after siglongjmp() out of a handler that interrupted the wait. */
static sigjmp_buf back;

static void jump_back(int signo)
{
    count_signal(signo);
    siglongjmp(back, 1);
}

static void *wait_and_jump(void *argument)
{
    struct kevent ev;
    if (sigsetjmp(back, 1) == 0) {
        kevent(*(int *)argument, NULL, 0, &ev, 1, NULL);
        FAIL("the handler did not jump");
    }
    mask_is(0);
    return NULL;
}

TEST(mask_after_a_jump, "7.2 7.5")
{
    struct thread thread;
    struct kevent ev;
    int kq = queue(), other = queue();
    sleep_specially(other);
    set_handler(SIGUSR2, jump_back, 0);
    start(&thread, wait_and_jump, &kq);
    until_asleep(&thread);
    OK0(pthread_kill(thread.id, SIGUSR2));
    join(&thread);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0);
    wait_event(kq, &ev);
}

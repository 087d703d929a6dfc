/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_SIGNAL with threads, and with blocked signals.
 */
#define SUITE "signal"
#include "suite.h"

#include "signals.h"

#include <stdatomic.h>

/* ---- Blocked signals ---------------------------------------------------------------------------- */

/* 7.1 7.2 A signal blocked before EV_ADD is reported, and is then no longer pending. */
TEST(blocked_before, "7.1 7.2")
{
    int kq = queue();
    mask(SIG_BLOCK, SIGUSR1);
    watch(kq, SIGUSR1);
    nothing(kq);
    send(SIGUSR1);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    CHECK(!is_pending(SIGUSR1));
    send(SIGUSR1);
    send(SIGUSR1);
    EXPECT_SIGNAL_MERGED(kq, SIGUSR1);
    nothing(kq);
    mask_is(SIGUSR1);
}

/* 7.4 One that is blocked after EV_ADD is heard too, and so is one that is unblocked again. */
TEST(blocked_after, "7.1 7.4")
{
    int kq = queue();
    set_handler(SIGUSR1, count_signal, 0);
    watch(kq, SIGUSR1);
    mask(SIG_BLOCK, SIGUSR1);
    send(SIGUSR1);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    CHECK_EQ(handled, 0);
    mask(SIG_UNBLOCK, SIGUSR1);
    CHECK_EQ(handled, 0);
    send(SIGUSR1);
    CHECK_EQ(handled, 1);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
}

/* 7.1 Unblocked before it was reported, it goes to the handler, and is counted once. */
TEST(unblocked_before_it_is_reported, "7.1 7.2")
{
    int kq = queue();
    set_handler(SIGUSR1, count_signal, 0);
    watch(kq, SIGUSR1);
    mask(SIG_BLOCK, SIGUSR1);
    send(SIGUSR1);
    mask(SIG_UNBLOCK, SIGUSR1);
    CHECK_EQ(handled, 1);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    nothing(kq);
}

/* 7.3 A signal that was pending before EV_ADD is not discarded, whatever is done with it. */
TEST(pending_before, "7.3")
{
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, count_signal};
    for (int i = 0; i < 3; i++) {
        int kq = queue();
        set_handler(SIGUSR1, handlers[i], 0);
        mask(SIG_BLOCK, SIGUSR1);
        send(SIGUSR1);
        watch(kq, SIGUSR1);
        CHECK(is_pending(SIGUSR1));
        EXPECT_SIGNAL(kq, SIGUSR1, 1);
        nothing(kq);
    }
    CHECK_EQ(handled, 0);
}

/* 7.3 7.5 Nor is it by an EV_DELETE: unblocked, it does what it would have done. */
TEST(pending_after_delete, "7.3 7.5")
{
    int kq = queue();
    set_handler(SIGUSR1, count_signal, 0);
    mask(SIG_BLOCK, SIGUSR1);
    watch(kq, SIGUSR1);
    send(SIGUSR1);
    unwatch(kq, SIGUSR1);
    nothing(kq);
    CHECK(is_pending(SIGUSR1));
    mask(SIG_UNBLOCK, SIGUSR1);
    CHECK_EQ(handled, 1);
}

/* 7.5 Also where it is ignored: sigwait() finds it. Later ones are ignored again. */
TEST(sigwait_after_delete, "7.5")
{
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    for (int i = 0; i < 2; i++) {
        int kq = queue();
        siginfo_t info;
        struct timespec timeout = duration(0);
        set_handler(SIGURG, handlers[i], 0);
        mask(SIG_BLOCK, SIGURG);
        watch(kq, SIGURG);
        OK(sigqueue(getpid(), SIGURG, (union sigval){.sival_int = 4711}));
        unwatch(kq, SIGURG);
        CHECK_EQ(sigtimedwait(&set, &info, &timeout), SIGURG);
        CHECK_EQ(info.si_value.sival_int, 4711);
        mask(SIG_UNBLOCK, SIGURG);
        send(SIGURG);
        CHECK(handler_of(SIGURG) == handlers[i]);
        watch(kq, SIGURG);
        nothing(kq);
        send(SIGURG);
        EXPECT_SIGNAL(kq, SIGURG, 1);
    }
}

/* 7.1 A disabled event alone does not take the pending signal; enabled, it reports it. */
TEST(disabled_leaves_it_pending, "7.1 2.5")
{
    int kq = queue();
    mask(SIG_BLOCK, SIGUSR1);
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_DISABLE, 0, 0, 0xfeed);
    send(SIGUSR1);
    nothing(kq);
    CHECK(!readable(kq));
    sleeps(kq);
    CHECK(is_pending(SIGUSR1));
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ENABLE, 0, 0, 0xfeed);
    CHECK(readable(kq));
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_DISABLE, 0, 0, 0xfeed);
    send(SIGUSR1);
    sleeps(kq);
    CHECK(is_pending(SIGUSR1));
}

/* 2.8 Nor does an event with EV_DISPATCH between its reports. */
TEST(dispatched_leaves_it_pending, "7.1 2.8")
{
    unsigned short flags = EV_ADD | EV_CLEAR | EV_DISPATCH;
    int kq = queue();
    mask(SIG_BLOCK, SIGUSR1);
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_DISPATCH, 0, 0, 0xfeed);
    send(SIGUSR1);
    EXPECT_NEXT(kq, SIGUSR1, EVFILT_SIGNAL, flags, 0, 1, 0xfeed);
    send(SIGUSR1);
    CHECK(!readable(kq));
    sleeps(kq);
    CHECK(is_pending(SIGUSR1));
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ENABLE, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, SIGUSR1, EVFILT_SIGNAL, flags, 0, 1, 0xfeed);
}

/* 7.1 Blocked are some signals and some not: each is reported, and each handler that may run does. */
TEST(some_are_blocked, "7.1 7.2")
{
    int kq = queue();
    set_handler(SIGUSR1, count_signal, 0);
    set_handler(SIGUSR2, count_signal, 0);
    watch(kq, SIGUSR1);
    watch(kq, SIGUSR2);
    mask(SIG_BLOCK, SIGUSR1);
    send(SIGUSR1);
    send(SIGUSR2);
    struct kevent ev[3];
    CHECK_EQ(collect(kq, ev, 3), 2);
    EXPECT_SIGNAL_AMONG(ev, 2, SIGUSR1, 1);
    EXPECT_SIGNAL_AMONG(ev, 2, SIGUSR2, 1);
    CHECK_EQ(handled, 1);
}

/* ---- Threads ------------------------------------------------------------------------------------ */

static atomic_int release;

static void *idle(void *argument)
{
    (void)argument;
    while (!release)
        usleep(1000);
    return NULL;
}

static void *spin(void *argument)
{
    (void)argument;
    while (!release)
        ;
    return NULL;
}

/* 7.4 Threads that existed before EV_ADD do not swallow the signal, whatever they do. */
TEST(older_threads, "7.4")
{
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, count_signal};
    struct thread threads[4];
    int kq = queue(), idler = queue();
    struct waiter waiter = {.kq = idler};
    change(idler, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xbeef);
    start(&threads[0], idle, NULL);
    start(&threads[1], idle, NULL);
    start(&threads[2], spin, NULL);
    start(&threads[3], wait_one, &waiter);
    until_asleep(&threads[3]);
    for (int i = 0; i < 3; i++) {
        set_handler(SIGUSR1, handlers[i], SA_RESTART);
        watch(kq, SIGUSR1);
        for (int round = 0; round < 20; round++) {
            send(SIGUSR1);
            EXPECT_SIGNAL(kq, SIGUSR1, 1);
        }
        unwatch(kq, SIGUSR1);
    }
    change(idler, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0xbeef);
    release = 1;
    for (int i = 0; i < 4; i++)
        join(&threads[i]);
    EXPECT_EVENT(waiter.ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xbeef);
}

/* 7.4 Also when all but they block it. */
TEST(older_threads_beside_a_blocked_one, "7.4")
{
    struct thread thread;
    int kq = queue();
    start(&thread, idle, NULL);
    mask(SIG_BLOCK, SIGUSR1);
    watch(kq, SIGUSR1);
    for (int round = 0; round < 20; round++) {
        send(SIGUSR1);
        EXPECT_SIGNAL(kq, SIGUSR1, 1);
    }
    release = 1;
    join(&thread);
}

/* 7.4 A signal sent to a thread is recorded. */
TEST(sent_to_a_thread, "7.4")
{
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, count_signal};
    struct thread thread;
    int kq = queue();
    start(&thread, idle, NULL);
    for (int i = 0; i < 3; i++) {
        set_handler(SIGUSR1, handlers[i], 0);
        watch(kq, SIGUSR1);
        OK0(pthread_kill(thread.id, SIGUSR1));
        EXPECT_SIGNAL(kq, SIGUSR1, 1);
        /* It is recorded before the handler runs there. */
        while (handlers[i] == count_signal && handled == 0)
            usleep(1000);
        OK0(pthread_kill(pthread_self(), SIGUSR1));
        EXPECT_SIGNAL(kq, SIGUSR1, 1);
    }
    CHECK_EQ(handled, 2);
    release = 1;
    join(&thread);
}

/* 7.4 Also to one that is waiting for it in kevent(), and ignores or blocks it. */
static int waits_blocking;

static void *wait_signal(void *argument)
{
    if (waits_blocking)
        mask(SIG_BLOCK, SIGUSR1);
    return wait_one(argument);
}

TEST(sent_to_the_waiting_thread, "7.4")
{
    for (waits_blocking = 0; waits_blocking < 2; waits_blocking++) {
        struct thread thread;
        struct waiter waiter = {.kq = queue()};
        watch(waiter.kq, SIGUSR1);
        start(&thread, wait_signal, &waiter);
        until_asleep(&thread);
        OK0(pthread_kill(thread.id, SIGUSR1));
        join(&thread);
        EXPECT_EVENT(waiter.ev, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0xfeed);
    }
}

/* 7.4 A thread that is not the main one may add it, and ends; it stays watched. */
static void *add_signal(void *argument)
{
    watch(*(int *)argument, SIGUSR1);
    return NULL;
}

TEST(added_by_another_thread, "7.4")
{
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, count_signal};
    for (int i = 0; i < 3; i++) {
        struct thread thread;
        int kq = queue();
        set_handler(SIGUSR1, handlers[i], 0);
        start(&thread, add_signal, &kq);
        join(&thread);
        send(SIGUSR1);
        EXPECT_SIGNAL(kq, SIGUSR1, 1);
        mask_is(0);
    }
}

/* 7.1 A signal wakes a sleeping kevent(), ignored, default, handled elsewhere or blocked. */
TEST(wakes_a_waiter, "7.1 7.2")
{
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, count_signal};
    for (int i = 0; i < 6; i++) {
        struct thread thread;
        struct waiter waiter = {.kq = queue()};
        set_handler(SIGUSR1, handlers[i % 3], 0);
        mask(i < 3 ? SIG_UNBLOCK : SIG_BLOCK, SIGUSR1);
        watch(waiter.kq, SIGUSR1);
        start(&thread, wait_one, &waiter);
        until_asleep(&thread);
        send(SIGUSR1);
        join(&thread);
        EXPECT_EVENT(waiter.ev, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0xfeed);
    }
    CHECK_EQ(handled, 1);
}

/* 2.5 EV_ENABLE by another thread wakes it too, for what came while the event was disabled. */
TEST(enable_wakes_a_waiter, "7.1 2.5")
{
    for (int blocked = 0; blocked < 2; blocked++) {
        struct thread thread;
        struct waiter waiter = {.kq = queue()};
        if (blocked)
            mask(SIG_BLOCK, SIGUSR1);
        change(waiter.kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_DISABLE, 0, 0, 0xfeed);
        start(&thread, wait_one, &waiter);
        until_asleep(&thread);
        send(SIGUSR1);
        change(waiter.kq, SIGUSR1, EVFILT_SIGNAL, EV_ENABLE, 0, 0, 0xfeed);
        join(&thread);
        EXPECT_EVENT(waiter.ev, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0xfeed);
    }
}

/* 7.1 No signal of several threads' is counted twice or lost, where a handler runs for each. */
static void *send_many(void *argument)
{
    (void)argument;
    for (int i = 0; i < 2000; i++)
        OK0(pthread_kill(pthread_self(), SIGUSR1));
    return NULL;
}

TEST(counts_of_several_threads, "7.1 7.4")
{
    struct thread threads[3];
    int kq = queue(), other = queue();
    intptr_t total = 0;
    set_handler(SIGUSR1, SIG_IGN, 0);
    watch(kq, SIGUSR1);
    watch(other, SIGUSR1);
    for (int i = 0; i < 3; i++)
        start(&threads[i], send_many, NULL);
    while (total < 6000) {
        struct kevent ev;
        CHECK_EQ(collect(kq, &ev, 1), 1);
        EXPECT_EVENT_ANY(ev, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0xfeed, DATA_AT_LEAST);
        total += ev.data;
    }
    for (int i = 0; i < 3; i++)
        join(&threads[i]);
    CHECK_EQ(total, 6000);
    nothing(kq);
    EXPECT_SIGNAL(other, SIGUSR1, 6000);
}

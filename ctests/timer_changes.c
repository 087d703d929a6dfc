/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_TIMER: timers that are changed while they run, and threads that wait for them.
 */
#define SUITE "timer_changes"
#include "suite.h"

#include "timers.h"

#include <stdatomic.h>

#define MS MILLISECOND
#define HOUR (3600 * 1000) /* milliseconds */

/* Returns when something else of this queue's has expired, so that what was due before is due. */
static void let_expire(int kq)
{
    while (!readable(kq))
        until(now() + MS);
}

/* ---- Added again -------------------------------------------------------------------------------- */

/* 2.1 2.5 A change that is refused changes nothing: not the time, not the udata, and a disabled timer stays disabled. */
TEST(refused_change_changes_nothing, "2.1 2.5 6.1")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 1, 0xfeed);
    CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS | NOTE_USECONDS, 1, 0xdead), EINVAL);
    change(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 3, 0xbeef);
    EXPECT_NEXT(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0xbeef);
    nothing(kq);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE | EV_KEEPUDATA, 0, 0, 0);
    struct kevent ev;
    wait_event(kq, &ev);
    EXPECT_EVENT_ANY(ev, 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, 0xfeed, DATA_AT_LEAST);
    CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE, NOTE_SECONDS | NOTE_USECONDS, 1, 0xdead), EINVAL);
    wait_event(kq, &ev);
    EXPECT_EVENT_ANY(ev, 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, 0xfeed, DATA_AT_LEAST);
}

/* 6.5 A timer that is deleted makes no other late: the order in which these are made puts it between a later one and the
 * last of a heap. */
TEST(deleting_one_makes_no_other_late, "6.5 2.6")
{
    static const int order[] = {2, 3, 1, 6, 4, 5, 0};
    static const int times[] = {10, 20, 30, 3000, 3100, 3200, 3300};
    int kq = queue(), count = 0;
    struct kevent ev[8];
    for (int i = 0; i < 7; i++)
        change(kq, order[i], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, times[order[i]] * patience(), order[i]);
    change(kq, 6, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    while (count < 3)
        count += collect(kq, ev + count, 3 - count);
    for (int i = 0; i < 3; i++) {
        struct kevent *found = find_event(ev, 3, i, EVFILT_TIMER);
        EXPECT_EVENT(*found, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, i);
    }
}

/* 6.6 Re-EV_ADD cancels and forgets the undelivered expirations. */
TEST(adding_again_forgets, "6.6")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
    until(now() + 3 * MS);
    let_expire(kq);
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, HOUR, 0);
    nothing(kq);
    CHECK(!readable(kq));
    change(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 0, 0);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0);
    nothing(kq);
}

/* 6.6 It starts anew with the new data: not before the new period has passed, and counted from there. */
TEST(adding_again_starts_anew, "6.6 6.5")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 20, 0xfeed);
    for (int round = 0; round < 3; round++) {
        until(now() + 15 * MS);
        struct ticks ticks = start_ticks(kq, 1, EV_ADD, 0, 20, 20 * MS);
        collect_ticks(&ticks);
        collect_ticks(&ticks);
    }
}

/* 6.6 And with the new unit; 2.1 and udata. */
TEST(adding_again_changes_the_unit, "6.6 2.1")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 0xdead);
    struct ticks ticks = start_ticks(kq, 1, EV_ADD, NOTE_USECONDS, 1500, 1500000);
    for (int round = 0; round < 5; round++)
        collect_ticks(&ticks);
    ticks = start_ticks(kq, 1, EV_ADD, 0, 4, 4 * MS);
    for (int round = 0; round < 5; round++)
        collect_ticks(&ticks);
}

/* 6.6 The same for a one-shot that is not due yet: a program that pushes it off never sees it. */
TEST(pushing_off, "6.6 6.5")
{
    int kq = queue();
    int64_t before = 0;
    for (int round = 0; round < 50; round++) {
        before = now();
        change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 40, 0xfeed);
        until(now() + MS);
    }
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0xfeed);
    CHECK_GE(now() - before, 40 * MS);
    nothing(kq);
}

/* 6.6 Also when it was disabled: EV_ADD enables it (2.1); what expired before is forgotten. */
TEST(adding_again_when_disabled, "6.6 2.1")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
    change(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 0, 0);
    until(now() + 5 * MS);
    struct ticks ticks = start_ticks(kq, 1, EV_ADD, 0, 10, 10 * MS);
    collect_ticks(&ticks);
    collect_ticks(&ticks);
    change(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 0, 0);
    until(now() + 25 * MS);
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, HOUR, 0);
    nothing(kq);
}

/* 6.6 2.1 EV_ADD with EV_DISABLE starts it anew and does not enable it. */
TEST(adding_again_disabled, "6.6 6.7 2.1 2.2")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, HOUR, 0);
    struct ticks ticks = start_ticks(kq, 1, EV_ADD | EV_DISABLE, 0, 2, 2 * MS);
    ticks.flags = EV_ADD | EV_CLEAR;
    until(now() + 7 * MS);
    nothing(kq);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0xfeed);
    collect_ticks(&ticks);
    CHECK_GE(ticks.last, 3);
}

/* 6.6 One-shot and absolute timers that have expired are forgotten as well. */
TEST(adding_again_forgets_one_shots, "6.6 6.4")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 0, 0);
    change(kq, 2, EVFILT_TIMER, EV_ADD, NOTE_ABSOLUTE, 1, 0);
    let_expire(kq);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, HOUR, 0);
    change(kq, 2, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 0);
    nothing(kq);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0);
    change(kq, 2, EVFILT_TIMER, EV_ENABLE, 0, 0, 0);
    nothing(kq);
}

/* 6.1 A change that is refused leaves the timer as it was. */
TEST(refused_change_leaves_the_timer, "6.1 6.6")
{
    int kq = queue();
    struct ticks ticks = start_ticks(kq, 1, EV_ADD, 0, 5, 5 * MS);
    CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS | NOTE_USECONDS, 1, 0xfeed), EINVAL);
    CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_ADD, 0, -1, 0xfeed), EINVAL);
    for (int round = 0; round < 3; round++)
        collect_ticks(&ticks);
}

/* ---- Disabled and enabled ----------------------------------------------------------------------- */

/* 6.7 EV_DISABLE does not stop the clock; the expirations are reported on EV_ENABLE. */
TEST(disabling_does_not_stop_the_clock, "6.7 6.2")
{
    int kq = queue();
    struct ticks ticks = start_ticks(kq, 1, EV_ADD, 0, 3, 3 * MS);
    collect_ticks(&ticks);
    for (int round = 0; round < 3; round++) {
        change(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 0, 0xfeed);
        until(now() + 14 * MS);
        nothing(kq);
        change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0xfeed);
        collect_ticks(&ticks);
        CHECK_GE(ticks.last, 4);
    }
}

/* 6.7 An expiration that was pending when the timer was disabled is not lost. */
TEST(pending_when_disabled, "6.7 2.5")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 0);
    until(now() + 2 * MS);
    let_expire(kq);
    change(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 0, 0xfeed);
    nothing(kq);
    sleeps(kq);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0xfeed);
    nothing(kq);
}

/* 6.7 A one-shot that expires while disabled is reported on EV_ENABLE, as one. */
TEST(one_shot_expires_while_disabled, "6.7 6.2 2.2")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_DISABLE, 0, 1, 0xfeed);
    until(now() + 10 * MS);
    nothing(kq);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0xfeed);
    CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0), ENOENT);
}

/* 6.7 EV_ENABLE with data 0 does not restart the period: a timer that is enabled over and over expires. */
TEST(enabling_does_not_restart, "6.7")
{
    struct kevent ev;
    struct timespec zero = {0, 0};
    int kq = queue();
    int64_t before = now();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 100, 0);
    do {
        change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0xfeed);
        until(now() + MS);
    } while (OK(kevent(kq, NULL, 0, &ev, 1, &zero)) == 0);
    CHECK_GE(now() - before, 100 * MS);
    EXPECT_EVENT(ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0xfeed);
}

/* 6.7 Nor does it forget: periodic counts are whole over any number of EV_DISABLE and EV_ENABLE. */
TEST(enabling_does_not_forget, "6.7 6.5")
{
    int kq = queue();
    struct ticks ticks = start_ticks(kq, 1, EV_ADD, NOTE_USECONDS, 1700, 1700000);
    for (int round = 0; round < 20; round++) {
        change(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 0, 0xfeed);
        until(now() + 2 * MS);
        change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0xfeed);
        collect_ticks(&ticks);
    }
}

/* 6.7 A change with data and without EV_ADD or EV_DISABLE re-arms as EV_ADD does. */
TEST(data_without_add_re_arms, "6.7 6.6")
{
    static const unsigned short actions[] = {EV_ENABLE, 0};
    for (size_t i = 0; i < 2; i++) {
        int kq = queue();
        change(kq, 1, EVFILT_TIMER, EV_ADD, 0, HOUR, 0xdead);
        struct ticks ticks = start_ticks(kq, 1, actions[i], 0, 5, 5 * MS);
        ticks.flags = EV_ADD | EV_CLEAR;
        for (int round = 0; round < 3; round++)
            collect_ticks(&ticks);
        until(now() + 6 * MS);
        change(kq, 1, EVFILT_TIMER, actions[i], 0, HOUR, 0xfeed);
        nothing(kq);
    }
}

/* 6.7 With EV_DISABLE it does not. */
TEST(data_with_disable_does_not_re_arm, "6.7")
{
    int kq = queue();
    struct ticks ticks = start_ticks(kq, 1, EV_ADD, 0, 5, 5 * MS);
    change(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, HOUR, 0xfeed);
    until(now() + 6 * MS);
    nothing(kq);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0xfeed);
    collect_ticks(&ticks);
    collect_ticks(&ticks);
}

/* ---- Deleted ------------------------------------------------------------------------------------ */

/* 2.6 A deleted timer reports nothing, also if it had expired; the others go on. */
TEST(deleted_timer_is_silent, "2.6 6.2 10.5")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
    change(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20, 0);
    until(now() + 2 * MS);
    change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    EXPECT_NEXT(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0);
    nothing(kq);
    sleeps(kq);
    CHECK(!readable(kq));
}

/* 6.2 A timer with the same ident after a delete is a new one. */
TEST(added_after_delete, "6.2 2.6")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 0);
    until(now() + 2 * MS);
    change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    struct ticks ticks = start_ticks(kq, 1, EV_ADD, 0, 5, 5 * MS);
    collect_ticks(&ticks);
    collect_ticks(&ticks);
}

/* ---- Threads ------------------------------------------------------------------------------------ */

/* 6.2 A thread that waits already hears of a timer that another adds, also if it is earlier than all others. */
TEST(added_while_waiting, "6.2 6.5")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    change(waiter.kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, HOUR, 0);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    int64_t before = now();
    change(waiter.kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20, 0xfeed);
    join(&thread);
    CHECK_GE(now() - before, 20 * MS);
    EXPECT_EVENT(waiter.ev, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0xfeed);
}

/* 6.6 A thread that waits already is held to the new period when another changes it. */
TEST(changed_while_waiting, "6.6 6.5")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    change(waiter.kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 300, 0);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    int64_t before = now();
    change(waiter.kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 600, 0xfeed);
    join(&thread);
    CHECK_GE(now() - before, 600 * MS);
    EXPECT_EVENT(waiter.ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0xfeed);
}

/* 2.7 6.2 Of several waiting threads exactly one gets each one-shot; the counts of a periodic one add up. */
struct crowd {
    int kq;
    atomic_int one_shots;
    atomic_llong ticks;
};

static void *wait_in_crowd(void *argument)
{
    struct crowd *crowd = argument;
    for (;;) {
        struct kevent ev;
        CHECK_EQ(kevent(crowd->kq, NULL, 0, &ev, 1, NULL), 1);
        if (ev.filter == EVFILT_USER)
            return NULL;
        if (ev.ident == 1)
            crowd->ticks += ev.data;
        else
            crowd->one_shots++;
        CHECK_GE(ev.data, 1);
    }
}

TEST(exactly_one_waiter, "2.7 6.2 6.5")
{
    enum { THREADS = 4, ONE_SHOTS = 100 };
    struct crowd crowd = {.kq = queue()};
    struct thread threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        start(&threads[i], wait_in_crowd, &crowd);
    int64_t started_after = now();
    change(crowd.kq, 1, EVFILT_TIMER, EV_ADD, NOTE_USECONDS, 300, 0);
    int64_t started_before = now();
    for (int i = 0; i < ONE_SHOTS; i++)
        change(crowd.kq, 100 + i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 500 * (i % 7), 0);
    while (crowd.one_shots < ONE_SHOTS)
        until(now() + MS);
    int64_t before = now();
    change(crowd.kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 0, 0);
    int64_t after = now();
    change(crowd.kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    for (int i = 0; i < THREADS; i++)
        join(&threads[i]);
    CHECK_EQ(crowd.one_shots, ONE_SHOTS);
    CHECK_LE(crowd.ticks, (after - started_after) / 300000);
    struct timespec zero = {0, 0};
    struct kevent ev[2];
    change(crowd.kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    change(crowd.kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0);
    if (OK(kevent(crowd.kq, NULL, 0, ev, 2, &zero)) == 1)
        crowd.ticks += ev[0].data;
    CHECK_GE(crowd.ticks, (before - started_before) / 300000);
}

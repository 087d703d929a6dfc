/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_TIMER: units, periods, counts, and what is refused.
 *
 * No case depends on the machine's speed: an expiry must not be reported before its time by the clock,
 * and the count of expirations must lie between what the clock allowed before and after the call.
 */
#define SUITE "timer"
#include "suite.h"

#include "timers.h"

#define MS MILLISECOND

/* ---- Units and modes ---------------------------------------------------------------------------- */

/* A one-shot of `data` units comes once with data 1, not before `ns`, and is gone. */
static void one_shot(unsigned fflags, intptr_t data, int64_t ns)
{
    int kq = queue();
    int64_t before = now();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, fflags, data, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0xfeed);
    CHECK_GE(now() - before, ns);
    CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0), ENOENT);
    nothing(kq);
}

/* 6.1 The period is in milliseconds. 6.2 A one-shot comes once, data 1, fflags 0. 6.5 Never early. */
TEST(milliseconds_are_the_default, "6.1 6.2 6.5 2.7")
{
    one_shot(0, 30, 30 * MS);
    one_shot(0, 1, MS);
}

/* 6.1 NOTE_MSECONDS is the unit. */
TEST(milliseconds, "6.1 6.2 6.5")
{
    one_shot(NOTE_MSECONDS, 30, 30 * MS);
}

/* 6.1 NOTE_SECONDS is the unit. */
TEST(seconds, "6.1 6.2 6.5")
{
    one_shot(NOTE_SECONDS, 1, SECOND);
}

/* 6.1 NOTE_USECONDS is the unit. */
TEST(microseconds, "6.1 6.2 6.5")
{
    one_shot(NOTE_USECONDS, 30000, 30 * MS);
    one_shot(NOTE_USECONDS, 1, 1000);
}

/* 6.1 NOTE_NSECONDS is the unit. */
TEST(nanoseconds, "6.1 6.2 6.5")
{
    one_shot(NOTE_NSECONDS, 30000000, 30 * MS);
    one_shot(NOTE_NSECONDS, 1, 1);
}

/* 6.5 Never early: not by the rounding of any period. */
TEST(never_early, "6.5")
{
    for (int64_t us = 100; us < 12000; us = us * 5 / 3 + 7) {
        int kq = queue();
        int64_t before = now();
        change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, us, 0);
        EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0);
        CHECK_GE(now() - before, us * 1000);
        OK(close(kq));
    }
}

/* 6.5 Nor when kevent polls for it. */
TEST(never_early_for_polls, "6.5")
{
    struct timespec zero = {0, 0};
    for (int round = 0; round < 20; round++) {
        struct kevent ev;
        int kq = queue();
        int64_t before = now();
        change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 1500, 0);
        while (OK(kevent(kq, NULL, 0, &ev, 1, &zero)) == 0)
            ;
        CHECK_GE(now() - before, 1500000);
        EXPECT_EVENT(ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0);
        OK(close(kq));
    }
}

/* 6.2 Periodic unless EV_ONESHOT; data: expirations since last reported. EV_CLEAR is set by itself. */
TEST(periodic_in_milliseconds, "6.2 6.1 6.5")
{
    periodic(0, 3, 3 * MS, 20);
}

TEST(periodic_in_microseconds, "6.2 6.1 6.5")
{
    periodic(NOTE_USECONDS, 700, 700000, 50);
}

TEST(periodic_in_nanoseconds, "6.2 6.1 6.5")
{
    periodic(NOTE_NSECONDS, 1234567, 1234567, 30);
}

TEST(periodic_in_seconds, "6.2 6.1 6.5")
{
    periodic(NOTE_SECONDS, 1, SECOND, 2);
}

/* 6.2 EV_CLEAR given by the program is what the filter sets anyway. */
TEST(clear_given, "6.2")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, 0);
    EXPECT_NEXT_ANY(kq, 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, 0, DATA_AT_LEAST);
    EXPECT_NEXT_ANY(kq, 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, 0, DATA_AT_LEAST);
}

/* 6.2 Expirations that nobody collected add up. 6.5 They are counted from the start, without drift. */
TEST(expirations_add_up, "6.2 6.5")
{
    struct ticks ticks = start_ticks(queue(), 7, EV_ADD, NOTE_USECONDS, 2000, 2 * MS);
    for (int round = 0; round < 5; round++) {
        until(now() + 21 * MS);
        collect_ticks(&ticks);
        CHECK_GE(ticks.last, 10);
    }
}

/* 6.2 A one-shot that was due long ago is one expiration. */
TEST(late_one_shot_is_one_expiration, "6.2")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 1000, 0);
    until(now() + 10 * MS);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0);
}

/* 6.2 2.8 EV_DISPATCH: reported once, then silent until EV_ENABLE; 6.7 the clock goes on meanwhile. */
TEST(dispatch, "6.2 6.7 2.8")
{
    int kq = queue();
    struct ticks ticks = start_ticks(kq, 1, EV_ADD | EV_DISPATCH, 0, 2, 2 * MS);
    for (int round = 0; round < 3; round++) {
        collect_ticks(&ticks);
        until(now() + 8 * MS);
        nothing(kq);
        change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0xfeed);
    }
    collect_ticks(&ticks);
    CHECK_GE(ticks.last, 3);
}

/* 2.1 1.15 The data of an eventlist that was used before is overwritten whole. */
TEST(count_is_whole_in_a_dirty_eventlist, "6.2 1.2")
{
    struct kevent ev[1];
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 0xfeed);
    memset(ev, 0xff, sizeof ev);
    CHECK_EQ(collect(kq, ev, 1), 1);
    EXPECT_EVENT(ev[0], 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0xfeed);
}

/* ---- Idents ------------------------------------------------------------------------------------- */

/* 6 The ident is any number: zero, an open descriptor's, one of 64 bits. 1.11 Each is a timer of its own. */
TEST(ident_is_any_number, "6 1.11")
{
    static const uintptr_t idents[] = {0, 1, INT32_MAX, UINT32_MAX, (uintptr_t)1 << 32, UINTPTR_MAX};
    enum { COUNT = sizeof idents / sizeof *idents };
    struct kevent ev[COUNT + 1];
    int kq = queue();
    for (int i = 0; i < COUNT; i++)
        change(kq, idents[i], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, i);
    until(now() + 3 * MS);
    CHECK_EQ(collect(kq, ev, COUNT + 1), COUNT);
    for (int i = 0; i < COUNT; i++)
        EXPECT_EVENT(*find_event(ev, COUNT, idents[i], EVFILT_TIMER), idents[i], EVFILT_TIMER,
                     EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, i);
}

/* 6 A timer whose ident is the number of a descriptor has nothing to do with it. */
TEST(ident_is_no_descriptor, "6 10.1")
{
    int kq = queue(), p[2];
    pipe_pair(p);
    change(kq, p[0], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20, 0);
    change(kq, p[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    OK(close(p[0]));
    EXPECT_NEXT(kq, p[0], EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0);
}

/* 6.5 Many timers, added in no order: none early, none lost. The last of them is not the last added. */
TEST(many_timers, "6.5 6.2 1.12")
{
    enum { COUNT = 500 };
    static int64_t due[COUNT];
    struct kevent ev[32];
    int kq = queue();
    for (int i = 0; i < COUNT; i++) {
        int64_t us = (i * 7919) % 100003 + 1;
        due[i] = now() + us * 1000;
        change(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, us, i);
    }
    for (int left = COUNT; left > 0;) {
        int count = collect(kq, ev, 32);
        for (int i = 0; i < count; i++) {
            CHECK(ev[i].ident < COUNT && due[ev[i].ident] != 0);
            EXPECT_EVENT(ev[i], ev[i].ident, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, ev[i].ident);
            CHECK_GE(now(), due[ev[i].ident]);
            due[ev[i].ident] = 0;
        }
        left -= count;
    }
    nothing(kq);
}

/* ---- Period 0 ----------------------------------------------------------------------------------- */

/* 6.3 Period 0 is one unit when periodic. */
TEST(period_zero_is_one_millisecond, "6.3")
{
    periodic(0, 0, MS, 10);
}

TEST(period_zero_is_one_microsecond, "6.3")
{
    periodic(NOTE_USECONDS, 0, 1000, 10);
}

TEST(period_zero_is_one_nanosecond, "6.3")
{
    periodic(NOTE_NSECONDS, 0, 1, 10);
}

TEST(period_zero_is_one_second, "6.3")
{
    periodic(NOTE_SECONDS, 0, SECOND, 1);
}

/* 6.3 Period 0 is at once when one-shot: kevent does not wait for it. */
TEST(period_zero_one_shot_is_at_once, "6.3")
{
    static const unsigned units[] = {0, NOTE_SECONDS, NOTE_MSECONDS, NOTE_USECONDS, NOTE_NSECONDS};
    struct timespec zero = {0, 0};
    for (size_t i = 0; i < 5; i++) {
        struct kevent ev;
        int kq = queue();
        change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, units[i], 0, 0);
        CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &zero), 1);
        EXPECT_EVENT(ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0);
        nothing(kq);
    }
}

/* ---- Large and wrong values --------------------------------------------------------------------- */

/* 6.1 Over-large values mean never: they do not wrap, and are no error. */
TEST(huge_values_are_never, "6.1")
{
    static const intptr_t values[] = {
        INTPTR_MAX,
        INTPTR_MAX - 1,
        INTPTR_MAX / 1000 + 1,
        INTPTR_MAX / 1000000 + 1,
        INTPTR_MAX / 1000000000 + 1,
        INTPTR_MAX / 2 + 1, /* times 2 wraps to a negative number, times 10^n to anything */
        (intptr_t)1 << 62,
        (intptr_t)1 << 56, /* times 10^9 or 10^6 wraps to 0 in the upper bits */
        (intptr_t)1 << 55,
    };
    static const unsigned units[] = {0, NOTE_SECONDS, NOTE_MSECONDS, NOTE_USECONDS};
    int kq = queue();
    for (size_t u = 0; u < 4; u++)
        for (size_t i = 0; i < sizeof values / sizeof *values; i++)
            for (int mode = 0; mode < 2; mode++)
                change(kq, u * 100 + i * 2 + (size_t)mode, EVFILT_TIMER, EV_ADD | (mode ? EV_ONESHOT : 0),
                       units[u], values[i], 0);
    change(kq, 1000, EVFILT_TIMER, EV_ADD, NOTE_NSECONDS, INTPTR_MAX, 0);
    change(kq, 2000, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 5, 0);
    EXPECT_NEXT(kq, 2000, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0);
    nothing(kq);
    change(kq, 0, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    change(kq, 1000, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
}

/* 6.1 Periods of 32 bits and more are what they are: 25 days, 50 days, 100 years. */
TEST(long_periods_do_not_expire, "6.1")
{
    static const intptr_t values[] = {INT32_MAX,           (intptr_t)INT32_MAX + 1, UINT32_MAX,
                                      (intptr_t)1 << 32,   ((intptr_t)1 << 32) + 1, INT64_C(3155760000000),
                                      INT64_C(4320000000)};
    int kq = queue();
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        change(kq, i, EVFILT_TIMER, EV_ADD, 0, values[i], 0);
        change(kq, 100 + i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, values[i], 0);
    }
    change(kq, 2000, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 5, 0);
    EXPECT_NEXT(kq, 2000, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0);
    nothing(kq);
}

/* 6.1 Two units, unknown fflags or negative data: EINVAL, and no timer is made. */
TEST(wrong_values_are_refused, "6.1")
{
    static const unsigned wrong[] = {
        NOTE_SECONDS | NOTE_USECONDS,
        NOTE_SECONDS | NOTE_NSECONDS,
        NOTE_SECONDS | NOTE_MSECONDS,
        NOTE_USECONDS | NOTE_NSECONDS,
        NOTE_USECONDS | NOTE_MSECONDS,
        NOTE_NSECONDS | NOTE_MSECONDS,
        NOTE_SECONDS | NOTE_USECONDS | NOTE_NSECONDS,
        NOTE_SECONDS | NOTE_USECONDS | NOTE_ABSOLUTE,
        0x80000000,
        0x01000000,
        0x00010000,
        NOTE_SECONDS | 0x40000000,
    };
    static const intptr_t negative[] = {-1, -1000, INTPTR_MIN, -((intptr_t)1 << 32)};
    static const unsigned units[] = {0,             NOTE_SECONDS,  NOTE_MSECONDS,
                                     NOTE_USECONDS, NOTE_NSECONDS, NOTE_ABSOLUTE};
    int kq = queue();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_ADD, wrong[i], 1, 0), EINVAL);
        CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, wrong[i], 1, 0), EINVAL);
        CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0), ENOENT);
    }
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        for (size_t i = 0; i < sizeof negative / sizeof *negative; i++) {
            CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_ADD, units[u], negative[i], 0), EINVAL);
            CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0), ENOENT);
        }
    }
    nothing(kq);
}

/* 1.5 6.1 The error of a refused timer is an entry where there is room. */
TEST(refusal_is_an_entry, "6.1 1.5")
{
    struct kevent ev = EVENT(7, EVFILT_TIMER, EV_ADD, NOTE_SECONDS | NOTE_USECONDS, 1, 0xfeed);
    int kq = queue();
    CHECK_EQ(kevent(kq, &ev, 1, &ev, 1, NULL), 1);
    EXPECT_EVENT_ANY(ev, 7, EVFILT_TIMER, EV_ADD | EV_ERROR, 0, EINVAL, 0xfeed, ANY_FFLAGS);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_TIMER with NOTE_ABSOLUTE: a moment of the wall clock.
 */
#define SUITE "timer_absolute"
#include "suite.h"

#include "timers.h"

static int64_t wall_clock(void)
{
    struct timespec time;
    OK(clock_gettime(CLOCK_REALTIME, &time));
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* A timer for the first whole unit of `unit` ns that is `ns` from now or later: comes once, not before. */
static void expires_at(unsigned fflags, int64_t unit, int64_t ns)
{
    int kq = queue();
    int64_t moment = (wall_clock() + ns + unit - 1) / unit;
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, fflags | NOTE_ABSOLUTE, moment, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 0xfeed);
    CHECK_GE(wall_clock(), moment * unit);
    CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0), ENOENT);
    nothing(kq);
}

/* 6.4 data is wall-clock time since the epoch, in ms. Never early. 6.2 EV_CLEAR is not set by itself. */
TEST(milliseconds_are_the_default, "6.4 6.2 6.1")
{
    expires_at(0, MILLISECOND, 30 * MILLISECOND);
    expires_at(NOTE_MSECONDS, MILLISECOND, 30 * MILLISECOND);
}

/* 6.4 In seconds. */
TEST(seconds, "6.4 6.1")
{
    expires_at(NOTE_SECONDS, SECOND, 50 * MILLISECOND);
}

/* 6.4 In microseconds. */
TEST(microseconds, "6.4 6.1")
{
    expires_at(NOTE_USECONDS, 1000, 30 * MILLISECOND);
}

/* 6.4 In nanoseconds. */
TEST(nanoseconds, "6.4 6.1")
{
    expires_at(NOTE_NSECONDS, 1, 30 * MILLISECOND);
}

/* 6.4 NOTE_ABSTIME is the same. */
TEST(abstime_is_the_same, "6.4")
{
    CHECK_EQ(NOTE_ABSTIME, NOTE_ABSOLUTE);
}

/* 6.4 Expires once; without EV_ONESHOT or EV_CLEAR it stays reported, data 1, until it is deleted. */
TEST(stays_reported, "6.4")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_ABSOLUTE, wall_clock() / MILLISECOND + 20, 0xfeed);
    nothing(kq);
    for (int round = 0; round < 4; round++) {
        EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0xfeed);
        CHECK(readable(kq));
        until(now() + 2 * MILLISECOND);
    }
    change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    nothing(kq);
    sleeps(kq);
    CHECK(!readable(kq));
}

/* 6.4 6.6 Or until it is added again with another time. */
TEST(stays_reported_until_added_again, "6.4 6.6")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_ABSOLUTE, 1000, 0);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_ABSOLUTE, wall_clock() / MILLISECOND + 3600000, 0);
    nothing(kq);
    int64_t moment = wall_clock() / MILLISECOND + 30;
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_ABSOLUTE, moment, 0);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
    CHECK_GE(wall_clock(), moment * MILLISECOND);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
}

/* 6.4 With EV_CLEAR it is reported once; it does not expire again, and is still there. */
TEST(clear_reports_once, "6.4 2.9")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, NOTE_ABSOLUTE, wall_clock() / MILLISECOND + 5, 0);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, 0);
    nothing(kq);
    sleeps(kq);
    change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
}

/* 6.4 With EV_DISPATCH it is reported once, and again after EV_ENABLE, for it stays expired. */
TEST(dispatch_reports_after_enable, "6.4 2.8")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISPATCH, NOTE_ABSOLUTE, 1000, 0);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISPATCH, 0, 1, 0);
    nothing(kq);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISPATCH, 0, 1, 0);
    nothing(kq);
}

/* 6.4 The past is at once, in every unit, the epoch itself too: kevent does not wait for it. */
TEST(past_is_at_once, "6.4 6.3")
{
    static const unsigned units[] = {0, NOTE_SECONDS, NOTE_MSECONDS, NOTE_USECONDS, NOTE_NSECONDS};
    static const intptr_t moments[] = {0, 1, 1000};
    struct timespec zero = {0, 0};
    for (size_t u = 0; u < 5; u++) {
        for (size_t m = 0; m < 3; m++) {
            for (int mode = 0; mode < 2; mode++) {
                struct kevent ev;
                int kq = queue();
                unsigned short flags = EV_ADD | (mode ? EV_ONESHOT : 0);
                change(kq, 1, EVFILT_TIMER, flags, units[u] | NOTE_ABSOLUTE, moments[m], 0xfeed);
                CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &zero), 1);
                EXPECT_EVENT(ev, 1, EVFILT_TIMER, flags, 0, 1, 0xfeed);
                OK(close(kq));
            }
        }
    }
}

/* 6.1 A moment beyond what the clock can say never comes. */
TEST(huge_moments_are_never, "6.1 6.4")
{
    static const unsigned units[] = {0, NOTE_SECONDS, NOTE_MSECONDS, NOTE_USECONDS, NOTE_NSECONDS};
    static const intptr_t moments[] = {INTPTR_MAX, INTPTR_MAX - 1, INTPTR_MAX / 2 + 1};
    int kq = queue();
    for (size_t u = 0; u < 5; u++)
        for (size_t m = 0; m < 3; m++)
            change(kq, u * 10 + m, EVFILT_TIMER, EV_ADD, units[u] | NOTE_ABSOLUTE, moments[m], 0);
    change(kq, 2000, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 5, 0);
    EXPECT_NEXT(kq, 2000, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0);
    nothing(kq);
}

/* 6.4 6.5 Absolute and relative timers side by side: each by its own clock, none early, none lost. */
TEST(beside_relative_timers, "6.4 6.5")
{
    enum { COUNT = 40 };
    int64_t due[COUNT];
    struct kevent ev[16];
    int kq = queue();
    for (int i = 0; i < COUNT; i++) {
        int64_t us = (i * 7919) % 10007 + 1;
        if (i % 2) {
            due[i] = wall_clock() + us * 1000;
            change(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_ABSOLUTE | NOTE_NSECONDS, due[i], i);
        } else {
            due[i] = now() + us * 1000;
            change(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, us, i);
        }
    }
    for (int left = COUNT; left > 0;) {
        int count = collect(kq, ev, 16);
        for (int i = 0; i < count; i++) {
            CHECK(ev[i].ident < COUNT && due[ev[i].ident] != 0);
            int absolute = ev[i].ident % 2;
            EXPECT_EVENT(ev[i], ev[i].ident, EVFILT_TIMER, EV_ADD | EV_ONESHOT | (absolute ? 0 : EV_CLEAR), 0,
                         1, ev[i].ident);
            CHECK_GE(absolute ? wall_clock() : now(), due[ev[i].ident]);
            due[ev[i].ident] = 0;
        }
        left -= count;
    }
    nothing(kq);
}

/* 6.7 Expired while disabled: reported on EV_ENABLE. */
TEST(expired_while_disabled, "6.4 6.7")
{
    int kq = queue();
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE, NOTE_ABSOLUTE, wall_clock() / MILLISECOND + 5, 0);
    until(now() + 10 * MILLISECOND);
    nothing(kq);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 0);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
}

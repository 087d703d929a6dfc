/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_USER.
 */
#define SUITE "user"
#include "suite.h"

#include "events.h"

#include <sched.h>
#include <stdatomic.h>

/* A change of the user event 1 without EV_ADD. */
#define touch(kq, flags, fflags, data) change(kq, 1, EVFILT_USER, flags, fflags, data, 0xfeed)

/* ---- Triggers ----------------------------------------------------------------------------------- */

/* 9.1 NOTE_TRIGGER activates. 9.2 Without EV_CLEAR the event stays active. 2.10 It comes at every call. */
TEST(trigger_activates, "9.1 9.2 1.15 2.10")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    CHECK(!readable(kq));
    touch(kq, 0, NOTE_TRIGGER, 0);
    for (int round = 0; round < 4; round++) {
        CHECK(readable(kq));
        EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0xfeed);
    }
    change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    nothing(kq);
    CHECK(!readable(kq));
}

/* 9.1 Also at EV_ADD, of a new event and of one that exists. */
TEST(trigger_at_add, "9.1")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
    nothing(kq);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
    nothing(kq);
}

/* 9.1 Nothing but NOTE_TRIGGER does: not an EV_ADD, not an EV_ENABLE, no other bit of fflags. */
TEST(only_trigger_activates, "9.1")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD, 0x00ffffff, 7, 0);
    touch(kq, 0, NOTE_FFCOPY | 0xabcdef, 0);
    touch(kq, EV_ENABLE, 0, 0);
    touch(kq, EV_ADD, 0, 0);
    nothing(kq);
}

/* 2.4 A trigger of an event that nobody added: ENOENT. */
TEST(trigger_of_nothing, "9.1 2.4")
{
    int kq = queue();
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0), ENOENT);
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_ENABLE, NOTE_TRIGGER, 0, 0), ENOENT);
    nothing(kq);
}

/* 2.9 With EV_CLEAR each trigger is reported once. 9.3 Triggers before collection merge into one. */
TEST(triggers_merge, "9.3 2.9")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++)
            touch(kq, 0, NOTE_TRIGGER, 0);
        EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
        nothing(kq);
        CHECK(!readable(kq));
    }
}

/* 2.7 A one-shot is reported once and gone. */
TEST(one_shot, "9.1 2.7")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 0);
    nothing(kq);
    touch(kq, 0, NOTE_TRIGGER, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 0xfeed);
    nothing(kq);
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0), ENOENT);
}

/* 2.8 9.2 EV_DISPATCH: reported once, and again after EV_ENABLE, for the event is still active. */
TEST(dispatch, "9.2 2.8")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_DISPATCH, 0, 0, 0);
    touch(kq, 0, NOTE_TRIGGER, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_DISPATCH, 0, 0, 0xfeed);
    nothing(kq);
    touch(kq, EV_ENABLE, 0, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_DISPATCH, 0, 0, 0xfeed);
    nothing(kq);
}

/* 2.8 2.9 EV_DISPATCH with EV_CLEAR: after EV_ENABLE only what was triggered since. */
TEST(dispatch_with_clear, "9.3 2.8 2.9")
{
    unsigned short flags = EV_ADD | EV_DISPATCH | EV_CLEAR;
    int kq = queue();
    change(kq, 1, EVFILT_USER, flags, 0, 0, 0);
    touch(kq, 0, NOTE_TRIGGER, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, flags, 0, 0, 0xfeed);
    touch(kq, EV_ENABLE, 0, 0);
    nothing(kq);
    touch(kq, 0, NOTE_TRIGGER, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, flags, 0, 0, 0xfeed);
    touch(kq, 0, NOTE_TRIGGER, 0);
    nothing(kq);
    touch(kq, EV_ENABLE, 0, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, flags, 0, 0, 0xfeed);
    nothing(kq);
}

/* ---- Disabled ----------------------------------------------------------------------------------- */

/* 9.3 A trigger while disabled fires on EV_ENABLE. */
TEST(trigger_while_disabled, "9.3 2.2 2.5")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR | EV_DISABLE, 0, 0, 0);
    touch(kq, 0, NOTE_TRIGGER, 0);
    nothing(kq);
    sleeps(kq);
    CHECK(!readable(kq));
    touch(kq, EV_ENABLE, 0, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
    touch(kq, EV_DISABLE, NOTE_TRIGGER, 0);
    nothing(kq);
    touch(kq, EV_ENABLE, 0, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
    nothing(kq);
}

/* 9.3 A trigger that was pending when the event was disabled, and one given at EV_ADD with EV_DISABLE. */
TEST(pending_when_disabled, "9.3 2.5 9.1")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0);
    touch(kq, EV_DISABLE, 0, 0);
    nothing(kq);
    touch(kq, EV_ENABLE, 0, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
    nothing(kq);
    change(kq, 2, EVFILT_USER, EV_ADD | EV_DISABLE, NOTE_TRIGGER, 0, 0xbeef);
    nothing(kq);
    change(kq, 2, EVFILT_USER, EV_ENABLE, 0, 0, 0xbeef);
    EXPECT_NEXT(kq, 2, EVFILT_USER, EV_ADD, 0, 0, 0xbeef);
}

/* 9.3 EV_ENABLE with NOTE_TRIGGER does both. */
TEST(enable_and_trigger, "9.3 9.1")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR | EV_DISABLE, 0, 0, 0);
    touch(kq, EV_ENABLE, NOTE_TRIGGER, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
    nothing(kq);
}

/* ---- fflags and data ---------------------------------------------------------------------------- */

/* 9.1 The first EV_ADD stores the lower 24 bits of fflags whatever the FF bits; the control bits come out 0. */
TEST(first_add_stores_fflags, "9.1")
{
    static const unsigned controls[] = {NOTE_FFNOP, NOTE_FFAND, NOTE_FFOR, NOTE_FFCOPY};
    for (size_t i = 0; i < 4; i++) {
        int kq = queue();
        change(kq, 1, EVFILT_USER, EV_ADD, controls[i] | NOTE_TRIGGER | 0x00abcdef, 0, 0);
        EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0x00abcdef, 0, 0);
        change(kq, 2, EVFILT_USER, EV_ADD, controls[i] | 0x00123456, 0, 0);
        change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
        change(kq, 2, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
        EXPECT_NEXT(kq, 2, EVFILT_USER, EV_ADD, 0x00123456, 0, 0);
    }
}

/* 9.1 NOTE_FFNOP keeps the stored bits, NOTE_FFAND, NOTE_FFOR and NOTE_FFCOPY change them, by any change. */
TEST(later_changes_combine_fflags, "9.1")
{
    static const struct {
        unsigned control, bits, result;
    } steps[] = {
        {NOTE_FFNOP, 0x00ffff, 0x0000f0},  {NOTE_FFOR, 0x000f00, 0x000ff0},   {NOTE_FFOR, 0, 0x000ff0},
        {NOTE_FFAND, 0xff0f00, 0x000f00},  {NOTE_FFCOPY, 0xfedcba, 0xfedcba}, {NOTE_FFAND, 0xffffff, 0xfedcba},
        {NOTE_FFNOP, 0x000000, 0xfedcba},  {NOTE_FFAND, 0x00ff00, 0x00dc00},  {NOTE_FFCOPY, 0, 0},
        {NOTE_FFOR, 0x800001, 0x800001},   {NOTE_FFAND, 0, 0},
    };
    static const unsigned short actions[] = {0, EV_ADD, EV_ENABLE};
    for (size_t a = 0; a < 3; a++) {
        int kq = queue();
        change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0x0000f0, 0, 0);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            touch(kq, actions[a], NOTE_TRIGGER | steps[i].control | steps[i].bits, 0);
            EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, steps[i].result, 0, 0xfeed);
        }
    }
}

/* 9.1 Bits that are changed without a trigger are kept for the next one; a report does not clear them. */
TEST(fflags_are_kept, "9.1")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0x1, 0, 0);
    touch(kq, 0, NOTE_FFOR | 0x2, 0);
    touch(kq, EV_DISABLE, NOTE_FFOR | 0x4, 0);
    touch(kq, EV_ENABLE, NOTE_FFOR | 0x8, 0);
    nothing(kq);
    for (int round = 0; round < 2; round++) {
        touch(kq, 0, NOTE_TRIGGER, 0);
        EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0xf, 0, 0xfeed);
    }
    touch(kq, 0, NOTE_TRIGGER, 0);
    touch(kq, 0, NOTE_FFCOPY | 0x30, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0x30, 0, 0xfeed);
}

/* 9.1 An active event shows the bits as they are when it is collected. */
TEST(fflags_of_an_active_event, "9.1 9.2")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER | 0x1, 0, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0x1, 0, 0xfeed);
    touch(kq, 0, NOTE_FFOR | 0x10, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0x11, 0, 0xfeed);
}

/* 9.2 data out is the data of the last change, the trigger's or a later one's, in all its bits. */
TEST(data_is_of_the_last_change, "9.2")
{
    static const intptr_t values[] = {0, 42, -1, (intptr_t)1 << 32, INTPTR_MAX, INTPTR_MIN};
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 7, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 7, 0xfeed);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct kevent ev[1];
        touch(kq, 0, NOTE_TRIGGER, values[i]);
        memset(ev, 0x5a, sizeof ev);
        CHECK_EQ(collect(kq, ev, 1), 1);
        EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, values[i], 0xfeed);
    }
    touch(kq, 0, NOTE_TRIGGER, 5);
    touch(kq, 0, NOTE_TRIGGER, 6);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 6, 0xfeed);
    touch(kq, 0, NOTE_TRIGGER, 5);
    touch(kq, EV_ENABLE, 0, 8);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 8, 0xfeed);
    touch(kq, EV_ADD, NOTE_TRIGGER, 9);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 9, 0xfeed);
}

/* 2.3 A trigger updates udata too, unless EV_KEEPUDATA. */
TEST(trigger_and_udata, "9.1 2.3")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0x1111);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0x2222);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0x2222);
#ifdef EV_KEEPUDATA
    change(kq, 1, EVFILT_USER, EV_KEEPUDATA, NOTE_TRIGGER, 3, 0x3333);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 3, 0x2222);
#endif
}

/* ---- EV_CLEAR as a change ----------------------------------------------------------------------- */

/* 9.2 An event without EV_CLEAR stays active until a change with EV_CLEAR; 1.15 its mode stays as it was. */
TEST(clear_deactivates, "9.2 9.1 1.15")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER | 0x5, 0, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0x5, 0, 0xfeed);
    touch(kq, EV_CLEAR, 0, 0);
    nothing(kq);
    CHECK(!readable(kq));
    touch(kq, 0, NOTE_TRIGGER, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0x5, 0, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0x5, 0, 0xfeed);
}

/* 9.1 A change with EV_CLEAR clears first, then its NOTE_TRIGGER activates (M). */
TEST(clear_then_trigger, "9.1")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
    touch(kq, EV_CLEAR, NOTE_TRIGGER, 3);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0, 3, 0xfeed);
    touch(kq, EV_CLEAR, NOTE_TRIGGER, 4);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0, 4, 0xfeed);
    touch(kq, EV_CLEAR, 0, 0);
    nothing(kq);
}

/* 9.1 EV_CLEAR takes back a trigger that was not collected yet, also of an event in EV_CLEAR mode. */
TEST(clear_takes_back, "9.1 9.2 1.14")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0);
    touch(kq, EV_CLEAR, 0, 0);
    nothing(kq);
    touch(kq, 0, NOTE_TRIGGER, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
}

/* 2.1 9.2 Adding an active event again leaves it active: nothing pending is lost. */
TEST(adding_again_keeps_it_active, "9.2 2.1")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0xfeed);
    touch(kq, EV_ADD | EV_DISABLE, 0, 0);
    nothing(kq);
    touch(kq, EV_ADD, 0, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0xfeed);
}

/* ---- Idents ------------------------------------------------------------------------------------- */

/* 9 The ident is any number. 1.11 Each is an event of its own, in each queue. */
TEST(ident_is_any_number, "9 1.11")
{
    static const uintptr_t idents[] = {0, 1, INT32_MAX, UINT32_MAX, (uintptr_t)1 << 32, UINTPTR_MAX};
    enum { COUNT = sizeof idents / sizeof *idents };
    int kq = queue(), other = queue();
    for (int i = 0; i < COUNT; i++) {
        change(kq, idents[i], EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, i);
        change(other, idents[i], EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    }
    for (int i = 0; i < COUNT; i++) {
        change(kq, idents[i], EVFILT_USER, 0, NOTE_TRIGGER, 0, i);
        EXPECT_NEXT(kq, idents[i], EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, i);
    }
    nothing(kq);
    nothing(other);
}

/* 9 1.12 Thousands of events: all that are triggered come, and no other. */
TEST(many_events, "9.1 1.12")
{
    enum { COUNT = 5000 };
    static struct kevent ev[COUNT];
    int kq = queue();
    for (int i = 0; i < COUNT; i++)
        change(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, i, 0, i);
    for (int i = 0; i < COUNT; i += 3)
        change(kq, i, EVFILT_USER, 0, NOTE_TRIGGER, i * INT64_C(1000003), i);
    int count = collect(kq, ev, COUNT);
    CHECK_EQ(count, (COUNT + 2) / 3);
    for (int i = 0; i < COUNT; i += 3)
        EXPECT_EVENT(*find_event(ev, count, i, EVFILT_USER), i, EVFILT_USER, EV_ADD | EV_CLEAR, i,
                     i * INT64_C(1000003), i);
    nothing(kq);
}

/* ---- Threads ------------------------------------------------------------------------------------ */

/* 9.4 Any thread may trigger; the waiter wakes. */
TEST(trigger_wakes_a_waiter, "9.4")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    change(waiter.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int round = 0; round < 5; round++) {
        start(&thread, wait_one, &waiter);
        until_asleep(&thread);
        touch(waiter.kq, 0, NOTE_TRIGGER | NOTE_FFCOPY | (unsigned)round, round);
        join(&thread);
        EXPECT_EVENT(waiter.ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, round, round, 0xfeed);
    }
}

/* 9.4 An EV_ENABLE by another thread wakes the waiter too. */
TEST(enable_wakes_a_waiter, "9.4 9.3")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    change(waiter.kq, 1, EVFILT_USER, EV_ADD | EV_DISABLE, NOTE_TRIGGER, 0, 0);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    touch(waiter.kq, EV_ENABLE, 0, 0);
    join(&thread);
    EXPECT_EVENT(waiter.ev, 1, EVFILT_USER, EV_ADD, 0, 0, 0xfeed);
}

enum { ROUNDS = 20000 };

static void *answer(void *argument)
{
    int kq = *(int *)argument;
    for (int round = 0; round < ROUNDS; round++) {
        struct kevent ev;
        CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, NULL), 1);
        EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, round, 0xfeed);
        change(((int *)argument)[1], 1, EVFILT_USER, 0, NOTE_TRIGGER, round, 0xfeed);
    }
    return NULL;
}

/* 9.4 No wake-up is lost: two threads that hand on a turn never both wait. */
TEST(no_wakeup_is_lost, "9.4")
{
    struct thread thread;
    int kq[2] = {queue(), queue()};
    change(kq[0], 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    change(kq[1], 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    start(&thread, answer, kq);
    for (int round = 0; round < ROUNDS; round++) {
        touch(kq[0], 0, NOTE_TRIGGER, round);
        EXPECT_NEXT(kq[1], 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, round, 0xfeed);
    }
    join(&thread);
}

struct producers {
    int kq;
    atomic_int posted, done;
};

static void *produce(void *argument)
{
    struct producers *all = argument;
    for (int i = 0; i < ROUNDS; i++) {
        all->posted++;
        touch(all->kq, 0, NOTE_TRIGGER, 0);
    }
    all->done++;
    touch(all->kq, 0, NOTE_TRIGGER, 0);
    return NULL;
}

/* 9.4 9.3 What was posted before a trigger is seen by the waiter that the trigger, merged or not, wakes. */
TEST(what_was_posted_is_seen, "9.4 9.3")
{
    struct producers all = {.kq = queue()};
    struct thread threads[2];
    change(all.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    start(&threads[0], produce, &all);
    start(&threads[1], produce, &all);
    while (all.done < 2 || all.posted != 0) {
        EXPECT_NEXT(all.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
        all.posted = 0;
    }
    join(&threads[0]);
    join(&threads[1]);
    CHECK_EQ(all.posted, 0);
}

static void *count_events(void *argument)
{
    int kq = *(int *)argument;
    intptr_t count = 0;
    for (;;) {
        struct kevent ev;
        CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, NULL), 1);
        if (ev.ident == 0)
            return (void *)count;
        count++;
    }
}

/* 9.4 2.7 2.9 Of several waiters exactly one gets each one-shot and each edge. */
TEST(exactly_one_waiter, "9.4 2.7 2.9")
{
    enum { THREADS = 4, EVENTS = 5000 };
    struct thread threads[THREADS];
    intptr_t total = 0;
    int kq = queue();
    change(kq, 0, EVFILT_USER, EV_ADD, 0, 0, 0);
    for (int i = 0; i < THREADS; i++)
        start(&threads[i], count_events, &kq);
    for (int i = 1; i <= EVENTS; i++)
        change(kq, i, EVFILT_USER, EV_ADD | (i % 2 ? EV_ONESHOT : EV_CLEAR), NOTE_TRIGGER, 0, 0);
    while (readable(kq))
        sched_yield();
    change(kq, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    for (int i = 0; i < THREADS; i++)
        total += (intptr_t)join(&threads[i]);
    CHECK_EQ(total, EVENTS);
    change(kq, 0, EVFILT_USER, EV_DELETE, 0, 0, 0);
    nothing(kq);
}

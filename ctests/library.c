/* SPDX-License-Identifier: BSD-2-Clause */
/* Section 10: the library's own filter (10.6), and section 11 as far as a C program sees it. */
#define SUITE "library"
#include "suite.h"

#include <stdio.h>

/* 11 struct kevent is laid out as the C library has it. */
TEST(struct_kevent, "11")
{
    CHECK_EQ(offsetof(struct kevent, ident), 0);
#if UINTPTR_MAX > 0xffffffffu
    CHECK_EQ(sizeof(struct kevent), 32);
    CHECK_EQ(offsetof(struct kevent, filter), 8);
    CHECK_EQ(offsetof(struct kevent, flags), 10);
    CHECK_EQ(offsetof(struct kevent, fflags), 12);
    CHECK_EQ(offsetof(struct kevent, data), 16);
    CHECK_EQ(offsetof(struct kevent, udata), 24);
#endif
    struct kevent ev;
    memset(&ev, 0xff, sizeof ev);
    CHECK(ev.ident > 0 && ev.fflags > 0 && ev.flags > 0); /* unsigned */
    CHECK(ev.filter < 0 && ev.data < 0);                  /* signed */
    CHECK_EQ(sizeof ev.ident, sizeof(uintptr_t));
    CHECK_EQ(sizeof ev.data, sizeof(intptr_t));
}

/* 11 The values of the constants are the C library's. */
TEST(values_of_the_constants, "11")
{
    CHECK_EQ(EVFILT_READ, -1);
    CHECK_EQ(EVFILT_WRITE, -2);
    CHECK_EQ(EVFILT_TIMER, -7);
    CHECK_EQ(EVFILT_USER, -11);
    CHECK_EQ(EV_ADD, 1);
    CHECK_EQ(EV_DELETE, 2);
    CHECK_EQ(EV_ENABLE, 4);
    CHECK_EQ(EV_DISABLE, 8);
    CHECK_EQ(EV_ONESHOT, 0x10);
    CHECK_EQ(EV_CLEAR, 0x20);
    CHECK_EQ(EV_RECEIPT, 0x40);
    CHECK_EQ(EV_DISPATCH, 0x80);
    CHECK_EQ(EV_FORCEONESHOT, 0x100);
    CHECK_EQ(EV_KEEPUDATA, 0x200);
    CHECK_EQ(EV_SYSFLAGS, 0xF000);
    CHECK_EQ(EV_FLAG1, 0x2000);
    CHECK_EQ(EV_ERROR, 0x4000);
    CHECK_EQ(EV_EOF, 0x8000);
    CHECK_EQ(NOTE_FFNOP, 0);
    CHECK_EQ((uint32_t)NOTE_FFAND, 0x40000000);
    CHECK_EQ((uint32_t)NOTE_FFOR, 0x80000000);
    CHECK_EQ((uint32_t)NOTE_FFCOPY, 0xc0000000);
    CHECK_EQ((uint32_t)NOTE_FFCTRLMASK, 0xc0000000);
    CHECK_EQ(NOTE_FFLAGSMASK, 0xffffff);
    CHECK_EQ(NOTE_TRIGGER, 0x01000000);
    CHECK_EQ(NOTE_LOWAT, 1);
    CHECK_EQ(NOTE_SECONDS, 1);
    CHECK_EQ(NOTE_USECONDS, 2);
    CHECK_EQ(NOTE_NSECONDS, 4);
    CHECK_EQ(NOTE_ABSOLUTE, 8);
    CHECK_EQ(NOTE_ABSTIME, 8);
    CHECK_EQ(KQUEUE_CLOEXEC, 1);
#ifdef EVFILT_AIO
    CHECK_EQ(EVFILT_AIO, -3);
#endif
#ifdef EVFILT_VNODE
    CHECK_EQ(EVFILT_VNODE, -4);
#endif
#ifdef EVFILT_PROC
    CHECK_EQ(EVFILT_PROC, -5);
#endif
#ifdef EVFILT_SIGNAL
    CHECK_EQ(EVFILT_SIGNAL, -6);
#endif
#ifdef EVFILT_LIBKQUEUE
    CHECK_EQ(EVFILT_LIBKQUEUE, -12);
#endif
}

static int evaluations;

static struct kevent *once(struct kevent *ev)
{
    evaluations++;
    return ev;
}

/* 11 EV_SET evaluates each argument once, shadows no name of the caller's, and is one statement. */
TEST(ev_set, "11")
{
    struct kevent ev[2], *kevp = ev, *kev = ev;
    int a = 1, b = 0;
    memset(ev, 0xff, sizeof ev);
    if (b)
        EV_SET(&ev[0], 9, EVFILT_READ, EV_ADD, 0, 0, NULL);
    else
        EV_SET(once(kevp), a++, EVFILT_USER, EV_ADD | EV_CLEAR, 7u, -3, UDATA(5));
    CHECK_EQ(evaluations, 1);
    CHECK_EQ(a, 2);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_CLEAR, 7, -3, 5);
    EV_SET(kev + 1, (uintptr_t)-1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, INTPTR_MIN, ev);
    EXPECT_EVENT(ev[1], UINTPTR_MAX, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, INTPTR_MIN, ev);
}

#ifdef EVFILT_LIBKQUEUE
static struct kevent ask(int kq, unsigned note, intptr_t data)
{
    struct kevent answer, question = EVENT(0, EVFILT_LIBKQUEUE, EV_ADD, note, data, 0);
    memset(&answer, 0xff, sizeof answer);
    CHECK_EQ(kevent(kq, &question, 1, &answer, 1, NULL), 1);
    CHECK_EQ(answer.filter, EVFILT_LIBKQUEUE);
    CHECK_EQ(answer.fflags, note);
    return answer;
}

/* 10.6 11 NOTE_VERSION: 0xMMmmpprr in data; flags EV_ADD|EV_RECEIPT. */
TEST(version, "10.6 11")
{
    int kq = queue();
    struct kevent answer = ask(kq, NOTE_VERSION, 0);
    EXPECT_EVENT_ANY(answer, 0, EVFILT_LIBKQUEUE, EV_ADD | EV_RECEIPT, NOTE_VERSION, 0x02000000, 0,
                     DATA_AT_LEAST | ANY_UDATA);
    CHECK_LE(answer.data, 0x7fffffff);
    nothing(kq);
}

/* 10.6 NOTE_VERSION_STR: text in udata, that says the same. */
TEST(version_string, "10.6 11")
{
    int kq = queue();
    unsigned major, minor;
    struct kevent number = ask(kq, NOTE_VERSION, 0), answer = ask(kq, NOTE_VERSION_STR, 0);
    EXPECT_EVENT_ANY(answer, 0, EVFILT_LIBKQUEUE, EV_ADD | EV_RECEIPT, NOTE_VERSION_STR, 0, 0, ANY_DATA | ANY_UDATA);
    CHECK(answer.udata != NULL);
    CHECK_EQ(sscanf(answer.udata, "%u.%u", &major, &minor), 2);
    CHECK_EQ(major, (unsigned)number.data >> 24);
    CHECK_EQ(minor, (unsigned)number.data >> 16 & 0xff);
}

/* 10.6 NOTE_THREAD_SAFE is 1. */
TEST(thread_safe, "10.6 11")
{
    struct kevent answer = ask(queue(), NOTE_THREAD_SAFE, 0);
    EXPECT_EVENT_ANY(answer, 0, EVFILT_LIBKQUEUE, EV_ADD | EV_RECEIPT, NOTE_THREAD_SAFE, 1, 0, ANY_UDATA);
}

/* 10.6 A question to the library leaves no knote: nothing is reported later. */
TEST(questions_leave_no_knote, "10.6")
{
    int kq = queue();
    for (int i = 0; i < 3; i++)
        ask(kq, NOTE_VERSION, 0);
    nothing(kq);
}
#endif

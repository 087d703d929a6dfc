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

/* 10.6 Both always answer, EV_RECEIPT or not, and leave what they do not fill as it was given. */
TEST(questions_are_always_answered, "10.6")
{
    static const unsigned short flags[] = {EV_ADD, EV_ADD | EV_RECEIPT, EV_ADD | EV_ENABLE, EV_ADD | EV_EOF};
    int kq = queue();
    for (int i = 0; i < 4; i++) {
        struct kevent answer, question = EVENT(5, EVFILT_LIBKQUEUE, flags[i], NOTE_VERSION, 0, 7);
        CHECK_EQ(kevent(kq, &question, 1, &answer, 1, NULL), 1);
        EXPECT_EVENT_ANY(answer, 5, EVFILT_LIBKQUEUE, EV_ADD | EV_RECEIPT, NOTE_VERSION, 1, 7, DATA_AT_LEAST);
        question.fflags = NOTE_VERSION_STR;
        question.data = 9;
        CHECK_EQ(kevent(kq, &question, 1, &answer, 1, NULL), 1);
        EXPECT_EVENT_ANY(answer, 5, EVFILT_LIBKQUEUE, EV_ADD | EV_RECEIPT, NOTE_VERSION_STR, 9, 0, ANY_UDATA);
    }
}

/* The value that was set before; EV_RECEIPT asks for it. */
static intptr_t set(int kq, unsigned note, intptr_t data)
{
    struct kevent ev[2], setting = EVENT(0, EVFILT_LIBKQUEUE, EV_ADD | EV_RECEIPT, note, data, 3);
    CHECK_EQ(kevent(kq, &setting, 1, ev, 2, NULL), 1);
    EXPECT_EVENT_ANY(ev[0], 0, EVFILT_LIBKQUEUE, EV_ADD | EV_RECEIPT, note, 0, 3, ANY_DATA);
    return ev[0].data;
}

/* 10.6 NOTE_THREAD_SAFE and NOTE_FORK_CLEANUP are 1; a receipt has the previous value. */
TEST(switches_answer_with_the_previous_value, "10.6 11")
{
    static const unsigned notes[] = {NOTE_THREAD_SAFE, NOTE_FORK_CLEANUP};
    int kq = queue(), other = queue();
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(set(kq, notes[i], 0), 1);
        CHECK_EQ(set(other, notes[i], 0), 0); /* the process's, not the queue's */
        CHECK_EQ(set(kq, notes[i], 1), 0);
        CHECK_EQ(set(kq, notes[i], 1), 1);
    }
}

/* 10.6 NOTE_DEBUG is 0 without KQUEUE_DEBUG in the environment. */
TEST(debug_is_off, "10.6 11")
{
    int kq = queue();
    CHECK_EQ(set(kq, NOTE_DEBUG, 0), 0);
    CHECK_EQ(set(kq, NOTE_DEBUG_FUNC, 0), 0);
    CHECK(strcmp((const char *)set(kq, NOTE_DEBUG_PREFIX, (intptr_t)"mine"), "KQ") == 0);
}

/* 10.6 A setting without EV_RECEIPT has no entry: the call goes on to collect events. */
TEST(setting_without_receipt_is_silent, "10.6 1.2")
{
    static const unsigned notes[] = {NOTE_THREAD_SAFE, NOTE_FORK_CLEANUP, NOTE_DEBUG, NOTE_DEBUG_PREFIX,
                                     NOTE_DEBUG_FUNC};
    int kq = queue();
    const struct timespec no_wait = {0, 0};
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 2);
    for (int i = 0; i < 5; i++) {
        struct kevent ev[2], setting = EVENT(0, EVFILT_LIBKQUEUE, EV_ADD, notes[i], 0, 0);
        CHECK_EQ(kevent(kq, &setting, 1, ev, 2, &no_wait), 1);
        EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD, 0, 0, 2);
        change(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, notes[i], 0, 0); /* nor does it need room */
    }
}

/* 10.6 1.6 Answers end the call, as receipts do: no events beside them, and later changes are applied. */
TEST(answers_are_receipts, "10.6 1.6")
{
    int kq = queue();
    struct kevent ev[8], changes[] = {
        EVENT(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 2),
        EVENT(0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_VERSION, 0, 0),
        EVENT(2, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, 4),
        EVENT(0, EVFILT_LIBKQUEUE, EV_ADD, 99, 0, 5),
    };
    CHECK_EQ(kevent(kq, changes, 4, ev, 8, NULL), 3);
    EXPECT_EVENT_ANY(ev[0], 0, EVFILT_LIBKQUEUE, EV_ADD | EV_RECEIPT, NOTE_VERSION, 1, 0, DATA_AT_LEAST);
    EXPECT_EVENT(ev[1], 2, EVFILT_USER, EV_ADD | EV_RECEIPT | EV_ERROR, 0, 0, 4);
    EXPECT_EVENT(ev[2], 0, EVFILT_LIBKQUEUE, EV_ADD | EV_ERROR, 99, EINVAL, 5);
    wait_event(kq, &ev[0]);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD, 0, 0, 2);
}

/* 10.6 1.7 An answer without room: applied, nothing behind it is, and 0 is returned. */
TEST(answer_without_room, "10.6 1.7")
{
    static const unsigned notes[] = {NOTE_VERSION, NOTE_VERSION_STR, NOTE_THREAD_SAFE};
    int kq = queue();
    for (int i = 0; i < 3; i++) {
        struct kevent changes[] = {
            EVENT(0, EVFILT_LIBKQUEUE, EV_ADD | EV_RECEIPT, notes[i], 0, 0),
            EVENT(1, EVFILT_USER, EV_ADD, 0, 0, 0),
        };
        CHECK_EQ(kevent(kq, changes, 2, NULL, 0, NULL), 0);
        CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
    }
    CHECK_EQ(set(kq, NOTE_THREAD_SAFE, 1), 0);
}

/* 10.6 What means nothing is EINVAL, and changes nothing. */
TEST(nonsense_is_refused, "10.6 1.5")
{
    static const unsigned short flags[] = {0, EV_DELETE, EV_ENABLE, EV_DISABLE, EV_RECEIPT, EV_ADD | EV_DELETE,
                                           EV_ADD | EV_DISABLE, EV_ADD | EV_ONESHOT, EV_ADD | EV_CLEAR,
                                           EV_ADD | EV_DISPATCH, EV_ADD | EV_FORCEONESHOT, EV_ADD | EV_KEEPUDATA};
    static const intptr_t values[] = {2, -1, INTPTR_MAX, INTPTR_MIN};
    int kq = queue();
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
        CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, flags[i], NOTE_VERSION, 0, 0), EINVAL);
        CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, flags[i], NOTE_FORK_CLEANUP, 0, 0), EINVAL);
    }
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_THREAD_SAFE, values[i], 0), EINVAL);
        CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_FORK_CLEANUP, values[i], 0), EINVAL);
        CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG, values[i], 0), EINVAL);
    }
    CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, 0, 0, 0), EINVAL);
    CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, 9, 0, 0), EINVAL);
    CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, 0x80000001, 0, 0), EINVAL);
    CHECK_EQ(set(kq, NOTE_FORK_CLEANUP, 1), 1);
    CHECK_EQ(set(kq, NOTE_THREAD_SAFE, 1), 1);
}

/* 10.6 NOTE_FILE_POLL_INTERVAL is for systems that do not tell of files. */
TEST(file_poll_interval, "10.6")
{
    int kq = queue();
    if (strcmp(suite_backend(), "posix") != 0 && strcmp(suite_backend(), "solaris") != 0) {
        CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_FILE_POLL_INTERVAL, 1000, 0), ENOSYS);
        return;
    }
    CHECK_EQ(set(kq, NOTE_FILE_POLL_INTERVAL, 1000000), 250000000);
    CHECK_EQ(set(kq, NOTE_FILE_POLL_INTERVAL, 0), 1000000);
    CHECK_EQ(set(kq, NOTE_FILE_POLL_INTERVAL, 1000000), 250000000);
    CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_FILE_POLL_INTERVAL, -1, 0), EINVAL);
}

/* 10.6 The prefix is copied, and put back by the address that the receipt gave; NULL is the default. */
TEST(debug_prefix, "10.6")
{
    char text[80] = "mine";
    int kq = queue();
    intptr_t first = set(kq, NOTE_DEBUG_PREFIX, (intptr_t)text);
    memset(text, 'x', sizeof text);
    CHECK(strcmp((const char *)first, "KQ") == 0);
    const char *mine = (const char *)set(kq, NOTE_DEBUG_PREFIX, first);
    CHECK(strcmp(mine, "mine") == 0);
    CHECK(strcmp((const char *)set(kq, NOTE_DEBUG_PREFIX, (intptr_t)mine), "KQ") == 0);
    text[63] = '\0';
    CHECK(strcmp((const char *)set(kq, NOTE_DEBUG_PREFIX, (intptr_t)text), "mine") == 0);
    CHECK_EQ(strlen((const char *)set(kq, NOTE_DEBUG_PREFIX, 0)), 63);
    CHECK(strcmp((const char *)set(kq, NOTE_DEBUG_PREFIX, 0), "KQ") == 0);
    text[63] = 'x';
    text[64] = '\0'; /* does not fit */
    CHECK_EQ(change_errno(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG_PREFIX, (intptr_t)text, 0), EINVAL);
    CHECK(strcmp((const char *)set(kq, NOTE_DEBUG_PREFIX, 0), "KQ") == 0);
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

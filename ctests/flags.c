/* SPDX-License-Identifier: BSD-2-Clause */
/* Section 2, and 1.14, 1.15: what the EV_ flags of a change do, and which come back. */
#define SUITE "flags"
#include "suite.h"

#include "sockets.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What poll(2) says of a socket whose peer's end has arrived, whatever is left to read. */
#ifdef POLLRDHUP
#define PEER_GONE POLLRDHUP
#else
#define PEER_GONE POLLHUP
#endif

/* Every way to ask for a report, and the flags of the event that comes of it. */
static const unsigned short modes[] = {
    0,
    EV_CLEAR,
    EV_ONESHOT,
    EV_DISPATCH,
    EV_RECEIPT,
    EV_CLEAR | EV_DISPATCH,
    EV_CLEAR | EV_ONESHOT,
    EV_CLEAR | EV_RECEIPT,
    EV_ONESHOT | EV_DISPATCH,
    EV_DISPATCH | EV_RECEIPT,
    EV_CLEAR | EV_ONESHOT | EV_DISPATCH | EV_RECEIPT,
};

/*
 * The knote (fd, EVFILT_READ) with `bytes` to read, not yet reported, reports with these flags and then does
 * what its mode says. `fd` has a writer at `writer`.
 */
static void reads_in_mode(int kq, int fd, int writer, intptr_t bytes, unsigned short mode, void *udata)
{
    unsigned short flags = EV_ADD | mode;
    EXPECT_NEXT(kq, fd, EVFILT_READ, flags, 0, bytes, udata);
    if (mode & EV_ONESHOT) {
        nothing(kq);
        CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    } else if (mode & EV_DISPATCH) {
        nothing(kq);
        put(writer, 1);
        nothing(kq);
        change(kq, fd, EVFILT_READ, EV_ENABLE, 0, 0, udata);
        EXPECT_NEXT(kq, fd, EVFILT_READ, flags, 0, bytes + 1, udata);
        nothing(kq);
    } else if (mode & EV_CLEAR) {
        nothing(kq);
        put(writer, 1);
        EXPECT_NEXT(kq, fd, EVFILT_READ, flags, 0, bytes + 1, udata);
        nothing(kq);
    } else {
        EXPECT_NEXT(kq, fd, EVFILT_READ, flags, 0, bytes, udata);
        put(writer, 1);
        EXPECT_NEXT(kq, fd, EVFILT_READ, flags, 0, bytes + 1, udata);
    }
}

/* ---- 1.14 --------------------------------------------------------------------------------------- */

/* 1.14 An event whose condition has gone when it is collected is not returned; a one-shot is not used up. */
static void gone_data(enum kind kind, unsigned short mode)
{
    int kq = queue(), fds[2];
    connected(kind, fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | mode, 0, 0, 1);
    put(fds[1], 3);
    until_queued(fds[0], 3);
    take(fds[0], 3);
    nothing(kq);
    put(fds[1], 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | mode, 0, 2, 1);
}

/* 1.14 The same for room to write: filled before it was collected. */
static void gone_room(enum kind kind, unsigned short mode)
{
    int kq = queue(), fds[2];
    connected(kind, fds);
    change(kq, fds[1], EVFILT_WRITE, EV_ADD | mode, 0, 0, 1);
    size_t bytes = fill(fds[1]);
    nothing(kq);
    take(fds[0], bytes);
    EXPECT_NEXT_ANY(kq, fds[1], EVFILT_WRITE, EV_ADD | mode, 0, 1, 1, DATA_AT_LEAST);
}

#define GONE(name, mode)                                                                                    \
    TEST(gone_data_of_a_pipe_##name, "1.14") { gone_data(PIPE, mode); }                                     \
    TEST(gone_data_of_a_unix_socket_##name, "1.14") { gone_data(UNIX_STREAM, mode); }                       \
    TEST(gone_data_of_a_tcp_socket_##name, "1.14") { gone_data(TCP, mode); }                                \
    TEST(gone_room_of_a_pipe_##name, "1.14") { gone_room(PIPE, mode); }                                     \
    TEST(gone_room_of_a_unix_socket_##name, "1.14") { gone_room(UNIX_STREAM, mode); }
GONE(level, 0)
GONE(clear, EV_CLEAR)
GONE(oneshot, EV_ONESHOT)
GONE(dispatch, EV_DISPATCH)

/* 1.14 The same when the event was left over by a short eventlist. */
TEST(gone_after_a_short_eventlist, "1.14 1.12")
{
    enum { N = 6 };
    int kq = queue(), fds[N][2];
    struct kevent ev[N];
    for (int i = 0; i < N; i++) {
        pipe_pair(fds[i]);
        change(kq, fds[i][0], EVFILT_READ, EV_ADD | (i % 2 ? EV_CLEAR : EV_ONESHOT), 0, 0, i);
        put(fds[i][1], 1);
    }
    CHECK_EQ(collect(kq, ev, 2), 2);
    int first = (int)(intptr_t)ev[0].udata, second = (int)(intptr_t)ev[1].udata;
    for (int i = 0; i < N; i++)
        if (i != first && i != second)
            take(fds[i][0], 1);
    nothing(kq);
    for (int i = 0; i < N; i++) {
        if (i != first && i != second) {
            put(fds[i][1], 2);
            EXPECT_NEXT(kq, fds[i][0], EVFILT_READ, EV_ADD | (i % 2 ? EV_CLEAR : EV_ONESHOT), 0, 2, i);
        }
    }
}

/* ---- 1.15 --------------------------------------------------------------------------------------- */

/* 1.15 Flags are those of the first EV_ADD, EV_ADD among them, and without EV_ENABLE. */
TEST(returned_flags_read, "1.15 2.7 2.8 2.9 2.10")
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        for (int enable = 0; enable < 2; enable++) {
            int kq = queue(), fds[2];
            pipe_pair(fds);
            put(fds[1], 5);
            change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i] | (enable ? EV_ENABLE : 0), 0, 0, i + 1);
            reads_in_mode(kq, fds[0], fds[1], 5, modes[i], UDATA(i + 1));
        }
    }
}

/* 1.15 The same for WRITE. */
TEST(returned_flags_write, "1.15 2.7 2.8 2.9 2.10")
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        int kq = queue(), fds[2];
        socket_pair(fds);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_ENABLE | modes[i], 0, 0, i + 1);
        EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | modes[i], 0, 1, i + 1, DATA_AT_LEAST);
        if (modes[i] & (EV_CLEAR | EV_ONESHOT | EV_DISPATCH))
            nothing(kq);
        else
            EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | modes[i], 0, 1, i + 1, DATA_AT_LEAST);
        int gone = modes[i] & EV_ONESHOT ? ENOENT : 0;
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0), gone);
    }
}

/* 1.15 The same for USER. */
TEST(returned_flags_user, "1.15 2.7 2.8 2.9 2.10")
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        int kq = queue();
        change(kq, i, EVFILT_USER, EV_ADD | EV_ENABLE | modes[i], NOTE_TRIGGER | 0x21, 31, i + 1);
        EXPECT_NEXT(kq, i, EVFILT_USER, EV_ADD | modes[i], 0x21, 31, i + 1);
        if (modes[i] & (EV_CLEAR | EV_ONESHOT | EV_DISPATCH))
            nothing(kq);
        else
            EXPECT_NEXT(kq, i, EVFILT_USER, EV_ADD | modes[i], 0x21, 31, i + 1);
        int gone = modes[i] & EV_ONESHOT ? ENOENT : 0;
        CHECK_EQ(change_errno(kq, i, EVFILT_USER, EV_DELETE, 0, 0, 0), gone);
    }
}

/* 1.15 EV_DISABLE and EV_ENABLE of later changes do not come back either. */
TEST(actions_do_not_come_back, "1.15")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 2);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE | EV_KEEPUDATA, 0, 0, 3);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 2);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_ENABLE, 0, 0, 4);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 4);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 5);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 6);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 6);
}

/* 1.15 They are sticky: no later change alters the mode, neither what is returned nor what is done. */
static void mode_is_sticky(unsigned short action)
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        for (size_t j = 0; j < COUNT(modes); j++) {
            int kq = queue(), fds[2];
            pipe_pair(fds);
            change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
            change(kq, fds[0], EVFILT_READ, action | modes[j], 0, 0, 2);
            put(fds[1], 3);
            reads_in_mode(kq, fds[0], fds[1], 3, modes[i], UDATA(2));
            OK(close(kq));
            OK(close(fds[0]));
            OK(close(fds[1]));
        }
    }
}

TEST(add_does_not_change_the_mode, "1.15 2.1")
{
    mode_is_sticky(EV_ADD);
}

TEST(enable_does_not_change_the_mode, "1.15 2.3")
{
    mode_is_sticky(EV_ENABLE);
}

TEST(no_action_does_not_change_the_mode, "1.15 2.3")
{
    mode_is_sticky(0);
}

/* 1.15 The same when the later change comes to a knote that is ready. */
TEST(mode_of_a_ready_knote_is_sticky, "1.15 2.1")
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        for (size_t j = 0; j < COUNT(modes); j++) {
            int kq = queue(), fds[2];
            socket_pair(fds);
            put(fds[1], 3);
            change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
            change(kq, fds[0], EVFILT_READ, EV_ADD | modes[j], 0, 0, 2);
            reads_in_mode(kq, fds[0], fds[1], 3, modes[i], UDATA(2));
            OK(close(kq));
            OK(close(fds[0]));
            OK(close(fds[1]));
        }
    }
}

/* 1.15 EV_RECEIPT of a change is for that change; the knote keeps what it was made with. */
TEST(receipt_belongs_to_the_change, "1.15 1.7")
{
    int kq = queue(), fds[2];
    struct kevent ev[2], change;
    pipe_pair(fds);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change = EVENT(fds[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, 2);
    CHECK_EQ(kevent(kq, &change, 1, ev, 2, NULL), 1);
    EXPECT_EVENT(ev[0], fds[0], EVFILT_READ, EV_ADD | EV_RECEIPT | EV_ERROR, 0, 0, 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 2);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, 3);
    /* A change without EV_RECEIPT gives no receipt: this call returns the event. */
    change = EVENT(fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 4);
    CHECK_EQ(kevent(kq, &change, 1, ev, 2, NULL), 1);
    EXPECT_EVENT(ev[0], fds[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 1, 4);
}

/* 1.15 To change the mode, delete and add, in one changelist too. */
TEST(delete_and_add_changes_the_mode, "1.15 2.6 10.8")
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        for (size_t j = 0; j < COUNT(modes); j++) {
            int kq = queue(), fds[2];
            socket_pair(fds);
            put(fds[1], 3);
            change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
            struct kevent changes[] = {
                EVENT(fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0),
                EVENT(fds[0], EVFILT_READ, EV_ADD | modes[j], 0, 0, 2),
            };
            CHECK_EQ(kevent(kq, changes, 2, NULL, 0, NULL), 0);
            reads_in_mode(kq, fds[0], fds[1], 3, modes[j], UDATA(2));
            OK(close(kq));
            OK(close(fds[0]));
            OK(close(fds[1]));
        }
    }
}

/* 1.15 A knote that comes back after its one-shot report is a new one. */
TEST(add_after_oneshot_is_new, "1.15 2.7")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 1, 1);
    for (size_t i = 0; i < COUNT(modes); i++) {
        change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, i);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 1, i);
        if (!(modes[i] & EV_ONESHOT))
            change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    }
}

/* ---- 2.1 ---------------------------------------------------------------------------------------- */

/* 2.1 EV_ADD on an existing knote updates udata, and says 0. */
TEST(add_again_updates_udata, "2.1")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    socket_pair(fds);
    put(fds[1], 1);
    for (int i = 1; i < 5; i++) {
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, i);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, i * 16);
        change(kq, 1, EVFILT_USER, EV_ADD, i == 1 ? NOTE_TRIGGER : 0, 0, i * 256);
        CHECK_EQ(collect(kq, ev, 4), 3);
        EXPECT_EVENT(*find_event(ev, 3, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD, 0, 1, i);
        EXPECT_EVENT_ANY(*find_event(ev, 3, fds[0], EVFILT_WRITE), fds[0], EVFILT_WRITE, EV_ADD, 0, 1, i * 16,
                         DATA_AT_LEAST);
        EXPECT_EVENT(*find_event(ev, 3, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD, 0, 0, i * 256);
    }
}

/* 2.1 udata that is NULL replaces as well. */
TEST(add_again_with_null_udata, "2.1")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 77);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 0);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, UINTPTR_MAX);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, UINTPTR_MAX);
}

/* 2.1 EV_ADD on an existing knote replaces fflags and data, and re-evaluates the condition. */
TEST(add_again_replaces_the_mark, "2.1 2.3")
{
    static const enum kind kinds[] = {PIPE, UNIX_STREAM, TCP};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        int kq = queue(), fds[2];
        connected(kinds[i], fds);
        put(fds[1], 5);
        until_queued(fds[0], 5);
        change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 1);
        nothing(kq);
        change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 5, 2);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 5, 2);
        change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 6, 3);
        nothing(kq);
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 4);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 5, 4);
    }
}

/* 2.1 EV_ADD on a disabled knote enables it. */
TEST(add_again_enables, "2.1")
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        int kq = queue(), fds[2];
        pipe_pair(fds);
        put(fds[1], 2);
        change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISABLE | modes[i], 0, 0, 1);
        nothing(kq);
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 2);
        reads_in_mode(kq, fds[0], fds[1], 2, modes[i], UDATA(2));
    }
}

/* 2.1 EV_ADD|EV_DISABLE on an existing knote disables it, with the new udata. */
TEST(add_again_with_disable, "2.1 2.2")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 2);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 2, 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 2);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 3);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE | EV_KEEPUDATA, 0, 0, 4);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 2, 3);
}

/* 2.1 Nothing is duplicated by adding again and again; one delete is enough. */
TEST(add_again_duplicates_nothing, "2.1 1.11")
{
    int kq = queue(), fds[2];
    struct kevent ev[8];
    socket_pair(fds);
    put(fds[1], 1);
    for (int i = 0; i < 100; i++) {
        change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0);
        change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0);
    }
    CHECK_EQ(collect(kq, ev, 8), 3);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0);
    change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    put(fds[1], 1);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0), ENOENT);
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 2.1 An event that is pending already is not lost by EV_ADD. */
TEST(add_again_keeps_what_is_pending, "2.1")
{
    static const unsigned short once[] = {EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < COUNT(once); i++) {
        int kq = queue(), fds[2];
        struct kevent ev[4];
        pipe_pair(fds);
        change(kq, fds[0], EVFILT_READ, EV_ADD | once[i], 0, 0, 1);
        change(kq, 1, EVFILT_USER, EV_ADD | once[i], 0, 0, 2);
        put(fds[1], 1);
        change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 2);
        change(kq, fds[0], EVFILT_READ, EV_ADD | once[i], 0, 0, 3);
        change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 4);
        CHECK_EQ(collect(kq, ev, 4), 2);
        EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | once[i], 0, 1, 3);
        EXPECT_EVENT(*find_event(ev, 2, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD | once[i], 0, 0, 4);
        nothing(kq);
    }
}

/* ---- 2.2 ---------------------------------------------------------------------------------------- */

/* 2.2 EV_ADD|EV_DISABLE is attached and never reported, whatever happens, until EV_ENABLE. */
TEST(added_disabled_is_silent, "2.2")
{
    int kq = queue(), fds[2], file;
    struct kevent ev[8];
    socket_pair(fds);
    put(fds[1], 2);
    file = OK(open("file", O_RDWR | O_CREAT, 0600));
    put(file, 7);
    OK(lseek(file, 3, SEEK_SET));
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 1);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0, 2);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_DISABLE | EV_CLEAR, NOTE_TRIGGER, 9, 3);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE | EV_ONESHOT, 0, 1, 4);
    change(kq, file, EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 5);
    nothing(kq);
    put(fds[1], 1);
    /* A timer of the same length that is enabled has been reported: the disabled one is due by now. */
    change(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 3, 6);
    EXPECT_NEXT(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 6);
    nothing(kq);
    struct kevent changes[] = {
        EVENT(fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 1),   EVENT(fds[0], EVFILT_WRITE, EV_ENABLE, 0, 0, 2),
        EVENT(1, EVFILT_USER, EV_ENABLE, 0, 9, 3),        EVENT(1, EVFILT_TIMER, EV_ENABLE, 0, 0, 4),
        EVENT(file, EVFILT_READ, EV_ENABLE, 0, 0, 5),
    };
    int n = OK(kevent(kq, changes, 5, ev, 8, NULL));
    CHECK_EQ(n, 5);
    EXPECT_EVENT(*find_event(ev, n, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD, 0, 3, 1);
    EXPECT_EVENT_ANY(*find_event(ev, n, fds[0], EVFILT_WRITE), fds[0], EVFILT_WRITE, EV_ADD, 0, 1, 2, DATA_AT_LEAST);
    EXPECT_EVENT(*find_event(ev, n, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 9, 3);
    EXPECT_EVENT(*find_event(ev, n, 1, EVFILT_TIMER), 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 4);
    EXPECT_EVENT(*find_event(ev, n, file, EVFILT_READ), file, EVFILT_READ, EV_ADD, 0, 4, 5);
}

/* 2.2 A knote that was added disabled exists: it can be deleted. */
TEST(added_disabled_exists, "2.2 2.4")
{
    int kq = queue(), fds[2];
    socket_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 1);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 0), ENOENT);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, EV_ENABLE, 0, 0, 0), ENOENT);
}

/* 2.2 A hang-up does not get a disabled knote reported, nor keep the queue awake. */
TEST(added_disabled_and_hung_up, "2.2 2.5 10.5")
{
    static const enum kind kinds[] = {PIPE, FIFO, UNIX_STREAM, TCP};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        int kq = queue(), fds[2];
        connected(kinds[i], fds);
        change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 1);
        put(fds[1], 2);
        OK(close(fds[1]));
        until_polled(fds[0], kinds[i] == PIPE || kinds[i] == FIFO ? POLLHUP : PEER_GONE);
        nothing(kq);
        sleeps(kq);
        change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 2, 2);
    }
}

/* ---- 2.3 ---------------------------------------------------------------------------------------- */

/* 2.3 EV_ENABLE, EV_DISABLE, or no action bit on an existing knote also update udata. */
TEST(every_change_updates_udata, "2.3")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 2);
    change(kq, fds[0], EVFILT_READ, 0, 0, 0, 3);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 3);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 4);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE | EV_KEEPUDATA, 0, 0, 5);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 4);

    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 11);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 12);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 12);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 1, 21);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 22);
    EXPECT_NEXT_ANY(kq, 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, 22, DATA_AT_LEAST);
}

/* 2.3 Of the events that are pending the udata is that of the latest change. */
TEST(udata_of_a_pending_event, "2.3 2.1")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, 0, 0, 0, 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 2);
    nothing(kq);
}

/* 2.3 EV_KEEPUDATA keeps udata. */
TEST(keepudata, "2.3")
{
    static const unsigned short actions[] = {EV_ENABLE, 0, EV_DISABLE};
    for (size_t i = 0; i < COUNT(actions); i++) {
        int kq = queue(), fds[2];
        socket_pair(fds);
        put(fds[1], 1);
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
        change(kq, fds[0], EVFILT_READ, actions[i] | EV_KEEPUDATA, 0, 0, 2);
        if (actions[i] == EV_DISABLE) {
            nothing(kq);
            change(kq, fds[0], EVFILT_READ, EV_ENABLE | EV_KEEPUDATA, 0, 0, 3);
        }
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 1);
        change(kq, fds[0], EVFILT_READ, EV_DELETE | EV_KEEPUDATA, 0, 0, 0);
        change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 4);
        change(kq, 1, EVFILT_USER, EV_KEEPUDATA, NOTE_TRIGGER, 6, 5);
        EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 6, 4);
    }
}

/* 2.3 EV_KEEPUDATA with EV_ADD is EINVAL, for a new knote and for one that exists, which stays as it was. */
TEST(keepudata_with_add_is_einval, "2.3")
{
    int kq = queue(), fds[2];
    socket_pair(fds);
    put(fds[1], 1);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_ADD | EV_KEEPUDATA, 0, 0, 1), EINVAL);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 1), ENOENT);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_ADD | EV_KEEPUDATA | EV_DISABLE, 0, 0, 3), EINVAL);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_ADD | EV_KEEPUDATA, NOTE_LOWAT, 100, 3), EINVAL);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 2);
}

/* 2.3 EV_ENABLE with EV_DISABLE is EINVAL, and changes nothing. */
TEST(enable_with_disable_is_einval, "2.3")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_ADD | EV_ENABLE | EV_DISABLE, 0, 0, 1), EINVAL);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_ENABLE | EV_DISABLE, 0, 0, 3), EINVAL);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 2);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 4);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_ENABLE | EV_DISABLE, 0, 0, 5), EINVAL);
    nothing(kq);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 6);
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_ENABLE | EV_DISABLE, NOTE_TRIGGER, 0, 7), EINVAL);
    nothing(kq);
}

/* 2.3 A change other than EV_ADD that gives no fflags leaves fflags and data of a READ knote. */
TEST(change_without_fflags_keeps_the_mark, "2.3")
{
    int kq = queue(), fds[2];
    socket_pair(fds);
    put(fds[1], 5);
    change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 1);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 1, 3);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, 0, 0, 0, 4);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 5);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 6);
    nothing(kq);
    put(fds[1], 5);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 10, 6);
}

/* 2.3 One that gives fflags replaces both. */
TEST(change_with_fflags_replaces_the_mark, "2.3")
{
    static const unsigned short actions[] = {EV_ENABLE, 0, EV_DISABLE};
    for (size_t i = 0; i < COUNT(actions); i++) {
        int kq = queue(), fds[2];
        socket_pair(fds);
        put(fds[1], 5);
        change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 1);
        nothing(kq);
        change(kq, fds[0], EVFILT_READ, actions[i], NOTE_LOWAT, 5, 2);
        if (actions[i] == EV_DISABLE) {
            nothing(kq);
            change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
        }
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 5, 2);
        change(kq, fds[0], EVFILT_READ, actions[i], NOTE_LOWAT, 6, 3);
        if (actions[i] == EV_DISABLE)
            change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
        nothing(kq);
    }
}

/* ---- 2.4 ---------------------------------------------------------------------------------------- */

/* 2.4 Anything but EV_ADD on a knote that does not exist is ENOENT. */
TEST(enoent_without_a_knote, "2.4")
{
    int kq = queue(), fds[2];
    static const unsigned short actions[] = {
        EV_DELETE,   EV_ENABLE,   EV_DISABLE, 0,          EV_ONESHOT,
        EV_CLEAR,    EV_DISPATCH, EV_RECEIPT, EV_FORCEONESHOT,
        EV_KEEPUDATA, EV_DELETE | EV_DISABLE, EV_ENABLE | EV_ONESHOT,
    };
    socket_pair(fds);
    for (size_t i = 0; i < COUNT(actions); i++) {
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, actions[i], 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, actions[i], 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_USER, actions[i], NOTE_TRIGGER, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_TIMER, actions[i], 0, 1000, 0), ENOENT);
    }
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, fds[0], EVFILT_USER, EV_ADD, 0, 0, 0);
    for (size_t i = 0; i < COUNT(actions); i++) {
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, actions[i], 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, fds[1], EVFILT_READ, actions[i], 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, fds[0] + 1000, EVFILT_USER, actions[i], 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_TIMER, actions[i], 0, 1000, 0), ENOENT);
    }
}

/* 2.4 On a descriptor that is not open it is EBADF, EV_ADD as well. */
TEST(ebadf_without_a_descriptor, "2.4 1.3")
{
    int kq = queue(), fds[2];
    static const unsigned short actions[] = {EV_ADD, EV_DELETE, EV_ENABLE, EV_DISABLE, 0, EV_ADD | EV_DISABLE};
    socket_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    OK(close(fds[0]));
    OK(close(fds[1]));
    for (size_t i = 0; i < COUNT(actions); i++) {
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, actions[i], 0, 0, 0), EBADF);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, actions[i], 0, 0, 0), EBADF);
        CHECK_EQ(change_errno(kq, fds[1], EVFILT_READ, actions[i], 0, 0, 0), EBADF);
        CHECK_EQ(change_errno(kq, 900, EVFILT_WRITE, actions[i], 0, 0, 0), EBADF);
        CHECK_EQ(change_errno(kq, -1, EVFILT_READ, actions[i], 0, 0, 0), EBADF);
    }
}

/* ---- 2.5 ---------------------------------------------------------------------------------------- */

/* 2.5 A disabled knote is not reported; what happened meanwhile and still holds is reported on EV_ENABLE. */
static void disabled_goes_on_recording(enum kind kind, unsigned short mode)
{
    int kq = queue(), fds[2];
    connected(kind, fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | mode, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 2);
    put(fds[1], 3);
    until_queued(fds[0], 3);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 3);
    reads_in_mode(kq, fds[0], fds[1], 3, mode, UDATA(3));
}

/* 2.5 What happened meanwhile and no longer holds is not. */
static void disabled_forgets_what_has_gone(enum kind kind, unsigned short mode)
{
    int kq = queue(), fds[2];
    connected(kind, fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | mode, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 2);
    put(fds[1], 3);
    until_queued(fds[0], 3);
    take(fds[0], 3);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 3);
    nothing(kq);
    put(fds[1], 1);
    until_queued(fds[0], 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | mode, 0, 1, 3);
}

TEST(disabled_pipe_goes_on_recording, "2.5")
{
    for (size_t i = 0; i < COUNT(modes); i++)
        disabled_goes_on_recording(PIPE, modes[i]);
}

TEST(disabled_unix_socket_goes_on_recording, "2.5")
{
    for (size_t i = 0; i < COUNT(modes); i++)
        disabled_goes_on_recording(UNIX_STREAM, modes[i]);
}

TEST(disabled_pipe_forgets_what_has_gone, "2.5 1.14")
{
    for (size_t i = 0; i < COUNT(modes); i++)
        disabled_forgets_what_has_gone(PIPE, modes[i]);
}

TEST(disabled_tcp_socket_forgets_what_has_gone, "2.5 1.14")
{
    for (size_t i = 0; i < COUNT(modes); i++)
        disabled_forgets_what_has_gone(TCP, modes[i]);
}

/* 2.5 An event that is pending when its knote is disabled is held back, not lost. */
TEST(disable_holds_back_what_is_pending, "2.5")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
    change(kq, 2, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 3);
    put(fds[1], 4);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 2);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 1);
    change(kq, 1, EVFILT_USER, EV_DISABLE, 0, 0, 2);
    change(kq, 2, EVFILT_USER, EV_DISABLE, 0, 0, 3);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 1);
    change(kq, 1, EVFILT_USER, EV_ENABLE, 0, 0, 2);
    change(kq, 2, EVFILT_USER, EV_ENABLE, 0, 0, 3);
    CHECK_EQ(collect(kq, ev, 4), 3);
    EXPECT_EVENT(*find_event(ev, 3, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 4, 1);
    EXPECT_EVENT(*find_event(ev, 3, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
    EXPECT_EVENT(*find_event(ev, 3, 2, EVFILT_USER), 2, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 3);
    nothing(kq);
}

/* 2.5 The same for events that a short eventlist left over. */
TEST(disable_holds_back_what_was_left_over, "2.5 1.12")
{
    enum { N = 8 };
    int kq = queue(), fds[2];
    struct kevent ev[N], all[N];
    for (int i = 0; i < N; i += 2) {
        pipe_pair(fds);
        put(fds[1], 1);
        all[i] = EVENT(fds[0], EVFILT_READ, 0, 0, 0, i);
        all[i + 1] = EVENT(fds[0], EVFILT_USER, 0, 0, 0, i + 1);
        change(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, i);
        change(kq, fds[0], EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, i + 1);
    }
    CHECK_EQ(collect(kq, ev, 1), 1);
    int first = (int)(intptr_t)ev[0].udata;
    for (int i = 0; i < N; i++)
        if (i != first)
            change(kq, all[i].ident, all[i].filter, EV_DISABLE, 0, 0, i);
    nothing(kq);
    for (int i = 0; i < N; i++)
        if (i != first)
            change(kq, all[i].ident, all[i].filter, EV_ENABLE, 0, 0, i + 100);
    CHECK_EQ(collect(kq, ev, N), N - 1);
    for (int i = 0; i < N; i++)
        if (i != first)
            EXPECT_EVENT_ANY(*find_event(ev, N - 1, all[i].ident, all[i].filter), all[i].ident, all[i].filter,
                             EV_ADD | EV_ONESHOT, 0, 0, i + 100, ANY_DATA);
    nothing(kq);
}

/* 2.5 EV_DISABLE within the call that would report it comes in time. */
TEST(disable_in_the_same_call, "2.5 1.2")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    struct kevent ev[4], changes[] = {
        EVENT(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1),
        EVENT(1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 2),
        EVENT(2, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 3),
        EVENT(fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 1),
        EVENT(1, EVFILT_USER, EV_DISABLE, 0, 0, 2),
    };
    CHECK_EQ(kevent(kq, changes, 5, ev, 4, NULL), 1);
    EXPECT_EVENT(ev[0], 2, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    nothing(kq);
}

/* 2.5 Disabling twice and enabling twice is as once. */
TEST(disable_and_enable_do_not_count, "2.5")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 1);
    put(fds[1], 1);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 1);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 1);
    nothing(kq);
}

/* 2.5 The same for WRITE: room that came while it was disabled. */
TEST(disabled_write_goes_on_recording, "2.5")
{
    static const unsigned short some[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < COUNT(some); i++) {
        int kq = queue(), fds[2];
        socket_pair(fds);
        size_t bytes = fill(fds[0]);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD | some[i], 0, 0, 1);
        nothing(kq);
        change(kq, fds[0], EVFILT_WRITE, EV_DISABLE, 0, 0, 2);
        take(fds[1], bytes);
        nothing(kq);
        change(kq, fds[0], EVFILT_WRITE, EV_ENABLE, 0, 0, 3);
        EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | some[i], 0, 1, 3, DATA_AT_LEAST);
        OK(close(kq));
    }
}

/* ---- 2.6 ---------------------------------------------------------------------------------------- */

/* 2.6 EV_DELETE removes at once, with the events that are pending. */
TEST(delete_removes_pending_events, "2.6")
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        int kq = queue(), fds[2];
        socket_pair(fds);
        put(fds[1], 1);
        change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD | modes[i], 0, 0, 2);
        change(kq, 1, EVFILT_USER, EV_ADD | modes[i], NOTE_TRIGGER, 0, 3);
        change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
        change(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0);
        change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
        nothing(kq);
        put(fds[1], 1);
        nothing(kq);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
    }
}

/* 2.6 Later in the same call too. */
TEST(delete_in_the_same_call, "2.6 1.2")
{
    int kq = queue(), fds[2];
    struct timespec zero = {0, 0};
    socket_pair(fds);
    put(fds[1], 1);
    struct kevent ev[4], changes[] = {
        EVENT(fds[0], EVFILT_READ, EV_ADD, 0, 0, 1),   EVENT(fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 1),
        EVENT(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 2), EVENT(fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0),
        EVENT(1, EVFILT_USER, EV_DELETE, 0, 0, 0),     EVENT(fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0),
    };
    CHECK_EQ(kevent(kq, changes, 6, ev, 4, &zero), 0);
    nothing(kq);
}

/* 2.6 The same for events that a short eventlist left over. */
TEST(delete_removes_what_was_left_over, "2.6 1.12")
{
    enum { N = 10 };
    int kq = queue(), fds[N][2];
    struct kevent ev[1];
    for (int i = 0; i < N; i++) {
        pipe_pair(fds[i]);
        put(fds[i][1], 1);
        change(kq, fds[i][0], EVFILT_READ, EV_ADD | (i % 2 ? EV_CLEAR : EV_ONESHOT), 0, 0, i);
        change(kq, i, EVFILT_USER, EV_ADD | (i % 2 ? EV_CLEAR : 0), NOTE_TRIGGER, 0, i);
        change(kq, i, EVFILT_TIMER, EV_ADD, NOTE_USECONDS, 1, i);
    }
    CHECK_EQ(collect(kq, ev, 1), 1);
    for (int i = 0; i < N; i++) {
        change_errno(kq, fds[i][0], EVFILT_READ, EV_DELETE, 0, 0, 0); /* ENOENT of the one reported */
        change(kq, i, EVFILT_USER, EV_DELETE, 0, 0, 0);
        change(kq, i, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    }
    nothing(kq);
    CHECK(!readable(kq));
}

/* 2.6 What is added again starts anew: nothing of the old knote is left. */
TEST(add_after_delete_is_new, "2.6")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER | 0x55, 9, 1);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0x55, 9, 1);
    change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
    nothing(kq);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 3, 2);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 3, 2);

    change(kq, 1, EVFILT_USER, EV_DISABLE, 0, 0, 2);
    change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 3);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);

    int fds[2];
    socket_pair(fds);
    put(fds[1], 2);
    change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 100, 4);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 5);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 2, 5);
}

/* 2.6 A disabled knote, and one that a dispatch disabled, can be deleted. */
TEST(delete_of_a_disabled_knote, "2.6 2.8")
{
    int kq = queue(), fds[2];
    socket_pair(fds);
    put(fds[1], 2);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 0, 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 2, 1);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 0), ENOENT);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 2, 2);
}

/* ---- 2.7 ---------------------------------------------------------------------------------------- */

/* 2.7 EV_ONESHOT is reported once, then the knote is gone: every filter. */
TEST(oneshot_is_deleted, "2.7")
{
    int kq = queue(), fds[2], file;
    struct kevent ev[8];
    socket_pair(fds);
    put(fds[1], 2);
    file = OK(open("file", O_RDWR | O_CREAT, 0600));
    put(file, 7);
    OK(lseek(file, 0, SEEK_SET));
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 1);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 2);
    change(kq, file, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 3);
    change(kq, file, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 4);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 5);
    int n = collect(kq, ev, 8);
    CHECK_EQ(n, 5);
    EXPECT_EVENT(*find_event(ev, n, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 2, 1);
    EXPECT_EVENT_ANY(*find_event(ev, n, fds[0], EVFILT_WRITE), fds[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 1, 2,
                     DATA_AT_LEAST);
    EXPECT_EVENT(*find_event(ev, n, file, EVFILT_READ), file, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 7, 3);
    EXPECT_EVENT(*find_event(ev, n, file, EVFILT_WRITE), file, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 4);
    EXPECT_EVENT(*find_event(ev, n, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 5);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 6);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 6);
    put(fds[1], 1);
    nothing(kq);
    static const short filters[] = {EVFILT_READ, EVFILT_WRITE};
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(change_errno(kq, fds[0], filters[i], EV_DELETE, 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, file, filters[i], EV_DELETE, 0, 0, 0), ENOENT);
    }
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0), ENOENT);
    CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 2.7 What has not been reported is not used up: looking, waiting in vain, a time-out. */
TEST(oneshot_waits_for_its_report, "2.7")
{
    int kq = queue(), fds[2];
    struct kevent ev;
    struct timespec time = duration(5 * MILLISECOND);
    socket_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 1);
    nothing(kq);
    CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &time), 0);
    put(fds[1], 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 2, 1);
    nothing(kq);
}

/* 2.7 A one-shot that ended leaves the other filter of its descriptor alone. */
TEST(oneshot_leaves_the_other_filter, "2.7 2.11")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    socket_pair(fds);
    put(fds[1], 2);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 1);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 2);
    CHECK_EQ(collect(kq, ev, 4), 2);
    for (int i = 0; i < 3; i++)
        EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 1, 2, DATA_AT_LEAST);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 3);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 2, 3);
}

/* ---- 2.8 ---------------------------------------------------------------------------------------- */

/* 2.8 EV_DISPATCH: reported once, then disabled; EV_ENABLE and EV_ADD evaluate the condition again. */
static void dispatch(enum kind kind, unsigned short action, unsigned short mode)
{
    int kq = queue(), fds[2];
    connected(kind, fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | mode, 0, 0, 1);
    put(fds[1], 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | mode, 0, 2, 1);
    put(fds[1], 1);
    until_queued(fds[0], 3);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, action, 0, 0, 2); /* the condition holds */
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | mode, 0, 3, 2);
    nothing(kq);
    take(fds[0], 3);
    change(kq, fds[0], EVFILT_READ, action, 0, 0, 3); /* it does not */
    nothing(kq);
    put(fds[1], 4);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | mode, 0, 4, 3);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0); /* it is still there */
}

TEST(dispatch_and_enable, "2.8")
{
    static const enum kind kinds[] = {PIPE, UNIX_STREAM, TCP};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        dispatch(kinds[i], EV_ENABLE, EV_DISPATCH);
        dispatch(kinds[i], EV_ENABLE, EV_DISPATCH | EV_CLEAR);
    }
}

TEST(dispatch_and_add, "2.8 2.1")
{
    static const enum kind kinds[] = {PIPE, UNIX_STREAM, TCP};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        dispatch(kinds[i], EV_ADD, EV_DISPATCH);
        dispatch(kinds[i], EV_ADD | EV_DISPATCH, EV_DISPATCH | EV_CLEAR);
    }
}

/* 2.8 A change without EV_ENABLE or EV_ADD does not enable. */
TEST(dispatch_stays_disabled, "2.8")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 2);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 0, 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 2, 1);
    change(kq, fds[0], EVFILT_READ, 0, 0, 0, 2);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 3);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE | EV_KEEPUDATA, 0, 0, 4);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 2, 3);
}

/* 2.8 A user event under EV_DISPATCH: active until it is cleared, reported once an EV_ENABLE. */
TEST(dispatch_of_a_user_event, "2.8 9.2 9.3")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_DISPATCH, NOTE_TRIGGER, 0, 1);
    for (int i = 0; i < 3; i++) {
        EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_DISPATCH, 0, 0, i + 1);
        nothing(kq);
        change(kq, 1, EVFILT_USER, EV_ENABLE, 0, 0, i + 2);
    }
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_DISPATCH, 0, 0, 4);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 5);
    nothing(kq);
    change(kq, 1, EVFILT_USER, EV_ENABLE, 0, 0, 6);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_DISPATCH, 0, 0, 6);
}

/* 2.8 A hang-up does not get a dispatched knote reported again, nor keep the queue awake. */
TEST(dispatch_and_hang_up, "2.8 10.5")
{
    static const enum kind kinds[] = {PIPE, FIFO, UNIX_STREAM, TCP};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        int kq = queue(), fds[2];
        connected(kinds[i], fds);
        change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 0, 1);
        OK(close(fds[1]));
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISPATCH | EV_EOF, 0, 0, 1);
        nothing(kq);
        sleeps(kq);
        change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISPATCH | EV_EOF, 0, 0, 2);
        nothing(kq);
    }
}

/* ---- 2.9 2.10 ----------------------------------------------------------------------------------- */

/* 2.9 EV_CLEAR: reported once, and again on new data, also if old data was left. */
static void edge(enum kind kind)
{
    int kq = queue(), fds[2];
    connected(kind, fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    intptr_t bytes = 0;
    for (int i = 1; i <= 5; i++) {
        put(fds[1], (size_t)i);
        bytes += i;
        until_queued(fds[0], (int)bytes);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, bytes, 1);
        nothing(kq);
    }
    take(fds[0], 10); /* reading is nothing new */
    nothing(kq);
    take(fds[0], 5);
    nothing(kq);
    put(fds[1], 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 1);
    nothing(kq);
}

TEST(edge_of_a_pipe, "2.9")
{
    edge(PIPE);
}

TEST(edge_of_a_fifo, "2.9")
{
    edge(FIFO);
}

TEST(edge_of_a_unix_socket, "2.9")
{
    edge(UNIX_STREAM);
}

TEST(edge_of_a_tcp_socket, "2.9")
{
    edge(TCP);
}

/* 2.9 What happens before it is collected is one report. */
TEST(edges_before_the_report_are_one, "2.9")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    for (int i = 0; i < 5; i++)
        put(fds[1], 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 10, 1);
    nothing(kq);
}

/* 2.9 What is ready when the knote is added is reported. */
TEST(edge_that_is_there_already, "2.9")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    socket_pair(fds);
    put(fds[1], 3);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 2);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3, 1);
    EXPECT_EVENT_ANY(*find_event(ev, 2, fds[0], EVFILT_WRITE), fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 2,
                     DATA_AT_LEAST);
    nothing(kq);
}

/* 2.9 WRITE under EV_CLEAR: reported once, and again when a full buffer was emptied. */
TEST(edge_of_a_writer, "2.9")
{
    static const enum kind kinds[] = {PIPE, UNIX_STREAM};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        int kq = queue(), fds[2];
        connected(kinds[i], fds);
        change(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 1);
        EXPECT_NEXT_ANY(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 1, DATA_AT_LEAST);
        for (int round = 0; round < 3; round++) {
            nothing(kq);
            size_t bytes = fill(fds[1]);
            nothing(kq);
            take(fds[0], bytes);
            EXPECT_NEXT_ANY(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 1, DATA_AT_LEAST);
        }
        nothing(kq);
    }
}

/* 2.9 An end of file under EV_CLEAR is reported once, and the queue sleeps after it. */
TEST(edge_of_an_end, "2.9 10.5")
{
    static const enum kind kinds[] = {PIPE, FIFO, UNIX_STREAM, TCP};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        int kq = queue(), fds[2];
        connected(kinds[i], fds);
        change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
        OK(close(fds[1]));
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR | EV_EOF, 0, 0, 1);
        nothing(kq);
        sleeps(kq);
    }
}

/* 2.10 Without EV_CLEAR: reported on every call while the condition holds, with the amount of that time. */
static void level(enum kind kind)
{
    int kq = queue(), fds[2];
    connected(kind, fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    put(fds[1], 5);
    until_queued(fds[0], 5);
    for (intptr_t left = 5; left > 0; left--) {
        for (int i = 0; i < 3; i++)
            EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, left, 1);
        take(fds[0], 1);
    }
    nothing(kq);
    put(fds[1], 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 1);
}

TEST(level_of_a_pipe, "2.10")
{
    level(PIPE);
}

TEST(level_of_a_unix_socket, "2.10")
{
    level(UNIX_STREAM);
}

TEST(level_of_a_tcp_socket, "2.10")
{
    level(TCP);
}

/* 2.10 The same for WRITE, and for an end of file, which stays. */
TEST(level_of_a_writer_and_of_an_end, "2.10")
{
    int kq = queue(), fds[2];
    socket_pair(fds);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 1);
    for (int i = 0; i < 3; i++)
        EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
    size_t bytes = fill(fds[0]);
    nothing(kq);
    take(fds[1], bytes);
    for (int i = 0; i < 3; i++)
        EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
    change(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0);
    change(kq, fds[1], EVFILT_READ, EV_ADD, 0, 0, 2);
    OK(close(fds[0]));
    for (int i = 0; i < 3; i++)
        EXPECT_NEXT(kq, fds[1], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 2);
}

/* ---- 2.12 --------------------------------------------------------------------------------------- */

/* 2.12, 2.5 What is forced and then disabled waits for EV_ENABLE, and is reported whatever the condition. */
TEST(forced_while_disabled, "2.12 2.5")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_FORCEONESHOT, 0, 0, 2);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 3);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 4);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 4);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 2.12 EV_FORCEONESHOT reports at once, whatever the condition, and once. */
static void force(unsigned short action)
{
    int kq = queue(), fds[2];
    struct kevent ev;
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, action | EV_FORCEONESHOT, 0, 0, 2);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 2);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);

    change(kq, 1, EVFILT_USER, EV_ADD, 0, 7, 3);
    change(kq, 1, EVFILT_USER, action | EV_FORCEONESHOT, 0, 8, 4);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 8, 4);
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
}

TEST(forceoneshot, "2.12")
{
    force(0);
}

TEST(forceoneshot_with_enable, "2.12")
{
    force(EV_ENABLE);
}

/* 2.12 The same for a buffer that is full, a timer that is not due, and a waiter that sleeps. */
TEST(forceoneshot_of_write_and_timer, "2.12")
{
    int kq = queue(), fds[2];
    struct kevent ev;
    pipe_pair(fds);
    fill(fds[1]);
    change(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 1);
    nothing(kq);
    change(kq, fds[1], EVFILT_WRITE, EV_FORCEONESHOT, 0, 0, 2);
    wait_event(kq, &ev);
    EXPECT_EVENT_ANY(ev, fds[1], EVFILT_WRITE, EV_ADD | EV_CLEAR | EV_ONESHOT, 0, 0, 2, ANY_DATA);
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 3);
    nothing(kq);
    change(kq, 1, EVFILT_TIMER, EV_FORCEONESHOT, 0, 0, 4);
    wait_event(kq, &ev);
    EXPECT_EVENT_ANY(ev, 1, EVFILT_TIMER, EV_ADD | EV_CLEAR | EV_ONESHOT, 0, 0, 4, ANY_DATA);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fds[1], EVFILT_WRITE, EV_DELETE, 0, 0, 0), ENOENT);
    CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0), ENOENT);
}

static void *wait_for_one(void *argument)
{
    static struct kevent ev;
    CHECK_EQ(kevent(*(int *)argument, NULL, 0, &ev, 1, NULL), 1);
    return &ev;
}

TEST(forceoneshot_wakes_a_waiter, "2.12")
{
    int kq = queue(), fds[2];
    struct thread thread;
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    start(&thread, wait_for_one, &kq);
    until_asleep(&thread);
    change(kq, fds[0], EVFILT_READ, EV_FORCEONESHOT, 0, 0, 2);
    struct kevent *ev = join(&thread);
    EXPECT_EVENT(*ev, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 2);
}

/* 2.12 EV_ONESHOT with EV_DISPATCH: deleted after the report. */
TEST(oneshot_with_dispatch_is_deleted, "2.12")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT | EV_DISPATCH, 0, 0, 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT | EV_DISPATCH, 0, 1, 1);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 0), ENOENT);
    nothing(kq);
}

/* ---- 2.14 --------------------------------------------------------------------------------------- */

/* 2.14 Any change to an existing knote re-evaluates its condition: what still holds is reported again. */
static void change_reports_an_edge_again(enum kind kind)
{
    static const unsigned short actions[] = {EV_ADD, EV_ENABLE, 0, EV_ADD | EV_CLEAR, EV_ADD | EV_ENABLE};
    int kq = queue(), fds[2];
    connected(kind, fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 100);
    put(fds[1], 3);
    until_queued(fds[0], 3);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3, 100);
    nothing(kq);
    for (size_t i = 0; i < COUNT(actions); i++) {
        change(kq, fds[0], EVFILT_READ, actions[i], 0, 0, i);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3, i);
        nothing(kq);
    }
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 1);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3, 2);
    nothing(kq);
    take(fds[0], 3);
    for (size_t i = 0; i < COUNT(actions); i++) {
        change(kq, fds[0], EVFILT_READ, actions[i], 0, 0, i);
        nothing(kq);
    }
}

TEST(change_reports_the_edge_of_a_pipe_again, "2.14")
{
    change_reports_an_edge_again(PIPE);
}

TEST(change_reports_the_edge_of_a_unix_socket_again, "2.14")
{
    change_reports_an_edge_again(UNIX_STREAM);
}

TEST(change_reports_the_edge_of_a_tcp_socket_again, "2.14")
{
    change_reports_an_edge_again(TCP);
}

/* 2.14 The same for WRITE. */
TEST(change_reports_the_edge_of_a_writer_again, "2.14")
{
    static const unsigned short actions[] = {EV_ADD, EV_ENABLE, 0};
    int kq = queue(), fds[2];
    socket_pair(fds);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 1);
    for (size_t i = 0; i < COUNT(actions); i++) {
        EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, i + 1, DATA_AT_LEAST);
        nothing(kq);
        change(kq, fds[0], EVFILT_WRITE, actions[i], 0, 0, i + 2);
    }
    EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 4, DATA_AT_LEAST);
    fill(fds[0]);
    for (size_t i = 0; i < COUNT(actions); i++) {
        change(kq, fds[0], EVFILT_WRITE, actions[i], 0, 0, 0);
        nothing(kq);
    }
}

/* 2.14 A user event or timer whose state was reset by its report does not come back with a change. */
TEST(change_does_not_repeat_what_was_reset, "2.14 2.9")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 1);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 2);
    nothing(kq);
    change(kq, 1, EVFILT_USER, EV_DISABLE, 0, 0, 3);
    change(kq, 1, EVFILT_USER, EV_ENABLE, 0, 0, 4);
    nothing(kq);
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 200000, 5);
    change(kq, 1, EVFILT_TIMER, EV_ENABLE, 0, 0, 6);
    nothing(kq);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 7);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 7);
}

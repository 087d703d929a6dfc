/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Defects that were found by attack and fixed: what is ready and what is reported. Each case is the
 * shortest sequence that showed one.
 */
#define SUITE "found"
#include "suite.h"

#include "sockets.h"

static const struct timespec no_wait = {0, 0};

/* The number of events collected without waiting, with room for `n`. */
static int poll_events(int kq, struct kevent *ev, int n)
{
    return OK(kevent(kq, NULL, 0, ev, n, &no_wait));
}

/* ---- Full lists --------------------------------------------------------------------------------- */

/* 1.12 A list of two is filled as long as two are ready, and two calls reach all three; the order is free. */
TEST(short_eventlist_misses_nothing, "1.12 2.7 2.9 2.10")
{
    int kq = queue(), s[2], edges = 0, triggers = 0;
    socket_pair(s);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 1);
    change(kq, s[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 2);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 4);
    for (int call = 0; call < 2; call++) {
        struct kevent ev[2];
        int level = 0, left = 2 - edges - triggers;
        int count = poll_events(kq, ev, 2);
        CHECK_EQ(count, left + 1 < 2 ? left + 1 : 2);
        for (int i = 0; i < count; i++) {
            if (ev[i].filter == EVFILT_USER) {
                EXPECT_EVENT(ev[i], 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 4);
                triggers++;
            } else if (ev[i].ident == (uintptr_t)s[1]) {
                EXPECT_EVENT_ANY(ev[i], s[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 2, DATA_AT_LEAST);
                edges++;
            } else {
                EXPECT_EVENT_ANY(ev[i], s[0], EVFILT_WRITE, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
                level++;
            }
        }
        CHECK_LE(level, 1);
    }
    CHECK_EQ(edges, 1);
    CHECK_EQ(triggers, 1);
    for (int call = 0; call < 3; call++)
        EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
}

/* 1.12 A pipe that is below its mark takes no room in the list: the event beside it is returned in the same call. */
TEST(what_is_below_its_mark_takes_no_room, "1.12 1.14")
{
    int kq = queue(), below[2], above[2];
    struct kevent ev[2];
    pipe_pair(below);
    pipe_pair(above);
    change(kq, below[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 100, 1);
    change(kq, above[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 3);
    CHECK_EQ(collect(kq, ev, 1), 1);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD, 0, 0, 3);
    put(below[1], 1);
    put(above[1], 1);
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(poll_events(kq, ev, 2), 2);
        EXPECT_EVENT(*find_event(ev, 2, above[0], EVFILT_READ), above[0], EVFILT_READ, EV_ADD, 0, 1, 2);
        EXPECT_EVENT(*find_event(ev, 2, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD, 0, 0, 3);
    }
}

/* 1.12 Forty disabled WRITEs that are ready, more than a batch of the system's, hide none of 24 others. */
TEST(full_batch_hides_nothing, "1.12 2.5 2.11")
{
    enum { PAIRS = 64, DISABLED = 40 };
    int kq = queue(), s[PAIRS][2];
    struct kevent ev[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        socket_pair(s[i]);
        change(kq, s[i][0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, i);
        change(kq, s[i][0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, i);
    }
    for (int i = 0; i < DISABLED; i++)
        change(kq, s[i][0], EVFILT_WRITE, EV_DISABLE, 0, 0, i);
    CHECK_EQ(poll_events(kq, ev, PAIRS), PAIRS - DISABLED);
    for (int i = DISABLED; i < PAIRS; i++)
        EXPECT_EVENT_ANY(*find_event(ev, PAIRS - DISABLED, s[i][0], EVFILT_WRITE), s[i][0], EVFILT_WRITE,
                         EV_ADD | EV_CLEAR, 0, 1, i, DATA_AT_LEAST);
    nothing(kq);
    for (int i = 0; i < DISABLED; i++)
        change(kq, s[i][0], EVFILT_WRITE, EV_ENABLE, 0, 0, i);
    CHECK_EQ(poll_events(kq, ev, PAIRS), DISABLED);
    for (int i = 0; i < DISABLED; i++)
        EXPECT_EVENT_ANY(*find_event(ev, DISABLED, s[i][0], EVFILT_WRITE), s[i][0], EVFILT_WRITE,
                         EV_ADD | EV_CLEAR, 0, 1, i, DATA_AT_LEAST);
    nothing(kq);
}

/*
 * A WRITE that is reported once became ready while the list was full, and was not ready any more at the
 * next call. It is still there: it comes when there is room again. Returns the queue; fds[0] is watched.
 */
static int once_after_a_full_list(unsigned short mode, int fds[2])
{
    char bytes[4096];
    int kq = queue(), s[2];
    struct kevent ev[2];
    socket_pair(s);
    socket_pair(fds);
    nonblocking(fds[0]);
    nonblocking(fds[1]);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 2);
    put(s[1], 1);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD | mode, 0, 0, 7);
    CHECK_EQ(collect(kq, ev, 2), 2);
    EXPECT_EVENT(*find_event(ev, 2, s[0], EVFILT_READ), s[0], EVFILT_READ, EV_ADD, 0, 1, 1);
    EXPECT_EVENT_ANY(*find_event(ev, 2, s[0], EVFILT_WRITE), s[0], EVFILT_WRITE, EV_ADD, 0, 1, 2,
                     DATA_AT_LEAST);
    fill(fds[0]);
    take(s[0], 1);
    change(kq, s[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0);
    nothing(kq);
    while (read(fds[1], bytes, sizeof bytes) > 0)
        continue;
    CHECK_EQ(errno, EAGAIN);
    EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | mode, 0, 1, 7, DATA_AT_LEAST);
    nothing(kq);
    return kq;
}

/* 2.7 A one-shot that became ready while the list was full is armed again; reported once, it is gone. */
TEST(one_shot_after_a_full_list, "2.7 1.12 1.14")
{
    int fds[2];
    int kq = once_after_a_full_list(EV_ONESHOT, fds);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 2.8 So is one with EV_DISPATCH, which comes again after EV_ENABLE. */
TEST(dispatch_after_a_full_list, "2.8 1.12 1.14")
{
    int fds[2];
    int kq = once_after_a_full_list(EV_DISPATCH, fds);
    change(kq, fds[0], EVFILT_WRITE, EV_ENABLE, 0, 0, 8);
    EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_DISPATCH, 0, 1, 8, DATA_AT_LEAST);
    nothing(kq);
}

/* ---- EV_FORCEONESHOT ---------------------------------------------------------------------------- */

#ifdef EV_FORCEONESHOT

/* 2.12 EV_FORCEONESHOT reports a pipe that has data, but less than the mark; once, and the event is gone. */
TEST(forced_below_the_mark, "2.12 2.7 3.5")
{
    int kq = queue(), p[2];
    pipe_pair(p);
    put(p[1], 3);
    change(kq, p[0], EVFILT_READ, EV_ADD | EV_FORCEONESHOT, NOTE_LOWAT, 9, 1);
    EXPECT_NEXT_ANY(kq, p[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 1, ANY_DATA);
    nothing(kq);
    CHECK_EQ(change_errno(kq, p[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 2.12 It reports a socket that is not connected, which the system calls hung up and the filter not ready. */
UNIXES(forced_read_when_not_connected, "2.12 2.7 3.4")
{
    int kq = queue(), fd = new_socket(kind);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_FORCEONESHOT, 0, 0, 2);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 2, ANY_DATA);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 2.12 Also by a change of an event that the filter has called not ready. */
TCPS(forced_write_when_not_connected, "2.12 2.7 4.3")
{
    int kq = queue(), fd = new_socket(kind);
    change(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 2);
    nothing(kq);
    change(kq, fd, EVFILT_WRITE, EV_ENABLE | EV_FORCEONESHOT, 0, 0, 3);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 3, ANY_DATA);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_WRITE, EV_DELETE, 0, 0, 0), ENOENT);
}

#endif

/* ---- Files -------------------------------------------------------------------------------------- */

static int watched_file(int kq)
{
    int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 5);
    nothing(kq);
    return fd;
}

/* 2.9 With EV_CLEAR a file's growth is reported once, also after a call that had no room to look at it. */
TEST(growth_is_reported_once, "2.9 3.6")
{
    int kq = queue(), fd = watched_file(kq);
    struct kevent ev;
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 6);
    CHECK_EQ(collect(kq, &ev, 1), 1);
    EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 6);
    for (int size = 4; size <= 12; size += 4) {
        OK(ftruncate(fd, size));
        EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, size, 5);
        for (int call = 0; call < 3; call++)
            nothing(kq);
    }
}

/* 2.9 1.12 Beside events that are always ready too: in one call with room, in two calls without. */
TEST(growth_beside_level_events, "2.9 2.10 3.6 1.12")
{
    int kq = queue(), s[2], fd = watched_file(kq);
    struct kevent ev[4];
    socket_pair(s);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 7);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 7, DATA_AT_LEAST);
    OK(ftruncate(fd, 8));
    CHECK_EQ(poll_events(kq, ev, 4), 2);
    EXPECT_EVENT_ANY(*find_event(ev, 2, s[0], EVFILT_WRITE), s[0], EVFILT_WRITE, EV_ADD, 0, 1, 7, DATA_AT_LEAST);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 8, 5);
    for (int call = 0; call < 3; call++)
        EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 7, DATA_AT_LEAST);
    OK(ftruncate(fd, 9));
    CHECK_EQ(poll_events(kq, &ev[0], 1), 1);
    CHECK_EQ(poll_events(kq, &ev[1], 1), 1);
    EXPECT_EVENT_ANY(*find_event(ev, 2, s[0], EVFILT_WRITE), s[0], EVFILT_WRITE, EV_ADD, 0, 1, 7, DATA_AT_LEAST);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 9, 5);
    for (int call = 0; call < 3; call++)
        EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 7, DATA_AT_LEAST);
}

/* 2.9 Beside a user event that stays active. */
TEST(growth_beside_a_user_event, "2.9 3.6 9.2")
{
    int kq = queue(), fd = watched_file(kq);
    struct kevent ev[4];
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 6);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 6);
    OK(ftruncate(fd, 4));
    CHECK_EQ(poll_events(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD, 0, 0, 6);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 4, 5);
    for (int call = 0; call < 3; call++)
        EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 6);
}

/* ---- A queue that polls readable ---------------------------------------------------------------- */

/* 10.5 kevent returns 0 and has consumed what it discarded: then the queue polls readable no more. */
static void settles(int kq)
{
    for (int call = 0; call < 4; call++) {
        nothing(kq);
        CHECK(!readable(kq));
    }
}

/* 10.5 The read end of a pipe without a writer, which the system reports for ever, is never writable. */
TEST(wrong_end_polls_readable_no_more, "10.5 3.5")
{
    int kq = queue(), p[2];
    pipe_pair(p);
    change(kq, p[0], EVFILT_WRITE, EV_ADD, 0, 0, 1);
    settles(kq);
    OK(close(p[1]));
    settles(kq);
}

/* 10.5 2.5 Nor is a disabled event whose peer has gone; EV_ENABLE reports the end of file. */
TEST(disabled_end_of_file_polls_readable_no_more, "10.5 2.2 2.5 3.3")
{
    int kq = queue(), s[2];
    socket_pair(s);
    change(kq, s[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 1);
    OK(close(s[1]));
    settles(kq);
    change(kq, s[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 2);
}

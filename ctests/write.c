/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_WRITE: space in sockets, pipes and files; EVFILT_EXCEPT and EVFILT_EMPTY where they are.
 */
#define SUITE "write"
#include "suite.h"

#include "sockets.h"

/* ---- Sockets ------------------------------------------------------------------------------------ */

/* 4.1 A socket with space is ready, at every call; data is the space in its send buffer. */
SOCKETS(space_is_reported, "4.1 4.3 1.15 2.10")
{
    struct kevent ev;
    int kq = queue(), s[2];
    connected(kind, s);
    int limit = integer_option(s[0], SOL_SOCKET, SO_SNDBUF);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    for (int round = 0; round < 3; round++) {
        wait_event(kq, &ev);
        EXPECT_EVENT_ANY(ev, s[0], EVFILT_WRITE, EV_ADD, 0, limit / 2, 0xbeef, DATA_AT_LEAST);
        CHECK_LE(ev.data, integer_option(s[0], SOL_SOCKET, SO_SNDBUF));
    }
}

/* 4.1 What is queued takes space away: data is not the bytes queued. */
UNIXES(queued_bytes_take_space, "4.1")
{
    struct kevent before, after;
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    wait_event(kq, &before);
    put(s[0], 4096);
    wait_event(kq, &after);
    CHECK_LE(after.data, before.data - 4096);
    CHECK_GE(after.data, 4096);
    put(s[0], 4096);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 4096, 0, DATA_AT_LEAST);
    take(s[1], 8192);
    wait_event(kq, &after);
    EXPECT_EVENT(after, s[0], EVFILT_WRITE, EV_ADD, 0, before.data, 0);
}

#ifdef SIOCOUTQ
/* 4.1 The same for TCP, where the peer that does not read makes the bytes wait here. */
TCPS(unsent_bytes_take_space, "4.1")
{
    struct kevent ev;
    int kq = queue(), s[2], queued = 0;
    connected(kind, s);
    set_option(s[1], SOL_SOCKET, SO_RCVBUF, 4096);
    set_option(s[0], SOL_SOCKET, SO_SNDBUF, 180000);
    nonblocking(s[0]);
    put(s[0], 100 * 1024);
    do {
        pause_briefly();
        OK(ioctl(s[0], SIOCOUTQ, &queued));
    } while (queued < 16384);
    int limit = integer_option(s[0], SOL_SOCKET, SO_SNDBUF);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    wait_event(kq, &ev);
    EXPECT_EVENT_ANY(ev, s[0], EVFILT_WRITE, EV_ADD, 0, limit / 4, 0, DATA_AT_LEAST);
    OK(ioctl(s[0], SIOCOUTQ, &queued));
    CHECK_GE(queued, 16384);
    CHECK_LE(ev.data, limit - queued);
}
#endif

static void full_and_drained(enum kind kind, unsigned short mode)
{
    unsigned short flags = EV_ADD | mode;
    int kq = queue(), s[2];
    connected(kind, s);
    small_buffers(s);
    change(kq, s[0], EVFILT_WRITE, flags, 0, 0, 0xbeef);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, flags, 0, 1, 0xbeef, DATA_AT_LEAST);
    for (int round = 0; round < 2; round++) {
        size_t n = fill(s[0]);
        nothing(kq);
        take(s[1], n);
        until_sent(s[0]);
        EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, flags, 0, 1, 0xbeef, DATA_AT_LEAST);
    }
}

/* 4.1 A full socket is not ready; once the peer has read, it is. */
CONNECTIONS(full_is_not_ready, "4.1")
{
    full_and_drained(kind, 0);
}

/* 2.9 With EV_CLEAR space that comes back is news. */
CONNECTIONS(clear_reports_new_space, "4.1 2.9")
{
    full_and_drained(kind, EV_CLEAR);
}

/* 2.9 With EV_CLEAR a socket that stays ready is reported once. */
SOCKETS(clear_reports_once, "4.1 2.9")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 0, DATA_AT_LEAST);
    nothing(kq);
    change(kq, s[0], EVFILT_WRITE, EV_ENABLE, 0, 0, 0);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 0, DATA_AT_LEAST);
    nothing(kq);
}

/* 4.1 Packets of AF_UNIX: a full datagram socket is not ready; once its peer has read, it is. */
TEST(unix_dgram_full_is_not_ready, "4.1 4.3")
{
    char packet[4096];
    int kq = queue(), s[2];
    connected(UNIX_DGRAM, s);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    fill(s[0]);
    nothing(kq);
    sleeps(kq);
    while (recv(s[1], packet, sizeof packet, MSG_DONTWAIT) > 0)
        ;
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0, DATA_AT_LEAST);
}

/* 4.1 A thread that waits for space is woken by it. */
CONNECTIONS(space_wakes_a_waiter, "4.1")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    int s[2];
    connected(kind, s);
    small_buffers(s);
    size_t n = fill(s[0]);
    change(waiter.kq, s[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 0);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    take(s[1], n);
    join(&thread);
    EXPECT_EVENT_ANY(waiter.ev, s[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 1, 0, DATA_AT_LEAST);
}

/* 4.1 NOTE_LOWAT: ready when there is that much space; a mark beyond the buffer is never reached. */
CONNECTIONS(note_lowat_is_the_mark, "4.1 10.5")
{
    int kq = queue(), s[2];
    connected(kind, s);
    int limit = integer_option(s[0], SOL_SOCKET, SO_SNDBUF);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, limit + 1, 0);
    nothing(kq);
    sleeps(kq);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, (INT64_C(1) << 32) + 1, 0);
    nothing(kq);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, limit / 2, 0);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, limit / 2, 0, DATA_AT_LEAST);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, limit / 2, 0, DATA_AT_LEAST);
}

/* 4.1 NOTE_LOWAT on a socket that has bytes queued: ready when the peer has read enough of them. */
UNIXES(note_lowat_waits_for_space, "4.1")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    struct kevent ev;
    int kq = waiter.kq, s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    wait_event(kq, &ev);
    put(s[0], 4096);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, ev.data - 1000, 0);
    nothing(kq);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    take(s[1], 4096);
    join(&thread);
    EXPECT_EVENT_ANY(waiter.ev, s[0], EVFILT_WRITE, EV_ADD, 0, ev.data - 1000, 0, DATA_AT_LEAST);
}

/* 4.3 Not connected: a stream socket is accepted and not ready, kevent sleeps beside it; connected it is. */
CONNECTIONS(unconnected_is_not_ready, "4.3 10.5")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    struct address address;
    int listening = listener(kind, &address);
    for (size_t i = 0; i < 4; i++) {
        unsigned short flags = EV_ADD | modes[i];
        int kq = queue(), fd = new_socket(kind);
        change(kq, fd, EVFILT_WRITE, flags, 0, 0, 0xbeef);
        nothing(kq);
        sleeps(kq);
        connect_to(fd, &address);
        EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, flags, 0, 1, 0xbeef, DATA_AT_LEAST);
        OK(accept(listening, NULL, NULL));
    }
}

/* 4.3 A thread that waits while another connects the socket hears of the space. */
CONNECTIONS(connected_while_waiting, "4.3 4.1")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    struct address address;
    listener(kind, &address);
    int fd = new_socket(kind);
    change(waiter.kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    connect_to(fd, &address);
    join(&thread);
    EXPECT_EVENT_ANY(waiter.ev, fd, EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
}

/* 4.3 A listening socket is accepted and not ready, also with a connection pending. */
CONNECTIONS(listening_is_not_ready, "4.3")
{
    struct address address;
    int kq = queue(), listening = listener(kind, &address);
    change(kq, listening, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    nothing(kq);
    client_of(kind, &address);
    until_polled(listening, POLLIN);
    nothing(kq);
    sleeps(kq);
    change(kq, listening, EVFILT_WRITE, EV_DELETE, 0, 0, 0);
}

/* 4.3 A datagram socket that is not connected is ready. */
DATAGRAMS(unconnected_is_ready, "4.3")
{
    int kq = queue(), fd = new_socket(kind);
    change(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, EV_ADD, 0, 1, 0, DATA_AT_LEAST);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, EV_ADD, 0, 1, 0, DATA_AT_LEAST);
}

/* ---- Files -------------------------------------------------------------------------------------- */

/* 4.3 A regular file is always ready, data 0. */
TEST(file_is_ready, "4.3")
{
    int kq = queue(), fd = OK(open("file", O_RDWR | O_CREAT, 0600));
    change(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    for (int round = 0; round < 3; round++) {
        EXPECT_NEXT(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
        put(fd, 100);
    }
    CHECK(readable(kq));
    OK(lseek(fd, 0, SEEK_SET));
    EXPECT_NEXT(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    change(kq, fd, EVFILT_WRITE, EV_DELETE, 0, 0, 0);
    nothing(kq);
}

/* 4.3 2.7 2.8 The modes that report once do it here too. */
TEST(file_is_ready_once, "4.3 2.7 2.8")
{
    int kq = queue(), fd = OK(open("file", O_WRONLY | O_CREAT, 0600));
    change(kq, fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 0);
    EXPECT_NEXT(kq, fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 0);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_WRITE, EV_DELETE, 0, 0, 0), ENOENT);
    change(kq, fd, EVFILT_WRITE, EV_ADD | EV_DISPATCH, 0, 0, 0);
    EXPECT_NEXT(kq, fd, EVFILT_WRITE, EV_ADD | EV_DISPATCH, 0, 0, 0);
    nothing(kq);
    change(kq, fd, EVFILT_WRITE, EV_ENABLE, 0, 0, 0);
    EXPECT_NEXT(kq, fd, EVFILT_WRITE, EV_ADD | EV_DISPATCH, 0, 0, 0);
}

/*
 * 2.9 4.1 A mark that is not reached is looked at by the clock; what ends that is one edge, also where it takes a call
 * for each event to hear of it.
 */
TEST(clear_below_the_mark_is_reported_once, "2.9 4.1")
{
    int kq = queue(), marked[2], other[2], reports = 0;
    struct kevent ev;
    pipe_pair(marked);
    pipe_pair(other);
    change(kq, marked[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, NOTE_LOWAT, 1 << 30, 1);
    nothing(kq);
    change(kq, other[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    OK(close(other[1]));
    OK(close(marked[0]));
    for (int call = 0; call < 6; call++) {
        CHECK_EQ(collect(kq, &ev, 1), 1);
        reports += ev.filter == EVFILT_WRITE;
    }
    CHECK_EQ(reports, 1);
}

/* 2.14 4.1 A lower mark that is reached is reported, once. */
TEST(clear_with_a_lower_mark_is_reported_once, "2.14 2.9 4.1")
{
    int kq = queue(), fds[2];
    struct kevent ev;
    pipe_pair(fds);
    change(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, NOTE_LOWAT, 1 << 30, 1);
    nothing(kq);
    change(kq, fds[1], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, 100, 2);
    CHECK_EQ(collect(kq, &ev, 1), 1);
    EXPECT_EVENT_ANY(ev, fds[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 100, 2, DATA_AT_LEAST);
    nothing(kq);
}

/* ---- EXCEPT and EMPTY --------------------------------------------------------------------------- */

#if defined(EVFILT_EXCEPT) && defined(NOTE_OOB)
/* 4.4 EVFILT_EXCEPT with NOTE_OOB: urgent data is pending, until it was read. */
TCPS(except_reports_urgent_data, "4.4")
{
    char byte;
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_EXCEPT, EV_ADD, NOTE_OOB, 0, 0xfeed);
    put(s[1], 5);
    until_queued(s[0], 5);
    nothing(kq);
    CHECK_EQ(send(s[1], "!", 1, MSG_OOB), 1);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_EXCEPT, EV_ADD, NOTE_OOB, 0, 0xfeed, ANY_DATA);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_EXCEPT, EV_ADD, NOTE_OOB, 0, 0xfeed, ANY_DATA);
    CHECK_EQ(recv(s[0], &byte, 1, MSG_OOB), 1);
    nothing(kq);
    sleeps(kq);
}
#endif

#if defined(EVFILT_EMPTY)
/* 4.4 EVFILT_EMPTY: the send buffer is empty, that is, the peer's system has everything. */
STREAMS(empty_reports_an_empty_buffer, "4.4")
{
    int kq = queue(), s[2];
    connected(kind, s);
    small_buffers(s);
    change(kq, s[0], EVFILT_EMPTY, EV_ADD, 0, 0, 0xbeef);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_EMPTY, EV_ADD, 0, 0, 0xbeef, ANY_DATA);
    size_t n = fill(s[0]);
    nothing(kq);
    take(s[1], n);
    until_sent(s[0]);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_EMPTY, EV_ADD, 0, 0, 0xbeef, ANY_DATA);
}
#endif

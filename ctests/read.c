/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_READ on sockets: what counts as readable, how much is reported, and the low-water marks.
 */
#define SUITE "read"
#include "suite.h"

#include "sockets.h"

/* ---- How much there is -------------------------------------------------------------------------- */

/* 3.1 A stream is ready when bytes can be read; data is how many. 2.10 At every call while they are there. */
STREAMS(bytes_are_counted, "3.1 1.15 2.10")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    put(s[1], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    put(s[1], 7);
    until_queued(s[0], 12);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 12, 0xfeed);
    take(s[0], 10);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 2, 0xfeed);
    take(s[0], 2);
    nothing(kq);
}

/* 3.1 Packets of a connection are counted together. */
TEST(unix_seqpacket_bytes_are_counted, "3.1")
{
    char bytes[16];
    int kq = queue(), s[2];
    connected(UNIX_SEQPACKET, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    nothing(kq);
    put(s[1], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    put(s[1], 3);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 8, 0);
    CHECK_EQ(read(s[0], bytes, sizeof bytes), 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 3, 0);
    CHECK_EQ(read(s[0], bytes, sizeof bytes), 3);
    nothing(kq);
}

/* 3.1 data of a datagram socket: all bytes, on Linux those of the next datagram. */
DATAGRAMS(next_bytes_are_counted, "3.1")
{
    char bytes[16];
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    put(s[1], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    put(s[1], 3);
#ifdef __linux__
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
#else
    until_queued(s[0], 8);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 8, 0xfeed);
#endif
    CHECK_EQ(read(s[0], bytes, sizeof bytes), 5);
    until_queued(s[0], 3);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 3, 0xfeed);
    CHECK_EQ(read(s[0], bytes, sizeof bytes), 3);
    nothing(kq);
}

static void empty_packet(enum kind kind)
{
    char byte;
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    nothing(kq);
    CHECK_EQ(send(s[1], "", 0, 0), 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    CHECK_EQ(read(s[0], &byte, 1), 0);
    nothing(kq);
    put(s[1], 1);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 1, 0);
}

/* 3.1 A datagram socket with an empty datagram is ready. 3.3 This is no end of file. */
DATAGRAMS(empty_datagram_is_ready, "3.1 3.3")
{
    empty_packet(kind);
}

/* 3.3 An empty packet on an open connection is ready, and no end of file. */
TEST(unix_seqpacket_empty_packet_is_ready, "3.1 3.3")
{
    empty_packet(UNIX_SEQPACKET);
}

/* 3.1 data is written whole: nothing of what the eventlist held before stays in it. */
TEST(data_is_whole_in_a_dirty_eventlist, "3.1 1.2")
{
    struct kevent ev[2];
    int kq = queue(), s[2];
    connected(UNIX_STREAM, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    put(s[1], 5);
    memset(ev, 0xff, sizeof ev);
    CHECK_EQ(collect(kq, ev, 2), 2);
    struct kevent *read_event = find_event(ev, 2, s[0], EVFILT_READ);
    EXPECT_EVENT(*read_event, s[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    struct kevent *write_event = find_event(ev, 2, s[0], EVFILT_WRITE);
    EXPECT_EVENT_ANY(*write_event, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
    CHECK_LE(write_event->data, integer_option(s[0], SOL_SOCKET, SO_SNDBUF));
}

/* 3.1 Data that was there before EV_ADD is reported. */
SOCKETS(earlier_data_is_reported, "3.1")
{
    int kq = queue(), s[2];
    connected(kind, s);
    put(s[1], 5);
    until_queued(s[0], 5);
    change(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 0);
    nothing(kq);
}

/* 2.9 With EV_CLEAR new data is reported again, with the old data counted; reading a part is no news. */
STREAMS(clear_reports_new_data, "2.9 3.1")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    put(s[1], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 0);
    nothing(kq);
    put(s[1], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 10, 0);
    take(s[0], 4);
    nothing(kq);
    put(s[1], 1);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 7, 0);
    take(s[0], 7);
    nothing(kq);
}

/* 2.9 The same for packets: each that comes is reported. */
DATAGRAMS(clear_reports_new_datagram, "2.9 3.1")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    put(s[1], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 0);
    nothing(kq);
    put(s[1], 2);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 0, DATA_AT_LEAST);
    nothing(kq);
}

/* 1.14 Data that was read before the event is collected is not reported. */
SOCKETS(data_read_before_collection_is_not_reported, "1.14 3.1")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < 4; i++) {
        unsigned short flags = EV_ADD | modes[i];
        int kq = queue(), s[2];
        connected(kind, s);
        change(kq, s[0], EVFILT_READ, flags, 0, 0, 0);
        put(s[1], 5);
        until_queued(s[0], 5);
        take(s[0], 5);
        nothing(kq);
        nothing(kq);
        put(s[1], 6);
        EXPECT_NEXT(kq, s[0], EVFILT_READ, flags, 0, 6, 0);
    }
}

/* 3.1 Urgent data kept out of the stream is nothing to read; what follows it is (Linux's FIONREAD says 0). */
TCPS(urgent_data_is_not_read, "3.1 3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    CHECK_EQ(send(s[1], "!", 1, MSG_OOB), 1);
    until_polled(s[0], POLLPRI);
    nothing(kq);
    put(s[1], 5);
    until_polled(s[0], POLLIN);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_READ, EV_ADD, 0, 1, 0, DATA_AT_LEAST);
    take(s[0], 5);
    nothing(kq);
}

/* ---- The socket's own low-water mark ------------------------------------------------------------ */

#ifdef __linux__
/* 3.1 A socket is ready at its SO_RCVLOWAT, as poll(2) says: Linux has it for TCP. */
TCPS(rcvlowat_is_the_mark, "3.1")
{
    int kq = queue(), s[2];
    connected(kind, s);
    set_option(s[0], SOL_SOCKET, SO_RCVLOWAT, 10);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(s[1], 9);
    until_queued(s[0], 9);
    nothing(kq);
    put(s[1], 1);
    until_queued(s[0], 10);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 10, 0);
    take(s[0], 1);
    nothing(kq);
}

/* 3.1 Linux's poll does not honour it on other sockets, and READ is as poll says. */
SOCKETS(rcvlowat_is_as_poll_says, "3.1")
{
    int kq = queue(), s[2];
    connected(kind, s);
    set_option(s[0], SOL_SOCKET, SO_RCVLOWAT, 10);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(s[1], 5);
    until_queued(s[0], 5);
    if (readable(s[0]))
        EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    else
        nothing(kq);
}

/* 3.1 A lower SO_RCVLOWAT is honoured at the next call. */
TCPS(rcvlowat_may_change, "3.1")
{
    int kq = queue(), s[2];
    connected(kind, s);
    set_option(s[0], SOL_SOCKET, SO_RCVLOWAT, 10);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(s[1], 5);
    until_queued(s[0], 5);
    nothing(kq);
    set_option(s[0], SOL_SOCKET, SO_RCVLOWAT, 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    set_option(s[0], SOL_SOCKET, SO_RCVLOWAT, 6);
    nothing(kq);
}

/* 3.1 The end of file is ready below the SO_RCVLOWAT. */
TCPS(rcvlowat_does_not_hold_back_eof, "3.1 3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    set_option(s[0], SOL_SOCKET, SO_RCVLOWAT, 10);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(s[1], 5);
    until_queued(s[0], 5);
    nothing(kq);
    OK(shutdown(s[1], SHUT_WR));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0);
}
#endif

/* ---- NOTE_LOWAT --------------------------------------------------------------------------------- */

/* 3.1 NOTE_LOWAT: ready when data has come up to the mark, this knote only; the socket's is untouched. */
STREAMS(note_lowat_is_the_mark_of_one_knote, "3.1")
{
    int kq = queue(), other = queue(), s[2];
    connected(kind, s);
    int before = integer_option(s[0], SOL_SOCKET, SO_RCVLOWAT);
    change(other, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 0xfeed);
    CHECK_EQ(integer_option(s[0], SOL_SOCKET, SO_RCVLOWAT), before);
    put(s[1], 9);
    until_queued(s[0], 9);
    EXPECT_NEXT(other, s[0], EVFILT_READ, EV_ADD, 0, 9, 0);
    CHECK(readable(s[0]));
    nothing(kq);
    put(s[1], 1);
    until_queued(s[0], 10);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 10, 0xfeed);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 10, 0xfeed);
    take(s[0], 1);
    nothing(kq);
    put(s[1], 5);
    until_queued(s[0], 14);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 14, 0xfeed);
    CHECK_EQ(integer_option(s[0], SOL_SOCKET, SO_RCVLOWAT), before);
    change(kq, s[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    CHECK_EQ(integer_option(s[0], SOL_SOCKET, SO_RCVLOWAT), before);
}

/* 2.1 EV_ADD moves the mark or takes it away. 2.3 Another change does with fflags that are not 0. */
STREAMS(note_lowat_may_change, "3.1 2.1 2.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 0);
    put(s[1], 5);
    until_queued(s[0], 5);
    nothing(kq);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 5, 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 6, 0);
    nothing(kq);
    change(kq, s[0], EVFILT_READ, EV_ENABLE, 0, 0, 0);
    nothing(kq);
    change(kq, s[0], EVFILT_READ, EV_ENABLE, NOTE_LOWAT, 4, 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 100, 0);
    nothing(kq);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
}

/* 2.1 A mark that was reached goes with the next EV_ADD as well: less than it is reported then. */
STREAMS(note_lowat_that_was_reached_is_taken_away, "3.1 2.1")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 4, 0);
    put(s[1], 5);
    until_queued(s[0], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    take(s[0], 3);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 2, 0);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 2, 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 2, 0);
    change(kq, s[0], EVFILT_READ, EV_DISABLE, 0, 0, 0);
    change(kq, s[0], EVFILT_READ, EV_ADD | EV_ENABLE, 0, 0, 0);
    take(s[0], 1);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 1, 0);
}

/* 3.1 A mark is as wide as data: one beyond 32 bits is never reached, not cut off. */
STREAMS(note_lowat_is_not_truncated, "3.1")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, (INT64_C(1) << 32) + 1, 0);
    put(s[1], 5);
    until_queued(s[0], 5);
    nothing(kq);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, INTPTR_MAX, 0);
    nothing(kq);
    OK(shutdown(s[1], SHUT_WR));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0);
}

/* 3.1 The end of file is ready below the mark. */
CONNECTIONS(note_lowat_does_not_hold_back_eof, "3.1 3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 0);
    put(s[1], 5);
    until_queued(s[0], 5);
    nothing(kq);
    OK(shutdown(s[1], SHUT_WR));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0);
}

/* 3.1 The mark of a datagram socket's knote. */
DATAGRAMS(note_lowat_is_the_mark, "3.1")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 6, 0);
    put(s[1], 5);
    until_queued(s[0], 5);
    nothing(kq);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 5, 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
}

/* 3.1 What stays below the mark takes nothing from a one-shot, a dispatch or an edge. */
STREAMS(note_lowat_holds_in_every_mode, "3.1 2.7 2.8 2.9")
{
    static const unsigned short modes[] = {EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < 3; i++) {
        unsigned short flags = EV_ADD | modes[i];
        int kq = queue(), s[2];
        connected(kind, s);
        change(kq, s[0], EVFILT_READ, flags, NOTE_LOWAT, 10, 0);
        for (int n = 1; n < 10; n++) {
            put(s[1], 1);
            until_queued(s[0], n);
            nothing(kq);
        }
        put(s[1], 1);
        EXPECT_NEXT(kq, s[0], EVFILT_READ, flags, 0, 10, 0);
        nothing(kq);
        if (modes[i] != EV_CLEAR)
            continue;
        put(s[1], 1);
        EXPECT_NEXT(kq, s[0], EVFILT_READ, flags, 0, 11, 0);
        take(s[0], 5);
        put(s[1], 1);
        until_queued(s[0], 7);
        nothing(kq);
    }
}

/* 10.5 Below the mark kevent sleeps, and once it returned 0 the queue does not poll readable. */
STREAMS(note_lowat_does_not_spin, "3.1 10.5")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 0);
    put(s[1], 5);
    until_queued(s[0], 5);
    sleeps(kq);
    nothing(kq);
    CHECK(!readable(kq));
    put(s[1], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 10, 0);
    CHECK(readable(kq));
}

/* 3.1 A waiter that slept through bytes below the mark wakes at the mark. */
STREAMS(note_lowat_wakes_a_waiter, "3.1")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    int s[2];
    connected(kind, s);
    change(waiter.kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 0xfeed);
    start(&thread, wait_one, &waiter);
    for (int n = 1; n <= 10; n++) {
        until_asleep(&thread);
        put(s[1], 1);
        until_queued(s[0], n);
    }
    join(&thread);
    EXPECT_EVENT(waiter.ev, s[0], EVFILT_READ, EV_ADD, 0, 10, 0xfeed);
}

/* 3.3 Never EV_EOF on a datagram socket whose peer is gone; what it sent is still reported. */
DATAGRAMS(peer_gone_is_not_eof, "3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(s[1], 5);
    OK(close(s[1]));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    take(s[0], 5);
    nothing(kq);
}

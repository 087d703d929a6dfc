/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_READ on sockets: the end of a stream, sockets that are not connected yet, sockets that listen.
 */
#define SUITE "read_eof"
#include "suite.h"

#include "sockets.h"

/* The end may arrive after the data: waits until a level event says EV_EOF. */
static struct kevent wait_eof(int kq)
{
    struct kevent ev;
    do
        wait_event(kq, &ev);
    while (!(ev.flags & EV_EOF));
    return ev;
}

/* ---- The end of a stream ------------------------------------------------------------------------ */

/* 3.3 The peer's shutdown is EV_EOF with data 0 and fflags 0, at every call. 3.1 It makes ready. */
CONNECTIONS(shutdown_is_eof, "3.3 3.1")
{
    char byte;
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(shutdown(s[1], SHUT_WR));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
    CHECK_EQ(read(s[0], &byte, 1), 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
}

/* 3.3 So is the peer's close. */
CONNECTIONS(close_is_eof, "3.3 3.1")
{
    char byte;
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(close(s[1]));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
    CHECK_EQ(read(s[0], &byte, 1), 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
}

/* 3.3 EV_EOF comes also while data remains, which data counts down. */
STREAMS(eof_with_data_left, "3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(s[1], 5);
    until_queued(s[0], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    OK(close(s[1]));
    struct kevent ev = wait_eof(kq);
    EXPECT_EVENT(ev, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0);
    take(s[0], 3);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 2, 0);
    take(s[0], 2);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0);
}

/* 3.3 The same with packets. */
TEST(unix_seqpacket_eof_with_data_left, "3.3")
{
    int kq = queue(), s[2];
    connected(UNIX_SEQPACKET, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(s[1], 5);
    OK(close(s[1]));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0);
    take(s[0], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0);
}

/* 3.3 An end that came before EV_ADD is reported, whatever the mode. */
CONNECTIONS(earlier_eof_is_reported, "3.3 2.7 2.8 2.9")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < 4; i++) {
        unsigned short flags = EV_ADD | modes[i];
        int kq = queue(), s[2];
        connected(kind, s);
        OK(close(s[1]));
#ifdef POLLRDHUP
        until_polled(s[0], POLLRDHUP);
#endif
        change(kq, s[0], EVFILT_READ, flags, 0, 0, 0);
        EXPECT_NEXT(kq, s[0], EVFILT_READ, flags | EV_EOF, 0, 0, 0);
        if (modes[i])
            nothing(kq);
    }
}

/* 2.9 With EV_CLEAR the end is news after the data, and news once. */
UNIXES(clear_reports_eof_once, "2.9 3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    put(s[1], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 0);
    nothing(kq);
    OK(shutdown(s[1], SHUT_WR));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR | EV_EOF, 0, 5, 0);
    take(s[0], 5);
    nothing(kq);
    change(kq, s[0], EVFILT_READ, EV_ENABLE, 0, 0, 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR | EV_EOF, 0, 0, 0);
    nothing(kq);
}

/* 2.9 With EV_CLEAR the end of a TCP stream is news after the data. */
TCPS(clear_reports_eof, "2.9 3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    put(s[1], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 0);
    OK(close(s[1]));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR | EV_EOF, 0, 5, 0);
}

/* 3.3 Shutting down one's own reading side ends the stream too (F). */
CONNECTIONS(own_shutdown_is_eof, "3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    nothing(kq);
    OK(shutdown(s[0], SHUT_RD));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0);
}

/* 3.3 Shutting down one's own writing side leaves reading as it was: no EV_EOF on a stream that is open. */
CONNECTIONS(own_write_shutdown_is_not_eof, "3.3 2.11")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    OK(shutdown(s[0], SHUT_WR));
    nothing(kq);
    put(s[1], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    take(s[0], 5);
    nothing(kq);
}

/* 2.11 The end of reading is no end of writing, and ends no knote but READ's. */
TCPS(eof_is_of_one_filter, "2.11 3.3 4.2")
{
    struct kevent ev[4];
    int kq = queue(), s[2];
    connected(kind, s);
    OK(shutdown(s[1], SHUT_WR));
#ifdef POLLRDHUP
    until_polled(s[0], POLLRDHUP);
#endif
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(collect(kq, ev, 4), 2);
        EXPECT_EVENT(*find_event(ev, 2, s[0], EVFILT_READ), s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0);
        EXPECT_EVENT_ANY(*find_event(ev, 2, s[0], EVFILT_WRITE), s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0,
                         DATA_AT_LEAST);
    }
}

/* ---- Not connected yet -------------------------------------------------------------------------- */

/* 3.4 A stream socket that is not connected is not ready, and kevent sleeps beside it; connected it works. */
CONNECTIONS(unconnected_is_not_ready, "3.4 10.5")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    struct address address;
    int listening = listener(kind, &address);
    for (size_t i = 0; i < 4; i++) {
        unsigned short flags = EV_ADD | modes[i];
        int kq = queue(), fd = new_socket(kind);
        change(kq, fd, EVFILT_READ, flags, 0, 0, 0xfeed);
        nothing(kq);
        sleeps(kq);
        CHECK(!readable(kq));
        connect_to(fd, &address);
        int peer = OK(accept(listening, NULL, NULL));
        nothing(kq);
        put(peer, 5);
        EXPECT_NEXT(kq, fd, EVFILT_READ, flags, 0, 5, 0xfeed);
        take(fd, 5);
        nothing(kq);
    }
}

/* 3.4 A thread that waits while another connects the socket hears of its data. */
CONNECTIONS(connected_while_waiting, "3.4 3.1")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    struct address address;
    int listening = listener(kind, &address), fd = new_socket(kind);
    change(waiter.kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    connect_to(fd, &address);
    int peer = OK(accept(listening, NULL, NULL));
    until_asleep(&thread);
    put(peer, 5);
    join(&thread);
    EXPECT_EVENT(waiter.ev, fd, EVFILT_READ, EV_ADD, 0, 5, 0);
}

#if defined(__linux__) && !defined(IPPROTO_MPTCP)
#define IPPROTO_MPTCP 262
#endif

#ifdef IPPROTO_MPTCP
/* 3.9 A multipath TCP socket works as its poll says: unconnected not ready (FIONREAD says 1), then counted. */
TEST(multipath_tcp, "3.9 3.4 3.1 3.3")
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int kq = queue();
    int listening = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
    if (listening == -1)
        SKIP("no multipath TCP");
    int fd = OK(socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
    OK(bind(listening, (struct sockaddr *)&address, size));
    OK(listen(listening, 16));
    OK(getsockname(listening, (struct sockaddr *)&address, &size));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    nothing(kq);
    change(kq, listening, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 0);
    OK(connect(fd, (struct sockaddr *)&address, size));
    EXPECT_NEXT_ANY(kq, listening, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 1, 0, DATA_AT_LEAST);
    int peer = OK(accept(listening, NULL, NULL));
    nothing(kq);
    put(peer, 5);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 0);
    take(fd, 5);
    nothing(kq);
    OK(close(peer));
    EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0, DATA_AT_LEAST);
}
#endif

/* ---- Listening ---------------------------------------------------------------------------------- */

/* A level event comes until its data is `n`: the last steps of a connection are the system's. */
static void until_pending(int kq, int fd, int n)
{
    struct kevent ev;
    do {
        wait_event(kq, &ev);
        EXPECT_EVENT_ANY(ev, fd, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
        CHECK_LE(ev.data, n);
    } while (ev.data < n);
}

/* 3.2 A listening socket is ready with a pending connection; data is how many are. */
TCPS(pending_connections_are_counted, "3.2")
{
    struct address address;
    int kq = queue(), listening = listener(kind, &address);
    change(kq, listening, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    for (int n = 1; n <= 5; n++) {
        client_of(kind, &address);
        until_pending(kq, listening, n);
    }
    for (int n = 4; n >= 1; n--) {
        OK(accept(listening, NULL, NULL));
        EXPECT_NEXT(kq, listening, EVFILT_READ, EV_ADD, 0, n, 0xfeed);
    }
    OK(accept(listening, NULL, NULL));
    nothing(kq);
    CHECK(!readable(kq));
}

/* 3.2 data is the number of pending connections, or 1 where the system does not tell. */
UNIXES(pending_connections_are_reported, "3.2")
{
    struct address address;
    int kq = queue(), listening = listener(kind, &address);
    change(kq, listening, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    for (int n = 1; n <= 3; n++) {
        struct kevent ev;
        client_of(kind, &address);
        wait_event(kq, &ev);
        EXPECT_EVENT_ANY(ev, listening, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
        CHECK(ev.data == 1 || ev.data == n);
    }
    for (int n = 3; n >= 1; n--) {
        EXPECT_NEXT_ANY(kq, listening, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
        OK(accept(listening, NULL, NULL));
    }
    nothing(kq);
}

/* 2.9 With EV_CLEAR each new connection is reported, also while an older one is pending. */
CONNECTIONS(clear_reports_each_connection, "3.2 2.9")
{
    struct address address;
    int kq = queue(), listening = listener(kind, &address);
    change(kq, listening, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int n = 1; n <= 3; n++) {
        client_of(kind, &address);
        EXPECT_NEXT_ANY(kq, listening, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 0, DATA_AT_LEAST);
        nothing(kq);
    }
    OK(accept(listening, NULL, NULL));
    nothing(kq);
}

/* 3.2 A socket that was registered before it listened. 3.4 Bound alone it is not ready. */
CONNECTIONS(listening_after_registration, "3.2 3.4")
{
    struct address address;
    int kq = queue(), fd = bound(kind, &address);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(listen(fd, 16));
    nothing(kq);
    client_of(kind, &address);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 1, 0xfeed);
    OK(accept(fd, NULL, NULL));
    nothing(kq);
}

/* 3.2 A connection that its client gave up again leaves the listening socket as healthy as it was. */
TCPS(pending_connection_that_is_reset, "3.2 3.3")
{
    struct address address;
    int kq = queue(), listening = listener(kind, &address);
    change(kq, listening, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    reset(client_of(kind, &address));
    client_of(kind, &address);
    EXPECT_NEXT_ANY(kq, listening, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The errors of sockets: reported in fflags, by READ and WRITE, and not taken from the socket (3.3).
 */
#define SUITE "errors"
#include "suite.h"

#include "sockets.h"

#ifdef __linux__
#include <linux/filter.h>
#endif

/* READ and WRITE of the descriptor are both at their end with this error, at every call. */
static void both_report(int kq, int fd, int error)
{
    struct kevent ev[4];
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(collect(kq, ev, 4), 2);
        EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD | EV_EOF, error, 0, 0xfeed);
        EXPECT_EVENT_ANY(*find_event(ev, 2, fd, EVFILT_WRITE), fd, EVFILT_WRITE, EV_ADD | EV_EOF, error, 0,
                         0xbeef, ANY_DATA);
    }
}

static void add_both(int kq, int fd)
{
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    change(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
}

/* A TCP port that refuses: bound, and nobody listens. */
static void refusing(enum kind kind, struct address *address)
{
    bound(kind, address);
}

/* ---- Resets ------------------------------------------------------------------------------------- */

/* 3.3 4.2 A reset is EV_EOF with ECONNRESET, and SO_ERROR still gives it. */
TCPS(reset_is_reported_and_left_to_so_error, "3.3 4.2")
{
    int kq = queue(), s[2];
    connected(kind, s);
    reset(s[1]);
    until_polled(s[0], POLLERR);
    add_both(kq, s[0]);
    both_report(kq, s[0], ECONNRESET);
    CHECK_EQ(take_error(s[0]), ECONNRESET);
}

/* 3.3 After the report read() still fails with the reset. */
TCPS(reset_is_reported_and_left_to_read, "3.3")
{
    char byte;
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    reset(s[1]);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, ECONNRESET, 0, 0xfeed);
    CHECK_ERRNO(read(s[0], &byte, 1), ECONNRESET);
}

/* 4.2 After WRITE's report write() still fails with the reset. */
TCPS(reset_is_reported_and_left_to_write, "4.2")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0xbeef);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 0xbeef, DATA_AT_LEAST);
    reset(s[1]);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD | EV_CLEAR | EV_EOF, ECONNRESET, 0, 0xbeef, ANY_DATA);
    CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), ECONNRESET);
}

/* 3.3 What came before the reset is counted and can be read; the error comes after it. */
TCPS(reset_with_data_left, "3.3")
{
    char byte;
    int kq = queue(), s[2];
    connected(kind, s);
    put(s[1], 5);
    until_queued(s[0], 5);
    reset(s[1]);
    until_polled(s[0], POLLERR);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, ECONNRESET, 5, 0);
    take(s[0], 5);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, ECONNRESET, 0, 0);
    CHECK_ERRNO(read(s[0], &byte, 1), ECONNRESET);
}

/* 3.3 A socket whose error was taken has none left to report; it is at its end all the same. */
TCPS(taken_error_is_not_reported, "3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    add_both(kq, s[0]);
    reset(s[1]);
    until_polled(s[0], POLLERR);
    both_report(kq, s[0], ECONNRESET);
    CHECK_EQ(take_error(s[0]), ECONNRESET);
    both_report(kq, s[0], 0);
}

/* 3.3 A write into a connection that the peer closed brings a reset: ECONNRESET, though Linux holds EPIPE. */
TCPS(reset_after_the_peers_close, "3.3 4.2")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    OK(close(s[1]));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
    put(s[0], 5);
    until_polled(s[0], POLLERR);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    both_report(kq, s[0], ECONNRESET);
#ifdef __linux__
    CHECK_EQ(take_error(s[0]), EPIPE);
#else
    CHECK_NE(take_error(s[0]), 0);
#endif
}

/* 2.7 2.8 2.9 A reset is reported in every mode, once. */
TCPS(reset_in_every_mode, "3.3 2.7 2.8 2.9")
{
    static const unsigned short modes[] = {EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < 3; i++) {
        unsigned short flags = EV_ADD | modes[i];
        int kq = queue(), s[2];
        connected(kind, s);
        change(kq, s[0], EVFILT_READ, flags, 0, 0, 0xfeed);
        nothing(kq);
        reset(s[1]);
        EXPECT_NEXT(kq, s[0], EVFILT_READ, flags | EV_EOF, ECONNRESET, 0, 0xfeed);
        if (modes[i] != EV_CLEAR)
            nothing(kq);
        CHECK_EQ(take_error(s[0]), ECONNRESET);
    }
}

/* 3.3 A waiter in kevent is woken by the reset. */
static void *wait_reset(void *argument)
{
    int *fds = argument; /* the queue, the socket */
    EXPECT_NEXT(fds[0], fds[1], EVFILT_READ, EV_ADD | EV_EOF, ECONNRESET, 0, 0);
    return NULL;
}

TCPS(reset_wakes_a_waiter, "3.3")
{
    struct thread thread;
    int s[2];
    connected(kind, s);
    int fds[2] = {queue(), s[0]};
    change(fds[0], s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    start(&thread, wait_reset, fds);
    until_asleep(&thread);
    reset(s[1]);
    join(&thread);
    CHECK_EQ(take_error(s[0]), ECONNRESET);
}

/* An AF_UNIX connection whose peer closed with unread data, which on Linux is a reset. */
static void reset_pair(enum kind kind, int s[2])
{
    for (int round = 0; round < 2; round++) {
        connected(kind, s);
        put(s[0], 5);
        OK(close(s[1]));
        if (round == 0 && take_error(s[0]) != ECONNRESET)
            SKIP("this system's AF_UNIX sockets know no reset");
    }
}

/* 3.3 AF_UNIX: a peer that closes with unread data resets the connection: ECONNRESET, left to SO_ERROR. */
UNIXES(close_with_unread_data_is_a_reset, "3.3 4.2")
{
    int kq = queue(), s[2];
    reset_pair(kind, s);
    add_both(kq, s[0]);
    both_report(kq, s[0], ECONNRESET);
    CHECK_EQ(take_error(s[0]), ECONNRESET);
    both_report(kq, s[0], 0);
}

/* 3.3 AF_UNIX: after the report read() still fails with the reset. */
UNIXES(reset_is_left_to_read, "3.3")
{
    char byte;
    int kq = queue(), s[2];
    reset_pair(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, ECONNRESET, 0, 0);
    CHECK_ERRNO(read(s[0], &byte, 1), ECONNRESET);
}

/* ---- Connects that fail ------------------------------------------------------------------------- */

/* 4.2 A refused connect: EV_EOF with ECONNREFUSED on both filters, and SO_ERROR still gives it. */
TCPS(refused_connect_is_left_to_so_error, "4.2 3.3")
{
    struct address address;
    refusing(kind, &address);
    int kq = queue(), fd = new_socket(kind);
    begin_connect(fd, &address);
    until_polled(fd, POLLERR);
    add_both(kq, fd);
    both_report(kq, fd, ECONNREFUSED);
    CHECK_EQ(take_error(fd), ECONNREFUSED);
}

/* 4.2 3.4 The same when the knotes were there before the connect; 4.3 until then they are silent. */
TCPS(refused_connect_after_registration, "4.2 4.3 3.3 3.4")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < 4; i++) {
        struct address address;
        unsigned short flags = EV_ADD | modes[i];
        refusing(kind, &address);
        int kq = queue(), fd = new_socket(kind);
        change(kq, fd, EVFILT_WRITE, flags, 0, 0, 0xbeef);
        nothing(kq);
        begin_connect(fd, &address);
        EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, flags | EV_EOF, ECONNREFUSED, 0, 0xbeef, ANY_DATA);
        CHECK_EQ(take_error(fd), ECONNREFUSED);
    }
}

/* 3.3 After a refused connect read() still says so. */
TCPS(refused_connect_is_left_to_read, "3.3")
{
    char byte;
    struct address address;
    refusing(kind, &address);
    int kq = queue(), fd = new_socket(kind);
    begin_connect(fd, &address);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_EOF, ECONNREFUSED, 0, 0xfeed);
    CHECK_ERRNO(read(fd, &byte, 1), ECONNREFUSED);
}

#ifdef __linux__
/* From now on the socket gets nothing: for its peers it is a host that does not answer. */
static void make_deaf(int fd)
{
    struct sock_filter none = {BPF_RET | BPF_K, 0, 0, 0};
    struct sock_fprog program = {1, &none};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == -1 && errno == EPERM)
        SKIP("socket filters are not permitted");
}

static void make_hear(int fd)
{
    int nothing_of_it = 0;
    OK(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &nothing_of_it, sizeof nothing_of_it));
}

/* 3.3 A connect that nobody answers: ETIMEDOUT, left to SO_ERROR. */
TCPS(connect_that_times_out, "4.2 3.3")
{
    struct address address;
    int kq = queue(), fd = new_socket(kind);
    make_deaf(listener(kind, &address));
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 500);
    begin_connect(fd, &address);
    add_both(kq, fd);
    nothing(kq);
    until_polled(fd, POLLERR);
    both_report(kq, fd, ETIMEDOUT);
    CHECK_EQ(take_error(fd), ETIMEDOUT);
}

/* 4.3 3.4 A socket is not ready while its connect is on the way, however long that takes; then it is. */
TCPS(connect_on_the_way_is_not_ready, "4.3 3.4 4.1")
{
    struct address address;
    int kq = queue(), fd = new_socket(kind);
    int listening = listener(kind, &address);
    make_deaf(listening);
    begin_connect(fd, &address);
    add_both(kq, fd);
    nothing(kq);
    sleeps(kq);
    make_hear(listening);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
    CHECK_EQ(take_error(fd), 0);
}

/* 3.3 An established connection whose retransmissions ran out: ETIMEDOUT. */
TCPS(connection_that_times_out, "3.3 4.2")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    make_deaf(s[1]);
    set_option(s[0], IPPROTO_TCP, TCP_USER_TIMEOUT, 300);
    put(s[0], 1);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, ETIMEDOUT, 0, 0xfeed);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    both_report(kq, s[0], ETIMEDOUT);
    CHECK_EQ(take_error(s[0]), ETIMEDOUT);
}

/* 3.3 An idle connection whose keep-alive probes ran out: ETIMEDOUT. */
TCPS(connection_whose_probes_run_out, "3.3")
{
    char byte;
    int kq = queue(), s[2];
    connected(kind, s);
    make_deaf(s[1]);
    set_option(s[0], SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(s[0], IPPROTO_TCP, TCP_KEEPINTVL, 1);
    set_option(s[0], IPPROTO_TCP, TCP_KEEPCNT, 1);
    set_option(s[0], IPPROTO_TCP, TCP_KEEPIDLE, 1);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, ETIMEDOUT, 0, 0xfeed);
    CHECK_ERRNO(read(s[0], &byte, 1), ETIMEDOUT);
}

/* Sends a byte that the peer does not get, and waits until it was sent again. */
static void retransmit(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    put(fd, 1);
    do {
        pause_briefly();
        OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
    } while (info.tcpi_retransmits == 0);
}

/* 3.3 Retransmissions that are under way have not run out: a reset among them is a reset. */
TCPS(reset_while_retransmitting, "3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    make_deaf(s[1]);
    retransmit(s[0]);
    reset(s[1]);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, ECONNRESET, 0, 0xfeed);
    CHECK_EQ(take_error(s[0]), ECONNRESET);
}

/* 3.3 Retransmissions that got through do not turn a later reset into a time-out. */
TCPS(reset_after_retransmissions, "3.3")
{
    int kq = queue(), s[2];
    connected(kind, s);
    make_deaf(s[1]);
    retransmit(s[0]);
    make_hear(s[1]);
    take(s[1], 1);
    until_sent(s[0]);
    reset(s[1]);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, ECONNRESET, 0, 0xfeed);
    CHECK_EQ(take_error(s[0]), ECONNRESET);
}
#endif

/* ---- Errors that end nothing -------------------------------------------------------------------- */

/*
 * 3.1 A datagram socket with an error is ready, 3.3 but not at its end; the error stays with the socket.
 * F reports no errno here; ours may tell the one it is.
 */
static void refused_datagram(enum kind kind)
{
    struct kevent ev;
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    OK(close(s[1]));
    nothing(kq);
    put(s[0], 5);
    wait_event(kq, &ev);
    EXPECT_EVENT_ANY(ev, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed, ANY_FFLAGS | ANY_DATA);
    CHECK(ev.fflags == 0 || ev.fflags == ECONNREFUSED);
    wait_event(kq, &ev);
    CHECK(!(ev.flags & EV_EOF));
    CHECK_EQ(take_error(s[0]), ECONNREFUSED);
    nothing(kq);
}

TEST(udp_refused_datagram_is_no_eof, "3.1 3.3")
{
    refused_datagram(UDP);
}

TEST(udp6_refused_datagram_is_no_eof, "3.1 3.3")
{
    refused_datagram(UDP6);
}

/* 4.3 A datagram socket with an error is still ready to write, and not at its end. */
TEST(udp_refused_datagram_leaves_write_ready, "4.3 3.3")
{
    int kq = queue(), s[2];
    connected(UDP, s);
    OK(close(s[1]));
    put(s[0], 5);
    until_polled(s[0], POLLERR);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0, DATA_AT_LEAST | ANY_FFLAGS);
    CHECK_EQ(take_error(s[0]), ECONNREFUSED);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0, DATA_AT_LEAST);
}

#if defined(SO_ZEROCOPY) && defined(MSG_ZEROCOPY)
/*
 * 3.3 Never EV_EOF on an open stream: POLLERR alone does not mean that it failed. (A notice in the error
 * queue, here of a copy that was spared, sets it on a healthy connection.)
 */
TEST(error_queue_is_no_error, "3.3 4.2")
{
    static char bytes[65536];
    struct kevent ev[4];
    int kq = queue(), s[2];
    connected(TCP, s);
    int one = 1;
    if (setsockopt(s[0], SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one) == -1)
        SKIP("no SO_ZEROCOPY");
    ssize_t sent = OK(send(s[0], bytes, sizeof bytes, MSG_ZEROCOPY));
    take(s[1], (size_t)sent);
    until_polled(s[0], POLLERR);
    add_both(kq, s[0]);
    for (int round = 0; round < 3; round++) {
        int count = collect(kq, ev, 4);
        EXPECT_EVENT_ANY(*find_event(ev, count, s[0], EVFILT_WRITE), s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef,
                         DATA_AT_LEAST);
        for (int i = 0; i < count; i++)
            CHECK(!(ev[i].flags & EV_EOF) && ev[i].fflags == 0);
    }
    put(s[1], 5);
    until_queued(s[0], 5);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, s[0], EVFILT_READ), s[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
}
#endif

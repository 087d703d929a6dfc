/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_WRITE: pipes and FIFOs, and EV_EOF when nothing can be written any more.
 */
#define SUITE "write_eof"
#include "suite.h"

#include "sockets.h"

#include <limits.h>

/* ---- Pipes -------------------------------------------------------------------------------------- */

/* 4.1 A pipe with space is ready, at every call; data is the space, not what is in it. */
PIPES(space_is_reported, "4.1 1.15 2.10")
{
    struct kevent ev;
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[1], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    wait_event(kq, &ev);
    EXPECT_EVENT_ANY(ev, p[1], EVFILT_WRITE, EV_ADD, 0, 4096, 0xbeef, DATA_AT_LEAST);
    intptr_t size = ev.data;
#ifdef F_GETPIPE_SZ
    CHECK_EQ(size, OK(fcntl(p[1], F_GETPIPE_SZ)));
#endif
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD, 0, size, 0xbeef);
    put(p[1], 4096);
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD, 0, size - 4096, 0xbeef);
    put(p[1], 4096);
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD, 0, size - 8192, 0xbeef);
    take(p[0], 8192);
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD, 0, size, 0xbeef);
}

/* 4.1 Ready when the space is PIPE_BUF or more: a full pipe is not, nor one from which a byte was read. */
PIPES(pipe_buf_is_the_mark, "4.1 10.5")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < 4; i++) {
        unsigned short flags = EV_ADD | modes[i];
        int kq = queue(), p[2];
        connected(kind, p);
        size_t n = fill(p[1]);
        change(kq, p[1], EVFILT_WRITE, flags, 0, 0, 0);
        nothing(kq);
        sleeps(kq);
        take(p[0], 1);
        nothing(kq);
        take(p[0], PIPE_BUF - 2);
        nothing(kq);
        take(p[0], 1);
        EXPECT_NEXT(kq, p[1], EVFILT_WRITE, flags, 0, PIPE_BUF, 0);
        take(p[0], n - PIPE_BUF);
        CHECK_EQ(fill(p[1]), n);
        nothing(kq);
        if (kind == FIFO)
            OK(unlink("fifo"));
    }
}

#ifdef O_DIRECT
/* 4.1 3.5 A pipe of packets is full when it has no place for one more, few as the bytes in it are. */
TEST(pipe_of_packets, "4.1 3.5")
{
    char bytes[64];
    int kq = queue(), p[2], packets = 0;
    if (pipe2(p, O_DIRECT | O_NONBLOCK) == -1)
        SKIP("no pipes of packets");
    while (write(p[1], "hello", 5) == 5)
        packets++;
    CHECK_EQ(errno, EAGAIN);
    change(kq, p[1], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    nothing(kq);
    change(kq, p[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 5 * packets, 0xfeed);
    change(kq, p[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    CHECK_EQ(read(p[0], bytes, sizeof bytes), 5);
    EXPECT_NEXT_ANY(kq, p[1], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
}
#endif

#ifdef F_SETPIPE_SZ
/* 4.1 The size of a pipe may change. */
PIPES(size_changes, "4.1")
{
    int kq = queue(), p[2];
    connected(kind, p);
    int size = OK(fcntl(p[1], F_SETPIPE_SZ, 16384));
    change(kq, p[1], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD, 0, size, 0);
    fill(p[1]);
    nothing(kq);
    OK(fcntl(p[1], F_SETPIPE_SZ, 2 * size));
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD, 0, size, 0);
}
#endif

/* 4.1 NOTE_LOWAT on a pipe (M): ready when there is that much space. */
PIPES(note_lowat_is_the_mark, "4.1 3.5")
{
    struct kevent ev;
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[1], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    wait_event(kq, &ev);
    change(kq, p[1], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, ev.data - 4096, 0);
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD, 0, ev.data, 0);
    put(p[1], 8192);
    nothing(kq);
    take(p[0], 4096);
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD, 0, ev.data - 4096, 0);
}

/* 2.9 With EV_CLEAR space that comes back is news, and a pipe that stays ready is reported once. */
PIPES(clear_reports_new_space, "2.9 4.1")
{
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0);
    EXPECT_NEXT_ANY(kq, p[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 4096, 0, DATA_AT_LEAST);
    nothing(kq);
    for (int round = 0; round < 3; round++) {
        size_t n = fill(p[1]);
        nothing(kq);
        take(p[0], n);
        EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, n, 0);
    }
}

static void *wait_writable(void *argument)
{
    int *fds = argument; /* the queue, the descriptor */
    EXPECT_NEXT_ANY(fds[0], fds[1], EVFILT_WRITE, EV_ADD, 0, 1, 0, DATA_AT_LEAST);
    return NULL;
}

/* 4.1 A thread that waits for space in a pipe is woken by it. */
PIPES(space_wakes_a_waiter, "4.1")
{
    struct thread thread;
    int p[2];
    connected(kind, p);
    int fds[2] = {queue(), p[1]};
    size_t n = fill(p[1]);
    change(fds[0], p[1], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    start(&thread, wait_writable, fds);
    until_asleep(&thread);
    take(p[0], n);
    join(&thread);
}

/* 4.2 The last reader's close is EV_EOF, data 0, at every call. */
PIPES(last_reader_gone_is_eof, "4.2")
{
    int kq = queue(), p[2];
    connected(kind, p);
    int other = OK(dup(p[0]));
    change(kq, p[1], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    OK(close(p[0]));
    EXPECT_NEXT_ANY(kq, p[1], EVFILT_WRITE, EV_ADD, 0, 4096, 0xbeef, DATA_AT_LEAST);
    OK(close(other));
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0, 0xbeef);
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0, 0xbeef);
}

/* 4.2 The same when the pipe is full, and NOTE_LOWAT does not hold it back. */
PIPES(last_reader_gone_of_a_full_pipe, "4.2")
{
    int kq = queue(), other = queue(), p[2];
    connected(kind, p);
    fill(p[1]);
    change(kq, p[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0);
    change(other, p[1], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, 10000, 0);
    nothing(kq);
    nothing(other);
    OK(close(p[0]));
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD | EV_CLEAR | EV_EOF, 0, 0, 0);
    nothing(kq);
    EXPECT_NEXT(other, p[1], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0, 0);
}

/* 4.2 The last reader was gone before EV_ADD (N), in every mode. */
PIPES(reader_gone_before, "4.2 2.7 2.8 2.9")
{
    static const unsigned short modes[] = {EV_CLEAR, EV_ONESHOT, EV_DISPATCH, 0};
    int p[2];
    connected(kind, p);
    OK(close(p[0]));
    for (size_t i = 0; i < 4; i++) {
        int kq = queue();
        unsigned short flags = EV_ADD | modes[i];
        change(kq, p[1], EVFILT_WRITE, flags, 0, 0, 0xbeef);
        EXPECT_NEXT(kq, p[1], EVFILT_WRITE, flags | EV_EOF, 0, 0, 0xbeef);
        if (modes[i])
            nothing(kq);
    }
}

/* 4.2 A FIFO's new reader clears EV_EOF. */
TEST(fifo_new_reader_clears_eof, "4.2")
{
    int kq = queue(), p[2];
    fifo_pair(p);
    change(kq, p[1], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    OK(close(p[0]));
    EXPECT_NEXT(kq, p[1], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0, 0);
    p[0] = OK(open("fifo", O_RDONLY | O_NONBLOCK));
    EXPECT_NEXT_ANY(kq, p[1], EVFILT_WRITE, EV_ADD, 0, 4096, 0, DATA_AT_LEAST);
}

/* ---- Sockets ------------------------------------------------------------------------------------ */

/* 4.2 Our own write side shut is EV_EOF, at every call. */
CONNECTIONS(own_shutdown_is_eof, "4.2")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
    OK(shutdown(s[0], SHUT_WR));
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0, 0xbeef, ANY_DATA);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0, 0xbeef, ANY_DATA);
}

/* 4.2 It was shut before EV_ADD, in every mode. */
CONNECTIONS(earlier_own_shutdown_is_eof, "4.2 2.7 2.8 2.9")
{
    static const unsigned short modes[] = {EV_CLEAR, EV_ONESHOT, EV_DISPATCH, 0};
    int s[2];
    connected(kind, s);
    OK(shutdown(s[0], SHUT_WR));
    for (size_t i = 0; i < 4; i++) {
        int kq = queue();
        unsigned short flags = EV_ADD | modes[i];
        change(kq, s[0], EVFILT_WRITE, flags, 0, 0, 0);
        EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, flags | EV_EOF, 0, 0, 0, ANY_DATA);
        if (modes[i] && modes[i] != EV_CLEAR)
            nothing(kq);
    }
}

/* 4.2 2.9 With EV_CLEAR the shutdown is news. */
CONNECTIONS(clear_reports_own_shutdown, "4.2 2.9")
{
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 0, DATA_AT_LEAST);
    nothing(kq);
    OK(shutdown(s[0], SHUT_WR));
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD | EV_CLEAR | EV_EOF, 0, 0, 0, ANY_DATA);
}

/* 4.2 A full socket whose write side is shut is at its end as well. (Linux's AF_UNIX says so to nobody.) */
TCPS(own_shutdown_of_a_full_socket, "4.2")
{
    int kq = queue(), s[2];
    connected(kind, s);
    small_buffers(s);
    fill(s[0]);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    nothing(kq);
    OK(shutdown(s[0], SHUT_WR));
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0, 0, ANY_DATA);
}

static void *wait_shutdown(void *argument)
{
    int *fds = argument; /* the queue, the socket */
    struct kevent ev;
    do /* the peer's system may take some more before */
        wait_event(fds[0], &ev);
    while (!(ev.flags & EV_EOF));
    EXPECT_EVENT_ANY(ev, fds[1], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0, 0, ANY_DATA);
    return NULL;
}

/* 4.2 A thread that waits for space is woken by the shutdown. */
TCPS(own_shutdown_wakes_a_waiter, "4.2")
{
    struct thread thread;
    int s[2];
    connected(kind, s);
    small_buffers(s);
    fill(s[0]);
    int fds[2] = {queue(), s[0]};
    change(fds[0], s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    start(&thread, wait_shutdown, fds);
    until_asleep(&thread);
    OK(shutdown(s[0], SHUT_WR));
    join(&thread);
}

/* 4.2 Both sides shut: both filters are at their end. */
CONNECTIONS(both_sides_shut, "4.2 3.3")
{
    struct kevent ev[4];
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    OK(shutdown(s[0], SHUT_RDWR));
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(collect(kq, ev, 4), 2);
        EXPECT_EVENT(*find_event(ev, 2, s[0], EVFILT_READ), s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
        EXPECT_EVENT_ANY(*find_event(ev, 2, s[0], EVFILT_WRITE), s[0], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0,
                         0xbeef, ANY_DATA);
    }
}

/* 4.2 An AF_UNIX peer's close is EV_EOF; what it sent before is READ's. */
UNIXES(peers_close_is_eof, "4.2 2.11")
{
    struct kevent ev[4];
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    put(s[1], 5);
    OK(close(s[1]));
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(collect(kq, ev, 4), 2);
        EXPECT_EVENT(*find_event(ev, 2, s[0], EVFILT_READ), s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0xfeed);
        EXPECT_EVENT_ANY(*find_event(ev, 2, s[0], EVFILT_WRITE), s[0], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0,
                         0xbeef, ANY_DATA);
    }
}

/* 4.2 An AF_UNIX peer that only shuts its own write side leaves ours open. */
UNIXES(peers_write_shutdown_is_not_eof, "4.2 2.11")
{
    struct kevent ev[4];
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    OK(shutdown(s[1], SHUT_WR));
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(collect(kq, ev, 4), 2);
        EXPECT_EVENT(*find_event(ev, 2, s[0], EVFILT_READ), s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
        EXPECT_EVENT_ANY(*find_event(ev, 2, s[0], EVFILT_WRITE), s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef,
                         DATA_AT_LEAST);
    }
}

/* 4.2 A TCP peer's FIN alone is no EV_EOF: it may still read what we write. */
TCPS(peers_fin_is_not_eof, "4.2")
{
    int kq = queue(), s[2];
    connected(kind, s);
    OK(shutdown(s[1], SHUT_WR));
    until_polled(s[0], POLLIN);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
    put(s[0], 5);
    take(s[1], 5);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
}

/* 4.2 Nor is a FIN the end for a socket that is full. */
TCPS(peers_fin_on_a_full_socket, "4.2")
{
    int kq = queue(), s[2];
    connected(kind, s);
    small_buffers(s);
    size_t n = fill(s[0]);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    OK(shutdown(s[1], SHUT_WR));
    until_polled(s[0], POLLIN);
    n += fill(s[0]); /* the segment with the FIN may have opened the peer's window a little */
    nothing(kq);
    sleeps(kq);
    take(s[1], n);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
}

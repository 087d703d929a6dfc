/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must hold while other threads read, write and trigger: no false end of file, no lost wake-up.
 * Each case runs for a fixed number of rounds or a fixed time; every event of it is checked.
 */
#define SUITE "races"
#include "suite.h"

#include "sockets.h"

#include <stdatomic.h>

static atomic_int stop;

static void *read_all(void *argument)
{
    char bytes[256];
    int fd = *(int *)argument;
    for (unsigned round = 0; !stop; round++) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == -1)
            CHECK(errno == EAGAIN);
        else
            CHECK(got > 0);
        if (round % 64 == 0)
            pause_briefly();
    }
    return NULL;
}

static void *write_bytes(void *argument)
{
    int fd = *(int *)argument;
    for (unsigned round = 0; !stop; round++) {
        if (write(fd, "x", 1) == -1)
            CHECK(errno == EAGAIN);
        if (round % 16 == 0)
            pause_briefly();
    }
    return NULL;
}

/* Another thread reads what comes: an event has bytes and no EV_EOF, or there is none. */
static void readers_race(int reader, int writer, unsigned short mode)
{
    struct thread reading, writing;
    struct timespec timeout = duration(10 * MILLISECOND);
    int kq = queue();
    nonblocking(reader);
    nonblocking(writer);
    change(kq, reader, EVFILT_READ, EV_ADD | mode, 0, 0, 0xfeed);
    start(&reading, read_all, &reader);
    start(&writing, write_bytes, &writer);
    int events = 0;
    for (int64_t end = now() + SECOND / 2; now() < end || events == 0;) {
        struct kevent ev[4];
        int count = OK(kevent(kq, NULL, 0, ev, 4, &timeout));
        CHECK_LE(count, 1);
        if (count == 1)
            EXPECT_EVENT_ANY(ev[0], reader, EVFILT_READ, EV_ADD | mode, 0, 1, 0xfeed, DATA_AT_LEAST);
        events += count;
    }
    stop = 1;
    join(&reading);
    join(&writing);
}

/* 3.3 Never EV_EOF on an open stream, whoever races. */
STREAMS(no_false_eof_for_level, "3.3 1.14")
{
    int s[2];
    connected(kind, s);
    readers_race(s[0], s[1], 0);
}

STREAMS(no_false_eof_for_edge, "3.3 1.14")
{
    int s[2];
    connected(kind, s);
    readers_race(s[0], s[1], EV_CLEAR);
}

/* 3.5 Nor on a pipe that has a writer. */
PIPES(no_false_eof_in_pipes_for_level, "3.5 1.14")
{
    int p[2];
    connected(kind, p);
    readers_race(p[0], p[1], 0);
}

PIPES(no_false_eof_in_pipes_for_edge, "3.5 1.14")
{
    int p[2];
    connected(kind, p);
    readers_race(p[0], p[1], EV_CLEAR);
}

/* ---- No lost wake-up ---------------------------------------------------------------------------- */

enum { ROUNDS = 3000 };

static void *answer(void *argument)
{
    int fd = *(int *)argument;
    for (int round = 0; round < ROUNDS; round++) {
        take(fd, 1);
        put(fd, 1);
    }
    return NULL;
}

/* A byte goes to the other thread and comes back; kevent waits for each. */
static void ping_pong(enum kind kind, unsigned short mode)
{
    struct thread thread;
    int kq = queue(), s[2];
    connected(kind, s);
    unsigned short flags = EV_ADD | mode;
    change(kq, s[0], EVFILT_READ, flags, 0, 0, 0xfeed);
    start(&thread, answer, &s[1]);
    for (int round = 0; round < ROUNDS; round++) {
        put(s[0], 1);
        EXPECT_NEXT(kq, s[0], EVFILT_READ, flags, 0, 1, 0xfeed);
        take(s[0], 1);
        if (mode == EV_ONESHOT)
            change(kq, s[0], EVFILT_READ, flags, 0, 0, 0xfeed);
        if (mode == EV_DISPATCH)
            change(kq, s[0], EVFILT_READ, EV_ENABLE, 0, 0, 0xfeed);
    }
    join(&thread);
    nothing(kq);
}

/* 3.1 2.7-2.10 In no mode is a byte missed by a thread that waits, or reported twice. */
STREAMS(every_byte_is_reported_to_level, "3.1 2.10")
{
    ping_pong(kind, 0);
}

STREAMS(every_byte_is_reported_to_edge, "3.1 2.9")
{
    ping_pong(kind, EV_CLEAR);
}

STREAMS(every_byte_is_reported_to_oneshot, "3.1 2.7")
{
    ping_pong(kind, EV_ONESHOT);
}

STREAMS(every_byte_is_reported_to_dispatch, "3.1 2.8")
{
    ping_pong(kind, EV_DISPATCH);
}

/* ---- Space -------------------------------------------------------------------------------------- */

static void *read_everything(void *argument)
{
    char bytes[8192];
    ssize_t got;
    intptr_t total = 0;
    while ((got = read(*(int *)argument, bytes, sizeof bytes)) > 0)
        total += got;
    OK(got);
    return (void *)total;
}

/* A program that writes until it may not and then waits for space gets all of it through. */
static void stream_through(enum kind kind, unsigned short mode)
{
    static const char bytes[16384];
    struct thread thread;
    intptr_t total = 0, wanted = 4 << 20;
    int kq = queue(), s[2];
    connected(kind, s);
    int out = kind == PIPE || kind == FIFO ? s[1] : s[0], in = out == s[0] ? s[1] : s[0];
    nonblocking(out);
    if (kind == FIFO)
        OK(fcntl(in, F_SETFL, 0));
    start(&thread, read_everything, &in);
    change(kq, out, EVFILT_WRITE, EV_ADD | mode, 0, 0, 0xbeef);
    while (total < wanted) {
        EXPECT_NEXT_ANY(kq, out, EVFILT_WRITE, EV_ADD | mode, 0, 1, 0xbeef, DATA_AT_LEAST);
        ssize_t written;
        while ((written = write(out, bytes, sizeof bytes)) > 0)
            total += written;
        CHECK(errno == EAGAIN);
        if (mode == EV_DISPATCH)
            change(kq, out, EVFILT_WRITE, EV_ENABLE, 0, 0, 0xbeef);
    }
    OK(close(out));
    CHECK_EQ((intptr_t)join(&thread), total);
}

/* 4.1 2.10 No space that comes back is missed. */
STREAMS(space_is_never_missed_by_level, "4.1 2.10")
{
    stream_through(kind, 0);
}

STREAMS(space_is_never_missed_by_edge, "4.1 2.9")
{
    stream_through(kind, EV_CLEAR);
}

STREAMS(space_is_never_missed_by_dispatch, "4.1 2.8")
{
    stream_through(kind, EV_DISPATCH);
}

PIPES(pipe_space_is_never_missed_by_level, "4.1 2.10")
{
    stream_through(kind, 0);
}

PIPES(pipe_space_is_never_missed_by_edge, "4.1 2.9")
{
    stream_through(kind, EV_CLEAR);
}

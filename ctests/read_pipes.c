/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_READ on pipes and FIFOs.
 */
#define SUITE "read_pipes"
#include "suite.h"

#include "sockets.h"

/* 3.5 A pipe is ready with bytes; data is how many. 2.10 At every call while they are there. */
PIPES(bytes_are_counted, "3.5 1.15 2.10")
{
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    put(p[1], 5);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    put(p[1], 10000);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 10005, 0xfeed);
    take(p[0], 10000);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    take(p[0], 5);
    nothing(kq);
}

/* 2.9 With EV_CLEAR every write is news, also with old data left; reading a part is not. */
PIPES(clear_reports_new_data, "2.9 3.5")
{
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    put(p[1], 5);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 0);
    nothing(kq);
    put(p[1], 5);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 10, 0);
    take(p[0], 4);
    nothing(kq);
    put(p[1], 1);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 7, 0);
    nothing(kq);
}

/* 1.14 Data that was read before the event is collected is not reported. */
PIPES(data_read_before_collection_is_not_reported, "1.14 3.5")
{
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    put(p[1], 5);
    take(p[0], 5);
    nothing(kq);
    put(p[1], 6);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 6, 0);
}

/* ---- The end ------------------------------------------------------------------------------------ */

/* 3.5 The last writer's close is EV_EOF with data 0, at every call. */
PIPES(last_writer_gone_is_eof, "3.5")
{
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(close(p[1]));
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
}

/* 3.5 It has to be the last one. */
PIPES(one_of_two_writers_gone_is_not_eof, "3.5")
{
    int kq = queue(), p[2];
    connected(kind, p);
    int other = OK(dup(p[1]));
    change(kq, p[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    OK(close(p[1]));
    nothing(kq);
    put(other, 5);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    OK(close(other));
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0);
}

/* 3.5 EV_EOF comes also with data left, which data counts down. */
PIPES(eof_with_data_left, "3.5")
{
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(p[1], 5);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 5, 0);
    OK(close(p[1]));
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0);
    take(p[0], 3);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 2, 0);
    take(p[0], 2);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0);
}

/* 3.5 An end that came before EV_ADD is reported in every mode, and in the modes that report once, once. */
PIPES(earlier_eof_is_reported, "3.5 2.7 2.8 2.9")
{
    static const unsigned short modes[] = {EV_CLEAR, EV_ONESHOT, EV_DISPATCH, 0};
    int p[2];
    connected(kind, p);
    put(p[1], 5);
    OK(close(p[1]));
    for (size_t i = 0; i < 4; i++) {
        int kq = queue();
        unsigned short flags = EV_ADD | modes[i];
        change(kq, p[0], EVFILT_READ, flags, 0, 0, 0);
        EXPECT_NEXT(kq, p[0], EVFILT_READ, flags | EV_EOF, 0, 5, 0);
        if (modes[i])
            nothing(kq);
    }
}

/* 2.9 With EV_CLEAR the end is news once. */
PIPES(clear_reports_eof_once, "2.9 3.5")
{
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    put(p[1], 5);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 0);
    nothing(kq);
    OK(close(p[1]));
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR | EV_EOF, 0, 5, 0);
    take(p[0], 5);
    nothing(kq);
}

/* 3.5 A FIFO that never had a writer is not at its end, and kevent sleeps beside it. */
TEST(fifo_without_a_writer_is_not_eof, "3.5 10.5")
{
    int kq = queue();
    OK(mkfifo("fifo", 0600));
    int reader = OK(open("fifo", O_RDONLY | O_NONBLOCK));
    change(kq, reader, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    sleeps(kq);
    int writer = OK(open("fifo", O_WRONLY));
    nothing(kq);
    put(writer, 5);
    EXPECT_NEXT(kq, reader, EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
}

/* 3.5 A FIFO's new writer clears EV_EOF; when it goes, EV_EOF is back. */
TEST(fifo_new_writer_clears_eof, "3.5")
{
    int kq = queue(), p[2];
    fifo_pair(p);
    change(kq, p[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    for (int round = 0; round < 3; round++) {
        OK(close(p[1]));
        EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0);
        EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0);
        p[1] = OK(open("fifo", O_WRONLY));
        nothing(kq);
        put(p[1], 5);
        EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 5, 0);
        take(p[0], 5);
        nothing(kq);
    }
}

/* 3.5 A new writer clears EV_EOF also while old data is left. */
TEST(fifo_new_writer_clears_eof_with_data_left, "3.5")
{
    int kq = queue(), p[2];
    fifo_pair(p);
    change(kq, p[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(p[1], 5);
    OK(close(p[1]));
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0);
    p[1] = OK(open("fifo", O_WRONLY));
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 5, 0);
}

/* 3.5 2.9 With EV_CLEAR each writer's end is news of its own. */
TEST(fifo_clear_reports_each_eof, "3.5 2.9")
{
    int kq = queue(), p[2];
    fifo_pair(p);
    change(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int round = 0; round < 3; round++) {
        OK(close(p[1]));
        EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR | EV_EOF, 0, 0, 0);
        nothing(kq);
        p[1] = OK(open("fifo", O_WRONLY));
        nothing(kq);
        put(p[1], 5);
        EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 0);
        take(p[0], 5);
    }
}

/* 3.5 1.14 A writer that came back before the end was collected: there is no end to report. */
TEST(fifo_writer_back_before_collection, "3.5 1.14")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    OK(mkfifo("fifo", 0600));
    for (size_t i = 0; i < 4; i++) {
        unsigned short flags = EV_ADD | modes[i];
        int kq = queue();
        int reader = OK(open("fifo", O_RDONLY | O_NONBLOCK)), writer = OK(open("fifo", O_WRONLY));
        change(kq, reader, EVFILT_READ, flags, 0, 0, 0);
        OK(close(writer));
        writer = OK(open("fifo", O_WRONLY));
        nothing(kq);
        put(writer, 5);
        EXPECT_NEXT(kq, reader, EVFILT_READ, flags, 0, 5, 0);
        OK(close(writer));
        OK(close(reader));
    }
}

/* 3.5 A FIFO that one descriptor holds open for both is never at its end; its two knotes are independent. */
TEST(fifo_open_for_both, "3.5 4.1 2.11")
{
    struct kevent ev[4];
    int kq = queue();
    OK(mkfifo("fifo", 0600));
    int fd = OK(open("fifo", O_RDWR));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    change(kq, fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0xbeef);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 4096, 0xbeef, DATA_AT_LEAST);
    nothing(kq);
    size_t n = fill(fd);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, n, 0xfeed);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, n, 0xfeed);
    take(fd, n - 5);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    EXPECT_EVENT_ANY(*find_event(ev, 2, fd, EVFILT_WRITE), fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 4096, 0xbeef,
                     DATA_AT_LEAST);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
}

/* ---- NOTE_LOWAT --------------------------------------------------------------------------------- */

/* 3.5 NOTE_LOWAT holds: ready when data has come up to the mark. */
PIPES(note_lowat_is_the_mark, "3.5")
{
    int kq = queue(), other = queue(), p[2];
    connected(kind, p);
    change(other, p[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, p[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 0xfeed);
    put(p[1], 9);
    EXPECT_NEXT(other, p[0], EVFILT_READ, EV_ADD, 0, 9, 0);
    nothing(kq);
    put(p[1], 1);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 10, 0xfeed);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 10, 0xfeed);
    take(p[0], 1);
    nothing(kq);
    change(kq, p[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 9, 0xfeed);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 9, 0xfeed);
    change(kq, p[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, (INT64_C(1) << 32) + 1, 0xfeed);
    nothing(kq);
    change(kq, p[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 9, 0xfeed);
}

/* 3.5 The end is ready below the mark. */
PIPES(note_lowat_does_not_hold_back_eof, "3.5")
{
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 0);
    put(p[1], 5);
    nothing(kq);
    OK(close(p[1]));
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0);
}

/* 3.5 A FIFO's new writer puts the mark in force again. */
TEST(fifo_new_writer_and_note_lowat, "3.5")
{
    int kq = queue(), p[2];
    fifo_pair(p);
    change(kq, p[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 0);
    put(p[1], 5);
    OK(close(p[1]));
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 5, 0);
    p[1] = OK(open("fifo", O_WRONLY));
    nothing(kq);
    put(p[1], 5);
    EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD, 0, 10, 0);
}

/* 3.5 What stays below the mark takes nothing from a one-shot, a dispatch or an edge. 10.5 It does not spin. */
PIPES(note_lowat_holds_in_every_mode, "3.5 2.7 2.8 2.9 10.5")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    int p[2];
    connected(kind, p);
    for (size_t i = 0; i < 4; i++) {
        unsigned short flags = EV_ADD | modes[i];
        int kq = queue();
        change(kq, p[0], EVFILT_READ, flags, NOTE_LOWAT, 10, 0);
        for (int n = 1; n < 10; n++) {
            put(p[1], 1);
            nothing(kq);
            CHECK(!readable(kq));
        }
        sleeps(kq);
        put(p[1], 1);
        EXPECT_NEXT(kq, p[0], EVFILT_READ, flags, 0, 10, 0);
        if (modes[i])
            nothing(kq);
        OK(close(kq));
        take(p[0], 10);
    }
}

/* ---- The wrong end ------------------------------------------------------------------------------ */

/* 3.5 The write end as READ is accepted, and ready only when the last reader is gone. */
PIPES(write_end_reads_the_end_of_the_reader, "3.5")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < 4; i++) {
        int kq = queue(), p[2];
        connected(kind, p);
        change(kq, p[1], EVFILT_READ, EV_ADD | modes[i], 0, 0, 0xfeed);
        nothing(kq);
        put(p[1], 5);
        nothing(kq);
        size_t n = fill(p[1]);
        nothing(kq);
        take(p[0], n);
        nothing(kq);
        OK(close(p[0]));
        EXPECT_NEXT(kq, p[1], EVFILT_READ, EV_ADD | modes[i] | EV_EOF, 0, 0, 0xfeed);
        if (modes[i] == 0) {
            EXPECT_NEXT(kq, p[1], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
            change(kq, p[1], EVFILT_READ, EV_DELETE, 0, 0, 0);
        }
        nothing(kq);
        sleeps(kq);
        CHECK(!readable(kq));
        OK(close(p[1]));
        if (kind == FIFO)
            OK(unlink("fifo"));
    }
}

/* 3.5 The read end as WRITE is accepted and never ready, whatever happens to the pipe. */
PIPES(read_end_is_never_writable, "3.5")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < 4; i++) {
        int kq = queue(), p[2];
        connected(kind, p);
        change(kq, p[0], EVFILT_WRITE, EV_ADD | modes[i], 0, 0, 0xbeef);
        nothing(kq);
        put(p[1], 5);
        nothing(kq);
        change(kq, p[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 0xfeed);
        OK(close(p[1]));
        EXPECT_NEXT(kq, p[0], EVFILT_READ, EV_ADD | EV_ONESHOT | EV_EOF, 0, 5, 0xfeed);
        nothing(kq);
        sleeps(kq);
        CHECK(!readable(kq));
        change(kq, p[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0);
        OK(close(p[0]));
        if (kind == FIFO)
            OK(unlink("fifo"));
    }
}

/* 3.5 Both ends at once: the reader's end is the writer's, whichever filter asks. */
PIPES(write_end_of_both_filters, "2.11 3.5")
{
    int kq = queue(), p[2];
    connected(kind, p);
    change(kq, p[1], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
    change(kq, p[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0xbeef);
    fill(p[1]);
    nothing(kq);
    OK(close(p[0]));
    struct kevent ev[4];
    int n = collect(kq, ev, 4);
    CHECK(n == 2 && ev[0].filter != ev[1].filter);
    for (int i = 0; i < n; i++)
        CHECK(ev[i].flags == (EV_ADD | EV_CLEAR | EV_EOF) && ev[i].data == 0);
    nothing(kq);
    sleeps(kq);
}

/* 3.5 The wrong end that was added after the other side was gone. */
PIPES(wrong_end_of_a_half_closed_pipe, "3.5")
{
    int kq = queue(), p[2], q[2];
    connected(kind, p);
    OK(close(p[0]));
    change(kq, p[1], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, p[1], EVFILT_READ, EV_ADD | EV_ONESHOT | EV_EOF, 0, 0, 0xfeed);
    nothing(kq);
    pipe_pair(q);
    OK(close(q[1]));
    change(kq, q[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    nothing(kq);
    sleeps(kq);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Section 2: READ and WRITE of one descriptor are independent in every respect (2.11), two edges are two
 * (2.15). On Linux both knotes share one item of an epoll, which has one mode for both: every combination
 * is met here.
 */
#define SUITE "pair"
#include "suite.h"

#include "sockets.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};

static const char *mode_name(unsigned short mode)
{
    return mode == 0 ? "level" : mode == EV_CLEAR ? "clear" : mode == EV_ONESHOT ? "oneshot" : "dispatch";
}

/* What a knote must do next, by its mode alone. */
struct side {
    int fd;
    short filter;
    unsigned short mode;
    int exists;
    int enabled;
    int holds;        /* its condition holds now */
    int news;         /* something happened since the last report (EV_CLEAR) */
    intptr_t data;    /* exact, or -1 where at least 1 is expected */
    uintptr_t udata;
};

static int is_due(const struct side *side)
{
    return side->exists && side->enabled && side->holds && (side->news || side->mode != EV_CLEAR);
}

static void add(int kq, struct side *side)
{
    side->exists = side->enabled = side->news = 1;
    change(kq, side->fd, side->filter, EV_ADD | side->mode, 0, 0, side->udata);
}

/* One call with room for both: exactly those that are due are reported. */
static void reports(int kq, struct side *read, struct side *write, const char *when)
{
    struct timespec zero = {0, 0};
    struct kevent ev[4];
    struct side *sides[] = {read, write};
    int expected = is_due(read) + is_due(write);
    int n = OK(kevent(kq, NULL, 0, ev, 4, &zero));
    for (int i = 0; i < 2; i++) {
        struct side *side = sides[i];
        int found = 0;
        for (int j = 0; j < n; j++)
            found += ev[j].filter == side->filter;
        if (found != is_due(side))
            FAIL("READ %s, WRITE %s, %s: %d %s events, expected %d", mode_name(read->mode), mode_name(write->mode),
                 when, found, side->filter == EVFILT_READ ? "READ" : "WRITE", is_due(side));
        if (!found)
            continue;
        EXPECT_EVENT_ANY(*find_event(ev, n, side->fd, side->filter), side->fd, side->filter, EV_ADD | side->mode, 0,
                         side->data == -1 ? 1 : side->data, side->udata, side->data == -1 ? DATA_AT_LEAST : 0);
        side->news = 0;
        if (side->mode == EV_ONESHOT)
            side->exists = 0;
        if (side->mode == EV_DISPATCH)
            side->enabled = 0;
    }
    CHECK_EQ(n, expected);
}

/* 2.11 Each of the two does what its own mode says, whatever the other's mode and whatever happens to it. */
static void both(enum kind kind, int write_first)
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        for (size_t j = 0; j < COUNT(modes); j++) {
            int kq = queue(), fds[2];
            connected(kind, fds);
            struct side read = {fds[0], EVFILT_READ, modes[i], 0, 0, 0, 0, 0, 0x10};
            struct side write = {fds[0], EVFILT_WRITE, modes[j], 0, 0, 1, 0, -1, 0x20};
            if (write_first)
                add(kq, &write);
            add(kq, &read);
            if (!write_first)
                add(kq, &write);
            reports(kq, &read, &write, "when added");
            reports(kq, &read, &write, "when nothing happened");

            put(fds[1], 3);
            until_queued(fds[0], 3);
            read.holds = read.news = 1;
            read.data = 3;
            reports(kq, &read, &write, "after data came");
            reports(kq, &read, &write, "after the data was reported");

            put(fds[1], 2);
            until_queued(fds[0], 5);
            read.news = 1;
            read.data = 5;
            reports(kq, &read, &write, "after more data came");
            reports(kq, &read, &write, "after more data was reported");

            size_t filled = 0;
            if (kind == UNIX_STREAM) {
                filled = fill(fds[0]);
                write.holds = 0;
                reports(kq, &read, &write, "when the buffer is full");
                take(fds[1], filled);
                write.holds = write.news = 1;
                reports(kq, &read, &write, "after the buffer was emptied");
                reports(kq, &read, &write, "after the room was reported");
            }

            take(fds[0], 5);
            read.holds = 0;
            reports(kq, &read, &write, "after the data was read");

            if (write.exists) {
                change(kq, fds[0], EVFILT_WRITE, EV_DISABLE, 0, 0, write.udata);
                write.enabled = 0;
            }
            put(fds[1], 1);
            until_queued(fds[0], 1);
            read.holds = read.news = 1;
            read.data = 1;
            reports(kq, &read, &write, "with WRITE disabled");
            reports(kq, &read, &write, "with WRITE disabled, again");
            if (write.exists) {
                change(kq, fds[0], EVFILT_WRITE, EV_ENABLE, 0, 0, write.udata);
                write.enabled = write.news = 1;
            }
            reports(kq, &read, &write, "after WRITE was enabled");

            if (read.exists) {
                change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, read.udata);
                read.enabled = 0;
            }
            reports(kq, &read, &write, "with READ disabled");
            if (read.exists) {
                change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, read.udata);
                read.enabled = read.news = 1;
            }
            reports(kq, &read, &write, "after READ was enabled");
            reports(kq, &read, &write, "after READ was enabled and reported");

            if (write.exists)
                change(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0);
            write.exists = 0;
            reports(kq, &read, &write, "after WRITE was deleted");
            put(fds[1], 1);
            until_queued(fds[0], 2);
            read.news = 1;
            read.data = 2;
            reports(kq, &read, &write, "after WRITE was deleted and data came");
            add(kq, &write);
            reports(kq, &read, &write, "after WRITE was added again");

            if (read.exists)
                change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
            read.exists = 0;
            reports(kq, &read, &write, "after READ was deleted");
            add(kq, &read);
            reports(kq, &read, &write, "after READ was added again");
            reports(kq, &read, &write, "after READ was added again and reported");

            CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), read.exists ? 0 : ENOENT);
            CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0), write.exists ? 0 : ENOENT);
            nothing(kq);
            OK(close(kq));
            OK(close(fds[0]));
            OK(close(fds[1]));
        }
    }
}

TEST(unix_socket_read_first, "2.11 2.15 2.14")
{
    both(UNIX_STREAM, 0);
}

TEST(unix_socket_write_first, "2.11 2.15 2.14")
{
    both(UNIX_STREAM, 1);
}

TEST(tcp_socket_read_first, "2.11 2.15 2.14")
{
    both(TCP, 0);
}

TEST(tcp_socket_write_first, "2.11 2.15 2.14")
{
    both(TCP, 1);
}

/* 2.11 An end of file is that of READ alone: the peer's shutdown for writing. */
TEST(end_of_read_is_not_the_end_of_write, "2.11 3.3 4.2")
{
    static const enum kind kinds[] = {UNIX_STREAM, TCP};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t i = 0; i < COUNT(modes); i++) {
            int kq = queue(), fds[2];
            struct kevent ev[4];
            connected(kinds[k], fds);
            change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
            change(kq, fds[0], EVFILT_WRITE, EV_ADD | modes[i], 0, 0, 2);
            EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | modes[i], 0, 1, 2, DATA_AT_LEAST);
            put(fds[1], 2);
            OK(shutdown(fds[1], SHUT_WR));
#ifdef POLLRDHUP
            until_polled(fds[0], POLLRDHUP);
#else
            until_queued(fds[0], 2);
#endif
            int n = collect(kq, ev, 4);
            struct kevent *read = find_event(ev, n, fds[0], EVFILT_READ);
            EXPECT_EVENT(*read, fds[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 2, 1);
            /* The shutdown may wake the writer (2.15), but never with EV_EOF. */
            if (n == 2)
                EXPECT_EVENT_ANY(*find_event(ev, n, fds[0], EVFILT_WRITE), fds[0], EVFILT_WRITE, EV_ADD | modes[i], 0,
                                 1, 2, DATA_AT_LEAST);
            put(fds[0], 1); /* it can still be written to */
            take(fds[1], 1);
            OK(close(kq));
        }
    }
}

/* 2.11 The own shutdown for writing is the end of WRITE, not of READ. */
TEST(end_of_write_is_not_the_end_of_read, "2.11 3.3 4.2")
{
    static const enum kind kinds[] = {UNIX_STREAM, TCP};
    signal(SIGPIPE, SIG_IGN);
    for (size_t k = 0; k < COUNT(kinds); k++) {
        int kq = queue(), fds[2];
        connected(kinds[k], fds);
        OK(shutdown(fds[0], SHUT_WR));
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
        nothing(kq);
        put(fds[1], 2);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 2, 1);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 2);
        struct kevent ev[4];
        CHECK_EQ(collect(kq, ev, 4), 2);
        EXPECT_EVENT_ANY(*find_event(ev, 2, fds[0], EVFILT_WRITE), fds[0], EVFILT_WRITE,
                         EV_ADD | EV_ONESHOT | EV_EOF, 0, 0, 2, ANY_DATA);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 2, 1);
    }
}

/* 2.11 A READ edge that was reported, with data left, does not come back when WRITE is added, changed or deleted. */
TEST(write_changes_do_not_repeat_read, "2.11 2.15")
{
    static const enum kind kinds[] = {UNIX_STREAM, TCP};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t i = 0; i < COUNT(modes); i++) {
            int kq = queue(), fds[2];
            connected(kinds[k], fds);
            change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
            put(fds[1], 2);
            until_queued(fds[0], 2);
            EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 2, 1);
            change(kq, fds[0], EVFILT_WRITE, EV_ADD | modes[i], 0, 0, 2);
            EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | modes[i], 0, 1, 2, DATA_AT_LEAST);
            change_errno(kq, fds[0], EVFILT_WRITE, EV_DISABLE, 0, 0, 2);
            nothing(kq);
            if (modes[i] != EV_ONESHOT) {
                change(kq, fds[0], EVFILT_WRITE, EV_ENABLE, 0, 0, 2);
                EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | modes[i], 0, 1, 2, DATA_AT_LEAST);
                change(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 2);
            }
            nothing(kq);
            put(fds[1], 1);
            EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3, 1);
            nothing(kq);
        }
    }
}

/* 2.11 The same with the two exchanged. */
TEST(read_changes_do_not_repeat_write, "2.11 2.15")
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        int kq = queue(), fds[2];
        socket_pair(fds);
        put(fds[1], 2);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 1);
        EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 1, DATA_AT_LEAST);
        change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 2);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 2, 2);
        change_errno(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 2);
        nothing(kq);
        if (modes[i] != EV_ONESHOT) {
            change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
            EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 2, 2);
            change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 2);
        }
        nothing(kq);
    }
}

/* 2.15 Incoming data never re-reports a WRITE|EV_CLEAR knote. */
TEST(data_does_not_repeat_write, "2.15")
{
    static const enum kind kinds[] = {UNIX_STREAM, TCP};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (int with_read = 0; with_read < 2; with_read++) {
            int kq = queue(), fds[2];
            connected(kinds[k], fds);
            change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 1);
            EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 1, DATA_AT_LEAST);
            if (with_read)
                change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
            for (int i = 1; i <= 10; i++) {
                put(fds[1], 1);
                until_queued(fds[0], i);
                if (with_read)
                    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, i, 2);
                nothing(kq);
            }
            take(fds[0], 10);
            nothing(kq);
        }
    }
}

/* 2.15 Free space never re-reports a READ|EV_CLEAR knote. */
TEST(room_does_not_repeat_read, "2.15")
{
    for (int with_write = 0; with_write < 2; with_write++) {
        int kq = queue(), fds[2];
        socket_pair(fds);
        put(fds[1], 4);
        change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 4, 1);
        if (with_write) {
            change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 2);
            EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 2, DATA_AT_LEAST);
        }
        for (int i = 0; i < 3; i++) {
            size_t bytes = fill(fds[0]);
            nothing(kq);
            take(fds[1], bytes);
            if (with_write)
                EXPECT_NEXT_ANY(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 2, DATA_AT_LEAST);
            nothing(kq);
        }
    }
}

/* 2.11 READ of one end and WRITE of the other are two knotes of two descriptors; a dup is a third. */
TEST(dup_has_knotes_of_its_own, "2.11 10.1")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    socket_pair(fds);
    int other = OK(dup(fds[0]));
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, other, EVFILT_READ, EV_ADD, 0, 0, 2);
    put(fds[1], 1);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 1);
    EXPECT_EVENT(*find_event(ev, 2, other, EVFILT_READ), other, EVFILT_READ, EV_ADD, 0, 1, 2);
    EXPECT_NEXT(kq, other, EVFILT_READ, EV_ADD, 0, 1, 2);
    change(kq, other, EVFILT_READ, EV_DISABLE, 0, 0, 2);
    nothing(kq);
    put(fds[1], 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 2, 1);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(kq, other, EVFILT_READ, EV_ENABLE, 0, 0, 3);
    EXPECT_NEXT(kq, other, EVFILT_READ, EV_ADD, 0, 2, 3);
}

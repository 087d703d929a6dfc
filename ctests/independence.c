/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * READ and WRITE of one descriptor are independent (2.11, 2.15): every pair of modes goes through one life
 * of a connection, and after each step exactly the events come that each knote alone would give.
 */
#define SUITE "independence"
#include "suite.h"

#include "sockets.h"

enum { LEVEL = 0 };

/* What one knote is: its mode, whether it would still report (once modes), and what it must report next. */
struct knote {
    short filter;
    unsigned short mode;
    int alive; /* registered and enabled */
    int due;   /* reports in this step */
    uintptr_t udata;
};

struct pair {
    int kq;
    int s[2];
    struct knote read, write;
    int queued; /* bytes that READ reports */
};

/* A condition that holds: reported by a level always, by the other modes where it is news. */
static void holds(struct knote *knote, int news)
{
    knote->due = knote->alive && (knote->mode == LEVEL || news);
}

static void reported(struct pair *pair, struct knote *knote, const struct kevent *ev)
{
    if (!knote->alive)
        FAIL("an event of %s, which is not there", knote->filter == EVFILT_READ ? "READ" : "WRITE");
    if (!knote->due && knote->mode != LEVEL)
        FAIL("an event of %s, which has no news", knote->filter == EVFILT_READ ? "READ" : "WRITE");
    if (knote->filter == EVFILT_READ)
        EXPECT_EVENT(*ev, pair->s[0], EVFILT_READ, EV_ADD | knote->mode, 0, pair->queued, knote->udata);
    else
        EXPECT_EVENT_ANY(*ev, pair->s[0], EVFILT_WRITE, EV_ADD | knote->mode, 0, 1, knote->udata,
                         DATA_AT_LEAST);
    knote->due = 0;
    if (knote->mode == EV_ONESHOT || knote->mode == EV_DISPATCH)
        knote->alive = 0;
}

/*
 * Collects until everything that is due has come, then looks once more: nothing but levels may come.
 * `read_news`, `write_news`: what the step just done is to either knote. `writable`: whether there is space.
 */
static void step(struct pair *pair, int read_news, int write_news, int writable)
{
    struct kevent ev[8];
    struct timespec zero = {0, 0};
    holds(&pair->read, read_news);
    holds(&pair->write, write_news);
    if (pair->queued == 0)
        pair->read.due = 0;
    if (!writable)
        pair->write.due = 0;
    for (int last = 0; !last;) {
        last = !pair->read.due && !pair->write.due;
        int count = last ? OK(kevent(pair->kq, NULL, 0, ev, 8, &zero)) : collect(pair->kq, ev, 8);
        CHECK_LE(count, 2);
        for (int i = 0; i < count; i++) {
            if (ev[i].filter == EVFILT_READ)
                CHECK(pair->queued > 0);
            else
                CHECK(writable);
            reported(pair, ev[i].filter == EVFILT_READ ? &pair->read : &pair->write, &ev[i]);
        }
        /* A level that holds is in every answer. */
        if (last && pair->read.alive && pair->read.mode == LEVEL && pair->queued > 0)
            find_event(ev, count, pair->s[0], EVFILT_READ);
        if (last && pair->write.alive && pair->write.mode == LEVEL && writable)
            find_event(ev, count, pair->s[0], EVFILT_WRITE);
    }
}

static void apply(struct pair *pair, struct knote *knote, unsigned short flags)
{
    if (flags & EV_ADD)
        flags |= knote->mode;
    change(pair->kq, pair->s[0], knote->filter, flags, 0, 0, knote->udata);
    knote->alive = (flags & (EV_ADD | EV_ENABLE)) && !(flags & EV_DISABLE);
}

/* Each kind of change to one knote: it is news to this one and nothing to the other (2.14, 2.11). */
static void change_one(struct pair *pair, struct knote *knote)
{
    int read = knote == &pair->read;
    int error = change_errno(pair->kq, pair->s[0], knote->filter, EV_DELETE, 0, 0, 0);
    CHECK_EQ(error, knote->mode == EV_ONESHOT ? ENOENT : 0);
    knote->alive = 0;
    step(pair, 0, 0, 1);
    apply(pair, knote, EV_ADD | EV_DISABLE);
    step(pair, 0, 0, 1);
    apply(pair, knote, EV_ENABLE);
    step(pair, read, !read, 1);
    if (knote->mode != EV_ONESHOT) {
        apply(pair, knote, EV_DISABLE);
        step(pair, 0, 0, 1);
    }
    apply(pair, knote, EV_ADD);
    step(pair, read, !read, 1);
}

static void live(enum kind kind, unsigned short read_mode, unsigned short write_mode)
{
    struct pair pair = {
        .kq = queue(),
        .read = {EVFILT_READ, read_mode, 0, 0, 0xfeed},
        .write = {EVFILT_WRITE, write_mode, 0, 0, 0xbeef},
        .queued = 5,
    };
    connected(kind, pair.s);
    small_buffers(pair.s);

    /* Both hold when they are added. */
    put(pair.s[1], 5);
    until_queued(pair.s[0], 5);
    apply(&pair, &pair.read, EV_ADD);
    apply(&pair, &pair.write, EV_ADD);
    step(&pair, 1, 1, 1);

    /* New data is news to READ alone. */
    put(pair.s[1], 5);
    until_queued(pair.s[0], pair.queued = 10);
    step(&pair, 1, 0, 1);

    /* Data that is read is news to neither. */
    take(pair.s[0], 4);
    pair.queued = 6;
    step(&pair, 0, 0, 1);

    /* Changes to one are nothing to the other. */
    change_one(&pair, &pair.write);
    change_one(&pair, &pair.read);

    /* No space left: READ goes on, with new data as well. */
    size_t n = fill(pair.s[0]);
    step(&pair, 0, 0, 0);
    put(pair.s[1], 5);
    until_queued(pair.s[0], pair.queued = 11);
    n += fill(pair.s[0]); /* the peer's segment may have opened its window a little */
    if (read_mode == EV_ONESHOT || read_mode == EV_DISPATCH)
        apply(&pair, &pair.read, EV_ADD);
    step(&pair, 1, 0, 0);

    /* A knote that waits for space beside one that has data: space is news to WRITE alone. */
    apply(&pair, &pair.write, EV_ADD);
    step(&pair, 0, 0, 0);
    take(pair.s[1], n);
    until_sent(pair.s[0]);
    step(&pair, 0, 1, 1);

    /* A knote that waits for data beside one that has space. */
    take(pair.s[0], 11);
    pair.queued = 0;
    apply(&pair, &pair.read, EV_ADD);
    step(&pair, 0, 0, 1);
    put(pair.s[1], 7);
    until_queued(pair.s[0], pair.queued = 7);
    step(&pair, 1, 0, 1);

    /* One deleted, the other lives. */
    if (write_mode != EV_ONESHOT)
        apply(&pair, &pair.write, EV_DELETE);
    apply(&pair, &pair.read, EV_ADD);
    step(&pair, 1, 0, 1);
    apply(&pair, &pair.write, EV_ADD);
    step(&pair, 0, 1, 1);
    if (read_mode != EV_ONESHOT)
        apply(&pair, &pair.read, EV_DELETE);
    apply(&pair, &pair.write, EV_ADD);
    step(&pair, 0, 1, 1);
}

/*
 * 2.11 READ and WRITE knotes of one descriptor are independent in every respect, one deleted or disabled
 * too. 2.15 Two edges are two: incoming data never re-reports WRITE, nor free space READ.
 */
#define PAIR_OF(read_name, read_mode, write_name, write_mode)                                               \
    TEST(unix_stream_##read_name##_read_##write_name##_write, "2.11 2.14 2.15 3.1 4.1")                     \
    {                                                                                                       \
        live(UNIX_STREAM, read_mode, write_mode);                                                           \
    }                                                                                                       \
    TEST(tcp_##read_name##_read_##write_name##_write, "2.11 2.14 2.15 3.1 4.1")                             \
    {                                                                                                       \
        live(TCP, read_mode, write_mode);                                                                   \
    }

#define PAIRS_OF(read_name, read_mode)                                                                      \
    PAIR_OF(read_name, read_mode, level, LEVEL)                                                             \
    PAIR_OF(read_name, read_mode, clear, EV_CLEAR)                                                          \
    PAIR_OF(read_name, read_mode, oneshot, EV_ONESHOT)                                                      \
    PAIR_OF(read_name, read_mode, dispatch, EV_DISPATCH)

PAIRS_OF(level, LEVEL)
PAIRS_OF(clear, EV_CLEAR)
PAIRS_OF(oneshot, EV_ONESHOT)
PAIRS_OF(dispatch, EV_DISPATCH)

/* 2.11 Two kqueues that watch one descriptor are independent as well, in every pair of modes. */
TEST(two_queues_on_one_descriptor, "2.11 3.1 2.7 2.8 2.9 2.10")
{
    static const unsigned short modes[] = {LEVEL, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (int i = 0; i < 16; i++) {
        unsigned short mode[2] = {modes[i / 4], modes[i % 4]};
        int kq[2] = {queue(), queue()}, s[2];
        connected(UNIX_STREAM, s);
        for (int k = 0; k < 2; k++)
            change(kq[k], s[0], EVFILT_READ, EV_ADD | mode[k], 0, 0, k);
        put(s[1], 5);
        for (int k = 0; k < 2; k++) {
            EXPECT_NEXT(kq[k], s[0], EVFILT_READ, EV_ADD | mode[k], 0, 5, k);
            if (mode[k] != LEVEL)
                nothing(kq[k]);
        }
        put(s[1], 5);
        for (int k = 0; k < 2; k++) {
            if (mode[k] == LEVEL || mode[k] == EV_CLEAR)
                EXPECT_NEXT(kq[k], s[0], EVFILT_READ, EV_ADD | mode[k], 0, 10, k);
            else
                nothing(kq[k]);
        }
        OK(close(kq[0]));
        if (mode[1] == LEVEL)
            EXPECT_NEXT(kq[1], s[0], EVFILT_READ, EV_ADD, 0, 10, 1);
        else
            nothing(kq[1]);
    }
}

/* 2.11 A low-water mark of READ is nothing to WRITE, nor the other way round. */
STREAMS(low_water_marks, "2.11 3.1 4.1")
{
    struct kevent ev[4];
    int kq = queue(), s[2];
    connected(kind, s);
    change(kq, s[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 0xfeed);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    put(s[1], 9);
    until_queued(s[0], 9);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
    put(s[1], 1);
    until_queued(s[0], 10);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, s[0], EVFILT_READ), s[0], EVFILT_READ, EV_ADD, 0, 10, 0xfeed);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, NOTE_LOWAT, INTPTR_MAX, 0xbeef);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 10, 0xfeed);
    change(kq, s[0], EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_LOWAT, 11, 0xfeed);
    nothing(kq);
    put(s[1], 1);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 11, 0xfeed);
}

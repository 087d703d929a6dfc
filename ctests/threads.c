/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several threads on one kqueue: one-shots, dispatches and edges go to exactly one (2.7, 2.8, 2.9), no
 * wake-up is lost (9.4), what was deleted is not reported after it (2.6, 10.1).
 */
#define SUITE "threads"
#include "suite.h"

#include "sockets.h"
#include "together.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

static const struct timespec no_wait = {0, 0};

enum { STOP = 999999 }; /* the user event that ends a waiter; it stays active for all */

/* ---- Exactly one -------------------------------------------------------------------------------- */

enum { WAITERS = 4 };

struct crew {
    int kq;
    int fds[2];
    pthread_mutex_t lock;
    pthread_cond_t delivered;
    int deliveries;
    struct kevent last;
};

static void *wait_and_count(void *argument)
{
    struct crew *crew = argument;
    for (;;) {
        struct kevent ev;
        CHECK_EQ(kevent(crew->kq, NULL, 0, &ev, 1, NULL), 1);
        if (ev.ident == STOP)
            return NULL;
        OK0(pthread_mutex_lock(&crew->lock));
        crew->deliveries++;
        crew->last = ev;
        OK0(pthread_cond_signal(&crew->delivered));
        OK0(pthread_mutex_unlock(&crew->lock));
    }
}

/* Each round makes one event and waits for its delivery. In the end there were as many deliveries as rounds. */
static void exactly_one(enum kind kind, int rounds, void (*begin)(struct crew *),
                        void (*make_event)(struct crew *, int round), struct expect want)
{
    static struct crew crew = {.lock = PTHREAD_MUTEX_INITIALIZER, .delivered = PTHREAD_COND_INITIALIZER};
    struct thread threads[WAITERS];
    crew.kq = queue();
    connected(kind, crew.fds);
    if (begin)
        begin(&crew);
    for (int i = 0; i < WAITERS; i++)
        start(&threads[i], wait_and_count, &crew);
    for (int i = 0; i < WAITERS; i++)
        until_asleep(&threads[i]);
    if (want.ident == 0)
        want.ident = (uintptr_t)crew.fds[0];
    for (int round = 0; round < rounds; round++) {
        make_event(&crew, round);
        OK0(pthread_mutex_lock(&crew.lock));
        while (crew.deliveries <= round)
            OK0(pthread_cond_wait(&crew.delivered, &crew.lock));
        CHECK_EQ(crew.deliveries, round + 1);
        suite_expect(__FILE__, __LINE__, &crew.last, want);
        OK0(pthread_mutex_unlock(&crew.lock));
    }
    /* The waiters sleep: whatever a second one was woken for has been delivered. */
    for (int i = 0; i < WAITERS; i++)
        until_asleep(&threads[i]);
    OK0(pthread_mutex_lock(&crew.lock));
    CHECK_EQ(crew.deliveries, rounds);
    OK0(pthread_mutex_unlock(&crew.lock));
    change(crew.kq, STOP, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    for (int i = 0; i < WAITERS; i++)
        join(&threads[i]);
    CHECK_EQ(crew.deliveries, rounds);
    were_together(50);
}

#define WANT(...) ((struct expect){__VA_ARGS__})

static void make_user_oneshot(struct crew *crew, int round)
{
    (void)round;
    change(crew->kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 5, 6);
}

/* 2.7 With several waiters exactly one gets a one-shot: a user event. */
TEST_LIMIT(one_waiter_gets_a_user_oneshot, "2.7", 30)
{
    exactly_one(UNIX_STREAM, 2000, NULL, make_user_oneshot,
                WANT(.ident = 1, .filter = EVFILT_USER, .flags = EV_ADD | EV_ONESHOT, .data = 5, .udata = UDATA(6)));
}

static void add_user_clear(struct crew *crew)
{
    change(crew->kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
}

static void trigger_user(struct crew *crew, int round)
{
    (void)round;
    change(crew->kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 5, 6);
}

/* 2.9 Exactly one waiter per edge: a user event. */
TEST_LIMIT(one_waiter_gets_a_user_edge, "2.9 9.4", 30)
{
    exactly_one(UNIX_STREAM, 2000, add_user_clear, trigger_user,
                WANT(.ident = 1, .filter = EVFILT_USER, .flags = EV_ADD | EV_CLEAR, .data = 5, .udata = UDATA(6)));
}

static void enable_user_dispatch(struct crew *crew, int round)
{
    if (round == 0)
        change(crew->kq, 1, EVFILT_USER, EV_ADD | EV_DISPATCH, NOTE_TRIGGER, 5, 6);
    else
        change(crew->kq, 1, EVFILT_USER, EV_ENABLE, 0, 5, 6);
}

/* 2.8 Exactly one waiter gets a dispatch: a user event. */
TEST_LIMIT(one_waiter_gets_a_user_dispatch, "2.8", 30)
{
    exactly_one(UNIX_STREAM, 2000, NULL, enable_user_dispatch,
                WANT(.ident = 1, .filter = EVFILT_USER, .flags = EV_ADD | EV_DISPATCH, .data = 5, .udata = UDATA(6)));
}

static void put_data(struct crew *crew)
{
    put(crew->fds[1], 3);
    until_queued(crew->fds[0], 3);
}

static void add_read_oneshot(struct crew *crew, int round)
{
    (void)round;
    change(crew->kq, crew->fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 6);
}

/* 2.7 Exactly one gets a one-shot: a descriptor. */
TEST_LIMIT(one_waiter_gets_a_read_oneshot, "2.7", 30)
{
    exactly_one(UNIX_STREAM, 2000, put_data, add_read_oneshot,
                WANT(.filter = EVFILT_READ, .flags = EV_ADD | EV_ONESHOT, .data = 3, .udata = UDATA(6)));
}

static void add_write_oneshot(struct crew *crew, int round)
{
    (void)round;
    change(crew->kq, crew->fds[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 6);
}

static void report_read_edge(struct crew *crew)
{
    struct kevent ev;
    put_data(crew);
    change(crew->kq, crew->fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    wait_event(crew->kq, &ev);
}

/* 2.7 The same for WRITE, beside a READ edge that was reported. */
TEST_LIMIT(one_waiter_gets_a_write_oneshot, "2.7 2.11", 30)
{
    exactly_one(UNIX_STREAM, 1000, report_read_edge, add_write_oneshot,
                WANT(.filter = EVFILT_WRITE, .flags = EV_ADD | EV_ONESHOT, .data = 1, .udata = UDATA(6),
                     .any = DATA_AT_LEAST));
}

static void enable_read_dispatch(struct crew *crew, int round)
{
    change(crew->kq, crew->fds[0], EVFILT_READ, round == 0 ? EV_ADD | EV_DISPATCH : EV_ENABLE, 0, 0, 6);
}

/* 2.8 Exactly one gets a dispatch: a descriptor. */
TEST_LIMIT(one_waiter_gets_a_read_dispatch, "2.8", 30)
{
    exactly_one(UNIX_STREAM, 2000, put_data, enable_read_dispatch,
                WANT(.filter = EVFILT_READ, .flags = EV_ADD | EV_DISPATCH, .data = 3, .udata = UDATA(6)));
}

static void add_read_clear(struct crew *crew)
{
    change(crew->kq, crew->fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 6);
}

static void put_one(struct crew *crew, int round)
{
    if (round > 0 && round % 64 == 0) /* small buffers do not hold thousands of writes */
        take(crew->fds[0], 64);
    put(crew->fds[1], 1);
}

/* 2.9 Exactly one waiter per edge: a pipe, an AF_UNIX socket, a TCP socket. */
TEST_LIMIT(one_waiter_gets_a_pipe_edge, "2.9", 30)
{
    exactly_one(PIPE, 2000, add_read_clear, put_one,
                WANT(.filter = EVFILT_READ, .flags = EV_ADD | EV_CLEAR, .data = 1, .udata = UDATA(6),
                     .any = DATA_AT_LEAST));
}

TEST_LIMIT(one_waiter_gets_a_unix_edge, "2.9", 30)
{
    exactly_one(UNIX_STREAM, 1000, add_read_clear, put_one,
                WANT(.filter = EVFILT_READ, .flags = EV_ADD | EV_CLEAR, .data = 1, .udata = UDATA(6),
                     .any = DATA_AT_LEAST));
}

TEST_LIMIT(one_waiter_gets_a_tcp_edge, "2.9", 30)
{
    exactly_one(TCP, 1000, add_read_clear, put_one,
                WANT(.filter = EVFILT_READ, .flags = EV_ADD | EV_CLEAR, .data = 1, .udata = UDATA(6),
                     .any = DATA_AT_LEAST));
}

static void add_both_edges(struct crew *crew)
{
    struct kevent ev;
    change(crew->kq, crew->fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 7);
    wait_event(crew->kq, &ev);
    add_read_clear(crew);
}

/* 2.9 2.15 The same beside a WRITE edge of the same descriptor. */
TEST_LIMIT(one_waiter_gets_one_of_two_edges, "2.9 2.15", 30)
{
    exactly_one(UNIX_STREAM, 1000, add_both_edges, put_one,
                WANT(.filter = EVFILT_READ, .flags = EV_ADD | EV_CLEAR, .data = 1, .udata = UDATA(6),
                     .any = DATA_AT_LEAST));
}

static void add_timer(struct crew *crew, int round)
{
    change(crew->kq, 7, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 1 + round % 200, 6);
}

/* 2.7 Exactly one gets a timer, also when each is earlier or later than the one before. */
TEST_LIMIT(one_waiter_gets_a_timer, "2.7 6.5", 30)
{
    exactly_one(UNIX_STREAM, 1000, NULL, add_timer,
                WANT(.ident = 7, .filter = EVFILT_TIMER, .flags = EV_ADD | EV_ONESHOT | EV_CLEAR, .data = 1,
                     .udata = UDATA(6)));
}

/* ---- No wake-up is lost ------------------------------------------------------------------------- */

struct taker {
    int kq;
    struct kevent ev;
};

static void *take_one(void *argument)
{
    struct taker *taker = argument;
    CHECK_EQ(kevent(taker->kq, NULL, 0, &taker->ev, 1, NULL), 1);
    return NULL;
}

/* 9.4 1.12 As many waiters as events, each with room for one: each gets one. */
TEST(every_waiter_gets_one_of_many_events, "9.4 1.12 2.7")
{
    enum { N = 8 };
    for (int what = 0; what < 4; what++) {
        struct thread threads[N];
        static struct taker takers[N];
        struct kevent changes[N];
        int kq = queue(), seen[N] = {0};
        for (int i = 0; i < N; i++) {
            int fds[2];
            pipe_pair(fds);
            takers[i].kq = kq;
            switch (what) {
            case 0:
                changes[i] = EVENT(i, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, i);
                break;
            case 1:
                put(fds[1], 1);
                changes[i] = EVENT(fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, i);
                break;
            case 2:
                changes[i] = EVENT(fds[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, i);
                break;
            case 3:
                changes[i] = EVENT(i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, i);
            }
        }
        for (int i = 0; i < N; i++)
            start(&threads[i], take_one, &takers[i]);
        for (int i = 0; i < N; i++)
            until_asleep(&threads[i]);
        CHECK_EQ(kevent(kq, changes, N, NULL, 0, NULL), 0);
        for (int i = 0; i < N; i++) {
            join(&threads[i]);
            seen[(intptr_t)takers[i].ev.udata]++;
        }
        for (int i = 0; i < N; i++)
            CHECK_EQ(seen[i], 1);
        nothing(kq);
    }
    were_together(50);
}

struct player {
    int mine;
    int other;
    int rounds;
    int first;
    atomic_int done;
};

static void *play(void *argument)
{
    struct player *player = argument;
    for (int i = 0; i < player->rounds; i++) {
        struct kevent ev;
        if (i > 0 || !player->first) {
            CHECK_EQ(kevent(player->mine, NULL, 0, &ev, 1, NULL), 1);
            EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, i - player->first, 5);
        }
        change(player->other, 1, EVFILT_USER, 0, NOTE_TRIGGER, i, 5);
    }
    return NULL;
}

/* 9.4 Two threads that trigger each other never miss one another. */
TEST_LIMIT(ping_pong, "9.4", 60)
{
    struct player one = {queue(), queue(), 20000, 1, 0}, two = {one.other, one.mine, 20000, 0, 0};
    struct thread threads[2];
    change(one.mine, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 5);
    change(two.mine, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 5);
    start(&threads[0], play, &one);
    start(&threads[1], play, &two);
    join(&threads[0]);
    join(&threads[1]);
    were_together(10);
}

static void *play_with_changes(void *argument)
{
    struct player *player = argument;
    struct kevent change = EVENT(1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 0), ev;
    for (int i = 0; i < player->rounds; i++) {
        /* Registers and waits in one call; the other end triggers as soon as the knote is there. */
        CHECK_EQ(kevent(player->mine, &change, 1, &ev, 1, NULL), 1);
        EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, i, 5);
        player->done = i + 1;
    }
    return NULL;
}

/* 9.4 A trigger that comes between the registration and the wait of one call is not lost. */
TEST_LIMIT(trigger_between_registration_and_wait, "9.4 1.2", 60)
{
    struct player player = {queue(), 0, 5000, 0, 0};
    struct thread thread;
    start(&thread, play_with_changes, &player);
    for (int i = 0; i < player.rounds; i++) {
        while (change_errno(player.mine, 1, EVFILT_USER, 0, NOTE_TRIGGER, i, 5) == ENOENT)
            continue;
        while (player.done <= i)
            sched_yield();
    }
    join(&thread);
    were_together(10);
}

enum { PRODUCERS = 3, TRIGGERS = 50000 };

struct producer {
    int kq;
    int ident;
    atomic_int *present;
};

static void *produce(void *argument)
{
    struct producer *producer = argument;
    /* Else the first would be done before the second has begun. */
    atomic_fetch_add(producer->present, 1);
    while (atomic_load(producer->present) < PRODUCERS)
        sched_yield();
    for (int i = 1; i <= TRIGGERS; i++)
        change(producer->kq, producer->ident, EVFILT_USER, 0, NOTE_TRIGGER, i, 0);
    return NULL;
}

/* 9.4 9.3 However many triggers merge, the last one of every producer is heard. */
TEST_LIMIT(last_trigger_is_heard, "9.4 9.3 9.2", 60)
{
    struct producer producers[PRODUCERS];
    struct thread threads[PRODUCERS];
    int kq = queue(), missing = PRODUCERS;
    intptr_t last[PRODUCERS] = {0};
    atomic_int present = 0;
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){kq, i, &present};
        change(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    }
    for (int i = 0; i < PRODUCERS; i++)
        start(&threads[i], produce, &producers[i]);
    while (missing > 0) {
        struct kevent ev[PRODUCERS];
        int n = OK(kevent(kq, NULL, 0, ev, 2, NULL));
        CHECK_GE(n, 1);
        for (int i = 0; i < n; i++) {
            EXPECT_EVENT(ev[i], ev[i].ident, EVFILT_USER, EV_ADD | EV_CLEAR, 0, ev[i].data, 0);
            CHECK_GE(ev[i].data, last[ev[i].ident]);
            last[ev[i].ident] = ev[i].data;
            missing -= ev[i].data == TRIGGERS;
            CHECK_GE(missing, 0);
            if (ev[i].data == TRIGGERS) /* may it be heard once more, it does not count again */
                change(kq, ev[i].ident, EVFILT_USER, EV_DISABLE, 0, TRIGGERS, 0);
        }
    }
    for (int i = 0; i < PRODUCERS; i++)
        join(&threads[i]);
    were_together(10);
    nothing(kq);
}

/* 9.4 A thread that waits hears of what another registers, enables or makes earlier meanwhile. */
TEST_LIMIT(changes_wake_a_waiter, "9.4 2.14 10.5", 30)
{
    for (int what = 0; what < 11; what++) {
        int kq = queue(), fds[2], full[2];
        struct taker taker = {.kq = kq};
        struct thread thread;
        socket_pair(fds);
        socket_pair(full);
        put(fds[1], 4);
        int file = OK(open("file", O_RDWR | O_CREAT | O_TRUNC, 0600));
        size_t bytes = fill(full[0]);
        change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 3600, 1);
        change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR | EV_DISABLE, NOTE_TRIGGER, 0, 1);
        change(kq, full[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 1);
        change(kq, file, EVFILT_READ, EV_ADD, 0, 0, 1);
        if (what == 1)
            change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 1);
        if (what == 2)
            change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 100, 1);
        if (what == 3) {
            struct kevent ev;
            change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
            wait_event(kq, &ev);
        }
        start(&thread, take_one, &taker);
        until_asleep(&thread);
        struct kevent pair[] = {
            EVENT(1, EVFILT_USER, EV_DELETE, 0, 0, 0),
            EVENT(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 42),
        };
        switch (what) {
        case 0:
            change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 42);
            break;
        case 1:
            change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 42);
            break;
        case 2:
            change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 4, 42);
            break;
        case 3:
            change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 42);
            break;
        case 4:
            change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 42);
            break;
        case 5:
            change(kq, 1, EVFILT_USER, EV_ENABLE, 0, 0, 42);
            break;
        case 6:
            CHECK_EQ(kevent(kq, pair, 2, NULL, 0, NULL), 0);
            break;
        case 7:
            change(kq, 2, EVFILT_TIMER, EV_ADD, 0, 1, 42);
            break;
        case 8:
            change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_NSECONDS, 1, 42);
            break;
        case 9:
            change(kq, full[0], EVFILT_WRITE, 0, 0, 0, 42);
            take(full[1], bytes);
            break;
        case 10:
            change(kq, file, EVFILT_READ, 0, 0, 0, 42);
            put(OK(open("file", O_WRONLY)), 2);
        }
        join(&thread);
        CHECK_EQ((intptr_t)taker.ev.udata, 42);
    }
    were_together(5);
}

/* 9.4 A call that blocks on one kqueue delays neither another kqueue nor changes to its own. */
TEST(blocked_call_delays_nobody, "9.4 10.2")
{
    struct taker taker = {.kq = queue()};
    struct thread thread;
    int other = queue();
    start(&thread, take_one, &taker);
    until_asleep(&thread);
    for (int i = 0; i < 1000; i++) {
        struct kevent ev;
        change(other, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, i);
        wait_event(other, &ev);
        EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, i);
        change(taker.kq, 1, EVFILT_USER, EV_ADD | EV_DISABLE, NOTE_TRIGGER, 0, i);
        change(taker.kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    }
    change(taker.kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 7);
    join(&thread);
    EXPECT_EVENT(taker.ev, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 7);
    were_together(50);
}

/* ---- Register while others collect -------------------------------------------------------------- */

enum { MAKERS = 2, COLLECTORS = 2, EACH = 4000 };

struct yard {
    int kq;
    atomic_int made;
    atomic_int got;
    atomic_char seen[MAKERS * EACH];
};

static struct yard yard;

static void *make_many(void *argument)
{
    int first = (int)(intptr_t)argument * EACH;
    for (int i = first; i < first + EACH; i++) {
        struct kevent changes[] = {
            EVENT(i, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, i),
            EVENT(i, EVFILT_USER, 0, NOTE_TRIGGER, i, i),
            EVENT(i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 3600, i),
            EVENT(i, EVFILT_TIMER, EV_DELETE, 0, 0, 0),
        };
        CHECK_EQ(kevent(yard.kq, changes, 4, NULL, 0, NULL), 0);
        yard.made++;
    }
    return NULL;
}

static void *collect_many(void *argument)
{
    (void)argument;
    for (;;) {
        struct kevent ev[3];
        int n = OK(kevent(yard.kq, NULL, 0, ev, 3, NULL));
        CHECK_GE(n, 1);
        for (int i = 0; i < n; i++) {
            if (ev[i].ident == STOP)
                return NULL;
            EXPECT_EVENT(ev[i], ev[i].ident, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, ev[i].ident, ev[i].ident);
            CHECK(ev[i].ident < MAKERS * EACH);
            CHECK_EQ(yard.seen[ev[i].ident]++, 0);
            yard.got++;
        }
    }
}

/* 2.7 9.4 Threads that register while others collect: every event once, none lost. */
TEST_LIMIT(register_while_others_collect, "2.7 9.4 1.2", 60)
{
    struct thread makers[MAKERS], collectors[COLLECTORS];
    yard.kq = queue();
    for (int i = 0; i < COLLECTORS; i++)
        start(&collectors[i], collect_many, NULL);
    for (int i = 0; i < MAKERS; i++)
        start(&makers[i], make_many, UDATA(i));
    for (int i = 0; i < MAKERS; i++)
        join(&makers[i]);
    while (yard.got < MAKERS * EACH)
        pause_briefly();
    change(yard.kq, STOP, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    for (int i = 0; i < COLLECTORS; i++)
        join(&collectors[i]);
    CHECK_EQ(yard.got, MAKERS * EACH);
    were_together(10);
    change(yard.kq, STOP, EVFILT_USER, EV_DELETE, 0, 0, 0);
    nothing(yard.kq);
}

/* ---- Not after it was taken away ---------------------------------------------------------------- */

struct removal {
    int kq;
    atomic_long removed; /* rounds whose knote has been taken away */
    atomic_long seen;
    atomic_int stop;
};

/* An event of a round that was over before the call began is one too many. */
static void *look_for_the_dead(void *argument)
{
    struct removal *removal = argument;
    while (!removal->stop) {
        struct kevent ev[4];
        long removed = removal->removed;
        int n = OK(kevent(removal->kq, NULL, 0, ev, 4, &no_wait));
        for (int i = 0; i < n; i++) {
            if ((intptr_t)ev[i].udata <= removed)
                FAIL("an event of round %jd after round %ld was taken away", (intmax_t)(intptr_t)ev[i].udata, removed);
            removal->seen++;
        }
    }
    return NULL;
}

static void not_after(void (*round)(int kq, long number))
{
    enum { LOOKERS = 2 };
    struct removal removal = {.kq = queue()};
    struct thread threads[LOOKERS];
    for (int i = 0; i < LOOKERS; i++)
        start(&threads[i], look_for_the_dead, &removal);
    for (long i = 1; i <= 3000 || (removal.seen < 100 && i < 300000); i++) {
        round(removal.kq, i);
        removal.removed = i;
    }
    removal.stop = 1;
    for (int i = 0; i < LOOKERS; i++)
        join(&threads[i]);
    printf("%ld events were seen in time\n", (long)removal.seen);
    were_together(10);
    nothing(removal.kq);
}

static int shared_fds[2];

static void give_way(long number)
{
    struct timespec little = {0, 1};
    if (number % 4 == 0)
        nanosleep(&little, NULL);
}

static void add_and_delete(int kq, long number)
{
    change(kq, shared_fds[0], EVFILT_READ, EV_ADD, 0, 0, number);
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, number);
    give_way(number);
    change(kq, shared_fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
}

/* 2.6 EV_DELETE removes at once: no call that begins after it reports the knote. */
TEST_LIMIT(no_event_after_delete, "2.6", 60)
{
    pipe_pair(shared_fds);
    put(shared_fds[1], 1);
    not_after(add_and_delete);
}

static void add_and_disable(int kq, long number)
{
    change(kq, shared_fds[0], EVFILT_READ, EV_ADD, 0, 0, number);
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, number);
    give_way(number);
    change(kq, shared_fds[0], EVFILT_READ, EV_DISABLE | EV_KEEPUDATA, 0, 0, 0);
    change(kq, 1, EVFILT_USER, EV_DISABLE | EV_KEEPUDATA, 0, 0, 0);
}

/* 2.5 The same of EV_DISABLE. */
TEST_LIMIT(no_event_after_disable, "2.5", 60)
{
    pipe_pair(shared_fds);
    put(shared_fds[1], 1);
    not_after(add_and_disable);
}

static void add_and_close(int kq, long number)
{
    int fd = OK(dup(shared_fds[0]));
    change(kq, fd, EVFILT_READ, EV_ADD | (number % 2 ? EV_CLEAR : 0), 0, 0, number);
    give_way(number);
    OK(close(fd));
}

/* 10.1 The same of close, though the file lives on in another descriptor. */
TEST_LIMIT(no_event_after_close, "10.1", 60)
{
    pipe_pair(shared_fds);
    put(shared_fds[1], 1);
    not_after(add_and_close);
}

/* ---- Two queues, one descriptor ----------------------------------------------------------------- */

struct listener_count {
    int kq;
    atomic_int count;
};

static void *count_edges(void *argument)
{
    struct listener_count *self = argument;
    for (;;) {
        struct kevent ev;
        CHECK_EQ(kevent(self->kq, NULL, 0, &ev, 1, NULL), 1);
        if (ev.ident == STOP)
            return NULL;
        self->count++;
    }
}

/* 2.9 1.1 Two kqueues that share a descriptor: each edge is reported to both, once. */
TEST_LIMIT(two_queues_share_a_descriptor, "2.9 1.1", 30)
{
    enum { ROUNDS = 1000 };
    struct listener_count listeners[2];
    struct thread threads[2];
    int fds[2];
    pipe_pair(fds);
    for (int i = 0; i < 2; i++) {
        listeners[i].kq = queue();
        listeners[i].count = 0;
        change(listeners[i].kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, i);
        start(&threads[i], count_edges, &listeners[i]);
    }
    for (int round = 1; round <= ROUNDS; round++) {
        put(fds[1], 1);
        while (listeners[0].count < round || listeners[1].count < round)
            sched_yield();
    }
    for (int i = 0; i < 2; i++)
        until_asleep(&threads[i]);
    for (int i = 0; i < 2; i++) {
        change(listeners[i].kq, STOP, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
        join(&threads[i]);
        CHECK_EQ(listeners[i].count, ROUNDS);
    }
    were_together(50);
}

/* ---- Readers that race -------------------------------------------------------------------------- */

struct race {
    int kq;
    int fd;
    atomic_int stop;
    atomic_long events;
};

/* Collects and reads away, as every thread of a pool does. */
static void *read_away(void *argument)
{
    struct race *race = argument;
    while (!race->stop) {
        char bytes[64];
        struct kevent ev[2];
        struct timespec little = duration(MILLISECOND);
        int n = OK(kevent(race->kq, NULL, 0, ev, 2, &little));
        for (int i = 0; i < n; i++) {
            EXPECT_EVENT_ANY(ev[i], race->fd, EVFILT_READ, EV_ADD, 0, 1, 3, DATA_AT_LEAST);
            race->events++;
        }
        while (read(race->fd, bytes, sizeof bytes) > 0)
            continue;
    }
    return NULL;
}

/* 3.3 1.14 Never EV_EOF on an open stream, and never an event without data, whoever races. */
static void readers_race(enum kind kind)
{
    int fds[2];
    struct race race = {.kq = queue()};
    struct thread threads[3];
    connected(kind, fds);
    nonblocking(fds[0]);
    race.fd = fds[0];
    change(race.kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 3);
    for (int i = 0; i < 3; i++)
        start(&threads[i], read_away, &race);
    for (int i = 0; i < 5000 || (race.events < 200 && i < 500000); i++) {
        put(fds[1], 1);
        if (i % 8 == 0)
            sched_yield();
    }
    race.stop = 1;
    for (int i = 0; i < 3; i++)
        join(&threads[i]);
    printf("%ld events\n", (long)race.events);
    were_together(10);
}

TEST_LIMIT(readers_race_on_a_pipe, "3.3 3.5 1.14", 30)
{
    readers_race(PIPE);
}

TEST_LIMIT(readers_race_on_a_unix_socket, "3.3 1.14", 30)
{
    readers_race(UNIX_STREAM);
}

TEST_LIMIT(readers_race_on_a_tcp_socket, "3.3 1.14", 30)
{
    readers_race(TCP);
}

/* ---- The end of a queue that is in use ---------------------------------------------------------- */

struct user {
    int kq;
    int ident;
    atomic_long done;
};

/* Uses the queue until it is closed: every call succeeds or is EBADF. */
static void *use_until_closed(void *argument)
{
    struct user *user = argument;
    for (;;) {
        struct kevent ev[2], changes[] = {
            EVENT(user->ident, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0),
            EVENT(user->ident, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 50, 0),
        };
        int n = kevent(user->kq, changes, 2, ev, 2, user->ident % 2 ? NULL : &no_wait);
        if (n == -1) {
            CHECK_EQ(errno, EBADF);
            return NULL;
        }
        for (int i = 0; i < n; i++)
            CHECK(!(ev[i].flags & EV_ERROR) || ev[i].data == EBADF);
        user->done++;
    }
}

/* 10.2 1.3 A kqueue that is closed while threads change and collect: all of them end with EBADF. */
TEST_LIMIT(close_while_in_use, "10.2 1.3", 60)
{
    enum { USERS = 4 };
    for (int round = 0; round < 100; round++) {
        static struct user users[USERS];
        struct thread threads[USERS];
        int kq = queue();
        for (int i = 0; i < USERS; i++) {
            users[i].kq = kq;
            users[i].ident = i;
            users[i].done = 0;
            start(&threads[i], use_until_closed, &users[i]);
        }
        while (users[0].done + users[1].done < round % 10)
            sched_yield();
        OK(close(kq));
        for (int i = 0; i < USERS; i++)
            join(&threads[i]);
    }
    were_together(20);
}

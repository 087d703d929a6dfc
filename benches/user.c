/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_USER: events that the program fires. By hand it is an eventfd: written, waited for, read. Or waited for
 * as an edge and never read, which saves a call (the rows "-edge").
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>

enum { IDENT = 7 };

/* ---- In one thread ------------------------------------------------------------------------------ */

struct bell {
    int queue, event, edge;
};

static void open_bell(struct bell *bell, int edge)
{
    bell->queue = OK(epoll_create1(EPOLL_CLOEXEC));
    bell->event = OK(eventfd(0, EFD_CLOEXEC));
    bell->edge = edge;
    control(bell->queue, EPOLL_CTL_ADD, bell->event, edge ? EPOLLIN | EPOLLET : EPOLLIN);
}

static void raw_wait(struct bell *bell)
{
    struct epoll_event event;
    CHECK(epoll_wait(bell->queue, &event, 1, -1) == 1);
    CHECK(event.data.u64 == (uint64_t)bell->event);
    if (!bell->edge)
        CHECK(take_from(bell->event) == 1);
}

static void kq_wait(int kq)
{
    struct kevent event;
    CHECK(kevent(kq, NULL, 0, &event, 1, NULL) == 1);
    CHECK(event.ident == IDENT && event.filter == EVFILT_USER);
}

static void raw_rings(void *state, long n)
{
    struct bell *bell = state;
    while (n-- > 0) {
        add_to(bell->event);
        raw_wait(bell);
    }
}

static void kq_rings_in_one(void *state, long n)
{
    int *kq = state;
    while (n-- > 0) {
        struct kevent event = change_of(IDENT, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
        CHECK(kevent(*kq, &event, 1, &event, 1, NULL) == 1);
        CHECK(event.ident == IDENT && event.filter == EVFILT_USER);
    }
}

static void kq_rings_in_two(void *state, long n)
{
    int *kq = state;
    while (n-- > 0) {
        change(*kq, IDENT, EVFILT_USER, 0, NOTE_TRIGGER, 0);
        kq_wait(*kq);
    }
}

static void raw_user(const struct row *row)
{
    struct bell bell;
    open_bell(&bell, row->style != NULL);
    measure(raw_rings, &bell);
}

static int user_queue(void)
{
    int kq = OK(kqueue());
    change(kq, IDENT, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    return kq;
}

static void kq_user(const struct row *row)
{
    int kq = user_queue();
    measure(row->a == 1 ? kq_rings_in_one : kq_rings_in_two, &kq);
    struct kevent event;
    CHECK(kevent(kq, NULL, 0, &event, 1, &no_time) == 0);
}

/* ---- Between threads ---------------------------------------------------------------------------- */

enum { PRODUCERS = 4 };

/*
 * One thread answers; `producers` threads ring and wait for the answer, each on a queue of its own. A turn is one
 * such round of each.
 */
struct party {
    long producers, apart; /* on CPUs of their own */
    int edge;
    struct bell asked, answered[PRODUCERS]; /* raw: the events of all are in `asked.queue` */
    int ask_event[PRODUCERS];
    int asked_kq, answered_kq[PRODUCERS];
    long turns;
};

struct member {
    struct party *party;
    long number;
    pthread_t thread;
};

static void *raw_producer(void *argument)
{
    struct member *member = argument;
    struct party *party = member->party;
    pin(party->apart ? 1 : 0);
    for (long i = 0; i < party->turns; i++) {
        add_to(party->ask_event[member->number]);
        raw_wait(&party->answered[member->number]);
    }
    return NULL;
}

static void raw_answer(struct party *party)
{
    for (long left = party->turns * party->producers; left > 0;) {
        struct epoll_event events[PRODUCERS];
        int count = OK(epoll_wait(party->asked.queue, events, PRODUCERS, -1));
        for (int i = 0; i < count; i++) {
            if (!party->edge)
                CHECK(take_from(party->ask_event[events[i].data.u64]) == 1);
            add_to(party->answered[events[i].data.u64].event);
        }
        left -= count;
    }
}

static void *kq_producer(void *argument)
{
    struct member *member = argument;
    struct party *party = member->party;
    pin(party->apart ? 1 : 0);
    for (long i = 0; i < party->turns; i++) {
        change(party->asked_kq, (uintptr_t)member->number, EVFILT_USER, 0, NOTE_TRIGGER, 0);
        kq_wait(party->answered_kq[member->number]);
    }
    return NULL;
}

static void kq_answer(struct party *party)
{
    for (long left = party->turns * party->producers; left > 0;) {
        struct kevent events[PRODUCERS];
        int count = OK(kevent(party->asked_kq, NULL, 0, events, PRODUCERS, NULL));
        for (int i = 0; i < count; i++) {
            CHECK(events[i].filter == EVFILT_USER && events[i].ident < (uintptr_t)party->producers);
            change(party->answered_kq[events[i].ident], IDENT, EVFILT_USER, 0, NOTE_TRIGGER, 0);
        }
        left -= count;
    }
}

static void gather(struct party *party, long n, void *(*producer)(void *), void (*answer)(struct party *))
{
    struct member members[PRODUCERS];
    party->turns = n;
    for (long i = 0; i < party->producers; i++) {
        members[i] = (struct member){.party = party, .number = i};
        CHECK(pthread_create(&members[i].thread, NULL, producer, &members[i]) == 0);
    }
    answer(party);
    for (long i = 0; i < party->producers; i++)
        CHECK(pthread_join(members[i].thread, NULL) == 0);
}

static void raw_rounds(void *state, long n)
{
    gather(state, n, raw_producer, raw_answer);
}

static void kq_rounds(void *state, long n)
{
    gather(state, n, kq_producer, kq_answer);
}

static void raw_threads(const struct row *row)
{
    struct party party = {.producers = row->a, .apart = row->b, .edge = row->style != NULL};
    party.asked.queue = OK(epoll_create1(EPOLL_CLOEXEC));
    for (long i = 0; i < party.producers; i++) {
        open_bell(&party.answered[i], party.edge);
        party.ask_event[i] = OK(eventfd(0, EFD_CLOEXEC));
        struct epoll_event event = {.events = party.edge ? EPOLLIN | EPOLLET : EPOLLIN, .data.u64 = (uint64_t)i};
        OK(epoll_ctl(party.asked.queue, EPOLL_CTL_ADD, party.ask_event[i], &event));
    }
    each_is(party.producers);
    measure_long(raw_rounds, &party);
}

static void kq_threads(const struct row *row)
{
    struct party party = {.producers = row->a, .apart = row->b};
    party.asked_kq = OK(kqueue());
    for (long i = 0; i < party.producers; i++) {
        change(party.asked_kq, (uintptr_t)i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
        party.answered_kq[i] = user_queue();
    }
    each_is(party.producers);
    measure_long(kq_rounds, &party);
}

/* ---- Many at once ------------------------------------------------------------------------------- */

enum { EVENTS = 10000, BATCH = 1000 };

static void kq_batches(void *state, long n)
{
    static struct kevent list[BATCH];
    int *kq = state;
    while (n-- > 0) {
        uintptr_t sum = 0;
        for (uintptr_t ident = 0; ident < EVENTS;) {
            for (int i = 0; i < BATCH; i++, ident++)
                EV_SET(&list[i], ident, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
            OK(kevent(*kq, list, BATCH, NULL, 0, NULL));
        }
        for (int got = 0; got < EVENTS; got += BATCH) {
            CHECK(kevent(*kq, NULL, 0, list, BATCH, NULL) == BATCH);
            for (int i = 0; i < BATCH; i++)
                sum += list[i].ident;
        }
        CHECK(sum == (uintptr_t)EVENTS * (EVENTS - 1) / 2);
    }
}

static void kq_batch(const struct row *row)
{
    (void)row;
    int kq = OK(kqueue());
    for (uintptr_t ident = 0; ident < EVENTS; ident++)
        change(kq, ident, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    each_is(EVENTS);
    measure(kq_batches, &kq);
}

static struct row rows[] = {
    {.name = "user-one-call", .raw = raw_user, .kq = kq_user, .a = 1},
    {.name = "user-one-call-edge", .raw = raw_user, .kq = kq_user, .a = 1, .style = "edge"},
    {.name = "user-two-calls", .raw = raw_user, .kq = kq_user, .a = 2},
    {.name = "user-two-calls-edge", .raw = raw_user, .kq = kq_user, .a = 2, .style = "edge"},
    {.name = "user-threads-one-cpu", .raw = raw_threads, .kq = kq_threads, .a = 1},
    {.name = "user-threads-one-cpu-edge", .raw = raw_threads, .kq = kq_threads, .a = 1, .style = "edge"},
    {.name = "user-threads-two-cpus", .raw = raw_threads, .kq = kq_threads, .a = 1, .b = 1},
    {.name = "user-threads-two-cpus-edge", .raw = raw_threads, .kq = kq_threads, .a = 1, .b = 1, .style = "edge"},
    {.name = "user-4-producers", .raw = raw_threads, .kq = kq_threads, .a = PRODUCERS, .b = 1},
    {.name = "user-4-producers-edge", .raw = raw_threads, .kq = kq_threads, .a = PRODUCERS, .b = 1, .style = "edge"},
    {.name = "user-batches", .kq = kq_batch},
};
ROWS(rows)

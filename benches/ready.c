/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Collecting: what is ready is reported, beside many that are not.
 *
 * The raw side of READ asks FIONREAD, that of WRITE asks SO_MEMINFO: `data` has the answer.
 */
#include "bench.h"

#include <linux/sock_diag.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

/* ---- One-byte ping-pong ------------------------------------------------------------------------- */

struct pong {
    int queue, fds[2];
    int with_end; /* the raw side asks for the end of writing, too */
};

static void raw_pong(void *state, long n)
{
    struct pong *pong = state;
    while (n-- > 0) {
        struct epoll_event event;
        put_byte(pong->fds[0]);
        CHECK(epoll_wait(pong->queue, &event, 1, -1) == 1);
        CHECK(event.events == EPOLLIN && event.data.u64 == (uint64_t)pong->fds[1]);
        CHECK(readable_bytes(pong->fds[1]) == 1);
        take_byte(pong->fds[1]);
    }
}

static void kq_pong(void *state, long n)
{
    struct pong *pong = state;
    while (n-- > 0) {
        struct kevent event;
        put_byte(pong->fds[0]);
        CHECK(kevent(pong->queue, NULL, 0, &event, 1, NULL) == 1);
        CHECK(event.ident == (uintptr_t)pong->fds[1] && event.filter == EVFILT_READ && event.data == 1);
        take_byte(pong->fds[1]);
    }
}

static void raw_idle_knotes(const struct row *row)
{
    int idle = row->a ? silent_descriptors(row->a) : 0;
    struct pong pong = {.queue = OK(epoll_create1(EPOLL_CLOEXEC))};
    socket_pair(pong.fds);
    for (long i = 0; i < row->a; i++)
        control(pong.queue, EPOLL_CTL_ADD, idle + (int)i, EPOLLIN);
    control(pong.queue, EPOLL_CTL_ADD, pong.fds[1], EPOLLIN);
    measure(raw_pong, &pong);
}

static void kq_idle_knotes(const struct row *row)
{
    int idle = row->a ? silent_descriptors(row->a) : 0;
    struct pong pong = {.queue = OK(kqueue())};
    socket_pair(pong.fds);
    for (long i = 0; i < row->a; i++)
        change(pong.queue, (uintptr_t)(idle + i), EVFILT_READ, EV_ADD, 0, 0);
    change(pong.queue, (uintptr_t)pong.fds[1], EVFILT_READ, EV_ADD, 0, 0);
    measure(kq_pong, &pong);
}

/* The same beside many queues. */
static void raw_idle_queues(const struct row *row)
{
    need_descriptors(row->a);
    for (long i = 0; i < row->a; i++)
        OK(epoll_create1(EPOLL_CLOEXEC));
    raw_idle_knotes(&(struct row){0});
}

static void kq_idle_queues(const struct row *row)
{
    need_descriptors(row->a);
    for (long i = 0; i < row->a; i++)
        OK(kqueue());
    kq_idle_knotes(&(struct row){0});
}

/* ---- Some of 2,000 ------------------------------------------------------------------------------ */

enum { WATCHED = 2000, LONGEST = 1024 };

struct crowd {
    int queue, edge;
    long ready, room;
    int (*fds)[2];
    char *seen; /* by descriptor */
};

/* Those that have something to read are spread over all. */
static int *chosen(struct crowd *crowd, long i)
{
    return crowd->fds[i * (WATCHED / crowd->ready)];
}

static void gather(struct crowd *crowd, const struct row *row)
{
    need_descriptors(2 * WATCHED);
    crowd->ready = row->a;
    crowd->room = row->b;
    crowd->edge = row->style != NULL;
    crowd->fds = memory(WATCHED * sizeof crowd->fds[0]);
    crowd->seen = memory(2 * WATCHED + 64);
    for (int i = 0; i < WATCHED; i++)
        socket_pair(crowd->fds[i]);
    if (!crowd->edge)
        for (long i = 0; i < crowd->ready; i++)
            put_byte(chosen(crowd, i)[0]);
}

/* Each descriptor once. */
static void see(struct crowd *crowd, uint64_t fd)
{
    CHECK(fd < 2 * WATCHED + 64 && !crowd->seen[fd]);
    crowd->seen[fd] = 1;
}

static long raw_collect(struct crowd *crowd, struct epoll_event *events)
{
    int count = OK(epoll_wait(crowd->queue, events, (int)crowd->room, -1));
    for (int i = 0; i < count; i++)
        CHECK(events[i].events == EPOLLIN && readable_bytes((int)events[i].data.u64) == 1);
    return count;
}

static long kq_collect(struct crowd *crowd, struct kevent *events)
{
    int count = OK(kevent(crowd->queue, NULL, 0, events, (int)crowd->room, NULL));
    for (int i = 0; i < count; i++)
        CHECK(events[i].filter == EVFILT_READ && events[i].data == 1);
    return count;
}

/* How many events a call brings: it is as full as can be. */
static long full(const struct crowd *crowd)
{
    return crowd->room < crowd->ready ? crowd->room : crowd->ready;
}

/* Level: the byte stays where it is. */
static void raw_crowd_level(void *state, long n)
{
    struct crowd *crowd = state;
    struct epoll_event events[LONGEST];
    while (n-- > 0)
        CHECK(raw_collect(crowd, events) == full(crowd));
}

static void kq_crowd_level(void *state, long n)
{
    struct crowd *crowd = state;
    struct kevent events[LONGEST];
    while (n-- > 0)
        CHECK(kq_collect(crowd, events) == full(crowd));
}

/* Edge: written, collected, read. */
static void raw_crowd_edge(void *state, long n)
{
    struct crowd *crowd = state;
    struct epoll_event events[LONGEST];
    while (n-- > 0) {
        for (long i = 0; i < crowd->ready; i++)
            put_byte(chosen(crowd, i)[0]);
        for (long got = 0; got < crowd->ready;) {
            long count = raw_collect(crowd, events);
            for (long i = 0; i < count; i++)
                take_byte((int)events[i].data.u64);
            got += count;
            CHECK(got <= crowd->ready);
        }
    }
}

static void kq_crowd_edge(void *state, long n)
{
    struct crowd *crowd = state;
    struct kevent events[LONGEST];
    while (n-- > 0) {
        for (long i = 0; i < crowd->ready; i++)
            put_byte(chosen(crowd, i)[0]);
        for (long got = 0; got < crowd->ready;) {
            long count = kq_collect(crowd, events);
            for (long i = 0; i < count; i++)
                take_byte((int)events[i].ident);
            got += count;
            CHECK(got <= crowd->ready);
        }
    }
}

static void raw_crowd(const struct row *row)
{
    struct crowd crowd = {.queue = OK(epoll_create1(EPOLL_CLOEXEC))};
    gather(&crowd, row);
    for (int i = 0; i < WATCHED; i++)
        control(crowd.queue, EPOLL_CTL_ADD, crowd.fds[i][1], crowd.edge ? EPOLLIN | EPOLLET : EPOLLIN);
    each_is(crowd.edge ? crowd.ready : full(&crowd));
    measure(crowd.edge ? raw_crowd_edge : raw_crowd_level, &crowd);
}

static void kq_crowd(const struct row *row)
{
    struct crowd crowd = {.queue = OK(kqueue())};
    gather(&crowd, row);
    for (int i = 0; i < WATCHED; i++)
        change(crowd.queue, (uintptr_t)crowd.fds[i][1], EVFILT_READ, crowd.edge ? EV_ADD | EV_CLEAR : EV_ADD, 0, 0);
    if (!crowd.edge) {
        /* As many calls as it takes report each of them, and only them. */
        struct kevent events[LONGEST];
        long calls = (crowd.ready + crowd.room - 1) / crowd.room;
        long distinct = 0;
        for (long call = 0; call < calls; call++) {
            long count = kq_collect(&crowd, events);
            for (long i = 0; i < count && distinct < crowd.ready; i++, distinct++)
                see(&crowd, events[i].ident);
        }
        for (long i = 0; i < crowd.ready; i++)
            CHECK(crowd.seen[chosen(&crowd, i)[1]]);
    }
    each_is(crowd.edge ? crowd.ready : full(&crowd));
    measure(crowd.edge ? kq_crowd_edge : kq_crowd_level, &crowd);
}

/* ---- Room to write, and nothing at all ---------------------------------------------------------- */

static void raw_writable(void *state, long n)
{
    struct pong *pong = state;
    while (n-- > 0) {
        struct epoll_event event;
        uint32_t info[SK_MEMINFO_VARS];
        socklen_t size = sizeof info;
        CHECK(epoll_wait(pong->queue, &event, 1, -1) == 1);
        CHECK(event.events == EPOLLOUT && event.data.u64 == (uint64_t)pong->fds[0]);
        OK(getsockopt(pong->fds[0], SOL_SOCKET, SO_MEMINFO, info, &size));
        CHECK(info[SK_MEMINFO_SNDBUF] > info[SK_MEMINFO_WMEM_ALLOC]);
        if (pong->with_end)
            OK(send(pong->fds[0], "", 0, MSG_DONTWAIT | MSG_NOSIGNAL));
    }
}

static void kq_writable(void *state, long n)
{
    struct pong *pong = state;
    while (n-- > 0) {
        struct kevent event;
        CHECK(kevent(pong->queue, NULL, 0, &event, 1, NULL) == 1);
        CHECK(event.ident == (uintptr_t)pong->fds[0] && event.filter == EVFILT_WRITE && event.data > 0);
    }
}

static void raw_write(const struct row *row)
{
    struct pong pong = {.queue = OK(epoll_create1(EPOLL_CLOEXEC)), .with_end = row->style != NULL};
    socket_pair(pong.fds);
    control(pong.queue, EPOLL_CTL_ADD, pong.fds[0], EPOLLOUT);
    measure(raw_writable, &pong);
}

static void kq_write(const struct row *row)
{
    (void)row;
    struct pong pong = {.queue = OK(kqueue())};
    socket_pair(pong.fds);
    change(pong.queue, (uintptr_t)pong.fds[0], EVFILT_WRITE, EV_ADD, 0, 0);
    measure(kq_writable, &pong);
}

static void raw_looks(void *state, long n)
{
    struct pong *pong = state;
    struct epoll_event event;
    while (n-- > 0)
        CHECK(epoll_wait(pong->queue, &event, 1, 0) == 0);
}

static void kq_looks(void *state, long n)
{
    struct pong *pong = state;
    struct kevent event;
    while (n-- > 0)
        CHECK(kevent(pong->queue, NULL, 0, &event, 1, &no_time) == 0);
}

static void raw_nothing(const struct row *row)
{
    (void)row;
    struct pong pong = {.queue = OK(epoll_create1(EPOLL_CLOEXEC))};
    socket_pair(pong.fds);
    control(pong.queue, EPOLL_CTL_ADD, pong.fds[1], EPOLLIN);
    measure(raw_looks, &pong);
}

static void kq_nothing(const struct row *row)
{
    (void)row;
    struct pong pong = {.queue = OK(kqueue())};
    socket_pair(pong.fds);
    change(pong.queue, (uintptr_t)pong.fds[1], EVFILT_READ, EV_ADD, 0, 0);
    measure(kq_looks, &pong);
}

#define CROWD(ready, room)                                                                                  \
    {.name = "ready-" #ready "-of-2000-list-" #room, .raw = raw_crowd, .kq = kq_crowd, .a = ready, .b = room}, \
    {.name = "ready-" #ready "-of-2000-list-" #room "-clear", .raw = raw_crowd, .kq = kq_crowd, .a = ready,  \
     .b = room, .style = "clear"}

static struct row rows[] = {
    {.name = "pingpong-0-idle", .raw = raw_idle_knotes, .kq = kq_idle_knotes, .a = 0},
    {.name = "pingpong-10-idle", .raw = raw_idle_knotes, .kq = kq_idle_knotes, .a = 10},
    {.name = "pingpong-100-idle", .raw = raw_idle_knotes, .kq = kq_idle_knotes, .a = 100},
    {.name = "pingpong-1000-idle", .raw = raw_idle_knotes, .kq = kq_idle_knotes, .a = 1000},
    {.name = "pingpong-10000-idle", .raw = raw_idle_knotes, .kq = kq_idle_knotes, .a = 10000},
    {.name = "pingpong-100000-idle", .raw = raw_idle_knotes, .kq = kq_idle_knotes, .a = 100000},
    {.name = "pingpong-10-queues", .raw = raw_idle_queues, .kq = kq_idle_queues, .a = 10},
    {.name = "pingpong-100-queues", .raw = raw_idle_queues, .kq = kq_idle_queues, .a = 100},
    {.name = "pingpong-1000-queues", .raw = raw_idle_queues, .kq = kq_idle_queues, .a = 1000},
    {.name = "pingpong-10000-queues", .raw = raw_idle_queues, .kq = kq_idle_queues, .a = 10000},
    {.name = "pingpong-100000-queues", .raw = raw_idle_queues, .kq = kq_idle_queues, .a = 100000},
    CROWD(10, 64), CROWD(10, 1024), CROWD(100, 64), CROWD(100, 1024), CROWD(1000, 64), CROWD(1000, 1024),
    {.name = "write-ready", .raw = raw_write, .kq = kq_write},
    {.name = "write-ready-with-end", .raw = raw_write, .kq = kq_write, .style = "with end"},
    {.name = "nothing-ready", .raw = raw_nothing, .kq = kq_nothing},
};
ROWS(rows)

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changing: knotes come, go, are switched, and travel in front of a wait.
 */
#include "bench.h"

#include <linux/sock_diag.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

struct place {
    int queue, fds[2], first;
    long count; /* descriptors from `first` on, that are changed together */
    unsigned short mode;
    unsigned events; /* what epoll calls it */
};

static void open_queue(struct place *place, int queue)
{
    place->queue = OK(queue);
    socket_pair(place->fds);
}

/* A knote that must still work after all that was done to it. */
static void expect_event(struct place *place, void *udata)
{
    struct kevent event;
    put_byte(place->fds[0]);
    CHECK(kevent(place->queue, NULL, 0, &event, 1, NULL) == 1);
    CHECK(event.ident == (uintptr_t)place->fds[1] && event.data == 1 && event.udata == udata);
    take_byte(place->fds[1]);
}

static void expect_nothing(struct place *place)
{
    struct kevent event;
    CHECK(kevent(place->queue, NULL, 0, &event, 1, &no_time) == 0);
}

/* ---- EV_ADD and EV_DELETE ----------------------------------------------------------------------- */

static void raw_comes_and_goes(void *state, long n)
{
    struct place *place = state;
    while (n-- > 0) {
        control(place->queue, EPOLL_CTL_ADD, place->fds[1], EPOLLIN);
        OK(epoll_ctl(place->queue, EPOLL_CTL_DEL, place->fds[1], NULL));
    }
}

static void kq_comes_and_goes(void *state, long n)
{
    struct place *place = state;
    while (n-- > 0) {
        change(place->queue, (uintptr_t)place->fds[1], EVFILT_READ, EV_ADD, 0, 0);
        change(place->queue, (uintptr_t)place->fds[1], EVFILT_READ, EV_DELETE, 0, 0);
    }
}

static void raw_add_delete(const struct row *row)
{
    int idle = row->a ? silent_descriptors(row->a) : 0;
    struct place place;
    open_queue(&place, epoll_create1(EPOLL_CLOEXEC));
    for (long i = 0; i < row->a; i++)
        control(place.queue, EPOLL_CTL_ADD, idle + (int)i, EPOLLIN);
    measure(raw_comes_and_goes, &place);
}

static void kq_add_delete(const struct row *row)
{
    int idle = row->a ? silent_descriptors(row->a) : 0;
    struct place place;
    open_queue(&place, kqueue());
    for (long i = 0; i < row->a; i++)
        change(place.queue, (uintptr_t)(idle + i), EVFILT_READ, EV_ADD, 0, 0);
    measure(kq_comes_and_goes, &place);
    change(place.queue, (uintptr_t)place.fds[1], EVFILT_READ, EV_ADD, 0, 0);
    expect_event(&place, NULL);
}

enum { MANY = 1000 };

static void raw_many(void *state, long n)
{
    struct place *place = state;
    while (n-- > 0) {
        for (int i = 0; i < MANY; i++)
            control(place->queue, EPOLL_CTL_ADD, place->first + i, EPOLLIN);
        for (int i = 0; i < MANY; i++)
            OK(epoll_ctl(place->queue, EPOLL_CTL_DEL, place->first + i, NULL));
    }
}

static void kq_many(void *state, long n)
{
    static struct kevent changes[MANY];
    struct place *place = state;
    while (n-- > 0) {
        for (int i = 0; i < MANY; i++)
            EV_SET(&changes[i], place->first + i, EVFILT_READ, EV_ADD, 0, 0, NULL);
        OK(kevent(place->queue, changes, MANY, NULL, 0, NULL));
        for (int i = 0; i < MANY; i++)
            EV_SET(&changes[i], place->first + i, EVFILT_READ, EV_DELETE, 0, 0, NULL);
        OK(kevent(place->queue, changes, MANY, NULL, 0, NULL));
    }
}

/* Sockets, as a server has them. */
static int sockets(long n)
{
    need_descriptors(n + 2);
    int first[2], pair[2];
    socket_pair(first);
    for (long i = 2; i < n; i += 2) {
        socket_pair(pair);
        CHECK(pair[0] == first[0] + i && pair[1] == pair[0] + 1);
    }
    return first[0];
}

static void raw_add_delete_many(const struct row *row)
{
    (void)row;
    struct place place = {.first = sockets(MANY), .queue = OK(epoll_create1(EPOLL_CLOEXEC))};
    each_is(MANY);
    measure(raw_many, &place);
}

static void kq_add_delete_many(const struct row *row)
{
    (void)row;
    struct place place = {.first = sockets(MANY), .queue = OK(kqueue())};
    each_is(MANY);
    measure(kq_many, &place);
    struct kevent deleted = change_of((uintptr_t)place.first, EVFILT_READ, EV_DELETE, 0, 0, NULL);
    CHECK(kevent(place.queue, &deleted, 1, NULL, 0, NULL) == -1 && errno == ENOENT);
}

/* ---- EV_ADD of what is there, with new udata ---------------------------------------------------- */

static void raw_again(void *state, long n)
{
    struct place *place = state;
    while (n-- > 0) {
        struct epoll_event event = {.events = place->events, .data.u64 = (uint64_t)n};
        OK(epoll_ctl(place->queue, EPOLL_CTL_MOD, place->fds[1], &event));
    }
}

static void kq_again(void *state, long n)
{
    struct place *place = state;
    while (n-- > 0) {
        struct kevent again =
            change_of((uintptr_t)place->fds[1], EVFILT_READ, place->mode, 0, 0, (void *)(uintptr_t)n);
        OK(kevent(place->queue, &again, 1, NULL, 0, NULL));
    }
}

static void raw_add_again(const struct row *row)
{
    struct place place = {.events = row->style ? EPOLLIN | EPOLLET : EPOLLIN};
    open_queue(&place, epoll_create1(EPOLL_CLOEXEC));
    control(place.queue, EPOLL_CTL_ADD, place.fds[1], place.events);
    measure(raw_again, &place);
}

static void kq_add_again(const struct row *row)
{
    struct place place = {.mode = row->style ? EV_ADD | EV_CLEAR : EV_ADD};
    open_queue(&place, kqueue());
    change(place.queue, (uintptr_t)place.fds[1], EVFILT_READ, place.mode, 0, 0);
    measure(kq_again, &place);
    expect_event(&place, NULL);
    expect_nothing(&place);
}

/* ---- EV_DISABLE and EV_ENABLE, nothing between -------------------------------------------------- */

static void raw_off_and_on(void *state, long n)
{
    struct place *place = state;
    while (n-- > 0) {
        control(place->queue, EPOLL_CTL_MOD, place->fds[1], 0);
        control(place->queue, EPOLL_CTL_MOD, place->fds[1], EPOLLIN);
    }
}

static void kq_off_and_on(void *state, long n)
{
    struct place *place = state;
    while (n-- > 0) {
        change(place->queue, (uintptr_t)place->fds[1], EVFILT_READ, EV_DISABLE, 0, 0);
        change(place->queue, (uintptr_t)place->fds[1], EVFILT_READ, EV_ENABLE, 0, 0);
    }
}

static void raw_disable_enable(const struct row *row)
{
    (void)row;
    struct place place;
    open_queue(&place, epoll_create1(EPOLL_CLOEXEC));
    control(place.queue, EPOLL_CTL_ADD, place.fds[1], EPOLLIN);
    measure(raw_off_and_on, &place);
}

static void kq_disable_enable(const struct row *row)
{
    (void)row;
    struct place place;
    open_queue(&place, kqueue());
    change(place.queue, (uintptr_t)place.fds[1], EVFILT_READ, EV_ADD, 0, 0);
    measure(kq_off_and_on, &place);
    expect_event(&place, NULL);
    change(place.queue, (uintptr_t)place.fds[1], EVFILT_READ, EV_DISABLE, 0, 0);
    put_byte(place.fds[0]);
    expect_nothing(&place);
}

/* ---- A change in front of a wait ---------------------------------------------------------------- */

static void raw_rearmed(void *state, long n)
{
    struct place *place = state;
    while (n-- > 0) {
        struct epoll_event event;
        put_byte(place->fds[0]);
        control(place->queue, EPOLL_CTL_MOD, place->fds[1], EPOLLIN | EPOLLONESHOT);
        CHECK(epoll_wait(place->queue, &event, 1, -1) == 1);
        CHECK(event.events == EPOLLIN && event.data.u64 == (uint64_t)place->fds[1]);
        CHECK(readable_bytes(place->fds[1]) == 1);
        take_byte(place->fds[1]);
    }
}

static void kq_rearmed(void *state, long n)
{
    struct place *place = state;
    while (n-- > 0) {
        struct kevent event = change_of((uintptr_t)place->fds[1], EVFILT_READ, place->mode, 0, 0, NULL);
        put_byte(place->fds[0]);
        CHECK(kevent(place->queue, &event, 1, &event, 1, NULL) == 1);
        CHECK(event.ident == (uintptr_t)place->fds[1] && event.filter == EVFILT_READ && event.data == 1);
        take_byte(place->fds[1]);
    }
}

static void raw_once(const struct row *row)
{
    (void)row;
    struct place place;
    open_queue(&place, epoll_create1(EPOLL_CLOEXEC));
    control(place.queue, EPOLL_CTL_ADD, place.fds[1], EPOLLIN | EPOLLONESHOT);
    measure(raw_rearmed, &place);
}

static void kq_once(const struct row *row)
{
    (void)row;
    struct place place = {.mode = EV_ADD | EV_ONESHOT};
    open_queue(&place, kqueue());
    measure(kq_rearmed, &place);
    put_byte(place.fds[0]);
    expect_nothing(&place);
}

static void kq_dispatch(const struct row *row)
{
    (void)row;
    struct place place = {.mode = EV_ENABLE};
    open_queue(&place, kqueue());
    change(place.queue, (uintptr_t)place.fds[1], EVFILT_READ, EV_ADD | EV_DISPATCH | EV_DISABLE, 0, 0);
    measure(kq_rearmed, &place);
    put_byte(place.fds[0]);
    expect_nothing(&place);
}

/* ---- A server ----------------------------------------------------------------------------------- */

/*
 * Every client has sent a request. The server waits, reads the requests, waits until it can write, and answers;
 * then each client reads its answer. Both servers are one loop around one wait, and take all that is ready.
 */
enum { CLIENTS = 64, HIGHEST = 256 };

struct server {
    int queue, clients[CLIENTS][2]; /* [1] is the server's end */
    int with_space;                 /* the raw side asks SO_MEMINFO, too */
    char message[128];
};

static void send_message(struct server *server, int fd)
{
    CHECK(write(fd, server->message, sizeof server->message) == sizeof server->message);
}

static void receive_message(struct server *server, int fd)
{
    CHECK(read(fd, server->message, sizeof server->message) == sizeof server->message);
}

static void raw_serve(void *state, long n)
{
    struct server *server = state;
    while (n-- > 0) {
        for (int i = 0; i < CLIENTS; i++)
            send_message(server, server->clients[i][0]);
        for (int answered = 0; answered < CLIENTS;) {
            struct epoll_event events[CLIENTS];
            int count = OK(epoll_wait(server->queue, events, CLIENTS, -1));
            for (int i = 0; i < count; i++) {
                int fd = (int)events[i].data.u64;
                if (events[i].events & EPOLLIN) {
                    CHECK(readable_bytes(fd) == sizeof server->message);
                    receive_message(server, fd);
                    control(server->queue, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
                } else {
                    if (server->with_space) {
                        uint32_t info[SK_MEMINFO_VARS];
                        socklen_t size = sizeof info;
                        OK(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size));
                        CHECK(info[SK_MEMINFO_SNDBUF] > info[SK_MEMINFO_WMEM_ALLOC]);
                    }
                    send_message(server, fd);
                    control(server->queue, EPOLL_CTL_MOD, fd, EPOLLIN);
                    answered++;
                }
            }
        }
        for (int i = 0; i < CLIENTS; i++)
            receive_message(server, server->clients[i][0]);
    }
}

static void kq_serve(void *state, long n)
{
    struct server *server = state;
    while (n-- > 0) {
        struct kevent changes[CLIENTS];
        int changed = 0;
        for (int i = 0; i < CLIENTS; i++)
            send_message(server, server->clients[i][0]);
        for (int answered = 0; answered < CLIENTS;) {
            struct kevent events[CLIENTS];
            int count = OK(kevent(server->queue, changes, changed, events, CLIENTS, NULL));
            changed = 0;
            for (int i = 0; i < count; i++) {
                int fd = (int)events[i].ident;
                if (events[i].filter == EVFILT_READ) {
                    CHECK(events[i].data == sizeof server->message);
                    receive_message(server, fd);
                    changes[changed++] = change_of((uintptr_t)fd, EVFILT_WRITE, EV_ENABLE, 0, 0, NULL);
                } else {
                    CHECK(events[i].filter == EVFILT_WRITE && events[i].data > 0);
                    send_message(server, fd);
                    changes[changed++] = change_of((uintptr_t)fd, EVFILT_WRITE, EV_DISABLE, 0, 0, NULL);
                    answered++;
                }
            }
        }
        OK(kevent(server->queue, changes, changed, NULL, 0, NULL));
        for (int i = 0; i < CLIENTS; i++)
            receive_message(server, server->clients[i][0]);
    }
}

static void raw_server(const struct row *row)
{
    struct server server = {.queue = OK(epoll_create1(EPOLL_CLOEXEC)), .with_space = row->style != NULL};
    for (int i = 0; i < CLIENTS; i++) {
        socket_pair(server.clients[i]);
        control(server.queue, EPOLL_CTL_ADD, server.clients[i][1], EPOLLIN);
    }
    each_is(CLIENTS);
    measure(raw_serve, &server);
}

static void kq_server(const struct row *row)
{
    (void)row;
    struct server server = {.queue = OK(kqueue())};
    for (int i = 0; i < CLIENTS; i++) {
        socket_pair(server.clients[i]);
        change(server.queue, (uintptr_t)server.clients[i][1], EVFILT_READ, EV_ADD, 0, 0);
        change(server.queue, (uintptr_t)server.clients[i][1], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0);
    }
    each_is(CLIENTS);
    measure(kq_serve, &server);
}

static struct row rows[] = {
    {.name = "add-delete", .raw = raw_add_delete, .kq = kq_add_delete},
    {.name = "add-delete-beside-10000", .raw = raw_add_delete, .kq = kq_add_delete, .a = 10000},
    {.name = "add-delete-1000-a-call", .raw = raw_add_delete_many, .kq = kq_add_delete_many},
    {.name = "add-again", .raw = raw_add_again, .kq = kq_add_again},
    {.name = "add-again-verify", .raw = raw_add_again, .kq = kq_add_again, .verify = 1},
    {.name = "add-again-clear", .raw = raw_add_again, .kq = kq_add_again, .style = "clear"},
    {.name = "disable-enable", .raw = raw_disable_enable, .kq = kq_disable_enable},
    {.name = "disable-enable-verify", .raw = raw_disable_enable, .kq = kq_disable_enable, .verify = 1},
    {.name = "oneshot-rearm", .raw = raw_once, .kq = kq_once},
    {.name = "dispatch-rearm", .raw = raw_once, .kq = kq_dispatch},
    {.name = "server-64", .raw = raw_server, .kq = kq_server},
    {.name = "server-64-with-space", .raw = raw_server, .kq = kq_server, .style = "with space"},
};
ROWS(rows)

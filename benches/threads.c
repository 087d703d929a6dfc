/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads: with a queue each, and on one queue.
 */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- Two threads with a queue each -------------------------------------------------------------- */

struct lane {
    int queue, fds[2], use_kq, cpu;
    long turns;
    pthread_t thread;
    char apart[128]; /* no cache line of one lane is the other's */
};

static void *drive(void *argument)
{
    struct lane *lane = argument;
    pin(lane->cpu);
    for (long i = 0; i < lane->turns; i++) {
        put_byte(lane->fds[0]);
        if (lane->use_kq) {
            struct kevent event;
            CHECK(kevent(lane->queue, NULL, 0, &event, 1, NULL) == 1);
            CHECK(event.ident == (uintptr_t)lane->fds[1] && event.data == 1);
        } else {
            struct epoll_event event;
            CHECK(epoll_wait(lane->queue, &event, 1, -1) == 1);
            CHECK(event.data.u64 == (uint64_t)lane->fds[1] && readable_bytes(lane->fds[1]) == 1);
        }
        take_byte(lane->fds[1]);
    }
    return NULL;
}

static int64_t race(struct lane *lanes, int count, long turns)
{
    int64_t begin = now();
    for (int i = 0; i < count; i++) {
        lanes[i].turns = turns;
        CHECK(pthread_create(&lanes[i].thread, NULL, drive, &lanes[i]) == 0);
    }
    for (int i = 0; i < count; i++)
        CHECK(pthread_join(lanes[i].thread, NULL) == 0);
    return now() - begin;
}

static void scale(int use_kq)
{
    static struct lane lanes[2];
    enum { TURNS = 10000, ROUNDS = 7 };
    double best = 0, ratios[ROUNDS];
    for (int i = 0; i < 2; i++) {
        lanes[i].use_kq = use_kq;
        lanes[i].cpu = i;
        socket_pair(lanes[i].fds);
        if (use_kq) {
            lanes[i].queue = OK(kqueue());
            change(lanes[i].queue, (uintptr_t)lanes[i].fds[1], EVFILT_READ, EV_ADD, 0, 0);
        } else {
            lanes[i].queue = OK(epoll_create1(EPOLL_CLOEXEC));
            control(lanes[i].queue, EPOLL_CTL_ADD, lanes[i].fds[1], EPOLLIN);
        }
    }
    /* Two threads beside two runs of one, round for round; each CPU is as fast as it is. */
    race(lanes, 2, TURNS / 4);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t first = race(&lanes[0], 1, TURNS), second = race(&lanes[1], 1, TURNS);
        int64_t both = race(lanes, 2, TURNS);
        ratios[i] = (double)both / (double)(first > second ? first : second);
        best = best == 0 || ratios[i] < best ? ratios[i] : best;
    }
    value("", best);
}

static void raw_own(const struct row *row)
{
    (void)row;
    scale(0);
}

static void kq_own(const struct row *row)
{
    (void)row;
    scale(1);
}

/* ---- Threads on one queue ----------------------------------------------------------------------- */

/*
 * Every connection always has a request. A thread takes one event, reads, answers - which is the next request -
 * and enables the connection again in front of its next wait. No two threads ever have the same connection.
 */
enum { CONNECTIONS = 64, MOST_THREADS = 16, HIGHEST = 512 };

struct pool {
    int queue, use_kq;
    long threads;
    int fds[CONNECTIONS][2];
    int other_end[HIGHEST];
    atomic_int busy[HIGHEST];
    atomic_long left;
};

static void serve(struct pool *pool, int fd)
{
    CHECK(atomic_exchange(&pool->busy[fd], 1) == 0);
    take_byte(fd);
    put_byte(pool->other_end[fd]);
    atomic_store(&pool->busy[fd], 0);
}

static void *raw_worker(void *argument)
{
    struct pool *pool = argument;
    unpin();
    while (atomic_fetch_sub(&pool->left, 1) > 0) {
        struct epoll_event event;
        CHECK(epoll_wait(pool->queue, &event, 1, -1) == 1);
        int fd = (int)event.data.u64;
        CHECK(event.events == EPOLLIN && readable_bytes(fd) == 1);
        serve(pool, fd);
        control(pool->queue, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT);
    }
    return NULL;
}

static void *kq_worker(void *argument)
{
    struct pool *pool = argument;
    struct kevent event;
    int changes = 0;
    unpin();
    while (atomic_fetch_sub(&pool->left, 1) > 0) {
        CHECK(kevent(pool->queue, &event, changes, &event, 1, NULL) == 1);
        CHECK(event.filter == EVFILT_READ && event.data == 1);
        serve(pool, (int)event.ident);
        event = change_of(event.ident, EVFILT_READ, EV_ENABLE, 0, 0, NULL);
        changes = 1;
    }
    if (changes)
        OK(kevent(pool->queue, &event, 1, NULL, 0, NULL));
    return NULL;
}

static void work(void *state, long n)
{
    struct pool *pool = state;
    pthread_t threads[MOST_THREADS];
    atomic_store(&pool->left, n);
    for (long i = 0; i < pool->threads; i++)
        CHECK(pthread_create(&threads[i], NULL, pool->use_kq ? kq_worker : raw_worker, pool) == 0);
    for (long i = 0; i < pool->threads; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static void share(const struct row *row, int use_kq, int queue)
{
    static struct pool pool;
    pool.use_kq = use_kq;
    pool.threads = row->a;
    pool.queue = OK(queue);
    for (int i = 0; i < CONNECTIONS; i++) {
        socket_pair(pool.fds[i]);
        CHECK(pool.fds[i][1] < HIGHEST);
        pool.other_end[pool.fds[i][1]] = pool.fds[i][0];
        if (use_kq)
            change(pool.queue, (uintptr_t)pool.fds[i][1], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 0);
        else
            control(pool.queue, EPOLL_CTL_ADD, pool.fds[i][1], EPOLLIN | EPOLLONESHOT);
        put_byte(pool.fds[i][0]);
    }
    measure_long(work, &pool);
}

static void raw_shared(const struct row *row)
{
    share(row, 0, epoll_create1(EPOLL_CLOEXEC));
}

static void kq_shared(const struct row *row)
{
    share(row, 1, kqueue());
}

static struct row rows[] = {
    {.name = "two-threads-own-queues", .raw = raw_own, .kq = kq_own},
    {.name = "2-threads-one-queue", .raw = raw_shared, .kq = kq_shared, .a = 2},
    {.name = "4-threads-one-queue", .raw = raw_shared, .kq = kq_shared, .a = 4},
    {.name = "16-threads-one-queue", .raw = raw_shared, .kq = kq_shared, .a = 16},
};
ROWS(rows)

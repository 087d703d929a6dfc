/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue that is closed while threads wait in it: each of them gets EBADF, none enters what has the number next
 * (10.2), and a thread that never comes back out of kevent() keeps nobody.
 */
#define SUITE "stress"
#include "suite.h"

#ifdef __linux__

#include "stress.h"
#include "together.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>

/* ---- The number at once reused ------------------------------------------------------------------ */

enum { WAITERS = 3 };

static struct {
    int kq;
    atomic_int round;   /* the round that has begun; -1: the end */
    atomic_int going;   /* threads that are about to wait */
    atomic_int returned;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} game = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void announce(atomic_int *value, int next)
{
    OK0(pthread_mutex_lock(&game.lock));
    *value = next;
    OK0(pthread_cond_broadcast(&game.changed));
    OK0(pthread_mutex_unlock(&game.lock));
}

static void until_other(atomic_int *value, int old)
{
    OK0(pthread_mutex_lock(&game.lock));
    while (*value == old)
        OK0(pthread_cond_wait(&game.changed, &game.lock));
    OK0(pthread_mutex_unlock(&game.lock));
}

static void count(atomic_int *value)
{
    OK0(pthread_mutex_lock(&game.lock));
    if (++*value == WAITERS)
        OK0(pthread_cond_broadcast(&game.changed));
    OK0(pthread_mutex_unlock(&game.lock));
}

static void until_all(atomic_int *value)
{
    OK0(pthread_mutex_lock(&game.lock));
    while (*value != WAITERS)
        OK0(pthread_cond_wait(&game.changed, &game.lock));
    OK0(pthread_mutex_unlock(&game.lock));
}

static void *wait_each_round(void *argument)
{
    (void)argument;
    for (int round = 0;; round++) {
        struct kevent ev[2];
        until_other(&game.round, round);
        if (game.round == -1)
            return NULL;
        count(&game.going);
        CHECK_ERRNO(kevent(game.kq, NULL, 0, ev, 2, NULL), EBADF);
        count(&game.returned);
    }
}

/* 10.2 1.3 The application's epoll under the number keeps its event; every waiter gets EBADF. */
TEST_LIMIT(number_reused_by_an_epoll, "10.2 1.3", FULL_LIMIT)
{
    struct thread threads[WAITERS];
    struct epoll_event item = {.events = EPOLLIN | EPOLLONESHOT};
    int ready[2];
    pipe_pair(ready);
    put(ready[1], 1);
    for (int i = 0; i < WAITERS; i++)
        start(&threads[i], wait_each_round, NULL);
    int last = rounds(4000, 200000);
    for (int round = 1; round <= last; round++) {
        struct epoll_event taken;
        game.kq = queue();
        game.going = game.returned = 0;
        announce(&game.round, round);
        until_all(&game.going);
        if (round % 64 == 0)
            for (int i = 0; i < WAITERS; i++)
                until_asleep(&threads[i]);
        else if (round % 3 == 0)
            sched_yield();
        OK(close(game.kq));
        int epoll = OK(epoll_create1(EPOLL_CLOEXEC));
        CHECK_EQ(epoll, game.kq);
        OK(epoll_ctl(epoll, EPOLL_CTL_ADD, ready[0], &item));
        until_all(&game.returned);
        CHECK_EQ(OK(epoll_wait(epoll, &taken, 1, 0)), 1);
        OK(close(epoll));
    }
    announce(&game.round, -1);
    for (int i = 0; i < WAITERS; i++)
        join(&threads[i]);
    were_together(20);
}

/* ---- Waiters that never come out ---------------------------------------------------------------- */

static _Thread_local sigjmp_buf way_out;

static void jump_out(int signo)
{
    (void)signo;
    siglongjmp(way_out, 1);
}

static void *wait_and_jump_out(void *argument)
{
    struct kevent ev;
    if (sigsetjmp(way_out, 1) == 0) {
        OK(kevent(*(int *)argument, NULL, 0, &ev, 1, NULL));
        FAIL("the signal did not take the thread out of kevent");
    }
    return NULL;
}

static void *wait_for_the_close(void *argument)
{
    struct kevent ev;
    CHECK_ERRNO(kevent(*(int *)argument, NULL, 0, &ev, 1, NULL), EBADF);
    return NULL;
}

/* 10.2 A waiter that left by siglongjmp hangs nobody: close returns, the others get EBADF, the next queue works. */
TEST_LIMIT(waiter_left_by_siglongjmp, "10.2 1.3", FULL_LIMIT)
{
    struct sigaction action = {.sa_handler = jump_out};
    OK(sigaction(SIGUSR1, &action, NULL));
    int last = rounds(5, 200);
    for (int round = 0; round < last; round++) {
        struct thread leaves, stays;
        int kq = queue();
        start(&leaves, wait_and_jump_out, &kq);
        start(&stays, wait_for_the_close, &kq);
        until_asleep(&leaves);
        until_asleep(&stays);
        OK0(pthread_kill(leaves.id, SIGUSR1));
        join(&leaves);
        change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
        OK(close(kq));
        join(&stays);
        struct kevent ev;
        int next = queue();
        change(next, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 5, 6);
        wait_event(next, &ev);
        EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD, 0, 5, 6);
        OK(close(next));
    }
}

/* ---- Each other's queue ------------------------------------------------------------------------- */

struct closer {
    int mine;
    int other;
};

static _Thread_local struct closer *closer;
static atomic_int handlers;

static void close_other(int signo)
{
    int error = errno;
    (void)signo;
    handlers++;
    while (handlers < 2) /* both have interrupted their thread's wait */
        sched_yield();
    OK(close(closer->other));
    errno = error;
}

static void *wait_and_close(void *argument)
{
    struct kevent ev;
    closer = argument;
    int result = kevent(closer->mine, NULL, 0, &ev, 1, NULL);
    CHECK_EQ(result, -1);
    CHECK(errno == EBADF || errno == EINTR); /* its own handler ended the wait, or the close did */
    return NULL;
}

/* 10.2 7.2 Two handlers, each of which closes the queue that the other's thread waits in, hang nobody. */
TEST_LIMIT(handlers_close_each_others_queue, "10.2 7.2", FULL_LIMIT)
{
    struct sigaction action = {.sa_handler = close_other};
    OK(sigaction(SIGUSR1, &action, NULL));
    int last = rounds(5, 200);
    for (int round = 0; round < last; round++) {
        struct closer closers[2];
        struct thread threads[2];
        handlers = 0;
        closers[0].mine = closers[1].other = queue();
        closers[1].mine = closers[0].other = queue();
        for (int i = 0; i < 2; i++)
            start(&threads[i], wait_and_close, &closers[i]);
        for (int i = 0; i < 2; i++)
            until_asleep(&threads[i]);
        for (int i = 0; i < 2; i++)
            OK0(pthread_kill(threads[i].id, SIGUSR1));
        for (int i = 0; i < 2; i++)
            join(&threads[i]);
        CHECK(!is_open(closers[0].mine));
        CHECK(!is_open(closers[1].mine));
    }
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Thousands of waiters that are cancelled in kevent() (1.13): they leave no lock, no memory, no descriptor, and a
 * changelist that was applied as a whole or not at all.
 */
#define SUITE "stress"
#include "suite.h"

#if defined(__linux__) && defined(__GLIBC__)

#include "events.h"
#include "stress.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { BATCH = 8, QUEUES = 10 };

struct site {
    int kq;
    int fds[2];
    int file;
    pid_t child;
};

/* A queue with a knote of every filter, none of them ready. */
static void build(struct site *site)
{
    site->kq = queue();
    pipe_pair(site->fds);
    site->file = OK(open("file", O_RDWR | O_CREAT, 0600));
    site->child = OK(fork());
    if (site->child == 0) {
        for (;;)
            pause();
    }
    change(site->kq, site->fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(site->kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
    change(site->kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 36000, 3);
    change(site->kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 4);
    change(site->kq, site->child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 5);
    change(site->kq, site->file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_ATTRIB, 0, 6);
}

/* Every knote still reports. */
static void works(struct site *site)
{
    int kq = site->kq;
    put(site->fds[1], 1);
    EXPECT_NEXT(kq, site->fds[0], EVFILT_READ, EV_ADD, 0, 1, 1);
    take(site->fds[0], 1);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 7, 2);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 7, 2);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_NEXT(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 4);
    OK(fchmod(site->file, 0600));
    EXPECT_NEXT(kq, site->file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_ATTRIB, 0, 6);
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 3);
    EXPECT_NEXT_ANY(kq, 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, 3, DATA_AT_LEAST);
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 36000, 3);
    nothing(kq);
}

/* Ends it; returns how long the close of the queue took. */
static int64_t demolish(struct site *site)
{
    OK(kill(site->child, SIGKILL));
    EXPECT_NEXT(site->kq, site->child, EVFILT_PROC, EV_ADD | EV_CLEAR | EV_EOF | EV_ONESHOT, NOTE_EXIT, SIGKILL, 5);
    OK(waitpid(site->child, NULL, 0));
    int64_t before = now();
    OK(close(site->kq));
    int64_t took = now() - before;
    OK(close(site->fds[0]));
    OK(close(site->fds[1]));
    OK(close(site->file));
    return took;
}

/* ---- Waiters ------------------------------------------------------------------------------------ */

static void *wait_for_ever(void *argument)
{
    struct kevent ev[4];
    kevent(*(int *)argument, NULL, 0, ev, 4, NULL);
    FAIL("a waiter was not cancelled");
}

struct changer {
    int kq;
    int ident;
};

/* Two changes and a one-shot that ends the wait at once, if it gets that far. */
static void *change_and_wait(void *argument)
{
    struct changer *changer = argument;
    struct kevent ev[4], changes[] = {
        EVENT(changer->ident, EVFILT_USER, EV_ADD, 0, 0, 0),
        EVENT(changer->ident + 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0),
        EVENT(changer->ident + 2, EVFILT_USER, EV_ADD, 0, 0, 0),
    };
    struct timespec no_wait = {0, 0};
    OK(kevent(changer->kq, changes, 3, ev, 4, &no_wait));
    return NULL;
}

static void cancel_waiters(struct site *site, int batch)
{
    struct thread threads[BATCH];
    for (int i = 0; i < BATCH; i++)
        start(&threads[i], wait_for_ever, &site->kq);
    if (batch % 4 == 0)
        for (int i = 0; i < BATCH; i++)
            until_asleep(&threads[i]);
    for (int i = 0; i < BATCH; i++)
        OK0(pthread_cancel(threads[i].id));
    for (int i = 0; i < BATCH; i++)
        CHECK(join(&threads[i]) == PTHREAD_CANCELED);
}

/* Cancelled anywhere in a call with changes: all three of them were applied, or none. */
static int cancel_changers(struct site *site, int batch)
{
    struct thread threads[BATCH];
    struct changer changers[BATCH];
    struct timespec no_wait = {0, 0};
    struct kevent ev[BATCH];
    int applied = 0;
    for (int i = 0; i < BATCH; i++) {
        changers[i] = (struct changer){site->kq, 100 + 3 * i};
        start(&threads[i], change_and_wait, &changers[i]);
        for (volatile int spin = batch * 37 % 2000; spin > 0; spin--)
            continue;
        OK0(pthread_cancel(threads[i].id));
    }
    for (int i = 0; i < BATCH; i++)
        join(&threads[i]);
    /* What one thread has triggered another may have collected: only the first and the third are certain. */
    OK(kevent(site->kq, NULL, 0, ev, BATCH, &no_wait));
    for (int i = 0; i < BATCH; i++) {
        int first = change_errno(site->kq, changers[i].ident, EVFILT_USER, EV_DELETE, 0, 0, 0);
        int third = change_errno(site->kq, changers[i].ident + 2, EVFILT_USER, EV_DELETE, 0, 0, 0);
        CHECK(first == 0 || first == ENOENT);
        CHECK_EQ(third, first);
        CHECK_EQ(change_errno(site->kq, changers[i].ident + 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
        applied += first == 0;
    }
    return applied;
}

/* ---- The case ----------------------------------------------------------------------------------- */

static long resident_bytes(void)
{
    long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL);
    CHECK_EQ(fscanf(file, "%ld %ld", &total, &resident), 2);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

/* The fastest close of the queues; `applied` counts changelists. */
static int64_t cancel_many(int waiters, int *applied)
{
    int64_t fastest = INT64_MAX;
    int batches = waiters / BATCH / QUEUES;
    for (int i = 0; i < QUEUES; i++) {
        struct site site;
        build(&site);
        for (int batch = 0; batch < batches; batch++) {
            if (batch % 4 == 3)
                *applied += cancel_changers(&site, batch);
            else
                cancel_waiters(&site, batch);
            if (batch % 16 == 0)
                works(&site);
        }
        works(&site);
        int64_t took = demolish(&site);
        fastest = took < fastest ? took : fastest;
    }
    return fastest;
}

/* 1.13 Cancelled waiters leave no lock, no memory and no descriptor; a changelist is never half applied. */
TEST_LIMIT(cancelled_waiters_leave_nothing, "1.13 10.2", FULL_LIMIT)
{
    /* A quarter of them have changes. */
    int waiters = rounds(800, 13600), applied = 0;
    /* One arena: what the threads got is seen in one place. */
    mallopt(M_ARENA_MAX, 1);
    cancel_many(4 * BATCH * QUEUES, &applied);
    int descriptors = open_descriptors();
    size_t allocated = mallinfo2().uordblks;
    long resident = resident_bytes();
    int64_t fastest = cancel_many(waiters, &applied);
    printf("%d changelists were applied; close took %jd us; %zd bytes more are allocated, %ld resident\n", applied,
           (intmax_t)fastest / 1000, (ssize_t)(mallinfo2().uordblks - allocated), resident_bytes() - resident);
    CHECK_EQ(open_descriptors(), descriptors);
    CHECK_LE(mallinfo2().uordblks, allocated + 4096 + 4 * (size_t)waiters);
    CHECK_LE(resident_bytes(), resident + (2 << 20));
    /* Whom close() takes to be inside still, it would wait for. */
    CHECK_LE(fastest, 50 * MILLISECOND * patience());
}

#endif

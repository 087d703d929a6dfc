/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signal handlers, a thousand a second, that use the queues which the code they interrupt is using (7.2): they close
 * and reopen a watched descriptor, trigger a user event, collect, and have children. There is no deadlock, EDEADLK
 * is the only refusal (BUGS.md), and what they did is delivered.
 */
#define SUITE "stress"
#include "suite.h"

#ifdef __linux__

#include "events.h"
#include "stress.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#else
#define __libc_single_threaded 0
#endif

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static const struct timespec no_wait = {0, 0};

enum { THREADS = 2, OWN_EVENT = 50 };

/* What one thread and its handler work with. */
struct place {
    int ident;                 /* of its user event, in both queues */
    int number;                /* the descriptor that the handler closes and reopens */
    int writer;                /* the other end of what it is now */
    atomic_long generation;    /* how often it was reopened */
    atomic_long registered;    /* the generation that the handler registered last */
    atomic_long triggered;     /* the data of the last trigger in the first queue */
    atomic_long heard;         /* the highest that came */
    atomic_long seen;          /* the highest generation that came */
    long refused, children, ticks;
    timer_t timer;
};

static struct {
    int kq;
    int other;
    struct place places[THREADS];
    int count;
    atomic_int stop;
} field;

static _Thread_local struct place *here;

/* ---- What handlers do --------------------------------------------------------------------------- */

/* Applies a change from a handler: 0, or EDEADLK. */
static int apply(int kq, struct kevent change)
{
    if (kevent(kq, &change, 1, NULL, 0, NULL) == 0)
        return 0;
    CHECK_EQ(errno, EDEADLK);
    here->refused++;
    return EDEADLK;
}

static void trigger(void)
{
    long next = here->triggered + 1;
    if (apply(field.kq, EVENT(here->ident, EVFILT_USER, 0, NOTE_TRIGGER, next, 0)) == 0)
        here->triggered = next;
}

/* The number becomes another pipe, with a byte in it, by close() and dup2() or by dup2() alone. */
static void reopen(void)
{
    int fds[2], writer = here->writer;
    OK(pipe2(fds, O_CLOEXEC));
    put(fds[1], 1);
    /* Between close() and dup2() another thread could get the number. */
    if (here->generation % 2 && field.count == 1)
        OK(close(here->number));
    OK(dup2(fds[0], here->number));
    OK(close(fds[0]));
    OK(close(writer));
    here->writer = fds[1];
    long generation = ++here->generation;
    if (apply(field.kq, EVENT(here->number, EVFILT_READ, EV_ADD, 0, 0, generation)) == 0)
        here->registered = generation;
}

/*
 * The child closes what is watched, and the queues: nothing of that reaches the parent. In a program with threads
 * glibc's own fork() hangs in a handler that interrupted malloc(); the library may have one (BUGS.md, POSIX).
 */
static void have_a_child(void)
{
    pid_t pid = OK(__libc_single_threaded ? fork() : _Fork());
    if (pid == 0) {
        close(here->number);
        close(field.kq);
        close(field.other);
        _exit(0);
    }
    here->children++;
}

static void use_the_other(void)
{
    struct kevent ev[2];
    if (apply(field.other, EVENT(OWN_EVENT + here->ident, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0)) == 0
        && kevent(field.other, NULL, 0, ev, 2, &no_wait) == -1)
        CHECK_EQ(errno, EDEADLK);
}

static void on_tick(int signo)
{
    int error = errno;
    (void)signo;
    if (here) {
        switch (here->ticks++ % 5) {
        case 0:
        case 2:
            trigger();
            break;
        case 1:
            reopen();
            break;
        case 3:
            have_a_child();
            break;
        case 4:
            use_the_other();
        }
    }
    errno = error;
}

/* ---- What they interrupt ------------------------------------------------------------------------ */

static void raise_to(atomic_long *highest, long value)
{
    long old = *highest;
    while (old < value && !atomic_compare_exchange_weak(highest, &old, value))
        continue;
}

/* Collects from the first queue: no event of a pipe that was closed before the call began. */
static void collect_all(const struct timespec *timeout)
{
    struct kevent ev[8];
    long before[THREADS];
    for (int i = 0; i < field.count; i++)
        before[i] = field.places[i].generation;
    int count = kevent(field.kq, NULL, 0, ev, 8, timeout);
    if (count == -1)
        CHECK_EQ(errno, EINTR);
    for (int i = 0; i < count; i++) {
        CHECK(!(ev[i].flags & EV_ERROR));
        for (int j = 0; j < field.count; j++) {
            struct place *place = &field.places[j];
            if (ev[i].filter == EVFILT_USER && ev[i].ident == (uintptr_t)place->ident)
                raise_to(&place->heard, ev[i].data);
            if (ev[i].filter == EVFILT_READ && ev[i].ident == (uintptr_t)place->number) {
                long generation = (long)(intptr_t)ev[i].udata;
                CHECK_GE(generation, before[j]);
                CHECK_LE(generation, place->generation + 1); /* registered, and not yet counted */
                raise_to(&place->seen, generation);
            }
        }
    }
}

/* All that a program does with queues and descriptors, on the queues of the handler. */
static void work(long turn)
{
    struct kevent ev[4];
    int fds[2], again[2];
    OK(pipe2(fds, O_CLOEXEC));
    change(field.kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    change(field.other, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(field.other, here->number, EVFILT_READ, EV_ADD, 0, 0, 0);
    change(field.other, here->ident, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0);
    collect_all(&no_wait);
    int count = kevent(field.other, NULL, 0, ev, 4, &no_wait);
    CHECK(count >= 0 || errno == EINTR);
    OK(pipe2(again, O_CLOEXEC));
    OK(dup2(again[0], fds[0]));
    change(field.kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(field.kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    int error = change_errno(field.other, here->number, EVFILT_READ, EV_DELETE, 0, 0, 0);
    CHECK(error == 0 || error == ENOENT); /* the handler reopened it */
    OK(close(fds[0]));
    OK(close(fds[1]));
    OK(close(again[0]));
    OK(close(again[1]));
    if (turn % 8 == 0) {
        int kq = queue();
        change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 100, 0);
        change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
        OK(close(kq));
    }
    if (turn % 8 == 4) {
        struct timespec soon = duration(MILLISECOND);
        collect_all(&soon);
    }
    int status;
    while (waitpid(-1, &status, WNOHANG) > 0)
        CHECK_EQ(status, 0);
}

static void arm(int64_t period)
{
    struct itimerspec often = {duration(period), duration(period)};
    OK(timer_settime(here->timer, 0, &often, NULL));
}

static void *work_interrupted(void *argument)
{
    struct sigevent tick = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    here = argument;
    tick.sigev_notify_thread_id = (int)syscall(SYS_gettid);
    OK(timer_create(CLOCK_MONOTONIC, &tick, &here->timer));
    /* Threads that start at different times are not always interrupted together. */
    arm(MILLISECOND + 1000 * here->ident);
    for (long turn = 0; !field.stop; turn++)
        work(turn);
    OK(timer_delete(here->timer));
    return NULL;
}

static void be_interrupted(int threads)
{
    struct sigaction action = {.sa_handler = on_tick};
    struct thread started[THREADS];
    int64_t length = everything() ? 10 * SECOND : SECOND;
    int before = open_descriptors();
    field.kq = queue();
    field.other = queue();
    field.count = threads;
    OK(sigaction(SIGALRM, &action, NULL));
    for (int i = 0; i < threads; i++) {
        struct place *place = &field.places[i];
        int fds[2];
        pipe_pair(fds);
        place->ident = i;
        place->number = OK(fcntl(fds[0], F_DUPFD_CLOEXEC, 200));
        OK(close(fds[0]));
        place->writer = fds[1];
        change(field.kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    }
    if (threads == 1) {
        struct sigevent tick = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
        here = &field.places[0];
        OK(timer_create(CLOCK_MONOTONIC, &tick, &here->timer));
        arm(MILLISECOND);
        int64_t end = now() + length;
        for (long turn = 0; now() < end || here->ticks < 100; turn++)
            work(turn);
        OK(timer_delete(here->timer));
    } else {
        for (int i = 0; i < threads; i++)
            start(&started[i], work_interrupted, &field.places[i]);
        struct timespec left = duration(length);
        nanosleep(&left, NULL);
        field.stop = 1;
        for (int i = 0; i < threads; i++)
            join(&started[i]);
        here = NULL;
    }
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    for (int i = 0; i < threads; i++) {
        struct place *place = &field.places[i];
        printf("%ld ticks, %ld triggers, %ld generations, %ld children, %ld times EDEADLK\n", place->ticks,
               (long)place->triggered, (long)place->generation, place->children, place->refused);
        while (place->heard < place->triggered
               || (place->registered == place->generation && place->seen < place->registered))
            collect_all(NULL);
        CHECK_EQ(place->heard, place->triggered);
        /* Not everything was refused. */
        CHECK(place->triggered > 0 && place->registered > 0);
        OK(close(place->number));
        OK(close(place->writer));
    }
    for (int i = 0; i < threads; i++)
        nothing(field.kq);
    OK(close(field.kq));
    OK(close(field.other));
    CHECK_EQ(open_descriptors(), before);
}

/* 7.2 10.1 10.3 In a program with one thread the handler calls fork() itself. */
TEST_LIMIT(handlers_of_one_thread, "7.2 10.1 10.3", FULL_LIMIT)
{
    be_interrupted(1);
}

/* 7.2 10.1 10.3 Two threads on the same two queues, each interrupted by handlers of its own. */
TEST_LIMIT(handlers_of_two_threads, "7.2 10.1 10.3", FULL_LIMIT)
{
    be_interrupted(2);
}

/* ---- Across two queues -------------------------------------------------------------------------- */

/* A thread's code works on one queue, and its handler on the other thread's. */
struct crossing {
    int mine;
    int other;
    atomic_long done;
    long refused;
    long triggered; /* the data of the last trigger in the other queue */
};

static _Thread_local struct crossing *crossing;

static void cross(int signo)
{
    int error = errno;
    (void)signo;
    if (crossing) {
        long next = ++crossing->done;
        struct kevent change = next % 2 ? EVENT(2, EVFILT_USER, EV_ADD, 0, 0, 0)
                                        : EVENT(3, EVFILT_USER, 0, NOTE_TRIGGER, next, 0);
        if (kevent(crossing->other, &change, 1, NULL, 0, NULL) == -1) {
            CHECK_EQ(errno, EDEADLK);
            crossing->refused++;
        } else if (next % 2 == 0) {
            crossing->triggered = next;
        }
    }
    errno = error;
}

static void *work_on_mine(void *argument)
{
    struct kevent changes[32];
    crossing = argument;
    for (int i = 0; i < 32; i++)
        changes[i] = EVENT(1, EVFILT_USER, i % 2 ? EV_DELETE : EV_ADD, 0, 0, 0);
    while (!field.stop)
        OK(kevent(crossing->mine, changes, 32, NULL, 0, NULL));
    return NULL;
}

/* 7.2 Two handlers that want the queue which the other's thread was interrupted in do not wait for each other. */
TEST_LIMIT(handlers_across_two_queues, "7.2", FULL_LIMIT)
{
    struct sigaction action = {.sa_handler = cross};
    static struct crossing crossings[THREADS];
    struct thread threads[THREADS];
    OK(sigaction(SIGALRM, &action, NULL));
    crossings[0].mine = crossings[1].other = queue();
    crossings[1].mine = crossings[0].other = queue();
    for (int i = 0; i < THREADS; i++)
        change(crossings[i].mine, 3, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int i = 0; i < THREADS; i++)
        start(&threads[i], work_on_mine, &crossings[i]);
    long last = rounds(1500, 20000);
    for (long round = 1; round <= last || crossings[0].done < 10 || crossings[1].done < 10; round++) {
        struct timespec pause = duration(MILLISECOND / 5);
        for (int i = 0; i < THREADS; i++)
            OK0(pthread_kill(threads[i].id, SIGALRM));
        nanosleep(&pause, NULL);
    }
    field.stop = 1;
    for (int i = 0; i < THREADS; i++)
        join(&threads[i]);
    for (int i = 0; i < THREADS; i++) {
        printf("%ld handlers ran, %ld times EDEADLK, %ld was the last trigger\n", (long)crossings[i].done,
               crossings[i].refused, crossings[i].triggered);
        /* Not everything was refused. */
        CHECK(crossings[i].triggered > 0);
        EXPECT_NEXT(crossings[i].other, 3, EVFILT_USER, EV_ADD | EV_CLEAR, 0, crossings[i].triggered, 0);
    }
}

#endif

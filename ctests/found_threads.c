/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Defects that were found by attack and fixed: threads, signal handlers and cancellation.
 */
#define SUITE "found"
#include "suite.h"

#include "events.h"
#include "procs.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

static const struct timespec no_wait = {0, 0};

/* ---- close_range -------------------------------------------------------------------------------- */

#if defined(__GLIBC__) || defined(__FreeBSD__)

static atomic_int stop;

/* Opens and closes a file of its own. A close() that fails, or a file that is another, was not its own doing. */
static void *open_and_close(void *argument)
{
    (void)argument;
    while (!stop) {
        int fd = OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
        sched_yield();
        OK(close(fd));
    }
    return NULL;
}

/* 10.1 close_range of a watched descriptor closes the number once: another thread's fresh file of it stays open. */
TEST(close_range_closes_once, "10.1")
{
    enum { THREADS = 2, ROUNDS = 20000 };
    struct thread threads[THREADS];
    int kq = queue();
    if (close_range(900, 901, 0) == -1)
        SKIP("no close_range here");
    for (int i = 0; i < THREADS; i++)
        start(&threads[i], open_and_close, NULL);
    int64_t end = now() + 3 * SECOND / 2;
    for (int round = 0; round < ROUNDS && now() < end; round++) {
        int p[2];
        pipe_pair(p);
        change(kq, p[0], EVFILT_READ, EV_ADD, 0, 0, 0);
        OK(close_range((unsigned)p[0], (unsigned)p[0], 0));
        OK(close(p[1]));
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        join(&threads[i]);
    nothing(kq);
}

#endif

/* ---- Handlers ----------------------------------------------------------------------------------- */

static int ticking;
static volatile sig_atomic_t ticks_in_handler;

static void wait_for_a_tick(int signo)
{
    struct kevent ev[2];
    int error = errno;
    (void)signo;
    int count = kevent(ticking, NULL, 0, ev, 2, NULL);
    if (count == -1) {
        CHECK_EQ(errno, EDEADLK); /* it interrupted kevent under its lock: BUGS.md */
    } else {
        CHECK_EQ(count, 1);
        EXPECT_EVENT_ANY(ev[0], 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, 0xfeed, DATA_AT_LEAST);
        ticks_in_handler = ticks_in_handler + 1;
    }
    errno = error;
}

/* 6.2 7.2 A handler that interrupted kevent waits on the same queue, and gets the timer's next tick. */
TEST(handler_gets_the_tick, "6.2 7.2 1.9")
{
    enum { HANDLERS = 300 };
    struct sigaction action = {.sa_handler = wait_for_a_tick};
    struct itimerval often = {{0, 2501}, {0, 2501}}, never = {{0, 0}, {0, 0}};
    ticking = queue();
    change(ticking, 1, EVFILT_TIMER, EV_ADD, NOTE_USECONDS, 1000, 0xfeed);
    OK(sigaction(SIGALRM, &action, NULL));
    OK(setitimer(ITIMER_REAL, &often, NULL));
    while (ticks_in_handler < HANDLERS) {
        struct kevent ev[2];
        int count = kevent(ticking, NULL, 0, ev, 2, NULL);
        if (count == -1) {
            CHECK_EQ(errno, EINTR);
        } else {
            CHECK_EQ(count, 1);
            EXPECT_EVENT_ANY(ev[0], 1, EVFILT_TIMER, EV_ADD | EV_CLEAR, 0, 1, 0xfeed, DATA_AT_LEAST);
        }
    }
    OK(setitimer(ITIMER_REAL, &never, NULL));
}

/* ---- Many threads ------------------------------------------------------------------------------- */

/* Waits without a time-out: however long 300 threads take to start, none of them gives up. */
static void *wait_for_ever(void *argument)
{
    struct waiter *waiter = argument;
    CHECK_EQ(kevent(waiter->kq, NULL, 0, &waiter->ev, 1, NULL), 1);
    return NULL;
}

/* 10.2 close() of a queue does not wait for the 300 threads that wait on others; each then gets its event. */
TEST(close_beside_300_waiting_threads, "10.2 9.4")
{
    enum { THREADS = 300 };
    static struct thread threads[THREADS];
    static struct waiter waiters[THREADS];
    need_descriptors(4 * THREADS);
    for (int i = 0; i < THREADS; i++) {
        waiters[i].kq = queue();
        change(waiters[i].kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
        start(&threads[i], wait_for_ever, &waiters[i]);
    }
    for (int i = 0; i < THREADS; i++)
        until_asleep(&threads[i]);
    for (int round = 0; round < 20; round++) {
        int kq = queue();
        change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
        OK(close(kq));
        CHECK(!is_open(kq));
    }
    for (int i = 0; i < THREADS; i++)
        change(waiters[i].kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, i, 0xfeed);
    for (int i = 0; i < THREADS; i++) {
        join(&threads[i]);
        EXPECT_EVENT(waiters[i].ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, i, 0xfeed);
    }
}

/* ---- Cancellation ------------------------------------------------------------------------------- */

struct victim {
    int kq;
    int count; /* what kevent returned, or -2 */
    struct kevent ev[4];
};

/* Waits for an event; what it got once kevent has returned is kept. */
static void *wait_cancelled(void *argument)
{
    struct victim *victim = argument;
    victim->count = kevent(victim->kq, NULL, 0, victim->ev, 4, NULL);
    return NULL;
}

/* The one event: the cancelled waiter returned it, and only then, or it is still there. */
static struct kevent cancelled_waiters_event(struct victim *victim, const void *result)
{
    if (victim->count != -2) {
        CHECK(result == NULL);
        CHECK_EQ(victim->count, 1);
        return victim->ev[0];
    }
    struct kevent ev;
    CHECK(result == PTHREAD_CANCELED);
    wait_event(victim->kq, &ev);
    return ev;
}

/* Passes some time, a little more or less every time. */
static void spin(unsigned *seed, int most)
{
    for (volatile int left = rand_r(seed) % most; left > 0; left--)
        continue;
}

/*
 * One byte and a cancellation race, 1,000 times. An edge that a cancelled waiter left may come once more (BUGS.md).
 */
static void cancel_and_write(unsigned short mode)
{
    unsigned seed = 3;
    int kq = queue(), p[2];
    pipe_pair(p);
    int before = open_descriptors();
    for (int round = 0; round < 1000; round++) {
        struct victim victim = {.kq = kq, .count = -2};
        struct thread thread;
        if (round == 0 || mode == EV_ONESHOT)
            change(kq, p[0], EVFILT_READ, EV_ADD | mode, 0, 0, 0xfeed);
        start(&thread, wait_cancelled, &victim);
        if (round % 4 == 0)
            until_asleep(&thread);
        spin(&seed, 30000);
        if (rand_r(&seed) % 2) {
            put(p[1], 1);
            spin(&seed, 3000);
            OK0(pthread_cancel(thread.id));
        } else {
            OK0(pthread_cancel(thread.id));
            spin(&seed, 3000);
            put(p[1], 1);
        }
        void *result = join(&thread);
        struct kevent ev = cancelled_waiters_event(&victim, result);
        EXPECT_EVENT(ev, p[0], EVFILT_READ, EV_ADD | mode, 0, 1, 0xfeed);
        if (mode == EV_CLEAR && result == PTHREAD_CANCELED && readable(kq) &&
            OK(kevent(kq, NULL, 0, &ev, 1, &no_wait)) == 1)
            EXPECT_EVENT(ev, p[0], EVFILT_READ, EV_ADD | mode, 0, 1, 0xfeed);
        nothing(kq);
        if (mode == EV_ONESHOT)
            CHECK_EQ(change_errno(kq, p[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
        take(p[0], 1);
        nothing(kq);
    }
    OK(close(kq));
    CHECK_LE(open_descriptors(), before);
}

/* 1.13 2.7 A waiter that is cancelled takes no one-shot event with it. */
TEST_LIMIT(cancelled_waiter_loses_no_one_shot, "1.13 2.7", 60)
{
    cancel_and_write(EV_ONESHOT);
}

/* 1.13 6.1 Nor an expiry: one that the system has told of to nobody else. */
TEST_LIMIT(cancelled_waiter_loses_no_timer, "1.13 6.1", 60)
{
    unsigned seed = 5;
    int kq = queue();
    for (int round = 0; round < 1000; round++) {
        struct victim victim = {.kq = kq, .count = -2};
        struct thread thread;
        change(kq, 7, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 50 + rand_r(&seed) % 200, 0xfeed);
        start(&thread, wait_cancelled, &victim);
        spin(&seed, 60000);
        OK0(pthread_cancel(thread.id));
        struct kevent ev = cancelled_waiters_event(&victim, join(&thread));
        EXPECT_EVENT(ev, 7, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0xfeed);
        nothing(kq);
    }
}

/* 1.13 2.9 Nor an edge. */
TEST_LIMIT(cancelled_waiter_loses_no_edge, "1.13 2.9", 60)
{
    cancel_and_write(EV_CLEAR);
}

static void *close_cancelled(void *argument)
{
    OK0(pthread_cancel(pthread_self()));
    close(*(int *)argument);
    return NULL;
}

/* Calls close() with a cancellation pending; where that closed nothing, closes it now. The number is free then. */
static void cancel_close(int fd)
{
    struct thread thread;
    start(&thread, close_cancelled, &fd);
    join(&thread);
    if (is_open(fd))
        OK(close(fd));
}

/* 10.8 2.9 After a close() that was cancelled the number is as good as any: an edge of its next file comes once. */
TEST(cancelled_close_of_a_descriptor, "10.8 2.9")
{
    int kq = queue(), p[2], next[2];
    pipe_pair(p);
    change(kq, p[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    cancel_close(p[0]);
    nothing(kq);
    CHECK_EQ(change_errno(kq, p[0], EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
    pipe_pair(next);
    CHECK_EQ(next[0], p[0]);
    change(kq, next[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
    for (int size = 1; size <= 3; size++) {
        put(next[1], 1);
        EXPECT_NEXT(kq, next[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, size, 2);
        for (int call = 0; call < 1000; call++)
            nothing(kq);
    }
}

/* 10.3 After a cancelled close() of a queue, fork leaves the child the file that has the number now. */
TEST(cancelled_close_of_a_queue, "10.3 10.2")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
    cancel_close(kq);
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0), EBADF);
    int fd = OK(open("/dev/null", O_RDONLY));
    CHECK_EQ(fd, kq);
    pid_t child = OK(fork());
    if (child == 0) {
        CHECK(is_open(fd));
        _exit(0);
    }
    child_succeeds(child);
    CHECK(is_open(fd));
}

/* dup2() is no cancellation point; NULL where it failed. */
static void *replace_cancelled(void *argument)
{
    int fd = *(int *)argument, other = OK(open("/dev/null", O_RDONLY)), old;
    OK0(pthread_cancel(pthread_self()));
    int replaced = dup2(other, fd);
    OK0(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
    return replaced == fd ? argument : NULL;
}

#ifdef NOTE_FORK

/* 10.2 A queue that hears of forks is replaced, or closed, by a thread that has been cancelled: nothing of it stays. */
TEST(cancelled_dup2_over_a_queue_that_hears_of_forks, "10.2 8.5")
{
    int before = open_descriptors(), fd = queue();
    struct thread thread;
    watch_notes(fd, getpid(), EV_ADD, NOTE_FORK, 0);
    start(&thread, replace_cancelled, &fd);
    CHECK(join(&thread) == &fd);
    CHECK_EQ(change_errno(fd, 1, EVFILT_USER, EV_ADD, 0, 0, 0), EBADF);
    CHECK_EQ(open_descriptors(), before + 2);
    int kq = queue();
    watch_notes(kq, getpid(), EV_ADD, NOTE_FORK, 0);
    cancel_close(kq);
    CHECK_EQ(open_descriptors(), before + 2);
    CHECK_EQ(queue(), kq);
}

#endif

struct duplicator {
    int kq;
    atomic_int stop;
};

static void *poll_duplicates(void *argument)
{
    struct duplicator *duplicator = argument;
    while (!duplicator->stop) {
        int fd = OK(dup(duplicator->kq));
        nothing(fd);
        OK(close(fd));
    }
    return NULL;
}

/* 10.3 10.7 While a duplicate is recognised in one thread, another forks: the child gets nothing but the duplicate. */
TEST_LIMIT(fork_while_a_duplicate_is_recognised, "10.3 10.7", 30)
{
    int before = open_descriptors();
    struct duplicator duplicator = {.kq = queue()};
    struct thread thread;
    start(&thread, poll_duplicates, &duplicator);
    for (int round = 0; round < 300; round++) {
        pid_t child = OK(fork());
        if (child == 0) {
            CHECK_LE(open_descriptors(), before + 1);
            _exit(0);
        }
        child_succeeds(child);
    }
    duplicator.stop = 1;
    join(&thread);
}

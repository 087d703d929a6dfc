/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sections 1 and 10: a watched number that is closed by a raw system call, which no library can see, while a
 * duplicate keeps the file open. Nothing of it is reported, nothing spins, and all else goes on.
 */
#define SUITE "stale"
#include "suite.h"

#include "events.h"

#ifdef __linux__
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A queue with a pipe that lives on in `other`, a pipe that stays, and a user event; all their knotes. */
struct world {
    int kq;
    int other, writer;
    int number; /* what the closed end was */
    int stays[2];
};

enum { SIGN = 3 };

/* `mode` of the knote on the end that goes, which has data. */
static struct world world(unsigned short mode)
{
    struct world w;
    int fds[2];
    w.kq = queue();
    pipe_pair(fds);
    pipe_pair(w.stays);
    w.number = fds[0];
    w.writer = fds[1];
    w.other = OK(dup(fds[0]));
    change(w.kq, w.number, EVFILT_READ, EV_ADD | mode, 0, 0, 1);
    change(w.kq, w.stays[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    change(w.kq, SIGN, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    return w;
}

/* Closes the watched end round everybody; the file has data. */
static void close_round(struct world *w)
{
    OK(syscall(SYS_close, w->number));
    put(w->writer, 1);
}

/* Polls until it sleeps: what was readable, kevent() has nothing to say of. It does not go on like that. */
static void poll_falls_asleep(int kq)
{
    struct pollfd entry = {kq, POLLIN, 0};
    for (int turn = 0; turn < 100; turn++) {
        if (OK(poll(&entry, 1, 50)) == 0)
            return;
        nothing(kq);
    }
    FAIL("poll() calls the queue readable for ever");
}

/* What stays is reported as ever. */
static void goes_on(struct world *w)
{
    put(w->stays[1], 3);
    EXPECT_NEXT(w->kq, w->stays[0], EVFILT_READ, EV_ADD, 0, 3, 2);
    CHECK(readable(w->kq));
    take(w->stays[0], 3);
    change(w->kq, SIGN, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
    EXPECT_NEXT(w->kq, SIGN, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    nothing(w->kq);
    CHECK(!readable(w->kq));
}

/* 10.5 A kevent() that waits does not turn over a file that lives on in a duplicate. */
TEST(kevent_sleeps, "10.5 1.14")
{
    struct world w = world(0);
    close_round(&w);
    sleeps(w.kq);
    goes_on(&w);
}

/* 10.5 poll() of the queue does not, either. */
TEST(poll_sleeps, "10.5")
{
    struct world w = world(0);
    close_round(&w);
    poll_falls_asleep(w.kq);
    goes_on(&w);
}

/* 2.9 The same with an edge, which is told once and then not again. */
TEST(edge_is_not_told_again, "10.5 2.9")
{
    struct world w = world(EV_CLEAR);
    close_round(&w);
    sleeps(w.kq);
    put(w.writer, 1);
    sleeps(w.kq);
    goes_on(&w);
}

/* 10.8 The number comes back as another file, and is not watched: nothing is reported under it. */
TEST(number_comes_back_unwatched, "10.8 10.5")
{
    struct world w = world(0);
    int fds[2];
    close_round(&w);
    pipe_pair(fds);
    CHECK_EQ(fds[0], w.number);
    sleeps(w.kq);
    goes_on(&w);
}

/* 2.11 Both knotes of a descriptor, in different modes, and so in two items of the kernel's. */
TEST(both_knotes_of_a_socket, "10.5 2.11")
{
    struct world w = world(0);
    int fds[2];
    socket_pair(fds);
    OK(dup(fds[0]));
    put(fds[1], 1);
    change(w.kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 4);
    change(w.kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 5);
    OK(syscall(SYS_close, fds[0]));
    sleeps(w.kq);
    poll_falls_asleep(w.kq);
    goes_on(&w);
}

static _Atomic int signs;

static void *wait_for_sign(void *argument)
{
    struct world *w = argument;
    struct kevent ev;
    wait_event(w->kq, &ev);
    EXPECT_EVENT(ev, SIGN, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    signs++;
    return NULL;
}

/* 9.4 Threads that wait meanwhile are woken as ever. */
TEST(waiters_are_woken, "9.4 10.5")
{
    struct world w = world(0);
    struct thread threads[3];
    for (int i = 0; i < 3; i++)
        start(&threads[i], wait_for_sign, &w);
    for (int i = 0; i < 3; i++)
        until_asleep(&threads[i]);
    close_round(&w);
    poll_falls_asleep(w.kq);
    for (int i = 0; i < 3; i++) {
        change(w.kq, SIGN, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
        while (signs <= i) /* triggers that nobody has taken merge (9.3) */
            sched_yield();
    }
    for (int i = 0; i < 3; i++)
        join(&threads[i]);
}

static void *poll_for_ever(void *argument)
{
    struct world *w = argument;
    struct pollfd entry = {w->kq, POLLIN, 0};
    struct kevent ev;
    struct timespec at_once = {0, 0};
    do
        OK(poll(&entry, 1, -1));
    while (OK(kevent(w->kq, NULL, 0, &ev, 1, &at_once)) == 0);
    EXPECT_EVENT(ev, SIGN, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    return NULL;
}

/* 10.5 A thread that polls the queue meanwhile does not sleep on. */
TEST(pollers_are_woken, "10.5")
{
    struct world w = world(0);
    struct thread thread;
    start(&thread, poll_for_ever, &w);
    until_asleep(&thread);
    close_round(&w);
    sleeps(w.kq);
    change(w.kq, SIGN, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
    join(&thread);
}

/* 3.8 A kqueue that watches the queue hears of it afterwards. */
TEST(outer_queue_hears_on, "3.8 10.5")
{
    struct world w = world(0);
    int outer = queue();
    change(outer, w.kq, EVFILT_READ, EV_ADD, 0, 0, 8);
    close_round(&w);
    sleeps(w.kq);
    nothing(outer);
    sleeps(outer);
    put(w.stays[1], 1);
    EXPECT_NEXT_ANY(outer, w.kq, EVFILT_READ, EV_ADD, 0, 1, 8, DATA_AT_LEAST);
}

/* 10.7 A duplicate of the queue's descriptor is the same queue still. */
TEST(duplicate_is_the_same_queue, "10.7")
{
    struct world w = world(0);
    int same = OK(dup(w.kq));
    nothing(same);
    close_round(&w);
    sleeps(same);
    poll_falls_asleep(same);
    put(w.stays[1], 2);
    EXPECT_NEXT(same, w.stays[0], EVFILT_READ, EV_ADD, 0, 2, 2);
    CHECK(readable(same));
    CHECK(readable(w.kq));
}

/* 10.5 With no descriptor left to help, kevent() still does not burn the processor. */
TEST(without_descriptors, "10.5 1.1")
{
    struct world w = world(0);
    struct rlimit limit;
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 3;
    close_round(&w);
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    sleeps(w.kq);
    limit.rlim_cur = limit.rlim_max;
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    sleeps(w.kq);
    goes_on(&w);
}

/* 8.2 6.2 Processes and timers are watched on. */
TEST(processes_and_timers_go_on, "8.2 6.2")
{
    struct world w = world(0);
    int fds[2];
    pipe_pair(fds);
    pid_t child = OK(fork());
    if (child == 0) {
        char byte;
        close(fds[1]);
        _exit(read(fds[0], &byte, 1) == 0 ? 4 : 5);
    }
    change(w.kq, child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 6);
    change(w.kq, 5, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 1, 7);
    close_round(&w);
    poll_falls_asleep(w.kq);
    close(fds[1]);
    EXPECT_NEXT(w.kq, child, EVFILT_PROC, EV_ADD | EV_EOF | EV_ONESHOT | EV_CLEAR, NOTE_EXIT, 4 << 8, 6);
    EXPECT_NEXT(w.kq, 5, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 7);
    goes_on(&w);
}

/* 10.1 A child of a raw fork keeps the file; the parent closes its number and serves others. */
TEST(file_lives_on_in_a_child, "10.1 10.5")
{
    struct world w = world(0);
    int fds[2];
    pipe_pair(fds);
    pid_t child = OK(fork());
    if (child == 0) {
        char byte;
        close(fds[1]);
        _exit(read(fds[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(w.other);
    close_round(&w);
    sleeps(w.kq);
    poll_falls_asleep(w.kq);
    goes_on(&w);
    close(fds[1]);
    child_succeeds(child);
}
#endif

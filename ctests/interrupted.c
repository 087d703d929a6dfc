/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signal handlers that interrupt a kevent() under the lock of its kqueue (7.2, 9.4; BUGS.md, "Signal handlers"): the
 * call makes a system call then, epoll_ctl(), and that is this file's, which lets the handler run. So each case
 * interrupts where it means to, and always.
 */
#define SUITE "interrupted"
#include "suite.h"

#ifdef __linux__

#include "events.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

/* What the next epoll_ctl() of the library does before anything else. */
static void (*_Atomic interrupt)(void);

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    void (*now)(void) = atomic_exchange(&interrupt, NULL);
    if (now)
        now();
    return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

static int kq;
static struct kevent changes[32];
static int change_count;
static int room; /* in the handler's eventlist */
static int result, error;
static atomic_int ran;

static void handle(int signo)
{
    struct kevent ev[4];
    (void)signo;
    errno = 0;
    result = kevent(kq, changes, change_count, ev, room, NULL);
    error = errno;
    atomic_fetch_add(&ran, 1);
}

static void raise_here(void)
{
    raise(SIGUSR1);
}

static int pipes[2];

/* A kqueue with user events 1 to `count`, a pipe that is not watched yet, and the handler. */
static void prepare(int count)
{
    struct sigaction action = {.sa_handler = handle};
    if (strcmp(suite_backend(), "linux") != 0)
        SKIP("nothing calls epoll_ctl() there");
    kq = queue();
    pipe_pair(pipes);
    put(pipes[1], 1);
    for (int i = 1; i <= count; i++)
        change(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    OK(sigaction(SIGUSR1, &action, NULL));
    change_count = room = 0;
}

static void will_change(struct kevent wish)
{
    changes[change_count++] = wish;
}

/* Watches the pipe, and is interrupted: the handler's call ended so. */
static void interrupted(int expected, int expected_error)
{
    int before = atomic_load(&ran);
    atomic_store(&interrupt, raise_here);
    change(kq, pipes[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 0x99);
    change(kq, pipes[0], EVFILT_READ, EV_ENABLE, 0, 0, 0x99);
    /* (Where nothing was armed there was no epoll_ctl.) */
    CHECK_EQ(atomic_load(&ran), before + 1);
    CHECK_EQ(result, expected);
    if (expected == -1)
        CHECK_EQ(error, expected_error);
    change(kq, pipes[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
}

/* 9.4 A trigger is kept until the interrupted call is done, whole: fflags, data, udata. */
TEST(trigger_is_kept_whole, "9.4 9.1 9.2 7.2")
{
    prepare(2);
    will_change(EVENT(2, EVFILT_USER, 0, NOTE_TRIGGER | NOTE_FFCOPY | 0x55, 77, 0xab));
    interrupted(0, 0);
    CHECK(readable(kq));
    EXPECT_NEXT(kq, 2, EVFILT_USER, EV_ADD | EV_CLEAR, 0x55, 77, 0xab);
    nothing(kq);
}

/* 1.10 System flags in it are ignored, as in every change. */
TEST(system_flags_are_ignored, "1.10 9.4")
{
    prepare(1);
    will_change(EVENT(1, EVFILT_USER, EV_SYSFLAGS, NOTE_TRIGGER, 0, 0xac));
    interrupted(0, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xac);
    nothing(kq);
}

/* 9.4 Sixteen are kept, again and again; one more is EDEADLK, and takes none of them away. */
TEST(sixteen_triggers_are_kept, "9.4 9.3")
{
    struct kevent ev[20];
    prepare(17);
    for (int time = 0; time < 6; time++) {
        change_count = 0;
        for (int i = 1; i <= 16; i++)
            will_change(EVENT(i, EVFILT_USER, 0, NOTE_TRIGGER, i * 10, 0x100 + i));
        if (time == 5)
            will_change(EVENT(17, EVFILT_USER, 0, NOTE_TRIGGER, 170, 0x111));
        if (time == 5)
            interrupted(-1, EDEADLK);
        else
            interrupted(0, 0);
        CHECK_EQ(kevent(kq, NULL, 0, ev, 20, NULL), 16);
        for (int i = 1; i <= 16; i++)
            EXPECT_EVENT(*find_event(ev, 16, i, EVFILT_USER), i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, i * 10, 0x100 + i);
        nothing(kq);
    }
}

/* 9.4 Of a user event that is not there nobody is told; nothing comes of it. */
TEST(trigger_of_nothing, "9.4 2.4")
{
    prepare(1);
    will_change(EVENT(5, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0));
    interrupted(0, 0);
    nothing(kq);
    CHECK_EQ(change_errno(kq, 5, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
}

/* What is no trigger alone is EDEADLK, before the first change: also what would be one is not made then. */
TEST(all_else_is_edeadlk, "1.2 7.2")
{
    const struct kevent others[] = {
        EVENT(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0),
        EVENT(1, EVFILT_USER, EV_ENABLE, NOTE_TRIGGER, 0, 0),
        EVENT(1, EVFILT_USER, EV_CLEAR, NOTE_TRIGGER, 0, 0),
        EVENT(1, EVFILT_USER, EV_DELETE, 0, 0, 0),
        EVENT(1, EVFILT_USER, 0, 0x33, 0, 0),
        EVENT(1, EVFILT_TIMER, 0, NOTE_TRIGGER, 0, 0),
        EVENT(3, EVFILT_TIMER, EV_ADD, 0, 1, 0),
        EVENT(pipes[1], EVFILT_WRITE, EV_ADD, 0, 0, 0),
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        for (int second = 0; second < 2; second++) {
            prepare(2);
            if (second)
                will_change(EVENT(2, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0));
            will_change(others[i]);
            interrupted(-1, EDEADLK);
            nothing(kq);
            change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
            OK(close(kq));
        }
    }
}

/* To collect there is EDEADLK, also with nothing but triggers to make. */
TEST(collecting_is_edeadlk, "1.2 7.2")
{
    for (int triggers = 0; triggers < 2; triggers++) {
        prepare(1);
        room = 4;
        if (triggers)
            will_change(EVENT(1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0));
        interrupted(-1, EDEADLK);
        nothing(kq);
    }
}

/* 9.4 It wakes a thread that waits. */
TEST(trigger_wakes_a_waiter, "9.4")
{
    struct waiter waiter;
    struct thread thread = {0};
    prepare(1);
    waiter.kq = kq;
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    will_change(EVENT(1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0xad));
    atomic_store(&interrupt, raise_here);
    change(kq, pipes[1], EVFILT_READ, EV_ADD, 0, 0, 0);
    CHECK_EQ(result, 0);
    join(&thread);
    EXPECT_EVENT(waiter.ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xad);
    nothing(kq);
}

static int other;

static void change_the_other(int signo)
{
    (void)signo;
    struct kevent wish = EVENT(7, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 5, 0xae);
    result = kevent(other, &wish, 1, NULL, 0, NULL);
    atomic_fetch_add(&ran, 1);
}

/* 7.2 Another kqueue is the handler's to use. */
TEST(another_kqueue, "7.2 1.2")
{
    struct sigaction action = {.sa_handler = change_the_other};
    prepare(1);
    other = queue();
    OK(sigaction(SIGUSR1, &action, NULL));
    interrupted(0, 0);
    EXPECT_NEXT(other, 7, EVFILT_USER, EV_ADD, 0, 5, 0xae);
    nothing(kq);
}

static pid_t child;

static void fork_here(int signo)
{
    struct kevent trigger = EVENT(1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0xaf);
    (void)signo;
    result = kevent(kq, &trigger, 1, NULL, 0, NULL);
    child = fork();
    if (child == 0) {
        /* 10.3 What was kept is the parent's: a kqueue of the child's own gets none of it. */
        int mine = queue();
        for (int i = 0; i < 70; i++) {
            change(mine, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
            nothing(mine);
            OK(close(mine));
            mine = queue();
        }
        _exit(0);
    }
    atomic_fetch_add(&ran, 1);
}

/* 10.3 A handler that interrupts a kevent() and has a child. */
TEST(fork_with_a_trigger_kept, "10.3 9.4")
{
    struct sigaction action = {.sa_handler = fork_here};
    prepare(1);
    OK(sigaction(SIGUSR1, &action, NULL));
    interrupted(0, 0);
    child_succeeds(child);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0xaf);
    nothing(kq);
}

static sem_t inside, leave;
static atomic_int left;

static void stay(void)
{
    sem_post(&inside);
    while (sem_wait(&leave) == -1)
        continue;
    atomic_store(&left, 1);
}

static void *watch_and_stay(void *argument)
{
    struct kevent wish = EVENT(pipes[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    (void)argument;
    atomic_store(&interrupt, stay);
    kevent(kq, &wish, 1, NULL, 0, NULL);
    return NULL;
}

static void *drain(void *argument)
{
    (void)argument;
    libkqueue_drain_pending_close();
    return (void *)(intptr_t)atomic_load(&left);
}

/* 11 libkqueue_drain_pending_close() waits for a closed kqueue that a thread is still in. */
TEST(draining_waits_for_who_is_inside, "10.2 11")
{
    struct thread staying = {0}, draining = {0};
    prepare(0);
    OK(sem_init(&inside, 0, 0));
    OK(sem_init(&leave, 0, 0));
    start(&staying, watch_and_stay, NULL);
    OK(sem_wait(&inside));
    OK(close(kq));
    start(&draining, drain, NULL);
    poll(NULL, 0, 50); /* It holds if the other is not that far yet, too. */
    OK(sem_post(&leave));
    join(&staying);
    CHECK_EQ((intptr_t)join(&draining), 1);
}

#endif

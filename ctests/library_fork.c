/* SPDX-License-Identifier: BSD-2-Clause */
/* Section 10.6: NOTE_FORK_CLEANUP 0, which leaves the child of a fork the kqueues of its parent. */
#define SUITE "library_fork"
#include "suite.h"

#include "events.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#ifdef EVFILT_LIBKQUEUE
static const struct timespec no_wait = {0, 0};

static void clean_up(int kq, int yes)
{
    change(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_FORK_CLEANUP, yes, 0);
}

static void catch_it(int number)
{
    (void)number;
}

/* Descriptors of a queue that has something of every filter. */
struct busy {
    int kq;
    int fds[2];
    int inner;
};

static void fill(struct busy *busy)
{
    busy->kq = queue();
    busy->inner = queue();
    socket_pair(busy->fds);
    change(busy->kq, busy->fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(busy->kq, busy->fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR | EV_DISABLE, 0, 0, 2);
    change(busy->kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    change(busy->kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 3600, 4);
    change(busy->kq, busy->inner, EVFILT_READ, EV_ADD, 0, 0, 5);
    change(busy->inner, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 6);
    change(busy->kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 7);
    change(busy->kq, SIGUSR2, EVFILT_SIGNAL, EV_ADD, 0, 0, 8);
}

static void works(struct busy *busy)
{
    int kq = busy->kq;
    nothing(kq);
    put(busy->fds[1], 3);
    EXPECT_NEXT(kq, busy->fds[0], EVFILT_READ, EV_ADD, 0, 3, 1);
    take(busy->fds[0], 3);
    change(kq, busy->fds[0], EVFILT_WRITE, EV_ENABLE, 0, 0, 2);
    EXPECT_NEXT_ANY(kq, busy->fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 2, DATA_AT_LEAST);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 4);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 4);
    change(busy->inner, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 6);
    EXPECT_NEXT_ANY(kq, busy->inner, EVFILT_READ, EV_ADD, 0, 1, 5, DATA_AT_LEAST);
    EXPECT_NEXT(busy->inner, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 6);
    OK(raise(SIGUSR1));
    EXPECT_NEXT(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 7);
    OK(raise(SIGUSR2));
    EXPECT_NEXT(kq, SIGUSR2, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 8);
    nothing(kq);
}

/* SIGUSR2 is blocked, SIGUSR1 has a handler: the two ways in which signals are heard of. */
static void prepare_signals(void)
{
    sigset_t set;
    struct sigaction action = {.sa_handler = catch_it};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    OK(sigprocmask(SIG_BLOCK, &set, NULL));
    OK(sigaction(SIGUSR1, &action, NULL));
}

/* 10.6 Nothing is closed in the child, and it may use the kqueues as they were: a daemon goes on with them. */
TEST(child_goes_on_with_the_queues, "10.6")
{
    struct busy busy;
    prepare_signals();
    fill(&busy);
    clean_up(busy.kq, 0);
    int before = open_descriptors();
    pid_t pid = OK(fork());
    if (pid == 0) {
        CHECK_EQ(open_descriptors(), before);
        works(&busy);
        struct busy own;
        fill(&own);
        nothing(busy.kq);
        OK(close(busy.kq));
        change(own.kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
        CHECK(!is_open(busy.kq));
        _exit(0);
    }
    child_succeeds(pid);
}

/* 10.6 A grandchild as well: daemons fork twice. */
TEST(grandchild_goes_on_with_the_queues, "10.6")
{
    struct busy busy;
    prepare_signals();
    fill(&busy);
    clean_up(busy.kq, 0);
    pid_t pid = OK(fork());
    if (pid == 0) {
        pid = OK(fork());
        if (pid == 0) {
            works(&busy);
            _exit(0);
        }
        child_succeeds(pid);
        _exit(0);
    }
    child_succeeds(pid);
}

/* 10.6 A child that closes everything, puts other files in place and leaves takes nothing from the parent. */
TEST(child_takes_nothing_along, "10.6")
{
    struct busy busy;
    prepare_signals();
    fill(&busy);
    clean_up(busy.kq, 0);
    pid_t pid = OK(fork());
    if (pid == 0) {
        int null = OK(open("/dev/null", O_RDWR));
        struct sigaction action;
        OK(sigaction(SIGUSR1, NULL, &action));
        CHECK(action.sa_handler == catch_it);
        OK(dup2(null, busy.fds[0]));
        for (int fd = 3; fd < 1024; fd++)
            if (fd % 2 == 0)
                dup2(null, fd);
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
        CHECK_ERRNO(kevent(busy.kq, NULL, 0, &(struct kevent){0}, 1, &no_wait), EBADF);
        _exit(0);
    }
    child_succeeds(pid);
    works(&busy);
}

/* 10.6 10.1 What the child closed before it used the kqueue is not reported in it. */
TEST(child_closes_a_descriptor_first, "10.6 10.1")
{
    struct busy busy;
    fill(&busy);
    clean_up(busy.kq, 0);
    put(busy.fds[1], 1);
    pid_t pid = OK(fork());
    if (pid == 0) {
        OK(close(busy.fds[0]));
        nothing(busy.kq);
        CHECK_EQ(change_errno(busy.kq, busy.fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
        change(busy.kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
        EXPECT_NEXT(busy.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
        _exit(0);
    }
    child_succeeds(pid);
}

/* 10.6 What came before the fork is reported in the child; signals were the parent's. */
TEST(pending_events_are_the_childs, "10.6")
{
    struct busy busy;
    prepare_signals();
    fill(&busy);
    clean_up(busy.kq, 0);
    change(busy.kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
    OK(raise(SIGUSR1));
    pid_t pid = OK(fork());
    if (pid == 0) {
        EXPECT_NEXT(busy.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
        nothing(busy.kq);
        _exit(0);
    }
    child_succeeds(pid);
}

/* 10.6 With 1 again all kqueues are closed in the child. */
TEST(cleanup_again, "10.6 10.3")
{
    struct busy busy;
    int before = open_descriptors();
    fill(&busy);
    int descriptors = open_descriptors();
    clean_up(busy.kq, 0);
    pid_t pid = OK(fork());
    if (pid == 0) {
        CHECK_EQ(open_descriptors(), descriptors);
        clean_up(busy.kq, 1); /* by the child, for its own */
        pid = OK(fork());
        if (pid == 0) {
            CHECK(!is_open(busy.kq));
            CHECK(!is_open(busy.inner));
            CHECK_EQ(open_descriptors(), before + 2); /* the pair of sockets */
            _exit(0);
        }
        child_succeeds(pid);
        _exit(0);
    }
    child_succeeds(pid);
    clean_up(busy.kq, 1);
    pid = OK(fork());
    if (pid == 0) {
        CHECK(!is_open(busy.kq));
        CHECK_ERRNO(kevent(busy.kq, NULL, 0, &(struct kevent){0}, 1, &no_wait), EBADF);
        _exit(0);
    }
    child_succeeds(pid);
}

static void *change_for_ever(void *argument)
{
    for (;;)
        change(*(int *)argument, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 3);
    return NULL;
}

/* 10.6 A kqueue that another thread is just changing is whole in the child, or EBADF; never a hang. */
TEST(fork_while_another_thread_changes, "10.6")
{
    struct thread thread;
    int kq = queue(), other = queue();
    change(other, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    clean_up(kq, 0);
    start(&thread, change_for_ever, &kq);
    for (int i = 0; i < 200; i++) {
        pid_t pid = OK(fork());
        if (pid == 0) {
            struct kevent ev[2], trigger = EVENT(1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 3);
            alarm(8);
            int n = kevent(kq, &trigger, 1, ev, 2, NULL);
            CHECK(n == 1 || (n == -1 && errno == EBADF));
            trigger.flags = 0;
            CHECK_EQ(kevent(other, &trigger, 1, ev, 2, NULL), 1);
            _exit(0);
        }
        child_succeeds(pid);
    }
}
#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork and its kin out of a process whose threads contend on kqueues, make them, and open files of their own (10.3):
 * no child hangs or has a descriptor of the library's, and nobody closes what is the application's.
 */
#define SUITE "stress"
#include "suite.h"

#ifdef __linux__

#include "events.h"
#include "stress.h"
#include "together.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const struct timespec no_wait = {0, 0};

static atomic_int stop;

/* ---- The parent's threads ----------------------------------------------------------------------- */

static void contend(int kq, int ident)
{
    struct kevent ev[4];
    change(kq, ident, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0);
    OK(kevent(kq, NULL, 0, ev, 4, &no_wait));
    change(kq, ident, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 100, 0);
    change(kq, ident, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
}

struct hand {
    int kq;
    int ident;
};

static void *contend_for_ever(void *argument)
{
    struct hand *hand = argument;
    while (!stop)
        contend(hand->kq, hand->ident);
    return NULL;
}

/* Makes queues with helpers of every kind, and closes them. */
static void *make_queues(void *argument)
{
    int fds[2];
    (void)argument;
    pipe_pair(fds);
    while (!stop) {
        int kq = queue();
        change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
        change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 100, 0);
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
        OK(close(kq));
    }
    OK(close(fds[0]));
    OK(close(fds[1]));
    return NULL;
}

/* Opens files under whatever number is free: each is the one that was opened until it is closed here. */
static void *open_and_close(void *argument)
{
    (void)argument;
    while (!stop) {
        struct stat status;
        int fd = OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
        sched_yield();
        OK(fstat(fd, &status));
        CHECK(S_ISCHR(status.st_mode));
        OK(close(fd));
    }
    return NULL;
}

enum { THREADS = 4, OWN = 16 };

struct parent {
    struct thread threads[THREADS];
    struct hand hands[2];
    int kq;
    int watched[2];
    int own[OWN]; /* the application's, at low numbers and at high ones */
};

static void begin(struct parent *parent)
{
    parent->kq = queue();
    pipe_pair(parent->watched);
    change(parent->kq, parent->watched[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    for (int i = 0; i < OWN; i++) {
        int fd = OK(open("own", O_RDWR | O_CREAT, 0600));
        parent->own[i] = i % 2 ? OK(fcntl(fd, F_DUPFD, 300 + 37 * i)) : fd;
        if (i % 2)
            OK(close(fd));
    }
    for (int i = 0; i < 2; i++) {
        parent->hands[i] = (struct hand){parent->kq, i};
        start(&parent->threads[i], contend_for_ever, &parent->hands[i]);
    }
    start(&parent->threads[2], make_queues, NULL);
    start(&parent->threads[3], open_and_close, NULL);
}

/* Every descriptor of the application's is the file that it was. */
static void owns_its_own(const struct parent *parent)
{
    struct stat want, status;
    OK(stat("own", &want));
    for (int i = 0; i < OWN; i++) {
        OK(fstat(parent->own[i], &status));
        CHECK_EQ(status.st_ino, want.st_ino);
    }
    CHECK(is_open(parent->watched[0]));
    CHECK(is_open(parent->watched[1]));
}

static void end(struct parent *parent)
{
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        join(&parent->threads[i]);
    owns_its_own(parent);
    struct kevent ev[8];
    for (int i = 0; i < 2; i++)
        change_errno(parent->kq, i, EVFILT_USER, EV_DELETE, 0, 0, 0);
    while (OK(kevent(parent->kq, NULL, 0, ev, 8, &no_wait)) != 0)
        continue;
    put(parent->watched[1], 3);
    EXPECT_NEXT(parent->kq, parent->watched[0], EVFILT_READ, EV_ADD, 0, 3, 1);
    OK(close(parent->kq));
    CHECK_EQ(queue_parts(), 0);
}

/* ---- Children of fork --------------------------------------------------------------------------- */

static void *contend_a_while(void *argument)
{
    struct hand *hand = argument;
    for (int i = 0; i < 100; i++) {
        contend(hand->kq, hand->ident);
        if (i % 20 == 0) {
            int kq = queue();
            contend(kq, 1);
            OK(close(kq));
        }
    }
    return NULL;
}

static void live_as_a_child(const struct parent *parent, int round)
{
    struct kevent ev[2];
    struct hand hands[2];
    struct thread threads[2];
    alarm(120 * (unsigned)patience());
    CHECK_EQ(queue_parts(), 0);
    CHECK(!is_open(parent->kq));
    CHECK_ERRNO(kevent(parent->kq, NULL, 0, ev, 2, &no_wait), EBADF);
    owns_its_own(parent);
    int kq = queue();
    for (int i = 0; i < 2; i++) {
        hands[i] = (struct hand){kq, i};
        start(&threads[i], contend_a_while, &hands[i]);
    }
    for (int i = 0; i < 2; i++)
        join(&threads[i]);
    change(kq, parent->watched[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    OK(close(kq));
    CHECK_EQ(queue_parts(), 0);
    owns_its_own(parent);
    if (round % 2)
        for (int fd = 3; fd < 1100; fd++)
            close(fd);
    _exit(0);
}

/* 10.3 Children of a parent whose threads contend on queues, each with threads that contend on its own. */
TEST_LIMIT(children_of_contending_threads, "10.3", FULL_LIMIT)
{
    static struct parent parent;
    begin(&parent);
    int last = rounds(60, 2000);
    for (int round = 0; round < last; round++) {
        pid_t pid = OK(fork());
        if (pid == 0)
            live_as_a_child(&parent, round);
        child_succeeds(pid);
        owns_its_own(&parent);
    }
    end(&parent);
    were_together(5);
}

/* ---- Children that no handler is called for ----------------------------------------------------- */

HELPER(parts_of_queues)
{
    (void)argument;
    return queue_parts();
}

static char *const in_the_program[] = {(char *)"conformance", (char *)"--helper", (char *)"parts_of_queues", (char *)"",
                                       NULL};

/* Closes what it finds, the parent's queues and what they work with among it, and opens other things there: system calls
 * alone. */
static void close_numbers(const struct parent *parent)
{
    close(parent->kq);
    close(parent->watched[0]);
    dup2(parent->watched[1], parent->kq);
    for (int fd = 512; fd < 520; fd++)
        dup2(parent->watched[1], fd);
    for (int fd = 3; fd < 530; fd++)
        close(fd);
}

/* vfork()'s child shares the memory: it does the same by the same close(), which has to know that. */
static pid_t beget_by_vfork(const struct parent *parent)
{
    pid_t pid = vfork();
    if (pid == 0) {
        close_numbers(parent);
        _exit(0);
    }
    return pid;
}

static pid_t beget(const struct parent *parent, int how)
{
    extern char **environ;
    const char *path = helper_path();
    pid_t pid;
    switch (how) {
    case 0:
        return beget_by_vfork(parent);
    case 1:
        OK0(posix_spawn(&pid, path, NULL, NULL, in_the_program, environ));
        return pid;
    case 2:
        pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        break;
    case 3:
        pid = _Fork();
        break;
    default:
        pid = vfork();
        if (pid == 0) {
            execv(path, in_the_program);
            _exit(99);
        }
        return pid;
    }
    if (pid == 0) {
        close_numbers(parent);
        _exit(0);
    }
    return pid;
}

/* 10.3 10.4 vfork, posix_spawn, a raw clone and _Fork harm nothing, whatever numbers their children close. */
TEST_LIMIT(other_ways_to_have_children, "10.3 10.4", FULL_LIMIT)
{
    static struct parent parent;
    begin(&parent);
    int last = rounds(100, 2000);
    for (int round = 0; round < last; round++) {
        int quiet = queue(), fds[2];
        pipe_pair(fds);
        change(quiet, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 7);
        change(quiet, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 8);
        child_succeeds(OK(beget(&parent, round % 5)));
        owns_its_own(&parent);
        put(fds[1], 2);
        EXPECT_NEXT(quiet, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 2, 7);
        change(quiet, 1, EVFILT_USER, 0, NOTE_TRIGGER, round, 8);
        EXPECT_NEXT(quiet, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, round, 8);
        OK(close(fds[0]));
        OK(close(fds[1]));
        OK(close(quiet));
    }
    end(&parent);
    were_together(5);
}

#endif

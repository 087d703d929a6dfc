/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_PROC. By hand: a pidfd in an epoll, and waitid() that leaves the child to be reaped.
 */
#include "bench.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include <signal.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { CHILDREN = 500, STATUS = 7 };

struct family {
    int queue;
    pid_t child;
    pid_t children[CHILDREN];
    int pidfds[CHILDREN];
    int gate[2], there[2];
};

static int pidfd(pid_t pid)
{
    return OK(syscall(SYS_pidfd_open, pid, 0));
}

static pid_t waiting_child(void)
{
    int pid = OK(fork());
    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static void raw_comes_and_goes(void *state, long n)
{
    struct family *family = state;
    while (n-- > 0) {
        int fd = pidfd(family->child);
        control(family->queue, EPOLL_CTL_ADD, fd, EPOLLIN);
        OK(close(fd));
    }
}

static void kq_comes_and_goes(void *state, long n)
{
    struct family *family = state;
    while (n-- > 0) {
        change(family->queue, (uintptr_t)family->child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0);
        change(family->queue, (uintptr_t)family->child, EVFILT_PROC, EV_DELETE, 0, 0);
    }
}

static void raw_add_delete(const struct row *row)
{
    (void)row;
    struct family family = {.queue = OK(epoll_create1(EPOLL_CLOEXEC)), .child = waiting_child()};
    measure(raw_comes_and_goes, &family);
    OK(kill(family.child, SIGKILL));
}

static void kq_add_delete(const struct row *row)
{
    (void)row;
    struct family family = {.queue = OK(kqueue()), .child = waiting_child()};
    measure(kq_comes_and_goes, &family);
    OK(kill(family.child, SIGKILL));
}

/* Children that wait for the gate to open and then exit, all at once. Returns when all of them are there. */
static void raise_children(struct family *family)
{
    OK(pipe(family->gate));
    OK(pipe(family->there));
    for (int i = 0; i < CHILDREN; i++) {
        family->children[i] = OK(fork());
        if (family->children[i] == 0) {
            char byte;
            close(family->gate[1]);
            put_byte(family->there[1]);
            _exit(read(family->gate[0], &byte, 1) == 0 ? STATUS : 1);
        }
    }
    for (int i = 0; i < CHILDREN; i++)
        take_byte(family->there[0]);
    OK(close(family->gate[0]));
    OK(close(family->there[0]));
    OK(close(family->there[1]));
}

static void bury_children(struct family *family)
{
    for (int i = 0; i < CHILDREN; i++) {
        int status;
        CHECK(waitpid(family->children[i], &status, 0) == family->children[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == STATUS);
    }
}

static void raw_exits(void *state, long n)
{
    struct family *family = state;
    while (n-- > 0) {
        raise_children(family);
        for (int i = 0; i < CHILDREN; i++) {
            struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)i};
            family->pidfds[i] = pidfd(family->children[i]);
            OK(epoll_ctl(family->queue, EPOLL_CTL_ADD, family->pidfds[i], &event));
        }
        clock_on();
        OK(close(family->gate[1]));
        for (int left = CHILDREN; left > 0;) {
            struct epoll_event events[CHILDREN];
            int count = OK(epoll_wait(family->queue, events, CHILDREN, -1));
            for (int i = 0; i < count; i++) {
                siginfo_t info;
                int fd = family->pidfds[events[i].data.u64];
                OK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT));
                CHECK(info.si_pid == family->children[events[i].data.u64] && info.si_status == STATUS);
                OK(close(fd));
            }
            left -= count;
        }
        clock_off();
        bury_children(family);
    }
}

static void kq_exits(void *state, long n)
{
    struct family *family = state;
    while (n-- > 0) {
        raise_children(family);
        for (int i = 0; i < CHILDREN; i++)
            change(family->queue, (uintptr_t)family->children[i], EVFILT_PROC, EV_ADD, NOTE_EXIT, 0);
        clock_on();
        OK(close(family->gate[1]));
        for (int left = CHILDREN; left > 0;) {
            struct kevent events[CHILDREN];
            int count = OK(kevent(family->queue, NULL, 0, events, CHILDREN, NULL));
            for (int i = 0; i < count; i++) {
                CHECK(events[i].filter == EVFILT_PROC && events[i].fflags == NOTE_EXIT);
                CHECK(WIFEXITED(events[i].data) && WEXITSTATUS(events[i].data) == STATUS);
            }
            left -= count;
        }
        clock_off();
        bury_children(family);
    }
}

static void raw_exit(const struct row *row)
{
    (void)row;
    need_descriptors(CHILDREN + 16);
    struct family family = {.queue = OK(epoll_create1(EPOLL_CLOEXEC))};
    each_is(CHILDREN);
    measure_parts(raw_exits, &family);
}

static void kq_exit(const struct row *row)
{
    (void)row;
    need_descriptors(CHILDREN + 16);
    struct family family = {.queue = OK(kqueue())};
    each_is(CHILDREN);
    measure_parts(kq_exits, &family);
}

/* ---- fork(), of a program that has a queue ------------------------------------------------------- */

static void forks(void *state, long n)
{
    (void)state;
    while (n-- > 0) {
        int status;
        pid_t child = OK(fork());
        if (child == 0)
            _exit(STATUS);
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == STATUS);
    }
}

static void raw_fork(const struct row *row)
{
    (void)row;
    OK(epoll_create1(EPOLL_CLOEXEC));
    measure(forks, NULL);
}

static void kq_fork(const struct row *row)
{
    (void)row;
    OK(kqueue());
    measure(forks, NULL);
}

static struct row rows[] = {
    {.name = "proc-add-delete", .raw = raw_add_delete, .kq = kq_add_delete},
    {.name = "proc-500-exits", .raw = raw_exit, .kq = kq_exit},
    {.name = "fork-and-wait", .raw = raw_fork, .kq = kq_fork},
};
ROWS(rows)

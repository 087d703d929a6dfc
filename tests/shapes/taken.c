/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers that were the library's, and are the program's: it closed everything and opened what looks like what the
 * library had there. Whatever the library does next, the program's files stay open and keep their events.
 */
#include "shape.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

enum { MOST = 1024 };

/* By a raw call: also where the library is in front it is not told. */
static void close_all_unheard(const int *numbers, int count)
{
    for (int i = 0; i < count; i++)
        syscall(SYS_close, numbers[i]);
}

static int another(int kind, pid_t child)
{
    switch (kind) {
    case 0: return OK(eventfd(0, EFD_CLOEXEC));
    case 1: return OK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    case 2: return OK(epoll_create1(EPOLL_CLOEXEC));
    case 3: return OK(inotify_init1(IN_CLOEXEC));
    default: return (int)syscall(SYS_pidfd_open, child, 0);
    }
}

/* Puts files of a kind on all the numbers, each with an owner that no other file has. -1: there is no such kind. */
static int put_on(const int *numbers, int count, int kind, pid_t child)
{
    for (int i = 0; i < count; i++) {
        int file = another(kind, child);
        if (file == -1)
            return -1;
        if (file != numbers[i]) {
            OK((int)syscall(SYS_dup2, file, numbers[i]));
            syscall(SYS_close, file);
        }
        OK(fcntl(numbers[i], F_SETOWN, getpid()));
    }
    return 0;
}

static void use_queues(int old)
{
    struct timespec at_once = {0, 0};
    struct kevent ev;
    CHECK(guest_kevent(old, NULL, 0, &ev, 1, &at_once) == -1 && errno == EBADF);
    for (int i = 0; i < 3; i++) {
        int kq = OK(guest_kqueue());
        ADD(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 1);
        NEXT_OF(kq, 1, 1);
        ADD(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 2);
        NEXT_OF(kq, 1, 2);
        OK(close(kq));
    }
}

CASE(files_on_numbers_that_were_taken_away_stay)
{
    if (in_front)
        skip("the library's descriptors are not the program's to take");
    for (int kind = 0; kind < 5; kind++) {
        int numbers[MOST], count = 0, status;
        char before[MOST];
        for (int fd = 0; fd < MOST; fd++)
            before[fd] = (char)is_open(fd);
        pid_t child = OK(fork());
        if (child == 0)
            pause();
        int kq = OK(guest_kqueue());
        ADD(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
        ADD(kq, 1, EVFILT_TIMER, EV_ADD, 0, 3600000, 0);
        ADD(kq, (uintptr_t)child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0);
        for (int fd = 0; fd < MOST; fd++)
            if (!before[fd] && is_open(fd))
                numbers[count++] = fd;
        CHECK(count >= 3);
        close_all_unheard(numbers, count);
        if (put_on(numbers, count, kind, child) == 0) {
            use_queues(kq);
            for (int i = 0; i < count; i++)
                CHECK_EQ(fcntl(numbers[i], F_GETOWN), getpid());
            close_all_unheard(numbers, count);
        }
        OK(kill(child, SIGKILL));
        OK(waitpid(child, &status, 0));
    }
}

/* The program's epoll has the number of a kqueue that went with everything else: its events are its own. */
CASE(epoll_on_the_number_of_a_queue_keeps_its_events)
{
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u64 = 99}};
    struct timespec at_once = {0, 0};
    struct kevent ev;
    int kq = OK(guest_kqueue()), fds[2], numbers[MOST], count = 0;
    for (int fd = kq + 1; fd < MOST; fd++)
        numbers[count++] = fd;
    ADD(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
    if (!in_front)
        close_all_unheard(numbers, count);
    OK(close(kq));
    int epoll = OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK_EQ(epoll, kq);
    pair(fds);
    OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    put(fds[1], 1);
    CHECK(guest_kevent(epoll, NULL, 0, &ev, 1, &at_once) == -1 && errno == EBADF);
    CHECK_EQ(change(epoll, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0), EBADF);
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
    CHECK_EQ(event.data.u64, 99);
}

/* The same with the number of a duplicate: a child has it. */
CASE(epoll_on_the_number_of_a_duplicate_is_inherited)
{
    int kq = OK(guest_kqueue()), other = OK(dup(kq)), status;
    ADD(other, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
    OK(close(other));
    CHECK_EQ(OK(epoll_create1(EPOLL_CLOEXEC)), other);
    pid_t child = OK(fork());
    if (child == 0)
        _exit(!is_open(other));
    OK(waitpid(child, &status, 0));
    CHECK_EQ(status, 0);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Section 1: kqueue() and kevent(): their errors, the lists, receipts, how much one call returns. */
#define SUITE "kevent"
#include "suite.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif

static const struct timespec no_wait = {0, 0};

/* Writes a pattern, so that what kevent() did not write can be told from what it did. */
static void scribble(struct kevent *ev, int n)
{
    memset(ev, 0xA5, (size_t)n * sizeof *ev);
}

static int is_scribbled(const struct kevent *ev)
{
    struct kevent pattern;
    scribble(&pattern, 1);
    return memcmp(ev, &pattern, sizeof pattern) == 0;
}

/* Puts the open-file limit where no further descriptor can be made, and back. */
static struct rlimit saved_limit;

static void forbid_descriptors(void)
{
    OK(getrlimit(RLIMIT_NOFILE, &saved_limit));
    struct rlimit none = saved_limit;
    none.rlim_cur = 0;
    OK(setrlimit(RLIMIT_NOFILE, &none));
}

static void allow_descriptors(void)
{
    OK(setrlimit(RLIMIT_NOFILE, &saved_limit));
}

/* ---- 1.1 ---------------------------------------------------------------------------------------- */

/* 1.1 kqueue() returns a descriptor. */
TEST(kqueue_is_a_descriptor, "1.1")
{
    int kq = queue();
    CHECK_GE(kq, 0);
    CHECK(is_open(kq));
    nothing(kq);
    OK(close(kq));
    CHECK(!is_open(kq));
}

/* 1.1 Two kqueues know nothing of each other. */
TEST(queues_are_separate, "1.1 1.11")
{
    int one = queue(), two = queue();
    struct kevent ev;
    CHECK_NE(one, two);
    change(one, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 11);
    CHECK_EQ(change_errno(two, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0), ENOENT);
    change(two, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 22);
    change(one, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 11);
    wait_event(one, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 11);
    nothing(two);
    OK(close(one));
    change(two, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 22);
    wait_event(two, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 22);
}

/* 1.1 One descriptor may be watched by two kqueues; each hears of it in its own way. */
TEST(two_queues_watch_one_descriptor, "1.1 2.9")
{
    int level = queue(), edge = queue(), fds[2];
    struct kevent ev;
    pipe_pair(fds);
    change(level, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(edge, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
    put(fds[1], 3);
    wait_event(edge, &ev);
    EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3, 2);
    for (int i = 0; i < 2; i++) {
        wait_event(level, &ev);
        EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD, 0, 3, 1);
    }
    nothing(edge);
    change(level, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    put(fds[1], 1);
    wait_event(edge, &ev);
    EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 4, 2);
    nothing(level);
}

/* 1.1 kqueue() is EMFILE when the process has no descriptor left, and works again when it has. */
TEST(kqueue_without_descriptors_is_emfile, "1.1")
{
    forbid_descriptors();
    CHECK_ERRNO(kqueue(), EMFILE);
    CHECK_ERRNO(kqueuex(0), EMFILE);
    CHECK_ERRNO(kqueue1(0), EMFILE);
    allow_descriptors();
    int before = open_descriptors();
    int kq = queue();
    nothing(kq);
    OK(close(kq));
    CHECK_EQ(open_descriptors(), before);
}

/* 1.1 With no descriptor left a change works or says EMFILE; what was registered goes on working. */
TEST(queue_works_at_the_descriptor_limit, "1.1 1.5")
{
    int kq = queue(), fds[2], other[2];
    struct kevent ev[4];
    pipe_pair(fds);
    pipe_pair(other);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    forbid_descriptors();
    static const struct {
        short filter;
        intptr_t data;
    } more[] = {{EVFILT_USER, 0}, {EVFILT_TIMER, 1}};
    int made[2];
    for (int i = 0; i < 2; i++) {
        int error = change_errno(kq, 1, more[i].filter, EV_ADD | EV_ONESHOT, 0, more[i].data, 2);
        if (error != 0)
            CHECK_EQ(error, EMFILE);
        made[i] = error == 0;
    }
    put(fds[1], 2);
    int n = collect(kq, ev, 4);
    EXPECT_EVENT(*find_event(ev, n, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD, 0, 2, 1);
    if (made[0])
        change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    if (made[1]) /* it may have been reported above, and gone */
        change_errno(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    allow_descriptors();

    take(fds[0], 2);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 2);
    wait_event(kq, &ev[0]);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 2);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 2);
    wait_event(kq, &ev[0]);
    EXPECT_EVENT_ANY(ev[0], 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 2, ANY_FLAGS);
    change(kq, other[1], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 3);
    wait_event(kq, &ev[0]);
    EXPECT_EVENT_ANY(ev[0], other[1], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 1, 3, DATA_AT_LEAST);
    nothing(kq);
}

/* 1.1 kqueuex(KQUEUE_CLOEXEC) sets close-on-exec. */
TEST(kqueuex_cloexec, "1.1")
{
    int kq = OK(kqueuex(KQUEUE_CLOEXEC));
    CHECK(OK(fcntl(kq, F_GETFD)) & FD_CLOEXEC);
    nothing(kq);
}

/* 1.1 kqueuex(0) makes a kqueue that works. */
TEST(kqueuex_without_flags, "1.1")
{
    int kq = OK(kqueuex(0));
    struct kevent ev;
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 5);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 5);
}

/* 1.1 kqueuex with an unknown flag is EINVAL and makes no descriptor. */
TEST(kqueuex_unknown_flags_are_einval, "1.1")
{
    int before = open_descriptors();
    static const unsigned bad[] = {0x80000000u, 0x40, 0x1000, ~0u, KQUEUE_CLOEXEC | 0x80, 0x80000};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_ERRNO(kqueuex(bad[i]), EINVAL);
#ifndef KQUEUE_CPONFORK
    CHECK_ERRNO(kqueuex(2), EINVAL);
#endif
    CHECK_EQ(open_descriptors(), before);
}

/* 1.1 kqueue1 takes O_CLOEXEC and O_NONBLOCK, and sets what they say. */
TEST(kqueue1_flags, "1.1")
{
    static const int flags[] = {O_CLOEXEC, O_NONBLOCK, O_CLOEXEC | O_NONBLOCK};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int kq = OK(kqueue1(flags[i]));
        if (flags[i] & O_CLOEXEC)
            CHECK(OK(fcntl(kq, F_GETFD)) & FD_CLOEXEC);
        if (flags[i] & O_NONBLOCK)
            CHECK(OK(fcntl(kq, F_GETFL)) & O_NONBLOCK);
        nothing(kq);
    }
    int kq = OK(kqueue1(0));
    CHECK(!(OK(fcntl(kq, F_GETFL)) & O_NONBLOCK));
    nothing(kq);
}

/* 1.1 1.4 O_NONBLOCK on a kqueue does not make kevent return early. */
TEST(kevent_waits_on_a_nonblocking_queue, "1.1 1.4")
{
    int kq = OK(kqueue1(O_NONBLOCK));
    struct kevent ev;
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 30, 9);
    CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, NULL), 1);
    EXPECT_EVENT_ANY(ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 9, ANY_FLAGS);
}

/* 1.1 kqueue1 with any other flag is EINVAL. */
TEST(kqueue1_unknown_flags_are_einval, "1.1")
{
    int before = open_descriptors();
    CHECK_ERRNO(kqueue1(O_APPEND), EINVAL);
    CHECK_ERRNO(kqueue1(O_RDWR), EINVAL);
    CHECK_ERRNO(kqueue1(O_CLOEXEC | O_TRUNC), EINVAL);
    CHECK_ERRNO(kqueue1(-1), EINVAL);
    CHECK_EQ(open_descriptors(), before);
}

/* ---- 1.2 ---------------------------------------------------------------------------------------- */

/* 1.2 Every change is applied, in order, before events are collected. */
TEST(changes_are_applied_in_order, "1.2")
{
    int kq = queue();
    struct kevent ev[8], changes[] = {
        EVENT(1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1),
        EVENT(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 2),
        EVENT(2, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 3),
        EVENT(2, EVFILT_USER, EV_DELETE, 0, 0, 0),
        EVENT(3, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 4),
        EVENT(3, EVFILT_USER, EV_DELETE, 0, 0, 0),
        EVENT(3, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 5),
    };
    int n = OK(kevent(kq, changes, 7, ev, 8, NULL));
    CHECK_EQ(n, 2);
    EXPECT_EVENT(*find_event(ev, n, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
    EXPECT_EVENT(*find_event(ev, n, 3, EVFILT_USER), 3, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 5);
    nothing(kq);
}

/* 1.2 The order decides: a delete before the add is an error, after it none. */
TEST(order_decides_what_is_an_error, "1.2 1.5")
{
    int kq = queue();
    struct kevent ev[4], changes[] = {
        EVENT(1, EVFILT_USER, EV_DELETE, 0, 0, 7),
        EVENT(1, EVFILT_USER, EV_ADD, 0, 0, 8),
        EVENT(1, EVFILT_USER, EV_DELETE, 0, 0, 9),
        EVENT(1, EVFILT_USER, EV_ENABLE, 0, 0, 10),
    };
    CHECK_EQ(kevent(kq, changes, 4, ev, 4, &no_wait), 2);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_DELETE | EV_ERROR, 0, ENOENT, 7);
    EXPECT_EVENT(ev[1], 1, EVFILT_USER, EV_ENABLE | EV_ERROR, 0, ENOENT, 10);
}

/* 1.2 The value is the number of entries written; nothing else of eventlist is touched. */
TEST(returns_the_number_of_entries, "1.2")
{
    int kq = queue();
    struct kevent ev[8];
    for (int i = 0; i < 3; i++)
        change(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER | (unsigned)(i + 1), i * 10, i + 100);
    scribble(ev, 8);
    CHECK_EQ(kevent(kq, NULL, 0, ev, 8, NULL), 3);
    for (int i = 0; i < 3; i++)
        EXPECT_EVENT(*find_event(ev, 3, i, EVFILT_USER), i, EVFILT_USER, EV_ADD | EV_CLEAR, i + 1, i * 10, i + 100);
    for (int i = 3; i < 8; i++)
        CHECK(is_scribbled(&ev[i]));
}

/* 1.2 0 on time-out, with eventlist untouched and no errno needed. */
TEST(returns_zero_on_timeout, "1.2 1.4")
{
    int kq = queue(), fds[2];
    struct kevent ev[2];
    struct timespec time = duration(5 * MILLISECOND);
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    scribble(ev, 2);
    CHECK_EQ(kevent(kq, NULL, 0, ev, 2, &time), 0);
    CHECK_EQ(kevent(kq, NULL, 0, ev, 2, &no_wait), 0);
    CHECK(is_scribbled(&ev[0]) && is_scribbled(&ev[1]));
    CHECK(time.tv_sec == 0 && time.tv_nsec == 5 * MILLISECOND);
}

/* 1.2 A changelist may be as long as one likes, and is not written to. */
TEST(long_changelist, "1.2 1.7")
{
    enum { N = 5000 };
    int kq = queue();
    static struct kevent changes[N], copy[N], ev[N];
    for (int i = 0; i < N; i++)
        changes[i] = EVENT(i, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, i, i + 1);
    memcpy(copy, changes, sizeof copy);
    CHECK_EQ(kevent(kq, changes, N, NULL, 0, NULL), 0);
    CHECK(memcmp(copy, changes, sizeof copy) == 0);
    int n = OK(kevent(kq, NULL, 0, ev, N, NULL));
    CHECK_EQ(n, N);
    static char seen[N];
    for (int i = 0; i < N; i++) {
        CHECK(ev[i].ident < N);
        CHECK(!seen[ev[i].ident]);
        seen[ev[i].ident] = 1;
        EXPECT_EVENT(ev[i], ev[i].ident, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, ev[i].ident, ev[i].ident + 1);
    }
    for (int i = 0; i < N; i++)
        changes[i] = EVENT(i, EVFILT_USER, EV_ADD | EV_RECEIPT, NOTE_FFCOPY | 3, i, i + 2);
    CHECK_EQ(kevent(kq, changes, N, ev, N, NULL), N);
    for (int i = 0; i < N; i++)
        EXPECT_EVENT(ev[i], i, EVFILT_USER, EV_ADD | EV_RECEIPT | EV_ERROR, NOTE_FFCOPY | 3, 0, i + 2);
}

/* 1.2 A changelist in read-only memory will do. */
TEST(constant_changelist, "1.2 1.7")
{
    static const struct kevent changes[] = {
        {.ident = 1, .filter = EVFILT_USER, .flags = EV_ADD | EV_RECEIPT | EV_CLEAR, .fflags = NOTE_TRIGGER},
        {.ident = 9, .filter = EVFILT_USER, .flags = EV_DELETE},
        {.ident = 1, .filter = EVFILT_USER, .flags = EV_ENABLE | EV_RECEIPT, .udata = (void *)5},
    };
    int kq = queue();
    struct kevent ev[3];
    CHECK_EQ(kevent(kq, changes, 3, ev, 3, NULL), 3);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_RECEIPT | EV_CLEAR | EV_ERROR, NOTE_TRIGGER, 0, 0);
    EXPECT_EVENT(ev[1], 9, EVFILT_USER, EV_DELETE | EV_ERROR, 0, ENOENT, 0);
    EXPECT_EVENT(ev[2], 1, EVFILT_USER, EV_ENABLE | EV_RECEIPT | EV_ERROR, 0, 0, 5);
    wait_event(kq, ev);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_RECEIPT | EV_CLEAR, 0, 0, 5);
}

/* 1.2 nevents is room, no promise that it is filled: INT_MAX of it may be said. */
TEST(room_for_int_max, "1.2")
{
    int kq = queue(), fds[2];
    struct kevent ev[8];
    pipe_pair(fds);
    CHECK_EQ(kevent(kq, NULL, 0, ev, INT_MAX, &no_wait), 0);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 2);
    scribble(ev, 8);
    CHECK_EQ(kevent(kq, NULL, 0, ev, INT_MAX, NULL), 2);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD, 0, 1, 1);
    EXPECT_EVENT(*find_event(ev, 2, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD, 0, 0, 2);
    CHECK(is_scribbled(&ev[2]));
}

/* ---- 1.3 ---------------------------------------------------------------------------------------- */

static void is_no_queue(int fd)
{
    struct kevent change = EVENT(1, EVFILT_USER, EV_ADD, 0, 0, 0), ev[2];
    CHECK_ERRNO(kevent(fd, &change, 1, NULL, 0, NULL), EBADF);
    CHECK_ERRNO(kevent(fd, NULL, 0, ev, 2, &no_wait), EBADF);
    CHECK_ERRNO(kevent(fd, NULL, 0, ev, 2, NULL), EBADF);
    CHECK_ERRNO(kevent(fd, &change, 1, ev, 2, &no_wait), EBADF);
    CHECK_ERRNO(kevent(fd, NULL, 0, NULL, 0, NULL), EBADF);
}

/* 1.3 EBADF: a number that is no open descriptor, whatever its size. */
TEST(ebadf_for_what_is_not_open, "1.3")
{
    int kq = queue();
    is_no_queue(-1);
    is_no_queue(-2);
    is_no_queue(INT_MIN);
    is_no_queue(INT_MAX);
    is_no_queue(kq + 1);
    is_no_queue(65535);
    is_no_queue(65536);
    is_no_queue(1 << 20);
    is_no_queue((1 << 20) + kq);
    is_no_queue((1 << 30) + kq);
    nothing(kq);
}

/* 1.3 EBADF: a kqueue that was closed. */
TEST(ebadf_for_a_closed_queue, "1.3 10.2")
{
    int kq = queue();
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    OK(close(kq));
    is_no_queue(kq);
    CHECK_ERRNO(close(kq), EBADF);
}

/* 1.3 EBADF: a descriptor that is no kqueue; nothing happens to it. */
TEST(ebadf_for_what_is_no_queue, "1.3")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    is_no_queue(fds[0]);
    is_no_queue(fds[1]);
    socket_pair(fds);
    is_no_queue(fds[0]);
    is_no_queue(OK(socket(AF_INET, SOCK_STREAM, 0)));
    is_no_queue(OK(socket(AF_INET, SOCK_DGRAM, 0)));
    is_no_queue(OK(open("file", O_RDWR | O_CREAT, 0600)));
    is_no_queue(OK(open(".", O_RDONLY)));
    is_no_queue(OK(open("/dev/null", O_RDWR)));
    is_no_queue(0);
    put(fds[1], 1);
    take(fds[0], 1);
    nothing(kq);
}

#ifdef __linux__
/* 1.3 EBADF: the program's own epoll is no kqueue, and is left as it was. */
TEST(ebadf_for_a_foreign_epoll, "1.3 10.7")
{
    int kq = queue(), fds[2];
    int foreign = OK(epoll_create1(0));
    struct epoll_event one = {.events = EPOLLIN, .data.u64 = 42}, got[4];
    pipe_pair(fds);
    OK(epoll_ctl(foreign, EPOLL_CTL_ADD, fds[0], &one));
    is_no_queue(foreign);
    is_no_queue(OK(dup(foreign)));
    CHECK_EQ(epoll_wait(foreign, got, 4, 0), 0);
    put(fds[1], 1);
    CHECK_EQ(epoll_wait(foreign, got, 4, 0), 1);
    CHECK_EQ(got[0].data.u64, 42);
    struct kevent change = EVENT(fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    CHECK_ERRNO(kevent(foreign, &change, 1, NULL, 0, NULL), EBADF);
    change.flags = EV_DELETE;
    CHECK_ERRNO(kevent(foreign, &change, 1, NULL, 0, NULL), EBADF);
    CHECK_EQ(epoll_wait(foreign, got, 4, 0), 1);
    is_no_queue(OK(eventfd(0, 0)));
    nothing(kq);
}
#endif

/* 1.3 EBADF: the number of a closed kqueue that is another file by now. */
TEST(ebadf_for_a_reused_number, "1.3 10.2")
{
    int kq = queue(), fds[2];
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    OK(close(kq));
    pipe_pair(fds);
    if (fds[0] != kq)
        OK(dup2(fds[0], kq));
    is_no_queue(kq);
    put(fds[1], 1);
    take(kq, 1);
}

/* 1.3 EFAULT: changes are counted and there is no list of them. */
TEST(efault_without_a_changelist, "1.3")
{
    int kq = queue();
    struct kevent ev;
    CHECK_ERRNO(kevent(kq, NULL, 1, NULL, 0, NULL), EFAULT);
    CHECK_ERRNO(kevent(kq, NULL, 1, &ev, 1, &no_wait), EFAULT);
    nothing(kq);
}

/* 1.3 EFAULT: there is an event and no list to write it to; the event stays. */
TEST(efault_without_an_eventlist, "1.3")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    pipe_pair(fds);
    put(fds[1], 2);
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 6);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 7);
    CHECK_ERRNO(kevent(kq, NULL, 0, NULL, 1, &no_wait), EFAULT);
    CHECK_ERRNO(kevent(kq, NULL, 0, NULL, 4, NULL), EFAULT);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD, 0, 0, 6);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD, 0, 2, 7);
}

/* 1.3 A list that is not needed may be NULL, and one that is given with a count of 0 is not looked at. */
TEST(lists_that_are_not_needed, "1.3")
{
    int kq = queue();
    struct kevent change = EVENT(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 6), ev;
    CHECK_EQ(kevent(kq, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQ(kevent(kq, &change, 0, NULL, 0, &no_wait), 0);
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
    OK(kevent(kq, &change, 1, NULL, 0, NULL));
    scribble(&ev, 1);
    CHECK_EQ(kevent(kq, &change, 0, &ev, 0, NULL), 0);
    CHECK(is_scribbled(&ev));
}

/* 1.3 EINVAL: a negative count. */
TEST(einval_for_negative_counts, "1.3")
{
    int kq = queue();
    struct kevent change = EVENT(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 6), ev[2];
    CHECK_ERRNO(kevent(kq, &change, -1, NULL, 0, NULL), EINVAL);
    CHECK_ERRNO(kevent(kq, &change, -1, ev, 2, &no_wait), EINVAL);
    CHECK_ERRNO(kevent(kq, &change, INT_MIN, ev, 2, NULL), EINVAL);
    CHECK_ERRNO(kevent(kq, NULL, -1, NULL, 0, NULL), EINVAL);
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
    CHECK_ERRNO(kevent(kq, NULL, 0, ev, -1, &no_wait), EINVAL);
    CHECK_ERRNO(kevent(kq, NULL, 0, ev, -1, NULL), EINVAL);
    CHECK_ERRNO(kevent(kq, NULL, 0, ev, INT_MIN, &no_wait), EINVAL);
    CHECK_ERRNO(kevent(kq, NULL, 0, NULL, -1, NULL), EINVAL);
}

static const struct timespec bad_times[] = {
    {-1, 0},         {-1, 999999999}, {0, -1},       {1, -1},       {0, 1000000000},
    {5, 1000000000}, {0, LONG_MAX},   {0, LONG_MIN}, {LONG_MIN, 0},
};
#define BAD_TIMES ((int)(sizeof bad_times / sizeof *bad_times))

/* 1.3 EINVAL: a time-out with negative seconds, or nanoseconds below 0 or past 999,999,999. */
TEST(einval_for_bad_timeouts, "1.3 1.4")
{
    int kq = queue();
    struct kevent ev[2];
    for (int i = 0; i < BAD_TIMES; i++)
        CHECK_ERRNO(kevent(kq, NULL, 0, ev, 2, &bad_times[i]), EINVAL);
}

/* 1.3 A bad time-out is found after the changes were applied. */
TEST(bad_timeout_comes_after_the_changes, "1.3 1.2")
{
    int kq = queue();
    struct kevent ev[2];
    for (int i = 0; i < BAD_TIMES; i++) {
        struct kevent change = EVENT(i, EVFILT_USER, EV_ADD, 0, 0, 0);
        CHECK_ERRNO(kevent(kq, &change, 1, ev, 2, &bad_times[i]), EINVAL);
        change(kq, i, EVFILT_USER, EV_DELETE, 0, 0, 0);
    }
}

/* 1.3 A bad time-out consumes no event. */
TEST(bad_timeout_consumes_nothing, "1.3")
{
    int kq = queue();
    struct kevent ev[2];
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 3, 4);
    for (int i = 0; i < BAD_TIMES; i++)
        CHECK_ERRNO(kevent(kq, NULL, 0, ev, 2, &bad_times[i]), EINVAL);
    wait_event(kq, ev);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 3, 4);
}

/* 1.3 An error loses nothing of what was registered. */
TEST(errors_lose_nothing, "1.3 1.5")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 1);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 2);
    put(fds[1], 1);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 2);
    struct kevent junk[] = {
        EVENT(12345, EVFILT_READ, EV_ADD, 0, 0, 0),  EVENT(fds[0], 77, EV_ADD, 0, 0, 0),
        EVENT(fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0), EVENT(1, EVFILT_USER, EV_ENABLE | EV_DISABLE, 0, 0, 0),
        EVENT(-1, EVFILT_READ, EV_DELETE, 0, 0, 0),
    };
    static const int errors[] = {EBADF, EINVAL, ENOENT, EINVAL, EBADF};
    for (int i = 0; i < 5; i++)
        CHECK_ERRNO(kevent(kq, &junk[i], 1, NULL, 0, NULL), errors[i]);
    CHECK_ERRNO(kevent(kq, NULL, 3, NULL, 0, NULL), EFAULT);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 1, 1);
    EXPECT_EVENT(*find_event(ev, 2, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 2);
}

/* ---- 1.5 1.6 1.7 1.8 ---------------------------------------------------------------------------- */

enum { NOT_OPEN = 987 }; /* a number that no case opens */

/* 1.5 An error is an entry: the change with EV_ERROR added and the errno as data. */
TEST(error_becomes_an_entry, "1.5 11")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    struct {
        struct kevent change;
        int error;
    } cases[] = {
        {EVENT(NOT_OPEN, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0x1111), EBADF},
        {EVENT(NOT_OPEN, EVFILT_WRITE, EV_ADD | EV_ONESHOT, NOTE_LOWAT, 5, 0x2222), EBADF},
        {EVENT(fds[0], EVFILT_READ, EV_DELETE, 0, -1, 0x3333), ENOENT},
        {EVENT(fds[0], EVFILT_READ, EV_ENABLE, 0, INTPTR_MAX, 0x4444), ENOENT},
        {EVENT(fds[1], EVFILT_WRITE, EV_DISABLE, 0, INTPTR_MIN, 0x5555), ENOENT},
        {EVENT(UINTPTR_MAX, EVFILT_USER, EV_DELETE, 0x123456, 0x7654321, UINTPTR_MAX), ENOENT},
        {EVENT(7, EVFILT_TIMER, EV_DELETE, 0, 9, 0), ENOENT},
        {EVENT(7, 99, EV_ADD | EV_ONESHOT, 0xabcdef, 9, 0x6666), EINVAL},
        {EVENT(7, -99, EV_ADD, 1, -9, 0x7777), EINVAL},
        {EVENT(7, EVFILT_USER, EV_ADD | EV_ENABLE | EV_DISABLE, 1, 0, 0x8888), EINVAL},
        {EVENT(7, EVFILT_USER, EV_ADD | EV_KEEPUDATA, 1, 0, 0x9999), EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kevent c = cases[i].change, ev[3];
        scribble(ev, 3);
        CHECK_EQ(kevent(kq, &c, 1, ev, 3, NULL), 1);
        EXPECT_EVENT(ev[0], c.ident, c.filter, c.flags | EV_ERROR, c.fflags, cases[i].error, c.udata);
        CHECK(is_scribbled(&ev[1]) && is_scribbled(&ev[2]));
        CHECK_ERRNO(kevent(kq, &c, 1, NULL, 0, NULL), cases[i].error);
        CHECK_ERRNO(kevent(kq, &c, 1, ev, 0, &no_wait), cases[i].error);
    }
    nothing(kq);
}

/* 1.5 After an error that has room the next changes are processed, and the entries come in their order. */
TEST(changes_after_an_error_are_processed, "1.5")
{
    int kq = queue();
    struct kevent ev[6], changes[] = {
        EVENT(1, EVFILT_USER, EV_ADD, 0, 0, 1),           EVENT(NOT_OPEN, EVFILT_READ, EV_ADD, 0, 0, 2),
        EVENT(3, EVFILT_USER, EV_ADD, 0, 0, 3),           EVENT(4, EVFILT_USER, EV_DELETE, 0, 0, 4),
        EVENT(NOT_OPEN, EVFILT_WRITE, EV_DELETE, 0, 0, 5), EVENT(6, EVFILT_USER, EV_ADD, 0, 0, 6),
    };
    CHECK_EQ(kevent(kq, changes, 6, ev, 6, NULL), 3);
    EXPECT_EVENT(ev[0], NOT_OPEN, EVFILT_READ, EV_ADD | EV_ERROR, 0, EBADF, 2);
    EXPECT_EVENT(ev[1], 4, EVFILT_USER, EV_DELETE | EV_ERROR, 0, ENOENT, 4);
    EXPECT_EVENT(ev[2], NOT_OPEN, EVFILT_WRITE, EV_DELETE | EV_ERROR, 0, EBADF, 5);
    change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    change(kq, 3, EVFILT_USER, EV_DELETE, 0, 0, 0);
    change(kq, 6, EVFILT_USER, EV_DELETE, 0, 0, 0);
}

/* 1.5 Without room kevent is -1 with the errno of the error; what came before it is applied, the rest not. */
TEST(error_without_room_stops, "1.5")
{
    int kq = queue();
    struct kevent changes[] = {
        EVENT(1, EVFILT_USER, EV_ADD, 0, 0, 0),
        EVENT(NOT_OPEN, EVFILT_READ, EV_ADD, 0, 0, 0),
        EVENT(3, EVFILT_USER, EV_ADD, 0, 0, 0),
    };
    CHECK_ERRNO(kevent(kq, changes, 3, NULL, 0, NULL), EBADF);
    change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    CHECK_EQ(change_errno(kq, 3, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 1.5 The room that is left counts: the second error of a call with one place has none. */
TEST(second_error_without_room_stops, "1.5")
{
    int kq = queue();
    struct kevent ev[2], changes[] = {
        EVENT(NOT_OPEN, EVFILT_READ, EV_ADD, 0, 0, 1),
        EVENT(2, EVFILT_USER, EV_ADD, 0, 0, 2),
        EVENT(3, EVFILT_USER, EV_DELETE, 0, 0, 3),
        EVENT(4, EVFILT_USER, EV_ADD, 0, 0, 4),
    };
    scribble(ev, 2);
    CHECK_ERRNO(kevent(kq, changes, 4, ev, 1, NULL), ENOENT);
    EXPECT_EVENT(ev[0], NOT_OPEN, EVFILT_READ, EV_ADD | EV_ERROR, 0, EBADF, 1);
    CHECK(is_scribbled(&ev[1]));
    change(kq, 2, EVFILT_USER, EV_DELETE, 0, 0, 0);
    CHECK_EQ(change_errno(kq, 4, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 1.5 A change that needs no entry needs no room: it is applied though the list is full. */
TEST(full_eventlist_stops_only_errors, "1.5 1.7")
{
    int kq = queue();
    struct kevent ev[2], changes[] = {
        EVENT(NOT_OPEN, EVFILT_READ, EV_ADD, 0, 0, 1),
        EVENT(2, EVFILT_USER, EV_ADD, 0, 0, 2),
        EVENT(3, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 3),
    };
    scribble(ev, 2);
    CHECK_EQ(kevent(kq, changes, 3, ev, 1, NULL), 1);
    EXPECT_EVENT(ev[0], NOT_OPEN, EVFILT_READ, EV_ADD | EV_ERROR, 0, EBADF, 1);
    CHECK(is_scribbled(&ev[1]));
    change(kq, 2, EVFILT_USER, EV_DELETE, 0, 0, 0);
    wait_event(kq, ev);
    EXPECT_EVENT(ev[0], 3, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 3);
}

#ifdef __linux__
static long address_space_pages(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%ld", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return pages;
}

/* 1.5 A change for which there is no memory is ENOMEM; what was registered goes on working. */
TEST_LIMIT(no_memory_is_enomem, "1.5", 30)
{
    enum { MANY = 4000000 };
    int kq = queue();
    struct kevent ev[4];
    struct rlimit before, tight;
    long pages = address_space_pages();
    if (pages == 0)
        SKIP("the size of the process is not known here");
    if (patience() > 1)
        SKIP("a memory checker keeps its own memory");
    change(kq, MANY, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    OK(getrlimit(RLIMIT_AS, &before));
    tight = before;
    tight.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (16 << 20);
    OK(setrlimit(RLIMIT_AS, &tight));
    int count = 0, error = 0;
    while (count < MANY && error == 0) {
        error = change_errno(kq, count, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
        count += error == 0;
    }
    CHECK_EQ(error, ENOMEM);
    CHECK_GE(count, 1000);
    /* What is there already needs no more memory. */
    change(kq, MANY, EVFILT_USER, 0, NOTE_TRIGGER, 1, 2);
    change(kq, count - 1, EVFILT_USER, 0, NOTE_TRIGGER, 3, 4);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, MANY, EVFILT_USER), MANY, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 1, 2);
    EXPECT_EVENT(*find_event(ev, 2, count - 1, EVFILT_USER), count - 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 3, 4);
    CHECK_EQ(change_errno(kq, count, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
    OK(setrlimit(RLIMIT_AS, &before));
    change(kq, count, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 5, 6);
    wait_event(kq, ev);
    EXPECT_EVENT(ev[0], count, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 5, 6);
}
#endif

/* 1.6 With an EV_ERROR entry kevent returns at once: it does not wait, though nothing is ready. */
TEST(error_entry_ends_the_wait, "1.6")
{
    int kq = queue();
    struct kevent ev[4], change = EVENT(NOT_OPEN, EVFILT_READ, EV_ADD, 0, 0, 1);
    struct timespec hour = {3600, 0};
    CHECK_EQ(kevent(kq, &change, 1, ev, 4, NULL), 1);
    CHECK_EQ(kevent(kq, &change, 1, ev, 4, &hour), 1);
    change = EVENT(1, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, 1);
    CHECK_EQ(kevent(kq, &change, 1, ev, 4, NULL), 1);
    CHECK_EQ(kevent(kq, &change, 1, ev, 4, &hour), 1);
}

/* 1.6 With an EV_ERROR entry no event is collected, ready or not; they are there in the next call. */
TEST(error_entry_collects_no_event, "1.6")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    struct kevent ev[8], changes[] = {
        EVENT(fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 1),
        EVENT(2, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 2),
        EVENT(NOT_OPEN, EVFILT_READ, EV_ADD, 0, 0, 3),
        EVENT(4, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 4),
    };
    scribble(ev, 8);
    CHECK_EQ(kevent(kq, changes, 4, ev, 8, NULL), 1);
    EXPECT_EVENT(ev[0], NOT_OPEN, EVFILT_READ, EV_ADD | EV_ERROR, 0, EBADF, 3);
    CHECK(is_scribbled(&ev[1]));
    int n = collect(kq, ev, 8);
    CHECK_EQ(n, 3);
    EXPECT_EVENT(*find_event(ev, n, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 1, 1);
    EXPECT_EVENT(*find_event(ev, n, 2, EVFILT_USER), 2, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 2);
    EXPECT_EVENT(*find_event(ev, n, 4, EVFILT_USER), 4, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 4);
}

/* 1.6 A call that returns entries does not get as far as the time-out: a bad one is not an error. */
TEST(error_entry_comes_before_a_bad_timeout, "1.6 1.3")
{
    int kq = queue();
    struct kevent ev[2], change = EVENT(1, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, 1);
    CHECK_EQ(kevent(kq, &change, 1, ev, 2, &bad_times[0]), 1);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_RECEIPT | EV_ERROR, 0, 0, 1);
}

/* 1.7 EV_RECEIPT: a change that succeeded gives an entry as well, data 0, and the call returns at once. */
TEST(receipt_for_every_action, "1.7 1.6 11")
{
    int kq = queue(), fds[2];
    socket_pair(fds);
    struct kevent changes[] = {
        EVENT(1, EVFILT_USER, EV_ADD | EV_RECEIPT, NOTE_TRIGGER | 5, 77, 0x10),
        EVENT(1, EVFILT_USER, EV_DISABLE | EV_RECEIPT, 0, -1, 0x11),
        EVENT(1, EVFILT_USER, EV_ENABLE | EV_RECEIPT, 0, INTPTR_MIN, 0x12),
        EVENT(1, EVFILT_USER, EV_RECEIPT, NOTE_FFCOPY | 9, INTPTR_MAX, 0x13),
        EVENT(1, EVFILT_USER, EV_DELETE | EV_RECEIPT, 3, 4, 0x14),
        EVENT(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 0, 0x15),
        EVENT(fds[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT | EV_RECEIPT, NOTE_LOWAT, 1, 0x16),
        EVENT(9, EVFILT_TIMER, EV_ADD | EV_RECEIPT, NOTE_SECONDS, 3600, 0x17),
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct kevent ev[3], c = changes[i];
        scribble(ev, 3);
        CHECK_EQ(kevent(kq, &c, 1, ev, 3, NULL), 1);
        EXPECT_EVENT(ev[0], c.ident, c.filter, c.flags | EV_ERROR, c.fflags, 0, c.udata);
        CHECK(is_scribbled(&ev[1]));
    }
}

/* 1.7 1.15 A knote made with EV_RECEIPT reports events as ever, EV_RECEIPT among their flags. */
TEST(receipt_then_event, "1.7 1.15")
{
    int kq = queue(), fds[2];
    struct kevent ev[2], change;
    pipe_pair(fds);
    put(fds[1], 4);
    change = EVENT(fds[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, 8);
    CHECK_EQ(kevent(kq, &change, 1, ev, 2, NULL), 1);
    EXPECT_EVENT(ev[0], fds[0], EVFILT_READ, EV_ADD | EV_RECEIPT | EV_ERROR, 0, 0, 8);
    for (int i = 0; i < 3; i++) {
        wait_event(kq, ev);
        EXPECT_EVENT(ev[0], fds[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 4, 8);
    }
}

/* 1.7 Receipts, errors and changes without either keep the order of the changes. */
TEST(receipts_and_errors_in_order, "1.7 1.5")
{
    int kq = queue();
    struct kevent ev[8], changes[] = {
        EVENT(1, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, 1), EVENT(2, EVFILT_USER, EV_ADD, 0, 0, 2),
        EVENT(3, EVFILT_USER, EV_DELETE | EV_RECEIPT, 0, 0, 3), EVENT(4, EVFILT_USER, EV_DELETE, 0, 0, 4),
        EVENT(2, EVFILT_USER, EV_DELETE | EV_RECEIPT, 0, 0, 5),
    };
    CHECK_EQ(kevent(kq, changes, 5, ev, 8, NULL), 4);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_RECEIPT | EV_ERROR, 0, 0, 1);
    EXPECT_EVENT(ev[1], 3, EVFILT_USER, EV_DELETE | EV_RECEIPT | EV_ERROR, 0, ENOENT, 3);
    EXPECT_EVENT(ev[2], 4, EVFILT_USER, EV_DELETE | EV_ERROR, 0, ENOENT, 4);
    EXPECT_EVENT(ev[3], 2, EVFILT_USER, EV_DELETE | EV_RECEIPT | EV_ERROR, 0, 0, 5);
}

/* 1.7 A receipt without room: the change is applied, processing stops, 0 is returned. */
TEST(receipt_without_room_stops, "1.7")
{
    int kq = queue();
    struct kevent changes[] = {
        EVENT(1, EVFILT_USER, EV_ADD, 0, 0, 0),
        EVENT(2, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, 0),
        EVENT(3, EVFILT_USER, EV_ADD, 0, 0, 0),
    };
    CHECK_EQ(kevent(kq, changes, 3, NULL, 0, NULL), 0);
    change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    change(kq, 2, EVFILT_USER, EV_DELETE, 0, 0, 0);
    CHECK_EQ(change_errno(kq, 3, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 1.7 The second receipt of a call with one place has no room. */
TEST(second_receipt_without_room_stops, "1.7")
{
    int kq = queue();
    struct kevent ev[2], changes[] = {
        EVENT(1, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, 1),
        EVENT(2, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, 2),
        EVENT(3, EVFILT_USER, EV_ADD, 0, 0, 3),
    };
    scribble(ev, 2);
    CHECK_EQ(kevent(kq, changes, 3, ev, 1, NULL), 0);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_RECEIPT | EV_ERROR, 0, 0, 1);
    CHECK(is_scribbled(&ev[1]));
    change(kq, 2, EVFILT_USER, EV_DELETE, 0, 0, 0);
    CHECK_EQ(change_errno(kq, 3, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 1.8 changelist and eventlist may be one array: entries take the place of changes already read. */
TEST(one_array_for_both_lists_errors, "1.8")
{
    int kq = queue();
    struct kevent list[] = {
        EVENT(NOT_OPEN, EVFILT_READ, EV_ADD, 0, 0, 1),       EVENT(1, EVFILT_USER, EV_ADD, 0, 0, 2),
        EVENT(2, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, 3), EVENT(3, EVFILT_USER, EV_DELETE, 0, 0, 4),
        EVENT(1, EVFILT_USER, EV_DELETE | EV_RECEIPT, 0, 0, 5),
    };
    CHECK_EQ(kevent(kq, list, 5, list, 5, NULL), 4);
    EXPECT_EVENT(list[0], NOT_OPEN, EVFILT_READ, EV_ADD | EV_ERROR, 0, EBADF, 1);
    EXPECT_EVENT(list[1], 2, EVFILT_USER, EV_ADD | EV_RECEIPT | EV_ERROR, 0, 0, 3);
    EXPECT_EVENT(list[2], 3, EVFILT_USER, EV_DELETE | EV_ERROR, 0, ENOENT, 4);
    EXPECT_EVENT(list[3], 1, EVFILT_USER, EV_DELETE | EV_RECEIPT | EV_ERROR, 0, 0, 5);
    EXPECT_EVENT(list[4], 1, EVFILT_USER, EV_DELETE | EV_RECEIPT, 0, 0, 5);
}

/* 1.8 The same with a receipt for each of many changes. */
TEST(one_array_for_both_lists_receipts, "1.8 1.7")
{
    enum { N = 1000 };
    int kq = queue();
    static struct kevent list[N];
    for (int i = 0; i < N; i++)
        list[i] = EVENT(i, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, i, i + 1);
    CHECK_EQ(kevent(kq, list, N, list, N, NULL), N);
    for (int i = 0; i < N; i++) {
        EXPECT_EVENT(list[i], i, EVFILT_USER, EV_ADD | EV_RECEIPT | EV_ERROR, 0, 0, i + 1);
        change(kq, i, EVFILT_USER, EV_DELETE, 0, 0, 0);
    }
}

/* 1.8 The same with events. */
TEST(one_array_for_both_lists_events, "1.8")
{
    int kq = queue();
    struct kevent list[] = {
        EVENT(1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 1),
        EVENT(2, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 2),
        EVENT(1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3),
    };
    CHECK_EQ(kevent(kq, list, 3, list, 3, NULL), 2);
    struct kevent one = *find_event(list, 2, 1, EVFILT_USER), two = *find_event(list, 2, 2, EVFILT_USER);
    EXPECT_EVENT(one, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 3);
    EXPECT_EVENT(two, 2, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 2);
}

/* ---- 1.10 1.11 ---------------------------------------------------------------------------------- */

/* 1.10 A change with filter 0 is skipped: no error, no receipt, whatever else it says. */
TEST(filter_zero_is_skipped, "1.10")
{
    int kq = queue();
    struct kevent ev[4], changes[] = {
        EVENT(NOT_OPEN, 0, EV_ADD, 0, 0, 0),
        EVENT(UINTPTR_MAX, 0, EV_DELETE | EV_RECEIPT, ~0u, -1, 0),
        EVENT(1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 1),
        EVENT(1, 0, EV_DELETE, 0, 0, 0),
        EVENT(1, 0, EV_ENABLE | EV_DISABLE, 0, 0, 0),
    };
    CHECK_EQ(kevent(kq, changes, 5, ev, 4, NULL), 1);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 1);
    CHECK_EQ(kevent(kq, changes, 2, NULL, 0, NULL), 0);
    nothing(kq);
}

/* 1.10 Any other unknown filter is EINVAL, whatever the action. */
TEST(unknown_filter_is_einval, "1.10")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    static const short filters[] = {1,   2,    3,    7,    11,   32,    100,      256,
                                    -64, -100, -128, -256, -999, -1000, SHRT_MAX, SHRT_MIN};
    static const unsigned short flags[] = {EV_ADD, EV_DELETE, EV_ENABLE, EV_DISABLE, 0, EV_ADD | EV_ONESHOT};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        for (size_t j = 0; j < sizeof flags / sizeof *flags; j++)
            CHECK_EQ(change_errno(kq, fds[0], filters[i], flags[j], 0, 0, 0), EINVAL);
}

#ifdef EVFILT_AIO
/* 11 EVFILT_AIO has a name and cannot be registered: EPERM. */
TEST(aio_is_eperm, "11")
{
    int kq = queue();
    struct kevent ev, change = EVENT(1, EVFILT_AIO, EV_ADD, 0, 0, 3);
    CHECK_EQ(change_errno(kq, 1, EVFILT_AIO, EV_ADD, 0, 0, 3), EPERM);
    CHECK_EQ(kevent(kq, &change, 1, &ev, 1, NULL), 1);
    EXPECT_EVENT(ev, 1, EVFILT_AIO, EV_ADD | EV_ERROR, 0, EPERM, 3);
}
#endif

/* 1.10 2.13 EV_EOF, EV_ERROR and the other EV_SYSFLAGS mean nothing on input and do not come back. */
TEST(sysflags_are_ignored, "1.10 2.13")
{
    int kq = queue(), fds[2];
    struct kevent ev;
    socket_pair(fds);
    put(fds[1], 2);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_SYSFLAGS, 0, 0, 1);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD, 0, 2, 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 2);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD, 0, 2, 2);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE | EV_ERROR, 0, 0, 3);
    nothing(kq);
    change(kq, fds[0], EVFILT_READ, EV_ENABLE | EV_ERROR | EV_EOF, 0, 0, 3);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD, 0, 2, 3);
    change(kq, fds[0], EVFILT_READ, EV_DELETE | EV_SYSFLAGS, 0, 0, 0);
    nothing(kq);

    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR | EV_EOF | EV_ERROR, NOTE_TRIGGER, 0, 4);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 4);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT | EV_SYSFLAGS, 0, 0, 5);
    wait_event(kq, &ev);
    EXPECT_EVENT_ANY(ev, fds[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 1, 5, DATA_AT_LEAST);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_SYSFLAGS, 0, 1, 6);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 6);
}

/* 1.11 One knote per (ident, filter): a second EV_ADD is the same knote. */
TEST(one_knote_per_ident_and_filter, "1.11 2.1")
{
    int kq = queue(), fds[2];
    struct kevent ev;
    pipe_pair(fds);
    put(fds[1], 1);
    for (int i = 1; i <= 3; i++)
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, i);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD, 0, 1, 3);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 1.11 The same number under several filters is several knotes. */
TEST(one_ident_under_four_filters, "1.11")
{
    int kq = queue(), fds[2];
    struct kevent ev[8];
    socket_pair(fds);
    put(fds[1], 3);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 2);
    change(kq, fds[0], EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 3);
    int n = collect(kq, ev, 8);
    CHECK_EQ(n, 3);
    EXPECT_EVENT(*find_event(ev, n, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3, 1);
    EXPECT_EVENT_ANY(*find_event(ev, n, fds[0], EVFILT_WRITE), fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 1, 2,
                     DATA_AT_LEAST);
    EXPECT_EVENT(*find_event(ev, n, fds[0], EVFILT_USER), fds[0], EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    change(kq, fds[0], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 4);
    wait_event(kq, ev);
    EXPECT_EVENT(ev[0], fds[0], EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 4);
    change(kq, fds[0], EVFILT_USER, EV_DELETE, 0, 0, 0);
    put(fds[1], 1);
    wait_event(kq, ev);
    EXPECT_EVENT(ev[0], fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 4, 1);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0);
}

/* 1.11 A closed descriptor takes only descriptor knotes with it, not a timer or user event of that number. */
TEST(number_of_a_user_event_is_no_descriptor, "1.11 10.1")
{
    int kq = queue(), fds[2];
    struct kevent ev;
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, fds[0], EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
    OK(close(fds[0]));
    change(kq, fds[0], EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, fds[0], EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
}

/* 1.11 0 is a descriptor, a user event and a timer like any other. */
TEST(ident_zero, "1.11")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    socket_pair(fds);
    OK(dup2(fds[0], 0));
    put(fds[1], 1);
    change(kq, 0, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 1);
    change(kq, 0, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 2);
    change(kq, 0, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 3);
    CHECK_EQ(collect(kq, ev, 4), 3);
    EXPECT_EVENT(*find_event(ev, 3, 0, EVFILT_READ), 0, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 1, 1);
    EXPECT_EVENT_ANY(*find_event(ev, 3, 0, EVFILT_WRITE), 0, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 1, 2, DATA_AT_LEAST);
    EXPECT_EVENT(*find_event(ev, 3, 0, EVFILT_USER), 0, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 3);
    change(kq, 0, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 4);
    wait_event(kq, ev);
    EXPECT_EVENT(ev[0], 0, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 4);
    change(kq, 0, EVFILT_READ, EV_ADD, 0, 0, 5);
    OK(close(0));
    nothing(kq);
    CHECK_EQ(change_errno(kq, 0, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
}

static const uintptr_t numbers[] = {
    0,
    1,
    (uintptr_t)INT_MAX,
    (uintptr_t)INT_MAX + 1,
    UINT_MAX,
#if UINTPTR_MAX > 0xffffffffu
    (uintptr_t)1 << 32,
    ((uintptr_t)1 << 32) + 1,
    (uintptr_t)INTPTR_MAX,
    (uintptr_t)INTPTR_MIN,
    UINTPTR_MAX - 1,
#endif
    UINTPTR_MAX,
};
#define NUMBERS ((int)(sizeof numbers / sizeof *numbers))

/* 1.11 Idents are pointer-sized: numbers that differ only above bit 31 are different user events. */
TEST(idents_are_pointer_sized_user, "1.11 9.1")
{
    int kq = queue();
    struct kevent ev;
    for (int i = 0; i < NUMBERS; i++)
        change(kq, numbers[i], EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int i = 0; i < NUMBERS; i++) {
        change(kq, numbers[i], EVFILT_USER, 0, NOTE_TRIGGER, i, i + 1);
        wait_event(kq, &ev);
        EXPECT_EVENT(ev, numbers[i], EVFILT_USER, EV_ADD | EV_CLEAR, 0, i, i + 1);
    }
    for (int i = 0; i < NUMBERS; i++) {
        change(kq, numbers[i], EVFILT_USER, EV_DELETE, 0, 0, 0);
        CHECK_EQ(change_errno(kq, numbers[i], EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
    }
}

/* 1.11 The same for timers. */
TEST(idents_are_pointer_sized_timer, "1.11 6.1")
{
    int kq = queue();
    struct kevent ev[64];
    int seen = 0, got[64] = {0};
    for (int i = 0; i < NUMBERS; i++)
        change(kq, numbers[i], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 2, i + 1);
    while (seen < NUMBERS) {
        int n = collect(kq, ev, 64);
        for (int j = 0; j < n; j++) {
            int i = (int)(intptr_t)ev[j].udata - 1;
            CHECK(i >= 0 && i < NUMBERS && !got[i]);
            got[i] = 1;
            EXPECT_EVENT(ev[j], numbers[i], EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, i + 1);
        }
        seen += n;
    }
    nothing(kq);
}

/* 1.11 For descriptors a value that is no open descriptor is EBADF, never cut down to one that is. */
TEST(descriptor_idents_are_not_truncated, "1.11 2.4")
{
    int kq = queue(), fds[2];
    struct kevent ev;
    socket_pair(fds);
    uintptr_t fd = (uintptr_t)fds[0];
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, fd, EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0, 1);
    const uintptr_t wrong[] = {
        fd + ((uintptr_t)1 << 31),
        fd + 65536,
        fd + 0x1000000,
        UINTPTR_MAX,
        (uintptr_t)INT_MAX,
        (uintptr_t)INT_MIN,
#if UINTPTR_MAX > 0xffffffffu
        fd + ((uintptr_t)1 << 32),
        fd + ((uintptr_t)1 << 63),
        fd | 0xffffffff00000000u,
        (uintptr_t)UINT_MAX,
#endif
    };
    static const short filters[] = {EVFILT_READ, EVFILT_WRITE};
    static const unsigned short flags[] = {EV_ADD, EV_DELETE, EV_ENABLE, EV_DISABLE, 0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        for (size_t f = 0; f < 2; f++)
            for (size_t a = 0; a < sizeof flags / sizeof *flags; a++)
                CHECK_EQ(change_errno(kq, wrong[i], filters[f], flags[a], 0, 0, 9), EBADF);
    put(fds[1], 1);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 1);
}

/* ---- 1.12 --------------------------------------------------------------------------------------- */

/* 1.12 As many events as fit are returned in one call: more than 512 descriptors. */
TEST(many_descriptors_in_one_call, "1.12")
{
    enum { PAIRS = 400, N = 2 * PAIRS };
    static int fds[N];
    static struct kevent ev[N + 8];
    need_descriptors(N + 32);
    int kq = queue();
    for (int i = 0; i < N; i += 2) {
        socket_pair(&fds[i]);
        put(fds[i], 1 + (size_t)i);
        put(fds[i + 1], 2 + (size_t)i);
    }
    for (int i = 0; i < N; i++)
        change(kq, fds[i], EVFILT_READ, EV_ADD, 0, 0, i + 1);
    for (int round = 0; round < 2; round++) {
        static char seen[N];
        memset(seen, 0, sizeof seen);
        CHECK_EQ(kevent(kq, NULL, 0, ev, N + 8, NULL), N);
        for (int j = 0; j < N; j++) {
            int i = (int)(intptr_t)ev[j].udata - 1;
            CHECK(i >= 0 && i < N && !seen[i]);
            seen[i] = 1;
            EXPECT_EVENT(ev[j], fds[i], EVFILT_READ, EV_ADD, 0, i % 2 ? i : i + 2, i + 1);
        }
    }
}

/* 1.12 The same for descriptors, user events and timers together. */
TEST(many_events_of_every_filter_in_one_call, "1.12")
{
    enum { PAIRS = 150, READS = 2 * PAIRS, USERS = 600, TIMERS = 300, N = READS + READS + USERS + TIMERS };
    static int fds[READS];
    static struct kevent ev[N + 8];
    need_descriptors(READS + 32);
    int kq = queue();
    for (int i = 0; i < TIMERS; i++)
        change(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 100, i);
    int64_t due = now() + MILLISECOND;
    for (int i = 0; i < READS; i += 2) {
        socket_pair(&fds[i]);
        put(fds[i], 1);
        put(fds[i + 1], 1);
    }
    for (int i = 0; i < READS; i++) {
        change(kq, fds[i], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, i);
        change(kq, fds[i], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, i);
    }
    for (int i = 0; i < USERS; i++)
        change(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, i);
    while (now() < due)
        continue;
    CHECK_EQ(kevent(kq, NULL, 0, ev, N + 8, NULL), N);
    int reads = 0, writes = 0, users = 0, timers = 0;
    for (int i = 0; i < N; i++) {
        reads += ev[i].filter == EVFILT_READ;
        writes += ev[i].filter == EVFILT_WRITE;
        users += ev[i].filter == EVFILT_USER;
        timers += ev[i].filter == EVFILT_TIMER;
    }
    CHECK_EQ(reads, READS);
    CHECK_EQ(writes, READS);
    CHECK_EQ(users, USERS);
    CHECK_EQ(timers, TIMERS);
    nothing(kq);
}

/* 1.12 A short eventlist loses nothing and repeats nothing: one-shot events of every filter. */
TEST(short_eventlist_loses_nothing, "1.12 2.7")
{
    enum { FDS = 20, USERS = 50, TIMERS = 30, N = 2 * FDS + USERS + TIMERS };
    for (int room = 1; room <= 7; room += 3) {
        int kq = queue(), fds[FDS];
        struct kevent ev[8];
        char seen[4][USERS] = {{0}};
        for (int i = 0; i < FDS; i += 2) {
            socket_pair(&fds[i]);
            put(fds[i], 1);
            put(fds[i + 1], 1);
        }
        for (int i = 0; i < FDS; i++) {
            change(kq, fds[i], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, i);
            change(kq, fds[i], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, i);
        }
        for (int i = 0; i < USERS; i++)
            change(kq, i, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, i);
        for (int i = 0; i < TIMERS; i++)
            change(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, i);
        for (int got = 0; got < N;) {
            int n = collect(kq, ev, room);
            for (int i = 0; i < n; i++) {
                int kind = ev[i].filter == EVFILT_READ    ? 0
                           : ev[i].filter == EVFILT_WRITE ? 1
                           : ev[i].filter == EVFILT_USER  ? 2
                                                          : 3;
                int index = (int)(intptr_t)ev[i].udata;
                CHECK(!seen[kind][index]);
                seen[kind][index] = 1;
            }
            got += n;
        }
        nothing(kq);
        CHECK(!readable(kq));
        OK(close(kq));
        for (int i = 0; i < FDS; i++)
            OK(close(fds[i]));
    }
}

/* 1.12 Edges survive a short eventlist as well, and the amount is that of the time of the report. */
TEST(short_eventlist_keeps_edges, "1.12 2.9")
{
    enum { N = 12 };
    int kq = queue(), fds[N][2];
    struct kevent ev[1];
    char seen[N] = {0};
    for (int i = 0; i < N; i++) {
        pipe_pair(fds[i]);
        change(kq, fds[i][0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, i);
        put(fds[i][1], 1);
    }
    for (int got = 0; got < N; got++) {
        CHECK_EQ(collect(kq, ev, 1), 1);
        int i = (int)(intptr_t)ev[0].udata;
        CHECK(i < N && !seen[i]);
        seen[i] = 1;
        EXPECT_EVENT(ev[0], fds[i][0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, got == 0 ? 1 : 3, i);
        if (got == 0)
            for (int j = 0; j < N; j++)
                if (j != i)
                    put(fds[j][1], 2);
    }
    nothing(kq);
}

/* Calls with room for `room` until every one of the `n` udata 0..n-1 was seen. */
static void reaches_all(int kq, int n, int room, int calls)
{
    char seen[128] = {0};
    struct kevent ev[16];
    int missing = n;
    for (int call = 0; missing > 0; call++) {
        CHECK_LE(call, calls);
        int count = collect(kq, ev, room);
        for (int i = 0; i < count; i++) {
            char *mark = &seen[(intptr_t)ev[i].udata];
            missing -= !*mark;
            *mark = 1;
        }
    }
}

/* 1.12 The order is fair: with more level knotes ready than fit, repeated calls reach all. */
TEST(fair_among_descriptors, "1.12")
{
    enum { N = 30 };
    int kq = queue(), fds[2];
    for (int i = 0; i < N; i++) {
        pipe_pair(fds);
        put(fds[1], 1);
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, i);
    }
    for (int room = 1; room <= 8; room++)
        reaches_all(kq, N, room, 2 * (N / room + 1));
}

/* 1.12 The same among user events. */
TEST(fair_among_user_events, "1.12")
{
    enum { N = 30 };
    int kq = queue();
    for (int i = 0; i < N; i++)
        change(kq, i, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, i);
    for (int room = 1; room <= 8; room++)
        reaches_all(kq, N, room, 2 * (N / room + 1));
}

/* 1.12 No filter starves another, with room for one event. */
TEST(fair_among_filters, "1.12")
{
    enum { N = 8 };
    int kq = queue(), fds[2], file, other;
    int index = 0;
    for (int i = 0; i < N; i++) {
        socket_pair(fds);
        put(fds[1], 1);
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, index++);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, index++);
        change(kq, i, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, index++);
    }
    file = OK(open("file", O_RDWR | O_CREAT, 0600));
    put(file, 10);
    OK(lseek(file, 0, SEEK_SET));
    change(kq, file, EVFILT_READ, EV_ADD, 0, 0, index++);
    other = queue();
    change(other, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    change(kq, other, EVFILT_READ, EV_ADD, 0, 0, index++);
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_ABSOLUTE, 1, index++); /* 6.4: reported until deleted */
    for (int room = 1; room <= 4; room++)
        reaches_all(kq, index, room, 4 * (index / room + 1));
}

#ifdef EVFILT_PROC
/* 1.12 Within one call descriptors come before process exits: the last output, then the end. */
TEST(output_comes_before_exit, "1.12")
{
    for (int order = 0; order < 2; order++) {
        int kq = queue(), out[2], go[2];
        struct kevent ev[4];
        siginfo_t info;
        pipe_pair(out);
        pipe_pair(go);
        pid_t pid = OK(fork());
        if (pid == 0) {
            take(go[0], 1);
            put(out[1], 5);
            _exit(0);
        }
        if (order == 0)
            change(kq, pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        change(kq, out[0], EVFILT_READ, EV_ADD, 0, 0, 2);
        if (order == 1)
            change(kq, pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        put(go[1], 1);
        OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
        CHECK_EQ(kevent(kq, NULL, 0, ev, 4, NULL), 2);
        EXPECT_EVENT(ev[0], out[0], EVFILT_READ, EV_ADD, 0, 5, 2);
        EXPECT_EVENT_ANY(ev[1], pid, EVFILT_PROC, 0, NOTE_EXIT, 0, 1, ANY_FLAGS);
        child_succeeds(pid);
    }
}
#endif

struct pollers {
    int kq;
    int expected;
    int rounds;
    atomic_int stop;
};

static void *poller(void *argument)
{
    struct pollers *shared = argument;
    struct kevent ev[8];
    for (int i = 0; i < shared->rounds; i++)
        CHECK_EQ(kevent(shared->kq, NULL, 0, ev, 8, &no_wait), shared->expected);
    return NULL;
}

static void *narrow_collector(void *argument)
{
    struct pollers *shared = argument;
    struct kevent ev;
    while (!shared->stop)
        CHECK_EQ(kevent(shared->kq, NULL, 0, &ev, 1, NULL), 1);
    return NULL;
}

/* 1.12 A call with time-out 0 never misses a ready level knote because another thread is collecting. */
TEST_LIMIT(polls_do_not_hide_events_from_each_other, "1.12", 60)
{
    enum { THREADS = 3 };
    struct thread threads[THREADS], narrow;
    struct pollers shared = {queue(), 4, 10000, 0};
    int fds[2];
    socket_pair(fds);
    put(fds[1], 1);
    change(shared.kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(shared.kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    change(shared.kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    change(shared.kq, fds[1], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    start(&narrow, narrow_collector, &shared);
    for (int i = 0; i < THREADS; i++)
        start(&threads[i], poller, &shared);
    for (int i = 0; i < THREADS; i++)
        join(&threads[i]);
    shared.stop = 1;
    join(&narrow);
}

/* 1.12 The same with one descriptor, where the list of ready ones is empty for a moment. */
TEST_LIMIT(polls_do_not_hide_the_only_event, "1.12", 60)
{
    enum { THREADS = 4 };
    struct thread threads[THREADS];
    struct pollers shared = {queue(), 1, 20000, 0};
    int fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    change(shared.kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    for (int i = 0; i < THREADS; i++)
        start(&threads[i], poller, &shared);
    for (int i = 0; i < THREADS; i++)
        join(&threads[i]);
}

/* 1.12 The same with one user event. */
TEST_LIMIT(polls_do_not_hide_the_only_user_event, "1.12", 60)
{
    enum { THREADS = 4 };
    struct thread threads[THREADS];
    struct pollers shared = {queue(), 1, 20000, 0};
    change(shared.kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    for (int i = 0; i < THREADS; i++)
        start(&threads[i], poller, &shared);
    for (int i = 0; i < THREADS; i++)
        join(&threads[i]);
}

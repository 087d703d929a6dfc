/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROCDESC (8.7): the end of a process by a descriptor of it, on Linux a pidfd. */
#define SUITE "procdesc"
#include "suite.h"

#if defined(EVFILT_PROCDESC) && defined(__linux__)

#include "procs.h"

#include <grp.h>
#include <sys/syscall.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static const struct timespec no_wait = {0, 0};

static int process_descriptor(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd == -1 && (errno == ENOSYS || errno == EPERM))
        SKIP("no pidfd_open");
    return OK(fd);
}

#define watch_end(kq, fd, udata) change(kq, fd, EVFILT_PROCDESC, EV_ADD, NOTE_EXIT, 0, udata)
#define EXPECT_END(kq, fd, status, udata) EXPECT_NEXT(kq, fd, EVFILT_PROCDESC, ENDED, NOTE_EXIT, status, udata)
#define no_end_knote(kq, fd) CHECK_EQ(change_errno(kq, fd, EVFILT_PROCDESC, EV_DELETE, 0, 0, 0), ENOENT)

/* 8.7 NOTE_EXIT with the status, once; the process is not reaped and the descriptor stays open and as it was. */
TEST(exit_is_reported, "8.7 8.2")
{
    static const int codes[] = {0, 1, 255};
    int kq = queue();
    for (size_t i = 0; i < COUNT(codes); i++) {
        struct puppet child;
        siginfo_t info;
        give_birth(&child);
        int fd = process_descriptor(child.pid);
        watch_end(kq, fd, i);
        nothing(kq);
        CHECK(!readable(fd));
        order(&child, EXIT, codes[i]);
        EXPECT_END(kq, fd, CODE(codes[i]), i);
        nothing(kq);
        no_end_knote(kq, fd);
        CHECK(readable(fd));
        memset(&info, 0, sizeof info);
        OK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED));
        CHECK_EQ(info.si_pid, child.pid);
        CHECK_EQ(info.si_status, codes[i]);
        sleeps(kq);
    }
}

/* 8.7 Death by a signal. */
TEST(death_by_signal, "8.7 8.2")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    int fd = process_descriptor(child.pid);
    watch_end(kq, fd, 1);
    OK(kill(child.pid, SIGKILL));
    EXPECT_END(kq, fd, SIGKILL, 1);
    CHECK_EQ(reap(child.pid), SIGKILL);
}

/* 8.7 Of a zombie at once; of one that was reaped, too, as long as the descriptor is open: true or not told. */
TEST(exit_before_add, "8.7 8.1 8.3")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    int fd = process_descriptor(child.pid);
    exits(&child, 4);
    struct kevent ev, add = EVENT(fd, EVFILT_PROCDESC, EV_ADD, NOTE_EXIT, 0, 1);
    CHECK_EQ(kevent(kq, &add, 1, &ev, 1, &no_wait), 1);
    EXPECT_EVENT(ev, fd, EVFILT_PROCDESC, ENDED, NOTE_EXIT, CODE(4), 1);
    reap(child.pid);
    watch_end(kq, fd, 2);
    EXPECT_END(kq, fd, reaped_status_is_told() ? CODE(4) : 0, 2);
    no_end_knote(kq, fd);
}

/* 8.7 8.1 Of a zombie as often as it is added; then by another kqueue. */
TEST(zombie_added_again, "8.7 8.1 1.11")
{
    int kqs[2] = {queue(), queue()};
    struct puppet child;
    give_birth(&child);
    int fd = process_descriptor(child.pid);
    exits(&child, 4);
    for (int i = 0; i < 6; i++) {
        watch_end(kqs[i / 3], fd, i);
        EXPECT_END(kqs[i / 3], fd, CODE(4), i);
        no_end_knote(kqs[i / 3], fd);
    }
}

/* 8.7 Reaped before kevent looks. */
TEST(reaped_before_kevent_looks, "8.7 8.4")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    int fd = process_descriptor(child.pid);
    watch_end(kq, fd, 1);
    order(&child, EXIT, 4);
    reap(child.pid);
    EXPECT_END(kq, fd, reaped_status_is_told() ? CODE(4) : 0, 1);
    nothing(kq);
    sleeps(kq);
}

/* 8.7 Closing the descriptor removes its knote (10.1), also one whose process has ended. */
TEST(close_removes_the_knote, "8.7 10.1")
{
    int kq = queue();
    for (int ended = 0; ended < 2; ended++) {
        struct puppet child;
        give_birth(&child);
        int fd = process_descriptor(child.pid), other = process_descriptor(child.pid);
        watch_end(kq, fd, 1);
        watch_end(kq, other, 2);
        if (ended)
            exits(&child, 4);
        OK(close(fd));
        CHECK_EQ(change_errno(kq, fd, EVFILT_PROCDESC, EV_DELETE, 0, 0, 0), EBADF);
        if (!ended)
            exits(&child, 4);
        EXPECT_END(kq, other, CODE(4), 2);
        nothing(kq);
        sleeps(kq);
        OK(close(other));
    }
}

/* 8.7 The number comes back as the descriptor of another process: that is not watched until it is added (10.8). */
TEST(number_comes_back, "8.7 10.8")
{
    int kq = queue();
    struct puppet first, second;
    give_birth(&first);
    give_birth(&second);
    int fd = process_descriptor(first.pid);
    watch_end(kq, fd, 1);
    OK(close(fd));
    CHECK_EQ(process_descriptor(second.pid), fd);
    exits(&first, 1);
    something_comes(kq);
    no_end_knote(kq, fd);
    watch_end(kq, fd, 2);
    exits(&second, 2);
    EXPECT_END(kq, fd, CODE(2), 2);
}

/* 8.7 A duplicate is another descriptor: it keeps nothing alive and is watched by itself (10.1). */
TEST(duplicate, "8.7 10.1")
{
    int kq = queue();
    struct puppet child;
    struct kevent ev[3];
    give_birth(&child);
    int fd = process_descriptor(child.pid);
    int copy = OK(dup(fd)), silent = OK(dup(fd));
    watch_end(kq, fd, 1);
    watch_end(kq, copy, 2);
    watch_end(kq, silent, 3);
    OK(close(silent));
    exits(&child, 6);
    CHECK_EQ(collect(kq, ev, 3), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_PROCDESC), fd, EVFILT_PROCDESC, ENDED, NOTE_EXIT, CODE(6), 1);
    EXPECT_EVENT(*find_event(ev, 2, copy, EVFILT_PROCDESC), copy, EVFILT_PROCDESC, ENDED, NOTE_EXIT, CODE(6), 2);
    nothing(kq);
}

/* 8.7 Several descriptors of one process, and the process by its number: each reports. */
TEST(several_of_one_process, "8.7 1.11")
{
    enum { N = 4 };
    int kq = queue(), fds[N];
    struct puppet child;
    struct kevent ev[N + 2];
    give_birth(&child);
    for (int i = 0; i < N; i++) {
        fds[i] = process_descriptor(child.pid);
        watch_end(kq, fds[i], i);
    }
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, N);
    change(kq, fds[N - 1], EVFILT_PROCDESC, EV_DELETE, 0, 0, 0);
    exits(&child, 6);
    CHECK_EQ(collect(kq, ev, N + 2), N);
    for (int i = 0; i < N - 1; i++)
        EXPECT_EVENT(*find_event(ev, N, fds[i], EVFILT_PROCDESC), fds[i], EVFILT_PROCDESC, ENDED, NOTE_EXIT, CODE(6),
                     i);
    EXPECT_EVENT(*find_event(ev, N, child.pid, EVFILT_PROC), child.pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(6), N);
    nothing(kq);
    CHECK_EQ(reap(child.pid), CODE(6));
}

/* 8.7 What is no process descriptor is refused, and a number that is not open is EBADF (1.11). */
TEST(no_process_descriptor, "8.7 1.11")
{
    int kq = queue(), fds[2], pair[2];
    pipe_pair(fds);
    socket_pair(pair);
    int file = OK(open("file", O_RDWR | O_CREAT, 0600));
    int directory = OK(open("/proc/self", O_RDONLY | O_DIRECTORY));
    int idents[] = {fds[0], fds[1], pair[0], file, directory, queue()};
    for (size_t i = 0; i < COUNT(idents); i++) {
        int error = change_errno(kq, idents[i], EVFILT_PROCDESC, EV_ADD, NOTE_EXIT, 0, 0);
        CHECK(error == EINVAL || error == EBADF);
        no_end_knote(kq, idents[i]);
    }
    CHECK_EQ(change_errno(kq, 999, EVFILT_PROCDESC, EV_ADD, NOTE_EXIT, 0, 0), EBADF);
    CHECK_EQ(change_errno(kq, -1, EVFILT_PROCDESC, EV_ADD, NOTE_EXIT, 0, 0), EBADF);
    if (sizeof(uintptr_t) > sizeof(int))
        CHECK_EQ(change_errno(kq, UINT_MAX + (uintptr_t)1, EVFILT_PROCDESC, EV_ADD, NOTE_EXIT, 0, 0), EBADF);
    nothing(kq);
    /* They are what they were. */
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 1);
}

/* 8.7 Disabled, deleted, added again: as every knote (section 2). */
TEST(flags, "8.7 2.1 2.5 2.6 2.12")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    int disabled = process_descriptor(child.pid), deleted = process_descriptor(child.pid);
    int again = process_descriptor(child.pid), forced = process_descriptor(child.pid);
    change(kq, disabled, EVFILT_PROCDESC, EV_ADD | EV_DISABLE, NOTE_EXIT, 0, 1);
    watch_end(kq, deleted, 2);
    watch_end(kq, again, 3);
    watch_end(kq, again, 4);
    watch_end(kq, forced, 5);
    change(kq, forced, EVFILT_PROCDESC, EV_FORCEONESHOT, 0, 0, 6);
    EXPECT_NEXT(kq, forced, EVFILT_PROCDESC, LIVES | EV_ONESHOT, 0, 0, 6);
    no_end_knote(kq, forced);
    exits(&child, 8);
    change(kq, deleted, EVFILT_PROCDESC, EV_DELETE, 0, 0, 0);
    EXPECT_END(kq, again, CODE(8), 4);
    nothing(kq);
    no_end_knote(kq, deleted);
    change(kq, disabled, EVFILT_PROCDESC, EV_ENABLE, 0, 0, 7);
    EXPECT_END(kq, disabled, CODE(8), 7);
    nothing(kq);
    sleeps(kq);
}

/* 8.7 A waiter is woken, and the kqueue polls readable until the event is taken (10.5). */
TEST(exit_wakes_a_waiter, "8.7 10.5")
{
    struct waiter waiter = {queue(), {0}};
    struct thread thread;
    struct puppet child, other;
    give_birth(&child);
    give_birth(&other);
    int fd = process_descriptor(child.pid), second = process_descriptor(other.pid);
    watch_end(waiter.kq, fd, 1);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    order(&child, EXIT, 8);
    join(&thread);
    EXPECT_EVENT(waiter.ev, fd, EVFILT_PROCDESC, ENDED, NOTE_EXIT, CODE(8), 1);
    CHECK(!readable(waiter.kq));
    watch_end(waiter.kq, second, 2);
    exits(&other, 9);
    CHECK(readable(waiter.kq));
    EXPECT_END(waiter.kq, second, CODE(9), 2);
    nothing(waiter.kq);
    CHECK(!readable(waiter.kq));
    sleeps(waiter.kq);
}

/* 8.7 A stranger's process, a grandchild. */
TEST(grandchild, "8.7 8.3")
{
    int kq = queue();
    struct puppet child, grandchild;
    prepare(&grandchild);
    give_birth(&child);
    let_beget(&child, FORK, &grandchild);
    int fd = process_descriptor(grandchild.pid);
    watch_end(kq, fd, 1);
    order(&grandchild, EXIT, 8);
    tell(&child, WATCH, grandchild.pid);
    EXPECT_END(kq, fd, CODE(8), 1);
    CHECK_EQ(tell(&child, REAP, grandchild.pid), CODE(8));
}

/* 8.7 8.3 A stranger whose status is hidden: told after its reap, and true, or at once and not made up. */
TEST(hidden_status, "8.7 8.3 10.5")
{
    enum { NOBODY = 65534 };
    struct puppet parent, stranger;
    prepare(&stranger);
    give_birth(&parent);
    let_beget(&parent, FORK, &stranger);
    pid_t judge = OK(fork());
    if (judge == 0) {
        struct kevent ev;
        gid_t group = NOBODY;
        if (setgroups(1, &group) == -1 || setresgid(NOBODY, NOBODY, NOBODY) == -1
            || setresuid(NOBODY, NOBODY, NOBODY) == -1)
            SKIP("the case needs root, to be another user's process");
        int kq = queue(), fd = process_descriptor(stranger.pid);
        watch_end(kq, fd, 1);
        order(&stranger, EXIT, 7);
        tell(&parent, WATCH, stranger.pid);
        int at_once = OK(kevent(kq, NULL, 0, &ev, 1, &no_wait));
        CHECK_EQ(at_once, !reaped_status_is_told());
        if (!at_once) {
            sleeps(kq);
            CHECK(!readable(kq));
            tell(&parent, REAP, stranger.pid);
            wait_event(kq, &ev);
        }
        EXPECT_EVENT(ev, fd, EVFILT_PROCDESC, ENDED, NOTE_EXIT, at_once ? 0 : CODE(7), 1);
        nothing(kq);
        no_end_knote(kq, fd);
        _exit(0);
    }
    child_succeeds(judge);
}

/* 8.7 The descriptor can be watched for reading besides, as poll(2) says (3.9). */
TEST(beside_read, "8.7 3.9 2.11")
{
    int kq = queue();
    struct puppet child;
    struct kevent ev[4];
    give_birth(&child);
    int fd = process_descriptor(child.pid);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    watch_end(kq, fd, 2);
    nothing(kq);
    exits(&child, 8);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(ev[0], fd, EVFILT_READ, EV_ADD, 0, 1, 1);
    EXPECT_EVENT(ev[1], fd, EVFILT_PROCDESC, ENDED, NOTE_EXIT, CODE(8), 2);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 1, 1);
    change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    nothing(kq);
    sleeps(kq);
}

/* 8.7 10.3 A child of ours has the descriptor, which is ours, and nothing of the library's. */
TEST(forked_child, "8.7 10.3")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    int fd = process_descriptor(child.pid), before = open_descriptors() - 1;
    watch_end(kq, fd, 1);
    pid_t pid = OK(fork());
    if (pid == 0) {
        CHECK_EQ(open_descriptors(), before);
        CHECK(is_open(fd));
        int own = queue();
        watch_end(own, fd, 2);
        nothing(own);
        _exit(0);
    }
    child_succeeds(pid);
    order(&child, EXIT, 5);
    EXPECT_END(kq, fd, CODE(5), 1);
}

#endif

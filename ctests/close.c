/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Section 10: closing what is watched (10.1), closing the kqueue (10.2), and numbers that come back as
 * something else (10.8).
 */
#define SUITE "close"
#include "suite.h"

#include "sockets.h"

#include <dirent.h>
#include <limits.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#ifdef __linux__
#include <mqueue.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A pipe with a byte in it whose reading end is watched, and lives on in `other` when it is closed. */
struct watched {
    int kq;
    int fd;
    int other;
    int writer;
};

static struct watched watched(unsigned short mode)
{
    int fds[2];
    struct watched w;
    pipe_pair(fds);
    put(fds[1], 1);
    w.kq = queue();
    w.fd = fds[0];
    w.writer = fds[1];
    w.other = OK(dup(fds[0]));
    change(w.kq, w.fd, EVFILT_READ, EV_ADD | mode, 0, 0, 0x77);
    return w;
}

/* Nothing is left of the knote, though the file lives on in a dup and has data. */
static void is_gone(struct watched *w)
{
    nothing(w->kq);
    put(w->writer, 1);
    nothing(w->kq);
    CHECK(!readable(w->kq));
    CHECK_EQ(change_errno(w->kq, w->fd, EVFILT_READ, EV_DELETE, 0, 0, 0), is_open(w->fd) ? ENOENT : EBADF);
}

/* It is still there. */
static void is_alive(struct watched *w)
{
    EXPECT_NEXT(w->kq, w->fd, EVFILT_READ, EV_ADD, 0, 1, 0x77);
    put(w->writer, 1);
    EXPECT_NEXT(w->kq, w->fd, EVFILT_READ, EV_ADD, 0, 2, 0x77);
    change(w->kq, w->fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
}

/* ---- 10.1 --------------------------------------------------------------------------------------- */

/* 10.1 close of a descriptor removes its knotes, with what was pending, though a dup lives on. */
TEST(close_removes_the_knotes, "10.1")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH, EV_DISABLE};
    for (size_t i = 0; i < COUNT(modes); i++) {
        struct watched w = watched(modes[i]);
        OK(close(w.fd));
        is_gone(&w);
    }
}

/* 10.1 The same after the knote was reported, and when it was never ready. */
TEST(close_removes_a_knote_that_was_used, "10.1")
{
    struct watched w = watched(0);
    EXPECT_NEXT(w.kq, w.fd, EVFILT_READ, EV_ADD, 0, 1, 0x77);
    EXPECT_NEXT(w.kq, w.fd, EVFILT_READ, EV_ADD, 0, 1, 0x77);
    OK(close(w.fd));
    is_gone(&w);
    w = watched(EV_CLEAR);
    EXPECT_NEXT(w.kq, w.fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 0x77);
    OK(close(w.fd));
    is_gone(&w);
    w = watched(0);
    take(w.fd, 1);
    nothing(w.kq);
    OK(close(w.fd));
    is_gone(&w);
}

/* 10.1 READ and WRITE both. */
TEST(close_removes_both_filters, "10.1")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < COUNT(modes); i++) {
        for (size_t j = 0; j < COUNT(modes); j++) {
            int kq = queue(), fds[2];
            socket_pair(fds);
            put(fds[1], 1);
            int other = OK(dup(fds[0]));
            change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
            change(kq, fds[0], EVFILT_WRITE, EV_ADD | modes[j], 0, 0, 2);
            OK(close(fds[0]));
            nothing(kq);
            put(fds[1], 1);
            nothing(kq);
            CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 0), EBADF);
            CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, EV_ENABLE, 0, 0, 0), EBADF);
            CHECK(!readable(kq));
            OK(close(other));
            OK(close(fds[1]));
            OK(close(kq));
        }
    }
}

/* 10.1 From every kqueue. */
TEST(close_removes_from_every_queue, "10.1")
{
    enum { N = 70 };
    int queues[N], fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    for (int i = 0; i < N; i++) {
        queues[i] = queue();
        change(queues[i], fds[0], EVFILT_READ, EV_ADD | (i % 2 ? EV_CLEAR : 0), 0, 0, i);
    }
    int other = OK(dup(fds[0]));
    OK(close(fds[0]));
    for (int i = 0; i < N; i++) {
        nothing(queues[i]);
        CHECK_EQ(change_errno(queues[i], fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
    }
    OK(dup2(other, fds[0]));
    for (int i = 0; i < N; i++) {
        CHECK_EQ(change_errno(queues[i], fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
        change(queues[i], fds[0], EVFILT_READ, EV_ADD, 0, 0, i + 1000);
        EXPECT_NEXT(queues[i], fds[0], EVFILT_READ, EV_ADD, 0, 1, i + 1000);
    }
}

/* 10.1 A dup is another descriptor: it keeps its own knote when the other is closed. */
TEST(dup_keeps_its_knote, "10.1")
{
    struct watched w = watched(0);
    struct kevent ev[4];
    change(w.kq, w.other, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0x88);
    CHECK_EQ(collect(w.kq, ev, 4), 2);
    OK(close(w.fd));
    nothing(w.kq);
    put(w.writer, 1);
    EXPECT_NEXT(w.kq, w.other, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 2, 0x88);
    nothing(w.kq);
    CHECK_EQ(change_errno(w.kq, w.fd, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
    change(w.kq, w.other, EVFILT_READ, EV_DELETE, 0, 0, 0);
}

/* 10.1 Closing a dup that is not watched leaves the knote. */
TEST(close_of_an_unwatched_dup, "10.1")
{
    struct watched w = watched(0);
    OK(close(w.other));
    is_alive(&w);
}

/* 10.1 dup2 over a watched descriptor closes it; what is there now is not watched. */
TEST(dup2_over_a_watched_descriptor, "10.1")
{
    struct watched w = watched(0);
    OK(dup2(w.other, w.fd));
    is_gone(&w);
    int fds[2];
    w = watched(EV_CLEAR);
    pipe_pair(fds);
    put(fds[1], 3);
    OK(dup2(fds[0], w.fd));
    is_gone(&w);
    change(w.kq, w.fd, EVFILT_READ, EV_ADD, 0, 0, 9);
    EXPECT_NEXT(w.kq, w.fd, EVFILT_READ, EV_ADD, 0, 3, 9);
}

/* 10.1 dup2 onto itself closes nothing, nor does one that fails. */
TEST(dup2_that_closes_nothing, "10.1")
{
    struct watched w = watched(0);
    OK(dup2(w.fd, w.fd));
    CHECK_ERRNO(dup2(900, w.fd), EBADF);
    CHECK_ERRNO(dup2(-1, w.fd), EBADF);
    is_alive(&w);
}

/* 10.1 The source of a dup2 keeps its knote. */
TEST(dup2_from_a_watched_descriptor, "10.1")
{
    struct watched w = watched(0);
    OK(dup2(w.fd, w.other));
    OK(close(w.other));
    is_alive(&w);
}

#ifdef __linux__
/* 10.1 dup3 over a watched descriptor; dup3 that fails. */
TEST(dup3_over_a_watched_descriptor, "10.1")
{
    struct watched w = watched(0);
    CHECK_ERRNO(dup3(w.fd, w.fd, 0), EINVAL);
    CHECK_ERRNO(dup3(w.other, w.fd, O_APPEND), EINVAL);
    CHECK_ERRNO(dup3(900, w.fd, 0), EBADF);
    EXPECT_NEXT(w.kq, w.fd, EVFILT_READ, EV_ADD, 0, 1, 0x77);
    OK(dup3(w.other, w.fd, O_CLOEXEC));
    is_gone(&w);
}
#endif

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
#define HAVE_CLOSE_RANGE
#endif
#endif

#ifdef HAVE_CLOSE_RANGE
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* 10.1 close_range over a watched descriptor. */
TEST(close_range_removes_the_knotes, "10.1")
{
    struct watched w = watched(0);
    if (close_range(900, 901, 0) == -1)
        SKIP("no close_range here");
    OK(close_range((unsigned)w.fd, (unsigned)w.fd, 0));
    CHECK(!is_open(w.fd));
    is_gone(&w);
}

/* 10.1 The same to the end of all numbers, with the kqueue below. It had descriptors of its own up there, maybe. */
TEST(close_range_to_the_end, "10.1")
{
    struct watched w = watched(0);
    change(w.kq, 5, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 1, 2);
    change(w.kq, 6, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 0);
    change(w.kq, 5, EVFILT_USER, EV_DELETE, 0, 0, 0);
    int high = OK(fcntl(w.fd, F_DUPFD, 100)), other = OK(dup(w.other));
    if (close_range(9900, 9901, 0) == -1)
        SKIP("no close_range here");
    change(w.kq, high, EVFILT_READ, EV_ADD, 0, 0, 1);
    change(w.kq, w.fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    w.fd = high;
    EXPECT_NEXT(w.kq, high, EVFILT_READ, EV_ADD, 0, 1, 1);
    OK(close_range(100, ~0u, 0));
    CHECK(is_open(other) && !is_open(high));
    is_gone(&w);
    change(w.kq, 5, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 1, 2);
    EXPECT_NEXT(w.kq, 5, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 1, 2);
    change(w.kq, 5, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 3);
    EXPECT_NEXT(w.kq, 5, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 3);
}

/* 10.1 close_range that only sets close-on-exec, or fails, removes nothing. */
TEST(close_range_that_closes_nothing, "10.1")
{
    struct watched w = watched(0);
    if (close_range((unsigned)w.fd, (unsigned)w.fd, CLOSE_RANGE_CLOEXEC) == -1)
        SKIP("no close_range here");
    CHECK(is_open(w.fd));
    CHECK_ERRNO(close_range(5, 4, 0), EINVAL);
    CHECK_ERRNO(close_range((unsigned)w.fd, (unsigned)w.fd, 0x40000000), EINVAL);
    is_alive(&w);
}

/* 10.1 closefrom. */
TEST(closefrom_removes_the_knotes, "10.1")
{
    struct watched w = watched(0);
    int high = OK(fcntl(w.fd, F_DUPFD, 200));
    change(w.kq, w.fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(w.kq, high, EVFILT_READ, EV_ADD, 0, 0, 1);
    closefrom(200);
    w.fd = high;
    CHECK(!is_open(high));
    is_gone(&w);
}
#endif

/* 10.1 fclose of a stream on a watched descriptor. */
TEST(fclose_removes_the_knotes, "10.1")
{
    struct watched w = watched(0);
    FILE *stream = fdopen(w.fd, "r");
    CHECK(stream);
    CHECK_EQ(fclose(stream), 0);
    CHECK(!is_open(w.fd));
    is_gone(&w);
}

/* 10.1 freopen of a stream on a watched descriptor, which may keep the number. */
TEST(freopen_removes_the_knotes, "10.1")
{
    struct watched w = watched(0);
    FILE *stream = fdopen(w.fd, "r");
    CHECK(stream);
    CHECK(freopen("/dev/null", "r", stream));
    is_gone(&w);
}

#ifdef __GLIBC__
/* 10.1 The same by the name that large files gave it. */
TEST(freopen64_removes_the_knotes, "10.1")
{
    struct watched w = watched(0);
    FILE *stream = fdopen(w.fd, "r");
    CHECK(stream);
    CHECK(freopen64("/dev/null", "r", stream));
    is_gone(&w);
}

/* 10.1 mq_close: its descriptor is one of the process's, and gone; what is none is EBADF. */
TEST(mq_close_removes_the_knotes, "10.1")
{
    char name[32];
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
    struct watched w = {.kq = queue()};
    snprintf(name, sizeof name, "/ctests-close-%d", (int)getpid());
    w.fd = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    if (w.fd == -1)
        SKIP("no message queues");
    OK(mq_unlink(name));
    w.other = OK(dup(w.fd));
    OK(mq_send(w.fd, "hello", 5, 0));
    change(w.kq, w.fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    EXPECT_NEXT_ANY(w.kq, w.fd, EVFILT_READ, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
    CHECK_EQ(mq_close(w.fd), 0);
    CHECK(!is_open(w.fd));
    nothing(w.kq);
    CHECK_EQ(change_errno(w.kq, w.fd, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
    CHECK_ERRNO(mq_close(w.fd), EBADF);
}
#endif

/* 10.1 pclose. */
TEST(pclose_removes_the_knotes, "10.1")
{
    struct watched w = {.kq = queue()};
    FILE *stream = popen("echo output; exec sleep 1000", "r");
    CHECK(stream);
    w.fd = fileno(stream);
    w.other = OK(dup(w.fd));
    change(w.kq, w.fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    EXPECT_NEXT(w.kq, w.fd, EVFILT_READ, EV_ADD, 0, 7, 1);
    OK(pclose(popen("true", "r")));
    EXPECT_NEXT(w.kq, w.fd, EVFILT_READ, EV_ADD, 0, 7, 1);
    /* pclose would wait for the sleep: end it, it is in our process group and ignores nothing. */
    signal(SIGTERM, SIG_IGN);
    OK(kill(0, SIGTERM));
    OK(pclose(stream));
    CHECK(!is_open(w.fd));
    nothing(w.kq);
    CHECK_EQ(change_errno(w.kq, w.fd, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
}

/* 10.1 closedir closes its descriptor, and the number comes back unwatched. */
TEST(closedir_frees_the_number, "10.1")
{
    int kq = queue(), fds[2];
    DIR *directory = opendir(".");
    CHECK(directory);
    int fd = dirfd(directory);
    change_errno(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1); /* a directory may be refused (3.7) */
    CHECK_EQ(closedir(directory), 0);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
    pipe_pair(fds);
    put(fds[1], 1);
    if (fds[0] != fd)
        OK(dup2(fds[0], fd));
    nothing(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 2);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 1, 2);
}

/* 10.1 The same for regular files, which the system's own queue cannot watch. */
TEST(close_of_a_regular_file, "10.1")
{
    int kq = queue();
    int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
    put(fd, 10);
    OK(lseek(fd, 0, SEEK_SET));
    int other = OK(dup(fd));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 2);
    OK(close(fd));
    nothing(kq);
    CHECK(!readable(kq));
    CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
    OK(dup2(other, fd));
    nothing(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 3);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 10, 3);
}

/* 10.1 The last close of a socket, with its peer still there, and then the peer's. */
TEST(close_of_a_socket, "10.1")
{
    static const enum kind kinds[] = {UNIX_STREAM, TCP};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        int kq = queue(), fds[2];
        connected(kinds[i], fds);
        put(fds[1], 1);
        until_queued(fds[0], 1);
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 2);
        OK(close(fds[0]));
        nothing(kq);
        OK(close(fds[1]));
        nothing(kq);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0), EBADF);
    }
}

/* 10.1 An event that a short eventlist left over goes with its descriptor. */
TEST(close_removes_what_was_left_over, "10.1 1.12")
{
    enum { N = 8 };
    int kq = queue(), fds[N][2];
    struct kevent ev[1];
    for (int i = 0; i < N; i++) {
        pipe_pair(fds[i]);
        put(fds[i][1], 1);
        change(kq, fds[i][0], EVFILT_READ, EV_ADD | (i % 2 ? EV_CLEAR : EV_ONESHOT), 0, 0, i);
        OK(dup(fds[i][0]));
    }
    CHECK_EQ(collect(kq, ev, 1), 1);
    for (int i = 0; i < N; i++)
        OK(close(fds[i][0]));
    nothing(kq);
    CHECK(!readable(kq));
}

/* 10.1 What a forked child closes is the child's: the parent's knotes stay. */
TEST(close_in_a_child_removes_nothing, "10.1 10.3")
{
    struct watched w = watched(0);
    int fds[2];
    socket_pair(fds);
    change(w.kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 5);
    pid_t pid = OK(fork());
    if (pid == 0) {
        OK(close(w.fd));
        OK(dup2(w.other, fds[0]));
        FILE *stream = fdopen(w.other, "r");
        CHECK(stream);
        CHECK_EQ(fclose(stream), 0);
        OK(close(fds[1]));
        _exit(0);
    }
    child_succeeds(pid);
    put(fds[1], 1);
    struct kevent ev[4];
    CHECK_EQ(collect(w.kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 5);
    is_alive(&w);
}

/* 10.1 A child that lives on with the file does not keep the parent's closed descriptor watched. */
TEST(close_while_a_child_has_the_file, "10.1 10.3")
{
    struct watched w = watched(0);
    int hold[2];
    pipe_pair(hold);
    pid_t pid = OK(fork());
    if (pid == 0) {
        char byte;
        OK(close(hold[1]));
        CHECK_EQ(read(hold[0], &byte, 1), 0);
        _exit(0);
    }
    OK(close(w.other));
    OK(close(w.fd));
    nothing(w.kq);
    put(w.writer, 1);
    nothing(w.kq);
    CHECK_EQ(change_errno(w.kq, w.fd, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
    OK(close(hold[1]));
    child_succeeds(pid);
}

/* 10.1 What posix_spawn closes and moves in the child does not touch the parent's knotes. */
TEST(spawn_file_actions_remove_nothing, "10.1 10.4")
{
    struct watched w = watched(0);
    extern char **environ;
    posix_spawn_file_actions_t actions;
    char *arguments[] = {(char *)"true", NULL};
    pid_t pid;
    OK0(posix_spawn_file_actions_init(&actions));
    OK0(posix_spawn_file_actions_addclose(&actions, w.fd));
    OK0(posix_spawn_file_actions_adddup2(&actions, w.writer, w.other));
    OK0(posix_spawnp(&pid, "true", &actions, NULL, arguments, environ));
    OK0(posix_spawn_file_actions_destroy(&actions));
    child_succeeds(pid);
    is_alive(&w);
}

/* 10.1 The same for a vfork child, which shares the parent's memory. */
TEST(close_in_a_vfork_child_removes_nothing, "10.1 10.3")
{
    struct watched w = watched(0);
    pid_t pid = vfork();
    if (pid == 0) {
        close(w.fd);
        close(w.writer);
        execl("/bin/true", "true", (char *)NULL);
        _exit(0);
    }
    child_succeeds(OK(pid));
    is_alive(&w);
}

struct closing {
    int kq;
    int fd;
    atomic_int result;
    struct kevent ev[4];
};

static void *wait_for_events(void *argument)
{
    struct closing *closing = argument;
    closing->result = kevent(closing->kq, NULL, 0, closing->ev, 4, NULL);
    if (closing->result == -1)
        closing->result = -errno;
    return NULL;
}

/* 10.1 From another thread, while kevent waits: the waiter hears nothing, and the number can be registered anew. */
TEST(close_while_another_thread_waits, "10.1 10.8")
{
    struct closing closing = {.kq = queue()};
    struct thread thread;
    int kq = closing.kq, fds[2], again[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0, 2);
    start(&thread, wait_for_events, &closing);
    until_asleep(&thread);
    int other = OK(dup(fds[0]));
    OK(close(fds[0]));
    put(fds[1], 1);
    OK(close(fds[1]));
    pipe_pair(again);
    if (again[0] != fds[0])
        OK(dup2(again[0], fds[0]));
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 3);
    put(again[1], 2);
    join(&thread);
    CHECK_EQ(closing.result, 1);
    EXPECT_EVENT(closing.ev[0], fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 2, 3);
    OK(close(other));
}

/* 10.1 A timer and a user event are no descriptor: no close takes them. */
TEST(close_leaves_timers_and_user_events, "10.1 1.11")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, fds[0], EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 20, 2);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 3);
    OK(close(fds[0]));
    OK(close(fds[1]));
    EXPECT_NEXT(kq, fds[0], EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 2);
    change(kq, fds[0], EVFILT_USER, 0, NOTE_TRIGGER, 0, 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
}

/* 10.1 What failed before is still in errno after a close that succeeds: many programs look only then. */
#define LEAVES_ERRNO(call)                                                                                  \
    do {                                                                                                    \
        errno = EDOM;                                                                                       \
        CHECK((call) != -1);                                                                                \
        CHECK_EQ(errno, EDOM);                                                                              \
    } while (0)

TEST(close_leaves_errno, "10.1")
{
    int queues[2] = {queue(), queue()}, fds[6][2];
    for (int i = 0; i < 6; i++) {
        socket_pair(fds[i]);
        for (int q = 0; q < 2; q++) {
            change(queues[q], fds[i][0], EVFILT_READ, EV_ADD, 0, 0, 0);
            /* The last one's two events cannot share an item, the others' are not among such. */
            if (i == 5)
                change(queues[q], fds[i][0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0);
        }
    }
    change(queues[0], 1, EVFILT_TIMER, EV_ADD, 0, 3600000, 0);
    change(queues[0], SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 0);
    FILE *stream = fdopen(fds[2][0], "r");
    CHECK(stream);
    LEAVES_ERRNO(close(fds[0][0]));
    LEAVES_ERRNO(dup2(fds[0][1], fds[1][0]));
    LEAVES_ERRNO(fclose(stream));
    LEAVES_ERRNO(dup3(fds[0][1], fds[3][0], O_CLOEXEC));
    LEAVES_ERRNO(close(fds[5][0]));
    LEAVES_ERRNO(close(fds[4][0]));
    LEAVES_ERRNO(close(queues[0]));
    LEAVES_ERRNO(dup2(fds[0][1], queues[1]));
}

/* 10.1 A queue that was left with nothing but closed descriptors sleeps. */
TEST(queue_sleeps_after_closes, "10.1 10.5")
{
    int kq = queue(), fds[2];
    for (int i = 0; i < 10; i++) {
        socket_pair(fds);
        OK(dup(fds[0]));
        put(fds[1], 1);
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, i);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, i);
        OK(close(fds[0]));
        OK(close(fds[1])); /* the dup is at its end and hung up */
    }
    nothing(kq);
    sleeps(kq);
}

/* ---- 10.2 --------------------------------------------------------------------------------------- */

static void waiters_return_ebadf(int count, int (*end)(int))
{
    static struct closing closings[16];
    struct thread threads[16];
    int kq = queue(), fds[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 0);
    for (int i = 0; i < count; i++) {
        closings[i].kq = kq;
        start(&threads[i], wait_for_events, &closings[i]);
    }
    for (int i = 0; i < count; i++)
        until_asleep(&threads[i]);
    OK(end(kq));
    for (int i = 0; i < count; i++) {
        join(&threads[i]);
        CHECK_EQ(closings[i].result, -EBADF);
    }
}

/* 10.2 1.3 When the kqueue is closed, a thread that waits in kevent returns EBADF. */
TEST(close_wakes_a_waiter, "10.2 1.3")
{
    waiters_return_ebadf(1, close);
}

/* 10.2 All of them. */
TEST(close_wakes_all_waiters, "10.2 1.3")
{
    waiters_return_ebadf(16, close);
}

static int dup2_over(int kq)
{
    int fds[2];
    pipe_pair(fds);
    return dup2(fds[0], kq);
}

/* 10.2 The same when another file is put over the kqueue. */
TEST(dup2_over_the_queue_wakes_all_waiters, "10.2 1.3")
{
    waiters_return_ebadf(4, dup2_over);
}

static void *wait_for_an_hour(void *argument)
{
    struct closing *closing = argument;
    struct timespec hour = {3600, 0};
    struct kevent change = EVENT(99, EVFILT_USER, EV_ADD, 0, 0, 0);
    closing->result = kevent(closing->kq, &change, 1, closing->ev, 4, &hour);
    if (closing->result == -1)
        closing->result = -errno;
    return NULL;
}

/* 10.2 And when the waiter has a time-out, and changes. */
TEST(close_wakes_a_waiter_with_a_timeout, "10.2 1.3")
{
    struct closing closing = {.kq = queue()};
    struct thread thread;
    start(&thread, wait_for_an_hour, &closing);
    until_asleep(&thread);
    OK(close(closing.kq));
    join(&thread);
    CHECK_EQ(closing.result, -EBADF);
}

/* 10.2 A waiter of a closed kqueue takes nothing of what is opened under its number next. */
TEST_LIMIT(waiters_do_not_enter_the_next_file, "10.2", 60)
{
    for (int round = 0; round < 300; round++) {
        struct closing closings[2] = {{0}};
        struct thread threads[2];
        int kq = queue();
        for (int i = 0; i < 2; i++) {
            closings[i].kq = kq;
            start(&threads[i], wait_for_events, &closings[i]);
        }
        if (round % 4 == 0)
            until_asleep(&threads[1]);
        /* If a thread gets to kevent only after the close, it waits on the new queue, and is ended there. */
        OK(close(kq));
        int next = queue();
        if (next != kq)
            OK(dup2(next, kq));
        change(next, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
        for (int i = 0; i < 2; i++) {
            join(&threads[i]);
            if (round % 4 == 0 && i == 1)
                CHECK_EQ(closings[i].result, -EBADF);
            else
                CHECK(closings[i].result == -EBADF || closings[i].result == 1);
        }
        if (next != kq)
            OK(close(kq));
        OK(close(next));
    }
}

/* 10.2 close frees all that the queue had: not one descriptor stays. */
TEST(close_frees_all_descriptors, "10.2")
{
    int fds[2], file;
    socket_pair(fds);
    file = OK(open("file", O_RDWR | O_CREAT, 0600));
    put(file, 10);
    put(fds[1], 1);
    int warm = queue(); /* what the library keeps for all queues may stay */
    change(warm, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    OK(close(warm));
    int before = open_descriptors();
    for (int i = 0; i < 20; i++) {
        int kq = queue(), inner = queue();
        struct kevent ev[16];
        change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
        change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
        change(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0);
        change(kq, file, EVFILT_READ, EV_ADD, 0, 0, 0);
        change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
        change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
        change(kq, 2, EVFILT_TIMER, EV_ADD, NOTE_ABSOLUTE, 1, 0);
        change(kq, inner, EVFILT_READ, EV_ADD, 0, 0, 0);
        collect(kq, ev, 16);
        OK(close(kq));
        OK(close(inner));
        CHECK_EQ(open_descriptors(), before);
    }
}

/* 10.2 Undelivered events are gone: a new kqueue of the same number knows nothing of them. */
TEST(next_queue_of_the_number_is_new, "10.2")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    for (int i = 0; i < 50; i++) {
        nothing(kq);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0), ENOENT);
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, i);
        change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, i);
        change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_USECONDS, 100, i);
        OK(close(kq));
        int next = queue();
        if (next != kq) {
            OK(dup2(next, kq));
            OK(close(next));
            SKIP("the number did not come back");
        }
    }
}

/* 10.2 10.7 A kqueue that is put over the number of another: that one is gone, the number is the new one's. */
TEST(queue_over_the_number_of_a_queue, "10.2 10.7")
{
    int one = queue(), two = queue(), fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    change(one, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(one, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 1);
    change(two, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
    OK(dup2(two, one));
    nothing(one);
    CHECK_EQ(change_errno(one, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    change(one, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
    EXPECT_NEXT(two, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    change(two, fds[0], EVFILT_READ, EV_ADD, 0, 0, 4);
    EXPECT_NEXT(one, fds[0], EVFILT_READ, EV_ADD, 0, 1, 4);
    OK(close(one));
    EXPECT_NEXT(two, fds[0], EVFILT_READ, EV_ADD, 0, 1, 4);
}

/* 10.2 A close of one kqueue leaves the knotes that others have on the same descriptors. */
TEST(close_of_one_queue_leaves_the_others, "10.2 10.1")
{
    int one = queue(), two = queue(), fds[2];
    pipe_pair(fds);
    change(one, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(two, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
    OK(close(one));
    put(fds[1], 1);
    EXPECT_NEXT(two, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 2);
}

static long resident_kilobytes(void)
{
    long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* 10.2 20,000 times kqueue and close with RLIMIT_NOFILE 64: never fails, and leaves nothing behind. */
TEST_LIMIT(twenty_thousand_queues, "10.2 1.1", 60)
{
    struct rlimit limit;
    int fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 64;
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    int before = open_descriptors();
    long memory = 0;
    for (int i = 0; i < 20000; i++) {
        struct kevent ev[4];
        int kq = queue();
        switch (i % 4) {
        case 1:
            change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, i);
            break;
        case 2:
            change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, i);
            change(kq, 2, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 60, i);
            break;
        case 3:
            change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, i);
            change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, i);
            CHECK_EQ(collect(kq, ev, 4), 2);
        }
        OK(close(kq));
        if (i == 4000)
            memory = resident_kilobytes();
    }
    CHECK_LE(open_descriptors(), before + 1);
    if (patience() == 1 && memory > 0)
        CHECK_LE(resident_kilobytes() - memory, 2048);
}

/* 10.2 The same with as many alive at once as the limit allows. */
TEST_LIMIT(queues_to_the_limit, "10.2 1.1", 60)
{
    struct rlimit limit;
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 64;
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    int count = 0;
    for (int round = 0; round < 50; round++) {
        int queues[64], n = 0;
        while (n < 64 && (queues[n] = kqueue()) != -1)
            n++;
        CHECK_EQ(errno, EMFILE);
        CHECK_GE(n, 55); /* 0, 1, 2, and little that the library keeps */
        if (round > 1)
            CHECK_EQ(n, count);
        count = n;
        while (n > 0)
            OK(close(queues[--n]));
    }
}

/* ---- 10.8 --------------------------------------------------------------------------------------- */

/* 10.8 {EV_DELETE, EV_ADD} of one descriptor in one changelist works, again and again. */
TEST(delete_and_add_in_one_changelist, "10.8")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    socket_pair(fds);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int i = 1; i < 20; i++) {
        struct kevent changes[] = {
            EVENT(fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0),
            EVENT(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, i),
        };
        CHECK_EQ(kevent(kq, changes, 2, ev, 4, NULL), 1);
        EXPECT_EVENT(ev[0], fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, i);
        nothing(kq);
    }
    for (int i = 1; i < 20; i++) {
        struct kevent changes[] = {
            EVENT(fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0),   EVENT(fds[0], EVFILT_READ, EV_ADD, 0, 0, i),
            EVENT(fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0),   EVENT(fds[0], EVFILT_WRITE, EV_ADD, 0, 0, i),
            EVENT(fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0),  EVENT(fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, i),
            EVENT(fds[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, i),
        };
        if (i == 1)
            OK(kevent(kq, changes, 7, ev, 4, NULL));
        else
            CHECK_EQ(kevent(kq, &changes[1], 6, ev, 4, NULL), 2);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0), ENOENT);
    }
}

/* 10.8 A changelist with changes for a descriptor closed meanwhile: its own are errors, the others are applied. */
TEST(changes_after_a_close, "10.8 1.5")
{
    int kq = queue(), fds[2], live[2];
    struct kevent ev[8];
    socket_pair(fds);
    socket_pair(live);
    put(live[1], 2);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 2);
    change(kq, live[0], EVFILT_READ, EV_ADD, 0, 0, 3);
    OK(close(fds[0]));
    struct kevent changes[] = {
        EVENT(fds[0], EVFILT_READ, EV_DELETE, 0, 0, 4),
        EVENT(live[0], EVFILT_READ, EV_DELETE, 0, 0, 5),
        EVENT(fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 6),
        EVENT(live[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 7),
        EVENT(fds[0], EVFILT_READ, EV_ADD, 0, 0, 8),
    };
    CHECK_EQ(kevent(kq, changes, 5, ev, 8, NULL), 3);
    EXPECT_EVENT(ev[0], fds[0], EVFILT_READ, EV_DELETE | EV_ERROR, 0, EBADF, 4);
    EXPECT_EVENT(ev[1], fds[0], EVFILT_WRITE, EV_DELETE | EV_ERROR, 0, EBADF, 6);
    EXPECT_EVENT(ev[2], fds[0], EVFILT_READ, EV_ADD | EV_ERROR, 0, EBADF, 8);
    EXPECT_NEXT(kq, live[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 2, 7);
    nothing(kq);
}

/* Opens a new file of some kind that is readable, 1 byte or 1, under the number. */
static void open_as(int number, int kind)
{
    int fds[2], fd, spare = -1;
    switch (kind % 4) {
    case 0:
        pipe_pair(fds);
        put(fds[1], 1);
        fd = fds[0], spare = fds[1];
        break;
    case 1:
        socket_pair(fds);
        put(fds[1], 1);
        fd = fds[0], spare = fds[1];
        break;
    case 2:
        fd = OK(open("reused", O_RDWR | O_CREAT | O_TRUNC, 0600));
        put(fd, 1);
        OK(lseek(fd, 0, SEEK_SET));
        break;
    default: {
#ifdef __linux__
        fd = OK(eventfd(1, 0));
#else
        connected(TCP, fds);
        put(fds[1], 1);
        until_queued(fds[0], 1);
        fd = fds[0], spare = fds[1];
#endif
    }
    }
    if (fd != number) {
        OK(dup2(fd, number));
        OK(close(fd));
    }
    if (spare != -1) { /* out of the way, and alive until the case ends */
        OK(fcntl(spare, F_DUPFD, 500));
        OK(close(spare));
    }
}

/* 10.8 The number that comes back as another file, of any kind, works; nothing of the former is left. */
TEST(number_comes_back_as_another_file, "10.8 10.1")
{
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    int kq = queue(), number = 40;
    int round = 0;
    for (int from = 0; from < 4; from++) {
        for (int to = 0; to < 4; to++) {
            for (size_t mode = 0; mode < COUNT(modes); mode++, round++) {
                open_as(number, from);
                change(kq, number, EVFILT_READ, EV_ADD | modes[mode], 0, 0, round);
                if (round % 3 == 0)
                    EXPECT_NEXT(kq, number, EVFILT_READ, EV_ADD | modes[mode], 0, 1, round);
                int keep = round % 2 ? OK(fcntl(number, F_DUPFD, 500)) : -1;
                OK(close(number));
                open_as(number, to);
                if (round % 5 == 0)
                    nothing(kq);
                CHECK_EQ(change_errno(kq, number, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
                change(kq, number, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, round + 1000);
                EXPECT_NEXT(kq, number, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, round + 1000);
                nothing(kq);
                change(kq, number, EVFILT_READ, EV_DELETE, 0, 0, 0);
                OK(close(number));
                if (keep != -1)
                    OK(close(keep));
                nothing(kq);
            }
        }
    }
}

/* 10.8 Without a delete in between: close, open, EV_ADD, over and over. */
TEST(close_open_add_over_and_over, "10.8 10.1")
{
    int kq = queue();
    for (int i = 0; i < 200; i++) {
        open_as(41, i);
        change(kq, 41, EVFILT_READ, EV_ADD | (i % 3 ? EV_CLEAR : 0), 0, 0, i);
        EXPECT_NEXT(kq, 41, EVFILT_READ, EV_ADD | (i % 3 ? EV_CLEAR : 0), 0, 1, i);
        OK(close(41));
    }
    nothing(kq);
}

/* 10.8 The new file under a number is not watched until it is added, in whatever queue. */
TEST(reused_number_is_not_watched, "10.8 10.1")
{
    int one = queue(), two = queue();
    open_as(42, 0);
    change(one, 42, EVFILT_READ, EV_ADD, 0, 0, 1);
    change(two, 42, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
    OK(close(42));
    open_as(42, 1);
    nothing(one);
    nothing(two);
    change(two, 42, EVFILT_READ, EV_ADD, 0, 0, 3);
    EXPECT_NEXT(two, 42, EVFILT_READ, EV_ADD, 0, 1, 3);
    nothing(one);
    CHECK_EQ(change_errno(one, 42, EVFILT_READ, EV_ENABLE, 0, 0, 0), ENOENT);
}

struct churn {
    int kq;
    atomic_int stop;
    atomic_long rounds;
};

/* Closes and opens one number, registering it each time. */
static void *churn(void *argument)
{
    struct churn *self = argument;
    while (!self->stop) {
        int fds[2];
        pipe_pair(fds);
        put(fds[1], 1);
        change(self->kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 1);
        if (self->rounds % 3)
            OK(close(fds[0]));
        else {
            int other = OK(dup(fds[0]));
            OK(close(fds[0]));
            OK(close(other));
        }
        OK(close(fds[1]));
        self->rounds++;
    }
    return NULL;
}

/* 10.8 Threads that open, register and close at the same time lose and invent nothing. */
TEST_LIMIT(threads_open_register_and_close, "10.8 10.1", 30)
{
    enum { N = 3 };
    struct churn churns[N];
    struct thread threads[N];
    int kq = queue(), fds[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 42);
    for (int i = 0; i < N; i++) {
        churns[i] = (struct churn){.kq = kq};
        start(&threads[i], churn, &churns[i]);
    }
    for (int i = 0, slowest = 0; i < 300 || (i < 60000 && slowest < 50); i++) {
        slowest = INT_MAX;
        for (int j = 0; j < N; j++)
            slowest = churns[j].rounds < slowest ? (int)churns[j].rounds : slowest;
        int seen = 0;
        put(fds[1], 1);
        while (!seen) {
            struct kevent ev[8];
            int n = collect(kq, ev, 8);
            for (int j = 0; j < n; j++) {
                if (ev[j].udata == UDATA(42)) {
                    EXPECT_EVENT(ev[j], fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, i + 1, 42);
                    seen++;
                } else {
                    EXPECT_EVENT_ANY(ev[j], 0, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 1, 1,
                                     ANY_IDENT | ANY_DATA | ANY_FLAGS);
                }
            }
        }
        CHECK_EQ(seen, 1);
    }
    for (int i = 0; i < N; i++)
        churns[i].stop = 1;
    for (int i = 0; i < N; i++) {
        join(&threads[i]);
        CHECK_GE(churns[i].rounds, 1);
    }
    CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), 0);
    nothing(kq);
    CHECK(!readable(kq));
}

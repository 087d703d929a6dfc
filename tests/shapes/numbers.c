/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers that are closed and come back. Where our close() is in front nothing is ever heard of the old file; elsewhere
 * nothing from the next change of that number on.
 */
#include "shape.h"

#include <dirent.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum way { CLOSE, DUP2, DUP3, CLOSE_RANGE, FCLOSE, FREOPEN, FREOPEN64, WAYS };

#ifdef __GLIBC__
#define HAVE_CLOSE_RANGE
#else
#define freopen64 freopen
#endif

/* Closes the number in that way; dup2 and dup3 put `other` there, freopen what it opens. */
static void go(int number, enum way way, int other)
{
    FILE *stream;
    switch (way) {
    case CLOSE: OK(close(number)); break;
    case DUP2: OK(dup2(other, number)); break;
    case DUP3: OK(dup3(other, number, O_CLOEXEC)); break;
    case CLOSE_RANGE:
#ifdef HAVE_CLOSE_RANGE
        if (close_range((unsigned)number, (unsigned)number, 0) == -1)
#endif
            OK(close(number));
        break;
    case FCLOSE:
        CHECK(stream = fdopen(number, "r"));
        CHECK_EQ(fclose(stream), 0);
        break;
    case FREOPEN:
    case FREOPEN64:
        CHECK(stream = fdopen(number, "r"));
        CHECK(way == FREOPEN ? freopen("/dev/zero", "r", stream) : freopen64("/dev/zero", "r", stream));
        CHECK_EQ(fileno(stream), number);
        CHECK_EQ(fgetc(stream), 0);
        break;
    default: break;
    }
}

static int child_with_file(int *end)
{
    int fds[2];
    OK(pipe2(fds, O_CLOEXEC));
    pid_t pid = OK(fork());
    if (pid == 0) {
        char byte;
        close(fds[1]);
        _exit(read(fds[0], &byte, 1) != 0);
    }
    close(fds[0]);
    *end = fds[1];
    return pid;
}

static const unsigned modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};

/* One number is watched, goes and comes back, while its file lives on in a duplicate, or in a child. */
static void comes_back(enum way way, unsigned mode, int both, int reported, int in_child)
{
    int kq = OK(guest_kqueue()), old[2], new[2], kept = -1, end = -1, child = 0;
    struct kevent ev[4];
    struct timespec at_once = {0, 0};
    pair(old);
    pair(new);
    int number = old[0], other = OK(fcntl(new[0], F_DUPFD, 300));
    put(old[1], 1);
    ADD(kq, number, EVFILT_READ, EV_ADD | mode, 0, 0, 1);
    if (both)
        ADD(kq, number, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 1);
    if (reported)
        CHECK_EQ(guest_kevent(kq, NULL, 0, ev, 4, &at_once), 1 + both);
    if (in_child)
        child = child_with_file(&end);
    else
        kept = OK(fcntl(number, F_DUPFD, 300));
    go(number, way, other);
    put(old[1], 1);
    if (in_front) {
        struct pollfd entry = {kq, POLLIN, 0};
        NOTHING(kq);
        CHECK_EQ(poll(&entry, 1, 0), 0);
        CHECK_EQ(change(kq, number, EVFILT_READ, EV_DELETE, 0, 0, 0), is_open(number) ? ENOENT : EBADF);
    }
    if (!is_open(number))
        CHECK_EQ(fcntl(other, F_DUPFD, number), number);
    else if (way == FREOPEN || way == FREOPEN64)
        OK(dup2(other, number));
    ADD(kq, number, EVFILT_READ, EV_ADD | mode, 0, 0, 2);
    put(old[1], 1);
    NOTHING(kq);
    SLEEPS(kq);
    put(new[1], 3);
    CHECK_EQ(NEXT_OF(kq, number, 2), 3);
    if (mode)
        NOTHING(kq);
    put(old[1], 1);
    CHECK_EQ(change(kq, number, EVFILT_READ, EV_DELETE, 0, 0, 0), mode == EV_ONESHOT ? ENOENT : 0);
    NOTHING(kq);
    SLEEPS(kq);
    close(number);
    close(kept);
    close(end);
    for (int i = 0; i < 2; i++)
        close(old[i]), close(new[i]);
    close(other);
    close(kq);
    if (child)
        OK(waitpid(child, NULL, 0));
}

static void in_every_mode(enum way way)
{
    for (int i = 0; i < 4; i++)
        for (int both = 0; both < 2; both++)
            comes_back(way, modes[i], both, (i + both) % 2, 0);
}

CASE(close_then_the_number_comes_back) { in_every_mode(CLOSE); }
CASE(dup2_over_it) { in_every_mode(DUP2); }
CASE(dup3_over_it) { in_every_mode(DUP3); }
CASE(close_range_then_it_comes_back) { in_every_mode(CLOSE_RANGE); }
CASE(fclose_then_it_comes_back) { in_every_mode(FCLOSE); }
CASE(freopen_then_it_comes_back) { in_every_mode(FREOPEN); }
CASE(freopen64_then_it_comes_back) { in_every_mode(FREOPEN64); }

/* The least of it, without a look at errno: a library in a namespace of its own has another one. */
CASE(it_comes_back)
{
    int kq = OK(guest_kqueue()), old[2], new[2];
    pair(old);
    OK(fcntl(old[0], F_DUPFD, 300));
    ADD(kq, old[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    OK(close(old[0]));
    pair(new);
    CHECK_EQ(new[0], old[0]);
    ADD(kq, new[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    put(old[1], 1);
    NOTHING(kq);
    put(new[1], 3);
    CHECK_EQ(NEXT_OF(kq, new[0], 2), 3);
}

CASE(file_lives_on_in_a_child)
{
    for (int i = 0; i < 4; i++)
        comes_back(CLOSE, modes[i], i % 2, 0, 1);
}

/* pclose() closes the pipe of its child. */
CASE(pclose_closes)
{
    int kq = OK(guest_kqueue()), fds[2];
    FILE *stream = popen("echo hello", "r");
    CHECK(stream);
    int number = fileno(stream), kept = OK(fcntl(number, F_DUPFD, 300));
    ADD(kq, number, EVFILT_READ, EV_ADD, 0, 0, 1);
    while (NEXT_OF(kq, number, 1) < 6)
        ;
    CHECK_EQ(pclose(stream), 0);
    CHECK(!is_open(number));
    if (in_front) {
        NOTHING(kq);
        CHECK_EQ(change(kq, number, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
    }
    pair(fds);
    CHECK_EQ(fds[0], number);
    ADD(kq, number, EVFILT_READ, EV_ADD, 0, 0, 2);
    NOTHING(kq);
    SLEEPS(kq);
    put(fds[1], 2);
    CHECK_EQ(NEXT_OF(kq, number, 2), 2);
    close(kept);
}

/* closedir() closes its directory. */
CASE(closedir_closes)
{
    int kq = OK(guest_kqueue()), fds[2];
    DIR *directory = opendir("/");
    CHECK(directory);
    int number = dirfd(directory);
#ifdef EVFILT_VNODE
    int watched = change(kq, number, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_DELETE, 0, 1) == 0;
#else
    int watched = 0;
#endif
    CHECK_EQ(closedir(directory), 0);
    CHECK(!is_open(number));
    pair(fds);
    CHECK_EQ(fds[0], number);
#ifdef EVFILT_VNODE
    if (watched)
        CHECK_EQ(change(kq, number, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
#endif
    put(fds[1], 1);
    ADD(kq, number, EVFILT_READ, EV_ADD, 0, 0, 2);
    CHECK_EQ(NEXT_OF(kq, number, 2), 1);
    if (!watched)
        skip("no EVFILT_VNODE here to watch the directory by; its number came back");
}

/* What opendir() gave where it failed: glibc refuses it, and so does who stands in front. */
CASE(closedir_of_no_directory)
{
#ifdef __GLIBC__
    /* Not by its name: the header does not want it. */
    int (*volatile close_it)(DIR *) = closedir;
    CHECK(close_it(NULL) == -1 && errno == EINVAL);
#else
    skip("this libc does not refuse it");
#endif
}

/* The number of a file that epoll cannot watch comes back. */
CASE(regular_file_then_a_socket)
{
    int kq = OK(guest_kqueue()), fds[2];
    FILE *file = tmpfile();
    CHECK(file);
    int number = fileno(file), kept = OK(fcntl(number, F_DUPFD, 300));
    ADD(kq, number, EVFILT_READ, EV_ADD, 0, 0, 1);
    ADD(kq, number, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 1);
    CHECK_EQ(NEXT(kq).filter, EVFILT_WRITE);
    CHECK_EQ(fclose(file), 0);
    if (in_front)
        NOTHING(kq);
    pair(fds);
    CHECK_EQ(fds[0], number);
    ADD(kq, number, EVFILT_READ, EV_ADD, 0, 0, 2);
    put(kept, 9);
    NOTHING(kq);
    SLEEPS(kq);
    put(fds[1], 1);
    CHECK_EQ(NEXT_OF(kq, number, 2), 1);
}

/* A number is closed by a raw call while its file lives on, and stays closed: kevent() does not spin on it. */
CASE(nothing_spins_on_a_file_that_lives_on)
{
    for (int i = 0; i < 4; i++) {
        int kq = OK(guest_kqueue()), fds[2];
        struct kevent ev[4];
        struct timespec at_once = {0, 0};
        pair(fds);
        int kept = OK(dup(fds[0]));
        ADD(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
        OK(syscall(SYS_close, fds[0]));
        put(fds[1], 1);
        /* An edge or a one-shot may be told once. */
        guest_kevent(kq, NULL, 0, ev, 4, &at_once);
        SLEEPS(kq);
        ADD(kq, 7, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 3);
        NEXT_OF(kq, 7, 3);
        close(kept), close(fds[1]), close(kq);
    }
}

/* What fails, or closes nothing, drops nothing. */
CASE(calls_that_close_nothing)
{
    for (int i = 0; i < 2; i++) {
        int kq = OK(guest_kqueue()), fds[2];
        pair(fds);
        ADD(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
        CHECK(dup2(900, fds[0]) == -1 && errno == EBADF);
        CHECK(dup2(-1, fds[0]) == -1 && errno == EBADF);
        CHECK(dup3(fds[0], fds[0], 0) == -1 && errno == EINVAL);
        CHECK(dup3(fds[1], fds[0], O_APPEND) == -1 && errno == EINVAL);
        CHECK(dup2(fds[0], 1 << 30) == -1 && errno == EBADF);
        CHECK(close(900) == -1 && errno == EBADF);
#ifdef HAVE_CLOSE_RANGE
        close_range((unsigned)fds[0], ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
        CHECK(close_range(5, 4, 0) == -1 && close_range((unsigned)fds[0], ~0u, 0x40000000) == -1);
#endif
        NOTHING(kq);
        put(fds[1], 2);
        CHECK_EQ(NEXT_OF(kq, fds[0], 1), 2);
        ADD(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
        close(fds[0]), close(fds[1]), close(kq);
    }
}

/* ---- The number of a closed kqueue ------------------------------------------------------------------ */

/* Makes something of a kind on the number, which is free or is replaced; something that can be put into, or -1. */
static int become(int number, int kind)
{
    int fds[2] = {-1, -1}, fd;
    switch (kind) {
    case 0: OK(pipe2(fds, O_CLOEXEC)); break;
    case 1: pair(fds); break;
    case 2: fds[0] = OK(open("/proc/self/exe", O_RDONLY)); break;
    case 3: fds[0] = OK(epoll_create1(0)); break;
    default: fds[0] = OK(guest_kqueue()); break;
    }
    fd = fds[0];
    if (fd != number) {
        OK(dup2(fd, number));
        if (kind < 4)
            close(fd);
    }
    return fds[1];
}

CASE(number_of_a_closed_kqueue_can_be_anything)
{
    for (int kind = 0; kind < 5; kind++) {
        for (int way = 0; way < 3; way++) {
            int watcher = OK(guest_kqueue()), kq = OK(guest_kqueue()), fds[2], end;
            struct kevent ev[2];
            struct epoll_event event = {EPOLLIN, {.u64 = 99}};
            struct timespec at_once = {0, 0};
            pair(fds);
            put(fds[1], 1);
            ADD(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
            ADD(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 1);
            ADD(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 1);
            if (way == 2)
                ADD(watcher, kq, EVFILT_READ, EV_ADD, 0, 0, 5);
            if (way != 1)
                OK(close(kq));
            if (way == 1 && kind == 4)
                OK(dup2(fds[0], kq)), OK(close(kq));
            end = become(kq, kind);
            switch (kind) {
            case 0:
            case 1:
                ADD(watcher, kq, EVFILT_READ, EV_ADD, 0, 0, 2);
                NOTHING(watcher);
                SLEEPS(watcher);
                put(end, 4);
                CHECK_EQ(NEXT_OF(watcher, kq, 2), 4);
                ADD(watcher, kq, EVFILT_READ, EV_DELETE, 0, 0, 0);
                if (kind == 1) {
                    ADD(watcher, kq, EVFILT_WRITE, EV_ADD, 0, 0, 3);
                    CHECK(NEXT_OF(watcher, kq, 3) > 0);
                }
                CHECK(guest_kevent(kq, NULL, 0, ev, 2, &at_once) == -1 && errno == EBADF);
                break;
            case 2:
                ADD(watcher, kq, EVFILT_READ, EV_ADD, 0, 0, 2);
                CHECK(NEXT_OF(watcher, kq, 2) > 1000);
                break;
            case 3: /* the program's own epoll, which keeps its events */
                OK(epoll_ctl(kq, EPOLL_CTL_ADD, fds[0], &event));
                ADD(watcher, kq, EVFILT_READ, EV_ADD, 0, 0, 2);
                NEXT_OF(watcher, kq, 2);
                CHECK(guest_kevent(kq, NULL, 0, ev, 2, &at_once) == -1 && errno == EBADF);
                CHECK_EQ(change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0), EBADF);
                event.data.u64 = 0;
                CHECK_EQ(epoll_wait(kq, &event, 1, 0), 1);
                CHECK_EQ(event.data.u64, 99);
                break;
            case 4:
                ADD(watcher, kq, EVFILT_READ, EV_ADD, 0, 0, 2);
                NOTHING(kq);
                NOTHING(watcher);
                ADD(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 6);
                NEXT_OF(watcher, kq, 2);
                NEXT_OF(kq, 1, 6);
                break;
            }
            close(end), close(fds[0]), close(fds[1]), close(kq), close(watcher);
        }
    }
}

/* The number of a closed kqueue becomes a duplicate of another: what is done by either number is that one's. */
CASE(number_of_a_closed_kqueue_is_anothers_duplicate)
{
    int kq = OK(guest_kqueue()), other = OK(guest_kqueue()), third, fds[2];
    pair(fds);
    ADD(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    ADD(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
    ADD(kq, 1, EVFILT_TIMER, EV_ADD, 0, 3600000, 1);
    ADD(other, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
    CHECK_EQ(close(kq), 0);
    CHECK_EQ(dup(other), kq);
    third = OK(dup(other));
    ADD(third, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
    NEXT_OF(kq, 1, 3);
    ADD(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 4);
    NEXT_OF(other, 1, 4);
    CHECK_EQ(change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0), ENOENT);
    CHECK_EQ(change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    ADD(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 5);
    put(fds[1], 1);
    CHECK_EQ(NEXT_OF(other, fds[0], 5), 1);
}

/* The number of a duplicate is a duplicate of a later kqueue, which has the place of the first. */
CASE(number_of_a_duplicate_comes_back)
{
    int number = -1;
    for (int i = 0; i < 6; i++) {
        int kq = OK(guest_kqueue());
        if (i % 2 == 0) {
            int other = OK(dup(kq));
            CHECK(i == 0 || other == number);
            number = other;
            ADD(number, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, i);
            NEXT_OF(kq, 1, i);
            OK(close(number));
        }
        OK(close(kq));
    }
}

/* Kqueues that come and go leave nothing, also where their close is not noticed. */
CASE(closed_kqueues_leave_nothing)
{
    int before = open_descriptors(), most = before;
    for (int i = 0; i < 200; i++) {
        int kq = OK(guest_kqueue());
        ADD(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 1);
        ADD(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1000, 1);
        most = i > 10 && open_descriptors() > most ? open_descriptors() : most;
        CHECK_EQ(close(kq), 0);
    }
    /* The one that was open, and where nobody tells of a close what the one before it worked with. */
    CHECK(most - before <= (in_front ? 4 : 8));
    if (in_front)
        CHECK_EQ(open_descriptors(), before);
}

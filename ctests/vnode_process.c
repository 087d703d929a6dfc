/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_VNODE: queues that are closed (10.2), processes (10.3, 10.4), threads, and the process's locks (5.5). */
#define SUITE "vnode_process"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

#include <spawn.h>
#include <stdatomic.h>

enum { SIZE = 10 };

#define GROWTH (NOTE_WRITE | NOTE_EXTEND)

/* ---- 10.2, 10.3, 10.4 Queues and processes -------------------------------------------------------------- */

/* 10.2 close of the kqueue frees all: no descriptor is left, more often than there may be inotify instances. */
TEST_LIMIT(close_of_the_queue_frees_all, "10.2 5.5", 30)
{
    int fd = new_file("file", SIZE), directory = new_directory("dir");
    int before = open_descriptors();
    for (int round = 0; round < 300; round++) {
        int kq = queue();
        watch(kq, fd, CHANGES, 1);
        watch(kq, directory, CHANGES, 2);
        change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 3);
        if (round % 2)
            overwrite(fd);
        if (round % 3 == 0)
            change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
        OK(close(kq));
        CHECK_EQ(open_descriptors(), before);
    }
}

/* 10.2 Waiters return EBADF. */
static void *waits_for_ebadf(void *argument)
{
    struct kevent ev;
    CHECK_ERRNO(kevent(*(int *)argument, NULL, 0, &ev, 1, NULL), EBADF);
    return NULL;
}

TEST(close_of_the_queue_wakes_waiters, "10.2 1.3")
{
    struct thread thread;
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_WRITE, 1);
    start(&thread, waits_for_ebadf, &kq);
    until_asleep(&thread);
    OK(close(kq));
    join(&thread);
    overwrite(fd);
}

/* 10.3 A child has none of the library's descriptors, and what it does with its own takes nothing from the parent. */
TEST(child_has_no_descriptors_of_ours, "10.3 10.1")
{
    int fd = new_file("file", SIZE), directory = new_directory("dir");
    int before = open_descriptors();
    int kq = queue();
    watch(kq, fd, CHANGES, 1);
    watch(kq, directory, CHANGES & ~NOTE_EXTEND, 2);
    overwrite(fd);
    pid_t child = OK(fork());
    if (child == 0) {
        CHECK_EQ(open_descriptors(), before);
        CHECK(!is_open(kq));
        int own = queue();
        watch(own, fd, NOTE_ATTRIB, 3);
        OK(fchmod(fd, 0600));
        EXPECT_NOTES(own, fd, NOTE_ATTRIB, 3);
        OK(close(fd));
        OK(close(directory));
        _exit(0);
    }
    child_succeeds(child);
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    silent(kq);
    append_to("file", 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    touch_file("dir/file");
    EXPECT_NOTES(kq, directory, NOTE_WRITE, 2);
}

/* 10.3 10.1 A child that keeps the file open does not keep the parent's knote. */
TEST(child_keeps_the_file, "10.3 10.1")
{
    int kq = queue(), fd = new_file("file", SIZE), hold[2];
    watch(kq, fd, CHANGES, 1);
    pipe_pair(hold);
    pid_t child = OK(fork());
    if (child == 0) {
        char byte;
        OK(close(hold[1]));
        CHECK_EQ(read(hold[0], &byte, 1), 0);
        _exit(0);
    }
    OK(close(fd));
    append_to("file", 1);
    silent(kq);
    OK(close(hold[1]));
    child_succeeds(child);
}

HELPER(vnode_count_descriptors)
{
    return open_descriptors() != atoi(argument);
}

/* 10.4 Nothing of the library's survives exec, also of a program that is not started by way of fork. */
TEST(nothing_survives_exec, "10.4")
{
    char name[] = "conformance", option[] = "--helper", helper[] = "vnode_count_descriptors", count[16];
    char *arguments[] = {name, option, helper, count, NULL};
    extern char **environ;
    pid_t child;
    int fd = new_file("file", SIZE), directory = new_directory("dir");
    snprintf(count, sizeof count, "%d", open_descriptors());
    int kq = queue();
    watch(kq, fd, CHANGES, 1);
    watch(kq, directory, CHANGES, 2);
    OK(fcntl(kq, F_SETFD, FD_CLOEXEC));
    OK0(posix_spawn(&child, helper_path(), NULL, NULL, arguments, environ));
    child_succeeds(child);
}

/* 5.3 Another process that writes, renames and unlinks the file is heard. */
TEST(changes_by_another_process, "5.2 5.3")
{
    struct waiter waiter = {.kq = queue()};
    int fd = new_file("file", SIZE);
    watch(waiter.kq, fd, CHANGES & ~NOTE_LINK, 1);
    pid_t child = OK(fork());
    if (child == 0) {
        append_to("file", 1);
        _exit(0);
    }
    wait_event(waiter.kq, &waiter.ev);
    EXPECT_EVENT(waiter.ev, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, GROWTH, 0, 1);
    child_succeeds(child);
    child = OK(fork());
    if (child == 0) {
        OK(rename("file", "other"));
        OK(unlink("other"));
        _exit(0);
    }
    child_succeeds(child);
    EXPECT_NOTES(waiter.kq, fd, NOTE_RENAME | NOTE_DELETE, 1);
    silent(waiter.kq);
}

struct visitor {
    int kq;
    int number;
    atomic_int stop;
};

/* Watches the same file and one of its own, over and over. */
static void *come_and_go(void *argument)
{
    struct visitor *self = argument;
    char path[32];
    snprintf(path, sizeof path, "own%d", self->number);
    for (int round = 0; !self->stop; round++) {
        int fd = OK(open("file", O_RDONLY)), own = new_file(path, SIZE);
        watch(self->kq, fd, NOTE_LINK | (round % 2 ? NOTE_RENAME : 0), 2);
        watch(self->kq, own, NOTE_RENAME, 2);
        overwrite(own);
        if (round % 3)
            change(self->kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
        OK(close(fd));
        OK(unlink(path));
        OK(close(own));
    }
    return NULL;
}

/* 5.5 10.1 Threads that add and remove knotes of a file lose and invent nothing for another knote of it. */
TEST(threads_come_and_go, "5.5 10.1 9.4")
{
    enum { N = 2 };
    struct visitor visitors[N];
    struct thread threads[N];
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB, 1);
    for (int i = 0; i < N; i++) {
        visitors[i] = (struct visitor){.kq = kq, .number = i};
        start(&threads[i], come_and_go, &visitors[i]);
    }
    for (int round = 0; round < 300; round++) {
        overwrite(fd);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
        OK(fchmod(fd, 0600));
        EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    }
    for (int i = 0; i < N; i++)
        visitors[i].stop = 1;
    for (int i = 0; i < N; i++)
        join(&threads[i]);
    silent(kq);
}

/* ---- 5.5 Locks ------------------------------------------------------------------------------------------- */

/* Another process sees this one's lock on the file. */
static void lock_is_held(void)
{
    pid_t owner = getpid(), child = OK(fork());
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        OK(fcntl(OK(open("file", O_RDWR)), F_GETLK, &lock));
        CHECK_NE(lock.l_type, F_UNLCK);
        CHECK_EQ(lock.l_pid, owner);
        _exit(0);
    }
    child_succeeds(child);
}

/* 5.5 The library never opens and closes the file: the process's fcntl locks stay, whatever is done with knotes. */
TEST(locks_stay, "5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), other = OK(dup(fd));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    OK(fcntl(fd, F_SETLK, &lock));
    lock_is_held();
    watch(kq, fd, CHANGES, 1);
    watch(kq, other, NOTE_WRITE, 2);
    change(kq, other, EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 3);
    lock_is_held();
    overwrite(fd);
    struct kevent ev[4];
    CHECK_EQ(collect(kq, ev, 4), 2);
    OK(ftruncate(fd, SIZE + 1));
    OK(fchmod(fd, 0600));
    OK(rename("file", "other"));
    OK(rename("other", "file"));
    CHECK_EQ(collect(kq, ev, 4), 2);
    lock_is_held();
    watch(kq, fd, NOTE_ATTRIB, 1);
    change(kq, other, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    change(kq, other, EVFILT_READ, EV_DELETE, 0, 0, 0);
    lock_is_held();
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    lock_is_held();
    watch(kq, fd, CHANGES, 1);
    OK(close(kq));
    lock_is_held();
}

#ifdef NOTE_OPEN
/* 5.5 ...so one queue does not hear what another does with the file. */
TEST(watching_is_not_opening, "5.5 5.3")
{
    int kq = queue(), fd = new_file("file", SIZE), directory = new_directory("dir");
    watch(kq, fd, CHANGES | USES, 1);
    watch(kq, directory, CHANGES | USES, 2);
    for (int round = 0; round < 3; round++) {
        int other = queue();
        watch(other, fd, CHANGES, 3);
        watch(other, directory, CHANGES, 4);
        change(other, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 5);
        EXPECT_NEXT(other, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, SIZE, 5);
        watch(other, fd, NOTE_DELETE, 3);
        change(other, directory, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
        OK(close(other));
        silent(kq);
    }
}
#endif

#endif

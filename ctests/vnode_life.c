/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_VNODE: descriptors, queues and processes (section 10), and several knotes on one file (5.5).
 */
#define SUITE "vnode_life"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

#include <spawn.h>
#include <sys/wait.h>

enum { SIZE = 10 };

#define GROWTH (NOTE_WRITE | NOTE_EXTEND)

/* ---- Several knotes on one file ---------------------------------------------------------------------- */

/* 5.1 Two descriptors of one file with different wishes: each hears of its own. */
TEST(two_descriptors, "5.1 5.4 5.5")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDONLY));
    watch(kq, fd, NOTE_WRITE | NOTE_LINK, 1);
    watch(kq, other, NOTE_ATTRIB | NOTE_LINK, 2);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, other, NOTE_ATTRIB, 2);
    OK(rename("file", "other"));
    silent(kq);
    OK(link("other", "second"));
    overwrite(fd);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_LINK, 0,
                 1);
    EXPECT_EVENT(*find_event(ev, 2, other, EVFILT_VNODE), other, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_LINK, 0, 2);
    silent(kq);
}

/* 5.1 Growth is reckoned for each knote since it last heard, also where the modes differ. */
TEST(two_descriptors_and_growth, "5.1 5.6")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDONLY));
    watch(kq, fd, NOTE_WRITE, 1);
    change(kq, other, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISPATCH, NOTE_EXTEND | NOTE_TRUNCATE, 0, 2);
    append_to("file", 1);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, GROWTH, 0, 1);
    EXPECT_EVENT(*find_event(ev, 2, other, EVFILT_VNODE), other, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISPATCH, GROWTH,
                 0, 2);
    append_to("file", 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    change(kq, other, EVFILT_VNODE, EV_ENABLE, 0, 0, 2);
    EXPECT_NEXT(kq, other, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISPATCH, GROWTH, 0, 2);
    silent(kq);
}

/* 5.5 A knote that comes later, with more wishes, takes nothing from the one that is there, nor does its going. */
TEST(knotes_come_and_go, "5.5 2.6")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDONLY));
    watch(kq, fd, NOTE_ATTRIB, 1);
    OK(fchmod(fd, 0600));
    watch(kq, other, NOTE_WRITE, 2);
    overwrite(fd);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_ATTRIB, 0, 1);
    EXPECT_EVENT(*find_event(ev, 2, other, EVFILT_VNODE), other, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 2);
    OK(fchmod(fd, 0640));
    change(kq, other, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    overwrite(fd);
    silent(kq);
    watch(kq, other, NOTE_WRITE, 3);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    overwrite(fd);
    EXPECT_NOTES(kq, other, NOTE_WRITE, 3);
}

/* 5.5 Every kqueue that watches a file hears of it. */
TEST(two_queues, "5.5")
{
    int one = queue(), two = queue(), fd = new_file("file", SIZE);
    watch(one, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    change(two, fd, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_WRITE, 0, 2);
    OK(fchmod(fd, 0600));
    overwrite(fd);
    EXPECT_NOTES(one, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    EXPECT_NEXT(two, fd, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_WRITE, 0, 2);
    overwrite(fd);
    EXPECT_NOTES(one, fd, NOTE_WRITE, 1);
    silent(two);
    OK(close(two));
    overwrite(fd);
    EXPECT_NOTES(one, fd, NOTE_WRITE, 1);
    silent(one);
}

/* 2.11 5.5 READ and VNODE on one descriptor, two modes, each deleted without harm to the other. */
TEST(beside_read, "2.11 3.6 5.5")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", 0);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    watch(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 2);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 2);
    append_to("file", 5);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD, 0, 5, 1);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, GROWTH, 0, 2);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 1);
    take(fd, 5);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    append_to("file", 3);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 3, 1);
    take(fd, 3);
    silent(kq);
    watch(kq, fd, NOTE_WRITE, 3);
    change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    append_to("file", 4);
    EXPECT_NOTES(kq, fd, GROWTH, 3);
    silent(kq);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 4);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 4, 4);
    take(fd, 4);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 3);
    silent(kq);
}

/* ---- 10.1, 10.8 close --------------------------------------------------------------------------------- */

/* 10.1 close removes the knotes, with what is pending. */
TEST(close_removes, "10.1 10.5")
{
    int one = queue(), two = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDWR));
    watch(one, fd, CHANGES, 1);
    watch(two, fd, CHANGES, 2);
    overwrite(other);
    OK(close(fd));
    unready(one);
    append_to("file", 1);
    OK(unlink("file"));
    silent(one);
    silent(two);
    CHECK_EQ(change_errno(one, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), EBADF);
}

/* 10.1 A dup is another descriptor: its knote lives on, and the closed one's does not. */
TEST(dup_is_another_descriptor, "10.1")
{
    int kq = queue(), fd = new_file("file", SIZE), other = OK(dup(fd)), third = OK(dup(fd));
    watch(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    watch(kq, other, NOTE_WRITE, 2);
    OK(close(fd));
    OK(fchmod(other, 0600));
    silent(kq);
    overwrite(third);
    EXPECT_NOTES(kq, other, NOTE_WRITE, 2);
    OK(close(other));
    overwrite(third);
    silent(kq);
    watch(kq, third, NOTE_WRITE, 3);
    overwrite(third);
    EXPECT_NOTES(kq, third, NOTE_WRITE, 3);
}

/* 10.1 Of two descriptors of one file one is closed: the other's wish is still heard. */
TEST(close_beside_another_descriptor, "10.1 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDWR));
    watch(kq, fd, NOTE_WRITE, 1);
    watch(kq, other, NOTE_ATTRIB, 2);
    OK(close(fd));
    overwrite(other);
    silent(kq);
    OK(fchmod(other, 0600));
    EXPECT_NOTES(kq, other, NOTE_ATTRIB, 2);
    silent(kq);
}

/* 10.1 dup2 over a watched descriptor removes its knote, whatever file it becomes - the same one, too. */
TEST(dup2_over_it, "10.1 10.8")
{
    int kq = queue(), fd = new_file("file", SIZE), same = OK(open("file", O_RDWR)), other = new_file("other", SIZE);
    watch(kq, fd, NOTE_WRITE, 1);
    OK(dup2(other, fd));
    overwrite(other);
    overwrite(same);
    silent(kq);
    watch(kq, fd, NOTE_WRITE, 2);
    overwrite(other);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
    OK(dup2(same, fd));
    watch(kq, fd, NOTE_WRITE, 3);
    overwrite(other);
    silent(kq);
    overwrite(same);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 3);
    OK(dup2(same, fd));
    overwrite(same);
    silent(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 10.8 The number comes back as another file, which may have the former's inode: nothing of the former is left. */
TEST(number_comes_back, "10.8 10.1")
{
    int kq = queue(), number = -1;
    for (int round = 0; round < 100; round++) {
        int fd = new_file("file", SIZE);
        if (number == -1)
            number = fd;
        CHECK_EQ(fd, number);
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ENABLE, NOTE_WRITE, 0, 0), ENOENT);
        watch(kq, fd, CHANGES & ~NOTE_LINK, round);
        overwrite(fd);
        if (round % 3 == 0)
            EXPECT_NOTES(kq, fd, NOTE_WRITE, round);
        if (round % 2)
            OK(unlink("file"));
        else
            OK(rename("file", "old"));
        if (round % 5 == 0)
            EXPECT_NOTES(kq, fd, (round % 3 ? NOTE_WRITE : 0) | (round % 2 ? NOTE_DELETE : NOTE_RENAME), round);
        OK(close(fd));
        if (round % 7 == 0)
            silent(kq);
    }
    silent(kq);
}

/* 10.8 ...as a directory, a pipe, and a file again. */
TEST(number_comes_back_as_another_kind, "10.8 10.1 5.5")
{
    int kq = queue(), fds[2], fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES, 1);
    append_to("file", 1);
    OK(close(fd));
    CHECK_EQ(new_directory("dir"), fd);
    watch(kq, fd, NOTE_WRITE, 2);
    append_to("file", 1);
    touch_file("dir/file");
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
    OK(close(fd));
    pipe_pair(fds);
    CHECK_EQ(fds[0], fd);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 3), EINVAL);
    OK(unlink("dir/file"));
    OK(rmdir("dir"));
    OK(unlink("file"));
    silent(kq);
    OK(close(fd));
    CHECK_EQ(new_file("file", SIZE), fd);
    watch(kq, fd, CHANGES, 4);
    append_to("file", 1);
    EXPECT_NOTES(kq, fd, GROWTH, 4);
}

/* 10.8 A changelist that deletes, and adds another descriptor of the same file. */
TEST(changelist_of_one_file, "10.8 1.2")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDWR));
    watch(kq, fd, NOTE_WRITE, 1);
    for (int i = 2; i < 10; i++) {
        struct kevent changes[] = {
            EVENT(i % 2 ? other : fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0),
            EVENT(i % 2 ? fd : other, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, i),
        };
        overwrite(fd);
        CHECK_EQ(kevent(kq, changes, 2, ev, 4, &(struct timespec){0, 0}), 0);
        overwrite(fd);
        EXPECT_NOTES(kq, i % 2 ? fd : other, NOTE_WRITE, i);
        silent(kq);
    }
}

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

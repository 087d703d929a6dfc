/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The descriptors that the library works with are not the program's: for it their numbers are not open, and where it
 * puts a file of its own on one, the library's moves out of the way and nothing is lost (10.1, 10.8).
 */
#define SUITE "helpers"
#include "suite.h"

#include "events.h"
#include "procs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MOST 4096

static char before[MOST];
static int found[8], found_count;

static void remember_descriptors(void)
{
    for (int fd = 0; fd < MOST; fd++)
        before[fd] = (char)is_open(fd);
}

/* What was opened since. Skips the case if that is nothing. */
static void find_helpers(void)
{
    found_count = 0;
    for (int fd = 3; fd < MOST && found_count < (int)COUNT(found); fd++)
        if (is_open(fd) && !before[fd])
            found[found_count++] = fd;
    if (found_count == 0)
        SKIP("the library has no descriptor for this");
}

/* Files of the program's, on the numbers of all that was found; they are there, and stay. */
static void put_files_over_them(void)
{
    int file = OK(open("/dev/null", O_RDONLY));
    struct stat wanted, got;
    OK(fstat(file, &wanted));
    for (int i = 0; i < found_count; i++)
        CHECK_EQ(dup2(file, found[i]), found[i]);
    for (int i = 0; i < found_count; i++) {
        OK(fstat(found[i], &got));
        CHECK_EQ(got.st_rdev, wanted.st_rdev);
    }
    OK(close(file));
}

/* The program's files are its own to close. */
static void close_the_files(void)
{
    for (int i = 0; i < found_count; i++) {
        CHECK(is_open(found[i]));
        OK(close(found[i]));
        CHECK(!is_open(found[i]));
    }
}

/* 10.1 dup2 over what wakes the kqueue. */
TEST(user_event_after_dup2, "10.1 9.1")
{
    int kq = queue();
    remember_descriptors();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0x11);
    find_helpers();
    put_files_over_them();
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0x11);
    CHECK(readable(kq));
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0x11);
    close_the_files();
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0x12);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0x12);
    nothing(kq);
}

/* 10.1 dup2 over what a timer of each clock is told by. */
TEST(timers_after_dup2, "10.1 6.1 6.4")
{
    int kq = queue();
    struct kevent ev[4];
    struct timespec wall;
    change(kq, 9, EVFILT_USER, EV_ADD, 0, 0, 0);
    remember_descriptors();
    OK(clock_gettime(CLOCK_REALTIME, &wall));
    int64_t at = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / MILLISECOND + 60;
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 50, 0x21);
    change(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_ABSOLUTE, at, 0x22);
    find_helpers();
    put_files_over_them();
    int count = 0;
    while (count < 2)
        count += collect(kq, ev + count, 2);
    EXPECT_EVENT(*find_event(ev, 2, 1, EVFILT_TIMER), 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 0x21);
    EXPECT_EVENT(*find_event(ev, 2, 2, EVFILT_TIMER), 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 0x22);
    close_the_files();
    nothing(kq);
}

#ifdef EVFILT_VNODE
/* 10.1 dup2 over what tells of files: what happened before and what happens after. */
TEST(files_after_dup2, "10.1 5.2")
{
    int kq = queue();
    int file = OK(open("file", O_RDWR | O_CREAT, 0600));
    int other = OK(open("other", O_RDWR | O_CREAT, 0600));
    change(kq, 9, EVFILT_USER, EV_ADD, 0, 0, 0);
    remember_descriptors();
    change(kq, file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 0x31);
    change(kq, other, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0x32);
    find_helpers();
    put(file, 1);
    put_files_over_them();
    EXPECT_NEXT(kq, file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_EXTEND, 0, 0x31);
    nothing(kq);
    put(file, 1);
    EXPECT_NEXT(kq, file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_EXTEND, 0, 0x31);
    OK(pwrite(other, "abc", 3, 0));
    EXPECT_NEXT(kq, other, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3, 0x32);
    close_the_files();
}
#endif

#ifdef EVFILT_SIGNAL
/* 10.1 dup2 over what tells of signals, caught and blocked ones. */
TEST(signals_after_dup2, "10.1 7.1")
{
    int kq = queue();
    sigset_t set;
    change(kq, 9, EVFILT_USER, EV_ADD, 0, 0, 0);
    OK(sigemptyset(&set));
    OK(sigaddset(&set, SIGUSR2));
    OK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    remember_descriptors();
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 0x41);
    change(kq, SIGUSR2, EVFILT_SIGNAL, EV_ADD, 0, 0, 0x42);
    nothing(kq);
    find_helpers();
    put_files_over_them();
    OK(kill(getpid(), SIGUSR1));
    EXPECT_NEXT(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0x41);
    OK(kill(getpid(), SIGUSR2));
    EXPECT_NEXT(kq, SIGUSR2, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0x42);
    close_the_files();
    nothing(kq);
}
#endif

/* 10.1 dup2 over what tells of a process, twice: also where it moved to. It is not reported before it ends. */
TEST(process_after_dup2, "10.1 8.2")
{
    struct puppet puppet;
    int kq = queue();
    give_birth(&puppet);
    change(kq, 9, EVFILT_USER, EV_ADD, 0, 0, 0);
    remember_descriptors();
    change(kq, puppet.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0x51);
    find_helpers();
    remember_descriptors();
    put_files_over_them();
    nothing(kq);
    close_the_files();
    find_helpers();
    put_files_over_them();
    nothing(kq);
    exits(&puppet, 3);
    CHECK(readable(kq));
    EXPECT_EXIT(kq, puppet.pid, CODE(3), 0x51);
    no_knote(kq, puppet.pid);
    close_the_files();
    nothing(kq);
}

/* 10.1 A process whose helper was moved is let go all the same: nothing stays open (2.6, 10.2). */
TEST(moved_process_is_deleted, "10.1 2.6 10.2")
{
    struct puppet puppet;
    give_birth(&puppet);
    int count = open_descriptors();
    int kq = queue();
    for (int deleted = 0; deleted < 2; deleted++) {
        remember_descriptors();
        change(kq, puppet.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0x61);
        find_helpers();
        put_files_over_them();
        close_the_files();
        if (!deleted)
            change(kq, puppet.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    }
    OK(close(kq));
    CHECK_EQ(open_descriptors(), count);
    exits(&puppet, 0);
}

/* 10.1, 10.3 What was moved is closed in a child, too. */
TEST(moved_helpers_are_closed_in_the_child, "10.1 10.3")
{
    struct puppet puppet;
    give_birth(&puppet);
    int count = open_descriptors();
    int kq = queue();
    remember_descriptors();
    change(kq, puppet.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0x71);
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1000, 0x72);
    find_helpers();
    put_files_over_them();
    close_the_files();
    pid_t child = OK(fork());
    if (child == 0) {
        CHECK_EQ(open_descriptors(), count);
        _exit(0);
    }
    child_succeeds(child);
    exits(&puppet, 4);
    EXPECT_EXIT(kq, puppet.pid, CODE(4), 0x71);
}

/* 10.1 Where there is no other number for it, dup2 fails, and nothing has changed. */
TEST(no_number_to_move_to, "10.1 8.2")
{
    struct puppet puppet;
    struct rlimit limit;
    give_birth(&puppet);
    int kq = queue();
    change(kq, 9, EVFILT_USER, EV_ADD, 0, 0, 0);
    remember_descriptors();
    change(kq, puppet.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0x81);
    find_helpers();
    int file = OK(open("/dev/null", O_RDONLY));
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = (rlim_t)found[found_count - 1] + 1;
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    while (dup(file) != -1)
        continue;
    for (int i = 0; i < found_count; i++)
        CHECK_ERRNO(dup2(file, found[i]), EMFILE);
    exits(&puppet, 5);
    EXPECT_EXIT(kq, puppet.pid, CODE(5), 0x81);
}

/* 10.1 To the program the number of a helper is not open: not to close, to duplicate or to watch. */
TEST(helpers_are_not_open, "10.1 2.4")
{
    struct puppet puppet;
    int kq = queue();
    give_birth(&puppet);
    remember_descriptors();
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0x91);
    change(kq, puppet.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0x92);
    find_helpers();
    for (int i = 0; i < found_count; i++) {
        CHECK_ERRNO(close(found[i]), EBADF);
        CHECK_ERRNO(dup2(found[i], 60), EBADF);
        CHECK_EQ(change_errno(kq, found[i], EVFILT_READ, EV_ADD, 0, 0, 0), EBADF);
        CHECK_EQ(change_errno(kq, found[i], EVFILT_WRITE, EV_ADD, 0, 0, 0), EBADF);
#ifdef EVFILT_VNODE
        CHECK_EQ(change_errno(kq, found[i], EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 0), EBADF);
#endif
#ifdef EVFILT_PROCDESC
        CHECK_EQ(change_errno(kq, found[i], EVFILT_PROCDESC, EV_ADD, NOTE_EXIT, 0, 0), EBADF);
#endif
    }
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0x91);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0x91);
    exits(&puppet, 6);
    EXPECT_EXIT(kq, puppet.pid, CODE(6), 0x92);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_PROC where the system does not have, or does not allow, all that a new kernel has: sandboxes, containers
 * and older kernels. A seccomp filter makes this kernel one of these: what it refuses it refuses with the errno
 * of theirs. What cannot be done then is said (8.3, 8.5), never made up and never silent.
 */
#define SUITE "proc"
#include "suite.h"

#if defined(EVFILT_PROC) && defined(__linux__)

#include "procs.h"

#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <grp.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define NOTES (NOTE_EXIT | EXITSTATUS)

/* From now on this call, if its argument `index` has `value` in these bits, gives this errno; in children, too. */
static void forbid(long number, int index, unsigned bits, unsigned value, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, args) + 8 * (unsigned)index),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT(filter), filter};
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        SKIP("the filter reads the low half of an argument");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1)
        SKIP("no seccomp filters here");
}

static void forbid_reaped_status(void)
{
    forbid(SYS_ioctl, 1, 0xffff, 0xff0b, ENOTTY); /* PIDFD_GET_INFO, whatever the size of its structure */
    OK(personality(PER_LINUX | UNAME26));         /* uname(2) says 2.6 */
    CHECK(!reaped_status_is_told());
}

static void forbid_process_descriptors(int error)
{
    forbid(SYS_pidfd_open, 1, 0, 0, error);
}

/* ---- Linux before 6.15: the status of a process that was reaped is gone ------------------------- */

/* 8.4 8.3 Reaped before kevent looks: NOTE_EXIT, once, and no status. A zombie's is told as ever. */
TEST(older_kernel_and_children, "8.4 8.3 8.2")
{
    int kq = queue();
    struct puppet reaped, zombie;
    forbid_reaped_status();
    give_birth(&reaped);
    give_birth(&zombie);
    change(kq, reaped.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    order(&reaped, EXIT, 3);
    reap(reaped.pid);
    EXPECT_NEXT(kq, reaped.pid, EVFILT_PROC, ENDED, NOTE_EXIT, 0, 1);
    no_knote(kq, reaped.pid);
    change(kq, zombie.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 2);
    exits(&zombie, 4);
    EXPECT_NEXT(kq, zombie.pid, EVFILT_PROC, ENDED, NOTES, CODE(4), 2);
    nothing(kq);
    CHECK_EQ(reap(zombie.pid), CODE(4));
    sleeps(kq);
}

/* 8.4 SIGCHLD ignored: the status may be gone, the exit is not. */
TEST(older_kernel_and_sigchld_ignored, "8.4 8.3")
{
    int kq = queue();
    forbid_reaped_status();
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 20; i++) {
        struct puppet child;
        struct kevent ev;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, i);
        order(&child, EXIT, 3);
        wait_event(kq, &ev);
        EXPECT_TRUE_OR_UNKNOWN(ev, child.pid, CODE(3), i);
        nothing(kq);
    }
    sleeps(kq);
}

/* 8.3 A stranger whose status is hidden: its exit is told at once, with data 0 and without NOTE_EXITSTATUS. */
TEST(older_kernel_and_hidden_status, "8.3 8.1")
{
    enum { NOBODY = 65534 };
    for (int zombie = 0; zombie < 2; zombie++) {
        struct puppet parent, stranger;
        prepare(&stranger);
        give_birth(&parent);
        let_beget(&parent, FORK, &stranger);
        pid_t judge = OK(fork());
        if (judge == 0) {
            gid_t group = NOBODY;
            if (setgroups(1, &group) == -1 || setresgid(NOBODY, NOBODY, NOBODY) == -1
                || setresuid(NOBODY, NOBODY, NOBODY) == -1)
                SKIP("the case needs root, to be another user's process");
            forbid_reaped_status();
            int kq = queue();
            if (!zombie)
                change(kq, stranger.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
            order(&stranger, EXIT, 7);
            tell(&parent, WATCH, stranger.pid);
            if (zombie)
                change(kq, stranger.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
            EXPECT_NEXT(kq, stranger.pid, EVFILT_PROC, ENDED, NOTE_EXIT, 0, 1);
            nothing(kq);
            no_knote(kq, stranger.pid);
            CHECK_EQ(tell(&parent, REAP, stranger.pid), CODE(7));
            nothing(kq);
            sleeps(kq);
            _exit(0);
        }
        child_succeeds(judge);
    }
}

/* 8.5 The same of tracked children, whose end the system tells of with their birth. */
TEST(older_kernel_and_tracking, "8.5 8.4")
{
    int kq = queue(), n = 0;
    struct puppet parent;
    struct kevent ev[2];
    forbid_reaped_status();
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTES, 7);
    pid_t child = tell(&parent, BRIEF, 1);
    while (n < 2)
        n += collect(kq, ev + n, 2 - n);
    EXPECT_EVENT(ev[0], child, EVFILT_PROC, LIVES, NOTE_CHILD, parent.pid, 7);
    EXPECT_TRUE_OR_UNKNOWN(ev[1], child, CODE(5), 7);
    nothing(kq);
}

/* ---- No process descriptors --------------------------------------------------------------------- */

/* 8.2 Linux before 5.3, valgrind: children are watched all the same, or EV_ADD says that they are not. */
static void no_process_descriptors(int error)
{
    int kq = queue();
    struct puppet child, zombie;
    forbid_process_descriptors(error);
    give_birth(&child);
    give_birth(&zombie);
    exits(&zombie, 4);
    int refused = change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    if (refused) {
        CHECK(refused == ENOSYS || refused == EOPNOTSUPP || refused == EPERM);
        no_knote(kq, child.pid);
        nothing(kq);
        return;
    }
    CHECK_EQ(change_errno(kq, 0, EVFILT_PROC, EV_ADD, NOTES, 0, 1), ESRCH);
    CHECK_EQ(change_errno(kq, INT_MAX, EVFILT_PROC, EV_ADD, NOTES, 0, 1), ESRCH);
    something_comes(kq);
    sleeps(kq);
    order(&child, EXIT, 3);
    EXPECT_NEXT(kq, child.pid, EVFILT_PROC, ENDED, NOTES, CODE(3), 1);
    no_knote(kq, child.pid);
    change(kq, zombie.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 2);
    EXPECT_NEXT(kq, zombie.pid, EVFILT_PROC, ENDED, NOTES, CODE(4), 2);
    CHECK_EQ(reap(child.pid), CODE(3));
    CHECK_EQ(reap(zombie.pid), CODE(4));
    nothing(kq);
    sleeps(kq);
}

TEST(no_pidfd_open, "8.2 8.1")
{
    no_process_descriptors(ENOSYS);
}

TEST(pidfd_open_forbidden, "8.2 8.1")
{
    no_process_descriptors(EPERM);
}

/* 8.4 Reaped before kevent looks, there: told all the same, once. */
TEST(no_pidfd_open_and_reaped, "8.4")
{
    int kq = queue();
    struct kevent ev;
    struct puppet child;
    forbid_process_descriptors(ENOSYS);
    give_birth(&child);
    int refused = change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    if (refused) {
        CHECK(refused == ENOSYS || refused == EOPNOTSUPP || refused == EPERM);
        return;
    }
    order(&child, EXIT, 3);
    reap(child.pid);
    wait_event(kq, &ev);
    EXPECT_TRUE_OR_UNKNOWN(ev, child.pid, CODE(3), 1);
    nothing(kq);
    sleeps(kq);
}

/* Does the process catch the signal, as the system sees it? */
static int is_caught(int signo)
{
    return signal_mask(getpid(), "SigCgt") >> (signo - 1) & 1;
}

/* 8.2 7.2 What tells of children is a handler for SIGCHLD then. It is there as long as anybody wants to know. */
TEST(no_pidfd_open_and_the_handler_goes, "8.2 7.2")
{
    int kq = queue();
    struct puppet one, other;
    give_birth(&one);
    give_birth(&other);
    forbid_process_descriptors(ENOSYS);
    CHECK(!is_caught(SIGCHLD));
    change(kq, one.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    change(kq, other.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 2);
    CHECK(is_caught(SIGCHLD));
    change(kq, one.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    CHECK(is_caught(SIGCHLD));
    change(kq, SIGCHLD, EVFILT_SIGNAL, EV_ADD, 0, 0, 3);
    exits(&other, 4);
    struct kevent ev[4];
    int count = collect(kq, ev, 4);
    EXPECT_EVENT(*find_event(ev, count, other.pid, EVFILT_PROC), other.pid, EVFILT_PROC, ENDED, NOTES, CODE(4), 2);
    CHECK(is_caught(SIGCHLD));
    change(kq, SIGCHLD, EVFILT_SIGNAL, EV_DELETE, 0, 0, 0);
    CHECK(!is_caught(SIGCHLD));
    change(kq, SIGCHLD, EVFILT_SIGNAL, EV_ADD, 0, 0, 3);
    change(kq, one.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    change(kq, SIGCHLD, EVFILT_SIGNAL, EV_DELETE, 0, 0, 0);
    CHECK(is_caught(SIGCHLD));
    change(kq, one.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    CHECK(!is_caught(SIGCHLD));
    change(kq, one.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    OK(close(kq));
    CHECK(!is_caught(SIGCHLD));
}

/* ---- No word of forks --------------------------------------------------------------------------- */

/* 8.5 Notes are refused with an errno where the system gives no way; NOTE_EXIT goes on. */
static void no_word_of_forks(int error)
{
    static const unsigned notes[] = {NOTE_FORK, NOTE_EXEC, NOTE_TRACK, NOTE_TRACK | NOTE_EXIT, NOTE_FORK | NOTE_EXIT};
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    forbid(SYS_socket, 0, 0xffffffff, AF_NETLINK, error);
    for (size_t i = 0; i < COUNT(notes); i++) {
        int refused = change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, notes[i], 0, 1);
        CHECK(refused == EOPNOTSUPP || refused == EPERM);
        no_knote(kq, child.pid);
    }
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    for (size_t i = 0; i < COUNT(notes); i++) {
        int refused = change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, notes[i], 0, 2);
        CHECK(refused == EOPNOTSUPP || refused == EPERM);
    }
    exits(&child, 3);
    EXPECT_EXIT(kq, child.pid, CODE(3), 2);
}

TEST(netlink_forbidden, "8.5")
{
    no_word_of_forks(EPERM);
}

TEST(netlink_denied, "8.5")
{
    no_word_of_forks(EACCES);
}

TEST(no_netlink, "8.5")
{
    no_word_of_forks(EAFNOSUPPORT);
}

#endif

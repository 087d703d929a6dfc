/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROC: which processes can be watched (8.1, 8.3), and whose status can be told. */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

#include <grp.h>

#ifdef __linux__
#include <sched.h>
#endif

enum { NOBODY = 65534 };

/* ---- 8.1 ---------------------------------------------------------------------------------------- */

static void refused(int kq, uintptr_t ident)
{
    static const unsigned fflags[] = {0, NOTE_EXIT, NOTE_EXIT | EXITSTATUS, NOTE_FORK, NOTE_TRACK | NOTE_EXIT};
    for (size_t i = 0; i < COUNT(fflags); i++)
        CHECK_EQ(change_errno(kq, ident, EVFILT_PROC, EV_ADD, fflags[i], 0, 0), ESRCH);
    no_knote(kq, ident);
    nothing(kq);
}

/* 8.1 pid 0, negative or past INT_MAX: ESRCH. Nothing is cut to the size of a pid (1.11). */
TEST(no_pid, "8.1 1.11")
{
    int kq = queue();
    uintptr_t own = (uintptr_t)getpid();
    refused(kq, 0);
    refused(kq, (uintptr_t)-1);
    refused(kq, (uintptr_t)(intptr_t)-getpid());
    refused(kq, (uintptr_t)(intptr_t)INT_MIN);
    refused(kq, (uintptr_t)INT_MAX + 1);
    refused(kq, UINTPTR_MAX);
    refused(kq, UINTPTR_MAX / 2 + 1);
    refused(kq, (uintptr_t)UINT_MAX + 1);
    if (sizeof own > sizeof(int))
        refused(kq, own + UINT_MAX + 1);
    sleeps(kq);
}

/* 8.1 No such process: ESRCH. One that was reaped is none. */
TEST(no_such_process, "8.1")
{
    int kq = queue();
    struct puppet child;
    refused(kq, INT_MAX);
    give_birth(&child);
    order(&child, EXIT, 0);
    reap(child.pid);
    refused(kq, (uintptr_t)child.pid);
}

/* 8.1 In an eventlist with room the refusal is an entry: the change, EV_ERROR and the errno (1.5). */
TEST(refusal_is_an_entry, "8.1 1.5")
{
    int kq = queue();
    struct puppet child;
    struct kevent ev[4];
    struct timespec no_wait = {0, 0};
    give_birth(&child);
    struct kevent changes[] = {EVENT(0, EVFILT_PROC, EV_ADD | EV_CLEAR, NOTE_EXIT, 5, 1),
                               EVENT(child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2),
                               EVENT(INT_MAX, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 3),
                               EVENT(child.pid + 1000000000, EVFILT_PROC, EV_DELETE, 0, 0, 4)};
    CHECK_EQ(kevent(kq, changes, 4, ev, 4, &no_wait), 3);
    EXPECT_EVENT(ev[0], 0, EVFILT_PROC, EV_ADD | EV_CLEAR | EV_ERROR, NOTE_EXIT, ESRCH, 1);
    EXPECT_EVENT(ev[1], INT_MAX, EVFILT_PROC, EV_ADD | EV_ERROR, NOTE_EXIT, ESRCH, 3);
    EXPECT_EVENT(ev[2], child.pid + 1000000000, EVFILT_PROC, EV_DELETE | EV_ERROR, 0, ENOENT, 4);
    order(&child, EXIT, 1);
    EXPECT_EXIT(kq, child.pid, CODE(1), 2);
}

static void *wait_for_user(void *argument)
{
    struct kevent ev;
    CHECK_EQ(kevent(*(int *)argument, NULL, 0, &ev, 1, NULL), 1);
    return NULL;
}

#ifdef __linux__
/* 8.1 The number of a thread that is not its process's first is no pid. */
TEST(thread_is_no_process, "8.1")
{
    int kq = queue(), other = queue();
    struct thread thread;
    change(other, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
    start(&thread, wait_for_user, &other);
    refused(kq, (uintptr_t)thread.tid);
    change(other, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    join(&thread);
}
#endif

/* 8.5 A note that is none of EVFILT_PROC's is EINVAL, when the knote is made and when it is changed. */
TEST(wrong_notes, "8.5 1.5")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    for (unsigned note = 8; note <= 0x00080000; note <<= 1)
        CHECK_EQ(change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | note, 0, 0), EINVAL);
    no_knote(kq, child.pid);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    CHECK_EQ(change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | 8, 0, 2), EINVAL);
    CHECK_EQ(change_errno(kq, child.pid, EVFILT_PROC, EV_DISABLE, 8, 0, 2), EINVAL);
    exits(&child, 7);
    EXPECT_EXIT(kq, child.pid, CODE(7), 1);
}

/* 8.1 fflags 0 is accepted: a knote that reports nothing, and is gone with the process (8.6). */
TEST(no_notes_are_accepted, "8.1 8.6")
{
    int kq = queue();
    struct puppet child, other;
    give_birth(&child);
    give_birth(&other);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, 0, 0, 1);
    change(kq, child.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    no_knote(kq, child.pid);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, 0, 0, 2);
    change(kq, other.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 3);
    exits(&child, 1);
    exits(&other, 2);
    EXPECT_EXIT(kq, other.pid, CODE(2), 3);
    nothing(kq);
    no_knote(kq, child.pid);
}

/* 8.1 8.6 A zombie without NOTE_EXIT reports nothing. */
TEST(zombie_without_note_exit, "8.1 8.6")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    exits(&child, 1);
    change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, 0, 0, 1);
    something_comes(kq);
    nothing(kq);
    no_knote(kq, child.pid);
    sleeps(kq);
}

/* 8.1 Anything but EV_ADD on a process that is not watched is ENOENT (2.4), whether it lives or not. */
TEST(unwatched_process, "8.1 2.4")
{
    static const unsigned short actions[] = {EV_DELETE, EV_ENABLE, EV_DISABLE, 0};
    int kq = queue();
    for (size_t i = 0; i < COUNT(actions); i++) {
        CHECK_EQ(change_errno(kq, getpid(), EVFILT_PROC, actions[i], NOTE_EXIT, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, INT_MAX, EVFILT_PROC, actions[i], NOTE_EXIT, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, 0, EVFILT_PROC, actions[i], NOTE_EXIT, 0, 0), ENOENT);
    }
}

#ifdef __linux__
/* 8.1 A process of another pid namespace is not visible: ESRCH or EPERM. Our own numbers are our own. */
TEST(process_of_another_namespace, "8.1 8.3")
{
    int outer = (int)getpid();
    struct puppet inner, grandchild;
    if (unshare(CLONE_NEWPID) == -1 && unshare(CLONE_NEWUSER | CLONE_NEWPID) == -1)
        SKIP("no pid namespaces for this user");
    pid_t first = OK(fork());
    if (first == 0) {
        int kq = queue();
        struct kevent ev;
        CHECK_EQ(getpid(), 1);
        if (outer > 100) {
            int error = change_errno(kq, outer, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0);
            CHECK(error == ESRCH || error == EPERM);
        }
        prepare(&grandchild);
        give_birth(&inner);
        change(kq, inner.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 1);
        let_beget(&inner, FORK, &grandchild);
        /* /proc is the outer namespace's: under these numbers it shows other processes. */
        change(kq, grandchild.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 2);
        something_comes(kq);
        order(&grandchild, EXIT, 7);
        CHECK_EQ(tell(&inner, REAP, grandchild.pid), CODE(7));
        wait_event(kq, &ev);
        EXPECT_REAPED(ev, grandchild.pid, CODE(7), 2);
        order(&inner, EXIT, 8);
        EXPECT_NEXT(kq, inner.pid, EVFILT_PROC, ENDED, NOTE_EXIT | EXITSTATUS, CODE(8), 1);
        _exit(0);
    }
    child_succeeds(first);
}
#endif

/* ---- 8.3 ---------------------------------------------------------------------------------------- */

/* 8.3 Any visible process can be watched: the first one, our parent, we ourselves. */
TEST(strangers_can_be_watched, "8.3")
{
    int kq = queue();
    pid_t pids[] = {1, getppid(), getpid()};
    for (size_t i = 0; i < COUNT(pids); i++) {
        if (pids[i] == 0)
            continue; /* the parent is outside of our namespace */
        change(kq, pids[i], EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, i);
        something_comes(kq);
        change(kq, pids[i], EVFILT_PROC, EV_DELETE, 0, 0, 0);
        no_knote(kq, pids[i]);
        change(kq, pids[i], EVFILT_PROC, EV_ADD | EV_DISPATCH, NOTE_EXIT | EXITSTATUS, 0, i);
    }
    sleeps(kq);
    CHECK(comes_to_rest(kq));
}

/* 8.3 A grandchild is told of when it exits, with its true status, before its parent has reaped it. */
TEST(grandchild, "8.3 8.2")
{
    int kq = queue();
    struct puppet child, grandchild;
    prepare(&grandchild);
    give_birth(&child);
    let_beget(&child, FORK, &grandchild);
    change(kq, grandchild.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 1);
    order(&grandchild, EXIT, 33);
    tell(&child, WATCH, grandchild.pid);
    EXPECT_NEXT(kq, grandchild.pid, EVFILT_PROC, ENDED, NOTE_EXIT | EXITSTATUS, CODE(33), 1);
    /* 8.1: a zombie still. */
    change(kq, grandchild.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    EXPECT_EXIT(kq, grandchild.pid, CODE(33), 2);
    CHECK_EQ(tell(&child, REAP, grandchild.pid), CODE(33));
    nothing(kq);
    no_knote(kq, grandchild.pid);
}

/* 8.3 The same of one that a signal ended. */
TEST(killed_grandchild, "8.3 8.2")
{
    int kq = queue();
    struct puppet child, grandchild;
    prepare(&grandchild);
    give_birth(&child);
    let_beget(&child, FORK, &grandchild);
    change(kq, grandchild.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    OK(kill(grandchild.pid, SIGKILL));
    EXPECT_EXIT(kq, grandchild.pid, SIGKILL, 1);
    CHECK_EQ(tell(&child, REAP, grandchild.pid), SIGKILL);
}

/* 8.3 A process may watch its parent, its sister and the children of these. */
TEST(relatives, "8.3")
{
    int ready[2];
    struct puppet sister, niece;
    pipe_pair(ready);
    prepare(&niece);
    give_birth(&sister);
    let_beget(&sister, FORK, &niece);
    pid_t judge = OK(fork());
    if (judge == 0) {
        int kq = queue();
        struct kevent ev;
        change(kq, getppid(), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        change(kq, sister.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 2);
        change(kq, niece.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 3);
        nothing(kq);
        order(&niece, EXIT, 4);
        CHECK_EQ(tell(&sister, REAP, niece.pid), CODE(4));
        wait_event(kq, &ev);
        EXPECT_REAPED(ev, niece.pid, CODE(4), 3);
        put(ready[1], 1);
        order(&sister, EXIT, 5);
        EXPECT_NEXT(kq, sister.pid, EVFILT_PROC, ENDED, NOTE_EXIT | EXITSTATUS, CODE(5), 2);
        _exit(0);
    }
    take(ready[0], 1);
    child_succeeds(judge); /* it sees its sister as a zombie, whom we reap afterwards */
    CHECK_EQ(reap(sister.pid), CODE(5));
}

static void drop_privileges(void)
{
    gid_t group = NOBODY;
    if (setgroups(1, &group) == -1 || setresgid(NOBODY, NOBODY, NOBODY) == -1
        || setresuid(NOBODY, NOBODY, NOBODY) == -1)
        SKIP("the case needs root, to be another user's process");
}

/* 8.3 Another user can watch the first process, and its own children, to their end. */
TEST(unprivileged_watcher, "8.3 8.2")
{
    struct puppet child;
    drop_privileges();
    int kq = queue();
    give_birth(&child);
    change(kq, 1, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 2);
    something_comes(kq);
    order(&child, EXIT, 21);
    EXPECT_NEXT(kq, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT | EXITSTATUS, CODE(21), 2);
    CHECK_EQ(reap(child.pid), CODE(21));
    sleeps(kq);
}

/*
 * 8.3 A stranger's status that the system hides is never invented: either it is told after the reap, and true,
 * or the exit is told at once with data 0 and without NOTE_EXITSTATUS.
 */
static void hidden_status(int asked)
{
    int watched, codes[] = {0, 7};
    for (size_t i = 0; i < COUNT(codes); i++) {
        struct puppet parent, stranger;
        prepare(&stranger);
        give_birth(&parent);
        let_beget(&parent, FORK, &stranger);
        pid_t judge = OK(fork());
        if (judge == 0) {
            struct kevent ev;
            struct timespec no_wait = {0, 0};
            drop_privileges();
            int kq = queue();
            change(kq, stranger.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | (asked ? EXITSTATUS : 0), 0, 1);
            nothing(kq);
            order(&stranger, EXIT, codes[i]);
            tell(&parent, WATCH, stranger.pid);
            watched = OK(kevent(kq, NULL, 0, &ev, 1, &no_wait));
            if (watched) {
                CHECK(!reaped_status_is_told());
                CHECK_EQ(ev.fflags, NOTE_EXIT);
                CHECK_EQ(tell(&parent, REAP, stranger.pid), CODE(codes[i]));
            } else {
                CHECK(reaped_status_is_told());
                sleeps(kq);
                CHECK(!readable(kq)); /* 10.5: a zombie that waits for its reap keeps nobody busy */
                CHECK_EQ(tell(&parent, REAP, stranger.pid), CODE(codes[i]));
                wait_event(kq, &ev);
            }
            if (watched)
                EXPECT_EVENT(ev, stranger.pid, EVFILT_PROC, ENDED, NOTE_EXIT, 0, 1);
            else
                EXPECT_EVENT(ev, stranger.pid, EVFILT_PROC, ENDED, NOTE_EXIT | (asked ? EXITSTATUS : 0),
                             CODE(codes[i]), 1);
            nothing(kq);
            no_knote(kq, stranger.pid);
            sleeps(kq);
            _exit(0);
        }
        child_succeeds(judge);
    }
}

TEST(hidden_status_is_not_invented, "8.3 10.5")
{
    hidden_status(1);
}

TEST(hidden_status_not_asked_for, "8.3")
{
    hidden_status(0);
}

/* 8.3 8.1 The same of a stranger that was a zombie already. */
TEST(hidden_zombie, "8.3 8.1 10.5")
{
    struct puppet parent, stranger;
    prepare(&stranger);
    give_birth(&parent);
    let_beget(&parent, FORK, &stranger);
    order(&stranger, EXIT, 7);
    tell(&parent, WATCH, stranger.pid);
    pid_t judge = OK(fork());
    if (judge == 0) {
        struct kevent ev, add = EVENT(stranger.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 1);
        struct timespec no_wait = {0, 0};
        drop_privileges();
        int kq = queue();
        change(kq, stranger.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 1);
        change(kq, stranger.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
        nothing(kq);
        int at_once = OK(kevent(kq, &add, 1, &ev, 1, &no_wait));
        CHECK_EQ(at_once, !reaped_status_is_told());
        if (!at_once)
            sleeps(kq);
        CHECK_EQ(tell(&parent, REAP, stranger.pid), CODE(7));
        if (!at_once) {
            wait_event(kq, &ev);
            EXPECT_EVENT(ev, stranger.pid, EVFILT_PROC, ENDED, NOTE_EXIT | EXITSTATUS, CODE(7), 1);
        } else {
            EXPECT_EVENT(ev, stranger.pid, EVFILT_PROC, ENDED, NOTE_EXIT, 0, 1);
        }
        sleeps(kq);
        _exit(0);
    }
    child_succeeds(judge);
}

/* 8.3 A stranger that nobody may see the status of, while another process ends: each its own. */
TEST(hidden_beside_seen, "8.3 8.4")
{
    struct puppet parent, stranger, own;
    prepare(&stranger);
    give_birth(&parent);
    let_beget(&parent, FORK, &stranger);
    pid_t judge = OK(fork());
    if (judge == 0) {
        struct kevent ev[4];
        drop_privileges();
        int kq = queue();
        give_birth(&own);
        change(kq, stranger.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 1);
        change(kq, own.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 2);
        OK(kill(own.pid, SIGKILL));
        order(&stranger, EXIT, 7);
        tell(&parent, WATCH, stranger.pid);
        until_zombie(own.pid);
        int n = collect(kq, ev, 4);
        EXPECT_EVENT(*find_event(ev, n, own.pid, EVFILT_PROC), own.pid, EVFILT_PROC, ENDED, NOTE_EXIT | EXITSTATUS,
                     SIGKILL, 2);
        CHECK_EQ(n, reaped_status_is_told() ? 1 : 2);
        _exit(0);
    }
    child_succeeds(judge);
}

#endif

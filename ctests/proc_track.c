/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROC: NOTE_TRACK, children that are watched because their parent is (8.5). */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

#ifdef __linux__
#include <linux/sched.h>
#include <sys/syscall.h>
#endif

#define EXPECT_CHILD(event, child, parent, udata)                                                           \
    EXPECT_EVENT(event, child, EVFILT_PROC, LIVES, NOTE_CHILD, parent, udata)

/* Collects exactly `n` events, in as many calls as it takes; then there is none. */
static void collect_all(int kq, struct kevent *ev, int n)
{
    for (int have = 0; have < n;)
        have += collect(kq, ev + have, n - have);
    nothing(kq);
}

/* The place of the one event of `ev[0..n)` of this process that has this note. */
static int place_of(const struct kevent *ev, int n, pid_t pid, unsigned note)
{
    int place = -1;
    for (int i = 0; i < n; i++) {
        if (ev[i].ident == (uintptr_t)pid && ev[i].fflags & note) {
            CHECK_EQ(place, -1);
            place = i;
        }
    }
    CHECK_NE(place, -1);
    return place;
}


/* 8.5 The child's NOTE_CHILD is an event of its own; the parent's NOTE_FORK another; then each has its exit. */
TEST(child_is_tracked, "8.5 8.2 8.4")
{
    int kq = queue();
    struct puppet parent, child;
    struct kevent ev[2];
    prepare(&child);
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_FORK | NOTE_EXIT, 7);
    nothing(kq);
    let_beget(&parent, FORK, &child);
    collect_all(kq, ev, 2);
    EXPECT_EVENT(*find_event(ev, 2, parent.pid, EVFILT_PROC), parent.pid, EVFILT_PROC, LIVES, NOTE_FORK, 0, 7);
    EXPECT_CHILD(*find_event(ev, 2, child.pid, EVFILT_PROC), child.pid, parent.pid, 7);
    order(&child, EXIT, 5);
    CHECK_EQ(tell(&parent, REAP, child.pid), CODE(5));
    EXPECT_EXIT(kq, child.pid, CODE(5), 7);
    no_knote(kq, child.pid);
    order(&parent, EXIT, 6);
    EXPECT_EXIT(kq, parent.pid, CODE(6), 7);
    no_knote(kq, parent.pid);
    sleeps(kq);
}

/* 8.5 Without NOTE_FORK the parent's own fork is not reported; without NOTE_EXIT the child ends in silence. */
TEST(track_alone, "8.5 8.6")
{
    int kq = queue();
    struct puppet parent, child;
    prepare(&child);
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK, 7);
    let_beget(&parent, FORK, &child);
    struct kevent ev;
    wait_event(kq, &ev);
    EXPECT_CHILD(ev, child.pid, parent.pid, 7);
    order(&child, EXIT, 5);
    tell(&parent, REAP, child.pid);
    nothing(kq);
    no_knote(kq, child.pid);
    exits(&parent, 6);
    something_comes(kq);
    nothing(kq);
    no_knote(kq, parent.pid);
}

/* 8.5 8.6 The same of a child that is gone before kevent looks: it was born, and nothing is left of it. */
TEST(track_alone_of_one_that_is_gone, "8.5 8.6")
{
    int kq = queue();
    struct puppet parent;
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK, 7);
    pid_t child = tell(&parent, BRIEF, 1);
    EXPECT_NEXT(kq, child, EVFILT_PROC, LIVES, NOTE_CHILD, parent.pid, 7);
    nothing(kq);
    no_knote(kq, child);
    sleeps(kq);
}

/* 8.5 Grandchildren and theirs are tracked; data is the pid of each one's own parent. */
TEST(grandchildren_are_tracked, "8.5")
{
    enum { N = 5 };
    int kq = queue();
    struct puppet line[N];
    struct kevent ev;
    for (int i = 1; i < N; i++)
        prepare(&line[i]);
    give_birth(&line[0]);
    watch_notes(kq, line[0].pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    for (int i = 1; i < N; i++) {
        let_beget(&line[i - 1], i % 2 ? FORK : FORK_IN_THREAD, &line[i]);
        wait_event(kq, &ev);
        EXPECT_CHILD(ev, line[i].pid, line[i - 1].pid, 7);
    }
    for (int i = N - 1; i > 0; i--) {
        order(&line[i], EXIT, i);
        CHECK_EQ(tell(&line[i - 1], REAP, line[i].pid), CODE(i));
        EXPECT_EXIT(kq, line[i].pid, CODE(i), 7);
    }
    nothing(kq);
}

/* 8.5 The same if nobody looked while they were born and died. */
TEST(generations_before_kevent_looks, "8.5 8.4")
{
    enum { N = 4, EVENTS = 2 * (N - 1) };
    int kq = queue();
    struct puppet line[N];
    struct kevent ev[EVENTS];
    for (int i = 1; i < N; i++)
        prepare(&line[i]);
    give_birth(&line[0]);
    watch_notes(kq, line[0].pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    for (int i = 1; i < N; i++)
        let_beget(&line[i - 1], FORK, &line[i]);
    for (int i = N - 1; i > 0; i--) {
        order(&line[i], EXIT, i);
        tell(&line[i - 1], REAP, line[i].pid);
    }
    collect_all(kq, ev, EVENTS);
    for (int i = 1; i < N; i++) {
        int born = place_of(ev, EVENTS, line[i].pid, NOTE_CHILD);
        int ended = place_of(ev, EVENTS, line[i].pid, NOTE_EXIT);
        EXPECT_CHILD(ev[born], line[i].pid, line[i - 1].pid, 7);
        EXPECT_EVENT(ev[ended], line[i].pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(i), 7);
        CHECK(born < ended);
        no_knote(kq, line[i].pid);
    }
}

/* 8.5 A child that is gone before kevent looks is reported: NOTE_CHILD, then NOTE_EXIT with its status, unmerged. */
static void brief_child(enum order how, int room)
{
    int kq = queue();
    struct puppet parent;
    struct kevent ev[2];
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    pid_t child = tell(&parent, how, 1);
    if (room == 1) {
        CHECK_EQ(collect(kq, ev, 1), 1);
        CHECK_EQ(collect(kq, ev + 1, 1), 1);
        nothing(kq);
    } else {
        collect_all(kq, ev, 2);
    }
    EXPECT_CHILD(ev[0], child, parent.pid, 7);
    EXPECT_EVENT(ev[1], child, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(5), 7);
    no_knote(kq, child);
}

TEST(child_that_is_gone, "8.5 8.4")
{
    brief_child(BRIEF, 2);
    brief_child(BRIEF, 1);
}

TEST(vforked_child_that_is_gone, "8.5 8.4")
{
    brief_child(VFORK, 2);
    brief_child(VFORK, 1);
}

/* 8.5 The parent is gone, too, and was reaped. */
TEST(family_that_is_gone, "8.5 8.4")
{
    int kq = queue();
    struct puppet parent;
    struct kevent ev[3];
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    pid_t child = tell(&parent, BRIEF, 1);
    order(&parent, EXIT, 6);
    reap(parent.pid);
    collect_all(kq, ev, 3);
    int born = place_of(ev, 3, child, NOTE_CHILD), ended = place_of(ev, 3, child, NOTE_EXIT);
    CHECK(born < ended);
    EXPECT_CHILD(ev[born], child, parent.pid, 7);
    EXPECT_EVENT(ev[ended], child, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(5), 7);
    EXPECT_EVENT(ev[place_of(ev, 3, parent.pid, NOTE_EXIT)], parent.pid, EVFILT_PROC, ENDED, NOTE_EXIT,
                 reaped_status_is_told() ? CODE(6) : 0, 7);
}

/* 8.5 NOTE_CHILD stays alone if the child execs and forks before kevent looks. */
TEST(child_note_is_alone, "8.5")
{
    int kq = queue();
    struct puppet parent, child;
    struct kevent ev;
    prepare(&child);
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXEC | NOTE_EXIT, 7);
    let_beget(&parent, FORK, &child);
    tell(&child, EXEC, 0);
    CHECK_EQ(collect(kq, &ev, 1), 1);
    EXPECT_CHILD(ev, child.pid, parent.pid, 7);
    EXPECT_NEXT(kq, child.pid, EVFILT_PROC, LIVES, NOTE_EXEC, 0, 7);
    nothing(kq);
}

/* 8.5 Children that were there before EV_ADD are not tracked. */
TEST(older_children_are_not_tracked, "8.5")
{
    int kq = queue();
    struct puppet parent, older, younger;
    struct kevent ev;
    prepare(&older);
    prepare(&younger);
    give_birth(&parent);
    let_beget(&parent, FORK, &older);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    tell(&older, BRIEF, 2);
    nothing(kq);
    no_knote(kq, older.pid);
    let_beget(&parent, FORK, &younger);
    wait_event(kq, &ev);
    EXPECT_CHILD(ev, younger.pid, parent.pid, 7);
    order(&older, EXIT, 1);
    tell(&parent, REAP, older.pid);
    nothing(kq);
}

/* 8.5 The parent's knote deleted leaves its children's, and theirs. */
TEST(parent_deleted, "8.5 2.6")
{
    int kq = queue();
    struct puppet parent, child, other, grandchild;
    struct kevent ev;
    prepare(&child);
    prepare(&other);
    prepare(&grandchild);
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    let_beget(&parent, FORK, &child);
    wait_event(kq, &ev);
    EXPECT_CHILD(ev, child.pid, parent.pid, 7);
    change(kq, parent.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    let_beget(&parent, FORK, &other);
    nothing(kq);
    let_beget(&child, FORK, &grandchild);
    wait_event(kq, &ev);
    EXPECT_CHILD(ev, grandchild.pid, child.pid, 7);
    order(&grandchild, EXIT, 3);
    EXPECT_EXIT(kq, grandchild.pid, CODE(3), 7);
    order(&child, EXIT, 4);
    tell(&parent, REAP, child.pid);
    EXPECT_EXIT(kq, child.pid, CODE(4), 7);
    nothing(kq);
}

/* 8.5 A child's knote deleted leaves the parent's, and is nobody's parent. */
TEST(child_deleted, "8.5 2.6")
{
    int kq = queue();
    struct puppet parent, child, other;
    struct kevent ev;
    prepare(&child);
    prepare(&other);
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    let_beget(&parent, FORK, &child);
    wait_event(kq, &ev);
    EXPECT_CHILD(ev, child.pid, parent.pid, 7);
    change(kq, child.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    tell(&child, BRIEF, 2);
    order(&child, EXIT, 1);
    tell(&parent, REAP, child.pid);
    nothing(kq);
    let_beget(&parent, FORK, &other);
    wait_event(kq, &ev);
    EXPECT_CHILD(ev, other.pid, parent.pid, 7);
}

/* 8.5 A tracked child is a knote like any other: its udata and its notes can be changed, tracking ended. */
TEST(child_changed, "8.5 2.1")
{
    int kq = queue();
    struct puppet parent, child;
    struct kevent ev;
    prepare(&child);
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    let_beget(&parent, FORK, &child);
    wait_event(kq, &ev);
    EXPECT_CHILD(ev, child.pid, parent.pid, 7);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 8);
    tell(&child, BRIEF, 2);
    nothing(kq);
    order(&child, EXIT, 1);
    EXPECT_EXIT(kq, child.pid, CODE(1), 8);
}

/* 8.5 The child's knote has the parent's flags: it reports NOTE_CHILD, and with EV_DISPATCH waits then. */
TEST(child_has_the_flags, "8.5 2.8")
{
    int kq = queue();
    struct puppet parent, child;
    prepare(&child);
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD | EV_DISPATCH, NOTE_TRACK | NOTE_EXIT, 7);
    let_beget(&parent, FORK, &child);
    EXPECT_NEXT(kq, child.pid, EVFILT_PROC, LIVES | EV_DISPATCH, NOTE_CHILD, parent.pid, 7);
    order(&child, EXIT, 1);
    tell(&parent, REAP, child.pid);
    nothing(kq);
    change(kq, child.pid, EVFILT_PROC, EV_ENABLE, 0, 0, 8);
    EXPECT_NEXT(kq, child.pid, EVFILT_PROC, ENDED | EV_DISPATCH, NOTE_EXIT, CODE(1), 8);
    no_knote(kq, child.pid);
}

/* 8.5 The parent's end does not end the tracking of its children. */
TEST(parent_ended, "8.5")
{
    int kq = queue();
    struct puppet parent, child;
    struct kevent ev[2];
    prepare(&child);
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    let_beget(&parent, FORK, &child);
    wait_event(kq, ev);
    EXPECT_CHILD(ev[0], child.pid, parent.pid, 7);
    order(&parent, EXIT, 1);
    EXPECT_EXIT(kq, parent.pid, CODE(1), 7);
    reap(parent.pid);
    pid_t grandchild = tell(&child, BRIEF, 1);
    collect_all(kq, ev, 2);
    EXPECT_CHILD(ev[0], grandchild, child.pid, 7);
    EXPECT_EVENT(ev[1], grandchild, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(5), 7);
    order(&child, EXIT, 2);
    EXPECT_EXIT(kq, child.pid, CODE(2), 7);
}

/* 8.5 A process may track its own children; every kqueue that tracks is told. */
TEST(own_children, "8.5")
{
    int kqs[2] = {queue(), queue()};
    struct puppet child;
    struct kevent ev;
    for (int i = 0; i < 2; i++)
        watch_notes(kqs[i], getpid(), EV_ADD, NOTE_TRACK | NOTE_EXIT, i);
    give_birth(&child);
    for (int i = 0; i < 2; i++) {
        wait_event(kqs[i], &ev);
        EXPECT_CHILD(ev, child.pid, getpid(), i);
    }
    order(&child, EXIT, 3);
    for (int i = 0; i < 2; i++)
        EXPECT_EXIT(kqs[i], child.pid, CODE(3), i);
    CHECK_EQ(reap(child.pid), CODE(3));
}

/* 8.5 A waiter is woken by a child that is born. */
TEST(child_wakes_a_waiter, "8.5")
{
    struct waiter waiter = {queue(), {0}};
    struct thread thread;
    struct puppet parent, child;
    prepare(&child);
    give_birth(&parent);
    watch_notes(waiter.kq, parent.pid, EV_ADD, NOTE_TRACK, 7);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    let_beget(&parent, FORK, &child);
    join(&thread);
    EXPECT_CHILD(waiter.ev, child.pid, parent.pid, 7);
}

/* 8.5 With room for one event all are reached: as many children born as ended, in order for each. */
TEST_LIMIT(short_eventlist_of_children, "8.5 1.12", 30)
{
    enum { N = 40 };
    int kq = queue(), born = 0, ended = 0;
    struct puppet parent;
    struct kevent ev;
    pid_t last = 0;
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    tell(&parent, BRIEF, N);
    while (born < N || ended < N) {
        CHECK_EQ(collect(kq, &ev, 1), 1);
        if (ev.fflags == NOTE_CHILD) {
            EXPECT_CHILD(ev, ev.ident, parent.pid, 7);
            last = (pid_t)ev.ident;
            born++;
        } else {
            EXPECT_EVENT(ev, ev.ident, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(5), 7);
            ended++;
        }
        CHECK(ended <= born);
    }
    CHECK_NE(last, 0);
    nothing(kq);
}

/* 8.5 A child of our own that is a zombie when kevent looks; without NOTE_EXIT it is only born. */
TEST(own_child_that_has_ended, "8.5 8.6")
{
    for (int exit = 0; exit < 2; exit++) {
        int kq = queue();
        struct kevent ev[2];
        watch_notes(kq, getpid(), EV_ADD, NOTE_TRACK | (exit ? NOTE_EXIT : 0), 7);
        pid_t pid = OK(fork());
        if (pid == 0)
            _exit(9);
        until_zombie(pid);
        collect_all(kq, ev, 1 + exit);
        EXPECT_CHILD(ev[0], pid, getpid(), 7);
        if (exit)
            EXPECT_EVENT(ev[1], pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(9), 7);
        no_knote(kq, pid);
        CHECK_EQ(reap(pid), CODE(9));
    }
}

/* 8.5 A child that is tracked by one kqueue and watched by another: each reports its own. */
TEST(tracked_and_watched, "8.5 8.2")
{
    int tracking = queue(), watching = queue();
    struct puppet parent, child;
    struct kevent ev;
    prepare(&child);
    give_birth(&parent);
    watch_notes(tracking, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    let_beget(&parent, FORK, &child);
    change(watching, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 8);
    nothing(watching);
    wait_event(tracking, &ev);
    EXPECT_CHILD(ev, child.pid, parent.pid, 7);
    order(&child, EXIT, 2);
    EXPECT_EXIT(tracking, child.pid, CODE(2), 7);
    EXPECT_EXIT(watching, child.pid, CODE(2), 8);
    nothing(tracking);
    nothing(watching);
}

#ifdef SYS_clone3
/* A child that ends at once, with the number of one that is gone if `pid` is not 0; it is reaped. */
static pid_t fork_brief_as(pid_t pid, int status)
{
    struct clone_args args = {.exit_signal = SIGCHLD};
    if (pid != 0) {
        args.set_tid = (uintptr_t)&pid;
        args.set_tid_size = 1;
    }
    pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (child == 0)
        _exit(status);
    if (child > 0)
        OK(waitpid(child, NULL, 0));
    return child;
}

/* 8.5 Two children, one after the other, with the same number, before kevent looks: the second has no knote of its
 * own, and NOTE_TRACKERR says so. */
TEST(number_that_comes_round, "8.5 1.11")
{
    int kq = queue(), line[2], answer[2];
    struct kevent ev[4];
    pid_t pid = 0, again = 0, parent;
    OK(pipe(line));
    OK(pipe(answer));
    parent = OK(fork());
    if (parent == 0) {
        OK(read(line[0], &pid, 1));
        pid = fork_brief_as(0, 1);
        again = pid > 0 ? fork_brief_as(pid, 2) : -1;
        OK(write(answer[1], &pid, sizeof pid));
        OK(write(answer[1], &again, sizeof again));
        pause();
    }
    watch_notes(kq, parent, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    OK(write(line[1], "", 1));
    OK(read(answer[0], &pid, sizeof pid));
    OK(read(answer[0], &again, sizeof again));
    if (pid <= 0 || again != pid)
        SKIP("no process can be given a number here");
    collect_all(kq, ev, 3);
    EXPECT_EVENT(*find_event(ev, 3, parent, EVFILT_PROC), parent, EVFILT_PROC, LIVES, NOTE_TRACKERR, 0, 7);
    int birth = place_of(ev, 3, pid, NOTE_CHILD), end = place_of(ev, 3, pid, NOTE_EXIT);
    CHECK(birth < end);
    EXPECT_CHILD(ev[birth], pid, parent, 7);
    EXPECT_EVENT(ev[end], pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(1), 7);
    no_knote(kq, pid);
    sleeps(kq);
}
#endif

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROC: NOTE_TRACK, children that are watched because their parent is (8.5). */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

#include <sys/resource.h>

static const struct timespec no_wait = {0, 0};

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

/* 8.5 No descriptor is left for a child: it is tracked all the same, or NOTE_TRACKERR says that it is not. */
TEST(no_descriptor_for_a_child, "8.5 1.1")
{
    int kq = queue();
    struct puppet parent, child;
    struct kevent ev;
    struct rlimit limit, none;
    prepare(&child);
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    none = limit;
    none.rlim_cur = (rlim_t)OK(dup(0)); /* the lowest number that is free */
    OK(close((int)none.rlim_cur));
    OK(setrlimit(RLIMIT_NOFILE, &none));
    let_beget(&parent, FORK, &child);
    wait_event(kq, &ev);
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    if (ev.fflags == NOTE_CHILD) {
        EXPECT_CHILD(ev, child.pid, parent.pid, 7);
        order(&child, EXIT, 5);
        tell(&parent, REAP, child.pid);
        EXPECT_EXIT(kq, child.pid, CODE(5), 7);
    } else {
        EXPECT_EVENT(ev, parent.pid, EVFILT_PROC, LIVES, NOTE_TRACKERR, 0, 7);
    }
    order(&parent, EXIT, 6);
    EXPECT_EXIT(kq, parent.pid, CODE(6), 7);
}

/* 8.5 More forks than the system keeps while nobody calls kevent: NOTE_TRACKERR, not silence; then all goes on. */
TEST_LIMIT(burst_of_forks, "8.5", 60)
{
    enum { FORKS = 3000 };
    int kq = queue(), born = 0, ended = 0, missed = 0, n;
    struct puppet parent, child, bystander;
    struct kevent ev[64];
    prepare(&child);
    give_birth(&parent);
    give_birth(&bystander);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    watch_notes(kq, bystander.pid, EV_ADD, NOTE_FORK | NOTE_EXIT, 8);
    tell(&parent, BRIEF, FORKS);
    while ((n = OK(kevent(kq, NULL, 0, ev, 64, &no_wait))) > 0) {
        for (int i = 0; i < n; i++) {
            if (ev[i].ident == (uintptr_t)parent.pid) {
                EXPECT_EVENT(ev[i], parent.pid, EVFILT_PROC, LIVES, NOTE_TRACKERR, 0, 7);
                missed++;
            } else if (ev[i].ident == (uintptr_t)bystander.pid) {
                /* It may have forked in what was missed. */
                EXPECT_EVENT_ANY(ev[i], bystander.pid, EVFILT_PROC, LIVES, 0, 0, 8, ANY_FFLAGS);
                CHECK_EQ(ev[i].fflags & NOTE_EXIT, 0);
            } else if (ev[i].fflags == NOTE_CHILD) {
                EXPECT_CHILD(ev[i], ev[i].ident, parent.pid, 7);
                born++;
            } else {
                struct kevent *event = &ev[i];
                EXPECT_EVENT_ANY(*event, event->ident, EVFILT_PROC, ENDED, NOTE_EXIT, 0, 7, ANY_DATA);
                CHECK(event->data == CODE(5) || (missed && event->data == 0));
                ended++;
            }
        }
        CHECK(ended <= born);
    }
    CHECK(born == FORKS || missed > 0);
    CHECK_EQ(ended, born);
    sleeps(kq);
    let_beget(&parent, FORK, &child);
    wait_event(kq, ev);
    EXPECT_CHILD(ev[0], child.pid, parent.pid, 7);
    order(&child, EXIT, 1);
    tell(&parent, REAP, child.pid);
    EXPECT_EXIT(kq, child.pid, CODE(1), 7);
    tell(&bystander, BRIEF, 1);
    EXPECT_NEXT(kq, bystander.pid, EVFILT_PROC, LIVES, NOTE_FORK, 0, 8);
    order(&bystander, EXIT, 2);
    EXPECT_EXIT(kq, bystander.pid, CODE(2), 8);
    order(&parent, EXIT, 3);
    EXPECT_EXIT(kq, parent.pid, CODE(3), 7);
}

/* 8.5 An exec that fell into such a burst is reported as what it is, or as missed. */
TEST_LIMIT(exec_in_a_burst, "8.5", 60)
{
    int kq = queue(), told = 0, n;
    struct puppet parent, other;
    struct kevent ev[64];
    give_birth(&parent);
    give_birth(&other);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_FORK, 7);
    watch_notes(kq, other.pid, EV_ADD, NOTE_EXEC, 8);
    tell(&parent, BRIEF, 3000);
    tell(&other, EXEC, 0);
    while ((n = OK(kevent(kq, NULL, 0, ev, 64, &no_wait))) > 0) {
        for (int i = 0; i < n; i++) {
            int forked = ev[i].ident == (uintptr_t)parent.pid;
            EXPECT_EVENT_ANY(ev[i], forked ? parent.pid : other.pid, EVFILT_PROC, LIVES, 0, 0, forked ? 7 : 8,
                             ANY_FFLAGS);
            CHECK_NE(ev[i].fflags, 0);
            CHECK_EQ(ev[i].fflags & ~(NOTE_TRACKERR | (forked ? NOTE_FORK : NOTE_EXEC)), 0);
            told |= 1 << forked;
        }
    }
    CHECK_EQ(told, 3);
    sleeps(kq);
}

#endif

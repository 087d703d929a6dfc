/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROC: what is missed when the system has no room, and said to be missed (8.5, NOTE_TRACKERR). */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

#include <sys/resource.h>

static const struct timespec no_wait = {0, 0};

#define EXPECT_CHILD(event, child, parent, udata)                                                           \
    EXPECT_EVENT(event, child, EVFILT_PROC, LIVES, NOTE_CHILD, parent, udata)

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
static void burst(int elders)
{
    enum { FORKS = 2000 };
    int kq = queue(), born = 0, ended = 0, missed = 0, n;
    struct puppet parent, child, bystander, elder;
    struct kevent ev[64];
    prepare(&child);
    prepare(&elder);
    give_birth(&parent);
    give_birth(&bystander);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    watch_notes(kq, bystander.pid, EV_ADD, NOTE_FORK | NOTE_EXIT, 8);
    if (elders)
        let_beget(&parent, FORK, &elder);
    tell(&parent, BRIEF, FORKS);
    while ((n = OK(kevent(kq, NULL, 0, ev, 64, &no_wait))) > 0) {
        for (int i = 0; i < n; i++) {
            if (ev[i].ident == (uintptr_t)parent.pid) {
                EXPECT_EVENT(ev[i], parent.pid, EVFILT_PROC, LIVES, NOTE_TRACKERR, 0, 7);
                missed++;
            } else if (elders && ev[i].ident == (uintptr_t)elder.pid && ev[i].fflags == NOTE_TRACKERR) {
                EXPECT_EVENT(ev[i], elder.pid, EVFILT_PROC, LIVES, NOTE_TRACKERR, 0, 7); /* it tracks its own */
            } else if (ev[i].ident == (uintptr_t)bystander.pid) {
                /* It may have forked in what was missed. */
                EXPECT_EVENT_ANY(ev[i], bystander.pid, EVFILT_PROC, LIVES, 0, 0, 8, ANY_FFLAGS);
                CHECK_EQ(ev[i].fflags & NOTE_EXIT, 0);
            } else if (ev[i].fflags == NOTE_CHILD) {
                EXPECT_CHILD(ev[i], ev[i].ident, parent.pid, 7);
                born++;
            } else {
                struct kevent *event = &ev[i];
                if (missed)
                    event->fflags &= ~NOTE_TRACKERR; /* it may have had children itself */
                EXPECT_EVENT_ANY(*event, event->ident, EVFILT_PROC, ENDED, NOTE_EXIT, 0, 7, ANY_DATA);
                CHECK(event->data == CODE(5) || (missed && event->data == 0));
                ended++;
            }
        }
        CHECK(ended <= born);
    }
    CHECK(born == FORKS + elders || missed > 0);
    CHECK_EQ(ended, born - elders); /* 8.4: whose birth was told, their end is, too */
    sleeps(kq);
    if (elders) {
        order(&elder, EXIT, 4);
        EXPECT_EXIT(kq, elder.pid, CODE(4), 7);
        tell(&parent, REAP, elder.pid);
    }
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

TEST_LIMIT(burst_of_forks, "8.5 8.4", 60)
{
    burst(0);
}

/* One message more: what does not fit is cut between another two. */
TEST_LIMIT(burst_of_forks_beside_a_child, "8.5 8.4", 60)
{
    burst(1);
}

/* 8.5 The same of one that has ended since: the last report of it says that something was missed. */
TEST_LIMIT(burst_of_one_that_ends, "8.5", 60)
{
    enum { FORKS = 2000 };
    int kq = queue(), born = 0, missed = 0, n;
    struct puppet parent;
    struct kevent ev[64];
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK | NOTE_EXIT, 7);
    tell(&parent, BRIEF, FORKS);
    exits(&parent, 3);
    while ((n = OK(kevent(kq, NULL, 0, ev, 64, &no_wait))) > 0) {
        for (int i = 0; i < n; i++) {
            born += ev[i].fflags == NOTE_CHILD;
            missed += ev[i].ident == (uintptr_t)parent.pid && ev[i].fflags & NOTE_TRACKERR;
        }
    }
    CHECK(born == FORKS || missed > 0);
    no_knote(kq, parent.pid);
    sleeps(kq);
}

/* 8.5 The children that are there are found after it, however many, and whichever thread had them. */
TEST_LIMIT(children_are_found_after_a_burst, "8.5", 60)
{
    enum { CHILDREN = 900 };
    int kq = queue(), born = 0, n;
    struct puppet parent, elder;
    struct kevent ev[64];
    prepare(&elder);
    give_birth(&parent);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_TRACK, 7);
    tell(&parent, BRIEF, 2000);
    let_beget(&parent, FORK_IN_THREAD, &elder);
    tell(&parent, MANY, CHILDREN);
    while ((n = OK(kevent(kq, NULL, 0, ev, 64, &no_wait))) > 0) {
        for (int i = 0; i < n; i++)
            born += ev[i].fflags == NOTE_CHILD && kill((pid_t)ev[i].ident, 0) == 0;
    }
    CHECK_EQ(born, CHILDREN + 1);
    sleeps(kq);
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
    tell(&parent, BRIEF, 2000);
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

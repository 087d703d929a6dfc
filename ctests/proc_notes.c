/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROC: NOTE_FORK and NOTE_EXEC (8.5), and knotes that do not want the exit (8.6). */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

#include <spawn.h>

extern char **environ;

#define EXPECT_NOTE(kq, pid, fflags, udata) EXPECT_NEXT(kq, pid, EVFILT_PROC, LIVES, fflags, 0, udata)

/* ---- NOTE_FORK ---------------------------------------------------------------------------------- */

/* 8.5 A fork is reported as it happens, once; the process goes on being watched. */
TEST(fork_is_reported, "8.5 2.9")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXIT, 1);
    nothing(kq);
    for (int i = 0; i < 3; i++) {
        tell(&child, BRIEF, 1);
        EXPECT_NOTE(kq, child.pid, NOTE_FORK, 1);
        nothing(kq);
    }
    order(&child, EXIT, 9);
    EXPECT_EXIT(kq, child.pid, CODE(9), 1);
    no_knote(kq, child.pid);
}

/* 8.5 vfork is a fork; so is one by a thread that is not the first. */
TEST(forks_of_other_kinds, "8.5")
{
    int kq = queue();
    struct puppet child, grandchild;
    prepare(&grandchild);
    give_birth(&child);
    watch_notes(kq, child.pid, EV_ADD, NOTE_FORK, 1);
    tell(&child, VFORK, 0);
    EXPECT_NOTE(kq, child.pid, NOTE_FORK, 1);
    let_beget(&child, FORK_IN_THREAD, &grandchild);
    EXPECT_NOTE(kq, child.pid, NOTE_FORK, 1);
    nothing(kq);
}

/* 8.5 A new thread is no fork. */
TEST(thread_is_no_fork, "8.5")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXEC, 1);
    tell(&child, THREAD, 0);
    nothing(kq);
    tell(&child, EXEC, 0);
    EXPECT_NOTE(kq, child.pid, NOTE_EXEC, 1);
    nothing(kq);
}

/* 8.5 Our own forks: fork, vfork, posix_spawn, system. What the children do is not ours. */
TEST(own_forks, "8.5 8.3")
{
    int kq = queue();
    pid_t pid;
    struct puppet child;
    char *const program[] = {"true", NULL};
    watch_notes(kq, getpid(), EV_ADD, NOTE_FORK | NOTE_EXEC | NOTE_EXIT, 1);
    nothing(kq);
    give_birth(&child);
    EXPECT_NOTE(kq, getpid(), NOTE_FORK, 1);
    tell(&child, BRIEF, 2);
    tell(&child, EXEC, 0);
    exits(&child, 1);
    nothing(kq);
    pid = vfork();
    if (pid == 0)
        _exit(0);
    EXPECT_NOTE(kq, getpid(), NOTE_FORK, 1);
    reap(OK(pid));
    OK0(posix_spawnp(&pid, "true", NULL, NULL, program, environ));
    EXPECT_NOTE(kq, getpid(), NOTE_FORK, 1);
    reap(pid);
    OK(system("exit 0"));
    EXPECT_NOTE(kq, getpid(), NOTE_FORK, 1);
    nothing(kq);
}

/* 8.5 A stranger's forks, that is, a grandchild's; its parent's are not its own. */
TEST(forks_of_a_grandchild, "8.5 8.3")
{
    int kq = queue();
    struct puppet child, grandchild;
    prepare(&grandchild);
    give_birth(&child);
    let_beget(&child, FORK, &grandchild);
    watch_notes(kq, grandchild.pid, EV_ADD, NOTE_FORK, 1);
    tell(&child, BRIEF, 3);
    tell(&child, EXEC, 0);
    nothing(kq);
    tell(&grandchild, BRIEF, 1);
    EXPECT_NOTE(kq, grandchild.pid, NOTE_FORK, 1);
    nothing(kq);
}

/* 8.5 Before EV_ADD or after EV_DELETE nothing is reported, nor after the wish was taken back. */
TEST(notes_end_with_the_wish, "8.5 2.3 2.6")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    tell(&child, BRIEF, 1);
    watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXIT, 1);
    nothing(kq);
    tell(&child, BRIEF, 1);
    EXPECT_NOTE(kq, child.pid, NOTE_FORK, 1);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    tell(&child, BRIEF, 1);
    nothing(kq);
    watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXIT, 3);
    nothing(kq);
    tell(&child, BRIEF, 1);
    EXPECT_NOTE(kq, child.pid, NOTE_FORK, 3);
    tell(&child, BRIEF, 1);
    change(kq, child.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    nothing(kq);
    tell(&child, BRIEF, 1);
    nothing(kq);
    sleeps(kq);
}

/* ---- NOTE_EXEC ---------------------------------------------------------------------------------- */

/* 8.5 An exec is reported, every time; one that fails is none, nor is a fork. */
TEST(exec_is_reported, "8.5")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    watch_notes(kq, child.pid, EV_ADD, NOTE_EXEC | NOTE_EXIT, 1);
    nothing(kq);
    for (int i = 0; i < 2; i++) {
        tell(&child, FAIL_EXEC, 0);
        tell(&child, BRIEF, 1);
        nothing(kq);
        tell(&child, EXEC, 0);
        EXPECT_NOTE(kq, child.pid, NOTE_EXEC, 1);
        nothing(kq);
    }
    order(&child, EXIT, 9);
    EXPECT_EXIT(kq, child.pid, CODE(9), 1);
}

/* 8.5 Nor is an exec a fork. */
TEST(exec_is_no_fork, "8.5")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    watch_notes(kq, child.pid, EV_ADD, NOTE_FORK, 1);
    tell(&child, EXEC, 0);
    nothing(kq);
    tell(&child, BRIEF, 1);
    EXPECT_NOTE(kq, child.pid, NOTE_FORK, 1);
}

/* 8.5 By a thread that is not the first: it is the process that execs, and it does not fork. */
TEST(exec_by_another_thread, "8.5")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXEC | NOTE_EXIT, 1);
    tell(&child, EXEC_IN_THREAD, 0);
    EXPECT_NOTE(kq, child.pid, NOTE_EXEC, 1);
    nothing(kq);
    tell(&child, BRIEF, 1);
    EXPECT_NOTE(kq, child.pid, NOTE_FORK, 1);
    order(&child, EXIT, 9);
    EXPECT_EXIT(kq, child.pid, CODE(9), 1);
}

/* ---- Both, and with the exit -------------------------------------------------------------------- */

/* 8.5 What happened before kevent looks may merge, and none of it is lost. */
TEST(notes_may_merge, "8.5")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXEC | NOTE_EXIT, 1);
    tell(&child, BRIEF, 5);
    tell(&child, EXEC, 0);
    gather(kq, child.pid, NOTE_FORK | NOTE_EXEC, LIVES, UDATA(1));
    nothing(kq);
    tell(&child, BRIEF, 5);
    EXPECT_NOTE(kq, child.pid, NOTE_FORK, 1);
    nothing(kq);
}

/* 8.5 Those and NOTE_EXIT may merge: the last event has the exit and its status, and comes last. */
static void notes_before_exit(int reaped, int room)
{
    int kq = queue(), ended = 0;
    struct puppet child;
    struct kevent ev[4];
    unsigned notes = 0;
    give_birth(&child);
    watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXEC | NOTE_EXIT, 1);
    tell(&child, BRIEF, 2);
    tell(&child, EXEC, 0);
    exits(&child, 9);
    if (reaped)
        reap(child.pid);
    while (!ended) {
        int n = collect(kq, ev, room);
        for (int i = 0; i < n; i++) {
            CHECK(!ended);
            CHECK_EQ(ev[i].fflags & notes, 0);
            notes |= ev[i].fflags;
            ended = (ev[i].fflags & NOTE_EXIT) != 0;
            int data = !ended ? 0 : reaped && !reaped_status_is_told() ? 0 : CODE(9);
            EXPECT_EVENT_ANY(ev[i], child.pid, EVFILT_PROC, ended ? ENDED : LIVES, 0, data, 1, ANY_FFLAGS);
        }
    }
    CHECK_EQ(notes, NOTE_FORK | NOTE_EXEC | NOTE_EXIT);
    nothing(kq);
    no_knote(kq, child.pid);
    sleeps(kq);
}

TEST(notes_come_before_the_exit, "8.5 8.2")
{
    notes_before_exit(0, 4);
    notes_before_exit(0, 1);
}

TEST(notes_of_one_that_was_reaped, "8.5 8.4")
{
    notes_before_exit(1, 4);
    notes_before_exit(1, 1);
}

/* 8.5 Every kqueue is told; each of what it wants. */
TEST(notes_for_several_kqueues, "8.5")
{
    int forks = queue(), execs = queue(), both = queue();
    struct puppet child;
    give_birth(&child);
    watch_notes(forks, child.pid, EV_ADD, NOTE_FORK, 1);
    watch_notes(execs, child.pid, EV_ADD, NOTE_EXEC, 2);
    watch_notes(both, child.pid, EV_ADD, NOTE_FORK | NOTE_EXEC, 3);
    tell(&child, BRIEF, 1);
    EXPECT_NOTE(forks, child.pid, NOTE_FORK, 1);
    nothing(execs);
    EXPECT_NOTE(both, child.pid, NOTE_FORK, 3);
    OK(close(forks));
    tell(&child, EXEC, 0);
    EXPECT_NOTE(execs, child.pid, NOTE_EXEC, 2);
    EXPECT_NOTE(both, child.pid, NOTE_EXEC, 3);
    nothing(execs);
    nothing(both);
}

/* 8.5 Each of many processes is told of its own. */
TEST(notes_of_several_processes, "8.5")
{
    enum { N = 12 };
    int kq = queue();
    struct puppet children[N];
    for (int i = 0; i < N; i++) {
        give_birth(&children[i]);
        watch_notes(kq, children[i].pid, EV_ADD, NOTE_FORK | NOTE_EXEC, i);
    }
    for (int i = 0; i < N; i += 3)
        tell(&children[i], BRIEF, 2);
    for (int i = 1; i < N; i += 3)
        tell(&children[i], EXEC, 0);
    int seen[N] = {0};
    for (int left = N * 2 / 3; left > 0;) {
        struct kevent ev[5];
        int n = collect(kq, ev, 5);
        for (int i = 0; i < n; i++) {
            int index = (int)(intptr_t)ev[i].udata;
            CHECK(index >= 0 && index < N && index % 3 != 2 && seen[index]++ == 0);
            EXPECT_EVENT(ev[i], children[index].pid, EVFILT_PROC, LIVES, index % 3 ? NOTE_EXEC : NOTE_FORK, 0, index);
        }
        left -= n;
    }
    nothing(kq);
}

/* 8.5 Processes that nobody watches do not keep kevent busy, nor end its time-out early. */
TEST(forks_of_others, "8.5 10.5 1.4")
{
    int kq = queue();
    struct puppet watched, other;
    give_birth(&watched);
    give_birth(&other);
    watch_notes(kq, watched.pid, EV_ADD, NOTE_FORK | NOTE_EXEC, 1);
    order(&other, BRIEF, 50);
    sleeps(kq);
    nothing(kq);
    tell(&watched, BRIEF, 1);
    EXPECT_NOTE(kq, watched.pid, NOTE_FORK, 1);
}

/* 8.5 A waiter is woken; a kqueue with a note polls readable, in a kqueue too. */
TEST(notes_wake, "8.5 10.5")
{
    struct waiter waiter = {queue(), {0}};
    struct thread thread;
    struct puppet child;
    int outer = queue();
    give_birth(&child);
    watch_notes(waiter.kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXEC, 1);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    tell(&child, BRIEF, 1);
    join(&thread);
    EXPECT_EVENT(waiter.ev, child.pid, EVFILT_PROC, LIVES, NOTE_FORK, 0, 1);
    nothing(waiter.kq);
    change(outer, waiter.kq, EVFILT_READ, EV_ADD, 0, 0, 2);
    tell(&child, EXEC, 0);
    EXPECT_NEXT_ANY(outer, waiter.kq, EVFILT_READ, EV_ADD, 0, 1, 2, DATA_AT_LEAST);
    CHECK(readable(waiter.kq));
    EXPECT_NOTE(waiter.kq, child.pid, NOTE_EXEC, 1);
    nothing(outer);
}

/* 8.5 Notes while disabled are recorded (2.5); EV_DISPATCH and EV_ONESHOT report one (2.7, 2.8). */
TEST(notes_and_flags, "8.5 2.5 2.7 2.8")
{
    int disabled = queue(), dispatch = queue(), oneshot = queue();
    struct puppet child;
    give_birth(&child);
    watch_notes(disabled, child.pid, EV_ADD | EV_DISABLE, NOTE_FORK | NOTE_EXIT, 1);
    watch_notes(dispatch, child.pid, EV_ADD | EV_DISPATCH, NOTE_FORK | NOTE_EXIT, 2);
    watch_notes(oneshot, child.pid, EV_ADD | EV_ONESHOT, NOTE_FORK | NOTE_EXIT, 3);
    tell(&child, BRIEF, 1);
    nothing(disabled);
    change(disabled, child.pid, EVFILT_PROC, EV_ENABLE, 0, 0, 4);
    EXPECT_NOTE(disabled, child.pid, NOTE_FORK, 4);
    EXPECT_NEXT(dispatch, child.pid, EVFILT_PROC, LIVES | EV_DISPATCH, NOTE_FORK, 0, 2);
    EXPECT_NEXT(oneshot, child.pid, EVFILT_PROC, LIVES | EV_ONESHOT, NOTE_FORK, 0, 3);
    no_knote(oneshot, child.pid);
    exits(&child, 8);
    EXPECT_EXIT(disabled, child.pid, CODE(8), 4);
    nothing(dispatch);
    change(dispatch, child.pid, EVFILT_PROC, EV_ENABLE, 0, 0, 5);
    EXPECT_NEXT(dispatch, child.pid, EVFILT_PROC, ENDED | EV_DISPATCH, NOTE_EXIT, CODE(8), 5);
    nothing(oneshot);
}

/* 8.5 Bits pending are not lost when a change comes (2.1). */
TEST(notes_and_changes, "8.5 2.1")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXEC, 1);
    tell(&child, BRIEF, 1);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_FORK | NOTE_EXEC, 0, 2);
    tell(&child, EXEC, 0);
    change(kq, child.pid, EVFILT_PROC, EV_ENABLE, 0, 0, 3);
    gather(kq, child.pid, NOTE_FORK | NOTE_EXEC, LIVES, UDATA(3));
    nothing(kq);
}

/* ---- 8.6 ---------------------------------------------------------------------------------------- */

/* 8.6 Without NOTE_EXIT the knote is dropped silently at exit, reaped or not. */
TEST(unwanted_exit_is_silent, "8.6 8.5")
{
    for (int reaped = 0; reaped < 2; reaped++) {
        int kq = queue();
        struct puppet child, other;
        give_birth(&child);
        give_birth(&other);
        watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXEC, 1);
        change(kq, other.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
        exits(&child, 1);
        if (reaped)
            reap(child.pid);
        exits(&other, 2);
        EXPECT_EXIT(kq, other.pid, CODE(2), 2);
        nothing(kq);
        no_knote(kq, child.pid);
        sleeps(kq);
    }
}

/* 8.6 But what is pending of it is reported first; then it is dropped. */
TEST(pending_notes_before_the_silent_end, "8.6 8.5")
{
    for (int reaped = 0; reaped < 2; reaped++) {
        int kq = queue();
        struct puppet child;
        struct kevent ev;
        give_birth(&child);
        watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXEC, 1);
        tell(&child, BRIEF, 1);
        exits(&child, 1);
        if (reaped)
            reap(child.pid);
        wait_event(kq, &ev);
        ev.flags |= EV_EOF | EV_ONESHOT; /* F says so if it knows of the end; the rule leaves it open */
        EXPECT_EVENT(ev, child.pid, EVFILT_PROC, ENDED, NOTE_FORK, 0, 1);
        nothing(kq);
        no_knote(kq, child.pid);
        sleeps(kq);
    }
}

/* 8.6 Disabled with something pending, it waits for EV_ENABLE; then it is gone, too (2.5). */
TEST(pending_notes_of_a_disabled_knote, "8.6 8.5 2.5")
{
    int kq = queue();
    struct puppet child;
    struct kevent ev;
    give_birth(&child);
    watch_notes(kq, child.pid, EV_ADD | EV_DISABLE, NOTE_FORK | NOTE_EXEC, 1);
    tell(&child, BRIEF, 1);
    exits(&child, 1);
    something_comes(kq);
    nothing(kq);
    sleeps(kq);
    change(kq, child.pid, EVFILT_PROC, EV_ENABLE, 0, 0, 2);
    wait_event(kq, &ev);
    ev.flags |= EV_EOF | EV_ONESHOT;
    EXPECT_EVENT(ev, child.pid, EVFILT_PROC, ENDED, NOTE_FORK, 0, 2);
    nothing(kq);
    no_knote(kq, child.pid);
}

/* 8.5 What a process did before the knote was there, or wanted to hear of it, is not reported: not even where the
 * queue hears of everybody. */
TEST(what_was_before_is_not_reported, "8.5 2.6")
{
    int kq = queue();
    struct puppet tracked, parent;
    give_birth(&tracked);
    give_birth(&parent);
    watch_notes(kq, tracked.pid, EV_ADD, NOTE_TRACK, 7);
    tell(&parent, BRIEF, 1);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_FORK, 8);
    nothing(kq);
    change(kq, parent.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    tell(&parent, BRIEF, 1);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_EXIT, 8);
    tell(&parent, BRIEF, 1);
    watch_notes(kq, parent.pid, EV_ADD, NOTE_FORK | NOTE_EXIT, 8);
    nothing(kq);
    tell(&parent, BRIEF, 1);
    EXPECT_NEXT(kq, parent.pid, EVFILT_PROC, LIVES, NOTE_FORK, 0, 8);
}

/* 8.5 The fork comes before the exit also where two threads collect, and each takes one of the two. */
struct tellers {
    int kq;
    int threads;
    int forks, births, exits;
    volatile int over;
};

static void *count_notes(void *argument)
{
    struct tellers *told = argument;
    struct timespec time = {0, 20 * 1000 * 1000};
    struct kevent ev[4];
    int room = __atomic_fetch_add(&told->threads, 1, __ATOMIC_SEQ_CST) % 2 ? 1 : 4;
    while (!told->over) {
        int n = OK(kevent(told->kq, NULL, 0, ev, room, &time));
        for (int i = 0; i < n; i++) {
            __atomic_add_fetch(&told->forks, (ev[i].fflags & NOTE_FORK) != 0, __ATOMIC_SEQ_CST);
            __atomic_add_fetch(&told->births, (ev[i].fflags & NOTE_CHILD) != 0, __ATOMIC_SEQ_CST);
            __atomic_add_fetch(&told->exits, (ev[i].fflags & NOTE_EXIT) != 0, __ATOMIC_SEQ_CST);
        }
    }
    return NULL;
}

TEST_LIMIT(forks_for_several_threads, "8.5 8.2", 60)
{
    enum { THREADS = 4, ROUNDS = 2000 };
    struct tellers told = {.kq = queue()};
    struct thread thread[THREADS];
    int line[2];
    for (int i = 0; i < THREADS; i++)
        start(&thread[i], count_notes, &told);
    for (int i = 0; i < ROUNDS; i++) {
        char go = 0;
        OK(pipe(line));
        pid_t pid = OK(fork());
        if (pid == 0) {
            OK(read(line[0], &go, 1));
            if (OK(fork()) == 0)
                _exit(1);
            _exit(2);
        }
        watch_notes(told.kq, pid, EV_ADD, NOTE_FORK | NOTE_TRACK | NOTE_EXIT, 7);
        OK(write(line[1], &go, 1));
        OK(close(line[0]));
        OK(close(line[1]));
        OK(waitpid(pid, NULL, 0));
    }
    for (int i = 0; i < 200 && __atomic_load_n(&told.exits, __ATOMIC_SEQ_CST) < 2 * ROUNDS; i++)
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
    told.over = 1;
    for (int i = 0; i < THREADS; i++)
        join(&thread[i]);
    CHECK_EQ(told.forks, ROUNDS);
    CHECK_EQ(told.births, ROUNDS);
    CHECK_EQ(told.exits, 2 * ROUNDS);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROC: processes that somebody else reaps, or nobody (8.4), and queues that do not spin (10.5). */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

#define NOTES (NOTE_EXIT | EXITSTATUS)

/* 8.4 Reaped before kevent looks: NOTE_EXIT is reported all the same, once, and its status not made up. */
TEST(reaped_before_kevent_looks, "8.4 8.3")
{
    int kq = queue();
    for (int i = 0; i < 20; i++) {
        struct puppet child;
        struct kevent ev;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, i);
        order(&child, EXIT, i);
        CHECK_EQ(reap(child.pid), CODE(i));
        wait_event(kq, &ev);
        EXPECT_REAPED(ev, child.pid, CODE(i), i);
        nothing(kq);
        no_knote(kq, child.pid);
        CHECK(!readable(kq));
    }
    sleeps(kq);
}

/* 8.4 The same of one that a signal ended. */
TEST(killed_and_reaped_before_kevent_looks, "8.4")
{
    int kq = queue();
    struct puppet child;
    struct kevent ev;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    OK(kill(child.pid, SIGKILL));
    CHECK_EQ(reap(child.pid), SIGKILL);
    wait_event(kq, &ev);
    EXPECT_REAPED(ev, child.pid, SIGKILL, 1);
    nothing(kq);
}

/* 8.4 Without NOTE_EXITSTATUS asked for: NOTE_EXIT alone. */
TEST(reaped_without_exitstatus, "8.4 8.2")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    order(&child, EXIT, 6);
    CHECK_EQ(reap(child.pid), CODE(6));
    EXPECT_NEXT(kq, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT, reaped_status_is_told() ? CODE(6) : 0, 1);
    nothing(kq);
}

static void *reap_in_thread(void *pid)
{
    return UDATA(reap((pid_t)(intptr_t)pid));
}

/* 8.4 Reaped by a thread that waits for it: kevent and waitpid are told the same, whoever is first. */
TEST_LIMIT(reaped_by_another_thread, "8.4 8.2", 30)
{
    int kq = queue();
    for (int i = 0; i < 100; i++) {
        struct puppet child;
        struct thread thread;
        struct kevent ev;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, i);
        start(&thread, reap_in_thread, UDATA(child.pid));
        order(&child, EXIT, i);
        wait_event(kq, &ev);
        CHECK_EQ((intptr_t)join(&thread), CODE(i));
        EXPECT_REAPED(ev, child.pid, CODE(i), i);
        nothing(kq);
        no_knote(kq, child.pid);
        OK(close(child.line));
        OK(close(child.far));
    }
}

static void unreaped(int flags, void (*handler)(int))
{
    int kq = queue();
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    OK(sigaction(SIGCHLD, &action, NULL));
    for (int i = 0; i < 20; i++) {
        struct puppet child;
        struct kevent ev;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, i);
        order(&child, EXIT, 20 + i);
        if (i % 2) /* returns when the last child has gone */
            CHECK_ERRNO(waitpid(child.pid, NULL, 0), ECHILD);
        wait_event(kq, &ev);
        EXPECT_REAPED(ev, child.pid, CODE(20 + i), i);
        nothing(kq);
        no_knote(kq, child.pid);
    }
    CHECK_ERRNO(waitpid(-1, NULL, 0), ECHILD);
    CHECK(!readable(kq));
    sleeps(kq);
    /* Nor did the library change what becomes of children. */
    OK(sigaction(SIGCHLD, NULL, &action));
    CHECK(action.sa_handler == handler);
    CHECK_EQ(action.sa_flags & SA_NOCLDWAIT, flags & SA_NOCLDWAIT);
}

/* 8.4 SIGCHLD is ignored: the exit is reported all the same, once. */
TEST(sigchld_ignored, "8.4")
{
    unreaped(0, SIG_IGN);
}

/* 8.4 The same with SA_NOCLDWAIT. */
TEST(no_zombies_wanted, "8.4")
{
    unreaped(SA_NOCLDWAIT, SIG_DFL);
}

static volatile sig_atomic_t handled;

static void reap_all(int signo)
{
    int error = errno;
    (void)signo;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        handled = handled + 1;
    errno = error;
}

/* 8.4 A SIGCHLD handler that reaps all it finds takes nothing from kevent, nor kevent from it. */
TEST(reaped_by_a_handler, "8.4")
{
    int kq = queue(), ends = 0;
    struct sigaction action = {.sa_handler = reap_all};
    sigemptyset(&action.sa_mask);
    OK(sigaction(SIGCHLD, &action, NULL));
    for (int i = 0; i < 20; i++) {
        struct puppet child;
        struct kevent ev;
        struct timespec timeout = duration(5 * SECOND * patience());
        int n;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, i);
        order(&child, EXIT, i);
        while ((n = kevent(kq, NULL, 0, &ev, 1, &timeout)) == -1)
            CHECK_EQ(errno, EINTR); /* 1.9 */
        CHECK_EQ(n, 1);
        EXPECT_TRUE_OR_UNKNOWN(ev, child.pid, CODE(i), i);
        ends++;
    }
    while (handled < ends) /* the last signal may follow the exit */
        reap_all(SIGCHLD);
    CHECK_EQ(handled, 20);
    nothing(kq);
    sleeps(kq);
}

/* 8.4 SIGCHLD blocked, and left pending: kevent needs none of it, and takes none. */
TEST(sigchld_blocked, "8.4")
{
    int kq = queue();
    struct puppet child;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    OK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    exits(&child, 3);
    EXPECT_EXIT(kq, child.pid, CODE(3), 1);
    OK(sigpending(&set));
    CHECK_EQ(sigismember(&set, SIGCHLD), 1);
    CHECK_EQ(reap(child.pid), CODE(3));
}

#ifdef EVFILT_SIGNAL
/* 8.4 EVFILT_SIGNAL on SIGCHLD in the same queue: each is told its own. */
TEST(beside_sigchld_in_the_queue, "8.4 7.2")
{
    int kq = queue(), seen = 0;
    struct puppet child;
    struct kevent ev[4];
    give_birth(&child);
    change(kq, SIGCHLD, EVFILT_SIGNAL, EV_ADD, 0, 0, 1);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    exits(&child, 3);
    while (seen < 2) {
        int n = collect(kq, ev, 4);
        for (int i = 0; i < n; i++) {
            if (ev[i].filter == EVFILT_PROC)
                EXPECT_EVENT(ev[i], child.pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(3), 2);
            else
                EXPECT_EVENT(ev[i], SIGCHLD, EVFILT_SIGNAL, LIVES, 0, 1, 1);
        }
        seen += n;
    }
    CHECK_EQ(seen, 2);
    nothing(kq);
    CHECK_EQ(reap(child.pid), CODE(3));
}
#endif

/* 8.4 A stranger reaped by its parent before kevent looks. */
TEST(grandchild_reaped_before_kevent_looks, "8.4 8.3")
{
    int kq = queue();
    for (int i = 0; i < 10; i++) {
        struct puppet child, grandchild;
        struct kevent ev;
        prepare(&grandchild);
        give_birth(&child);
        let_beget(&child, FORK, &grandchild);
        change(kq, grandchild.pid, EVFILT_PROC, EV_ADD, NOTES, 0, i);
        order(&grandchild, EXIT, i);
        CHECK_EQ(tell(&child, REAP, grandchild.pid), CODE(i));
        wait_event(kq, &ev);
        EXPECT_REAPED(ev, grandchild.pid, CODE(i), i);
        nothing(kq);
        no_knote(kq, grandchild.pid);
    }
    sleeps(kq);
}

/* 8.4 A stranger whose parent ignores SIGCHLD. */
TEST(grandchild_that_nobody_reaps, "8.4 8.3")
{
    int kq = queue();
    struct puppet child, grandchild;
    struct kevent ev;
    prepare(&grandchild);
    give_birth(&child);
    tell(&child, IGNORE_CHILDREN, 0);
    let_beget(&child, FORK, &grandchild);
    change(kq, grandchild.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    order(&grandchild, EXIT, 17);
    wait_event(kq, &ev);
    EXPECT_REAPED(ev, grandchild.pid, CODE(17), 1);
    nothing(kq);
    sleeps(kq);
}

/* 8.4 A daemon: its parent ended before it. Whoever inherits it reaps it, or has not yet. */
TEST(daemon, "8.4 8.3")
{
    int kq = queue();
    for (int i = 0; i < 10; i++) {
        struct puppet child, orphan;
        struct kevent ev;
        prepare(&orphan);
        give_birth(&child);
        let_beget(&child, DAEMON, &orphan);
        change(kq, orphan.pid, EVFILT_PROC, EV_ADD, NOTES, 0, i);
        something_comes(kq);
        order(&orphan, EXIT, 30 + i);
        wait_event(kq, &ev);
        EXPECT_REAPED(ev, orphan.pid, CODE(30 + i), i);
        nothing(kq);
    }
    sleeps(kq);
}

/* 8.4 The parent ends while its child is watched: the child lives on. Then both have gone. */
TEST(parent_ends_first, "8.4 8.3")
{
    int kq = queue();
    struct puppet child, grandchild;
    struct kevent ev;
    prepare(&grandchild);
    give_birth(&child);
    let_beget(&child, FORK, &grandchild);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(kq, grandchild.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 2);
    order(&child, EXIT, 1);
    EXPECT_EXIT(kq, child.pid, CODE(1), 1);
    CHECK_EQ(reap(child.pid), CODE(1));
    CHECK_EQ(tell(&grandchild, PING, 0), 0);
    nothing(kq);
    order(&grandchild, EXIT, 2);
    wait_event(kq, &ev);
    EXPECT_REAPED(ev, grandchild.pid, CODE(2), 2);
}

/* 8.4 Two kqueues; the child is reaped between the one's look and the other's. */
TEST(reaped_between_two_kqueues, "8.4 8.2")
{
    int first = queue(), second = queue();
    struct puppet child;
    struct kevent ev;
    give_birth(&child);
    change(first, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    change(second, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 2);
    exits(&child, 5);
    EXPECT_NEXT(first, child.pid, EVFILT_PROC, ENDED, NOTES, CODE(5), 1);
    CHECK_EQ(reap(child.pid), CODE(5));
    wait_event(second, &ev);
    EXPECT_REAPED(ev, child.pid, CODE(5), 2);
    nothing(first);
    nothing(second);
}

/* 8.4 10.5 kevent does not spin over an exit that is not to be reported: disabled, without NOTE_EXIT, deleted. */
TEST(unreported_exit_does_not_spin, "8.4 8.6 10.5 2.5")
{
    for (int reaped = 0; reaped < 2; reaped++) {
        int kq = queue(), outer = queue();
        struct puppet disabled, silent, deleted;
        give_birth(&disabled);
        give_birth(&silent);
        give_birth(&deleted);
        change(kq, disabled.pid, EVFILT_PROC, EV_ADD | EV_DISABLE, NOTE_EXIT, 0, 1);
        change(kq, silent.pid, EVFILT_PROC, EV_ADD, 0, 0, 2);
        change(kq, deleted.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 3);
        change(outer, kq, EVFILT_READ, EV_ADD, 0, 0, 4);
        exits(&disabled, 1);
        exits(&silent, 2);
        exits(&deleted, 3);
        change(kq, deleted.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
        if (reaped) {
            reap(disabled.pid);
            reap(silent.pid);
            reap(deleted.pid);
        }
        nothing(kq); /* what the kernel had to say has been consumed */
        sleeps(kq);
        CHECK(!readable(kq));
        nothing(outer);
        sleeps(outer);
        if (!reaped) {
            reap(disabled.pid);
            reap(silent.pid);
            reap(deleted.pid);
            nothing(kq);
            sleeps(kq);
            CHECK(!readable(kq));
        }
    }
}

/* 8.4 The number comes back as another process: that is not watched. */
TEST(ended_knote_is_not_the_next_process, "8.4 8.1")
{
#ifdef __linux__
    int kq = queue();
    struct puppet child;
    FILE *file;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    order(&child, EXIT, 5);
    reap(child.pid);
    if (!(file = fopen("/proc/sys/kernel/ns_last_pid", "w")))
        SKIP("the case needs root, to choose a number");
    pid_t again = 0;
    for (int i = 0; i < 20 && again != child.pid; i++) { /* others fork, too */
        rewind(file);
        fprintf(file, "%d", child.pid - 1);
        if (fflush(file) != 0)
            SKIP("the case needs root, to choose a number");
        again = OK(fork());
        if (again == 0)
            for (;;)
                pause();
        if (again != child.pid) {
            OK(kill(again, SIGKILL));
            reap(again);
        }
    }
    fclose(file);
    if (again != child.pid)
        SKIP("the number did not come back");
    /* The old one's end is still told, and a new knote is the new process's. */
    EXPECT_NEXT(kq, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT, reaped_status_is_told() ? CODE(5) : 0, 1);
    no_knote(kq, again);
    change(kq, again, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    something_comes(kq);
    OK(kill(again, SIGKILL));
    EXPECT_EXIT(kq, again, SIGKILL, 2);
#else
    SKIP("no way to choose a number");
#endif
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROC, NOTE_EXIT: the end of a process and its status (8.1, 8.2), told once and to everybody. */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

#include <sys/select.h>

static const struct timespec no_wait = {0, 0};

/* 8.2 An exit: NOTE_EXIT, the status, EV_EOF and EV_ONESHOT beside EV_CLEAR; then the knote is gone. */
TEST(exit_is_reported, "8.2")
{
    static const int codes[] = {0, 1, 2, 42, 127, 128, 255};
    int kq = queue();
    for (size_t i = 0; i < COUNT(codes); i++) {
        struct puppet child;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0xab0 + i);
        nothing(kq);
        order(&child, EXIT, codes[i]);
        EXPECT_EXIT(kq, child.pid, CODE(codes[i]), 0xab0 + i);
        no_knote(kq, child.pid);
        nothing(kq);
        CHECK_EQ(reap(child.pid), CODE(codes[i]));
        nothing(kq);
    }
}

/* 8.2 The status is that of wait(2): of the exit code the low 8 bits. */
TEST(exit_code_is_cut_as_by_wait, "8.2")
{
    static const int codes[] = {256, 257, 0x1234, -1};
    int kq = queue();
    for (size_t i = 0; i < COUNT(codes); i++) {
        struct puppet child;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, i);
        order(&child, EXIT, codes[i]);
        EXPECT_EXIT(kq, child.pid, CODE(codes[i] & 0xff), i);
        CHECK_EQ(reap(child.pid), CODE(codes[i] & 0xff));
    }
}

/* 8.2 Death by a signal: its number. */
TEST(death_by_signal, "8.2")
{
    static const int signals[] = {SIGHUP, SIGINT, SIGKILL, SIGALRM, SIGTERM, SIGUSR1, SIGPIPE};
    int kq = queue();
    for (size_t i = 0; i < COUNT(signals); i++) {
        struct puppet child;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, i);
        if (i % 2)
            order(&child, DIE, signals[i]);
        else
            OK(kill(child.pid, signals[i]));
        EXPECT_EXIT(kq, child.pid, signals[i], i);
        int status = reap(child.pid);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), signals[i]);
        CHECK_EQ(status, signals[i]);
        no_knote(kq, child.pid);
    }
}

/* 8.2 And, where a core was written, the bit that says so: data is what waitpid returns. */
TEST(death_with_a_core, "8.2")
{
    static const int signals[] = {SIGSEGV, SIGABRT, SIGQUIT};
    int kq = queue(), cores = 0;
    for (size_t i = 0; i < COUNT(signals); i++) {
        struct puppet child;
        struct kevent ev;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, i);
        order(&child, DIE, signals[i]);
        wait_event(kq, &ev);
        int status = reap(child.pid);
        CHECK_EQ(WTERMSIG(status), signals[i]);
        EXPECT_EVENT(ev, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT, status, i);
        cores += WCOREDUMP(status) != 0;
    }
    if (cores == 0)
        SKIP("the system writes no cores here");
}

/* 8.2 The process is not reaped, nor its status changed: waitpid and waitid still tell all. */
TEST(process_is_not_reaped, "8.2")
{
    int kq = queue();
    struct puppet child;
    siginfo_t info;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    order(&child, EXIT, 77);
    EXPECT_EXIT(kq, child.pid, CODE(77), 1);
    memset(&info, 0, sizeof info);
    OK(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT | WNOHANG));
    CHECK_EQ(info.si_pid, child.pid);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_status, 77);
    int status = -1;
    CHECK_EQ(waitpid(-1, &status, WNOHANG), child.pid);
    CHECK_EQ(status, CODE(77));
    CHECK_ERRNO(waitpid(-1, &status, WNOHANG), ECHILD);
}

/* 8.2 A child that is stopped or goes on has not exited. */
TEST(stop_is_no_exit, "8.2")
{
    int kq = queue(), status;
    struct puppet child;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    OK(kill(child.pid, SIGSTOP));
    CHECK_EQ(waitpid(child.pid, &status, WUNTRACED), child.pid);
    CHECK(WIFSTOPPED(status));
    something_comes(kq);
    OK(kill(child.pid, SIGCONT));
    CHECK_EQ(waitpid(child.pid, &status, WCONTINUED), child.pid);
    CHECK(WIFCONTINUED(status));
    something_comes(kq);
    OK(kill(child.pid, SIGSTOP));
    CHECK_EQ(waitpid(child.pid, &status, WUNTRACED), child.pid);
    OK(kill(child.pid, SIGKILL));
    EXPECT_EXIT(kq, child.pid, SIGKILL, 1);
}

/* 8.2 A program that replaced the child ends as the child: the number is the same. */
TEST(exit_after_exec, "8.2")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    tell(&child, EXEC, 0);
    something_comes(kq);
    order(&child, EXIT, 6);
    EXPECT_EXIT(kq, child.pid, CODE(6), 1);
    CHECK_EQ(reap(child.pid), CODE(6));
}

/* 8.1 A zombie with NOTE_EXIT reports at once, in the call that adds it. */
TEST(zombie_reports_at_once, "8.1 8.2")
{
    int kq = queue();
    struct puppet child;
    struct kevent ev[2];
    give_birth(&child);
    exits(&child, 9);
    struct kevent add = EVENT(child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0x77);
    CHECK_EQ(kevent(kq, &add, 1, ev, 2, &no_wait), 1);
    EXPECT_EVENT(ev[0], child.pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(9), 0x77);
    no_knote(kq, child.pid);
    nothing(kq);
    /* Again: it still is a zombie. */
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0x78);
    CHECK(readable(kq));
    EXPECT_EXIT(kq, child.pid, CODE(9), 0x78);
    CHECK_EQ(reap(child.pid), CODE(9));
    CHECK_EQ(change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0), ESRCH);
}

/* 8.1 The same of one that a signal ended. */
TEST(killed_zombie_reports_at_once, "8.1 8.2")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    OK(kill(child.pid, SIGKILL));
    until_zombie(child.pid);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    EXPECT_EXIT(kq, child.pid, SIGKILL, 1);
    CHECK_EQ(reap(child.pid), SIGKILL);
}

#ifdef NOTE_EXITSTATUS
/* 8.3 NOTE_EXITSTATUS comes out where it was asked for and data is the status; where not, NOTE_EXIT is alone. */
TEST(exitstatus_if_asked_for, "8.3 8.2")
{
    static const int codes[] = {0, 3, 255};
    int with = queue(), without = queue();
    for (size_t i = 0; i < COUNT(codes); i++) {
        struct puppet child;
        give_birth(&child);
        change(with, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | NOTE_EXITSTATUS, 0, 1);
        change(without, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
        exits(&child, codes[i]);
        EXPECT_NEXT(with, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT | NOTE_EXITSTATUS, CODE(codes[i]), 1);
        EXPECT_EXIT(without, child.pid, CODE(codes[i]), 2);
        change(with, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | NOTE_EXITSTATUS, 0, 3);
        EXPECT_NEXT(with, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT | NOTE_EXITSTATUS, CODE(codes[i]), 3);
        CHECK_EQ(reap(child.pid), CODE(codes[i]));
    }
}
#endif

/* 8.2 A waiter that sleeps is woken. */
TEST(exit_wakes_a_waiter, "8.2")
{
    struct waiter waiter = {queue(), {0}};
    struct thread thread;
    struct puppet child;
    give_birth(&child);
    change(waiter.kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    order(&child, EXIT, 8);
    join(&thread);
    EXPECT_EVENT(waiter.ev, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(8), 1);
    CHECK_EQ(reap(child.pid), CODE(8));
}

/* 8.2 So is one whose process is added while it sleeps, alive or a zombie. */
TEST(added_while_another_waits, "8.1 8.2")
{
    for (int zombie = 0; zombie < 2; zombie++) {
        struct waiter waiter = {queue(), {0}};
        struct thread thread;
        struct puppet child;
        give_birth(&child);
        if (zombie)
            exits(&child, 8);
        start(&thread, wait_one, &waiter);
        until_asleep(&thread);
        change(waiter.kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        if (!zombie)
            order(&child, EXIT, 8);
        join(&thread);
        EXPECT_EVENT(waiter.ev, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(8), 1);
        CHECK_EQ(reap(child.pid), CODE(8));
    }
}

static void *try_to_collect(void *argument)
{
    struct kevent ev;
    int count = OK(kevent(*(int *)argument, NULL, 0, &ev, 1, NULL));
    CHECK_EQ(count, 1);
    return UDATA(ev.filter == EVFILT_PROC);
}

/* 8.2 With several waiters exactly one is told: EV_ONESHOT (2.7). */
TEST(one_of_several_waiters, "8.2 2.7")
{
    enum { WAITERS = 4 };
    int kq = queue(), told = 0;
    struct thread threads[WAITERS];
    struct puppet child;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    for (int i = 0; i < WAITERS; i++)
        start(&threads[i], try_to_collect, &kq);
    for (int i = 0; i < WAITERS; i++)
        until_asleep(&threads[i]);
    exits(&child, 1);
    for (int i = 0; i < WAITERS - 1; i++)
        change(kq, i, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0);
    for (int i = 0; i < WAITERS; i++)
        told += join(&threads[i]) != NULL;
    CHECK_EQ(told, 1);
    nothing(kq);
}

/* 8.2 10.5 A kqueue with an exit polls readable: by poll, by select, in a kqueue; afterwards it does not. */
TEST(exit_makes_the_kqueue_readable, "8.2 10.5")
{
    int kq = queue(), outer = queue();
    struct puppet child;
    fd_set set;
    struct timeval at_once = {0, 0};
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(outer, kq, EVFILT_READ, EV_ADD, 0, 0, 2);
    CHECK(!readable(kq));
    nothing(outer);
    order(&child, EXIT, 3);
    struct pollfd one = {kq, POLLIN, 0};
    CHECK_EQ(OK(poll(&one, 1, 5000 * patience())), 1);
    CHECK_EQ(one.revents & POLLIN, POLLIN);
    FD_ZERO(&set);
    FD_SET(kq, &set);
    CHECK_EQ(OK(select(kq + 1, &set, NULL, NULL, &at_once)), 1);
    EXPECT_NEXT_ANY(outer, kq, EVFILT_READ, EV_ADD, 0, 1, 2, DATA_AT_LEAST);
    EXPECT_EXIT(kq, child.pid, CODE(3), 1);
    nothing(kq);
    CHECK(!readable(kq));
    nothing(outer);
    sleeps(kq);
    sleeps(outer);
    CHECK_EQ(reap(child.pid), CODE(3));
    CHECK(!readable(kq));
    sleeps(kq);
}

/* 8.2 Every kqueue that watches the process is told, once. */
TEST(several_kqueues, "8.2 1.11")
{
    enum { QUEUES = 5 };
    int kqs[QUEUES];
    struct puppet child;
    give_birth(&child);
    for (int i = 0; i < QUEUES; i++) {
        kqs[i] = queue();
        change(kqs[i], child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, i);
    }
    OK(close(kqs[0]));
    change(kqs[1], child.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    exits(&child, 11);
    nothing(kqs[1]);
    for (int i = 2; i < QUEUES; i++) {
        EXPECT_EXIT(kqs[i], child.pid, CODE(11), i);
        nothing(kqs[i]);
        no_knote(kqs[i], child.pid);
    }
    CHECK_EQ(reap(child.pid), CODE(11));
}

#ifdef __linux__
/* 8.2 A process whose first thread has ended lives until the last one does. */
TEST(first_thread_ends_first, "8.2")
{
    for (int last = EXIT; last <= EXIT_THREAD; last++) {
        int kq = queue();
        struct puppet child;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        tell(&child, LEAVE, 0);
        something_comes(kq);
        CHECK(!readable(kq));
        sleeps(kq);
        order(&child, (enum order)last, 9);
        until_zombie(child.pid);
        struct kevent ev;
        wait_event(kq, &ev);
        int status = reap(child.pid);
        if (last == EXIT)
            CHECK_EQ(status, CODE(9));
        EXPECT_EVENT(ev, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT, status, 1);
        nothing(kq);
    }
}

/* 8.1 Nor does it report at EV_ADD when only its first thread has ended: it is no zombie yet. */
TEST(first_thread_ended_before_add, "8.1 8.2")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    tell(&child, LEAVE, 0);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    something_comes(kq);
    order(&child, EXIT, 10);
    EXPECT_EXIT(kq, child.pid, CODE(10), 1);
    CHECK_EQ(reap(child.pid), CODE(10));
}

/* 8.2 A thread that execs takes the process over: that is not its end, also when the first thread was gone. */
TEST(exec_by_another_thread_is_no_exit, "8.2")
{
    for (int left = 0; left < 2; left++) {
        int kq = queue();
        struct puppet child;
        give_birth(&child);
        if (left)
            tell(&child, LEAVE, 0);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        tell(&child, left ? EXEC : EXEC_IN_THREAD, 0);
        something_comes(kq);
        CHECK(!readable(kq));
        sleeps(kq);
        order(&child, EXIT, 12);
        EXPECT_EXIT(kq, child.pid, CODE(12), 1);
        nothing(kq);
        CHECK_EQ(reap(child.pid), CODE(12));
    }
}

/* 8.2 7.5 A program that blocks SIGCHLD later, or had it blocked, hears of its children, and the signal is its own. */
TEST(sigchld_is_blocked, "8.2 7.5")
{
    for (int later = 0; later < 2; later++) {
        int kq = queue();
        struct puppet child;
        sigset_t set, pending;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        OK(sigprocmask(later ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL));
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        OK(sigprocmask(SIG_BLOCK, &set, NULL));
        order(&child, EXIT, 5);
        EXPECT_EXIT(kq, child.pid, CODE(5), 1);
        CHECK_EQ(reap(child.pid), CODE(5));
        OK(sigpending(&pending));
        CHECK(sigismember(&pending, SIGCHLD));
        CHECK_EQ(sigwaitinfo(&set, NULL), SIGCHLD);
        nothing(kq);
    }
}

/* 8.2 The end of a thread is not the end of its process. */
TEST(thread_end_is_no_exit, "8.2")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(kq, getpid(), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    tell(&child, THREAD, 0);
    struct thread thread;
    int other = queue();
    change(other, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    start(&thread, try_to_collect, &other);
    join(&thread);
    something_comes(kq);
}
#endif

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROC: processes and surroundings out of the ordinary (8.1 to 8.5). */
#define SUITE "proc"
#include "suite.h"

#if defined(EVFILT_PROC) && defined(__linux__)

#include "procs.h"

#include "mounts.h"


#define NOTES (NOTE_EXIT | EXITSTATUS)

/* A child whose end sends no SIGCHLD: waitpid finds it only with __WALL. It ends when `fd` does. */
static pid_t silent_child(int fd, int other_end)
{
    pid_t pid = (pid_t)OK(syscall(SYS_clone, 0, 0, 0, 0, 0));
    if (pid == 0) {
        char byte;
        close(other_end);
        _exit(read(fd, &byte, 1) == 0 ? 19 : 1);
    }
    OK(close(fd));
    return pid;
}

static int reap_silent(pid_t pid)
{
    int status;
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    return status;
}

/* 8.2 A child that was made with clone and without SIGCHLD ends as any child. */
TEST(clone_without_sigchld, "8.2 8.3")
{
    int kq = queue(), fds[2];
    siginfo_t info;
    pipe_pair(fds);
    pid_t pid = silent_child(fds[0], fds[1]);
    change(kq, pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    something_comes(kq);
    OK(close(fds[1]));
    OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | __WALL));
    EXPECT_NEXT(kq, pid, EVFILT_PROC, ENDED, NOTES, CODE(19), 1);
    CHECK_EQ(reap_silent(pid), CODE(19));
    nothing(kq);
}

/* 8.4 Reaped before kevent looks, too. */
TEST(clone_without_sigchld_reaped, "8.4")
{
    int kq = queue(), fds[2];
    struct kevent ev;
    pipe_pair(fds);
    pid_t pid = silent_child(fds[0], fds[1]);
    change(kq, pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    OK(close(fds[1]));
    CHECK_EQ(reap_silent(pid), CODE(19));
    wait_event(kq, &ev);
    EXPECT_REAPED(ev, pid, CODE(19), 1);
    nothing(kq);
}

/* 8.5 It is a fork, and is tracked. */
TEST(clone_without_sigchld_is_a_fork, "8.5")
{
    int kq = queue(), fds[2];
    struct kevent ev[2];
    pipe_pair(fds);
    watch_notes(kq, getpid(), EV_ADD, NOTE_FORK | NOTE_TRACK | NOTE_EXIT, 1);
    pid_t pid = silent_child(fds[0], fds[1]);
    for (int n = 0; n < 2;)
        n += collect(kq, ev + n, 2 - n);
    EXPECT_EVENT(*find_event(ev, 2, getpid(), EVFILT_PROC), getpid(), EVFILT_PROC, LIVES, NOTE_FORK, 0, 1);
    EXPECT_EVENT(*find_event(ev, 2, pid, EVFILT_PROC), pid, EVFILT_PROC, LIVES, NOTE_CHILD, getpid(), 1);
    OK(close(fds[1]));
    EXPECT_EXIT(kq, pid, CODE(19), 1);
    reap_silent(pid);
}

/* 8.3 Without /proc: a child's status is told at once, a stranger's then or after its reap, and never another. */
TEST(without_proc, "8.3 8.2")
{
    int kq = queue();
    struct puppet child, grandchild;
    struct kevent ev;
    struct timespec no_wait = {0, 0};
    prepare(&grandchild);
    give_birth(&child);
    let_beget(&child, FORK, &grandchild);
    hide_proc();
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 1);
    change(kq, grandchild.pid, EVFILT_PROC, EV_ADD, NOTES, 0, 2);
    order(&grandchild, EXIT, 4);
    tell(&child, WATCH, grandchild.pid);
    int n = OK(kevent(kq, NULL, 0, &ev, 1, &no_wait));
    CHECK_EQ(tell(&child, REAP, grandchild.pid), CODE(4));
    if (n == 0)
        wait_event(kq, &ev);
    EXPECT_TRUE_OR_UNKNOWN(ev, grandchild.pid, CODE(4), 2);
    if (n == 0 && reaped_status_is_told())
        EXPECT_EVENT(ev, grandchild.pid, EVFILT_PROC, ENDED, NOTES, CODE(4), 2);
    exits(&child, 5);
    EXPECT_NEXT(kq, child.pid, EVFILT_PROC, ENDED, NOTES, CODE(5), 1);
    nothing(kq);
}

/* 8.5 Elsewhere than where the system tells of forks they are refused, or told: never of strangers, never silent. */
static void notes_in_namespace(int namespace)
{
    struct puppet child;
    if (unshare(namespace) == -1 && unshare(CLONE_NEWUSER | namespace) == -1)
        SKIP("no namespaces for this user");
    pid_t first = OK(fork());
    if (first == 0) {
        int kq = queue();
        give_birth(&child);
        int error = change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_FORK | NOTE_EXIT, 0, 1);
        if (error == 0) {
            tell(&child, BRIEF, 1);
            gather(kq, child.pid, NOTE_FORK, LIVES, UDATA(1));
        } else {
            CHECK(error == EOPNOTSUPP || error == EPERM);
            no_knote(kq, child.pid);
            change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
            /* A refused change of one that is watched changes nothing. */
            CHECK_EQ(change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_FORK | NOTE_EXIT, 0, 1), error);
            CHECK_EQ(change_errno(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_TRACK | NOTE_EXIT, 0, 1), error);
            CHECK_EQ(change_errno(kq, child.pid, EVFILT_PROC, EV_ENABLE, NOTE_EXEC, 0, 1), error);
        }
        order(&child, EXIT, 6);
        EXPECT_EXIT(kq, child.pid, CODE(6), 1);
        _exit(0);
    }
    child_succeeds(first);
}

TEST(notes_in_a_pid_namespace, "8.5")
{
    notes_in_namespace(CLONE_NEWPID);
}

TEST(notes_in_a_net_namespace, "8.5")
{
    notes_in_namespace(CLONE_NEWNET);
}

TEST(notes_in_a_user_namespace, "8.5")
{
    notes_in_namespace(CLONE_NEWUSER);
}

/* 8.1 A process that ends while it is added: the exit is reported, unless it was gone already. */
TEST_LIMIT(ends_while_it_is_added, "8.1 8.4", 30)
{
    for (int ignored = 0; ignored < 2; ignored++) {
        int kq = queue(), added = 0;
        if (ignored)
            signal(SIGCHLD, SIG_IGN);
        for (int i = 0; i < 300; i++) {
            struct kevent ev;
            pid_t pid = OK(fork());
            if (pid == 0)
                _exit(i % 256);
            int error = change_errno(kq, pid, EVFILT_PROC, EV_ADD, NOTES, 0, i);
            if (error) {
                CHECK_EQ(error, ESRCH);
                CHECK(ignored);
                nothing(kq);
                continue;
            }
            added++;
            wait_event(kq, &ev);
            if (ignored)
                EXPECT_REAPED(ev, pid, CODE(i % 256), i);
            else
                EXPECT_EVENT(ev, pid, EVFILT_PROC, ENDED, NOTES, CODE(i % 256), i);
            no_knote(kq, pid);
            if (!ignored)
                CHECK_EQ(reap(pid), CODE(i % 256));
        }
        CHECK(ignored || added == 300);
        sleeps(kq);
    }
}

/* 8.2 Watching leaves no mark: on the process, which nobody traces, or on us: no thread, no handler, no signal. */
TEST(no_mark_is_left, "8.2 8.4")
{
    int kq = queue(), tracer = -1;
    char path[64], line[256];
    struct puppet child;
    struct sigaction before, after;
    sigset_t pending;
    give_birth(&child);
    OK(sigaction(SIGCHLD, NULL, &before));
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    something_comes(kq);
    snprintf(path, sizeof path, "/proc/%d/status", (int)child.pid);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file))
        sscanf(line, "TracerPid: %d", &tracer);
    fclose(file);
    CHECK_EQ(tracer, 0);
    CHECK_LE(thread_count(), 1);
    OK(sigaction(SIGCHLD, NULL, &after));
    CHECK(before.sa_handler == after.sa_handler);
    CHECK_EQ(before.sa_flags, after.sa_flags);
    exits(&child, 1);
    EXPECT_EXIT(kq, child.pid, CODE(1), 1);
    OK(sigpending(&pending));
    for (int signo = 1; signo < 32; signo++)
        CHECK_EQ(sigismember(&pending, signo), 0);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_SIGNAL and other processes: children, and programs that are started.
 */
#define SUITE "signal"
#include "suite.h"

#include "signals.h"

#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

extern char **environ;

/* A program that says that it is there and then waits for a signal to end it. */
static char *const waiting_program[] = {"sh", "-c", "echo; exec sleep 1000", NULL};

/* It dies of SIGTERM, as a program does that found the mask and the dispositions of this process. */
static void dies_of_sigterm(pid_t child, int out)
{
    int status;
    take(out, 1);
    OK(kill(child, SIGTERM));
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
}

static int watched_queue(void)
{
    int kq = queue();
    watch(kq, SIGTERM);
    send(SIGTERM);
    EXPECT_SIGNAL(kq, SIGTERM, 1);
    return kq;
}

/* 7.5 A program started by fork and exec from a process that watches SIGTERM dies of SIGTERM. */
TEST(forked_program_dies, "7.5")
{
    int fds[2], kq = watched_queue();
    pipe_pair(fds);
    pid_t child = OK(fork());
    if (child == 0) {
        OK(dup2(fds[1], 1));
        execvp("sh", waiting_program);
        _exit(127);
    }
    dies_of_sigterm(child, fds[0]);
    nothing(kq);
}

/* 7.5 So does a child that does not exec. */
TEST(forked_child_dies, "7.5 10.3")
{
    int fds[2], kq = watched_queue();
    pipe_pair(fds);
    pid_t child = OK(fork());
    if (child == 0) {
        put(fds[1], 1);
        for (;;)
            pause();
    }
    dies_of_sigterm(child, fds[0]);
    nothing(kq);
}

static pid_t spawn(char *const program[], int out)
{
    pid_t child;
    posix_spawn_file_actions_t actions;
    OK0(posix_spawn_file_actions_init(&actions));
    OK0(posix_spawn_file_actions_adddup2(&actions, out, 1));
    OK0(posix_spawnp(&child, program[0], &actions, NULL, program, environ));
    OK0(posix_spawn_file_actions_destroy(&actions));
    return child;
}

/* 7.5 One started by posix_spawn. */
TEST(spawned_program_dies, "7.5")
{
    int fds[2], kq = watched_queue();
    pipe_pair(fds);
    dies_of_sigterm(spawn(waiting_program, fds[1]), fds[0]);
    nothing(kq);
}

/* 7.5 One started by vfork and exec. */
TEST(vforked_program_dies, "7.5")
{
    int fds[2], kq = watched_queue();
    pipe_pair(fds);
    pid_t child = vfork();
    if (child == 0) {
        dup2(fds[1], 1);
        execvp("sh", waiting_program);
        _exit(127);
    }
    OK(child);
    dies_of_sigterm(child, fds[0]);
    nothing(kq);
}

/* 7.5 And by system() and popen(): the shell kills itself. */
TEST(shell_dies, "7.5")
{
    int kq = watched_queue();
    int status = OK(system("kill -TERM $$; exit 1"));
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
    FILE *program = popen("kill -TERM $$; exit 1", "r");
    CHECK(program != NULL);
    status = OK(pclose(program));
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
    nothing(kq);
}

/* 7.5 A child of vfork that gets the signal before it execs dies of it; the parent's queue hears nothing. */
TEST(vforked_child_dies, "7.5 10.3")
{
    int status, kq = watched_queue();
    pid_t child = vfork();
    if (child == 0) {
        kill(getpid(), SIGTERM);
        _exit(1);
    }
    CHECK_EQ(waitpid(child, &status, 0), OK(child));
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
    nothing(kq);
    send(SIGTERM);
    EXPECT_SIGNAL(kq, SIGTERM, 1);
}

/* 7.5 The mask that a started program finds is the one that the program set: watched signals are not in it. */
TEST(started_program_finds_the_mask, "7.5")
{
#ifdef __linux__
    int kq = watched_queue();
    mask(SIG_BLOCK, SIGHUP);
    watch(kq, SIGUSR1);
    sleeps(kq);
    char *const program[] = {"sed", "-n", "s/^SigBlk:[[:space:]]*//p", "/proc/self/status", NULL};
    int fds[2];
    pipe_pair(fds);
    child_succeeds(spawn(program, fds[1]));
    char line[17] = "";
    CHECK_EQ(read(fds[0], line, 16), 16);
    CHECK_EQ(strtoull(line, NULL, 16), 1ull << (SIGHUP - 1));
#else
    SKIP("no /proc/self/status");
#endif
}

/* 7.5 What the program ignores is ignored by a program that it forks and execs, watched or not. */
TEST(ignored_lives_on_across_exec, "7.5")
{
    int kq = queue();
    set_handler(SIGHUP, SIG_IGN, 0);
    watch(kq, SIGHUP);
    pid_t child = OK(fork());
    if (child == 0) {
        execlp("sh", "sh", "-c", "kill -HUP $$; exit 0", (char *)NULL);
        _exit(127);
    }
    child_succeeds(child);
    nothing(kq);
}

/* 10.3 A child of fork watches nothing: its signals are its own affair, and so is its queue. */
TEST(forked_child_starts_anew, "10.3 7.5 7.1")
{
    int kq = queue();
    set_handler(SIGUSR1, count_signal, 0);
    watch(kq, SIGUSR1);
    send(SIGUSR1);
    pid_t child = OK(fork());
    if (child == 0) {
        CHECK(handler_of(SIGUSR1) == count_signal);
        mask_is(0);
        send(SIGUSR1);
        CHECK_EQ(handled, 2);
        int own = queue();
        watch(own, SIGUSR1);
        nothing(own);
        send(SIGUSR1);
        EXPECT_SIGNAL(own, SIGUSR1, 1);
        CHECK_EQ(handled, 3);
        _exit(0);
    }
    child_succeeds(child);
    CHECK_EQ(handled, 1);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    nothing(kq);
}

/* 7.1 Signals of another process's are counted; their sender is what the handler is told. */
static volatile pid_t sender;

static void remember_sender(int signo, siginfo_t *info, void *context)
{
    (void)context;
    count_signal(signo);
    sender = info->si_pid;
}

TEST(sent_by_another_process, "7.1 7.2")
{
    int kq = queue();
    struct sigaction action = {.sa_sigaction = remember_sender, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    OK(sigaction(SIGUSR1, &action, NULL));
    watch(kq, SIGUSR1);
    pid_t child = OK(fork());
    if (child == 0) {
        OK(kill(getppid(), SIGUSR1));
        _exit(0);
    }
    child_succeeds(child);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    CHECK_EQ(handled, 1);
    CHECK_EQ(sender, child);
}

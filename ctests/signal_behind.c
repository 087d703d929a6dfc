/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_SIGNAL where the program's sigaction() goes round the library, as it does where only another library of
 * the program's is linked with it.
 */
#define SUITE "signal"
#include "suite.h"

#include "signals.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/wait.h>

static int (*libc_sigaction)(int, const struct sigaction *, struct sigaction *);

/* As another library's sigaction() does. */
static struct sigaction install_behind(int signo, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler}, old;
    sigemptyset(&action.sa_mask);
    OK(libc_sigaction(signo, &action, &old));
    return old;
}

/* A kevent() that waits, and to which nothing comes. */
static void wait_a_little(int kq)
{
    struct kevent ev;
    struct timespec timeout = duration(MILLISECOND);
    CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &timeout), 0);
}

static void *collect_one(void *argument)
{
    struct kevent ev;
    CHECK_EQ(kevent(*(int *)argument, NULL, 0, &ev, 1, NULL), 1);
    EXPECT_EVENT(ev, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0xfeed);
    return NULL;
}

/* A handler that replaced the library's. */
HELPER(handler_behind)
{
    struct sigaction now, mine;
    int kq = queue(), round = atoi(argument);
    libc_sigaction = (int (*)(int, const struct sigaction *, struct sigaction *))
        dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "sigaction");
    watch(kq, SIGUSR1);
    switch (round) {
    case 0: /* runs, and the signal is recorded, once */
        install_behind(SIGUSR1, count_signal);
        wait_a_little(kq);
        send(SIGUSR1);
        CHECK_EQ(handled, 1);
        EXPECT_SIGNAL(kq, SIGUSR1, 1);
        nothing(kq);
        unwatch(kq, SIGUSR1);
        OK(libc_sigaction(SIGUSR1, NULL, &now));
        CHECK(now.sa_handler == count_signal);
        break;
    case 1: /* the same of SIG_IGN, and the wait is not interrupted */
    {
        struct thread thread;
        install_behind(SIGUSR1, SIG_IGN);
        start(&thread, collect_one, &kq);
        until_asleep(&thread);
        OK0(pthread_kill(thread.id, SIGUSR1));
        join(&thread);
        unwatch(kq, SIGUSR1);
        OK(libc_sigaction(SIGUSR1, NULL, &now));
        CHECK(now.sa_handler == SIG_IGN);
        break;
    }
    case 2: /* what was there before is put back, while it is watched and after it was */
        mine = install_behind(SIGUSR1, count_signal);
        wait_a_little(kq);
        OK(libc_sigaction(SIGUSR1, &mine, NULL));
        wait_a_little(kq);
        send(SIGUSR1);
        CHECK_EQ(handled, 0);
        EXPECT_SIGNAL(kq, SIGUSR1, 1);
        install_behind(SIGUSR1, count_signal);
        wait_a_little(kq);
        unwatch(kq, SIGUSR1);
        OK(libc_sigaction(SIGUSR1, &mine, NULL));
        signal(SIGTERM, SIG_DFL);
        send(SIGUSR1); /* the default, as before all */
        FAIL("the signal did not kill");
    case 3: /* two queues: the one that does not watch leaves it alone */
    {
        int other = queue();
        install_behind(SIGUSR1, count_signal);
        wait_a_little(other);
        OK(libc_sigaction(SIGUSR1, NULL, &now));
        CHECK(now.sa_handler == count_signal);
        break;
    }
    }
    return 0;
}

static int run_behind(const char *round)
{
    int status;
    pid_t pid;
    if (dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD) == NULL)
        SKIP("libc's own sigaction() cannot be found");
    pid = OK(fork());
    if (pid == 0) {
        OK(setenv("KQUEUE_VERIFY", "1", 1));
        exec_helper("handler_behind", round);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

/* 7.2 A handler that was installed round the library is chained by the next kevent() that waits. */
TEST(handler_behind, "7.2 7.5")
{
    CHECK_EQ(run_behind("0"), 0);
}

TEST(ignored_behind, "7.2 7.5")
{
    CHECK_EQ(run_behind("1"), 0);
}

TEST(restored_behind, "7.5")
{
    int status = run_behind("2");
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGUSR1);
}

TEST(behind_and_not_watched_here, "7.2")
{
    CHECK_EQ(run_behind("3"), 0);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_SIGNAL beside the program's own handlers and dispositions.
 */
#define SUITE "signal"
#include "suite.h"

#include "signals.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <sys/wait.h>

static const struct timespec no_wait = {0, 0};

/* ---- The handler runs --------------------------------------------------------------------------- */

static int handler_queue;
static struct kevent seen;
static int seen_count, seen_readable;

static void collect_in_handler(int signo)
{
    count_signal(signo);
    seen_readable = readable(handler_queue);
    seen_count = kevent(handler_queue, NULL, 0, &seen, 1, &no_wait);
}

/* 7.2 The handler runs before a kill() to oneself returns, after the event was recorded, and may collect it. */
TEST(handler_collects_the_event, "7.2")
{
    int kq = handler_queue = queue();
    set_handler(SIGUSR1, collect_in_handler, 0);
    watch(kq, SIGUSR1);
    for (int count = 1; count <= 3; count++) {
        send(SIGUSR1);
        CHECK_EQ(handled, count);
        CHECK(seen_readable);
        CHECK_EQ(seen_count, 1);
        EXPECT_EVENT(seen, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0xfeed);
        nothing(kq);
    }
}

static void add_in_handler(int signo)
{
    count_signal(signo);
    struct kevent changes[2] = {EVENT(signo, EVFILT_SIGNAL, EV_DELETE, 0, 0, 0),
                                EVENT(SIGUSR2, EVFILT_SIGNAL, EV_ADD, 0, 0, 0xfeed)};
    seen_count = kevent(handler_queue, changes, 2, NULL, 0, NULL);
}

/* 7.2 It may delete the event of its signal and add another. */
TEST(handler_changes_the_queue, "7.2 2.6")
{
    int kq = handler_queue = queue();
    set_handler(SIGUSR1, add_in_handler, 0);
    watch(kq, SIGUSR1);
    send(SIGUSR1);
    CHECK_EQ(handled, 1);
    CHECK_EQ(seen_count, 0);
    CHECK(handler_of(SIGUSR1) == add_in_handler);
    send(SIGUSR2);
    EXPECT_SIGNAL(kq, SIGUSR2, 1);
    nothing(kq);
}

/* 7.2 A handler installed after EV_ADD runs too, and its predecessor is what the program had installed. */
TEST(handler_installed_later, "7.2 7.1")
{
    int kq = queue();
    watch(kq, SIGUSR1);
    send(SIGUSR1);
    CHECK(signal(SIGUSR1, count_signal) == SIG_DFL);
    send(SIGUSR1);
    CHECK_EQ(handled, 1);
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    OK(sigaction(SIGUSR1, &ignore, &old));
    CHECK(old.sa_handler == count_signal);
    send(SIGUSR1);
    CHECK(signal(SIGUSR1, count_signal) == SIG_IGN);
    send(SIGUSR1);
    CHECK_EQ(handled, 2);
    EXPECT_SIGNAL(kq, SIGUSR1, 4);
    CHECK(handler_of(SIGUSR1) == count_signal);
}

/* 7.5 What sigaction tells while the signal is watched is what the program set: handler, flags, mask. */
TEST(sigaction_tells_the_programs_own, "7.5 7.2")
{
    int kq = queue();
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_NODEFER | SA_RESTART}, was, is;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGHUP);
    OK(sigaction(SIGUSR1, &action, NULL));
    OK(sigaction(SIGUSR1, NULL, &was));
    watch(kq, SIGUSR1);
    for (int round = 0; round < 3; round++) {
        OK(sigaction(SIGUSR1, NULL, &is));
        CHECK(is.sa_handler == was.sa_handler);
        CHECK_EQ(is.sa_flags, was.sa_flags);
        for (int signo = 1; signo < NSIG; signo++)
            CHECK_EQ(sigismember(&is.sa_mask, signo), sigismember(&was.sa_mask, signo));
        if (round == 0)
            OK(sigaction(SIGUSR1, &is, NULL));
        if (round == 1)
            unwatch(kq, SIGUSR1);
    }
}

/* ---- What it was promised ----------------------------------------------------------------------- */

static siginfo_t seen_info;
static sigset_t seen_mask;
static void *seen_context, *seen_stack;

static void remember(int signo, siginfo_t *info, void *context)
{
    count_signal(signo);
    seen_info = *info;
    seen_context = context;
    seen_stack = &signo;
    pthread_sigmask(SIG_BLOCK, NULL, &seen_mask);
}

static void set_remember(int signo, int flags, int also_blocked)
{
    struct sigaction action = {.sa_sigaction = remember, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    if (also_blocked)
        sigaddset(&action.sa_mask, also_blocked);
    OK(sigaction(signo, &action, NULL));
}

/* 7.2 SA_SIGINFO: the sender's value, pid and code. */
TEST(siginfo_is_the_senders, "7.2")
{
    int kq = queue();
    set_remember(SIGUSR1, 0, 0);
    watch(kq, SIGUSR1);
    OK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 4711}));
    CHECK_EQ(handled, 1);
    CHECK_EQ(seen_info.si_signo, SIGUSR1);
    CHECK_EQ(seen_info.si_code, SI_QUEUE);
    CHECK_EQ(seen_info.si_value.sival_int, 4711);
    CHECK_EQ(seen_info.si_pid, getpid());
    CHECK(seen_context != NULL);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
}

/* 7.2 sa_mask and the signal itself are blocked while the handler runs; nothing else, and not afterwards. */
TEST(sa_mask_is_blocked, "7.2")
{
    int kq = queue();
    set_remember(SIGUSR1, 0, SIGHUP);
    watch(kq, SIGUSR1);
    send(SIGUSR1);
    for (int signo = 1; signo < NSIG; signo++)
        CHECK_EQ(sigismember(&seen_mask, signo) == 1, signo == SIGUSR1 || signo == SIGHUP);
    mask_is(0);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
}

/* 7.2 SA_NODEFER: the signal itself is not. */
TEST(sa_nodefer, "7.2")
{
    int kq = queue();
    set_remember(SIGUSR1, SA_NODEFER, 0);
    watch(kq, SIGUSR1);
    send(SIGUSR1);
    CHECK_EQ(handled, 1);
    CHECK_EQ(sigismember(&seen_mask, SIGUSR1), 0);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
}

/* 7.2 SA_ONSTACK: the handler runs on the alternate stack. */
TEST(sa_onstack, "7.2")
{
    enum { SIZE = 64 * 1024 };
    static char stack[SIZE];
    stack_t alternate = {.ss_sp = stack, .ss_size = SIZE};
    OK(sigaltstack(&alternate, NULL));
    int kq = queue();
    set_remember(SIGUSR1, SA_ONSTACK, 0);
    watch(kq, SIGUSR1);
    send(SIGUSR1);
    CHECK((char *)seen_stack > stack && (char *)seen_stack < stack + SIZE);
    set_remember(SIGUSR1, 0, 0);
    send(SIGUSR1);
    CHECK(!((char *)seen_stack > stack && (char *)seen_stack < stack + SIZE));
    EXPECT_SIGNAL(kq, SIGUSR1, 2);
}

/* 7.2 SA_RESETHAND: the handler runs once; the signal goes on being recorded. */
TEST(sa_resethand, "7.2")
{
    int kq = queue();
    set_handler(SIGUSR1, count_signal, SA_RESETHAND);
    watch(kq, SIGUSR1);
    CHECK(handler_of(SIGUSR1) == count_signal);
    send(SIGUSR1);
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
    send(SIGUSR1);
    CHECK_EQ(handled, 1);
    EXPECT_SIGNAL(kq, SIGUSR1, 2);
    unwatch(kq, SIGUSR1);
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
}

struct reader {
    int fd;
    ssize_t result;
    int error;
    atomic_int done, release;
};

static void *read_one(void *argument)
{
    struct reader *reader = argument;
    char byte;
    reader->result = read(reader->fd, &byte, 1);
    reader->error = errno;
    reader->done = 1;
    /* A thread that has ended gets no signal. */
    while (!reader->release)
        usleep(1000);
    return NULL;
}

/* A signal, or more, comes to a thread that reads from an empty pipe; then a byte does. What read() said. */
static int read_with_signals(int kq)
{
    int fds[2];
    struct reader reader = {.done = 0};
    struct thread thread;
    watch(kq, SIGUSR1);
    pipe_pair(fds);
    reader.fd = fds[0];
    start(&thread, read_one, &reader);
    for (int i = 0; i < 10 && !reader.done; i++) {
        until_asleep(&thread);
        OK0(pthread_kill(thread.id, SIGUSR1));
        EXPECT_SIGNAL(kq, SIGUSR1, 1);
    }
    put(fds[1], 1);
    reader.release = 1;
    join(&thread);
    if (reader.result == -1)
        return reader.error;
    CHECK_EQ(reader.result, 1);
    return 0;
}

/* 7.2 SA_RESTART: read() goes on after the handler. Without the flag it is EINTR. */
TEST(sa_restart, "7.2")
{
    int kq = queue();
    set_handler(SIGUSR1, count_signal, SA_RESTART);
    CHECK_EQ(read_with_signals(kq), 0);
    CHECK_EQ(handled, 10);
    set_handler(SIGUSR1, count_signal, 0);
    CHECK_EQ(read_with_signals(kq), EINTR);
    CHECK_GE(handled, 11);
}

/* 7.2 It goes on after a signal that is only recorded, too. */
TEST(recorded_restarts, "7.2")
{
    int kq = queue();
    CHECK_EQ(read_with_signals(kq), 0);
    set_handler(SIGUSR1, SIG_IGN, 0);
    CHECK_EQ(read_with_signals(kq), 0);
}

static sigjmp_buf target;

static void leave(int signo)
{
    count_signal(signo);
    siglongjmp(target, 1);
}

/* 7.2 A handler may leave by siglongjmp; the next signal finds everything in order. */
TEST(handler_jumps_out, "7.2")
{
    int kq = queue();
    set_handler(SIGUSR1, leave, 0);
    watch(kq, SIGUSR1);
    for (volatile int count = 1; count <= 3; count++) {
        if (sigsetjmp(target, 1) == 0) {
            send(SIGUSR1);
            FAIL("the handler did not jump");
        }
        CHECK_EQ(handled, count);
        mask_is(0);
    }
    EXPECT_SIGNAL(kq, SIGUSR1, 3);
}

static void spoil_errno(int signo)
{
    count_signal(signo);
    errno = EDOM;
}

/* 7.2 A recorded signal leaves errno alone; a handler's own is the handler's affair. */
TEST(errno_survives, "7.2")
{
    int kq = queue();
    watch(kq, SIGUSR1);
    errno = ENOTTY;
    raise(SIGUSR1);
    CHECK_EQ(errno, ENOTTY);
    set_handler(SIGUSR1, spoil_errno, 0);
    raise(SIGUSR1);
    CHECK_EQ(errno, EDOM);
    EXPECT_SIGNAL(kq, SIGUSR1, 2);
}

/* ---- Dispositions ------------------------------------------------------------------------------- */

static int died_of(pid_t child)
{
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* 7.5 After the last EV_DELETE, or close, the default action happens again. */
TEST(default_action_comes_back, "7.5")
{
    for (int by_close = 0; by_close < 2; by_close++) {
        pid_t child = OK(fork());
        if (child == 0) {
            int kq = queue(), other = queue();
            watch(kq, SIGTERM);
            watch(other, SIGTERM);
            unwatch(kq, SIGTERM);
            send(SIGTERM);
            EXPECT_SIGNAL(other, SIGTERM, 1);
            if (by_close)
                OK(close(other));
            else
                unwatch(other, SIGTERM);
            send(SIGTERM);
            _exit(1);
        }
        CHECK_EQ(died_of(child), SIGTERM);
    }
}

/* 7.5 What the program installs while the signal is watched stays. */
TEST(installed_meanwhile_stays, "7.5")
{
    int kq = queue();
    set_handler(SIGUSR1, SIG_IGN, 0);
    watch(kq, SIGUSR1);
    set_handler(SIGUSR1, count_signal, SA_RESTART);
    unwatch(kq, SIGUSR1);
    CHECK(handler_of(SIGUSR1) == count_signal);
    send(SIGUSR1);
    CHECK_EQ(handled, 1);
    watch(kq, SIGUSR1);
    set_handler(SIGUSR1, SIG_IGN, 0);
    OK(close(kq));
    CHECK(handler_of(SIGUSR1) == SIG_IGN);
    send(SIGUSR1);
}

/* 7.5 The mask is the program's at every point, and what it blocks meanwhile stays blocked. */
TEST(mask_is_the_programs, "7.5")
{
    int kq = queue();
    mask(SIG_BLOCK, SIGHUP);
    watch(kq, SIGUSR1);
    mask_is(SIGHUP);
    send(SIGUSR1);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    mask_is(SIGHUP);
    sleeps(kq);
    mask_is(SIGHUP);
    mask(SIG_UNBLOCK, SIGHUP);
    mask(SIG_BLOCK, SIGUSR1);
    nothing(kq);
    mask_is(SIGUSR1);
    unwatch(kq, SIGUSR1);
    mask_is(SIGUSR1);
    OK(close(kq));
    mask_is(SIGUSR1);
}

/* 7.2 SIGTSTP and its kin by default stop the process, also while they are watched; the event is recorded. */
TEST(stopping_signals_stop, "7.2")
{
    static const int numbers[] = {SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < 3; i++) {
        pid_t child = OK(fork());
        int status;
        if (child == 0) {
            int kq = queue();
            watch(kq, numbers[i]);
            for (int count = 0; count < 2; count++) {
                send(numbers[i]);
                EXPECT_SIGNAL(kq, numbers[i], 1);
            }
            _exit(0);
        }
        for (int count = 0; count < 2; count++) {
            CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
            CHECK(WIFSTOPPED(status));
            CHECK_EQ(WSTOPSIG(status), numbers[i]);
            OK(kill(child, SIGCONT));
        }
        child_succeeds(child);
    }
}

/* 7.2 Also while the process sleeps in kevent() on a queue that does not report it: disabled, or another's. */
TEST(stopping_signals_stop_a_wait, "7.2 2.5")
{
    for (int i = 0; i < 2; i++) {
        pid_t child = OK(fork());
        int status;
        if (child == 0) {
            struct kevent ev;
            int kq = queue(), other = queue();
            set_handler(SIGUSR2, count_signal, 0);
            if (i == 0)
                change(kq, SIGTSTP, EVFILT_SIGNAL, EV_ADD | EV_DISABLE, 0, 0, 0xfeed);
            else
                watch(other, SIGTSTP);
            /* Where the system lets SIGCONT interrupt, it does. */
            while (handled == 0)
                CHECK_ERRNO(kevent(kq, NULL, 0, &ev, 1, NULL), EINTR);
            if (i == 0)
                change(kq, SIGTSTP, EVFILT_SIGNAL, EV_ENABLE, 0, 0, 0xfeed);
            EXPECT_SIGNAL(i == 0 ? kq : other, SIGTSTP, 2);
            _exit(0);
        }
        for (int count = 0; count < 2; count++) {
            until_child_asleep(child);
            OK(kill(child, SIGTSTP));
            CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
            CHECK(WIFSTOPPED(status));
            CHECK_EQ(WSTOPSIG(status), SIGTSTP);
            OK(kill(child, SIGCONT));
        }
        until_child_asleep(child);
        OK(kill(child, SIGUSR2));
        child_succeeds(child);
    }
}

/* 7.2 With a handler, or ignored, they do not. */
TEST(handled_stop_does_not_stop, "7.2")
{
    int kq = queue();
    set_handler(SIGTSTP, count_signal, 0);
    watch(kq, SIGTSTP);
    send(SIGTSTP);
    CHECK_EQ(handled, 1);
    set_handler(SIGTSTP, SIG_IGN, 0);
    send(SIGTSTP);
    EXPECT_SIGNAL(kq, SIGTSTP, 2);
}

static void reaps_by_itself(void)
{
    pid_t child = OK(fork());
    if (child == 0)
        _exit(0);
    /* Blocks until the last child is gone. */
    CHECK_ERRNO(waitpid(child, NULL, 0), ECHILD);
}

/* 7.2 With SIGCHLD ignored, or SA_NOCLDWAIT, children go on being reaped by the system. */
TEST(children_are_reaped, "7.2")
{
    int kq = queue();
    set_handler(SIGCHLD, SIG_IGN, 0);
    reaps_by_itself();
    watch(kq, SIGCHLD);
    reaps_by_itself();
    set_handler(SIGCHLD, SIG_DFL, SA_NOCLDWAIT);
    reaps_by_itself();
    set_handler(SIGCHLD, SIG_IGN, 0);
    reaps_by_itself();
    unwatch(kq, SIGCHLD);
    reaps_by_itself();
}

/* 7.1 A child's end is a SIGCHLD, and the child can be waited for. */
TEST(child_can_be_waited_for, "7.1 7.2")
{
    int kq = queue(), status;
    watch(kq, SIGCHLD);
    pid_t child = OK(fork());
    if (child == 0)
        _exit(3);
    EXPECT_SIGNAL(kq, SIGCHLD, 1);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    nothing(kq);
}

static void crash(void)
{
    *(volatile int *)8 = 1;
}

/* 7.2 A fault that is watched kills all the same: the instruction could only be run again. */
TEST(fault_kills, "7.2")
{
    for (int ignored = 0; ignored < 2; ignored++) {
        pid_t child = OK(fork());
        if (child == 0) {
            struct sigaction action = {.sa_handler = ignored ? SIG_IGN : SIG_DFL};
            OK(sigaction(SIGSEGV, &action, NULL));
            int kq = queue();
            watch(kq, SIGSEGV);
            crash();
            _exit(1);
        }
        CHECK_EQ(died_of(child), SIGSEGV);
    }
}

#ifdef EVFILT_PROC
/* 7.2 10.3 Handlers call kevent on a queue of theirs while the threads that they interrupt make and close descriptors of
 * the library's, or wait their turn to: nobody waits for ever. */
static int theirs;

static void watch_a_process(int signo)
{
    int error = errno;
    struct kevent ev[2];
    (void)signo;
    EV_SET(&ev[0], getppid(), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0);
    EV_SET(&ev[1], getppid(), EVFILT_PROC, EV_DELETE, 0, 0, 0);
    if (kevent(theirs, ev, 2, NULL, 0, NULL) == -1)
        CHECK(errno == EDEADLK || errno == ENOENT);
    errno = error;
}

static void *make_and_close(void *over)
{
    while (!__atomic_load_n((int *)over, __ATOMIC_SEQ_CST)) {
        int kq = queue();
        change(kq, getppid(), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0);
        change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
        OK(close(kq));
    }
    return NULL;
}

TEST(handlers_beside_births, "7.2")
{
    enum { THREADS = 3, SIGNALS = 6000 };
    struct sigaction action = {.sa_handler = watch_a_process, .sa_flags = SA_RESTART};
    struct thread thread[THREADS];
    int over = 0;
    theirs = queue();
    OK(sigaction(SIGUSR1, &action, NULL));
    for (int i = 0; i < THREADS; i++)
        start(&thread[i], make_and_close, &over);
    for (int i = 0; i < SIGNALS; i++) {
        OK(kill(getpid(), SIGUSR1));
        for (int k = 0; k < THREADS; k++)
            OK0(pthread_kill(thread[k].id, SIGUSR1));
    }
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < THREADS; i++)
        join(&thread[i]);
}
#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_SIGNAL in a program that has handlers of its own beside signals that are only recorded: what a wait does
 * to both, to the mask, and to programs that are started meanwhile.
 */
#define SUITE "signal"
#include "suite.h"

#include "signals.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

/* Threads that wait on one queue and add up what they are told. */
struct pool {
    int kq;
    atomic_long told[NSIG]; /* the sum of data, by signal */
    atomic_int interrupted;
};

static void *serve(void *argument)
{
    struct pool *pool = argument;
    for (;;) {
        struct kevent ev[4];
        int count = kevent(pool->kq, NULL, 0, ev, 4, NULL);
        if (count == -1) {
            CHECK_EQ(errno, EINTR);
            pool->interrupted++;
        }
        mask_is(0);
        for (int i = 0; i < count; i++) {
            if (ev[i].filter == EVFILT_USER)
                return NULL;
            EXPECT_EVENT_ANY(ev[i], 0, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0xfeed, ANY_IDENT | DATA_AT_LEAST);
            pool->told[ev[i].ident] += ev[i].data;
        }
    }
}

static void start_pool(struct pool *pool, struct thread *threads, int n)
{
    change(pool->kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
    for (int i = 0; i < n; i++)
        start(&threads[i], serve, pool);
}

static void stop_pool(struct pool *pool, struct thread *threads, int n)
{
    change(pool->kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    for (int i = 0; i < n; i++)
        join(&threads[i]);
}

/* 7.1 7.2 One queue watches both of a pair, of which one has a handler: each is told, and the handler runs. */
TEST_LIMIT(pair_of_watched, "7.1 7.2", 20)
{
    static struct pool pool;
    struct thread thread;
    pool.kq = queue();
    set_handler(SIGUSR2, count_signal, 0);
    watch(pool.kq, SIGUSR1);
    watch(pool.kq, SIGUSR2);
    start_pool(&pool, &thread, 1);
    for (int round = 1; round <= 1000; round++) {
        until_asleep(&thread);
        OK0(pthread_kill(thread.id, round % 2 ? SIGUSR2 : SIGUSR1));
        OK0(pthread_kill(thread.id, round % 2 ? SIGUSR1 : SIGUSR2));
        while (pool.told[SIGUSR1] < round || pool.told[SIGUSR2] < round)
            sched_yield();
        CHECK_EQ(handled, round);
    }
    stop_pool(&pool, &thread, 1);
    CHECK_EQ(pool.told[SIGUSR1], 1000);
    CHECK_EQ(pool.told[SIGUSR2], 1000);
}

/* 7.1 7.4 Queued real-time signals are exact, with a handler that gets every value, and several threads waiting. */
static atomic_int runs;
static atomic_long values;

static void add_value(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    values += info->si_value.sival_int;
    runs++;
}

TEST_LIMIT(queued_to_waiting_threads, "7.1 7.2 7.4", 20)
{
    enum { N = 4, ROUNDS = 500 };
    static struct pool pool;
    struct thread threads[N];
    struct sigaction action = {.sa_sigaction = add_value, .sa_flags = SA_SIGINFO};
    long sum = 0;
    pool.kq = queue();
    OK(sigaction(SIGRTMIN, &action, NULL));
    watch(pool.kq, SIGRTMIN);
    watch(pool.kq, SIGRTMIN + 1);
    watch(pool.kq, SIGUSR1);
    start_pool(&pool, threads, N);
    for (int round = 0; round < ROUNDS; round++) {
        union sigval value = {.sival_int = round};
        OK(sigqueue(getpid(), SIGRTMIN, value));
        OK(sigqueue(getpid(), SIGRTMIN + 1, value));
        if (round % 50 == 0)
            OK(kill(getpid(), SIGUSR1));
        if (round % 3 == 0)
            OK0(pthread_sigqueue(threads[round % N].id, SIGRTMIN, value));
        sum += round % 3 == 0 ? 2 * round : round;
    }
    while (pool.told[SIGRTMIN] < runs || runs < ROUNDS + (ROUNDS + 2) / 3 || pool.told[SIGRTMIN + 1] < ROUNDS)
        sched_yield();
    stop_pool(&pool, threads, N);
    CHECK_EQ(runs, ROUNDS + (ROUNDS + 2) / 3);
    CHECK_EQ(values, sum);
    CHECK_EQ(pool.told[SIGRTMIN], runs);
    CHECK_EQ(pool.told[SIGRTMIN + 1], ROUNDS);
}

/* 7.2 SA_RESETHAND: the first one runs the handler, the ones behind it are only recorded, and nothing spins. */
TEST(spent_while_waited_for, "7.2 10.5")
{
    static struct pool pool;
    struct thread thread;
    union sigval value = {0};
    pool.kq = queue();
    watch(pool.kq, SIGUSR1);
    watch(pool.kq, SIGRTMIN);
    start_pool(&pool, &thread, 1);
    for (int round = 1; round <= 50; round++) {
        set_handler(SIGRTMIN, count_signal, SA_RESETHAND);
        until_asleep(&thread);
        for (int i = 0; i < 3; i++)
            OK0(pthread_sigqueue(thread.id, SIGRTMIN, value));
        while (pool.told[SIGRTMIN] < 3 * round)
            sched_yield();
        CHECK_EQ(handled, round);
        until_asleep(&thread);
    }
    stop_pool(&pool, &thread, 1);
    CHECK_EQ(pool.told[SIGRTMIN], 150);
}

/* 7.2 A handler in the wait may change the queue that is waited on. */
static int changed_queue;

static void trigger_event(int signo)
{
    struct kevent ev = EVENT(7, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0xabc);
    count_signal(signo);
    CHECK_EQ(kevent(changed_queue, &ev, 1, NULL, 0, NULL), 0);
}

static void *wait_for_triggered(void *argument)
{
    struct kevent ev[2], add = EVENT(8, EVFILT_USER, EV_ADD, 0, 0, 0);
    int count = kevent(*(int *)argument, &add, 1, ev, 2, NULL);
    if (count == -1) {
        CHECK_EQ(errno, EINTR);
        count = kevent(*(int *)argument, NULL, 0, ev, 2, NULL);
    }
    CHECK_EQ(count, 1);
    EXPECT_EVENT(ev[0], 7, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 0xabc);
    mask_is(0);
    return NULL;
}

TEST(handler_in_a_wait_changes_the_queue, "7.2 1.9")
{
    struct thread thread;
    int other = queue();
    changed_queue = queue();
    set_handler(SIGUSR2, trigger_event, 0);
    watch(other, SIGUSR1);
    start(&thread, wait_for_triggered, &changed_queue);
    until_asleep(&thread);
    OK0(pthread_kill(thread.id, SIGUSR2));
    join(&thread);
    CHECK_EQ(handled, 1);
}

/* 7.5 A program's memory may fault in kevent(), and its handler mend that. */
static void *page;
static size_t page_size;

static void mend(int signo)
{
    count_signal(signo);
    OK(mprotect(page, page_size, PROT_READ | PROT_WRITE));
}

TEST(eventlist_faults, "7.2 7.5")
{
    struct timespec timeout = duration(5 * SECOND);
    int kq = queue();
    page_size = (size_t)sysconf(_SC_PAGESIZE);
    page = mmap(NULL, page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    set_handler(SIGSEGV, mend, 0);
    set_handler(SIGBUS, mend, 0);
    set_handler(SIGUSR2, count_signal, 0);
    watch(kq, SIGUSR1);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 9);
    CHECK_EQ(kevent(kq, NULL, 0, page, 4, &timeout), 1);
    EXPECT_EVENT(*(struct kevent *)page, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 9);
    CHECK_EQ(handled, 1);
    mask_is(0);
}

/* 7.5 A program that is started while a thread waits dies of SIGTERM, however it is started. */
TEST(started_while_waited_for, "7.5")
{
    static struct pool pool;
    struct thread thread;
    char *arguments[] = {"sh", "-c", "kill -TERM $$; sleep 60", NULL};
    int status;
    pid_t pid;
    FILE *output;
    pool.kq = queue();
    set_handler(SIGUSR2, count_signal, 0);
    watch(pool.kq, SIGTERM);
    start_pool(&pool, &thread, 1);
    until_asleep(&thread);
    OK0(posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    status = OK(system("kill -TERM $$; sleep 60"));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    output = popen("kill -TERM $$; sleep 60", "r");
    CHECK(output != NULL);
    status = OK(pclose(output));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    pid = OK(vfork());
    if (pid == 0) {
        execv("/bin/sh", arguments);
        _exit(127);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    stop_pool(&pool, &thread, 1);
    CHECK_EQ(pool.told[SIGTERM], 0);
}

#ifdef SYS_rt_sigaction

/* What the kernel has, to the last byte. */
struct installed {
    unsigned char bytes[64];
};

static struct installed installed(int signo)
{
    struct installed now;
    memset(&now, 0, sizeof now);
    OK(syscall(SYS_rt_sigaction, signo, NULL, &now, (size_t)8));
    return now;
}

/* 7.5 After the last EV_DELETE, or close, the kernel has what it had, whatever that was. */
TEST(disposition_is_put_back_whole, "7.5")
{
    static const int flags[] = {0, SA_RESTART, SA_NODEFER | SA_ONSTACK, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_RESETHAND,
                                SA_RESTART | SA_NOCLDWAIT | SA_NOCLDSTOP};
    static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, count_signal};
    static const int signals[] = {SIGUSR1, SIGCHLD, SIGTERM, SIGTSTP, SIGSEGV};
    for (int i = 0; i < (int)(sizeof flags / sizeof flags[0]) * 3 * 5; i++) {
        int signo = signals[i % 5], kq = queue(), other = queue();
        struct sigaction action = {.sa_handler = handlers[i / 5 % 3], .sa_flags = flags[i / 15]};
        struct installed before, after;
        sigemptyset(&action.sa_mask);
        sigaddset(&action.sa_mask, SIGRTMAX);
        sigaddset(&action.sa_mask, SIGHUP);
        OK(sigaction(signo, &action, NULL));
        before = installed(signo);
        watch(kq, signo);
        watch(other, signo);
        unwatch(kq, signo);
        OK(close(kq));
        after = installed(signo);
        CHECK(memcmp(&before, &after, sizeof before) != 0);
        if (i % 2)
            unwatch(other, signo);
        OK(close(other));
        after = installed(signo);
        CHECK_EQ(memcmp(&before, &after, sizeof before), 0);
    }
}

/* 7.5 7.1 A child made without fork(), which runs none of its handlers: its signals are its own. */
TEST(raw_child, "7.1 7.5")
{
    int kq = queue(), status;
    pid_t pid;
    set_handler(SIGUSR2, count_signal, 0);
    watch(kq, SIGUSR1);
    watch(kq, SIGUSR2);
#ifdef SYS_fork
    pid = (pid_t)OK(syscall(SYS_fork));
#else
    pid = (pid_t)OK(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
#endif
    if (pid == 0) {
        syscall(SYS_kill, syscall(SYS_getpid), SIGUSR2);
        if (handled != 1)
            _exit(1);
        syscall(SYS_kill, syscall(SYS_getpid), SIGUSR1);
        _exit(2);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGUSR1);
    CHECK_EQ(handled, 0);
    /* One that shares the parent's memory: so does its handler. */
    pid = OK(vfork());
    if (pid == 0) {
        syscall(SYS_kill, syscall(SYS_getpid), SIGUSR2);
        syscall(SYS_kill, syscall(SYS_getpid), SIGUSR1);
        _exit(2);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGUSR1);
    CHECK_EQ(handled, 1);
    CHECK(!readable(kq));
    nothing(kq);
}

/* 7.2 7.4 A thread that is not the main one registers what is ignored, by the program or by default. */
static void *register_one(void *argument)
{
    int *arguments = argument;
    watch(arguments[0], arguments[1]);
    return NULL;
}

TEST(ignored_and_added_by_another_thread, "7.2 7.4")
{
    static const int numbers[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGUSR1, SIGHUP};
    for (int i = 0; i < 6; i++) {
        struct thread thread;
        int arguments[] = {queue(), numbers[i]};
        if (i >= 4)
            set_handler(numbers[i], SIG_IGN, 0);
        start(&thread, register_one, arguments);
        join(&thread);
        send(numbers[i]);
        OK0(pthread_kill(pthread_self(), numbers[i]));
        EXPECT_SIGNAL(arguments[0], numbers[i], 2);
        unwatch(arguments[0], numbers[i]);
        CHECK(handler_of(numbers[i]) == (i >= 4 ? SIG_IGN : SIG_DFL));
    }
}

/* 7.1 7.2 Some are blocked by the program, some handled, some neither: a waiting thread tells of all. */
static void *wait_blocking(void *argument)
{
    mask(SIG_BLOCK, SIGHUP);
    struct kevent ev[4];
    int told = 0;
    while (told < 3) {
        int count = kevent(*(int *)argument, NULL, 0, ev, 4, NULL);
        if (count == -1) {
            CHECK_EQ(errno, EINTR);
            continue;
        }
        for (int i = 0; i < count; i++)
            EXPECT_EVENT_ANY(ev[i], 0, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0xfeed, ANY_IDENT);
        told += count;
        mask_is(SIGHUP);
    }
    return NULL;
}

TEST(blocked_handled_and_ignored, "7.1 7.2")
{
    for (int round = 0; round < 100; round++) {
        static const int numbers[] = {SIGHUP, SIGUSR2, SIGUSR1};
        struct thread thread;
        int kq = queue();
        handled = 0;
        set_handler(SIGUSR2, count_signal, 0);
        set_handler(SIGHUP, count_signal, 0);
        set_handler(SIGUSR1, SIG_IGN, 0);
        for (int i = 0; i < 3; i++)
            watch(kq, numbers[i]);
        start(&thread, wait_blocking, &kq);
        until_asleep(&thread);
        for (int i = 0; i < 3; i++)
            OK0(pthread_kill(thread.id, numbers[(i + round) % 3]));
        join(&thread);
        CHECK_EQ(handled, 1); /* the blocked one is told by the event alone */
        OK(close(kq));
    }
}

/* 7.5 The masks of all threads, seen by another one, are theirs outside kevent(). */
struct visitor {
    int kq;
    int done[2], leave[2];
};

static void *visit(void *argument)
{
    struct visitor *visitor = argument;
    struct kevent ev;
    struct timespec timeout = duration(MILLISECOND);
    watch(visitor->kq, SIGUSR1);
    CHECK_EQ(kevent(visitor->kq, NULL, 0, &ev, 1, &timeout), 0);
    put(visitor->done[1], 1);
    take(visitor->leave[0], 1);
    return NULL;
}

TEST(masks_seen_from_outside, "7.5")
{
    struct visitor visitor = {.kq = queue()};
    struct thread thread;
    pipe_pair(visitor.done);
    pipe_pair(visitor.leave);
    set_handler(SIGUSR2, count_signal, 0);
    start(&thread, visit, &visitor);
    take(visitor.done[0], 1);
    CHECK_EQ(signal_mask(getpid(), "SigBlk"), 0);
    CHECK_EQ(signal_mask(thread.tid, "SigBlk"), 0);
    put(visitor.leave[1], 1);
    join(&thread);
}

#endif

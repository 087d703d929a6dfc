/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nobody thinks of, while threads contend: fork, handlers that interrupt the library, cancellation. A little of it
 * in every run; the full numbers where FULL is in the environment.
 */
#include "shape.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const struct timespec at_once = {0, 0};

static int rounds(int few, int full)
{
    const char *all = getenv("FULL");
    return all && *all ? full : few;
}

/* Descriptors of the kinds that the library makes. (The case itself makes none of them.) */
static int parts(void)
{
    static const char *const kinds[] = {"eventpoll", "eventfd", "timerfd", "inotify", "signalfd", "pidfd"};
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    int count = 0;
    CHECK(directory);
    while ((entry = readdir(directory))) {
        char target[64];
        ssize_t n = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        target[n < 0 ? 0 : n] = '\0';
        for (int i = 0; i < 6; i++)
            count += strstr(target, kinds[i]) != NULL;
    }
    closedir(directory);
    return count;
}

/* ---- fork ------------------------------------------------------------------------------------------- */

static atomic_int stop;
static int shared_queue, watched[2];

static void *contend(void *argument)
{
    uintptr_t ident = (uintptr_t)argument;
    struct kevent ev[4];
    while (!stop) {
        ADD(shared_queue, ident, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0);
        OK(guest_kevent(shared_queue, NULL, 0, ev, 4, &at_once));
        ADD(shared_queue, ident, EVFILT_TIMER, EV_ADD, 0, 3600000, 0);
        ADD(shared_queue, ident, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    }
    return NULL;
}

/* Queues with a helper of every kind come and go. */
static void *make_queues(void *argument)
{
    FILE *file = tmpfile();
    CHECK(file);
    while (!stop) {
        int kq = OK(guest_kqueue());
        ADD(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
        ADD(kq, 1, EVFILT_TIMER, EV_ADD, 0, 3600000, 0);
        ADD(kq, (uintptr_t)fileno(file), EVFILT_READ, EV_ADD, 0, 0, 0);
        ADD(kq, SIGUSR2, EVFILT_SIGNAL, EV_ADD, 0, 0, 0);
        ADD(kq, (uintptr_t)getppid(), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0);
        OK(close(kq));
    }
    fclose(file);
    return argument;
}

enum { CONTENDERS = 2 };

static void begin(pthread_t threads[CONTENDERS + 1])
{
    stop = 0;
    shared_queue = OK(guest_kqueue());
    for (uintptr_t i = 0; i < CONTENDERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, contend, (void *)i), 0);
    CHECK_EQ(pthread_create(&threads[CONTENDERS], NULL, make_queues, NULL), 0);
}

static void end(pthread_t threads[CONTENDERS + 1])
{
    stop = 1;
    for (int i = 0; i < CONTENDERS + 1; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void live_as_a_child(int queue_of_the_parent)
{
    pthread_t threads[CONTENDERS + 1];
    struct kevent ev;
    CHECK_EQ(parts(), 0);
    CHECK(!is_open(queue_of_the_parent));
    CHECK(guest_kevent(queue_of_the_parent, NULL, 0, &ev, 1, &at_once) == -1 && errno == EBADF);
    CHECK(is_open(watched[0]) && is_open(watched[1]));
    int kq = OK(guest_kqueue());
    begin(threads);
    for (int i = 0; i < 5; i++) {
        ADD(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 1);
        NEXT_OF(kq, 1, 1);
    }
    end(threads);
    for (int fd = 3; fd < 600; fd++)
        close(fd);
    _exit(0);
}

/* Children of a process whose threads contend on queues and make them; each has threads that do the same. */
CASE(children_of_contending_threads)
{
    pthread_t threads[CONTENDERS + 1];
    int last = rounds(20, 2000), status;
    int kq = OK(guest_kqueue());
    NOT_WITH_ASAN("a child may inherit its allocator locked");
    alarm(3600);
    pair(watched);
    ADD(kq, (uintptr_t)watched[0], EVFILT_READ, EV_ADD, 0, 0, 7);
    begin(threads);
    for (int i = 0; i < last; i++) {
        pid_t pid = OK(fork());
        if (pid == 0) {
            alarm(120);
            live_as_a_child(kq);
        }
        OK(waitpid(pid, &status, 0));
        CHECK_EQ(status, 0);
    }
    end(threads);
    put(watched[1], 3);
    CHECK_EQ(NEXT_OF(kq, (uintptr_t)watched[0], 7), 3);
}

/* ---- Handlers --------------------------------------------------------------------------------------- */

static struct {
    int kq, other;
    int number, writer; /* what the handler closes and opens, and the other end of it */
    long ticks, triggered, heard;
    long opened, registered, seen;
} field;

/* A change by the handler: done, or EDEADLK. */
static int is_applied(int kq, uintptr_t ident, short filter, unsigned flags, unsigned fflags, intptr_t data, intptr_t udata)
{
    int error = change(kq, ident, filter, flags, fflags, data, udata);
    CHECK(error == 0 || error == EDEADLK);
    return error == 0;
}

static void reopen(void)
{
    int fds[2];
    pair(fds);
    put(fds[1], 1);
    if (field.opened % 2)
        OK(close(field.number));
    OK(dup2(fds[0], field.number));
    close(fds[0]);
    close(field.writer);
    field.writer = fds[1];
    field.opened++;
    if (is_applied(field.kq, (uintptr_t)field.number, EVFILT_READ, EV_ADD, 0, 0, field.opened))
        field.registered = field.opened;
}

static void on_tick(int signo)
{
    int error = errno;
    (void)signo;
    switch (field.ticks++ % 3) {
    case 0:
        if (is_applied(field.kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, field.triggered + 1, 0))
            field.triggered++;
        break;
    case 1: reopen(); break;
    case 2:
        if (OK(field.ticks % 2 ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == 0) {
            close(field.number);
            close(field.kq);
            close(field.other);
            _exit(0);
        }
        break;
    }
    errno = error;
}

static void hear(const struct timespec *timeout)
{
    struct kevent ev[4];
    int n = guest_kevent(field.kq, NULL, 0, ev, 4, timeout);
    CHECK(n >= 0 || errno == EINTR);
    for (int i = 0; i < n; i++) {
        long *last = ev[i].filter == EVFILT_USER ? &field.heard : &field.seen;
        long which = ev[i].filter == EVFILT_USER ? (long)ev[i].data : (long)(intptr_t)ev[i].udata;
        *last = which > *last ? which : *last;
    }
}

/* What the handler interrupts: every kind of call on its queues, births and deaths. */
static void work(void)
{
    int fds[2], kq, status;
    struct kevent ev[4];
    pair(fds);
    ADD(field.kq, (uintptr_t)fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    ADD(field.other, (uintptr_t)fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    ADD(field.other, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0);
    hear(&at_once);
    CHECK(guest_kevent(field.other, NULL, 0, ev, 4, &at_once) >= 0 || errno == EINTR);
    kq = OK(guest_kqueue());
    ADD(kq, 1, EVFILT_TIMER, EV_ADD, 0, 3600000, 0);
    ADD(kq, SIGUSR2, EVFILT_SIGNAL, EV_ADD, 0, 0, 0);
    OK(close(kq));
    ADD(field.kq, (uintptr_t)fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    close(fds[0]), close(fds[1]);
    while (waitpid(-1, &status, WNOHANG) > 0)
        CHECK_EQ(status, 0);
}

/* A handler, a thousand times a second, that triggers, closes, opens and has children. What it did is delivered. */
CASE(handlers_interrupt_the_library)
{
    struct sigevent tick = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{0, 1000000}, {0, 1000000}}, never = {{0, 0}, {0, 0}};
    struct timespec now, until, hundredth = {0, 10000000};
    timer_t timer;
    int fds[2];
    alarm(3600);
    pair(fds);
    field.number = OK(fcntl(fds[0], F_DUPFD_CLOEXEC, 200));
    field.writer = fds[1];
    close(fds[0]);
    field.kq = OK(guest_kqueue());
    field.other = OK(guest_kqueue());
    ADD(field.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    CHECK(signal(SIGUSR1, on_tick) != SIG_ERR);
    OK(timer_create(CLOCK_MONOTONIC, &tick, &timer));
    OK(timer_settime(timer, 0, &often, NULL));
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += rounds(0, 10);
    do {
        work();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < until.tv_sec || field.ticks < 300);
    OK(timer_settime(timer, 0, &never, NULL));
    timer_delete(timer);
    while (field.heard < field.triggered || (field.registered == field.opened && field.seen < field.opened))
        hear(&hundredth);
    CHECK_EQ(field.heard, field.triggered);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
}

/* ---- Cancellation ----------------------------------------------------------------------------------- */

static void *wait_for_ever(void *argument)
{
    struct kevent ev[2];
    guest_kevent(*(int *)argument, NULL, 0, ev, 2, NULL);
    FAIL("a waiter was not cancelled");
}

/* Cancelled waiters leave no lock and no descriptor, and take nothing along. */
CASE(cancelled_waiters_leave_nothing)
{
    enum { BATCH = 8 };
    int kq = OK(guest_kqueue()), fds[2], last = rounds(400, 10000);
    NOT_WITH_ASAN("it finds the stacks of cancelled threads poisoned");
    pair(fds);
    alarm(3600);
    ADD(kq, (uintptr_t)fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    ADD(kq, 1, EVFILT_TIMER, EV_ADD, 0, 3600000, 2);
    ADD(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    int before = open_descriptors();
    for (int i = 0; i < last; i += BATCH) {
        pthread_t threads[BATCH];
        for (int k = 0; k < BATCH; k++)
            CHECK_EQ(pthread_create(&threads[k], NULL, wait_for_ever, &kq), 0);
        for (int k = 0; k < BATCH; k++)
            CHECK_EQ(pthread_cancel(threads[k]), 0);
        for (int k = 0; k < BATCH; k++) {
            void *result;
            CHECK_EQ(pthread_join(threads[k], &result), 0);
            CHECK(result == PTHREAD_CANCELED);
        }
        if (i % (BATCH * 10) == 0) {
            ADD(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, i, 3);
            CHECK_EQ(NEXT_OF(kq, 1, 3), i);
            put(fds[1], 1);
            CHECK_EQ(NEXT_OF(kq, (uintptr_t)fds[0], 1), 1);
            CHECK_EQ(read(fds[0], (char[1]){0}, 1), 1);
        }
    }
    CHECK_EQ(open_descriptors(), before);
    NOTHING(kq);
}

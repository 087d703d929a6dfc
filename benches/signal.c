/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_SIGNAL: a signal to the process itself, and its event. By hand: signalfd for a signal that the program
 * blocks; a handler that counts and rings an eventfd (an edge, never read) for one that it does not.
 */
#include "bench.h"

#include <sys/signalfd.h>

#include <signal.h>
#include <stdatomic.h>

struct watch {
    int queue, fd;
    pid_t self;
};

static void block(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGUSR1);
    OK(sigprocmask(SIG_BLOCK, set, NULL));
}

static void raw_signalfd(void *state, long n)
{
    struct watch *watch = state;
    while (n-- > 0) {
        struct epoll_event event;
        struct signalfd_siginfo info;
        OK(kill(watch->self, SIGUSR1));
        CHECK(epoll_wait(watch->queue, &event, 1, -1) == 1);
        CHECK(read(watch->fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
    }
}

static atomic_long caught;
static int bell;

static void note(int signal)
{
    int error = errno;
    (void)signal;
    atomic_fetch_add(&caught, 1);
    add_to(bell);
    errno = error;
}

static void raw_handler(void *state, long n)
{
    struct watch *watch = state;
    while (n-- > 0) {
        struct epoll_event event;
        OK(kill(watch->self, SIGUSR1));
        CHECK(epoll_wait(watch->queue, &event, 1, -1) == 1);
        CHECK(atomic_exchange(&caught, 0) == 1);
    }
}

static void raw_signal(const struct row *row)
{
    struct watch watch = {.queue = OK(epoll_create1(EPOLL_CLOEXEC)), .self = getpid()};
    if (row->a) {
        sigset_t set;
        block(&set);
        watch.fd = OK(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
        control(watch.queue, EPOLL_CTL_ADD, watch.fd, EPOLLIN);
        measure(raw_signalfd, &watch);
    } else {
        struct sigaction action = {.sa_handler = note};
        OK(sigaction(SIGUSR1, &action, NULL));
        bell = OK(eventfd(0, EFD_CLOEXEC));
        control(watch.queue, EPOLL_CTL_ADD, bell, EPOLLIN | EPOLLET);
        measure(raw_handler, &watch);
    }
}

static void kq_signals(void *state, long n)
{
    struct watch *watch = state;
    while (n-- > 0) {
        struct kevent event;
        OK(kill(watch->self, SIGUSR1));
        CHECK(kevent(watch->queue, NULL, 0, &event, 1, NULL) == 1);
        CHECK(event.ident == SIGUSR1 && event.filter == EVFILT_SIGNAL && event.data == 1);
    }
}

static void kq_signal(const struct row *row)
{
    struct watch watch = {.queue = OK(kqueue()), .self = getpid()};
    if (row->a) {
        sigset_t set;
        block(&set);
    }
    change(watch.queue, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0);
    measure(kq_signals, &watch);
}

static struct row rows[] = {
    {.name = "signal-blocked", .raw = raw_signal, .kq = kq_signal, .a = 1},
    {.name = "signal-not-blocked", .raw = raw_signal, .kq = kq_signal, .a = 0},
};
ROWS(rows)

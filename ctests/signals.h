/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Short forms of what the cases of EVFILT_SIGNAL do. Included after suite.h.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "events.h"

#include <signal.h>

/* Watches a signal; its events carry 0xfeed. */
#define watch(kq, signo) change(kq, signo, EVFILT_SIGNAL, EV_ADD, 0, 0, 0xfeed)
#define unwatch(kq, signo) change(kq, signo, EVFILT_SIGNAL, EV_DELETE, 0, 0, 0)

/* The next event, and the only one: the signal came `count` times. */
#define EXPECT_SIGNAL(kq, signo, count)                                                                     \
    EXPECT_NEXT(kq, signo, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, count, 0xfeed)

/* The same where the kernel may have merged some: at least once. */
#define EXPECT_SIGNAL_MERGED(kq, signo)                                                                     \
    EXPECT_NEXT_ANY(kq, signo, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0, 1, 0xfeed, DATA_AT_LEAST)

/* The same of one among `n` events. */
#define EXPECT_SIGNAL_AMONG(ev, n, signo, count)                                                            \
    EXPECT_EVENT(*find_event(ev, n, signo, EVFILT_SIGNAL), signo, EVFILT_SIGNAL, EV_ADD | EV_CLEAR, 0,      \
                 count, 0xfeed)

/* How often `count_signal`, as a handler, has run. */
static volatile sig_atomic_t handled;

static inline void count_signal(int signo)
{
    (void)signo;
    handled = handled + 1;
}

/* Installs a handler, or SIG_IGN or SIG_DFL; nothing else is blocked while it runs. */
static inline void set_handler(int signo, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    OK(sigaction(signo, &action, NULL));
}

static inline void (*handler_of(int signo))(int)
{
    struct sigaction action;
    OK(sigaction(signo, NULL, &action));
    return action.sa_handler;
}

/* SIG_BLOCK, SIG_UNBLOCK one signal in the calling thread. */
static inline void mask(int how, int signo)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    OK0(pthread_sigmask(how, &set, NULL));
}

static inline int is_pending(int signo)
{
    sigset_t set;
    OK(sigpending(&set));
    return sigismember(&set, signo);
}

/* The calling thread blocks this signal and no other (0: none). */
static inline void mask_is(int signo)
{
    sigset_t set;
    OK0(pthread_sigmask(SIG_BLOCK, NULL, &set));
    for (int other = 1; other < NSIG; other++)
        CHECK_EQ(sigismember(&set, other) == 1, other == signo);
}

/* Sends a signal to the process. */
static inline void send(int signo)
{
    OK(kill(getpid(), signo));
}

#endif

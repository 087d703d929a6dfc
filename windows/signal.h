/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals between programs on Windows, which has none: what EVFILT_SIGNAL hears beside the console's events and
 * raise(). As in the C libkqueue.
 */
#ifndef LIBKQUEUE_SIGNAL_H
#define LIBKQUEUE_SIGNAL_H

#include <signal.h>

#ifndef SIGHUP
#define SIGHUP 1
#endif
#ifndef SIGKILL
#define SIGKILL 9
#endif
#ifndef SIGUSR1
#define SIGUSR1 10
#endif
#ifndef SIGUSR2
#define SIGUSR2 12
#endif
#ifndef SIGPIPE
#define SIGPIPE 13
#endif
#ifndef SIGALRM
#define SIGALRM 14
#endif
#ifndef SIGBREAK
#define SIGBREAK 21
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Sends a signal to a process that watches it. 0, or -1 with errno: EINVAL, ESRCH, EPERM. */
int kq_kill(int pid, int signo);
/* The same to the calling process. */
int kq_raise(int signo);

#ifdef __cplusplus
}
#endif

#endif

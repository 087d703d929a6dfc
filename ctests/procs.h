/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that do what they are told, for the cases of EVFILT_PROC. Included after suite.h.
 *
 * A puppet is a process at the end of a line of its own. It obeys one order after another and answers each
 * (but the last, which ends it) when it is done: no case needs to sleep, and what the system tells of forks
 * and execs it has told when the answer comes.
 */
#ifndef PROCS_H
#define PROCS_H

#include "events.h"

#include <sys/wait.h>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* 10.5 Where the clock looks at processes each look makes the kqueue readable, and the kevent() that follows takes it. */
static inline int comes_to_rest(int kq)
{
    int tries = 0;
    while (readable(kq) && ++tries < 100)
        nothing(kq);
    return tries < 100;
}

/* ---- Puppets ------------------------------------------------------------------------------------ */

struct puppet {
    pid_t pid;
    int line; /* our end */
    int far;  /* its end */
};

enum order {
    /* No answer: it ends. */
    EXIT,        /* with this status, every thread of it */
    EXIT_THREAD, /* the thread that obeys alone, with this status */
    DIE,         /* by this signal, with a core if the system writes one */
    /* Answered. */
    PING,
    FORK,           /* a puppet that obeys the line with this number: its pid */
    FORK_IN_THREAD, /* the same, by a thread that is not the first */
    DAEMON,         /* the same by a child that ends at once: its pid */
    BRIEF,          /* so many children, each ends at once and is reaped before the next: the last one's pid */
    MANY,           /* so many children that stay: the last one's pid */
    VFORK,          /* one like these by vfork: its pid */
    THREAD,         /* a thread that ends at once */
    EXEC,           /* a program that goes on obeying; the answer is the program's */
    EXEC_IN_THREAD, /* the same by a thread that is not the first */
    FAIL_EXEC,      /* a program that is not there */
    LEAVE,          /* the first thread ends, another goes on obeying */
    WATCH,          /* waits until this child of it has ended, and leaves it a zombie */
    REAP,           /* reaps this child: its status */
    IGNORE_CHILDREN /* SIGCHLD is ignored */
};

/* Its line, which children born from now on find open; it is not born yet. */
void prepare(struct puppet *);
/* Born as our child, with a line of its own. */
void give_birth(struct puppet *);
/* Born, after prepare() and by `how` (FORK...), as the child of another that was born after that. */
void let_beget(const struct puppet *parent, enum order how, struct puppet *child);
/* Sends an order; the second waits for the answer and returns it. */
void order(const struct puppet *, enum order, int value);
int tell(const struct puppet *, enum order, int value);

/* A child of ours has ended; it is left as it is. */
void until_zombie(pid_t);
/* Reaps a child of ours: its status. */
int reap(pid_t);
/* It exits with this code and is a zombie then (a child of ours). */
void exits(const struct puppet *, int code);

/* Whether this kernel tells everybody the status of a process that was reaped (8.3: Linux 6.15). */
int reaped_status_is_told(void);

/* ---- Events ------------------------------------------------------------------------------------- */

/* The status, as of wait(2), of a process that exited with this code. */
#define CODE(code) ((code) << 8)

/* 8.2: EV_CLEAR is set by itself; the last event has EV_EOF and EV_ONESHOT. */
#define LIVES (EV_ADD | EV_CLEAR)
#define ENDED (EV_ADD | EV_CLEAR | EV_EOF | EV_ONESHOT)

/* The next event, and the only one, is the end of this process. */
#define EXPECT_EXIT(kq, pid, status, udata)                                                                 \
    EXPECT_NEXT(kq, pid, EVFILT_PROC, ENDED, NOTE_EXIT, status, udata)

/* The queue has no knote for this process. */
#define no_knote(kq, pid) CHECK_EQ(change_errno(kq, pid, EVFILT_PROC, EV_DELETE, 0, 0, 0), ENOENT)

/* Something that must come has come: what was to be reported before it has been. */
#define something_comes(kq)                                                                                 \
    do {                                                                                                    \
        change(kq, 0x50e, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0x50e);                        \
        EXPECT_NEXT(kq, 0x50e, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 0x50e);                              \
    } while (0)

#ifdef NOTE_EXITSTATUS
#define EXITSTATUS NOTE_EXITSTATUS
#else
#define EXITSTATUS 0
#endif

/*
 * The end of a process whose status the system may hide, watched with NOTE_EXIT | NOTE_EXITSTATUS: the true
 * status, or 0 and no word of a status. Never another.
 */
#define EXPECT_TRUE_OR_UNKNOWN(ev, pid, status, udata)                                                      \
    do {                                                                                                    \
        if ((ev).fflags & EXITSTATUS)                                                                       \
            EXPECT_EVENT(ev, pid, EVFILT_PROC, ENDED, NOTE_EXIT | EXITSTATUS, status, udata);               \
        else                                                                                                \
            EXPECT_EVENT(ev, pid, EVFILT_PROC, ENDED, NOTE_EXIT, 0, udata);                                 \
    } while (0)

/* The same of one that was reaped. */
#define EXPECT_REAPED(ev, pid, status, udata)                                                               \
    do {                                                                                                    \
        EXPECT_TRUE_OR_UNKNOWN(ev, pid, status, udata);                                                     \
        if (EXITSTATUS != 0 && reaped_status_is_told())                                                     \
            EXPECT_EVENT(ev, pid, EVFILT_PROC, ENDED, NOTE_EXIT | EXITSTATUS, status, udata);               \
    } while (0)

/* 8.5: adds with notes for which the system must tell of forks; skips the case where it refuses to. */
#define watch_notes(kq, pid, flags, fflags, udata)                                                          \
    do {                                                                                                    \
        int error_ = change_errno(kq, pid, EVFILT_PROC, flags, fflags, 0, udata);                           \
        if (error_ == EOPNOTSUPP)                                                                           \
            SKIP("the system does not tell of forks and execs: EOPNOTSUPP");                                \
        if (error_ == EPERM)                                                                                \
            SKIP("the system does not tell this user of forks and execs: EPERM");                           \
        CHECK_EQ(error_, 0);                                                                                \
    } while (0)

/*
 * Collects the events of one living process until they have told of all of `notes` (8.5: they may come merged
 * or one by one), each of them with these flags and data 0.
 */
void gather(int kq, pid_t pid, unsigned notes, unsigned short flags, void *udata);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kqueue(2) and kevent(2): the kernel event notification of the BSDs, from libkqueue.
 *
 * Generated from src/event.rs and src/abi/queue.rs by cbindgen: do not edit. Only what this build implements is
 * defined here, so that a program can test for a filter, flag or note with #ifdef.
 */
#ifndef LIBKQUEUE_SYS_EVENT_H
#define LIBKQUEUE_SYS_EVENT_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* This is libkqueue, not the system's own kqueue. */
#define LIBKQUEUE 1

/* <time.h> keeps it back in strict C89 and C99. */
struct timespec;

#ifdef __cplusplus
#ifdef __GNUC__
/* A struct and a function of one name, as with stat(2). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif
extern "C" {
#endif

/* Descriptor ident has something to read; data is how many bytes, or connections to accept. */
#define EVFILT_READ (-1)

/* Descriptor ident can be written to; data is the free space in bytes. */
#define EVFILT_WRITE (-2)

/* Only named, for programs that name it: registering it is EPERM, as for any program on FreeBSD. */
#define EVFILT_AIO (-3)

/* Something happened to the file, directory or FIFO under descriptor ident; fflags says what. */
#define EVFILT_VNODE (-4)

/* Process ident exited, forked or executed; fflags says which. */
#define EVFILT_PROC (-5)

/* Signal number ident was sent to the process; data is how many times. */
#define EVFILT_SIGNAL (-6)

/* Timer ident (any number) expired; data is the period going in, the expirations coming out. */
#define EVFILT_TIMER (-7)

/* Event ident (any number) of the program's own, fired by NOTE_TRIGGER. */
#define EVFILT_USER (-11)

/* The library's own settings and facts; fflags says which. */
#define EVFILT_LIBKQUEUE (-12)

/* Descriptor ident has sent all that was written to it: its send buffer is empty. */
#define EVFILT_EMPTY (-13)

/* The process behind process descriptor ident (a pidfd) exited. */
#define EVFILT_PROCDESC (-16)

/* Descriptor ident has something exceptional: urgent data, with NOTE_OOB. */
#define EVFILT_EXCEPT (-17)

/* Add the event, or change the one that is there; enables it unless EV_DISABLE is given. */
#define EV_ADD 0x0001

/* Remove the event, and its reports that are still pending. */
#define EV_DELETE 0x0002

/* Report the event (again). */
#define EV_ENABLE 0x0004

/* Keep the event, but do not report it until EV_ENABLE. */
#define EV_DISABLE 0x0008

/* Report once, then delete. */
#define EV_ONESHOT 0x0010

/* Reset the state when it is reported: only what is new is reported again. */
#define EV_CLEAR 0x0020

/* Answer this change with an EV_ERROR entry even if it succeeded (data is 0 then). */
#define EV_RECEIPT 0x0040

/* Report once, then disable until EV_ENABLE or EV_ADD. */
#define EV_DISPATCH 0x0080

/* Report now, whatever the condition, as if EV_ONESHOT had been given. */
#define EV_FORCEONESHOT 0x0100

/* Leave udata as it is (not with EV_ADD). */
#define EV_KEEPUDATA 0x0200

/* The bits that only the library sets; they are ignored going in. */
#define EV_SYSFLAGS 0xF000

/* Reserved for filters. */
#define EV_FLAG1 0x2000

/* Coming out: the change in this entry failed and data is the errno, or it is a receipt and data is 0. */
#define EV_ERROR 0x4000

/* Coming out: the other side is gone; fflags is the error of a socket, or 0. */
#define EV_EOF 0x8000

/* EVFILT_READ, EVFILT_WRITE: data is the low-water mark of this event, in bytes. */
#define NOTE_LOWAT 0x0001

/* EVFILT_READ on a regular file: always ready, at its end too. */
#define NOTE_FILE_POLL 0x0002

/* EVFILT_EXCEPT: urgent data is pending. */
#define NOTE_OOB 0x0002

/* EVFILT_VNODE: the last name of the file or directory was removed. */
#define NOTE_DELETE 0x0001

/* EVFILT_VNODE: its contents were written; an entry of the directory was made, removed or renamed. */
#define NOTE_WRITE 0x0002

/* EVFILT_VNODE: it grew; an entry was moved into the directory or out of it. */
#define NOTE_EXTEND 0x0004

/* EVFILT_VNODE: its mode, owner, times or extended attributes were set. */
#define NOTE_ATTRIB 0x0008

/* EVFILT_VNODE: its link count changed; a subdirectory was made, removed or moved. */
#define NOTE_LINK 0x0010

/* EVFILT_VNODE: it was renamed. */
#define NOTE_RENAME 0x0020

/* EVFILT_VNODE: access was revoked. Cannot happen on Linux: accepted beside other notes. */
#define NOTE_REVOKE 0x0040

/* EVFILT_VNODE: it shrank. */
#define NOTE_TRUNCATE 0x0080

/* EVFILT_VNODE: it was opened. */
#define NOTE_OPEN 0x0100

/* EVFILT_VNODE: a descriptor on it that could not write was closed. */
#define NOTE_CLOSE 0x0200

/* EVFILT_VNODE: a descriptor on it that could write was closed. */
#define NOTE_CLOSE_WRITE 0x0400

/* EVFILT_VNODE: it was read. */
#define NOTE_READ 0x0800

/* EVFILT_PROC, EVFILT_PROCDESC: the process exited; data is its status as of wait(2). */
#define NOTE_EXIT 0x80000000

/* EVFILT_PROC: it forked. */
#define NOTE_FORK 0x40000000

/* EVFILT_PROC: it executed a program. */
#define NOTE_EXEC 0x20000000

/* EVFILT_PROC: the bits that say what happened. */
#define NOTE_PCTRLMASK 0xf0000000

/* EVFILT_PROC: the bits of a process number. */
#define NOTE_PDATAMASK 0x000fffff

/* EVFILT_PROC: watch the children that it makes, too, and theirs. */
#define NOTE_TRACK 0x00000001

/* EVFILT_PROC: coming out: a child could not be watched, or something was missed. */
#define NOTE_TRACKERR 0x00000002

/* EVFILT_PROC: coming out: ident is a new child, data its parent. */
#define NOTE_CHILD 0x00000004

/* With NOTE_EXIT: coming out, data is the status; without it the system hides the status (macOS). */
#define NOTE_EXITSTATUS 0x04000000

/* EVFILT_USER: leave the event's flags as they are. */
#define NOTE_FFNOP 0x00000000

/* EVFILT_USER: and them with those given. */
#define NOTE_FFAND 0x40000000

/* EVFILT_USER: or those given into them. */
#define NOTE_FFOR 0x80000000

/* EVFILT_USER: replace them by those given. */
#define NOTE_FFCOPY 0xc0000000

/* EVFILT_USER: the bits that say which of these four is meant. */
#define NOTE_FFCTRLMASK 0xc0000000

/* EVFILT_USER: the bits that are the program's own. */
#define NOTE_FFLAGSMASK 0x00ffffff

/* EVFILT_USER: fire. */
#define NOTE_TRIGGER 0x01000000

/* EVFILT_TIMER: data is seconds. (Without a unit it is milliseconds.) */
#define NOTE_SECONDS 0x0001

/* EVFILT_TIMER: data is microseconds. */
#define NOTE_USECONDS 0x0002

/* EVFILT_TIMER: data is nanoseconds. */
#define NOTE_NSECONDS 0x0004

/* EVFILT_TIMER: data is a time since the epoch, not a period. */
#define NOTE_ABSOLUTE 0x0008

/* FreeBSD's and NetBSD's name for NOTE_ABSOLUTE. */
#define NOTE_ABSTIME 0x0008

/* EVFILT_TIMER: data is milliseconds. */
#define NOTE_MSECONDS 0x0010

/* EVFILT_LIBKQUEUE: the library's version, 0xMMmmpprr, in data. */
#define NOTE_VERSION 0x0001

/* EVFILT_LIBKQUEUE: the same as a string in udata. */
#define NOTE_VERSION_STR 0x0002

/* EVFILT_LIBKQUEUE: data 0 allows the library to leave locks out; it never does. */
#define NOTE_THREAD_SAFE 0x0003

/* EVFILT_LIBKQUEUE: data 0 leaves a child of fork its copies of our descriptors. */
#define NOTE_FORK_CLEANUP 0x0004

/* EVFILT_LIBKQUEUE: data 1 has every call described on stderr, 0 none. */
#define NOTE_DEBUG 0x0005

/* EVFILT_LIBKQUEUE: data points to the string that each line begins with. */
#define NOTE_DEBUG_PREFIX 0x0006

/* EVFILT_LIBKQUEUE: data points to a function, void (*)(const char *, ...), that is given the lines. */
#define NOTE_DEBUG_FUNC 0x0007

/* EVFILT_LIBKQUEUE: data is how often files are looked at, where the system does not tell of them. */
#define NOTE_FILE_POLL_INTERVAL 0x0008

/* kqueuex(): the descriptor is closed by exec. (That of kqueue() is too.) */
#define KQUEUE_CLOEXEC 0x0001

/* One change or one event. */
struct kevent {
    /* What is watched: a descriptor, a signal number or any number, as the filter says. */
    uintptr_t ident;
    /* EVFILT_*: what about it. */
    short filter;
    /* EV_*: actions going in, state coming out. */
    unsigned short flags;
    /* NOTE_*, as the filter says. */
    unsigned int fflags;
    /* The filter's amount: bytes, expirations, a period; an errno beside EV_ERROR. */
    intptr_t data;
    /* The caller's own, returned untouched. */
    void *udata;
};

/* kqueue(2): makes a kqueue. Returns its descriptor, or -1 with errno set. */
int kqueue(void);

/* kqueuex(2): makes a kqueue; flags is 0 or KQUEUE_CLOEXEC. */
int kqueuex(unsigned int flags);

/* kqueue1(2): makes a kqueue; flags are O_CLOEXEC and O_NONBLOCK. */
int kqueue1(int flags);

/* For programs that link the archive; the library starts by itself. */
int libkqueue_init(void);

/* Returns once everything that closed kqueues held has been given back. */
void libkqueue_drain_pending_close(void);

/* Writes to descriptor fd what every kqueue of the process holds, an event a line: for a debugger, or a program */
void libkqueue_dump(int fd);

/* kevent(2): applies nchanges changes in order, then waits for events and stores at most nevents of them. */
int kevent(int kq,
           const struct kevent *changelist,
           int nchanges,
           struct kevent *eventlist,
           int nevents,
           const struct timespec *timeout);

#ifdef __cplusplus
}
#ifdef __GNUC__
#pragma GCC diagnostic pop
#endif
#endif

/*
 * EV_SET(&kev, ident, filter, flags, fflags, data, udata) fills one struct kevent.
 *
 * It is an expression of type void, evaluates each argument once and declares no name that an argument could
 * mean. As on the BSDs ident may be a pointer too, and udata an integer.
 */
#define EV_SET(kevp, ident, filter, flags, fflags, data, udata) \
    libkqueue_ev_set_((kevp), (uintptr_t)(ident), (filter), (flags), (fflags), (data), (void *)(udata))

#ifdef __cplusplus
inline
#elif defined(__GNUC__)
static __inline__
#else
static inline
#endif
void libkqueue_ev_set_(struct kevent *__kevp, uintptr_t __ident, short __filter, unsigned short __flags,
    unsigned int __fflags, intptr_t __data, void *__udata)
{
    __kevp->ident = __ident;
    __kevp->filter = __filter;
    __kevp->flags = __flags;
    __kevp->fflags = __fflags;
    __kevp->data = __data;
    __kevp->udata = __udata;
}

#endif

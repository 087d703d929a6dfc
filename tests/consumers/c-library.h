/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program sees that is built for the C library: the layout, the values and the functions, as they are in its binaries.
 * Not our header: the two may differ in everything else.
 */
#include <stdint.h>
#include <time.h>

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned int fflags;
    intptr_t data;
    void *udata;
};

#define EVFILT_USER (-11)
#define EV_ADD 0x0001
#define EV_ONESHOT 0x0010
#define NOTE_TRIGGER 0x01000000

#define EV_SET(kevp, a, b, c, d, e, f) \
    ((kevp)->ident = (a), (kevp)->filter = (b), (kevp)->flags = (c), (kevp)->fflags = (d), (kevp)->data = (e), \
        (kevp)->udata = (f))

int kqueue(void);
int kevent(int, const struct kevent *, int, struct kevent *, int, const struct timespec *);
void libkqueue_drain_pending_close(void);

/* SPDX-License-Identifier: BSD-2-Clause */
/* The library is linked with this file: the program itself, or the library libguest.so of the program's. */
#include "shape.h"

int guest_kqueue(void) { return kqueue(); }

int guest_kevent(int kq, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
                 const struct timespec *timeout)
{
    return kevent(kq, changes, nchanges, events, nevents, timeout);
}

int guest_unload(void) { return -1; }

/* SPDX-License-Identifier: BSD-2-Clause */
/* What every consumer builds, as C and as C++: an event that the program triggers itself. Prints "kqueue works". */
#include <sys/types.h>
#include <sys/event.h>

#include <stdio.h>
#include <unistd.h>

#ifndef EVFILT_USER
#error "this <sys/event.h> has no EVFILT_USER"
#endif

int main(void)
{
    struct kevent kev;
    int kq = kqueue(), n;

    EV_SET(&kev, 42, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER | 7, 0, &kq);
    n = kq < 0 ? -1 : kevent(kq, &kev, 1, &kev, 1, NULL);
    if (n != 1 || kev.ident != 42 || kev.filter != EVFILT_USER || kev.fflags != 7 || kev.udata != &kq) {
        fprintf(stderr, "kevent returned %d\n", n);
        return 1;
    }
    close(kq);
    puts("kqueue works");
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the header does not define the build does not serve (11): registering it is refused with an errno, before
 * anything is there, and nothing else is harmed.
 */
#define SUITE "absent"
#include "suite.h"

#include <fcntl.h>
#include <sys/wait.h>

/* Refused, alone and beside what is served; no knote is left. */
static inline void refused(int kq, uintptr_t ident, short filter, unsigned fflags, unsigned beside)
{
    for (int with = 0; with < 2; with++) {
        int error = change_errno(kq, ident, filter, EV_ADD, fflags | (with ? beside : 0), 0, 0);
        CHECK(error == EINVAL || error == EOPNOTSUPP);
        CHECK_EQ(change_errno(kq, ident, filter, EV_DELETE, 0, 0, 0), ENOENT);
    }
    nothing(kq);
}

/* 11 Process descriptors. */
TEST(process_descriptors_are_refused, "11 8.7")
{
#ifdef LACKS_PROCDESC
    refused(queue(), 0, EVFILT_PROCDESC, NOTE_EXIT, 0);
#else
    SKIP("this build has EVFILT_PROCDESC");
#endif
}

/* 11 The uses of a file. */
TEST(uses_are_refused, "11 5.3")
{
#ifdef LACKS_USES
    static const unsigned notes[] = {NOTE_OPEN, NOTE_CLOSE, NOTE_CLOSE_WRITE, NOTE_READ};
    int kq = queue(), fd = OK(open("file", O_RDWR | O_CREAT, 0600));
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        refused(kq, (uintptr_t)fd, EVFILT_VNODE, notes[i], NOTE_WRITE);
#else
    SKIP("this build has NOTE_OPEN and its like");
#endif
}

/* 11 8.5 Forks and executions. */
TEST(forks_are_refused, "11 8.5")
{
#ifdef LACKS_FORKS
    static const unsigned notes[] = {NOTE_FORK, NOTE_EXEC, NOTE_TRACK};
    int kq = queue();
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        refused(kq, (uintptr_t)getpid(), EVFILT_PROC, notes[i], NOTE_EXIT);
#else
    SKIP("this build has NOTE_FORK and its like");
#endif
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files, and knotes that watch them, for the cases of EVFILT_VNODE. Included after suite.h.
 *
 * To prove that nothing is reported, silent() writes to a marker file in the scratch directory, which the
 * queue must report, and only then polls. A case that watches a directory watches one below it.
 */
#ifndef VNODES_H
#define VNODES_H

#include "sockets.h"

#include <stdio.h>

#ifdef EVFILT_VNODE

#ifndef NOTE_TRUNCATE
#define NOTE_TRUNCATE 0 /* OpenBSD's: elsewhere nothing tells of it */
#endif

/* Where files are looked at by the clock, it is to go faster than a case waits for the queue to poll readable. */
#define look_often(kq)                                                                                      \
    do {                                                                                                    \
        if (strcmp(suite_backend(), "posix") == 0)                                                          \
            change(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_FILE_POLL_INTERVAL, 5 * MILLISECOND, 0);           \
    } while (0)

/* Every note of a change. */
#define CHANGES                                                                                             \
    (NOTE_DELETE | NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB | NOTE_LINK | NOTE_RENAME | NOTE_TRUNCATE)

/* The notes of use without a change, where they are offered. */
#ifdef NOTE_OPEN
#define USES (NOTE_OPEN | NOTE_CLOSE | NOTE_CLOSE_WRITE | NOTE_READ)
#else
#define USES 0
#endif

/* A new file of `n` bytes, open for both, its offset 0. */
#define new_file(path, n) vnode_new_file(__FILE__, __LINE__, path, n)
static inline int vnode_new_file(const char *file, int line, const char *path, size_t n)
{
    int fd = suite_ok(open(path, O_RDWR | O_CREAT | O_EXCL, 0644), path, file, line);
    suite_put(file, line, fd, n);
    suite_ok(lseek(fd, 0, SEEK_SET), "lseek", file, line);
    return fd;
}

/* A directory, made and opened. */
#define new_directory(path) vnode_new_directory(__FILE__, __LINE__, path)
static inline int vnode_new_directory(const char *file, int line, const char *path)
{
    suite_ok(mkdir(path, 0755), path, file, line);
    return suite_ok(open(path, O_RDONLY | O_DIRECTORY), path, file, line);
}

/* `n` bytes more at the end of the file, by a descriptor of its own. */
static inline void append_to(const char *path, size_t n)
{
    int fd = OK(open(path, O_WRONLY | O_APPEND));
    put(fd, n);
    OK(close(fd));
}

/* The first byte of the file, which has one, is written anew. */
static inline void overwrite(int fd)
{
    CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
}

/* Makes an empty file. */
static inline void touch_file(const char *path)
{
    OK(close(OK(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644))));
}

/* A knote that reports each thing once, and its next event, which is the only one. */
#define watch(kq, fd, fflags, udata) change(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, fflags, 0, udata)
#define EXPECT_NOTES(kq, fd, fflags, udata)                                                                 \
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, fflags, 0, udata)

/* kevent reports nothing, and the queue soon polls unreadable: what kevent discards wakes once for each (10.5). */
#define unready(kq) vnode_unready(__FILE__, __LINE__, kq)
static inline void vnode_unready(const char *file, int line, int kq)
{
    int wakeups = 0;
    suite_nothing(file, line, kq);
    while (readable(kq)) {
        suite_nothing(file, line, kq);
        if (++wakeups == 8)
            suite_fail(file, line, "the queue polls readable, and kevent reports nothing");
    }
}

/* Nothing is reported of all that was done before this. */
#define silent(kq) vnode_silent(__FILE__, __LINE__, kq)
static inline void vnode_silent(const char *file, int line, int kq)
{
    static int marker = -1;
    struct kevent ev;
    if (marker == -1) {
        /* Away from the low numbers: cases close a descriptor and expect its number back. */
        int fd = vnode_new_file(file, line, "marker", 1);
        marker = suite_ok(fcntl(fd, F_DUPFD, 500), "fcntl", file, line);
        suite_ok(close(fd), "close", file, line);
    }
    suite_change(file, line, kq, EVENT(marker, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_WRITE, 0, 0xa11));
    if (pwrite(marker, "x", 1, 0) != 1)
        suite_fail(file, line, "the marker cannot be written");
    suite_wait_event(file, line, kq, &ev);
    suite_expect(file, line, &ev,
                 (struct expect){(uintptr_t)marker, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_WRITE, 0, UDATA(0xa11), 0});
    vnode_unready(file, line, kq);
}

#ifdef __linux__
/* The number of inotify watches that the process holds, or -1 where the system does not tell. */
static inline int watches_held(void)
{
    int count = 0;
    for (int fd = 3; fd < 2000; fd++) {
        char path[64], target[64] = "", line[512];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) == -1 || strcmp(target, "anon_inode:inotify") != 0)
            continue;
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
        FILE *file = fopen(path, "re");
        if (!file)
            return -1;
        while (fgets(line, sizeof line, file))
            count += strncmp(line, "inotify wd:", 11) == 0;
        fclose(file);
    }
    return count;
}
#endif

#endif
#endif

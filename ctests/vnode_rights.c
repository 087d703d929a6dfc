/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_VNODE without rights, and without /proc (5.5). What cannot be watched is refused with an errno;
 * what is accepted keeps every rule.
 */
#define SUITE "vnode_rights"
#include "suite.h"

#include <poll.h>

#include "vnodes.h"

#if defined(EVFILT_VNODE) && defined(__linux__)

#include "mounts.h"

#include <sys/mman.h>
#include <sys/prctl.h>

enum { SIZE = 10 };

#define GROWTH (NOTE_WRITE | NOTE_EXTEND)

/* Goes on as a user without rights; the child of a case, since there is no way back. */
static void drop_rights(void)
{
    enum { NOBODY = 65534 };
    if (geteuid() == 0) {
        OK(setresgid(NOBODY, NOBODY, NOBODY));
        OK(setresuid(NOBODY, NOBODY, NOBODY));
    }
    CHECK_NE(geteuid(), 0);
}

/* 5.5 A program that gave its rights away watches what it may read; others may own it. */
TEST(without_rights, "5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), directory = new_directory("dir");
    silent(kq);
    drop_rights();
    watch(kq, fd, NOTE_WRITE | NOTE_EXTEND, 1);
    watch(kq, directory, NOTE_WRITE | NOTE_DELETE, 2);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    put(fd, SIZE + 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    nothing(kq);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    change(kq, directory, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
}

/*
 * 5.5 5.3 A file that may not be read is watched, or refused with an errno: never accepted and silent. Returns its
 * descriptor, watched; another that can write is in `writer`.
 */
static int unreadable_watched(int kq, unsigned fflags, int opened, int *writer)
{
    *writer = new_file("file", SIZE);
    OK(fchmod(*writer, 0200));
    if (geteuid() == 0)
        OK(fchown(*writer, 65534, 65534));
    int fd = OK(open("file", opened));
    silent(kq);
    drop_rights();
    int error = change_errno(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, fflags, 0, 1);
    if (error != 0) {
        CHECK_EQ(error, EACCES);
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
        overwrite(*writer);
        nothing(kq);
        SKIP("a file that may not be read cannot be watched here (EACCES)");
    }
    return fd;
}

static void unreadable(unsigned fflags, int opened)
{
    int kq = queue(), writer, fd = unreadable_watched(kq, fflags, opened, &writer);
    put(writer, SIZE + 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    for (int round = 0; round < 20; round++) {
        overwrite(writer);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
        if (fflags & NOTE_ATTRIB) {
            OK(fchmod(writer, 0200));
            EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
        }
    }
    OK(ftruncate(writer, SIZE));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | (fflags & NOTE_TRUNCATE), 1);
    unready(kq);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    overwrite(writer);
    unready(kq);
}

/* 10.5 The queue polls readable, where it is looked at by the clock after a moment. */
TEST(unreadable_file_and_poll, "5.5 10.5")
{
    int kq = queue(), writer;
    int fd = unreadable_watched(kq, NOTE_WRITE, O_WRONLY, &writer);
    unready(kq);
    overwrite(writer);
    struct pollfd entry = {kq, POLLIN, 0};
    CHECK_EQ(OK(poll(&entry, 1, 5000 * patience())), 1);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
}

static void *write_to(void *argument)
{
    overwrite(*(int *)argument);
    return NULL;
}

/* 10.5 A sleeper in poll(2) hears of it, and one in kevent. */
TEST(unreadable_file_wakes_poll, "5.5 10.5 1.4")
{
    struct thread thread;
    int kq = queue(), writer;
    int fd = unreadable_watched(kq, NOTE_WRITE, O_WRONLY, &writer);
    struct pollfd one = {kq, POLLIN, 0};
    for (int round = 0; round < 3; round++) {
        unready(kq);
        start(&thread, write_to, &writer);
        CHECK_EQ(poll(&one, 1, 5000), 1);
        join(&thread);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
        unready(kq);
        start(&thread, write_to, &writer);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
        join(&thread);
    }
    sleeps(kq);
}

#ifdef NOTE_OPEN
/* 5.3 Notes that cannot be seen of it are refused. */
TEST(unreadable_file_of_which_uses_are_wanted, "5.3 5.5")
{
    int kq = queue(), writer;
    int fd = unreadable_watched(kq, NOTE_OPEN | NOTE_CLOSE_WRITE, O_WRONLY, &writer);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int other = OK(open(path, O_WRONLY));
    EXPECT_NOTES(kq, fd, NOTE_OPEN, 1);
    OK(close(other));
    EXPECT_NOTES(kq, fd, NOTE_CLOSE_WRITE, 1);
}
#endif

TEST(unreadable_file, "5.5 5.3")
{
    unreadable(NOTE_WRITE | NOTE_ATTRIB | NOTE_TRUNCATE, O_WRONLY);
}

TEST(unreadable_file_of_which_only_writes_are_wanted, "5.5 5.3")
{
    unreadable(NOTE_WRITE, O_WRONLY);
}

TEST(unreadable_path_descriptor, "5.5 5.3")
{
    unreadable(NOTE_WRITE | NOTE_ATTRIB, O_PATH);
}

/* 5.5 A descriptor that was opened while it might still be read. */
TEST(file_made_unreadable, "5.5 5.3")
{
    unreadable(NOTE_WRITE | NOTE_ATTRIB, O_RDWR);
}

/* 5.5 A process that is not dumpable, as a daemon that gave up its rights is. */
TEST(not_dumpable, "5.5")
{
    int kq = queue(), fd = new_file("file", SIZE);
    OK(prctl(PR_SET_DUMPABLE, 0));
    watch(kq, fd, NOTE_WRITE, 1);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
}

/* 5.3 5.5 A directory whose parent may not be read: its removal is told, or NOTE_DELETE is refused; all else works. */
TEST(unreadable_parent, "5.3 5.5")
{
    int kq = queue(), parent = new_directory("parent"), fd = new_directory("parent/dir");
    OK(fchmod(parent, 0300));
    if (geteuid() == 0) {
        OK(fchown(parent, 65534, 65534));
        OK(fchown(fd, 65534, 65534));
    }
    drop_rights();
    watch(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    OK(fchmod(fd, 0700));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    int error = change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_DELETE | NOTE_ATTRIB, 0, 2);
    if (error != 0) {
        CHECK_EQ(error, EACCES);
        OK(mkdirat(fd, "sub", 0700));
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
        SKIP("the removal of a directory whose parent may not be read cannot be seen here (EACCES)");
    }
    OK(unlinkat(parent, "dir", AT_REMOVEDIR));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 2);
    nothing(kq);
}

/* 5.3 5.5 No /proc: watched, or refused with an errno; never accepted and silent. */
TEST(without_proc, "5.3 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE);
    hide_proc();
    int error = change_errno(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 1);
    if (error != 0) {
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
        nothing(kq);
        SKIP("without /proc files cannot be watched here");
    }
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    nothing(kq);
}

/* 5.3 Without /proc a file is looked at: what a look cannot see is refused, and the knote stays as it was. */
TEST(notes_without_proc, "5.3 5.5 2.3")
{
    const unsigned unseen[] = {NOTE_OPEN, NOTE_CLOSE, NOTE_CLOSE_WRITE, NOTE_READ, NOTE_RENAME, NOTE_WRITE | NOTE_RENAME};
    if (strcmp(suite_backend(), "linux") != 0)
        SKIP("files are not watched through /proc there");
    int kq = queue(), fd = new_file("file", SIZE);
    hide_proc();
    for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++) {
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, unseen[i], 0, 0), ENOTSUP);
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
    }
    /* A memfd's are not told anywhere. */
    int memory = OK(memfd_create("memory", MFD_CLOEXEC));
    CHECK_EQ(change_errno(kq, memory, EVFILT_VNODE, EV_ADD, NOTE_READ, 0, 0), EINVAL);
    watch(kq, fd, NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB | NOTE_DELETE, 1);
    for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++)
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, unseen[i], 0, 2), ENOTSUP);
    OK(lseek(fd, 0, SEEK_END));
    put(fd, 1);
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 1);
    OK(fchmod(fd, 0400));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    nothing(kq);
    OK(unlink("file"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    nothing(kq);
}

#endif

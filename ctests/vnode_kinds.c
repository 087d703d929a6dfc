/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_VNODE: which descriptors it takes, and what it says of each kind of file (5.5). */
#define SUITE "vnode_kinds"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#endif

enum { SIZE = 10 };

#define GROWTH (NOTE_WRITE | NOTE_EXTEND)
/* Where the link count is not asked for. */
#define BUT_LINK (CHANGES & ~NOTE_LINK)

/* ---- No vnode ------------------------------------------------------------------------------------- */

static void refused(int kq, int fd, int error)
{
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 0), error);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, CHANGES, 0, 0), error);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD | EV_DISABLE, NOTE_DELETE, 0, 0), error);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), error == EBADF ? EBADF : ENOENT);
}

/* 5.5 pipe(2): EINVAL, both ends; other filters take them all the same. */
TEST(pipe_is_einval, "5.5")
{
    int kq = queue(), fds[2];
    pipe_pair(fds);
    refused(kq, fds[0], EINVAL);
    refused(kq, fds[1], EINVAL);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    refused(kq, fds[0], EINVAL);
    put(fds[1], 3);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 3, 1);
}

/* 5.5 Sockets: EINVAL, with a name in the file system too. */
TEST(sockets_are_einval, "5.5")
{
    static const enum kind kinds[] = {TCP, UNIX_STREAM, UNIX_DGRAM, UDP};
    int kq = queue();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct address address;
        int fd = bound(kinds[i], &address);
        refused(kq, fd, EINVAL);
        OK(close(fd));
    }
    int fds[2];
    socket_pair(fds);
    refused(kq, fds[0], EINVAL);
}

/* 5.5 A kqueue has no vnode, be it another or this one. */
TEST(kqueue_is_einval, "5.5")
{
    int kq = queue(), other = queue();
    refused(kq, other, EINVAL);
    refused(kq, kq, EINVAL);
}

#ifdef __linux__
/* 5.5 Nor what has no file behind it on Linux. */
TEST(anonymous_descriptors_are_einval, "5.5")
{
    int kq = queue();
    sigset_t none;
    sigemptyset(&none);
    refused(kq, OK(eventfd(0, 0)), EINVAL);
    refused(kq, OK(epoll_create1(0)), EINVAL);
    refused(kq, OK(timerfd_create(CLOCK_MONOTONIC, 0)), EINVAL);
    refused(kq, OK(signalfd(-1, &none, 0)), EINVAL);
    refused(kq, OK(inotify_init1(0)), EINVAL);
}
#endif

/* 2.4 1.11 A number that is no open descriptor is EBADF, whatever its size. */
TEST(closed_is_ebadf, "2.4 1.11 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE);
    OK(close(fd));
    refused(kq, fd, EBADF);
    refused(kq, -1, EBADF);
    fd = OK(open("file", O_RDONLY));
    CHECK_EQ(change_errno(kq, (uintptr_t)fd + (UINT64_C(1) << 32), EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 0), EBADF);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
}

/* ---- FIFOs and devices ------------------------------------------------------------------------------ */

/* 5.5 FIFOs have a vnode; 5.2 bytes written to it have no size. */
TEST(fifo, "5.5 5.2 5.3")
{
    int kq = queue(), fds[2];
    fifo_pair(fds);
    watch(kq, fds[0], BUT_LINK, 1);
    put(fds[1], 3);
    EXPECT_NOTES(kq, fds[0], NOTE_WRITE, 1);
    take(fds[0], 3);
    silent(kq);
    OK(chmod("fifo", 0640));
    EXPECT_NOTES(kq, fds[0], NOTE_ATTRIB, 1);
    OK(rename("fifo", "other"));
    EXPECT_NOTES(kq, fds[0], NOTE_RENAME, 1);
    OK(unlink("other"));
    EXPECT_NOTES(kq, fds[0], NOTE_DELETE, 1);
    silent(kq);
    CHECK_EQ(change_errno(kq, fds[1], EVFILT_VNODE, EV_ADD, BUT_LINK, 0, 2), 0);
}

/* 2.11 5.5 VNODE beside READ and WRITE on a FIFO's descriptors: each has its own events and its own mode. */
TEST(fifo_beside_read_and_write, "5.5 2.11 2.6 10.1")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    fifo_pair(fds);
    watch(kq, fds[0], NOTE_WRITE | NOTE_ATTRIB, 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    put(fds[1], 3);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_VNODE), fds[0], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 1);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD, 0, 3, 2);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 3, 2);
    take(fds[0], 3);
    silent(kq);
    change(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 3);
    change(kq, fds[1], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_ATTRIB, 0, 4);
    EXPECT_NEXT_ANY(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 1, 3, DATA_AT_LEAST);
    OK(chmod("fifo", 0640));
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_VNODE), fds[0], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_ATTRIB, 0, 1);
    EXPECT_EVENT(*find_event(ev, 2, fds[1], EVFILT_VNODE), fds[1], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_ATTRIB, 0, 4);
    change(kq, fds[0], EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    put(fds[1], 5);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 5, 2);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    watch(kq, fds[0], NOTE_ATTRIB, 5);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 6);
    OK(chmod("fifo", 0600));
    OK(close(fds[0]));
    EXPECT_NOTES(kq, fds[1], NOTE_ATTRIB, 4);
    silent(kq);
}

/* 5.5 Devices have a vnode, and are written as files are; they have no size. */
TEST(device, "5.5 5.2")
{
    int kq = queue(), fd = OK(open("/dev/null", O_RDWR));
    watch(kq, fd, NOTE_WRITE | NOTE_EXTEND | NOTE_DELETE | NOTE_RENAME, 1);
    put(fd, 3);
    struct kevent ev;
    wait_event(kq, &ev); /* others may write to it, too */
    EXPECT_EVENT(ev, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 1);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
}

/* ---- Files without a name --------------------------------------------------------------------------- */

/* 5.5 A file with no name left is accepted; nothing is told of what happened before. */
TEST(added_after_it_was_unlinked, "5.5 5.3")
{
    int kq = queue(), fd = new_file("file", SIZE);
    OK(unlink("file"));
    watch(kq, fd, BUT_LINK, 1);
    silent(kq);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    OK(ftruncate(fd, 0));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_TRUNCATE, 1);
    silent(kq);
}

#ifdef __linux__
/* 5.5 memfds: written, truncated, their mode set; they never had a name to lose. */
TEST(memfd, "5.5 5.2 5.3")
{
    int kq = queue(), fd = OK(memfd_create("memory", MFD_CLOEXEC));
    watch(kq, fd, CHANGES, 1);
    put(fd, SIZE);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    OK(ftruncate(fd, 3));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_TRUNCATE, 1);
    OK(ftruncate(fd, 30));
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    silent(kq);
}

/* 5.1 5.3 What becomes of a memfd at once is told at once; that the time of access was set is no rename. */
TEST(memfd_changes_add_up, "5.1 5.3 5.5")
{
    const struct timespec modified[2] = {{0, UTIME_OMIT}, {1000, 0}}, accessed[2] = {{1000, 0}, {0, UTIME_OMIT}};
    int kq = queue(), fd = OK(memfd_create("memory", MFD_CLOEXEC));
    watch(kq, fd, CHANGES, 1);
    put(fd, SIZE);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, GROWTH | NOTE_ATTRIB, 1);
    put(fd, SIZE);
    OK(futimens(fd, modified));
    EXPECT_NOTES(kq, fd, GROWTH | NOTE_ATTRIB, 1);
    OK(futimens(fd, accessed));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    silent(kq);
}

/* 5.1 5.4 What happened to a memfd before it was wanted is not told, and what was wanted then is. */
TEST(memfd_wish_changes, "2.3 5.1 5.4 5.5")
{
    int kq = queue(), fd = OK(memfd_create("memory", MFD_CLOEXEC));
    watch(kq, fd, NOTE_ATTRIB, 1);
    put(fd, SIZE);
    watch(kq, fd, NOTE_EXTEND, 2);
    silent(kq);
    put(fd, SIZE);
    watch(kq, fd, NOTE_ATTRIB, 3);
    EXPECT_NOTES(kq, fd, GROWTH, 3);
    put(fd, SIZE);
    silent(kq);
}

/* The errno of what is no note here, or of what no file's system tells. */
static void untold_is_refused(int kq, int fd, unsigned short flags, unsigned notes)
{
    int error = change_errno(kq, fd, EVFILT_VNODE, flags, notes, 0, 2);
    CHECK(error == EINVAL || error == EOPNOTSUPP);
}

/* 5.3 Of a memfd the system tells who opens it anew, and not who reads, writes or closes it: those are refused. */
TEST(memfd_uses, "5.3 5.5")
{
    int kq = queue(), fd = OK(memfd_create("memory", MFD_CLOEXEC));
    const unsigned untold[] = {NOTE_CLOSE, NOTE_CLOSE_WRITE, NOTE_READ, NOTE_WRITE | NOTE_READ, NOTE_OPEN | NOTE_CLOSE};
    for (size_t i = 0; i < sizeof untold / sizeof *untold; i++) {
        untold_is_refused(kq, fd, EV_ADD | EV_CLEAR, untold[i]);
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
    }
    watch(kq, fd, NOTE_WRITE | NOTE_EXTEND, 1);
    for (size_t i = 0; i < sizeof untold / sizeof *untold; i++)
        untold_is_refused(kq, fd, EV_ADD, untold[i]);
    put(fd, SIZE);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    silent(kq);
    /* 2.5 What is refused does not enable, either. */
    change(kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 1);
    untold_is_refused(kq, fd, EV_ADD, NOTE_READ);
    put(fd, SIZE);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
}

/* 5.5 A file on another file system than the rest, with its watch beside theirs. */
TEST(another_file_system, "5.5")
{
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
    if (fd == -1)
        SKIP("nothing is mounted at /dev/shm");
    int kq = queue(), file = new_file("file", SIZE);
    watch(kq, fd, CHANGES, 1);
    watch(kq, file, CHANGES, 2);
    put(fd, SIZE);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    overwrite(file);
    EXPECT_NOTES(kq, file, NOTE_WRITE, 2);
    OK(fchmod(fd, 0640));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    silent(kq);
}

#ifdef NOTE_OPEN
/* 5.3 5.5 Who uses it is told of a file without a name as of any other: it is no memfd. */
TEST(uses_of_a_file_without_a_name, "5.3 5.5")
{
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
    if (fd == -1)
        SKIP("nothing is mounted at /dev/shm");
    int kq = queue();
    put(fd, SIZE);
    watch(kq, fd, NOTE_READ | NOTE_WRITE, 1);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    take(fd, SIZE);
    EXPECT_NOTES(kq, fd, NOTE_READ, 1);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    silent(kq);
}
#endif

/* 5.5 A namespace is no file, whatever fstat(2) calls it. */
TEST(namespace_is_no_file, "5.5")
{
    int kq = queue(), fd = open("/proc/self/ns/mnt", O_RDONLY);
    if (fd == -1)
        SKIP("/proc knows no namespaces here");
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 0), EINVAL);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 5.5 A file born without a name, which gets one by linkat(2). */
TEST(file_born_without_a_name, "5.5 5.3")
{
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd == -1)
        SKIP("no O_TMPFILE on this file system");
    int kq = queue();
    watch(kq, fd, CHANGES, 1);
    put(fd, SIZE);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    OK(fchmod(fd, 0640));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
    append_to("named", 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    silent(kq);
}

/* ---- Ways to open ------------------------------------------------------------------------------------ */

/* 5.5 An O_PATH descriptor names the file, and neither reads nor writes it. */
TEST(path_descriptor, "5.5")
{
    int kq = queue(), writer = new_file("file", SIZE), fd = OK(open("file", O_PATH));
    watch(kq, fd, BUT_LINK, 1);
    overwrite(writer);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    append_to("file", 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    OK(rename("file", "other"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 1);
    OK(chmod("other", 0600));
    OK(unlink("other"));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB | NOTE_DELETE, 1);
    silent(kq);
}

/* 5.5 The same of a directory. */
TEST(path_descriptor_of_a_directory, "5.5 5.3")
{
    int kq = queue();
    OK(close(new_directory("dir")));
    int fd = OK(open("dir", O_PATH | O_DIRECTORY));
    watch(kq, fd, CHANGES & ~NOTE_EXTEND, 1);
    OK(mkdir("dir/sub", 0755));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_LINK, 1);
    OK(rmdir("dir/sub"));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_LINK, 1);
    watch(kq, fd, BUT_LINK, 1);
    OK(rmdir("dir"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    silent(kq);
}

/* 5.5 A symbolic link by O_PATH and O_NOFOLLOW is the file that is watched, not what it points to. */
TEST(symbolic_link, "5.5 5.3")
{
    int kq = queue(), target = new_file("file", SIZE);
    OK(symlink("file", "link"));
    int fd = OK(open("link", O_PATH | O_NOFOLLOW));
    watch(kq, fd, BUT_LINK, 1);
    overwrite(target);
    OK(fchmod(target, 0600));
    silent(kq);
    OK(fchownat(AT_FDCWD, "link", geteuid(), getegid(), AT_SYMLINK_NOFOLLOW));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    OK(rename("link", "other"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 1);
    OK(unlink("file"));
    silent(kq);
    OK(unlink("other"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    silent(kq);
}
#endif

/* 5.5 A descriptor that can only write. */
TEST(write_only_descriptor, "5.5")
{
    int kq = queue();
    OK(close(new_file("file", SIZE)));
    int fd = OK(open("file", O_WRONLY));
    watch(kq, fd, CHANGES, 1);
    put(fd, SIZE + 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    OK(link("file", "second"));
    EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
    silent(kq);
}

#endif

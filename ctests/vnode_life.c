/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_VNODE: several knotes on one file (5.5), and descriptors that are closed and come back (10.1, 10.8). */
#define SUITE "vnode_life"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

enum { SIZE = 10 };

#define GROWTH (NOTE_WRITE | NOTE_EXTEND)

/* ---- Several knotes on one file ---------------------------------------------------------------------- */

/* 5.1 Two descriptors of one file with different wishes: each hears of its own. */
TEST(two_descriptors, "5.1 5.4 5.5")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDONLY));
    watch(kq, fd, NOTE_WRITE | NOTE_LINK, 1);
    watch(kq, other, NOTE_ATTRIB | NOTE_LINK, 2);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, other, NOTE_ATTRIB, 2);
    OK(rename("file", "other"));
    silent(kq);
    OK(link("other", "second"));
    overwrite(fd);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_LINK, 0,
                 1);
    EXPECT_EVENT(*find_event(ev, 2, other, EVFILT_VNODE), other, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_LINK, 0, 2);
    silent(kq);
}

/* 5.1 Growth is reckoned for each knote since it last heard, also where the modes differ. */
TEST(two_descriptors_and_growth, "5.1 5.6")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDONLY));
    watch(kq, fd, NOTE_WRITE, 1);
    change(kq, other, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISPATCH, NOTE_EXTEND | NOTE_TRUNCATE, 0, 2);
    append_to("file", 1);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, GROWTH, 0, 1);
    EXPECT_EVENT(*find_event(ev, 2, other, EVFILT_VNODE), other, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISPATCH, GROWTH,
                 0, 2);
    append_to("file", 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    change(kq, other, EVFILT_VNODE, EV_ENABLE, 0, 0, 2);
    EXPECT_NEXT(kq, other, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISPATCH, GROWTH, 0, 2);
    silent(kq);
}

/* 5.5 A knote that comes later, with more wishes, takes nothing from the one that is there, nor does its going. */
TEST(knotes_come_and_go, "5.5 2.6")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDONLY));
    watch(kq, fd, NOTE_ATTRIB, 1);
    OK(fchmod(fd, 0600));
    watch(kq, other, NOTE_WRITE, 2);
    overwrite(fd);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_ATTRIB, 0, 1);
    EXPECT_EVENT(*find_event(ev, 2, other, EVFILT_VNODE), other, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 2);
    OK(fchmod(fd, 0640));
    change(kq, other, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    overwrite(fd);
    silent(kq);
    watch(kq, other, NOTE_WRITE, 3);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    overwrite(fd);
    EXPECT_NOTES(kq, other, NOTE_WRITE, 3);
}

/* 5.5 Every kqueue that watches a file hears of it. */
TEST(two_queues, "5.5")
{
    int one = queue(), two = queue(), fd = new_file("file", SIZE);
    watch(one, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    change(two, fd, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_WRITE, 0, 2);
    OK(fchmod(fd, 0600));
    overwrite(fd);
    EXPECT_NOTES(one, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    EXPECT_NEXT(two, fd, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_WRITE, 0, 2);
    overwrite(fd);
    EXPECT_NOTES(one, fd, NOTE_WRITE, 1);
    silent(two);
    OK(close(two));
    overwrite(fd);
    EXPECT_NOTES(one, fd, NOTE_WRITE, 1);
    silent(one);
}

/* 2.11 5.5 READ and VNODE on one descriptor, two modes, each deleted without harm to the other. */
TEST(beside_read, "2.11 3.6 5.5")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", 0);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    watch(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 2);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 2);
    append_to("file", 5);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD, 0, 5, 1);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, GROWTH, 0, 2);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 1);
    take(fd, 5);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    append_to("file", 3);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 3, 1);
    take(fd, 3);
    silent(kq);
    watch(kq, fd, NOTE_WRITE, 3);
    change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    append_to("file", 4);
    EXPECT_NOTES(kq, fd, GROWTH, 3);
    silent(kq);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 4);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 4, 4);
    take(fd, 4);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 3);
    silent(kq);
}

/* ---- 10.1, 10.8 close --------------------------------------------------------------------------------- */

/* 10.1 close removes the knotes, with what is pending. */
TEST(close_removes, "10.1 10.5")
{
    int one = queue(), two = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDWR));
    watch(one, fd, CHANGES, 1);
    watch(two, fd, CHANGES, 2);
    overwrite(other);
    OK(close(fd));
    unready(one);
    append_to("file", 1);
    OK(unlink("file"));
    silent(one);
    silent(two);
    CHECK_EQ(change_errno(one, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), EBADF);
}

/* 10.1 A dup is another descriptor: its knote lives on, and the closed one's does not. */
TEST(dup_is_another_descriptor, "10.1")
{
    int kq = queue(), fd = new_file("file", SIZE), other = OK(dup(fd)), third = OK(dup(fd));
    watch(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    watch(kq, other, NOTE_WRITE, 2);
    OK(close(fd));
    OK(fchmod(other, 0600));
    silent(kq);
    overwrite(third);
    EXPECT_NOTES(kq, other, NOTE_WRITE, 2);
    OK(close(other));
    overwrite(third);
    silent(kq);
    watch(kq, third, NOTE_WRITE, 3);
    overwrite(third);
    EXPECT_NOTES(kq, third, NOTE_WRITE, 3);
}

/* 10.1 Of two descriptors of one file one is closed: the other's wish is still heard. */
TEST(close_beside_another_descriptor, "10.1 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDWR));
    watch(kq, fd, NOTE_WRITE, 1);
    watch(kq, other, NOTE_ATTRIB, 2);
    OK(close(fd));
    overwrite(other);
    silent(kq);
    OK(fchmod(other, 0600));
    EXPECT_NOTES(kq, other, NOTE_ATTRIB, 2);
    silent(kq);
}

/* 10.1 dup2 over a watched descriptor removes its knote, whatever file it becomes - the same one, too. */
TEST(dup2_over_it, "10.1 10.8")
{
    int kq = queue(), fd = new_file("file", SIZE), same = OK(open("file", O_RDWR)), other = new_file("other", SIZE);
    watch(kq, fd, NOTE_WRITE, 1);
    OK(dup2(other, fd));
    overwrite(other);
    overwrite(same);
    silent(kq);
    watch(kq, fd, NOTE_WRITE, 2);
    overwrite(other);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
    OK(dup2(same, fd));
    watch(kq, fd, NOTE_WRITE, 3);
    overwrite(other);
    silent(kq);
    overwrite(same);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 3);
    OK(dup2(same, fd));
    overwrite(same);
    silent(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
}

static void close_as_stream(int fd)
{
    FILE *stream = fdopen(fd, "r");
    CHECK(stream != NULL);
    CHECK_EQ(fclose(stream), 0);
}

#ifdef __linux__
static void close_as_range(int fd)
{
    if (close_range((unsigned)fd, (unsigned)fd, 0) == -1)
        SKIP("no close_range here");
}
#endif

static void close_plainly(int fd)
{
    OK(close(fd));
}

/* 10.1 10.8 Closed by whatever call, and the same file opened again under the number: that is not watched. */
TEST(same_file_under_the_number, "10.1 10.8")
{
    static void (*const closers[])(int) = {
        close_plainly,
        close_as_stream,
#ifdef __linux__
        close_as_range,
#endif
    };
    int kq = queue(), writer = new_file("file", SIZE);
    for (size_t i = 0; i < sizeof closers / sizeof *closers; i++) {
        int fd = OK(open("file", O_RDONLY));
        watch(kq, fd, NOTE_WRITE, 1);
        overwrite(writer);
        if (i % 2)
            EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
        closers[i](fd);
        CHECK_EQ(open("file", O_RDONLY), fd);
        overwrite(writer);
        silent(kq);
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
        watch(kq, fd, NOTE_WRITE, 2);
        overwrite(writer);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
        OK(close(fd));
    }
}

/* 10.8 The number comes back as another file, which may have the former's inode: nothing of the former is left. */
TEST(number_comes_back, "10.8 10.1")
{
    int kq = queue(), number = -1;
    for (int round = 0; round < 100; round++) {
        int fd = new_file("file", SIZE);
        if (number == -1)
            number = fd;
        CHECK_EQ(fd, number);
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ENABLE, NOTE_WRITE, 0, 0), ENOENT);
        watch(kq, fd, CHANGES & ~NOTE_LINK, round);
        overwrite(fd);
        if (round % 3 == 0)
            EXPECT_NOTES(kq, fd, NOTE_WRITE, round);
        if (round % 2)
            OK(unlink("file"));
        else
            OK(rename("file", "old"));
        if (round % 5 == 0)
            EXPECT_NOTES(kq, fd, (round % 3 ? NOTE_WRITE : 0) | (round % 2 ? NOTE_DELETE : NOTE_RENAME), round);
        OK(close(fd));
        if (round % 7 == 0)
            silent(kq);
    }
    silent(kq);
}

/* 10.8 ...as a directory, a pipe, and a file again. */
TEST(number_comes_back_as_another_kind, "10.8 10.1 5.5")
{
    int kq = queue(), fds[2], fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES, 1);
    append_to("file", 1);
    OK(close(fd));
    CHECK_EQ(new_directory("dir"), fd);
    watch(kq, fd, NOTE_WRITE, 2);
    append_to("file", 1);
    touch_file("dir/file");
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
    OK(close(fd));
    pipe_pair(fds);
    CHECK_EQ(fds[0], fd);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 3), EINVAL);
    OK(unlink("dir/file"));
    OK(rmdir("dir"));
    OK(unlink("file"));
    silent(kq);
    OK(close(fd));
    CHECK_EQ(new_file("file", SIZE), fd);
    watch(kq, fd, CHANGES, 4);
    append_to("file", 1);
    EXPECT_NOTES(kq, fd, GROWTH, 4);
}

/* 10.8 A changelist that deletes, and adds another descriptor of the same file. */
TEST(changelist_of_one_file, "10.8 1.2")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDWR));
    watch(kq, fd, NOTE_WRITE, 1);
    for (int i = 2; i < 10; i++) {
        struct kevent changes[] = {
            EVENT(i % 2 ? other : fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0),
            EVENT(i % 2 ? fd : other, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, i),
        };
        overwrite(fd);
        CHECK_EQ(kevent(kq, changes, 2, ev, 4, &(struct timespec){0, 0}), 0);
        overwrite(fd);
        EXPECT_NOTES(kq, i % 2 ? fd : other, NOTE_WRITE, i);
        silent(kq);
    }
}

#endif

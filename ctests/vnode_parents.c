/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_VNODE: the removal of directories (5.3), which a system may see in their parents only, and what
 * parents and children hear of each other.
 */
#define SUITE "vnode_parents"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

/* Of NOTE_EXTEND and NOTE_TRUNCATE of a directory none of these cases asks. */
#define DIRECTORY_NOTES (CHANGES & ~(NOTE_EXTEND | NOTE_TRUNCATE))

/* 5.3 Removed with its parent, before either is collected. */
TEST(removed_with_its_parent, "5.3")
{
    struct kevent ev[4];
    int kq = queue(), parent = new_directory("parent"), fd = new_directory("parent/dir");
    watch(kq, fd, NOTE_DELETE, 0xfeed);
    watch(kq, parent, NOTE_DELETE, 0xbeef);
    OK(rmdir("parent/dir"));
    OK(rmdir("parent"));
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_DELETE, 0, 0xfeed);
    EXPECT_EVENT(*find_event(ev, 2, parent, EVFILT_VNODE), parent, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_DELETE, 0,
                 0xbeef);
    silent(kq);
}

/* 5.3 The parent was moved, collected, and the directory is removed then: moved again, and again. */
TEST(removed_after_its_parent_moved, "5.3")
{
    int kq = queue(), parent = new_directory("parent"), fd = new_directory("parent/dir");
    OK(close(new_directory("one")));
    OK(close(new_directory("two")));
    watch(kq, fd, NOTE_DELETE, 0xfeed);
    OK(rename("parent", "one/parent"));
    silent(kq);
    OK(rename("one/parent/dir", "two/dir"));
    silent(kq);
    OK(rename("two/dir", "dir"));
    OK(rename("dir", "one/dir"));
    OK(rmdir("one/dir"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 0xfeed);
    silent(kq);
    OK(close(parent));
}

/* 5.3 The move itself is wanted and collected before the removal. */
TEST(removed_after_its_move_was_reported, "5.3")
{
    int kq = queue(), fd = new_directory("dir");
    OK(close(new_directory("elsewhere")));
    watch(kq, fd, NOTE_DELETE | NOTE_RENAME, 0xfeed);
    for (int round = 0; round < 3; round++) {
        OK(rename("dir", "elsewhere/dir"));
        EXPECT_NOTES(kq, fd, NOTE_RENAME, 0xfeed);
        OK(rename("elsewhere/dir", "dir"));
        EXPECT_NOTES(kq, fd, NOTE_RENAME, 0xfeed);
    }
    OK(rename("dir", "elsewhere/dir"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 0xfeed);
    OK(rmdir("elsewhere/dir"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 0xfeed);
    silent(kq);
    CHECK(is_open(fd));
}

/* 5.3 Its end is seen when a sibling's is told; what is told of its own end after that is not an attribute. */
TEST(replaced_after_a_sibling_was_removed, "5.3")
{
    int kq = queue();
    OK(mkdir("parent", 0755));
    OK(mkdir("parent/sibling", 0755));
    OK(mkdir("parent/another", 0755));
    int fd = new_directory("parent/dir");
    watch(kq, fd, NOTE_DELETE | NOTE_ATTRIB, 0xfeed);
    OK(rmdir("parent/sibling"));
    OK(rename("parent/another", "parent/dir"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 0xfeed);
    silent(kq);
}

/* 5.3 A thread that sleeps hears of the removal. */
TEST(removal_wakes_a_waiter, "5.3")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    int fd = new_directory("dir");
    OK(close(new_directory("elsewhere")));
    watch(waiter.kq, fd, NOTE_DELETE, 0xfeed);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    OK(rename("dir", "elsewhere/dir"));
    until_asleep(&thread);
    OK(rmdir("elsewhere/dir"));
    join(&thread);
    EXPECT_EVENT(waiter.ev, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_DELETE, 0, 0xfeed);
}

/* 5.3 Many of one parent: each hears of its own removal only. */
TEST(siblings_are_told_apart, "5.3")
{
    enum { N = 20 };
    int kq = queue(), fds[N];
    char path[32];
    OK(close(new_directory("parent")));
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "parent/%d", i);
        fds[i] = new_directory(path);
        watch(kq, fds[i], NOTE_DELETE | NOTE_RENAME, i);
    }
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "parent/%d", (i * 7) % N);
        OK(rmdir(path));
        EXPECT_NOTES(kq, fds[(i * 7) % N], NOTE_DELETE, (i * 7) % N);
        touch_file(path);
        silent(kq);
    }
}

/* 5.2 5.3 Two knotes, on a directory and on its parent: each has its own. */
TEST(parent_and_child, "5.1 5.2 5.3")
{
    struct kevent ev[4];
    int kq = queue(), parent = new_directory("parent"), fd = new_directory("parent/dir");
    watch(kq, parent, DIRECTORY_NOTES & ~NOTE_DELETE, 0xbeef);
    watch(kq, fd, DIRECTORY_NOTES & ~NOTE_LINK, 0xfeed);
    touch_file("parent/dir/file");
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 0xfeed);
    touch_file("parent/file");
    EXPECT_NOTES(kq, parent, NOTE_WRITE, 0xbeef);
    OK(chmod("parent/dir", 0700));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 0xfeed);
    OK(rename("parent/dir", "parent/renamed"));
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, parent, EVFILT_VNODE), parent, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0,
                 0xbeef);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_RENAME, 0, 0xfeed);
    OK(unlink("parent/renamed/file"));
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 0xfeed);
    OK(rmdir("parent/renamed"));
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, parent, EVFILT_VNODE), parent, EVFILT_VNODE, EV_ADD | EV_CLEAR,
                 NOTE_WRITE | NOTE_LINK, 0, 0xbeef);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_DELETE, 0, 0xfeed);
    silent(kq);
}

/* 5.3 5.4 The parent's knote goes: the child's removal is told all the same; and the other way round. */
TEST(child_outlives_the_parents_knote, "5.3 2.6")
{
    int kq = queue(), parent = new_directory("parent"), fd = new_directory("parent/dir");
    watch(kq, parent, NOTE_WRITE, 0xbeef);
    watch(kq, fd, NOTE_DELETE, 0xfeed);
    change(kq, parent, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    touch_file("parent/file");
    silent(kq);
    watch(kq, parent, NOTE_WRITE, 0xbeef);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    touch_file("parent/second");
    EXPECT_NOTES(kq, parent, NOTE_WRITE, 0xbeef);
    watch(kq, fd, NOTE_DELETE, 0xfeed);
    OK(close(parent));
    OK(rmdir("parent/dir"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 0xfeed);
    silent(kq);
}

/* 5.3 Moved below a parent that is watched itself, and removed from there; that parent's knote goes before. */
TEST(moved_below_a_watched_parent, "5.2 5.3 2.6")
{
    struct kevent ev[4];
    int kq = queue(), one = new_directory("one"), two = new_directory("two"), fd = new_directory("one/dir");
    watch(kq, fd, NOTE_DELETE, 0xfeed);
    watch(kq, two, NOTE_WRITE | NOTE_LINK, 2);
    OK(rename("one/dir", "two/dir"));
    EXPECT_NOTES(kq, two, NOTE_WRITE | NOTE_LINK, 2);
    silent(kq);
    touch_file("one/file");
    silent(kq);
    touch_file("two/file");
    EXPECT_NOTES(kq, two, NOTE_WRITE, 2);
    change(kq, two, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    touch_file("two/other");
    silent(kq);
    watch(kq, two, NOTE_LINK, 3);
    watch(kq, one, NOTE_WRITE | NOTE_LINK, 1);
    OK(rename("two/dir", "one/dir"));
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, two, EVFILT_VNODE), two, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_LINK, 0, 3);
    EXPECT_EVENT(*find_event(ev, 2, one, EVFILT_VNODE), one, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_LINK, 0,
                 1);
    OK(close(two));
    OK(close(one));
    OK(rmdir("one/dir"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 0xfeed);
    silent(kq);
}

/* 5.4 Removed where that was not wanted; then wanted: it is over, and not told any more. */
TEST(unwanted_removal, "5.4 5.5")
{
    int kq = queue(), fd = new_directory("dir");
    watch(kq, fd, NOTE_ATTRIB, 0xfeed);
    OK(rmdir("dir"));
    silent(kq);
    watch(kq, fd, NOTE_ATTRIB | NOTE_DELETE, 0xfeed);
    silent(kq);
    OK(fchmod(fd, 0700));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 0xfeed);
}

/* 5.5 A directory that was removed before EV_ADD is accepted. */
TEST(added_after_it_was_removed, "5.5")
{
    int kq = queue(), fd = new_directory("dir");
    OK(rmdir("dir"));
    watch(kq, fd, DIRECTORY_NOTES, 0xfeed);
    silent(kq);
    OK(fchmod(fd, 0700));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 0xfeed);
    silent(kq);
}

/* 5.5 The root of the file system is a directory, though it has no parent. */
TEST(root_directory, "5.5")
{
    int kq = queue(), fd = OK(open("/", O_RDONLY | O_DIRECTORY));
    watch(kq, fd, NOTE_DELETE | NOTE_RENAME, 0xfeed);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
}

/* 5.1 A directory's events add up, too. */
TEST(events_of_a_directory_add_up, "5.1 5.2 5.3")
{
    int kq = queue(), fd = new_directory("dir");
    watch(kq, fd, DIRECTORY_NOTES, 0xfeed);
    touch_file("dir/file");
    OK(chmod("dir", 0700));
    OK(mkdir("dir/sub", 0755));
    OK(rename("dir", "renamed"));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_ATTRIB | NOTE_LINK | NOTE_RENAME, 0xfeed);
    silent(kq);
    touch_file("renamed/other");
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 0xfeed);
}

/* 5.2 A file and its directory are watched: each has its own. */
TEST(file_and_its_directory, "5.1 5.2 5.3")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_directory("dir"), file = new_file("dir/file", 10);
    watch(kq, fd, DIRECTORY_NOTES, 1);
    watch(kq, file, CHANGES & ~NOTE_LINK, 2);
    append_to("dir/file", 1);
    EXPECT_NOTES(kq, file, NOTE_WRITE | NOTE_EXTEND, 2);
    OK(fchmod(file, 0600));
    EXPECT_NOTES(kq, file, NOTE_ATTRIB, 2);
    OK(fchmod(fd, 0700));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    OK(rename("dir/file", "dir/other"));
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 1);
    EXPECT_EVENT(*find_event(ev, 2, file, EVFILT_VNODE), file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_RENAME, 0, 2);
    OK(unlink("dir/other"));
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 1);
    EXPECT_EVENT(*find_event(ev, 2, file, EVFILT_VNODE), file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_DELETE, 0, 2);
    silent(kq);
}

/* 5.2 Entries with the longest names, more than any buffer holds. */
TEST(long_names, "5.2 5.3")
{
    enum { LENGTH = 250 };
    char path[LENGTH + 16];
    int kq = queue(), fd = new_directory("dir");
    watch(kq, fd, DIRECTORY_NOTES, 1);
    for (int i = 0; i < 200; i++) {
        int used = snprintf(path, sizeof path, "dir/%03d", i);
        memset(path + used, 'x', LENGTH - 3);
        path[4 + LENGTH] = '\0';
        touch_file(path);
    }
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    silent(kq);
    OK(unlink(path));
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    silent(kq);
}

struct renamer {
    const char *names[2];
    int fd;
    int rounds;
};

/* Renames back and forth, and sets the mode of the directory at the end. */
static void *rename_to_and_fro(void *argument)
{
    struct renamer *self = argument;
    for (int i = 0; i < self->rounds; i++)
        OK(rename(self->names[i % 2], self->names[1 - i % 2]));
    OK(fchmod(self->fd, 0700));
    return NULL;
}

/* 5.3 A subdirectory renamed inside is not NOTE_LINK, however often, and whenever that is collected. */
static void renames_within(int while_collected)
{
    static char names[2][256];
    struct thread thread;
    struct kevent ev;
    for (int i = 0; i < 2; i++) {
        snprintf(names[i], sizeof names[i], "dir/%d", i);
        memset(names[i] + 5, 'x', 190 + 10 * (size_t)i);
    }
    int kq = queue(), fd = new_directory("dir");
    OK(mkdir(names[0], 0755));
    struct renamer renamer = {{names[0], names[1]}, fd, 3000};
    watch(kq, fd, NOTE_LINK | NOTE_ATTRIB, 1);
    if (while_collected)
        start(&thread, rename_to_and_fro, &renamer);
    else
        rename_to_and_fro(&renamer);
    CHECK_EQ(collect(kq, &ev, 1), 1);
    EXPECT_EVENT(ev, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_ATTRIB, 0, 1);
    if (while_collected)
        join(&thread);
    silent(kq);
}

TEST(renames_within_collected_afterwards, "5.3")
{
    renames_within(0);
}

TEST(renames_within_while_collected, "5.3")
{
    renames_within(1);
}

/* 5.3 A tree is removed from its leaves up: each directory hears of its own end. */
TEST(tree_is_removed, "5.3")
{
    enum { DEPTH = 6 };
    struct kevent ev[DEPTH + 1];
    int kq = queue(), fds[DEPTH];
    char path[64] = "top";
    for (int i = 0; i < DEPTH; i++) {
        fds[i] = new_directory(path);
        watch(kq, fds[i], NOTE_DELETE, i);
        strcat(path, "/sub");
    }
    for (int i = DEPTH - 1; i >= 0; i--) {
        *strrchr(path, '/') = '\0';
        OK(rmdir(path));
    }
    CHECK_EQ(collect(kq, ev, DEPTH + 1), DEPTH);
    for (int i = 0; i < DEPTH; i++)
        EXPECT_EVENT(*find_event(ev, DEPTH, fds[i], EVFILT_VNODE), fds[i], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_DELETE,
                     0, i);
    silent(kq);
}

#endif

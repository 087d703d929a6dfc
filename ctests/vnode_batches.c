/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_VNODE: what is told where much happened before it is collected, or where nobody wanted to know of some
 * of it: nothing is lost, nothing is made up (5.1 to 5.4).
 */
#define SUITE "vnode_batches"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

#define SIZE 10

/* 5.2 5.3 A subdirectory that is made and moved away was moved. */
TEST(made_and_moved_away, "5.2 5.3")
{
    int kq = queue(), fd = new_directory("d");
    OK(mkdir("elsewhere", 0755));
    watch(kq, fd, NOTE_EXTEND | NOTE_LINK, 1);
    OK(mkdir("d/sub", 0755));
    OK(rename("d/sub", "elsewhere/sub"));
    EXPECT_NOTES(kq, fd, NOTE_EXTEND | NOTE_LINK, 1);
    silent(kq);
}

/* 5.3 One that was made, or moved in, and reported, and is moved away then. */
TEST(moved_away_after_it_was_reported, "5.2 5.3")
{
    int kq = queue(), fd = new_directory("d");
    OK(mkdir("elsewhere", 0755));
    watch(kq, fd, NOTE_LINK, 1);
    OK(mkdir("d/sub", 0755));
    EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
    for (int i = 0; i < 3; i++) {
        OK(rename("d/sub", "elsewhere/sub"));
        EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
        OK(rename("elsewhere/sub", "d/sub"));
        EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
    }
    OK(mkdir("d/second", 0755));
    OK(rmdir("d/second"));
    EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
    OK(rename("d/sub", "elsewhere/sub"));
    EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
    silent(kq);
}

/* 5.3 The same where the directory's mode was set before. */
TEST(mode_set_and_subdirectory_moved_away, "5.2 5.3")
{
    int kq = queue(), fd = new_directory("d");
    OK(mkdir("elsewhere", 0755));
    OK(mkdir("d/sub", 0755));
    watch(kq, fd, NOTE_ATTRIB | NOTE_LINK, 1);
    OK(chmod("d", 0700));
    OK(rename("d/sub", "elsewhere/sub"));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB | NOTE_LINK, 1);
    silent(kq);
}

/* 5.2 5.4 It is told, too, beside a knote that has not been told of all that happened before. */
TEST(moved_away_beside_a_disabled_knote, "5.2 5.4")
{
    int kq = queue(), fd = new_directory("d"), other = OK(open("d", O_RDONLY));
    OK(mkdir("elsewhere", 0755));
    watch(kq, fd, NOTE_EXTEND, 1);
    change(kq, other, EVFILT_VNODE, EV_ADD | EV_DISABLE | EV_CLEAR, NOTE_LINK, 0, 2);
    OK(mkdir("d/a", 0755));
    silent(kq);
    OK(mkdir("d/b", 0755));
    silent(kq);
    OK(mkdir("d/c", 0755));
    OK(rename("d/a", "elsewhere/a"));
    EXPECT_NEXT_ANY(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_EXTEND, 0, 1, NOTE_WRITE);
}

/* 5.3 A subdirectory made does not hide that the mode was set. */
TEST(mode_set_after_a_subdirectory_was_made, "5.3")
{
    int kq = queue();
    OK(mkdir("p", 0755));
    OK(mkdir("p/sibling", 0755));
    int fd = new_directory("p/d");
    watch(kq, fd, NOTE_ATTRIB | NOTE_DELETE, 1);
    OK(mkdir("p/d/sub", 0755));
    OK(rmdir("p/sibling"));
    OK(chmod("p/d", 0700));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    silent(kq);
}

/* 2.9 5.1 A directory goes on being told of when a watched subdirectory moves out between look and report. */
TEST(parent_of_a_moved_subdirectory, "2.9 5.1")
{
    int kq = queue(), fd = new_directory("p"), sub = new_directory("p/sub"), second = OK(open("p", O_RDONLY));
    OK(mkdir("q", 0755));
    watch(kq, fd, NOTE_WRITE, 1);
    for (int i = 0; i < 6; i++) {
        watch(kq, sub, NOTE_DELETE, 2);
        touch_file("p/file");
        /* Takes in what has happened until now. */
        watch(kq, second, NOTE_DELETE, 3);
        OK(rename("p/sub", "q/sub"));
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
        OK(unlink("p/file"));
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
        change(kq, second, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
        OK(rename("q/sub", "p/sub"));
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    }
}

/* 5.4 2.5 A directory removed while its knote is disabled, and another one's knote is added before it is enabled. */
TEST(removed_while_disabled_beside_a_new_knote, "2.5 5.3 5.4")
{
    int kq = queue();
    OK(mkdir("p", 0755));
    OK(mkdir("p/other", 0755));
    int fd = new_directory("p/d"), second = new_directory("p/second");
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_DISABLE | EV_CLEAR, NOTE_LINK, 0, 1);
    OK(rmdir("p/other"));
    silent(kq);
    OK(rmdir("p/d"));
    silent(kq);
    watch(kq, second, NOTE_DELETE, 2);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
    silent(kq);
}

/* 5.3 10.5 The end of the last name, which a system may call the end of its watch, beside a younger knote. */
TEST(last_name_goes_and_a_knote_is_added, "5.3 10.5")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", SIZE), second = OK(dup(fd));
    OK(link("file", "name"));
    watch(kq, fd, NOTE_DELETE, 1);
    OK(unlink("file"));
    silent(kq);
    OK(unlink("name"));
    watch(kq, second, NOTE_WRITE, 2);
    CHECK(readable(kq));
    CHECK_EQ(collect(kq, ev, 4), 1);
    EXPECT_EVENT(ev[0], fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_DELETE, 0, 1);
    silent(kq);
    overwrite(fd);
    EXPECT_NOTES(kq, second, NOTE_WRITE, 2);
#ifdef NOTE_OPEN
    watch(kq, fd, NOTE_OPEN, 1);
#endif
    silent(kq);
}

/* 5.1 5.3 The same: what happened to the file between the end and the younger knote is told, and nothing made up. */
static void last_name_goes(unsigned wish, int grows, unsigned expected)
{
    int kq = queue(), fd = new_file("file", SIZE), second = OK(dup(fd));
    OK(link("file", "name"));
    watch(kq, fd, wish, 1);
    OK(unlink("file"));
    silent(kq);
    OK(unlink("name"));
    if (grows)
        OK(ftruncate(fd, SIZE + 1));
    watch(kq, second, NOTE_ATTRIB, 2);
    EXPECT_NOTES(kq, fd, expected, 1);
    silent(kq);
    OK(ftruncate(fd, SIZE + 2));
    if (wish & (NOTE_WRITE | NOTE_EXTEND))
        EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 1);
    silent(kq);
}

TEST(last_name_goes_and_the_file_grows_before_a_knote_is_added, "5.1 5.3")
{
    last_name_goes(NOTE_DELETE | NOTE_EXTEND, 1, NOTE_DELETE | NOTE_WRITE | NOTE_EXTEND);
}

TEST(last_name_goes_and_nothing_else_happens, "5.3 5.4")
{
    last_name_goes(NOTE_DELETE | NOTE_WRITE | NOTE_ATTRIB, 0, NOTE_DELETE);
}

/* 5.1 5.4 What happened before a knote was added is the older knote's alone, collected or not. */
TEST(written_before_a_knote_is_added, "5.1 5.4")
{
    int kq = queue(), fd = new_file("file", SIZE), second = OK(open("file", O_RDONLY));
    watch(kq, fd, CHANGES, 1);
    append_to("file", 1);
    OK(fchmod(fd, 0600));
    watch(kq, second, CHANGES, 2);
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB, 1);
    silent(kq);
}

/* 2.5 5.4 So it is where the older knote is disabled, and what came to nothing is not told to it any more. */
TEST(grown_while_disabled_before_a_knote_is_added, "2.5 5.1 5.4")
{
    int kq = queue(), fd = new_file("file", SIZE), second = OK(open("file", O_RDONLY));
    watch(kq, fd, NOTE_EXTEND, 1);
    change(kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 1);
    for (int i = 0; i < 3; i++) {
        overwrite(fd);
        silent(kq);
    }
    append_to("file", 1);
    watch(kq, second, CHANGES, 2);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 1);
    silent(kq);
}

/* 2.3 5.1 More is wanted by one of two knotes: the other goes on. */
TEST(wish_beside_another_knote, "2.3 5.1")
{
    int kq = queue(), fd = new_file("file", SIZE), second = OK(open("file", O_RDONLY));
    watch(kq, fd, NOTE_WRITE, 1);
    watch(kq, second, NOTE_RENAME, 2);
    watch(kq, second, NOTE_LINK, 2);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    OK(link("file", "name"));
    EXPECT_NOTES(kq, second, NOTE_LINK, 2);
    silent(kq);
}

/* 5.3 Renaming a directory above is not renaming the file, also where only its name would tell. */
TEST(directory_above_is_renamed, "5.3 5.5")
{
    int kq = queue();
    OK(mkdir("above", 0755));
    int fd = new_file("above/file", SIZE);
    OK(link("above/file", "second"));
    watch(kq, fd, NOTE_RENAME | NOTE_DELETE, 1);
    OK(rename("above", "beyond"));
    OK(unlink("beyond/file"));
    silent(kq);
    OK(unlink("second"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    silent(kq);
}

/* 5.3 Nor is it one that a descriptor of another name of the file is watched, or no more. */
TEST(names_by_two_descriptors, "5.3 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE);
    OK(link("file", "name"));
    OK(link("file", "last"));
    int second = OK(open("name", O_RDONLY));
    watch(kq, fd, NOTE_RENAME, 1);
    watch(kq, second, NOTE_RENAME, 2);
    OK(unlink("name"));
    OK(unlink("file"));
    OK(unlink("last"));
    silent(kq);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_VNODE: several events of one file, together (5.1) and after each other (5.3). */
#define SUITE "vnode_events"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

enum { SIZE = 10 };

/* 5.1 Events add up until they are reported, in one event; 2.9 what was reported is not reported again. */
TEST(events_add_up, "5.1 2.9")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES, 0xfeed);
    overwrite(fd);
    OK(fchmod(fd, 0600));
    OK(link("file", "second"));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_ATTRIB | NOTE_LINK, 0xfeed);
    silent(kq);
    OK(rename("file", "other"));
    append_to("other", 1);
    OK(unlink("second"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME | NOTE_WRITE | NOTE_EXTEND | NOTE_LINK, 0xfeed);
    for (int i = 0; i < 100; i++)
        overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 0xfeed);
    silent(kq);
}

/* 5.1 Each event by itself, when each is collected, on one knote. */
TEST(one_event_after_the_other, "5.1 5.2 5.3")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES & ~NOTE_LINK, 0xfeed);
    for (int round = 0; round < 3; round++) {
        append_to("file", 3);
        EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 0xfeed);
        OK(truncate("file", SIZE));
        EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_TRUNCATE, 0xfeed);
        overwrite(fd);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 0xfeed);
        OK(fchmod(fd, 0600));
        EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 0xfeed);
        OK(rename("file", "other"));
        EXPECT_NOTES(kq, fd, NOTE_RENAME, 0xfeed);
        OK(rename("other", "file"));
        EXPECT_NOTES(kq, fd, NOTE_RENAME, 0xfeed);
        OK(link("file", "other"));
        silent(kq);
        OK(unlink("other"));
        silent(kq);
    }
    OK(unlink("file"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 0xfeed);
    silent(kq);
}

/* 5.3 Two names more, or less, with a write in between: both were seen at once, and none is an attribute. */
TEST(names_on_both_sides_of_a_write, "5.1 5.3")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES, 0xfeed);
    OK(link("file", "second"));
    overwrite(fd);
    OK(link("file", "third"));
    EXPECT_NOTES(kq, fd, NOTE_LINK | NOTE_WRITE, 0xfeed);
    OK(unlink("file"));
    overwrite(fd);
    OK(unlink("second"));
    EXPECT_NOTES(kq, fd, NOTE_LINK | NOTE_WRITE, 0xfeed);
    silent(kq);
    OK(link("third", "fourth"));
    overwrite(fd);
    OK(chmod("third", 0600));
    EXPECT_NOTES(kq, fd, NOTE_LINK | NOTE_WRITE | NOTE_ATTRIB, 0xfeed);
    silent(kq);
}

/* 5.1 5.3 The time of modification is set after a write, before either is collected: both are told. */
TEST(grown_and_dated_back, "5.1 5.2 5.3")
{
    const unsigned wishes[] = {CHANGES, NOTE_ATTRIB | NOTE_EXTEND, NOTE_ATTRIB | NOTE_WRITE};
    int kq = queue(), fd = new_file("file", SIZE);
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        watch(kq, fd, wishes[i], 0xfeed);
        append_to("file", 1);
        OK(futimens(fd, (struct timespec[2]){{0, UTIME_OMIT}, {1000 + (time_t)i, 0}}));
        EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB, 0xfeed);
        silent(kq);
    }
}

/* 5.3 The watch follows a renamed file, and has nothing of the one that takes its name. */
TEST(watch_follows_the_file, "5.3")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES, 0xfeed);
    OK(mkdir("elsewhere", 0755));
    OK(rename("file", "elsewhere/other"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 0xfeed);
    int successor = new_file("file", SIZE);
    overwrite(successor);
    OK(fchmod(successor, 0600));
    OK(link("file", "link"));
    OK(rename("file", "gone"));
    OK(unlink("gone"));
    silent(kq);
    append_to("elsewhere/other", 1);
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 0xfeed);
    OK(chmod("elsewhere/other", 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 0xfeed);
    OK(unlink("elsewhere/other"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE | NOTE_LINK, 0xfeed);
}

/* 5.3 NOTE_DELETE is told once; the descriptor stays valid, and the knote with it. */
TEST(deleted_file_is_still_watched, "5.3 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES & ~NOTE_LINK, 0xfeed);
    OK(unlink("file"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 0xfeed);
    silent(kq);
    CHECK(is_open(fd));
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 0xfeed);
    OK(ftruncate(fd, SIZE + 5));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 0xfeed);
    OK(ftruncate(fd, 0));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_TRUNCATE, 0xfeed);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 0xfeed);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
}

/* 5.3 5.5 The last name is gone and the file was still written before that is collected. */
TEST(written_after_it_was_deleted, "5.1 5.3 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES & ~NOTE_LINK, 0xfeed);
    overwrite(fd);
    OK(unlink("file"));
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_DELETE | NOTE_ATTRIB, 0xfeed);
    silent(kq);
}

/*
 * 5.3 5.5 The last name to go is not the one that was opened. (Linux forgets its watch then, though the file is
 * open.) What happens to the file after that is heard.
 */
static void opened_name_goes_first(int collected)
{
    int kq = queue(), fd = new_file("file", SIZE);
    OK(link("file", "second"));
    watch(kq, fd, CHANGES & ~NOTE_LINK, 0xfeed);
    OK(unlink("file"));
    if (collected)
        silent(kq);
    OK(unlink("second"));
    if (collected) {
        EXPECT_NOTES(kq, fd, NOTE_DELETE, 0xfeed);
        OK(ftruncate(fd, SIZE + 1));
        EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 0xfeed);
    } else {
        OK(ftruncate(fd, SIZE + 1));
        EXPECT_NOTES(kq, fd, NOTE_DELETE | NOTE_WRITE | NOTE_EXTEND, 0xfeed);
    }
    silent(kq);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 0xfeed);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 0xfeed);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
}

TEST(opened_name_goes_first, "5.3 5.5")
{
    opened_name_goes_first(1);
}

TEST(opened_name_goes_first_and_nothing_is_collected, "5.3 5.5 5.6")
{
    opened_name_goes_first(0);
}

/* 5.3 5.5 The same where another file is renamed over the last name, and of two knotes, one of READ. */
TEST(opened_name_goes_and_another_is_replaced, "5.3 5.5 3.6")
{
    struct kevent ev[4];
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDONLY));
    OK(link("file", "second"));
    take(other, SIZE);
    watch(kq, fd, NOTE_DELETE | NOTE_WRITE, 1);
    change(kq, other, EVFILT_READ, EV_ADD, 0, 0, 2);
    OK(unlink("file"));
    touch_file("another");
    OK(rename("another", "second"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    silent(kq);
    OK(ftruncate(fd, SIZE + 2));
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_EXTEND, 0,
                 1);
    EXPECT_EVENT(*find_event(ev, 2, other, EVFILT_READ), other, EVFILT_READ, EV_ADD, 0, 2, 2);
}

/* 5.1 5.4 What changed before it was wanted is not taken for a change when something else happens. */
static void earlier_changes_are_not_new(int kq, int other)
{
    int fd = new_file("file", SIZE);
    if (other) /* keeps all of it watched */
        watch(kq, OK(open("file", O_RDONLY)), NOTE_RENAME, 2);
    watch(kq, fd, other ? 0 : NOTE_RENAME, 1);
    append_to("file", 5);
    OK(link("file", "second"));
    silent(kq);
    watch(kq, fd, CHANGES, 1);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    watch(kq, fd, NOTE_ATTRIB, 1);
    OK(ftruncate(fd, 1));
    OK(unlink("second"));
    silent(kq);
    watch(kq, fd, CHANGES, 1);
    overwrite(fd);
    OK(fchmod(fd, 0640));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    watch(kq, fd, NOTE_ATTRIB, 1);
    OK(unlink("file"));
    silent(kq);
    watch(kq, fd, CHANGES, 1);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    silent(kq);
}

TEST(earlier_changes_are_not_new, "5.1 5.4")
{
    earlier_changes_are_not_new(queue(), 0);
}

TEST(earlier_changes_are_not_new_beside_another_knote, "5.1 5.4")
{
    earlier_changes_are_not_new(queue(), 1);
}

/* 5.2 5.4 Growth is growth since the last look, also where the shrinking before it was not wanted; and back. */
TEST(growth_after_unwanted_shrinking, "5.2 5.4 5.6")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_EXTEND, 1);
    OK(ftruncate(fd, 2));
    silent(kq);
    append_to("file", 3);
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 1);
    if (NOTE_TRUNCATE == 0)
        return;
    watch(kq, fd, NOTE_TRUNCATE, 1);
    append_to("file", 10);
    silent(kq);
    OK(ftruncate(fd, 14));
    EXPECT_NOTES(kq, fd, NOTE_TRUNCATE, 1);
    silent(kq);
}

/* 5.2 Sizes are told apart beyond 32 bits. */
TEST(sizes_beyond_32_bits, "5.2")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES, 1);
    if (ftruncate(fd, (INT64_C(1) << 32) + SIZE) == -1)
        SKIP("no files beyond 4 GiB here");
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 1);
    OK(ftruncate(fd, (INT64_C(2) << 32) + SIZE - 1));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 1);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    OK(ftruncate(fd, (INT64_C(1) << 32) + SIZE));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_TRUNCATE, 1);
    silent(kq);
}

#ifdef NOTE_OPEN
/* 5.3 All of them on one knote, beside the notes of changes. */
TEST(uses_and_changes_add_up, "5.1 5.3")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES | USES, 0xfeed);
    int other = OK(open("file", O_RDWR | O_APPEND));
    EXPECT_NOTES(kq, fd, NOTE_OPEN, 0xfeed);
    take(other, SIZE);
    put(other, 1);
    EXPECT_NOTES(kq, fd, NOTE_READ | NOTE_WRITE | NOTE_EXTEND, 0xfeed);
    OK(close(other));
    EXPECT_NOTES(kq, fd, NOTE_CLOSE_WRITE, 0xfeed);
    OK(close(OK(open("file", O_RDONLY))));
    EXPECT_NOTES(kq, fd, NOTE_OPEN | NOTE_CLOSE, 0xfeed);
    silent(kq);
}

/* 5.3 To run a program is to open it (others may run this one meanwhile), and not to open it for writing. */
TEST(executing_is_opening, "5.3")
{
    int kq = queue();
    int fd = OK(open(helper_path(), O_RDONLY));
    watch(kq, fd, NOTE_OPEN | NOTE_CLOSE_WRITE, 0xfeed);
    pid_t child = OK(fork());
    if (child == 0)
        exec_helper("vnode_nothing", "");
    child_succeeds(child);
    EXPECT_NOTES(kq, fd, NOTE_OPEN, 0xfeed);
}

HELPER(vnode_nothing)
{
    (void)argument;
    return 0;
}
#endif

#endif

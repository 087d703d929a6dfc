/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_VNODE: what the queue says to poll(2) and to sleepers (10.5), and when it wakes them. */
#define SUITE "vnode_queue"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

#include <sys/select.h>

enum { SIZE = 10 };

#define GROWTH (NOTE_WRITE | NOTE_EXTEND)

static int selectable(int fd)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return OK(select(fd + 1, &set, NULL, NULL, &(struct timeval){0, 0}));
}

/* 10.5 The queue polls readable exactly while there is something, and so do select and another kqueue say. */
TEST(queue_polls_readable, "10.5 3.8")
{
    int outer = queue(), kq = queue(), fd = new_file("file", SIZE);
    look_often(kq);
    change(outer, kq, EVFILT_READ, EV_ADD, 0, 0, 1);
    watch(kq, fd, NOTE_WRITE, 2);
    for (int round = 0; round < 5; round++) {
        nothing(outer);
        CHECK(!readable(kq));
        CHECK(!selectable(kq));
        overwrite(fd);
        CHECK(readable(kq));
        CHECK(readable(kq));
        CHECK(selectable(kq));
        EXPECT_NEXT_ANY(outer, kq, EVFILT_READ, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
        EXPECT_NEXT_ANY(outer, kq, EVFILT_READ, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
        nothing(kq);
    }
}

/* 10.5 A level event keeps it readable; deleting the knote ends that. */
TEST(level_keeps_it_readable, "10.5 2.10")
{
    int outer = queue(), kq = queue(), fd = new_file("file", SIZE);
    look_often(kq);
    change(outer, kq, EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 2);
    overwrite(fd);
    for (int round = 0; round < 3; round++) {
        CHECK(readable(kq));
        EXPECT_NEXT_ANY(outer, kq, EVFILT_READ, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
        EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 2);
    }
    change(kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 2);
    unready(kq);
    nothing(outer);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 2);
    CHECK(readable(kq));
    EXPECT_NEXT_ANY(outer, kq, EVFILT_READ, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 2);
    unready(kq);
    nothing(outer);
}

static void *poll_for_ever(void *argument)
{
    struct pollfd one = {*(int *)argument, POLLIN, 0};
    CHECK_EQ(poll(&one, 1, -1), 1);
    CHECK_EQ(one.revents, POLLIN);
    return NULL;
}

/* 10.5 A thread in poll(2) on the queue is woken. */
TEST(event_wakes_poll, "10.5")
{
    struct thread thread;
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_WRITE, 1);
    for (int round = 0; round < 3; round++) {
        start(&thread, poll_for_ever, &kq);
        until_asleep(&thread);
        append_to("file", 1);
        join(&thread);
        EXPECT_NOTES(kq, fd, GROWTH, 1);
        nothing(kq);
    }
}

/* 1.4 A thread that is blocked in kevent is woken by each event, and not by unwanted ones. */
TEST(event_wakes_kevent, "1.4 5.4")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    int fd = new_file("file", SIZE);
    watch(waiter.kq, fd, NOTE_EXTEND, 1);
    for (int round = 0; round < 3; round++) {
        start(&thread, wait_one, &waiter);
        until_asleep(&thread);
        OK(fchmod(fd, 0600));
        overwrite(fd);
        until_asleep(&thread);
        append_to("file", 1);
        join(&thread);
        EXPECT_EVENT(waiter.ev, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, GROWTH, 0, 1);
    }
}

/* 10.5 Neither poll nor kevent spins over what kevent has discarded: each event is one wake-up at most. */
TEST(discarded_events_do_not_spin, "10.5 5.4")
{
    int kq = queue(), fd = new_file("file", SIZE), off = new_file("off", SIZE), directory = new_directory("dir");
    watch(kq, fd, NOTE_EXTEND, 1);
    change(kq, off, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISABLE, CHANGES, 0, 2);
    watch(kq, directory, NOTE_DELETE, 3);
    for (int round = 0; round < 5; round++) {
        overwrite(fd);
        OK(fchmod(fd, 0600));
        overwrite(off);
        touch_file("dir/file");
        OK(unlink("dir/file"));
        int wakeups = 0;
        while (readable(kq)) {
            nothing(kq);
            wakeups++;
            CHECK_LE(wakeups, 5);
        }
        unready(kq);
    }
    sleeps(kq);
    OK(close(off));
    OK(close(directory));
    OK(rmdir("dir"));
    unready(kq);
    sleeps(kq);
}

/* Until kevent has seen that it comes to nothing: the first time it may be pending from then on. */
static void comes_to_nothing(int kq, void (*act)(int), int fd)
{
    for (int i = 0; i < 2; i++) {
        act(fd);
        unready(kq);
    }
    for (int i = 0; i < 3; i++) {
        act(fd);
        CHECK(!readable(kq));
    }
    unready(kq);
}

static void write_and_read(int fd)
{
    char byte;
    overwrite(fd);
    CHECK_EQ(pread(fd, &byte, 1, 0), 1);
}

static void remove_sibling(int fd)
{
    (void)fd;
    OK(mkdir("sibling", 0755));
    OK(rmdir("sibling"));
}

/* 2.5 10.5 A file that is written on and on does not wake anybody while its knote is disabled, or has it pending. */
TEST(disabled_knotes_are_left_alone, "2.5 5.4 10.5")
{
    int kq = queue(), fd = new_file("file", SIZE), directory = new_directory("dir");
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISABLE, NOTE_EXTEND, 0, 1);
    comes_to_nothing(kq, write_and_read, fd);
    append_to("file", 1);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    overwrite(fd);
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_DISABLE, NOTE_WRITE, 0, 1);
    comes_to_nothing(kq, write_and_read, fd);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    change(kq, directory, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISABLE, NOTE_DELETE, 0, 2);
    comes_to_nothing(kq, remove_sibling, directory);
    OK(rmdir("dir"));
    change(kq, directory, EVFILT_VNODE, EV_ENABLE, 0, 0, 2);
    EXPECT_NOTES(kq, directory, NOTE_DELETE, 2);
    silent(kq);
}

/* 2.6 10.5 Nor does what a knote wanted that has gone, beside another one of the file. */
TEST(what_the_other_knote_wanted_is_left_alone, "2.6 5.4 10.5")
{
    int kq = queue(), fd = new_file("file", SIZE), second = OK(open("file", O_RDONLY));
    watch(kq, fd, NOTE_RENAME, 1);
    watch(kq, second, NOTE_WRITE, 2);
    overwrite(fd);
    EXPECT_NOTES(kq, second, NOTE_WRITE, 2);
    change(kq, second, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    comes_to_nothing(kq, write_and_read, fd);
    OK(rename("file", "renamed"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 1);
    silent(kq);
}

/* 1.4 A knote that is added, or enabled with an event kept, while a thread waits, wakes it. */
TEST(knote_added_while_a_thread_waits, "1.4 2.5")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    int fd = new_file("file", SIZE), directory = new_directory("dir");
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    watch(waiter.kq, fd, NOTE_WRITE, 1);
    overwrite(fd);
    join(&thread);
    EXPECT_EVENT(waiter.ev, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 1);
    change(waiter.kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 1);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    overwrite(fd);
    until_asleep(&thread);
    change(waiter.kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 2);
    join(&thread);
    EXPECT_EVENT(waiter.ev, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 2);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    watch(waiter.kq, directory, NOTE_DELETE, 3);
    OK(rmdir("dir"));
    join(&thread);
    EXPECT_EVENT(waiter.ev, directory, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_DELETE, 0, 3);
}

static void *set_modes(void *argument)
{
    int fd = *(int *)argument;
    for (int i = 0; i < 200; i++) {
        OK(fchmod(fd, i % 2 ? 0600 : 0640));
        overwrite(fd);
    }
    return NULL;
}

/* 1.4 5.4 Unwanted events do not cut a time-out short, nor end a wait. */
TEST(unwanted_events_do_not_cut_a_time_out, "1.4 5.4")
{
    struct thread thread;
    struct kevent ev;
    struct timespec timeout = duration(100 * MILLISECOND);
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_LINK | NOTE_EXTEND, 1);
    start(&thread, set_modes, &fd);
    int64_t before = now();
    CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &timeout), 0);
    CHECK_GE(now() - before, 100 * MILLISECOND);
    join(&thread);
    silent(kq);
}

struct writer {
    int fd;
    int acknowledged[2];
};

/* Each write waits until the one before was reported. */
static void *write_and_wait(void *argument)
{
    struct writer *writer = argument;
    char byte;
    for (int i = 0; i < 1000; i++) {
        overwrite(writer->fd);
        CHECK_EQ(read(writer->acknowledged[0], &byte, 1), 1);
    }
    return NULL;
}

/* 1.4 2.9 No event is lost, whenever it comes: each is reported, and once. */
TEST(no_event_is_lost, "1.4 2.9 5.1")
{
    struct thread thread;
    struct writer writer;
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    writer.fd = OK(open("file", O_RDWR));
    pipe_pair(writer.acknowledged);
    start(&thread, write_and_wait, &writer);
    for (int i = 0; i < 1000; i++) {
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
        put(writer.acknowledged[1], 1);
    }
    join(&thread);
    silent(kq);
}

#endif

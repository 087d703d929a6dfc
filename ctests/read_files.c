/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_READ on regular files: ready while the offset is not the size.
 */
#define SUITE "read_files"
#include "suite.h"

#include "sockets.h"

#include <stdio.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

/* A file of `n` bytes named `file` in the scratch directory, open for both, its offset 0. */
static int file_of(size_t n)
{
    int fd = OK(open("file", O_RDWR | O_CREAT | O_TRUNC, 0600));
    put(fd, n);
    OK(lseek(fd, 0, SEEK_SET));
    return fd;
}

/* `n` bytes more at the end of the file, by a descriptor of its own. */
static void grow(const char *path, size_t n)
{
    int fd = OK(open(path, O_WRONLY | O_APPEND));
    put(fd, n);
    OK(close(fd));
}

/* 3.6 Ready when offset != size; data = size - offset, at every call. 3.6 Not ready at the end. */
TEST(data_is_what_is_left, "3.6 2.10 1.15")
{
    int kq = queue(), fd = file_of(100);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 100, 0xfeed);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 100, 0xfeed);
    take(fd, 60);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 40, 0xfeed);
    take(fd, 40);
    nothing(kq);
    nothing(kq);
}

/* 3.6 An empty file is at its end; 10.5 kevent sleeps beside it. 3.6 Ready again when it grows, each time. */
TEST(growth_makes_ready, "3.6 10.5")
{
    int kq = queue(), fd = file_of(0);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    sleeps(kq);
    for (int round = 1; round <= 5; round++) {
        CHECK(!readable(kq));
        grow("file", 10 * (size_t)round);
        EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 10 * round, 0xfeed);
        CHECK(readable(kq));
        take(fd, 10 * (size_t)round);
        nothing(kq);
    }
}

/* 3.6 Growth by the same descriptor that does not move the offset; writing moves it to the end. */
TEST(growth_by_the_same_descriptor, "3.6")
{
    int kq = queue(), fd = file_of(10);
    OK(lseek(fd, 0, SEEK_END));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    nothing(kq);
    put(fd, 5);
    nothing(kq);
    CHECK_EQ(pwrite(fd, "1234567", 7, 15), 7);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 7, 0);
    OK(lseek(fd, 0, SEEK_END));
    nothing(kq);
    OK(ftruncate(fd, 50));
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 28, 0);
}

/* 3.6 A write that does not change the size leaves a file at its end not ready. */
TEST(overwriting_is_not_growth, "3.6")
{
    int kq = queue(), fd = file_of(10);
    OK(lseek(fd, 0, SEEK_END));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    CHECK_EQ(pwrite(fd, "12345", 5, 0), 5);
    nothing(kq);
    nothing(kq);
    CHECK(!readable(kq));
    grow("file", 1);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 1, 0);
}

/* 3.6 A thread that waits at the end of the file hears of the growth. */
TEST(growth_wakes_a_waiter, "3.6 1.4")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    int fd = file_of(10);
    take(fd, 10);
    change(waiter.kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    for (int round = 0; round < 3; round++) {
        start(&thread, wait_one, &waiter);
        until_asleep(&thread);
        grow("file", 5);
        join(&thread);
        EXPECT_EVENT(waiter.ev, fd, EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
        take(fd, 5);
    }
}

/* 3.6 Another process may write it. */
TEST(growth_by_another_process, "3.6")
{
    struct waiter waiter = {.kq = queue()};
    int fd = file_of(10);
    take(fd, 10);
    change(waiter.kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(waiter.kq);
    pid_t child = OK(fork());
    if (child == 0) {
        grow("file", 5);
        _exit(0);
    }
    wait_event(waiter.kq, &waiter.ev);
    EXPECT_EVENT(waiter.ev, fd, EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    child_succeeds(child);
}

/* 3.6 Nothing that is written is missed: a reader that waits at every end gets all of it. */
static void *write_slowly(void *argument)
{
    (void)argument;
    int fd = OK(open("file", O_WRONLY | O_APPEND));
    for (int round = 0; round < 500; round++) {
        put(fd, 3);
        if (round % 7 == 0)
            pause_briefly();
    }
    OK(close(fd));
    return NULL;
}

TEST(growth_is_never_missed, "3.6")
{
    struct thread thread;
    int kq = queue(), fd = file_of(0);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    start(&thread, write_slowly, NULL);
    for (intptr_t left = 1500; left > 0;) {
        struct kevent ev;
        wait_event(kq, &ev);
        EXPECT_EVENT_ANY(ev, fd, EVFILT_READ, EV_ADD, 0, 1, 0, DATA_AT_LEAST);
        CHECK_LE(ev.data, left);
        take(fd, (size_t)ev.data);
        left -= ev.data;
    }
    join(&thread);
    nothing(kq);
}

/* 3.6 Ready again when the offset moves, which is seen at the next call; data is negative past the end. */
TEST(offset_moves, "3.6")
{
    int kq = queue(), fd = file_of(100);
    OK(lseek(fd, 0, SEEK_END));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    nothing(kq);
    OK(lseek(fd, 30, SEEK_SET));
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 70, 0);
    OK(lseek(fd, 100, SEEK_SET));
    nothing(kq);
    OK(lseek(fd, 130, SEEK_SET));
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, -30, 0);
    OK(lseek(fd, 0, SEEK_SET));
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 100, 0);
}

/* 3.6 A descriptor's dup has the same offset. */
TEST(offset_moves_by_a_dup, "3.6")
{
    int kq = queue(), fd = file_of(100), other = OK(dup(fd));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    take(other, 100);
    nothing(kq);
    OK(lseek(other, 99, SEEK_SET));
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 1, 0);
}

/* 3.6 Truncation below the offset: ready, data negative; to the offset: not ready. */
TEST(truncation, "3.6")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    int fd = file_of(100);
    take(fd, 50);
    change(waiter.kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    EXPECT_NEXT(waiter.kq, fd, EVFILT_READ, EV_ADD, 0, 50, 0xfeed);
    OK(truncate("file", 50));
    nothing(waiter.kq);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    OK(truncate("file", 20));
    join(&thread);
    EXPECT_EVENT(waiter.ev, fd, EVFILT_READ, EV_ADD, 0, -30, 0xfeed);
    OK(truncate("file", 0));
    EXPECT_NEXT(waiter.kq, fd, EVFILT_READ, EV_ADD, 0, -50, 0xfeed);
    OK(lseek(fd, 0, SEEK_SET));
    nothing(waiter.kq);
}

/* 3.6 data is right past 4 GiB, forwards and backwards. */
TEST(data_beyond_32_bits, "3.6")
{
    struct kevent ev[1];
    int64_t big = (INT64_C(5) << 32) + 7;
    int kq = queue(), fd = file_of(0);
    if (ftruncate(fd, big) == -1)
        SKIP("no files beyond 4 GiB here");
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    memset(ev, 0xff, sizeof ev);
    CHECK_EQ(collect(kq, ev, 1), 1);
    EXPECT_EVENT(ev[0], fd, EVFILT_READ, EV_ADD, 0, big, 0);
    OK(lseek(fd, 2 * big, SEEK_SET));
    memset(ev, 0x11, sizeof ev);
    CHECK_EQ(collect(kq, ev, 1), 1);
    EXPECT_EVENT(ev[0], fd, EVFILT_READ, EV_ADD, 0, -big, 0);
    OK(lseek(fd, INT64_C(7) << 32, SEEK_SET));
    OK(ftruncate(fd, (INT64_C(3) << 32)));
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, -(INT64_C(4) << 32), 0);
    OK(lseek(fd, INT64_C(3) << 32, SEEK_SET));
    nothing(kq);
}

/* 3.6 2.9 With EV_CLEAR a file is reported once, and again when it grows, with what was left counted. */
TEST(clear_reports_growth, "3.6 2.9")
{
    int kq = queue(), fd = file_of(100);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 100, 0);
    nothing(kq);
    take(fd, 30);
    grow("file", 10);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 80, 0);
    nothing(kq);
    take(fd, 80);
    nothing(kq);
    grow("file", 1);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 0);
}

/* 3.6 2.7 2.8 One-shot and dispatch wait at the end of the file, and report once. */
TEST(once_modes_report_growth, "3.6 2.7 2.8")
{
    int kq = queue(), fd = file_of(0);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 0);
    nothing(kq);
    grow("file", 10);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 10, 0);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 0, 0);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 10, 0);
    grow("file", 10);
    nothing(kq);
    change(kq, fd, EVFILT_READ, EV_ENABLE, 0, 0, 0);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 20, 0);
    nothing(kq);
    take(fd, 20);
    change(kq, fd, EVFILT_READ, EV_ENABLE, 0, 0, 0);
    nothing(kq);
    grow("file", 1);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 1, 0);
}

/* 3.6 2.5 A disabled knote is silent while the file grows; what is there is reported on EV_ENABLE. */
TEST(growth_while_disabled, "3.6 2.2 2.5")
{
    int kq = queue(), other = queue(), fd = file_of(0);
    change(other, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 0xfeed);
    grow("file", 10);
    EXPECT_NEXT(other, fd, EVFILT_READ, EV_ADD, 0, 10, 0);
    nothing(kq);
    change(kq, fd, EVFILT_READ, EV_ENABLE, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 10, 0xfeed);
    change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    nothing(kq);
    EXPECT_NEXT(other, fd, EVFILT_READ, EV_ADD, 0, 10, 0);
}

/* 3.6 1.14 A file that shrank back to the offset before collection has nothing to report. */
TEST(growth_that_was_taken_back, "3.6 1.14")
{
    int kq = queue(), fd = file_of(0);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    grow("file", 10);
    OK(truncate("file", 0));
    nothing(kq);
    grow("file", 3);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3, 0);
}

/* 3.6 NOTE_FILE_POLL: always ready, at the end and past it. 2.1 EV_ADD takes it away and gives it. */
TEST(file_poll_is_always_ready, "3.6 2.1")
{
    int kq = queue(), fd = file_of(10);
    change(kq, fd, EVFILT_READ, EV_ADD, NOTE_FILE_POLL, 0, 0xfeed);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 10, 0xfeed);
    take(fd, 10);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    OK(lseek(fd, 15, SEEK_SET));
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, -5, 0xfeed);
    OK(lseek(fd, 10, SEEK_SET));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    change(kq, fd, EVFILT_READ, EV_ADD, NOTE_FILE_POLL, 0, 0xfeed);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
}

/* 3.6 NOTE_FILE_POLL on an empty file, in one knote only. */
TEST(file_poll_is_of_one_knote, "3.6")
{
    int kq = queue(), other = queue(), fd = file_of(0);
    change(other, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_ONESHOT, NOTE_FILE_POLL, 0, 0);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 0);
    nothing(kq);
    nothing(other);
}

/* 3.6 Two descriptors of one file have an offset each. */
TEST(two_descriptors_of_one_file, "3.6")
{
    struct kevent ev[4];
    int kq = queue(), fd = file_of(10), other = OK(open("file", O_RDONLY));
    take(fd, 10);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    change(kq, other, EVFILT_READ, EV_ADD, 0, 0, 0xbeef);
    EXPECT_NEXT(kq, other, EVFILT_READ, EV_ADD, 0, 10, 0xbeef);
    take(other, 10);
    nothing(kq);
    grow("file", 5);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    EXPECT_EVENT(*find_event(ev, 2, other, EVFILT_READ), other, EVFILT_READ, EV_ADD, 0, 5, 0xbeef);
    change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    take(other, 5);
    nothing(kq);
    grow("file", 7);
    EXPECT_NEXT(kq, other, EVFILT_READ, EV_ADD, 0, 7, 0xbeef);
}

/* 3.6 2.9 What has grown is reported by the call that reports another descriptor of the same file. */
TEST(growth_beside_another_of_the_same_file, "3.6 2.9")
{
    struct kevent ev[4], add;
    int kq = queue(), fd = file_of(10), other = OK(open("file", O_RDONLY));
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 10, 0xfeed);
    grow("file", 5);
    add = EVENT(other, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0xbeef);
    CHECK_EQ(kevent(kq, &add, 1, ev, 4, &(struct timespec){0, 0}), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 15, 0xfeed);
    EXPECT_EVENT(*find_event(ev, 2, other, EVFILT_READ), other, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 15, 0xbeef);
    nothing(kq);
}

/* 3.6 A file that was renamed or unlinked still grows for its descriptor. */
TEST(growth_without_a_name, "3.6")
{
    int kq = queue(), fd = file_of(0);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    OK(rename("file", "other"));
    nothing(kq);
    grow("other", 5);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 0);
    take(fd, 5);
    OK(unlink("other"));
    nothing(kq);
    CHECK_EQ(pwrite(fd, "12345", 5, 5), 5);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 0);
    take(fd, 5);
    change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0);
    nothing(kq);
    CHECK_EQ(pwrite(fd, "123", 3, 10), 3);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 3, 0);
}

#ifdef __linux__
/* 3.6 A memfd is a regular file, and grows like one. */
TEST(memfd_grows, "3.6")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    int fd = OK(memfd_create("memory", MFD_CLOEXEC));
    change(waiter.kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(waiter.kq);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    CHECK_EQ(pwrite(fd, "12345", 5, 0), 5);
    join(&thread);
    EXPECT_EVENT(waiter.ev, fd, EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
}

/* 3.6 2.9 The same with EV_CLEAR, not all of it read. */
TEST(memfd_grows_after_it_was_reported, "3.6 2.9")
{
    struct waiter waiter = {.kq = queue()};
    struct thread thread;
    int fd = OK(memfd_create("memory", MFD_CLOEXEC));
    CHECK_EQ(pwrite(fd, "12345", 5, 0), 5);
    change(waiter.kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
    EXPECT_NEXT(waiter.kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 0xfeed);
    nothing(waiter.kq);
    start(&thread, wait_one, &waiter);
    until_asleep(&thread);
    CHECK_EQ(pwrite(fd, "6789", 4, 5), 4);
    join(&thread);
    EXPECT_EVENT(waiter.ev, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 9, 0xfeed);
    nothing(waiter.kq);
}
#endif

/* 3.6 4.3 READ at the end of a file beside WRITE, which is always ready. */
TEST(read_beside_write, "3.6 4.3 2.11")
{
    struct kevent ev[4];
    int kq = queue(), fd = file_of(0);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    change(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    EXPECT_NEXT(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    grow("file", 5);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    EXPECT_EVENT(*find_event(ev, 2, fd, EVFILT_WRITE), fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    change(kq, fd, EVFILT_WRITE, EV_DELETE, 0, 0, 0);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
}

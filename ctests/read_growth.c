/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_READ on regular files that grow (3.6): by which calls, whom it wakes, and what becomes of the knote
 * when the descriptor, the queue or the process goes.
 */
#define SUITE "read_growth"
#include "suite.h"

#include "sockets.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/uio.h>

#ifdef __linux__
#include <sys/sendfile.h>
#endif

enum { SIZE = 10 };

/* A file of SIZE bytes, open for both, its offset at the end. */
static int file_at_its_end(const char *path)
{
    int fd = OK(open(path, O_RDWR | O_CREAT | O_EXCL, 0644));
    put(fd, SIZE);
    return fd;
}

static void grow(const char *path, size_t n)
{
    int fd = OK(open(path, O_WRONLY | O_APPEND));
    put(fd, n);
    OK(close(fd));
}

/* ---- No descriptor left ------------------------------------------------------------------------------- */

struct wait {
    int kq;
    const struct timespec *timeout;
    struct kevent ev;
    int count;
};

static void *wait_so_long(void *argument)
{
    struct wait *wait = argument;
    wait->count = kevent(wait->kq, NULL, 0, &wait->ev, 1, wait->timeout);
    return NULL;
}

/* 3.6 A file that grows wakes who waits, though the process had no descriptor left for what tells of it. */
TEST(grows_where_no_descriptor_is_left, "3.6 1.4")
{
    struct rlimit limit;
    const struct timespec half = duration(SECOND / 2), long_time = duration(4 * SECOND);
    const struct timespec *timeouts[] = {NULL, &half, &long_time};
    int kq = queue(), fd = file_at_its_end("file");
    int writer = OK(open("file", O_WRONLY | O_APPEND));
    change(kq, 9, EVFILT_USER, EV_ADD, 0, 0, 0);
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 20;
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    while (dup(fd) != -1)
        continue;
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    for (int i = 0; i < 3; i++) {
        struct thread thread = {0};
        struct wait wait = {.kq = kq, .timeout = timeouts[i]};
        start(&thread, wait_so_long, &wait);
        until_asleep(&thread);
        put(writer, 3);
        join(&thread);
        CHECK_EQ(wait.count, 1);
        EXPECT_EVENT(wait.ev, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3 * (i + 1), 1);
    }
    nothing(kq);
}

/* ---- By which calls ------------------------------------------------------------------------------------ */

/* 3.6 The file grows by whatever call, and what does not make it grow does not make it ready. */
TEST(every_way_to_grow, "3.6")
{
    int kq = queue(), fd = file_at_its_end("file");
    int other = OK(open("file", O_RDWR | O_APPEND));
    int source = OK(open("source", O_RDWR | O_CREAT, 0600));
    struct iovec parts[] = {{"12", 2}, {"345", 3}};
    put(source, 100);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    for (int way = 0; way < 7; way++) {
        intptr_t grown = 5;
        OK(fchmod(other, way % 2 ? 0600 : 0640));
        OK(rename("file", "renamed"));
        OK(rename("renamed", "file"));
        nothing(kq);
        OK(lseek(source, 0, SEEK_SET));
        off_t end = lseek(fd, 0, SEEK_END);
        switch (way) {
        case 0:
            CHECK_EQ(writev(other, parts, 2), 5);
            break;
        case 1:
            CHECK_EQ(pwrite(fd, "12345", 5, end), 5);
            break;
        case 2:
            OK(ftruncate(fd, end + 5));
            break;
        case 3:
            CHECK_EQ(pwrite(fd, "1", 1, end + 4), 1);
            break;
#ifdef __linux__
        case 4: {
            int writer = OK(open("file", O_WRONLY));
            OK(lseek(writer, 0, SEEK_END));
            CHECK_EQ(sendfile(writer, source, NULL, 5), 5);
            OK(close(writer));
            break;
        }
        case 5: {
            int writer = OK(open("file", O_WRONLY));
            OK(lseek(writer, 0, SEEK_END));
            if (copy_file_range(source, NULL, writer, NULL, 5, 0) != 5)
                put(writer, 5);
            OK(close(writer));
            break;
        }
        case 6:
            if (fallocate(fd, 0, end, 5) == -1)
                grow("file", 5);
            break;
#endif
        default:
            grow("file", 5);
        }
        EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, grown, 1);
        OK(lseek(fd, 0, SEEK_END));
        nothing(kq);
        CHECK(!readable(kq));
    }
}

/* 3.6 A log that is emptied and written anew: data is negative, then nothing, then what is past the offset. */
TEST(emptied_and_written_anew, "3.6")
{
    int kq = queue(), fd = file_at_its_end("file");
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    int writer = OK(open("file", O_WRONLY | O_TRUNC | O_APPEND));
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, -SIZE, 1);
    put(writer, 4);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 4 - SIZE, 1);
    put(writer, SIZE - 4);
    nothing(kq);
    put(writer, 3);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 3, 1);
}

/* 3.6 2.14 EV_CLEAR: EV_ADD and EV_ENABLE report what still holds, and nothing at the end. */
TEST(clear_and_changes, "3.6 2.9 2.14")
{
    int kq = queue(), fd = file_at_its_end("file");
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    grow("file", 5);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 1);
    nothing(kq);
    change(kq, fd, EVFILT_READ, EV_ENABLE, 0, 0, 2);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 2);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 3);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 5, 3);
    nothing(kq);
    take(fd, 5);
    change(kq, fd, EVFILT_READ, EV_ENABLE, 0, 0, 4);
    nothing(kq);
    CHECK(!readable(kq));
}

/* 3.6 2.9 Growth that was read before it was collected is news all the same: the offset may move back into it. */
TEST(clear_and_an_offset_in_what_grew, "3.6 2.9")
{
    int kq = queue(), fd = file_at_its_end("file");
    OK(lseek(fd, 0, SEEK_SET));
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, SIZE, 1);
    take(fd, SIZE);
    nothing(kq);
    grow("file", 3);
    take(fd, 3);
    nothing(kq);
    OK(lseek(fd, -2, SEEK_END));
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 2, 1);
    nothing(kq);
}

/* 3.6 10.5 A file that is written on and on does not wake anybody while its knote is disabled. */
TEST(disabled_at_the_end, "2.5 3.6 10.5")
{
    int kq = queue(), fd = file_at_its_end("file");
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    nothing(kq);
    change(kq, fd, EVFILT_READ, EV_DISABLE, 0, 0, 1);
    grow("file", 1);
    while (readable(kq))
        nothing(kq);
    for (int i = 0; i < 3; i++) {
        grow("file", 1);
        CHECK(!readable(kq));
    }
    change(kq, fd, EVFILT_READ, EV_ENABLE, 0, 0, 1);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 4, 1);
}

/* 2.12 3.6 EV_FORCEONESHOT at the end of a file: data 0, and the knote is gone. */
TEST(forced_at_the_end, "2.12 3.6")
{
    int kq = queue(), fd = file_at_its_end("file");
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, fd, EVFILT_READ, EV_FORCEONESHOT, 0, 0, 2);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 2);
    grow("file", 5);
    nothing(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 2.6 Deleted while growth is pending: gone; and added again it is ready, since there is something to read. */
TEST(delete_with_pending_growth, "2.6 3.6")
{
    int kq = queue(), fd = file_at_its_end("file");
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    grow("file", 5);
    change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    nothing(kq);
    CHECK(!readable(kq));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 2);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 2);
}

/* ---- Whom it wakes ----------------------------------------------------------------------------------------- */

/* 10.5 poll, select and an outer kqueue hear of growth, and of nothing when it was read. */
TEST(growth_makes_the_queue_readable, "10.5 3.6 3.8")
{
    int outer = queue(), kq = queue(), fd = file_at_its_end("file");
    change(outer, kq, EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 2);
    for (int round = 0; round < 3; round++) {
        fd_set set;
        nothing(kq);
        nothing(outer);
        FD_ZERO(&set);
        FD_SET(kq, &set);
        CHECK_EQ(select(kq + 1, &set, NULL, NULL, &(struct timeval){0, 0}), 0);
        grow("file", 5);
        FD_SET(kq, &set);
        CHECK_EQ(select(kq + 1, &set, NULL, NULL, NULL), 1);
        CHECK(readable(kq));
        EXPECT_NEXT_ANY(outer, kq, EVFILT_READ, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
        EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 2);
        CHECK(readable(kq));
        take(fd, 5);
    }
}

static void *poll_for_ever(void *argument)
{
    struct pollfd one = {*(int *)argument, POLLIN, 0};
    CHECK_EQ(poll(&one, 1, -1), 1);
    return NULL;
}

TEST(growth_wakes_poll, "10.5 3.6")
{
    struct thread thread;
    int kq = queue(), fd = file_at_its_end("file");
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    nothing(kq);
    start(&thread, poll_for_ever, &kq);
    until_asleep(&thread);
    grow("file", 5);
    join(&thread);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 1);
}

/* 10.5 Writes that do not make it grow wake nobody for ever: each is one wake-up at most. */
TEST(overwriting_does_not_spin, "10.5 3.6")
{
    int kq = queue(), fd = file_at_its_end("file");
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    for (int round = 0; round < 5; round++) {
        CHECK_EQ(pwrite(fd, "1", 1, 0), 1);
        for (int wakeups = 0; readable(kq); wakeups++) {
            nothing(kq);
            CHECK_LE(wakeups, 1);
        }
    }
    sleeps(kq);
}

/* 1.12 Many files that grow together, more than fit. */
TEST(many_files_grow, "1.12 3.6")
{
    enum { N = 200 };
    static int fds[N], seen[N];
    char path[32];
    int kq = queue();
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "file%d", i);
        fds[i] = file_at_its_end(path);
        change(kq, fds[i], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, i);
    }
    nothing(kq);
    for (int i = 0; i < N; i++)
        CHECK_EQ(pwrite(fds[i], "1234567", (size_t)(1 + i % 7), SIZE), 1 + i % 7);
    for (int left = N; left > 0;) {
        struct kevent ev[33];
        int n = collect(kq, ev, 33);
        CHECK_EQ(n, left < 33 ? left : 33);
        for (int i = 0; i < n; i++) {
            size_t which = (size_t)ev[i].udata;
            CHECK(which < N && !seen[which]);
            seen[which] = 1;
            EXPECT_EVENT(ev[i], fds[which], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1 + which % 7, which);
        }
        left -= n;
    }
    nothing(kq);
    CHECK(!readable(kq));
}

/* ---- Descriptors, queues, processes ------------------------------------------------------------------------ */

/* 10.1 close removes it with growth pending; a dup, which shares the offset, is another knote. */
TEST(close_with_pending_growth, "10.1 3.6")
{
    int kq = queue(), fd = file_at_its_end("file"), other = OK(dup(fd));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    change(kq, other, EVFILT_READ, EV_ADD, 0, 0, 2);
    nothing(kq);
    grow("file", 5);
    OK(close(fd));
    EXPECT_NEXT(kq, other, EVFILT_READ, EV_ADD, 0, 5, 2);
    OK(close(other));
    grow("file", 5);
    nothing(kq);
    CHECK(!readable(kq));
}

/* 10.8 The number comes back as another file, whose end is elsewhere. */
TEST(number_comes_back, "10.8 3.6")
{
    int kq = queue();
    for (int round = 0; round < 50; round++) {
        int fd = file_at_its_end("file");
        CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
        change(kq, fd, EVFILT_READ, EV_ADD | (round % 2 ? EV_CLEAR : 0), 0, 0, round);
        if (round % 3)
            grow("file", 1 + (size_t)round);
        if (round % 3 == 1)
            EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | (round % 2 ? EV_CLEAR : 0), 0, 1 + round, round);
        OK(close(fd));
        if (round % 5 == 0)
            nothing(kq);
        OK(unlink("file"));
    }
    nothing(kq);
    CHECK(!readable(kq));
}

/* 10.3 A child has none of the library's descriptors, and the parent's knote goes on. */
TEST(child_has_no_descriptors_of_ours, "10.3 3.6")
{
    int fd = file_at_its_end("file"), before = open_descriptors(), kq = queue();
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    nothing(kq);
    pid_t child = OK(fork());
    if (child == 0) {
        CHECK_EQ(open_descriptors(), before);
        OK(close(fd));
        grow("file", 5);
        _exit(0);
    }
    child_succeeds(child);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, 5, 1);
}

/* 10.2 Queue after queue waits at the end of a file: nothing of them is left. */
TEST(close_of_the_queue_frees_all, "10.2 3.6")
{
    int fd = file_at_its_end("file"), before = open_descriptors();
    for (int round = 0; round < 200; round++) {
        int kq = queue();
        change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
        nothing(kq);
        if (round % 2) {
            CHECK_EQ(pwrite(fd, "1", 1, SIZE), 1);
            OK(ftruncate(fd, SIZE));
        }
        OK(close(kq));
        CHECK_EQ(open_descriptors(), before);
    }
}

/* 3.6 Waiting at the end of a file leaves the process its locks, too. */
TEST(locks_stay, "3.6 5.5")
{
    int kq = queue(), fd = file_at_its_end("file");
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    OK(fcntl(fd, F_SETLK, &lock));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    nothing(kq);
    change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    pid_t child = OK(fork());
    if (child == 0) {
        OK(fcntl(fd, F_GETLK, &lock));
        CHECK_EQ(lock.l_type, F_WRLCK);
        _exit(0);
    }
    child_succeeds(child);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Section 10: the kqueue as a descriptor. It can be polled, selected and put into an epoll or another
 * kqueue (10.5, 3.8), duplicated (10.7), it needs no descriptors for what is none, and works whatever the
 * numbers are.
 */
#define SUITE "descriptor"
#include "suite.h"

#include "sockets.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/select.h>

#ifdef __linux__
#include <sys/epoll.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct timespec no_wait = {0, 0};

/* What poll(2) says of a descriptor whose peer's end has arrived, whatever is left to read. */
#ifdef POLLRDHUP
#define PEER_GONE(kind) ((short)((kind) == PIPE ? POLLHUP : POLLRDHUP))
#else
#define PEER_GONE(kind) POLLHUP
#endif

static int selects_readable(int fd)
{
    fd_set set;
    struct timeval zero = {0, 0};
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return OK(select(fd + 1, &set, NULL, NULL, &zero)) == 1 && FD_ISSET(fd, &set);
}

/* Another kqueue, and where there is one an epoll, that watch `kq`: level. */
struct watchers {
    int kq;
    int outer;
    int epoll;
};

static struct watchers watch(int kq)
{
    struct watchers w = {kq, queue(), -1};
    change(w.outer, kq, EVFILT_READ, EV_ADD, 0, 0, 0xAB);
#ifdef __linux__
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
    w.epoll = OK(epoll_create1(EPOLL_CLOEXEC));
    OK(epoll_ctl(w.epoll, EPOLL_CTL_ADD, kq, &event));
#endif
    return w;
}

/* All of them say the same: poll, select, epoll, and EVFILT_READ of the other kqueue. */
static void all_say(const struct watchers *w, int is_readable, const char *when)
{
    struct kevent ev[2];
    struct timespec moment = duration(is_readable * grace() * MILLISECOND);
    int polled = readable(w->kq), selected = selects_readable(w->kq);
    int outer = OK(kevent(w->outer, NULL, 0, ev, 2, &moment));
    int in_epoll = is_readable;
#ifdef __linux__
    struct epoll_event event;
    in_epoll = OK(epoll_wait(w->epoll, &event, 1, 0));
#endif
    if (polled != is_readable || selected != is_readable || outer != is_readable || in_epoll != is_readable)
        FAIL("%s: poll %d, select %d, epoll %d, kqueue %d; expected %d", when, polled, selected, in_epoll, outer,
             is_readable);
    if (outer)
        EXPECT_EVENT_ANY(ev[0], w->kq, EVFILT_READ, EV_ADD, 0, 1, 0xAB, DATA_AT_LEAST);
}

/* ---- 10.5 --------------------------------------------------------------------------------------- */

/* 10.5 A kqueue is readable exactly while kevent would return something: nothing at first. */
TEST(empty_queue_is_not_readable, "10.5")
{
    int kq = queue(), fds[2];
    struct watchers w = watch(kq);
    all_say(&w, 0, "empty");
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
    change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 0);
    nothing(kq);
    all_say(&w, 0, "nothing pending");
}

/* 10.5 A level descriptor: readable until the condition goes. */
TEST(readable_for_a_level_descriptor, "10.5 3.8")
{
    int kq = queue(), fds[2];
    struct kevent ev;
    struct watchers w = watch(kq);
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    put(fds[1], 2);
    for (int i = 0; i < 3; i++) {
        all_say(&w, 1, "data");
        wait_event(kq, &ev);
    }
    take(fds[0], 2);
    nothing(kq);
    all_say(&w, 0, "data read");
    put(fds[1], 1);
    all_say(&w, 1, "data again");
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    nothing(kq);
    all_say(&w, 0, "deleted");
}

/* 10.5 An edge, a one-shot and a dispatch: readable until it is reported. */
TEST(readable_until_reported, "10.5 3.8")
{
    static const unsigned short modes[] = {EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < COUNT(modes); i++) {
        int kq = queue(), fds[2];
        struct kevent ev;
        struct watchers w = watch(kq);
        pipe_pair(fds);
        change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
        all_say(&w, 0, "no data");
        put(fds[1], 2);
        all_say(&w, 1, "data");
        all_say(&w, 1, "data still");
        wait_event(kq, &ev);
        nothing(kq);
        all_say(&w, 0, "reported");
        if (modes[i] != EV_ONESHOT) {
            change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 1);
            all_say(&w, 1, "enabled with data");
            wait_event(kq, &ev);
            nothing(kq);
            all_say(&w, 0, "reported again");
        }
    }
}

/* 10.5 READ and WRITE of one descriptor, where one is an edge that was reported and the other is not. */
TEST(readable_for_either_filter, "10.5 2.11")
{
    int kq = queue(), fds[2];
    struct kevent ev[4];
    struct watchers w = watch(kq);
    socket_pair(fds);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 2);
    all_say(&w, 1, "room");
    CHECK_EQ(collect(kq, ev, 4), 1);
    nothing(kq);
    all_say(&w, 0, "room reported");
    put(fds[1], 1);
    all_say(&w, 1, "data");
    take(fds[0], 1);
    nothing(kq);
    all_say(&w, 0, "data read");
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 2);
    put(fds[1], 1);
    nothing(kq);
    all_say(&w, 0, "data for a disabled knote");
    change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 2);
    all_say(&w, 1, "enabled");
}

/* 10.5 A user event: triggered, reported, cleared. */
TEST(readable_for_a_user_event, "10.5 3.8 9.2")
{
    int kq = queue();
    struct kevent ev;
    struct watchers w = watch(kq);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, 2, EVFILT_USER, EV_ADD, 0, 0, 2);
    for (int i = 0; i < 3; i++) {
        all_say(&w, 0, "not triggered");
        change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 1);
        all_say(&w, 1, "triggered");
        wait_event(kq, &ev);
        nothing(kq);
    }
    change(kq, 2, EVFILT_USER, 0, NOTE_TRIGGER, 0, 1);
    for (int i = 0; i < 3; i++) {
        all_say(&w, 1, "active");
        wait_event(kq, &ev);
    }
    change(kq, 2, EVFILT_USER, EV_DISABLE, 0, 0, 1);
    nothing(kq);
    all_say(&w, 0, "disabled");
    change(kq, 2, EVFILT_USER, EV_ENABLE, 0, 0, 1);
    all_say(&w, 1, "enabled");
    change(kq, 2, EVFILT_USER, EV_DELETE, 0, 0, 1);
    nothing(kq);
    all_say(&w, 0, "deleted");
}

/* 10.5 A timer. */
TEST(readable_for_a_timer, "10.5 3.8")
{
    int kq = queue();
    struct kevent ev;
    struct watchers w = watch(kq);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 300, 1);
    all_say(&w, 0, "not due");
    until_polled(kq, POLLIN);
    all_say(&w, 1, "due");
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 1);
    nothing(kq);
    all_say(&w, 0, "reported");
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 0, 2);
    until_polled(kq, POLLIN);
    change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    nothing(kq);
    all_say(&w, 0, "deleted");
}

/* 10.5 A regular file. */
TEST(readable_for_a_regular_file, "10.5 3.6")
{
    int kq = queue(), file;
    struct kevent ev;
    struct watchers w = watch(kq);
    file = OK(open("file", O_RDWR | O_CREAT, 0600));
    int writer = OK(open("file", O_WRONLY));
    change(kq, file, EVFILT_READ, EV_ADD, 0, 0, 1);
    nothing(kq);
    all_say(&w, 0, "at the end");
    put(writer, 3);
    until_polled(kq, POLLIN);
    all_say(&w, 1, "grown");
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, file, EVFILT_READ, EV_ADD, 0, 3, 1);
    all_say(&w, 1, "still not at the end");
    take(file, 3);
    nothing(kq);
    all_say(&w, 0, "at the end again");
    put(writer, 2);
    until_polled(kq, POLLIN);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, file, EVFILT_READ, EV_ADD, 0, 2, 1);
}

/* 10.5 What a short eventlist left over keeps the kqueue readable. */
TEST(readable_for_what_was_left_over, "10.5 1.12")
{
    enum { N = 6 };
    int kq = queue(), fds[2];
    struct kevent ev[4];
    struct watchers w = watch(kq);
    for (int i = 0; i < N; i++) {
        pipe_pair(fds);
        put(fds[1], 1);
        change(kq, fds[0], EVFILT_READ, EV_ADD | (i % 2 ? EV_CLEAR : EV_ONESHOT), 0, 0, i);
        change(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, i);
    }
    for (int left = 2 * N; left > 0; left -= 3) {
        all_say(&w, 1, "some left");
        CHECK_EQ(collect(kq, ev, 3), 3);
    }
    nothing(kq);
    all_say(&w, 0, "none left");
}

/* 10.5 A kevent that returned 0 has consumed what came to nothing: the kqueue is not readable and sleeps. */
static void consumed(int kq, const char *state)
{
    struct watchers w = watch(kq);
    nothing(kq);
    all_say(&w, 0, state);
    sleeps(kq);
}

/* 10.5 1.14 Knotes that are disabled, with all that can happen to their descriptor. */
TEST(disabled_knotes_do_not_keep_it_readable, "10.5 2.5")
{
    static const enum kind kinds[] = {PIPE, UNIX_STREAM, TCP};
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t i = 0; i < COUNT(modes); i++) {
            int kq = queue(), fds[2];
            connected(kinds[k], fds);
            change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
            change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 1);
            put(fds[1], 2);
            until_queued(fds[0], 2);
            nothing(kq);
            CHECK(!readable(kq));
            OK(close(fds[1]));
            until_polled(fds[0], PEER_GONE(kinds[k]));
            consumed(kq, "disabled, with data and a hang-up");
            OK(close(kq));
            OK(close(fds[0]));
        }
    }
}

/* 10.5 The same for the writer whose reader has gone. */
TEST(disabled_writer_does_not_keep_it_readable, "10.5 2.5")
{
    static const enum kind kinds[] = {PIPE, UNIX_STREAM};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        int kq = queue(), fds[2];
        connected(kinds[k], fds);
        change(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0, 1);
        consumed(kq, "disabled, with room");
        OK(close(fds[0]));
        consumed(kq, "disabled, with nobody to read");
        change(kq, fds[1], EVFILT_WRITE, EV_ENABLE, 0, 0, 2);
        struct kevent ev;
        wait_event(kq, &ev);
        EXPECT_EVENT_ANY(ev, fds[1], EVFILT_WRITE, EV_ADD | EV_EOF, 0, 0, 2, ANY_DATA | ANY_FFLAGS);
    }
}

/* 10.5 Data below the mark. */
TEST(data_below_the_mark_does_not_keep_it_readable, "10.5 3.1 3.5")
{
    static const enum kind kinds[] = {PIPE, UNIX_STREAM, TCP};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        int kq = queue(), fds[2];
        struct kevent ev;
        connected(kinds[k], fds);
        change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 1);
        put(fds[1], 4);
        until_queued(fds[0], 4);
        consumed(kq, "4 of 10");
        put(fds[1], 5);
        until_queued(fds[0], 9);
        consumed(kq, "9 of 10");
        put(fds[1], 1);
        wait_event(kq, &ev);
        EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD, 0, 10, 1);
    }
}

/* 10.5 Timers that were cancelled, the earliest among them. */
TEST(cancelled_timers_do_not_keep_it_readable, "10.5 6.6")
{
    int kq = queue();
    struct kevent ev;
    for (int i = 0; i < 10; i++)
        change(kq, i, EVFILT_TIMER, EV_ADD, 0, 1 + i, 0);
    change(kq, 100, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 30, 1);
    for (int i = 0; i < 10; i++)
        change(kq, i, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 100, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 1);
    consumed(kq, "cancelled");
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
    until_polled(kq, POLLIN);
    change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    consumed(kq, "cancelled when due");
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 2, 0);
    change(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 5, 2);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 2);
    nothing(kq);
    sleeps(kq); /* a disabled timer may wake it every period */
}

/* 10.5 Events that were reported, deleted, disabled or have gone before they were looked at. */
TEST(discarded_events_do_not_keep_it_readable, "10.5 1.14 2.6")
{
    int kq = queue(), fds[6][2];
    for (int i = 0; i < 6; i++) {
        socket_pair(fds[i]);
        put(fds[i][1], 1);
        change(kq, fds[i][0], EVFILT_READ, EV_ADD | (i % 2 ? EV_CLEAR : 0), 0, 0, i);
        change(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, i);
    }
    CHECK(readable(kq));
    take(fds[0][0], 1);
    take(fds[1][0], 1);
    change(kq, fds[2][0], EVFILT_READ, EV_DISABLE, 0, 0, 0);
    change(kq, fds[3][0], EVFILT_READ, EV_DISABLE, 0, 0, 0);
    change(kq, fds[4][0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    OK(dup(fds[5][0]));
    OK(close(fds[5][0]));
    for (int i = 0; i < 6; i++)
        change(kq, i, EVFILT_USER, i % 2 ? EV_DELETE : EV_DISABLE, 0, 0, 0);
    consumed(kq, "gone");
}

/* 10.5 Ends of file that were reported under EV_CLEAR, EV_DISPATCH and EV_ONESHOT. */
TEST(reported_ends_do_not_keep_it_readable, "10.5 2.7 2.8 2.9")
{
    static const unsigned short modes[] = {EV_CLEAR, EV_DISPATCH, EV_ONESHOT};
    static const enum kind kinds[] = {PIPE, UNIX_STREAM, TCP};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t i = 0; i < COUNT(modes); i++) {
            int kq = queue(), fds[2];
            struct kevent ev;
            connected(kinds[k], fds);
            change(kq, fds[0], EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
            OK(close(fds[1]));
            wait_event(kq, &ev);
            EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD | modes[i] | EV_EOF, 0, 0, 1);
            consumed(kq, "end reported");
        }
    }
}

/* 10.5 A WRITE knote whose buffer is full beside a READ knote that is disabled and has data. */
TEST(full_buffer_and_disabled_data, "10.5 2.11")
{
    int kq = queue(), fds[2];
    socket_pair(fds);
    fill(fds[0]);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 2);
    consumed(kq, "full and disabled");
}

/* 10.5 read and write on it fail. */
TEST(read_and_write_fail, "10.5")
{
    int kq = queue();
    char bytes[64] = {0};
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    errno = 0;
    CHECK_EQ(read(kq, bytes, sizeof bytes), -1);
    CHECK_NE(errno, 0);
    errno = 0;
    CHECK_EQ(write(kq, bytes, sizeof bytes), -1);
    CHECK_NE(errno, 0);
    struct kevent ev;
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
}

struct sleeper {
    int fd;
    atomic_int result;
};

static void *sleep_in_poll(void *argument)
{
    struct sleeper *sleeper = argument;
    struct pollfd one = {sleeper->fd, POLLIN, 0};
    sleeper->result = OK(poll(&one, 1, -1));
    return NULL;
}

static void *sleep_in_select(void *argument)
{
    struct sleeper *sleeper = argument;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(sleeper->fd, &set);
    sleeper->result = OK(select(sleeper->fd + 1, &set, NULL, NULL, NULL));
    return NULL;
}

static void *sleep_in_kevent(void *argument)
{
    struct sleeper *sleeper = argument;
    struct kevent ev;
    sleeper->result = OK(kevent(sleeper->fd, NULL, 0, &ev, 1, NULL));
    return NULL;
}

#ifdef __linux__
static void *sleep_in_epoll(void *argument)
{
    struct sleeper *sleeper = argument;
    struct epoll_event event;
    sleeper->result = OK(epoll_wait(sleeper->fd, &event, 1, -1));
    return NULL;
}
#endif

/* 10.5 Whoever sleeps on a kqueue wakes: for data, a user event, a timer, a change that makes an event. */
TEST(sleepers_wake, "10.5 3.8 9.4")
{
    for (int cause = 0; cause < 5; cause++) {
        int kq = queue(), fds[2];
        struct watchers w = watch(kq);
        struct sleeper sleepers[4] = {{kq, 0}, {kq, 0}, {w.outer, 0}, {w.epoll, 0}};
        struct thread threads[4];
        int count = w.epoll == -1 ? 3 : 4;
        pipe_pair(fds);
        change(kq, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT | (cause == 3 ? EV_DISABLE : 0), 0, 0, 1);
        change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
        change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 3);
        if (cause == 3)
            put(fds[1], 1);
        start(&threads[0], sleep_in_poll, &sleepers[0]);
        start(&threads[1], sleep_in_select, &sleepers[1]);
        start(&threads[2], sleep_in_kevent, &sleepers[2]);
#ifdef __linux__
        start(&threads[3], sleep_in_epoll, &sleepers[3]);
#endif
        for (int i = 0; i < count; i++)
            until_asleep(&threads[i]);
        switch (cause) {
        case 0:
            put(fds[1], 1);
            break;
        case 1:
            change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 2);
            break;
        case 2:
            change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 3);
            break;
        case 3:
            change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 1);
            break;
        case 4:
            change(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 4);
        }
        for (int i = 0; i < count; i++) {
            join(&threads[i]);
            CHECK_EQ(sleepers[i].result, 1);
        }
    }
}

#ifdef __linux__
/* 10.5 In an epoll with EPOLLET no event is missed by who calls kevent until it returns 0. */
TEST(edge_in_an_epoll, "10.5")
{
    int kq = queue(), fds[2], epoll = OK(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    struct kevent ev;
    pipe_pair(fds);
    OK(epoll_ctl(epoll, EPOLL_CTL_ADD, kq, &event));
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 2);
    for (int i = 0; i < 50; i++) {
        if (i % 2)
            put(fds[1], 1);
        else
            change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 2);
        CHECK_EQ(epoll_wait(epoll, &event, 1, 5000), 1);
        wait_event(kq, &ev);
        nothing(kq);
    }
    CHECK_LE(OK(epoll_wait(epoll, &event, 1, 0)), 1); /* at most one that comes to nothing */
    nothing(kq);
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);
}
#endif

/* ---- 3.8 Nesting -------------------------------------------------------------------------------- */

/* 3.8 10.5 Three deep: the outermost hears of a user event, a timer, and data in the innermost. */
TEST(three_deep, "3.8 10.5")
{
    int inner = queue(), middle = queue(), outer = queue(), fds[2];
    struct kevent ev;
    pipe_pair(fds);
    change(outer, middle, EVFILT_READ, EV_ADD, 0, 0, 3);
    change(middle, inner, EVFILT_READ, EV_ADD, 0, 0, 2);
    change(inner, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(inner, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
    for (int cause = 0; cause < 3; cause++) {
        nothing(outer);
        nothing(middle);
        nothing(inner);
        if (cause == 0)
            put(fds[1], 1);
        else if (cause == 1)
            change(inner, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 1);
        else
            change(inner, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 1);
        for (int i = 0; i < 2; i++) {
            wait_event(outer, &ev);
            EXPECT_EVENT_ANY(ev, middle, EVFILT_READ, EV_ADD, 0, 1, 3, DATA_AT_LEAST);
            wait_event(middle, &ev);
            EXPECT_EVENT_ANY(ev, inner, EVFILT_READ, EV_ADD, 0, 1, 2, DATA_AT_LEAST);
        }
        wait_event(inner, &ev);
        CHECK_EQ((intptr_t)ev.udata, 1);
        if (cause == 0)
            take(fds[0], 1);
    }
    nothing(inner);
    nothing(middle);
    nothing(outer);
    CHECK(!readable(outer) && !readable(middle) && !readable(inner));
}

/* 3.8 An inner kqueue as an edge, a one-shot and a dispatch. */
TEST(inner_queue_in_every_mode, "3.8 2.7 2.8 2.9")
{
    static const unsigned short modes[] = {EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    for (size_t i = 0; i < COUNT(modes); i++) {
        int inner = queue(), outer = queue();
        struct kevent ev;
        change(inner, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0);
        change(outer, inner, EVFILT_READ, EV_ADD | modes[i], 0, 0, 1);
        wait_event(outer, &ev);
        EXPECT_EVENT_ANY(ev, inner, EVFILT_READ, EV_ADD | modes[i], 0, 1, 1, DATA_AT_LEAST);
        nothing(outer);
        wait_event(inner, &ev);
        nothing(inner);
        if (modes[i] == EV_ONESHOT) {
            CHECK_EQ(change_errno(outer, inner, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
            continue;
        }
        change(outer, inner, EVFILT_READ, EV_ENABLE, 0, 0, 1);
        nothing(outer);
        change(inner, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
        wait_event(outer, &ev);
        EXPECT_EVENT_ANY(ev, inner, EVFILT_READ, EV_ADD | modes[i], 0, 1, 1, DATA_AT_LEAST);
        nothing(outer);
    }
}

/* 3.8 A kqueue cannot watch itself: EINVAL. */
TEST(queue_cannot_watch_itself, "3.8")
{
    int kq = queue();
    struct kevent ev, change = EVENT(kq, EVFILT_READ, EV_ADD, 0, 0, 5);
    CHECK_EQ(change_errno(kq, kq, EVFILT_READ, EV_ADD, 0, 0, 5), EINVAL);
    CHECK_EQ(kevent(kq, &change, 1, &ev, 1, NULL), 1);
    EXPECT_EVENT(ev, kq, EVFILT_READ, EV_ADD | EV_ERROR, 0, EINVAL, 5);
    nothing(kq);
}

/* 3.8 A circle of kqueues is refused with an errno, or harmless: nothing hangs. */
TEST(circle_of_queues, "3.8")
{
    int one = queue(), two = queue();
    struct kevent ev;
    change(one, two, EVFILT_READ, EV_ADD, 0, 0, 1);
    int error = change_errno(two, one, EVFILT_READ, EV_ADD, 0, 0, 2);
    if (error)
        CHECK(error == ELOOP || error == EINVAL);
    change(two, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 3);
    CHECK(collect(one, &ev, 1) == 1);
    EXPECT_EVENT_ANY(ev, two, EVFILT_READ, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
}

/* 3.8 10.1 An inner kqueue that is closed is gone from the outer one. */
TEST(closed_inner_queue_is_gone, "3.8 10.1 10.2")
{
    int inner = queue(), outer = queue();
    change(inner, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    change(outer, inner, EVFILT_READ, EV_ADD, 0, 0, 1);
    OK(close(inner));
    nothing(outer);
    CHECK(!readable(outer));
    CHECK_EQ(change_errno(outer, inner, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
    int again = queue();
    nothing(outer);
    change(outer, again, EVFILT_READ, EV_ADD, 0, 0, 2);
    nothing(outer);
    change(again, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    struct kevent ev;
    wait_event(outer, &ev);
    EXPECT_EVENT_ANY(ev, again, EVFILT_READ, EV_ADD, 0, 1, 2, DATA_AT_LEAST);
}

/* ---- 10.7 --------------------------------------------------------------------------------------- */

static int dup_by_dup2(int fd)
{
    return dup2(fd, 77);
}

static int dup_by_fcntl(int fd)
{
    return fcntl(fd, F_DUPFD, 60);
}

static int dup_by_fcntl_cloexec(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* 10.7 A duplicate of a kqueue descriptor is the same kqueue. */
TEST(duplicate_is_the_same_queue, "10.7")
{
    static int (*const ways[])(int) = {dup, dup_by_dup2, dup_by_fcntl, dup_by_fcntl_cloexec};
    for (size_t i = 0; i < COUNT(ways); i++) {
        int kq = queue(), fds[2];
        struct kevent ev;
        pipe_pair(fds);
        int other = OK(ways[i](kq));
        nothing(other);
        change(other, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
        change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
        change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
        CHECK(readable(other) && readable(kq));
        wait_event(other, &ev);
        EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
        nothing(kq);
        put(fds[1], 1);
        wait_event(other, &ev);
        EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 2);
        change(other, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 4);
        wait_event(kq, &ev);
        EXPECT_EVENT(ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 4);
        change(other, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
        CHECK_EQ(change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
        OK(close(kq));
        OK(close(other));
    }
}

/* 10.7 Closing the duplicate leaves the queue. */
TEST(closing_a_duplicate, "10.7 10.2")
{
    int kq = queue(), fds[2];
    struct kevent ev[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 2);
    for (int used = 0; used < 2; used++) {
        int other = OK(dup(kq));
        if (used)
            nothing(other);
        else
            CHECK_EQ(collect(other, ev, 2), 1);
        OK(close(other));
        CHECK_ERRNO(kevent(other, NULL, 0, ev, 2, &no_wait), EBADF);
    }
    put(fds[1], 1);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
    CHECK_EQ(collect(kq, ev, 2), 2);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 1);
    EXPECT_EVENT(*find_event(ev, 2, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
}

/* 10.7 A duplicate's number that becomes a duplicate of another kqueue, or another file, is that. */
TEST(number_of_a_duplicate_is_reused, "10.7 1.3")
{
    int one = queue(), two = queue(), fds[2];
    struct kevent ev;
    change(one, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 1);
    change(two, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 2);
    int number = OK(dup(one));
    for (int i = 0; i < 3; i++) {
        wait_event(number, &ev);
        EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD, 0, 0, 1);
        OK(close(number));
        CHECK_EQ(OK(dup(two)), number);
        wait_event(number, &ev);
        EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD, 0, 0, 2);
        OK(dup2(one, number));
        wait_event(number, &ev);
        EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD, 0, 0, 1);
        OK(close(number));
        pipe_pair(fds);
        if (fds[0] != number)
            OK(dup2(fds[0], number));
        CHECK_ERRNO(kevent(number, NULL, 0, &ev, 1, &no_wait), EBADF);
#ifdef __linux__
        int epoll = OK(epoll_create1(0));
        OK(dup2(epoll, number));
        CHECK_ERRNO(kevent(number, NULL, 0, &ev, 1, &no_wait), EBADF);
        OK(close(epoll));
        CHECK_ERRNO(kevent(number, NULL, 0, &ev, 1, &no_wait), EBADF);
#endif
        OK(dup2(one, number));
        OK(close(fds[1]));
        if (fds[0] != number)
            OK(close(fds[0]));
    }
}

static void *trigger_through(void *argument)
{
    change(*(int *)argument, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 9);
    return NULL;
}

/* 10.7 A thread that waits on one is woken through the other. */
TEST(trigger_through_a_duplicate_wakes, "10.7 9.4")
{
    for (int i = 0; i < 2; i++) {
        int kq = queue(), other = OK(dup(kq));
        struct thread thread, trigger;
        struct sleeper sleeper = {i ? kq : other, 0};
        int through = i ? other : kq;
        change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
        start(&thread, sleep_in_kevent, &sleeper);
        until_asleep(&thread);
        start(&trigger, trigger_through, &through);
        join(&trigger);
        join(&thread);
        CHECK_EQ(sleeper.result, 1);
        nothing(kq);
        OK(close(other));
        OK(close(kq));
    }
}

/* ---- Numbers ------------------------------------------------------------------------------------ */

/* 10.2 5,000 timers and 5,000 user events need no descriptor of their own: RLIMIT_NOFILE is 64. */
TEST_LIMIT(timers_and_user_events_need_no_descriptor, "10.2 6.1 9.1", 30)
{
    enum { N = 5000 };
    int kq = queue();
    struct rlimit limit;
    static struct kevent ev[N];
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 64;
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    int before = open_descriptors();
    for (int i = 0; i < N; i++) {
        change(kq, i, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, i);
        change(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 3600000 + (i * 7919) % N, i);
    }
    CHECK_LE(open_descriptors(), before + 8); /* of the queue, not of each */
    nothing(kq);
    for (int i = 0; i < N; i++)
        change(kq, i, EVFILT_USER, 0, NOTE_TRIGGER, i, i + 1);
    static char seen[N];
    CHECK_EQ(collect(kq, ev, N), N);
    for (int i = 0; i < N; i++) {
        CHECK(ev[i].ident < N && !seen[ev[i].ident]);
        seen[ev[i].ident] = 1;
        EXPECT_EVENT(ev[i], ev[i].ident, EVFILT_USER, EV_ADD | EV_CLEAR, 0, ev[i].ident, ev[i].ident + 1);
    }
    for (int i = 0; i < N; i++)
        change(kq, i, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 1000 + (i * 7919) % N, i + 2);
    memset(seen, 0, sizeof seen);
    for (int got = 0; got < N;) {
        int n = collect(kq, ev, N);
        for (int i = 0; i < n; i++) {
            CHECK(ev[i].ident < N && !seen[ev[i].ident]);
            seen[ev[i].ident] = 1;
            EXPECT_EVENT(ev[i], ev[i].ident, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, ev[i].ident + 2);
        }
        got += n;
    }
    nothing(kq);
    CHECK_LE(open_descriptors(), before + 8);
}

static void takes_numbers_to(int count)
{
    int fd;
    do
        fd = OK(dup(0));
    while (fd < count - 1);
}

/* 1.1 A kqueue works as the 1,500th descriptor, with all that it watches above it. */
TEST(queue_is_the_1500th_descriptor, "1.1 1.11")
{
    need_descriptors(2000);
    takes_numbers_to(1500);
    int kq = queue(), fds[2];
    struct kevent ev;
    CHECK_GE(kq, 1500);
    socket_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    put(fds[1], 2);
    CHECK(readable(kq));
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 2, 1);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 2);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 2);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 3);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 3);
    int outer = queue();
    change(outer, kq, EVFILT_READ, EV_ADD, 0, 0, 4);
    nothing(outer);
    put(fds[1], 1);
    wait_event(outer, &ev);
    EXPECT_EVENT_ANY(ev, kq, EVFILT_READ, EV_ADD, 0, 1, 4, DATA_AT_LEAST);
    OK(close(fds[0]));
    nothing(kq);
    OK(close(kq));
    CHECK_ERRNO(kevent(kq, NULL, 0, &ev, 1, &no_wait), EBADF);
}

/* 1.11 A knote on descriptor 19,999 works as any, and so does a kqueue of that number. */
TEST(descriptor_19999, "1.11")
{
    enum { HIGH = 19999 };
    int kq = queue(), fds[2];
    struct kevent ev[4];
    need_descriptors(HIGH + 1);
    socket_pair(fds);
    OK(dup2(fds[0], HIGH));
    change(kq, HIGH, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, HIGH, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 2);
    put(fds[1], 2);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, HIGH, EVFILT_READ), HIGH, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 2, 1);
    EXPECT_EVENT_ANY(*find_event(ev, 2, HIGH, EVFILT_WRITE), HIGH, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 1, 2,
                     DATA_AT_LEAST);
    OK(close(HIGH));
    put(fds[1], 1);
    nothing(kq);
    CHECK_EQ(change_errno(kq, HIGH, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);

    OK(dup2(kq, HIGH));
    change(HIGH, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 3);
    wait_event(kq, ev);
    EXPECT_EVENT(ev[0], 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 3);
}

/* 1.11 It costs no more than a knote on a low one: many queues each have one. */
TEST(descriptor_19999_in_many_queues, "1.11")
{
    enum { HIGH = 19999, N = 200 };
    int queues[N], fds[2];
    need_descriptors(HIGH + 1);
    pipe_pair(fds);
    OK(dup2(fds[0], HIGH));
    put(fds[1], 1);
    struct rusage before, after;
    OK(getrusage(RUSAGE_SELF, &before));
    for (int i = 0; i < N; i++) {
        queues[i] = queue();
        change(queues[i], HIGH, EVFILT_READ, EV_ADD, 0, 0, i);
        EXPECT_NEXT(queues[i], HIGH, EVFILT_READ, EV_ADD, 0, 1, i);
    }
    OK(getrusage(RUSAGE_SELF, &after));
#ifdef __linux__
    /* 20,000 slots of a pointer each would be 32 MB for all of them. */
    if (patience() == 1)
        CHECK_LE(after.ru_maxrss - before.ru_maxrss, 16 * 1024);
#endif
}

/* 1.1 The lowest numbers are the program's: a kqueue takes one, and what serves it none of them. */
TEST(low_numbers_belong_to_the_program, "1.1")
{
    int fds[2];
    OK(close(0));
    OK(close(1));
    int kq = queue();
    struct kevent ev;
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 1);
    wait_event(kq, &ev);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 2);
    wait_event(kq, &ev);
    pipe_pair(fds); /* takes what is lowest: 0 or 1, and not a helper's place */
    CHECK(fds[0] <= 3 && fds[1] <= 4);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 3);
    put(fds[1], 1);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, fds[0], EVFILT_READ, EV_ADD, 0, 1, 3);
}

/* 10.2 There is no helper thread. */
TEST(no_helper_thread, "10.2")
{
    int threads = thread_count(); /* a sanitizer may have one of its own */
    int kq = queue(), inner = queue(), fds[2];
    struct kevent ev[8];
    if (threads == 0)
        SKIP("the number of threads is not known here");
    socket_pair(fds);
    int file = OK(open("file", O_RDWR | O_CREAT, 0600));
    put(file, 3);
    OK(lseek(file, 0, SEEK_SET));
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    change(kq, file, EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
    change(kq, inner, EVFILT_READ, EV_ADD, 0, 0, 0);
    CHECK_GE(collect(kq, ev, 8), 4);
    CHECK_EQ(thread_count(), threads);
}

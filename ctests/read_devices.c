/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_READ and EVFILT_WRITE on ttys and devices, and EVFILT_READ on kqueues.
 */
#define SUITE "read_devices"
#include "suite.h"

#include "sockets.h"

#include <termios.h>

/* ---- Terminals ---------------------------------------------------------------------------------- */

/* A pseudo-terminal that does not echo: fds[0] the terminal, in line mode, fds[1] the other side of it. */
static void terminal(int fds[2])
{
    struct termios modes;
    fds[1] = posix_openpt(O_RDWR | O_NOCTTY);
    if (fds[1] == -1)
        SKIP("no pseudo-terminals");
    OK(grantpt(fds[1]));
    OK(unlockpt(fds[1]));
    fds[0] = open(ptsname(fds[1]), O_RDWR | O_NOCTTY);
    if (fds[0] == -1)
        SKIP("no pseudo-terminals");
    OK(tcgetattr(fds[0], &modes));
    modes.c_lflag &= ~(tcflag_t)ECHO;
    modes.c_lflag |= ICANON;
    modes.c_oflag &= ~(tcflag_t)OPOST;
    OK(tcsetattr(fds[0], TCSANOW, &modes));
}

static void type(int fd, const char *text)
{
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
}

/* 3.7 A tty is ready with a line; data is its bytes. Half a line is nothing to read, and does not spin. */
TEST(tty_line, "3.7 10.5")
{
    int kq = queue(), t[2];
    terminal(t);
    change(kq, t[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    type(t[1], "abc");
    nothing(kq);
    sleeps(kq);
    type(t[1], "d\n");
    EXPECT_NEXT(kq, t[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    EXPECT_NEXT(kq, t[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    take(t[0], 2);
    EXPECT_NEXT(kq, t[0], EVFILT_READ, EV_ADD, 0, 3, 0xfeed);
    take(t[0], 3);
    nothing(kq);
}

/* 3.7 A tty in raw mode is ready with a byte. */
TEST(tty_raw, "3.7")
{
    struct termios modes;
    int kq = queue(), t[2];
    terminal(t);
    OK(tcgetattr(t[0], &modes));
    modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    modes.c_cc[VMIN] = 1;
    modes.c_cc[VTIME] = 0;
    OK(tcsetattr(t[0], TCSANOW, &modes));
    change(kq, t[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    nothing(kq);
    type(t[1], "a");
    EXPECT_NEXT(kq, t[0], EVFILT_READ, EV_ADD, 0, 1, 0);
    type(t[1], "bc");
    until_queued(t[0], 3);
    EXPECT_NEXT(kq, t[0], EVFILT_READ, EV_ADD, 0, 3, 0);
    take(t[0], 3);
    nothing(kq);
}

/* 3.7 2.9 With EV_CLEAR each line is news. */
TEST(tty_clear_reports_each_line, "3.7 2.9")
{
    int kq = queue(), t[2];
    terminal(t);
    change(kq, t[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    type(t[1], "abc\n");
    EXPECT_NEXT(kq, t[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 4, 0);
    type(t[1], "de\n");
    EXPECT_NEXT_ANY(kq, t[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 4, 0, DATA_AT_LEAST);
}

/* 3.7 What the terminal prints is to be read on the other side. */
TEST(tty_other_side, "3.7")
{
    int kq = queue(), t[2];
    terminal(t);
    change(kq, t[1], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    type(t[0], "out");
    until_queued(t[1], 3);
    EXPECT_NEXT(kq, t[1], EVFILT_READ, EV_ADD, 0, 3, 0xfeed);
    take(t[1], 3);
    nothing(kq);
}

/* 3.7 Hang-up is EV_EOF: the terminal's when the other side goes. */
TEST(tty_hangup_is_eof, "3.7")
{
    int kq = queue(), t[2];
    terminal(t);
    change(kq, t[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(close(t[1]));
    EXPECT_NEXT_ANY(kq, t[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed, ANY_FFLAGS);
    EXPECT_NEXT_ANY(kq, t[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed, ANY_FFLAGS);
}

/* 3.7 Hang-up of the last program on the terminal, on the other side; a new one that opens it clears it. */
TEST(tty_other_side_hangup_is_eof, "3.7")
{
    struct kevent ev;
    int kq = queue(), t[2];
    terminal(t);
    change(kq, t[1], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    type(t[0], "out");
    until_queued(t[1], 3);
    OK(close(t[0]));
    do {
        wait_event(kq, &ev);
        EXPECT_EVENT_ANY(ev, t[1], EVFILT_READ, EV_ADD, 0, 3, 0xfeed, ANY_FLAGS | ANY_FFLAGS);
    } while (!(ev.flags & EV_EOF));
    CHECK_EQ(ev.flags, EV_ADD | EV_EOF);
    take(t[1], 3);
    EXPECT_NEXT_ANY(kq, t[1], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed, ANY_FFLAGS);
#ifdef __linux__
    t[0] = OK(open(ptsname(t[1]), O_RDWR | O_NOCTTY));
    nothing(kq);
#endif
}

/* 3.7 A tty whose output is not full is ready to write. */
TEST(tty_is_writable, "3.7 3.9")
{
    int kq = queue(), t[2];
    terminal(t);
    change(kq, t[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    EXPECT_NEXT_ANY(kq, t[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
}

/* ---- Devices and directories -------------------------------------------------------------------- */

/* READ of `path` is accepted and then always ready, or refused with EINVAL or ENODEV. */
static void ready_or_refused(const char *path)
{
    struct kevent ev;
    int kq = queue(), fd = OK(open(path, O_RDONLY)), s[2];
    int error = change_errno(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    if (error == 0) {
        for (int round = 0; round < 3; round++) {
            wait_event(kq, &ev);
            EXPECT_EVENT_ANY(ev, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed, ANY_DATA);
            /* 3.9 Nobody knows how much there is: one byte, as programs read that many. */
            if (strcmp(suite_backend(), "linux") == 0 || strcmp(suite_backend(), "posix") == 0)
                CHECK_EQ(ev.data, 1);
        }
        change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    } else {
        CHECK(error == EINVAL || error == ENODEV);
    }
    CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    connected(UNIX_STREAM, s);
    put(s[1], 5);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD, 0, 5, 0);
}

/* 3.7 /dev/null: ready, or EINVAL or ENODEV. */
TEST(dev_null, "3.7")
{
    ready_or_refused("/dev/null");
}

/* 3.7 /dev/zero the same. */
TEST(dev_zero, "3.7")
{
    ready_or_refused("/dev/zero");
}

/* 3.7 /dev/urandom the same. */
TEST(dev_urandom, "3.7")
{
    ready_or_refused("/dev/urandom");
}

/* 3.7 A directory: EINVAL, or ready. */
TEST(directory, "3.7")
{
    ready_or_refused(".");
}

/* ---- Kqueues ------------------------------------------------------------------------------------ */

/* 3.8 A kqueue is ready while it has pending events; data is at least 1. */
TEST(kqueue_is_ready_with_events, "3.8")
{
    struct kevent ev[4];
    int kq = queue(), inner = queue(), p[2];
    pipe_pair(p);
    change(inner, p[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    change(kq, inner, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    put(p[1], 5);
    EXPECT_NEXT_ANY(kq, inner, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
    EXPECT_NEXT_ANY(kq, inner, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
    change(inner, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0);
    wait_event(kq, ev);
    EXPECT_EVENT_ANY(ev[0], inner, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
    CHECK_LE(ev[0].data, 2);
    CHECK_EQ(collect(inner, ev, 4), 2);
    take(p[0], 5);
    nothing(kq);
    sleeps(kq);
}

/* 3.8 An inner knote that is deleted, disabled or no longer ready leaves nothing to report outside. */
TEST(kqueue_whose_events_are_gone, "3.8 1.14")
{
    int kq = queue(), inner = queue();
    change(kq, inner, EVFILT_READ, EV_ADD, 0, 0, 0);
    change(inner, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    change(inner, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    nothing(kq);
    change(inner, 2, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    change(inner, 2, EVFILT_USER, EV_DISABLE, 0, 0, 0);
    nothing(kq);
    change(inner, 2, EVFILT_USER, EV_ENABLE, 0, 0, 0);
    EXPECT_NEXT_ANY(kq, inner, EVFILT_READ, EV_ADD, 0, 1, 0, DATA_AT_LEAST);
    change(inner, 2, EVFILT_USER, EV_CLEAR, 0, 0, 0);
    nothing(kq);
}

/* 3.8 2.7 2.8 2.9 Every mode: one-shot and dispatch once, EV_CLEAR when something new is pending. */
TEST(kqueue_in_every_mode, "3.8 2.7 2.8 2.9")
{
    static const unsigned short modes[] = {EV_ONESHOT, EV_DISPATCH, EV_CLEAR};
    for (size_t i = 0; i < 3; i++) {
        struct kevent ev;
        unsigned short flags = EV_ADD | modes[i];
        int kq = queue(), inner = queue();
        change(inner, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
        change(kq, inner, EVFILT_READ, flags, 0, 0, 0);
        nothing(kq);
        change(inner, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
        EXPECT_NEXT_ANY(kq, inner, EVFILT_READ, flags, 0, 1, 0, DATA_AT_LEAST);
        nothing(kq);
        wait_event(inner, &ev);
        change(inner, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
        if (modes[i] == EV_CLEAR) {
            EXPECT_NEXT_ANY(kq, inner, EVFILT_READ, flags, 0, 1, 0, DATA_AT_LEAST);
        } else if (modes[i] == EV_DISPATCH) {
            nothing(kq);
            change(kq, inner, EVFILT_READ, EV_ENABLE, 0, 0, 0);
            EXPECT_NEXT_ANY(kq, inner, EVFILT_READ, flags, 0, 1, 0, DATA_AT_LEAST);
        }
        nothing(kq);
    }
}

/* Three queues, each watched by the next. */
static void nest(int kq[3])
{
    for (int i = 0; i < 3; i++) {
        kq[i] = queue();
        if (i > 0)
            change(kq[i], kq[i - 1], EVFILT_READ, EV_ADD, 0, 0, i);
    }
}

/* The innermost has an event, and the others say so; when it was collected, they do not. */
static void all_report(int kq[3])
{
    struct kevent ev;
    EXPECT_NEXT_ANY(kq[2], kq[1], EVFILT_READ, EV_ADD, 0, 1, 2, DATA_AT_LEAST);
    EXPECT_NEXT_ANY(kq[1], kq[0], EVFILT_READ, EV_ADD, 0, 1, 1, DATA_AT_LEAST);
    wait_event(kq[0], &ev);
}

/* 3.8 Three deep, with a descriptor, a user event and a timer inside. */
TEST(kqueues_three_deep, "3.8")
{
    int kq[3], s[2];
    nest(kq);
    nothing(kq[2]);
    change(kq[0], 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    nothing(kq[2]);
    change(kq[0], 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    all_report(kq);
    nothing(kq[2]);
    change(kq[0], 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 5, 0);
    all_report(kq);
    nothing(kq[2]);
    connected(UNIX_STREAM, s);
    change(kq[0], s[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    nothing(kq[2]);
    put(s[1], 5);
    all_report(kq);
    nothing(kq[2]);
}

static void *wait_for_inner(void *argument)
{
    int *kq = argument;
    EXPECT_NEXT_ANY(kq[2], kq[1], EVFILT_READ, EV_ADD, 0, 1, 2, DATA_AT_LEAST);
    return NULL;
}

/* 3.8 A thread that waits on the outermost is woken by a trigger in the innermost, and by a timer there. */
TEST(kqueues_three_deep_wake, "3.8")
{
    struct thread thread;
    int kq[3];
    nest(kq);
    for (int round = 0; round < 3; round++) {
        change(kq[0], 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
        start(&thread, wait_for_inner, kq);
        until_asleep(&thread);
        if (round == 2)
            change(kq[0], 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 5, 0);
        else
            change(kq[0], 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
        join(&thread);
        all_report(kq);
        nothing(kq[2]);
    }
}

/* 3.8 Nesting goes as deep as the system allows; what is too deep gets an errno and harms nothing. */
TEST(kqueues_too_deep, "3.8")
{
    enum { MOST = 600 };
    static int kq[MOST];
    struct kevent ev;
    need_descriptors(MOST * 4 + 64);
    int deep = 0;
    kq[0] = queue();
    for (int i = 1; i < MOST; i++, deep++) {
        kq[i] = queue();
        int error = change_errno(kq[i], kq[i - 1], EVFILT_READ, EV_ADD, 0, 0, 0);
        if (error) {
            CHECK(error == ELOOP || error == EINVAL);
            break;
        }
    }
    CHECK_GE(deep, 2);
    change(kq[0], 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0);
    for (int i = deep; i > 0; i--)
        EXPECT_NEXT_ANY(kq[i], kq[i - 1], EVFILT_READ, EV_ADD, 0, 1, 0, DATA_AT_LEAST);
    wait_event(kq[0], &ev);
    nothing(kq[deep]);
}

/* 3.8 A kqueue that watches itself: EINVAL, by whatever number. */
TEST(kqueue_watching_itself, "3.8")
{
    int kq = queue(), same = OK(dup(kq));
    CHECK_EQ(change_errno(kq, kq, EVFILT_READ, EV_ADD, 0, 0, 0), EINVAL);
    CHECK_EQ(change_errno(kq, same, EVFILT_READ, EV_ADD, 0, 0, 0), EINVAL);
    CHECK_EQ(change_errno(kq, kq, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
}

/* 3.8 Two kqueues that watch each other: allowed or an errno, but never a hang. */
TEST(kqueues_watching_each_other, "3.8")
{
    int one = queue(), two = queue();
    change(one, two, EVFILT_READ, EV_ADD, 0, 0, 0);
    int error = change_errno(two, one, EVFILT_READ, EV_ADD, 0, 0, 0);
    CHECK(error == 0 || error == ELOOP || error == EINVAL);
    change(two, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0);
    struct kevent ev;
    wait_event(one, &ev);
    EXPECT_EVENT_ANY(ev, two, EVFILT_READ, EV_ADD, 0, 1, 0, DATA_AT_LEAST);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_SIGNAL: what is reported, and the general flags.
 */
#define SUITE "signal"
#include "suite.h"

#include "signals.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- Counts ------------------------------------------------------------------------------------- */

/* 7.1 data is how often the signal came since it was last reported. EV_CLEAR is set by itself. */
TEST(counts_since_last_report, "7.1 1.15 2.9")
{
    int kq = queue();
    set_handler(SIGUSR1, count_signal, 0);
    watch(kq, SIGUSR1);
    nothing(kq);
    for (int count = 1; count <= 3; count++) {
        for (int i = 0; i < count; i++)
            send(SIGUSR1);
        EXPECT_SIGNAL(kq, SIGUSR1, count);
        nothing(kq);
    }
    CHECK_EQ(handled, 6);
}

/* 7.2 A signal that is ignored is recorded. */
TEST(ignored_is_recorded, "7.2 7.1")
{
    int kq = queue();
    set_handler(SIGUSR1, SIG_IGN, 0);
    set_handler(SIGPIPE, SIG_IGN, 0);
    watch(kq, SIGUSR1);
    watch(kq, SIGPIPE);
    for (int i = 0; i < 3; i++)
        send(SIGUSR1);
    EXPECT_SIGNAL(kq, SIGUSR1, 3);
    int fds[2];
    pipe_pair(fds);
    OK(close(fds[0]));
    CHECK_ERRNO(write(fds[1], "", 1), EPIPE);
    EXPECT_SIGNAL(kq, SIGPIPE, 1);
    nothing(kq);
}

/* 7.2 So is one that is ignored by default. */
TEST(default_ignored_is_recorded, "7.2 7.1")
{
    static const int numbers[] = {SIGURG, SIGWINCH, SIGCHLD, SIGCONT};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int kq = queue();
        watch(kq, numbers[i]);
        send(numbers[i]);
        send(numbers[i]);
        EXPECT_SIGNAL(kq, numbers[i], 2);
        nothing(kq);
    }
}

/* 7.2 The default action, to end the process, does not happen while the signal is watched. */
TEST(default_action_does_not_happen, "7.2")
{
    static const int numbers[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGPIPE,
                                  SIGXCPU, SIGPROF, SIGABRT, SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP};
    int kq = queue();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        watch(kq, numbers[i]);
        send(numbers[i]);
        send(numbers[i]);
        EXPECT_SIGNAL(kq, numbers[i], 2);
    }
    nothing(kq);
}

/* 7.1 1.12 Several signals are several events of one call, each with its own count. */
TEST(several_signals, "7.1 1.12")
{
    int kq = queue();
    watch(kq, SIGUSR1);
    watch(kq, SIGUSR2);
    watch(kq, SIGTERM);
    send(SIGUSR2);
    send(SIGUSR1);
    send(SIGUSR2);
    struct kevent ev[4];
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_SIGNAL_AMONG(ev, 2, SIGUSR1, 1);
    EXPECT_SIGNAL_AMONG(ev, 2, SIGUSR2, 2);
    nothing(kq);
}

/* 1.12 With less room than events, the rest comes with the next call; no count is lost. */
TEST(short_eventlist, "7.1 1.12")
{
    int kq = queue();
    watch(kq, SIGUSR1);
    watch(kq, SIGUSR2);
    send(SIGUSR1);
    send(SIGUSR2);
    send(SIGUSR2);
    struct kevent ev[2];
    CHECK_EQ(collect(kq, &ev[0], 1), 1);
    CHECK_EQ(collect(kq, &ev[1], 1), 1);
    EXPECT_SIGNAL_AMONG(ev, 2, SIGUSR1, 1);
    EXPECT_SIGNAL_AMONG(ev, 2, SIGUSR2, 2);
    nothing(kq);
}

#ifdef SIGRTMIN
/* 7.1 Real-time signals are counted exactly, with a handler, without, and blocked. */
TEST(real_time_signals_are_exact, "7.1")
{
    int kq = queue();
    int handler = SIGRTMIN, ignored = SIGRTMIN + 1, blocked = SIGRTMAX;
    set_handler(handler, count_signal, 0);
    set_handler(ignored, SIG_IGN, 0);
    mask(SIG_BLOCK, blocked);
    int numbers[] = {handler, ignored, blocked};
    for (size_t i = 0; i < 3; i++) {
        watch(kq, numbers[i]);
        for (int value = 0; value < 20; value++)
            OK(sigqueue(getpid(), numbers[i], (union sigval){.sival_int = value}));
        EXPECT_SIGNAL(kq, numbers[i], 20);
        nothing(kq);
    }
    CHECK_EQ(handled, 20);
}
#endif

/* ---- What is refused ---------------------------------------------------------------------------- */

/* 7 The ident is a signal number that can be caught: others are EINVAL, and none is taken for a smaller one. */
TEST(no_such_signal, "7 1.11")
{
    int kq = queue();
    static const uintptr_t idents[] = {0, SIGKILL, SIGSTOP, 65, 1000, (uintptr_t)-1, (uintptr_t)INT32_MIN,
#if UINTPTR_MAX > UINT32_MAX
                                       ((uintptr_t)1 << 32) | SIGUSR1,
#endif
#ifdef __linux__
                                       32, 33, /* libc's own */
#endif
    };
    for (size_t i = 0; i < sizeof idents / sizeof *idents; i++) {
        struct kevent ev = EVENT(idents[i], EVFILT_SIGNAL, EV_ADD, 0, 0, 0xfeed);
        CHECK_EQ(change_errno(kq, idents[i], EVFILT_SIGNAL, EV_ADD, 0, 0, 0), EINVAL);
        CHECK_EQ(kevent(kq, &ev, 1, &ev, 1, NULL), 1);
        EXPECT_EVENT(ev, idents[i], EVFILT_SIGNAL, EV_ADD | EV_ERROR, 0, EINVAL, 0xfeed);
        CHECK_EQ(change_errno(kq, idents[i], EVFILT_SIGNAL, EV_DELETE, 0, 0, 0), ENOENT);
    }
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
    nothing(kq);
}

/* 2.4 Anything but EV_ADD of a signal that is not watched: ENOENT. */
TEST(change_of_nothing, "7 2.4")
{
    static const unsigned short flags[] = {0, EV_DELETE, EV_ENABLE, EV_DISABLE};
    int kq = queue();
    watch(kq, SIGUSR2);
    for (size_t i = 0; i < 4; i++)
        CHECK_EQ(change_errno(kq, SIGUSR1, EVFILT_SIGNAL, flags[i], 0, 0, 0), ENOENT);
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
}

/* 7.5 Where no descriptor is left for it EV_ADD fails, and the signal does what it did before. */
static void add_with_room_for(int descriptors)
{
    struct rlimit limit, low;
    int kq = queue();
    int next = OK(dup(0));
    OK(close(next));
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    low = (struct rlimit){.rlim_cur = (rlim_t)(next + descriptors), .rlim_max = limit.rlim_max};
    OK(setrlimit(RLIMIT_NOFILE, &low));
    int error = change_errno(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 0xfeed);
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    if (error) {
        CHECK_EQ(error, EMFILE);
        CHECK_EQ(change_errno(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0, 0), ENOENT);
        nothing(kq);
        send(SIGUSR1);
        FAIL("the signal did not end the process");
    }
    send(SIGUSR1);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    _exit(0);
}

TEST(no_descriptor_left, "7 7.5")
{
    for (int descriptors = 0; descriptors < 3; descriptors++) {
        pid_t child = OK(fork());
        if (child == 0)
            add_with_room_for(descriptors);
        int status;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1));
    }
}

/* ---- Flags -------------------------------------------------------------------------------------- */

/* 2.5 Signals that come while the event is disabled are counted, and reported after EV_ENABLE. */
TEST(disabled_goes_on_counting, "7.1 2.5")
{
    int kq = queue();
    watch(kq, SIGUSR1);
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_DISABLE, 0, 0, 0xfeed);
    send(SIGUSR1);
    send(SIGUSR1);
    nothing(kq);
    CHECK(!readable(kq));
    sleeps(kq);
    send(SIGUSR1);
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ENABLE, 0, 0, 0xfeed);
    CHECK(readable(kq));
    EXPECT_SIGNAL(kq, SIGUSR1, 3);
    nothing(kq);
}

/* 2.2 So it is with an event that was added disabled. */
TEST(added_disabled, "7.1 2.2")
{
    int kq = queue();
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_DISABLE, 0, 0, 0xfeed);
    send(SIGUSR1);
    nothing(kq);
    watch(kq, SIGUSR1);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    nothing(kq);
}

/* 2.5 What was pending when the event was disabled is not reported before EV_ENABLE. */
TEST(pending_when_disabled, "7.1 2.5")
{
    int kq = queue();
    watch(kq, SIGUSR1);
    send(SIGUSR1);
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_DISABLE, 0, 0, 0xfeed);
    nothing(kq);
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ENABLE, 0, 0, 0xfeed);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    nothing(kq);
}

/* 2.1 Adding it again loses no signal that came, and changes the udata. */
TEST(added_again, "7.1 2.1")
{
    int kq = queue();
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 0xbeef);
    send(SIGUSR1);
    watch(kq, SIGUSR1);
    send(SIGUSR1);
    EXPECT_SIGNAL(kq, SIGUSR1, 2);
    watch(kq, SIGUSR1);
    nothing(kq);
}

/* 2.6 EV_DELETE removes what was pending; added again, the count begins at 0. */
TEST(deleted_while_pending, "7.1 2.6")
{
    int kq = queue();
    set_handler(SIGUSR1, count_signal, 0);
    watch(kq, SIGUSR1);
    send(SIGUSR1);
    unwatch(kq, SIGUSR1);
    nothing(kq);
    CHECK(!readable(kq));
    send(SIGUSR1);
    watch(kq, SIGUSR1);
    nothing(kq);
    send(SIGUSR1);
    EXPECT_SIGNAL(kq, SIGUSR1, 1);
    CHECK_EQ(handled, 3);
}

/* 2.7 EV_ONESHOT: reported once, with all that came, then deleted. */
TEST(one_shot, "7.1 2.7 7.5")
{
    int kq = queue();
    set_handler(SIGUSR1, count_signal, 0);
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_ONESHOT, 0, 0, 0xfeed);
    send(SIGUSR1);
    send(SIGUSR1);
    EXPECT_NEXT(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR | EV_ONESHOT, 0, 2, 0xfeed);
    send(SIGUSR1);
    nothing(kq);
    CHECK_EQ(change_errno(kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0, 0), ENOENT);
    CHECK_EQ(handled, 3);
}

/* 2.8 EV_DISPATCH: reported once, then disabled; what came meanwhile is reported after EV_ENABLE. */
TEST(dispatch, "7.1 2.8")
{
    unsigned short flags = EV_ADD | EV_CLEAR | EV_DISPATCH;
    int kq = queue();
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_DISPATCH, 0, 0, 0xfeed);
    send(SIGUSR1);
    EXPECT_NEXT(kq, SIGUSR1, EVFILT_SIGNAL, flags, 0, 1, 0xfeed);
    send(SIGUSR1);
    send(SIGUSR1);
    nothing(kq);
    CHECK(!readable(kq));
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ENABLE, 0, 0, 0xfeed);
    EXPECT_NEXT(kq, SIGUSR1, EVFILT_SIGNAL, flags, 0, 2, 0xfeed);
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ENABLE, 0, 0, 0xfeed);
    nothing(kq);
}

/* 1.7 EV_RECEIPT: the change is told of, and the flag comes back with every event. */
TEST(receipt, "7.1 1.7 1.15")
{
    int kq = queue();
    struct kevent ev = EVENT(SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_RECEIPT, 0, 0, 0xfeed);
    send(SIGURG);
    CHECK_EQ(kevent(kq, &ev, 1, &ev, 1, NULL), 1);
    EXPECT_EVENT(ev, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_RECEIPT | EV_ERROR, 0, 0, 0xfeed);
    send(SIGUSR1);
    EXPECT_NEXT(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 1, 0xfeed);
    nothing(kq);
}

/* ---- Several queues ----------------------------------------------------------------------------- */

/* 7.3 Every kqueue that watches the signal gets it, and has a count of its own. */
TEST(every_queue_gets_it, "7.3 7.1")
{
    int queues[40];
    for (int i = 0; i < 40; i++) {
        queues[i] = queue();
        watch(queues[i], SIGUSR1);
    }
    send(SIGUSR1);
    EXPECT_SIGNAL(queues[0], SIGUSR1, 1);
    send(SIGUSR1);
    EXPECT_SIGNAL(queues[0], SIGUSR1, 1);
    for (int i = 1; i < 40; i++)
        EXPECT_SIGNAL(queues[i], SIGUSR1, 2);
    for (int i = 0; i < 40; i++)
        nothing(queues[i]);
}

/* 7.3 Also when the signal is blocked, and whoever asks first. */
TEST(every_queue_gets_a_blocked_one, "7.3")
{
    int first = queue(), second = queue();
    mask(SIG_BLOCK, SIGUSR1);
    watch(first, SIGUSR1);
    watch(second, SIGUSR1);
    send(SIGUSR1);
    EXPECT_SIGNAL(second, SIGUSR1, 1);
    EXPECT_SIGNAL(first, SIGUSR1, 1);
    nothing(first);
    nothing(second);
}

/* 7.3 A queue that watches it no more, or is closed, takes nothing from the others. */
TEST(queues_are_independent, "7.3 7.5 10.2")
{
    int kq = queue(), other = queue(), closed = queue();
    watch(kq, SIGUSR1);
    watch(other, SIGUSR1);
    watch(closed, SIGUSR1);
    send(SIGUSR1);
    unwatch(other, SIGUSR1);
    OK(close(closed));
    send(SIGUSR1);
    EXPECT_SIGNAL(kq, SIGUSR1, 2);
    nothing(other);
}

/* ---- The descriptor ----------------------------------------------------------------------------- */

/* 10.5 The kqueue polls readable when a watched signal came, and not before or after. */
TEST(descriptor_is_readable, "10.5 7")
{
    int kq = queue(), outer = queue();
    watch(kq, SIGUSR1);
    change(outer, kq, EVFILT_READ, EV_ADD, 0, 0, 0xbeef);
    for (int blocked = 0; blocked < 2; blocked++) {
        if (blocked)
            mask(SIG_BLOCK, SIGUSR1);
        CHECK(!readable(kq));
        nothing(outer);
        send(SIGUSR1);
        CHECK(readable(kq));
        EXPECT_NEXT_ANY(outer, kq, EVFILT_READ, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
        EXPECT_SIGNAL(kq, SIGUSR1, 1);
        CHECK(!readable(kq));
        nothing(outer);
    }
}

/* 10.5 It wakes who sleeps in poll() on it, or in kevent() on a queue that watches it. */
static void *poll_one(void *argument)
{
    struct pollfd entry = {.fd = *(int *)argument, .events = POLLIN};
    int count;
    do
        count = poll(&entry, 1, -1);
    while (count == -1 && errno == EINTR);
    CHECK_EQ(count, 1);
    CHECK_EQ(entry.revents, POLLIN);
    return NULL;
}

TEST(descriptor_wakes, "10.5 7")
{
    for (int blocked = 0; blocked < 2; blocked++) {
        struct thread polling, waiting;
        struct waiter outer = {.kq = queue()};
        int kq = queue();
        if (blocked)
            mask(SIG_BLOCK, SIGUSR1);
        watch(kq, SIGUSR1);
        change(outer.kq, kq, EVFILT_READ, EV_ADD, 0, 0, 0xbeef);
        start(&polling, poll_one, &kq);
        start(&waiting, wait_one, &outer);
        until_asleep(&polling);
        until_asleep(&waiting);
        send(SIGUSR1);
        join(&polling);
        join(&waiting);
        EXPECT_EVENT_ANY(outer.ev, kq, EVFILT_READ, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
        EXPECT_SIGNAL(kq, SIGUSR1, 1);
    }
}

/* 10.5 A signal that only another queue watches does not make it readable, blocked or not. */
TEST(another_queues_signal, "10.5 7.3")
{
    int kq = queue(), other = queue();
    watch(kq, SIGUSR2);
    watch(other, SIGUSR1);
    send(SIGUSR1);
    CHECK(!readable(kq));
    nothing(kq);
    EXPECT_SIGNAL(other, SIGUSR1, 1);
    mask(SIG_BLOCK, SIGUSR1);
    send(SIGUSR1);
    CHECK(!readable(kq));
    sleeps(kq);
    EXPECT_SIGNAL(other, SIGUSR1, 1);
}

/* 7 With nothing to report kevent sleeps, whatever the program does with the signal. */
TEST(idle_queue_sleeps, "7 10.5")
{
    int kq = queue();
    watch(kq, SIGUSR1);
    watch(kq, SIGUSR2);
    set_handler(SIGUSR2, count_signal, 0);
    watch(kq, SIGTERM);
    mask(SIG_BLOCK, SIGTERM);
    sleeps(kq);
    send(SIGUSR1);
    send(SIGUSR2);
    send(SIGTERM);
    struct kevent ev[4];
    CHECK_EQ(collect(kq, ev, 4), 3);
    sleeps(kq);
}

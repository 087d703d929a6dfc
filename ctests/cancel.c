/* SPDX-License-Identifier: BSD-2-Clause */
/* Section 1: kevent() as a cancellation point (1.13). */
#define SUITE "cancel"
#include "suite.h"

#include "events.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

static const struct timespec no_wait = {0, 0};

struct caller {
    int kq;
    const struct kevent *changes;
    int change_count;
    int room;
    const struct timespec *timeout;
    int disable;       /* cancellation is off during the call */
    atomic_int go;     /* the thread goes on when it is not 0 */
    atomic_int result; /* what kevent returned, or -2 */
    atomic_int cleaned_up;
    atomic_int came_back;
    struct kevent ev[4];
};

static void clean_up(void *argument)
{
    ((struct caller *)argument)->cleaned_up = 1;
}

/* Waits for `go` without a cancellation point, calls kevent, then gives cancellation its chance. */
static void *call(void *argument)
{
    struct caller *caller = argument;
    int old;
    caller->result = -2;
    if (caller->disable)
        OK0(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
    pthread_cleanup_push(clean_up, caller);
    while (!caller->go)
        continue;
    caller->result = kevent(caller->kq, caller->changes, caller->change_count, caller->room ? caller->ev : NULL,
                            caller->room, caller->timeout);
    caller->came_back = 1;
    if (caller->disable)
        OK0(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old));
    pthread_testcancel();
    pthread_cleanup_pop(0);
    return NULL;
}

static void is_cancelled(struct thread *thread, const struct caller *caller)
{
    CHECK(join(thread) == PTHREAD_CANCELED);
    CHECK(caller->cleaned_up);
}

static void queue_works(int kq)
{
    struct kevent ev;
    change(kq, 4711, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 1, 2);
    wait_event(kq, &ev);
    EXPECT_EVENT(ev, 4711, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 1, 2);
    CHECK_EQ(change_errno(kq, 4711, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 1.13 A thread that is blocked in kevent can be cancelled; its clean-up handlers run. */
TEST(blocked_call_is_cancelled, "1.13")
{
    struct caller caller = {.kq = queue(), .room = 4, .go = 1};
    struct thread thread;
    start(&thread, call, &caller);
    until_asleep(&thread);
    OK0(pthread_cancel(thread.id));
    is_cancelled(&thread, &caller);
    CHECK(!caller.came_back);
    queue_works(caller.kq);
}

/* 1.13 The same with a time-out, and with knotes of every kind in the queue. */
TEST(blocked_call_with_timeout_is_cancelled, "1.13")
{
    struct timespec hour = {3600, 0};
    struct caller caller = {.kq = queue(), .room = 4, .go = 1, .timeout = &hour};
    struct thread thread;
    int fds[2];
    struct kevent ev[4];
    socket_pair(fds);
    change(caller.kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(caller.kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 2);
    change(caller.kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    start(&thread, call, &caller);
    until_asleep(&thread);
    OK0(pthread_cancel(thread.id));
    is_cancelled(&thread, &caller);
    CHECK(!caller.came_back);
    put(fds[1], 1);
    change(caller.kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 4);
    CHECK_EQ(collect(caller.kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, fds[0], EVFILT_READ), fds[0], EVFILT_READ, EV_ADD, 0, 1, 1);
    EXPECT_EVENT(*find_event(ev, 2, 1, EVFILT_USER), 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 4);
}

/* 1.13 A cancellation that is pending is acted on before the first change is applied. */
TEST(pending_cancellation_comes_before_the_changes, "1.13")
{
    int kq = queue();
    struct kevent changes[] = {
        EVENT(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0),
        EVENT(2, EVFILT_USER, EV_DELETE, 0, 0, 0),
    };
    struct caller caller = {.kq = kq, .changes = changes, .change_count = 2, .room = 4, .timeout = &no_wait};
    struct thread thread;
    change(kq, 2, EVFILT_USER, EV_ADD, 0, 0, 0);
    start(&thread, call, &caller);
    OK0(pthread_cancel(thread.id));
    caller.go = 1;
    is_cancelled(&thread, &caller);
    CHECK(!caller.came_back);
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
    change(kq, 2, EVFILT_USER, EV_DELETE, 0, 0, 0);
    queue_works(kq);
}

/* 1.13 A cancellation that is pending when the call would block is acted on. */
TEST(pending_cancellation_ends_the_wait, "1.13")
{
    struct caller caller = {.kq = queue(), .room = 4};
    struct thread thread;
    start(&thread, call, &caller);
    OK0(pthread_cancel(thread.id));
    caller.go = 1;
    is_cancelled(&thread, &caller);
    CHECK(!caller.came_back);
    queue_works(caller.kq);
}

/* 1.13 With nevents 0 kevent is no cancellation point: the changes are applied and the call returns. */
TEST(no_room_is_no_cancellation_point, "1.13 1.4")
{
    int kq = queue();
    struct kevent change = EVENT(1, EVFILT_USER, EV_ADD, 0, 0, 0);
    struct caller caller = {.kq = kq, .changes = &change, .change_count = 1, .room = 0};
    struct thread thread;
    start(&thread, call, &caller);
    OK0(pthread_cancel(thread.id));
    caller.go = 1;
    is_cancelled(&thread, &caller); /* by the test after the call */
    CHECK(caller.came_back);
    CHECK_EQ(caller.result, 0);
    change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0);
    queue_works(kq);
}

/* 1.13 A call with changes is not cancelled once they were applied, though it blocks: it returns its event. */
TEST(blocked_call_with_changes_is_not_cancelled, "1.13")
{
    int kq = queue();
    struct kevent change = EVENT(1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 5);
    struct caller caller = {.kq = kq, .changes = &change, .change_count = 1, .room = 4, .go = 1};
    struct thread thread;
    start(&thread, call, &caller);
    until_asleep(&thread);
    /* Asleep or not yet there: the change tells that cancellation comes after it. */
    while (change_errno(kq, 1, EVFILT_USER, EV_ENABLE | EV_KEEPUDATA, 0, 0, 0) == ENOENT)
        continue;
    OK0(pthread_cancel(thread.id));
    change(kq, 1, EVFILT_USER, EV_KEEPUDATA, NOTE_TRIGGER, 6, 0);
    is_cancelled(&thread, &caller); /* by the test after the call */
    CHECK(caller.came_back);
    CHECK_EQ(caller.result, 1);
    EXPECT_EVENT(caller.ev[0], 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 6, 5);
    CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
}

/* 1.13 A thread that disabled cancellation is not cancelled in kevent. */
TEST(disabled_cancellation_is_respected, "1.13")
{
    int kq = queue();
    struct caller caller = {.kq = kq, .room = 4, .go = 1, .disable = 1};
    struct thread thread;
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 0);
    start(&thread, call, &caller);
    until_asleep(&thread);
    OK0(pthread_cancel(thread.id));
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 6, 7);
    is_cancelled(&thread, &caller); /* by the test after the call */
    CHECK(caller.came_back);
    CHECK_EQ(caller.result, 1);
    EXPECT_EVENT(caller.ev[0], 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 6, 7);
}

/* 1.13 The caller's cancellation state is its own after kevent with changes. */
TEST(cancel_state_is_unchanged, "1.13")
{
    int kq = queue(), old;
    struct kevent change = EVENT(1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 0), ev;
    CHECK_EQ(kevent(kq, &change, 1, &ev, 1, NULL), 1);
    OK0(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
    CHECK_EQ(old, PTHREAD_CANCEL_ENABLE);
    CHECK_EQ(kevent(kq, &change, 1, &ev, 1, NULL), 1);
    OK0(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old));
    CHECK_EQ(old, PTHREAD_CANCEL_DISABLE);
    OK0(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old));
    CHECK_EQ(old, PTHREAD_CANCEL_DEFERRED);
}

/* 1.13 Cancelling one waiter leaves the others waiting, and they get their events. */
TEST(other_waiters_stay, "1.13")
{
    enum { N = 4 };
    int kq = queue();
    static struct caller callers[N];
    struct thread threads[N];
    for (int i = 0; i < N; i++) {
        callers[i].kq = kq;
        callers[i].room = 1;
        callers[i].go = 1;
        start(&threads[i], call, &callers[i]);
    }
    for (int i = 0; i < N; i++)
        until_asleep(&threads[i]);
    OK0(pthread_cancel(threads[0].id));
    OK0(pthread_cancel(threads[2].id));
    is_cancelled(&threads[0], &callers[0]);
    is_cancelled(&threads[2], &callers[2]);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 1);
    change(kq, 2, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 2);
    CHECK(join(&threads[1]) == NULL);
    CHECK(join(&threads[3]) == NULL);
    CHECK_EQ(callers[1].result, 1);
    CHECK_EQ(callers[3].result, 1);
    CHECK_EQ(callers[1].ev[0].ident + callers[3].ev[0].ident, 3);
    nothing(kq);
}

static void *close_cancelled(void *argument)
{
    OK0(pthread_cancel(pthread_self()));
    close(*(int *)argument);
    FAIL("close() is no cancellation point");
}

/* 1.13 10.1 A close() that is cancelled has closed nothing, and drops nothing: neither a knote nor a queue. */
TEST(cancelled_close_drops_nothing, "1.13 10.1 10.2")
{
    struct thread thread;
    int kq = queue(), fds[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 5);
    start(&thread, close_cancelled, &fds[0]);
    CHECK(join(&thread) == PTHREAD_CANCELED);
    CHECK(is_open(fds[0]));
    put(fds[1], 1);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 5);
    start(&thread, close_cancelled, &kq);
    CHECK(join(&thread) == PTHREAD_CANCELED);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD, 0, 1, 5);
    change(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    queue_works(kq);
}

/* 1.13 Cancellation leaks nothing: no descriptor, and close of the kqueue need not wait for the dead. */
TEST(cancellation_leaks_nothing, "1.13 10.2")
{
    enum { N = 10 };
    int before = open_descriptors();
    int64_t fastest = INT64_MAX;
    for (int i = 0; i < N; i++) {
        struct caller caller = {.kq = queue(), .room = 4, .go = 1};
        struct thread thread;
        change(caller.kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
        change(caller.kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 0);
        start(&thread, call, &caller);
        until_asleep(&thread);
        OK0(pthread_cancel(thread.id));
        is_cancelled(&thread, &caller);
        queue_works(caller.kq);
        int64_t begin = now();
        OK(close(caller.kq));
        int64_t took = now() - begin;
        fastest = took < fastest ? took : fastest;
    }
    CHECK_EQ(open_descriptors(), before);
    CHECK_LE(fastest, 50 * MILLISECOND * patience());
}

/* 1.13 An event is not lost to a thread that is cancelled at the same time: it was returned, or it is still there. */
TEST_LIMIT(event_is_not_lost_to_a_cancelled_thread, "1.13 9.4", 30)
{
    int kq = queue(), returned = 0, left = 0;
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int round = 0; round < 300; round++) {
        struct caller caller = {.kq = kq, .room = 4, .go = 1};
        struct thread thread;
        struct kevent ev;
        start(&thread, call, &caller);
        if (round % 3 == 0)
            until_asleep(&thread);
        if (round % 2) {
            change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, round, 0);
            OK0(pthread_cancel(thread.id));
        } else {
            OK0(pthread_cancel(thread.id));
            change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, round, 0);
        }
        join(&thread);
        if (caller.came_back) {
            CHECK_EQ(caller.result, 1);
            EXPECT_EVENT(caller.ev[0], 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, round, 0);
            nothing(kq);
            returned++;
        } else {
            wait_event(kq, &ev);
            EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, round, 0);
            left++;
        }
    }
    CHECK_EQ(returned + left, 300);
}

#ifdef __linux__
/*
 * 1.13 2.9 Nor is one that the kernel tells once, to the thread that it wakes: that is cancelled before it can say so.
 * With one processor for both it does not run in between.
 */
TEST_LIMIT(edge_is_not_lost_to_a_cancelled_thread, "1.13 2.7 2.9", 30)
{
    static const unsigned modes[] = {EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    int kq = queue(), fds[2], left = 0;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(sched_getcpu(), &cpus);
    OK(sched_setaffinity(0, sizeof cpus, &cpus));
    pipe_pair(fds);
    for (int round = 0; round < 90 || left < 3; round++) {
        struct caller caller = {.kq = kq, .room = 4, .go = 1};
        unsigned flags = EV_ADD | modes[round % 3];
        struct thread thread;
        change(kq, fds[0], EVFILT_READ, flags, 0, 0, round);
        start(&thread, call, &caller);
        until_asleep(&thread);
        put(fds[1], 1);
        OK0(pthread_cancel(thread.id));
        join(&thread);
        if (caller.came_back) {
            CHECK_EQ(caller.result, 1);
            EXPECT_EVENT(caller.ev[0], fds[0], EVFILT_READ, flags, 0, 1, round);
        } else {
            EXPECT_NEXT(kq, fds[0], EVFILT_READ, flags, 0, 1, round);
            left++;
        }
        take(fds[0], 1);
        change_errno(kq, fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0);
    }
    printf("%d threads were cancelled\n", left);
}
#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A payload is handed from thread to thread by a user event, a pipe, a socket and a timer. Nothing but kevent() and
 * read() orders the accesses: a sanitizer of the program's must see that it does.
 */
#include "shape.h"

#include <pthread.h>

enum { ROUNDS = 200, GO = 1, BACK, TICK };

struct parcel {
    long value;
    char text[64];
};

static struct {
    int kq, back;       /* each thread waits on one and tells the other through the other */
    int pipe[2];
    struct parcel *parcel; /* plain memory */
} line;

static struct parcel *wrap(long value)
{
    struct parcel *it = malloc(sizeof *it);
    CHECK(it);
    it->value = value;
    memset(it->text, (int)value, sizeof it->text);
    return it;
}

static void unwrap(long value)
{
    CHECK_EQ(line.parcel->value, value);
    CHECK_EQ(line.parcel->text[63], (char)value);
    free(line.parcel);
    line.parcel = NULL;
}

static struct kevent await(int kq)
{
    struct kevent ev;
    int n;
    do
        n = guest_kevent(kq, NULL, 0, &ev, 1, NULL);
    while (n == -1 && errno == EINTR);
    CHECK_EQ(n, 1);
    return ev;
}

static void *receive(void *argument)
{
    char byte;
    for (long i = 0; i < ROUNDS; i++) {
        struct kevent ev = await(line.kq);
        if (ev.filter == EVFILT_READ)
            CHECK_EQ(read(line.pipe[0], &byte, 1), 1);
        unwrap(i);
        ADD(line.back, BACK, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    }
    return argument;
}

/* `by`: 0 a user event, 1 a pipe, 2 a timer that is added once the payload is there. */
static int hand_over(int by)
{
    pthread_t thread;
    line.kq = OK(guest_kqueue());
    line.back = OK(guest_kqueue());
    OK(pipe2(line.pipe, O_CLOEXEC));
    ADD(line.kq, GO, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    ADD(line.back, BACK, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    ADD(line.kq, (uintptr_t)line.pipe[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    CHECK_EQ(pthread_create(&thread, NULL, receive, NULL), 0);
    for (long i = 0; i < ROUNDS; i++) {
        line.parcel = wrap(i);
        if (by == 0)
            ADD(line.kq, GO, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
        else if (by == 1)
            put(line.pipe[1], 1);
        else
            ADD(line.kq, TICK, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 100, 0);
        await(line.back);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    close(line.kq), close(line.back), close(line.pipe[0]), close(line.pipe[1]);
    return 0;
}

ROLE(payload_by_user_event) { return hand_over(0); }
ROLE(payload_by_pipe) { return hand_over(1); }
ROLE(payload_by_timer) { return hand_over(2); }

CASE(payload_by_user_event) { hand_over(0); }
CASE(payload_by_pipe) { hand_over(1); }
CASE(payload_by_timer) { hand_over(2); }

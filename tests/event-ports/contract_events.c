/* SPDX-License-Identifier: BSD-2-Clause */
/* port_getn, port_send, port_alert, timers. */
#include "contract.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

enum { SENT = PORT_SOURCE_USER };

CASE(3_3_the_oldest_first)
{
    unsigned count = 1;
    for (int i = 1; i <= 3; i++)
        GOOD(port_send(p, i, USER(10 + i)));
    GOOD(port_getn(p, events, 2, &count, NULL));
    EQ(count, 2);
    IS(events[0], SENT, 0, 1, 11);
    IS(events[1], SENT, 0, 2, 12);
    count = 1;
    GOOD(port_getn(p, events, 8, &count, NULL));
    EQ(count, 1);
    IS(events[0], SENT, 0, 3, 13);
}

CASE(3_6_time_is_over_with_events)
{
    unsigned count = 3;
    struct timespec time = {0, 50000000};
    GOOD(port_send(p, 1, USER(1)));
    GOOD(port_send(p, 2, USER(2)));
    ERROR(port_getn(p, events, 8, &count, &time), PORT_ETIME);
    EQ(count, 2);
    IS(events[0], SENT, 0, 1, 1);
    IS(events[1], SENT, 0, 2, 2);
    EQ(queued(p), 0);
    count = 1;
    ERROR(port_getn(p, events, 8, &count, &time), PORT_ETIME);
    EQ(count, 0);
}

CASE(3_4_no_time)
{
    struct timespec at_once = {0, 0}, wrong = {0, 1000000000}, negative = {-1, 0};
    unsigned count = 1;
    EQ(port_getn(p, events, 8, &count, &at_once), 0);
    EQ(count, 0);
    count = 1;
    ERROR(port_getn(p, events, 8, &count, &wrong), EINVAL);
    ERROR(port_getn(p, events, 8, &count, &negative), EINVAL);
    GOOD(port_send(p, 1, NULL));
    EQ(port_getn(p, events, 8, &count, &wrong), 0);
    EQ(count, 1);
    GOOD(port_send(p, 1, NULL));
    count = 2;
    EQ(port_getn(p, events, 8, &count, &at_once), 0);
    EQ(count, 1);
}

CASE(3_5_no_wait_is_shorter_than_a_tick)
{
    struct timespec time = {0, 1}, before, after;
    unsigned count = 1;
    clock_gettime(CLOCK_MONOTONIC, &before);
    ERROR(port_getn(p, events, 8, &count, &time), PORT_ETIME);
    clock_gettime(CLOCK_MONOTONIC, &after);
    TRUE((after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec >= 10000000);
}

CASE(3_1_the_checks)
{
    unsigned count = 0;
    GOOD(port_send(p, 1, NULL));
    GOOD(port_send(p, 2, NULL));
    EQ(port_getn(p, events, 0, &count, NULL), 0);
    EQ(count, 2);
    count = 0;
    EQ(port_getn(p, events, 8, &count, NULL), 0);
    EQ(count, 0);
    EQ(queued(p), 2);
    count = 3;
    ERROR(port_getn(p, events, 2, &count, NULL), EINVAL);
    count = 1;
    ERROR(port_getn(p, NULL, 2, &count, NULL), EFAULT);
    ERROR(port_getn(p, events, 2, NULL, NULL), EINVAL);
    EQ(queued(p), 2);
    close(p);
    ERROR(port_getn(p, events, 2, &count, NULL), EBADF);
    ERROR(port_getn(0, events, 2, &count, NULL), PORT_EBADFD);
}

CASE(3_10_port_get_fills_nothing)
{
    struct timespec at_once = {0, 0};
    port_event_t event = {42, 42, 42, 42, USER(42)};
    EQ(port_get(p, &event, &at_once), 0);
    IS(event, 42, 42, 42, 42);
}

static volatile sig_atomic_t caught;

static void catch(int signo)
{
    caught = signo;
}

CASE(3_7_a_handler_ends_the_wait)
{
    struct thread thread;
    struct sigaction action = {.sa_handler = catch, .sa_flags = SA_RESTART};
    GOOD(sigaction(SIGUSR1, &action, NULL));
    start_getn(&thread, p, 2, 8);
    GOOD(port_send(p, 1, NULL));
    EQ(pthread_kill(thread.id, SIGUSR1), 0);
    join(&thread);
    EQ(thread.result, -1);
    EQ(thread.error, EINTR);
    EQ(thread.got, 2);
    EQ(caught, SIGUSR1);
    EQ(queued(p), 1);
}

CASE(3_9_an_event_goes_to_one)
{
    struct thread one, two;
    start_getn(&one, p, 1, 8);
    start_getn(&two, p, 1, 8);
    GOOD(port_send(p, 1, USER(1)));
    /* Of two that want the same the last to come. */
    join(&two);
    EQ(two.result, 0);
    EQ(two.got, 1);
    IS(two.events[0], SENT, 0, 1, 1);
    TRUE(!one.done);
    GOOD(port_send(p, 2, USER(2)));
    join(&one);
    EQ(one.got, 1);
    IS(one.events[0], SENT, 0, 2, 2);
}

CASE(3_9_who_wants_least_is_first)
{
    struct thread one, two;
    start_getn(&one, p, 2, 8);
    start_getn(&two, p, 1, 8);
    GOOD(port_send(p, 1, NULL));
    join(&two);
    EQ(two.got, 1);
    TRUE(!one.done);
    /* And when it came first. */
    start_getn(&two, p, 1, 8);
    struct thread three;
    start_getn(&three, p, 2, 8);
    GOOD(port_send(p, 1, NULL));
    join(&two);
    TRUE(!one.done && !three.done);
    GOOD(port_send(p, 1, NULL));
    GOOD(port_send(p, 1, NULL));
    join(&three);
    GOOD(port_send(p, 1, NULL));
    GOOD(port_send(p, 1, NULL));
    join(&one);
}

CASE(3_9_none_is_lost)
{
    struct thread threads[2];
    bool seen[6] = {false};
    unsigned all = 0;
    start_getn(&threads[0], p, 1, 8);
    start_getn(&threads[1], p, 1, 8);
    for (int i = 1; i <= 5; i++)
        GOOD(port_send(p, i, NULL));
    while (all < 5) {
        unsigned before = all;
        for (int t = 0; t < 2; t++) {
            if (!threads[t].done)
                continue;
            join(&threads[t]);
            threads[t].done = false;
            for (unsigned i = 0; i < threads[t].got; i++) {
                int number = threads[t].events[i].portev_events;
                TRUE(number >= 1 && number <= 5 && !seen[number]);
                seen[number] = true;
                all++;
            }
            threads[t].got = 0;
        }
        unsigned left = taken(p);
        for (unsigned i = 0; i < left; i++) {
            TRUE(!seen[events[i].portev_events]);
            seen[events[i].portev_events] = true;
            all++;
        }
        if (all == before)
            usleep(1000);
    }
    EQ(queued(p), 0);
}

CASE(3_8_closed_under_a_waiter)
{
    struct thread thread;
    start_getn(&thread, p, 1, 8);
    EQ(close(p), 0);
    join(&thread);
    EQ(thread.result, -1);
    EQ(thread.error, EBADF);
}

/* By another number it goes on. */
CASE(3_8_a_dup_is_closed)
{
    struct thread thread;
    int copy = GOOD(dup(p));
    start_getn(&thread, p, 1, 8);
    EQ(close(copy), 0);
    GOOD(port_send(p, 1, NULL));
    join(&thread);
    EQ(thread.result, 0);
    EQ(thread.got, 1);
}

CASE(3_2_alert_mode)
{
    unsigned count = 1;
    GOOD(port_send(p, 1, USER(1)));
    GOOD(port_alert(p, PORT_ALERT_SET, 7, USER(9)));
    for (int i = 0; i < 2; i++) {
        count = 1;
        GOOD(port_getn(p, events, 8, &count, NULL));
        EQ(count, 1);
        IS(events[0], PORT_SOURCE_ALERT, 0, 7, 9);
    }
    EQ(queued(p), 1);
    EQ(polled(p) & POLLIN, POLLIN);
    ERROR(port_alert(p, PORT_ALERT_UPDATE, 8, NULL), EBUSY);
    ERROR(port_alert(p, PORT_ALERT_INVALID, 8, NULL), EINVAL);
    GOOD(port_alert(p, 0, 0, NULL));
    EQ(taken(p), 1);
    IS(events[0], SENT, 0, 1, 1);
    GOOD(port_alert(p, PORT_ALERT_SET, 7, NULL));
    EQ(polled(p) & POLLIN, 0);
}

CASE(3_2_alert_mode_ends_a_wait)
{
    struct thread thread;
    start_getn(&thread, p, 1, 8);
    GOOD(port_alert(p, PORT_ALERT_SET, 7, USER(9)));
    join(&thread);
    EQ(thread.got, 1);
    IS(thread.events[0], PORT_SOURCE_ALERT, 0, 7, 9);
}

CASE(1_port_sendn)
{
    int other = GOOD(port_create()), errors[2] = {-5, -5};
    int both[2] = {p, other}, bad[2] = {p, 0};
    EQ(port_sendn(both, errors, 2, 3, USER(4)), 2);
    EQ(errors[0], -5);
    one(p);
    IS(events[0], SENT, 0, 3, 4);
    one(other);
    IS(events[0], SENT, 0, 3, 4);
    EQ(port_sendn(bad, errors, 2, 3, USER(4)), 1);
    EQ(errors[0], 0);
    EQ(errors[1], PORT_EBADFD);
    ERROR(port_sendn(both, errors, 0, 3, NULL), EINVAL);
}

static void send_from_handler(int signo)
{
    (void)signo;
    port_send(p, 5, USER(6));
}

CASE(1_port_send_in_a_handler)
{
    struct thread thread;
    signal(SIGUSR1, send_from_handler);
    start_getn(&thread, p, 2, 8);
    for (int i = 0; i < 100; i++) {
        GOOD(kill(getpid(), SIGUSR1));
        GOOD(port_send(p, 1, NULL));
    }
    comes_out(&thread);
    TRUE(thread.done);
}

static int timer(clockid_t clock, int user, long first, long period)
{
    int id;
    port_notify_t notify = {p, USER(user)};
    struct itimerspec time = {{0, period}, {0, first}};
    GOOD(port_timer_create(clock, &notify, &id));
    GOOD(port_timer_settime(id, 0, &time, NULL));
    return id;
}

CASE(4_2_a_timer_counts_what_is_not_taken)
{
    int id = timer(CLOCK_MONOTONIC, 3, 10000000, 10000000);
    struct timespec rest = {0, 55000000};
    nanosleep(&rest, NULL);
    EQ(queued(p), 1);
    EQ(polled(p) & POLLIN, POLLIN);
    EQ(taken(p), 1);
    TRUE(events[0].portev_events >= 5);
    IS(events[0], PORT_SOURCE_TIMER, id, events[0].portev_events, 3);
    until_queued(p, 1);
    GOOD(port_timer_delete(id));
    EQ(taken(p), 0);
    ERROR(port_timer_delete(id), EINVAL);
}

CASE(4_2_a_timer_that_is_set_anew_keeps_its_event)
{
    int id = timer(CLOCK_REALTIME, 3, 1, 0);
    struct itimerspec never = {{0, 0}, {0, 0}};
    until_queued(p, 1);
    GOOD(port_timer_settime(id, 0, &never, NULL));
    EQ(taken(p), 1);
    IS(events[0], PORT_SOURCE_TIMER, id, 1, 3);
}

CASE(4_2_a_timer_wakes_a_waiter)
{
    struct thread thread;
    start_getn(&thread, p, 1, 8);
    int id = timer(CLOCK_MONOTONIC, 3, 1000000, 0);
    join(&thread);
    EQ(thread.got, 1);
    IS(thread.events[0], PORT_SOURCE_TIMER, id, 1, 3);
}

CASE(4_2_thirty_two_timers)
{
    int id;
    port_notify_t notify = {p, NULL};
    for (int i = 0; i < 32; i++)
        GOOD(port_timer_create(CLOCK_MONOTONIC, &notify, &id));
    ERROR(port_timer_create(CLOCK_MONOTONIC, &notify, &id), EAGAIN);
    close(p);
    p = GOOD(port_create());
    notify.portnfy_port = p;
    GOOD(port_timer_create(CLOCK_MONOTONIC, &notify, &id));
}

static void *wait_for_ever(void *argument)
{
    (void)argument;
    unsigned count = 1;
    port_getn(p, events, 8, &count, NULL);
    pthread_testcancel();
    return NULL;
}

CASE(3_13_no_cancellation_point)
{
    pthread_t thread;
    void *result;
    EQ(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
    EQ(pthread_cancel(thread), 0);
    GOOD(port_send(p, 1, USER(1)));
    EQ(pthread_join(thread, &result), 0);
    TRUE(result == PTHREAD_CANCELED);
    IS(events[0], SENT, 0, 1, 1);
    GOOD(port_send(p, 1, NULL));
    one(p);
}

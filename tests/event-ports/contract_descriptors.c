/* SPDX-License-Identifier: BSD-2-Clause */
/* PORT_SOURCE_FD. */
#include "contract.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { IN = PORT_POLLIN, OUT = PORT_POLLOUT, HUP = PORT_POLLHUP, FD = PORT_SOURCE_FD };

static void watch(int fd, int wanted, int user)
{
    GOOD(port_associate(p, FD, (uintptr_t)fd, wanted, USER(user)));
}

static void a_pipe(int ends[2])
{
    GOOD(pipe(ends));
}

static void a_pair(int ends[2])
{
    GOOD(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}

CASE(2_2_ready_at_association)
{
    int ends[2];
    a_pipe(ends);
    put(ends[1], "x");
    EQ(polled(p) & POLLIN, 0);
    watch(ends[0], IN, 1);
    EQ(polled(p) & POLLIN, POLLIN);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], IN, 1);
    EQ(polled(p) & POLLIN, 0);
}

CASE(2_4_retrieval_ends_it)
{
    int ends[2];
    a_pipe(ends);
    put(ends[1], "x");
    watch(ends[0], IN, 1);
    EQ(taken(p), 1);
    EQ(taken(p), 0);
    put(ends[1], "y");
    EQ(taken(p), 0);
    watch(ends[0], IN, 2);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], IN, 2);
}

CASE(2_3_an_event_outlives_its_reason)
{
    int ends[2];
    a_pipe(ends);
    watch(ends[0], IN, 1);
    put(ends[1], "x");
    EQ(queued(p), 1);
    get(ends[0], 1);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], IN, 1);
}

/* The same where nobody asks: it is queued when it happens. */
CASE(2_3_an_event_is_queued_by_itself)
{
    int ends[2];
    struct thread thread;
    a_pipe(ends);
    watch(ends[0], IN, 1);
    start_getn(&thread, p, 2, 8);
    put(ends[1], "x");
    until_queued(p, 1);
    get(ends[0], 1);
    GOOD(port_send(p, 1, NULL));
    join(&thread);
    EQ(thread.got, 2);
    IS(thread.events[0], FD, ends[0], IN, 1);
}

CASE(2_2_association_drops_what_is_queued)
{
    int ends[2];
    a_pipe(ends);
    put(ends[1], "x");
    watch(ends[0], IN, 1);
    EQ(queued(p), 1);
    get(ends[0], 1);
    watch(ends[0], IN, 2);
    EQ(queued(p), 0);
    EQ(polled(p) & POLLIN, 0);
    put(ends[1], "x");
    until_queued(p, 1);
    watch(ends[0], IN, 3);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], IN, 3);
}

CASE(2_1_one_association_a_descriptor)
{
    int ends[2];
    a_pair(ends);
    watch(ends[0], IN, 1);
    watch(ends[0], OUT, 2);
    put(ends[1], "x");
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], OUT, 2);
    EQ(taken(p), 0);
}

CASE(2_2_association_goes_to_the_tail)
{
    int one[2], two[2];
    a_pipe(one);
    a_pipe(two);
    put(one[1], "x");
    put(two[1], "x");
    watch(one[0], IN, 1);
    watch(two[0], IN, 2);
    watch(one[0], IN, 1);
    EQ(taken(p), 2);
    IS(events[0], FD, two[0], IN, 2);
    IS(events[1], FD, one[0], IN, 1);
}

CASE(2_3_a_snapshot)
{
    int ends[2];
    a_pipe(ends);
    watch(ends[0], IN, 1);
    put(ends[1], "x");
    until_queued(p, 1);
    close(ends[1]);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], IN, 1);
}

CASE(2_2_nothing_wanted_but_a_hang_up)
{
    int ends[2];
    a_pipe(ends);
    watch(ends[0], 0, 1);
    put(ends[1], "x");
    EQ(taken(p), 0);
    get(ends[0], 1);
    close(ends[1]);
    one(p);
    IS(events[0], FD, ends[0], HUP, 1);
}

CASE(2_5_dissociate)
{
    int ends[2];
    a_pipe(ends);
    ERROR(port_dissociate(p, FD, (uintptr_t)ends[0]), ENOENT);
    watch(ends[0], IN, 1);
    EQ(port_dissociate(p, FD, (uintptr_t)ends[0]), 0);
    put(ends[1], "x");
    EQ(taken(p), 0);
    watch(ends[0], IN, 1);
    EQ(queued(p), 1);
    EQ(port_dissociate(p, FD, (uintptr_t)ends[0]), 0);
    EQ(queued(p), 0);
    EQ(polled(p) & POLLIN, 0);
    watch(ends[0], IN, 1);
    EQ(taken(p), 1);
    ERROR(port_dissociate(p, FD, (uintptr_t)ends[0]), ENOENT);
    ERROR(port_dissociate(p, PORT_SOURCE_USER, 0), EINVAL);
}

CASE(2_6_close_takes_all)
{
    int ends[2];
    a_pipe(ends);
    int copy = GOOD(dup(ends[0]));
    put(ends[1], "x");
    watch(ends[0], IN, 1);
    EQ(queued(p), 1);
    close(ends[0]);
    EQ(queued(p), 0);
    EQ(taken(p), 0);
    ERROR(port_dissociate(p, FD, (uintptr_t)ends[0]), PORT_EBADFD);
    put(ends[1], "x");
    EQ(taken(p), 0);
    watch(copy, IN, 2);
    EQ(taken(p), 1);
    IS(events[0], FD, copy, IN, 2);
}

CASE(2_6_a_dup_inherits_nothing)
{
    int ends[2];
    a_pipe(ends);
    watch(ends[0], IN, 1);
    int copy = GOOD(dup(ends[0]));
    put(ends[1], "x");
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], IN, 1);
    ERROR(port_dissociate(p, FD, (uintptr_t)copy), ENOENT);
}

CASE(2_6_dup2_onto_it)
{
    int old[2], new[2];
    a_pipe(old);
    a_pipe(new);
    int kept = GOOD(dup(old[0]));
    watch(old[0], IN, 1);
    GOOD(dup2(new[0], old[0]));
    put(old[1], "x");
    put(new[1], "x");
    EQ(taken(p), 0);
    ERROR(port_dissociate(p, FD, (uintptr_t)old[0]), ENOENT);
    watch(old[0], IN, 2);
    EQ(taken(p), 1);
    IS(events[0], FD, old[0], IN, 2);
    close(kept);
}

CASE(2_7_two_ports_on_one_descriptor)
{
    int ends[2], other = GOOD(port_create());
    a_pipe(ends);
    watch(ends[0], IN, 1);
    GOOD(port_associate(other, FD, (uintptr_t)ends[0], IN, USER(2)));
    put(ends[1], "x");
    one(p);
    IS(events[0], FD, ends[0], IN, 1);
    one(other);
    IS(events[0], FD, ends[0], IN, 2);
}

CASE(2_8_a_file_always_is_ready)
{
    char name[] = "contract.XXXXXX";
    int file = GOOD(mkstemp(name));
    unlink(name);
    for (int i = 1; i <= 2; i++) {
        watch(file, IN | OUT, i);
        EQ(taken(p), 1);
        IS(events[0], FD, file, IN | OUT, i);
        EQ(taken(p), 0);
    }
    watch(file, IN, 3);
    EQ(taken(p), 1);
    IS(events[0], FD, file, IN, 3);
}

CASE(2_8_a_pipe_with_data_left_and_hung_up)
{
    int ends[2];
    a_pipe(ends);
    put(ends[1], "x");
    close(ends[1]);
    watch(ends[0], IN, 1);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], IN | HUP, 1);
    get(ends[0], 1);
    watch(ends[0], IN, 2);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], HUP, 2);
}

CASE(2_8_the_end_of_a_pipes_readers)
{
    int ends[2];
    a_pipe(ends);
    watch(ends[1], OUT, 1);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[1], OUT, 1);
    close(ends[0]);
    watch(ends[1], OUT, 2);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[1], HUP, 2);
}

CASE(2_8_half_a_socket_closed)
{
    int ends[2];
    a_pair(ends);
    watch(ends[0], IN, 1);
    GOOD(shutdown(ends[1], SHUT_WR));
    one(p);
    IS(events[0], FD, ends[0], IN, 1);
    watch(ends[0], IN | PORT_POLLRDHUP, 2);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], IN | PORT_POLLRDHUP, 2);
    GOOD(shutdown(ends[0], SHUT_WR));
    watch(ends[0], 0, 3);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], HUP, 3);
}

CASE(2_8_an_epoll_does_not_wake)
{
    int ends[2], other = GOOD(port_create()), epoll = GOOD(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event item = {.events = EPOLLIN};
    a_pipe(ends);
    GOOD(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &item));
    watch(epoll, IN, 1);
    GOOD(port_associate(other, FD, (uintptr_t)ends[0], IN, USER(2)));
    put(ends[1], "x");
    /* What was not told by now is not told. */
    one(other);
    EQ(taken(p), 0);
}

CASE(1_what_is_refused)
{
    int ends[2], closed = GOOD(port_create());
    a_pipe(ends);
    close(closed);
    ERROR(port_associate(p, FD, 999, IN, NULL), PORT_EBADFD);
    ERROR(port_associate(p, FD, (uintptr_t)1 << 32 | (uintptr_t)ends[0], IN, NULL), PORT_EBADFD);
    ERROR(port_associate(ends[0], FD, (uintptr_t)ends[0], IN, NULL), PORT_EBADFD);
    ERROR(port_associate(closed, FD, (uintptr_t)ends[0], IN, NULL), EBADF);
    ERROR(port_associate(p, PORT_SOURCE_USER, (uintptr_t)ends[0], IN, NULL), EINVAL);
    ERROR(port_dissociate(ends[0], FD, (uintptr_t)ends[0]), PORT_EBADFD);
    ERROR(port_dissociate(closed, FD, (uintptr_t)ends[0]), EBADF);
    ERROR(port_send(ends[0], 1, NULL), PORT_EBADFD);
    ERROR(port_send(closed, 1, NULL), EBADF);
}

CASE(2_4_slots)
{
    setenv("EVENT_PORT_LIMIT", "4", 1);
    int ends[2], small = GOOD(port_create()), copies[4];
    unsetenv("EVENT_PORT_LIMIT");
    for (int i = 0; i < 4; i++)
        GOOD(port_send(small, i, NULL));
    ERROR(port_send(small, 4, NULL), EAGAIN);
    EQ(taken(small), 4);
    a_pipe(ends);
    put(ends[1], "x");
    for (int i = 0; i < 4; i++) {
        copies[i] = GOOD(dup(ends[0]));
        GOOD(port_associate(small, FD, (uintptr_t)copies[i], IN, NULL));
    }
    ERROR(port_associate(small, FD, (uintptr_t)ends[0], IN, NULL), EAGAIN);
    EQ(taken(small), 4);
    /* Retrieved, and still counted. */
    ERROR(port_associate(small, FD, (uintptr_t)ends[0], IN, NULL), EAGAIN);
    ERROR(port_dissociate(small, FD, (uintptr_t)copies[0]), ENOENT);
    EQ(port_associate(small, FD, (uintptr_t)ends[0], IN, NULL), 0);
    ERROR(port_send(small, 4, NULL), EAGAIN);
    close(copies[1]);
    EQ(port_send(small, 4, NULL), 0);
}

CASE(3_11_a_port_in_a_port)
{
    int inner = GOOD(port_create()), ends[2];
    watch(inner, IN, 1);
    GOOD(port_send(inner, 7, NULL));
    one(p);
    IS(events[0], FD, inner, IN, 1);
    EQ(taken(inner), 1);
    a_pipe(ends);
    GOOD(port_associate(inner, FD, (uintptr_t)ends[0], IN, USER(2)));
    watch(inner, IN, 3);
    put(ends[1], "x");
    EQ(polled(p) & POLLIN, POLLIN);
    one(p);
    IS(events[0], FD, inner, IN, 3);
    one(inner);
    IS(events[0], FD, ends[0], IN, 2);
}

CASE(3_12_who_polls_is_not_told_of_an_association)
{
    struct thread thread;
    int ends[2];
    a_pipe(ends);
    put(ends[1], "x");
    start_poll(&thread, p);
    watch(ends[0], IN, 1);
    EQ(queued(p), 1);
    /* Told of or not, it would be out by the time that a second thread, begun afterwards, is. */
    struct thread second;
    start_poll(&second, GOOD(port_create()));
    GOOD(port_send(second.port, 1, NULL));
    join(&second);
    TRUE(!thread.done);
    GOOD(port_send(p, 1, NULL));
    join(&thread);
    EQ(thread.got & POLLIN, POLLIN);
}

CASE(3_12_who_polls_is_told_of_a_wake_up)
{
    struct thread thread;
    int ends[2];
    a_pipe(ends);
    watch(ends[0], IN, 1);
    start_poll(&thread, p);
    put(ends[1], "x");
    join(&thread);
    EQ(thread.got & POLLIN, POLLIN);
}

CASE(2_9_a_child_closes_what_is_not_its_own)
{
    int ends[2];
    a_pipe(ends);
    watch(ends[0], IN, 1);
    pid_t child = GOOD(fork());
    if (child == 0) {
        ERROR(port_dissociate(p, FD, (uintptr_t)ends[0]), EACCES);
        EQ(close(ends[0]), 0);
        EQ(close(p), 0);
        _exit(0);
    }
    int status;
    GOOD(waitpid(child, &status, 0));
    EQ(status, 0);
    put(ends[1], "x");
    one(p);
    IS(events[0], FD, ends[0], IN, 1);
}

CASE(2_9_closing_a_dup_of_the_port)
{
    int ends[2], copy = GOOD(dup(p));
    a_pipe(ends);
    watch(ends[0], IN, 1);
    close(copy);
    put(ends[1], "x");
    EQ(taken(p), 0);
    ERROR(port_dissociate(p, FD, (uintptr_t)ends[0]), ENOENT);
    watch(ends[0], IN, 2);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], IN, 2);
}

CASE(2_9_a_dup_is_the_same_port)
{
    int ends[2], copy = GOOD(fcntl(p, F_DUPFD_CLOEXEC, 0)), other = GOOD(port_create());
    a_pipe(ends);
    watch(ends[0], IN, 1);
    ERROR(port_dissociate(other, FD, (uintptr_t)ends[0]), ENOENT);
    EQ(port_dissociate(copy, FD, (uintptr_t)ends[0]), 0);
    GOOD(port_send(copy, 5, USER(6)));
    one(p);
    IS(events[0], PORT_SOURCE_USER, 0, 5, 6);
}

CASE(1_the_descriptor)
{
    struct stat status;
    char byte = 0;
    GOOD(port_send(p, 1, NULL));
    GOOD(fstat(p, &status));
    EQ(status.st_mode & S_IFMT, S_IFPORT);
    EQ(status.st_size, 1);
    EQ(fcntl(p, F_GETFD), 0);
    EQ(read(p, &byte, 1), -1);
    EQ(write(p, &byte, 1), -1);
}

CASE(2_6_a_dup3_that_fails_drops_nothing)
{
    int ends[2];
    a_pipe(ends);
    watch(ends[0], IN, 1);
    ERROR(dup3(ends[1], ends[0], O_APPEND), EINVAL);
    ERROR(dup2(999, ends[0]), EBADF);
    put(ends[1], "x");
    one(p);
    IS(events[0], FD, ends[0], IN, 1);
}

CASE(2_9_a_port_that_is_closed_leaves_nothing)
{
    int ends[2], other = GOOD(port_create());
    a_pipe(ends);
    put(ends[1], "x");
    watch(ends[0], IN, 1);
    GOOD(port_associate(other, FD, (uintptr_t)ends[0], IN, USER(2)));
    EQ(taken(other), 1);
    close(other);
    close(p);
    p = GOOD(port_create());
    watch(ends[0], IN, 3);
    EQ(taken(p), 1);
    IS(events[0], FD, ends[0], IN, 3);
    EQ(close(ends[0]), 0);
}

/* Where somebody watches the port for edges, as Linux's epoll can. */
CASE(3_11_each_word_is_an_edge)
{
    int epoll = GOOD(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event item = {.events = EPOLLIN | EPOLLET};
    GOOD(epoll_ctl(epoll, EPOLL_CTL_ADD, p, &item));
    for (int i = 0; i < 10; i++) {
        GOOD(port_send(p, 1, NULL));
        EQ(epoll_wait(epoll, &item, 1, 5000), 1);
        GOOD(port_send(p, 2, NULL));
        EQ(epoll_wait(epoll, &item, 1, 5000), 1);
        EQ(epoll_wait(epoll, &item, 1, 0), 0);
        EQ(taken(p), 2);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract of event ports, as cases: each is one sentence of the document that the backend is built on (its number is
 * in the name), arranges, acts, and asserts on whole events. A case is a process of its own, with a port `p`.
 */
#ifndef CONTRACT_H
#define CONTRACT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "port.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct contract {
    const char *name;
    void (*run)(void);
    struct contract *next;
};
void add_contract(struct contract *);

#define CASE(name)                                                                                          \
    static void case_##name(void);                                                                          \
    __attribute__((constructor)) static void add_##name(void)                                               \
    {                                                                                                       \
        static struct contract contract = {#name, case_##name, NULL};                                       \
        add_contract(&contract);                                                                            \
    }                                                                                                       \
    static void case_##name(void)

#define FAIL(...) (fprintf(stderr, "  %s:%d: ", __FILE__, __LINE__), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), _exit(1))
#define EQ(a, b)                                                                                            \
    do {                                                                                                    \
        long long a_ = (long long)(a), b_ = (long long)(b);                                                 \
        if (a_ != b_)                                                                                       \
            FAIL("%s is %lld (%#llx), and %s %lld", #a, a_, a_, #b, b_);                                    \
    } while (0)
#define TRUE(a)                                                                                             \
    do {                                                                                                    \
        if (!(a))                                                                                           \
            FAIL("%s is false", #a);                                                                        \
    } while (0)
#define ERROR(call, error_)                                                                                 \
    do {                                                                                                    \
        errno = 0;                                                                                          \
        long long r_ = (long long)(call);                                                                   \
        int e_ = errno;                                                                                     \
        if (r_ != -1 || e_ != (error_))                                                                     \
            FAIL("%s gave %lld, errno %d, not %s", #call, r_, e_, #error_);                                 \
    } while (0)
/* The call does not fail; its value. */
#define GOOD(call) good((long long)(call), #call, __FILE__, __LINE__)
int good(long long value, const char *text, const char *file, int line);

/* The port of the case. */
extern int p;

#define USER(n) ((void *)(uintptr_t)(n))

/* Takes what there is, without waiting: so many events, in `events`. */
extern port_event_t events[64];
unsigned taken(int port);
/* Waits for one, five seconds at most, into events[0]. */
#define one(port) one_event(port, __FILE__, __LINE__)
void one_event(int port, const char *file, int line);
/* The event is this one, in every member. */
#define IS(event, source, object, events, user) is_event(&(event), source, (uintptr_t)(object), events, USER(user), __FILE__, __LINE__)
void is_event(const port_event_t *event, int source, uintptr_t object, int events, void *user, const char *file, int line);
/* How many are queued. */
unsigned queued(int port);
/* Returns when so many are. */
void until_queued(int port, unsigned count);
/* What poll() says of a descriptor at once. */
int polled(int fd);
void put(int fd, const char *bytes);
void get(int fd, unsigned count);

struct thread {
    pthread_t id;
    int port;
    unsigned nget, max;
    int result, error;
    unsigned got;
    port_event_t events[64];
    _Atomic pid_t number;
    _Atomic bool done;
};
/* A thread in port_getn(), or in poll() on the port; returns when it sleeps there. */
void start_getn(struct thread *, int port, unsigned nget, unsigned max);
void start_poll(struct thread *, int port);
void join(struct thread *);
/* Returns when it has come out; five seconds at most. */
bool comes_out(struct thread *);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The same cases for every way to be loaded. How kqueue() and kevent() are reached is in a file of its own (linked.c,
 * found.c); whether the library learns of a close is told by the variable FRONT.
 */
#ifndef SHAPE_H
#define SHAPE_H

#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/event.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How this program reaches the library. NULL: it has none. */
int guest_kqueue(void);
int guest_kevent(int kq, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
                 const struct timespec *timeout);
/* Closes what was opened at run time; -1: there is nothing of the kind. */
int guest_unload(void);
/* Does our close() come before libc's? */
extern int in_front;

/* A case: a process of its own, which ends with success by returning. */
struct a_case {
    const char *name;
    void (*run)(void);
    struct a_case *next;
};
void register_case(struct a_case *);
#define CASE(name)                                                                                          \
    static void case_##name(void);                                                                          \
    __attribute__((constructor)) static void register_##name(void)                                          \
    {                                                                                                       \
        static struct a_case it = {#name, case_##name, NULL};                                               \
        register_case(&it);                                                                                 \
    }                                                                                                       \
    static void case_##name(void)

/* What the program does when it is started with a name as its argument; the status is its exit status. */
struct role {
    const char *name;
    int (*play)(void);
    struct role *next;
};
void register_role(struct role *);
#define ROLE(name)                                                                                          \
    static int role_##name(void);                                                                           \
    __attribute__((constructor)) static void register_role_##name(void)                                     \
    {                                                                                                       \
        static struct role it = {#name, role_##name, NULL};                                                 \
        register_role(&it);                                                                                 \
    }                                                                                                       \
    static int role_##name(void)
/* Starts this program in a role and returns its wait status. What it prints is counted in `printed`. */
int start_role(const char *name, long *printed);

_Noreturn void fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void skip(const char *reason);
/* Some of it the sanitizer's own side does not bear, with poll() either. */
#ifdef __SANITIZE_ADDRESS__
#define NOT_WITH_ASAN(reason) skip(reason)
#else
#define NOT_WITH_ASAN(reason) ((void)0)
#endif
#define FAIL(...) fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(cond) ((cond) ? (void)0 : FAIL("%s is false, errno %s", #cond, strerror(errno)))
#define CHECK_EQ(a, b) check_eq(__FILE__, __LINE__, #a " == " #b, (intmax_t)(a), (intmax_t)(b))
#define OK(expr) check_ok(__FILE__, __LINE__, #expr, (intmax_t)(expr))
static inline void check_eq(const char *file, int line, const char *text, intmax_t a, intmax_t b)
{
    if (a != b)
        fail(file, line, "%s is false: %jd and %jd", text, a, b);
}
static inline int check_ok(const char *file, int line, const char *text, intmax_t result)
{
    if (result == -1)
        fail(file, line, "%s failed: %s", text, strerror(errno));
    return (int)result;
}

/* One change; 0 or the errno. */
int change(int kq, uintptr_t ident, short filter, unsigned flags, unsigned fflags, intptr_t data, intptr_t udata);
#define ADD(...) CHECK_EQ(change(__VA_ARGS__), 0)
/* The next event, which comes within five seconds and alone. */
struct kevent next(const char *file, int line, int kq);
#define NEXT(kq) next(__FILE__, __LINE__, kq)
/* The next event is of `ident` and was registered with `udata`; its data is returned. */
intptr_t next_of(const char *file, int line, int kq, uintptr_t ident, intptr_t udata);
#define NEXT_OF(kq, ident, udata) next_of(__FILE__, __LINE__, kq, ident, udata)
/* kevent() has nothing to say, however often it is asked; it waits without burning the processor. */
void nothing(const char *file, int line, int kq);
#define NOTHING(kq) nothing(__FILE__, __LINE__, kq)
void sleeps(const char *file, int line, int kq);
#define SLEEPS(kq) sleeps(__FILE__, __LINE__, kq)

void pair(int fds[2]);        /* AF_UNIX stream sockets */
void put(int fd, int bytes);
int is_open(int fd);
int open_descriptors(void);
void until_asleep(int tid);   /* the thread sleeps in the kernel */

#endif

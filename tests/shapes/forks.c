/* SPDX-License-Identifier: BSD-2-Clause */
/* Children, where other handlers of fork() come before the library's, or none are told. */
#include "shape.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What the handlers do that are registered before any library has begun. */
static void (*early_prepare)(void), (*early_parent)(void), (*early_child)(void);

static void prepare(void)
{
    if (early_prepare)
        early_prepare();
}

static void parent(void)
{
    if (early_parent)
        early_parent();
}

static void child(void)
{
    if (early_child)
        early_child();
}

/* What a preloaded allocator does before a fork comes after them, and is undone after them, too. */
static void need_malloc(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    if (preloaded && strstr(preloaded, "jemalloc"))
        skip("jemalloc's locks are held while the handlers run");
}

static void register_early(void) { pthread_atfork(prepare, parent, child); }

__attribute__((section(".preinit_array"), used)) static void (*const before_all_libraries)(void) = register_early;

static int queue, own_queue, file = -1;

static void begin_anew(void)
{
    close(queue);
    file = open("/dev/null", O_RDONLY);
    own_queue = guest_kqueue();
}

static void close_and_open(void)
{
    close(queue);
    file = open("/dev/null", O_RDONLY);
}

static int works(int kq)
{
    struct timespec five = {5, 0};
    struct kevent ev;
    return change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 4) == 0 &&
           guest_kevent(kq, NULL, 0, &ev, 1, &five) == 1 && (intptr_t)ev.udata == 4 &&
           change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 5) == 0 &&
           guest_kevent(kq, NULL, 0, &ev, 1, &five) == 1 && (intptr_t)ev.udata == 5;
}

static void expect_child(int status_of(void))
{
    int status;
    pid_t pid = OK(fork());
    if (pid == 0)
        _exit(status_of());
    OK(waitpid(pid, &status, 0));
    CHECK_EQ(status, 0);
}

static int has_file_and_queue(void) { return !is_open(file) * 1 + !works(own_queue) * 2; }
static int has_file(void) { return !is_open(file); }

/* A program begins its event loop anew in its child, before the library hears that there is one. */
CASE(early_handler_makes_a_queue)
{
    need_malloc();
    queue = OK(guest_kqueue());
    ADD(queue, 1, EVFILT_TIMER, EV_ADD, 0, 3600000, 0);
    early_child = begin_anew;
    for (int i = 0; i < 20; i++)
        expect_child(has_file_and_queue);
    CHECK(works(queue));
}

/* The same where the parent has no kqueue. */
CASE(early_handler_makes_the_first_queue)
{
    need_malloc();
    queue = -1;
    early_child = begin_anew;
    expect_child(has_file_and_queue);
}

/* It closes the parent's number and opens a file, which stays open. */
CASE(early_handler_opens_a_file_on_the_number)
{
    queue = OK(guest_kqueue());
    ADD(queue, 1, EVFILT_TIMER, EV_ADD, 0, 3600000, 0);
    early_child = close_and_open;
    for (int i = 0; i < 20; i++)
        expect_child(has_file);
    CHECK(works(queue));
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int over;
static atomic_int held;   /* by the thread that makes kqueues */
static atomic_int wanted; /* by the fork */

static void take(void) { pthread_mutex_lock(&mutex); }

static void take_for_fork(void)
{
    take();
    wanted = 0;
}

static void give(void) { pthread_mutex_unlock(&mutex); }

static void *make_queues(void *argument)
{
    while (!over) {
        take();
        held = 1;
        int kq = OK(guest_kqueue());
        ADD(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
        OK(close(kq));
        held = 0;
        give();
        /* Mutexes are not fair. */
        while (wanted)
            sched_yield();
    }
    return argument;
}

static int is_well(void) { return 0; }

/* fork() waits for a lock of the program's, whose holder makes a kqueue, while the library holds its own back. */
CASE(early_handler_waits_for_who_makes_a_queue)
{
    pthread_t thread;
    need_malloc();
    alarm(120); /* each fork is waited for, for 0.1 s and more than once */
    OK(close(OK(guest_kqueue())));
    CHECK_EQ(pthread_create(&thread, NULL, make_queues, NULL), 0);
    early_prepare = take_for_fork;
    early_parent = early_child = give;
    for (int i = 0; i < 8; i++) {
        while (!held)
            sched_yield();
        wanted = 1;
        expect_child(is_well);
    }
    over = 1;
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* Process 1 of a namespace has a child by a bare clone() that is process 1 of another, and closes what it finds. */
static int closes_in_a_namespace(void)
{
    struct timespec five = {5, 0};
    struct kevent ev;
    int kq = OK(guest_kqueue()), fds[2];
    pair(fds);
    CHECK_EQ(getpid(), 1);
    ADD(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 3);
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
    if (pid == -1)
        return 2;
    if (pid == 0) {
        close(fds[0]);
        close(kq);
        syscall(SYS_exit_group, getpid() != 1);
    }
    int status;
    OK(waitpid(pid, &status, 0));
    CHECK_EQ(status, 0);
    put(fds[1], 1);
    return guest_kevent(kq, NULL, 0, &ev, 1, &five) != 1 || (intptr_t)ev.udata != 3;
}

CASE(bare_clone_in_a_namespace_of_its_own)
{
    int status;
    NOT_WITH_ASAN("its search for leaks does not bear the namespace");
    if (unshare(CLONE_NEWPID) == -1 && unshare(CLONE_NEWUSER | CLONE_NEWPID) == -1)
        skip("no PID namespaces here");
    pid_t pid = OK(fork());
    if (pid == 0)
        _exit(closes_in_a_namespace());
    OK(waitpid(pid, &status, 0));
    if (status == 2 << 8)
        skip("no PID namespace in a PID namespace here");
    CHECK_EQ(status, 0);
}

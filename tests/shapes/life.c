/* SPDX-License-Identifier: BSD-2-Clause */
/* Birth and death: what the library does to a process that starts, exits, or loads and unloads it. */
#include "shape.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    int count = -2;
    CHECK(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

ROLE(born_and_dead)
{
    int kq = guest_kqueue();
    return kq == -1 || close(kq) != 0;
}

/* A kqueue is made and closed and the process exits, over and over; nothing is printed. */
CASE(born_and_dead)
{
    int times = getenv("TIMES") ? atoi(getenv("TIMES")) : 100;
    for (int i = 0; i < times; i++) {
        long printed;
        CHECK_EQ(start_role("born_and_dead", &printed), 0);
        CHECK_EQ(printed, 0);
    }
}

/* The same in children of one process that has kqueues itself. */
CASE(born_and_dead_in_children)
{
    int kq = OK(guest_kqueue());
    ADD(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int i = 0; i < 300; i++) {
        int status;
        pid_t pid = OK(fork());
        if (pid == 0) {
            int own = guest_kqueue();
            exit(own != kq || change(own, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0) != 0 || close(own) != 0);
        }
        OK(waitpid(pid, &status, 0));
        CHECK_EQ(status, 0);
    }
    ADD(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    NEXT_OF(kq, 1, 0);
}

CASE(no_thread)
{
    int kq = OK(guest_kqueue()), fds[2];
    pair(fds);
    ADD(kq, (uintptr_t)fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    ADD(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 2);
    ADD(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 3);
    ADD(kq, (uintptr_t)getpid(), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 4);
    NEXT_OF(kq, 1, 2);
    CHECK_EQ(threads(), 1);
}

struct waiting {
    int kq;
    int tid;
    pthread_t thread;
};

static void *wait_for_ever(void *argument)
{
    struct waiting *self = argument;
    struct kevent ev;
    __atomic_store_n(&self->tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    guest_kevent(self->kq, NULL, 0, &ev, 1, NULL);
    return NULL;
}

static void start_waiting(struct waiting *w, int kq, int count)
{
    for (int i = 0; i < count; i++) {
        w[i] = (struct waiting){.kq = kq};
        CHECK_EQ(pthread_create(&w[i].thread, NULL, wait_for_ever, &w[i]), 0);
        while (!__atomic_load_n(&w[i].tid, __ATOMIC_SEQ_CST))
            sched_yield();
        until_asleep(w[i].tid);
    }
}

ROLE(exits_with_a_queue)
{
    int kq = guest_kqueue();
    ADD(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
    ADD(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1000, 0);
    ADD(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 0);
    return 0;
}

ROLE(exits_while_threads_wait)
{
    static struct waiting w[4];
    start_waiting(w, guest_kqueue(), 4);
    exit(0);
}

CASE(exit_while_threads_wait)
{
    for (int i = 0; i < 25; i++) {
        long printed;
        CHECK_EQ(start_role("exits_while_threads_wait", &printed), 0);
        CHECK_EQ(printed, 0);
    }
}

static int late_queue = -1;

/* After every handler of atexit() and every constructor's opposite that was registered later. */
__attribute__((destructor(101))) static void late(void)
{
    struct kevent ev;
    struct timespec five = {5, 0};
    if (late_queue == -1)
        return;
    if (change(late_queue, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 7) != 0 ||
        guest_kevent(late_queue, NULL, 0, &ev, 1, &five) != 1 || (intptr_t)ev.udata != 7)
        _exit(42);
    int another = guest_kqueue();
    if (another == -1 || change(another, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 8) != 0 ||
        guest_kevent(another, NULL, 0, &ev, 1, &five) != 1 || close(another) != 0 || close(late_queue) != 0)
        _exit(43);
    _exit(44);
}

ROLE(uses_the_queue_late)
{
    late_queue = guest_kqueue();
    change(late_queue, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 7);
    return 0;
}

CASE(late_destructor_uses_the_queue)
{
    long printed;
    CHECK_EQ(start_role("uses_the_queue_late", &printed), 44 << 8);
    CHECK_EQ(printed, 0);
}

/* Loaded, used and unloaded a hundred times, with fork handlers and signal handlers left behind. */
ROLE(loads_and_unloads)
{
    for (int i = 0; i < 100; i++) {
        int kq = guest_kqueue(), status;
        if (change(kq, SIGUSR2, EVFILT_SIGNAL, EV_ADD, 0, 0, 0) != 0)
            return 3;
        if (i % 2)
            close(kq);
        if (guest_unload() != 0)
            return 1;
        pid_t pid = fork();
        if (pid == 0)
            exit(0);
        if (waitpid(pid, &status, 0) != pid || status != 0)
            return 2;
        kill(getpid(), SIGUSR2);
    }
    return 0;
}

CASE(dlopen_and_dlclose_a_hundred_times)
{
    guest_kqueue();
    if (guest_unload() == -1)
        skip("not loaded by dlopen()");
    long printed;
    CHECK_EQ(start_role("loads_and_unloads", &printed), 0);
    CHECK_EQ(printed, 0);
}

ROLE(unloads_while_a_thread_waits)
{
    static struct waiting w[2];
    int kq = guest_kqueue();
    if (change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 3600000, 0) != 0)
        return 3;
    start_waiting(w, kq, 2);
    guest_unload();
    exit(0);
}

CASE(dlclose_then_exit)
{
    guest_kqueue();
    if (guest_unload() == -1)
        skip("not loaded by dlopen()");
    for (int i = 0; i < 10; i++)
        CHECK_EQ(start_role("unloads_while_a_thread_waits", NULL), 0);
}

static struct kevent many_events[128];

/* Every filter that there is helps to fill an eventlist. */
static void *fill_a_list(void *argument)
{
    struct timespec five = {5, 0};
    char name[] = "/tmp/kqueue-XXXXXX", other[] = "/tmp/kqueue-XXXXXX.other";
    int kq = OK(guest_kqueue()), fds[2], file = OK(mkstemp(name));
    memcpy(other, name, strlen(name));
    pair(fds);
    put(fds[1], 1);
    ADD(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    ADD(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0);
    ADD(kq, file, EVFILT_READ, EV_ADD, 0, 0, 0);
#ifdef EVFILT_VNODE
    ADD(kq, file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_RENAME, 0, 0);
#endif
    OK(rename(name, other));
    put(file, 1);
    OK(lseek(file, 0, SEEK_SET));
    ADD(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 0);
    ADD(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    for (int i = 0; i < 3; i++)
        CHECK(guest_kevent(kq, NULL, 0, many_events, 128, &five) > 0);
    OK(close(kq));
    OK(unlink(other));
    return argument;
}

/* A kevent() with room for 128 events does with the smallest stack that a thread can have. */
CASE(smallest_stack)
{
    pthread_attr_t attributes;
    pthread_t thread;
    const char *preloaded = getenv("LD_PRELOAD");
    NOT_WITH_ASAN("its own functions do not fit into it");
    if (preloaded && strstr(preloaded, "jemalloc"))
        skip("jemalloc has its part of every stack");
    CHECK_EQ(pthread_attr_init(&attributes), 0);
    CHECK_EQ(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)), 0);
    CHECK_EQ(pthread_create(&thread, &attributes, fill_a_list, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

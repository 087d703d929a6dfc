/* SPDX-License-Identifier: BSD-2-Clause */
/* See supervise.h. */
#define SUITE "supervise"
#include "suite.h"

#include "supervise.h"

#ifdef __linux__

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* A signal does not make a call be asked about twice. */
#define FLAGS (SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)

static struct {
    int64_t (*decide)(const struct call *, int, void *);
    void *argument;
    pid_t thread;
    int children;
    atomic_int inside;
    atomic_int count;
    struct call calls[MOST_CALLS];
    atomic_int listener;
} supervisor;

/* Caller and supervisor share their memory; a child's is a copy at the same addresses. */
static int is_in_proc(const struct call *call)
{
    switch (call->number) {
#ifdef SYS_open
    case SYS_open:
    case SYS_readlink:
    case SYS_stat:
        return strncmp((const char *)(uintptr_t)call->arguments[0], "/proc/", 6) == 0;
#endif
    case SYS_openat:
    case SYS_newfstatat:
    case SYS_readlinkat:
    case SYS_inotify_add_watch:
        return strncmp((const char *)(uintptr_t)call->arguments[1], "/proc/", 6) == 0;
    default:
        return 0;
    }
}

/* Both have the same descriptors, too, and the caller does nothing meanwhile. */
static int has_item(const struct call *call)
{
    int epoll = (int)call->arguments[0], fd = (int)call->arguments[2];
    struct epoll_event event = {.events = EPOLLET};
    if (call->number != SYS_epoll_ctl || call->arguments[1] != EPOLL_CTL_ADD || call->is_child)
        return 0;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == -1)
        return errno == EEXIST;
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    return 0;
}

static int64_t decide(const struct seccomp_notif *request)
{
    struct call call = {.number = request->data.nr, .is_child = (pid_t)request->pid != supervisor.thread};
    for (int i = 0; i < 6; i++)
        call.arguments[i] = request->data.args[i];
    /* A child that a case has made before runs at the same time. */
    if (!atomic_load(&supervisor.inside) || (call.is_child && !supervisor.children))
        return GOES_ON;
    if (call.number == SYS_bind)
        call.family = ((const struct sockaddr *)(uintptr_t)call.arguments[1])->sa_family;
    call.in_proc = is_in_proc(&call);
    call.has_item = has_item(&call);
    int index = atomic_fetch_add(&supervisor.count, 1);
    if (index < MOST_CALLS)
        supervisor.calls[index] = call;
    return supervisor.decide ? supervisor.decide(&call, index, supervisor.argument) : GOES_ON;
}

static void *serve(void *argument)
{
    (void)argument;
    int listener;
    while ((listener = atomic_load(&supervisor.listener)) == -1)
        usleep(50);
    for (;;) {
        struct seccomp_notif request;
        memset(&request, 0, sizeof request);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) == -1)
            continue;
        struct seccomp_notif_resp answer = {.id = request.id};
        int64_t decision = decide(&request);
        if (decision == GOES_ON)
            answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        else if (decision < 0)
            answer.error = (int)decision;
        else
            answer.val = decision;
        /* Fails where the caller was killed meanwhile. */
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    return NULL;
}

void supervise(int64_t (*judge)(const struct call *, int, void *), void *argument, int children)
{
    /* What ends a thread or comes back from a handler is nobody's to decide. */
    struct sock_filter steps[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 3, 0, SYS_exit_group},
        {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, SYS_exit},
        {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_rt_sigreturn},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
    static struct thread thread;
    sigset_t all, before;

    /* valgrind runs both threads in turns, and would wait for itself. */
    const char *preloaded = getenv("LD_PRELOAD");
    if (preloaded && strstr(preloaded, "vgpreload"))
        SKIP("valgrind");
    supervisor.decide = judge;
    supervisor.argument = argument;
    supervisor.thread = (pid_t)syscall(SYS_gettid);
    supervisor.children = children;
    atomic_store(&supervisor.listener, -1);
    /* The thread is older than the filter, and takes no signals. */
    sigfillset(&all);
    OK0(pthread_sigmask(SIG_SETMASK, &all, &before));
    start(&thread, serve, NULL);
    OK0(pthread_sigmask(SIG_SETMASK, &before, NULL));
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, FLAGS, &program);
    if (listener == -1)
        SKIP("no seccomp filters that ask");
    atomic_store(&supervisor.listener, listener);
}

void enter_library(void)
{
    atomic_store(&supervisor.inside, 1);
}

void leave_library(void)
{
    atomic_store(&supervisor.inside, 0);
}

int calls_seen(void)
{
    int count = atomic_load(&supervisor.count);
    return count < MOST_CALLS ? count : MOST_CALLS;
}

const struct call *call_seen(int index)
{
    return &supervisor.calls[index];
}

int listed_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    if (!directory)
        SKIP("no /proc");
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The option -w: a system that is without some calls of Linux. A seccomp filter takes them away from every case.
 *
 *   pidfd  an older Linux, or a sandbox: ENOSYS.
 *   new    Linux 5.8, without what came between it and the header's: close_range and epoll_pwait2. (What a pidfd does
 *          not tell there is in proc_old.c.)
 *   linux  any Unix. Who makes such a call all the same is told by the stack: the library fails the case, and a case
 *          that makes it itself is skipped.
 */
#define SUITE "sandbox"
#include "suite.h"

#include "sandbox.h"

#ifdef __linux__

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define CALL(name) {SYS_##name, #name}

struct call {
    long number;
    const char *name;
};

static const struct call pidfd[] = {CALL(pidfd_open)};
static const struct call new[] = {CALL(close_range), CALL(epoll_pwait2)};

static const struct call of_linux[] = {
#ifdef SYS_epoll_create
    CALL(epoll_create), CALL(epoll_wait), CALL(signalfd), CALL(inotify_init), CALL(eventfd),
#endif
    CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_pwait), CALL(epoll_pwait2), CALL(timerfd_create),
    CALL(timerfd_settime), CALL(timerfd_gettime), CALL(signalfd4), CALL(inotify_init1), CALL(inotify_add_watch),
    CALL(inotify_rm_watch), CALL(eventfd2), CALL(fanotify_init), CALL(fanotify_mark), CALL(io_uring_setup),
    CALL(io_uring_enter), CALL(pidfd_open), CALL(pidfd_getfd), CALL(pidfd_send_signal), CALL(kcmp), CALL(process_vm_readv),
};

static const char *name_of(long number)
{
    for (size_t i = 0; i < COUNT(of_linux); i++)
        if (of_linux[i].number == number)
            return of_linux[i].name;
    return "?";
}

/* Whose call was it? The innermost frame behind libc that is the library's or the suite's says so. */
static void caught(int signo, siginfo_t *info, void *context)
{
    static char reason[128];
    void *frames[64];
    Dl_info own, frame;
    int count = backtrace(frames, COUNT(frames));
    (void)signo;
    (void)context;
    if (!dladdr(__extension__(void *) name_of, &own))
        own.dli_fbase = NULL;
    for (int i = 1; i < count; i++) {
        if (!dladdr(frames[i], &frame) || frame.dli_fname == NULL)
            continue;
        if (strstr(frame.dli_fname, "libkqueue"))
            FAIL("the library calls %s", name_of(info->si_syscall));
        /* The first frames are this handler's. */
        if (frame.dli_fbase == own.dli_fbase && i > 2)
            break;
    }
    snprintf(reason, sizeof reason, "the case itself calls %s", name_of(info->si_syscall));
    SKIP(reason);
}

static void take_away(const struct call *calls, size_t count, unsigned action)
{
    struct sock_filter filter[3 + COUNT(of_linux)];
    struct sock_fprog program = {(unsigned short)(count + 3), filter};
    size_t n = 0;
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count; i++)
        filter[n++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, (unsigned char)(count - i), 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

int sandbox_enter(const char *name)
{
    if (strcmp(name, "pidfd") == 0) {
        take_away(pidfd, COUNT(pidfd), SECCOMP_RET_ERRNO | ENOSYS);
        return 1;
    }
    if (strcmp(name, "new") == 0) {
        take_away(new, COUNT(new), SECCOMP_RET_ERRNO | ENOSYS);
        return 1;
    }
    if (strcmp(name, "linux") == 0) {
        void *frame;
        struct sigaction action;
        backtrace(&frame, 1); /* its first call allocates */
        memset(&action, 0, sizeof action);
        action.sa_sigaction = caught;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;
        OK(sigaction(SIGSYS, &action, NULL));
        take_away(of_linux, COUNT(of_linux), SECCOMP_RET_TRAP);
        return 1;
    }
    return 0;
}

#else

int sandbox_enter(const char *name)
{
    (void)name;
    return 0;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The puppets of procs.h. A line is a pair of SOCK_SEQPACKET sockets: an order or an answer is one packet,
 * whole, and an order can be given by a case to a process that it is not the parent of.
 */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>

struct message {
    int order;
    int value;
};

static _Noreturn void obey(int line);

static void answer(int line, int value)
{
    CHECK_EQ(send(line, &value, sizeof value, 0), sizeof value);
}

static pid_t fork_puppet(int line)
{
    pid_t pid = OK(fork());
    if (pid == 0)
        obey(line);
    return pid;
}

static pid_t fork_brief(void)
{
    pid_t pid = OK(fork());
    if (pid == 0)
        _exit(5);
    CHECK_EQ(reap(pid), CODE(5));
    return pid;
}

/* By a child that is gone when this returns: the puppet is an orphan then. */
static pid_t fork_daemon(int line)
{
    int fds[2], pid;
    pipe_pair(fds);
    pid_t between = OK(fork());
    if (between == 0) {
        pid = fork_puppet(line);
        CHECK_EQ(write(fds[1], &pid, sizeof pid), sizeof pid);
        _exit(0);
    }
    CHECK_EQ(reap(between), 0);
    CHECK_EQ(read(fds[0], &pid, sizeof pid), sizeof pid);
    OK(close(fds[0]));
    OK(close(fds[1]));
    return pid;
}

static void exec_puppet(int line)
{
    char number[16];
    snprintf(number, sizeof number, "%d", line);
    exec_helper("obey", number);
}

HELPER(obey)
{
    int line = atoi(argument);
    answer(line, 0);
    obey(line);
}

static void *end_at_once(void *unused)
{
    return unused;
}

static void *fork_in_thread(void *line)
{
    return UDATA(fork_puppet((int)(intptr_t)line));
}

static void *exec_in_thread(void *line)
{
    exec_puppet((int)(intptr_t)line);
    return NULL;
}

static void *obey_in_thread(void *line)
{
    obey((int)(intptr_t)line);
}

static _Noreturn void die(int signo)
{
    struct rlimit limit;
    sigset_t none;
    OK(getrlimit(RLIMIT_CORE, &limit));
    limit.rlim_cur = limit.rlim_max;
    OK(setrlimit(RLIMIT_CORE, &limit));
    signal(signo, SIG_DFL);
    sigemptyset(&none);
    OK(sigprocmask(SIG_SETMASK, &none, NULL));
    OK(kill(getpid(), signo));
    for (;;)
        pause();
}

static _Noreturn void exit_thread(int code)
{
#ifdef __linux__
    syscall(SYS_exit, code);
#endif
    _exit(code);
}

static void until_thread_alone_is_left(void)
{
#ifdef __linux__
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
    for (;;) {
        int fd = OK(open(path, O_RDONLY));
        ssize_t length = OK(read(fd, text, sizeof text - 1));
        OK(close(fd));
        text[length] = '\0';
        const char *end = strrchr(text, ')');
        CHECK(end != NULL);
        if (strncmp(end, ") Z", 3) == 0)
            return;
        struct timespec time = duration(MILLISECOND / 10);
        nanosleep(&time, NULL);
    }
#endif
}

static int carry_out(int line, struct message message)
{
    struct thread thread;
    siginfo_t info;
    pid_t pid = 0;
    int value = message.value;
    switch (message.order) {
    case EXIT:
        _exit(value);
    case EXIT_THREAD:
        exit_thread(value);
    case DIE:
        die(value);
    case FORK:
        return fork_puppet(value);
    case FORK_IN_THREAD:
        start(&thread, fork_in_thread, UDATA(value));
        return (int)(intptr_t)join(&thread);
    case DAEMON:
        return fork_daemon(value);
    case BRIEF:
        for (int i = 0; i < value; i++)
            pid = fork_brief();
        return pid;
    case MANY:
        for (int i = 0; i < value; i++) {
            if ((pid = OK(fork())) == 0)
                pause();
        }
        return pid;
    case VFORK:
        pid = vfork();
        if (pid == 0)
            _exit(5);
        CHECK_EQ(reap(OK(pid)), CODE(5));
        return pid;
    case THREAD:
        start(&thread, end_at_once, NULL);
        join(&thread);
        return 0;
    case EXEC:
        exec_puppet(line);
        return -1;
    case EXEC_IN_THREAD:
        start(&thread, exec_in_thread, UDATA(line));
        join(&thread);
        return -1;
    case FAIL_EXEC:
        CHECK_ERRNO(execl("no-such-program", "no-such-program", (char *)NULL), ENOENT);
        return 0;
    case LEAVE:
        start(&thread, obey_in_thread, UDATA(line));
        exit_thread(0);
    case WATCH:
        OK(waitid(P_PID, (id_t)value, &info, WEXITED | WNOWAIT));
        return 0;
    case REAP:
        return reap(value);
    case IGNORE_CHILDREN:
        signal(SIGCHLD, SIG_IGN);
        return 0;
    default: /* PING */
        return 0;
    }
}

static _Noreturn void obey(int line)
{
    struct message message;
    for (;;) {
        ssize_t length = recv(line, &message, sizeof message, 0);
        if (length == 0) /* the case has ended */
            _exit(0);
        CHECK_EQ(length, sizeof message);
        if (message.order == LEAVE)
            carry_out(line, message);
        if (message.order == PING && message.value)
            until_thread_alone_is_left();
        answer(line, carry_out(line, message));
    }
}

void prepare(struct puppet *puppet)
{
    int fds[2];
    OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
    *puppet = (struct puppet){0, fds[0], fds[1]};
}

void give_birth(struct puppet *puppet)
{
    prepare(puppet);
    puppet->pid = fork_puppet(puppet->far);
}

void let_beget(const struct puppet *parent, enum order how, struct puppet *child)
{
    child->pid = tell(parent, how, child->far);
}

void order(const struct puppet *puppet, enum order what, int value)
{
    struct message message = {what, value};
    CHECK_EQ(send(puppet->line, &message, sizeof message, 0), sizeof message);
}

int tell(const struct puppet *puppet, enum order what, int value)
{
    int result;
    order(puppet, what, value);
    if (what == LEAVE) /* its other thread says when the first is gone */
        order(puppet, PING, 1);
    CHECK_EQ(recv(puppet->line, &result, sizeof result, 0), sizeof result);
    return result;
}

void until_zombie(pid_t pid)
{
    siginfo_t info;
    OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
}

int reap(pid_t pid)
{
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

void exits(const struct puppet *puppet, int code)
{
    order(puppet, EXIT, code);
    until_zombie(puppet->pid);
}

int reaped_status_is_told(void)
{
#ifdef __linux__
    struct utsname system;
    int major = 0, minor = 0;
    if (strcmp(suite_backend(), "posix") == 0 || strcmp(suite_lacks(), "pidfd") == 0)
        return 0;
    OK(uname(&system));
    CHECK_EQ(sscanf(system.release, "%d.%d", &major, &minor), 2);
    return major > 6 || (major == 6 && minor >= 15);
#else
    return 0;
#endif
}

void gather(int kq, pid_t pid, unsigned notes, unsigned short flags, void *udata)
{
    while (notes) {
        struct kevent ev;
        wait_event(kq, &ev);
        EXPECT_EVENT_ANY(ev, pid, EVFILT_PROC, flags, notes, 0, udata, ANY_FFLAGS);
        CHECK_NE(ev.fflags, 0);
        CHECK_EQ(ev.fflags & ~notes, 0);
        notes &= ~ev.fflags;
    }
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* See operations.h. */
#define SUITE "operations"
#include "suite.h"

#ifdef __linux__

#include "operations.h"
#include "supervise.h"
#include "sockets.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* ---- The bench ---------------------------------------------------------------------------------- */

/* A child that obeys: 'f' forks, 'x' exits with 7. It dies with the case. */
static pid_t obedient_child(int orders[2])
{
    char order;
    pipe_pair(orders);
    pid_t child = OK(fork());
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        syscall(SYS_close, orders[1]);
        while (read(orders[0], &order, 1) == 1 && order != 'x')
            if (order == 'f' && fork() == 0)
                _exit(0);
        _exit(7);
    }
    return child;
}

static void order(struct bench *bench, char what)
{
    CHECK_EQ(write(bench->orders[1], &what, 1), 1);
}

/* The next event is this one's, whatever it says. */
static struct kevent comes(int kq, uintptr_t ident, short filter)
{
    struct kevent ev[8];
    int count = collect(kq, ev, 8);
    return *find_event(ev, count, ident, filter);
}

enum { OLD_USER = 71, OLD_TIMER = 72, OLD_SIGNAL = SIGUSR2, NEW = 81, NEW_SIGNAL = SIGUSR1 };

void bench_build(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    bench->file = bench->spare = bench->fds[0] = bench->fds[1] = bench->orders[0] = bench->orders[1] = -1;
    bench->old = queue();
    socket_pair(bench->old_fds);
    bench->old_child = OK(fork());
    if (bench->old_child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    change(bench->old, bench->old_fds[0], EVFILT_READ, EV_ADD, 0, 0, 1);
    change(bench->old, bench->old_fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR | EV_DISABLE, 0, 0, 2);
    change(bench->old, OLD_USER, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 3);
    change(bench->old, OLD_TIMER, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 3600, 4);
    change(bench->old, OLD_SIGNAL, EVFILT_SIGNAL, EV_ADD, 0, 0, 5);
    change(bench->old, bench->old_child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 6);
    bench->kq = queue();
    pipe_pair(bench->near);
    change(bench->kq, bench->near[0], EVFILT_READ, EV_ADD, 0, 0, 7);
    bench->timeout = duration(5 * SECOND);
}

void bench_delivers(struct bench *bench, int near_too)
{
    int old = bench->old;
    put(bench->old_fds[1], 3);
    CHECK_EQ(comes(old, bench->old_fds[0], EVFILT_READ).data, 3);
    take(bench->old_fds[0], 3);
    change(old, OLD_USER, EVFILT_USER, 0, NOTE_TRIGGER, 0, 3);
    comes(old, OLD_USER, EVFILT_USER);
    change(old, OLD_TIMER, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 4);
    comes(old, OLD_TIMER, EVFILT_TIMER);
    raise(OLD_SIGNAL);
    comes(old, OLD_SIGNAL, EVFILT_SIGNAL);
    kill(bench->old_child, SIGKILL);
    struct kevent ev = comes(old, bench->old_child, EVFILT_PROC);
    CHECK_EQ(ev.data, SIGKILL);
    OK(waitpid(bench->old_child, NULL, 0));
    nothing(old);
    if (near_too) {
        put(bench->near[1], 2);
        CHECK_EQ(comes(bench->kq, bench->near[0], EVFILT_READ).data, 2);
        take(bench->near[0], 2);
    }
}

static void close_one(int *fd)
{
    if (*fd != -1)
        close(*fd);
    *fd = -1;
}

void operation_end(struct bench *bench)
{
    for (int i = 0; i < 2; i++) {
        close_one(&bench->fds[i]);
        close_one(&bench->orders[i]);
    }
    close_one(&bench->file);
    close_one(&bench->spare);
    for (int i = 0; i < 30 && bench->has_many; i++)
        close_one(&bench->many[i]);
    if (bench->child) {
        kill(bench->child, SIGKILL);
        waitpid(bench->child, NULL, 0);
        bench->child = 0;
    }
}

void bench_close(struct bench *bench)
{
    close_one(&bench->kq);
    close_one(&bench->old);
    for (int i = 0; i < 2; i++) {
        close_one(&bench->near[i]);
        close_one(&bench->old_fds[i]);
    }
}

/* ---- What the operations have in common --------------------------------------------------------- */

#define CHANGE(bench, ...) ((bench)->change = EVENT(__VA_ARGS__))

static int act_change(struct bench *bench)
{
    return change_errno(bench->kq, bench->change.ident, bench->change.filter, bench->change.flags,
                        bench->change.fflags, bench->change.data, bench->change.udata);
}

/* The change as it stands, before the fault. */
static void apply(struct bench *bench)
{
    int error = act_change(bench);
    if (error != 0 && bench->refused)
        bench->refused(bench, error);
    if (error == EOPNOTSUPP)
        SKIP("the system does not tell of this");
    CHECK_EQ(error, 0);
}

static int act_wait(struct bench *bench)
{
    bench->count = kevent(bench->kq, NULL, 0, bench->got, 8, &bench->timeout);
    return bench->count == -1 ? errno : bench->count == 0 ? NOTHING_CAME : 0;
}

/* One more event on the queue. */
static void also(struct bench *bench, uintptr_t ident, short filter, unsigned short flags, unsigned fflags,
                 intptr_t data)
{
    struct kevent change = bench->change;
    CHANGE(bench, ident, filter, flags, fflags, data, 9);
    apply(bench);
    bench->change = change;
}

/* What was collected is the change's event. */
static void works_got(struct bench *bench)
{
    find_event(bench->got, bench->count, bench->change.ident, bench->change.filter);
}

static void works_comes(struct bench *bench)
{
    comes(bench->kq, bench->change.ident, bench->change.filter);
}

/* ---- kqueue() ----------------------------------------------------------------------------------- */

/* What the test asks of the system for itself is not refused. */
static void need(struct bench *bench, unsigned descriptors)
{
    leave_library();
    need_descriptors(descriptors);
    if (bench->refused)
        enter_library();
}

static void prepare_nothing(struct bench *bench)
{
    (void)bench;
}

static int made(struct bench *bench, int kq)
{
    bench->spare = kq;
    return kq == -1 ? errno : 0;
}

static int act_kqueue(struct bench *bench)
{
    return made(bench, kqueue());
}

static int act_kqueuex(struct bench *bench)
{
    return made(bench, kqueuex(KQUEUE_CLOEXEC));
}

static int act_kqueue1(struct bench *bench)
{
    return made(bench, kqueue1(O_CLOEXEC | O_NONBLOCK));
}

static void works_kqueue(struct bench *bench)
{
    int fds[2];
    pipe_pair(fds);
    put(fds[1], 1);
    change(bench->spare, fds[0], EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 0);
    comes(bench->spare, fds[0], EVFILT_READ);
    close_one(&fds[0]);
    close_one(&fds[1]);
    close_one(&bench->spare);
}

/* The slots of queues come in chunks of 32: the next kqueue() makes one. */
static void prepare_many_queues(struct bench *bench)
{
    need(bench, 1024);
    for (int i = 0; i < 30; i++)
        CHECK_LE(bench->many[i] = queue(), 400);
    bench->has_many = 1;
}

/* ---- Additions ---------------------------------------------------------------------------------- */

static void prepare_read(struct bench *bench)
{
    socket_pair(bench->fds);
    CHANGE(bench, bench->fds[0], EVFILT_READ, EV_ADD, 0, 0, 9);
}

static void works_read(struct bench *bench)
{
    put(bench->fds[1], 4);
    CHECK_GE(comes(bench->kq, bench->fds[0], EVFILT_READ).data, 1);
    take(bench->fds[0], 4);
}

/* The first number of a page of the tables. */
static void prepare_high(struct bench *bench)
{
    int fds[2];
    need(bench, 20000);
    socket_pair(fds);
    bench->fds[0] = OK(fcntl(fds[0], F_DUPFD, 17000));
    bench->fds[1] = fds[1];
    OK(close(fds[0]));
    CHANGE(bench, bench->fds[0], EVFILT_READ, EV_ADD, 0, 0, 9);
}

static void prepare_file(struct bench *bench)
{
    bench->file = OK(open("file", O_RDWR | O_CREAT | O_TRUNC, 0600));
    CHANGE(bench, bench->file, EVFILT_READ, EV_ADD, 0, 0, 9);
}

static void works_file(struct bench *bench)
{
    nothing(bench->kq);
    CHECK_EQ(pwrite(bench->file, "abc", 3, 0), 3);
    CHECK_EQ(comes(bench->kq, bench->file, EVFILT_READ).data, 3);
    OK(ftruncate(bench->file, 0));
}

static void prepare_device(struct bench *bench)
{
    bench->file = OK(open("/dev/null", O_RDWR));
    CHANGE(bench, bench->file, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 9);
}

static void prepare_write(struct bench *bench)
{
    socket_pair(bench->fds);
    CHANGE(bench, bench->fds[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 9);
}

static void prepare_empty(struct bench *bench)
{
    socket_pair(bench->fds);
    CHANGE(bench, bench->fds[0], EVFILT_EMPTY, EV_ADD | EV_ONESHOT, 0, 0, 9);
}

static void prepare_except(struct bench *bench)
{
    connected(TCP, bench->fds);
    CHANGE(bench, bench->fds[0], EVFILT_EXCEPT, EV_ADD, NOTE_OOB, 0, 9);
}

static void works_except(struct bench *bench)
{
    char byte;
    CHECK_EQ(send(bench->fds[1], "!", 1, MSG_OOB), 1);
    comes(bench->kq, bench->fds[0], EVFILT_EXCEPT);
    CHECK_EQ(recv(bench->fds[0], &byte, 1, MSG_OOB), 1);
}

/* READ and WRITE in two modes take a nested epoll. */
static void prepare_second_mode(struct bench *bench)
{
    prepare_read(bench);
    apply(bench);
    CHANGE(bench, bench->fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 9);
}

static void works_second_mode(struct bench *bench)
{
    works_comes(bench);
    nothing(bench->kq);
    works_read(bench);
}

static void prepare_user(struct bench *bench)
{
    CHANGE(bench, NEW, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 9);
}

static void works_user(struct bench *bench)
{
    change(bench->kq, NEW, EVFILT_USER, 0, NOTE_TRIGGER, 0, 9);
    works_comes(bench);
}

static void prepare_timer(struct bench *bench)
{
    CHANGE(bench, NEW, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 5, 9);
}

static void prepare_wall_timer(struct bench *bench)
{
    struct timespec wall;
    OK(clock_gettime(CLOCK_REALTIME, &wall));
    CHANGE(bench, NEW, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_ABSOLUTE | NOTE_NSECONDS,
           wall.tv_sec * SECOND + wall.tv_nsec + 20 * MILLISECOND, 9);
}

static void prepare_signal(struct bench *bench)
{
    CHANGE(bench, NEW_SIGNAL, EVFILT_SIGNAL, EV_ADD, 0, 0, 9);
}

static void works_signal(struct bench *bench)
{
    raise(NEW_SIGNAL);
    works_comes(bench);
}

static void prepare_process(struct bench *bench)
{
    bench->child = obedient_child(bench->orders);
    CHANGE(bench, bench->child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 9);
}

static void works_process(struct bench *bench)
{
    order(bench, 'x');
    CHECK_EQ(comes(bench->kq, bench->change.ident, bench->change.filter).data, 7 << 8);
}

static void prepare_zombie(struct bench *bench)
{
    siginfo_t info;
    prepare_process(bench);
    order(bench, 'x');
    OK(waitid(P_PID, (id_t)bench->child, &info, WEXITED | WNOWAIT));
}

static void works_zombie(struct bench *bench)
{
    CHECK_EQ(comes(bench->kq, bench->change.ident, bench->change.filter).data, 7 << 8);
}

static void prepare_forks(struct bench *bench)
{
    prepare_process(bench);
    bench->change.fflags = NOTE_FORK | NOTE_EXIT;
}

static void works_forks(struct bench *bench)
{
    order(bench, 'f');
    /* (A fault leaves the library less room for the system's tidings, and some may be lost.) */
    CHECK_EQ(comes(bench->kq, bench->child, EVFILT_PROC).fflags & ~(unsigned)NOTE_TRACKERR, NOTE_FORK);
    works_process(bench);
}

static void prepare_descriptor(struct bench *bench)
{
    prepare_process(bench);
    leave_library();
    bench->spare = (int)syscall(SYS_pidfd_open, bench->child, 0);
    if (bench->refused)
        enter_library();
    if (bench->spare == -1)
        SKIP("no pidfds");
    CHANGE(bench, bench->spare, EVFILT_PROCDESC, EV_ADD, NOTE_EXIT, 0, 9);
}

static void prepare_watched(struct bench *bench, const char *name, int flags)
{
    bench->file = OK(open(name, flags, 0600));
    CHANGE(bench, bench->file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_DELETE, 0, 9);
}

static void prepare_vnode(struct bench *bench)
{
    prepare_watched(bench, "file", O_RDWR | O_CREAT | O_TRUNC);
}

static void works_vnode(struct bench *bench)
{
    CHECK_EQ(pwrite(bench->file, "abc", 3, 0), 3);
    CHECK(comes(bench->kq, bench->file, EVFILT_VNODE).fflags & NOTE_WRITE);
}

static void prepare_fifo(struct bench *bench)
{
    if (mkfifo("fifo", 0600) == -1)
        CHECK_EQ(errno, EEXIST);
    bench->file = OK(open("fifo", O_RDWR | O_NONBLOCK));
    CHANGE(bench, bench->file, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_ATTRIB, 0, 9);
}

static void works_fifo(struct bench *bench)
{
    struct stat stat;
    OK(fstat(bench->file, &stat));
    OK(fchmod(bench->file, stat.st_mode ^ 040));
    CHECK_EQ(comes(bench->kq, bench->file, EVFILT_VNODE).fflags, NOTE_ATTRIB);
}

static void prepare_directory(struct bench *bench)
{
    mkdir("directory", 0700);
    unlink("directory/entry");
    prepare_watched(bench, "directory", O_RDONLY | O_DIRECTORY);
}

static void works_directory(struct bench *bench)
{
    int fd = OK(open("directory/entry", O_RDWR | O_CREAT, 0600));
    syscall(SYS_close, fd);
    unlink("directory/entry");
    CHECK(comes(bench->kq, bench->file, EVFILT_VNODE).fflags & NOTE_WRITE);
}

static void prepare_version(struct bench *bench)
{
    CHANGE(bench, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_VERSION, 0, 0);
}

static int act_version(struct bench *bench)
{
    bench->count = kevent(bench->kq, &bench->change, 1, bench->got, 1, NULL);
    return bench->count == 1 ? 0 : errno;
}

/* ---- Changes of what is there ------------------------------------------------------------------- */

static void prepare_read_again(struct bench *bench)
{
    prepare_read(bench);
    bench->change.flags = EV_ADD | EV_CLEAR;
    apply(bench);
    put(bench->fds[1], 4);
    comes(bench->kq, bench->fds[0], EVFILT_READ);
}

static void works_read_again(struct bench *bench)
{
    works_comes(bench);
    take(bench->fds[0], 4);
}

static void prepare_read_enable(struct bench *bench)
{
    prepare_read(bench);
    bench->change.flags = EV_ADD | EV_DISPATCH;
    apply(bench);
    put(bench->fds[1], 4);
    comes(bench->kq, bench->fds[0], EVFILT_READ);
    bench->change.flags = EV_ENABLE;
}

static void prepare_file_again(struct bench *bench)
{
    prepare_file(bench);
    apply(bench);
    nothing(bench->kq);
}

static void prepare_trigger(struct bench *bench)
{
    prepare_user(bench);
    apply(bench);
    bench->change.flags = 0;
    bench->change.fflags = NOTE_TRIGGER;
}

static void prepare_timer_again(struct bench *bench)
{
    prepare_timer(bench);
    bench->change.data = 3600000;
    apply(bench);
    bench->change.data = 5;
}

static void prepare_signal_again(struct bench *bench)
{
    prepare_signal(bench);
    bench->change.flags = EV_ADD | EV_DISABLE;
    apply(bench);
    bench->change.flags = EV_ENABLE;
}

static void prepare_process_again(struct bench *bench)
{
    prepare_process(bench);
    apply(bench);
    bench->change.fflags = NOTE_FORK | NOTE_EXIT;
}

static void prepare_vnode_again(struct bench *bench)
{
    prepare_vnode(bench);
    bench->change.fflags = NOTE_DELETE;
    apply(bench);
    bench->change.fflags = NOTE_DELETE | NOTE_WRITE;
}

/* Every call is told of (KQUEUE_DEBUG). */
static void prepare_traced(struct bench *bench)
{
    prepare_trigger(bench);
    change(bench->kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG, 1, 0);
}

static void works_traced(struct bench *bench)
{
    change(bench->kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG, 0, 0);
    works_comes(bench);
}

/* ---- Deletions ---------------------------------------------------------------------------------- */

static void prepared_deletion(struct bench *bench, void (*prepare)(struct bench *))
{
    prepare(bench);
    apply(bench);
    bench->change.flags = EV_DELETE;
}

static void works_deleted(struct bench *bench)
{
    CHECK_EQ(act_change(bench), ENOENT);
    if (bench->fds[1] != -1)
        put(bench->fds[1], 4);
    nothing(bench->kq);
}

/* The other event of the descriptor is still there. */
static void works_deleted_read(struct bench *bench)
{
    CHECK_EQ(act_change(bench), ENOENT);
    works_read(bench);
    nothing(bench->kq);
}

#define DELETION(kind, prepare)                                                                             \
    static void prepare_delete_##kind(struct bench *bench)                                                  \
    {                                                                                                       \
        prepared_deletion(bench, prepare);                                                                  \
    }
DELETION(read, prepare_read)
DELETION(file, prepare_file_again)
DELETION(second_mode, prepare_second_mode)
DELETION(user, prepare_user)
DELETION(timer, prepare_timer)
DELETION(signal, prepare_signal)
DELETION(process, prepare_process)
DELETION(forks, prepare_forks)
DELETION(descriptor, prepare_descriptor)
DELETION(vnode, prepare_vnode)
DELETION(directory, prepare_directory)

static void works_deleted_quietly(struct bench *bench)
{
    CHECK_EQ(act_change(bench), ENOENT);
    nothing(bench->kq);
}

/* ---- Waits -------------------------------------------------------------------------------------- */

static void prepared_wait(struct bench *bench, void (*prepare)(struct bench *))
{
    prepare(bench);
    apply(bench);
}

static void prepare_wait_read(struct bench *bench)
{
    prepared_wait(bench, prepare_read);
    put(bench->fds[1], 4);
}

static void prepare_poll_read(struct bench *bench)
{
    prepare_wait_read(bench);
    bench->timeout = duration(0);
}

static int act_wait_forever(struct bench *bench)
{
    bench->count = kevent(bench->kq, NULL, 0, bench->got, 8, NULL);
    return bench->count == -1 ? errno : 0;
}

static void prepared_tcp(struct bench *bench, short filter)
{
    connected(TCP, bench->fds);
    CHANGE(bench, bench->fds[0], filter, EV_ADD, 0, 0, 9);
    apply(bench);
    reset(bench->fds[1]);
    bench->fds[1] = -1;
    until_polled(bench->fds[0], POLLERR);
}

static void prepare_wait_reset(struct bench *bench)
{
    prepared_tcp(bench, EVFILT_READ);
}

static void prepare_wait_write_reset(struct bench *bench)
{
    prepared_tcp(bench, EVFILT_WRITE);
}

static void prepare_wait_listening(struct bench *bench)
{
    struct address address;
    bench->fds[0] = listener(TCP, &address);
    CHANGE(bench, bench->fds[0], EVFILT_READ, EV_ADD, 0, 0, 9);
    apply(bench);
    bench->fds[1] = client_of(TCP, &address);
    until_polled(bench->fds[0], POLLIN);
}

static void prepare_wait_datagram(struct bench *bench)
{
    connected(UDP, bench->fds);
    CHANGE(bench, bench->fds[0], EVFILT_READ, EV_ADD, 0, 0, 9);
    apply(bench);
    CHECK_EQ(send(bench->fds[1], "", 0, 0), 0);
    until_polled(bench->fds[0], POLLIN);
}

static void prepare_wait_pipe(struct bench *bench)
{
    pipe_pair(bench->fds);
    CHANGE(bench, bench->fds[0], EVFILT_READ, EV_ADD, 0, 0, 9);
    apply(bench);
    close_one(&bench->fds[1]);
}

static void prepare_wait_pipe_room(struct bench *bench)
{
    pipe_pair(bench->fds);
    CHANGE(bench, bench->fds[1], EVFILT_WRITE, EV_ADD, 0, 0, 9);
    apply(bench);
}

static void prepare_wait_write(struct bench *bench)
{
    prepare_write(bench);
    bench->change.flags = EV_ADD;
    apply(bench);
}

static void prepare_wait_empty(struct bench *bench)
{
    prepare_empty(bench);
    bench->change.flags = EV_ADD;
    apply(bench);
}

static void prepare_wait_file(struct bench *bench)
{
    prepare_file_again(bench);
    CHECK_EQ(pwrite(bench->file, "abc", 3, 0), 3);
}

/* Reports, and goes to sleep at the end of the file. */
static void prepare_wait_file_clear(struct bench *bench)
{
    prepare_file(bench);
    bench->change.flags = EV_ADD | EV_CLEAR;
    apply(bench);
    CHECK_EQ(pwrite(bench->file, "abc", 3, 0), 3);
}

static void prepare_wait_second_mode(struct bench *bench)
{
    prepare_second_mode(bench);
    apply(bench);
}

static void prepare_wait_user(struct bench *bench)
{
    prepare_trigger(bench);
    apply(bench);
}

static void prepare_wait_timer(struct bench *bench)
{
    prepared_wait(bench, prepare_timer);
}

/* A period: every report sets the clock anew. */
static void prepare_wait_period(struct bench *bench)
{
    prepare_timer(bench);
    bench->change.flags = EV_ADD;
    apply(bench);
}

static void prepare_wait_signal(struct bench *bench)
{
    prepared_wait(bench, prepare_signal);
    raise(NEW_SIGNAL);
}

/* Nothing has come yet: the wait goes to sleep with the signal blocked, and a time-out ends it. */
static void prepare_wait_no_signal(struct bench *bench)
{
    prepared_wait(bench, prepare_signal);
    bench->timeout = duration(20 * MILLISECOND);
}

static void block(int signo)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    OK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
}

static void prepare_wait_blocked_signal(struct bench *bench)
{
    block(NEW_SIGNAL);
    prepare_wait_signal(bench);
}

static void prepare_wait_one_blocked_signal(struct bench *bench)
{
    also(bench, SIGHUP, EVFILT_SIGNAL, EV_ADD, 0, 0);
    prepare_wait_blocked_signal(bench);
}

static void prepare_wait_process(struct bench *bench)
{
    siginfo_t info;
    prepared_wait(bench, prepare_process);
    order(bench, 'x');
    OK(waitid(P_PID, (id_t)bench->child, &info, WEXITED | WNOWAIT));
}

/* A stranger's exit: a grandchild, reaped by init or by whoever stands in. */
static void prepare_wait_stranger(struct bench *bench)
{
    pid_t stranger;
    int answer[2], orders[2];
    pipe_pair(answer);
    pipe_pair(orders);
    bench->child = OK(fork());
    if (bench->child == 0) {
        syscall(SYS_close, orders[1]);
        stranger = fork();
        if (stranger == 0) {
            char byte;
            _exit(read(orders[0], &byte, 1) == 1 ? 7 : 8);
        }
        syscall(SYS_close, orders[0]);
        CHECK_EQ(write(answer[1], &stranger, sizeof stranger), sizeof stranger);
        waitpid(stranger, NULL, 0);
        _exit(0);
    }
    CHECK_EQ(read(answer[0], &stranger, sizeof stranger), sizeof stranger);
    CHANGE(bench, stranger, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 9);
    apply(bench);
    close_one(&answer[0]);
    close_one(&answer[1]);
    close_one(&orders[0]);
    put(orders[1], 1);
    close_one(&orders[1]);
    OK(waitpid(bench->child, NULL, 0));
    bench->child = 0;
}

static void prepare_wait_forks(struct bench *bench)
{
    prepared_wait(bench, prepare_forks);
    order(bench, 'f');
    until_polled(bench->kq, POLLIN);
}

static void prepare_wait_vnode(struct bench *bench)
{
    prepared_wait(bench, prepare_vnode);
    CHECK_EQ(pwrite(bench->file, "abc", 3, 0), 3);
}

static void prepare_wait_nothing(struct bench *bench)
{
    bench->timeout = duration(20 * MILLISECOND);
}

/* 0 on time-out. */
static int act_wait_nothing(struct bench *bench)
{
    int64_t before = now();
    bench->count = kevent(bench->kq, NULL, 0, bench->got, 8, &bench->timeout);
    bench->timeout = duration(20 * MILLISECOND);
    return bench->count == -1 ? errno : now() - before < 20 * MILLISECOND ? NOTHING_CAME : 0;
}

static void works_nothing(struct bench *bench)
{
    CHECK_EQ(bench->count, 0);
}

static void on_signal(int signo)
{
    (void)signo;
}

/* ---- Ends --------------------------------------------------------------------------------------- */

static int closed(int result)
{
    return result == 0 ? 0 : errno;
}

static void prepare_full(struct bench *bench)
{
    int error;
    prepare_second_mode(bench);
    apply(bench);
    also(bench, NEW, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    also(bench, NEW, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 3600);
    also(bench, NEW_SIGNAL, EVFILT_SIGNAL, EV_ADD, 0, 0);
    bench->file = OK(open("file", O_RDWR | O_CREAT | O_TRUNC, 0600));
    change(bench->kq, bench->file, EVFILT_READ, EV_ADD, 0, 0, 9);
    bench->child = obedient_child(bench->orders);
    error = change_errno(bench->kq, bench->child, EVFILT_PROC, EV_ADD, NOTE_EXIT | NOTE_FORK, 0, 9);
    if (error == EOPNOTSUPP)
        change(bench->kq, bench->child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 9);
    comes(bench->kq, bench->fds[0], EVFILT_WRITE);
}

/* An event's number is closed round everybody, and the file lives on in a duplicate: the kernel's item has to go (10.5). */
static void prepare_stale(struct bench *bench)
{
    int fds[2];
    prepare_full(bench);
    pipe_pair(fds);
    put(fds[1], 1);
    also(bench, fds[0], EVFILT_READ, EV_ADD, 0, 0);
    bench->spare = OK(dup(fds[0]));
    OK(close(fds[1]));
    OK(syscall(SYS_close, fds[0]));
}

/* Until the library has understood, and once more after a fault. What changes its epoll may tell of an edge again. (And
 * a closed number of which FIONREAD does not say EBADF is not seen to be one.) */
static int act_stale(struct bench *bench)
{
    const struct timespec none = {0, 0};
    for (int turn = 0; turn < 12; turn++) {
        int count = kevent(bench->kq, NULL, 0, bench->got, 8, &none);
        if (count == -1)
            return errno;
        for (int i = 0; i < count; i++)
            CHECK(bench->got[i].filter == EVFILT_WRITE || !is_open((int)bench->got[i].ident));
    }
    return 0;
}

static void works_stale(struct bench *bench)
{
    /* (The edge may be told once more, and a fault may have it look again.) */
    change(bench->kq, bench->fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, 0);
    do
        nothing(bench->kq);
    while (readable(bench->kq));
    works_read(bench);
    change(bench->kq, NEW, EVFILT_USER, 0, NOTE_TRIGGER, 0, 9);
    comes(bench->kq, NEW, EVFILT_USER);
    raise(NEW_SIGNAL);
    comes(bench->kq, NEW_SIGNAL, EVFILT_SIGNAL);
    CHECK_EQ(pwrite(bench->file, "abc", 3, 0), 3);
    CHECK_EQ(comes(bench->kq, bench->file, EVFILT_READ).data, 3);
    change(bench->kq, bench->file, EVFILT_READ, EV_DELETE, 0, 0, 0);
    change(bench->kq, NEW, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 9);
    comes(bench->kq, NEW, EVFILT_TIMER);
    order(bench, 'x');
    CHECK(comes(bench->kq, bench->child, EVFILT_PROC).fflags & NOTE_EXIT);
    nothing(bench->kq);
}

static int act_close_queue(struct bench *bench)
{
    int kq = bench->kq;
    bench->kq = -1;
    return closed(close(kq));
}

static int act_close_watched(struct bench *bench)
{
    return closed(close(bench->fds[0]));
}

/* The number is another file now: nothing is left of the event. */
static void works_closed(struct bench *bench)
{
    int fd = bench->fds[0];
    CHECK(!is_open(fd));
    bench->fds[0] = -1;
    CHECK_EQ(change_errno(bench->kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), EBADF);
    put(bench->near[1], 1);
    comes(bench->kq, bench->near[0], EVFILT_READ);
    take(bench->near[0], 1);
    nothing(bench->kq);
}

/* The file lives on in a duplicate, and is readable. */
static void prepare_close_watched(struct bench *bench)
{
    prepare_read(bench);
    apply(bench);
    put(bench->fds[1], 4);
    bench->spare = OK(dup(bench->fds[0]));
}

static void prepare_replace(struct bench *bench)
{
    prepare_close_watched(bench);
    bench->file = OK(open("/dev/null", O_RDONLY));
}

static int act_dup2(struct bench *bench)
{
    return dup2(bench->file, bench->fds[0]) == -1 ? errno : 0;
}

static int act_dup3(struct bench *bench)
{
    return dup3(bench->file, bench->fds[0], O_CLOEXEC) == -1 ? errno : 0;
}

static void works_replaced(struct bench *bench)
{
    CHECK_EQ(change_errno(bench->kq, bench->fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    nothing(bench->kq);
}

/* Where the queue's wake-up lives: the first number from 512 on that opened with it. */
static void prepare_replace_helper(struct bench *bench)
{
    char before[1024];
    for (int fd = 0; fd < 1024; fd++)
        before[fd] = (char)is_open(fd);
    prepare_user(bench);
    apply(bench);
    for (int fd = 3; fd < 1024 && bench->fds[0] == -1; fd++)
        if (is_open(fd) && !before[fd])
            bench->fds[0] = fd;
    if (bench->fds[0] == -1)
        SKIP("a queue has its wake-up from birth here");
    bench->file = OK(open("/dev/null", O_RDONLY));
}

static void prepare_close_range(struct bench *bench)
{
    if (close_range(900, 901, 0) == -1)
        SKIP("no close_range here");
    prepare_close_watched(bench);
}

static int act_close_range(struct bench *bench)
{
    unsigned fd = (unsigned)bench->fds[0];
    return closed(close_range(fd, fd, 0));
}

static FILE *stream;

static void prepare_fclose(struct bench *bench)
{
    prepare_close_watched(bench);
    stream = fdopen(bench->fds[0], "r");
}

static int act_fclose(struct bench *bench)
{
    (void)bench;
    return closed(fclose(stream));
}

/* The new file takes the number over. */
static int act_freopen(struct bench *bench)
{
    (void)bench;
    return freopen("/dev/null", "r", stream) ? 0 : errno;
}

static void works_reopened(struct bench *bench)
{
    CHECK_EQ(change_errno(bench->kq, fileno(stream), EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    nothing(bench->kq);
    OK(fclose(stream));
    bench->fds[0] = -1;
}

static DIR *directory;

static void prepare_closedir(struct bench *bench)
{
    (void)bench;
    leave_library();
    directory = opendir(".");
    CHECK(directory != NULL);
    if (bench->refused)
        enter_library();
}

static int act_closedir(struct bench *bench)
{
    (void)bench;
    return closed(closedir(directory));
}

static int act_signal(struct bench *bench)
{
    (void)bench;
    return signal(NEW_SIGNAL, on_signal) == SIG_ERR ? errno : 0;
}

/* A duplicate of a queue that the library has not met. */
static void prepare_duplicate(struct bench *bench)
{
    bench->spare = OK(dup(bench->kq));
    CHANGE(bench, NEW, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 9);
}

static int act_duplicate(struct bench *bench)
{
    return change_errno(bench->spare, NEW, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 9);
}

static int act_drain(struct bench *bench)
{
    (void)bench;
    libkqueue_drain_pending_close();
    return 0;
}

static void prepare_drain(struct bench *bench)
{
    (void)bench;
    OK(close(queue()));
}

static int act_init(struct bench *bench)
{
    (void)bench;
    return libkqueue_init() == 0 ? 0 : errno;
}

static int act_sigaction(struct bench *bench)
{
    struct sigaction action;
    (void)bench;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    return closed(sigaction(NEW_SIGNAL, &action, NULL));
}

static void prepare_caught(struct bench *bench)
{
    prepare_signal(bench);
    apply(bench);
}

static int act_raise(struct bench *bench)
{
    (void)bench;
    return closed(raise(NEW_SIGNAL));
}

/* In the child no queue is left, and it can make one. */
static int act_fork(struct bench *bench)
{
    bench->child = fork();
    if (bench->child == 0) {
        leave_library();
        if (bench->recover)
            bench->recover();
        works_kqueue((struct bench[]){{.spare = queue()}});
        _exit(is_open(bench->kq) ? 9 : 0);
    }
    return bench->child == -1 ? errno : 0;
}

static void works_forked(struct bench *bench)
{
    child_succeeds(bench->child);
    bench->child = 0;
    works_user(bench);
}

static void prepare_fork(struct bench *bench)
{
    prepare_second_mode(bench);
    apply(bench);
    comes(bench->kq, bench->fds[0], EVFILT_WRITE);
    prepare_user(bench);
    apply(bench);
}

#define ADD(name, works) {"add_" #name, prepare_##name, act_change, works, 0}
#define CHANGED(name, works) {#name, prepare_##name, act_change, works, 0}
#define DELETED(name, works) {"delete_" #name, prepare_delete_##name, act_change, works, ONCE}
#define WAIT(name) {"wait_" #name, prepare_wait_##name, act_wait, works_got, 0}

const struct operation operations[] = {
    {"kqueue", prepare_nothing, act_kqueue, works_kqueue, 0},
    {"kqueuex", prepare_nothing, act_kqueuex, works_kqueue, 0},
    {"kqueue1", prepare_nothing, act_kqueue1, works_kqueue, 0},
    {"kqueue_33rd", prepare_many_queues, act_kqueue, works_kqueue, 0},
    {"init", prepare_nothing, act_init, prepare_nothing, 0},
    {"drain", prepare_drain, act_drain, prepare_nothing, 0},

    ADD(read, works_read),
    ADD(high, works_read),
    ADD(file, works_file),
    ADD(device, works_comes),
    ADD(write, works_comes),
    ADD(empty, works_comes),
    ADD(except, works_except),
    ADD(second_mode, works_second_mode),
    ADD(user, works_user),
    ADD(timer, works_comes),
    ADD(wall_timer, works_comes),
    ADD(signal, works_signal),
    ADD(process, works_process),
    ADD(zombie, works_zombie),
    ADD(forks, works_forks),
    ADD(descriptor, works_process),
    ADD(vnode, works_vnode),
    ADD(directory, works_directory),
    ADD(fifo, works_fifo),
    {"version", prepare_version, act_version, prepare_nothing, 0},

    CHANGED(read_again, works_read_again),
    CHANGED(read_enable, works_read_again),
    CHANGED(file_again, works_file),
    CHANGED(trigger, works_comes),
    CHANGED(traced, works_traced),
    CHANGED(timer_again, works_comes),
    CHANGED(signal_again, works_signal),
    CHANGED(process_again, works_forks),
    CHANGED(vnode_again, works_vnode),

    DELETED(read, works_deleted),
    DELETED(file, works_deleted),
    DELETED(second_mode, works_deleted_read),
    DELETED(user, works_deleted),
    DELETED(timer, works_deleted),
    DELETED(signal, works_deleted),
    DELETED(process, works_deleted_quietly),
    DELETED(forks, works_deleted_quietly),
    DELETED(descriptor, works_deleted),
    DELETED(vnode, works_deleted),
    DELETED(directory, works_deleted),

    WAIT(read),
    {"poll_read", prepare_poll_read, act_wait, works_got, 0},
    {"wait_forever", prepare_wait_read, act_wait_forever, works_got, 0},
    WAIT(reset),
    WAIT(write_reset),
    WAIT(listening),
    WAIT(datagram),
    WAIT(pipe),
    WAIT(pipe_room),
    WAIT(write),
    WAIT(empty),
    WAIT(file),
    WAIT(file_clear),
    WAIT(second_mode),
    WAIT(user),
    WAIT(timer),
    WAIT(period),
    WAIT(signal),
    {"wait_no_signal", prepare_wait_no_signal, act_wait_nothing, works_nothing, 0},
    WAIT(blocked_signal),
    WAIT(one_blocked_signal),
    WAIT(process),
    WAIT(stranger),
    WAIT(forks),
    WAIT(vnode),
    {"wait_nothing", prepare_wait_nothing, act_wait_nothing, works_nothing, 0},

    {"stale", prepare_stale, act_stale, works_stale, 0},
    {"close_queue", prepare_full, act_close_queue, prepare_nothing, ONCE | ENDS_QUEUE},
    {"close_watched", prepare_close_watched, act_close_watched, works_closed, ONCE},
    {"close_range", prepare_close_range, act_close_range, works_closed, ONCE},
    {"fclose", prepare_fclose, act_fclose, works_closed, ONCE},
    {"freopen", prepare_fclose, act_freopen, works_reopened, ONCE},
    {"closedir", prepare_closedir, act_closedir, prepare_nothing, ONCE},
    {"dup2_over_watched", prepare_replace, act_dup2, works_replaced, 0},
    {"dup3_over_watched", prepare_replace, act_dup3, works_replaced, 0},
    {"dup2_over_helper", prepare_replace_helper, act_dup2, works_user, 0},
    {"duplicate", prepare_duplicate, act_duplicate, works_user, 0},
    {"sigaction", prepare_caught, act_sigaction, works_signal, 0},
    {"signal", prepare_caught, act_signal, works_signal, 0},
    {"handler", prepare_caught, act_raise, works_comes, 0},
    {"fork", prepare_fork, act_fork, works_forked, FORKS},
};

const int operation_count = sizeof operations / sizeof *operations;

const struct operation *operation_named(const char *name)
{
    for (int i = 0; i < operation_count; i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

#endif

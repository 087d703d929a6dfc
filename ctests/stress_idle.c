/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No state spins (10.5): all that a queue may hold without an event to report, for a second (a fifth in a short run),
 * and next to no time of the processor goes by; neither in kevent() without a time-out, nor in a loop of poll() that
 * calls kevent() each time that the queue is readable; neither on the queue nor on one that watches it.
 *
 * Every state is built four times, for the four ways to wait; all of them wait at the same time.
 */
#define SUITE "stress"
#include "suite.h"

#ifdef __linux__

#include "procs.h"
#include "sockets.h"
#include "stress.h"

#include <stdatomic.h>
#include <sys/syscall.h>

static const struct timespec no_wait = {0, 0};

/* What must have come has come, and been taken. */
static void taken(int kq)
{
    struct kevent ev[4];
    collect(kq, ev, 4);
}

/* ---- The states --------------------------------------------------------------------------------- */

static void disabled_with_data(int kq)
{
    int fds[2];
    socket_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(fds[1], 3);
    taken(kq);
    change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 0);
}

static void below_the_mark(int kq)
{
    int fds[2];
    connected(TCP, fds);
    set_option(fds[0], SOL_SOCKET, SO_RCVLOWAT, 10);
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    put(fds[1], 3);
    until_queued(fds[0], 3);
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, 0);
    put(fds[1], 3);
    socket_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_LOWAT, 10, 0);
    put(fds[1], 3);
}

static void cancelled_timer(int kq)
{
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 20, 0);
    change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    change(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 30, 0);
    change(kq, 2, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 3600, 0);
    change(kq, 3, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, 20, 0);
}

static void edge_with_old_data(int kq)
{
    int fds[2];
    pipe_pair(fds);
    put(fds[1], 3);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    taken(kq);
    socket_pair(fds);
    put(fds[1], 3);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    taken(kq);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 0);
    taken(kq);
}

static void dispatched(int kq)
{
    int fds[2];
    socket_pair(fds);
    put(fds[1], 3);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 0, 0);
    taken(kq);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_DISPATCH, NOTE_TRIGGER, 0, 0);
    taken(kq);
}

static void consumed_zombie(int kq)
{
    pid_t pid = OK(fork());
    if (pid == 0)
        _exit(3);
    change(kq, pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0);
    taken(kq);
}

/* What the kernel does not tell before the reap is not told meanwhile; what it tells is told once. */
static void strangers_zombie(int kq)
{
    struct puppet child, stranger;
    prepare(&stranger);
    give_birth(&child);
    let_beget(&child, FORK, &stranger);
    change(kq, stranger.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0);
    order(&stranger, EXIT, 3);
    tell(&child, WATCH, stranger.pid);
}

/* The number, which does not come back, is closed by nobody that the library hears of, and the file lives on. */
static void stale_item(int kq)
{
    int fds[2];
    pipe_pair(fds);
    int number = OK(fcntl(fds[0], F_DUPFD, 3000));
    change(kq, number, EVFILT_READ, EV_ADD, 0, 0, 0);
    put(fds[1], 1);
    OK(syscall(SYS_close, number));
}

/* One that the program blocks, one that it does not. */
static void pending_signal(int kq)
{
    change(kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD | EV_DISABLE, 0, 0, 0);
    change(kq, SIGUSR2, EVFILT_SIGNAL, EV_ADD | EV_DISABLE, 0, 0, 0);
    OK(kill(getpid(), SIGUSR1));
    OK(kill(getpid(), SIGUSR2));
}

static void full_pipe(int kq)
{
    int fds[2];
    pipe_pair(fds);
    fill(fds[1]);
    change(kq, fds[1], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    /* Less than what the mark wants. */
    pipe_pair(fds);
    fill(fds[1]);
    change(kq, fds[1], EVFILT_WRITE, EV_ADD, 0, 0, 0);
    take(fds[0], 100);
}

static void disabled_and_hung_up(int kq)
{
    int fds[2];
    pipe_pair(fds);
    change(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0, 0);
    OK(close(fds[0]));
    pipe_pair(fds);
    OK(close(fds[0]));
    change(kq, fds[1], EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0, 0);
}

#ifdef EVFILT_VNODE
/* The busy thread writes to the file, and makes and removes entries of the directory. */
static void busy_file(int kq)
{
    int fd = OK(open("file", O_RDONLY));
    change(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_DELETE | NOTE_RENAME | NOTE_ATTRIB, 0, 0);
}

static void busy_disabled_file(int kq)
{
    int fd = OK(open("file", O_RDONLY));
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_DISABLE, NOTE_WRITE, 0, 0);
}

static void busy_directory(int kq)
{
    int fd = OK(open("directory", O_RDONLY | O_DIRECTORY));
    change(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_DELETE | NOTE_RENAME | NOTE_LINK, 0, 0);
}
#endif

static const struct state {
    const char *name;
    void (*build)(int kq);
} states[] = {
    {"a disabled knote with data", disabled_with_data},
    {"data below the mark", below_the_mark},
    {"a cancelled timer", cancelled_timer},
    {"an edge with old data", edge_with_old_data},
    {"a dispatched knote", dispatched},
    {"a zombie whose exit was reported", consumed_zombie},
    {"a stranger's zombie", strangers_zombie},
    {"a stale item", stale_item},
    {"a pending signal, disabled", pending_signal},
    {"a full pipe", full_pipe},
    {"a hung-up pipe, disabled", disabled_and_hung_up},
#ifdef EVFILT_VNODE
    {"unwanted notes of a busy file", busy_file},
    {"a busy file, disabled", busy_disabled_file},
    {"unwanted notes of a busy directory", busy_directory},
#endif
};

/* ---- Those who wait ----------------------------------------------------------------------------- */

enum { BY_KEVENT, BY_POLL, OUTER_BY_KEVENT, OUTER_BY_POLL, WAYS };
static const char *const ways[] = {"kevent", "poll", "kevent of an outer queue", "poll of an outer queue"};

enum { STOP = 999999 };

struct sleeper {
    struct thread thread;
    int kq;
    int inner; /* the queue that this one watches, or -1 */
    int way;
    long turns;
    int64_t spent;
};

static int64_t thread_time(void)
{
    struct timespec time;
    OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time));
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* What an event says, done as a program does it: a queue that is readable is asked. Returns whether it is the end. */
static int is_over(const struct sleeper *sleeper, const struct kevent *ev, int count)
{
    struct kevent inner[4];
    int over = 0;
    for (int i = 0; i < count; i++) {
        over |= ev[i].filter == EVFILT_USER && ev[i].ident == STOP;
        if (sleeper->inner != -1 && ev[i].filter == EVFILT_READ)
            OK(kevent(sleeper->inner, NULL, 0, inner, 4, &no_wait));
    }
    return over;
}

static void *sleep_on(void *argument)
{
    struct sleeper *sleeper = argument;
    struct pollfd entry = {sleeper->kq, POLLIN, 0};
    int polls = sleeper->way == BY_POLL || sleeper->way == OUTER_BY_POLL, over = 0;
    int64_t before = thread_time();
    while (!over) {
        struct kevent ev[4];
        if (polls && poll(&entry, 1, -1) == -1)
            CHECK_EQ(errno, EINTR);
        int count = kevent(sleeper->kq, NULL, 0, ev, 4, polls ? &no_wait : NULL);
        if (count == -1)
            CHECK_EQ(errno, EINTR);
        over = is_over(sleeper, ev, count);
        sleeper->turns++;
    }
    sleeper->spent = thread_time() - before;
    return NULL;
}

static atomic_int stop;
static atomic_long touches;

/* A hundred times a second the file grows, is read, and the directory's entries come, are written, and go. */
static void *keep_busy(void *argument)
{
    (void)argument;
    while (!stop) {
        struct timespec pause = duration(10 * MILLISECOND);
        int fd = OK(open("file", O_RDWR | O_APPEND));
        char byte;
        put(fd, 1);
        OK(pread(fd, &byte, 1, 0));
        OK(close(fd));
        fd = OK(open("directory/entry", O_RDWR | O_CREAT, 0600));
        put(fd, 1);
        OK(close(fd));
        OK(unlink("directory/entry"));
        touches++;
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* 10.5 With each of these states present nobody who waits uses more than a twentieth of the time. */
TEST_LIMIT(no_state_spins, "10.5 3.8", 120)
{
    static struct sleeper sleepers[COUNT(states)][WAYS];
    struct thread busy;
    sigset_t blocked;
    need_descriptors(4096);
    OK0(sigemptyset(&blocked));
    OK0(sigaddset(&blocked, SIGUSR1));
    OK0(pthread_sigmask(SIG_BLOCK, &blocked, NULL));
    OK(close(OK(open("file", O_RDWR | O_CREAT, 0600))));
    OK(mkdir("directory", 0700));
    for (size_t i = 0; i < COUNT(states); i++) {
        for (int way = 0; way < WAYS; way++) {
            struct sleeper *sleeper = &sleepers[i][way];
            *sleeper = (struct sleeper){.kq = queue(), .inner = -1, .way = way};
            states[i].build(sleeper->kq);
            if (way >= OUTER_BY_KEVENT) {
                sleeper->inner = sleeper->kq;
                sleeper->kq = queue();
                change(sleeper->kq, sleeper->inner, EVFILT_READ, EV_ADD, 0, 0, 0);
            }
        }
    }
    start(&busy, keep_busy, NULL);
    int64_t began = now();
    for (size_t i = 0; i < COUNT(states); i++)
        for (int way = 0; way < WAYS; way++)
            start(&sleepers[i][way].thread, sleep_on, &sleepers[i][way]);
    struct timespec pause = duration(everything() ? SECOND : SECOND / 5);
    nanosleep(&pause, NULL);
    int64_t length = now() - began;
    stop = 1;
    join(&busy);
    for (size_t i = 0; i < COUNT(states); i++) {
        for (int way = 0; way < WAYS; way++) {
            struct sleeper *sleeper = &sleepers[i][way];
            change(sleeper->kq, STOP, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0);
            join(&sleeper->thread);
            printf("%s, %s: %ld turns, %jd us of %jd\n", states[i].name, ways[way], sleeper->turns,
                   (intmax_t)sleeper->spent / 1000, (intmax_t)length / 1000);
        }
    }
    /* On a machine that is busy a thread that spins gets little time, but it turns. Each touch may wake some times. */
    for (size_t i = 0; i < COUNT(states); i++) {
        for (int way = 0; way < WAYS; way++) {
            const struct sleeper *sleeper = &sleepers[i][way];
            if (sleeper->spent > length / 20 * patience() || sleeper->turns > 100 + 12 * touches)
                FAIL("%s, %s: %ld turns, %jd us of %jd", states[i].name, ways[way], sleeper->turns,
                     (intmax_t)sleeper->spent / 1000, (intmax_t)length / 1000);
        }
    }
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The descriptors that the library works with: where they are, and what happens when the program takes them away. */
#include "shape.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { TICKER = 1, WALL, SIGN };

/* A queue that uses every kind of helper. */
struct world {
    int kq;
    int file; /* at its end */
    int stays[2], socket[2];
    int signal_ident;
    pid_t child;
    int end; /* the child lives until this is closed */
};

static void ignore(int signo) { (void)signo; }

static struct world world(void)
{
    struct world w;
    FILE *file = tmpfile();
    int fds[2];
    CHECK(file);
    w.file = fileno(file);
    pair(w.stays);
    pair(w.socket);
    OK(pipe2(fds, O_CLOEXEC));
    w.child = OK(fork());
    if (w.child == 0) {
        char byte;
        close(fds[1]);
        _exit(read(fds[0], &byte, 1) == 0 ? 3 : 4);
    }
    close(fds[0]);
    w.end = fds[1];
    w.kq = OK(guest_kqueue());
    signal(SIGUSR1, ignore);
    return w;
}

static void watch(struct world *w)
{
    sigset_t set;
    ADD(w->kq, SIGN, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
    ADD(w->kq, TICKER, EVFILT_TIMER, EV_ADD, 0, 3600000, 2);
    ADD(w->kq, WALL, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_ABSOLUTE | NOTE_SECONDS, (intptr_t)time(NULL) + 3600, 3);
    ADD(w->kq, (uintptr_t)w->file, EVFILT_READ, EV_ADD, 0, 0, 4);
    ADD(w->kq, (uintptr_t)w->socket[0], EVFILT_READ, EV_ADD, 0, 0, 5);
    ADD(w->kq, (uintptr_t)w->socket[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 6);
    ADD(w->kq, (uintptr_t)w->child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 7);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    ADD(w->kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 8);
    CHECK(NEXT_OF(w->kq, (uintptr_t)w->socket[0], 6) > 0);
    NOTHING(w->kq);
}

/* Everything that it watches is told of. */
static void all_works(struct world *w)
{
    ADD(w->kq, SIGN, EVFILT_USER, 0, NOTE_TRIGGER, 0, 1);
    NEXT_OF(w->kq, SIGN, 1);
    ADD(w->kq, TICKER, EVFILT_TIMER, EV_ADD, 0, 1, 2);
    NEXT_OF(w->kq, TICKER, 2);
    ADD(w->kq, TICKER, EVFILT_TIMER, EV_ADD, 0, 3600000, 2);
    ADD(w->kq, WALL, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_ABSOLUTE, 1, 3);
    NEXT_OF(w->kq, WALL, 3);
    put(w->file, 6);
    OK(lseek(w->file, 0, SEEK_SET));
    CHECK_EQ(NEXT_OF(w->kq, (uintptr_t)w->file, 4), 6);
    OK(lseek(w->file, 0, SEEK_END));
    put(w->socket[1], 2);
    CHECK_EQ(NEXT_OF(w->kq, (uintptr_t)w->socket[0], 5), 2);
    CHECK_EQ(recv(w->socket[0], (char[2]){0}, 2, 0), 2);
    OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(NEXT_OF(w->kq, SIGUSR1, 8), 1);
    close(w->end);
    CHECK_EQ(NEXT_OF(w->kq, (uintptr_t)w->child, 7), 3 << 8);
    OK(waitpid(w->child, NULL, 0));
    NOTHING(w->kq);
    SLEEPS(w->kq);
}

/* Where nobody told us, what was registered is registered anew. */
static void add_again(struct world *w)
{
    ADD(w->kq, TICKER, EVFILT_TIMER, EV_ADD, 0, 3600000, 2);
    ADD(w->kq, (uintptr_t)w->child, EVFILT_PROC, EV_DELETE, 0, 0, 7);
    ADD(w->kq, (uintptr_t)w->child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 7);
    ADD(w->kq, (uintptr_t)w->file, EVFILT_READ, EV_DELETE, 0, 0, 4);
    ADD(w->kq, (uintptr_t)w->file, EVFILT_READ, EV_ADD, 0, 0, 4);
    ADD(w->kq, SIGUSR1, EVFILT_SIGNAL, EV_DELETE, 0, 0, 8);
    ADD(w->kq, SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, 8);
    ADD(w->kq, (uintptr_t)w->socket[0], EVFILT_READ, EV_DELETE, 0, 0, 5);
    change(w->kq, (uintptr_t)w->socket[0], EVFILT_WRITE, EV_DELETE, 0, 0, 6);
    ADD(w->kq, (uintptr_t)w->socket[0], EVFILT_READ, EV_ADD, 0, 0, 5);
    ADD(w->kq, (uintptr_t)w->socket[0], EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, 6);
    CHECK(NEXT_OF(w->kq, (uintptr_t)w->socket[0], 6) > 0);
}

/* Numbers that were not open before. */
enum { MOST = 1500 };
static char open_before[MOST];

static void remember(void)
{
    for (int fd = 0; fd < MOST; fd++)
        open_before[fd] = (char)is_open(fd);
}

static int each_new(int kq, void (*act)(int fd))
{
    static int found[MOST];
    int count = 0;
    for (int fd = 0; fd < MOST; fd++)
        if (fd != kq && !open_before[fd] && is_open(fd))
            found[count++] = fd;
    for (int i = 0; i < count; i++)
        act(found[i]);
    return count;
}

static void is_high_and_close_on_exec(int fd)
{
    CHECK(fd >= 64);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

/* Helpers leave the low numbers alone, also where 0 to 2 are free, and are close-on-exec, as the kqueue is. */
CASE(helpers_are_high_and_close_on_exec)
{
    for (int i = 0; i < 3; i++)
        close(i);
    struct world w = world();
    CHECK(fcntl(w.kq, F_GETFD) & FD_CLOEXEC);
    int lowest = OK(dup(w.kq));
    close(lowest);
    remember();
    watch(&w);
    CHECK(each_new(w.kq, is_high_and_close_on_exec) >= 4);
    CHECK_EQ(OK(dup(w.kq)), lowest);
    all_works(&w);
}

/* Everything above the program's own descriptors is closed, as daemons do. */
static void close_all_above(int how)
{
    struct world w = world();
    remember();
    watch(&w);
    int top = w.kq > w.end ? w.kq : w.end;
    if (how == 0) {
#ifdef __GLIBC__
        if (close_range((unsigned)top + 1, ~0u, 0) == -1)
#endif
            skip("no close_range() here");
    } else {
        for (int fd = top + 1; fd < MOST; fd++)
            if (!open_before[fd])
                close(fd);
    }
    if (!in_front)
        add_again(&w);
    all_works(&w);
}

/* The same, and other kqueues come and go on the numbers before the first is used again. */
CASE(another_queue_takes_the_numbers_of_helpers)
{
    struct world w = world();
    int others[2];
    watch(&w);
    for (int fd = 64; fd < MOST; fd++)
        close(fd);
    for (int i = 0; i < 2; i++) {
        others[i] = OK(guest_kqueue());
        ADD(others[i], SIGN, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 9);
    }
    for (int i = 0; i < 20; i++)
        close(OK(guest_kqueue()));
    put(w.socket[1], 2);
    CHECK_EQ(NEXT_OF(w.kq, (uintptr_t)w.socket[0], 5), 2);
    CHECK_EQ(recv(w.socket[0], (char[2]){0}, 2, 0), 2);
    if (!in_front)
        add_again(&w);
    all_works(&w);
    close(w.kq);
    close(OK(guest_kqueue()));
    for (int i = 0; i < 2; i++) {
        ADD(others[i], SIGN, EVFILT_USER, 0, NOTE_TRIGGER, 0, 9);
        NEXT_OF(others[i], SIGN, 9);
    }
}

CASE(close_range_leaves_or_replaces_helpers) { close_all_above(0); }
CASE(close_of_every_number_leaves_or_replaces_helpers) { close_all_above(1); }

static atomic_int over;

/* Everything that makes descriptors of the library's and closes them. */
static void *use_helpers(void *argument)
{
    while (!over) {
        int kq = OK(guest_kqueue());
        for (int i = 0; i < 5; i++) {
            ADD(kq, (uintptr_t)getppid(), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0);
            ADD(kq, (uintptr_t)getppid(), EVFILT_PROC, EV_DELETE, 0, 0, 0);
        }
        ADD(kq, SIGN, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 1);
        NEXT_OF(kq, SIGN, 1);
        ADD(kq, TICKER, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 50, 2);
        NEXT_OF(kq, TICKER, 2);
        pid_t child = OK(fork());
        if (child == 0)
            _exit(7);
        ADD(kq, (uintptr_t)child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 3);
        CHECK_EQ(NEXT_OF(kq, (uintptr_t)child, 3), 7 << 8);
        OK(waitpid(child, NULL, 0));
        OK(close(kq));
    }
    return argument;
}

/* The program puts files on the numbers of helpers while other threads make and drop them: no event is lost, and what
 * it has put there stays there until it closes it. */
CASE(dup2_beside_births)
{
    enum { THREADS = 2, NUMBERS = 24, FIRST = 512 };
    pthread_t threads[THREADS];
    struct stat mine, found;
    FILE *file = tmpfile();
    if (!in_front)
        skip("dup2() goes round the library");
    CHECK(file);
    alarm(300); /* it is a second's work of three threads: beside others' that is long */
    OK(fstat(fileno(file), &mine));
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_helpers, NULL), 0);
    for (int round = 0; round < 3000; round++) {
        for (int turn = 0; turn < 2; turn++) {
            for (int fd = FIRST; fd < FIRST + NUMBERS; fd++) {
                if (turn == 0)
                    CHECK_EQ(dup2(fileno(file), fd), fd);
                OK(fstat(fd, &found));
                CHECK(found.st_ino == mine.st_ino && found.st_dev == mine.st_dev);
            }
            sched_yield();
        }
        for (int fd = FIRST; fd < FIRST + NUMBERS; fd++)
            OK(close(fd));
    }
    over = 1;
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static int cover;

static void put_over(int fd) { OK(dup2(cover, fd)); }

/* The program puts a file of its own on every number that the library uses. */
CASE(dup2_over_helpers_moves_or_replaces_them)
{
    struct world w = world();
    char byte;
    int fds[2];
    pair(fds);
    cover = fds[1];
    remember();
    watch(&w);
    CHECK(each_new(w.kq, put_over) >= 4);
    if (!in_front)
        add_again(&w);
    all_works(&w);
    /* Its files are what they were: nothing was written to them, and they are open. */
    CHECK_EQ(recv(fds[0], &byte, 1, MSG_DONTWAIT), -1);
    close(w.kq);
    int still = 0;
    for (int fd = 64; fd < MOST; fd++)
        still += !open_before[fd] && is_open(fd) && write(fd, "y", 1) == 1;
    CHECK(still >= 4);
}

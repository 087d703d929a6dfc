/* SPDX-License-Identifier: BSD-2-Clause */
/* Section 10: fork (10.3) and exec (10.4). */
#define SUITE "process"
#include "suite.h"

#include "sockets.h"
#include "together.h"

#include <dirent.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>

static const struct timespec no_wait = {0, 0};

/* A queue with something of every filter: what a child could inherit by mistake. */
struct busy {
    int kq;
    int fds[2];
    int file;
    int inner;
};

static void fill_queue(struct busy *busy)
{
    busy->kq = queue();
    socket_pair(busy->fds);
    busy->file = OK(open("file", O_RDWR | O_CREAT, 0600));
    busy->inner = queue();
    change(busy->kq, busy->fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(busy->kq, busy->fds[0], EVFILT_WRITE, EV_ADD | EV_DISPATCH | EV_DISABLE, 0, 0, 2);
    change(busy->kq, busy->file, EVFILT_READ, EV_ADD, 0, 0, 3);
    change(busy->kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 4);
    change(busy->kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 3600, 5);
    change(busy->kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_DISABLE, NOTE_ABSOLUTE, 1, 6);
    change(busy->kq, busy->inner, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 7);
    change(busy->inner, 9, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 8);
}

/* Every knote of it still does its work. */
static void works_whole(struct busy *busy)
{
    int kq = busy->kq;
    nothing(kq);
    put(busy->fds[1], 3);
    EXPECT_NEXT(kq, busy->fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 3, 1);
    take(busy->fds[0], 3);
    change(kq, busy->fds[0], EVFILT_WRITE, EV_ENABLE, 0, 0, 2);
    EXPECT_NEXT_ANY(kq, busy->fds[0], EVFILT_WRITE, EV_ADD | EV_DISPATCH, 0, 1, 2, DATA_AT_LEAST);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 4);
    EXPECT_NEXT(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 4);
    change(kq, 2, EVFILT_TIMER, EV_ENABLE, 0, 0, 6);
    EXPECT_NEXT_ANY(kq, 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 6, 0);
    change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 5);
    EXPECT_NEXT(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 5);
    change(busy->inner, 9, EVFILT_USER, 0, NOTE_TRIGGER, 0, 8);
    EXPECT_NEXT_ANY(kq, busy->inner, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 7, DATA_AT_LEAST);
    EXPECT_NEXT(busy->inner, 9, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 8);
    put(busy->file, 5);
    OK(lseek(busy->file, 0, SEEK_SET));
    EXPECT_NEXT(kq, busy->file, EVFILT_READ, EV_ADD, 0, 5, 3);
}

/* A queue of one's own works, from its birth to its end. */
static void own_queue_works(void)
{
    struct busy busy;
    int before = open_descriptors();
    fill_queue(&busy);
    OK(ftruncate(busy.file, 0));
    OK(lseek(busy.file, 0, SEEK_SET));
    works_whole(&busy);
    OK(close(busy.kq));
    OK(close(busy.inner));
    OK(close(busy.fds[0]));
    OK(close(busy.fds[1]));
    OK(close(busy.file));
    CHECK_EQ(open_descriptors(), before);
}

/* ---- 10.3 --------------------------------------------------------------------------------------- */

/* 10.3 kqueues are not inherited: the number is closed in the child. */
TEST(number_is_closed_in_the_child, "10.3")
{
    struct busy busy;
    fill_queue(&busy);
    int empty = queue();
    pid_t pid = OK(fork());
    if (pid == 0) {
        struct kevent ev[2], change = EVENT(1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
        CHECK(!is_open(busy.kq));
        CHECK(!is_open(busy.inner));
        CHECK(!is_open(empty));
        CHECK_ERRNO(kevent(busy.kq, NULL, 0, ev, 2, &no_wait), EBADF);
        CHECK_ERRNO(kevent(busy.kq, NULL, 0, ev, 2, NULL), EBADF);
        CHECK_ERRNO(kevent(busy.kq, &change, 1, NULL, 0, NULL), EBADF);
        CHECK_ERRNO(kevent(empty, NULL, 0, ev, 2, NULL), EBADF);
        CHECK_ERRNO(close(busy.kq), EBADF);
        CHECK(is_open(busy.fds[0]) && is_open(busy.fds[1]) && is_open(busy.file));
        _exit(0);
    }
    child_succeeds(pid);
    nothing(empty);
    works_whole(&busy);
}

/* 10.3 10.7 Nor by the number of a duplicate that was used. */
TEST(duplicate_is_closed_in_the_child, "10.3 10.7")
{
    struct busy busy;
    struct kevent ev[8];
    fill_queue(&busy);
    int same = OK(dup(busy.kq));
    change(same, 1, EVFILT_USER, EV_KEEPUDATA, 0, 0, 0);
    pid_t pid = OK(fork());
    if (pid == 0) {
        CHECK(!is_open(same));
        CHECK_ERRNO(kevent(same, NULL, 0, ev, 8, &no_wait), EBADF);
        CHECK(is_open(busy.fds[0]) && is_open(busy.fds[1]) && is_open(busy.file));
        _exit(0);
    }
    child_succeeds(pid);
    OK(close(same));
    works_whole(&busy);
}

/* 10.3 Nothing else of the library's is open in the child either. */
TEST(child_has_none_of_our_descriptors, "10.3")
{
    struct busy busy;
    int before = open_descriptors();
    fill_queue(&busy);
    struct kevent ev[4];
    change(busy.kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 4);
    CHECK_EQ(kevent(busy.kq, NULL, 0, ev, 4, NULL), 1);
    pid_t pid = OK(fork());
    if (pid == 0) {
        CHECK_EQ(open_descriptors(), before + 3); /* the pair and the file */
        _exit(0);
    }
    child_succeeds(pid);
    works_whole(&busy);
}

/* 10.3 The child may use kqueues of its own, and a child of the child. */
TEST(child_uses_its_own_queues, "10.3")
{
    struct busy busy;
    fill_queue(&busy);
    pid_t pid = OK(fork());
    if (pid == 0) {
        own_queue_works();
        struct busy own;
        fill_queue(&own);
        pid_t grandchild = OK(fork());
        if (grandchild == 0) {
            CHECK(!is_open(own.kq));
            own_queue_works();
            _exit(0);
        }
        child_succeeds(grandchild);
        OK(ftruncate(own.file, 0));
        works_whole(&own);
        _exit(0);
    }
    child_succeeds(pid);
    OK(ftruncate(busy.file, 0));
    OK(lseek(busy.file, 0, SEEK_SET));
    works_whole(&busy);
}

/* 10.3 A kqueue of the child that has the number of one of the parent's is the child's alone. */
TEST(same_number_in_the_child, "10.3")
{
    struct busy busy;
    fill_queue(&busy);
    pid_t pid = OK(fork());
    if (pid == 0) {
        struct kevent ev;
        int kq = queue();
        if (kq != busy.kq)
            SKIP("the number did not come back");
        CHECK_EQ(change_errno(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, 0), ENOENT);
        CHECK_EQ(change_errno(kq, busy.fds[0], EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
        change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 44);
        wait_event(kq, &ev);
        EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 44);
        change(kq, busy.fds[0], EVFILT_READ, EV_ADD, 0, 0, 45);
        change(kq, busy.fds[0], EVFILT_READ, EV_DELETE, 0, 0, 45);
        change(kq, busy.fds[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 46);
        wait_event(kq, &ev);
        OK(close(kq));
        _exit(0);
    }
    child_succeeds(pid);
    works_whole(&busy);
}

/* 10.3 A child that closes every number it can think of does the parent no harm. */
TEST(child_closes_everything, "10.3 10.1")
{
    struct busy busy;
    fill_queue(&busy);
    pid_t pid = OK(fork());
    if (pid == 0) {
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
        int fd = OK(open("/dev/null", O_RDWR));
        for (int number = 3; number < 64; number++)
            OK(dup2(fd, number));
        for (int number = 3; number < 64; number++)
            close(number);
        _exit(0);
    }
    child_succeeds(pid);
    works_whole(&busy);
}

/* 10.3 What the child collects, reads or triggers does not reach the parent's queue. */
TEST(pending_events_stay_with_the_parent, "10.3")
{
    int kq = queue();
    struct kevent ev[4];
    change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 1);
    change(kq, 2, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 2);
    change(kq, 3, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_USECONDS, 10, 3);
    pid_t pid = OK(fork());
    if (pid == 0) {
        int own = queue();
        nothing(own);
        CHECK_EQ(change_errno(own, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0), ENOENT);
        _exit(0);
    }
    child_succeeds(pid);
    CHECK_EQ(collect(kq, ev, 4), 3);
    nothing(kq);
}

static void *wait_for_one(void *argument)
{
    static struct kevent ev;
    CHECK_EQ(kevent(*(int *)argument, NULL, 0, &ev, 1, NULL), 1);
    return &ev;
}

/* 10.3 A fork while another thread waits neither wakes nor loses it. */
TEST(fork_while_a_thread_waits, "10.3")
{
    int kq = queue();
    struct thread thread;
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 1);
    start(&thread, wait_for_one, &kq);
    until_asleep(&thread);
    for (int i = 0; i < 5; i++) {
        pid_t pid = OK(fork());
        if (pid == 0) {
            CHECK(!is_open(kq));
            own_queue_works();
            _exit(0);
        }
        child_succeeds(pid);
        OK(unlink("file"));
    }
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 7, 8);
    struct kevent *ev = join(&thread);
    EXPECT_EVENT(*ev, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 7, 8);
}

static atomic_int stop;
static int shared_queue;

/* Changes and collects without a pause: a fork meets it anywhere. */
static void *hammer(void *argument)
{
    int ident = (int)(intptr_t)argument;
    while (!stop) {
        struct kevent ev[4];
        change(shared_queue, ident, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 0);
        OK(kevent(shared_queue, NULL, 0, ev, 4, &no_wait));
        change(shared_queue, ident, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 100, 0);
        change(shared_queue, ident, EVFILT_TIMER, EV_DELETE, 0, 0, 0);
    }
    return NULL;
}

/* 10.3 A child forked while other threads are inside kevent finds nothing locked. */
TEST_LIMIT(fork_while_threads_are_inside, "10.3", 60)
{
    struct thread threads[2];
    shared_queue = queue();
    for (int i = 0; i < 2; i++)
        start(&threads[i], hammer, UDATA(i));
    for (int i = 0; i < 200; i++) {
        pid_t pid = OK(fork());
        if (pid == 0) {
            struct kevent ev;
            alarm(10 * (unsigned)patience());
            CHECK(!is_open(shared_queue));
            int kq = queue();
            change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 1);
            wait_event(kq, &ev);
            EXPECT_EVENT(ev, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, 1);
            change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, 2);
            wait_event(kq, &ev);
            EXPECT_EVENT(ev, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT | EV_CLEAR, 0, 1, 2);
            _exit(0);
        }
        child_succeeds(pid);
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        join(&threads[i]);
    were_together(10);
}

/* Makes queues with helpers of every kind, and closes them. */
static void *give_birth(void *argument)
{
    int fds[2];
    (void)argument;
    pipe_pair(fds);
    while (!stop) {
        int kq = queue();
        change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
        change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 100, 0);
        change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
        OK(close(kq));
    }
    OK(close(fds[0]));
    OK(close(fds[1]));
    return NULL;
}

#ifdef __linux__
/* How many descriptors are what a queue is made of: the case makes none of them itself. */
static int queue_parts(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    if (!directory)
        return 0;
    while ((entry = readdir(directory))) {
        char target[256];
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        if (length <= 0)
            continue;
        target[length] = '\0';
        count += strstr(target, "eventpoll") || strstr(target, "eventfd") || strstr(target, "timerfd")
                 || strstr(target, "inotify") || strstr(target, "signalfd");
    }
    closedir(directory);
    return count;
}

/* 10.3 A fork in the middle of a queue's birth, or of its death, leaves the child nothing. */
TEST_LIMIT(fork_while_queues_are_born, "10.3", 60)
{
    struct thread threads[2];
    for (int i = 0; i < 2; i++)
        start(&threads[i], give_birth, NULL);
    for (int i = 0; i < 300; i++) {
        pid_t pid = OK(fork());
        if (pid == 0) {
            alarm(10 * (unsigned)patience());
            CHECK_EQ(queue_parts(), 0);
            int kq = queue();
            struct kevent ev;
            change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, 0, 1);
            wait_event(kq, &ev);
            OK(close(kq));
            CHECK_EQ(queue_parts(), 0);
            _exit(0);
        }
        child_succeeds(pid);
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        join(&threads[i]);
    were_together(10);
}
#endif

#ifdef KQUEUE_CPONFORK
/* 10.3 KQUEUE_CPONFORK copies the queue to the child. */
TEST(cponfork_copies_the_queue, "10.3")
{
    int kq = OK(kqueuex(KQUEUE_CPONFORK)), fds[2];
    pipe_pair(fds);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    pid_t pid = OK(fork());
    if (pid == 0) {
        put(fds[1], 1);
        EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 1);
        _exit(0);
    }
    child_succeeds(pid);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 1);
}
#endif

/* ---- 10.4 --------------------------------------------------------------------------------------- */

/* The number of open descriptors past 2. */
HELPER(descriptors)
{
    (void)argument;
    return open_descriptors() - 3;
}

/* 0 if the mask is empty and no disposition but the default is set. */
HELPER(signals)
{
    sigset_t mask;
    (void)argument;
    if (sigprocmask(SIG_SETMASK, NULL, &mask) == -1)
        return 1;
    for (int number = 1; number < 32; number++) {
        struct sigaction action;
        if (sigismember(&mask, number) == 1)
            return 2;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            return 3;
    }
    return 0;
}

/* A queue whose knotes are on descriptors that exec closes. */
static int queue_for_exec(unsigned flags)
{
    int kq = OK(kqueuex(flags)), fds[2], inner = OK(kqueuex(flags));
    struct kevent ev[4];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    OK(fcntl(fds[0], F_SETFD, FD_CLOEXEC));
    OK(fcntl(fds[1], F_SETFD, FD_CLOEXEC));
    int file = OK(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 1);
    change(kq, fds[0], EVFILT_WRITE, EV_ADD, 0, 0, 2);
    change(kq, file, EVFILT_READ, EV_ADD, 0, 0, 3);
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 4);
    change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 5);
    change(kq, 2, EVFILT_TIMER, EV_ADD, NOTE_ABSOLUTE, 1, 6);
    change(kq, inner, EVFILT_READ, EV_ADD, 0, 0, 7);
    collect(kq, ev, 4);
    return kq;
}

/* 10.4 Nothing of ours survives exec. */
TEST(nothing_survives_exec, "10.4")
{
    pid_t pid = OK(fork());
    if (pid == 0) {
        int kq = queue(), inner = queue();
        change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 4);
        change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, 5);
        change(kq, inner, EVFILT_READ, EV_ADD, 0, 0, 7);
        exec_helper("descriptors", "");
    }
    child_succeeds(pid);
}

/* 10.4 The same of a kqueue made with KQUEUE_CLOEXEC, with all that it uses. */
TEST(nothing_survives_exec_with_cloexec, "10.4")
{
    pid_t pid = OK(fork());
    if (pid == 0) {
        queue_for_exec(KQUEUE_CLOEXEC);
        exec_helper("descriptors", "");
    }
    child_succeeds(pid);
}

/* 10.4 The same in a child that was forked and then execs. */
TEST(nothing_survives_fork_and_exec, "10.4 10.3")
{
    int kq = queue_for_exec(KQUEUE_CLOEXEC);
    pid_t pid = OK(fork());
    if (pid == 0)
        exec_helper("descriptors", "");
    child_succeeds(pid);
    struct kevent ev[8];
    CHECK_GE(collect(kq, ev, 8), 3);
}

/* 10.4 The same in a program started by posix_spawn. */
TEST(nothing_survives_spawn, "10.4")
{
    extern char **environ;
    int kq = queue_for_exec(KQUEUE_CLOEXEC);
    char *arguments[] = {(char *)"conformance", (char *)"--helper", (char *)"descriptors", (char *)"", NULL};
    pid_t pid;
    OK0(posix_spawn(&pid, helper_path(), NULL, NULL, arguments, environ));
    child_succeeds(pid);
    struct kevent ev[8];
    CHECK_GE(collect(kq, ev, 8), 3);
}

/* 10.4 The same in one started by system. */
TEST(nothing_survives_system, "10.4")
{
    char command[4200];
    int kq = queue_for_exec(KQUEUE_CLOEXEC);
    snprintf(command, sizeof command, "exec '%s' --helper descriptors x", helper_path());
    CHECK_EQ(OK(system(command)), 0);
    struct kevent ev[8];
    CHECK_GE(collect(kq, ev, 8), 3);
}

/* 10.4 The same in one started by vfork and exec. */
TEST(nothing_survives_vfork_and_exec, "10.4")
{
    int kq = queue_for_exec(KQUEUE_CLOEXEC);
    const char *path = helper_path();
    pid_t pid = vfork();
    if (pid == 0) {
        execl(path, path, "--helper", "descriptors", "", (char *)NULL);
        _exit(99);
    }
    child_succeeds(OK(pid));
    struct kevent ev[8];
    CHECK_GE(collect(kq, ev, 8), 3);
}

/* 10.4 An exec that fails leaves the queue as it was. */
TEST(failed_exec_changes_nothing, "10.4")
{
    struct busy busy;
    fill_queue(&busy);
    CHECK_ERRNO(execl("./no-such-program", "x", (char *)NULL), ENOENT);
    works_whole(&busy);
}

/* 7.5 No mask and no disposition is seen changed, here or in a program started from here. */
TEST(signals_are_left_alone, "7.5 10.4")
{
    int kq = queue_for_exec(KQUEUE_CLOEXEC);
    sigset_t mask;
    if (strcmp(suite_lacks(), "linux") == 0)
        SKIP("the suite itself handles SIGSYS (-w linux)");
    OK(sigprocmask(SIG_SETMASK, NULL, &mask));
    for (int number = 1; number < 32; number++) {
        struct sigaction action;
        CHECK_EQ(sigismember(&mask, number), 0);
        if (sigaction(number, NULL, &action) == 0)
            CHECK(action.sa_handler == SIG_DFL);
    }
    pid_t pid = OK(fork());
    if (pid == 0)
        exec_helper("signals", "");
    child_succeeds(pid);
    char *arguments[] = {(char *)"conformance", (char *)"--helper", (char *)"signals", (char *)"", NULL};
    extern char **environ;
    OK0(posix_spawn(&pid, helper_path(), NULL, NULL, arguments, environ));
    child_succeeds(pid);
    OK(close(kq));
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Section 10.6: the calls, told of by NOTE_DEBUG and KQUEUE_DEBUG. */
#define SUITE "trace"
#include "suite.h"

#include "events.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifdef EVFILT_LIBKQUEUE
static const struct timespec no_wait = {0, 0};

/* ---- What was told, and what is expected -------------------------------------------------------- */

static char told[65536], expected[65536];

static void line(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void told_in(const char *path);

/* Expects a line of this process; its prefix and number are added. */
static void line(const char *format, ...)
{
    size_t length = strlen(expected);
    va_list arguments;
    length += (size_t)snprintf(expected + length, sizeof expected - length, "KQ %d: ", (int)getpid());
    va_start(arguments, format);
    length += (size_t)vsnprintf(expected + length, sizeof expected - length, format, arguments);
    va_end(arguments);
    snprintf(expected + length, sizeof expected - length, "\n");
}

static void told_in(const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = fd == -1 ? 0 : read(fd, told, sizeof told - 1);
    told[n < 0 ? 0 : n] = '\0';
    close(fd);
}

/* Compares, and begins anew. */
static void compare_told(int at)
{
    if (strcmp(told, expected) != 0)
        suite_fail(__FILE__, at, "told:\n%sexpected:\n%s", told, expected);
    told[0] = expected[0] = '\0';
}
#define TOLD_AS_EXPECTED() compare_told(__LINE__)

static int calls;

/* NOTE_DEBUG_FUNC: keeps the lines. */
static void keep(const char *format, ...)
{
    size_t length = strlen(told);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(told + length, sizeof told - length, format, arguments);
    va_end(arguments);
    calls++;
    errno = E2BIG;
}

/* Has every call from here on told to `keep`. */
static void begin(int kq)
{
    struct kevent settings[] = {
        EVENT(0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG_FUNC, (intptr_t)keep, 0),
        EVENT(0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG, 1, 0),
    };
    CHECK_EQ(kevent(kq, settings, 2, NULL, 0, NULL), 0);
    CHECK_EQ(calls, 0);
}

/* ---- Decoding ----------------------------------------------------------------------------------- */

/* 10.6 A call as strace writes it: changes, events, time-out, result. */
TEST(call_is_decoded, "10.6")
{
    int kq = queue(), fds[2];
    struct kevent ev[8], change;
    socket_pair(fds);
    put(fds[1], 12);
    begin(kq);
    change = EVENT(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0x1f);
    CHECK_EQ(kevent(kq, &change, 1, ev, 8, &no_wait), 1);
    line("kevent(%d, {{%d, EVFILT_READ, EV_ADD|EV_CLEAR, 0, 0, 0x1f}}, 1, "
         "{{%d, EVFILT_READ, EV_ADD|EV_CLEAR, 0, 12, 0x1f}}, 8, {0, 0}) = 1",
         kq, fds[0], fds[0]);
    CHECK_EQ(kevent(kq, NULL, 0, ev, 8, &(struct timespec){0, 1000000}), 0);
    line("kevent(%d, NULL, 0, {}, 8, {0, 1000000}) = 0", kq);
    CHECK_EQ(kevent(kq, ev, 0, NULL, 0, NULL), 0);
    line("kevent(%d, {}, 0, NULL, 0, NULL) = 0", kq);
    TOLD_AS_EXPECTED();
}

/* 10.6 1.8 The changes are those that were given, also where the events took their place. */
TEST(one_array_for_both, "10.6 1.8")
{
    int kq = queue();
    struct kevent both[2] = {
        EVENT(1, EVFILT_USER, EV_ADD | EV_RECEIPT, NOTE_FFCOPY | NOTE_TRIGGER | 7, -5, 0),
        EVENT(77, EVFILT_TIMER, EV_DELETE, NOTE_SECONDS, 0, -1),
    };
    begin(kq);
    CHECK_EQ(kevent(kq, both, 2, both, 2, NULL), 2);
    line("kevent(%d, {{1, EVFILT_USER, EV_ADD|EV_RECEIPT, NOTE_FFCOPY|NOTE_TRIGGER|0x7, -5, 0x0}, "
         "{77, EVFILT_TIMER, EV_DELETE, NOTE_SECONDS, 0, %#jx}}, 2, <unfinished ...>",
         kq, (uintmax_t)UINTPTR_MAX);
    line("kevent(%d, {{1, EVFILT_USER, EV_ADD|EV_RECEIPT, NOTE_FFCOPY|NOTE_TRIGGER|0x7, -5, 0x0}, "
         "{77, EVFILT_TIMER, EV_DELETE, NOTE_SECONDS, 0, %#jx}}, 2, "
         "{{1, EVFILT_USER, EV_ADD|EV_RECEIPT|EV_ERROR, NOTE_FFCOPY|NOTE_TRIGGER|0x7, 0, 0x0}, "
         "{77, EVFILT_TIMER, EV_DELETE|EV_ERROR, NOTE_SECONDS, ENOENT, %#jx}}, 2, NULL) = 2",
         kq, (uintmax_t)UINTPTR_MAX, (uintmax_t)UINTPTR_MAX);
    TOLD_AS_EXPECTED();
}

/* 10.6 Notes by the filter's names, and what has no name in hexadecimal. */
TEST(notes_are_named, "10.6")
{
    static const struct {
        short filter;
        unsigned short flags;
        unsigned fflags;
        const char *text;
    } entries[] = {
        {EVFILT_READ, EV_DELETE, NOTE_LOWAT | NOTE_FILE_POLL, "EVFILT_READ, EV_DELETE, NOTE_LOWAT|NOTE_FILE_POLL"},
        {EVFILT_WRITE, 0, NOTE_LOWAT | 2, "EVFILT_WRITE, 0, NOTE_LOWAT|0x2"},
        {EVFILT_TIMER, EV_ENABLE, NOTE_MSECONDS | NOTE_ABSTIME, "EVFILT_TIMER, EV_ENABLE, NOTE_ABSOLUTE|NOTE_MSECONDS"},
        {EVFILT_USER, EV_DISABLE, NOTE_FFOR | 1, "EVFILT_USER, EV_DISABLE, NOTE_FFOR|0x1"},
        {EVFILT_USER, EV_FORCEONESHOT, NOTE_FFAND, "EVFILT_USER, EV_FORCEONESHOT, NOTE_FFAND"},
        {EVFILT_SIGNAL, EV_DELETE | EV_KEEPUDATA, 0x10, "EVFILT_SIGNAL, EV_DELETE|EV_KEEPUDATA, 0x10"},
        {EVFILT_LIBKQUEUE, EV_DELETE, NOTE_FILE_POLL_INTERVAL, "EVFILT_LIBKQUEUE, EV_DELETE, NOTE_FILE_POLL_INTERVAL"},
        {EVFILT_LIBKQUEUE, EV_ADD, 99, "EVFILT_LIBKQUEUE, EV_ADD, 0x63"},
        {-99, EV_ADD | EV_DISPATCH | 0x1000, 1, "-99, EV_ADD|EV_DISPATCH|0x1000, 0x1"},
#ifdef EVFILT_VNODE
        {EVFILT_VNODE, EV_DELETE, NOTE_DELETE | NOTE_RENAME, "EVFILT_VNODE, EV_DELETE, NOTE_DELETE|NOTE_RENAME"},
#endif
#ifdef EVFILT_PROC
        {EVFILT_PROC, EV_DELETE, NOTE_EXIT | NOTE_TRACK, "EVFILT_PROC, EV_DELETE, NOTE_EXIT|NOTE_TRACK"},
#endif
    };
    int kq = queue();
    begin(kq);
    for (unsigned i = 0; i < sizeof entries / sizeof *entries; i++) {
        struct kevent change = EVENT(-1, entries[i].filter, entries[i].flags, entries[i].fflags, 4, 0);
        CHECK_EQ(kevent(kq, &change, 1, NULL, 0, NULL), -1);
        int error = errno;
        line("kevent(%d, {{%ju, %s, 4, 0x0}}, 1, NULL, 0, NULL) = -1 %s", kq, (uintmax_t)UINTPTR_MAX,
             entries[i].text, suite_errno_name(error));
        TOLD_AS_EXPECTED();
    }
}

/* 10.6 The error of a socket beside EV_EOF by name, not as notes. */
TEST(error_of_a_socket_is_named, "10.6")
{
    int kq = queue(), fds[2];
    struct kevent ev[2];
    socket_pair(fds);
    put(fds[0], 1); /* unread by its peer, which leaves: a reset */
    change(kq, fds[0], EVFILT_READ, EV_ADD, 0, 0, 0);
    OK(close(fds[1]));
    begin(kq);
    CHECK_EQ(kevent(kq, NULL, 0, ev, 2, &no_wait), 1);
    line("kevent(%d, NULL, 0, {{%d, EVFILT_READ, EV_ADD|EV_EOF, ECONNRESET, 0, 0x0}}, 2, {0, 0}) = 1", kq, fds[0]);
    TOLD_AS_EXPECTED();
}

/* 10.6 kqueue() and its kin. */
TEST(births_are_told, "10.6")
{
    begin(queue());
    line("kqueue() = %d", OK(kqueue()));
    line("kqueuex(KQUEUE_CLOEXEC) = %d", OK(kqueuex(KQUEUE_CLOEXEC)));
    line("kqueuex(0) = %d", OK(kqueuex(0)));
    line("kqueue1(O_CLOEXEC|O_NONBLOCK) = %d", OK(kqueue1(O_NONBLOCK | O_CLOEXEC)));
    CHECK_ERRNO(kqueuex(KQUEUE_CLOEXEC | 0x80), EINVAL);
    line("kqueuex(KQUEUE_CLOEXEC|0x80) = -1 EINVAL");
    TOLD_AS_EXPECTED();
}

/* 10.6 1.3 Bad arguments are told of like any other, and lists that are not there are not read. */
TEST(bad_arguments_are_told, "10.6 1.3")
{
    int kq = queue();
    struct kevent ev;
    begin(kq);
    CHECK_ERRNO(kevent(kq, &ev, -1, &ev, 1, &no_wait), EINVAL);
    line("kevent(%d, {}, -1, {}, 1, {0, 0}) = -1 EINVAL", kq);
    CHECK_ERRNO(kevent(kq, NULL, 1, NULL, -1, NULL), EINVAL);
    line("kevent(%d, NULL, 1, NULL, -1, NULL) = -1 EINVAL", kq);
    CHECK_ERRNO(kevent(kq, NULL, 3, NULL, 0, NULL), EFAULT);
    line("kevent(%d, NULL, 3, NULL, 0, NULL) = -1 EFAULT", kq);
    CHECK_ERRNO(kevent(kq, NULL, 0, NULL, 3, &no_wait), EFAULT);
    line("kevent(%d, NULL, 0, NULL, 3, {0, 0}) = -1 EFAULT", kq);
    CHECK_ERRNO(kevent(kq, NULL, 0, &ev, 1, &(struct timespec){-1, 7}), EINVAL);
    line("kevent(%d, NULL, 0, {}, 1, {-1, 7}) = -1 EINVAL", kq);
    CHECK_ERRNO(kevent(-1, NULL, 0, &ev, 1, NULL), EBADF);
    line("kevent(-1, NULL, 0, {}, 1, NULL) = -1 EBADF");
    CHECK_ERRNO(kevent(9999, NULL, 0, NULL, 0, NULL), EBADF);
    line("kevent(9999, NULL, 0, NULL, 0, NULL) = -1 EBADF");
    TOLD_AS_EXPECTED();
}

/* 10.6 Of a long list the first 16 are shown. */
TEST(long_lists_are_cut, "10.6")
{
    enum { N = 40 };
    struct kevent changes[N];
    char list[N * 64] = "";
    int kq = queue();
    for (int i = 0; i < N; i++)
        changes[i] = EVENT(i, EVFILT_USER, EV_ADD, 0, 0, 0);
    begin(kq);
    for (int n = 15; n <= 18; n++) {
        list[0] = '\0';
        for (int i = 0; i < n && i < 16; i++)
            snprintf(list + strlen(list), 64, "%s{%d, EVFILT_USER, EV_ADD, 0, 0, 0x0}", i ? ", " : "", i);
        CHECK_EQ(kevent(kq, changes, n, NULL, 0, NULL), 0);
        line("kevent(%d, {%s%s}, %d, NULL, 0, NULL) = 0", kq, list, n > 16 ? ", ..." : "", n);
    }
    TOLD_AS_EXPECTED();
}

/* 10.6 A line that is too long is cut, and still one line. */
TEST(long_lines_are_cut, "10.6")
{
    struct kevent both[16];
    int kq = queue();
    for (int i = 0; i < 16; i++)
        both[i] = EVENT(-i, EVFILT_LIBKQUEUE, 0x3ff, NOTE_FILE_POLL_INTERVAL, INTPTR_MIN, -1);
    begin(kq);
    CHECK_EQ(kevent(kq, both, 16, both, 16, &no_wait), 16);
    size_t length = strlen(told);
    CHECK(length > 2000 && length < 4096);
    CHECK(strcmp(told + length - 4, "...\n") == 0);
    CHECK(strchr(told, '\n') == told + length - 1);
    told[0] = '\0';
    change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0); /* the next one is whole */
    line("kevent(%d, {{1, EVFILT_USER, EV_ADD, 0, 0, 0x0}}, 1, NULL, 0, NULL) = 0", kq);
    TOLD_AS_EXPECTED();
}

/* 10.6 Questions to the library, decoded. */
TEST(library_filter_is_decoded, "10.6")
{
    int kq = queue();
    struct kevent ev[2], question = EVENT(0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_VERSION, 0, 0);
    begin(kq);
    CHECK_EQ(kevent(kq, &question, 1, ev, 2, &no_wait), 1);
    line("kevent(%d, {{0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_VERSION, 0x0, 0x0}}, 1, "
         "{{0, EVFILT_LIBKQUEUE, EV_ADD|EV_RECEIPT, NOTE_VERSION, %#jx, 0x0}}, 2, {0, 0}) = 1",
         kq, (uintmax_t)ev[0].data);
    TOLD_AS_EXPECTED();
}

/* ---- Manners ------------------------------------------------------------------------------------ */

/* 10.6 errno is what it was after a call that succeeds, and the call's own after one that fails. */
TEST(errno_is_kept, "10.6")
{
    int kq = queue();
    struct kevent ev;
    begin(kq);
    errno = EXDEV;
    CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, &no_wait), 0);
    CHECK_EQ(errno, EXDEV);
    CHECK_EQ(kevent(kq + 1, NULL, 0, &ev, 1, NULL), -1);
    CHECK_EQ(errno, EBADF);
}

static void *wait_for_ever(void *kq)
{
    struct kevent ev;
    CHECK_EQ(kevent(*(int *)kq, NULL, 0, &ev, 1, NULL), 1);
    return NULL;
}

/* 10.6 A call that finds nothing and waits for ever is told of before; one that finds something is not. */
TEST(endless_wait_is_told_of_before, "10.6 1.4")
{
    int kq = queue();
    struct thread thread;
    struct kevent ev;
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    begin(kq);
    start(&thread, wait_for_ever, &kq);
    until_asleep(&thread);
    /* A thread has a number only where the system gives it one, which POSIX does not. */
    int number = strcmp(suite_backend(), "posix") == 0 ? (int)getpid() : thread.tid;
    snprintf(expected, sizeof expected, "KQ %d: kevent(%d, NULL, 0, <unfinished ...>\n", number, kq);
    if (thread.tid != 0)
        TOLD_AS_EXPECTED();
    change(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG, 0, 0);
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    join(&thread);
    told[0] = expected[0] = '\0';
    change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    calls = 0;
    begin(kq);
    CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, NULL), 1);
    line("kevent(%d, NULL, 0, {{1, EVFILT_USER, EV_ADD|EV_CLEAR, 0, 0, 0x0}}, 1, NULL) = 1", kq);
    TOLD_AS_EXPECTED();
}

/* 10.6 1.13 A traced wait can be cancelled. */
TEST(traced_wait_is_cancelled, "10.6 1.13")
{
    int kq = queue();
    struct thread thread;
    begin(kq);
    start(&thread, wait_for_ever, &kq);
    until_asleep(&thread);
    OK0(pthread_cancel(thread.id));
    CHECK(join(&thread) == PTHREAD_CANCELED);
    change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    wait_event(kq, &(struct kevent){0});
}

/* 10.6 The prefix that lines begin with; off again nothing is told. */
TEST(prefix_and_off, "10.6")
{
    int kq = queue();
    begin(kq);
    change(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG_PREFIX, (intptr_t)"a prefix %s", 0);
    told[0] = '\0';
    change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
    snprintf(expected, sizeof expected,
             "a prefix %%s %d: kevent(%d, {{1, EVFILT_USER, EV_ADD, 0, 0, 0x0}}, 1, NULL, 0, NULL) = 0\n", (int)getpid(),
             kq);
    TOLD_AS_EXPECTED();
    change(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG, 0, 0);
    told[0] = '\0';
    calls = 0;
    change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 0);
    OK(kqueue());
    CHECK_EQ(calls, 0);
}

static int handler_kq;

static void call_in_handler(int number)
{
    struct kevent ev, trigger = EVENT(1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    (void)number;
    CHECK_EQ(kevent(handler_kq, &trigger, 1, NULL, 0, NULL), 0);
    CHECK_EQ(kevent(handler_kq, NULL, 0, &ev, 1, &no_wait), 1);
}

/* 10.6 In a signal handler, on a small stack. */
TEST(calls_in_a_handler_are_told, "10.6")
{
    struct sigaction action = {.sa_handler = call_in_handler, .sa_flags = SA_ONSTACK};
    static char stack[16384];
    int out = OK(open("out", O_RDWR | O_CREAT | O_APPEND, 0600));
    OK(dup2(out, 2));
    handler_kq = queue();
    change(handler_kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    OK(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL));
    OK(sigaction(SIGUSR1, &action, NULL));
    change(handler_kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG, 1, 0);
    OK(raise(SIGUSR1));
    line("kevent(%d, {{1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0x0}}, 1, NULL, 0, NULL) = 0", handler_kq);
    line("kevent(%d, NULL, 0, {{1, EVFILT_USER, EV_ADD|EV_CLEAR, 0, 0, 0x0}}, 1, {0, 0}) = 1", handler_kq);
    told_in("out");
    TOLD_AS_EXPECTED();
}

/* 10.6 A standard error that nobody reads any more, or that is closed, kills nobody and changes nothing. */
TEST(failing_write_changes_nothing, "10.6")
{
    int kq = queue(), fds[2];
    sigset_t before, after;
    pipe_pair(fds);
    OK(dup2(fds[1], 2));
    OK(close(fds[1]));
    OK(close(fds[0]));
    OK(sigprocmask(SIG_SETMASK, NULL, &before));
    change(kq, 0, EVFILT_LIBKQUEUE, EV_ADD, NOTE_DEBUG, 1, 0);
    errno = EXDEV;
    CHECK_EQ(kevent(kq, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQ(errno, EXDEV);
    OK(close(2));
    errno = EXDEV;
    CHECK_EQ(kevent(kq, NULL, 0, NULL, 0, NULL), 0);
    CHECK_EQ(errno, EXDEV);
    OK(sigprocmask(SIG_SETMASK, NULL, &after));
    for (int number = 1; number < 32; number++)
        CHECK_EQ(sigismember(&before, number), sigismember(&after, number));
    OK(sigpending(&after));
    CHECK_EQ(sigismember(&after, SIGPIPE), 0);
}

/* ---- The environment ---------------------------------------------------------------------------- */

/* What the program of the next cases does: some calls, and a child's. The lines to expect go to "expected". */
HELPER(traced)
{
    struct kevent ev[2], change = EVENT(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 9);
    (void)argument;
    int kq = kqueue();
    line("kqueue() = %d", kq);
    if (kq != 3)
        return 1; /* the file keeps away from the lowest numbers */
    if (kevent(kq, &change, 1, ev, 2, NULL) != 1)
        return 2;
    line("kevent(%d, {{1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0x9}}, 1, <unfinished ...>", kq);
    line("kevent(%d, {{1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0x9}}, 1, {{1, EVFILT_USER, EV_ADD, 0, 0, 0x9}}, 2, "
         "NULL) = 1",
         kq);
    pid_t pid = fork();
    if (pid == 0) {
        kq = kqueue();
        line("kqueue() = %d", kq);
    } else {
        int status;
        if (waitpid(pid, &status, 0) != pid || status != 0)
            return 3;
    }
    int fd = open("expected", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (pid == 0)
        if (write(fd, expected, strlen(expected)) != (ssize_t)strlen(expected))
            return 4;
    return 0;
}

/* Runs the helper with these variables, its standard error in "err". */
static void run_traced(const char *debug, const char *path)
{
    pid_t pid = OK(fork());
    if (pid == 0) {
        int err = OK(open("err", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        OK(dup2(err, 2));
        OK(unlink("expected") == -1 && errno != ENOENT ? -1 : 0);
        if (debug != NULL)
            setenv("KQUEUE_DEBUG", debug, 1);
        if (path != NULL)
            setenv("KQUEUE_DEBUG_FILE", path, 1);
        exec_helper("traced", "");
    }
    child_succeeds(pid);
    int fd = OK(open("expected", O_RDONLY));
    expected[OK(read(fd, expected, sizeof expected - 1))] = '\0';
    OK(close(fd));
}

/* 10.6 KQUEUE_DEBUG: from the first call on, to the standard error. */
TEST(environment_switches_it_on, "10.6")
{
    run_traced("1", NULL);
    told_in("err");
    TOLD_AS_EXPECTED();
}

/* 10.6 KQUEUE_DEBUG_FILE: the lines go there, a child's too, and are added to what is there. */
TEST(lines_go_to_a_file, "10.6")
{
    char first[sizeof expected];
    run_traced("1", "trace");
    told_in("trace");
    strcpy(first, told);
    TOLD_AS_EXPECTED();
    run_traced("1", "trace");
    memmove(expected + strlen(first), expected, strlen(expected) + 1);
    memcpy(expected, first, strlen(first));
    told_in("trace");
    TOLD_AS_EXPECTED();
    told_in("err");
    TOLD_AS_EXPECTED();
}

/* 10.6 Nothing is told unless it is asked for: not by an empty value, nor 0, nor the file alone. */
TEST(nothing_is_told_unasked, "10.6")
{
    static const char *const values[] = {NULL, "", "0"};
    for (int i = 0; i < 3; i++) {
        run_traced(values[i], "trace");
        expected[0] = '\0';
        told_in("err");
        TOLD_AS_EXPECTED();
        CHECK_ERRNO(access("trace", F_OK), ENOENT);
    }
}

/* 10.6 A file that cannot be opened changes nothing. */
TEST(file_that_cannot_be_opened, "10.6")
{
    run_traced("1", "no/such/directory");
    expected[0] = '\0';
    told_in("err");
    TOLD_AS_EXPECTED();
}

/* The file is the library's: closing everything, or putting a file in its place, does no harm to either. */
HELPER(closes_the_file)
{
    int kq = kqueue(), own = open("own", O_RDWR | O_CREAT, 0600), count;
    (void)argument;
    line("kqueue() = %d", kq);
    for (int fd = 3; fd < 1024; fd++)
        if (fd != own)
            close(fd);
    kq = kqueue();
    line("kqueue() = %d", kq);
    for (int fd = 3; fd < 1024; fd++)
        if (fd != own && fd != kq && dup2(own, fd) != fd)
            return 1;
    line("kqueue() = %d", kqueue());
    for (int fd = 1023; fd > 3; fd--)
        if (fd != own && fd != kq && syscall(SYS_close, fd) == -1 && errno != EBADF)
            return 2;
    count = 0;
    for (int fd = 3; fd < 1024; fd++)
        if (fd != own && fd != kq && syscall(SYS_dup2, own, fd) == fd)
            count++;
    line("kqueue() = %d", kqueue());
    if (count < 1000 || lseek(own, 0, SEEK_END) != 0)
        return 3;
    told_in("trace");
    return strcmp(told, expected) == 0 ? 0 : 4;
}

/* 10.6 A program that closes every descriptor, or uses every number, gets no line into a file of its own. */
TEST(file_and_program_keep_apart, "10.6")
{
    need_descriptors(2048);
    pid_t pid = OK(fork());
    if (pid == 0) {
        setenv("KQUEUE_DEBUG", "1", 1);
        setenv("KQUEUE_DEBUG_FILE", "trace", 1);
        exec_helper("closes_the_file", "");
    }
    child_succeeds(pid);
}

/* 10.6 10.4 The file is not passed on. */
HELPER(executes)
{
    (void)argument;
    if (kqueue() == -1)
        return 1;
    unsetenv("KQUEUE_DEBUG");
    exec_helper("descriptors", "");
}

TEST(file_is_closed_by_exec, "10.6 10.4")
{
    pid_t pid = OK(fork());
    if (pid == 0) {
        setenv("KQUEUE_DEBUG", "1", 1);
        setenv("KQUEUE_DEBUG_FILE", "trace", 1);
        exec_helper("executes", "");
    }
    child_succeeds(pid);
    told_in("trace");
    CHECK(strstr(told, "kqueue() = ") != NULL);
}
#endif

/* What a kqueue holds, an event a line: what is wanted, where it stands, what the system says. */
TEST(dump_says_what_a_queue_holds, "10.6")
{
    int kq = queue(), fds[2], out[2];
    char text[2048], expected[512];
    pipe_pair(fds);
    pipe_pair(out);
    put(fds[1], 1);
    change(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0x10);
    change(kq, 7, EVFILT_USER, EV_ADD | EV_DISABLE, 5, 0, 0x20);
    errno = 77;
    libkqueue_dump(out[1]);
    CHECK_EQ(errno, 77);
    ssize_t n = OK(read(out[0], text, sizeof text - 1));
    text[n] = '\0';
    snprintf(expected, sizeof expected,
             "kqueue %d: 0 ready, 0 looked at\n"
             "    {%d, EVFILT_READ, EV_ADD|EV_CLEAR, 0, 0, 0x10}; armed for IN | EDGE; poll() says IN\n"
             "    {7, EVFILT_USER, EV_ADD, 0x5, 0, 0x20}; DISABLED\n",
             kq, fds[0]);
    if (strcmp(text, expected) != 0)
        FAIL("the dump is\n%s\nand not\n%s", text, expected);
    EXPECT_NEXT(kq, fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 0x10);
}

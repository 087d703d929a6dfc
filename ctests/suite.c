/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runner of the conformance suite.
 *
 * Each case is a forked child. What it has to say (where it is, why it failed) it writes to a verdict in
 * shared memory, so that a thread, a forked child of its own or a crash is reported as well as a failed
 * assertion; what it prints goes to a file beside its scratch directory and is shown when it fails. The
 * runner waits for children with poll(2) on a pipe that its SIGCHLD handler writes: no call of the
 * library under test is needed to judge it.
 */
#define SUITE "suite"
#include "suite.h"

#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#ifndef _WIN32
#include "sandbox.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <strings.h>
#endif

#ifdef __linux__
#include <sys/syscall.h>
#endif

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

enum state { RUNNING, FINISHED, FAILED, SKIPPED };

struct verdict {
    atomic_int state;
    _Atomic(const char *) file;
    atomic_int line;
    char message[4096];
};

static struct test *tests;
static struct helper *helpers;
static struct verdict *verdict; /* in a case: its own */
static int time_factor = 1;
static char program[PATH_MAX];

void suite_register(struct test *test)
{
    test->next = tests;
    tests = test;
}

void suite_register_helper(struct helper *helper)
{
    helper->next = helpers;
    helpers = helper;
}

/* ---- Assertions --------------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void suite_at(const char *file, int line)
{
    if (verdict) {
        atomic_store_explicit(&verdict->file, file, memory_order_relaxed);
        atomic_store_explicit(&verdict->line, line, memory_order_relaxed);
    }
}

void suite_fail(const char *file, int line, const char *format, ...)
{
    char text[sizeof verdict->message];
    int used = snprintf(text, sizeof text, "%s:%d: ", base_name(file), line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, sizeof text - (size_t)used, format, arguments);
    va_end(arguments);
    int expected = RUNNING;
    if (verdict && atomic_compare_exchange_strong(&verdict->state, &expected, FAILED))
        memcpy(verdict->message, text, sizeof text);
    else
        fprintf(stderr, "%s\n", text);
    _exit(1);
}

void suite_skip(const char *file, int line, const char *reason)
{
    (void)file;
    (void)line;
    int expected = RUNNING;
    if (verdict && atomic_compare_exchange_strong(&verdict->state, &expected, SKIPPED))
        snprintf(verdict->message, sizeof verdict->message, "%s", reason);
    _exit(0);
}

const char *suite_errno_name(int error)
{
    static const struct {
        int error;
        const char *name;
    } names[] = {
        {0, "0"},
        {EPERM, "EPERM"},
        {ENOENT, "ENOENT"},
        {ESRCH, "ESRCH"},
        {EINTR, "EINTR"},
        {EIO, "EIO"},
        {EBADF, "EBADF"},
        {ECHILD, "ECHILD"},
        {EAGAIN, "EAGAIN"},
        {ENOMEM, "ENOMEM"},
        {EACCES, "EACCES"},
        {EFAULT, "EFAULT"},
        {EEXIST, "EEXIST"},
        {ENODEV, "ENODEV"},
        {EINVAL, "EINVAL"},
        {ENFILE, "ENFILE"},
        {EMFILE, "EMFILE"},
        {ENOSPC, "ENOSPC"},
        {ESPIPE, "ESPIPE"},
        {EPIPE, "EPIPE"},
        {EDEADLK, "EDEADLK"},
        {ENOSYS, "ENOSYS"},
        {ELOOP, "ELOOP"},
        {EOVERFLOW, "EOVERFLOW"},
        {EOPNOTSUPP, "EOPNOTSUPP"},
        {ECONNRESET, "ECONNRESET"},
        {ECONNREFUSED, "ECONNREFUSED"},
        {EHOSTUNREACH, "EHOSTUNREACH"},
        {ETIMEDOUT, "ETIMEDOUT"},
        {EINPROGRESS, "EINPROGRESS"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].error == error)
            return names[i].name;
    static _Thread_local char number[32];
    snprintf(number, sizeof number, "errno %d", error);
    return number;
}

int suite_ok(intmax_t result, const char *text, const char *file, int line)
{
    if (result == -1)
        suite_fail(file, line, "%s failed: %s", text, suite_errno_name(errno));
    return (int)result;
}

/* ---- Events, decoded ---------------------------------------------------------------------------- */

struct bit {
    unsigned bit;
    const char *name;
};

static void append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}

static void append_bits(char *text, size_t size, unsigned value, const struct bit *bits, size_t count)
{
    const char *separator = "";
    if (value == 0) {
        append(text, size, "0");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (bits[i].bit && (value & bits[i].bit) == bits[i].bit) {
            append(text, size, "%s%s", separator, bits[i].name);
            value &= ~bits[i].bit;
            separator = "|";
        }
    }
    if (value)
        append(text, size, "%s%#x", separator, value);
}

#define BIT(name) {(unsigned)name, #name}
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *filter_name(short filter)
{
    static const struct {
        short filter;
        const char *name;
    } names[] = {
        {EVFILT_READ, "READ"},
        {EVFILT_WRITE, "WRITE"},
#ifdef EVFILT_AIO
        {EVFILT_AIO, "AIO"},
#endif
#ifdef EVFILT_VNODE
        {EVFILT_VNODE, "VNODE"},
#endif
#ifdef EVFILT_PROC
        {EVFILT_PROC, "PROC"},
#endif
#ifdef EVFILT_SIGNAL
        {EVFILT_SIGNAL, "SIGNAL"},
#endif
#ifdef EVFILT_TIMER
        {EVFILT_TIMER, "TIMER"},
#endif
#ifdef EVFILT_FS
        {EVFILT_FS, "FS"},
#endif
#ifdef EVFILT_USER
        {EVFILT_USER, "USER"},
#endif
#ifdef EVFILT_LIBKQUEUE
        {EVFILT_LIBKQUEUE, "LIBKQUEUE"},
#endif
#ifdef EVFILT_PROCDESC
        {EVFILT_PROCDESC, "PROCDESC"},
#endif
#ifdef EVFILT_EXCEPT
        {EVFILT_EXCEPT, "EXCEPT"},
#endif
#ifdef EVFILT_EMPTY
        {EVFILT_EMPTY, "EMPTY"},
#endif
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (names[i].filter == filter)
            return names[i].name;
    return NULL;
}

static void append_flags(char *text, size_t size, unsigned flags)
{
    static const struct bit bits[] = {
        BIT(EV_ADD), BIT(EV_DELETE), BIT(EV_ENABLE), BIT(EV_DISABLE), BIT(EV_ONESHOT), BIT(EV_CLEAR),
#ifdef EV_RECEIPT
        BIT(EV_RECEIPT),
#endif
#ifdef EV_DISPATCH
        BIT(EV_DISPATCH),
#endif
#ifdef EV_FORCEONESHOT
        BIT(EV_FORCEONESHOT),
#endif
#ifdef EV_KEEPUDATA
        BIT(EV_KEEPUDATA),
#endif
        BIT(EV_ERROR), BIT(EV_EOF),
    };
    append_bits(text, size, flags, bits, COUNT(bits));
}

static void append_fflags(char *text, size_t size, short filter, unsigned fflags)
{
    switch (filter) {
#ifdef EVFILT_VNODE
    case EVFILT_VNODE: {
        static const struct bit bits[] = {
#ifdef NOTE_DELETE
            BIT(NOTE_DELETE),
#endif
#ifdef NOTE_WRITE
            BIT(NOTE_WRITE),
#endif
#ifdef NOTE_EXTEND
            BIT(NOTE_EXTEND),
#endif
#ifdef NOTE_ATTRIB
            BIT(NOTE_ATTRIB),
#endif
#ifdef NOTE_LINK
            BIT(NOTE_LINK),
#endif
#ifdef NOTE_RENAME
            BIT(NOTE_RENAME),
#endif
#ifdef NOTE_REVOKE
            BIT(NOTE_REVOKE),
#endif
#ifdef NOTE_TRUNCATE
            BIT(NOTE_TRUNCATE),
#endif
#ifdef NOTE_OPEN
            BIT(NOTE_OPEN),
#endif
#ifdef NOTE_CLOSE
            BIT(NOTE_CLOSE),
#endif
#ifdef NOTE_CLOSE_WRITE
            BIT(NOTE_CLOSE_WRITE),
#endif
#ifdef NOTE_READ
            BIT(NOTE_READ),
#endif
        };
        append_bits(text, size, fflags, bits, COUNT(bits));
        return;
    }
#endif
#ifdef EVFILT_PROC
    case EVFILT_PROC: {
        static const struct bit bits[] = {
#ifdef NOTE_EXIT
            BIT(NOTE_EXIT),
#endif
#ifdef NOTE_FORK
            BIT(NOTE_FORK),
#endif
#ifdef NOTE_EXEC
            BIT(NOTE_EXEC),
#endif
#ifdef NOTE_TRACK
            BIT(NOTE_TRACK),
#endif
#ifdef NOTE_TRACKERR
            BIT(NOTE_TRACKERR),
#endif
#ifdef NOTE_CHILD
            BIT(NOTE_CHILD),
#endif
#ifdef NOTE_EXITSTATUS
            BIT(NOTE_EXITSTATUS),
#endif
        };
        append_bits(text, size, fflags, bits, COUNT(bits));
        return;
    }
#endif
#ifdef EVFILT_TIMER
    case EVFILT_TIMER: {
        static const struct bit bits[] = {
#ifdef NOTE_SECONDS
            BIT(NOTE_SECONDS),
#endif
#ifdef NOTE_MSECONDS
            BIT(NOTE_MSECONDS),
#endif
#ifdef NOTE_USECONDS
            BIT(NOTE_USECONDS),
#endif
#ifdef NOTE_NSECONDS
            BIT(NOTE_NSECONDS),
#endif
#ifdef NOTE_ABSOLUTE
            BIT(NOTE_ABSOLUTE),
#endif
        };
        append_bits(text, size, fflags, bits, COUNT(bits));
        return;
    }
#endif
#ifdef EVFILT_USER
    case EVFILT_USER: {
        static const struct bit bits[] = {BIT(NOTE_FFCOPY), BIT(NOTE_FFAND), BIT(NOTE_FFOR), BIT(NOTE_TRIGGER)};
        append_bits(text, size, fflags, bits, COUNT(bits));
        return;
    }
#endif
    case EVFILT_READ:
    case EVFILT_WRITE:
        if (fflags != 0) {
            append(text, size, "%#x (%s)", fflags, suite_errno_name((int)fflags));
            return;
        }
        /* fall through */
    default:
        append(text, size, fflags ? "%#x" : "%x", fflags);
    }
}

static void append_event(char *text, size_t size, const struct expect *event)
{
    const char *name = filter_name(event->filter);
    if (event->any & ANY_IDENT)
        append(text, size, "{any ident");
    else
        append(text, size, "{%ju", (uintmax_t)event->ident);
    if (name)
        append(text, size, " %s flags=", name);
    else
        append(text, size, " filter %d flags=", event->filter);
    if (event->any & ANY_FLAGS)
        append(text, size, "any");
    else
        append_flags(text, size, event->flags);
    append(text, size, " fflags=");
    if (event->any & ANY_FFLAGS)
        append(text, size, "any");
    else
        append_fflags(text, size, event->filter, event->fflags);
    append(text, size, " data=");
    if (event->any & ANY_DATA)
        append(text, size, "any");
    else if (event->flags & EV_ERROR)
        append(text, size, "%s", suite_errno_name((int)event->data));
    else
        append(text, size, "%s%jd", event->any & DATA_AT_LEAST ? ">=" : "", (intmax_t)event->data);
    if (event->any & ANY_UDATA)
        append(text, size, " udata=any}");
    else
        append(text, size, " udata=%#jx}", (uintmax_t)(uintptr_t)event->udata);
}

static struct expect exactly(const struct kevent *event)
{
    return (struct expect){event->ident,          event->filter, event->flags, event->fflags,
                           (intptr_t)event->data, event->udata,  0};
}

static void append_events(char *text, size_t size, const struct kevent *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct expect event = exactly(&events[i]);
        append(text, size, "\n        ");
        append_event(text, size, &event);
    }
}

void suite_expect(const char *file, int line, const struct kevent *got, struct expect want)
{
    suite_at(file, line);
    unsigned short flags = got->flags;
#if defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
    /* 1.15: these strip EV_ADD from the events they return. */
    if (!(flags & EV_ERROR))
        want.flags &= (unsigned short)~EV_ADD;
#endif
    if (((want.any & ANY_IDENT) || got->ident == want.ident) && got->filter == want.filter
        && ((want.any & ANY_FLAGS) || flags == want.flags)
        && ((want.any & ANY_FFLAGS) || got->fflags == want.fflags)
        && ((want.any & ANY_DATA)
            || (want.any & DATA_AT_LEAST ? (intptr_t)got->data >= want.data : (intptr_t)got->data == want.data))
        && ((want.any & ANY_UDATA) || got->udata == want.udata))
        return;
    char text[2048] = "the event differs\n      got      ";
    struct expect whole = exactly(got);
    append_event(text, sizeof text, &whole);
    append(text, sizeof text, "\n      expected ");
    append_event(text, sizeof text, &want);
    suite_fail(file, line, "%s", text);
}

struct kevent *suite_find_event(const char *file, int line, struct kevent *ev, int n, uintptr_t ident,
                                short filter)
{
    suite_at(file, line);
    struct kevent *found = NULL;
    int count = 0;
    for (int i = 0; i < n; i++) {
        if (ev[i].ident == ident && ev[i].filter == filter) {
            found = &ev[i];
            count++;
        }
    }
    if (count == 1)
        return found;
    char text[3072] = "";
    append_events(text, sizeof text, ev, n < 16 ? n : 16);
    const char *name = filter_name(filter);
    suite_fail(file, line, "%d events, expected one, of ident %ju filter %s among %d:%s", count, (uintmax_t)ident,
               name ? name : "?", n, text);
}

/* ---- Queues ------------------------------------------------------------------------------------- */

int suite_queue(const char *file, int line)
{
    suite_at(file, line);
    int kq = kqueue();
    if (kq == -1)
        suite_fail(file, line, "kqueue() failed: %s", suite_errno_name(errno));
    return kq;
}

struct kevent suite_event(uintptr_t ident, short filter, unsigned short flags, unsigned fflags, intptr_t data,
                          void *udata)
{
    struct kevent event;
    memset(&event, 0, sizeof event);
    EV_SET(&event, ident, filter, flags, fflags, data, udata);
    return event;
}

int suite_change_errno(const char *file, int line, int kq, struct kevent change)
{
    suite_at(file, line);
    errno = 0;
    int n = kevent(kq, &change, 1, NULL, 0, NULL);
    int error = errno;
    if (n == 0)
        return 0;
    char text[512] = "";
    append_events(text, sizeof text, &change, 1);
    if (n != -1)
        suite_fail(file, line, "kevent without an eventlist returned %d for%s", n, text);
    if (error == 0)
        suite_fail(file, line, "kevent returned -1 with errno 0 for%s", text);
    return error;
}

void suite_change(const char *file, int line, int kq, struct kevent change)
{
    int error = suite_change_errno(file, line, kq, change);
    if (error) {
        char text[512] = "";
        append_events(text, sizeof text, &change, 1);
        suite_fail(file, line, "the change failed with %s:%s", suite_errno_name(error), text);
    }
}

int suite_collect(const char *file, int line, int kq, struct kevent *ev, int n)
{
    suite_at(file, line);
    struct timespec timeout = duration(5 * SECOND * time_factor);
    int count = kevent(kq, NULL, 0, ev, n, &timeout);
    if (count == -1)
        suite_fail(file, line, "kevent failed: %s", suite_errno_name(errno));
    if (count == 0)
        suite_fail(file, line, "no event came");
    if (count > n)
        suite_fail(file, line, "kevent returned %d events into room for %d", count, n);
    return count;
}

void suite_wait_event(const char *file, int line, int kq, struct kevent *ev)
{
    struct kevent events[8];
    int count = suite_collect(file, line, kq, events, 8);
    if (count != 1) {
        char text[2048] = "";
        append_events(text, sizeof text, events, count);
        suite_fail(file, line, "%d events came, expected one:%s", count, text);
    }
    *ev = events[0];
}

void suite_nothing(const char *file, int line, int kq)
{
    suite_at(file, line);
    struct kevent events[8];
    struct timespec zero = {0, 0};
    int count = kevent(kq, NULL, 0, events, 8, &zero);
    if (count == -1)
        suite_fail(file, line, "kevent failed: %s", suite_errno_name(errno));
    if (count != 0) {
        char text[2048] = "";
        append_events(text, sizeof text, events, count);
        suite_fail(file, line, "%d unexpected events:%s", count, text);
    }
}

/* ---- Time --------------------------------------------------------------------------------------- */

int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

struct timespec duration(int64_t ns)
{
    return (struct timespec){(time_t)(ns / SECOND), (long)(ns % SECOND)};
}

int patience(void)
{
    return time_factor;
}

static void pause_ms(long ms)
{
    struct timespec time = duration(ms * MILLISECOND);
    nanosleep(&time, NULL);
}

/* ---- Descriptors -------------------------------------------------------------------------------- */

void suite_pipe_pair(const char *file, int line, int fds[2])
{
    suite_ok(pipe(fds), "pipe", file, line);
}

void suite_socket_pair(const char *file, int line, int fds[2])
{
    suite_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "socketpair", file, line);
}

void suite_put(const char *file, int line, int fd, size_t n)
{
    static const char bytes[4096] = "conformance";
    suite_at(file, line);
    while (n > 0) {
        ssize_t written = write(fd, bytes, n < sizeof bytes ? n : sizeof bytes);
        suite_ok(written, "write", file, line);
        n -= (size_t)written;
    }
}

void suite_take(const char *file, int line, int fd, size_t n)
{
    char bytes[4096];
    suite_at(file, line);
    while (n > 0) {
        ssize_t got = read(fd, bytes, n < sizeof bytes ? n : sizeof bytes);
        suite_ok(got, "read", file, line);
        if (got == 0)
            suite_fail(file, line, "end of file with %zu bytes still expected", n);
        n -= (size_t)got;
    }
}

static const char *backend;
static const char *without; /* what the system is made to lack */

const char *suite_backend(void)
{
    return backend;
}

const char *suite_lacks(void)
{
    return without ? without : "";
}

/* On the POSIX backend a thread finds out that a kqueue has become readable, which takes it a moment. */
int grace(void)
{
    return strncmp(backend, "posix", 5) == 0 ? 40 * patience() : 0;
}

int readable(int fd)
{
    struct pollfd one = {fd, POLLIN, 0};
    int count;
    do
        count = poll(&one, 1, grace());
    while (count == -1 && errno == EINTR);
    return count == 1 && (one.revents & POLLIN) != 0;
}

int is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

#ifdef _WIN32
int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 2048; fd++)
        count += is_open(fd);
    return count;
}

void suite_need_descriptors(const char *file, int line, unsigned n)
{
    if (n > 1000)
        suite_skip(file, line, "the C runtime has no more than 2048 descriptors");
}
#else
int open_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory) {
        while (readdir(directory))
            count++;
        closedir(directory);
        return count - 3; /* ".", "..", the directory itself */
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 0; fd < (int)(limit.rlim_cur < 65536 ? limit.rlim_cur : 65536); fd++)
        count += is_open(fd);
    return count;
}

void suite_need_descriptors(const char *file, int line, unsigned n)
{
    struct rlimit limit;
    suite_ok(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit", file, line);
    if (limit.rlim_cur >= n)
        return;
    if (limit.rlim_max < n)
        limit.rlim_max = n; /* root may */
    limit.rlim_cur = n;
    if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
        suite_skip(file, line, "RLIMIT_NOFILE cannot be raised far enough");
}

#endif

/* ---- Threads and processes ---------------------------------------------------------------------- */

static void *thread_main(void *argument)
{
    struct thread *thread = argument;
    OK0(pthread_mutex_lock(&thread->lock));
#ifdef __linux__
    thread->tid = (int)syscall(SYS_gettid);
#endif
    thread->has_started = 1;
    OK0(pthread_cond_signal(&thread->started));
    OK0(pthread_mutex_unlock(&thread->lock));
    return thread->run(thread->argument);
}

void suite_start(const char *file, int line, struct thread *thread, void *(*run)(void *), void *argument)
{
    suite_at(file, line);
    memset(thread, 0, sizeof *thread);
    thread->run = run;
    thread->argument = argument;
    OK0(pthread_mutex_init(&thread->lock, NULL));
    OK0(pthread_cond_init(&thread->started, NULL));
    int error = pthread_create(&thread->id, NULL, thread_main, thread);
    if (error)
        suite_fail(file, line, "pthread_create: %s", suite_errno_name(error));
    OK0(pthread_mutex_lock(&thread->lock));
    while (!thread->has_started)
        OK0(pthread_cond_wait(&thread->started, &thread->lock));
    OK0(pthread_mutex_unlock(&thread->lock));
}

void *suite_join(const char *file, int line, struct thread *thread)
{
    void *result;
    suite_at(file, line);
    int error = pthread_join(thread->id, &result);
    if (error)
        suite_fail(file, line, "pthread_join: %s", suite_errno_name(error));
    return result;
}

#ifdef __linux__
/* The state letter and the count of voluntary switches in /proc/.../status; -1 if it is gone. */
static int read_status(const char *path, long *switches)
{
    char line[256];
    int state = -1;
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file)) {
        char letter;
        if (sscanf(line, "State: %c", &letter) == 1)
            state = letter;
        sscanf(line, "voluntary_ctxt_switches: %ld", switches);
    }
    fclose(file);
    return state;
}

/* Asleep: seen sleeping three times running, a millisecond apart, without having run in between. */
static void until_status_asleep(const char *path)
{
    int64_t give_up = now() + 3 * SECOND * time_factor;
    long last = -1;
    for (int seen = 0; seen < 3 && now() < give_up;) {
        long switches = 0;
        int state = read_status(path, &switches);
        if (state == -1 || state == 'Z')
            return;
        if (state == 'S' && switches == last) {
            seen++;
        } else {
            seen = 0;
            last = switches;
        }
        pause_ms(1);
    }
}
#endif

#ifdef __linux__
uint64_t signal_mask(int tid, const char *name)
{
    char path[64], line[256], format[32];
    unsigned long long mask = ~0ull;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    snprintf(format, sizeof format, "%s: %%llx", name);
    FILE *file = fopen(path, "re");
    if (!file)
        SKIP("no /proc");
    while (fgets(line, sizeof line, file) && sscanf(line, format, &mask) != 1)
        continue;
    fclose(file);
    return mask;
}
#endif

void until_asleep(const struct thread *thread)
{
#ifdef __linux__
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", thread->tid);
    until_status_asleep(path);
#else
    (void)thread;
    pause_ms(100L * time_factor);
#endif
}

void until_child_asleep(pid_t pid)
{
#ifdef __linux__
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    until_status_asleep(path);
#else
    (void)pid;
    pause_ms(100L * time_factor);
#endif
}

#ifdef _WIN32
int thread_count(void)
{
    return 0;
}

void suite_child_succeeds(const char *file, int line, pid_t pid)
{
    (void)pid;
    suite_skip(file, line, "there is no fork()");
}

const char *helper_path(void)
{
    return program;
}

void exec_helper(const char *name, const char *argument)
{
    (void)name;
    (void)argument;
    suite_skip("suite.c", 0, "there is no exec()");
}
#else
int thread_count(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/task");
    if (!directory)
        return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

void suite_child_succeeds(const char *file, int line, pid_t pid)
{
    int status;
    pid_t result;
    suite_at(file, line);
    do
        result = waitpid(pid, &status, 0);
    while (result == -1 && errno == EINTR);
    suite_ok(result, "waitpid", file, line);
    if (WIFSIGNALED(status))
        suite_fail(file, line, "the child was ended by signal %d (%s)", WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        suite_fail(file, line, "the child exited with status %d", WEXITSTATUS(status));
}

const char *helper_path(void)
{
    return program;
}

void exec_helper(const char *name, const char *argument)
{
    execl(program, program, "--helper", name, argument, (char *)NULL);
    FAIL("exec of %s: %s", program, suite_errno_name(errno));
}

#endif

/* ---- The runner --------------------------------------------------------------------------------- */

struct declared {
    const char *backend;
    const char *name;
    const char *reason;
    int not_run;
};

#define ABSENT DECLARED
#define DECLARED(backend, name, reason) {backend, name, reason, 0},
#define NOT_RUN(backend, name, reason) {backend, name, reason, 1},
static const struct declared declarations[] = {
#include "declared.h"
#include "behind.h"
#include "old.h"
    {NULL, NULL, NULL, 0},
};

struct running {
    struct test *test;
    pid_t pid;
    int number;
    int64_t started;
    int64_t deadline;
    int hung;
    struct verdict *verdict;
};

#define JOBS_MAX 64

static int jobs = 2;
static int tap;
static int verbose;
static char home[PATH_MAX]; /* holds the scratch directories and the output of the cases */
static struct running slots[JOBS_MAX];
static int passed, failed, skipped, reported;
static volatile sig_atomic_t interrupted;

static void scratch_path(char *path, size_t size, int number)
{
    snprintf(path, size, "%.*s/%d", (int)size - 32, home, number);
}

static void output_path(char *path, size_t size, int number)
{
    snprintf(path, size, "%.*s/%d.out", (int)size - 32, home, number);
}

#ifdef _WIN32
#include "windows/runner.h"
#else
static int wake[2];

static void judge(struct running *slot, int status);

static void on_signal(int number)
{
    int error = errno;
    if (number != SIGCHLD)
        interrupted = number;
    ssize_t ignored = write(wake[1], "", 1);
    (void)ignored;
    errno = error;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

/* Directories that a case made unreadable are opened up on the way down. */
static int open_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)walk;
    if (type == FTW_D || type == FTW_DNR)
        chmod(path, status->st_mode | S_IRWXU);
    return 0;
}

static void remove_tree(const char *path)
{
    nftw(path, open_entry, 16, FTW_PHYS);
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* In the child: from the runner's state to that of a fresh program, then the case. */
static void run_case(const struct running *slot)
{
    char path[PATH_MAX];
    sigset_t none;
    setpgid(0, 0);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    verdict = slot->verdict;
    output_path(path, sizeof path, slot->number);
    int input = open("/dev/null", O_RDONLY);
    int output = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    if (input == -1 || output == -1)
        FAIL("the output file: %s", suite_errno_name(errno));
    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    setvbuf(stdout, NULL, _IONBF, 0);

    scratch_path(path, sizeof path, slot->number);
    if (mkdir(path, 0700) == -1 || chdir(path) == -1)
        FAIL("the scratch directory: %s", suite_errno_name(errno));
    struct rlimit cores; /* none, but a case may ask for one */
    getrlimit(RLIMIT_CORE, &cores);
    cores.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &cores);

    if (without && !sandbox_enter(without))
        FAIL("nobody knows what %s is", without);
    slot->test->run();

    int expected = RUNNING;
    atomic_compare_exchange_strong(&verdict->state, &expected, FINISHED);
    exit(0);
}

static int start_case(struct running *slot)
{
    pid_t pid = fork();
    if (pid == 0)
        run_case(slot);
    if (pid != -1)
        setpgid(pid, pid);
    return (int)pid;
}

/* Kills what the case left in its process group, while the zombie still keeps the number from reuse. */
static void reap(void)
{
    for (int i = 0; i < jobs; i++) {
        struct running *slot = &slots[i];
        siginfo_t info;
        int status;
        if (slot->pid == 0)
            continue;
        memset(&info, 0, sizeof info);
        if (waitid(P_PID, (id_t)slot->pid, &info, WEXITED | WNOHANG | WNOWAIT) == -1 || info.si_pid == 0)
            continue;
        kill(-slot->pid, SIGKILL);
        if (waitpid(slot->pid, &status, 0) == slot->pid)
            judge(slot, status);
    }
}

static void kill_running(struct running *slot)
{
    if (kill(-slot->pid, SIGKILL) == -1)
        kill(slot->pid, SIGKILL);
}

static void await_children(int64_t left)
{
    char bytes[64];
    struct pollfd one = {wake[0], POLLIN, 0};
    poll(&one, 1, (int)(left / MILLISECOND) + 1);
    while (read(wake[0], bytes, sizeof bytes) > 0)
        continue;
}

static int is_crash(int status, char *text, size_t size)
{
    if (!WIFSIGNALED(status))
        return 0;
    snprintf(text, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return 1;
}

static int exit_status(int status)
{
    return WEXITSTATUS(status);
}

/* A scratch directory for the run, a verdict for each slot, and signals that end it. */
static int prepare(void)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(home, sizeof home, "%s/ctests.XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(home))
        return -1;
    struct verdict *shared = mmap(NULL, JOBS_MAX * sizeof *shared, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || pipe(wake) == -1)
        return -1;
    for (int i = 0; i < JOBS_MAX; i++)
        slots[i].verdict = &shared[i];
    for (int i = 0; i < 2; i++) {
        fcntl(wake[i], F_SETFL, O_NONBLOCK);
        fcntl(wake[i], F_SETFD, FD_CLOEXEC);
    }
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGCHLD, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    return 0;
}

static void find_program(const char *name)
{
#ifdef __linux__
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) {
        program[length] = '\0';
        return;
    }
#endif
    if (!realpath(name, program))
        snprintf(program, sizeof program, "%s", name);
}
#endif

static void launch(struct running *slot, struct test *test, int number)
{
    memset(slot->verdict, 0, sizeof *slot->verdict);
    slot->test = test;
    slot->number = number;
    slot->hung = 0;
    slot->started = now();
    slot->deadline = slot->started + (int64_t)test->limit * SECOND * time_factor;
    fflush(stdout);
    slot->pid = start_case(slot);
    if (slot->pid == -1) {
        perror("a process");
        exit(2);
    }
}

/* The end of what a case printed: the cause of a failure is near it. */
static void print_output(int number, const char *prefix)
{
    enum { SHOWN = 100 };
    char path[PATH_MAX];
    char line[1024];
    long lines = 0;
    output_path(path, sizeof path, number);
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    while (fgets(line, sizeof line, file))
        lines++;
    rewind(file);
    if (lines > SHOWN)
        printf("%s(%ld lines before)\n", prefix, lines - SHOWN);
    for (long number_of_line = 0; fgets(line, sizeof line, file); number_of_line++) {
        line[strcspn(line, "\n")] = '\0';
        if (number_of_line >= lines - SHOWN)
            printf("%s%s\n", prefix, line);
    }
    fclose(file);
}

/* Is it declared for this backend, or for the one that this is a shape of ("linux" for "linux-behind")? */
static const struct declared *declaration(const struct test *test)
{
    char name[256];
    snprintf(name, sizeof name, "%s.%s", test->suite, test->name);
    for (const struct declared *entry = declarations; entry->backend; entry++)
        if (strcmp(entry->name, name) == 0) {
            size_t length = strlen(entry->backend);
            if (strncmp(entry->backend, backend, length) == 0 && (!backend[length] || backend[length] == '-'))
                return entry;
        }
    return NULL;
}

static void print_result(const struct running *slot, int ok, const char *skip, const char *message)
{
    const struct test *test = slot->test;
    int64_t ms = (now() - slot->started) / MILLISECOND;
    reported++;
    if (tap) {
        printf("%s %d - %s.%s [%s]%s%s\n", ok ? "ok" : "not ok", reported, test->suite, test->name, test->rules,
               skip ? " # SKIP " : "", skip ? skip : "");
        if (!ok) {
            printf("# ");
            for (const char *c = message; *c; c++)
                printf(*c == '\n' ? "\n# " : "%c", *c);
            printf("\n");
        }
        if (!ok || verbose)
            print_output(slot->number, "#   | ");
    } else if (!ok) {
        printf("FAILED  %s.%s [%s] (%jd ms)\n    %s\n", test->suite, test->name, test->rules, (intmax_t)ms, message);
        print_output(slot->number, "      | ");
    } else if (skip) {
        printf("skipped %s.%s [%s]: %s\n", test->suite, test->name, test->rules, skip);
    } else if (verbose) {
        printf("ok      %s.%s [%s] (%jd ms)\n", test->suite, test->name, test->rules, (intmax_t)ms);
        print_output(slot->number, "      | ");
    }
    fflush(stdout);
}

/* A declared case that would only hang, or now and then passes, is not run. */
static int is_passed_over(struct running *slot, struct test *test, int number)
{
    const struct declared *declared = declaration(test);
    if (!declared || !declared->not_run)
        return 0;
    slot->test = test;
    slot->number = number;
    slot->started = now();
    skipped++;
    print_result(slot, 1, declared->reason, NULL);
    return 1;
}

static void judge(struct running *slot, int status)
{
    struct verdict *v = slot->verdict;
    struct test *test = slot->test;
    const char *file = atomic_load(&v->file);
    char where[256] = "before its first assertion";
    char message[sizeof v->message + 512];
    char crash[64];
    int ok = 0;
    const char *skip = NULL;
    if (file)
        snprintf(where, sizeof where, "after %s:%d", base_name(file), atomic_load(&v->line));
    switch (atomic_load(&v->state)) {
    case FAILED:
        v->message[sizeof v->message - 1] = '\0';
        snprintf(message, sizeof message, "%s", v->message);
        break;
    case SKIPPED:
        ok = 1;
        v->message[sizeof v->message - 1] = '\0';
        skip = v->message;
        break;
    default:
        if (slot->hung)
            snprintf(message, sizeof message, "hang: killed after %d s, %s", test->limit * time_factor, where);
        else if (is_crash(status, crash, sizeof crash))
            snprintf(message, sizeof message, "crash: %s, %s", crash, where);
        else if (exit_status(status) != 0)
            snprintf(message, sizeof message, "exit status %d, %s", exit_status(status), where);
        else if (atomic_load(&v->state) == RUNNING)
            snprintf(message, sizeof message, "exited before its end, %s", where);
        else
            ok = 1;
    }
    const struct declared *declared = declaration(test);
    const char *reason = declared ? declared->reason : NULL;
    if (reason && !ok) {
        ok = 1;
        skip = reason;
    } else if (reason && !skip) {
        ok = 0;
        snprintf(message, sizeof message, "declared, but passed: remove the declaration (%s)", reason);
    }
    if (!ok)
        failed++;
    else if (skip)
        skipped++;
    else
        passed++;
    print_result(slot, ok, skip, message);

    char path[PATH_MAX];
    scratch_path(path, sizeof path, slot->number);
    remove_tree(path);
    output_path(path, sizeof path, slot->number);
    unlink(path);
    slot->pid = 0;
}

/* Sleeps until a child ends or a time limit is reached. */
static void wait_for_children(void)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < jobs; i++)
        if (slots[i].pid && !slots[i].hung && slots[i].deadline < next)
            next = slots[i].deadline;
    int64_t left = next == INT64_MAX ? SECOND : next - now();
    await_children(left > 0 ? left : 0);
    for (int i = 0; i < jobs; i++) {
        if (slots[i].pid && !slots[i].hung && now() >= slots[i].deadline) {
            slots[i].hung = 1;
            kill_running(&slots[i]);
        }
    }
    reap();
}

/* Whether `filter` names the case, its suite, one of its rules, or the section of one. */
static int matches(const struct test *test, const char *filter)
{
    char name[256];
    snprintf(name, sizeof name, "%s.%s", test->suite, test->name);
    if (strcmp(filter, test->name) == 0 || strcmp(filter, test->suite) == 0 || strcmp(filter, name) == 0)
        return 1;
    size_t length = strlen(filter);
    for (const char *rule = test->rules; *rule;) {
        size_t end = strcspn(rule, " ");
        if (strncmp(rule, filter, length) == 0
            && (length == end || (rule[length] == '.' && length < end && !strchr(filter, '.'))))
            return 1;
        rule += end;
        rule += strspn(rule, " ");
    }
    return 0;
}

static int compare_tests(const void *a, const void *b)
{
    const struct test *left = *(struct test *const *)a;
    const struct test *right = *(struct test *const *)b;
    int order = strcmp(left->suite, right->suite);
    return order ? order : left->line - right->line;
}

static void usage(FILE *out)
{
    fprintf(out,
            "usage: conformance [-v] [-j N] [-t FACTOR] [-b BACKEND] [-w CALLS] [--tap] [--list] [FILTER...]\n"
            "  FILTER  a case, a suite, suite.case, a rule (1.5) or a section (1)\n"
            "  -v      show the cases that pass too, and what they print\n"
            "  -j N    run N cases at once (2)\n"
            "  -t N    allow N times the usual time, for valgrind and the like\n"
            "  -b NAME the backend, for the tables declared.h, behind.h and old.h (linux, or CTESTS_BACKEND)\n"
            "  -w NAME on a system without these calls (pidfd, new, linux: sandbox.c)\n"
            "  --list  print the cases and their rules\n"
            "  --tap   print the Test Anything Protocol\n");
}

static int number_of(const char *text)
{
    char *end;
    long value = text ? strtol(text, &end, 10) : 0;
    if (!text || *end || value < 1 || value > 1000) {
        usage(stderr);
        exit(2);
    }
    return (int)value;
}

int main(int argc, char **argv)
{
    int list = 0;
    const char *filters[256];
    int filter_count = 0;

    find_program(argv[0]);
    if (argc == 4 && strcmp(argv[1], "--helper") == 0) {
        for (struct helper *helper = helpers; helper; helper = helper->next)
            if (strcmp(helper->name, argv[2]) == 0)
                return helper->run(argv[3]);
        return 2;
    }
    backend = getenv("CTESTS_BACKEND");
    if (!backend || !*backend)
        backend = "linux";
    if (getenv("CTESTS_TIME"))
        time_factor = number_of(getenv("CTESTS_TIME"));
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (strcmp(argument, "--list") == 0) {
            list = 1;
        } else if (strcmp(argument, "--tap") == 0) {
            tap = 1;
        } else if (strcmp(argument, "-v") == 0) {
            verbose = 1;
        } else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            usage(stdout);
            return 0;
#ifdef _WIN32
        } else if (strcmp(argument, "--case") == 0 && i + 2 < argc) {
            struct test *test = tests;
            while (test && !matches(test, argv[i + 1]))
                test = test->next;
            return test ? run_one(test, argv[i + 2]) : 2;
#endif
        } else if (strcmp(argument, "-b") == 0 && i + 1 < argc) {
            backend = argv[++i];
        } else if (strcmp(argument, "-w") == 0 && i + 1 < argc) {
            without = argv[++i];
        } else if (argument[0] == '-' && argument[1] && strchr("jt", argument[1])) {
            int value = number_of(argument[2] ? argument + 2 : argv[++i]);
            if (argument[1] == 't')
                time_factor = value;
            else
                jobs = value < JOBS_MAX ? value : JOBS_MAX;
        } else if (argument[0] == '-' || filter_count == COUNT(filters)) {
            usage(stderr);
            return 2;
        } else {
            filters[filter_count++] = argument;
        }
    }

    size_t total = 0;
    for (struct test *test = tests; test; test = test->next)
        total++;
    struct test **chosen = calloc(total + 1, sizeof *chosen);
    if (!chosen)
        return 2;
    total = 0;
    for (struct test *test = tests; test; test = test->next) {
        int wanted = filter_count == 0;
        for (int i = 0; i < filter_count && !wanted; i++)
            wanted = matches(test, filters[i]);
        if (wanted)
            chosen[total++] = test;
    }
    qsort(chosen, total, sizeof *chosen, compare_tests);
    for (int i = 0; i < filter_count; i++) {
        size_t j = 0;
        while (j < total && !matches(chosen[j], filters[i]))
            j++;
        if (j == total) {
            fprintf(stderr, "no case matches %s\n", filters[i]);
            return 2;
        }
    }
    if (list) {
        for (size_t i = 0; i < total; i++)
            printf("%s.%s [%s]\n", chosen[i]->suite, chosen[i]->name, chosen[i]->rules);
        return 0;
    }

    if (prepare() == -1) {
        perror("conformance");
        return 2;
    }

    if (tap)
        printf("1..%zu\n", total);
    size_t next = 0;
    int alive;
    do {
        alive = 0;
        for (int i = 0; i < jobs; i++) {
            if (slots[i].pid == 0 && !interrupted) {
                while (next < total && is_passed_over(&slots[i], chosen[next], (int)next))
                    next++;
                if (next < total) {
                    launch(&slots[i], chosen[next], (int)next);
                    next++;
                }
            }
            alive += slots[i].pid != 0;
        }
        if (interrupted)
            for (int i = 0; i < jobs; i++)
                if (slots[i].pid)
                    kill_running(&slots[i]);
        if (alive)
            wait_for_children();
    } while (alive);
    remove_tree(home);
    free(chosen);
    if (interrupted)
        printf("interrupted by signal %d\n", (int)interrupted);
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0 || interrupted;
}

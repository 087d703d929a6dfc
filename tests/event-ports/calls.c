/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls that every program makes, where they meet a port: in front of libc's. */
#include "emulation.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void note_copy(int fd, int copy);
uint64_t times_told(int fd, bool *is_port, bool *ready);
long queue_length(int fd);

int close(int fd)
{
    struct entry entry = enter();
    if (!is_ours()) {
        leave(entry);
        return raw_close(fd);
    }
    if (is_kept(fd))
        return fail(entry, EBADF);
    forget_number(fd);
    int result = raw_close(fd);
    leave(entry);
    return result;
}

static int put(int old, int new, int flags)
{
    struct entry entry = enter();
    if (is_kept(old))
        return fail(entry, EBADF);
    if (is_kept(new))
        return fail(entry, EBUSY);
    /* What fails drops nothing. */
    struct rlimit limit = {0, 0};
    getrlimit(RLIMIT_NOFILE, &limit);
    bool replaces = old != new && (flags & ~O_CLOEXEC) == 0 && new >= 0 && (rlim_t)new < limit.rlim_cur;
    if (replaces && is_ours() && fcntl(old, F_GETFD) != -1)
        forget_number(new);
    int result = (int)syscall(SYS_dup3, old, new, flags);
    if (result >= 0 && is_ours())
        note_copy(old, result);
    if (result < 0)
        return fail(entry, errno);
    leave(entry);
    return result;
}

int dup3(int old, int new, int flags)
{
    return put(old, new, flags);
}

int dup2(int old, int new)
{
    if (old == new)
        return fcntl(old, F_GETFD) == -1 ? -1 : old;
    return put(old, new, 0);
}

static int copy(int fd, int command, int least)
{
    struct entry entry = enter();
    int result = (int)syscall(SYS_fcntl, fd, command, least);
    if (result >= 0 && is_ours())
        note_copy(fd, result);
    if (result < 0)
        return fail(entry, errno);
    leave(entry);
    return result;
}

int dup(int fd)
{
    return copy(fd, F_DUPFD, 0);
}

int fcntl(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
        return copy(fd, command, (int)(intptr_t)argument);
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fcntl(fd, command, argument);
}

int close_range(unsigned first, unsigned last, int flags)
{
    if (flags != 0 || !is_ours())
        return (int)syscall(SYS_close_range, first, last, flags);
    if (first > last) {
        errno = EINVAL;
        return -1;
    }
    /* Number by number, round the emulation's own; nothing is open above the table. */
    for (unsigned fd = first; fd <= last && fd < MOST_NUMBERS; fd++)
        if (!is_kept((int)fd) && fcntl((int)fd, F_GETFD) != -1)
            close((int)fd);
    return 0;
}

/* ---- fstat: a port has a kind of its own -------------------------------------------------------- */

static int status(int fd, struct stat *buffer)
{
    if (syscall(SYS_fstat, fd, buffer) != 0)
        return -1;
    struct number *found = is_ours() ? number(fd) : NULL;
    if (found && found->port) {
        struct entry entry = enter();
        long length = queue_length(fd);
        leave(entry);
        buffer->st_mode = S_IFPORT | (buffer->st_mode & 0777);
        buffer->st_size = length < 0 ? 0 : length;
    }
    return 0;
}

int fstat(int fd, struct stat *buffer)
{
    return status(fd, buffer);
}

int fstat64(int fd, struct stat64 *buffer)
{
    _Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one layout");
    return status(fd, (struct stat *)buffer);
}

/* ---- poll: who sleeps in it is not told of what an association queued (3.12) -------------------- */

enum { MOST_POLLED = 16 };

/* Whether more is ready than ports that this thread was not told of. */
static bool is_awake(const struct pollfd *entries, nfds_t count, const uint64_t *told)
{
    bool awake = false;
    struct entry entry = enter();
    unsigned seen = 0;
    for (nfds_t i = 0; i < count && !awake; i++) {
        bool is_port, ready = false;
        uint64_t times = times_told(entries[i].fd, &is_port, &ready);
        if (is_port && seen < MOST_POLLED)
            awake = ready && times != told[seen++];
        else
            awake = entries[i].revents != 0;
    }
    leave(entry);
    return awake;
}

int ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    static int (*next)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
    if (!next)
        next = (int (*)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))dlsym(RTLD_NEXT, "ppoll");
    uint64_t told[MOST_POLLED];
    unsigned seen = 0;
    bool any_ready = false;
    struct entry entry = enter();
    for (nfds_t i = 0; i < count; i++) {
        bool is_port, ready = false;
        uint64_t times = times_told(entries[i].fd, &is_port, &ready);
        any_ready |= ready;
        if (is_port && seen < MOST_POLLED)
            told[seen++] = times;
    }
    leave(entry);
    if (seen == 0 || any_ready || (timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0))
        return next(entries, count, timeout, mask);
    struct timespec deadline, time, *left = timeout ? &time : NULL;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    int64_t end = timeout ? deadline.tv_sec * INT64_C(1000000000) + deadline.tv_nsec : 0;
    if (timeout && __builtin_add_overflow(end, timeout->tv_sec * INT64_C(1000000000) + timeout->tv_nsec, &end))
        left = NULL;
    for (;;) {
        if (left) {
            clock_gettime(CLOCK_MONOTONIC, &time);
            int64_t rest = end - (time.tv_sec * INT64_C(1000000000) + time.tv_nsec);
            time = (struct timespec){rest > 0 ? rest / 1000000000 : 0, rest > 0 ? rest % 1000000000 : 0};
        }
        int result = next(entries, count, left, mask);
        if (result <= 0 || is_awake(entries, count, told))
            return result;
        /* Not to be known of: the others go on. */
        struct timespec pause = {0, 1000000};
        if (next(NULL, 0, &pause, mask) < 0)
            return -1;
    }
}

int poll(struct pollfd *entries, nfds_t count, int timeout)
{
    struct timespec time = {timeout / 1000, timeout % 1000 * 1000000L};
    return ppoll(entries, count, timeout < 0 ? NULL : &time, NULL);
}

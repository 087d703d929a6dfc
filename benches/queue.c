/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a queue, of the library, and of descriptors that it does not watch; and what all of it takes.
 */
#include "bench.h"

#include <sys/wait.h>

#include <malloc.h>
#include <signal.h>
#include <spawn.h>

extern char **environ;

/* ---- kqueue() and close() ----------------------------------------------------------------------- */

static void raw_queues(void *state, long n)
{
    (void)state;
    while (n-- > 0)
        OK(close(OK(epoll_create1(EPOLL_CLOEXEC))));
}

static void kq_queues(void *state, long n)
{
    (void)state;
    while (n-- > 0)
        OK(close(OK(kqueue())));
}

static void raw_queue(const struct row *row)
{
    if (row->a)
        OK(epoll_create1(EPOLL_CLOEXEC));
    measure(raw_queues, NULL);
}

static void kq_queue(const struct row *row)
{
    if (row->a)
        OK(kqueue());
    measure(kq_queues, NULL);
}

/* ---- close() of a descriptor that nobody watches ------------------------------------------------ */

enum { DESCRIPTORS = 1000 };

static void closes(void *state, long n)
{
    int *file = state;
    while (n-- > 0) {
        int first = OK(fcntl(*file, F_DUPFD_CLOEXEC, 0));
        for (int i = 1; i < DESCRIPTORS; i++)
            CHECK(fcntl(*file, F_DUPFD_CLOEXEC, 0) == first + i);
        clock_on();
        for (int i = 0; i < DESCRIPTORS; i++)
            CHECK(close(first + i) == 0);
        clock_off();
    }
}

static void raw_close(const struct row *row)
{
    (void)row;
    need_descriptors(DESCRIPTORS);
    int file = OK(eventfd(0, EFD_CLOEXEC));
    OK(epoll_create1(EPOLL_CLOEXEC));
    each_is(DESCRIPTORS);
    measure_parts(closes, &file);
}

static void kq_close(const struct row *row)
{
    (void)row;
    need_descriptors(DESCRIPTORS);
    int file = OK(eventfd(0, EFD_CLOEXEC));
    OK(kqueue());
    each_is(DESCRIPTORS);
    measure_parts(closes, &file);
}

/* ---- A whole process ---------------------------------------------------------------------------- */

static void spawns(void *state, long n)
{
    char **arguments = state;
    while (n-- > 0) {
        pid_t child;
        int status;
        CHECK(posix_spawn(&child, arguments[0], NULL, NULL, arguments, environ) == 0);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
}

/* The program is first.c, linked with the library or not. */
static void load(const char *program)
{
    char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 16);
    CHECK(size > 0);
    path[size] = 0;
    strcpy(strrchr(path, '/') + 1, program);
    char *arguments[] = {path, NULL};
    measure(spawns, arguments);
}

static void raw_load(const struct row *row)
{
    (void)row;
    load("first-raw");
}

static void kq_load(const struct row *row)
{
    (void)row;
    load("first-kq");
}

/* ---- Memory, descriptors, threads --------------------------------------------------------------- */

enum { KNOTES = 10000, QUEUES = 1000 };

static double allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return (double)info.uordblks + (double)info.hblkhd;
}

/* What the process has of its own, in bytes: sees memory that did not come from malloc, too. */
static double resident(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    CHECK(file != NULL);
    char line[256];
    double kilobytes = -1;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %lf", &kilobytes) == 1)
            break;
    fclose(file);
    return kilobytes * 1024;
}

struct usage {
    double allocated, resident, descriptors, threads;
};

static struct usage usage(void)
{
    struct usage usage = {.descriptors = (double)open_descriptors(), .threads = (double)thread_count()};
    usage.resident = resident();
    usage.allocated = allocated();
    return usage;
}

static void tell(struct usage before, double count, double own_descriptors)
{
    struct usage after = usage();
    value("bytes", (after.allocated - before.allocated) / count);
    value("resident", (after.resident - before.resident) / count);
    value("descriptors", (after.descriptors - before.descriptors - own_descriptors) / count);
    value("threads", after.threads - before.threads);
}

/* One queue with many knotes. The descriptors of the READ knotes are the program's. */
static void kq_knotes(const struct row *row)
{
    short filter = (short)row->a;
    int first = filter == EVFILT_READ ? silent_descriptors(KNOTES) : 1;
    int kq = OK(kqueue());
    usage();
    struct usage before = usage();
    for (int i = 0; i < KNOTES; i++)
        change(kq, (uintptr_t)(first + i), filter, EV_ADD, 0, filter == EVFILT_TIMER ? 3600 * 1000 : 0);
    tell(before, KNOTES, 0);
}

static void kq_idle_queues(const struct row *row)
{
    (void)row;
    need_descriptors(2 * QUEUES);
    OK(kqueue());
    usage();
    struct usage before = usage();
    for (int i = 0; i < QUEUES; i++)
        OK(kqueue());
    tell(before, QUEUES, 0);
}

static struct row rows[] = {
    {.name = "kqueue-close", .raw = raw_queue, .kq = kq_queue},
    {.name = "kqueue-close-beside-one", .raw = raw_queue, .kq = kq_queue, .a = 1},
    {.name = "close-unwatched", .raw = raw_close, .kq = kq_close},
    {.name = "load-and-first-kqueue", .raw = raw_load, .kq = kq_load},
    {.name = "memory-read-knote", .kq = kq_knotes, .a = EVFILT_READ},
    {.name = "memory-timer-knote", .kq = kq_knotes, .a = EVFILT_TIMER},
    {.name = "memory-user-knote", .kq = kq_knotes, .a = EVFILT_USER},
    {.name = "memory-idle-kqueue", .kq = kq_idle_queues},
};
ROWS(rows)

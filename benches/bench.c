/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process that measures one side of one row, and tells what it measured in lines for run.c:
 *
 *     bench-raw ROW, bench-kq ROW     "value .[metric] figure", or "skip reason"
 *     bench-kq -l                     the rows: name, and whether there is a raw side
 *
 * With BENCH_COUNT set it does few operations, and calls getppid() where the counted part begins and ends: run.c
 * listens with ptrace.
 */
#include "bench.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <sched.h>

enum { MOST_PIECES = 4096 };

/* How long a repetition is. */
static const int64_t ENOUGH = 64 * MILLISECOND;

static struct rows *all;
static int counting;
static cpu_set_t allowed;

void bench_register(struct rows *rows)
{
    struct rows **place = &all;
    while (*place)
        place = &(*place)->next;
    *place = rows;
}

/* ---- Checks ------------------------------------------------------------------------------------- */

void bench_fail(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: %s (errno %d: %s)\n", file, line, text, errno, strerror(errno));
    _exit(1);
}

void bench_skip(const char *reason)
{
    printf("skip %s\n", reason);
    fflush(stdout);
    _exit(0);
}

/* ---- Measuring ---------------------------------------------------------------------------------- */

static int64_t read_clock(clockid_t id)
{
    struct timespec time;
    clock_gettime(id, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

int64_t now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t cpu_time(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int is_counting(void)
{
    return counting;
}

void value(const char *metric, double figure)
{
    printf("value .%s %.6g\n", metric, figure);
}

static int64_t part_began, parts;

void clock_on(void)
{
    if (counting)
        syscall(SYS_getppid);
    part_began = now();
}

void clock_off(void)
{
    parts += now() - part_began;
    if (counting)
        syscall(SYS_getppid);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int64_t timed(void (*run)(void *, long), void *state, long n, int in_parts)
{
    parts = 0;
    if (!in_parts)
        clock_on();
    run(state, n);
    if (!in_parts)
        clock_off();
    return parts;
}

static long each = 1;

void each_is(long operations)
{
    each = operations;
}

static void measure_pieces(void (*run)(void *, long), void *state, int64_t piece, int in_parts)
{
    static double pieces[MOST_PIECES];
    if (counting) {
        /* The first time does what is done once and for all. Where threads are started they must not weigh much. */
        long turns = each > 100 ? 4 : piece == LONG_PIECE ? 1024 : 64;
        counting = 0;
        timed(run, state, turns, in_parts);
        counting = 1;
        timed(run, state, turns, in_parts);
        printf("operations %ld\n", turns * each);
        return;
    }
    /* Warms up, and finds how many operations make a piece. */
    long n = 1;
    int64_t took;
    while ((took = timed(run, state, n, in_parts)) < piece / 2)
        n = took < piece / 32 ? n * 8 : n * 2;
    n = n * piece / took + 1;
    int count = 0;
    int64_t begin = now(), total = 0;
    while (count < MOST_PIECES && (count < 5 || total < ENOUGH)) {
        took = timed(run, state, n, in_parts);
        total += took;
        pieces[count++] = (double)took / (double)n;
        if (now() - begin > SECOND && count >= 3)
            break;
    }
    qsort(pieces, (size_t)count, sizeof pieces[0], by_size);
    value("", pieces[count / 2] / (double)each);
}

void measure(void (*run)(void *, long), void *state)
{
    measure_pieces(run, state, PIECE, 0);
}

void measure_long(void (*run)(void *, long), void *state)
{
    measure_pieces(run, state, LONG_PIECE, 0);
}

void measure_parts(void (*run)(void *, long), void *state)
{
    measure_pieces(run, state, PIECE, 1);
}

/* ---- What scenarios share ----------------------------------------------------------------------- */

void socket_pair(int fds[2])
{
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
}

void *memory(size_t bytes)
{
    void *memory = calloc(1, bytes);
    CHECK(memory != NULL);
    return memory;
}

void need_descriptors(long n)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)n + 64;
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted)
        limit.rlim_max = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
        bench_skip("RLIMIT_NOFILE is too low");
}

int silent_descriptors(long n)
{
    need_descriptors(n);
    int file = OK(eventfd(0, EFD_CLOEXEC));
    for (long i = 1; i < n; i++)
        CHECK(fcntl(file, F_DUPFD_CLOEXEC, 0) == file + i);
    return file;
}

long open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    long count = 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 3; /* ".", "..", and the directory's own */
}

long thread_count(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    CHECK(status != NULL);
    char line[256];
    long count = 0;
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "Threads: %ld", &count) == 1)
            break;
    fclose(status);
    return count;
}

/* The `n`th CPU from behind: the first ones have the most interrupts. */
static int cpu(int n)
{
    for (int i = CPU_SETSIZE - 1; i >= 0; i--)
        if (CPU_ISSET(i, &allowed) && n-- == 0)
            return i;
    bench_skip("needs two CPUs");
}

void pin(int n)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu(n), &one);
    OK(sched_setaffinity(0, sizeof one, &one));
}

void unpin(void)
{
    cpu_set_t two;
    CPU_ZERO(&two);
    CPU_SET(cpu(0), &two);
    CPU_SET(cpu(1), &two);
    OK(sched_setaffinity(0, sizeof two, &two));
}

/* ---- The process -------------------------------------------------------------------------------- */

static void list(void)
{
    for (struct rows *rows = all; rows; rows = rows->next)
        for (size_t i = 0; i < rows->count; i++)
            printf("%s %s\n", rows->first[i].name, rows->first[i].raw ? "raw" : "alone");
}

static const struct row *find(const char *name)
{
    for (struct rows *rows = all; rows; rows = rows->next)
        for (size_t i = 0; i < rows->count; i++)
            if (strcmp(rows->first[i].name, name) == 0)
                return &rows->first[i];
    fprintf(stderr, "no such scenario: %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s -l | SCENARIO\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[1], "-l") == 0) {
        list();
        return 0;
    }
    const struct row *row = find(argv[1]);
    /* The library reads it when it is loaded. */
    if (row->verify && !getenv("KQUEUE_VERIFY")) {
        setenv("KQUEUE_VERIFY", "1", 1);
        OK(execv("/proc/self/exe", argv));
    }
    /* A scenario that hangs is a failure. */
    alarm(60);
    /* Scenarios know the numbers of descriptors. */
    closefrom(3);
    counting = getenv("BENCH_COUNT") != NULL;
    OK(sched_getaffinity(0, sizeof allowed, &allowed));
    pin(0);
    void (*side)(const struct row *) = kqueue ? row->kq : row->raw;
    CHECK(side != NULL);
    side(row);
    fflush(stdout);
    _exit(0);
}

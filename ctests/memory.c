/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No memory: the n-th allocation fails, for every n, in every operation (operations.c). The call gives ENOMEM or
 * succeeds, nobody aborts, what was registered before goes on, and the same call succeeds the next time.
 *
 * The library calls the allocator by its symbols, and an executable's come first: those here count, and go on to
 * glibc's own.
 */
#define SUITE "memory"
#include "suite.h"

#if defined(__linux__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#include "operations.h"
#include "supervise.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

/* Allocations until one fails; 0: none does. */
static atomic_int countdown;
/* All allocations of the acts, whether they fail or not. */
static atomic_int allocations;
static atomic_int frees;
static atomic_size_t allocated;

static int fails(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    atomic_fetch_add(&allocated, size);
    if (atomic_load(&countdown) == 0 || atomic_fetch_sub(&countdown, 1) != 1)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(count * size) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails(size) ? NULL : __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    *memory = fails(size) ? NULL : __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(size) ? NULL : __libc_memalign(alignment, size);
}

void free(void *memory)
{
    atomic_fetch_add(&frees, 1);
    __libc_free(memory);
}

/* ---- The n-th allocation ------------------------------------------------------------------------ */

struct shortage {
    const struct operation *operation;
    int n;
    atomic_int hit;
};

static void recover(void)
{
    atomic_store(&countdown, 0);
}

static void starve(struct shortage *shortage)
{
    struct bench bench;
    const struct operation *operation = shortage->operation;
    int before = listed_descriptors();
    bench_build(&bench);
    bench.recover = recover;
    operation->prepare(&bench);
    atomic_store(&countdown, shortage->n);
    int result = operation->act(&bench);
    atomic_store(&shortage->hit, atomic_load(&countdown) == 0);
    atomic_store(&countdown, 0);
    if (result == EOPNOTSUPP)
        SKIP("the system does not tell of this");
    if (result != 0)
        CHECK_EQ(result, ENOMEM);
    if (result != 0 && !(operation->traits & ONCE))
        CHECK_EQ(operation->act(&bench), 0);
    operation->works(&bench);
    bench_delivers(&bench, !(operation->traits & ENDS_QUEUE));
    operation_end(&bench);
    bench_close(&bench);
    CHECK_EQ(listed_descriptors(), before);
}

static int runs(struct shortage *shortage)
{
    int status;
    fflush(NULL);
    pid_t pid = OK(fork());
    if (pid == 0) {
        starve(shortage);
        exit(0);
    }
    OK(waitpid(pid, &status, 0));
    if (WIFSIGNALED(status))
        FAIL("with allocation %d of %s: signal %d", shortage->n, shortage->operation->name, WTERMSIG(status));
    return status == 0;
}

static void every_allocation_of(const char *name)
{
    struct shortage *shortage = mmap(NULL, sizeof *shortage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shortage != MAP_FAILED);
    /* valgrind's allocator comes before ours. */
    atomic_store(&countdown, 1);
    void *volatile probe = malloc(1);
    atomic_store(&countdown, 0);
    if (probe)
        SKIP("another allocator is in front");
    shortage->operation = operation_named(name);
    do {
        shortage->n++;
        shortage->hit = 0;
        printf("%s: allocation %d\n", name, shortage->n);
        if (!runs(shortage))
            _exit(1);
    } while (atomic_load(&shortage->hit));
}

#define OPERATION(name)                                                                                     \
    TEST_LIMIT(name, "1.1 1.5", 300)                                                                        \
    {                                                                                                       \
        every_allocation_of(#name);                                                                         \
    }
#include "operation_names.h"

/* ---- Growth ------------------------------------------------------------------------------------- */

/* Adds until an allocation fails somewhere in the growth of the tables: every failing one is ENOMEM, once, and all
 * that was added before and after is there. */
static void grows(short filter, int descriptors)
{
    enum { MANY = 300 };
    int kq = queue(), fds[2], failures = 0;
    uintptr_t idents[MANY];
    if (descriptors)
        need_descriptors(2 * MANY);
    pipe_pair(fds);
    for (int i = 0; i < MANY; i++) {
        idents[i] = descriptors ? (uintptr_t)OK(dup(fds[0])) : (uintptr_t)i;
        for (;;) {
            atomic_store(&countdown, 1);
            int error = change_errno(kq, idents[i], filter, EV_ADD | EV_CLEAR, 0, 3600000, 0);
            atomic_store(&countdown, 0);
            if (error == 0)
                break;
            CHECK_EQ(error, ENOMEM);
            CHECK_EQ(change_errno(kq, idents[i], filter, EV_DELETE, 0, 0, 0), ENOENT);
            failures++;
            /* The table that could not grow grows now. */
            change(kq, idents[i], filter, EV_ADD | EV_CLEAR, 0, 3600000, 0);
            break;
        }
    }
    CHECK_GE(failures, 1);
    for (int i = 0; i < MANY; i++)
        change(kq, idents[i], filter, EV_DELETE, 0, 0, 0);
}

TEST(growth_by_user_events, "1.5 9.1")
{
    grows(EVFILT_USER, 0);
}

TEST(growth_by_timers, "1.5 6.1")
{
    grows(EVFILT_TIMER, 0);
}

TEST(growth_by_descriptors, "1.5 3.5")
{
    grows(EVFILT_READ, 1);
}

/* ---- In the place of what was there ------------------------------------------------------------- */

/* A number becomes another file, by close() and dup2() or by dup2() alone, and is watched again. */
static void replace(int kq, int number, int *writer, int round)
{
    int fds[2];
    struct kevent changes[] = {
        EVENT(number, EVFILT_READ, EV_ADD, 0, 0, round),
        EVENT(*writer, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, round),
        EVENT(1, EVFILT_USER, 0, NOTE_TRIGGER, round, 0),
        EVENT(2, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_ABSTIME | NOTE_NSECONDS, 1, round),
    };
    OK(pipe2(fds, O_CLOEXEC));
    put(fds[1], 1);
    if (round % 2)
        OK(close(number));
    OK(dup2(fds[0], number));
    OK(dup2(fds[1], *writer));
    OK(close(fds[0]));
    OK(close(fds[1]));
    OK(kevent(kq, changes, 4, NULL, 0, NULL));
}

/*
 * A signal handler that interrupted malloc() may replace what is watched, trigger and collect (7.2): none of that asks
 * for memory, or gives some back, once there was as much before.
 */
TEST(none_for_what_is_replaced, "7.2 10.1")
{
    static const struct timespec no_wait = {0, 0};
    struct kevent ev[8];
    int kq = queue(), fds[2];
    pipe_pair(fds);
    change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int round = 0; round < 50; round++) {
        int before = atomic_load(&allocations), freed = atomic_load(&frees);
        replace(kq, fds[0], &fds[1], round);
        CHECK_EQ(kevent(kq, NULL, 0, ev, 8, &no_wait), 4);
        CHECK_EQ(kevent(kq, NULL, 0, ev, 8, &no_wait), 1); /* what is still to be read */
        change(kq, fds[0], EVFILT_READ, EV_DISABLE, 0, 0, 0);
        change(kq, fds[0], EVFILT_READ, EV_ENABLE, 0, 0, 0);
        change(kq, fds[1], EVFILT_WRITE, EV_DELETE, 0, 0, 0);
        if (round == 0)
            CHECK(atomic_load(&allocations) > before); /* they are counted */
        if (round > 1) {
            CHECK_EQ(atomic_load(&allocations), before);
            CHECK_EQ(atomic_load(&frees), freed);
        }
    }
}

/* ---- A limit of 2^30 descriptors ---------------------------------------------------------------- */

static int64_t huge_limit(const struct call *call, int index, void *argument)
{
    (void)index;
    (void)argument;
    if (call->number != SYS_prlimit64 || call->arguments[1] != RLIMIT_NOFILE || call->arguments[2] != 0)
        return GOES_ON;
    struct rlimit *limit = (struct rlimit *)(uintptr_t)call->arguments[3];
    limit->rlim_cur = limit->rlim_max = 1 << 30;
    return 0;
}

struct sizes {
    size_t heap;
    long mapped; /* pages */
    long resident;
};

static void run_everything(struct sizes *sizes)
{
    struct bench bench;
    bench_build(&bench);
    static const char *const names[] = {"kqueue", "add_read", "add_user", "add_timer", "add_signal", "add_file"};
    size_t before = atomic_load(&allocated);
    enter_library();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct operation *operation = operation_named(names[i]);
        operation->prepare(&bench);
        CHECK_EQ(operation->act(&bench), 0);
    }
    int high = OK(fcntl(bench.near[0], F_DUPFD, 200));
    change(bench.kq, high, EVFILT_READ, EV_ADD, 0, 0, 0);
    leave_library();
    sizes->heap = atomic_load(&allocated) - before;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL);
    CHECK_EQ(fscanf(file, "%ld %ld", &sizes->mapped, &sizes->resident), 2);
}

/* RLIMIT_NOFILE 2^30 changes no size. */
TEST(a_limit_of_2_to_the_30_changes_no_size, "1.1 1.11")
{
    struct sizes *sizes = mmap(NULL, 2 * sizeof *sizes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(sizes != MAP_FAILED);
    for (int huge = 0; huge < 2; huge++) {
        pid_t pid = OK(fork());
        if (pid == 0) {
            struct rlimit limit;
            supervise(huge ? huge_limit : NULL, NULL, 0);
            enter_library();
            OK(getrlimit(RLIMIT_NOFILE, &limit));
            leave_library();
            CHECK_EQ(limit.rlim_cur == 1 << 30, huge);
            run_everything(&sizes[huge]);
            _exit(0);
        }
        child_succeeds(pid);
    }
    CHECK_EQ(sizes[0].heap, sizes[1].heap);
    CHECK_EQ(sizes[0].mapped, sizes[1].mapped);
    CHECK_LE(sizes[1].resident, sizes[0].resident + 64);
}

#else
typedef int memory_is_for_glibc;
#endif

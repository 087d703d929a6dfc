/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call of the library fails, one at a time, with each errno that it can return.
 *
 * For each operation (operations.h) a first process only looks which calls it makes; every one of them has to be
 * in the table (faults.h). Then there is a process for each of them and each errno of the table: the call fails in
 * it once, and what comes of that is what the table allows.
 *
 * A run takes every call of an operation with one errno in turn; CTESTS_EVERYTHING in the environment: with all.
 */
#define SUITE "faults"
#include "suite.h"

#ifdef __linux__

#include "operations.h"
#include "sockets.h"
#include "supervise.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* ---- The table ---------------------------------------------------------------------------------- */

enum { GIVEN = 1, WORKS = 2, LATER = 4 };
#define AS(error) ((error) << 8)
#define OR_AS(error) ((error) << 16)

enum { ANYHOW = -1, IF_THERE = -2 };

struct fault {
    const char *name;
    int call;
    int argument; /* which one has to be `value`; or ANYHOW; or IF_THERE: the epoll has to have the item */
    uint64_t value;
    const char *use;
    int errors[8];
    int outcome;
};

#define ANY ANYHOW, 0, ""
#define KNOWN IF_THERE, 0, " of what is there"
#define FIRST(value) 0, (uint64_t)(value), " " #value
#define USE(value) 1, (uint64_t)(value), " " #value
#define E(...) {__VA_ARGS__}
#define NONE {0}
#define FAULT(call, use, errors, outcome) {#call, SYS_##call, use, errors, outcome},
static const struct fault faults[] = {
#include "faults.h"
};
enum { FAULTS = sizeof faults / sizeof *faults };

static int is_about(const struct fault *fault, const struct call *call)
{
    if (fault->call != call->number)
        return 0;
    if (fault->argument < 0)
        return fault->argument == ANYHOW || call->has_item;
    return (unsigned)call->arguments[fault->argument] == (unsigned)fault->value;
}

/* The rows of a call: the first that names its use, and those beside it, or those for any use. */
static const struct fault *first_row(const struct call *call)
{
    for (int i = 0; i < FAULTS; i++)
        if (is_about(&faults[i], call))
            return &faults[i];
    return NULL;
}

static int same_row(const struct fault *one, const struct fault *other)
{
    return other < faults + FAULTS && one->call == other->call && one->argument == other->argument
           && one->value == other->value;
}

/* ---- One fault ---------------------------------------------------------------------------------- */

struct injection {
    const struct operation *operation;
    int index; /* of the call */
    int number;
    int error;
    int outcome;
    int hit;
};

static int64_t fail_once(const struct call *call, int index, void *argument)
{
    struct injection *injection = argument;
    if (injection->hit || index < injection->index || call->number != injection->number)
        return GOES_ON;
    injection->hit = 1;
    /* The number is free whatever close() says. */
    if (call->number == SYS_close && call->is_child)
        return GOES_ON;
    if (call->number == SYS_close)
        syscall(SYS_close, (int)call->arguments[0]);
    return -injection->error;
}

static void judge(const struct injection *injection, int result)
{
    if (result == 0 ? injection->outcome & WORKS
        : result == NOTHING_CAME
            ? injection->outcome & LATER
            : (injection->outcome & GIVEN && result == injection->error)
                  || (injection->outcome >> 8 & 0xff) == result || injection->outcome >> 16 == result)
        return;
    FAIL("it gave %s", result == NOTHING_CAME ? "nothing" : suite_errno_name(result));
}

static void inject(struct injection *injection)
{
    struct bench bench;
    const struct operation *operation = injection->operation;
    supervise(fail_once, injection, injection->operation->traits & FORKS);
    int before = listed_descriptors();
    bench_build(&bench);
    operation->prepare(&bench);
    enter_library();
    int result = operation->act(&bench);
    leave_library();
    if (!injection->hit)
        exit(0);
    judge(injection, result);
    if (result != 0 && !(operation->traits & ONCE))
        CHECK_EQ(operation->act(&bench), 0);
    if (result == 0 || !(operation->traits & ONCE))
        operation->works(&bench);
    bench_delivers(&bench, !(operation->traits & ENDS_QUEUE));
    operation_end(&bench);
    bench_close(&bench);
    CHECK_EQ(listed_descriptors(), before);
}

static int runs(void (*body)(struct injection *), struct injection *injection)
{
    int status;
    fflush(NULL);
    pid_t pid = OK(fork());
    if (pid == 0) {
        body(injection);
        exit(0);
    }
    OK(waitpid(pid, &status, 0));
    if (WIFSIGNALED(status))
        printf("    signal %d\n", WTERMSIG(status));
    return status == 0;
}

/* ---- All faults of an operation ----------------------------------------------------------------- */

struct seen {
    int count;
    struct call calls[MOST_CALLS];
};

static struct seen *seen;

static void look(struct injection *injection)
{
    struct bench bench;
    supervise(NULL, NULL, injection->operation->traits & FORKS);
    int before = listed_descriptors();
    bench_build(&bench);
    injection->operation->prepare(&bench);
    enter_library();
    int result = injection->operation->act(&bench);
    leave_library();
    seen->count = calls_seen();
    for (int i = 0; i < seen->count; i++)
        seen->calls[i] = *call_seen(i);
    if (result == EOPNOTSUPP)
        SKIP("the system does not tell of this");
    CHECK_EQ(result, 0);
    injection->operation->works(&bench);
    bench_delivers(&bench, !(injection->operation->traits & ENDS_QUEUE));
    operation_end(&bench);
    bench_close(&bench);
    CHECK_EQ(listed_descriptors(), before);
}

static void all_faults_of(const char *name)
{
    struct injection injection = {.operation = operation_named(name)};
    int everything = getenv("CTESTS_EVERYTHING") != NULL;
    int wrong = 0;
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(seen != MAP_FAILED);
    printf("%s: without a fault\n", name);
    if (!runs(look, &injection))
        _exit(1);
    for (int i = 0; i < seen->count; i++) {
        const struct call *call = &seen->calls[i];
        const struct fault *row = first_row(call);
        if (!row)
            FAIL("%s makes system call %d(%#jx, %#jx), which is not in faults.h", name, call->number,
                 (uintmax_t)call->arguments[0], (uintmax_t)call->arguments[1]);
        int turn = 0;
        for (const struct fault *fault = row; same_row(row, fault); fault++) {
            for (const int *error = fault->errors; *error; error++, turn++) {
                if (!everything && turn != 0)
                    continue;
                printf("%s: call %d, %s%s: %s\n", name, i, fault->name, fault->use, suite_errno_name(*error));
                injection.index = i;
                injection.number = call->number;
                injection.error = *error;
                injection.outcome = fault->outcome;
                if (!runs(inject, &injection)) {
                    printf("    WRONG\n");
                    wrong++;
                }
            }
        }
    }
    if (wrong)
        FAIL("%d faults of %s went wrong", wrong, name);
}

#define OPERATION(name)                                                                                     \
    TEST_LIMIT(name, "1.1 1.3", 300)                                                                        \
    {                                                                                                       \
        all_faults_of(#name);                                                                               \
    }
#include "operation_names.h"

#else
typedef int faults_is_for_linux;
#endif

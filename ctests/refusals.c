/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A system call is refused for good: by a sandbox, or because the kernel is an old one.
 *
 * For each operation (operations.h) a first process looks which calls it makes, from its preparation on. Then there
 * is a process for every refusal of the table (refusals.h) that is about one of those and for each of its errnos:
 * the operation works, or fails as the table says; what was registered before goes on, and nothing is left over.
 *
 * A run takes one errno of a refusal; CTESTS_EVERYTHING in the environment: all.
 */
#define SUITE "refusals"
#include "suite.h"

#ifdef __linux__

#include "operations.h"
#include "sockets.h"
#include "supervise.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PIDFD_GET_INFO 0xff0b /* of any size */

enum { GIVEN = 0, SYS_PROC = -2, SYS_NETLINK_BIND = -3 };

struct refusal {
    const char *name;
    int call;
    int argument;
    uint64_t value;
    const char *use;
    int errors[5];
    const char *costs;
    int outcome;
};

#define ANY -1, 0, ""
#define FIRST(value) 0, (uint64_t)(value), " " #value
#define THIRD(value) 2, (uint64_t)(value), " " #value
#define USE(value) 1, (uint64_t)(value), " " #value
#define E(...) {__VA_ARGS__}
#define REFUSAL(name, call, use, errors, costs, outcome) {name, SYS_##call, use, errors, costs, outcome},
static const struct refusal refusals[] = {
#include "refusals.h"
};
enum { REFUSALS = sizeof refusals / sizeof *refusals };

static int is_about(const struct refusal *refusal, const struct call *call)
{
    if (refusal->call == SYS_PROC)
        return call->in_proc;
    if (refusal->call == SYS_NETLINK_BIND)
        return call->number == SYS_bind && call->family == AF_NETLINK;
    return refusal->call == call->number
           && (refusal->argument == -1
               || ((unsigned)call->arguments[refusal->argument] & 0xffff) == (unsigned)refusal->value);
}

struct trial {
    const struct operation *operation;
    const char *name; /* of the refusal */
    int turn;         /* which errno */
    int hit;
    int before; /* descriptors */
};

static int error_of(const struct refusal *refusal, int turn)
{
    int count = 0;
    while (refusal->errors[count])
        count++;
    return refusal->errors[turn % count];
}

static int64_t refuse(const struct call *call, int index, void *argument)
{
    struct trial *trial = argument;
    (void)index;
    for (int i = 0; i < REFUSALS; i++) {
        if (strcmp(refusals[i].name, trial->name) == 0 && is_about(&refusals[i], call)) {
            trial->hit = 1;
            return -error_of(&refusals[i], trial->turn);
        }
    }
    return GOES_ON;
}

/* Is one of the words of `costs` part of the name? */
static int costs(const char *costs, const char *name)
{
    char words[256];
    char *rest;
    snprintf(words, sizeof words, "%s", costs);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (strstr(name, word))
            return 1;
    return 0;
}

/* What the operation fails with; 0: it works. */
static int expected(const struct trial *trial)
{
    for (int i = 0; i < REFUSALS; i++)
        if (strcmp(refusals[i].name, trial->name) == 0 && costs(refusals[i].costs, trial->operation->name))
            return refusals[i].outcome ? refusals[i].outcome : error_of(&refusals[i], trial->turn);
    return 0;
}

static struct trial *under_way;

static void finish(struct bench *bench)
{
    leave_library();
    bench_delivers(bench, !(under_way->operation->traits & ENDS_QUEUE) && bench->kq != -1);
    operation_end(bench);
    bench_close(bench);
    CHECK_EQ(listed_descriptors(), under_way->before);
    exit(0);
}

static void refused(struct bench *bench, int error)
{
    CHECK_EQ(error, expected(under_way));
    finish(bench);
}

static void attempt(struct trial *trial)
{
    struct bench bench;
    under_way = trial;
    supervise(refuse, trial, trial->operation->traits & FORKS);
    trial->before = listed_descriptors();
    bench_build(&bench);
    bench.refused = refused;
    enter_library();
    trial->operation->prepare(&bench);
    enter_library();
    int result = trial->operation->act(&bench);
    if (result == NOTHING_CAME)
        FAIL("it gave nothing");
    if (trial->hit || result == 0)
        CHECK_EQ(result, expected(trial));
    if (result == 0)
        trial->operation->works(&bench);
    finish(&bench);
}

static struct call (*seen)[MOST_CALLS];
static int *count_seen;

static void look(struct trial *trial)
{
    struct bench bench;
    supervise(NULL, NULL, trial->operation->traits & FORKS);
    bench_build(&bench);
    enter_library();
    trial->operation->prepare(&bench);
    enter_library();
    int result = trial->operation->act(&bench);
    if (result == EOPNOTSUPP)
        SKIP("the system does not tell of this");
    CHECK_EQ(result, 0);
    trial->operation->works(&bench);
    leave_library();
    *count_seen = calls_seen();
    for (int i = 0; i < *count_seen; i++)
        (*seen)[i] = *call_seen(i);
}

static int runs(void (*body)(struct trial *), struct trial *trial)
{
    int status;
    fflush(NULL);
    pid_t pid = OK(fork());
    if (pid == 0) {
        body(trial);
        exit(0);
    }
    OK(waitpid(pid, &status, 0));
    if (WIFSIGNALED(status))
        printf("    signal %d\n", WTERMSIG(status));
    return status == 0;
}

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static int is_met(const char *name)
{
    for (int i = 0; i < REFUSALS; i++)
        for (int j = 0; strcmp(refusals[i].name, name) == 0 && j < *count_seen; j++)
            if (is_about(&refusals[i], &(*seen)[j]))
                return 1;
    return 0;
}

static void all_refusals_of(const char *name)
{
    struct trial trial = {.operation = operation_named(name)};
    int everything = getenv("CTESTS_EVERYTHING") != NULL;
    int wrong = 0;
    seen = shared(sizeof *seen);
    count_seen = shared(sizeof *count_seen);
    if (!runs(look, &trial))
        _exit(1);
    for (int i = 0; i < REFUSALS; i++) {
        if ((i > 0 && strcmp(refusals[i].name, refusals[i - 1].name) == 0) || !is_met(refusals[i].name))
            continue;
        trial.name = refusals[i].name;
        for (trial.turn = 0; refusals[i].errors[trial.turn] && (everything || trial.turn == 0); trial.turn++) {
            printf("%s without %s: %s\n", name, trial.name, suite_errno_name(error_of(&refusals[i], trial.turn)));
            if (!runs(attempt, &trial)) {
                printf("    WRONG\n");
                wrong++;
            }
        }
    }
    if (wrong)
        FAIL("%d refusals go wrong with %s", wrong, name);
}

#define OPERATION(name)                                                                                     \
    TEST_LIMIT(name, "1.1 3.9", 300)                                                                        \
    {                                                                                                       \
        all_refusals_of(#name);                                                                             \
    }
#include "operation_names.h"

#else
typedef int refusals_is_for_linux;
#endif

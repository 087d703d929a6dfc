/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts the system calls of an operation: the process that measures is run once more, for few operations and under
 * ptrace. It calls getppid() where the counted part begins and where it ends. Its threads count, and programs that
 * it spawns; what it forks does not.
 */
#include "run.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/ptrace.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void be_traced(void)
{
    setenv("BENCH_COUNT", "1", 1);
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
}

/* One stop of one thread. Returns the signal that it is to be given. */
static int stopped(pid_t thread, int status, long *calls, int *counting)
{
    struct ptrace_syscall_info info;
    int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
        if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY) {
            if (info.entry.nr == SYS_getppid)
                *counting = !*counting;
            else
                *calls += *counting;
        }
        return 0;
    }
    /* A new thread, a fork, an exec; and the stop with which a new thread begins. */
    if (status >> 16 != 0 || signal == SIGSTOP || signal == SIGTRAP)
        return 0;
    return signal;
}

double count_calls(const char *program, const char *row)
{
    FILE *output;
    pid_t child = start(program, row, be_traced, &output);
    int status, counting = 0;
    long calls = 0, operations = 0;
    if (child == -1)
        return -1;
    if (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        ptrace(PTRACE_SETOPTIONS, child, NULL,
               PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
                   PTRACE_O_EXITKILL);
        ptrace(PTRACE_SYSCALL, child, NULL, NULL);
        pid_t thread;
        while ((thread = waitpid(-1, &status, __WALL)) > 0) {
            if (WIFSTOPPED(status))
                ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(long)stopped(thread, status, &calls, &counting));
            else if (thread == child)
                break;
        }
    }
    char line[256];
    while (fgets(line, sizeof line, output))
        sscanf(line, "operations %ld", &operations);
    fclose(output);
    return operations > 0 ? (double)calls / (double)operations : -1;
}

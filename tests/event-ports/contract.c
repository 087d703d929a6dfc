/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the cases: `contract [name]...`. The last line counts them. */
#include "contract.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int p;
port_event_t events[64];
static struct contract *contracts;

void add_contract(struct contract *contract)
{
    struct contract **place = &contracts;
    while (*place && strcmp((*place)->name, contract->name) < 0)
        place = &(*place)->next;
    contract->next = *place;
    *place = contract;
}

int good(long long value, const char *text, const char *file, int line)
{
    if (value == -1) {
        fprintf(stderr, "  %s:%d: %s failed: errno %d\n", file, line, text, errno);
        _exit(1);
    }
    return (int)value;
}

unsigned taken(int port)
{
    unsigned count = 1;
    struct timespec at_once = {0, 0};
    memset(events, 0xaa, sizeof events);
    int result = port_getn(port, events, 64, &count, &at_once);
    /* The manual says ETIME where the code says 0. */
    if (result != 0 && errno != PORT_ETIME)
        FAIL("port_getn: errno %d", errno);
    return count;
}

void one_event(int port, const char *file, int line)
{
    unsigned count = 1;
    struct timespec patience = {5, 0};
    memset(events, 0xaa, sizeof events);
    if (port_getn(port, events, 64, &count, &patience) != 0 || count != 1) {
        fprintf(stderr, "  %s:%d: %u events, errno %d\n", file, line, count, errno);
        _exit(1);
    }
}

void is_event(const port_event_t *event, int source, uintptr_t object, int bits, void *user, const char *file, int line)
{
    if (event->portev_source == source && event->portev_object == object && event->portev_events == bits &&
        event->portev_user == user)
        return;
    fprintf(stderr, "  %s:%d: {events %#x, source %d, object %#lx, user %p}\n", file, line, event->portev_events,
            event->portev_source, (unsigned long)event->portev_object, event->portev_user);
    _exit(1);
}

unsigned queued(int port)
{
    unsigned count = 0;
    GOOD(port_getn(port, NULL, 0, &count, NULL));
    return count;
}

void until_queued(int port, unsigned count)
{
    while (queued(port) < count)
        usleep(1000);
}

int polled(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT};
    GOOD(poll(&entry, 1, 0));
    return entry.revents;
}

void put(int fd, const char *bytes)
{
    EQ(write(fd, bytes, strlen(bytes)), strlen(bytes));
}

void get(int fd, unsigned count)
{
    char bytes[64];
    EQ(read(fd, bytes, count), count);
}

static void *run_getn(void *argument)
{
    struct thread *thread = argument;
    thread->number = (pid_t)syscall(SYS_gettid);
    thread->got = thread->nget;
    thread->result = port_getn(thread->port, thread->events, thread->max, &thread->got, NULL);
    thread->error = errno;
    thread->done = true;
    return NULL;
}

static void *run_poll(void *argument)
{
    struct thread *thread = argument;
    struct pollfd entry = {.fd = thread->port, .events = POLLIN};
    thread->number = (pid_t)syscall(SYS_gettid);
    thread->result = poll(&entry, 1, -1);
    thread->got = (unsigned)entry.revents;
    thread->done = true;
    return NULL;
}

static void start(struct thread *thread, void *(*run)(void *))
{
    thread->number = 0;
    thread->done = false;
    EQ(pthread_create(&thread->id, NULL, run, thread), 0);
    for (;;) {
        char path[64], text[64] = "";
        snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)thread->number);
        FILE *file = thread->number ? fopen(path, "r") : NULL;
        if (file) {
            bool read = fgets(text, sizeof text, file) != NULL;
            fclose(file);
            if (read && strtol(text, NULL, 10) == SYS_ppoll)
                return;
        }
        if (thread->done)
            FAIL("it does not wait");
        usleep(1000);
    }
}

void start_getn(struct thread *thread, int port, unsigned nget, unsigned max)
{
    thread->port = port;
    thread->nget = nget;
    thread->max = max;
    start(thread, run_getn);
}

void start_poll(struct thread *thread, int port)
{
    thread->port = port;
    start(thread, run_poll);
}

bool comes_out(struct thread *thread)
{
    for (int i = 0; i < 5000 && !thread->done; i++)
        usleep(1000);
    return thread->done;
}

void join(struct thread *thread)
{
    if (!comes_out(thread))
        FAIL("it waits for ever");
    pthread_join(thread->id, NULL);
}

static bool passes(const struct contract *contract)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        p = GOOD(port_create());
        contract->run();
        _exit(0);
    }
    /* Not by alarm(): what hangs may have its signals blocked. */
    int status = 0;
    for (int i = 0; waitpid(child, &status, WNOHANG) == 0; i++) {
        if (i == 20000)
            kill(child, SIGKILL);
        usleep(1000);
    }
    bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    printf("%s %s%s\n", passed ? "ok    " : "FAILED", contract->name, WIFSIGNALED(status) ? " (killed)" : "");
    return passed;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct contract *contract = contracts; contract; contract = contract->next) {
        bool chosen = argc < 2;
        for (int i = 1; i < argc; i++)
            chosen |= strstr(contract->name, argv[i]) != NULL;
        if (chosen)
            ++*(passes(contract) ? &passed : &failed);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 || passed == 0;
}

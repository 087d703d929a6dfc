/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the cases, each in a process of its own, and prints how they went. */
#include "shape.h"

#include <dirent.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

int in_front;
static const char *shape = "?";
static struct a_case *cases, **last_case = &cases;
static struct role *roles;
static char *report; /* where a case leaves its message: shared memory, which no close() reaches */
enum { ROOM = 1000 };
static const char *program;

void register_case(struct a_case *it)
{
    *last_case = it;
    last_case = &it->next;
}

void register_role(struct role *it)
{
    it->next = roles;
    roles = it;
}

enum { SKIPPED = 77 };

void fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    char message[ROOM];
    va_start(arguments, format);
    int n = snprintf(message, sizeof message, "%s:%d: ", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line);
    vsnprintf(message + n, sizeof message - (size_t)n, format, arguments);
    va_end(arguments);
    if (report)
        memcpy(report, message, sizeof message);
    else
        fprintf(stderr, "%s\n", message);
    _exit(1);
}

void skip(const char *reason)
{
    snprintf(report, ROOM, "%s", reason);
    _exit(SKIPPED);
}

int change(int kq, uintptr_t ident, short filter, unsigned flags, unsigned fflags, intptr_t data, intptr_t udata)
{
    struct kevent it;
    EV_SET(&it, ident, filter, flags, fflags, data, (void *)udata);
    return guest_kevent(kq, &it, 1, NULL, 0, NULL) == -1 ? errno : 0;
}

struct kevent next(const char *file, int line, int kq)
{
    struct kevent ev[4];
    struct timespec five = {5, 0};
    int n = guest_kevent(kq, NULL, 0, ev, 4, &five);
    if (n != 1)
        fail(file, line, "%d events came, expected one; the second is of %ju, udata %p", n,
             n > 1 ? (uintmax_t)ev[1].ident : 0, n > 1 ? (void *)ev[1].udata : NULL);
    return ev[0];
}

intptr_t next_of(const char *file, int line, int kq, uintptr_t ident, intptr_t udata)
{
    struct kevent ev = next(file, line, kq);
    if (ev.ident != ident || (intptr_t)ev.udata != udata)
        fail(file, line, "an event of %ju, udata %jd; expected %ju, %jd", (uintmax_t)ev.ident,
             (intmax_t)(intptr_t)ev.udata, (uintmax_t)ident, (intmax_t)udata);
    return ev.data;
}

static void expect_none(const char *file, int line, int n, const struct kevent *ev)
{
    if (n != 0)
        fail(file, line, "%d events, the first of %ju, filter %d, udata %p", n, (uintmax_t)ev->ident, ev->filter,
             (void *)ev->udata);
}

void nothing(const char *file, int line, int kq)
{
    struct timespec at_once = {0, 0};
    for (int i = 0; i < 20; i++) {
        struct kevent ev[4];
        expect_none(file, line, guest_kevent(kq, NULL, 0, ev, 4, &at_once), ev);
    }
}

void sleeps(const char *file, int line, int kq)
{
    struct kevent ev[4];
    struct timespec some = {0, 40000000}, before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    expect_none(file, line, guest_kevent(kq, NULL, 0, ev, 4, &some), ev);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    long spent = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
    if (spent > 20000)
        fail(file, line, "kevent() spins: %ld us of 40,000", spent);
}

void pair(int fds[2]) { OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds)); }

void put(int fd, int bytes)
{
    for (int i = 0; i < bytes; i++)
        CHECK_EQ(write(fd, "x", 1), 1);
}

int is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 2000; fd++)
        count += is_open(fd);
    return count;
}

void until_asleep(int tid)
{
    char name[64], state = 'R';
    snprintf(name, sizeof name, "/proc/self/task/%d/stat", tid);
    while (state != 'S') {
        FILE *file = fopen(name, "r");
        CHECK(file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1);
        fclose(file);
    }
}

int start_role(const char *name, long *printed)
{
    int out[2], status;
    char buffer[256];
    OK(pipe2(out, O_CLOEXEC));
    pid_t pid = OK(fork());
    if (pid == 0) {
        dup2(out[1], 1);
        dup2(out[1], 2);
        execl(program, program, name, (char *)NULL);
        _exit(126);
    }
    close(out[1]);
    ssize_t n;
    long count = 0;
    while ((n = read(out[0], buffer, sizeof buffer)) > 0)
        count += n;
    close(out[0]);
    if (printed)
        *printed = count;
    OK(waitpid(pid, &status, 0));
    return status;
}

/* The case's process, which leads a group of its own so that nothing of it is left. Returns its wait status. */
static int run(struct a_case *it)
{
    int status;
    report[0] = '\0';
    pid_t pid = OK(fork());
    if (pid == 0) {
        setpgid(0, 0);
        signal(SIGALRM, SIG_DFL);
        alarm(30);
        it->run();
        exit(0);
    }
    OK(waitpid(pid, &status, 0));
    kill(-pid, SIGKILL);
    return status;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0, skipped = 0;
    program = argv[0];
    in_front = getenv("FRONT") && strcmp(getenv("FRONT"), "1") == 0;
    if (getenv("SHAPE"))
        shape = getenv("SHAPE");
    for (struct role *it = roles; it; it = it->next)
        if (argc > 1 && strcmp(it->name, argv[1]) == 0)
            return it->play();
    report = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (struct a_case *it = cases; it; it = it->next) {
        if (argc > 1 && strcmp(it->name, argv[1]) != 0)
            continue;
        int status = run(it);
        if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
            skipped++;
            printf("skipped %s.%s: %s\n", shape, it->name, report);
        } else if (status == 0) {
            passed++;
            printf("ok      %s.%s\n", shape, it->name);
        } else {
            failed++;
            printf("FAILED  %s.%s: %s", shape, it->name, report);
            printf(WIFSIGNALED(status) ? " (signal %d)\n" : " (exit status %d)\n",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        }
        fflush(stdout);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0;
}

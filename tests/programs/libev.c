// SPDX-License-Identifier: BSD-2-Clause
//
// libev on one of its backends, named on the command line. It has no test suite; this is one of its watchers
// each, and what a ping-pong over a socket pair costs.
//
//   libev METHOD tests           "OK|FAIL name", one line a test
//   libev METHOD ping-pong N     the nanoseconds of N round trips
//   libev METHOD many N          the nanoseconds of N messages round a ring of 200 pipes

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ev.c"

static unsigned method;
static struct ev_loop *loop;

// What must come takes no longer, however busy the machine.
enum { PATIENCE = 30 };

static int came;
static ev_timer patience;

static void too_late(EV_P_ ev_timer *w, int revents)
{
    (void)w;
    (void)revents;
    came = 0;
    ev_break(EV_A_ EVBREAK_ALL);
}

// Runs the loop until a watcher breaks it; 1 if one did in time.
static int wait_for_it(void)
{
    ev_timer_init(&patience, too_late, PATIENCE, 0);
    ev_timer_start(loop, &patience);
    came = 0;
    ev_run(loop, 0);
    ev_timer_stop(loop, &patience);
    return came;
}

static void here(EV_P)
{
    came++;
    ev_break(EV_A_ EVBREAK_ALL);
}

#define HERE(TYPE)                                                                                                     \
    static void TYPE##_here(EV_P_ TYPE *w, int revents)                                                                \
    {                                                                                                                  \
        (void)w;                                                                                                       \
        (void)revents;                                                                                                 \
        here(EV_A);                                                                                                    \
    }
HERE(ev_timer)
HERE(ev_signal)
HERE(ev_stat)
HERE(ev_async)

static int seen;

static void io_here(EV_P_ ev_io *w, int revents)
{
    (void)w;
    seen |= revents;
    here(EV_A);
}

static int read_and_write(void)
{
    int pair[2], ok;
    ev_io reader, writer;
    char byte;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        return 0;
    ev_io_init(&reader, io_here, pair[0], EV_READ);
    ev_io_init(&writer, io_here, pair[0], EV_WRITE);
    ev_io_start(loop, &reader);
    ev_io_start(loop, &writer);
    seen = 0;
    ok = wait_for_it() && seen == EV_WRITE;
    ev_io_stop(loop, &writer);
    ok = ok && write(pair[1], "x", 1) == 1;
    seen = 0;
    ok = ok && wait_for_it() && seen == EV_READ && read(pair[0], &byte, 1) == 1;
    // Nothing more to read: only the end is reported.
    close(pair[1]);
    seen = 0;
    ok = ok && wait_for_it() && seen == EV_READ && read(pair[0], &byte, 1) == 0;
    ev_io_stop(loop, &reader);
    close(pair[0]);
    return ok;
}

// libev knows of no close: the number comes back as another file.
static int number_comes_back(void)
{
    int i, ok = 1;
    for (i = 0; ok && i < 100; i++) {
        int ends[2];
        ev_io reader;
        if (pipe(ends))
            return 0;
        ev_io_init(&reader, io_here, ends[0], EV_READ);
        ev_io_start(loop, &reader);
        ok = write(ends[1], "x", 1) == 1;
        seen = 0;
        ok = ok && wait_for_it() && seen == EV_READ;
        close(ends[0]);
        close(ends[1]);
        ev_io_stop(loop, &reader);
    }
    return ok;
}

static int regular_file(void)
{
    char name[] = "/tmp/libev.XXXXXX";
    int file = mkstemp(name), ok;
    ev_io reader;
    unlink(name);
    ok = write(file, "text", 4) == 4 && lseek(file, 0, SEEK_SET) == 0;
    ev_io_init(&reader, io_here, file, EV_READ);
    ev_io_start(loop, &reader);
    seen = 0;
    ok = ok && wait_for_it() && seen == EV_READ;
    ev_io_stop(loop, &reader);
    close(file);
    return ok;
}

static int timer(void)
{
    ev_timer soon;
    ev_timer_init(&soon, ev_timer_here, 0.02, 0);
    ev_timer_start(loop, &soon);
    return wait_for_it();
}

static int signal_is_seen(void)
{
    ev_signal usr1;
    int ok;
    ev_signal_init(&usr1, ev_signal_here, SIGUSR1);
    ev_signal_start(loop, &usr1);
    kill(getpid(), SIGUSR1);
    ok = wait_for_it();
    ev_signal_stop(loop, &usr1);
    return ok;
}

static int status;

static void ev_child_here(EV_P_ ev_child *w, int revents)
{
    (void)revents;
    status = w->rstatus;
    here(EV_A);
}

static int child(void)
{
    ev_child exits;
    pid_t pid = fork();
    int ok;
    if (pid == 0)
        _exit(7);
    ev_child_init(&exits, ev_child_here, pid, 0);
    ev_child_start(loop, &exits);
    ok = wait_for_it() && WIFEXITED(status) && WEXITSTATUS(status) == 7;
    ev_child_stop(loop, &exits);
    return ok;
}

static int stat_is_seen(void)
{
    char name[] = "/tmp/libev.XXXXXX";
    int file = mkstemp(name), ok;
    ev_stat watcher;
    ev_stat_init(&watcher, ev_stat_here, name, 0.1);
    ev_stat_start(loop, &watcher);
    ok = write(file, "text", 4) == 4 && wait_for_it() && watcher.attr.st_size == 4;
    ev_stat_stop(loop, &watcher);
    close(file);
    unlink(name);
    return ok;
}

static ev_async async;

static void *send_async(void *unused)
{
    (void)unused;
    ev_async_send(loop, &async);
    return NULL;
}

static int async_from_a_thread(void)
{
    pthread_t thread;
    int ok;
    ev_async_init(&async, ev_async_here);
    ev_async_start(loop, &async);
    ok = pthread_create(&thread, NULL, send_async, NULL) == 0 && wait_for_it();
    pthread_join(thread, NULL);
    ev_async_stop(loop, &async);
    return ok;
}

// The loop goes on in a child: libev makes a new kqueue there.
static int goes_on_after_fork(void)
{
    int ends[2], how;
    pid_t pid;
    ev_io reader;
    if (pipe(ends))
        return 0;
    ev_io_init(&reader, io_here, ends[0], EV_READ);
    ev_io_start(loop, &reader);
    ev_run(loop, EVRUN_NOWAIT);
    pid = fork();
    if (pid == 0) {
        ev_loop_fork(loop);
        seen = 0;
        _exit(!(write(ends[1], "x", 1) == 1 && wait_for_it() && seen == EV_READ));
    }
    waitpid(pid, &how, 0);
    ev_io_stop(loop, &reader);
    close(ends[0]);
    close(ends[1]);
    return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

// A loop in a loop: the inner one's descriptor is watched by the outer.
static int embedded(void)
{
    struct ev_loop *outer = ev_loop_new(EVBACKEND_EPOLL), *inner = loop;
    ev_embed embed;
    int ends[2], ok;
    ev_io reader;
    if (pipe(ends) || !(ev_embeddable_backends() & ev_backend(inner)))
        return 0;
    ev_embed_init(&embed, 0, inner);
    ev_embed_start(outer, &embed);
    ev_io_init(&reader, io_here, ends[0], EV_READ);
    ev_io_start(inner, &reader);
    seen = 0;
    ok = write(ends[1], "x", 1) == 1;
    alarm(PATIENCE);
    while (ok && !seen)
        ev_run(outer, EVRUN_ONCE);
    alarm(0);
    ok = ok && seen == EV_READ;
    ev_io_stop(inner, &reader);
    ev_embed_stop(outer, &embed);
    ev_loop_destroy(outer);
    close(ends[0]);
    close(ends[1]);
    return ok;
}

static void tests(void)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } all[] = {
        {"read_and_write", read_and_write},
        {"number_comes_back", number_comes_back},
        {"regular_file", regular_file},
        {"timer", timer},
        {"signal", signal_is_seen},
        {"child", child},
        {"stat", stat_is_seen},
        {"async", async_from_a_thread},
        {"fork", goes_on_after_fork},
        {"embed", embedded},
    };
    size_t i;
    for (i = 0; i < sizeof all / sizeof *all; i++) {
        // Children are libev's default loop's business.
        loop = strcmp(all[i].name, "child") ? ev_loop_new(method) : ev_default_loop(method);
        printf("%s %s\n", loop && ev_backend(loop) == method && all[i].run() ? "OK" : "FAIL", all[i].name);
        fflush(stdout);
        if (loop)
            ev_loop_destroy(loop);
    }
}

static long turns;

static void pass_on(EV_P_ ev_io *w, int revents)
{
    char byte;
    (void)revents;
    if (read(w->fd, &byte, 1) != 1)
        abort();
    if (--turns <= 0)
        ev_break(EV_A_ EVBREAK_ALL);
    else if (write((int)(long)w->data, &byte, 1) != 1)
        abort();
}

static void measured(long n)
{
    struct timespec begin, end;
    turns = n;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    ev_run(loop, 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    printf("%lld\n", (end.tv_sec - begin.tv_sec) * 1000000000ll + end.tv_nsec - begin.tv_nsec);
}

static void ping_pong(long n)
{
    int pair[2];
    ev_io a, b;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        abort();
    ev_io_init(&a, pass_on, pair[0], EV_READ);
    ev_io_init(&b, pass_on, pair[1], EV_READ);
    a.data = (void *)(long)pair[0];
    b.data = (void *)(long)pair[1];
    ev_io_start(loop, &a);
    ev_io_start(loop, &b);
    if (write(pair[0], "x", 1) != 1)
        abort();
    measured(2 * n);
}

static void ring(long n)
{
    enum { PIPES = 200, TOKENS = 50 };
    static int ends[PIPES][2];
    static ev_io readers[PIPES];
    int i;
    for (i = 0; i < PIPES; i++)
        if (pipe(ends[i]))
            abort();
    for (i = 0; i < PIPES; i++) {
        ev_io_init(&readers[i], pass_on, ends[i][0], EV_READ);
        readers[i].data = (void *)(long)ends[(i + 1) % PIPES][1];
        ev_io_start(loop, &readers[i]);
    }
    for (i = 0; i < TOKENS; i++)
        if (write(ends[i * (PIPES / TOKENS)][1], "x", 1) != 1)
            abort();
    measured(n);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    method = strcmp(argv[1], "kqueue") ? EVBACKEND_EPOLL : EVBACKEND_KQUEUE;
    if (argc == 3) {
        tests();
        return 0;
    }
    loop = ev_loop_new(method);
    if (!loop || ev_backend(loop) != method)
        return 2;
    (strcmp(argv[2], "many") ? ping_pong : ring)(atol(argv[3]));
    return 0;
}

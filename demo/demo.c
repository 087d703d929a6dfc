/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kqueue at work: one thread, one kevent() loop, and in it a file that grows and is renamed, a timer, an event that
 * another thread fires, a signal, a child process that exits, and a TCP server with its client. Takes four
 * seconds; exits with 0 if everything came.
 *
 * Nothing here is particular to libkqueue: it is the same program on a BSD or on macOS.
 *
 * How a kqueue program is built, as shown below:
 *
 *   - Everything watched has a `struct source`, and its address goes into udata. kevent() hands it back, so
 *     the loop needs no table and no search: it calls source->ready().
 *   - Changes are collected by change() and travel with the next wait: one system call for both.
 *   - Descriptors are non-blocking, and a handler reads what is there, once: a level-triggered event comes
 *     back by itself if something was left. EVFILT_WRITE is only enabled while output waits.
 *   - close() removes a descriptor's events; nothing else has to be undone.
 */
#include <sys/types.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Something that is watched. */
struct source {
    void (*ready)(struct source *, const struct kevent *);
    int fd;
};

/* A client of the server. */
struct connection {
    struct source source; /* first: one is the other */
    size_t waiting;       /* bytes of output that the socket would not take yet */
    char output[4096];
};

enum { TICK = 1, DEADLINE }; /* timers: any numbers */
enum { GREETING = 42 };      /* a user event: any number */

static int kq;
static char file_name[] = "/tmp/kqueue-demo-XXXXXX";
static char new_name[sizeof file_name + sizeof ".renamed"];
static unsigned short port;

/* What has to happen before we are content. */
static struct {
    int lines, renames, ticks, greetings, signals, exits, echoes, farewells;
} seen;

/* ---- Telling ------------------------------------------------------------------------------------ */

static int colour;
static struct timespec start;

/* Prints a line of the story: when, who, what. */
static void tell(const char *who, const char *format, ...)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    struct timespec now;
    va_list arguments;

    pthread_mutex_lock(&one_at_a_time);
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%s%6.3f s  %-8s%s ", colour ? (*who == '-' ? "\033[2m" : "\033[1m") : "",
        (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9, who,
        colour && *who != '-' ? "\033[0m" : "");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    puts(colour ? "\033[0m" : "");
    fflush(stdout);
    pthread_mutex_unlock(&one_at_a_time);
}

static void die(const char *what)
{
    fprintf(stderr, "demo: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Changes ------------------------------------------------------------------------------------ */

static struct kevent changes[16];
static int nchanges;

/* Adds a change to those that the next kevent() applies. */
static void change(uintptr_t ident, short filter, unsigned short flags, unsigned int fflags, intptr_t data,
    struct source *source)
{
    if (nchanges == sizeof changes / sizeof changes[0]) {
        if (kevent(kq, changes, nchanges, NULL, 0, NULL) < 0)
            die("kevent");
        nchanges = 0;
    }
    EV_SET(&changes[nchanges++], ident, filter, flags, fflags, data, source);
}

/* ---- The file ----------------------------------------------------------------------------------- */

static void file_grew(struct source *source, const struct kevent *event)
{
    char text[256];
    ssize_t n = read(source->fd, text, sizeof text - 1);

    if (n < 0)
        die("read");
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    tell("READ", "the file has %ld new bytes: \"%s\"", (long)event->data, text);
    seen.lines++;
}

static void file_changed(struct source *source, const struct kevent *event)
{
    (void)source;
    if (event->fflags & NOTE_RENAME) {
        tell("VNODE", "the file was renamed; its descriptor is watched on");
        seen.renames++;
    }
}

/* ---- A signal and a child ------------------------------------------------------------------------ */

static void signal_came(struct source *source, const struct kevent *event)
{
    (void)source;
    tell("SIGNAL", "signal %lu came, %ld time", (unsigned long)event->ident, (long)event->data);
    seen.signals++;
}

static void child_exited(struct source *source, const struct kevent *event)
{
    (void)source;
    tell("PROC", "process %lu exited with status %d", (unsigned long)event->ident, WEXITSTATUS((int)event->data));
    if (waitpid((pid_t)event->ident, NULL, 0) < 0) /* kqueue does not reap it */
        die("waitpid");
    seen.exits++;
}

/* ---- The timers --------------------------------------------------------------------------------- */

static void timer_ticked(struct source *source, const struct kevent *event)
{
    (void)source;
    if (event->ident == DEADLINE) {
        tell("TIMER", "ten seconds, and something is missing: %d lines, %d renames, %d ticks, %d greetings, "
             "%d signals, %d exits, %d echoes, %d farewells", seen.lines, seen.renames, seen.ticks, seen.greetings,
             seen.signals, seen.exits, seen.echoes, seen.farewells);
        exit(1);
    }
    seen.ticks += (int)event->data; /* how often it expired since we were told last */
    tell("TIMER", "tick %d", seen.ticks);
}

/* ---- The user event ----------------------------------------------------------------------------- */

static void greeted(struct source *source, const struct kevent *event)
{
    (void)source;
    tell("USER", "another thread fired event %lu and sent the number %u along", (unsigned long)event->ident,
        event->fflags & NOTE_FFLAGSMASK);
    seen.greetings++;
}

/* ---- The server --------------------------------------------------------------------------------- */

static void connection_closed(struct connection *connection)
{
    close(connection->source.fd); /* its events go with it */
    free(connection);
}

/* Sends what waits. Returns -1 if the connection is gone. */
static int send_output(struct connection *connection)
{
    ssize_t n = send(connection->source.fd, connection->output, connection->waiting, 0);

    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return -1;
    if (n > 0) {
        connection->waiting -= (size_t)n;
        memmove(connection->output, connection->output + n, connection->waiting);
    }
    /* Wait for space only while there is something to send, and read on only when there is nothing. */
    change((uintptr_t)connection->source.fd, EVFILT_WRITE, connection->waiting ? EV_ENABLE : EV_DISABLE, 0, 0,
        &connection->source);
    change((uintptr_t)connection->source.fd, EVFILT_READ, connection->waiting ? EV_DISABLE : EV_ENABLE, 0, 0,
        &connection->source);
    return 0;
}

static void connection_ready(struct source *source, const struct kevent *event)
{
    struct connection *connection = (struct connection *)source;
    ssize_t n;

    if (event->filter == EVFILT_WRITE) {
        if (send_output(connection) < 0)
            connection_closed(connection);
        return;
    }
    if (event->flags & EV_EOF && event->data == 0) {
        tell("READ", "the client has hung up (EV_EOF): closing connection %d", source->fd);
        seen.farewells++;
        connection_closed(connection);
        return;
    }
    n = recv(source->fd, connection->output, sizeof connection->output, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        connection_closed(connection);
        return;
    }
    tell("READ", "connection %d has %ld bytes: \"%.*s\"; echoing them", source->fd, (long)event->data, (int)n,
        connection->output);
    seen.echoes++;
    connection->waiting = (size_t)n;
    if (send_output(connection) < 0)
        connection_closed(connection);
}

static void client_arrived(struct source *source, const struct kevent *event)
{
    struct connection *connection;
    int fd = accept(source->fd, NULL, NULL);

    if (fd < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ECONNABORTED && errno != EINTR)
            die("accept");
        return;
    }
    connection = calloc(1, sizeof *connection);
    if (connection == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        die("accept");
    connection->source.ready = connection_ready;
    connection->source.fd = fd;
    tell("READ", "the port has %ld client waiting: accepted as connection %d", (long)event->data, fd);
    /* One of the two is enabled at any time, so connection_closed() never leaves an event of it to come. */
    change((uintptr_t)fd, EVFILT_READ, EV_ADD, 0, 0, &connection->source);
    change((uintptr_t)fd, EVFILT_WRITE, EV_ADD | EV_DISABLE, 0, 0, &connection->source);
}

/* ---- The world, in a thread of its own ----------------------------------------------------------- */

static struct source greeting = {greeted, -1};

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static void append(const char *name, const char *line)
{
    int fd = open(name, O_WRONLY | O_APPEND);

    if (fd < 0 || write(fd, line, strlen(line)) < 0)
        die(name);
    close(fd);
}

/* A child that lives for two seconds. */
static pid_t make_child(void)
{
    pid_t child = fork();

    if (child < 0)
        die("fork");
    if (child == 0) {
        pause_ms(2000);
        _exit(7);
    }
    return child;
}

static void *world(void *unused)
{
    struct sockaddr_in server;
    struct kevent trigger;
    char answer[64];
    ssize_t n;
    int fd;

    pause_ms(400);
    tell("- world", "appends a line to the file");
    append(file_name, "all the world's a queue\n");

    pause_ms(800);
    tell("- world", "triggers the user event");
    /* kevent() may be called by any thread. The change also sets udata: give it again. */
    EV_SET(&trigger, GREETING, EVFILT_USER, 0, NOTE_TRIGGER | NOTE_FFCOPY | 1234, 0, &greeting);
    if (kevent(kq, &trigger, 1, NULL, 0, NULL) < 0)
        die("kevent");

    pause_ms(200);
    tell("- world", "sends signal %d, which the process ignores", SIGUSR1);
    kill(getpid(), SIGUSR1);

    pause_ms(200);
    tell("- world", "renames the file");
    if (rename(file_name, new_name) < 0)
        die("rename");

    pause_ms(200);
    tell("- world", "connects to port %d and says hello", port);
    memset(&server, 0, sizeof server);
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.sin_port = htons(port);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        die("connect");
    if (send(fd, "hello, kqueue", 13, 0) != 13)
        die("send");
    n = recv(fd, answer, sizeof answer, 0);
    if (n < 0)
        die("recv");
    tell("- world", "got back \"%.*s\"", (int)n, answer);

    pause_ms(500);
    tell("- world", "appends another line to the file");
    append(new_name, "and all the men and women merely knotes\n");

    pause_ms(700);
    tell("- world", "closes its end of the connection");
    close(fd);
    return unused;
}

/* ------------------------------------------------------------------------------------------------- */

static int listen_on_some_port(void)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 16) < 0
        || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        die("listen");
    port = ntohs(address.sin_port);
    return fd;
}

static void remove_file(void)
{
    unlink(file_name);
    unlink(new_name);
}

static int content(void)
{
    return seen.lines >= 2 && seen.renames >= 1 && seen.ticks >= 4 && seen.greetings >= 1 && seen.signals >= 1
        && seen.exits >= 1 && seen.echoes >= 1 && seen.farewells >= 1;
}

int main(void)
{
    static struct source file = {file_grew, -1}, name = {file_changed, -1}, timer = {timer_ticked, -1},
        port_source = {client_arrived, -1}, signal_source = {signal_came, -1}, child_source = {child_exited, -1};
    struct kevent events[8];
    pthread_t thread;
    pid_t child;
    int n, i;

    colour = isatty(STDOUT_FILENO);
    clock_gettime(CLOCK_MONOTONIC, &start);
    signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error of send(), not the end of us */
    signal(SIGUSR1, SIG_IGN); /* a kqueue hears of ignored signals, too */

    kq = kqueue();
    if (kq < 0)
        die("kqueue");
    file.fd = mkstemp(file_name);
    if (file.fd < 0)
        die(file_name);
    atexit(remove_file);
    snprintf(new_name, sizeof new_name, "%s.renamed", file_name);
    child = make_child();
    port_source.fd = listen_on_some_port();

    change((uintptr_t)file.fd, EVFILT_READ, EV_ADD, 0, 0, &file);
    change((uintptr_t)file.fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_RENAME, 0, &name);
    change((uintptr_t)child, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, &child_source);
    change(SIGUSR1, EVFILT_SIGNAL, EV_ADD, 0, 0, &signal_source);
    change((uintptr_t)port_source.fd, EVFILT_READ, EV_ADD, 0, 0, &port_source);
    change(TICK, EVFILT_TIMER, EV_ADD, 0, 1000, &timer);
    change(DEADLINE, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 10, &timer);
    change(GREETING, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, &greeting);

    tell("- main", "kqueue %d watches the file %s, port %d, process %d, signal %d, a timer of 1 s and user event %d",
        kq, file_name, port, (int)child, SIGUSR1, GREETING);
    /* The world begins only when all is watched. */
    if (kevent(kq, changes, nchanges, NULL, 0, NULL) < 0)
        die("kevent");
    nchanges = 0;
    if (pthread_create(&thread, NULL, world, NULL) != 0)
        die("pthread_create");

    while (!content()) {
        n = kevent(kq, changes, nchanges, events, sizeof events / sizeof events[0], NULL);
        if (n < 0 && errno != EINTR)
            die("kevent");
        nchanges = 0; /* applied, also when a signal interrupted the wait */
        for (i = 0; i < n; i++) {
            struct source *source = events[i].udata;

            if (events[i].flags & EV_ERROR) { /* a change that could not be applied */
                errno = (int)events[i].data;
                die("kevent: change");
            }
            source->ready(source, &events[i]);
        }
    }

    pthread_join(thread, NULL);
    close(kq);
    close(port_source.fd);
    close(file.fd);
    tell("- main", "everything came: a file, a timer, a thread, a signal, a process and a socket in one kevent() loop");
    return 0;
}

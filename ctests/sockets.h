/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets by kind, for the cases of READ and WRITE: connected pairs, listeners, resets, full buffers, and
 * ways to wait until the system's network has done its part. Included after suite.h.
 *
 * What travels over TCP or UDP arrives some time after it was sent, on the loopback device too. A case
 * that goes on to prove that nothing is reported first waits here until the bytes are there.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "events.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>

#ifdef __linux__
#include <linux/sockios.h>
#endif

/* ---- Cases for several kinds -------------------------------------------------------------------- */

enum kind { TCP, TCP6, UNIX_STREAM, UNIX_SEQPACKET, UNIX_DGRAM, UDP, UDP6, PIPE, FIFO };

/*
 * One case for every kind of a group, named kind_name; the body that follows has `kind`. Every case is
 * still one sentence: what holds for one kind of socket holds for all of the group.
 */
#define CASE_OF(prefix, value, name, rules)                                                                 \
    TEST(prefix##_##name, rules)                                                                            \
    {                                                                                                       \
        name(value);                                                                                        \
    }

#define STREAMS(name, rules)                                                                                \
    static void name(enum kind kind);                                                                       \
    CASE_OF(tcp, TCP, name, rules)                                                                          \
    CASE_OF(tcp6, TCP6, name, rules)                                                                        \
    CASE_OF(unix_stream, UNIX_STREAM, name, rules)                                                          \
    static void name(enum kind kind)

/* Everything that is connected before it is used. */
#define CONNECTIONS(name, rules)                                                                            \
    static void name(enum kind kind);                                                                       \
    CASE_OF(tcp, TCP, name, rules)                                                                          \
    CASE_OF(tcp6, TCP6, name, rules)                                                                        \
    CASE_OF(unix_stream, UNIX_STREAM, name, rules)                                                          \
    CASE_OF(unix_seqpacket, UNIX_SEQPACKET, name, rules)                                                    \
    static void name(enum kind kind)

#define DATAGRAMS(name, rules)                                                                              \
    static void name(enum kind kind);                                                                       \
    CASE_OF(unix_dgram, UNIX_DGRAM, name, rules)                                                            \
    CASE_OF(udp, UDP, name, rules)                                                                          \
    CASE_OF(udp6, UDP6, name, rules)                                                                        \
    static void name(enum kind kind)

#define SOCKETS(name, rules)                                                                                \
    static void name(enum kind kind);                                                                       \
    CASE_OF(tcp, TCP, name, rules)                                                                          \
    CASE_OF(tcp6, TCP6, name, rules)                                                                        \
    CASE_OF(unix_stream, UNIX_STREAM, name, rules)                                                          \
    CASE_OF(unix_seqpacket, UNIX_SEQPACKET, name, rules)                                                    \
    CASE_OF(unix_dgram, UNIX_DGRAM, name, rules)                                                            \
    CASE_OF(udp, UDP, name, rules)                                                                          \
    CASE_OF(udp6, UDP6, name, rules)                                                                        \
    static void name(enum kind kind)

#define TCPS(name, rules)                                                                                   \
    static void name(enum kind kind);                                                                       \
    CASE_OF(tcp, TCP, name, rules)                                                                          \
    CASE_OF(tcp6, TCP6, name, rules)                                                                        \
    static void name(enum kind kind)

#define UNIXES(name, rules)                                                                                 \
    static void name(enum kind kind);                                                                       \
    CASE_OF(unix_stream, UNIX_STREAM, name, rules)                                                          \
    CASE_OF(unix_seqpacket, UNIX_SEQPACKET, name, rules)                                                    \
    static void name(enum kind kind)

#define PIPES(name, rules)                                                                                  \
    static void name(enum kind kind);                                                                       \
    CASE_OF(pipe, PIPE, name, rules)                                                                        \
    CASE_OF(fifo, FIFO, name, rules)                                                                        \
    static void name(enum kind kind)

/* ---- Sockets ------------------------------------------------------------------------------------ */

struct address {
    struct sockaddr_storage storage;
    socklen_t size;
};

static inline int family_of(enum kind kind)
{
    return kind == TCP || kind == UDP ? AF_INET : kind == TCP6 || kind == UDP6 ? AF_INET6 : AF_UNIX;
}

static inline int type_of(enum kind kind)
{
    switch (kind) {
    case UNIX_SEQPACKET:
        return SOCK_SEQPACKET;
    case UNIX_DGRAM:
    case UDP:
    case UDP6:
        return SOCK_DGRAM;
    default:
        return SOCK_STREAM;
    }
}

static inline int new_socket(enum kind kind)
{
    int fd = socket(family_of(kind), type_of(kind), 0);
    if (fd == -1 && (errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT))
        SKIP("no sockets of this kind");
    return OK(fd);
}

/* A socket bound to an address of its own: loopback, or a name in the scratch directory. */
static inline int bound(enum kind kind, struct address *address)
{
    static int names;
    int fd = new_socket(kind);
    memset(address, 0, sizeof *address);
    address->storage.ss_family = (sa_family_t)family_of(kind);
    if (family_of(kind) == AF_INET) {
        ((struct sockaddr_in *)&address->storage)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address->size = sizeof(struct sockaddr_in);
    } else if (family_of(kind) == AF_INET6) {
        ((struct sockaddr_in6 *)&address->storage)->sin6_addr = in6addr_loopback;
        address->size = sizeof(struct sockaddr_in6);
    } else {
        struct sockaddr_un *name = (struct sockaddr_un *)&address->storage;
        address->size = sizeof *name;
        memcpy(name->sun_path, "socket-a", sizeof "socket-a");
        name->sun_path[7] = (char)('a' + names++);
    }
    if (bind(fd, (struct sockaddr *)&address->storage, address->size) == -1) {
        if (errno == EADDRNOTAVAIL)
            SKIP("no loopback address of this family");
        FAIL("bind: %s", suite_errno_name(errno));
    }
    OK(getsockname(fd, (struct sockaddr *)&address->storage, &address->size));
    return fd;
}

static inline int listener(enum kind kind, struct address *address)
{
    int fd = bound(kind, address);
    OK(listen(fd, 16));
    return fd;
}

static inline void connect_to(int fd, const struct address *address)
{
    OK(connect(fd, (const struct sockaddr *)&address->storage, address->size));
}

/* A connection to the listener, from its client's end. */
static inline int client_of(enum kind kind, const struct address *address)
{
    int fd = new_socket(kind);
    connect_to(fd, address);
    return fd;
}

static inline void nonblocking(int fd)
{
    OK(fcntl(fd, F_SETFL, OK(fcntl(fd, F_GETFL)) | O_NONBLOCK));
}

/* Begins a connection without waiting for it. */
static inline void begin_connect(int fd, const struct address *address)
{
    nonblocking(fd);
    int result = connect(fd, (const struct sockaddr *)&address->storage, address->size);
    if (result == -1 && errno != EINPROGRESS)
        FAIL("connect: %s", suite_errno_name(errno));
}

/* A FIFO named `fifo` in the scratch directory: its reader, then its writer. */
static inline void fifo_pair(int fds[2])
{
    OK(mkfifo("fifo", 0600));
    fds[0] = OK(open("fifo", O_RDONLY | O_NONBLOCK));
    fds[1] = OK(open("fifo", O_WRONLY));
}

/* Two ends of one connection. Of pipes and FIFOs fds[0] is the end for reading. */
static inline void connected(enum kind kind, int fds[2])
{
    struct address address, other;
    signal(SIGPIPE, SIG_IGN);
    switch (kind) {
    case PIPE:
        pipe_pair(fds);
        return;
    case FIFO:
        fifo_pair(fds);
        return;
    case UDP:
    case UDP6:
        fds[0] = bound(kind, &address);
        fds[1] = bound(kind, &other);
        connect_to(fds[0], &other);
        connect_to(fds[1], &address);
        return;
    case TCP:
    case TCP6: {
        int one = 1;
        int listening = listener(kind, &address);
        fds[0] = client_of(kind, &address);
        fds[1] = OK(accept(listening, NULL, NULL));
        OK(setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
        OK(setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
        OK(close(listening));
        return;
    }
    default:
        OK(socketpair(AF_UNIX, type_of(kind), 0, fds));
    }
}

static inline int integer_option(int fd, int level, int name)
{
    int value = 0;
    socklen_t size = sizeof value;
    OK(getsockopt(fd, level, name, &value, &size));
    return value;
}

static inline void set_option(int fd, int level, int name, int value)
{
    OK(setsockopt(fd, level, name, &value, sizeof value));
}

/* Takes the pending error of a socket, as every program does. */
static inline int take_error(int fd)
{
    return integer_option(fd, SOL_SOCKET, SO_ERROR);
}

/* Closes a TCP socket so that its peer gets a reset. */
static inline void reset(int fd)
{
    struct linger at_once = {1, 0};
    OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    OK(close(fd));
}

/* ---- Waiting for the system --------------------------------------------------------------------- */

static inline void pause_briefly(void)
{
    struct timespec time = duration(MILLISECOND / 10);
    nanosleep(&time, NULL);
}

static inline int bytes_queued(int fd)
{
    int count = 0;
    OK(ioctl(fd, FIONREAD, &count));
    return count;
}

/* Returns when `n` bytes can be read (of a datagram socket: when the next datagram has them). */
static inline void until_queued(int fd, int n)
{
    while (bytes_queued(fd) != n)
        pause_briefly();
}

/* Returns when poll(2) says so of `events`. */
static inline void until_polled(int fd, short events)
{
    struct pollfd one = {fd, events, 0};
    while (OK(poll(&one, 1, 1000)) == 0 || (one.revents & events) == 0)
        pause_briefly();
}

/* Returns when nothing that was sent waits in the send buffer. */
static inline void until_sent(int fd)
{
#ifdef SIOCOUTQ
    int count = 1;
    while (OK(ioctl(fd, SIOCOUTQ, &count)) == 0 && count != 0)
        pause_briefly();
#else
    until_polled(fd, POLLOUT);
#endif
}

/* Writes until nothing more goes in, now or a little later; returns the number of bytes. */
static inline size_t fill(int fd)
{
    static const char bytes[4096];
    struct pollfd one = {fd, POLLOUT, 0};
    size_t total = 0;
    int flags = OK(fcntl(fd, F_GETFL));
    nonblocking(fd);
    do {
        ssize_t written;
        while ((written = write(fd, bytes, sizeof bytes)) > 0)
            total += (size_t)written;
        if (errno != EAGAIN)
            FAIL("write: %s", suite_errno_name(errno));
    } while (OK(poll(&one, 1, 10)) != 0);
    OK(fcntl(fd, F_SETFL, flags));
    return total;
}

/* Small buffers from fds[0] to fds[1], so that a TCP connection is soon full and stays so. */
static inline void small_buffers(int fds[2])
{
    set_option(fds[0], SOL_SOCKET, SO_SNDBUF, 32768);
    set_option(fds[1], SOL_SOCKET, SO_RCVBUF, 32768);
}

#endif

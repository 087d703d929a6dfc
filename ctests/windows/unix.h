/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the cases take from Unix, on Windows: included before everything else. The headers that Windows lacks are
 * empty files of the build.
 *
 * A number is a SOCKET or a descriptor of the C runtime, in this order, as the library has it. What cannot be had ends
 * the case as skipped, with the reason.
 */
#ifndef UNIX_H
#define UNIX_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#undef small
#undef near
#undef far
#undef interface
#undef ftruncate
#undef pthread_sigmask
#undef mkdir

typedef unsigned short sa_family_t;
typedef unsigned id_t;

struct sockaddr_un {
    sa_family_t sun_family;
    char sun_path[108];
};

struct rlimit {
    unsigned long long rlim_cur, rlim_max;
};

typedef unsigned long long sigset_t;
typedef struct {
    int si_signo, si_code, si_pid, si_status;
} siginfo_t;

struct sigaction {
    void (*sa_handler)(int);
    void (*sa_sigaction)(int, siginfo_t *, void *);
    sigset_t sa_mask;
    int sa_flags;
};

struct itimerval {
    struct timeval it_interval, it_value;
};

union sigval {
    int sival_int;
    void *sival_ptr;
};

struct sigevent {
    int sigev_notify, sigev_signo;
    union sigval sigev_value;
};

typedef int timer_t;
#define SIGEV_SIGNAL 0
#define SIGEV_NONE 1

#define SIGPIPE 13
#define SIGALRM 14
#define SIGHUP 1
#define SIGKILL 9
#define SIGUSR1 10
#define SIGUSR2 12
#define SIGCHLD 17
#define ESOCKTNOSUPPORT 94
#define SHUT_RD SD_RECEIVE
#define SHUT_WR SD_SEND
#define SHUT_RDWR SD_BOTH
#define MSG_NOSIGNAL 0
#define MSG_DONTWAIT 0x4000
#define PIPE_BUF 4096
#define SA_RESTART 1
#define SA_SIGINFO 2
#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
#define ITIMER_REAL 0
#define WNOHANG 1
#define WEXITED 2
#define WNOWAIT 4
#define P_PID 0
#define RLIMIT_NOFILE 7
#define RLIMIT_CPU 0
#define RUSAGE_SELF 0
#define RUSAGE_THREAD 1
#define SOCK_CLOEXEC 0
#define O_CLOEXEC _O_NOINHERIT
#define O_NONBLOCK 0x4000
#define O_NOCTTY 0
#define F_GETFD 1
#define F_SETFD 2
#define F_GETFL 3
#define F_SETFL 4
#define F_DUPFD_CLOEXEC 5
#define FD_CLOEXEC 1

int unix_socket(int family, int type, int protocol);
int unix_bind(int fd, const struct sockaddr *address, socklen_t size);
int unix_listen(int fd, int backlog);
int unix_connect(int fd, const struct sockaddr *address, socklen_t size);
int unix_accept(int fd, struct sockaddr *address, socklen_t *size);
int unix_getsockname(int fd, struct sockaddr *address, socklen_t *size);
int unix_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int unix_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int unix_shutdown(int fd, int how);
ssize_t unix_send(int fd, const void *bytes, size_t count, int flags);
ssize_t unix_recv(int fd, void *bytes, size_t count, int flags);
ssize_t unix_sendto(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *to, socklen_t size);
int unix_socketpair(int family, int type, int protocol, int fds[2]);
ssize_t unix_read(int fd, void *bytes, size_t count);
ssize_t unix_write(int fd, const void *bytes, size_t count);
ssize_t unix_pwrite(int fd, const void *bytes, size_t count, off_t offset);
int unix_close(int fd);
int unix_pipe(int fds[2]);
int unix_dup(int fd);
int unix_dup2(int fd, int number);
int unix_open(const char *path, int flags, ...);
int unix_rename(const char *from, const char *to);
int unix_unlink(const char *path);
int unix_fcntl(int fd, int command, ...);
int unix_ioctl(int fd, unsigned long request, int *value);
int unix_poll(struct pollfd *entries, unsigned long count, int timeout);
int unix_ftruncate(int fd, off_t size);
/* A case that needs what there is none of. */
_Noreturn void unix_lacks(const char *what);
/* The same as the value of a call with arguments. */
int unix_lacking(const char *what, ...);

#define socket(family, type, protocol) unix_socket(family, type, protocol)
#define bind(fd, address, size) unix_bind(fd, address, size)
#define listen(fd, backlog) unix_listen(fd, backlog)
#define connect(fd, address, size) unix_connect(fd, address, size)
#define accept(fd, address, size) unix_accept(fd, address, size)
#define getsockname(fd, address, size) unix_getsockname(fd, address, size)
#define getsockopt(fd, level, name, value, size) unix_getsockopt(fd, level, name, value, size)
#define setsockopt(fd, level, name, value, size) unix_setsockopt(fd, level, name, value, size)
#define shutdown(fd, how) unix_shutdown(fd, how)
#define send(fd, bytes, count, flags) unix_send(fd, bytes, count, flags)
#define recv(fd, bytes, count, flags) unix_recv(fd, bytes, count, flags)
#define sendto(fd, bytes, count, flags, to, size) unix_sendto(fd, bytes, count, flags, to, size)
#define socketpair(family, type, protocol, fds) unix_socketpair(family, type, protocol, fds)
#define read(fd, bytes, count) unix_read(fd, bytes, count)
#define write(fd, bytes, count) unix_write(fd, bytes, count)
#define pwrite(fd, bytes, count, offset) unix_pwrite(fd, bytes, count, offset)
#define close(fd) unix_close(fd)
#define pipe(fds) unix_pipe(fds)
#define dup(fd) unix_dup(fd)
#define dup2(fd, number) unix_dup2(fd, number)
#define open(...) unix_open(__VA_ARGS__, 0)
#define rename(from, to) unix_rename(from, to)
#define unlink(path) unix_unlink(path)
#define fcntl(...) unix_fcntl(__VA_ARGS__, 0)
#define ioctl(fd, request, value) unix_ioctl(fd, request, value)
#define poll(entries, count, timeout) unix_poll(entries, count, timeout)
#define ftruncate(fd, size) unix_ftruncate(fd, size)

#define fork() unix_lacking("there is no fork()", 0)
#define waitid(type, id, info, options) unix_lacking("there is no fork()", type, id, info, options)
#define waitpid(pid, status, options) unix_lacking("there is no fork()", pid, status, options)
#define mkfifo(path, mode) unix_lacking("there are no FIFOs", path, mode)
#define sigaction(signal, new, old) unix_lacking("a signal interrupts nothing", signal, new, old)
#define sigemptyset(set) (int)(*(set) = 0)
#define sigaddset(set, signal) (*(set) |= 1ULL << (signal), 0)
#define sigprocmask(how, new, old) unix_lacking("a signal interrupts nothing", how, new, old)
#define pthread_sigmask(how, new, old) unix_lacking("a signal interrupts nothing", how, new, old)
#define pthread_kill(thread, signal) unix_lacking("a signal interrupts nothing", signal)
#define kill(pid, signal) unix_lacking("a signal interrupts nothing", pid, signal)
#define alarm(seconds) unix_lacking("there is no alarm()", seconds)
#define setitimer(which, new, old) unix_lacking("there is no setitimer()", which, new, old)
#define timer_create(clock, event, timer) unix_lacking("there is no timer_create()", clock, event, timer)
#define timer_settime(timer, flags, new, old) unix_lacking("there is no timer_create()", timer, flags, new, old)
#define timer_delete(timer) unix_lacking("there is no timer_create()", timer)
#define getrlimit(resource, limit) unix_lacking("there is no RLIMIT_NOFILE", resource, limit)
#define setrlimit(resource, limit) unix_lacking("there is no RLIMIT_NOFILE", resource, limit)
#define mkdir(path, mode) _mkdir(path)

#endif

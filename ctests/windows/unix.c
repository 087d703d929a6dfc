/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls that unix.h promises.
 */
#define SUITE "unix"
#include "../suite.h"

#undef socket
#undef bind
#undef listen
#undef connect
#undef accept
#undef getsockname
#undef getsockopt
#undef setsockopt
#undef shutdown
#undef send
#undef recv
#undef sendto
#undef read
#undef write
#undef close
#undef pipe
#undef dup
#undef dup2
#undef open
#undef rename
#undef unlink
#undef ftruncate

_Noreturn void unix_lacks(const char *what)
{
    suite_skip("unix.h", 0, what);
}

int unix_lacking(const char *what, ...)
{
    unix_lacks(what);
}

__attribute__((constructor)) static void begin(void)
{
    WSADATA data;
    WSAStartup(0x0202, &data);
    _fmode = _O_BINARY;
}

static int is_socket(int fd)
{
    int type, size = sizeof type;
    return fd >= 0 && getsockopt((SOCKET)fd, SOL_SOCKET, SO_TYPE, (char *)&type, &size) == 0;
}

static int errno_of(int error)
{
    switch (error) {
    case WSAEWOULDBLOCK:
        return EAGAIN;
    case WSAEINPROGRESS:
        return EINPROGRESS;
    case WSAECONNRESET:
        return ECONNRESET;
    case WSAECONNREFUSED:
        return ECONNREFUSED;
    case WSAENOTCONN:
        return ENOTCONN;
    case WSAESHUTDOWN:
        return EPIPE;
    case WSAEAFNOSUPPORT:
        return EAFNOSUPPORT;
    case WSAESOCKTNOSUPPORT:
        return ESOCKTNOSUPPORT;
    case WSAEPROTONOSUPPORT:
        return EPROTONOSUPPORT;
    case WSAEADDRNOTAVAIL:
        return EADDRNOTAVAIL;
    case WSAEMSGSIZE:
        return EMSGSIZE;
    case WSAENOTSOCK:
        return EBADF;
    case WSAETIMEDOUT:
        return ETIMEDOUT;
    default:
        return EINVAL;
    }
}

static intptr_t checked(intptr_t result)
{
    if (result == -1)
        errno = errno_of(WSAGetLastError());
    return result;
}

int unix_socket(int family, int type, int protocol)
{
    return (int)checked((intptr_t)socket(family, type, protocol));
}

int unix_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    return (int)checked(bind((SOCKET)fd, address, size));
}

int unix_listen(int fd, int backlog)
{
    return (int)checked(listen((SOCKET)fd, backlog));
}

int unix_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int result = (int)checked(connect((SOCKET)fd, address, size));
    if (result == -1 && errno == EAGAIN)
        errno = EINPROGRESS;
    return result;
}

int unix_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    return (int)checked((intptr_t)accept((SOCKET)fd, address, size));
}

int unix_getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
    return (int)checked(getsockname((SOCKET)fd, address, size));
}

int unix_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    int result = (int)checked(getsockopt((SOCKET)fd, level, name, value, size));
    if (result == 0 && level == SOL_SOCKET && name == SO_ERROR && *(int *)value != 0)
        *(int *)value = errno_of(*(int *)value);
    return result;
}

int unix_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    return (int)checked(setsockopt((SOCKET)fd, level, name, value, size));
}

int unix_shutdown(int fd, int how)
{
    return (int)checked(shutdown((SOCKET)fd, how));
}

ssize_t unix_send(int fd, const void *bytes, size_t count, int flags)
{
    u_long on = (flags & MSG_DONTWAIT) != 0, off = 0;
    if (on)
        ioctlsocket((SOCKET)fd, (long)FIONBIO, &on);
    ssize_t sent = checked(send((SOCKET)fd, bytes, (int)count, flags & ~MSG_DONTWAIT));
    if (on && !(unix_fcntl(fd, F_GETFL) & O_NONBLOCK))
        ioctlsocket((SOCKET)fd, (long)FIONBIO, &off);
    return sent;
}

ssize_t unix_recv(int fd, void *bytes, size_t count, int flags)
{
    return checked(recv((SOCKET)fd, bytes, (int)count, flags));
}

ssize_t unix_sendto(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *to, socklen_t size)
{
    return checked(sendto((SOCKET)fd, bytes, (int)count, flags, to, size));
}

/* The other end of each socket of a pair; 0: none. */
static int peers[4096];

static u_long queued(int fd)
{
    u_long bytes = 0;
    ioctlsocket((SOCKET)fd, (long)FIONREAD, &bytes);
    return bytes;
}

/* Two ends of a connection over the loopback device, which is what there is. */
int unix_socketpair(int family, int type, int protocol, int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = sizeof address, one = 1;
    (void)family;
    (void)protocol;
    if (type != SOCK_STREAM)
        unix_lacks("no AF_UNIX sockets of this type");
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return (int)checked(-1);
    fds[0] = (int)socket(AF_INET, SOCK_STREAM, 0);
    if (connect((SOCKET)fds[0], (struct sockaddr *)&address, size) != 0)
        return (int)checked(-1);
    fds[1] = (int)accept(listener, NULL, NULL);
    closesocket(listener);
    for (int i = 0; i < 2; i++)
        setsockopt((SOCKET)fds[i], IPPROTO_TCP, TCP_NODELAY, (char *)&one, sizeof one);
    for (int i = 0; i < 2; i++)
        if (fds[i] < (int)(sizeof peers / sizeof *peers))
            peers[fds[i]] = fds[!i];
    return 0;
}

ssize_t unix_read(int fd, void *bytes, size_t count)
{
    return is_socket(fd) ? unix_recv(fd, bytes, count, 0) : _read(fd, bytes, (unsigned)count);
}

ssize_t unix_write(int fd, const void *bytes, size_t count)
{
    if (!is_socket(fd))
        return _write(fd, bytes, (unsigned)count);
    /* Who fills a buffer writes whole blocks, and does not count on that. */
    int peer = count < 4096 && fd < (int)(sizeof peers / sizeof *peers) ? peers[fd] : 0;
    u_long before = peer ? queued(peer) : 0;
    ssize_t sent = unix_send(fd, bytes, count, 0);
    /* What is written to a pair is there; over the loopback device it takes a moment (less, if somebody reads). */
    for (int turn = 0; peer && sent > 0 && turn < 20 && queued(peer) < before + (u_long)sent; turn++)
        Sleep(turn > 4);
    return sent;
}

ssize_t unix_pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    OVERLAPPED place = {.Offset = (DWORD)offset};
    long before = _lseek(fd, 0, SEEK_CUR);
    DWORD written = 0;
    BOOL done = WriteFile((HANDLE)_get_osfhandle(fd), bytes, (DWORD)count, &written, &place);
    _lseek(fd, before, SEEK_SET);
    return done ? (ssize_t)written : -1;
}

int unix_close(int fd)
{
    if (!is_socket(fd))
        return _close(fd);
    if (fd < (int)(sizeof peers / sizeof *peers) && peers[fd] != 0) {
        peers[peers[fd]] = 0;
        peers[fd] = 0;
    }
    return (int)checked(closesocket((SOCKET)fd));
}

int unix_pipe(int fds[2])
{
    return _pipe(fds, 65536, _O_BINARY | _O_NOINHERIT);
}

int unix_dup(int fd)
{
    if (is_socket(fd))
        unix_lacks("a socket has no dup()");
    return _dup(fd);
}

int unix_dup2(int fd, int number)
{
    if (is_socket(fd))
        unix_lacks("a socket has no dup2()");
    return _dup2(fd, number) == 0 ? number : -1;
}

/* As others may rename and remove it meanwhile. */
int unix_open(const char *path, int flags, ...)
{
    static const DWORD access[] = {GENERIC_READ, GENERIC_WRITE, GENERIC_READ | GENERIC_WRITE};
    DWORD disposition = !(flags & _O_CREAT) ? (flags & _O_TRUNC ? TRUNCATE_EXISTING : OPEN_EXISTING)
                        : flags & _O_EXCL   ? CREATE_NEW
                        : flags & _O_TRUNC  ? CREATE_ALWAYS
                                            : OPEN_ALWAYS;
    DWORD rights = access[flags & 3];
    if (flags & _O_APPEND)
        rights = (rights & ~(DWORD)GENERIC_WRITE) | FILE_APPEND_DATA | SYNCHRONIZE;
    if (strcmp(path, "/dev/null") == 0)
        path = "NUL";
    HANDLE file = CreateFileA(path, rights, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, disposition,
                              FILE_FLAG_BACKUP_SEMANTICS, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        errno = GetLastError() == ERROR_FILE_NOT_FOUND ? ENOENT : EACCES;
        return -1;
    }
    return _open_osfhandle((intptr_t)file, (flags & _O_APPEND) | _O_BINARY | _O_NOINHERIT);
}

int unix_rename(const char *from, const char *to)
{
    if (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING))
        return 0;
    errno = EACCES;
    return -1;
}

int unix_unlink(const char *path)
{
    if (DeleteFileA(path))
        return 0;
    errno = GetLastError() == ERROR_FILE_NOT_FOUND ? ENOENT : EACCES;
    return -1;
}

int unix_ftruncate(int fd, off_t size)
{
    return _chsize_s(fd, size) == 0 ? 0 : -1;
}

int unix_fcntl(int fd, int command, ...)
{
    static volatile unsigned char blocks_not[65536];
    va_list arguments;
    va_start(arguments, command);
    int value = va_arg(arguments, int);
    va_end(arguments);
    int open = is_socket(fd) || _get_osfhandle(fd) != -1;
    if (!open) {
        errno = EBADF;
        return -1;
    }
    switch (command) {
    case F_GETFD:
        return FD_CLOEXEC;
    case F_SETFD:
        return 0;
    case F_GETFL:
        return is_socket(fd) && blocks_not[fd & 0xffff] ? O_NONBLOCK : 0;
    case F_SETFL: {
        u_long on = (value & O_NONBLOCK) != 0;
        if (!is_socket(fd) && on)
            unix_lacks("a pipe has no O_NONBLOCK");
        blocks_not[fd & 0xffff] = (unsigned char)on;
        return is_socket(fd) ? (int)checked(ioctlsocket((SOCKET)fd, (long)FIONBIO, &on)) : 0;
    }
    default:
        return unix_dup(fd);
    }
}

int unix_ioctl(int fd, unsigned long request, int *value)
{
    u_long bytes = 0;
    DWORD available = 0;
    if (is_socket(fd)) {
        if (checked(ioctlsocket((SOCKET)fd, (long)request, &bytes)) == -1)
            return -1;
        *value = (int)bytes;
        return 0;
    }
    if (!PeekNamedPipe((HANDLE)_get_osfhandle(fd), NULL, 0, NULL, &available, NULL)) {
        errno = EINVAL;
        return -1;
    }
    *value = (int)available;
    return 0;
}

/* Nothing here polls a descriptor but a kqueue: what one says of a number is what poll() would say. */
static int poll_descriptor(struct pollfd *entry, int timeout)
{
    struct kevent ev;
    struct timespec time = duration(timeout < 0 ? 3600 * SECOND : timeout * MILLISECOND);
    int kq = kqueue(), error;
    EV_SET(&ev, entry->fd, entry->events & POLLIN ? EVFILT_READ : EVFILT_WRITE, EV_ADD, 0, 0, 0);
    int count = kevent(kq, &ev, 1, NULL, 0, NULL);
    if (count == 0)
        count = kevent(kq, NULL, 0, &ev, 1, &time);
    error = errno;
    _close(kq);
    errno = error;
    entry->revents = count > 0 ? entry->events : 0;
    return count;
}

int unix_poll(struct pollfd *entries, unsigned long count, int timeout)
{
    for (unsigned long i = 0; i < count; i++)
        if (!is_socket((int)entries[i].fd)) {
            if (count == 1)
                return poll_descriptor(entries, timeout);
            unix_lacks("nothing polls descriptors (10.5)");
        }
    if (count == 1 && entries->events & POLLPRI) {
        fd_set urgent;
        struct timeval time = {timeout / 1000, timeout % 1000 * 1000};
        FD_ZERO(&urgent);
        FD_SET(entries->fd, &urgent);
        int result = (int)checked(select(0, NULL, NULL, &urgent, &time));
        entries->revents = result > 0 ? POLLPRI : 0;
        return result;
    }
    /* Hang-ups and errors are told unasked, and asking for them is an error. */
    short asked = entries->events;
    for (unsigned long i = 0; i < count; i++)
        if (entries[i].events & (POLLHUP | POLLERR))
            entries[i].events = POLLIN;
    int result = (int)checked(WSAPoll(entries, count, timeout));
    if (count == 1)
        entries->events = asked;
    /* An end can be read, says Unix, and tells nothing else; here it is a hang-up and no more. */
    for (unsigned long i = 0; i < count; i++) {
        if (entries[i].revents == POLLHUP && !(entries[i].events & (POLLIN | POLLHUP))) {
            entries[i].revents = 0;
            result--;
            Sleep(timeout > 0 ? (DWORD)timeout : 0);
        } else if (entries[i].revents & POLLHUP) {
            entries[i].revents |= entries[i].events & POLLIN;
        }
    }
    return result;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it costs where a sandbox, or an old kernel, refuses a system call for good. ctests/refusals.c proves it: with
 * every operation (operations.c) that makes the call.
 *
 * REFUSAL(name, call, use, errors, costs, outcome)
 *
 * name             rows of one name hold together
 * call, use        as in faults.h, THIRD as USE; PROC: calls about a path in /proc; NETLINK_BIND: of a netlink socket
 * errors           with which it is refused, one after the other
 * costs            the operations that do not work then: their names, or parts of them. All others work.
 * outcome          what they fail with: GIVEN the refusal's errno, or another one
 *
 * Not in here, because nothing works without them: epoll_create1, epoll_ctl, epoll_wait, epoll_pwait, fcntl, fstat,
 * poll, ioctl(FIONREAD), read, close, dup3, mmap, munmap, futex, rt_sigaction, rt_sigprocmask, and what
 * cannot be refused (getpid, clock_gettime...). A wait that the system refuses is EBADF.
 */

/* The kind of a socket is not known: the hang-up bits tell its end, `data` may be 1. */
REFUSAL("getsockopt", getsockopt, ANY, E(EPERM, ENOSYS), "", GIVEN)
/* Time-outs are rounded up to milliseconds. */
REFUSAL("epoll_pwait2", epoll_pwait2, ANY, E(EPERM, ENOSYS), "", GIVEN)
/* User space cannot make the queue readable, or be woken: EVFILT_USER, EVFILT_TIMER, EVFILT_SIGNAL, EVFILT_VNODE. */
REFUSAL("eventfd", eventfd2, ANY, E(EPERM, ENOSYS),
        "user trigger traced timer period signal handler sigaction fork helper close_queue stale vnode directory fifo", GIVEN)
REFUSAL("eventfd", eventfd2, ANY, E(EPERM, ENOSYS), "duplicate", EBADF)
REFUSAL("timerfd_create", timerfd_create, ANY, E(EPERM, ENOSYS), "timer period close_queue stale", GIVEN)
REFUSAL("timerfd_settime", timerfd_settime, ANY, E(EPERM, ENOSYS), "timer period close_queue stale", GIVEN)
REFUSAL("signalfd", signalfd4, ANY, E(EPERM, ENOSYS), "signal handler sigaction close_queue stale", GIVEN)
/* Files are looked at 50 times a second; what only a witness can tell (NOTE_OPEN and its kin) is refused. */
REFUSAL("inotify", inotify_init1, ANY, E(EPERM, ENOSYS), "", GIVEN)
REFUSAL("inotify_add_watch", inotify_add_watch, ANY, E(EPERM, ENOSYS), "", GIVEN)
/* Processes are looked at by their number. */
REFUSAL("pidfd_open", pidfd_open, ANY, E(EPERM, ENOSYS), "", GIVEN)
REFUSAL("pidfd_send_signal", pidfd_send_signal, ANY, E(EPERM, ENOSYS), "", GIVEN)
/* What the pidfd would tell is asked elsewhere. */
REFUSAL("PIDFD_GET_INFO", ioctl, USE(PIDFD_GET_INFO), E(ENOTTY, EPERM), "", GIVEN)
REFUSAL("kill", kill, ANY, E(EPERM, ENOSYS), "", GIVEN)
REFUSAL("uname", uname, ANY, E(EPERM, ENOSYS), "", GIVEN)
/* Who forks and executes. */
REFUSAL("netlink", socket, FIRST(AF_NETLINK), E(EPERM, ENOSYS, EAFNOSUPPORT, EPROTONOSUPPORT), "forks process_again",
        EOPNOTSUPP)
REFUSAL("bind", NETLINK_BIND, ANY, E(EPERM, ENOSYS), "forks process_again", EOPNOTSUPP)
REFUSAL("socket filter", setsockopt, THIRD(SO_ATTACH_FILTER), E(EPERM, ENOSYS), "forks process_again", EOPNOTSUPP)
/* Of what pipe(2) made that it is no file: it is taken for a FIFO. */
REFUSAL("fstatfs", fstatfs, ANY, E(EPERM, ENOSYS), "", GIVEN)
/* The limit on descriptors. */
REFUSAL("prlimit64", prlimit64, ANY, E(EPERM, ENOSYS), "", GIVEN)
/* The program's own close_range() fails, and nothing is lost by it. */
REFUSAL("close_range", close_range, ANY, E(EPERM, ENOSYS), "close_range", GIVEN)

/* Forks are told in the numbers of the first PID namespace, and /proc says which one this is. A file is watched by
 * its path in /proc; without it is looked at. */
REFUSAL("/proc", PROC, ANY, E(ENOENT, EACCES), "forks process_again", EOPNOTSUPP)

/* ---- Old kernels -------------------------------------------------------------------------------- */

/* 6.12: pidfds tell nothing, the connector is the superuser's. */
REFUSAL("Linux 6.5", ioctl, USE(PIDFD_GET_INFO), E(ENOTTY), "", GIVEN)
REFUSAL("Linux 6.5", NETLINK_BIND, ANY, E(EPERM), "forks process_again", EOPNOTSUPP)
/* 5.2: neither pidfds nor close_range nor epoll_pwait2. */
REFUSAL("Linux 5.2", pidfd_open, ANY, E(ENOSYS), "", GIVEN)
REFUSAL("Linux 5.2", pidfd_send_signal, ANY, E(ENOSYS), "", GIVEN)
REFUSAL("Linux 5.2", ioctl, USE(PIDFD_GET_INFO), E(ENOTTY), "", GIVEN)
REFUSAL("Linux 5.2", epoll_pwait2, ANY, E(ENOSYS), "", GIVEN)
REFUSAL("Linux 5.2", close_range, ANY, E(ENOSYS), "close_range", GIVEN)
REFUSAL("Linux 5.2", NETLINK_BIND, ANY, E(EPERM), "forks process_again", EOPNOTSUPP)

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call that the library makes on Linux, with the errors that it can return and what is allowed to
 * come of them. ctests/faults.c makes every call of every operation fail with each of them, once; a call that is
 * seen and not in here fails. (ctests/refusals.h is the table of calls that always fail.)
 *
 * FAULT(call, use, errors, outcome)
 *
 * call, use        the system call; where the use is not ANY, calls whose first argument is FIRST(value), whose
 *                  second is USE(value); KNOWN: an addition to an epoll of what is in it
 * errors           what it fails with, one after the other; NONE: it cannot fail, given what the library gives it
 * outcome          what may come of it:
 *   GIVEN          kevent() or whatever was called fails with that very errno
 *   AS(error)      it fails with this one, OR_AS(error) with that one
 *   WORKS          it succeeds by other means, or what failed was not needed
 *   LATER          a wait reports nothing, and the next one reports it
 *
 * Whatever comes of it: everything that was registered before goes on, the same call succeeds when it is made
 * again, and no descriptor is left over.
 */

/* ---- Descriptors that are made ------------------------------------------------------------------ */

/* An epoll that is to be replaced is so by the next call. */
FAULT(epoll_create1, ANY, E(EMFILE, ENFILE, ENOMEM), GIVEN | WORKS)
/* A number that may be a duplicate of a kqueue is none as far as can be told. */
FAULT(eventfd2, ANY, E(EMFILE, ENFILE, ENOMEM, ENODEV), GIVEN | AS(EBADF) | WORKS)
FAULT(timerfd_create, ANY, E(EMFILE, ENFILE, ENOMEM, ENODEV, EPERM), GIVEN | WORKS)
FAULT(signalfd4, ANY, E(EMFILE, ENFILE, ENOMEM, ENODEV), GIVEN | WORKS)
/* A regular file is looked at by the clock then. */
FAULT(inotify_init1, ANY, E(EMFILE, ENFILE, ENOMEM), GIVEN | WORKS)
/* Without it a process is looked at by its number. */
FAULT(pidfd_open, ANY, E(EMFILE, ENFILE, ENOMEM, ENODEV, ESRCH), GIVEN)
FAULT(pidfd_open, ANY, E(ENOSYS, EPERM), WORKS)
FAULT(pidfd_open, ANY, E(EINVAL), AS(ESRCH))
FAULT(socket, ANY, E(EMFILE, ENFILE, ENOMEM, ENOBUFS), GIVEN)
FAULT(socket, ANY, E(EPROTONOSUPPORT, EAFNOSUPPORT, EPERM, EACCES), AS(EOPNOTSUPP))
/* A helper stays where it is then. The pidfd of EVFILT_PROCDESC has nowhere to stay. */
FAULT(fcntl, USE(F_DUPFD_CLOEXEC), E(EMFILE, ENOMEM, EINVAL), GIVEN | WORKS)
/* /proc is asked by other means; freopen() is the program's own. */
FAULT(openat, ANY, E(EMFILE, ENFILE, ENOMEM, ENOENT, EACCES, EPERM), GIVEN | WORKS)
FAULT(dup3, ANY, E(EBADF, EBUSY, EINTR, EMFILE), GIVEN | WORKS)
FAULT(dup2, ANY, E(EBADF, EBUSY, EINTR, EMFILE), GIVEN)

/* ---- epoll -------------------------------------------------------------------------------------- */

/* The library asks so whether an item is there (EEXIST); only one that is not takes memory. */
FAULT(epoll_ctl, KNOWN, NONE, WORKS)
FAULT(epoll_ctl, USE(EPOLL_CTL_ADD), E(ENOMEM), GIVEN | AS(EBADF) | WORKS)
FAULT(epoll_ctl, USE(EPOLL_CTL_ADD), E(ENOSPC), AS(ENOMEM) | OR_AS(EBADF) | WORKS)
FAULT(epoll_ctl, USE(EPOLL_CTL_MOD), E(ENOMEM), GIVEN | AS(EBADF) | WORKS)
FAULT(epoll_ctl, USE(EPOLL_CTL_DEL), E(ENOMEM), WORKS)
FAULT(epoll_pwait2, ANY, E(ENOSYS, EPERM), WORKS)
FAULT(epoll_pwait2, ANY, E(EINTR), GIVEN)
FAULT(epoll_pwait, ANY, E(EINTR), GIVEN)
FAULT(epoll_wait, ANY, E(EINTR), GIVEN | WORKS)

/* ---- poll and a thread (the POSIX backend) -------------------------------------------------------- */

FAULT(pipe2, ANY, E(EMFILE, ENFILE), GIVEN)
FAULT(ppoll, ANY, E(EINTR, ENOMEM), GIVEN | WORKS | LATER)
FAULT(clone3, ANY, E(EAGAIN, ENOMEM), GIVEN | WORKS)
FAULT(mprotect, ANY, NONE, WORKS) /* the thread's stack */
/* That, too; and on Linux a child by a bare clone() is known by its number alone then. */
FAULT(madvise, ANY, E(EINVAL, ENOMEM, EPERM), WORKS)

/* ---- Helpers ------------------------------------------------------------------------------------ */

FAULT(timerfd_settime, ANY, E(ENOMEM), GIVEN | WORKS)
FAULT(inotify_add_watch, ANY, E(ENOSPC, ENOMEM, EACCES, ENOENT), GIVEN | AS(ENOMEM) | WORKS)
FAULT(inotify_rm_watch, ANY, E(EINVAL), WORKS)
FAULT(read, ANY, E(EINTR, EAGAIN, EIO, ENOMEM), WORKS | LATER)
FAULT(close, ANY, E(EINTR, EIO), GIVEN | WORKS)
FAULT(rt_sigtimedwait, ANY, E(EINTR, EAGAIN), WORKS | LATER)

/* ---- What a descriptor is, and how it stands ---------------------------------------------------- */

FAULT(ioctl, USE(FIONREAD), E(ENOTTY, EINVAL, EPERM, ENOMEM), WORKS)
FAULT(ioctl, USE(TIOCOUTQ), E(ENOTTY, EINVAL, EPERM), WORKS)
FAULT(ioctl, USE(TCGETS), E(ENOTTY, EPERM), WORKS)
FAULT(ioctl, ANY, E(ENOTTY, EINVAL, EPERM), WORKS)
FAULT(poll, ANY, E(EINTR, ENOMEM, EPERM), WORKS | LATER)
FAULT(getsockopt, ANY, E(ENOPROTOOPT, EPERM, ENOSYS, ENOBUFS), WORKS)
FAULT(newfstatat, FIRST(AT_FDCWD), E(ENOENT, EACCES, ENOMEM), AS(EOPNOTSUPP) | WORKS)
FAULT(newfstatat, ANY, E(ENOMEM), GIVEN | AS(EBADF) | WORKS | LATER)
FAULT(fstat, ANY, E(ENOMEM), GIVEN | AS(EBADF) | WORKS | LATER)
/* Of a FIFO: is it pipe(2)'s? */
FAULT(fstatfs, ANY, E(ENOSYS, EPERM, ENOMEM, EINTR), WORKS)
FAULT(lseek, ANY, E(ESPIPE, EPERM), WORKS)
FAULT(fcntl, USE(F_GETFD), E(EPERM), GIVEN | WORKS)
FAULT(fcntl, USE(F_GETFL), E(EPERM), WORKS)
FAULT(fcntl, USE(F_SETSIG), E(EPERM), WORKS)
FAULT(fcntl, USE(F_GETSIG), NONE, WORKS)
FAULT(fcntl, USE(F_SETFL), E(EPERM), WORKS)
FAULT(fcntl, USE(F_GETPIPE_SZ), E(EPERM), WORKS)
FAULT(sendto, ANY, E(EAGAIN, ENOBUFS, ENOMEM, ECONNREFUSED), GIVEN | AS(EOPNOTSUPP) | WORKS)
FAULT(recvfrom, ANY, E(EAGAIN, ENOBUFS, EINTR, ENOMEM), GIVEN | AS(EOPNOTSUPP) | WORKS | LATER)

/* ---- Processes ---------------------------------------------------------------------------------- */

FAULT(bind, ANY, E(EPERM, ENOMEM), GIVEN | AS(EOPNOTSUPP))
FAULT(setsockopt, ANY, E(ENOMEM, EPERM, ENOBUFS), GIVEN | AS(EOPNOTSUPP) | WORKS)
FAULT(waitid, ANY, E(ECHILD, EINVAL, EPERM), WORKS)
FAULT(pidfd_send_signal, ANY, E(EPERM, ENOSYS), WORKS)
FAULT(kill, ANY, E(EPERM), WORKS)
FAULT(readlink, ANY, E(ENOENT, EACCES, ENOMEM, EPERM), WORKS)
FAULT(kcmp, ANY, E(EPERM, ENOSYS), WORKS)
FAULT(uname, ANY, E(EPERM), WORKS)
FAULT(clone, ANY, E(EAGAIN, ENOMEM), GIVEN)

/* ---- The rest ----------------------------------------------------------------------------------- */

FAULT(prlimit64, ANY, E(EPERM), WORKS)
FAULT(mmap, ANY, E(ENOMEM), GIVEN | WORKS)
FAULT(munmap, ANY, E(ENOMEM), WORKS)
FAULT(close_range, ANY, E(ENOMEM, EMFILE), GIVEN | WORKS)
FAULT(rt_sigaction, ANY, E(EPERM), GIVEN | WORKS)
FAULT(brk, ANY, NONE, WORKS) /* memory.c makes allocations fail */
FAULT(rt_sigprocmask, ANY, NONE, WORKS)
FAULT(rt_sigpending, ANY, NONE, WORKS)
FAULT(getpid, ANY, NONE, WORKS)
FAULT(gettid, ANY, NONE, WORKS)
FAULT(tgkill, ANY, NONE, WORKS) /* the case's own raise() */
FAULT(nanosleep, ANY, E(EINTR), WORKS) /* a closer that waits for who is inside */
FAULT(sched_yield, ANY, NONE, WORKS)
/* A line of KQUEUE_DEBUG that nobody takes. */
FAULT(write, ANY, E(EAGAIN, EINTR, EIO, ENOSPC, EBADF, EPIPE, EFBIG), WORKS)
FAULT(futex, ANY, E(EINTR, EAGAIN), WORKS)
FAULT(set_robust_list, ANY, NONE, WORKS) /* libc's, in a child */
FAULT(rseq, ANY, NONE, WORKS)
FAULT(wait4, ANY, NONE, WORKS) /* libc's, in pclose() */
FAULT(getdents64, ANY, E(ENOENT, EPERM), WORKS) /* a process's children, where events were lost */

#!/bin/sh
# What "make check-posix" runs on the staged installation of the backend for any Unix: it calls nothing that only Linux
# has, and the C conformance suite. ARGS are passed on to the suite.

stage=${1:?the staged prefix}
cd "$(dirname "$0")/.." || exit 1

linux='epoll_|timerfd_|signalfd|inotify_|eventfd|pidfd_|fanotify_|process_vm_|io_uring_'
called=$(nm -D --undefined-only --format=posix "$stage/lib/libkqueue.so") || exit 1
if printf '%s\n' "$called" | grep -E "^($linux)"; then
    echo "the library calls what only Linux has"
    exit 1
fi
# By number they would leave no name.
if grep -rn 'libc::syscall\|/proc/' src/platform/posix src/platform/unix; then
    echo "the backend makes system calls by number, or looks into /proc"
    exit 1
fi
exec "${MAKE:-make}" --no-print-directory -C ctests check PREFIX_DIR="$stage" BUILD=../build/ctests-posix \
    ARGS="-b posix $ARGS"

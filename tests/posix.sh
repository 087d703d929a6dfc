#!/bin/sh
# What "make check-posix" runs on the staged installation of the backend for any Unix: it installs as the same library,
# calls nothing that only Linux has, and passes the C conformance suite. ARGS are passed on to the suite.

stage=${1:?the staged prefix}
cd "$(dirname "$0")/.." || exit 1
library=$stage/lib/libkqueue.so header=$stage/include/kqueue/sys/event.h

fail() {
    echo "$*" >&2
    exit 1
}

# By the names that programs built for another backend ask for.
readelf -d "$library" | grep -q 'SONAME.*\[libkqueue\.so\.0\]' || fail "it has another soname"
[ "$(readlink "$library")" = libkqueue.so.0 ] && [ -e "$library" ] || fail "libkqueue.so leads nowhere"
defined=$(nm -D --defined-only --format=posix "$library" | cut -d' ' -f1)
for symbol in $(sed -n 's/^[a-z_]/&/p' exports.txt); do
    printf '%s\n' "$defined" | grep -qx "$symbol" || fail "it does not export $symbol"
done
# What it does not serve its header does not define, and only that.
left_out=$(diff "$header" include/kqueue/sys/event.h | sed -n 's/^[<>] #define \([A-Z_]*\).*/\1/p' | sort)
[ "$left_out" = "$(tr ' ' '\n' < src/platform/posix/absent | sort)" ] || fail "the header leaves out: $left_out"

linux='epoll_|timerfd_|signalfd|inotify_|eventfd|pidfd_|fanotify_|process_vm_|io_uring_'
called=$(nm -D --undefined-only --format=posix "$library") || exit 1
if printf '%s\n' "$called" | grep -E "^($linux)"; then
    fail "the library calls what only Linux has"
fi
# By number they would leave no name.
if grep -rn 'libc::syscall\|/proc/' src/platform/posix src/platform/unix; then
    fail "the backend makes system calls by number, or looks into /proc"
fi

check() {
    "${MAKE:-make}" --no-print-directory -C ctests check PREFIX_DIR="$stage" BUILD=../build/ctests-posix ARGS="$*"
}
# shellcheck disable=SC2086 # a list
check -b posix $ARGS || exit 1
# Again, with whatever reaches such a call all the same caught in it. Of the cases that take long one time is enough.
[ -n "$ARGS" ] || check -b posix -w linux cancel close descriptor errors found kevent library library_fork pair proc \
    process read read_eof read_files read_pipes signal threads timeout timer timer_absolute user vnode_events \
    vnode_files vnode_queue write write_eof

#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# libuv's own test suite. It has no kqueue backend for Linux: its Linux sources are built with the event loop, the
# file watcher and the reaping of children of the BSDs in the place of its own (READ, WRITE, VNODE, PROC).

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

begin libuv
needs cc cmake make timeout
fetch libuv1

build() {
    if [ "$1" = kqueue ]; then
        # What a handle and the loop hold.
        sed 's/UV_BSD_H/UV_LINUX_H/' include/uv/bsd.h > include/uv/linux.h
        sed -i '/src\/unix\/linux-inotify.c/d; s|src/unix/epoll.c|src/unix/kqueue.c|' CMakeLists.txt
        # glibc has no sys/sysctl.h, and none of it is used.
        sed -i '/sys\/sysctl.h/d' src/unix/kqueue.c
        sed -i 's/^#define UV_USE_SIGCHLD/#include <sys\/event.h>/' src/unix/process.c
        # The loop's birth, fork and end.
        sed -i '/^int uv__platform_loop_init/,/^uint64_t uv__hrtime/{/^uint64_t uv__hrtime/!d}' src/unix/linux-core.c
        cat >> src/unix/linux-core.c <<'C'

int uv__platform_loop_init(uv_loop_t* loop) {
  return uv__kqueue_init(loop);
}

void uv__platform_loop_delete(uv_loop_t* loop) {
}
C
        sed -i 's/list(APPEND uv_libraries dl rt)/list(APPEND uv_libraries dl rt kqueue)/' CMakeLists.txt
        cmake -S . -B out -DBUILD_TESTING=ON -DLIBUV_BUILD_BENCH=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo \
            -DCMAKE_C_FLAGS="$KQUEUE_CFLAGS" -DCMAKE_EXE_LINKER_FLAGS="$KQUEUE_LDFLAGS" -DCMAKE_SHARED_LINKER_FLAGS="$KQUEUE_LDFLAGS"
    else
        cmake -S . -B out -DBUILD_TESTING=ON -DLIBUV_BUILD_BENCH=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo
    fi
    # Its tests with the library inside: the program is linked with ours itself.
    make -C out -j2 uv_run_tests_a
}
tree epoll build
tree kqueue build

# method BACKEND: what the loop's descriptor is made by.
method() {
    nm -u "$BUILD/$1/out/uv_run_tests_a" | sed -n -E 's/^ *U (epoll_create1|kqueue)(@.*)?$/\1/p'
}
assert_method epoll_create1 "$(method epoll)"
assert_method kqueue "$(method kqueue)"

# tests BACKEND: the verdicts of all its tests, out of the TAP it prints; what fails is run again alone.
tests() {
    local log=$LOGS/tap-$1 again=$LOGS/again-$1 verdict test n
    (cd "$BUILD/$1" && timeout -k 5 900 out/uv_run_tests_a) > "$log" 2>&1 < /dev/null
    sed -n -E 's/^not ok [0-9]+ - (.*)/FAIL \1/p; s/^ok [0-9]+ - ([^ ]+) # SKIP.*/SKIP \1/p; s/^ok [0-9]+ - ([^ ]+)$/OK \1/p' "$log" |
        while read -r verdict test; do
            for ((n = 0; n < 3; n++)); do
                [ "$verdict" = FAIL ] || break
                (cd "$BUILD/$1" && timeout -k 5 60 out/uv_run_tests_a "$test") > "$again" 2>&1 < /dev/null && verdict=OK
            done
            echo "$verdict $test"
        done > "$LOGS/tests.$1"
}

# Both use the same ports, so that one goes after the other.
tests epoll
tests kqueue
suite tests epoll kqueue
finish

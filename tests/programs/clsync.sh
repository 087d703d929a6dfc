#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# clsync, which gives kevent() all its changes anew with every call (EVFILT_VNODE, EV_CLEAR), beside itself on inotify. It has
# no test suite; for which changes of a tree it calls its handler is what is looked at.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

begin clsync
needs cc make autoreconf libtoolize pkg-config timeout
pkg-config --exists glib-2.0 || skip "no glib-2.0 (libglib2.0-dev)"
fetch clsync

build() {
    # The directory is to be read by that descriptor: O_PATH is nothing where kqueue is at home, and Linux's forbids it.
    sed -i 's/O_RDONLY | O_PATH/O_RDONLY/' mon_kqueue.c
    autoreconf -i
    ./configure --with-kqueue=lib --with-inotify=native --with-gio=no --with-bsm=no --disable-capabilities \
        --disable-seccomp --without-libcgroup --disable-unshare --enable-lto=no CPPFLAGS="$KQUEUE_CFLAGS" LDFLAGS="$KQUEUE_LDFLAGS" CFLAGS='-O1 -g -w'
    make -j2
}
tree both build

# tests MONITOR: "OK|FAIL NAME"; each waits for the handler to be told of the path.
tests() {
    local monitor=$1 dir=$BUILD/tree-$1 told=$LOGS/told-$1
    tell() { if "${@:2}"; then echo "OK $1"; else echo "FAIL $1"; fi; }
    rm -rf "$dir"
    mkdir -p "$dir/sub"
    : > "$told"
    rm -f "$LOGS/calls-$monitor"
    echo text | tee "$dir/file" "$dir/moved" "$dir/gone" > "$dir/sub/inner"
    printf '#!/bin/sh\necho "$4" >> %s\n' "$told" > "$BUILD/handler-$monitor"
    chmod +x "$BUILD/handler-$monitor"
    start "$LOGS/clsync-$monitor" env KQUEUE_DEBUG=1 KQUEUE_DEBUG_FILE="$LOGS/calls-$monitor" "$BUILD/both/clsync" --monitor="$monitor" --mode=simple --watch-dir="$dir" \
        --sync-handler="$BUILD/handler-$monitor" --delay-sync=1 --delay-collect=1 --threshold-bigfile=0 --skip-initialsync
    # seen PATH...: waits until each is told of.
    seen() {
        local n path
        for path; do
            for ((n = 0; n < 300; n++)); do
                grep -q -x "$dir/$path" "$told" && continue 2
                sleep 0.1
            done
            return 1
        done
    }
    watches() {
        local n
        for ((n = 0; n < 300; n++)); do
            echo more >> "$dir/file"
            grep -q -x "$dir/file" "$told" && return
            sleep 0.1
        done
        return 1
    }
    # again COMMAND...: forgets what was told of, and does it.
    again() { : > "$told" && "$@"; }
    append() { echo more >> "$dir/$1"; }
    tell write watches
    again append sub/inner
    tell write_below seen sub/inner
    again append new
    tell create seen new
    again append new
    tell created_is_watched seen new
    again rm "$dir/gone"
    tell remove seen gone
    again mv "$dir/moved" "$dir/renamed"
    tell rename seen renamed
    again chmod 600 "$dir/file"
    tell attributes seen file
    again mkdir "$dir/deeper"
    tell directory seen deeper
    stop_all
}
tests inotify > "$LOGS/tree.epoll"
tests kqueue > "$LOGS/tree.kqueue"
# method MONITOR: whether it called our library.
method() { if [ -s "$LOGS/calls-$1" ]; then echo kqueue; else echo inotify; fi; }
assert_method inotify "$(method inotify)"
assert_method kqueue "$(method kqueue)"
suite tree inotify kqueue
finish

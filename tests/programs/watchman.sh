#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# watchman, which watches a tree by EVFILT_VNODE and polls its kqueue, or by inotify. Its test suite wants Python 2; what it
# says of changes to a tree is what is looked at. Every question waits until the watcher has seen a file that watchman itself
# makes.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

begin watchman
needs c++ make autoreconf pkg-config timeout
fetch watchman

build() {
    CPPFLAGS=$KQUEUE_CFLAGS CXXFLAGS='-O1 -w' CFLAGS='-O1 -w' LDFLAGS=$KQUEUE_LDFLAGS LIBS=-lkqueue
    export CPPFLAGS CXXFLAGS CFLAGS LDFLAGS LIBS
    autoreconf -i
    ./configure --without-python --without-pcre --without-ruby --enable-conffile="$PWD/watchman.json" --enable-statedir="$PWD/state"
    make -j2 watchman
}
tree both build

# tests WATCHER: "OK|FAIL NAME".
tests() {
    local watcher=$1 dir=$BUILD/tree-$1 state=$BUILD/state-$1 clock said
    tell() { if "${@:2}"; then echo "OK $1"; else echo "FAIL $1"; fi; }
    ask() { timeout -k 5 120 "$BUILD/both/watchman" -U "$state/socket" --no-spawn --no-pretty "$@" 2>> "$LOGS/ask-$watcher"; }
    rm -rf "$dir" "$state"
    mkdir -p "$dir/sub" "$state"
    chmod 700 "$state"
    echo "{\"watcher\": \"$watcher\"}" > "$dir/.watchmanconfig"
    echo text | tee "$dir/file" "$dir/moved" "$dir/gone" > "$dir/sub/inner"
    start "$LOGS/server-$watcher" env HOME="$state" KQUEUE_DEBUG=1 KQUEUE_DEBUG_FILE="$LOGS/calls-$watcher" "$BUILD/both/watchman" -U "$state/socket" --statefile="$state/state" \
        --logfile="$LOGS/log-$watcher" --foreground
    for ((n = 0; n < 100; n++)); do
        [ -S "$state/socket" ] && break
        sleep 0.1
    done
    said=$(ask watch "$dir")
    tell watch grep -q "\"watcher\":\"$watcher\"" <<< "$said"
    # seen NAME COMMAND...: what is asked for after COMMAND is told of, and nothing else.
    seen() {
        local name=$1
        shift
        clock=$(ask clock "$dir" | sed -n 's/.*"clock":"\([^"]*\)".*/\1/p')
        [ -n "$clock" ] || return
        "$@"
        said=$(ask since "$dir" "$clock")
        echo "$name: $said" >> "$LOGS/said-$watcher"
        grep -q "\"name\":\"$name\"" <<< "$said"
    }
    append() { echo more >> "$dir/$1"; }
    tell write seen file append file
    tell write_below seen sub/inner append sub/inner
    tell create seen new append new
    tell created_is_watched seen new append new
    tell remove seen gone rm "$dir/gone"
    tell rename_from seen moved mv "$dir/moved" "$dir/renamed"
    tell renamed_is_watched seen renamed append renamed
    tell attributes seen renamed chmod 600 "$dir/renamed"
    tell directory seen deeper mkdir "$dir/deeper"
    tell file_in_new_directory seen deeper/file append deeper/file
    tell remove_tree seen sub/inner rm -r "$dir/sub"
    # Nothing changed: nothing is told of.
    tell nothing grep -q '"files":\[\]' <<< "$(ask since "$dir" "$(ask clock "$dir" | sed -n 's/.*"clock":"\([^"]*\)".*/\1/p')")"
    stop_all
}
rm -f "$LOGS"/said-* "$LOGS"/ask-* "$LOGS"/calls-*
tests inotify > "$LOGS/tree.epoll"
tests kqueue > "$LOGS/tree.kqueue"
# method WATCHER: whether it called our library.
method() { if [ -s "$LOGS/calls-$1" ]; then echo kqueue; else echo inotify; fi; }
assert_method inotify "$(method inotify)"
assert_method kqueue "$(method kqueue)"
suite tree inotify kqueue
finish

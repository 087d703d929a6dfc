#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# libev with its watchers of each kind, and the bare cost of its event loop: processor time of a ping-pong over a
# socket pair, and of a ring of pipes of which 50 are ready at a time. Beside the method the loop does nothing there,
# so that this shows what kevent() costs that tells how many bytes there are (FIONREAD); it is reported, and judged by
# nothing but FLOOR_BARE.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

FLOOR=${FLOOR_BARE:-0.5}

begin libev
needs cc python3
fetch libev

HERE=$PWD/tests/programs
build() {
    cc -O2 -g -w -DEV_STANDALONE=1 -DEV_USE_KQUEUE=1 -DEV_USE_EPOLL=1 -DEV_USE_EVENTFD=1 -DEV_MULTIPLICITY=1 $KQUEUE_CFLAGS \
        -I. -o libev "$HERE/libev.c" $KQUEUE_LDFLAGS -lkqueue -lm -lpthread
}
tree kqueue build

# It is its own judge of the method: a loop on another backend is a failure.
for backend in epoll kqueue; do
    timeout -k 5 300 "$BUILD/kqueue/libev" $backend tests > "$LOGS/watchers.$backend" 2> "$LOGS/watchers-$backend.err" ||
        die "the tests on $backend ended with status $?"
done
suite watchers epoll kqueue

# bare WHAT TURNS BACKEND: "TURNS SECONDS", of processor time.
bare() {
    local ns
    ns=$($SERVER "$BUILD/kqueue/libev" "$3" "$1" "$2") && awk -v n="$2" -v ns="$ns" 'BEGIN { print n, ns / 1e9 }'
}
n=$((SECONDS_A_ROUND * 100000))
load bare-ping-pong - - trip bare ping-pong $n
load bare-ring - - message bare many $((n * 4))
finish

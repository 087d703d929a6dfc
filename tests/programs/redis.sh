#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Redis: its own test suite, and redis-benchmark with and without pipelining. The method is the server's own
# report (INFO, multiplexing_api).
#
#   UNITS          which units of the test suite; default all of them. A unit is one result here; how many tests ran in
#                  them is told beside it.
#   UNITS_SECONDS  for how long units are begun, default 1500. What is not reached is skipped and named.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

begin redis
needs cc make tclsh timeout python3
fetch redis

# Only the event loop is compiled for the other backend: its Makefile begins anew when an option changes, so that the
# sources say where ours is. (jemalloc would take as long again to build.)
build_epoll() { make -j2 MALLOC=libc OPTIMIZATION=-O2 BUILD_TLS=no; }
build_kqueue() {
    cp -a "$BUILD/epoll/." .
    rm .built
    sed -i 's/^#include "config.h"/&\n#undef HAVE_EPOLL\n#define HAVE_KQUEUE 1/' src/ae.c
    sed -i "s|<sys/event.h>|\"$PREFIX_DIR/include/kqueue/sys/event.h\"|" src/ae_kqueue.c
    sed -i "s|^FINAL_LIBS=-lm|FINAL_LIBS=$KQUEUE_LDFLAGS -lkqueue -lm|" src/Makefile
    make MALLOC=libc OPTIMIZATION=-O2 BUILD_TLS=no
}
tree epoll build_epoll
tree kqueue build_kqueue

# start_redis BACKEND: its pid is $PID, its port $PORT.
start_redis() {
    local dir=$BUILD/$1/run
    mkdir -p "$dir"
    PORT=$(free_port)
    start "$dir/log" $SERVER "$BUILD/$1/src/redis-server" --port "$PORT" --save '' --dir "$dir"
    await "$PORT" "redis-server on $1"
    assert_method "$1" "$("$BUILD/epoll/src/redis-cli" -p "$PORT" info server | tr -d '\r' | sed -n 's/^multiplexing_api://p')"
}

start_redis epoll
epoll=$PORT epoll_pid=$PID
start_redis kqueue
kqueue=$PORT kqueue_pid=$PID

# benchmark REQUESTS ARGUMENT... BACKEND
benchmark() {
    local port=${!#} requests=$1 rate
    port=${!port}
    set -- "${@:2:$#-2}"
    rate=$($CLIENT "$BUILD/epoll/src/redis-benchmark" -p "$port" -n "$requests" --csv "$@" |
        sed -n -E '2s/^"[^"]*","([0-9.]+)".*/\1/p')
    [ -n "$rate" ] && awk -v n="$requests" -v r="$rate" 'BEGIN { print n, n / r }'
}

# As many requests as take about SECONDS_A_ROUND on a processor of this time.
n=$((SECONDS_A_ROUND * 60000))
load GET "$epoll_pid" "$kqueue_pid" request benchmark $n -t get -c 50
load GET-500-connections "$epoll_pid" "$kqueue_pid" request benchmark $n -t get -c 500
load GET-pipelined "$epoll_pid" "$kqueue_pid" request benchmark $((n * 8)) -t get -c 50 -P 16
load SET-1-KB "$epoll_pid" "$kqueue_pid" request benchmark $n -t set -c 50 -d 1024
stop_all

# ---- its own test suite

# Every unit that both sides reach in time; a unit in a process of its own, so that one that hangs takes no other with it.
units() { sed -n '/^set ::all_tests {/,/^}/s/^    //p' "$BUILD/epoll/tests/test_helper.tcl"; }

# run_units BACKEND BASEPORT
run_units() {
    local unit log verdict
    : > "$LOGS/units.$1"
    for unit in ${UNITS:-$(units)}; do
        if [ "$(date +%s)" -ge "$DEADLINE" ]; then
            echo "SKIP $unit" >> "$LOGS/units.$1"
            continue
        fi
        log=$LOGS/unit-$1-${unit//\//-}
        if (cd "$BUILD/$1" && timeout -k 5 400 tclsh tests/test_helper.tcl --single "$unit" --clients 1 \
            --baseport "$2" --portcount 3000 --timeout 300) > "$log" 2>&1 < /dev/null &&
            grep -q 'All tests passed without errors' "$log"; then verdict=OK; else verdict=FAIL; fi
        echo "$verdict $unit" >> "$LOGS/units.$1"
        echo "$unit $(grep -c '\[ok\]' "$log")" >> "$LOGS/tests.$1"
    done
}

DEADLINE=$(($(date +%s) + ${UNITS_SECONDS:-1500}))
rm -f "$LOGS"/tests.*
run_units epoll 21111 &
STARTED_PIDS+=($!)
run_units kqueue 26111 &
STARTED_PIDS+=($!)
wait
STARTED_PIDS=()
# What only one side reached is no comparison. A unit that failed beside the other side's is run once more alone.
late=$(sed -n 's/^SKIP //p' "$LOGS/units.epoll" "$LOGS/units.kqueue" | sort -u)
[ -z "$late" ] || echo "not reached in time:" $late
sed -i -E "s#^[A-Z]+ ($(echo $late | tr ' ' '|'))\$#SKIP \1#" "$LOGS/units.epoll" "$LOGS/units.kqueue"
for unit in $(sed -n 's/^FAIL //p' "$LOGS/units.kqueue"); do
    grep -q "^OK $unit$" "$LOGS/units.epoll" || continue
    echo "once more alone: $unit"
    grep -v " $unit$" "$LOGS/units.kqueue" > "$LOGS/units.others"
    DEADLINE=$(($(date +%s) + 1)) UNITS=$unit run_units kqueue 26111
    cat "$LOGS/units.others" >> "$LOGS/units.kqueue"
done
for backend in epoll kqueue; do
    echo "on $backend $(awk '{ n += $2 } END { print n }' "$LOGS/tests.$backend") tests passed in $(grep -c . "$LOGS/units.$backend") units"
done
suite units epoll kqueue
finish
